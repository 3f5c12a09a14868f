-- SPDX-License-Identifier: Apache-2.0
-- What CQL2 filters compute with. None of these can fail: a result that does not exist is null, which in CQL2 means
-- unknown (OGC 21-065r2, 6.2), and so does one too large for a double; one too small is 0.

-- Text for comparison without regard to case (CASEI): upper before lower, so that ß meets SS; one sigma for both.
-- Letters become the same when Unicode's full case folding makes them so, and the dotless ı counts as i.
CREATE FUNCTION geocloud.casei(value text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT pg_catalog.replace(pg_catalog.lower(pg_catalog.upper(
        pg_catalog.replace(value, 'ẞ', 'ss') COLLATE "und-x-icu")), 'ς', 'σ')
$$;

-- Text without combining marks (U+0300 to U+036F), such as the tones of pinyin (ACCENTI).
CREATE FUNCTION geocloud.accenti(value text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS
$$ SELECT normalize(pg_catalog.regexp_replace(normalize(value, NFD), '[\u0300-\u036F]', '', 'g'), NFC) $$;

-- a + b
CREATE FUNCTION geocloud.add(a float8, b float8) RETURNS float8 IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS
$$ BEGIN RETURN CASE WHEN abs(a) < 8e307 AND abs(b) < 8e307 THEN a + b END; END $$;

-- a - b
CREATE FUNCTION geocloud.subtract(a float8, b float8) RETURNS float8 IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS
$$ BEGIN RETURN CASE WHEN abs(a) < 8e307 AND abs(b) < 8e307 THEN a - b END; END $$;

-- a * b
CREATE FUNCTION geocloud.multiply(a float8, b float8) RETURNS float8 IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
    size float8;
BEGIN
    IF a IN ('NaN', 'Infinity', '-Infinity') OR b IN ('NaN', 'Infinity', '-Infinity') THEN RETURN NULL; END IF;
    IF a = 0 OR b = 0 THEN RETURN 0; END IF;
    size := log(abs(a)) + log(abs(b));
    RETURN CASE WHEN size >= 308 THEN NULL WHEN size <= -307 THEN 0 ELSE a * b END;
END $$;

-- a / b; null when b is 0.
CREATE FUNCTION geocloud.divide(a float8, b float8) RETURNS float8 IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
    size float8;
BEGIN
    IF a IN ('NaN', 'Infinity', '-Infinity') OR b IN ('NaN', 'Infinity', '-Infinity', 0) THEN RETURN NULL; END IF;
    IF a = 0 THEN RETURN 0; END IF;
    size := log(abs(a)) - log(abs(b));
    RETURN CASE WHEN size >= 308 THEN NULL WHEN size <= -307 THEN 0 ELSE a / b END;
END $$;

-- a ^ b; null for 0 to a negative power and for a root of a negative number.
CREATE FUNCTION geocloud.power(a float8, b float8) RETURNS float8 IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
    size float8;
BEGIN
    IF a IN ('NaN', 'Infinity', '-Infinity') OR b IN ('NaN', 'Infinity', '-Infinity') THEN RETURN NULL; END IF;
    IF b = 0 OR a = 1 THEN RETURN 1; END IF;
    IF a = 0 THEN RETURN CASE WHEN b > 0 THEN 0 END; END IF;
    IF a < 0 AND b <> trunc(b) THEN RETURN NULL; END IF;
    IF abs(b) < 1e-30 THEN RETURN 1; END IF;
    IF a = -1 THEN RETURN pg_catalog.power(a, b); END IF;
    size := log(abs(a)) * CASE WHEN abs(b) > 1e30 THEN 1e30 * sign(b) ELSE b END;
    RETURN CASE WHEN size >= 308 THEN NULL WHEN size <= -307 THEN 0 ELSE pg_catalog.power(a, b) END;
END $$;

-- The whole part of a / b, towards zero, in decimal: 0.7 div 0.1 is 7; null when b is 0.
CREATE FUNCTION geocloud.integer_divide(a float8, b float8) RETURNS float8
IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
    size float8;
BEGIN
    IF a IN ('NaN', 'Infinity', '-Infinity') OR b IN ('NaN', 'Infinity', '-Infinity', 0) THEN RETURN NULL; END IF;
    IF a = 0 THEN RETURN 0; END IF;
    size := log(abs(a)) - log(abs(b));
    RETURN CASE WHEN size >= 308 THEN NULL WHEN size < -1 THEN 0 ELSE div(a::text::numeric, b::text::numeric) END;
END $$;

-- What is left of a after integer division by b, with the sign of a, in decimal; null when b is 0 or below 1e-290.
CREATE FUNCTION geocloud.modulo(a float8, b float8) RETURNS float8
IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
BEGIN
    IF a IN ('NaN', 'Infinity', '-Infinity') OR b IN ('NaN', 'Infinity', '-Infinity') OR abs(b) < 1e-290 THEN
        RETURN NULL;
    END IF;
    RETURN mod(a::text::numeric, b::text::numeric);
END $$;
