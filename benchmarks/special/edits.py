# SPDX-License-Identifier: Apache-2.0
"""Single edits through HTTP by 16 clients: history, change log, tile overview and commit to disk included."""

from __future__ import annotations

import http.client
import io
import json
import multiprocessing
import random
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median
from threading import Barrier, Thread
from typing import Any

import psycopg2

from benchmarks.city import COMPONENT, SEED
from benchmarks.ground import MEMORY_MB
from benchmarks.peers.geocloud import WORKERS
from benchmarks.process import Server, free_port, spent
from benchmarks.report import Finding
from benchmarks.special.base import Context, special
from geocloud.catalogue.keys import add_key
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import Access, read_layers
from geocloud.db.cluster import Urls, session
from geocloud.db.migrate import migrate
from geocloud.settings import CitySettings, DatabaseSettings

__all__ = ["edited"]

_CLIENTS, _PROCESSES, _OF_EACH, _LEAST = 16, 2, 40, 500.0
_ROWS = {"small": 20_000, "city": 200_000, "province": 200_000}


@dataclass(frozen=True)
class _Edited:
    """What one client was told: how many edits, their times, and the last text of each feature."""

    seconds: list[float]
    texts: dict[int, str]
    errors: list[str]


@special("edits", "single edits through HTTP by 16 clients, synchronous commit")
def edited(context: Context) -> list[Finding]:
    """Half of the edits change an attribute, half the place; each names the version it is made from."""
    import sys

    home = context.folder / "edits"
    home.mkdir()
    settings = DatabaseSettings(
        home=home, database_url=None, database_port=free_port(), database_memory_mb=MEMORY_MB["small"]
    )
    with session(settings, lambda *_: None) as urls:
        key, fids = _prepare(urls, context)
        server = Server("edits", free_port(), home)
        env = {
            "GEOCLOUD_HOME": str(home),
            "GEOCLOUD_DATABASE_PORT": str(settings.database_port),
            "GEOCLOUD_PORT": str(server.port),
            "GEOCLOUD_WORKERS": str(WORKERS),
            "GEOCLOUD_EDITING": "true",
            "GEOCLOUD_DEMO": "none",
        }
        try:
            server.run([sys.executable, "-m", "geocloud.cli", "serve"], env=env)
            server.wait("/health")
            seconds = max(2.0, 3 * context.seconds)
            rates, processor, every = [], [], list[_Edited]()
            for n in range(max(1, context.rounds)):
                mine = fids[n * _CLIENTS * _OF_EACH : (n + 1) * _CLIENTS * _OF_EACH]
                before = server.cpu()
                rate, done = _storm(server.port, key, mine, seconds)
                rates.append(rate)
                processor.append(spent(before, server.cpu()) * 1e3 / max(1, sum(len(d.seconds) for d in done)))
                every += done
        finally:
            server.stop()
        wrong = _check(urls, every)
    errors = [e for d in every for e in d.errors]
    if errors or wrong:
        raise RuntimeError("; ".join([*errors[:2], *wrong[:3]]))
    times = sorted(s for d in every for s in d.seconds)
    rate = median(rates)
    detail = (
        f"{len(times)} edits of {len(every) * _OF_EACH} features, median {median(times) * 1e3:.1f} ms, 99 % within "
        f"{times[int(len(times) * 0.99)] * 1e3:.1f} ms; {median(processor):.2f} ms of the server's processor each; "
        "every one found again in table, history, change log and tile overview"
    )
    return [Finding("edits", "single edits, 16 clients", rate, "a second", f"{_LEAST:g}", rate >= _LEAST, detail)]


def _prepare(urls: Urls, context: Context) -> tuple[str, list[int]]:
    """The layer of city components with rows of the city, open for editing; a key and ids of features."""
    rows = _ROWS[context.ground.size]
    migrate(urls.owner)
    layers, codes = read_layers(CitySettings().layers_folder)
    spec = layers[COMPONENT].model_copy(update={"access": Access(edit=True)})
    names = ", ".join(f'"{f.name}"' for f in spec.fields) + ", geom"
    copied = io.StringIO()
    with closing(psycopg2.connect(context.ground.urls.owner)) as source, source.cursor() as cur:
        table = '"{}"."{}"'.format(*COMPONENT.split("."))
        cur.copy_expert(f"COPY (SELECT {names} FROM {table} ORDER BY fid LIMIT {rows}) TO STDOUT", copied)
    copied.seek(0)
    with closing(psycopg2.connect(urls.owner)) as conn:
        sync(conn, {COMPONENT: spec}, codes)
        with conn, conn.cursor() as cur:
            cur.copy_expert(f"COPY {table} ({names}) FROM STDIN", copied)
        with conn, conn.cursor() as cur:
            cur.execute(f"SELECT fid FROM {table} ORDER BY fid")
            fids = [r[0] for r in cur.fetchall()]
        key = add_key(conn, "bench", [COMPONENT])
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')")
            if cur.fetchone() != ("on", "on"):
                raise RuntimeError("commits of the scratch cluster do not reach the disk")
            cur.execute(f"VACUUM ANALYZE {table}")
    random.Random(f"{SEED}-edits-http").shuffle(fids)
    return key, fids


def _storm(port: int, key: str, fids: Sequence[int], seconds: float) -> tuple[float, list[_Edited]]:
    """Edits a second of all clients together, and what each was told; the clients live in processes of their own."""
    spawn = multiprocessing.get_context("spawn")
    share = len(fids) // _PROCESSES
    pipes, processes = [], []
    for n in range(_PROCESSES):
        here, there = spawn.Pipe()
        mine = list(fids[n * share : (n + 1) * share])
        process = spawn.Process(target=_clients, args=(there, port, key, mine, seconds), daemon=True)
        process.start()
        pipes.append(here)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()
    for pipe in pipes:
        pipe.send("go")
    answers = [pipe.recv() for pipe in pipes]
    for process in processes:
        process.join(30)
    done = [d for _, told in answers for d in told]
    return sum(len(d.seconds) for d in done) / max(took for took, _ in answers), done


def _clients(pipe: Connection, port: int, key: str, fids: list[int], seconds: float) -> None:
    count = _CLIENTS // _PROCESSES
    found: list[_Edited] = []
    ready = Barrier(count + 1)
    threads = [Thread(target=_client, args=(port, key, fids[n::count], seconds, ready, found, n)) for n in range(count)]
    for thread in threads:
        thread.start()
    ready.wait()
    pipe.send("ready")
    pipe.recv()
    begun = time.perf_counter()
    ready.wait()
    for thread in threads:
        thread.join()
    pipe.send((time.perf_counter() - begun, found))


def _client(
    port: int, key: str, fids: list[int], seconds: float, ready: Barrier, found: list[_Edited], number: int
) -> None:
    draw = random.Random(number)
    told = _Edited([], {}, [])
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {
        "Authorization": f"Bearer {key}", "Content-Type": "application/merge-patch+json", "Prefer": "return=minimal",
    }  # fmt: skip
    tags: dict[int, tuple[str, list[float]]] = {}
    for fid in fids:
        conn.request("GET", f"/collections/{COMPONENT}/items/{fid}?f=json")
        answer = conn.getresponse()
        document = json.loads(answer.read())
        tags[fid] = answer.headers["etag"], document["geometry"]["coordinates"]
    ready.wait()
    ready.wait()
    until, n = time.perf_counter() + seconds, 0
    while time.perf_counter() < until:
        fid = fids[n % len(fids)]
        n += 1
        tag, place = tags[fid]
        if n % 2:
            text = f"edit {number}-{n}"
            body: dict[str, Any] = {"properties": {"note": text}}
        else:
            moved = [c + draw.uniform(-1e-4, 1e-4) for c in place]
            body = {"geometry": {"type": "Point", "coordinates": moved}}
        begun = time.perf_counter()
        address = f"/collections/{COMPONENT}/items/{fid}"
        conn.request("PATCH", address, json.dumps(body), headers | {"If-Match": tag})
        answer = conn.getresponse()
        said = answer.read()
        told.seconds.append(time.perf_counter() - begun)
        if answer.status != 204:
            told.errors.append(f"{answer.status} {said[:200]!r}")
            break
        tags[fid] = answer.headers["etag"], place
        if n % 2:
            told.texts[fid] = text
    conn.close()
    found.append(told)


def _check(urls: Urls, every: Sequence[_Edited]) -> list[str]:
    """What is not in the database as it was acknowledged."""
    texts = {fid: text for d in every for fid, text in d.texts.items()}
    edits = sum(len(d.seconds) for d in every)
    wrong = []
    with closing(psycopg2.connect(urls.owner)) as conn, conn.cursor() as cur:
        table = '"{}"."{}"'.format(*COMPONENT.split("."))
        cur.execute(f"SELECT fid, note FROM {table} WHERE fid = ANY (%s)", (list(texts),))
        wrong += [f"feature {fid} says {note!r}" for fid, note in cur.fetchall() if note != texts[fid]]
        cur.execute("SELECT count(*) FROM geocloud.change_log WHERE op = 'update' AND by_name = 'bench'")
        counts = {"the change log": cur.fetchone()[0]}
        cur.execute(f"SELECT count(*) FROM history.\"{COMPONENT}\" WHERE sys_to < 'infinity'")
        counts["history"] = cur.fetchone()[0]
        wrong += [f"{where} has {n} of {edits} edits" for where, n in counts.items() if n != edits]
        cur.execute(
            f'SELECT sum(n) FROM tiles."{COMPONENT}" WHERE level = (SELECT max(level) FROM tiles."{COMPONENT}")'
        )
        counted = cur.fetchone()[0]
        cur.execute(f"SELECT count(*) FROM {table}")
        if counted != cur.fetchone()[0]:
            wrong.append("the overview does not count every row once")
    return wrong
