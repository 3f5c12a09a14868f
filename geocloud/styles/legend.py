# SPDX-License-Identifier: Apache-2.0
"""Legends: what each layer of a style is drawn like, in words, colours and names of images of the sprite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import Text
from geocloud.styles.base import BOUNDARY_DASHES, LABEL_RANKS, road_color
from geocloud.styles.classes import MapClass, classes_of, other_color
from geocloud.styles.expressions import carried
from geocloud.styles.palette import Palette, data_color, palette
from geocloud.styles.sprites import marker_name
from geocloud.styles.style import Subject

__all__ = ["legend"]

Entry = dict[str, Any]
_CLUSTER = Text(
    zh="聚合点，数字为个数，颜色为最多的一类", en="Cluster: number of features, colour of the largest class"
)
_RING = Text(zh="位置近似：环示可能范围", en="Approximate position: somewhere within the ring")
_COVER = Text(zh="小比例尺：格内所占面积，越深越多", en="Small scales: share of a cell that is covered")

_H3 = Text(zh="H3 六角格，越深个数越多", en="H3 hexagons: the darker, the more features")


def legend(of: Subject, language: Literal["zh", "en"], *, dark: bool, title: str) -> dict[str, Any]:
    """The legend of a style: layers from the base map up, each with its entries.

    `symbol` of an entry is marker, line, railway, area, cluster, ring or cells; colours are those of the theme; `icon`
    names an image of the sprite.
    """
    colors = palette(dark=dark)
    layers = []
    # A layer that is both ground and data (land parcels) is explained once, as data.
    ground = [x for x in of.base if x not in of.overlays]
    for layer in (*ground, *of.overlays):
        base = layer in ground
        entries = _BASE[layer.spec.style.draw](layer, colors) if base else _overlay(layer, colors)
        layers.append(
            {
                "collection": layer.id,
                "title": _say(layer.spec.title, language),
                "role": "base" if base else "overlay",
                "visible": base or of.id != "city" or layer.spec.style.visible,
                "synthetic": layer.synthetic,
                **({"mark": "示例数据" if language == "zh" else "synthetic data", "pattern": "hatch"} if layer.synthetic
                   else {}),
                "empty": layer.state.row_count == 0,
                "minzoom": layer.spec.tiles.min_zoom,
                "entries": [{**e, "label": _say(e["label"], language)} for e in entries],
            }
        )  # fmt: skip
    return {"style": of.id, "title": title, "language": language, "theme": colors.name, "layers": layers}


def _overlay(layer: Layer, colors: Palette) -> list[Entry]:
    dark, style, kind = colors.name == "dark", layer.spec.style, layer.spec.geometry
    symbol = "marker" if "point" in kind else "line" if "line" in kind else "area"

    def entry(label: Text, color: str, said: MapClass | None) -> Entry:
        found: Entry = {"label": label, "symbol": symbol, "color": data_color(color, dark=dark)}
        if symbol == "marker":
            found["icon"] = marker_name(style.icon or "poi", color)
        elif symbol == "line":
            found["width"] = (said.said.width if said else None) or style.width or 2.0
        else:
            found |= {"opacity": 0.5 * style.opacity, "outline": data_color(color, dark=dark)}
        return found | ({"codes": list(said.codes)} if said else {})

    classes = classes_of(layer)
    entries = [entry(c.title, c.color, c) for c in classes] or [entry(layer.spec.title, other_color(layer), None)]
    main = data_color(style.color, dark=dark)
    tiles = layer.spec.tiles
    if symbol == "marker" and any(carried(layer, n) is not None for n in ("position_quality", "position_accuracy_m")):
        entries.append({"label": _RING, "symbol": "ring", "color": main})
    if tiles.overview == "cluster":
        entries.append({"label": _CLUSTER, "symbol": "cluster", "color": main, "maxzoom": tiles.overview_below})
    if tiles.overview == "h3":
        # Hexagons are of one hue; classes are told apart where single points begin.
        entries = [e | {"minzoom": tiles.overview_below} for e in entries]
        entries.append({"label": _H3, "symbol": "cells", "color": main, "maxzoom": tiles.overview_below})
    if tiles.overview == "cover":
        entries.append({"label": _COVER, "symbol": "cells", "color": main, "maxzoom": tiles.overview_below})
    return entries


def _land(layer: Layer, colors: Palette) -> list[Entry]:
    ground = {"label": Text(zh="陆地", en="Land"), "symbol": "area", "color": colors.land, "outline": colors.hairline}
    return [ground, *_boundary(layer, colors)]


def _boundary(layer: Layer, colors: Palette) -> list[Entry]:
    rank = layer.spec.style.rank
    dashes, width = BOUNDARY_DASHES[min(rank, 4)]
    label = Text(zh=f"{layer.spec.title.zh}界线", en=f"Boundary: {layer.spec.title.en}")
    more = {"dashes": dashes} if dashes else {}
    return [{"label": label, "symbol": "line", "color": colors.boundary, "width": width, **more}]


def _water(layer: Layer, colors: Palette) -> list[Entry]:
    return [{"label": layer.spec.title, "symbol": "area", "color": colors.water, "outline": colors.water_line}]


def _watercourse(layer: Layer, colors: Palette) -> list[Entry]:
    classes = classes_of(layer)
    return [
        _zoomed(c, {"label": c.title, "symbol": "line", "color": colors.water_line, "width": c.said.width or 1.4})
        for c in classes
    ] or [{"label": layer.spec.title, "symbol": "line", "color": colors.water_line, "width": 1.4}]


def _building(layer: Layer, colors: Palette) -> list[Entry]:
    areas = {"label": layer.spec.title, "symbol": "area", "color": colors.building, "outline": colors.building_line}
    dense = {"label": Text(zh="建成区（小比例尺）", en="Built-up (small scales)"), "symbol": "area",
             "color": colors.built_up, "maxzoom": layer.spec.tiles.overview_below}  # fmt: skip
    return [areas, dense]


def _land_use(layer: Layer, colors: Palette) -> list[Entry]:
    return [
        {"label": c.title, "symbol": "area", "color": getattr(colors, c.said.ground or "built_up"),
         "outline": colors.hairline, "codes": list(c.codes)}
        for c in classes_of(layer)
    ]  # fmt: skip


def _road(layer: Layer, colors: Palette) -> list[Entry]:
    entries = []
    for i, c in enumerate(classes_of(layer)):
        entry: Entry = {"label": c.title, "symbol": "line", "color": road_color(c, i, colors), "codes": list(c.codes)}
        width = c.said.width or layer.spec.style.width or 2.0
        more: Entry = {"dashes": [3, 1.6]} if c.said.dashed else {"casing": colors.casing}
        entries.append(_zoomed(c, entry | {"width": width} | more))
    width = layer.spec.style.width or 2.0
    plain = {"label": layer.spec.title, "symbol": "line", "color": colors.road, "casing": colors.casing, "width": width}
    return entries or [plain]


def _railway(layer: Layer, colors: Palette) -> list[Entry]:
    return [{"label": layer.spec.title, "symbol": "railway", "color": colors.rail, "gap": colors.rail_gap, "width": 3}]


def _place(layer: Layer, _colors: Palette) -> list[Entry]:
    return [
        {"label": c.title, "symbol": "marker", "icon": sign, "minzoom": max(zoom, c.said.min_zoom or 0),
         "codes": list(c.codes)}
        for i, c in enumerate(classes_of(layer))
        for zoom, _, _, sign in [LABEL_RANKS[min(i + 1, 5)]]
    ]  # fmt: skip


def _zoomed(entry: MapClass, found: Entry) -> Entry:
    more = {"minzoom": entry.said.min_zoom} if entry.said.min_zoom else {}
    return found | {"codes": list(entry.codes)} | more


def _say(text: Text, language: Literal["zh", "en"]) -> str:
    return text.zh if language == "zh" else text.en


_BASE: dict[str, Callable[[Layer, Palette], list[Entry]]] = {
    "land": _land,
    "boundary": _boundary,
    "land_use": _land_use,
    "water": _water,
    "watercourse": _watercourse,
    "building": _building,
    "road": _road,
    "railway": _railway,
    "place": _place,
}
