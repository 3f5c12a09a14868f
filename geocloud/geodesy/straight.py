# SPDX-License-Identifier: Apache-2.0
"""Ellipsoidal areas that close: edges are straight in longitude and latitude, as an overlay in EPSG:4490 cuts them.

A geodesic through a point that an overlay put on an edge is not the geodesic of the whole edge, so pieces measured by
`geodesy.area` add up to the whole only to some 1e-6. Here an edge cut in two keeps its integral.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.geodesy.area import ellipsoid

__all__ = ["straight_areas"]

_POLYGON = 3
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)


def straight_areas(geometries: NDArray[Any]) -> NDArray[np.float64]:
    """Areas in m2 on the CGCS2000 ellipsoid of shapely polygons and multipolygons in EPSG:4490, x = longitude.

    Shape of the input; 0 for what is missing, empty or no area. Edges longer than a few kilometres lose precision.
    """
    flat = np.asarray(geometries, dtype=object).ravel()
    out = np.zeros(len(flat))
    # Polygons without holes are their own rings, and most are that.
    if (
        (shapely.get_type_id(flat) == _POLYGON) & (shapely.get_num_interior_rings(flat) == 0) & ~shapely.is_empty(flat)
    ).all():
        rings, of_part, owner = flat, np.arange(len(flat)), np.arange(len(flat))
    else:
        rings, of_part, owner = _rings(flat)
    points, of_ring = shapely.get_coordinates(rings, return_index=True)
    if len(points) < 2:
        return out.reshape(np.shape(geometries))
    same = of_ring[1:] == of_ring[:-1]
    a, b, ring = np.radians(points[:-1][same]), np.radians(points[1:][same]), of_ring[1:][same]
    middle, half = (a[:, 1] + b[:, 1]) / 2, (b[:, 1] - a[:, 1]) / 2
    first = np.radians(points[np.searchsorted(of_ring, np.arange(len(rings))), 1])
    base = _below(first)[ring]
    # From the ring's own parallel, so that no large numbers cancel.
    mean = sum(w * (_below(middle + half * n) - base) for n, w in zip(_NODES, _WEIGHTS, strict=True)) / 2
    surface = np.abs(np.bincount(ring, (b[:, 0] - a[:, 0]) * mean, minlength=len(rings)))
    exterior = np.r_[True, of_part[1:] != of_part[:-1]]
    np.add.at(out, owner[of_part], np.where(exterior, surface, -surface))
    return out.reshape(np.shape(geometries))


def _rings(flat: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """All rings, the polygon of each, and the geometry of each polygon."""
    parts, owner = shapely.get_parts(flat, return_index=True)
    while (shapely.get_type_id(parts) >= 4).any():
        parts, inner = shapely.get_parts(parts, return_index=True)
        owner = owner[inner]
    polygons = shapely.get_type_id(parts) == _POLYGON
    rings, of_part = shapely.get_rings(parts[polygons], return_index=True)
    return rings, of_part, owner[polygons]


def _below(latitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area between the equator and a latitude for each radian of longitude, m2 (authalic function of the ellipsoid)."""
    geod = ellipsoid()
    e = float(np.sqrt(geod.es))
    s = np.sin(latitude)
    return np.asarray(geod.b**2 / 2 * (s / (1 - geod.es * s * s) + np.arctanh(e * s) / e))
