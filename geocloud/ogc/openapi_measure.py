# SPDX-License-Identifier: Apache-2.0
"""API definition of measuring, of summaries and of the dates of a layer."""

from __future__ import annotations

from geocloud.ogc.context import Context, Document

__all__ = ["paths"]

_CHOICE = ("bbox", "bbox-crs", "datetime", "asof", "filter", "filter-lang", "filter-crs")


def paths(ctx: Context) -> Document:
    """`/measure`, and `summary` and `times` of a collection."""
    one = "/collections/{collectionId}"
    return {"/measure": _measure(ctx), f"{one}/summary": _summary(ctx), f"{one}/times": _times(ctx)}


def _measure(ctx: Context) -> Document:
    say = ctx.say
    number: Document = {"type": "number", "minimum": 0}
    schema: Document = {
        "type": "object",
        "required": ["type", "length_m", "ellipsoid"],
        "properties": {
            "type": {"type": "string"},
            "length_m": {**number, "description": say("长度或周长，米", "Length or perimeter in metres")},
            "area_m2": {**number, "description": say("面积，平方米", "Area in square metres")},
            "area_ha": {**number, "description": say("面积，公顷", "Area in hectares")},
            "area_mu": {**number, "description": say("面积，亩", "Area in mu; 15 mu are a hectare")},
            "ellipsoid": {"type": "object"},
            "crs": {"type": "string"},
        },
    }
    return {
        "get": {
            "operationId": "measure",
            "tags": ["features"],
            "summary": say("椭球长度与面积", "Length and area on the ellipsoid"),
            "description": say(
                "边为 CGCS2000 椭球上的大地线。", "Edges are geodesics of the CGCS2000 ellipsoid; nothing is projected."
            ),
            "parameters": [_geometry(ctx, required=True), {"$ref": "#/components/parameters/lang"}],
            "responses": _responses(ctx, schema, missing=False),
        }
    }


def _summary(ctx: Context) -> Document:
    say = ctx.say
    amounts: Document = {
        "count": {"type": "integer", "minimum": 0},
        "area_m2": {"type": "number", "minimum": 0},
        "length_m": {"type": "number", "minimum": 0},
    }
    one: Document = {
        "type": "object",
        "required": ["count"],
        "properties": {"code": {"type": "string", "nullable": True}, "title": {"type": "string"}, **amounts},
    }
    schema: Document = {
        "type": "object",
        "required": ["collection", "count", "links"],
        "properties": {
            "collection": {"type": "string"},
            "title": {"type": "string"},
            **amounts,
            "synthetic": {"type": "boolean"},
            "by": {"type": "object"},
            "classes": {"type": "array", "items": one},
            "others": {"type": "object", "properties": {"classes": {"type": "integer"}, **amounts}},
            "links": {"type": "array", "items": {"type": "object"}},
        },
    }
    by: Document = {
        "name": "by",
        "in": "query",
        "required": False,
        "description": say(
            "分类字段；不给时按图层着色字段", "Field of the classes; the one the layer is coloured by when not given"
        ),
        "schema": {"type": "string", "minLength": 1},
    }
    shared = [{"$ref": f"#/components/parameters/{name}"} for name in ("collectionId", *_CHOICE, "lang")]
    return {
        "get": {
            "operationId": "getSummary",
            "tags": ["features"],
            "summary": say("要素的数量、分类与总量", "Features counted, by class, with their area or length"),
            "description": say(
                "条件与 `/items` 相同，数量与其一致；面积与长度按椭球计算，给出 `geometry` 时只计其内部分。",
                "Chosen as for `/items`, and as many; area and length are ellipsoidal, and cut to `geometry` if given.",
            ),
            "parameters": [*shared, _geometry(ctx, required=False), by],
            "responses": _responses(ctx, schema, missing=True),
        }
    }


def _times(ctx: Context) -> Document:
    say = ctx.say
    day: Document = {"type": "string", "format": "date"}
    count: Document = {"type": "integer", "minimum": 0}
    step: Document = {
        "type": "object",
        "required": ["date", "begins", "ends"],
        "properties": {"date": day, "begins": count, "ends": count},
    }
    schema: Document = {
        "type": "object",
        "required": ["collection", "unit", "from", "to", "steps"],
        "properties": {
            "collection": {"type": "string"},
            "title": {"type": "string"},
            "zone": {"type": "string"},
            "unit": {"type": "string", "enum": ["day", "month", "year"]},
            "from": {**day, "nullable": True},
            "to": {**day, "nullable": True},
            "steps": {"type": "array", "items": step},
        },
    }
    return {
        "get": {
            "operationId": "getTimes",
            "tags": ["features"],
            "summary": say("要素生效与失效的日期", "Dates at which features begin and end"),
            "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in ("collectionId", "lang")],
            "responses": _responses(ctx, schema, missing=True),
        }
    }


def _geometry(ctx: Context, *, required: bool) -> Document:
    return {
        "name": "geometry",
        "in": "query",
        "required": required,
        "description": ctx.say(
            "GeoJSON 几何，经度在前" if required else "GeoJSON 面，经度在前",
            "A GeoJSON geometry, longitude first" if required else "A GeoJSON polygon, longitude first",
        ),
        # ASCII: numbers and names of types; so an address holds what the limit says.
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": ctx.settings.web.geometry_chars_max,
            "pattern": "^[ -~]*$",
        },
    }


def _responses(ctx: Context, schema: Document, *, missing: bool) -> Document:
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in ("ETag", "Content-Language")}
    content = {"application/json": {"schema": schema}}
    found: Document = {
        "200": {"description": ctx.say("成功", "Success"), "headers": headers, "content": content},
        "400": {"$ref": "#/components/responses/BadRequest"},
    }
    if missing:
        found["404"] = {"$ref": "#/components/responses/NotFound"}
    for status, name in (("406", "NotAcceptable"), ("414", "UriTooLong"), ("default", "Problem")):
        found[status] = {"$ref": f"#/components/responses/{name}"}
    return found
