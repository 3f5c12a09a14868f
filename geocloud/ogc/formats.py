# SPDX-License-Identifier: Apache-2.0
"""How pages write numbers, dates, sizes and values: one way for every page, in both languages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

__all__ = ["BEIJING", "count", "day", "degrees", "moment", "value"]

# 北京时间; no daylight saving since 1991, and no row of ours is shown as of before.
BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
Language = Literal["zh", "en"]


def count(number: int) -> str:
    """A whole number with thousands apart: 12,345."""
    return f"{number:,}"


def day(text: str, language: Language) -> str:
    """A calendar date `2026-11-22`: 2026年11月22日, 22 November 2026; any other text as it is."""
    try:
        when = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return text
    return _day(when, language)


def moment(text: str, language: Language) -> str:
    """An RFC 3339 instant in Beijing time to the minute; any other text as it is."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    if when.tzinfo is None:
        return text
    local = when.astimezone(BEIJING)
    clock = local.strftime("%H:%M")
    return f"{_day(local, 'zh')} {clock}" if language == "zh" else f"{_day(local, 'en')}, {clock} Beijing time"


def degrees(value: float, axis: Literal["lon", "lat"]) -> str:
    """A longitude or latitude with its hemisphere: 115.98° E."""
    names = ("E", "W") if axis == "lon" else ("N", "S")
    return f"{abs(value):.2f}° {names[0] if value >= 0 else names[1]}"


def value(item: Any, kind: str, language: Language) -> str:
    """An attribute's value as a table shows it: exact, with dates and truth values in words."""
    if item is None:
        return ""
    if isinstance(item, bool):
        return ("是" if item else "否") if language == "zh" else ("yes" if item else "no")
    if kind == "date":
        return day(str(item), language)
    if kind == "datetime":
        return moment(str(item), language)
    return str(item)


def _day(when: datetime, language: Language) -> str:
    if language == "zh":
        return f"{when.year}年{when.month}月{when.day}日"
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}"
