# SPDX-License-Identifier: Apache-2.0
"""Tables by which `beidou_index` adds up and takes apart the numbers of BeiDou grid cells, about 10 MB, made when first
used."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from geocloud.grids.beidou import (
    BANDS,
    COLUMNS,
    DIGITS,
    HEIGHTS,
    LATITUDE_END,
    LENGTHS,
    ONE_DIGIT,
    ROWS,
    UNITS_PER_DEGREE,
    WIDTHS,
)

__all__ = [
    "COUNT",
    "FINE",
    "FIRST",
    "WITHIN",
    "X6",
    "Y6",
    "add_tables",
    "character_tables",
    "place_tables",
    "text_tables",
]

Ints = NDArray[np.int64]

_CHILDREN = (0, 0, *(COLUMNS[n] * ROWS[n] for n in range(2, 11)))
WITHIN = tuple(int(np.prod([_CHILDREN[m] for m in range(n + 1, 11)], dtype=np.int64)) if n else 0 for n in range(11))
"""Cells of level 10 within one of each level."""
# Both hemispheres, 60 zones, 22 bands.
_TOP = 2 * COLUMNS[1] * ROWS[1]
COUNT = (0, *(_TOP * WITHIN[1] // WITHIN[n] for n in range(1, 11)))
"""Cells of each level."""
FIRST: tuple[int, ...] = (0, *(sum(COUNT[1:n]) for n in range(1, 12)))
"""The first index of each level, from 1 on; that of 11 is the end of all."""
FINE = 4096
"""Units of a two-second cell, level 6."""
X6, Y6 = 180 * UNITS_PER_DEGREE // FINE, LATITUDE_END * UNITS_PER_DEGREE // FINE
"""Two-second cells from the prime meridian and from the equator on."""


def _adds(level: int) -> tuple[int, int]:
    """What a column and a row more add to a cell's number at this level, in cells of level 10."""
    if level in ONE_DIGIT:
        return WITHIN[level], COLUMNS[level] * WITHIN[level]
    return ROWS[level] * WITHIN[level], WITHIN[level]


@cache
def add_tables() -> tuple[Ints, Ints, Ints, Ints]:
    """What the column and the row of a place add to its number: by two-second cells, west and south first, and within
    one of these."""
    columns, rows = np.zeros(2 * X6, np.int64), np.zeros(2 * Y6, np.int64)
    x, y = np.arange(X6) * FINE, np.arange(Y6) * FINE
    zone, band = x // WIDTHS[1], y // HEIGHTS[1]
    # A number at level 1 is the hemisphere (N before S, as in codes), the zone from 01, the band.
    for half, number in ((slice(0, X6), 29 - zone), (slice(X6, None), 30 + zone)):
        columns[half] = number * ROWS[1] * WITHIN[1] + _down(x, WIDTHS, COLUMNS, 0)
    south = COLUMNS[1] * ROWS[1] * WITHIN[1]
    for half, begin in ((slice(0, Y6), south), (slice(Y6, None), 0)):
        rows[half] = begin + band * WITHIN[1] + _down(y, HEIGHTS, ROWS, 1)
    small = np.arange(FINE)
    return columns, rows, _down(small, WIDTHS, COLUMNS, 0), _down(small, HEIGHTS, ROWS, 1)


def _down(units: Ints, sizes: tuple[int, ...], counts: tuple[int, ...], axis: int) -> Ints:
    """What places add to a number at the levels below the first, along one axis."""
    total = np.zeros_like(units)
    for n in range(2, 11):
        total += units // sizes[n] % counts[n] * _adds(n)[axis]
    return total


def _digits_of(number: Ints, upper: int, lower: int) -> list[tuple[int, Ints, Ints]]:
    """Level, column and row within its parent, of numbers of cells of `lower` counted within one of `upper`."""
    out = []
    for n in range(lower, upper, -1):
        number, within = np.divmod(number, _CHILDREN[n])
        pair = (within % COLUMNS[n], within // COLUMNS[n]) if n in ONE_DIGIT else np.divmod(within, ROWS[n])
        out.append((n, pair[0], pair[1]))
    return out[::-1]


@cache
def place_tables() -> tuple[Ints, Ints, Ints, Ints]:
    """Units of a number's parts, those across shifted by 32: levels 1, 2 to 4, 5 and 6, and two of 7 to 10."""
    number = np.arange(_TOP)
    hemisphere, rest = np.divmod(number, COLUMNS[1] * ROWS[1])
    zone, band = np.divmod(rest, ROWS[1])
    east = zone >= 30
    across = np.where(east, zone - 30, 29 - zone) * WIDTHS[1]
    top = (across << 32) | (band * HEIGHTS[1]) | np.where(hemisphere == 0, 1 << 31, 0)
    top = top.view(np.uint64) | np.where(east, np.uint64(1 << 63), np.uint64(0))
    made = [top.view(np.int64)]
    for upper, lower in ((1, 4), (4, 6), (8, 10)):
        count = WITHIN[upper] // WITHIN[lower]
        packed = np.zeros(count, np.int64)
        for n, column, row in _digits_of(np.arange(count), upper, lower):
            packed += (column * WIDTHS[n] << 32) + row * HEIGHTS[n]
        made.append(packed)
    return made[0], made[1], made[2], made[3]


@cache
def text_tables() -> tuple[NDArray[np.bytes_], ...]:
    """Characters of a number's parts: levels 1, 2 to 4, 5 and 6, and two of 7 to 10."""
    top = [f"{h}{z:02d}{b}" for h in "NS" for z in range(1, COLUMNS[1] + 1) for b in BANDS]
    made = [np.array(top, "S4")]
    digits = np.frombuffer(DIGITS.encode(), np.uint8)
    for upper, lower in ((1, 4), (4, 6), (8, 10)):
        count = WITHIN[upper] // WITHIN[lower]
        characters = []
        for n, column, row in _digits_of(np.arange(count), upper, lower):
            characters += (
                [digits[2 * row + column]] if n in ONE_DIGIT else [digits[column], digits[row]]
            )  # column before row
        made.append(np.stack(characters, axis=1).view(f"S{len(characters)}").reshape(-1))
    return tuple(made)


@cache
def character_tables() -> list[Ints]:
    """What a character adds to a number at each place of a code; what cannot stand there makes any sum negative."""
    out = []

    def table(allowed: str, add: int, end: bool = False) -> None:
        values = np.full(256, -COUNT[10], np.int64)
        if end:
            values[0] = 0
        for number, character in enumerate(allowed):
            values[ord(character)] = number * add
        out.append(values)

    per_zone = ROWS[1] * WITHIN[1]
    table("NS", COLUMNS[1] * per_zone)
    table(DIGITS[:7], 10 * per_zone)
    table(DIGITS[:10], per_zone)
    # Zones begin at 01.
    out[2] -= np.where(out[2] >= 0, per_zone, 0)
    table(BANDS, WITHIN[1])
    for (begin, end), n in zip(pairwise(LENGTHS[1:]), range(2, 11), strict=True):
        across, up = _adds(n)
        if end - begin == 1:
            table(DIGITS[: COLUMNS[n] * ROWS[n]], WITHIN[n], end=True)
        else:
            table(DIGITS[: COLUMNS[n]], across, end=True)
            table(DIGITS[: ROWS[n]], up, end=True)
    return out
