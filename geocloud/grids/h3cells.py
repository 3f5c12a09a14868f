# SPDX-License-Identifier: Apache-2.0
"""Points counted by H3 cells, the library's own: a point belongs to `h3.latlng_to_cell` of its position.

H3 cells do not nest exactly: for about 7 of 100 points the parent of the finest cell is a neighbour of the cell the
library gives for the position itself. So a parent (bit arithmetic on the index) is a guess that is kept where the point
lies inside its outline, and the library is asked for the others: same answer, a fifth of the time.

Positions are longitude and latitude of EPSG:4490 in degrees, taken as WGS 84 (equal at metre level); H3 works on a
sphere. Edges of cells are great circles between the vertices that `h3.cell_to_boundary` gives.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import h3.api.numpy_int as h3
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FINEST",
    "Cells",
    "Level",
    "PointStore",
    "aggregate",
    "cells_of",
    "fitting_resolution",
    "outline",
    "parents",
    "picked",
    "reach_degrees",
    "resolution_for_zoom",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Indexes = NDArray[np.uint64]
Box = tuple[float, float, float, float]

FINEST = 15
"""The finest resolution of H3 (0..15)."""
# Points handed to the library at a time: other threads come to run between two batches.
_BATCH = 2_000
# An outline is asked for only where this many points share it.
_SHARED_BY = 16
# Sine of the angle by which a point must be inside an edge of its guess: 1e-9 is 6 mm, far above rounding.
_INSIDE = 1e-9
# Larger counts are made anew for a new version, and past the second number for each question, to save memory.
_CARRIED_ROWS, _KEPT_ROWS = 100_000, 500_000
_PIXELS, _TILE = 31.0, 512
_ONE_PLACE = 10
_EQUATOR_M = 2 * math.pi * 6_378_137


def cells_of(lon: Floats, lat: Floats, resolution: int) -> Indexes:
    """The library's cell of each position as uint64; 0, which is no cell, where a coordinate is NaN."""
    cells = np.zeros(len(lon), np.uint64)
    (known,) = np.nonzero(np.isfinite(lon) & np.isfinite(lat))
    for begin in range(0, len(known), _BATCH):
        rows = known[begin : begin + _BATCH]
        found = map(h3.latlng_to_cell, lat[rows].tolist(), lon[rows].tolist(), itertools.repeat(resolution))
        cells[rows] = np.fromiter(found, np.uint64, len(rows))
    return cells


def parents(cells: Indexes, resolution: int) -> Indexes:
    """`h3.cell_to_parent` of finer cells by bit arithmetic: the resolution is in bits 52 to 55, unused digits are 7."""
    unused = np.uint64((1 << 3 * (FINEST - resolution)) - 1)
    kept = np.uint64(~(0xF << 52) & 0xFFFF_FFFF_FFFF_FFFF)
    found = (cells & kept) | np.uint64(resolution << 52) | unused
    return np.where(cells == 0, np.uint64(0), found)


def resolution_for_zoom(zoom: float, latitude: float = 36.5) -> int:
    """The resolution whose hexagons are nearest to 31 pixels wide on a 512-pixel Web Mercator tile at this latitude.

    Between two resolutions the width changes by 2.65, so what comes out is 19 to 51 pixels wide.
    """
    metres = _EQUATOR_M * math.cos(math.radians(latitude)) / _TILE / 2**zoom
    wanted = math.log(metres * _PIXELS)
    widths = [math.log(math.sqrt(3) * h3.average_hexagon_edge_length(r, unit="m")) for r in range(FINEST + 1)]
    return min(range(FINEST + 1), key=lambda r: abs(widths[r] - wanted))


def outline(cell: int) -> list[tuple[float, float]]:
    """The cell's closed ring as lon/lat, counter-clockwise; past 180 degrees for a cell across the antimeridian."""
    ring = [(lon, lat) for lat, lon in h3.cell_to_boundary(cell)]
    if max(x for x, _ in ring) - min(x for x, _ in ring) > 180:
        ring = [(x + 360 if x < 0 else x, y) for x, y in ring]
    return [*ring, ring[0]]


@dataclass(frozen=True)
class Level:
    """Points counted at one resolution: one row a cell and code, in the order of both; 0 stands for no code."""

    resolution: int
    cell: Indexes
    code: Ints
    count: Ints

    @cached_property
    def starts(self) -> Ints:
        """The row where each cell begins."""
        return _starts(self.cell)

    @cached_property
    def cells(self) -> Indexes:
        """Each cell once, ascending."""
        return self.cell[self.starts]

    @cached_property
    def totals(self) -> Ints:
        """Points in each of `cells`."""
        return np.add.reduceat(self.count, self.starts) if len(self.count) else np.zeros(0, np.int64)

    @cached_property
    def centres(self) -> tuple[Floats, Floats]:
        """Longitude and latitude of the centre of each of `cells`."""
        found = np.empty((len(self.cells), 2))
        for begin in range(0, len(found), _BATCH):
            found[begin : begin + _BATCH] = [h3.cell_to_latlng(c) for c in self.cells[begin : begin + _BATCH].tolist()]
        return found[:, 1], found[:, 0]

    def changed(self, gone: Level, come: Level) -> Level:
        """The same with some points gone and others come."""
        return _level(
            self.resolution,
            np.concatenate([self.cell, gone.cell, come.cell]),
            np.concatenate([self.code, gone.code, come.code]),
            np.concatenate([self.count, -gone.count, come.count]),
        )


@dataclass(frozen=True)
class Cells:
    """An answer: cells ascending, points in each, the most frequent code (None: no point has one; of equals the first
    by text) and points by code, the most frequent first, with `""` for points without a code. `mix` is empty for
    layers that are not told apart by a code."""

    resolution: int
    cell: Indexes
    count: Ints
    leading: list[str | None]
    mix: list[dict[str, int]]

    @cached_property
    def area_km2(self) -> Floats:
        """Area of each cell by the library."""
        return np.array([h3.cell_area(c, unit="km^2") for c in self.cell.tolist()], np.float64)


@dataclass(frozen=True)
class PointStore:
    """The points of a layer at one version, in columns; made by `of`, never changed, renewed by `renewed`.

    `cell` is the finest cell, ascending; rows without a position have cell 0 and NaN. `code` numbers the texts of
    `codes`, whose first stands for none.
    """

    version: int
    fid: Ints
    lon: Floats
    lat: Floats
    cell: Indexes
    code: NDArray[np.int32]
    codes: tuple[str, ...]
    _levels: dict[int, Level] = field(default_factory=dict)
    _making: threading.Lock = field(default_factory=threading.Lock)
    # Resolutions whose counts are too many to be kept.
    _large: set[int] = field(default_factory=set)

    @classmethod
    def of(
        cls, version: int, fid: Ints, lon: Floats, lat: Floats, code: NDArray[np.int32], codes: Sequence[str]
    ) -> PointStore:
        """A store of these rows; asks the library once for every point."""
        return cls._sorted(version, fid, lon, lat, cells_of(lon, lat, FINEST), code, tuple(codes))

    @classmethod
    def _sorted(
        cls,
        version: int,
        fid: Ints,
        lon: Floats,
        lat: Floats,
        cell: Indexes,
        code: NDArray[np.int32],
        codes: tuple[str, ...],
    ) -> PointStore:
        order = np.argsort(cell, kind="stable")
        return cls(version, fid[order], lon[order], lat[order], cell[order], code[order], codes)

    @property
    def placed(self) -> int:
        """Rows with a position: what the counts of any resolution add up to."""
        return len(self.cell) - int(np.searchsorted(self.cell, np.uint64(1)))

    def renewed(self, version: int, gone: Ints, come: PointStore) -> PointStore:
        """The store at a later version: rows with the fids `gone` left out, those of `come` added."""
        codes = tuple(dict.fromkeys((*self.codes, *come.codes)))
        place = {text: n for n, text in enumerate(codes)}
        number = np.array([place[text] for text in come.codes], np.int32)
        come = PointStore(version, come.fid, come.lon, come.lat, come.cell, number[come.code], codes)
        leaves = np.isin(self.fid, gone)
        left = self._only(leaves)
        stays = ~leaves
        renewed = self._sorted(
            version,
            np.concatenate([self.fid[stays], come.fid]),
            np.concatenate([self.lon[stays], come.lon]),
            np.concatenate([self.lat[stays], come.lat]),
            np.concatenate([self.cell[stays], come.cell]),
            np.concatenate([self.code[stays], come.code]),
            codes,
        )
        for resolution, level in list(self._levels.items()):
            if len(level.cell) > _CARRIED_ROWS:
                continue
            renewed._levels[resolution] = level.changed(left.level(resolution), come.level(resolution))
        return renewed

    def level(self, resolution: int) -> Level:
        """The counts at a resolution, made when first asked for; safe to ask from several threads."""
        found = self._levels.get(resolution)
        if found is None:
            with self._making:
                found = self._levels.get(resolution)
                if found is None:
                    first = len(self.cell) - self.placed
                    cells, code = self._cells(resolution, first), self.code[first:].astype(np.int64)
                    found = _level(resolution, cells, code, np.ones(len(cells), np.int64))
                    if len(found.cell) <= _KEPT_ROWS:
                        self._levels[resolution] = found
                    else:
                        self._large.add(resolution)
        return found

    def around(self, resolution: int, box: Box) -> tuple[PointStore, Level]:
        """Counts at a resolution that are whole for cells within a box (west, south, east, north) and their store.

        Those of all points where they are kept, else of the points in the box and the reach of a cell around it.
        """
        if resolution not in self._large:
            return self, self.level(resolution)
        west, south, east, north = box
        lon, lat = reach_degrees(resolution, max(abs(south), abs(north)))
        rows = (
            (self.lon >= west - lon) & (self.lon <= east + lon) & (self.lat >= south - lat) & (self.lat <= north + lat)
        )
        near = self._only(rows)
        return near, near.level(resolution)

    def _only(self, rows: NDArray[np.bool_]) -> PointStore:
        return PointStore(
            self.version, self.fid[rows], self.lon[rows], self.lat[rows], self.cell[rows], self.code[rows], self.codes
        )

    def _cells(self, resolution: int, first: int) -> Indexes:
        """The library's cell of each point from row `first` on."""
        if resolution == FINEST:
            return self.cell[first:]
        lon, lat = self.lon[first:], self.lat[first:]
        guess = parents(self.cell[first:], resolution)
        starts = _starts(guess)
        if len(starts) * _SHARED_BY >= len(guess):
            return cells_of(lon, lat, resolution)
        # Guesses ascend with the finest cells, so that points of one outline lie together.
        of_outline = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(guess))))
        (doubtful,) = np.nonzero(~_inside(_edges(guess[starts]), of_outline, lon, lat))
        guess[doubtful] = cells_of(lon[doubtful], lat[doubtful], resolution)
        return guess


def aggregate(store: PointStore, resolution: int, west: float, south: float, east: float, north: float) -> Cells:
    """The cells whose centre lies in a box, edges west and south included, east and north not, with all their points.

    Boxes that share no area share no cell, and the counts of boxes that cover the globe add up to `store.placed`. West
    greater than east means across the antimeridian.
    """
    level = store.level(resolution)
    lon, lat = level.centres
    between = (lon >= west) & (lon < east) if west <= east else (lon >= west) | (lon < east)
    return picked(store, level, between & (lat >= south) & (lat < north))


def fitting_resolution(store: PointStore, box: Box | None = None, least: int = 200, most: int = 2_000) -> int:
    """The coarsest resolution with `least` occupied cells, but none so fine that the points' box would hold `most`.

    Only points in `box` (west, south, east, north) are looked at, where one is given. So a dense layer gets 200 to
    about 2,000 cells, and one of few points hexagons of a size that can still be seen.
    """
    first = len(store.cell) - store.placed
    lon, lat, cells = store.lon[first:], store.lat[first:], store.cell[first:]
    if box is not None:
        west, south, east, north = box
        inside = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
        lon, lat, cells = lon[inside], lat[inside], cells[inside]
    if len(cells) == 0:
        return 0
    south, north = float(lat.min()), float(lat.max())
    width = math.radians(float(lon.max() - lon.min())) * math.cos(math.radians((south + north) / 2))
    area_km2 = 6_371.0**2 * width * math.radians(north - south)
    for resolution in range(FINEST):
        if area_km2 / h3.average_hexagon_area(resolution, unit="km^2") >= most:
            return resolution
        if len(_starts(parents(cells, resolution))) >= least:
            return resolution
    # All in one place: buildings rather than square metres.
    return FINEST if area_km2 > 0 else _ONE_PLACE


def reach_degrees(resolution: int, latitude: float) -> tuple[float, float]:
    """Degrees of longitude and latitude that no point of a cell is farther than from its centre, at this latitude."""
    metres = 2 * h3.average_hexagon_edge_length(resolution, unit="m")
    lat = math.degrees(metres / 6_371_007)
    return lat / max(math.cos(math.radians(min(abs(latitude) + lat, 90.0))), 1e-6), lat


def picked(store: PointStore, level: Level, chosen: NDArray[np.bool_]) -> Cells:
    """Those of a level's cells that `chosen` marks, with all their points by code."""
    cells, totals = level.cells[chosen], level.totals[chosen]
    if len(store.codes) == 1:
        return Cells(level.resolution, cells, totals, [None] * len(cells), [{} for _ in cells])
    sizes = np.diff(np.append(level.starts, len(level.cell)))
    rows = np.nonzero(np.repeat(chosen, sizes))[0]
    rank = np.argsort(np.argsort(np.array(store.codes, dtype=object), kind="stable"), kind="stable")
    place = np.repeat(np.arange(len(cells)), sizes[chosen])
    order = rows[np.lexsort((rank[level.code[rows]], -level.count[rows], place))]
    mix: list[dict[str, int]] = [{} for _ in cells]
    for at, code, count in zip(place.tolist(), level.code[order].tolist(), level.count[order].tolist(), strict=True):
        mix[at][store.codes[code]] = count
    return Cells(level.resolution, cells, totals, [next((c for c in m if c), None) for m in mix], mix)


def _level(resolution: int, cell: Indexes, code: Ints, count: Ints) -> Level:
    """Rows summed by cell and code; what comes to nothing is left out."""
    if len(cell) == 0:
        return Level(resolution, cell, code, count)
    order = np.lexsort((code, cell))
    cell, code, count = cell[order], code[order], count[order]
    first = np.flatnonzero(np.concatenate([[True], (cell[1:] != cell[:-1]) | (code[1:] != code[:-1])]))
    count = np.add.reduceat(count, first)
    kept = first[count != 0]
    return Level(resolution, cell[kept], code[kept], count[count != 0])


def _starts(ordered: Indexes) -> Ints:
    if len(ordered) == 0:
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def _edges(cells: Indexes) -> Floats:
    """Per cell the normals of its edges' great circles, pointing inside: shape (cells, edges, 3), repeated to fill."""
    rings = [np.radians(h3.cell_to_boundary(c)) for c in cells.tolist()]
    most = max(map(len, rings))
    vertices = np.array([np.concatenate([r, np.repeat(r[:1], most - len(r), axis=0)]) for r in rings])
    points = _on_sphere(vertices[..., 1], vertices[..., 0])
    normals = np.cross(points, np.roll(points, -1, axis=1))
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    # Where a vertex is repeated there is no edge; the first one stands in.
    whole = length > 1e-15
    return np.where(whole, normals / np.where(whole, length, 1), normals[:, :1] / length[:, :1])


def _inside(edges: Floats, of_outline: Ints, lon: Floats, lat: Floats) -> NDArray[np.bool_]:
    inside = np.ones(len(lon), bool)
    for rows in _blocks(len(lon), 65_536):
        at = _on_sphere(np.radians(lon[rows]), np.radians(lat[rows]))
        outlines = of_outline[rows]
        for edge in range(edges.shape[1]):
            inside[rows] &= np.einsum("ij,ij->i", edges[outlines, edge], at) > _INSIDE
    return inside


def _blocks(length: int, size: int) -> Iterable[slice]:
    return (slice(begin, begin + size) for begin in range(0, length, size))


def _on_sphere(lon: Floats, lat: Floats) -> Floats:
    around = np.cos(lat)
    return np.stack([around * np.cos(lon), around * np.sin(lon), np.sin(lat)], axis=-1)
