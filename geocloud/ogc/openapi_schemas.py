# SPDX-License-Identifier: Apache-2.0
"""Schemas of the answers in the OpenAPI definition (OpenAPI 3.0's dialect of JSON Schema)."""

from __future__ import annotations

from geocloud.ogc.context import Context, Document

__all__ = ["schemas"]

_STRING: Document = {"type": "string"}
_URI: Document = {"type": "string", "format": "uri-reference"}
# Depth of nesting of `coordinates` above a position (RFC 7946, 3.1).
_COORDINATES = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}


def schemas(ctx: Context) -> Document:
    """All schemas by name."""
    links = {"type": "array", "items": _ref("Link")}
    strings = {"type": "array", "items": _STRING}
    return {
        "Link": _object(
            {"href": _URI, "rel": _STRING, "type": _STRING, "title": _STRING, "hreflang": _STRING}, "href", "rel"
        ),
        "LandingPage": _object(
            {"title": _STRING, "description": _STRING, "language": _STRING, "links": links}, "title", "links"
        ),
        "Conformance": _object(
            {"conformsTo": {"type": "array", "items": {"type": "string", "format": "uri"}}, "links": links},
            "conformsTo",
        ),
        "Collections": _object(
            {
                "links": links,
                "crs": strings,
                "numberMatched": _count(),
                "numberReturned": _count(),
                "collections": {"type": "array", "items": _ref("Collection")},
            },
            "links",
            "collections",
        ),
        "Collection": _object(
            {
                "id": _STRING,
                "title": _STRING,
                "description": _STRING,
                "keywords": strings,
                "language": _STRING,
                "itemType": {"type": "string", "enum": ["feature"]},
                "theme": _STRING,
                "kind": _STRING,
                "geometryType": _STRING,
                "synthetic": {"type": "boolean", "description": ctx.say("含示例数据", "Holds generated sample data")},
                "extent": _extent(),
                "itemCount": _count(),
                "updated": {"type": "string", "format": "date-time"},
                "license": _STRING,
                "attribution": _STRING,
                "sources": {"type": "array", "items": _ref("Source")},
                "crs": strings,
                "storageCrs": _STRING,
                "links": links,
            },
            "id",
            "title",
            "links",
        ),
        "Source": _object(
            {"title": _STRING, "license": _STRING, "url": _URI, "synthetic": {"type": "boolean"}}, "title", "license"
        ),
        "JsonSchema": _object(
            {
                "$schema": _STRING,
                "$id": _URI,
                "type": {"type": "string", "enum": ["object"]},
                "title": _STRING,
                "properties": {"type": "object", "additionalProperties": {"type": "object"}},
            },
            "$schema",
            "$id",
            "type",
            "properties",
        ),
        "FeatureCollection": _object(
            {
                "type": {"type": "string", "enum": ["FeatureCollection"]},
                "features": {"type": "array", "items": _ref("Feature")},
                "numberMatched": _count(),
                "numberReturned": _count(),
                "timeStamp": {"type": "string", "format": "date-time"},
                "links": links,
            },
            "type",
            "features",
            "links",
        ),
        "Feature": _object(
            {
                "type": {"type": "string", "enum": ["Feature"]},
                "id": {"type": "integer", "format": "int64"},
                "geometry": _ref("Geometry"),
                "properties": {"type": "object", "nullable": True},
                "links": links,
            },
            "type",
            "id",
            "geometry",
            "properties",
        ),
        "Geometry": {
            "nullable": True,
            "anyOf": [
                *(_geometry(name, depth) for name, depth in _COORDINATES.items()),
                _object(
                    {
                        "type": {"type": "string", "enum": ["GeometryCollection"]},
                        "geometries": {"type": "array", "items": _ref("Geometry")},
                    },
                    "type",
                    "geometries",
                ),
            ],
        },
        "Health": _object(
            {"status": {"type": "string", "enum": ["ok"]}, "version": _STRING, "layers": _count()}, "status"
        ),
        "Problem": _object(
            {
                "type": _URI,
                "title": _STRING,
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "detail": _STRING,
                "todo": {"type": "string", "description": ctx.say("怎样继续", "What to do about it")},
                "instance": _URI,
            },
            "title",
            "status",
        ),
    }


def _extent() -> Document:
    box = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}
    moment = {"type": "string", "format": "date-time", "nullable": True}
    interval = {"type": "array", "items": moment, "minItems": 2, "maxItems": 2}
    return _object(
        {
            "spatial": _object({"bbox": {"type": "array", "items": box, "minItems": 1}, "crs": _STRING}),
            "temporal": _object({"interval": {"type": "array", "items": interval, "minItems": 1}, "trs": _STRING}),
        }
    )


def _geometry(name: str, depth: int) -> Document:
    coordinates: Document = {"type": "array", "items": {"type": "number"}, "minItems": 2}
    for _ in range(depth):
        coordinates = {"type": "array", "items": coordinates}
    return _object({"type": {"type": "string", "enum": [name]}, "coordinates": coordinates}, "type", "coordinates")


def _count() -> Document:
    return {"type": "integer", "minimum": 0}


def _object(properties: Document, *required: str) -> Document:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}
