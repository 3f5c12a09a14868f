# SPDX-License-Identifier: Apache-2.0
"""A server with workers over public and internal layers, for the tests of `access: {read: internal}`.

What only internal layers hold has `zqx` in it: ids, titles, values, codes, devices. A layer that does not exist is
called the same with `nil`, and is to be answered with the very same words.
"""

from __future__ import annotations

import asyncio
import io
import json
import multiprocessing
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psycopg2
import pytest

from geocloud.catalogue.keys import add_key
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import CodeList, LayerSpec
from geocloud.db.cluster import Urls
from geocloud.jobs.worker import Links, supervise
from geocloud.sectors import registry
from geocloud.sensing.directory import register
from geocloud.sensing.inlet import Inlet
from geocloud.sensing.model import Datastream
from geocloud.sensing.parse import Defaults, read_record
from geocloud.settings import SensingSettings
from tests.jobs.conftest import settings_of, stop_workers
from tests.web.conftest import run_server

OPEN, AREA, DEPOT, YARD, GRID = "test.open", "test.area", "zqx.depot", "zqx.yard", "grid.zqx"
# An internal zoning: its id is a word of the house, its title and its rows are not.
VILLAGE = "base.village"
INTERNAL = (DEPOT, YARD, GRID, VILLAGE)


def _spec(layer: str, geometry: str, word: str, *, internal: bool, **more: Any) -> LayerSpec:
    both = {"zh": f"{word} 图层", "en": f"{word} layer"}
    fields = [
        {"name": "code", "title": both, "required": True},
        {"name": "name", "title": both},
        {"name": "kind", "title": both, "codes": f"{word}_kind"},
        {"name": "height", "type": "number", "title": both},
    ]
    return LayerSpec.model_validate(
        {"id": layer, "title": both, "description": both, "geometry": geometry, "key": ["code"], "fields": fields,
         "keywords": [word], "style": {"color_by": "kind", "label": "name"},
         "tiles": {"min_zoom": 0, "bands": [{"zoom": 0, "fields": ["code", "name", "kind"]}]},
         "access": {"read": "internal" if internal else "public", "edit": True}} | more
    )  # fmt: skip


def _codes(word: str) -> CodeList:
    return CodeList.model_validate(
        {"name": f"{word}_kind", "title": {"zh": word, "en": word}, "source": f"{word} tests",
         "codes": [{"code": f"{word}1", "title": {"zh": f"{word} 甲", "en": f"{word} A"}}]}
    )  # fmt: skip


SPECS = [
    _spec(OPEN, "point", "open", internal=False),
    _spec(AREA, "multipolygon", "area", internal=False),
    _spec("base.county", "multipolygon", "county", internal=False),
    _spec(DEPOT, "point", "zqx", internal=True),
    _spec(YARD, "multipolygon", "zqx", internal=True),
    _spec(GRID, "multipolygon", "zqx", internal=True),
    _spec(VILLAGE, "multipolygon", "zqx", internal=True),
]
CODES = {c.name: c for c in map(_codes, ("open", "area", "county", "zqx"))}


def publish(urls: Urls, *, area_internal: bool = False) -> None:
    specs = {s.id: s for s in SPECS}
    if area_internal:
        specs[AREA] = _spec(AREA, "multipolygon", "area", internal=True)
    conn = psycopg2.connect(urls.owner)
    sync(conn, specs, CODES)
    conn.close()


@dataclass
class House:
    urls: Urls
    base: str
    key: str
    streams: dict[str, int]
    cache: Path

    def run(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        conn = psycopg2.connect(self.urls.owner)
        with conn, conn.cursor() as cur:
            cur.execute(sql, args)
            rows = cur.fetchall() if cur.description else []
        conn.close()
        return rows


def _work(links: Links) -> None:
    supervise(settings_of(job_memory_mb=2048), links, registry.processes)


def serve_house(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Public and internal layers with one row each at the same place, workers, and a server with editing."""
    publish(urls)
    found = House(urls, "", "", {}, tmp_path_factory.mktemp("tile_cache"))
    for spec in SPECS:
        word = spec.keywords[0]
        shape = "ST_SetSRID(ST_Point(116.0, 36.5), 4490)"
        if spec.geometry != "point":
            shape = "ST_Multi(ST_MakeEnvelope(115.9, 36.4, 116.1, 36.6, 4490))"
        theme, name = spec.id.split(".")
        for n in (1, 2):
            # Written, then changed: there are versions, changes and a past.
            found.run(
                f'INSERT INTO "{theme}"."{name}" (code, name, kind, height, geom) VALUES (%s, %s, %s, 7, {shape})',
                f"{word}-{spec.id}-{n}", f"{word}name", f"{word}1",
            )  # fmt: skip
        found.run(f'UPDATE "{theme}"."{name}" SET name = name || \'2\'')
        found.run(
            "INSERT INTO geocloud.source (layer, title_zh, title_en, licence, synthetic) "
            "VALUES (%s, %s, %s, %s, false)", spec.id, word, word, word,
        )  # fmt: skip
    asyncio.run(_readings(urls))
    found.streams = {r[0]: r[1] for r in found.run("SELECT layer, id FROM sensing.datastream")}
    conn = psycopg2.connect(urls.owner)
    found.key = add_key(conn, "everything", ["*"])
    conn.close()
    spawn = multiprocessing.get_context("spawn")
    workers = spawn.Process(target=_work, args=(Links(urls.jobs, urls.reader, urls.writer),), daemon=False)
    workers.start()
    more = {"GEOCLOUD_EDITING": "true", "GEOCLOUD_JOBS_LISTED": "true", "GEOCLOUD_TILE_CACHE_DIR": str(found.cache)}
    for base in run_server(urls.reader, tmp_path_factory.mktemp("home"), urls.writer, urls.jobs, **more):
        found.base = base
        yield found
    stop_workers(workers)


async def _readings(urls: Urls) -> None:
    conn = await asyncpg.connect(urls.writer)
    try:
        await register(
            conn, [Datastream(layer=i, device=f"{w}-{i}-1", property=f"{w}_level", unit="m") for i, w in
                   ((OPEN, "open"), (DEPOT, "zqx"))],
        )  # fmt: skip
        records = [
            {"collection": i, "device": f"{w}-{i}-1", "property": f"{w}_level", "value": 1.5,
             "time": "2026-03-01T08:00:00+08:00"} for i, w in ((OPEN, "open"), (DEPOT, "zqx"))
        ]  # fmt: skip
        reads = [read_record(n, r, Defaults()) for n, r in enumerate(records, 1)]
        outcome = await Inlet(SensingSettings()).take(conn, reads, "file")
        assert outcome.stored == 2
    finally:
        await conn.close()


def told(answer: httpx.Response) -> str:
    """All that an answer says: headers and body, archives unpacked; tiles hold their texts as they are."""
    body = answer.content
    if body[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(body)) as file:
            body = b"\n".join(name.encode() + file.read(name) for name in file.namelist())
    said = body.decode("utf-8", "replace") + "\n".join(f"{k}: {v}" for k, v in answer.headers.items())
    return said + said.encode().decode("unicode-escape", "replace").lower() if "\\u" in said else said


def clear(answer: httpx.Response) -> str:
    said = told(answer)
    at = said.lower().find("zqx")
    assert at < 0, f"{answer.request.method} {answer.request.url}: {said[max(0, at - 200) : at + 200]}"
    assert answer.status_code < 500, f"{answer.request.url}: {said[:500]}"
    return said


# Same in both answers but for the name that was asked for, times and random ids.
_ODD = re.compile(r"date: [^\n]*|etag: [^\n]*|connection: close|[0-9a-f]{8}-[0-9a-f-]{27}|content-length: \d+")


def _plain(said: str) -> str:
    return _ODD.sub("", said).strip()


def _asked(client: httpx.Client, method: str, path: str, **more: Any) -> httpx.Response:
    with client.stream(method, path, **more) as answer:
        # That would never end.
        assert not answer.headers.get("content-type", "").startswith("text/event-stream"), path
        answer.read()
    return answer


def nobody(client: httpx.Client, method: str, path: str, **more: Any) -> httpx.Response:
    """What is answered of an internal layer is, to the word, what is answered of none."""
    there = _asked(client, method, path, **more)
    swapped = json.loads(json.dumps(more).replace("zqx", "nil"))
    none = _asked(client, method, path.replace("zqx", "nil"), **swapped)
    assert there.status_code == none.status_code, f"{method} {path}: {there.text[:300]} / {none.text[:300]}"
    assert _plain(told(there).replace("zqx", "nil")) == _plain(told(none)), f"{method} {path}"
    assert not there.headers.get("cache-control", "").startswith("public")
    return there
