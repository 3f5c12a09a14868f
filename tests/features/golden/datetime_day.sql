-- datetime=2020-01-03
("valid_from" < $1::timestamptz AND "valid_to" > $2::timestamptz)
-- $1 = datetime.datetime(2020, 1, 3, 16, 0, tzinfo=datetime.timezone.utc)
-- $2 = datetime.datetime(2020, 1, 2, 16, 0, tzinfo=datetime.timezone.utc)
