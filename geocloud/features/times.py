# SPDX-License-Identifier: Apache-2.0
"""The dates at which features of a layer begin or end to be so (有效时间): what a time slider steps through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from geocloud.catalogue.registry import Layer
from geocloud.db.reader import Reader
from geocloud.features.binder import Binder
from geocloud.features.query import Statement

__all__ = ["Step", "Times", "read_times", "times_statement"]

Unit = Literal["day", "month", "year"]
_UNITS: tuple[Unit, ...] = ("day", "month", "year")


@dataclass(frozen=True, slots=True)
class Step:
    """A day, or the first day of a month or year (Beijing time), and how many versions of features begin and end."""

    at: date
    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Times:
    """Steps in order, in the finest unit that has few enough of them; no steps when no date is known."""

    unit: Unit
    steps: tuple[Step, ...]


def times_statement(layer: Layer, unit: Unit) -> Statement:
    """One row a day, month or year in Beijing time (UTC+8) with a known beginning or end, in what is believed now.

    A feature that changed ends as it was and begins as it became; what was corrected since does not count.
    """
    binder = Binder()
    place = binder.bind(unit, "text")
    believed = (
        f"SELECT valid_from, valid_to FROM {layer.table} "
        f"UNION ALL SELECT valid_from, valid_to FROM {layer.history} WHERE sys_to = 'infinity'"
    )
    sql = (
        f"WITH believed AS ({believed}), moments AS ("
        "SELECT valid_from AS moment, 1 AS begins FROM believed WHERE isfinite(valid_from) "
        "UNION ALL SELECT valid_to, 0 FROM believed WHERE isfinite(valid_to)) "
        f"SELECT date_trunc({place}, moment AT TIME ZONE 'UTC' + interval '8 hours')::date, "
        "sum(begins), count(*) - sum(begins) FROM moments GROUP BY 1 ORDER BY 1"
    )
    return Statement(sql, binder.args)


async def read_times(reader: Reader, layer: Layer, steps_max: int) -> Times:
    """The layer's dates in at most `steps_max` steps; by years there may be more."""
    rows: list[tuple[date, int, int]] = []
    unit: Unit = "day"
    async with reader.lease() as conn:
        for unit in _UNITS:
            statement = times_statement(layer, unit)
            rows = await conn.fetch(statement.sql, *statement.args)
            if len(rows) <= steps_max:
                break
    return Times(unit, tuple(Step(at, int(begins), int(ends)) for at, begins, ends in rows))
