# SPDX-License-Identifier: Apache-2.0
"""Unit grids made for a community that has none: cut along roads, water and walls, merged to about 10,000 m2, numbered.

The community is taken apart by the lines that run through it, so that what comes out covers it without gaps and
overlaps. Pieces that share a building or have a component on the line between them are put together first, small ones
are joined to the neighbour with the longest border and the weakest line between, and what is too large is halved where
no building stands. All EPSG:4490, longitude before latitude; the figures are the house's, after the principle of ten
thousand square metres (GB/T 30428.1).
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.errors import InvalidParameter, TooLarge
from geocloud.grids.ground import areal, flattened, on_plane
from geocloud.grids.unit_order import expected_order

__all__ = ["Lines", "Made", "make", "number"]

Array = NDArray[Any]
Ints = NDArray[np.int64]

TARGET_M2 = 10_000.0
# Shares of the target: below the first a piece is joined, up to the second pieces are joined, and beyond the third,
# the most that G8 lets pass, one is halved. What is below the last, the least of G8, is joined whatever comes of it.
_SMALL, _JOINED, _HALVED, _LEAST = 0.6, 1.6, 5.0, 0.2
_LARGEST_NUMBER = 999
_ON_LINE_M = 0.05
_OVER_M = 0.001
# Where along the longer side a piece may be halved.
_CUTS = np.array([0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65])


@dataclass(frozen=True)
class Lines:
    """Lines to cut along and how much each divides, 1 (a path) to 5 (a river, a trunk road)."""

    shape: Array = field(default_factory=lambda: np.empty(0, object))
    weight: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class Made:
    """Grids in the order of their numbers, and buildings (by position in what was given) that had to be cut."""

    shape: Array
    number: Ints
    cut: Ints

    def codes(self, community: str) -> list[str]:
        """The fifteen digits of each."""
        return [f"{community}{n:03d}" for n in self.number.tolist()]


def make(
    community: Any,
    lines: Lines,
    buildings: Array | None = None,
    components: Array | None = None,
    *,
    target: float = TARGET_M2,
    taken: Collection[int] = (),
    row_m: float = 50.0,
    most: int = 20_000,
) -> Made:
    """Unit grids of a community's polygon; `taken` are numbers given before, which are never given again.

    Raises InvalidParameter where the polygon is none or would need numbers above 999, TooLarge where the lines cut it
    into more than `most` pieces.
    """
    if community is None or community.geom_type not in ("Polygon", "MultiPolygon") or not community.is_valid:
        raise InvalidParameter(
            "The community has no valid polygon.", "该社区没有有效的面。",
            todo_en="Repair or load its boundary first.", todo_zh="请先修复或导入其界线。", parameter="community",
        )  # fmt: skip
    houses = buildings if buildings is not None else np.empty(0, object)
    things = components if components is not None else np.empty(0, object)
    faces = _faces(community, lines.shape)
    if len(faces) > most:
        raise TooLarge(
            f"The lines cut the community into {len(faces):,} pieces, more than {most:,}.",
            f"社区被线划分为 {len(faces):,} 块,超过 {most:,}。",
            todo_en="Leave out the smallest lines.", todo_zh="请去掉最次要的线。", maximum=most,
        )  # fmt: skip
    together = np.concatenate([faces, lines.shape, houses, things])
    flat, scale = flattened(together)
    ends = np.cumsum([len(faces), len(lines.shape), len(houses), len(things)])
    plane, line, house, thing = np.split(flat, ends[:-1])
    joined = _joined(plane, Lines(line, lines.weight), house, thing, target)
    cells = np.array([shapely.union_all(faces[rows]) for rows in joined], object)
    cells = _halved(community, cells, houses, target, scale)
    return Made(*number(cells, taken, row_m), _cut(cells, houses))


def number(cells: Array, taken: Collection[int] = (), row_m: float = 50.0) -> tuple[Array, Ints]:
    """The cells in their order, west to east and north to south, and their numbers: those behind the highest taken."""
    first = max(taken, default=0) + 1
    if first + len(cells) - 1 > _LARGEST_NUMBER:
        raise InvalidParameter(
            f"The community would need grids up to number {first + len(cells) - 1}.",
            f"该社区的网格编号将达 {first + len(cells) - 1},超过 999。",
            todo_en="Numbers end at 999: choose a larger target area, or divide the community.",
            todo_zh="编号最大为 999:请增大目标面积,或拆分社区。", parameter="target", maximum=_LARGEST_NUMBER,
        )  # fmt: skip
    order = np.argsort(expected_order(cells, row_m))
    return cells[order], np.arange(first, first + len(cells))


def _faces(community: Any, lines: Array) -> Array:
    """The community taken apart by the lines that run through it."""
    near = lines[shapely.intersects(lines, community)] if len(lines) else lines
    inside = shapely.intersection(near, community)
    noded = shapely.union_all(np.append(inside, shapely.boundary(community)))
    found = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    shapely.prepare(community)
    within = found[shapely.intersects(community, shapely.point_on_surface(found))]
    return np.asarray(within if len(within) else shapely.get_parts(community), dtype=object)


def _joined(plane: Array, lines: Lines, houses: Array, things: Array, target: float) -> list[Ints]:
    """Faces by the grid they become part of."""
    root = np.arange(len(plane))

    def of(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = int(root[i])
        return i

    area = shapely.area(plane)
    members: dict[int, list[int]] = {i: [i] for i in range(len(plane))}
    border: dict[int, dict[int, tuple[float, float]]] = {i: {} for i in range(len(plane))}
    for i, j, length, weight in _borders(plane, lines):
        border[i][j] = border[j][i] = (length, weight)

    def join(i: int, j: int) -> int:
        root[j] = i
        area[i] += area[j]
        members[i] += members.pop(j)
        for k, (length, weight) in border.pop(j).items():
            border[k].pop(j, None)
            if k != i:
                old_length, old = border[i].get(k, (0.0, 0.0))
                both = old_length + length
                mean = (old * old_length + weight * length) / both
                border[i][k] = border[k][i] = (both, mean)
        border[i].pop(j, None)
        return i

    most = _HALVED * target
    for i, j in _shared(plane, houses, things):
        a, b = of(i), of(j)
        if a != b and b in border[a] and area[a] + area[b] <= most:
            join(a, b)
    small = [(float(area[i]), i) for i in members if area[i] < _SMALL * target]
    heapq.heapify(small)
    while small:
        size, i = heapq.heappop(small)
        if i not in members or size != area[i]:
            continue
        # The longest border with the weakest line, as long as the two are not too large together.
        fitting = [k for k in border[i] if area[k] + area[i] <= _JOINED * target]
        if fitting:
            best = max(fitting, key=lambda k: border[i][k][0] / border[i][k][1])
        else:
            best = min(border[i], key=lambda k: float(area[k]), default=-1)
            if best < 0 or (area[best] + area[i] > most and size >= _LEAST * target):
                continue
        kept = join(best, i)
        if area[kept] < _SMALL * target:
            heapq.heappush(small, (float(area[kept]), kept))
    return [np.array(rows) for rows in members.values()]


def _borders(plane: Array, lines: Lines) -> list[tuple[int, int, float, float]]:
    """Pairs of faces, the metres of border between them, and the weight of the line it runs along."""
    a, b = shapely.STRtree(plane).query(plane, predicate="touches")
    a, b = a[a < b], b[a < b]
    shared = shapely.intersection(plane[a], plane[b])
    length = shapely.length(shared)
    a, b, shared, length = a[length > 0], b[length > 0], shared[length > 0], length[length > 0]
    weight = np.ones(len(a))
    if len(lines.shape) and len(a):
        middle = shapely.point_on_surface(shared)
        at, of = shapely.STRtree(lines.shape).query(middle, predicate="dwithin", distance=_ON_LINE_M)
        np.maximum.at(weight, at, lines.weight[of])
    return list(zip(a.tolist(), b.tolist(), length.tolist(), weight.tolist(), strict=True))


def _shared(plane: Array, houses: Array, things: Array) -> list[tuple[int, int]]:
    """Pairs of faces that a building stands in, or a component on the line between."""
    tree = shapely.STRtree(plane)
    pairs: list[tuple[int, int]] = []
    for shapes, predicate, distance in ((houses, "overlaps", None), (things, "dwithin", _ON_LINE_M)):
        if not len(shapes):
            continue
        at, of = tree.query(shapes, predicate=predicate, distance=distance)
        order = np.lexsort((of, at))
        at, of = at[order], of[order]
        same = at[1:] == at[:-1]
        pairs += zip(of[:-1][same].tolist(), of[1:][same].tolist(), strict=True)
    return pairs


def _halved(community: Any, cells: Array, houses: Array, target: float, scale: NDArray[np.float64]) -> Array:
    """Cells that are too large in halves, until none is."""
    tree = shapely.STRtree(on_plane(houses, scale)) if len(houses) else None
    cuts: list[Any] = []
    waiting = [p for c in cells for p in shapely.get_parts(c)]
    while waiting:
        cell = waiting.pop()
        if on_plane(cell, scale).area > _HALVED * target:
            best: tuple[float, list[Any], list[Any]] = (0.0, [], [])
            for lines in _across(cell, tree, scale):
                halves = _inside(cell, shapely.union_all([shapely.boundary(cell), *lines]))
                least = min(on_plane(h, scale).area for h in halves) if len(halves) > 1 else 0.0
                if least > best[0]:
                    best = least, lines, halves
                if least >= _LEAST * target:
                    break
            cuts += best[1]
            waiting += best[2]
    if not cuts:
        return cells
    # All borders and cuts at once, so that a cut's end is a corner of the cell beyond too.
    return np.array(_inside(community, shapely.union_all([*shapely.boundary(cells), *cuts])), object)


def _inside(area: Any, lines: Any) -> list[Any]:
    """The parts of an area between lines; ends that lead nowhere are left out."""
    shapely.prepare(area)
    parts = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    return list(parts[shapely.intersects(area, shapely.point_on_surface(parts))])


def _across(cell: Any, tree: shapely.STRtree | None, scale: NDArray[np.float64]) -> list[list[Any]]:
    """Lines across a cell's longer side in their parts within the cell, where the fewest buildings stand first: the
    longest part of each, and then, for cells with bays and holes, all parts."""
    flat = on_plane(cell, scale)
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(flat))[:4]
    sides = np.hypot(*(corners[1:3] - corners[0:2]).T)
    p, q, r = (corners[0], corners[1], corners[3]) if sides[0] >= sides[1] else (corners[1], corners[2], corners[0])
    along, across = q - p, r - p
    ends = [(p + t * along - 0.1 * across, p + t * along + 1.1 * across) for t in _CUTS]
    lines = shapely.linestrings(np.array(ends))
    hit = np.zeros(len(lines))
    if tree is not None:
        at, _ = tree.query(shapely.intersection(lines, flat), predicate="crosses")
        hit = np.bincount(at, minlength=len(lines)).astype(float)
    # A little longer than the cell on both sides: what ends on a border by calculation may end short of it.
    unit = across / np.hypot(*across) * _OVER_M
    longest, every = [], []
    for k in np.argsort(hit, kind="stable").tolist():
        parts = [g for g in shapely.get_parts(shapely.intersection(lines[k], flat)) if g.geom_type == "LineString"]
        ends = [shapely.get_coordinates(g)[[0, -1]] for g in sorted(parts, key=shapely.length, reverse=True)]
        made = [on_plane(shapely.linestrings([a - unit, b + unit]), 1 / scale) for a, b in ends]
        longest.append(made[:1])
        if len(made) > 1:
            every.append(made)
    return longest + every


def _cut(cells: Array, houses: Array) -> Ints:
    if not len(houses):
        return np.empty(0, np.int64)
    at, of = shapely.STRtree(cells).query(houses, predicate="intersects")
    flat, _ = flattened(areal(shapely.intersection(houses[at], cells[of])))
    inside = shapely.area(flat) > 1.0
    return np.flatnonzero(np.bincount(at[inside], minlength=len(houses)) > 1)
