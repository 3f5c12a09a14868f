# SPDX-License-Identifier: Apache-2.0
"""Pieces of MapLibre expressions and layers that all parts of a style are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from geocloud.catalogue.registry import Layer
from geocloud.styles.palette import Palette

__all__ = [
    "AGGREGATE",
    "BOLD",
    "ITALIC",
    "POINTS",
    "POLYGONS",
    "REGULAR",
    "SINGLE",
    "Drawing",
    "Placed",
    "Role",
    "by_share",
    "carried",
    "from_zoom",
    "interpolated",
    "overview_is",
    "text_of",
]

Role = Literal["base", "overlay", "label", "cluster"]
REGULAR, BOLD, ITALIC = ["Sans Regular"], ["Sans Bold"], ["Sans Italic"]
AGGREGATE: list[Any] = ["has", "overview"]
SINGLE: list[Any] = ["!", AGGREGATE]
POINTS: list[Any] = ["in", ["geometry-type"], ["literal", ["Point", "MultiPoint"]]]
POLYGONS: list[Any] = ["in", ["geometry-type"], ["literal", ["Polygon", "MultiPolygon"]]]


@dataclass(frozen=True)
class Placed:
    """A style layer with its place in the drawing order; higher slots are on top and placed first."""

    slot: int
    layer: dict[str, Any]


@dataclass
class Drawing:
    """What one layer of the catalogue is drawn with: colours, language, and the name of its source."""

    layer: Layer
    colors: Palette
    language: Literal["zh", "en"]
    source: str
    placed: list[Placed] = field(default_factory=list)

    @property
    def dark(self) -> bool:
        return self.colors.name == "dark"

    def add(self, slot: int, part: str, kind: str, role: Role, **more: Any) -> None:
        """One style layer `<collection>/<part>`; `more` are its other members."""
        entry: dict[str, Any] = {
            "id": f"{self.layer.id}/{part}",
            "type": kind,
            "source": self.source,
            "source-layer": self.layer.id,
            "metadata": {"geocloud:collection": self.layer.id, "geocloud:role": role},
        }
        self.placed.append(Placed(slot, entry | {k: v for k, v in more.items() if v is not None}))

    def halo(self, width: float = 1.2) -> dict[str, Any]:
        """Paint of a halo in the colour of the ground."""
        return {"text-halo-color": self.colors.halo, "text-halo-width": width, "text-halo-blur": 0.3}


def carried(layer: Layer, name: str) -> float | None:
    """The zoom from which tiles carry an attribute up to the highest; None when they never do."""
    spec = layer.spec
    if name == spec.style.color_by:
        return float(spec.tiles.min_zoom)
    found = None
    for band in sorted(spec.tiles.bands, key=lambda b: -b.zoom):
        if name not in band.fields:
            break
        found = float(max(band.zoom, spec.tiles.min_zoom))
    return found


def text_of(layer: Layer, language: Literal["zh", "en"]) -> Any:
    """The label's text: in English the field `<label>_en` first, where tiles carry it."""
    label = layer.spec.style.label
    if language == "en" and carried(layer, f"{label}_en") is not None:
        return ["coalesce", ["get", f"{label}_en"], ["get", label]]
    return ["get", label]


def interpolated(stops: dict[float, Any], base: float = 1.0) -> list[Any]:
    """A value by zoom, in between stops."""
    curve = ["linear"] if base == 1 else ["exponential", base]
    return ["interpolate", curve, ["zoom"], *(v for stop in sorted(stops.items()) for v in stop)]


def from_zoom(zoom: float, before: Any, after: Any) -> list[Any]:
    """One value below a zoom and another from it on."""
    return ["step", ["zoom"], before, zoom, after]


def overview_is(*kinds: str) -> list[Any]:
    """A filter for aggregates of these kinds."""
    return ["in", ["get", "overview"], ["literal", list(kinds)]]


def by_share(low: float, high: float, single: float) -> list[Any]:
    """Opacity of a cell by the share of it that is covered, and of a real feature."""
    share = ["interpolate", ["linear"], ["coalesce", ["get", "share"], 1], 0, low, 1, high]
    return ["case", AGGREGATE, share, single]
