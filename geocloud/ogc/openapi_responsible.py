# SPDX-License-Identifier: Apache-2.0
"""API definition of who is responsible at a point."""

from __future__ import annotations

from geocloud.ogc.context import Context, Document

__all__ = ["paths"]


def paths(ctx: Context) -> Document:
    """`/responsible`."""
    say, web = ctx.say, ctx.settings.web
    text: Document = {"type": "string"}
    place: Document = {
        "type": "object",
        "required": ["title", "by", "lon", "lat"],
        "properties": {
            "title": text,
            "by": {"type": "string", "enum": ["position", "address", "code", "name", "search"]},
            "collection": text,
            "fid": {"type": "integer", "format": "int64"},
            "lon": {"type": "number"},
            "lat": {"type": "number"},
        },
    }
    grid: Document = {
        "type": "object",
        "required": ["fid", "on_border"],
        "properties": {
            "fid": {"type": "integer", "format": "int64"},
            "on_border": {"type": "boolean"},
            **dict.fromkeys(("code", "name", "level", "owner", "person", "phone", "responsible"), text),
            "community_code": text,
            "community_name": text,
        },
    }
    department: Document = {
        "type": "object",
        "required": ["layer", "title", "department", "verdict", "grids"],
        "properties": {
            "layer": text,
            "title": text,
            "department": {"type": "string", "nullable": True},
            "verdict": {
                "type": "string",
                "enum": ["one", "several", "border", "none"],
                "description": say(
                    "one:一个网格;several:本部门网格重叠;border:在边界上;none:没有网格",
                    "one grid; several that overlap; on a border; none",
                ),
            },
            "grids": {"type": "array", "items": grid},
        },
    }
    disagreement: Document = {
        "type": "object",
        "required": ["kind", "layers", "message"],
        "properties": {
            "kind": {"type": "string", "enum": ["overlap", "gap", "community"]},
            "layers": {"type": "array", "items": text},
            "message": text,
        },
    }
    answer: Document = {
        "type": "object",
        "required": ["lon", "lat", "departments", "disagreements", "community", "place", "others", "synthetic"],
        "properties": {
            "lon": {"type": "number"},
            "lat": {"type": "number"},
            "date": {"type": "string", "nullable": True},
            "community": {"type": "object", "nullable": True, "properties": {"code": text, "name": text}},
            "departments": {"type": "array", "items": department},
            "disagreements": {"type": "array", "items": disagreement},
            "empty": {"type": "array", "items": text, "description": say("没有数据的图层", "Layers without rows")},
            "place": {**place, "nullable": True},
            "others": {"type": "array", "items": place},
            "synthetic": {"type": "boolean"},
        },
    }

    def query(name: str, zh: str, en: str, schema: Document) -> Document:
        return {"name": name, "in": "query", "required": False, "description": say(zh, en), "schema": schema}

    statuses = (("400", "BadRequest"), ("404", "NotFound"), ("406", "NotAcceptable"), ("414", "UriTooLong"),
                ("default", "Problem"))  # fmt: skip
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in ("ETag", "Content-Language")}
    found: Document = {
        "200": {
            "description": say("成功", "Success"),
            "headers": headers,
            "content": {"application/json": {"schema": answer}},
        },
        **{status: {"$ref": f"#/components/responses/{name}"} for status, name in statuses},
    }
    return {
        "/responsible": {
            "get": {
                "operationId": "getResponsible",
                "tags": ["features"],
                "summary": say("谁负责", "Who is responsible"),
                "description": say(
                    "一个地点归谁负责:各部门的网格、责任人和电话,以及不一致之处。给出 `lon` 与 `lat`,或 `q`"
                    "(地址、名称、编码、坐标)。",
                    "Every department's grid, person and phone at a place, and where departments disagree. Give `lon` "
                    "and `lat`, or `q`: an address, a name, a code or a position.",
                ),
                "parameters": [
                    query("lon", "经度", "Longitude in degrees", {"type": "number", "minimum": -180, "maximum": 180}),
                    query("lat", "纬度", "Latitude in degrees", {"type": "number", "minimum": -90, "maximum": 90}),
                    query("q", "地址、名称、编码或坐标", "An address, a name, a code or a position",
                          {"type": "string", "minLength": 1, "maxLength": web.search_chars_max}),
                    query("date", "该日在用的网格", "Grids in use on that day", {"type": "string", "format": "date"}),
                    {"$ref": "#/components/parameters/lang"},
                ],
                "responses": found,
            }
        }
    }  # fmt: skip
