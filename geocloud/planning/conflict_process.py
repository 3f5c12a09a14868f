# SPDX-License-Identifier: Apache-2.0
"""The process `plan-conflicts` (规划冲突比对): plans in, differences out, and on request kept as spots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geocloud.catalogue.spec import Text
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.planning.comparison import csv_of, features_of, run_comparison
from geocloud.planning.conflict_report import report_of
from geocloud.planning.matrix import matrix_of
from geocloud.planning.spots import SPOTS
from geocloud.reports.outputs import PAGE, PDF, written

__all__ = ["PROCESS"]

_TEXT = {"type": "string"}
_AREA = {"type": "number", "description": "m2 on the CGCS2000 ellipsoid"}
_SUMMARY = {
    "type": "object",
    "required": ["matrix", "date", "rules", "plans", "spots", "area_m2", "fingerprint"],
    "properties": {
        "date": {"type": "string", "format": "date"},
        "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "everywhere": {"type": "boolean", "description": "False: only where plans had changed"},
        "spots": {"type": "integer"},
        "area_m2": _AREA,
        "recorded": {"type": "object", "additionalProperties": {"type": "integer"}},
        "rules": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["number", "a", "b", "kind", "bureau", "judged"],
                "properties": {
                    "spots": {"type": "integer"},
                    "area_m2": _AREA,
                    "pairs": {"type": "integer", "description": "pairs whose boxes meet: those that were compared"},
                    "seams": {
                        "type": ["integer", "null"],
                        "description": "pairs that touch or share slivers alone, where `slivers` are asked for",
                    },
                    "slivers": {"type": ["integer", "null"], "description": "where they are asked for"},
                    "sliver_area_m2": {"type": ["number", "null"], "description": "m2, where `slivers` are asked for"},
                    "sliver_kinds": {"type": ["object", "null"]},
                    "tolerance_m": {"type": "number", "description": "m"},
                },
            },
        },
        "plans": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["layer", "features", "area_m2", "inside_m2", "outside_m2", "closure"],
                "properties": {"area_m2": _AREA, "inside_m2": _AREA, "outside_m2": _AREA},
            },
        },
    },
}


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    matrix = matrix_of(inputs.get("matrix", "house"), run.catalogue.layers, run.settings.web)
    compared = run_comparison(
        run, matrix, inputs.get("plans"), inputs.get("datetime"), inputs.get("asof"), keep=inputs.get("record", False),
        whole=inputs.get("whole", False), slivers=inputs.get("slivers", False),
    )  # fmt: skip
    out: dict[str, Any] = {"summary": compared.document}
    name = f"conflicts-{compared.document['fingerprint'][:12]}"
    if "spots" in wanted:
        out["spots"] = features_of(compared)
    if "table" in wanted:
        out["table"] = Blob(csv_of(compared), "text/csv; charset=utf-8", f"{name}.csv")
    if wanted & {"page", "pdf"}:
        report = report_of(run, compared, inputs.get("language") or run.language)
        out |= written(report, name, wanted)
    return out


def _writes(inputs: Mapping[str, Any]) -> str | None:
    return SPOTS if inputs.get("record") else None


PROCESS = Process(
    id="plan-conflicts",
    version="1.0.0",
    title=Text(zh="规划冲突比对", en="Plans against plans"),
    description=Text(
        zh="按冲突矩阵比对各规划,找出差异图斑并与碎片区分;可登记为差异图斑,持续跟踪到消除。",
        en="Compares plans by a conflict matrix and tells differences from slivers; on request they are kept as "
        "difference spots and followed until they are settled.",
    ),
    inputs=(
        Input(
            "plans", Text(zh="规划图层", en="Plans"),
            {"type": "array", "items": _TEXT, "minItems": 2, "uniqueItems": True},
            Text(zh="不给时为矩阵涉及的全部规划", en="All of the matrix when left out"),
        ),
        Input("matrix", Text(zh="冲突矩阵", en="Conflict matrix"), {**_TEXT, "default": "house"}),
        Input("datetime", Text(zh="有效日期", en="Valid on"), _TEXT),
        Input("asof", Text(zh="认知时间", en="As believed at"), _TEXT),
        Input(
            "record", Text(zh="登记差异图斑", en="Keep as difference spots"), {"type": "boolean", "default": False},
            Text(zh="写入差异图斑图层,需要该图层的密钥", en="Writes the layer of difference spots; needs a key of it"),
        ),
        Input(
            "whole", Text(zh="全部重新比对", en="Compare everything again"), {"type": "boolean", "default": False},
            Text(zh="登记时默认只比对有变化的地方", en="Recorded again, only places that have changed are compared"),
        ),
        Input("slivers", Text(zh="输出碎片", en="Give slivers too"), {"type": "boolean", "default": False}),
        Input("language", Text(zh="语言", en="Language"), {"enum": ["zh", "en"]}),
    ),
    outputs=(
        Output("summary", Text(zh="汇总", en="Summary"), schema=_SUMMARY),
        Output("spots", Text(zh="差异图斑", en="Differences"), "application/geo+json"),
        Output("table", Text(zh="CSV 表", en="CSV"), "text/csv"),
        PAGE,
        PDF,
    ),
    run=_run,
    keywords=("多规合一", "差异图斑", "冲突"),
    long=True,
    writes=_writes,
)  # fmt: skip
