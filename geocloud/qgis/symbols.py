# SPDX-License-Identifier: Apache-2.0
"""Symbols and texts of QGIS: markers, lines with casing, fills, labels with halo.

Sizes come in CSS pixels, as map styles have them, and are written in millimetres so that they print the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from geocloud.qgis.look import Label, Paint
from geocloud.qgis.xml import Element, node, option_map

__all__ = ["FONTS", "cluster_symbol", "label_settings", "mm", "symbol", "text_style"]

# The first that the machine has is used, by QGIS itself.
FONTS = ("Noto Sans SC", "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "SimHei")
_KINDS = {"point": "marker", "line": "line", "polygon": "fill"}
_NO_SCALE = "3x:0,0,0,0,0,0"


def mm(pixels: float) -> float:
    """CSS pixels (1/96 inch) in millimetres."""
    return round(pixels * 25.4 / 96, 3)


def symbol(parent: Element, name: str, shape: str, paint: Paint) -> Element:
    """A symbol of one class of features."""
    made = node(
        parent,
        "symbol",
        {"type": _KINDS[shape], "name": name, "alpha": paint.opacity, "clip_to_extent": True, "force_rhr": False},
    )
    if shape == "point":
        _layer(made, "SimpleMarker", _marker(paint.color, paint.width, paint.outline or "#ffffff"))
    elif shape == "line":
        if paint.casing:
            _layer(made, "SimpleLine", _line(paint.casing, paint.width + 1.2))
        _layer(made, "SimpleLine", _line(paint.color, paint.width, paint.dash))
    elif paint.fill:
        _layer(made, "SimpleFill", _fill(paint))
    else:
        _layer(made, "SimpleLine", _line(paint.color, paint.width, paint.dash))
    return made


def cluster_symbol(parent: Element, color: str) -> Element:
    """What stands for several points near each other: a disc with their number."""
    made = node(
        parent,
        "symbol",
        {"type": "marker", "name": "centerSymbol", "alpha": 1, "clip_to_extent": True, "force_rhr": False},
    )
    size = _dynamic("size", "CASE WHEN @cluster_size < 10 THEN 4.2 WHEN @cluster_size < 100 THEN 5.6 ELSE 7 END")
    _layer(made, "SimpleMarker", _marker(color, 18, "#ffffff") | {"outline_width": "0.4"}, size)
    letters = {
        "chr": "A",
        "color": "255,255,255,255",
        "font": FONTS[0],
        "font_style": "",
        "horizontal_anchor_point": "1",
        "vertical_anchor_point": "1",
        "offset": "0,0",
        "offset_unit": "MM",
        "size": "2.4",
        "size_unit": "MM",
    }
    _layer(made, "FontMarker", letters, _dynamic("char", "@cluster_size"))
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


def label_settings(parent: Element, shape: str, label: Label, scales: tuple[float, float]) -> Element:
    """Labels of one layer; `scales` are the largest and the smallest denominator at which they show, 0 for no bound."""
    made = node(parent, "settings", {"calloutType": "simple"})
    text_style(made, label.size, label.color, halo="#ffffff", italic=label.italic, bold=label.bold, field=label.field)
    node(made, "text-format", {"wrapChar": "", "multilineAlign": 3, "autoWrapLength": 0})
    # Points: the free place of eight around; lines: along them; polygons: free inside.
    placement = {"point": 6, "line": 3, "polygon": 1}[shape]
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
            "drawLabels": True, "scaleVisibility": any(scales), "scaleMax": scales[0], "scaleMin": scales[1],
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


def _layer(parent: Element, kind: str, options: Mapping[str, str], dynamic: Mapping[str, object] | None = None) -> None:
    made = node(parent, "layer", {"class": kind, "enabled": True, "locked": False, "pass": 0})
    option_map(made, dict(options))
    if dynamic:
        option_map(node(made, "data_defined_properties"), dynamic)  # type: ignore[arg-type]


def _dynamic(name: str, expression: str) -> dict[str, object]:
    one = {"active": True, "expression": expression, "type": 3}
    return {"name": "", "properties": {name: one}, "type": "collection"}


def _marker(color: str, size: float, outline: str) -> dict[str, str]:
    return {
        "name": "circle", "color": rgba(color), "size": str(mm(size)), "size_unit": "MM", "angle": "0",
        "outline_color": rgba(outline), "outline_style": "solid", "outline_width": str(mm(1)),
        "outline_width_unit": "MM", "offset": "0,0", "offset_unit": "MM", "scale_method": "diameter",
        "horizontal_anchor_point": "1", "vertical_anchor_point": "1", "joinstyle": "bevel",
        "size_map_unit_scale": _NO_SCALE,
    }  # fmt: skip


def _line(color: str, width: float, dash: tuple[float, ...] = ()) -> dict[str, str]:
    options = {
        "line_color": rgba(color), "line_width": str(mm(width)), "line_width_unit": "MM", "line_style": "solid",
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
        "outline_style": "solid" if paint.outline else "no", "outline_width": str(mm(paint.width)),
        "outline_width_unit": "MM", "border_width_map_unit_scale": _NO_SCALE,
    }  # fmt: skip
