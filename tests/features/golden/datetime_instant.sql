-- datetime=2020-01-03T00:00:00Z
("valid_from" <= $1::timestamptz AND "valid_to" > $2::timestamptz)
-- $1 = datetime.datetime(2020, 1, 3, 0, 0, tzinfo=datetime.timezone.utc)
-- $2 = datetime.datetime(2020, 1, 3, 0, 0, tzinfo=datetime.timezone.utc)
