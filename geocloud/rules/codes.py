# SPDX-License-Identifier: Apache-2.0
"""The numbered rules (规则编号): one table for every code a report may carry.

The table is data: `geocloud/data/rules/*.yaml`, one file per hundred.

    1xx  file and reading        4xx  geometry and its repair
    2xx  encoding of text        5xx  fields and attribute rules
    3xx  coordinate system       6xx  keys and merge

An entry has `code` (`GC-` and three digits), `severity` (`error`: the row or file is not loaded,
`warning`: loaded, but a person should look, `info`: said for the record), and in Chinese and English a
`title` (the rule in general), a `message` (the single case; `{name}` stands for a fact of the finding)
and an `explanation` (why the rule exists and what to do). A code is never reused for another rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Bilingual", "Rule", "Severity", "rule", "rules"]

Severity = Literal["error", "warning", "info"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Bilingual(_Frozen):
    """The same text in Chinese and English."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Rule(_Frozen):
    """One numbered rule."""

    code: str = Field(pattern=r"^GC-[1-6]\d\d$")
    severity: Severity
    title: Bilingual
    message: Bilingual
    explanation: Bilingual


def rule(code: str) -> Rule:
    """The rule of a code; KeyError for a code that is in no table."""
    return rules()[code]


@cache
def rules() -> Mapping[str, Rule]:
    """Every rule by its code, in the order of the codes."""
    found: dict[str, Rule] = {}
    # The same loader written in C, where PyYAML was built with it, needs a sixth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    folder = resources.files("geocloud") / "data" / "rules"
    for entry in folder.iterdir():
        if not entry.name.endswith(".yaml"):
            continue
        for raw in yaml.load(entry.read_text(encoding="utf-8"), Loader=loader):  # noqa: S506  (both are safe)
            one = Rule.model_validate(raw)
            if one.code in found:
                raise ValueError(f"{entry.name}: code {one.code} is defined twice")
            found[one.code] = one
    return dict(sorted(found.items()))
