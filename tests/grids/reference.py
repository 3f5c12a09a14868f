# SPDX-License-Identifier: Apache-2.0
"""BeiDou grid codes by division, one position at a time and in fractions: what the quick ways are held against."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

# Degrees across and up of a cell, and how its part of the code is written: one digit row by row, or two.
LEVELS = [
    (Fraction(1, 2), Fraction(1, 2), False),
    (Fraction(1, 4), Fraction(1, 6), True),
    (Fraction(1, 60), Fraction(1, 60), False),
    (Fraction(4, 3600), Fraction(4, 3600), False),
    (Fraction(2, 3600), Fraction(2, 3600), True),
    (Fraction(1, 4 * 3600), Fraction(1, 4 * 3600), False),
    (Fraction(1, 32 * 3600), Fraction(1, 32 * 3600), False),
    (Fraction(1, 256 * 3600), Fraction(1, 256 * 3600), False),
    (Fraction(1, 2048 * 3600), Fraction(1, 2048 * 3600), False),
]


def encode(longitude: float | str, latitude: float | str, level: int) -> str:
    """The code of a level by dividing what is left of longitude and latitude."""
    lon, lat = (Fraction(Decimal(repr(v) if isinstance(v, float) else v)) for v in (longitude, latitude))
    x, y = abs(lon), abs(lat)
    if x == 180:
        x -= Fraction(1, 10**9)
    zone, band = x // 6, y // 4
    x, y = x - 6 * zone, y - 4 * band
    code = f"{'N' if lat >= 0 else 'S'}{(31 + zone) if lon >= 0 else (30 - zone):02d}{chr(ord('A') + band)}"
    for width, height, one in LEVELS[: level - 1]:
        a, b = x // width, y // height
        x, y = x - a * width, y - b * height
        code += str(2 * b + a) if one else f"{a:X}{b:X}"
    return code
