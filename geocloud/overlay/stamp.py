# SPDX-License-Identifier: Apache-2.0
"""Stamps (空间标记) of features, calculated: for loads, edits and jobs alike. No database here."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from geocloud.overlay.cells import cells_of_points, cells_of_shapes
from geocloud.overlay.zones import NONE, Places, Zones
from geocloud.overlay.zonings import COLUMNS, ZONINGS

__all__ = ["Stamps", "stamp_points", "stamp_shapes"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_POINT = 0
# From so many points on, work on them is done by so many threads.
_MANY, _AT_ONCE = 50_000, 2


@dataclass(frozen=True, slots=True)
class Stamps:
    """Columns of stamps in the order of `zonings.COLUMNS`, one row a feature; NONE stands for null."""

    fids: Ints
    columns: tuple[Ints, ...]

    def __len__(self) -> int:
        return len(self.fids)

    def column(self, name: str) -> Ints:
        """One column by name."""
        return self.columns[COLUMNS.index(name)]

    def lists(self) -> list[list[int | None]]:
        """The columns as lists with None, for arrays of the database."""
        return [[None if v == NONE else v for v in c.tolist()] for c in self.columns]

    def arrow(self) -> list[pa.Array]:
        """fid and the columns as Arrow arrays."""
        return [pa.array(self.fids), *(pa.array(c, mask=c == NONE) for c in self.columns)]


def stamp_points(fids: Ints, x: Floats, y: Floats, zones: Mapping[str, Zones]) -> Stamps:
    """Stamps of points in degrees (NaN for no place); a zoning that `zones` lacks gives null.

    Many are asked of several zonings at once: GEOS and numpy leave the interpreter to others while they work.
    """
    none = np.full(len(fids), NONE, np.int64)
    if len(fids) < _MANY:
        places = Places(x, y)
        of = [zones[n].of_points(places) if n in zones else none for n in ZONINGS]
        return Stamps(fids, (*of, *cells_of_points(x, y)))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        cells = pool.submit(cells_of_points, x, y)
        places = Places(x, y)
        found = [pool.submit(zones[n].of_points, places) if n in zones else None for n in ZONINGS]
        return Stamps(fids, (*(none if f is None else f.result() for f in found), *cells.result()))


def stamp_shapes(fids: Ints, shapes: NDArray[Any], zones: Mapping[str, Zones]) -> Stamps:
    """Stamps of shapes of any kind (shapely, lon/lat; None and empty ones too)."""
    points = (shapely.get_type_id(shapes) == _POINT) & ~shapely.is_empty(shapes)
    if points.all():
        return stamp_points(fids, shapely.get_x(shapes), shapely.get_y(shapes), zones)
    columns = [np.full(len(fids), NONE, np.int64) for _ in COLUMNS]
    others = ~points
    for at, part in (
        (points, stamp_points(fids[points], shapely.get_x(shapes[points]), shapely.get_y(shapes[points]), zones)),
        (others, _stamp_wholes(fids[others], shapes[others], zones)),
    ):
        for column, values in zip(columns, part.columns, strict=True):
            column[at] = values
    return Stamps(fids, tuple(columns))


def _stamp_wholes(fids: Ints, shapes: NDArray[Any], zones: Mapping[str, Zones]) -> Stamps:
    none = np.full(len(fids), NONE, np.int64)
    of = [zones[n].of_shapes(shapes) if n in zones else none for n in ZONINGS]
    return Stamps(fids, (*of, *cells_of_shapes(shapes)))
