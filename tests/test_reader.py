# SPDX-License-Identifier: Apache-2.0
"""A worker's reading connections: shared by many, replaced when broken, never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import psycopg2
import pytest

from geocloud.db.cluster import Urls
from geocloud.db.reader import Reader
from geocloud.settings import DatabaseSettings

SIZE = 2


def with_reader(urls: Urls, body: Callable[[Reader], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        reader = Reader(urls.reader, DatabaseSettings(pool_size=SIZE))
        await reader.open()
        try:
            return await asyncio.wait_for(body(reader), 30)
        finally:
            reader.close()

    return asyncio.run(run())


async def ask(reader: Reader, sql: str) -> Any:
    async with reader.lease() as conn:
        return await conn.fetchval(sql)


def test_text_comes_as_bytes_and_goes_as_text(urls: Urls) -> None:
    async def body(reader: Reader) -> None:
        async with reader.lease() as conn:
            assert await conn.fetchval("SELECT $1::text || '湖'", "东昌") == "东昌湖".encode()

    with_reader(urls, body)


def test_many_share_few(urls: Urls) -> None:
    async def body(reader: Reader) -> list[int]:
        return await asyncio.gather(*(ask(reader, f"SELECT {i}::int") for i in range(200)))

    assert with_reader(urls, body) == list(range(200))


def test_connections_are_at_most_as_many_as_set(urls: Urls) -> None:
    async def body(reader: Reader) -> int:
        seen = await asyncio.gather(*(ask(reader, "SELECT pg_backend_pid()") for _ in range(50)))
        return len(set(seen))

    assert with_reader(urls, body) <= SIZE


def test_cancelled_question_frees_its_place(urls: Urls) -> None:
    async def body(reader: Reader) -> None:
        slow = [asyncio.ensure_future(ask(reader, "SELECT pg_sleep(20)")) for _ in range(SIZE)]
        waiting = [asyncio.ensure_future(ask(reader, "SELECT 7")) for _ in range(5)]
        given_up = waiting.pop(0)
        await asyncio.sleep(0)
        given_up.cancel()
        for task in slow:
            await asyncio.sleep(0)
            task.cancel()
        assert await asyncio.gather(*waiting) == [7] * 4
        assert all(isinstance(r, asyncio.CancelledError) for r in await asyncio.gather(*slow, return_exceptions=True))
        assert await asyncio.gather(*(ask(reader, "SELECT 8") for _ in range(10))) == [8] * 10

    with_reader(urls, body)


def test_failed_statement_leaves_a_sound_connection(urls: Urls) -> None:
    async def body(reader: Reader) -> None:
        for _ in range(5):
            with pytest.raises(asyncpg.DivisionByZeroError):
                await ask(reader, "SELECT 1/0")
        assert await ask(reader, "SELECT 1") == 1

    with_reader(urls, body)


def test_connections_ended_by_the_server_are_replaced(urls: Urls) -> None:
    def end_all() -> None:
        conn = psycopg2.connect(urls.reader)
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user "
                "AND datname = current_database() AND pid <> pg_backend_pid()"
            )
        conn.close()

    async def body(reader: Reader) -> None:
        before = set(await asyncio.gather(*(ask(reader, "SELECT pg_backend_pid()") for _ in range(20))))
        await asyncio.to_thread(end_all)
        while True:
            try:
                after = set(await asyncio.gather(*(ask(reader, "SELECT pg_backend_pid()") for _ in range(20))))
                break
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
                continue
        assert not before & after

    with_reader(urls, body)
