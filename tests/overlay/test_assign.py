# SPDX-License-Identifier: Apache-2.0
"""Who is where: every feature is somewhere with all of itself, and no part of it twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocloud.geodesy.straight import straight_areas
from geocloud.overlay.assign import OUTSIDE, Assignment, assign_points, assign_shapes
from geocloud.overlay.zones import Places

BOX = shapely.box(116.0, 36.0, 116.2, 36.2)


def partition(rng: np.random.Generator, count: int) -> np.ndarray:
    seeds = shapely.multipoints(np.stack([rng.uniform(116, 116.2, count), rng.uniform(36, 36.2, count)], axis=1))
    return shapely.intersection(shapely.get_parts(shapely.voronoi_polygons(seeds, extend_to=BOX)), BOX)


def shapes(rng: np.random.Generator, count: int) -> np.ndarray:
    found: list[Any] = []
    for _ in range(count):
        x, y = rng.uniform(115.95, 116.25), rng.uniform(35.95, 36.25)
        kind = rng.integers(0, 6)
        if kind == 0:
            found.append(shapely.Point(x, y))
        elif kind == 1:
            found.append(
                shapely.LineString(np.stack([x + rng.uniform(-0.1, 0.1, 4), y + rng.uniform(-0.1, 0.1, 4)], 1))
            )
        elif kind == 2:
            found.append(
                shapely.Point(x, y).buffer(rng.uniform(0.001, 0.06)).difference(shapely.Point(x, y).buffer(0.001))
            )
        elif kind == 3:
            found.append(
                shapely.multipoints(np.stack([x + rng.uniform(-0.1, 0.1, 5), y + rng.uniform(-0.1, 0.1, 5)], 1))
            )
        elif kind == 4:
            bow = [(x, y), (x + 0.02, y + 0.02), (x + 0.02, y), (x, y + 0.02)]
            found.append(shapely.GeometryCollection([shapely.Point(x, y), shapely.Polygon(bow)]))
        else:
            found.append(shapely.LineString([(x, y), (x, y)]))
    return np.array(found, object)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 15), st.integers(0, 10_000))
def test_shares_of_each_feature_make_one(zones: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    some = shapes(rng, 25)
    found = assign_shapes(some, partition(rng, zones))
    total = np.bincount(found.row, found.share, minlength=len(some))
    assert total == pytest.approx(np.ones(len(some)), abs=1e-8)
    assert (found.share > 0).all() and (found.zone >= OUTSIDE).all() and (found.zone < zones).all()
    assert len({*zip(found.row.tolist(), found.zone.tolist(), strict=True)}) == len(found.row)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 10), st.integers(0, 10_000))
def test_shares_of_polygons_are_those_of_the_ground(zones: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    areas = partition(rng, zones)
    discs = shapely.buffer(shapely.points(rng.uniform(115.95, 116.25, 8), rng.uniform(35.95, 36.25, 8)), 0.04)
    found = assign_shapes(discs, areas)
    shares = {(r, z): s for r, z, s in zip(found.row.tolist(), found.zone.tolist(), found.share.tolist(), strict=True)}
    for row, disc in enumerate(discs):
        whole = straight_areas(np.array([disc]))[0]
        for zone, area in enumerate(areas):
            expected = straight_areas(np.array([shapely.intersection(disc, area)]))[0] / whole
            assert shares.get((row, zone), 0.0) == pytest.approx(expected, abs=1e-8)


def test_overlapping_zones_each_have_their_part() -> None:
    zones = shapely.box([116.0, 116.05], 36.0, [116.1, 116.15], 36.1)
    some = np.array([shapely.box(116.04, 36.02, 116.06, 36.04), shapely.box(116.14, 36.02, 116.16, 36.04)], object)
    found = assign_shapes(some, zones, overlapping=True)
    told = sorted(zip(found.row.tolist(), found.zone.tolist(), found.share.round(9).tolist(), strict=True))
    assert told == [(0, 0, 1.0), (0, 1, 0.5), (1, -1, 0.5), (1, 1, 0.5)]
    dots = Places(np.array([116.07, 116.05, 116.15, 116.3]), np.full(4, 36.05))
    at = assign_points(dots, zones, overlapping=True)
    # In both; on the border of the second and in the first; on a border alone; nowhere.
    assert sorted(zip(at.row.tolist(), at.zone.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0), (2, 1), (3, -1)]


def test_nothing_gives_nothing() -> None:
    zones = partition(np.random.default_rng(1), 3)
    none = assign_shapes(np.array([None, shapely.Point(), shapely.Polygon()], object), zones)
    assert isinstance(none, Assignment) and len(none.row) == 0
    assert len(assign_points(Places(np.zeros(0), np.zeros(0)), zones).row) == 0
    outside = assign_shapes(np.array([shapely.Point(1, 1)], object), np.zeros(0, object))
    assert outside.zone.tolist() == [OUTSIDE]
