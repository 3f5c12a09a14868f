-- name IS NULL AND x + 1 IS NOT NULL AND geom IS NULL AND valid_to IS NULL
(("name" IS NULL) AND (NOT (geocloud.add("x", $1::float8) IS NULL)) AND ("geom" IS NULL) AND (NOT isfinite("valid_to")))
-- $1 = 1.0
