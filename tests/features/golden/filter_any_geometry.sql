-- S_CROSSES(geom, LINESTRING(116 36, 117 37)) AND S_DISJOINT(geom, POINT(116 36))
(("geom" && ST_GeomFromWKB($1::bytea, 4490) AND CASE WHEN ST_GeometryType("geom") <> 'ST_GeometryCollection' THEN ST_Crosses("geom", ST_GeomFromWKB($1::bytea, 4490)) END) AND (NOT (("geom" && ST_GeomFromWKB($2::bytea, 4490) AND CASE WHEN ST_GeometryType("geom") = 'ST_GeometryCollection' THEN EXISTS (SELECT FROM ST_Dump("geom") d WHERE ST_Intersects(d.geom, ST_GeomFromWKB($2::bytea, 4490))) ELSE ST_Intersects("geom", ST_GeomFromWKB($2::bytea, 4490)) END))))
-- $1 = 0102000000020000000000000000005d4000000000000042400000000000405d400000000000804240
-- $2 = 01010000000000000000005d400000000000004240
