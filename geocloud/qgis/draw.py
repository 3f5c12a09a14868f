# SPDX-License-Identifier: Apache-2.0
"""Looks as QGIS renders them: categories and labels of feature layers, styles of vector tiles."""

from __future__ import annotations

import math

from geocloud.qgis.look import Drawn, Look, Paint
from geocloud.qgis.model import Request
from geocloud.qgis.symbols import Part, cluster_symbol, dynamic, label_settings, symbol
from geocloud.qgis.xml import Element, node, option_map

__all__ = ["quoted", "renderer", "simple_labels", "tile_labels", "tile_styles"]

_GEOMETRY = {"point": 0, "line": 1, "polygon": 2}
# How near, in millimetres, points must be to be drawn as one disc.
_CLUSTER_MM = 6


def renderer(parent: Element, request: Request, look: Look) -> None:
    """The renderer of a feature layer: categories by the style's field, points that crowd as discs with a number."""
    if look.shape is None or look.names_only:
        node(parent, "renderer-v2", {"type": "nullSymbol", "enableorderby": False, "symbollevels": False})
        return
    if look.clustered:
        outer = node(
            parent, "renderer-v2",
            {"type": "pointCluster", "tolerance": _CLUSTER_MM, "toleranceUnit": "MM", "enableorderby": False,
             "toleranceUnitScale": "3x:0,0,0,0,0,0", "symbollevels": False, "forceraster": False},
        )  # fmt: skip
        _plain_renderer(outer, request, look)
        cluster_symbol(outer, look.color)
        return
    _plain_renderer(parent, request, look)


def simple_labels(parent: Element, request: Request, look: Look) -> None:
    """The labels of a feature layer."""
    if look.label and look.shape:
        labels = node(parent, "labeling", {"type": "simple"})
        label_settings(labels, look.shape, look.label, request.scale(look.label.zoom) if look.label.zoom else 0)


def tile_styles(parent: Element, request: Request, collection: str, look: Look, min_zoom: int, enabled: bool) -> None:
    """Styles for one collection in a vector tile layer, the lowest first: aggregates, casings, classes."""
    if look.shape is None:
        return

    def add(shape: str, name: str, shown: str, zoom: float = 0) -> Element:
        # QGIS takes tiles for 256 pixels: it is one zoom ahead of the web map at the same scale.
        first = max(min_zoom, math.floor(zoom) + 1) if zoom else min_zoom
        attributes: dict[str, object] = {
            "name": name, "layer": collection, "geometry": _GEOMETRY[shape], "expression": shown, "min-zoom": first,
            "max-zoom": -1, "enabled": enabled,
        }  # fmt: skip
        return node(node(parent, "style", attributes), "symbols")

    rest = look.classes[-1].paint
    if look.names_only:
        # Labels are told of the attributes that some style asks for; this one draws nothing.
        unseen = Paint(rest.color, 1, opacity=0)
        symbol(
            add(look.shape, request.say("地名", "Names"), '"overview" IS NULL'), "0", look.shape, unseen, request.scale
        )
        return
    if look.shape == "polygon" and rest.fill:
        for drawn in reversed(look.classes):
            wanted = _condition(look, drawn)
            shown = "\"overview\" = 'cover'" + (f" AND {wanted}" if wanted else "")
            name = f"{request.text(drawn.title)}{request.say(' · 覆盖', ' · cover')}"
            cell = Paint(look.cover or drawn.paint.color, 0, fill=1)
            covered = symbol(add("polygon", name, shown), "0", "polygon", cell, request.scale)
            opacity = "set_color_part(@symbol_color, 'alpha', 40 + 215 * coalesce(\"share\", 0.5))"
            option_map(node(covered[-1], "data_defined_properties"), dynamic(fillColor=opacity))
    if look.shape == "point":
        groups = "\"overview\" = 'cluster'"
        cells = Paint(look.color, 0.6, outline="#ffffff", fill=1)
        shown = "\"overview\" = 'h3'"
        hexagon = symbol(add("polygon", request.say("格网", "Cells"), shown), "0", "polygon", cells, request.scale)
        darker = "set_color_part(@symbol_color, 'alpha', 70 + 40 * min(4, log10(max(1, \"count\"))))"
        option_map(node(hexagon[-1], "data_defined_properties"), dynamic(fillColor=darker))
        for drawn in reversed(look.classes):
            wanted = _condition(look, drawn)
            shown = f"{groups} AND {wanted}" if wanted else groups
            name = f"{request.text(drawn.title)}{request.say(' · 聚合', ' · groups')}"
            cluster_symbol(add("point", name, shown), drawn.paint.color, '"count"', "0")
    single = '("overview" IS NULL OR "overview" = \'merge\')' if look.shape == "line" else '"overview" IS NULL'
    parts: tuple[Part, ...] = ("casing", "line") if any(d.paint.casing for d in look.classes) else ("all",)
    for part in parts:
        for drawn in reversed(look.classes):
            if part == "casing" and not drawn.paint.casing:
                continue
            wanted = _condition(look, drawn)
            shown = f"{single} AND {wanted}" if wanted else single
            name = request.text(drawn.title) + (request.say(" · 边", " · casing") if part == "casing" else "")
            symbol(
                add(look.shape, name, shown, drawn.paint.min_zoom), "0", look.shape, drawn.paint, request.scale, part
            )


def tile_labels(parent: Element, request: Request, collection: str, look: Look, min_zoom: int, enabled: bool) -> None:
    """Labels for one collection in a vector tile layer; none for areas that tiles cut, as each piece would get one."""
    if look.label and look.shape and not (look.shape == "polygon" and look.vast):
        attributes: dict[str, object] = {
            "name": look.label.field, "layer": collection, "geometry": _GEOMETRY[look.shape],
            "expression": '"overview" IS NULL', "min-zoom": max(min_zoom, math.floor(look.label.zoom) + 1),
            "max-zoom": -1, "enabled": enabled,
        }  # fmt: skip
        label_settings(node(parent, "style", attributes), look.shape, look.label, 0, tiles=True)


def quoted(value: str) -> str:
    """A text as a literal of QGIS's expressions."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _plain_renderer(parent: Element, request: Request, look: Look) -> None:
    assert look.shape is not None
    single = look.field is None
    made = node(
        parent, "renderer-v2",
        {"type": "singleSymbol" if single else "categorizedSymbol", "enableorderby": False,
         "symbollevels": any(d.paint.casing for d in look.classes), "forceraster": False,
         "referencescale": -1, **({} if single else {"attr": look.field})},
    )  # fmt: skip
    if not single:
        categories = node(made, "categories")
        for place, drawn in enumerate(look.classes):
            attributes: dict[str, object] = {"symbol": place, "label": request.text(drawn.title), "render": "true"}
            if len(drawn.codes) > 1:
                one = node(categories, "category", attributes | {"type": "list"})
                for code in drawn.codes:
                    node(one, "val", {"type": _type(code), "value": code})
            else:
                value = drawn.codes[0] if drawn.codes else ""
                node(categories, "category", attributes | {"value": value, "type": _type(value)})
    symbols = node(made, "symbols")
    for place, drawn in enumerate(look.classes):
        symbol(symbols, str(place), look.shape, drawn.paint, request.scale)


def _condition(look: Look, drawn: Drawn) -> str:
    if look.field is None:
        return ""
    if drawn.codes:
        return f'"{look.field}" IN ({", ".join(map(_literal, drawn.codes))})'
    known = [code for other in look.classes for code in other.codes]
    return f'("{look.field}" IS NULL OR "{look.field}" NOT IN ({", ".join(map(_literal, known))}))'


def _type(code: str | int) -> str:
    return "string" if isinstance(code, str) else "integer"


def _literal(code: str | int) -> str:
    return quoted(code) if isinstance(code, str) else str(code)
