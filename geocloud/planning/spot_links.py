# SPDX-License-Identifier: Apache-2.0
"""Which spot of before is which of now (图斑沿袭): by the ground they share, whether they shrink, split or merge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

__all__ = ["Links", "link"]

# Part of the smaller of two shapes that they must share to be of one life.
_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Links:
    """Numbers of shapes: `kept` new to old that goes on as it, `parents` new to the old ones it comes from besides,
    `merged` old to the new one it went into, `gone` old ones of which nothing is left."""

    kept: dict[int, int]
    parents: dict[int, tuple[int, ...]]
    merged: dict[int, int]
    gone: tuple[int, ...]


def link(old: NDArray[Any], new: NDArray[Any]) -> Links:
    """An old spot goes on as the new one that has most of it; of several that do, the one with most ground keeps its
    identity and the others merge into it. A new spot that keeps none has as parents the old ones it lies on.
    """
    if not len(old) or not len(new):
        return Links({}, {}, {}, tuple(range(len(old))))
    o, n = shapely.STRtree(new).query(old, predicate="intersects")
    shared = shapely.area(shapely.intersection(old[o], new[n]))
    enough = shared >= _SHARE * np.minimum(shapely.area(old[o]), shapely.area(new[n]))
    # Most ground first; ties by number, so that a repeated run links the same.
    order = np.lexsort((n[enough], o[enough], -shared[enough]))
    pairs = [(int(a), int(b)) for a, b in zip(o[enough][order], n[enough][order], strict=True)]
    goes_into: dict[int, int] = {}
    for a, b in pairs:
        goes_into.setdefault(a, b)
    kept: dict[int, int] = {}
    merged: dict[int, int] = {}
    for a, b in pairs:
        if goes_into[a] == b and a not in kept.values() and a not in merged:
            if b in kept:
                merged[a] = b
            else:
                kept[b] = a
    parents: dict[int, tuple[int, ...]] = {}
    for a, b in pairs:
        if kept.get(b) != a:
            parents[b] = (*parents.get(b, ()), a)
    return Links(kept, parents, merged, tuple(a for a in range(len(old)) if a not in goes_into))
