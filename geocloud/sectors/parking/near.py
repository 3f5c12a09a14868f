# SPDX-License-Identifier: Apache-2.0
"""Car parks near a place (附近停车): what is free, what it costs, how high one may be, how far one walks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from geocloud.catalogue.spec import Text
from geocloud.features.binder import Binder
from geocloud.features.moment import NOW
from geocloud.jobs.model import Input, Output, Process, Results
from geocloud.jobs.places import POINT_SCHEMA
from geocloud.jobs.run import Run
from geocloud.sectors.culture.hours import next_open, read_hours
from geocloud.sectors.culture.near import box_round, rounded
from geocloud.sectors.parking.live import LOTS, NOT_RUNNING, Live, asked_moment, beijing, live, refuse_impossible
from geocloud.sectors.parking.walk import Walk, crow, walks

__all__ = ["PROCESS", "WALK_MAX_M", "Need", "parking_near"]

WALK_MAX_M = 5_000
ROWS_MAX = 500
_FIELDS = (
    "name", "kind", "spaces", "spaces_accessible", "spaces_charging", "chargers_fast", "chargers_slow",
    "height_limit_m", "fee", "first_hour_yuan", "tariff", "hours", "address", "state",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Need:
    """What a car park must have. What it does not say of itself, it may have: it is told under `not_known`."""

    charging: bool = False
    accessible: bool = False
    height_m: float | None = None
    max_price: float | None = None
    min_free: int | None = None

    def held(self, lot: dict[str, Any]) -> tuple[list[str], list[str]]:
        """Names of the needs that a car park does not meet, and of those of which it says nothing."""
        unmet: list[str] = []
        unsaid: list[str] = []

        def hold(name: str, met: bool | None) -> None:
            if met is not True:
                (unsaid if met is None else unmet).append(name)

        if self.charging:
            hold("charging", _any(lot["spaces_charging"], lot["chargers_fast"], lot["chargers_slow"]))
        if self.accessible:
            hold("accessible", _any(lot["spaces_accessible"]))
        if self.height_m is not None:
            limit = lot["height_limit_m"]
            hold("height_m", None if limit is None else limit >= self.height_m)
        if self.max_price is not None:
            price = price_of(lot)
            hold("max_price", None if price is None else price <= self.max_price)
        return unmet, unsaid


def price_of(lot: dict[str, Any]) -> float | None:
    """Yuan for the first hour: 0 where nothing is charged, None where it is not known."""
    return 0.0 if lot["fee"] is False else None if lot["first_hour_yuan"] is None else float(lot["first_hour_yuan"])


def _any(*numbers: int | None) -> bool | None:
    known = [n for n in numbers if n is not None]
    return True if any(known) else None if len(known) < len(numbers) else False


def parking_near(
    run: Run, lon: float, lat: float, walk_m: float = 300, datetime_: str | None = None, need: Need | None = None,
    limit: int = 50,
) -> dict[str, Any]:  # fmt: skip
    """Car parks within a walk of `walk_m` metres of lon/lat, as GeoJSON, best first.

    First those that are known to have room, then those whose reading is old, then those of which nothing is known, at
    last the full ones; of each those that say all that was asked for first, then by the walk. `min_free` leaves out
    only car parks known to have less. Those left out are counted by their reason in `left_out`.
    """
    need = need or Need()
    refuse_impossible(
        point=(lon, lat), walk_m=walk_m, height_m=need.height_m, max_price=need.max_price, min_free=need.min_free
    )
    lots = run.catalogue.layer(LOTS)
    moment = asked_moment(run, datetime_)
    at = moment or datetime.now(UTC)
    rows = _round(run, lon, lat, walk_m)
    near = [r for r, metres in zip(rows, crow((lon, lat), _places(rows)), strict=True) if metres <= walk_m]
    left_out = dict.fromkeys(("too_far", "closed", "unmet", "too_few"), 0)
    chosen = []
    states = live(run, [(r["fid"], r["code"], r["spaces"]) for r in near], moment)
    for row, state, walk in zip(near, states, walks(run, (lon, lat), _places(near), walk_m), strict=True):
        unmet, unsaid = need.held(row)
        open_ = _open(row, at)
        why = (
            "too_far" if walk.metres is None
            else "closed" if open_ is False
            else "unmet" if unmet
            else "too_few" if need.min_free and state.usable is not None and state.usable < need.min_free
            else None
        )  # fmt: skip
        if why is not None:
            left_out[why] += 1
        else:
            order = (_rank(state), bool(unsaid), walk.metres, row["code"])
            chosen.append((order, _feature(row, state, walk, open_, unsaid)))
    chosen.sort(key=lambda c: c[0])
    return {
        "type": "FeatureCollection",
        "features": [c[1] for c in chosen[:limit]],
        "numberMatched": len(chosen),
        "numberReturned": min(limit, len(chosen)),
        "complete": len(chosen) <= limit,
        "at": beijing(at),
        "walk_m": walk_m,
        "left_out": left_out,
        "synthetic": lots.synthetic or any(s.synthetic for s in states),
    }


def _places(rows: list[dict[str, Any]]) -> list[tuple[float, float]]:
    return [(r["lon"], r["lat"]) for r in rows]


def _round(run: Run, lon: float, lat: float, metres: float) -> list[dict[str, Any]]:
    lots = run.catalogue.layer(LOTS)
    binder = Binder()
    relation = NOW.relation(binder, lots) or lots.table
    known = {f.name for f in lots.spec.visible_fields}
    named = ", ".join(f'"{n}"' if n in known else "NULL" for n in _FIELDS)
    found = run.rows(
        f'SELECT fid, "code", {named}, ST_X(geom), ST_Y(geom) FROM {relation} l '
        f"WHERE {box_round(binder, 'geom', lon, lat, metres)}",
        binder,
    )
    return [dict(zip(("fid", "code", *_FIELDS, "lon", "lat"), row, strict=True)) for row in found]


def _open(row: dict[str, Any], at: datetime) -> bool | None:
    """Whether it is open at a moment; None where its hours cannot be read."""
    if row["state"] in NOT_RUNNING:
        return False
    spans = read_hours(row["hours"])
    return None if spans is None else next_open(at, at + timedelta(seconds=1), spans) is not None


def _rank(state: Live) -> int:
    if state.usable is not None:
        return 0 if state.usable > 0 else 3
    return 1 if state.state == "stale" else 2


def _feature(row: dict[str, Any], state: Live, walk: Walk, open_: bool | None, unsaid: list[str]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": row["fid"],
        "geometry": {"type": "Point", "coordinates": [row["lon"], row["lat"]]},
        "properties": {
            "code": row["code"],
            **{n: row[n] for n in _FIELDS},
            "price_yuan": price_of(row),
            "walk_m": rounded(walk.metres),
            "walk_by": walk.by,
            "open": open_,
            **state.told(),
            "not_known": unsaid,
        },
    }


def _run(run: Run, inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    lon, lat = inputs["point"]["coordinates"][:2]
    need = Need(
        **{n: inputs[n] for n in ("charging", "accessible", "height_m", "max_price", "min_free") if n in inputs}
    )
    return {
        "lots": parking_near(
            run, lon, lat, inputs.get("walk_m", 300), inputs.get("datetime"), need, inputs.get("limit", 50)
        )
    }


PROCESS = Process(
    id="parking-near",
    version="1.0.0",
    title=Text(zh="附近停车场", en="Parking nearby"),
    description=Text(
        zh="某地点步行范围内的停车场:空余泊位与读数时间、价格、限高、步行距离;读数过旧或没有读数的如实标明,不当作 0。",
        en="Car parks within a walk of a place: free spaces and the age of the reading, price, height limit, metres to "
        "walk; an old reading, or none, is told as such and never as 0.",
    ),
    inputs=(
        Input("point", Text(zh="地点", en="Place"), POINT_SCHEMA, Text(zh="经度在前,度", en="Longitude first, degrees"),
              required=True),
        Input("walk_m", Text(zh="步行距离(米)", en="Walk in metres"),
              {"type": "number", "exclusiveMinimum": 0, "maximum": WALK_MAX_M, "default": 300}),
        Input("datetime", Text(zh="时刻", en="Time"), {"type": "string", "maxLength": 60},
              Text(zh="RFC 3339 时刻,不晚于现在;不填为现在", en="An RFC 3339 instant, not ahead; now if unset")),
        Input("charging", Text(zh="须可充电", en="With chargers"), {"type": "boolean", "default": False}),
        Input("accessible", Text(zh="须有无障碍泊位", en="With accessible spaces"),
              {"type": "boolean", "default": False}),
        Input("height_m", Text(zh="车高(米)", en="Height of the vehicle in metres"),
              {"type": "number", "exclusiveMinimum": 0, "maximum": 10}),
        Input("max_price", Text(zh="首小时最高价(元)", en="Most for the first hour, yuan"),
              {"type": "number", "minimum": 0, "maximum": 10_000}),
        Input("min_free", Text(zh="至少空余泊位", en="Fewest free spaces"),
              {"type": "integer", "minimum": 1, "maximum": 100_000}),
        Input("limit", Text(zh="最多条数", en="Most car parks"),
              {"type": "integer", "minimum": 1, "maximum": ROWS_MAX, "default": 50}),
    ),
    outputs=(Output("lots", Text(zh="停车场", en="Car parks")),),
    run=_run,
    keywords=("停车", "余位"),
)  # fmt: skip
