# SPDX-License-Identifier: Apache-2.0
"""The order in which new rows go into a table: along a Z curve over the city, so that neighbours share pages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["z_order"]

_BITS = 16
_MASKS = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


def z_order(boxes: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Places of boxes, shape (n, 4), along a Z curve (Morton code, as geohash has it) over their common extent.

    Rows without one (NaN) come last; None when there is nothing to order.
    """
    x, y = boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]
    there = np.isfinite(x)
    if not there.any():
        return None
    key = np.full(len(boxes), np.iinfo(np.uint64).max, np.uint64)
    key[there] = _spread(x[there]) | (_spread(y[there]) << np.uint64(1))
    order: NDArray[np.int64] = np.argsort(key, kind="stable")
    return order


def _spread(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    low, high = values.min(), values.max()
    scale = (2**_BITS - 1) / (high - low) if high > low else 0.0
    out: NDArray[np.uint64] = ((values - low) * scale).astype(np.uint64)
    for shift, mask in _MASKS:
        out = (out | (out << np.uint64(shift))) & np.uint64(mask)
    return out
