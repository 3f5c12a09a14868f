# SPDX-License-Identifier: Apache-2.0
"""Coordinates of any source into storage: EPSG:4490, x = longitude, y = latitude, degrees.

CGCS2000 and WGS 84 are taken as the same (the null transformation), which holds at metre level.
Beijing 1954 goes through EPSG's operation 15919, published for the Yellow Sea with 15 m accuracy and the
nearest that is public; Xi'an 1980 has no public parameters and keeps its longitude and latitude. Where
that is not good enough, the surveying authority's own parameters are given as a PROJ pipeline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import CRSError, ProjError

from geocloud.errors import InvalidParameter
from geocloud.geodesy.crs import BD09, GCJ02, Crs, crs, describe, parse_crs
from geocloud.geodesy.offsets import bd09_to_wgs84, gcj02_to_wgs84

__all__ = ["Placement", "accuracy_m", "from_lonlat", "parse_source_crs"]

Floats = NDArray[np.float64]
# Latitude before longitude on both sides.
_BEIJING_TO_WGS84 = "urn:ogc:def:coordinateOperation:EPSG::15919"
_LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Placement:
    """How coordinates of a source become storage coordinates: its system, and whether x and y are exchanged.

    `exchanged` is about the file and not about the authority: True when x holds the northing or latitude.
    """

    crs: Crs
    exchanged: bool = False

    def lonlat(self, xy: Floats) -> Floats:
        """Longitude and latitude in EPSG:4490 of an (n, 2) array; NaN where the system has no such place."""
        points = np.ascontiguousarray(np.asarray(xy, dtype=np.float64))
        x, y = (points[:, 1], points[:, 0]) if self.exchanged else (points[:, 0], points[:, 1])
        if self.crs.id == GCJ02:
            lon, lat = gcj02_to_wgs84(x, y)
        elif self.crs.id == BD09:
            lon, lat = bd09_to_wgs84(x, y)
        else:
            lon, lat = x, y
            for step in _steps(self.crs):
                lon, lat = step(lon, lat)
        out = np.column_stack([lon, lat])
        bad = ~np.isfinite(out).all(axis=1) | (np.abs(out[:, 0]) > 180.0) | (np.abs(out[:, 1]) > 90.0)
        out[bad] = np.nan
        return out

    def apply(self, geometries: NDArray[Any]) -> NDArray[Any]:
        """Shapely geometries in storage coordinates; heights are kept as they are, measures (M) dropped.

        A geometry with a point that has no place gets NaN there; the caller finds and reports it.
        """
        with_z = shapely.has_z(geometries)
        out = np.array(geometries, dtype=object)
        for mask, z in ((with_z, True), (~with_z, False)):
            if mask.any():
                out[mask] = shapely.transform(out[mask], self._points, include_z=z)
        return out

    def _points(self, points: Floats) -> Floats:
        out = points.copy()
        out[:, :2] = self.lonlat(points[:, :2])
        return out


def from_lonlat(target: Crs, lonlat: Floats) -> Floats:
    """Coordinates x = east, y = north in `target` of an (n, 2) array of EPSG:4490 longitude and latitude.

    Raises InvalidParameter for the pseudo systems, which are for import only.
    """
    if target.pseudo:
        raise InvalidParameter(f"{target.id} is for import only.", f"{target.id} 只用于导入。")
    points = np.asarray(lonlat, dtype=np.float64)
    x, y = points[:, 0], points[:, 1]
    for step in reversed(_steps(target, inverse=True)):
        x, y = step(x, y)
    return np.column_stack([x, y])


def parse_source_crs(text: str) -> Crs:
    """The system a person names for a file: all that `parse_crs` takes, WKT, a PROJ string, or a PROJ pipeline.

    A pipeline goes from the file's x, y to longitude and latitude in degrees of CGCS2000; it is how an
    independent city system (独立坐标系) with parameters that must stay secret is read, so the text never shows
    in reports. Raises InvalidParameter.
    """
    short = text.strip()
    if "+proj=" not in short and "proj=" not in short and "[" not in short[1:]:
        return parse_crs(short)
    try:
        if "pipeline" in short:
            pyproj.Transformer.from_pipeline(short)
            return Crs(
                _LOCAL, "local pipeline", "地方参数（管线）", "projected", "other", swapped=False, definition=short
            )
        return describe(pyproj.CRS.from_user_input(short))
    except (CRSError, ProjError) as exc:
        raise InvalidParameter(
            "The text given as coordinate system is neither WKT nor a PROJ definition.",
            "给出的坐标系文本既不是 WKT，也不是 PROJ 定义。",
            todo_en="Test it with the command `projinfo`.",
            todo_zh="请用 projinfo 命令核对。",
            parameter="crs",
        ) from exc


def accuracy_m(source: Crs) -> float | None:
    """How far the way to EPSG:4490 may be off in metres; None when nobody has published it."""
    known: dict[str, float | None] = {"CGCS2000": 0.0, "WGS84": 1.0, "GCJ-02": 1.0, "BD-09": 1.0}
    return known.get(source.datum, 15.0 if source.datum == "Beijing1954" else None)


Step = Callable[[Floats, Floats], tuple[Floats, Floats]]


@lru_cache(maxsize=64)
def _steps(source: Crs, inverse: bool = False) -> tuple[Step, ...]:
    """Functions that lead from x, y of a system to EPSG:4490 one after the other (or, inverse, back)."""
    if source.definition is not None and "pipeline" in source.definition:
        return (_step(pyproj.Transformer.from_pipeline(source.definition), inverse),)
    own = source.pyproj()
    if source.datum == "Beijing1954":
        first = () if source.epsg == 4214 else (_step(_between(own, crs(4214).pyproj()), inverse),)
        shift = _step(pyproj.Transformer.from_pipeline(_BEIJING_TO_WGS84), inverse)
        return (*first, lambda lon, lat: shift(lat, lon)[::-1])
    if source.datum in ("CGCS2000", "WGS84", "Xian1980"):
        if source.kind == "geographic" and source.definition is None:
            return ()
        return (_step(_between(own, crs(4490).pyproj()), inverse),)
    return (_step(_between(own, crs(4326).pyproj()), inverse),)


def _between(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def _step(transformer: pyproj.Transformer, inverse: bool) -> Step:
    direction = "INVERSE" if inverse else "FORWARD"

    def run(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        a, b = transformer.transform(x, y, direction=direction, errcheck=False)
        return np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)

    return run
