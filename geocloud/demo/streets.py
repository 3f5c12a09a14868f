# SPDX-License-Identifier: Apache-2.0
"""Streets of the demo city: a connected planar graph, and the blocks between them.

Blocks are the leaves of a quadtree that is split where more people live; streets are their sides. A street ends where
a block has a corner, so crossings and T-junctions are nodes of the graph. The lattice is bent afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely

from geocloud.demo.facts import SIZES, Floats, Ints
from geocloud.demo.land import BOX, Land, bend

__all__ = ["Blocks", "Segments", "Streets"]

# Metres of the smallest block's side.
UNIT = 150.0
CLASSES = ("trunk", "arterial", "secondary", "branch", "residential")


@dataclass(frozen=True)
class Blocks:
    """Leaves: lattice column, row and side in units, and how built-up each is."""

    col: Ints
    row: Ints
    side: Ints
    density: Floats

    @property
    def area(self) -> Floats:
        """Square metres before bending."""
        return (self.side * UNIT) ** 2


@dataclass(frozen=True)
class Segments:
    """Street segments: start node (col, row), direction (0 east, 1 north), length in units, class number."""

    col: Ints
    row: Ints
    north: Ints
    length: Ints
    rank: Ints


@dataclass(frozen=True)
class Streets:
    """One city's streets."""

    land: Land

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Lattice columns and rows, a whole number of the largest blocks."""
        top = 2 ** SIZES[self.land.size].street_levels
        return tuple(int(np.ceil((b - a) / UNIT / top)) * top for a, b in ((BOX[0], BOX[2]), (BOX[1], BOX[3])))  # type: ignore[return-value]

    def place(self, col: Floats, row: Floats) -> tuple[Floats, Floats]:
        """Bent plane metres of lattice positions."""
        return bend(self.land.city, BOX[0] + col * UNIT, BOX[1] + row * UNIT)

    @cached_property
    def _tree(self) -> list[tuple[Ints, Ints, Floats, Floats]]:
        """All blocks that could be, level by level: column, row, density, and the priority of splitting them."""
        size = SIZES[self.land.size]
        top = 2**size.street_levels
        col, row = (a.ravel() for a in np.meshgrid(np.arange(0, self.shape[0], top), np.arange(0, self.shape[1], top)))
        levels = []
        allowed = np.full(col.shape, np.inf)
        for level in range(size.street_levels + 1):
            side = top >> level
            x, y = self.place(col + side / 2, row + side / 2)
            inside = shapely.contains_xy(self.land.outline, x, y)
            if level <= 1:
                inside |= self._touches(col, row, side)
            col, row, x, y, allowed = (a[inside] for a in (col, row, x, y, allowed))
            density = self.land.density(x, y)
            if level < 3:
                density = np.maximum(density, self._peak(col, row, side))
            # A block is split only after the one it is part of: its priority is never above its parent's.
            priority = np.minimum(density * (side * UNIT) ** size.street_lean, allowed * 0.999)
            if level < size.street_root:
                priority = np.full(col.shape, 1e12 - level)
            # A split gives at least four segments more, so no more than a quarter of them can ever be split.
            able = np.argsort(-priority, kind="stable")[: size.roads // 4 + 16]
            never = np.ones(col.shape, bool)
            never[able] = False
            priority[never] = -1.0
            levels.append((col, row, density, priority))
            half = side // 2
            col, row, priority = col[able], row[able], priority[able]
            col = np.concatenate((col, col + half, col, col + half))
            row = np.concatenate((row, row, row + half, row + half))
            allowed = np.tile(priority, 4)
        return levels

    def _touches(self, col: Ints, row: Ints, side: int) -> Any:
        hit = np.zeros(col.shape, bool)
        for dx in (0.0, 0.25, 0.5, 0.75, 1.0):
            for dy in (0.0, 0.25, 0.5, 0.75, 1.0):
                hit |= shapely.contains_xy(self.land.outline, *self.place(col + side * dx, row + side * dy))
        return hit

    def _peak(self, col: Ints, row: Ints, side: int) -> Floats:
        """The largest of some densities in a block: a town in a corner of it counts."""
        peak = np.zeros(col.shape)
        for dx in (0.15, 0.5, 0.85):
            for dy in (0.15, 0.5, 0.85):
                peak = np.maximum(peak, self.land.density(*self.place(col + side * dx, row + side * dy)))
        return peak

    def _leaves(self, threshold: float) -> Blocks:
        size = SIZES[self.land.size]
        top = 2**size.street_levels
        kept = []
        for level, (col, row, density, priority) in enumerate(self._tree):
            here = np.ones(col.shape, bool)
            if level:
                parents = self._tree[level - 1]
                split = parents[3] > threshold
                names = _names(parents[0][split], parents[1][split])
                side = top >> level
                here = np.isin(_names(col // (2 * side) * 2 * side, row // (2 * side) * 2 * side), names)
            if level < size.street_levels:
                here &= priority <= threshold
            kept.append((col[here], row[here], np.full(int(here.sum()), top >> level), density[here]))
        return Blocks(*(np.concatenate(c) for c in zip(*kept, strict=True)))

    def _paint(self, blocks: Blocks) -> tuple[Any, Any, Any]:
        """Lattice sides that are streets (eastward, northward), and lattice corners that are nodes."""
        width, height = self.shape
        east, north = np.zeros((height + 1, width + 1), bool), np.zeros((height + 1, width + 1), bool)
        node = np.zeros((height + 1, width + 1), bool)
        for side in np.unique(blocks.side):
            at = blocks.side == side
            col, row = blocks.col[at], blocks.row[at]
            for k in range(side):
                east[row, col + k] = east[row + side, col + k] = True
                north[row + k, col] = north[row + k, col + side] = True
            for dc, dr in ((0, 0), (side, 0), (0, side), (side, side)):
                node[row + dr, col + dc] = True
        return east, north, node

    @cached_property
    def blocks(self) -> Blocks:
        """Blocks that give at least the wanted number of segments, by column, then row."""
        wanted = SIZES[self.land.size].roads
        values = np.unique(np.concatenate([p for *_, p in self._tree[:-1]]))
        low, high = 0, len(values) - 1
        while low < high:
            mid = (low + high + 1) // 2
            east, north, node = self._paint(self._leaves(float(values[mid])))
            if int((node & east).sum() + (node & north).sum()) >= wanted:
                low = mid
            else:
                high = mid - 1
        found = self._leaves(float(values[low]))
        order = np.lexsort((found.row, found.col))
        return Blocks(found.col[order], found.row[order], found.side[order], found.density[order])

    @cached_property
    def segments(self) -> Segments:
        """Exactly the wanted number of segments; the graph is connected."""
        east, north, node = self._paint(self.blocks)
        spare = int((node & east).sum() + (node & north).sum()) - SIZES[self.land.size].roads
        east, north = self._without(spare, east, north, node)
        parts = [_runs(east, node), _runs(north.T, node.T)]
        row, col, length = (np.concatenate([parts[0][i], parts[1][j]]) for i, j in ((0, 1), (1, 0), (2, 2)))
        way = np.repeat([0, 1], [len(parts[0][0]), len(parts[1][0])])
        order = np.lexsort((way, col, row))
        col, row, way, length = col[order], row[order], way[order], length[order]
        return Segments(col, row, way, length, self._rank(col, row, way))

    def _without(self, spare: int, east: Any, north: Any, node: Any) -> tuple[Any, Any]:
        """Takes out `spare` sides, each the eastern arm of the crossing in the middle of four equal smallest blocks.

        The crossing stays reachable by its other arms and the far end lies on the ring round the four, so nothing
        is cut off; chosen crossings lie two blocks apart.
        """
        small = int(self.blocks.side.min())
        at = self.blocks.side == small
        names = _names(self.blocks.col[at], self.blocks.row[at])
        first = (self.blocks.col[at] % (2 * small) == 0) & (self.blocks.row[at] % (2 * small) == 0)
        col, row = self.blocks.col[at][first], self.blocks.row[at][first]
        whole = np.isin(_names(col + small, row), names) & np.isin(_names(col, row + small), names)
        whole &= np.isin(_names(col + small, row + small), names)
        col, row = col[whole][:spare] + small, row[whole][:spare] + small
        east = east.copy()
        for k in range(small):
            east[row, col + k] = False
        return east, north

    def _rank(self, col: Ints, row: Ints, way: Ints) -> Ints:
        """Class by how coarse the lattice line is that a segment lies on, and by the town around it."""
        line = np.where(way == 0, row, col)
        x, y = self.place(col + 0.5, row + 0.5)
        dense = self.land.density(x, y) > 0.25
        rank = np.full(line.shape, 4)
        for step, inner, outer in ((2, 3, 3), (4, 2, 3), (8, 1, 3), (16, 1, 2), (32, 1, 1), (64, 0, 0)):
            rank = np.where(line % step == 0, np.where(dense, inner, outer), rank)
        # Not every coarse line is a highway.
        return np.where((rank == 0) & ((line // 64 * 7 + way * 3) % 5 > 2), 1, rank)

    def lines(self, s: Segments) -> tuple[Floats, Ints]:
        """Vertices (n, 2) in bent plane metres of all segments, one every unit, and each vertex's segment number."""
        index = np.repeat(np.arange(len(s.col)), s.length + 1)
        step = np.arange(index.size) - np.repeat(np.concatenate(([0], np.cumsum(s.length + 1)[:-1])), s.length + 1)
        col, row = s.col[index] + step * (s.north[index] == 0), s.row[index] + step * (s.north[index] == 1)
        return np.column_stack(self.place(col, row)), index


def _names(col: Ints, row: Ints) -> Ints:
    return col * 100_000 + row


def _runs(street: Any, node: Any) -> tuple[Ints, Ints, Ints]:
    """Row, column and length of the runs of street along each row, from node to node."""
    starts = street & node
    row, col = np.nonzero(starts)
    # The next node on the same row: nodes and streets alternate, every run ends at a node.
    at_row, at_col = np.nonzero(node)
    width = node.shape[1]
    nodes = at_row * width + at_col
    following = nodes[np.searchsorted(nodes, row * width + col, side="right")]
    return row, col, following - (row * width + col)
