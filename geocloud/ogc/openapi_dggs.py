# SPDX-License-Identifier: Apache-2.0
"""API definition of grids, zones and figures by zone (OGC API - DGGS, OGC 21-038r1)."""

from __future__ import annotations

from geocloud.grids.dggs import DGGS
from geocloud.ogc.context import Context, Document
from geocloud.ogc.openapi_aggregate import measure_parameter

__all__ = ["paths"]

_JSON, _GEOJSON = "application/json", "application/geo+json"
_CHOICE = ("datetime", "asof", "filter", "filter-lang", "filter-crs")
_LAST = max(d.last for d in DGGS.values())
_ANY: Document = {"type": "array", "items": {"type": "object"}}
_COUNT: Document = {"type": "integer", "minimum": 0}
_FIGURES: Document = {"type": "array", "items": {"type": "number", "nullable": True}}
_TEXTS: Document = {"type": "array", "items": {"type": "string"}}


def paths(ctx: Context) -> Document:
    """All paths below `/dggs` and `/collections/{collectionId}/dggs`."""
    say = ctx.say
    root, of = "/dggs", "/collections/{collectionId}/dggs"
    out: Document = {}
    for base, suffix, collection in ((root, "", False), (of, "Of", True)):
        out[base] = _get(ctx, f"getDggrsList{suffix}", say("网格系统", "Grids"), _listed(), (), collection, plain=True)
        out[f"{base}/{{dggrsId}}"] = _get(
            ctx, f"getDggrs{suffix}", say("一个网格系统", "A grid"), _grid(), ("dggrsId",), collection, plain=True
        )
        out[f"{base}/{{dggrsId}}/zones"] = _get(
            ctx,
            f"getDggrsZones{suffix}",
            say("查询网格", "Zones of a box or of a zone")
            if not collection
            else say("有要素的网格", "Zones that features of the collection lie in"),
            _zones(),
            ("dggrsId", "zone-level", "parent-zone", "compact-zones", "zones-limit", "zones-bbox"),
            collection,
            chosen=collection,
        )
        out[f"{base}/{{dggrsId}}/zones/{{zoneId}}"] = _get(
            ctx, f"getDggrsZone{suffix}", say("一个网格", "A zone"), _zone(), ("dggrsId", "zoneId"), collection
        )
    out[f"{of}/{{dggrsId}}/zones/{{zoneId}}/data"] = _get(
        ctx,
        "getDggrsZoneData",
        say("网格及其下级网格的汇总值", "Features added up in a zone and its sub-zones (DGGS-JSON)"),
        _data(),
        ("dggrsId", "zoneId", "zone-depth", "measure"),
        collection=True,
        chosen=True,
    )
    out[f"{of}/{{dggrsId}}/data"] = _get(
        ctx,
        "getDggrsBoxData",
        say("范围内各网格的汇总值", "Features added up by the zones of a box"),
        _box_data(),
        ("dggrsId", "zone-level", "zones-bbox", "measure"),
        collection=True,
        chosen=True,
    )
    return out


def _get(
    ctx: Context,
    operation: str,
    summary: str,
    schema: Document,
    names: tuple[str, ...],
    collection: bool,
    *,
    chosen: bool = False,
    plain: bool = False,
) -> Document:
    own = {**_parameters(ctx), "measure": measure_parameter(ctx)}
    parameters: list[Document] = [{"$ref": "#/components/parameters/collectionId"}] if collection else []
    parameters += [own[n] for n in names]
    parameters += [{"$ref": f"#/components/parameters/{n}"} for n in ((*_CHOICE, "lang") if chosen else ("lang",))]
    parameters.append(
        {
            "name": "f",
            "in": "query",
            "required": False,
            "description": ctx.say("返回格式", "Format of the answer"),
            "schema": {"type": "string", "enum": ["json"] if plain else ["json", "geojson"]},
        }
    )
    content: Document = {_JSON: {"schema": schema}}
    if not plain:
        content[_GEOJSON] = {"schema": _features()}
    return {
        "get": {
            "operationId": operation,
            "tags": ["dggs"],
            "summary": summary,
            "parameters": parameters,
            "responses": {
                "200": {
                    "description": ctx.say("成功", "Success"),
                    "headers": {n: {"$ref": f"#/components/headers/{n}"} for n in ("ETag", "Content-Language")},
                    "content": content,
                },
                "400": {"$ref": "#/components/responses/BadRequest"},
                "404": {"$ref": "#/components/responses/NotFound"},
                "406": {"$ref": "#/components/responses/NotAcceptable"},
                "413": {"$ref": "#/components/responses/Problem"},
                "414": {"$ref": "#/components/responses/UriTooLong"},
                "default": {"$ref": "#/components/responses/Problem"},
            },
        }
    }


def _parameters(ctx: Context) -> dict[str, Document]:
    say, web = ctx.say, ctx.settings.web

    def query(name: str, zh: str, en: str, schema: Document, **more: object) -> Document:
        return {"name": name, "in": "query", "required": False, "description": say(zh, en), "schema": schema, **more}

    def path(name: str, zh: str, en: str, schema: Document) -> Document:
        return {"name": name, "in": "path", "required": True, "description": say(zh, en), "schema": schema}

    return {
        "dggrsId": path("dggrsId", "网格系统标识", "Id of a grid", {"type": "string", "enum": list(DGGS)}),
        "zoneId": path("zoneId", "网格编码", "Code of a zone", {"type": "string", "pattern": "^[0-9A-Za-z]{1,20}$"}),
        "zone-level": query(
            "zone-level",
            "网格级别:beidou 为 1 至 10,h3 为 0 至 15;不给时自动选取",
            "Level: 1 to 10 of beidou, 0 to 15 of h3; one that gives at most 1,000 zones when not given",
            {"type": "integer", "minimum": 0, "maximum": _LAST},
        ),
        "parent-zone": query(
            "parent-zone", "只取此网格的下级", "Only zones within this one", {"type": "string", "minLength": 1}
        ),
        "compact-zones": query(
            "compact-zones",
            "下级齐全时以上级代替",
            "A zone in place of all of its sub-zones",
            {"type": "boolean", "default": True},
        ),
        "zones-limit": query(
            "limit",
            "返回的网格数上限",
            "Most zones in the answer",
            {"type": "integer", "minimum": 1, "maximum": web.dggs_zones_max},
        ),
        "zones-bbox": query(
            "bbox",
            "只取与此范围相交的网格:西、南、东、北",
            "Only zones that meet this box: west, south, east, north",
            {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6},
            style="form",
            explode=False,
        ),
        "zone-depth": query(
            "zone-depth",
            "向下的级数:一个数、范围 0-2 或多个 0,2;默认 1",
            "Levels below the zone: a number, a range as 0-2, or several as 0,2; 1 when not given",
            {"type": "string", "pattern": r"^(\d{1,2}-\d{1,2}|\d{1,2}(,\d{1,2})*)$"},
        ),
    }


def _object(required: list[str], **properties: Document) -> Document:
    return {"type": "object", "required": required, "properties": properties}


def _listed() -> Document:
    return _object(["dggrs", "links"], dggrs=_ANY, links=_ANY)


def _grid() -> Document:
    return _object(
        ["id", "title", "defaultDepth", "links"],
        id={"type": "string", "enum": list(DGGS)},
        title={"type": "string"},
        defaultDepth=_COUNT,
        maxRefinementLevel=_COUNT,
        links=_ANY,
        linkTemplates=_ANY,
    )


def _zones() -> Document:
    return _object(
        ["zones", "zoneLevel", "numberMatched", "numberReturned", "links"],
        zones=_TEXTS,
        zoneLevel=_COUNT,
        compactZones={"type": "boolean"},
        numberMatched=_COUNT,
        numberReturned=_COUNT,
        links=_ANY,
    )


def _zone() -> Document:
    numbers: Document = {"type": "array", "items": {"type": "number"}}
    return _object(
        ["id", "level", "centroid", "bbox", "geometry", "areaMetersSquare", "links"],
        id={"type": "string"},
        level=_COUNT,
        shapeType={"type": "string"},
        centroid={**numbers, "minItems": 2, "maxItems": 2},
        bbox={**numbers, "minItems": 4, "maxItems": 4},
        geometry={"type": "object"},
        areaMetersSquare={"type": "number", "minimum": 0},
        parents=_TEXTS,
        children=_TEXTS,
        neighbors=_TEXTS,
        links=_ANY,
    )


def _data() -> Document:
    value = _object(
        ["depth", "shape", "data"],
        depth=_COUNT,
        shape=_object(["count", "subZones"], count=_COUNT, subZones=_COUNT),
        data=_FIGURES,
    )
    return _object(
        ["dggrs", "zoneId", "depths", "schema", "values"],
        dggrs={"type": "string"},
        zoneId={"type": "string"},
        depths={"type": "array", "items": _COUNT},
        schema=_object(["properties"], properties={"type": "object", "additionalProperties": {"type": "object"}}),
        values={"type": "object", "additionalProperties": {"type": "array", "items": value}},
        synthetic={"type": "boolean"},
        links=_ANY,
    )


def _box_data() -> Document:
    return _object(
        ["dggrs", "zoneLevel", "schema", "zones", "values"],
        dggrs={"type": "string"},
        zoneLevel=_COUNT,
        zones=_TEXTS,
        schema=_object(["properties"], properties={"type": "object", "additionalProperties": {"type": "object"}}),
        values={"type": "object", "additionalProperties": _FIGURES},
        count={"type": "number", "minimum": 0},
        withoutPosition=_COUNT,
        synthetic={"type": "boolean"},
        links=_ANY,
    )


def _features() -> Document:
    return _object(
        ["type", "features", "numberReturned"],
        type={"type": "string", "enum": ["FeatureCollection"]},
        numberMatched=_COUNT,
        numberReturned=_COUNT,
        features=_ANY,
    )
