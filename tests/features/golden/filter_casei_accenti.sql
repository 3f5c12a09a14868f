-- CASEI(ACCENTI(name)) = CASEI(ACCENTI('Éa'))
(geocloud.casei(geocloud.accenti("name")) = geocloud.casei(geocloud.accenti($1::text)))
-- $1 = 'Éa'
