# SPDX-License-Identifier: Apache-2.0
"""Heights of the demo city, made up: a plain that falls to the north-east, with hollows and the beds of its rivers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import rasterio.features
import shapely
from rasterio.transform import from_origin

from geocloud.demo.facts import Floats, lonlat, plane
from geocloud.demo.land import Land, noise

__all__ = ["NAME", "clear_dem", "ground", "write_dem"]

NAME = "demo_dem"
_STEP = 0.002
_BED_M = 4.0
_ABOUT = """\
title: {zh: 合成示例高程(非真实数据), en: Synthetic demo heights (not real data)}
quantity: elevation
unit: m
datum: 1985 国家高程基准
source: Made by geocloud demo; heights are invented
licence: CC0-1.0
date: null
synthetic: true
"""


def ground(land: Land, x: Floats, y: Floats) -> Floats:
    """Heights in m of plane places, without the beds of rivers."""
    fall = 33.0 - (0.55 * np.asarray(x) + 0.84 * np.asarray(y)) / 9_000.0
    return np.asarray(fall + 1.4 * noise("relief", land.city, np.asarray(x), np.asarray(y), 7_000, 3))


def write_dem(folder: Path) -> Path:
    """Writes the heights of the first demo city as `demo_dem.tif` with its YAML, unless they are there; its path.

    Cells of 0.002 degrees, EPSG:4490; cells that a river touches lie four metres below their banks.
    """
    path = folder / f"{NAME}.tif"
    if path.exists() and path.with_suffix(".yaml").exists():
        return path
    from geocloud.demo.waters import Waters

    land = Land("small", 0)
    west, south, east, north = 115.24, 35.72, 116.58, 37.08
    columns, rows = round((east - west) / _STEP), round((north - south) / _STEP)
    lon = west + _STEP * (np.arange(columns) + 0.5)
    lat = north - _STEP * (np.arange(rows) + 0.5)
    x, y = plane(*(g.ravel() for g in np.meshgrid(lon, lat)))
    heights = ground(land, x, y).reshape(rows, columns)
    transform = from_origin(west, north, _STEP, _STEP)
    beds = [shapely.linestrings(lonlat(*r.line.T)) for r in Waters(land).rivers]
    wet = rasterio.features.geometry_mask(beds, heights.shape, transform, invert=True, all_touched=True)
    heights = np.round(heights - _BED_M * wet, 2).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with rasterio.open(
        part, "w", driver="GTiff", width=columns, height=rows, count=1, dtype="float32", crs="EPSG:4490",
        transform=transform, compress="deflate", predictor=3, tiled=True,
    ) as file:  # fmt: skip
        file.write(heights, 1)
    part.replace(path)
    path.with_suffix(".yaml").write_text(_ABOUT, encoding="utf-8")
    return path


def clear_dem(folder: Path) -> bool:
    """Takes the demo's heights out of the folder; whether they were there."""
    found = [p for p in (folder / f"{NAME}.tif", folder / f"{NAME}.yaml") if p.exists()]
    for path in found:
        path.unlink()
    return bool(found)
