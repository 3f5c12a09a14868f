# SPDX-License-Identifier: Apache-2.0
"""The process `areal-interpolate` (面插值): a layer's numbers carried over to other areas or to cells of a grid."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import Text
from geocloud.errors import TooLarge
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.cql2 import compile_filter
from geocloud.features.literals import invalid
from geocloud.features.moment import Moment, read_moment
from geocloud.features.spreadsheet import csv_table
from geocloud.geodesy.area import areas
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.overlay import interpolate as way
from geocloud.overlay.areas import LOOKED_AT, Zones, cell_zones, cells_around, layer_zones, polygons, zones_statement
from geocloud.overlay.by import By, read_by, zoning_moment
from geocloud.overlay.measures import number_field

__all__ = ["PROCESS", "Interpolated", "interpolate"]

METHODS = ("area", "mask", "containing", "nearest")
_ROUNDING = 1e-9
_DEGREE_DIGITS = 8


@dataclass(frozen=True)
class Interpolated:
    """The answer as a document, and the targets that its rows are about."""

    document: dict[str, Any]
    targets: Zones

    def csv(self) -> bytes:
        """The rows, with a mark so that office programs read them as UTF-8."""
        rows = self.document["rows"]
        return csv_table(list(rows[0]), rows)

    def geojson(self) -> bytes:
        """The targets with their values, longitude first."""
        shapes = shapely.set_precision(self.targets.shapes, 10.0**-_DEGREE_DIGITS, mode="pointwise")
        texts = [*np.atleast_1d(shapely.to_geojson(shapes)).tolist()] if len(shapes) else []
        features = [
            {"type": "Feature", "id": row["zone"], "geometry": orjson.Fragment(text), "properties": row}
            for row, text in zip(self.document["rows"][:-1], texts, strict=True)
        ]
        return orjson.dumps({"type": "FeatureCollection", "features": features})


@dataclass(frozen=True)
class _Source:
    shapes: NDArray[Any]
    values: NDArray[np.float64]
    without_geometry: int


def interpolate(
    run: Run,
    source: str,
    field: str,
    target: str,
    *,
    kind: str = "extensive",
    method: str | None = None,
    mask: str | None = None,
    mask_weight: str | None = None,
    truth: str | None = None,
    datetime: str | None = None,
    asof: str | None = None,
    condition: str | None = None,
) -> Interpolated:
    """Carries the numbers in `field` of `source` over to `target` (a layer of areas, `h3:n` or `beidou:n`).

    `method` is `area` or `mask` of polygons, `containing` or `nearest` of points; what fits if None. `mask_weight` is a
    field of the mask with numbers, its area if None. `truth` is a field of the target layer with the true values.
    InvalidParameter for what does not fit together, TooLarge past the limits of sums by areas.
    """
    layer = run.catalogue.layer(source)
    number_field(field, layer, "field")
    by = read_by(target, run.catalogue, "target")
    moment = read_moment(datetime, asof)
    run.progress(0.0, "读取数据", "reading")
    found = _read(run, layer, field, moment, condition)
    kinds = set(np.unique(shapely.get_dimensions(found.shapes)).tolist())
    chosen = _method(method, kinds, layer, mask)
    targets = _targets(run, by, moment, found.shapes)
    extensive = kind == "extensive"
    run.progress(0.3, "切分", "cutting")
    notes: dict[str, Any] = {}
    if chosen in ("containing", "nearest"):
        xy, owner = shapely.get_coordinates(found.shapes, return_index=True)
        # The points of a multipoint share what can be shared.
        shared = np.bincount(owner, minlength=len(found.values)) if extensive else np.ones(len(found.values))
        carried, moved, metres = way.carry_points(
            found.values[owner] / shared[owner],
            xy[:, 0],
            xy[:, 1],
            targets.shapes,
            nearest=chosen == "nearest",
            extensive=extensive,
        )
        if chosen == "nearest":
            notes["brought_to_nearest"] = len(moved)
            notes["brought_metres_max"] = float(metres.max()) if len(metres) else 0.0
        check: way.Misses | None = None
    else:
        found = _areal(found)
        pieces = way.cut(found.shapes, targets.shapes, overlapping=targets.overlapping)
        if chosen == "mask":
            assert mask is not None
            run.progress(0.5, "按掩膜加权", "weighing by the mask")
            masks, weights = _mask(run, mask, mask_weight, moment, found.shapes)
            over = targets.overlapping or _overlapping(found.shapes)
            pieces, bare = way.weigh(pieces, masks, weights, len(found.values), overlapping=over)
            notes["mask"] = {"layer": mask, "weight": mask_weight or "area", "features": len(masks)}
            notes["sources_without_mask"] = bare
        carried = way.carry(found.values, pieces, len(targets), extensive=extensive)
        returned = way.back(carried, pieces, len(found.values), extensive=extensive)
        expected = way.inside_of(found.values, pieces) if extensive else found.values
        check = way.misses(returned, expected)
    run.progress(0.8, "检查", "checking")
    document = _document(run, layer, field, by, targets, found, carried, chosen, kind) | notes
    document |= {"datetime": datetime, "asof": asof, "check": _check(check, chosen)}
    if truth is not None:
        document["against_truth"] = _against(run, by, truth, moment, targets, carried)
    run.progress(1.0, "完成", "done")
    return Interpolated(document, targets)


def _method(method: str | None, kinds: set[int], layer: Layer, mask: str | None) -> str:
    points = kinds <= {0}
    if not points and not kinds <= {0, 2}:
        raise invalid(
            "source", f"`{layer.id}` has lines; values are carried from points or polygons.",
            f"{layer.id} 含线要素;面插值的来源应为点或面。",
        )  # fmt: skip
    allowed = ("containing", "nearest") if points else ("area", "mask")
    chosen = method or ("containing" if points else "mask" if mask else "area")
    if chosen not in allowed:
        raise invalid(
            "method", f"`method` is `{chosen}`, but `{layer.id}` has {'points' if points else 'polygons'}.",
            f"方法 {chosen} 不适用:{layer.id} 的图形为{'点' if points else '面'}。",
            f"Allowed are: {', '.join(allowed)}.", f"可用:{'、'.join(allowed)}。", allowed=list(allowed),
        )  # fmt: skip
    if (chosen == "mask") != (mask is not None):
        raise invalid(
            "mask", "`method` mask needs the layer `mask`, and no other method takes one.",
            "方法 mask 需要给出 mask 图层,其他方法不接受。",
            "Name a layer such as base.building.", "请给出图层,例如 base.building。",
        )  # fmt: skip
    return chosen


def _areal(found: _Source) -> _Source:
    """The sources that are polygons; seats of areas that are not drawn yet are told as without geometry."""
    areal = shapely.get_dimensions(found.shapes) == 2
    return _Source(polygons(found.shapes[areal]), found.values[areal], found.without_geometry + int((~areal).sum()))


def _overlapping(shapes: NDArray[Any]) -> bool:
    """Whether sources lie over each other, so that a part of a mask is in several of them."""
    return len(shapes) > 1 and not bool(shapely.coverage_is_valid(shapes))


def _read(run: Run, layer: Layer, field: str, moment: Moment, condition: str | None) -> _Source:
    binder = Binder()
    relation = moment.relation(binder, layer, by_place=False) or layer.table
    test = compile_filter(binder, condition, "cql2-text", layer, None, run.settings.web) if condition else "TRUE"
    most = run.settings.web.aggregate_shapes_max
    sql = (
        f"SELECT ST_AsBinary(geom), {quote_identifier(field)}::float8 FROM {relation} r WHERE ({test}) ORDER BY fid "
        f"LIMIT {most + 1:d}"
    )
    rows = run.rows(sql, binder)
    if len(rows) > most:
        raise _too_many(layer.id, most)
    placed = [r for r in rows if r[0] is not None]
    shapes = np.asarray(shapely.from_wkb([bytes(r[0]) for r in placed]), dtype=object).reshape(-1)
    values = np.array([np.nan if r[1] is None else r[1] for r in placed], np.float64)
    return _Source(shapes, values, len(rows) - len(placed))


def _targets(run: Run, by: By, moment: Moment, shapes: NDArray[Any]) -> Zones:
    most = run.settings.web.aggregate_zones_max
    if by.layer is not None:
        sql, binder = zones_statement(by.layer, zoning_moment(moment), most)
        return layer_zones(by, run.rows(sql, binder), by.layer.state.version, most)
    zones = cell_zones(by, cells_around(by, shapes, most), (LOOKED_AT + 1) * most)
    some = np.zeros(len(zones), bool)
    if len(zones):
        some[shapely.STRtree(zones.shapes).query(shapes, predicate="intersects")[1]] = True
    if some.sum() > most:
        return cell_zones(by, zones.ids[some], most)
    return zones.only(some)


def _mask(
    run: Run, mask: str, weight: str | None, moment: Moment, shapes: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    layer = run.catalogue.layer(mask)
    if layer.spec.geometry == "none":
        raise invalid("mask", f"`{mask}` has no geometry.", f"{mask} 没有图形。")
    if weight is not None:
        number_field(weight, layer, "mask_weight")
    binder = Binder()
    relation = zoning_moment(moment).relation(binder, layer, by_place=False) or layer.table
    column = f"{quote_identifier(weight)}::float8" if weight else "NULL::float8"
    box = ", ".join(binder.bind(float(v), "float8") for v in shapely.total_bounds(shapes)) if len(shapes) else ""
    near = f"geom && ST_MakeEnvelope({box}, 4490)" if box else "FALSE"
    most = run.settings.web.aggregate_shapes_max
    sql = f"SELECT ST_AsBinary(geom), {column} FROM {relation} m WHERE {near} ORDER BY fid LIMIT {most + 1:d}"
    rows = run.rows(sql, binder)
    if len(rows) > most:
        raise _too_many(mask, most)
    masks = np.asarray(shapely.from_wkb([bytes(r[0]) for r in rows]), dtype=object).reshape(-1)
    if weight is None:
        size = areas(masks)
        # Points have no area: each stands for as much.
        return masks, np.where(shapely.get_dimensions(masks) == 0, 1.0, size)
    weights = np.array([0.0 if r[1] is None else max(r[1], 0.0) for r in rows], np.float64)
    return masks, weights


def _document(
    run: Run, layer: Layer, field: str, by: By, targets: Zones, found: _Source, carried: way.Carried, method: str,
    kind: str,
) -> dict[str, Any]:  # fmt: skip
    values = [None if math.isnan(v) else v for v in carried.values.tolist()]
    ids = targets.ids.tolist() if by.layer is not None else targets.codes
    rows: list[dict[str, Any]] = [
        {"zone": i, "code": c, "name": n, "value": v}
        for i, c, n, v in zip(ids, targets.codes, targets.names, values, strict=True)
    ]
    outside = None if math.isnan(carried.outside) else carried.outside
    rows.append({"zone": None, "code": None, "name": None, "value": outside})
    document: dict[str, Any] = {
        "source": layer.id,
        "field": field,
        "unit": layer.spec.field(field).unit,
        "target": by.text,
        "kind": kind,
        "method": method,
        "synthetic": layer.synthetic or (by.layer is not None and by.layer.synthetic),
        "sources": len(found.values),
        "without_value": int(np.isnan(found.values).sum()),
        "without_geometry": found.without_geometry,
        "targets": len(targets),
        "rows": rows,
    }
    if kind == "extensive":
        parts = float(np.sum(carried.values)) + carried.outside
        spread = parts - carried.total
        scale = max(abs(carried.total), float(np.abs(carried.values).sum()), 1e-300)
        document["totals"] = {
            "source": carried.total, "targets": float(np.sum(carried.values)), "outside": carried.outside,
            "difference": 0.0 if abs(spread) <= _ROUNDING * scale else spread,
            "closed": abs(spread) <= _ROUNDING * scale,
        }  # fmt: skip
    else:
        document["mean"] = None if math.isnan(carried.total) else carried.total
    if targets.overlapping:
        document["overlapping"] = {"pairs": targets.overlaps, "area_km2": targets.overlap_km2}
    if by.layer is not None and targets.pointlike:
        document["targets_without_area"] = targets.pointlike
    return document


def _check(found: way.Misses | None, method: str) -> dict[str, Any]:
    """What carrying back says of the error; points leave nothing to carry back."""
    if found is None:
        return {"way": "none", "zh": "点状来源无法回插检验", "en": "values of points cannot be carried back"}
    return {
        "way": "back", **asdict(found),
        "zh": f"以同一方法({method})将结果插回来源分区,与原值比较",
        "en": f"carried back to the sources by the same method ({method}) and compared with what they were",
    }  # fmt: skip


def _against(
    run: Run, by: By, truth: str, moment: Moment, targets: Zones, carried: way.Carried
) -> dict[str, Any] | None:
    layer = by.layer
    if layer is None:
        raise invalid(
            "truth", "Cells have no field with true values.", "网格没有可作为真值的字段。",
            "Name a layer as `target`.", "请以图层为 target。",
        )  # fmt: skip
    number_field(truth, layer, "truth")
    binder = Binder()
    relation = zoning_moment(moment).relation(binder, layer, by_place=False) or layer.table
    sql = f"SELECT fid::bigint, {quote_identifier(truth)}::float8 FROM {relation} r WHERE geom IS NOT NULL"
    known = {r[0]: r[1] for r in run.rows(sql, binder) if r[1] is not None}
    expected = np.array([known.get(i, np.nan) for i in targets.ids.tolist()], np.float64)
    found = way.misses(carried.values, expected)
    return None if found is None else {"field": truth, **asdict(found)}


def _too_many(layer: str, most: int) -> TooLarge:
    return TooLarge(
        f"`{layer}` has more than {most:,} features here.", f"{layer} 在此范围内的要素超过上限 {most:,} 个。",
        todo_en="Narrow the source with `filter`.", todo_zh="请用 filter 缩小来源范围。", maximum=most,
    )  # fmt: skip


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    found = interpolate(
        run, inputs["source"], inputs["field"], inputs["target"], kind=inputs.get("kind", "extensive"),
        method=inputs.get("method"), mask=inputs.get("mask"), mask_weight=inputs.get("mask_weight"),
        truth=inputs.get("truth"), datetime=inputs.get("datetime"), asof=inputs.get("asof"),
        condition=inputs.get("filter"),
    )  # fmt: skip
    out: dict[str, Any] = {"table": found.document}
    name = f"{inputs['source']}.{inputs['field']}"
    if "csv" in wanted:
        out["csv"] = Blob(found.csv(), "text/csv; charset=utf-8", f"{name}.csv")
    if "geojson" in wanted:
        out["geojson"] = Blob(found.geojson(), "application/geo+json", f"{name}.geojson")
    return out


_TEXT = {"type": "string"}
PROCESS = Process(
    id="areal-interpolate",
    version="1.0.0",
    title=Text(zh="面插值", en="Areal interpolation"),
    description=Text(
        zh="将一套分区(或点)的数值插到另一套分区或网格:按面积、按掩膜(如建筑面积)加权,或按所在、最近分区;合计不变,并给出误差。",
        en="Numbers of areas or points carried over to other areas or to cells of a grid: by area, by a mask such as "
        "floor area, by what contains or is nearest to a point. Totals close, and the error is told.",
    ),
    inputs=(
        Input("source", Text(zh="来源图层", en="Source layer"), {**_TEXT, "examples": ["base.village"]}, required=True),
        Input("field", Text(zh="数值字段", en="Field with numbers"), {**_TEXT, "examples": ["population"]},
              required=True),
        Input(
            "target", Text(zh="目标分区", en="Target areas"), {**_TEXT, "examples": ["township", "h3:8", "beidou:5"]},
            Text(zh="分区简称、面图层标识,或 h3:级别、beidou:级别",
                 en="A short name, a layer of areas, h3:level, beidou:level"),
            required=True,
        ),
        Input(
            "kind", Text(zh="数值性质", en="Kind of number"),
            {**_TEXT, "enum": ["extensive", "intensive"], "default": "extensive"},
            Text(zh="extensive 可加(人口),intensive 不可加(密度、均值)",
                 en="Can be added (population) or not (density, mean)"),
        ),
        Input("method", Text(zh="方法", en="Method"), {**_TEXT, "enum": list(METHODS)}),
        Input("mask", Text(zh="掩膜图层", en="Mask layer"), {**_TEXT, "examples": ["base.building"]}),
        Input("mask_weight", Text(zh="掩膜权重字段", en="Field of the mask's weight"),
              {**_TEXT, "examples": ["floor_area_m2"]}),
        Input("truth", Text(zh="目标分区的真值字段", en="Field of the targets with true values"), _TEXT),
        Input("datetime", Text(zh="有效时间", en="Valid time"), _TEXT),
        Input("asof", Text(zh="认知时间", en="Time of belief"), _TEXT),
        Input("filter", Text(zh="来源过滤条件", en="Filter of the source"), _TEXT,
              Text(zh="CQL2 文本", en="CQL2 text")),
    ),
    outputs=(
        Output("table", Text(zh="结果表", en="Table")),
        Output("csv", Text(zh="CSV 表", en="CSV"), "text/csv"),
        Output("geojson", Text(zh="目标分区及数值", en="Targets with their values"), "application/geo+json"),
    ),
    run=_run,
    keywords=("面插值", "人口", "叠加"),
    long=True,
)  # fmt: skip
