# SPDX-License-Identifier: Apache-2.0
"""The process `project-generate` (策划生成): size, use, conditions in; ranked land as GeoJSON, CSV, page, PDF out."""

from __future__ import annotations

import csv
import io
from typing import Any

from geocloud.catalogue.spec import Text
from geocloud.errors import Language
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.planning.candidates import find_sites
from geocloud.planning.candidates_ask import (
    BOUNDARY,
    CLASSES_MAX,
    CONDITIONS_MAX,
    DISTANCE_MAX_M,
    LIMIT_MAX,
    SOURCE,
    read_ask,
)
from geocloud.planning.candidates_report import report_of
from geocloud.planning.compliance_process import pack_of
from geocloud.reports.outputs import PAGE, PDF, written

__all__ = ["PROCESS", "table_csv"]

_COLUMNS = ("rank", "id", "total", "verdict", "area_m2", "cut_m2", "parcels", "use", "longitude", "latitude")
_NUMBER = {"type": "number"}
_CONDITION = {
    "type": "object",
    "required": ["kind"],
    "additionalProperties": False,
    "properties": {
        "kind": {"enum": ["inside", "outside", "near", "far", "frontage", "raster"]},
        "layer": {"type": "string"},
        "filter": {"type": "string", "description": "CQL2 text"},
        "distance_m": {"type": "number", "exclusiveMinimum": 0, "maximum": DISTANCE_MAX_M},
        "length_m": {"type": "number", "exclusiveMinimum": 0},
        "hard": {"type": "boolean", "default": False},
        "weight": {"type": "number", "exclusiveMinimum": 0, "maximum": 1000},
        "raster": {"type": "string", "maxLength": 100, "description": "Its name in the folder of rasters"},
        "derive": {"enum": ["slope"], "description": "Slope of an elevation model, degrees"},
        "min": _NUMBER | {"description": "No cell of the land is below; in the raster's unit"},
        "max": _NUMBER | {"description": "No cell of the land is above"},
        "mean": _NUMBER | {"exclusiveMinimum": 0, "description": "The mean of its cells is no more"},
        "classes": {
            "type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": CLASSES_MAX,
            "description": "Classes of its cells, of a raster of classes",
        },
        "share_min": {
            "type": "number", "exclusiveMinimum": 0, "maximum": 1,
            "description": "The share of cells of the classes, or from min to max, that is enough; all if unset",
        },
    },
}  # fmt: skip
_CANDIDATES = {
    "type": "object",
    "required": ["type", "features", "search"],
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "id", "geometry", "properties"],
                "properties": {
                    "properties": {
                        "type": "object",
                        "required": ["rank", "total", "area_m2", "verdict", "conditions"],
                        "properties": {
                            "rank": {"type": "integer", "minimum": 1},
                            "total": {"type": ["number", "null"], "minimum": 0, "maximum": 100},
                            "verdict": {"enum": ["consent", "note", "clear", "unknown"]},
                        },
                    }
                },
            },
        },
        "search": {
            "type": "object",
            "required": ["ask", "counts", "not_judged", "fingerprint", "date", "asof"],
            "properties": {"fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
        },
    },
}


def table_csv(document: dict[str, Any], language: Language) -> bytes:
    """The candidates and their conditions as CSV, with a mark so that office programs read it as UTF-8."""
    import shapely

    text = io.StringIO()
    writer = csv.writer(text)
    asked = document["search"]["ask"]["conditions"]
    more = [f"{c['kind']} {c['of']} {x}" for c in asked for x in ("measured", "score", "weight", "sentence")]
    writer.writerow([*_COLUMNS, *more])
    for f in document["features"]:
        p = f["properties"]
        at = shapely.point_on_surface(shapely.geometry.shape(f["geometry"]))
        row = [
            p["rank"], f["id"], p["total"], p["verdict"], p["area_m2"], p["cut_m2"], " ".join(p["parcels"]),
            " ".join(p["use"]), round(at.x, 7), round(at.y, 7),
        ]  # fmt: skip
        for c in p["conditions"]:
            row += [c["measured"], c["score"], c["weight"], c["sentence"][language]]
        writer.writerow(row)
    return text.getvalue().encode("utf-8-sig")


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    run.progress(0.0, "核对条件", "reading what is asked")
    ask = read_ask(run, inputs)
    pack = pack_of(run, inputs.get("pack") or "house")
    found = find_sites(run, ask, pack, inputs.get("datetime"), inputs.get("asof"))
    document = found.document
    language: Language = inputs.get("language") or run.language
    name = f"sites-{document['search']['fingerprint'][:12]}"
    out: dict[str, Any] = {"candidates": document}
    if "csv" in wanted:
        out["csv"] = Blob(table_csv(document, language), "text/csv; charset=utf-8", f"{name}.csv")
    if not wanted & {"page", "pdf"}:
        return out
    run.progress(0.95, "编写报告", "writing the report")
    report = report_of(found, language, str(inputs.get("subject") or ""))
    out |= written(report, name, wanted)
    return out


_TEXT = {"type": "string"}
_M2 = {"type": "number", "exclusiveMinimum": 0, "description": "m2 on the CGCS2000 ellipsoid"}
PROCESS = Process(
    id="project-generate",
    version="1.1.0",
    title=Text(zh="策划生成选址", en="Finding a site"),
    description=Text(
        zh="按面积、用途和条件查找候选用地:扣除规则不允许的部分,必要时合并相邻地块,逐条计分排序,并逐个合规检查;"
        "规则结论为不符合的不列出,未能判定的单独说明。",
        en="Land of a size and use under conditions: without what the rules refuse, neighbours joined where need be, "
        "ranked by stated scores, each checked as a site; none is refused, and what could not be judged is said apart.",
    ),
    inputs=(
        Input("min_area_m2", Text(zh="最小面积(平方米)", en="Least area (m2)"), _M2, required=True),
        Input("max_area_m2", Text(zh="最大面积(平方米)", en="Greatest area (m2)"), _M2),
        Input("use", Text(zh="用途(用地用海分类代码)", en="Use (code of land_use_2023 or its first level)"), _TEXT),
        Input(
            "conditions", Text(zh="条件", en="Conditions"),
            {"type": "array", "maxItems": CONDITIONS_MAX, "items": _CONDITION, "default": []},
        ),
        Input("from", Text(zh="候选图层", en="Layer of the candidates"), _TEXT | {"default": SOURCE}),
        Input(
            "filter", Text(zh="候选过滤条件", en="Filter of the candidates"), _TEXT,
            Text(zh="CQL2 文本", en="CQL2 text"),
        ),
        Input(
            "boundary", Text(zh="范围图层", en="Layer the land lies within"),
            {"type": ["string", "null"], "default": BOUNDARY},
        ),
        Input("join", Text(zh="合并相邻地块", en="Join neighbours"), {"type": "boolean", "default": True}),
        Input(
            "limit", Text(zh="列出个数", en="How many are listed"),
            {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": 10},
        ),
        Input("datetime", Text(zh="有效日期", en="Valid on"), _TEXT),
        Input("asof", Text(zh="认知时间", en="As believed at"), _TEXT),
        Input("pack", Text(zh="规则包", en="Rule pack"), _TEXT | {"default": "house"}),
        Input("subject", Text(zh="项目名称", en="Name of the project"), {"type": "string", "maxLength": 200}),
        Input("language", Text(zh="语言", en="Language"), {"enum": ["zh", "en"]}),
    ),
    outputs=(
        Output(
            "candidates", Text(zh="候选用地", en="Candidates"), schema=_CANDIDATES,
            description=Text(zh="GeoJSON,CRS84,经度在前", en="GeoJSON, CRS84, longitude first"),
        ),
        Output("csv", Text(zh="CSV 表", en="CSV"), "text/csv", {"type": "string"}),
        PAGE,
        PDF,
    ),
    run=_run,
    keywords=("策划生成", "选址", "多规合一"),
)  # fmt: skip
