# SPDX-License-Identifier: Apache-2.0
"""Car parks in a real database for the tests of the parking sector: rows, datastreams and readings as given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import asyncpg
import psycopg2
import psycopg2.extras

from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.sectors.parking.live import LOTS
from geocloud.sectors.registry import definitions
from geocloud.sensing.directory import register
from geocloud.sensing.inlet import Inlet
from geocloud.sensing.model import Datastream, Outcome
from geocloud.sensing.parse import Read
from geocloud.settings import SensingSettings, Settings

__all__ = ["LOTS", "SETTINGS", "Place", "ago", "make_place", "stream"]

SETTINGS = Settings()
T = TypeVar("T")


@dataclass
class Place:
    """A database with the city's layers."""

    urls: Urls

    def sql(self, text: str, *args: object) -> list[dict[str, Any]]:
        conn = psycopg2.connect(self.urls.owner)
        try:
            with conn, conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cur:
                cur.execute(text, args)
                return [dict(r) for r in cur.fetchall()] if cur.description else []
        finally:
            conn.close()

    def add(self, layer: str, lon: float | None = None, lat: float | None = None, **values: Any) -> None:
        names = ", ".join(f'"{n}"' for n in values)
        marks = ", ".join(["%s"] * len(values))
        self.sql(
            f"INSERT INTO {layer} ({names}, geom) VALUES ({marks}, ST_SetSRID(ST_MakePoint(%s, %s), 4490))",
            *values.values(), lon, lat,
        )  # fmt: skip

    def write(self, work: Callable[[Any], Awaitable[T]]) -> T:
        async def run() -> T:
            conn = await asyncpg.connect(self.urls.writer)
            try:
                return await work(conn)
            finally:
                await conn.close()

        return asyncio.run(run())

    def register(self, *streams: Datastream) -> None:
        self.write(lambda conn: register(conn, streams))

    def take(self, reads: list[Read], **settings: Any) -> Outcome:
        return self.write(lambda conn: Inlet(SensingSettings(**settings)).take(conn, reads, "file"))

    def empty(self) -> None:
        self.sql("TRUNCATE sensing.observation, sensing.latest, sensing.quarantine")


def make_place(urls: Urls) -> Place:
    conn = psycopg2.connect(urls.owner)
    sync(conn, *definitions(SETTINGS.city))
    conn.close()
    return Place(urls)


def stream(device: str, prop: str = "free_spaces", layer: str = LOTS, **more: Any) -> Datastream:
    return Datastream(layer=layer, device=device, property=prop, unit="1", **{"minimum": 0, "interval_s": 1_800} | more)


def ago(**span: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(**span)
