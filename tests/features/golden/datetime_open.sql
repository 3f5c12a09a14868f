-- datetime=../2020-01-03
("valid_from" < $1::timestamptz)
-- $1 = datetime.datetime(2020, 1, 3, 16, 0, tzinfo=datetime.timezone.utc)
