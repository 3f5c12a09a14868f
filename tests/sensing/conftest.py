# SPDX-License-Identifier: Apache-2.0
"""Stations with datastreams in a real database, and a real server over it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
import httpx
import psycopg2
import psycopg2.extras
import pytest

from geocloud.catalogue.keys import add_key
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.cluster import Urls
from geocloud.sensing.directory import register
from geocloud.sensing.inlet import Inlet
from geocloud.sensing.model import Datastream, Outcome
from geocloud.sensing.parse import Defaults, read_record
from geocloud.settings import SensingSettings
from tests.web.conftest import run_server

STATION, OTHER, DISTRICT = "test.station", "test.other", "test.district"
T = TypeVar("T")


def _both(text: str) -> dict[str, str]:
    return {"zh": f"{text}(中文)", "en": text}


def _spec(layer: str, geometry: str) -> LayerSpec:
    return LayerSpec.model_validate(
        {"id": layer, "title": _both(layer), "description": _both(layer), "geometry": geometry, "key": ["code"],
         "fields": [{"name": "code", "title": _both("Code"), "required": True},
                    {"name": "name", "title": _both("Name")},
                    {"name": "phone", "title": _both("Phone"), "hidden": True}]}
    )  # fmt: skip


@dataclass
class Place:
    """The database of the tests: three stations in two districts and one outside; what is in its tables."""

    urls: Urls

    def run(self, sql: str, *args: object) -> list[dict[str, Any]]:
        conn = psycopg2.connect(self.urls.owner)
        try:
            with conn, conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cur:
                cur.execute(sql, args)
                return [dict(r) for r in cur.fetchall()] if cur.description else []
        finally:
            conn.close()

    def write(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Runs `work` on a connection of the writer role."""

        async def run() -> T:
            conn = await asyncpg.connect(self.urls.writer)
            try:
                return await work(conn)
            finally:
                await conn.close()

        return asyncio.run(run())

    def register(self, *streams: Datastream) -> tuple[int, int, list[str]]:
        return self.write(lambda conn: register(conn, streams))

    def take(self, *batches: list[dict[str, Any]], **settings: Any) -> list[Outcome]:
        """Takes batches of JSON records in order."""

        async def work(conn: Any) -> list[Outcome]:
            inlet = Inlet(SensingSettings(**settings))
            return [
                await inlet.take(conn, [read_record(n, r, Defaults()) for n, r in enumerate(b, 1)], "file")
                for b in batches
            ]

        return self.write(work)

    def stream(self, device: str, prop: str = "PM2.5", layer: str = STATION) -> int:
        (row,) = self.run(
            "SELECT id FROM sensing.datastream WHERE (layer, device, property) = (%s, %s, %s)", layer, device, prop
        )
        return int(row["id"])

    def empty(self) -> None:
        self.run("TRUNCATE sensing.observation, sensing.latest, sensing.quarantine")


def datastream(device: str, prop: str = "PM2.5", unit: str = "ug/m3", **more: Any) -> Datastream:
    return Datastream(layer=more.pop("layer", STATION), device=device, property=prop, unit=unit, **more)


def make_place(urls: Urls) -> Place:
    """Publishes the layers and registers the datastreams."""
    conn = psycopg2.connect(urls.owner)
    specs = [_spec(STATION, "point"), _spec(OTHER, "point"), _spec(DISTRICT, "multipolygon")]
    sync(conn, {s.id: s for s in specs}, {})
    conn.close()
    place = Place(urls)
    for code, x, y in (("A", 115.9, 36.4), ("B", 116.0, 36.5), ("C", 116.3, 36.6), ("D", 110.0, 30.0)):
        place.run(
            "INSERT INTO test.station (code, name, phone, geom) "
            "VALUES (%s, %s, '138', ST_SetSRID(ST_Point(%s, %s), 4490))",
            code, f"站 {code}", x, y,
        )  # fmt: skip
    for code, box in (
        ("west", (115.8, 36.3, 116.1, 36.7)),
        ("east", (116.1, 36.3, 116.5, 36.7)),
        ("none", (1, 1, 2, 2)),
    ):
        place.run(
            "INSERT INTO test.district (code, name, geom) "
            "VALUES (%s, %s, ST_Multi(ST_MakeEnvelope(%s, %s, %s, %s, 4490)))",
            code, code, *box,
        )  # fmt: skip
    place.run("INSERT INTO test.other (code, geom) VALUES ('X', ST_SetSRID(ST_Point(116, 36.5), 4490))")
    place.register(
        *(datastream(d, minimum=0, maximum=1_000, cap=999, zero_ok=False, interval_s=3_600) for d in "ABCD"),
        datastream("A", "temperature", "Cel", minimum=-40, maximum=60),
        datastream("X", layer=OTHER),
    )
    return place


@pytest.fixture(scope="module")
def place(urls: Urls) -> Place:
    return make_place(urls)


@pytest.fixture
def clean(place: Place) -> Place:
    """The place without readings."""
    place.empty()
    return place


@dataclass
class Sender:
    """A key for every layer and one for the stations alone."""

    full: str
    stations: str


@pytest.fixture(scope="module")
def keys(place: Place) -> Sender:
    conn = psycopg2.connect(place.urls.owner)
    try:
        return Sender(add_key(conn, "full", ["*"]), add_key(conn, "stations", [STATION]))
    finally:
        conn.close()


@pytest.fixture(scope="module")
def base(place: Place, keys: Sender, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real server of two workers that takes readings, with small limits."""
    limits = {"GEOCLOUD_SENSING_BODY_KB": "256", "GEOCLOUD_SENSING_READINGS_MAX": "1000",
              "GEOCLOUD_SENSING_BUCKETS_MAX": "1000", "GEOCLOUD_SENSING_SERIES_MAX": "500",
              "GEOCLOUD_SENSING_PROBLEMS_MAX": "3", "GEOCLOUD_SENSING_AREAS_MAX": "5"}  # fmt: skip
    home = tmp_path_factory.mktemp("home")
    yield from run_server(place.urls.reader, home, place.urls.writer, GEOCLOUD_EDITING="true", **limits)


@pytest.fixture
def client(base: str, keys: Sender) -> Iterator[httpx.Client]:
    """A client with a key for everything, in English."""
    headers = {"accept-language": "en", "authorization": f"Bearer {keys.full}"}
    with httpx.Client(base_url=base, headers=headers, timeout=60) as found:
        yield found
