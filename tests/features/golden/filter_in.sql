-- name IN ('a', 'b') AND n NOT IN (1, 2.5) AND x IN (1) AND n + 1 IN (m, 2) AND ok IN (TRUE)
(("name" = ANY($1::text[])) AND (NOT ("n" = ANY($2::numeric[]))) AND ("x" = ANY($3::float8[])) AND (geocloud.add("n"::float8, $4::float8) = ANY(ARRAY["m"::float8, $5::float8]::float8[])) AND ("ok" = ANY($6::boolean[])))
-- $1 = ['a', 'b']
-- $2 = [Decimal('1'), Decimal('2.5')]
-- $3 = [1.0]
-- $4 = 1.0
-- $5 = 2.0
-- $6 = [True]
