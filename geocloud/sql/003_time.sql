-- SPDX-License-Identifier: Apache-2.0
-- Two times on every row, kept by the database: valid time (有效时间) and transaction time (事务时间).
--
-- A layer's table holds what is believed now; history."theme.layer" holds every other belief, with sys_to.
-- A row of history with sys_to = infinity is still believed: it says how a feature was before valid_to.
--   UPDATE  closes and opens: from geocloud.valid_at (default: the write's stamp) the new values hold; before it the
--           old ones did. With geocloud.change = 'correction', or a valid_from written by hand, the old values were
--           never so: they stay in history as a belief that ended.
--   DELETE  ends the feature at geocloud.valid_at (default: the stamp), or with geocloud.change = 'correction' says
--           that it never was.

-- Rows a single statement may change before the change log keeps one entry for all of them.
CREATE FUNCTION geocloud.change_log_rows() RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT 10000::bigint';

-- The stamp of the running write, set by begin_write; the default of sys_from.
CREATE FUNCTION geocloud.stamp() RETURNS timestamptz STABLE LANGUAGE sql AS
$$ SELECT pg_catalog.current_setting('geocloud.stamp')::timestamptz $$;

-- When the change being written took effect in the city: geocloud.valid_at, or the stamp.
CREATE FUNCTION geocloud.valid_at(stamp timestamptz) RETURNS timestamptz STABLE LANGUAGE sql AS
$$ SELECT coalesce(nullif(pg_catalog.current_setting('geocloud.valid_at', true), '')::timestamptz, stamp) $$;

-- Whether the change being written corrects the record instead of following the city.
CREATE FUNCTION geocloud.is_correction() RETURNS boolean STABLE LANGUAGE sql AS
$$ SELECT coalesce(pg_catalog.current_setting('geocloud.change', true), '') = 'correction' $$;

-- BEFORE each statement: takes the layer's lock, bumps its version once a transaction, fixes the stamp.
CREATE FUNCTION geocloud.begin_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
DECLARE
    state geocloud.layer_state;
BEGIN
    UPDATE geocloud.layer_state
       SET version = version + 1, writer = pg_current_xact_id(),
           stamp = greatest(clock_timestamp(), stamp + interval '1 microsecond')
     WHERE layer = TG_ARGV[0] AND writer IS DISTINCT FROM pg_current_xact_id()
    RETURNING * INTO state;
    IF FOUND THEN
        PERFORM pg_notify('geocloud', json_build_object('layer', state.layer, 'version', state.version)::text);
    ELSE
        SELECT * INTO STRICT state FROM geocloud.layer_state WHERE layer = TG_ARGV[0];
    END IF;
    PERFORM set_config('geocloud.stamp',
        to_char(state.stamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), true);
    RETURN NULL;
END $$;

-- BEFORE UPDATE, each row: keeps fid, drops changes that change nothing, sets both start times.
CREATE FUNCTION geocloud.keep_row() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    stamp timestamptz := geocloud.stamp();
BEGIN
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

-- BEFORE TRUNCATE: history cannot follow it.
CREATE FUNCTION geocloud.refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE of % would lose history; use DELETE', TG_TABLE_NAME
        USING ERRCODE = 'feature_not_supported';
END $$;

-- Takes what a statement changed into the layer's state and, for bulk statements, the change log.
CREATE FUNCTION geocloud.note_change(
    layer_id text, op text, rows bigint, added bigint, before box, after box, boundary timestamptz, stamps_right boolean
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    state geocloud.layer_state;
BEGIN
    IF NOT stamps_right THEN
        RAISE EXCEPTION 'sys_from of % is set by the database', layer_id USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE geocloud.layer_state s
       SET row_count = row_count + added,
           west = least(s.west, (after[1])[0]), south = least(s.south, (after[1])[1]),
           east = greatest(s.east, (after[0])[0]), north = greatest(s.north, (after[0])[1]),
           next_boundary = least(s.next_boundary, boundary)
     WHERE s.layer = layer_id
    RETURNING * INTO STRICT state;
    IF rows > geocloud.change_log_rows() THEN
        INSERT INTO geocloud.change_log (layer, version, op, row_count, bbox_before, bbox_after, at, by_role)
        VALUES (layer_id, state.version, op, rows, before, after, state.stamp, session_user);
    END IF;
    RETURN state.version;
END $$;

-- PostgreSQL's box of a PostGIS geometry; null for none or an empty one.
CREATE FUNCTION geocloud.box_of(g public.geometry) RETURNS box IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS
$$ SELECT CASE WHEN public.ST_IsEmpty(g) THEN NULL ELSE
     box(point(public.ST_XMin(g), public.ST_YMin(g)), point(public.ST_XMax(g), public.ST_YMax(g))) END $$;

-- PostgreSQL's box of a PostGIS extent.
CREATE FUNCTION geocloud.box_of(e public.box2d) RETURNS box IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS
$$ SELECT box(point(public.ST_XMin(e), public.ST_YMin(e)), point(public.ST_XMax(e), public.ST_YMax(e))) $$;

-- Makes the history table of a layer or adds columns it lacks, and (re)writes its triggers.
CREATE FUNCTION geocloud.attach_time(layer_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    live text := format('%I.%I', split_part(layer_id, '.', 1), split_part(layer_id, '.', 2));
    past text := format('history.%I', layer_id);
    prefix text := 'history.' || quote_ident(layer_id || ':');
    cols text;
    cols_closed text;
    has_geom boolean;
    extent_new text := 'NULL::box';
    extent_old text := 'NULL::box';
    box_new text := 'NULL::box';
    box_old text := 'NULL::box';
    missing record;
BEGIN
    EXECUTE format('CREATE TABLE IF NOT EXISTS %s (LIKE %s, sys_to timestamptz NOT NULL)', past, live);
    FOR missing IN
        SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type FROM pg_attribute a
         WHERE a.attrelid = live::regclass AND a.attnum > 0 AND NOT a.attisdropped
           AND NOT EXISTS (SELECT FROM pg_attribute h WHERE h.attrelid = past::regclass
                            AND h.attname = a.attname AND NOT h.attisdropped)
    LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', past, missing.attname, missing.type);
    END LOOP;
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %s (fid, sys_from)', layer_id || ' fid', past);

    SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum),
           string_agg(CASE attname WHEN 'valid_to' THEN 'closed_at' WHEN 'sys_from' THEN 'stamp'
                      ELSE format('o.%I', attname) END, ', ' ORDER BY attnum),
           bool_or(attname = 'geom')
      INTO cols, cols_closed, has_geom
      FROM pg_attribute WHERE attrelid = live::regclass AND attnum > 0 AND NOT attisdropped;
    IF has_geom THEN
        extent_new := 'geocloud.box_of(public.ST_Extent(n.geom)::public.box2d)';
        extent_old := 'geocloud.box_of(public.ST_Extent(o.geom)::public.box2d)';
        box_new := 'geocloud.box_of(n.geom)';
        box_old := 'geocloud.box_of(o.geom)';
    END IF;

    EXECUTE format($f$
CREATE OR REPLACE FUNCTION %1$s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public AS $body$
DECLARE
    stamp timestamptz;
    seen record;
    version bigint;
BEGIN
    SELECT s.stamp INTO STRICT stamp FROM geocloud.layer_state s WHERE s.layer = %2$L;
    IF TG_OP = 'INSERT' THEN
        SELECT count(*) AS n, %4$s AS after, coalesce(bool_and(n.sys_from = stamp), true) AS right,
               least(min(n.valid_from) FILTER (WHERE n.valid_from > stamp), min(n.valid_to)) AS boundary
          INTO seen FROM new_rows n;
        IF seen.n = 0 THEN RETURN NULL; END IF;
        version := geocloud.note_change(%2$L, 'insert', seen.n, seen.n, NULL, seen.after, seen.boundary, seen.right);
        IF seen.n <= geocloud.change_log_rows() THEN
            INSERT INTO geocloud.change_log (layer, version, fid, op, bbox_after, at, by_role)
            SELECT %2$L, version, n.fid, 'insert', %6$s, stamp, session_user FROM new_rows n ORDER BY n.fid;
        END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        SELECT count(*) AS n, %4$s AS after, %5$s AS before, coalesce(bool_and(n.sys_from = stamp), true) AS right,
               least(min(n.valid_from) FILTER (WHERE n.valid_from > stamp), min(n.valid_to)) AS boundary
          INTO seen FROM new_rows n JOIN old_rows o USING (fid);
        IF seen.n = 0 THEN RETURN NULL; END IF;
        version := geocloud.note_change(%2$L, 'update', seen.n, 0, seen.before, seen.after, seen.boundary, seen.right);
        INSERT INTO %3$s (%8$s, sys_to) SELECT %10$s, stamp FROM old_rows o WHERE o.sys_from < stamp;
        INSERT INTO %3$s (%8$s, sys_to)
        SELECT %9$s, 'infinity' FROM old_rows o JOIN new_rows n USING (fid),
               LATERAL (SELECT least(n.valid_from, o.valid_to) AS closed_at) c
         WHERE o.sys_from < stamp AND o.valid_from < closed_at AND NOT geocloud.is_correction();
        IF seen.n <= geocloud.change_log_rows() THEN
            INSERT INTO geocloud.change_log (layer, version, fid, op, bbox_before, bbox_after, at, by_role)
            SELECT %2$L, version, n.fid, 'update', %7$s, %6$s, stamp, session_user
              FROM new_rows n JOIN old_rows o USING (fid) ORDER BY n.fid;
        END IF;
    ELSE
        SELECT count(*) AS n, %5$s AS before INTO seen FROM old_rows o;
        IF seen.n = 0 THEN RETURN NULL; END IF;
        version := geocloud.note_change(%2$L, 'delete', seen.n, -seen.n, seen.before, NULL, 'infinity', true);
        INSERT INTO %3$s (%8$s, sys_to) SELECT %10$s, stamp FROM old_rows o WHERE o.sys_from < stamp;
        INSERT INTO %3$s (%8$s, sys_to)
        SELECT %9$s, 'infinity' FROM old_rows o,
               LATERAL (SELECT least(geocloud.valid_at(stamp), o.valid_to) AS closed_at) c
         WHERE o.sys_from < stamp AND o.valid_from < closed_at AND NOT geocloud.is_correction();
        IF seen.n <= geocloud.change_log_rows() THEN
            INSERT INTO geocloud.change_log (layer, version, fid, op, bbox_before, at, by_role)
            SELECT %2$L, version, o.fid, 'delete', %7$s, stamp, session_user FROM old_rows o ORDER BY o.fid;
        END IF;
    END IF;
    RETURN NULL;
END $body$
$f$, prefix, layer_id, past, extent_new, extent_old, box_new, box_old, cols, cols_closed,
     (SELECT string_agg(format('o.%I', attname), ', ' ORDER BY attnum) FROM pg_attribute
       WHERE attrelid = live::regclass AND attnum > 0 AND NOT attisdropped));
    EXECUTE format('REVOKE ALL ON FUNCTION %s() FROM PUBLIC', prefix);

    EXECUTE format('CREATE OR REPLACE TRIGGER a_begin BEFORE INSERT OR UPDATE OR DELETE ON %s
        FOR EACH STATEMENT EXECUTE FUNCTION geocloud.begin_write(%L)', live, layer_id);
    EXECUTE format('CREATE OR REPLACE TRIGGER b_row BEFORE UPDATE ON %s
        FOR EACH ROW EXECUTE FUNCTION geocloud.keep_row()', live);
    EXECUTE format('CREATE OR REPLACE TRIGGER c_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION %s()', live, prefix);
    EXECUTE format('CREATE OR REPLACE TRIGGER c_update AFTER UPDATE ON %s
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION %s()', live, prefix);
    EXECUTE format('CREATE OR REPLACE TRIGGER c_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION %s()', live, prefix);
    EXECUTE format('CREATE OR REPLACE TRIGGER d_truncate BEFORE TRUNCATE ON %s
        FOR EACH STATEMENT EXECUTE FUNCTION geocloud.refuse_truncate()', live);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER a_begin, ENABLE ALWAYS TRIGGER b_row,
        ENABLE ALWAYS TRIGGER c_insert, ENABLE ALWAYS TRIGGER c_update, ENABLE ALWAYS TRIGGER c_delete,
        ENABLE ALWAYS TRIGGER d_truncate', live);
END $$;

REVOKE ALL ON FUNCTION geocloud.attach_time(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION geocloud.note_change(text, text, bigint, bigint, box, box, timestamptz, boolean) FROM PUBLIC;
