# SPDX-License-Identifier: Apache-2.0
"""What rule packs and conflict matrices have in common: a name, a version, rules with numbers of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import Field, model_validator

from geocloud.catalogue.model import Model, Text
from geocloud.planning.yaml_lines import Lines

__all__ = ["RuleSet", "folder_of", "read_sets"]


class RuleSet(Model):
    """A named set; a subclass has `rules`, each with a `number`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    version: str
    title: Text

    @model_validator(mode="after")
    def _numbers(self) -> Self:
        seen: set[str] = set()
        rules: tuple[Any, ...] = getattr(self, "rules")  # noqa: B009  a field of the subclass
        for r in rules:
            if r.number in seen:
                raise ValueError(f"rule number `{r.number}` stands there twice")
            seen.add(r.number)
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of all that the set says."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


S = TypeVar("S", bound=RuleSet)


def folder_of(*parts: str) -> Path:
    """A folder of the project's own rules, below `ogc_config`."""
    return Path(__file__).resolve().parents[2].joinpath("ogc_config", *parts)


def read_sets(folder: Path, read: Callable[[Path], tuple[S, Lines]]) -> dict[str, tuple[S, Lines, Path]]:
    """All sets of a folder by name, with the lines of their values."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        one, lines = read(path)
        found[one.name] = (one, lines, path)
    return found
