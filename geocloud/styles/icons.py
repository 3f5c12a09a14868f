# SPDX-License-Identifier: Apache-2.0
"""Pictograms as geometry on a square of 24 units: drawn for this project, rasterised at any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from PIL import Image, ImageDraw

__all__ = ["GRID", "ICONS", "Shape", "mask"]

GRID = 24
# Drawn this many times larger than wanted, then averaged: Pillow's own edges are not smoothed.
_SUPER = 8


@dataclass(frozen=True)
class Shape:
    """Filled outline, disc, or stroke with round ends; `cut` takes away from what was drawn before."""

    kind: Literal["area", "disc", "line"]
    points: tuple[tuple[float, float], ...]
    size: float = 0.0
    cut: bool = False


def _area(*points: tuple[float, float], cut: bool = False) -> Shape:
    return Shape("area", points, cut=cut)


def _box(x: float, y: float, width: float, height: float, *, cut: bool = False) -> Shape:
    return _area((x, y), (x + width, y), (x + width, y + height), (x, y + height), cut=cut)


def _disc(x: float, y: float, radius: float, *, cut: bool = False) -> Shape:
    return Shape("disc", ((x, y),), radius, cut)


def _line(width: float, *points: tuple[float, float], cut: bool = False) -> Shape:
    return Shape("line", points, width, cut)


def _arc(x: float, y: float, radius: float, start: float, end: float) -> tuple[tuple[float, float], ...]:
    """Points on a circle, degrees clockwise from the right."""
    steps = max(6, int(abs(end - start) / 8))
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return tuple((x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles)


def _drop(x: float, y: float, size: float) -> Shape:
    """A drop with its tip at (x, y)."""
    return _area((x, y), *_arc(x, y + size * 1.45, size * 0.75, -25, 205))


def _wave(y: float) -> Shape:
    return _line(2.2, *((1.5 + 21 * i / 40, y + 1.7 * math.sin(2 * math.pi * i / 20)) for i in range(41)))


_HEART = (
    *_arc(7.2, 8.4, 5.2, 145, 320),
    *_arc(16.8, 8.4, 5.2, 220, 395),
    (12.0, 21.4),
)

ICONS: dict[str, tuple[Shape, ...]] = {
    "poi": (_disc(12, 12, 6),),
    "hospital": (_box(8.6, 2.5, 6.8, 19), _box(2.5, 8.6, 19, 6.8)),
    "school": (
        _area((12, 3.5), (23.5, 9.2), (12, 14.9), (0.5, 9.2)),
        _area((5.2, 13), (12, 16.5), (18.8, 13), (18.8, 17.6), (12, 20.6), (5.2, 17.6)),
        _line(1.8, (21.6, 10), (21.6, 17.5)),
    ),
    "care": (_area(*_HEART),),
    "shelter": (
        _area((12, 2.2), (23.4, 12.2), (20.2, 12.2), (20.2, 21.6), (3.8, 21.6), (3.8, 12.2), (0.6, 12.2)),
        _disc(12, 10.6, 2.2, cut=True),
        _area((8.2, 21.6), (8.9, 14.2), (15.1, 14.2), (15.8, 21.6), cut=True),
    ),
    "culture": (
        _area((12, 2.2), (22.6, 8.6), (1.4, 8.6)),
        *(_box(x, 10.2, 3.2, 7.6) for x in (3.4, 10.4, 17.4)),
        _box(1.8, 19, 20.4, 2.8),
    ),
    "heritage": (
        _area((12, 0.8), (14, 4), (19.6, 6.8), (19.6, 8.6), (4.4, 8.6), (4.4, 6.8), (10, 4)),
        _box(8, 8.6, 8, 3.2),
        _area((8, 11.2), (16, 11.2), (23, 14.4), (23, 16.2), (1, 16.2), (1, 14.4)),
        *(_box(x, 16, 2.8, 4.6) for x in (4.8, 10.6, 16.4)),
        _box(3, 20.4, 18, 2.4),
    ),
    "parking": (
        _line(3.8, (8, 3.6), (8, 20.8)),
        _line(3.8, (8, 3.6), (12.4, 3.6), *_arc(12.4, 8.2, 4.6, -90, 90), (8, 12.8)),
    ),
    "camera": (
        _area((2.2, 4.6), (19.6, 9.2), (17.8, 15.9), (0.4, 11.3)),
        _area((20.6, 10.6), (23.6, 11.4), (22.8, 14.6), (19.7, 13.8)),
        _line(2.6, (9.5, 14), (9.5, 18.6), (2.4, 18.6)),
        _line(2.6, (2.4, 15.6), (2.4, 21.6)),
    ),
    "component": (
        _area(*((12 + 11 * math.cos(math.radians(a)), 12 + 11 * math.sin(math.radians(a))) for a in range(0, 360, 60))),
        _disc(12, 12, 4.2, cut=True),
    ),
    "air": (
        _line(2.6, (1.6, 9), (13.6, 9), *_arc(13.6, 5.6, 3.4, 90, -150)),
        _line(2.6, (1.6, 13.6), (19, 13.6), *_arc(19, 10.6, 3, 90, -120)),
        _line(2.6, (1.6, 18.2), (12.4, 18.2), *_arc(12.4, 20.4, 2.2, -90, 100)),
    ),
    "rain": (_drop(12, 0.8, 9.6), _drop(9.3, 10.2, 3.4)),
    "gauge": (
        _box(8.8, 1, 6.4, 15),
        _box(12.2, 3.6, 3, 1.6, cut=True),
        _box(10.8, 7, 4.4, 1.6, cut=True),
        _box(12.2, 10.4, 3, 1.6, cut=True),
        _line(4.4, (1.5, 18), (22.5, 18), cut=True),
        _wave(17.6),
        _wave(21.6),
    ),
    "sluice": (_box(1.6, 2, 3.6, 14.4), _box(18.8, 2, 3.6, 14.4), _box(6.6, 3.4, 10.8, 9), _wave(17.2), _wave(21.4)),
    "pump": (
        _disc(10.6, 13.4, 8.4),
        _box(10.6, 5, 12, 4.4),
        _area((7.4, 8.6), (16, 13.4), (7.4, 18.2), cut=True),
        _box(2.4, 20.4, 16.4, 2.4),
    ),
    "weather": (
        _disc(12, 12, 5.2),
        *(
            _line(2.2, (12 + 7.6 * c, 12 + 7.6 * s), (12 + 10.4 * c, 12 + 10.4 * s))
            for c, s in ((math.cos(math.radians(a)), math.sin(math.radians(a))) for a in range(0, 360, 45))
        ),
    ),
    "building": (
        _box(4, 2.4, 16, 19.4),
        *(_box(x, y, 3, 3, cut=True) for x in (7, 14) for y in (5.4, 10.4, 15.4)),
    ),
    "tree": (_disc(12, 8.8, 7.6), _box(10.6, 13, 2.8, 9)),
    "bus": (
        _box(4, 2.6, 16, 16.4),
        _box(6.2, 5.4, 11.6, 6, cut=True),
        _disc(7.6, 15.4, 1.5, cut=True),
        _disc(16.4, 15.4, 1.5, cut=True),
        _box(5.4, 18.6, 3.2, 3.2),
        _box(15.4, 18.6, 3.2, 3.2),
    ),
    "flag": (_line(2.4, (5, 2.6), (5, 22)), _area((6, 2.6), (21.6, 7.6), (6, 12.8))),
    "water": (_wave(6), _wave(12), _wave(18)),
    "warning": (
        _area((12, 1.6), (23.4, 21.8), (0.6, 21.8)),
        _line(2.4, (12, 8.4), (12, 14.4), cut=True),
        _disc(12, 18.4, 1.4, cut=True),
    ),
    "arrow": (_line(2.6, (3, 12), (15, 12)), _area((13.4, 6.4), (22.4, 12), (13.4, 17.6))),
}


@lru_cache(maxsize=512)
def mask(name: str, pixels: int) -> Image.Image:
    """The coverage of a pictogram in a square of that many pixels; KeyError when there is none of that name."""
    side = pixels * _SUPER
    image = Image.new("L", (side, side), 0)
    draw, unit = ImageDraw.Draw(image), side / GRID
    for shape in ICONS[name]:
        _draw(draw, shape, unit, 0 if shape.cut else 255)
    return image.resize((pixels, pixels), Image.Resampling.BOX)


def _draw(draw: ImageDraw.ImageDraw, shape: Shape, unit: float, value: int) -> None:
    points = [(x * unit, y * unit) for x, y in shape.points]
    if shape.kind == "area":
        draw.polygon(points, fill=value)
        return
    radius = shape.size * unit / (1 if shape.kind == "disc" else 2)
    if shape.kind == "line":
        draw.line(points, fill=value, width=max(1, round(2 * radius)), joint="curve")
    for x, y in points if shape.kind == "disc" else _ends(points):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=value)


def _ends(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    return points[0], points[-1]
