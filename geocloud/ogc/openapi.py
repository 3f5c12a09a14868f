# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.0 definition, whole in one document: no reference leaves it.

Paths are templated and the collection ids are one enum, so that it stays small and quick with thousands of collections.
"""

from __future__ import annotations

from geocloud import __version__
from geocloud.ogc import (
    openapi_aggregate,
    openapi_archives,
    openapi_changes,
    openapi_dggs,
    openapi_edit,
    openapi_h3,
    openapi_map,
    openapi_measure,
    openapi_processes,
    openapi_qgis,
    openapi_responsible,
    openapi_search,
    openapi_sectors,
    openapi_sensing,
    openapi_stamps,
    openapi_styles,
    openapi_tiles,
    openapi_versions,
)
from geocloud.ogc.context import CRS84, CRS_URIS, STORAGE_CRS, Context, Document
from geocloud.ogc.openapi_schemas import schemas

__all__ = ["openapi"]

_PROBLEM = "application/problem+json"


# Bytes that a character takes in an address at the most: four of UTF-8, each as %XX.
_ESCAPED = 12


def openapi(ctx: Context) -> Document:
    """The definition of this API for the catalogue as it is, in the request's language."""
    say = ctx.say
    definition = {
        "openapi": "3.0.3",
        "info": {
            "title": ctx.service,
            "description": say(
                "按 OGC API - Features 提供的城市时空数据。错误一律为 RFC 9457 problem details。",
                "Spatio-temporal data of a city by OGC API Features. Every error is RFC 9457 problem details.",
            ),
            "version": __version__,
            "license": {"name": "Apache-2.0"},
        },
        "servers": [{"url": ctx.url("").rstrip("/") or "/"}],
        "tags": [
            {"name": "service", "description": say("服务说明", "About the service")},
            {"name": "collections", "description": say("数据集及其结构", "Collections and their structure")},
            {"name": "features", "description": say("要素的查询与下载", "Reading features")},
            {"name": "processes", "description": say("处理与作业", "Processes and jobs")},
            {"name": "dggs", "description": say("网格系统(DGGS)", "Discrete global grids")},
            {"name": "tiles", "description": say("瓦片与变更通知", "Tiles and news of changes")},
        ],
        "paths": _paths(ctx),
        "components": {
            "parameters": _parameters(ctx),
            "headers": _headers(ctx),
            "responses": _errors(ctx),
            "schemas": schemas(ctx),
        },
    }
    return openapi_edit.add_editing(ctx, definition)


def _paths(ctx: Context) -> Document:
    say = ctx.say
    one = "/collections/{collectionId}"
    get = _Operations(ctx)
    return {
        "/": get("getLandingPage", "service", say("首页", "Landing page"), "LandingPage"),
        "/api": get(
            "getApi", "service", say("接口定义", "API definition"), "", "application/vnd.oai.openapi+json;version=3.0"
        ),
        "/conformance": get("getConformance", "service", say("符合的标准", "Conformance declaration"), "Conformance"),
        "/health": get.health(),
        "/collections": get("getCollections", "collections", say("全部数据集", "All collections"), "Collections"),
        one: get("getCollection", "collections", say("一个数据集", "One collection"), "Collection"),
        f"{one}/queryables": get(
            "getQueryables", "collections", say("可查询字段", "Queryables"), "JsonSchema", "application/schema+json"
        ),
        f"{one}/sortables": get(
            "getSortables", "collections", say("可排序字段", "Sortables"), "JsonSchema", "application/schema+json"
        ),
        f"{one}/schema": get(
            "getSchema", "collections", say("数据结构", "Schema"), "JsonSchema", "application/schema+json"
        ),
        f"{one}/items": get.items(),
        f"{one}/items/{{featureId}}": get.item(),
        **openapi_aggregate.paths(ctx),
        **openapi_archives.paths(ctx),
        **openapi_changes.paths(ctx),
        **openapi_versions.paths(ctx),
        **openapi_map.paths(ctx),
        **openapi_measure.paths(ctx),
        **openapi_h3.paths(ctx),
        **openapi_dggs.paths(ctx),
        **openapi_processes.paths(ctx),
        **openapi_qgis.paths(ctx),
        **openapi_responsible.paths(ctx),
        **openapi_search.paths(ctx),
        **openapi_sectors.paths(ctx),
        **openapi_sensing.paths(ctx),
        **openapi_stamps.paths(ctx),
        **openapi_styles.paths(ctx),
        **openapi_tiles.paths(ctx),
    }


class _Operations:
    """Makes GET operations that share parameters and errors."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def __call__(
        self, operation: str, tag: str, summary: str, schema: str, media_type: str = "application/json"
    ) -> Document:
        content = {"schema": _ref("schemas", schema) if schema else {"type": "object"}}
        below = tag == "collections" and operation != "getCollections"
        return {
            "get": {
                "operationId": operation,
                "tags": [tag],
                "summary": summary,
                "parameters": [_ref("parameters", n) for n in ([*(["collectionId"] if below else []), "f", "lang"])],
                "responses": self._responses({media_type: content, **_html()}, missing=below),
            }
        }

    def health(self) -> Document:
        content = {"application/json": {"schema": _ref("schemas", "Health")}}
        return {
            "get": {
                "operationId": "getHealth",
                "tags": ["service"],
                "summary": self._ctx.say("服务与数据库是否应答", "Whether server and database answer"),
                "parameters": [_ref("parameters", "f"), _ref("parameters", "lang")],
                "responses": {
                    "200": {"description": self._ctx.say("正常", "They do"), "content": content},
                    "503": _ref("responses", "Problem"),
                    "default": _ref("responses", "Problem"),
                },
            }
        }

    def items(self) -> Document:
        say = self._ctx.say
        names = (
            "collectionId limit offset token bbox bbox-crs crs datetime asof filter filter-lang filter-crs properties "
            "sortby f-items lang"
        )
        content = {
            "application/geo+json": {"schema": _ref("schemas", "FeatureCollection")},
            "text/csv": {"schema": {"type": "string"}},
            **_html(),
        }
        return {
            "get": {
                "operationId": "getItems",
                "tags": ["features"],
                "summary": say("查询要素", "Features of a collection"),
                "description": say(
                    "不带 `datetime` 时返回当前有效的要素。逐页读取请沿 `next` 链接前进，不要自行拼接 `offset`。"
                    "`numberMatched` 若给出则为准确值，过大时省略。",
                    "Without `datetime`, features valid now. To read page by page follow the `next` link instead of "
                    "computing `offset`. `numberMatched` is exact where given and left out where it is too large.",
                ),
                "parameters": [*(_ref("parameters", n) for n in names.split()), *_by_property(self._ctx)],
                "responses": self._responses(content, missing=True, crs=True),
            }
        }

    def item(self) -> Document:
        content = {"application/geo+json": {"schema": _ref("schemas", "Feature")}, **_html()}
        names = ("collectionId", "featureId", "crs", "datetime", "asof", "properties", "f", "lang")
        return {
            "get": {
                "operationId": "getItem",
                "tags": ["features"],
                "summary": self._ctx.say("一个要素", "One feature"),
                "parameters": [_ref("parameters", n) for n in names],
                "responses": self._responses(content, missing=True, crs=True),
            }
        }

    def _responses(self, content: Document, *, missing: bool, crs: bool = False) -> Document:
        headers = ["ETag", "Content-Language", *(["Content-Crs"] if crs else [])]
        responses: Document = {
            "200": {
                "description": self._ctx.say("成功", "Success"),
                "headers": {name: _ref("headers", name) for name in headers},
                "content": content,
            },
            "304": {"description": self._ctx.say("与 If-None-Match 所示版本相同", "Unchanged since If-None-Match")},
            "400": _ref("responses", "BadRequest"),
        }
        if missing:
            responses["404"] = _ref("responses", "NotFound")
        return responses | {
            "406": _ref("responses", "NotAcceptable"),
            "414": _ref("responses", "UriTooLong"),
            "default": _ref("responses", "Problem"),
        }


def _parameters(ctx: Context) -> Document:
    say, web = ctx.say, ctx.settings.web
    ids = list(ctx.catalogue.layers)
    crs: Document = {"type": "string", "format": "uri", "enum": list(CRS_URIS), "default": CRS84}
    listed: Document = {"style": "form", "explode": False}

    def query(name: str, zh: str, en: str, schema: Document, **more: object) -> Document:
        return {"name": name, "in": "query", "required": False, "description": say(zh, en), "schema": schema, **more}

    return {
        "collectionId": {
            "name": "collectionId",
            "in": "path",
            "required": True,
            "description": say("数据集标识", "Id of a collection"),
            "schema": {"type": "string", **({"enum": ids} if ids else {})},
        },
        "featureId": {
            "name": "featureId",
            "in": "path",
            "required": True,
            "description": say("要素编号（fid）", "Id of a feature (fid)"),
            "schema": {"type": "integer", "format": "int64"},
        },
        "f": query(
            "f",
            "返回格式，优先于 Accept 请求头",
            "Format of the answer; goes before the Accept header",
            {"type": "string", "enum": ["json", "html"]},
        ),
        "f-items": query(
            "f",
            "返回格式，优先于 Accept 请求头",
            "Format of the answer; goes before the Accept header",
            {"type": "string", "enum": ["json", "html", "csv"]},
        ),
        "lang": query(
            "lang",
            "标题、说明与错误信息的语言，优先于 Accept-Language 请求头",
            "Language of titles, descriptions and errors; goes before the Accept-Language header",
            {"type": "string", "enum": ["zh", "en"]},
        ),
        "limit": query(
            "limit",
            f"每页要素数；大于 {web.page_max} 时按 {web.page_max} 返回",
            f"Features on a page; more than {web.page_max} is answered with {web.page_max}",
            {"type": "integer", "minimum": 1, "maximum": web.page_max, "default": web.page_default},
        ),
        "offset": query(
            "offset",
            f"跳过的要素数，最多 {web.offset_max}；更深处请沿 `next` 链接读取",
            f"Features to skip, at most {web.offset_max}; deeper pages are reached by the `next` link",
            {"type": "integer", "minimum": 0, "maximum": web.offset_max, "default": 0},
        ),
        "token": query(
            "token",
            "`next` 链接中的翻页标记，由服务器签发，请勿修改",
            "The place of a page, made and signed by the server in `next` links; not to be written by hand",
            {"type": "string", "minLength": 1},
        ),
        "bbox": query(
            "bbox",
            "只取与此范围相交的要素：最小与最大坐标，4 个或 6 个数，坐标轴顺序随 `bbox-crs`（默认经度在前）",
            "Only features that intersect this box: 4 or 6 numbers, lower then upper corner, in the axis order of "
            "`bbox-crs` (longitude first by default)",
            {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6},
            **listed,
        ),
        "bbox-crs": query("bbox-crs", "`bbox` 的坐标参考系", "CRS of `bbox`", crs),
        "crs": query(
            "crs",
            f"返回几何的坐标参考系与坐标轴顺序（存储为 {STORAGE_CRS}）",
            f"CRS and axis order of the geometries in the answer (stored in {STORAGE_CRS})",
            crs,
        ),
        "filter-crs": query("filter-crs", "`filter` 中几何的坐标参考系", "CRS of geometries in `filter`", crs),
        "datetime": query(
            "datetime",
            "有效时间：RFC 3339 时刻，或以 `/` 分隔、可用 `..` 表示开放端的区间",
            "Valid time: an RFC 3339 instant, or an interval with `/` whose open end is `..`",
            {"type": "string", "minLength": 1, "example": "2026-01-01T00:00:00+08:00/.."},
        ),
        "asof": query(
            "asof",
            "事务时间：按该时刻（日期则为北京时间当日结束时）数据库的记录回答；省略 `datetime` 时亦取该时刻的状态",
            "Transaction time: answer with what was believed at that instant, or when that day ended in Beijing; "
            "without `datetime`, as it was believed to be then",
            {"type": "string", "minLength": 1, "example": "2026-01-01T00:00:00+08:00"},
        ),
        "filter": query(
            "filter",
            "CQL2 过滤条件，可用字段见 /queryables",
            "A CQL2 filter on the properties listed by /queryables",
            {"type": "string", "minLength": 1, "maxLength": min(web.filter_chars_max, web.url_max // _ESCAPED)},
        ),
        "filter-lang": query(
            "filter-lang",
            "`filter` 的写法",
            "The language `filter` is written in",
            {"type": "string", "enum": ["cql2-text", "cql2-json", "cql-text"], "default": "cql2-text"},
        ),
        "properties": query(
            "properties",
            "只返回这些字段",
            "Only these properties in the answer",
            {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            **listed,
        ),
        "sortby": query(
            "sortby",
            "排序字段，前缀 `-` 为降序，可用字段见 /sortables",
            "Properties to sort by, `-` before a name for descending, as listed by /sortables",
            {
                "type": "array",
                "items": {"type": "string", "pattern": "^[+-]?[a-z][a-z0-9_]*$"},
                "minItems": 1,
                "maxItems": web.sortby_max,
            },
            **listed,
        ),
    }


def _by_property(ctx: Context) -> list[Document]:
    """`name=value` for every queryable there is: GDAL sends a filter only for properties it finds here by name."""
    kinds: dict[str, set[str]] = {}
    for layer in ctx.catalogue.layers.values():
        for f in layer.spec.queryables:
            kinds.setdefault(f.name, set()).add(f.type)
    words = ctx.say("该字段等于此值(限有此字段的数据集)", "The property equals the value, in collections that have it")
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": words,
            "schema": {"type": next(iter(types)) if types in ({"integer"}, {"number"}, {"boolean"}) else "string"},
            "x-by-property": True,
        }
        for name, types in sorted(kinds.items())
    ]


def _headers(ctx: Context) -> Document:
    text = {"type": "string"}
    return {
        "ETag": {"description": ctx.say("内容版本", "Version of the answer"), "schema": text},
        "Content-Language": {"description": ctx.say("语言", "Language of the answer"), "schema": text},
        "Content-Crs": {
            "description": ctx.say("几何的坐标参考系", "CRS of the geometries, in angle brackets"),
            "schema": text,
        },
    }


def _errors(ctx: Context) -> Document:
    say = ctx.say
    words = {
        "BadRequest": say(
            "参数有误，说明中指出参数名与允许的取值", "A parameter is wrong; its name and what is allowed are told"
        ),
        "NotFound": say("没有该数据集或要素", "No such collection or feature"),
        "NotAcceptable": say("不提供所要的格式", "None of the formats asked for is offered"),
        "UriTooLong": say("请求地址过长", "The request's address is too long"),
        "Problem": say("其他错误", "Any other error"),
    }
    content = {_PROBLEM: {"schema": _ref("schemas", "Problem")}, **_html()}
    return {name: {"description": text, "content": content} for name, text in words.items()}


def _html() -> Document:
    return {"text/html": {"schema": {"type": "string"}}}


def _ref(kind: str, name: str) -> Document:
    return {"$ref": f"#/components/{kind}/{name}"}
