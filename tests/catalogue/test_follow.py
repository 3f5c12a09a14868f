# SPDX-License-Identifier: Apache-2.0
"""Registries of running servers follow what is published, through noise and lost connections."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from geocloud.catalogue.registry import Catalogue, Registry
from geocloud.db.cluster import Urls
from tests.catalogue.lab import as_role, publish, rows, spec


class Watcher:
    """A registry with a way to wait until its catalogue satisfies a condition."""

    def __init__(self, url: str) -> None:
        self.registry = Registry(url, self._changed)
        self._seen = asyncio.Event()

    def _changed(self, _: Catalogue) -> None:
        self._seen.set()

    async def until(self, condition: Any, seconds: float = 1.0) -> float:
        start = time.monotonic()
        async with asyncio.timeout(seconds):
            while not condition(self.registry.current):
                self._seen.clear()
                await self._seen.wait()
        return time.monotonic() - start


def watch(urls: Urls, body: Any) -> None:
    async def run() -> None:
        watcher = Watcher(urls.reader)
        await watcher.registry.start()
        try:
            await body(watcher)
        finally:
            await watcher.registry.stop()

    asyncio.run(run())


def test_running_registry_follows_within_a_second(conn: Any, fresh_urls: Urls) -> None:
    publish(conn, spec())

    async def body(w: Watcher) -> None:
        assert list(w.registry.current.layers) == ["lab.thing"]
        held = w.registry.current
        await asyncio.to_thread(publish, conn, spec(note="text"), spec("lab.other"))
        await w.until(lambda c: "lab.other" in c.layers and len(c.layer("lab.thing").spec.fields) == 2)
        assert list(held.layers) == ["lab.thing"], "what a request holds does not change under it"
        version = w.registry.current.layer("lab.thing").state.version
        await asyncio.to_thread(rows, conn, "INSERT INTO lab.thing (code, geom) VALUES ('a', ST_Point(116, 36, 4490))")
        await w.until(lambda c: c.layer("lab.thing").state.version == version + 1)
        state = w.registry.current.layer("lab.thing").state
        assert (state.row_count, state.extent) == (1, (116, 36, 116, 36))
        await asyncio.to_thread(publish, conn, spec("lab.other"))
        await w.until(lambda c: list(c.layers) == ["lab.other"])

    watch(fresh_urls, body)


def test_registry_survives_noise_and_a_lost_connection(conn: Any, fresh_urls: Urls) -> None:
    publish(conn, spec())

    async def body(w: Watcher) -> None:
        for noise in ("", "no json", "[]", "3", '{"layer": ["x"]}', '{"layer": "no.such"}'):
            await asyncio.to_thread(rows, conn, "SELECT pg_notify('geocloud', %s)", noise)
        await asyncio.to_thread(rows, conn, "INSERT INTO lab.thing (code) VALUES ('a')")
        await w.until(lambda c: c.layer("lab.thing").state.row_count == 1)
        who = "FROM pg_stat_activity WHERE application_name = 'geocloud registry' AND datname = current_database()"
        for n in (2, 3):
            ended = await asyncio.to_thread(as_role, fresh_urls.reader, f"SELECT pid, pg_terminate_backend(pid) {who}")
            await asyncio.to_thread(rows, conn, "INSERT INTO lab.thing (code) VALUES (%s)", f"b{n}")
            await w.until(lambda c, n=n: c.layer("lab.thing").state.row_count == n, seconds=5)
            now = await asyncio.to_thread(as_role, fresh_urls.reader, f"SELECT pid {who}")
            assert len(now) == 1
            assert now[0][0] != ended[0][0]

    watch(fresh_urls, body)


def test_registry_refuses_to_start_without_a_database(fresh_urls: Urls) -> None:
    registry = Registry(fresh_urls.reader.replace("geocloud", "geocloud_nobody", 1))
    with pytest.raises(Exception, match=r"password|role|authentication"):
        asyncio.run(registry.start())
