# SPDX-License-Identifier: Apache-2.0
"""Teams and stores for an incident by drive time (救援力量与物资调度): open roads only, stock added up until the
need is met."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder
from geocloud.features.moment import NOW
from geocloud.geodesy.area import ellipsoid
from geocloud.jobs.model import Input, Output, Process, Results
from geocloud.jobs.places import POINT_SCHEMA
from geocloud.jobs.run import Run
from geocloud.network.around import Around, around
from geocloud.network.graph import ready
from geocloud.network.places import SNAP_MAX_M, Place, Point
from geocloud.network.route import Route
from geocloud.sectors.emergency.common import (
    CLOSURES_SCHEMA,
    STOCK,
    STORES,
    TEAMS,
    beijing,
    code_title,
    is_empty,
    now_of,
    refuse_outside,
    relation_of,
    shown,
)

__all__ = ["PROCESS", "Need", "resource_dispatch"]

# Times within which everybody is looked for, one after the other until it is enough.
_WITHIN_S = (300.0, 900.0, 2_700.0, math.inf)
_STOPPED = ("stopped", "maintenance", "planned")
QUANTITY_MAX = 10_000_000
NEEDS_MAX = 10
TEAMS_MAX = 50


@dataclass(frozen=True, slots=True)
class Need:
    """What is wanted: a code of supply_item, how many, and the unit; the unit most stores count in if None."""

    item: str
    quantity: float
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    layer: str
    code: str
    told: Mapping[str, Any]
    at: Point
    metres: float
    stock: Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class _Reached:
    who: _Candidate
    seconds: float
    place: Place
    number: int


def resource_dispatch(
    run: Run,
    lon: float,
    lat: float,
    needs: Sequence[Need] = (),
    teams: int = 3,
    team_kinds: Sequence[str] = (),
    closures: Sequence[Mapping[str, Any]] = (),
    routes: bool = True,
) -> dict[str, Any]:
    """Teams and stores in the order of their drive time to lon/lat, in seconds along open roads.

    Stores are taken one after the other until every need is met. All within a time are asked for, and a longer time if
    that is not enough, so the order is exact. When nobody was left out, those without an open road are listed
    apart (`unreachable`), with the reason; else `not_asked` counts who is farther than `within_s`. Speeds are those of
    the network's table, without lights, traffic or loading. Raises what `geocloud.network.graph.ready` does.
    """
    refuse_outside(run, NOW, shapely.Point(lon, lat), "point")
    graph = ready(run)
    target = (lon, lat)
    needs = _with_units(run, needs)
    stores, squads = _stores(run, target, needs), _squads(run, target, team_kinds) if teams else []
    found = _ranked(run, target, [*stores, *squads], closures, lambda reached: _is_enough(reached, needs, teams))
    by_store = [r for r in found.reached if r.who.layer == STORES]
    by_team = [r for r in found.reached if r.who.layer == TEAMS][:teams]
    met = [_met(need, by_store) for need in needs]
    chosen = [r for r in by_store if any(r.who.code in m["codes"] for m in met)]
    ways = found.routes(run, [*chosen, *by_team]) if routes else {}
    return {
        "at": beijing(now_of(run)),
        "target": {"type": "Point", "coordinates": [lon, lat]},
        "verdict": _verdict(run, needs, met, teams, by_team),
        "needs": [{k: v for k, v in m.items() if k != "codes"} for m in met],
        "stores": [_told(r, ways, _taken(r, needs, met)) for r in chosen],
        "teams": [_told(r, ways, None) for r in by_team],
        "unreachable": [
            {"layer": c.layer, "code": c.code, **c.told, "straight_m": round(c.metres, 1), "why": why}
            for c, why in found.lost
        ],
        "not_asked": {layer: sum(c.layer == layer for c in found.left) for layer in (STORES, TEAMS)},
        "within_s": found.within_s,
        "not_judged": _not_judged(run, needs, teams),
        "closures": len(closures),
        "network": graph.as_dict(),
        "routes": {"type": "FeatureCollection", "features": [_feature(r, way) for r, way in ways.values()]},
        "synthetic": any(
            run.catalogue.layers[i].synthetic for i in (STORES, STOCK, TEAMS, "base.road") if i in run.catalogue.layers
        ),
    }


_Ways = dict[tuple[str, str], tuple[_Reached, Route]]


@dataclass(frozen=True)
class _Ranked:
    """Who was reached, by time; who cannot be, and why; who was not needed, and the time that all were asked for."""

    reached: Sequence[_Reached] = ()
    lost: Sequence[tuple[_Candidate, str]] = ()
    left: Sequence[_Candidate] = ()
    within_s: float | None = None
    found: Around | None = None

    def routes(self, run: Run, chosen: Sequence[_Reached]) -> _Ways:
        """The ways of those chosen, by layer and code."""
        if self.found is None or not chosen:
            return {}
        ways = self.found.routes(run, [r.number for r in chosen])
        return {(r.who.layer, r.who.code): (r, way) for r, way in zip(chosen, ways, strict=True) if way is not None}


def _ranked(
    run: Run,
    target: Point,
    candidates: Sequence[_Candidate],
    closures: Sequence[Mapping[str, Any]],
    enough: Callable[[Sequence[_Reached]], bool],
) -> _Ranked:
    """Candidates by time, all within a time that is made longer until `enough(found)` of those within it."""
    if not candidates:
        return _Ranked()
    for seconds in _WITHIN_S:
        asked = around(run, target, [c.at for c in candidates], seconds, "drive", closures)
        reached = [
            _Reached(c, s, place, k)
            for k, (c, place, s) in enumerate(zip(candidates, asked.others, asked.seconds.tolist(), strict=True))
            if math.isfinite(s)
        ]
        reached.sort(key=lambda r: (r.seconds, r.who.code))
        here = {r.number for r in reached}
        rest = [(c, place) for k, (c, place) in enumerate(zip(candidates, asked.others, strict=True)) if k not in here]
        if math.isinf(seconds):
            return _Ranked(reached, [(c, _why(p, asked.middle, run.language)) for c, p in rest], (), None, asked)
        if enough(reached):
            return _Ranked(reached, (), [c for c, _ in rest], seconds, asked)
    raise AssertionError("the last time has no end")


def _why(place: Place, target: Place, language: str) -> str:
    zh = language == "zh"
    for one, what_zh, what_en in ((target, "事件点", "the incident"), (place, "出发点", "it")):
        if one.edge is None:
            return (
                f"{what_zh} {SNAP_MAX_M:.0f} 米内没有可通行道路"
                if zh
                else (f"no open road within {SNAP_MAX_M:.0f} m of {what_en}")
            )
    return "封闭后没有可通行的道路相连" if zh else "no open road leads there"


def _with_units(run: Run, needs: Sequence[Need]) -> list[Need]:
    if not needs or is_empty(run, STOCK):
        return list(needs)
    layer = run.catalogue.layer(STOCK)
    held = layer.codes.get("supply_item")
    known = set(held.titles()) if held is not None else set()
    binder = Binder()
    items = binder.bind([n.item for n in needs], "text[]")
    rows = run.rows(
        f"SELECT item, unit, count(*) FROM {relation_of(binder, layer, NOW, by_place=False)} s "
        f"WHERE item = ANY ({items}) GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2",
        binder,
    )
    usual: dict[str, str] = {}
    for item, unit, _ in rows:
        usual.setdefault(item, unit)
    out = []
    for need in needs:
        if need.item not in known and need.item not in usual:
            raise InvalidParameter(
                f"There is no item `{need.item[:60]}`.", f"没有物资 {need.item[:60]}。",
                todo_en=f"One of: {', '.join(sorted(known))}.", todo_zh=f"可用:{'、'.join(sorted(known))}。",
                parameter="needs", allowed=sorted(known),
            )  # fmt: skip
        out.append(Need(need.item, need.quantity, need.unit or usual.get(need.item)))
    return out


def _stores(run: Run, target: Point, needs: Sequence[Need]) -> list[_Candidate]:
    """Stores that hold any of what is needed, nearest first as the crow flies."""
    if not needs or is_empty(run, STORES) or is_empty(run, STOCK):
        return []
    stores, stock = run.catalogue.layer(STORES), run.catalogue.layer(STOCK)
    binder = Binder()
    items = binder.bind([n.item for n in needs], "text[]")
    rows = run.rows(
        f"SELECT s.code, {shown(stores, ('name', 'kind', 'contact', 'phone'), 's')}, ST_X(s.geom), ST_Y(s.geom), "
        "array_agg(k.item ORDER BY k.item, k.unit), array_agg(k.unit ORDER BY k.item, k.unit), "
        "array_agg(k.quantity ORDER BY k.item, k.unit) "
        f"FROM {relation_of(binder, stores, NOW, by_place=False)} s "
        f"JOIN {relation_of(binder, stock, NOW, by_place=False)} k ON k.store_code = s.code "
        f"WHERE s.geom IS NOT NULL AND k.quantity > 0 AND k.item = ANY ({items}) "
        f"AND (s.state IS NULL OR s.state <> ALL ({binder.bind(list(_STOPPED), 'text[]')})) "
        "AND (k.expires_on IS NULL OR k.expires_on >= (now() AT TIME ZONE 'Asia/Shanghai')::date) "
        "GROUP BY 1, 2, 3, 4, 5, 6, 7",
        binder,
    )
    found = []
    for code, name, kind, contact, phone, x, y, item, unit, quantity in rows:
        told = {"name": name, "kind": kind, "contact": contact, "phone": phone}
        held = {(i, u): float(q) for i, u, q in zip(item, unit, quantity, strict=True)}
        found.append(_Candidate(STORES, code, told, (x, y), 0.0, held))
    return _nearest_first(target, found)


def _squads(run: Run, target: Point, kinds: Sequence[str]) -> list[_Candidate]:
    if is_empty(run, TEAMS):
        return []
    layer = run.catalogue.layer(TEAMS)
    known = layer.codes["team_kind"].titles() if "team_kind" in layer.codes else {}
    unknown = [k for k in kinds if known and k not in known]
    if unknown:
        raise InvalidParameter(
            f"`team_kinds` cannot hold `{unknown[0][:60]}`.", f"参数 team_kinds 不能含 {unknown[0][:60]}。",
            todo_en=f"Some of: {', '.join(known)}.", todo_zh=f"可用:{'、'.join(known)}。",
            parameter="team_kinds", allowed=list(known),
        )  # fmt: skip
    names = ("name", "kind", "people", "vehicles", "contact", "phone")
    binder = Binder()
    rows = run.rows(
        f"SELECT code, {shown(layer, names, 't')}, ST_X(geom), ST_Y(geom) "
        f"FROM {relation_of(binder, layer, NOW, by_place=False)} t WHERE geom IS NOT NULL "
        f"AND (state IS NULL OR state <> ALL ({binder.bind(list(_STOPPED), 'text[]')}))"
        + (f" AND kind = ANY ({binder.bind(list(kinds), 'text[]')})" if kinds else ""),
        binder,
    )
    found = [_Candidate(TEAMS, r[0], dict(zip(names, r[1:7], strict=True)), (r[7], r[8]), 0.0, {}) for r in rows]
    return _nearest_first(target, found)


def _nearest_first(target: Point, found: Sequence[_Candidate]) -> list[_Candidate]:
    if not found:
        return []
    xy = np.array([c.at for c in found])
    metres = ellipsoid().inv(np.full(len(xy), target[0]), np.full(len(xy), target[1]), xy[:, 0], xy[:, 1])[2]
    out = [_Candidate(c.layer, c.code, c.told, c.at, float(m), c.stock) for c, m in zip(found, metres, strict=True)]
    return sorted(out, key=lambda c: (c.metres, c.code))


def _is_enough(found: Sequence[_Reached], needs: Sequence[Need], teams: int) -> bool:
    if sum(r.who.layer == TEAMS for r in found) < teams:
        return False
    return all(sum(r.who.stock.get((n.item, n.unit or ""), 0.0) for r in found) >= n.quantity for n in needs)


def _met(need: Need, found: Sequence[_Reached]) -> dict[str, Any]:
    """How far a need is met by the stores in their order, and by which."""
    left, codes, last = need.quantity, [], None
    for r in found:
        here = r.who.stock.get((need.item, need.unit or ""), 0.0)
        if left <= 0 or not here:
            continue
        left, last = left - min(left, here), r.seconds
        codes.append(r.who.code)
    held = sum(r.who.stock.get((need.item, need.unit or ""), 0.0) for r in found)
    others = sorted({u for r in found for i, u in r.who.stock if i == need.item and u != need.unit})
    return {
        "item": need.item, "unit": need.unit, "quantity": need.quantity, "met": left <= 0,
        "found": min(need.quantity, held), "missing": max(0.0, round(left, 6)),
        "met_after_s": round(last, 1) if last is not None and left <= 0 else None, "stores": len(codes),
        "other_units": others, "codes": set(codes),
    }  # fmt: skip


def _taken(r: _Reached, needs: Sequence[Need], met: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    out = []
    for need, m in zip(needs, met, strict=True):
        held = r.who.stock.get((need.item, need.unit or ""), 0.0)
        if r.who.code in m["codes"]:
            out.append({"item": need.item, "unit": need.unit, "held": held})
    return out


def _verdict(
    run: Run, needs: Sequence[Need], met: Sequence[Mapping[str, Any]], teams: int, found: Sequence[_Reached]
) -> str:
    """`met` when all that was asked for is there, `short` when not, `not-judged` when nothing could be looked at."""
    unknown = [needs and (is_empty(run, STORES) or is_empty(run, STOCK)), teams and is_empty(run, TEAMS)]
    if any(unknown) or not (needs or teams):
        return "not-judged"
    return "met" if all(m["met"] for m in met) and len(found) >= teams else "short"


def _not_judged(run: Run, needs: Sequence[Need], teams: int) -> list[dict[str, str]]:
    asked = ((STORES, bool(needs)), (STOCK, bool(needs)), (TEAMS, teams > 0))
    why = "图层没有数据" if run.language == "zh" else "the layer has no rows"
    return [{"layer": layer, "why": why} for layer, wanted in asked if wanted and is_empty(run, layer)]


def _told(r: _Reached, ways: _Ways, taken: list[dict[str, Any]] | None) -> dict[str, Any]:
    way = ways.get((r.who.layer, r.who.code))
    out: dict[str, Any] = {
        "code": r.who.code, **r.who.told, "seconds": round(r.seconds, 1), "minutes": round(r.seconds / 60, 1),
        "road_m": round(way[1].metres, 1) if way else None, "straight_m": round(r.who.metres, 1),
        "off_road_m": round(r.place.off_m or 0.0, 1), "position": list(r.who.at),
    }  # fmt: skip
    if taken is not None:
        out["stock"] = taken
    return out


def _feature(r: _Reached, way: Route) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": shapely.geometry.mapping(shapely.LineString(np.round(shapely.get_coordinates(way.line), 7))),
        "properties": {
            "code": r.who.code, "name": r.who.told.get("name"), "seconds": round(way.seconds, 1),
            "road_m": round(way.metres, 1),
            "off_road_from_m": round(way.source.off_m or 0.0, 1),
            "off_road_to_m": round(way.target.off_m or 0.0, 1),
        },
    }  # fmt: skip


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    lon, lat = inputs["point"]["coordinates"][:2]
    needs = [Need(n["item"], n["quantity"], n.get("unit")) for n in inputs.get("needs", ())]
    document = resource_dispatch(
        run, lon, lat, needs, inputs.get("teams", 3), inputs.get("team_kinds", ()), inputs.get("closures", ()),
    )  # fmt: skip
    lines = document.pop("routes")
    stock = run.catalogue.layers.get(STOCK)
    for need in document["needs"]:
        need["title"] = need["item"] if stock is None else code_title(stock, "item", need["item"], run.language)
    return {"plan": document, "routes": lines}


_NEEDS: dict[str, Any] = {
    "type": "array",
    "maxItems": NEEDS_MAX,
    "default": [],
    "items": {
        "type": "object",
        "required": ["item", "quantity"],
        "additionalProperties": False,
        "properties": {
            "item": {"type": "string", "maxLength": 40},
            "quantity": {"type": "number", "exclusiveMinimum": 0, "maximum": QUANTITY_MAX},
            "unit": {"type": "string", "maxLength": 20},
        },
    },
    "examples": [[{"item": "tent", "quantity": 200}]],
}

PROCESS = Process(
    id="resource-dispatch",
    version="1.0.0",
    title=Text(zh="救援力量与物资调度", en="Teams and supplies by drive time"),
    description=Text(
        zh="按避开封闭路段的驾车时间排列应急队伍和物资库,累计库存直到满足需求;不可达的单列。车速为速度表取值,不含路况。",
        en="Teams and stores in the order of their drive time round closures; stock is added up until the need is met, "
        "what cannot be reached is listed apart. Speeds are those of a table, without traffic.",
    ),
    inputs=(
        Input("point", Text(zh="事件位置", en="Where it is"), POINT_SCHEMA, required=True),
        Input("needs", Text(zh="需要的物资", en="What is needed"), _NEEDS,
              Text(zh="supply_item 代码、数量、单位", en="Codes of supply_item, quantity, unit")),
        Input("teams", Text(zh="队伍数", en="Teams"),
              {"type": "integer", "minimum": 0, "maximum": TEAMS_MAX, "default": 3}),
        Input("team_kinds", Text(zh="队伍类别", en="Kinds of teams"),
              {"type": "array", "items": {"type": "string"}, "maxItems": 20, "default": []},
              Text(zh="team_kind 代码,不填为全部", en="Codes of team_kind; all if unset")),
        Input("closures", Text(zh="封闭的路段或区域", en="What is closed"), CLOSURES_SCHEMA,
              Text(zh="GeoJSON 面或线;与之相交的路段整段封闭",
                   en="GeoJSON areas or lines; a stretch of road that meets one is closed whole")),
    ),
    outputs=(
        Output("plan", Text(zh="调度方案", en="Plan")),
        Output("routes", Text(zh="行车路线", en="Routes")),
    ),
    run=_run,
    keywords=("应急", "调度", "物资", "队伍"),
)  # fmt: skip
