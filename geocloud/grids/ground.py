# SPDX-License-Identifier: Apache-2.0
"""Shapes of EPSG:4490 on a plane in metres that touches the ellipsoid at their middle latitude; parts of overlays."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.geodesy.area import ellipsoid

__all__ = ["areal", "flattened", "on_plane"]

Array = NDArray[Any]


def flattened(shapes: Array) -> tuple[Array, NDArray[np.float64]]:
    """The shapes in metres, x east and y north, and the metres of a degree of longitude and latitude."""
    box = shapely.total_bounds(shapes) if len(shapes) else np.full(4, np.nan)
    latitude = float((box[1] + box[3]) / 2) if np.isfinite(box).all() else 0.0
    geod = ellipsoid()
    s = np.sin(np.radians(latitude))
    w = 1 - geod.es * s * s
    east = geod.a / np.sqrt(w) * np.cos(np.radians(latitude))
    scale = np.array([np.radians(east), np.radians(geod.a * (1 - geod.es) / w**1.5)])
    return on_plane(shapes, scale), scale


def on_plane(shapes: Any, scale: NDArray[np.float64]) -> Any:
    """Coordinates multiplied by two factors."""
    return shapely.transform(shapes, lambda xy: xy * scale)


def areal(shapes: Array) -> Array:
    """Of each geometry its polygons alone, an empty polygon where there are none."""
    out = np.asarray(shapes, dtype=object).copy()
    for i in np.flatnonzero(~np.isin(shapely.get_type_id(out), (3, 6))):
        parts = [p for p in shapely.get_parts(out[i]) if p.geom_type in ("Polygon", "MultiPolygon")]
        out[i] = shapely.union_all(parts) if parts else shapely.Polygon()
    return out
