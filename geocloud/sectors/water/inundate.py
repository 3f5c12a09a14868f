# SPDX-License-Identifier: Apache-2.0
"""The process of flooded ground (淹没分析): a level and where the water comes from, over an elevation model; and who
and what is in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyproj
import rasterio.features
import shapely

from geocloud.catalogue.spec import Text
from geocloud.geodesy.area import ellipsoid
from geocloud.jobs.model import Input, Output, Process, Results
from geocloud.jobs.places import POINT_SCHEMA
from geocloud.jobs.run import Run
from geocloud.rasters.read import Piece, read_piece
from geocloud.rasters.registry import Raster, find_raster
from geocloud.sectors.water.common import DATETIME, invalid
from geocloud.sectors.water.exposed import DISTRICTS, exposed
from geocloud.sectors.water.flood import Extent, flood
from geocloud.sectors.water.inundate_ask import level_of, seed_of

__all__ = ["BOUNDS_M", "PROCESS", "RADIUS_MAX_M", "inundate"]

BOUNDS_M = (0.0, 0.5, 1.0, 2.0, 3.0)
"""Depths between the classes where none are named; this project's own."""
RADIUS_MAX_M = 100_000


def inundate(run: Run, inputs: dict[str, Any]) -> tuple[dict[str, Any], Extent, Piece]:
    """The document of a flood, its extent, and the piece of the raster it was found on.

    The surface is level: what a river's slope, the time a flood lasts, and dikes narrower than a cell do is not in it.
    """
    raster = find_raster(run.settings.rasters_folder, inputs["raster"])
    if raster.about.quantity != "elevation" or raster.about.unit != "m":
        raise invalid(
            "raster", f"`{raster.name}` is {raster.about.quantity} in {raster.about.unit}, no heights in metres.",
            f"栅格 {raster.name} 不是以米为单位的高程。", "Name an elevation model.", "请选择高程栅格。",
        )  # fmt: skip
    seed, place, above, level = seed_of(run, inputs)
    level, about_level = level_of(raster, level, above, inputs)
    run.progress(0.1, "读取高程", "Reading heights")
    centre = shapely.get_coordinates(shapely.centroid(seed))[0]
    around = _around(seed, inputs["radius_m"])
    piece = read_piece(raster, tuple(shapely.bounds(around)), run.settings.rasters.raster_cells_max)
    seeds = _seed_cells(piece, seed, place)
    within = rasterio.features.geometry_mask(
        [piece.own(around)], piece.values.shape, piece.transform, invert=True, all_touched=True
    )
    run.progress(0.3, "计算淹没范围", "Finding what is under water")
    found = flood(piece, level, seeds, within, sorted(inputs["depths_m"]) or BOUNDS_M, inputs["connectivity"])
    ground = [piece.values[r, c] for r, c in seeds if np.isfinite(piece.values[r, c])]
    document = {
        "verdict": "flooded" if found.wet.any() else "dry",
        "raster": _about(raster, piece, float(centre[1])),
        "level": about_level,
        "seed": {**place, "cells": len(seeds), "ground_m": round(float(min(ground)), 3)},
        "radius_m": inputs["radius_m"],
        "connectivity": inputs["connectivity"],
        **_measures(found, piece),
        "limits": {
            "cells_without_height": int((~np.isfinite(piece.values) & within).sum()),
            "flooded_beside_no_height": found.beside_nothing,
            "reaches_edge_of_raster": found.at_edge,
            "cut_by_radius": found.at_rim,
        },
        "depth_classes": [
            {"from_m": low, "to_m": high, "area_m2": round(m2, 1)} for low, high, _, m2 in found.classes
        ],
        "synthetic": raster.about.synthetic,
    }  # fmt: skip
    return document, found, piece


def _measures(found: Extent, piece: Piece) -> dict[str, Any]:
    depths = found.depth[found.wet]
    area = found.area_m2
    weight = np.ones(len(depths))
    if piece.crs.is_geographic:
        rows = np.nonzero(found.wet)[0]
        weight = np.cos(np.radians(piece.transform.f + piece.transform.e * (rows + 0.5)))
    mean = float(np.average(depths, weights=weight)) if len(depths) else 0.0
    return {
        "cells": len(depths), "area_m2": round(area, 1),
        "depth_max_m": round(float(depths.max()), 3) if len(depths) else 0.0,
        "depth_mean_m": round(mean, 3), "volume_m3": round(mean * area, 1),
    }  # fmt: skip


def _about(raster: Raster, piece: Piece, lat: float) -> dict[str, Any]:
    wide, high = piece.cell
    if piece.crs.is_geographic:
        geod = ellipsoid()
        wide, high = (
            geod.inv(0, lat, wide, lat)[2], geod.inv(0, lat - high / 2, 0, lat + high / 2)[2],
        )  # fmt: skip
    return {
        "name": raster.name, "title": raster.about.title.model_dump(), "datum": raster.about.datum,
        "source": raster.about.source, "date": raster.about.date and raster.about.date.isoformat(),
        "crs": piece.crs.to_string() if piece.crs.to_authority() is None else ":".join(piece.crs.to_authority()),
        "cell_m": [round(float(wide), 1), round(float(high), 1)], "cells_read": piece.values.size,
        # Dikes, roads and ditches are lost in cells much wider than they are.
        "coarse": bool(max(wide, high) > COARSE_M),
    }  # fmt: skip


COARSE_M = 100.0
"""Cells wider than this are said to be coarse: dikes and streets are not in them."""


def _around(seed: Any, radius_m: float) -> Any:
    """The ground within so many metres of the seed, EPSG:4490; a buffer in a plane about its middle."""
    lon, lat = shapely.get_coordinates(shapely.centroid(seed))[0]
    local = pyproj.Transformer.from_crs(
        "EPSG:4490", f"+proj=aeqd +lat_0={lat} +lon_0={lon} +ellps=GRS80 +units=m", always_xy=True
    )
    flat = shapely.transform(seed, lambda p: np.column_stack(local.transform(p[:, 0], p[:, 1])))
    grown = shapely.buffer(flat, radius_m, quad_segs=32)
    return shapely.transform(grown, lambda p: np.column_stack(local.transform(p[:, 0], p[:, 1], direction="INVERSE")))


def _seed_cells(piece: Piece, seed: Any, place: dict[str, Any]) -> Any:
    """Rows and columns of the seed; InvalidParameter where it is outside or nothing is known there."""
    by = place["by"]
    if shapely.get_dimensions(seed) == 0:
        cells = piece.cells_of(shapely.get_coordinates(seed))
        cells = cells[piece.inside(cells)]
    else:
        mask = rasterio.features.geometry_mask(
            [piece.own(seed)], piece.values.shape, piece.transform, invert=True, all_touched=True
        )
        cells = np.argwhere(mask)
    if not len(cells):
        raise invalid(
            by, f"`{by}` lies outside the raster `{piece.raster.name}`.",
            f"{by} 不在栅格 {piece.raster.name} 的范围内。",
            "Choose a raster that covers it.", "请选择覆盖该处的栅格。",
        )  # fmt: skip
    if not np.isfinite(piece.values[cells[:, 0], cells[:, 1]]).any():
        raise invalid(
            by, f"The raster `{piece.raster.name}` knows no height at `{by}`.",
            f"栅格 {piece.raster.name} 在 {by} 处没有高程值。", "Choose another place or raster.", "请更换位置或栅格。",
        )  # fmt: skip
    return cells


def _features(document: dict[str, Any], found: Extent) -> dict[str, Any]:
    features = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(shape),
            "properties": {"from_m": low, "to_m": high, "area_m2": round(m2, 1), "level": document["level"]["given_m"]},
        }
        for low, high, shape, m2 in found.classes
    ]
    return {"type": "FeatureCollection", "synthetic": document["synthetic"], "features": features}


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    document, found, piece = inundate(run, inputs)
    out: dict[str, Any] = {"flood": document}
    if "extent" in wanted:
        out["extent"] = _features(document, found)
    if "exposed" in wanted:
        run.progress(0.6, "统计受影响对象", "Counting who and what is inside")

        def depth_at(lon: float, lat: float) -> float | None:
            cell = piece.cells_of(np.array([[lon, lat]]))
            return float(found.depth[tuple(cell[0])]) if piece.inside(cell)[0] else None

        out["exposed"] = exposed(run, found.shape, depth_at, inputs["districts"]) if found.wet.any() else {}
    return out


PROCESS = Process(
    id="inundate",
    version="1.0.0",
    title=Text(zh="淹没分析", en="Flooded ground"),
    description=Text(
        zh="给定水位(注明基面)与来水位置(点、河流或测站),在登记的高程栅格上求与来水处连通、低于水位的范围:按水深分级的面、"
        "椭球面积、最大与平均水深,以及受影响的人口、建筑、学校、医院、避难场所和道路。水面按水平计,不含河道比降与洪水过程。",
        en="Ground below a level (its datum told) that is joined to where the water comes from, over a registered "
        "elevation model: areas by depth, area on the ellipsoid, greatest and mean depth, and persons, buildings, "
        "schools, hospitals, shelters and roads in it. The surface is level: slopes of rivers and the course of a "
        "flood are not in it.",
    ),
    inputs=(
        Input("raster", Text(zh="高程栅格名称", en="Name of the elevation model"),
              {"type": "string", "maxLength": 60, "examples": ["demo_dem"]},
              Text(zh="栅格目录中的名称", en="Its name in the folder of rasters"), required=True),
        Input("level_m", Text(zh="水位(米)", en="Level in metres"),
              {"type": "number", "minimum": -500, "maximum": 9_000},
              Text(zh="给出测站时可不填,取其最近读数", en="With a station its newest reading is taken if unset")),
        Input("datum", Text(zh="水位基面", en="Datum of the level"),
              {"type": "string", "maxLength": 80, "examples": ["1985 国家高程基准", "raster"]},
              Text(zh="如 1985 国家高程基准;raster 为与栅格相同;给出测站时不填为测站基面",
                   en="Such as 1985 国家高程基准; `raster` as in the raster; with a station its own if unset")),
        Input("point", Text(zh="来水点", en="Where the water comes from"), POINT_SCHEMA),
        Input("river", Text(zh="来水河流名称", en="River the water comes from"), {"type": "string", "maxLength": 200}),
        Input("station", Text(zh="来水测站编码", en="Station the water comes from"),
              {"type": "string", "maxLength": 64}),
        DATETIME,
        Input("radius_m", Text(zh="范围半径(米)", en="Radius in metres"),
              {"type": "number", "minimum": 100, "maximum": RADIUS_MAX_M, "default": 5_000},
              Text(zh="水平水面只在来水处附近有意义", en="A level surface means something near the seed alone")),
        Input("connectivity", Text(zh="连通方式", en="Connectivity"), {"type": "integer", "enum": [4, 8], "default": 4},
              Text(zh="4:经边相连;8:经角也相连", en="4: over sides; 8: over corners too")),
        Input("depths_m", Text(zh="水深分级(米)", en="Bounds of the depth classes, metres"),
              {"type": "array", "prefixItems": [{"const": 0}], "items": {"type": "number", "exclusiveMinimum": 0},
               "uniqueItems": True, "maxItems": 20, "default": []},
              Text(zh="首项为 0,递增", en="The first is 0, ascending")),
        Input("districts", Text(zh="人口分区图层", en="Districts of persons"),
              {"type": "string", "enum": list(DISTRICTS), "default": "base.village"}),
    ),
    outputs=(
        Output("flood", Text(zh="淹没结果", en="Result")),
        Output("extent", Text(zh="淹没范围(GeoJSON)", en="Extent as GeoJSON")),
        Output("exposed", Text(zh="受影响对象", en="Who and what is inside")),
    ),
    run=_run,
    keywords=("水利", "淹没", "洪水"),
)  # fmt: skip
