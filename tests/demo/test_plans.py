# SPDX-License-Identifier: Apache-2.0
"""The demo's plans: coverages, drawn twice, in conflict where planted and nowhere else, with a past."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import psycopg2
import pyproj
import pytest
import shapely

from geocloud import demo
from geocloud.catalogue.publish import read_catalogue, sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.demo import loading, plan_truth, plans
from geocloud.demo.mesh import NOISE_M, TOLERANCE_M

SPECS, CODES = read_layers(Path(__file__).resolve().parents[2] / "layers")
GEOD = pyproj.Geod(a=6378137.0, rf=298.257222101)
WHOLE = ["planning.land_plan", "planning.master_plan", "planning.present_land", "planning.spatial_zone"]
SEPARATE = [i for i in loading.LAYERS if i.startswith("planning.") and i not in ("planning.plan_area",)]
FIRST, SECOND = "planning.land_plan", "planning.master_plan"


@cache
def frame(layer: str) -> gpd.GeoDataFrame:
    batches = list(demo.generate("small", layer))
    table = {n: [v for b in batches for v in b.columns[n].to_pylist()] for n in batches[0].columns}
    return gpd.GeoDataFrame(table, geometry=np.concatenate([b.shapes for b in batches]), crs=4490)


def area(shape: Any) -> float:
    """Ellipsoidal square metres, by pyproj alone."""
    return abs(GEOD.geometry_area_perimeter(shapely.orient_polygons(shape))[0])


def width(shape: Any) -> float:
    """Mean width in metres: twice the area by the perimeter."""
    surface, around = GEOD.geometry_area_perimeter(shapely.orient_polygons(shape))
    return 2 * abs(surface) / around


@pytest.mark.parametrize("layer", WHOLE)
def test_plan_covers_the_district_without_gaps_or_overlaps(layer: str) -> None:
    found = frame(layer).geometry.to_numpy()
    district = frame("base.city").geometry.iloc[0]
    assert shapely.coverage_is_valid(found)
    union = shapely.coverage_union_all(found)
    stated = frame("planning.plan_area").set_index("ghlb").geometry["land_plan"]
    assert area(shapely.symmetric_difference(union, stated)) < 1e-3
    assert sum(area(g) for g in found) == pytest.approx(area(stated), rel=1e-12)
    # Along the city's own outline, of some 500 km, corners lie on the grid of 1e-7 degrees.
    assert area(shapely.symmetric_difference(union, district)) < 20.0


@pytest.mark.parametrize("layer", SEPARATE)
def test_no_feature_of_a_plan_overlaps_another(layer: str) -> None:
    if layer == "planning.colour_line":
        pytest.skip("coloured lines of different kinds may overlap")
    found = frame(layer).geometry.to_numpy()
    a, b = shapely.STRtree(found).query(found, predicate="intersects")
    own = shapely.intersection(found[a[a < b]], found[b[a < b]])
    assert sum(area(g) for g in own[shapely.area(own) > 0]) < 1.0


def test_second_drawing_differs_within_the_stated_tolerance() -> None:
    register = frame("planning.plan_area").set_index("ghlb")
    assert register.loc["master_plan", "jd"] == TOLERANCE_M >= NOISE_M > 0
    assert register.loc["land_plan", "jd"] == 0
    one, two = frame("planning.present_land"), frame(SECOND)
    two = two[[not len(g.geoms[0].interiors) for g in two.geometry]]
    joined = one.assign(n=one.bsm.str[10:]).merge(two.assign(n=two.bsm.str[10:]), on="n")
    moved = []
    for a, b in zip(joined.geometry_x, joined.geometry_y, strict=True):
        p, q = (shapely.get_coordinates(g.geoms[0].exterior) for g in (a, b))
        assert len(p) == len(q)
        moved.append(GEOD.inv(*p.T, *q.T)[2])
    far = np.concatenate(moved)
    assert NOISE_M * 0.9 < far.max() <= TOLERANCE_M
    assert (far > 0).mean() > 0.3


def classes(rule: str) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """The features of both layers that exclude each other, chosen here and not by the generator."""
    r = next(x for x in plan_truth.RELATIONS if x.number == rule)
    a, b = frame(r.layer_a), frame(r.layer_b)
    land_built = a["dldm"].str.startswith("2") & (a["dldm"] != "225") if "land_plan" in r.layer_a else None
    keep_a, keep_b = np.ones(len(a), bool), np.ones(len(b), bool)
    if rule == "L1":
        keep_a, keep_b = land_built, b["dldm"].str.startswith("E")
    elif rule == "L2":
        keep_a, keep_b = ~land_built, ~b["dldm"].str.startswith("E")
    elif rule == "F2":
        keep_b = ~b["dldm"].str.startswith("E")
    elif rule == "E2":
        keep_b = b["kqlx"].isin(["mining_right", "exploration_right"])
    elif rule == "W1":
        keep_a = a["dldm"].isin(["111", "112", "113"])
    elif rule in ("R1", "H1"):
        keep_a = a["dldm"].str[:2].isin(["07", "08", "09", "10", "11", "12", "13", "15"])
        if rule == "H1":
            keep_b = b["qhlx"] == "protection"
    return a[keep_a], b[keep_b]


@pytest.mark.parametrize("rule", [r.number for r in plan_truth.RELATIONS])
def test_conflicts_are_the_planted_ones_and_none_else(rule: str) -> None:
    a, b = classes(rule)
    met = gpd.overlay(a[["bsm", "geometry"]], b[["bsm", "geometry"]], keep_geom_type=True)
    # Pieces are looked at one by one: a real place may have slivers of the same two features elsewhere.
    pieces = met.explode(ignore_index=True)
    real = pieces[[width(g) > TOLERANCE_M for g in pieces.geometry]]
    wanted = [s for s in plan_truth.truth("small") if s.rule == rule]
    assert len(wanted) >= 2
    found = {key: list(part.geometry) for key, part in real.groupby(["bsm_1", "bsm_2"])}
    assert set(found) == {(s.bsm_a, s.bsm_b) for s in wanted}
    for s in wanted:
        near = [g for g in found[s.bsm_a, s.bsm_b] if shapely.area(shapely.intersection(g, s.geometry)) > 0]
        assert sum(area(g) for g in near) == pytest.approx(area(s.geometry), abs=1.0)
        assert s.area_m2 == pytest.approx(area(s.geometry), abs=1e-3)
    assert sum(len(g) for g in found.values()) == sum(len(shapely.get_parts(s.geometry)) for s in wanted)
    if rule in ("L1", "L2", "F1", "F2", "E1"):
        assert len(pieces) > len(real), "there should be slivers to tell apart"


def test_spots_say_what_the_plans_say() -> None:
    spots = plan_truth.truth("small")
    for s in spots:
        for layer, bsm, code in ((s.layer_a, s.bsm_a, s.class_a), (s.layer_b, s.bsm_b, s.class_b)):
            row = frame(layer).set_index("bsm").loc[bsm]
            assert code is None or code in row.tolist()
        assert s.kind in CODES["difference_kind"].titles()
    assert {s.shape for s in spots} == {"plot", "hole", "strip", "ring", "cut"}
    assert [(s.rule, s.bsm_a, s.area_m2) for s in spots] == [
        (s.rule, s.bsm_a, s.area_m2)
        for s in plan_truth.spots_of(plans.Plans(plans.City("small", 0)))
        if s.until is None
    ]


def test_every_row_says_it_is_an_example() -> None:
    for layer in loading.LAYERS:
        if layer.startswith("planning."):
            assert frame(layer)["bz"].str.contains("示例").all()


@pytest.fixture
def conn(fresh_urls: Urls) -> Iterator[psycopg2.extensions.connection]:
    conn = psycopg2.connect(fresh_urls.owner)
    sync(conn, *read_layers(Path(__file__).resolve().parents[2] / "layers"))
    yield conn
    conn.close()


AT = """SELECT bsm, dldm FROM (SELECT fid, bsm, dldm, valid_from, valid_to FROM planning.master_plan
  UNION ALL SELECT fid, bsm, dldm, valid_from, valid_to FROM history."planning.master_plan" WHERE sys_to = 'infinity') v
  WHERE valid_from <= %(at)s AND %(at)s < valid_to"""


def test_the_amended_plan_has_a_past_and_is_cleared_with_it(conn: Any, fresh_urls: Urls) -> None:
    demo.load(fresh_urls.owner, "small", layers=[FIRST, SECOND])
    with conn, conn.cursor() as cur:
        cur.execute(AT, {"at": "2020-01-01"})
        before = dict(cur.fetchall())
        cur.execute(AT, {"at": "2024-01-01"})
        after = dict(cur.fetchall())
    assert after == dict(zip(frame(SECOND).bsm, frame(SECOND).dldm, strict=True))
    assert set(before) == set(after)
    amended = plans.amendments("small", SECOND)
    assert {k for k in after if before[k] != after[k]} == {a.bsm for a in amended} != set()
    then, now = plan_truth.truth("small", date(2020, 1, 1)), plan_truth.truth("small", date(2024, 1, 1))
    assert now == plan_truth.truth("small")
    for s in then:
        if s.layer_b == SECOND:
            assert before[s.bsm_b] == s.class_b
    assert {s.bsm_b for s in set(now) - set(then)} | {s.bsm_b for s in set(then) - set(now)} == {a.bsm for a in amended}
    assert read_catalogue(conn).layer(SECOND).synthetic
    conn.commit()
    removed = demo.clear(fresh_urls.owner)
    assert removed == {FIRST: len(frame(FIRST)), SECOND: len(after)}
    with conn, conn.cursor() as cur:
        cur.execute(AT, {"at": "2020-01-01"})
        assert cur.fetchall() == []
