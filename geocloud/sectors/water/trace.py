# SPDX-License-Identifier: Apache-2.0
"""The process that traces rivers (河网上下游追踪) and lists the gauges and works along the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely

from geocloud.catalogue.spec import Text
from geocloud.errors import TooLarge
from geocloud.jobs.model import Input, Output, Process, Results
from geocloud.jobs.places import POINT_SCHEMA
from geocloud.jobs.run import Run
from geocloud.sectors.water.common import (
    PUMPS,
    REACHES,
    RIVER,
    SLUICES,
    Station,
    invalid,
    named,
    rows_of,
    stations,
)
from geocloud.sectors.water.network import Line, Network, Spot, build
from geocloud.sectors.water.walk import Part, between, distance_to, walk

__all__ = ["LAYERS", "LINES_MAX", "PROCESS", "read_network", "snapped", "trace"]

LAYERS = (REACHES, "base.water_line")
ALONG = (RIVER, SLUICES, PUMPS)
"""Layers of points that are listed along a trace."""
LINES_MAX = 50_000
PROBLEMS_TOLD = 200


def read_network(run: Run, layer_id: str, tolerance_m: float, gap_m: float) -> Network:
    """The network of a layer of lines as it is now; TooLarge past LINES_MAX lines, InvalidParameter without any."""
    layer = run.catalogue.layer(layer_id)
    if layer.state.row_count > LINES_MAX:
        raise TooLarge(
            f"`{layer_id}` has {layer.state.row_count:,} lines; a network is made of at most {LINES_MAX:,}.",
            f"{layer_id} 有 {layer.state.row_count:,} 条线,超过河网上限 {LINES_MAX:,}。",
            todo_en="Keep the main rivers in water.river_reach and trace that layer.",
            todo_zh="请将主要河道整理到 water.river_reach,并按该图层追踪。",
        )
    lines: list[Line] = []
    for _, code, name, two_way, first, last, wkb in rows_of(
        run, layer, ["code", "name", "two_way", "from_node", "to_node"]
    ):
        if wkb is None:
            lines.append(Line(code, name, np.empty((0, 2))))
            continue
        parts = shapely.get_parts(shapely.from_wkb(bytes(wkb)))
        for k, part in enumerate(parts):
            ids = (first if k == 0 else None, last if k == len(parts) - 1 else None)
            lines.append(Line(code, name, shapely.get_coordinates(part), bool(two_way), *ids))
    if not any(len(x.lonlat) for x in lines):
        raise invalid(
            "layer", f"`{layer_id}` has no lines.", f"图层 {layer_id} 没有线要素。",
            f"Load reaches digitised downstream, or name another of {', '.join(LAYERS)}.",
            f"请载入按流向数字化的河段,或改用 {'、'.join(LAYERS)}。", allowed=list(LAYERS),
        )  # fmt: skip
    return build(lines, tolerance_m, gap_m)


def snapped(network: Network, found: Sequence[Station], within_m: float) -> list[tuple[Station, Spot | None]]:
    """Stations with their places on the network, on a line of their own river's name where one is near enough."""
    return [(s, None if s.place is None else network.near(s.place, within_m, s.fields.get("river"))) for s in found]


def trace(
    run: Run, network: Network, start: Spot, end: Spot | None, direction: str, inputs: dict[str, Any]
) -> dict[str, Any]:
    """The trace: `parts` walked with metres from the start, `points` along it in order, `totals` and the network's
    `problems`. For `between` the way downstream is looked for from either place; `connected` says whether there is one.
    """
    way: list[Part] | None
    upward = direction == "upstream"
    if end is not None:
        way = between(network, start, end)
        if way is None and (back := between(network, end, start)) is not None:
            way, upward = back, True
    else:
        most = inputs.get("max_km")
        way = walk(network, start, "upstream" if upward else "downstream", most * 1_000 if most else float("inf"))
    parts = way or []
    points = _along(run, network, parts, inputs["gauge_m"])
    if end is not None and upward and parts:
        whole = parts[-1].far
        points = sorted(
            ({**p, "distance_m": round(whole - p["distance_m"], 1)} for p in points), key=lambda p: p["distance_m"]
        )
    return {
        "direction": direction,
        "connected": way is not None,
        "flows": None if end is None or way is None else "second-to-first" if upward else "first-to-second",
        "start": _place(network, start),
        "end": None if end is None else _place(network, end),
        "totals": {
            "parts": len(parts),
            "length_m": round(sum(p.b - p.a for p in parts), 1),
            "farthest_m": round(max((p.far for p in parts), default=0.0), 1),
            "rivers": sorted({n for p in parts if (n := network.edges[p.edge].line.name)}),
        },
        "points": points,
        "network": {"edges": len(network.edges), "nodes": len(network.nodes), "problems": len(network.problems)},
        "problems": list(network.problems[:PROBLEMS_TOLD]),
        "parts": parts,
    }


def _place(network: Network, spot: Spot) -> dict[str, Any]:
    e = network.edges[spot.edge]
    (at,) = e.at(spot.along)
    return {
        "reach": e.line.code, "river": e.line.name, "off_m": round(spot.off_m, 1),
        "coordinates": [round(float(v), 7) for v in at],
    }  # fmt: skip


def _along(run: Run, network: Network, parts: list[Part], within_m: float) -> list[dict[str, Any]]:
    told = []
    for layer in (x for x in ALONG if x in run.catalogue.layers):
        for station, spot in snapped(network, stations(run, layer, ["river"]), within_m):
            far = None if spot is None else distance_to(network, parts, spot)
            if spot is None or far is None:
                continue
            line = network.edges[spot.edge].line
            river = station.fields["river"]
            told.append(
                {
                    "layer": layer, "code": station.code, "name": station.name, "river": river, "reach": line.code,
                    "distance_m": round(far, 1), "off_m": round(spot.off_m, 1),
                    "name_agrees": None if river is None or line.name is None else river == line.name,
                    "coordinates": station.place,
                }
            )  # fmt: skip
    return sorted(told, key=lambda x: (x["distance_m"], x["layer"], x["code"]))


def _features(network: Network, found: dict[str, Any]) -> dict[str, Any]:
    lines = []
    for p in found["parts"]:
        e = network.edges[p.edge]
        places = np.round(e.part(p.a, p.b), 7).tolist()
        lines.append(
            {
                "type": "Feature",
                "geometry": {"type": "LineString", "coordinates": places[::-1] if p.upward else places},
                "properties": {
                    "reach": e.line.code, "name": e.line.name, "from_m": round(p.near, 1), "to_m": round(p.far, 1),
                    "length_m": round(p.b - p.a, 1), "against_line": p.upward,
                },
            }
        )  # fmt: skip
    points = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": list(p["coordinates"])},
            "properties": {k: v for k, v in p.items() if k != "coordinates"},
        }
        for p in found["points"]
    ]
    return {"type": "FeatureCollection", "features": [*lines, *points]}


def _spot(run: Run, network: Network, inputs: dict[str, Any], suffix: str, direction: str) -> Spot:
    """Where the walk begins or ends, by a point, a station or a reach; InvalidParameter where no river is."""
    given = [n for n in ("point", "station", "reach") if n + suffix in inputs]
    if len(given) != 1:
        names = ", ".join(n + suffix for n in ("point", "station", "reach"))
        raise invalid(
            "point" + suffix, f"Exactly one of {names} is needed.", f"{names} 须且只能填一个。",
            "Send one of them.", "请只填其中一个。",
        )  # fmt: skip
    name, value = given[0] + suffix, inputs[given[0] + suffix]
    if given[0] == "reach":
        mine = [i for i, e in enumerate(network.edges) if e.line.code == value]
        if not mine:
            raise invalid(
                name, f"There is no reach `{value[:60]}`.", f"没有河段 {value[:60]}。",
                "Codes are those of the layer that is traced.", "请使用所追踪图层中的编码。",
            )  # fmt: skip
        first = direction == "downstream"
        edge = mine[0] if first else mine[-1]
        return Spot(edge, 0.0 if first else network.edges[edge].length, inside=True)
    river = None
    if given[0] == "station":
        (station,) = named(stations(run, RIVER, ["river"]), [value], name)
        if station.place is None:
            raise invalid(
                name, f"The station {value} has no position.", f"测站 {value} 没有位置。",
                "Send `point` in its place.", "请改用 point。",
            )  # fmt: skip
        (lon, lat), river = station.place, station.fields["river"]
    else:
        lon, lat = value["coordinates"][:2]
    spot = network.near((lon, lat), inputs["snap_m"], river)
    if spot is None:
        raise invalid(
            name, f"No river of the network lies within {inputs['snap_m']:g} m of `{name}`.",
            f"{name} 周围 {inputs['snap_m']:g} 米内没有河网中的河段。",
            "Give a place nearer to a river, or a greater `snap_m`.", "请给出更靠近河道的位置,或增大 snap_m。",
        )  # fmt: skip
    return spot


def _run(run: Run, inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    direction = inputs["direction"]
    run.progress(0.1, "建立河网", "Making the network")
    network = read_network(run, inputs["layer"], inputs["tolerance_m"], inputs["gap_m"])
    start = _spot(run, network, inputs, "", direction)
    end = _spot(run, network, inputs, "_2", direction) if direction == "between" else None
    run.progress(0.6, "追踪", "Tracing")
    found = trace(run, network, start, end, direction, inputs)
    lines = _features(network, found)
    lines["synthetic"] = run.catalogue.layer(inputs["layer"]).synthetic
    return {
        "trace": {k: v for k, v in found.items() if k != "parts"}
        | {"layer": inputs["layer"], "tolerance_m": inputs["tolerance_m"], "synthetic": lines["synthetic"]},
        "features": lines,
    }


_STATION = {"type": "string", "maxLength": 64}
PROCESS = Process(
    id="water-trace",
    version="1.0.0",
    title=Text(zh="河网上下游追踪", en="Upstream and downstream"),
    description=Text(
        zh="从一点、测站或河段沿有向河网追踪上游、下游,或求两点间的水流路径;列出沿途测站、水闸、泵站及沿河距离(米,椭球面),"
        "并报告河网中的断开、环路与可疑流向。",
        en="Traces a directed river network upstream or downstream from a point, station or reach, or between two; "
        "lists gauges, sluices and pumps on the way with metres along the river on the ellipsoid, and reports breaks, "
        "cycles and doubtful directions of the network.",
    ),
    inputs=(
        Input("direction", Text(zh="方向", en="Direction"),
              {"type": "string", "enum": ["upstream", "downstream", "between"], "default": "downstream"}),
        Input("point", Text(zh="起点", en="Start"), POINT_SCHEMA),
        Input("station", Text(zh="起点测站编码", en="Station at the start"), _STATION),
        Input("reach", Text(zh="起点河段编码", en="Reach at the start"), _STATION,
              Text(zh="下游追踪自其上端起,上游追踪自其下端起",
                   en="From its upper end downstream, from its lower end upstream")),
        Input("point_2", Text(zh="终点", en="End"), POINT_SCHEMA, Text(zh="between 时用", en="For `between`")),
        Input("station_2", Text(zh="终点测站编码", en="Station at the end"), _STATION),
        Input("reach_2", Text(zh="终点河段编码", en="Reach at the end"), _STATION),
        Input("layer", Text(zh="河网图层", en="Layer"), {"type": "string", "enum": list(LAYERS), "default": REACHES},
              Text(zh="线须按水流方向数字化", en="Its lines must be digitised downstream")),
        Input("tolerance_m", Text(zh="连接容差(米)", en="Tolerance in metres"),
              {"type": "number", "minimum": 0.01, "maximum": 500, "default": 5},
              Text(zh="端点相距不超过此值视为同一节点", en="Ends not farther apart are one node")),
        Input("gap_m", Text(zh="断开提示距离(米)", en="Breaks told up to, metres"),
              {"type": "number", "minimum": 0, "maximum": 5_000, "default": 200}),
        Input("snap_m", Text(zh="起点到河道最大距离(米)", en="Farthest from a river, metres"),
              {"type": "number", "exclusiveMinimum": 0, "maximum": 20_000, "default": 1_000}),
        Input("gauge_m", Text(zh="测站到河道最大距离(米)", en="Farthest of gauges from a river, metres"),
              {"type": "number", "exclusiveMinimum": 0, "maximum": 20_000, "default": 1_000}),
        Input("max_km", Text(zh="最大追踪长度(千米)", en="Farthest, km"),
              {"type": "number", "exclusiveMinimum": 0, "maximum": 10_000}),
    ),
    outputs=(
        Output("trace", Text(zh="追踪结果", en="Trace")),
        Output("features", Text(zh="河段与测站(GeoJSON)", en="Parts and points as GeoJSON")),
    ),
    run=_run,
    keywords=("水利", "河网", "上下游"),
)  # fmt: skip
