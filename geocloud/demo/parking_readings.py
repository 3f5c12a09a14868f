# SPDX-License-Identifier: Apache-2.0
"""Made-up readings of the demo's car parks (合成余位读数): half-hours of two weeks up to now, with the shape of days
and weeks, and the state of road-side spaces.

A value hangs on its car park and its half-hour alone, so readings that are brought up to now later go on where they
ended. All datastreams are marked synthetic.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
import numpy as np

from geocloud.demo.facts import Floats, Ints
from geocloud.demo.parking import LOTS
from geocloud.sensing.directory import register
from geocloud.sensing.inlet import Inlet
from geocloud.sensing.model import Datastream, Reading
from geocloud.settings import SensingSettings

__all__ = ["DAYS", "SOURCE", "bring_up", "occupancy", "take_out"]

SOURCE = "geocloud demo: synthetic (合成数据)"
DAYS = 14
_STEP_S = 1_800
_BERTHS = "parking.berth"
_BATCH = 20_000
# One of so many car parks counts vehicles in place of free spaces; one of so many has been silent for three hours.
_COUNTING, _SILENT, _SILENCE = 8, 15, timedelta(hours=3)
# Share of spaces taken at the hours of a working day and of a day off, at 0, 3, 6 … 24 o'clock in Beijing.
_HOURS = np.arange(0, 25, 3)
_WORK = {
    "public": (0.18, 0.12, 0.2, 0.62, 0.74, 0.66, 0.72, 0.5, 0.18),
    "building": (0.78, 0.8, 0.76, 0.5, 0.42, 0.45, 0.6, 0.74, 0.78),
    "road": (0.35, 0.28, 0.4, 0.8, 0.86, 0.8, 0.88, 0.66, 0.35),
}
_OFF = {
    "public": (0.22, 0.14, 0.15, 0.4, 0.7, 0.84, 0.88, 0.6, 0.22),
    "building": (0.8, 0.82, 0.8, 0.72, 0.6, 0.56, 0.64, 0.76, 0.8),
    "road": (0.4, 0.32, 0.34, 0.6, 0.8, 0.9, 0.94, 0.74, 0.4),
}


class _Lot(NamedTuple):
    code: str
    kind: str
    spaces: int
    last: datetime | None

    @property
    def number(self) -> int:
        return zlib.crc32(self.code.encode())


def occupancy(number: int, kind: str, steps: Ints) -> Floats:
    """Share of spaces taken at half-hours, which are numbered since 1970 in UTC; from 0 to 1."""
    beijing = steps + 8 * 2
    day, hour = beijing // 48, (beijing % 48) / 2
    off_day = (day + 3) % 7 >= 5  # The first of January 1970 was a Thursday.
    usual = np.where(off_day, np.interp(hour, _HOURS, _OFF[kind]), np.interp(hour, _HOURS, _WORK[kind]))
    level = 0.75 + 0.4 * _random(np.array([number]), 1)[0]
    # Better and worse days, and swings of some hours that differ from car park to car park.
    of_day = 0.1 * (_random(day + 1_000_003 * number, 2) - 0.5)
    swing = 0.05 * np.sin(steps / 7.3 + number % 97) + 0.04 * np.sin(steps / 3.1 + number % 89)
    noise = 0.04 * (_random(steps + 7_919 * number, 3) - 0.5)
    found: Floats = np.clip(usual * level + of_day + swing + noise, 0.0, 1.0)
    return found


def _random(values: Ints, salt: int) -> Floats:
    """Numbers in [0, 1) that hang on the value alone (SplitMix64's mixing)."""
    with np.errstate(over="ignore"):
        x = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15) * np.uint64(salt)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return x.astype(np.float64) / 2.0**64


def bring_up(url: str, until: datetime | None = None, days: int = DAYS) -> int:
    """Readings of the synthetic car parks that are online, from where they ended, at most `days` back; how many.

    `url` is that of the writer role.
    """
    # In a thread of its own: whoever calls may have a loop running.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _bring_up(url, until or datetime.now(UTC), days)).result()


async def _bring_up(url: str, until: datetime, days: int) -> int:
    conn = await asyncpg.connect(url, timeout=10, server_settings={"application_name": "geocloud demo"})
    try:
        lots = [_Lot(*r) for r in await conn.fetch(_LOTS_SQL, LOTS, SOURCE)]
        await register(conn, [_stream(lot) for lot in lots])
        stop = int(until.timestamp() // _STEP_S)
        inlet, kept, batch = Inlet(SensingSettings()), 0, list[Reading]()
        for lot in lots:
            batch += _readings(lot, stop, days)
            if len(batch) >= _BATCH:
                kept += (await inlet.take(conn, batch, "demo")).stored
                batch = []
        if await conn.fetchval(_PUBLISHED_SQL, _BERTHS):
            by_code = {lot.code: lot for lot in lots}
            rows = [r for r in await conn.fetch(_BERTHS_SQL, _BERTHS) if r[1] in by_code]
            await register(conn, [_berth(code) for code, _ in rows])
            batch += _states(rows, by_code, stop)
        for begin in range(0, len(batch), _BATCH):
            kept += (await inlet.take(conn, batch[begin : begin + _BATCH], "demo")).stored
        return kept
    finally:
        await conn.close()


_SYNTHETIC = "t.source_id IN (SELECT id FROM geocloud.source WHERE layer = $1 AND synthetic)"
_LOTS_SQL = f"""
SELECT t.code, t.kind, t.spaces, max(l.at) FROM {LOTS} t
  LEFT JOIN sensing.datastream d ON d.layer = $1 AND d.device = t.code AND d.source = $2
  LEFT JOIN sensing.latest l ON l.datastream = d.id
 WHERE {_SYNTHETIC} AND t.online AND t.spaces > 0 GROUP BY 1, 2, 3 ORDER BY 1
"""
_PUBLISHED_SQL = "SELECT EXISTS (SELECT FROM geocloud.layer WHERE id = $1 AND status = 'active')"
_BERTHS_SQL = f"SELECT t.code, t.lot_code FROM {_BERTHS} t WHERE {_SYNTHETIC} ORDER BY 1"


def _property(lot: _Lot) -> str:
    return "occupied" if lot.number % _COUNTING == 0 else "free_spaces"


def _stream(lot: _Lot) -> Datastream:
    return Datastream(
        layer=LOTS, device=lot.code, property=_property(lot), unit="1", minimum=0, maximum=lot.spaces,
        interval_s=_STEP_S, source=SOURCE, synthetic=True,
    )  # fmt: skip


def _berth(code: str) -> Datastream:
    return Datastream(
        layer=_BERTHS, device=code, property="occupied", unit="1", minimum=0, maximum=1, interval_s=_STEP_S,
        source=SOURCE, synthetic=True,
    )  # fmt: skip


def _taken(lot: _Lot, steps: Ints) -> Ints:
    return np.round(occupancy(lot.number, lot.kind, steps) * lot.spaces).astype(np.int64)


def _readings(lot: _Lot, stop: int, days: int) -> list[Reading]:
    end = stop - (int(_SILENCE.total_seconds()) // _STEP_S if lot.number % _SILENT == 0 else 0)
    begin = end - days * 48 + 1
    if lot.last is not None:
        begin = max(begin, int(lot.last.timestamp() // _STEP_S) + 1)
    steps = np.arange(begin, end + 1)
    taken = _taken(lot, steps)
    values = taken if _property(lot) == "occupied" else lot.spaces - taken
    key = (LOTS, lot.code, _property(lot))
    return [
        Reading(0, key, datetime.fromtimestamp(s * _STEP_S, UTC), float(v), "1", None)
        for s, v in zip(steps.tolist(), values.tolist(), strict=True)
    ]


def _states(rows: Sequence[Any], lots: dict[str, _Lot], stop: int) -> list[Reading]:
    """The newest state of spaces, as many of a car park taken as its own reading says."""
    at = datetime.fromtimestamp(stop * _STEP_S, UTC)
    of_lot: dict[str, list[str]] = {}
    for code, lot in rows:
        of_lot.setdefault(lot, []).append(code)
    found = []
    for name, codes in of_lot.items():
        lot = lots[name]
        if lot.number % _SILENT == 0:
            continue
        many = int(_taken(lot, np.array([stop]))[0])
        order = np.argsort(_random(np.array([zlib.crc32(c.encode()) for c in codes]) + stop, 4))
        taken = set(order[:many].tolist())
        found += [Reading(0, (_BERTHS, c, "occupied"), at, float(i in taken), "1", None) for i, c in enumerate(codes)]
    return found


def take_out(cur: Any, layer_id: str) -> None:
    """Removes the made-up readings of a layer's devices, and their datastreams."""
    ours = "(SELECT id FROM sensing.datastream WHERE layer = %(layer)s AND synthetic AND source = %(source)s)"
    given = {"layer": layer_id, "source": SOURCE}
    for table in ("latest", "observation"):
        cur.execute(f"DELETE FROM sensing.{table} WHERE datastream IN {ours}", given)
    cur.execute("DELETE FROM sensing.datastream WHERE layer = %(layer)s AND synthetic AND source = %(source)s", given)
