# SPDX-License-Identifier: Apache-2.0
"""The crosswalk against geopandas' overlay and counting one by one: gaps, overlaps, borders, both sides of 36° N."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geocloud.geodesy.area import areas
from geocloud.overlay.crosswalk import Persons, Zones, by_floor_area, cross, owners_of


def tiles(west: float, south: float, columns: int, rows: int, width: float, height: float, letter: str) -> Zones:
    """A lattice of rectangles."""
    x, y = np.meshgrid(west + np.arange(columns) * width, south + np.arange(rows) * height)
    x, y = x.ravel(), y.ravel()
    return Zones([f"{letter}{n:03}" for n in range(len(x))], shapely.box(x, y, x + width, y + height))


def ragged(seed: int, count: int, letter: str) -> Zones:
    """Cells round random points on both sides of 36° N: no lattice, neighbours share their borders."""
    rng = np.random.default_rng(seed)
    points = shapely.multipoints(np.column_stack([rng.uniform(115.9, 116, count), rng.uniform(35.95, 36.05, count)]))
    cells = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=shapely.box(115.9, 35.95, 116, 36.05)))
    cells = shapely.intersection(cells, shapely.box(115.9, 35.95, 116, 36.05))
    return Zones([f"{letter}{n:03}" for n in range(len(cells))], cells)


def frame(zones: Zones, name: str) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({name: list(zones.keys)}, geometry=list(zones.shapes), crs=4490)


def some(zones: Zones, which: list[int]) -> Zones:
    return Zones([zones.keys[n] for n in which], zones.shapes[which])


def exact(shapes: Any) -> Any:
    """Areas by geodesics between so many points that edges are straight in degrees."""
    return areas(shapely.segmentize(shapes, 1e-5))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rows_are_those_of_geopandas(seed: int) -> None:
    a, whole = ragged(seed, 40, "A"), ragged(seed + 100, 25, "B")
    # The other layer has gaps, and one of its areas reaches into its neighbours.
    b = some(whole, [n for n in range(len(whole)) if n % 6])
    b.shapes[3] = shapely.buffer(b.shapes[3], 0.004)
    found = cross(a, b)
    pairs = {
        (a.keys[i] if i >= 0 else None, b.keys[k] if k >= 0 else None): m2
        for i, k, m2 in zip(found.a, found.b, found.area_m2, strict=True)
    }
    assert len(pairs) == len(found.a)
    oracle = gpd.overlay(frame(a, "a"), frame(b, "b"), how="intersection")
    expected = dict(zip(zip(oracle.a, oracle.b, strict=True), exact(oracle.geometry.to_numpy()), strict=True))
    assert {p for p in pairs if None not in p} == {p for p, m2 in expected.items() if m2 > 1e-6}
    for pair, m2 in expected.items():
        assert pairs.get(pair, 0.0) == pytest.approx(m2, rel=1e-6, abs=1e-3)
    outside = gpd.overlay(frame(a, "a"), frame(b, "b"), how="difference")
    left = dict(zip(outside.a, exact(outside.geometry.to_numpy()), strict=True))
    assert {p[0] for p in pairs if p[1] is None} == {n for n, m2 in left.items() if m2 > 1e-2}
    assert found.closure_a.max() < 1e-9 and found.closure_b.max() < 1e-9
    sums = np.bincount(found.a[found.a >= 0], found.share("a")[found.a >= 0], minlength=len(a))
    assert np.abs(sums - found.doubled_a / found.area_a - 1).max() < 1e-9
    assert found.doubled_a.max() > 1 and found.doubled_b.max() == 0


def test_shares_close_to_one_without_overlaps() -> None:
    found = cross(ragged(7, 60, "A"), some(ragged(8, 30, "B"), list(range(20))))
    for side, at in (("a", found.a), ("b", found.b)):
        sums = np.bincount(at[at >= 0], found.share(side)[at >= 0])
        assert np.abs(sums - 1).max() < 1e-9
    assert np.isnan(found.share("b")[found.b < 0]).all()


def test_addresses_are_counted_once_also_on_borders() -> None:
    a, b = tiles(116, 35.99, 4, 4, 0.01, 0.005, "A"), tiles(116, 35.99, 3, 3, 0.01, 0.005, "B")
    rng = np.random.default_rng(5)
    xy = np.column_stack([rng.uniform(115.995, 116.045, 3000), rng.uniform(35.985, 36.015, 3000)])
    # Many of them on corners and borders of the lattice, 36° N among these.
    xy[:900] = np.column_stack([116 + rng.integers(0, 9, 900) * 0.005, 35.99 + rng.integers(0, 9, 900) * 0.0025])
    points = shapely.points(xy)
    found = cross(a, b, points)
    n, z = owners_of(points, a)
    assert len(np.unique(n)) == len(n)
    reached = shapely.intersects(shapely.union_all(a.shapes), points)
    assert len(n) == reached.sum() and found.totals["addresses_a"].sum() == reached.sum()
    for point, zone in zip(n[:900], z[:900], strict=True):
        hit = [k for k, s in zip(a.keys, a.shapes, strict=True) if s.intersects(points[point])]
        assert a.keys[zone] in hit and (len(hit) == 1 or a.keys[zone] == min(hit))
    assert found.addresses is not None
    sums = np.bincount(found.a[found.a >= 0], found.addresses[found.a >= 0], minlength=len(a))
    assert np.array_equal(sums, found.totals["addresses_a"])
    shares = np.bincount(found.a[found.a >= 0], found.share("a", "addresses")[found.a >= 0])
    assert np.allclose(shares, 1)


def test_a_point_in_two_overlapping_zones_counts_in_both() -> None:
    b = Zones(["x", "y"], shapely.box([116, 116.005], [36, 36], [116.01, 116.015], [36.01, 36.01]))
    a = Zones(["whole"], np.array([shapely.box(116, 36, 116.02, 36.01)]))
    found = cross(a, b, shapely.points([[116.007, 36.005], [116.002, 36.005], [116.018, 36.005]]))
    rows = {(int(k)): int(c) for k, c in zip(found.b, found.addresses, strict=True)}
    assert rows == {0: 2, 1: 1, -1: 1} and found.totals["addresses_a"].tolist() == [3]


def test_persons_follow_area_and_are_not_guessed() -> None:
    a = tiles(116, 36, 2, 1, 0.01, 0.01, "A")
    b = tiles(116, 36, 4, 1, 0.005, 0.01, "B")
    villages = Persons(shapely.box([116, 116.01], [36, 36], [116.01, 116.02], [36.01, 36.01]), np.array([1000, np.nan]))
    found = cross(a, b, persons=villages)
    assert found.persons is not None
    by_pair = {(int(i), int(k)): p for i, k, p in zip(found.a, found.b, found.persons, strict=True)}
    assert by_pair[0, 0] == pytest.approx(500) and by_pair[0, 1] == pytest.approx(500)
    assert np.isnan(by_pair[1, 2]) and np.isnan(found.totals["persons_a"][1])
    assert found.share("a", "persons")[(found.a == 0) & (found.b == 0)] == pytest.approx(0.5)


def test_persons_follow_floor_area() -> None:
    a = tiles(116, 36, 2, 1, 0.005, 0.01, "A")
    b = tiles(116, 36, 1, 1, 0.01, 0.01, "B")
    village = Persons(np.array([shapely.box(116, 36, 116.01, 36.01)]), np.array([900.0]))
    homes, known = by_floor_area(
        village, shapely.points([[116.001, 36.005], [116.008, 36.005]]), np.array([200.0, 100])
    )
    found = cross(a, b, persons=known, houses=homes)
    assert found.persons is not None and sorted(found.persons) == pytest.approx([300, 600])
    assert found.totals["persons_b"] == pytest.approx([900])
    bare, unknown = by_floor_area(village, shapely.points([[116.001, 36.005]]), np.array([np.nan]))
    assert np.isnan(cross(a, b, persons=unknown, houses=bare).persons).all()


def test_nothing_over_nothing() -> None:
    none = Zones([], np.empty(0, dtype=object))
    a = tiles(116, 36, 1, 1, 0.01, 0.01, "A")
    found = cross(a, none, np.empty(0, dtype=object))
    assert found.a.tolist() == [0] and found.b.tolist() == [-1] and found.share("a").tolist() == [1.0]
    assert len(cross(none, none).a) == 0
