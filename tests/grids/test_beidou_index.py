# SPDX-License-Identifier: Apache-2.0
"""BeiDou grid cells as integers, as areas and as neighbours: bit for bit what the rules of the standard give."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocloud.errors import InvalidParameter, TooLarge
from geocloud.grids import beidou, beidou3d, beidou_near
from geocloud.grids import beidou_cover as cover
from geocloud.grids import beidou_index as index
from tests.grids import reference
from tests.grids.test_beidou import LIAOCHENG_CODES, SITES, STANDARD_CODES

LEVELS = range(1, 11)
places = st.tuples(
    st.floats(-180, 180, allow_nan=False) | st.decimals(-180, 180, places=6, allow_nan=False).map(float),
    st.floats(-87.99999, 87.99999) | st.decimals("-87.9", "87.9", places=6, allow_nan=False).map(float),
)


def one(code: str) -> int:
    return int(index.from_text(np.array([code]))[0])


@given(places, st.sampled_from(LEVELS))
@settings(max_examples=400, deadline=None)
def test_any_place_has_the_code_that_division_gives(place, level):
    code = reference.encode(*place, level)
    assert beidou.encode(*place, level) == code
    found = index.from_points([place[0]], [place[1]], level)
    assert index.to_text(found)[0].decode() == code
    assert one(code) == found[0]
    lon, lat = index.to_points(found)
    assert index.from_points(lon, lat, level)[0] == found[0]


@pytest.mark.parametrize("level", LEVELS)
def test_many_places_have_the_codes_that_division_gives(level):
    rng = np.random.default_rng(level)
    lon = np.concatenate([rng.uniform(-180, 180, 400), rng.uniform(115, 116.7, 400).round(4), np.arange(-180, 181, 5)])
    lat = np.concatenate([rng.uniform(-88, 88, 400), rng.uniform(35.6, 37.2, 400).round(4), rng.integers(-87, 88, 73)])
    expected = [reference.encode(float(x), float(y), level) for x, y in zip(lon, lat, strict=True)]
    found = index.from_points(lon, lat, level)
    assert index.to_text(found).astype(str).tolist() == expected
    assert index.from_text(np.array(expected)).tolist() == found.tolist()
    assert np.all(index.levels(found) == level)
    order = np.argsort(found, kind="stable")
    assert [expected[i] for i in order] == sorted(expected)


@pytest.mark.parametrize(
    "code", [*STANDARD_CODES, *LIAOCHENG_CODES, *(s[2] for s in SITES), "S11J47539B825534", "N50I"]
)
def test_codes_of_the_standard_and_of_the_city(code):
    cell = beidou.decode(code)
    found = index.from_text(np.array([code, code.encode().decode()]))
    assert index.to_text(found).astype(str).tolist() == [code, code]
    assert [int(v[0]) for v in index.bounds(found)] == [cell.west, cell.south, cell.east, cell.north]
    assert tuple(float(v[0]) for v in index.to_points(found)) == pytest.approx(cell.centre, abs=1e-12)


@pytest.mark.parametrize(
    "code",
    ["", "N", "N50J3", "n50j30", "N00J", "N61J", "N99J", "X50J", "N50W", "N50JC0", "N50J08", "N50J306", "N50J305F0",
     "N50J3050A", "N50J305D7F0", "N50J305D7C54", "N50J305D7C5186", "N５0J30", "N50J30 ", "N50J305D7C51663311441", "50",
     "ZZZZZZZZZZZZZZZZZZZZ", "N50J305D7C5166331\x00444"],
)  # fmt: skip
def test_what_is_no_code_is_minus_one(code):
    good = "N50J305D7C5166331144"
    assert index.from_text(np.array([code, good])).tolist() == [-1, one(good)]
    assert index.from_text(np.array([code])).tolist() == [-1]


def test_places_without_a_code_and_several_levels():
    assert index.from_points([181, np.nan, 115, 115], [0, 36, 88, -90]).tolist() == [-1] * 4
    mixed = index.from_text(np.array(["N50J", "bad", "N50J305D7C5166331144", "S30A"]))
    assert index.levels(mixed).tolist() == [1, 0, 10, 1]
    assert index.to_text(mixed).tolist() == [b"N50J", b"", b"N50J305D7C5166331144", b"S30A"]
    lon, lat = index.to_points(mixed)
    assert lon[0] == 117 and lat[3] == -2 and np.isnan(lon[1])
    assert index.to_text(index.from_points(np.zeros((2, 3)), np.zeros((2, 3)), 2)).shape == (2, 3)


def test_parents_are_beginnings_of_codes_and_children_a_range():
    finest = one("N50J305D7C5166331144")
    for level in LEVELS:
        up = index.parents([finest], level)
        assert index.to_text(up)[0].decode() == LIAOCHENG_CODES[level - 1]
        assert finest in index.children(int(up[0]), 10)
    assert index.parents([one("N50J")], 3).tolist() == [-1]
    children = np.array(index.children(one("N50J30"), 3))
    assert index.to_text(children).astype(str).tolist() == [f"N50J30{n}" for n in range(6)]
    assert len(index.children(one("N50J305D7"), 5)) == 225


@given(places, st.sampled_from(LEVELS))
@settings(max_examples=100, deadline=None)
def test_neighbours_are_each_others_and_touch(place, level):
    cell = int(index.from_points(*place, level))
    around = cover.neighbours(cell)
    assert len(around) in (5, 8) and len(set(around)) == len(around) and cell not in around
    for other in around:
        assert cell in cover.neighbours(other)


def test_neighbours_across_the_lines_that_zones_begin_at():
    text = lambda code: [c.decode() for c in index.to_text(cover.neighbours(one(code)))]  # noqa: E731
    assert text("N31A") == ["N30B", "N31B", "N32B", "N30A", "N32A", "S30A", "S31A", "S32A"]
    assert "N50I" in text("N50J") and "N49J" in text("N50J")
    assert text("N60V") == ["N59V", "N01V", "N59U", "N60U", "N01U"]


@given(
    st.lists(st.tuples(st.floats(115.6, 115.62), st.floats(35.99, 36.01)), min_size=3, max_size=8),
    st.integers(3, 6),
)
@settings(max_examples=60, deadline=None)
def test_a_cover_is_all_that_share_an_inside_and_covers(points, level):
    area = shapely.MultiPoint(points).convex_hull
    if area.geom_type != "Polygon" or area.area < 1e-9:
        return
    found = cover.cover(area, level)
    box = cover.cover_box(*area.bounds, level)
    brute = [i for i, s in zip(box, cover.outlines(box), strict=True) if s.intersects(area) and not s.touches(area)]
    assert found.tolist() == sorted(brute)
    assert shapely.difference(area, shapely.union_all(cover.outlines(found))).area < 1e-15
    mixed = cover.cover(area, level, mixed=True)
    assert cover.spread(mixed, level).tolist() == found.tolist()
    assert len(mixed) <= len(found)
    assert cover.compact(mixed).tolist() == mixed.tolist()


@pytest.mark.parametrize("code", ["N50J305D7C5", "S11J47539", "N31A00", "S30A005", "N50I07", "N50J305D7C516633"])
def test_the_cover_of_a_cell_is_itself_and_its_children_are_as_large(code):
    cell, level = one(code), beidou.level_of(code)
    (outline,) = cover.outlines([cell])
    assert cover.cover(outline, level).tolist() == [cell]
    assert cover.cover_box(*outline.bounds, level).tolist() == [cell]
    if level < 10:
        down = cover.cover(outline, level + 1)
        assert down.tolist() == list(index.children(cell, level + 1))
        assert cover.compact(down).tolist() == [cell]
    assert cover.cover(outline, level, mixed=True).tolist() == [cell]


def test_areas_without_cells_are_refused():
    for wrong in (shapely.Point(1, 1), shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])):
        with pytest.raises(InvalidParameter):
            cover.cover(wrong, 3)
    with pytest.raises(InvalidParameter, match="pole"):
        cover.cover(shapely.box(0, 80, 10, 89), 3)
    with pytest.raises(TooLarge):
        cover.cover(shapely.box(115, 36, 117, 37), 8, most=1000)
    assert cover.cover(shapely.Polygon(), 3).tolist() == []


def test_reference_codes_of_the_standard():
    gate, tower, office = (s[2] for s in SITES)
    assert beidou_near.resolve(f"{tower}-20").code == gate
    assert beidou_near.resolve(f"{office}-10").code == gate
    assert beidou_near.resolve(f"{gate}-B0").code == tower
    assert beidou_near.refer(gate, tower) == f"{tower}-20"
    assert beidou_near.refer(tower, gate) == f"{gate}-B0"


@given(places, st.integers(-30, 30), st.integers(-30, 30), st.integers(5, 10))
@settings(max_examples=100, deadline=None)
def test_reference_codes_there_and_back(place, east, north, level):
    origin = int(index.from_points(place[0], place[1] * 0.99, level))
    column, row, _ = index.to_columns(origin)
    other = index.from_columns(column + east, row + north, level)
    a, b = (c.decode() for c in index.to_text([origin, int(other)]))
    assert beidou_near.resolve(beidou_near.refer(b, a)).code == b


@pytest.mark.parametrize(
    "code", ["N50J305D7-10", "N50J305D7C5-80", "N50J305D7C5-H0", "N50J305D7C5", "-10", "N50J305D7C5-1"]
)
def test_what_is_no_reference_code(code):
    with pytest.raises(InvalidParameter) as caught:
        beidou_near.resolve(code)
    assert caught.value.todo_zh and caught.value.todo_en


def test_short_codes_mean_the_nearest_cell():
    code = "N50J305D7C5"
    short = beidou_near.shorten(code, 3)
    assert short == "D7C5"
    lon, lat = beidou.decode(code).centre
    assert beidou_near.restore(short, lon + 0.01, lat - 0.01, 3).code == code
    # Across the border of zones too: the reader is north of 36 degrees, the place south of it.
    south = beidou.encode(115.6, 35.9995, 6)
    assert beidou_near.restore(beidou_near.shorten(south, 2), 115.6, 36.001, 2).code == south
    for wrong, level in (("D7C", 3), ("FFFF", 3), ("", 3)):
        with pytest.raises(InvalidParameter):
            beidou_near.restore(wrong, lon, lat, level)


@pytest.mark.parametrize("level", LEVELS)
def test_codes_with_height_of_arrays_are_those_of_one(level):
    rng = np.random.default_rng(level)
    lon, lat, up = rng.uniform(-180, 180, 200), rng.uniform(-88, 88, 200), rng.uniform(-4000, 9000, 200)
    up[:4] = 0, 10, 35.2, -5
    found = beidou3d.encode_many(lon, lat, up, level)
    assert found.astype(str).tolist() == [
        beidou3d.encode(*map(float, t), level) for t in zip(lon, lat, up, strict=True)
    ]
    assert beidou3d.encode_many([115, 200], [36, 36], 0, level)[1] == b""
    layers = np.arange(-2000, 2000)
    heights = [beidou3d.height_of(int(n)) for n in layers]
    assert beidou3d.layers_of(heights).tolist() == [beidou3d.layer_of(h) for h in heights]
    with pytest.raises(InvalidParameter):
        beidou3d.layers_of([1.0, np.nan])


def test_boxes_below_and_above_share_a_face():
    box = beidou3d.decode("N050J0030050D70C5010664334")
    below, above = (beidou3d.decode(c) for c in beidou3d.neighbour_layers(box))
    assert below.top == box.bottom and above.bottom == box.top and below.cell == above.cell == box.cell


def test_small_letters_are_read_and_refused_where_it_matters():
    assert beidou.decode("n50j30").code == "N50J30"
    for read, code in ((beidou.decode, "n50j30"), (beidou3d.decode, "n050j0030050d70c5010664334")):
        with pytest.raises(InvalidParameter) as caught:
            read(code, strict=True)
        assert "大写" in caught.value.zh


@pytest.mark.parametrize(("lon", "lat"), [(0, 88), (10, -89.5), (0, 90)])
def test_poles_are_refused_in_both_languages(lon, lat):
    with pytest.raises(InvalidParameter) as caught:
        beidou.encode(lon, lat, 5)
    assert "极" in caught.value.zh and "pole" in caught.value.en and caught.value.todo_zh
