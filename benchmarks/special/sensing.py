# SPDX-License-Identifier: Apache-2.0
"""Readings: batches over HTTP while 16 clients read, newest values in a box, a year of hours of one station.

All on a scratch cluster whose commits reach the disk, with 50,000 devices at random places.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from threading import Event, Thread

import asyncpg
import orjson
import psycopg2

from benchmarks.city import SEED
from benchmarks.ground import MEMORY_MB
from benchmarks.peers.geocloud import WORKERS
from benchmarks.process import Server, free_port, get, spent
from benchmarks.report import Finding
from benchmarks.special.base import Context, special
from geocloud.catalogue.keys import add_key
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls, session
from geocloud.db.migrate import migrate
from geocloud.sensing.directory import register
from geocloud.sensing.model import Datastream
from geocloud.settings import CitySettings, DatabaseSettings

__all__ = ["measured", "prepare", "readings"]

_LAYER = "facility.air_station"
DEVICES, _SENDERS, _READERS, _BATCH = 50_000, 2, 16, 20_000
# A reader asks again so long after its answer: sixteen open maps, not a load test of reading.
_PAUSE_S = 0.25
_RATE, _LATEST_MS, _YEAR_MS = 50_000, 50, 50
_START = datetime(2026, 3, 1, tzinfo=UTC)
# Batches that each sender holds ready; a sender that has sent all of them ends early.
_READY = {"small": 20, "city": 60, "province": 60}


@special("sensing", "readings: batches while 16 clients read, newest values, a year of hours")
def readings(context: Context) -> list[Finding]:
    """Every reading that was acknowledged is then looked for in the database."""
    return measured(context.folder / "sensing", context.ground.size, max(4.0, 4 * context.seconds), context.say)


def measured(folder: Path, size: str, seconds: float, say: Callable[[str], None]) -> list[Finding]:
    """The findings, on a scratch cluster below `folder`."""
    folder.mkdir(parents=True)
    settings = DatabaseSettings(
        home=folder, database_url=None, database_port=free_port(), database_memory_mb=MEMORY_MB["small"]
    )
    with session(settings, lambda *_: None) as urls:
        say(f"{DEVICES:,} devices")
        key, ids = prepare(urls, DEVICES)
        server = Server("sensing", free_port(), folder)
        env = {
            "GEOCLOUD_HOME": str(folder), "GEOCLOUD_DATABASE_PORT": str(settings.database_port),
            "GEOCLOUD_PORT": str(server.port), "GEOCLOUD_WORKERS": str(WORKERS), "GEOCLOUD_EDITING": "true",
            "GEOCLOUD_DEMO": "none", "GEOCLOUD_JOB_WORKERS": "0",
        }  # fmt: skip
        try:
            server.run([sys.executable, "-m", "geocloud.cli", "serve"], env=env)
            server.wait("/health")
            say("batches while clients read")
            found = [_storm(server, urls, key, ids, seconds, _READY[size])]
            say("newest values, a year of hours")
            return [*found, *_latest(server), _year(server, urls, key)]
        finally:
            server.stop()


def prepare(urls: Urls, devices: int) -> tuple[str, list[int]]:
    """Devices at random places, a datastream each; a key, and ids of the datastreams."""
    migrate(urls.owner)
    layers, codes = read_layers(CitySettings().layers_folder)
    draw = random.Random(f"{SEED}-sensing")
    places = [(f"S{n:05}", draw.uniform(115.3, 116.5), draw.uniform(35.8, 37.0)) for n in range(devices)]
    with closing(psycopg2.connect(urls.owner)) as conn:
        sync(conn, {_LAYER: layers[_LAYER]}, codes)
        with conn, conn.cursor() as cur:
            cur.execute(
                "INSERT INTO facility.air_station (code, name, geom) SELECT p->>0, p->>0, "
                "ST_SetSRID(ST_Point((p->>1)::float8, (p->>2)::float8), 4490) FROM json_array_elements(%s::json) p",
                (json.dumps(places),),
            )
        key = add_key(conn, "bench", [_LAYER])
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')")
            if cur.fetchone() != ("on", "on"):
                raise RuntimeError("commits of the scratch cluster do not reach the disk")

    async def streams() -> list[int]:
        conn = await asyncpg.connect(urls.writer)
        try:
            for begin in range(0, devices, 10_000):
                some = [
                    Datastream(layer=_LAYER, device=code, property="PM2.5", unit="ug/m3", minimum=0, maximum=1000,
                               interval_s=60, synthetic=True)
                    for code, _, _ in places[begin : begin + 10_000]
                ]  # fmt: skip
                await register(conn, some)
            return [r[0] for r in await conn.fetch("SELECT id FROM sensing.datastream ORDER BY id")]
        finally:
            await conn.close()

    ids = asyncio.run(streams())
    with closing(psycopg2.connect(urls.owner)) as conn:
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute("VACUUM ANALYZE facility.air_station")
            cur.execute("VACUUM ANALYZE sensing.datastream")
    return key, ids


@dataclass(frozen=True)
class _Sent:
    seconds: float
    stored: int
    batches: int
    errors: list[str]


def _storm(server: Server, urls: Urls, key: str, ids: Sequence[int], seconds: float, ready: int) -> Finding:
    spawn = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for n in range(_SENDERS):
        here, there = spawn.Pipe()
        mine = list(ids[n::_SENDERS])
        process = spawn.Process(target=_send, args=(there, server.port, key, mine, seconds, ready), daemon=True)
        process.start()
        pipes.append(here)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()
    stop, times, failed = Event(), list[float](), list[str]()
    readers = [Thread(target=_read, args=(server.port, n, stop, times, failed)) for n in range(_READERS)]
    for r in readers:
        r.start()
    before = server.cpu()
    for pipe in pipes:
        pipe.send("go")
    sent: list[_Sent] = [pipe.recv() for pipe in pipes]
    processor = spent(before, server.cpu())
    stop.set()
    for r in readers:
        r.join()
    for process in processes:
        process.join(30)
    stored = sum(s.stored for s in sent)
    with closing(psycopg2.connect(urls.owner)) as conn, conn.cursor() as cur:
        cur.execute("SELECT count(*), (SELECT count(*) FROM sensing.latest) FROM sensing.observation")
        kept = cur.fetchone()
    errors = [e for s in sent for e in s.errors] + failed
    if errors or kept is None or kept[0] != stored:
        raise RuntimeError(f"{errors[:2]}: {stored} acknowledged, {kept} kept")
    rate = sum(s.stored / s.seconds for s in sent)
    times.sort()
    read = f"{len(times)} reads of a 2 km box meanwhile, median {median(times) * 1e3:.0f} ms, 95 % within "
    detail = (
        f"{stored:,} readings in {sum(s.batches for s in sent)} batches of {_BATCH:,}, each datastream at most once in "
        f"a batch; {processor / stored * 1e6:.1f} µs of the web server's processor each, reads included; {read}"
        f"{times[int(len(times) * 0.95)] * 1e3:.0f} ms; all found again in the database"
    )
    return Finding(
        "sensing", f"readings kept over HTTP, {_SENDERS} senders, {_READERS} clients reading", rate, "a second",
        f"{_RATE:,}", rate >= _RATE, detail,
    )  # fmt: skip


def _send(pipe: Connection, port: int, key: str, ids: list[int], seconds: float, ready: int) -> None:
    draw = random.Random(f"{SEED}-{ids[0]}")
    bodies, place = list[bytes](), 0
    for _ in range(ready):
        body = []
        for _ in range(_BATCH):
            at = (_START + timedelta(minutes=place // len(ids))).isoformat()
            body.append({"datastream": ids[place % len(ids)], "time": at, "value": round(draw.uniform(1, 300), 1)})
            place += 1
        bodies.append(orjson.dumps(body))
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Content-Type": "application/json", "X-Api-Key": key}
    stored, done, errors = 0, 0, list[str]()
    pipe.send("ready")
    pipe.recv()
    begun = time.perf_counter()
    for body in bodies:
        conn.request("POST", "/sensing/observations", body, headers)
        answer = conn.getresponse()
        text = answer.read()
        if answer.status != 200:
            errors.append(f"{answer.status} {text[:200]!r}")
            break
        stored += json.loads(text)["stored"]
        done += 1
        if time.perf_counter() - begun >= seconds:
            break
    pipe.send(_Sent(time.perf_counter() - begun, stored, done, errors))


def _read(port: int, number: int, stop: Event, times: list[float], failed: list[str]) -> None:
    draw = random.Random(f"{SEED}-reader-{number}")
    while not stop.is_set():
        answer = get(port, f"/sensing/latest?bbox={_box(draw, 0.02)}", {}, timeout=60)
        if answer.status != 200:
            failed.append(f"reader: {answer.status}")
            return
        times.append(answer.seconds)
        stop.wait(_PAUSE_S)


def _box(draw: random.Random, degrees: float) -> str:
    x, y = draw.uniform(115.3, 116.5 - degrees), draw.uniform(35.8, 37.0 - degrees)
    return f"{x:.5f},{y:.5f},{x + degrees:.5f},{y + degrees:.5f}"


def _latest(server: Server) -> list[Finding]:
    """The first request of each kind is left out; the others each ask for another box."""
    found = []
    draw = random.Random(f"{SEED}-latest")
    for title, degrees, limit, target in (
        ("2 km box", 0.02, 1_000, _LATEST_MS),
        ("box with about 1,000 devices", 0.17, 2_000, _LATEST_MS),
        ("all devices of the city in one answer", 1.2, 50_000, None),
    ):
        answers = [
            get(server.port, f"/sensing/latest?bbox={_box(draw, degrees)}&limit={limit}", {}, timeout=60)
            for _ in range(11)
        ][1:]
        if any(a.status != 200 for a in answers):
            raise RuntimeError(f"latest: {[a.status for a in answers]}")
        ms = median(a.seconds for a in answers) * 1e3
        rows = median(len(json.loads(a.body)["features"]) for a in answers)
        detail = f"{rows:.0f} features of {DEVICES:,} devices, nothing kept, median of {len(answers)}"
        wanted = f"below {target} ms" if target else ""
        found.append(Finding("sensing", f"newest values, {title}", ms, "ms", wanted, ms < target if target else None,
                             detail))  # fmt: skip
    return found


def _year(server: Server, urls: Urls, key: str) -> Finding:
    """8,760 hours of one station, sent over HTTP, read as hourly buckets with nulls for gaps."""
    with closing(psycopg2.connect(urls.owner)) as conn, conn.cursor() as cur:
        cur.execute("SELECT max(id) FROM sensing.datastream")
        row = cur.fetchone()
    assert row is not None
    start = datetime(2025, 1, 1, tzinfo=UTC) - timedelta(hours=8)
    body = orjson.dumps(
        [
            {"datastream": row[0], "time": (start + timedelta(hours=h)).isoformat(), "value": 1.0 + h % 90}
            for h in range(8_760)
            if h % 97
        ]
    )
    conn_http = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    headers = {"Content-Type": "application/json", "X-Api-Key": key}
    conn_http.request("POST", "/sensing/observations", body, headers)
    if conn_http.getresponse().status != 200:
        raise RuntimeError("a year of hours was not taken")
    path = f"/sensing/datastreams/{row[0]}/observations?bucket=1h&datetime=2025-01-01/2025-12-31"
    answers = [get(server.port, path, {}, timeout=60) for _ in range(11)][1:]
    buckets = json.loads(answers[0].body)["buckets"]
    gaps = sum(b["mean"] is None for b in buckets)
    if len(buckets) != 8_760 or gaps != len(range(0, 8_760, 97)):
        raise RuntimeError(f"a year has {len(buckets)} hours and {gaps} gaps")
    ms = median(a.seconds for a in answers) * 1e3
    detail = (
        f"{len(buckets):,} buckets, {gaps} of them null, {len(answers[0].body) / 1024:.0f} kB, median of {len(answers)}"
    )
    return Finding("sensing", "a year of hours of one station", ms, "ms", f"below {_YEAR_MS} ms", ms < _YEAR_MS, detail)
