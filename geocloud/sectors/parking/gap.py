# SPDX-License-Identifier: Apache-2.0
"""Where spaces are short (停车供需): spaces of car parks against what buildings ask for, by areas of a layer or cells.

A building on a border counts in each area by the share of its footprint there. What buildings ask for is a rate for
each use, from a dated table; a building whose use has no rate, or whose floor area is not known, is counted and not
judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.spec import Text
from geocloud.features.binder import Binder
from geocloud.features.moment import NOW
from geocloud.features.spreadsheet import csv_table
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.overlay.areas import (
    LOOKED_AT,
    Zones,
    cell_zones,
    cells_around,
    layer_zones,
    too_many_zones,
    zones_statement,
)
from geocloud.overlay.assign import OUTSIDE, Assignment, assign_shapes, summed
from geocloud.overlay.by import By, read_by
from geocloud.sectors.parking.live import LOTS, NOT_RUNNING
from geocloud.sectors.parking.tables import demand_rates

__all__ = ["BUILDINGS", "PROCESS", "parking_gap"]

BUILDINGS = "base.building"
_AT_ONCE = 20_000
COLUMNS = (
    "code", "name", "area_km2", "lots", "lots_without_spaces", "spaces", "buildings_judged", "floor_area_m2", "demand",
    "balance", "spaces_per_demand", "verdict",
)  # fmt: skip
Floats = NDArray[np.float64]


_PARTS = ("lots", "unsized", "spaces", "buildings", "judged", "floor", "demand")


@dataclass
class _Sums:
    """What has been added up: by zone, the last place for what lies in none; and whatever zone it is in, which areas
    that lie over each other go beyond."""

    zones: int
    whole: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_PARTS, 0.0))
    no_rate: int = 0
    no_floor: int = 0
    derived: int = 0
    not_running: int = 0
    placeless: int = 0

    def __post_init__(self) -> None:
        self.parts: dict[str, Floats] = {name: np.zeros(self.zones + 1) for name in _PARTS}

    def add(self, found: Assignment, amounts: dict[str, Floats]) -> None:
        """The amounts of features, each by the share of it in a zone."""
        place = np.where(found.zone == OUTSIDE, self.zones, found.zone)
        for name, values in amounts.items():
            self.parts[name] += summed(place, values[found.row] * found.share, self.zones + 1)
            self.whole[name] += float(values.sum())


def parking_gap(run: Run, by: str = "township") -> dict[str, Any]:
    """Supply and demand by `by`, as sums by areas have it (county, a layer of areas, `h3:8`, `beidou:5`): `rows`,
    `totals` and the table of rates.

    Of an area: `spaces` of its car parks that run; `floor_area_m2` and `demand` of the buildings that can be judged;
    `balance`, spaces less demand; `verdict` `short`, `enough` or `not-judged`, where no building can be. `outside` are
    the same sums of what lies in no area, so that everything adds up, unless areas lie over each other: `overlapping`
    tells how many do. InvalidParameter for another `by`, TooLarge for too many areas.
    """
    return _gap(run, by)[0]


def _gap(run: Run, by: str) -> tuple[dict[str, Any], Zones]:
    divided = read_by(by, run.catalogue)
    lots, buildings = run.catalogue.layer(LOTS), run.catalogue.layer(BUILDINGS)
    table = demand_rates()
    zones = _zones(run, divided)
    sums = _Sums(len(zones))
    _add_lots(run, zones, sums)
    _add_buildings(run, zones, table.by_use(), sums, max(1, buildings.state.row_count))
    used = np.flatnonzero(sums.parts["lots"][:-1] + sums.parts["buildings"][:-1] > 0)
    if divided.layer is not None:
        used = np.arange(len(zones))
    elif len(used) > run.settings.web.aggregate_zones_max:
        raise too_many_zones(by, run.settings.web.aggregate_zones_max)
    told = zones.only(np.isin(np.arange(len(zones)), used))
    layers = [lots, buildings, *([divided.layer] if divided.layer is not None else [])]
    named = zip(used.tolist(), told.codes, told.names, told.area_km2.tolist(), strict=True)
    rows = [
        {"code": code, "name": name, "area_km2": round(km2, 6), **_figures(sums, i)} for i, code, name, km2 in named
    ]
    whole = sums.whole
    return {
        "by": by,
        "synthetic": any(x.synthetic for x in layers),
        "table": table.told(),
        "totals": {
            "areas": len(rows), "overlapping": zones.overlaps,
            "lots": round(whole["lots"]), "lots_without_spaces": round(whole["unsized"]),
            "lots_not_running": sums.not_running, "lots_without_position": sums.placeless,
            "spaces": round(whole["spaces"]),
            "floor_area_m2": round(whole["floor"], 1), "demand": round(whole["demand"], 2),
            "buildings_without_rate": sums.no_rate, "buildings_without_floor_area": sums.no_floor,
            "buildings_floor_area_from_storeys": sums.derived,
        },
        "outside": _figures(sums, -1),
        "rows": rows,
    }, told  # fmt: skip


def _figures(sums: _Sums, i: int) -> dict[str, Any]:
    of = {name: float(values[i]) for name, values in sums.parts.items()}
    judged, spaces, demand = of["judged"], round(of["spaces"]), of["demand"]
    # Less than a millionth of a building is what rounding leaves.
    known = judged > 1e-6
    return {
        "lots": round(of["lots"]),
        "lots_without_spaces": round(of["unsized"]),
        "spaces": spaces,
        "buildings_judged": round(judged, 3),
        "floor_area_m2": round(of["floor"], 1),
        "demand": round(demand, 2) if known else None,
        "balance": round(spaces - demand, 2) if known else None,
        "spaces_per_demand": round(spaces / demand, 4) if known and demand > 0 else None,
        "verdict": "not-judged" if not known else "short" if spaces < demand else "enough",
    }


def _zones(run: Run, by: By) -> Zones:
    most = run.settings.web.aggregate_zones_max
    if by.layer is None:
        return _cells(run, by, most)
    statement, binder = zones_statement(by.layer, NOW, most)
    return layer_zones(by, run.rows(statement, binder), by.layer.state.version, most)


def _cells(run: Run, by: By, most: int) -> Zones:
    """The cells that may hold buildings or car parks, by their boxes."""
    boxes = []
    for relation, binder in (_relation(run, BUILDINGS), _relation(run, LOTS)):
        bounds = ", ".join(f"ST_{end}(geom)" for end in ("XMin", "YMin", "XMax", "YMax"))
        statement = f"SELECT {bounds} FROM {relation} x WHERE geom IS NOT NULL AND NOT ST_IsEmpty(geom)"
        boxes += [np.array(rows, np.float64) for rows in run.batches(statement, binder, _AT_ONCE)]
    if not boxes:
        return cell_zones(by, cells_around(by, np.zeros(0, object), most), most)
    near = cells_around(by, shapely.box(*np.concatenate(boxes).T), most)
    # Some of them are only near; those in which something is are told apart when everything is added up.
    return cell_zones(by, near, LOOKED_AT * most)


def _relation(run: Run, layer_id: str) -> tuple[str, Binder]:
    binder, layer = Binder(), run.catalogue.layer(layer_id)
    return NOW.relation(binder, layer, by_place=False) or layer.table, binder


def _add_lots(run: Run, zones: Zones, sums: _Sums) -> None:
    relation, binder = _relation(run, LOTS)
    rows = run.rows(f'SELECT "spaces", "state", ST_AsBinary(geom) FROM {relation} l ORDER BY fid', binder)
    sums.not_running = sum(r[1] in NOT_RUNNING for r in rows)
    running = [r for r in rows if r[1] not in NOT_RUNNING]
    placed = [r for r in running if r[2] is not None]
    sums.placeless = len(running) - len(placed)
    if not placed:
        return
    amounts = np.array([(1, r[0] is None, r[0] or 0) for r in placed], np.float64)
    sums.add(_assigned(zones, (r[2] for r in placed)), dict(zip(("lots", "unsized", "spaces"), amounts.T, strict=True)))


def _add_buildings(run: Run, zones: Zones, rates: dict[str, float], sums: _Sums, total: int) -> None:
    relation, binder = _relation(run, BUILDINGS)
    statement = (
        f'SELECT "use", "floor_area_m2", "area_m2", "storeys", ST_AsBinary(geom) FROM {relation} b '
        "WHERE geom IS NOT NULL ORDER BY fid"
    )
    done = 0
    for rows in run.batches(statement, binder, _AT_ONCE):
        floors, spaces = np.zeros((2, len(rows)))
        judged = np.zeros(len(rows))
        for i, (use, told, base, storeys, _) in enumerate(rows):
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
            judged[i], floors[i], spaces[i] = 1, floor, floor * rate
        amounts = {"buildings": np.ones(len(rows)), "judged": judged, "floor": floors, "demand": spaces}
        sums.add(_assigned(zones, (r[4] for r in rows)), amounts)
        done += len(rows)
        run.progress(min(1.0, done / total), "汇总建筑", "adding up buildings")


def _assigned(zones: Zones, wkb: Iterable[Any]) -> Assignment:
    shapes = np.asarray(shapely.from_wkb([bytes(b) for b in wkb]), dtype=object)
    return assign_shapes(shapes, zones.shapes, overlapping=zones.overlapping)


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
    document, zones = _gap(run, inputs.get("by", "township"))
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
        zh="按区划、网格或任一面图层比较停车泊位与建筑需求;需求由建筑面积乘以标明日期与来源的比率得出。",
        en="Spaces against what buildings ask for, by divisions, grids or any layer of areas; demand is floor area "
        "times rates from a table that tells its date and source.",
    ),
    inputs=(
        Input("by", Text(zh="分区", en="Areas"),
              {"type": "string", "minLength": 1, "maxLength": 100, "default": "township",
               "examples": ["township", "grid", "h3:8"]},
              Text(zh="county、township、village、grid、任一面图层、h3:级别或 beidou:级别",
                   en="county, township, village, grid, any layer of areas, h3:level or beidou:level")),
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
