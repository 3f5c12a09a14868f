# SPDX-License-Identifier: Apache-2.0
"""API definition of differences between two dates and of the change log."""

from __future__ import annotations

from geocloud.features.changes import KINDS
from geocloud.ogc.context import Context, Document
from geocloud.tiles.grids import grids

__all__ = ["paths"]

_ONE = "/collections/{collectionId}/changes"
_CHOICE = ("bbox", "bbox-crs", "filter", "filter-lang", "filter-crs")


def paths(ctx: Context) -> Document:
    """`/collections/{collectionId}/changes`, its summary, and the change log as pages and as a stream."""
    say = ctx.say
    csv = {"text/csv": {"schema": {"type": "string"}}, "text/html": {"schema": {"type": "string"}}}
    features = [
        *_span(ctx),
        _kind(ctx),
        _query(ctx, "before", "附上变化前的几何（成员 `before`）", "The geometry of before as well, as member `before`",
               {"type": "boolean", "default": False}),
        *(_ref(n) for n in (*_CHOICE, "crs", "properties", "limit", "token", "f-items", "lang")),
    ]  # fmt: skip
    return {
        _ONE: _get(
            ctx, "getChanges", say("两个日期之间的变化", "What differs between two dates"),
            say(
                "同一要素按编号（fid）比较：新增、消失、移位（形状不变）、变形、属性变更，可同时有多种。要素为终点时的状态"
                "（消失者为起点时的状态），`change_…` 字段为变化内容；面积、长度按 CGCS2000 椭球。"
                "条件对任一状态成立即可。",
                "Features are compared by fid: added, removed, moved (the same shape elsewhere), reshaped, attributes; "
                "several can hold. A feature is as it is at `to` (as it was at `from` where it is gone), and its "
                "properties `change_…` say what changed; areas and lengths are those on the CGCS2000 ellipsoid. "
                "A condition holds when it does of either state.",
            ),
            features, {"application/geo+json": {"schema": _collection()}, **csv}, crs=True,
        ),
        f"{_ONE}/summary": _get(
            ctx, "getChangesSummary", say("变化汇总", "What the differences come to"),
            say("各类别、各字段的变化数，面积、长度的增减", "Counts by kind and field; area and length gained, lost"),
            [*_span(ctx), *(_ref(n) for n in _CHOICE), _format(ctx), _ref("lang")],
            {"application/json": {"schema": _summary()}},
        ),
        f"{_ONE}/log": _get(
            ctx, "getChangeLog", say("变更日志", "The change log"),
            say("一页变更记录，`next` 链接取其后的", "Entries behind an id, oldest first; `next` leads on"),
            [_after(ctx), _query(ctx, "limit", "每页条数", "Entries on a page",
                                 {"type": "integer", "minimum": 1, "default": 100}), _format(ctx), _ref("lang")],
            {"application/json": {"schema": _log()}}, etag=False,
        ),
        f"{_ONE}/feed": _feed(ctx),
        f"{_ONE}/tiles/{{tileMatrixSetId}}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}": _tile(ctx),
    }  # fmt: skip


def _feed(ctx: Context) -> Document:
    say = ctx.say
    found = _get(
        ctx, "getChangeFeed", say("变更的事件流", "The change log as it is written"),
        say(
            "服务器推送事件，每条变更一个事件，`id` 随提交次序递增。断线后以 `Last-Event-ID` 请求头或 `after` 续传，"
            "不缺不重；不给时从现在开始。",
            "Server-sent events, one an entry, whose `id` rises in the order of commits. Who was cut off goes on "
            "behind the header `Last-Event-ID` or `after`, without a gap or a repeat; without either it begins now.",
        ),
        [_after(ctx), {"name": "Last-Event-ID", "in": "header", "required": False,
                       "description": say("最后收到的 id", "The last id received"),
                       "schema": {"type": "integer", "format": "int64", "minimum": 0}}, _ref("lang")],
        {"text/event-stream": {"schema": {"type": "string"}}}, etag=False,
    )  # fmt: skip
    responses = found["get"]["responses"]
    responses["413"] = {"$ref": "#/components/responses/Problem"}
    del responses["200"]["headers"]
    return found


def _tile(ctx: Context) -> Document:
    say = ctx.say
    number: Document = {"type": "integer", "minimum": 0}
    places = [
        _path("tileMatrixSetId", say("瓦片矩阵集", "Tile matrix set"), {"type": "string", "enum": list(grids())}),
        _path("tileMatrix", say("级别", "Matrix (level)"), {"type": "string", "maxLength": 4}),
        _path("tileRow", say("行号，自上而下", "Row, from the top"), number),
        _path("tileCol", say("列号", "Column"), number),
    ]
    choice = [*_span(ctx), _kind(ctx), *(_ref(n) for n in ("filter", "filter-lang", "filter-crs", "lang"))]
    found = _get(
        ctx, "getChangesTile", say("两个日期之间变化的矢量瓦片", "Differences between two dates as a vector tile"),
        say(
            "字段 `change` 为变化类别，`before` 为变化前的形状；过多或过小时以 `overview` = `cluster` 聚合，带 `count` "
            "与 `mix`，超过上限者带 `thinned`。",
            "`change` is the kind, or `before` for the shape of before; where they are too many or too small, clusters "
            "(`overview` = `cluster`) carry `count` and `mix`, and `thinned` past a limit.",
        ),
        [*places, *choice],
        {"application/vnd.mapbox-vector-tile": {"schema": {"type": "string", "format": "binary"}}},
    )  # fmt: skip
    found["get"]["tags"] = ["tiles"]
    responses = found["get"]["responses"]
    responses["200"]["headers"] = {"ETag": {"$ref": "#/components/headers/ETag"}}
    responses["204"] = {"description": say("此瓦片没有内容", "Nothing lies in this tile")}
    return found


def _kind(ctx: Context) -> Document:
    schema: Document = {"type": "array", "items": {"type": "string", "enum": list(KINDS)}, "minItems": 1}
    return _query(ctx, "kind", "只要这些类别的变化", "Only changes of these kinds", schema, style="form", explode=False)


def _path(name: str, description: str, schema: Document) -> Document:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _get(
    ctx: Context,
    operation: str,
    summary: str,
    description: str,
    parameters: list[Document],
    content: Document,
    *,
    crs: bool = False,
    etag: bool = True,
) -> Document:
    headers = ["Content-Language", *(["Content-Crs"] if crs else [])]
    responses: Document = {
        "200": {
            "description": ctx.say("成功", "Success"),
            "headers": {n: {"$ref": f"#/components/headers/{n}"} for n in headers},
            "content": content,
        },
    }
    if etag:
        responses["304"] = {"description": ctx.say("与 If-None-Match 所示版本相同", "Unchanged since If-None-Match")}
    named = (("400", "BadRequest"), ("404", "NotFound"), ("406", "NotAcceptable"), ("414", "UriTooLong"))
    responses |= {status: {"$ref": f"#/components/responses/{name}"} for status, name in named}
    responses["default"] = {"$ref": "#/components/responses/Problem"}
    return {
        "get": {
            "operationId": operation,
            "tags": ["features"],
            "summary": summary,
            "description": description,
            "parameters": [_ref("collectionId"), *parameters],
            "responses": responses,
        }
    }


def _span(ctx: Context) -> list[Document]:
    """The parameters that say which two states are compared."""
    text: Document = {"type": "string", "minLength": 1}
    return [
        _query(ctx, "from", "起点：RFC 3339 时刻，或日期（北京时间当日结束时）",
               "The earlier moment: an RFC 3339 instant, or a day, which means when it ended in Beijing",
               text | {"example": "2025-01-01"}) | {"required": True},
        _query(ctx, "to", "终点，默认为现在", "The later moment; now when not given", text | {"example": "2026-01-01"}),
        _query(ctx, "by", "valid：比较两个时刻的城市状态；transaction：比较两个时刻的记录",
               "valid: how things were at both moments; transaction: what was believed at both",
               {"type": "string", "enum": ["valid", "transaction"], "default": "valid"}),
        _query(ctx, "asof", "by=valid 时，按该时刻的记录比较", "With by=valid: as believed at that moment", text),
        _query(ctx, "datetime", "by=transaction 时，两次记录所述的有效时刻；不给时各取其时",
               "With by=transaction: the valid time both beliefs are about; each about its own moment when not given",
               text),
    ]  # fmt: skip


def _after(ctx: Context) -> Document:
    return _query(
        ctx, "after", "只要此 id 之后的变更", "Only entries behind this id",
        {"type": "integer", "format": "int64", "minimum": 0},
    )  # fmt: skip


def _format(ctx: Context) -> Document:
    return _query(ctx, "f", "返回格式", "Format of the answer", {"type": "string", "enum": ["json"]})


def _query(ctx: Context, name: str, zh: str, en: str, schema: Document, **more: object) -> Document:
    return {"name": name, "in": "query", "required": False, "description": ctx.say(zh, en), "schema": schema, **more}


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/parameters/{name}"}


def _collection() -> Document:
    number = {"type": "number", "nullable": True}
    properties = {
        "change_kinds": {"type": "array", "items": {"type": "string", "enum": list(KINDS)}, "minItems": 1},
        "change_fields": {"type": "object", "additionalProperties": {"type": "object", "required": ["was", "is"]}},
        **{f"change_{n}": number for n in ("area_was_m2", "area_is_m2", "length_was_m", "length_is_m", "moved_m")},
    }
    feature: Document = {
        "type": "object",
        "required": ["type", "id", "geometry", "properties"],
        "properties": {
            "type": {"type": "string", "enum": ["Feature"]},
            "id": {"type": "integer"},
            "geometry": {"type": "object", "nullable": True},
            "before": {"type": "object", "nullable": True},
            "properties": {
                "type": "object",
                "required": ["change_kinds", "change_fields"],
                "properties": properties,
            },
        },
    }
    return {
        "type": "object",
        "required": ["type", "features", "numberMatched", "numberReturned", "by", "from", "to", "links"],
        "properties": {
            "type": {"type": "string", "enum": ["FeatureCollection"]},
            "features": {"type": "array", "items": feature},
            "numberMatched": {"type": "integer", "minimum": 0},
            "numberReturned": {"type": "integer", "minimum": 0},
            "by": {"type": "string", "enum": ["valid", "transaction"]},
            "from": {"type": "string", "format": "date-time"},
            "to": {"type": "string", "format": "date-time"},
            "synthetic": {"type": "boolean"},
            "links": {"type": "array", "items": {"type": "object"}},
        },
    }


def _summary() -> Document:
    whole = {"type": "integer", "minimum": 0}
    amount: Document = {
        "type": "object",
        "required": ["added", "removed", "reshaped", "net"],
        "additionalProperties": {"type": "number"},
    }
    field = {"type": "object", "required": ["name", "title", "count"]}
    return {
        "type": "object",
        "required": ["collection", "by", "from", "to", "features", "changed", "kinds", "fields", "links"],
        "properties": {
            "features": {"type": "object", "required": ["from", "to"], "additionalProperties": whole},
            "changed": whole,
            "kinds": {"type": "object", "required": list(KINDS), "additionalProperties": whole},
            "fields": {"type": "array", "items": field},
            "area_m2": amount,
            "length_m": amount,
        },
    }


def _log() -> Document:
    entry: Document = {
        "type": "object",
        "required": ["id", "collection", "op", "version", "at", "count"],
        "properties": {
            "id": {"type": "integer"},
            "op": {"type": "string", "enum": ["insert", "update", "delete", "correct"]},
            "fid": {"type": "integer"},
            "count": {"type": "integer", "minimum": 1},
            "by": {"type": "string"},
            "bbox": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
        },
    }
    return {
        "type": "object",
        "required": ["collection", "after", "last", "more", "entries", "links"],
        "properties": {"entries": {"type": "array", "items": entry}, "more": {"type": "boolean"}},
    }
