# SPDX-License-Identifier: Apache-2.0
"""What a project is asked for, and what its layers share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.catalogue.spec import Text
from geocloud.qgis.look import Shape, denominator, shape_of

__all__ = ["BASE", "Reading", "Request", "belongs", "is_large", "layer_id", "shape_in", "zoomed_in"]

BASE = "base"
"""The theme whose layers lie below those of every other."""

# Square metres on the ground that a screen of 40 by 25 cm shows, per squared denominator.
_SCREEN_M2 = 0.4 * 0.25
# How much denser than its average a layer is where people look.
_CROWDING = 10
_METRES_PER_DEGREE = 111_320


@dataclass(frozen=True)
class Reading:
    """What devices of a layer measure: the property, what people call it, the unit as they write it."""

    property: str
    title: Text
    unit: str


@dataclass(frozen=True)
class Request:
    """A project to be made: `base_url` without a slash at its end, `themes` in order with their titles.

    `shapes` says what the layers of any geometry hold; `rows_max` is the number of rows up to which a layer is loaded
    when the project opens, `page_rows` how many QGIS asks for at a time. `editing` says whether features can be changed
    at all. `guests` are layers of other themes that the project of a theme shows as well, `used` those which are
    switched on there although the map of the whole city leaves them off. `readings` says what is measured in layers of
    devices, at most `readings_max` of which are shown with their newest values.
    """

    catalogue: Catalogue
    base_url: str
    title: str
    abstract: str
    themes: Mapping[str, str]
    bbox: tuple[float, float, float, float]
    language: Literal["zh", "en"] = "zh"
    rows_max: int = 5_000
    page_rows: int = 1_000
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    editing: bool = False
    guests: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()
    readings: Mapping[str, Sequence[Reading]] = field(default_factory=dict)
    readings_max: int = 50_000

    def say(self, zh: str, en: str) -> str:
        """Of two wordings the one in the project's language."""
        return zh if self.language == "zh" else en

    def text(self, text: Text) -> str:
        """A bilingual text in the project's language."""
        return text.zh if self.language == "zh" else text.en

    @property
    def latitude(self) -> float:
        """The city's middle latitude, at which scales are worked out."""
        return (self.bbox[1] + self.bbox[3]) / 2

    def scale(self, zoom: float) -> int:
        """The denominator of the web map's scale at a zoom."""
        return denominator(zoom, self.latitude)


def belongs(request: Request, layer: Layer, theme: str | None) -> bool:
    """Whether the project of a theme shows the layer; that of the whole city, theme None, shows all."""
    return theme in (None, layer.spec.theme) or layer.spec.theme == BASE or layer.id in request.guests


def layer_id(collection: str, kind: str) -> str:
    """Id of a layer of the project, the same whenever the project is made; QGIS ignores ids of ten letters or less."""
    return f"geocloud_{kind}_{collection.replace('.', '-')}"


def shape_in(request: Request, layer: Layer) -> Shape | None:
    """What the layer is drawn as; None for a table."""
    return shape_of(layer.spec) or request.shapes.get(layer.id)


def is_large(request: Request, layer: Layer) -> bool:
    """Whether the layer has too many rows to be fetched whole; tiles draw it then."""
    return layer.spec.geometry != "none" and layer.state.row_count > request.rows_max


def zoomed_in(request: Request, layer: Layer) -> int:
    """The denominator from which a large layer's features may be fetched: a screen then holds few enough of them."""
    west, south, east, north = layer.state.extent or request.bbox
    across = (east - west) * math.cos(math.radians(request.latitude))
    area = max(across * (north - south) * _METRES_PER_DEGREE**2, 1e6)
    free = math.sqrt(request.rows_max * area / (layer.state.row_count * _CROWDING * _SCREEN_M2))
    step = 10 ** math.floor(math.log10(free))
    return max(500, *(int(step * k) for k in (1, 2, 2.5, 5) if step * k <= free))
