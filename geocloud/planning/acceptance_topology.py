# SPDX-License-Identifier: Apache-2.0
"""Topology inside a plan (拓扑检查): each check takes geometries in EPSG:4490, longitude first, and gives its findings.

`sound` are valid polygons, of which those of no area are empty; `raw` are geometries as drawn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.geodesy.straight import straight_areas
from geocloud.planning.acceptance_faults import Fault, flattened, widths

__all__ = [
    "duplicate_geometries", "gaps", "invalid", "many_parts", "overlaps", "slivers", "small_parts", "spikes",
    "stated_areas",
]  # fmt: skip

Array = NDArray[Any]
_AT = re.compile(r"\[(\S+) (\S+)\]")
_WORDS = {
    "Self-intersection": "自相交", "Ring Self-intersection": "环自相接", "Hole lies outside shell": "内环在外环之外",
    "Holes are nested": "内环嵌套", "Interior is disconnected": "内部不连通", "Nested shells": "面嵌套",
    "Too few points in geometry component": "角点不足", "Duplicate Rings": "环重复",
}  # fmt: skip
# Corners nearer than this, in degrees, are the same: about a tenth of a millimetre.
_DIGITS = 9


def invalid(raw: Array) -> list[Fault]:
    """Features without polygon, and polygons that are not valid, with the place of the fault."""
    out = []
    missing = shapely.is_missing(raw) | shapely.is_empty(raw)
    other = ~missing & ~np.isin(shapely.get_type_id(raw), (3, 6))
    for i in np.flatnonzero(missing):
        out.append(Fault(int(i), None, "没有几何图形", "has no geometry"))
    for i in np.flatnonzero(other):
        kind = raw[i].geom_type
        out.append(Fault(int(i), raw[i], f"几何类型为 {kind},应为面", f"is a {kind}, not a polygon"))
    for i in np.flatnonzero(~missing & ~other & ~shapely.is_valid(raw)):
        reason = str(shapely.is_valid_reason(raw[i]))
        at, said = _AT.search(reason), reason.partition("[")[0].strip()
        place = shapely.Point(float(at[1]), float(at[2])) if at else _corner(raw[i])
        out.append(Fault(int(i), place, f"几何无效:{_WORDS.get(said, said)}", f"is not valid: {said.lower()}"))
    return sorted(out, key=lambda f: f.feature or 0)


def duplicate_geometries(raw: Array) -> list[Fault]:
    """Every feature whose outline an earlier one has, wherever either begins and whichever way it runs."""
    return [
        Fault(
            b, raw[b], "与另一要素图形完全相同", "has the same outline as another feature", a,
            area_m2=float(straight_areas(raw[b : b + 1])[0]),
        )
        for a, b in _same(raw)
    ]  # fmt: skip


def overlaps(sound: Array, least_m2: float, tree: shapely.STRtree | None = None) -> list[Fault]:
    """What two features share, from `least_m2` on; features with one outline are left out."""
    tree = tree or shapely.STRtree(sound)
    a, b = tree.query(sound, predicate="intersects")
    once = a < b
    a, b = a[once], b[once]
    # Neighbours only touch: most pairs end here.
    inside = shapely.relate_pattern(sound[a], sound[b], "T********")
    a, b = a[inside], b[inside]
    first = _first_of_same(sound)
    other = first[a] != first[b]
    a, b = a[other], b[other]
    shared = _areal(shapely.intersection(sound[a], sound[b]))
    area, width = straight_areas(shared), widths(shared)
    order = np.lexsort((b, a))
    return [
        Fault(
            int(a[k]), shared[k], f"与另一要素重叠 {area[k]:,.2f} 平方米(平均宽 {width[k]:.2f} 米)",
            f"overlaps another feature by {area[k]:,.2f} m² ({width[k]:.2f} m wide on average)", int(b[k]),
            float(area[k]),
        )
        for k in order
        if area[k] > 0 and area[k] >= least_m2
    ]  # fmt: skip


def gaps(
    sound: Array, least_m2: float, most_m2: float | None = None, whole: Any = None, tree: shapely.STRtree | None = None
) -> list[Fault]:
    """Holes that features enclose, from `least_m2` to `most_m2`; the features are two of those around it."""
    holes = holes_of(shapely.union_all(sound) if whole is None else whole)
    area = straight_areas(holes)
    kept = (area > 0) & (area >= least_m2) & ((area <= most_m2) if most_m2 is not None else True)
    holes, area = holes[kept], area[kept]
    if not len(holes):
        return []
    width = widths(holes)
    of, beside = (tree or shapely.STRtree(sound)).query(holes, predicate="intersects")
    out = []
    for k in range(len(holes)):
        near = np.sort(beside[of == k])
        out.append(
            Fault(
                int(near[0]) if len(near) else None, holes[k],
                f"要素之间的空隙 {area[k]:,.2f} 平方米(平均宽 {width[k]:.2f} 米)",
                f"a gap of {area[k]:,.2f} m² between features ({width[k]:.2f} m wide on average)",
                int(near[1]) if len(near) > 1 else None, float(area[k]),
            )
        )  # fmt: skip
    return out


def holes_of(whole: Any) -> Array:
    """The parts of the plane that a geometry encloses and does not cover."""
    parts = shapely.get_parts(whole)
    rings = [r for p in parts if p.geom_type == "Polygon" for r in p.interiors]
    holes = np.array([shapely.Polygon(r) for r in rings], dtype=object)
    if not len(holes):
        return np.empty(0, dtype=object)
    # A hole may have islands in it.
    of, island = shapely.STRtree(parts).query(holes, predicate="contains")
    for k in np.unique(of):
        holes[k] = shapely.difference(holes[k], shapely.union_all(parts[island[of == k]]))
    return holes


def slivers(sound: Array, width_m: float) -> list[Fault]:
    """Parts of features that are narrower on average than `width_m`."""
    parts, owner = shapely.get_parts(sound, return_index=True)
    width, area = widths(parts), straight_areas(parts)
    return [
        Fault(
            int(owner[k]), parts[k], f"狭长图斑:平均宽 {width[k]:.2f} 米", f"a sliver {width[k]:.2f} m wide on average",
            area_m2=float(area[k]),
        )
        for k in np.flatnonzero((width < width_m) & (area > 0))
    ]  # fmt: skip


def small_parts(sound: Array, least_m2: float) -> list[Fault]:
    """Parts of features below an area."""
    parts, owner = shapely.get_parts(sound, return_index=True)
    area = straight_areas(parts)
    return [
        Fault(
            int(owner[k]), parts[k], f"面积 {area[k]:,.2f} 平方米,小于 {least_m2:g} 平方米",
            f"has {area[k]:,.2f} m², below {least_m2:g} m²", area_m2=float(area[k]),
        )
        for k in np.flatnonzero((area > 0) & (area < least_m2))
    ]  # fmt: skip


def many_parts(raw: Array, most: int) -> list[Fault]:
    """Features of more than `most` parts."""
    count = shapely.get_num_geometries(raw)
    return [
        Fault(int(i), raw[i], f"由 {count[i]} 个部分组成", f"has {count[i]} parts")
        for i in np.flatnonzero(count > most)
    ]  # fmt: skip


def spikes(raw: Array, angle_deg: float, length_m: float) -> list[Fault]:
    """Corners sharper than an angle with both edges longer than a length; the length is that of the shorter one."""
    flat, scale = flattened(raw)
    parts, of_part = shapely.get_parts(flat, return_index=True)
    areal = shapely.get_type_id(parts) == 3
    rings, of_ring = shapely.get_rings(parts[areal], return_index=True)
    owner = of_part[areal][of_ring]
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    # A corner that repeats the one before it has no angle; a ring's last one repeats its first.
    fresh = np.r_[True, (ring[1:] != ring[:-1]) | (np.abs(np.diff(xy, axis=0)) > 1e-6).any(axis=1)] if len(xy) else []
    xy, ring = xy[fresh], ring[fresh]
    starts = np.flatnonzero(np.r_[True, ring[1:] != ring[:-1]]) if len(ring) else np.empty(0, dtype=np.int64)
    ends = np.r_[starts[1:], len(ring)] - 1 if len(starts) else starts
    closing = np.zeros(len(ring), dtype=bool)
    closing[ends] = (np.abs(xy[ends] - xy[starts]) <= 1e-6).all(axis=1) & (ends > starts)
    xy, ring = xy[~closing], ring[~closing]
    if not len(ring):
        return []
    starts = np.flatnonzero(np.r_[True, ring[1:] != ring[:-1]])
    ends = np.r_[starts[1:], len(ring)] - 1
    before, after = np.arange(len(ring)) - 1, np.arange(len(ring)) + 1
    before[starts], after[ends] = ends, starts
    back, on = xy[before] - xy, xy[after] - xy
    far, near = np.hypot(*back.T), np.hypot(*on.T)
    shorter = np.minimum(far, near)
    with np.errstate(invalid="ignore", divide="ignore"):
        angle = np.degrees(np.arctan2(np.abs(back[:, 0] * on[:, 1] - back[:, 1] * on[:, 0]), (back * on).sum(axis=1)))
    found = np.flatnonzero((angle < angle_deg) & (shorter > length_m))
    return [
        Fault(
            int(owner[ring[k]]), shapely.Point(*(xy[k] / scale)),
            f"尖刺:夹角 {angle[k]:.2f}°,长 {shorter[k]:.2f} 米", f"a spike of {angle[k]:.2f}°, {shorter[k]:.2f} m long",
            length_m=float(shorter[k]),
        )
        for k in found
    ]  # fmt: skip


def stated_areas(
    raw: Array, stated: NDArray[np.float64], relative: float, absolute_m2: float
) -> tuple[int, list[Fault]]:
    """Areas stated in m2 against those on the ellipsoid, and how many there were; invalid polygons have none."""
    known = np.isfinite(stated) & shapely.is_valid(raw) & ~shapely.is_missing(raw)
    area = straight_areas(raw)
    off = stated - area
    wrong = known & (np.abs(off) > np.maximum(absolute_m2, relative * area))
    return int(known.sum()), [
        Fault(
            int(i), raw[i],
            f"填报面积 {stated[i]:,.2f} 平方米,椭球面积 {area[i]:,.2f} 平方米,相差 {off[i]:+,.2f} 平方米",
            f"states {stated[i]:,.2f} m², on the ellipsoid it has {area[i]:,.2f} m², {off[i]:+,.2f} m² off",
            area_m2=float(abs(off[i])),
        )
        for i in np.flatnonzero(wrong)
    ]  # fmt: skip


def _same(shapes: Array) -> list[tuple[int, int]]:
    """Pairs of a feature and the first one of the same outline."""
    first = _first_of_same(shapes)
    return [(int(first[i]), int(i)) for i in np.flatnonzero(first != np.arange(len(shapes)))]


def _first_of_same(shapes: Array) -> NDArray[np.int64]:
    """For each feature the first one of the same outline, itself for most."""
    usable = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    rounded = shapely.transform(shapes, lambda xy: np.round(xy, _DIGITS))
    seen: dict[bytes, int] = {}
    out = np.arange(len(shapes))
    for i, raw in enumerate(shapely.to_wkb(shapely.normalize(rounded))):
        if usable[i]:
            out[i] = seen.setdefault(raw, i)
    return out


def _areal(shapes: Array) -> Array:
    out = shapes.copy()
    for i in np.flatnonzero(~np.isin(shapely.get_type_id(shapes), (3, 6))):
        parts: Sequence[Any] = [p for p in shapely.get_parts(shapes[i]) if p.geom_type in ("Polygon", "MultiPolygon")]
        out[i] = shapely.union_all(parts) if parts else shapely.Polygon()
    return out


def _corner(shape: Any) -> Any:
    xy = shapely.get_coordinates(shape)
    return shapely.Point(*xy[0]) if len(xy) and np.isfinite(xy[0]).all() else None
