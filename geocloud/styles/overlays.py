# SPDX-License-Identifier: Apache-2.0
"""Data laid over the base map: points as markers, clusters by count, areas, lines, cells of coverage.

Class colours come from one list, so that paint, legend and sprite agree. No point is lost where markers would overlap:
a dot in the colour of its class stays.
"""

from __future__ import annotations

import math
from typing import Any

from geocloud.catalogue.registry import Layer
from geocloud.styles.classes import MapClass, by_class, classes_of, other_color
from geocloud.styles.expressions import (
    BOLD,
    POINTS,
    POLYGONS,
    REGULAR,
    SINGLE,
    Drawing,
    by_share,
    carried,
    interpolated,
    overview_is,
    text_of,
)
from geocloud.styles.palette import contrast, data_color, mixed
from geocloud.styles.sprites import marker_name
from geocloud.styles.stagger import COUNT_SIZE

__all__ = ["INEXACT", "draw_overlay", "marker_zoom"]

# Codes of `position_quality` whose point stands for an area, not for the thing.
INEXACT = ("area", "address", "none")
# Metres a pixel at zoom 0 on the equator, tiles of 512 pixels.
_METRES_A_PIXEL = 40_075_016.686 / 512
# Radius of a cluster by the decimal logarithm of its count.
_RADII = {0: 5, 1: 11, 2: 15, 3: 19, 4: 24, 6: 32}
# Names of points wait for this zoom: before it they would be all there is to see.
_NAMES_FROM = 13.0
# Layers whose overview ends at this zoom or later are dense.
_DENSE_FROM = 14


def marker_zoom(layer: Layer) -> float:
    """The zoom from which single points are markers; below it they are dots. Dense layers wait two zooms longer."""
    tiles = layer.spec.tiles
    if tiles.overview == "none":
        return float(tiles.min_zoom)
    return float(tiles.overview_below + (2 if tiles.overview_below >= _DENSE_FROM else 0))


def draw_overlay(d: Drawing) -> None:
    """All style layers of an overlay: by kind of geometry, and aggregates of every kind its tiles may hold."""
    classes, kind = classes_of(d.layer), d.layer.spec.geometry
    colors = [data_color(c.color, dark=d.dark) for c in classes]
    other = data_color(other_color(d.layer), dark=d.dark)
    color = by_class(d.layer, classes, colors, other)
    if "polygon" in kind or kind == "geometry":
        _areas(d, color)
    if "line" in kind or kind == "geometry":
        _lines(d, classes, color, only=kind == "geometry")
    if "point" in kind or kind == "geometry":
        _cells(d)
        _points(d, classes, color, other)
        _clusters(d, classes, colors, color, other)


def _areas(d: Drawing, color: Any) -> None:
    style, label = d.layer.spec.style, d.layer.spec.style.label
    width = style.width or 1.0
    edge = mixed(data_color(style.color, dark=d.dark), d.colors.ink, 0.3) if not style.color_by else color
    d.add(
        40, "fill", "fill", "overlay", filter=POLYGONS,
        paint={"fill-color": color, "fill-opacity": by_share(0.12, 0.8, round(0.5 * style.opacity, 3)),
               "fill-antialias": False},
    )  # fmt: skip
    d.add(
        56, "outline", "line", "overlay", filter=["all", SINGLE, POLYGONS],
        layout={"line-join": "round"},
        paint={"line-color": edge,
               "line-width": interpolated({10: max(0.4, round(0.45 * width, 2)), 14: width, 18: max(2.0, width + 1)}),
               "line-opacity": 0.9},
    )  # fmt: skip
    if label and "point" not in d.layer.spec.geometry:
        zoom = max(carried(d.layer, label) or 0.0, style.label_zoom or 15.0)
        d.add(
            120, "label", "symbol", "label", minzoom=zoom, filter=["all", SINGLE, POLYGONS, ["has", label]],
            layout={"text-field": text_of(d.layer, d.language), "text-font": REGULAR, "text-size": 12,
                    "text-max-width": 60 if d.language == "zh" else 10},
            paint={"text-color": d.colors.ink, **d.halo()},
        )  # fmt: skip


def _lines(d: Drawing, classes: tuple[MapClass, ...], color: Any, *, only: bool) -> None:
    style = d.layer.spec.style
    widths = [c.said.width or style.width or 2.0 for c in classes]
    found = ["in", ["geometry-type"], ["literal", ["LineString", "MultiLineString"]]] if only else None

    def width(more: float) -> list[Any]:
        stops = {}
        for zoom, factor in {6: 0.5, 10: 0.8, 14: 1.0, 18: 2.4}.items():
            values = [round(w * factor + more, 2) for w in widths]
            stops[float(zoom)] = by_class(d.layer, classes, values, round((style.width or 2.0) * factor + more, 2))
        return interpolated(stops)

    layout = {"line-join": "round", "line-cap": "round"}
    d.add(
        80, "casing", "line", "overlay", filter=found, layout=layout,
        paint={"line-color": d.colors.halo, "line-width": width(2.0), "line-opacity": 0.8},
    )  # fmt: skip
    d.add(
        81, "line", "line", "overlay", filter=found, layout=layout, paint={"line-color": color, "line-width": width(0)}
    )
    if style.label and (zoom := carried(d.layer, style.label)) is not None:
        d.add(
            120, "label", "symbol", "label", minzoom=max(zoom, style.label_zoom or 12.0),
            filter=["all", SINGLE, ["has", style.label], *([found] if found else [])],
            layout={"symbol-placement": "line", "symbol-spacing": 340, "text-field": text_of(d.layer, d.language),
                    "text-font": REGULAR, "text-size": 12, "text-max-angle": 30, "text-padding": 6},
            paint={"text-color": d.colors.ink, **d.halo()},
        )  # fmt: skip


def _cells(d: Drawing) -> None:
    """H3 cells by count, on a ramp of one hue: more is darker on light ground and lighter on dark ground.

    The number is written once, in the tile that holds the middle, where no name stands; other tiles draw
    their part of the outline.
    """
    if d.layer.spec.tiles.overview != "h3":
        return
    base = data_color(d.layer.spec.style.color, dark=d.dark)
    low, high = mixed(base, d.colors.land, 0.6), mixed(base, d.colors.ink, 0.35)
    count = ["max", ["coalesce", ["get", "count"], 1], 1]
    d.add(
        41, "cells", "fill", "cluster", filter=overview_is("h3"),
        paint={"fill-color": ["interpolate", ["linear"], ["log10", count], 0, low, 2, base, 4.5, high],
               "fill-opacity": 0.8, "fill-outline-color": d.colors.halo},
    )  # fmt: skip
    d.add(
        42, "cell-count", "symbol", "cluster",
        filter=["all", overview_is("h3"), ["!", ["has", "part"]], [">", count, 1]],
        layout={"text-field": _short(count, d.language), "text-font": REGULAR, "text-size": 10.5,
                "text-line-height": 1, "text-max-width": 60, "symbol-sort-key": ["-", 0, count], "text-padding": 0},
        paint={"text-color": d.colors.ink, **d.halo()},
    )  # fmt: skip


def _points(d: Drawing, classes: tuple[MapClass, ...], color: Any, other: str) -> None:
    style, zoom = d.layer.spec.style, marker_zoom(d.layer)
    exact: list[Any] = ["all", SINGLE, POINTS]
    inexact = _inexact(d)
    if inexact is not None:
        _rings(d, color, ["all", SINGLE, POINTS, inexact])
        exact.append(["!", inexact])
    d.add(
        100, "dot", "circle", "overlay", filter=exact,
        paint={"circle-color": color, "circle-radius": interpolated({8: 2.4, 14: 4.0, 18: 6.0}),
               "circle-stroke-color": d.colors.halo, "circle-stroke-width": interpolated({8: 0.6, 14: 1.2})},
    )  # fmt: skip
    icon = style.icon or "poi"
    images = by_class(
        d.layer, classes, [marker_name(icon, c.color) for c in classes], marker_name(icon, other_color(d.layer))
    )
    rank = by_class(d.layer, classes, list(range(len(classes))), len(classes))
    layout: dict[str, Any] = {
        "icon-image": images,
        "icon-size": interpolated({zoom: 0.72, zoom + 2: 0.9, zoom + 4: 1.0}),
        "icon-padding": 1,
        "symbol-sort-key": rank,
    }
    paint: dict[str, Any] = {}
    if style.label:
        shown = max(carried(d.layer, style.label) or 0.0, style.label_zoom or max(zoom + 1, _NAMES_FROM))
        layout |= _label_layout(d, shown, zoom)
        paint = {"text-color": d.colors.ink, **d.halo()}
    # Classes for closer zooms stay dots until then.
    if any((c.said.min_zoom or 0) > zoom for c in classes):
        exact = [*exact, [">=", ["zoom"], by_class(d.layer, classes, [c.said.min_zoom or 0 for c in classes], 0)]]
    d.add(120, "marker", "symbol", "overlay", minzoom=zoom, filter=exact, layout=layout, paint=paint)


def _label_layout(d: Drawing, shown: float, zoom: float) -> dict[str, Any]:
    text = text_of(d.layer, d.language)
    return {
        "text-field": text if shown <= zoom else ["step", ["zoom"], "", shown, text],
        "text-font": REGULAR,
        "text-size": interpolated({12: 11.0, 17: 13.0}),
        "text-optional": True,
        "text-variable-anchor": ["left", "right", "top", "bottom"],
        "text-radial-offset": 1.15,
        "text-justify": "auto",
        "text-max-width": 60 if d.language == "zh" else 10,
        "text-padding": 3,
    }


def _inexact(d: Drawing) -> list[Any] | None:
    """A filter for positions that stand for an area; None when tiles do not tell."""
    tests: list[list[Any]] = []
    if carried(d.layer, "position_quality") is not None:
        tests.append(["in", ["coalesce", ["get", "position_quality"], ""], ["literal", list(INEXACT)]])
    if carried(d.layer, "position_accuracy_m") is not None:
        tests.append([">=", ["coalesce", ["get", "position_accuracy_m"], 0], 50])
    if not tests:
        return None
    return tests[0] if len(tests) == 1 else ["any", *tests]


def _rings(d: Drawing, color: Any, found: list[Any]) -> None:
    """A position known to some metres as the circle it lies in; one known to an area only as a ring of fixed size."""
    extent = d.layer.state.extent
    latitude = (extent[1] + extent[3]) / 2 if extent else 0.0
    metres: list[Any] = ["coalesce", ["get", "position_accuracy_m"], 0]
    smallest = 9

    def radius(zoom: int) -> list[Any]:
        pixels = 2**zoom / (_METRES_A_PIXEL * math.cos(math.radians(latitude)))
        return ["+", smallest, ["*", metres, round(pixels, 9)]]

    exact = carried(d.layer, "position_accuracy_m") is not None
    d.add(
        99, "ring", "circle", "overlay", filter=found,
        paint={"circle-color": color, "circle-opacity": 0.12, "circle-stroke-color": color,
               "circle-stroke-width": 1.6, "circle-stroke-opacity": 0.9,
               "circle-radius": ["interpolate", ["exponential", 2], ["zoom"], 0, radius(0), 22, radius(22)]
               if exact else smallest},
    )  # fmt: skip
    label = d.layer.spec.style.label
    if label:
        zoom = marker_zoom(d.layer)
        shown = max(carried(d.layer, label) or 0.0, d.layer.spec.style.label_zoom or max(zoom + 1, _NAMES_FROM))
        layout = _label_layout(d, shown, zoom)
        d.add(
            119, "ring-label", "symbol", "label", minzoom=zoom, filter=found, layout=layout,
            paint={"text-color": d.colors.secondary, **d.halo()},
        )  # fmt: skip


def _clusters(d: Drawing, classes: tuple[MapClass, ...], colors: list[str], color: Any, other: str) -> None:
    many: list[Any] = [*overview_is("cluster")]
    count = ["max", ["coalesce", ["get", "count"], 1], 1]
    radius = ["interpolate", ["linear"], ["log10", count], *(v for stop in _RADII.items() for v in stop)]
    d.add(
        104, "cluster", "circle", "cluster", filter=many,
        layout={"circle-sort-key": ["-", 0, count]},
        paint={"circle-color": color, "circle-radius": radius, "circle-opacity": 0.88,
               "circle-stroke-color": d.colors.halo, "circle-stroke-width": 1.5, "circle-stroke-opacity": 0.9},
    )  # fmt: skip
    inks = [_ink_on(c) for c in colors]
    d.add(
        121, "count", "symbol", "cluster", filter=["all", many, [">", count, 1]],
        layout={"text-field": _short(count, d.language), "text-font": BOLD,
                "text-size": COUNT_SIZE,
                "symbol-sort-key": ["-", 0, count], "text-padding": 0},
        paint={"text-color": by_class(d.layer, classes, inks, _ink_on(other))},
    )  # fmt: skip


def _ink_on(color: str) -> str:
    """White or near black, whichever reads better."""
    return max(("#ffffff", "#14191c"), key=lambda ink: contrast(ink, color))


def _short(count: Any, language: str) -> list[Any]:
    """A count in at most four characters: 950, 1.2万, 12k."""
    if language == "zh":
        tens = ["/", ["round", ["/", count, 1000]], 10]
        return ["case", ["<", count, 10_000], ["to-string", count], ["concat", ["to-string", tens], "万"]]
    hundreds = ["/", ["round", ["/", count, 100]], 10]
    thousands = ["concat", ["to-string", ["round", ["/", count, 1000]]], "k"]
    short = ["concat", ["to-string", hundreds], "k"]
    return ["step", count, ["to-string", count], 1_000, short, 10_000, thousands]
