# SPDX-License-Identifier: Apache-2.0
"""Three days of made-up rain and water at the demo's gauges: a storm passes, rivers rise after it; some fall silent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import numpy as np
import psycopg2

from geocloud.demo.city import City
from geocloud.demo.facts import SIZES, SizeName, plane
from geocloud.demo.services import rain_gauge, river_gauge
from geocloud.sensing.directory import register
from geocloud.sensing.inlet import Inlet
from geocloud.sensing.model import Datastream, Outcome, Reading
from geocloud.settings import SensingSettings

__all__ = ["BEGIN", "HOURS", "clear_readings", "load_readings", "streams_and_readings"]

BEGIN = datetime(2024, 7, 26, 0, 0, tzinfo=UTC)
"""The hour before the first reading: eight in the morning in Beijing."""
HOURS = 72
_RIVER, _RAIN = "facility.river_gauge", "facility.rain_gauge"
_SOURCE = "Made by geocloud demo; not measured"
# Metres that each station in turn rises at most over its low water, which lies 2.6 m below its warning level.
_RISES = (0.3, 1.4, 2.4, 2.9, 3.6, 4.3, 5.0, -1.8)


def streams_and_readings(size: SizeName) -> tuple[list[Datastream], list[Reading]]:
    """Datastreams and readings of all cities of a size, always the same."""
    streams: list[Datastream] = []
    reads: list[Reading] = []
    for n in range(SIZES[size].cities):
        city = City(size, n)
        for stream, values in (*_levels(city), *_rain(city)):
            streams.append(stream)
            key = (stream.layer, stream.device, stream.property)
            reads += [
                Reading(0, key, BEGIN + timedelta(hours=int(h) + 1), float(values[h]), "", None)
                for h in np.flatnonzero(np.isfinite(values))
            ]
    return streams, reads


def _stream(layer: str, device: str, prop: str, unit: str, datum: str | None = None) -> Datastream:
    return Datastream(
        layer=layer, device=device, property=prop, unit=unit, datum=datum, interval_s=3_600, source=_SOURCE,
        minimum=None if prop != "rainfall" else 0.0, maximum=None if prop != "rainfall" else 200.0, synthetic=True,
    )  # fmt: skip


def _levels(city: City) -> Iterator[tuple[Datastream, Any]]:
    """Levels of all stations but the third, which has none; discharges of those that measure them. The second falls
    silent after 30 hours, the fifth tells another datum than its station."""
    (batch,) = river_gauge(city)
    g = {n: x.to_pylist() for n, x in batch.columns.items()}
    rng = city.stream("water levels")
    hour = np.arange(1, HOURS + 1)
    for i, code in enumerate(g["code"]):
        lag = 26 + 14 * rng.random()
        rise = np.where(hour < lag, np.exp(-(((hour - lag) / 9) ** 2)), np.exp(-(((hour - lag) / 26) ** 2)))
        level = g["warning_level_m"][i] - 2.6 + _RISES[i % len(_RISES)] * rise + 0.01 * rng.standard_normal(HOURS)
        if i == 2:
            continue
        if i == 1:
            level[30:] = np.nan
        datum = "废黄河口基面" if i == 4 else g["datum_name"][i]
        yield _stream(_RIVER, code, "water_level", "m", datum), np.round(level, 2)
        if g["station_type"][i] == "ZQ":
            flow = 20 + 35 * np.maximum(level - g["warning_level_m"][i] + 3, 0) ** 1.5
            yield _stream(_RIVER, code, "discharge", "m3/s"), np.round(flow, 1)


def _rain(city: City) -> Iterator[tuple[Datastream, Any]]:
    """Hourly rain of a storm that goes from south-west to north-east; one gauge in 17 lacks some hours."""
    (batch,) = rain_gauge(city)
    lon, lat = np.array([(p.x, p.y) for p in batch.shapes]).T if batch.shapes is not None else ((), ())
    x, y = plane(np.asarray(lon), np.asarray(lat))
    rng = city.stream("rain readings")
    hour = np.arange(1, HOURS + 1)[:, None]
    way = (hour - 24) * 3_000.0
    away = np.hypot(x - 0.6 * way, y - 0.8 * way) / 26_000
    strength = 13 * np.exp(-(((hour - 24) / 11) ** 2))
    mm = np.round(strength * np.exp(-(away**2)) * (0.94 + 0.12 * rng.random(away.shape)), 1)
    mm[mm < 0.1] = 0.0
    for i, code in enumerate(batch.columns["code"].to_pylist()):
        values = mm[:, i].astype(np.float64)
        if i % 17 == 3:
            values[18:23] = np.nan
        yield _stream(_RAIN, code, "rainfall", "mm"), values


async def load_readings(writer_url: str, size: SizeName = "small") -> Outcome:
    """Registers the datastreams and takes the readings in, as the writer; what is there already is repeated."""
    streams, reads = streams_and_readings(size)
    conn = await asyncpg.connect(writer_url)
    try:
        await register(conn, streams)
        settings = SensingSettings()
        inlet, total = Inlet(settings), Outcome()
        for first in range(0, len(reads), settings.sensing_batch):
            total.add(await inlet.take(conn, reads[first : first + settings.sensing_batch], "file"), 5)
    finally:
        await conn.close()
    return total


def clear_readings(owner_url: str, layers: Sequence[str] = (_RIVER, _RAIN)) -> int:
    """Takes the demo's own datastreams of these layers out with their readings, as the owner; how many datastreams."""
    conn = psycopg2.connect(owner_url)
    try:
        with conn, conn.cursor() as cur:
            ours = "SELECT id FROM sensing.datastream WHERE synthetic AND source = %s AND layer = ANY(%s)"
            cur.execute(ours, (_SOURCE, list(layers)))
            ids = [r[0] for r in cur.fetchall()]
            for table, column in (("observation", "datastream"), ("latest", "datastream"), ("datastream", "id")):
                cur.execute(f"DELETE FROM sensing.{table} WHERE {column} = ANY(%s)", (ids,))
    finally:
        conn.close()
    return len(ids)
