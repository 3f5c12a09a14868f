# SPDX-License-Identifier: Apache-2.0
"""Each kind of check of a rule pack (质检项), put to a plan: fields and codes here, topology and boundaries by their
own modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import shapely

from geocloud.planning import acceptance_boundary as border
from geocloud.planning import acceptance_rules as r
from geocloud.planning import acceptance_topology as topology
from geocloud.planning.acceptance_boundary import Districts
from geocloud.planning.acceptance_faults import Fault, Result, not_judged
from geocloud.planning.acceptance_plan import Plan
from geocloud.rules.checker import Checker, ColumnMap
from geocloud.rules.collector import Collector
from geocloud.rules.findings import Finding

__all__ = ["concerns", "judge", "missing_fields"]

_VALUES = frozenset({"GC-205", "GC-206", "GC-502", "GC-503", "GC-504", "GC-505", "GC-516"})
_LISTS = {"closed": frozenset({"GC-506"}), "open": frozenset({"GC-507"}), "all": frozenset({"GC-506", "GC-507"})}
_DATES = frozenset({"GC-508"})


def judge(check: r.Check, plan: Plan, districts: Callable[[str, str | None], Districts]) -> Result:
    """A check's result for a plan; `districts(layer, filter)` gives what it is compared with."""
    if not len(plan):
        return not_judged("没有要素", "there are no features")
    found = _attributes(check, plan)
    if found is not None:
        return found
    if isinstance(check, r.Invalid):
        return Result(len(plan), topology.invalid(plan.shapes))
    if not plan.drawn:
        return not_judged("没有面状图形", "no feature is a polygon")
    return _topology(check, plan) or _border(check, plan, districts)


def concerns(check: r.Check, plan: Plan) -> bool:
    """Whether there is anything a check could be about: a layer's coded fields, a delivered file's system."""
    if isinstance(check, r.Crs):
        return plan.delivered
    return not isinstance(check, r.Codes) or bool(_lists(plan, check))


def _attributes(check: r.Check, plan: Plan) -> Result | None:
    match check:
        case r.Required():
            names = [f.name for f in plan.spec.fields if f.required or f.name in plan.spec.key]
            return missing_fields(plan, [*names, *(n for n in check.fields if n not in names)])
        case r.Values():
            return _said(plan, _VALUES)
        case r.Codes():
            return _coded(plan, check)
        case r.DuplicateKey():
            return _doubled(plan)
        case r.Crs():
            return _datum(plan, check.datums)
    return None


def _topology(check: r.Check, plan: Plan) -> Result | None:  # noqa: PLR0911  one a kind of check
    n = plan.drawn
    match check:
        case r.DuplicateGeometry():
            return Result(n, topology.duplicate_geometries(plan.shapes))
        case r.Overlap():
            return Result(n, topology.overlaps(plan.sound, check.least_m2, plan.tree))
        case r.Gap():
            return Result(n, topology.gaps(plan.sound, check.least_m2, check.most_m2, plan.whole, plan.tree))
        case r.Sliver():
            return Result(n, topology.slivers(plan.sound, check.width_m))
        case r.Spike():
            return Result(n, topology.spikes(plan.shapes, check.angle_deg, check.length_m))
        case r.Parts():
            return Result(n, topology.many_parts(plan.shapes, check.most))
        case r.Small():
            least = check.least_m2 or plan.spec.min_area_m2
            if least is None:
                return not_judged("规则和图层均未规定最小面积", "neither rule nor layer names a least area")
            return Result(n, topology.small_parts(plan.sound, least))
        case r.StatedArea():
            return _stated(plan, check)
    return None


def _border(check: r.Check, plan: Plan, districts: Callable[[str, str | None], Districts]) -> Result:
    assert isinstance(check, r.Coverage | r.Boundary)
    found = districts(check.against, check.filter)
    if isinstance(check, r.Coverage):
        found = found.of(plan.sound)
    if found.why is not None:
        return Result(0, why=found.why)
    n = plan.drawn
    if isinstance(check, r.Boundary):
        return Result(n, border.off_boundary(plan.sound, found.shapes, check.tolerance_m, check.exact_m, check.least_m))
    if check.find == "outside":
        return Result(n, border.outside(plan.sound, found.shapes, check.least_m2, check.width_m))
    return Result(n, border.uncovered(plan.whole, found.shapes, check.least_m2, check.width_m, holes=check.holes))


def missing_fields(plan: Plan, names: Sequence[str]) -> Result:
    """Fields without a column, and features without a value in one; a field the layer does not have is not judged."""
    known = {f.name: f for f in plan.spec.fields}
    strange = [n for n in names if n not in known]
    if strange:
        listed = ", ".join(strange)
        return not_judged(f"图层没有字段 {listed}", f"the layer has no field {listed}")
    faults: list[Fault] = []
    for name in names:
        column = plan.values(name)
        title = known[name].title
        if column is None:
            accepted = ", ".join(dict.fromkeys((name, title.zh, *known[name].aliases)))
            faults.append(
                Fault(
                    None, None, f"缺少字段 {name}({title.zh});可用名称:{accepted}",
                    f"has no field {name} ({title.en}); names taken: {accepted}",
                )
            )  # fmt: skip
            continue
        for i, value in enumerate(column.to_pylist()):
            if value is None or (isinstance(value, str) and not value.strip()):
                faults.append(
                    Fault(i, _at(plan, i), f"字段 {name}({title.zh})为空", f"field {name} ({title.en}) is empty")
                )
    return Result(len(plan), faults)


def _doubled(plan: Plan) -> Result:
    keys = plan.keys
    names = ", ".join(plan.spec.key)
    if any(plan.values(k) is None for k in plan.spec.key):
        return not_judged(f"缺少字段 {names}", f"there is no field {names}")
    times = Counter(k for k in keys if k is not None)
    first: dict[str, int] = {}
    faults = []
    for i, key in enumerate(keys):
        if key is None or first.setdefault(key, i) == i:
            continue
        faults.append(
            Fault(
                i, _at(plan, i), f"{names} {key} 重复,共 {times[key]} 个要素",
                f"{names} {key} stands there {times[key]} times", first[key],
            )
        )  # fmt: skip
    return Result(sum(times.values()), faults)


def _datum(plan: Plan, datums: Sequence[str]) -> Result:
    if plan.datum is None:
        return not_judged("不是交付文件,坐标系不作检查", "not a delivered file: its system is not looked at")
    if plan.datum in datums:
        return Result(1)
    listed = ", ".join(datums)
    return Result(
        1,
        [
            Fault(
                None, None, f"坐标系为 {plan.crs}({plan.datum}),应为 {listed}",
                f"its coordinate system is {plan.crs} ({plan.datum}), to be {listed}",
            )
        ],
    )  # fmt: skip


def _stated(plan: Plan, check: r.StatedArea) -> Result:
    column = plan.values(check.field)
    if column is None:
        return not_judged(f"缺少字段 {check.field}", f"there is no field {check.field}")
    typed = _checked(plan)[0].column(check.field)
    values = np.array([np.nan if v is None else float(v) for v in typed.to_pylist()])
    count, faults = topology.stated_areas(plan.shapes, values, check.relative, check.absolute_m2)
    if not count:
        return not_judged(f"字段 {check.field} 均无可用的值", f"no feature has a usable {check.field}")
    return Result(count, faults)


def _lists(plan: Plan, check: r.Codes) -> list[str]:
    """Fields of the layer whose code lists a check is about."""
    wanted = {"closed": (True,), "open": (False,), "all": (True, False)}[check.lists]
    out = []
    for f in plan.spec.fields:
        one = plan.codes.get(f.codes or "")
        if one is None:
            continue
        dated = any(c.valid_from or c.valid_to for c in one.codes)
        if dated if check.about == "date" else one.closed in wanted:
            out.append(f.name)
    return out


def _coded(plan: Plan, check: r.Codes) -> Result:
    names = _lists(plan, check)
    if all(plan.values(n) is None for n in names):
        listed = ", ".join(names)
        return not_judged(f"缺少字段 {listed}", f"there is no field {listed}")
    return _said(plan, _DATES if check.about == "date" else _LISTS[check.lists])


def _said(plan: Plan, codes: frozenset[str]) -> Result:
    """What the rules of the layer's fields (GC-5xx) say of rows."""
    _, findings = _checked(plan)
    if not plan.columns.columns:
        return not_judged("没有可识别的字段", "no field is recognised")
    mine = [f for f in findings if f.code in codes and f.row is not None]
    return Result(
        len(plan),
        [
            Fault(int(f.row or 1) - 1, _at(plan, int(f.row or 1) - 1), f.message("zh"), f.message("en"))
            for f in sorted(mine, key=lambda f: (f.row or 0, f.field or ""))
        ],
    )


def _checked(plan: Plan) -> tuple[Any, list[Finding]]:
    """The plan's fields in their types, and what their rules say; worked out once for a plan."""
    if plan.typed is None:
        # A named day goes before what rows say of themselves.
        columns = ColumnMap(plan.columns.columns) if plan.day_named else plan.columns
        found = Collector(0, len(plan), listed=len(plan))
        typed = Checker(plan.spec, plan.codes, columns, today=plan.day).check(plan.table, found)
        plan.typed = (typed, [*plan.unread, *found.findings])
    return plan.typed


def _at(plan: Plan, i: int) -> Any:
    shape = plan.shapes[i]
    return None if shape is None or shapely.is_empty(shape) else shapely.point_on_surface(plan.sound[i])
