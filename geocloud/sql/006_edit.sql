-- SPDX-License-Identifier: Apache-2.0
-- Editing over HTTP (要素编辑): keys that may write, and the guard of a write that must find its row.

CREATE TABLE geocloud.edit_key (
    name          text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'),
    sha256        bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
    layers        text[] NOT NULL CHECK (cardinality(layers) > 0),
    needs_version boolean NOT NULL DEFAULT true,
    made_at       timestamptz NOT NULL DEFAULT now(),
    revoked_at    timestamptz
);
COMMENT ON TABLE geocloud.edit_key IS 'Keys of editing clients; only the SHA-256 of a key is kept (编辑密钥)';
COMMENT ON COLUMN geocloud.edit_key.layers IS 'Layer ids, themes as `theme.*`, or `*` for every editable layer';
COMMENT ON COLUMN geocloud.edit_key.needs_version IS
    'False: for a program that cannot send If-Match, such as QGIS; its changes apply to what is current';
REVOKE ALL ON geocloud.edit_key FROM PUBLIC;
GRANT SELECT ON geocloud.edit_key TO geocloud_writer;

-- The fid a writing statement returned; raises when it returned none, so that the statement leaves no trace.
CREATE FUNCTION geocloud.expect_row(fid bigint) RETURNS bigint VOLATILE LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF fid IS NULL THEN
        RAISE EXCEPTION 'the row is not there in the version expected' USING ERRCODE = 'no_data_found';
    END IF;
    RETURN fid;
END $$;
