-- built = DATE('2020-01-03') AND built < razed AND built > DATE('9999-12-31')
(("built" = $1::date) AND ("built" < "razed") AND ("built" > $2::text::date))
-- $1 = datetime.date(2020, 1, 3)
-- $2 = '9999-12-31'
