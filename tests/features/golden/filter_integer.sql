-- n = 3 AND n < 3.5 AND n > 99999999999999999999 AND n <> m
(("n" = $1::bigint) AND ("n" < $2::numeric) AND ("n" > $3::numeric) AND ("n" <> "m"))
-- $1 = 3
-- $2 = Decimal('3.5')
-- $3 = Decimal('99999999999999999999')
