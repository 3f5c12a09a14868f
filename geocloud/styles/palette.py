# SPDX-License-Identifier: Apache-2.0
"""Colours of the base map, light and dark, and of data; with the arithmetic that keeps text readable on them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DARK", "LIGHT", "OKABE_ITO", "OTHER", "Palette", "contrast", "data_color", "mixed", "palette"]

# Okabe and Ito 2008: told apart with every common kind of colour blindness. Black comes last, as it reads as text.
OKABE_ITO = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#f0e442", "#000000")
OTHER = "#8c9399"


@dataclass(frozen=True)
class Palette:
    """One theme; names are those of the visual language, values `#rrggbb`."""

    name: str
    page: str
    land: str
    built_up: str
    water: str
    water_line: str
    water_label: str
    wood: str
    farmland: str
    road: str
    casing: str
    expressway: str
    trunk: str
    path: str
    rail: str
    rail_gap: str
    building: str
    building_line: str
    boundary: str
    ink: str
    secondary: str
    hairline: str
    surface: str
    halo: str


LIGHT = Palette(
    name="light",
    page="#e6e4dd",
    land="#f4f2ec",
    built_up="#ebe7de",
    water="#c8dbe6",
    water_line="#9fc0d3",
    water_label="#265d7b",
    wood="#dde6d3",
    farmland="#f1efdf",
    road="#ffffff",
    casing="#d5d2cb",
    expressway="#e9c46a",
    trunk="#f1dba6",
    path="#c9bfae",
    rail="#8b9297",
    rail_gap="#f7f6f2",
    building="#e0dacd",
    building_line="#cdc5b5",
    boundary="#8b7f92",
    ink="#1f2a30",
    secondary="#52616a",
    hairline="#dfe4e6",
    surface="#ffffff",
    halo="#ffffff",
)
DARK = Palette(
    name="dark",
    page="#101417",
    land="#1b2125",
    built_up="#23292d",
    water="#163140",
    water_line="#2b5468",
    water_label="#86bbd6",
    wood="#1d2a22",
    farmland="#20241e",
    road="#3b444a",
    casing="#12171a",
    expressway="#8f7334",
    trunk="#6d6140",
    path="#4a4d4a",
    rail="#6c767c",
    rail_gap="#232a2e",
    building="#2b3236",
    building_line="#394146",
    boundary="#857a8e",
    ink="#e6eaec",
    secondary="#a9b5bb",
    hairline="#343c41",
    surface="#20272b",
    halo="#12171a",
)


def palette(*, dark: bool) -> Palette:
    """The palette of a theme."""
    return DARK if dark else LIGHT


def data_color(color: str, *, dark: bool) -> str:
    """A data colour as the theme shows it: on dark ground, what would sink into it is lifted."""
    lifted = color
    while dark and contrast(lifted, DARK.land) < 3:
        lifted = mixed(lifted, "#ffffff", 0.12)
    return lifted


def mixed(color: str, other: str, share: float) -> str:
    """`color` with a share (0 to 1) of another, in sRGB."""
    pairs = zip(_channels(color), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours after WCAG 2.2, 1 to 21."""
    light, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dim + 0.05)


def _luminance(color: str) -> float:
    parts = [c / 255 for c in _channels(color)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
