# SPDX-License-Identifier: Apache-2.0
"""Cells of a raster within shapes, as they are or as slopes (分区统计、坡度)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from geocloud.geodesy.area import ellipsoid
from geocloud.rasters.read import Floats, Opened, opened, too_many
from geocloud.rasters.registry import Raster

__all__ = ["Cells", "Zones", "cells_within", "horn"]

_STORAGE = "EPSG:4490"
_GEOD = ellipsoid()
_Numbers = NDArray[np.int64]
# Columns and rows beyond are as good as nowhere; products of two still fit.
_FAR = 2**30


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of one shape: values of those that are known, and how many there are with those without data and those
    outside the raster (`outside`). `touched`: no cell has its middle in the shape, so they are those it touches."""

    known: Floats
    count: int
    outside: int
    touched: bool


@dataclass(frozen=True)
class Zones:
    """Cells by shape, the raster's coordinate system, and metres of a cell's width and height amid the shapes."""

    cells: list[Cells]
    crs: pyproj.CRS
    cell_m: tuple[float, float] | None


def cells_within(raster: Raster, shapes: NDArray[Any], cells_max: int, slope: bool = False) -> Zones:
    """Cells whose middle lies in each polygon (EPSG:4490), or that it touches where it holds no middle.

    With `slope`, values are slopes in degrees (see `horn`), known where a cell and its eight neighbours are; heights
    are metres. UnreadableFile as in `read_piece`; TooLarge where more than `cells_max` cells would be read in all.
    """
    with opened(raster) as file:
        to = pyproj.Transformer.from_crs(_STORAGE, file.crs, always_xy=True)
        own = shapely.transform(shapes, lambda p: np.column_stack(to.transform(p[:, 0], p[:, 1])))
        found = np.isfinite(shapely.bounds(own)).all(axis=1)
        places = np.flatnonzero(found)
        frames = _frames(file, shapely.bounds(own[places]))
        grab = _reader(file, frames, int(slope), cells_max)
        out = [Cells(np.empty(0), 0, 0, False)] * len(shapes)
        for i, frame in zip(places.tolist(), frames.tolist(), strict=True):
            out[i] = _cells(file, own[i], frame, grab, to if slope else None)
        if not len(places):
            return Zones(out, file.crs, None)
        middle = (frames[:, :2].min(axis=0) + frames[:, 2:].max(axis=0)) // 2
        column, row = (int(np.clip(v, 0, n - 1)) for v, n in zip(middle, file.size, strict=True))
        wide, high = _metres(file, to, column, np.array([row]))
        return Zones(out, file.crs, (float(wide[0]), float(high[0])))


def horn(heights: Floats, wide_m: Floats, high_m: Floats) -> Floats:
    """Slopes in degrees of the inner cells of heights in metres, rows from north to south; NaN where one of the nine
    is. `wide_m` and `high_m` are a cell's metres, by inner row.

    Third-order finite differences, weighted 1, 2, 1: B. K. P. Horn, Hill shading and the reflectance map, Proceedings
    of the IEEE 69 (1981), 14-47.
    """
    z = heights
    east = z[:-2, 2:] + 2 * z[1:-1, 2:] + z[2:, 2:]
    west = z[:-2, :-2] + 2 * z[1:-1, :-2] + z[2:, :-2]
    north = z[:-2, :-2] + 2 * z[:-2, 1:-1] + z[:-2, 2:]
    south = z[2:, :-2] + 2 * z[2:, 1:-1] + z[2:, 2:]
    rise = np.hypot((east - west) / (8 * wide_m[:, None]), (north - south) / (8 * high_m[:, None]))
    # The middle has no weight; what is unknown there stays so.
    return np.asarray(np.degrees(np.arctan(rise)) + 0 * z[1:-1, 1:-1])


def _frames(file: Opened, bounds: Floats) -> _Numbers:
    """Columns and rows (west, north, east, south; the last two not in it) around boxes; they may lie outside."""
    t = file.transform
    first = np.floor(np.column_stack(((bounds[:, 0] - t.c) / t.a, (bounds[:, 3] - t.f) / t.e)))
    last = np.floor(np.column_stack(((bounds[:, 2] - t.c) / t.a, (bounds[:, 1] - t.f) / t.e))) + 1
    return np.asarray(np.clip(np.column_stack((first, last)), -_FAR, _FAR).astype(np.int64))


def _reader(file: Opened, frames: _Numbers, ring: int, cells_max: int) -> Callable[[list[int]], Floats]:
    """What gives the values of a frame with a ring of cells around it, NaN outside: out of one window around all of
    them, or one by one where that is less."""
    grown = frames + np.array([-ring, -ring, ring, ring])
    columns, rows = file.size
    held = np.clip(grown, 0, [columns, rows, columns, rows])
    sizes = np.prod(held[:, 2:] - held[:, :2], axis=1)
    # What a shape needs by itself counts where it lies outside, too.
    most = int(np.prod(grown[:, 2:] - grown[:, :2], axis=1).max(initial=0))
    held = held[sizes > 0]
    box = [*held[:, :2].min(axis=0).tolist(), *held[:, 2:].max(axis=0).tolist()] if len(held) else [0, 0, 0, 0]
    whole = (box[2] - box[0]) * (box[3] - box[1])
    needed = max(most, min(whole, int(sizes.sum())))
    if needed > cells_max:
        raise too_many(file.raster, needed, cells_max)
    kept = file.read(*box).values if 0 < whole <= cells_max else None

    def grab(frame: list[int]) -> Floats:
        w, n, e, s = frame[0] - ring, frame[1] - ring, frame[2] + ring, frame[3] + ring
        a, b, c, d = max(w, 0), max(n, 0), min(e, columns), min(s, rows)
        out = np.full((s - n, e - w), np.nan)
        if a < c and b < d:
            values = (
                file.read(a, b, c, d).values if kept is None else kept[b - box[1] : d - box[1], a - box[0] : c - box[0]]
            )
            out[b - n : d - n, a - w : c - w] = values
        return out

    return grab


def _cells(
    file: Opened, shape: Any, frame: list[int], grab: Callable[[list[int]], Floats], to: pyproj.Transformer | None
) -> Cells:
    west, north, east, south = frame
    values = grab(frame)
    if to is not None:
        wide, high = _metres(file, to, (west + east) // 2, np.arange(north, south))
        values = horn(values, wide, high)
    t = file.transform
    x = t.c + t.a * (np.arange(west, east) + 0.5)
    y = t.f + t.e * (np.arange(north, south) + 0.5)
    shapely.prepare(shape)
    mask = shapely.intersects_xy(shape, *np.meshgrid(x, y))
    touched = not mask.any()
    if touched and mask.size:
        middle_x, middle_y = np.meshgrid(x, y)
        boxes = shapely.box(middle_x - t.a / 2, middle_y + t.e / 2, middle_x + t.a / 2, middle_y - t.e / 2)
        mask = shapely.intersects(shape, boxes) & ~shapely.touches(shape, boxes)
    columns, rows = file.size
    at_row, at_column = np.nonzero(mask)
    at_row, at_column = at_row + north, at_column + west
    outside = (at_row < 0) | (at_row >= rows) | (at_column < 0) | (at_column >= columns)
    found = values[mask]
    return Cells(found[np.isfinite(found)], len(found), int(outside.sum()), touched)


def _metres(file: Opened, to: pyproj.Transformer, column: int, rows: _Numbers) -> tuple[Floats, Floats]:
    """Width and height in metres on the ellipsoid of the cells of a column, whatever the coordinate system is."""
    t = file.transform
    x, y = t.c + t.a * (column + 0.5), t.f + t.e * (rows + 0.5)
    dx, dy, none = np.full(len(rows), t.a / 2), np.full(len(rows), t.e / 2), np.zeros(len(rows))
    # West, east, north and south of each middle.
    sides = np.concatenate((-dx, dx, none, none)), np.concatenate((none, none, -dy, dy))
    lon, lat = (np.split(v, 4) for v in to.transform(x + sides[0], np.tile(y, 4) + sides[1], direction="INVERSE"))
    wide = _GEOD.inv(lon[0], lat[0], lon[1], lat[1])[2]
    high = _GEOD.inv(lon[2], lat[2], lon[3], lat[3])[2]
    return np.asarray(wide), np.asarray(high)
