# SPDX-License-Identifier: Apache-2.0
"""Parts of features added up: one figure an area and measure, what lies outside all of them, and whether that closes.

The total is added up from the features themselves and not from the areas, so that the difference says something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geocloud.overlay.assign import Assignment, summed
from geocloud.overlay.columns import Columns
from geocloud.overlay.measures import Measure

__all__ = ["Figures", "Sums", "add_up", "closes", "figures", "merged", "total_of"]

Floats = NDArray[np.float64]
# Sums of numbers that are equal on paper differ by rounding; relative to what was added up.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Sums:
    """What was added up, one place for each area and the last for what lies outside: features, m, m2; for each field
    how many have a value, their sum, least and greatest."""

    count: Floats
    length: Floats
    area: Floats
    known: dict[str, Floats]
    sum: dict[str, Floats]
    least: dict[str, Floats]
    most: dict[str, Floats]


@dataclass(frozen=True)
class Figures:
    """An answer's figures by the name of their column: each area's, what lies outside, all features.

    Means, least and greatest are NaN where no feature has a value.
    """

    zones: dict[str, Floats]
    outside: dict[str, float]
    total: dict[str, float]


def add_up(found: Assignment, columns: Columns, fields: Sequence[str], zones: int, *, sized: bool = False) -> Sums:
    """The sums of the parts of features in `zones` areas; metres and square metres only where `sized`."""
    place = np.where(found.zone < 0, zones, found.zone)

    length, area = columns.amounts if sized else (np.zeros(0), np.zeros(0))
    out = Sums(
        summed(place, found.share, zones + 1),
        summed(place, found.share * length[found.row], zones + 1) if sized else np.zeros(zones + 1),
        summed(place, found.share * area[found.row], zones + 1) if sized else np.zeros(zones + 1),
        {}, {}, {}, {},
    )  # fmt: skip
    for name in fields:
        values = columns.values[name][found.row]
        some = ~np.isnan(values)
        all_of_them = bool(some.all())
        share, where, value = (
            (found.share, place, values) if all_of_them else (found.share[some], place[some], values[some])
        )
        out.known[name] = summed(where, share, zones + 1)
        out.sum[name] = summed(where, share * value, zones + 1)
        least, most = np.full(zones + 1, np.inf), np.full(zones + 1, -np.inf)
        np.minimum.at(least, where, value)
        np.maximum.at(most, where, value)
        out.least[name], out.most[name] = least, most
    return out


def total_of(columns: Columns, fields: Sequence[str], *, sized: bool = False) -> Sums:
    """The sums of all features that have a geometry, in one place."""
    placed = columns.placed
    length, area = columns.amounts if sized else (np.zeros(len(placed)),) * 2
    out = Sums(
        np.array([float(placed.sum())]),
        np.array([length[placed].sum()]),
        np.array([area[placed].sum()]),
        {},
        {},
        {},
        {},
    )
    for name in fields:
        values = columns.values[name][placed]
        values = values[~np.isnan(values)]
        out.known[name], out.sum[name] = np.array([float(len(values))]), np.array([values.sum()])
        out.least[name] = np.array([values.min() if len(values) else np.inf])
        out.most[name] = np.array([values.max() if len(values) else -np.inf])
    return out


def merged(one: Sums, other: Sums) -> Sums:
    """Sums of features that are told in two parts."""

    def both(name: str) -> dict[str, Floats]:
        a, b = getattr(one, name), getattr(other, name)
        way = {"least": np.minimum, "most": np.maximum}.get(name, np.add)
        return {k: way(a[k], b[k]) for k in a}

    return Sums(
        one.count + other.count, one.length + other.length, one.area + other.area,
        both("known"), both("sum"), both("least"), both("most"),
    )  # fmt: skip


def figures(sums: Sums, total: Sums, measures: Sequence[Measure], area_km2: Floats | None) -> Figures:
    """The figures of the measures. `area_km2` of each area is needed for `density`."""
    inside = Figures({}, {}, {})
    for m in measures:
        values, whole = _of(sums, m), float(_of(total, m)[0])
        if m.kind == "density":
            assert area_km2 is not None
            land = np.where(area_km2 > 0, area_km2, np.nan)
            inside.zones[m.name] = sums.count[:-1] / land
            # What lies outside has no area.
            inside.outside[m.name], inside.total[m.name] = float("nan"), float("nan")
            continue
        inside.zones[m.name], inside.outside[m.name], inside.total[m.name] = values[:-1], float(values[-1]), whole
    for name in dict.fromkeys(m.field for m in measures if m.field):
        without = np.maximum(sums.count - sums.known[name], 0.0)
        without[np.abs(without) < _ROUNDING * np.maximum(sums.count, 1.0)] = 0.0
        key = f"without_value_{name}"
        inside.zones[key], inside.outside[key] = without[:-1], float(without[-1])
        inside.total[key] = float(total.count[0] - total.known[name][0])
    return inside


def closes(found: Figures, names: Sequence[str]) -> dict[str, float]:
    """By column that adds up: areas and outside together less all features, 0 where it closes but for rounding."""
    out = {}
    for name in names:
        parts = float(np.sum(found.zones[name])) + found.outside[name]
        left = parts - found.total[name]
        scale = max(float(np.abs(found.zones[name]).sum()) + abs(found.outside[name]), abs(found.total[name]))
        out[name] = 0.0 if abs(left) <= _ROUNDING * scale else left
    return out


def _of(sums: Sums, m: Measure) -> Floats:
    if m.kind in ("count", "density"):
        return sums.count
    if m.kind in ("length", "area"):
        return sums.length if m.kind == "length" else sums.area
    if m.kind == "sum":
        return sums.sum[m.field]
    known = sums.known[m.field]
    if m.kind == "mean":
        return np.where(known > 0, sums.sum[m.field] / np.where(known > 0, known, 1.0), np.nan)
    values = sums.least[m.field] if m.kind == "min" else sums.most[m.field]
    return np.where(np.isfinite(values), values, np.nan)
