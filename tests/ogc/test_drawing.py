# SPDX-License-Identifier: Apache-2.0
"""Drawings and measures: pixels checked against geodesics worked out another way."""

from __future__ import annotations

import re

import pyproj
import pytest

from geocloud.ogc.drawing import locator, plot
from geocloud.reports import formats

GEOD = pyproj.Geod(a=6378137.0, rf=298.257222101)
CITY = (115.27, 35.75, 116.55, 37.05)


def feature(geometry, fid=1):
    return {"type": "Feature", "id": fid, "geometry": geometry, "properties": {}}


def point(lon, lat, fid=1):
    return feature({"type": "Point", "coordinates": [lon, lat]}, fid)


def metres(frame, lon, lat):
    """Metres that the scale bar spans at a position, by inverse mapping of its pixels."""
    degrees = frame.bar_px / frame.per_degree / frame.squeeze
    return GEOD.inv(lon, lat, lon + degrees, lat)[2]


def in_metres(label):
    number, unit = label.split()
    return float(number) * {"m": 1, "km": 1000}[unit]


@pytest.mark.parametrize("span", [0.0005, 0.02, 1.0, 12.0], ids=["street", "quarter", "city", "country"])
def test_scale_bar_is_true_at_the_middle(span):
    drawn = plot([point(116 - span / 2, 36.4 - span / 3), point(116 + span / 2, 36.4 + span / 3, 2)], 720, 400)
    assert metres(drawn.frame, 116, 36.4) == pytest.approx(in_metres(drawn.frame.bar_label), rel=0.005)
    assert 720 / 5 / 2.6 < drawn.frame.bar_px <= 720 / 5 * 1.001


def test_shape_keeps_its_proportions():
    frame = plot([point(115.9, 36.35), point(116.1, 36.45, 2)], 720, 400).frame
    east, north = GEOD.inv(116, 36.4, 116.01, 36.4)[2], GEOD.inv(116, 36.4, 116, 36.41)[2]
    (x0, y0), (x1, _), (_, y1) = frame.xy(116, 36.4), frame.xy(116.1, 36.4), frame.xy(116, 36.5)
    assert (x1 - x0) / (y0 - y1) == pytest.approx(east / north, rel=0.01)
    assert y1 < y0 and x1 > x0  # north is up, east is right


def test_everything_lies_inside_the_drawing():
    drawn = plot([point(115.3, 35.8), point(116.5, 37.0, 2), point(116, 36.4, 3)], 720, 400)
    for shape in drawn.shapes:
        for x, y in shape.points:
            assert 0 <= x <= 720 and 0 <= y <= 400


def test_hole_is_a_subpath_of_its_own():
    outer = [[116, 36.4], [116.1, 36.4], [116.1, 36.5], [116, 36.5], [116, 36.4]]
    inner = [[116.04, 36.44], [116.06, 36.44], [116.06, 36.46], [116.04, 36.46], [116.04, 36.44]]
    (shape,) = plot([feature({"type": "Polygon", "coordinates": [outer, inner]})]).shapes
    assert shape.kind == "area" and shape.path.count("M") == 2 and shape.path.count("Z") == 2
    assert len(re.findall(r"[ML]", shape.path)) == 10


def test_vertices_in_the_same_tenth_of_a_pixel_are_drawn_once():
    line = [[116 + i * 1e-7, 36.4] for i in range(1000)] + [[117, 36.4]]
    (shape,) = plot([feature({"type": "LineString", "coordinates": line})]).shapes
    assert len(re.findall(r"[ML]", shape.path)) <= 3


def test_a_line_smaller_than_a_pixel_is_still_there():
    far = feature({"type": "LineString", "coordinates": [[116, 36.4], [116.0000001, 36.4]]})
    shapes = plot([far, point(100, 30, 2)]).shapes
    assert next(s for s in shapes if s.kind == "line").path.count("L") == 1


def test_what_is_left_out_is_counted():
    empty = {"type": "MultiPolygon", "coordinates": []}
    features = [point(116 + i / 1000, 36.4, i) for i in range(10)] + [feature(None, 11), feature(empty, 12)]
    drawn = plot(features, at_most=4)
    assert sum(len(s.points) for s in drawn.shapes) == 4
    assert (drawn.left_out, drawn.empty) == (7, 1)
    assert plot([feature(None)]) is None and plot([feature(empty)]) is None and plot([]) is None


def test_small_things_are_drawn_over_large_ones():
    square = {"type": "Polygon", "coordinates": [[[116, 36], [117, 36], [117, 37], [116, 36]]]}
    line = {"type": "LineString", "coordinates": [[116, 36], [117, 37]]}
    mixed = {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [116.5, 36.5]}, line]}
    assert [s.kind for s in plot([feature(mixed), feature(square, 2)]).shapes] == ["area", "line", "point"]


def test_locator_places_the_layer_in_the_city():
    found = locator(CITY, CITY)
    assert found.city == found.layer and not found.circled
    west = locator(CITY, (115.27, 35.75, 115.91, 37.05))
    x, _, width, height = west.layer
    assert x == west.city[0] and width == pytest.approx(west.city[2] / 2, abs=0.2) and height == west.city[3]
    assert locator(CITY, (116, 36.4, 116.001, 36.401)).circled


def test_locator_shows_a_layer_that_lies_elsewhere():
    found = locator(CITY, (7.40, 43.72, 7.44, 43.75))
    for x, y, width, height in (found.city, found.layer):
        assert 0 <= x <= x + width <= 320 and 0 <= y <= y + height <= 320


def test_graticule_lines_are_where_their_labels_say():
    found = locator(CITY, CITY)
    for x, label in found.meridians:
        if label:
            assert found.frame.xy(float(label.split("°")[0]), 36)[0] == x
    for y, label in found.parallels:
        if label:
            assert found.frame.xy(116, float(label.split("°")[0]))[1] == y
    assert sum(1 for _, label in found.meridians if label) >= 2


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (formats.day("2026-11-22", "zh"), "2026年11月22日"),
        (formats.day("2026-11-22", "en"), "22 November 2026"),
        (formats.day("about 1368", "zh"), "about 1368"),
        (formats.moment("2026-11-22T17:30:00+00:00", "zh"), "2026年11月23日 01:30"),
        (formats.moment("2026-11-22T06:03:00Z", "en"), "22 November 2026, 14:03 Beijing time"),
        (formats.moment("0001-01-01T00:00:00+00:00", "zh"), "1年1月1日 08:00"),
        (formats.moment("9999-12-31T23:00:00+00:00", "zh"), "9999-12-31T23:00:00+00:00"),
        (formats.significant(1443210.0), "1,440,000"),
        (formats.significant(0.012345), "0.0123"),
        (formats.significant(0), "0"),
        (formats.area(10_000, "zh"), "1.00 公顷（15.0 亩）"),
        (formats.area(250, "en"), "250 m²"),
        (formats.length(999.6), "1,000 m"),
        (formats.length(12_345), "12.3 km"),
        (formats.unit("m2"), "m²"),
        (formats.unit("ug/m3"), "µg/m³"),
        (formats.unit("m3/s"), "m³/s"),
        (formats.unit("km/h"), "km/h"),
        (formats.unit(None), ""),
        (formats.value(False, "boolean", "zh"), "否"),
        (formats.value(None, "text", "zh"), ""),
        (formats.value(0.1, "number", "zh"), "0.1"),
    ],
)  # fmt: skip
def test_numbers_and_dates_are_written_one_way(made, expected):
    assert made == expected
