# SPDX-License-Identifier: Apache-2.0
"""What docs/ says of settings and exit codes is what the code does."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

from geocloud import errors
from geocloud.settings import (
    Settings,
)

_ROOT = Path(__file__).resolve().parents[1]
_GROUPS = [type(getattr(Settings(), name)) for name in Settings.model_fields]


@pytest.fixture(scope="module")
def document() -> ModuleType:
    spec = importlib.util.spec_from_file_location("document", _ROOT / "tools/document.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "file"),
    [("settings_page", "settings.md"), ("exit_codes_page", "exit-codes.md"), ("rules_page", "rules.md")],
)
def test_page_is_as_written_from_the_code(document: ModuleType, page: str, file: str) -> None:
    assert (_ROOT / "docs" / file).read_text(encoding="utf-8") == getattr(document, page)(), "run `make docs`"


@pytest.mark.parametrize("group", _GROUPS)
def test_every_setting_has_a_sentence(group: type[Settings]) -> None:
    for name, field in group.model_fields.items():
        assert field.description and field.description.endswith("."), name


def test_every_group_is_documented(document: ModuleType) -> None:
    groups = {type(getattr(Settings(), name)) for name in Settings.model_fields}
    assert groups == set(document._GROUPS)


def _classes() -> dict[str, type[errors.GeocloudError]]:
    return {n: c for n, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.GeocloudError)}


def test_exit_codes_are_those_of_the_classes() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| `([\w-]+)` \|", (_ROOT / "docs/exit-codes.md").read_text(), re.M)
    said = {name: (int(number), code) for number, name, code in rows}
    assert said == {n: (c.exit_code, c.code) for n, c in _classes().items() if n != "GeocloudError"}


def test_exit_codes_and_names_are_unique() -> None:
    classes = _classes().values()
    assert len({c.exit_code for c in classes}) == len({c.code for c in classes}) == len(classes)


def test_all_is_complete() -> None:
    assert set(errors.__all__) == set(_classes())
