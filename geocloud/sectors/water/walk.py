# SPDX-License-Identifier: Apache-2.0
"""Ways through a river network (河网追踪): everything upstream or downstream of a place, and the way between two."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from geocloud.sectors.water.network import Network, Spot

__all__ = ["Direction", "Part", "between", "distance_to", "walk"]

Direction = Literal["upstream", "downstream"]
_EXACT_M = 1e-6


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an edge that is walked: from `a` to `b` metres from its upper end, a < b; `near` metres from where the
    walk began to where the part is entered; `upward` where it is walked against the line."""

    edge: int
    a: float
    b: float
    near: float
    upward: bool

    @property
    def far(self) -> float:
        return self.near + self.b - self.a


def _arcs(network: Network, node: int, direction: Direction) -> Iterator[tuple[int, int, bool]]:
    """Edges that leave a node in the direction of the walk: number, node at the other end, whether against the line."""
    ahead, behind = network.out_of[node], network.into[node]
    down = direction == "downstream"
    for i in ahead if down else behind:
        e = network.edges[i]
        yield (i, e.end, False) if down else (i, e.start, True)
    for i in behind if down else ahead:
        e = network.edges[i]
        if e.line.two_way:
            yield (i, e.start, True) if down else (i, e.end, False)


def _first(network: Network, start: Spot, direction: Direction) -> list[tuple[Part, int]]:
    """The parts of the edge where the walk begins, each with the node it leads to."""
    e = network.edges[start.edge]
    down = Part(start.edge, start.along, e.length, 0.0, False), e.end
    up = Part(start.edge, 0.0, start.along, 0.0, True), e.start
    return [down, up] if e.line.two_way else [down] if direction == "downstream" else [up]


def walk(network: Network, start: Spot, direction: Direction, most_m: float = math.inf) -> list[Part]:
    """Every part reached from a place, nearest first, by the shortest way to each and not farther than `most_m`."""
    begun = _first(network, start, direction)
    best: dict[int, float] = {}
    heap = [(part.far, node) for part, node in begun]
    heapq.heapify(heap)
    entries: dict[int, list[tuple[float, bool]]] = {}
    while heap:
        far, node = heapq.heappop(heap)
        if node in best or far > most_m:
            continue
        best[node] = far
        for i, there, upward in _arcs(network, node, direction):
            entries.setdefault(i, []).append((far, upward))
            heapq.heappush(heap, (far + network.edges[i].length, there))
    found = [part for part, _ in begun]
    for i, ways in entries.items():
        if i == start.edge:
            found += _rest(network.edges[i].length, found, ways)
        else:
            found += _whole(i, network.edges[i].length, ways)
    cut = (_cut(p, most_m) for p in found if p.near <= most_m)
    return sorted((p for p in cut if p.b - p.a > _EXACT_M), key=lambda p: (p.near, p.edge))


def _whole(edge: int, length: float, ways: list[tuple[float, bool]]) -> list[Part]:
    """An edge by the ways into it: from both its ends each part by the shorter one."""
    if len({upward for _, upward in ways}) == 1:
        near, upward = min(ways)
        return [Part(edge, 0.0, length, near, upward)]
    down, up = (min(near for near, upward in ways if upward is way) for way in (False, True))
    middle = min(max((up - down + length) / 2, 0.0), length)
    return [Part(edge, 0.0, middle, down, False), Part(edge, middle, length, up, True)]


def _rest(length: float, begun: list[Part], ways: list[tuple[float, bool]]) -> list[Part]:
    """What the walk adds to the edge it began on, when it comes round to it."""
    if len(begun) > 1:
        return []
    (first,), (near, upward) = begun, min(ways)
    a, b = (first.b, length) if first.upward else (0.0, first.a)
    return [Part(first.edge, a, b, near, upward)]


def _cut(part: Part, most_m: float) -> Part:
    left = most_m - part.near
    if part.b - part.a <= left:
        return part
    if part.upward:
        return Part(part.edge, part.b - left, part.b, part.near, True)
    return Part(part.edge, part.a, part.a + left, part.near, False)


def distance_to(parts: list[Part], spot: Spot) -> float | None:
    """Metres along the walk to a place; None where the walk does not come there."""
    found = [
        p.near + (p.b - spot.along if p.upward else spot.along - p.a)
        for p in parts
        if p.edge == spot.edge and p.a - _EXACT_M <= spot.along <= p.b + _EXACT_M
    ]
    return max(0.0, min(found)) if found else None


def between(network: Network, start: Spot, end: Spot) -> list[Part] | None:
    """The shortest way downstream from one place to another, in order; None where there is none."""
    e = network.edges[start.edge]
    if start.edge == end.edge:
        if start.along <= end.along:
            return [Part(start.edge, start.along, end.along, 0.0, False)]
        if e.line.two_way:
            return [Part(start.edge, end.along, start.along, 0.0, True)]
    heap: list[tuple[float, int, int]] = []
    best: dict[int, tuple[float, Part, int]] = {}
    tick = 0
    waiting: list[tuple[Part, int]] = []
    for part, node in _first(network, start, "downstream"):
        waiting.append((part, -1))
        heapq.heappush(heap, (part.far, tick, node))
        tick += 1
    goal: tuple[float, Part, int] | None = None
    while heap:
        far, k, node = heapq.heappop(heap)
        if node in best or (goal is not None and far >= goal[0]):
            continue
        part, before = waiting[k]
        best[node] = (far, part, before)
        for i, there, upward in _arcs(network, node, "downstream"):
            length = network.edges[i].length
            if i == end.edge:
                last = Part(i, end.along, length, far, True) if upward else Part(i, 0.0, end.along, far, False)
                if goal is None or last.far < goal[0]:
                    goal = (last.far, last, node)
            waiting.append((Part(i, 0.0, length, far, upward), node))
            heapq.heappush(heap, (far + length, tick, there))
            tick += 1
    if goal is None:
        return None
    way, node = [goal[1]], goal[2]
    while node >= 0:
        _, part, node = best[node]
        way.append(part)
    return [p for p in reversed(way) if p.b - p.a > _EXACT_M]
