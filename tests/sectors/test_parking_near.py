# SPDX-License-Identifier: Apache-2.0
"""Car parks near a place: every state a reading can be in, what was asked for, and the walk along known roads."""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jsonschema
import pytest
from geographiclib.geodesic import Geodesic

from geocloud.db.cluster import Urls
from geocloud.errors import InvalidParameter
from geocloud.jobs.run import Run, open_run, run_process
from geocloud.network.graph import build
from geocloud.sectors.parking import PROCESSES, near, walk
from geocloud.sectors.parking.live import Live, Reading, judged
from geocloud.sectors.parking.near import Need, parking_near
from geocloud.sensing.model import Reading as Sent
from tests.network.conftest import write_roads
from tests.sectors.parking_city import LOTS, SETTINGS, Place, ago, make_place, stream

HERE = (115.98, 36.45)
CGCS2000 = Geodesic(6378137.0, 1 / 298.257222101)
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
NORTH = 0.0009  # about 100 m
# code, steps north, fields, and readings: property, minutes ago, value.
CITY: list[tuple[str, float, dict[str, Any], list[tuple[str, float, float]]]] = [
    ("free", 1, {"spaces": 50, "first_hour_yuan": 3, "height_limit_m": 2.0, "chargers_fast": 2},
     [("free_spaces", 5, 12)]),
    ("full", 0.5, {"spaces": 50, "fee": False}, [("free_spaces", 5, 0)]),
    ("old", 0.6, {"spaces": 50}, [("free_spaces", 180, 40)]),
    ("none", 0.7, {"spaces": 50}, []),
    ("counted", 1.5, {"spaces": 30, "chargers_fast": 0, "chargers_slow": 0, "spaces_charging": 0},
     [("occupied", 5, 26)]),
    ("negative", 0.8, {"spaces": 50}, [("free_spaces", 5, -2)]),
    ("too many", 0.9, {"spaces": 50}, [("free_spaces", 5, 51)]),
    ("unsized", 1.1, {}, [("occupied", 5, 10)]),
    ("shut", 0.2, {"spaces": 50, "state": "stopped"}, [("free_spaces", 5, 50)]),
    ("night", 0.3, {"spaces": 50, "hours": "00:00-00:01"}, [("free_spaces", 5, 50)]),
    ("far", 20, {"spaces": 50}, [("free_spaces", 5, 50)]),
]  # fmt: skip


@cache
def _read_at() -> datetime:
    # Asked when the rows are made: modules are imported long before their tests run.
    return ago()


def _send(place: Place, lot: str, prop: str, minutes: float, value: float) -> Sent:
    return Sent(1, (LOTS, lot, prop), _read_at() - timedelta(minutes=minutes), value, "1", None)


@pytest.fixture(scope="module")
def place(urls: Urls) -> Place:
    made = make_place(urls)
    reads: list[Any] = []
    for code, steps, fields, given in CITY:
        made.add(LOTS, HERE[0], HERE[1] + steps * NORTH, code=code, name=code, **fields)
        made.register(*(stream(code, p) for p in {g[0] for g in given}))
        reads += [_send(made, code, *g) for g in given]
    made.take(reads)
    return made


@pytest.fixture
def run(place: Place) -> Iterator[Run]:
    with open_run(SETTINGS, place.urls.reader, language="en") as found:
        yield found


def _codes(found: dict[str, Any]) -> list[str]:
    return [f["properties"]["code"] for f in found["features"]]


def _by(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f["properties"]["code"]: f["properties"] for f in found["features"]}


def test_known_free_first_then_old_then_unknown_then_full(run: Run) -> None:
    found = parking_near(run, *HERE, 300)
    assert _codes(found) == ["free", "counted", "old", "none", "negative", "too many", "unsized", "full"]
    by = _by(found)
    told = {c: (p["live"], p["free"], p["doubts"]) for c, p in by.items()}
    assert told == {
        "free": ("current", 12, []), "counted": ("current", 4, []), "full": ("current", 0, []),
        "old": ("stale", 40, []), "none": ("unknown", None, []), "unsized": ("unknown", None, []),
        "negative": ("doubtful", None, ["below"]), "too many": ("doubtful", None, ["above_spaces"]),
    }  # fmt: skip
    assert 0 <= by["old"]["age_s"] - 180 * 60 < 1800 and by["none"]["age_s"] is None
    assert by["free"]["price_yuan"] == 3 and by["full"]["price_yuan"] == 0 and by["none"]["price_yuan"] is None
    assert found["left_out"]["closed"] == 1 + (by.get("night") is None)
    for code, p in by.items():
        steps = next(s for c, s, *_ in CITY if c == code)
        exact = CGCS2000.Inverse(HERE[1], HERE[0], HERE[1] + steps * NORTH, HERE[0])["s12"]
        assert (p["walk_by"], p["walk_m"]) == ("crow-fly", pytest.approx(exact, abs=0.01))
    json.dumps(found)


def test_needs_leave_out_only_what_is_known_not_to_meet_them(run: Run) -> None:
    high = parking_near(run, *HERE, 300, need=Need(height_m=2.1))
    assert "free" not in _codes(high) and high["left_out"]["unmet"] == 1
    assert _by(high)["counted"]["not_known"] == ["height_m"]
    charging = parking_near(run, *HERE, 300, need=Need(charging=True))
    assert _codes(charging)[0] == "free" and "counted" not in _codes(charging)
    assert _by(charging)["old"]["not_known"] == ["charging"]
    cheap = parking_near(run, *HERE, 300, need=Need(max_price=2.5))
    assert "free" not in _codes(cheap) and "full" in _codes(cheap)
    roomy = parking_near(run, *HERE, 300, need=Need(min_free=5))
    assert roomy["left_out"]["too_few"] == 2 and _codes(roomy)[:3] == ["free", "old", "none"]
    assert parking_near(run, *HERE, 300, limit=2)["complete"] is False


def test_a_moment_of_the_past_reads_what_was_read_by_then(run: Run) -> None:
    then = (_read_at() - timedelta(minutes=170)).isoformat()
    by = _by(parking_near(run, *HERE, 300, then))
    assert by["old"]["live"] == "current" and by["free"]["live"] == "unknown"
    long_ago = (_read_at() - timedelta(days=30)).isoformat()
    assert {p["live"] for p in _by(parking_near(run, *HERE, 300, long_ago)).values()} == {"unknown"}


@pytest.mark.parametrize(
    ("args", "parameter"),
    [
        ({"datetime_": (datetime.now(UTC) + timedelta(days=1)).isoformat()}, "datetime"),
        ({"datetime_": "tonight"}, "datetime"),
        ({"walk_m": -1}, "walk_m"),
        ({"walk_m": math.nan}, "walk_m"),
        ({"walk_m": math.inf}, "walk_m"),
        ({"need": Need(height_m=math.nan)}, "height_m"),
        ({"need": Need(max_price=-1)}, "max_price"),
    ],
)
def test_impossible_questions_are_refused(run: Run, args: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parking_near(run, *HERE, **args)
    assert caught.value.context["parameter"] == parameter
    with pytest.raises(InvalidParameter):
        parking_near(run, math.nan, 36.45)


def test_nothing_near_is_an_empty_answer(run: Run) -> None:
    found = parking_near(run, 110.0, 30.0, 300)
    assert (found["features"], found["numberMatched"], found["complete"]) == ([], 0, True)


def _reading(prop: str = "free_spaces", minutes: float = 1, value: float = 5, **more: Any) -> Reading:
    return Reading(prop, NOW - timedelta(minutes=minutes), value, **{"flags": 0, "interval_s": 600} | more)


@pytest.mark.parametrize(
    ("readings", "spaces", "wanted"),
    [
        ([], 10, ("unknown", None)),
        ([_reading(minutes=20)], 10, ("current", 5)),
        ([_reading(minutes=20.1)], 10, ("stale", 5)),
        ([_reading(minutes=29, interval_s=None)], 10, ("current", 5)),
        ([_reading(minutes=31, interval_s=None)], 10, ("stale", 5)),
        ([_reading(minutes=-1)], 10, ("current", 5)),
        ([_reading(value=10)], 10, ("current", 10)),
        ([_reading(value=11)], 10, ("doubtful", None)),
        ([_reading(value=11)], None, ("current", 11)),
        ([_reading(value=2.5)], 10, ("doubtful", None)),
        ([_reading(flags=2)], 10, ("doubtful", None)),
        ([_reading(flags=16)], 10, ("current", 5)),
        ([_reading("occupied", value=11)], 10, ("doubtful", None)),
        ([_reading("occupied", value=3)], None, ("unknown", None)),
        ([_reading(minutes=60), _reading("occupied", value=4)], 10, ("current", 6)),
        ([_reading(value=99), _reading("occupied", minutes=60, value=4)], 10, ("stale", 6)),
    ],
)
def test_what_a_reading_is_taken_for(readings: list[Reading], spaces: int | None, wanted: tuple[str, Any]) -> None:
    found: Live = judged(readings, spaces, NOW)
    assert (found.state, found.free) == wanted


def _lattice(n: int, step: float) -> tuple[list[dict[str, Any]], dict[tuple[int, int], list[tuple[int, int]]]]:
    """Streets of a lattice with some left out, and who is whose neighbour."""
    roads, edges = [], {}
    for i in range(n):
        for k in range(n):
            for j, m in ((i + 1, k), (i, k + 1)):
                if j < n and m < n and (i * 7 + k * 3 + j) % 5:
                    a, b = ((HERE[0] + step * x, HERE[1] + step * y) for x, y in ((i, k), (j, m)))
                    roads.append({"wkt": f"LINESTRING({a[0]} {a[1]},{b[0]} {b[1]})"})
                    edges.setdefault((i, k), []).append((j, m))
                    edges.setdefault((j, m), []).append((i, k))
    return roads, edges


def test_walks_are_the_shortest_along_roads(fresh_urls: Urls) -> None:
    place = make_place(fresh_urls)
    n, step = 6, 0.0008
    roads, edges = _lattice(n, step)
    write_roads(fresh_urls.writer, roads)

    def at(node: tuple[int, int]) -> tuple[float, float]:
        return HERE[0] + step * node[0], HERE[1] + step * node[1]

    def metres(a: tuple[int, int], b: tuple[int, int]) -> float:
        (x, y), (u, v) = at(a), at(b)
        return float(CGCS2000.Inverse(y, x, v, u)["s12"])

    best, queue = {(0, 0): 0.0}, [(0.0, (0, 0))]
    while queue:
        d, node = heapq.heappop(queue)
        for other in edges.get(node, ()):
            if d + metres(node, other) < best.get(other, math.inf):
                best[other] = d + metres(node, other)
                heapq.heappush(queue, (best[other], other))
    for node in sorted(best):
        place.add(LOTS, *at(node), code=f"{node}", name="x")
    place.add(LOTS, HERE[0] + step * n, HERE[1] + 0.05, code="off", name="no road near")
    inputs = {"point": {"type": "Point", "coordinates": HERE}, "walk_m": 500, "limit": 500}
    # The graph is made on the way.
    found = run_process(
        near.PROCESS, SETTINGS, inputs, frozenset({"lots"}), reader_url=fresh_urls.reader, writer_url=fresh_urls.writer
    )["lots"]
    told = {f["properties"]["code"]: f["properties"] for f in found["features"]}
    near_by = {f"{node}": d for node, d in best.items() if d <= 500}
    assert set(told) == set(near_by) and 8 < len(near_by) < len(best)
    assert {p["walk_by"] for p in told.values()} == {"road"}
    for code, d in near_by.items():
        assert told[code]["walk_m"] == pytest.approx(d, abs=0.5), code
    assert found["left_out"]["too_far"] >= 1
    build(SETTINGS, fresh_urls.writer)
    with open_run(SETTINGS, fresh_urls.reader) as run:
        away = (HERE[0] + step * n, HERE[1] + 0.05)
        assert walk.walks(run, away, [at((0, 0)), away], 100)[1].by == "crow-fly"


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.id)
def test_schemas_are_schemas_and_examples_fit(process: Any) -> None:
    for said in (*process.inputs, *process.outputs):
        jsonschema.Draft202012Validator.check_schema(said.schema)
        for example in said.schema.get("examples", ()):
            jsonschema.validate(example, said.schema)
