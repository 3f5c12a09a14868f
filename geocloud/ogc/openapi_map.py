# SPDX-License-Identifier: Apache-2.0
"""API definition of the web map."""

from __future__ import annotations

from geocloud.ogc.context import Context, Document

__all__ = ["paths"]


def paths(ctx: Context) -> Document:
    """`/map` and `/map/layers`."""
    say = ctx.say
    text: Document = {
        "type": "object",
        "required": ["zh", "en"],
        "properties": {"zh": {"type": "string"}, "en": {"type": "string"}},
    }
    box: Document = {
        "type": "array",
        "nullable": True,
        "items": {"type": "number"},
        "minItems": 4,
        "maxItems": 4,
        "description": say("西、南、东、北，度", "West, south, east, north in degrees"),
    }
    ids: Document = {"type": "array", "items": {"type": "string"}}
    theme: Document = {
        "type": "object",
        "required": ["id", "title", "layers"],
        "properties": {"id": {"type": "string"}, "title": text, "layers": ids},
    }
    layer: Document = {
        "type": "object",
        "required": ["id", "theme", "title", "geometry", "fields", "tiles", "synthetic", "items", "legend"],
        "properties": {
            "id": {"type": "string"},
            "theme": {"type": "string"},
            "title": text,
            "geometry": {"type": "string"},
            "fields": {"type": "array", "items": {"type": "object"}},
            "tiles": {"type": "object"},
            "count": {
                "type": "integer",
                "nullable": True,
                "description": say("要素数；随日期而变时为空", "Features; null where it depends on the date"),
            },
            "extent": box,
            "synthetic": {"type": "boolean", "description": say("是否示例数据", "Whether it is sample data")},
            "hasTime": {"type": "boolean"},
            "items": {"type": "string"},
            "legend": {"type": "string"},
        },
    }
    layers: Document = {
        "type": "object",
        "required": ["city", "service", "extent", "themes", "layers", "codes"],
        "properties": {
            "city": text,
            "service": text,
            "extent": box,
            "themes": {"type": "array", "items": theme},
            "layers": {"type": "object", "additionalProperties": layer},
            "codes": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "object"}}},
        },
    }
    return {
        "/map": _get(
            ctx, "getMap", say("网页地图", "The web map"), "html", {"text/html": {"schema": {"type": "string"}}}
        ),
        "/map/layers": _get(
            ctx,
            "getMapLayers",
            say(
                "地图所需的主题、图层、字段与代码，中英文", "Themes, layers, fields and codes for a map, both languages"
            ),
            "json",
            {"application/json": {"schema": layers}},
        ),
    }


def _get(ctx: Context, operation: str, summary: str, file_format: str, content: Document) -> Document:
    say = ctx.say
    return {
        "get": {
            "operationId": operation,
            "tags": ["service"],
            "summary": summary,
            "parameters": [
                {
                    "name": "f",
                    "in": "query",
                    "required": False,
                    "description": say("返回格式", "Format of the answer"),
                    "schema": {"type": "string", "enum": [file_format]},
                },
                {"$ref": "#/components/parameters/lang"},
            ],
            "responses": {
                "200": {
                    "description": say("成功", "Success"),
                    "headers": {n: {"$ref": f"#/components/headers/{n}"} for n in ("ETag", "Content-Language")},
                    "content": content,
                },
                "304": {"description": say("与 If-None-Match 所示版本相同", "Unchanged since If-None-Match")},
                "400": {"$ref": "#/components/responses/BadRequest"},
                "406": {"$ref": "#/components/responses/NotAcceptable"},
                "414": {"$ref": "#/components/responses/UriTooLong"},
                "default": {"$ref": "#/components/responses/Problem"},
            },
        }
    }
