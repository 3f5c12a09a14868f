# SPDX-License-Identifier: Apache-2.0
"""A crosswalk between two layers of areas (网格对照): what each shares with each, in m2, addresses and persons.

Pairs come of the boxes of both layers, and all that pairs share is cut at once. What lies outside the other layer is a
row of its own without a partner, so that the shares of an area add up to one; where the other layer overlaps itself,
ground counts in every row it belongs to, and how much that is is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.geodesy.straight import straight_areas

__all__ = ["Crosswalk", "Persons", "Zones", "by_floor_area", "cross", "owners_of", "pieces_of"]

Shapes = NDArray[Any]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Part of an area that may lie where nobody knows how many live, before its persons are not judged.
_UNKNOWN = 1e-6
# Outside areas smaller than this (m2) are what cutting leaves along borders that are the same.
_LEAST_M2 = 1e-3


@dataclass(frozen=True)
class Zones:
    """Areas of one layer: keys, names, shapes (EPSG:4490, x = longitude), begin and end (None where open)."""

    keys: Sequence[str]
    shapes: Shapes
    names: Sequence[str | None] = ()
    begin: Sequence[datetime | None] = ()
    end: Sequence[datetime | None] = ()

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True)
class Persons:
    """Areas with how many live there, NaN where that is not known."""

    shapes: Shapes
    counts: Floats


@dataclass
class Crosswalk:
    """Rows as columns of one length. `a` and `b` are numbers of zones, -1 for none. `share_*` are parts of the zone's
    own area, addresses and persons; NaN where there is no such zone or it has none. `persons` is NaN where not judged.

    `doubled_a`, `doubled_b`: m2 of each zone that lie in more than one of the other layer; `closure_a`, `closure_b`:
    how far pieces, less what is doubled, and the outside part are from the zone's area, as a part of it.
    """

    a: Ints
    b: Ints
    shape: Shapes
    area_m2: Floats
    area_a: Floats
    area_b: Floats
    doubled_a: Floats
    doubled_b: Floats
    closure_a: Floats
    closure_b: Floats
    addresses: Ints | None = None
    persons: Floats | None = None
    totals: dict[str, Floats] = field(default_factory=dict)
    """Addresses and persons by zone: `addresses_a`, `addresses_b`, `persons_a`, `persons_b`."""

    def share(self, side: str, of: str = "area") -> Floats:
        """Part of zone a's or b's area, addresses or persons that each row is."""
        at = self.a if side == "a" else self.b
        amount = {"area": self.area_m2, "addresses": self.addresses, "persons": self.persons}[of]
        whole = self.totals[f"{of}_{side}"] if of != "area" else self.area_a if side == "a" else self.area_b
        out = np.full(len(at), np.nan)
        if amount is None:
            return out
        some = at >= 0
        with np.errstate(invalid="ignore", divide="ignore"):
            out[some] = np.where(whole[at[some]] > 0, amount[some] / whole[at[some]], np.nan)
        return out


def cross(
    a: Zones, b: Zones, addresses: Shapes | None = None, persons: Persons | None = None, houses: Persons | None = None
) -> Crosswalk:
    """The crosswalk of two layers. `addresses` are points; a point on a border counts for the first zone by key.

    Persons are shared out by area from `persons`, or counted from `houses`: points with how many live there.
    """
    i, k, shared = pieces_of(a.shapes, b.shapes)
    rest_a, rest_b = _outside(a.shapes, shared, i), _outside(b.shapes, shared, k)
    area_a, area_b = straight_areas(a.shapes), straight_areas(b.shapes)
    out_a, out_b = straight_areas(rest_a), straight_areas(rest_b)
    left_a, left_b = np.flatnonzero(out_a > _LEAST_M2), np.flatnonzero(out_b > _LEAST_M2)
    at_a = np.concatenate([i, left_a, np.full(len(left_b), -1, np.int64)])
    at_b = np.concatenate([k, np.full(len(left_a), -1, np.int64), left_b])
    shape = np.concatenate([shared, rest_a[left_a], rest_b[left_b]])
    area = straight_areas(shape)
    order = np.lexsort((_rank(b.keys, at_b), _rank(a.keys, at_a)))
    at_a, at_b, shape, area = at_a[order], at_b[order], shape[order], area[order]
    cut = straight_areas(shared)
    doubled_a, once_a = _doubled(shared, cut, i, len(a))
    doubled_b, once_b = _doubled(shared, cut, k, len(b))
    found = Crosswalk(
        at_a, at_b, shape, area, area_a, area_b, doubled_a, doubled_b,
        _closure(once_a + out_a, area_a), _closure(once_b + out_b, area_b),
    )  # fmt: skip
    if addresses is not None:
        ones = Persons(addresses, np.ones(len(addresses)))
        found.addresses = _counted(found, a, b, ones, "addresses").astype(np.int64)
    if houses is not None:
        found.persons = _counted(found, a, b, houses, "persons")
        _unpeopled(found, a, b, persons)
    elif persons is not None:
        found.persons = _spread(shape, area, persons)
        for side, zones, whole in (("a", a, area_a), ("b", b, area_b)):
            found.totals[f"persons_{side}"] = _spread(zones.shapes, whole, persons)
    return found


def pieces_of(a: Shapes, b: Shapes) -> tuple[Ints, Ints, Shapes]:
    """Pairs of areas that share more than a border: their numbers, and what they share as (multi)polygons."""
    if not len(a) or not len(b):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, dtype=object)
    i, k = shapely.STRtree(b).query(a, predicate="intersects")
    shared = _areal(shapely.intersection(a[i], b[k]))
    some = ~shapely.is_empty(shared) & (shapely.area(shared) > 0)
    return i[some].astype(np.int64), k[some].astype(np.int64), shared[some]


def owners_of(points: Shapes, zones: Zones) -> tuple[Ints, Ints]:
    """Pairs of point and zone: every zone with the point in its inside; on borders alone, the first by key."""
    n, z = shapely.STRtree(zones.shapes).query(points, predicate="intersects")
    inside = shapely.contains_properly(zones.shapes[z], points[n])
    has = np.zeros(len(points), bool)
    has[n[inside]] = True
    edge = ~inside & ~has[n]
    on, zone = n[edge], z[edge]
    order = np.lexsort((_rank(zones.keys, zone), on))
    on, zone = on[order], zone[order]
    first = np.r_[True, on[1:] != on[:-1]] if len(on) else np.zeros(0, bool)
    return np.concatenate([n[inside], on[first]]), np.concatenate([z[inside], zone[first]])


def by_floor_area(villages: Persons, points: Shapes, floor_m2: Floats) -> tuple[Persons, Persons]:
    """Persons of each house: those of its area, shared out by floor area; and the areas with NaN where no house is.

    `points` are places of houses, `floor_m2` their floor areas (NaN counts as none).
    """
    floor = np.nan_to_num(floor_m2)
    keys = [f"{n:09}" for n in range(len(villages.shapes))]
    n, z = owners_of(points, Zones(keys, villages.shapes))
    whole = np.bincount(z, floor[n], minlength=len(keys))
    counts = np.where(whole > 0, villages.counts, np.nan)
    known = np.isfinite(counts[z])
    n, z = n[known], z[known]
    lives = np.bincount(n, counts[z] * floor[n] / whole[z], minlength=len(points))
    return Persons(points, lives.astype(float)), Persons(villages.shapes, counts)


def _outside(shapes: Shapes, shared: Shapes, of: Ints) -> Shapes:
    """What of each shape lies in none of its pieces."""
    out = shapes.copy()
    hit = np.unique(of)
    if len(hit):
        out[hit] = _areal(shapely.difference(shapes[hit], _union(shared, of, hit)))
    return out


def _union(shapes: Shapes, of: Ints, which: Ints) -> Shapes:
    order = np.argsort(of, kind="stable")
    bounds = np.searchsorted(of[order], which), np.searchsorted(of[order], which, side="right")
    out = np.empty(len(which), dtype=object)
    for n, (start, end) in enumerate(zip(*bounds, strict=True)):
        out[n] = shapely.union_all(shapes[order[start:end]])
    return out


def _doubled(shared: Shapes, area: Floats, of: Ints, count: int) -> tuple[Floats, Floats]:
    """By zone: m2 that lie in more than one piece, counted as often as they are too much; and m2 of all pieces once."""
    whole = np.bincount(of, area, minlength=count)
    once = np.zeros(count)
    hit = np.unique(of)
    if len(hit):
        once[hit] = straight_areas(_union(shared, of, hit))
    return np.where(whole - once > _LEAST_M2, whole - once, 0.0), once


def _closure(found: Floats, whole: Floats) -> Floats:
    return np.abs(found - whole) / np.where(whole > 0, whole, 1.0)


def _counted(found: Crosswalk, a: Zones, b: Zones, of: Persons, name: str) -> Floats:
    """How many of the points, each with its weight, lie in each row."""
    pairs: list[tuple[Ints, Ints]] = []
    for side, zones in (("a", a), ("b", b)):
        n, z = owners_of(of.shapes, zones)
        found.totals[f"{name}_{side}"] = np.bincount(z, of.counts[n], minlength=len(zones)).astype(float)
        alone = np.setdiff1d(np.arange(len(of.shapes)), n)
        pairs.append((np.concatenate([n, alone]), np.concatenate([z, np.full(len(alone), -1, np.int64)])))
    (n_a, z_a), (n_b, z_b) = pairs
    order = np.argsort(n_b, kind="stable")
    start, end = np.searchsorted(n_b[order], n_a), np.searchsorted(n_b[order], n_a, side="right")
    times = end - start
    at = np.repeat(start, times) + np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    keys = (np.repeat(z_a, times) + 1) * (len(b) + 1) + z_b[order][at] + 1
    rows = (found.a + 1) * (len(b) + 1) + found.b + 1
    by_row = np.argsort(rows)
    place = np.searchsorted(rows[by_row], keys)
    place = np.minimum(place, max(0, len(rows) - 1))
    known = rows[by_row][place] == keys if len(rows) else np.zeros(len(keys), bool)
    weights = of.counts[np.repeat(n_a, times)][known]
    return np.bincount(by_row[place[known]], weights, minlength=len(rows)).astype(float)


def _spread(shapes: Shapes, area: Floats, persons: Persons) -> Floats:
    """Persons in each shape by its part of the areas where they live; NaN where part of it is in none known."""
    known = np.isfinite(persons.counts)
    homes, counts = persons.shapes[known], persons.counts[known]
    n, z, shared = pieces_of(shapes, homes)
    part = straight_areas(shared)
    lives = np.bincount(n, part * counts[z] / straight_areas(homes)[z], minlength=len(shapes))
    covered = np.bincount(n, part, minlength=len(shapes))
    return np.where(covered >= area * (1 - _UNKNOWN), lives, np.nan)


def _unpeopled(found: Crosswalk, a: Zones, b: Zones, persons: Persons | None) -> None:
    """Persons counted from houses are not judged where part of the ground belongs to no area that is known."""
    if persons is None or found.persons is None:
        return
    found.persons[np.isnan(_spread(found.shape, found.area_m2, persons))] = np.nan
    for side, zones, area in (("a", a, found.area_a), ("b", b, found.area_b)):
        found.totals[f"persons_{side}"][np.isnan(_spread(zones.shapes, area, persons))] = np.nan


def _areal(shapes: Shapes) -> Shapes:
    """Shapes without the lines and points that cutting leaves."""
    mixed = np.flatnonzero(shapely.get_type_id(shapes) == 7)
    for n in mixed.tolist():
        parts = shapely.get_parts(shapes[n])
        shapes[n] = shapely.union_all(parts[np.isin(shapely.get_type_id(parts), (3, 6))])
    other = np.isin(shapely.get_type_id(shapes), (0, 1, 2, 4, 5))
    shapes[other] = shapely.from_wkt("POLYGON EMPTY")
    return shapes


def _rank(keys: Sequence[str], at: Ints) -> Ints:
    """Places of zones in the order of their keys; those without one come last."""
    order = np.argsort(np.asarray(keys, dtype=object), kind="stable") if len(keys) else np.empty(0, np.int64)
    rank = np.empty(len(keys) + 1, np.int64)
    rank[order], rank[-1] = np.arange(len(keys)), len(keys)
    return rank[at]
