# SPDX-License-Identifier: Apache-2.0
"""`/collections/{id}/aggregate`: features added up by areas, as a table, GeoJSON, CSV and vector tiles."""

from __future__ import annotations

import asyncio

import geocloud
from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder
from geocloud.features.literals import Box, invalid, read_box, read_number
from geocloud.features.moment import read_moment
from geocloud.features.params import parse_bbox
from geocloud.features.request import read_question, unknown_parameter
from geocloud.ogc import aggregate as documents
from geocloud.overlay.aggregate import Asked, Result
from geocloud.overlay.by import read_by
from geocloud.overlay.measures import read_measures
from geocloud.overlay.tiles import zone_tile
from geocloud.tiles.grids import grid
from geocloud.web.answer import Answer, etag_of, is_match
from geocloud.web.ask import Ask
from geocloud.web.items import said_in
from geocloud.web.service import Layers, Service
from geocloud.web.tiles import MVT
from geocloud.web.versions import IMMUTABLE, frozen

__all__ = ["AGGREGATE_PARAMETERS", "ROUTES", "TILE_PARAMETERS"]

_CHOICE = ("datetime", "asof", "filter", "filter-lang", "filter-crs")
AGGREGATE_PARAMETERS = ("by", "measure", "bbox", "bbox-crs", *_CHOICE)
TILE_PARAMETERS = ("by", "measure", *_CHOICE)
_FORMATS = ("json", "geojson", "csv")
_TYPES = {"json": "application/json", "geojson": "application/geo+json", "csv": "text/csv; charset=utf-8"}


async def _aggregate(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """Areas with their figures, what lies outside them, and totals that close."""
    layer = service.catalogue.layer(params["collection"])
    file_format = _format(ask)
    asked = _read(service, ask, layer, AGGREGATE_PARAMETERS)
    layers, etag = _made_of(service, ask, asked, file_format)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    found = await service.overlay.aggregate(asked)
    ctx = service.context(ask)
    query = ask.query.decode("ascii")

    def write() -> bytes:
        if file_format == "csv":
            return documents.table(asked, found)
        if file_format == "geojson":
            return documents.features(ctx, asked, found, query)
        return documents.document(ctx, asked, found, query)

    body = await asyncio.to_thread(write)
    headers = [said_in(ctx)]
    if file_format == "csv":
        headers.append((b"content-disposition", f'inline; filename="{layer.id}.by.csv"'.encode()))
    if not _is_present(asked, found):
        # Written a moment ago: true, but of versions whose notice has not come yet, so nothing to keep.
        return Answer(body, _TYPES[file_format], headers=headers, etag=etag_of(body))
    if _is_frozen(asked):
        headers.append(IMMUTABLE)
    return Answer(body, _TYPES[file_format], headers=headers, etag=etag, token=Layers(layers))


async def _tile(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """The areas that a tile shows, with their figures."""
    layer = service.catalogue.layer(params["collection"])
    if b"f=" in ask.query and ask.parameter("f") not in (None, "mvt"):
        raise invalid("f", "Tiles are served as `mvt`.", "瓦片仅提供 mvt 格式。", allowed=["mvt"])
    tile = grid(params["grid"]).tile(params["matrix"], params["row"], params["col"])
    asked = _read(service, ask, layer, TILE_PARAMETERS)
    layers, etag = _made_of(service, ask, asked, "mvt")
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    found = await service.overlay.aggregate(asked)
    async with service.reader.lease() as conn:
        data = await zone_tile(conn, layer.id, tile, found, service.settings.tiles)
    status = 200 if data else 204
    if not _is_present(asked, found):
        return Answer(data, MVT, status, etag=etag_of(data))
    return Answer(data, MVT, status, etag=etag, token=Layers(layers))


def _read(service: Service, ask: Ask, layer: Layer, parameters: tuple[str, ...]) -> Asked:
    names = layer.spec.queryable_names
    for name, _ in ask.pairs:
        if name not in (*parameters, "f", "lang") and name not in names:
            raise unknown_parameter(name, [*parameters, "f", "lang", *sorted(names)])
    # `by` and `measure` belong to this request, also where a field has that name.
    chosen = [(k, v) for k, v in ask.pairs if k not in ("by", "measure", "f", "lang")]
    for name in ("by", "measure"):
        if sum(k == name for k, _ in ask.pairs) > 1:
            raise invalid(name, f"`{name}` is given more than once.", f"参数 {name} 重复出现。")
    by = read_by(ask.parameter("by"), service.catalogue)
    measures = read_measures(ask.parameter("measure"), layer)
    question = read_question(chosen, layer, "json", service.settings.web, service.tokens)
    moment = read_moment(ask.parameter("datetime"), ask.parameter("asof"))
    return Asked(question.query, question.key, by, measures, moment, _boxes(ask, layer))


def _boxes(ask: Ask, layer: Layer) -> tuple[Box, ...]:
    """The boxes of `bbox` in degrees, for the areas without features; none for one in another CRS."""
    text = ask.parameter("bbox")
    if text is None or ask.parameter("bbox-crs") is not None:
        return ()
    parse_bbox(Binder(), text, layer)
    numbers = [n for part in text.split(",") if (n := read_number(part.strip())) is not None]
    return tuple(b for b in read_box(numbers, None, "bbox") if isinstance(b, Box))


def _made_of(service: Service, ask: Ask, asked: Asked, file_format: str) -> tuple[tuple[Layer, ...], str]:
    """The layers that an answer is made of, and its ETag: known before any SQL.

    What was believed before the last write of a layer stays so: its version does not matter then.
    """
    layers = (asked.layer,) if asked.by.layer is None else (asked.layer, asked.by.layer)
    versions = [
        (x.id, None, None) if frozen(x, asked.moment) else (x.id, x.state.version, x.state.epoch) for x in layers
    ]
    catalogue = service.catalogue
    language = ask.language(service.settings.web)
    made_of = (geocloud.__version__, catalogue.identity, catalogue.revision, *versions)
    return layers, etag_of(*made_of, ask.path, ask.query, file_format, language, ask.host, "reader")


def _is_frozen(asked: Asked) -> bool:
    zoning = asked.by.layer
    return frozen(asked.layer, asked.moment) and (zoning is None or frozen(zoning, asked.moment))


def _is_present(asked: Asked, found: Result) -> bool:
    zoning = asked.by.layer
    return found.version == asked.layer.state.version and (
        zoning is None or found.zones.version == zoning.state.version
    )


def _format(ask: Ask) -> str:
    """`f=`, else GeoJSON for who takes that and no plain JSON."""
    if ask.parameter("f") is None and b"application/geo+json" in ask.accept:
        others = (b"application/json", b"*/*", b"application/*")
        if not any(o in ask.accept for o in others):
            return "geojson"
    return ask.format(_FORMATS)


_BASE = "/collections/{collection}/aggregate"
ROUTES = [(_BASE, _aggregate), (f"{_BASE}/tiles/{{grid}}/{{matrix}}/{{row}}/{{col}}", _tile)]
