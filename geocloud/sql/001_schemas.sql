-- SPDX-License-Identifier: Apache-2.0
-- Schemas and what each role may do in them. Layer tables live in one schema a theme, made when published.

CREATE SCHEMA geocloud;
CREATE SCHEMA history;

COMMENT ON SCHEMA geocloud IS 'Catalogue, layer versions, change log, loads (目录、版本、变更日志)';
COMMENT ON SCHEMA history IS 'Rows no longer current, one table a layer (历史)';

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO geocloud_owner, geocloud_writer, geocloud_reader;
GRANT USAGE ON SCHEMA geocloud, history TO geocloud_reader, geocloud_writer;
