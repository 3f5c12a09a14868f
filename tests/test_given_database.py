# SPDX-License-Identifier: Apache-2.0
"""GEOCLOUD_DATABASE_URL: a server with nothing of ours on it, prepared by a role that owns one database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from geocloud.db import cluster, server
from geocloud.db.folder import open_folder
from geocloud.db.migrate import migrate, numbered_sql
from geocloud.db.roles import make_url, read_credentials
from geocloud.errors import DatabaseError, MissingPackages, SettingsError, WrongVersion
from geocloud.settings import DatabaseSettings

Make = Callable[..., DatabaseSettings]


class Bare:
    """A PostgreSQL server that geocloud has not prepared."""

    def __init__(self, port: int, admin: str) -> None:
        self.port, self.admin = port, admin

    def sql(self, statement: str, *, database: str = "postgres") -> None:
        conn = psycopg2.connect(make_url(self.admin, dbname=database))
        conn.autocommit = True
        with conn.cursor() as cur:
            for one in statement.split(";"):
                cur.execute(one)
        conn.close()

    def url(self, user: str, database: str) -> str:
        return f"postgresql://{user}:{user}@127.0.0.1:{self.port}/{database}"


@pytest.fixture
def bare(own_settings: Make) -> Iterator[Bare]:
    settings = own_settings("-server")
    folder = open_folder(settings)
    programs = server.programs_for(settings, folder)
    server.init(folder, programs, fsync=False)
    found = server.start(settings, folder, programs, fsync=False)
    made = Bare(found.port, server.admin_url(found))
    made.sql("CREATE ROLE city LOGIN CREATEROLE PASSWORD 'city'; CREATE DATABASE city OWNER city")
    yield made
    server.stop(folder, programs)


def _rows(url: str, query: str) -> list[tuple[object, ...]]:
    conn = psycopg2.connect(url)
    with conn, conn.cursor() as cur:
        cur.execute(query)
        rows = cur.fetchall()
    conn.close()
    return rows


def test_prepared_by_its_owner(bare: Bare, own_settings: Make) -> None:
    bare.sql("CREATE EXTENSION postgis", database="city")
    settings = own_settings(database_url=bare.url("city", "city"))
    urls = cluster.ensure(settings)
    assert not (settings.home / "pg/data").exists()
    assert cluster.status(settings).state == "given"
    assert migrate(urls.owner) == [f"{m.number:03}_{m.name}" for m in numbered_sql()]

    assert _rows(urls.owner, "SELECT session_user::text, current_user::text") == [("city", "geocloud_owner")]
    [(writer,)] = _rows(urls.writer, "SELECT current_user::text")
    [(reader, read_only, timeout)] = _rows(
        urls.reader,
        "SELECT current_user::text, current_setting('transaction_read_only'), current_setting('statement_timeout')",
    )
    assert str(writer).startswith("geocloud_writer_") and str(reader).startswith("geocloud_reader_")
    assert (read_only, timeout) == ("on", "30s")
    assert _rows(urls.reader, "SELECT count(*) FROM geocloud.migration") == [(len(numbered_sql()),)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        _rows(urls.reader, "SET transaction_read_only = off; DELETE FROM geocloud.migration")

    owners = "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname IN ('geocloud', 'history')"
    assert _rows(bare.url("city", "city"), owners) == [("geocloud_owner",)]
    assert cluster.ensure(settings) == urls


def test_two_installations_keep_apart(bare: Bare, own_settings: Make) -> None:
    bare.sql("CREATE EXTENSION postgis", database="city")
    one = cluster.ensure(own_settings("-a", database_url=bare.url("city", "city")))
    two = cluster.ensure(own_settings("-b", database_url=bare.url("city", "city")))
    assert one.reader != two.reader
    assert _rows(one.reader, "SELECT 1") == _rows(two.reader, "SELECT 1") == [(1,)]


def test_superuser_makes_the_extension(bare: Bare, own_settings: Make) -> None:
    bare.sql("CREATE ROLE chief SUPERUSER LOGIN PASSWORD 'chief'; CREATE DATABASE town")
    urls = cluster.ensure(own_settings(database_url=bare.url("chief", "town")))
    migrate(urls.owner)
    assert _rows(urls.owner, "SELECT current_user::text") == [("geocloud_owner",)]


def test_may_not_make_the_extension(bare: Bare, own_settings: Make) -> None:
    with pytest.raises(DatabaseError, match="postgis is missing or too old") as caught:
        cluster.ensure(own_settings(database_url=bare.url("city", "city")))
    assert "CREATE EXTENSION postgis" in caught.value.todo_en


@pytest.mark.parametrize(
    "setup",
    [
        pytest.param("CREATE ROLE weak LOGIN PASSWORD 'weak'; CREATE DATABASE weak OWNER weak", id="no-createrole"),
        pytest.param("CREATE ROLE weak LOGIN CREATEROLE PASSWORD 'weak'; CREATE DATABASE weak", id="not-the-owner"),
    ],
)
def test_role_too_weak(bare: Bare, own_settings: Make, setup: str) -> None:
    bare.sql(setup)
    bare.sql("CREATE EXTENSION postgis", database="weak")
    with pytest.raises(DatabaseError, match="The role weak may not prepare the database weak") as caught:
        cluster.ensure(own_settings(database_url=bare.url("weak", "weak")))
    assert 'ALTER ROLE "weak" CREATEROLE' in caught.value.todo_en
    left = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'geocloud%er'"
    assert _rows(make_url(bare.admin, dbname="weak"), left) == [(0,)]


def test_encoding(bare: Bare, own_settings: Make) -> None:
    bare.sql("CREATE DATABASE latin OWNER city ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    with pytest.raises(WrongVersion, match="encoding is LATIN1; UTF8 is needed"):
        cluster.ensure(own_settings(database_url=bare.url("city", "latin")))


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        pytest.param("postgresql://a@127.0.0.1:1/a", DatabaseError, "cannot be reached", id="nobody-listens"),
        pytest.param("postgresql://city:wrong@127.0.0.1:{port}/city", DatabaseError, "refused the user", id="password"),
        pytest.param("postgresql://city:city@127.0.0.1:{port}/x", DatabaseError, "does not exist", id="no-database"),
        pytest.param(
            "postgresql://who:x@/city?host={socket}&port={port}", DatabaseError, "refused the user", id="role"
        ),
        pytest.param("postgresql://city:city@127.0.0.1:{port}/closed", DatabaseError, "role may not", id="closed"),
        pytest.param("what is this", SettingsError, "is not a PostgreSQL URL", id="not-a-url"),
        pytest.param("mysql://a/b", SettingsError, "is not a PostgreSQL URL", id="another-database"),
    ],
)
def test_bad_urls(bare: Bare, own_settings: Make, url: str, kind: type[DatabaseError], words: str) -> None:
    bare.sql("CREATE DATABASE closed; REVOKE ALL ON DATABASE closed FROM PUBLIC")
    made = url.format(port=bare.port, socket=psycopg2.extensions.parse_dsn(bare.admin)["host"])
    with pytest.raises(kind, match=words) as caught:
        cluster.ensure(own_settings(database_url=made))
    assert type(caught.value) is kind
    assert "wrong" not in caught.value.message()


def test_server_without_postgis(bare: Bare) -> None:
    """The server's own list of extensions decides; here one where postgis is not offered."""
    from geocloud.db.given import prepare_extension

    bare.sql("CREATE SCHEMA hidden; CREATE VIEW hidden.pg_available_extensions AS "
             "SELECT * FROM pg_catalog.pg_available_extensions WHERE name <> 'postgis'", database="city")  # fmt: skip
    conn = psycopg2.connect(make_url(bare.admin, dbname="city"), options="-c search_path=hidden,pg_catalog")
    with pytest.raises(MissingPackages, match="not installed on the database server"):
        prepare_extension(conn)
    conn.close()


def test_credentials_of_a_version_with_fewer_roles_keep_what_they_have(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    old = {"tag": "abc123", "owner": "o", "writer": "w", "reader": "r"}
    path.write_text(json.dumps(old))
    found = read_credentials(path)
    assert (found.tag, found.owner, found.writer, found.reader) == ("abc123", "o", "w", "r")
    assert len(found.jobs) > 20
    assert read_credentials(path) == found
    assert path.stat().st_mode & 0o777 == 0o600
