# SPDX-License-Identifier: Apache-2.0
"""API definition of features added up by areas."""

from __future__ import annotations

from geocloud.grids.dggs import DGGS
from geocloud.ogc.context import Context, Document
from geocloud.overlay.by import NAMED, is_zoning, zoning_ids
from geocloud.overlay.measures import OF_FIELD, PLAIN
from geocloud.tiles.grids import grids

__all__ = ["measure_parameter", "paths"]

_CHOICE = ("datetime", "asof", "filter", "filter-lang", "filter-crs")
# With more layers than this the definition would grow by them; the answer to a wrong one tells which there are.
_LISTED = 200
_NUMBER: Document = {"type": "number", "nullable": True}
_TEXT: Document = {"type": "string", "nullable": True}


def paths(ctx: Context) -> Document:
    """`/collections/{collectionId}/aggregate` and its tiles."""
    base = "/collections/{collectionId}/aggregate"
    return {
        base: _aggregate(ctx),
        f"{base}/tiles/{{tileMatrixSetId}}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}": _tile(ctx),
    }


def _aggregate(ctx: Context) -> Document:
    say = ctx.say
    shared = ("collectionId", "bbox", "bbox-crs", *_CHOICE, "lang")
    form = {
        "name": "f",
        "in": "query",
        "required": False,
        "description": say("返回格式", "Format of the answer"),
        "schema": {"type": "string", "enum": ["json", "geojson", "csv"]},
    }
    row = _row(ctx)
    about = _about(ctx)
    table: Document = {
        "type": "object",
        "required": [*about, "zones", "links"],
        "properties": {**about, "synthetic": {"type": "boolean"}, "zones": {"type": "array", "items": row},
                       "links": _objects()},
    }  # fmt: skip
    feature: Document = {
        "type": "object",
        "required": ["type", "geometry", "properties"],
        "properties": {
            "type": {"type": "string", "enum": ["Feature"]},
            "geometry": {"type": "object", "nullable": True},
            "properties": row,
        },
    }
    shapes: Document = {
        "type": "object",
        "required": ["type", "features", *about, "links"],
        "properties": {
            "type": {"type": "string", "enum": ["FeatureCollection"]},
            **about,
            "synthetic": {"type": "boolean"},
            "features": {"type": "array", "items": feature},
            "links": _objects(),
        },
    }
    return {
        "get": {
            "operationId": "getSumsByAreas",
            "tags": ["features"],
            "summary": say("按分区汇总要素", "Features added up by areas"),
            "description": say(
                "点计一次,恰在边界上的点归编号最小的分区;线、面按其椭球长度、面积的份额计;"
                "不在任何分区内的为 `zone` 为空的一行。`totals` 给出各区、区外与全部要素的合计及差值。"
                "条件与 `/items` 相同;分区取同一日期的状态。",
                "A point counts once, one on a border for the area of the lowest id; lines and polygons by their share "
                "of ellipsoidal length or area; what lies outside is the row whose `zone` is null. `totals` tells "
                "areas, outside and all features, and the difference. Conditions are those of `/items`; areas are "
                "those of the same date.",
            ),
            "parameters": [
                *({"$ref": f"#/components/parameters/{name}"} for name in shared),
                _by(ctx), measure_parameter(ctx), form,
            ],
            "responses": {
                "200": {
                    "description": say("成功", "Success"),
                    "headers": {n: {"$ref": f"#/components/headers/{n}"} for n in ("ETag", "Content-Language")},
                    "content": {
                        "application/json": {"schema": table},
                        "application/geo+json": {"schema": shapes},
                        "text/csv": {"schema": {"type": "string"}},
                    },
                },
                "304": {"description": say("与 If-None-Match 所示版本相同", "Unchanged since If-None-Match")},
                **_errors(),
            },
        }
    }  # fmt: skip


def _tile(ctx: Context) -> Document:
    say = ctx.say
    number = {"type": "integer", "minimum": 0}

    def path(name: str, zh: str, en: str, schema: Document) -> Document:
        return {"name": name, "in": "path", "required": True, "description": say(zh, en), "schema": schema}

    mvt = {"application/vnd.mapbox-vector-tile": {"schema": {"type": "string", "format": "binary"}}}
    return {
        "get": {
            "operationId": "getSumsByAreasTile",
            "tags": ["tiles"],
            "summary": say("分区及其汇总值的矢量瓦片", "Vector tile of areas with their figures"),
            "description": say(
                "图层以被汇总的数据集命名,属性同 `/aggregate` 的各行;分区在其所达的每个瓦片中,带整个分区的值。",
                "The layer is named by the collection that was added up, attributes are those of the rows of "
                "`/aggregate`. An area is in every tile it reaches, with the figures of the whole area.",
            ),
            "parameters": [
                {"$ref": "#/components/parameters/collectionId"},
                path("tileMatrixSetId", "瓦片矩阵集", "Tile matrix set", {"type": "string", "enum": list(grids())}),
                path("tileMatrix", "级别", "Matrix (level)", {"type": "string", "maxLength": 4}),
                path("tileRow", "行号，自上而下", "Row, from the top", number),
                path("tileCol", "列号", "Column", number),
                _by(ctx),
                measure_parameter(ctx),
                *({"$ref": f"#/components/parameters/{name}"} for name in _CHOICE),
            ],
            "responses": {
                "200": {
                    "description": say("矢量瓦片（MVT 2.1）", "A vector tile (MVT 2.1)"),
                    "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
                    "content": mvt,
                },
                "204": {"description": say("此瓦片没有内容", "Nothing lies in this tile")},
                "304": {"description": say("未变化", "Not modified")},
                **_errors(),
            },
        }
    }


def _by(ctx: Context) -> Document:
    layers = ctx.catalogue.layers
    named = [n for n, i in NAMED.items() if i in layers and is_zoning(layers[i])]
    cells = [f"{g.id}:{n}" for g in DGGS.values() for n in range(g.first, g.last + 1)]
    listed = [*named, *cells, *zoning_ids(ctx.catalogue)]
    return {
        "name": "by",
        "in": "query",
        "required": True,
        "description": ctx.say(
            "分区:县级、乡级、村级、单元网格的简称,任一已发布的面图层标识,或 `h3:级别`、`beidou:级别`",
            "Areas: a short name of divisions or unit grids, the id of any published layer of polygons, `h3:level`, "
            "`beidou:level`",
        ),
        "schema": {"type": "string", **({"enum": listed} if len(listed) <= _LISTED else {"minLength": 1})},
    }


def measure_parameter(ctx: Context) -> Document:
    """`measure`, as every request that adds up takes it."""
    return {
        "name": "measure",
        "in": "query",
        "required": False,
        "description": ctx.say(
            f"汇总值,可多个:{'、'.join(PLAIN)},或 {'、'.join(f'{k}:字段' for k in OF_FIELD)};默认 count",
            f"One or several of {', '.join(PLAIN)}, or {', '.join(f'{k}:field' for k in OF_FIELD)}; count if none",
        ),
        "style": "form",
        "explode": False,
        "schema": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "pattern": f"^({'|'.join(PLAIN)}|({'|'.join(OF_FIELD)}):[a-z][a-z0-9_]*)$"},
        },
    }


def _row(ctx: Context) -> Document:
    say = ctx.say
    return {
        "type": "object",
        "required": ["zone", "code", "name"],
        "properties": {
            "zone": {
                "nullable": True,
                "oneOf": [{"type": "integer"}, {"type": "string"}],
                "description": say(
                    "分区的 fid 或网格编码;区外为空", "fid of the area or code of the cell; null: outside"
                ),
            },
            "code": _TEXT,
            "name": _TEXT,
            "area_km2": {**_NUMBER, "description": say("椭球面积", "Ellipsoidal area")},
        },
        "additionalProperties": _NUMBER,
    }


def _about(ctx: Context) -> Document:
    count: Document = {"type": "integer", "minimum": 0}
    sums: Document = {"type": "object", "additionalProperties": _NUMBER}
    return {
        "collection": {"type": "string"},
        "title": {"type": "string"},
        "by": {"type": "object", "required": ["id", "title"]},
        "measures": {"type": "array", "items": {"type": "string"}},
        "numberReturned": {**count, "maximum": ctx.settings.web.aggregate_zones_max},
        "totals": {
            "type": "object",
            "required": ["features", "zones", "outside", "difference", "closed"],
            "properties": {
                **dict.fromkeys(("features", "zones", "outside", "difference"), sums),
                "closed": {"type": "boolean"},
                "note": {"type": "string"},
            },
        },
        "withoutGeometry": count,
        "version": count,
    }


def _objects() -> Document:
    return {"type": "array", "items": {"type": "object"}}


def _errors() -> Document:
    return {
        "400": {"$ref": "#/components/responses/BadRequest"},
        "404": {"$ref": "#/components/responses/NotFound"},
        "406": {"$ref": "#/components/responses/NotAcceptable"},
        "413": {"$ref": "#/components/responses/Problem"},
        "414": {"$ref": "#/components/responses/UriTooLong"},
        "default": {"$ref": "#/components/responses/Problem"},
    }
