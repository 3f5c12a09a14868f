# SPDX-License-Identifier: Apache-2.0
"""Which zone holds what: areas that are known by a number, asked for many points or shapes at once.

A point lies in the zone that covers it, its border included; on a border that several zones share, and where zones
overlap, in the one with the lowest number, so that what is counted by zone adds up. A line or an area lies in a zone
that wholly holds it, else in none. All in degrees of EPSG:4490, as plane figures: so the database compares them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

__all__ = ["NONE", "Places", "Zones"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NONE: Final = -1
"""In no zone; features have numbers from 0 on."""
_AREAS = (3, 6)
_COLLECTION = 7
# Squares of the lookup along a side, at most; about four points lie in a square.
_SIDE_MAX, _POINTS_A_SQUARE = 1_024, 4
_READY_FROM = 64


class Places:
    """Points in the order of a grid of squares, so that those in a box are few runs of them."""

    def __init__(self, x: Floats, y: Floats) -> None:
        self.count = len(x)
        (known,) = np.nonzero(np.isfinite(x) & np.isfinite(y))
        self._side = int(np.clip(np.sqrt(len(known) / _POINTS_A_SQUARE), 1, _SIDE_MAX))
        if not len(known):
            self.order, self.x, self.y = known, x[known], y[known]
            return
        kx, ky = x[known], y[known]
        self._west, self._south = float(kx.min()), float(ky.min())
        self._wide = max((float(kx.max()) - self._west) / self._side, 1e-12)
        self._high = max((float(ky.max()) - self._south) / self._side, 1e-12)
        square = self._square(ky, self._south, self._high) * self._side + self._square(kx, self._west, self._wide)
        order = np.argsort(square, kind="stable")
        self._starts = np.searchsorted(square[order], np.arange(self._side**2 + 1))
        self.order = known[order]
        self.x, self.y = x[self.order], y[self.order]

    def around(self, west: float, south: float, east: float, north: float) -> Ints:
        """Places, in this order, of the points in the squares that a box touches."""
        if not len(self.order):
            return np.zeros(0, np.int64)
        return next(self.around_each(np.array([[west, south, east, north]])))

    def around_each(self, bounds: Floats) -> Iterator[Ints]:
        """For each box (west, south, east, north) the places, in this order, of points in the squares it touches."""
        columns = self._square(bounds[:, [0, 2]], self._west, self._wide)
        rows = self._square(bounds[:, [1, 3]], self._south, self._high)
        for (left, right), (low, high) in zip(columns.tolist(), rows.tolist(), strict=True):
            line = np.arange(low, high + 1) * self._side
            begin = self._starts[line + left]
            sizes = self._starts[line + right + 1] - begin
            ends = np.cumsum(sizes)
            at: Ints = np.arange(ends[-1]) + np.repeat(begin - (ends - sizes), sizes)
            yield at

    def _square(self, values: Floats, first: float, size: float) -> Ints:
        return np.clip((values - first) / size, 0, self._side - 1).astype(np.int64)


@dataclass(frozen=True)
class Zones:
    """Zones by number, ascending, and their shapes: shapely polygons and multipolygons, lon/lat.

    Of one thread: what is prepared here may not be asked by two at once.
    """

    fids: Ints
    shapes: NDArray[Any]

    @classmethod
    def of(cls, fids: Ints, shapes: NDArray[Any]) -> Zones:
        """Rows that are not areas, and empty ones, are left out; an area that crosses itself is mended."""
        areas = np.isin(shapely.get_type_id(shapes), _AREAS) & ~shapely.is_empty(shapes)
        fids, shapes = fids[areas], shapes[areas]
        order = np.argsort(fids, kind="stable")
        fids, shapes = fids[order], shapes[order]
        wrong = ~shapely.is_valid(shapes)
        if wrong.any():
            shapes[wrong] = shapely.make_valid(shapes[wrong])
        return cls(fids, shapes)

    def __len__(self) -> int:
        return len(self.fids)

    def of_points(self, places: Places) -> Ints:
        """The zone of each point, NONE outside all and for NaN; in the order the points came."""
        found = np.full(places.count, NONE, np.int64)
        if not len(places.order) or not len(self):
            return found
        ordered = np.full(len(places.order), NONE, np.int64)
        # The lowest number comes last, and stays.
        backwards = slice(None, None, -1)
        shapes, fids = self.shapes[backwards], self.fids[backwards].tolist()
        for shape, fid, at in zip(shapes, fids, places.around_each(shapely.bounds(shapes)), strict=True):
            if len(at):
                # A few points are asked quicker than a large zone is made ready.
                ready = len(at) > _READY_FROM
                if ready:
                    shapely.prepare(shape)
                ordered[at[shapely.intersects_xy(shape, places.x[at], places.y[at])]] = fid
                if ready:
                    shapely.destroy_prepared(shape)
        found[places.order] = ordered
        return found

    def of_shapes(self, shapes: NDArray[Any]) -> Ints:
        """The zone that wholly holds each shape, NONE where it crosses a border, lies outside, is empty or None."""
        found = np.full(len(shapes), NONE, np.int64)
        if not len(shapes) or not len(self):
            return found
        kinds = shapely.get_type_id(shapes)
        (plain,) = np.nonzero((kinds >= 0) & (kinds != _COLLECTION) & ~shapely.is_empty(shapes))
        if len(plain):
            zone, at = self._covering(shapes[plain])
            found[plain] = self._lowest(zone, at, len(plain))
        for i in np.flatnonzero(kinds == _COLLECTION):
            parts = np.array(_parts(shapes[i]), dtype=object)
            if len(parts):
                zone, _ = self._covering(parts)
                holding, held = np.unique(zone, return_counts=True)
                whole = holding[held == len(parts)]
                found[i] = self.fids[whole[0]] if len(whole) else NONE
        return found

    def _covering(self, shapes: NDArray[Any]) -> tuple[Ints, Ints]:
        """Places of zones and of the shapes that each covers."""
        shapely.prepare(self.shapes)
        try:
            zone, at = shapely.STRtree(shapes).query(self.shapes, predicate="covers")
        finally:
            shapely.destroy_prepared(self.shapes)
        return zone, at

    def _lowest(self, zone: Ints, at: Ints, count: int) -> Ints:
        lowest = np.full(count, len(self), np.int64)
        np.minimum.at(lowest, at, zone)
        return np.where(lowest < len(self), np.append(self.fids, NONE)[lowest], NONE)


def _parts(collection: Any) -> list[Any]:
    """The shapes in a collection, those of collections in it too; none for an empty one."""
    out: list[Any] = []
    for part in collection.geoms:
        if part.is_empty:
            continue
        out += _parts(part) if shapely.get_type_id(part) == _COLLECTION else [part]
    return out
