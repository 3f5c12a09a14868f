# SPDX-License-Identifier: Apache-2.0
"""The process `compliance-check` (合规体检): a site in; JSON, overlaps as GeoJSON, page, PDF and DOCX out."""

from __future__ import annotations

from typing import Any

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.jobs.model import Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.planning.compliance import check_site
from geocloud.planning.compliance_overlaps import OVERLAPS_SCHEMA, overlaps_of
from geocloud.planning.compliance_report import report_of
from geocloud.planning.compliance_rules import Pack, read_packs, refuse_what_layers_lack
from geocloud.planning.site import read_site
from geocloud.reports.outputs import DOCX, PAGE, PDF, load_writers, written
from geocloud.settings import Settings

__all__ = ["PROCESS", "pack_of"]

_SITE: dict[str, Any] = {
    "type": "object",
    # A hectare in the middle of the city.
    "examples": [
        {
            "type": "Polygon",
            "coordinates": [
                [[115.98, 36.45], [115.9811, 36.45], [115.9811, 36.4509], [115.98, 36.4509], [115.98, 36.45]]
            ],
        }
    ],
    "oneOf": [
        {"required": ["type"], "properties": {"type": {"type": "string"}}},
        {
            "required": ["value"],
            "not": {"required": ["type"]},
            "properties": {
                "name": {"type": "string", "description": "site.zip, site.dxf, site.txt …"},
                "value": {"type": "string", "contentEncoding": "base64"},
            },
        },
    ],
}
_AREA = {"type": "number", "description": "m2 on the CGCS2000 ellipsoid"}
_REPORT = {
    "type": "object",
    "required": ["verdict", "counts", "rules", "areas", "site", "fingerprint", "date", "asof"],
    "properties": {
        "verdict": {"enum": ["refuse", "consent", "note", "clear", "unknown"]},
        "date": {"type": "string", "format": "date"},
        "asof": {"type": ["string", "null"], "format": "date-time"},
        "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "rules": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["number", "verdict", "layer", "overlap_m2"],
                "properties": {
                    "number": {"type": "string"},
                    "verdict": {"enum": ["refuse", "consent", "note", "clear", "unknown"]},
                    "overlap_m2": _AREA,
                    "noise_m2": _AREA,
                    "not_judged_m2": _AREA,
                    "nearest_m": {"type": ["number", "null"]},
                },
            },
        },
        "areas": {"type": "array", "items": {"type": "object"}},
        "site": {"type": "object"},
    },
}


def pack_of(run: Run, name: str) -> Pack:
    """A pack of the house whose fields and classes the published layers have; InvalidParameter for another name."""
    packs = read_packs()
    if name not in packs:
        raise InvalidParameter(
            f"There is no rule pack `{name[:60]}`.", f"没有规则包 {name[:60]}。",
            todo_en=f"There are: {', '.join(packs)}.", todo_zh=f"现有:{'、'.join(packs)}。",
            parameter="pack", allowed=list(packs),
        )  # fmt: skip
    pack, lines, path = packs[name]
    refuse_what_layers_lack(pack, lines, path, run.catalogue.layers, run.settings.web)
    return pack


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    run.progress(0.0, "读取用地范围", "reading the site")
    site = read_site(inputs["site"], run.settings, inputs.get("crs"))
    run.progress(0.2, "与各规划比对", "comparing with the plans")
    pack = pack_of(run, inputs.get("pack") or "house")
    checked = check_site(run, site, pack, inputs.get("datetime"), inputs.get("asof"))
    out: dict[str, Any] = {"report": checked.document}
    if "overlaps" in wanted:
        out["overlaps"] = overlaps_of(checked, pack)
    if not wanted - {"report", "overlaps"}:
        return out
    report = report_of(checked, inputs.get("language") or run.language, str(inputs.get("subject") or ""))
    name = f"site-{checked.document['fingerprint'][:12]}"
    run.progress(0.5, "编写报告", "writing the report")
    out |= written(report, name, wanted)
    return out


def _warm(settings: Settings) -> None:
    """Rule packs, the coordinate systems that a site may be in, and what writes reports."""
    load_writers()

    read_packs()
    read_site(_SITE["examples"][0], settings)


PROCESS = Process(
    id="compliance-check",
    version="1.0.0",
    title=Text(zh="用地合规体检", en="Site check against the plans"),
    description=Text(
        zh="检查一块用地与各规划的关系:逐条规则结论、面积、距离、责任部门与下一步;未能判定的单独说明。",
        en="What a site meets in the plans: a verdict for every rule, areas, distances, bureaus and next steps; what "
        "could not be judged is said apart.",
    ),
    inputs=(
        Input("site", Text(zh="用地范围", en="Site"), _SITE, required=True),
        Input("crs", Text(zh="坐标系", en="Coordinate system"), {"type": "string"}),
        Input("datetime", Text(zh="有效日期", en="Valid on"), {"type": "string"}),
        Input("asof", Text(zh="认知时间", en="As believed at"), {"type": "string"}),
        Input("pack", Text(zh="规则包", en="Rule pack"), {"type": "string", "default": "house"}),
        Input("subject", Text(zh="项目名称", en="Name of the project"), {"type": "string", "maxLength": 200}),
        Input("language", Text(zh="语言", en="Language"), {"enum": ["zh", "en"]}),
    ),
    outputs=(
        Output("report", Text(zh="结论数据", en="Answer as data"), schema=_REPORT),
        Output("overlaps", Text(zh="重叠范围", en="Where rules hit"), schema=OVERLAPS_SCHEMA),
        PAGE,
        PDF,
        DOCX,
    ),
    run=_run,
    warm=_warm,
    keywords=("多规合一", "合规体检", "预协调"),
)
