# SPDX-License-Identifier: Apache-2.0
"""Area and length on the CGCS2000 ellipsoid (椭球面积、椭球长度), from EPSG:4490 longitude and latitude.

Edges are geodesics. Land survey in China measures areas on the ellipsoid and not in the projection
(TD/T 1055), because a Gauss-Krueger area grows with the distance from the central meridian.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

__all__ = ["SQUARE_METRES_PER_MU", "area_mu", "areas", "ellipsoid", "lengths"]

# GB 22021: a = 6 378 137 m, f = 1/298.257222101.
_A = 6378137.0
_RF = 298.257222101
# 15 mu are a hectare.
SQUARE_METRES_PER_MU = 10_000.0 / 15.0


def ellipsoid() -> pyproj.Geod:
    """Geodesics of the CGCS2000 ellipsoid (GB 22021)."""
    return pyproj.Geod(a=_A, rf=_RF)


def areas(geometries: NDArray[Any]) -> NDArray[np.float64]:
    """Ellipsoidal areas in square metres of an array of shapely geometries in EPSG:4490, x = longitude.

    The shape is that of the input. Lines and points have area 0, missing geometries NaN. Rings must be
    closed and may have either direction; holes are taken off. A polygon that crosses itself has no
    defined area: repair it first.
    """
    flat = np.asarray(geometries, dtype=object).ravel()
    out = np.where(shapely.is_missing(flat), np.nan, 0.0)
    parts, owner = shapely.get_parts(flat, return_index=True)
    while (shapely.get_type_id(parts) >= 4).any():
        parts, inner = shapely.get_parts(parts, return_index=True)
        owner = owner[inner]
    polygons = shapely.get_type_id(parts) == 3
    parts, owner = parts[polygons], owner[polygons]
    if parts.size == 0:
        return out.reshape(np.shape(geometries))
    rings, of_part = shapely.get_rings(parts, return_index=True)
    points, of_ring = shapely.get_coordinates(rings, return_index=True)
    starts = np.searchsorted(of_ring, np.arange(len(rings) + 1))
    geod = ellipsoid()
    lon, lat = np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])
    surface = np.array(
        [abs(geod.polygon_area_perimeter(lon[a:b], lat[a:b])[0]) for a, b in zip(starts[:-1], starts[1:], strict=True)]
    )
    exterior = np.r_[True, of_part[1:] != of_part[:-1]]
    np.add.at(out, owner[of_part], np.where(exterior, surface, -surface))
    return out.reshape(np.shape(geometries))


def lengths(geometries: NDArray[Any]) -> NDArray[np.float64]:
    """Ellipsoidal lengths in metres of an array of shapely geometries in EPSG:4490, x = longitude.

    Lines of all parts, and for polygons all rings (the perimeter with its holes); points have length
    0, missing geometries NaN.
    """
    flat = np.asarray(geometries, dtype=object).ravel()
    out = np.where(shapely.is_missing(flat), np.nan, 0.0)
    parts, owner = shapely.get_parts(flat, return_index=True)
    while (shapely.get_type_id(parts) >= 4).any():
        parts, inner = shapely.get_parts(parts, return_index=True)
        owner = owner[inner]
    kind = shapely.get_type_id(parts)
    rings, of_part = shapely.get_rings(parts[kind == 3], return_index=True)
    lines = np.concatenate([parts[(kind == 1) | (kind == 2)], rings])
    owner = np.concatenate([owner[(kind == 1) | (kind == 2)], owner[kind == 3][of_part]])
    points, of_line = shapely.get_coordinates(lines, return_index=True)
    if len(points) > 1:
        same = of_line[1:] == of_line[:-1]
        a, b = points[:-1][same], points[1:][same]
        steps = ellipsoid().inv(a[:, 0], a[:, 1], b[:, 0], b[:, 1])[2]
        np.add.at(out, owner[of_line[1:][same]], steps)
    return out.reshape(np.shape(geometries))


def area_mu(square_metres: float) -> float:
    """Square metres as mu (亩); 15 mu are a hectare."""
    return square_metres / SQUARE_METRES_PER_MU
