# SPDX-License-Identifier: Apache-2.0
"""Where spaces are short (停车供需): spaces of car parks against what buildings ask for, by areas of a layer or cells.

A building on a border counts in each area by the share of its footprint there. What buildings ask for is a rate for
each use, from a dated table; a building whose use has no rate, or whose floor area is not known, is counted and not
judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import h3.api.numpy_int as h3
import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter, TooLarge
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.moment import NOW
from geocloud.features.spreadsheet import csv_table
from geocloud.geodesy.area import areas
from geocloud.grids.h3cells import cells_of
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.sectors.parking.live import LOTS, NOT_RUNNING
from geocloud.sectors.parking.tables import demand_rates

__all__ = ["AREAS", "BUILDINGS", "PROCESS", "Zones", "parking_gap", "shares"]

BUILDINGS = "base.building"
AREAS = ("base.county", "base.township", "base.village", "grid.unit_grid")
_CELLS = re.compile(r"h3:([5-9]|10)")
ZONES_MAX = 50_000
_AT_ONCE = 20_000
COLUMNS = (
    "code", "name", "area_km2", "lots", "lots_without_spaces", "spaces", "buildings_judged", "floor_area_m2", "demand",
    "balance", "spaces_per_demand", "verdict",
)  # fmt: skip
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Zones:
    """Areas as polygons in EPSG:4490, with what people call them."""

    codes: list[str]
    names: list[str | None]
    shapes: NDArray[Any]


@dataclass
class _Sums:
    """What has been added up, by zone; the last place is for what lies in none."""

    count: int
    lots: Ints = field(init=False)
    unsized: Ints = field(init=False)
    spaces: Ints = field(init=False)
    judged: Floats = field(init=False)
    floor: Floats = field(init=False)
    demand: Floats = field(init=False)
    no_rate: int = 0
    no_floor: int = 0
    derived: int = 0
    not_running: int = 0
    placeless: int = 0

    def __post_init__(self) -> None:
        n = self.count + 1
        self.lots, self.unsized, self.spaces = (np.zeros(n, np.int64) for _ in range(3))
        self.judged, self.floor, self.demand = (np.zeros(n) for _ in range(3))


def parking_gap(run: Run, by: str = "base.township") -> dict[str, Any]:
    """Supply and demand by `by`, one of AREAS or `h3:5` to `h3:10`: `rows`, `totals` and the table of rates.

    Of an area: `spaces` of its car parks that run; `floor_area_m2` and `demand` of the buildings that can be judged;
    `balance`, spaces less demand; `verdict` `short`, `enough` or `not-judged`, where no building can be. `outside` are
    the same sums of what lies in no area, so that everything adds up. TooLarge for too many areas.
    """
    return _gap(run, by)[0]


def _gap(run: Run, by: str) -> tuple[dict[str, Any], Zones]:
    lots, buildings = run.catalogue.layer(LOTS), run.catalogue.layer(BUILDINGS)
    table = demand_rates()
    zones = _zones(run, by)
    sums = _Sums(len(zones.codes))
    tree = shapely.STRtree(zones.shapes)
    shapely.prepare(zones.shapes)
    _add_lots(run, tree, sums)
    _add_buildings(run, tree, zones.shapes, table.by_use(), sums, max(1, buildings.state.row_count))
    layers = [lots, buildings, *([run.catalogue.layer(by)] if by in AREAS else [])]
    size = areas(zones.shapes) / 1e6
    rows = [
        {"code": code, "name": name, "area_km2": round(float(km2), 6), **_figures(sums, i)}
        for i, (code, name, km2) in enumerate(zip(zones.codes, zones.names, size, strict=True))
    ]
    return {
        "by": by,
        "synthetic": any(x.synthetic for x in layers),
        "table": table.told(),
        "totals": {
            "areas": len(rows),
            "lots": int(sums.lots.sum()), "lots_without_spaces": int(sums.unsized.sum()),
            "lots_not_running": sums.not_running, "lots_without_position": sums.placeless,
            "spaces": int(sums.spaces.sum()),
            "floor_area_m2": round(float(sums.floor.sum()), 1), "demand": round(float(sums.demand.sum()), 2),
            "buildings_without_rate": sums.no_rate, "buildings_without_floor_area": sums.no_floor,
            "buildings_floor_area_from_storeys": sums.derived,
        },
        "outside": _figures(sums, len(rows)),
        "rows": rows,
    }, zones  # fmt: skip


def _figures(sums: _Sums, i: int) -> dict[str, Any]:
    judged, spaces, demand = float(sums.judged[i]), int(sums.spaces[i]), float(sums.demand[i])
    # Less than a millionth of a building is what rounding leaves.
    known = judged > 1e-6
    return {
        "lots": int(sums.lots[i]),
        "lots_without_spaces": int(sums.unsized[i]),
        "spaces": spaces,
        "buildings_judged": round(judged, 3),
        "floor_area_m2": round(float(sums.floor[i]), 1),
        "demand": round(demand, 2) if known else None,
        "balance": round(spaces - demand, 2) if known else None,
        "spaces_per_demand": round(spaces / demand, 4) if known and demand > 0 else None,
        "verdict": "not-judged" if not known else "short" if spaces < demand else "enough",
    }


def _zones(run: Run, by: str) -> Zones:
    found = _CELLS.fullmatch(by)
    if found:
        return _cells(run, int(found[1]))
    if by not in AREAS:
        raise InvalidParameter(
            f"`by` cannot be `{by[:60]}`.", f"参数 by 不能是 {by[:60]}。",
            todo_en=f"One of {', '.join(AREAS)}, or h3:5 to h3:10.",
            todo_zh=f"可用:{'、'.join(AREAS)},或 h3:5 至 h3:10。",
            parameter="by", allowed=[*AREAS, "h3:5 … h3:10"],
        )  # fmt: skip
    layer = run.catalogue.layer(by)
    if layer.state.row_count > ZONES_MAX:
        raise _too_many(layer.state.row_count)
    binder = Binder()
    relation = NOW.relation(binder, layer, by_place=False) or layer.table
    key = quote_identifier(layer.spec.key[0])
    name = '"name"' if any(f.name == "name" for f in layer.spec.visible_fields) else "NULL::text"
    rows = run.rows(
        f"SELECT {key}::text, {name}, ST_AsBinary(geom) FROM {relation} z WHERE ST_Dimension(geom) = 2 ORDER BY 1, fid",
        binder,
    )
    return Zones([r[0] for r in rows], [r[1] for r in rows], _sound(_shapes(r[2] for r in rows)))


def _cells(run: Run, resolution: int) -> Zones:
    """The H3 cells that buildings or car parks are in, those that a building only reaches across an edge included."""
    cells: set[int] = set()
    for relation, binder in (_relation(run, BUILDINGS), _relation(run, LOTS)):
        for rows in run.batches(f"SELECT ST_AsBinary(geom) FROM {relation} x WHERE geom IS NOT NULL", binder, _AT_ONCE):
            xy, owner = shapely.get_coordinates(_shapes(r[0] for r in rows), return_index=True)
            at = cells_of(xy[:, 0], xy[:, 1], resolution)
            first = np.r_[True, owner[1:] != owner[:-1]]
            mixed = np.unique(at[at != at[first][np.cumsum(first) - 1]])
            cells.update(int(c) for c in np.unique(at))
            for cell in mixed.tolist():
                cells.update(int(c) for c in h3.grid_disk(cell, 1))
            if len(cells) > ZONES_MAX:
                raise _too_many(len(cells))
    ordered = sorted(cells)
    outlines = [shapely.Polygon([(lon, lat) for lat, lon in h3.cell_to_boundary(c)]) for c in ordered]
    return Zones([h3.int_to_str(c) for c in ordered], [None] * len(ordered), np.asarray(outlines, dtype=object))


def _too_many(count: int) -> TooLarge:
    return TooLarge(
        f"There are {count:,} areas or more; sums are made for at most {ZONES_MAX:,}.",
        f"分区达 {count:,} 个或更多,超过上限 {ZONES_MAX:,}。",
        todo_en="Choose larger areas.", todo_zh="请选择更大的分区。", maximum=ZONES_MAX,
    )  # fmt: skip


def _relation(run: Run, layer_id: str) -> tuple[str, Binder]:
    binder, layer = Binder(), run.catalogue.layer(layer_id)
    return NOW.relation(binder, layer, by_place=False) or layer.table, binder


def _add_lots(run: Run, tree: shapely.STRtree, sums: _Sums) -> None:
    relation, binder = _relation(run, LOTS)
    rows = run.rows(f'SELECT "spaces", "state", ST_AsBinary(geom) FROM {relation} l ORDER BY fid', binder)
    sums.not_running = sum(r[1] in NOT_RUNNING for r in rows)
    running = [r for r in rows if r[1] not in NOT_RUNNING]
    placed = [r for r in running if r[2] is not None]
    sums.placeless = len(running) - len(placed)
    if not placed:
        return
    which = np.full(len(placed), sums.count, np.int64)
    of_lot, of_zone = tree.query(_shapes(r[2] for r in placed), predicate="intersects")
    # On a border it is in the first of the areas alone.
    np.minimum.at(which, of_lot, of_zone)
    np.add.at(sums.lots, which, 1)
    np.add.at(sums.unsized, which, np.array([r[0] is None for r in placed], np.int64))
    np.add.at(sums.spaces, which, np.array([r[0] or 0 for r in placed], np.int64))


def _add_buildings(
    run: Run, tree: shapely.STRtree, zones: NDArray[Any], rates: dict[str, float], sums: _Sums, total: int
) -> None:
    relation, binder = _relation(run, BUILDINGS)
    statement = (
        f'SELECT "use", "floor_area_m2", "area_m2", "storeys", ST_AsBinary(geom) FROM {relation} b '
        "WHERE geom IS NOT NULL ORDER BY fid"
    )
    done = 0
    for rows in run.batches(statement, binder, _AT_ONCE):
        kept, floors, spaces = [], [], []
        for use, told, base, storeys, wkb in rows:
            rate = rates.get(use)
            if rate is None:
                sums.no_rate += 1
                continue
            derived = None if told is not None or base is None or storeys is None else base * storeys
            floor = told if derived is None else derived
            if floor is None:
                sums.no_floor += 1
                continue
            sums.derived += derived is not None
            kept.append(wkb)
            floors.append(float(floor))
            spaces.append(float(floor) * rate)
        if kept:
            owner, zone, share = shares(tree, zones, _shapes(kept))
            for target, values in ((sums.judged, np.ones(len(kept))), (sums.floor, floors), (sums.demand, spaces)):
                amounts = np.asarray(values)
                np.add.at(target, zone, amounts[owner] * share)
                inside = np.bincount(owner, share, len(kept))
                target[sums.count] += float((amounts * np.maximum(0.0, 1.0 - inside)).sum())
        done += len(rows)
        run.progress(min(1.0, done / total), "汇总建筑", "adding up buildings")


def shares(tree: shapely.STRtree, zones: NDArray[Any], shapes: NDArray[Any]) -> tuple[Ints, Ints, Floats]:
    """Which shapes lie in which zones, by which share of their area: indices of shapes, of zones, and shares.

    The shares of a shape add up to the part of it that lies in any zone; where zones lie over each other, each gets
    less by the same factor. Shares are of areas in degrees, which over a building's size are those on the ellipsoid.
    """
    shapes = _sound(shapes)
    owner, zone = tree.query(shapes, predicate="intersects")
    share = np.ones(len(owner))
    alone = np.bincount(owner, minlength=len(shapes))[owner] == 1
    whole = np.zeros(len(owner), bool)
    whole[alone] = shapely.covers(zones[zone[alone]], shapes[owner[alone]])
    cut = ~whole
    if cut.any():
        size = shapely.area(shapes[owner[cut]])
        part = shapely.area(shapely.intersection(zones[zone[cut]], shapes[owner[cut]]))
        share[cut] = np.divide(part, size, out=np.zeros(len(part)), where=size > 0)
        twice = np.bincount(owner, share, len(shapes))
        share /= np.maximum(1.0, twice)[owner]
    return owner.astype(np.int64), zone.astype(np.int64), share


def _shapes(wkb: Iterable[Any]) -> NDArray[Any]:
    return np.asarray(shapely.from_wkb([bytes(b) for b in wkb]), dtype=object)


def _sound(shapes: NDArray[Any]) -> NDArray[Any]:
    broken = ~shapely.is_valid(shapes)
    if broken.any():
        shapes = shapes.copy()
        shapes[broken] = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
    return shapes


def _csv(document: dict[str, Any]) -> bytes:
    """The rows as CSV, with a mark so that office programs read it as UTF-8."""
    return csv_table(COLUMNS, document["rows"])


def _features(document: dict[str, Any], zones: Zones) -> dict[str, Any]:
    return {
        "type": "FeatureCollection",
        "synthetic": document["synthetic"],
        "features": [
            {"type": "Feature", "id": row["code"], "geometry": shapely.geometry.mapping(shape), "properties": row}
            for row, shape in zip(document["rows"], zones.shapes, strict=True)
        ],
    }


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    document, zones = _gap(run, inputs.get("by", "base.township"))
    out: dict[str, Any] = {"table": document}
    if "csv" in wanted:
        out["csv"] = Blob(_csv(document), "text/csv; charset=utf-8", "parking-gap.csv")
    if "areas" in wanted:
        out["areas"] = _features(document, zones)
    return out


PROCESS = Process(
    id="parking-gap",
    version="1.0.0",
    title=Text(zh="停车供需缺口", en="Parking supply and demand"),
    description=Text(
        zh="按乡镇、单元网格或 H3 网格比较停车泊位与建筑需求;需求由建筑面积乘以标明日期与来源的比率得出。",
        en="Spaces against what buildings ask for, by township, unit grid or H3 cell; demand is floor area times rates "
        "from a table that tells its date and source.",
    ),
    inputs=(
        Input("by", Text(zh="分区", en="Areas"),
              {"type": "string", "pattern": f"^({'|'.join(re.escape(a) for a in AREAS)}|{_CELLS.pattern})$",
               "default": "base.township", "examples": ["base.township", "grid.unit_grid", "h3:8"]},
              Text(zh="图层,或 h3:5 至 h3:10", en="A layer, or h3:5 to h3:10")),
    ),
    outputs=(
        Output("table", Text(zh="统计表", en="Table")),
        Output("csv", Text(zh="CSV 表", en="CSV"), "text/csv"),
        Output("areas", Text(zh="分区图", en="Areas as GeoJSON")),
    ),
    run=_run,
    keywords=("停车", "供需"),
    long=True,
)  # fmt: skip
