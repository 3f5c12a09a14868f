# SPDX-License-Identifier: Apache-2.0
"""Rivers as a directed network (有向河网): lines digitised downstream, joined where ends meet within a tolerance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.geodesy.area import ellipsoid
from geocloud.sectors.water.common import plane

__all__ = ["NODE_M", "Edge", "Line", "Network", "Spot", "build"]

Floats = NDArray[np.float64]
_SAME_M = 1e-6
NODE_M = 1.0
"""A place that is not farther than this from a node is at it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it is delivered: its code, name, (n, 2) lon/lat downstream, ids of its nodes where it has some."""

    code: str
    name: str | None
    lonlat: Floats
    two_way: bool = False
    from_node: str | None = None
    to_node: str | None = None


@dataclass(frozen=True)
class Edge:
    """A piece of a line between two nodes; `along` are metres on the ellipsoid from its upper end to each vertex."""

    line: Line
    lonlat: Floats
    start: int
    end: int
    along: Floats

    @property
    def length(self) -> float:
        return float(self.along[-1])

    def part(self, a: float, b: float) -> Floats:
        """Its vertices between two distances from its upper end, a < b, with points put in at both."""
        inner = self.lonlat[(self.along > a + _SAME_M) & (self.along < b - _SAME_M)]
        return np.vstack((self.at(a), inner, self.at(b)))

    def at(self, distance: float) -> Floats:
        """The place so far from its upper end."""
        return np.array([[np.interp(distance, self.along, self.lonlat[:, k]) for k in (0, 1)]])


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on the network: the number of an edge, metres from its upper end, metres it was moved to there; `inside`
    where it is of that edge alone, also at its end."""

    edge: int
    along: float
    off_m: float = 0.0
    inside: bool = False


@dataclass(frozen=True)
class Network:
    """Edges and nodes; `problems` are what is wrong with the lines as a network, each with its kind and place."""

    edges: tuple[Edge, ...]
    nodes: Floats
    origin: tuple[float, float]
    problems: tuple[dict[str, Any], ...] = field(default=())

    @cached_property
    def out_of(self) -> list[list[int]]:
        """Edges that leave each node downstream."""
        return self._by(lambda e: e.start)

    @cached_property
    def into(self) -> list[list[int]]:
        """Edges that come to each node from upstream."""
        return self._by(lambda e: e.end)

    @cached_property
    def _tree(self) -> tuple[shapely.STRtree, NDArray[Any]]:
        lines = np.array([shapely.linestrings(plane(e.lonlat, self.origin)) for e in self.edges], dtype=object)
        return shapely.STRtree(lines), lines

    def _by(self, node: Any) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in range(len(self.nodes))]
        for i, e in enumerate(self.edges):
            found[node(e)].append(i)
        return found

    def node_at(self, spot: Spot) -> int | None:
        """The node that a place is at, None for one on the way."""
        e = self.edges[spot.edge]
        if spot.inside or min(spot.along, e.length - spot.along) > NODE_M:
            return None
        return e.start if spot.along <= e.length - spot.along else e.end

    def near(self, place: tuple[float, float], within_m: float, name: str | None = None) -> Spot | None:
        """The nearest place on the network within so many metres, of lines of that name if one is as near as that."""
        tree, lines = self._tree
        if not len(lines):
            return None
        point = shapely.points(plane(np.array([place], dtype=np.float64), self.origin))[0]
        found = tree.query(point, "dwithin", within_m * 1.01 + 1)
        if not len(found):
            return None
        away = shapely.distance(lines[found], point)
        order = found[np.argsort(away, kind="stable")]
        first = [i for i in order if name and self.edges[i].line.name == name] or list(order)
        spot = self._spot(int(first[0]), point, place)
        if spot.off_m > within_m and name and first[0] != order[0]:
            spot = self._spot(int(order[0]), point, place)
        return spot if spot.off_m <= within_m else None

    def _spot(self, edge: int, point: Any, place: tuple[float, float]) -> Spot:
        e, line = self.edges[edge], self._tree[1][edge]
        xy = shapely.get_coordinates(line)
        flat = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))))
        along = float(np.interp(shapely.line_locate_point(line, point), flat, e.along))
        (there,) = e.at(along)
        off = ellipsoid().inv(*place, *there)[2]
        return Spot(edge, along, float(off))

    def cycles(self) -> list[list[int]]:
        """Edges of each set of nodes that flow round to themselves; two-way edges are none."""
        owner = _strong(len(self.nodes), [(e.start, e.end) for e in self.edges if not e.line.two_way])
        found: dict[int, list[int]] = {}
        for i, e in enumerate(self.edges):
            if not e.line.two_way and owner[e.start] == owner[e.end]:
                found.setdefault(owner[e.start], []).append(i)
        return list(found.values())


def build(lines: Sequence[Line], tolerance_m: float, gap_m: float) -> Network:
    """The network of lines. Ends within `tolerance_m` of each other are one node, and so are those with one node id; an
    end within it of the inside of another line is a node there too, and that line is cut. Ends that lie farther apart,
    but not more than `gap_m`, are reported as breaks and not joined.
    """
    kept = [x for x in lines if len(x.lonlat) >= 2 and _metres(x.lonlat)[-1] > _SAME_M]
    problems: list[dict[str, Any]] = [
        {"kind": "no-line", "code": x.code} for x in lines if not any(x is k for k in kept)
    ]
    if not kept:
        return Network((), np.empty((0, 2)), (0.0, 0.0), tuple(problems))
    every = np.vstack([x.lonlat for x in kept])
    origin = (float(every[:, 0].mean()), float(every[:, 1].mean()))
    pieces = _cut(kept, origin, tolerance_m, problems)
    ends = np.array([p for _, lonlat, _, _ in pieces for p in (lonlat[0], lonlat[-1])])
    ids = [n for _, _, a, b in pieces for n in (a, b)]
    owner = _nodes(plane(ends, origin), ids, tolerance_m)
    nodes = np.array([ends[owner == n].mean(axis=0) for n in range(int(owner.max()) + 1)])
    edges = tuple(
        Edge(line, lonlat, int(owner[2 * i]), int(owner[2 * i + 1]), _metres(lonlat))
        for i, (line, lonlat, _, _) in enumerate(pieces)
    )
    network = Network(edges, nodes, origin)
    problems += _apart(ends, ids, owner, origin, tolerance_m)
    problems += _breaks(network, tolerance_m, gap_m)
    problems += _head_on(network)
    problems += [
        {"kind": "cycle", "codes": sorted({network.edges[i].line.code for i in found})} for found in network.cycles()
    ]
    return Network(edges, nodes, origin, tuple(problems))


def _metres(lonlat: Floats) -> Floats:
    """Metres on the ellipsoid from the first vertex to each."""
    steps = ellipsoid().inv(lonlat[:-1, 0], lonlat[:-1, 1], lonlat[1:, 0], lonlat[1:, 1])[2]
    return np.concatenate(([0.0], np.cumsum(steps)))


Piece = tuple[Line, Floats, str | None, str | None]


def _cut(
    lines: Sequence[Line], origin: tuple[float, float], tolerance_m: float, problems: list[dict[str, Any]]
) -> list[Piece]:
    """The lines, cut where an end of another one lies on them, away from their own ends."""
    flat = np.array([shapely.linestrings(plane(x.lonlat, origin)) for x in lines], dtype=object)
    tree = shapely.STRtree(flat)
    ends = shapely.points(np.array([plane(x.lonlat[[0, -1]], origin) for x in lines]).reshape(-1, 2))
    at: list[list[float]] = [[] for _ in lines]
    for k, i in tree.query(ends, "dwithin", tolerance_m).T:
        if k // 2 == i:
            continue
        where = float(shapely.line_locate_point(flat[i], ends[k]))
        if tolerance_m < where < float(shapely.length(flat[i])) - tolerance_m:
            at[i].append(where)
            problems.append({"kind": "joined-inside", "code": lines[k // 2].code, "on": lines[i].code})
    pieces: list[Piece] = []
    for line, shape, found in zip(lines, flat, at, strict=True):
        places = [w for j, w in enumerate(sorted(found)) if j == 0 or w - sorted(found)[j - 1] > tolerance_m]
        xy = shapely.get_coordinates(shape)
        along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))))
        stops = [0.0, *places, float(along[-1])]
        for j, (a, b) in enumerate(zip(stops[:-1], stops[1:], strict=True)):
            put_in = [[np.interp(w, along, line.lonlat[:, c]) for c in (0, 1)] for w in (a, b)]
            inner = line.lonlat[(along > a + _SAME_M) & (along < b - _SAME_M)]
            first = line.from_node if j == 0 else None
            last = line.to_node if j == len(stops) - 2 else None
            pieces.append((line, np.vstack((put_in[:1], inner, put_in[1:])), first, last))
    return pieces


def _nodes(xy: Floats, ids: Sequence[str | None], tolerance_m: float) -> NDArray[np.int64]:
    """The number of the node of each end."""
    parent = list(range(len(xy)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    points = shapely.points(xy)
    for a, b in shapely.STRtree(points).query(points, "dwithin", tolerance_m).T:
        parent[root(int(a))] = root(int(b))
    first: dict[str, int] = {}
    for i, name in enumerate(ids):
        if name is not None:
            parent[root(i)] = root(first.setdefault(name, i))
    return np.unique([root(i) for i in range(len(xy))], return_inverse=True)[1]


def _apart(
    ends: Floats, ids: Sequence[str | None], owner: NDArray[np.int64], origin: tuple[float, float], tolerance_m: float
) -> Iterator[dict[str, Any]]:
    """Ends of one node id that lie apart, and different ids of ends that meet."""
    xy = plane(ends, origin)
    for name in sorted({n for n in ids if n is not None}):
        mine = np.flatnonzero([n == name for n in ids])
        spread = float(np.hypot(*(xy[mine] - xy[mine[0]]).T).max())
        if spread > tolerance_m:
            yield {"kind": "node-apart", "node": name, "distance_m": round(spread, 1), "at": _at(ends[mine[0]])}
    for node in range(int(owner.max()) + 1):
        names = sorted({n for n, o in zip(ids, owner, strict=True) if o == node and n is not None})
        if len(names) > 1:
            yield {"kind": "nodes-as-one", "nodes": names, "at": _at(ends[owner == node][0])}


def _breaks(network: Network, tolerance_m: float, gap_m: float) -> Iterator[dict[str, Any]]:
    """Loose ends with another line near that they do not reach."""
    tree, lines = network._tree
    degree = np.bincount([n for e in network.edges for n in (e.start, e.end)], minlength=len(network.nodes))
    for node in np.flatnonzero(degree == 1):
        mine = {*network.out_of[node], *network.into[node]}
        code = network.edges[next(iter(mine))].line.code
        point = shapely.points(plane(network.nodes[[node]], network.origin))[0]
        near = [int(i) for i in tree.query(point, "dwithin", gap_m) if i not in mine]
        if not near:
            continue
        away = shapely.distance(lines[near], point)
        k = int(np.argmin(away))
        if away[k] > tolerance_m:
            other = network.edges[near[k]].line.code
            yield {
                "kind": "break", "code": code, "near": other, "distance_m": round(float(away[k]), 1),
                "at": _at(network.nodes[node]),
            }  # fmt: skip


def _head_on(network: Network) -> Iterator[dict[str, Any]]:
    """Nodes at which several lines end and none begins, or begin and none ends: one of them may be digitised
    upstream."""
    for node in range(len(network.nodes)):
        ways = (network.into[node], network.out_of[node])
        if any(network.edges[i].line.two_way for way in ways for i in way):
            continue
        ended, begun = ways
        for kind, here, there in (("all-end-here", ended, begun), ("all-begin-here", begun, ended)):
            if len(here) > 1 and not there:
                codes = sorted({network.edges[i].line.code for i in here})
                yield {"kind": kind, "codes": codes, "at": _at(network.nodes[node])}


def _at(place: Floats) -> list[float]:
    return [round(float(v), 7) for v in place]


def _strong(count: int, arcs: Sequence[tuple[int, int]]) -> list[int]:
    """The strongly connected component of each node (Kosaraju and Sharir, without recursion)."""
    follow: list[list[int]] = [[] for _ in range(count)]
    before: list[list[int]] = [[] for _ in range(count)]
    for a, b in arcs:
        follow[a].append(b)
        before[b].append(a)
    seen = [False] * count
    order = [n for root in range(count) for n in _ended(root, follow, seen)]
    owner, seen = [-1] * count, [False] * count
    for root in reversed(order):
        for node in _ended(root, before, seen):
            owner[node] = root
    return owner


def _ended(root: int, follow: Sequence[Sequence[int]], seen: list[bool]) -> Iterator[int]:
    """Nodes reached from one that were not seen, each after those it leads to."""
    if seen[root]:
        return
    seen[root] = True
    work = [(root, iter(follow[root]))]
    while work:
        node, ahead = work[-1]
        there = next((n for n in ahead if not seen[n]), None)
        if there is None:
            work.pop()
            yield node
        else:
            seen[there] = True
            work.append((there, iter(follow[there])))
