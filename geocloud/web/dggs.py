# SPDX-License-Identifier: Apache-2.0
"""`/dggs` and `/collections/{id}/dggs`: grids, their zones, and points of a layer counted by zones (OGC 21-038r1)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from geocloud.catalogue.registry import Layer
from geocloud.errors import InvalidParameter, TooLarge
from geocloud.features.binder import Binder
from geocloud.features.literals import Box, read_box, read_number
from geocloud.features.params import box_clause, parse_bbox
from geocloud.features.request import read_question
from geocloud.grids.columns import must_have_points
from geocloud.grids.dggs import Dggs, Zones, find, too_many
from geocloud.grids.h3cells import PointStore, reach_degrees
from geocloud.ogc import dggs as documents
from geocloud.ogc.context import Context
from geocloud.web.answer import Answer, etag_of, is_match
from geocloud.web.ask import Ask
from geocloud.web.dggs_ask import CHOICE, ZONE_LIST, depths, flag, number, once, whole_level
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
    """Zones of a box or of a zone; of a layer, those that points of it lie in."""
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
    store = None
    if layer is not None:
        store = await _points(service, ask, layer, dggs, boxes, above, level)

    def work() -> Zones:
        if store is not None:
            zones, _ = _counts(dggs, store, level)
            return _chosen(dggs, zones, boxes, above)
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

    return _kept(service, ask, layer, store, await asyncio.to_thread(body), file_format, etag)


async def _data(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """How many points of a layer lie in a zone and in its sub-zones, as DGGS-JSON or GeoJSON."""
    file_format = _format(ask)
    layer, dggs = service.catalogue.layer(params["collection"]), find(params["dggs"])
    once(ask, ("zone-depth", *CHOICE, "f", "lang"), layer)
    ctx, web = service.context(ask), service.settings.web
    zone = dggs.parse(params["zone"])
    must_have_points(layer)
    etag = validator(service, ask, layer, file_format, ctx.language)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    own = dggs.level(zone)
    wanted = depths(ask, dggs, own)
    if sum(dggs.count_within(zone, own + d) for d in wanted) > web.dggs_zones_max:
        raise too_many(web.dggs_zones_max, own + max(wanted))
    store = await _points(service, ask, layer, dggs, (), zone, own + max(wanted))

    def body() -> bytes:
        values: list[tuple[int, Zones, Any]] = []
        for d in wanted:
            sub = dggs.within(zone, own + d)
            zones, count = _counts(dggs, store, own + d)
            at = np.searchsorted(zones, sub)
            hit = at < len(zones)
            hit[hit] = zones[at[hit]] == sub[hit]
            counts = np.zeros(len(sub), np.int64)
            counts[hit] = count[at[hit]]
            values.append((d, sub, counts))
        if file_format == "geojson":
            _, sub, counts = values[-1]
            some = counts > 0
            return documents.features(ctx, dggs, sub[some], counts[some])
        return documents.data(ctx, dggs, zone, values, layer)

    return _kept(service, ask, layer, store, await asyncio.to_thread(body), file_format, etag)


async def _box_data(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """How many points of a layer lie in each zone of a level, within a box or all; empty zones are left out."""
    file_format = _format(ask)
    layer, dggs = service.catalogue.layer(params["collection"]), find(params["dggs"])
    once(ask, ("zone-level", "bbox", *CHOICE, "f", "lang"), layer)
    ctx, web = service.context(ask), service.settings.web
    must_have_points(layer)
    etag = validator(service, ask, layer, file_format, ctx.language)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    boxes, level = _boxes(ask, layer), whole_level(ask, dggs)
    if level is None:
        level = await asyncio.to_thread(_fitting, dggs, boxes or _extent(ctx, layer), None)
    store = await _points(service, ask, layer, dggs, boxes, None, level)

    def body() -> bytes:
        zones, count = _counts(dggs, store, level)
        if boxes:
            kept = _met(dggs, zones, boxes)
            zones, count = zones[kept], count[kept]
        if len(zones) > web.dggs_zones_max:
            raise too_many(web.dggs_zones_max, level)
        if file_format == "geojson":
            return documents.features(ctx, dggs, zones, count)
        return documents.box_data(ctx, dggs, level, zones, count, layer, len(store.fid) - store.placed)

    return _kept(service, ask, layer, store, await asyncio.to_thread(body), file_format, etag)


def _format(ask: Ask) -> str:
    """`f=`, else GeoJSON for who takes that and no plain JSON."""
    if ask.parameter("f") is None and b"application/geo+json" in ask.accept:
        others = (b"application/json", b"*/*", b"application/*")
        if not any(o in ask.accept for o in others):
            return "geojson"
    return ask.format(_FORMATS)


def _layer(service: Service, params: dict[str, str]) -> Layer | None:
    """The point layer of a path, None for the grids themselves."""
    if "collection" not in params:
        return None
    layer = service.catalogue.layer(params["collection"])
    must_have_points(layer)
    return layer


def _said(service: Service, ask: Ask, body: bytes, media_type: str = _JSON) -> Answer:
    etag = etag_of(body)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    return Answer(body, media_type, headers=[said_in(service.context(ask))], etag=etag)


def _kept(
    service: Service, ask: Ask, layer: Layer | None, store: PointStore | None, body: bytes, kind: str, etag: str | None
) -> Answer:
    media_type = _GEOJSON if kind == "geojson" else _JSON
    if layer is None or store is None or etag is None:
        return _said(service, ask, body, media_type)
    headers = [said_in(service.context(ask))]
    if store.version != layer.state.version:
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


async def _points(
    service: Service, ask: Ask, layer: Layer, dggs: Dggs, boxes: Sequence[Box], zone: int | None, level: int
) -> PointStore:
    """The points that zones of these boxes or below this zone can hold, or all where those are at hand."""
    columns = service.points
    own = (*ZONE_LIST, "zone-depth", "f", "lang")
    chosen = [(k, v) for k, v in ask.pairs if k not in own]
    if not chosen and not layer.state.timed and layer.state.row_count <= columns.points_max:
        return await columns.get(layer)
    query = read_question(chosen, layer, "json", service.settings.web, service.tokens).query
    binder = Binder()
    binder.args.extend(query.args)
    around = [_wider(dggs, b, level) for b in boxes]
    if zone is not None and not boxes:
        around = [Box(*dggs.reach(zone))]
    near = " OR ".join(box_clause(binder, layer, box) for box in around)
    where = " AND ".join(f"({part})" for part in (query.where, near) if part)
    return await columns.read(layer, query.relation, where, binder.args)


def _wider(dggs: Dggs, box: Box, level: int) -> Box:
    """A box with the whole of every zone that meets it."""
    if dggs.id == "h3":
        lon, lat = reach_degrees(level, max(abs(box.south), abs(box.north)))
        lon, lat = 2 * lon, 2 * lat
        if lon < 180 and box.west - lon >= -180 and box.east + lon <= 180:
            return Box(box.west - lon, max(-90, box.south - lat), box.east + lon, min(90, box.north + lat))
        return Box(-180, max(-90, box.south - lat), 180, min(90, box.north + lat))
    ends = [dggs.reach(int(z)) for z in _corners(dggs, box, level)]
    if not ends:
        return box
    low, high = np.min(ends, axis=0), np.max(ends, axis=0)
    return Box(
        min(box.west, float(low[0])), min(box.south, float(low[1])), max(box.east, float(high[2])),
        max(box.north, float(high[3])),
    )  # fmt: skip


def _corners(dggs: Dggs, box: Box, level: int) -> Zones:
    x = np.array([box.west, box.east, box.west, box.east])
    y = np.array([box.south, box.north, box.north, box.south])
    found = dggs.of_points(x, y, level)
    return found[found > -1]


def _counts(dggs: Dggs, store: PointStore, level: int) -> tuple[Zones, Any]:
    """Zones with points, ascending, and how many there are in each."""
    if dggs.id == "h3":
        found = store.level(level)
        return found.cells, found.totals
    first = len(store.cell) - store.placed
    zones, count = np.unique(dggs.of_points(store.lon[first:], store.lat[first:], level), return_counts=True)
    return zones[zones >= 0], count[zones >= 0]


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
