# SPDX-License-Identifier: Apache-2.0
"""In which H3 and BeiDou cells features lie: that of a point, and that which holds all of a line or an area.

A cell is held to be convex, so a shape lies in it when all its corners do. A corner on an edge is in the cell that the
grid gives it to: H3 by its library, BeiDou (GB/T 39409-2020) the cell to its north and east.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import h3
import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.grids import beidou_index
from geocloud.grids.h3cells import cells_of, reach_degrees
from geocloud.overlay.zones import NONE
from geocloud.overlay.zonings import BEIDOU_LEVEL, H3_RESOLUTIONS

__all__ = ["cells_of_points", "cells_of_shapes", "h3_text"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Cells = Callable[[Floats, Floats], Ints]


def cells_of_points(x: Floats, y: Floats) -> list[Ints]:
    """Cells of points in degrees, one array for each H3 resolution and one of BeiDou indexes; NONE for NaN."""
    return [*(_h3(x, y, r) for r in H3_RESOLUTIONS), beidou_index.from_points(x, y, BEIDOU_LEVEL)]


def cells_of_shapes(shapes: NDArray[Any]) -> list[Ints]:
    """The same for shapes (shapely, lon/lat, None and empty ones too); NONE where several cells are needed."""
    bounds = shapely.bounds(shapes)
    corners, of = shapely.get_coordinates(shapes, return_index=True)
    out = []
    for resolution in H3_RESOLUTIONS:
        small = _small(bounds, resolution)
        out.append(_shared(small, corners, of, partial(_h3, resolution=resolution)))
    first = beidou_index.from_points(bounds[:, 0], bounds[:, 1], BEIDOU_LEVEL)
    last = beidou_index.from_points(bounds[:, 2], bounds[:, 3], BEIDOU_LEVEL)
    return [*out, np.where(first == last, first, NONE)]


def _h3(x: Floats, y: Floats, resolution: int) -> Ints:
    cells = cells_of(x, y, resolution).astype(np.int64)
    return np.where(cells == 0, NONE, cells)


def _small(bounds: Floats, resolution: int) -> NDArray[np.bool_]:
    """Whether a shape can lie in a cell: its box is not wider or higher than twice the reach of one."""
    north = float(np.nanmax(np.abs(bounds[:, [1, 3]]), initial=0.0))
    lon, lat = reach_degrees(resolution, min(north, 89.0))
    with np.errstate(invalid="ignore"):
        fits = (bounds[:, 2] - bounds[:, 0] <= 2 * lon) & (bounds[:, 3] - bounds[:, 1] <= 2 * lat)
    return np.asarray(fits, bool)


def _shared(small: NDArray[np.bool_], corners: Floats, of: Ints, cells: Cells) -> Ints:
    """The cell that all corners of a shape lie in, for those that are small."""
    found = np.full(len(small), NONE, np.int64)
    picked = small[of]
    corners, of = corners[picked], of[picked]
    if not len(of):
        return found
    cell = cells(corners[:, 0], corners[:, 1])
    starts = np.flatnonzero(np.concatenate([[True], of[1:] != of[:-1]]))
    low, high = np.minimum.reduceat(cell, starts), np.maximum.reduceat(cell, starts)
    found[of[starts]] = np.where(low == high, low, NONE)
    return found


def h3_text(cells: Ints) -> list[str | None]:
    """H3 indexes as their usual text; None for NONE."""
    return [None if c == NONE else h3.int_to_str(c) for c in cells.tolist()]
