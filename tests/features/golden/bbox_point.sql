-- bbox=116,36,117,37
("geom" && ST_MakeEnvelope($1::float8, $2::float8, $3::float8, $4::float8, 4490) AND "geom"::point <@ box(point($1::float8, $2::float8), point($3::float8, $4::float8)))
-- $1 = 116.0
-- $2 = 36.0
-- $3 = 117.0
-- $4 = 37.0
