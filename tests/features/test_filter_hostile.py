# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent as a filter: a clear error of the parameter, or SQL of known words that runs; nothing else."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder
from geocloud.features.cql2 import compile_filter
from geocloud.geodesy.crs import SERVED, Crs, crs
from geocloud.settings import WebSettings
from tests.features.conftest import FIELDS, LAYERS, Asker
from tests.features.trees import conditions, to_text

_FUZZ = settings(
    max_examples=int(os.environ.get("GEOCLOUD_FUZZ", "200")), deadline=None, suppress_health_check=list(HealthCheck)
)
_FUNCTIONS = (
    "ST_Intersects|ST_Equals|ST_Touches|ST_Crosses|ST_Within|ST_Contains|ST_Overlaps|ST_GeometryType|ST_GeomFromWKB|"
    "ST_MakeEnvelope|ST_Dump|ST_X|ST_Y|isfinite|geocloud\\.(?:casei|accenti|add|subtract|multiply|divide|power|modulo|integer_divide)"
)
_WORDS = (
    "AND|OR|NOT|IS|NULL|LIKE|ANY|ARRAY|BETWEEN|TRUE|FALSE|CASE|WHEN|THEN|ELSE|END|EXISTS|SELECT FROM|d WHERE|"
    "AT TIME ZONE INTERVAL"
).replace(" ", r"\ ")
_COLUMNS = "|".join([*FIELDS, "geom", "valid_from", "valid_to"])
# Every piece of SQL that a filter may consist of.
_KNOWN = re.compile(
    rf"""(?:\s+ | \$[0-9]+ | "(?:{_COLUMNS})" | \b(?:{_FUNCTIONS})(?=\() | \b(?:{_WORDS})\b
      | \bd\.geom\b | ::(?:text|bigint|numeric|float8|boolean|date|timestamptz|bytea)\b(?:\[\])?
      | '08:00' | '-?infinity'(?=::) | 'ST_GeometryCollection' | \b4490\b | && | <> | <= | >= | [=<>(),\[\]])*""",
    re.VERBOSE,
)


def _ask(asker: Asker, text: Any, language: Any, geometry: str = "point", system: Crs | None = None) -> bool:
    """True when it compiled and ran; fails on anything but that or an InvalidParameter of `filter`."""
    binder = Binder()
    layer = LAYERS[geometry]
    try:
        sql = compile_filter(binder, text, language, layer, system, WebSettings())
    except InvalidParameter as error:
        assert error.context["parameter"] == "filter"
        for message in (error.message("en"), error.message("zh")):
            message.encode("utf-8")
            assert "secret" not in message.replace(str(text), "") or "secret" in str(text)
            assert "silent" not in message or "silent" in str(text)
            assert "$1" not in message or "$1" in str(text)
        return False
    assert _KNOWN.fullmatch(sql), sql
    assert {int(n) for n in re.findall(r"\$([0-9]+)", sql)} == set(range(1, len(binder.args) + 1))
    asker.fids(layer, sql, binder.args)
    return True


_WORDS_OF_CQL2 = [
    "AND", "OR", "NOT", "LIKE", "BETWEEN", "IN", "IS", "NULL", "TRUE", "FALSE", "(", ")", ",", "=", "<>", "<", ">=",
    "+", "-", "*", "/", "^", "%", "div", "casei(", "accenti(", "s_intersects(", "s_within(", "s_equals(", "t_after(",
    "t_during(",
    "date('2020-01-01')", "timestamp('2020-01-01T00:00:00Z')", "interval('2020-01-01','..')", "point(116 36)",
    "POINT EMPTY",
    "bbox(116,36,117,37)", "polygon((116 36,117 36,117 37,116 36))", "n", "name", "x", "ok", "built", "seen", "geom",
    "secret", "silent", "fid", "source_id", "sys_from", "pg_sleep(1)", "version()", "'a'", "'%'", "1", "-1.5", "1e308",
    "1e999", "'", '"', "\\", ";", "--", "/*", "$1", "::text", "中", "''", '""', ".", ":", "a_contains(",
]  # fmt: skip


@_FUZZ
@given(text=st.text(max_size=60))
@example("\x00")
@example("'\ud800'")
@example("n = ١")
@example("n = １")
@example("１ = 1")
@example("name\u3000=\u3000'a'")
def test_any_text(asker: Asker, text: str) -> None:
    _ask(asker, text, "cql2-text")


@_FUZZ
@given(words=st.lists(st.sampled_from(_WORDS_OF_CQL2), min_size=1, max_size=14), system=st.sampled_from(SERVED))
def test_any_words_in_any_order(asker: Asker, words: list[str], system: str) -> None:
    _ask(asker, " ".join(words), "cql2-text", system=crs(system))


@_FUZZ
@given(tree=conditions(spatial=True), data=st.data())
def test_a_good_text_with_something_wrong(asker: Asker, tree: Any, data: st.DataObject) -> None:
    text = to_text(tree)
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 6))
    text = text[:at] + data.draw(st.sampled_from(_WORDS_OF_CQL2)) + text[at + cut :]
    _ask(asker, text, "cql2-text", data.draw(st.sampled_from(list(LAYERS))))


_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(_WORDS_OF_CQL2),
    st.sampled_from([10**400, -(2**63), 2**63, "..", "2020-01-01", "9999-12-31T23:59:60Z",
                     "0001-01-01T00:00:00+23:59"]),
)  # fmt: skip
_members = st.sampled_from(
    [
        "op",
        "args",
        "property",
        "date",
        "timestamp",
        "interval",
        "bbox",
        "type",
        "coordinates",
        "geometries",
        "function",
        "x",
    ]
)
_ops = st.sampled_from(
    ["and", "or", "not", "=", "<", "like", "between", "in", "isNull", "casei", "+", "/", "^", "%", "s_intersects",
     "s_overlaps", "t_before", "t_metBy", "a_contains", "pg_sleep", "select", "=;", "AND", ""]
)  # fmt: skip


def _shaped(kind: str) -> Any:
    return lambda coordinates: {"type": kind, "coordinates": coordinates}


_leaves = st.one_of(
    _scalars,
    st.sampled_from([*FIELDS, "secret", "silent", "fid", "geom", "valid_to", 'n" = n OR "n']).map(
        lambda n: {"property": n}
    ),
    _scalars.map(lambda v: {"date": v}),
    _scalars.map(lambda v: {"timestamp": v}),
    st.lists(_scalars, max_size=7).map(lambda v: {"bbox": v}),
    st.lists(_scalars, max_size=3).map(lambda v: {"interval": v}),
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=4).map(
        lambda v: {"type": "Point", "coordinates": v}
    ),
    st.lists(st.lists(st.floats(-200, 200), max_size=3), max_size=5).map(
        lambda v: {"type": "LineString", "coordinates": v}
    ),
    st.lists(st.lists(st.lists(st.integers(-90, 90), max_size=3), max_size=5), max_size=2).map(
        lambda v: {"type": "Polygon", "coordinates": v}
    ),
    st.lists(st.lists(st.floats(115, 118), min_size=2, max_size=2), min_size=3, max_size=7).map(
        lambda v: {"type": "Polygon", "coordinates": [[*v, v[0]]]}
    ),
)
_documents = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(lambda op, args: {"op": op, "args": args}, _ops, st.lists(inner, max_size=3)),
        st.dictionaries(_members, inner, max_size=3),
        st.lists(inner, max_size=3),
        st.builds(lambda g: {"type": "GeometryCollection", "geometries": g}, st.lists(inner, max_size=2)),
    ),
    max_leaves=12,
)


@_FUZZ
@given(document=_documents, system=st.sampled_from(SERVED), geometry=st.sampled_from(list(LAYERS)))
def test_any_json(asker: Asker, document: Any, system: str, geometry: str) -> None:
    _ask(asker, document if isinstance(document, dict) else json.dumps(document), "cql2-json", geometry, crs(system))


@_FUZZ
@given(text=st.text(alphabet='{}[]":,.0123456789eE+-truefalsn \\uopargs', max_size=60))
def test_any_json_text(asker: Asker, text: str) -> None:
    _ask(asker, text, "cql2-json")


_INJECTIONS = [
    "' OR '1'='1", "'; DROP TABLE fuzz.point; --", "\\'; SELECT 1 --", "1; SELECT pg_sleep(10)",
    "a') OR pg_sleep(10)=(''", "\\", "\\\\'", "''", "$1", "%s", "%(x)s",
    "{}", "E'\\x27'", "$$x$$", "U&'\\0027'", "/* */", "-- ", "\n;\n",
    "::text",
    '" OR "1"="1', 'secret" IS NOT NULL OR "n', "n\" = 1) OR (SELECT count(*) FROM pg_user) > 0 --", "\u2019 OR 1=1",
    "ʼ OR 1=1", "%27 OR 1=1", "&#39;", "chr(39)", "(SELECT secret FROM fuzz.point LIMIT 1)", "lo_import('/etc/passwd')",
    "pg_read_file('/etc/passwd')", "query_to_xml('select 1',true,true,'')", "current_setting('is_superuser')",
    "version()", "dblink('','')", "ST_AsText(geom)", "geom::text", "fid", "sys_from", "tableoid", "ctid", "t", "t.*",
]  # fmt: skip


@pytest.mark.parametrize("text", _INJECTIONS, ids=range(len(_INJECTIONS)))
class TestInjection:
    """One corpus at every place where a client's text can stand."""

    def test_as_the_whole_filter(self, asker: Asker, text: str) -> None:
        assert not _ask(asker, text, "cql2-text")
        assert not _ask(asker, text, "cql2-json")

    def test_as_a_value(self, asker: Asker, text: str) -> None:
        tree = {"op": "=", "args": [{"property": "name"}, text]}
        layer = LAYERS["point"]
        assert asker.filtered(layer, tree, "cql2-json") == asker.where(layer, lambda r: r["name"] == text)
        assert asker.filtered(layer, to_text(tree)) == asker.where(layer, lambda r: r["name"] == text)

    def test_as_a_pattern_between_wildcards(self, asker: Asker, text: str) -> None:
        escaped = re.sub(r"([\\%_])", r"\\\1", text)
        tree = {"op": "like", "args": [{"property": "name"}, f"%{escaped}%"]}
        found = asker.filtered(LAYERS["point"], tree, "cql2-json")
        assert found == asker.where(LAYERS["point"], lambda r: r["name"] is not None and text in r["name"])

    def test_as_a_property(self, asker: Asker, text: str) -> None:
        assert not _ask(asker, {"op": "isNull", "args": [{"property": text}]}, "cql2-json")
        quoted = text.replace('"', '""')
        assert not _ask(asker, f'"{quoted}" IS NULL', "cql2-text")

    def test_as_an_operator(self, asker: Asker, text: str) -> None:
        assert not _ask(asker, {"op": text, "args": [{"property": "name"}, "a"]}, "cql2-json")

    def test_as_an_instant(self, asker: Asker, text: str) -> None:
        for kind in ("date", "timestamp"):
            assert not _ask(asker, {"op": "=", "args": [{"property": "seen"}, {kind: text}]}, "cql2-json")
        assert not _ask(
            asker, {"op": "t_after", "args": [{"property": "seen"}, {"interval": [text, ".."]}]}, "cql2-json"
        )

    def test_as_a_geometry_type(self, asker: Asker, text: str) -> None:
        shape = {"type": text, "coordinates": [1, 2]}
        assert not _ask(asker, {"op": "s_intersects", "args": [{"property": "geom"}, shape]}, "cql2-json")


def _error(
    text: Any, language: Any = "cql2-text", settings: WebSettings | None = None, layer: str = "point"
) -> InvalidParameter:
    with pytest.raises(InvalidParameter) as caught:
        compile_filter(Binder(), text, language, LAYERS[layer], None, settings or WebSettings())
    assert caught.value.context["parameter"] == "filter"
    return caught.value


@pytest.mark.parametrize("name", ["secret", "silent", "fid", "sys_from", "source_id", "nonsense", "Name", "SECRET"])
def test_hidden_and_absent_properties_get_the_same_answer(name: str) -> None:
    """Only the name the client sent differs: nothing tells a hidden field from one that does not exist."""
    told, other = _error(f'"{name}" = 1'), _error('"zzz" = 1')
    assert told.message("en").replace(name, "zzz") == other.message("en")
    assert told.message("zh").replace(name, "zzz") == other.message("zh")
    assert told.context == other.context


def test_the_reader_role_itself_cannot_see_hidden_columns(asker: Asker) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        asker.fids(LAYERS["point"], '"secret" IS NOT NULL', [])


_NESTED: dict[str, Any] = {
    "parentheses": lambda n: "(" * n + "ok" + ")" * n,
    "parentheses left open": lambda n: "(" * n,
    "parentheses around an error": lambda n: "(" * n + "n=" + ")" * n,
    "NOT": lambda n: "NOT " * n + "ok",
    "NOT with parentheses": lambda n: "NOT (" * n + "ok" + ")" * n,
    "signs": lambda n: "-" * n + "n = 1",
    "sums": lambda n: "+".join(["n"] * n) + " = 1",
    "powers": lambda n: "^".join(["n"] * n) + " = 1",
    "casei": lambda n: "casei(" * n + "name" + ")" * n + " = 'a'",
    "casei pattern": lambda n: "name LIKE " + "casei(" * n + "'a'" + ")" * n,
    "IN lists": lambda n: "n IN (" * n + "1" + ")" * n,
    "AND in parentheses": lambda n: "(ok AND " * n + "ok" + ")" * n,
    "collections": lambda n: "S_INTERSECTS(geom, " + "GEOMETRYCOLLECTION(" * n + "POINT(1 2)" + ")" * (n + 1),
    "intervals": lambda n: "T_AFTER(seen, " + "INTERVAL(" * n + "'..','..'" + ")" * (n + 1),
}
_NESTED_JSON: dict[str, Any] = {
    "not": lambda n: '{"op":"not","args":[' * n + "true" + "]}" * n,
    "arrays": lambda n: "[" * n + "]" * n,
    "arrays left open": lambda n: "[" * n,
    "objects": lambda n: '{"op":' * n,
    "coordinates": lambda n: '{"op":"isNull","args":[{"type":"Point","coordinates":' + "[" * n + "]" * n + "}]}",
    "intervals": lambda n: '{"interval":[' * n + '"..",".."' + "]}" * n,
    "strings": lambda n: '"\\"' * n,
}


@pytest.mark.parametrize("count", [40, 10_000])
@pytest.mark.parametrize("form", [*_NESTED, *(f"json {k}" for k in _NESTED_JSON)])
def test_deep_nesting_is_an_error_and_not_the_end_of_the_process(form: str, count: int) -> None:
    wide = WebSettings(filter_chars_max=1_000_000)
    if form.startswith("json "):
        _error(_NESTED_JSON[form[5:]](count), "cql2-json", wide)
    else:
        _error(_NESTED[form](count), "cql2-text", wide)


@pytest.mark.parametrize("form", [k for k in _NESTED if "error" not in k and "open" not in k])
def test_limits_set_too_high_still_end_in_an_error(form: str) -> None:
    wide = WebSettings(filter_chars_max=1_000_000, filter_depth_max=100_000, filter_nodes_max=1_000_000)
    _error(_NESTED[form](50_000), "cql2-text", wide)


def test_deep_python_documents() -> None:
    document: Any = True
    shape: Any = 1.0
    for _ in range(5_000):
        document, shape = {"op": "not", "args": [document]}, [shape]
    _error(document, "cql2-json")
    _error({"op": "isNull", "args": [{"type": "Point", "coordinates": shape}]}, "cql2-json")


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("filter_chars_max", "name = '" + "a" * 8_000 + "'"),
        ("filter_depth_max", "(" * 33 + "ok" + ")" * 33),
        ("filter_nodes_max", " OR ".join(["n=1"] * 400)),
    ],
    ids=["chars", "depth", "nodes"],
)
def test_limits_are_named(setting: str, text: str) -> None:
    error = _error(text)
    assert error.context["setting"] == setting
    assert str(error.context["limit"]) in error.en
    assert str(error.context["limit"]) in error.zh


def test_a_filter_of_the_largest_size_compiles(asker: Asker) -> None:
    assert _ask(asker, " OR ".join(["n=1"] * 330), "cql2-text")
    assert _ask(asker, "(" * 31 + "ok" + ")" * 31, "cql2-text")


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("n = 'a'", 3),
        ("ok AND name > 3", 13),
        ("name = 'a' OR nope = 1", 15),
        ("n = ", 5),
        ("name LIKE 3", 11),
        ("T_AFTER(seen, 'x')", 15),
        ("S_INTERSECTS(geom, POLYGON((0 0, 1 1, 1 0, 0 1, 0 0)))", 20),
        ("S_INTERSECTS(geom, POINT(116 91))", 20),
        ("n = 1 2", 7),
        ("name = 'open", 8),
    ],
)
def test_errors_say_where(text: str, position: int) -> None:
    assert _error(text).context["position"] == position
