# SPDX-License-Identifier: Apache-2.0
"""The table of numbered rules is whole, and a report counts all and lists what fits."""

from __future__ import annotations

import io
import json
import re
import string
from pathlib import Path

import pytest
from rich.console import Console

import geocloud
from geocloud.errors import UnreadableFile
from geocloud.ingest.report import Finding, Report, refuse
from geocloud.rules.codes import Rule, rule, rules

ROOT = Path(geocloud.__file__).parent
RULES = list(rules().values())


def _places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("one", RULES, ids=lambda r: r.code)
def test_rule_is_whole(one: Rule) -> None:
    assert re.search("[\u4e00-\u9fff]", one.title.zh)
    assert not re.search("[\u4e00-\u9fff]", one.title.en)

    # Where only one language names a fact, it is that language's half of a pair such as reason_zh, reason_en.
    def common(text: str) -> set[str]:
        return {re.sub("_(zh|en)$", "", p) for p in _places(text)}

    assert common(one.message.zh) == common(one.message.en)
    # Every sentence of a person's report ends as one.
    assert one.explanation.en.endswith((".", "?"))
    assert one.explanation.zh.endswith(("。", "?", "？"))


def test_codes_used_in_the_code_are_in_the_table_and_the_reverse() -> None:
    used = set()
    for path in ROOT.rglob("*.py"):
        used |= set(re.findall(r"GC-\d{3}", path.read_text(encoding="utf-8")))
    assert used - set(rules()) == set()
    assert set(rules()) - used == set()


def test_a_finding_speaks_both_languages() -> None:
    found = Finding.of("GC-120", 4, field="经度", value="一一六度")
    assert found.message("zh") == "第 4 行 经度 的值“一一六度”不是数字。"
    assert found.message("en") == "Row 4: `一一六度` in 经度 is not a number."
    pair = Finding.of("GC-105", path="a", reason={"zh": "断了", "en": "cut"})
    assert ("断了" in pair.message("zh"), "cut" in pair.message("en")) == (True, True)
    assert Finding.of("GC-120", 1).message("en") == "Row 1: `…` in None is not a number."
    assert found.shifted(10).row == 14
    assert pair.shifted(10) is pair
    with pytest.raises(KeyError):
        Finding.of("GC-999")


def test_a_refusal_carries_its_rule() -> None:
    error = refuse(Finding.of("GC-104", path="县界.shp", missing=".dbf"), extra=1)
    assert isinstance(error, UnreadableFile)
    assert error.context["rule"] == "GC-104"
    assert (error.exit_code, error.context["extra"]) == (41, 1)
    assert error.message("zh").startswith("GC-104：县界.shp 缺少同名的 .dbf 文件。")
    assert error.todo_en == rule("GC-104").explanation.en


def test_report_counts_all_and_lists_what_fits() -> None:
    report = Report("a.csv", 5)
    report.add(Finding.of("GC-201", encoding="UTF-8") for _ in range(4))
    report.add(Finding.of("GC-122", i, x=1, y=2) for i in range(1, 4))
    report.count("GC-122", 7)
    assert (report.has_errors, report.listed_total) == (False, 5)
    report.add(Finding.of("GC-121", i, field="经度") for i in range(10, 13))
    assert report.has_errors
    # Errors pushed out what matters least; among themselves they stand by row.
    assert [f.code for f in report.findings] == ["GC-121"] * 3 + ["GC-122"] * 2
    assert [f.row for f in report.findings[:3]] == [10, 11, 12]
    out = json.loads(report.to_json())
    assert out["totals"] == {"error": 3, "warning": 10, "info": 4}
    assert {r["code"]: r["count"] for r in out["rules"]} == {"GC-121": 3, "GC-122": 10, "GC-201": 4}
    assert out["findings_left_out"] == 17 - 5
    assert out["findings"][0] == {
        "code": "GC-121",
        "severity": "error",
        "row": 10,
        "field": "经度",
        "message": {"zh": "第 10 行 经度 为空。", "en": "Row 10: 经度 is empty."},
    }


def test_a_full_report_of_errors_keeps_the_first() -> None:
    report = Report("a", 2)
    report.add(Finding.of("GC-121", i, field="x") for i in range(1, 100))
    assert [f.row for f in report.findings] == [1, 2]
    assert report.total("error") == 99
    assert Report("b", 0).findings == []


@pytest.mark.parametrize("language", ["zh", "en"])
def test_tables_show_names_as_they_are(language: str) -> None:
    report = Report("a", 10)
    report.add(Finding.of("GC-120", 3, field="[red]x[/]", value="[bold]", place=(115.98, 36.45)))
    console = Console(width=120, record=True, file=io.StringIO())
    for table in report.tables(language):  # type: ignore[arg-type]
        console.print(table)
    text = console.export_text()
    assert "[red]x[/]" in text
    assert "[bold]" in text
    assert "115.980000, 36.450000" in text
    assert "GC-120" in text


def test_report_is_written(tmp_path: Path) -> None:
    report = Report("a", 10)
    report.facts["rows"] = 3
    text = report.to_json(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8")) == json.loads(text)
