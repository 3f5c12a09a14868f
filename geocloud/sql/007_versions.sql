-- SPDX-License-Identifier: Apache-2.0
-- The two times, read and corrected at every depth (双时态历史): indexes of the past, corrections of parts of a feature's
-- life, and the way back to an earlier state.
--
-- What is believed of one feature is its timeline: rows whose valid times do not overlap, the last of them in the
-- layer's table while it lasts, all others in history with sys_to = infinity. Every write leaves it without overlap,
-- whoever writes: a row that is made to begin earlier takes that time from the rows before it.

ALTER TABLE geocloud.change_log DROP CONSTRAINT change_log_op_check;
ALTER TABLE geocloud.change_log
    ADD CONSTRAINT change_log_op_check CHECK (op IN ('insert', 'update', 'delete', 'correct')),
    ADD COLUMN by_name text;
COMMENT ON COLUMN geocloud.change_log.op IS
    'insert, update, delete of a current row; correct: what is believed of a time before it has changed';
COMMENT ON COLUMN geocloud.change_log.by_name IS 'Who the writing program said it writes for: geocloud.by';
CREATE INDEX ON geocloud.change_log (layer, fid, id) WHERE fid IS NOT NULL;

ALTER TABLE geocloud.layer_state ADD COLUMN dated boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN geocloud.layer_state.dated IS 'Whether what the layer shows depends on the date: a row began, changed or ended';

-- Who the running write is for, as the writing program says: geocloud.by.
CREATE FUNCTION geocloud.written_by() RETURNS text STABLE LANGUAGE sql AS
$$ SELECT nullif(pg_catalog.current_setting('geocloud.by', true), '') $$;

-- A name of at most 63 bytes, of which no two are alike for different long names.
CREATE FUNCTION geocloud.short_name(name text) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT CASE WHEN octet_length(name) <= 63 THEN name ELSE left(name, 54) || ' ' || left(md5(name), 8) END $$;

-- Metres of a degree of longitude and of latitude at a latitude on the CGCS2000 ellipsoid (GB 22021).
CREATE FUNCTION geocloud.degree_east(lat float8) RETURNS float8 IMMUTABLE PARALLEL SAFE LANGUAGE sql AS
$$ SELECT radians(6378137) * cosd(lat) / sqrt(1 - 0.0066943800229008 * sind(lat) ^ 2) $$;
CREATE FUNCTION geocloud.degree_north(lat float8) RETURNS float8 IMMUTABLE PARALLEL SAFE LANGUAGE sql AS
$$ SELECT radians(6378137) * 0.9933056199770992 / (1 - 0.0066943800229008 * sind(lat) ^ 2) ^ 1.5 $$;

-- Takes what a statement changed into the layer's state and, for bulk statements, the change log.
CREATE OR REPLACE FUNCTION geocloud.note_change(
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
           next_boundary = least(s.next_boundary, boundary), dated = s.dated OR op <> 'insert'
     WHERE s.layer = layer_id
    RETURNING * INTO STRICT state;
    IF rows > geocloud.change_log_rows() THEN
        INSERT INTO geocloud.change_log (layer, version, op, row_count, bbox_before, bbox_after, at, by_role, by_name)
        VALUES (layer_id, state.version, op, rows, before, after, state.stamp, session_user, geocloud.written_by());
    END IF;
    RETURN state.version;
END $$;

-- Makes the history table of a layer or adds columns it lacks, and (re)writes its indexes, triggers and functions:
-- history."theme.layer:"() keeps the two times, ":portion" corrects a part of a timeline, ":restore" goes back.
CREATE OR REPLACE FUNCTION geocloud.attach_time(layer_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    live text := format('%I.%I', split_part(layer_id, '.', 1), split_part(layer_id, '.', 2));
    past text := format('history.%I', layer_id);
    trigger_name text := 'history.' || quote_ident(geocloud.short_name(layer_id || ':'));
    portion_name text := 'history.' || quote_ident(geocloud.short_name(layer_id || ':portion'));
    restore_name text := 'history.' || quote_ident(geocloud.short_name(layer_id || ':restore'));
    cols text;
    cols_closed text;
    cols_old text;
    cols_past text;
    cols_said text;
    cols_set text;
    has_geom boolean;
    extent_new text := 'NULL::box';
    extent_old text := 'NULL::box';
    box_new text := 'NULL::box';
    box_old text := 'NULL::box';
    box_s text := 'NULL::box';
    wanted record;
    made text;
BEGIN
    EXECUTE format('CREATE TABLE IF NOT EXISTS %s (LIKE %s, sys_to timestamptz NOT NULL)', past, live);
    FOR wanted IN
        SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type FROM pg_attribute a
         WHERE a.attrelid = live::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
           AND NOT EXISTS (SELECT FROM pg_attribute h WHERE h.attrelid = past::regclass
                            AND h.attname = a.attname AND NOT h.attisdropped)
    LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', past, wanted.attname, wanted.type);
    END LOOP;

    SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum),
           string_agg(CASE attname WHEN 'valid_to' THEN 'closed_at' WHEN 'sys_from' THEN 'stamp'
                      ELSE format('o.%I', attname) END, ', ' ORDER BY attnum),
           string_agg(format('o.%I', attname), ', ' ORDER BY attnum),
           -- What a row says, its times and number apart.
           string_agg(format('r.%I', attname), ', ' ORDER BY attnum)
               FILTER (WHERE attname NOT IN ('fid', 'valid_from', 'valid_to', 'sys_from')),
           string_agg(format('%1$I = s.%1$I', attname), ', ' ORDER BY attnum)
               FILTER (WHERE attname NOT IN ('fid', 'valid_from', 'valid_to', 'sys_from')),
           bool_or(attname = 'geom')
      INTO cols, cols_closed, cols_old, cols_said, cols_set, has_geom
      FROM pg_attribute WHERE attrelid = live::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
    SELECT string_agg(CASE WHEN attname = 'sys_to' THEN '''infinity''::timestamptz'
                           WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = live::regclass
                                         AND a.attname = h.attname AND NOT a.attisdropped) THEN format('t.%I', attname)
                           ELSE format('NULL::%s', format_type(atttypid, atttypmod)) END, ', ' ORDER BY attnum)
      INTO cols_past FROM pg_attribute h WHERE attrelid = past::regclass AND attnum > 0 AND NOT attisdropped;
    IF has_geom THEN
        extent_new := 'geocloud.box_of(public.ST_Extent(n.geom)::public.box2d)';
        extent_old := 'geocloud.box_of(public.ST_Extent(o.geom)::public.box2d)';
        box_new := 'geocloud.box_of(n.geom)';
        box_old := 'geocloud.box_of(o.geom)';
        box_s := 'geocloud.box_of(public.ST_Extent(x.geom)::public.box2d)';
    END IF;

    -- Reads of a date go by valid time among what is believed, reads of a belief by transaction time among what no
    -- longer is; both with the place in the same index, so that other years' rows of a place cost no visit.
    FOR wanted IN
        SELECT v.* FROM (VALUES
            ('believed', '(fid, valid_from, valid_to) WHERE sys_to = ''infinity''', true),
            ('begun', '(valid_from) WHERE sys_to = ''infinity''', true),
            ('closed', '(valid_to) WHERE sys_to = ''infinity''', true),
            ('learnt', '(sys_from) WHERE sys_to = ''infinity''', true),
            ('ended', '(fid, sys_from, sys_to) WHERE sys_to < ''infinity''', true),
            ('given up', '(sys_to) WHERE sys_to < ''infinity''', true),
            ('believed geom', 'USING gist (geom, tstzrange(valid_from, valid_to)) WHERE sys_to = ''infinity''', has_geom),
            ('ended geom', 'USING gist (geom, tstzrange(sys_from, sys_to)) WHERE sys_to < ''infinity''', has_geom)
        ) v (name, body, there) WHERE v.there
    LOOP
        made := wanted.body;
        EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %s %s', geocloud.short_name(layer_id || ' ' || wanted.name),
            past, CASE WHEN made LIKE 'USING%' THEN made ELSE 'USING btree ' || made END);
    END LOOP;
    -- A longer name was cut to that of the table itself, and no index was made.
    IF octet_length(layer_id || ' fid') <= 63 THEN
        EXECUTE format('DROP INDEX IF EXISTS history.%I', layer_id || ' fid');
    END IF;
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %s (valid_from) WHERE valid_from > ''-infinity''',
        geocloud.short_name(split_part(layer_id, '.', 2) || ' begun'), live);
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %s (valid_to) WHERE valid_to < ''infinity''',
        geocloud.short_name(split_part(layer_id, '.', 2) || ' closed'), live);
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %s (sys_from)',
        geocloud.short_name(split_part(layer_id, '.', 2) || ' learnt'), live);

    EXECUTE format($f$
CREATE OR REPLACE FUNCTION %1$s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public AS $body$
#variable_conflict use_variable
DECLARE
    stamp timestamptz;
    seen record;
    version bigint;
BEGIN
    SELECT s.stamp INTO STRICT stamp FROM geocloud.layer_state s WHERE s.layer = %2$L;
    IF TG_OP = 'INSERT' THEN
        SELECT count(*) AS n, %4$s AS after, coalesce(bool_and(n.sys_from = stamp), true) AS right,
               least(min(n.valid_from) FILTER (WHERE n.valid_from > stamp), min(n.valid_to)) AS boundary,
               min(n.fid) AS first, coalesce(bool_or(isfinite(n.valid_from) OR isfinite(n.valid_to)), false) AS dated
          INTO seen FROM new_rows n;
        IF seen.n = 0 THEN RETURN NULL; END IF;
        -- Numbers come from a sequence; only one given by hand can have a life already.
        IF seen.first <= (SELECT max(h.fid) FROM %3$s h WHERE h.sys_to = 'infinity') AND EXISTS (
            SELECT FROM new_rows n JOIN %3$s h USING (fid)
             WHERE h.sys_to = 'infinity' AND h.valid_to > n.valid_from AND h.valid_from < n.valid_to) THEN
            RAISE EXCEPTION 'a feature of %% with that fid is already known for that time', %2$L
                USING ERRCODE = 'exclusion_violation';
        END IF;
        version := geocloud.note_change(%2$L, 'insert', seen.n, seen.n, NULL, seen.after, seen.boundary, seen.right);
        IF seen.dated THEN
            UPDATE geocloud.layer_state l SET dated = true WHERE l.layer = %2$L AND NOT l.dated;
        END IF;
        IF seen.n <= geocloud.change_log_rows() THEN
            INSERT INTO geocloud.change_log (layer, version, fid, op, bbox_after, at, by_role, by_name)
            SELECT %2$L, version, n.fid, 'insert', %6$s, stamp, session_user, geocloud.written_by()
              FROM new_rows n ORDER BY n.fid;
        END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        SELECT count(*) AS n, %4$s AS after, %5$s AS before, coalesce(bool_and(n.sys_from = stamp), true) AS right,
               least(min(n.valid_from) FILTER (WHERE n.valid_from > stamp), min(n.valid_to)) AS boundary,
               coalesce(bool_or(n.valid_from < o.valid_from), false) AS earlier
          INTO seen FROM new_rows n JOIN old_rows o USING (fid);
        IF seen.n = 0 THEN RETURN NULL; END IF;
        version := geocloud.note_change(%2$L, 'update', seen.n, 0, seen.before, seen.after, seen.boundary, seen.right);
        INSERT INTO %3$s (%8$s, sys_to) SELECT %10$s, stamp FROM old_rows o WHERE o.sys_from < stamp;
        IF seen.earlier THEN
            -- What was believed of the time that the row now takes: shortened, or given up.
            INSERT INTO %3$s (%8$s, sys_to)
            SELECT %9$s, 'infinity' FROM %3$s o JOIN new_rows n USING (fid), LATERAL (SELECT n.valid_from AS closed_at) c
             WHERE o.sys_to = 'infinity' AND o.valid_to > n.valid_from AND o.valid_from < n.valid_from
               AND o.sys_from < stamp;
            UPDATE %3$s h SET valid_to = n.valid_from FROM new_rows n
             WHERE h.fid = n.fid AND h.sys_to = 'infinity' AND h.sys_from = stamp AND h.valid_to > n.valid_from
               AND h.valid_from < n.valid_from;
            UPDATE %3$s h SET sys_to = stamp FROM new_rows n
             WHERE h.fid = n.fid AND h.sys_to = 'infinity' AND h.sys_from < stamp AND h.valid_to > n.valid_from;
            DELETE FROM %3$s h USING new_rows n
             WHERE h.fid = n.fid AND h.sys_to = 'infinity' AND h.sys_from = stamp AND h.valid_from >= n.valid_from;
        END IF;
        INSERT INTO %3$s (%8$s, sys_to)
        SELECT %9$s, 'infinity' FROM old_rows o JOIN new_rows n USING (fid),
               LATERAL (SELECT least(n.valid_from, o.valid_to) AS closed_at) c
         WHERE o.sys_from < stamp AND o.valid_from < closed_at AND NOT geocloud.is_correction();
        IF seen.n <= geocloud.change_log_rows() THEN
            INSERT INTO geocloud.change_log (layer, version, fid, op, bbox_before, bbox_after, at, by_role, by_name)
            SELECT %2$L, version, n.fid, 'update', %7$s, %6$s, stamp, session_user, geocloud.written_by()
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
            INSERT INTO geocloud.change_log (layer, version, fid, op, bbox_before, at, by_role, by_name)
            SELECT %2$L, version, o.fid, 'delete', %7$s, stamp, session_user, geocloud.written_by()
              FROM old_rows o ORDER BY o.fid;
        END IF;
    END IF;
    RETURN NULL;
END $body$
$f$, trigger_name, layer_id, past, extent_new, extent_old, box_new, box_old, cols, cols_closed, cols_old);
    EXECUTE format('REVOKE ALL ON FUNCTION %s() FROM PUBLIC', trigger_name);

    -- A part of one feature's timeline written anew: from `since` until `until` it was not there (no patch, no like_at),
    -- or as it was at like_at, or as each of its rows says, in both cases with the columns of `patch` (geometry as hex
    -- WKB) changed. `meant` are sys_from and valid_from of a row that must still be believed. The stamp, null when
    -- nothing changes.
    EXECUTE format($f$
CREATE OR REPLACE FUNCTION %1$s(the_fid bigint, since timestamptz, until timestamptz, patch jsonb, like_at timestamptz,
    meant timestamptz[] DEFAULT NULL) RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public AS $body$
#variable_conflict use_variable
DECLARE
    stamp timestamptz;
    before %3$s[];
    after %3$s[] := '{}';
    kept %3$s[] := '{}';
    s %3$s;
    p %3$s;
    old_live %4$s;
    had_live boolean;
    lasts boolean;
    seen record;
    version bigint;
    mode text := current_setting('geocloud.change', true);
BEGIN
    IF since IS NULL OR until IS NULL OR since >= until THEN
        RAISE EXCEPTION 'the end %% is not after the start %%', until, since USING ERRCODE = 'check_violation';
    END IF;
    IF patch - ARRAY[%10$s] <> '{}' THEN
        RAISE EXCEPTION 'a patch may change fields and geometry only' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM %4$s WHERE false;
    SELECT l.stamp INTO STRICT stamp FROM geocloud.layer_state l WHERE l.layer = %2$L;
    SELECT * INTO old_live FROM %4$s t WHERE t.fid = the_fid;
    had_live := FOUND;
    SELECT coalesce(array_agg(b.h ORDER BY (b.h).valid_from), '{}') INTO before FROM (
        SELECT ROW(%6$s)::%3$s AS h FROM %4$s t WHERE t.fid = the_fid
        UNION ALL SELECT h FROM %3$s h WHERE h.fid = the_fid AND h.sys_to = 'infinity') b;
    IF cardinality(before) = 0 OR (meant IS NOT NULL AND NOT EXISTS (
        SELECT FROM unnest(before) b WHERE b.sys_from = meant[1] AND b.valid_from = meant[2])) THEN
        RAISE EXCEPTION 'the row is not there in the version expected' USING ERRCODE = 'no_data_found';
    END IF;

    FOREACH s IN ARRAY before LOOP
        IF s.valid_from < since THEN
            p := s; p.valid_to := least(s.valid_to, since); after := after || p;
        END IF;
        IF patch IS NOT NULL AND like_at IS NULL AND s.valid_from < until AND s.valid_to > since THEN
            p := jsonb_populate_record(s, patch);
            p.valid_from := greatest(s.valid_from, since); p.valid_to := least(s.valid_to, until); after := after || p;
        END IF;
        IF s.valid_to > until THEN
            p := s; p.valid_from := greatest(s.valid_from, until); after := after || p;
        END IF;
    END LOOP;
    IF like_at IS NOT NULL THEN
        SELECT b.* INTO s FROM unnest(before) b WHERE b.valid_from <= like_at AND b.valid_to > like_at;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'nothing is known of fid %% at %%', the_fid, like_at USING ERRCODE = 'no_data_found';
        END IF;
        p := jsonb_populate_record(s, coalesce(patch, '{}')); p.valid_from := since; p.valid_to := until;
        after := after || p;
    END IF;
    -- Neighbours that say the same are one row again.
    SELECT coalesce(array_agg(a ORDER BY a.valid_from), '{}') INTO after FROM unnest(after) a;
    FOREACH s IN ARRAY after LOOP
        p := kept[cardinality(kept)];
        IF cardinality(kept) > 0 AND p.valid_to = s.valid_from THEN
            p.valid_from := s.valid_from; p.valid_to := s.valid_to; p.sys_from := s.sys_from;
            IF p IS NOT DISTINCT FROM s THEN
                p := kept[cardinality(kept)]; p.valid_to := s.valid_to;
                kept[cardinality(kept)] := p;
                CONTINUE;
            END IF;
        END IF;
        kept := kept || s;
    END LOOP;
    -- Rows that stay as they are keep the time they have been believed from.
    SELECT coalesce(array_agg(a ORDER BY a.valid_from), '{}') INTO after FROM (
        SELECT (jsonb_populate_record(k, CASE WHEN b.fid IS NULL THEN jsonb_build_object('sys_from', stamp)
                                              ELSE jsonb_build_object('sys_from', b.sys_from) END)).*
          FROM unnest(kept) k LEFT JOIN unnest(before) b
            ON b.valid_from = k.valid_from AND b.valid_to = k.valid_to AND ROW(%7$s) IS NOT DISTINCT FROM ROW(%8$s)) a;
    IF after IS NOT DISTINCT FROM before THEN RETURN NULL; END IF;

    -- The last row is in the table while it lasts, or where it was there before and its end was not what was written.
    s := after[cardinality(after)];
    lasts := cardinality(after) > 0 AND (s.valid_to > stamp
        OR (had_live AND NOT (patch IS NULL AND like_at IS NULL AND until >= old_live.valid_to)));
    -- What history no longer believes goes first, so that no write of the table meets it.
    UPDATE %3$s h SET sys_to = stamp WHERE h.fid = the_fid AND h.sys_to = 'infinity' AND h.sys_from < stamp
       AND NOT EXISTS (SELECT FROM unnest(after) a WHERE a.valid_from = h.valid_from AND a.sys_from = h.sys_from);
    DELETE FROM %3$s h WHERE h.fid = the_fid AND h.sys_to = 'infinity' AND h.sys_from = stamp;
    PERFORM set_config('geocloud.change', 'correction', true);
    IF had_live AND NOT lasts THEN
        DELETE FROM %4$s t WHERE t.fid = the_fid;
    ELSIF had_live THEN
        UPDATE %4$s t SET %9$s, valid_from = s.valid_from, valid_to = s.valid_to WHERE t.fid = the_fid;
    ELSIF lasts THEN
        s.sys_from := stamp;
        INSERT INTO %4$s (%5$s) SELECT %11$s FROM (SELECT s.*) o;
    END IF;
    PERFORM set_config('geocloud.change', coalesce(mode, ''), true);
    INSERT INTO %3$s (%5$s, sys_to) SELECT %11$s, 'infinity' FROM unnest(after) o
     WHERE o.sys_from = stamp AND (NOT lasts OR o.valid_from < s.valid_from);

    SELECT %12$s AS b INTO seen FROM (
        SELECT o.* FROM unnest(before) o WHERE NOT EXISTS (SELECT FROM unnest(after) a WHERE a = o)
        UNION ALL SELECT a.* FROM unnest(after) a WHERE NOT EXISTS (SELECT FROM unnest(before) o WHERE a = o)) x;
    version := geocloud.note_change(%2$L, 'update', 1, 0, seen.b, seen.b, (
        SELECT min(t) FROM unnest(after) a, LATERAL (VALUES (a.valid_from), (a.valid_to)) v (t) WHERE t > stamp), true);
    INSERT INTO geocloud.change_log (layer, version, fid, op, bbox_before, bbox_after, at, by_role, by_name)
    VALUES (%2$L, version, the_fid, 'correct', seen.b, seen.b, stamp, session_user, geocloud.written_by());
    RETURN stamp;
END $body$
$f$, portion_name, layer_id, past, live, cols, cols_past, replace(cols_said, 'r.', 'k.'), replace(cols_said, 'r.', 'b.'),
     cols_set, (SELECT string_agg(quote_literal(attname), ', ') FROM pg_attribute WHERE attrelid = live::regclass
        AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
        AND attname NOT IN ('fid', 'valid_from', 'valid_to', 'sys_from')), cols_old, box_s);
    EXECUTE format('REVOKE ALL ON FUNCTION %s(bigint, timestamptz, timestamptz, jsonb, timestamptz, timestamptz[])
        FROM PUBLIC', portion_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s(bigint, timestamptz, timestamptz, jsonb, timestamptz, timestamptz[])
        TO geocloud_writer', portion_name);

    -- Features as they were believed at a moment to be then, from now on (or geocloud.valid_at) again: what has come
    -- since is ended, what has gone is there once more under its old number. `fids` null: the whole layer.
    EXECUTE format($f$
CREATE OR REPLACE FUNCTION %1$s(fids bigint[], moment timestamptz, OUT ended bigint, OUT changed bigint,
    OUT returned bigint) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $body$
#variable_conflict use_variable
DECLARE
    stamp timestamptz;
BEGIN
    DELETE FROM %3$s WHERE false;
    SELECT l.stamp INTO STRICT stamp FROM geocloud.layer_state l WHERE l.layer = %5$L;
    CREATE TEMP TABLE geocloud_restored ON COMMIT DROP AS
        SELECT %4$s FROM %3$s o WHERE o.sys_from <= moment AND o.valid_from <= moment AND o.valid_to > moment
           AND (fids IS NULL OR o.fid = ANY (fids))
        UNION ALL
        SELECT %4$s FROM %2$s o WHERE o.sys_from <= moment AND o.sys_to > moment
           AND o.valid_from <= moment AND o.valid_to > moment AND (fids IS NULL OR o.fid = ANY (fids));
    DELETE FROM pg_temp.geocloud_restored r WHERE r.valid_to <= geocloud.valid_at(stamp);
    DELETE FROM %3$s t WHERE (fids IS NULL OR t.fid = ANY (fids))
       AND NOT EXISTS (SELECT FROM pg_temp.geocloud_restored r WHERE r.fid = t.fid);
    GET DIAGNOSTICS ended = ROW_COUNT;
    UPDATE %3$s t SET %6$s, valid_to = s.valid_to FROM pg_temp.geocloud_restored s
     WHERE t.fid = s.fid AND ROW(%7$s, t.valid_to) IS DISTINCT FROM ROW(%8$s, s.valid_to);
    GET DIAGNOSTICS changed = ROW_COUNT;
    INSERT INTO %3$s (%9$s) SELECT %10$s FROM pg_temp.geocloud_restored o,
           LATERAL (SELECT greatest(geocloud.valid_at(stamp), o.valid_from) AS begins) b
     WHERE NOT EXISTS (SELECT FROM %3$s t WHERE t.fid = o.fid) ORDER BY o.fid;
    GET DIAGNOSTICS returned = ROW_COUNT;
    DROP TABLE pg_temp.geocloud_restored;
END $body$
$f$, restore_name, past, live, cols_old, layer_id, cols_set, replace(cols_said, 'r.', 't.'),
     replace(cols_said, 'r.', 's.'),
     (SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = live::regclass
        AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attname <> 'sys_from'),
     (SELECT string_agg(CASE attname WHEN 'valid_from' THEN 'b.begins' ELSE format('o.%I', attname) END, ', '
        ORDER BY attnum) FROM pg_attribute WHERE attrelid = live::regclass
        AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attname <> 'sys_from'));
    EXECUTE format('REVOKE ALL ON FUNCTION %s(bigint[], timestamptz) FROM PUBLIC', restore_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s(bigint[], timestamptz) TO geocloud_writer', restore_name);

    EXECUTE format('CREATE OR REPLACE TRIGGER a_begin BEFORE INSERT OR UPDATE OR DELETE ON %s
        FOR EACH STATEMENT EXECUTE FUNCTION geocloud.begin_write(%L)', live, layer_id);
    EXECUTE format('CREATE OR REPLACE TRIGGER b_row BEFORE UPDATE ON %s
        FOR EACH ROW EXECUTE FUNCTION geocloud.keep_row()', live);
    EXECUTE format('CREATE OR REPLACE TRIGGER c_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION %s()', live, trigger_name);
    EXECUTE format('CREATE OR REPLACE TRIGGER c_update AFTER UPDATE ON %s
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION %s()', live, trigger_name);
    EXECUTE format('CREATE OR REPLACE TRIGGER c_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION %s()', live, trigger_name);
    EXECUTE format('CREATE OR REPLACE TRIGGER d_truncate BEFORE TRUNCATE ON %s
        FOR EACH STATEMENT EXECUTE FUNCTION geocloud.refuse_truncate()', live);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER a_begin, ENABLE ALWAYS TRIGGER b_row,
        ENABLE ALWAYS TRIGGER c_insert, ENABLE ALWAYS TRIGGER c_update, ENABLE ALWAYS TRIGGER c_delete,
        ENABLE ALWAYS TRIGGER d_truncate', live);
END $$;

-- How a stored geometry differs from what it was: null for the same points in space, whatever the order or number of its
-- vertices; moved for the same shape elsewhere; else reshaped. A shift explains a difference when what is left after it
-- is at most `tolerance` metres and at most half of the shift; it is told by the middles of the boxes, in metres around
-- each. A point has no shape: it is moved.
CREATE FUNCTION geocloud.shape_change(was public.geometry, has public.geometry, tolerance float8) RETURNS text
IMMUTABLE PARALLEL SAFE LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    x0 float8; y0 float8; x1 float8; y1 float8; kx0 float8; ky0 float8; kx1 float8; ky1 float8;
    shift float8;
    a geometry;
    b geometry;
BEGIN
    IF was IS NULL AND has IS NULL OR was = has THEN RETURN NULL; END IF;
    IF was IS NULL OR has IS NULL OR ST_IsEmpty(was) OR ST_IsEmpty(has) OR ST_Dimension(was) <> ST_Dimension(has) THEN
        RETURN 'reshaped';
    END IF;
    IF GeometryType(was) = 'POINT' AND GeometryType(has) = 'POINT' THEN RETURN 'moved'; END IF;
    IF was ~= has THEN
        IF 'GEOMETRYCOLLECTION' IN (GeometryType(was), GeometryType(has)) OR NOT (ST_IsValid(was) AND ST_IsValid(has)) THEN
            IF ST_Normalize(ST_RemoveRepeatedPoints(was)) = ST_Normalize(ST_RemoveRepeatedPoints(has)) THEN
                RETURN NULL;
            END IF;
        ELSIF ST_Equals(was, has) THEN
            RETURN NULL;
        END IF;
    END IF;
    x0 := (ST_XMin(was) + ST_XMax(was)) / 2; y0 := (ST_YMin(was) + ST_YMax(was)) / 2;
    x1 := (ST_XMin(has) + ST_XMax(has)) / 2; y1 := (ST_YMin(has) + ST_YMax(has)) / 2;
    -- Metres of a degree on the CGCS2000 ellipsoid at each middle.
    kx0 := geocloud.degree_east(y0); ky0 := geocloud.degree_north(y0);
    kx1 := geocloud.degree_east(y1); ky1 := geocloud.degree_north(y1);
    shift := sqrt(((x1 - x0) * kx0) ^ 2 + ((y1 - y0) * ky0) ^ 2);
    tolerance := least(tolerance, shift / 2);
    IF abs((ST_XMax(was) - ST_XMin(was)) * kx0 - (ST_XMax(has) - ST_XMin(has)) * kx1) > 2 * tolerance
       OR abs((ST_YMax(was) - ST_YMin(was)) * ky0 - (ST_YMax(has) - ST_YMin(has)) * ky1) > 2 * tolerance THEN
        RETURN 'reshaped';
    END IF;
    a := ST_Scale(ST_Translate(was, -x0, -y0), kx0, ky0);
    b := ST_Scale(ST_Translate(has, -x1, -y1), kx1, ky1);
    RETURN CASE WHEN ST_HausdorffDistance(a, b) <= tolerance THEN 'moved' ELSE 'reshaped' END;
END $$;

-- Layers that are there get the new triggers, indexes and functions; attach_tiles names b_row's columns again.
SELECT geocloud.attach_time(id), geocloud.attach_tiles(id) FROM geocloud.layer
 WHERE to_regclass(format('%I.%I', split_part(id, '.', 1), split_part(id, '.', 2))) IS NOT NULL ORDER BY id;
DO $$
DECLARE
    layer_id text;
    has_dates boolean;
BEGIN
    FOR layer_id IN SELECT id FROM geocloud.layer
        WHERE to_regclass(format('%I.%I', split_part(id, '.', 1), split_part(id, '.', 2))) IS NOT NULL LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM history.%I WHERE sys_to = ''infinity'')
            OR EXISTS (SELECT FROM %I.%I WHERE valid_from > ''-infinity'')
            OR EXISTS (SELECT FROM %2$I.%3$I WHERE valid_to < ''infinity'')',
            layer_id, split_part(layer_id, '.', 1), split_part(layer_id, '.', 2)) INTO has_dates;
        UPDATE geocloud.layer_state l SET dated = has_dates WHERE l.layer = layer_id;
    END LOOP;
END $$;
