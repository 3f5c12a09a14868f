# SPDX-License-Identifier: Apache-2.0
"""Comparison of instants and intervals as SQL.

Two dates are compared as dates, two timestamps as timestamps; a date and a timestamp by the day in Beijing on which
the timestamp falls (the cast is the server's choice: OGC 21-065r2, permission type-casts). Where the date is a literal
the condition is written as a range of the timestamp, so that an index on it serves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal

from geocloud.features.binder import Binder
from geocloud.features.literals import bind_date, bind_instant, day_end, day_start

__all__ = ["Moment", "Span", "compare", "relate"]

_MIRRORED: Final = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
# Start (0) and end (1) of both operands (OGC 21-065r2, tables of temporal functions; W3C OWL-Time).
_RELATIONS: Final = {
    "t_after": ("a0 > b1",),
    "t_before": ("a1 < b0",),
    "t_intersects": ("a0 <= b1", "a1 >= b0"),
    "t_equals": ("a0 = b0", "a1 = b1"),
    "t_contains": ("a0 < b0", "a1 > b1"),
    "t_during": ("a0 > b0", "a1 < b1"),
    "t_finishes": ("a0 > b0", "a1 = b1"),
    "t_finishedby": ("a0 < b0", "a1 = b1"),
    "t_meets": ("a1 = b0",),
    "t_metby": ("a0 = b1",),
    "t_overlaps": ("a0 < b0", "a1 > b0", "a1 < b1"),
    "t_overlappedby": ("a0 > b0", "a0 < b1", "a1 > b1"),
    "t_starts": ("a0 = b0", "a1 < b1"),
    "t_startedby": ("a0 = b0", "a1 > b1"),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant: SQL of a column, or a literal; `open` marks the open end of an interval."""

    kind: Literal["date", "timestamp"]
    sql: str = ""
    value: date | datetime | None = None
    open: Literal["", "start", "end"] = ""


@dataclass(frozen=True, slots=True)
class Span:
    """An interval closed on both sides; an instant is the span from itself to itself."""

    start: Moment
    end: Moment


def compare(binder: Binder, op: str, left: Moment, right: Moment) -> str:
    """SQL of `left op right`; null when a column is null."""
    if left.open and not right.open:
        left = Moment(right.kind, open=left.open)
    elif right.open:
        right = Moment(left.kind, open=right.open)
    if left.kind == right.kind:
        return f"{_sql(binder, left)} {op} {_sql(binder, right)}"
    if left.kind == "date":
        return compare(binder, _MIRRORED[op], right, left)
    if right.value is not None:
        return _on_day(binder, op, _sql(binder, left), right.value)
    if isinstance(left.value, datetime):
        return f"{bind_date(binder, _beijing_day(left.value))} {op} {right.sql}"
    return f"({left.sql} AT TIME ZONE INTERVAL '08:00')::date {op} {right.sql}"


def relate(binder: Binder, function: str, a: Span, b: Span) -> str:
    """SQL of a temporal function between two spans."""
    if function == "t_disjoint":
        return f"(NOT {relate(binder, 't_intersects', a, b)})"
    moments = {"a0": a.start, "a1": a.end, "b0": b.start, "b1": b.end}
    terms = (term.split() for term in _RELATIONS[function])
    return f"({' AND '.join(compare(binder, op, moments[x], moments[y]) for x, op, y in terms)})"


def _sql(binder: Binder, moment: Moment) -> str:
    if moment.open:
        bound = "infinity" if moment.open == "end" else "-infinity"
        return f"'{bound}'::{'date' if moment.kind == 'date' else 'timestamptz'}"
    if isinstance(moment.value, datetime):
        return bind_instant(binder, moment.value)
    return bind_date(binder, moment.value) if moment.value is not None else moment.sql


def _on_day(binder: Binder, op: str, timestamp: str, day: date) -> str:
    begin, end = day_start(day), day_end(day)
    if op in ("<", ">="):
        return f"{timestamp} {op} {bind_instant(binder, begin)}"
    next_day = "'infinity'::timestamptz" if end is None else bind_instant(binder, end)
    if op in (">", "<="):
        return f"{timestamp} {'>=' if op == '>' else '<'} {next_day}"
    inside = f"({timestamp} >= {bind_instant(binder, begin)} AND {timestamp} < {next_day})"
    return inside if op == "=" else f"(NOT {inside})"


def _beijing_day(moment: datetime) -> date:
    try:
        return (moment + timedelta(hours=8)).date()
    except OverflowError:
        return date.max
