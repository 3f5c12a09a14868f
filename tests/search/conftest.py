# SPDX-License-Identifier: Apache-2.0
"""A search over a real database, and the way to wait for what the registry hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import pytest

from geocloud.catalogue.registry import Catalogue, Registry
from geocloud.db.cluster import Urls
from geocloud.db.reader import Reader
from geocloud.search import Place, Places
from geocloud.settings import DatabaseSettings


@dataclass
class Session:
    """One worker's search, and a connection of the owner beside it."""

    urls: Urls
    registry: Registry
    places: Places
    swapped: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def find(self, question: str, limit: int = 10, **more: Any) -> list[Place]:
        return await self.places.find(question, self.registry.current, limit=limit, **more)

    async def titles(self, question: str, limit: int = 10, **more: Any) -> list[str]:
        return [place.title for place in await self.find(question, limit, **more)]

    async def write(self, sql: str, *args: object) -> None:
        """Runs a statement in a transaction of its own and waits until the registry knows what it wrote."""
        conn = psycopg2.connect(self.urls.owner)
        with conn, conn.cursor() as cur:
            cur.execute(sql, args or None)
        with conn, conn.cursor() as cur:
            cur.execute("SELECT layer, version FROM geocloud.layer_state")
            versions = dict(cur.fetchall())
        conn.close()
        await self.until(lambda c: all(layer.state.version >= versions[i] for i, layer in c.layers.items()))

    async def until(self, there: Callable[[Catalogue], bool]) -> None:
        async with asyncio.timeout(20), self.swapped:
            await self.swapped.wait_for(lambda: there(self.registry.current))


@pytest.fixture
def searching() -> Callable[[Urls, Callable[[Session], Awaitable[None]]], None]:
    """Runs a coroutine with a `Session` over a database."""

    def run(urls: Urls, what: Callable[[Session], Awaitable[None]]) -> None:
        asyncio.run(_run(urls, what))

    return run


async def _run(urls: Urls, what: Callable[[Session], Awaitable[None]]) -> None:
    reader = Reader(urls.reader, DatabaseSettings(pool_size=2))
    chores: set[asyncio.Task[None]] = set()

    async def announce() -> None:
        async with session.swapped:
            session.swapped.notify_all()

    def swapped(_catalogue: Catalogue) -> None:
        chore = asyncio.ensure_future(announce())
        chores.add(chore)
        chore.add_done_callback(chores.discard)

    session = Session(urls, Registry(urls.reader, swapped), Places(reader))
    await reader.open()
    await session.registry.start()
    try:
        await what(session)
    finally:
        session.places.index.close()
        await session.registry.stop()
        reader.close()
