# SPDX-License-Identifier: Apache-2.0
"""CSV and XLSX as bureaus write them: headers, separators, positions in every shape, bad rows by number."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import shapely

from geocloud.errors import UnreadableFile
from geocloud.ingest.coordinates import parse_number
from geocloud.ingest.readers import open_source
from geocloud.ingest.report import Finding
from geocloud.ingest.source import Source

ROW = "115.98,36.45"


def _csv(folder: Path, text: str, name: str = "点.csv", codec: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(codec))
    return path


def _all(path: Path, rows: int = 2, **options: Any) -> tuple[Source, list[dict[str, Any]], list[Any], list[Finding]]:
    with open_source(path, **options) as source:
        table: list[dict[str, Any]] = []
        shapes: list[Any] = []
        findings: list[Finding] = []
        for batch in source.batches(rows):
            assert batch.rows <= rows
            table += batch.table.to_pylist()
            shapes += [] if batch.geometry is None else batch.geometry.tolist()
            findings += batch.findings
    return source, table, shapes, [*source.findings, *findings]


def _points(shapes: list[Any]) -> list[tuple[float, float] | None]:
    return [None if s is None else (round(s.x, 6), round(s.y, 6)) for s in shapes]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("经度,纬度", ("经度", "纬度")),
        ("lon,lat", ("lon", "lat")),
        ("Longitude,Latitude", ("Longitude", "Latitude")),
        ("lng,lat", ("lng", "lat")),
        ("经度(°),纬度(°)", ("经度(°)", "纬度(°)")),
        ("经度（E）,纬度（N）", ("经度（E）", "纬度（N）")),
        ("X,Y", ("X", "Y")),
        ("X坐标,Y坐标", ("X坐标", "Y坐标")),
        ("东坐标,北坐标", ("东坐标", "北坐标")),
        ("point_x,point_y", ("point_x", "point_y")),
        ("wgs84_lon,wgs84_lat", ("wgs84_lon", "wgs84_lat")),
        ("WGS84经度,WGS84纬度", ("WGS84经度", "WGS84纬度")),
        ("起点经度,起点纬度", ("起点经度", "起点纬度")),
    ],
)
def test_headers(tmp_path: Path, header: str, expected: tuple[str, str]) -> None:
    source, _, shapes, _ = _all(_csv(tmp_path, f"名称,{header}\n甲,{ROW}\n"))
    assert source.coordinate_columns == expected
    assert _points(shapes) == [(115.98, 36.45)]
    assert source.geometry_type == "Point"


def test_north_before_east_by_name(tmp_path: Path) -> None:
    _, _, shapes, _ = _all(_csv(tmp_path, "北坐标,东坐标\n4036624.6,39408653.6\n"))
    assert _points(shapes) == [(39408653.6, 4036624.6)]


def test_columns_of_a_true_datum_go_before_shifted_ones(tmp_path: Path) -> None:
    source, _, shapes, findings = _all(
        _csv(tmp_path, f"lon_gcj02,lat_gcj02,lon_wgs84,lat_wgs84\n115.9857,36.4501,{ROW}\n")
    )
    assert source.coordinate_columns == ("lon_wgs84", "lat_wgs84")
    assert _points(shapes) == [(115.98, 36.45)]
    assert "GC-125" in {f.code for f in findings}
    assert "gcj" not in " ".join(source.hints)


@pytest.mark.parametrize("header", ["along,belate", "电话,人口", "longest,flat", "x,name", "经度,名称"])
def test_other_headers_are_no_coordinates(tmp_path: Path, header: str) -> None:
    source, _, shapes, findings = _all(_csv(tmp_path, f"{header}\n{ROW}\n"))
    assert (source.geometry_type, shapes) == (None, [])
    assert "GC-119" in {f.code for f in findings}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("115.98", 115.98), (" 115.98 ", 115.98), ("115,98", 115.98), ("１１５．９８", 115.98), ("115°58'48\"", 115.98),
        ("115°58′48″", 115.98), ("115度58分48秒", 115.98), ("东经115.98", 115.98), ("115.98°E", 115.98),
        ("115.98E", 115.98), ("36°27′S", -36.45), ("W 61.5", -61.5), ("-61.5", -61.5), ("3.6e1", 36.0),
        ("115°61'", None), ("一一六度", None), ("nan", None), ("inf", None), ("", None), ("1_0", None), ("0x10", None),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(text: str, expected: float | None) -> None:
    assert parse_number(text) == (None if expected is None else pytest.approx(expected))


def test_bad_rows_are_numbered_and_stay(tmp_path: Path) -> None:
    text = (
        "名称,经度,纬度\n甲,115.98,36.45\n乙,abc,36.45\n丙,,36.45\n丁,,\n戊,36.45,115.98\n己,515.98,36.45\n庚,116,36\n"
    )
    _, table, shapes, findings = _all(_csv(tmp_path, text), rows=100)
    assert [r["名称"] for r in table] == list("甲乙丙丁戊己庚")
    assert _points(shapes) == [(115.98, 36.45), None, None, None, (115.98, 36.45), None, (116.0, 36.0)]
    rows = {f.row: (f.code, f.field) for f in findings if f.row}
    assert rows == {
        2: ("GC-120", "经度"),
        3: ("GC-121", "经度"),
        4: ("GC-121", "经度/纬度"),
        5: ("GC-122", None),
        6: ("GC-123", None),
    }


@pytest.mark.parametrize("row", ["36.45,115.98", "4036624,39408653"], ids=["swapped", "metres"])
def test_a_whole_file_at_odds_is_left_to_the_doctor(tmp_path: Path, row: str) -> None:
    _, _, shapes, findings = _all(_csv(tmp_path, "经度,纬度\n" + f"{row}\n" * 5))
    assert [f.code for f in findings if f.row] == []
    assert _points(shapes) == [tuple(float(v) for v in row.split(","))] * 5


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("坐标", '"115.98,36.45"'), ("location", '"115.98,36.45"'), ("经纬度", "115.98 36.45"),
        ("lnglat", '"[115.98, 36.45]"'),
        ("WKT", "POINT (115.98 36.45)"), ("geom", '"SRID=4490;POINT(115.98 36.45)"'),
        ("geometry", "0101000000" + shapely.to_wkb(shapely.Point(115.98, 36.45), hex=True)[10:]),
    ],
)  # fmt: skip
def test_one_column_for_the_position(tmp_path: Path, header: str, value: str) -> None:
    _, _, shapes, _ = _all(_csv(tmp_path, f"名称,{header}\n甲,{value}\n乙,\n"))
    assert _points(shapes) == [(115.98, 36.45), None]


def test_broken_wkt_is_a_numbered_row(tmp_path: Path) -> None:
    _, _, shapes, findings = _all(_csv(tmp_path, "WKT\nPOINT (1 2)\nPOLYGON ((0 0, 1 1\n"))
    assert _points(shapes) == [(1.0, 2.0), None]
    assert [(f.code, f.row) for f in findings if f.row] == [("GC-127", 2)]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "，"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_separators_and_encodings(tmp_path: Path, separator: str, codec: str) -> None:
    lines = [["名称", "经度", "纬度", "备注"], ["古楼街道", "115.98", "36.45", '"含引号""与' + separator + '分隔符"']]
    source, table, shapes, _ = _all(_csv(tmp_path, "\r\n".join(separator.join(r) for r in lines) + "\r\n", codec=codec))
    assert table == [{"名称": "古楼街道", "经度": "115.98", "纬度": "36.45", "备注": f'含引号"与{separator}分隔符'}]
    assert _points(shapes) == [(115.98, 36.45)]
    assert source.encoding is not None


def test_title_rows_empty_lines_and_sep_line(tmp_path: Path) -> None:
    text = "sep=;\n聊城市学校一览表\n\n名称;经度;纬度\n一中;115.98;36.45\n\n二中;116;36\n"
    source, table, shapes, _ = _all(_csv(tmp_path, text))
    assert [r["名称"] for r in table] == ["一中", "二中"]
    assert len(shapes) == 2
    assert source.header_lines == 2


def test_rows_of_another_width(tmp_path: Path) -> None:
    text = "a,b,c\n1,2,3\n1,2\n1,2,3,4\n1,2,3,,\n"
    _, table, _, findings = _all(_csv(tmp_path, text), rows=10)
    assert [tuple(r.values()) for r in table] == [("1", "2", "3"), ("1", "2", None), ("1", "2", "3"), ("1", "2", "3")]
    assert [(f.code, f.row, f.severity) for f in findings if f.row] == [
        ("GC-128", 2, "warning"),
        ("GC-128", 3, "error"),
    ]


def test_names_are_made_unique(tmp_path: Path) -> None:
    source, _, _, findings = _all(_csv(tmp_path, "a,,a,b \n1,2,3,4\n"))
    assert [f.name for f in source.fields] == ["a", "column_2", "a_2", "b"]
    assert [f.facts["new"] for f in findings if f.code == "GC-130"] == ["column_2", "a_2"]


def test_codes_keep_their_zeros_and_illegal_bytes_their_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("代码,名称\n".encode() * 1 + "007,古楼\n".encode() * 9 + b"008,\xff\xfe\n")
    _, table, _, findings = _all(path, rows=4)
    assert table[0] == {"代码": "007", "名称": "古楼"}
    assert table[9]["名称"] == "\ufffd\ufffd"
    assert [(f.code, f.row, f.field) for f in findings if f.row] == [("GC-205", 10, "名称")]


@pytest.mark.parametrize(
    ("text", "rule"),
    [("", "GC-107"), ("\n\n", "GC-107"), ("1,2,3\n4,5,6\n", "GC-135"), ('a,b\n"1,2\n' + "x" * 10, None)],
    ids=["nothing", "blank", "no-header", "open-quote"],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str, rule: str | None) -> None:
    path = _csv(tmp_path, text)
    if rule is None:
        # An open quote swallows the rest: one short row, and the report says so.
        _, table, _, findings = _all(path)
        assert (len(table), [f.code for f in findings if f.row]) == (1, ["GC-128"])
        return
    with pytest.raises(UnreadableFile) as caught:
        open_source(path)
    assert caught.value.context["rule"] == rule


def _book(path: Path, **sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_xlsx(tmp_path: Path) -> None:
    rows = [
        ["2024 年学校名录"],
        ["代码", "名称", "经度", "纬度", "建成", "时刻", "在用", "面积"],
        [371502001, "一中", 115.98, 36.45, datetime.date(1998, 9, 1), datetime.datetime(2024, 1, 2, 8, 30), True, 12.5],
        [None] * 8,
        ["007", "二中", "116°0′0″", None, None, None, False, 3.0],
    ]
    source, table, shapes, findings = _all(_book(tmp_path / "学校.xlsx", 名录=rows, 空表=[]))
    assert (source.driver, source.layer) == ("XLSX", "名录")
    assert table[0] == {
        "代码": "371502001", "名称": "一中", "经度": "115.98", "纬度": "36.45", "建成": "1998-09-01",
        "时刻": "2024-01-02 08:30:00", "在用": "true", "面积": "12.5",
    }  # fmt: skip
    assert (table[1]["代码"], table[1]["面积"]) == ("007", "3")
    assert _points(shapes) == [(115.98, 36.45), None]
    assert [(f.code, f.row, f.field) for f in findings if f.row] == [("GC-121", 2, "纬度")]


def test_xlsx_with_several_sheets_asks_for_one(tmp_path: Path) -> None:
    path = _book(tmp_path / "a.xlsx", 甲=[["a", "b"], [1, 2]], 乙=[["a", "b"], [3, 4]])
    with pytest.raises(UnreadableFile) as caught:
        open_source(path)
    assert (caught.value.context["rule"], "甲, 乙" in str(caught.value)) == ("GC-108", True)
    assert _all(path, layer="乙")[1] == [{"a": "3", "b": "4"}]
    with pytest.raises(UnreadableFile) as caught:
        open_source(path, layer="丙")
    assert caught.value.context["rule"] == "GC-114"


def test_damaged_and_old_workbooks_are_refused(tmp_path: Path) -> None:
    whole = _book(tmp_path / "a.xlsx", 甲=[["a", "b"], [1, 2]]).read_bytes()
    cut = tmp_path / "b.xlsx"
    cut.write_bytes(whole[: len(whole) // 2])
    old = tmp_path / "c.xls"
    old.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    for path, rule in ((cut, "GC-105"), (old, "GC-102")):
        with pytest.raises(UnreadableFile) as caught:
            open_source(path)
        assert caught.value.context["rule"] == rule
