# SPDX-License-Identifier: Apache-2.0
"""The process `grid-check` (单元网格检查): published unit grids put to the rules G1 to G10."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import shapely

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.features.moment import Moment, read_moment
from geocloud.geodesy.straight import straight_areas
from geocloud.grids.unit_rules import RULES, Finding, Limits, check
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.sectors.grids.read import LAYER, grid_layer, read_communities, read_grids, read_near

__all__ = ["PROCESS", "Checked", "grid_check"]

_TEXT = {"type": "string"}
_MEDIA = "application/geo+json"
# A place is drawn with this many digits: 1e-8 degree is a millimetre.
_DIGITS = 8


@dataclass(frozen=True)
class Checked:
    """The answer as a document, and all findings."""

    document: dict[str, Any]
    findings: Sequence[Finding]

    def places(self) -> bytes:
        """The findings as GeoJSON, longitude first, EPSG:4490 taken as CRS84."""
        shapes = np.array([f.place for f in self.findings], object)
        drawn = shapely.set_precision(shapes, 10.0**-_DIGITS, mode="pointwise") if len(shapes) else shapes
        features = [
            {
                "type": "Feature",
                "geometry": orjson.loads(shapely.to_geojson(s)) if s is not None and not s.is_empty else None,
                "properties": {
                    "rule": f.rule, "severity": f.severity, "code": f.code, "message_zh": f.message.zh,
                    "message_en": f.message.en, "area_m2": None if f.area_m2 is None else round(f.area_m2, 3),
                },
            }
            for f, s in zip(self.findings, drawn, strict=True)
        ]  # fmt: skip
        return orjson.dumps({"type": "FeatureCollection", "features": features})


def grid_check(
    run: Run,
    layer: str = LAYER,
    community: str | None = None,
    date: str | None = None,
    rules: Sequence[str] | None = None,
    limits: Limits | None = None,
) -> Checked:
    """Checks the grids whose code begins with `community` (6 to 12 digits), all without it, as in use on `date` (those
    without an end, if None). InvalidParameter for rules there are none of, or where no grid begins so."""
    unknown = [r for r in rules or () if r not in RULES]
    if unknown:
        raise _refused(
            "rules", f"There is no rule {unknown[0][:20]}.", f"没有规则 {unknown[0][:20]}。",
            f"One of: {', '.join(RULES)}.", f"可用:{'、'.join(RULES)}。",
        )  # fmt: skip
    moment = read_moment(date, None)
    at = moment.valid.start if moment.valid else None
    found_layer = grid_layer(run, layer)
    run.progress(0.0, "读取网格", "reading the grids")
    grids, fids = read_grids(run, found_layer.id, community)
    if not len(grids):
        raise _refused(
            "community" if community else "layer", f"`{layer}` has no grids{' there' if community else ''}.",
            f"{layer} {'在该社区' if community else ''}没有网格。",
            "Load them, or make some with the process grid-generate.", "请先导入,或用 grid-generate 生成。",
        )  # fmt: skip
    run.progress(0.2, "读取社区、建筑物和部件", "reading communities, buildings and components")
    communities = read_communities(run, sorted({c[:12] for c in grids.code if c}), at)
    box = shapely.box(*shapely.total_bounds(grids.shape)) if any(s is not None for s in grids.shape) else None
    near, missing = read_near(run, box, moment if moment.valid else Moment())
    run.progress(0.5, "检查", "checking")
    some = list(rules or ())
    findings = check(grids, communities, near, at=at, limits=limits, only=some)
    document = {
        "kind": "grid-check",
        "layer": found_layer.id,
        "community": community,
        "date": date,
        "synthetic": found_layer.synthetic,
        "verdict": _verdict(findings),
        "grids": len({fids[i] for i in range(len(grids)) if grids.end[i] is None}),
        "rows": len(grids),
        "communities": len({c[:12] for c in grids.code if c}),
        "area_m2": round(_area(grids), 3),
        "counts": {s: sum(f.severity == s for f in findings) for s in ("error", "warning")},
        "not_published": missing,
        "rules": [_answer(r, findings, fids, missing, run) for r in RULES if not some or r in some],
    }
    run.progress(1.0, "完成", "done")
    return Checked(document, findings)


def _area(grids: Any) -> float:
    open_now = [s for s, e in zip(grids.shape, grids.end, strict=True) if e is None and s is not None]
    return float(straight_areas(np.array(open_now, object)).sum()) if open_now else 0.0


def _verdict(findings: Sequence[Finding]) -> str:
    hit = {f.severity for f in findings}
    return "rejected" if "error" in hit else "warnings" if hit else "accepted"


def _answer(
    number: str, findings: Sequence[Finding], fids: Sequence[int], missing: Sequence[str], run: Run
) -> dict[str, Any]:
    rule, own = RULES[number], [f for f in findings if f.rule == number]
    return {
        "number": number,
        "title": rule.title.model_dump(),
        "severity": rule.severity,
        "certain": rule.certain,
        "verdict": "found" if own else "unknown" if number == "G7" and len(missing) == 2 else "passed",
        "findings": len(own),
        "listed": [_listed(f, fids) for f in own[: run.settings.site.site_features_listed]],
    }


def _listed(f: Finding, fids: Sequence[int]) -> dict[str, Any]:
    at = None
    if f.place is not None and not f.place.is_empty:
        point = shapely.point_on_surface(f.place)
        at = None if point.is_empty else [round(point.x, 7), round(point.y, 7)]
    return {
        "code": f.code,
        "features": [fids[i] for i in f.rows],
        "message": f.message.model_dump(),
        "place": at,
        "area_m2": None if f.area_m2 is None else round(f.area_m2, 3),
    }


def _refused(parameter: str, en: str, zh: str, todo_en: str, todo_zh: str) -> InvalidParameter:
    return InvalidParameter(en, zh, todo_en=todo_en, todo_zh=todo_zh, parameter=parameter)


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    found = grid_check(
        run, inputs.get("layer") or LAYER, inputs.get("community"), inputs.get("date"), inputs.get("rules")
    )
    out: dict[str, Any] = {"report": found.document}
    if "places" in wanted:
        out["places"] = Blob(found.places(), _MEDIA, f"grid-check-{inputs.get('community') or 'all'}.geojson")
    return out


_LISTED = {
    "type": "object",
    "required": ["code", "message", "place"],
    "properties": {"code": {"type": ["string", "null"]}, "message": {"type": "object"}},
}
PROCESS = Process(
    id="grid-check",
    version="1.0.0",
    title=Text(zh="单元网格检查", en="Check of unit grids"),
    description=Text(
        zh="按 G1–G10 检查单元网格:编码、上级、唯一、次序、图形、缝隙与重叠、切割、面积、作废、面积闭合;给出问题位置。",
        en="Unit grids by rules G1 to G10: code, parent, uniqueness, order, shape, gaps and overlaps, what is cut, "
        "area, retired codes, closure of areas; with the place of every finding.",
    ),
    inputs=(
        Input("layer", Text(zh="网格图层", en="Layer of grids"), {"type": "string", "default": LAYER}),
        Input(
            "community", Text(zh="社区代码", en="Community"), {"type": "string", "pattern": "^[1-9][0-9]{5,11}$"},
            Text(zh="12 位社区代码,或其前缀", en="Twelve digits, or a county's or subdistrict's code"),
        ),
        Input("date", Text(zh="日期", en="Date"), _TEXT, Text(zh="该日在用的网格", en="Grids in use on that day")),
        Input(
            "rules", Text(zh="只检查这些规则", en="Only these rules"), {"type": "array", "items": {"enum": list(RULES)}}
        ),
    ),
    outputs=(
        Output(
            "report", Text(zh="检查结果", en="Report"),
            schema={
                "type": "object",
                "required": ["verdict", "counts", "rules", "grids", "layer"],
                "properties": {
                    "verdict": {"enum": ["accepted", "warnings", "rejected"]},
                    "grids": {"type": "integer"},
                    "rules": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["number", "severity", "verdict", "findings", "listed"],
                            "properties": {
                                "number": {"enum": list(RULES)},
                                "severity": {"enum": ["error", "warning"]},
                                "verdict": {"enum": ["passed", "found", "unknown"]},
                                "findings": {"type": "integer", "minimum": 0},
                                "listed": {"type": "array", "items": _LISTED},
                            },
                        },
                    },
                },
            },
        ),
        Output("places", Text(zh="问题位置", en="Places"), _MEDIA, {"type": "object"}),
    ),
    run=_run,
    keywords=("网格", "单元网格", "质检"),
)  # fmt: skip
