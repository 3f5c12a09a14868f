# SPDX-License-Identifier: Apache-2.0
"""A legend as a PNG, for documents and for clients that draw no legend of their own."""

from __future__ import annotations

import io
import math
from functools import lru_cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from geocloud.styles.fonts import FontFile, Fonts
from geocloud.styles.palette import Palette
from geocloud.styles.sprites import Sheet

__all__ = ["legend_png"]

# Pixels of a plain screen: margin, swatch, row, space between layers; sizes of text.
_MARGIN, _SWATCH, _ROW, _GAP = 16, (30, 18), 26, 12
_TITLE, _LAYER, _TEXT, _NOTE = 16, 14, 12, 11
_SUPER = 4
# Height from which another column begins.
_COLUMN = 760


def legend_png(legend: dict[str, Any], colors: Palette, sheet: Sheet, fonts: Fonts, scale: int) -> bytes:
    """The legend drawn in one column; `scale` 2 is for printing and dense screens, `sheet` a sprite of that scale."""
    pen = _Pen(colors, sheet, fonts, scale)
    height = pen.draw(legend, None)
    image = Image.new("RGB", (pen.width, height), colors.surface)
    pen.draw(legend, image)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


class _Pen:
    def __init__(self, colors: Palette, sheet: Sheet, fonts: Fonts, scale: int) -> None:
        self._colors, self._fonts, self._scale = colors, fonts, scale
        self._index = sheet.index
        self._sprite = Image.open(io.BytesIO(sheet.png)).convert("RGBA")
        self.width = 0
        self._left = _MARGIN

    def draw(self, legend: dict[str, Any], image: Image.Image | None) -> int:
        """Draws onto the image, or only measures: sets `width` and returns the height.

        Layers run down one column after another; a layer is never torn apart.
        """
        self.width, self._left = 0, _MARGIN
        top = self._write(image, _MARGIN, _MARGIN, legend["title"], _TITLE, self._colors.ink, bold=True) + _GAP // 2
        heights = [self._height(layer) for layer in legend["layers"]]
        tallest = max([_COLUMN, *heights])
        at, lowest = top, top
        for layer, height in zip(legend["layers"], heights, strict=True):
            if at > top and at + height > top + tallest:
                self._left, at = self.width // self._scale + _GAP, top
            at = self._layer(image, at, layer)
            lowest = max(lowest, at)
        return (lowest + _MARGIN) * self._scale

    @staticmethod
    def _height(layer: dict[str, Any]) -> int:
        entries = len(layer["entries"])
        return entries * _ROW + (0 if _is_plain(layer) else _GAP // 2 + round(_LAYER * 1.6) + 2)

    def _layer(self, image: Image.Image | None, at: int, layer: dict[str, Any]) -> int:
        if _is_plain(layer):
            return self._entry(image, at, layer["entries"][0], layer)
        at = self._heading(image, at + _GAP // 2, layer)
        for entry in layer["entries"]:
            at = self._entry(image, at, entry, {"synthetic": layer["synthetic"]})
        return at

    def _heading(self, image: Image.Image | None, at: int, layer: dict[str, Any]) -> int:
        end = self._write(image, self._left, at, layer["title"], _LAYER, self._colors.ink, bold=True)
        self._mark(image, self._left + self._length(layer["title"], _LAYER, bold=True) + 8, at, layer)
        return end + 2

    def _mark(self, image: Image.Image | None, x: int, at: int, layer: dict[str, Any]) -> None:
        if "mark" not in layer:
            return
        width = self._length(layer["mark"], _NOTE) + 10
        if image is not None:
            s = self._scale
            box = (x * s, at * s, (x + width) * s, (at + 18) * s)
            ImageDraw.Draw(image).rounded_rectangle(box, 3 * s, outline=self._colors.secondary, width=s)
        self._write(image, x + 5, at + 1, layer["mark"], _NOTE, self._colors.secondary)

    def _entry(self, image: Image.Image | None, at: int, entry: dict[str, Any], layer: dict[str, Any]) -> int:
        if image is not None:
            swatch = self._swatch(entry, hatched=layer["synthetic"])
            top = at * self._scale + (_ROW * self._scale - swatch.height) // 2
            left = self._left * self._scale + (_SWATCH[0] * self._scale - swatch.width) // 2
            image.paste(swatch, (left, top), swatch)
        x = self._left + _SWATCH[0] + 10
        self._write(image, x, at + (_ROW - 19) // 2, entry["label"], _TEXT, self._colors.ink)
        self._mark(image, x + self._length(entry["label"], _TEXT) + 8, at + 4, layer)
        return at + _ROW

    def _swatch(self, entry: dict[str, Any], *, hatched: bool) -> Image.Image:
        if entry["symbol"] == "marker":
            place = self._index[entry["icon"]]
            x, y = place["x"], place["y"]
            return self._sprite.crop((x, y, x + place["width"], y + place["height"]))
        width, height = (n * self._scale for n in _SWATCH)
        big = Image.new("RGBA", (width * _SUPER, height * _SUPER))
        _PAINT.get(entry["symbol"], _area)(ImageDraw.Draw(big), big.size, entry, self._scale * _SUPER, self._colors)
        swatch = big.resize((width, height), Image.Resampling.BOX)
        if hatched and entry["symbol"] in ("area", "cells"):
            self._hatch(swatch)
        return swatch

    def _hatch(self, swatch: Image.Image) -> None:
        place = self._index["hatch"]
        tile = self._sprite.crop((place["x"], place["y"], place["x"] + place["width"], place["y"] + place["height"]))
        layer = Image.new("RGBA", swatch.size)
        for y in range(0, swatch.height, tile.height):
            for x in range(0, swatch.width, tile.width):
                layer.paste(tile, (x, y))
        swatch.alpha_composite(Image.composite(layer, Image.new("RGBA", swatch.size), swatch.getchannel("A")))

    def _write(
        self, image: Image.Image | None, x: int, y: int, text: str, size: int, color: str, *, bold: bool = False
    ) -> int:
        self.width = max(self.width, (x + self._length(text, size, bold=bold) + _MARGIN) * self._scale)
        if image is not None:
            font = self._font(size, bold=bold)
            middle = (y + size * 0.75) * self._scale
            ImageDraw.Draw(image).text((x * self._scale, middle), text, color, font, anchor="lm")
        return y + round(size * 1.6)

    def _length(self, text: str, size: int, *, bold: bool = False) -> int:
        return math.ceil(float(self._font(size, bold=bold).getlength(text)) / self._scale)

    def _font(self, size: int, *, bold: bool = False) -> Any:
        faces = self._fonts.faces("Sans Bold" if bold else "Sans Regular")
        return _loaded(faces[0] if faces else None, size * self._scale)


def _is_plain(layer: dict[str, Any]) -> bool:
    """Whether the layer's one entry says its name, so that it needs no heading."""
    return len(layer["entries"]) == 1 and str(layer["entries"][0]["label"]).endswith(layer["title"])


@lru_cache(maxsize=32)
def _loaded(face: FontFile | None, size: int) -> Any:
    if face is None:
        return ImageFont.load_default(size)
    return ImageFont.truetype(str(face.path), size, index=face.index)


def _area(draw: ImageDraw.ImageDraw, size: tuple[int, int], entry: dict[str, Any], unit: int, colors: Palette) -> None:
    box = (unit, unit, size[0] - unit, size[1] - unit)
    opacity = round(255 * entry.get("opacity", 1.0))
    draw.rectangle(box, fill=f"{entry['color']}{opacity:02x}")
    draw.rectangle(box, outline=entry.get("outline", colors.hairline), width=unit)


def _line(draw: ImageDraw.ImageDraw, size: tuple[int, int], entry: dict[str, Any], unit: int, colors: Palette) -> None:
    middle, width = size[1] // 2, max(entry["width"], 1.0)
    if "casing" in entry:
        draw.line((0, middle, size[0], middle), fill=entry["casing"], width=round((width + 1.8) * unit))
    dashes = [n * width * unit for n in entry.get("dashes") or (size[0], 0)]
    x, n = 0.0, 0
    while x < size[0]:
        if n % 2 == 0:
            draw.line(
                (x, middle, min(x + dashes[n % len(dashes)], size[0]), middle), entry["color"], round(width * unit)
            )
        x, n = x + max(dashes[n % len(dashes)], 1), n + 1


def _railway(draw: ImageDraw.ImageDraw, size: tuple[int, int], entry: dict[str, Any], unit: int, _: Palette) -> None:
    middle = size[1] // 2
    draw.line((0, middle, size[0], middle), entry["color"], round(entry["width"] * unit))
    for x in range(0, size[0], 10 * unit):
        draw.line((x, middle, x + 5 * unit, middle), entry["gap"], round((entry["width"] - 1.4) * unit))


def _cluster(draw: ImageDraw.ImageDraw, size: tuple[int, int], entry: dict[str, Any], unit: int, c: Palette) -> None:
    radius, x, y = size[1] // 2 - unit // 2, size[0] // 2, size[1] // 2
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=entry["color"], outline=c.halo, width=unit)


def _ring(draw: ImageDraw.ImageDraw, size: tuple[int, int], entry: dict[str, Any], unit: int, _: Palette) -> None:
    radius, x, y = size[1] // 2 - unit // 2, size[0] // 2, size[1] // 2
    box = (x - radius, y - radius, x + radius, y + radius)
    draw.ellipse(box, fill=f"{entry['color']}20", outline=entry["color"], width=round(1.6 * unit))


def _cells(draw: ImageDraw.ImageDraw, size: tuple[int, int], entry: dict[str, Any], unit: int, _: Palette) -> None:
    side = size[0] / 3
    for i, opacity in enumerate((50, 120, 200)):
        draw.rectangle((i * side, unit, (i + 1) * side, size[1] - unit), fill=f"{entry['color']}{opacity:02x}")


_PAINT = {"area": _area, "line": _line, "railway": _railway, "cluster": _cluster, "ring": _ring, "cells": _cells}
