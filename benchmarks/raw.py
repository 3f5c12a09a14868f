# SPDX-License-Identifier: Apache-2.0
"""*raw*, the floor: uvloop, asyncpg, and SQL that writes the whole body.

No routing, no links, no counts, no checks, no limits: what is left is HTTP parsing of the plainest kind, one
prepared statement and one write. A request is `/<statement>?<argument>,<argument>`; the statements come as JSON on
standard input: `{"port", "dsn", "processes", "connections", "statements": {name: {"sql", "types"}}}` with types
`int`, `float` or `str` by position. Text is taken from the database as bytes and never decoded.

    python -m benchmarks.raw < config.json
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import asyncpg
import uvloop

__all__ = ["main"]

_TYPES: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": lambda text: unquote(text).encode()}


class _Pool:
    """Connections with every statement prepared; waiting requests are served in the order they came."""

    def __init__(self, statements: dict[str, Any]) -> None:
        self.kinds = {name: [_TYPES[t] for t in s["types"]] for name, s in statements.items()}
        self.sql = {name: s["sql"] for name, s in statements.items()}
        self.free: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def open(self, dsn: str, size: int) -> None:
        for _ in range(size):
            conn = await asyncpg.connect(dsn)
            await conn.set_type_codec("text", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")
            self.free.put_nowait({name: await conn.prepare(sql) for name, sql in self.sql.items()})

    async def fetch(self, name: str, arguments: str) -> bytes | None:
        values = [kind(text) for kind, text in zip(self.kinds[name], arguments.split(","), strict=True)]
        prepared = await self.free.get()
        try:
            body: bytes | None = await prepared[name].fetchval(*values)
            return body
        finally:
            self.free.put_nowait(prepared)


class _Http(asyncio.Protocol):
    """GET with keep-alive, nothing else."""

    def __init__(self, pool: _Pool) -> None:
        self.pool = pool
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.buffer.endswith(b"\r\n\r\n"):
            path = self.buffer[5 : self.buffer.index(b" ", 5)].decode()
            self.buffer = b""
            self.task = asyncio.create_task(self._answer(path))

    def connection_lost(self, _exc: Exception | None) -> None:
        self.transport = None

    async def _answer(self, path: str) -> None:
        name, _, arguments = path.partition("?")
        try:
            body = await self.pool.fetch(name, arguments)
        except KeyError:
            head, body = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", b""
        except Exception as exc:
            body = repr(exc).encode()
            head = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: %d\r\n\r\n" % len(body)
        else:
            body = body or b""
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/geo+json\r\nContent-Length: %d\r\n\r\n" % len(body)
        if self.transport is not None:
            self.transport.write(head + body if len(body) < 65536 else head)
            if len(body) >= 65536:
                self.transport.write(body)


async def _serve(listener: socket.socket, config: dict[str, Any]) -> None:
    pool = _Pool(config["statements"])
    await pool.open(config["dsn"], config["connections"])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Http(pool), sock=listener)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.close()


def main() -> None:
    """Reads the configuration and serves until terminated; one listening socket is shared by all processes."""
    config = json.load(sys.stdin)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", config["port"]))
    listener.listen(1024)
    listener.setblocking(False)
    children = []
    for _ in range(config["processes"]):
        pid = os.fork()
        if pid == 0:
            uvloop.run(_serve(listener, config))
            os._exit(0)
        children.append(pid)

    def stop(*_: object) -> None:
        for child in children:
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
