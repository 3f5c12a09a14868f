-- ok AND NOT open OR n = 1 AND TRUE
(("ok" AND (NOT "open")) OR (("n" = $1::bigint) AND TRUE))
-- $1 = 1
