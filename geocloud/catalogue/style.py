# SPDX-License-Identifier: Apache-2.0
"""The style block of a layer: what it is drawn as and in which classes; the cartography is `geocloud.styles`."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from geocloud.catalogue.model import Model, Text

__all__ = ["CLASSES_MAX", "Draw", "Ground", "Style", "StyleClass"]

# Colours people can tell apart at a glance; what goes beyond is grouped.
CLASSES_MAX = 8
_HEX = r"^#[0-9a-f]{6}$"
Draw = Literal[
    "overlay", "land", "boundary", "road", "railway", "watercourse", "water", "building", "land_use", "place"
]
Ground = Literal["farmland", "wood", "built_up", "water", "land"]


class StyleClass(Model):
    """One class of the map and legend: one code of the list, or several drawn alike."""

    codes: tuple[str, ...] = Field(min_length=1, description="Codes of `color_by` drawn as this class.")
    color: str | None = Field(None, pattern=_HEX, description="Colour; the next of the Okabe-Ito palette if unset.")
    title: Text | None = Field(None, description="Name in the legend; the title of the first code if unset.")
    width: float | None = Field(None, gt=0, le=40, description="Lines: width in pixels at zoom 14.")
    min_zoom: float | None = Field(
        None, ge=0, le=22, description="Lines: drawn from this zoom on; points: dots before it."
    )
    dashed: bool = Field(False, description="Lines: drawn dashed and without casing.")
    ground: Ground | None = Field(None, description="Land use: which tint of the base map the class has.")


class Style(Model):
    """The look of the layer, from which MapLibre and QGIS styles and legends are made."""

    draw: Draw = Field(
        "overlay", description="What it is drawn as: a part of the base map, or data laid over it (`overlay`)."
    )
    rank: int = Field(1, ge=1, le=9, description="Boundaries: 1 is the heaviest line.")
    source: Text | None = Field(None, description="Convention or publication the colours follow.")
    valid_from: date | None = Field(None, description="Day from which that convention holds.")
    color: str = Field("#1c6e8c", pattern=_HEX, description="Colour where no class gives one.")
    color_by: str | None = Field(None, description="Field whose code decides the class.")
    classes: tuple[StyleClass, ...] = Field(
        (),
        max_length=CLASSES_MAX,
        description="Classes of `color_by` in the order of the legend; made from its code list if empty.",
    )
    label: str | None = Field(
        None, description="Field written beside the feature; `<label>_en` in English where the layer has it."
    )
    label_zoom: float | None = Field(None, ge=0, le=22, description="Zoom from which labels are written.")
    icon: str | None = Field(None, description="Pictogram of single points, one of the house's own.")
    width: float | None = Field(None, gt=0, le=20, description="Width of lines and outlines in pixels.")
    opacity: float = Field(1.0, gt=0, le=1, description="Opacity of fills.")
    visible: bool = Field(False, description="Overlays: shown when the map of the city is opened.")
    order: int = Field(50, ge=0, le=999, description="Place among layers drawn alike; higher is on top.")

    @model_validator(mode="after")
    def _classes_fit(self) -> Style:
        if self.classes and not self.color_by:
            raise ValueError("`classes` need `color_by`")
        codes = [code for c in self.classes for code in c.codes]
        for code in sorted({c for c in codes if codes.count(c) > 1}):
            raise ValueError(f"code `{code}` is in two classes")
        return self
