-- name=a&n=1&x=2.5&ok=true&built=2020-01-03&seen=2020-01-03
"name" = $1::text AND "n" = $2::bigint AND "x" = $3::float8 AND "ok" = $4::boolean AND "built" = $5::date AND ("seen" >= $7::timestamptz AND "seen" < $6::timestamptz)
-- $1 = 'a'
-- $2 = 1
-- $3 = 2.5
-- $4 = True
-- $5 = datetime.date(2020, 1, 3)
-- $6 = datetime.datetime(2020, 1, 3, 16, 0, tzinfo=datetime.timezone.utc)
-- $7 = datetime.datetime(2020, 1, 2, 16, 0, tzinfo=datetime.timezone.utc)
