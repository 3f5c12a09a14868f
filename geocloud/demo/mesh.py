# SPDX-License-Identifier: Apache-2.0
"""Plots of the demo's plans: a bent quadtree over the district without gaps or overlaps, and its noisy second drawing.

Every plot has all corners of its neighbours on its outline, so two plots share the same vertices along their border. At
the rim plots are cut by the district's own outline.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely

from geocloud.demo.city import City
from geocloud.demo.columns import Shapes
from geocloud.demo.facts import Floats, Ints
from geocloud.demo.land import noise
from geocloud.demo.streets import UNIT

__all__ = ["NOISE_M", "TOLERANCE_M", "Mesh", "plots_wanted"]

# Lattice steps in a street unit: a step is 37.5 m.
_FINE = 4
_TOP = 128
# How far the second drawing's corners lie off, at most, and what is stated as its accuracy.
NOISE_M = 0.6
TOLERANCE_M = 1.0
# Cut pieces below it are given to the neighbour with the longest common border.
_PIECE_M2 = 2_000.0
_METRES = np.array([89_500.0, 110_950.0])
_WANTED = {"small": 900, "city": 300_000, "province": 300_000}
_LEAN = {"small": 0.8, "city": 1.7, "province": 1.7}
_LEAST = {"small": 16, "city": 1, "province": 1}


def plots_wanted(size: str) -> int:
    """Plots before the rim is cut."""
    return _WANTED[size]


@dataclass(frozen=True)
class Mesh:
    """One city's plots."""

    city: City

    @cached_property
    def district(self) -> Any:
        """The city's outline as base.city has it, lon/lat."""
        whole = self.city.land.polygons(np.zeros(len(self.city.village_town), np.int64))[0]
        shapely.prepare(whole)
        return whole

    def _lonlat(self, col: Floats, row: Floats) -> Floats:
        x, y = self._place(np.asarray(col) / _FINE, np.asarray(row) / _FINE)
        return self.city.lonlat(np.column_stack((x, y)))

    def _place(self, col: Floats, row: Floats) -> tuple[Floats, Floats]:
        """As streets lie; where there are few of them, in the small city's country, bent more."""
        x, y = self.city.streets.place(col, row)
        if self.city.size_name != "small":
            return x, y
        seats = self.city.land.seats
        far = np.min(np.hypot(x[..., None] - seats[:, 0], y[..., None] - seats[:, 1]), axis=-1)
        share = np.clip((far - 3_000) / 9_000, 0, 1)
        n = self.city.number
        dx = 1_500 * noise("plots x", n, x, y, 13_000) + 330 * noise("fine plots x", n, x, y, 4_000)
        dy = 1_500 * noise("plots y", n, x, y, 13_000) + 330 * noise("fine plots y", n, x, y, 4_000)
        return x + share * dx, y + share * dy

    @cached_property
    def _leaves(self) -> tuple[Ints, Ints, Ints]:
        """Column, row and side of the quadtree's leaves that touch the district, in lattice steps."""
        width, height = (n * _FINE for n in self.city.streets.shape)
        col, row = (a.ravel() for a in np.meshgrid(np.arange(0, width, _TOP), np.arange(0, height, _TOP)))
        near = shapely.buffer(shapely.simplify(self.district, 0.002), 0.012)
        keep = shapely.intersects(near, _squares(self, col, row, _TOP))
        col, row = col[keep], row[keep]
        name = self.city.size_name
        splits = max(0, (_WANTED[name] - col.size) // 3)
        allowed = np.full(col.shape, np.inf)
        levels = []
        side = _TOP
        while side >= _LEAST[name]:
            priority = np.minimum(self._density(col, row, side) * side ** _LEAN[name], allowed * 0.999)
            able = np.zeros(col.shape, bool)
            if side > _LEAST[name]:
                able[np.argsort(-priority, kind="stable")[:splits]] = True
            levels.append((col, row, np.full(col.shape, side), np.where(able, priority, -1.0)))
            half = side // 2
            col, row, priority = col[able], row[able], priority[able]
            col, row = np.r_[col, col + half, col, col + half], np.r_[row, row, row + half, row + half]
            allowed = np.tile(priority, 4)
            side = half
        scores = np.sort(np.concatenate([p for *_, p in levels]))[::-1]
        least = scores[min(splits, len(scores)) - 1]
        found, parents = [], None
        for level, (col, row, sides, priority) in enumerate(levels):
            here = np.ones(col.shape, bool)
            if level and parents is not None:
                twice = sides[0] * 2 if sides.size else 1
                here = np.isin(_name(col // twice * twice, row // twice * twice), parents)
            split = here & (priority >= max(least, 0.0))
            parents = _name(col[split], row[split])
            rest = here & ~split
            found.append(np.column_stack((col[rest], row[rest], sides[rest])))
        c, r, s = np.concatenate(found).T
        order = np.lexsort((c, r))
        return c[order], r[order], s[order]

    def _density(self, col: Ints, row: Ints, side: int) -> Floats:
        """How built-up a square is; of large ones the densest of nine places."""
        at = (0.15, 0.5, 0.85) if side > 16 else (0.5,)
        peak = np.full(col.shape, 0.0012)
        for dx in at:
            for dy in at:
                place = self._place((col + side * dx) / _FINE, (row + side * dy) / _FINE)
                peak = np.maximum(peak, self.city.land.density(*place))
        return peak

    @cached_property
    def _rings(self) -> tuple[Ints, Ints, Ints]:
        """Node number of each vertex of the leaves' open rings, each vertex's leaf, and the nodes' names."""
        col, row, side = self._leaves
        n = np.arange(len(col))
        corners = [(col, row), (col + side, row), (col + side, row + side), (col, row + side)]
        by_row = np.unique(np.concatenate([_name(c, r) for c, r in corners]))
        by_col = np.sort(_swap(by_row))
        parts: list[tuple[Ints, Ints, Ints, Ints]] = []
        for k, (c, r) in enumerate(corners):
            flat = k % 2 == 0
            keys, start = (by_row, _name(c, r)) if flat else (by_col, _swap(_name(c, r)))
            # From the corner on, along the side, up to the next corner without it.
            forward = k < 2
            low = np.searchsorted(keys, start if forward else start - side, side="left" if forward else "right")
            high = np.searchsorted(keys, start + side if forward else start, side="left" if forward else "right")
            count = high - low
            leaf = np.repeat(n, count)
            step = np.arange(leaf.size) - np.repeat(np.cumsum(count) - count, count)
            at = keys[low[leaf] + step] if forward else keys[high[leaf] - 1 - step]
            parts.append((leaf, np.full(leaf.size, k), step, at if flat else _swap(at)))
        leaf, corner, along, name = (np.concatenate([p[i] for p in parts]) for i in range(4))
        order = np.lexsort((along, corner, leaf))
        return np.searchsorted(by_row, name[order]), leaf[order], by_row

    @cached_property
    def _nodes(self) -> Floats:
        """Lon/lat of the nodes."""
        name = self._rings[2]
        return self._lonlat(name % _WIDE, name // _WIDE)

    def _polygons(self, nodes: Floats, leaves: Any) -> Shapes:
        vertex, leaf, _ = self._rings
        keep = leaves[leaf]
        found = shapely.linearrings(nodes[vertex[keep]], indices=np.cumsum(leaves)[leaf[keep]] - 1)
        return np.asarray(shapely.polygons(found), dtype=object)

    @cached_property
    def _parts(self) -> tuple[Shapes, Ints, Any]:
        """The plots, the leaf of each, and which leaves lie wholly inside the district."""
        col, _, _ = self._leaves
        every = self._polygons(self._nodes, np.ones(len(col), bool))
        inside = shapely.contains_properly(self.district, every)
        rim = np.flatnonzero(~inside & shapely.intersects(self.district, every))
        lines = shapely.union_all(np.r_[shapely.boundary(every[rim]), shapely.boundary(self.district)])
        faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
        middle = shapely.point_on_surface(faces)
        faces, middle = faces[held := shapely.intersects(self.district, middle)], middle[held]
        tree = shapely.STRtree(every[rim])
        piece, owner = tree.query(middle, predicate="intersects")
        first = np.unique(piece, return_index=True)[1]
        faces, leaf = faces[piece[first]], rim[owner[first]]
        faces, leaf = _without_scraps(faces, leaf)
        faces = shapely.transform(faces, lambda at: np.round(at, 7))
        inner = np.flatnonzero(inside)
        return np.r_[every[inner], faces], np.r_[inner, leaf], inside

    @property
    def plots(self) -> Shapes:
        """Polygons of the first drawing, lon/lat; those wholly inside come first."""
        return self._parts[0]

    @cached_property
    def inner(self) -> Any:
        """Which plots are whole leaves."""
        return np.arange(len(self.plots)) < int(self._parts[2].sum())

    @cached_property
    def side_m(self) -> Floats:
        """Metres of the side of each plot's leaf, before bending."""
        return self._leaves[2][self._parts[1]] * UNIT / _FINE

    @cached_property
    def centre(self) -> Floats:
        """A place inside each plot in plane metres, (n, 2)."""
        col, row, side = (a[self._parts[1]] for a in self._leaves)
        x, y = self._place((col + side / 2) / _FINE, (row + side / 2) / _FINE)
        return np.column_stack((x, y))

    def apart(self, plots: Ints, taken: set[int], wanted: int) -> list[int]:
        """The first `wanted` whole plots of the list that share no corner with each other or with `taken` nodes."""
        vertex, leaf, _ = self._rings
        starts = np.searchsorted(leaf, np.arange(len(self._leaves[0]) + 1))
        kept: list[int] = []
        for plot in plots.tolist():
            if len(kept) == wanted:
                break
            if self.inner[plot]:
                own = self._parts[1][plot]
                nodes = set(vertex[starts[own] : starts[own + 1]].tolist())
                if not nodes & taken:
                    taken |= nodes
                    kept.append(plot)
        return kept

    def redrawn(self, fixed: Ints) -> Shapes:
        """The second drawing: corners moved by up to NOISE_M, but not those of `fixed` plots and of the rim."""
        vertex, leaf, names = self._rings
        still = np.zeros(len(names), bool)
        hold = ~self._parts[2]
        hold[self._parts[1][fixed]] = True
        still[vertex[hold[leaf]]] = True
        rng = self.city.stream("second drawing")
        turn, reach = rng.random(len(names)) * 2 * np.pi, NOISE_M * np.sqrt(rng.random(len(names)))
        shift = np.column_stack((np.cos(turn), np.sin(turn))) * reach[:, None] / _METRES
        moved = np.where(still[:, None], self._nodes, np.round(self._nodes + shift, 7))
        inner = self._polygons(moved, self._parts[2])
        return np.asarray(np.r_[inner, self.plots[len(inner) :]])


_WIDE = 1 << 20


def _name(col: Ints, row: Ints) -> Ints:
    return np.asarray(row, np.int64) * _WIDE + col


def _swap(name: Ints) -> Ints:
    return np.asarray(name % _WIDE * _WIDE + name // _WIDE)


def _squares(mesh: Mesh, col: Ints, row: Ints, side: int) -> Shapes:
    places = [mesh._lonlat(col + dc, row + dr) for dc, dr in ((0, 0), (side, 0), (side, side), (0, side))]
    return np.asarray(shapely.polygons(np.stack(places, axis=1)), dtype=object)


def _without_scraps(faces: Shapes, leaf: Ints) -> tuple[Shapes, Ints]:
    """Small cut pieces joined to the neighbour with the longest common border."""
    faces = faces.copy()
    least = _PIECE_M2 / float(np.prod(_METRES))
    alive = np.ones(len(faces), bool)
    tree = shapely.STRtree(faces)
    for i in np.flatnonzero(shapely.area(faces) < least).tolist():
        near = [j for j in tree.query(faces[i], predicate="intersects").tolist() if j != i and alive[j]]
        shared = shapely.length(shapely.intersection(shapely.boundary(faces[near]), shapely.boundary(faces[i])))
        if near and shared.max() > 0:
            into = near[int(np.argmax(shared))]
            joined = shapely.union(faces[into], faces[i])
            if joined.geom_type == "Polygon":
                faces[into], alive[i] = joined, False
    return faces[alive], leaf[alive]
