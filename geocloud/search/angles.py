# SPDX-License-Identifier: Apache-2.0
"""Two angles or two lengths out of the many ways people write them down."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

__all__ = ["Angle", "half_width", "read_numbers", "read_pair"]

Axis = Literal["longitude", "latitude"]

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0x2212: 0x2D, 0x2013: 0x2D}
# The last alternative is what may stand anywhere; what no alternative takes is no position.
_TOKEN = re.compile(
    r"""(?P<number>[+-]?[0-9]{1,16}(?:\.[0-9]{0,16})?)
    |(?P<second>″|′′|''|’’|"|”|“|秒)
    |(?P<minute>′|'|’|‘|分)
    |(?P<degree>[°º˚度]|d(?=\s*[0-9]))
    |(?P<axis>东经|西经|北纬|南纬|经度|纬度|longitude|latitude|lng|lon|lat|[NSEW东西南北经纬])
    |(?P<between>[,;、/|\n])
    |(?P<skipped>[\s:=()\[\]]+|point)""",
    re.IGNORECASE | re.VERBOSE,
)
_LONGITUDE = frozenset({"东经", "西经", "经度", "longitude", "lng", "lon", "e", "w", "东", "西", "经"})
_NEGATIVE = frozenset({"西经", "南纬", "w", "s", "西", "南"})
_MARKS = ("degree", "minute", "second")


@dataclass(frozen=True, slots=True)
class Angle:
    """An angle in degrees, exactly as written, and the axis when its writing tells."""

    degrees: Fraction
    axis: Axis | None = None


Token = tuple[str, str]


def half_width(text: str) -> str:
    """Full-width letters, digits and marks as half-width ones."""
    return text.translate(_FULL_WIDTH).strip()


def read_numbers(text: str) -> tuple[float, float] | None:
    """Two plain numbers, apart by blanks or a comma; None for anything else."""
    tokens = _tokens(text)
    if tokens is None:
        return None
    kinds = [kind for kind, _ in tokens if kind != "between"]
    if kinds != ["number", "number"]:
        return None
    first, second = (float(value) for kind, value in tokens if kind == "number")
    return first, second


def read_pair(text: str) -> tuple[Angle, Angle] | None:
    """Two angles: decimal degrees, degrees and minutes, or all three, each with or without signs and directions."""
    tokens = _tokens(text)
    groups = _halves(tokens) if tokens else None
    if groups is None:
        return None
    first, second = _angle(groups[0]), _angle(groups[1])
    if first is None or second is None or (first.axis is not None and first.axis == second.axis):
        return None
    return first, second


def _tokens(text: str) -> list[Token] | None:
    found: list[Token] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            return None
        kind = match.lastgroup or ""
        if kind != "skipped":
            found.append((kind, match[0].lower()))
        place = match.end()
    return found


def _halves(tokens: list[Token]) -> tuple[list[Token], list[Token]] | None:
    """The tokens of each angle: parted by a comma, by directions, by degree signs, or in the middle."""
    kinds = [kind for kind, _ in tokens]
    if kinds.count("between") == 1:
        cut = kinds.index("between")
        return tokens[:cut], tokens[cut + 1 :]
    if "between" in kinds:
        return None
    axes = [n for n, kind in enumerate(kinds) if kind == "axis"]
    if len(axes) == 2:
        cut = axes[1] if axes[0] == 0 else axes[0] + 1
        return tokens[:cut], tokens[cut:]
    degrees = [n for n, kind in enumerate(kinds) if kind == "degree"]
    if len(degrees) == 2:
        return tokens[: degrees[1] - 1], tokens[degrees[1] - 1 :]
    if set(kinds) == {"number"} and len(kinds) in (2, 4, 6):
        half = len(kinds) // 2
        return tokens[:half], tokens[half:]
    return None


def _angle(tokens: list[Token]) -> Angle | None:
    axes = [value for kind, value in tokens if kind == "axis"]
    rest = [token for token in tokens if token[0] != "axis"]
    if len(axes) > 1 or (axes and tokens[0][0] != "axis" and tokens[-1][0] != "axis"):
        return None
    parts = _parts(rest)
    if parts is None:
        return None
    numbers = [Fraction(part.rstrip(".")) for part in parts]
    negative = parts[0].startswith("-")
    opposite = bool(axes) and axes[0] in _NEGATIVE
    if any(n >= 60 for n in numbers[1:]) or (negative and opposite):
        return None
    size = abs(numbers[0]) + sum((n / 60**power for power, n in enumerate(numbers[1:], 1)), Fraction(0))
    axis: Axis | None = ("longitude" if axes[0] in _LONGITUDE else "latitude") if axes else None
    return Angle(-size if negative or opposite else size, axis)


def _parts(tokens: list[Token]) -> list[str] | None:
    """Degrees, minutes and seconds, each followed by its own mark or by none."""
    parts: list[str] = []
    marked = True
    for kind, value in tokens:
        if kind == "number":
            parts.append(value)
            marked = False
        elif marked or kind != _MARKS[min(len(parts), 3) - 1]:
            return None
        else:
            marked = True
    # Only the last number may have decimals, only the first a sign.
    if not 1 <= len(parts) <= 3 or any("." in p for p in parts[:-1]) or any(p[0] in "+-" for p in parts[1:]):
        return None
    return parts
