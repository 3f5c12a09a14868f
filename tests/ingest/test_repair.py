# SPDX-License-Identifier: Apache-2.0
"""Repair of geometry: what comes out, and what is said about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from geocloud.rules.collector import Collector
from geocloud.rules.repair import repair

SQUARE = "POLYGON ((116 36, 116.01 36, 116.01 36.01, 116 36.01, 116 36))"
BOWTIE = "POLYGON ((116 36, 116.01 36.01, 116.01 36, 116 36.01, 116 36))"
TAIL = "POLYGON ((116 36, 116.01 36, 116.01 36.01, 116.02 36.02, 116.01 36.01, 116 36.01, 116 36))"
GEOD = Geod(a=6378137.0, rf=298.257222101)

CASES = [
    pytest.param(SQUARE, "polygon", SQUARE, [], id="nothing-to-do"),
    pytest.param(SQUARE, "multipolygon", "MULTIPOLYGON (((116 36, 116.01 36, 116.01 36.01, 116 36.01, 116 36)))",
                 ["GC-407"], id="single-to-multi"),
    pytest.param("MULTIPOINT (116 36)", "point", "POINT (116 36)", ["GC-408"], id="multi-of-one"),
    pytest.param("MULTIPOINT (116 36, 117 36)", "point", None, ["GC-409"], id="multi-of-two"),
    pytest.param("LINESTRING (116 36, 117 36)", "point", None, ["GC-410"], id="wrong-type"),
    pytest.param("GEOMETRYCOLLECTION (POINT (1 2), POINT (3 4))", "multipoint", "MULTIPOINT (1 2, 3 4)", [],
                 id="collection-of-the-family"),
    pytest.param("GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (3 4, 5 6))", "multipoint", None, ["GC-410"],
                 id="mixed-collection"),
    pytest.param("POLYGON ((116 36, 116 36.01, 116.01 36.01, 116.01 36, 116 36))", "polygon",
                 "POLYGON ((116 36, 116.01 36, 116.01 36.01, 116 36.01, 116 36))", ["GC-411"], id="clockwise"),
    pytest.param("POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))", "polygon",
                 "POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 1 2, 2 2, 2 1, 1 1))", ["GC-411"], id="hole-the-wrong-way"),
    pytest.param("POINT Z (116 36 50)", "point", "POINT (116 36)", ["GC-406"], id="height"),
    pytest.param("POINT M (116 36 50)", "point", "POINT (116 36)", ["GC-406"], id="measure"),
    pytest.param("LINESTRING (1 1, 2 2, 2 2, 3 3)", "linestring", "LINESTRING (1 1, 2 2, 3 3)", ["GC-405"],
                 id="repeated"),
    pytest.param("POINT EMPTY", "point", None, ["GC-401"], id="empty"),
    pytest.param(None, "point", None, ["GC-401"], id="missing"),
    pytest.param("LINESTRING (1 1, 1 1)", "linestring", None, ["GC-404"], id="line-of-one-place"),
    pytest.param("POLYGON ((0 0, 1 1, 2 2, 0 0))", "polygon", None, ["GC-404"], id="polygon-without-area"),
    pytest.param("POINT (200 36)", "point", None, ["GC-402"], id="no-longitude"),
    pytest.param("POINT (116 91)", "point", None, ["GC-402"], id="no-latitude"),
    pytest.param(BOWTIE, "polygon", None, ["GC-409"], id="crossing-into-two-for-a-single-layer"),
    pytest.param("LINEARRING (0 0, 1 0, 1 1, 0 0)", "linestring", "LINESTRING (0 0, 1 0, 1 1, 0 0)", [],
                 id="bare-ring"),
    pytest.param("MULTIPOLYGON (((0 0, 1 0, 1 1, 0 1, 0 0)), ((3 3, 4 3, 4 4, 3 4, 3 3)))", "geometry",
                 "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 1, 0 0)), ((3 3, 4 3, 4 4, 3 4, 3 3)))", [], id="any-geometry"),
]  # fmt: skip


def mend(shapes: list[Any], wanted: str) -> tuple[Any, Collector]:
    found = Collector(0, len(shapes))
    return repair(np.array(shapes, dtype=object), wanted, found).array, found  # type: ignore[arg-type]


@pytest.mark.parametrize(("wkt", "wanted", "expected", "codes"), CASES)
def test_case(wkt: str | None, wanted: str, expected: str | None, codes: list[str]) -> None:
    (got,), found = mend([shapely.from_wkt(wkt)], wanted)
    assert sorted(f.code for f in found.findings) == sorted(codes)
    if expected is None:
        assert got is None
    else:
        assert shapely.equals_identical(got, shapely.from_wkt(expected))
    rejecting = {"GC-402", "GC-404", "GC-409", "GC-410"}
    assert found.rejected[0] == bool(rejecting & set(codes))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", ["point", "line", "polygon-inside"])
def test_coordinates_that_are_no_numbers(value: float, kind: str) -> None:
    shape = {
        "point": lambda: shapely.Point(value, 36.0),
        "line": lambda: shapely.LineString([(116, 36), (116.5, value), (117, 36)]),
        "polygon-inside": lambda: shapely.Polygon([(116, 36), (117, 36), (116.5, value), (116, 37), (116, 36)]),
    }[kind]()
    wanted = {"point": "point", "line": "linestring", "polygon-inside": "polygon"}[kind]
    sound = {"point": "POINT (116 36)", "line": "LINESTRING (116 36, 117 36)", "polygon-inside": SQUARE}[kind]
    (good, got), found = mend([shapely.from_wkt(sound), shape], wanted)
    assert good is not None and got is None
    codes = [(f.code, f.row) for f in found.findings]
    assert codes in ([("GC-402", 2)], [("GC-401", 2)])
    assert (codes[0][0] == "GC-402") == bool(found.rejected[1])


@pytest.mark.parametrize("wanted", ["multipolygon", "geometry"])
def test_crossing_ring_keeps_its_area_and_tells_the_change(wanted: str) -> None:
    (got,), found = mend([shapely.from_wkt(BOWTIE)], wanted)
    assert got.is_valid and got.geom_type == "MultiPolygon"
    (told,) = [f for f in found.findings if f.code == "GC-403"]
    true = sum(abs(GEOD.geometry_area_perimeter(part)[0]) for part in got.geoms)
    crossed = abs(GEOD.polygon_area_perimeter(*shapely.get_coordinates(shapely.from_wkt(BOWTIE)).T)[0])
    assert told.facts["after_m2"] == pytest.approx(true, abs=0.1)
    assert told.facts["change_m2"] == pytest.approx(true - crossed, abs=0.2)
    assert true > 400_000


def test_tail_is_cut_and_told() -> None:
    (got,), found = mend([shapely.from_wkt(TAIL)], "polygon")
    assert shapely.equals(got, shapely.from_wkt(SQUARE))
    assert "GC-403" in {f.code for f in found.findings}


def test_rows_keep_their_places() -> None:
    shapes = [shapely.from_wkt(w) for w in (SQUARE, None, BOWTIE, "POINT (1 2)", SQUARE)]
    got, found = mend(shapes, "polygon")
    assert [g is not None for g in got] == [True, False, False, False, True]
    assert {(f.code, f.row) for f in found.findings} == {("GC-401", 2), ("GC-409", 3), ("GC-410", 4)}
    assert found.rejected.tolist() == [False, False, True, True, False]


number = st.floats(-1, 1, allow_nan=False).map(lambda v: round(v, 3))
ring = st.lists(st.tuples(number, number), min_size=3, max_size=12)


@given(st.lists(ring, min_size=1, max_size=6))
@settings(max_examples=400, deadline=None)
def test_whatever_ring_comes_what_is_stored_is_valid(rings: list[list[tuple[float, float]]]) -> None:
    """Against GEOS alone: valid shapes untouched but for direction, broken ones as make_valid has them."""
    shapes = [shapely.Polygon(r) for r in rings]
    got, found = mend(shapes, "multipolygon")
    for shape, one, rejected in zip(shapes, got, found.rejected, strict=True):
        true = shapely.make_valid(shape, method="structure", keep_collapsed=False)
        if one is None:
            assert rejected and true.area == 0
            continue
        assert one.is_valid and one.geom_type == "MultiPolygon"
        assert one.area == pytest.approx(true.area, abs=1e-12)
        assert one.symmetric_difference(true).area < 1e-9
        assert all(p.exterior.is_ccw for p in one.geoms)


def spiral(turns: int) -> shapely.Polygon:
    """Goes round the middle more than once and crosses itself."""
    angle = np.linspace(0, 2 * np.pi * turns, 16 * turns, endpoint=False)
    radius = 1 + 0.05 * np.arange(len(angle)) % 0.3
    return shapely.Polygon(np.column_stack([116 + radius * np.cos(angle), 36 + radius * np.sin(angle)]))


@pytest.mark.parametrize("turns", [2, 3])
def test_ring_that_goes_round_twice_is_not_taken_for_a_star(turns: int) -> None:
    shape = spiral(turns)
    assert not shape.is_valid
    (got,), found = mend([shape], "multipolygon")
    assert got.is_valid and {f.code for f in found.findings} >= {"GC-403"}
