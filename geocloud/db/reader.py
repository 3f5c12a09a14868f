# SPDX-License-Identifier: Apache-2.0
"""The reading connections of one web worker.

asyncpg's pool makes, checks and ends the connections; a free one is kept here, because handing it back through the
pool costs a task of its own, about a fifth of the time of a small answer. A connection whose statement was cancelled
or broke goes back through the pool, which knows how to clean it up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any

import asyncpg

from geocloud.db.pool import reader_pool
from geocloud.settings import DatabaseSettings

__all__ = ["Lease", "Reader"]


class Reader:
    """At most `pool_size` connections of the reader role; text columns arrive as UTF-8 bytes."""

    def __init__(self, url: str, settings: DatabaseSettings) -> None:
        self._url, self._settings = url, settings
        self._pool: asyncpg.Pool[Any] | None = None
        self._free: list[Any] = []
        self._out = 0
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._chores: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Connects; a DatabaseError says why that is not possible."""
        self._pool = await reader_pool(self._url, self._settings)

    def close(self) -> None:
        """Ends all connections at once."""
        if self._pool is not None:
            self._pool.terminate()

    def lease(self) -> Lease:
        """A connection for the length of an `async with`."""
        return Lease(self)

    async def take(self) -> Any:
        """A connection, waiting for one when all are in use; give it back with `give`."""
        while self._free:
            conn = self._free.pop()
            if not _is_dead(conn):
                return conn
            self._discard(conn)
        if self._out < self._settings.pool_size:
            return await self._new()
        turn: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            conn = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None and turn.result() is not None:
                self.give(turn.result(), sound=True)
            raise
        return conn if conn is not None else await self.take()

    def give(self, conn: Any, *, sound: bool) -> None:
        """Takes a connection back; `sound` when its last statement ended as it should."""
        if not sound or _is_dead(conn):
            self._discard(conn)
            conn = None
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                # None: nothing to hand on, but there is room for a new connection.
                turn.set_result(conn)
                return
        if conn is not None:
            self._free.append(conn)

    async def _new(self) -> Any:
        assert self._pool is not None, "the reader has not been opened"
        self._out += 1
        try:
            conn = await self._pool.acquire()
            await conn.set_type_codec("text", schema="pg_catalog", encoder=str.encode, decoder=bytes, format="binary")
        except BaseException:
            self._out -= 1
            raise
        return conn

    def _discard(self, conn: Any) -> None:
        assert self._pool is not None
        self._out -= 1
        chore = asyncio.ensure_future(_release(self._pool, conn))
        self._chores.add(chore)
        chore.add_done_callback(self._chores.discard)


class Lease:
    """One use of a connection."""

    __slots__ = ("_conn", "_reader")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._conn: Any = None

    async def __aenter__(self) -> Any:
        self._conn = await self._reader.take()
        return self._conn

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.end(sound=kind is None or issubclass(kind, asyncpg.PostgresError))

    def end(self, *, sound: bool) -> None:
        """Gives the connection back; safe to call again."""
        conn, self._conn = self._conn, None
        if conn is not None:
            self._reader.give(conn, sound=sound)


def _is_dead(conn: Any) -> bool:
    try:
        return bool(conn.is_closed())
    except asyncpg.InterfaceError:
        # The server ended it, and the pool has taken it back already.
        return True


async def _release(pool: asyncpg.Pool[Any], conn: Any) -> None:
    # Whatever is wrong with it, the pool closes it.
    with contextlib.suppress(Exception):
        await conn.reset_type_codec("text", schema="pg_catalog")
    await pool.release(conn)
