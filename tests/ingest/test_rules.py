# SPDX-License-Identifier: Apache-2.0
"""Columns into fields, values into types, and the rules of a layer, value by value."""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from geocloud.catalogue.spec import Code, CodeList, FieldType, LayerSpec, Text
from geocloud.errors import IngestError
from geocloud.ingest.mapping import map_columns
from geocloud.rules.checker import Checker
from geocloud.rules.codes import rules
from geocloud.rules.collector import Collector
from geocloud.rules.convert import ARROW_TYPES, convert
from geocloud.rules.repair import repair
from tests.ingest.loading import STATES, field, spec

BEIJING = zoneinfo.ZoneInfo("Asia/Shanghai")
NO = object()

VALUES: list[Any] = [
    # type, delivered, stored (NO: cannot be converted)
    ("text", "  井盖\u3000", "井盖"), ("text", "", None), ("text", " \u3000", None), ("text", 371502, "371502"),
    ("text", 371502.0, "371502"), ("text", 1.5, "1.5"), ("text", True, "true"),
    ("text", date(2024, 3, 1), "2024-03-01"),
    ("integer", "42", 42), ("integer", " -7 ", -7), ("integer", "+3", 3), ("integer", "12.0", 12),
    ("integer", "12.5", NO),
    ("integer", "1e3", NO), ("integer", "一", NO), ("integer", 3.0, 3), ("integer", 3.5, NO), ("integer", True, 1),
    ("integer", "9223372036854775808", NO), ("integer", 2**53 * 4.0, NO), ("integer", float("nan"), None),
    ("number", "1.5", 1.5), ("number", ".5", 0.5), ("number", "1e3", 1000.0), ("number", "1,5", NO),
    ("number", "", None),
    ("number", float("inf"), None), ("number", 7, 7.0), ("number", "nan", NO),
    ("boolean", "是", True), ("boolean", "N", False), ("boolean", "TRUE", True), ("boolean", 0, False),
    ("boolean", 2, NO),
    ("boolean", "maybe", NO),
    ("date", "2024-03-01", date(2024, 3, 1)), ("date", "2024/3/1", date(2024, 3, 1)),
    ("date", "20240301", date(2024, 3, 1)),
    ("date", 20240301, date(2024, 3, 1)), ("date", "2024年3月1日", date(2024, 3, 1)), ("date", "2024-02-30", NO),
    ("date", "01/03/2024", NO), ("date", "2024-03", NO), ("date", "2024-03-01 10:00", date(2024, 3, 1)),
    ("datetime", "2024-03-01", datetime(2024, 3, 1, tzinfo=BEIJING)),
    ("datetime", "2024-03-01T08:30:15.25", datetime(2024, 3, 1, 8, 30, 15, 250_000, tzinfo=BEIJING)),
    ("datetime", "2024-03-01T08:30:00Z", datetime(2024, 3, 1, 8, 30, tzinfo=UTC)),
    ("datetime", "2024-03-01 08:30+09:00", datetime(2024, 2, 29, 23, 30, tzinfo=UTC)),
    ("datetime", "1988-07-01 12:00", datetime(1988, 7, 1, 3, tzinfo=UTC)),
    ("datetime", "2024-03-01 25:00", NO), ("datetime", date(2024, 3, 1), datetime(2024, 2, 29, 16, tzinfo=UTC)),
    ("datetime", "yesterday", NO),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "raw", "stored"), VALUES, ids=lambda v: "NO" if v is NO else repr(v)[:30])
def test_value(kind: FieldType, raw: Any, stored: Any) -> None:
    got = convert(pa.array([raw, None]), kind)
    assert got.values.type == ARROW_TYPES[kind]
    assert got.failed.tolist() == [stored is NO, False]
    assert got.values.to_pylist() == [None if stored is NO else stored, None]


@given(st.lists(st.one_of(st.none(), st.text(max_size=12), st.from_regex(r"[0-9./:年月日T +-]{0,20}", fullmatch=True))))
@settings(max_examples=300, deadline=None)
def test_no_text_breaks_a_conversion(values: list[str | None]) -> None:
    column = pa.array(values, pa.string())
    for kind, type_ in ARROW_TYPES.items():
        got = convert(column, kind)
        assert got.values.type == type_ and len(got.values) == len(values) == len(got.failed)
        for raw, value, failed in zip(values, got.values.to_pylist(), got.failed, strict=True):
            blank = raw is None or not raw.strip(" \t\r\n\x00\u3000\u00a0\ufeff")
            assert (value is None) == (blank or bool(failed))
            assert not (blank and failed)


NAMES = [
    pytest.param(["CODE", "Name"], {"code": "CODE", "name": "Name"}, id="any-case"),
    pytest.param(["编号", "name"], {"code": "编号", "name": "name"}, id="alias"),
    pytest.param(["编号", "code"], {"code": "code"}, id="own-name-before-alias"),
    pytest.param(["long_field", "code"], {"code": "code", "long_field_name": "long_field"}, id="cut-to-ten-bytes"),
    pytest.param(["行政区", "code"], {"code": "code", "division": "行政区"}, id="utf8-title-cut-in-a-character"),
    pytest.param(["行政区划名", "code"], {"code": "code", "division": "行政区划名"}, id="gbk-title-cut"),
]


@pytest.mark.parametrize(("names", "expected"), NAMES)
def test_columns_become_fields(names: list[str], expected: dict[str, str]) -> None:
    more = [field("code", aliases=["编号"]), field("name"), field("long_field_name")]
    more.append({"name": "division", "type": "text", "title": {"zh": "行政区划名称", "en": "Division"}})
    assert map_columns(spec("x", fields=more), names).columns == expected


def test_columns_are_reported() -> None:
    found = map_columns(spec("x"), ["编号", "CODE", "fid", "since", "colour"])
    said = {(f.code, f.field) for f in found.findings}
    assert found.columns == {"code": "CODE"} and found.start == "since" and found.end is None
    assert {("GC-514", "编号"), ("GC-509", "colour"), ("GC-510", "height")} <= said
    assert not any(f == "fid" for _, f in said)
    assert {f.code for f in map_columns(spec("x"), ["name"]).findings if f.severity == "error"} == {"GC-511"}


@pytest.mark.parametrize("given", [{"nosuch": "a"}, {"code": "b"}])
def test_wrong_column_option(given: dict[str, str]) -> None:
    with pytest.raises(IngestError):
        map_columns(spec("x"), ["a"], given)


def check(one: LayerSpec, rows: list[dict[str, Any]], *lists: CodeList) -> tuple[pa.Table, Collector]:
    table = pa.Table.from_pylist(rows)
    found = Collector(10, len(rows))
    checker = Checker(one, {c.name: c for c in lists}, map_columns(one, table.column_names), today=date(2024, 6, 1))
    return checker.check(table, found), found


def told(found: Collector) -> list[tuple[str, int | None, str | None]]:
    return [(f.code, f.row, f.field) for f in found.findings]


def test_rules_name_row_field_and_value() -> None:
    fields = [
        field("code", required=True, pattern=r"[A-Z]\d{3}"), field("name", max_length=3),
        field("state", codes="state"), field("height", "number", minimum=0, maximum=9),
    ]  # fmt: skip
    rows = [
        {"code": "A001", "name": "三个字", "state": "good", "height": 0.0},
        {"code": "A1", "name": "四个字了", "state": "完好", "height": 9.01},
        {"code": None, "name": " x", "state": "ugly", "height": -0.5},
    ]
    table, found = check(spec("x", fields=fields), rows, STATES)
    assert told(found) == [
        ("GC-501", 13, "code"), ("GC-504", 12, "code"), ("GC-515", 13, "name"), ("GC-503", 12, "name"),
        ("GC-517", 12, "state"), ("GC-506", 13, "state"), ("GC-505", 12, "height"), ("GC-505", 13, "height"),
    ]  # fmt: skip
    assert found.rejected.tolist() == [False, True, True]
    assert table.column("state").to_pylist()[:2] == ["good", "good"]
    for one in found.findings:
        for language in ("zh", "en"):
            assert "…" not in one.message(language) and str(one.row) in one.message(language)  # type: ignore[arg-type]


def test_open_and_dated_codes() -> None:
    codes = CodeList(
        name="state", title=Text(zh="x", en="x"), source="test", closed=False,
        codes=(
            Code(code="old", title=Text(zh="旧", en="Old"), valid_to=date(2020, 1, 1)),
            Code(code="new", title=Text(zh="新", en="New"), valid_from=date(2020, 1, 1)),
            Code(code="a", title=Text(zh="同", en="A")), Code(code="b", title=Text(zh="同", en="B")),
        ),
    )  # fmt: skip
    rows: list[dict[str, Any]] = [
        {"code": str(k), "state": s, "since": when}
        for k, (s, when) in enumerate(
            [("old", "2019-01-01"), ("old", "2020-01-01"), ("new", "2019-12-31"), ("new", None), ("old", None),
             ("z", None), ("同", None)]
        )
    ]  # fmt: skip
    _, found = check(spec("x"), rows, codes)
    # The same words for two codes stand for neither.
    assert told(found) == [
        ("GC-507", 16, "state"), ("GC-507", 17, "state"), ("GC-508", 12, "state"), ("GC-508", 15, "state"),
        ("GC-508", 13, "state"),
    ]  # fmt: skip
    assert not found.rejected.any()


PATTERNS = [r"[1-9]\d{5}", r"\d{4}(\d{2})?", r"(?=.*a).+", r"a|bc", r"[0-9A-HJ-NPQRTUWXY]{18}", r"\w+", r"^x$"]


@given(st.sampled_from(PATTERNS), st.lists(st.text("abcx1239 \n一", max_size=8), min_size=1, max_size=8))
@settings(max_examples=300, deadline=None)
def test_pattern_is_pythons_fullmatch(pattern: str, values: list[str]) -> None:
    fields = [field("code"), field("name", pattern=pattern)]
    rows = [{"code": str(k), "name": v} for k, v in enumerate(values)]
    table, found = check(spec("x", fields=fields), rows)
    stored = table.column("name").to_pylist()
    wrong = {k + 11 for k, v in enumerate(stored) if v is not None and not re.fullmatch(pattern, v, re.ASCII)}
    assert {f.row for f in found.findings if f.code == "GC-504"} == wrong


def test_places_against_the_city_and_slivers() -> None:
    one = spec("x", "polygon", min_area_m2=100.0)
    geod = Geod(a=6378137.0, rf=298.257222101)

    def square(lon: float, lat: float, side: float) -> Any:
        step = side / 111_000
        return shapely.box(lon, lat, lon + step, lat + step)

    shapes = np.array(
        [square(116, 36, s) for s in (5, 10, 10.9, 11.1, 11.3, 12, 500)] + [square(100, 30, 50)], dtype=object
    )
    found = Collector(0, len(shapes))
    mended = repair(shapes, "polygon", found)
    Checker(one, {}, map_columns(one, ["code"]), city_bbox=(115.0, 35.0, 117.0, 37.0)).geometry(mended, found)
    small = {i + 1 for i, s in enumerate(shapes) if abs(geod.geometry_area_perimeter(s)[0]) < 100}
    assert {f.row for f in found.findings if f.code == "GC-415"} == small
    assert 0 < len(small) < len(shapes)
    assert {f.row for f in found.findings if f.code == "GC-414"} == {8}
    assert not found.rejected.any()


def test_many_warnings_are_counted_and_errors_all_kept() -> None:
    found = Collector(0, 500, listed=100)
    found.mark("GC-414", np.ones(500, dtype=bool))
    found.mark("GC-505", np.ones(500, dtype=bool))
    assert sum(f.code == "GC-414" for f in found.findings) == 100
    assert found.counts["GC-414"] == 400
    assert sum(f.code == "GC-505" for f in found.findings) == 500


@pytest.mark.parametrize("code", [c for c in rules() if c[3] in "456"])
def test_every_message_is_in_both_languages(code: str) -> None:
    one = rules()[code]
    for text in (one.title, one.message, one.explanation):
        assert re.search(r"[\u4e00-\u9fff]", text.zh) and not re.search(r"[\u4e00-\u9fff]", text.en)
    assert set(re.findall(r"\{(\w+)\}", one.message.zh)) - {"type_zh", "how_zh"} == set(
        re.findall(r"\{(\w+)\}", one.message.en)
    ) - {"type_en", "how_en"}
