# SPDX-License-Identifier: Apache-2.0
"""The order unit grids are numbered in within a community: west to east, and row by row north to south."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.grids.ground import flattened

__all__ = ["expected_order", "out_of_order"]

Ints = NDArray[np.int64]


def expected_order(shapes: NDArray[Any], row_m: float) -> Ints:
    """The place, from 0, of each polygon of EPSG:4490. A row is begun by the northernmost one left and takes in all
    whose middle lies no farther south of its middle than `row_m` metres."""
    flat, _ = flattened(shapes)
    middle = shapely.get_coordinates(shapely.centroid(flat))
    row = np.zeros(len(middle), np.int64)
    number, top = -1, np.inf
    for i in np.argsort(-middle[:, 1], kind="stable"):
        if top - middle[i, 1] > row_m:
            number, top = number + 1, middle[i, 1]
        row[i] = number
    place = np.empty(len(middle), np.int64)
    place[np.lexsort((middle[:, 0], row))] = np.arange(len(middle))
    return place


def out_of_order(place: Ints) -> list[int]:
    """Which to take out so that the others ascend, the fewest: those not in a longest ascending run."""
    tops: list[int] = []
    at: list[int] = []
    before = np.full(len(place), -1)
    for k, value in enumerate(place.tolist()):
        n = bisect_left(tops, value)
        before[k] = at[n - 1] if n else -1
        if n == len(tops):
            tops.append(value)
            at.append(k)
        else:
            tops[n], at[n] = value, k
    kept = set()
    k = at[-1] if at else -1
    while k >= 0:
        kept.add(k)
        k = int(before[k])
    return [k for k in range(len(place)) if k not in kept]
