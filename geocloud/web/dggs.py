# SPDX-License-Identifier: Apache-2.0
"""`/dggs` and `/collections/{id}/dggs`: grids, their zones, and a layer added up by zones (OGC 21-038r1)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from geocloud.catalogue.registry import Layer
from geocloud.errors import InvalidParameter, TooLarge
from geocloud.features.binder import Binder
from geocloud.features.literals import Box, read_box, read_number
from geocloud.features.params import parse_bbox
from geocloud.grids.dggs import Dggs, Zones, find, too_many
from geocloud.ogc import dggs as documents
from geocloud.ogc.context import Context
from geocloud.overlay.by import must_have_geometry
from geocloud.overlay.measures import read_measures
from geocloud.web.answer import Answer, etag_of, is_match
from geocloud.web.ask import Ask
from geocloud.web.dggs_ask import CHOICE, ZONE_LIST, depths, flag, number, once, whole_level
from geocloud.web.dggs_figures import COUNT, figures_of, spread
from geocloud.web.items import said_in, validator
from geocloud.web.service import Service

__all__ = ["ROUTES"]

_JSON, _GEOJSON = "application/json", "application/geo+json"
_FORMATS = ("json", "geojson")
# Zones a level is chosen for where none is asked for.
_FITTING = 1_000


async def _list(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """The grids there are."""
    once(ask, ("f", "lang"))
    ask.format(("json",))
    layer = _layer(service, params)
    return _said(service, ask, documents.grids(service.context(ask), layer))


async def _one(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """One grid: levels, and where its zones are."""
    once(ask, ("f", "lang"))
    ask.format(("json",))
    layer, dggs = _layer(service, params), find(params["dggs"])
    return _said(service, ask, documents.grid(service.context(ask), dggs, layer))


async def _zone(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """One zone: middle, outline, area, and the zones around, above and below it."""
    once(ask, ("f", "lang"))
    file_format = _format(ask)
    layer, dggs = _layer(service, params), find(params["dggs"])
    zone, ctx = dggs.parse(params["zone"]), service.context(ask)
    if file_format == "geojson":
        return _said(service, ask, documents.features(ctx, dggs, np.array([zone])), _GEOJSON)
    return _said(service, ask, documents.zone(ctx, dggs, zone, layer))


async def _zones(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """Zones of a box or of a zone; of a layer, those that something of it lies in."""
    file_format = _format(ask)
    layer, dggs = _layer(service, params), find(params["dggs"])
    ctx, web = service.context(ask), service.settings.web
    names = (*ZONE_LIST, *(CHOICE if layer else ()), "f", "lang")
    once(ask, names, layer)
    etag = validator(service, ask, layer, file_format, ctx.language) if layer else None
    if etag and ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    boxes, parent = _boxes(ask, layer), ask.parameter("parent-zone")
    above = dggs.parse(parent) if parent is not None else None
    limit = number(ask, "limit", web.dggs_zones_max, 1, web.dggs_zones_max)
    compact = flag(ask, "compact-zones", default=True)
    level = whole_level(ask, dggs)
    if level is None:
        level = await asyncio.to_thread(_fitting, dggs, boxes or _extent(ctx, layer), above)
    if above is not None and dggs.level(above) > level:
        raise _finer(dggs, above, level)
    found = None
    if layer is not None:
        (found,) = await figures_of(service, ask, layer, dggs, COUNT, (level,), boxes, above)

    def work() -> Zones:
        if found is not None:
            return _chosen(dggs, found.zones, boxes, above)
        wanted = boxes or _extent(ctx, None)
        if above is None or boxes:
            zones = np.unique(np.concatenate([dggs.cover(_tuple(b), level, web.dggs_zones_max) for b in wanted]))
        elif dggs.count_within(above, level) > web.dggs_zones_max:
            raise too_many(web.dggs_zones_max, level)
        else:
            zones = dggs.within(above, level)
        if above is not None:
            zones = zones[dggs.parents(zones, dggs.level(above)) == above]
        return zones

    def body() -> bytes:
        zones = work()
        if len(zones) > web.dggs_zones_max:
            raise too_many(web.dggs_zones_max, level)
        told = dggs.compact(zones) if compact else zones
        if file_format == "geojson":
            return documents.features(ctx, dggs, told[:limit], matched=len(told))
        return documents.zones(ctx, dggs, told, limit, level, compact, layer, ask.query.decode("ascii"))

    made_at = [found.version] if found is not None else []
    return _kept(service, ask, layer, made_at, await asyncio.to_thread(body), file_format, etag)


async def _data(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """What a zone and its sub-zones hold of a layer, as DGGS-JSON or GeoJSON."""
    file_format = _format(ask)
    layer, dggs = service.catalogue.layer(params["collection"]), find(params["dggs"])
    once(ask, ("zone-depth", "measure", *CHOICE, "f", "lang"), layer)
    ctx, web = service.context(ask), service.settings.web
    zone = dggs.parse(params["zone"])
    must_have_geometry(layer)
    measures = read_measures(ask.parameter("measure"), layer)
    etag = validator(service, ask, layer, file_format, ctx.language)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    own = dggs.level(zone)
    wanted = depths(ask, dggs, own)
    if sum(dggs.count_within(zone, own + d) for d in wanted) > web.dggs_zones_max:
        raise too_many(web.dggs_zones_max, own + max(wanted))
    levels = [own + d for d in wanted]
    found = await figures_of(service, ask, layer, dggs, measures, levels, zone=zone)

    def body() -> bytes:
        if file_format == "geojson":
            last = found[-1].only(np.isin(found[-1].zones, dggs.within(zone, levels[-1])))
            return documents.features(ctx, dggs, last.zones, last.figures)
        values = [(d, spread(f, dggs.within(zone, own + d))) for d, f in zip(wanted, found, strict=True)]
        return documents.data(ctx, dggs, zone, values, layer, measures)

    made_at = [f.version for f in found]
    return _kept(service, ask, layer, made_at, await asyncio.to_thread(body), file_format, etag)


async def _box_data(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """What each zone of a level holds of a layer, within a box or all; empty zones are left out."""
    file_format = _format(ask)
    layer, dggs = service.catalogue.layer(params["collection"]), find(params["dggs"])
    once(ask, ("zone-level", "bbox", "measure", *CHOICE, "f", "lang"), layer)
    ctx, web = service.context(ask), service.settings.web
    must_have_geometry(layer)
    measures = read_measures(ask.parameter("measure"), layer)
    etag = validator(service, ask, layer, file_format, ctx.language)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    boxes, level = _boxes(ask, layer), whole_level(ask, dggs)
    if level is None:
        level = await asyncio.to_thread(_fitting, dggs, boxes or _extent(ctx, layer), None)
    (found,) = await figures_of(service, ask, layer, dggs, measures, (level,), boxes)

    def body() -> bytes:
        told = found.only(_met(dggs, found.zones, boxes)) if boxes else found
        if len(told.zones) > web.dggs_zones_max:
            raise too_many(web.dggs_zones_max, level)
        if file_format == "geojson":
            return documents.features(ctx, dggs, told.zones, told.figures)
        return documents.box_data(ctx, dggs, level, told.zones, told.figures, layer, measures, found.nowhere)

    return _kept(service, ask, layer, [found.version], await asyncio.to_thread(body), file_format, etag)


def _format(ask: Ask) -> str:
    """`f=`, else GeoJSON for who takes that and no plain JSON."""
    if ask.parameter("f") is None and b"application/geo+json" in ask.accept:
        others = (b"application/json", b"*/*", b"application/*")
        if not any(o in ask.accept for o in others):
            return "geojson"
    return ask.format(_FORMATS)


def _layer(service: Service, params: dict[str, str]) -> Layer | None:
    """The layer of a path, None for the grids themselves."""
    if "collection" not in params:
        return None
    layer = service.catalogue.layer(params["collection"])
    must_have_geometry(layer)
    return layer


def _said(service: Service, ask: Ask, body: bytes, media_type: str = _JSON) -> Answer:
    etag = etag_of(body)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    return Answer(body, media_type, headers=[said_in(service.context(ask))], etag=etag)


def _kept(
    service: Service, ask: Ask, layer: Layer | None, made_at: Sequence[int], body: bytes, kind: str, etag: str | None
) -> Answer:
    """An answer of a layer at its version; `made_at` are those that its parts were read at."""
    media_type = _GEOJSON if kind == "geojson" else _JSON
    if layer is None or etag is None:
        return _said(service, ask, body, media_type)
    headers = [said_in(service.context(ask))]
    if any(version != layer.state.version for version in made_at):
        # Written a moment ago: true, but of a version whose notice has not come yet, so nothing to keep.
        return Answer(body, media_type, headers=headers, etag=etag_of(body))
    return Answer(body, media_type, headers=headers, etag=etag, token=layer)


def _boxes(ask: Ask, layer: Layer | None) -> tuple[Box, ...]:
    text = ask.parameter("bbox")
    if text is None:
        return ()
    if layer is not None:
        # Raises for what is no box, in the words of every other request.
        parse_bbox(Binder(), text, layer)
    parts = [read_number(p.strip()) for p in text.split(",")]
    numbers = [n for n in parts if n is not None]
    if len(numbers) != len(parts):
        raise InvalidParameter(
            f"`bbox` is `{text[:60]}`, not four or six numbers.", f"参数 bbox 的值“{text[:60]}”应为 4 个或 6 个数。",
            todo_en="Write west,south,east,north in degrees.", todo_zh="请写 西,南,东,北,单位为度。", parameter="bbox",
        )  # fmt: skip
    return tuple(read_box(numbers, None, "bbox"))


def _extent(ctx: Context, layer: Layer | None) -> tuple[Box, ...]:
    """The layer's extent, the city's where there is none."""
    found = layer.state.extent if layer is not None and layer.state.extent else ctx.settings.city.city_bbox
    return (Box(*found),)


def _tuple(box: Box) -> tuple[float, float, float, float]:
    return box.west, box.south, box.east, box.north


def _fitting(dggs: Dggs, boxes: Sequence[Box], above: int | None) -> int:
    """The level right below a zone, else the finest of which the boxes meet no more than `_FITTING`."""
    if above is not None:
        return min(dggs.level(above) + 1, dggs.last)
    found = dggs.first
    for level in range(dggs.first, dggs.last + 1):
        try:
            for box in boxes:
                dggs.cover(_tuple(box), level, _FITTING)
        except TooLarge:
            break
        found = level
    return found


def _met(dggs: Dggs, zones: Zones, boxes: Sequence[Box]) -> Any:
    """Which of the zones meet one of the boxes."""
    return np.logical_or.reduce([dggs.meets(zones, _tuple(b)) for b in boxes])


def _chosen(dggs: Dggs, zones: Zones, boxes: Sequence[Box], above: int | None) -> Zones:
    """Those of the zones that meet one of the boxes and belong to a zone."""
    if boxes:
        zones = zones[_met(dggs, zones, boxes)]
    if above is not None and len(zones):
        zones = zones[dggs.parents(zones, dggs.level(above)) == above]
    return zones


def _finer(dggs: Dggs, zone: int, level: int) -> InvalidParameter:
    own = dggs.level(zone)
    return InvalidParameter(
        f"`zone-level` {level} is coarser than `parent-zone`, which has level {own}.",
        f"zone-level {level} 比 parent-zone(第 {own} 级)更粗。",
        todo_en=f"Ask for a level of {own} to {dggs.last}.", todo_zh=f"请用第 {own} 至 {dggs.last} 级。",
        parameter="zone-level", minimum=own, maximum=dggs.last,
    )  # fmt: skip


_BELOW = "/dggs/{dggs}"
_OF = "/collections/{collection}"
ROUTES = [
    ("/dggs", _list),
    (_BELOW, _one),
    (f"{_BELOW}/zones", _zones),
    (f"{_BELOW}/zones/{{zone}}", _zone),
    (f"{_OF}/dggs", _list),
    (f"{_OF}{_BELOW}", _one),
    (f"{_OF}{_BELOW}/data", _box_data),
    (f"{_OF}{_BELOW}/zones", _zones),
    (f"{_OF}{_BELOW}/zones/{{zone}}", _zone),
    (f"{_OF}{_BELOW}/zones/{{zone}}/data", _data),
]
