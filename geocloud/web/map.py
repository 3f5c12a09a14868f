# SPDX-License-Identifier: Apache-2.0
"""`/map`, the web map, and `/map/layers`, what it shows: themes, layers, fields and codes in both languages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

import orjson
from jinja2 import Environment, FileSystemLoader

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import CodeList, FieldSpec, Source, Text
from geocloud.features.request import unknown_parameter
from geocloud.ogc import Context, Document
from geocloud.ogc.context import collection_path
from geocloud.ogc.documents import licence_url, rfc3339
from geocloud.ogc.listing import themes
from geocloud.reports.formats import unit
from geocloud.web.answer import Answer, etag_of
from geocloud.web.ask import Ask
from geocloud.web.items import said_in
from geocloud.web.service import Service

__all__ = ["ROUTES", "layers_document"]

Handler = Callable[[Service, Ask, dict[str, str]], Awaitable[Answer]]

_STATIC = Path(__file__).parent / "static"
# What pages may do, and beside it a worker from this host, which cuts tiles into triangles, and pictures made here.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; worker-src 'self' blob:; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors"
)


async def _page(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    _only_format_and_language(ask)
    ask.format(("html",))
    service.expect_search()
    ctx = service.context(ask)
    city = service.settings.city
    missing = not (_STATIC / "vendor/maplibre-gl/maplibre-gl.mjs").is_file()
    body = (
        _environment()
        .get_template("map.html")
        .render(
            ctx=ctx,
            _=ctx.say,
            static=ctx.path("/static"),
            zh_city=city.city_name_zh,
            en_city=city.city_name_en,
            missing=missing,
            embed=" ".join(service.settings.web.map_embed_origins),
        )
        .encode()
    )
    policy = " ".join((_POLICY, "'self'", *service.settings.web.map_embed_origins)).encode()
    headers = [said_in(ctx), (b"content-security-policy", policy)]
    token = None if missing else service.catalogue
    return Answer(body, "text/html; charset=utf-8", headers=headers, etag=etag_of(body), document=True, token=token)


async def _layers(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    _only_format_and_language(ask)
    ask.format(("json",))
    service.expect_search()
    ctx = service.context(ask)
    body = orjson.dumps(layers_document(ctx))
    headers = [said_in(ctx)]
    return Answer(body, "application/json", headers=headers, etag=etag_of(body), document=True, token=service.catalogue)


def layers_document(ctx: Context) -> Document:
    """Everything a map needs to know of the catalogue, in both languages at once.

    `themes` in order with the ids of their layers, `layers` by id, `codes` by name of the list. Boxes are west,
    south, east, north in degrees; `count` is null where it depends on the date.
    """
    found = [x for x in ctx.catalogue.layers.values() if x.spec.geometry != "none"]
    lists: dict[str, CodeList] = {}
    for layer in found:
        lists.update(layer.codes)
    zh, en = (Context(ctx.catalogue, ctx.settings, ctx.base_url, language) for language in ("zh", "en"))
    english = {theme.id: theme.title for theme in themes(en)}
    shown = {layer.id for layer in found}
    city = ctx.settings.city
    return {
        "city": {"zh": city.city_name_zh, "en": city.city_name_en},
        "service": {"zh": zh.service, "en": en.service},
        "extent": _extent(found),
        "themes": [
            {"id": t.id, "title": {"zh": t.title, "en": english[t.id]}, "layers": ids}
            for t in themes(zh)
            if (ids := [x.id for x in t.layers if x.id in shown])
        ],
        "layers": {x.id: _layer(x) for x in found},
        "codes": {
            name: [{"code": c.code, "title": _both(c.title)} for c in lists[name].codes] for name in sorted(lists)
        },
    }


def _layer(layer: Layer) -> Document:
    spec, state = layer.spec, layer.state
    return {
        "id": layer.id,
        "theme": spec.theme,
        "title": _both(spec.title),
        "description": _both(spec.description),
        "keywords": list(spec.keywords),
        "kind": spec.kind,
        "geometry": spec.geometry,
        "key": list(spec.key),
        "fields": [_field(f, layer) for f in spec.visible_fields],
        "label": spec.style.label,
        "colorBy": spec.style.color_by,
        "color": spec.style.color,
        "tiles": {
            "minZoom": spec.tiles.min_zoom,
            "maxZoom": spec.tiles.max_zoom,
            "overview": spec.tiles.overview,
            "overviewBelow": spec.tiles.overview_below,
        },
        "count": None if state.timed else state.row_count,
        "extent": list(state.extent) if state.extent else None,
        "synthetic": layer.synthetic,
        "hasTime": state.timed or state.dated,
        "updated": rfc3339(state.stamp) if state.stamp else None,
        "editable": spec.access.edit,
        "sources": [_source(s) for s in layer.sources],
        "items": collection_path(layer.id, "items"),
        "legend": f"/styles/{layer.id}/legend",
    }


def _field(f: FieldSpec, layer: Layer) -> Document:
    document: Document = {"name": f.name, "type": f.type, "title": _both(f.title), "queryable": f.queryable}
    if f.description:
        document["description"] = _both(f.description)
    if f.unit:
        document["unit"] = unit(f.unit)
    if f.codes and f.codes in layer.codes:
        document["codes"] = f.codes
    return document


def _source(source: Source) -> Document:
    links = {"url": source.url, "licenceUrl": licence_url(source.licence)}
    document: Document = {
        "title": _both(source.title),
        "licence": source.licence,
        "synthetic": source.synthetic,
    }
    return document | {k: v for k, v in links.items() if v}


def _both(text: Text) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}


def _extent(layers: list[Layer]) -> list[float] | None:
    """The box around the city: that of its boundary layers when there are any, of all rows otherwise."""
    areas = [x for x in layers if x.id in ("base.city", "base.county") and x.state.extent]
    boxes = [x.state.extent for x in areas or layers if x.state.extent]
    if not boxes:
        return None
    west, south, east, north = zip(*boxes, strict=True)
    return [min(west), min(south), max(east), max(north)]


def _only_format_and_language(ask: Ask) -> None:
    for name, _ in ask.pairs if ask.query else ():
        if name not in ("f", "lang"):
            raise unknown_parameter(name, ["f", "lang"])


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )


ROUTES: list[tuple[str, Handler]] = [("/map", _page), ("/map/layers", _layers)]
