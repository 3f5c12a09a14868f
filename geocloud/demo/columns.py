# SPDX-License-Identifier: Apache-2.0
"""Columns of the demo's tables, made whole from numpy; and the batch they go in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from geocloud.demo.facts import Floats, Ints

__all__ = ["Batch", "Shapes", "choose", "day", "digits", "join", "number", "pick", "sliced", "whole"]

Shapes = npt.NDArray[np.object_]
# Rows of one batch.
BATCH = 50_000


@dataclass(frozen=True)
class Batch:
    """Rows of a layer: Arrow columns by field name, and shapely geometries in lon/lat (or None)."""

    columns: Mapping[str, pa.Array]
    shapes: Shapes | None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def table(self) -> pa.Table:
        """As an Arrow table; `geom` is WKB, longitude first, CGCS2000."""
        columns = dict(self.columns)
        if self.shapes is not None:
            columns["geom"] = pa.array(shapely.to_wkb(self.shapes, byte_order=1), pa.binary())
        return pa.table(columns)


def sliced(count: int, part: Callable[[int, int], Batch]) -> Iterator[Batch]:
    """Batches of rows start..stop until `count`."""
    for start in range(0, count, BATCH):
        yield part(start, min(count, start + BATCH))


def pick(values: Sequence[str | None], index: Ints) -> pa.Array:
    """values[i] for each i."""
    return pa.array(values, pa.string()).take(pa.array(index))


def choose(rng: np.random.Generator, values: Sequence[str | None], weights: Sequence[float], count: int) -> pa.Array:
    """Random values by weight."""
    return pick(values, np.searchsorted(np.cumsum(weights) / sum(weights), rng.random(count), side="right"))


def digits(values: Ints, width: int) -> pa.Array:
    """Numbers as text with leading zeros."""
    return pc.utf8_lpad(pa.array(values).cast(pa.string()), width, "0")


def join(*parts: pa.Array | str) -> pa.Array:
    """Texts put together, row by row."""
    return pc.binary_join_element_wise(*parts, "")


def number(values: Floats, places: int = 1) -> pa.Array:
    """Rounded numbers."""
    return pa.array(np.round(values, places), pa.float64())


def whole(values: Any) -> pa.Array:
    """Whole numbers."""
    return pa.array(np.asarray(values).astype(np.int64), pa.int64())


def day(rng: np.random.Generator, first: str, last: str, count: int) -> pa.Array:
    """Random days from first to last."""
    a, b = (np.datetime64(d, "D").astype(np.int64) for d in (first, last))
    return pa.array((a + (rng.random(count) * (b - a + 1)).astype(np.int64)).astype("datetime64[D]"), pa.date32())
