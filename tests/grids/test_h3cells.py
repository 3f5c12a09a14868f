# SPDX-License-Identifier: Apache-2.0
"""Points counted by H3 cells: compared with the library point by point, summed over the tiles of every zoom."""

from __future__ import annotations

import math
from collections import Counter

import h3
import h3.api.numpy_int as h3_int
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocloud.grids.h3cells import (
    FINEST,
    PointStore,
    aggregate,
    cells_of,
    fitting_resolution,
    outline,
    parents,
    reach_degrees,
    resolution_for_zoom,
)

RESOLUTIONS = range(FINEST + 1)
CODES = ("", "lamp", "tree", "bin")
lons = st.floats(115.2, 116.6)
lats = st.floats(35.7, 37.1)


def store_of(lon, lat, code=None, version=1):
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    code = np.zeros(len(lon), np.int32) if code is None else np.asarray(code, np.int32)
    return PointStore.of(version, np.arange(len(lon)), lon, lat, code, CODES)


def by_library(lon, lat, resolution):
    """The library's own words: text cells of one point after the other."""
    return Counter(h3.latlng_to_cell(y, x, resolution) for x, y in zip(lon, lat, strict=True))


def counted(cells):
    return {f"{c:x}": n for c, n in zip(cells.cell.tolist(), cells.count.tolist(), strict=True)}


def dense(count=4_000, seed=20261122):
    """A town in a countryside, so that many points share their outlines and others stand alone."""
    draw = np.random.default_rng(seed)
    lon = np.concatenate([draw.uniform(115.3, 116.5, count), draw.normal(115.98, 0.02, count)])
    lat = np.concatenate([draw.uniform(35.8, 37.0, count), draw.normal(36.45, 0.02, count)])
    return lon, lat, draw.integers(0, len(CODES), 2 * count)


@pytest.fixture(scope="module")
def town():
    lon, lat, code = dense()
    return store_of(lon, lat, code), lon, lat, code


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_counts_are_those_of_the_library(town, resolution):
    store, lon, lat, _ = town
    assert counted(aggregate(store, resolution, -180, -90, 180, 90)) == by_library(lon, lat, resolution)


@given(st.lists(st.tuples(st.floats(-179.9, 179.9), st.floats(-89, 89)), min_size=1, max_size=30), st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_counts_are_those_of_the_library_anywhere_on_earth(points, resolution):
    # Each point many times, so that its guess is checked by outline and not simply asked for.
    lon, lat = (np.repeat([p[i] for p in points], 40) for i in (0, 1))
    found = counted(aggregate(store_of(lon, lat), resolution, -180, -90, 181, 91))
    assert found == by_library(lon, lat, resolution)


@given(st.lists(st.tuples(lons, lats), min_size=1, max_size=10), st.integers(3, 9), st.integers(0, 2**31))
@settings(max_examples=100, deadline=None)
def test_points_about_the_edges_of_cells_are_where_the_library_puts_them(points, resolution, seed):
    draw = np.random.default_rng(seed)
    ring = [v for x, y in points for v in h3.cell_to_boundary(h3.latlng_to_cell(y, x, resolution))]
    along = np.repeat(np.array(ring), 20, axis=0)
    following = np.repeat(np.roll(np.array(ring), -1, axis=0), 20, axis=0)
    share = draw.uniform(0, 1, (len(along), 1))
    at = along + (following - along) * share + draw.normal(0, 1e-7, along.shape)
    lat, lon = at.T
    assert counted(aggregate(store_of(lon, lat), resolution, -180, -90, 180, 90)) == by_library(lon, lat, resolution)


@given(st.floats(-180, 180), st.floats(-90, 90), st.integers(0, 15), st.integers(0, 15))
@settings(max_examples=300, deadline=None)
def test_parents_by_bits_are_the_librarys_parents(lon, lat, fine, coarse):
    fine, coarse = max(fine, coarse), min(fine, coarse)
    cell = h3_int.latlng_to_cell(lat, lon, fine)
    assert parents(np.array([cell], np.uint64), coarse).tolist() == [h3_int.cell_to_parent(cell, coarse)]


def test_parent_of_no_cell_is_no_cell():
    assert parents(np.zeros(1, np.uint64), 5).tolist() == [0]
    assert cells_of(np.array([np.nan, 116.0]), np.array([np.nan, 36.0]), 3).tolist()[0] == 0


@pytest.mark.parametrize("zoom", range(15))
def test_tiles_of_every_zoom_add_up(town, zoom):
    store, *_ = town
    resolution = resolution_for_zoom(zoom)
    seen, total, mix = Counter(), 0, Counter()
    for box in tiles_about(store, zoom, resolution):
        found = aggregate(store, resolution, *box)
        seen.update(found.cell.tolist())
        total += int(found.count.sum())
        for part in found.mix:
            mix.update(part)
    assert total == store.placed == len(store.fid)
    assert max(seen.values()) == 1
    assert mix == Counter(store.codes[c] for c in store.code.tolist())


def tiles_about(store, zoom, resolution):
    """Web Mercator tiles over the points, and those that only cells of points at the edge have their centre in."""
    level = store.level(resolution)
    lon, lat = level.centres
    columns, rows = 2**zoom * (lon + 180) / 360, 2**zoom * (1 - np.arcsinh(np.tan(np.radians(lat))) / math.pi) / 2
    for column, row in sorted(set(zip(np.floor(columns).tolist(), np.floor(rows).tolist(), strict=True))):
        west, east = (column / 2**zoom * 360 - 180, (column + 1) / 2**zoom * 360 - 180)
        north, south = (math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * r / 2**zoom)))) for r in (row, row + 1))
        yield west, south, east, north


def test_leading_code_and_mix_are_counted_by_hand(town):
    store, lon, lat, code = town
    found = aggregate(store, 6, -180, -90, 180, 90)
    by_hand = {}
    for x, y, c in zip(lon, lat, code, strict=True):
        by_hand.setdefault(h3_int.latlng_to_cell(y, x, 6), Counter())[CODES[c]] += 1
    for cell, leading, mix in zip(found.cell.tolist(), found.leading, found.mix, strict=True):
        assert mix == by_hand[cell]
        named = {k: n for k, n in mix.items() if k}
        best = max(named.values(), default=0)
        assert leading == (min(k for k, n in named.items() if n == best) if named else None)
        assert list(mix.values()) == sorted(mix.values(), reverse=True)


def test_points_without_position_are_in_no_cell():
    store = store_of([116.0, np.nan, 116.0], [36.4, np.nan, 36.4], [1, 2, 1])
    assert store.placed == 2
    assert aggregate(store, 7, -180, -90, 180, 90).count.tolist() == [2]


def test_empty_store_has_no_cells():
    store = store_of([], [])
    assert aggregate(store, 5, -180, -90, 180, 90).cell.tolist() == []
    assert fitting_resolution(store) == 0


changes = st.lists(
    st.tuples(st.integers(0, 60), st.one_of(st.none(), st.tuples(lons, lats, st.integers(0, 3)))), max_size=25
)


@given(st.lists(st.tuples(lons, lats, st.integers(0, 3)), max_size=40), st.lists(changes, max_size=4))
@settings(max_examples=80, deadline=None)
def test_renewed_store_is_the_one_made_anew(points, steps):
    rows = dict(enumerate(points))
    store = made_of(rows, 1)
    for r in (2, 7, 12):
        store.level(r)
    for version, step in enumerate(steps, start=2):
        changed = dict(step)
        for fid, now in changed.items():
            if now is None:
                rows.pop(fid, None)
            else:
                rows[fid] = now
        come = made_of({fid: rows[fid] for fid in changed if fid in rows}, version, ("", "bin", "tree", "lamp"))
        store = store.renewed(version, np.array(sorted(changed), np.int64), come)
        # The two stores number codes differently, so codes are compared by text.
    anew = made_of(rows, 9)
    assert sorted(store.fid.tolist()) == sorted(rows)
    for resolution in (2, 7, 12, 15):
        one, other = (aggregate(s, resolution, -180, -90, 180, 90) for s in (store, anew))
        assert counted(one) == counted(other)
        assert [dict(m) for m in one.mix] == [dict(m) for m in other.mix]
        assert one.leading == other.leading


def made_of(rows, version, codes=CODES):
    at = list(rows.values())
    number = [codes.index(CODES[c]) for _, _, c in at]
    lon, lat = np.array([p[0] for p in at], float), np.array([p[1] for p in at], float)
    return PointStore.of(version, np.array(list(rows), np.int64), lon, lat, np.array(number, np.int32), codes)


@pytest.mark.parametrize("zoom", range(4, 17))
def test_hexagons_of_a_zoom_can_be_seen_and_told_apart(zoom):
    metres_a_pixel = 40_075_016.686 * math.cos(math.radians(36.5)) / 512 / 2**zoom
    edge = h3.average_hexagon_edge_length(resolution_for_zoom(zoom), unit="m")
    assert 19 <= math.sqrt(3) * edge / metres_a_pixel <= 51


def test_fitting_resolution_gives_hundreds_of_cells(town):
    store, lon, lat, _ = town
    resolution = fitting_resolution(store)
    assert 200 <= len(by_library(lon, lat, resolution)) <= 2_000
    assert len(by_library(lon, lat, resolution - 1)) < 200


def test_few_points_get_hexagons_that_can_be_seen():
    store = store_of([115.4, 116.4, 116.0], [35.9, 36.9, 36.2])
    assert 6 <= fitting_resolution(store) <= 8


@given(lons, lats, st.integers(0, 15))
@settings(max_examples=100, deadline=None)
def test_no_point_is_farther_from_its_centre_than_the_reach(lon, lat, resolution):
    cell = h3.latlng_to_cell(lat, lon, resolution)
    y, x = h3.cell_to_latlng(cell)
    reach_lon, reach_lat = reach_degrees(resolution, max(abs(lat), abs(y)))
    for corner_lat, corner_lon in h3.cell_to_boundary(cell):
        assert abs(corner_lat - y) <= reach_lat
        assert abs(corner_lon - x) <= reach_lon


@pytest.mark.parametrize("at", [(36.45, 115.98), (0.0, 180.0)], ids=["city", "antimeridian"])
def test_outline_is_a_closed_ring_turning_left(at):
    ring = outline(h3_int.latlng_to_cell(*at, 4))
    assert ring[0] == ring[-1] and len(ring) == 7
    area = sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(ring, ring[1:], strict=False))
    assert area > 0
    assert max(x for x, _ in ring) - min(x for x, _ in ring) < 2
