# SPDX-License-Identifier: Apache-2.0
"""API definition of changing features (OGC API Features part 4), where that is switched on."""

from __future__ import annotations

from geocloud.ogc import openapi_transactions
from geocloud.ogc.context import CRS84, Context, Document
from geocloud.ogc.openapi_versions import version_parameter

__all__ = ["add_editing"]

_GEOJSON, _JSON, _PROBLEM = "application/geo+json", "application/json", "application/problem+json"
_ITEMS, _ITEM = "/collections/{collectionId}/items", "/collections/{collectionId}/items/{featureId}"
_VERSION = f"{_ITEM}/versions/{{version}}"


def add_editing(ctx: Context, definition: Document) -> Document:
    """The definition with the operations that change features, and how a key is sent."""
    if not ctx.editing:
        return definition
    say, paths = ctx.say, definition["paths"]
    paths[_ITEMS]["post"] = _operation(
        ctx,
        "createItems",
        say("新建要素", "Create features"),
        say(
            "一个 Feature，或一个 FeatureCollection：全部写入或全不写入。",
            "One Feature, or a FeatureCollection whose features are all written or none.",
        ),
        body=_features(ctx, many=True),
        done={"201": _created(ctx)},
    )
    paths[_ITEM]["put"] = _operation(
        ctx,
        "replaceItem",
        say("替换要素", "Replace a feature"),
        say("未写出的字段清空。", "Properties that are left out are emptied."),
        body=_features(ctx, many=False),
        done={
            "200": _now(ctx),
            "204": {"description": say("已替换", "Replaced, as `Prefer` asked without the feature")},
        },
    )
    paths[_ITEM]["patch"] = _operation(
        ctx,
        "updateItem",
        say("修改要素", "Update a feature"),
        say(
            "按 RFC 7396 合并：只写要改的字段，null 表示清空。",
            "A merge patch (RFC 7396): only what is to change, null to take a value away.",
        ),
        body={"required": True, "content": {"application/merge-patch+json": {"schema": {"type": "object"}}}},
        done={
            "200": _now(ctx),
            "204": {"description": say("已修改", "Updated, as `Prefer` asked without the feature")},
        },
    )
    paths[_VERSION]["patch"] = _operation(
        ctx,
        "updateVersion",
        say("更正一个版本", "Correct a version"),
        say(
            "该版本的起讫时间（valid-from、valid-to）与取值；相邻版本随之让出或接管时段。",
            "When the version held (`valid-from`, `valid-to`) and what it says; its neighbours give or take the time.",
        ),
        body={"required": True, "content": {"application/merge-patch+json": {"schema": {"type": "object"}}}},
        done={
            "200": _now(ctx),
            "204": {"description": say("已更正", "Corrected, as `Prefer` asked without the feature")},
        },
    )
    paths[_VERSION]["patch"]["parameters"].insert(2, version_parameter(ctx))
    paths[_ITEM]["delete"] = _operation(
        ctx,
        "deleteItem",
        say("删除要素", "Delete a feature"),
        say("要素自此失效，历史保留。", "The feature ends; its history is kept."),
        body=None,
        done={"204": {"description": say("已删除", "Deleted")}},
    )
    paths["/transactions"] = openapi_transactions.transactions(ctx, _operation)
    paths["/collections/{collectionId}/restore"] = openapi_transactions.restore(ctx, _operation)
    definition["components"]["securitySchemes"] = {
        "bearerKey": {"type": "http", "scheme": "bearer"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    }
    definition["tags"].append({"name": "editing", "description": say("要素的更改", "Changing features")})
    return definition


def _operation(
    ctx: Context, name: str, summary: str, description: str, *, body: Document | None, done: Document
) -> Document:
    one = name != "createItems"
    problem = {"content": {_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    operation: Document = {
        "operationId": name,
        "tags": ["editing"],
        "summary": summary,
        "description": description,
        "security": [{"bearerKey": []}, {"apiKey": []}],
        "parameters": _parameters(ctx, one=one, body=body is not None),
        "responses": done
        | {
            status: {"description": ctx.say(*words), **problem}
            for status, words in _REFUSED.items()
            if _may(status, one)
        },
    }
    return operation | ({"requestBody": body} if body else {})


_REFUSED = {
    "400": ("请求内容不是 JSON，或参数有误", "The body is no JSON, or a parameter is wrong"),
    "401": ("没有密钥，或密钥无效", "No key, or one that is not known"),
    "403": ("密钥无权更改该数据集", "The key is not for this collection"),
    "404": ("没有该数据集或要素", "No such collection or feature"),
    "405": ("该数据集不可编辑", "The collection is not edited here"),
    "406": ("不提供所要的格式", "None of the formats asked for is offered"),
    "409": ("键已被占用", "Another feature has the key"),
    "412": ("所指版本之后已有更改，说明中列出差异", "Changed since that version; what differs is told"),
    "413": ("内容过大或要素过多", "Body too large, or too many features"),
    "415": ("媒体类型不符", "Wrong media type"),
    "422": ("违反规则，逐条列出", "Rules are broken; each violation is listed with its place"),
    "428": ("缺少 If-Match", "If-Match is missing"),
    "503": ("图层正忙，请稍后重试", "The collection is busy; try again"),
}


def _may(status: str, one: bool) -> bool:
    return one or status not in ("412", "428")


def _parameters(ctx: Context, *, one: bool, body: bool) -> list[Document]:
    say = ctx.say
    text: Document = {"type": "string"}
    listed: list[Document] = [{"$ref": "#/components/parameters/collectionId"}]
    if one:
        listed += [
            {"$ref": "#/components/parameters/featureId"},
            {
                "name": "If-Match",
                "in": "header",
                "required": False,
                "description": say(
                    "读取该要素时的 ETag；除特许的密钥外必须给出",
                    "The ETag the feature was read with; needed unless the key is exempt",
                ),
                "schema": text,
            },
            {
                "name": "change",
                "in": "query",
                "required": False,
                "description": say("correction：被替换的内容从未属实", "correction: what is replaced was never so"),
                "schema": {"type": "string", "enum": ["correction"]},
            },
        ]
    listed.append(
        {
            "name": "valid-from",
            "in": "query",
            "required": False,
            "description": say(
                "更改自何时生效（RFC 3339 时刻或日期），默认为现在",
                "From when the change holds in the city (RFC 3339 instant or date); now if not given",
            ),
            "schema": text,
        }
    )
    listed.append(
        {
            "name": "valid-to",
            "in": "query",
            "required": False,
            "description": say(
                "更改至何时为止，此后恢复原样；与 change=correction 同用时更正过去的一段时间",
                "Until when the change holds, after which what was there holds again; with change=correction a time of "
                "the past is corrected",
            ),
            "schema": text,
        }
    )
    if body:
        listed += [
            {
                "name": "Content-Crs",
                "in": "header",
                "required": False,
                "description": say("几何的坐标参考系，默认 CRS84", "CRS of the geometry; CRS84 if not given"),
                "schema": {"type": "string", "default": f"<{CRS84}>"},
            },
            {"$ref": "#/components/parameters/crs"},
        ]
    return [*listed, {"$ref": "#/components/parameters/lang"}]


def _features(ctx: Context, *, many: bool) -> Document:
    feature: Document = {
        "type": "object",
        "required": ["type", "geometry", "properties"],
        "properties": {
            "type": {"type": "string", "enum": ["Feature"]},
            "geometry": {"$ref": "#/components/schemas/Geometry"},
            "properties": {"type": "object", "nullable": True},
        },
    }
    collection: Document = {
        "type": "object",
        "required": ["type", "features"],
        "properties": {
            "type": {"type": "string", "enum": ["FeatureCollection"]},
            "features": {
                "type": "array",
                "items": feature,
                "minItems": 1,
                "maxItems": ctx.settings.edit.edit_features_max,
            },
        },
    }
    schema: Document = {"oneOf": [feature, collection]} if many else feature
    return {"required": True, "content": {_GEOJSON: {"schema": schema}, _JSON: {"schema": schema}}}


def _created(ctx: Context) -> Document:
    ids: Document = {
        "type": "object",
        "required": ["collection", "ids"],
        "properties": {
            "collection": {"type": "string"},
            "ids": {"type": "array", "items": {"type": "integer", "format": "int64"}},
            "findings": {"type": "array", "items": {"type": "object"}},
        },
    }
    return {
        "description": ctx.say("已新建", "Created; the feature, or the ids of all"),
        "headers": {
            "Location": {"description": ctx.say("新要素的地址", "Where the feature is"), "schema": {"type": "string"}},
            "ETag": {"$ref": "#/components/headers/ETag"},
        },
        "content": {_GEOJSON: {"schema": {"$ref": "#/components/schemas/Feature"}}, _JSON: {"schema": ids}},
    }


def _now(ctx: Context) -> Document:
    return {
        "description": ctx.say("更改后的要素", "The feature as it is now"),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in ("ETag", "Content-Crs")},
        "content": {_GEOJSON: {"schema": {"$ref": "#/components/schemas/Feature"}}},
    }
