-- SPDX-License-Identifier: Apache-2.0
-- Comparisons of plans (规划比对): when plans were compared, in which state, and serial numbers of difference spots.

CREATE TABLE geocloud.comparison (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    matrix   text NOT NULL,
    digest   text NOT NULL,
    rules    text[] NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    states   jsonb NOT NULL,
    whole    boolean NOT NULL,
    counts   jsonb NOT NULL
);
CREATE INDEX ON geocloud.comparison (matrix, id DESC);
COMMENT ON TABLE geocloud.comparison IS 'Comparisons whose spots were recorded (比对批次)';
COMMENT ON COLUMN geocloud.comparison.states IS 'Version and next boundary in valid time of each plan that was compared';
COMMENT ON COLUMN geocloud.comparison.whole IS 'False: only where plans had changed since the comparison before';
COMMENT ON COLUMN geocloud.comparison.counts IS 'Spots by what became of them: new, kept, changed, split, merged, settled, reopened';

CREATE SEQUENCE geocloud.spot_serial AS bigint;
COMMENT ON SEQUENCE geocloud.spot_serial IS 'Serial part of the identification codes of difference spots (差异图斑流水号)';

REVOKE ALL ON geocloud.comparison FROM PUBLIC;
GRANT SELECT ON geocloud.comparison TO geocloud_reader, geocloud_writer;
GRANT INSERT ON geocloud.comparison TO geocloud_writer;
GRANT USAGE ON SEQUENCE geocloud.spot_serial TO geocloud_writer;
