# SPDX-License-Identifier: Apache-2.0
"""BeiDou grid codes on the ground as integers, for whole arrays: what `beidou` does one by one, bit for bit.

An index is an int64 that stands for a code and its level: cells of a level are numbered without a gap in the order
of their codes (GB/T 39409-2020, children by row and then column at levels 3 and 6, else by column and then row), and
the numbers of a level begin where those of the level above end. So indexes of a level ascend as their codes do, the
children of a cell are neighbours in the order, and all of them fit a bigint. -1 stands for no code.

Since a cell's number is a sum of what its column and its row add, both are looked up, in tables of 2-second cells and
of 4,096 parts of these; nothing is divided. CGCS2000, longitude before latitude, whole units of 1/2048 second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocloud.grids import beidou
from geocloud.grids.beidou import COLUMNS, HEIGHTS, LENGTHS, UNITS_PER_DEGREE, WIDTHS
from geocloud.grids.beidou_tables import (
    COUNT,
    FINE,
    FIRST,
    WITHIN,
    X6,
    Y6,
    add_tables,
    character_tables,
    place_tables,
    text_tables,
)

__all__ = [
    "FIRST",
    "NONE",
    "bounds",
    "children",
    "encode_many",
    "from_columns",
    "from_points",
    "from_text",
    "levels",
    "parents",
    "to_columns",
    "to_points",
    "to_text",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NONE = -1
"""Stands for no code."""
_FIRST = np.array(FIRST, np.int64)
_HALF_X, _HALF_Y = 180 * UNITS_PER_DEGREE, beidou.LATITUDE_END * UNITS_PER_DEGREE
_FINE_BITS = 12
# Positions at a time, so that what is worked on stays in the processor's cache.
_BLOCK = 1 << 14
_LEVEL_6 = WITHIN[4] // WITHIN[6]
_LEVEL_4 = WITHIN[1] // WITHIN[4]
# Floats with up to twelve decimals are read as these decimals: units are 4608 / 625,000,000 of 1e-12 degree.
_DECIMALS, _NUMERATOR, _DENOMINATOR = 1e12, 4608, 625_000_000


def from_points(longitude: ArrayLike, latitude: ArrayLike, level: int = 10) -> Ints:
    """The index of the cell of a level (1 to 10) that each position in degrees lies in, of the arrays' shape.

    A position without a code (not a number, out of range, 88 degrees and more from the equator) gets -1.
    """
    beidou.check_level(level)
    lon, lat = np.broadcast_arrays(np.asarray(longitude, np.float64), np.asarray(latitude, np.float64))
    out = np.empty(lon.shape, np.int64)
    flat = out.reshape(-1)
    x, y = lon.reshape(-1), lat.reshape(-1)
    for begin in range(0, flat.size, _BLOCK):
        part = slice(begin, begin + _BLOCK)
        flat[part] = _from_points(x[part], y[part], level)
    return out


def _from_points(lon: Floats, lat: Floats, level: int) -> Ints:
    across, up = np.abs(lon), np.abs(lat)
    good = (across <= 180.0) & (up < beidou.LATITUDE_END)
    whole = bool(good.all())
    if not whole:
        across, up = np.where(good, across, 0.0), np.where(good, up, 0.0)
    u, v = whole_units(across), whole_units(up)
    np.minimum(u, _HALF_X - 1, out=u)
    number = _number(u, v, lon >= 0, lat >= 0)
    if level < 10:
        number //= WITHIN[level]
    number += FIRST[level]
    if not whole:
        number[~good] = NONE
    return number


def whole_units(degrees: Floats) -> Ints:
    """Whole units of 1/2048 second in degrees of 0 and more, read as the decimal numbers they are written as."""
    exact = degrees * UNITS_PER_DEGREE
    whole = exact.astype(np.int64)
    nearest = np.rint(exact)
    (near,) = np.nonzero(np.abs(exact - nearest) < 1e-5)
    if near.size:
        whole[near] = _exactly(degrees[near], nearest[near].astype(np.int64))
    return whole


def _exactly(degrees: Floats, nearest: Ints) -> Ints:
    """Whole units of degrees that are close to `nearest` units, by the decimal number where the float does not tell."""
    edge = nearest / UNITS_PER_DEGREE
    found = nearest - (degrees < edge)
    decimals = np.rint(degrees * _DECIMALS)
    short = decimals / _DECIMALS == degrees
    found[short] = decimals[short].astype(np.int64) * _NUMERATOR // _DENOMINATOR
    for i in np.flatnonzero(~short & (degrees == edge)):
        found[i] = int(beidou.units(float(degrees[i])))
    return found


def _number(u: Ints, v: Ints, east: NDArray[np.bool_], north: NDArray[np.bool_]) -> Ints:
    """Numbers at level 10 of places given by units away from the prime meridian and the equator."""
    columns, rows, fine_x, fine_y = add_tables()
    number: Ints = columns[(u >> _FINE_BITS) + east * X6]
    number += rows[(v >> _FINE_BITS) + north * Y6]
    number += fine_x[u & (FINE - 1)]
    number += fine_y[v & (FINE - 1)]
    return number


def to_points(index: ArrayLike) -> tuple[Floats, Floats]:
    """Longitude and latitude in degrees of the middle of each cell; NaN for -1."""
    indexes = np.asarray(index, np.int64)
    lon, lat = np.empty(indexes.shape), np.empty(indexes.shape)
    flat, x, y = indexes.reshape(-1), lon.reshape(-1), lat.reshape(-1)
    for begin in range(0, flat.size, _BLOCK):
        part = slice(begin, begin + _BLOCK)
        x[part], y[part] = _to_points(flat[part])
    return lon, lat


def _to_points(index: Ints) -> tuple[Floats, Floats]:
    level = _one_level(index)
    if level is None:
        x, y = _by_level(index, lambda part, _: _to_points(part), np.float64, np.nan)
        return x, y
    u, v, side = _anchors(index, level)
    # Doubled, so that the middle is a whole number too.
    u <<= 1
    v <<= 1
    u += WIDTHS[level]
    v += HEIGHTS[level]
    x, y = u / (2 * UNITS_PER_DEGREE), v / (2 * UNITS_PER_DEGREE)
    np.negative(x, out=x, where=(side & 1) == 0)
    np.negative(y, out=y, where=(side & 2) == 0)
    return x, y


def bounds(index: ArrayLike) -> tuple[Ints, Ints, Ints, Ints]:
    """West, south, east and north of each cell in whole units of 1/2048 second; all 0 for -1."""
    column, row, level = to_columns(index)
    width, height = np.array(WIDTHS, np.int64)[level], np.array(HEIGHTS, np.int64)[level]
    return column * width, row * height, (column + 1) * width, (row + 1) * height


def to_columns(index: ArrayLike) -> tuple[Ints, Ints, Ints]:
    """Column, row and level of each cell; columns count east from the prime meridian and rows north from the equator,
    from 0, those of the other side from -1 down. All 0 for -1."""
    indexes = np.asarray(index, np.int64)
    flat = indexes.reshape(-1)
    level = levels(flat)

    def placed(part: Ints, n: int) -> tuple[Ints, Ints]:
        u, v, side = _anchors(part, n)
        column, row = u // WIDTHS[n], v // HEIGHTS[n]
        return np.where(side & 1, column, -1 - column), np.where(side & 2, row, -1 - row)

    column, row = _by_level(flat, placed, np.int64, 0)
    return column.reshape(indexes.shape), row.reshape(indexes.shape), level.reshape(indexes.shape)


def from_columns(column: ArrayLike, row: ArrayLike, level: int) -> Ints:
    """Indexes of the cells of a level by column and row as `to_columns` gives them; across 180 degrees columns go on
    at the other side, rows beyond 88 degrees give -1."""
    beidou.check_level(level)
    c, r = np.broadcast_arrays(np.asarray(column, np.int64), np.asarray(row, np.int64))
    around = 2 * _HALF_X // WIDTHS[level]
    c = (c + around // 2) % around - around // 2
    rows = _HALF_Y // HEIGHTS[level]
    good = (r >= -rows) & (r < rows)
    east, north = c >= 0, r >= 0
    u = np.where(east, c, -1 - c) * WIDTHS[level]
    v = np.where(good, np.where(north, r, -1 - r), 0) * HEIGHTS[level]
    number = _number(u, v, east, north) // WITHIN[level] + FIRST[level]
    return np.where(good, number, NONE)


def levels(index: ArrayLike) -> Ints:
    """The level of each index; 0 for -1 and for what is no index."""
    indexes = np.asarray(index, np.int64)
    found = np.searchsorted(_FIRST[1:], indexes, side="right")
    return np.where((indexes < 0) | (found > 10), 0, found)


def parents(index: ArrayLike, level: int) -> Ints:
    """The cell of a coarser (or the same) level around each; -1 for cells that are coarser already."""
    beidou.check_level(level)
    indexes = np.asarray(index, np.int64)
    own = levels(indexes)
    steps = np.array([1, *(COUNT[n] for n in range(1, 11))], np.int64)[own] // COUNT[level]
    number = (indexes - _FIRST[own]) // np.maximum(steps, 1)
    return np.where(own >= level, number + FIRST[level], NONE)


def children(index: int, level: int) -> range:
    """The indexes of a level within a cell, itself for its own level; none of a coarser one."""
    beidou.check_level(level)
    own = int(levels(index))
    if not 1 <= own <= level:
        return range(0)
    step = COUNT[level] // COUNT[own]
    begin = FIRST[level] + (index - FIRST[own]) * step
    return range(begin, begin + step)


def to_text(index: ArrayLike) -> NDArray[np.bytes_]:
    """The codes as ASCII bytes (numpy S20, or as long as the level needs where all have the same); b"" for -1."""
    indexes = np.asarray(index, np.int64)
    flat = indexes.reshape(-1)
    level = _one_level(flat)
    if level is not None:
        out = np.empty(flat.size, f"S{LENGTHS[level]}")
        for begin in range(0, flat.size, _BLOCK):
            out[begin : begin + _BLOCK] = _texts(flat[begin : begin + _BLOCK], level)
        return out.reshape(indexes.shape)
    own = levels(flat)
    out = np.zeros(flat.size, f"S{LENGTHS[10]}")
    for n in np.unique(own[own > 0]).tolist():
        out[own == n] = _texts(flat[own == n], n)
    return out.reshape(indexes.shape)


def _texts(index: Ints, level: int) -> NDArray[np.bytes_]:
    number = (index - FIRST[level]) * WITHIN[level]
    top, middle, low, fine = text_tables()
    out = np.empty(index.size, [("a", "S4"), ("b", "S5"), ("c", "S3"), ("d", "S4"), ("e", "S4")])
    parts = number >> 24
    below = parts // _LEVEL_6
    # `take` on bytes of another width would go item by item; whole records are moved.
    out["c"] = low[parts - below * _LEVEL_6]
    first = below // _LEVEL_4
    out["a"] = top[first]
    out["b"] = middle[below - first * _LEVEL_4]
    out["d"] = fine[(number >> 12) & (FINE - 1)]
    out["e"] = fine[number & (FINE - 1)]
    text = out.view("S20")
    return text if level == 10 else text.astype(f"S{LENGTHS[level]}")


def from_text(codes: ArrayLike) -> Ints:
    """The index of each code (numpy text or bytes, capitals); -1 for what is no code."""
    given = np.asarray(codes)
    texts = given if given.dtype.kind == "S" else _ascii(given)
    flat = np.ascontiguousarray(texts).reshape(-1)
    out = np.full(flat.size, NONE, np.int64)
    if not flat.size or flat.dtype.itemsize < LENGTHS[1]:
        return out.reshape(given.shape)
    size = flat.dtype.itemsize
    for begin in range(0, flat.size, _BLOCK):
        part = flat[begin : begin + _BLOCK]
        out[begin : begin + _BLOCK] = _read(part.view(np.uint8).reshape(len(part), size))
    return out.reshape(given.shape)


def _ascii(texts: NDArray[np.str_]) -> NDArray[np.bytes_]:
    """Text as bytes; anything but ASCII becomes a question mark, which no code has."""
    if texts.dtype.kind != "U":
        texts = texts.astype(str)
    size = texts.dtype.itemsize // 4
    points = np.ascontiguousarray(texts).reshape(-1).view(np.uint32).reshape(-1, max(size, 1)) if size else None
    if points is None:
        return np.zeros(texts.shape, "S1")
    return np.where(points < 128, points, ord("?")).astype(np.uint8).view(f"S{size}").reshape(texts.shape)


def _read(characters: NDArray[np.uint8]) -> Ints:
    """Indexes of rows of characters, 0 behind the end of a code."""
    size = characters.shape[1]
    tables = character_tables()
    # Left to right, so that characters of one place lie together.
    columns = np.ascontiguousarray(characters.T)
    ends = np.array(LENGTHS)
    if columns[-1].all() and size in LENGTHS[1:]:
        length: Ints | int = size
        level: Ints | int = LENGTHS.index(size)
    else:
        length = np.count_nonzero(characters, axis=1)
        level = np.searchsorted(ends, length)
    number = np.zeros(columns.shape[1], np.int64)
    for at in range(min(size, LENGTHS[10])):
        number += tables[at][columns[at]]
        # Two such sums would run over; once below, what else may come does not lift it to 0.
        np.maximum(number, -COUNT[10], out=number)
    wrong = number < 0
    if not isinstance(level, int):
        known = (length <= LENGTHS[10]) & (length >= LENGTHS[1])
        level = np.where(known, level, 10)
        # A 0 within a code is no end.
        known &= ends[level] == length
        known &= ((characters != 0) == (np.arange(size) < np.asarray(length)[:, None])).all(axis=1)
        wrong |= ~known
        number = number // np.array(WITHIN, np.int64)[level] + _FIRST[level]
    else:
        number = number // WITHIN[level] + FIRST[level]
    number[wrong] = NONE
    # The zones 00 and 61 to 99 are written in digits like any other.
    zone = (columns[1].astype(np.int64) - 48) * 10 + columns[2] - 48
    number[(zone < 1) | (zone > COLUMNS[1])] = NONE
    return number


def _one_level(index: Ints) -> int | None:
    """The level of all of them, None where they are of several or one is no index."""
    if not index.size:
        return 10
    low, high = int(index.min()), int(index.max())
    first, last = int(levels(low)), int(levels(high))
    return first if first == last and first > 0 else None


def _by_level(
    index: Ints, make: Callable[[Ints, int], tuple[NDArray[Any], NDArray[Any]]], kind: Any, none: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    own = levels(index)
    x: NDArray[Any] = np.full(index.shape, none, kind)
    y: NDArray[Any] = x.copy()
    for n in np.unique(own[own > 0]).tolist():
        rows = own == n
        x[rows], y[rows] = make(index[rows], n)
    return x, y


def _anchors(index: Ints, level: int) -> tuple[Ints, Ints, Ints]:
    """Units away from the prime meridian and the equator of the anchors, and which side: 1 east, 2 north."""
    top, middle, low, fine = place_tables()
    number = (index - FIRST[level]) * WITHIN[level]
    parts = number >> 24
    below = parts // _LEVEL_6
    packed = low[parts - below * _LEVEL_6]
    first = below // _LEVEL_4
    below -= first * _LEVEL_4
    packed += middle[below]
    packed += top[first]
    packed += fine[(number >> 12) & (FINE - 1)] << 6
    packed += fine[number & (FINE - 1)]
    # 32 bits of units each, the sides in the two bits above those that 180 degrees need.
    return packed >> 32 & 0x7FFF_FFFF, packed & 0x3FFF_FFFF, (packed >> 63 & 1) | (packed >> 30 & 2)


def encode_many(longitude: ArrayLike, latitude: ArrayLike, level: int = 10) -> NDArray[np.str_]:
    """The codes of arrays of degrees, the same that `beidou.encode` gives one by one, as an array of that shape.

    A position without a code (not a number, out of range) gets the empty text.
    """
    return to_text(from_points(longitude, latitude, level)).astype(f"U{LENGTHS[level]}")
