# SPDX-License-Identifier: Apache-2.0
"""A trail made to order (线路编排): stops in a good order from a start, with the way, times and opening hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pyproj
import shapely

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter, MissingPackages
from geocloud.features.params import read_datetime
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.places import POINT_SCHEMA
from geocloud.jobs.run import Run
from geocloud.network.graph import ROADS
from geocloud.network.route import Route, costs, routes
from geocloud.sectors.culture.hours import BEIJING, next_open, read_hours
from geocloud.sectors.culture.order import order_all, order_within
from geocloud.sectors.culture.stops import THEMES, Stop, chosen_stops, stops_near

__all__ = ["PROCESS", "Trail", "culture_trail"]

STOPS_MAX, CANDIDATES_MAX = 25, 60
WALK_KMH = 4.5
"""Walking speed as the crow flies, an assumption of this project; along roads the table of the network holds."""
_WALK_MS = WALK_KMH / 3.6
_GEOJSON = "application/geo+json"
_CGCS2000 = pyproj.Geod(a=6378137.0, rf=298.257222101)
_MINUTE = 60.0
Place = tuple[float, float]


@dataclass(frozen=True)
class _Way:
    """Seconds between places, place 0 the start, and how they are known."""

    seconds: Any
    roads: bool
    why: Text | None = None


@dataclass(frozen=True)
class Trail:
    """The answer: a document, the stops in order as GeoJSON, and the way as GeoJSON."""

    document: dict[str, Any]
    stops: dict[str, Any]
    way: dict[str, Any]


def culture_trail(
    run: Run,
    lon: float,
    lat: float,
    stops: Sequence[str] = (),
    theme: str = "all",
    minutes: float = 180,
    stay_min: float = 30,
    most: int = 8,
    begins: str | None = None,
    *,
    approximate: bool = False,
    back: bool = False,
    along: str = "roads",
) -> Trail:
    """A walk from lon/lat (degrees, EPSG:4490) through chosen `stops`, all of them, or through as many of a `theme` as
    fit into `minutes` with `stay_min` at each.

    A stop whose position stands for a township or county (`position_quality` area or none) is left out, and told so;
    with `approximate` it is used and marked. Times are along roads where there is a road graph; as the crow flies
    (ellipsoid, 4.5 km/h) otherwise, which the answer says. Hours are those of the features' own text, read by
    `hours.read_hours`; what says anything else is not judged. InvalidParameter where nothing can be a stop.
    """
    start = _start(begins)
    if stops:
        found = chosen_stops(run, theme, stops)
        if len(found) > STOPS_MAX:
            raise _refused("stops", f"At most {STOPS_MAX} stops.", f"最多 {STOPS_MAX} 个站点。")
    else:
        # Nothing farther than the whole time's walk can be a stop.
        found = stops_near(run, theme, lon, lat, minutes * _MINUTE * _WALK_MS, CANDIDATES_MAX)
    left_out = [_out(s, "no-position") for s in found if s.lon is None]
    if not approximate:
        left_out += [_out(s, "approximate") for s in found if s.lon is not None and s.approximate]
    usable = [s for s in found if s.lon is not None and (approximate or not s.approximate)]
    if not stops:
        usable = _nearest(usable, lon, lat)
    if not usable:
        raise _refused(
            "stops" if stops else "theme", "Nothing there can be a stop.", "没有可作站点的要素。",
            "Start elsewhere, give more minutes, or allow approximate positions with approximate=true.",
            "请换起点、增加时间,或以 approximate=true 允许大致位置。",
        )  # fmt: skip
    run.progress(0.3, "量算步行时间", "measuring walking times")
    places = [(lon, lat), *((float(s.lon or 0), float(s.lat or 0)) for s in usable)]
    way = _way(run, places, along)
    run.progress(0.7, "编排次序", "finding the order")
    if stops:
        order, lost = order_all(way.seconds, back=back)
        left_out += [_out(usable[k - 1], "no-way") for k in lost]
    else:
        order = order_within(way.seconds, stay_min * _MINUTE, minutes * _MINUTE, most, back=back)
    if not order:
        raise _refused(
            "minutes", "No stop can be reached in that time.", "在该时间内无法到达任何站点。",
            "Give more minutes or a shorter stay.", "请增加总时间或缩短停留。",
        )  # fmt: skip
    legs = _legs(run, way, places, [0, *order, *([0] if back else [])])
    told = _timed([usable[k - 1] for k in order], legs, start, stay_min)
    walk = sum(leg["walk_min"] for leg in legs)
    synthetic = any(usable[k - 1].synthetic for k in order)
    document = {
        "stops": len(order),
        "length_m": round(sum(leg["walk_m"] for leg in legs), 1),
        "walk_min": round(walk, 1),
        "total_min": round(walk + stay_min * len(order), 1),
        "fits": walk + stay_min * len(order) <= minutes + 1e-6,
        "begins": start.astimezone(BEIJING).isoformat(timespec="seconds"),
        "ends": (start + timedelta(minutes=walk + stay_min * len(order))).astimezone(BEIJING).isoformat(
            timespec="seconds"),
        "along": "roads" if way.roads else "straight",
        "back": back,
        "closed": sum(s["properties"]["open"] == "closed" for s in told),
        "hours_not_known": sum(s["properties"]["open"] == "not-known" for s in told),
        "approximate": sum(bool(s["properties"]["approximate"]) for s in told),
        "left_out": left_out,
        "notes": [n.model_dump() for n in _notes(way, left_out, told)],
        "synthetic": synthetic,
    }  # fmt: skip
    line = [_line(leg, i) for i, leg in enumerate(legs, 1)]
    return Trail(document, _collection(told), _collection(line))


def _start(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    read = read_datetime(text)
    if read.start is None:
        raise _refused("begins", "`begins` says no begin.", "参数 begins 没有写开始时间。")
    return read.start


def _nearest(stops: list[Stop], lon: float, lat: float) -> list[Stop]:
    """The nearest of all layers together."""
    if not stops:
        return []
    n = len(stops)
    metres = _CGCS2000.inv([lon] * n, [lat] * n, [s.lon for s in stops], [s.lat for s in stops])[2]
    return [stops[i] for i in np.argsort(metres, kind="stable")[:CANDIDATES_MAX].tolist()]


def _way(run: Run, places: list[Place], along: str) -> _Way:
    why = None
    if along == "roads":
        if ROADS not in run.catalogue.layers or not run.catalogue.layer(ROADS).state.row_count:
            why = Text(zh="没有道路数据,距离按直线计算。", en="There are no roads, so distances are as the crow flies.")
        else:
            try:
                found = costs(run, places, places, "walk")
                off = np.array([p.off_m or 0.0 for p in found.sources])
                aside = (off[:, None] + off[None, :]) / _WALK_MS
                np.fill_diagonal(aside, 0.0)
                return _Way(found.seconds + aside, True)
            except MissingPackages:
                why = Text(
                    zh="数据库没有 pgRouting 扩展,距离按直线计算,实际路程更长。",
                    en="The database has no pgRouting: distances are as the crow flies, and the walk is longer.",
                )
    n = len(places)
    lon, lat = np.array(places).T
    metres = _CGCS2000.inv(np.repeat(lon, n), np.repeat(lat, n), np.tile(lon, n), np.tile(lat, n))[2]
    return _Way(metres.reshape(n, n) / _WALK_MS, False, why)


def _legs(run: Run, way: _Way, places: list[Place], order: list[int]) -> list[dict[str, Any]]:
    pairs = list(zip(order, order[1:], strict=False))
    if way.roads:
        found = routes(run, [places[a] for a, _ in pairs], [places[b] for _, b in pairs], "walk")
        return [_along(r) for r in found if r is not None]
    legs = []
    for a, b in pairs:
        metres = float(_CGCS2000.inv(*places[a], *places[b])[2])
        seconds = float(way.seconds[a, b])
        legs.append(
            {"walk_m": metres, "walk_min": seconds / _MINUTE, "line": shapely.LineString([places[a], places[b]])}
        )
    return legs


def _along(r: Route) -> dict[str, Any]:
    """A leg along roads, with the way from the place to its road and from there to the next place."""
    off = (r.source.off_m or 0.0) + (r.target.off_m or 0.0)
    line = shapely.LineString([r.source.point, *r.line.coords, r.target.point])
    return {"walk_m": r.metres + off, "walk_min": (r.seconds + off / _WALK_MS) / _MINUTE, "line": line}


def _timed(stops: list[Stop], legs: list[dict[str, Any]], start: datetime, stay_min: float) -> list[dict[str, Any]]:
    """Stops as features, with when one comes and goes, and whether they are open then."""
    now, told = start, []
    for number, (stop, leg) in enumerate(zip(stops, legs, strict=False), 1):
        now += timedelta(minutes=leg["walk_min"])
        leaves = now + timedelta(minutes=stay_min)
        opens, state = _open(stop, now, leaves)
        told.append(
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [stop.lon, stop.lat]},
                "properties": {
                    "number": number, "name": stop.name, "layer": stop.layer, "code": stop.code, "fid": stop.fid,
                    "walk_m": round(leg["walk_m"], 1), "walk_min": round(leg["walk_min"], 1),
                    "arrives": now.astimezone(BEIJING).isoformat(timespec="seconds"),
                    "leaves": leaves.astimezone(BEIJING).isoformat(timespec="seconds"),
                    "open": state, "opens": opens and opens.astimezone(BEIJING).isoformat(timespec="seconds"),
                    "hours": stop.hours, "open_to_public": stop.public, "position_quality": stop.quality,
                    "approximate": stop.approximate,
                },
            }
        )  # fmt: skip
        now = leaves
    return told


def _open(stop: Stop, arrives: datetime, leaves: datetime) -> tuple[datetime | None, str]:
    """When it opens next within the day, and `open`, `opens-later`, `closed` or, without hours that can be read,
    `not-known`. What is not open to the public is closed whatever its hours say."""
    if stop.public is False:
        return None, "closed"
    spans = read_hours(stop.hours)
    if spans is None:
        return None, "not-known"
    end = max(leaves, arrives + timedelta(minutes=1))
    if next_open(arrives, end, spans) == arrives:
        return arrives, "open"
    midnight = arrives.astimezone(BEIJING).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    later = next_open(arrives, midnight.astimezone(UTC), spans)
    return later, "opens-later" if later is not None else "closed"


def _out(stop: Stop, why: str) -> dict[str, Any]:
    return {"layer": stop.layer, "code": stop.code, "name": stop.name, "why": why, "position_quality": stop.quality}


def _notes(way: _Way, left_out: list[dict[str, Any]], told: list[dict[str, Any]]) -> list[Text]:
    notes = [way.why] if way.why else []
    if not way.roads and way.why is None:
        notes.append(
            Text(zh="距离按直线计算,实际路程更长。", en="Distances are as the crow flies; the walk is longer.")
        )
    lost = sum(x["why"] == "approximate" for x in left_out)
    if lost:
        notes.append(
            Text(zh=f"{lost} 处只有大致位置(乡镇或县的点),未作站点。",
                 en=f"{lost} have only the point of their township or county and are no stops.")
        )  # fmt: skip
    rough = sum(bool(s["properties"]["approximate"]) for s in told)
    if rough:
        notes.append(
            Text(zh=f"{rough} 个站点只有大致位置,请先核对地点再前往。",
                 en=f"{rough} stops have only a rough position: look the place up before you go.")
        )  # fmt: skip
    for why, zh, en in (
        ("no-position", "没有位置", "have no position"),
        ("no-way", "没有道路通达", "cannot be reached"),
    ):
        if n := sum(x["why"] == why for x in left_out):
            notes.append(Text(zh=f"{n} 处{zh},未作站点。", en=f"{n} {en} and are no stops."))
    return notes


def _line(leg: dict[str, Any], number: int) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": orjson.loads(shapely.to_geojson(leg["line"])),
        "properties": {"leg": number, "walk_m": round(leg["walk_m"], 1), "walk_min": round(leg["walk_min"], 1)},
    }


def _collection(features: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features}


def _refused(parameter: str, en: str, zh: str, todo_en: str = "", todo_zh: str = "") -> InvalidParameter:
    return InvalidParameter(en, zh, todo_en=todo_en, todo_zh=todo_zh, parameter=parameter)


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    lon, lat = inputs["start"]["coordinates"][:2]
    found = culture_trail(
        run, lon, lat, inputs.get("stops", ()), inputs.get("theme", "all"), inputs.get("minutes", 180),
        inputs.get("stay_min", 30), inputs.get("most", 8), inputs.get("begins"),
        approximate=inputs.get("approximate", False), back=inputs.get("back", False),
        along=inputs.get("along", "roads"),
    )  # fmt: skip
    out: dict[str, Any] = {"trail": found.document}
    for name, document in (("stops", found.stops), ("way", found.way)):
        if name in wanted:
            out[name] = Blob(orjson.dumps(document), _GEOJSON, f"culture-trail-{name}.geojson")
    return out


_YES_NO = {"type": "boolean", "default": False}
PROCESS = Process(
    id="culture-trail",
    version="1.0.0",
    title=Text(zh="线路编排", en="Making a trail"),
    description=Text(
        zh="从起点出发,把选定的站点,或按主题在限定时间内的站点,排成步行线路;"
        "给出路程、时间与开放情况。次序由最近邻与 2-opt 求得。",
        en="A walk from a place through chosen stops, or through those of a theme that fit into a time, with its way, "
        "times and opening hours; the order by nearest neighbour and 2-opt.",
    ),
    inputs=(
        Input("start", Text(zh="起点", en="Start"), POINT_SCHEMA, required=True),
        Input("stops", Text(zh="站点编码", en="Codes of stops"),
              {"type": "array", "items": {"type": "string", "maxLength": 120}, "maxItems": STOPS_MAX, "default": []},
              Text(zh="全部到访;不填则按主题挑选", en="All are visited; chosen by theme if unset")),
        Input("theme", Text(zh="主题", en="Theme"), {"type": "string", "enum": list(THEMES), "default": "all"}),
        Input("minutes", Text(zh="总时间(分钟)", en="Minutes in all"),
              {"type": "number", "minimum": 10, "maximum": 720, "default": 180}),
        Input("stay_min", Text(zh="每站停留(分钟)", en="Minutes at each stop"),
              {"type": "number", "minimum": 0, "maximum": 240, "default": 30}),
        Input("most", Text(zh="最多站点数", en="Most stops"),
              {"type": "integer", "minimum": 1, "maximum": STOPS_MAX, "default": 8}),
        Input("begins", Text(zh="出发时间", en="Begins"), {"type": "string", "format": "date-time", "maxLength": 40},
              Text(zh="用于核对开放时间,不填为现在", en="For the opening hours; now if unset")),
        Input("back", Text(zh="回到起点", en="Back to the start"), _YES_NO),
        Input("approximate", Text(zh="允许大致位置", en="Approximate positions too"), _YES_NO,
              Text(zh="只有乡镇或县位置的要素也作站点,并加标注",
                   en="What has only the point of its township or county is a stop too, and marked")),
        Input("along", Text(zh="路程", en="Way"),
              {"type": "string", "enum": ["roads", "straight"], "default": "roads"}),
    ),
    outputs=(
        Output("trail", Text(zh="线路", en="Trail")),
        Output("stops", Text(zh="站点", en="Stops"), _GEOJSON),
        Output("way", Text(zh="路径", en="Way"), _GEOJSON),
    ),
    run=_run,
    keywords=("文化", "线路"),
)  # fmt: skip
