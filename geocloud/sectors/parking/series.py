# SPDX-License-Identifier: Apache-2.0
"""The past of a car park (余位历史): its readings as buckets of free spaces."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter, TooLarge, UnknownItem
from geocloud.features.binder import Binder
from geocloud.features.moment import NOW
from geocloud.features.params import TimeRange, read_datetime
from geocloud.jobs.model import Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.sectors.parking.live import FREE, LOTS, OCCUPIED, beijing
from geocloud.sensing.model import Flags
from geocloud.sensing.statements import BUCKETS, bucket_statement

__all__ = ["HISTORY", "Stream", "binned", "history", "stream_of"]

_DAYS = 7
_DOUBTFUL = int(Flags.doubtful())


@dataclass(frozen=True, slots=True)
class Stream:
    """The datastream that tells of a car park: `turned` where it counts vehicles and free is what they leave."""

    id: int
    measures: str
    spaces: int | None
    name: str
    synthetic: bool
    last: datetime

    @property
    def turned(self) -> bool:
        return self.measures == OCCUPIED

    def free(self, value: float | None) -> float | None:
        """A value of the datastream as free spaces."""
        return None if value is None else (self.spaces or 0) - value if self.turned else value


def stream_of(run: Run, lot: str) -> Stream:
    """The datastream of a car park by its code. UnknownItem where there is no such car park, or no readings of it."""
    layer = run.catalogue.layer(LOTS)
    binder = Binder()
    relation = NOW.relation(binder, layer, by_place=False) or layer.table
    found = run.rows(
        f'SELECT fid, "spaces", "name" FROM {relation} l WHERE "code" = {binder.bind(lot, "text")}', binder
    )
    if not found:
        raise UnknownItem(
            f"There is no car park `{lot[:60]}`.", f"没有停车场 {lot[:60]}。",
            todo_en=f"Check the code, or pick the car park on the map; all are in /collections/{LOTS}/items.",
            todo_zh=f"请核对编码,或在地图上点选;全部停车场见 /collections/{LOTS}/items。",
        )  # fmt: skip
    fid, spaces, name = found[0]
    binder = Binder()
    wanted = [FREE] if spaces is None else [FREE, OCCUPIED]
    streams = run.rows(
        "SELECT d.id, d.property, d.synthetic, r.at FROM sensing.datastream d JOIN sensing.latest r "
        f"ON r.datastream = d.id WHERE d.layer = {binder.bind(LOTS, 'text')} "
        f"AND d.property = ANY({binder.bind(wanted, 'text[]')}) "
        f"AND (d.fid = {binder.bind(fid, 'bigint')} OR d.fid IS NULL AND d.device = {binder.bind(lot, 'text')}) "
        f"ORDER BY r.at DESC, d.property LIMIT 1",
        binder,
    )
    if not streams:
        raise UnknownItem(
            f"The car park `{lot[:60]}` has no readings of free spaces.", f"停车场 {lot[:60]} 没有余位读数。",
            todo_en="Pick one that shows a number on the map, or have its readings sent: datastream free_spaces, see "
            "docs/sectors.md.",
            todo_zh="请选地图上显示余位的停车场,或为其登记数据流 free_spaces 并报送读数,见 docs/sectors.md。",
        )  # fmt: skip
    number, prop, synthetic, last = streams[0]
    return Stream(number, prop, spaces, name, synthetic, last)


def binned(run: Run, stream: Stream, start: datetime, stop: datetime, step_s: int) -> NDArray[np.float64]:
    """Means of free spaces in [start, stop) by steps of `step_s`, shape (steps,); NaN where nothing sound was read.

    `start` is the begin of a step; the last step may be cut short. Doubtful values, and what cannot be a number of free
    spaces, do not count.
    """
    count = -((start - stop) // timedelta(seconds=step_s))
    binder = Binder()
    begin, end = binder.bind(start, "timestamptz"), binder.bind(stop, "timestamptz")
    rows = run.rows(
        f"SELECT floor(extract(epoch FROM at - {begin}) / {binder.bind(step_s, 'int')})::int, avg(value) FROM ("
        f"SELECT DISTINCT ON (at) at, value, flags FROM sensing.observation WHERE datastream = "
        f"{binder.bind(stream.id, 'int')} AND at >= {begin} AND at < {end} "
        f"ORDER BY at, issued DESC, received DESC, value DESC) o WHERE flags & {_DOUBTFUL} = 0 GROUP BY 1",
        binder,
    )
    found = np.full(count, np.nan)
    for i, value in rows:
        if 0 <= i < count:
            free = stream.free(value)
            sound = free is not None and free >= 0 and (stream.spaces is None or free <= stream.spaces)
            found[i] = free if sound else np.nan
    return found


def history(run: Run, lot: str, datetime_: str | None = None, bucket: str = "1h") -> dict[str, Any]:
    """Free spaces of a car park by buckets (`10m` to `1d`, from midnight in Beijing): mean, least, most, count.

    Without a time the last week before the newest reading. `occupancy` is the share of spaces taken, null where the
    number of spaces is not known. Doubtful readings do not count; a bucket without readings has nulls.
    """
    stream = stream_of(run, lot)
    span = _span(stream, datetime_)
    assert span.start is not None and span.end is not None
    most = run.settings.sensing.sensing_buckets_max
    if (span.end - span.start) / BUCKETS[bucket] + 1 > most:
        raise TooLarge(
            f"The answer would have more than {most:,} buckets.", f"结果超过 {most:,} 个时段。",
            todo_en="Ask for a shorter `datetime`, or for wider buckets.", todo_zh="请缩短时段,或用更宽的间隔。",
            maximum=most,
        )  # fmt: skip
    binder = Binder()
    statement = bucket_statement(binder, stream.id, span, bucket, asof=None, flagged=False, csv=False)
    return {
        "lot": lot, "name": stream.name, "spaces": stream.spaces, "measured": stream.measures, "bucket": bucket,
        "from": beijing(span.start), "to": beijing(span.end), "synthetic": stream.synthetic,
        "rows": [_row(stream, orjson.loads(text)) for (text,) in run.rows(statement, binder)],
    }  # fmt: skip


def _span(stream: Stream, text: str | None) -> TimeRange:
    if text is None:
        return TimeRange(stream.last - timedelta(days=_DAYS), stream.last)
    read = read_datetime(text)
    start = read.start or (read.end or stream.last) - timedelta(days=_DAYS)
    end = read.end or max(stream.last, start)
    if start > datetime.now(UTC):
        raise InvalidParameter(
            "`datetime` lies ahead: nothing has been measured then.", "参数 datetime 晚于现在,尚无读数。",
            todo_en="The process parking-forecast tells what is to be expected.",
            todo_zh="预计余位请用 parking-forecast。", parameter="datetime",
        )  # fmt: skip
    return TimeRange(start, end, read.end_excluded)


def _row(stream: Stream, told: dict[str, Any]) -> dict[str, Any]:
    low, high = ("max", "min") if stream.turned else ("min", "max")
    mean = stream.free(told["mean"])
    taken = None if mean is None or not stream.spaces else round(1 - mean / stream.spaces, 4)
    return {
        "start": told["start"],
        "free": None if mean is None else round(mean, 2),
        "least": stream.free(told[low]),
        "most": stream.free(told[high]),
        "count": told["count"],
        "occupancy": taken,
    }


def _run(run: Run, inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    return {"history": history(run, inputs["lot"], inputs.get("datetime"), inputs.get("bucket", "1h"))}


HISTORY = Process(
    id="parking-history",
    version="1.0.0",
    title=Text(zh="停车场余位历史", en="Past of a car park"),
    description=Text(
        zh="一个停车场按时段的余位均值、最小、最大与占用率;北京时间零点起分段。",
        en="Free spaces of a car park by buckets: mean, least, most, and the share taken; from midnight in Beijing.",
    ),
    inputs=(
        Input("lot", Text(zh="停车场编码", en="Code of the car park"), {"type": "string", "maxLength": 64},
              required=True),
        Input("datetime", Text(zh="时段", en="Time"), {"type": "string", "maxLength": 100},
              Text(zh="起/止;不填为最近一周", en="Start/end; the last week if unset")),
        Input("bucket", Text(zh="间隔", en="Width"), {"type": "string", "enum": list(BUCKETS), "default": "1h"}),
    ),
    outputs=(Output("history", Text(zh="历史", en="History")),),
    run=_run,
    keywords=("停车", "历史"),
)  # fmt: skip
