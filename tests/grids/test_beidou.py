# SPDX-License-Identifier: Apache-2.0
"""BeiDou grid codes against the examples of GB/T 39409-2020, by an independent way of division, and at every edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocloud.errors import InvalidParameter
from geocloud.grids import beidou, beidou3d, beidou_index

STANDARD = (beidou.units(116, 18, "45.37"), beidou.units(39, 59, "35.38"))
STANDARD_CODES = [
    "N50J",
    "N50J47",
    "N50J475",
    "N50J47539",
    "N50J47539B8",
    "N50J47539B82",
    "N50J47539B8255",
    "N50J47539B825534",
    "N50J47539B82553461",
    "N50J47539B8255346152",
]
LIAOCHENG_CODES = [
    "N50J",
    "N50J30",
    "N50J305",
    "N50J305D7",
    "N50J305D7C5",
    "N50J305D7C51",
    "N50J305D7C5166",
    "N50J305D7C516633",
    "N50J305D7C51663311",
    "N50J305D7C5166331144",
]
SITES = [
    ("39 59 56.1444", "116 19 14.3184", "N50J475493E"),
    ("39 59 59.7012", "116 19 5.9808", "N50J475491E"),
    ("39 59 56.5260", "116 19 9.3540", "N50J475492E"),
]
HEIGHTS = [
    (0, 0, "000000000000"),
    (10, 668, "000000001234"),
    (35.2, 2351, "000000004457"),
    (50, 3340, "000000006414"),
    (100, 6680, "000000015030"),
    (123.7, 8263, "000000100107"),
    (300, 20041, "000000207111"),
    (8848.86, 590758, "000004801646"),
    (-5, -335, "16371FF17261"),
]
degrees = st.tuples(
    st.decimals(-180, 180, places=9, allow_nan=False), st.decimals("-87.999999", "87.999999", places=9, allow_nan=False)
)


@pytest.mark.parametrize(("level", "code"), list(enumerate(STANDARD_CODES, 1)))
def test_example_of_the_standard(level, code):
    assert beidou.encode_units(*STANDARD, level) == code


@pytest.mark.parametrize(("level", "code"), list(enumerate(LIAOCHENG_CODES, 1)))
def test_guangyue_tower(level, code):
    assert beidou.encode(115.981, 36.456, level) == code
    assert beidou.encode("115.981", "36.456", level) == code


def test_south_west_is_the_mirror_image():
    assert beidou.encode_units(-STANDARD[0], -STANDARD[1], 8) == "S11J47539B825534"


@pytest.mark.parametrize(("latitude", "longitude", "code"), SITES, ids=["east-gate", "tower", "office"])
def test_sites_of_the_standard(latitude, longitude, code):
    assert beidou.encode_units(beidou.units(*longitude.split()), beidou.units(*latitude.split()), 5) == code


@pytest.mark.parametrize(
    ("longitude", "latitude", "code"),
    [("115.3", "36", "N50J"), ("115.3", "35.9999999", "N50I"), ("114", "36", "N50J"), ("113.9999999", "36", "N49J")],
    ids=["on-36N", "south-of-36N", "on-114E", "west-of-114E"],
)
def test_the_city_straddles_36_north(longitude, latitude, code):
    assert beidou.encode(longitude, latitude, 1) == code


@pytest.mark.parametrize("minutes", range(60))
def test_a_float_is_the_decimal_it_is_written_as(minutes):
    longitude = round(115 + minutes / 10, 1)
    assert beidou.encode(longitude, 36.1) == beidou.encode(str(longitude), "36.1")
    assert beidou_index.encode_many(longitude, 36.1) == beidou.encode(str(longitude), "36.1")


@pytest.mark.parametrize(
    ("longitude", "latitude", "code"),
    [
        (0, 0, "N31A0000000000000000"),
        ("-0.00000001", "-0.00000001", "S30A0000000000000000"),
        (-6, 0, "N29A0000000000000000"),
    ],
    ids=["origin", "just-south-west", "zone-line-west"],
)
def test_edges_of_the_globe(longitude, latitude, code):
    assert beidou.encode(longitude, latitude) == code


@pytest.mark.parametrize(("longitude", "side", "head"), [(180, 2, "N60A"), (-180, 0, "N01A")], ids=["east", "west"])
def test_the_date_line_is_the_edge_of_the_outermost_cell(longitude, side, head):
    code = beidou.encode(longitude, 0)
    assert code.startswith(head)
    assert beidou.decode(code).bbox[side] == longitude
    assert beidou_index.encode_many(longitude, 0) == code


@given(degrees, st.integers(1, 10))
@settings(max_examples=300, deadline=None)
def test_every_position_lies_in_its_cell_and_its_parents(position, level):
    code = beidou.encode(*position, level)
    cell = beidou.decode(code)
    x, y = beidou.units(position[0]), beidou.units(position[1])
    assert cell.west <= x <= cell.east
    assert cell.south <= y <= cell.north
    assert (cell.level, len(code)) == (level, beidou.LENGTHS[level])
    if level > 1:
        outer = beidou.decode(cell.parent)
        assert beidou.encode(*position, level - 1) == cell.parent
        assert outer.west <= cell.west < cell.east <= outer.east
        assert outer.south <= cell.south < cell.north <= outer.north


@given(degrees, st.integers(1, 10))
@settings(max_examples=200, deadline=None)
def test_a_cell_by_division_of_the_whole_globe(position, level):
    """An independent way: the cell is the multiple of its size below the position, with no parents involved."""
    x, y = (abs(beidou.units(v)) for v in position)
    if x == 180 * beidou.UNITS_PER_DEGREE:
        return
    cell = beidou.decode(beidou.encode(*position, level))
    width, height = cell.east - cell.west, cell.north - cell.south
    assert min(abs(cell.west), abs(cell.east)) == x // width * width
    assert min(abs(cell.south), abs(cell.north)) == y // height * height


@given(st.lists(degrees, min_size=1, max_size=30), st.integers(1, 10))
@settings(max_examples=60, deadline=None)
def test_arrays_give_the_same_codes(positions, level):
    lon, lat = np.array([[float(x), float(y)] for x, y in positions]).T
    expected = [beidou.encode(x, y, level) for x, y in zip(lon.tolist(), lat.tolist(), strict=True)]
    assert beidou_index.encode_many(lon, lat, level).tolist() == expected


def test_arrays_keep_their_shape_and_leave_out_what_has_no_code():
    lon, lat = np.array([[115.981, np.nan], [181.0, 0.0]]), np.array([[36.456, 36.0], [36.0, 88.0]])
    assert beidou_index.encode_many(lon, lat, 2).tolist() == [["N50J30", ""], ["", ""]]


@pytest.mark.parametrize(
    ("level", "seconds"),
    [(1, (21600, 14400)), (2, (1800, 1800)), (3, (900, 600)), (4, (60, 60)), (5, (4, 4)), (6, (2, 2)),
     (7, (0.25, 0.25)), (8, (1 / 32, 1 / 32)), (9, (1 / 256, 1 / 256)), (10, (1 / 2048, 1 / 2048))],
)  # fmt: skip
def test_sizes_of_cells(level, seconds):
    cell = beidou.decode(LIAOCHENG_CODES[level - 1])
    assert ((cell.east - cell.west) / 2048, (cell.north - cell.south) / 2048) == seconds


def test_bounds_centre_and_anchor():
    cell = beidou.decode("n50j30")
    assert cell.bbox == (115.5, 36.0, 116.0, 36.5)
    assert cell.centre == (115.75, 36.25)
    assert cell.anchor == (115.5, 36.0)
    assert beidou.decode("S11J47").anchor == (-116.0, -39.5)


@pytest.mark.parametrize(
    ("code", "words"),
    [("", "长度"), ("N", "长度"), ("N50J3", "长度"), ("N50J305D7C51663311444", "长度"), ("X50J", "第 1 位"),
     ("N61J", "第 1 位"), ("N00J", "第 1 位"), ("N50W", "第 1 位"), ("N50JC0", "第 5 位"), ("N50J08", "第 6 位"),
     ("N50J306", "第 7 位"), ("N50J305F0", "第 8 位"), ("N50J3050A", "第 9 位"), ("N50J305D7F0", "第 10 位"),
     ("N50J305D7C54", "第 12 位"), ("N50J305D7C5186", "第 13 位"), ("N５0J30", "第 1 位"), ("N50J3O", "第 6 位")],
)  # fmt: skip
def test_what_is_no_code_is_told_in_both_languages(code, words):
    with pytest.raises(InvalidParameter) as caught:
        beidou.decode(code)
    assert words in caught.value.zh
    assert caught.value.en
    assert caught.value.todo_en
    assert caught.value.todo_zh


@pytest.mark.parametrize(
    ("longitude", "latitude", "level"),
    [(180.1, 0, 5), (0, 88, 5), (0, -88, 5), (115, 36, 0), (115, 36, 11), ("east", 36, 5), (float("nan"), 36, 5)],
    ids=["east", "north", "south", "level-0", "level-11", "words", "nan"],
)
def test_what_has_no_code_is_refused(longitude, latitude, level):
    with pytest.raises(InvalidParameter) as caught:
        beidou.encode(longitude, latitude, level)
    assert caught.value.en != caught.value.zh


@pytest.mark.parametrize(("height", "layer", "characters"), HEIGHTS, ids=[str(h[0]) for h in HEIGHTS])
def test_heights(height, layer, characters):
    assert beidou3d.layer_of(height) == layer
    assert beidou3d.height_characters(layer) == characters
    assert beidou3d.height_of(layer) <= height < beidou3d.height_of(layer + 1)


@pytest.mark.parametrize(
    ("cells", "metres"), [(-256, -6_302_106.7226), (255, 519_501_834.158), (256, 528_680_171.1252)]
)
def test_heights_of_level_0(cells, metres):
    assert beidou3d.height_of(cells * beidou.UNITS_PER_DEGREE) == pytest.approx(metres, abs=1e-3)


def test_codes_with_height():
    assert beidou3d.encode(115.981, 36.456, 35.2, 8) == "N050J0030050D70C5010664334"
    assert beidou3d.decode("N036J0093000780B3010010520430140").cell.code == "N36J93078B3101524314"


@given(degrees, st.floats(-5000, 20000), st.integers(1, 10))
@settings(max_examples=200, deadline=None)
def test_a_height_lies_in_its_box(position, height, level):
    box = beidou3d.decode(beidou3d.encode(*position, height, level))
    assert box.bottom - 1e-6 <= height < box.top + 1e-6
    assert box.cell.code == beidou.encode(*position, level)


@pytest.mark.parametrize("code", ["N050J003", "N950J00", "N050J99", "N050J0G", "N050J0030850D70C5010664334"])
def test_what_is_no_code_with_height_is_refused(code):
    with pytest.raises(InvalidParameter):
        beidou3d.decode(code)
