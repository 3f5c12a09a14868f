-- SPDX-License-Identifier: Apache-2.0
-- Prepared tile geometry (矢量瓦片几何), kept by the database for every writer.
--
-- A layer with geometry gets generated columns in Web Mercator (EPSG:3857), the storage of the WebMercatorQuad grid:
--   tile_geom      the whole geometry, outer rings clockwise on screen as MVT 2.1, 4.3.4.4 asks
--   tile_geom_11   simplified to a quarter of a screen pixel at zoom 11, null where that saves too few points
--   tile_geom_7    the same for zoom 7
--   tile_from      polygons: the first zoom at which the shape is large enough to be drawn itself
-- Low zooms of a layer with overview `cluster` or `cover` come from tiles."theme.layer": exact counts and areas by
-- cell of the grid's quadtree and by leading code. Statement triggers add and subtract whole numbers, so that what is
-- taken away leaves exactly what was there before.

CREATE SCHEMA tiles;
COMMENT ON SCHEMA tiles IS 'Counts and areas by cell for low zooms, one table a layer (低级别概览)';
GRANT USAGE ON SCHEMA tiles TO geocloud_reader, geocloud_writer;

CREATE TABLE geocloud.overview (
    layer      text PRIMARY KEY REFERENCES geocloud.layer (id),
    kind       text NOT NULL CHECK (kind IN ('cluster', 'cover')),
    code_field text,
    lowest     int NOT NULL,
    highest    int NOT NULL
);
COMMENT ON TABLE geocloud.overview IS 'What the overview tables hold: levels of the quadtree and the field counted by';
GRANT SELECT ON geocloud.overview TO geocloud_reader, geocloud_writer;

-- A geometry beyond Mercator's reach cut to it and projected; null when nothing is left.
CREATE FUNCTION geocloud.tile_cut(g public.geometry) RETURNS public.geometry
IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    inside geometry;
BEGIN
    inside := ST_Intersection(g, ST_MakeEnvelope(-180, -85.05, 180, 85.05, 4490));
    RETURN CASE WHEN NOT ST_IsEmpty(inside) THEN ST_Transform(inside, 3857) END;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

-- A stored geometry in Web Mercator.
CREATE FUNCTION geocloud.tile_geometry(g public.geometry) RETURNS public.geometry
IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
SELECT CASE WHEN g OPERATOR(public.@) public.ST_MakeEnvelope(-180, -85.05, 180, 85.05, 4490)
            THEN public.ST_ForcePolygonCW(public.ST_Transform(g, 3857))
            ELSE public.ST_ForcePolygonCW(geocloud.tile_cut(g)) END
$$;

-- A stored geometry in Web Mercator, simplified for zooms up to one; null when at least 60 % of its points stay.
CREATE FUNCTION geocloud.tile_generalised(g public.geometry, zoom int) RETURNS public.geometry
IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    whole geometry := geocloud.tile_geometry(g);
    tolerance float8 := 2 * 40075016.685578488 / 4096 / 2 ^ zoom;
    less geometry;
BEGIN
    IF ST_Dimension(g) = 2 THEN
        less := ST_ForcePolygonCW(ST_SimplifyPreserveTopology(whole, tolerance));
    ELSE
        less := ST_Simplify(whole, tolerance, true);
    END IF;
    RETURN CASE WHEN ST_NPoints(less) < 0.6 * ST_NPoints(whole) THEN less END;
END $$;

-- Whether simplifying a shape can show: it has points to lose and is some 32 tile units (these degrees) across.
CREATE FUNCTION geocloud.tile_is_large(g public.geometry, degrees float8) RETURNS boolean
IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
SELECT public.ST_NPoints(g) > 32 AND (public.ST_XMax(g) - public.ST_XMin(g) > degrees
                                      OR public.ST_YMax(g) - public.ST_YMin(g) > degrees)
$$;

-- The first zoom at which a stored polygon is as large as 1/64 of a tile's side, 8 pixels of 512; 30: never. Its area
-- in Web Mercator is taken from its degrees at its middle latitude.
CREATE FUNCTION geocloud.tile_from(g public.geometry) RETURNS smallint
IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
SELECT coalesce(greatest(0, least(30, ceil(ln(626172.13571216 / sqrt(nullif(public.ST_Area(g), 0) * 12392029030.47372
           / greatest(0.05, cos(radians((public.ST_YMin(g) + public.ST_YMax(g)) / 2))))) / ln(2))))::smallint,
       30::smallint)
$$;

-- Where a Web Mercator point lies in the grid, as 32-bit fractions of the world from west and from north.
CREATE FUNCTION geocloud.tile_x(p public.geometry) RETURNS bigint IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
SELECT greatest(0, least(4294967295,
    floor((public.ST_X(p) + 20037508.342789244) * (4294967296 / 40075016.685578488::float8))::bigint))
$$;
CREATE FUNCTION geocloud.tile_y(p public.geometry) RETURNS bigint IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
SELECT greatest(0, least(4294967295,
    floor((20037508.342789244 - public.ST_Y(p)) * (4294967296 / 40075016.685578488::float8))::bigint))
$$;

-- Square metres on the CGCS2000 ellipsoid for one of Web Mercator at that northing. An area so scaled at its centre is
-- right to a millionth up to some 10 km across.
CREATE FUNCTION geocloud.tile_area_scale(northing float8) RETURNS float8 IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
SELECT 0.9933056199770992 * (1 - tanh(northing / 6378137) ^ 2)
       / (1 - 0.0066943800229008 * tanh(northing / 6378137) ^ 2) ^ 2
$$;

-- Gives a layer its generated columns, overview table and triggers, or takes away what its definition no longer asks
-- for; builds an overview anew when its rule has changed. Reads the definition from geocloud.layer.
CREATE FUNCTION geocloud.attach_tiles(layer_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    spec jsonb;
    live text := format('%I.%I', split_part(layer_id, '.', 1), split_part(layer_id, '.', 2));
    cells text := format('tiles.%I', layer_id);
    keeper text := 'tiles.' || quote_ident(layer_id || ':');
    shape text;
    wanted geocloud.overview;
    have geocloud.overview;
    depth int;
    anchor text;
    area text;
    upto text;
    code text;
    added text;
    rows_new text;
    rows_old text;
    columns text;
BEGIN
    SELECT l.spec INTO STRICT spec FROM geocloud.layer l WHERE l.id = layer_id;
    shape := spec->>'geometry';
    IF shape = 'none' THEN RETURN; END IF;

    EXECUTE format('ALTER TABLE %s ADD COLUMN IF NOT EXISTS tile_geom public.geometry
        GENERATED ALWAYS AS (geocloud.tile_geometry(geom)) STORED', live);
    columns := 'tile_geom';
    IF shape NOT IN ('point', 'multipoint') THEN
        EXECUTE format('ALTER TABLE %s
            ADD COLUMN IF NOT EXISTS tile_geom_11 public.geometry GENERATED ALWAYS AS (
                CASE WHEN geocloud.tile_is_large(geom, 0.003) THEN geocloud.tile_generalised(geom, 11) END) STORED,
            ADD COLUMN IF NOT EXISTS tile_geom_7 public.geometry GENERATED ALWAYS AS (
                CASE WHEN geocloud.tile_is_large(geom, 0.05) THEN geocloud.tile_generalised(geom, 7) END) STORED', live);
        columns := columns || ', tile_geom_11, tile_geom_7';
    END IF;
    IF shape IN ('polygon', 'multipolygon', 'geometry') THEN
        EXECUTE format('ALTER TABLE %s ADD COLUMN IF NOT EXISTS tile_from smallint
            GENERATED ALWAYS AS (geocloud.tile_from(geom)) STORED', live);
        columns := columns || ', tile_from';
    END IF;
    EXECUTE format('GRANT SELECT (%s) ON %s TO geocloud_reader', columns, live);
    EXECUTE format('CREATE OR REPLACE TRIGGER b_row BEFORE UPDATE ON %s
        FOR EACH ROW EXECUTE FUNCTION geocloud.keep_row(%s)', live, columns);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER b_row', live);

    SELECT * INTO have FROM geocloud.overview o WHERE o.layer = layer_id;
    wanted.layer := layer_id;
    wanted.kind := spec #>> '{tiles,overview}';
    wanted.code_field := spec #>> '{style,color_by}';
    -- A tile of a zoom shows cells of 1/8 (cluster) or 1/32 (cover) of its side.
    depth := CASE wanted.kind WHEN 'cluster' THEN 3 ELSE 5 END;
    wanted.lowest := (spec #>> '{tiles,min_zoom}')::int + depth;
    wanted.highest := (spec #>> '{tiles,overview_below}')::int - 1 + depth;
    IF wanted.kind NOT IN ('cluster', 'cover') OR wanted.highest < wanted.lowest THEN
        IF have.layer IS NOT NULL THEN
            EXECUTE format('DROP TRIGGER IF EXISTS e_insert ON %1$s; DROP TRIGGER IF EXISTS e_update ON %1$s;
                DROP TRIGGER IF EXISTS e_delete ON %1$s; DROP FUNCTION IF EXISTS %2$s();
                DROP TABLE IF EXISTS %3$s', live, keeper, cells);
            DELETE FROM geocloud.overview o WHERE o.layer = layer_id;
        END IF;
        EXECUTE format('DROP INDEX IF EXISTS %1$I.%2$I, %1$I.%3$I', split_part(layer_id, '.', 1),
            split_part(layer_id, '.', 2) || ' large', split_part(layer_id, '.', 2) || ' largest');
        RETURN;
    END IF;

    anchor := CASE WHEN shape = 'point' THEN 'r.tile_geom' ELSE 'public.ST_Centroid(r.tile_geom)' END;
    code := CASE WHEN wanted.code_field IS NULL THEN quote_literal('')
                 ELSE format('coalesce(r.%I::text, %L)', wanted.code_field, '') END;
    upto := (wanted.highest + 1)::text;
    area := '0';
    IF wanted.kind = 'cover' THEN
        IF shape IN ('polygon', 'multipolygon', 'geometry') THEN upto := 'r.tile_from + ' || depth; END IF;
        -- Whole square millimetres, so that sums stay exact.
        area := 'round(public.ST_Area(r.tile_geom) * geocloud.tile_area_scale(public.ST_Y(a.at)) * 1e6)::bigint';
    END IF;
    -- Cells of all levels from rows `r` with a sign, given as %1$s.
    added := format($f$
INSERT INTO %1$s AS p (level, x, y, code, n, sx, sy, area)
SELECT l, f.x >> (%2$s - l), f.y >> (%2$s - l), f.code,
       sum(f.n)::bigint, sum(f.sx)::bigint, sum(f.sy)::bigint, sum(f.area)::bigint
  FROM (SELECT (c.mx >> (32 - %2$s))::int AS x, (c.my >> (32 - %2$s))::int AS y, c.code, c.upto,
               sum(c.sign) AS n, sum(c.sign * c.mx) AS sx, sum(c.sign * c.my) AS sy, sum(c.sign * c.area) AS area
          FROM (SELECT r.sign, geocloud.tile_x(a.at) AS mx, geocloud.tile_y(a.at) AS my, %4$s AS code,
                       least(%5$s, %2$s + 1) AS upto, %6$s AS area
                  FROM (%%s) r, LATERAL (SELECT %3$s AS at OFFSET 0) a WHERE r.tile_geom IS NOT NULL) c
         WHERE c.mx IS NOT NULL GROUP BY 1, 2, 3, 4) f
  JOIN generate_series(%7$s, %2$s) l ON l < f.upto
 GROUP BY 1, 2, 3, 4
HAVING sum(f.n) <> 0 OR sum(f.sx) <> 0 OR sum(f.sy) <> 0 OR sum(f.area) <> 0
    ON CONFLICT (level, x, y, code) DO UPDATE
   SET n = p.n + excluded.n, sx = p.sx + excluded.sx, sy = p.sy + excluded.sy, area = p.area + excluded.area
$f$, cells, wanted.highest, anchor, code, upto, area, wanted.lowest);
    columns := 'tile_geom'
        || CASE WHEN wanted.kind = 'cover' AND upto LIKE 'r.%' THEN ', tile_from' ELSE '' END
        || CASE WHEN wanted.code_field IS NULL THEN '' ELSE format(', %I', wanted.code_field) END;
    rows_new := format('SELECT 1 AS sign, %s FROM new_rows', columns);
    rows_old := format('SELECT -1 AS sign, %s FROM old_rows', columns);

    EXECUTE format($f$
CREATE OR REPLACE FUNCTION %1$s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public AS $body$
BEGIN
    IF TG_OP = 'INSERT' THEN %2$s;
    ELSIF TG_OP = 'UPDATE' THEN %3$s;
    ELSE
        %4$s;
        IF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT 1000) o) = 1000 THEN
            DELETE FROM %5$s WHERE n = 0;
        END IF;
    END IF;
    RETURN NULL;
END $body$
$f$, keeper, format(added, rows_new), format(added, rows_new || ' UNION ALL ' || rows_old), format(added, rows_old),
     cells);
    EXECUTE format('REVOKE ALL ON FUNCTION %s() FROM PUBLIC', keeper);

    IF have IS DISTINCT FROM wanted OR to_regclass(cells) IS NULL THEN
        EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', live);
        EXECUTE format('DROP TABLE IF EXISTS %s', cells);
        EXECUTE format('CREATE TABLE %s (level smallint NOT NULL, x int NOT NULL, y int NOT NULL, code text NOT NULL,
            n bigint NOT NULL, sx bigint NOT NULL, sy bigint NOT NULL, area bigint NOT NULL,
            PRIMARY KEY (level, x, y, code)) WITH (fillfactor = 90)', cells);
        EXECUTE format('GRANT SELECT ON %s TO geocloud_reader', cells);
        EXECUTE format(added, format('SELECT 1 AS sign, %s FROM %s', columns, live));
        INSERT INTO geocloud.overview SELECT wanted.*
            ON CONFLICT (layer) DO UPDATE SET kind = excluded.kind, code_field = excluded.code_field,
               lowest = excluded.lowest, highest = excluded.highest;
        EXECUTE format('DROP INDEX IF EXISTS %1$I.%2$I, %1$I.%3$I', split_part(layer_id, '.', 1),
            split_part(layer_id, '.', 2) || ' large', split_part(layer_id, '.', 2) || ' largest');
        IF columns LIKE '%tile_from%' THEN
            EXECUTE format('CREATE INDEX %I ON %s USING gist (geom) WHERE tile_from < %s',
                split_part(layer_id, '.', 2) || ' large', live, wanted.highest - depth + 1);
            EXECUTE format('CREATE INDEX %I ON %s (tile_from) WHERE tile_from < %s',
                split_part(layer_id, '.', 2) || ' largest', live, wanted.highest - depth + 1);
        END IF;
    END IF;
    EXECUTE format('CREATE OR REPLACE TRIGGER e_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION %s()', live, keeper);
    EXECUTE format('CREATE OR REPLACE TRIGGER e_update AFTER UPDATE ON %s
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION %s()', live, keeper);
    EXECUTE format('CREATE OR REPLACE TRIGGER e_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION %s()', live, keeper);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER e_insert, ENABLE ALWAYS TRIGGER e_update,
        ENABLE ALWAYS TRIGGER e_delete', live);
END $$;
REVOKE ALL ON FUNCTION geocloud.attach_tiles(text) FROM PUBLIC;

-- Takes a layer's generated columns away, so that the type of its geometry can be changed; attach_tiles makes them anew.
CREATE FUNCTION geocloud.detach_tiles(layer_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    live text := format('%I.%I', split_part(layer_id, '.', 1), split_part(layer_id, '.', 2));
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS e_insert ON %1$s; DROP TRIGGER IF EXISTS e_update ON %1$s;
        DROP TRIGGER IF EXISTS e_delete ON %1$s; DROP TABLE IF EXISTS tiles.%2$I;
        ALTER TABLE %1$s DROP COLUMN IF EXISTS tile_geom, DROP COLUMN IF EXISTS tile_geom_11,
            DROP COLUMN IF EXISTS tile_geom_7, DROP COLUMN IF EXISTS tile_from', live, layer_id);
    DELETE FROM geocloud.overview o WHERE o.layer = layer_id;
END $$;
REVOKE ALL ON FUNCTION geocloud.detach_tiles(text) FROM PUBLIC;

-- History holds what was believed, not what can be computed from it: attach_time passes over generated columns.
DO $$
DECLARE
    old text := pg_get_functiondef('geocloud.attach_time(text)'::regprocedure);
    new text := replace(replace(old, 'NOT attisdropped', 'NOT attisdropped AND attgenerated = '''''),
        'NOT a.attisdropped', 'NOT a.attisdropped AND a.attgenerated = ''''');
BEGIN
    IF regexp_count(old, 'attisdropped') <> 4 OR regexp_count(new, 'attgenerated') <> 3 THEN
        RAISE EXCEPTION 'geocloud.attach_time is not the one this migration knows';
    END IF;
    EXECUTE new;
END $$;

-- BEFORE UPDATE, each row: keeps fid, drops changes that change nothing, sets both start times. As in 003, but generated
-- columns, as many as the trigger has arguments, are empty in NEW at this point and take no part in the comparison.
CREATE OR REPLACE FUNCTION geocloud.keep_row() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    stamp timestamptz := geocloud.stamp();
BEGIN
    IF TG_NARGS > 0 THEN NEW.tile_geom := OLD.tile_geom; END IF;
    IF TG_NARGS > 1 THEN NEW.tile_geom_11 := OLD.tile_geom_11; NEW.tile_geom_7 := OLD.tile_geom_7; END IF;
    IF TG_NARGS > 3 THEN NEW.tile_from := OLD.tile_from; END IF;
    IF NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NULL;
    END IF;
    IF NEW.fid <> OLD.fid THEN
        RAISE EXCEPTION 'fid % cannot be changed to %', OLD.fid, NEW.fid USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    NEW.sys_from := stamp;
    IF NEW.valid_from = OLD.valid_from AND NOT geocloud.is_correction() AND OLD.sys_from < stamp THEN
        NEW.valid_from := greatest(geocloud.valid_at(stamp), OLD.valid_from);
    END IF;
    IF NEW.valid_to <= NEW.valid_from THEN
        RAISE EXCEPTION 'fid %: valid_to % is not after valid_from %', OLD.fid, NEW.valid_to, NEW.valid_from
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

SELECT geocloud.attach_tiles(id) FROM geocloud.layer
 WHERE to_regclass(format('%I.%I', split_part(id, '.', 1), split_part(id, '.', 2))) IS NOT NULL ORDER BY id;
