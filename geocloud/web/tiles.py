# SPDX-License-Identifier: Apache-2.0
"""OGC API Tiles (OGC 20-057): grids, tile sets, and tiles of a collection, a theme or the whole city.

A tile comes from memory while no change has reached it; else from an archive whose version no change since has
reached it; else from the database. Which of the three cannot be told from the answer: the bytes are the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import orjson

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.errors import TooLarge, UnknownCollection
from geocloud.features.binder import Binder
from geocloud.features.literals import Box, invalid
from geocloud.features.params import box_clause
from geocloud.features.request import Rows, read_fields, read_rows, unknown_parameter
from geocloud.grids.h3cells import PointStore
from geocloud.ogc import tilesets
from geocloud.tiles.archive import EMPTY, Empty
from geocloud.tiles.build import BuiltTile, build_tiles, is_drawn
from geocloud.tiles.grids import Tile, grid
from geocloud.tiles.hexagons import hexagon_reach, shows_hexagons
from geocloud.tiles.statements import BUFFER, EXTENT
from geocloud.web.answer import Answer, etag_of, is_match
from geocloud.web.ask import Ask
from geocloud.web.items import said_in
from geocloud.web.service import Service

__all__ = ["ROUTES", "TILE"]

Handler = Callable[[Service, Ask, dict[str, str]], Awaitable[Answer]]

MVT = "application/vnd.mapbox-vector-tile"
_JSON = "application/json"
_MARGIN = BUFFER / EXTENT


def layers_of(service: Service, params: dict[str, str], chosen: str | None = None) -> list[Layer]:
    """The layers of a data set: one collection, a theme, or the city, narrowed by `collections=`.

    Raises UnknownCollection for a collection or theme that does not exist, InvalidParameter for one that is not of
    the data set.
    """
    catalogue = service.catalogue
    if "collection" in params:
        return [catalogue.layer(params["collection"])]
    drawn = [x for x in catalogue.layers.values() if x.spec.geometry != "none"]
    if "theme" in params:
        theme = params["theme"]
        drawn = [x for x in drawn if x.spec.theme == theme]
        if not drawn:
            themes = sorted({x.spec.theme for x in catalogue.layers.values()})
            raise UnknownCollection(
                f"There is no theme `{theme[:60]}` with layers to draw.",
                f"没有名为“{theme[:60]}”且可绘制的专题。",
                todo_en=f"Themes are: {', '.join(themes)}.",
                todo_zh=f"可用专题:{'、'.join(themes)}。",
            )
    if chosen is None:
        return drawn
    known = {x.id: x for x in drawn}
    wanted = chosen.split(",")
    for name in wanted:
        if name not in known:
            raise invalid(
                "collections",
                f"`collections` names `{name[:60]}`, which is not of this data set.",
                f"参数 collections 中的“{name[:60]}”不属于该数据集。",
                f"Its collections are: {', '.join(known)}.",
                f"可用数据集:{'、'.join(known)}。",
                allowed=list(known),
            )
    return [known[name] for name in dict.fromkeys(wanted)]


async def _tile(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    if b"f=" in ask.query and ask.parameter("f") not in (None, "mvt"):
        raise invalid("f", "Tiles are served as `mvt`.", "瓦片仅提供 mvt 格式。", allowed=["mvt"])
    tile = grid(params["grid"]).tile(params["matrix"], params["row"], params["col"])
    one = "collection" in params
    layers = layers_of(service, params, None if one or not ask.query else ask.parameter("collections"))
    narrowed = ask.query or any(x.state.timed for x in layers)
    rows, wanted = _narrowed(service, ask, layers, one) if narrowed else ({}, {})
    layers = [x for x in layers if is_drawn(x, tile)]
    names = [x.id for x in layers]
    # The mark comes before the rows are read, so that a change in between puts it out.
    fresh = service.changes.mark(names, _box(layers, tile))
    if not service.changes.settled(names):
        fresh.valid = False
    packed = None
    if len(layers) == 1 and not rows and not wanted:
        packed = await _archived(service, layers[0], tile)
    if isinstance(packed, memoryview):
        data = bytes(packed)
        answer = Answer(b"", MVT, etag=etag_of(data), token=fresh, packed=data)
    else:
        built = BuiltTile(b"")
        if layers and packed is not EMPTY:
            # Before a connection is taken: what reads points takes one of its own.
            points = await _points(service, layers, tile, rows)
            async with service.reader.lease() as conn:
                built = await build_tiles(
                    conn, layers, tile, service.settings.tiles, rows=rows, wanted=wanted, points=points
                )
        status = 200 if built.data else 204
        answer = Answer(built.data, MVT, status, etag=etag_of(built.data), token=fresh)
    answer.document = True
    if ask.if_none_match and is_match(ask.if_none_match, (answer.etag or "").encode()):
        return Answer(b"", "", 304, etag=answer.etag)
    return answer


async def _archived(service: Service, layer: Layer, tile: Tile) -> memoryview | Empty | None:
    """The tile of the layer's archive as gzip, EMPTY, or None when there is none that is still right."""
    archives = service.archives
    if archives is None or tile.grid.id not in ("WebMercatorQuad", "w") or layer.state.timed:
        return None
    archive = archives.archive(layer.id)
    if archive is None or archive.about.rules.get(layer.id) != service.tile_rule(layer):
        return None
    found = archive.get(tile.zoom, tile.col, tile.row)
    version = archive.about.versions[layer.id]
    if found is None or await service.changes.touched(layer.id, version, _box([layer], tile)):
        return None
    return found


def _box(layers: Sequence[Layer], tile: Tile) -> tuple[float, float, float, float]:
    """Where rows may lie that are seen in a tile, in degrees."""
    return tile.lonlat(_MARGIN + max((hexagon_reach(x, tile.zoom) for x in layers), default=0.0))


async def _points(
    service: Service, layers: Sequence[Layer], tile: Tile, rows: dict[str, Rows]
) -> dict[str, PointStore]:
    """Points of the layers that the tile shows as H3 cells; a layer of more than may be held is left out."""
    found: dict[str, PointStore] = {}
    for layer in layers:
        if not shows_hexagons(layer, tile.zoom):
            continue
        chosen = rows.get(layer.id)
        try:
            if chosen is None:
                found[layer.id] = await service.points.get(layer)
            else:
                binder = Binder()
                binder.args.extend(chosen.args)
                near = box_clause(binder, layer, Box(*_box([layer], tile)))
                where = f"{chosen.where} AND {near}" if chosen.where else near
                found[layer.id] = await service.points.read(layer, chosen.relation, where, binder.args)
        except TooLarge:
            continue
    return found


def _narrowed(
    service: Service, ask: Ask, layers: Sequence[Layer], one: bool
) -> tuple[dict[str, Rows], dict[str, Sequence[FieldSpec]]]:
    """What `datetime`, `filter`, `name=value` and `properties` ask for, by layer; nothing where they ask for all."""
    rows: dict[str, Rows] = {}
    wanted: dict[str, Sequence[FieldSpec]] = {}
    if not one:
        allowed = ("f", "lang", "collections", "datetime", "asof")
        for name, _ in ask.pairs:
            if name not in allowed:
                raise unknown_parameter(name, allowed)
    for layer in layers:
        pairs = [(k, v) for k, v in ask.pairs if k != "collections"]
        found, given = read_rows(pairs, layer, service.settings.web, ("properties",))
        if not found.plain:
            rows[layer.id] = found
        if "properties" in given:
            text = given["properties"]
            wanted[layer.id] = layer.spec.visible_fields if text == "*" else read_fields(text, layer)
    return rows, wanted


async def _grids(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    _only(ask, ("f", "lang"))
    ask.format(("json",))
    return _document(service, ask, tilesets.matrix_sets(service.context(ask)))


async def _grid(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    _only(ask, ("f", "lang"))
    ask.format(("json",))
    return _document(service, ask, dict(grid(params["grid"]).document))


async def _tilesets(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    _only(ask, ("f", "lang"))
    ask.format(("json",))
    layers = layers_of(service, params)
    return _document(service, ask, tilesets.tile_sets(service.context(ask), layers, _base(params)))


async def _tileset(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    _only(ask, ("f", "lang", "collections"))
    file_format = ask.format(("json", "tilejson"))
    found = grid(params["grid"])
    layers = layers_of(service, params, ask.parameter("collections") if b"collections=" in ask.query else None)
    ctx, base = service.context(ask), _base(params)
    if file_format == "tilejson":
        chosen = "" if b"collections=" not in ask.query else ",".join(x.id for x in layers)
        return _document(service, ask, tilesets.tile_json(ctx, layers, found, base, chosen))
    return _document(service, ask, tilesets.tile_set(ctx, layers, found, base))


def _base(params: dict[str, str]) -> tuple[str, ...]:
    """The path of a data set's tiles, part by part."""
    if "collection" in params:
        return ("collections", params["collection"], "tiles")
    return ("themes", params["theme"], "tiles") if "theme" in params else ("tiles",)


def _document(service: Service, ask: Ask, document: tilesets.Document) -> Answer:
    body = orjson.dumps(document)
    headers = [said_in(service.context(ask))]
    return Answer(body, _JSON, headers=headers, etag=etag_of(body), document=True, token=service.catalogue)


def _only(ask: Ask, allowed: tuple[str, ...]) -> None:
    for name, _ in ask.pairs if ask.query else ():
        if name not in allowed:
            raise unknown_parameter(name, list(allowed))


# Asked for more often than all else, so it is looked for first.
TILE: tuple[str, Handler] = ("/collections/{collection}/tiles/{grid}/{matrix}/{row}/{col}", _tile)


def _routes() -> list[tuple[str, Handler]]:
    routes: list[tuple[str, Handler]] = [("/tileMatrixSets", _grids), ("/tileMatrixSets/{grid}", _grid)]
    for base in ("/collections/{collection}/tiles", "/themes/{theme}/tiles", "/tiles"):
        routes += [
            (base + "/{grid}/{matrix}/{row}/{col}", _tile),
            (base, _tilesets),
            (base + "/{grid}", _tileset),
        ]
    return [r for r in routes if r != TILE]


ROUTES = _routes()
