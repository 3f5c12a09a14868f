# SPDX-License-Identifier: Apache-2.0
"""Plans against plans: the demo's planted conflicts and none else, partitions that close, slivers told apart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.demo.plan_truth import RELATIONS, truth
from geocloud.demo.plans import AMENDED
from geocloud.errors import CatalogueError, InvalidParameter
from geocloud.features.moment import Moment
from geocloud.geodesy.straight import straight_areas
from geocloud.jobs.run import Run, open_run
from geocloud.planning.comparison import Compared, csv_of, features_of, run_comparison
from geocloud.planning.conflicts import Found, compare
from geocloud.planning.matrix import folder_of_the_house, matrix_of, read_matrix
from geocloud.planning.slivers import KINDS, apart, inner, measure, reach_of, sliver_kinds
from geocloud.settings import Settings
from tests.planning.plan_pair import A, B, box, matrix, publish, put

SETTINGS = Settings()


@pytest.fixture(scope="module")
def city(urls: Urls) -> Urls:
    layers, codes = read_layers(SETTINGS.city.layers_folder)
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, layers, codes)
    wanted = ["planning.plan_area", "base.county", *{i for r in RELATIONS for i in (r.layer_a, r.layer_b)}]
    demo.load(urls.owner, "small", layers=wanted)
    return urls


@pytest.fixture
def run(city: Urls) -> Iterator[Run]:
    with open_run(SETTINGS, city.reader) as opened:
        yield opened


def compared(run: Run, **how: Any) -> Compared:
    return run_comparison(run, matrix_of("house", run.catalogue.layers, SETTINGS.web), **how)


@pytest.mark.parametrize("at", [None, date(2020, 1, 1)], ids=["now", "before the plan was amended"])
def test_all_planted_conflicts_are_found_and_none_else(run: Run, at: date | None) -> None:
    answer = compared(run, valid=at.isoformat() if at else None)
    wanted = truth("small", at)
    assert (at is None) or (at < AMENDED)
    for number in (r.number for r in RELATIONS):
        planted = [s for s in wanted if s.rule == number]
        found = [f for f in answer.found if f.rule.number == number]
        assert sorted((f.key_a, f.key_b) for f in found) == sorted((s.bsm_a, s.bsm_b) for s in planted), number
        for s in planted:
            same = [f for f in found if (f.key_a, f.key_b) == (s.bsm_a, s.bsm_b)]
            # The same edges: straight in longitude and latitude.
            area = float(straight_areas(np.array([s.geometry], dtype=object))[0])
            assert sum(f.area_m2 for f in same) == pytest.approx(area, abs=1.0)
            assert same[0].rule.kind == s.kind
            assert s.class_b in (None, same[0].class_b)
            assert s.class_a in (None, same[0].class_a)
    assert answer.document["spots"] == len(wanted)
    assert all(r["tolerance_m"] == 1.0 for r in answer.document["rules"])
    if at is None:
        told = compared(run, slivers=True)
        assert [f for f in told.found if f.kind == "none"] == list(answer.found)
        for one, all_ in zip(answer.document["rules"], told.document["rules"], strict=True):
            assert one["pairs"] == all_["pairs"] >= all_["seams"]
            assert [one[k] for k in ("seams", "slivers", "sliver_area_m2", "sliver_kinds")] == [None] * 4
            assert (all_["slivers"] == 0) == (all_["sliver_kinds"] == {})
        assert sum(r["seams"] for r in told.document["rules"]) > 100
        assert sum(sum(r["sliver_kinds"].values()) for r in told.document["rules"]) > 300


def test_inside_and_outside_add_up_to_each_plan(run: Run) -> None:
    plans = compared(run).document["plans"]
    assert len(plans) == 11
    for p in plans:
        assert p["closure"] < 1e-9
        assert 0 < p["inside_m2"] < p["area_m2"]
        layer = run.catalogue.layers[p["layer"]]
        with run.reader.cursor() as cur:
            cur.execute(f"SELECT count(*), sum(ST_Area(geom::geography)) FROM {layer.table}")
            count, area = cur.fetchone() or (0, 0.0)
        assert p["features"] == count
        # PostGIS joins corners by geodesics, over plots of up to 5 km.
        assert p["area_m2"] == pytest.approx(area, rel=1e-4)


def test_two_plans_alone_and_what_is_refused(run: Run) -> None:
    two = compared(run, plans=["planning.land_plan", "planning.master_plan"]).document
    assert [r["number"] for r in two["rules"]] == ["L1", "L2"]
    assert [p["layer"] for p in two["plans"]] == ["planning.land_plan", "planning.master_plan"]
    for plans, said in ((["planning.land_plan", "base.road"], "does not compare"),
                        (["planning.land_plan", "planning.mining_right"], "No rule")):  # fmt: skip
        with pytest.raises(InvalidParameter, match=said):
            compared(run, plans=plans)
    with pytest.raises(InvalidParameter, match="as plans are now"):
        compared(run, valid="2020-01-01", keep=True)


def test_the_same_question_has_the_same_answer(run: Run) -> None:
    one, two = compared(run), compared(run)
    assert one.document["fingerprint"] == two.document["fingerprint"]
    features = features_of(one)["features"]
    assert len(features) == one.document["spots"]
    assert all(f["properties"]["synthetic"] and f["properties"]["splx"] == "none" for f in features)
    assert csv_of(one).decode("utf-8-sig").count("\n") == len(features) + 1
    assert compared(run, slivers=True).document["fingerprint"] != one.document["fingerprint"]


def test_spots_of_made_up_plans_are_marked_as_such(city: Urls) -> None:
    with open_run(SETTINGS, city.reader, writer_url=city.writer) as run:
        assert compared(run, keep=True).document["recorded"]["new"] == len(truth("small"))
    with open_run(SETTINGS, city.reader) as run:
        assert run.catalogue.layers["planning.difference_spot"].synthetic


def test_every_rule_of_the_house_is_marked_as_an_example() -> None:
    found, _ = read_matrix(folder_of_the_house() / "house.yaml")
    assert all(r.legal.example for r in found.rules)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('kind: "3"', 'kind: "3"\n    colour: red', 18, "colour"),
        ("number: L2", "number: L1", None, "twice"),
        ("LIKE '2%' AND", "LIKE '2%' AND AND", 15, "`AND` stands"),
        ("master_plan, class_field: dldm", "master_plan, class_field: nothing", 16, "no field `nothing`"),
        ("b: {layer: planning.master_plan", "b: {layer: planning.land_plan", 13, "same layer"),
        ("b: {layer: planning.master_plan", "b: {layer: base.road", 16, "no polygon layer"),
        ("tolerance_m: 1.0", "tolerance_m: wide", 7, "tolerance_m"),
    ],
)  # fmt: skip
def test_faults_of_a_matrix_are_told_with_their_line(
    run: Run, tmp_path: Path, old: str, new: str, line: int | None, said: str
) -> None:
    text = (folder_of_the_house() / "house.yaml").read_text()
    assert old in text
    (tmp_path / "house.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(CatalogueError, match=said) as caught:
        matrix_of("house", run.catalogue.layers, SETTINGS.web, tmp_path)
    at = caught.value.context["line"]
    assert at == line or said == "twice", caught.value.en
    assert "house.yaml" in caught.value.en


@pytest.fixture(scope="module")
def pair(cluster: Any, request: pytest.FixtureRequest) -> Iterator[Urls]:
    """A database with two empty plans."""
    from tests.conftest import _fresh, _urls_of

    for name in _fresh(cluster):
        found = _urls_of(cluster, name)
        publish(found)
        yield found


def found_in(urls: Urls, **changed: Any) -> list[Found]:
    with open_run(SETTINGS, urls.reader) as run:
        trial = matrix(**changed)
        return [f for _, _, own in compare(run, trial, trial.rules, Moment(), slivers=True) for f in own]


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        (box(900, 0, 1000, 100), "none"),
        (box(999.5, 0, 1000, 100), "edge_offset"),
        (box(400, 40, 600, 40.6), "narrow"),
        (box(400, 40, 400.9, 40.9), "narrow"),
        (box(400, 40, 401.5, 40.4), "narrow"),
        (box(999.99, 0, 1000, 100), "rounding"),
        (box(400, 40, 600, 42.5), "none"),
        # A place of 10 m with a tail so long that it is thin on average.
        (box(400, 40, 410, 50).union(box(410, 45, 900, 45.5)), "none"),
    ],
    ids=["place", "border twice", "strip", "crumb", "small", "rounded", "wide strip", "place with a tail"],
)  # fmt: skip
def test_slivers_are_told_apart(pair: Urls, shape: Any, kind: str) -> None:
    put(pair, A, {"a": ("built", box(0, 0, 1000, 100))})
    over = shape.union(box(1000, 0, 2000, 100)) if kind == "edge_offset" or "999" in str(shape.bounds) else shape
    put(pair, B, {"b": ("open", over)})
    found = found_in(pair)
    assert [f.kind for f in found] == [kind]
    assert found[0].area_m2 == pytest.approx(straight_areas(np.array([found[0].geometry]))[0])


def test_the_least_area_makes_crumbs_of_what_is_wide_enough(pair: Urls) -> None:
    put(pair, A, {"a": ("built", box(0, 0, 1000, 100))})
    put(pair, B, {"b": ("open", box(400, 40, 410, 50))})
    assert [f.kind for f in found_in(pair, least_m2=50.0)] == ["none"]
    assert [f.kind for f in found_in(pair, least_m2=500.0)] == ["small"]
    assert [f.kind for f in found_in(pair, tolerance_m=30.0)] == ["narrow"]


cells = st.lists(st.sampled_from(["built", "open"]), min_size=16, max_size=16)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells, cells, st.floats(-40, 40), st.floats(-40, 40))
def test_random_partitions_close_and_are_what_shapely_says(
    pair: Urls, one: list[str], two: list[str], east: float, north: float
) -> None:
    """Two partitions of 4 by 4 plots, the second one shifted: areas by pair, and inside with outside the whole."""
    plots = [box(100 * (k % 4), 100 * (k // 4), 100 * (k % 4 + 1), 100 * (k // 4 + 1)) for k in range(16)]
    moved = [shapely.transform(p, lambda c: c + (east / 89_500, north / 110_970)) for p in plots]
    put(pair, A, {f"a{k:02}": (one[k], plots[k]) for k in range(16)})
    put(pair, B, {f"b{k:02}": (two[k], moved[k]) for k in range(16)})
    trial = matrix()
    with open_run(SETTINGS, pair.reader) as run:
        answer = run_comparison(run, trial, slivers=True)
        # What is passed over uncut would not have been a difference.
        assert run_comparison(run, trial).found == tuple(f for f in answer.found if f.kind == "none")
    sums: dict[tuple[str, str], float] = {}
    for f in answer.found:
        sums[f.key_a, f.key_b] = sums.get((f.key_a, f.key_b), 0.0) + f.area_m2
    for i in range(16):
        for k in range(16):
            shared = (
                shapely.intersection(plots[i], moved[k]) if (one[i], two[k]) == ("built", "open") else shapely.Polygon()
            )
            area = float(straight_areas(np.array([shared], dtype=object))[0])
            assert sums.get((f"a{i:02}", f"b{k:02}"), 0.0) == pytest.approx(area, abs=1e-6)
    for p in answer.document["plans"]:
        assert p["closure"] < 1e-9
        assert p["features"] == 16


def test_a_large_shape_around_many_small_ones(pair: Urls) -> None:
    """Shapes with many corners take the way without cutting; holes and islands must come out all the same."""
    ring = shapely.difference(shapely.segmentize(box(0, 0, 1000, 1000), 1e-4), box(300, 300, 700, 700))
    small = {
        f"b{i}{k}": ("open", box(100 * i + 20, 100 * k + 20, 100 * i + 120, 100 * k + 80))
        for i in range(10)
        for k in range(10)
    }
    put(pair, A, {"a": ("built", ring)})
    put(pair, B, small)
    found = found_in(pair)
    for key, (_, shape) in small.items():
        area = float(straight_areas(np.array([shapely.intersection(ring, shape)], dtype=object))[0])
        assert sum(f.area_m2 for f in found if f.key_b == key) == pytest.approx(area, abs=1e-6)


def test_pairs_whose_reach_keeps_them_apart_share_no_place() -> None:
    """Against the test that all others go through: what lies further within than half the tolerance."""
    rng = np.random.default_rng(3)
    corners = shapely.points(rng.uniform(0, 1000, (400, 2)) * (1 / 89_500, 1 / 110_970) + (115.5, 36.0))
    discs = shapely.buffer(corners, rng.uniform(1e-4, 9e-4, 400), quad_segs=3)
    stars = shapely.transform(discs, lambda c: c + 3e-5 * np.sin(c[:, ::-1] * 4e4))
    shapes = np.asarray(shapely.make_valid(stars, method="structure", keep_collapsed=False), dtype=object)
    i, k = shapely.STRtree(shapes).query(shapes)
    for tolerance_m in (1e-3, 1.0, 20.0):
        kept = apart(reach_of(shapes), reach_of(shapes), i, k, tolerance_m)
        deep = shapely.intersects(inner(shapes, tolerance_m)[i], shapes[k])
        assert not (kept & deep).any()
        assert kept[~deep].mean() > 0.2
    assert not apart(reach_of(shapes[:0]), reach_of(shapes), i[:0], k[:0], 1.0).size
    assert np.isnan(reach_of(np.array([shapely.Polygon(), shapes[0]])).low[:, 0]).all()


def test_a_missing_or_empty_plan_is_not_judged(pair: Urls) -> None:
    put(pair, A, {"a": ("built", box(0, 0, 1, 1))})
    put(pair, B, {})
    for changed in ({}, {"b": {"layer": "test.gone"}}):
        with open_run(SETTINGS, pair.reader) as run:
            rule = run_comparison(run, matrix(**changed)).document["rules"][0]
        assert rule["judged"] is False
        assert rule["why"]["zh"] and rule["why"]["en"]


def test_a_polygon_that_crosses_itself_stops_nobody(pair: Urls) -> None:
    west, south, east, north = box(0, 0, 1000, 1000).bounds
    bow = shapely.polygons([(west, south), (east, north), (east, south), (west, north), (west, south)])
    put(pair, A, {"a": ("built", bow), "c": ("built", box(2000, 0, 2100, 100))})
    put(pair, B, {"b": ("open", box(600, 300, 900, 700)), "d": ("open", box(2000, 0, 2100, 100))})
    found = found_in(pair)
    assert {(f.key_a, f.key_b) for f in found} == {("a", "b"), ("c", "d")}
    sound = shapely.intersection(shapely.make_valid(bow), box(600, 300, 900, 700))
    area = float(straight_areas(np.array([sound], dtype=object))[0])
    assert sum(f.area_m2 for f in found if f.key_a == "a") == pytest.approx(area, abs=1e-3)


def test_kinds_of_nothing() -> None:
    none = np.empty(0, dtype=object)
    assert len(sliver_kinds(none, measure(none), 1.0, 1.0, none, none)) == 0
    assert KINDS[0] == "none"
