# SPDX-License-Identifier: Apache-2.0
"""The two kinds of layers of a project: features by OGC API, and vector tiles."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from geocloud.catalogue.registry import Layer
from geocloud.qgis.draw import renderer, simple_labels, tile_labels, tile_styles
from geocloud.qgis.fields import field_settings
from geocloud.qgis.look import look_of
from geocloud.qgis.model import Request, is_large, layer_id, shape_in, zoomed_in
from geocloud.qgis.xml import Element, crs, extent, node, text

__all__ = ["STORAGE", "described", "feature_layer", "feature_source", "tile_layer", "tile_source"]

STORAGE, MERCATOR = "EPSG:4490", "EPSG:3857"
_EARTH = (-20037508.342789244, -20037508.342789244, 20037508.342789244, 20037508.342789244)
_GEOMETRY = {"point": "Point", "line": "Line", "polygon": "Polygon", None: "No geometry"}


def feature_source(request: Request, layer: Layer) -> str:
    """The address of a collection as QGIS's provider of OGC API Features reads it."""
    parts = {
        "pagingEnabled": "true",
        "pageSize": str(request.page_rows),
        "restrictToRequestBBOX": "1",
        "srsname": STORAGE,
        "typename": layer.id,
        "url": f"{request.base_url}/",
        "version": "OGC_API_FEATURES",
    }
    return " ".join(f"{name}='{value}'" for name, value in parts.items())


def tile_source(request: Request, path: str, zooms: tuple[int, int]) -> str:
    """The address of vector tiles; the places of the tile in it are percent-encoded as QGIS writes them."""
    template = quote(f"{request.base_url}{path}/WebMercatorQuad/{{z}}/{{y}}/{{x}}", safe=":/")
    return f"type=xyz&url={template}&zmin={zooms[0]}&zmax={zooms[1]}"


def feature_layer(parent: Element, request: Request, layer: Layer, title: str) -> None:
    """A collection as features: read whole or zoomed in, with forms, and writable where the layer allows."""
    spec, shape = layer.spec, shape_in(request, layer)
    look = look_of(layer, shape, request.language)
    furthest = zoomed_in(request, layer) if is_large(request, layer) else _furthest(request, layer)
    made = node(
        parent, "maplayer",
        {"type": "vector", "geometry": _GEOMETRY[shape], "autoRefreshEnabled": False,
         "readOnly": not (request.editing and spec.access.edit),
         "labelsEnabled": look.label is not None and shape is not None, "styleCategories": "AllStyleCategories",
         "hasScaleBasedVisibilityFlag": furthest > 0, "minScale": furthest or 1e8, "maxScale": 0,
         # Neighbouring areas must stay neighbours when a line is moved or a vertex deleted.
         "simplifyDrawingHints": 1, "simplifyLocal": 1, "simplifyDrawingTol": 1, "simplifyMaxScale": 1},
    )  # fmt: skip
    if layer.state.extent:
        extent(made, "extent", layer.state.extent)
    text(made, "id", layer_id(layer.id, "features"))
    text(made, "datasource", feature_source(request, layer))
    text(made, "provider", "OAPIF", {"encoding": "UTF-8"})
    described(made, request, layer, title)
    crs(made, "srs", STORAGE)
    renderer(made, request, look)
    simple_labels(made, request, look)
    field_settings(made, request, layer)
    text(made, "previewExpression", f'"{spec.style.label or spec.key[0]}"')
    text(made, "mapTip", _tip(request, layer))
    node(made, "customproperties")
    text(made, "layerOpacity", 1)


def tile_layer(
    parent: Element, request: Request, layers: Sequence[Layer], title: str, *, identity: str, path: str,
    drawn: frozenset[str],
) -> None:  # fmt: skip
    """Collections as vector tiles; those of `drawn` are switched on, the others wait in the layer's style list."""
    tiles = [layer.spec.tiles for layer in layers]
    zooms = min(t.min_zoom for t in tiles), max(t.max_zoom for t in tiles)
    furthest = min((_furthest(request, x) for x in layers), key=lambda n: -(n or 10**12))
    made = node(
        parent, "maplayer",
        {"type": "vector-tile", "autoRefreshEnabled": False, "styleCategories": "AllStyleCategories",
         "hasScaleBasedVisibilityFlag": furthest > 0, "minScale": furthest or 1e8, "maxScale": 0},
    )  # fmt: skip
    extent(made, "extent", _EARTH)
    text(made, "id", layer_id(identity, "tiles"))
    text(made, "datasource", tile_source(request, path, zooms))
    text(made, "provider", "vectortile")
    described(made, request, layers[0] if len(layers) == 1 else None, title)
    crs(made, "srs", MERCATOR)
    styles = node(node(made, "renderer", {"type": "basic"}), "styles")
    labels = node(node(made, "labeling", {"type": "basic"}), "styles")
    for layer in layers:
        look = look_of(layer, shape_in(request, layer), request.language)
        tile_styles(styles, request, layer.id, look, layer.spec.tiles.min_zoom, layer.id in drawn)
        tile_labels(labels, request, layer.id, look, layer.spec.tiles.min_zoom, layer.id in drawn)
    node(made, "customproperties")
    text(made, "layerOpacity", 1)


def _furthest(request: Request, layer: Layer) -> int:
    """The denominator beyond which the layer is not shown, 0 when it always is."""
    first = layer.spec.tiles.min_zoom
    return request.scale(first) if first > 0 else 0


def described(made: Element, request: Request, layer: Layer | None, title: str) -> None:
    """Name, metadata, attribution and licence of a layer."""
    text(made, "layername", title)
    text(made, "title", title)
    metadata = node(made, "resourceMetadata")
    text(metadata, "language", request.say("zh-CN", "en"))
    text(metadata, "type", "dataset")
    text(metadata, "title", title)
    if layer is None:
        return
    sources = "; ".join(dict.fromkeys(request.text(s.title) for s in layer.sources))
    abstract = request.text(layer.spec.description)
    if layer.synthetic:
        abstract += request.say(
            "\n示例数据：由程序生成，不代表任何真实情况。", "\nSynthetic: made by a program; true of no place."
        )
    text(made, "abstract", abstract)
    page = f"{request.base_url}/collections/{layer.id}"
    if sources:
        text(made, "attribution", sources, {"href": page})
    text(metadata, "identifier", page)
    text(metadata, "abstract", abstract)
    keywords = node(metadata, "keywords", {"vocabulary": "keywords"})
    for word in layer.spec.keywords:
        text(keywords, "keyword", word)
    links = node(metadata, "links")
    node(
        links, "link",
        {"name": request.say("数据集页面", "Page of the collection"), "type": "WWW:LINK", "url": page,
         "mimeType": "text/html"},
    )  # fmt: skip
    if sources:
        text(metadata, "rights", sources)
    for licence in dict.fromkeys(s.licence for s in layer.sources):
        text(metadata, "license", licence)
    crs(metadata, "crs", STORAGE)
    if layer.state.extent:
        west, south, east, north = layer.state.extent
        node(
            node(metadata, "extent"), "spatial",
            {"crs": STORAGE, "dimensions": 2, "minx": west, "miny": south, "maxx": east, "maxy": north, "minz": 0,
             "maxz": 0},
        )  # fmt: skip


def _tip(request: Request, layer: Layer) -> str:
    style = layer.spec.style
    named = [name for name in (style.label, style.color_by) if name]
    lines = [f"<b>{request.text(layer.title)}</b>"]
    lines += [f'{request.text(layer.spec.field(n).title)}: [% represent_value("{n}") %]' for n in dict.fromkeys(named)]
    return "<br>".join(lines)
