# SPDX-License-Identifier: Apache-2.0
"""What a CQL2 expression says, whichever way it was written: a small tree of frozen nodes.

Both readers make the same tree within the same limits, so that only one compiler has to be trusted. Every node
remembers its place: a character number in the text encoding, a JSON pointer in the JSON encoding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from geocloud.errors import InvalidParameter
from geocloud.features.literals import invalid, parse_date, parse_instant
from geocloud.settings import WebSettings

__all__ = [
    "COMPARISONS",
    "FUNCTIONS",
    "OPERATORS",
    "SPATIAL",
    "TEMPORAL",
    "Box",
    "Call",
    "Instant",
    "Interval",
    "Items",
    "Limits",
    "Literal",
    "Node",
    "Place",
    "Property",
    "Shape",
    "bad",
    "check_number",
    "check_text",
    "instant_of",
    "interval_end",
    "named",
    "place_words",
    "too_big",
    "unknown_function",
    "wrong_count",
]

Place = int | str

COMPARISONS: Final = frozenset({"=", "<>", "<", ">", "<=", ">="})
SPATIAL: Final = frozenset(
    {"s_intersects", "s_disjoint", "s_equals", "s_touches", "s_crosses", "s_within", "s_contains", "s_overlaps"}
)
# Temporal functions, and whether they take intervals only (OGC 21-065r2, table of temporal functions).
TEMPORAL: Final = {
    "t_after": False,
    "t_before": False,
    "t_disjoint": False,
    "t_equals": False,
    "t_intersects": False,
    "t_contains": True,
    "t_during": True,
    "t_finishedby": True,
    "t_finishes": True,
    "t_meets": True,
    "t_metby": True,
    "t_overlappedby": True,
    "t_overlaps": True,
    "t_startedby": True,
    "t_starts": True,
}
# Every operator and function there is, in lower case, with the number of its arguments (None: two or more).
OPERATORS: Final[dict[str, int | None]] = {
    "and": None,
    "or": None,
    "not": 1,
    "like": 2,
    "between": 3,
    "in": 2,
    "isnull": 1,
    "casei": 1,
    "accenti": 1,
    **dict.fromkeys(COMPARISONS, 2),
    **dict.fromkeys(("+", "-", "*", "/", "^", "%", "div"), 2),
    **dict.fromkeys(SPATIAL, 2),
    **dict.fromkeys(TEMPORAL, 2),
}
# Those of them that are written like a function.
FUNCTIONS: Final = frozenset(op for op in OPERATORS if op[:2] in ("s_", "t_") or op in ("casei", "accenti"))


@dataclass(frozen=True, slots=True)
class Property:
    """A name, not yet looked up."""

    name: str
    at: Place


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, number or truth value; `pattern` is a text as LIKE reads it, with doubled backslashes kept."""

    value: str | int | float | bool
    at: Place
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Instant:
    """A date, or a moment in UTC."""

    value: date | datetime
    at: Place

    @property
    def is_date(self) -> bool:
        return not isinstance(self.value, datetime)


@dataclass(frozen=True, slots=True)
class Interval:
    """Closed on both sides; None where open (`..`)."""

    start: Instant | Property | None
    end: Instant | Property | None
    at: Place


@dataclass(frozen=True, slots=True)
class Shape:
    """A GeoJSON geometry object, its structure not yet looked at, axes as `filter-crs` has them."""

    geojson: dict[str, Any]
    at: Place


@dataclass(frozen=True, slots=True)
class Box:
    """Numbers of a bounding box, axes as `filter-crs` has them."""

    numbers: tuple[float, ...]
    at: Place


@dataclass(frozen=True, slots=True)
class Items:
    """The list of IN."""

    items: tuple[Node, ...]
    at: Place


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function of OPERATORS with its arguments."""

    op: str
    args: tuple[Node, ...]
    at: Place


Node = Property | Literal | Instant | Interval | Shape | Box | Items | Call


class Limits:
    """Counts nodes and nesting while an expression is read; InvalidParameter beyond the named settings."""

    __slots__ = ("_depth", "_nodes", "_settings")

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._depth = 0
        self._nodes = 0

    def node(self, at: Place) -> None:
        self._nodes += 1
        if self._nodes > self._settings.filter_nodes_max:
            raise too_big("filter_nodes_max", self._settings.filter_nodes_max, at)

    def enter(self, at: Place) -> None:
        self._depth += 1
        if self._depth > self._settings.filter_depth_max:
            raise too_big("filter_depth_max", self._settings.filter_depth_max, at)

    def leave(self) -> None:
        self._depth -= 1


def bad(at: Place, en: str, zh: str, todo_en: str = "", todo_zh: str = "", **context: Any) -> InvalidParameter:
    """An InvalidParameter of `filter` that says where; the sentences carry no place themselves."""
    where, where_zh = place_words(at)
    return invalid("filter", f"{en}{where}.", f"{zh}{where_zh}。", todo_en, todo_zh, position=at, **context)


def place_words(at: Place) -> tuple[str, str]:
    """A place as the end of a sentence in both languages; nothing for the whole filter."""
    if isinstance(at, int):
        return f" (at character {at})", f"(位于第 {at} 个字符)"
    return (f" (at {at})", f"(位于 {at})") if at else ("", "")


def too_big(setting: str, limit: int, at: Place) -> InvalidParameter:
    """An InvalidParameter for an expression over a named limit."""
    words = {
        "filter_chars_max": ("longer than {} characters", "长度超过 {} 个字符"),
        "filter_depth_max": ("nested deeper than {} levels", "嵌套超过 {} 层"),
        "filter_nodes_max": ("made of more than {} operators, names and values", "运算符、名称和值超过 {} 个"),
    }[setting]
    return bad(
        at,
        f"`filter` is {words[0].format(limit)}",
        f"filter {words[1].format(limit)}",
        "Ask in smaller pieces.",
        "请拆成较小的查询。",
        setting=setting,
        limit=limit,
    )


def named(name: str) -> str:
    """A name a client sent, short and printable enough for a message."""
    return "".join(c if c.isprintable() else "?" for c in name[:60])


def check_text(text: str, at: Place) -> str:
    """The text itself, when PostgreSQL can hold it."""
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise bad(at, "A text holds a NUL character or half a surrogate pair", "文本含有 NUL 字符或不完整的代理对")
    return text


def check_number(value: float, at: Place) -> int | float:
    """The number itself, when a double can hold it."""
    try:
        fits = math.isfinite(float(value))
    except OverflowError:
        fits = False
    if not fits:
        raise bad(at, "A number is too large or not finite", "数值过大或不是有限数", allowed="-1.797e308 … 1.797e308")
    return value


def instant_of(text: str, at: Place, kind: str = "") -> Instant:
    """The instant a text says; `kind` is `date`, `timestamp`, or empty for either."""
    day = parse_date(text) if kind != "timestamp" else None
    value = day if day is not None else (parse_instant(text) if kind != "date" else None)
    if value is None:
        raise bad(
            at,
            f"`{named(text)}` is no RFC 3339 {kind or 'date or timestamp'}",
            f"“{named(text)}”不是 RFC 3339 {'日期' if kind == 'date' else '时刻' if kind else '日期或时刻'}",
            "Write DATE('2024-05-01') or TIMESTAMP('2024-05-01T00:00:00Z').",
            "请写 DATE('2024-05-01') 或 TIMESTAMP('2024-05-01T00:00:00Z')。",
        )
    return Instant(value, at)


def unknown_function(name: str, at: Place) -> InvalidParameter:
    """The error for a function that is not on the list."""
    return bad(
        at,
        f"There is no function `{named(name)}`",
        f"没有函数“{named(name)}”",
        f"Allowed are: {', '.join(sorted(FUNCTIONS)).upper()}.",
        f"可用函数:{'、'.join(sorted(FUNCTIONS)).upper()}。",
        allowed=sorted(FUNCTIONS),
    )


def wrong_count(op: str, given: int, at: Place) -> InvalidParameter:
    """The error for an operator with too few or too many arguments."""
    wanted = OPERATORS[op]
    en, zh = ("two or more", "两个或更多") if wanted is None else (str(wanted), f"{wanted} 个")
    return bad(at, f"`{op.upper()}` takes {en} argument(s), not {given}", f"{op.upper()} 需要{zh}参数,而非 {given} 个")


def interval_end(at: Place) -> InvalidParameter:
    """The error for anything else than an instant, a property or `..` in an interval."""
    return bad(at, "An INTERVAL is made of instants, properties and '..'", "INTERVAL 只能由时刻、字段和 '..' 组成")
