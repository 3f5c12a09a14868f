# SPDX-License-Identifier: Apache-2.0
"""Where boundaries of departments' grids disagree (网格边界冲突): numbered rules, each found by its own measure.

F1 borders that almost agree; F2 a grid in more than one division of the level it belongs to; F3 a gap within a
division that a department has grids in; F4 overlap of a department's own grids; F5 a division code that says otherwise
than the place. What is thinner than two roundings of coordinates is none of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.spec import Text
from geocloud.geodesy.straight import straight_areas
from geocloud.overlay.crosswalk import pieces_of
from geocloud.planning.slivers import KINDS, Measured, measure, sliver_kinds
from geocloud.sectors.grids.zones import GridZones, Parents

__all__ = ["LEAST_M2", "RULES", "TOLERANCE_M", "Boundary", "boundaries"]

RULES: dict[str, Text] = {
    "F1": Text(zh="边界近似重合", en="Borders that almost agree"),
    "F2": Text(zh="跨越上级边界", en="Across the border of its parent"),
    "F3": Text(zh="本部门网格缝隙", en="Gap between a department's grids"),
    "F4": Text(zh="本部门网格重叠", en="Overlap of a department's grids"),
    "F5": Text(zh="上级代码与位置不符", en="Parent code says otherwise than the place"),
}
# Examples of this project: no standard gives them. Two borders no further apart were meant to be one; what is smaller
# is no gap and no overlap, as in rule G6.
TOLERANCE_M, LEAST_M2 = 2.0, 1.0
_REAL, _ROUNDING, _SMALL = (KINDS.index(k) for k in ("none", "rounding", "small"))
_OFFSET = KINDS.index("edge_offset")
# Digits of a code that name a division, by level.
_PREFIX = {"village": 12, "township": 9, "county": 6}
Shapes = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Boundary:
    """One conflict: rule, layers and keys (b is a division where the rule is about one), departments, its place
    (lon/lat multipolygon), m2 on the ellipsoid, mean width (m), and for F5 what is said and what is there."""

    rule: str
    layer_a: str
    key_a: str
    layer_b: str
    key_b: str
    department_a: str
    department_b: str | None
    place: Any
    area_m2: float
    width_m: float
    said: str | None = None
    found: str | None = None

    @property
    def code(self) -> str:
        """The same at every run: rule and both keys."""
        a, b = (f"{layer.partition('.')[2]}/{key}" for layer, key in
                ((self.layer_a, self.key_a), (self.layer_b, self.key_b)))  # fmt: skip
        return f"{self.rule}:{a}:{b}"


def boundaries(
    grids: Sequence[GridZones],
    parents: Mapping[str, Parents],
    rules: Sequence[str] = tuple(RULES),
    tolerance_m: float = TOLERANCE_M,
    least_m2: float = LEAST_M2,
    progress: Callable[[float, str, str], None] = lambda _s, _z, _e: None,
) -> list[Boundary]:
    """Conflicts of all layers with each other, within themselves and with divisions, in the order of their codes."""
    found: list[Boundary] = []
    pairs = list(combinations(grids, 2)) if "F1" in rules else []
    for n, (a, b) in enumerate(pairs):
        zh, en = (
            a.layer.spec.title.zh + "与" + b.layer.spec.title.zh,
            f"{a.layer.spec.title.en}, {b.layer.spec.title.en}",
        )
        progress(n / (len(pairs) + len(grids)), zh, en)
        found += _offsets(a, b, tolerance_m, least_m2)
    for n, own in enumerate(grids):
        progress((len(pairs) + n) / (len(pairs) + len(grids)), own.layer.spec.title.zh, own.layer.spec.title.en)
        if "F4" in rules:
            found += _overlaps(own, tolerance_m, least_m2)
        if {"F1", "F2", "F3", "F5"} & set(rules):
            found += [b for b in _within_parents(own, parents, tolerance_m, least_m2) if b.rule in rules]
    return sorted(found, key=lambda b: b.code)


@dataclass(frozen=True)
class _Parts:
    """Polygons that pairs share: number of each one's pair members, measures and kind."""

    i: NDArray[np.int64]
    k: NDArray[np.int64]
    shape: Shapes
    measured: Measured
    kind: NDArray[np.int64]


def _parts(a: Shapes, b: Shapes, tolerance_m: float, least_m2: float) -> _Parts:
    i, k, shared = pieces_of(a, b)
    shape, of = shapely.get_parts(shared, return_index=True)
    measured = measure(shape)
    some = measured.area_m2 > 0
    shape, of, measured = shape[some], of[some], Measured(measured.area_m2[some], measured.outline_m[some])
    return _Parts(i[of], k[of], shape, measured,
                  sliver_kinds(shape, measured, tolerance_m, least_m2, a[i[of]], b[k[of]]))  # fmt: skip


def _offsets(a: GridZones, b: GridZones, tolerance_m: float, least_m2: float) -> list[Boundary]:
    """Strips between two borders that were meant to be one: thin all along, and both borders run beside them."""
    parts = _parts(a.zones.shapes, b.zones.shapes, tolerance_m, least_m2)
    some = (parts.kind == _OFFSET) & (parts.measured.area_m2 >= least_m2)
    return _joined("F1", a, b, parts, some)


def _overlaps(own: GridZones, tolerance_m: float, least_m2: float) -> list[Boundary]:
    parts = _parts(own.zones.shapes, own.zones.shapes, tolerance_m, least_m2)
    some = (parts.i < parts.k) & (parts.kind != _ROUNDING) & (parts.measured.area_m2 >= least_m2)
    return _joined("F4", own, own, parts, some)


def _joined(rule: str, a: GridZones, b: GridZones, parts: _Parts, some: NDArray[np.bool_]) -> list[Boundary]:
    """One conflict for each pair, of all its parts."""
    out = []
    pairs: dict[tuple[int, int], list[int]] = {}
    for n in np.flatnonzero(some).tolist():
        pairs.setdefault((int(parts.i[n]), int(parts.k[n])), []).append(n)
    for (i, k), own in pairs.items():
        out.append(
            Boundary(
                rule,
                a.layer.id,
                a.zones.keys[i],
                b.layer.id,
                b.zones.keys[k],
                a.department(i),
                b.department(k),
                *_whole(parts.shape[own], Measured(parts.measured.area_m2[own], parts.measured.outline_m[own])),
            )  # fmt: skip
        )
    return out


def _whole(shapes: Shapes, measured: Measured) -> tuple[Any, float, float]:
    area, outline = float(measured.area_m2.sum()), float(measured.outline_m.sum())
    return shapely.multipolygons(list(shapes)), area, 2 * area / outline if outline else 0.0


def _within_parents(
    own: GridZones, parents: Mapping[str, Parents], tolerance_m: float, least_m2: float
) -> list[Boundary]:
    found: list[Boundary] = []
    levels = np.array([_level_of(own, n) for n in range(len(own))], dtype=object)
    for level in (k for k in _PREFIX if k in parents):
        at = np.flatnonzero(levels == level)
        if len(at):
            found += _of_level(own, at, parents[level], tolerance_m, least_m2)
    return found


def _level_of(own: GridZones, at: int) -> str | None:
    """The level of division a grid belongs to: as it says, else the smallest whose code it has."""
    said = own.said.get("level", [None] * len(own))[at]
    if said is not None:
        return said if said in _PREFIX else None
    if _said_code(own, at, "village"):
        return "village"
    return "county" if _said_code(own, at, "county") else None


def _said_code(own: GridZones, at: int, level: str) -> str | None:
    """The code of the division of that level, as the grid's fields say, else the digits of its own code."""
    community = own.said.get("community_code", [None] * len(own))[at]
    county = own.said.get("county_code", [None] * len(own))[at]
    if community is None and own.layer.spec.name == "unit_grid":
        community = own.zones.keys[at][:12]
    if level == "county":
        return county or (community[:6] if community else None)
    return community[: _PREFIX[level]] if community else None


def _of_level(
    own: GridZones, at: NDArray[np.int64], parents: Parents, tolerance_m: float, least_m2: float
) -> list[Boundary]:
    shapes = own.zones.shapes[at]
    parts = _parts(shapes, parents.shapes, tolerance_m, least_m2)
    home: dict[int, int] = {}
    share: dict[tuple[int, int], float] = {}
    for i, k, m2 in zip(parts.i.tolist(), parts.k.tolist(), parts.measured.area_m2.tolist(), strict=True):
        share[i, k] = share.get((i, k), 0.0) + m2
    for (i, k), m2 in sorted(share.items()):
        if i not in home or m2 > share[i, home[i]]:
            home[i] = k
    found: list[Boundary] = []
    abroad: dict[tuple[str, int, int], list[int]] = {}
    for n, (i, k) in enumerate(zip(parts.i.tolist(), parts.k.tolist(), strict=True)):
        if home[i] == k or parts.measured.area_m2[n] < least_m2:
            continue
        if parts.kind[n] == _REAL:
            abroad.setdefault(("F2", i, k), []).append(n)
        elif parts.kind[n] == _OFFSET:
            abroad.setdefault(("F1", i, k), []).append(n)
    for (rule, i, k), these in abroad.items():
        place = _whole(parts.shape[these], Measured(parts.measured.area_m2[these], parts.measured.outline_m[these]))
        key, name = own.zones.keys[int(at[i])], own.department(int(at[i]))
        found.append(Boundary(rule, own.layer.id, key, parents.layer, parents.codes[k], name, None, *place))
    found += _codes(own, at, parents, home)
    return found + _gaps(own, parents, home, tolerance_m, least_m2)


def _codes(own: GridZones, at: NDArray[np.int64], parents: Parents, home: dict[int, int]) -> list[Boundary]:
    """Grids whose code of the division is not that of the division most of them lies in."""
    found = []
    for i, k in home.items():
        n = int(at[i])
        said, there = _said_code(own, n, parents.level), parents.codes[k]
        if said is None or said == there[: _PREFIX[parents.level]]:
            continue
        shape = own.zones.shapes[n]
        place = shape if shape.geom_type == "MultiPolygon" else shapely.multipolygons([shape])
        area = float(straight_areas(np.array([shape], dtype=object))[0])
        key, name = own.zones.keys[n], own.department(n)
        found.append(Boundary("F5", own.layer.id, key, parents.layer, there, name, None, place, area, 0.0, said, there))
    return found


def _gaps(
    own: GridZones, parents: Parents, home: dict[int, int], tolerance_m: float, least_m2: float
) -> list[Boundary]:
    """What of a division in which the department has grids lies in none of its grids, of whatever level."""
    held = sorted(set(home.values()))
    i, k, shared = pieces_of(parents.shapes[held], own.zones.shapes)
    found = []
    for n, parent in enumerate(held):
        left = shapely.difference(parents.shapes[parent], shapely.union_all(shared[i == n]))
        parts = shapely.get_parts(left)
        parts = parts[shapely.get_type_id(parts) == 3]
        measured = measure(parts)
        around = np.full(len(parts), parents.shapes[parent], dtype=object)
        kinds = sliver_kinds(parts, measured, tolerance_m, least_m2, around, around)
        some = (kinds != _ROUNDING) & (measured.area_m2 >= least_m2)
        if not some.any():
            continue
        place = _whole(parts[some], Measured(measured.area_m2[some], measured.outline_m[some]))
        near = int(k[i == n][0])
        found.append(
            Boundary("F3", own.layer.id, parents.codes[parent], parents.layer, parents.codes[parent],
                     own.department(near), None, *place)
        )  # fmt: skip
    return found
