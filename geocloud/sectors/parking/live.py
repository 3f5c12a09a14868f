# SPDX-License-Identifier: Apache-2.0
"""How many spaces are free (实时余位): readings of car parks, with how old they are and what is doubtful about them.

A car park measures `free_spaces` or `occupied`, numbers of spaces. A reading is never taken for more than it is: what
is old says so, what cannot be right is not shown as a number, and a car park without readings is unknown, not full.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder
from geocloud.features.literals import parse_instant
from geocloud.jobs.run import Run
from geocloud.sectors.culture.hours import BEIJING
from geocloud.sectors.parking.tables import guidance_levels
from geocloud.sensing.model import Flags

__all__ = ["FREE", "LOOK_BACK", "LOTS", "NOT_RUNNING", "OCCUPIED", "PROPERTIES", "UNKNOWN", "Live", "Reading",
           "asked_moment", "beijing", "judged", "live", "refuse_impossible"]  # fmt: skip

LOTS = "facility.parking_lot"
FREE, OCCUPIED = "free_spaces", "occupied"
PROPERTIES = (FREE, OCCUPIED)
NOT_RUNNING = ("stopped", "maintenance", "planned")
"""States of operation (operation_state) in which nobody parks, whatever is free."""
LOOK_BACK = timedelta(days=7)
"""How long before a past moment a reading may lie to be told of it."""
_DOUBTFUL = int(Flags.doubtful())
State = Literal["current", "stale", "doubtful", "unknown"]


class Reading(NamedTuple):
    """A reading as it is kept; `interval_s` is the datastream's, None where it tells none."""

    property: str
    at: datetime
    value: float
    flags: int
    interval_s: int | None
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Live:
    """Free spaces of a car park. `free` is None where nothing is known or the reading is doubtful; `age_s` seconds from
    the reading to the moment asked about; `why` what is doubtful: names of flags, `above_spaces`, `not_whole`."""

    state: State
    free: int | None = None
    at: datetime | None = None
    age_s: int | None = None
    by: str | None = None
    why: tuple[str, ...] = ()
    synthetic: bool = False

    @property
    def usable(self) -> int | None:
        """The number where it is current; None else."""
        return self.free if self.state == "current" else None

    def told(self) -> dict[str, Any]:
        """As members of an answer; times in Beijing."""
        return {
            "live": self.state,
            "free": self.free,
            "read_at": None if self.at is None else beijing(self.at),
            "age_s": self.age_s,
            "measured": self.by,
            "doubts": list(self.why),
        }


UNKNOWN = Live("unknown")


def live(run: Run, lots: Sequence[tuple[int, str, int | None]], moment: datetime | None) -> list[Live]:
    """What is known of each of `lots` (fid, code, spaces) now, or as the readings were at a past moment."""
    found: list[list[Reading]] = [[] for _ in lots]
    if lots:
        binder = Binder()
        for n, *reading in run.rows(_sql(binder, lots, moment), binder):
            found[n - 1].append(Reading(*reading))
    at = moment or datetime.now(UTC)
    return [judged(readings, spaces, at) for readings, (_, _, spaces) in zip(found, lots, strict=True)]


def judged(readings: Iterable[Reading], spaces: int | None, moment: datetime) -> Live:
    """The best of the readings of one car park: current before stale before doubtful, of those the newest."""
    order = ("current", "stale", "doubtful")
    said = [one for r in readings if (one := _judged(r, spaces, moment)) is not None]
    return min(said, key=lambda one: (order.index(one.state), one.age_s), default=UNKNOWN)


def _judged(reading: Reading, spaces: int | None, moment: datetime) -> Live | None:
    if reading.property == OCCUPIED and spaces is None:
        return None  # Vehicles counted say nothing of what is free.
    free = reading.value if reading.property == FREE else (spaces or 0) - reading.value
    why = list(Flags(reading.flags & _DOUBTFUL).names)
    if free < 0 and "below" not in why:
        why.append("below")
    if spaces is not None and free > spaces:
        why.append("above_spaces")
    if free != int(free):
        why.append("not_whole")
    age = max(0, round((moment - reading.at).total_seconds()))
    longest = 2 * reading.interval_s if reading.interval_s else guidance_levels().stale_after_s
    state: State = "doubtful" if why else "stale" if age > longest else "current"
    return Live(state, None if why else int(free), reading.at, age, reading.property, tuple(why), reading.synthetic)


def _sql(binder: Binder, lots: Sequence[tuple[int, str, int | None]], moment: datetime | None) -> str:
    given = (
        f"unnest({binder.bind([x[0] for x in lots], 'bigint[]')}, {binder.bind([x[1] for x in lots], 'text[]')}) "
        "WITH ORDINALITY w (fid, code, n)"
    )
    layer, properties = binder.bind(LOTS, "text"), binder.bind(list(PROPERTIES), "text[]")
    if moment is None:
        newest = "sensing.latest o ON o.datastream = d.id"
    else:
        last, first = binder.bind(moment, "timestamptz"), binder.bind(moment - LOOK_BACK, "timestamptz")
        newest = (
            f"LATERAL (SELECT at, value, flags FROM sensing.observation WHERE datastream = d.id AND at <= {last} "
            f"AND at > {first} ORDER BY at DESC, issued DESC, received DESC, value DESC LIMIT 1) o ON true"
        )
    return " UNION ALL ".join(
        "SELECT w.n, d.property, o.at, o.value, o.flags, d.interval_s, d.synthetic "
        f"FROM {given} JOIN sensing.datastream d ON d.layer = {layer} AND {on} AND d.property = ANY({properties}) "
        f"JOIN {newest}"
        for on in ("d.device = w.code AND d.fid IS NULL", "d.fid = w.fid")
    )


def asked_moment(run: Run, text: str | None) -> datetime | None:
    """The instant that an input `datetime` names, None for now. InvalidParameter for what is none, or lies ahead."""
    if text is None:
        return None
    at = parse_instant(text)
    if at is None:
        raise InvalidParameter(
            f"`datetime` is no instant: {text[:60]}.", f"参数 datetime 不是时刻:{text[:60]}。",
            todo_en="Write RFC 3339 with an offset, such as 2026-05-01T18:00:00+08:00.",
            todo_zh="请按 RFC 3339 写明时区,例如 2026-05-01T18:00:00+08:00。", parameter="datetime",
        )  # fmt: skip
    if at > datetime.now(UTC) + timedelta(seconds=run.settings.sensing.sensing_future_s):
        raise InvalidParameter(
            f"`datetime` lies ahead: {text[:60]}. Nothing has been measured then.",
            f"参数 datetime 晚于现在:{text[:60]},尚无读数。",
            todo_en="The process parking-forecast tells what is to be expected.",
            todo_zh="预计余位请用 parking-forecast。", parameter="datetime",
        )  # fmt: skip
    return at


def refuse_impossible(point: tuple[float, float] = (0.0, 0.0), **numbers: float | None) -> None:
    """InvalidParameter for a number that is negative or none, and for a point that is nowhere; None is no number."""
    lon, lat = point
    wrong = next((n for n, v in numbers.items() if v is not None and not 0 <= v < math.inf), None)
    if not (-180 <= lon <= 180 and -85 <= lat <= 85):
        wrong = "point"
    if wrong is not None:
        raise InvalidParameter(
            f"`{wrong}` must be a finite number that is not negative, a point lon/lat in degrees.",
            f"参数 {wrong} 须为非负有限数,地点须为经纬度(度)。", parameter=wrong,
        )  # fmt: skip


def beijing(at: datetime) -> str:
    """An instant as RFC 3339 in Beijing time."""
    return at.astimezone(BEIJING).isoformat()
