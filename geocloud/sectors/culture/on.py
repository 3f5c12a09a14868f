# SPDX-License-Identifier: Apache-2.0
"""What is on near a place at a time (文化活动查询): events with their distances and next openings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.moment import NOW
from geocloud.features.params import TimeRange, read_datetime
from geocloud.jobs.model import Input, Output, Process, Results
from geocloud.jobs.places import POINT_SCHEMA
from geocloud.jobs.run import Run
from geocloud.sectors.culture.hours import BEIJING, next_open, read_hours
from geocloud.sectors.culture.near import VENUES, box_round, rounded

__all__ = ["EVENTS", "PROCESS", "RADIUS_MAX_M", "culture_on"]

EVENTS = "culture.event"
RADIUS_MAX_M = 50_000
ROWS_MAX = 1_000
_ONE_DAY = timedelta(days=1)


def culture_on(
    run: Run,
    lon: float,
    lat: float,
    radius_m: float = 2_000,
    datetime_: str | None = None,
    category: str | None = None,
    free: bool | None = None,
    limit: int = 100,
) -> dict[str, Any]:
    """Events within `radius_m` (m, CGCS2000 ellipsoid, as the crow flies) of lon/lat that share an instant with the
    time asked, as GeoJSON (longitude first) in the order of distance, then of begin.

    Without a time it is from now to the end of the day in Beijing. Beside its fields an event has `distance_m`;
    `position_of`, whether the point is the event's own or its venue's; `on_at_start`; `next_opening`, the first moment
    in the time asked at which one can go, and `next_opening_by`, what that is known from: the event's own hours, the
    venue's, or the times of the event alone, which for an event of more than a day says little.
    """
    events = run.catalogue.layer(EVENTS)
    start, end, excluded = _asked(datetime_)
    if category is not None:
        known = events.codes["event_kind"].titles() if "event_kind" in events.codes else {}
        if known and category not in known:
            raise InvalidParameter(
                f"`category` cannot be `{category[:60]}`.", f"参数 category 不能是 {category[:60]}。",
                todo_en=f"One of: {', '.join(known)}.", todo_zh=f"可用:{'、'.join(known)}。",
                parameter="category", allowed=list(known),
            )  # fmt: skip
    binder = Binder()
    found = run.rows(_sql(run, binder, lon, lat, radius_m, start, end, excluded, category, free, limit + 1), binder)
    names = [f.name for f in events.spec.visible_fields]
    venues_synthetic = VENUES in run.catalogue.layers and run.catalogue.layer(VENUES).synthetic
    features = [_feature(names, row, start, end) for row in found[:limit]]
    return {
        "type": "FeatureCollection",
        "features": features,
        "numberReturned": len(features),
        "complete": len(found) <= limit,
        "from": start.astimezone(BEIJING).isoformat(),
        "to": None if end is None else end.astimezone(BEIJING).isoformat(),
        "radius_m": radius_m,
        "synthetic": events.synthetic or venues_synthetic,
    }


def _asked(text: str | None) -> tuple[datetime, datetime | None, bool]:
    """Begin, end and whether the end is excluded; an open begin is now."""
    now = datetime.now(UTC)
    if text is None:
        midnight = now.astimezone(BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
        return now, (midnight + _ONE_DAY).astimezone(UTC), True
    read: TimeRange = read_datetime(text)
    if read.start is None and read.end is not None and read.end < now:
        raise InvalidParameter(
            "`datetime` has ended and says no begin.", "参数 datetime 没有写开始,且结束时间已过。",
            todo_en="Write both, such as 2024-05-01T18:00:00+08:00/2024-05-01T22:00:00+08:00.",
            todo_zh="请写明起止,例如 2024-05-01T18:00:00+08:00/2024-05-01T22:00:00+08:00。",
            parameter="datetime",
        )  # fmt: skip
    return read.start or now, read.end, read.end_excluded


def _sql(
    run: Run, binder: Binder, lon: float, lat: float, radius_m: float, start: datetime, end: datetime | None,
    excluded: bool, category: str | None, free: bool | None, limit: int,
) -> str:  # fmt: skip
    events = run.catalogue.layer(EVENTS)
    relation = NOW.relation(binder, events, by_place=False) or events.table
    fields = ", ".join(f"e.{quote_identifier(f.name)}" for f in events.spec.visible_fields)
    place, hours, join = "e.geom", "NULL::text", ""
    if VENUES in run.catalogue.layers:
        venues = run.catalogue.layer(VENUES)
        read = NOW.relation(binder, venues, by_place=False) or venues.table
        join = f' LEFT JOIN {read} v ON v."code" = e."venue_code"'
        place, hours = "coalesce(e.geom, v.geom)", 'v."hours"'
    # An event that ends when the time asked begins is over.
    tests = [f'e."ends_at" > {binder.bind(start, "timestamptz")}']
    if end is not None:
        tests.append(f'e."starts_at" {"<" if excluded else "<="} {binder.bind(end, "timestamptz")}')
    if category is not None:
        tests.append(f'e."category" = {binder.bind(category, "text")}')
    if free is not None:
        tests.append(f'e."free" IS {"TRUE" if free else "FALSE"}')
    at = f"ST_SetSRID(ST_MakePoint({binder.bind(lon, 'float8')}, {binder.bind(lat, 'float8')}), 4490)::geography"
    tests.append(box_round(binder, place, lon, lat, radius_m))
    radius = binder.bind(radius_m, "float8")
    return (
        f"SELECT * FROM (SELECT e.fid, {fields}, {hours} AS hours_of_venue, e.geom IS NOT NULL AS own, "
        f"ST_X({place}) AS lon, ST_Y({place}) AS lat, ST_Distance({place}::geography, {at}) AS metres "
        f"FROM {relation} e{join} WHERE {' AND '.join(tests)}) x "
        f'WHERE metres <= {radius} ORDER BY metres, "starts_at", fid LIMIT {binder.bind(limit, "integer")}'
    )


def _feature(names: list[str], row: tuple[Any, ...], start: datetime, end: datetime | None) -> dict[str, Any]:
    fid, *values, venue_hours, own, lon, lat, metres = row
    told = dict(zip(names, values, strict=True))
    begins, ends = told["starts_at"], told["ends_at"]
    opening, by = _opening(begins, ends, told.get("hours"), venue_hours, start, end)
    told = {k: v.astimezone(BEIJING).isoformat() if isinstance(v, datetime) else v for k, v in told.items()}
    return {
        "type": "Feature",
        "id": fid,
        "geometry": {"type": "Point", "coordinates": [lon, lat]},
        "properties": {
            **{k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in told.items()},
            "distance_m": rounded(metres),
            "position_of": "event" if own else "venue",
            "on_at_start": begins <= start < ends,
            "next_opening": None if opening is None else opening.astimezone(BEIJING).isoformat(),
            "next_opening_by": by,
        },
    }


def _opening(
    begins: datetime, ends: datetime, hours: str | None, venue_hours: str | None, start: datetime, end: datetime | None
) -> tuple[datetime | None, str]:
    """When one can go, and what it is known from. A short event is open as long as it lasts, whatever the venue's
    hours are: a concert begins when the library has closed."""
    first, last = max(begins, start), ends if end is None else min(ends, end + timedelta(microseconds=1))
    own, of_venue = read_hours(hours), read_hours(venue_hours)
    if own is not None:
        return next_open(first, last, own), "event-hours"
    if ends - begins <= _ONE_DAY:
        return next_open(first, last, None), "event-times"
    if of_venue is not None and not hours:
        return next_open(first, last, of_venue), "venue-hours"
    return next_open(first, last, None), "event-times"


def _run(run: Run, inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    lon, lat = inputs["point"]["coordinates"][:2]
    events = culture_on(
        run, lon, lat, inputs.get("radius_m", 2_000), inputs.get("datetime"), inputs.get("category"),
        inputs.get("free"), inputs.get("limit", 100),
    )  # fmt: skip
    return {"events": events}


PROCESS = Process(
    id="culture-on",
    version="1.0.0",
    title=Text(zh="附近文化活动", en="What is on nearby"),
    description=Text(
        zh="某地点周围、某时段内的文化活动,按椭球面直线距离(米)排序,并给出最近可到访时刻。",
        en="Cultural events round a place in a time, by distance in metres on the ellipsoid, with the next opening.",
    ),
    inputs=(
        Input("point", Text(zh="地点", en="Place"), POINT_SCHEMA, Text(zh="经度在前,度", en="Longitude first, degrees"),
              required=True),
        Input("radius_m", Text(zh="半径(米)", en="Radius in metres"),
              {"type": "number", "exclusiveMinimum": 0, "maximum": RADIUS_MAX_M, "default": 2_000}),
        Input("datetime", Text(zh="时段", en="Time"), {"type": "string", "maxLength": 100},
              Text(zh="时刻、日期或 起/止;不填为此刻到今日结束",
                   en="Instant, date or start/end; now to midnight if unset")),
        Input("category", Text(zh="类别", en="Kind"), {"type": "string", "maxLength": 60}),
        Input("free", Text(zh="免费", en="Free of charge"), {"type": "boolean"}),
        Input("limit", Text(zh="最多条数", en="Most events"),
              {"type": "integer", "minimum": 1, "maximum": ROWS_MAX, "default": 100}),
    ),
    outputs=(Output("events", Text(zh="活动", en="Events")),),
    run=_run,
    keywords=("文化", "活动"),
)  # fmt: skip
