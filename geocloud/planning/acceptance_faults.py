# SPDX-License-Identifier: Apache-2.0
"""What checks of a plan hand over, and the measures they share. Widths, distances and angles are taken in metres on a
plane that touches the plan at its middle latitude; areas are on the ellipsoid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.model import Text
from geocloud.geodesy.area import ellipsoid

__all__ = ["Fault", "Result", "flattened", "not_judged", "per_degree", "widths"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One finding: feature numbers from 0 (`other` where two are concerned, None where none is), its place in
    EPSG:4490, words, m2 on the ellipsoid and metres."""

    feature: int | None
    shape: Any
    zh: str
    en: str
    other: int | None = None
    area_m2: float | None = None
    length_m: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How many features were looked at, what was found, and, where the rule could not be judged, `why`."""

    checked: int
    faults: list[Fault] = field(default_factory=list)
    why: Text | None = None


def not_judged(zh: str, en: str) -> Result:
    """The answer of a rule that cannot be judged."""
    return Result(0, why=Text(zh=zh, en=en))


def per_degree(latitude: float) -> tuple[float, float]:
    """Metres of a degree of longitude and of latitude there, on the CGCS2000 ellipsoid."""
    geod = ellipsoid()
    s = np.sin(np.radians(latitude))
    w = 1 - geod.es * s * s
    east = geod.a / np.sqrt(w) * np.cos(np.radians(latitude))
    return float(np.radians(east)), float(np.radians(geod.a * (1 - geod.es) / w**1.5))


def flattened(shapes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Shapes in metres on the plane, and the metres of a degree of longitude and latitude."""
    box = shapely.total_bounds(shapes) if len(shapes) else np.full(4, np.nan)
    scale = np.array(per_degree(float((box[1] + box[3]) / 2) if np.isfinite(box).all() else 0.0))
    return shapely.transform(shapes, lambda xy: xy * scale), scale


def widths(shapes: NDArray[Any]) -> NDArray[np.float64]:
    """Mean width of polygons in metres: twice the area by the length of the outline; 0 for empty ones."""
    flat, _ = flattened(shapes)
    outline = shapely.length(flat)
    out: NDArray[np.float64] = np.divide(2 * shapely.area(flat), outline, out=np.zeros(len(flat)), where=outline > 0)
    return out
