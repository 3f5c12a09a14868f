# SPDX-License-Identifier: Apache-2.0
"""Sprites: every image that styles and legends name, drawn by `geocloud.styles.icons` and packed into one picture.

A marker `<icon>-<rrggbb>` is a pictogram on a disc with a ring in the colour of its class; `icon-<icon>` is the
pictogram alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from PIL import Image, ImageChops, ImageDraw

from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.styles.classes import classes_of, other_color
from geocloud.styles.icons import ICONS, mask
from geocloud.styles.palette import Palette, data_color, mixed, palette

__all__ = ["MARKER", "PICTOGRAM", "Sheet", "marker_name", "markers", "sheet"]

# Side of a marker and of its pictogram, in pixels of a plain screen.
MARKER, PICTOGRAM, _PLAIN, _HATCH = 24, 13, 20, 8
_GAP = 2
_SHEET_WIDTH = 512
_SUPER = 8


@dataclass(frozen=True)
class Sheet:
    """A sprite: its index by name as MapLibre reads it, and the picture as PNG."""

    index: dict[str, dict[str, Any]]
    png: bytes


@dataclass(frozen=True)
class _Cell:
    name: str
    image: Image.Image
    more: dict[str, Any] = field(default_factory=dict)


def marker_name(icon: str, color: str) -> str:
    """The name of a marker in the sprite; what is no pictogram of ours is drawn as a point of interest."""
    return f"{icon if icon in ICONS else 'poi'}-{color.lstrip('#')}"


def markers(layer: Layer) -> list[str]:
    """Names of the markers of a layer of points: one a class, and one for what no class names."""
    icon = layer.spec.style.icon
    if not icon and not ("point" in layer.spec.geometry or layer.spec.geometry == "geometry"):
        return []
    icon = icon or "poi"
    colors = [c.color for c in classes_of(layer)] + [other_color(layer), layer.spec.style.color]
    return list(dict.fromkeys(marker_name(icon, c) for c in colors))


@lru_cache(maxsize=8)
def _kept(names: tuple[str, ...], dark: bool, scale: int) -> Sheet:
    colors = palette(dark=dark)
    cells = [_marker(name, colors, scale) for name in names]
    cells += [_Cell(f"icon-{name}", _tinted(mask(name, _PLAIN * scale), colors.ink)) for name in ICONS]
    cells += [make(colors, scale) for make in _EXTRAS]
    return _packed(cells, scale)


def sheet(catalogue: Catalogue, *, dark: bool, scale: int) -> Sheet:
    """The sprite of everything published, in a theme, for screens of `scale` pixels a pixel (1 or 2)."""
    names = sorted({name for layer in catalogue.layers.values() for name in markers(layer)})
    return _kept(tuple(names), dark, scale)


def _marker(name: str, colors: Palette, scale: int) -> _Cell:
    icon, _, code = name.rpartition("-")
    dark = colors.name == "dark"
    ring = data_color(f"#{code}", dark=dark)
    side = MARKER * scale
    image = Image.new("RGBA", (side, side))
    # A soft edge keeps markers apart where they touch.
    for inset, color, opacity in ((0.0, colors.halo, 200), (1.0, ring, 255), (3.0, colors.surface, 255)):
        image.alpha_composite(_tinted(_round(side, inset * scale), color, opacity))
    # The pictogram is in the colour of its class, darkened or lightened until it can be read on the disc.
    pixels = PICTOGRAM * scale + (side - PICTOGRAM * scale) % 2
    at = (side - pixels) // 2
    image.alpha_composite(_tinted(mask(icon, pixels), mixed(ring, colors.ink, 0.55)), (at, at))
    return _Cell(name, image)


def _hatch(colors: Palette, scale: int) -> _Cell:
    side, big = _HATCH * scale, _HATCH * scale * _SUPER
    area = Image.new("L", (big, big))
    draw = ImageDraw.Draw(area)
    for shift in (-1, 0, 1):
        draw.line(
            (shift * big - big, 2 * big, shift * big + 2 * big, -big), fill=255, width=round(1.3 * scale * _SUPER)
        )
    return _Cell("hatch", _tinted(area.resize((side, side), Image.Resampling.BOX), colors.secondary, 150))


def _shield(name: str, fill: Callable[[Palette], str], line: Callable[[Palette], str]) -> Callable[..., _Cell]:
    def make(colors: Palette, scale: int) -> _Cell:
        width, height = 20 * scale, 16 * scale
        image = Image.new("RGBA", (width, height))
        for inset, color in ((0.0, line(colors)), (1.0, fill(colors))):
            area = Image.new("L", (width * _SUPER, height * _SUPER))
            edge = inset * scale * _SUPER
            box = (edge, edge, area.width - 1 - edge, area.height - 1 - edge)
            ImageDraw.Draw(area).rounded_rectangle(box, radius=(3 - inset) * scale * _SUPER, fill=255)
            image.alpha_composite(_tinted(area.resize((width, height), Image.Resampling.BOX), color))
        stretch = {"stretchX": [[5 * scale, 15 * scale]], "stretchY": [[5 * scale, 11 * scale]]}
        return _Cell(name, image, {**stretch, "content": [3 * scale, 2 * scale, 17 * scale, 14 * scale]})

    return make


def _seat(name: str, rings: tuple[tuple[float, bool], ...]) -> Callable[..., _Cell]:
    """The sign of a seat of government: rings from outside inwards, in ink or in the colour of the ground."""

    def make(colors: Palette, scale: int) -> _Cell:
        side = 16 * scale
        image = Image.new("RGBA", (side, side))
        for radius, inked in rings:
            disc = _round(side, (8 - radius) * scale)
            image.alpha_composite(_tinted(disc, colors.ink if inked else colors.halo))
        return _Cell(name, image)

    return make


_EXTRAS: tuple[Callable[..., _Cell], ...] = (
    _hatch,
    _shield("shield", lambda p: p.surface, lambda p: p.secondary),
    _shield("shield-expressway", lambda _: "#2e6b4a", lambda p: p.surface),
    _seat("seat-city", ((7.5, False), (6.5, True), (5.1, False), (3.6, True))),
    _seat("seat-county", ((6.2, False), (5.2, True), (3.8, False), (2.0, True))),
    _seat("seat-township", ((4.8, False), (3.8, True), (2.5, False))),
    _seat("seat-village", ((3.0, False), (2.1, True))),
)


def _round(side: int, inset: float) -> Image.Image:
    """Coverage of a disc in a square."""
    area = Image.new("L", (side * _SUPER, side * _SUPER))
    edge = inset * _SUPER
    ImageDraw.Draw(area).ellipse((edge, edge, area.width - 1 - edge, area.height - 1 - edge), fill=255)
    return area.resize((side, side), Image.Resampling.BOX)


def _tinted(coverage: Image.Image, color: str, opacity: int = 255) -> Image.Image:
    image = Image.new("RGBA", coverage.size, color)
    image.putalpha(
        coverage if opacity == 255 else ImageChops.multiply(coverage, Image.new("L", coverage.size, opacity))
    )
    return image


def _packed(cells: Iterable[_Cell], scale: int) -> Sheet:
    """Cells in rows, the tallest first."""
    index: dict[str, dict[str, Any]] = {}
    places: list[tuple[_Cell, int, int]] = []
    width = _SHEET_WIDTH * scale
    x = y = row = 0
    for cell in sorted(cells, key=lambda c: (-c.image.height, c.name)):
        if x + cell.image.width > width:
            x, y, row = 0, y + row + _GAP * scale, 0
        places.append((cell, x, y))
        size = {"width": cell.image.width, "height": cell.image.height}
        index[cell.name] = {"x": x, "y": y, **size, "pixelRatio": scale, **cell.more}
        x, row = x + cell.image.width + _GAP * scale, max(row, cell.image.height)
    picture = Image.new("RGBA", (width, y + row))
    for cell, left, top in places:
        picture.paste(cell.image, (left, top))
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return Sheet(index, out.getvalue())
