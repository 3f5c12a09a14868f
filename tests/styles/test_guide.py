# SPDX-License-Identifier: Apache-2.0
"""What docs/styles.md shows works as it is written there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from geocloud.catalogue.registry import Catalogue
from geocloud.catalogue.style import Style
from geocloud.styles import STACKS, overridden
from geocloud.styles.icons import ICONS
from tests.styles.conftest import BASE, make

_PAGE = (Path(__file__).resolve().parents[2] / "docs/styles.md").read_text("utf-8")


def _block(language: str, holding: str) -> str:
    return next(b for b in re.findall(rf"```{language}\n(.*?)```", _PAGE, re.S) if holding in b)


def test_the_override_shown_changes_what_it_says(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "city.json").write_text(_block("json", "patches"), "utf-8")
    style = overridden(make(catalogue, "city"), tmp_path / "city.json", BASE, 100)
    ids = [x["id"] for x in style["layers"]]
    assert "base.railway/line" not in ids and ids[ids.index("mine") + 1] == "base.road/casing"
    assert style["layers"][ids.index("base.road/line")]["paint"]["line-opacity"] == 0.6


def test_the_style_block_shown_is_one() -> None:
    style = Style.model_validate(yaml.safe_load(_block("yaml", "classes"))["style"])
    assert [len(c.codes) for c in style.classes] == [1, 2]


def test_the_metadata_shown_is_that_of_a_layer(catalogue: Catalogue) -> None:
    shown = json.loads(_block("json", "geocloud:role"))
    assert shown in [x["metadata"] for x in make(catalogue, "facility.hospital")["layers"]]


def test_icons_and_font_stacks_are_all_named() -> None:
    said = set(re.findall(r"`([a-z]+)`", _PAGE.partition("- `icon`:")[2].partition("- `draw`")[0]))
    assert said == ICONS.keys() - {"arrow"}
    assert all(f"`{s}`" in _PAGE for s in STACKS)
