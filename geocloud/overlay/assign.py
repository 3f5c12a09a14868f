# SPDX-License-Identifier: Apache-2.0
"""Which area a feature is in, and with which share of it: the exact way, for whole arrays.

Positions are EPSG:4490 degrees, x = longitude. A point counts once; lines and polygons by the share of their length or
area on the CGCS2000 ellipsoid; the points of a multipoint by equal shares. A part of a border is in one area alone,
that of the lowest number, unless the areas overlap: then a feature is in each that it lies in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.geodesy.area import areas, lengths
from geocloud.geodesy.straight import straight_areas
from geocloud.overlay.zones import Places

__all__ = ["OUTSIDE", "Assignment", "amounts", "assign_points", "assign_shapes", "summed", "together"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OUTSIDE = -1
"""Stands for no area."""
# Shares that miss the whole by less are rounding: an area adds up to 1e-12, a geodesic cut in two to some 1e-9.
_AREA_ROUNDING, _LENGTH_ROUNDING = 1e-9, 1e-7
_EDGE_DEGREES = 0.01


@dataclass(frozen=True)
class Assignment:
    """Parts of features: the feature's place in its arrays, the area's (OUTSIDE for none), the share of the feature."""

    row: Ints
    zone: Ints
    share: Floats

    @property
    def nbytes(self) -> int:
        return int(self.row.nbytes + self.zone.nbytes + self.share.nbytes)


def together(parts: list[Assignment]) -> Assignment:
    """Assignments one behind the other."""
    none = Assignment(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    found = [none, *parts]
    return Assignment(
        np.concatenate([p.row for p in found]),
        np.concatenate([p.zone for p in found]),
        np.concatenate([p.share for p in found]),
    )


def summed(place: Ints, weight: Floats, size: int) -> Floats:
    """Weights added up by place, 0 to `size`."""
    return np.asarray(np.bincount(place, weight, minlength=size), np.float64)


def assign_points(places: Places, zones: NDArray[Any], *, overlapping: bool = False) -> Assignment:
    """Points in areas (polygons, the lowest number first). Without `overlapping` each is in one area at the most."""
    owner = np.full(len(places.order), OUTSIDE, np.int64)
    more: list[tuple[Ints, int]] = []
    if len(owner) and len(zones):
        shapely.prepare(zones)
        bounds = shapely.bounds(zones)
        (drawn,) = np.nonzero(np.isfinite(bounds[:, 0]))
        for number, near in zip(drawn.tolist(), places.around_each(bounds[drawn]) if overlapping else (), strict=False):
            inside = near[shapely.contains_xy(zones[number], places.x[near], places.y[near])]
            fresh = owner[inside] < 0
            more.append((inside[~fresh], number))
            owner[inside[fresh]] = number
        # Those in none yet; of overlapping areas these are on the border of some and in no other.
        for number, near in zip(drawn.tolist(), places.around_each(bounds[drawn]), strict=True):
            left = near[owner[near] < 0]
            owner[left[shapely.intersects_xy(zones[number], places.x[left], places.y[left])]] = number
    parts = [Assignment(places.order.astype(np.int64), owner, np.ones(len(owner)))]
    parts += [
        Assignment(places.order[at].astype(np.int64), np.full(len(at), number), np.ones(len(at)))
        for at, number in more
        if len(at)
    ]
    return together(parts) if len(parts) > 1 else parts[0]


def amounts(shapes: NDArray[Any]) -> Floats:
    """The size of each shape, edges being geodesics: m2 of polygons, m of lines; 0 for points and what is empty."""
    kind = shapely.get_dimensions(shapes)
    out = np.zeros(len(shapes))
    out[kind == 2] = areas(shapes[kind == 2])
    out[kind == 1] = lengths(shapes[kind == 1])
    return out


def assign_shapes(shapes: NDArray[Any], zones: NDArray[Any], *, overlapping: bool = False) -> Assignment:
    """Shapes of any kind in areas; missing and empty ones are in none and not outside either.

    Of a collection the parts of its highest dimension count. A shape without length or area counts as a point.
    """
    shapes, dimension = _plain(shapes)
    # In degrees, which is nothing exactly where it is on the ellipsoid.
    flat = ((dimension == 2) & (shapely.area(shapes) <= 0)) | ((dimension == 1) & (shapely.length(shapes) <= 0))
    if flat.any():
        shapes[flat] = shapely.points(_first_points(shapes[flat]))
        dimension[flat] = 0
    parts = [_assign_dots(shapes, np.flatnonzero(dimension == 0), zones, overlapping=overlapping)]
    for kind in (1, 2):
        (some,) = np.nonzero(dimension == kind)
        if len(some):
            found = _assign_parts(shapes[some], kind, zones, overlapping=overlapping)
            parts.append(Assignment(some[found.row], found.zone, found.share))
    return together(parts)


def _plain(shapes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int8]]:
    """Valid shapes of one dimension each, and that dimension; -1 for none."""
    shapes = shapes.copy()
    empty = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    shapes[empty] = None
    broken = ~empty & ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken])
    for i in np.flatnonzero(shapely.get_type_id(shapes) == 7).tolist():
        shapes[i] = _highest(shapes[i])
    return shapes, np.where(empty, -1, shapely.get_dimensions(shapes)).astype(np.int8)


def _highest(shape: Any) -> Any:
    parts = shapely.get_parts(shape)
    while (shapely.get_type_id(parts) >= 4).any():
        parts = shapely.get_parts(parts)
    kind = shapely.get_dimensions(parts)
    return shapely.union_all(parts[kind == kind.max()]) if kind.max() > 0 else shapely.multipoints(parts[kind == 0])


def _first_points(shapes: NDArray[Any]) -> Floats:
    xy, owner = shapely.get_coordinates(shapes, return_index=True)
    return np.asarray(xy[np.searchsorted(owner, np.arange(len(shapes)))], np.float64)


def _assign_dots(shapes: NDArray[Any], rows: Ints, zones: NDArray[Any], *, overlapping: bool) -> Assignment:
    if not len(rows):
        return together([])
    xy, owner = shapely.get_coordinates(shapes[rows], return_index=True)
    found = assign_points(Places(xy[:, 0].copy(), xy[:, 1].copy()), zones, overlapping=overlapping)
    weight = 1.0 / np.bincount(owner, minlength=len(rows))
    row = owner[found.row]
    # The points of one feature that are in one area are one part of it.
    key, inverse = np.unique(np.stack([row, found.zone]), axis=1, return_inverse=True)
    share = summed(inverse.reshape(-1), weight[row] * found.share, key.shape[1])
    return Assignment(rows[key[0]], key[1].astype(np.int64), share)


def _assign_parts(shapes: NDArray[Any], kind: int, zones: NDArray[Any], *, overlapping: bool) -> Assignment:
    measure = straight_areas if kind == 2 else lengths
    rounding = _AREA_ROUNDING if kind == 2 else _LENGTH_ROUNDING
    if kind == 1:
        # Where a geodesic is cut, its parts are other geodesics; of short edges that is below the rounding.
        shapes = shapely.segmentize(shapes, _EDGE_DEGREES)
    whole = measure(shapes)
    shapely.prepare(zones)
    tree = shapely.STRtree(shapes)
    covering = tree.query(zones, predicate="covers")
    meeting = tree.query(zones, predicate="intersects")
    if not overlapping:
        # A line along a border is covered from both sides.
        covering = covering[:, np.lexsort((covering[0], covering[1]))]
        first = (
            np.concatenate([[True], covering[1][1:] != covering[1][:-1]]) if covering.shape[1] else np.zeros(0, bool)
        )
        covering = covering[:, first]
    inside = np.zeros(len(shapes), bool)
    inside[covering[1]] = True
    if overlapping:
        known = np.isin(meeting[0] * len(shapes) + meeting[1], covering[0] * len(shapes) + covering[1])
        cut = ~known
    else:
        cut = ~inside[meeting[1]]
    zone, row = meeting[0][cut], meeting[1][cut]
    piece = measure(shapely.intersection(shapes[row], zones[zone])) / whole[row]
    some = piece > 0
    zone, row, piece = zone[some], row[some], piece[some]
    total = summed(row, piece, len(shapes)) + inside * (0 if overlapping else 1.0)
    if overlapping:
        # In one area at the most: what is left is what its part leaves. Only where several meet they may share some.
        several = np.bincount(meeting[1], minlength=len(shapes)) > 1
        left = np.where(inside, 0.0, 1.0 - total)
        left[np.abs(left) <= rounding] = 0.0
        (open_,) = np.nonzero(~inside & several)
        left[open_] = _uncovered(shapes, open_, zones, meeting, whole, measure)
    else:
        double = (total > 1 + rounding) & ~inside
        if double.any():
            kept = ~double[row]
            again = _in_turn(shapes, np.flatnonzero(double), zones, meeting, whole, measure)
            row = np.concatenate([row[kept], again.row])
            zone = np.concatenate([zone[kept], again.zone])
            piece = np.concatenate([piece[kept], again.share])
            total = summed(row, piece, len(shapes)) + inside
        left = 1.0 - total
        round_ = (np.abs(left) <= rounding) & ~inside
        piece = np.where(round_[row], piece / np.where(total > 0, total, 1.0)[row], piece)
        left[round_ | inside] = 0.0
    (out,) = np.nonzero(left > rounding)
    return Assignment(
        np.concatenate([covering[1], row, out]).astype(np.int64),
        np.concatenate([covering[0], zone, np.full(len(out), OUTSIDE)]).astype(np.int64),
        np.concatenate([np.ones(covering.shape[1]), piece, left[out]]),
    )


def _uncovered(
    shapes: NDArray[Any], rows: Ints, zones: NDArray[Any], meeting: NDArray[Any], whole: Floats, measure: Any
) -> Floats:
    """Shares of some shapes that lie in no area: of each what the union of the areas that it meets leaves."""
    order = np.argsort(meeting[1], kind="stable")
    of, near = meeting[1][order], meeting[0][order]
    rest = np.empty(len(rows), object)
    for k, row in enumerate(rows.tolist()):
        begin, end = np.searchsorted(of, [row, row + 1])
        rest[k] = shapely.difference(shapes[row], shapely.union_all(zones[near[begin:end]]))
    return np.asarray(measure(rest) / whole[rows], np.float64)


def _in_turn(
    shapes: NDArray[Any], rows: Ints, zones: NDArray[Any], meeting: NDArray[Any], whole: Floats, measure: Any
) -> Assignment:
    """Shapes of which a part is in two areas (along a border, in a sliver): it is in the first of them."""
    parts: list[tuple[int, int, float]] = []
    order = np.lexsort((meeting[0], meeting[1]))
    of, near = meeting[1][order], meeting[0][order]
    for row in rows.tolist():
        begin, end = np.searchsorted(of, [row, row + 1])
        rest = shapes[row]
        for zone in near[begin:end].tolist():
            piece = float(measure(np.array([shapely.intersection(rest, zones[zone])], object))[0])
            if piece > 0:
                parts.append((row, zone, piece / whole[row]))
                rest = shapely.difference(rest, zones[zone])
    row_, zone_, share = (np.array(c) for c in zip(*parts, strict=True)) if parts else (np.zeros(0),) * 3
    return Assignment(row_.astype(np.int64), zone_.astype(np.int64), share.astype(np.float64))
