# SPDX-License-Identifier: Apache-2.0
"""Plan acceptance (质检): a plan put to a rule pack; a verdict for the plan and every rule, and the place of each
finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.model import Text
from geocloud.errors import InvalidParameter
from geocloud.features.literals import BEIJING, parse_date, parse_instant
from geocloud.features.moment import Moment, read_moment
from geocloud.geodesy.straight import straight_areas
from geocloud.jobs.run import Run
from geocloud.planning.acceptance_boundary import Districts, read_districts
from geocloud.planning.acceptance_checks import concerns, judge
from geocloud.planning.acceptance_faults import Fault, Result
from geocloud.planning.acceptance_plan import Plan
from geocloud.planning.acceptance_rules import Boundary, Coverage, Pack, Rule, Severity
from geocloud.planning.compliance import fingerprint

__all__ = ["Accepted", "accept", "day_of"]

_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Accepted:
    """The answer as a document, with the plan; by rule number all findings, the worst first, and the districts that a
    rule compared the plan with."""

    document: dict[str, Any]
    plan: Plan
    faults: Mapping[str, Sequence[Fault]]
    borders: Mapping[str, NDArray[Any]]


def day_of(valid: str | None) -> date:
    """The day in Beijing of a day or instant that `read_moment` takes; today without one."""
    if valid is None:
        return datetime.now(BEIJING).date()
    day = parse_date(valid)
    if day is None:
        instant = parse_instant(valid)
        if instant is None:
            raise _no_day(valid)
        day = instant.astimezone(BEIJING).date()
    return day


def _no_day(text: str) -> InvalidParameter:
    return InvalidParameter(
        f"`datetime` is `{text[:60]}`, neither a day nor an instant.",
        f"datetime 的值“{text[:60]}”既不是日期也不是时刻。",
        todo_en="Write 2024-05-01 or 2024-05-01T08:00:00Z.", todo_zh="请写 2024-05-01 或 2024-05-01T08:00:00Z。",
        parameter="datetime",
    )  # fmt: skip


def accept(
    run: Run,
    plan: Plan,
    pack: Pack,
    *,
    rules: Sequence[str] | None = None,
    district: str | None = None,
    valid: str | None = None,
    asof: str | None = None,
) -> Accepted:
    """Checks a plan by a pack, or by some of its rules. Boundaries are read at `valid` as believed at `asof`;
    `district` is the key of one in the boundary layer."""
    moment = read_moment(valid, asof)
    asked = [q for q in pack.only(list(rules or ())) if q.holds(plan.day)]
    own = [q for q in asked if q.is_for(plan.spec.id) and concerns(q.check, plan)]
    read = _reader(run, district, moment)
    answers, faults, borders = [], {}, {}
    for k, rule in enumerate(own):
        run.progress(0.1 + 0.6 * k / max(len(own), 1), f"检查 {rule.number}", f"checking {rule.number}")
        found = judge(rule.check, plan, read)
        ordered = sorted(found.faults, key=_weight, reverse=True)
        faults[rule.number] = ordered
        if isinstance(rule.check, Coverage | Boundary):
            borders[rule.number] = read(rule.check.against, rule.check.filter).shapes
        answers.append(_answer(rule, found, ordered, plan, run.settings.site.site_features_listed))
    document = {
        "kind": "plan-acceptance",
        "format": 1,
        "date": plan.day.isoformat(),
        "asof": moment.believed.astimezone(UTC).isoformat() if moment.believed else None,
        "district": district,
        "pack": {"name": pack.name, "version": pack.version, "title": pack.title.model_dump(), "sha256": pack.digest},
        "verdict": _verdict(answers),
        "counts": _counts(answers),
        "plan": _described(plan),
        "rules": answers,
        "left_out": [q.number for q in asked if q not in own],
        "synthetic": plan.synthetic,
        "states": _states(run, plan, own),
    }
    document["fingerprint"] = fingerprint(document)
    return Accepted(document, plan, faults, borders)


def _reader(run: Run, district: str | None, moment: Moment) -> Callable[[str, str | None], Districts]:
    @cache
    def read(layer: str, condition: str | None) -> Districts:
        return read_districts(run, layer, condition, district, moment)

    return read


def _weight(fault: Fault) -> tuple[float, float, int]:
    return fault.area_m2 or 0.0, fault.length_m or 0.0, -(fault.feature or 0)


def _answer(rule: Rule, found: Result, faults: Sequence[Fault], plan: Plan, most: int) -> dict[str, Any]:
    areas = [f.area_m2 for f in faults if f.area_m2 is not None]
    lengths = [f.length_m for f in faults if f.length_m is not None]
    return {
        "number": rule.number,
        "title": rule.title.model_dump(),
        "severity": rule.severity,
        "check": rule.check.model_dump(mode="json"),
        "explain": rule.explain.model_dump(),
        "basis": rule.basis.model_dump(mode="json"),
        "verdict": "unknown" if found.why is not None else "found" if faults else "passed",
        "why": found.why.model_dump() if found.why is not None else None,
        "checked": found.checked,
        "findings": len(faults),
        "area_m2": round(float(np.sum(areas)), 6) if areas else None,
        "length_m": round(float(np.sum(lengths)), 3) if lengths else None,
        "listed": [listed(f, plan) for f in faults[:most]],
    }


def listed(fault: Fault, plan: Plan) -> dict[str, Any]:
    """A finding as JSON: keys and rows (from 1) of the features concerned, words, measures, lon/lat of its place."""
    at = None
    if fault.shape is not None and not shapely.is_empty(fault.shape):
        point = shapely.point_on_surface(fault.shape)
        at = [round(point.x, 7), round(point.y, 7)] if not point.is_empty else None
    return {
        "key": None if fault.feature is None else plan.keys[fault.feature],
        "row": None if fault.feature is None else fault.feature + 1,
        "other": None if fault.other is None else plan.keys[fault.other],
        "other_row": None if fault.other is None else fault.other + 1,
        "message": Text(zh=fault.zh, en=fault.en).model_dump(),
        "area_m2": None if fault.area_m2 is None else round(fault.area_m2, 6),
        "length_m": None if fault.length_m is None else round(fault.length_m, 3),
        "place": at,
    }


def _verdict(answers: Sequence[Mapping[str, Any]]) -> str:
    judged = [a for a in answers if a["verdict"] != "unknown"]
    hit = {a["severity"] for a in judged if a["verdict"] == "found"}
    if not judged:
        return "unknown"
    return "rejected" if "error" in hit else "warnings" if "warning" in hit else "accepted"


def _counts(answers: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Findings by severity, and rules passed, with findings, and not judged."""
    out: dict[str, int] = {s: sum(int(a["findings"]) for a in answers if a["severity"] == s) for s in _SEVERITIES}
    return {**out, **{v: sum(a["verdict"] == v for a in answers) for v in ("passed", "found", "unknown")}}


def _described(plan: Plan) -> dict[str, Any]:
    box = shapely.total_bounds(plan.sound) if len(plan) else np.full(4, np.nan)
    return {
        "layer": plan.spec.id,
        "title": plan.spec.title.model_dump(),
        "source": plan.title,
        "delivered": plan.delivered,
        "features": len(plan),
        "area_m2": round(float(straight_areas(plan.sound).sum()), 6),
        "extent": [round(float(v), 7) for v in box] if np.isfinite(box).all() else None,
        "source_crs": plan.crs,
        "crs": "EPSG:4490",
        "columns": dict(plan.columns.columns) if plan.delivered else None,
        "reading": [f.as_dict() for f in plan.reading],
        "sha256": plan.digest,
    }


def _states(run: Run, plan: Plan, rules: Sequence[Rule]) -> list[dict[str, Any]]:
    wanted = [*([] if plan.delivered else [plan.spec.id]), *(str(getattr(q.check, "against", "")) for q in rules)]
    layers = [run.catalogue.layers[i] for i in dict.fromkeys(wanted) if i in run.catalogue.layers]
    return [
        {
            "layer": one.id,
            "version": one.state.version,
            "rows": one.state.row_count,
            "stamp": one.state.stamp.isoformat() if one.state.stamp else None,
        }
        for one in layers
    ]
