# SPDX-License-Identifier: Apache-2.0
"""The classes a layer is drawn in: those its style block names, else one for each code of its list."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import Text
from geocloud.catalogue.style import CLASSES_MAX

__all__ = ["Class", "classes_of"]

# Okabe and Ito, Color Universal Design (2008): told apart with any kind of colour vision.
_PALETTE = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#f0e442", "#000000")


@dataclass(frozen=True, slots=True)
class Class:
    codes: tuple[str, ...]
    title: Text
    color: str
    width: float | None = None
    min_zoom: float | None = None
    dashed: bool = False


def classes_of(layer: Layer) -> list[Class]:
    style = layer.spec.style
    if not style.color_by:
        return []
    listed = layer.spec.field(style.color_by).codes
    codes = layer.codes[listed].codes if listed and listed in layer.codes else ()
    titles = {c.code: c.title for c in codes}
    palette = cycle(_PALETTE)
    if style.classes:
        return [Class(c.codes, c.title or titles.get(c.codes[0], Text(zh=c.codes[0], en=c.codes[0])),
                      c.color or next(palette), c.width, c.min_zoom, c.dashed) for c in style.classes]  # fmt: skip
    if len(codes) > CLASSES_MAX:
        return []
    return [Class((c.code,), c.title, next(palette)) for c in codes]
