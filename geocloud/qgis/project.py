# SPDX-License-Identifier: Apache-2.0
"""A QGIS project of the catalogue, made without QGIS: groups by theme, layers styled, the city in view.

Each collection has a place in the drawing order of its theme. Up to `rows_max` rows it is one entry that reads
features. Beyond that tiles draw it, and the entry below them, switched off and bound to close scales, reads features.
The project of one theme has, below its own group, the guests it works with and the base map.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from xml.etree import ElementTree as ET

from geocloud.catalogue.registry import Layer
from geocloud.qgis.layers import STORAGE, feature_layer, feature_source, tile_layer, tile_source
from geocloud.qgis.layout import layout
from geocloud.qgis.look import look_of, place
from geocloud.qgis.model import BASE, Request, belongs, is_large, layer_id, shape_in, zoomed_in
from geocloud.qgis.readings import reading_layer, reading_source, reading_title
from geocloud.qgis.xml import Element, crs, extent, node, option_map, spatial_system, text
from geocloud.styles.palette import LIGHT

__all__ = ["project", "project_xml"]

# The oldest QGIS whose reading of these files is tested.
VERSION = "3.22.16-Białowieża"
_BEIJING = timezone(timedelta(hours=8))
_HEAD = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_ZIP_TIME = (2000, 1, 1, 0, 0, 0)


def project(request: Request, theme: str | None = None) -> bytes:
    """The project as a `.qgz`: of the whole catalogue, or of one theme. Equal catalogues give equal bytes."""
    packed = io.BytesIO()
    entry = zipfile.ZipInfo(f"{theme or 'city'}.qgs", _ZIP_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(entry, project_xml(request, theme))
    return packed.getvalue()


def project_xml(request: Request, theme: str | None = None) -> str:
    """The project as QGIS's XML."""
    root = node(
        None, "qgis",
        {"version": VERSION, "projectname": request.title, "saveDateTime": _saved(request), "saveUser": "geocloud"},
    )  # fmt: skip
    text(root, "title", request.title)
    crs(root, "projectCrs", STORAGE)
    tree = _tree(root)
    stored = node(root, "projectlayers")
    groups = _groups(request, theme)
    for name, layers in groups:
        group = _group(tree, request.themes[name], expanded=theme in (None, name) or name != BASE)
        for layer in layers:
            _add_collection(group, stored, request, theme, layer)
        if theme in (None, name):
            _add_theme_tiles(group, stored, request, name, layers)
    order = node(root, "layerorder")
    for one in tree.iter("layer-tree-layer"):
        node(order, "layer", {"id": one.get("id")})
    _canvas(root, request)
    _properties(root)
    _metadata(root, request)
    layout(node(root, "Layouts"), request, theme, sum(_rows(request, layers) for _, layers in groups))
    view = node(root, "ProjectViewSettings", {"UseProjectScales": False, "rotation": 0})
    west, south, east, north = request.bbox
    box = node(view, "DefaultViewExtent", {"xmin": west, "ymin": south, "xmax": east, "ymax": north})
    spatial_system(box, STORAGE)
    ET.indent(root, " ")
    return _HEAD + ET.tostring(root, encoding="unicode")


def _groups(request: Request, theme: str | None) -> list[tuple[str, list[Layer]]]:
    """Themes from the topmost down with the layers of each: the project's own theme, those of its guests, the base."""
    names = list(request.themes)[::-1]
    if theme is not None:
        names = [theme, *(n for n in names if n not in (theme, BASE)), *(n for n in names if n == BASE != theme)]
    found = []
    for name in names:
        # QGIS learns the shape of a collection from its first feature: without one there is nothing it could draw.
        own = [x for x in request.catalogue.layers.values() if x.spec.theme == name and _drawable(x)]
        layers = _stacked(request, [x for x in own if belongs(request, x, theme)])
        if layers or name == theme:
            found.append((name, layers))
    return found


def _stacked(request: Request, layers: Sequence[Layer]) -> list[Layer]:
    """From the topmost down."""
    return sorted(layers, key=lambda x: place(x.spec, shape_in(request, x)), reverse=True)


def _drawable(layer: Layer) -> bool:
    return layer.state.row_count > 0 or layer.spec.geometry == "none"


def _add_collection(group: Element, stored: Element, request: Request, theme: str | None, layer: Layer) -> None:
    title = request.text(layer.title)
    visible = _visible(request, layer)
    large = is_large(request, layer)
    if large:
        identity, path = layer.id, f"/collections/{layer.id}/tiles"
        zooms = layer.spec.tiles.min_zoom, layer.spec.tiles.max_zoom
        _entry(group, layer_id(identity, "tiles"), title, "vectortile", tile_source(request, path, zooms), visible)
        tile_layer(stored, request, [layer], title, identity=identity, path=path, drawn=frozenset({layer.id}))
        title += request.say(
            f" · 要素（1:{zoomed_in(request, layer):,} 起）", f" · features (from 1:{zoomed_in(request, layer):,})"
        )
    _entry(group, layer_id(layer.id, "features"), title, "OAPIF", feature_source(request, layer), visible and not large)
    feature_layer(stored, request, layer, title)
    if layer.id in request.readings and shape_in(request, layer) == "point":
        # Below the markers, which its discs show around.
        source, on = reading_source(request, layer), theme is not None and visible
        _entry(group, layer_id(layer.id, "readings"), reading_title(request, layer), "ogr", source, on)
        reading_layer(stored, request, layer)


def _visible(request: Request, layer: Layer) -> bool:
    return layer.spec.style.draw != "overlay" or layer.spec.style.visible or layer.id in request.used


def _rows(request: Request, layers: Sequence[Layer]) -> int:
    """About how many rows the legend of a group has: its title, those of layers, their classes."""
    drawn = [look_of(x, shape_in(request, x), request.language) for x in layers if _visible(request, x)]
    sizes = [len(look.classes) for look in drawn if look.shape and not look.names_only]
    return sum(1 + (n if n > 1 else 0) for n in sizes) + bool(sizes)


def _add_theme_tiles(group: Element, stored: Element, request: Request, theme: str, layers: Sequence[Layer]) -> None:
    drawn = [x for x in reversed(layers) if shape_in(request, x)]
    if not drawn:
        return
    title = request.say(f"{request.themes[theme]} · 矢量瓦片", f"{request.themes[theme]} · vector tiles")
    path = f"/themes/{theme}/tiles"
    zooms = min(x.spec.tiles.min_zoom for x in drawn), max(x.spec.tiles.max_zoom for x in drawn)
    _entry(group, layer_id(theme, "tiles"), title, "vectortile", tile_source(request, path, zooms), False)
    everything = frozenset(x.id for x in drawn)
    tile_layer(stored, request, drawn, title, identity=theme, path=path, drawn=everything)


def _tree(root: Element) -> Element:
    tree = node(root, "layer-tree-group")
    node(tree, "customproperties")
    return tree


def _group(tree: Element, title: str, expanded: bool) -> Element:
    made = node(tree, "layer-tree-group", {"name": title, "expanded": expanded, "checked": "Qt::Checked"})
    node(made, "customproperties")
    return made


def _entry(group: Element, identity: str, title: str, provider: str, source: str, checked: bool) -> None:
    made = node(
        group, "layer-tree-layer",
        {"id": identity, "name": title, "providerKey": provider, "source": source, "expanded": False,
         "checked": "Qt::Checked" if checked else "Qt::Unchecked"},
    )  # fmt: skip
    node(made, "customproperties")


def _canvas(root: Element, request: Request) -> None:
    canvas = node(root, "mapcanvas", {"name": "theMapCanvas", "annotationsVisible": True})
    text(canvas, "units", "degrees")
    extent(canvas, "extent", request.bbox)
    text(canvas, "rotation", 0)
    crs(canvas, "destinationsrs", STORAGE)
    text(canvas, "rendermaptile", 0)


def _properties(root: Element) -> None:
    """Ellipsoidal lengths and areas in metres and hectares, coordinates to six decimals, the base map's ground."""
    properties = node(root, "properties")
    gui = node(properties, "Gui")
    for name, start in (("Red", 1), ("Green", 3), ("Blue", 5)):
        text(gui, f"CanvasColor{name}Part", int(LIGHT.page[start : start + 2], 16), {"type": "int"})
    text(node(properties, "Measure"), "Ellipsoid", "EPSG:1024", {"type": "QString"})
    units = node(properties, "Measurement")
    text(units, "DistanceUnits", "meters", {"type": "QString"})
    text(units, "AreaUnits", "ha", {"type": "QString"})
    precision = node(properties, "PositionPrecision")
    text(precision, "Automatic", "false", {"type": "bool"})
    text(precision, "DecimalPlaces", 6, {"type": "int"})
    text(node(properties, "Paths"), "Absolute", "false", {"type": "bool"})
    text(node(properties, "SpatialRefSys"), "ProjectionsEnabled", 1, {"type": "int"})


def _metadata(root: Element, request: Request) -> None:
    metadata = node(root, "projectMetadata")
    text(metadata, "identifier", f"{request.base_url}/")
    text(metadata, "language", request.say("zh-CN", "en"))
    text(metadata, "type", "dataset")
    text(metadata, "title", request.title)
    text(metadata, "abstract", request.abstract)
    links = node(metadata, "links")
    link = {"type": "WWW:LINK", "mimeType": "text/html"}
    node(links, "link", link | {"name": request.say("首页", "Landing page"), "url": f"{request.base_url}/"})
    text(metadata, "author", "geocloud")
    text(metadata, "creation", _saved(request))
    option_map(node(root, "dataDefinedServerProperties"), {})


def _saved(request: Request) -> str:
    """The last change of any row, so that the file changes when what it describes does."""
    stamps = [x.state.stamp for x in request.catalogue.layers.values() if x.state.stamp]
    return max(stamps, default=datetime(2000, 1, 1, tzinfo=UTC)).astimezone(_BEIJING).strftime("%Y-%m-%dT%H:%M:%S")
