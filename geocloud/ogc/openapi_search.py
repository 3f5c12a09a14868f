# SPDX-License-Identifier: Apache-2.0
"""API definition of the search."""

from __future__ import annotations

from geocloud.ogc.context import Context, Document

__all__ = ["paths"]


def paths(ctx: Context) -> Document:
    """`/search`."""
    say, web = ctx.say, ctx.settings.web
    number: Document = {"type": "number"}
    shared: Document = {
        "title": {"type": "string"},
        "subtitle": {"type": "string", "description": say("是什么、在哪里", "What it is and where")},
        "lon": {**number, "minimum": -180, "maximum": 180},
        "lat": {**number, "minimum": -90, "maximum": 90},
        "bbox": {"type": "array", "items": number, "minItems": 4, "maxItems": 4},
        "score": {**number, "minimum": 0, "maximum": 1},
    }
    result: Document = {
        "type": "object",
        "required": ["kind", "title", "subtitle", "lon", "lat", "score"],
        "properties": {
            "kind": {"type": "string", "enum": ["place", "coordinate"]},
            **shared,
            "collection": {"type": "string", "description": say("地点所在数据集", "Collection of a place")},
            "fid": {
                "type": "integer",
                "format": "int64",
                "description": say("地点的要素编号", "Feature id of a place"),
            },
            "crs": {"type": "string", "description": say("坐标按何种系统读取", "System a coordinate was read in")},
        },
    }
    answer: Document = {
        "type": "object",
        "required": ["query", "results"],
        "properties": {
            "query": {"type": "string"},
            "results": {"type": "array", "items": result, "maxItems": web.search_max},
        },
    }

    def query(name: str, zh: str, en: str, schema: Document, required: bool = False) -> Document:
        return {"name": name, "in": "query", "required": required, "description": say(zh, en), "schema": schema}

    return {
        "/search": {
            "get": {
                "operationId": "search",
                "tags": ["features"],
                "summary": say("查找地点与坐标", "Places and positions"),
                "description": say(
                    "地点可按名称、全拼、首字母、二者混写或编码查找；坐标可为经纬度（各种写法）、高斯-克吕格、GCJ-02、BD-09、"
                    "Web 墨卡托、北斗网格位置码或 H3 编码。坐标有多种读法时全部给出，本市范围内的在前。",
                    "Places are found by name, pinyin, initials, a mixture of these, or code. Positions may be "
                    "longitude and latitude in any notation, Gauss-Krueger, GCJ-02, BD-09, Web Mercator, BeiDou grid "
                    "codes or H3 cells; numbers that can be read in several ways give all readings, those inside the "
                    "city first.",
                ),
                "parameters": [
                    query(
                        "q", "查找内容", "What to look for", {"type": "string", "maxLength": web.search_chars_max}, True
                    ),
                    query(
                        "limit",
                        f"结果数，大于 {web.search_max} 时按 {web.search_max} 返回",
                        f"Most results; more than {web.search_max} is answered with {web.search_max}",
                        {"type": "integer", "minimum": 1, "maximum": web.search_max, "default": web.search_default},
                    ),
                    {
                        **query(
                            "near",
                            "经度,纬度：靠近此处的地点排序提前",
                            "Longitude and latitude: places near it come earlier",
                            {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
                        ),
                        "style": "form",
                        "explode": False,
                        "example": [115.98, 36.45],
                    },
                    query("f", "返回格式", "Format of the answer", {"type": "string", "enum": ["json"]}),
                    {"$ref": "#/components/parameters/lang"},
                ],
                "responses": {
                    "200": {
                        "description": say("成功", "Success"),
                        "headers": {n: {"$ref": f"#/components/headers/{n}"} for n in ("ETag", "Content-Language")},
                        "content": {"application/json": {"schema": answer}},
                    },
                    "304": {"description": say("与 If-None-Match 所示版本相同", "Unchanged since If-None-Match")},
                    "400": {"$ref": "#/components/responses/BadRequest"},
                    "406": {"$ref": "#/components/responses/NotAcceptable"},
                    "414": {"$ref": "#/components/responses/UriTooLong"},
                    "default": {"$ref": "#/components/responses/Problem"},
                },
            }
        }
    }
