# SPDX-License-Identifier: Apache-2.0
"""Times, ways and reach along roads (路网可达): by pgRouting, on edges of a box that is made larger until no way
outside it could be quicker.

Closures are areas and lines; every edge that one meets is taken out. What cannot be reached is told as such.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.ops import substring

from geocloud.features.binder import Binder
from geocloud.jobs.run import Run
from geocloud.network.graph import Graph, ready
from geocloud.network.places import Piece, Place, Point, Snapped, closed_edges, columns, lonlat_lines, snap
from geocloud.network.speeds import ProfileName

__all__ = [
    "PIECES", "SPARE", "Box", "Closure", "Costs", "Reach", "Route", "box_round", "costs", "edges_text", "reach",
    "routes", "shapes_of", "way_of",
]  # fmt: skip

PIECES = 4_000_000_000
"""Numbers of edges above this are of pieces: this and the piece's place in their order, from 1."""
# Metres of a degree of latitude, and of longitude at the equator, that are never more than the true ones.
_LAT_M, _LON_M = 110_500.0, 111_300.0
_MARGIN_M = 1_500.0
# Added to a box that must hold a way, for what is rounded on the way there.
SPARE = 1.02
Closure = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds from every source to every target, shape (sources, targets); `inf` where no open road leads there."""

    seconds: NDArray[np.float64]
    sources: tuple[Place, ...]
    targets: tuple[Place, ...]
    graph: Graph
    closed: int
    """Edges taken out by closures."""


@dataclass(frozen=True, slots=True)
class Route:
    """One way: seconds and metres along roads, the line (EPSG:4490), the roads (fid) in order, and both places."""

    source: Place
    target: Place
    seconds: float
    metres: float
    line: Any
    roads: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """What is within some seconds: stretches of road (a multiline, EPSG:4490) and their metres."""

    lines: Any
    metres: float
    sources: tuple[Place, ...]
    seconds: float
    graph: Graph


def costs(
    run: Run,
    sources: Sequence[Point],
    targets: Sequence[Point],
    profile: ProfileName = "drive",
    closures: Sequence[Closure] = (),
) -> Costs:
    """The shortest times in seconds from each source to each target; points are lon/lat, EPSG:4490.

    Times are along roads alone: `Place.off_m` says how far a point is from its road. Raises what `ready` does, and
    InvalidParameter for a closure that is none.
    """
    graph = ready(run)
    shut = closed_edges(run, closures)
    on = snap(run, [*sources, *targets], profile, shut)
    here, there = on.places[: len(sources)], on.places[len(sources) :]
    found, _ = _search(run, graph, profile, shut, on, here, there)
    seconds = np.full((len(here), len(there)), np.inf)
    for i, a in enumerate(here):
        for j, b in enumerate(there):
            if a.edge is not None and b.edge is not None:
                seconds[i, j] = 0.0 if a.vertex == b.vertex else found.get((a.vertex, b.vertex), np.inf)
    return Costs(seconds, here, there, graph, len(shut))


def routes(
    run: Run,
    sources: Sequence[Point],
    targets: Sequence[Point],
    profile: ProfileName = "drive",
    closures: Sequence[Closure] = (),
) -> list[Route | None]:
    """The quickest way of each pair, the first source to the first target and so on; None where there is none.

    One source or one target stands for as many as there are of the others.
    """
    graph = ready(run)
    n = max(len(sources), len(targets))
    sources, targets = (list(p) * n if len(p) == 1 else list(p) for p in (sources, targets))
    if len(sources) != len(targets):
        raise ValueError("sources and targets are not as many")
    shut = closed_edges(run, closures)
    on = snap(run, [*sources, *targets], profile, shut)
    pairs = list(zip(on.places[:n], on.places[n:], strict=True))
    _, box = _search(run, graph, profile, shut, on, on.places[:n], on.places[n:], pairs)
    return _routes(run, profile, shut, on, pairs, box)


def reach(
    run: Run,
    sources: Sequence[Point],
    seconds: float,
    profile: ProfileName = "drive",
    closures: Sequence[Closure] = (),
) -> Reach:
    """Stretches of road that are reached from any of the sources within `seconds`."""
    graph = ready(run)
    shut = closed_edges(run, closures)
    on = snap(run, sources, profile, shut)
    starts = sorted({p.vertex for p in on.places if p.edge is not None})
    if not starts:
        return Reach(shapely.MultiLineString(), 0.0, on.places, seconds, graph)
    box = box_round(on.places, seconds * graph.fastest[profile] * SPARE + 1.0)
    binder = Binder()
    edges = edges_text(binder, profile, box, shut, on.pieces, backwards=False)
    at = {
        int(v): float(s)
        for v, s in run.rows(
            f"SELECT node, after_s FROM network.reached({edges}, {binder.bind(starts, 'bigint[]')}, "
            f"{binder.bind(float(seconds), 'float8')})",
            binder,
        )
    }
    lines, metres = _stretches(run, profile, box, shut, on.pieces, at, seconds)
    return Reach(lines, metres, on.places, seconds, graph)


Box = tuple[float, float, float, float]


def box_round(places: Sequence[Place], margin_m: float) -> Box:
    """West, south, east, north of a box that goes at least so many metres beyond all places."""
    xy = np.array([p.road for p in places if p.road is not None], dtype=np.float64)
    (west, south), (east, north) = xy.min(axis=0), xy.max(axis=0)
    up = margin_m / _LAT_M
    low = min(89.0, max(abs(south), abs(north)) + up)
    aside = margin_m / (_LON_M * math.cos(math.radians(low)))
    return float(west - aside), float(south - up), float(east + aside), float(north + up)


def edges_text(
    binder: Binder, profile: ProfileName, box: Box, shut: Sequence[int], found: Sequence[Piece], *, backwards: bool
) -> str:
    """SQL of the text of the query of edges that pgRouting runs."""
    bound = [binder.bind(profile, "text"), *(binder.bind(v, "float8") for v in box), binder.bind(list(shut), "int[]")]
    kinds = ("bigint[]", "bigint[]", "float8[]", "float8[]")
    bound += [binder.bind(c, k) for c, k in zip(columns(found, backwards=backwards), kinds, strict=True)]
    bound.append(binder.bind(backwards, "boolean"))
    return f"network.edges_sql({', '.join(bound)})"


def _search(
    run: Run,
    graph: Graph,
    profile: ProfileName,
    shut: Sequence[int],
    on: Snapped,
    here: Sequence[Place],
    there: Sequence[Place],
    pairs: Sequence[tuple[Place, Place]] | None = None,
) -> tuple[dict[tuple[int, int], float], Box]:
    """Seconds by vertices of source and target, and the box in which all of them were found.

    A way that leaves the box goes to its border and back, which takes no less than that distance at the highest speed.
    So what was found is the quickest of all once no pair could be quicker by way of the border.
    """
    starts = sorted({p.vertex for p in here if p.edge is not None})
    ends = sorted({p.vertex for p in there if p.edge is not None})
    on_roads = [p for p in (*here, *there) if p.edge is not None]
    if not starts or not ends:
        return {}, (0.0, 0.0, 0.0, 0.0)
    wanted = [(a, b) for a, b in (pairs or [(a, b) for a in here for b in there]) if None not in (a.edge, b.edge)]
    extent = _extent(run)
    margin = _MARGIN_M
    while True:
        box = box_round(on_roads, margin)
        whole = box[0] <= extent[0] and box[1] <= extent[1] and box[2] >= extent[2] and box[3] >= extent[3]
        found = _costs(run, profile, box, shut, on.pieces, starts, ends)
        needed = 0.0
        for a, b in wanted:
            seconds = 0.0 if a.vertex == b.vertex else found.get((a.vertex, b.vertex), math.inf)
            needed = max(needed, seconds * graph.fastest[profile] * SPARE / 2)
        if whole or needed <= margin:
            return found, box
        margin = needed if math.isfinite(needed) else margin * 8


def _costs(
    run: Run, profile: ProfileName, box: Box, shut: Sequence[int], found: Sequence[Piece], starts: list[int],
    ends: list[int],
) -> dict[tuple[int, int], float]:  # fmt: skip
    # One search for each source is made: the fewer side begins.
    backwards = len(starts) > len(ends)
    binder = Binder()
    edges = edges_text(binder, profile, box, shut, found, backwards=backwards)
    first, last = (ends, starts) if backwards else (starts, ends)
    rows = run.rows(
        f"SELECT source, target, seconds FROM network.costs({edges}, {binder.bind(first, 'bigint[]')}, "
        f"{binder.bind(last, 'bigint[]')})",
        binder,
    )
    return {((b, a) if backwards else (a, b)): s for a, b, s in rows}


def _extent(run: Run) -> Box:
    binder = Binder()
    rows = run.rows("SELECT west, south, east, north FROM network.graph", binder)
    return tuple(map(float, rows[0]))  # type: ignore[return-value]


def _routes(
    run: Run, profile: ProfileName, shut: Sequence[int], on: Snapped, pairs: Sequence[tuple[Place, Place]], box: Box
) -> list[Route | None]:
    told: dict[tuple[int, int], list[tuple[int, int, float]]] = {}
    by_start: dict[int, set[int]] = {}
    for a, b in pairs:
        if a.edge is not None and b.edge is not None and a.vertex != b.vertex:
            by_start.setdefault(a.vertex, set()).add(b.vertex)
    starts, ends = sorted(by_start), sorted(set().union(*by_start.values()) if by_start else ())
    if starts:
        # Many to one is one search backwards.
        backwards = len(starts) > len(ends)
        binder = Binder()
        edges = edges_text(binder, profile, box, shut, on.pieces, backwards=backwards)
        first, last = (ends, starts) if backwards else (starts, ends)
        for s, t, _, node, edge, after in run.rows(
            f"SELECT * FROM network.paths({edges}, {binder.bind(first, 'bigint[]')}, {binder.bind(last, 'bigint[]')}) "
            "ORDER BY source, target, step",
            binder,
        ):
            told.setdefault((t, s) if backwards else (s, t), []).append((node, edge, after))
        if backwards:
            told = {k: _turned(v) for k, v in told.items()}
    edges_used = {e for steps in told.values() for _, e, _ in steps if 0 <= e < PIECES}
    edges_used |= {p.edge for p in on.pieces}
    shapes = shapes_of(run, sorted(edges_used))
    out: list[Route | None] = []
    for a, b in pairs:
        if a.edge is None or b.edge is None:
            out.append(None)
        elif a.vertex == b.vertex:
            out.append(Route(a, b, 0.0, 0.0, shapely.LineString([a.road, b.road]), ()))
        elif (a.vertex, b.vertex) not in told:
            out.append(None)
        else:
            out.append(way_of(a, b, told[a.vertex, b.vertex], shapes, on.pieces))
    return out


def _turned(steps: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Steps of a way that was found from its end, in the order in which it is gone."""
    total = steps[-1][2]
    nodes = [s[0] for s in steps][::-1]
    edges = [s[1] for s in steps[:-1]][::-1] + [-1]
    return list(zip(nodes, edges, [total - s[2] for s in steps][::-1], strict=True))


Shape = tuple[int, int, int, float, Any]


def shapes_of(run: Run, edges: list[int]) -> dict[int, Shape]:
    """Road, source, target, metres and line (Web Mercator) of edges."""
    binder = Binder()
    rows = run.rows(
        "SELECT id, road, source, target, length_m, ST_AsBinary(place) FROM network.edge "
        f"WHERE id = ANY ({binder.bind(edges, 'int[]')})",
        binder,
    )
    return {r[0]: (r[1], r[2], r[3], r[4], shapely.from_wkb(bytes(r[5]))) for r in rows}


def way_of(
    a: Place, b: Place, steps: list[tuple[int, int, float]], shapes: Mapping[int, Shape], found: Sequence[Piece]
) -> Route:
    """A way from its steps: vertex, edge taken from it, seconds so far; the last vertex has no edge."""
    metres, parts = 0.0, []
    roads: list[int] = []
    for node, edge, _ in steps[:-1]:
        if edge >= PIECES:
            piece = found[edge - PIECES - 1]
            road, _, _, length, line = shapes[piece.edge]
            begin, end, source = piece.begin, piece.end, piece.source
        else:
            road, source, _, length, line = shapes[edge]
            begin, end = 0.0, 1.0
        part = line if (begin, end) == (0.0, 1.0) else substring(line, begin, end, normalized=True)
        parts.append(shapely.get_coordinates(part if node == source else shapely.reverse(part)))
        metres += length * (end - begin)
        if not roads or roads[-1] != road:
            roads.append(road)
    xy = np.vstack(parts)
    new = np.r_[True, (np.abs(np.diff(xy, axis=0)) > 1e-6).any(axis=1)]
    kept = xy[new] if new.sum() > 1 else xy[:2]
    (line,) = lonlat_lines(np.array([shapely.LineString(kept)], dtype=object))
    return Route(a, b, steps[-1][2], metres, line, tuple(roads))


def _stretches(
    run: Run, profile: ProfileName, box: Box, shut: Sequence[int], found: Sequence[Piece], at: Mapping[int, float],
    seconds: float,
) -> tuple[Any, float]:  # fmt: skip
    """Lines and metres of the parts of edges that are reached, from either end as far as the time goes."""
    binder = Binder()
    nodes = binder.bind([v for v in at if v < PIECES and v >= 0], "bigint[]")
    rows = run.rows(
        f"SELECT id, source, target, length_m, {profile}, {profile}_back, ST_AsBinary(place) FROM network.edge "
        f"WHERE geom && ST_MakeEnvelope({', '.join(binder.bind(v, 'float8') for v in box)}, 4490) "
        f"AND id <> ALL ({binder.bind(list(shut), 'int[]')}) AND (source = ANY ({nodes}) OR target = ANY ({nodes}) "
        f"OR id = ANY ({binder.bind([p.edge for p in found], 'int[]')})) ORDER BY id",
        binder,
    )
    cut: dict[int, list[Piece]] = {}
    for piece in found:
        cut.setdefault(piece.edge, []).append(piece)
    lines, metres = [], 0.0
    for edge, source, target, length, cost, back, wkb in rows:
        whole = [Piece(edge, 0.0, 1.0, source, target, cost, back)]
        spans = [span for p in cut.get(edge, whole) for span in _spans(p, at, seconds)]
        if spans:
            line = shapely.from_wkb(bytes(wkb))
            for begin, end in _joined(spans):
                metres += length * (end - begin)
                lines.append(substring(line, begin, end, normalized=True))
    return shapely.multilinestrings(list(lonlat_lines(np.array(lines, dtype=object)))) if lines else (
        shapely.MultiLineString()
    ), metres


def _spans(p: Piece, at: Mapping[int, float], seconds: float) -> list[tuple[float, float]]:
    spans = []
    for vertex, cost, forward in ((p.source, p.cost, True), (p.target, p.back, False)):
        if cost < 0 or vertex not in at or at[vertex] > seconds:
            continue
        share = (p.end - p.begin) * (1.0 if cost == 0 else min(1.0, (seconds - at[vertex]) / cost))
        if share > 0:
            spans.append((p.begin, p.begin + share) if forward else (p.end - share, p.end))
    return spans


def _joined(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    out: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((begin, end))
    return out
