# SPDX-License-Identifier: Apache-2.0
"""Opening hours of every day as text (`09:00-17:00`), and the next moment at which something is open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, timezone

__all__ = ["BEIJING", "next_open", "read_hours"]

BEIJING = timezone(timedelta(hours=8))
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*[-–—~至]\s*([01]\d|2[0-4]):([0-5]\d)")
_DAY = timedelta(days=1)
Span = tuple[timedelta, timedelta]
Opening = tuple[datetime, datetime]


def read_hours(text: str | None) -> tuple[Span, ...] | None:
    """Spans from midnight, Beijing time, of hours that hold every day; None where the text says anything else.

    `09:00-12:00, 14:00-17:00` are two spans; one that ends at or before its begin ends on the day after.
    """
    if not text or not text.strip():
        return None
    spans = []
    for part in re.split(r"[,,;;、]", text):
        found = _SPAN.fullmatch(part.strip())
        if found is None or (found[3] == "24" and found[4] != "00"):
            return None
        first, last = (timedelta(hours=int(h), minutes=int(m)) for h, m in (found.group(1, 2), found.group(3, 4)))
        spans.append((first, last if last > first else last + _DAY))
    return tuple(spans)


def next_open(start: datetime, end: datetime, spans: tuple[Span, ...] | None) -> datetime | None:
    """The first moment in [start, end) within a span, in UTC; `start` itself where no spans are given."""
    if start >= end:
        return None
    if spans is None:
        return start
    return next((max(a, start) for a, b in _openings(start, end, spans) if b > start and max(a, start) < end), None)


def _openings(start: datetime, end: datetime, spans: tuple[Span, ...]) -> Iterator[Opening]:
    day = start.astimezone(BEIJING).date() - _DAY
    # Spans repeat every day: two days on from the first every one of them has come.
    for _ in range(4):
        midnight = datetime.combine(day, time(), BEIJING).astimezone(UTC)
        yield from sorted((midnight + a, midnight + b) for a, b in spans)
        if midnight > end:
            return
        day += _DAY
