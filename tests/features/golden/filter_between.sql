-- n BETWEEN 1 AND 9 AND built NOT BETWEEN DATE('2020-01-01') AND DATE('2020-01-31')
((("n" >= $1::bigint) AND ("n" <= $2::bigint)) AND (NOT (("built" >= $3::date) AND ("built" <= $4::date))))
-- $1 = 1
-- $2 = 9
-- $3 = datetime.date(2020, 1, 1)
-- $4 = datetime.date(2020, 1, 31)
