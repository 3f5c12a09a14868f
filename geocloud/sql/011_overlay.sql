-- SPDX-License-Identifier: Apache-2.0
-- Stamps (空间标记): for every feature, in which county, township, village and unit grid it lies, and in which H3 and
-- BeiDou cells.
--
-- stamps."theme.layer" has a row for each feature that is valid now, beside the layer and not in it: a boundary that
-- moves leaves no trace in the history of what lies around it, and narrow rows are quick to count. A zone's column holds
-- the fid of the zone that covers a point, or that wholly holds a line or an area; null: in none, or across several.
-- Stamps are never wrong, at worst not used: geocloud.stamp_status says whether those of a layer by a zoning are those
-- of the present versions of both.

CREATE SCHEMA stamps;
COMMENT ON SCHEMA stamps IS 'Zones and cells of features, one table a layer (空间标记)';
GRANT USAGE ON SCHEMA stamps TO geocloud_reader, geocloud_writer;

CREATE TABLE geocloud.zoning (
    name  text PRIMARY KEY,
    layer text NOT NULL,
    place int NOT NULL UNIQUE
);
COMMENT ON TABLE geocloud.zoning IS 'By what features are stamped (分区): name, layer, place in arrays of versions';
INSERT INTO geocloud.zoning VALUES
    ('county', 'base.county', 1), ('township', 'base.township', 2), ('village', 'base.village', 3),
    ('unit_grid', 'grid.unit_grid', 4), ('cells', '', 5);
GRANT SELECT ON geocloud.zoning TO geocloud_reader, geocloud_writer;

CREATE TABLE geocloud.stamp_state (
    layer          text NOT NULL REFERENCES geocloud.layer (id),
    zoning         text NOT NULL REFERENCES geocloud.zoning (name),
    layer_version  bigint NOT NULL,
    zoning_version bigint NOT NULL,
    layer_stamp    timestamptz NOT NULL,
    zoning_stamp   timestamptz NOT NULL,
    stamped_at     timestamptz NOT NULL,
    holds_until    timestamptz NOT NULL DEFAULT 'infinity',
    PRIMARY KEY (layer, zoning)
) WITH (fillfactor = 50);
COMMENT ON TABLE geocloud.stamp_state IS 'Of which versions of a layer and a zoning the stamps are (标记状态)';
COMMENT ON COLUMN geocloud.stamp_state.zoning_version IS 'For `cells`: the number of the rule by which cells are given';
COMMENT ON COLUMN geocloud.stamp_state.layer_stamp IS 'The state of the layer that was stamped, as transaction time';
COMMENT ON COLUMN geocloud.stamp_state.zoning_stamp IS 'The state of the zoning by which it was stamped, as transaction time';
COMMENT ON COLUMN geocloud.stamp_state.stamped_at IS 'The valid time whose features and zones these are';
COMMENT ON COLUMN geocloud.stamp_state.holds_until IS 'When a feature or a zone next begins or ends to hold';

-- Every layer with stamps and every zoning it can be stamped by; `current`: the stamps are those of now.
CREATE VIEW geocloud.stamp_status AS
SELECT l.layer, z.name AS zoning, l.version AS layer_version, coalesce(zs.version, s.zoning_version, 0) AS zoning_version,
       s.layer_version AS stamped_layer_version, s.zoning_version AS stamped_zoning_version, s.stamped_at,
       coalesce(s.layer_version = l.version AND (z.layer = '' OR s.zoning_version = zs.version)
                AND s.holds_until > clock_timestamp(), false) AS current
  FROM geocloud.layer_state l
  JOIN geocloud.layer d ON d.id = l.layer AND d.status = 'active' AND d.spec->>'geometry' <> 'none'
 CROSS JOIN geocloud.zoning z
  LEFT JOIN geocloud.layer zd ON zd.id = z.layer AND zd.status = 'active'
  LEFT JOIN geocloud.layer_state zs ON zs.layer = zd.id
  LEFT JOIN geocloud.stamp_state s ON s.layer = l.layer AND s.zoning = z.name
 WHERE z.layer = '' OR zs.layer IS NOT NULL;
COMMENT ON VIEW geocloud.stamp_status IS 'Whether stamps are current, by layer and zoning (标记是否最新)';
GRANT SELECT ON geocloud.stamp_state, geocloud.stamp_status TO geocloud_reader, geocloud_writer;
-- Workers see whether there is something to be brought up to date.
GRANT SELECT ON geocloud.stamp_status TO geocloud_jobs;
GRANT INSERT, UPDATE, DELETE ON geocloud.stamp_state TO geocloud_writer;

-- Gives a layer with geometry its table of stamps. Reads the definition from geocloud.layer.
CREATE FUNCTION geocloud.attach_stamps(layer_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    shape text;
BEGIN
    SELECT l.spec->>'geometry' INTO STRICT shape FROM geocloud.layer l WHERE l.id = layer_id;
    IF shape = 'none' THEN RETURN; END IF;
    EXECUTE format('CREATE TABLE IF NOT EXISTS stamps.%I (
        fid bigint PRIMARY KEY, county bigint, township bigint, village bigint, unit_grid bigint,
        h3_8 bigint, h3_10 bigint, beidou bigint)', layer_id);
    EXECUTE format('GRANT SELECT ON stamps.%I TO geocloud_reader', layer_id);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON stamps.%I TO geocloud_writer', layer_id);
END $$;
REVOKE ALL ON FUNCTION geocloud.attach_stamps(text) FROM PUBLIC;

-- Stamps of features that the running transaction has written, and the layer's new version taken into its state where
-- everything before it was stamped too. `used`: the versions of the zonings, in their places, by which these were found,
-- null for one that is not there; null as a whole where geometry stays as it is; `as_of`: when. `gone`: features that
-- hold no more. For the transaction of the write alone.
CREATE FUNCTION geocloud.put_stamps(
    layer_id text, used bigint[], as_of timestamptz, fids bigint[], county bigint[], township bigint[], village bigint[],
    unit_grid bigint[], h3_8 bigint[], h3_10 bigint[], beidou bigint[], gone bigint[]
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    state geocloud.layer_state;
BEGIN
    SELECT * INTO STRICT state FROM geocloud.layer_state s WHERE s.layer = layer_id;
    IF state.writer IS DISTINCT FROM pg_current_xact_id() THEN
        RAISE EXCEPTION 'stamps of % are put by the transaction that writes it', layer_id
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    -- Without a state the layer is being stamped whole, or has not been yet: what is written now is found then.
    IF NOT EXISTS (SELECT FROM geocloud.stamp_state s WHERE s.layer = layer_id) THEN RETURN; END IF;
    IF cardinality(fids) > 0 THEN
        EXECUTE format('INSERT INTO stamps.%I AS s
            SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (fid) DO UPDATE SET county = excluded.county, township = excluded.township,
                village = excluded.village, unit_grid = excluded.unit_grid, h3_8 = excluded.h3_8,
                h3_10 = excluded.h3_10, beidou = excluded.beidou', layer_id)
        USING fids, county, township, village, unit_grid, h3_8, h3_10, beidou;
    END IF;
    IF cardinality(gone) > 0 THEN
        EXECUTE format('DELETE FROM stamps.%I WHERE fid = ANY ($1)', layer_id) USING gone;
    END IF;
    UPDATE geocloud.stamp_state s SET layer_version = state.version, layer_stamp = state.stamp
      FROM geocloud.zoning z
     WHERE s.layer = layer_id AND z.name = s.zoning AND s.layer_version IN (state.version - 1, state.version)
       AND (used IS NULL OR (s.zoning_version = used[z.place] AND s.stamped_at <= as_of));
END $$;
REVOKE ALL ON FUNCTION geocloud.put_stamps(text, bigint[], timestamptz, bigint[], bigint[], bigint[], bigint[],
    bigint[], bigint[], bigint[], bigint[], bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION geocloud.put_stamps(text, bigint[], timestamptz, bigint[], bigint[], bigint[], bigint[],
    bigint[], bigint[], bigint[], bigint[], bigint[]) TO geocloud_writer;

SELECT geocloud.attach_stamps(id) FROM geocloud.layer
 WHERE to_regclass(format('%I.%I', split_part(id, '.', 1), split_part(id, '.', 2))) IS NOT NULL ORDER BY id;
