# SPDX-License-Identifier: Apache-2.0
"""Which driver for the web: psycopg2 in threads or asyncpg, on the statements of an item and of 1,000 items.

Each is the bare loop of a web worker: sixteen tasks over four connections in one event loop, for some seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import asyncpg
import psycopg2
import uvloop

from benchmarks.city import COMPONENT
from benchmarks.peers.raw import statements
from benchmarks.report import Finding
from benchmarks.special.base import Context, special

__all__ = ["drivers"]

CONNECTIONS, TASKS = 4, 16


@special("drivers", "web drivers: psycopg2 in threads against asyncpg")
def drivers(context: Context) -> list[Finding]:
    """Statements a second in one process, interleaved rounds, medians."""
    city = context.ground.city
    fids = city.random_fids(COMPONENT, 500)
    asked = statements(city, city.layers[COMPONENT])
    found = []
    for title, name, values in (("item", "item", fids), ("1,000 items", "first", [1000])):
        sql = asked[f"{name}/{COMPONENT}"]["sql"]
        rate: dict[str, list[tuple[float, float]]] = {"psycopg2": [], "asyncpg": []}
        for _ in range(context.rounds):
            for driver, loop in (("psycopg2", _psycopg2), ("asyncpg", _asyncpg)):
                rate[driver].append(uvloop.run(loop(city.dsn, sql, values, context.seconds)))
        for driver, rounds in rate.items():
            value, cpu = median(r[0] for r in rounds), median(r[1] for r in rounds)
            ratio = value / median(r[0] for r in rate["psycopg2"])
            detail = (
                f"{ratio:.2f} times psycopg2, {cpu:.3f} ms of processor a statement; "
                f"one process, {CONNECTIONS} connections, {TASKS} tasks"
            )
            found.append(Finding("web driver", f"{title}: {driver}", value, "statements/s", detail=detail))
    return found


async def _asyncpg(dsn: str, sql: str, values: list[int], seconds: float) -> tuple[float, float]:
    pool = await asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS, reset=_no_reset)

    async def once(value: int) -> None:
        await pool.fetchval(sql, value)

    try:
        return await _loop(once, values, seconds)
    finally:
        pool.terminate()


async def _no_reset(_conn: Any) -> None:
    """As the web server does: no RESET ALL after each statement."""


async def _psycopg2(dsn: str, sql: str, values: list[int], seconds: float) -> tuple[float, float]:
    # psycopg2 takes %s; the statement is prepared once a connection, as asyncpg does by itself.
    free: queue.SimpleQueue[Any] = queue.SimpleQueue()
    connections = [psycopg2.connect(dsn) for _ in range(CONNECTIONS)]
    for conn in connections:
        conn.autocommit = True
        cur = conn.cursor()
        cur.execute(f"PREPARE asked (bigint) AS {sql}")
        free.put(cur)
    loop = asyncio.get_running_loop()
    threads = ThreadPoolExecutor(CONNECTIONS)

    def run(value: int) -> bytes:
        cur = free.get()
        try:
            cur.execute("EXECUTE asked (%s)", (value,))
            return bytes(cur.fetchone()[0], "utf-8")
        finally:
            free.put(cur)

    async def once(value: int) -> None:
        await loop.run_in_executor(threads, run, value)

    try:
        return await _loop(once, values, seconds)
    finally:
        threads.shutdown()
        for conn in connections:
            conn.close()


async def _loop(once: Callable[[int], Awaitable[None]], values: list[int], seconds: float) -> tuple[float, float]:
    """Statements a second, and ms of this process's processor time a statement."""
    turn = itertools.cycle(values)
    for _ in range(CONNECTIONS * 5):
        await once(next(turn))
    done, begun, cpu = 0, time.perf_counter(), time.process_time()

    async def task() -> None:
        nonlocal done
        while time.perf_counter() - begun < seconds:
            await once(next(turn))
            done += 1

    await asyncio.gather(*(task() for _ in range(TASKS)))
    elapsed, spent = time.perf_counter() - begun, time.process_time() - cpu
    return done / elapsed, spent * 1e3 / done
