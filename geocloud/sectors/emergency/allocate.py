# SPDX-License-Identifier: Apache-2.0
"""Where evacuated people go (避难场所分配): shelters by their room, with the least total way on foot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter, TooLarge
from geocloud.features.binder import Binder
from geocloud.features.moment import NOW
from geocloud.geodesy.area import ellipsoid
from geocloud.jobs.model import Input, Output, Process, Results
from geocloud.jobs.places import POINT_SCHEMA
from geocloud.jobs.run import Run
from geocloud.network import route
from geocloud.network.places import Point
from geocloud.sectors.emergency.common import (
    AREA_SCHEMA,
    CLOSURES_SCHEMA,
    SHELTERS,
    VILLAGES,
    beijing,
    bind_shape,
    is_empty,
    now_of,
    origin_of,
    refuse_outside,
    relation_of,
)
from geocloud.sectors.emergency.transport import allocate

__all__ = ["PROCESS", "Demand", "shelter_allocate"]

DISTANCE_MAX_M = 30_000
DEMANDS_MAX = 500
SHELTERS_MAX = 500
PERSONS_MAX = 10_000_000
_TOLD_MAX = 5
_STOPPED = ("stopped", "maintenance", "planned")


@dataclass(frozen=True, slots=True)
class Demand:
    """People at a place: a name to tell it by, lon/lat, how many."""

    name: str
    at: Point
    persons: int


def shelter_allocate(
    run: Run,
    area: Mapping[str, Any] | None = None,
    demands: Sequence[Demand] = (),
    max_distance_m: float = 5_000,
    by: str = "road",
    closures: Sequence[Mapping[str, Any]] = (),
    inside: bool = False,
) -> dict[str, Any]:
    """How many go from where to which shelter: as many as there is room for, with the least total way.

    People are those given, or of an area the population of its villages by the share of their area inside, standing at
    a point of that part. `by` is `road`, seconds on foot along open roads by the network's table of speeds, or
    `straight`, metres on the ellipsoid. Shelters farther than `max_distance_m` as the crow flies are not
    used, nor those in the area itself unless `inside`, those that are not running, or those whose capacity is not known
    (counted). Whoever finds no room is told as left over, with the reason.
    """
    shape = None if area is None else origin_of(None, area).shape
    if (shape is None) == (not demands):
        raise InvalidParameter(
            "Give either `area` or `demands`.", "请给出 area 或 demands 之一。",
            todo_en="An area to be evacuated, or points with numbers of persons.",
            todo_zh="需疏散的范围,或带人数的点。", parameter="area",
        )  # fmt: skip
    refuse_outside(run, NOW, shape if shape is not None else shapely.MultiPoint([d.at for d in demands]),
                   "area" if shape is not None else "demands")  # fmt: skip
    left_out = 0
    if shape is not None:
        demands, left_out = _in_area(run, shape)
    base = {
        "at": beijing(now_of(run)), "by": by, "max_distance_m": max_distance_m,
        "persons": sum(d.persons for d in demands), "villages_left_out": left_out,
    }  # fmt: skip
    why = _why_not(run, demands, left_out)
    if why is not None:
        return {**base, "verdict": "not-judged", "why": why, "notes": [why], **_nothing(), "synthetic": _synthetic(run)}
    shelters, unknown = _shelters(run, demands, shape if not inside else None, max_distance_m)
    cost, metres = _ways(run, demands, shelters, max_distance_m, by, closures)
    people = np.array([d.persons for d in demands], dtype=np.int64)
    room = np.array([s["capacity"] for s in shelters], dtype=np.int64)
    flow, total = allocate(people, room, cost)
    left = _left(run, demands, flow, cost, room)
    return {
        **base,
        "verdict": "placed" if flow.sum() == people.sum() else "left-over",
        "why": None,
        "notes": _notes(run, left, unknown, left_out, not inside and shape is not None),
        "placed": int(flow.sum()),
        "left_over": int(people.sum() - flow.sum()),
        "total_cost": round(total, 1),
        "mean_cost": round(total / int(flow.sum()), 1) if flow.sum() else None,
        "unit": "person-seconds on foot" if by == "road" else "person-metres",
        "shelters_without_capacity": unknown,
        "shelters": _used(shelters, room, flow),
        "demands": left,
        "allocation": _moves(demands, shelters, flow, cost, metres, by),
        "synthetic": _synthetic(run),
    }


def _nothing() -> dict[str, Any]:
    return {
        "placed": 0, "left_over": None, "total_cost": None, "mean_cost": None, "unit": None,
        "shelters_without_capacity": 0, "shelters": [], "demands": [], "allocation": [],
    }  # fmt: skip


def _synthetic(run: Run) -> bool:
    layers = run.catalogue.layers
    return any(layers[i].synthetic for i in (SHELTERS, VILLAGES, "base.road") if i in layers)


def _why_not(run: Run, demands: Sequence[Demand], left_out: int) -> str | None:
    zh = run.language == "zh"
    if is_empty(run, SHELTERS):
        return "避难场所图层没有数据" if zh else "the layer of shelters has no rows"
    if sum(d.persons for d in demands):
        return None
    if left_out:
        return "范围内各村没有人口或面" if zh else "no village here has a population and an area"
    return "范围内没有人口数据" if zh else "nothing is known of people here"


def _in_area(run: Run, shape: Any) -> tuple[list[Demand], int]:
    """Persons of each village's part inside; whole numbers that add up to the rounded sum; villages left out."""
    if is_empty(run, VILLAGES):
        return [], 0
    layer = run.catalogue.layer(VILLAGES)
    binder = Binder()
    z = bind_shape(binder, shape)
    rows = run.rows(
        "SELECT name, population * share, ST_X(ST_PointOnSurface(part)), ST_Y(ST_PointOnSurface(part)) FROM ("
        "SELECT coalesce(name, code) AS name, code, population, part, "
        "ST_Area(part) / nullif(ST_Area(geom), 0) AS share "
        f"FROM (SELECT *, ST_CollectionExtract(ST_Intersection(geom, {z}), 3) AS part "
        f"FROM {relation_of(binder, layer, NOW)} v WHERE geom && {z} AND ST_Intersects(geom, {z})) w) x ORDER BY code",
        binder,
    )
    judged = [r for r in rows if r[1] is not None and r[2] is not None and r[1] > 0]
    if len(judged) > DEMANDS_MAX:
        raise TooLarge(
            f"The area holds {len(judged)} villages; {DEMANDS_MAX} at most.",
            f"范围内有 {len(judged)} 个村,上限 {DEMANDS_MAX}。",
            todo_en="Draw a smaller area.", todo_zh="请缩小范围。", limit="demands_max", value=DEMANDS_MAX,
        )  # fmt: skip
    exact = np.array([float(r[1]) for r in judged])
    whole = np.floor(exact).astype(np.int64)
    # The largest remainders are rounded up, so that the sum is that of all.
    more = round(float(exact.sum())) - int(whole.sum())
    whole[np.argsort(-(exact - whole), kind="stable")[:more]] += 1
    empty = sum(r[1] is None or r[2] is None for r in rows)
    return [Demand(r[0], (r[2], r[3]), int(n)) for r, n in zip(judged, whole, strict=True) if n > 0], empty


def _shelters(
    run: Run, demands: Sequence[Demand], without: Any | None, max_distance_m: float
) -> tuple[list[dict[str, Any]], int]:
    """Shelters within reach of any demand, and how many of them have no known capacity."""
    layer = run.catalogue.layer(SHELTERS)
    xy = np.array([d.at for d in demands])
    lat = max_distance_m / 110_000.0
    lon = max_distance_m / (110_800.0 * np.cos(np.radians(np.abs(xy[:, 1]).max() + lat)))
    box = shapely.box(*(xy.min(axis=0) - (lon, lat)), *(xy.max(axis=0) + (lon, lat)))
    binder = Binder()
    outside = "" if without is None else f" AND NOT ST_Intersects(geom, {bind_shape(binder, without)})"
    rows = run.rows(
        "SELECT code, name, capacity, ST_X(ST_PointOnSurface(geom)), ST_Y(ST_PointOnSurface(geom)) "
        f"FROM {relation_of(binder, layer, NOW)} s WHERE geom && {bind_shape(binder, box)}{outside} "
        f"AND (state IS NULL OR state <> ALL ({binder.bind(list(_STOPPED), 'text[]')})) ORDER BY code",
        binder,
    )
    near = []
    for code, name, capacity, x, y in rows:
        metres = ellipsoid().inv(xy[:, 0], xy[:, 1], np.full(len(xy), x), np.full(len(xy), y))[2]
        if metres.min() <= max_distance_m:
            near.append((float(metres.min()), {"code": code, "name": name, "capacity": capacity, "position": [x, y]}))
    known = sorted((n for n in near if n[1]["capacity"]), key=lambda n: (n[0], n[1]["code"]))
    # Those beyond the limit are the farthest of all.
    return [s for _, s in known[:SHELTERS_MAX]], len(near) - len(known)


def _ways(
    run: Run,
    demands: Sequence[Demand],
    shelters: Sequence[Mapping[str, Any]],
    max_distance_m: float,
    by: str,
    closures: Sequence[Mapping[str, Any]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cost for one person and straight metres of every pair; inf where nobody may or can go."""
    here, there = np.array([d.at for d in demands]), np.array([s["position"] for s in shelters]).reshape(-1, 2)
    n, m = len(here), len(there)
    metres = np.asarray(
        ellipsoid().inv(
            np.repeat(here[:, 0], m), np.repeat(here[:, 1], m), np.tile(there[:, 0], n), np.tile(there[:, 1], n)
        )[2]
    ).reshape(n, m)
    cost = metres.copy()
    if by == "road" and m:
        cost = route.costs(
            run, list(map(tuple, here.tolist())), list(map(tuple, there.tolist())), "walk", closures
        ).seconds
    return np.where(metres <= max_distance_m, cost, np.inf), metres


def _used(
    shelters: Sequence[Mapping[str, Any]], room: NDArray[np.int64], flow: NDArray[np.int64]
) -> list[dict[str, Any]]:
    come = flow.sum(axis=0)
    return [
        {**s, "persons": int(p), "free": int(r - p)}
        for s, p, r in zip(shelters, come, room, strict=True)
        if p > 0
    ]  # fmt: skip


def _left(
    run: Run, demands: Sequence[Demand], flow: NDArray[np.int64], cost: NDArray[np.float64], room: NDArray[np.int64]
) -> list[dict[str, Any]]:
    zh = run.language == "zh"
    out = []
    for d, row, c in zip(demands, flow, cost, strict=True):
        left = d.persons - int(row.sum())
        why = None
        if left:
            reachable = np.isfinite(c) & (room > 0)
            why = (
                ("可达场所容量已满" if zh else "the shelters in reach are full")
                if reachable.any()
                else ("最远距离内没有可用的避难场所" if zh else "no shelter is in reach")
            )
        out.append(
            {"name": d.name, "position": list(d.at), "persons": d.persons, "placed": d.persons - left,
             "left_over": left, "why": why}
        )  # fmt: skip
    return out


def _notes(run: Run, left: Sequence[Mapping[str, Any]], unknown: int, villages: int, more_inside: bool) -> list[str]:
    """What whoever reads the plan has to know first: who is left over and why, and what was not taken into account.

    `more_inside`: there is an area, and the shelters in it were not to be used.
    """
    zh = run.language == "zh"
    told = []
    for why in dict.fromkeys(d["why"] for d in left if d["left_over"]):
        short = sorted((d for d in left if d["left_over"] and d["why"] == why), key=lambda d: -d["left_over"])
        some = ("、" if zh else ", ").join(f"{d['name']} {d['left_over']:,}" for d in short[:_TOLD_MAX])
        more = "" if len(short) <= _TOLD_MAX else f"等 {len(short)} 处" if zh else f" and {len(short) - _TOLD_MAX} more"
        total = sum(d["left_over"] for d in short)
        told.append(
            f"{total:,} 人未安置:{why}({some}{more})。" if zh else f"{total:,} left over: {why} ({some}{more})."
        )
    if told:
        inside = (",或使用范围内的场所", ", or the shelters inside the area") if more_inside else ("", "")
        told.append(f"可增大最远直线距离{inside[0]}。" if zh else f"Try a greater distance{inside[1]}.")
    if unknown:
        told.append(
            f"{unknown} 处避难场所容量未知,未使用。" if zh else f"{unknown} shelters of unknown capacity were not used."
        )
    if villages:
        told.append(
            f"{villages} 个村没有人口或面,未计入。" if zh
            else f"{villages} villages without a population or an area were not counted."
        )  # fmt: skip
    return told


def _moves(
    demands: Sequence[Demand],
    shelters: Sequence[Mapping[str, Any]],
    flow: NDArray[np.int64],
    cost: NDArray[np.float64],
    metres: NDArray[np.float64],
    by: str,
) -> list[dict[str, Any]]:
    return [
        {
            "from": demands[i].name, "from_position": list(demands[i].at), "shelter": shelters[j]["code"],
            "shelter_name": shelters[j]["name"], "to_position": shelters[j]["position"], "persons": int(flow[i, j]),
            "straight_m": round(float(metres[i, j]), 1),
            "walk_s": round(float(cost[i, j]), 1) if by == "road" else None,
        }
        for i, j in zip(*np.nonzero(flow), strict=True)
    ]  # fmt: skip


def _lines(document: Mapping[str, Any]) -> dict[str, Any]:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": [m["from_position"], m["to_position"]]},
            "properties": {k: m[k] for k in ("from", "shelter", "shelter_name", "persons", "straight_m", "walk_s")},
        }
        for m in document["allocation"]
    ]
    return {"type": "FeatureCollection", "features": features}


def _run(run: Run, inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    demands = [
        Demand(d.get("name") or f"{n}", (d["point"]["coordinates"][0], d["point"]["coordinates"][1]), d["persons"])
        for n, d in enumerate(inputs.get("demands") or (), 1)
    ]
    document = shelter_allocate(
        run, inputs.get("area"), demands, inputs.get("max_distance_m", 5_000), inputs.get("by", "road"),
        inputs.get("closures", ()), inputs.get("inside", False),
    )  # fmt: skip
    return {"plan": document, "lines": _lines(document)}


_DEMANDS: dict[str, Any] = {
    "type": "array",
    "maxItems": DEMANDS_MAX,
    "default": [],
    "items": {
        "type": "object",
        "required": ["point", "persons"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "maxLength": 100},
            "point": POINT_SCHEMA,
            "persons": {"type": "integer", "minimum": 1, "maximum": PERSONS_MAX},
        },
    },
}  # fmt: skip

PROCESS = Process(
    id="shelter-allocate",
    version="1.0.0",
    title=Text(zh="避难场所分配", en="Shelters for evacuated people"),
    description=Text(
        zh="把需疏散的人口按避难场所容量分配,先使安置人数最多,再使总步行时间(或直线距离)最小;容量不足时列出未安置人数。",
        en="People to shelters under their capacity: as many as possible, then the least total way; who finds no room "
        "is told as left over.",
    ),
    inputs=(
        Input("area", Text(zh="疏散范围", en="Area to be evacuated"), AREA_SCHEMA,
              Text(zh="人口按村落入面积比例计", en="People of villages by the share of their area inside")),
        Input("demands", Text(zh="疏散点", en="Points with people"), _DEMANDS,
              Text(zh="与疏散范围二选一", en="In place of an area")),
        Input("max_distance_m", Text(zh="最远直线距离(米)", en="Farthest, metres as the crow flies"),
              {"type": "number", "exclusiveMinimum": 0, "maximum": DISTANCE_MAX_M, "default": 5_000}),
        Input("by", Text(zh="按", en="By"), {"enum": ["road", "straight"], "default": "road"},
              Text(zh="沿道路的步行时间,或直线距离", en="Time on foot along roads, or straight metres")),
        Input("closures", Text(zh="封闭的路段或区域", en="What is closed"), CLOSURES_SCHEMA),
        Input("inside", Text(zh="使用范围内的场所", en="Use shelters inside the area"),
              {"type": "boolean", "default": False}),
    ),
    outputs=(
        Output("plan", Text(zh="分配方案", en="Plan")),
        Output("lines", Text(zh="分配示意", en="Who goes where, as lines")),
    ),
    run=_run,
    keywords=("应急", "避难", "疏散"),
)  # fmt: skip
