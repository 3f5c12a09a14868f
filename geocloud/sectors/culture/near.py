# SPDX-License-Identifier: Apache-2.0
"""What the culture processes share: their inputs, layers by role, and places near a point."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyproj

from geocloud.features.binder import Binder

__all__ = ["VENUES", "box_round", "rounded", "within_and_nearest"]

VENUES = "facility.culture_venue"
# Shortest degree of latitude, and of longitude at the equator divided by cos(latitude), less a margin; metres.
_LAT_M, _LON_M = 110_000.0, 110_800.0


def box_round(binder: Binder, column: str, lon: float, lat: float, radius_m: float) -> str:
    """SQL that is true for points in a box that holds the circle of `radius_m` round lon/lat; it uses the index."""
    up = radius_m / _LAT_M
    aside = radius_m / (_LON_M * math.cos(math.radians(min(89.0, abs(lat) + up))))
    edges = ", ".join(binder.bind(v, "float8") for v in (lon - aside, lat - up, lon + aside, lat + up))
    return f"{column} && ST_MakeEnvelope({edges}, 4490)"


def rounded(metres: float | None) -> float | None:
    """Metres to the centimetre, which is finer than positions are."""
    return None if metres is None else round(metres, 2)


_CGCS2000 = pyproj.Geod(a=6378137.0, rf=298.257222101)
_SPHERE_M = 6_371_008.8
# Distances on that sphere are within 0.6 percent of those on the ellipsoid.
_LEAST, _MOST = 0.99, 1.01
_AT_ONCE = 500


def within_and_nearest(
    points: Sequence[tuple[float, float]],
    places: Sequence[tuple[float, float]],
    distance_m: float,
    on_progress: Callable[[float], None] = lambda _share: None,
) -> Iterator[tuple[int, float | None]]:
    """For each point how many places are within `distance_m`, and metres to the nearest, None without places.

    Positions are lon/lat in degrees; distances are geodesics of CGCS2000. They are measured where a sphere leaves it
    open which place is the nearest, or whether one is within, and nowhere else.
    """
    if not places:
        yield from ((0, None) for _ in points)
        return
    there = np.asarray(places, dtype=np.float64)
    for first in range(0, len(points), _AT_ONCE):
        here = np.asarray(points[first : first + _AT_ONCE], dtype=np.float64)
        lat, lat_there = np.radians(here[:, 1, None]), np.radians(there[None, :, 1])
        aside = np.radians(there[None, :, 0] - here[:, 0, None])
        half = np.sin((lat_there - lat) / 2) ** 2 + np.cos(lat) * np.cos(lat_there) * np.sin(aside / 2) ** 2
        rough = 2 * _SPHERE_M * np.arcsin(np.sqrt(np.minimum(half, 1.0)))
        # Both bounds are stretched: what is nearest on the sphere may be second on the ellipsoid.
        open_nearest = rough * _LEAST <= rough.min(axis=1, keepdims=True) * _MOST
        open_within = (rough * _LEAST <= distance_m) & (rough * _MOST >= distance_m)
        i, k = np.nonzero(open_nearest | open_within)
        exact = np.full(rough.shape, np.nan)
        exact[i, k] = _CGCS2000.inv(here[i, 0], here[i, 1], there[k, 0], there[k, 1])[2]
        counted = ((rough * _MOST < distance_m) | (exact <= distance_m)).sum(axis=1)
        on_progress(min(1.0, (first + len(here)) / len(points)))
        yield from zip(counted.tolist(), np.nanmin(exact, axis=1).tolist(), strict=True)
