# SPDX-License-Identifier: Apache-2.0
"""API definition of tiles, tile sets, tile matrix sets and the stream of changes."""

from __future__ import annotations

from geocloud.ogc.context import Context, Document
from geocloud.tiles.grids import grids

__all__ = ["paths"]

_BASES = (("/collections/{collectionId}/tiles", "Collection"), ("/themes/{theme}/tiles", "Theme"), ("/tiles", "City"))
_CHOICE = ("datetime", "asof", "filter", "filter-lang", "filter-crs", "properties")


def paths(ctx: Context) -> Document:
    """`/tileMatrixSets`, the tile sets of collections, themes and the city, their tiles, and `/events`."""
    say = ctx.say
    found: Document = {
        "/tileMatrixSets": _get(
            ctx, "getTileMatrixSets", say("全部瓦片矩阵集", "All tile matrix sets"), [], _object("tileMatrixSets")
        ),
        "/tileMatrixSets/{tileMatrixSetId}": _get(
            ctx, "getTileMatrixSet", say("瓦片矩阵集定义", "Definition of a tile matrix set"), [_grid(ctx)],
            _object("tileMatrices"), missing=True,
        ),
        "/events": _events(ctx),
    }  # fmt: skip
    for base, name in _BASES:
        place = _place(ctx, name)
        chosen = [] if name == "Collection" else [_collections(ctx)]
        missing = name != "City"
        found[base] = _get(
            ctx, f"get{name}TileSets", say("瓦片集列表", "Tile sets"), place, _object("tilesets"), missing=missing
        )
        found[base + "/{tileMatrixSetId}"] = _get(
            ctx, f"get{name}TileSet", say("瓦片集说明或 TileJSON", "Tile set metadata or TileJSON"),
            [*place, _grid(ctx), *chosen], _object(), missing=True, formats=["json", "tilejson"],
        )  # fmt: skip
        found[base + "/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}"] = _tile(ctx, name, [*place, *chosen])
    return found


def _tile(ctx: Context, name: str, parameters: list[Document]) -> Document:
    say = ctx.say
    number = {"type": "integer", "minimum": 0}
    cell = [
        _path("tileMatrix", say("级别", "Matrix (level)"), {"type": "string", "maxLength": 4}),
        _path("tileRow", say("行号，自上而下", "Row, from the top"), number),
        _path("tileCol", say("列号", "Column"), number),
    ]
    shared = [
        {"$ref": f"#/components/parameters/{p}"} for p in (_CHOICE if name == "Collection" else ("datetime", "asof"))
    ]
    mvt = {"application/vnd.mapbox-vector-tile": {"schema": {"type": "string", "format": "binary"}}}
    headers = {"ETag": {"$ref": "#/components/headers/ETag"}}
    responses: Document = {
        "200": {
            "description": say("矢量瓦片（MVT 2.1）", "A vector tile (MVT 2.1)"),
            "headers": headers,
            "content": mvt,
        },
        "204": {"description": say("此瓦片没有内容", "Nothing lies in this tile")},
        "304": {"description": say("未变化", "Not modified")},
    }
    return {
        "get": {
            "operationId": f"get{name}Tile",
            "tags": ["tiles"],
            "summary": say("矢量瓦片", "Vector tile"),
            "description": say(
                "每个图层以数据集标识命名，要素标识为 fid。低级别以聚合表示，其 `count` 之和等于要素数；"
                "超过上限的瓦片按图层规则抽稀，并带 `thinned`。",
                "Layers are named by collection, feature ids are fid. Low zooms show aggregates whose `count` adds up "
                "to the number of features; a tile past a limit is thinned by the layer's rule and says `thinned`.",
            ),
            "parameters": [*parameters, _grid(ctx), *cell, *shared],
            "responses": responses | _errors(missing=True),
        }
    }


def _events(ctx: Context) -> Document:
    say = ctx.say
    return {
        "get": {
            "operationId": "getEvents",
            "tags": ["tiles"],
            "summary": say("变化的事件流", "Changes as they happen"),
            "description": say(
                "服务器推送事件：`versions` 为各数据集当前版本，`change` 为一次变化及其范围。",
                "Server-sent events: `versions` tells the versions there are, `change` a change and its box.",
            ),
            "parameters": [_collections(ctx), {"$ref": "#/components/parameters/lang"}],
            "responses": {
                "200": {
                    "description": say("事件流", "A stream of events"),
                    "content": {"text/event-stream": {"schema": {"type": "string"}}},
                }
            }
            | _errors(missing=False)
            | {"413": {"$ref": "#/components/responses/Problem"}},
        }
    }


def _get(
    ctx: Context, operation: str, summary: str, parameters: list[Document], schema: Document, *,
    missing: bool = False, formats: list[str] | None = None,
) -> Document:  # fmt: skip
    shown = {
        "name": "f",
        "in": "query",
        "description": ctx.say("格式", "Format"),
        "schema": {"type": "string", "enum": formats or ["json"]},
    }
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in ("ETag", "Content-Language")}
    return {
        "get": {
            "operationId": operation,
            "tags": ["tiles"],
            "summary": summary,
            "parameters": [*parameters, shown, {"$ref": "#/components/parameters/lang"}],
            "responses": {
                "200": {
                    "description": ctx.say("成功", "Success"),
                    "headers": headers,
                    "content": {"application/json": {"schema": schema}},
                }
            }
            | _errors(missing=missing),
        }
    }


def _errors(*, missing: bool) -> Document:
    named = [("400", "BadRequest"), ("406", "NotAcceptable"), ("414", "UriTooLong"), ("default", "Problem")]
    named += [("404", "NotFound")] if missing else []
    return {status: {"$ref": f"#/components/responses/{name}"} for status, name in named}


def _object(*required: str) -> Document:
    return {"type": "object"} | ({"required": list(required)} if required else {})


def _place(ctx: Context, name: str) -> list[Document]:
    if name == "Collection":
        return [{"$ref": "#/components/parameters/collectionId"}]
    if name == "Theme":
        themes = sorted({x.spec.theme for x in ctx.catalogue.layers.values() if x.spec.geometry != "none"})
        return [_path("theme", ctx.say("专题", "Theme"), {"type": "string"} | ({"enum": themes} if themes else {}))]
    return []


def _grid(ctx: Context) -> Document:
    return _path("tileMatrixSetId", ctx.say("瓦片矩阵集", "Tile matrix set"), {"type": "string", "enum": list(grids())})


def _collections(ctx: Context) -> Document:
    return {
        "name": "collections",
        "in": "query",
        "description": ctx.say("只要这些数据集", "Only these collections"),
        "style": "form",
        "explode": False,
        "schema": {"type": "array", "items": {"type": "string"}},
    }


def _path(name: str, description: str, schema: Document) -> Document:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}
