# SPDX-License-Identifier: Apache-2.0
"""From road centre lines to edges and nodes (路网打断): where roads meet, and where they only pass over one another.

1. Ends of lines within TOLERANCE_M of one another are one node, whatever the levels: a bridge goes on as a road.
2. Lines of one level that cross, touch or run over one another are split there. A line's level is the one given; a
   bridge without one is 1, a tunnel -1, everything else 0. So a bridge does not meet the road below.
3. An end within TOLERANCE_M of a line of its level splits that line. Of another level only where the line has a vertex
   there, as where a ramp begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

__all__ = ["RULES", "TOLERANCE_M", "Noded", "levels", "node"]

TOLERANCE_M = 0.1
"""Ends nearer than this are one node."""
RULES = "noding 1"
"""Goes up when the rules above change, so that graphs made by the old ones are made anew."""
_M = 111_320.0


@dataclass(frozen=True)
class Noded:
    """Edges: `lines` (EPSG:4490), `owner`, the number of the line each is of, `source` and `target`, numbers of nodes.
    `nodes` are lon/lat, shape (n, 2)."""

    lines: NDArray[Any]
    owner: NDArray[np.int64]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    nodes: NDArray[np.float64]


def levels(level: NDArray[Any], bridge: NDArray[Any], tunnel: NDArray[Any]) -> NDArray[np.int64]:
    """The level of each line: as given, else by bridge and tunnel. Missing values are NaN or None."""
    given = np.array([0 if v is None or np.isnan(v) else int(v) for v in level], dtype=np.int64)
    said = np.array([bool(b) for b in bridge], dtype=bool), np.array([bool(t) for t in tunnel], dtype=bool)
    return np.where(given != 0, given, np.where(said[0], 1, np.where(said[1], -1, 0)))


def node(lines: NDArray[Any], level: NDArray[np.int64]) -> Noded:
    """Edges and nodes of lines or multilines in EPSG:4490; parts without length are left out."""
    parts, owner = shapely.get_parts(shapely.force_2d(lines), return_index=True)
    if not len(parts):
        return _empty()
    scale = np.array([_M * np.cos(np.radians(shapely.get_coordinates(parts)[:, 1].mean())), _M])
    flat = shapely.transform(parts, lambda xy: xy * scale)
    crossing_itself = ~shapely.is_simple(flat)
    if crossing_itself.any():
        pieces, of = shapely.get_parts(shapely.node(flat[crossing_itself]), return_index=True)
        flat = np.concatenate([flat[~crossing_itself], pieces])
        owner = np.concatenate([owner[~crossing_itself], owner[crossing_itself][of]])
    long = shapely.length(flat) > 0
    flat, owner = flat[long], owner[long]
    if not len(flat):
        return _empty()
    order = np.argsort(owner, kind="stable")
    flat, owner = flat[order], owner[order]
    edges, of = _split(flat, *_cuts(flat, level[owner]))
    source, target, nodes = _nodes(edges)
    return Noded(shapely.transform(edges, lambda xy: np.round(xy / scale, 9)), owner[of], source, target, nodes / scale)


def _empty() -> Noded:
    none = np.empty(0, np.int64)
    return Noded(np.empty(0, object), none, none, none, np.empty((0, 2)))


def _cuts(flat: NDArray[Any], level: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where lines are split: number of the line and metres along it."""
    found = [np.empty((2, 0))]
    # Neighbours meet at their ends, which is looked at below: without its ends a line only meets those it crosses.
    inner, numbers = _without_ends(flat)
    i, j = (numbers[k] for k in shapely.STRtree(inner).query(inner, predicate="intersects"))
    pairs = (level[i] == level[j]) & (i < j)
    i, j = i[pairs], j[pairs]
    xy, of = shapely.get_coordinates(shapely.intersection(flat[i], flat[j]), return_index=True)
    for crossed in (i[of], j[of]):
        found.append(np.vstack([crossed, shapely.line_locate_point(flat[crossed], shapely.points(xy))]))
    tree = shapely.STRtree(flat)
    ends = np.concatenate([shapely.get_point(flat, 0), shapely.get_point(flat, -1)])
    end, line = tree.query(ends, predicate="dwithin", distance=TOLERANCE_M)
    own = end % len(flat)
    metres = shapely.line_locate_point(flat[line], ends[end])
    inside = (line != own) & (metres > TOLERANCE_M) & (metres < shapely.length(flat[line]) - TOLERANCE_M)
    end, line, own, metres = end[inside], line[inside], own[inside], metres[inside]
    joined = level[own] == level[line]
    other = np.nonzero(~joined)[0]
    corners = np.array([shapely.multipoints(shapely.get_coordinates(one)) for one in flat[line[other]]], dtype=object)
    joined[other] = shapely.distance(corners, ends[end[other]]) <= TOLERANCE_M
    found.append(np.vstack([line[joined], metres[joined]]))
    lines, at_m = np.concatenate(found, axis=1)
    numbers = lines.astype(np.int64)
    kept = (at_m > TOLERANCE_M) & (at_m < shapely.length(flat[numbers]) - TOLERANCE_M)
    numbers, at_m = numbers[kept], at_m[kept]
    order = np.lexsort((at_m, numbers))
    numbers, at_m = numbers[order], at_m[order]
    far = np.ones(len(numbers), bool)
    far[1:] = (numbers[1:] != numbers[:-1]) | (np.diff(at_m) > TOLERANCE_M)
    return numbers[far], at_m[far]


def _without_ends(flat: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Lines whose ends are drawn back by a tenth of the tolerance, and their numbers; very short ones are left out."""
    back = TOLERANCE_M / 10
    xy, of = shapely.get_coordinates(flat, return_index=True)
    first = np.nonzero(np.r_[True, of[1:] != of[:-1]])[0]
    last = np.r_[first[1:] - 1, len(of) - 1]
    moved = xy.copy()
    for end, beside in ((first, first + 1), (last, last - 1)):
        way = xy[beside] - xy[end]
        length = np.hypot(*way.T)
        # A first piece that is shorter than that ends where the next begins.
        share = np.minimum(1.0, back / np.maximum(length, 1e-12)) * np.where(last - first > 1, 1.0, 0.49)
        moved[end] = xy[end] + way * share[:, None]
    lines = shapely.linestrings(moved, indices=of)
    long = shapely.length(flat) > 4 * back
    return lines[long], np.nonzero(long)[0]


def _split(
    flat: NDArray[Any], line: NDArray[np.int64], at_m: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The pieces of lines, in their order, and the number of the line each is of."""
    if not len(line):
        return flat, np.arange(len(flat))
    whole = np.ones(len(flat), bool)
    whole[line] = False
    xy, of = shapely.get_coordinates(flat[~whole], return_index=True)
    numbers = np.nonzero(~whole)[0]
    step = np.r_[0.0, np.hypot(*np.diff(xy, axis=0).T)]
    first = np.r_[True, of[1:] != of[:-1]]
    step[first] = 0.0
    run = np.cumsum(step)
    along = run - run[np.maximum.accumulate(np.where(first, np.arange(len(of)), 0))]
    ends = first | np.r_[of[1:] != of[:-1], True]
    points = shapely.get_coordinates(shapely.line_interpolate_point(flat[line], at_m))
    owner = np.r_[numbers[of], line]
    metres, place = np.r_[along, at_m], np.vstack([xy, points])
    cut, end = np.r_[np.zeros(len(of), bool), np.ones(len(line), bool)], np.r_[ends, np.zeros(len(line), bool)]
    order = np.lexsort((metres, owner))
    owner, metres, place, cut, end = owner[order], metres[order], place[order], cut[order], end[order]
    # A vertex where a line is cut is there twice.
    near = np.zeros(len(owner), bool)
    close = (owner[1:] == owner[:-1]) & (np.diff(metres) < 1e-6)
    near[1:] |= close & cut[:-1]
    near[:-1] |= close & cut[1:]
    kept = ~near | cut | end
    owner, place, cut = owner[kept], place[kept], cut[kept]
    twice = np.repeat(np.arange(len(owner)), 1 + cut)
    begins = np.r_[True, owner[twice][1:] != owner[twice][:-1]] | np.r_[False, twice[1:] == twice[:-1]]
    piece = np.cumsum(begins) - 1
    pieces = shapely.linestrings(place[twice], indices=piece)
    of_piece = owner[twice][begins]
    out, back = np.concatenate([flat[whole], pieces]), np.concatenate([np.nonzero(whole)[0], of_piece])
    order = np.argsort(back, kind="stable")
    return out[order], back[order]


def _nodes(edges: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Numbers of the nodes at both ends of each edge, and the nodes in metres of the plane."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    ends = shapely.get_coordinates(np.concatenate([shapely.get_point(edges, 0), shapely.get_point(edges, -1)]))
    places, which = np.unique(ends, axis=0, return_inverse=True)
    near = cKDTree(places).query_pairs(TOLERANCE_M, output_type="ndarray")
    links = coo_array((np.ones(len(near), bool), (near[:, 0], near[:, 1])), shape=(len(places), len(places)))
    count, label = connected_components(links, directed=False)
    at = np.empty((count, 2))
    at[label[::-1]] = places[::-1]
    found = label[which.ravel()].astype(np.int64)
    return found[: len(edges)], found[len(edges) :], at
