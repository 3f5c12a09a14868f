# SPDX-License-Identifier: Apache-2.0
"""Trails made to order: the order against all orders, times against the ellipsoid, hours, and what is no stop."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import jsonschema
import numpy as np
import orjson
import pytest
from geographiclib.geodesic import Geodesic

from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.errors import InvalidParameter
from geocloud.jobs.inputs import read_inputs
from geocloud.jobs.run import Run, open_run
from geocloud.network.graph import build
from geocloud.sectors.culture import trail
from geocloud.sectors.culture.order import length, order_all, order_within
from geocloud.sectors.registry import definitions
from geocloud.settings import Settings
from tests.network.conftest import write_roads

SETTINGS = Settings()
HERE = (115.98, 36.45)
MORNING = "2026-05-01T09:00:00+08:00"
CGCS2000 = Geodesic(6378137.0, 1 / 298.257222101)
# code, name, lon, lat, position_quality
SITES: list[tuple[Any, ...]] = [
    ("H1", "一号塔", 115.985, 36.45, "surveyed"),
    ("H2", "二号楼", 115.99, 36.45, "digitised"),
    ("H3", "三号桥", 115.985, 36.455, None),
    ("H4", "某乡遗址", 115.982, 36.451, "area"),
    ("H5", "失考", None, None, "none"),
    ("X1", "同号", 115.981, 36.45, "surveyed"),
]
# code, lon, lat, hours
VENUES = [("V1", 115.983, 36.45, "10:00-17:00"), ("V2", 115.99, 36.455, "周一闭馆"), ("X1", 115.979, 36.45, None)]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("back", [False, True])
def test_the_order_is_hardly_longer_than_the_shortest_of_all(seed: int, back: bool) -> None:
    rng = np.random.default_rng(seed)
    xy = rng.random((7, 2))
    costs = np.hypot(*(xy[:, None] - xy[None, :]).transpose(2, 0, 1))
    order, lost = order_all(costs, back=back)
    best = min(length(list(p), costs, back=back) for p in itertools.permutations(range(1, 7)))
    assert lost == [] and sorted(order) == list(range(1, 7))
    assert best - 1e-9 <= length(order, costs, back=back) <= best * 1.1


def test_what_cannot_be_reached_is_left_and_nothing_of_it_used() -> None:
    costs = np.array([[0, 1, np.inf, 2.0], [1, 0, np.inf, 1], [np.inf] * 4, [2, 1, np.inf, 0]])
    assert order_all(costs) == ([1, 3], [2])


@pytest.mark.parametrize("seed", range(6))
def test_as_many_as_fit_and_none_more(seed: int) -> None:
    rng = np.random.default_rng(seed)
    xy = rng.random((9, 2))
    costs = np.hypot(*(xy[:, None] - xy[None, :]).transpose(2, 0, 1))
    order = order_within(costs, 0.2, 2.0, 20)
    spent = length(order, costs) + 0.2 * len(order)
    assert spent <= 2.0 and len(set(order)) == len(order)
    for k in set(range(1, 9)) - set(order):
        ways = ([*order[:i], k, *order[i:]] for i in range(len(order) + 1))
        assert min(length(w, costs) for w in ways) + 0.2 * (len(order) + 1) > 2.0
    assert len(order_within(costs, 0, 100, 3)) == 3


@pytest.fixture(scope="module")
def city(urls: Urls) -> Urls:
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, *definitions(SETTINGS.city))
    with connect(urls.owner, application_name="test") as conn, conn.cursor() as cur:
        point = "ST_SetSRID(ST_MakePoint(%s, %s), 4490)"
        for code, name, lon, lat, quality in SITES:
            cur.execute(
                "INSERT INTO facility.heritage_site (code, name, county_name, position_quality, geom) "
                f"VALUES (%s, %s, '县', %s, {point})", (code, name, quality, lon, lat),
            )  # fmt: skip
        for code, lon, lat, hours in VENUES:
            cur.execute(
                "INSERT INTO facility.culture_venue (code, name, kind, hours, geom) "
                f"VALUES (%s, %s, 'museum', %s, {point})",
                (code, code, hours, lon, lat),
            )
    return urls


@pytest.fixture
def run(city: Urls) -> Iterator[Run]:
    with open_run(SETTINGS, city.reader, language="en") as found:
        yield found


def _names(found: trail.Trail) -> list[str]:
    return [f["properties"]["code"] for f in found.stops["features"]]


def test_chosen_stops_are_all_visited_with_times_and_hours(run: Run) -> None:
    found = trail.culture_trail(run, *HERE, ["H2", "V1", "H1", "V2"], stay_min=20, begins=MORNING, along="straight")
    assert _names(found) == ["V1", "H1", "H2", "V2"]
    assert found.document["along"] == "straight" and "crow" in found.document["notes"][0]["en"]
    at, now, metres = HERE, datetime.fromisoformat(MORNING), 0.0
    for feature in found.stops["features"]:
        place, told = feature["geometry"]["coordinates"], feature["properties"]
        leg = float(CGCS2000.Inverse(at[1], at[0], place[1], place[0])["s12"])
        now += timedelta(seconds=leg / (4.5 / 3.6))
        assert told["walk_m"] == pytest.approx(leg, abs=0.06)
        assert abs(datetime.fromisoformat(told["arrives"]) - now) < timedelta(seconds=1.01)
        now += timedelta(minutes=20)
        at, metres = tuple(place), metres + leg
    assert found.document["length_m"] == pytest.approx(metres, abs=0.2)
    assert found.document["walk_min"] == pytest.approx(metres / 75, abs=0.1)
    states = {
        f["properties"]["code"]: (f["properties"]["open"], f["properties"]["opens"]) for f in found.stops["features"]
    }
    assert states["V1"] == ("opens-later", "2026-05-01T10:00:00+08:00")
    assert states["V2"] == ("not-known", None), "closed Mondays are not guessed at"
    assert found.document["hours_not_known"] == 3
    late = trail.culture_trail(run, *HERE, ["V1"], begins="2026-05-01T18:00:00+08:00", along="straight")
    assert late.stops["features"][0]["properties"]["open"] == "closed"
    assert len(found.way["features"]) == 4
    again = trail.culture_trail(run, *HERE, ["H2", "V1"], begins=MORNING, along="straight", back=True)
    assert again.way["features"][-1]["geometry"]["coordinates"][-1] == list(HERE)


def test_rough_positions_are_never_stops_unsaid(run: Run) -> None:
    found = trail.culture_trail(run, *HERE, theme="heritage", minutes=300, stay_min=5, begins=MORNING, along="straight")
    assert "H4" not in _names(found) and {"H1", "H2", "H3"} <= set(_names(found))
    assert [(x["code"], x["why"]) for x in found.document["left_out"]] == [("H4", "approximate")]
    assert any("township" in n["en"] for n in found.document["notes"])
    told = trail.culture_trail(run, *HERE, ["H4", "H5"], begins=MORNING, approximate=True, along="straight")
    (feature,) = told.stops["features"]
    assert feature["properties"]["approximate"] is True and told.document["approximate"] == 1
    assert any("rough position" in n["en"] for n in told.document["notes"])
    assert [(x["code"], x["why"]) for x in told.document["left_out"]] == [("H5", "no-position")]
    with pytest.raises(InvalidParameter):
        trail.culture_trail(run, *HERE, ["H4", "H5"], begins=MORNING, along="straight")


def test_a_theme_fills_the_time(run: Run) -> None:
    short = trail.culture_trail(run, *HERE, minutes=45, stay_min=15, begins=MORNING, along="straight")
    assert short.document["fits"] and short.document["total_min"] <= 45
    long = trail.culture_trail(run, *HERE, minutes=400, stay_min=15, most=3, begins=MORNING, along="straight")
    assert long.document["stops"] == 3 > short.document["stops"] - 2
    with pytest.raises(InvalidParameter):
        trail.culture_trail(run, *HERE, minutes=10, stay_min=30, begins=MORNING, along="straight")


def test_along_roads_is_longer_and_follows_them(run: Run, city: Urls) -> None:
    # A square round the two sites: from the south-west corner to the north-east one there is no way across.
    ring = [(115.98, 36.45), (115.985, 36.45), (115.99, 36.45), (115.99, 36.455), (115.985, 36.455), (115.98, 36.455)]
    sides = list(zip(ring, ring[1:], strict=False))
    write_roads(city.writer, [{"wkt": f"LINESTRING({a[0]} {a[1]}, {b[0]} {b[1]})"} for a, b in sides])
    build(SETTINGS, city.writer)
    with open_run(SETTINGS, city.reader, language="en") as fresh:
        found = trail.culture_trail(fresh, *HERE, ["H3"], begins=MORNING)
    straight = trail.culture_trail(run, *HERE, ["H3"], begins=MORNING, along="straight").document["length_m"]
    assert found.document["along"] == "roads" and found.document["notes"] == []
    way = sum(float(CGCS2000.Inverse(a[1], a[0], b[1], b[0])["s12"]) for a, b in sides[:4])
    assert found.document["length_m"] == pytest.approx(way, rel=2e-3) and way > 1.5 * straight
    assert found.document["walk_min"] == pytest.approx(way / 75, rel=2e-3)
    line = found.way["features"][0]["geometry"]["coordinates"]
    assert [115.99, 36.455] in [[round(x, 5), round(y, 5)] for x, y in line]


@pytest.mark.parametrize("keys", [["X1"], ["nobody"], ["facility.culture_venue/H1"]])
def test_codes_that_name_none_or_several_are_refused(run: Run, keys: list[str]) -> None:
    with pytest.raises(InvalidParameter) as told:
        trail.culture_trail(run, *HERE, keys, begins=MORNING)
    assert keys[0].rpartition("/")[2] in told.value.en
    found = trail.culture_trail(run, *HERE, ["facility.culture_venue/X1"], begins=MORNING, along="straight")
    assert found.stops["features"][0]["properties"]["layer"] == "facility.culture_venue"


def test_the_process_gives_what_it_says(run: Run) -> None:
    inputs = read_inputs(trail.PROCESS, {"start": {"type": "Point", "coordinates": list(HERE)}, "begins": MORNING,
                                         "along": "straight", "minutes": 120})  # fmt: skip
    out = trail.PROCESS.run(run, inputs, frozenset({"trail", "stops", "way"}))
    for output in trail.PROCESS.outputs:
        value = out[output.name]
        jsonschema.validate(value if output.name == "trail" else orjson.loads(value.data), output.schema)
    assert orjson.loads(out["stops"].data)["features"]
