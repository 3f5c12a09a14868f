# SPDX-License-Identifier: Apache-2.0
"""`/collections/{id}/h3`: points of a layer counted by H3 cells, as GeoJSON or CSV."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

from geocloud.catalogue.registry import Layer
from geocloud.errors import TooLarge
from geocloud.features.binder import Binder
from geocloud.features.literals import Box, invalid, read_box, read_number
from geocloud.features.params import box_clause, parse_bbox
from geocloud.features.request import read_question, unknown_parameter
from geocloud.features.spreadsheet import csv_table
from geocloud.grids.columns import must_have_points
from geocloud.grids.h3cells import (
    FINEST,
    Cells,
    PointStore,
    aggregate,
    fitting_resolution,
    outline,
    reach_degrees,
)
from geocloud.ogc import Context, Document
from geocloud.ogc.context import collection_path, link
from geocloud.web.answer import Answer, etag_of, is_match
from geocloud.web.ask import Ask
from geocloud.web.items import said_in, validator
from geocloud.web.service import Service

__all__ = ["H3_PARAMETERS", "ROUTES"]

H3_PARAMETERS = ("resolution", "bbox", "datetime", "asof", "filter", "filter-lang", "filter-crs")
_GEOJSON, _CSV = "application/geo+json", "text/csv; charset=utf-8"
# 1e-7 degree is 1 cm, 1e-3 in the density is a point on 1,000 square kilometres.
_DEGREE_DIGITS, _DENSITY_DIGITS = 7, 3
# Share of the box read around it while the resolution is still to be found.
_AROUND = 0.25


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request for cells asks: None as resolution means one that fits."""

    resolution: int | None
    boxes: tuple[Box, ...]
    chosen: list[tuple[str, str]]


async def _h3(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """Cells with their counts; the answer is one of the layer's version that its ETag stands for."""
    layer = service.catalogue.layer(params["collection"])
    file_format, language = ask.format(("json", "csv")), ask.language(service.settings.web)
    etag = validator(service, ask, layer, file_format, language)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    must_have_points(layer)
    asked = _read(ask, layer)
    store, resolution = await _points(service, layer, asked)
    ctx = service.context(ask)
    body = await asyncio.to_thread(_body, ctx, layer, store, asked, resolution, file_format, ask.query.decode("ascii"))
    headers = [said_in(ctx)]
    if store.version != layer.state.version:
        # Written a moment ago: true, but of a version whose notice has not come yet, so nothing to keep.
        return Answer(body, _GEOJSON if file_format == "json" else _CSV, headers=headers, etag=etag_of(body))
    return Answer(body, _GEOJSON if file_format == "json" else _CSV, headers=headers, etag=etag, token=layer)


def _read(ask: Ask, layer: Layer) -> _Asked:
    seen: set[str] = set()
    names = layer.spec.queryable_names
    for name, _ in ask.pairs:
        if name not in (*H3_PARAMETERS, "f", "lang") and name not in names:
            raise unknown_parameter(name, [*H3_PARAMETERS, "f", "lang", *sorted(names)])
        if name in seen:
            raise invalid(name, f"`{name}` is given more than once.", f"参数 {name} 重复出现。")
        seen.add(name)
    boxes: tuple[Box, ...] = ()
    text = ask.parameter("bbox")
    if text is not None:
        # Raises for what is no box, in the words of every other request.
        parse_bbox(Binder(), text, layer)
        numbers = [n for part in text.split(",") if (n := read_number(part.strip())) is not None]
        boxes = tuple(read_box(numbers, None, "bbox"))
    chosen = [(k, v) for k, v in ask.pairs if k not in ("resolution", "bbox", "f", "lang")]
    return _Asked(_resolution(ask.parameter("resolution")), boxes, chosen)


def _resolution(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= FINEST):
        raise invalid(
            "resolution",
            f"`resolution` is `{text[:40]}`, not a whole number of 0 to {FINEST}.",
            f"参数 resolution 的值“{text[:40]}”应为 0 到 {FINEST} 的整数。",
            "Leave it out for one that fits.",
            "不写则自动选取合适的级别。",
            minimum=0,
            maximum=FINEST,
        )
    return int(text)


async def _points(service: Service, layer: Layer, asked: _Asked) -> tuple[PointStore, int]:
    """The points to count and the resolution to count them at."""
    columns = service.points
    if not asked.chosen and not layer.state.timed and (not asked.boxes or layer.state.row_count <= columns.points_max):
        store = await columns.get(layer)
        return store, await asyncio.to_thread(_fitting, store, asked)
    query = read_question(asked.chosen, layer, "json", service.settings.web, service.tokens).query
    if not asked.boxes:
        store = await columns.read(layer, query.relation, query.where, query.args)
        return store, await asyncio.to_thread(_fitting, store, asked)
    # Cells at the edge have points outside the box, and all of them count.
    binder = Binder()
    binder.args.extend(query.args)
    around = [_around(box, asked.resolution) for box in asked.boxes]
    near = " OR ".join(box_clause(binder, layer, box) for box in around)
    where = f"{query.where} AND ({near})" if query.where else f"({near})"
    store = await columns.read(layer, query.relation, where, binder.args)
    resolution = await asyncio.to_thread(_fitting, store, asked)
    while (
        asked.resolution is None
        and resolution < FINEST
        and not all(_reaches(outer, box, resolution) for outer, box in zip(around, asked.boxes, strict=True))
    ):
        resolution += 1
    return store, resolution


def _fitting(store: PointStore, asked: _Asked) -> int:
    if asked.resolution is not None:
        return asked.resolution
    box = max(asked.boxes, key=lambda b: b.east - b.west) if asked.boxes else None
    return fitting_resolution(store, (box.west, box.south, box.east, box.north) if box else None)


def _around(box: Box, resolution: int | None) -> Box:
    """The box with the reach of a cell added; with a part of its longer side while the resolution is not known."""
    if resolution is not None:
        lon, lat = reach_degrees(resolution, max(abs(box.south), abs(box.north)))
    else:
        lon = lat = _AROUND * max(box.east - box.west, box.north - box.south) + 1e-4
    if lon > 180 or box.west - lon < -180 or box.east + lon > 180:
        return Box(-180, max(-90, box.south - lat), 180, min(90, box.north + lat))
    return Box(box.west - lon, max(-90, box.south - lat), box.east + lon, min(90, box.north + lat))


def _reaches(outer: Box, box: Box, resolution: int) -> bool:
    lon, lat = reach_degrees(resolution, max(abs(box.south), abs(box.north)))
    wide = outer.west <= max(-180, box.west - lon) and outer.east >= min(180, box.east + lon)
    return wide and outer.south <= max(-90, box.south - lat) and outer.north >= min(90, box.north + lat)


def _body(
    ctx: Context, layer: Layer, store: PointStore, asked: _Asked, resolution: int, file_format: str, query: str
) -> bytes:
    most = ctx.settings.web.h3_cells_max
    if not asked.boxes and len(store.level(resolution).cells) > most:
        raise _too_many(resolution, len(store.level(resolution).cells), most)
    boxes = asked.boxes or (Box(-180, -90, 180, 90),)
    found = [aggregate(store, resolution, *_half_open(box)) for box in boxes]
    if sum(len(c.cell) for c in found) > most:
        raise _too_many(resolution, sum(len(c.cell) for c in found), most)
    write = _geojson if file_format == "json" else _csv
    return write(ctx, layer, store, found, query)


def _half_open(box: Box) -> tuple[float, float, float, float]:
    """The end of the globe belongs to it."""
    return box.west, box.south, box.east if box.east < 180 else 181.0, box.north if box.north < 90 else 91.0


def _rows(found: list[Cells]) -> Any:
    for cells in found:
        columns = (cells.cell.tolist(), cells.count.tolist(), cells.area_km2.tolist(), cells.leading, cells.mix)
        yield from zip(*columns, strict=True)


def _geojson(ctx: Context, layer: Layer, store: PointStore, found: list[Cells], query: str) -> bytes:
    field = layer.spec.style.color_by
    features = []
    for cell, count, area, leading, mix in _rows(found):
        ring = [(round(x, _DEGREE_DIGITS), round(y, _DEGREE_DIGITS)) for x, y in outline(cell)]
        properties: Document = {"count": count, "density": round(count / area, _DENSITY_DIGITS)}
        if field:
            properties |= {field: leading, "mix": mix}
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "id": f"{cell:x}", "geometry": geometry, "properties": properties})
    document: Document = {
        "type": "FeatureCollection",
        "collection": layer.id,
        "title": ctx.text(layer.title),
        "resolution": found[0].resolution,
        "numberReturned": len(features),
        "count": sum(int(c.count.sum()) for c in found),
        "withoutPosition": len(store.fid) - store.placed,
        "version": store.version,
        "features": features,
        "links": _links(ctx, layer, query),
    }
    if field:
        document["codeField"] = field
    if layer.synthetic:
        document["synthetic"] = True
    return orjson.dumps(document)


def _csv(_ctx: Context, layer: Layer, _store: PointStore, found: list[Cells], _query: str) -> bytes:
    field = layer.spec.style.color_by
    rows = []
    for cell, count, area, leading, mix in _rows(found):
        coded = [leading or "", orjson.dumps(mix).decode()] if field else []
        rows.append([f"{cell:x}", count, round(count / area, _DENSITY_DIGITS), *coded])
    return csv_table(["h3", "count", "density", *([field, "mix"] if field else [])], rows)


def _links(ctx: Context, layer: Layer, query: str) -> list[Document]:
    here = ctx.url(collection_path(layer.id, "h3"))
    kept = "&".join(part for part in query.split("&") if part and not part.startswith("f="))
    as_csv = f"{here}?{kept}&f=csv" if kept else f"{here}?f=csv"
    return [
        link(f"{here}?{query}" if query else here, "self", _GEOJSON, ctx.say("本页", "This page")),
        link(as_csv, "alternate", _CSV, "CSV"),
        link(ctx.url(collection_path(layer.id)), "collection", "application/json", ctx.text(layer.title)),
    ]


def _too_many(resolution: int, cells: int, most: int) -> TooLarge:
    return TooLarge(
        f"At resolution {resolution} the answer has {cells:,} cells, more than {most:,}.",
        f"{resolution} 级结果有 {cells:,} 个网格,超过上限 {most:,}。",
        todo_en="Ask for a coarser resolution, or for a smaller bbox.",
        todo_zh="请选更粗的级别(更小的 resolution)或缩小 bbox。",
        resolution=resolution,
        cells=cells,
        maximum=most,
    )


ROUTES = [("/collections/{collection}/h3", _h3)]
