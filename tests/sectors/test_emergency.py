# SPDX-License-Identifier: Apache-2.0
"""Rings, dispatch and shelters on rows whose answers are known without the code."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator

import numpy as np
import pytest
import shapely
from geographiclib.geodesic import Geodesic
from scipy.optimize import linear_sum_assignment

from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.errors import InvalidBody, InvalidParameter
from geocloud.jobs.inputs import read_inputs
from geocloud.jobs.model import Process
from geocloud.jobs.run import Run, open_run, run_process
from geocloud.network.graph import build
from geocloud.network.speeds import read_speeds
from geocloud.sectors.emergency import PROCESSES, allocate, circle, dispatch
from geocloud.sectors.emergency.allocate import Demand
from geocloud.sectors.emergency.common import Origin
from geocloud.sectors.emergency.dispatch import Need
from geocloud.sectors.emergency.transport import allocate as transport
from geocloud.sectors.registry import definitions
from geocloud.settings import Settings
from tests.network.conftest import write_roads

SETTINGS = Settings()
HERE = (116.0, 36.5)
CGCS2000 = Geodesic(6378137.0, 1 / 298.257222101)
BY_ID: dict[str, Process] = {p.id: p for p in PROCESSES}


def _east(metres: float) -> tuple[float, float]:
    """A point on the road east of HERE, at a latitude where a degree is as long as there."""
    return HERE[0] + metres / _degree(), HERE[1]


def _degree() -> float:
    return float(CGCS2000.Inverse(HERE[1], HERE[0], HERE[1], HERE[0] + 0.01)["s12"]) * 100


def _metres(a: tuple[float, float], b: tuple[float, float]) -> float:
    return float(CGCS2000.Inverse(a[1], a[0], b[1], b[0])["s12"])


def _square(west: float, south: float, side: float) -> str:
    return shapely.box(west, south, west + side, south + side).wkt


# A road from west to east in pieces of 1 km, and one far in the north that no road leads to.
ROADS = [
    {"wkt": f"LINESTRING({_east(k * 1000)[0]} 36.5, {_east(k * 1000 + 1000)[0]} 36.5)", "class": "branch"}
    for k in range(-6, 8)
] + [{"wkt": "LINESTRING(116 36.6, 116.05 36.6)", "class": "branch"}]
STORES = [("K1", _east(2000)), ("K2", _east(-1500)), ("K3", _east(5000)), ("K4", (116.02, 36.6)), ("K5", (116.3, 36.5))]
STOCK = [
    ("K1", "tent", 30, "顶"), ("K2", "tent", 50, "顶"), ("K3", "tent", 100, "顶"), ("K4", "tent", 500, "顶"),
    ("K1", "pump", 2, "台"), ("K3", "tent_", 9, "顶"), ("K5", "quilt", 7, "床"), ("K2", "food", 4, "箱"),
    ("K1", "food", 90, "公斤"),
]  # fmt: skip
TEAMS = [("D1", "fire", _east(3000), "running"), ("D2", "medical", _east(-500), "running"),
         ("D3", "fire", _east(800), "stopped"), ("D4", "fire", _east(6500), None)]  # fmt: skip
VILLAGES: list[tuple[str, int | None, str]] = [
    ("V1", 1000, _square(115.999, 36.499, 0.002)), ("V2", 4000, _square(116.0, 36.501, 0.02)),
    ("V3", None, _square(115.98, 36.48, 0.02)), ("V4", 500, _square(116.2, 36.5, 0.01)),
]  # fmt: skip
SHELTERS: list[tuple[str, int | None, tuple[float, float], str | None]] = [
    ("Y1", 300, _east(600), "running"), ("Y2", 800, _east(2500), None), ("Y3", None, _east(700), None),
    ("Y4", 900, _east(400), "stopped"), ("Y5", 5000, (116.2, 36.5), None),
]  # fmt: skip


@pytest.fixture(scope="module")
def run(urls: Urls) -> Iterator[Run]:
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, *definitions(SETTINGS.city))
    write_roads(urls.writer, ROADS)
    with connect(urls.writer, application_name="test") as conn, conn.cursor() as cur:
        at = "ST_SetSRID(ST_MakePoint(%s, %s), 4490)"
        for code, (x, y) in STORES:
            cur.execute(f"INSERT INTO emergency.store (code, name, geom) VALUES (%s, %s, {at})", (code, code, x, y))
        for row in STOCK:
            cur.execute("INSERT INTO emergency.stock (store_code, item, quantity, unit) VALUES (%s, %s, %s, %s)", row)
        for code, kind, (x, y), state in TEAMS:
            cur.execute(
                f"INSERT INTO emergency.team (code, name, kind, state, geom) VALUES (%s, %s, %s, %s, {at})",
                (code, code, kind, state, x, y),
            )
        for code, people, wkt in VILLAGES:
            cur.execute(
                "INSERT INTO base.village (code, name, population, geom) "
                "VALUES (%s, %s, %s, ST_GeomFromText(%s, 4490))",
                (code, code, people, wkt),
            )
        for code, capacity, (x, y), state in SHELTERS:
            cur.execute(
                f"INSERT INTO facility.shelter (code, name, capacity, state, geom) VALUES (%s, %s, %s, %s, {at})",
                (code, code, capacity, state, x, y),
            )
        for n, metres in enumerate((100, 400, 700, 2500)):
            x, y = _east(metres)
            cur.execute(
                f"INSERT INTO emergency.hazard (code, name, kind, geom) VALUES (%s, %s, 'chemical', {at})",
                (f"W{n}", f"W{n}", x, y),
            )
        cur.execute(
            "INSERT INTO base.city (code, name, geom) VALUES ('371500', '市', ST_Multi(ST_GeomFromText(%s, 4490)))",
            (_square(115.5, 36.0, 1.0),),
        )
    build(SETTINGS, urls.writer)
    with open_run(SETTINGS, urls.reader, language="en") as found:
        yield found


def test_rings_count_what_is_in_each(run: Run) -> None:
    d = circle.incident_circle(run, Origin(shapely.Point(HERE)), (1000, 500, 3000), nearest=2)
    assert [(r["from_m"], r["to_m"]) for r in d["rings"]] == [(0, 500), (500, 1000), (1000, 3000)]
    assert [r["counts"]["emergency.hazard"] for r in d["rings"]] == [2, 1, 1]
    assert [r["within"]["emergency.hazard"] for r in d["rings"]] == [2, 3, 4]
    by = {f["layer"]: f for f in d["layers"]}
    assert [n["code"] for n in by["emergency.hazard"]["nearest"]] == ["W0", "W1"]
    assert by["emergency.hazard"]["nearest"][1]["distance_m"] == pytest.approx(400, abs=0.05)
    # A layer without rows is not a place without schools.
    assert (by["facility.school"]["verdict"], by["facility.school"]["within"]) == ("not-judged", [])
    assert d["rings"][0]["counts"]["facility.school"] is None
    json.dumps(d)


def test_persons_are_the_shares_of_villages(run: Run) -> None:
    radius = 1_500.0
    d = circle.incident_circle(run, Origin(shapely.Point(HERE)), (radius,))
    fine = shapely.Polygon([tuple(CGCS2000.Direct(HERE[1], HERE[0], a / 2, radius)[k] for k in ("lon2", "lat2"))
                            for a in range(720)])  # fmt: skip
    expected = 0.0
    for _, people, wkt in VILLAGES:
        shape = shapely.from_wkt(wkt)
        expected += (people or 0) * shape.intersection(fine).area / shape.area
    assert d["rings"][0]["persons"] == pytest.approx(expected, rel=2e-3)
    assert 1000 < expected < 5000
    assert (d["population"]["villages"], d["population"]["villages_left_out"]) == (2, 1)


def test_an_area_has_itself_as_its_first_ring(run: Run) -> None:
    area = shapely.box(*_east(-50), _east(450)[0], HERE[1] + 0.001)
    d = circle.incident_circle(run, Origin(area), (300,))
    assert [(r["from_m"], r["to_m"]) for r in d["rings"]] == [(0, 0), (0, 300)]
    assert [r["counts"]["emergency.hazard"] for r in d["rings"]] == [2, 1]
    by = {n["code"]: n["distance_m"] for f in d["layers"] if f["layer"] == "emergency.hazard" for n in f["nearest"]}
    assert by["W0"] == 0
    assert by["W2"] == pytest.approx(250, abs=0.1)


@pytest.mark.parametrize("radii", [[0], [-5], [30_001], [], [1, 2, 3, 4, 5, 6, 7]])
def test_radii_that_cannot_be(run: Run, radii: list[float]) -> None:
    with pytest.raises(InvalidBody, match="radii_m"):
        read_inputs(BY_ID["incident-circle"], {"point": {"type": "Point", "coordinates": list(HERE)}, "radii_m": radii})
    with pytest.raises(InvalidParameter, match="radii_m"):
        circle.incident_circle(run, Origin(shapely.Point(HERE)), radii)


def test_places_that_cannot_be(run: Run) -> None:
    outside = {"type": "Point", "coordinates": [120.0, 30.0]}
    bow = {"type": "Polygon", "coordinates": [[[116, 36.5], [116.1, 36.6], [116.1, 36.5], [116, 36.6], [116, 36.5]]]}
    for given, what in (
        ({"point": outside}, "outside the city"), ({}, "either"), ({"area": bow}, "Self-intersection"),
        ({"point": outside, "area": bow}, "either"), ({"area": {"type": "Polygon", "coordinates": [[1]]}}, "no area"),
        ({"area": {"type": "Polygon", "coordinates": [[[500, 1], [501, 1], [501, 2], [500, 1]]]}}, "outside longitude"),
    ):  # fmt: skip
        with pytest.raises(InvalidParameter, match=what):
            BY_ID["incident-circle"].run(run, read_inputs(BY_ID["incident-circle"], given), frozenset({"circle"}))
    with pytest.raises(InvalidParameter, match="outside the city"):
        dispatch.resource_dispatch(run, 120.0, 30.0)
    with pytest.raises(InvalidParameter, match="outside the city"):
        allocate.shelter_allocate(run, demands=[Demand("x", (120.0, 30.0), 5)])
    # Not in the city, but its rings reach into it.
    near = circle.incident_circle(run, Origin(shapely.Point(115.499, 36.5)), (5_000,))
    assert near["rings"][0]["counts"]["emergency.hazard"] == 0


def _seconds(metres: float) -> float:
    return metres * 3.6 / read_speeds().profiles["drive"].classes["branch"]


def test_stores_are_taken_by_drive_time_until_the_need_is_met(run: Run) -> None:
    d = dispatch.resource_dispatch(run, *HERE, [Need("tent", 70)], teams=2)
    assert d["verdict"] == "met"
    assert [(s["code"], s["stock"][0]["held"]) for s in d["stores"]] == [("K2", 50), ("K1", 30)]
    assert [s["seconds"] for s in d["stores"]] == pytest.approx([_seconds(1500), _seconds(2000)], abs=0.1)
    (need,) = d["needs"]
    assert (need["unit"], need["found"], need["missing"], need["stores"]) == ("顶", 70, 0, 2)
    assert need["met_after_s"] == pytest.approx(_seconds(2000), abs=0.1)
    # D3 is nearer than D1, and does not run.
    assert [t["code"] for t in d["teams"]] == ["D2", "D1"]
    lines = {f["properties"]["code"]: f for f in d["routes"]["features"]}
    assert set(lines) == {"K1", "K2", "D1", "D2"}
    assert lines["K1"]["properties"]["road_m"] == pytest.approx(2000, abs=0.5)
    assert lines["K1"]["geometry"]["coordinates"][0] == pytest.approx(_east(2000), abs=1e-6)
    assert lines["K1"]["geometry"]["coordinates"][-1] == pytest.approx(HERE, abs=1e-6)
    assert d["network"]["speeds"]["example"] is True
    json.dumps(d)


def test_what_cannot_be_reached_is_listed_apart_and_what_is_missing_said(run: Run) -> None:
    d = dispatch.resource_dispatch(run, *HERE, [Need("tent", 400)], teams=0)
    assert d["verdict"] == "short"
    assert (d["needs"][0]["found"], d["needs"][0]["missing"], d["needs"][0]["met"]) == (180, 220, False)
    assert [s["code"] for s in d["stores"]] == ["K2", "K1", "K3"]
    assert [(u["code"], u["why"]) for u in d["unreachable"]] == [("K4", "no open road leads there")]
    far = dispatch.resource_dispatch(run, *HERE, [Need("quilt", 1)], teams=0)
    assert [(u["code"], "no open road within" in u["why"]) for u in far["unreachable"]] == [("K5", True)]


def test_a_closure_cuts_the_east_off(run: Run) -> None:
    wall = {"type": "LineString", "coordinates": [[_east(500)[0], 36.4], [_east(500)[0], 36.55]]}
    d = dispatch.resource_dispatch(run, *_east(-100), [Need("tent", 70)], teams=3, closures=[wall])
    assert (d["verdict"], d["needs"][0]["missing"]) == ("short", 20)
    assert [s["code"] for s in d["stores"]] == ["K2"]
    assert {u["code"] for u in d["unreachable"]} == {"K1", "K3", "K4", "D1", "D4"}
    assert [t["code"] for t in d["teams"]] == ["D2"]


def test_units_are_not_added_up_with_others(run: Run) -> None:
    d = dispatch.resource_dispatch(run, *HERE, [Need("food", 50, "箱")], teams=0)
    (need,) = d["needs"]
    assert (need["found"], need["missing"], need["other_units"]) == (4, 46, ["公斤"])


def test_items_and_kinds_that_are_not_known(run: Run) -> None:
    with pytest.raises(InvalidParameter, match="no item `unobtainium`"):
        dispatch.resource_dispatch(run, *HERE, [Need("unobtainium", 1)])
    with pytest.raises(InvalidParameter, match="team_kinds"):
        dispatch.resource_dispatch(run, *HERE, team_kinds=["wizards"])
    for needs in ([{"item": "tent", "quantity": 0}], [{"item": "tent"}], [{"item": "tent", "quantity": -1}]):
        with pytest.raises(InvalidBody, match="needs"):
            read_inputs(
                BY_ID["resource-dispatch"], {"point": {"type": "Point", "coordinates": list(HERE)}, "needs": needs}
            )


def test_nothing_loaded_is_not_judged(fresh_urls: Urls) -> None:
    with connect(fresh_urls.owner, application_name="test") as conn:
        sync(conn, *definitions(SETTINGS.city))
    write_roads(fresh_urls.writer, ROADS)
    given = {"point": {"type": "Point", "coordinates": list(HERE)}, "needs": [{"item": "tent", "quantity": 5}]}
    process = BY_ID["resource-dispatch"]
    # The graph is made on the way.
    found = run_process(
        process, SETTINGS, read_inputs(process, given), frozenset({"plan"}), reader_url=fresh_urls.reader,
        writer_url=fresh_urls.writer, language="en",
    )["plan"]  # fmt: skip
    assert found["verdict"] == "not-judged"
    assert {n["layer"] for n in found["not_judged"]} == {"emergency.store", "emergency.stock", "emergency.team"}
    with open_run(SETTINGS, fresh_urls.reader, language="en") as empty:
        d = allocate.shelter_allocate(empty, demands=[Demand("x", HERE, 5)])
        assert (d["verdict"], d["left_over"]) == ("not-judged", None)
        ring = circle.incident_circle(empty, Origin(shapely.Point(HERE)))
        assert ring["population"]["verdict"] == "not-judged"
        assert ring["rings"][0]["persons"] is None


def test_the_least_total_way_by_another_method() -> None:
    """Against the Hungarian method on single persons and single places."""
    rng = np.random.default_rng(8)
    for _ in range(40):
        n, m = (int(v) for v in rng.integers(1, 6, 2))
        demand, room = rng.integers(0, 9, n), rng.integers(0, 9, m)
        cost = np.round(rng.random((n, m)) * 1000, 1)
        cost[rng.random((n, m)) < 0.25] = np.inf
        flow, total = transport(demand, room, cost)
        persons, places = np.repeat(np.arange(n), demand), np.repeat(np.arange(m), room)
        if not len(persons) or not len(places):
            assert flow.sum() == 0
            continue
        dear = 1e7
        single = np.where(np.isfinite(cost), cost, dear)[np.ix_(persons, places)]
        rows, columns = linear_sum_assignment(single)
        chosen = single[rows, columns]
        assert flow.sum() == (chosen < dear).sum()
        assert total == pytest.approx(chosen[chosen < dear].sum(), abs=1e-6)
        assert (flow.sum(axis=1) <= demand).all()
        assert (flow.sum(axis=0) <= room).all()
        assert not flow[~np.isfinite(cost)].any()


def test_a_nearer_shelter_is_given_up_where_that_is_shorter_for_all() -> None:
    # Greedy would send the first to the near one and the second far off.
    flow, total = transport(np.array([10, 10]), np.array([10, 10]), np.array([[100.0, 150.0], [110.0, 900.0]]))
    assert flow.tolist() == [[0, 10], [10, 0]]
    assert total == 10 * (150 + 110)


def test_shelters_under_their_room(run: Run) -> None:
    walk = 3.6 / read_speeds().profiles["walk"].classes["branch"]
    d = allocate.shelter_allocate(run, demands=[Demand("A", HERE, 350)], max_distance_m=4_000)
    assert (d["verdict"], d["placed"], d["left_over"], d["shelters_without_capacity"]) == ("placed", 350, 0, 1)
    assert {m["shelter"]: m["persons"] for m in d["allocation"]} == {"Y1": 300, "Y2": 50}
    assert d["total_cost"] == pytest.approx((300 * 600 + 50 * 2500) * walk, rel=1e-3)
    straight = allocate.shelter_allocate(run, demands=[Demand("A", HERE, 350)], max_distance_m=4_000, by="straight")
    assert straight["total_cost"] == pytest.approx(300 * 600 + 50 * 2500, rel=1e-5)


def test_more_people_than_places_are_told(run: Run) -> None:
    d = allocate.shelter_allocate(run, demands=[Demand("A", HERE, 900), Demand("B", _east(1000), 400)],
                                  max_distance_m=4_000)  # fmt: skip
    assert (d["verdict"], d["persons"], d["placed"], d["left_over"]) == ("left-over", 1300, 1100, 200)
    assert sum(x["left_over"] for x in d["demands"]) == 200
    assert {x["why"] for x in d["demands"] if x["left_over"]} == {"the shelters in reach are full"}
    assert d["notes"][0].startswith("200 left over: the shelters in reach are full (")
    assert d["notes"][-1] == "1 shelters of unknown capacity were not used."
    assert all(s["free"] == 0 for s in d["shelters"])
    alone = allocate.shelter_allocate(run, demands=[Demand("C", (116.0, 36.2), 7)], max_distance_m=1_000)
    assert (alone["placed"], alone["left_over"], alone["demands"][0]["why"]) == (0, 7, "no shelter is in reach")
    wall = {"type": "LineString", "coordinates": [[_east(1500)[0], 36.4], [_east(1500)[0], 36.55]]}
    cut = allocate.shelter_allocate(run, demands=[Demand("A", HERE, 900)], max_distance_m=4_000, closures=[wall])
    assert (cut["placed"], cut["left_over"]) == (300, 600)


def test_an_area_is_emptied_by_its_villages(run: Run) -> None:
    area = json.loads(shapely.to_geojson(shapely.box(115.995, 36.495, 116.01, 36.511)))
    d = allocate.shelter_allocate(run, area, max_distance_m=30_000, by="straight")
    expected = sum(
        (people or 0)
        * shapely.from_wkt(wkt).intersection(shapely.geometry.shape(area)).area
        / shapely.from_wkt(wkt).area
        for _, people, wkt in VILLAGES
    )
    assert d["persons"] == round(expected)
    assert d["villages_left_out"] == 1
    # Y1 is in the area itself.
    assert "Y1" not in {m["shelter"] for m in d["allocation"]}
    used = allocate.shelter_allocate(run, area, max_distance_m=30_000, by="straight", inside=True)
    assert "Y1" in {m["shelter"] for m in used["allocation"]}
    assert sum(m["persons"] for m in d["allocation"]) == d["placed"] == d["persons"]
    for a, b in itertools.pairwise(sorted(m["persons"] for m in d["allocation"])):
        assert 0 < a <= b
    assert math.isfinite(d["mean_cost"])


def test_neither_area_nor_demands_and_bad_numbers(run: Run) -> None:
    with pytest.raises(InvalidParameter, match="either"):
        allocate.shelter_allocate(run)
    point = {"type": "Point", "coordinates": list(HERE)}
    for given in ({"demands": [{"point": point, "persons": 0}]}, {"demands": [{"point": point, "persons": 1.5}]},
                  {"max_distance_m": 0}, {"by": "boat"}):  # fmt: skip
        with pytest.raises(InvalidBody):
            read_inputs(BY_ID["shelter-allocate"], given)
    nobody = json.loads(shapely.to_geojson(shapely.box(116.4, 36.9, 116.41, 36.91)))
    assert allocate.shelter_allocate(run, nobody)["verdict"] == "not-judged"
