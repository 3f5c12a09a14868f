# SPDX-License-Identifier: Apache-2.0
"""GeoJSON geometries (RFC 7946, section 3.1) read strictly, without repair and without guessing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.features.violation import Violation
from geocloud.geodesy.crs import Crs
from geocloud.geodesy.transform import Placement, from_lonlat

__all__ = ["place", "read_geometry"]

# Arrays around the positions of a geometry.
_LEVELS = {"Point": 0, "LineString": 1, "MultiPoint": 1, "Polygon": 2, "MultiLineString": 2, "MultiPolygon": 3}
_MAKERS: dict[str, Any] = {
    "Point": lambda c: shapely.Point(c) if c else shapely.Point(),
    "LineString": shapely.LineString,
    "MultiPoint": shapely.MultiPoint,
    "Polygon": lambda rings: shapely.Polygon(rings[0], rings[1:]) if rings else shapely.Polygon(),
    "MultiLineString": shapely.MultiLineString,
    "MultiPolygon": lambda parts: shapely.MultiPolygon([(rings[0], rings[1:]) for rings in parts]),
}
# Round trip through a projection in metres; more means the place is outside what it can show.
_ROUND_TRIP_M = 0.01
_MOST_NESTED = 4


class _Wrong(Exception):
    def __init__(self, pointer: str, en: str, zh: str) -> None:
        super().__init__(en)
        self.violation = Violation(pointer, "not-a-geometry", en, zh)


def read_geometry(value: Any, pointer: str, found: list[Violation]) -> Any:
    """The geometry as shapely has it, coordinates as written; None with a violation for what is no geometry."""
    try:
        return _read(value, pointer, 0)
    except _Wrong as exc:
        found.append(exc.violation)
        return None


def place(geometries: list[Any], system: Crs) -> NDArray[Any]:
    """Geometries in the axis order of `system` as EPSG:4490, x = longitude; NaN where the system has no such place."""

    def lonlat(points: NDArray[np.float64]) -> NDArray[np.float64]:
        xy = points[:, 1::-1] if system.swapped else points[:, :2]
        out = points.copy()
        out[:, :2] = Placement(system).lonlat(xy)
        if system.kind == "projected" and len(xy):
            with np.errstate(invalid="ignore"):
                off = ~(np.abs(from_lonlat(system, out[:, :2]) - xy) < _ROUND_TRIP_M).all(axis=1)
            out[off, :2] = np.nan
        return out

    array = np.array(geometries, dtype=object)
    with_z = shapely.has_z(array)
    for mask, z in ((with_z, True), (~with_z, False)):
        if mask.any():
            array[mask] = shapely.transform(array[mask], lonlat, include_z=z)
    return array


def _read(value: Any, pointer: str, depth: int) -> Any:
    if not isinstance(value, dict):
        raise _Wrong(pointer, "A geometry is a JSON object or null.", "几何应为 JSON 对象或 null。")
    kind = value.get("type")
    if kind == "GeometryCollection":
        members = value.get("geometries")
        if depth >= _MOST_NESTED or not isinstance(members, list):
            raise _Wrong(
                f"{pointer}/geometries",
                f"A GeometryCollection needs the array `geometries`, nested at most {_MOST_NESTED} levels deep.",
                f"几何集合应含数组 geometries,嵌套不超过 {_MOST_NESTED} 层。",
            )
        parts = [_read(m, f"{pointer}/geometries/{i}", depth + 1) for i, m in enumerate(members)]
        return shapely.GeometryCollection(parts)
    if not isinstance(kind, str) or kind not in _LEVELS:
        raise _Wrong(
            f"{pointer}/type",
            f"`{str(kind)[:40]}` is no type of geometry; there are {', '.join(_LEVELS)}, GeometryCollection.",
            f"“{str(kind)[:40]}”不是几何类型;可用:{'、'.join(_LEVELS)}、GeometryCollection。",
        )
    where = f"{pointer}/coordinates"
    coordinates = value.get("coordinates")
    if not isinstance(coordinates, list):
        raise _Wrong(where, "The array `coordinates` is missing.", "缺少数组 coordinates。")
    checked = _positions(coordinates, _LEVELS[kind], where) if coordinates else []
    if kind == "Polygon":
        _rings(checked, where)
    elif kind == "MultiPolygon":
        for i, rings in enumerate(checked):
            _rings(rings, f"{where}/{i}", least=1)
    try:
        return _MAKERS[kind](checked)
    except (shapely.GEOSException, ValueError, TypeError, IndexError):
        raise _Wrong(where, f"The coordinates make no {kind}.", f"坐标不能构成 {kind}。") from None


def _positions(value: Any, level: int, pointer: str) -> Any:
    if not isinstance(value, list):
        raise _Wrong(
            pointer,
            "The arrays are not nested as the type of the geometry asks.",
            "坐标数组的层次与几何类型不符。",
        )
    if level:
        return [_positions(v, level - 1, f"{pointer}/{i}") for i, v in enumerate(value)]
    if len(value) not in (2, 3):
        raise _Wrong(
            pointer,
            f"A position has {len(value)} numbers, not two or three.",
            f"位置有 {len(value)} 个数,应为两或三个。",
        )
    for i, number in enumerate(value):
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise _Wrong(f"{pointer}/{i}", "A coordinate is a finite number.", "坐标应为有限数。")
    return value


def _rings(rings: list[Any], pointer: str, least: int = 0) -> None:
    if len(rings) < least:
        raise _Wrong(pointer, "A polygon has no ring.", "多边形没有环。")
    for i, ring in enumerate(rings):
        if len(ring) < 4 or ring[0] != ring[-1]:
            raise _Wrong(
                f"{pointer}/{i}",
                "A ring has at least four positions, the last equal to the first (RFC 7946, 3.1.6).",
                "环至少有四个位置,且末点与首点相同。",
            )
