# SPDX-License-Identifier: Apache-2.0
"""BeiDou codes told from a place near by: reference codes `C0-MN` (参考网格位置码) and short codes (短位置码).

A reference code names a cell C0 of level 5 or finer, then how many cells of its level east and north of it another
lies: 0 to 7, or A to G for 1 to 7 west or south (GB/T 39409-2020, section 7). More pairs may follow, `C0-MN-M'N'`, each
counted from the cell reached so far; that they keep the level of C0 is how this house reads the text.

A short code leaves out the levels that a place and where it is read have in common. The standard leaves the choice to
its users; here the levels of a prefix go, and what is short is restored as the cell nearest to the reader. Both are
agreements, so codes for others are better written whole.
"""

from __future__ import annotations

import re

from geocloud.errors import InvalidParameter
from geocloud.grids import beidou, beidou_index
from geocloud.grids.beidou import LENGTHS

__all__ = ["REFERENCE", "SHORT", "refer", "resolve", "restore", "short_levels", "shorten"]

_STEPS = {**{str(n): n for n in range(8)}, **{c: -n for n, c in enumerate("ABCDEFG", 1)}}
_LETTERS = {v: k for k, v in _STEPS.items()}
_FAR = 7
_COARSEST = 5
REFERENCE = re.compile(r"([NS][0-9]{2}[A-V][0-9A-F]{2,16})((?:-[0-7A-G]{2}){1,8})", re.IGNORECASE | re.ASCII)
"""What a reference code looks like: group 1 is C0, group 2 the pairs."""
SHORT = re.compile(r"[0-9A-F]{2,14}", re.IGNORECASE | re.ASCII)
"""What a short code may look like."""
# Ends of codes: where a level begins, so many characters are left of a code of a later level.
_SHORT_LENGTHS = {
    (upper, lower): LENGTHS[lower] - LENGTHS[upper] for upper in range(1, 10) for lower in range(upper + 1, 11)
}


def refer(code: str, origin: str) -> str:
    """The reference code of a cell from another of the same level, 5 or finer; one pair where seven cells suffice.

    Raises InvalidParameter for cells of several levels, coarse ones, or more than 56 cells (eight pairs) apart.
    """
    cell, from_cell = beidou.decode(code), beidou.decode(origin)
    if cell.level != from_cell.level or from_cell.level < _COARSEST:
        raise _refused(
            f"`{code}` cannot be told from `{origin}`.", f"不能以“{origin}”为参考表示“{code}”。",
            f"Both must be cells of one level, {_COARSEST} or finer.", f"两者须为同一级别,且不粗于第 {_COARSEST} 级。",
        )  # fmt: skip
    (x0, y0), (x1, y1) = _place(from_cell), _place(cell)
    around = 360 * beidou.UNITS_PER_DEGREE // beidou.WIDTHS[cell.level]
    east, north = (x1 - x0 + around // 2) % around - around // 2, y1 - y0
    pairs = ""
    while east or north or not pairs:
        m, n = max(-_FAR, min(_FAR, east)), max(-_FAR, min(_FAR, north))
        pairs += f"-{_LETTERS[m]}{_LETTERS[n]}"
        east, north = east - m, north - n
        if len(pairs) > 3 * 8:
            raise _refused(
                f"`{code}` is too far from `{origin}`.", f"“{code}”距“{origin}”过远。",
                "Choose a reference within about 1 km.", "请选约 1 km 以内的参考网格。",
            )  # fmt: skip
    return from_cell.code + pairs


def resolve(code: str) -> beidou.Cell:
    """The cell that a reference code means; raises InvalidParameter for what is none, as `beidou.decode` for C0."""
    found = REFERENCE.fullmatch(code.strip().upper())
    if found is None:
        raise _refused(
            f"`{code[:40]}` is no reference code.", f"“{code[:40]}”不是参考网格位置码。",
            "Write the code of a cell, then -MN with M and N out of 0 to 7 (east, north) and A to G (west, south).",
            "请写网格码后接 -MN:M、N 取 0–7(东、北)或 A–G(西、南)。",
        )  # fmt: skip
    origin = beidou.decode(found[1])
    if origin.level < _COARSEST:
        raise _refused(
            f"`{origin.code}` is too coarse for a reference.", f"“{origin.code}”过粗,不能作参考网格。",
            f"Take a cell of level {_COARSEST} or finer, of 11 characters.", f"请用第 {_COARSEST} 级(11 位)或更细的。",
        )  # fmt: skip
    column, row = _place(origin)
    for pair in found[2][1:].split("-"):
        column, row = column + _STEPS[pair[0]], row + _STEPS[pair[1]]
    index = int(beidou_index.from_columns(column, row, origin.level))
    if index < 0:
        raise beidou.at_a_pole(*origin.centre)
    return beidou.decode(beidou_index.to_text([index])[0].decode())


def shorten(code: str, level: int) -> str:
    """What is left of a code behind a level (1 to the last but one of the code)."""
    cell = beidou.decode(code)
    if not 1 <= level < cell.level:
        raise _refused(
            f"`{cell.code}` has no part behind level {level}.", f"“{cell.code}”在第 {level} 级之后没有部分。",
            f"Choose a level from 1 to {cell.level - 1}.", f"请选第 1 至 {cell.level - 1} 级。",
        )  # fmt: skip
    return cell.code[LENGTHS[level] :]


def restore(short: str, longitude: float, latitude: float, level: int) -> beidou.Cell:
    """The cell that a short code means to a reader at a position in degrees: of all cells whose code ends so behind a
    cell of `level`, the nearest. Raises InvalidParameter for what no code ends with."""
    text = short.strip().upper()
    if len(text) not in {n for (upper, _), n in _SHORT_LENGTHS.items() if upper == level}:
        lengths = sorted(n for (upper, _), n in _SHORT_LENGTHS.items() if upper == level)
        raise _refused(
            f"`{short[:20]}` is no short code behind level {level}.", f"“{short[:20]}”不是第 {level} 级之后的短码。",
            f"It has one of {lengths} characters.", f"其长度应为 {'、'.join(map(str, lengths))} 位之一。",
        )  # fmt: skip
    around = int(beidou_index.from_points(longitude, latitude, level))
    if around < 0:
        beidou.encode(longitude, latitude, level)
    column, row, _ = (int(v) for v in beidou_index.to_columns(around))
    x, y = float(beidou.units(longitude)), float(beidou.units(latitude))
    found: dict[float, beidou.Cell] = {}
    for c in (column - 1, column, column + 1):
        for r in (row - 1, row, row + 1):
            parent = int(beidou_index.from_columns(c, r, level))
            if parent >= 0:
                cell = beidou.decode(beidou_index.to_text([parent])[0].decode() + text)
                middle = (cell.west + cell.east) / 2, (cell.south + cell.north) / 2
                found.setdefault((middle[0] - x) ** 2 + (middle[1] - y) ** 2, cell)
    return found[min(found)]


def short_levels(length: int, finest: int = 10) -> list[int]:
    """The levels behind which a short code of this many characters may stand, the finest first."""
    return sorted((u for (u, lower), n in _SHORT_LENGTHS.items() if n == length and lower <= finest), reverse=True)


def _place(cell: beidou.Cell) -> tuple[int, int]:
    return cell.west // beidou.WIDTHS[cell.level], cell.south // beidou.HEIGHTS[cell.level]


def _refused(en: str, zh: str, todo_en: str, todo_zh: str) -> InvalidParameter:
    return InvalidParameter(en, zh, todo_en=todo_en, todo_zh=todo_zh, parameter="code")
