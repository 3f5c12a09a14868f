# SPDX-License-Identifier: Apache-2.0
"""What QGIS draws of the project: the right colours in the right places."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.qgis.conftest import City, Desk

SCHOOL = "geocloud_features_facility-school"
Colour = tuple[int, int, int]
# Pixels from the middle of a marker among which its ring is; it is less than two of them wide.
RING_PX = tuple(7 + n / 2 for n in range(10))


def colour(text: str) -> Colour:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def near(one: Colour, other: Colour, by: int = 12) -> bool:
    return all(abs(a - b) <= by for a, b in zip(one, other, strict=True))


def pixel(image: Image.Image, extent: list[float], lon: float, lat: float) -> Colour:
    west, south, east, north = extent
    x = (lon - west) / (east - west) * image.width
    y = (north - lat) / (north - south) * image.height
    found = image.getpixel((int(x), int(y)))
    assert isinstance(found, tuple)
    return found[0], found[1], found[2]


def drawn(desk: Desk, **asked: object) -> tuple[Image.Image, list[float]]:
    told = desk.ask("render", name="drawn.png", **asked)
    assert told["saved"]
    return Image.open(desk.folder / "drawn.png").convert("RGB"), told["extent"]


def test_a_lone_school_has_the_colour_of_its_class(city: City, desk: Desk) -> None:
    legend = desk.ask("legend", layer=SCHOOL)
    colours = {}
    for _, codes, shown in legend["classes"]:
        colours |= dict.fromkeys(codes if isinstance(codes, list) else [codes], shown)
    alone = city.sql(
        "SELECT DISTINCT ON (stage) stage, ST_X(geom), ST_Y(geom) FROM facility.school a WHERE NOT EXISTS (SELECT FROM "
        "facility.school b WHERE b.fid <> a.fid AND ST_DWithin(a.geom, b.geom, 0.01)) ORDER BY stage, fid"
    )
    assert len(alone) >= 2
    for stage, lon, lat in alone:
        box = [lon - 0.004, lat - 0.003, lon + 0.004, lat + 0.003]
        image, extent = drawn(desk, box=box, layers=[SCHOOL], labels=False)
        # A pictogram is in the middle, the ring around it has the class's colour.
        degrees = (extent[2] - extent[0]) / image.width
        for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            outwards = [pixel(image, extent, lon + d * degrees * x, lat + d * degrees * y) for d in RING_PX]
            assert any(near(c, colour(colours[stage]), 40) for c in outwards), (stage, outwards)
        assert len({pixel(image, extent, lon + d * degrees, lat) for d in range(-6, 7)}) > 2, stage


def test_schools_that_crowd_are_one_disc_with_their_number(city: City, desk: Desk) -> None:
    lon, lat, many = city.sql(
        "SELECT ST_X(a.geom), ST_Y(a.geom), count(*) FROM facility.school a JOIN facility.school b "
        "ON ST_DWithin(a.geom, b.geom, 0.02) GROUP BY a.fid, a.geom ORDER BY 3 DESC LIMIT 1"
    )[0]
    assert many > 3
    box = [lon - 0.4, lat - 0.3, lon + 0.4, lat + 0.3]
    inside = city.sql("SELECT count(*) FROM facility.school WHERE geom && ST_MakeEnvelope(%s, %s, %s, %s, 4490)", *box)
    image, _ = drawn(desk, box=box, layers=[SCHOOL], labels=False)
    blots = blots_of(image)
    assert 1 < len(blots) < inside[0][0] / 2
    # A disc is larger than the dot of one school.
    assert max(blots) > 2 * min(blots)


def painted(image: Image.Image) -> int:
    ground = image.getpixel((0, 0))
    return sum(n for n, c in image.getcolors(image.width * image.height) or [] if c != ground)


def blots_of(image: Image.Image) -> list[int]:
    """Pixels of each connected patch that is not the ground."""
    ground = image.getpixel((0, 0))
    points = {(x, y) for x in range(image.width) for y in range(image.height) if image.getpixel((x, y)) != ground}
    sizes = []
    while points:
        todo, size = [points.pop()], 1
        while todo:
            x, y = todo.pop()
            for step in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
                if step in points:
                    points.remove(step)
                    todo.append(step)
                    size += 1
        sizes.append(size)
    return sizes


def test_water_and_ground_are_those_of_the_base_map(city: City, desk: Desk) -> None:
    lon, lat = city.sql(
        "SELECT ST_X(p), ST_Y(p) FROM (SELECT ST_PointOnSurface(geom) p FROM base.water_area ORDER BY ST_Area(geom) "
        "DESC LIMIT 1) w"
    )[0]
    layers = ["geocloud_features_base-water_area", "geocloud_features_base-city"]
    image, extent = drawn(desk, box=[lon - 0.02, lat - 0.015, lon + 0.02, lat + 0.015], layers=layers, labels=False)
    assert near(pixel(image, extent, lon, lat), colour("#c8dbe6"), 3)
    lon, lat = city.sql(
        "SELECT ST_X(p), ST_Y(p) FROM (SELECT ST_PointOnSurface(ST_Difference(c.geom, ST_Buffer(w.geom, 0.001))) p "
        "FROM base.city c, (SELECT ST_Union(geom) geom FROM base.water_area) w) g"
    )[0]
    image, extent = drawn(
        desk, box=[lon - 0.001, lat - 0.00075, lon + 0.001, lat + 0.00075], layers=layers[1:], labels=False
    )
    assert near(pixel(image, extent, lon, lat), colour("#f4f2ec"), 3)


def test_the_city_is_drawn_without_an_error(desk: Desk) -> None:
    told = desk.ask("render", name="city.png", box=desk.ask("about")["extent"])
    assert told["saved"] and told["errors"] == []
    image = Image.open(desk.folder / "city.png").convert("RGB")
    colours = image.getcolors(image.width * image.height) or []
    assert len(colours) > 200


def test_the_layout_prints(desk: Desk, tmp_path: Path) -> None:
    assert desk.ask("about")["layouts"] == ["A3 横向"]
    assert desk.ask("printed", name="map.pdf") == 0
    content = (desk.folder / "map.pdf").read_bytes()
    assert content.startswith(b"%PDF-") and len(content) > 20_000


TOWN = [115.93, 36.42, 116.07, 36.52]


NAMED = {
    "features": "geocloud_features_base-township",
    "lines-of-tiles": "geocloud_tiles_base-road",
    "points-of-tiles": "geocloud_tiles_facility",
}


@pytest.mark.parametrize("layer", NAMED.values(), ids=NAMED)
def test_names_are_written(desk: Desk, layer: str) -> None:
    plain, _ = drawn(desk, box=TOWN, layers=[layer], labels=False)
    named, _ = drawn(desk, box=TOWN, layers=[layer], labels=True)
    assert painted(named) > painted(plain)
