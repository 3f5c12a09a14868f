-- T_AFTER(seen, TIMESTAMP('2020-01-03T00:00:00Z')) AND T_DISJOINT(built, razed)
(("seen" > $1::timestamptz) AND (NOT ("built" <= "razed" AND "built" >= "razed")))
-- $1 = datetime.datetime(2020, 1, 3, 0, 0, tzinfo=datetime.timezone.utc)
