# SPDX-License-Identifier: Apache-2.0
"""Ways through a river network (河网追踪): everything upstream or downstream of a place, and the way between two."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from geocloud.sectors.water.network import NODE_M, Network, Spot

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
    """The parts of the edge where the walk begins, each with the node it leads to; none at a node."""
    if network.node_at(start) is not None:
        return []
    e = network.edges[start.edge]
    down = Part(start.edge, start.along, e.length, 0.0, False), e.end
    up = Part(start.edge, 0.0, start.along, 0.0, True), e.start
    return [down, up] if e.line.two_way else [down] if direction == "downstream" else [up]


def walk(network: Network, start: Spot, direction: Direction, most_m: float = math.inf) -> list[Part]:
    """Every part reached from a place, nearest first, by the shortest way to each and not farther than `most_m`. A
    place at a node belongs to every edge there."""
    begun = _first(network, start, direction)
    node_there = network.node_at(start)
    best: dict[int, float] = {}
    heap = [(part.far, node) for part, node in begun] if node_there is None else [(0.0, node_there)]
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
        if begun and i == start.edge:
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


def distance_to(network: Network, parts: list[Part], spot: Spot) -> float | None:
    """Metres along the walk to a place; None where the walk does not come there."""
    node = network.node_at(spot)
    places = {spot.edge: spot.along}
    if node is not None:
        places |= {i: network.edges[i].length for i in network.into[node]} | dict.fromkeys(network.out_of[node], 0.0)
    found = [
        p.near + (p.b - places[p.edge] if p.upward else places[p.edge] - p.a)
        for p in parts
        if p.edge in places and p.a - NODE_M <= places[p.edge] <= p.b + NODE_M
    ]
    return max(0.0, min(found)) if found else None


def between(network: Network, start: Spot, end: Spot) -> list[Part] | None:
    """The shortest way downstream from one place to another, in order; None where there is none."""
    first, last = network.node_at(start), network.node_at(end)
    if first is None and last is None and start.edge == end.edge:
        if start.along <= end.along:
            return [Part(start.edge, start.along, end.along, 0.0, False)]
        if network.edges[start.edge].line.two_way:
            return [Part(start.edge, end.along, start.along, 0.0, True)]
    # Ways begun: what is walked last, and the node before it.
    ways: list[tuple[Part | None, int]] = [(p, -1) for p, _ in _first(network, start, "downstream")] or [(None, -1)]
    nodes = [n for _, n in _first(network, start, "downstream")] or [first if first is not None else -1]
    heap = [(0.0 if p is None else p.far, k, n) for k, ((p, _), n) in enumerate(zip(ways, nodes, strict=True))]
    heapq.heapify(heap)
    best: dict[int, tuple[Part | None, int]] = {}
    goal: tuple[float, Part | None, int] | None = None
    while heap:
        far, k, node = heapq.heappop(heap)
        if node in best or (goal is not None and far >= goal[0]):
            continue
        best[node] = ways[k]
        if node == last:
            goal = far, None, node
            continue
        for i, there, upward in _arcs(network, node, "downstream"):
            length = network.edges[i].length
            if last is None and i == end.edge:
                part = Part(i, end.along, length, far, True) if upward else Part(i, 0.0, end.along, far, False)
                goal = min(goal or (math.inf, None, -1), (part.far, part, node), key=lambda g: g[0])
            heapq.heappush(heap, (far + length, len(ways), there))
            ways.append((Part(i, 0.0, length, far, upward), node))
    return None if goal is None else _back(best, goal[1], goal[2])


def _back(best: dict[int, tuple[Part | None, int]], last: Part | None, node: int) -> list[Part]:
    """The parts of a way from its end, in order."""
    way = [last]
    while node >= 0:
        piece, node = best[node]
        way.append(piece)
    return [p for p in reversed(way) if p is not None and p.b - p.a > _EXACT_M]
