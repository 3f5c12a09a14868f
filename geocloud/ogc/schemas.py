# SPDX-License-Identifier: Apache-2.0
"""Queryables, sortables and the schema of a collection (OGC API Features parts 3 and 5) as JSON Schema."""

from __future__ import annotations

from typing import Any

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.ogc.context import Context, Document, collection_path

__all__ = ["GEOMETRY", "queryables", "schema", "sortables"]

# Name of the geometry in filters and in the schema.
GEOMETRY = "geom"
_JSON_TYPES: dict[str, Document] = {
    "text": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
}
# OGC API Features part 5, table of `format` values for geometries.
_GEOMETRY_FORMATS = {
    "point": "geometry-point",
    "multipoint": "geometry-multipoint",
    "linestring": "geometry-linestring",
    "multilinestring": "geometry-multilinestring",
    "polygon": "geometry-polygon",
    "multipolygon": "geometry-multipolygon",
    "geometry": "geometry-any",
}


def queryables(ctx: Context, collection_id: str) -> Document:
    """What a filter may name; hidden and unqueryable fields are not in it. Raises UnknownCollection."""
    layer = ctx.catalogue.layer(collection_id)
    properties = _geometry(ctx, layer)
    for f in layer.spec.queryables:
        properties[f.name] = _property(ctx, layer, f)
    properties |= _times(ctx)
    return _document(ctx, layer, "queryables", properties)


def sortables(ctx: Context, collection_id: str) -> Document:
    """What `sortby` may name. Raises UnknownCollection."""
    layer = ctx.catalogue.layer(collection_id)
    properties = {f.name: _plain(ctx, f) for f in layer.spec.queryables}
    return _document(ctx, layer, "sortables", properties)


def schema(ctx: Context, collection_id: str) -> Document:
    """The features' schema: every served property with label, unit, code list and role. Raises UnknownCollection."""
    layer = ctx.catalogue.layer(collection_id)
    properties: dict[str, Document] = {}
    if "id" not in {f.name for f in layer.spec.fields}:
        # Named as GeoJSON's member: QGIS makes a field of every property and fills this one from there.
        title = ctx.say("要素编号", "Feature id")
        properties["id"] = {"title": title, "type": "integer", "x-ogc-role": "id", "readOnly": True}
    properties |= _geometry(ctx, layer)
    for f in layer.spec.visible_fields:
        properties[f.name] = _property(ctx, layer, f)
    for place, entry in enumerate(properties.values(), 1):
        entry["x-ogc-propertySeq"] = place
    document = _document(ctx, layer, "schema", properties)
    required = [f.name for f in layer.spec.visible_fields if f.required or f.name in layer.spec.key]
    if required:
        document["required"] = required
    return document


def _document(ctx: Context, layer: Layer, name: str, properties: dict[str, Document]) -> Document:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ctx.url(collection_path(layer.id, name)),
        "type": "object",
        "title": ctx.text(layer.title),
        "description": ctx.text(layer.spec.description),
        "properties": properties,
        "additionalProperties": False,
    }


def _geometry(ctx: Context, layer: Layer) -> dict[str, Document]:
    if layer.spec.geometry == "none":
        return {}
    return {
        GEOMETRY: {
            "title": ctx.say("几何图形", "Geometry"),
            "format": _GEOMETRY_FORMATS[layer.spec.geometry],
            "x-ogc-role": "primary-geometry",
        }
    }


def _times(ctx: Context) -> dict[str, Document]:
    return {
        "valid_from": {
            "title": ctx.say("有效起始时间", "Valid from"),
            "type": "string",
            "format": "date-time",
            "x-ogc-role": "primary-interval-start",
        },
        "valid_to": {
            "title": ctx.say("有效终止时间", "Valid to"),
            "type": "string",
            "format": "date-time",
            "x-ogc-role": "primary-interval-end",
        },
    }


def _plain(ctx: Context, f: FieldSpec) -> Document:
    entry: Document = {"title": ctx.text(f.title), **_JSON_TYPES[f.type]}
    if f.description:
        entry["description"] = ctx.text(f.description)
    return entry


def _property(ctx: Context, layer: Layer, f: FieldSpec) -> Document:
    entry = _plain(ctx, f)
    if f.unit:
        entry |= {"x-ogc-unit": f.unit, "x-ogc-unitLang": "UCUM"}
    limits: dict[str, Any] = {"minimum": f.minimum, "maximum": f.maximum, "maxLength": f.max_length}
    # JSON Schema's patterns match anywhere, ours the whole text.
    limits["pattern"] = f"^(?:{f.pattern})$" if f.pattern else None
    entry |= {name: value for name, value in limits.items() if value is not None}
    code_list = layer.codes.get(f.codes) if f.codes else None
    if code_list:
        known = [{"const": _typed(f, c.code), "title": ctx.text(c.title)} for c in code_list.codes]
        # A list that is not closed says what codes mean, not which are allowed.
        entry |= {"oneOf": known} if code_list.closed else {"anyOf": [*known, dict(_JSON_TYPES[f.type])]}
        entry["x-codelist"] = {"name": code_list.name, "title": ctx.text(code_list.title), "source": code_list.source}
    return entry


def _typed(f: FieldSpec, code: str) -> Any:
    return int(code) if f.type == "integer" else float(code) if f.type == "number" else code
