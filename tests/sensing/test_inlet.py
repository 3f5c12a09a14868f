# SPDX-License-Identifier: Apache-2.0
"""Readings that come in: what is kept, ignored, corrected, flagged and put aside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest

from tests.sensing.conftest import STATION, Place, datastream

T = "2026-01-10T08:00:00+08:00"


def reading(value: Any, at: str = T, device: str = "A", prop: str = "PM2.5", **more: Any) -> dict[str, Any]:
    return {"collection": STATION, "device": device, "property": prop, "time": at, "value": value, **more}


def rows(place: Place) -> list[dict[str, Any]]:
    return place.run("SELECT * FROM sensing.observation ORDER BY datastream, at, issued, received")


def test_a_reading_is_kept_with_both_times(clean: Place) -> None:
    before = datetime.now(UTC)
    (outcome,) = clean.take([reading(35)])
    assert (outcome.received, outcome.stored, outcome.repeated) == (1, 1, 0)
    (row,) = rows(clean)
    assert (row["value"], row["at"], row["flags"]) == (35, datetime(2026, 1, 10, tzinfo=UTC), 0)
    assert before - timedelta(seconds=1) < row["received"] < datetime.now(UTC) + timedelta(seconds=1)


def test_the_same_again_is_ignored_and_counted(clean: Place) -> None:
    first, again, both = clean.take([reading(35)], [reading(35)], [reading(35), reading(35)])
    assert (first.stored, again.stored, again.repeated, both.repeated) == (1, 0, 1, 2)
    assert len(rows(clean)) == 1


def test_another_value_of_a_time_is_a_correction_and_both_are_kept(clean: Place) -> None:
    first, second = clean.take([reading(35)], [reading(36)])
    assert (first.corrections, second.corrections) == (0, 1)
    assert [r["value"] for r in rows(clean)] == [35, 36]
    (latest,) = clean.run("SELECT value FROM sensing.latest")
    assert latest["value"] == 36


def test_a_correction_within_a_batch_counts_from_the_later_place(clean: Place) -> None:
    (outcome,) = clean.take([reading(40), reading(39)])
    assert (outcome.stored, outcome.corrections) == (2, 1)
    assert clean.run("SELECT value FROM sensing.latest")[0]["value"] == 39


def test_the_time_of_issue_decides_whatever_order_corrections_come_in(clean: Place) -> None:
    clean.take(
        [reading(36, resultTime="2026-01-10T12:00:00+08:00")], [reading(35, resultTime="2026-01-10T09:00:00+08:00")]
    )
    assert clean.run("SELECT value FROM sensing.latest")[0]["value"] == 36


def test_late_ones_are_kept_and_the_latest_stays(clean: Place) -> None:
    clean.take([reading(35)], [reading(20, "2026-01-09T08:00:00+08:00")])
    assert len(rows(clean)) == 2
    assert clean.run("SELECT value FROM sensing.latest")[0]["value"] == 35


def test_the_future_is_put_aside_beyond_the_tolerance(clean: Place) -> None:
    now = datetime.now(UTC)
    near, far = ((now + timedelta(seconds=s)).isoformat() for s in (240, 400))
    (outcome,) = clean.take([reading(1, near), reading(2, far)])
    assert (outcome.stored, outcome.quarantined) == (1, 1)
    assert [(p.place, p.reason) for p in outcome.problems] == [(2, "future")]
    (strict,) = clean.take([reading(3, near)], sensing_future_s=0)
    assert strict.quarantined == 1


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (reading(1, device="nobody"), "unknown-datastream"),
        (reading(1, prop="NO2"), "unknown-datastream"),
        (reading(1) | {"collection": "test.zoo"}, "unknown-datastream"),
        ({"datastream": 999_999, "time": T, "value": 1}, "unknown-datastream"),
        ({"datastream": "1; DROP TABLE", "time": T, "value": 1}, "no-datastream"),
        ({"datastream": True, "time": T, "value": 1}, "no-datastream"),
        ({"time": T, "value": 1}, "no-datastream"),
        (reading(None), "not-a-number"),
        (reading("35"), "not-a-number"),
        (reading("NaN"), "not-a-number"),
        (reading(True), "not-a-number"),
        (reading(float("nan")), "not-a-number"),
        (reading(float("inf")), "not-a-number"),
        (reading(10**400), "not-a-number"),
        (reading([1]), "not-a-number"),
        (reading(1, "2026-01-10T08:00:00"), "bad-time"),
        (reading(1, "2026-01-10"), "bad-time"),
        (reading(1, "2026-02-30T08:00:00Z"), "bad-time"),
        (reading(1, "0001-01-01T00:00:00+08:00"), "bad-time"),
        (reading(1, ""), "bad-time"),
        (reading(1) | {"time": 1768003200}, "bad-time"),
        (reading(1, resultTime="yesterday"), "bad-time"),
        (reading(1, "1969-07-20T20:17:00Z"), "too-old"),
        (reading(1, unit="m"), "wrong-unit"),
        (reading(1, unit="[ppb]"), "wrong-unit"),
        (reading(1, unit=3), "wrong-unit"),
        (reading(1e307, unit="kg/m3"), "not-a-number"),
        ("text", "not-a-reading"),
        ([1, 2], "not-a-reading"),
        (None, "not-a-reading"),
        (reading(1, device="A\0B"), "unknown-datastream"),
        (reading(1, device="\ud800"), "unknown-datastream"),
    ],
    ids=lambda p: p if isinstance(p, str) else repr(p)[:60].encode("ascii", "replace").decode(),
)
def test_what_cannot_be_kept_is_put_aside_with_its_reason(clean: Place, record: Any, reason: str) -> None:
    (outcome,) = clean.take([record, reading(35)])
    assert (outcome.stored, outcome.quarantined) == (1, 1)
    assert outcome.problems[0].reason == reason
    (kept,) = clean.run("SELECT reason, way, times FROM sensing.quarantine")
    assert (kept["reason"], kept["way"], kept["times"]) == (reason, "file", 1)
    clean.take([record])
    (kept,) = clean.run("SELECT times FROM sensing.quarantine")
    assert kept["times"] == 2


def test_units_are_converted_and_the_conversion_is_told(clean: Place) -> None:
    (outcome,) = clean.take(
        [reading(0.035, unit="mg/m3"), reading(300, prop="temperature", unit="K"), reading(35, T, "B", unit="μg/m³")]
    )
    assert (outcome.stored, outcome.converted, outcome.flagged) == (3, 2, 0)
    values = {r["datastream"]: (round(r["value"], 9), r["flags"]) for r in rows(clean)}
    assert values[clean.stream("A")] == (35, 16)
    assert values[clean.stream("A", "temperature")] == (26.85, 16)
    assert values[clean.stream("B")] == (35, 0)


@pytest.mark.parametrize(
    ("value", "flags"),
    [(-1, 1), (0, 4), (0.5, 0), (998.9, 0), (999, 8), (1_000, 8), (1_000.5, 2 | 8)],
    ids=["below", "zero", "plausible", "under the cap", "at the cap", "at the maximum", "above"],
)
def test_implausible_values_are_flagged_and_kept(clean: Place, value: float, flags: int) -> None:
    (outcome,) = clean.take([reading(value)])
    assert (outcome.stored, outcome.flagged) == (1, int(flags != 0))
    assert [r["flags"] for r in rows(clean)] == [flags]


@pytest.mark.parametrize(
    ("at", "month"),
    [
        ("2025-12-31T15:59:59.999999Z", "observation_2025_12"),
        ("2025-12-31T16:00:00Z", "observation_2026_01"),
        ("2026-01-01T00:00:00+08:00", "observation_2026_01"),
        ("2026-01-31T23:59:59+08:00", "observation_2026_01"),
        ("2024-02-29T23:59:59+08:00", "observation_2024_02"),
        ("2024-02-29T16:00:00Z", "observation_2024_03"),
    ],
)
def test_months_begin_at_midnight_in_beijing(clean: Place, at: str, month: str) -> None:
    clean.take([reading(5, at)])
    (row,) = clean.run("SELECT tableoid::regclass::text AS name FROM sensing.observation")
    assert row["name"] == f"sensing.{month}"


def test_a_dropped_month_is_made_again_by_a_process_that_knew_it(clean: Place) -> None:
    clean.take([reading(5, "2010-05-05T00:00:00Z")])
    dropped = clean.run("SELECT sensing.drop_months('2010-06-01T00:00:00+08:00') AS name")
    assert [d["name"] for d in dropped] == ["observation_2010_05"]
    assert not clean.run("SELECT sensing.drop_months('2010-06-01T00:00:00+08:00')")

    from geocloud.sensing.inlet import Inlet
    from geocloud.sensing.parse import Defaults, read_record
    from geocloud.settings import SensingSettings

    async def work(conn: Any) -> int:
        inlet = Inlet(SensingSettings())
        read = read_record(1, reading(5, "2010-05-05T00:00:00Z"), Defaults())
        await inlet.take(conn, [read], "file")
        clean.run("SELECT sensing.drop_months('2010-06-01T00:00:00+08:00')")
        return (await inlet.take(conn, [read], "file")).stored

    assert clean.write(work) == 1


@pytest.mark.parametrize("moment", ["1899-01-01T00:00:00Z", "2900-01-01T00:00:00Z"])
def test_no_partition_is_made_for_absurd_months(place: Place, moment: str) -> None:
    conn = psycopg2.connect(place.urls.writer)
    with pytest.raises(psycopg2.errors.DatetimeFieldOverflow), conn.cursor() as cur:
        cur.execute("SELECT sensing.ensure_months(ARRAY[%s]::timestamptz[])", (moment,))
    conn.close()


@pytest.mark.parametrize(
    ("role", "sql"),
    [
        ("reader", "INSERT INTO sensing.latest SELECT 1, 0, now(), 1, now(), now()"),
        ("reader", "SELECT * FROM sensing.quarantine"),
        ("reader", "SELECT sensing.ensure_months(ARRAY[now()])"),
        ("writer", "DELETE FROM sensing.observation"),
        ("writer", "UPDATE sensing.observation SET value = 1"),
        ("writer", "TRUNCATE sensing.observation"),
        ("writer", "DROP TABLE sensing.observation"),
        ("writer", "SELECT sensing.drop_months(now())"),
        ("writer", "UPDATE sensing.datastream SET device = 'Z'"),
        ("writer", "CREATE TABLE sensing.mine (a int)"),
        ("jobs", "SELECT * FROM sensing.observation"),
    ],
)
def test_each_role_may_do_no_more_than_it_needs(place: Place, role: str, sql: str) -> None:
    conn = psycopg2.connect(getattr(place.urls, role))
    conn.set_session(readonly=False)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege), conn.cursor() as cur:
        cur.execute(sql)
    conn.close()


def test_registering_again_changes_what_differs_and_never_the_unit(clean: Place) -> None:
    assert clean.register(datastream("B", "NO2", maximum=100)) == (1, 0, [])
    assert clean.register(datastream("B", "NO2", maximum=100)) == (0, 0, [])
    assert clean.register(datastream("B", "NO2", maximum=200)) == (0, 1, [])
    assert clean.register(datastream("B", "NO2", "mg/m3")) == (0, 0, ["test.station B NO2"])
