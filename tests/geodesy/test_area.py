# SPDX-License-Identifier: Apache-2.0
"""Ellipsoidal area and length against other ways to the same number."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely

from geocloud.geodesy.area import area_mu, areas, ellipsoid, lengths
from geocloud.geodesy.crs import crs
from geocloud.geodesy.transform import from_lonlat


def test_area_equals_an_equal_area_projection() -> None:
    # Edges of 100 m: geodesics and straight lines of the projection then agree to 1e-9.
    box = shapely.segmentize(shapely.box(115.9, 36.4, 116.0, 36.5), 0.001)
    project = pyproj.Transformer.from_crs(4490, "+proj=laea +lat_0=36.45 +lon_0=115.95 +ellps=GRS80", always_xy=True)
    planar = shapely.transform(box, project.transform, interleaved=False).area
    assert areas(np.array([box]))[0] == pytest.approx(planar, rel=1e-8)


def test_planar_area_is_too_large_by_the_projections_own_factor() -> None:
    expected = (pyproj.Proj("EPSG:4548").get_factors(115.30, 36.40).areal_scale - 1) * 1e6
    assert 560 < expected < 580
    box = shapely.segmentize(shapely.box(115.29, 36.39, 115.31, 36.41), 0.0005)
    planar = shapely.transform(box, lambda c: from_lonlat(crs(4548), c)).area
    assert (planar / areas(np.array([box]))[0] - 1) * 1e6 == pytest.approx(expected, abs=0.5)


def test_holes_parts_and_kinds() -> None:
    hole = shapely.from_wkt("POLYGON ((0 0, 1 0, 1 1, 0 1, 0 0), (0.2 0.2, 0.4 0.2, 0.4 0.4, 0.2 0.4, 0.2 0.2))")
    outer, inner = shapely.box(0, 0, 1, 1), shapely.box(0.2, 0.2, 0.4, 0.4)
    far = shapely.box(10, 10, 11, 11)
    whole = areas(np.array([outer, inner, far], dtype=object))
    got = areas(
        np.array(
            [
                hole,
                shapely.reverse(hole),
                shapely.multipolygons([hole, far]),
                shapely.geometrycollections([shapely.Point(1, 1), shapely.multipolygons([hole]), far]),
                shapely.Point(1, 1),
                None,
                shapely.from_wkt("POLYGON EMPTY"),
            ],
            dtype=object,
        )
    )
    holed = whole[0] - whole[1]
    assert got[:4] == pytest.approx([holed, holed, holed + whole[2], holed + whole[2]], rel=1e-12)
    assert (got[4], got[6]) == (0.0, 0.0)
    assert np.isnan(got[5])


def test_lengths() -> None:
    line = shapely.LineString([(115, 36), (116, 36), (116, 37)])
    geod = ellipsoid()
    expected = geod.line_length([115, 116, 116], [36, 36, 37])
    box = shapely.box(115, 36, 116, 37)
    perimeter = abs(geod.geometry_area_perimeter(box)[1])
    got = lengths(
        np.array([line, box, shapely.multilinestrings([line, line]), shapely.Point(0, 0), None], dtype=object)
    )
    assert got[:4] == pytest.approx([expected, perimeter, 2 * expected, 0.0], rel=1e-12)
    assert np.isnan(got[4])


def test_shape_is_kept_and_empty_input_works() -> None:
    assert areas(np.full((2, 3), shapely.box(0, 0, 1, 1))).shape == (2, 3)
    assert areas(np.array([], dtype=object)).size == 0
    assert lengths(np.array([], dtype=object)).size == 0


def test_fifteen_mu_are_a_hectare() -> None:
    assert area_mu(10_000) == pytest.approx(15)
