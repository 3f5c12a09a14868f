# SPDX-License-Identifier: Apache-2.0
"""Areas by BeiDou grid cells: the cells of an area at a level or at several, and the cells around one.

Areas are polygons of EPSG:4490, longitude before latitude, in degrees, edges straight in degrees; cells are indexes of
`beidou_index`. A cell belongs to an area when they share some of their inside: cells that only touch its edge do not,
so that the cover of a cell's own outline is that cell.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geocloud.errors import InvalidParameter, TooLarge
from geocloud.grids import beidou, beidou_index
from geocloud.grids.beidou import COLUMNS, HEIGHTS, ROWS, UNITS_PER_DEGREE, WIDTHS

__all__ = ["compact", "cover", "cover_box", "meets_box", "neighbours", "outlines", "spread"]

Ints = NDArray[np.int64]
_AREAL = ("Polygon", "MultiPolygon")
# Levels are taken one after the other, until the area is this many cells wide at most.
_BEGIN_CELLS = 64


def outlines(index: ArrayLike) -> NDArray[np.object_]:
    """The cells as polygons in degrees, counter-clockwise; cells side by side have the very same corners."""
    west, south, east, north = (v / UNITS_PER_DEGREE for v in beidou_index.bounds(index))
    return np.asarray(shapely.box(west, south, east, north), dtype=object)


def cover(area: shapely.Geometry, level: int, *, mixed: bool = False, most: int = 1_000_000) -> Ints:
    """The cells of a level that share some of the inside of a polygon, ascending; together they cover it.

    `mixed`: the fewest cells of this level and coarser ones that cover the very same place. Raises InvalidParameter for
    what is no valid polygon or reaches where there are no codes, TooLarge where more than `most` cells of the level
    are needed.
    """
    beidou.check_level(level)
    if area.geom_type not in _AREAL or not area.is_valid:
        raise InvalidParameter(
            f"Only the cells of a valid polygon can be told, not of this {area.geom_type}.",
            f"只能求有效面的网格,不支持此图形({area.geom_type})。",
            todo_en="Repair it, or give a polygon.", todo_zh="请先修复图形,或改用面。", parameter="area",
        )  # fmt: skip
    if area.is_empty:
        return np.zeros(0, np.int64)
    west, south, east, north = area.bounds
    _check(west, south, east, north)
    shapely.prepare(area)
    begin = _begin(west, south, east, north, level)
    some, whole = _boxed(west, south, east, north, begin), []
    count = 0
    for n in range(begin, level + 1):
        if n > begin:
            some = _children(some, n)
        shapes = outlines(some)
        touched = shapely.intersects(area, shapes)
        some, shapes = some[touched], shapes[touched]
        inside = shapely.contains_properly(area, shapes) | shapely.covers(area, shapes)
        full = some[inside]
        whole.append(full)
        some = some[~inside & ~shapely.touches(area, shapes)]
        count += len(full) * _within(n, level)
        if count + len(some) > most:
            raise _too_many(most, level)
    found = np.concatenate([*whole, some])
    return compact(found) if mixed else spread(found, level)


def cover_box(west: float, south: float, east: float, north: float, level: int, *, most: int = 1_000_000) -> Ints:
    """The cells of a level that share some of the inside of a box in degrees, or hold it where it has none; ascending.

    Raises InvalidParameter where there are no codes or west is greater than east, TooLarge beyond `most` cells.
    """
    beidou.check_level(level)
    _check(west, south, east, north)
    across, up = _span(west, east, WIDTHS[level]), _span(south, north, HEIGHTS[level])
    if len(across) * len(up) > most:
        raise _too_many(most, level)
    return _boxed(west, south, east, north, level)


def meets_box(index: ArrayLike, west: float, south: float, east: float, north: float) -> NDArray[np.bool_]:
    """Which cells `cover_box` would give for the box at their level."""
    column, row, level = beidou_index.to_columns(index)
    out = np.zeros(column.shape, bool)
    for n in np.unique(level[level > 0]).tolist():
        across, up = _span(west, east, WIDTHS[n]), _span(south, north, HEIGHTS[n])
        here = (column >= across.start) & (column < across.stop) & (row >= up.start) & (row < up.stop)
        out |= (level == n) & here
    return out


def compact(index: ArrayLike) -> Ints:
    """The fewest cells that cover the very same place: cells within others go, whole families become their parent."""
    found = np.unique(np.asarray(index, np.int64))
    found = found[found >= 0]
    own = beidou_index.levels(found)
    for n in range(1, 10):
        coarse = found[own == n]
        finer = own > n
        if not len(coarse) or not finer.any():
            continue
        keep = np.ones(len(found), bool)
        keep[finer] = ~np.isin(beidou_index.parents(found[finer], n), coarse)
        found, own = found[keep], own[keep]
    for n in range(10, 1, -1):
        here = own == n
        family, size = np.unique(beidou_index.parents(found[here], n - 1), return_counts=True)
        full = family[size == COLUMNS[n] * ROWS[n]]
        if not len(full):
            continue
        gone = here.copy()
        gone[here] = np.isin(beidou_index.parents(found[here], n - 1), full)
        found = np.sort(np.concatenate([found[~gone], full]))
        own = beidou_index.levels(found)
    return found


def spread(index: ArrayLike, level: int) -> Ints:
    """The cells of a level within those given, ascending, each once; those finer than the level become their parent."""
    given = np.unique(np.asarray(index, np.int64))
    given = given[given >= 0]
    own = beidou_index.levels(given)
    parts = [beidou_index.parents(given[own >= level], level)]
    for n in range(1, level):
        some = given[own == n]
        if len(some):
            step = _within(n, level)
            begin = beidou_index.FIRST[level] + (some - beidou_index.FIRST[n]) * step
            parts.append((begin[:, None] + np.arange(step)).reshape(-1))
    return np.unique(np.concatenate(parts))


def neighbours(index: int) -> list[int]:
    """The cells of the same level around a cell, from the north-west row by row: eight, five along the last row before
    88 degrees; across 180 degrees, the equator and the prime meridian as anywhere else."""
    column, row, level = (int(v) for v in beidou_index.to_columns(index))
    near = [(column + x, row + y) for y in (1, 0, -1) for x in (-1, 0, 1) if x or y]
    found = beidou_index.from_columns([c for c, _ in near], [r for _, r in near], level)
    return list(dict.fromkeys(i for i in found.tolist() if i >= 0))


def _children(index: Ints, level: int) -> Ints:
    step = COLUMNS[level] * ROWS[level]
    begin = beidou_index.FIRST[level] + (index - beidou_index.FIRST[level - 1]) * step
    return np.asarray((begin[:, None] + np.arange(step)).reshape(-1))


def _within(upper: int, lower: int) -> int:
    count = 1
    for n in range(upper + 1, lower + 1):
        count *= COLUMNS[n] * ROWS[n]
    return count


def _span(low: float, high: float, size: int) -> range:
    """Columns or rows that share some of the inside of a stretch of degrees."""
    first, last = (float(v) * UNITS_PER_DEGREE / size for v in (low, high))
    begin = int(np.floor(first))
    # An end on the line between two cells belongs to the one before; degrees of cells come out of the same division.
    end = int(np.ceil(last))
    if end > begin + 1 and (end - 1) * size / UNITS_PER_DEGREE >= high:
        end -= 1
    if end > begin + 1 and (begin + 1) * size / UNITS_PER_DEGREE <= low:
        begin += 1
    return range(begin, max(end, begin + 1))


def _boxed(west: float, south: float, east: float, north: float, level: int) -> Ints:
    across, up = _span(west, east, WIDTHS[level]), _span(south, north, HEIGHTS[level])
    columns, rows = np.meshgrid(np.asarray(across, np.int64), np.asarray(up, np.int64))
    # A box that ends at 180 degrees ends there.
    half = 180 * UNITS_PER_DEGREE // WIDTHS[level]
    columns = np.clip(columns, -half, half - 1)
    return np.unique(beidou_index.from_columns(columns.reshape(-1), rows.reshape(-1), level))


def _begin(west: float, south: float, east: float, north: float, level: int) -> int:
    for n in range(level, 1, -1):
        if max(east - west, north - south) * UNITS_PER_DEGREE / HEIGHTS[n] <= _BEGIN_CELLS:
            return n
    return 1


def _check(west: float, south: float, east: float, north: float) -> None:
    if not (-180 <= west <= east <= 180):
        raise InvalidParameter(
            f"Longitudes {west:.7g} to {east:.7g} are none of -180 to 180 from west to east.",
            f"经度 {west:.7g} 至 {east:.7g} 不在 -180 至 180 之间,或西大于东。",
            todo_en="Cut an area at 180 degrees in two.", todo_zh="跨 180° 的范围请分成两块。", parameter="bbox",
        )  # fmt: skip
    if not (-beidou.LATITUDE_END <= south <= north <= beidou.LATITUDE_END):
        raise beidou.at_a_pole(west, south if south < -beidou.LATITUDE_END else north)


def _too_many(most: int, level: int) -> TooLarge:
    return TooLarge(
        f"More than {most:,} cells of level {level} are needed.",
        f"第 {level} 级需要的网格超过 {most:,} 个。",
        todo_en="Choose a coarser level or a smaller area.", todo_zh="请选较粗的级别或缩小范围。",
        maximum=most, level=level,
    )  # fmt: skip
