# SPDX-License-Identifier: Apache-2.0
"""Compiles CQL2 nodes to SQL over the columns of one layer.

Whatever reaches the SQL text is one of four things: an operator or function written in this file, a column of the
layer's definition, a cast written in this file, or a placeholder. Operators, functions and properties are looked up in
fixed tables; every operand has a type and operators take only types that fit, so that the database has nothing to
refuse.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import shapely

from geocloud.catalogue.registry import Layer
from geocloud.errors import InvalidParameter
from geocloud.features import literals
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.cql2.nodes import (
    COMPARISONS,
    SPATIAL,
    TEMPORAL,
    Box,
    Call,
    Instant,
    Interval,
    Items,
    Literal,
    Node,
    Property,
    Shape,
    bad,
    named,
    too_big,
)
from geocloud.features.cql2.shapes import mixed, rectangles, stored
from geocloud.features.cql2.temporal import Moment, Span, compare, relate
from geocloud.features.params import box_clause, intersects, unknown_property
from geocloud.geodesy.crs import Crs

__all__ = ["Compiler"]

_FIELD_TYPES: Final = {
    "text": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamp",
}
_NUMERIC: Final = frozenset({"integer", "number"})
_TEMPORAL: Final = frozenset({"date", "timestamp"})
_ZH: Final = {
    "text": "文本",
    "integer": "整数",
    "number": "数值",
    "boolean": "布尔值",
    "date": "日期",
    "timestamp": "时刻",
    "interval": "时段",
    "geometry": "几何图形",
    "list": "列表",
}
_EN: Final = {
    "text": "text",
    "number": "a number",
    "boolean": "true or false",
    "date": "a date",
    "timestamp": "a timestamp",
    "interval": "an interval",
    "geometry": "a geometry",
    "list": "a list",
}
_ARITHMETIC: Final = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "^": "power",
    "%": "modulo",
    "div": "integer_divide",
}
_SPATIAL: Final = {
    "s_equals": "ST_Equals",
    "s_touches": "ST_Touches",
    "s_crosses": "ST_Crosses",
    "s_within": "ST_Within",
    "s_contains": "ST_Contains",
    "s_overlaps": "ST_Overlaps",
}
# `s_within(a, b)` is `s_contains(b, a)`; all others are the same both ways.
_CONVERSE: Final = {"s_within": "s_contains", "s_contains": "s_within"}
_BIGINT: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class _Value:
    """A typed operand: SQL without parameters still to come, or a literal whose cast its partner decides."""

    kind: str
    sql: str = ""
    literal: str | int | float | bool | None = None

    @property
    def is_literal(self) -> bool:
        return not self.sql


class Compiler:
    """Turns nodes into SQL for one layer; arguments go to `binder`, geometry literals come in `system`."""

    def __init__(self, binder: Binder, layer: Layer, system: Crs | None, depth_max: int) -> None:
        self._binder = binder
        self._layer = layer
        self._system = system
        self._depth_max = depth_max
        self._depth = 0
        self._fields = {f.name: _FIELD_TYPES[f.type] for f in layer.spec.queryables}
        self._fields |= {"valid_from": "timestamp", "valid_to": "timestamp"}
        if layer.spec.geometry != "none":
            self._fields.setdefault("geometry", "geometry")
            self._fields["geom"] = "geometry"

    def condition(self, node: Node) -> str:
        """SQL of a boolean expression."""
        value = self._value(node)
        if value.kind != "boolean":
            raise self._type_error(node, value.kind, "true or false", "布尔值")
        return self._sql(value, "boolean")

    def _value(self, node: Node) -> _Value:
        self._depth += 1
        if self._depth > self._depth_max:
            raise too_big("filter_depth_max", self._depth_max, node.at)
        try:
            return self._unchecked(node)
        finally:
            self._depth -= 1

    def _unchecked(self, node: Node) -> _Value:
        kind = self._type(node)
        if isinstance(node, Property):
            return _Value(kind, self._column(node))
        if isinstance(node, Literal):
            return _Value(kind, literal=node.value)
        return self._call(node) if isinstance(node, Call) else _Value(kind, "?")

    def _type(self, node: Node) -> str:
        """The type of a node, found without compiling it: an argument bound and not used would be an error."""
        if isinstance(node, Property):
            return self._kind(node)
        if isinstance(node, Literal):
            return {str: "text", bool: "boolean", int: "number", float: "number"}[type(node.value)]
        if isinstance(node, Call):
            return "number" if node.op in _ARITHMETIC else "text" if node.op in ("casei", "accenti") else "boolean"
        if isinstance(node, Instant):
            return "date" if node.is_date else "timestamp"
        return "interval" if isinstance(node, Interval) else "list" if isinstance(node, Items) else "geometry"

    def _call(self, node: Call) -> _Value:
        op, args = node.op, node.args
        if op in _ARITHMETIC:
            left, right = (self._number(a) for a in args)
            return _Value("number", f"geocloud.{_ARITHMETIC[op]}({left}, {right})")
        if op in ("casei", "accenti"):
            return _Value("text", f"geocloud.{op}({self._text(args[0])})")
        return _Value("boolean", self._predicate(node))

    def _predicate(self, node: Call) -> str:
        if node.op in COMPARISONS:
            return self._compare(node.op, node.args[0], node.args[1], node)
        if node.op in SPATIAL:
            return self._spatial(node.op, node.args[0], node.args[1])
        if node.op in TEMPORAL:
            spans = [self._span(a, node.op) for a in node.args]
            return relate(self._binder, node.op, spans[0], spans[1])
        forms = {
            "and": self._logical,
            "or": self._logical,
            "not": self._not,
            "between": self._between,
            "in": self._in,
            "like": self._like,
            "isnull": self._is_null,
        }
        return forms[node.op](node)

    def _logical(self, node: Call) -> str:
        return f"({f' {node.op.upper()} '.join(self.condition(a) for a in node.args)})"

    def _not(self, node: Call) -> str:
        return f"(NOT {self.condition(node.args[0])})"

    # --- operands ---

    def _kind(self, node: Property) -> str:
        kind = self._fields.get(node.name)
        if kind is None:
            raise unknown_property(node.name, self._layer, "filter", position=node.at)
        return kind

    def _column(self, node: Property) -> str:
        return quote_identifier("geom" if self._kind(node) == "geometry" else node.name)

    def _sql(self, value: _Value, kind: str) -> str:
        if not value.is_literal:
            return value.sql
        if kind == "boolean":
            return "TRUE" if value.literal else "FALSE"
        if kind == "text":
            return self._binder.bind(value.literal, "text")
        if isinstance(value.literal, int | float) and kind == "integer":
            return self._exact(value.literal)
        return self._binder.bind(float(value.literal or 0), "float8")

    def _exact(self, number: int | float) -> str:
        """A number as an integer column is compared with: bigint when it is one, else numeric."""
        if number == int(number) and int(number) in _BIGINT:
            return self._binder.bind(int(number), "bigint")
        return self._binder.bind(Decimal(repr(number)), "numeric")

    def _number(self, node: Node) -> str:
        value = self._value(node)
        if value.kind not in _NUMERIC:
            raise self._type_error(node, value.kind, "a number", "数值")
        return f"{value.sql}::float8" if value.kind == "integer" else self._sql(value, "number")

    def _text(self, node: Node) -> str:
        value = self._value(node)
        if value.kind != "text":
            raise self._type_error(node, value.kind, "text", "文本")
        return self._sql(value, "text")

    def _pattern(self, node: Node) -> str:
        if isinstance(node, Call) and node.op in ("casei", "accenti"):
            return f"geocloud.{node.op}({self._pattern(node.args[0])})"
        if not isinstance(node, Literal) or not isinstance(node.value, str):
            raise bad(
                node.at,
                "The pattern of LIKE is not a text",
                "LIKE 的模式不是文本",
                "Write a text in quotes, alone or within CASEI or ACCENTI.",
                "请写引号中的文本,可放在 CASEI 或 ACCENTI 之内。",
            )
        pattern = node.pattern
        if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
            raise bad(
                node.at,
                "The pattern of LIKE ends in a single backslash",
                "LIKE 的模式以单个反斜线结尾",
                "Double the backslash to mean one.",
                "如需表示反斜线本身,请写两个。",
            )
        return self._binder.bind(pattern, "text")

    # --- comparisons ---

    def _compare(self, op: str, left: Node, right: Node, whole: Call) -> str:
        a, b = self._value(left), self._value(right)
        if a.kind in _TEMPORAL and b.kind in _TEMPORAL:
            return f"({compare(self._binder, op, self._moment(left), self._moment(right))})"
        if a.kind in _NUMERIC and b.kind in _NUMERIC:
            return f"({self._numbers(op, a, b)})"
        if a.kind == b.kind and a.kind in ("text", "boolean"):
            return f"({self._sql(a, a.kind)} {op} {self._sql(b, a.kind)})"
        raise bad(
            whole.at,
            f"`{whole.op.upper()}` cannot compare {_named(left, a.kind)} with {_named(right, b.kind)}",
            f"{whole.op.upper()} 不能比较{_ZH[a.kind]}与{_ZH[b.kind]}",
            _HINTS.get(a.kind, ""),
            allowed=[a.kind],
        )

    def _numbers(self, op: str, a: _Value, b: _Value) -> str:
        if a.is_literal and b.is_literal:
            left, right = (self._binder.bind(Decimal(repr(v.literal)), "numeric") for v in (a, b))
            return f"{left} {op} {right}"
        kind = "integer" if "integer" in (a.kind, b.kind) and (a.is_literal or b.is_literal) else "number"
        return f"{self._sql(a, kind)} {op} {self._sql(b, kind)}"

    def _between(self, node: Call) -> str:
        value, low, high = node.args
        # The operand is written twice: nothing that could hold another BETWEEN may stand there.
        if (kind := self._type(value)) in ("boolean", "geometry", "interval"):
            raise self._type_error(value, kind, "a number, text, date or timestamp", "数值、文本、日期或时刻")
        return f"({self._compare('>=', value, low, node)} AND {self._compare('<=', value, high, node)})"

    def _like(self, node: Call) -> str:
        return f"({self._text(node.args[0])} LIKE {self._pattern(node.args[1])})"

    def _in(self, node: Call) -> str:
        first, items = node.args
        assert isinstance(items, Items)
        if not isinstance(first, Property | Literal):
            return self._in_array(node, first, items)
        listed = [self._value(i) for i in items.items if isinstance(i, Literal)]
        if isinstance(first, Property) and len(listed) == len(items.items):
            value = self._value(first)
            if all(i.kind == value.kind or (i.kind == "number" and value.kind in _NUMERIC) for i in listed):
                return f"({value.sql} = ANY({self._array(value.kind, listed)}))"
        return f"({' OR '.join(self._compare('=', first, i, node) for i in items.items)})"

    def _in_array(self, node: Call, first: Node, items: Items) -> str:
        """IN with a computed operand, which is written once."""
        kind = self._type(first)
        if kind in _TEMPORAL:
            return f"({' OR '.join(self._compare('=', first, i, node) for i in items.items)})"
        if kind in _NUMERIC:
            of, made = "float8", [self._number(n) for n in (first, *items.items)]
        elif kind == "text":
            of, made = "text", [self._text(n) for n in (first, *items.items)]
        elif kind == "boolean":
            of, made = "boolean", [self.condition(n) for n in (first, *items.items)]
        else:
            raise self._type_error(first, kind, "text, a number, a date or true or false", "文本、数值、日期或布尔值")
        return f"({made[0]} = ANY(ARRAY[{', '.join(made[1:])}]::{of}[]))"

    def _array(self, kind: str, listed: list[_Value]) -> str:
        raw = [v.literal for v in listed]
        if kind == "integer":
            numbers = [v for v in raw if isinstance(v, int | float)]
            if all(v == int(v) and int(v) in _BIGINT for v in numbers):
                return self._binder.bind([int(v) for v in numbers], "bigint[]")
            return self._binder.bind([Decimal(repr(v)) for v in numbers], "numeric[]")
        if kind == "number":
            return self._binder.bind([float(v) for v in raw if v is not None], "float8[]")
        return self._binder.bind(raw, "boolean[]" if kind == "boolean" else "text[]")

    def _is_null(self, call: Call) -> str:
        (node,) = call.args
        if isinstance(node, Property) and node.name in ("valid_from", "valid_to"):
            return f"(NOT isfinite({self._column(node)}))"
        if isinstance(node, Literal | Instant | Interval | Shape | Box):
            return "FALSE"
        return f"({self._value(node).sql} IS NULL)"

    # --- time ---

    def _moment(self, node: Node) -> Moment:
        if isinstance(node, Instant):
            return Moment("date" if node.is_date else "timestamp", value=node.value)
        kind = self._type(node)
        if not isinstance(node, Property) or kind not in _TEMPORAL:
            raise self._type_error(node, kind, "a date, timestamp or interval", "日期、时刻或时段")
        return Moment("date" if kind == "date" else "timestamp", self._column(node))

    def _span(self, node: Node, function: str) -> Span:
        if isinstance(node, Interval):
            start, end = (self._end(e, side) for e, side in ((node.start, "start"), (node.end, "end")))
            a, b = start.value, end.value
            if a is not None and b is not None and start.kind == end.kind and b < a:  # type: ignore[operator]
                raise bad(node.at, "An interval ends before it starts", "时段的结束早于开始")
            return Span(start, end)
        moment = self._moment(node)
        if TEMPORAL[function]:
            raise bad(
                node.at,
                f"`{function.upper()}` takes intervals, not an instant",
                f"{function.upper()} 只接受时段,不接受时刻",
                "Use T_INTERSECTS, or write INTERVAL(start, end).",
                "请用 T_INTERSECTS,或写 INTERVAL(起, 止)。",
            )
        return Span(moment, moment)

    def _end(self, node: Instant | Property | None, side: str) -> Moment:
        if node is None:
            return Moment("timestamp", open="start" if side == "start" else "end")
        return self._moment(node)

    # --- space ---

    def _spatial(self, op: str, left: Node, right: Node) -> str:
        for node in (left, right):
            if (kind := self._type(node)) != "geometry":
                raise self._type_error(node, kind, "a geometry", "几何图形")
        if isinstance(right, Property) and not isinstance(left, Property):
            left, right, op = right, left, _CONVERSE.get(op, op)
        if isinstance(left, Property) and isinstance(right, Box) and self._layer.spec.geometry == "point":
            fast = self._point_in_box(op, right)
            if fast:
                return fast
        if op in ("s_intersects", "s_disjoint"):
            pairs = [intersects(self._layer, a, b) for a in self._parts(left) for b in self._parts(right)]
            return f"({' OR '.join(pairs)})" if op == "s_intersects" else f"(NOT ({' OR '.join(pairs)}))"
        a, b = self._whole(op, left), self._whole(op, right)
        relation = f"{_SPATIAL[op]}({a}, {b})"
        if self._layer.spec.geometry != "geometry" or not isinstance(left, Property):
            return relation
        # PostGIS relates no collections: for those it is unknown. The box test brings the index back.
        return f"({a} && {b} AND CASE WHEN ST_GeometryType({a}) <> 'ST_GeometryCollection' THEN {relation} END)"

    def _point_in_box(self, op: str, node: Box) -> str | None:
        """Tests by X and Y, which are exact and quicker; None where they say something else."""
        boxes = rectangles(node, self._system)
        if op not in ("s_intersects", "s_disjoint") or not all(isinstance(b, literals.Box) for b in boxes):
            return None
        inside = " OR ".join(box_clause(self._binder, self._layer, b) for b in boxes)
        return f"({inside})" if op == "s_intersects" else f"(NOT ({inside}))"

    def _parts(self, node: Node) -> list[str]:
        """SQL of a geometry, a mixed collection as its members; what it meets, one of them meets."""
        if isinstance(node, Property):
            return [self._column(node)]
        assert isinstance(node, Shape | Box)
        geometry = stored(node, self._system)
        return [self._literal(g) for g in (geometry.geoms if mixed(geometry) else [geometry])]

    def _whole(self, op: str, node: Node) -> str:
        """SQL of a geometry of one kind."""
        if isinstance(node, Property):
            return self._column(node)
        assert isinstance(node, Shape | Box)
        geometry = stored(node, self._system)
        if mixed(geometry):
            raise bad(
                node.at,
                f"`{op.upper()}` is not defined for a collection that mixes points, lines and areas",
                f"{op.upper()} 不适用于混有点、线、面的几何集合",
                "Use S_INTERSECTS or S_DISJOINT, or one kind of geometry (OGC 06-103r4, 6.1.15).",
                "请用 S_INTERSECTS 或 S_DISJOINT,或只用一种几何类型。",
            )
        return self._literal(geometry)

    def _literal(self, geometry: Any) -> str:
        return f"ST_GeomFromWKB({self._binder.bind(shapely.to_wkb(geometry), 'bytea')}, 4490)"

    def _type_error(self, node: Node, kind: str, wanted: str, wanted_zh: str) -> InvalidParameter:
        return bad(
            node.at,
            f"There is {_named(node, kind)} where {wanted} is needed",
            f"此处为{_ZH[kind]},应为{wanted_zh}",
            allowed=[wanted],
        )


_HINTS: Final = {
    "text": "Write text in single quotes: name = 'text'.",
    "integer": "Write numbers without quotes.",
    "number": "Write numbers without quotes.",
    "date": "Write DATE('2024-05-01').",
    "timestamp": "Write TIMESTAMP('2024-05-01T00:00:00Z').",
    "geometry": "Use a spatial function such as S_INTERSECTS.",
}


def _named(node: Node, kind: str) -> str:
    return f"`{named(node.name)}` ({kind})" if isinstance(node, Property) else _EN[kind]
