# SPDX-License-Identifier: Apache-2.0
"""Reads the JSON encoding of CQL2 (OGC 21-065r2, 8.3) into nodes.

The document is read by Python's own JSON reader, which keeps whole numbers exact; its nesting is counted before, and
every object must have exactly the members the standard gives it.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from geocloud.features.cql2.nodes import (
    FUNCTIONS,
    OPERATORS,
    Box,
    Call,
    Instant,
    Interval,
    Items,
    Limits,
    Literal,
    Node,
    Property,
    Shape,
    bad,
    check_number,
    check_text,
    instant_of,
    interval_end,
    named,
    too_big,
    unknown_function,
    wrong_count,
)
from geocloud.settings import WebSettings

__all__ = ["load_json", "read_json"]

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
# Brackets that a geometry and the members around it may add to the nesting of operators.
_SHAPE_BRACKETS: Final = 12
_BOX_LENGTHS: Final = (4, 6)


def load_json(text: str, settings: WebSettings) -> Any:
    """A JSON document as Python has it; InvalidParameter when it is none, too deep, or holds NaN or Infinity."""
    depth = deepest = 0
    for c in _STRING.sub("", text):
        if c in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif c in "]}":
            depth -= 1
    if deepest > 2 * settings.filter_depth_max + _SHAPE_BRACKETS:
        raise too_big("filter_depth_max", settings.filter_depth_max, "")
    try:
        return json.loads(text, parse_constant=_no_constant, parse_int=_whole)
    except (ValueError, RecursionError) as exc:
        at = exc.pos + 1 if isinstance(exc, json.JSONDecodeError) else ""
        raise bad(
            at,
            "`filter` is not readable as JSON",
            "filter 不是可读的 JSON",
            "Send a CQL2 object, or a text with filter-lang=cql2-text.",
            "请提供 CQL2 JSON 对象,或以 filter-lang=cql2-text 提供文本。",
        ) from None


def read_json(document: Any, limits: Limits, scalars_max: int) -> Node:
    """The nodes of a parsed CQL2 JSON document, of which no geometry may have more than `scalars_max` numbers."""
    return _Reader(limits, scalars_max).node(document, "")


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= 400 else float("inf")


class _Reader:
    def __init__(self, limits: Limits, scalars_max: int) -> None:
        self._limits = limits
        self._scalars = scalars_max

    def node(self, value: Any, at: str) -> Node:
        self._limits.node(at)
        if isinstance(value, bool):
            return Literal(value, at)
        if isinstance(value, int | float):
            return Literal(check_number(value, at), at)
        if isinstance(value, str):
            return Literal(check_text(value, at), at, value)
        if isinstance(value, dict) and all(isinstance(k, str) for k in value):
            return self._object(value, at)
        if value is None:
            raise bad(
                at, "null is no value", "null 不是可比较的值", "Use the operator isNull.", "请使用 isNull 运算符。"
            )
        raise bad(at, "An array can only be the list of `in`", "数组只能作为 in 的列表")

    def _object(self, value: dict[str, Any], at: str) -> Node:
        if "op" in value:
            return self._call(value, at)
        if "type" in value:
            self._count(value, at, 0)
            return Shape(value, at)
        if len(value) == 1:
            (member, content), *_ = value.items()
            if member == "property" and isinstance(content, str):
                return Property(content, at)
            if member in ("date", "timestamp") and isinstance(content, str):
                return instant_of(content, f"{at}/{member}", member)
            if member == "interval" and isinstance(content, list) and len(content) == 2:
                self._limits.enter(at)
                ends = [self._end(v, f"{at}/interval/{i}") for i, v in enumerate(content)]
                self._limits.leave()
                return Interval(ends[0], ends[1], at)
            if member == "bbox" and isinstance(content, list) and len(content) in _BOX_LENGTHS:
                numbers = [self._number(v, f"{at}/bbox/{i}") for i, v in enumerate(content)]
                return Box(tuple(numbers), at)
        raise bad(
            at,
            f"An object with the members {named(', '.join(value)) or 'none'} is no CQL2",
            f"含成员 {named(', '.join(value)) or '空'} 的对象不是 CQL2",
            "Allowed are op with args, property, date, timestamp, interval, bbox, and GeoJSON geometries.",
            "可用:op 与 args、property、date、timestamp、interval、bbox 以及 GeoJSON 几何图形。",
        )

    def _call(self, value: dict[str, Any], at: str) -> Call:
        op, args = value["op"], value.get("args")
        if not isinstance(op, str) or not isinstance(args, list) or len(value) != 2:
            raise bad(at, "An operation has exactly the members op and args", "运算对象只能含 op 与 args 两个成员")
        op = op.lower()
        if op not in OPERATORS:
            if op.isidentifier() and op not in FUNCTIONS:
                raise unknown_function(op, f"{at}/op")
            en, zh = f"There is no operator `{named(op)}`", f"没有运算符“{named(op)}”"
            raise bad(f"{at}/op", en, zh, allowed=sorted(OPERATORS))
        wanted = OPERATORS[op]
        if len(args) != wanted and not (wanted is None and len(args) >= 2):
            raise wrong_count(op, len(args), at)
        self._limits.enter(at)
        nodes: list[Node] = []
        for i, arg in enumerate(args):
            place = f"{at}/args/{i}"
            if op == "in" and i == 1 and isinstance(arg, list) and arg:
                nodes.append(Items(tuple(self.node(v, f"{place}/{j}") for j, v in enumerate(arg)), place))
            else:
                nodes.append(self.node(arg, place))
        self._limits.leave()
        if op == "in" and not isinstance(nodes[1], Items):
            raise bad(f"{at}/args/1", "`in` needs a list that is not empty", "in 需要非空列表")
        return Call(op, tuple(nodes), at)

    def _end(self, value: Any, at: str) -> Instant | Property | None:
        self._limits.node(at)
        if value == "..":
            return None
        if isinstance(value, str):
            return instant_of(value, at)
        node = self._object(value, at) if isinstance(value, dict) else None
        if not isinstance(node, Instant | Property):
            raise interval_end(at)
        return node

    def _number(self, value: Any, at: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise bad(at, "A coordinate is not a number", "坐标不是数值")
        return float(check_number(value, at))

    def _count(self, value: Any, at: str, depth: int) -> None:
        """Bounds size and depth of a geometry that came as an object and not as a text of bounded length."""
        self._scalars -= 1
        if depth > _SHAPE_BRACKETS or self._scalars < 0:
            raise bad(at, "A geometry is too large or nested too deeply", "几何图形过大或嵌套过深")
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            self._count(part, at, depth + 1)
