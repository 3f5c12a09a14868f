# SPDX-License-Identifier: Apache-2.0
"""Glyph ranges for map libraries: signed distance fields in the protobuf that MapLibre's `glyphs` template asks for.

A range is 256 characters; an em is 24 pixels, each bitmap has 3 pixels around it, and a value falls by 32 for each
pixel away from the outline, which itself lies at 191 (radius 8, cutoff 0.25). FreeType draws the outlines at twice
the size; distances are exact Euclidean ones of that raster, weighted at the edge by how much of a pixel is covered.
"""

from __future__ import annotations

import ctypes
import gzip
import hashlib
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from geocloud.errors import InvalidParameter
from geocloud.styles.fonts import FontFile, Fonts, Stack

__all__ = ["BUFFER", "EM", "RANGE", "Glyph", "GlyphStore", "draw_range", "encode", "first_of"]

EM, BUFFER, RADIUS, CUTOFF, RANGE = 24, 3, 8, 0.25, 256
LAST = 0xFFFF
# Twice the size is what map libraries draw their own characters at.
_SCALE = 2
# Height above the baseline from which `top` is counted. Libraries centre a line 17 pixels below it, which is the
# middle of a Chinese character and of a capital letter alike.
_TOP = 26
# tan 12 degrees.
_SLANT = 0.2126
_THICKEN = 64 * EM * _SCALE // 24
_FAR = np.float32(1e6)
# Changes when bitmaps do, so that no older ones are read from disk.
_VERSION = "1"
_LOCK = threading.Lock()

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Glyph:
    """One character: inner size in pixels, place of its upper left corner, advance, and bitmap with its border."""

    code: int
    width: int
    height: int
    left: int
    top: int
    advance: int
    bitmap: bytes


class GlyphStore:
    """Ranges kept on disk as gzip, made when first asked for; safe for several processes."""

    def __init__(self, folder: Path, fonts: Fonts) -> None:
        self.fonts = fonts
        self._folder = folder / _fingerprint(fonts)

    def get(self, stack: Stack, start: int) -> bytes:
        """The gzip bytes of a range."""
        path = self._folder / stack.replace(" ", "-").lower() / f"{start}-{start + RANGE - 1}.pbf.gz"
        try:
            return path.read_bytes()
        except OSError:
            pass
        body = gzip.compress(encode(stack, start, draw_range(self.fonts, stack, start)), 9, mtime=0)
        # A folder that cannot be written costs time at the next request, nothing else.
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
            unfinished.write_bytes(body)
            unfinished.replace(path)
        except OSError:
            pass
        return body


def first_of(text: str) -> int:
    """The first character of a range named `start-end`; InvalidParameter when it is no whole range of 256."""
    start, _, end = text.partition("-")
    if start.isascii() and start.isdigit() and end.isascii() and end.isdigit() and len(text) <= 11:
        first = int(start)
        if first % RANGE == 0 and int(end) == first + RANGE - 1 and first <= LAST:
            return first
    raise InvalidParameter(
        f"`{text[:40]}` is no range of glyphs.",
        f"“{text[:40]}”不是字形区间。",
        todo_en="Ranges are 0-255, 256-511 and so on up to 65280-65535.",
        todo_zh="区间为 0-255、256-511,依次至 65280-65535。",
        parameter="range",
    )


def draw_range(fonts: Fonts, stack: Stack, start: int) -> list[Glyph]:
    """The characters of a range that a face of the stack has."""
    codes = range(start, start + RANGE)
    with _LOCK:
        faces = [_Face(f, slanted=stack == "Sans Italic", bold=fonts.made_bold(stack)) for f in fonts.faces(stack)]
        drawn = [d for d in (_drawn(faces, code) for code in codes) if d is not None]
    fields = distance_fields([d.coverage for d in drawn])
    return [d.glyph(field) for d, field in zip(drawn, fields, strict=True)]


def distance_fields(coverages: list[Floats]) -> list[npt.NDArray[np.uint8]]:
    """Distance fields at half the size of coverages (0 to 1) whose sides are even."""
    if not coverages:
        return []
    height, width = (max(c.shape[i] for c in coverages) for i in (0, 1))
    all_of = np.zeros((len(coverages), height, width), np.float32)
    for i, c in enumerate(coverages):
        all_of[i, : c.shape[0], : c.shape[1]] = c
    edge = np.float32(0.5) - all_of
    partly = (all_of > 0) & (all_of < 1)
    outer = np.where(partly, np.square(np.maximum(edge, 0)), np.where(all_of > 0, np.float32(0), _FAR))
    inner = np.where(partly, np.square(np.maximum(-edge, 0)), np.where(all_of > 0, _FAR, np.float32(0)))
    reach_out = int((1 - CUTOFF) * RADIUS * _SCALE) + 1
    reach_in = int(CUTOFF * RADIUS * _SCALE) + 1
    distance = np.sqrt(_nearest(outer, reach_out)) - np.sqrt(_nearest(inner, reach_in))
    distance = distance.reshape(len(coverages), height // _SCALE, _SCALE, width // _SCALE, _SCALE).mean((2, 4))
    value = np.clip(np.rint(255 * (1 - CUTOFF - distance / (RADIUS * _SCALE))), 0, 255).astype(np.uint8)
    return [v[: c.shape[0] // _SCALE, : c.shape[1] // _SCALE] for v, c in zip(value, coverages, strict=True)]


def encode(stack: str, start: int, glyphs: Iterable[Glyph]) -> bytes:
    """The protobuf message `glyphs` with one font stack."""
    body = _text(1, stack.encode()) + _text(2, f"{start}-{start + RANGE - 1}".encode())
    for g in glyphs:
        parts = [_number(1, g.code), _text(2, g.bitmap) if g.bitmap else b"", _number(3, g.width), _number(4, g.height)]
        parts += [_number(5, _zigzag(g.left)), _number(6, _zigzag(g.top)), _number(7, g.advance)]
        body += _text(3, b"".join(parts))
    return _text(1, body)


@dataclass(frozen=True)
class _Drawn:
    """A character drawn: coverage with border at twice the size, and its metrics at the right size."""

    code: int
    coverage: Floats
    left: int
    top: int
    advance: int

    def glyph(self, field: npt.NDArray[np.uint8]) -> Glyph:
        height, width = (n - 2 * BUFFER for n in field.shape)
        if not height or not width:
            return Glyph(self.code, 0, 0, 0, 0, self.advance, b"")
        return Glyph(self.code, width, height, self.left, self.top, self.advance, field.tobytes())


class _Face:
    """A FreeType face at twice the size of an em."""

    def __init__(self, file: FontFile, *, slanted: bool, bold: bool) -> None:
        import freetype

        self._freetype: Any = freetype
        self._face = freetype.Face(str(file.path), file.index)
        self._face.set_pixel_sizes(0, EM * _SCALE)
        self._bold = bold
        if slanted:
            matrix = freetype.Matrix(0x10000, int(_SLANT * 0x10000), 0, 0x10000)
            self._face.set_transform(matrix, freetype.Vector(0, 0))

    def has(self, code: int) -> bool:
        return bool(self._face.get_char_index(code))

    def draw(self, code: int) -> _Drawn:
        ft = self._freetype
        self._face.load_char(code, ft.FT_LOAD_NO_HINTING | ft.FT_LOAD_NO_BITMAP)
        slot = self._face.glyph
        advance = round(slot.linearHoriAdvance / 65536 / _SCALE)
        if self._bold:
            ft.FT_Outline_Embolden(ctypes.byref(slot.outline._FT_Outline), _THICKEN)
        slot.render(ft.FT_RENDER_MODE_NORMAL)
        bitmap = slot.bitmap
        if not bitmap.width or not bitmap.rows:
            return _Drawn(code, np.zeros((2 * BUFFER * _SCALE, 2 * BUFFER * _SCALE), np.float32), 0, 0, advance)
        pixels = np.array(bitmap.buffer, np.uint8).reshape(bitmap.rows, bitmap.pitch)[:, : bitmap.width]
        left, top = slot.bitmap_left // _SCALE, -(-slot.bitmap_top // _SCALE)
        right = -(-(slot.bitmap_left + bitmap.width) // _SCALE)
        bottom = (slot.bitmap_top - bitmap.rows) // _SCALE
        coverage = np.zeros(((top - bottom + 2 * BUFFER) * _SCALE, (right - left + 2 * BUFFER) * _SCALE), np.float32)
        y = (top + BUFFER) * _SCALE - slot.bitmap_top
        x = slot.bitmap_left - (left - BUFFER) * _SCALE
        coverage[y : y + bitmap.rows, x : x + bitmap.width] = pixels / np.float32(255)
        return _Drawn(code, coverage, left, top - _TOP, advance)


def _drawn(faces: list[_Face], code: int) -> _Drawn | None:
    # Control characters have boxes in some fonts, and nothing to show.
    if code < 32 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000:
        return None
    face = next((f for f in faces if f.has(code)), None)
    return face.draw(code) if face else None


def _nearest(squares: Floats, reach: int) -> Floats:
    """Squared distance to the nearest seed, each with a start value; exact up to `reach` pixels."""
    for axis in (1, 2):
        found = squares.copy()
        for step in range(1, reach + 1):
            near, far = [slice(None)] * 3, [slice(None)] * 3
            near[axis], far[axis] = slice(None, -step), slice(step, None)
            one, other = tuple(near), tuple(far)
            np.minimum(found[one], squares[other] + np.float32(step * step), out=found[one])
            np.minimum(found[other], squares[one] + np.float32(step * step), out=found[other])
        squares = found
    return squares


def _fingerprint(fonts: Fonts) -> str:
    """Changes with the files drawn from."""
    digest = hashlib.sha256(_VERSION.encode())
    for weight, files in (("regular", fonts.regular), ("bold", fonts.bold)):
        for file in files:
            stat = file.path.stat()
            digest.update(f"{weight}:{file.path}:{file.index}:{stat.st_size}:{stat.st_mtime_ns};".encode())
    return digest.hexdigest()[:16]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1
