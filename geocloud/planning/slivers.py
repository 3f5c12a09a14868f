# SPDX-License-Identifier: Apache-2.0
"""Slivers of sloppy digitising told apart from real differences (碎片图斑与真实差异): width, area, shape, border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.geodesy.straight import straight_areas

__all__ = ["KINDS", "Measured", "Reach", "apart", "inner", "measure", "reach_of", "sliver_kinds"]

# Codes of the list sliver_kind; "none" is a real difference.
KINDS = ("none", "rounding", "small", "edge_offset", "narrow")
# Width in metres that two roundings to 1e-7 degrees make at most.
_ROUNDING_M = 0.025
# A disc wider than twice the tolerance fits into what is no sliver, however long its tail is.
_CORE = 2.0
# Part of the tolerance further than which a place lies within a shape, not along its border: half, less a thousandth.
_DEPTH = 0.999 / 2


@dataclass(frozen=True, slots=True)
class Measured:
    """Area on the ellipsoid (m2), length of the outline (m) and mean width (m), one value a piece."""

    area_m2: NDArray[np.float64]
    outline_m: NDArray[np.float64]

    @property
    def width_m(self) -> NDArray[np.float64]:
        """Twice the area by the outline: the width of a strip, half of that of a square."""
        out = np.zeros(len(self.area_m2))
        np.divide(2 * self.area_m2, self.outline_m, out=out, where=self.outline_m > 0)
        return out


def measure(pieces: NDArray[Any]) -> Measured:
    """Polygons in EPSG:4490, x = longitude."""
    return Measured(straight_areas(pieces), shapely.length(_plane(pieces)))


def sliver_kinds(
    pieces: NDArray[Any], measured: Measured, tolerance_m: float, least_m2: float, a: NDArray[Any], b: NDArray[Any]
) -> NDArray[np.int64]:
    """Number in KINDS of each piece; `a` and `b` are the features that meet in it.

    A piece is real when it is on average wider than the tolerance, or has a core wider than twice that, and is no
    smaller than the least area.
    """
    width = measured.width_m
    kind = np.zeros(len(pieces), dtype=np.int64)
    thin = width <= tolerance_m
    # A core needs the area of its disc: most slivers have not even that.
    room = thin & (measured.area_m2 > np.pi * (_CORE * tolerance_m / 2) ** 2) & (width > tolerance_m / 8)
    if room.any():
        core = shapely.buffer(_plane(pieces[room]), -_CORE * tolerance_m / 2, quad_segs=2)
        thin[np.flatnonzero(room)[~shapely.is_empty(core)]] = False
    kind[~thin & (measured.area_m2 < least_m2)] = KINDS.index("small")
    kind[thin] = KINDS.index("narrow")
    at = np.flatnonzero(thin)
    if len(at):
        kind[at[_along_both(pieces[at], a[at], b[at], tolerance_m)]] = KINDS.index("edge_offset")
    kind[width <= _ROUNDING_M] = KINDS.index("rounding")
    return kind


@dataclass(frozen=True, slots=True)
class Reach:
    """How far shapes reach: least and greatest longitude, latitude, sum and difference of the two, and what a metre
    makes at most of each of these (degrees); four rows, one column a shape."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    metre: NDArray[np.float64]


def reach_of(shapes: NDArray[Any]) -> Reach:
    """The reach of shapes in EPSG:4490; NaN for empty ones."""
    points, of = shapely.get_coordinates(shapes, return_index=True)
    starts = np.flatnonzero(np.r_[True, of[1:] != of[:-1]]) if len(of) else np.empty(0, dtype=np.int64)
    low, high = np.full((4, len(shapes)), np.nan), np.full((4, len(shapes)), np.nan)
    for n, values in enumerate((points[:, 0], points[:, 1], points[:, 0] + points[:, 1], points[:, 0] - points[:, 1])):
        if len(starts):
            low[n, of[starts]], high[n, of[starts]] = (
                np.minimum.reduceat(values, starts),
                np.maximum.reduceat(values, starts),
            )
    east, north = _metres_per_degree((low[1] + high[1]) / 2)
    return Reach(
        low, high, np.stack([1 / east, 1 / north, np.hypot(1 / east, 1 / north), np.hypot(1 / east, 1 / north)])
    )


def apart(a: Reach, b: Reach, i: NDArray[np.int64], k: NDArray[np.int64], tolerance_m: float) -> NDArray[np.bool_]:
    """Pairs of which nothing lies further within the first one than half the tolerance, as their reach shows.

    A disc within a shape leaves its radius to each of the eight sides; see `inner` for what that says.
    """
    out = np.zeros(len(i), dtype=bool)
    for n in range(len(a.low)):
        far = _DEPTH * tolerance_m * a.metre[n]
        out |= (a.low[n] + far)[i] > b.high[n][k]
        out |= (a.high[n] - far)[i] < b.low[n][k]
    return out


def inner(shapes: NDArray[Any], tolerance_m: float) -> NDArray[Any]:
    """What of each shape lies further than half the tolerance from its border, or nearly so, never less.

    Whatever is cut out of a shape and touches nothing of that is a sliver by `sliver_kinds`: no disc fits into it whose
    radius is more than half the tolerance, and the area of a region is at most its outline times the radius of the
    largest disc in it, so that it is on average no wider than the tolerance.
    """
    flat, scale = _scaled(shapes)
    # Arcs are drawn by chords, which keeps too much rather than too little; so does the last thousandth.
    cores = shapely.buffer(flat, -_DEPTH * tolerance_m, quad_segs=2)
    points, of = shapely.get_coordinates(cores, return_index=True)
    return np.asarray(shapely.set_coordinates(cores, points / scale[of]))


def _along_both(pieces: NDArray[Any], a: NDArray[Any], b: NDArray[Any], tolerance_m: float) -> NDArray[np.bool_]:
    """Pieces whose every corner lies within the tolerance of both features' borders: one border drawn twice."""
    points, of = shapely.get_coordinates(pieces, return_index=True)
    corners = shapely.points(points)
    scale = np.cos(np.radians(points[:, 1]))
    # Degrees of latitude are the longer ones: nothing is called near that is not.
    reach = tolerance_m * 1.01 / (111_000.0 * scale)
    far = np.zeros(len(pieces), dtype=bool)
    for feature in (a, b):
        outline = shapely.boundary(feature)
        shapely.prepare(outline)
        np.logical_or.at(far, of, ~shapely.dwithin(corners, outline[of], reach))
    return ~far


def _plane(pieces: NDArray[Any]) -> NDArray[Any]:
    """The shapes in metres, each true at its own latitude."""
    return _scaled(pieces)[0] if len(pieces) else pieces


def _scaled(shapes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The shapes in metres, and metres per degree of each, east and north."""
    flat, of = shapely.get_coordinates(shapes, return_index=True)
    middle = shapely.bounds(shapes)[:, [1, 3]].mean(axis=1)
    scale = np.column_stack(_metres_per_degree(middle))
    return np.asarray(shapely.set_coordinates(shapes.copy(), flat * scale[of])), scale


def _metres_per_degree(latitude: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Metres of a degree east and of one north, at latitudes in degrees."""
    at = np.radians(latitude)
    # Radii of curvature on the ellipsoid of GB 22021.
    e2 = 1 - (1 - 1 / 298.257222101) ** 2
    w = np.sqrt(1 - e2 * np.sin(at) ** 2)
    east = np.radians(1.0) * 6378137.0 * np.cos(at) / w
    return east, np.radians(1.0) * 6378137.0 * (1 - e2) / w**3
