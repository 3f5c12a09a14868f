# SPDX-License-Identifier: Apache-2.0
"""Ground under a level surface of water (淹没范围, bathtub with connectivity): cells below the level that are joined to
where the water comes from, as areas by depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray

from geocloud.geodesy.straight import straight_areas
from geocloud.rasters.read import Piece
from geocloud.sectors.water.common import polygons

__all__ = ["Extent", "flood", "joined"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_STEPS: dict[int, tuple[tuple[int, int], ...]] = {4: ((-1, 0), (0, -1), (0, 1), (1, 0))}
_STEPS[8] = (*_STEPS[4], (-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True)
class Extent:
    """Flooded ground: `wet[row, column]` with `depth` in metres, areas in EPSG:4490 by class of depth (`from_m`,
    `to_m`, shape, m2 on the ellipsoid), and what limits it: cells without a height beside it, the edge of the raster,
    the rim of the ground looked at."""

    wet: Mask
    depth: Floats
    classes: tuple[tuple[float, float | None, Any, float], ...]
    beside_nothing: int
    at_edge: bool
    at_rim: bool

    @property
    def area_m2(self) -> float:
        return sum(c[3] for c in self.classes)

    @property
    def shape(self) -> Any:
        return shapely.union_all(np.array([c[2] for c in self.classes], dtype=object))


def joined(low: Mask, seeds: NDArray[np.int64], connectivity: int) -> Mask:
    """The cells of `low` that are reached from the seeds, rows and columns, over sides (4) or over corners too (8)."""
    rows, columns = low.shape
    # A dry rim, so that no step leaves the array.
    open_ = np.zeros((rows + 2, columns + 2), dtype=bool)
    open_[1:-1, 1:-1] = low
    flat = open_.ravel()
    found = np.zeros(flat.shape, dtype=bool)
    steps = np.array([dr * (columns + 2) + dc for dr, dc in _STEPS[connectivity]])
    edge = (seeds[:, 0] + 1) * (columns + 2) + seeds[:, 1] + 1
    edge = np.unique(edge[flat[edge]])
    while len(edge):
        found[edge] = True
        near = (edge[:, None] + steps).ravel()
        edge = np.unique(near[flat[near] & ~found[near]])
    return found.reshape(open_.shape)[1:-1, 1:-1]


def flood(
    piece: Piece, level_m: float, seeds: NDArray[np.int64], within: Mask, bounds: Sequence[float], connectivity: int
) -> Extent:
    """What lies below a level and is joined to the seeds (rows and columns in the piece), not beyond `within`.

    `level_m` is in the raster's vertical datum; `bounds` are depths in m, ascending, the first 0, between the classes.
    """
    depth = level_m - piece.values
    known = np.isfinite(depth)
    wet = joined(known & (np.nan_to_num(depth, nan=-1.0) > 0) & within, seeds, connectivity)
    classes = []
    for low, high in zip(bounds, [*bounds[1:], None], strict=True):
        mine = wet & (depth > low) & (np.True_ if high is None else depth <= high)
        shape = _areas(piece, mine)
        if shape is not None:
            classes.append(
                (float(low), None if high is None else float(high), shape, float(straight_areas(np.array([shape]))[0]))
            )
    beside = _grown(wet) & ~wet
    rim, beyond = np.zeros_like(wet), np.zeros_like(wet)
    # Cells at the sides of the window: there the raster ends, or goes on unread.
    north, south, west, east = piece.edges
    for goes_on, side in ((north, np.s_[:1]), (south, np.s_[-1:]), (west, np.s_[:, :1]), (east, np.s_[:, -1:])):
        (beyond if goes_on else rim)[side] = True
    cut = beside & known & ~within & (np.nan_to_num(depth, nan=-1.0) > 0)
    return Extent(
        wet, np.where(wet, depth, 0.0), tuple(classes), int((beside & ~known & within).sum()), bool((wet & rim).any()),
        bool(cut.any() or (wet & beyond).any()),
    )  # fmt: skip


def _grown(mask: Mask) -> Mask:
    out = mask.copy()
    out[1:] |= mask[:-1]
    out[:-1] |= mask[1:]
    out[:, 1:] |= mask[:, :-1]
    out[:, :-1] |= mask[:, 1:]
    return out


def _areas(piece: Piece, mask: Mask) -> Any:
    """The outlines of cells as a multipolygon in EPSG:4490; None without any."""
    if not mask.any():
        return None
    found = rasterio.features.shapes(mask.astype(np.uint8), mask=mask, connectivity=4, transform=piece.transform)
    parts = np.array([shapely.geometry.shape(s) for s, _ in found], dtype=object)
    if not piece.crs.is_geographic:
        # Long straight edges of a projection are none in longitude and latitude.
        parts = shapely.segmentize(parts, 20 * max(piece.cell))
    return shapely.multipolygons(polygons(shapely.make_valid(piece.lonlat(parts))))
