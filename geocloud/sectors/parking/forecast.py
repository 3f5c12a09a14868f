# SPDX-License-Identifier: Apache-2.0
"""What is to be expected of a car park (余位预测): plain, with its error beside that of taking yesterday's.

The forecast is the mean of the same time of week over the last weeks, plus how far the newest reading is from that
mean, fading from hour to hour. It is tried on the last days as if they were not known yet. Where taking the number of a
day before was nearer, that is given and said.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocloud.catalogue.spec import Text
from geocloud.jobs.model import Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.sectors.parking.live import asked_moment, beijing, refuse_impossible
from geocloud.sectors.parking.series import binned, stream_of

__all__ = ["FADING", "PROCESS", "STEP_S", "Trial", "by_week", "by_yesterday", "forecast", "trial"]

Floats = NDArray[np.float64]
STEP_S = 1_800
_PER_HOUR, _PER_DAY, _PER_WEEK = 3_600 // STEP_S, 86_400 // STEP_S, 7 * 86_400 // STEP_S
FADING = 0.7
"""What is left after an hour of the difference between the newest reading and the mean of its time of week."""
HOURS_MAX, WEEKS_MAX, TRIAL_DAYS = 24, 12, 3
_TRIED_LEAST = 48
_KNOWN_S = 6 * 3_600
"""A reading older than this says nothing of the difference from the mean any more."""


def by_week(y: Floats, origins: NDArray[np.int64], ahead: int, weeks: int) -> Floats:
    """The forecast for `ahead` steps after each of `origins`, from `y` up to and with the origin alone.

    `y` are free spaces by steps of STEP_S, NaN where not known; the answer is NaN where no week before is known.
    """
    usual = _usual(y, origins + ahead, weeks)
    last, age = _last_known(y, origins)
    off = np.where(age * STEP_S <= _KNOWN_S, _at(y, last) - _usual(y, last, weeks), np.nan)
    fade = FADING ** ((ahead + age) / _PER_HOUR)
    return usual + np.where(np.isfinite(off), off * fade, 0.0)


def by_yesterday(y: Floats, origins: NDArray[np.int64], ahead: int) -> Floats:
    """The number of the same time a day before, for at most a day ahead."""
    return _at(y, origins + ahead - _PER_DAY)


def _usual(y: Floats, targets: NDArray[np.int64], weeks: int) -> Floats:
    past = np.stack([_at(y, targets - w * _PER_WEEK) for w in range(1, weeks + 1)])
    known = np.isfinite(past)
    count = known.sum(axis=0)
    total = np.where(known, past, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _at(y: Floats, index: NDArray[np.int64]) -> Floats:
    found: Floats = np.where((index >= 0) & (index < len(y)), y[np.clip(index, 0, len(y) - 1)], np.nan)
    return found


def _last_known(y: Floats, origins: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The newest known step up to each origin, and how many steps before; -1 and a great age where there is none."""
    marks = np.where(np.isfinite(y), np.arange(len(y)), -1)
    last = np.maximum.accumulate(marks)[origins]
    return last, np.where(last < 0, 10**9, origins - last)


@dataclass(frozen=True, slots=True)
class Trial:
    """How far forecasts of the last days were off: mean absolute errors in spaces over the same cases, by hour ahead
    too; None where nothing could be tried."""

    cases: int
    mae: float | None
    mae_yesterday: float | None
    by_hour: tuple[float | None, ...]
    by_hour_yesterday: tuple[float | None, ...]

    @property
    def better(self) -> bool | None:
        """Whether the forecast was nearer than yesterday's number; None where too little could be tried."""
        if self.mae is None or self.mae_yesterday is None or self.cases < _TRIED_LEAST:
            return None
        return self.mae <= self.mae_yesterday


def trial(y: Floats, now: int, hours: int, weeks: int, most: float | None) -> Trial:
    """Tries the forecast of 1 to `hours` hours on the days before step `now`, each from what was known at its time."""
    origins = np.arange(max(0, now - TRIAL_DAYS * _PER_DAY), now + 1)
    off: list[Floats] = []
    off_yesterday: list[Floats] = []
    for ahead in range(1, hours * _PER_HOUR + 1):
        o = origins[origins + ahead <= now]
        truth = _at(y, o + ahead)
        ours = np.abs(_bounded(by_week(y, o, ahead, weeks), most) - truth)
        theirs = np.abs(by_yesterday(y, o, ahead) - truth)
        both = np.isfinite(ours) & np.isfinite(theirs)
        off.append(ours[both])
        off_yesterday.append(theirs[both])
    return Trial(
        sum(map(len, off)), _mean(off), _mean(off_yesterday), _by_hour(off, hours), _by_hour(off_yesterday, hours)
    )


def _by_hour(off: list[Floats], hours: int) -> tuple[float | None, ...]:
    return tuple(_mean(off[h * _PER_HOUR : (h + 1) * _PER_HOUR]) for h in range(hours))


def _mean(parts: list[Floats]) -> float | None:
    every = np.concatenate(parts) if parts else np.empty(0)
    return float(every.mean()) if every.size else None


def _bounded(values: Floats, most: float | None) -> Floats:
    return np.clip(values, 0.0, np.inf if most is None else most)


def forecast(run: Run, lot: str, hours: int = 6, weeks: int = 4, datetime_: str | None = None) -> dict[str, Any]:
    """Free spaces of a car park by half-hours for the next `hours`, from the readings up to now or a past moment.

    `method` is `week` (same time of week), `yesterday`, or `none` where the past does not reach; `why` says for what
    reason. `low` and `high` of a row are its number less and plus its error, within 0 and the spaces there are. `mae`
    and `mae_yesterday` are in spaces, over the same cases of the last TRIAL_DAYS days. UnknownItem for a
    car park that is not there or has no readings.
    """
    refuse_impossible(hours=hours, weeks=weeks)
    hours, weeks = min(hours, HOURS_MAX), min(weeks, WEEKS_MAX)
    stream = stream_of(run, lot)
    moment = asked_moment(run, datetime_) or datetime.now(UTC)
    # The step that the moment lies in: what has been read of it by then counts.
    steps = int(moment.timestamp() // STEP_S)
    depth = (weeks * 7 + TRIAL_DAYS + 1) * _PER_DAY
    start = datetime.fromtimestamp((steps - depth) * STEP_S, UTC)
    y = binned(run, stream, start, moment + timedelta(microseconds=1), STEP_S)
    most = None if stream.spaces is None else float(stream.spaces)
    tried = trial(y, depth, hours, weeks, most)
    here = np.array([depth])
    aheads = range(1, hours * _PER_HOUR + 1)
    week = [float(_bounded(by_week(y, here, a, weeks), most)[0]) for a in aheads]
    yesterday = [float(by_yesterday(y, here, a)[0]) for a in aheads]
    method, why = _method(tried, week, yesterday)
    chosen = {"week": week, "yesterday": yesterday, "none": [np.nan] * len(week)}[method]
    mae = tried.by_hour if method == "week" else tried.by_hour_yesterday
    known = np.flatnonzero(np.isfinite(y))
    return {
        "lot": lot,
        "name": stream.name,
        "spaces": stream.spaces,
        "synthetic": stream.synthetic,
        "from": beijing(moment),
        "newest_step": None if not known.size else _step(steps - depth + int(known[-1])),
        "method": method,
        "why": _WHY[why].zh if run.language == "zh" else _WHY[why].en,
        "weeks": weeks,
        "mae": _short(tried.mae),
        "mae_yesterday": _short(tried.mae_yesterday),
        "tried": tried.cases,
        "trial_days": TRIAL_DAYS,
        "rows": [
            _row(_step(steps + a), value, mae[(a - 1) // _PER_HOUR] if method != "none" else None, most)
            for a, value in zip(aheads, chosen, strict=True)
        ],
    }


def _row(start: str, value: float, mae: float | None, most: float | None) -> dict[str, Any]:
    """A step: the number expected, its mean error, and what lies within that error and can be."""
    free = value if np.isfinite(value) else None
    low, high = (None, None) if free is None or mae is None else _bounded(np.array([free - mae, free + mae]), most)
    return {"start": start, "free": _short(free), "mae": _short(mae), "low": _short(low), "high": _short(high)}


_WHY = {
    "better": Text(
        zh="回测误差不大于“取前一日同时刻”", en="In the trial it was at least as near as taking yesterday's number"
    ),
    "worse": Text(
        zh="回测误差大于“取前一日同时刻”,故给出前一日数值",
        en="In the trial it was farther off than yesterday's number, which is given instead",
    ),
    "untried": Text(
        zh="历史太短,无法回测,给出前一日数值", en="The past is too short to try it: yesterday's number is given"
    ),
    "nothing": Text(zh="历史读数不足,不作预测", en="The past does not reach for a forecast"),
}


def _method(tried: Trial, week: list[float], yesterday: list[float]) -> tuple[str, str]:
    if tried.better and np.isfinite(week).any():
        return "week", "better"
    if np.isfinite(yesterday).any():
        return "yesterday", "untried" if tried.better is None else "worse"
    return "none", "nothing"


def _step(number: int) -> str:
    return beijing(datetime.fromtimestamp(number * STEP_S, UTC))


def _short(value: float | None) -> float | None:
    return None if value is None else round(float(value), 2)


def _run(run: Run, inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    return {
        "forecast": forecast(run, inputs["lot"], inputs.get("hours", 6), inputs.get("weeks", 4), inputs.get("datetime"))
    }


PROCESS = Process(
    id="parking-forecast",
    version="1.0.0",
    title=Text(zh="停车场余位预测", en="Forecast of a car park"),
    description=Text(
        zh="一个停车场未来数小时的余位:前几周同一时刻的均值加逐时衰减的当前偏差;附回测误差及“取前一日”的误差,若更差则如实"
        "说明并给出前一日数值。",
        en="Free spaces of a car park in the next hours: the mean of the same time of week and a fading difference of "
        "now; with its error beside that of yesterday's number, which is given where it was nearer.",
    ),
    inputs=(
        Input("lot", Text(zh="停车场编码", en="Code of the car park"), {"type": "string", "maxLength": 64},
              required=True),
        Input("hours", Text(zh="小时数", en="Hours"),
              {"type": "integer", "minimum": 1, "maximum": HOURS_MAX, "default": 6}),
        Input("weeks", Text(zh="参考周数", en="Weeks looked back"),
              {"type": "integer", "minimum": 1, "maximum": WEEKS_MAX, "default": 4}),
        Input("datetime", Text(zh="起算时刻", en="From"), {"type": "string", "maxLength": 60},
              Text(zh="RFC 3339 时刻,不晚于现在;不填为现在", en="An RFC 3339 instant, not ahead; now if unset")),
    ),
    outputs=(Output("forecast", Text(zh="预测", en="Forecast")),),
    run=_run,
    keywords=("停车", "预测"),
)  # fmt: skip
