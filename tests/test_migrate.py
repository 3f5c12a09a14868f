# SPDX-License-Identifier: Apache-2.0
"""Numbered SQL: applied once, in one transaction, onto older databases, and refused where it does not fit."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2 import sql

from geocloud.db import cluster as _cluster
from geocloud.db.cluster import Urls
from geocloud.db.migrate import Migration, applied, migrate, numbered_sql
from geocloud.db.roles import OWNER, make_url
from geocloud.errors import DatabaseError, WrongVersion
from geocloud.settings import DatabaseSettings


@pytest.fixture
def empty(cluster: DatabaseSettings) -> Iterator[str]:
    """Owner URL of a database with PostGIS that was never migrated."""
    admin = psycopg2.connect(_cluster.admin_url(cluster, "postgres"))
    admin.autocommit = True
    name = sql.Identifier("never_migrated")
    with admin.cursor() as cur:
        cur.execute(sql.SQL("CREATE DATABASE {} TEMPLATE geocloud OWNER {}").format(name, sql.Identifier(OWNER)))
        yield make_url(_cluster.ensure(cluster).owner, dbname="never_migrated")
        cur.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
    admin.close()


def _names(found: list[Migration]) -> list[str]:
    return [f"{m.number:03}_{m.name}" for m in found]


def _schema(url: str) -> list[tuple[str, ...]]:
    """Every table, column and function of the database, to compare two of them."""
    conn = psycopg2.connect(url)
    with conn, conn.cursor() as cur:
        cur.execute("""
            SELECT table_schema, table_name, column_name, data_type, column_default FROM information_schema.columns
             WHERE table_schema NOT IN ('pg_catalog', 'information_schema', 'public')
            UNION ALL
            SELECT n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), md5(p.prosrc), p.proacl::text
              FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'public')
             ORDER BY 1, 2, 3, 4""")
        rows = cur.fetchall()
    conn.close()
    return rows


def test_files_are_numbered() -> None:
    assert [m.number for m in numbered_sql()] == list(range(1, len(numbered_sql()) + 1))


def test_all_once(empty: str) -> None:
    assert migrate(empty) == _names(numbered_sql())
    assert applied(empty) == {m.number: (m.name, m.sha256) for m in numbered_sql()}
    assert migrate(empty) == []


@pytest.mark.parametrize("older", [pytest.param(k, id=f"from-{k:03}") for k in range(1, len(numbered_sql()))])
def test_older_database(empty: str, urls: Urls, older: int) -> None:
    source = numbered_sql()
    assert migrate(empty, source[:older]) == _names(source[:older])
    assert migrate(empty) == _names(source[older:])
    assert _schema(empty) == _schema(urls.owner)


def test_rows_survive(empty: str) -> None:
    source = numbered_sql()
    migrate(empty, source[:2])
    conn = psycopg2.connect(empty)
    with conn, conn.cursor() as cur:
        cur.execute("INSERT INTO geocloud.layer (id, spec) VALUES ('base.kept', '{}')")
    migrate(empty)
    with conn, conn.cursor() as cur:
        cur.execute("SELECT id FROM geocloud.layer")
        assert cur.fetchall() == [("base.kept",)]
    conn.close()


def test_newer_database(empty: str) -> None:
    migrate(empty)
    with pytest.raises(WrongVersion, match=r"newer than this software: it has migration") as caught:
        migrate(empty, numbered_sql()[:-1])
    assert caught.value.context["database"] == len(numbered_sql())


def test_changed_file(empty: str) -> None:
    source = numbered_sql()
    migrate(empty)
    edited = [*source[:1], Migration(2, source[1].name, source[1].text + "\n-- edited"), *source[2:]]
    with pytest.raises(WrongVersion, match=r"Migration 002_\w+ was changed"):
        migrate(empty, edited)


def test_one_transaction(empty: str) -> None:
    source = numbered_sql()
    broken = [*source, Migration(len(source) + 1, "broken", "CREATE TABLE geocloud.a (n int); SELECT nonsense;")]
    with pytest.raises(DatabaseError, match=r"_broken cannot be applied: column \"nonsense\" does not exist"):
        migrate(empty, broken)
    assert applied(empty) == {}
    assert _schema(empty) == []


def test_two_at_once(empty: str) -> None:
    results: list[list[str]] = []
    threads = [threading.Thread(target=lambda: results.append(migrate(empty))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(results) == [[], [], [], _names(numbered_sql())]


def test_reader_may_not(urls: Urls) -> None:
    one_more = Migration(len(numbered_sql()) + 1, "more", "CREATE TABLE geocloud.more (n int)")
    with pytest.raises(DatabaseError, match=r"_more cannot be applied: cannot execute CREATE TABLE in a read-only"):
        migrate(urls.reader, [*numbered_sql(), one_more])
