# SPDX-License-Identifier: Apache-2.0
"""What is on near a place, and how far venues reach, on rows whose distances and hours are known."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
from geographiclib.geodesic import Geodesic

from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.errors import InvalidParameter
from geocloud.jobs.run import Run, open_run
from geocloud.jobs.worker import Links, supervise
from geocloud.sectors import registry
from geocloud.sectors.culture import PROCESSES, on, reach
from geocloud.sectors.culture.hours import next_open, read_hours
from geocloud.sectors.culture.near import within_and_nearest
from geocloud.sectors.registry import definitions
from geocloud.settings import Settings
from tests.jobs.conftest import settings_of, stop_workers
from tests.web.conftest import run_server

SETTINGS = Settings()
HERE = (115.98, 36.45)
EVENING = "2026-05-01T18:00:00+08:00/2026-05-01T22:00:00+08:00"
CGCS2000 = Geodesic(6378137.0, 1 / 298.257222101)
VENUES = [
    ("C1", "library", 115.981, 36.45, "09:00-17:00"),
    ("C2", "museum", 115.99, 36.45, "10:00-20:00"),
    ("C3", "bookroom", None, None, None),
]
# code, kind, begins, ends, free, venue, lon, lat
EVENTS: list[tuple[Any, ...]] = [
    ("concert", "performance", "2026-05-01T19:30+08", "2026-05-01T21:00+08", False, "C1", None, None),
    ("show", "exhibition", "2026-04-01T00:00+08", "2026-06-01T00:00+08", True, "C1", None, None),
    ("late show", "exhibition", "2026-04-01T00:00+08", "2026-06-01T00:00+08", True, "C2", None, None),
    ("fair", "festival", "2026-05-01T08:00+08", "2026-05-01T18:00+08", True, None, 115.98, 36.451),
    ("square", "performance", "2026-05-01T20:00+08", "2026-05-01T22:00+08", True, None, 115.98, 36.4501),
    ("far", "performance", "2026-05-01T20:00+08", "2026-05-01T22:00+08", True, None, 116.2, 36.45),
    ("nowhere", "reading", "2026-05-01T18:00+08", "2026-05-01T19:00+08", True, "C3", None, None),
]
TOWNS: list[tuple[str, str, int | None, str | None]] = [
    ("371502001", "一街道", 20_000, "POLYGON((115.97 36.44,115.985 36.44,115.985 36.46,115.97 36.46,115.97 36.44))"),
    ("371502100", "二镇", 5_000, "POINT(116.3 36.45)"),
    ("371502101", "三镇", None, "POINT(115.98 36.45)"),
    ("371502102", "四镇", 7_000, None),
]


@pytest.fixture(scope="module")
def run(urls: Urls) -> Iterator[Run]:
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, *definitions(SETTINGS.city))
    with connect(urls.owner, application_name="test") as conn, conn.cursor() as cur:
        for code, kind, lon, lat, hours in VENUES:
            cur.execute(
                "INSERT INTO facility.culture_venue (code, name, kind, hours, geom)"
                " VALUES (%s, %s, %s, %s, ST_SetSRID(ST_MakePoint(%s, %s), 4490))",
                (code, code, kind, hours, lon, lat),
            )
        for code, kind, begins, ends, free, venue, lon, lat in EVENTS:
            cur.execute(
                "INSERT INTO culture.event (code, name, category, starts_at, ends_at, free, venue_code, geom)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, ST_SetSRID(ST_MakePoint(%s, %s), 4490))",
                (code, code, kind, begins, ends, free, venue, lon, lat),
            )
        for row in TOWNS:
            cur.execute(
                "INSERT INTO base.township (code, name, population, geom)"
                " VALUES (%s, %s, %s, ST_GeomFromText(%s, 4490))",
                row,
            )
    with open_run(SETTINGS, urls.reader, language="en") as found:
        yield found


def _codes(found: dict[str, Any]) -> list[str]:
    return [f["properties"]["code"] for f in found["features"]]


def _metres(lon: float, lat: float) -> float:
    return float(CGCS2000.Inverse(HERE[1], HERE[0], lat, lon)["s12"])


def test_what_is_on_tonight_by_distance(run: Run) -> None:
    found = on.culture_on(run, *HERE, radius_m=1_000, datetime_=EVENING)
    # The fair ends when the evening begins; the one without a place, and the far one, are not near.
    assert _codes(found) == ["square", "show", "concert", "late show"]
    by = {f["properties"]["code"]: f for f in found["features"]}
    for code, at in {"square": (115.98, 36.4501), "show": (115.981, 36.45), "late show": (115.99, 36.45)}.items():
        assert by[code]["properties"]["distance_m"] == pytest.approx(_metres(*at), abs=0.01)
        assert by[code]["geometry"]["coordinates"] == list(at)
    told = {c: (f["properties"]["next_opening"], f["properties"]["next_opening_by"]) for c, f in by.items()}
    assert told == {
        "square": ("2026-05-01T20:00:00+08:00", "event-times"),
        "show": (None, "venue-hours"),
        "concert": ("2026-05-01T19:30:00+08:00", "event-times"),
        "late show": ("2026-05-01T18:00:00+08:00", "venue-hours"),
    }
    assert by["square"]["properties"]["position_of"] == "event"
    assert by["concert"]["properties"]["position_of"] == "venue"
    assert [c for c, f in by.items() if f["properties"]["on_at_start"]] == ["show", "late show"]
    json.dumps(found)


def test_the_radius_is_exact_and_kinds_and_prices_are_asked_for(run: Run) -> None:
    edge = _metres(115.99, 36.45)
    for radius, wanted in ((edge - 0.01, 0), (edge + 0.01, 1)):
        assert ("late show" in _codes(on.culture_on(run, *HERE, radius, EVENING))) == wanted
    assert _codes(on.culture_on(run, *HERE, 50_000, EVENING, category="performance", free=True)) == ["square", "far"]
    few = on.culture_on(run, *HERE, 50_000, EVENING, limit=2)
    assert (few["numberReturned"], few["complete"]) == (2, False)
    with pytest.raises(InvalidParameter):
        on.culture_on(run, *HERE, category="party")
    today = on.culture_on(run, *HERE)
    begin, end = (datetime.fromisoformat(today[k]) for k in ("from", "to"))
    assert (end.hour, end.minute) == (0, 0) and 0 < (end - begin).total_seconds() <= 86_400


def test_reach_by_township(run: Run) -> None:
    found = reach.culture_reach(run, "base.township", 1_000)
    rows = {r["name"]: r for r in found["rows"]}
    first = rows["一街道"]
    assert (first["venues_inside"], first["venues_within"], first["per_10000"]) == (1, 1, 0.5)
    assert first["verdict"] == "reached"
    second = rows["二镇"]
    assert (second["verdict"], second["venues_inside"], second["per_10000"]) == ("not-reached", None, 0.0)
    exact = CGCS2000.Inverse(36.45, 116.3, 36.45, 115.99)["s12"]
    assert second["nearest_m"] == pytest.approx(exact, abs=0.01)
    assert (rows["三镇"]["verdict"], rows["三镇"]["why"]) == ("not-judged", "no population")
    assert (rows["四镇"]["verdict"], rows["四镇"]["why"]) == ("not-judged", "no position")
    assert found["totals"] == {
        "districts": 4, "districts_not_judged": 2, "persons_judged": 25_000, "persons_reached": 20_000,
        "share_reached": 0.8, "venues": 3, "venues_without_position": 1,
    }  # fmt: skip
    books = reach.culture_reach(run, "base.township", 1_000, ("bookroom",))
    assert books["totals"]["persons_reached"] == 0
    assert {r["nearest_m"] for r in books["rows"]} == {None}


def test_reach_as_csv_has_the_same_rows(run: Run) -> None:
    results = reach.PROCESS.run(run, {"distance_m": 1_000}, frozenset({"table", "csv"}))
    lines = list(csv.DictReader(io.StringIO(results["csv"].data.decode("utf-8-sig"))))
    assert [x["code"] for x in lines] == [r["code"] for r in results["table"]["rows"]]
    assert lines[0]["population"] == "20000"


@pytest.fixture
def client(urls: Urls, run: Run, tmp_path: Path) -> Iterator[httpx.Client]:
    """A server over those rows, and workers with every process."""
    links = Links(urls.jobs, urls.reader, urls.writer)
    workers = multiprocessing.get_context("spawn").Process(
        target=supervise, args=(settings_of(job_memory_mb=2048), links, registry.processes), daemon=False
    )
    workers.start()
    try:
        for base in run_server(urls.reader, tmp_path, "", urls.jobs):
            with httpx.Client(base_url=base, timeout=60) as found:
                yield found
    finally:
        stop_workers(workers)


def test_over_http(client: httpx.Client) -> None:
    inputs = {"point": {"type": "Point", "coordinates": HERE}, "radius_m": 1_000, "datetime": EVENING}
    at = "/processes/culture-on/execution"
    assert _codes(client.post(at, json={"inputs": inputs}).json()) == ["square", "show", "concert", "late show"]
    far = client.post(at, json={"inputs": inputs | {"radius_m": 50_001}})
    assert (far.status_code, far.json()["violations"][0]["pointer"]) == (400, "/inputs/radius_m")
    wrong = client.post(at, json={"inputs": inputs | {"datetime": "tonight"}})
    assert (wrong.status_code, wrong.json()["parameter"]) == (400, "datetime")
    kinds = client.get("/collections/culture.event/items", params={"category": "exhibition"}).json()
    assert kinds["numberReturned"] == 2
    page = client.get("/collections/culture.event", headers={"accept": "text/html", "accept-language": "zh"})
    assert "文化活动" in page.text


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.id)
def test_schemas_are_schemas_and_examples_fit(process: Any) -> None:
    for said in (*process.inputs, *process.outputs):
        jsonschema.Draft202012Validator.check_schema(said.schema)
        for example in said.schema.get("examples", ()):
            jsonschema.validate(example, said.schema)


def test_within_and_nearest_are_those_of_measuring_every_pair() -> None:
    rng = np.random.default_rng(7)
    points, places = (rng.uniform((115.3, 35.8), (116.5, 37.0), (n, 2)).tolist() for n in (700, 90))
    sample = range(0, 700, 100)
    for distance in (1.0, 5_000.0, 60_000.0):
        found = list(within_and_nearest(points, places, distance))
        for i in sample:
            metres = [CGCS2000.Inverse(points[i][1], points[i][0], y, x)["s12"] for x, y in places]
            assert found[i][0] == sum(m <= distance for m in metres)
            assert found[i][1] == pytest.approx(min(metres), abs=1e-6)
    assert list(within_and_nearest(points[:2], [], 5.0)) == [(0, None)] * 2
    assert list(within_and_nearest([], places, 5.0)) == []


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00")


@pytest.mark.parametrize(
    ("hours", "start", "opens"),
    [
        ("09:00-17:00", "2026-05-01T08:00", "2026-05-01T09:00"),
        ("09:00-17:00", "2026-05-01T12:00", "2026-05-01T12:00"),
        ("09:00-17:00", "2026-05-01T17:00", "2026-05-02T09:00"),
        ("09:00-12:00,14:00-17:00", "2026-05-01T12:30", "2026-05-01T14:00"),
        ("20:00-02:00", "2026-05-01T01:00", "2026-05-01T01:00"),
        ("20:00-02:00", "2026-05-01T02:00", "2026-05-01T20:00"),
        ("00:00-24:00", "2026-05-01T02:00", "2026-05-01T02:00"),
    ],
)
def test_next_opening(hours: str, start: str, opens: str) -> None:
    found = next_open(_at(start), _at("2026-05-09T00:00"), read_hours(hours))
    assert found == _at(opens)
    assert next_open(_at(start), _at(start), read_hours(hours)) is None


@pytest.mark.parametrize("text", ["", "周二至周日 9:00-17:00", "09:00", "25:00-26:00", "09:00-24:30", None])
def test_hours_that_are_not_plain_are_not_guessed(text: str | None) -> None:
    assert read_hours(text) is None
