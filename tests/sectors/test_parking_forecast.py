# SPDX-License-Identifier: Apache-2.0
"""The forecast against a plain loop, what it may know, which method is given, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest

from geocloud.db.cluster import Urls
from geocloud.errors import InvalidParameter, UnknownItem
from geocloud.jobs.run import Run, open_run
from geocloud.sectors.parking.forecast import FADING, STEP_S, by_week, by_yesterday, forecast, trial
from geocloud.sensing.model import Reading
from tests.sectors.parking_city import LOTS, SETTINGS, Place, ago, make_place, stream

WEEK, DAY = 336, 48


def _loop(y: list[float], o: int, ahead: int, weeks: int) -> float:
    """The forecast in plain words."""

    def usual(k: int) -> float:
        past = [y[k - w * WEEK] for w in range(1, weeks + 1) if k - w * WEEK >= 0 and not math.isnan(y[k - w * WEEK])]
        return sum(past) / len(past) if past else math.nan

    known = next((i for i in range(o, -1, -1) if not math.isnan(y[i])), None)
    found = usual(o + ahead)
    if known is not None and (o - known) * STEP_S <= 6 * 3_600 and not math.isnan(usual(known)):
        found += (y[known] - usual(known)) * FADING ** ((o + ahead - known) / 2)
    return found


def _series(rng: np.random.Generator, steps: int, gaps: float = 0.1) -> np.ndarray[Any, Any]:
    y = 50 + 30 * np.sin(np.arange(steps) / DAY * 2 * np.pi) + rng.normal(0, 3, steps)
    return np.where(rng.random(steps) < gaps, np.nan, y)


def test_forecasts_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(5)
    y = _series(rng, 3 * WEEK)
    y[900:930] = np.nan
    origins = np.arange(WEEK - 50, 3 * WEEK - DAY, 7)
    for ahead in (1, 2, 13, 48):
        for weeks in (1, 2, 4):
            ours = by_week(y, origins, ahead, weeks)
            theirs = [_loop(y.tolist(), int(o), ahead, weeks) for o in origins]
            assert np.allclose(ours, theirs, equal_nan=True)


def test_a_forecast_knows_nothing_of_what_comes_after() -> None:
    rng = np.random.default_rng(6)
    y = _series(rng, 3 * WEEK)
    o = np.array([2 * WEEK + 5])
    changed = y.copy()
    changed[o[0] + 1 :] = 1e6
    for ahead in range(1, 49):
        assert np.array_equal(by_week(y, o, ahead, 4), by_week(changed, o, ahead, 4), equal_nan=True)
        assert np.array_equal(by_yesterday(y, o, ahead), by_yesterday(changed, o, ahead), equal_nan=True)


def test_trial_errors_are_counted_over_the_same_cases() -> None:
    rng = np.random.default_rng(7)
    y, now, hours = _series(rng, 3 * WEEK, 0.2), 3 * WEEK - 1, 3
    off, off_yesterday = [], []
    for o in range(now - 3 * DAY, now + 1):
        for ahead in range(1, hours * 2 + 1):
            if o + ahead <= now:
                a = float(np.clip(_loop(y.tolist(), o, ahead, 2), 0, 100)) - y[o + ahead]
                b = y[o + ahead - DAY] - y[o + ahead]
                if not math.isnan(a) and not math.isnan(b):
                    off.append(abs(a))
                    off_yesterday.append(abs(b))
    found = trial(y, now, hours, 2, 100.0)
    assert found.cases == len(off)
    assert found.mae == pytest.approx(np.mean(off)) and found.mae_yesterday == pytest.approx(np.mean(off_yesterday))
    assert len(found.by_hour) == hours and found.better is (found.mae <= found.mae_yesterday)


def _sent(lot: str, values: Any, last: datetime, prop: str = "free_spaces") -> list[Any]:
    n = len(values)
    return [
        Reading(1, (LOTS, lot, prop), last - timedelta(seconds=STEP_S * (n - 1 - i)), float(v), "1", None)
        for i, v in enumerate(values)
        if not math.isnan(v)
    ]


@cache
def _last() -> datetime:
    # Asked when the rows are made: modules are imported long before their tests run.
    return datetime.fromtimestamp(int(ago().timestamp()) // STEP_S * STEP_S, UTC)


@pytest.fixture(scope="module")
def place(urls: Urls) -> Place:
    made = make_place(urls)
    rng = np.random.default_rng(8)
    steps = np.arange(3 * WEEK)
    weekly = np.round(50 + 40 * np.sin(steps / WEEK * 2 * np.pi * 3) + rng.normal(0, 1, len(steps)))
    short = weekly[:10]
    for code, values, prop in (
        ("weekly", weekly, "free_spaces"),
        ("counted", 100 - weekly, "occupied"),
        ("day", np.full(DAY, 7.0), "free_spaces"),
        ("short", short, "free_spaces"),
    ):
        made.add(LOTS, 115.98, 36.45, code=code, name=code, spaces=100)
        made.register(stream(code, prop, maximum=100))
        made.take(_sent(code, values, _last(), prop))
    made.add(LOTS, 115.98, 36.45, code="dumb", name="x", spaces=10)
    return made


@pytest.fixture
def run(place: Place) -> Iterator[Run]:
    with open_run(SETTINGS, place.urls.reader, language="en") as found:
        yield found


def test_a_car_park_that_keeps_to_the_week(run: Run) -> None:
    found = forecast(run, "weekly", 6)
    assert found["method"] == "week" and found["mae"] < found["mae_yesterday"] and found["tried"] > 1_000
    assert len(found["rows"]) == 12 and all(0 <= r["free"] <= 100 for r in found["rows"])
    starts = [datetime.fromisoformat(r["start"]) for r in found["rows"]]
    assert starts[0] > datetime.now(UTC) > starts[0] - timedelta(seconds=2 * STEP_S)
    # The same lot counted the other way says the same.
    turned = forecast(run, "counted", 6)
    assert [r["free"] for r in turned["rows"]] == pytest.approx([r["free"] for r in found["rows"]], abs=0.02)
    past = (_last() - timedelta(days=2, hours=5)).isoformat()
    then = forecast(run, "weekly", 3, datetime_=past)
    y = {r["start"]: r["free"] for r in then["rows"]}
    assert len(y) == 6 and then["newest_step"] <= min(y)


def test_where_yesterday_is_nearer_it_is_given_and_said(run: Run, place: Place) -> None:
    steps = np.arange(3 * WEEK)
    level = np.array([10, 60, 30])[steps // WEEK]
    values = level + 5 * np.sin(steps / DAY * 2 * np.pi)
    values[-6:] = np.nan
    place.add(LOTS, 115.98, 36.45, code="moved", name="moved", spaces=100)
    place.register(stream("moved", maximum=100))
    place.take(_sent("moved", np.round(values), _last()))
    with open_run(SETTINGS, place.urls.reader, language="en") as fresh:
        found = forecast(fresh, "moved", 24, 4)
        assert found["mae"] > found["mae_yesterday"] and found["method"] == "yesterday"
        assert "yesterday" in found["why"]
        day = {datetime.fromisoformat(r["start"]): r["free"] for r in found["rows"]}
        for at, free in day.items():
            i = len(values) - 1 - int((_last() - (at - timedelta(days=1))).total_seconds() // STEP_S)
            truth = np.round(values)[i] if 0 <= i < len(values) else math.nan
            assert free is None if math.isnan(truth) else free == truth


def test_too_short_a_past_is_said(run: Run) -> None:
    day = forecast(run, "day", 3)
    assert (day["method"], day["mae"]) == ("yesterday", None) and {r["free"] for r in day["rows"]} <= {7.0, None}
    short = forecast(run, "short", 3)
    assert short["method"] == "none" and {r["free"] for r in short["rows"]} == {None}


def test_what_cannot_be_asked(run: Run) -> None:
    for lot in ("dumb", "nowhere", ""):
        with pytest.raises(UnknownItem):
            forecast(run, lot)
    with pytest.raises(InvalidParameter):
        forecast(run, "weekly", datetime_=(datetime.now(UTC) + timedelta(days=1)).isoformat())
    with pytest.raises(InvalidParameter):
        forecast(run, "weekly", datetime_="NaN")
    with pytest.raises(InvalidParameter):
        forecast(run, "weekly", -1)
