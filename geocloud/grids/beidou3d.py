# SPDX-License-Identifier: Apache-2.0
"""The BeiDou grid code with height (北斗三维网格位置码, GB/T 39409-2020, annex C).

Twelve characters of height stand interleaved with the code on the ground: the first after the hemisphere, two after
level 1, one after each further level. Heights are ellipsoidal metres of CGCS2000. Below the ellipsoid the standard's
text leaves the form open; here the number of layers is written in two's complement, which agrees with its rule of
borrowing, and callers who exchange such codes should agree on it first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocloud.errors import InvalidParameter
from geocloud.grids import beidou, beidou_index

__all__ = [
    "Box",
    "decode",
    "encode",
    "encode_many",
    "height_characters",
    "height_of",
    "layer_of",
    "layers_of",
    "neighbour_layers",
]

_RADIUS = 6_378_137.0
_THETA0 = math.radians(1)
# Layers of level 10 for each factor (1 + θ0): θ0 by θ = 1/2048″.
_STEPS = 3600 * 2048
# Lowest bit, number of bits and base of the characters, from a0 on; a1a2 are two decimal digits.
_FIELDS = (
    (31, 1, 1), (25, 6, 2), (22, 3, 1), (21, 1, 1), (17, 4, 1), (13, 4, 1), (12, 1, 1), (9, 3, 1), (6, 3, 1),
    (3, 3, 1), (0, 3, 1),
)  # fmt: skip
_DIGITS = "0123456789ABCDEF"
_ERROR = 1e-12
# Characters of a code by level: those on the ground, and one of height more each level, two at level 1.
_LENGTHS = tuple(beidou.LENGTHS[n] + n + 2 for n in range(1, 11))


@dataclass(frozen=True, slots=True)
class Box:
    """A cell on the ground with the heights in metres between which it stands."""

    cell: beidou.Cell
    code: str
    bottom: float
    top: float
    layer: int
    """The lowest layer of level 10 in it."""


def layer_of(height: float) -> int:
    """The number of the layer of level 10 that a height lies in (annex C, formula C.14)."""
    if not math.isfinite(height) or height <= -_RADIUS:
        raise InvalidParameter(f"{height} is no height.", f"{height} 不是有效高程。", parameter="height")
    number = math.floor(_STEPS * math.log1p(height / _RADIUS) / math.log1p(_THETA0))
    if not -(2**31) <= number < 2**31:
        raise InvalidParameter(f"{height} is no height.", f"{height} 超出可编码的高程。", parameter="height")
    return number


def layers_of(height: ArrayLike) -> NDArray[np.int64]:
    """`layer_of` of an array, the same numbers; raises InvalidParameter for the first height that is none."""
    heights = np.asarray(height, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        exact = _STEPS * np.log1p(heights / _RADIUS) / math.log1p(_THETA0)
        sound = np.isfinite(exact) & (exact > -(2.0**31)) & (exact < 2.0**31 - 1)
    out = np.floor(np.where(sound, exact, 0.0)).astype(np.int64)
    # Logarithms of whole arrays may differ in the last place from those of one number.
    near = ~sound | (np.abs(exact - np.rint(exact)) < _ERROR * (_STEPS + np.abs(exact)))
    for at in zip(*np.nonzero(near), strict=True):
        out[at] = layer_of(float(heights[at]))
    return out


def height_of(layer: float) -> float:
    """The height in metres at which a layer of level 10 begins."""
    return _RADIUS * math.expm1(layer / _STEPS * math.log1p(_THETA0))


def height_characters(layer: int) -> str:
    """The twelve characters a0 to a11 of a layer."""
    bits = layer & 0xFFFFFFFF
    values = [(bits >> low) & ((1 << count) - 1) for low, count, _ in _FIELDS]
    return "".join(f"{v:02d}" if f[2] == 2 else _DIGITS[v] for v, f in zip(values, _FIELDS, strict=True))


def encode(longitude: beidou.Number, latitude: beidou.Number, height: float, level: int = 10) -> str:
    """The code of a position in degrees and its height in metres at a level (1 to 10); raises as `beidou.encode`."""
    return _interleave(beidou.encode(longitude, latitude, level), layer_of(height))


def _interleave(ground: str, layer: int) -> str:
    """The code of a cell on the ground and a layer."""
    above = height_characters(layer)
    parts = [ground[0], above[0], ground[1:4], above[1:3]]
    for n in range(2, beidou.level_of(ground) + 1):
        parts += [ground[beidou.LENGTHS[n - 1] : beidou.LENGTHS[n]], above[n + 1]]
    return "".join(parts)


def encode_many(longitude: ArrayLike, latitude: ArrayLike, height: ArrayLike, level: int = 10) -> NDArray[np.bytes_]:
    """The codes of arrays of degrees and metres, the same that `encode` gives one by one, as ASCII bytes.

    A position without a code gets b""; raises InvalidParameter for a height that is none.
    """
    lon, lat, up = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (longitude, latitude, height)))
    index = beidou_index.from_points(lon, lat, level).reshape(-1)
    good = index >= 0
    size = beidou.LENGTHS[level]
    ground = beidou_index.to_text(index[good]).astype(f"S{size}").view(np.uint8).reshape(-1, size)
    bits = layers_of(up.reshape(-1)[good]) & 0xFFFF_FFFF
    digits = np.frombuffer(_DIGITS.encode(), np.uint8)
    out = np.zeros((index.size, _LENGTHS[level - 1]), np.uint8)
    found = np.empty((len(bits), out.shape[1]), np.uint8)
    above = [(bits >> low) & ((1 << count) - 1) for low, count, _ in _FIELDS[: level + 1]]
    found[:, 0], found[:, 1] = ground[:, 0], digits[above[0]]
    found[:, 2:5] = ground[:, 1:4]
    found[:, 5], found[:, 6] = digits[above[1] // 10], digits[above[1] % 10]
    at = 7
    for n in range(2, level + 1):
        begin, end = beidou.LENGTHS[n - 1], beidou.LENGTHS[n]
        found[:, at : at + end - begin] = ground[:, begin:end]
        at += end - begin
        found[:, at] = digits[above[n]]
        at += 1
    out[good] = found
    codes: NDArray[np.bytes_] = out.view(f"S{out.shape[1]}").reshape(lon.shape)
    return codes


def neighbour_layers(box: Box) -> tuple[str, str]:
    """The codes of the boxes right below and right above."""
    step = 1 << _FIELDS[box.cell.level][0]
    low = math.floor(box.layer / step) * step
    return _interleave(box.cell.code, low - step), _interleave(box.cell.code, low + step)


def decode(code: str, *, strict: bool = False) -> Box:
    """The box of a code with height; small letters count as capitals, and are refused where `strict`.

    Raises InvalidParameter as `beidou.decode`.
    """
    text = code.strip().upper()
    if strict and text != code:
        raise _not_a_code(code, "codes are written in capitals, without spaces", "编码一律大写,前后无空格")
    if len(text) not in _LENGTHS:
        raise _not_a_code(text, f"its length is {len(text)}", f"长度为 {len(text)}")
    level = _LENGTHS.index(len(text)) + 1
    ground, above, at = text[0] + text[2:5], text[1] + text[5:7], 7
    for n in range(2, level + 1):
        size = beidou.LENGTHS[n] - beidou.LENGTHS[n - 1]
        ground, above, at = ground + text[at : at + size], above + text[at + size], at + size + 1
    bits = 0
    place = 0
    for low, count, size in _FIELDS[: level + 1]:
        characters = above[place : place + size]
        place += size
        if not set(characters) <= set(_DIGITS):
            raise _not_a_code(text, f"`{characters}` is no height", f"“{characters}”不是高程字符")
        value = int(characters, 16 if size == 1 else 10) if size == 1 or characters.isdigit() else 64
        if value >= 1 << count:
            raise _not_a_code(text, f"`{characters}` is no height", f"“{characters}”不是高程字符")
        bits |= value << low
    layer = bits - (1 << 32) if bits >> 31 else bits
    return Box(beidou.decode(ground), text, height_of(layer), height_of(layer + (1 << _FIELDS[level][0])), layer)


def _not_a_code(text: str, why_en: str, why_zh: str) -> InvalidParameter:
    return InvalidParameter(
        f"`{text[:40]}` is no BeiDou grid code with height: {why_en}.",
        f"“{text[:40]}”不是北斗三维网格位置码:{why_zh}。",
        todo_en="Check the code, or leave the height out.",
        todo_zh="请检查编码,或使用不含高程的编码。",
        parameter="code",
    )
