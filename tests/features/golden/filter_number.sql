-- x >= 3 AND y < 2.5 AND x = n AND 1 = 1.0
(("x" >= $1::float8) AND ("y" < $2::float8) AND ("x" = "n") AND ($3::numeric = $4::numeric))
-- $1 = 3.0
-- $2 = 2.5
-- $3 = Decimal('1')
-- $4 = Decimal('1.0')
