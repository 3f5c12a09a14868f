-- seen >= TIMESTAMP('2020-01-03T00:00:00Z') AND valid_from <= seen
(("seen" >= $1::timestamptz) AND ("valid_from" <= "seen"))
-- $1 = datetime.datetime(2020, 1, 3, 0, 0, tzinfo=datetime.timezone.utc)
