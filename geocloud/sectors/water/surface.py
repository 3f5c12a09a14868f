# SPDX-License-Identifier: Apache-2.0
"""Rain between the gauges: inverse distance weighting to a grid, lines of equal rain (等雨量线), means of areas by the
polygons of Thiessen (泰森多边形)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import contourpy
import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.geodesy.straight import straight_areas
from geocloud.sectors.water.common import plane, polygons

__all__ = ["POWER", "Grid", "bands", "grid_over", "idw", "isohyets", "merged", "thiessen", "thiessen_means"]

Floats = NDArray[np.float64]
POWER = 2.0
"""Power of the distance in the weights."""
_AT_ONCE = 2_000_000
_NEAR_M = 1e-3


@dataclass(frozen=True)
class Grid:
    """Values at the crossings of meridians `lon` and parallels `lat`, both ascending, degrees: `values[j, i]` at
    lat[j], lon[i]."""

    lon: Floats
    lat: Floats
    values: Floats


def merged(places: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Gauges at one place as one, with the mean of their values."""
    there, owner = np.unique(places, axis=0, return_inverse=True)
    owner = owner.ravel()
    return there, np.bincount(owner, values) / np.bincount(owner)


def idw(places: Floats, values: Floats, at: Floats, power: float = POWER) -> Floats:
    """Values at (n, 2) lon/lat by inverse distance weighting over all (m, 2) gauges; a gauge's own value at its place.

    Distances are straight lines between points on the CGCS2000 ellipsoid: 1e-5 less than along it at 100 km.
    """
    there, out = _geocentric(places), np.empty(len(at))
    step = max(1, _AT_ONCE // max(1, len(places)))
    for first in range(0, len(at), step):
        here = _geocentric(at[first : first + step])
        away = np.sqrt(((here[:, None, :] - there[None, :, :]) ** 2).sum(axis=2))
        weight = 1.0 / np.maximum(away, _NEAR_M) ** power
        mean = (weight * values).sum(axis=1) / weight.sum(axis=1)
        nearest = away.argmin(axis=1)
        out[first : first + step] = np.where(away.min(axis=1) <= _NEAR_M, values[nearest], mean)
    return out


def grid_over(box: tuple[float, float, float, float], cell_m: float) -> tuple[Floats, Floats]:
    """Meridians and parallels of a grid over west, south, east, north whose cells are at most so many metres wide."""
    west, south, east, north = box
    corners = plane(np.array([(west, south), (east, south), (west, north)]), ((west + east) / 2, (south + north) / 2))
    wide, high = abs(corners[1, 0] - corners[0, 0]), abs(corners[2, 1] - corners[0, 1])
    return (
        np.linspace(west, east, max(2, math.ceil(wide / cell_m) + 1)),
        np.linspace(south, north, max(2, math.ceil(high / cell_m) + 1)),
    )


def isohyets(grid: Grid, levels: Sequence[float], within: Any = None) -> list[tuple[float, Any]]:
    """Lines of equal value as multilines by level, in the order of levels; cut to an area; levels without a line are
    left out."""
    made = contourpy.contour_generator(grid.lon, grid.lat, grid.values)
    found = []
    for level in sorted(set(levels)):
        lines = [shapely.linestrings(x) for x in made.lines(level) if len(x) > 1]
        shape = shapely.multilinestrings(lines) if lines else None
        if shape is not None and within is not None:
            shape = shapely.intersection(shape, within)
        if shape is not None and shapely.length(shape) > 0:
            parts = shapely.get_parts(shape)
            found.append((level, shapely.multilinestrings(parts[shapely.get_type_id(parts) == 1])))
    return found


def bands(grid: Grid, levels: Sequence[float], within: Any = None) -> list[tuple[float, float | None, Any]]:
    """Areas between one level and the next, from the lowest level to above the highest (None), cut to an area."""
    made = contourpy.contour_generator(grid.lon, grid.lat, grid.values, fill_type="OuterOffset")
    steps = sorted(set(levels))
    top = max(float(grid.values.max()), steps[-1]) + 1.0
    found: list[tuple[float, float | None, Any]] = []
    for low, high in zip(steps, [*steps[1:], None], strict=True):
        filled: tuple[Any, ...] = made.filled(low, top if high is None else high)
        parts = [_polygon(points, at) for points, at in zip(*filled, strict=True)]
        shape = shapely.union_all(shapely.make_valid(np.array(parts, dtype=object))) if parts else None
        if shape is not None and within is not None:
            shape = shapely.intersection(shape, within)
        if shape is not None and shapely.area(shape) > 0:
            found.append((low, high, shapely.multipolygons(polygons(shape))))
    return found


def _polygon(points: Floats, offsets: NDArray[Any]) -> Any:
    shell, *holes = (points[a:b] for a, b in zip(offsets[:-1], offsets[1:], strict=True))
    return shapely.polygons(shell, [shapely.linearrings(h) for h in holes] or None)


def thiessen(places: Floats, within: Any) -> NDArray[Any]:
    """The ground nearer to each gauge than to any other, in the order of the gauges, lon/lat; nearest in the plane at
    the middle of the gauges."""
    west, south, east, north = shapely.bounds(
        shapely.union_all([shapely.multipoints(places), shapely.envelope(within)])
    )
    origin = ((west + east) / 2, (south + north) / 2)
    edges = shapely.get_coordinates(shapely.box(west - 1, south - 1, east + 1, north + 1))
    box = shapely.polygons(plane(edges, origin))
    xy = plane(places, origin)
    if len(xy) == 1:
        return np.array([shapely.box(west - 1, south - 1, east + 1, north + 1)], dtype=object)
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(xy), extend_to=box, ordered=True))
    scale = plane(np.array([(origin[0] + 1e-3, origin[1] + 1e-3)]), origin)[0] / 1e-3
    return np.asarray(shapely.transform(cells, lambda p: p / scale + np.array(origin)), dtype=object)


def thiessen_means(cells: NDArray[Any], values: Floats, areas: Sequence[Any]) -> list[tuple[float | None, int]]:
    """For each area the mean of the gauges' values, weighted by the area on the ellipsoid of its part in each gauge's
    cell, and how many gauges take part; None for what has no area."""
    tree = shapely.STRtree(cells)
    out: list[tuple[float | None, int]] = []
    for area in areas:
        if area is None or shapely.get_dimensions(area) != 2:
            out.append((None, 0))
            continue
        near = tree.query(area, "intersects")
        weight = straight_areas(shapely.intersection(cells[near], area))
        total = float(weight.sum())
        mean = float((weight * values[near]).sum() / total) if total > 0 else None
        out.append((mean, int((weight > 0).sum())))
    return out


def _geocentric(lonlat: Floats) -> Floats:
    lon, lat = np.radians(lonlat).T
    a, f = 6_378_137.0, 1 / 298.257222101
    e2 = f * (2 - f)
    n = a / np.sqrt(1 - e2 * np.sin(lat) ** 2)
    return np.column_stack((n * np.cos(lat) * np.cos(lon), n * np.cos(lat) * np.sin(lon), n * (1 - e2) * np.sin(lat)))
