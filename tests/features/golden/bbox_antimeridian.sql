-- bbox=170,-10,-170,10
(("geom" && ST_MakeEnvelope($1::float8, $2::float8, $3::float8, $4::float8, 4490) AND "geom"::point <@ box(point($1::float8, $2::float8), point($3::float8, $4::float8))) OR ("geom" && ST_MakeEnvelope($5::float8, $6::float8, $7::float8, $8::float8, 4490) AND "geom"::point <@ box(point($5::float8, $6::float8), point($7::float8, $8::float8))))
-- $1 = 170.0
-- $2 = -10.0
-- $3 = 180.0
-- $4 = 10.0
-- $5 = -180.0
-- $6 = -10.0
-- $7 = -170.0
-- $8 = 10.0
