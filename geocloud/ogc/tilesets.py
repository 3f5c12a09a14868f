# SPDX-License-Identifier: Apache-2.0
"""Tile matrix sets, tile sets and TileJSON as plain documents (OGC 20-057; OGC 17-083r4; TileJSON 3.0)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from geocloud.catalogue.registry import Layer
from geocloud.ogc.context import REL, Context, Document, link
from geocloud.tiles.describe import tile_fields
from geocloud.tiles.grids import Grid, grids
from geocloud.tiles.hexagons import drawn_extent

__all__ = ["CONFORMANCE", "Document", "matrix_sets", "tile_json", "tile_set", "tile_sets"]

CONFORMANCE = tuple(
    f"http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/{name}"
    for name in ("core", "tileset", "tilesets-list", "geodata-tilesets", "dataset-tilesets", "collections-selection",
                 "datetime", "mvt", "oas30")
) + (
    "http://www.opengis.net/spec/tms/2.0/conf/tilematrixset",
    "http://www.opengis.net/spec/tms/2.0/conf/json-tilematrixset",
    "http://www.opengis.net/spec/tms/2.0/conf/tilesetmetadata",
    "http://www.opengis.net/spec/tms/2.0/conf/json-tilesetmetadata",
)  # fmt: skip
MVT = "application/vnd.mapbox-vector-tile"
_JSON = "application/json"
_KINDS = {"point": 0, "line": 1, "polygon": 2}


def matrix_sets(ctx: Context) -> Document:
    """`/tileMatrixSets`."""
    found = []
    for g in grids().values():
        entry: Document = {"id": g.id, "title": g.document["title"]}
        if "uri" in g.document:
            entry["uri"] = g.document["uri"]
        entry["crs"] = g.document["crs"]
        here = ctx.url(f"/tileMatrixSets/{g.id}")
        entry["links"] = [link(here, f"{REL}tiling-scheme", _JSON, ctx.say("瓦片矩阵集定义", "Definition"))]
        found.append(entry)
    return {"tileMatrixSets": found}


def tile_sets(ctx: Context, layers: Sequence[Layer], base: tuple[str, ...]) -> Document:
    """The tile sets of a data set, one a grid; `base` is the path below the landing page."""
    here = _url(ctx, base)
    return {
        "links": [link(here, "self", _JSON, ctx.say("瓦片集列表", "Tile sets"))],
        "tilesets": [
            _heading(ctx, layers, g)
            | {
                "links": [
                    link(f"{here}/{g.id}", "self", _JSON, ctx.say("瓦片集说明", "Tile set metadata")),
                    link(f"{here}/{g.id}?f=tilejson", "describedby", _JSON, "TileJSON"),
                    _template(ctx, here, g),
                ]
            }
            for g in grids().values()
        ],
    }


def tile_set(ctx: Context, layers: Sequence[Layer], grid: Grid, base: tuple[str, ...]) -> Document:
    """Metadata of one tile set (OGC 17-083r4, 7): limits, centre, layers with their fields."""
    here = _url(ctx, base)
    extent = _extent(layers)
    document = _heading(ctx, layers, grid)
    document["tileMatrixSetURI"] = grid.document.get("uri", ctx.url(f"/tileMatrixSets/{grid.id}"))
    low, high = _zooms(layers)
    matrices = [(z, m) for z in range(low, high + 1) if (m := grid.matrix_of_zoom(z)) is not None]
    if extent:
        document["boundingBox"] = {
            "lowerLeft": [extent[0], extent[1]],
            "upperRight": [extent[2], extent[3]],
            "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
        }
        document["tileMatrixSetLimits"] = [_limit(grid, matrix, _drawn(layers, z)) for z, matrix in matrices]
        centre = [(extent[0] + extent[2]) / 2, (extent[1] + extent[3]) / 2]
        middle = matrices[len(matrices) // 2][1] if matrices else str(grid.first)
        document["centerPoint"] = {"coordinates": centre, "tileMatrix": middle}
    document["layers"] = [_layer(ctx, x, grid) for x in layers]
    document["links"] = [
        link(f"{here}/{grid.id}", "self", _JSON, ctx.say("本文档", "This document")),
        link(f"{here}/{grid.id}?f=tilejson", "describedby", _JSON, "TileJSON"),
        link(ctx.url(f"/tileMatrixSets/{grid.id}"), f"{REL}tiling-scheme", _JSON,
             ctx.say("瓦片矩阵集定义", "Tile matrix set")),
        _template(ctx, here, grid),
    ]  # fmt: skip
    if base[0] == "collections":
        document["links"].append(link(ctx.url(f"/collections/{base[1]}"), f"{REL}geodata", _JSON,
                                      ctx.text(layers[0].title)))  # fmt: skip
    return document


def tile_json(ctx: Context, layers: Sequence[Layer], grid: Grid, base: tuple[str, ...], chosen: str) -> Document:
    """TileJSON 3.0; `chosen` is the `collections` parameter to go on with. Zooms are the grid's own."""
    low, high = _zooms(layers)
    matrices = [int(m) for z in range(low, high + 1) if (m := grid.matrix_of_zoom(z)) is not None]
    query = f"?collections={quote(chosen, safe=',.')}" if chosen else ""
    document: Document = {
        "tilejson": "3.0.0",
        "name": ctx.text(layers[0].title) if len(layers) == 1 else ctx.service,
        "tiles": [f"{_url(ctx, base)}/{grid.id}/{{z}}/{{y}}/{{x}}{query}"],
        "scheme": "xyz",
        "minzoom": min(matrices, default=grid.first),
        "maxzoom": max(matrices, default=grid.last),
        "attribution": "; ".join(_sources(ctx, layers)),
        "vector_layers": [
            {
                "id": x.id,
                "description": ctx.text(x.title),
                "minzoom": x.spec.tiles.min_zoom,
                "maxzoom": x.spec.tiles.max_zoom,
                "fields": tile_fields(x),
            }
            for x in layers
        ],
    }
    extent = _extent(layers)
    if extent:
        document["bounds"] = list(_drawn(layers, None))
        document["center"] = [(extent[0] + extent[2]) / 2, (extent[1] + extent[3]) / 2, document["minzoom"]]
    if any(x.synthetic for x in layers):
        document["synthetic"] = [x.id for x in layers if x.synthetic]
    return document


def _heading(ctx: Context, layers: Sequence[Layer], grid: Grid) -> Document:
    title = ctx.text(layers[0].title) if len(layers) == 1 else ctx.service
    document: Document = {"title": title, "dataType": "vector", "crs": grid.document["crs"], "tileMatrixSetId": grid.id}
    sources = _sources(ctx, layers)
    return document | ({"attribution": "; ".join(sources)} if sources else {})


def _layer(ctx: Context, layer: Layer, grid: Grid) -> Document:
    spec = layer.spec
    kind = next((n for name, n in _KINDS.items() if name in spec.geometry), None)
    fields = {f.name: f for f in spec.visible_fields}
    properties: Document = {}
    for name, kind_name in tile_fields(layer).items():
        entry: Document = {"type": kind_name.lower()}
        if name in fields:
            entry["title"] = ctx.text(fields[name].title)
        properties[name] = entry
    low, high = spec.tiles.min_zoom, spec.tiles.max_zoom
    document: Document = {
        "id": layer.id,
        "title": ctx.text(layer.title),
        "description": ctx.text(spec.description),
        "dataType": "vector",
        "minTileMatrix": grid.matrix_of_zoom(low) or str(grid.first),
        "maxTileMatrix": grid.matrix_of_zoom(high) or str(grid.last),
        "propertiesSchema": {"type": "object", "properties": properties},
    }
    if kind is not None:
        document["geometryDimension"] = kind
    if spec.tiles.overview != "none":
        # Not in the standard: by which rule zooms below this one show what stands for features.
        document["overview"] = {"rule": spec.tiles.overview, "below": spec.tiles.overview_below}
    return document


def _limit(grid: Grid, matrix: str, extent: tuple[float, float, float, float]) -> Document:
    top, bottom, left, right = grid.limits(extent, matrix)
    return {"tileMatrix": matrix, "minTileRow": top, "maxTileRow": bottom, "minTileCol": left, "maxTileCol": right}


def _template(ctx: Context, here: str, grid: Grid) -> Document:
    address = f"{here}/{grid.id}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"
    return link(address, "item", MVT, ctx.say("矢量瓦片", "Vector tiles"), templated=True)


def _sources(ctx: Context, layers: Sequence[Layer]) -> list[str]:
    found = dict.fromkeys(ctx.text(s.title) for x in layers for s in x.sources)
    marked = [ctx.say("含示例数据", "Contains synthetic data")] if any(x.synthetic for x in layers) else []
    return [*found, *marked]


def _extent(layers: Sequence[Layer]) -> tuple[float, float, float, float] | None:
    boxes = [x.state.extent for x in layers if x.state.extent]
    if not boxes:
        return None
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


def _drawn(layers: Sequence[Layer], zoom: int | None) -> tuple[float, float, float, float]:
    """What tiles of layers reach, of which one has an extent; hexagons reach beyond their points."""
    west, south, east, north = zip(*(e for x in layers if (e := drawn_extent(x, zoom))), strict=True)
    return min(west), min(south), max(east), max(north)


def _zooms(layers: Sequence[Layer]) -> tuple[int, int]:
    return min(x.spec.tiles.min_zoom for x in layers), max(x.spec.tiles.max_zoom for x in layers)


def _url(ctx: Context, base: tuple[str, ...]) -> str:
    return ctx.url("/" + "/".join(base))
