# SPDX-License-Identifier: Apache-2.0
"""API definition of stamps: in which districts and cells features lie; the path is the house's own."""

from __future__ import annotations

from geocloud.ogc.context import Context, Document

__all__ = ["paths"]


def paths(ctx: Context) -> Document:
    """`/collections/{collectionId}/stamps`."""
    say = ctx.say
    text: Document = {"type": "string", "nullable": True}
    row: Document = {
        "type": "object",
        "required": ["fid", "h3_8", "h3_10", "beidou"],
        "properties": {"fid": {"type": "integer"}, "h3_8": text, "h3_10": text, "beidou": text},
        "additionalProperties": text,
    }
    answer: Document = {
        "type": "object",
        "required": ["collection", "title", "zonings", "current", "numberReturned", "stamps", "links"],
        "properties": {
            "collection": {"type": "string"},
            "title": {"type": "string"},
            "synthetic": {"type": "boolean"},
            "zonings": {"type": "array", "items": {"type": "object"}},
            "current": {
                "type": "object",
                "additionalProperties": {"type": "boolean"},
                "description": say(
                    "各分区的标记是否为最新;否则正待更新",
                    "By zoning, whether the stamps are those of now; others wait to be renewed",
                ),
            },
            "numberReturned": {"type": "integer"},
            "stamps": {"type": "array", "items": row},
            "links": {"type": "array", "items": {"type": "object"}},
        },
    }
    return {
        "/collections/{collectionId}/stamps": {
            "get": {
                "operationId": "getStamps",
                "tags": ["features"],
                "summary": say("要素所在的区划与网格", "Districts and grid cells of features"),
                "description": say(
                    "点取所在的区划(边界上取编号最小者);线、面须整体位于其中,跨界为 null。"
                    "H3 为 8、10 级,北斗网格码为 6 级。",
                    "Of a point the district that covers it, the lowest id on a border; of a line or an area the one "
                    "that wholly holds it, null across a border. H3 resolutions 8 and 10, BeiDou level 6.",
                ),
                "parameters": [
                    {"$ref": "#/components/parameters/collectionId"},
                    _query("limit", say("条数", "How many"), {"type": "integer", "minimum": 1}),
                    _query(
                        "after", say("从此要素编号之后继续,见 next 链接", "Go on after this id; see the next link"),
                        {"type": "integer", "minimum": 0},
                    ),
                    _query("f", say("返回格式", "Format of the answer"), {"type": "string", "enum": ["json", "csv"]}),
                    {"$ref": "#/components/parameters/lang"},
                ],
                "responses": {
                    "200": {
                        "description": say("成功", "Success"),
                        "content": {"application/json": {"schema": answer}, "text/csv": {"schema": {"type": "string"}}},
                    },
                    "304": {"description": say("与 If-None-Match 所示版本相同", "Unchanged since If-None-Match")},
                    "400": {"$ref": "#/components/responses/BadRequest"},
                    "404": {"$ref": "#/components/responses/NotFound"},
                    "406": {"$ref": "#/components/responses/NotAcceptable"},
                    "default": {"$ref": "#/components/responses/Problem"},
                },
            }
        }
    }  # fmt: skip


def _query(name: str, description: str, schema: Document) -> Document:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
