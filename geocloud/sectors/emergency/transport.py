# SPDX-License-Identifier: Apache-2.0
"""Persons to places with room (运输问题): as many as possible, and of all ways to do that one of the least total cost.

Both are linear programmes over a network, whose corner solutions are whole numbers, so no person is split; solved by
HiGHS through SciPy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["allocate"]


def allocate(
    demand: NDArray[np.int64], room: NDArray[np.int64], cost: NDArray[np.float64]
) -> tuple[NDArray[np.int64], float]:
    """How many of each demand go to each place, shape (demands, places), and the total cost.

    `cost` is for one person, shape (demands, places); where it is not finite nobody may go. No more leave a demand than
    are there, no more come to a place than it has room for. RuntimeError where the solver fails.
    """
    n, m = cost.shape
    i, j = np.nonzero(np.isfinite(cost) & (demand[:, None] > 0) & (room[None, :] > 0))
    flow = np.zeros((n, m), dtype=np.int64)
    if not len(i):
        return flow, 0.0
    from scipy.optimize import linprog
    from scipy.sparse import coo_array, vstack

    k = len(i)
    ones, edges = np.ones(k), np.arange(k)
    out = coo_array((ones, (i, edges)), shape=(n, k))
    into = coo_array((ones, (j, edges)), shape=(m, k))
    limits, held = vstack([out, into]).tocsr(), np.concatenate([demand, room]).astype(np.float64)
    most = linprog(-ones, A_ub=limits, b_ub=held, bounds=(0, None), method="highs-ds")
    if most.status != 0:
        raise RuntimeError(f"linear programme of the number: {most.message}")
    total = round(-most.fun)
    price = cost[i, j]
    best = linprog(
        price, A_ub=limits, b_ub=held, A_eq=np.ones((1, k)), b_eq=[float(total)], bounds=(0, None), method="highs-ds"
    )
    if best.status != 0:
        raise RuntimeError(f"linear programme of the cost: {best.message}")
    flow[i, j] = np.rint(best.x).astype(np.int64)
    if (flow.sum(axis=1) > demand).any() or (flow.sum(axis=0) > room).any() or flow.sum() != total:
        raise RuntimeError("the linear programme gave no whole numbers")
    return flow, float((flow[i, j] * price).sum())
