# SPDX-License-Identifier: Apache-2.0
"""How far one walks from a place to car parks (步行距离)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from geocloud.geodesy.area import ellipsoid
from geocloud.jobs.run import Run

__all__ = ["Walk", "crow", "walks"]

Point = tuple[float, float]


class Walk(NamedTuple):
    """Metres of a walk; None where no way is known. `by` is `road` or `crow-fly`, the shortest that it can be."""

    metres: float | None
    by: str


def walks(_run: Run, place: Point, targets: Sequence[Point]) -> list[Walk]:
    """The walk from a place to each target, lon/lat in EPSG:4490."""
    return [Walk(m, "crow-fly") for m in crow(place, targets)]


def crow(place: Point, targets: Sequence[Point]) -> list[float]:
    """Metres from a place to each target on the CGCS2000 ellipsoid, as the crow flies."""
    if not targets:
        return []
    xy = np.asarray(targets, dtype=np.float64)
    here = np.broadcast_to(np.asarray(place, dtype=np.float64), xy.shape)
    found: list[float] = ellipsoid().inv(here[:, 0], here[:, 1], xy[:, 0], xy[:, 1])[2].tolist()
    return found
