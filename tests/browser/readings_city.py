# SPDX-License-Identifier: Apache-2.0
"""Readings at three air stations of the demo city: one that reports, one that has stopped, one that is doubtful."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import asyncpg
import psycopg2

from geocloud.db.cluster import Urls
from geocloud.sensing.directory import register
from geocloud.sensing.inlet import Inlet
from geocloud.sensing.model import Datastream, Outcome
from geocloud.sensing.parse import Defaults, read_record
from geocloud.settings import SensingSettings

__all__ = ["GAP", "LAYER", "Station", "send", "stations"]

LAYER = "facility.air_station"
HOUR = timedelta(hours=1)
T = TypeVar("T")
GAP = range(8, 13)
"""Hours ago of which the reporting station has no reading."""


@dataclass(frozen=True)
class Station:
    """A station and where it stands; its newest value."""

    fid: int
    code: str
    lon: float
    lat: float
    newest: float


def _apart(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What `work` gives, on a thread of its own: the browser's loop runs on this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


def send(urls: Urls, *records: dict[str, object]) -> Outcome:
    """Takes readings in, as a device's own come."""

    async def work() -> Outcome:
        conn = await asyncpg.connect(urls.writer)
        try:
            read = [read_record(n, r, Defaults()) for n, r in enumerate(records, 1)]
            return await Inlet(SensingSettings()).take(conn, read, "file")
        finally:
            await conn.close()

    return _apart(work)


def stations(urls: Urls) -> tuple[Station, Station, Station]:
    """Registers PM2.5 at three stations and sends 30 hours of readings, of the second until three days ago."""
    conn = psycopg2.connect(urls.reader)
    with conn, conn.cursor() as cur:
        cur.execute(
            f"SELECT fid, code, ST_X(geom), ST_Y(geom) FROM {LAYER} WHERE geom IS NOT NULL ORDER BY fid LIMIT 3"
        )
        found = cur.fetchall()
    conn.close()
    live, old, odd = (Station(*row, newest) for row, newest in zip(found, (42.0, 17.0, 0.0), strict=True))

    async def make() -> None:
        conn = await asyncpg.connect(urls.writer)
        try:
            streams = [
                Datastream(layer=LAYER, device=s.code, property="PM2.5", unit="ug/m3", minimum=0, maximum=1_000,
                           zero_ok=False, interval_s=3_600, synthetic=True)
                for s in (live, old, odd)
            ]  # fmt: skip
            await register(conn, [*streams, Datastream(layer=LAYER, device=live.code, property="temperature",
                                                       unit="Cel", interval_s=3_600, synthetic=True)])  # fmt: skip
        finally:
            await conn.close()

    _apart(make)
    now = datetime.now(UTC)

    def reading(s: Station, at: datetime, value: float, prop: str = "PM2.5", unit: str = "ug/m3") -> dict[str, object]:
        return {"collection": LAYER, "device": s.code, "property": prop, "time": at.isoformat(), "value": value,
                "unit": unit}  # fmt: skip

    hours = [h for h in range(1, 30) if h not in GAP]
    send(
        urls,
        *(reading(live, now - h * HOUR, 30 + h % 7) for h in hours), reading(live, now, live.newest),
        reading(live, now, 3.5, "temperature", "Cel"),
        *(reading(old, now - timedelta(days=3) - h * HOUR, old.newest + h) for h in range(20)),
        reading(odd, now - HOUR, 12), reading(odd, now, odd.newest),
    )  # fmt: skip
    return live, old, odd
