# SPDX-License-Identifier: Apache-2.0
"""Reads the text encoding of CQL2 (OGC 21-065r2, annex B) into nodes.

One token after the other, never back, so that time grows with the length of the text; nesting is counted against
`filter_depth_max` before it can reach Python's stack. The grammar-driven parsers that were tried need exponential
time for a few unclosed parentheses, or end the process on deep nesting.

Strings: `''` and `\\'` are a quote, `\\a \\b \\t \\n \\v \\f \\r` control characters (requirement
cql2-text/escaping) and `\\\\` a backslash; any other backslash stands for itself, so that LIKE sees `\\%` and `\\_`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from geocloud.errors import InvalidParameter
from geocloud.features.cql2.nodes import (
    COMPARISONS,
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
    unknown_function,
    wrong_count,
)

__all__ = ["read_text"]

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | '(?P<string>(?:[^'\\]|''|\\.)*)'
      | "(?P<quoted>(?:[^"]|"")*)"
      | (?P<name>(?:[^\W\d]|:)[\w:.]*)
      | (?P<symbol><>|<=|>=|!=|[-+*/^%=<>(),])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"''|\\(['\\abtnvfr])", re.DOTALL)
_CONTROLS: Final = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "'": "'", "\\": "\\"}
_RESERVED: Final = frozenset({"AND", "OR", "NOT", "LIKE", "BETWEEN", "IN", "IS", "NULL", "TRUE", "FALSE"})
_GEOMETRIES: Final = {
    "POINT": "Point",
    "LINESTRING": "LineString",
    "POLYGON": "Polygon",
    "MULTIPOINT": "MultiPoint",
    "MULTILINESTRING": "MultiLineString",
    "MULTIPOLYGON": "MultiPolygon",
    "GEOMETRYCOLLECTION": "GeometryCollection",
}
# Levels of parentheses around the positions of a geometry.
_LEVELS: Final = {"LineString": 1, "MultiPoint": 1, "Polygon": 2, "MultiLineString": 2, "MultiPolygon": 3}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # number, string, quoted, name, symbol, end
    text: str
    at: int
    pattern: str = ""

    @property
    def word(self) -> str:
        return self.text.upper() if self.kind == "name" else ""


def read_text(text: str, limits: Limits) -> Node:
    """The nodes of a CQL2 text; InvalidParameter saying where it cannot be read and what was expected."""
    return _Parser(_tokens(text), limits).whole()


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            if text[at] in "'\"":
                raise bad(at + 1, "A quote is opened and not closed", "引号未闭合")
            raise bad(at + 1, f"`{named(text[at])}` cannot stand here", f"此处不能出现“{named(text[at])}”")
        kind = str(match.lastgroup)
        raw = match[kind]
        if kind == "string":
            found.append(_Token(kind, _unescaped(raw, "\\"), at + 1, _unescaped(raw, "\\\\")))
        elif kind == "quoted":
            found.append(_Token(kind, raw.replace('""', '"'), at + 1))
        elif kind != "space":
            found.append(_Token(kind, raw, at + 1))
        at = match.end()
    return [*found, _Token("end", "", len(text) + 1)]


def _unescaped(raw: str, backslash: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        return "'" if match[1] is None else backslash if match[1] == "\\" else _CONTROLS[match[1]]

    return _ESCAPE.sub(replaced, raw)


class _Parser:
    def __init__(self, tokens: list[_Token], limits: Limits) -> None:
        self._tokens = tokens
        self._next = 0
        self._limits = limits

    def whole(self) -> Node:
        node = self._or()
        if self._peek.kind != "end":
            raise self._unexpected("an operator or the end", "运算符或结尾")
        return node

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _symbol(self, text: str) -> bool:
        if self._peek.kind == "symbol" and self._peek.text == text:
            self._next += 1
            return True
        return False

    def _word(self, word: str) -> bool:
        if self._peek.word == word:
            self._next += 1
            return True
        return False

    def _expect(self, symbol: str) -> None:
        if not self._symbol(symbol):
            raise self._unexpected(f"`{symbol}`", f"“{symbol}”")

    def _unexpected(self, wanted: str, wanted_zh: str) -> InvalidParameter:
        token = self._peek
        en = "The filter ends" if token.kind == "end" else f"`{named(token.text)}` stands"
        zh = "表达式到此结束" if token.kind == "end" else f"此处为“{named(token.text)}”"
        return bad(token.at, f"{en} where {wanted} was expected", f"{zh},应为{wanted_zh}")

    def _call(self, op: str, at: int, *args: Node) -> Call:
        self._limits.node(at)
        return Call(op, args, at)

    def _or(self) -> Node:
        self._limits.enter(self._peek.at)
        node = self._chain("or", self._and)
        self._limits.leave()
        return node

    def _and(self) -> Node:
        return self._chain("and", self._not)

    def _chain(self, op: str, inner: Any) -> Node:
        at = self._peek.at
        items = [inner()]
        while self._word(op.upper()):
            items.append(inner())
        return items[0] if len(items) == 1 else self._call(op, at, *items)

    def _not(self) -> Node:
        at = self._peek.at
        if not self._word("NOT"):
            return self._predicate()
        self._limits.enter(at)
        node = self._call("not", at, self._not())
        self._limits.leave()
        return node

    def _predicate(self) -> Node:
        left = self._sum()
        token = self._peek
        if token.kind == "symbol" and token.text in (*COMPARISONS, "!="):
            self._take()
            return self._call("<>" if token.text == "!=" else token.text, token.at, left, self._sum())
        if self._word("IS"):
            negated = self._word("NOT")
            if not self._word("NULL"):
                raise self._unexpected("NULL", "NULL")
            return self._negated(negated, self._call("isnull", token.at, left))
        negated = self._word("NOT")
        if self._word("LIKE"):
            return self._negated(negated, self._call("like", token.at, left, self._sum()))
        if self._word("BETWEEN"):
            low = self._sum()
            if not self._word("AND"):
                raise self._unexpected("AND", "AND")
            return self._negated(negated, self._call("between", token.at, left, low, self._sum()))
        if self._word("IN"):
            return self._negated(negated, self._call("in", token.at, left, self._items()))
        if negated:
            raise self._unexpected("LIKE, BETWEEN or IN", "LIKE、BETWEEN 或 IN")
        return left

    def _negated(self, negated: bool, node: Call) -> Call:
        return self._call("not", node.at if isinstance(node.at, int) else 1, node) if negated else node

    def _items(self) -> Items:
        at = self._peek.at
        self._expect("(")
        items = [self._or()]
        while self._symbol(","):
            items.append(self._or())
        self._expect(")")
        return Items(tuple(items), at)

    def _sum(self) -> Node:
        node = self._product()
        while self._peek.kind == "symbol" and self._peek.text in "+-":
            token = self._take()
            node = self._call(token.text, token.at, node, self._product())
        return node

    def _product(self) -> Node:
        node = self._power()
        while (self._peek.kind == "symbol" and self._peek.text in "*/%") or self._peek.word == "DIV":
            token = self._take()
            node = self._call(token.text.lower(), token.at, node, self._power())
        return node

    def _power(self) -> Node:
        base = self._signed()
        token = self._peek
        if not self._symbol("^"):
            return base
        self._limits.enter(token.at)
        node = self._call("^", token.at, base, self._power())
        self._limits.leave()
        return node

    def _signed(self) -> Node:
        token = self._peek
        if not (self._symbol("-") or self._symbol("+")):
            return self._primary()
        sign = -1 if token.text == "-" else 1
        if self._peek.kind == "number":
            value = self._number()
            return Literal(sign * value, token.at)
        self._limits.enter(token.at)
        node = self._signed()
        self._limits.leave()
        return node if sign == 1 else self._call("*", token.at, Literal(-1, token.at), node)

    def _number(self) -> int | float:
        token = self._take()
        self._limits.node(token.at)
        if len(token.text) > 400:
            raise bad(token.at, "A number has more than 400 characters", "数值超过 400 个字符")
        return check_number(int(token.text) if token.text.isdigit() else float(token.text), token.at)

    def _primary(self) -> Node:
        token = self._peek
        if token.kind == "number":
            return Literal(self._number(), token.at)
        if token.kind == "string":
            self._take()
            self._limits.node(token.at)
            return Literal(check_text(token.text, token.at), token.at, token.pattern)
        if token.word in ("TRUE", "FALSE"):
            self._take()
            self._limits.node(token.at)
            return Literal(token.word == "TRUE", token.at)
        if token.kind == "quoted" or (token.kind == "name" and token.word not in _RESERVED):
            self._take()
            called = self._peek.kind == "symbol" and self._peek.text == "("
            if token.kind == "name" and (called or (token.word in _GEOMETRIES and self._peek.word in ("Z", "EMPTY"))):
                return self._function(token)
            self._limits.node(token.at)
            return Property(token.text, token.at)
        if self._symbol("("):
            node = self._or()
            self._expect(")")
            return node
        if token.word == "NULL":
            raise bad(
                token.at, "NULL is no value", "NULL 不是可比较的值", "Write `name IS NULL`.", "请写“字段 IS NULL”。"
            )
        raise self._unexpected("a value, a property or `(`", "值、字段名或“(”")

    def _function(self, token: _Token) -> Node:
        word = token.word
        if word in _GEOMETRIES:
            self._limits.node(token.at)
            return Shape(self._geometry(word), token.at)
        if word == "BBOX":
            return self._box(token.at)
        if word in ("DATE", "TIMESTAMP"):
            self._expect("(")
            value = self._instant(word.lower())
            self._expect(")")
            return value
        if word == "INTERVAL":
            return self._interval(token.at)
        op = token.text.lower()
        if op not in FUNCTIONS:
            raise unknown_function(token.text, token.at)
        args = self._items().items
        if len(args) != OPERATORS[op]:
            raise wrong_count(op, len(args), token.at)
        return self._call(op, token.at, *args)

    def _instant(self, kind: str) -> Instant:
        token = self._peek
        if token.kind != "string":
            raise self._unexpected("a text such as '2024-05-01'", "形如 '2024-05-01' 的文本")
        self._take()
        self._limits.node(token.at)
        return instant_of(token.text, token.at, kind)

    def _interval(self, at: int) -> Interval:
        self._limits.enter(at)
        self._expect("(")
        start = self._interval_end()
        self._expect(",")
        end = self._interval_end()
        self._expect(")")
        self._limits.leave()
        self._limits.node(at)
        return Interval(start, end, at)

    def _interval_end(self) -> Instant | Property | None:
        token = self._peek
        if token.kind == "string" and token.text == "..":
            self._take()
            return None
        if token.kind == "string":
            return self._instant("")
        node = self._primary()
        if not isinstance(node, Instant | Property):
            raise interval_end(token.at)
        return node

    def _box(self, at: int) -> Box:
        self._limits.node(at)
        self._expect("(")
        numbers = [self._coordinate()]
        while self._symbol(","):
            numbers.append(self._coordinate())
        self._expect(")")
        return Box(tuple(numbers), at)

    def _geometry(self, word: str) -> dict[str, Any]:
        kind = _GEOMETRIES[word]
        self._word("Z")
        if self._word("EMPTY"):
            return {"type": kind, "coordinates": []}
        self._expect("(")
        if kind == "GeometryCollection":
            parts = [self._part()]
            while self._symbol(","):
                parts.append(self._part())
            found: dict[str, Any] = {"type": kind, "geometries": parts}
        elif kind == "Point":
            found = {"type": kind, "coordinates": self._position()}
        else:
            found = {"type": kind, "coordinates": self._positions(_LEVELS[kind], kind == "MultiPoint")}
        self._expect(")")
        return found

    def _part(self) -> dict[str, Any]:
        token = self._peek
        if token.word not in _GEOMETRIES:
            raise self._unexpected("a geometry", "几何图形")
        self._take()
        self._limits.enter(token.at)
        self._limits.node(token.at)
        found = self._geometry(token.word)
        self._limits.leave()
        return found

    def _positions(self, level: int, points: bool) -> list[Any]:
        found = [self._positions_item(level, points)]
        while self._symbol(","):
            found.append(self._positions_item(level, points))
        return found

    def _positions_item(self, level: int, points: bool) -> list[Any]:
        if level == 1 and not (points and self._peek.text == "("):
            return self._position()
        self._expect("(")
        found = self._position() if level == 1 else self._positions(level - 1, points)
        self._expect(")")
        return found

    def _position(self) -> list[float]:
        numbers = [self._coordinate(), self._coordinate()]
        while len(numbers) < 4 and not (self._peek.kind == "symbol" and self._peek.text in ",)"):
            numbers.append(self._coordinate())
        return numbers

    def _coordinate(self) -> float:
        sign = -1.0 if self._symbol("-") else 1.0
        if sign > 0:
            self._symbol("+")
        if self._peek.kind != "number":
            raise self._unexpected("a number", "数值")
        token = self._take()
        return sign * float(check_number(float(token.text), token.at))
