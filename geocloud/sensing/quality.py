# SPDX-License-Identifier: Apache-2.0
"""How good the kept readings are: gaps, doubtful zeros, values at the scale's end and out of range, corrections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from geocloud.features.binder import Binder
from geocloud.features.literals import bind_instant
from geocloud.features.params import TimeRange

__all__ = ["Quality", "quality"]


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one datastream in a span. `gaps`: steps longer than one and a half of the expected interval; `lacking`: how
    many readings would stand in them; both None where no interval is known. Times are UTC."""

    datastream: int
    collection: str
    device: str
    property: str
    unit: str
    count: int
    first: datetime
    last: datetime
    longest_s: float | None
    gaps: int | None
    lacking: int | None
    below: int
    above: int
    zero: int
    capped: int
    converted: int
    corrections: int


async def quality(
    conn: Any, *, collection: str | None = None, prop: str | None = None, span: TimeRange | None = None
) -> Sequence[Quality]:
    """Quality by datastream; `conn` is an asyncpg connection that may read. Datastreams without readings are left out.

    A full read of the span: for a person who asks, not for every request.
    """
    binder = Binder()
    clauses = ["true"]
    if collection is not None:
        clauses.append(f"d.layer = {binder.bind(collection, 'text')}")
    if prop is not None:
        clauses.append(f"d.property = {binder.bind(prop, 'text')}")
    if span is not None and span.start is not None:
        clauses.append(f"o.at >= {bind_instant(binder, span.start)}")
    if span is not None and span.end is not None:
        clauses.append(f"o.at {'<' if span.end_excluded else '<='} {bind_instant(binder, span.end)}")
    sql = f"""
WITH every AS (
  SELECT o.*, row_number() OVER (PARTITION BY o.datastream, o.at ORDER BY issued DESC, received DESC, value DESC) AS nth
    FROM sensing.datastream d JOIN sensing.observation o ON o.datastream = d.id WHERE {" AND ".join(clauses)}
), counted AS (
  SELECT datastream, count(*) FILTER (WHERE nth > 1) AS corrections FROM every GROUP BY datastream
), stepped AS (
  SELECT datastream, at, flags, extract(epoch FROM at - lag(at) OVER (PARTITION BY datastream ORDER BY at)) AS step
    FROM every WHERE nth = 1
)
SELECT d.id, d.layer, d.device, d.property, d.unit, count(*), min(s.at), max(s.at), max(s.step)::float8,
       CASE WHEN d.interval_s IS NOT NULL THEN count(*) FILTER (WHERE s.step > 1.5 * d.interval_s) END,
       CASE WHEN d.interval_s IS NOT NULL THEN
         coalesce(sum(round(s.step / d.interval_s) - 1) FILTER (WHERE s.step > 1.5 * d.interval_s), 0)::bigint END,
       count(*) FILTER (WHERE s.flags & 1 <> 0), count(*) FILTER (WHERE s.flags & 2 <> 0),
       count(*) FILTER (WHERE s.flags & 4 <> 0), count(*) FILTER (WHERE s.flags & 8 <> 0),
       count(*) FILTER (WHERE s.flags & 16 <> 0), c.corrections
  FROM stepped s JOIN sensing.datastream d ON d.id = s.datastream JOIN counted c ON c.datastream = d.id
 GROUP BY d.id, c.corrections ORDER BY d.layer, d.device, d.property
"""
    return [Quality(*row) for row in await conn.fetch(sql, *binder.args)]
