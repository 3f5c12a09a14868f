# SPDX-License-Identifier: Apache-2.0
"""CSV for office programs: what a cell says is text or a number, never a formula."""

from __future__ import annotations

import csv
import io

import pytest

from geocloud.features.spreadsheet import csv_table


def _read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))


def test_rows_in_order_or_by_column() -> None:
    data = csv_table(("名称", "n"), [("光岳楼, 东", 1), {"n": 2.5, "名称": '引"号"', "more": 9}, {"n": None}])
    assert data.startswith(b"\xef\xbb\xbf") and data.count(b"\r\n") == 4
    assert _read(data) == [["名称", "n"], ["光岳楼, 东", "1"], ['引"号"', "2.5"], ["", ""]]


@pytest.mark.parametrize("text", ["=1+1", "+8613800000000", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_text_that_would_be_a_formula_stays_text(text: str) -> None:
    assert _read(csv_table(("a",), [(text,)]))[1] == [f"'{text}"]


def test_negative_numbers_are_numbers() -> None:
    assert _read(csv_table(("a", "b"), [(-2.5, -1)]))[1] == ["-2.5", "-1"]
