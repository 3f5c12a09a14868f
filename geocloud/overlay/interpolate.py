# SPDX-License-Identifier: Apache-2.0
"""Areal interpolation (面插值): values of one set of areas carried over to another, with nothing lost or made.

By *area*, a value lies evenly within its area. By a *mask* (dasymetric, 分区密度), it lies where the mask does, in
proportion to its weight: population where buildings are, by their floor area. A value that can be added (extensive,
such as population) is shared out; one that cannot (intensive, such as a density or a mean) is averaged by the same
weights.
Points carry their value whole to the area they are in, or to the nearest one.

How good that is, is told by carrying the values back: were they spread within each area as the method assumes, they
would come back as they were. Where the truth of the targets is known, it is compared with that too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.geodesy.area import ellipsoid
from geocloud.geodesy.straight import straight_areas
from geocloud.overlay.areas import polygons
from geocloud.overlay.assign import OUTSIDE, assign_points, assign_shapes, summed
from geocloud.overlay.zones import Places

__all__ = ["Carried", "Misses", "Pieces", "back", "carry", "carry_points", "cut", "inside_of", "misses", "weigh"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Pieces:
    """Sources cut at targets: place of the source, of the target (OUTSIDE for none), the shape, and its weight."""

    source: Ints
    target: Ints
    shapes: NDArray[Any]
    weight: Floats


@dataclass(frozen=True)
class Carried:
    """Values of the targets, NaN where nothing came of an intensive one; what went outside; and what all came from."""

    values: Floats
    outside: float
    total: float
    weights: Floats


@dataclass(frozen=True)
class Misses:
    """How far values are from others: number compared, mean absolute and root mean square difference, the greatest, and
    the mean absolute one as a share of the mean."""

    count: int
    mae: float
    rmse: float
    most: float
    share: float | None


def cut(sources: NDArray[Any], targets: NDArray[Any], *, overlapping: bool = False) -> Pieces:
    """Polygons of sources cut at those of targets, weighed by ellipsoidal area; what is in no target is a piece too."""
    found = assign_shapes(sources, targets, overlapping=overlapping)
    source, target = found.row, found.zone
    shapes = np.empty(len(source), dtype=object)
    inside = target >= 0
    whole = inside & (found.share == 1.0)
    shapes[whole] = sources[source[whole]]
    part = inside & ~whole
    shapes[part] = shapely.intersection(sources[source[part]], targets[target[part]])
    for i in np.flatnonzero(~inside).tolist():
        met = np.unique(target[(source == source[i]) & inside])
        rest = sources[source[i]]
        shapes[i] = rest if not len(met) else shapely.difference(rest, shapely.union_all(targets[met]))
    return Pieces(source, target, polygons(shapes), found.share * straight_areas(sources)[source])


def weigh(
    pieces: Pieces, masks: NDArray[Any], weights: Floats, sources: int, *, overlapping: bool = False
) -> tuple[Pieces, int]:
    """The pieces weighed by what of a mask lies in them, and how many sources have nothing of it: those keep the weight
    of their areas. `weights` of the masks are shared out as lines and polygons are, by length or area."""
    found = assign_shapes(masks, pieces.shapes, overlapping=overlapping)
    some = found.zone >= 0
    weight = summed(found.zone[some], found.share[some] * weights[found.row[some]], len(pieces.source))
    of_source = summed(pieces.source, weight, sources)
    bare = of_source <= 0
    used = np.unique(pieces.source)
    weight = np.where(bare[pieces.source], pieces.weight, weight)
    return replace(pieces, weight=weight), int(bare[used].sum())


def carry(values: Floats, pieces: Pieces, targets: int, *, extensive: bool = True) -> Carried:
    """Values of sources (NaN for none, left out) carried to the targets."""
    known = ~np.isnan(values[pieces.source])
    source, target, weight = pieces.source[known], pieces.target[known], pieces.weight[known]
    place = np.where(target < 0, targets, target)
    if not extensive:
        total = summed(place, weight, targets + 1)
        mean = summed(place, weight * values[source], targets + 1)
        means = np.where(total > 0, mean / np.where(total > 0, total, 1.0), np.nan)
        whole = float(weight.sum())
        return Carried(
            means[:-1], float(means[-1]), float((weight * values[source]).sum()) / whole if whole else float("nan"),
            total[:-1],
        )  # fmt: skip
    whole_of = summed(source, weight, len(values))
    share = weight / np.where(whole_of > 0, whole_of, 1.0)[source]
    shared = summed(place, share * values[source], targets + 1)
    total_weight = summed(place, weight, targets + 1)
    return Carried(shared[:-1], float(shared[-1]), float(np.nansum(values[np.unique(source)])), total_weight[:-1])


def carry_points(
    values: Floats, lon: Floats, lat: Floats, targets: NDArray[Any], *, nearest: bool, extensive: bool = True
) -> tuple[Carried, Ints, Floats]:
    """Values of points carried to the areas they are in; with `nearest` those in none to the nearest, and a mean of
    nothing is that of the nearest point. Also which points were brought from elsewhere, and over how many metres."""
    known = np.isfinite(values) & np.isfinite(lon) & np.isfinite(lat)
    rows = np.flatnonzero(known)
    x, y = lon[rows], lat[rows]
    found = assign_points(Places(x, y), targets)
    zone = np.full(len(rows), OUTSIDE, np.int64)
    zone[found.row] = found.zone
    far, metres = np.zeros(0, np.int64), np.zeros(0)
    if nearest and len(targets):
        (far,) = np.nonzero(zone < 0)
        zone[far], metres = _nearest_areas(x[far], y[far], targets)
    count = len(targets)
    place = np.where(zone < 0, count, zone)
    number = summed(place, np.ones(len(rows)), count + 1)
    added = summed(place, values[rows], count + 1)
    if extensive:
        return Carried(added[:-1], float(added[-1]), float(values[rows].sum()), number[:-1]), rows[far], metres
    means = np.where(number > 0, added / np.where(number > 0, number, 1.0), np.nan)
    empty = np.flatnonzero(np.isnan(means[:-1]))
    if nearest and len(rows) and len(empty):
        means[empty] = values[rows][_nearest_points(x, y, targets[empty])]
    whole = float(values[rows].mean()) if len(rows) else float("nan")
    return Carried(means[:-1], float(means[-1]), whole, number[:-1]), rows[far], metres


def back(carried: Carried, pieces: Pieces, sources: int, *, extensive: bool = True) -> Floats:
    """The values of the targets carried back to the sources by the same weights; NaN where nothing comes back."""
    inside = pieces.target >= 0
    turned = Pieces(pieces.target[inside], pieces.source[inside], pieces.shapes[inside], pieces.weight[inside])
    found = carry(carried.values, turned, sources, extensive=extensive)
    reached = summed(turned.target, turned.weight, sources) > 0
    return np.where(reached, found.values, np.nan)


def misses(values: Floats, truth: Floats) -> Misses | None:
    """How far values are from the truth, where both are known; None where that is nowhere."""
    both = np.isfinite(values) & np.isfinite(truth)
    if not both.any():
        return None
    off = np.abs(values[both] - truth[both])
    mean = float(np.abs(truth[both]).mean())
    mae = float(off.mean())
    return Misses(
        int(both.sum()), mae, float(np.sqrt((off**2).mean())), float(off.max()), mae / mean if mean > 0 else None
    )


def inside_of(values: Floats, pieces: Pieces) -> Floats:
    """What of each extensive value went into targets, the truth that carrying back is held against."""
    whole = summed(pieces.source, pieces.weight, len(values))
    some = pieces.target >= 0
    kept = summed(pieces.source[some], pieces.weight[some], len(values))
    return values * np.where(whole > 0, kept / np.where(whole > 0, whole, 1.0), np.nan)


def _nearest_areas(x: Floats, y: Floats, targets: NDArray[Any]) -> tuple[Ints, Floats]:
    """The nearest area of each point, and how many metres away it is."""
    if not len(x):
        return np.zeros(0, np.int64), np.zeros(0)
    shrink = float(np.cos(np.radians(y.mean())))

    def plane(xy: Any) -> Any:
        return xy * (shrink, 1.0)

    # Near each other a degree of longitude is the shorter by the cosine of the latitude.
    flat = shapely.transform(targets, plane)
    points = shapely.points(x * shrink, y)
    pair = shapely.STRtree(flat).query_nearest(points, all_matches=True)
    order = np.lexsort((pair[1], pair[0]))
    first = order[np.concatenate([[True], pair[0][order][1:] != pair[0][order][:-1]])]
    zone = pair[1][first]
    line = shapely.shortest_line(points, flat[zone])
    ends = shapely.get_coordinates(line).reshape(-1, 2, 2)
    metres = ellipsoid().inv(ends[:, 0, 0] / shrink, ends[:, 0, 1], ends[:, 1, 0] / shrink, ends[:, 1, 1])[2]
    return zone.astype(np.int64), np.asarray(metres, np.float64)


def _nearest_points(x: Floats, y: Floats, targets: NDArray[Any]) -> Ints:
    shrink = float(np.cos(np.radians(y.mean())))
    tree = shapely.STRtree(shapely.points(x * shrink, y))
    flat = shapely.transform(targets, lambda xy: xy * (shrink, 1.0))
    pair = tree.query_nearest(flat, all_matches=True)
    order = np.lexsort((pair[1], pair[0]))
    first = order[np.concatenate([[True], pair[0][order][1:] != pair[0][order][:-1]])]
    return np.asarray(pair[1][first], np.int64)
