# SPDX-License-Identifier: Apache-2.0
"""Crosswalks between land classifications: those the project ships, look-ups at a date, faults told with their line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from geocloud import demo
from geocloud.catalogue.spec import read_layers
from geocloud.errors import CatalogueError
from geocloud.planning.crosswalk import Crosswalk, folder_of_the_house, read_crosswalk, read_crosswalks

SPECS, CODES = read_layers(Path(__file__).resolve().parents[2] / "layers")
SHIPPED = read_crosswalks(folder_of_the_house(), CODES)


def test_shipped_tables_know_every_class_and_say_what_they_are() -> None:
    assert set(SHIPPED) == {
        "urban_land_2011_to_land_use_2023", "land_plan_class_to_land_use_2023", "land_plan_class_to_urban_land_2011",
    }  # fmt: skip
    for table in SHIPPED.values():
        assert {r.source_code for r in table.rows} == {c.code for c in CODES[table.source_list].codes}
        assert all(r.example or r.source for r in table.rows)


@pytest.mark.parametrize("layer", ["planning.land_plan", "planning.master_plan"])
def test_every_class_of_the_demo_has_a_target(layer: str) -> None:
    listed = SPECS[layer].field("dldm").codes
    used = {v for b in demo.generate("small", layer) for v in b.columns["dldm"].to_pylist()}
    assert len(used) > 5
    for table in (t for t in SHIPPED.values() if t.source_list == listed):
        targets = {c.code for c in CODES[table.target_list].codes}
        assert {table.target(code) for code in used} <= targets


def test_construction_stays_construction() -> None:
    """What the land plan calls construction is so in the urban classes, and no farmland becomes a town."""
    table = SHIPPED["land_plan_class_to_urban_land_2011"]
    for code in (c.code for c in CODES["land_plan_class"].codes):
        built = code.startswith("2") and code != "225"
        assert {not r.target_code.startswith("E") for r in table.targets(code)} == {built}


HEAD = """name: t
title: {zh: 对照, en: Table}
source_list: land_plan_class
target_list: land_use_2023
rows:
"""


def read(tmp_path: Path, rows: str, head: str = HEAD) -> Crosswalk:
    path = tmp_path / "t.yaml"
    path.write_text(head + rows, "utf-8")
    return read_crosswalk(path, CODES)


def test_many_to_many_at_a_date(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        """  - {source_code: "12", target_code: "0201", share: 0.3, example: true, valid_to: 2022-01-01}
  - {source_code: "12", target_code: "0202", share: 0.7, example: true, valid_to: 2022-01-01}
  - {source_code: "12", target_code: "02", main: true, source: Decision, valid_from: 2022-01-01}
  - {source_code: "13", target_code: "02", example: true}
""",
    )
    assert [r.target_code for r in table.targets("12", date(2021, 12, 31))] == ["0202", "0201"]
    assert table.target("12", date(2022, 1, 1)) == table.target("12") == "02"
    assert [r.source_code for r in table.sources("02")] == ["12", "13"]
    assert [r.source_code for r in table.sources("02", date(2020, 1, 1))] == ["13"]
    assert table.target("211") is None


E = "example: true"
FAULTS = [
    (f'  - {{source_code: "12", target_code: "0201", {E}}}\n'
     f'  - {{source_code: "13", target_code: "0299", {E}}}\n', 7, "0299"),
    ('  - {source_code: "12", target_code: "0201"}\n', 6, "source"),
    (f'  - {{source_code: 012, target_code: "0201", {E}}}\n', 6, "quotes"),
    (f'  - {{source_code: "12", target_code: "0201", colour: red, {E}}}\n', 6, "colour"),
    (f'  - {{source_code: "12", target_code: "0201", share: 1.5, {E}}}\n', 6, "share"),
    (f'  - {{source_code: "12", target_code: "0201", share: 0.5, {E}}}\n'
     f'  - {{source_code: "12", target_code: "0202", share: 0.4, {E}}}\n', 7, "0.9"),
    (f'  - {{source_code: "12", target_code: "0201", {E}}}\n'
     f'  - {{source_code: "12", target_code: "0202", {E}}}\n', 7, "main"),
    ('  - {source_code: "12", target_code\n  - x: [\n', 7, "YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "line", "word"), FAULTS, ids=[f[2] for f in FAULTS])
def test_a_fault_is_told_with_its_line(tmp_path: Path, rows: str, line: int, word: str) -> None:
    with pytest.raises(CatalogueError) as told:
        read(tmp_path, rows)
    assert f"t.yaml, line {line}: " in str(told.value)
    assert word in str(told.value)


def test_unknown_list_is_told(tmp_path: Path) -> None:
    row = f'  - {{source_code: "12", target_code: "0201", {E}}}\n'
    with pytest.raises(CatalogueError, match="line 4: there is no code list `nothing`"):
        read(tmp_path, row, HEAD.replace("land_use_2023", "nothing"))
