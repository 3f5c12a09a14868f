# SPDX-License-Identifier: Apache-2.0
"""GCJ-02 and BD-09: the shifted longitude and latitude of Chinese map services, and the way back.

Neither has a published definition; the formulas are those in common public use, on the Krasovsky 1940
ellipsoid for GCJ-02. No closed inverse exists: the way back is a fixed-point iteration until two steps
agree to 1e-12 degrees, far below the 1e-7 degrees (1 cm) that a source can carry. Both are pseudo
systems for import, never for storage.

All functions take and give arrays of longitude and latitude in degrees, of any equal shape. Outside the
rectangle in which map services apply the shift (72.004-137.8347 E, 0.8293-55.8271 N) GCJ-02 passes
through unchanged; the rectangle includes neighbouring countries, as the services' own does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["bd09_to_gcj02", "bd09_to_wgs84", "gcj02_to_bd09", "gcj02_to_wgs84", "wgs84_to_bd09", "wgs84_to_gcj02"]

Floats = NDArray[np.float64]
_A = 6378245.0
_EE = 0.00669342162296594323
_X_PI = np.pi * 3000.0 / 180.0
_TOLERANCE = 1e-12
_ITERATIONS = 30


def wgs84_to_gcj02(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """GCJ-02 of true (WGS 84, at metre level CGCS2000) positions."""
    x, y = _arrays(lon, lat)
    dx, dy = _shift(x, y)
    return x + dx, y + dy


def gcj02_to_wgs84(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """True positions of GCJ-02 ones, so that the way there and back agrees to 1e-9 degrees or better.

    A position whose true place lies across the rectangle's edge from its shifted one has no inverse or
    two; it is taken as inside.
    """
    gx, gy = _arrays(lon, lat)
    inside = _inside(gx, gy)
    x, y = gx.copy(), gy.copy()
    for _ in range(_ITERATIONS):
        dx, dy = _formula(x, y)
        nx, ny = np.where(inside, gx - dx, gx), np.where(inside, gy - dy, gy)
        moved = max(_largest(nx - x), _largest(ny - y))
        x, y = nx, ny
        if moved < _TOLERANCE:
            break
    return x, y


def gcj02_to_bd09(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """BD-09 of GCJ-02 positions."""
    x, y = _arrays(lon, lat)
    z = np.hypot(x, y) + 0.00002 * np.sin(y * _X_PI)
    theta = np.arctan2(y, x) + 0.000003 * np.cos(x * _X_PI)
    return z * np.cos(theta) + 0.0065, z * np.sin(theta) + 0.006


def bd09_to_gcj02(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """GCJ-02 of BD-09 positions, by iteration on the forward formula (the usual closed one is off by metres)."""
    bx, by = _arrays(lon, lat)
    x, y = bx - 0.0065, by - 0.006
    for _ in range(_ITERATIONS):
        fx, fy = gcj02_to_bd09(x, y)
        ex, ey = bx - fx, by - fy
        x, y = x + ex, y + ey
        if max(_largest(ex), _largest(ey)) < _TOLERANCE:
            break
    return x, y


def wgs84_to_bd09(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """BD-09 of true positions."""
    return gcj02_to_bd09(*wgs84_to_gcj02(lon, lat))


def bd09_to_wgs84(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """True positions of BD-09 ones."""
    return gcj02_to_wgs84(*bd09_to_gcj02(lon, lat))


def _arrays(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    if x.shape != y.shape:
        raise ValueError(f"longitudes {x.shape} and latitudes {y.shape} differ in shape")
    return x, y


def _largest(difference: Floats) -> float:
    finite = np.abs(difference[np.isfinite(difference)])
    return float(finite.max()) if finite.size else 0.0


def _inside(x: Floats, y: Floats) -> NDArray[np.bool_]:
    return (x >= 72.004) & (x <= 137.8347) & (y >= 0.8293) & (y <= 55.8271)


def _shift(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    dx, dy = _formula(x, y)
    inside = _inside(x, y)
    return np.where(inside, dx, 0.0), np.where(inside, dy, 0.0)


def _formula(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    x, y = lon - 105.0, lat - 35.0
    root, product, pi = np.sqrt(np.abs(x)), x * y, np.pi
    common = (20.0 * np.sin(6.0 * x * pi) + 20.0 * np.sin(2.0 * x * pi)) * 2.0 / 3.0
    dy = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * product + 0.2 * root + common
    dy += (20.0 * np.sin(y * pi) + 40.0 * np.sin(y / 3.0 * pi)) * 2.0 / 3.0
    dy += (160.0 * np.sin(y / 12.0 * pi) + 320.0 * np.sin(y * pi / 30.0)) * 2.0 / 3.0
    dx = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * product + 0.1 * root + common
    dx += (20.0 * np.sin(x * pi) + 40.0 * np.sin(x / 3.0 * pi)) * 2.0 / 3.0
    dx += (150.0 * np.sin(x / 12.0 * pi) + 300.0 * np.sin(x / 30.0 * pi)) * 2.0 / 3.0
    phi = np.radians(lat)
    magic = 1.0 - _EE * np.sin(phi) ** 2
    meridian = _A * (1.0 - _EE) / (magic * np.sqrt(magic))
    normal = _A / np.sqrt(magic) * np.cos(phi)
    return np.degrees(dx / normal), np.degrees(dy / meridian)
