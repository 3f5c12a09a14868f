# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for well-typed CQL2 JSON trees, and the same trees written as CQL2 text."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.features.conftest import FIELDS

Tree = Any


def _call(op: str, *args: Tree) -> Tree:
    return {"op": op, "args": list(args)}


def _properties(kind: str) -> st.SearchStrategy[Tree]:
    return st.sampled_from([{"property": n} for n, t in FIELDS.items() if t == kind])


_texts = st.sampled_from(
    ["", "a", "A", "ab", "a%b", "a_b", "a\\b", "straße", "STRASSE", "àé", "AE", "聊城", "o'x", "C007"]
)
_patterns = st.sampled_from(["%", "a%", "_", "a_b", "a\\_b", "a\\%b", "a\\\\b", "%城%", "聊_", "", "%'%", "S%E"])
_numbers = st.sampled_from(
    [0, 1, -1, 2, 3, 0.5, -7.5, 2.5, 0.1, 10, 2**53 + 1, 2**63, 1e200, 1e-200, 1e300, 4.0, 1.5e22]
)
_days = st.sampled_from(["0001-01-01", "2020-01-03", "2020-01-06", "2020-01-10", "2020-01-19", "9999-12-31"])
_moments = st.sampled_from(
    [
        "2020-01-03T00:00:00Z",
        "2020-01-05T16:00:00Z",
        "2020-01-05T15:59:59.999999Z",
        "2020-01-09T20:00:00Z",
        "2020-01-12T08:00:00Z",
    ]
)

text_literals = _texts
texts = st.recursive(
    st.one_of(_texts, _properties("text"), _properties("text")),
    lambda inner: st.builds(_call, st.sampled_from(["casei", "accenti"]), inner),
    max_leaves=3,
)
patterns = st.recursive(
    _patterns, lambda inner: st.builds(_call, st.sampled_from(["casei", "accenti"]), inner), max_leaves=2
)
_plain_numbers = st.one_of(_numbers, _properties("integer"), _properties("number"))
# Of plain numbers only: which decimal a computed double is written as, Python and PostgreSQL do not always agree.
_remainders = st.builds(_call, st.sampled_from(["%", "div"]), _plain_numbers, _plain_numbers)
numbers = st.recursive(
    st.one_of(_plain_numbers, _plain_numbers, _remainders),
    lambda inner: st.builds(_call, st.sampled_from(["+", "-", "*", "/", "^"]), inner, inner),
    max_leaves=5,
)
dates = st.one_of(_properties("date"), _days.map(lambda d: {"date": d}))
moments = st.one_of(
    _properties("datetime"),
    _moments.map(lambda t: {"timestamp": t}),
    st.sampled_from([{"property": "valid_from"}, {"property": "valid_to"}]),
)
instants = st.one_of(dates, moments)


def _interval(kind: st.SearchStrategy[str], columns: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    literal = st.tuples(kind, kind).map(lambda p: {"interval": sorted(p)})
    open_end = st.one_of(kind.map(lambda v: {"interval": [v, ".."]}), kind.map(lambda v: {"interval": ["..", v]}))
    both = st.tuples(columns, columns).map(lambda p: {"interval": list(p)})
    return st.one_of(literal, open_end, both)


intervals = st.one_of(
    _interval(_days, _properties("date")),
    _interval(_moments, _properties("datetime")),
    st.just({"interval": [{"property": "valid_from"}, {"property": "valid_to"}]}),
)


def _corners() -> st.SearchStrategy[tuple[float, float]]:
    step = st.integers(0, 10)
    return st.tuples(step, step).map(lambda p: (115.75 + p[0] / 4, 35.75 + p[1] / 4))


@st.composite
def shapes(draw: st.DrawFn, collections: bool = True) -> Tree:
    """Boxes, points, lines, rectangles and triangles on the grid of the rows, with collections if asked for."""
    (a, b), (c, d), (e, f) = draw(_corners()), draw(_corners()), draw(_corners())
    kind = draw(st.sampled_from(["bbox", "bbox", "point", "points", "line", "area", "triangle", "globe", "collection"]))
    if kind == "bbox":
        numbers = [min(a, c), min(b, d), max(a, c) + 0.25, max(b, d) + 0.25]
        return {"bbox": numbers if draw(st.booleans()) else [*numbers[:2], -5.0, *numbers[2:], 80.0]}
    if kind == "globe":
        return {"bbox": [max(a, c), min(b, d), min(a, c) - 0.25, max(b, d) + 0.25]}
    if kind == "points":
        return {"type": "MultiPoint", "coordinates": [[a, b], [c, d]]}
    if kind == "line" and (a, b) != (c, d):
        return {"type": "LineString", "coordinates": [[a, b], [c, d]]}
    if kind == "area":
        ring = [[a, b], [a + 1, b], [a + 1, b + 0.5], [a, b + 0.5], [a, b]]
        return {"type": "Polygon", "coordinates": [ring]}
    if kind == "triangle" and (a - e) * (d - f) != (c - e) * (b - f):
        return {"type": "Polygon", "coordinates": [[[a, b], [c, d], [e, f], [a, b]]]}
    if kind == "collection" and collections and (a, b) != (c, d):
        line = {"type": "LineString", "coordinates": [[a, b], [c, d]]}
        return {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [e, f]}, line]}
    return {"type": "Point", "coordinates": [a, b]}


_geometry = st.sampled_from([{"property": "geom"}, {"property": "geometry"}])
_relations = ["s_equals", "s_touches", "s_crosses", "s_within", "s_contains", "s_overlaps"]
_meetings = ["s_intersects", "s_disjoint"]
_spans = ["t_after", "t_before", "t_disjoint", "t_equals", "t_intersects"]
_allen = [
    "t_contains", "t_during", "t_finishedBy", "t_finishes", "t_meets", "t_metBy", "t_overlappedBy", "t_overlaps",
    "t_startedBy", "t_starts",
]  # fmt: skip
_comparisons = st.sampled_from(["=", "<>", "<", ">", "<=", ">="])
_truths = st.one_of(_properties("boolean"), st.booleans())


def _swapped(pair: tuple[Tree, Tree], swap: bool) -> list[Tree]:
    return [pair[1], pair[0]] if swap else list(pair)


_plain = st.one_of(
    *(st.builds(_call, _comparisons, kind, kind) for kind in (texts, numbers, instants, _truths)),
    st.builds(_call, st.just("like"), texts, patterns),
    *(st.builds(_call, st.just("between"), kind, kind, kind) for kind in (numbers, instants)),
    *(
        st.builds(_call, st.just("in"), kind, st.lists(kind, min_size=1, max_size=4))
        for kind in (texts, numbers, instants, _truths)
    ),
    st.builds(_call, st.just("in"), _properties("text"), st.lists(_texts, min_size=1, max_size=4)),
    st.builds(_call, st.just("in"), _properties("integer"), st.lists(_numbers, min_size=1, max_size=4)),
    st.builds(_call, st.just("isNull"), st.one_of(texts, numbers, instants, _truths)),
    st.builds(_call, st.sampled_from(_spans), st.one_of(instants, intervals), st.one_of(instants, intervals)),
    st.builds(_call, st.sampled_from(_allen), intervals, intervals),
    _truths,
)
_spatial = st.one_of(
    st.builds(
        lambda op, g, s, swap: _call(op, *_swapped((g, s), swap)),
        st.sampled_from(_meetings), _geometry, shapes(), st.booleans(),
    ),
    st.builds(
        lambda op, g, s, swap: _call(op, *_swapped((g, s), swap)),
        st.sampled_from(_relations), _geometry, shapes(collections=False), st.booleans(),
    ),
    st.builds(_call, st.sampled_from(_meetings + _relations), shapes(collections=False), shapes(collections=False)),
    st.builds(_call, st.just("isNull"), _geometry),
)  # fmt: skip


def conditions(spatial: bool) -> st.SearchStrategy[Tree]:
    """Boolean trees, with geometry or without."""
    return st.recursive(
        st.booleans().flatmap(lambda s: _spatial if s else _plain) if spatial else _plain,
        lambda inner: st.one_of(
            st.builds(
                lambda op, items: _call(op, *items),
                st.sampled_from(["and", "or"]),
                st.lists(inner, min_size=2, max_size=3),
            ),
            st.builds(_call, st.just("not"), inner),
            st.builds(_call, st.sampled_from(["=", "<>"]), inner, inner),
            st.builds(_call, st.just("isNull"), inner),
        ),
        max_leaves=6,
    )


def to_text(tree: Tree, *, pattern: bool = False) -> str:
    """The text encoding of a tree, every operation in parentheses."""
    if isinstance(tree, bool):
        return str(tree).upper()
    if isinstance(tree, int | float):
        return repr(tree)
    if isinstance(tree, str):
        return "'" + (tree if pattern else tree.replace("\\", "\\\\")).replace("'", "''") + "'"
    if "property" in tree:
        return str(tree["property"])
    for kind in ("date", "timestamp"):
        if kind in tree:
            return f"{kind.upper()}('{tree[kind]}')"
    if "interval" in tree:
        return f"INTERVAL({', '.join(_end(e) for e in tree['interval'])})"
    if "bbox" in tree:
        return f"BBOX({','.join(map(repr, tree['bbox']))})"
    return _wkt(tree) if "type" in tree else _operation(tree["op"], tree["args"])


def _end(value: Tree) -> str:
    return f"'{value}'" if isinstance(value, str) else to_text(value)


def _operation(op: str, args: list[Tree]) -> str:
    if op in ("and", "or", "+", "-", "*", "/", "^", "%", "div", "=", "<>", "<", ">", "<=", ">="):
        return "(" + f" {op.upper()} ".join(map(to_text, args)) + ")"
    if op == "not":
        return f"(NOT {to_text(args[0])})"
    if op == "isNull":
        return f"({to_text(args[0])} IS NULL)"
    if op == "like":
        return f"({to_text(args[0])} LIKE {_pattern(args[1])})"
    if op == "between":
        return f"({to_text(args[0])} BETWEEN {to_text(args[1])} AND {to_text(args[2])})"
    if op == "in":
        return f"({to_text(args[0])} IN ({', '.join(map(to_text, args[1]))}))"
    return f"{op.upper()}({', '.join(map(to_text, args))})"


def _pattern(tree: Tree) -> str:
    return (
        f"{tree['op'].upper()}({_pattern(tree['args'][0])})" if isinstance(tree, dict) else to_text(tree, pattern=True)
    )


def _wkt(tree: Tree) -> str:
    if tree["type"] == "GeometryCollection":
        return f"GEOMETRYCOLLECTION({', '.join(map(_wkt, tree['geometries']))})"
    inner = _coordinates(tree["coordinates"])
    return tree["type"].upper() + (f"({inner})" if tree["type"] == "Point" else inner)


def _coordinates(value: Any) -> str:
    if isinstance(value[0], list):
        return "(" + ", ".join(map(_coordinates, value)) + ")"
    return " ".join(map(repr, value))
