# SPDX-License-Identifier: Apache-2.0
"""How far one walks from a place to car parks (步行距离): along roads, and straight to them and away from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from geocloud.errors import MissingPackages
from geocloud.geodesy.area import ellipsoid
from geocloud.jobs.run import Run
from geocloud.network.graph import ROADS
from geocloud.network.route import routes
from geocloud.network.speeds import read_speeds
from geocloud.network.within import within

__all__ = ["Walk", "crow", "walks"]

Point = tuple[float, float]


class Walk(NamedTuple):
    """Metres of a walk, None where it is more than what was asked for; `by` is `road`, or `crow-fly`, which is the
    least that it can be: where there is no road graph, or no road near."""

    metres: float | None
    by: Literal["road", "crow-fly"]


def walks(run: Run, place: Point, targets: Sequence[Point], most_m: float) -> list[Walk]:
    """The walk from a place to each target, lon/lat in EPSG:4490, as far as `most_m` metres.

    Raises Renewable where the road graph must be made first, which whoever runs the process does.
    """
    straight = [Walk(m if m <= most_m else None, "crow-fly") for m in crow(place, targets)]
    if not targets or ROADS not in run.catalogue.layers or not run.catalogue.layer(ROADS).state.row_count:
        return straight
    try:
        along = _along(run, place, targets, most_m)
    except MissingPackages:
        return straight
    return [
        flown if roaded is None else Walk(roaded if roaded <= most_m else None, "road")
        for roaded, flown in zip(along, straight, strict=True)
    ]


def _along(run: Run, place: Point, targets: Sequence[Point], most_m: float) -> list[float | None]:
    """Metres along roads, infinite beyond `most_m`; None for a target, or a place, that has no road near."""
    speed = _speed()
    if speed is None:
        found = routes(run, [place], targets, "walk")
        return [None if r is None else r.metres + (r.source.off_m or 0) + (r.target.off_m or 0) for r in found]
    here, there = within(run, place, targets, most_m / speed)
    if here.edge is None:
        return [None] * len(targets)
    off = here.off_m or 0.0
    return [None if p.edge is None else np.inf if s is None else off + s * speed + (p.off_m or 0.0) for p, s in there]


def _speed() -> float | None:
    """Metres a second at which one walks on every road; None where the table has several speeds."""
    walk = read_speeds().profiles["walk"]
    speeds = {walk.unknown, *walk.classes.values()}
    return speeds.pop() / 3.6 if len(speeds) == 1 else None


def crow(place: Point, targets: Sequence[Point]) -> list[float]:
    """Metres from a place to each target on the CGCS2000 ellipsoid, as the crow flies."""
    if not targets:
        return []
    xy = np.asarray(targets, dtype=np.float64)
    here = np.broadcast_to(np.asarray(place, dtype=np.float64), xy.shape)
    found: list[float] = ellipsoid().inv(here[:, 0], here[:, 1], xy[:, 0], xy[:, 1])[2].tolist()
    return found
