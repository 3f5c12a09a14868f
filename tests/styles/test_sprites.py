# SPDX-License-Identifier: Apache-2.0
"""Sprites: boxes inside the picture, nothing empty or overlapping, twice the pixels for dense screens."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from geocloud.catalogue.registry import Catalogue
from geocloud.styles.icons import ICONS, mask
from geocloud.styles.sprites import MARKER, sheet


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("scale", [1, 2])
def test_boxes_lie_apart_inside_the_picture_and_hold_something(catalogue: Catalogue, scale: int, dark: bool) -> None:
    found = sheet(catalogue, dark=dark, scale=scale)
    picture = Image.open(io.BytesIO(found.png))
    assert picture.mode == "RGBA"
    taken: set[tuple[int, int]] = set()
    for name, box in found.index.items():
        x, y, width, height = (box[k] for k in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + width <= picture.width and y + height <= picture.height, name
        pixels = {(i, j) for i in range(x, x + width) for j in range(y, y + height)}
        assert not pixels & taken, name
        taken |= pixels
        assert box["pixelRatio"] == scale
        assert picture.crop((x, y, x + width, y + height)).getchannel("A").getextrema()[1] > 100, name


def test_dense_screens_get_the_same_images_twice_as_large(catalogue: Catalogue) -> None:
    one, two = (sheet(catalogue, dark=False, scale=s).index for s in (1, 2))
    assert one.keys() == two.keys()
    assert all((two[n]["width"], two[n]["height"]) == (2 * one[n]["width"], 2 * one[n]["height"]) for n in one)
    assert one["hospital-d55e00"]["width"] == MARKER


def test_stretched_images_say_where(catalogue: Catalogue) -> None:
    box = sheet(catalogue, dark=False, scale=2).index["shield"]
    (left, right), *_ = box["stretchX"]
    assert 0 < left < right < box["width"]
    assert box["content"][0] < box["content"][2] <= box["width"]


def test_the_ring_of_a_marker_has_the_colour_of_its_class(catalogue: Catalogue) -> None:
    found = sheet(catalogue, dark=False, scale=2)
    box = found.index["hospital-0072b2"]
    picture = Image.open(io.BytesIO(found.png))
    assert picture.getpixel((box["x"] + 4, box["y"] + box["height"] // 2)) == (0x00, 0x72, 0xB2, 255)


@pytest.mark.parametrize("name", sorted(ICONS))
def test_pictograms_fill_their_square_and_keep_their_shape(name: str) -> None:
    image = mask(name, 24)
    left, top, right, bottom = image.getbbox() or (0, 0, 0, 0)
    assert max(right - left, bottom - top) >= 12
    assert 0.05 < sum(image.tobytes()) / 255 / 24**2 < 0.75


def test_pictograms_are_told_apart() -> None:
    assert len({mask(name, 16).tobytes() for name in ICONS}) == len(ICONS)
