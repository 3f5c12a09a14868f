# SPDX-License-Identifier: Apache-2.0
"""The process `grid-fusion` (多网格融合对照): two layers of grids, what each shares with each as of a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import shapely

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.moment import Moment
from geocloud.features.spreadsheet import csv_table
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.overlay.crosswalk import Crosswalk, Persons, by_floor_area, cross
from geocloud.sectors.grids.zones import GridZones, lasting, moment_on, read_zones

__all__ = ["COLUMNS", "PROCESS", "Fused", "grid_fusion"]

COLUMNS = (
    "grid_a", "name_a", "grid_b", "name_b", "overlap_area_m2", "share_of_a", "share_of_b", "addresses",
    "addresses_share_of_a", "addresses_share_of_b", "population", "population_share_of_a", "population_share_of_b",
    "valid_from", "valid_to",
)  # fmt: skip
# Layers whose features stand for addresses, the first that has any; those with an address, where it is filled in.
ADDRESSES = ("base.building", "base.poi", "base.place_name")
PEOPLE, HOUSES, FLOOR = "base.village", "base.building", "floor_area_m2"
_NONE = "none"
_DIGITS = 8
_MEDIA = "application/geo+json"


@dataclass(frozen=True)
class Fused:
    """The answer as a document, and the ground of each of its rows."""

    document: dict[str, Any]
    shapes: Any

    def geojson(self) -> bytes:
        """Rows as features, longitude first, EPSG:4490 taken as CRS84."""
        drawn = shapely.set_precision(self.shapes, 10.0**-_DIGITS, mode="pointwise")
        features = [
            {"type": "Feature", "geometry": orjson.loads(shapely.to_geojson(s)), "properties": row}
            for s, row in zip(drawn, self.document["rows"], strict=True)
        ]
        return orjson.dumps({"type": "FeatureCollection", "features": features})

    def csv(self) -> bytes:
        """Rows as a table, with a mark so that office programs read it as UTF-8."""
        return csv_table(COLUMNS, self.document["rows"])


def grid_fusion(
    run: Run,
    a: str,
    b: str,
    date: str | None = None,
    addresses: str | None = None,
    population: str | None = None,
    population_field: str = "population",
    by: str = "area",
) -> Fused:
    """The crosswalk of two layers of areas as of a day (its end in Beijing), as believed now.

    `addresses`: the layer whose features are counted (areas by a point in them), the first of ADDRESSES that has any if
    None, `none` for no count. `population`: the layer that has `population_field`, base.village if None; shared out
    `by` its `area` or the `floor-area` of buildings. Raises InvalidParameter for layers and fields there are none of.
    """
    if a == b:
        raise _refused("b", "Both layers are the same.", "两个图层相同。", "Name two layers.", "请给出两个不同的图层。")
    moment = moment_on(date)
    run.progress(0.0, "读取网格", "reading the grids")
    first, second = (read_zones(run, i, moment, p) for i, p in ((a, "a"), (b, "b")))
    box = _box(first, second)
    run.progress(0.2, "读取地址与人口", "reading addresses and persons")
    points, counted = _addresses(run, addresses, moment, box)
    persons, houses, peopled = _persons(run, population, population_field, by, moment, box)
    run.progress(0.4, "叠加", "laying over each other")
    found = cross(first.zones, second.zones, points, persons, houses)
    run.progress(0.9, "编写结果", "writing")
    judged = found.persons is not None and bool(np.isfinite(found.persons).any())
    document = {
        "kind": "grid-fusion",
        "date": date,
        "synthetic": first.layer.synthetic or second.layer.synthetic,
        "a": _side(first, found, "a"),
        "b": _side(second, found, "b"),
        "addresses": counted,
        "population": {**peopled, "judged": judged},
        "rows": _rows(first, second, found),
    }
    return Fused(document, found.shape)


def _side(grids: GridZones, found: Crosswalk, side: str) -> dict[str, Any]:
    """What a layer comes to, and how well its pieces close."""
    at = found.a if side == "a" else found.b
    other = found.b if side == "a" else found.a
    areas, doubled, closure = (getattr(found, f"{n}_{side}") for n in ("area", "doubled", "closure"))
    worst = int(np.argmax(closure)) if len(closure) else None
    return {
        "layer": grids.layer.id,
        "title": grids.layer.title.model_dump(),
        "grids": len(grids),
        "area_m2": round(float(areas.sum()), 3),
        "outside_m2": round(float(found.area_m2[(at >= 0) & (other < 0)].sum()), 3),
        "doubled_m2": round(float(doubled.sum()), 3),
        "doubled": [grids.zones.keys[i] for i in np.flatnonzero(doubled > 0).tolist()],
        "closure": 0.0 if worst is None else float(closure[worst]),
        "closure_of": None if worst is None else grids.zones.keys[worst],
    }


def _rows(first: GridZones, second: GridZones, found: Crosswalk) -> list[dict[str, Any]]:
    shares = {(of, s): found.share(s, of) for of in ("area", "addresses", "persons") for s in ("a", "b")
              if of == "area" or getattr(found, of) is not None}  # fmt: skip
    empty = np.full(len(found.a), np.nan)
    rows = []
    for n, (i, k) in enumerate(zip(found.a.tolist(), found.b.tolist(), strict=True)):
        times = [
            (g.zones.begin[at], g.zones.end[at]) if at >= 0 else (None, None) for g, at in ((first, i), (second, k))
        ]
        begin, end = lasting(*times)
        count = None if found.addresses is None else int(found.addresses[n])
        rows.append(
            {
                "grid_a": first.zones.keys[i] if i >= 0 else None,
                "name_a": first.zones.names[i] if i >= 0 else None,
                "grid_b": second.zones.keys[k] if k >= 0 else None,
                "name_b": second.zones.names[k] if k >= 0 else None,
                "overlap_area_m2": round(float(found.area_m2[n]), 3),
                "share_of_a": _number(shares["area", "a"][n]),
                "share_of_b": _number(shares["area", "b"][n]),
                "addresses": count,
                "addresses_share_of_a": _number(shares.get(("addresses", "a"), empty)[n]),
                "addresses_share_of_b": _number(shares.get(("addresses", "b"), empty)[n]),
                "population": _number(None if found.persons is None else found.persons[n], 1),
                "population_share_of_a": _number(shares.get(("persons", "a"), empty)[n]),
                "population_share_of_b": _number(shares.get(("persons", "b"), empty)[n]),
                "valid_from": begin.isoformat() if begin else None,
                "valid_to": end.isoformat() if end else None,
            }
        )
    return rows


def _number(value: Any, digits: int = 12) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), digits)


def _box(first: GridZones, second: GridZones) -> tuple[float, float, float, float] | None:
    shapes = np.concatenate([first.zones.shapes, second.zones.shapes])
    if not len(shapes):
        return None
    west, south, east, north = shapely.total_bounds(shapes).tolist()
    return west, south, east, north


def _addresses(run: Run, layer_id: str | None, moment: Moment, box: Any) -> tuple[Any, dict[str, Any]]:
    """Points that stand for addresses, and what they are."""
    if layer_id == _NONE or box is None:
        return None, {"layer": None, "verdict": "not-judged", "why": "not asked for" if box else "no grids"}
    known = run.catalogue.layers
    wanted = [layer_id] if layer_id else [i for i in ADDRESSES if i in known and known[i].state.row_count]
    if not wanted:
        return None, {"layer": None, "verdict": "not-judged", "why": f"none of {', '.join(ADDRESSES)} has rows"}
    layer = run.catalogue.layer(wanted[0])
    if layer.spec.geometry == "none":
        raise _refused(
            "addresses", f"`{layer.id}` has no places.", f"{layer.id} 没有空间位置。",
            "Name a layer of points or houses.", "请选择点或建筑物图层。",
        )  # fmt: skip
    binder = Binder()
    relation = _relation(run, binder, layer.id, moment)
    filled = '"address" IS NOT NULL' if "address" in {f.name for f in layer.spec.visible_fields} else "false"
    rows = run.rows(
        f"SELECT {filled}, ST_X(p), ST_Y(p) FROM {relation} r, LATERAL (SELECT ST_PointOnSurface(geom) AS p) x "
        f"WHERE geom && {_envelope(binder, box)} AND NOT ST_IsEmpty(geom) ORDER BY fid", binder,
    )  # fmt: skip
    told = any(r[0] for r in rows)
    xy = np.array([r[1:] for r in rows if r[0] or not told], dtype=float).reshape(-1, 2)
    counted = "features with an address" if told else "every feature"
    return shapely.points(xy), {
        "layer": layer.id,
        "verdict": "counted",
        "counted": counted,
        "synthetic": layer.synthetic,
    }


def _persons(
    run: Run, layer_id: str | None, name: str, by: str, moment: Moment, box: Any
) -> tuple[Persons | None, Persons | None, dict[str, Any]]:
    """Areas with their persons, houses with theirs where they are shared out by floor area, and what was done."""
    if layer_id == _NONE or box is None or (layer_id is None and PEOPLE not in run.catalogue.layers):
        return None, None, {"layer": None, "why": "not asked for" if layer_id else "no layer of population"}
    layer = run.catalogue.layer(layer_id or PEOPLE)
    fields = {f.name: f for f in layer.spec.visible_fields}
    if name not in fields or fields[name].type not in ("integer", "number"):
        raise _refused(
            "population_field", f"`{layer.id}` has no number `{name[:60]}`.", f"{layer.id} 没有数值字段 {name[:60]}。",
            "Name the field that says how many persons there are.", "请给出人口数字段。",
        )  # fmt: skip
    binder = Binder()
    rows = run.rows(
        f"SELECT {quote_identifier(name)}::float8, ST_AsBinary(geom) FROM {_relation(run, binder, layer.id, moment)} r "
        f"WHERE geom && {_envelope(binder, box)} AND ST_Dimension(geom) = 2 ORDER BY fid", binder,
    )  # fmt: skip
    shapes = np.asarray(shapely.from_wkb([bytes(r[1]) for r in rows]), dtype=object).reshape(len(rows))
    people = Persons(shapes, np.array([np.nan if r[0] is None else r[0] for r in rows], dtype=float))
    said: dict[str, Any] = {
        "layer": layer.id,
        "field": name,
        "by": by,
        "areas": len(rows),
        "synthetic": layer.synthetic,
    }
    if by == "area":
        return people, None, said
    homes = run.catalogue.layer(HOUSES)
    binder = Binder()
    whole = shapely.total_bounds(shapes).tolist() if len(shapes) else box
    relation = _relation(run, binder, homes.id, moment)
    found = run.rows(
        f"SELECT ST_X(p), ST_Y(p), {quote_identifier(FLOOR)}::float8 FROM {relation} r, "
        f"LATERAL (SELECT ST_PointOnSurface(geom) AS p) x WHERE geom && {_envelope(binder, whole)} "
        "AND NOT ST_IsEmpty(geom) ORDER BY fid", binder,
    )  # fmt: skip
    xyf = np.array(found, dtype=float).reshape(-1, 3)
    houses, known = by_floor_area(people, shapely.points(xyf[:, :2]), xyf[:, 2])
    return known, houses, {**said, "houses": homes.id, "floor_area": FLOOR}


def _relation(run: Run, binder: Binder, layer_id: str, moment: Moment) -> str:
    layer = run.catalogue.layer(layer_id)
    when = moment if layer.state.dated or layer.state.timed else Moment()
    return when.relation(binder, layer) or layer.table


def _envelope(binder: Binder, box: Sequence[float]) -> str:
    return f"ST_MakeEnvelope({', '.join(binder.bind(float(v), 'float8') for v in box)}, 4490)"


def _refused(parameter: str, en: str, zh: str, todo_en: str, todo_zh: str) -> InvalidParameter:
    return InvalidParameter(en, zh, todo_en=todo_en, todo_zh=todo_zh, parameter=parameter)


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    found = grid_fusion(
        run, inputs["a"], inputs["b"], inputs.get("date"), inputs.get("addresses"), inputs.get("population"),
        inputs.get("population_field") or "population", inputs.get("by") or "area",
    )  # fmt: skip
    name = f"fusion-{inputs['a'].partition('.')[2]}-{inputs['b'].partition('.')[2]}"
    out: dict[str, Any] = {"report": found.document}
    if "table" in wanted:
        out["table"] = Blob(found.csv(), "text/csv; charset=utf-8", f"{name}.csv")
    if "places" in wanted:
        out["places"] = Blob(found.geojson(), _MEDIA, f"{name}.geojson")
    return out


_TEXT = {"type": "string"}
_SHARE = {"type": ["number", "null"], "minimum": 0}
_ROW = {
    "type": "object",
    "required": list(COLUMNS),
    "properties": {
        "grid_a": {"type": ["string", "null"], "description": "null: outside the first layer"},
        "grid_b": {"type": ["string", "null"], "description": "null: outside the second layer"},
        "overlap_area_m2": {"type": "number", "minimum": 0, "description": "m2 on the CGCS2000 ellipsoid"},
        "share_of_a": _SHARE,
        "share_of_b": _SHARE,
        "addresses": {"type": ["integer", "null"]},
        "population": {"type": ["number", "null"], "description": "null: not judged"},
    },
}
_SIDE = {
    "type": "object",
    "required": ["layer", "grids", "area_m2", "outside_m2", "doubled_m2", "doubled", "closure"],
    "properties": {"closure": {"type": "number", "description": "largest |pieces + outside - area| / area of a grid"}},
}
PROCESS = Process(
    id="grid-fusion",
    version="1.0.0",
    title=Text(zh="多网格融合对照", en="Crosswalk between grids"),
    description=Text(
        zh="两个网格图层逐一对照:重叠面积、占比、地址数和人口;未重叠部分单列一行,占比之和为 1,并给出闭合差。",
        en="Two layers of grids against each other: shared area, shares, addresses and persons. What lies outside the "
        "other layer is a row of its own, so that shares add up to one; closures are told.",
    ),
    inputs=(
        Input("a", Text(zh="甲网格图层", en="First layer"), _TEXT, required=True),
        Input("b", Text(zh="乙网格图层", en="Second layer"), _TEXT, required=True),
        Input("date", Text(zh="日期", en="Date"), _TEXT, Text(zh="该日在用的网格", en="Grids in use on that day")),
        Input(
            "addresses", Text(zh="地址图层", en="Layer of addresses"), _TEXT,
            Text(zh="不给时取建筑物、兴趣点或地名中首个有数据的;none 为不计",
                 en="The first of buildings, points of interest, place names with rows if left out; none for no count"),
        ),
        Input(
            "population", Text(zh="人口图层", en="Layer of population"), _TEXT,
            Text(zh="不给时为社区(村);none 为不计", en="Communities and villages if left out; none for no count"),
        ),
        Input("population_field", Text(zh="人口字段", en="Field of population"), {**_TEXT, "default": "population"}),
        Input(
            "by", Text(zh="人口分摊依据", en="Persons shared out by"),
            {"enum": ["area", "floor-area"], "default": "area"},
            Text(zh="按面积或按建筑面积", en="By area, or by floor area of buildings"),
        ),
    ),
    outputs=(
        Output(
            "report", Text(zh="对照结果", en="Crosswalk"),
            schema={
                "type": "object",
                "required": ["a", "b", "addresses", "population", "rows", "synthetic"],
                "properties": {"a": _SIDE, "b": _SIDE, "rows": {"type": "array", "items": _ROW}},
            },
        ),
        Output("table", Text(zh="CSV 表", en="CSV"), "text/csv"),
        Output("places", Text(zh="对照图斑", en="Shared ground"), _MEDIA),
    ),
    run=_run,
    keywords=("网格融合", "网格对照", "多网格"),
)  # fmt: skip
