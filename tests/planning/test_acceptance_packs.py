# SPDX-License-Identifier: Apache-2.0
"""Acceptance packs: every rule does what its examples say, each kind of check has one; faulty packs are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from geocloud.catalogue.spec import read_layers
from geocloud.errors import CatalogueError, InvalidParameter
from geocloud.planning.acceptance_examples import try_rule
from geocloud.planning.acceptance_rules import (
    Check,
    Pack,
    folder_of_the_house,
    read_pack,
    read_packs,
    refuse_what_layers_lack,
)
from geocloud.settings import Settings

SPECS, CODES = read_layers(Settings().city.layers_folder)
HOUSE, _ = read_pack(folder_of_the_house() / "house.yaml")


@pytest.mark.parametrize("rule", HOUSE.rules, ids=lambda r: r.number)
def test_a_rule_does_what_its_examples_say(rule: Any) -> None:
    tried = try_rule(HOUSE, rule, SPECS, CODES)
    assert [t for t in tried if t.fault is not None] == []


def test_every_kind_of_check_has_a_rule_whose_examples_pass_and_fail() -> None:
    kinds = {get_args(one.model_fields["kind"].annotation)[0] for one in get_args(get_args(Check)[0])}
    shown = {r.check.kind for r in HOUSE.rules if {e.finds > 0 for e in r.examples} == {True, False}}
    assert shown == kinds


def test_all_packs_of_the_house_are_read() -> None:
    for pack, lines, path in read_packs().values():
        refuse_what_layers_lack(pack, lines, path, SPECS)


def test_every_threshold_is_grounded_or_says_that_it_is_an_example() -> None:
    raw = yaml.safe_load((folder_of_the_house() / "house.yaml").read_text(encoding="utf-8"))
    for r in raw["rules"]:
        numbers = [v for v in r["check"].values() if isinstance(v, float | int) and not isinstance(v, bool)]
        assert r["basis"].get("example") or not numbers, r["number"]


@pytest.mark.parametrize("finds", [0, 2])
def test_an_example_that_does_not_come_out_is_told(finds: int) -> None:
    raw = HOUSE.model_dump(mode="json")
    raw["rules"] = [r for r in raw["rules"] if r["number"] == "Q13"]
    raw["rules"][0]["examples"] = raw["rules"][0]["examples"][:1]
    raw["rules"][0]["examples"][0]["finds"] = finds
    pack = Pack.model_validate(raw)
    (tried,) = try_rule(pack, pack.rules[0], SPECS, CODES)
    assert tried.fault is not None and f"{finds} findings wanted, 1 made" in tried.fault.en


def test_a_rule_can_be_asked_alone() -> None:
    assert [r.number for r in HOUSE.only(["Q12", "Q30"])] == ["Q12", "Q30"]
    with pytest.raises(InvalidParameter, match="Q99"):
        HOUSE.only(["Q99"])


@pytest.mark.parametrize(
    ("old", "new", "says", "at"),
    [
        pytest.param("kind: gap, least_m2: 1", "kind: gap, least_m2: -1", "least_m2", "kind: gap", id="threshold"),
        pytest.param("kind: gap,", "kind: hole,", "hole", "kind: hole", id="kind"),
        pytest.param("number: Q13", "number: Q12", "twice", "gap", id="number twice"),
        pytest.param("severity: note", "severity: bad", "severity", "severity: bad", id="severity"),
        pytest.param("basis: {example: true}", "basis: {example: false}", "source", "example: false", id="no ground"),
        pytest.param("fields: [mj]", "fields: [mj], colour: red", "colour", "colour", id="unknown key"),
        pytest.param("against: base.county", "against: base.road", "no polygon layer", "base.road", id="boundary"),
        pytest.param("&whole [planning.land_plan", "&whole [planning.nothing", "no layer", "nothing", id="layer"),
        pytest.param("exact_m: 0.01", "exact_m: 3", "exact_m", "exact_m: 3", id="tolerances"),
        pytest.param('"POLYGON((0 0,100 100,100 0', '"POLYGON((0 0,100 100,1', "WKT", "100 100,1", id="wkt"),
        pytest.param("version:", "version: [", "YAML", None, id="yaml"),
    ],
)
def test_a_faulty_pack_is_refused_with_file_and_line(
    old: str, new: str, says: str, at: str | None, tmp_path: Path
) -> None:
    text = (folder_of_the_house() / "house.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "house.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CatalogueError, match=says) as caught:
        pack, lines = read_pack(path)
        refuse_what_layers_lack(pack, lines, path, SPECS)
    line = caught.value.context["line"]
    assert f"{path}, line {line}" in caught.value.en and f"第 {line} 行" in caught.value.zh
    if at is not None:
        # The line named, or those just around it, hold what was written wrong.
        near = path.read_text(encoding="utf-8").splitlines()[max(0, line - 2) : line + 6]
        assert any(at in one for one in near), (line, near)


def test_a_field_the_layer_does_not_have_is_refused(tmp_path: Path) -> None:
    raw = HOUSE.model_dump(mode="json", exclude_none=True)
    raw["rules"] = [r | {"layers": ["planning.plan_area"]} for r in raw["rules"] if r["number"] == "Q30"]
    raw["rules"][0]["check"]["field"] = "mianji"
    path = tmp_path / "house.yaml"
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    pack, lines = read_pack(path)
    with pytest.raises(CatalogueError, match="no field `mianji`"):
        refuse_what_layers_lack(pack, lines, path, SPECS)
