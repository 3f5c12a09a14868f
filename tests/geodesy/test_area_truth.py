# SPDX-License-Identifier: Apache-2.0
"""Areas and lengths against GeographicLib's own Python, over the city and across its zone border."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from geographiclib.geodesic import Geodesic
from hypothesis import given, settings
from hypothesis import strategies as st

from geocloud.geodesy.area import areas, lengths
from geocloud.geodesy.straight import straight_areas

# GB 22021.
CGCS2000 = Geodesic(6378137.0, 1 / 298.257222101)
# The city's extent; 115.5 E is the border of two 3-degree zones.
WEST, SOUTH, EAST, NORTH = 115.27, 35.75, 116.55, 37.05


def star(lon: float, lat: float, size: float, corners: int, seed: int) -> np.ndarray:
    """A concave ring around a point, counter-clockwise, `size` degrees across at most."""
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.random(corners)) * 2 * np.pi / 1.05 + np.linspace(0, 0.1, corners)
    radius = size / 2 * (0.35 + 0.65 * rng.random(corners))
    return np.column_stack([lon + radius * np.cos(angle), lat + radius * np.sin(angle)])


def measured(ring: np.ndarray) -> tuple[float, float]:
    """Area and perimeter of one ring by GeographicLib."""
    polygon = CGCS2000.Polygon()
    for lon, lat in ring:
        polygon.AddPoint(lat, lon)
    _, perimeter, area = polygon.Compute(False, True)
    return abs(area), perimeter


polygons = st.tuples(
    st.floats(WEST + 0.05, EAST - 0.05), st.floats(SOUTH + 0.05, NORTH - 0.05), st.floats(-3.3, 0.0),
    st.integers(5, 40), st.integers(0, 10_000),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(polygons)
def test_areas_and_lengths_are_those_of_geographiclib(drawn: tuple[float, float, float, int, int]) -> None:
    lon, lat, power, corners, seed = drawn
    size = 10**power
    shell = star(lon, lat, size, corners, seed)
    # Well inside: a star's radius is never below 0.35 of the half size, though its sides may cut in between.
    hole = star(lon, lat, size * 0.05, 6, seed + 1)
    shape = shapely.polygons(shell, [hole])
    (outer, around), (inner, within) = measured(shell), measured(hole)
    # GeographicLib adds the areas between each edge and the equator, 4,000 km away. Below a kilometre or so the last
    # bits of those sums exceed 1e-9 of the area: 44 units of them were the most in 30,000 polygons; a hundred pass.
    unit = np.finfo(float).eps * (corners + 6) * (size * 111_000) * 4_100_000
    noise = 100 * unit if size < 0.01 else 0.0
    assert areas(np.array([shape]))[0] == pytest.approx(outer - inner, rel=1e-9, abs=noise)
    assert lengths(np.array([shape]))[0] == pytest.approx(around + within, rel=1e-9)


@pytest.mark.parametrize("lon", [115.49, 115.499999, 115.5, 115.52], ids=str)
def test_the_border_of_zones_is_no_border(lon: float) -> None:
    ring = star(lon, 36.3, 0.05, 24, 7)
    assert areas(np.array([shapely.polygons(ring)]))[0] == pytest.approx(measured(ring)[0], rel=1e-9)


def test_the_whole_extent() -> None:
    ring = np.array([(WEST, SOUTH), (EAST, SOUTH), (EAST, NORTH), (WEST, NORTH)])
    assert areas(np.array([shapely.polygons(ring)]))[0] == pytest.approx(measured(ring)[0], rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [0.1, 0.3])
def test_straight_edges_are_geodesics_cut_into_short_pieces(size: float, seed: int) -> None:
    shell = star(115.6, 36.4, size, 20, seed)
    fine = shapely.get_coordinates(shapely.segmentize(shapely.polygons(shell), size / 300))[:-1]
    assert straight_areas(np.array([shapely.polygons(shell)]))[0] == pytest.approx(measured(fine)[0], rel=1e-7)
