# SPDX-License-Identifier: Apache-2.0
"""The BeiDou grid code (北斗网格位置码, GB/T 39409-2020) on the ground: encoding, decoding, bounds of cells.

All arithmetic is in whole units of 1/2048 second, the side of a cell of level 10, so that no rounding can put a
position into the neighbouring cell. A float is read as the decimal number it is written as (115.1 is 115°06′00″ and
not a hair less). `beidou_index` does the same for whole arrays; heights are in `beidou3d`.

The frame is CGCS2000, longitude before latitude. From level 2 down, columns count away from the prime meridian and
rows away from the equator, so a cell's anchor is its corner nearest to both. A position on the line between two cells
belongs to the one farther out, one on the equator to the north, one on the prime meridian to the east, and ±180° to
the outermost cell of its side; the standard leaves these open. Latitudes from 88° on have codes of another form and
are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from geocloud.errors import InvalidParameter

__all__ = [
    "BANDS",
    "COLUMNS",
    "DIGITS",
    "HEIGHTS",
    "LATITUDE_END",
    "LENGTHS",
    "ONE_DIGIT",
    "ROWS",
    "UNITS_PER_DEGREE",
    "WIDTHS",
    "Cell",
    "Number",
    "at_a_pole",
    "check_level",
    "decode",
    "encode",
    "encode_units",
    "level_of",
    "units",
]

Number = float | int | str | Decimal | Fraction

UNITS_PER_DEGREE = 3600 * 2048
_SECOND = 2048
_MINUTE = 60 * _SECOND
_DEGREE = UNITS_PER_DEGREE
# Characters of a code by level (GB/T 39409-2020); level 0 is a hemisphere.
LENGTHS = (1, 4, 6, 7, 9, 11, 12, 14, 16, 18, 20)
# Width and height of a cell by level, in units; level 0 is a hemisphere and has none.
WIDTHS = (0, 6 * _DEGREE, 30 * _MINUTE, 15 * _MINUTE, _MINUTE, 4 * _SECOND, 2 * _SECOND, 512, 64, 8, 1)
HEIGHTS = (0, 4 * _DEGREE, 30 * _MINUTE, 10 * _MINUTE, _MINUTE, 4 * _SECOND, 2 * _SECOND, 512, 64, 8, 1)
# Columns and rows of a cell's children, by the children's level.
COLUMNS = (0, 60, 12, 2, 15, 15, 2, 8, 8, 8, 8)
ROWS = (0, 22, 8, 3, 10, 15, 2, 8, 8, 8, 8)
# Levels whose cell is one digit, row by row, instead of a column and a row.
ONE_DIGIT = (3, 6)
BANDS = "ABCDEFGHIJKLMNOPQRSTUV"
DIGITS = "0123456789ABCDEF"
LATITUDE_END = 88
_DIGIT_OF = {c: n for n, c in enumerate(DIGITS)}


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its code, level and bounds in whole units of 1/2048 second, east and north positive."""

    code: str
    level: int
    west: int
    south: int
    east: int
    north: int

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees of CGCS2000."""
        west, south, east, north = (v / UNITS_PER_DEGREE for v in (self.west, self.south, self.east, self.north))
        return west, south, east, north

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the middle in degrees."""
        return (self.west + self.east) / (2 * UNITS_PER_DEGREE), (self.south + self.north) / (2 * UNITS_PER_DEGREE)

    @property
    def anchor(self) -> tuple[float, float]:
        """Longitude and latitude in degrees of the corner nearest to the equator and the prime meridian."""
        x = self.west if self.west >= 0 else self.east
        y = self.south if self.south >= 0 else self.north
        return x / UNITS_PER_DEGREE, y / UNITS_PER_DEGREE

    @property
    def parent(self) -> str:
        """The code one level up; InvalidParameter at level 1, whose parent is half the globe."""
        if self.level == 1:
            raise _wrong_level(0)
        return self.code[: LENGTHS[self.level - 1]]


def units(degrees: Number, minutes: Number = 0, seconds: Number = 0) -> Fraction:
    """An angle in units of 1/2048 second, exactly; minutes and seconds take the sign of the degrees."""
    whole, rest = _exact(degrees), _exact(minutes) * 60 + _exact(seconds)
    return (whole * 3600 + (-rest if whole < 0 else rest)) * 2048


def encode(longitude: Number, latitude: Number, level: int = 10) -> str:
    """The code of the cell of a level (1 to 10) that a position in degrees lies in.

    Raises InvalidParameter for a level or a position that has no code.
    """
    return encode_units(units(longitude), units(latitude), level)


def encode_units(x: Fraction | int, y: Fraction | int, level: int = 10) -> str:
    """The code of a position in units of 1/2048 second, as `units` makes them; raises as `encode`."""
    check_level(level)
    across, up = abs(Fraction(x)), abs(Fraction(y))
    u, v = int(across), int(up)
    if across > 180 * _DEGREE or v >= LATITUDE_END * _DEGREE:
        raise _outside(float(x) / UNITS_PER_DEGREE, float(y) / UNITS_PER_DEGREE)
    zone, u = divmod(min(u, 180 * _DEGREE - 1), WIDTHS[1])
    band, v = divmod(v, HEIGHTS[1])
    zone = 31 + zone if x >= 0 else 30 - zone
    parts = [f"{'N' if y >= 0 else 'S'}{zone:02d}{BANDS[band]}"]
    for n in range(2, level + 1):
        column, u = divmod(u, WIDTHS[n])
        row, v = divmod(v, HEIGHTS[n])
        parts.append(str(2 * row + column) if n in ONE_DIGIT else DIGITS[column] + DIGITS[row])
    return "".join(parts)


def level_of(code: str) -> int:
    """The level that a code's length tells; InvalidParameter when no level has it."""
    if len(code) not in LENGTHS[1:]:
        raise InvalidParameter(
            f"A BeiDou grid code has {_listed('or')} characters, not {len(code)}.",
            f"北斗网格位置码的长度应为 {_listed('或')} 位,现为 {len(code)} 位。",
            todo_en="Check that the code is complete.",
            todo_zh="请检查编码是否完整。",
            parameter="code",
        )
    return LENGTHS.index(len(code))


def decode(code: str, *, strict: bool = False) -> Cell:
    """The cell of a code of level 1 to 10; small letters are taken as capitals, and refused where `strict`.

    Raises InvalidParameter for a length no level has, and names the place of a character that cannot stand there.
    """
    text = code.strip().upper()
    if strict and text != code:
        raise InvalidParameter(
            f"`{code[:40]}` is no BeiDou grid code: they are written in capitals, without spaces.",
            f"“{code[:40]}”不是北斗网格位置码:编码一律大写,前后无空格。",
            todo_en=f"Write `{text[:40]}`.",
            todo_zh=f"请写成“{text[:40]}”。",
            parameter="code",
        )
    level = level_of(text)
    head = re.fullmatch(r"([NS])(\d\d)([A-V])", text[:4], re.ASCII)
    if head is None or not 1 <= int(head[2]) <= 60:
        raise _wrong_character(text, 1, "N or S, a zone 01 to 60, a band A to V", "N 或 S、01–60 的列号、A–V 的行号")
    east, north = int(head[2]) > 30, head[1] == "N"
    u = (int(head[2]) - 31 if east else 30 - int(head[2])) * WIDTHS[1]
    v = BANDS.index(head[3]) * HEIGHTS[1]
    for n in range(2, level + 1):
        column, row = _place(text, n)
        u, v = u + column * WIDTHS[n], v + row * HEIGHTS[n]
    width, height = WIDTHS[level], HEIGHTS[level]
    west, xmax = (u, u + width) if east else (-u - width, -u)
    south, ymax = (v, v + height) if north else (-v - height, -v)
    return Cell(text, level, west, south, xmax, ymax)


def _place(text: str, level: int) -> tuple[int, int]:
    """Column and row, within its parent, of a code's cell of a level."""
    begin, end = LENGTHS[level - 1], LENGTHS[level]
    if level in ONE_DIGIT:
        number = _DIGIT_OF.get(text[begin], 99)
        if number >= COLUMNS[level] * ROWS[level]:
            most = COLUMNS[level] * ROWS[level] - 1
            raise _wrong_character(text, end, f"0 to {most}", f"0–{most}")
        return number % 2, number // 2
    column, row = (_DIGIT_OF.get(c, 99) for c in text[begin:end])
    for at, number, count in ((begin + 1, column, COLUMNS[level]), (begin + 2, row, ROWS[level])):
        if number >= count:
            raise _wrong_character(text, at, f"0 to {DIGITS[count - 1]}", f"0–{DIGITS[count - 1]}")
    return column, row


def _exact(number: Number) -> Fraction:
    try:
        if isinstance(number, float):
            # The shortest decimal that is this float, which is what was meant.
            return Fraction(repr(float(number)))
        return Fraction(number)
    except (ValueError, OverflowError, ZeroDivisionError):
        raise InvalidParameter(
            f"`{str(number)[:40]}` is no number of degrees.", f"“{str(number)[:40]}”不是度数。", parameter="position"
        ) from None


def _listed(word: Literal["or", "或"]) -> str:
    lengths = [str(n) for n in LENGTHS[1:]]
    joint = ", " if word == "or" else "、"
    return f"{joint.join(lengths[:-1])} {word} {lengths[-1]}"


def check_level(level: int) -> None:
    if not 1 <= level <= 10:
        raise _wrong_level(level)


def _wrong_level(level: int) -> InvalidParameter:
    return InvalidParameter(
        f"There is no level {level} of the BeiDou grid.",
        f"北斗网格没有第 {level} 级。",
        todo_en="Levels go from 1 (6° by 4°) to 10 (1/2048″).",
        todo_zh="级别为 1(6°×4°)至 10(1/2048″)。",
        parameter="level",
        minimum=1,
        maximum=10,
    )


def _outside(longitude: float, latitude: float) -> InvalidParameter:
    if LATITUDE_END <= abs(latitude) <= 90:
        return at_a_pole(longitude, latitude)
    return InvalidParameter(
        f"Longitude {longitude:.7g}, latitude {latitude:.7g} is no position.",
        f"经度 {longitude:.7g}、纬度 {latitude:.7g} 不是有效位置。",
        todo_en="Longitude goes from -180 to 180, latitude to less than 88 on either side; have they changed places?",
        todo_zh="经度应在 -180 至 180 之间,纬度绝对值应小于 88;经纬度是否颠倒?",
        parameter="position",
    )


def at_a_pole(longitude: float, latitude: float) -> InvalidParameter:
    """What is said of places from 88 degrees on, whose codes are of another form."""
    return InvalidParameter(
        f"Longitude {longitude:.7g}, latitude {latitude:.7g} is too near to a pole.",
        f"经度 {longitude:.7g}、纬度 {latitude:.7g} 过于靠近极点。",
        todo_en="From 88 degrees on the standard has codes of another form, which are not supported.",
        todo_zh="标准对纬度 88° 及以上另有极区编码,本系统不支持。",
        parameter="position",
        maximum=LATITUDE_END,
    )


def _wrong_character(text: str, at: int, allowed_en: str, allowed_zh: str) -> InvalidParameter:
    return InvalidParameter(
        f"`{text}` is no BeiDou grid code: from character {at} on there must be {allowed_en}.",
        f"“{text}”不是北斗网格位置码:第 {at} 位起应为 {allowed_zh}。",
        todo_en="Check the code for letters and digits mixed up.",
        todo_zh="请检查是否有字母与数字混淆。",
        parameter="code",
    )
