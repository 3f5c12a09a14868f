-- name LIKE 'a\%b_%' AND CASEI(name) NOT LIKE CASEI('Straße%')
(("name" LIKE $1::text) AND (NOT (geocloud.casei("name") LIKE geocloud.casei($2::text))))
-- $1 = 'a\\%b_%'
-- $2 = 'Straße%'
