# SPDX-License-Identifier: Apache-2.0
"""In which H3 and BeiDou cells features lie: that of a point, and that which holds all of a line or an area.

A cell is held to be convex, so a shape lies in it when all its corners do. A corner on an edge is in the cell that the
grid gives it to: H3 by its library, BeiDou (GB/T 39409-2020) the cell to its north and east.
"""

from __future__ import annotations

from typing import Any

import h3.api.numpy_int as h3
import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.grids import beidou_index
from geocloud.grids.h3cells import reach_degrees
from geocloud.grids.h3plane import cells_in_plane
from geocloud.overlay.zones import NONE
from geocloud.overlay.zonings import BEIDOU_LEVEL, H3_RESOLUTIONS

__all__ = ["cells_of_points", "cells_of_shapes", "h3_text"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def cells_of_points(x: Floats, y: Floats) -> list[Ints]:
    """Cells of points in degrees, one array for each H3 resolution and one of BeiDou indexes; NONE for NaN."""
    return [*_h3(x, y), beidou_index.from_points(x, y, BEIDOU_LEVEL)]


def cells_of_shapes(shapes: NDArray[Any]) -> list[Ints]:
    """The same for shapes (shapely, lon/lat, None and empty ones too); NONE where several cells are needed."""
    bounds = shapely.bounds(shapes)
    (whose,) = np.nonzero(_small(bounds, min(H3_RESOLUTIONS)))
    out = [np.full(len(shapes), NONE, np.int64) for _ in H3_RESOLUTIONS]
    corners, of = shapely.get_coordinates(shapes[whose], return_index=True)
    if len(of):
        starts = np.flatnonzero(np.concatenate([[True], of[1:] != of[:-1]]))
        for found, cell in zip(out, _h3(corners[:, 0], corners[:, 1]), strict=True):
            low, high = np.minimum.reduceat(cell, starts), np.maximum.reduceat(cell, starts)
            found[whose[of[starts]]] = np.where(low == high, low, NONE)
    first = beidou_index.from_points(bounds[:, 0], bounds[:, 1], BEIDOU_LEVEL)
    last = beidou_index.from_points(bounds[:, 2], bounds[:, 3], BEIDOU_LEVEL)
    return [*out, np.where(first == last, first, NONE)]


def h3_text(cells: Ints) -> list[str | None]:
    """H3 indexes as their usual text; None for NONE."""
    return [None if c == NONE else h3.int_to_str(c) for c in cells.tolist()]


def _h3(x: Floats, y: Floats) -> list[Ints]:
    """Cells in the order of H3_RESOLUTIONS."""
    fine, coarse = cells_in_plane(x, y, max(H3_RESOLUTIONS))
    return [np.where(c == 0, NONE, c.astype(np.int64)) for c in (coarse, fine)]


def _small(bounds: Floats, resolution: int) -> NDArray[np.bool_]:
    """Whether a shape can lie in a cell: its box is not wider or higher than twice the reach of one."""
    north = float(np.nanmax(np.abs(bounds[:, [1, 3]]), initial=0.0))
    lon, lat = reach_degrees(resolution, min(north, 89.0))
    with np.errstate(invalid="ignore"):
        fits = (bounds[:, 2] - bounds[:, 0] <= 2 * lon) & (bounds[:, 3] - bounds[:, 1] <= 2 * lat)
    return np.asarray(fits, bool)
