# SPDX-License-Identifier: Apache-2.0
"""Numbered SQL: applied once, in one transaction, onto older databases, and refused where it does not fit."""

from __future__ import annotations

import threading

import psycopg2
import pytest

from geocloud.catalogue import plan
from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.db.migrate import Migration, applied, migrate, numbered_sql
from geocloud.errors import DatabaseError, WrongVersion
from tests.catalogue.test_time import layer


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


def test_all_once(never_migrated: str) -> None:
    assert migrate(never_migrated) == _names(numbered_sql())
    assert applied(never_migrated) == {m.number: (m.name, m.sha256) for m in numbered_sql()}
    assert migrate(never_migrated) == []


@pytest.mark.parametrize("older", [pytest.param(k, id=f"from-{k:03}") for k in range(1, len(numbered_sql()))])
def test_older_database(never_migrated: str, urls: Urls, older: int) -> None:
    source = numbered_sql()
    assert migrate(never_migrated, source[:older]) == _names(source[:older])
    assert migrate(never_migrated) == _names(source[older:])
    assert _schema(never_migrated) == _schema(urls.owner)


def test_rows_survive(never_migrated: str) -> None:
    source = numbered_sql()
    migrate(never_migrated, source[:2])
    conn = psycopg2.connect(never_migrated)
    with conn, conn.cursor() as cur:
        cur.execute("INSERT INTO geocloud.layer (id, spec) VALUES ('base.kept', '{}')")
    migrate(never_migrated)
    with conn, conn.cursor() as cur:
        cur.execute("SELECT id FROM geocloud.layer")
        assert cur.fetchall() == [("base.kept",)]
    conn.close()


def test_newer_database(never_migrated: str) -> None:
    migrate(never_migrated)
    with pytest.raises(WrongVersion, match=r"newer than this software: it has migration") as caught:
        migrate(never_migrated, numbered_sql()[:-1])
    assert caught.value.context["database"] == len(numbered_sql())


def test_changed_file(never_migrated: str) -> None:
    source = numbered_sql()
    migrate(never_migrated)
    edited = [*source[:1], Migration(2, source[1].name, source[1].text + "\n-- edited"), *source[2:]]
    with pytest.raises(WrongVersion, match=r"Migration 002_\w+ was changed"):
        migrate(never_migrated, edited)


def test_one_transaction(never_migrated: str) -> None:
    source = numbered_sql()
    broken = [*source, Migration(len(source) + 1, "broken", "CREATE TABLE geocloud.a (n int); SELECT nonsense;")]
    with pytest.raises(DatabaseError, match=r"_broken cannot be applied: column \"nonsense\" does not exist"):
        migrate(never_migrated, broken)
    assert applied(never_migrated) == {}
    assert _schema(never_migrated) == []


def test_two_at_once(never_migrated: str) -> None:
    results: list[list[str]] = []
    threads = [threading.Thread(target=lambda: results.append(migrate(never_migrated))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(results) == [[], [], [], _names(numbered_sql())]


def test_reader_may_not(urls: Urls) -> None:
    one_more = Migration(len(numbered_sql()) + 1, "more", "CREATE TABLE geocloud.more (n int)")
    with pytest.raises(DatabaseError, match=r"_more cannot be applied: cannot execute CREATE TABLE in a read-only"):
        migrate(urls.reader, [*numbered_sql(), one_more])


def test_a_table_in_use_is_told(never_migrated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocloud.db.migrate._LOCK_TIMEOUT_S", 1)
    migrate(never_migrated)
    more = Migration(len(numbered_sql()) + 1, "more", "ALTER TABLE geocloud.layer ADD COLUMN more int")
    conn = psycopg2.connect(never_migrated)
    with conn.cursor() as cur:
        cur.execute("SELECT count(*) FROM geocloud.layer")
        with pytest.raises(DatabaseError, match="waited 1 s for a table that is in use"):
            migrate(never_migrated, [*numbered_sql(), more])
    conn.close()
    assert migrate(never_migrated, [*numbered_sql(), more]) == _names([more])


def test_published_layers_get_what_is_new(never_migrated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer with rows and a past of version 6 has all of a new layer's triggers, indexes and functions afterwards."""
    source = numbered_sql()
    migrate(never_migrated, source[:6])
    conn = psycopg2.connect(never_migrated)
    old, new = layer("thing", "multipolygon"), layer("another", "multipolygon")
    attached = plan._attach
    with monkeypatch.context() as then:
        # What version 6 did not have.
        then.setattr(plan, "_attach", lambda s: tuple(x for x in attached(s) if "attach_stamps" not in x))
        sync(conn, {old.id: old}, {})
    with conn, conn.cursor() as cur:
        cur.execute(
            "INSERT INTO lab.thing (code, v, geom) VALUES ('a', '1', ST_Multi(ST_MakeEnvelope(1, 2, 3, 4, 4490)))"
        )
    with conn, conn.cursor() as cur:
        cur.execute("UPDATE lab.thing SET v = '2'")
        cur.execute('TABLE history."lab.thing"')
        past = cur.fetchall()
    migrate(never_migrated)
    sync(conn, {x.id: x for x in (old, new)}, {})
    with conn, conn.cursor() as cur:
        cur.execute('TABLE history."lab.thing"')
        assert cur.fetchall() == past
        cur.execute(
            "SELECT replace(pg_get_indexdef(indexrelid), 'another', 'thing') FROM pg_index "
            "WHERE indrelid = ANY (%s::regclass[]) ORDER BY 1",
            (["lab.another", 'history."lab.another"'],),
        )
        expected = cur.fetchall()
        cur.execute(
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = ANY (%s::regclass[]) ORDER BY 1",
            (["lab.thing", 'history."lab.thing"'],),
        )
        assert cur.fetchall() == expected
        cur.execute(
            "SELECT replace(proname, 'another', 'thing'), replace(prosrc, 'another', 'thing') FROM pg_proc "
            "WHERE replace(proname, 'another', 'thing') LIKE 'lab.thing:%'"
        )
        bodies = cur.fetchall()
        by_name: dict[str, set[str]] = {}
        for name, body in bodies:
            by_name.setdefault(name, set()).add(body)
        assert {"lab.thing:", "lab.thing:portion", "lab.thing:restore"} <= by_name.keys()
        assert len(by_name) == len(bodies) / 2
        assert all(len(b) == 1 for b in by_name.values())
        cur.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'stamps' AND tablename IN ('lab.thing', 'lab.another')"
        )
        assert cur.fetchone() == (2,)
    conn.close()
