# SPDX-License-Identifier: Apache-2.0
"""All that is within some seconds of one place (时限内可达): one search from it, which gives times and ways of many.

For "who is nearest" this is quicker than times of pairs: nobody farther than the time allows is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.features.binder import Binder
from geocloud.geodesy.area import ellipsoid
from geocloud.jobs.run import Run
from geocloud.network.graph import Graph, ready
from geocloud.network.places import SNAP_MAX_M, Place, Point, Snapped, closed_edges, snap
from geocloud.network.route import PIECES, SPARE, Box, Closure, Route, box_round, edges_text, shapes_of, way_of
from geocloud.network.speeds import ProfileName

__all__ = ["Around", "around"]

_EVER = 1e12


@dataclass(frozen=True)
class Around:
    """Seconds between the middle and each of the others, `inf` for those that are not within the time; the places."""

    seconds: NDArray[np.float64]
    middle: Place
    others: tuple[Place, ...]
    graph: Graph
    towards: bool
    _on: Snapped
    _tree: Mapping[int, tuple[int, float]]
    _ends: Mapping[int, tuple[int, int]]

    def routes(self, run: Run, numbers: Sequence[int]) -> list[Route | None]:
        """The ways of some of the others, to the middle or from it; None for those that are not within the time."""
        steps = [self._steps(self.others[k]) if math.isfinite(self.seconds[k]) else None for k in numbers]
        used = {e for s in steps if s for _, e, _ in s if 0 <= e < PIECES} | {p.edge for p in self._on.pieces}
        shapes = shapes_of(run, sorted(used))
        out: list[Route | None] = []
        for k, found in zip(numbers, steps, strict=True):
            here, there = (self.others[k], self.middle) if self.towards else (self.middle, self.others[k])
            if found is None:
                out.append(None)
            elif len(found) < 2:
                out.append(Route(here, there, 0.0, 0.0, shapely.LineString([here.road, there.road]), ()))
            else:
                out.append(way_of(here, there, found, shapes, self._on.pieces))
        return out

    def _steps(self, other: Place) -> list[tuple[int, int, float]]:
        """Vertices with the edges that are taken from them, in the order in which the way is gone."""
        vertex, back = other.vertex, []
        total = self._tree[vertex][1] if vertex in self._tree else 0.0
        while vertex != self.middle.vertex:
            edge, after = self._tree[vertex]
            a, b = self._ends[edge]
            back.append((vertex, edge, after))
            vertex = a if b == vertex else b
        if self.towards:
            # The search went backwards, so the tree leads the way that is gone.
            return [*((v, e, total - s) for v, e, s in back), (vertex, -1, total)]
        ahead = [(v, s) for v, _, s in back[::-1]]
        edges = [e for _, e, _ in back[::-1]]
        nodes = [(self.middle.vertex, 0.0), *ahead]
        return [(v, e, s) for (v, s), e in zip(nodes, [*edges, -1], strict=True)]


def around(
    run: Run,
    middle: Point,
    others: Sequence[Point],
    seconds: float = math.inf,
    profile: ProfileName = "drive",
    closures: Sequence[Closure] = (),
    towards: bool = True,
) -> Around:
    """Times of all `others` that are at most `seconds` from the middle; `towards`: ways lead from them to the middle.

    Exact: a way of so many seconds never leaves the box that the highest speed allows. Points are lon/lat, EPSG:4490.
    """
    graph = ready(run)
    shut = closed_edges(run, closures)
    near = _near(graph, middle, others, seconds, profile)
    on = snap(run, [middle, *(others[k] for k in near)], profile, shut)
    places = [Place(p, None) for p in others]
    for k, place in zip(near, on.places[1:], strict=True):
        places[k] = place
    found = np.full(len(others), np.inf)
    start = on.places[0]
    tree: dict[int, tuple[int, float]] = {}
    ends: dict[int, tuple[int, int]] = {}
    if start.edge is not None and near:
        whole = math.isinf(seconds)
        box: Box = (-180.0, -90.0, 180.0, 90.0)
        if not whole:
            box = box_round([start], seconds * graph.fastest[profile] * SPARE + 1.0)
        tree, ends = _tree(run, profile, box, shut, on, start, _EVER if whole else seconds, towards)
        for k in near:
            place = places[k]
            if place.edge is not None and (place.vertex in tree or place.vertex == start.vertex):
                found[k] = tree[place.vertex][1] if place.vertex in tree else 0.0
    return Around(found, start, tuple(places), graph, towards, on, tree, ends)


def _near(graph: Graph, middle: Point, others: Sequence[Point], seconds: float, profile: ProfileName) -> list[int]:
    """Numbers of those that could be within the time, by the highest speed and what points may lie off their road."""
    if not others or math.isinf(seconds):
        return list(range(len(others)))
    xy = np.asarray(others, dtype=np.float64)
    n = len(xy)
    metres = ellipsoid().inv(np.full(n, middle[0]), np.full(n, middle[1]), xy[:, 0], xy[:, 1])[2]
    reach = seconds * graph.fastest[profile] * SPARE + 2 * SNAP_MAX_M
    return [int(k) for k in np.nonzero(metres <= reach)[0]]


def _tree(
    run: Run, profile: ProfileName, box: Box, shut: Sequence[int], on: Snapped, start: Place, seconds: float,
    towards: bool,
) -> tuple[dict[int, tuple[int, float]], dict[int, tuple[int, int]]]:  # fmt: skip
    """By vertex the edge it was come to by and the seconds; and the ends of these edges."""
    binder = Binder()
    text = edges_text(binder, profile, box, shut, on.pieces, backwards=towards)
    rows = run.rows(
        f"SELECT d.node, d.edge, d.agg_cost, e.source, e.target FROM pgr_drivingDistance({text}, "
        f"{binder.bind(start.vertex, 'bigint')}, {binder.bind(float(seconds), 'float8')}, true) d "
        f"LEFT JOIN network.edge e ON e.id = d.edge AND d.edge < {binder.bind(PIECES, 'bigint')}",
        binder,
    )
    tree, ends = {}, {}
    for vertex, edge, after, source, target in rows:
        if edge < 0:
            continue
        tree[vertex] = (edge, after)
        piece = on.pieces[edge - PIECES - 1] if edge >= PIECES else None
        ends[edge] = (source, target) if piece is None else (piece.source, piece.target)
    return tree, ends
