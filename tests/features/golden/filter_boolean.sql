-- ok = TRUE AND ok <> open AND (n = 1) = (m = 1)
(("ok" = TRUE) AND ("ok" <> "open") AND (("n" = $1::bigint) = ("m" = $2::bigint)))
-- $1 = 1
-- $2 = 1
