# SPDX-License-Identifier: Apache-2.0
"""The order in which stops are visited (线路编排): nearest neighbour, then 2-opt and moves of one stop."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["length", "order_all", "order_within"]

Costs = NDArray[np.float64]
_SPARE = 1e-9


def length(order: list[int], costs: Costs, *, back: bool = False) -> float:
    """Cost of the way from 0 through `order`, and back to 0 where `back` is set."""
    way = [0, *order, *([0] if back and order else [])]
    return float(sum(costs[a, b] for a, b in zip(way, way[1:], strict=False)))


def order_all(costs: Costs, *, back: bool = False) -> tuple[list[int], list[int]]:
    """Every place that can be reached from 0, in order, and those that cannot.

    `costs` is square, place 0 the start, `inf` where there is no way. The order is the nearest next, improved until
    neither turning a stretch around nor moving one stop makes it shorter; that is no proof that there is no shorter.
    """
    left, order, at = set(range(1, len(costs))), [], 0
    while left:
        near = min(left, key=lambda k: (costs[at, k], k))
        if not math.isfinite(costs[at, near]):
            break
        left.remove(near)
        order.append(near)
        at = near
    return _improved(order, costs, back), sorted(left)


def order_within(costs: Costs, stay: float, budget: float, most: int, *, back: bool = False) -> list[int]:
    """As many places as fit into `budget`, at most `most`, each costing `stay` beside the way; the cheapest to add
    comes first, and after each the order is improved."""
    order: list[int] = []
    left = [k for k in range(1, len(costs)) if math.isfinite(costs[0, k])]
    while left and len(order) < most:
        options = []
        for k in left:
            tried = min(
                ([*order[:i], k, *order[i:]] for i in range(len(order) + 1)),
                key=lambda way: length(way, costs, back=back),
            )
            options.append((length(tried, costs, back=back), k, tried))
        cost, k, tried = min(options)
        improved = _improved(tried, costs, back)
        if min(cost, length(improved, costs, back=back)) + stay * len(improved) > budget:
            break
        order = improved
        left.remove(k)
    return order


def _improved(order: list[int], costs: Costs, back: bool) -> list[int]:
    best, cost = list(order), length(order, costs, back=back)
    again = True
    while again:
        again = False
        for tried in _changes(best):
            other = length(tried, costs, back=back)
            if other < cost - _SPARE:
                best, cost, again = tried, other, True
                break
    return best


def _changes(order: list[int]) -> list[list[int]]:
    """Every stretch turned around, and every stop moved to every other place."""
    n = len(order)
    turned = [[*order[:i], *order[i : j + 1][::-1], *order[j + 1 :]] for i in range(n) for j in range(i + 1, n)]
    moved = []
    for i in range(n):
        rest = [*order[:i], *order[i + 1 :]]
        moved += [[*rest[:j], order[i], *rest[j:]] for j in range(n) if j != i]
    return turned + moved
