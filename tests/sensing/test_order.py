# SPDX-License-Identifier: Apache-2.0
"""Any order and any repetition of batches ends in the same series and the same newest values."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocloud.sensing.inlet import Inlet
from geocloud.sensing.parse import Defaults, read_record
from geocloud.settings import SensingSettings
from tests.sensing.conftest import STATION, Place
from tests.sensing.test_inlet import reading

# Around the end of a month in Beijing, which is not that of UTC.
START = datetime(2026, 1, 31, 14, tzinfo=UTC)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """Readings that meet each other often; another value of a time says when it was issued."""
    at = START + timedelta(minutes=30 * draw(st.integers(0, 8)))
    issue = draw(st.integers(0, 2))
    record = reading(0, at.isoformat(), draw(st.sampled_from("ABC")))
    # One value for each time and issue: which of two values issued at once is right, nobody can say.
    record["value"] = float(int(at.timestamp() / 60) * 3 + issue) % 17 - 1
    if issue:
        record["resultTime"] = (at + timedelta(hours=issue)).isoformat()
    return record


batches = st.lists(st.lists(records(), max_size=6), min_size=1, max_size=5)


def _expected(sent: list[dict[str, Any]]) -> dict[tuple[str, datetime], float]:
    """The value that counts of each device and time: that of the greatest time of issue."""
    best: dict[tuple[str, datetime], tuple[str, float]] = {}
    for r in sent:
        key = (r["device"], datetime.fromisoformat(r["time"]))
        best[key] = max(best.get(key, ("", float("-inf"))), (r.get("resultTime", ""), r["value"]))
    return {k: v for k, (_, v) in best.items()}


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_order_and_repetition_do_not_matter(place: Place, data: st.DataObject) -> None:
    sent = data.draw(batches)
    order = data.draw(st.permutations([*sent, *data.draw(st.lists(st.sampled_from(sent), max_size=3))]))
    place.empty()
    outcomes = place.take(*order)
    everything = [r for b in sent for r in b]
    distinct = {(r["device"], r["time"], r["value"], r.get("resultTime")) for r in everything}
    assert sum(o.stored for o in outcomes) == len(distinct)
    assert sum(o.repeated for o in outcomes) == sum(map(len, order)) - len(distinct)
    times = {(r["device"], r["time"]) for r in everything}
    assert sum(o.corrections for o in outcomes) == len(distinct) - len(times)
    expected = _expected(everything)
    current = place.run(
        "SELECT DISTINCT ON (o.datastream, at) device, at, value FROM sensing.observation o JOIN sensing.datastream d "
        "ON d.id = o.datastream ORDER BY o.datastream, at, issued DESC, received DESC"
    )
    assert {(r["device"], r["at"]): r["value"] for r in current} == expected
    newest = {d: max(at for device, at in expected if device == d) for d in {d for d, _ in expected}}
    latest = place.run(
        "SELECT device, at, value FROM sensing.latest l JOIN sensing.datastream d ON d.id = l.datastream"
    )
    assert {r["device"]: (r["at"], r["value"]) for r in latest} == {
        d: (at, expected[d, at]) for d, at in newest.items()
    }


def test_batches_at_the_same_time_end_as_one_after_another(clean: Place) -> None:
    """Eight writers send the same shuffled readings; none is lost, none is twice, no deadlock is left."""
    every = [
        reading(float(n % 7 + 1), (START + timedelta(minutes=n)).isoformat(), device)
        for device in "ABC"
        for n in range(300)
    ]

    async def one(shift: int) -> int:
        conn = await asyncpg.connect(clean.urls.writer)
        try:
            inlet, stored = Inlet(SensingSettings()), 0
            turned = every[shift:] + every[:shift]
            for begin in range(0, len(turned), 100):
                part = turned[begin : begin + 100][:: -1 if shift % 2 else 1]
                stored += (await inlet.take(conn, [read_record(1, r, Defaults()) for r in part], "file")).stored
            return stored
        finally:
            await conn.close()

    async def everyone() -> list[int]:
        return list(await asyncio.gather(*(one(n * 37) for n in range(8))))

    assert sum(asyncio.run(everyone())) == len(every)
    assert clean.run("SELECT count(*) AS n FROM sensing.observation")[0]["n"] == len(every)
    assert {r["at"] for r in clean.run("SELECT at FROM sensing.latest")} == {START + timedelta(minutes=299)}


_WRITER = """
import asyncio, sys
import asyncpg
from geocloud.sensing.inlet import Inlet
from geocloud.sensing.parse import Defaults, read_record
from geocloud.settings import SensingSettings

async def main(url, layer):
    conn = await asyncpg.connect(url)
    reads = [read_record(n, {"collection": layer, "device": d, "property": "PM2.5", "value": 5.0,
                             "time": f"2026-02-{1 + n // 1440:02}T{n // 60 % 24:02}:{n % 60:02}:00Z"}, Defaults())
             for d in "ABC" for n in range(20000)]
    print(conn.get_server_pid(), flush=True)
    await Inlet(SensingSettings()).take(conn, reads, "file")
    print("end", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@contextmanager
def _held(place: Place) -> Iterator[None]:
    """The newest value of one device is locked by somebody else, so that a batch cannot end."""
    import psycopg2

    conn = psycopg2.connect(place.urls.owner)
    try:
        with conn.cursor() as cur:
            cur.execute("SELECT 1 FROM sensing.latest WHERE datastream = %s FOR UPDATE", (place.stream("C"),))
            yield
    finally:
        conn.rollback()
        conn.close()


def test_of_a_process_killed_in_the_midst_of_a_batch_nothing_is_left(clean: Place) -> None:
    clean.take([reading(1, device="C")])
    with _held(clean):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, clean.urls.writer, STATION], stdout=subprocess.PIPE, env=os.environ
        )
        assert process.stdout is not None
        backend = int(process.stdout.readline())
        while not clean.run("SELECT 1 AS n FROM pg_locks WHERE pid = %s AND NOT granted", backend):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    while clean.run("SELECT 1 AS n FROM pg_stat_activity WHERE pid = %s", backend):
        continue
    assert clean.run("SELECT count(*) AS n FROM sensing.observation")[0]["n"] == 1
    assert clean.run("SELECT value FROM sensing.latest")[0]["value"] == 1


@pytest.mark.parametrize("given_unit", ["mg/m3", "g/m3", "kg/m3", "ng/m3"])
def test_a_converted_reading_sent_again_is_the_same_reading(clean: Place, given_unit: str) -> None:
    first, again = clean.take([reading(0.0351, unit=given_unit)], [reading(0.0351, unit=given_unit)])
    assert (first.stored, again.stored, again.repeated) == (1, 0, 1)
