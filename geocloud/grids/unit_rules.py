# SPDX-License-Identifier: Apache-2.0
"""The ten rules G1 to G10 that unit grids of city management (单元网格, GB/T 30428.1) are held to.

Pure functions of whole columns: codes, lives and polygons of EPSG:4490, longitude before latitude. Areas are square
metres on the CGCS2000 ellipsoid, distances metres on a plane that touches it there. The standard's text was not to be
had; form, order and principles are from corroborated sources, and the figures of `Limits` are this house's examples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.model import Text
from geocloud.geodesy.straight import straight_areas
from geocloud.grids.ground import areal, flattened, on_plane
from geocloud.grids.unit_order import expected_order, out_of_order

__all__ = ["CODE", "RULES", "Community", "Finding", "Grids", "Limits", "Rule", "Surroundings", "check"]

Array = NDArray[Any]
Severity = Literal["error", "warning"]
CODE = re.compile(r"[1-9]\d{5}\d{3}\d{3}(?!000)\d{3}", re.ASCII)
"""County 6 (GB/T 2260), subdistrict 3 (GB/T 10114), community 3, number 001 to 999."""
RETIRED = "作废"
_PREFIX = 12


@dataclass(frozen=True, slots=True)
class Rule:
    """A numbered rule: how grave a finding is, what it asks; `certain` False where a figure of it is an example."""

    number: str
    severity: Severity
    title: Text
    certain: bool = True


def _rule(number: str, severity: Severity, zh: str, en: str, *, certain: bool = True) -> Rule:
    return Rule(number, severity, Text(zh=zh, en=en), certain)


RULES: dict[str, Rule] = {
    r.number: r
    for r in (
        _rule("G1", "error", "编码为 15 位,末三位 001–999", "The code has fifteen digits and ends in 001 to 999"),
        _rule("G2", "error", "前 12 位是初始时间当日存在的社区(村)", "The first twelve digits are a community then"),
        _rule("G3", "error", "编码永久唯一", "A code is given once for all time"),
        _rule("G4", "warning", "自西向东、自北向南编号", "Numbers run west to east, north to south", certain=False),
        _rule("G5", "error", "图形为单一有效的面", "The shape is one valid polygon"),
        _rule("G6", "error", "社区内无缝隙、无重叠", "No gaps and no overlaps within the community", certain=False),
        _rule("G7", "error", "不切割建筑物和部件", "No building or component is cut", certain=False),
        _rule("G8", "warning", "面积在 2000–50000 平方米之间", "The area is 2,000 to 50,000 m2", certain=False),
        _rule("G9", "error", "作废的编码没有现行记录", "A retired code has no open record"),
        _rule("G10", "error", "网格面积之和等于社区面积", "The areas add up to the community's", certain=False),
    )
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Tolerances: examples to be agreed with who accepts the grids. m2, and metres where it ends in _m."""

    least_area: float = 2_000.0
    most_area: float = 50_000.0
    gap: float = 1.0
    cut: float = 1.0
    on_border_m: float = 0.05
    row_m: float = 50.0
    closure: float = 1e-4


@dataclass(frozen=True)
class Grids:
    """Grids as columns. `begin` and `end`: the life of each row, None for not known and for still in use. `retired`:
    whether the row says so itself. `feature`: what rows of one feature have in common, their own numbers if unset."""

    code: Sequence[str | None]
    shape: Array
    begin: Sequence[datetime | None]
    end: Sequence[datetime | None]
    retired: Sequence[bool]
    feature: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.code)


@dataclass(frozen=True, slots=True)
class Community:
    """A community or village: its polygon (None where only a point is known) and when it was there."""

    code: str
    shape: Any
    lives: tuple[tuple[datetime | None, datetime | None], ...] = ((None, None),)

    def was_there(self, at: datetime | None) -> bool:
        """Whether it was there at that time; without a time, at any."""
        if at is None:
            return True
        return any((b is None or b <= at) and (e is None or at < e) for b, e in self.lives)


@dataclass(frozen=True)
class Surroundings:
    """What must not be cut: polygons of buildings and places of components, with their keys."""

    building: Array = field(default_factory=lambda: np.empty(0, object))
    building_key: Sequence[str] = ()
    component: Array = field(default_factory=lambda: np.empty(0, object))
    component_key: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found: the rows concerned, the place in EPSG:4490, words, m2 where an area is meant."""

    rule: str
    rows: tuple[int, ...]
    place: Any
    message: Text
    code: str | None = None
    area_m2: float | None = None

    @property
    def severity(self) -> Severity:
        return RULES[self.rule].severity


def check(
    grids: Grids,
    communities: Mapping[str, Community],
    around: Surroundings | None = None,
    *,
    at: datetime | None = None,
    limits: Limits | None = None,
    only: Sequence[str] = (),
) -> list[Finding]:
    """Findings of all rules, or `only` some, in the order of the rules and of the rows.

    Codes are looked at through all time; shapes of the rows that are in use at a time, or of those without an end.
    Gaps, overlaps and sums are told for communities that have both a polygon and grids.
    """
    known, near = limits or Limits(), around or Surroundings()
    used = np.array([i for i in range(len(grids)) if _in_use(grids, i, at)], np.int64)
    sound = np.array([i for i in used if _is_one_polygon(grids.shape[i])], np.int64)
    by_community: dict[str, list[int]] = {}
    for i in sound.tolist():
        by_community.setdefault((grids.code[i] or "")[:_PREFIX], []).append(i)
    some = {c: np.array(rows) for c, rows in sorted(by_community.items()) if c in communities}
    areas = np.zeros(len(grids))
    areas[sound] = straight_areas(np.asarray(grids.shape)[sound])
    work: dict[str, Callable[[], list[Finding]]] = {
        "G1": lambda: _form(grids),
        "G2": lambda: _parent(grids, communities),
        "G3": lambda: _once(grids),
        "G4": lambda: [f for rows in by_community.values() for f in _order(grids, np.array(rows), known)],
        "G5": lambda: _polygon(grids, used),
        "G6": lambda: [f for c, rows in some.items() for f in _seamless(grids, communities[c], rows, known)],
        "G7": lambda: _whole(grids, sound, near, known),
        "G8": lambda: _size(grids, sound, areas, known),
        "G9": lambda: _retired(grids, at),
        "G10": lambda: [f for c, rows in some.items() for f in _sum(grids, communities[c], rows, areas, known)],
    }
    return [f for number, find in work.items() if not only or number in only for f in find()]


def _in_use(grids: Grids, i: int, at: datetime | None) -> bool:
    begin, end = grids.begin[i], grids.end[i]
    if at is None:
        return end is None and not grids.retired[i]
    return (begin is None or begin <= at) and (end is None or at < end)


def _is_one_polygon(shape: Any) -> bool:
    return shape is not None and not shape.is_empty and shape.is_valid and _parts(shape) == 1


def _parts(shape: Any) -> int:
    if shape.geom_type not in ("Polygon", "MultiPolygon"):
        return 0
    return int(shapely.get_num_geometries(shape))


def _form(grids: Grids) -> list[Finding]:
    out = []
    for i, code in enumerate(grids.code):
        if code is None or not CODE.fullmatch(code):
            zh = "没有编码" if not code else f"编码“{code[:40]}”不是 15 位单元网格编码"
            en = "has no code" if not code else f"`{code[:40]}` is no unit grid code of fifteen digits"
            if code and re.fullmatch(r"\d{12}000", code):
                zh, en = f"编码“{code}”的顺序号不能为 000", f"the number of `{code}` may not be 000"
            out.append(_found("G1", grids, (i,), zh, en))
    return out


def _parent(grids: Grids, communities: Mapping[str, Community]) -> list[Finding]:
    out = []
    for i, code in enumerate(grids.code):
        if code is None or not CODE.fullmatch(code):
            continue
        parent, begin = communities.get(code[:_PREFIX]), grids.begin[i]
        if parent is None:
            out.append(_found("G2", grids, (i,), f"没有社区(村)“{code[:_PREFIX]}”", f"no community `{code[:_PREFIX]}`"))
        elif not parent.was_there(begin):
            day = begin.date().isoformat() if begin else ""
            zh = f"社区(村)“{code[:_PREFIX]}”在初始时间 {day} 不存在"
            out.append(_found("G2", grids, (i,), zh, f"community `{code[:_PREFIX]}` was not there on {day}"))
    return out


def _once(grids: Grids) -> list[Finding]:
    feature = list(grids.feature) or list(range(len(grids)))
    rows: dict[str, list[int]] = {}
    for i, code in enumerate(grids.code):
        if code:
            rows.setdefault(code, []).append(i)
    out = []
    for code, found in rows.items():
        if len({feature[i] for i in found}) > 1:
            n = len({feature[i] for i in found})
            out.append(_found("G3", grids, tuple(found), f"编码“{code}”用了 {n} 次", f"`{code}` is given to {n} grids"))
    return out


def _order(grids: Grids, rows: NDArray[np.int64], limits: Limits) -> list[Finding]:
    coded = np.array([i for i in rows.tolist() if CODE.fullmatch(grids.code[i] or "")], np.int64)
    if len(coded) < 2:
        return []
    coded = coded[np.argsort([str(grids.code[i]) for i in coded], kind="stable")]
    place = expected_order(np.asarray(grids.shape)[coded], limits.row_m)
    out = []
    for k in out_of_order(place):
        i = int(coded[k])
        zh = f"网格 {grids.code[i]} 的编号不合自西向东、自北向南的次序(按次序应为第 {place[k] + 1} 个)"
        en = f"{grids.code[i]} is out of the order west to east, north to south (it lies {place[k] + 1}. in it)"
        out.append(_found("G4", grids, (i,), zh, en))
    return out


def _polygon(grids: Grids, used: NDArray[np.int64]) -> list[Finding]:
    out = []
    for i in used.tolist():
        shape = grids.shape[i]
        if shape is None or shape.is_empty:
            out.append(_found("G5", grids, (i,), "没有图形", "has no shape"))
        elif _parts(shape) != 1:
            n = shapely.get_num_geometries(shape)
            out.append(_found("G5", grids, (i,), f"图形由 {n} 部分组成或不是面", f"is no single polygon ({n} parts)"))
        elif not shape.is_valid:
            why = str(shapely.is_valid_reason(shape))
            at = re.search(r"\[(\S+) (\S+)\]", why)
            place = shapely.Point(float(at[1]), float(at[2])) if at else shapely.get_point(shape.exterior, 0)
            said = why.partition("[")[0].strip()
            out.append(_found("G5", grids, (i,), f"图形无效:{said}", f"is not valid: {said.lower()}", place))
    return out


def _seamless(grids: Grids, community: Community, rows: NDArray[np.int64], limits: Limits) -> list[Finding]:
    shapes = np.asarray(grids.shape)[rows]
    out = []
    a, b = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = np.stack([a, b], axis=1)[a < b]
    pairs = pairs[shapely.relate_pattern(shapes[pairs[:, 0]], shapes[pairs[:, 1]], "T********")]
    shared = areal(shapely.intersection(shapes[pairs[:, 0]], shapes[pairs[:, 1]]))
    for (m, n), place, area in zip(pairs, shared, straight_areas(shared), strict=True):
        if area > limits.gap:
            i, j = int(rows[m]), int(rows[n])
            zh = f"网格 {grids.code[i]} 与 {grids.code[j]} 重叠 {area:,.2f} 平方米"
            en = f"{grids.code[i]} and {grids.code[j]} overlap by {area:,.2f} m²"
            out.append(_found("G6", grids, (i, j), zh, en, place, float(area)))
    if community.shape is None or _parts(community.shape) == 0:
        return out
    together = shapely.union_all(shapes)
    for part, zh, en in (
        (shapely.difference(community.shape, together), "社区内未划入网格", "of the community are in no grid"),
        (shapely.difference(together, community.shape), "网格超出社区", "of the grids lie outside the community"),
    ):
        pieces = shapely.get_parts(areal(np.array([part], object))[0])
        for piece, area in zip(pieces, straight_areas(pieces), strict=True):
            if area > limits.gap:
                m = shapely.STRtree(shapes).nearest(piece)
                words = (f"{zh} {area:,.2f} 平方米", f"{area:,.2f} m² {en}")
                out.append(_found("G6", grids, (int(rows[m]),), *words, piece, float(area), community.code))
    return out


def _whole(grids: Grids, rows: NDArray[np.int64], around: Surroundings, limits: Limits) -> list[Finding]:
    out: list[Finding] = []
    if not len(rows):
        return out
    shapes = np.asarray(grids.shape)[rows]
    tree = shapely.STRtree(shapes)
    if len(around.building):
        at, of = tree.query(around.building, predicate="intersects")
        shared = areal(shapely.intersection(around.building[at], shapes[of]))
        area = straight_areas(shared)
        kept = area > limits.cut
        for k in np.flatnonzero(np.bincount(at[kept], minlength=len(around.building)) > 1).tolist():
            cut = tuple(int(rows[n]) for n in np.sort(of[kept & (at == k)]))
            codes = [str(grids.code[i]) for i in cut]
            border = shapely.intersection(around.building[k], shapely.boundary(grids.shape[cut[0]]))
            place = around.building[k] if border.is_empty else border
            zh = f"建筑物 {around.building_key[k]} 被网格 {'、'.join(codes)} 切割"
            en = f"building {around.building_key[k]} is cut by {', '.join(codes)}"
            out.append(_found("G7", grids, cut, zh, en, place))
    if len(around.component):
        flat, scale = flattened(np.concatenate([shapes, around.component]))
        lines = shapely.STRtree(shapely.boundary(flat[: len(shapes)]))
        at, of = lines.query(flat[len(shapes) :], predicate="dwithin", distance=limits.on_border_m)
        for k in np.unique(at).tolist():
            near = tuple(int(rows[n]) for n in np.sort(of[at == k]))
            zh = f"部件 {around.component_key[k]} 压在网格 {grids.code[near[0]]} 的边界上"
            en = f"component {around.component_key[k]} lies on the border of {grids.code[near[0]]}"
            out.append(_found("G7", grids, near, zh, en, on_plane(flat[len(shapes) + k], 1 / scale)))
    return out


def _size(grids: Grids, rows: NDArray[np.int64], areas: NDArray[np.float64], limits: Limits) -> list[Finding]:
    out = []
    for i in rows[(areas[rows] < limits.least_area) | (areas[rows] > limits.most_area)].tolist():
        small = areas[i] < limits.least_area
        edge = limits.least_area if small else limits.most_area
        zh = f"面积 {areas[i]:,.0f} 平方米,{'小' if small else '大'}于 {edge:,.0f} 平方米"
        en = f"has {areas[i]:,.0f} m², {'below' if small else 'above'} {edge:,.0f} m²"
        out.append(_found("G8", grids, (i,), zh, en, area=float(areas[i])))
    return out


def _retired(grids: Grids, at: datetime | None) -> list[Finding]:
    """Codes with a row that has ended or says it is retired, and one that is open (or open at a later time)."""
    rows: dict[str, list[int]] = {}
    for i, code in enumerate(grids.code):
        if code:
            rows.setdefault(code, []).append(i)
    out = []
    for code, found in rows.items():
        ends = [e for i in found if (e := grids.end[i]) is not None]
        said = any(grids.retired[i] for i in found)
        for i in found:
            begin, end = grids.begin[i], grids.end[i]
            if end is not None and (at is None or end <= at):
                continue
            # A life that goes on where the one before ended is one life in two versions.
            again = any(begin is None or e < begin for e in ends if e != end)
            if grids.retired[i] or said:
                zh, en = f"编码“{code}”已作废但没有终止时间", f"`{code}` is retired and has no end"
            elif again:
                zh, en = f"编码“{code}”终止后又启用", f"`{code}` had ended and is in use again"
            else:
                continue
            out.append(_found("G9", grids, (i,), zh, en))
    return out


def _sum(
    grids: Grids, community: Community, rows: NDArray[np.int64], areas: NDArray[np.float64], limits: Limits
) -> list[Finding]:
    if community.shape is None or _parts(community.shape) == 0 or not community.shape.is_valid:
        return []
    whole, total = float(straight_areas(np.array([community.shape], object))[0]), float(areas[rows].sum())
    if abs(total - whole) <= max(limits.gap, limits.closure * whole):
        return []
    zh = f"{len(rows)} 个网格共 {total:,.2f} 平方米,社区 {whole:,.2f} 平方米,相差 {total - whole:+,.2f} 平方米"
    en = f"{len(rows)} grids have {total:,.2f} m², the community {whole:,.2f} m², {total - whole:+,.2f} m² off"
    first = tuple(rows[:1].tolist())
    return [_found("G10", grids, first, zh, en, community.shape, abs(total - whole), community.code)]


def _found(
    rule: str,
    grids: Grids,
    rows: tuple[int, ...],
    zh: str,
    en: str,
    place: Any = None,
    area: float | None = None,
    code: str | None = None,
) -> Finding:
    where = place if place is not None else grids.shape[rows[0]]
    return Finding(rule, rows, where, Text(zh=zh, en=en), code or grids.code[rows[0]], area)
