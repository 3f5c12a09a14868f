# SPDX-License-Identifier: Apache-2.0
"""Connections: what they hold, what their errors become."""

from __future__ import annotations

import asyncio

import asyncpg
import psycopg2
import pytest

from geocloud.db.cluster import Urls
from geocloud.db.pool import connect, reader_pool, translate
from geocloud.db.roles import make_url
from geocloud.errors import DatabaseError, DiskFull
from geocloud.settings import DatabaseSettings


def _count(urls: Urls) -> int:
    with connect(urls.owner, application_name="test") as conn, conn.cursor() as cur:
        cur.execute("SELECT count(*) FROM geocloud.layer")
        return int(cur.fetchone()[0])  # type: ignore[index]


def test_connect_commits_or_rolls_back(urls: Urls) -> None:
    with connect(urls.owner, application_name="test") as conn, conn.cursor() as cur:
        cur.execute("INSERT INTO geocloud.layer (id, spec) VALUES ('a.committed', '{}')")
    before = _count(urls)
    with (
        pytest.raises(psycopg2.errors.UniqueViolation),
        connect(urls.owner, application_name="test") as conn,
        conn.cursor() as cur,
    ):
        cur.execute("INSERT INTO geocloud.layer (id, spec) VALUES ('a.rolled_back', '{}')")
        cur.execute("INSERT INTO geocloud.layer (id, spec) VALUES ('a.committed', '{}')")
    assert _count(urls) == before
    assert conn.closed


def test_cut_off_session_is_of_the_family(urls: Urls) -> None:
    with (
        pytest.raises(DatabaseError, match="was cut off") as caught,
        connect(urls.owner, application_name="test") as conn,
        conn.cursor() as cur,
    ):
        cur.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert "rolled back" in caught.value.todo_en


def test_pool_only_reads_and_stops_in_time(cluster: DatabaseSettings, urls: Urls) -> None:
    settings = cluster.model_copy(update={"statement_timeout_ms": 100})

    async def work() -> None:
        # The owner's URL: what the pool holds must not depend on the role alone.
        pool = await reader_pool(urls.owner, settings)
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await pool.execute("DELETE FROM geocloud.layer")
        with pytest.raises(asyncpg.QueryCanceledError) as caught:
            await pool.fetch("SELECT pg_sleep(30)")
        assert translate(caught.value).en == "The statement took longer than allowed and was stopped."
        assert await pool.fetchval("SHOW jit") == "off"
        assert pool.get_max_size() == settings.pool_size
        first = await pool.fetchval("SELECT pg_backend_pid()")
        async with pool.acquire() as conn:
            await conn.fetch("SELECT $1::int", 1)
            names = "SELECT statement FROM pg_prepared_statements WHERE statement = 'SELECT $1::int'"
            assert len(await conn.fetch(names)) == 1
        assert await pool.fetchval("SELECT pg_backend_pid()") == first
        await pool.close()

    asyncio.run(work())


def test_pool_rolls_back_what_was_left_open(cluster: DatabaseSettings, urls: Urls) -> None:
    async def work() -> None:
        pool = await reader_pool(urls.reader, cluster.model_copy(update={"pool_size": 1}))
        with pytest.raises(asyncpg.DivisionByZeroError):
            async with pool.acquire() as conn, conn.transaction():
                await conn.execute("SET LOCAL statement_timeout = 77")
                await conn.fetchval("SELECT 1 / 0")
        assert await pool.fetchval("SHOW statement_timeout") == "30s"
        await pool.close()

    asyncio.run(work())


def test_pool_of_nobody(cluster: DatabaseSettings) -> None:
    with pytest.raises(DatabaseError, match="cannot be reached"):
        asyncio.run(reader_pool("postgresql://a@127.0.0.1:1/a", cluster))


@pytest.mark.parametrize(
    ("statement", "kind", "words"),
    [
        pytest.param("RAISE EXCEPTION 'x' USING ERRCODE = '53100'", DiskFull, "disk", id="disk-full"),
        pytest.param("RAISE EXCEPTION 'x' USING ERRCODE = '53200'", DatabaseError, "out of memory", id="memory"),
        pytest.param(
            "RAISE EXCEPTION 'x' USING ERRCODE = '53300'", DatabaseError, "no connection left", id="connections"
        ),
        pytest.param("RAISE EXCEPTION 'x' USING ERRCODE = '42501'", DatabaseError, "role may not", id="right"),
        pytest.param("PERFORM secret FROM nothing", DatabaseError, "SQLSTATE 42P01", id="other"),
    ],
)
def test_both_drivers_are_translated_alike(urls: Urls, statement: str, kind: type[DatabaseError], words: str) -> None:
    block = f"DO $$ BEGIN {statement}; END $$"
    conn = psycopg2.connect(urls.owner)
    with pytest.raises(psycopg2.Error) as sync, conn.cursor() as cur:
        cur.execute(block)
    conn.close()

    async def work() -> BaseException:
        other = await asyncpg.connect(urls.owner)
        with pytest.raises(asyncpg.PostgresError) as found:
            await other.execute(block)
        await other.close()
        return found.value

    one, two = translate(sync.value), translate(asyncio.run(work()))
    assert type(one) is type(two) is kind
    assert one.message("zh") == two.message("zh") and one.en == two.en
    assert words in one.en
    assert "secret" not in one.message("en") + one.message("zh")


@pytest.mark.parametrize(
    ("base", "changed", "expected"),
    [
        pytest.param(
            "", {"user": "a", "host": "/run/x y", "dbname": "d"}, "postgresql://a@/d?host=/run/x%20y", id="socket"
        ),
        pytest.param(
            "postgresql://a:b@h:1/d", {"password": "p@/:%"}, "postgresql://a:p%40%2F%3A%25@h:1/d", id="quoted"
        ),
        pytest.param(
            "host=h user=u dbname=d", {"options": "-c role=r"}, "postgresql://u@h/d?options=-c%20role%3Dr", id="dsn"
        ),
        pytest.param(
            "postgresql://u@h/d?sslmode=require", {"user": "v"}, "postgresql://v@h/d?sslmode=require", id="kept"
        ),
        pytest.param("postgresql://u@[::1]:5/d", {}, "postgresql://u@/d?host=%3A%3A1&port=5", id="ipv6"),
        pytest.param("postgresql://u@a:1,b:2/d", {}, "postgresql://u@/d?host=a%2Cb&port=1%2C2", id="several"),
    ],
)
def test_make_url(base: str, changed: dict[str, str], expected: str) -> None:
    made = make_url(base, **changed)
    assert made == expected
    parsed = psycopg2.extensions.parse_dsn(made)
    assert parsed == psycopg2.extensions.parse_dsn(base) | changed
