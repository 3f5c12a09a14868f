# SPDX-License-Identifier: Apache-2.0
"""Maps of reports: scale bars against the geodesic, legends of what is visible, pictures that have colour in them."""

from __future__ import annotations

import io
import re

import pytest
import shapely
from geographiclib.geodesic import Geodesic
from PIL import Image

from geocloud.reports.maps import bar_of, map_svg
from geocloud.reports.model import Look, Map, MapLayer
from geocloud.reports.pdf import map_png

SITE = shapely.box(115.98, 36.45, 115.99, 36.46)
RED, BLUE = Look(fill="#b3372f", line="#1f2a30"), Look(fill="#1c6e8c", hatch="diagonal")


@pytest.mark.parametrize("degrees", [0.003, 0.05, 1.2])
def test_the_bar_is_the_longest_round_length_that_fits(degrees: float) -> None:
    metres, label = bar_of(degrees, 36.4)
    room = Geodesic.WGS84.Inverse(36.4, 0.0, 36.4, degrees)["s12"]
    assert metres <= room < 2.5 * metres * 1.001
    assert label in (f"{metres:g} m", f"{metres / 1000:g} km")


def test_the_bar_drawn_is_as_long_as_it_says() -> None:
    box = (115.9, 36.4, 116.1, 36.5)
    svg = map_svg(Map((MapLayer([SITE], RED),), box=box))
    bar = float(re.search(r"v 6 h ([\d.]+) v -6", svg)[1])  # type: ignore[index]
    words = re.search(r">(\d+) (k?m)</text>", svg)
    assert words is not None
    metres = float(words[1]) * (1000 if words[2] == "km" else 1)
    middle = 36.45
    site = re.search(r'd="M ([\d.]+) [\d.]+ L ([\d.]+) [\d.]+ L ([\d.]+) [\d.]+ L ([\d.]+)', svg)
    assert site is not None
    across = max(map(float, site.groups())) - min(map(float, site.groups()))
    true = Geodesic.WGS84.Inverse(middle, 115.98, middle, 115.99)["s12"]
    assert bar / metres == pytest.approx(across / true, rel=0.01)


def test_only_what_is_visible_is_in_the_legend() -> None:
    far = shapely.box(110, 30, 111, 31)
    svg = map_svg(Map((MapLayer([far], BLUE, "看不见"), MapLayer([SITE], RED, "用地<范围>"))))
    assert "看不见" not in svg
    assert "用地&lt;范围&gt;" in svg


def test_a_picture_has_the_colour_of_its_site() -> None:
    image = Image.open(io.BytesIO(map_png(Map((MapLayer([SITE], RED, "用地"),))))).convert("RGB")
    middle = image.getpixel((image.width // 2, int(image.width * 0.26)))
    assert middle == (0xB3, 0x37, 0x2F)


def test_maps_of_one_page_are_each_cut_to_their_own_frame() -> None:
    page = "".join(map_svg(Map((MapLayer([SITE], RED),), height_mm=h)) for h in (90.0, 50.0))
    heights: dict[str, set[str]] = {}
    for name, height in re.findall(r'<clipPath id="(\w+)"><rect width="480" height="([\d.]+)"', page):
        heights.setdefault(name, set()).add(height)
    assert len(heights) == 2
    assert all(len(h) == 1 for h in heights.values())
    assert set(re.findall(r"clip-path=\"url\(#(\w+)\)", page)) == set(heights)
