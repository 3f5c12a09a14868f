# SPDX-License-Identifier: Apache-2.0
"""The generated city: the same every time, fitting the layer definitions, and whole as a map."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely

from geocloud.demo import expected, generate
from geocloud.demo.city import City
from geocloud.demo.facts import COUNTIES, SIZES, codes_of, shift
from geocloud.demo.loading import LAYERS
from geocloud.demo.plots import shares
from geocloud.sectors.registry import definitions
from geocloud.settings import CitySettings

SPECS, CODES = definitions(CitySettings())
ARROW = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", "UTC"),
}


@cache
def rows(layer: str) -> pa.Table:
    return pa.concat_tables(b.table() for b in generate("small", layer))


@cache
def shapes(layer: str) -> Any:
    return np.concatenate([b.shapes for b in generate("small", layer)])


def column(layer: str, name: str) -> list[Any]:
    return rows(layer)[name].to_pylist()


def checksum(layer: str) -> str:
    """Of the values, not of how Arrow holds them."""
    return hashlib.sha256(repr(sorted(rows(layer).to_pydict().items())).encode()).hexdigest()


_ANOTHER = """
import hashlib, sys
import pyarrow as pa
from geocloud.demo import generate
for layer in sys.argv[1:]:
    table = pa.concat_tables(b.table() for b in generate("small", layer))
    print(layer, hashlib.sha256(repr(sorted(table.to_pydict().items())).encode()).hexdigest())
"""


def test_another_process_makes_the_same_bytes_in_any_order() -> None:
    backwards = sorted(LAYERS, reverse=True)
    done = subprocess.run(
        [sys.executable, "-c", _ANOTHER, *backwards],
        env=os.environ | {"PYTHONHASHSEED": "4711", "TZ": "Asia/Shanghai", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert dict(line.split() for line in done.stdout.splitlines()) == {i: checksum(i) for i in LAYERS}


def test_every_published_layer_is_filled() -> None:
    # Difference spots and conflicts of boundaries are found by comparing, not made up.
    assert set(LAYERS) == set(SPECS) - {"planning.difference_spot", "grid.boundary_conflict"}


@pytest.mark.parametrize("layer", LAYERS)
def test_rows_fit_the_definition(layer: str) -> None:
    spec, table = SPECS[layer], rows(layer)
    assert set(table.column_names) - {"geom"} <= {f.name for f in spec.fields}
    assert table.num_rows == (expected("small", layer) or table.num_rows) > 0
    keys = list(zip(*(column(layer, k) for k in spec.key), strict=True))
    assert len(set(keys)) == len(keys)
    for f in spec.fields:
        if f.name not in table.column_names:
            assert not f.required, f.name
            continue
        values = table[f.name]
        assert values.type == ARROW[f.type], f.name
        present = [v for v in values.to_pylist() if v is not None]
        assert not (f.required and values.null_count), f.name
        if f.pattern:
            assert all(re.fullmatch(f.pattern, v) for v in present), f.name
        if f.max_length:
            assert max(map(len, present), default=0) <= f.max_length, f.name
        if f.codes:
            assert set(present) <= set(CODES[f.codes].titles()), f.name
        if present and f.minimum is not None:
            assert min(present) >= f.minimum, f.name
        if present and f.maximum is not None:
            assert max(present) <= f.maximum, f.name


@pytest.mark.parametrize("layer", [i for i in LAYERS if SPECS[i].geometry != "none"])
def test_shapes_fit_the_definition(layer: str) -> None:
    found = shapes(layer)
    assert shapely.is_valid(found).all()
    assert not shapely.is_empty(found).any()
    types = {str(g.geom_type).lower() for g in found}
    wanted = SPECS[layer].geometry
    assert types == {"multipolygon" if wanted == "geometry" else wanted}
    west, south, east, north = shapely.total_bounds(found)
    assert 115.2 < west < east < 116.6
    assert 35.7 < south < north < 37.1
    assert np.array_equal(shapely.get_coordinates(found), np.round(shapely.get_coordinates(found), 7))


def test_names_and_codes_of_counties_are_the_real_ones() -> None:
    assert dict(zip(column("base.county", "code"), column("base.county", "name"), strict=True)) == {
        "371502": "东昌府区",
        "371503": "茌平区",
        "371521": "阳谷县",
        "371522": "莘县",
        "371524": "东阿县",
        "371525": "冠县",
        "371526": "高唐县",
        "371581": "临清市",
    }
    invented = [n for n in column("base.township", "name") if not n.startswith("示例")]
    assert invented == ["古楼街道"]


@pytest.mark.parametrize("county", COUNTIES, ids=lambda c: c.code)
def test_a_county_seat_lies_in_its_county(county: Any) -> None:
    at = column("base.county", "code").index(county.code)
    assert shapely.contains_xy(shapes("base.county")[at], *county.seat)


@pytest.mark.parametrize(
    ("inner", "outer", "link"),
    [
        ("base.county", "base.city", "city_code"),
        ("base.township", "base.county", "county_code"),
        ("base.village", "base.township", "township_code"),
    ],
)
def test_divisions_nest_and_leave_no_gap(inner: str, outer: str, link: str) -> None:
    parents = dict(zip(column(outer, "code"), shapes(outer), strict=True))
    assert all(shapely.covers(parents[p], s) for p, s in zip(column(inner, link), shapes(inner), strict=True))
    whole = shapely.union_all(shapes(outer))
    parts = shapely.area(shapes(inner)).sum()
    assert parts == pytest.approx(shapely.area(whole), rel=1e-12)
    assert shapely.area(shapely.union_all(shapes(inner))) == pytest.approx(parts, rel=1e-12)


def test_codes_nest() -> None:
    assert all(
        c.startswith(p)
        for c, p in zip(column("base.township", "code"), column("base.township", "county_code"), strict=True)
    )
    assert all(
        c.startswith(p)
        for c, p in zip(column("base.village", "code"), column("base.village", "township_code"), strict=True)
    )


@pytest.mark.parametrize("layer", ["facility.component", "facility.school", "base.poi", "base.building", "base.road"])
def test_county_code_is_where_the_feature_lies(layer: str) -> None:
    counties = dict(zip(column("base.county", "code"), shapes("base.county"), strict=True))
    # Borders are rounded corners of a lattice of 600 m in this size; outside the wavy rim the nearest village decides.
    near = 1_200 / 89_000
    found = column(layer, "county_code")
    away = np.array([shapely.distance(border, shapes(layer)) for border in counties.values()])
    told = away[[list(counties).index(c) for c in found], np.arange(len(found))]
    assert (told - away.min(axis=0)).max() < near
    assert set(found) == set(counties)


def graph(layer: str = "base.road") -> tuple[list[str], list[str], Any]:
    return column(layer, "from_node"), column(layer, "to_node"), shapes(layer)


def components(starts: Any, ends: Any) -> int:
    parent = {n: n for n in {*starts, *ends}}

    def root(n: Any) -> Any:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    for a, b in zip(starts, ends, strict=True):
        parent[root(a)] = root(b)
    return len({root(n) for n in parent})


def test_streets_are_one_connected_graph() -> None:
    starts, ends, lines = graph()
    assert components(starts, ends) == 1
    assert len(set(zip(starts, ends, strict=True))) == len(starts)
    place: dict[str, tuple[float, float]] = {}
    for a, b, line in zip(starts, ends, lines, strict=True):
        first, last = shapely.get_coordinates(line)[[0, -1]]
        for node, at in ((a, tuple(first)), (b, tuple(last))):
            assert place.setdefault(node, at) == at, "a node has one place"


def test_streets_meet_only_at_nodes() -> None:
    _, _, lines = graph()
    parts = shapely.get_parts(lines)
    tree = shapely.STRtree(parts)
    a, b = tree.query(parts, predicate="intersects")
    pairs = a < b
    met = shapely.intersection(parts[a[pairs]], parts[b[pairs]])
    assert {g.geom_type for g in met} == {"Point"}
    # Where two streets meet is an end of both.
    for side in (a[pairs], b[pairs]):
        assert shapely.touches(shapely.boundary(parts[side]), met).sum() + shapely.intersects(
            shapely.boundary(parts[side]), met
        ).sum() == len(met)


def test_parcels_keep_apart_and_off_the_streets() -> None:
    parcels = shapes("base.parcel")
    counts = shapely.get_num_coordinates(parcels)
    assert 5 <= counts.min() < counts.max() <= 40
    a, b = shapely.STRtree(parcels).query(parcels, predicate="intersects")
    assert (a == b).all()
    assert shapely.STRtree(shapes("base.road")).query(parcels, predicate="intersects").size == 0
    rivers = shapes("base.water_area")[:5]
    assert shapely.STRtree(rivers).query(parcels, predicate="intersects").size == 0


def test_buildings_lie_in_a_parcel_and_do_not_overlap() -> None:
    houses = shapes("base.building")
    inside = shapely.STRtree(shapes("base.parcel")).query(houses, predicate="covered_by")
    assert sorted(inside[0]) == list(range(len(houses)))
    a, b = shapely.STRtree(houses).query(houses, predicate="intersects")
    assert (a == b).all()


def test_components_are_skewed_and_beside_streets() -> None:
    kinds = column("facility.component", "category")
    assert kinds.count("lamp") / len(kinds) == pytest.approx(0.34, abs=0.04)
    codes = zip(column("facility.component", "code"), column("facility.component", "class_code"), strict=True)
    assert all(c[6:10] == k for c, k in codes)
    away = shapely.STRtree(shapes("base.road")).query_nearest(
        shapes("facility.component"), return_distance=True, all_matches=False
    )[1]
    assert away.max() < 20 / 89_000


def test_city_size_has_the_counts_and_the_detail_asked_for() -> None:
    city = City("city", 0)
    size = SIZES["city"]
    assert (size.components, size.parcels, size.roads, size.buildings, size.cameras) == (
        1_000_000,
        300_000,
        120_000,
        400_000,
        50_000,
    )
    s = city.streets.segments
    assert len(s.col) == 120_000
    ends = (s.col + s.length * (s.north == 0)) * 10_000 + s.row + s.length * (s.north == 1)
    assert components((s.col * 10_000 + s.row).tolist(), ends.tolist()) == 1
    assert len(city.plots.parcels.block) == 300_000
    assert len(city.plots.buildings.parcel) == 400_000
    counties = city.land.polygons(city.land.towns[1][city.village_town])
    assert len(counties) == 8
    assert min(shapely.get_num_coordinates(c) for c in counties) > 5_000
    assert all(shapely.is_valid(c) for c in counties)
    assert len(city.town_codes) == len(set(city.town_codes)) == 136
    assert len(city.village_codes) == len(set(city.village_codes)) == 6_400


def test_province_is_ten_cities_side_by_side() -> None:
    assert SIZES["province"].cities == 10
    assert expected("province", "facility.component") == 10_000_000
    codes = [codes_of(n)[0] for n in range(10)]
    assert len(set(codes)) == 10
    names = [codes_of(n)[1] for n in range(10)]
    assert names[0] == "聊城市"
    assert all(n.startswith("示例") for n in names[1:])
    places = {shift(n, 116.0, 36.0) for n in range(10)}
    assert len(places) == 10
    second = City("small", 1)
    (batch,) = LAYERS["base.county"](second)
    assert shapely.total_bounds(batch.shapes)[0] > shapely.total_bounds(shapes("base.county"))[2]
    assert not set(batch.columns["code"].to_pylist()) & set(column("base.county", "code"))


@pytest.mark.parametrize("total", [0, 1, 7, 999])
def test_shares_add_up(total: int) -> None:
    weights = np.array([0.0, 1.0, 2.5, 0.0, 1e-9, 40.0])
    given = shares(weights, total, np.array([5, 400, 400, 5, 400, 400]))
    assert given.sum() == total
    assert (given >= 0).all()
    assert given[0] == given[3] == 0
    assert (given <= 400).all()
    with pytest.raises(ValueError, match="do not fit"):
        shares(weights, 2_000, np.array([5, 400, 400, 5, 400, 400]))
