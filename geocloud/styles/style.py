# SPDX-License-Identifier: Apache-2.0
"""MapLibre styles (style specification, version 8) of a layer, a theme or the whole city, from the catalogue alone."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.catalogue.spec import FieldSpec, LayerSpec, Text, TileBand, Tiles
from geocloud.errors import UnknownCollection
from geocloud.styles.base import BASE, label_layers
from geocloud.styles.expressions import Drawing, Placed
from geocloud.styles.overlays import draw_overlay
from geocloud.styles.palette import palette
from geocloud.styles.stagger import TABLE, staggered
from geocloud.tiles.hexagons import drawn_extent

__all__ = ["BASE_SOURCE", "CITY", "LABEL_SOURCE", "Subject", "Wanted", "generate", "labelled", "subject", "subjects"]

CITY, BASE_SOURCE, LABEL_SOURCE = "city", "base", "labels"
_TILES = "/tiles/WebMercatorQuad/{z}/{y}/{x}?collections="
# Degrees around the data, so that a feature added at its edge is asked for too.
_MARGIN = 0.02
_SYNTHETIC = Text(zh="示例数据", en="synthetic data")


@dataclass(frozen=True)
class Subject:
    """What a style is of: its layers of data, and whether the base map lies under them."""

    id: str
    base: tuple[Layer, ...]
    overlays: tuple[Layer, ...]

    @property
    def layers(self) -> tuple[Layer, ...]:
        return (*self.base, *(x for x in self.overlays if x not in self.base))


@dataclass(frozen=True)
class Wanted:
    """How a style is wanted: address of the service without a slash at its end, language, theme, title."""

    base_url: str
    language: Literal["zh", "en"]
    dark: bool
    title: str
    city_bbox: tuple[float, float, float, float]

    def url(self, path: str) -> str:
        return self.base_url.rstrip("/") + path


def subjects(catalogue: Catalogue) -> list[str]:
    """Ids of all styles: the city, its themes, its layers with geometry."""
    drawn = [x for x in catalogue.layers.values() if x.spec.geometry != "none"]
    return [CITY, *dict.fromkeys(x.spec.theme for x in drawn), *(x.id for x in drawn)]


def subject(catalogue: Catalogue, style_id: str, *, base: bool | None = None) -> Subject:
    """What `style_id` names; UnknownCollection when there is no such style.

    `base` puts the base map under it or leaves it out; by default a single layer has none.
    """
    drawn = [x for x in catalogue.layers.values() if x.spec.geometry != "none"]
    ground = tuple(x for x in drawn if x.spec.style.draw != "overlay")
    chosen = drawn if style_id == CITY else [x for x in drawn if style_id in (x.id, x.spec.theme)]
    if not chosen:
        shown = style_id[:100]
        raise UnknownCollection(
            f"There is no style `{shown}`.",
            f"没有名为 {shown} 的样式。",
            todo_en="GET /styles lists them all.",
            todo_zh="GET /styles 列出全部样式。",
        )
    with_base = base if base is not None else "." not in style_id
    # A layer of the base map that also stands for data of its own (land parcels) can be laid over it.
    overlays = tuple(x for x in chosen if x.spec.style.draw in ("overlay", "land_use"))
    return Subject(style_id, ground if with_base else tuple(x for x in chosen if x in ground), overlays)


def generate(of: Subject, wanted: Wanted) -> dict[str, Any]:
    """The style: sources, then layers from the ground up."""
    colors = palette(dark=wanted.dark)
    placed: list[Placed] = []
    sources: dict[str, Any] = {}
    drawn_base = tuple(x for x in of.base if not (x.spec.style.draw == "land_use" and of.id == x.id))
    if drawn_base:
        sources[BASE_SOURCE] = _source(wanted, drawn_base)
        for layer in drawn_base:
            drawing = Drawing(layer, colors, wanted.language, BASE_SOURCE)
            BASE[layer.spec.style.draw](drawing)
            placed += drawing.placed
    if any(labelled(x) for x in drawn_base):
        sources[LABEL_SOURCE] = _label_source(wanted, of, drawn_base)
        drawing = Drawing(_label_layer(), colors, wanted.language, LABEL_SOURCE)
        label_layers(drawing)
        placed += drawing.placed
    for layer in of.overlays:
        sources[layer.id] = _source(wanted, (layer,))
        drawing = Drawing(layer, colors, wanted.language, layer.id)
        draw_overlay(drawing)
        if of.id == CITY and not layer.spec.style.visible:
            for entry in drawing.placed:
                entry.layer.setdefault("layout", {})["visibility"] = "none"
        placed += drawing.placed
    order = {id(x): x.spec.style.order for x in of.layers}
    placed.sort(key=lambda p: (p.slot, _order(of, p, order)))
    ground = {"background-color": colors.page if any(x.spec.style.draw == "land" for x in drawn_base) else colors.land}
    theme = "dark" if wanted.dark else "light"
    longitude, latitude, zoom = _view(of, wanted.city_bbox)
    layers: list[dict[str, Any]] = [p.layer for p in placed]
    staggered(layers)
    if drawn_base and "." not in of.id or not of.overlays:
        background = {"id": "background", "type": "background", "metadata": {"geocloud:role": "base"}, "paint": ground}
        layers.insert(0, background)
    return {
        "version": 8,
        "name": wanted.title,
        "metadata": {
            "geocloud:style": of.id,
            "geocloud:language": wanted.language,
            "geocloud:theme": theme,
            "geocloud:collections": [x.id for x in of.layers],
            "geocloud:stagger": TABLE,
            "geocloud:legend": wanted.url(f"/styles/{quote(of.id)}/legend?f=json&lang={wanted.language}"
                                          + ("&dark=true" if wanted.dark else "")),
        },
        "center": [longitude, latitude],
        "zoom": zoom,
        "sprite": wanted.url(f"/sprites/{theme}"),
        "glyphs": wanted.url("/fonts/{fontstack}/{range}.pbf"),
        "transition": {"duration": 150, "delay": 0},
        "sources": sources,
        "layers": layers,
    }  # fmt: skip


def labelled(layer: Layer) -> bool:
    """Whether names of the layer are in the source of labels: those that tiles cannot carry whole at low zooms."""
    style = layer.spec.style
    return bool(style.label) and (
        style.draw in ("land", "place", "water") or (style.draw == "boundary" and style.rank <= 3)
    )


def _order(of: Subject, placed: Placed, order: dict[int, int]) -> int:
    collection = placed.layer["metadata"]["geocloud:collection"]
    return next((order[id(x)] for x in of.layers if x.id == collection), 0)


def _source(wanted: Wanted, layers: Sequence[Layer]) -> dict[str, Any]:
    """A source of vector tiles of one or several collections: one request a tile."""
    names = ",".join(quote(x.id) for x in layers)
    source: dict[str, Any] = {
        "type": "vector",
        "tiles": [wanted.url(_TILES + names)],
        "minzoom": min(x.spec.tiles.min_zoom for x in layers),
        "maxzoom": max(x.spec.tiles.max_zoom for x in layers),
        "attribution": attribution(layers, wanted.language),
    }
    if bounds := _bounds(drawn_extent(x) for x in layers):
        west, south, east, north = bounds
        source["bounds"] = [
            round(max(west - _MARGIN, -180), 6), round(max(south - _MARGIN, -85), 6),
            round(min(east + _MARGIN, 180), 6), round(min(north + _MARGIN, 85), 6),
        ]  # fmt: skip
    return source


def attribution(layers: Iterable[Layer], language: Literal["zh", "en"]) -> str:
    """Sources with licences, each once, synthetic ones marked; escaped, as map libraries show it as HTML."""
    zh = language == "zh"
    parts: dict[str, None] = {}
    for source in (s for x in layers for s in x.sources):
        mark = (_SYNTHETIC.zh if zh else _SYNTHETIC.en) if source.synthetic else ""
        title = source.title.zh if zh else source.title.en
        known = source.licence.split(":")[0].strip()
        inside = ", ".join(p for p in (mark, known) if p)
        parts[html.escape(f"{title} ({inside})" if not zh else f"{title}（{inside}）")] = None
    return " · ".join(parts)


def _label_source(wanted: Wanted, of: Subject, layers: Sequence[Layer]) -> dict[str, Any]:
    return {
        "type": "geojson",
        "data": wanted.url(f"/styles/{quote(of.id)}/labels"),
        "attribution": "",
        "maxzoom": 12,
        "buffer": 64,
    }


def _label_layer() -> Layer:
    """Stands for the source of labels in drawing; it is no collection."""
    title = Text(zh="注记", en="Names")
    spec = LayerSpec(
        id="base.names", title=title, description=title, geometry="point", key=("name",),
        fields=(FieldSpec(name="name", title=title), FieldSpec(name="name_en", title=title)),
        tiles=Tiles(bands=(TileBand(zoom=0, fields=("name", "name_en")),)),
    )  # fmt: skip
    return Layer(spec)


def _view(of: Subject, city: tuple[float, float, float, float]) -> tuple[float, float, float]:
    """Centre and zoom that show the data on a screen of 900 by 700 pixels; the city where there is none."""
    west, south, east, north = _bounds(x.state.extent for x in of.layers if "." not in of.id or x.id == of.id) or city
    across = max(east - west, (north - south) / math.cos(math.radians((south + north) / 2)) * 900 / 700, 1e-3)
    zoom = math.log2(900 / 512 * 360 / across)
    return round((west + east) / 2, 5), round((south + north) / 2, 5), round(min(max(zoom, 2), 14), 2)


def _bounds(extents: Iterable[tuple[float, float, float, float] | None]) -> tuple[float, float, float, float] | None:
    known = [e for e in extents if e]
    if not known:
        return None
    west, south, east, north = zip(*known, strict=True)
    return min(west), min(south), max(east), max(north)
