# SPDX-License-Identifier: Apache-2.0
"""API definition of sectors and their panels."""

from __future__ import annotations

from geocloud.ogc.context import Context, Document
from geocloud.sectors.panel import KINDS

__all__ = ["paths"]


def paths(ctx: Context) -> Document:
    """`/sectors`."""
    say = ctx.say
    string: Document = {"type": "string"}
    strings: Document = {"type": "array", "items": string}
    text = _object({"zh": string, "en": string}, "zh", "en")
    unit: Document = {"oneOf": [string, text]}
    column = _object(
        {
            "name": {"type": "string", "description": say("字段或输出中的路径", "A member, or a path in an output")},
            "title": text,
            "kind": {"type": "string", "enum": list(KINDS)},
            "unit": unit,
            "codes": {"type": "string", "description": say("代码表,见 /map/layers", "A code list of /map/layers")},
            "words": {"type": "object", "additionalProperties": text},
            "tones": {
                "type": "object",
                "additionalProperties": {"type": "string", "enum": ["good", "warning", "danger", "note", "unknown"]},
            },
            "none": text,
        },
        "name", "title", "kind",
    )  # fmt: skip
    ask = _object(
        {
            "input": string,
            "pick": {"type": "string", "enum": ["point", "line", "area", "box", "instant", "period", "layer"]},
            "codes": string, "words": {"type": "object", "additionalProperties": text}, "layer": string,
            "field": string, "title": text,
            "geometry": {"type": "string", "enum": ["point", "line", "polygon"]},
        },
        "input",
    )  # fmt: skip
    function = _object(
        {
            "process": {"type": "string", "description": say("处理,见 /processes", "A process of /processes")},
            "title": text,
            "description": text,
            "asks": {"type": "array", "items": ask},
            "layers": strings,
            "missing": strings | {"description": say("此处未发布的图层", "Layers that are not published here")},
            "rows": string,
            "columns": {"type": "array", "items": column},
            "figures": {"type": "array", "items": column},
            "draws": strings,
            "verdict": string,
            "tone": string,
            "label": string,
            "place": _object({"layer": string, "field": string}, "layer", "field"),
            "chart": _object(
                {"title": text, "start": string, "value": string, "least": string, "most": string, "unit": unit,
                 "band": text},
                "title", "start", "value",
            ),
            "example": {"type": "object", "description": say("可直接运行的输入", "Inputs that can be run")},
        },
        "process", "title", "description", "asks", "layers", "missing", "rows", "columns", "figures", "draws",
    )  # fmt: skip
    sector = _object(
        {"name": string, "title": text, "layers": strings, "functions": {"type": "array", "items": function}},
        "name", "title", "layers", "functions",
    )  # fmt: skip
    content = _object(
        {"sectors": {"type": "array", "items": sector}, "links": {"type": "array", "items": {"type": "object"}}},
        "sectors", "links",
    )  # fmt: skip
    return {
        "/sectors": {
            "get": {
                "operationId": "getSectors",
                "tags": ["processes"],
                "summary": say("行业模块及其面板", "Sectors and their panels"),
                "parameters": [
                    {"name": "f", "in": "query", "required": False, "schema": {"type": "string", "enum": ["json"]}},
                    {"$ref": "#/components/parameters/lang"},
                ],
                "responses": {
                    "200": {
                        "description": say("成功", "Success"),
                        "content": {"application/json": {"schema": content}},
                    },
                    "304": {"description": say("与 If-None-Match 所示版本相同", "Unchanged since If-None-Match")},
                    "400": {"$ref": "#/components/responses/BadRequest"},
                    "406": {"$ref": "#/components/responses/NotAcceptable"},
                    "default": {"$ref": "#/components/responses/Problem"},
                },
            }
        }
    }


def _object(properties: Document, *required: str) -> Document:
    return {"type": "object", "required": list(required), "properties": properties}
