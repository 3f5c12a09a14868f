# SPDX-License-Identifier: Apache-2.0
"""Glyph ranges, decoded by hand: metrics of known characters, and distances that are distances."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocloud.errors import InvalidParameter
from geocloud.settings import StyleSettings
from geocloud.styles.fonts import Fonts, find_fonts
from geocloud.styles.glyphs import BUFFER, EM, GlyphStore, distance_fields, draw_range, encode, first_of


@pytest.fixture(scope="module")
def fonts() -> Fonts:
    found = find_fonts(StyleSettings())
    if not found.chinese:
        pytest.skip("no font with Chinese characters is installed (fonts-noto-cjk)")
    return found


@pytest.fixture(scope="module")
def store(fonts: Fonts, tmp_path_factory: pytest.TempPathFactory) -> GlyphStore:
    return GlyphStore(tmp_path_factory.mktemp("glyphs"), fonts)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            assert key & 7 == 2
            size = varint()
            at += size
            yield key >> 3, data[at - size : at]


def _decoded(body: bytes) -> tuple[str, str, dict[int, dict[str, Any]]]:
    ((number, stack),) = _fields(body)
    assert number == 1
    name = span = ""
    glyphs = {}
    names = {1: "id", 2: "bitmap", 3: "width", 4: "height", 5: "left", 6: "top", 7: "advance"}
    for key, value in _fields(stack):
        if key == 1:
            name = value.decode()
        elif key == 2:
            span = value.decode()
        else:
            glyph = {names[k]: v for k, v in _fields(value)}
            for signed in ("left", "top"):
                glyph[signed] = (glyph[signed] >> 1) ^ -(glyph[signed] & 1)
            glyphs[glyph["id"]] = glyph
    return name, span, glyphs


@pytest.mark.parametrize("stack", ["Sans Regular", "Sans Bold", "Sans Italic"])
def test_chinese_characters_are_an_em_wide_and_whole(store: GlyphStore, stack: Any) -> None:
    name, span, glyphs = _decoded(gzip.decompress(store.get(stack, 0x4E00)))
    assert (name, span) == (stack, "19968-20223")
    assert len(glyphs) == 256
    for glyph in glyphs.values():
        assert glyph["advance"] == EM
        assert len(glyph["bitmap"]) == (glyph["width"] + 2 * BUFFER) * (glyph["height"] + 2 * BUFFER)
        assert max(glyph["bitmap"]) > 191, chr(glyph["id"])
        assert glyph["width"] <= EM + 6 and glyph["height"] <= EM + 2
    # 中 sits in the middle of a line, which map libraries put 17 pixels below `top` 0.
    middle = glyphs[ord("中")]
    assert middle["top"] - middle["height"] / 2 == pytest.approx(-17, abs=1.5)


def test_latin_letters_have_their_own_widths(store: GlyphStore, fonts: Fonts) -> None:
    import freetype

    *_, glyphs = _decoded(gzip.decompress(store.get("Sans Regular", 0)))
    face = freetype.Face(str(fonts.regular[0].path), fonts.regular[0].index)
    face.set_char_size(1000 * 64)
    for letter in "AgiW.5é":
        face.load_char(letter, freetype.FT_LOAD_NO_HINTING)
        assert glyphs[ord(letter)]["advance"] == round(face.glyph.linearHoriAdvance / 65536 * EM / 1000), letter
    assert glyphs[32]["advance"] > 0 and "bitmap" not in glyphs[32]
    assert glyphs[ord("i")]["advance"] < glyphs[ord("W")]["advance"]


def test_italic_leans_and_bold_is_heavier(store: GlyphStore) -> None:
    def ink(stack: Any) -> tuple[int, int]:
        glyph = _decoded(gzip.decompress(store.get(stack, 0)))[2][ord("l")]
        return glyph["width"], sum(v > 191 for v in glyph["bitmap"])

    regular, bold, italic = ink("Sans Regular"), ink("Sans Bold"), ink("Sans Italic")
    assert italic[0] > regular[0]
    assert bold[1] > regular[1]


def test_fields_are_distances_to_the_edge() -> None:
    """A square of 12 by 12 pixels, drawn at twice the size: 32 steps a pixel, 191 on the edge."""
    coverage = np.zeros((48, 48), np.float32)
    coverage[12:36, 12:36] = 1
    (field,) = distance_fields([coverage])
    row = field[12].astype(int)
    # Centres of the pixels are half a pixel off the edge; values inside end at 255 two pixels deep.
    assert row[5] == pytest.approx(191 - 16, abs=9)
    assert row[6] == pytest.approx(191 + 16, abs=9)
    assert row[5] - row[4] == pytest.approx(32, abs=2)
    assert row[4] - row[3] == pytest.approx(32, abs=2)
    assert row[12] == 255 and row[0] == pytest.approx(191 - 5.5 * 32, abs=9)
    # A corner is as far as Pythagoras says, to a third of a pixel.
    assert int(field[3, 3]) == pytest.approx(191 - 32 * np.hypot(2.5, 2.5), abs=11)


def test_ranges_are_kept_on_disk_and_read_back(store: GlyphStore, fonts: Fonts) -> None:
    first = store.get("Sans Regular", 0x8000)
    (path,) = store._folder.glob("sans-regular/32768-33023.pbf.gz")
    assert path.read_bytes() == first
    path.write_bytes(gzip.compress(b"kept"))
    assert gzip.decompress(store.get("Sans Regular", 0x8000)) == b"kept"
    path.unlink()
    assert store.get("Sans Regular", 0x8000) == first
    assert not list(store._folder.glob("**/*.pbf.[0-9]*"))


def test_a_folder_that_cannot_be_written_costs_only_time(fonts: Fonts, tmp_path: Path) -> None:
    (tmp_path / "glyphs").write_text("a file where the folder should be")
    body = GlyphStore(tmp_path / "glyphs", fonts).get("Sans Regular", 0x3000)
    assert ord("。") in _decoded(gzip.decompress(body))[2]


def test_without_any_font_ranges_are_empty_but_valid(tmp_path: Path) -> None:
    body = gzip.decompress(GlyphStore(tmp_path, Fonts()).get("Sans Regular", 0))
    assert _decoded(body) == ("Sans Regular", "0-255", {})


def test_a_missing_bold_face_is_made_from_the_regular_one(fonts: Fonts) -> None:
    plain = Fonts(fonts.regular, (), chinese=True)
    assert plain.made_bold("Sans Bold") and not fonts.made_bold("Sans Bold")
    heavy, light = (
        next(g for g in draw_range(f, s, 0) if g.code == ord("l"))
        for f, s in ((plain, "Sans Bold"), (plain, "Sans Regular"))
    )
    assert sum(v > 191 for v in heavy.bitmap) > sum(v > 191 for v in light.bitmap)


@pytest.mark.parametrize("text", ["0-255", "19968-20223", "65280-65535"])
def test_ranges_are_read(text: str) -> None:
    assert first_of(text) == int(text.split("-")[0])


@pytest.mark.parametrize("text", ["0-256", "1-256", "65536-65791", "-", "a-b", "0-255-1", "٠-٢٥٥", "0" * 500])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        first_of(text)


def test_encoding_knows_negative_numbers(fonts: Fonts) -> None:
    glyphs = [g for g in draw_range(fonts, "Sans Regular", 0) if g.code == ord("j")]
    assert glyphs[0].left < 0 or glyphs[0].top < 0
    (decoded,) = _decoded(encode("Sans Regular", 0, glyphs))[2].values()
    assert (decoded["left"], decoded["top"]) == (glyphs[0].left, glyphs[0].top)
