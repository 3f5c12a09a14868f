# SPDX-License-Identifier: Apache-2.0
"""Looks as QGIS renders them: categories and labels of feature layers, styles of vector tiles."""

from __future__ import annotations

from collections.abc import Callable

from geocloud.qgis.look import Drawn, Look, Paint
from geocloud.qgis.model import Request
from geocloud.qgis.symbols import cluster_symbol, label_settings, symbol
from geocloud.qgis.xml import Element, node

__all__ = ["quoted", "renderer", "simple_labels", "tile_labels", "tile_styles"]

_GEOMETRY = {"point": 0, "line": 1, "polygon": 2}
# How near, in millimetres, points must be to be drawn as one disc.
_CLUSTER_MM = 6


def renderer(parent: Element, request: Request, look: Look) -> None:
    """The renderer of a feature layer: categories by the style's field, points that crowd as discs with a number."""
    if look.shape is None:
        node(parent, "renderer-v2", {"type": "nullSymbol", "enableorderby": False, "symbollevels": False})
        return
    if look.clustered:
        outer = node(
            parent, "renderer-v2",
            {"type": "pointCluster", "tolerance": _CLUSTER_MM, "toleranceUnit": "MM", "enableorderby": False,
             "toleranceUnitScale": "3x:0,0,0,0,0,0", "symbollevels": False, "forceraster": False},
        )  # fmt: skip
        _plain_renderer(outer, request, look)
        cluster_symbol(outer, look.classes[-1].paint.color)
        return
    _plain_renderer(parent, request, look)


def simple_labels(parent: Element, request: Request, look: Look) -> None:
    """The labels of a feature layer."""
    if look.label and look.shape:
        labels = node(parent, "labeling", {"type": "simple"})
        label_settings(labels, look.shape, look.label, _label_scales(request, look.label.zoom))


def tile_styles(parent: Element, request: Request, collection: str, look: Look, min_zoom: int, enabled: bool) -> None:
    """Styles for one collection in a vector tile layer; what tiles carry of aggregates first."""
    if look.shape is None:
        return
    rest = look.classes[-1].paint
    single = '"overview" IS NULL'
    for drawn in reversed(look.classes):
        wanted = _condition(look, drawn)
        shown = f"{single} AND {wanted}" if wanted else single
        if look.shape == "line":
            shown = f'("overview" IS NULL OR "overview" = \'merge\'){f" AND {wanted}" if wanted else ""}'
        _tile_style(parent, collection, look.shape, request.text(drawn.title), shown, drawn.paint,
                    _first_zoom(drawn.paint, min_zoom), enabled, request)  # fmt: skip
    if look.shape == "polygon":
        cover = node(parent, "style", _tile_attributes(collection, "polygon", request.say("覆盖", "Cover"),
                     "\"overview\" = 'cover'", min_zoom, enabled))  # fmt: skip
        made = symbol(node(cover, "symbols"), "0", "polygon", Paint(rest.outline or rest.color, 0, fill=0.5))
        _share_as_opacity(made)
    if look.shape == "point":
        for shape in ("point", "polygon"):
            group = node(parent, "style", _tile_attributes(collection, shape, request.say("聚合", "Groups"),
                         "\"overview\" IN ('cluster', 'h3')", min_zoom, enabled))  # fmt: skip
            if shape == "point":
                _counted(group, rest.color)
            else:
                symbol(node(group, "symbols"), "0", "polygon", Paint(rest.color, 0.6, outline="#ffffff", fill=0.5))


def tile_labels(parent: Element, request: Request, collection: str, look: Look, min_zoom: int, enabled: bool) -> None:
    """Labels for one collection in a vector tile layer."""
    if not look.label or not look.shape:
        return
    first = max(min_zoom, int(look.label.zoom) + 1)
    attributes = _tile_attributes(collection, look.shape, look.label.field, '"overview" IS NULL', first, enabled)
    label_settings(node(parent, "style", attributes), look.shape, look.label, (0, 0))


def quoted(value: str) -> str:
    """A text as a literal of QGIS's expressions."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _plain_renderer(parent: Element, request: Request, look: Look) -> None:
    assert look.shape is not None
    single = look.field is None
    made = node(
        parent, "renderer-v2",
        {"type": "singleSymbol" if single else "categorizedSymbol", "enableorderby": False, "symbollevels": False,
         "forceraster": False, "referencescale": -1, **({} if single else {"attr": look.field})},
    )  # fmt: skip
    if not single:
        categories = node(made, "categories")
        for place, drawn in enumerate(look.classes):
            attributes: dict[str, object] = {"symbol": place, "label": request.text(drawn.title), "render": "true"}
            if len(drawn.codes) > 1:
                one = node(categories, "category", attributes | {"type": "list"})
                for code in drawn.codes:
                    node(one, "val", {"type": "string", "value": code})
            else:
                code = drawn.codes[0] if drawn.codes else ""
                node(categories, "category", attributes | {"value": code, "type": "string"})
    symbols = node(made, "symbols")
    for place, drawn in enumerate(look.classes):
        symbol(symbols, str(place), look.shape, drawn.paint)


def _label_scales(request: Request, zoom: float) -> tuple[float, float]:
    return (0, request.scale(zoom)) if zoom > 0 else (0, 0)


def _condition(look: Look, drawn: Drawn) -> str:
    if look.field is None:
        return ""
    if drawn.codes:
        return f'"{look.field}" IN ({", ".join(map(quoted, drawn.codes))})'
    known = [code for other in look.classes for code in other.codes]
    return f'("{look.field}" IS NULL OR "{look.field}" NOT IN ({", ".join(map(quoted, known))}))'


def _tile_style(
    parent: Element, collection: str, shape: str, name: str, shown: str, paint: Paint, min_zoom: int, enabled: bool,
    request: Request,
) -> None:  # fmt: skip
    made = node(parent, "style", _tile_attributes(collection, shape, name, shown, min_zoom, enabled))
    symbol(node(made, "symbols"), "0", shape, paint)


def _tile_attributes(
    collection: str, shape: str, name: str, shown: str, min_zoom: int, enabled: bool
) -> dict[str, object]:
    return {
        "name": name, "layer": collection, "geometry": _GEOMETRY[shape], "expression": shown, "min-zoom": min_zoom,
        "max-zoom": -1, "enabled": enabled,
    }  # fmt: skip


def _first_zoom(paint: Paint, min_zoom: int) -> int:
    # QGIS takes tiles for 256 pixels: one zoom more than the web map has at the same scale.
    return max(min_zoom, int(paint.min_zoom) + 1) if paint.min_zoom is not None else min_zoom


def _counted(style: Element, color: str) -> None:
    made = node(style, "symbols")
    disc = cluster_symbol(made, color)
    disc.set("name", "0")
    _replaced(disc, lambda text: text.replace("@cluster_size", '"count"'))


def _share_as_opacity(made: Element) -> None:
    layer = made[-1]
    options = node(node(layer, "data_defined_properties"), "Option", {"type": "Map"})
    node(options, "Option", {"name": "name", "type": "QString", "value": ""})
    properties = node(options, "Option", {"name": "properties", "type": "Map"})
    color = node(properties, "Option", {"name": "fillColor", "type": "Map"})
    node(color, "Option", {"name": "active", "type": "bool", "value": "true"})
    expression = "set_color_part(@symbol_color, 'alpha', 30 + 190 * coalesce(\"share\", 0.5))"
    node(color, "Option", {"name": "expression", "type": "QString", "value": expression})
    node(color, "Option", {"name": "type", "type": "int", "value": 3})
    node(options, "Option", {"name": "type", "type": "QString", "value": "collection"})


def _replaced(element: Element, change: Callable[[str], str]) -> None:
    for one in element.iter():
        for key, value in one.attrib.items():
            one.set(key, change(value))
