# SPDX-License-Identifier: Apache-2.0
"""What of the parcels can be built on: without the parts a rule refuses, and neighbours joined where they are small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.geodesy.area import lengths
from geocloud.geodesy.straight import straight_areas
from geocloud.planning.candidates_ask import Condition
from geocloud.planning.candidates_read import Around, Reader
from geocloud.planning.candidates_score import measure, overlaps
from geocloud.planning.compliance import areal, without_noise
from geocloud.planning.compliance_rules import Rule

__all__ = ["JOIN_PARTS_MAX", "WIDTH_LEAST_M", "Piece", "joined", "usable"]

# Parts left over by a cut whose mean width (twice area by outline) is less are of no use.
WIDTH_LEAST_M = 10.0
JOIN_PARTS_MAX = 50
# Neighbours share at least so many metres of border.
_BORDER_LEAST_M = 1.0
# What is left of a parcel is nothing below it.
_CRUMB_M2 = 1.0
# Degrees, about a millimetre: a cut stays clear of what it is cut along, so that rounding makes no overlap.
_CLEAR = 1e-8


@dataclass(frozen=True, slots=True)
class Piece:
    """Land of one parcel or several: ids of the parcels and their classes, shape in EPSG:4490, m2 taken off them.

    `members` are the parcels, numbered where one was cut in several.
    """

    members: tuple[str, ...]
    parcels: tuple[str, ...]
    uses: tuple[str, ...]
    shape: Any
    cut_m2: float = 0.0

    @property
    def id(self) -> str:
        """The members' ids."""
        return "+".join(self.members)


def usable(reader: Reader, rules: Sequence[Rule], pieces: list[Piece], counts: Counter[str]) -> list[Piece]:
    """Pieces without what the rules that refuse would refuse; what is left of a parcel may be several."""
    shapes = np.empty(len(pieces), dtype=object)
    shapes[:] = [p.shape for p in pieces]
    taken: dict[int, list[Any]] = {}
    gone = np.zeros(len(pieces), dtype=bool)
    areas = straight_areas(shapes)
    for rule in rules if len(shapes) else ():
        if rule.verdict != "refuse" or rule.test == "share_over" or rule.layer not in reader.run.catalogue.layers:
            continue
        boxes = np.asarray(shapely.bounds(shapes), dtype=np.float64)
        around = reader.of_rule(rule, boxes)
        if rule.test == "nearer":
            near = Condition(kind="near", layer=rule.layer, distance_m=rule.distance_m)
            gone |= np.array([m is not None for m in measure(near, shapes, around)], dtype=bool)
        elif not around.empty:
            covered = reader.covered(rule, boxes) if rule.test == "outside" else None
            for i, solid, area in _refused(rule, shapes, areas, around, covered):
                taken.setdefault(i, []).append(solid)
                gone[i] |= area > areas[i] - _CRUMB_M2
    out: list[Piece] = []
    for i, piece in enumerate(pieces):
        if not gone[i] and i not in taken:
            out.append(piece)
            continue
        left = [] if gone[i] else _left(piece, taken[i], float(areas[i]))
        counts["cut" if left else "excluded"] += 1
        out += left
    return _rounded(out)


def _refused(
    rule: Rule, shapes: NDArray[Any], areas: NDArray[np.float64], around: Around, covered: NDArray[Any] | None
) -> Iterator[tuple[int, Any, float]]:
    """Numbers of the shapes a rule hits, where, and m2; what would not make it hit is left alone."""
    hit = overlaps(shapes, around.shapes)
    if rule.test == "outside":
        known = list(shapes) if covered is None else overlaps(shapes, covered)
        hit = [areal(shapely.difference(k, h)) for k, h in zip(known, hit, strict=True)]
    solid = {i: without_noise(h, around.exact)[0] for i, h in enumerate(hit) if not h.is_empty}
    found = np.empty(len(solid), dtype=object)
    found[:] = list(solid.values())
    for (i, shape), area in zip(solid.items(), straight_areas(found).tolist(), strict=True):
        if area > 0 and area >= rule.least_m2 and area / areas[i] >= rule.least_share:
            yield i, shape, area


def _left(piece: Piece, taken: Sequence[Any], area: float) -> list[Piece]:
    off = shapely.buffer(shapely.union_all(taken), _CLEAR, join_style="mitre")
    parts = shapely.get_parts(areal(shapely.difference(piece.shape, off)))
    parts = parts[~shapely.is_empty(parts)]
    if not len(parts):
        return []
    sizes, outlines = straight_areas(parts), lengths(parts)
    wide = 2 * sizes >= WIDTH_LEAST_M * outlines
    kept = sorted(zip(parts[wide], sizes[wide], strict=True), key=lambda p: (-p[1], shapely.to_wkb(p[0])))
    off_m2 = area - float(sizes[wide].sum())
    if len(kept) == 1:
        return [replace(piece, shape=kept[0][0], cut_m2=off_m2)]
    name = piece.members[0]
    return [replace(piece, members=(f"{name}#{k}",), shape=p, cut_m2=off_m2) for k, (p, _) in enumerate(kept, 1)]


def _rounded(pieces: list[Piece]) -> list[Piece]:
    """Corners to a tenth of a millimetre, as they are told; as they were where that would spoil the shape."""
    shapes = np.empty(len(pieces), dtype=object)
    shapes[:] = [p.shape for p in pieces]
    even = shapely.transform(shapes, lambda xy: np.round(xy, 9))
    sound = shapely.is_valid(even)
    return [replace(p, shape=s) if ok else p for p, s, ok in zip(pieces, even, sound, strict=True)]


def joined(pieces: list[Piece], least_m2: float, most_m2: float) -> list[Piece]:
    """The pieces, and neighbours that are too small put together until they reach the size.

    From a small piece on, the neighbour with the longest common border is added, ties by id, up to JOIN_PARTS_MAX. What
    is already in a group begins no other one.
    """
    shapes = np.empty(len(pieces), dtype=object)
    shapes[:] = [p.shape for p in pieces]
    areas = straight_areas(shapes)
    small = np.flatnonzero(areas < least_m2)
    names = [pieces[i].id for i in small.tolist()]
    # Numbers in the order of the ids, so that the lower number wins where borders are as long.
    small = small[sorted(range(len(names)), key=names.__getitem__)]
    sizes, borders = areas[small].tolist(), _borders(shapes[small])
    out = list(pieces)
    placed: set[int] = set()
    for seed in sorted(borders):
        if seed in placed:
            continue
        group = _grown(seed, borders, sizes, least_m2, most_m2)
        if group:
            placed.update(group)
            out.append(_together([pieces[small[k]] for k in group]))
    return out


def _grown(
    seed: int, borders: Mapping[int, Mapping[int, float]], sizes: Sequence[float], least_m2: float, most_m2: float
) -> set[int]:
    """Numbers of the pieces that reach the size together; none where they do not."""
    group: set[int] = set()
    shared: dict[int, float] = {seed: 0.0}
    waiting = [(0.0, seed)]
    area = 0.0
    while waiting and area < least_m2 and len(group) < JOIN_PARTS_MAX:
        metres, best = heappop(waiting)
        # Borders grow with the group: what was put in line before is out of date. What is too large stays so.
        if best in group or -metres != shared[best] or area + sizes[best] > most_m2:
            continue
        group.add(best)
        area += sizes[best]
        for other, more in borders[best].items():
            if other not in group:
                shared[other] = round(shared.get(other, 0.0) + more, 3)
                heappush(waiting, (-shared[other], other))
    return group if area >= least_m2 else set()


def _borders(shapes: NDArray[Any]) -> dict[int, dict[int, float]]:
    """Metres of common border of neighbours, by number and number."""
    out: dict[int, dict[int, float]] = {}
    if not len(shapes):
        return out
    a, b = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    once = a < b
    a, b = a[once], b[once]
    edges = shapely.boundary(shapes)
    metres = lengths(shapely.intersection(edges[a], edges[b])) if len(a) else np.empty(0)
    for i, j, m in zip(a.tolist(), b.tolist(), metres.tolist(), strict=True):
        if m >= _BORDER_LEAST_M:
            out.setdefault(i, {})[j] = m
            out.setdefault(j, {})[i] = m
    return out


def _together(pieces: Sequence[Piece]) -> Piece:
    own = sorted(pieces, key=lambda p: p.id)
    return Piece(
        tuple(m for p in own for m in p.members),
        tuple(dict.fromkeys(i for p in own for i in p.parcels)),
        tuple(u for p in own for u in p.uses),
        _union([p.shape for p in own]),
        sum(p.cut_m2 for p in own),
    )


def _union(shapes: list[Any]) -> Any:
    """Neighbours as one; where they share whole edges, as those of one drawing do, that takes a tenth of the time."""
    whole = shapely.coverage_union_all(shapes)
    return whole if whole.is_valid else shapely.union_all(shapes)
