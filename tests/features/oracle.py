# SPDX-License-Identifier: Apache-2.0
"""CQL2 JSON evaluated over Python rows with shapely: the second opinion on what a filter means.

Written from the standard and not from the compiler; it knows neither SQL nor the compiler's nodes. Unknown is None.
"""

from __future__ import annotations

import math
import operator
import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

import shapely

_COMPARE = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000
_LARGEST = 8e307


class Day(int):
    """A date as its ordinal."""


class Moment(float):
    """A timestamp as microseconds since 1970, infinite where open."""


class Stored(int):
    """A whole number from an integer column, compared exactly with literals."""


class Computed(float):
    """A double: from a number column or an arithmetic expression."""


def matches(tree: Any, row: dict[str, Any]) -> bool:
    """True when the row belongs to the answer."""
    return evaluate(tree, row) is True


def evaluate(tree: Any, row: dict[str, Any]) -> Any:
    if not isinstance(tree, dict):
        return tree
    if "property" in tree:
        return _property(tree["property"], row)
    if "date" in tree:
        return Day(date.fromisoformat(tree["date"]).toordinal())
    if "timestamp" in tree:
        return _moment(datetime.fromisoformat(tree["timestamp"].replace("Z", "+00:00")))
    if "interval" in tree:
        return tuple(_end(e, i, row) for i, e in enumerate(tree["interval"]))
    if "bbox" in tree:
        return _box(tree["bbox"])
    if "type" in tree:
        return shapely.geometry.shape(tree)
    return _operation(tree["op"], tree["args"], row)


def _property(name: str, row: dict[str, Any]) -> Any:
    value = row["geom" if name == "geometry" else name]
    if name in ("valid_from", "valid_to"):
        return Moment(value) if isinstance(value, float) else _moment(value)
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, date):
        return Day(value.toordinal())
    if isinstance(value, bool) or value is None:
        return value
    return Stored(value) if isinstance(value, int) else Computed(value) if isinstance(value, float) else value


def _moment(value: datetime) -> Moment:
    return Moment((value - _EPOCH) // timedelta(microseconds=1))


def _end(value: Any, index: int, row: dict[str, Any]) -> Any:
    if value == "..":
        return Moment(math.inf if index else -math.inf)
    if isinstance(value, str):
        return evaluate({"timestamp" if "T" in value else "date": value}, row)
    return evaluate(value, row)


def _box(numbers: list[float]) -> Any:
    west, south, east, north = numbers if len(numbers) == 4 else [*numbers[:2], *numbers[3:5]]
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.union(shapely.box(west, south, 180, north), shapely.box(-180, south, east, north))


def _operation(op: str, args: list[Any], row: dict[str, Any]) -> Any:
    if op == "and":
        return _all([evaluate(a, row) for a in args])
    if op == "or":
        negated = _all([_not(evaluate(a, row)) for a in args])
        return _not(negated)
    if op == "not":
        return _not(evaluate(args[0], row))
    if op == "isNull":
        value = evaluate(args[0], row)
        return value is None or (isinstance(value, Moment) and math.isinf(value))
    if op == "in":
        return _in(args, row)
    values = [evaluate(a, row) for a in args]
    if op in _COMPARE:
        return _compare(op, *values)
    if op == "between":
        return _all([_compare(">=", values[0], values[1]), _compare("<=", values[0], values[2])])
    if op.startswith("t_"):
        return _temporal(op, *(v if isinstance(v, tuple) else (v, v) for v in values))
    if any(v is None for v in values):
        return None
    if op == "casei":
        return values[0].casefold()
    if op == "accenti":
        bare = "".join(c for c in unicodedata.normalize("NFD", values[0]) if not "\u0300" <= c <= "\u036f")
        return unicodedata.normalize("NFC", bare)
    if op == "like":
        return _like(values[0], values[1])
    if op.startswith("s_"):
        return _spatial(op, values[0], values[1])
    return _arithmetic(op, float(values[0]), float(values[1]))


def _all(values: list[Any]) -> Any:
    return False if False in values else None if None in values else True


def _not(value: Any) -> Any:
    return None if value is None else not value


def _in(args: list[Any], row: dict[str, Any]) -> Any:
    value = evaluate(args[0], row)
    items = [evaluate(i, row) for i in args[1]]
    if isinstance(args[0], dict) and "property" not in args[0]:
        # A computed number is compared as a double with whatever is in the list.
        items = [
            Computed(i) if isinstance(i, int | float) and not isinstance(i, bool | Day | Moment) else i for i in items
        ]
    return _not(_all([_not(_compare("=", value, i)) for i in items]))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool | Day | Moment)


def _compare(op: str, a: Any, b: Any) -> Any:
    if a is None or b is None:
        return None
    if isinstance(a, Day) != isinstance(b, Day):
        a, b = (v if isinstance(v, Day) else _beijing(v) for v in (a, b))
    elif not isinstance(a, str | bool | Day | Moment):
        a, b = _numbers(a, b)
    return _COMPARE[op](a, b)


def _beijing(moment: Moment) -> float:
    if math.isinf(moment):
        return float(moment)
    return (int(moment) + 8 * 3600 * 1_000_000) // _DAY + _EPOCH.toordinal()


def _numbers(a: Any, b: Any) -> tuple[Any, Any]:
    if isinstance(a, Computed) or isinstance(b, Computed):
        return float(a), float(b)
    return Decimal(repr(int(a) if isinstance(a, int) else a)), Decimal(repr(int(b) if isinstance(b, int) else b))


def _like(value: str, pattern: str) -> bool:
    out, i = [], 0
    while i < len(pattern):
        c = pattern[i]
        if c == "\\":
            i += 1
            out.append(re.escape(pattern[i]))
        else:
            out.append(".*" if c == "%" else "." if c == "_" else re.escape(c))
        i += 1
    return re.fullmatch("".join(out), value, re.DOTALL) is not None


def _arithmetic(op: str, a: float, b: float) -> Computed | None:
    if not (math.isfinite(a) and math.isfinite(b)):
        return None
    try:
        if op in ("+", "-"):
            small = abs(a) < _LARGEST and abs(b) < _LARGEST
            found = (a + b if op == "+" else a - b) if small else math.inf
        elif op in ("%", "div"):
            found = _decimal(op, a, b)
        else:
            found = {"*": operator.mul, "/": operator.truediv, "^": operator.pow}[op](a, b)
    except (OverflowError, ZeroDivisionError):
        return None
    if isinstance(found, complex) or not math.isfinite(found) or abs(found) >= 1e308:
        return None
    return Computed(0.0 if op in ("*", "/", "^") and abs(found) <= 1e-307 else found)


def _decimal(op: str, a: float, b: float) -> float:
    if b == 0 or (op == "%" and abs(b) < 1e-290):
        raise ZeroDivisionError
    if op == "div" and a and abs(math.log10(abs(a)) - math.log10(abs(b))) >= 308:
        return math.inf if abs(a) > abs(b) else 0.0
    with localcontext() as context:
        context.prec = 1000
        context.Emin, context.Emax = -2000, 2000
        x, y = Decimal(repr(a)), Decimal(repr(b))
        return float(x % y if op == "%" else x // y)


def _temporal(op: str, a: tuple[Any, Any], b: tuple[Any, Any]) -> Any:
    """Allen's relations, by start and end."""

    def c(relation: str, x: Any, y: Any) -> Any:
        return _compare(relation, x, y)

    (s1, e1), (s2, e2) = a, b
    return {
        "t_after": lambda: c(">", s1, e2),
        "t_before": lambda: c("<", e1, s2),
        "t_disjoint": lambda: _not(_all([_not(c("<", e1, s2)), _not(c(">", s1, e2))])),
        "t_intersects": lambda: _all([_not(c("<", e1, s2)), _not(c(">", s1, e2))]),
        "t_equals": lambda: _all([c("=", s1, s2), c("=", e1, e2)]),
        "t_contains": lambda: _all([c("<", s1, s2), c(">", e1, e2)]),
        "t_during": lambda: _all([c(">", s1, s2), c("<", e1, e2)]),
        "t_finishes": lambda: _all([c(">", s1, s2), c("=", e1, e2)]),
        "t_finishedBy": lambda: _all([c("<", s1, s2), c("=", e1, e2)]),
        "t_meets": lambda: c("=", e1, s2),
        "t_metBy": lambda: c("=", s1, e2),
        "t_overlaps": lambda: _all([c("<", s1, s2), c(">", e1, s2), c("<", e1, e2)]),
        "t_overlappedBy": lambda: _all([c(">", s1, s2), c("<", s1, e2), c(">", e1, e2)]),
        "t_starts": lambda: _all([c("=", s1, s2), c("<", e1, e2)]),
        "t_startedBy": lambda: _all([c("=", s1, s2), c(">", e1, e2)]),
    }[op]()


def _spatial(op: str, a: Any, b: Any) -> Any:
    if op == "s_intersects":
        return bool(shapely.intersects(a, b))
    if op == "s_disjoint":
        return not shapely.intersects(a, b)
    if "GeometryCollection" in (a.geom_type, b.geom_type):
        boxes = shapely.intersects(shapely.box(*a.bounds), shapely.box(*b.bounds))
        return None if boxes else False
    return bool(getattr(shapely, op[2:])(a, b))
