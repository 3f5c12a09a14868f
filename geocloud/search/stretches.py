# SPDX-License-Identifier: Apache-2.0
"""Stretches of one road or river that lie together, so that they are one answer and not hundreds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["stretches"]

# Stretches of one name this near to each other (degrees, about 2 km) are one road; two towns' 人民路 are not.
_GAP = 0.02

Indices = NDArray[Any]


def stretches(boxes: NDArray[np.float32]) -> list[Indices]:
    """Groups of boxes (n, 4: west, south, east, north), as indices, the largest first.

    Two groups are those that an empty strip of 2 km, north-south or east-west, keeps apart.
    """
    ready: list[Indices] = []
    # Groups with the axis they were last looked at along, and how many axes in a row kept them whole.
    waiting: list[tuple[Indices, int, int]] = [(np.arange(len(boxes)), 0, 0)]
    while waiting:
        group, axis, whole = waiting.pop()
        if whole == 2 or len(group) == 1:
            ready.append(group)
            continue
        order = group[np.argsort(boxes[group, axis])]
        reached = np.maximum.accumulate(boxes[order, axis + 2])
        cuts = np.flatnonzero(boxes[order[1:], axis] > reached[:-1] + _GAP) + 1
        waiting += [(part, 1 - axis, 0 if len(cuts) else whole + 1) for part in np.split(order, cuts)]
    return sorted((np.sort(group) for group in ready), key=len, reverse=True)
