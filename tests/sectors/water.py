# SPDX-License-Identifier: Apache-2.0
"""What tests of the water sector share: published layers, stations, datastreams with readings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.sectors.registry import definitions
from geocloud.sensing.directory import register
from geocloud.sensing.inlet import Inlet
from geocloud.sensing.model import Datastream, Outcome, Reading
from geocloud.settings import SensingSettings, Settings

__all__ = ["SETTINGS", "insert", "publish", "take"]

SETTINGS = Settings()


def publish(urls: Urls) -> None:
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, *definitions(SETTINGS.city))


def insert(urls: Urls, layer: str, rows: Iterable[dict[str, Any]]) -> None:
    """Rows by column; `geom` is WKT in lon/lat, valid times are texts."""
    with connect(urls.owner, application_name="test") as conn, conn.cursor() as cur:
        for row in rows:
            values = ", ".join("ST_GeomFromText(%s, 4490)" if n == "geom" else "%s" for n in row)
            names = ", ".join(f'"{n}"' for n in row)
            cur.execute(f"INSERT INTO {layer} ({names}) VALUES ({values})", list(row.values()))


def take(
    urls: Urls, streams: Sequence[Datastream], reads: Iterable[tuple[tuple[str, str, str], datetime, float]]
) -> Outcome:
    """Registers datastreams and takes readings of layer, device, property, their time and value."""

    async def work() -> Outcome:
        conn = await asyncpg.connect(urls.writer)
        try:
            await register(conn, streams)
            given = [Reading(0, key, at, value, "", None) for key, at, value in reads]
            return await Inlet(SensingSettings()).take(conn, given, "file")
        finally:
            await conn.close()

    return asyncio.run(work())
