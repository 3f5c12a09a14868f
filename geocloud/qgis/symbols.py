# SPDX-License-Identifier: Apache-2.0
"""Symbols and texts of QGIS: markers, lines with casing, fills, labels with halo.

Sizes come in CSS pixels, as map styles have them, and are written in millimetres so that they print the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from geocloud.qgis.look import Label, Paint
from geocloud.qgis.markers import marker_source
from geocloud.qgis.xml import Element, Option, node, option_map
from geocloud.styles.palette import LIGHT, contrast

__all__ = [
    "FONTS",
    "Part",
    "Scale",
    "cluster_symbol",
    "dynamic",
    "label_settings",
    "mm",
    "rgba",
    "symbol",
    "text_style",
]

Scale = Callable[[float], int]
Part = Literal["all", "casing", "line"]

# The first that the machine has is used, by QGIS itself.
FONTS = ("Noto Sans SC", "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "SimHei")
_KINDS = {"point": "marker", "line": "line", "polygon": "fill"}
_NO_SCALE = "3x:0,0,0,0,0,0"
# Across a marker with its pictogram.
_ICON_PX = 22


def mm(pixels: float) -> float:
    """CSS pixels (1/96 inch) in millimetres."""
    return round(pixels * 25.4 / 96, 3)


def symbol(parent: Element, name: str, shape: str, paint: Paint, scale: Scale, part: Part = "all") -> Element:
    """A symbol of one class of features; `scale` gives the denominator at a zoom.

    Casings are drawn in a pass before all lines, so that roads meet without seams. `part` picks one of the two where
    there are no passes.
    """
    kind = "line" if shape == "polygon" and not paint.fill else _KINDS[shape]
    made = node(
        parent,
        "symbol",
        {"type": _KINDS[shape], "name": name, "alpha": paint.opacity, "clip_to_extent": True, "force_rhr": False},
    )
    if kind == "marker":
        _point(made, paint, scale)
        return made
    color = paint.color
    if kind == "fill":
        _layer(made, "SimpleFill", _fill(paint))
        if not paint.band or not paint.outline:
            return made
        color = paint.outline
    if paint.band:
        _layer(made, "SimpleLine", _line(color, paint.width * 4, alpha=paint.band / paint.opacity))
    if paint.casing and part != "line":
        width = paint.width + paint.casing_width
        _layer(made, "SimpleLine", _line(paint.casing, width), _by_scale(width, paint, scale))
    if part != "casing":
        line = _line(color, paint.width, paint.dash)
        _layer(made, "SimpleLine", line, _by_scale(paint.width, paint, scale), 1 if paint.casing else 0)
    return made


def cluster_symbol(parent: Element, color: str, count: str = "@cluster_size", name: str = "centerSymbol") -> Element:
    """What stands for several points near each other: a disc with their number, which the expression `count` gives."""
    made = node(
        parent,
        "symbol",
        {"type": "marker", "name": name, "alpha": 1, "clip_to_extent": True, "force_rhr": False},
    )
    size = f"CASE WHEN {count} < 10 THEN 4.2 WHEN {count} < 100 THEN 5.6 WHEN {count} < 10000 THEN 7.5 ELSE 9.5 END"
    _layer(made, "SimpleMarker", _marker(color, 18, "#ffffff"), dynamic(size=size))
    letters = {
        "chr": "0", "color": "255,255,255,255", "font": FONTS[0], "font_style": "", "horizontal_anchor_point": "1",
        "vertical_anchor_point": "1", "offset": "0,0", "offset_unit": "MM", "size": "2.4", "size_unit": "MM",
    }  # fmt: skip
    # Light discs carry dark figures.
    letters["color"] = rgba("#ffffff" if contrast(color, "#ffffff") >= 3 else LIGHT.ink)
    _layer(made, "FontMarker", letters, dynamic(char=f"to_string({count})"))
    return made


def text_style(parent: Element, size_px: float, color: str, *, halo: str | None = None, italic: bool = False,
               bold: bool = False, field: str = "", expression: bool = False) -> Element:  # fmt: skip
    """How a text looks; `field` is a field's name or, with `expression`, an expression."""
    style = node(
        parent,
        "text-style",
        {
            "fontFamily": FONTS[0], "fontSize": round(size_px * 0.75, 2), "fontSizeUnit": "Point",
            "fontWeight": 75 if bold else 50, "fontItalic": italic, "textColor": rgba(color), "textOpacity": 1,
            "fieldName": field, "isExpression": expression, "multilineHeight": 1, "textOrientation": "horizontal",
            "fontKerning": True, "allowHtml": False, "capitalization": 0, "namedStyle": "",
        },
    )  # fmt: skip
    families = node(style, "families")
    for family in FONTS[1:]:
        node(families, "family", {"name": family})
    node(
        style,
        "text-buffer",
        {
            "bufferDraw": halo is not None, "bufferSize": mm(1.2), "bufferSizeUnits": "MM", "bufferOpacity": 0.9,
            "bufferColor": rgba(halo or "#ffffff"), "bufferNoFill": True, "bufferJoinStyle": 128,
        },
    )  # fmt: skip
    return style


def label_settings(parent: Element, shape: str, label: Label, furthest: int, *, tiles: bool = False) -> Element:
    """Labels of one layer, shown up to the denominator `furthest`, 0 for no bound; `tiles` for vector tiles."""
    made = node(parent, "settings", {"calloutType": "simple"})
    text_style(
        made, label.size, label.color, halo="#ffffff", italic=label.italic, bold=label.bold, field=label.field,
        expression=label.expression,
    )  # fmt: skip
    node(made, "text-format", {"wrapChar": "", "multilineAlign": 3, "autoWrapLength": 0})
    # Points: the first free place around; lines: along their curve; polygons: on a point inside. Looking for room in a
    # whole city takes QGIS half a minute.
    placement = {"point": 6, "line": 3, "polygon": 1}[shape]
    if tiles and placement == 6:
        # QGIS 3.22 writes no labels of vector tiles in ordered places; a circle around the point does as well.
        placement = 0
    node(
        made,
        "placement",
        {
            "placement": placement, "placementFlags": 10 if shape == "line" else 0, "priority": label.priority,
            "dist": mm(3) if shape == "point" else 0, "distUnits": "MM", "offsetType": 1, "quadOffset": 4,
            "predefinedPositionOrder": "R,TR,BR,L,TL,BL,TSR,BSR", "centroidInside": True, "centroidWhole": True,
            "repeatDistance": 80 if shape == "line" else 0, "repeatDistanceUnits": "MM", "polygonPlacementFlags": 2,
            "fitInPolygonOnly": False, "maxCurvedCharAngleIn": 25, "maxCurvedCharAngleOut": -25,
        },
    )  # fmt: skip
    node(
        made,
        "rendering",
        {
            "drawLabels": True, "scaleVisibility": furthest > 0, "scaleMax": furthest, "scaleMin": 0,
            "displayAll": False, "obstacle": shape == "point", "mergeLines": shape == "line", "labelPerPart": False,
            "minFeatureSize": 0, "limitNumLabels": False, "maxNumLabels": 2000, "upsidedownLabels": 0,
            "fontMinPixelSize": 3, "fontMaxPixelSize": 10000, "fontLimitPixelSize": False, "zIndex": label.priority,
        },
    )  # fmt: skip
    return made


def rgba(color: str, alpha: float = 1) -> str:
    """`#rrggbb` as QGIS writes colours."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"{red},{green},{blue},{round(alpha * 255)}"


def _layer(
    parent: Element, kind: str, options: Mapping[str, str], dynamic: Mapping[str, Option] | None = None, level: int = 0
) -> None:
    made = node(parent, "layer", {"class": kind, "enabled": True, "locked": False, "pass": level})
    option_map(made, dict(options))
    if dynamic:
        option_map(node(made, "data_defined_properties"), dynamic)


def dynamic(**expressions: str) -> dict[str, Option]:
    """Properties that expressions give, by QGIS's names of them."""
    properties: dict[str, Option] = {
        name: {"active": True, "expression": text, "type": 3} for name, text in expressions.items()
    }
    return {"name": "", "properties": properties, "type": "collection"}


def _point(made: Element, paint: Paint, scale: Scale) -> None:
    """A dot; from some scale on the pictogram instead; at any scale a ring where the position is not exact."""
    told: dict[str, str] = {}
    # A legend has no scale: it shows the pictogram.
    close = f"coalesce(@map_scale, 1) <= {scale(paint.icon_zoom)}" if paint.icon and paint.icon_zoom else "true"
    if paint.inexact:
        told = {
            "fillColor": f"if({paint.inexact}, '{rgba(paint.color, 0.12)}', '{rgba(paint.color)}')",
            "outlineColor": f"if({paint.inexact}, '{rgba(paint.color)}', '{rgba('#ffffff')}')",
            "size": f"if({paint.inexact}, {mm(18)}, {mm(paint.width)})",
        }
    exact = f"NOT coalesce({paint.inexact}, false)" if paint.inexact else "true"
    if paint.icon:
        told["enabled"] = f"NOT ({exact} AND {close})"
    dot = _marker(paint.color, paint.width, paint.outline or "#ffffff")
    _layer(made, "SimpleMarker", dot, dynamic(**told) if told else None)
    if paint.icon:
        drawing = {
            "name": marker_source(paint.icon, paint.color), "size": str(mm(_ICON_PX)), "size_unit": "MM", "angle": "0",
            "fixedAspectRatio": "0", "color": rgba(paint.color), "outline_width": "0", "offset": "0,0",
            "offset_unit": "MM", "scale_method": "diameter", "horizontal_anchor_point": "1",
            "vertical_anchor_point": "1", "size_map_unit_scale": _NO_SCALE,
        }  # fmt: skip
        _layer(made, "SvgMarker", drawing, dynamic(enabled=f"{exact} AND {close}"))


def _by_scale(width: float, paint: Paint, scale: Scale) -> dict[str, Option] | None:
    """Width by scale as on the web map, and from which scale on the class is drawn."""
    expressions = {}
    if paint.grows:
        at_14 = scale(14)
        growth = f"({at_14} / @map_scale) ^ if(@map_scale > {at_14}, 0.379, 0.536)"
        expressions["outlineWidth"] = f"max({mm(0.45)}, {mm(width)} * {growth})"
    if paint.min_zoom:
        expressions["enabled"] = f"@map_scale <= {scale(paint.min_zoom)}"
    return dynamic(**expressions) if expressions else None


def _marker(color: str, size: float, outline: str) -> dict[str, str]:
    return {
        "name": "circle", "color": rgba(color), "size": str(mm(size)), "size_unit": "MM", "angle": "0",
        "outline_color": rgba(outline), "outline_style": "solid", "outline_width": str(mm(1)),
        "outline_width_unit": "MM", "offset": "0,0", "offset_unit": "MM", "scale_method": "diameter",
        "horizontal_anchor_point": "1", "vertical_anchor_point": "1", "joinstyle": "bevel",
        "size_map_unit_scale": _NO_SCALE,
    }  # fmt: skip


def _line(color: str, width: float, dash: tuple[float, ...] = (), alpha: float = 1) -> dict[str, str]:
    options = {
        "line_color": rgba(color, alpha), "line_width": str(mm(width)), "line_width_unit": "MM", "line_style": "solid",
        "capstyle": "flat" if dash else "round", "joinstyle": "round", "offset": "0", "offset_unit": "MM",
        "use_custom_dash": "0", "width_map_unit_scale": _NO_SCALE,
    }  # fmt: skip
    if dash:
        pattern = ";".join(str(mm(d * width)) for d in dash)
        options |= {"use_custom_dash": "1", "customdash": pattern, "customdash_unit": "MM"}
    return options


def _fill(paint: Paint) -> dict[str, str]:
    return {
        "color": rgba(paint.color, paint.fill), "style": "solid", "joinstyle": "bevel", "offset": "0,0",
        "offset_unit": "MM", "outline_color": rgba(paint.outline or paint.color),
        "outline_style": "solid" if paint.outline and not paint.band else "no", "outline_width": str(mm(paint.width)),
        "outline_width_unit": "MM", "border_width_map_unit_scale": _NO_SCALE,
    }  # fmt: skip
