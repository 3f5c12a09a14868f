-- SPDX-License-Identifier: Apache-2.0
-- Readings of devices (传感器读数): who measures what, each reading with the time it is about and the time it came.
--
-- A reading is one of datastream, time, value and the time its source issued it. The same four again are ignored;
-- another value of the same time is a correction and stands beside the earlier one: what counts is the one issued last,
-- of those the one received last.

CREATE SCHEMA sensing;
COMMENT ON SCHEMA sensing IS 'Readings of devices (感知数据)';
GRANT USAGE ON SCHEMA sensing TO geocloud_reader, geocloud_writer;

CREATE TABLE sensing.datastream (
    id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    layer      text NOT NULL REFERENCES geocloud.layer (id),
    device     text NOT NULL CHECK (device <> '' AND length(device) <= 200),
    fid        bigint,
    property   text NOT NULL CHECK (property ~ '^[A-Za-z][A-Za-z0-9_.-]{0,47}$'),
    unit       text NOT NULL CHECK (length(unit) BETWEEN 1 AND 40),
    datum      text,
    minimum    float8,
    maximum    float8,
    cap        float8,
    zero_ok    boolean NOT NULL DEFAULT true,
    interval_s int CHECK (interval_s > 0),
    thresholds jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(thresholds) = 'array'),
    source     text,
    synthetic  boolean NOT NULL DEFAULT false,
    made_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (layer, device, property),
    CHECK (minimum < maximum),
    CHECK (fid IS NULL OR device = fid::text)
);
CREATE INDEX datastream_by_fid ON sensing.datastream (layer, fid) WHERE fid IS NOT NULL;
CREATE INDEX datastream_by_property ON sensing.datastream (property, id);
COMMENT ON TABLE sensing.datastream IS 'What a device measures: one row a device and property (数据流)';
COMMENT ON COLUMN sensing.datastream.device IS 'Key of a feature of the layer; its fid as text where fid is given';
COMMENT ON COLUMN sensing.datastream.unit IS 'UCUM symbol that values are kept in';
COMMENT ON COLUMN sensing.datastream.datum IS 'Vertical datum of levels, such as the station''s own (基面)';
COMMENT ON COLUMN sensing.datastream.cap IS 'Highest value the scale can show; a value that reaches it is flagged';
COMMENT ON COLUMN sensing.datastream.zero_ok IS 'False: zero is no value of this quantity, as when a device drops out';
COMMENT ON COLUMN sensing.datastream.thresholds IS 'Maker''s or authority''s thresholds: [{name, value, date, source}]';

-- Goes up with every statement that changes datastreams, so that writers know what they hold is old.
CREATE TABLE sensing.state (
    single   boolean PRIMARY KEY DEFAULT true CHECK (single),
    revision bigint NOT NULL DEFAULT 0
);
INSERT INTO sensing.state DEFAULT VALUES;
CREATE FUNCTION sensing.note_datastreams() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
BEGIN
    UPDATE sensing.state SET revision = revision + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER note_datastreams AFTER INSERT OR UPDATE OR DELETE ON sensing.datastream
    FOR EACH STATEMENT EXECUTE FUNCTION sensing.note_datastreams();

CREATE TABLE sensing.observation (
    datastream int NOT NULL,
    flags      smallint NOT NULL DEFAULT 0,
    at         timestamptz NOT NULL CHECK (isfinite(at)),
    value      float8 NOT NULL CHECK (value > -1e100 AND value < 1e100),
    issued     timestamptz NOT NULL DEFAULT '-infinity',
    received   timestamptz NOT NULL,
    PRIMARY KEY (datastream, at, issued, value)
) PARTITION BY RANGE (at);
COMMENT ON TABLE sensing.observation IS 'Readings, one partition a month that begins at midnight in Beijing (读数)';
COMMENT ON COLUMN sensing.observation.at IS 'The time the reading is about (phenomenon time, 观测时间)';
COMMENT ON COLUMN sensing.observation.issued IS
    'When its source gave it out (result time); -infinity where it did not say';
COMMENT ON COLUMN sensing.observation.received IS 'When it came here; later ones of the same batch by a microsecond each';
COMMENT ON COLUMN sensing.observation.flags IS
    '1 below the plausible range, 2 above it, 4 a doubtful zero, 8 at the scale''s end, 16 unit converted';

CREATE TABLE sensing.latest (
    datastream int PRIMARY KEY REFERENCES sensing.datastream,
    flags      smallint NOT NULL,
    at         timestamptz NOT NULL,
    value      float8 NOT NULL,
    issued     timestamptz NOT NULL,
    received   timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE sensing.latest IS 'The newest reading of each datastream; moves forward in time only (最新值)';

CREATE TABLE sensing.quarantine (
    digest   bytea PRIMARY KEY CHECK (length(digest) = 16),
    reason   text NOT NULL,
    reading  text NOT NULL CHECK (length(reading) <= 1000),
    way      text NOT NULL,
    by       text,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at  timestamptz NOT NULL DEFAULT now(),
    times    bigint NOT NULL DEFAULT 1
);
CREATE INDEX quarantine_by_time ON sensing.quarantine (last_at);
COMMENT ON TABLE sensing.quarantine IS 'Readings that cannot be kept as such, each once, with the reason (隔离)';
COMMENT ON COLUMN sensing.quarantine.by IS 'Name of the key it came with';

-- An instant as RFC 3339 in Beijing time, UTC+8, with microseconds only where there are any. Stable and not strict, so
-- that it becomes part of the query that calls it, which is five times as fast.
CREATE FUNCTION sensing.beijing(at timestamptz) RETURNS text STABLE PARALLEL SAFE LANGUAGE sql AS
$$ SELECT to_char(at AT TIME ZONE 'UTC' + interval '8 hours',
     CASE WHEN at = date_trunc('second', at) THEN 'YYYY-MM-DD"T"HH24:MI:SS"+08:00"'
          ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"+08:00"' END) $$;

-- First instant of the month in Beijing (UTC+8) that an instant lies in.
CREATE FUNCTION sensing.month_start(at timestamptz) RETURNS timestamptz IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS
$$ SELECT (date_trunc('month', at AT TIME ZONE 'UTC' + interval '8 hours') - interval '8 hours') AT TIME ZONE 'UTC' $$;

-- Makes the partitions of the months that the instants lie in and that are missing; how many were made.
-- Only months from 1900 to two ahead, and no more than 1,200 in one call.
CREATE FUNCTION sensing.ensure_months(moments timestamptz[]) RETURNS int VOLATILE LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
DECLARE
    start timestamptz;
    stop timestamptz;
    name text;
    made int := 0;
BEGIN
    FOR start IN
        SELECT DISTINCT sensing.month_start(m) FROM unnest(moments) m ORDER BY 1 LIMIT 1200
    LOOP
        IF start < '1899-12-31T16:00:00Z' OR start > now() + interval '2 months' THEN
            RAISE EXCEPTION 'no partition is made for %', start USING ERRCODE = 'datetime_field_overflow';
        END IF;
        name := 'observation_' || to_char(start AT TIME ZONE 'UTC' + interval '8 hours', 'YYYY_MM');
        CONTINUE WHEN EXISTS (SELECT FROM pg_class WHERE relnamespace = 'sensing'::regnamespace AND relname = name);
        PERFORM pg_advisory_xact_lock(hashtext('geocloud sensing months'));
        -- Asked of the table: what names stand for is remembered past a lock of this kind.
        CONTINUE WHEN EXISTS (SELECT FROM pg_class WHERE relnamespace = 'sensing'::regnamespace AND relname = name);
        stop := sensing.month_start(start + interval '40 days');
        -- Attached, not made as a partition: reading and writing of the others goes on meanwhile.
        EXECUTE format('CREATE TABLE sensing.%I (LIKE sensing.observation INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
        EXECUTE format('ALTER TABLE sensing.observation ATTACH PARTITION sensing.%I FOR VALUES FROM (%L) TO (%L)',
                       name, start, stop);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Drops whole months that ended at or before an instant; the names of what was dropped. For the owner alone.
CREATE FUNCTION sensing.drop_months(before timestamptz) RETURNS SETOF text VOLATILE LANGUAGE plpgsql
SET search_path = pg_catalog AS $$
DECLARE
    name text;
    last text := 'observation_' || to_char(sensing.month_start(before) AT TIME ZONE 'UTC' + interval '8 hours', 'YYYY_MM');
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'sensing.observation'::regclass AND c.relname::text COLLATE "C" < last COLLATE "C"
         ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE sensing.%I', name);
        RETURN NEXT name;
    END LOOP;
END $$;

REVOKE ALL ON FUNCTION sensing.ensure_months(timestamptz[]), sensing.drop_months(timestamptz),
    sensing.note_datastreams() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sensing.ensure_months(timestamptz[]) TO geocloud_writer;
GRANT SELECT ON sensing.datastream, sensing.state, sensing.observation, sensing.latest TO geocloud_reader;
GRANT SELECT, INSERT ON sensing.datastream, sensing.observation, sensing.latest, sensing.quarantine TO geocloud_writer;
GRANT SELECT ON sensing.state TO geocloud_writer;
GRANT UPDATE (flags, at, value, issued, received) ON sensing.latest TO geocloud_writer;
GRANT UPDATE (last_at, times) ON sensing.quarantine TO geocloud_writer;
GRANT UPDATE (unit, datum, minimum, maximum, cap, zero_ok, interval_s, thresholds, source, synthetic)
    ON sensing.datastream TO geocloud_writer;
