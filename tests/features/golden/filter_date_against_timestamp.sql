-- seen = DATE('2020-01-03') AND seen <= DATE('2020-01-03') AND built = TIMESTAMP('2020-01-02T16:00:00Z') AND built < seen
((("seen" >= $2::timestamptz AND "seen" < $1::timestamptz)) AND ("seen" < $3::timestamptz) AND ($4::date = "built") AND (("seen" AT TIME ZONE INTERVAL '08:00')::date > "built"))
-- $1 = datetime.datetime(2020, 1, 3, 16, 0, tzinfo=datetime.timezone.utc)
-- $2 = datetime.datetime(2020, 1, 2, 16, 0, tzinfo=datetime.timezone.utc)
-- $3 = datetime.datetime(2020, 1, 3, 16, 0, tzinfo=datetime.timezone.utc)
-- $4 = datetime.date(2020, 1, 3)
