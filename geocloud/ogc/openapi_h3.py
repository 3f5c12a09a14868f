# SPDX-License-Identifier: Apache-2.0
"""API definition of points counted by H3 cells."""

from __future__ import annotations

from geocloud.ogc.context import Context, Document

__all__ = ["paths"]


def paths(ctx: Context) -> Document:
    """`/collections/{collectionId}/h3`."""
    say, web = ctx.say, ctx.settings.web
    shared = ("collectionId", "bbox", "datetime", "asof", "filter", "filter-lang", "filter-crs", "lang")
    cell: Document = {
        "type": "object",
        "required": ["type", "id", "geometry", "properties"],
        "properties": {
            "type": {"type": "string", "enum": ["Feature"]},
            "id": {"type": "string", "pattern": "^8[0-9a-f]{14}$"},
            "geometry": {"type": "object", "required": ["type", "coordinates"]},
            "properties": {
                "type": "object",
                "required": ["count", "density"],
                "properties": {
                    "count": {"type": "integer", "minimum": 1},
                    "density": {"type": "number", "minimum": 0, "description": say("每平方千米", "Per km²")},
                    "mix": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
                },
            },
        },
    }
    answer: Document = {
        "type": "object",
        "required": ["type", "features", "resolution", "count", "numberReturned"],
        "properties": {
            "type": {"type": "string", "enum": ["FeatureCollection"]},
            "collection": {"type": "string"},
            "title": {"type": "string"},
            "resolution": {"type": "integer", "minimum": 0, "maximum": 15},
            "count": {"type": "integer", "minimum": 0, "description": say("点数合计", "Points in all cells")},
            "numberReturned": {"type": "integer", "minimum": 0, "maximum": web.h3_cells_max},
            "withoutPosition": {"type": "integer", "minimum": 0, "description": say("无坐标", "Without a position")},
            "codeField": {"type": "string", "description": say("分类字段", "Field that points are told apart by")},
            "version": {"type": "integer", "minimum": 0},
            "synthetic": {"type": "boolean"},
            "features": {"type": "array", "items": cell},
            "links": {"type": "array", "items": {"type": "object"}},
        },
    }
    return {
        "/collections/{collectionId}/h3": {
            "get": {
                "operationId": "getH3",
                "tags": ["features"],
                "summary": say("按 H3 网格统计点要素", "Points counted by H3 cells"),
                "description": say(
                    "点所在网格由 H3 库按其坐标给出。给出 `bbox` 时取中心在其内的网格(含西、南边),并计入网格内全部点,"
                    "相邻范围的结果可相加。条件与 `/items` 相同。仅限点图层。",
                    "A point is in the cell that the H3 library gives for its position. With `bbox` come the cells "
                    "whose centre lies in it (west and south edges included), each with all of its points, so that "
                    "neighbouring boxes add up. Conditions are those of `/items`. Layers of points only.",
                ),
                "parameters": [
                    *({"$ref": f"#/components/parameters/{name}"} for name in shared),
                    {
                        "name": "resolution",
                        "in": "query",
                        "required": False,
                        "description": say(
                            "H3 级别;不给时自动选取,约 200 至 2000 个网格",
                            "H3 resolution; one that gives about 200 to 2,000 cells when not given",
                        ),
                        "schema": {"type": "integer", "minimum": 0, "maximum": 15},
                    },
                    {
                        "name": "f",
                        "in": "query",
                        "required": False,
                        "description": say("返回格式", "Format of the answer"),
                        "schema": {"type": "string", "enum": ["json", "csv"]},
                    },
                ],
                "responses": {
                    "200": {
                        "description": say("成功", "Success"),
                        "headers": {n: {"$ref": f"#/components/headers/{n}"} for n in ("ETag", "Content-Language")},
                        "content": {
                            "application/geo+json": {"schema": answer},
                            "text/csv": {"schema": {"type": "string"}},
                        },
                    },
                    "400": {"$ref": "#/components/responses/BadRequest"},
                    "404": {"$ref": "#/components/responses/NotFound"},
                    "406": {"$ref": "#/components/responses/NotAcceptable"},
                    "414": {"$ref": "#/components/responses/UriTooLong"},
                    "default": {"$ref": "#/components/responses/Problem"},
                },
            }
        }
    }
