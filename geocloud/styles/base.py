# SPDX-License-Identifier: Apache-2.0
"""The base map: ground, water, buildings, roads, railways, boundaries, names. Quiet, so that data can be loud."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geocloud.styles.classes import MapClass, by_class, classes_of
from geocloud.styles.expressions import (
    AGGREGATE,
    BOLD,
    ITALIC,
    POINTS,
    POLYGONS,
    REGULAR,
    SINGLE,
    Drawing,
    carried,
    from_zoom,
    interpolated,
    text_of,
)
from geocloud.styles.palette import Palette, mixed

__all__ = ["BASE", "BOUNDARY_DASHES", "LABEL_RANKS", "label_layers", "road_color"]

# Width of a line by zoom, as multiples of its width at zoom 14.
_GROWTH = {5: 0.13, 8: 0.22, 10: 0.36, 12: 0.6, 14: 1.0, 16: 1.9, 18: 4.6, 20: 11.0}
# Boundaries by rank: dashes in widths, width at zooms 6 and 14, share of the boundary's colour in that of the land.
# Neighbours both draw the border they share: colours are opaque, so that two lines over each other look like one, and
# only the thinnest are dashed, as dashes out of step would look like beads.
_BOUNDARIES: dict[int, tuple[list[float] | None, float, float, float]] = {
    1: (None, 1.3, 2.6, 1.0),
    2: (None, 0.7, 1.6, 0.72),
    3: ([4, 2], 0.5, 0.9, 0.6),
    4: ([2, 2.5], 0.4, 0.7, 0.5),
}
# The soft band under the line of a city or county: width at zooms 6 and 14, share of the boundary's colour.
_BANDS = {1: (5.0, 13.0, 0.2), 2: (3.0, 8.0, 0.11)}
BOUNDARY_DASHES = {rank: (dashes, thick) for rank, (dashes, _, thick, _) in _BOUNDARIES.items()}
_BOUNDARY_ZOOM = {1: 0.0, 2: 5.0, 3: 10.0, 4: 13.0}
# Cells of coverage are no part of the base map below this zoom: they would chequer the land.
_CELLS_FROM = 10.0
# Share of a cell of water from which it is drawn; all of its colour is there at twice the share.
_WATER_SHARE = 0.35
# Classes of roads that begin at this zoom or later stay thin and pale until zoom 14.
_MINOR_FROM = 11.0
# Names by rank (city, county seat, township, village, smaller places): first zoom, sizes at it and at zoom 14, sign.
LABEL_RANKS: dict[int, tuple[float, float, float, str]] = {
    1: (3.0, 15.0, 22.0, "seat-city"),
    2: (6.5, 12.5, 18.0, "seat-county"),
    3: (9.6, 11.5, 15.0, "seat-township"),
    4: (13.0, 11.0, 12.5, "seat-village"),
    5: (14.0, 11.0, 12.0, "seat-village"),
}


def _land(d: Drawing) -> None:
    style = d.layer.spec.style
    d.add(10, "land", "fill", "base", filter=POLYGONS, paint={"fill-color": d.colors.land, "fill-antialias": False})
    _boundary_lines(d, style.rank)


def _boundary(d: Drawing) -> None:
    _boundary_lines(d, d.layer.spec.style.rank)
    if d.layer.spec.style.rank > max(_FROM_LABELS) and d.layer.spec.style.label:
        zoom, small, large, sign = LABEL_RANKS[min(d.layer.spec.style.rank, 5)]
        d.add(
            95, "name", "symbol", "label", minzoom=zoom, filter=["all", SINGLE, POINTS],
            layout=_name_layout(d, text_of(d.layer, d.language), small, large, sign, zoom),
            paint={"text-color": d.colors.secondary, **d.halo()},
        )  # fmt: skip


# Ranks whose names come from the source of labels rather than from tiles.
_FROM_LABELS = (1, 2, 3)


def _boundary_lines(d: Drawing, rank: int) -> None:
    dashes, thin, thick, share = _BOUNDARIES[min(rank, 4)]
    slot = 78 - min(rank, 4) if rank < 3 else 58 - min(rank, 4)
    minzoom = max(_BOUNDARY_ZOOM[min(rank, 4)], float(d.layer.spec.tiles.min_zoom))
    shared: dict[str, Any] = {"filter": ["all", SINGLE, POLYGONS], "minzoom": minzoom}
    if rank in _BANDS:
        narrow, wide, tone = _BANDS[rank]
        d.add(
            13 - rank, "band", "line", "base", **shared, layout={"line-join": "round"},
            paint={"line-color": mixed(d.colors.land, d.colors.boundary, tone), "line-blur": 1,
                   "line-width": interpolated({6: narrow, 14: wide})},
        )  # fmt: skip
    paint = {
        "line-color": mixed(d.colors.land, d.colors.boundary, share), "line-width": interpolated({6: thin, 14: thick}),
    }  # fmt: skip
    layout = {"line-join": "round"}
    more = {"line-dasharray": dashes} if dashes else {}
    d.add(slot, "line", "line", "base", **shared, layout=layout, paint=paint | more)


def _land_use(d: Drawing) -> None:
    classes = classes_of(d.layer)
    tints = [getattr(d.colors, c.said.ground or "built_up") for c in classes]
    d.add(
        20, "ground", "fill", "base",
        paint={"fill-color": by_class(d.layer, classes, tints, d.colors.built_up),
               "fill-opacity": _cells_fade(d, 0.6, 1), "fill-antialias": False},
    )  # fmt: skip


def _cells_fade(d: Drawing, most: float, single: float) -> list[Any]:
    """Opacity of ground: cells of coverage come in slowly, and only where a cell is covered for the greater part."""
    share = ["interpolate", ["linear"], ["coalesce", ["get", "share"], 1], 0.05, 0, 0.6, most]
    return interpolated({
        _CELLS_FROM: ["case", AGGREGATE, 0, single], _CELLS_FROM + 1: ["case", AGGREGATE, share, single],
    })  # fmt: skip


def _water(d: Drawing) -> None:
    share = ["coalesce", ["get", "share"], 1]
    seen = ["interpolate", ["linear"], share, _WATER_SHARE, 0, 2 * _WATER_SHARE, 1]
    d.add(
        30, "fill", "fill", "base",
        paint={"fill-color": d.colors.water, "fill-opacity": ["case", AGGREGATE, seen, 1]},
    )  # fmt: skip
    d.add(
        31, "shore", "line", "base", filter=SINGLE, minzoom=10,
        paint={"line-color": d.colors.water_line, "line-width": interpolated({10: 0.4, 16: 1.0})},
    )  # fmt: skip


def _watercourse(d: Drawing) -> None:
    classes, style = classes_of(d.layer), d.layer.spec.style
    widths = [max(c.said.width or style.width or 1.4, 1.0) for c in classes]
    filters = _zoomed(d, classes)
    d.add(
        32, "line", "line", "base", filter=filters,
        layout={"line-join": "round", "line-cap": "round"},
        paint={"line-color": d.colors.water_line, "line-width": _width(d, classes, widths, 2.2, least=0.7)},
    )  # fmt: skip
    if style.label:
        zoom = max(9.0, carried(d.layer, style.label) or 0)
        d.add(
            92, "name", "symbol", "label", minzoom=zoom, filter=["all", filters, ["has", style.label]] if filters
            else ["has", style.label],
            layout={"symbol-placement": "line", "symbol-spacing": 320, "text-field": text_of(d.layer, d.language),
                    "text-font": ITALIC, "text-size": interpolated({9: 11, 16: 15}), "text-letter-spacing": 0.15,
                    "text-max-angle": 32, "text-padding": 12},
            paint={"text-color": d.colors.water_label, **d.halo()},
        )  # fmt: skip


def _building(d: Drawing) -> None:
    cover, single = d.colors.built_up, d.colors.building
    # Of a built-up cell, a fifth or so is covered by footprints.
    dense = ["interpolate", ["linear"], ["coalesce", ["get", "share"], 1], 0.03, 0, 0.2, 0.9]
    d.add(
        21, "built-up", "fill", "base", filter=AGGREGATE, minzoom=_CELLS_FROM,
        paint={"fill-color": cover, "fill-antialias": False,
               "fill-opacity": interpolated({_CELLS_FROM: 0, _CELLS_FROM + 1: dense})},
    )  # fmt: skip
    d.add(
        50, "fill", "fill", "base", filter=SINGLE, minzoom=12,
        paint={"fill-color": single, "fill-outline-color": from_zoom(14.5, single, d.colors.building_line),
               "fill-opacity": interpolated({12: 0.4, 14: 0.85, 16: 1})},
    )  # fmt: skip
    if d.layer.spec.style.label and (zoom := carried(d.layer, d.layer.spec.style.label)) is not None:
        d.add(
            90, "name", "symbol", "label", minzoom=max(16.0, zoom), filter=["all", SINGLE, ["has", "name"]],
            layout={"text-field": text_of(d.layer, d.language), "text-font": REGULAR, "text-size": 11,
                    "text-max-width": _em(d), "text-padding": 4},
            paint={"text-color": d.colors.secondary, **d.halo()},
        )  # fmt: skip


def road_color(entry: MapClass, index: int, colors: Palette) -> str:
    """Fill of a class of roads: the two highest classes are tinted, the others are the colour of roads."""
    if entry.said.dashed:
        return colors.path
    return (colors.expressway, colors.trunk)[index] if index < 2 else colors.road


def _road(d: Drawing) -> None:
    classes, style = classes_of(d.layer), d.layer.spec.style
    widths = [c.said.width or style.width or 2 for c in classes]
    fills = [road_color(c, i, d.colors) for i, c in enumerate(classes)]
    order = {"line-sort-key": by_class(d.layer, classes, [len(classes) - i for i in range(len(classes))], 0)}
    solid, dashed = _split(d, classes)
    zoomed = _zoomed(d, classes)
    width = style.width or 2
    minor = [(c.said.min_zoom or 0) >= _MINOR_FROM for c in classes]
    early, later = [0.0 if m else 1.0 for m in minor], [0.35 if m else 1.0 for m in minor]
    pale = [mixed(d.colors.built_up, f, 0.5) if m else f for f, m in zip(fills, minor, strict=True)]
    d.add(
        60, "casing", "line", "base", filter=_both(solid, zoomed),
        layout={"line-join": "round", "line-cap": "butt", **order},
        paint={"line-color": d.colors.casing, "line-width": _width(d, classes, [w + 1.8 for w in widths], width + 1.8),
               "line-opacity": interpolated({8: 0.0, 10: by_class(d.layer, classes, early, 0.0),
                                             12: by_class(d.layer, classes, later, 0.5), 14: 1.0})},
    )  # fmt: skip
    d.add(
        61, "line", "line", "base", filter=_both(solid, zoomed),
        layout={"line-join": "round", "line-cap": "round", **order},
        paint={"line-color": interpolated({12: by_class(d.layer, classes, pale, d.colors.road),
                                           14: by_class(d.layer, classes, fills, d.colors.road)}),
               "line-width": _width(d, classes, widths, width)},
    )  # fmt: skip
    if dashed:
        d.add(
            59, "path", "line", "base", filter=_both(dashed, zoomed), minzoom=13, layout={"line-join": "round"},
            paint={"line-color": d.colors.path, "line-dasharray": [3, 1.6],
                   "line-width": _width(d, classes, widths, width)},
        )  # fmt: skip
    _road_labels(d, classes)


def _road_labels(d: Drawing, classes: tuple[MapClass, ...]) -> None:
    label = d.layer.spec.style.label
    rank = by_class(d.layer, classes, list(range(len(classes))), len(classes))
    if label and (zoom := carried(d.layer, label)) is not None:
        main = by_class(d.layer, classes, [i < 4 for i in range(len(classes))], False)
        shown = from_zoom(15, main if classes else True, True)
        d.add(
            91, "name", "symbol", "label", minzoom=max(12.5, zoom), filter=["all", SINGLE, ["has", label], shown],
            layout={"symbol-placement": "line", "symbol-spacing": 360, "symbol-sort-key": rank,
                    "text-field": text_of(d.layer, d.language), "text-font": REGULAR,
                    "text-size": interpolated({12: 10.5, 16: 13}), "text-max-angle": 28, "text-padding": 6,
                    "text-letter-spacing": 0.04},
            paint={"text-color": d.colors.secondary, **d.halo()},
        )  # fmt: skip
    if (zoom := carried(d.layer, "ref")) is not None:
        first = by_class(d.layer, classes, ["shield-expressway", *["shield"] * (len(classes) - 1)], "shield")
        ink = by_class(d.layer, classes, ["#ffffff", *[d.colors.ink] * (len(classes) - 1)], d.colors.ink)
        d.add(
            94, "number", "symbol", "label", minzoom=max(9.0, zoom), filter=["all", SINGLE, ["has", "ref"]],
            layout={"symbol-placement": "line", "symbol-spacing": 520, "symbol-sort-key": rank,
                    "icon-image": first, "icon-text-fit": "both", "icon-rotation-alignment": "viewport",
                    "text-rotation-alignment": "viewport", "text-field": ["get", "ref"], "text-font": BOLD,
                    "text-size": 9.5, "text-padding": 24, "icon-padding": 24},
            paint={"text-color": ink},
        )  # fmt: skip
    if (zoom := carried(d.layer, "oneway")) is not None:
        d.add(
            62, "oneway", "symbol", "base", minzoom=max(16.0, zoom), filter=["==", ["get", "oneway"], True],
            layout={"symbol-placement": "line", "symbol-spacing": 120, "icon-image": "icon-arrow", "icon-size": 0.5,
                    "icon-padding": 2},
            paint={"icon-opacity": 0.5},
        )  # fmt: skip


def _railway(d: Drawing) -> None:
    width = d.layer.spec.style.width or 1.2
    outer, inner = width * 2.4, width * 1.3
    layout = {"line-join": "round"}
    d.add(
        70, "line", "line", "base", layout=layout,
        paint={"line-color": d.colors.rail, "line-width": interpolated({5: 0.6, 10: outer * 0.6, 14: outer, 18: 7})},
    )  # fmt: skip
    d.add(
        71, "gap", "line", "base", layout=layout, minzoom=9.5,
        paint={"line-color": d.colors.rail_gap, "line-dasharray": [4, 4],
               "line-width": interpolated({9: inner * 0.6, 14: inner, 18: 5})},
    )  # fmt: skip
    label = d.layer.spec.style.label
    if label and (zoom := carried(d.layer, label)) is not None:
        d.add(
            91, "name", "symbol", "label", minzoom=max(12.0, zoom), filter=["has", label],
            layout={"symbol-placement": "line", "symbol-spacing": 420, "text-field": text_of(d.layer, d.language),
                    "text-font": REGULAR, "text-size": 11, "text-max-angle": 28, "text-letter-spacing": 0.06,
                    "text-padding": 8},
            paint={"text-color": d.colors.secondary, **d.halo()},
        )  # fmt: skip


def _place(d: Drawing) -> None:
    classes, spec = classes_of(d.layer), d.layer.spec
    for index, entry in enumerate(classes):
        rank = min(index + 1, 5)
        first, small, large, sign = LABEL_RANKS[rank]
        zoom = max(first, float(spec.tiles.overview_below if spec.tiles.overview != "none" else 0))
        if rank in _FROM_LABELS:
            continue
        d.add(
            99 - rank, f"name-{index + 1}", "symbol", "label",
            minzoom=max(zoom, entry.said.min_zoom or 0),
            filter=["all", SINGLE, ["in", ["get", spec.style.color_by], ["literal", list(entry.codes)]]],
            layout=_name_layout(d, text_of(d.layer, d.language), small, large, sign, zoom),
            paint={"text-color": d.colors.secondary, **d.halo()},
        )  # fmt: skip


def label_layers(d: Drawing) -> None:
    """Names of the first three ranks and of lakes, from the source of labels; `d.layer` is where they are filed.

    They lie above the circles of clusters, and below their counts, which are placed first: names make room for them.
    """
    text: Any = ["get", "name"] if d.language == "zh" else ["coalesce", ["get", "name_en"], ["get", "name"]]
    _water_names(d, text)
    for rank in reversed(_FROM_LABELS):
        zoom, small, large, sign = LABEL_RANKS[rank]
        layout = _name_layout(d, text, small, large, sign, zoom)
        seat: list[Any] = ["case", ["get", "seat"], sign, ""]
        layout["icon-image"] = seat
        layout["text-font"] = BOLD if rank < 3 else REGULAR
        if rank < 3:
            # Clusters gather at seats: names stand beside them.
            del layout["text-radial-offset"], layout["text-variable-anchor"]
            layout["text-variable-anchor-offset"] = from_zoom(11, _beside(1.4, 2.8), _beside(0.7, 1.6))
            layout["text-padding"] = 2
            if rank == 1:
                layout["text-overlap"] = "always"
            # Signs come last, so that none covers a count.
            del layout["icon-image"], layout["icon-optional"], layout["icon-padding"]
            d.add(
                99 - rank, f"seat-{rank}", "symbol", "label", minzoom=zoom, maxzoom=16,
                filter=["all", ["==", ["get", "rank"], rank], ["get", "seat"]],
                layout={"icon-image": sign, "icon-padding": 0},
            )  # fmt: skip
            d.placed[-1].layer.pop("source-layer")
        d.add(
            109 - rank, f"rank-{rank}", "symbol", "label",
            minzoom=zoom, maxzoom={1: 14, 2: 15, 3: 16.5}[rank],
            filter=["==", ["get", "rank"], rank], layout=layout,
            paint={"text-color": d.colors.ink, **d.halo()},
        )  # fmt: skip
        d.placed[-1].layer.pop("source-layer")


def _beside(*distances: float) -> list[Any]:
    """Places round a point, the near ones first: distances in ems."""
    places: list[Any] = []
    for r in distances:
        places += ["top", [0, r], "bottom", [0, -r], "left", [r, 0], "right", [-r, 0]]
        slant = round(r * 0.7, 2)
        places += ["top-left", [slant, slant], "top-right", [-slant, slant]]
        places += ["bottom-left", [slant, -slant], "bottom-right", [-slant, -slant]]
    return ["literal", places]


def _water_names(d: Drawing, text: Any) -> None:
    """Names of lakes, each from the zoom at which its name fits into it."""
    d.add(
        93, "water", "symbol", "label", minzoom=6,
        filter=["all", ["==", ["get", "rank"], 0], [">=", ["zoom"], ["get", "zoom"]]],
        layout={"text-field": text, "text-font": ITALIC, "text-size": interpolated({8: 11, 16: 16}),
                "text-letter-spacing": 0.1, "text-max-width": _em(d), "text-padding": 6},
        paint={"text-color": d.colors.water_label, **d.halo()},
    )  # fmt: skip
    d.placed[-1].layer.pop("source-layer")


def _name_layout(d: Drawing, text: Any, small: float, large: float, sign: str, zoom: float) -> dict[str, Any]:
    return {
        "text-field": text,
        "text-font": REGULAR,
        "text-size": interpolated({zoom: small, max(14.0, zoom + 2): large}),
        "text-max-width": _em(d),
        "text-variable-anchor": ["top", "bottom", "right", "left", "top-left", "bottom-right"],
        "text-radial-offset": 0.6,
        "text-justify": "auto",
        "text-padding": 5,
        "icon-image": sign,
        "icon-padding": 0,
        "icon-optional": True,
    }


def _em(d: Drawing) -> int:
    """Widest line in ems: Chinese names are never broken."""
    return 60 if d.language == "zh" else 9


def _width(
    d: Drawing, classes: tuple[MapClass, ...], widths: list[float], other: float, least: float = 0.45
) -> list[Any]:
    stops = {}
    minor = [(c.said.min_zoom or 0) >= _MINOR_FROM for c in classes]
    for zoom, factor in _GROWTH.items():
        thin = 0.6 if zoom <= 12 else 1.0
        scaled = [round(max(w * factor * (thin if m else 1), least), 2) for w, m in zip(widths, minor, strict=True)]
        stops[float(zoom)] = by_class(d.layer, classes, scaled, round(max(other * factor, least), 2))
    return interpolated(stops, 1.4)


def _zoomed(d: Drawing, classes: tuple[MapClass, ...]) -> list[Any] | None:
    """A filter that keeps each class to the zooms it is for."""
    zooms = [c.said.min_zoom or 0 for c in classes]
    if not any(zooms):
        return None
    return [">=", ["zoom"], by_class(d.layer, classes, zooms, max(zooms))]


def _split(d: Drawing, classes: tuple[MapClass, ...]) -> tuple[list[Any] | None, list[Any] | None]:
    """Filters for classes drawn with casing and for dashed ones."""
    codes = [code for c in classes if c.said.dashed for code in c.codes]
    if not codes:
        return None, None
    inside = ["in", ["get", d.layer.spec.style.color_by], ["literal", codes]]
    return ["!", inside], inside


def _both(one: list[Any] | None, other: list[Any] | None) -> list[Any] | None:
    return ["all", one, other] if one and other else one or other


BASE: dict[str, Callable[[Drawing], None]] = {
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
