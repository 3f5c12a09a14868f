# SPDX-License-Identifier: Apache-2.0
"""Area statistics (面积统计): a polygon layer by class and district on the ellipsoid, with totals that close."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.cql2 import compile_filter
from geocloud.features.moment import Moment, read_moment
from geocloud.features.spreadsheet import csv_table
from geocloud.geodesy.straight import straight_areas
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run

__all__ = ["PROCESS", "area_stat"]

_AREAL = ("polygon", "multipolygon")
_COLUMNS = ("district", "district_title", "class", "class_title", "features", "area_m2")


def area_stat(
    run: Run,
    layer: str,
    by: str | None = None,
    districts: str | None = "base.county",
    datetime: str | None = None,
    asof: str | None = None,
    condition: str | None = None,
) -> dict[str, Any]:
    """Areas (m2, CGCS2000) by district and class: `rows`, `total_m2` and `closure`, the relative difference between the
    sum of the rows and the features measured whole.

    `by` is a field, the one the layer is coloured by if None; `districts` a polygon layer or None for the whole. What
    lies in no district is a row whose district is null. Polygons are cut at the districts' borders; districts that
    overlap count what they share in each, which `closure` shows.
    """
    found = _areal(run, layer, "layer")
    field = by or (found.spec.style.color_by if found.spec.style else None)
    known = {f.name: f for f in found.spec.visible_fields}
    if field is not None and field not in known:
        raise _wrong("by", field, list(known))
    moment = read_moment(datetime, asof)
    read, shapes = _read(run, found, (field,) if field else (), moment, condition)
    classes: list[str | None] = read[0] if read else [None] * len(shapes)
    run.progress(0.4, "按行政区切分", "cutting at the districts")
    whole = straight_areas(shapes)
    owner, titles, pieces, of = _pieces(run, districts, moment, shapes, whole)
    titled = found.codes[known[field].codes or ""].titles() if field and known[field].codes in found.codes else {}
    rows: list[dict[str, Any]] = []
    keys = sorted({(o, classes[i]) for o, i in zip(owner, of, strict=True)}, key=lambda k: (k[0] < 0, k[0], k[1] or ""))
    sums: dict[tuple[int, str | None], list[float]] = {k: [] for k in keys}
    for o, i, area in zip(owner, of, pieces, strict=True):
        sums[o, classes[i]].append(area)
    for o, code in keys:
        parts = sums[o, code]
        title = titled.get(code or "")
        rows.append(
            {
                "district": titles[o][0] if o >= 0 else None,
                "district_title": titles[o][1] if o >= 0 else None,
                "class": code,
                "class_title": (title.zh if run.language == "zh" else title.en) if title else None,
                "features": len(parts),
                "area_m2": float(np.sum(parts)),
            }
        )
    total = float(whole.sum())
    spread = abs(sum(r["area_m2"] for r in rows) - total)
    return {
        "layer": found.id,
        "by": field,
        "districts": districts,
        "datetime": datetime,
        "asof": asof,
        "synthetic": found.synthetic,
        "features": len(shapes),
        "total_m2": total,
        "closure": spread / total if total else 0.0,
        "rows": rows,
    }


def _pieces(
    run: Run, districts: str | None, moment: Moment, shapes: NDArray[Any], whole: NDArray[np.float64]
) -> tuple[list[int], list[tuple[str, str]], list[float], list[int]]:
    """District number (-1 for none), titles by number, area and feature number of every piece."""
    if districts is None:
        return [-1] * len(shapes), [], list(whole), list(range(len(shapes)))
    layer = _areal(run, districts, "districts")
    key = layer.spec.key[0]
    names = {f.name for f in layer.spec.visible_fields}
    (codes, said), areas = _read(run, layer, (key, "name" if "name" in names else key), moment)
    titles = [(c or "", s or c or "") for c, s in zip(codes, said, strict=True)]
    if not len(areas):
        return [-1] * len(shapes), titles, list(whole), list(range(len(shapes)))
    tree = shapely.STRtree(shapes)
    shapely.prepare(areas)
    inside = tree.query(areas, predicate="covers")
    touched = tree.query(areas, predicate="intersects")
    covered = set(inside[1].tolist())
    # A polygon within one district needs no cutting; only those on a border do.
    cut = ~np.isin(touched[1], np.fromiter(covered, dtype=np.int64, count=len(covered)))
    at, of = touched[0][cut], touched[1][cut]
    parts = straight_areas(shapely.intersection(shapes[of], areas[at]))
    rest = np.setdiff1d(np.arange(len(shapes)), inside[1])
    left = straight_areas(shapely.difference(shapes[rest], shapely.union_all(areas))) if len(rest) else np.empty(0)
    some, over = parts > 0, left > 0
    owner = [*inside[0].tolist(), *at[some].tolist(), *([-1] * int(over.sum()))]
    pieces = [*whole[inside[1]].tolist(), *parts[some].tolist(), *left[over].tolist()]
    return owner, titles, pieces, [*inside[1].tolist(), *of[some].tolist(), *rest[over].tolist()]


def _read(
    run: Run, layer: Layer, fields: Sequence[str], moment: Moment, condition: str | None = None
) -> tuple[list[list[str | None]], NDArray[Any]]:
    """The fields as text, one list each, and the shapes, of the features at that moment, in the order of their ids."""
    binder = Binder()
    relation = moment.relation(binder, layer, by_place=False) or layer.table
    test = compile_filter(binder, condition, "cql2-text", layer, None, run.settings.web) if condition else "TRUE"
    values = "".join(f"{quote_identifier(f)}::text, " for f in fields)
    sql = f"SELECT {values}ST_AsBinary(geom) FROM {relation} r WHERE geom IS NOT NULL AND ({test}) ORDER BY fid"
    rows = run.rows(sql, binder)
    shapes = np.asarray(shapely.from_wkb([bytes(r[-1]) for r in rows]), dtype=object)
    return [[r[k] for r in rows] for k in range(len(fields))], shapes


def _areal(run: Run, layer_id: str, parameter: str) -> Layer:
    found = run.catalogue.layer(layer_id)
    if found.spec.geometry not in _AREAL:
        areal = [i for i, one in run.catalogue.layers.items() if one.spec.geometry in _AREAL]
        raise _wrong(parameter, layer_id, areal)
    return found


def _wrong(parameter: str, value: str, allowed: list[str]) -> InvalidParameter:
    return InvalidParameter(
        f"`{parameter}` cannot be `{value[:60]}`.", f"参数 {parameter} 不能是 {value[:60]}。",
        todo_en=f"One of: {', '.join(allowed)}.", todo_zh=f"可用:{'、'.join(allowed)}。",
        parameter=parameter, allowed=allowed,
    )  # fmt: skip


def _csv(document: dict[str, Any]) -> bytes:
    """The rows as CSV, with a mark so that office programs read it as UTF-8."""
    return csv_table(_COLUMNS, document["rows"])


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    document = area_stat(
        run, inputs["layer"], inputs.get("by"), inputs.get("districts", "base.county"), inputs.get("datetime"),
        inputs.get("asof"), inputs.get("filter"),
    )  # fmt: skip
    out: dict[str, Any] = {"table": document}
    if "csv" in wanted:
        out["csv"] = Blob(_csv(document), "text/csv; charset=utf-8", f"{document['layer']}.csv")
    return out


_TEXT = {"type": "string"}
PROCESS = Process(
    id="area-stat",
    version="1.0.0",
    title=Text(zh="面积统计", en="Area statistics"),
    description=Text(
        zh="面状图层按分类和行政区统计椭球面积,各行之和等于总面积。",
        en="Ellipsoidal areas of a polygon layer by class and district; the rows add up to the whole.",
    ),
    inputs=(
        Input("layer", Text(zh="图层", en="Layer"), {**_TEXT, "examples": ["planning.present_land"]}, required=True),
        Input("by", Text(zh="分类字段", en="Field of the class"), _TEXT),
        Input("districts", Text(zh="行政区图层", en="Layer of districts"), {"type": ["string", "null"]}),
        Input("datetime", Text(zh="有效时间", en="Valid time"), _TEXT),
        Input("asof", Text(zh="认知时间", en="Time of belief"), _TEXT),
        Input("filter", Text(zh="过滤条件", en="Filter"), _TEXT, Text(zh="CQL2 文本", en="CQL2 text")),
    ),
    outputs=(
        Output("table", Text(zh="统计表", en="Table")),
        Output("csv", Text(zh="CSV 表", en="CSV"), "text/csv"),
    ),
    run=_run,
    keywords=("面积", "统计"),
)
