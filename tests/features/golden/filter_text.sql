-- name = 'o''x' AND name < other
(("name" = $1::text) AND ("name" < "other"))
-- $1 = "o'x"
