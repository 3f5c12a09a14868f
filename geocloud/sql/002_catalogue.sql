-- SPDX-License-Identifier: Apache-2.0
-- What is published, what state it is in, and where its rows came from.

CREATE TABLE geocloud.layer (
    id           text PRIMARY KEY,
    spec         jsonb NOT NULL,
    status       text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'retired')),
    published_at timestamptz NOT NULL DEFAULT now(),
    changed_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE geocloud.layer IS 'Published layer definitions; a retired layer keeps its table and history';

CREATE TABLE geocloud.code_list (
    name text PRIMARY KEY,
    spec jsonb NOT NULL
);
COMMENT ON TABLE geocloud.code_list IS 'Dated code lists as published with the layers (代码表)';

-- One row: goes up with every change of the catalogue, so that workers know what they have is old.
CREATE TABLE geocloud.catalogue_state (
    single   boolean PRIMARY KEY DEFAULT true CHECK (single),
    revision bigint NOT NULL DEFAULT 0,
    identity uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO geocloud.catalogue_state DEFAULT VALUES;

CREATE TABLE geocloud.layer_state (
    layer         text PRIMARY KEY REFERENCES geocloud.layer (id),
    version       bigint NOT NULL DEFAULT 0,
    row_count     bigint NOT NULL DEFAULT 0,
    west          float8, south float8, east float8, north float8,
    stamp         timestamptz NOT NULL DEFAULT '-infinity',
    writer        xid8,
    next_boundary timestamptz NOT NULL DEFAULT 'infinity'
) WITH (fillfactor = 50);
COMMENT ON TABLE geocloud.layer_state IS 'Version, exact count and extent of each layer, kept by triggers';
COMMENT ON COLUMN geocloud.layer_state.version IS 'Goes up once in every transaction that writes the layer';
COMMENT ON COLUMN geocloud.layer_state.stamp IS 'Transaction time of the last write: sys_from of the rows it made';
COMMENT ON COLUMN geocloud.layer_state.writer IS 'Transaction of the last write';
COMMENT ON COLUMN geocloud.layer_state.next_boundary IS
    'Earliest valid_from or valid_to of a current row that lay ahead when written; infinity: reads need no date filter';

CREATE TABLE geocloud.source (
    id        int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    layer     text NOT NULL REFERENCES geocloud.layer (id),
    title_zh  text NOT NULL,
    title_en  text NOT NULL,
    licence   text NOT NULL,
    url       text,
    synthetic boolean NOT NULL DEFAULT false,
    added_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (layer, title_en, licence, synthetic)
);
COMMENT ON TABLE geocloud.source IS 'Where the rows of a layer come from; each row names one (来源)';

CREATE TABLE geocloud.load (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    layer       text NOT NULL REFERENCES geocloud.layer (id),
    source_id   int REFERENCES geocloud.source (id),
    file_name   text NOT NULL,
    file_sha256 text,
    by_role     text NOT NULL DEFAULT session_user,
    at          timestamptz NOT NULL DEFAULT now(),
    version     bigint NOT NULL,
    report      jsonb NOT NULL
);
CREATE INDEX ON geocloud.load (layer, at);
COMMENT ON TABLE geocloud.load IS 'One row a finished load, with its report (入库记录)';

CREATE TABLE geocloud.change_log (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    layer       text NOT NULL,
    version     bigint NOT NULL,
    fid         bigint,
    op          text NOT NULL CHECK (op IN ('insert', 'update', 'delete')),
    row_count   bigint NOT NULL DEFAULT 1,
    bbox_before box,
    bbox_after  box,
    at          timestamptz NOT NULL,
    by_role     text NOT NULL
);
CREATE INDEX ON geocloud.change_log (layer, id);
COMMENT ON TABLE geocloud.change_log IS
    'What changed, by feature; a statement over geocloud.change_log_rows() leaves one entry with fid null (变更日志)';

GRANT SELECT ON ALL TABLES IN SCHEMA geocloud TO geocloud_reader, geocloud_writer;
GRANT INSERT ON geocloud.source, geocloud.load TO geocloud_writer;
