# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL killed in the middle of a storm of edits: what was acknowledged is there, nothing is there by half, and
the feed of changes goes on without a gap or a repeat."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg2

from geocloud.catalogue.keys import add_key
from geocloud.catalogue.publish import sync
from geocloud.db import cluster as _cluster
from geocloud.db.migrate import migrate
from geocloud.settings import DatabaseSettings
from tests.web.conftest import run_server
from tests.web.editing import ASSET, KINDS, PATCH, POST, Table, asset_spec, draft

ITEMS = f"/collections/{ASSET}/items"
WRITERS, BEFORE, AFTER = 8, 80, 40


class Feed:
    """Follows the feed of changes and comes back behind the last id whenever it breaks off."""

    def __init__(self, base: str) -> None:
        self.base, self.ids, self.fids = base, list[int](), list[int]()
        self.breaks, self.stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self.stop.is_set():
            headers = {"last-event-id": str(self.ids[-1] if self.ids else 0)}
            try:
                with httpx.stream("GET", f"{self.base}/collections/{ASSET}/changes/feed", headers=headers,
                                  timeout=httpx.Timeout(10, read=1)) as answer:  # fmt: skip
                    number = 0
                    for line in answer.iter_lines():
                        if line.startswith("id:"):
                            number = int(line[3:])
                        elif line.startswith("data:") and number:
                            self.ids.append(number)
                            self.fids.append(json.loads(line[5:])["fid"])
                            number = 0
                        if self.stop.is_set():
                            return
            except (httpx.TransportError, httpx.StreamError):
                self.breaks += 1

    def reach(self, count: int) -> None:
        end = time.monotonic() + 30
        while len(self.ids) < count:
            assert time.monotonic() < end, f"only {len(self.ids)} of {count} entries"
            self.stop.wait(0.01)

    def end(self) -> None:
        self.stop.set()
        self._thread.join(30)


class Storm:
    """Clients that create and rename features until told to stop, and what they were told."""

    def __init__(self, base: str, key: str) -> None:
        self.base, self.headers = base, {"authorization": f"Bearer {key}"}
        self.made: dict[int, list[str]] = {}
        self.refused: set[int] = set()
        self.count, self.stop = 0, threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        turn = 0
        with httpx.Client(base_url=self.base, headers=self.headers, timeout=30) as client:
            while not self.stop.is_set():
                turn += 1
                name = f"{number}-{turn}"
                try:
                    made = client.post(ITEMS, json=draft(name=name), headers=POST)
                    self.refused.add(made.status_code)
                    if made.status_code != 201:
                        continue
                    fid, tag = made.json()["id"], made.headers["etag"]
                    self.made[fid] = [name]
                    self.count += 1
                    done = client.patch(f"{ITEMS}/{fid}", json={"properties": {"name": f"{name}b"}},
                                        headers=PATCH | {"if-match": tag})  # fmt: skip
                    self.refused.add(done.status_code)
                    if done.status_code == 200:
                        self.made[fid].append(f"{name}b")
                        self.count += 1
                except httpx.TransportError:
                    continue

    def reach(self, count: int) -> None:
        end = time.monotonic() + 90
        while self.count < count:
            assert time.monotonic() < end, f"only {self.count} of {count} edits"
            self.stop.wait(0.01)

    def end(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join(60)


def _kill_database(settings: DatabaseSettings) -> None:
    """All of PostgreSQL's processes at once, as a machine that loses its power would."""
    pid = int((settings.home / "pg/data/postmaster.pid").read_text().split()[0])
    leader = psutil.Process(pid)
    processes = [leader, *leader.children(recursive=True)]
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(processes, 30)


def test_a_killed_database_loses_nothing_it_acknowledged(
    own_settings: Callable[..., DatabaseSettings], tmp_path: Path
) -> None:
    settings = own_settings()
    urls = _cluster.ensure(settings)
    migrate(urls.owner)
    conn = psycopg2.connect(urls.owner)
    sync(conn, {ASSET: asset_spec()}, {"asset_kind": KINDS})
    key = add_key(conn, "storm", ["*"], needs_version=True)
    conn.close()
    for base in run_server(urls.reader, tmp_path, urls.writer, GEOCLOUD_EDITING="true"):
        feed, storm = Feed(base), Storm(base, key)
        try:
            storm.reach(BEFORE)
            _kill_database(settings)
            _cluster.ensure(settings)
            storm.reach(storm.count + AFTER)
        finally:
            storm.end()
        table = Table(urls.owner)
        log = table.run("SELECT id, fid, op FROM geocloud.change_log WHERE layer = %s ORDER BY id", ASSET)
        try:
            feed.reach(len(log))
        finally:
            feed.end()
    assert storm.refused <= {200, 201, 503, 412, 404, 410, 504}
    _check(table, storm)
    assert feed.breaks >= 1
    assert feed.ids == [r["id"] for r in log]
    assert feed.fids == [r["fid"] for r in log]


def _check(table: Table, storm: Storm) -> None:
    """Each edit that was acknowledged is the last of its feature or in its past; the record agrees with itself."""
    current = {r["fid"]: r["name"] for r in table.run("SELECT fid, name FROM test.asset")}
    past: dict[int, list[Any]] = {}
    for row in table.run('SELECT fid, name FROM history."test.asset" WHERE isfinite(sys_to) ORDER BY sys_from'):
        past.setdefault(row["fid"], []).append(row["name"])
    for fid, names in storm.made.items():
        said = [*past.get(fid, []), current[fid]]
        # One more than was told is what had been committed before its answer went out.
        assert said[: len(names)] == names and len(said) <= 2, (fid, names, said)
    (state,) = table.run("SELECT row_count, version FROM geocloud.layer_state WHERE layer = %s", ASSET)
    assert state["row_count"] == len(current)
    counts = {r["op"]: r["n"] for r in table.run(
        "SELECT op, count(*) AS n FROM geocloud.change_log WHERE layer = %s GROUP BY op", ASSET)}  # fmt: skip
    assert counts["insert"] == len(current)
    assert counts["update"] == sum(len(names) for names in past.values())
    gaps = table.run(
        'SELECT o.fid FROM history."test.asset" o WHERE isfinite(o.sys_to) AND NOT EXISTS (SELECT FROM test.asset n '
        "WHERE n.fid = o.fid AND n.sys_from = o.sys_to)"
    )
    assert gaps == []
