# SPDX-License-Identifier: Apache-2.0
"""What a layer looks like in QGIS, worked out from its style block as the web map's styles are.

Widths are CSS pixels at zoom 14, colours `#rrggbb`. Zooms are those of the web map (tiles of 512 pixels).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import LayerSpec, Text
from geocloud.qgis.classes import classes_of

__all__ = ["INK", "LAND", "Drawn", "Label", "Look", "Paint", "Shape", "denominator", "look_of", "place", "shape_of"]

Shape = Literal["point", "line", "polygon"]
INK, LAND, WATER, WATER_LINE, WATER_INK, CASING = "#1f2a30", "#f4f2ec", "#c8dbe6", "#9fc0d3", "#3d7391", "#d5d2cb"
_SHAPES: dict[str, Shape] = {
    "point": "point", "multipoint": "point", "linestring": "line", "multilinestring": "line", "polygon": "polygon",
    "multipolygon": "polygon",
}  # fmt: skip
# From the ground up; what is laid over the base map stands above it, points above lines above areas.
_STACK = ("land", "land_use", "water", "watercourse", "building", "road", "railway", "boundary", "overlay", "place")
# Boundaries by rank: pixels, and dashes in multiples of them.
_BOUNDARIES: dict[int, tuple[float, tuple[float, ...]]] = {
    1: (2.2, ()), 2: (1.6, (6, 2, 1, 2)), 3: (1.1, (4, 2)), 4: (0.7, (2, 2)),
}  # fmt: skip
_OTHERS = Text(zh="其他", en="Other")
# Metres a pixel of 1/96 inch covers at zoom 0 on the equator, as a scale's denominator.
_DENOMINATOR_Z0 = 2 * math.pi * 6378137 / 512 / (0.0254 / 96)


@dataclass(frozen=True, slots=True)
class Paint:
    """How one class is drawn. `fill` is the opacity of an area's inside, 0 for outlines only."""

    color: str
    width: float = 1
    outline: str | None = None
    fill: float = 0
    casing: str | None = None
    dash: tuple[float, ...] = ()
    opacity: float = 1
    min_zoom: float | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A class in the legend: the codes drawn so; no codes means all that are left."""

    codes: tuple[str, ...]
    title: Text
    paint: Paint


@dataclass(frozen=True, slots=True)
class Label:
    """What is written beside a feature; `priority` 0 to 10."""

    field: str
    size: float = 12
    color: str = INK
    italic: bool = False
    bold: bool = False
    priority: int = 4
    zoom: float = 0


@dataclass(frozen=True, slots=True)
class Look:
    """A layer's look: classes of `field`, or one class when it is None; nothing to draw for a table."""

    shape: Shape | None
    field: str | None
    classes: tuple[Drawn, ...]
    label: Label | None
    # Neighbouring points are drawn as one disc with their number.
    clustered: bool = False


def look_of(layer: Layer, shape: Shape | None, language: str) -> Look:
    """The look of a layer whose features are of one shape; a table's when that is None."""
    spec = layer.spec
    if shape is None:
        return Look(None, None, (), None)
    base = _paint(spec, shape)
    drawn = [Drawn(c.codes, c.title, _of_class(base, spec, c.color, c.width, c.dashed, c.min_zoom))
             for c in classes_of(layer)]  # fmt: skip
    rest = replace(base, color=spec.style.color) if spec.style.draw != "water" else base
    drawn.append(Drawn((), _OTHERS if drawn else spec.title, rest))
    clustered = shape == "point" and spec.tiles.overview in ("cluster", "h3")
    return Look(shape, spec.style.color_by if len(drawn) > 1 else None, tuple(drawn), _label(spec, language), clustered)


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


def _paint(spec: LayerSpec, shape: Shape) -> Paint:
    style, width = spec.style, spec.style.width
    if shape == "point":
        return Paint(style.color, 8)
    if style.draw == "boundary":
        own, dash = _BOUNDARIES.get(style.rank, _BOUNDARIES[4])
        return Paint(style.color, width or own, dash=dash)
    return _line(spec, width or 1.4) if shape == "line" else _area(spec, width)


def _line(spec: LayerSpec, width: float) -> Paint:
    kind, color = spec.style.draw, spec.style.color
    if kind == "road":
        return Paint("#ffffff", width, casing=CASING)
    if kind == "railway":
        return Paint("#ffffff", width, casing=color, dash=(6, 6))
    return Paint(WATER_LINE if kind == "watercourse" else color, width)


def _area(spec: LayerSpec, width: float | None) -> Paint:
    kind, color, opacity = spec.style.draw, spec.style.color, spec.style.opacity
    if kind == "water":
        return Paint(WATER, 0.6, outline=WATER_LINE, fill=opacity)
    if kind in ("land", "land_use", "building"):
        return Paint(color, width or 0.5, outline=_darker(color, 0.82), fill=opacity)
    return Paint(color, width or 1, outline=_darker(color, 0.8), fill=0.55 if opacity == 1 else opacity)


def _of_class(
    base: Paint, spec: LayerSpec, color: str, width: float | None, dashed: bool, min_zoom: float | None
) -> Paint:
    changed = replace(base, color=color, width=width or base.width, min_zoom=min_zoom)
    if base.casing:
        changed = replace(changed, casing=None if dashed else _darker(color, 0.8) if color != "#ffffff" else CASING)
    if dashed:
        changed = replace(changed, dash=(3, 2))
    if base.outline:
        changed = replace(changed, outline=_darker(color, 0.82))
    return changed


def _label(spec: LayerSpec, language: str) -> Label | None:
    style = spec.style
    if not style.label:
        return None
    names = {f.name for f in spec.visible_fields}
    field = f"{style.label}_en" if language == "en" and f"{style.label}_en" in names else style.label
    zoom = style.label_zoom if style.label_zoom is not None else _label_zoom(spec)
    label = Label(field, zoom=zoom)
    if style.draw in ("water", "watercourse"):
        return replace(label, color=WATER_INK, italic=True, priority=3)
    if style.draw == "boundary":
        size = {1: 20.0, 2: 16.0, 3: 14.0}.get(style.rank, 12.0)
        return replace(label, size=size, bold=style.rank <= 2, priority=max(4, 10 - style.rank))
    if style.draw == "place":
        return replace(label, size=14, priority=7)
    return label


def _label_zoom(spec: LayerSpec) -> float:
    """The first zoom whose tiles carry the label's field and show features instead of aggregates."""
    carrying = [b.zoom for b in spec.tiles.bands if spec.style.label in b.fields]
    first = min(carrying) if carrying else spec.tiles.min_zoom
    return max(first, spec.tiles.overview_below if spec.tiles.overview != "none" else 0)


def _darker(color: str, share: float) -> str:
    return "#" + "".join(f"{round(int(color[i : i + 2], 16) * share):02x}" for i in (1, 3, 5))
