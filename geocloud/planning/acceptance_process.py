# SPDX-License-Identifier: Apache-2.0
"""The process `plan-acceptance` (规划成果质检): a file or a published layer in, JSON, page, PDF and places out."""

from __future__ import annotations

from typing import Any

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.features.moment import read_moment
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.planning.acceptance import accept, day_of
from geocloud.planning.acceptance_places import MEDIA_TYPE, places_of
from geocloud.planning.acceptance_plan import Plan, plan_of_bytes, plan_of_layer, refuse_no_plan
from geocloud.planning.acceptance_report import report_of
from geocloud.planning.acceptance_rules import (
    Pack,
    read_packs,
    refuse_filters_layers_lack,
    refuse_what_layers_lack,
)
from geocloud.reports.outputs import PAGE, PDF, written

__all__ = ["PROCESS", "pack_of"]

_TEXT = {"type": "string"}
_VERDICTS = ["accepted", "warnings", "rejected", "unknown"]
_FILE = {
    "type": "object",
    "required": ["value"],
    "properties": {
        "name": {"type": "string", "description": "plan.zip, plan.gpkg …"},
        "value": {"type": "string", "contentEncoding": "base64"},
    },
}
_AREA = {"type": ["number", "null"], "description": "m2 on the CGCS2000 ellipsoid"}
_REPORT = {
    "type": "object",
    "required": ["verdict", "counts", "rules", "plan", "pack", "fingerprint", "date"],
    "properties": {
        "verdict": {"enum": _VERDICTS},
        "date": {"type": "string", "format": "date"},
        "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "plan": {"type": "object"},
        "rules": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["number", "severity", "verdict", "checked", "findings", "listed"],
                "properties": {
                    "number": _TEXT,
                    "severity": {"enum": ["error", "warning", "note"]},
                    "verdict": {"enum": ["passed", "found", "unknown"]},
                    "checked": {"type": "integer"},
                    "findings": {"type": "integer"},
                    "area_m2": _AREA,
                    "length_m": {"type": ["number", "null"]},
                    "listed": {"type": "array", "items": {"type": "object", "required": ["message", "place"]}},
                },
            },
        },
    },
}


def pack_of(run: Run, name: str) -> Pack:
    """A pack of the house whose fields and filters the published layers have; InvalidParameter for another name."""
    packs = read_packs()
    if name not in packs:
        raise InvalidParameter(
            f"There is no acceptance pack `{name[:60]}`.", f"没有质检规则包 {name[:60]}。",
            todo_en=f"There are: {', '.join(packs)}.", todo_zh=f"现有:{'、'.join(packs)}。",
            parameter="pack", allowed=list(packs),
        )  # fmt: skip
    pack, lines, path = packs[name]
    refuse_what_layers_lack(pack, lines, path, {i: one.spec for i, one in run.catalogue.layers.items()}, partly=True)
    refuse_filters_layers_lack(pack, lines, path, run.catalogue.layers, run.settings.web)
    return pack


def _plan(run: Run, inputs: dict[str, Any]) -> Plan:
    valid = inputs.get("datetime")
    day = day_of(valid)
    if inputs.get("file") is None:
        moment = read_moment(valid, inputs.get("asof"))
        return plan_of_layer(run, inputs["layer"], moment, day, day_named=valid is not None)
    layer = run.catalogue.layer(inputs["layer"])
    refuse_no_plan(layer)
    return plan_of_bytes(inputs["file"], layer, run.settings, day, day_named=valid is not None, crs=inputs.get("crs"))


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    run.progress(0.0, "读取规划成果", "reading the plan")
    pack = pack_of(run, inputs.get("pack") or "house")
    plan = _plan(run, inputs)
    found = accept(
        run, plan, pack, rules=inputs.get("rules"), district=inputs.get("district"), valid=inputs.get("datetime"),
        asof=inputs.get("asof"),
    )  # fmt: skip
    out: dict[str, Any] = {"report": found.document}
    name = f"plan-{found.document['fingerprint'][:12]}"
    run.progress(0.8, "编写报告", "writing the report")
    if "places" in wanted:
        out["places"] = Blob(places_of(found), MEDIA_TYPE, f"{name}.gpkg")
    if not wanted & {"page", "pdf"}:
        return out
    report = report_of(found, inputs.get("language") or run.language)
    out |= written(report, name, wanted)
    return out


PROCESS = Process(
    id="plan-acceptance",
    version="1.0.0",
    title=Text(zh="规划成果质检", en="Acceptance of a plan"),
    description=Text(
        zh="按规则包检查交付的规划成果:字段、代码、拓扑、覆盖、填报面积与边界一致性;给出结论、每处问题的位置和未判定的事项。",
        en="Checks a delivered plan by a rule pack: fields, codes, topology, coverage, stated areas, borders; a "
        "verdict, the place of every finding, and what could not be judged.",
    ),
    inputs=(
        Input(
            "layer", Text(zh="图层", en="Layer"), _TEXT,
            Text(zh="已发布的图层;提交文件时为其应符合的图层", en="A published one, or that a file should fit"), True,
        ),
        Input("file", Text(zh="交付文件", en="Delivered file"), _FILE),
        Input("crs", Text(zh="文件坐标系", en="Coordinate system of the file"), _TEXT),
        Input("datetime", Text(zh="规划日期", en="The plan's date"), _TEXT),
        Input("asof", Text(zh="认知时间", en="As believed at"), _TEXT),
        Input("pack", Text(zh="规则包", en="Rule pack"), {"type": "string", "default": "house"}),
        Input("rules", Text(zh="只运行这些规则", en="Only these rules"), {"type": "array", "items": _TEXT}),
        Input("district", Text(zh="行政区代码", en="Code of the district"), _TEXT),
        Input("language", Text(zh="语言", en="Language"), {"enum": ["zh", "en"]}),
    ),
    outputs=(
        Output("report", Text(zh="结论数据", en="Answer as data"), schema=_REPORT),
        PAGE,
        PDF,
        Output("places", Text(zh="问题位置", en="Places"), MEDIA_TYPE, {"type": "string", "format": "binary"}),
    ),
    run=_run,
    keywords=("质检", "成果审查", "规划"),
    long=True,
)  # fmt: skip
