# SPDX-License-Identifier: Apache-2.0
"""Areal interpolation: known splits, totals that close, what carrying back says, and the process over a real city."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import geopandas as gpd
import numpy as np
import orjson
import psycopg2
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocloud.db.cluster import Urls
from geocloud.errors import InvalidParameter
from geocloud.jobs.run import Run, open_run
from geocloud.overlay import interpolate as way
from geocloud.overlay.interpolate_process import PROCESS, interpolate
from geocloud.settings import Settings


def boxes(*sides: tuple[float, float]) -> np.ndarray:
    """Areas between two parallels, from a longitude to another: their land is as their width."""
    return shapely.box([w for w, _ in sides], 36.0, [e for _, e in sides], 36.1)


SOURCES = boxes((116.0, 116.1), (116.1, 116.2))
TARGETS = boxes((116.0, 116.05), (116.05, 116.15), (116.15, 116.175))


def test_a_value_is_shared_out_by_area() -> None:
    pieces = way.cut(SOURCES, TARGETS)
    found = way.carry(np.array([100.0, 60.0]), pieces, 3)
    assert found.values == pytest.approx([50, 80, 15], rel=1e-9)
    assert found.outside == pytest.approx(15, rel=1e-9) and found.total == 160


def test_a_mean_is_averaged_by_area() -> None:
    found = way.carry(np.array([10.0, 20.0]), way.cut(SOURCES, TARGETS), 3, extensive=False)
    assert found.values == pytest.approx([10, 15, 20], rel=1e-9)
    known = way.carry(np.array([10.0, np.nan]), way.cut(SOURCES, TARGETS), 3, extensive=False)
    assert known.values[:2] == pytest.approx([10, 10]) and np.isnan(known.values[2])


def test_people_live_where_the_houses_are() -> None:
    pieces = way.cut(SOURCES, TARGETS)
    houses = np.concatenate([boxes((116.01, 116.02), (116.09, 116.11)), [shapely.Point(115.0, 36.0)]])
    # All of the first source's but a fifth is in the first target; the second house lies in both sources.
    weighed, bare = way.weigh(pieces, houses, np.array([400.0, 200.0, 9.0]), 2)
    found = way.carry(np.array([100.0, 60.0]), weighed, 3)
    assert bare == 0
    assert found.values == pytest.approx([80, 20 + 60, 0], rel=1e-9) and found.outside == pytest.approx(0, abs=1e-9)
    alone, bare = way.weigh(pieces, houses[:1], np.array([400.0]), 2)
    # Nothing of the mask in the second source: by its area.
    assert bare == 1
    assert way.carry(np.array([100.0, 60.0]), alone, 3).values == pytest.approx([100, 30, 15], rel=1e-9)


def test_points_go_where_they_are_or_to_the_nearest() -> None:
    lon, lat, values = np.array([116.02, 116.3, 116.16]), np.array([36.05, 36.05, 36.05]), np.array([5.0, 7.0, np.nan])
    inside, moved, _ = way.carry_points(values, lon, lat, TARGETS, nearest=False)
    assert inside.values.tolist() == [5, 0, 0] and inside.outside == 7 and not len(moved)
    near, moved, metres = way.carry_points(values, lon, lat, TARGETS, nearest=True)
    assert near.values.tolist() == [5, 0, 7] and near.outside == 0 and moved.tolist() == [1]
    # 0.125 degree of longitude at this latitude.
    assert metres == pytest.approx([11_263], rel=2e-3)
    means, _, _ = way.carry_points(values, lon, lat, TARGETS, nearest=True, extensive=False)
    assert means.values.tolist() == [5, 5, 7]


def test_carried_back_an_even_value_is_what_it_was() -> None:
    pieces = way.cut(SOURCES, TARGETS)
    even = np.array([50.0, 50.0])
    returned = way.back(way.carry(even, pieces, 3), pieces, 2)
    assert way.misses(returned, way.inside_of(even, pieces)).mae == pytest.approx(0, abs=1e-9)
    odd = np.array([100.0, 60.0])
    found = way.misses(way.back(way.carry(odd, pieces, 3), pieces, 2), way.inside_of(odd, pieces))
    # Half of 80 goes back to each: 90 of 100, and 40 + 15 of 45.
    assert found.mae == pytest.approx(10, rel=1e-9) and found.rmse == pytest.approx(10, rel=1e-9) and found.count == 2
    assert way.misses(np.array([np.nan]), np.array([1.0])) is None


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(1, 12), st.integers(0, 10_000))
def test_nothing_is_lost_or_made(sources: int, targets: int, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def partition(count: int, west: float) -> np.ndarray:
        box = shapely.box(west, 36.0, west + 0.2, 36.2)
        seeds = shapely.multipoints(np.stack([rng.uniform(west, west + 0.2, count), rng.uniform(36, 36.2, count)], 1))
        cells = shapely.get_parts(shapely.voronoi_polygons(seeds, extend_to=box))
        found = shapely.intersection(cells, box)
        return found[~shapely.is_empty(found)] if count > 1 else np.array([box], object)

    one, other = partition(sources, 116.0), partition(targets, 116.07)
    values = rng.uniform(0, 1_000, len(one))
    pieces = way.cut(one, other)
    houses = shapely.points(rng.uniform(116, 116.2, 40), rng.uniform(36, 36.2, 40))
    for some in (pieces, way.weigh(pieces, houses, rng.uniform(0, 9, 40), len(one))[0]):
        found = way.carry(values, some, len(other))
        assert found.values.sum() + found.outside == pytest.approx(values.sum(), rel=1e-9)
        assert (found.values >= 0).all()
        flat = way.carry(np.full(len(one), 3.25), some, len(other), extensive=False)
        assert np.nan_to_num(flat.values, nan=3.25) == pytest.approx(np.full(len(other), 3.25))


@pytest.fixture
def run(small: Urls) -> Iterator[Run]:
    with open_run(Settings(), small.reader) as opened:
        yield opened


def frame(urls: Urls, layer: str, field: str) -> gpd.GeoDataFrame:
    conn = psycopg2.connect(urls.owner)
    with conn.cursor() as cur:
        cur.execute(f"SELECT fid, {field}, ST_AsBinary(geom) FROM {layer} WHERE geom IS NOT NULL ORDER BY fid")
        rows = cur.fetchall()
    conn.close()
    shapes = shapely.from_wkb([bytes(r[2]) for r in rows])
    data = {"fid": [r[0] for r in rows], "value": [r[1] for r in rows]}
    return gpd.GeoDataFrame(data, geometry=shapes, crs="EPSG:4490")


def test_population_of_townships_by_county_is_that_of_geopandas(small: Urls, run: Run) -> None:
    found = interpolate(run, "base.township", "population", "county", method="area").document
    towns, counties = frame(small, "base.township", "population"), frame(small, "base.county", "population")
    towns = towns[towns.geometry.geom_type.isin(["Polygon", "MultiPolygon"])].dropna()
    cut = gpd.overlay(towns, counties[["fid", "geometry"]].rename(columns={"fid": "county"}), how="intersection")
    cut["share"] = (
        cut.to_crs("EPSG:4548").area / towns.set_index("fid").to_crs("EPSG:4548").area.loc[cut["fid"]].to_numpy()
    )
    expected = (cut["value"] * cut["share"]).groupby(cut["county"]).sum()
    rows = {r["zone"]: r["value"] for r in found["rows"]}
    for county, value in expected.items():
        assert rows[county] == pytest.approx(value, rel=1e-4)
    assert found["totals"]["closed"] and found["totals"]["source"] == pytest.approx(towns["value"].sum())
    assert found["check"]["way"] == "back" and found["check"]["count"] == len(towns)


def test_truth_that_is_known_is_compared(small: Urls, run: Run) -> None:
    found = interpolate(run, "base.village", "population", "township", truth="population").document
    towns = frame(small, "base.township", "population").set_index("fid")["value"].dropna()
    values = {r["zone"]: r["value"] for r in found["rows"] if r["zone"]}
    off = np.array([abs(values[fid] - true) for fid, true in towns.items() if fid in values])
    assert found["against_truth"]["count"] == len(off) > 1
    assert found["against_truth"]["mae"] == pytest.approx(off.mean())
    assert found["against_truth"]["rmse"] == pytest.approx(np.sqrt((off**2).mean()))


@pytest.mark.parametrize("target", ["h3:6", "beidou:4", "county"])
def test_outputs_say_the_same(run: Run, target: str) -> None:
    inputs = {"source": "base.township", "field": "population", "target": target, "kind": "extensive"}
    out = PROCESS.run(run, inputs, frozenset({"table", "csv", "geojson"}))
    table = out["table"]
    assert table["totals"]["closed"]
    read = list(csv.DictReader(io.StringIO(out["csv"].data.decode("utf-8-sig"))))
    features = orjson.loads(out["geojson"].data)["features"]
    assert len(read) == len(table["rows"]) == len(features) + 1
    assert [float(r["value"]) for r in read] == pytest.approx([r["value"] for r in table["rows"]])
    assert [f["properties"]["value"] for f in features] == [r["value"] for r in table["rows"][:-1]]


def test_a_mask_moves_people_to_what_is_built(run: Run) -> None:
    plain = interpolate(run, "base.township", "population", "h3:6", method="area").document
    masked = interpolate(run, "base.township", "population", "h3:6", mask="base.parcel", mask_weight="area_m2").document
    assert masked["method"] == "mask" and masked["mask"]["features"] > 0
    assert masked["totals"]["closed"] and masked["totals"]["source"] == plain["totals"]["source"]
    assert [r["value"] for r in masked["rows"]] != [r["value"] for r in plain["rows"]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"field": "name"}, "holds text"),
        ({"field": "nothing"}, "no property"),
        ({"target": "base.poi"}, "no published layer"),
        ({"target": "h3:16"}, "0 to 15"),
        ({"method": "nearest"}, "has polygons"),
        ({"method": "mask"}, "needs the layer"),
        ({"method": "area", "mask": "base.parcel"}, "needs the layer"),
        ({"mask": "base.parcel", "mask_weight": "code"}, "holds text"),
        ({"target": "h3:6", "truth": "population"}, "Cells have no field"),
        ({"source": "base.road", "field": "lanes"}, "lines"),
    ],
)
def test_bad_input(run: Run, change: dict[str, str], says: str) -> None:
    inputs = {"source": "base.county", "field": "population", "target": "township", **change}
    with pytest.raises(InvalidParameter) as caught:
        interpolate(run, inputs.pop("source"), inputs.pop("field"), inputs.pop("target"), **inputs)
    assert says in caught.value.en
