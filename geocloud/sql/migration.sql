-- SPDX-License-Identifier: Apache-2.0
-- Which numbered files this database has; made by the first migration, read by every later one.
CREATE TABLE geocloud.migration (
    number     int PRIMARY KEY,
    name       text NOT NULL,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE geocloud.migration IS 'Numbered SQL files applied to this database (迁移记录)';
GRANT SELECT ON geocloud.migration TO geocloud_writer, geocloud_reader;
