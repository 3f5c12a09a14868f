# SPDX-License-Identifier: Apache-2.0
"""Who and what is within an incident's rings (事件影响范围): persons by village, facilities by layer, ring by ring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import shapely

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.moment import Moment, read_moment
from geocloud.jobs.model import Input, Output, Process, Results
from geocloud.jobs.places import POINT_SCHEMA
from geocloud.jobs.run import Run
from geocloud.sectors.emergency.common import (
    AREA_SCHEMA,
    HAZARDS,
    HOSPITALS,
    HYDRANTS,
    RADIUS_MAX_M,
    SHELTERS,
    STORES,
    TEAMS,
    VILLAGES,
    Origin,
    beijing,
    bind_shape,
    is_empty,
    now_of,
    origin_of,
    refuse_outside,
    relation_of,
    title_of,
    zone,
)

__all__ = ["LAYERS", "PROCESS", "incident_circle", "surroundings"]

LAYERS = (
    HAZARDS, "facility.school", HOSPITALS, "facility.elderly_care", SHELTERS, HYDRANTS, TEAMS, STORES,
)  # fmt: skip
RINGS_MAX = 6
NEAREST_MAX = 50
# Facts that are told of a nearest feature, where its layer has them.
_TOLD = (
    "code", "name", "kind", "stage", "level", "state", "capacity", "beds", "pupils", "people", "amount_t", "substance",
    "phone",
)  # fmt: skip


def incident_circle(
    run: Run,
    origin: Origin,
    radii_m: Sequence[float] = (500, 1_000, 3_000),
    layers: Sequence[str] = LAYERS,
    nearest: int = 5,
    moment: Moment = Moment(),
) -> dict[str, Any]:
    """What is round a place, ring by ring, at a moment.

    Of each ring: `persons` and each layer's number, in the ring alone and within its outer edge (`within`). Distances
    are geodesics on the CGCS2000 ellipsoid in metres, from the point or from the area's edge, 0 inside it. Persons are
    the population of each village (base.village) by the share of its area that lies in the ring, as if people lived
    evenly over it; villages without an area or a population are counted and not guessed. A layer that is not published
    or has no rows is `not-judged`.
    """
    radii = sorted({float(r) for r in radii_m})
    _check(radii, layers, origin)
    edges = [0.0, *radii] if origin.is_area else radii
    zones = [zone(origin, r) for r in edges]
    refuse_outside(run, moment, zones[-1], "area" if origin.is_area else "point")
    found = [_of_layer(run, origin, layer, edges, nearest, moment) for layer in layers]
    people = _people(run, zones, moment)
    rings = []
    for k, edge in enumerate(edges):
        rings.append(
            {
                "from_m": 0.0 if k == 0 else edges[k - 1],
                "to_m": edge,
                "persons": _less(people["within"], k),
                "persons_within": people["within"][k] if people["within"] else None,
                "counts": {f["layer"]: _less(f["within"], k) for f in found},
                "within": {f["layer"]: f["within"][k] if f["within"] else None for f in found},
            }
        )
    used = [run.catalogue.layers[i] for i in (*layers, VILLAGES) if i in run.catalogue.layers]
    return {
        "origin": shapely.geometry.mapping(origin.shape),
        "at": beijing(moment.believed or now_of(run)),
        "rings": rings,
        "population": {k: v for k, v in people.items() if k != "within"},
        "layers": found,
        "zones": {
            "type": "FeatureCollection",
            "features": [
                {
                    "type": "Feature", "geometry": shapely.geometry.mapping(shapely.set_precision(z, 1e-7)),
                    "properties": {"to_m": e, "persons_within": r["persons_within"]},
                }
                for z, e, r in zip(zones, edges, rings, strict=True)
            ],
        },
        "synthetic": any(u.synthetic for u in used),
    }  # fmt: skip


def surroundings(run: Run, origin: Origin, layer_id: str, radius_m: float, moment: Moment, limit: int) -> list[Any]:
    """The nearest features of a layer within a radius, as (properties, geometry, metres)."""
    return _rows(run, origin, run.catalogue.layer(layer_id), (radius_m,), moment, limit)[0]


def _less(within: Sequence[int], k: int) -> int | None:
    return None if not within else within[k] - (within[k - 1] if k else 0)


def _check(radii: Sequence[float], layers: Sequence[str], origin: Origin) -> None:
    if (not radii and not origin.is_area) or len(radii) > RINGS_MAX or any(not 0 < r <= RADIUS_MAX_M for r in radii):
        raise InvalidParameter(
            f"`radii_m` is 1 to {RINGS_MAX} radii above 0 and up to {RADIUS_MAX_M:,} m.",
            f"radii_m 为 1 至 {RINGS_MAX} 个大于 0、不超过 {RADIUS_MAX_M:,} 米的半径。",
            todo_en="For example [500, 1000, 3000].", todo_zh="例如 [500, 1000, 3000]。", parameter="radii_m",
        )  # fmt: skip
    unknown = [i for i in layers if i not in LAYERS]
    if unknown:
        raise InvalidParameter(
            f"`layers` cannot hold `{unknown[0][:60]}`.", f"参数 layers 不能含 {unknown[0][:60]}。",
            todo_en=f"Some of: {', '.join(LAYERS)}.", todo_zh=f"可用:{'、'.join(LAYERS)}。",
            parameter="layers", allowed=list(LAYERS),
        )  # fmt: skip


def _of_layer(
    run: Run, origin: Origin, layer_id: str, edges: Sequence[float], nearest: int, moment: Moment
) -> dict[str, Any]:
    if is_empty(run, layer_id, moment):
        why = "图层没有数据" if run.language == "zh" else "the layer has no rows"
        layer = run.catalogue.layers.get(layer_id)
        title = {"zh": layer_id, "en": layer_id} if layer is None else title_of(layer)
        return {"layer": layer_id, "title": title, "verdict": "not-judged", "why": why, "within": [], "nearest": []}
    layer = run.catalogue.layer(layer_id)
    listed, within = _rows(run, origin, layer, edges, moment, nearest)
    return {
        "layer": layer_id,
        "title": title_of(layer),
        "verdict": "judged",
        "why": None,
        "within": within,
        "nearest": [{**told, "distance_m": round(m, 2), "position": list(at)} for told, at, m in listed],
    }


def _rows(
    run: Run, origin: Origin, layer: Layer, edges: Sequence[float], moment: Moment, limit: int
) -> tuple[list[tuple[dict[str, Any], tuple[float, float], float]], list[int]]:
    """The nearest features within the last edge, and how many there are within each edge."""
    names = [f.name for f in layer.spec.visible_fields if f.name in _TOLD]
    binder = Binder()
    here = bind_shape(binder, origin.shape)
    metres = f"ST_Distance(geom::geography, {here}::geography)"
    if origin.is_area:
        # Edges of what is stored are straight in longitude and latitude, and geodesics pass beside them.
        metres = f"CASE WHEN ST_Intersects(geom, {here}) THEN 0 ELSE {metres} END"
    corners = ", ".join(binder.bind(v, "float8") for v in zone(origin, edges[-1] * 1.01).bounds)
    columns = "".join(f", {quote_identifier(n)}" for n in names)
    counts = "".join(f", count(*) FILTER (WHERE m <= {binder.bind(e, 'float8')}) OVER ()" for e in edges)
    rows = run.rows(
        f"SELECT fid, m, ST_X(at), ST_Y(at){columns}{counts} FROM (SELECT fid, {metres} AS m, "
        f"ST_PointOnSurface(geom) AS at{columns} FROM {relation_of(binder, layer, moment)} f "
        f"WHERE geom && ST_MakeEnvelope({corners}, 4490)) x WHERE m <= {binder.bind(edges[-1], 'float8')} "
        f"ORDER BY m, fid LIMIT {binder.bind(max(limit, 1), 'integer')}",
        binder,
    )
    n = len(names)
    listed = [
        ({"fid": r[0], **{k: v for k, v in zip(names, r[4 : 4 + n], strict=True) if v is not None}}, (r[2], r[3]), r[1])
        for r in rows[:limit]
    ]
    return listed, [int(v) for v in rows[0][4 + n :]] if rows else [0] * len(edges)


def _people(run: Run, zones: Sequence[Any], moment: Moment) -> dict[str, Any]:
    """Persons within each zone, and of how many villages nothing could be said."""
    if is_empty(run, VILLAGES, moment):
        why = "没有村(社区)数据" if run.language == "zh" else "there are no villages"
        return {
            "verdict": "not-judged",
            "why": why,
            "method": None,
            "within": [],
            "villages": 0,
            "villages_left_out": 0,
        }
    layer = run.catalogue.layer(VILLAGES)
    binder = Binder()
    shapes = [bind_shape(binder, z) for z in zones]
    sums = ", ".join(
        f"coalesce(sum(population * CASE WHEN ST_CoveredBy(geom, {z}) THEN 1 WHEN ST_Intersects(geom, {z}) "
        f"THEN ST_Area(ST_Intersection(geom, {z})) / ST_Area(geom) ELSE 0 END) FILTER (WHERE judged), 0)"
        for z in shapes
    )
    ((judged, left, *within),) = run.rows(
        f"SELECT count(*) FILTER (WHERE judged), count(*) FILTER (WHERE NOT judged), {sums} FROM "
        "(SELECT geom, population, population IS NOT NULL AND ST_Dimension(geom) = 2 AND ST_Area(geom) > 0 AS judged "
        f"FROM {relation_of(binder, layer, moment)} v "
        f"WHERE geom && {shapes[-1]} AND ST_Intersects(geom, {shapes[-1]})) x",
        binder,
    )
    method = (
        "各村人口按落入面积比例计(假定均匀分布)"
        if run.language == "zh"
        else ("population of villages by the share of their area inside, as if spread evenly")
    )
    if not judged and left:
        why = "范围内各村没有人口或面" if run.language == "zh" else "no village here has a population and an area"
        return {"verdict": "not-judged", "why": why, "method": method, "within": [], "villages": 0,
                "villages_left_out": left}  # fmt: skip
    return {
        "verdict": "judged", "why": None, "method": method, "within": [round(float(n)) for n in within],
        "villages": judged, "villages_left_out": left,
    }  # fmt: skip


def _run(run: Run, inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    document = incident_circle(
        run, origin_of(inputs.get("point"), inputs.get("area")), inputs.get("radii_m", (500, 1_000, 3_000)),
        inputs.get("layers") or LAYERS, inputs.get("nearest", 5),
        read_moment(inputs.get("datetime"), inputs.get("asof")),
    )  # fmt: skip
    zones: Mapping[str, Any] = document.pop("zones")
    return {"circle": document, "zones": zones}


PROCESS = Process(
    id="incident-circle",
    version="1.0.0",
    title=Text(zh="事件影响范围", en="Who and what an incident reaches"),
    description=Text(
        zh="以一点或一个范围为中心,按半径分圈统计人口和各类设施,列出最近的若干处;没有数据的图层写明“未判定”。",
        en="Persons and facilities round a point or an area, ring by ring, and the nearest of each; layers without "
        "data are said to be not judged.",
    ),
    inputs=(
        Input("point", Text(zh="事件位置", en="Where it is"), POINT_SCHEMA),
        Input("area", Text(zh="事件范围", en="Its area"), AREA_SCHEMA,
              Text(zh="与位置二选一", en="In place of a point")),
        Input("radii_m", Text(zh="半径(米)", en="Radii in metres"),
              {"type": "array", "minItems": 1, "maxItems": RINGS_MAX, "default": [500, 1_000, 3_000],
               "items": {"type": "number", "exclusiveMinimum": 0, "maximum": RADIUS_MAX_M}}),
        Input("layers", Text(zh="图层", en="Layers"),
              {"type": "array", "items": {"enum": list(LAYERS)}, "maxItems": len(LAYERS), "default": []},
              Text(zh="不填为全部", en="All if unset")),
        Input("nearest", Text(zh="每类列出", en="Listed of each"),
              {"type": "integer", "minimum": 0, "maximum": NEAREST_MAX, "default": 5}),
        Input("datetime", Text(zh="有效时间", en="Valid at"), {"type": "string"}),
        Input("asof", Text(zh="认知时间", en="As believed at"), {"type": "string"}),
    ),
    outputs=(
        Output("circle", Text(zh="分圈统计", en="Ring by ring")),
        Output("zones", Text(zh="各圈范围", en="The rings as areas")),
    ),
    run=_run,
    keywords=("应急", "影响范围", "人口"),
)  # fmt: skip
