# SPDX-License-Identifier: Apache-2.0
"""One worked case for each operator of each conformance class that is declared, against plain Python over the rows.

The sentences are made for these rows; what each must do is taken from OGC 21-065r2 and its abstract tests.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import cql2
import pytest
import shapely

from geocloud.errors import InvalidParameter
from geocloud.features.cql2 import CONFORMANCE
from tests.features.conftest import LAYERS, Asker

Row = dict[str, Any]
Test = Callable[[Row], bool | None]
_BOX = shapely.box(116.5, 36.5, 117.25, 37.25)
_RING = "POLYGON((116.5 36.5, 117.25 36.5, 117.25 37.25, 116.5 37.25, 116.5 36.5))"
_NOON = datetime(2020, 1, 5, 16, tzinfo=UTC)
_WEEK = (datetime(2020, 1, 4, tzinfo=UTC), datetime(2020, 1, 10, 8, tzinfo=UTC))
_INTERVAL = "INTERVAL('2020-01-04T00:00:00Z', '2020-01-10T08:00:00Z')"


def _of(name: str, test: Callable[[Any], Any]) -> Test:
    """A test of one property that is false where there is none."""
    return lambda r: r[name] is not None and bool(test(r[name]))


def _two(a: str, b: str, test: Callable[[Any, Any], Any]) -> Test:
    return lambda r: r[a] is not None and r[b] is not None and bool(test(r[a], r[b]))


def _shape(relation: str, other: Any, *, first: bool = True) -> Test:
    ask = getattr(shapely, relation)
    return _of("geom", lambda g: ask(g, other) if first else ask(other, g))


def _fold(text: str) -> str:
    return text.casefold()


def _bare(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _spans(test: Callable[[datetime, datetime], Any]) -> Test:
    return _two("seen", "checked", test)


_S, _E = _WEEK
# Class: sentences with the layer they ask and the rows they must select.
CASES: dict[str, list[tuple[str, str, Test]]] = {
    "basic-cql2": [
        ("none", "name = '聊城'", _of("name", lambda v: v == "聊城")),
        ("none", "name <> '聊城'", _of("name", lambda v: v != "聊城")),
        ("none", "name < 'a'", _of("name", lambda v: v < "a")),
        ("none", "name > 'a'", _of("name", lambda v: v > "a")),
        ("none", "name <= 'a'", _of("name", lambda v: v <= "a")),
        ("none", "name >= 'a'", _of("name", lambda v: v >= "a")),
        ("none", '"n" = 3', _of("n", lambda v: v == 3)),
        ("none", "n <> 3", _of("n", lambda v: v != 3)),
        ("none", "n < 3.14", _of("n", lambda v: v < 3.14)),
        ("none", "x > 0.5", _of("x", lambda v: v > 0.5)),
        ("none", "x <= 0.1", _of("x", lambda v: v <= 0.1)),
        ("none", "x >= -1", _of("x", lambda v: v >= -1)),
        ("none", "ok = true", _of("ok", lambda v: v)),
        ("none", "ok <> TRUE", _of("ok", lambda v: not v)),
        ("none", "ok < true", _of("ok", lambda v: not v)),
        ("none", "built = DATE('2020-01-06')", _of("built", lambda v: v == date(2020, 1, 6))),
        ("none", "built > DATE('2020-01-06')", _of("built", lambda v: v > date(2020, 1, 6))),
        ("none", "seen = TIMESTAMP('2020-01-05T16:00:00Z')", _of("seen", lambda v: v == _NOON)),
        ("none", "seen <= TIMESTAMP('2020-01-05T16:00:00Z')", _of("seen", lambda v: v <= _NOON)),
        ("none", "name IS NULL", lambda r: r["name"] is None),
        ("none", "x IS NOT NULL", lambda r: r["x"] is not None),
        ("point", "geometry IS NULL", lambda r: r["geom"] is None),
        ("none", "valid_to IS NULL", lambda r: r["valid_to"] == math.inf),
        ("none", "true", lambda r: True),
        ("none", "false", lambda r: False),
        ("none", "ok AND open", lambda r: r["ok"] and r["open"]),
        ("none", "ok OR open", lambda r: bool(r["ok"] or r["open"])),
        ("none", "NOT ok", _of("ok", lambda v: not v)),
        ("none", "NOT (ok AND n > 1) OR x IS NULL", lambda r: (
            r["x"] is None or r["ok"] is False or (r["n"] is not None and r["n"] <= 1)
        )),
    ],
    "advanced-comparison-operators": [
        ("none", "name LIKE 'a%'", _of("name", lambda v: v.startswith("a"))),
        ("none", "name NOT LIKE 'a%'", _of("name", lambda v: not v.startswith("a"))),
        ("none", "name LIKE '聊_市'", _of("name", lambda v: re.fullmatch("聊.市", v))),
        ("none", r"name LIKE 'a\%b'", _of("name", lambda v: v == "a%b")),
        ("none", r"name LIKE 'a\_b'", _of("name", lambda v: v == "a_b")),
        ("none", r"name LIKE 'a\\b'", _of("name", lambda v: v == "a\\b")),
        ("none", "n BETWEEN -1 AND 3", _of("n", lambda v: -1 <= v <= 3)),
        ("none", "x NOT BETWEEN 0 AND 1", _of("x", lambda v: not 0 <= v <= 1)),
        ("none", "name IN ('a', '聊城', 'nobody')", _of("name", lambda v: v in ("a", "聊城"))),
        ("none", "n NOT IN (1, 2, 3)", _of("n", lambda v: v not in (1, 2, 3))),
        ("none", "built IN (DATE('2020-01-06'), DATE('2020-01-07'))",
         _of("built", lambda v: v in (date(2020, 1, 6), date(2020, 1, 7)))),
    ],
    "case-insensitive-comparison": [
        ("none", "CASEI(name) = CASEI('straSSe')", _of("name", lambda v: _fold(v) == "strasse")),
        ("none", "CASEI(name) IN (CASEI('AB'), CASEI('Àé'))", _of("name", lambda v: _fold(v) in ("ab", "àé"))),
        ("none", "CASEI(name) LIKE CASEI('STRAS%')", _of("name", lambda v: _fold(v).startswith("stras"))),
        ("none", "CASEI(name) = CASEI(other)", _two("name", "other", lambda a, b: _fold(a) == _fold(b))),
    ],
    "accent-insensitive-comparison": [
        ("none", "ACCENTI(name) = ACCENTI('AE')", _of("name", lambda v: _bare(v) == "AE")),
        ("none", "CASEI(ACCENTI(name)) = CASEI(ACCENTI('àE'))", _of("name", lambda v: _fold(_bare(v)) == "ae")),
        ("none", "ACCENTI(name) LIKE ACCENTI('Á%')", _of("name", lambda v: _bare(v).startswith("A"))),
    ],
    "basic-spatial-functions": [
        ("point", "S_INTERSECTS(geom, BBOX(116.5, 36.5, 117.25, 37.25))", _shape("intersects", _BOX)),
        ("multipolygon", "S_INTERSECTS(geom, BBOX(116.5, 36.5, 117.25, 37.25))", _shape("intersects", _BOX)),
        ("point", "S_INTERSECTS(geom, POINT(116.5 36.5))", _shape("intersects", shapely.Point(116.5, 36.5))),
        ("multipolygon", "S_INTERSECTS(geom, POINT(116.6 36.6))", _shape("intersects", shapely.Point(116.6, 36.6))),
        ("linestring", "S_INTERSECTS(geom, BBOX(117, 36, 116.25, 38))", _shape("intersects", shapely.MultiPolygon(
            [shapely.box(117, 36, 180, 38), shapely.box(-180, 36, 116.25, 38)]
        ))),
    ],
    "basic-spatial-functions-plus": [
        ("multipolygon", f"S_INTERSECTS(geom, {_RING})", _shape("intersects", _BOX)),
        ("point", "S_INTERSECTS(geom, MULTIPOINT(116.5 36.5, 117 37))",
         _shape("intersects", shapely.MultiPoint([(116.5, 36.5), (117, 37)]))),
        ("multipolygon", "S_INTERSECTS(geom, LINESTRING(116 36, 116.5 38))",
         _shape("intersects", shapely.LineString([(116, 36), (116.5, 38)]))),
        ("point", "S_INTERSECTS(geom, MULTILINESTRING((116 36, 117 37), (117 36, 118 37)))",
         _shape("intersects", shapely.MultiLineString([[(116, 36), (117, 37)], [(117, 36), (118, 37)]]))),
        ("linestring", "S_INTERSECTS(geom, MULTIPOLYGON(((116 36, 116.5 36, 116.5 36.5, 116 36)), "
                       "((117 37, 117.5 37, 117.5 37.5, 117 37))))",
         _shape("intersects", shapely.MultiPolygon([
             ([(116, 36), (116.5, 36), (116.5, 36.5), (116, 36)], []),
             ([(117, 37), (117.5, 37), (117.5, 37.5), (117, 37)], []),
         ]))),
        ("geometry", "S_INTERSECTS(geom, GEOMETRYCOLLECTION(POINT(116.5 36.5), LINESTRING(117 36, 117 38)))",
         _shape("intersects", shapely.from_wkt("GEOMETRYCOLLECTION(POINT(116.5 36.5), LINESTRING(117 36, 117 38))"))),
    ],
    "spatial-functions": [
        ("multipolygon", f"S_INTERSECTS(geom, {_RING})", _shape("intersects", _BOX)),
        ("multipolygon", f"S_DISJOINT(geom, {_RING})", _shape("disjoint", _BOX)),
        ("multipolygon", f"S_EQUALS(geom, {_RING})", _shape("equals", _BOX)),
        ("point", "S_EQUALS(geom, POINT(116.5 36.5))", _shape("equals", shapely.Point(116.5, 36.5))),
        ("multipolygon", f"S_TOUCHES(geom, {_RING})", _shape("touches", _BOX)),
        ("linestring", f"S_CROSSES(geom, {_RING})", _shape("crosses", _BOX)),
        ("linestring", f"S_WITHIN(geom, {_RING})", _shape("within", _BOX)),
        ("point", f"S_WITHIN(geom, {_RING})", _shape("within", _BOX)),
        ("multipolygon", "S_CONTAINS(geom, POINT(116.6 36.6))", _shape("contains", shapely.Point(116.6, 36.6))),
        ("multipolygon", f"S_OVERLAPS(geom, {_RING})", _shape("overlaps", _BOX)),
    ],
    "temporal-functions": [
        ("none", f"T_AFTER(seen, {_INTERVAL})", _of("seen", lambda v: v > _E)),
        ("none", "T_AFTER(seen, TIMESTAMP('2020-01-05T16:00:00Z'))", _of("seen", lambda v: v > _NOON)),
        ("none", f"T_BEFORE(seen, {_INTERVAL})", _of("seen", lambda v: v < _S)),
        ("none", f"T_DISJOINT(seen, {_INTERVAL})", _of("seen", lambda v: v < _S or v > _E)),
        ("none", "T_EQUALS(seen, TIMESTAMP('2020-01-05T16:00:00Z'))", _of("seen", lambda v: v == _NOON)),
        ("none", f"T_INTERSECTS(seen, {_INTERVAL})", _of("seen", lambda v: _S <= v <= _E)),
        ("none", "T_INTERSECTS(built, INTERVAL('2020-01-06', '..'))", _of("built", lambda v: v >= date(2020, 1, 6))),
        ("none", f"T_CONTAINS(INTERVAL(seen, checked), {_INTERVAL})", _spans(lambda a, b: a < _S and b > _E)),
        ("none", f"T_DURING(INTERVAL(seen, checked), {_INTERVAL})", _spans(lambda a, b: a > _S and b < _E)),
        ("none", f"T_FINISHES(INTERVAL(seen, checked), {_INTERVAL})", _spans(lambda a, b: a > _S and b == _E)),
        ("none", f"T_FINISHEDBY(INTERVAL(seen, checked), {_INTERVAL})", _spans(lambda a, b: a < _S and b == _E)),
        ("none", f"T_MEETS(INTERVAL(seen, checked), {_INTERVAL})", _of("checked", lambda v: v == _S)),
        ("none", f"T_METBY(INTERVAL(seen, checked), {_INTERVAL})", _of("seen", lambda v: v == _E)),
        ("none", f"T_OVERLAPS(INTERVAL(seen, checked), {_INTERVAL})", _spans(lambda a, b: a < _S < b < _E)),
        ("none", f"T_OVERLAPPEDBY(INTERVAL(seen, checked), {_INTERVAL})", _spans(lambda a, b: _S < a < _E < b)),
        ("none", f"T_STARTS(INTERVAL(seen, checked), {_INTERVAL})", _spans(lambda a, b: a == _S and b < _E)),
        ("none", f"T_STARTEDBY(INTERVAL(seen, checked), {_INTERVAL})", _spans(lambda a, b: a == _S and b > _E)),
    ],
    "property-property": [
        ("none", "'a' = name", _of("name", lambda v: v == "a")),
        ("none", "3 >= n", _of("n", lambda v: v <= 3)),
        ("none", "name = other", _two("name", "other", lambda a, b: a == b)),
        ("none", "n < m", _two("n", "m", lambda a, b: a < b)),
        ("none", "n > x", _two("n", "x", lambda a, b: float(a) > b)),
        ("none", "built <> razed", _two("built", "razed", lambda a, b: a != b)),
        ("none", "seen <= checked", _two("seen", "checked", lambda a, b: a <= b)),
        ("none", "3.14 = 3.14 AND 'foo' <= 'foo' AND true = true", lambda r: True),
        ("none", "1 <> 1 OR DATE('2020-01-01') < DATE('2020-01-01')", lambda r: False),
        ("none", "'Straße' LIKE 'Stra_e'", lambda r: True),
        ("none", "n BETWEEN m AND 10", _two("n", "m", lambda a, b: b <= a <= 10)),
        ("multipolygon", f"S_CONTAINS({_RING}, geom)", _shape("contains", _BOX, first=False)),
        ("multipolygon", "S_WITHIN(POINT(116.6 36.6), geom)", _shape("contains", shapely.Point(116.6, 36.6))),
        ("none", "S_CROSSES(LINESTRING(0 0, 2 2), POLYGON((1 0, 3 0, 3 3, 1 3, 1 0)))", lambda r: True),
        ("none", "T_AFTER(TIMESTAMP('2020-01-05T16:00:00Z'), seen)", _of("seen", lambda v: v < _NOON)),
        ("none", "T_MEETS(INTERVAL('2020-01-02', '2020-01-03'), INTERVAL('2020-01-03', '..'))", lambda r: True),
    ],
    "arithmetic": [
        ("none", "n = 1 + 2", _of("n", lambda v: v == 3)),
        ("none", "n = 10 - 3", _of("n", lambda v: v == 7)),
        ("none", "x = -15 / 2", _of("x", lambda v: v == -7.5)),
        ("none", "n * 2 > 5", _of("n", lambda v: v * 2 > 5)),
        ("none", "n < 2 ^ 3", _of("n", lambda v: v < 8)),
        ("none", "n % 2 = 1", _of("n", lambda v: v in (1, 3, 7))),
        ("none", "n div 3 = 1", _of("n", lambda v: v == 3)),
        ("none", "1 + 2 * 3 ^ 2 = 19 AND 10 - 3 - 2 = 5 AND 8 / 4 / 2 = 1 AND 7 div 2 = 3", lambda r: True),
        ("none", "n BETWEEN 4 / 4 AND (3 * (1 + 1))", _of("n", lambda v: 1 <= v <= 6)),
        ("none", "n IN (1 + 1, 30 / 3)", _of("n", lambda v: v in (2, 10))),
        ("none", "1 / n > 0.4 OR n / 0 = 1", _of("n", lambda v: v in (1, 2))),
    ],
}  # fmt: skip
_ALL = [(c, *case) for c, cases in CASES.items() for case in cases]


def _ids(cases: list[Any]) -> list[str]:
    return [f"{c[0]}: {c[2]}" for c in cases]


def test_every_declared_class_is_tested() -> None:
    prefix = "http://www.opengis.net/spec/cql2/1.0/conf/"
    assert {u.removeprefix(prefix) for u in CONFORMANCE} == {*CASES, "cql2-text", "cql2-json"}
    assert all(u.startswith(prefix) for u in CONFORMANCE)


@pytest.mark.parametrize(("_", "geometry", "text", "test"), _ALL, ids=_ids(_ALL))
def test_cql2_text(asker: Asker, _: str, geometry: str, text: str, test: Test) -> None:
    assert asker.filtered(LAYERS[geometry], text) == asker.where(LAYERS[geometry], test)


@pytest.mark.parametrize(("_", "geometry", "text", "test"), _ALL, ids=_ids(_ALL))
def test_cql2_json(asker: Asker, _: str, geometry: str, text: str, test: Test) -> None:
    """The same sentences as another implementation writes them in JSON."""
    document = cql2.parse_text(text).to_json()
    found = asker.filtered(LAYERS[geometry], document, "cql2-json")
    assert found == asker.where(LAYERS[geometry], test)


@pytest.mark.parametrize(("_", "geometry", "text", "test"), _ALL, ids=_ids(_ALL))
def test_cases_can_fail(asker: Asker, _: str, geometry: str, text: str, test: Test) -> None:
    """Each case selects some rows and leaves some, but for those made of constants."""
    found, everything = asker.where(LAYERS[geometry], test), set(asker.rows[geometry])
    assert (0 < len(found) < len(everything)) or not re.search(r"\b(name|n|x|ok|seen|built|geom|geometry)\b", text)


def test_keywords_in_any_case_and_names_in_quotes(asker: Asker) -> None:
    layer = LAYERS["point"]
    expected = asker.filtered(layer, "NOT (name LIKE 'a%') AND S_INTERSECTS(geom, BBOX(116,36,117,37))")
    assert expected == asker.filtered(layer, 'not ("name" like \'a%\') and s_intersects("geom", bbox(116,36,117,37))')
    assert expected == asker.filtered(layer, "Not\n(name\tLike 'a%')AND S_Intersects(geometry,BBox(116,36,117,37))")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("'it''s'", "it's"), (r"'it\'s'", "it's"), (r"'\a\b\t\n\v\f\r'", "\a\b\t\n\v\f\r"), (r"'a\\b'", "a\\b"),
        (r"'a\qb'", "a\\qb"), ("'聊城'", "聊城"), ("''", ""), ("'\u00e9\U00020000'", "é\U00020000"),
    ],
)  # fmt: skip
def test_escapes_in_text(asker: Asker, written: str, meant: str) -> None:
    """Requirement cql2-text/escaping: what the text says is what is bound."""
    everything = set(asker.rows["none"])
    assert asker.filtered(LAYERS["none"], f"{written} = {written}") == everything
    tree = {"op": "=", "args": [meant, meant]}
    assert asker.filtered(LAYERS["none"], tree, "cql2-json") == everything
    from geocloud.features.cql2.from_text import read_text
    from geocloud.features.cql2.nodes import Limits
    from geocloud.settings import WebSettings

    assert read_text(written, Limits(WebSettings())).value == meant


def test_whole_numbers_are_exact(asker: Asker) -> None:
    """Beyond 2^53 too, where doubles are not, and against numbers that no integer column can hold."""
    layer = LAYERS["none"]
    every = asker.where(layer, lambda r: r["n"] is not None)
    odd = asker.where(layer, lambda r: r["n"] == 2**53 + 1)
    assert odd
    for language, write in (("cql2-text", lambda v: f"n = {v}"), ("cql2-json", lambda v: _equals_json(v))):
        assert asker.filtered(layer, write(2**53 + 1), language) == odd
        assert asker.filtered(layer, write(2**53), language) == set()
    assert asker.filtered(layer, f"n < {2**63}") == every
    assert asker.filtered(layer, f"n >= {2**63}.5 OR n = {2**63} OR n IN ({2**63}, 0.5) OR n > 1e300") == set()
    assert asker.filtered(layer, f"n > -{2**63 + 1}") == every


def _equals_json(value: int) -> str:
    return f'{{"op": "=", "args": [{{"property": "n"}}, {value}]}}'


def test_stored_collections_meet_by_any_of_their_members(asker: Asker) -> None:
    """Each point of a stored collection is found by a line that ends on it, which GEOS 3.11 misses when prepared."""
    layer = LAYERS["geometry"]
    rows = asker.rows["geometry"]
    mixed = [f for f, r in rows.items() if r["geom"] is not None and r["geom"].geom_type == "GeometryCollection"]
    assert len(mixed) > 10
    for fid in mixed:
        x, y = next(g for g in rows[fid]["geom"].geoms if g.geom_type == "Point").coords[0]
        line = shapely.LineString([(x - 0.2, y - 0.7), (x, y)])
        expected = asker.where(layer, _shape("intersects", line))
        assert fid in expected
        written = f"LINESTRING({x - 0.2!r} {y - 0.7!r}, {x!r} {y!r})"
        assert asker.filtered(layer, f"S_INTERSECTS(geom, {written})") == expected
        assert asker.filtered(layer, f"S_DISJOINT({written}, geom)") == asker.where(layer, _shape("disjoint", line))


def test_powers_are_read_from_the_right(asker: Asker) -> None:
    assert asker.filtered(LAYERS["none"], "2 ^ 3 ^ 2 = 512") == set(asker.rows["none"])


@pytest.mark.parametrize("function", ["S_INTERSECTS", "S_DISJOINT", "S_EQUALS", "S_WITHIN"])
def test_coordinates_outside_the_crs_are_an_error(asker: Asker, function: str) -> None:
    with pytest.raises(InvalidParameter):
        asker.filtered(LAYERS["point"], f"{function}(geom, POINT(90 180))")


@pytest.mark.parametrize("function", ["T_CONTAINS", "T_DURING", "T_FINISHES", "T_MEETS", "T_OVERLAPS", "T_STARTS"])
def test_functions_of_intervals_take_no_instants(asker: Asker, function: str) -> None:
    with pytest.raises(InvalidParameter, match="takes intervals"):
        asker.filtered(LAYERS["none"], f"{function}(seen, {_INTERVAL})")
