# SPDX-License-Identifier: Apache-2.0
"""`/measure`: length and area on the ellipsoid; `/collections/{id}/summary`: what the matching features come to."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.features.drawn import AREAS, LINES, read_drawn
from geocloud.features.literals import invalid
from geocloud.features.params import unknown_property
from geocloud.features.request import PAGE_PARAMETERS, read_question, unknown_parameter
from geocloud.features.summary import Group, Summary, measure_of, summarise, within
from geocloud.geodesy.area import SQUARE_METRES_PER_MU, areas, lengths
from geocloud.ogc import Context, Document
from geocloud.ogc.context import collection_path, link
from geocloud.web.answer import Answer, etag_of, is_match
from geocloud.web.ask import Ask
from geocloud.web.items import said_in, validator
from geocloud.web.service import Service

__all__ = ["ROUTES", "SUMMARY_PARAMETERS"]

_JSON = "application/json"
# What `/items` takes to choose features, and how they are added up.
_CHOICE = tuple(p for p in PAGE_PARAMETERS if p not in ("limit", "offset", "token", "crs", "properties", "sortby"))
SUMMARY_PARAMETERS = (*_CHOICE, "geometry", "by")


async def _measure(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    """Length of a line, area and perimeter of a polygon; edges are geodesics of the CGCS2000 ellipsoid."""
    allowed = ("geometry", "f", "lang")
    seen: set[str] = set()
    for name, _ in ask.pairs:
        if name not in allowed:
            raise unknown_parameter(name, allowed)
        _once(name, seen)
    ask.format(("json",))
    ctx = service.context(ask)
    kinds = (*LINES, *AREAS)
    drawn = read_drawn(ask.parameter("geometry"), kinds, service.settings.web.geometry_chars_max)
    one = np.array([drawn], dtype=object)
    document: Document = {
        "type": drawn.geom_type,
        "length_m": float(lengths(one)[0]),
        "ellipsoid": {"name": "CGCS2000", "semi_major_axis_m": 6378137.0, "inverse_flattening": 298.257222101},
        "crs": ctx.say("经纬度按 CGCS2000（EPSG:4490）", "Longitude and latitude as CGCS2000 (EPSG:4490)"),
    }
    if drawn.geom_type in AREAS:
        area = float(areas(one)[0])
        document |= {"area_m2": area, "area_ha": area / 10_000, "area_mu": area / SQUARE_METRES_PER_MU}
    body = orjson.dumps(document)
    return Answer(body, _JSON, headers=[said_in(ctx)], etag=etag_of(body))


async def _summary(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """How many features match, by class, and their area or length inside the drawn polygon."""
    layer = service.catalogue.layer(params["collection"])
    language = ask.language(service.settings.web)
    etag = validator(service, ask, layer, ask.format(("json",)), language)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    web = service.settings.web
    seen: set[str] = set()
    for name, _ in ask.pairs:
        if name not in (*SUMMARY_PARAMETERS, "f", "lang") and name not in layer.spec.queryable_names:
            raise unknown_parameter(name, [*SUMMARY_PARAMETERS, "f", "lang", *sorted(layer.spec.queryable_names)])
        _once(name, seen)
    by = _class_field(ask.parameter("by"), layer)
    chosen = [(k, v) for k, v in ask.pairs if k not in ("geometry", "by", "f", "lang")]
    query = read_question(chosen, layer, "json", web, service.tokens).query
    text = ask.parameter("geometry")
    area: Any = None
    if text is not None:
        area = read_drawn(text, AREAS, web.geometry_chars_max)
        query = within(query, area)
    found = await summarise(service.reader, query, by, area, web.summary_classes_max)
    ctx = service.context(ask)
    document = _document(ctx, layer, by, found, measure_of(query))
    return Answer(orjson.dumps(document), _JSON, headers=[said_in(ctx)], etag=etag, token=layer)


def _document(ctx: Context, layer: Layer, by: FieldSpec | None, found: Summary, measure: str | None) -> Document:
    document: Document = {"collection": layer.id, "title": ctx.text(layer.title), "count": found.count}
    if measure:
        document[measure] = found.amount or 0.0
    if layer.synthetic:
        document["synthetic"] = True
    if by is not None:
        known = layer.codes.get(by.codes) if by.codes else None
        titles = known.titles() if known else {}
        document["by"] = {"name": by.name, "title": ctx.text(by.title)}
        document["classes"] = [
            {
                "code": g.code,
                "title": ctx.text(titles[g.code]) if g.code in titles else _untitled(ctx, g),
                **_amounts(g, measure),
            }
            for g in found.groups
        ]
        if found.rest is not None:
            document["others"] = {"classes": found.others, **_amounts(found.rest, measure)}
    items = ctx.url(collection_path(layer.id, "items"))
    document["links"] = [link(items, "items", "application/geo+json", ctx.text(layer.title))]
    return document


def _untitled(ctx: Context, group: Group) -> str:
    return ctx.say("未填写", "Not given") if group.code is None else group.code


def _amounts(group: Group, measure: str | None) -> Document:
    return {"count": group.count} | ({measure: group.amount or 0.0} if measure else {})


def _class_field(name: str | None, layer: Layer) -> FieldSpec | None:
    """The field `by` names, else the one the layer is coloured by; no field without either."""
    wanted = layer.spec.style.color_by if name is None else name
    if not wanted:
        return None
    for field in layer.spec.queryables:
        if field.name == wanted:
            return field
    if name is None:
        return None
    raise unknown_property(name, layer, "by")


def _once(name: str, seen: set[str]) -> None:
    if name in seen:
        raise invalid(name, f"`{name}` is given more than once.", f"参数 {name} 重复出现。")
    seen.add(name)


ROUTES = [("/measure", _measure), ("/collections/{collection}/summary", _summary)]
