# SPDX-License-Identifier: Apache-2.0
"""Positions in every notation, against known pairs of coordinates; what is no position gives nothing."""

from __future__ import annotations

import h3
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocloud.geodesy.offsets import wgs84_to_bd09, wgs84_to_gcj02
from geocloud.grids import beidou
from geocloud.search.angles import read_pair
from geocloud.search.coordinates import read_position

CITY = (115.27, 35.75, 116.55, 37.05)
TOWER = (115.981, 36.456)
TOWER_DMS = (115 + 58 / 60 + 51 / 3600, 36 + 27 / 60 + 21 / 3600)
DECIMAL = [
    "115.981,36.456",
    "115.981, 36.456",
    "115.981 36.456",
    "36.456,115.981",
    "36.456 N 115.981 E",
    "36.456N,115.981E",
    "E115.981 N36.456",
    "E 115.981, N 36.456",
    "115.981E 36.456N",
    "lat=36.456, lon=115.981",
    "经度：115.981，纬度：36.456",
    "东经115.981度 北纬36.456度",
    "115.981°E 36.456°N",
    "+115.981,+36.456",
    "１１５．９８１，３６．４５６",
    "(115.981, 36.456)",
    "POINT(115.981 36.456)",
    "wgs84 115.981,36.456",
    "CGCS2000: 36.456 115.981",
    "115.981\t36.456",
]
SEXAGESIMAL = [
    "东经115°58′51″ 北纬36°27′21″",
    "北纬36°27′21″，东经115°58′51″",
    "东经115度58分51秒，北纬36度27分21秒",
    "115度58分51秒 36度27分21秒",
    "36°27'21\"N 115°58'51\"E",
    "36°27'21\"N, 115°58'51\"E",
    "36°27’21”N 115°58’51”E",
    "N36°27′21″ E115°58′51″",
    "36d27'21\"N 115d58'51\"E",
    "115 58 51, 36 27 21",
    "115 58 51 36 27 21",
    "115:58:51 36:27:21",
    "36 27 21 N 115 58 51 E",
    "115°58.85′E, 36°27.35′N",
    "115°58.85' 36°27.35'",
    "东经115º58'51'' 北纬36º27'21''",
]


def best(text: str):
    return read_position(text, CITY)[0]


@pytest.mark.parametrize("text", DECIMAL)
def test_decimal_degrees(text):
    reading = best(text)
    assert (reading.lon, reading.lat) == pytest.approx(TOWER, abs=1e-12)
    assert reading.inside
    assert reading.crs in ("OGC:CRS84", "EPSG:4490")


@pytest.mark.parametrize("text", SEXAGESIMAL)
def test_degrees_minutes_and_seconds(text):
    reading = best(text)
    assert (reading.lon, reading.lat) == pytest.approx(TOWER_DMS, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "where"),
    [("115.981W 36.456S", (-115.981, -36.456)), ("-115.981,-36.456", (-115.981, -36.456)),
     ("西经115°58′51″ 南纬36°27′21″", (-TOWER_DMS[0], -TOWER_DMS[1])), ("0°30′W 0°15′S", (-0.5, -0.25))],
)  # fmt: skip
def test_west_and_south(text, where):
    reading = best(text)
    assert (reading.lon, reading.lat) == pytest.approx(where, abs=1e-12)
    assert not reading.inside
    assert "不在本市" in reading.subtitle.zh
    assert "outside" in reading.subtitle.en


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("4036624.603757, 39408653.614725", "EPSG:4527", TOWER),
        ("39408653.614725, 4036624.603757", "EPSG:4527", TOWER),
        ("4030712.940869 38616621.003299", "EPSG:4526", (115.3, 36.4)),
        ("38616621.003299,4030712.940869", "EPSG:4526", (115.3, 36.4)),
        ("4036624.603757 408653.614725", "EPSG:4548", TOWER),
        ("408653.614725 4036624.603757", "EPSG:4548", TOWER),
        ("4030712.940869 616621.003299", "EPSG:4547", (115.3, 36.4)),
    ],
)
def test_gauss_krueger_in_either_order(text, code, where):
    reading = best(text)
    assert reading.crs == code
    assert (reading.lon, reading.lat) == pytest.approx(where, abs=1e-9)


def test_without_the_zone_both_are_offered_and_the_city_comes_first():
    readings = read_position("4036624.603757 408653.614725", CITY)
    assert [(r.crs, r.inside) for r in readings] == [("EPSG:4548", True), ("EPSG:4547", False)]
    assert readings[1].lon == pytest.approx(TOWER[0] - 3, abs=1e-9)


@pytest.mark.parametrize("code", [4526, 4527, 4547, 4548, 3857, 4498, 2385, 32650])
def test_a_named_system_is_read_in_both_orders(code):
    forward = pyproj.Transformer.from_crs(4490, code, always_xy=True)
    x, y = forward.transform(*TOWER)
    for text in (f"EPSG:{code} {x:.4f} {y:.4f}", f"epsg:{code}: {y:.4f}, {x:.4f}"):
        reading = best(text)
        assert reading.crs == f"EPSG:{code}"
        # Beijing 54 and Xi'an 80 lie within 200 m of CGCS2000.
        assert (reading.lon, reading.lat) == pytest.approx(TOWER, abs=1e-7 if code not in (2385,) else 2e-3)


def test_web_mercator_is_tried_where_it_lies_in_the_city():
    x, y = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(*TOWER)
    readings = read_position(f"{x:.3f}, {y:.3f}", CITY)
    assert [r.crs for r in readings] == ["EPSG:3857"]
    assert (readings[0].lon, readings[0].lat) == pytest.approx(TOWER, abs=1e-7)


@pytest.mark.parametrize("prefix", ["gcj", "GCJ-02", "gcj02:", "高德", "火星 ", "火星坐标：", "腾讯", "amap "])
def test_gcj02_by_name(prefix):
    lon, lat = (float(v) for v in wgs84_to_gcj02(*TOWER))
    for text in (f"{prefix} {lon:.9f},{lat:.9f}", f"{prefix} {lat:.9f},{lon:.9f}"):
        readings = read_position(text, CITY)
        assert [r.crs for r in readings] == ["GCJ-02"]
        assert (readings[0].lon, readings[0].lat) == pytest.approx(TOWER, abs=2e-8)


@pytest.mark.parametrize("prefix", ["bd09", "BD-09 ", "bd09ll:", "百度", "baidu ", "bd "])
def test_bd09_by_name(prefix):
    lon, lat = (float(v) for v in wgs84_to_bd09(*TOWER))
    reading = best(f"{prefix}{lon:.9f},{lat:.9f}")
    assert reading.crs == "BD-09"
    assert (reading.lon, reading.lat) == pytest.approx(TOWER, abs=2e-8)


def test_gcj02_is_offered_beside_any_longitude_and_latitude_of_china():
    readings = read_position("115.981,36.456", CITY)
    assert [r.crs for r in readings] == ["OGC:CRS84", "GCJ-02"]
    lon, lat = (float(v) for v in wgs84_to_gcj02(readings[1].lon, readings[1].lat))
    assert (lon, lat) == pytest.approx(TOWER, abs=1e-9)
    assert [r.crs for r in read_position("2.35 48.86", CITY) if r.crs == "GCJ-02"] == []


def test_two_readings_where_nothing_tells_the_axes():
    readings = [r for r in read_position("36.5 36.6", CITY) if r.crs == "OGC:CRS84"]
    assert [(r.lon, r.lat) for r in readings] == [(36.5, 36.6), (36.6, 36.5)]
    equator = (0.0, 0.0, 10.0, 2.0)
    assert [(r.lon, r.inside) for r in read_position("1 8", equator) if r.crs == "OGC:CRS84"] == [
        (8.0, True),
        (1.0, False),
    ]


@pytest.mark.parametrize("level", range(1, 11))
def test_beidou_codes(level):
    code = beidou.encode(*TOWER, level)
    for text in (code, code.lower(), f"北斗 {code}", f" {code} "):
        readings = read_position(text, CITY)
        assert [(r.crs, r.title) for r in readings] == [("BeiDou", code)]
        assert readings[0].bbox == beidou.decode(code).bbox
        assert readings[0].inside
        assert str(level) in readings[0].subtitle.zh
        assert str(level) in readings[0].subtitle.en


@pytest.mark.parametrize("text", ["N50J475491E-20", "n50j475491e-20", "北斗 N50J475491E-20", "N50J475491E-10-10"])
def test_beidou_reference_codes(text):
    (reading,) = read_position(text, CITY)
    assert reading.bbox == beidou.decode("N50J475493E").bbox
    assert "N50J475493E" in reading.subtitle.zh and "N50J475493E" in reading.subtitle.en


def test_short_beidou_codes_are_near_the_reader():
    near = (TOWER[0] + 0.01, TOWER[1] - 0.01)
    found = read_position("北斗 D7C5", CITY, near)
    assert found[0].title == "N50J305D7C5"
    assert read_position("北斗 D7C5", CITY) == []
    assert read_position("D7C5", CITY, near) == []
    assert read_position("北斗 ZZ", CITY, near) == []


def test_beidou_code_with_height():
    reading = best("N050J0030050D70C5010664334")
    assert reading.bbox == beidou.decode("N50J305D7C516633").bbox
    assert "34.5–35.4 m" in reading.subtitle.en


@pytest.mark.parametrize("resolution", [0, 5, 9, 15])
def test_h3_cells(resolution):
    cell = h3.latlng_to_cell(TOWER[1], TOWER[0], resolution)
    for text in (cell, cell.upper(), f"h3 {cell}"):
        reading = best(text)
        west, south, east, north = reading.bbox
        assert (reading.crs, reading.title) == ("H3", cell)
        assert west <= TOWER[0] <= east
        assert south <= TOWER[1] <= north
        assert h3.latlng_to_cell(reading.lat, reading.lon, resolution) == cell


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "古楼",
        "gulou",
        "371502",
        "1",
        "1,2,3",
        "36°61′ 115°",
        "115°58′61″ 36°",
        "200,100",
        "91.5 200",
        "N99Z",
        "N50J6",
        "N61J",
        "8fffffffffffffe",
        "1e5,2",
        "nan,nan",
        "inf 3",
        "S12 34 56 78",
        "36N 115N",
        "115E 36E",
        "-115W 36N",
        "36°27''21 115°",
        "999999999999999999,1",
        "EPSG:99999 1 2",
        "EPSG:4527 北",
        "高德",
        "h3",
        "北斗 123",
        "115..981,36",
        "--1,2",
        "12 34 56 78",
        "2024-11-22",
        "+86 635 8288",
        "示例学校 100",
        "1/2/3",
        "\x00",
        "🙂 115,36",
        "学校115.981,36.456",
    ],
)
def test_what_is_no_position_gives_none(text):
    assert read_position(text, CITY) == []


@given(st.text(max_size=80) | st.from_regex(r"[0-9NSEW东经北纬°′″'\", .:+-]{1,60}"))
@settings(max_examples=500, deadline=None)
def test_nothing_raises_and_everything_lies_on_the_globe(text):
    for reading in read_position(text, CITY):
        assert abs(reading.lon) <= 180
        assert abs(reading.lat) <= 90
        assert 0 < reading.score <= 1


@given(st.floats(115.28, 116.54), st.floats(35.76, 37.04))
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read(lon, lat):
    def dms(value: float) -> str:
        seconds = round(value * 3600, 3)
        return f"{int(seconds // 3600)}°{int(seconds % 3600 // 60)}′{seconds % 60:.3f}″"

    if "60.000" in dms(lon) + dms(lat):
        return
    for text, tolerance in ((f"{lon!r},{lat!r}", 1e-12), (f"北纬{dms(lat)}东经{dms(lon)}", 2e-7)):
        reading = best(text)
        assert (reading.lon, reading.lat) == pytest.approx((lon, lat), abs=tolerance)


def test_angles_are_read_exactly():
    first, second = read_pair("115°58′51″, 36°27′21″")
    assert (first.degrees * 3600, second.degrees * 3600) == (417531, 131241)
