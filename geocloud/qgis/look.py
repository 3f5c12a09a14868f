# SPDX-License-Identifier: Apache-2.0
"""What a layer looks like in QGIS: classes, colours and widths of the web map's styles, in light colours.

Widths are CSS pixels, colours `#rrggbb`. Zooms are those of the web map, whose tiles are 512 pixels wide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import LayerSpec, Text
from geocloud.styles.base import road_color
from geocloud.styles.classes import MapClass, classes_of, other_color
from geocloud.styles.overlays import INEXACT, marker_zoom
from geocloud.styles.palette import LIGHT, mixed

__all__ = ["Drawn", "Label", "Look", "Paint", "Shape", "denominator", "look_of", "place", "shape_of"]

Shape = Literal["point", "line", "polygon"]
_SHAPES: dict[str, Shape] = {
    "point": "point", "multipoint": "point", "linestring": "line", "multilinestring": "line", "polygon": "polygon",
    "multipolygon": "polygon",
}  # fmt: skip
# From the ground up; what is laid over the base map stands above it, points above lines above areas.
_STACK = ("land", "land_use", "water", "watercourse", "building", "road", "railway", "boundary", "overlay", "place")
# Boundaries by rank: width, dashes in multiples of it, opacity of the line and of the band under it, first zoom.
_BOUNDARIES: dict[int, tuple[float, tuple[float, ...], float, float, float]] = {
    1: (2.2, (6, 2, 1.4, 2), 0.85, 0.16, 0), 2: (1.3, (4, 2.2), 0.7, 0.12, 5), 3: (0.9, (2, 2.2), 0.6, 0, 9),
    4: (0.7, (1, 2.4), 0.5, 0, 12),
}  # fmt: skip
# Names by rank: size, first zoom.
_NAMES: dict[int, tuple[float, float]] = {1: (20, 3), 2: (16, 6.5), 3: (13, 9.6), 4: (12, 11.8), 5: (11.5, 13)}
# Points are markers when they are no longer clustered, in dense layers two zooms later; then their names follow.
_DENSE_FROM, _LABELS_AFTER = 13, 1
_REST = Text(zh="其他", en="Other")
# What is left where a class has that name already: rows whose field is empty, or says what no class is for.
_UNCLASSED = Text(zh="未分类", en="Not classed")
# Metres a pixel of 1/96 inch covers at zoom 0 on the equator, as a scale's denominator.
_DENOMINATOR_Z0 = 2 * math.pi * 6378137 / 512 / (0.0254 / 96)


@dataclass(frozen=True, slots=True)
class Paint:
    """How one class is drawn.

    `fill` is the opacity of an area's inside, 0 for outlines only. `casing` is drawn under a line and `casing_width`
    wider. `band` is the opacity of a broad line under a boundary. A line that `grows` has its width at zoom 14.
    Points for which the expression `inexact` is true are drawn as rings; `icon` is the pictogram of the others from
    `icon_zoom` on, before which they are dots.
    """

    color: str
    width: float = 1
    outline: str | None = None
    fill: float = 0
    casing: str | None = None
    casing_width: float = 0
    dash: tuple[float, ...] = ()
    band: float = 0
    opacity: float = 1
    grows: bool = False
    min_zoom: float = 0
    inexact: str = ""
    icon: str | None = None
    icon_zoom: float = 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """A class in the legend: the codes drawn so; no codes means all that are left."""

    codes: tuple[str | int, ...]
    title: Text
    paint: Paint


@dataclass(frozen=True, slots=True)
class Label:
    """What is written beside a feature: a field, or what an `expression` gives; `priority` 0 to 10."""

    field: str
    size: float = 11.5
    color: str = LIGHT.secondary
    italic: bool = False
    bold: bool = False
    priority: int = 3
    zoom: float = 0
    expression: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """A layer's look: classes of `field` (an expression too), or one class when it is None; nothing for a table."""

    shape: Shape | None
    field: str | None
    classes: tuple[Drawn, ...]
    label: Label | None
    # Neighbouring points are drawn as one disc with their number.
    clustered: bool = False
    # Names alone: the points are not drawn.
    names_only: bool = False
    # The layer's own colour, for what stands for features of several classes.
    color: str = LIGHT.secondary
    # What covered ground is drawn in where it is not the colour of a class.
    cover: str | None = None
    # Areas larger than tiles: boundaries, and the ground that lies under everything.
    vast: bool = False


def look_of(layer: Layer, shape: Shape | None, language: str) -> Look:
    """The look of a layer whose features are of one shape; a table's when that is None."""
    spec = layer.spec
    if shape is None:
        return Look(None, None, (), None)
    rest = _paint(layer, shape)
    # Boundaries, water and buildings are drawn alike, whatever their code.
    alike = spec.style.draw in ("land", "boundary", "water", "building", "railway", "place")
    classes = () if alike else classes_of(layer)
    drawn = [Drawn(c.codes, c.title, _of_class(layer, rest, c, i)) for i, c in enumerate(classes)]
    left = _UNCLASSED if any(d.title.zh == _REST.zh for d in drawn) else _REST
    drawn.append(Drawn((), left if drawn else spec.title, rest))
    clustered = shape == "point" and spec.style.draw == "overlay" and spec.tiles.overview in ("cluster", "h3")
    field = spec.style.color_by if len(drawn) > 1 else None
    named = spec.style.draw == "place"
    cover = LIGHT.built_up if spec.style.draw == "building" else None
    vast = spec.style.draw in ("boundary", "land")
    return Look(shape, field, tuple(drawn), _label(spec, language), clustered, named, spec.style.color, cover, vast)


def shape_of(spec: LayerSpec) -> Shape | None:
    """The shape that the definition says; None for tables and where any geometry may come."""
    return _SHAPES.get(spec.geometry)


def place(spec: LayerSpec, shape: Shape | None) -> tuple[int, int, int, int, str]:
    """Sorts layers from the lowest to the topmost as they are drawn."""
    kind = spec.style.draw
    layered = ("polygon", "line", "point").index(shape) if shape and kind == "overlay" else 0
    rank = -spec.style.rank if kind == "boundary" else 0
    return _STACK.index(kind), layered, rank, spec.style.order, spec.id


def denominator(zoom: float, latitude: float) -> int:
    """The scale 1:n at which the web map stands at a zoom, on a screen of 96 dots an inch, at a latitude."""
    return round(_DENOMINATOR_Z0 * math.cos(math.radians(latitude)) / 2**zoom)


def _paint(layer: Layer, shape: Shape) -> Paint:
    """How features are drawn that no class names."""
    style, color = layer.spec.style, other_color(layer)
    if style.draw in ("boundary", "land") and shape != "point":
        width, dash, opacity, band, zoom = _BOUNDARIES[min(style.rank, 4)]
        if style.draw == "land":
            return Paint(LIGHT.land, width, outline=LIGHT.boundary, fill=1, dash=dash, band=band)
        return Paint(LIGHT.boundary, width, dash=dash, opacity=opacity, band=band, min_zoom=zoom)
    if shape == "point":
        if style.draw != "overlay":
            return Paint(LIGHT.secondary, 5)
        icon, zoom = style.icon or "poi", marker_zoom(layer)
        return Paint(color, 9, inexact=_inexact(layer.spec), icon=icon, icon_zoom=zoom)
    return _line(layer, color) if shape == "line" else _area(layer, color)


def _line(layer: Layer, color: str) -> Paint:
    style = layer.spec.style
    width = style.width or 2
    if style.draw == "road":
        return Paint(LIGHT.road, width, casing=LIGHT.casing, casing_width=1.8, grows=True)
    if style.draw == "railway":
        width = style.width or 1.2
        gap = width * 1.3
        return Paint(LIGHT.rail_gap, gap, casing=LIGHT.rail, casing_width=width * 1.1, dash=(4, 4), grows=True)
    if style.draw == "watercourse":
        return Paint(LIGHT.water_line, style.width or 1.4, grows=True)
    return Paint(color, width)


def _area(layer: Layer, color: str) -> Paint:
    style = layer.spec.style
    if style.draw == "water":
        return Paint(LIGHT.water, 0.7, outline=LIGHT.water_line, fill=1)
    if style.draw == "building":
        return Paint(LIGHT.building, 0.6, outline=LIGHT.building_line, fill=1)
    if style.draw == "land_use":
        return Paint(LIGHT.built_up, 0.4, outline=mixed(LIGHT.built_up, LIGHT.secondary, 0.25), fill=1)
    return Paint(color, style.width or 1, outline=mixed(color, LIGHT.ink, 0.25), fill=0.5 * style.opacity)


def _of_class(layer: Layer, rest: Paint, entry: MapClass, index: int) -> Paint:
    said, kind = entry.said, layer.spec.style.draw
    changed = replace(rest, width=said.width or rest.width, min_zoom=max(rest.min_zoom, said.min_zoom or 0))
    if kind == "road":
        changed = replace(changed, color=road_color(entry, index, LIGHT))
        return (
            replace(changed, casing=None, dash=(3, 1.6), min_zoom=max(changed.min_zoom, 13)) if said.dashed else changed
        )
    if kind == "watercourse":
        return changed
    if kind == "land_use":
        tint = getattr(LIGHT, said.ground or "built_up")
        return replace(changed, color=tint, outline=mixed(tint, LIGHT.secondary, 0.25))
    dash = (3, 2) if said.dashed else rest.dash
    outline = mixed(entry.color, LIGHT.ink, 0.25) if rest.outline else None
    return replace(changed, color=entry.color, dash=dash, outline=outline)


def _inexact(spec: LayerSpec) -> str:
    """An expression for positions that stand for an area; empty when the layer does not tell."""
    names = {f.name for f in spec.visible_fields}
    tests = []
    if "position_quality" in names:
        tests.append(f"coalesce(\"position_quality\", '') IN ({', '.join(repr(c) for c in INEXACT)})")
    if "position_accuracy_m" in names:
        tests.append('coalesce("position_accuracy_m", 0) >= 50')
    return " OR ".join(tests)


def _label(spec: LayerSpec, language: str) -> Label | None:
    style = spec.style
    if not style.label:
        return None
    names = {f.name for f in spec.visible_fields}
    field = f"{style.label}_en" if language == "en" and f"{style.label}_en" in names else style.label
    label = Label(field, zoom=style.label_zoom if style.label_zoom is not None else _label_zoom(spec))
    if style.draw == "water":
        return replace(label, color=LIGHT.water_label, italic=True, zoom=max(label.zoom, 11.5))
    if style.draw == "watercourse":
        return replace(label, color=LIGHT.water_label, italic=True, zoom=max(label.zoom, 9))
    if style.draw in ("boundary", "land"):
        size, zoom = _NAMES[min(style.rank, 5)]
        ink = LIGHT.ink if style.rank <= 3 else LIGHT.secondary
        bold = style.rank <= 2
        return replace(label, size=size, color=ink, bold=bold, priority=max(4, 10 - style.rank), zoom=zoom)
    if style.draw == "place":
        return replace(label, priority=4, zoom=max(label.zoom, 11.8))
    first = {"road": 12.5, "railway": 12.0, "building": 16.0}.get(style.draw, 0)
    return replace(label, zoom=max(label.zoom, first), size=11 if first else label.size)


def _label_zoom(spec: LayerSpec) -> float:
    """The first zoom whose tiles carry the label's field and show features instead of aggregates."""
    carrying = [b.zoom for b in spec.tiles.bands if spec.style.label in b.fields]
    first = float(min(carrying) if carrying else spec.tiles.min_zoom)
    if spec.tiles.overview == "none":
        return first
    below = spec.tiles.overview_below
    overlay = spec.style.draw == "overlay" and "point" in spec.geometry
    return max(first, below + (_LABELS_AFTER + (2 if below >= _DENSE_FROM else 0) if overlay else 0))
