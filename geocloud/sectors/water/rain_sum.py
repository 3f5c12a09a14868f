# SPDX-License-Identifier: Apache-2.0
"""The process of rain sums (雨量统计): by gauge with grades and gaps, as a grid, lines of equal rain, by township."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import shapely

from geocloud.catalogue.spec import Text
from geocloud.errors import TooLarge
from geocloud.features.spreadsheet import csv_table
from geocloud.geodesy.straight import straight_areas
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.rasters.write import geotiff
from geocloud.sectors.water.common import DATETIME, RAIN, Station, at_of, beijing, named, rows_of, stations, text_of
from geocloud.sectors.water.rain import Sum, sum_of
from geocloud.sectors.water.rules import RainEdition, day_of, in_force, rain_levels, rain_rules
from geocloud.sectors.water.surface import (
    POWER,
    Grid,
    bands,
    grid_over,
    idw,
    isohyets,
    merged,
    thiessen,
    thiessen_means,
)
from geocloud.sensing.values import read_between

__all__ = ["CELLS_MAX", "COLUMNS", "DISTRICTS", "HOURS_MAX", "PROCESS", "rain_sum"]

HOURS_MAX = 31 * 24
CELLS_MAX = 250_000
GAUGES_LEAST = 3
"""Complete gauges below which nothing is interpolated."""
DISTRICTS = ("base.township", "base.county")
COLUMNS = (
    "code", "name", "lon", "lat", "state", "mm", "at_least", "grade", "grade_title", "covered", "readings", "doubtful",
    "across",
)  # fmt: skip
_POINT = Text(zh="只有点位,没有面", en="It has no area, only a point")


def rain_sum(
    run: Run,
    end: datetime,
    hours: float,
    codes: Sequence[str] = (),
    districts: str = "base.township",
    levels: Sequence[float] = (),
    cell_m: float = 2_000,
    *,
    flagged: bool = False,
) -> dict[str, Any]:
    """Sums of rain over the `hours` up to `end`: `gauges`, `totals`, `districts`, and under `surface` the grid with its
    bands and lines (shapely), None where fewer than three gauges are complete.

    Only complete gauges are interpolated: an incomplete sum is a least, not a value.
    """
    layer = run.catalogue.layer(RAIN)
    start = end - timedelta(hours=hours)
    edition = in_force(rain_rules(), day_of(end))
    wanted = named(stations(run, RAIN, at=end), codes)
    measured = read_between(run, RAIN, "rainfall", "mm", start, end)
    found = [(s, sum_of(next((m for m in measured if m.source.of(s.code, s.fid)), None), start, end, flagged=flagged))
             for s in wanted]  # fmt: skip
    good = [(s.place, x.mm) for s, x in found if x.complete and s.place is not None and x.mm is not None]
    chosen = sorted(set(levels)) or list(rain_levels(hours))
    surface, why = None, None
    areal: list[dict[str, Any]] = []
    if len(good) >= GAUGES_LEAST:
        places, values = merged(np.array([p for p, _ in good]), np.array([v for _, v in good]))
        surface, areal = _surface(run, places, values, chosen, cell_m, districts)
    else:
        why = Text(zh=f"完整的雨量站不足 {GAUGES_LEAST} 个,未插值", en=f"Fewer than {GAUGES_LEAST} gauges are complete")
    return {
        "from": beijing(start), "to": beijing(end), "hours": hours,
        "grades": None if edition is None else edition.model_dump(mode="json", exclude={"hours"}),
        "totals": _totals(found),
        "interpolation": {
            "method": "inverse-distance", "power": POWER, "gauges": len(good), "cell_m": cell_m, "levels_mm": chosen,
            "why_none": None if why is None else text_of(run, why),
        },
        "synthetic": layer.synthetic or any(m.source.synthetic for m in measured),
        "gauges": [_gauge(run, s, x, edition, hours) for s, x in found],
        "districts": areal,
        "surface": surface,
    }  # fmt: skip


def _gauge(run: Run, s: Station, x: Sum, edition: RainEdition | None, hours: float) -> dict[str, Any]:
    grade = x.grade(edition, hours)
    lon, lat = s.place or (None, None)
    return {
        "code": s.code, "name": s.name, "lon": lon, "lat": lat, "state": x.state,
        "mm": None if x.mm is None else round(x.mm, 3), "at_least": x.state in ("incomplete", "unknown"),
        "grade": grade and grade.grade, "grade_title": grade and text_of(run, grade.title),
        "covered": None if x.covered is None else round(x.covered, 4), "readings": x.readings, "doubtful": x.doubtful,
        "across": x.across, "gaps": [[beijing(a), beijing(b)] for a, b in x.gaps],
    }  # fmt: skip


def _totals(found: Sequence[tuple[Station, Sum]]) -> dict[str, Any]:
    complete = [(x.mm, s.code) for s, x in found if x.complete and x.mm is not None]
    most = max(complete, default=None)
    return {
        "gauges": len(found),
        "states": dict(Counter(x.state for _, x in found)),
        "greatest_mm": most and round(most[0], 3), "greatest_at": most and most[1],
        "mean_of_complete_mm": round(sum(v for v, _ in complete) / len(complete), 3) if complete else None,
    }  # fmt: skip


def _surface(
    run: Run, places: Any, values: Any, levels: list[float], cell_m: float, districts: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    rows = _districts(run, districts)
    shapes = [shape for _, _, shape in rows if shape is not None and shapely.get_dimensions(shape) == 2]
    within = shapely.union_all(shapely.make_valid(np.array(shapes, dtype=object))) if shapes else None
    west, south, east, north = shapely.bounds(within if within is not None else shapely.multipoints(places))
    pad = 0.0 if within is not None else 0.02
    lon, lat = grid_over((west - pad, south - pad, east + pad, north + pad), cell_m)
    if len(lon) * len(lat) > CELLS_MAX:
        raise TooLarge(
            f"The grid would have {len(lon) * len(lat):,} places; at most {CELLS_MAX:,} are made.",
            f"网格将有 {len(lon) * len(lat):,} 个点,超过上限 {CELLS_MAX:,}。",
            todo_en="Ask for a greater `cell_m`.", todo_zh="请增大 cell_m。", maximum=CELLS_MAX,
        )  # fmt: skip
    run.progress(0.4, "插值", "Interpolating")
    at = np.column_stack([x.ravel() for x in np.meshgrid(lon, lat)])
    grid = Grid(lon, lat, idw(places, values, at).reshape(len(lat), len(lon)))
    cut = within if within is not None else shapely.box(lon[0], lat[0], lon[-1], lat[-1])
    cells = thiessen(places, cut)
    run.progress(0.8, "分区平均", "Means of districts")
    means = thiessen_means(cells, values, [shape for _, _, shape in rows])
    areal = [
        {
            "code": code, "name": name, "mm": None if mean is None else round(mean, 3), "gauges": count,
            "area_km2": None if mean is None else round(float(straight_areas(np.array([shape]))[0]) / 1e6, 4),
            "why": text_of(run, _POINT) if mean is None else None,
        }
        for (code, name, shape), (mean, count) in zip(rows, means, strict=True)
    ]  # fmt: skip
    return {
        "grid": grid, "bands": bands(grid, levels, within), "lines": isohyets(grid, levels, within),
    }, areal  # fmt: skip


def _districts(run: Run, layer_id: str) -> list[tuple[str, str | None, Any]]:
    if layer_id not in run.catalogue.layers:
        return []
    rows = rows_of(run, run.catalogue.layer(layer_id), ["code", "name"])
    return [(code, name, None if wkb is None else shapely.from_wkb(bytes(wkb))) for _, code, name, wkb in rows]


def _features(found: dict[str, Any]) -> dict[str, Any]:
    surface, features = found["surface"], []
    about = {"hours": found["hours"], "to": found["to"]}
    for low, high, shape in surface["bands"] if surface else ():
        area = float(straight_areas(np.array([shape]))[0])
        features.append(
            _feature(shape, {"kind": "band", "from_mm": low, "to_mm": high, "area_km2": round(area / 1e6, 4), **about})
        )
    for level, shape in surface["lines"] if surface else ():
        features.append(_feature(shape, {"kind": "line", "level_mm": level, **about}))
    for g in found["gauges"]:
        if g["lon"] is not None:
            keep = {k: v for k, v in g.items() if k not in ("lon", "lat", "gaps")}
            features.append(_feature(shapely.Point(g["lon"], g["lat"]), {"kind": "gauge", **keep, **about}))
    return {"type": "FeatureCollection", "synthetic": found["synthetic"], "features": features}


def _feature(shape: Any, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": shapely.geometry.mapping(shapely.set_precision(shape, 1e-6, mode="pointwise")),
        "properties": properties,
    }


def _csv(found: dict[str, Any]) -> bytes:
    return csv_table(COLUMNS, found["gauges"])


def _nothing(run: Run) -> Grid:
    """A grid over the city that knows nothing."""
    west, south, east, north = run.settings.city.city_bbox
    return Grid(np.array([west, east]), np.array([south, north]), np.full((2, 2), np.nan))


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    found = rain_sum(
        run, at_of(inputs.get("datetime")), inputs["hours"], inputs["stations"], inputs["districts"],
        inputs["levels_mm"], inputs["cell_m"], flagged=inputs["flagged"] == "include",
    )  # fmt: skip
    out: dict[str, Any] = {"table": {k: v for k, v in found.items() if k != "surface"}}
    if "isohyets" in wanted:
        out["isohyets"] = _features(found)
    if "csv" in wanted:
        out["csv"] = Blob(_csv(found), "text/csv; charset=utf-8", "rain-sum.csv")
    if "grid" in wanted:
        grid = found["surface"]["grid"] if found["surface"] else _nothing(run)
        data = geotiff(grid.lon, grid.lat, grid.values, np.nan)
        out["grid"] = Blob(data, "image/tiff; application=geotiff", "rain-sum.tif")
    return out


PROCESS = Process(
    id="rain-sum",
    version="1.0.0",
    title=Text(zh="雨量累计与等雨量线", en="Sums of rain"),
    description=Text(
        zh="截至某时刻 1、3、6、24 小时或任意时长的各站累计雨量、等级(12、24 小时)与缺测;完整站按反距离加权(幂 2)"
        "插值为网格与等雨量线、等雨量面,并按泰森多边形求各乡镇面雨量。",
        en="Rain of 1, 3, 6, 24 or any hours up to an instant by gauge, with grades (12 and 24 h) and gaps; complete "
        "gauges interpolated by inverse distance (power 2) to a grid, lines and bands of equal rain; means of "
        "townships by Thiessen polygons.",
    ),
    inputs=(
        DATETIME,
        Input("hours", Text(zh="时长(小时)", en="Hours"),
              {"type": "number", "exclusiveMinimum": 0, "maximum": HOURS_MAX, "default": 24,
               "examples": [1, 3, 6, 24]}),
        Input("stations", Text(zh="雨量站编码", en="Codes of gauges"),
              {"type": "array", "items": {"type": "string", "maxLength": 64}, "maxItems": 5_000, "default": []},
              Text(zh="不填为全部", en="All if unset")),
        Input("districts", Text(zh="面雨量分区图层", en="Districts of the means"),
              {"type": "string", "enum": list(DISTRICTS), "default": "base.township"}),
        Input("levels_mm", Text(zh="等雨量线(毫米)", en="Levels of the lines, mm"),
              {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 10_000}, "maxItems": 40,
               "default": []},
              Text(zh="不填:24 小时用等级界限,其他时长用本项目默认值",
                   en="If unset: limits of the grades for 24 h, this project's own for others")),
        Input("cell_m", Text(zh="网格间距(米)", en="Width of the grid, metres"),
              {"type": "number", "minimum": 100, "maximum": 50_000, "default": 2_000}),
        Input("flagged", Text(zh="可疑读数", en="Doubtful readings"),
              {"type": "string", "enum": ["exclude", "include"], "default": "exclude"},
              Text(zh="exclude:按缺测处理", en="exclude: as if they were missing")),
    ),
    outputs=(
        Output("table", Text(zh="雨量表", en="Table")),
        Output("isohyets", Text(zh="等雨量线与面(GeoJSON)", en="Lines and bands as GeoJSON")),
        Output("csv", Text(zh="CSV 表", en="CSV"), "text/csv"),
        Output("grid", Text(zh="网格(GeoTIFF)", en="Grid as GeoTIFF"), "image/tiff; application=geotiff"),
    ),
    run=_run,
    keywords=("水利", "降水", "等雨量线"),
)  # fmt: skip
