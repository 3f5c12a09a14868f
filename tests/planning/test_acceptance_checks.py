# SPDX-License-Identifier: Apache-2.0
"""Every kind of check with planted faults: all found with their areas, none else; clean partitions stay clean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocloud.geodesy.area import areas, ellipsoid
from geocloud.planning.acceptance_boundary import Districts, off_boundary, outside, uncovered
from geocloud.planning.acceptance_faults import per_degree
from geocloud.planning.acceptance_topology import (
    duplicate_geometries,
    gaps,
    invalid,
    many_parts,
    overlaps,
    slivers,
    small_parts,
    spikes,
    stated_areas,
)

ORIGIN = np.array([115.9, 36.4])
SCALE = np.array(per_degree(36.4))


def at(shape: Any) -> Any:
    """A shape in metres east and north of a place, as longitude and latitude."""
    return shapely.transform(shape, lambda xy: ORIGIN + xy / SCALE)


def box(w: float, s: float, e: float, n: float) -> Any:
    return at(shapely.box(w, s, e, n))


def many(*shapes: Any) -> Any:
    out = np.empty(len(shapes), dtype=object)
    out[:] = shapes
    return out


def m2(*shapes: Any) -> list[float]:
    """Geodesic areas: another way than the checks'."""
    return sorted(float(a) for a in areas(many(*shapes)))


def grid(n: int = 6, size: float = 100.0) -> list[Any]:
    return [box(x * size, y * size, (x + 1) * size, (y + 1) * size) for y in range(n) for x in range(n)]


def found(faults: list[Any]) -> list[float]:
    return sorted(f.area_m2 for f in faults)


def test_a_degree_has_its_length() -> None:
    east, north = per_degree(36.4)
    assert ellipsoid().inv(116, 36.4, 116.001, 36.4)[2] * 1000 == pytest.approx(east, rel=1e-8)
    assert ellipsoid().inv(116, 36.3995, 116, 36.4005)[2] * 1000 == pytest.approx(north, rel=1e-8)


def test_a_clean_partition_has_no_finding() -> None:
    sound = many(*grid())
    assert not overlaps(sound, 0.01) and not gaps(sound, 0.01) and not invalid(sound)
    assert not slivers(sound, 1) and not small_parts(sound, 50) and not spikes(sound, 1, 1)
    assert not duplicate_geometries(sound) and not many_parts(sound, 1)
    assert not stated_areas(sound, areas(sound), 0.001, 1)[1]


def test_overlaps_are_all_found_with_their_areas() -> None:
    cells = grid()
    planted = [(7, box(100, 100, 203, 200)), (14, box(200, 200, 300, 305)), (35, box(495, 495, 600, 600))]
    for i, shape in planted:
        cells[i] = shape
    # The last one reaches into three neighbours.
    shared = [box(200, 100, 203, 200), box(200, 300, 300, 305), box(495, 500, 500, 600), box(500, 495, 600, 500)]
    shared.append(box(495, 495, 500, 500))
    got = overlaps(many(*cells), 1)
    assert found(got) == pytest.approx(m2(*shared), abs=1)
    assert {(f.feature, f.other) for f in got} == {(7, 8), (14, 20), (34, 35), (29, 35), (28, 35)}


def test_gaps_are_all_found_and_intended_holes_are_left() -> None:
    cells = grid()
    cells[7] = box(100, 100, 199, 200)
    cells[14] = at(shapely.box(200, 200, 300, 300).difference(shapely.box(240, 240, 260, 260)))
    del cells[28]
    holes = [box(199, 100, 200, 200), box(240, 240, 260, 260), box(400, 400, 500, 500)]
    assert found(gaps(many(*cells), 1)) == pytest.approx(m2(*holes), abs=1)
    assert len(gaps(many(*cells), 1, most_m2=5_000)) == 2


def test_a_hole_with_an_island_is_a_gap_without_it() -> None:
    ring = at(shapely.box(0, 0, 100, 100).difference(shapely.box(20, 20, 80, 80)))
    island = box(40, 40, 60, 60)
    (one,) = gaps(many(ring, island), 1)
    assert one.area_m2 == pytest.approx(m2(box(20, 20, 80, 80))[0] - m2(island)[0], abs=1)


def test_faulty_outlines_are_found_with_their_places() -> None:
    bow = at(shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)]))
    got = invalid(many(*grid(2), bow, None, shapely.Polygon(), at(shapely.LineString([(0, 0), (1, 1)]))))
    assert [f.feature for f in got] == [4, 5, 6, 7]
    assert got[0].shape.distance(at(shapely.Point(50, 50))) < 1e-9


def test_one_outline_twice_whatever_its_first_corner() -> None:
    cells = grid(3)
    turned = shapely.Polygon(np.roll(shapely.get_coordinates(cells[4])[:-1], 2, axis=0)[::-1])
    got = duplicate_geometries(many(*cells, turned, cells[0], cells[0]))
    assert [(f.feature, f.other) for f in got] == [(9, 4), (10, 0), (11, 0)]
    # They are told once, not as overlaps again.
    assert not overlaps(many(*cells, turned, cells[0]), 0.01)


def test_slivers_small_parts_and_several_parts() -> None:
    thin, tiny = box(700, 0, 800, 0.6), box(700, 100, 704, 104)
    both = shapely.union_all([box(900, 0, 950, 50), tiny])
    sound = many(*grid(2), thin, both)
    assert [f.feature for f in slivers(sound, 1.5)] == [4]
    assert found(slivers(sound, 1.5)) == pytest.approx(m2(thin), abs=1)
    assert [f.feature for f in small_parts(sound, 50)] == [5]
    assert found(small_parts(sound, 70)) == pytest.approx(m2(thin, tiny), abs=1)
    assert [f.feature for f in many_parts(sound, 1)] == [5]


@pytest.mark.parametrize("first", range(7))
def test_spikes_are_found_wherever_the_ring_begins(first: int) -> None:
    corners = [(0, 0), (100, 0), (100, 50), (160, 50.2), (100, 50.4), (100, 100), (0, 100)]
    spiky = at(shapely.Polygon(corners[first:] + corners[:first]))
    whisker = at(shapely.Polygon([(200, 0), (300, 0), (300, 50), (340, 50), (300, 50), (300, 100), (200, 100)]))
    got = spikes(many(*grid(1), spiky, whisker), 1, 1)
    assert [f.feature for f in got] == [1, 2]
    assert [round(f.length_m) for f in got] == [60, 40]
    assert got[0].shape.distance(at(shapely.Point(160, 50.2))) < 1e-8


def test_stated_areas_off_by_more_than_the_tolerance() -> None:
    sound = many(*grid(3))
    stated = areas(sound)
    stated[2] *= 1.002
    stated[5] -= 30
    stated[7] += 5
    stated[8] = np.nan
    count, got = stated_areas(sound, stated, 0.001, 1)
    assert (count, [f.feature for f in got]) == (8, [2, 5])
    assert [f.area_m2 for f in got] == pytest.approx([20, 30], abs=1)


def test_what_is_not_covered_and_what_lies_outside() -> None:
    cells = grid(4)
    district = many(box(0, 0, 400, 400))
    assert not uncovered(shapely.union_all(cells), district, 1) and not outside(many(*cells), district, 1)
    cells[3] = box(300, 0, 380, 100)
    cells[12] = box(0, 300, 100, 425)
    del cells[5]
    whole = shapely.union_all(cells)
    rim, hole = box(380, 0, 400, 100), box(100, 100, 200, 200)
    assert found(uncovered(whole, district, 1)) == pytest.approx(m2(rim), abs=1)
    assert found(uncovered(whole, district, 1, holes=True)) == pytest.approx(m2(rim, hole), abs=1)
    assert not uncovered(whole, district, 1, width_m=40)
    (out,) = outside(many(*cells), district, 1)
    assert out.area_m2 == pytest.approx(m2(box(0, 400, 100, 425))[0], abs=1)


def test_edges_that_nearly_follow_a_border() -> None:
    cells = grid(4)
    cells[7] = box(300, 100, 399.6, 200)
    cells[15] = box(300, 300, 400.3, 400)
    cells[0] = box(5, 0, 100, 100)
    got = off_boundary(many(*cells), many(box(0, 0, 400, 400)), 1, 0.01, 1)
    assert [f.feature for f in got] == [7, 15]
    assert [f.length_m for f in got] == pytest.approx([100, 100], abs=0.2)
    assert "0.40" in got[0].en and "0.30" in got[1].en


def test_a_stretch_over_the_end_of_a_ring_is_one() -> None:
    bent = at(shapely.Polygon([(100.4, 50), (100.4, 100), (0, 100), (0, 0), (100.4, 0), (100.4, 20)]))
    (one,) = off_boundary(many(bent), many(box(0, 0, 100, 100)), 1, 0.01)
    assert one.length_m == pytest.approx(100, abs=0.2)


def test_a_plan_is_that_of_districts_it_covers_by_half() -> None:
    both = Districts(many(box(0, 0, 200, 200), box(200, 0, 400, 200)), ("a", "b"))
    assert both.of(many(box(0, 0, 230, 200))).keys == ("a",)
    assert both.of(many(box(0, 0, 50, 50))).why is not None


CUTS = st.lists(st.floats(5, 995), min_size=1, max_size=6)


def partition(columns: list[float], rows: list[list[float]]) -> list[Any]:
    """A square kilometre cut into columns, and each of them by itself into rows."""
    xs = [0.0, *sorted(set(columns)), 1000.0]
    cells = []
    for k, (w, e) in enumerate(zip(xs[:-1], xs[1:], strict=True)):
        ys = [0.0, *sorted(set(rows[k % len(rows)])), 1000.0]
        cells += [box(w, s, e, n) for s, n in zip(ys[:-1], ys[1:], strict=True)]
    return cells


@given(CUTS, st.lists(CUTS, min_size=1, max_size=4), st.data())
@settings(max_examples=60, deadline=None)
def test_only_what_is_planted_is_found(columns: list[float], rows: list[list[float]], data: st.DataObject) -> None:
    cells = partition(columns, rows)
    district = many(box(0, 0, 1000, 1000))
    sound = many(*cells)
    assert not overlaps(sound, 0.01) and not gaps(sound, 0.01)
    assert not uncovered(shapely.union_all(sound), district, 0.01) and not outside(sound, district, 0.01)
    # A piece in the middle of a cell is taken out, and one of another laid over it.
    i = data.draw(st.integers(0, len(cells) - 1))
    w, s, e, n = cells[i].bounds
    piece = shapely.box(w + (e - w) / 3, s + (n - s) / 3, w + (e - w) / 2, s + (n - s) / 2)
    (area,) = m2(piece)
    if area < 0.02:
        return
    gap = many(*cells[:i], shapely.difference(cells[i], piece), *cells[i + 1 :])
    assert found(gaps(gap, 0.01)) == pytest.approx([area], abs=1)
    assert not overlaps(gap, 0.01)
    laid = overlaps(many(*cells, piece), 0.01)
    assert found(laid) == pytest.approx([area], abs=1)
    assert (laid[0].feature, laid[0].other) == (i, len(cells))
