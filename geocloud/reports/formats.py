# SPDX-License-Identifier: Apache-2.0
"""How pages and reports write numbers, dates, sizes and values: one way for all of them, in both languages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from math import floor, isfinite, log10
from typing import Any, Literal

from geocloud.geodesy.area import SQUARE_METRES_PER_MU

__all__ = ["BEIJING", "area", "count", "day", "exact_moment", "length", "moment", "significant", "unit", "value"]

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
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
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
        local = when.astimezone(BEIJING)
    except (ValueError, OverflowError):
        return text
    if when.tzinfo is None:
        return text
    clock = local.strftime("%H:%M")
    return f"{_day(local, 'zh')} {clock}" if language == "zh" else f"{_day(local, 'en')}, {clock} Beijing time"


def exact_moment(text: str) -> str:
    """An RFC 3339 instant in Beijing time with all its digits, as `asof` takes it."""
    return datetime.fromisoformat(text).astimezone(BEIJING).isoformat()


def significant(number: float) -> str:
    """Three significant digits with thousands apart: 1,440 or 0.0123."""
    if number == 0 or not isfinite(number):
        return f"{number:g}"
    digits = 2 - floor(log10(abs(number)))
    return f"{round(number, digits):,.{max(digits, 0)}f}"


def area(square_metres: float, language: Language) -> str:
    """An area of land: hectares and mu; below a hectare square metres."""
    if square_metres < 10_000:
        return f"{significant(square_metres)} {'平方米' if language == 'zh' else 'm²'}"
    hectares, mu = significant(square_metres / 10_000), significant(square_metres / SQUARE_METRES_PER_MU)
    return f"{hectares} 公顷（{mu} 亩）" if language == "zh" else f"{hectares} ha ({mu} mu)"


def length(metres: float) -> str:
    """A length: metres, from a kilometre on kilometres."""
    return f"{significant(metres / 1000)} km" if metres >= 1000 else f"{significant(metres)} m"


def unit(ucum: str | None) -> str:
    """A UCUM unit as people write it: m2 is m², ug/m3 is µg/m³, Cel is °C."""
    if not ucum:
        return ""
    text = ucum.replace("Cel", "°C").replace("ug", "µg").replace("deg", "°")
    return re.sub(r"(?<=[a-z])-?[0-9]", lambda m: m.group().translate(_RAISED), text)


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
