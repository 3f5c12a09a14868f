# SPDX-License-Identifier: Apache-2.0
"""Crosswalks between land classifications (用地分类对照): `ogc_config/crosswalks/<name>.yaml`, many to many, dated.

A class may become several: each row has a share, or one row of the class is the main one. Every row says where it comes
from or that it is an example.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from geocloud.catalogue.model import Model, Text
from geocloud.catalogue.spec import CodeList
from geocloud.planning.rule_set import folder_of
from geocloud.planning.yaml_lines import Lines, read_model, wrong

__all__ = ["Crosswalk", "Row", "folder_of_the_house", "read_crosswalk", "read_crosswalks"]

_SHARES_OFF = 1e-6
_TODO = (
    "Correct the row; docs/planning.md tells what a crosswalk holds.",
    "请更正该行;对照表的写法见 docs/planning.md。",
)


class Row(Model):
    """One pair of classes, valid in [valid_from, valid_to)."""

    source_code: str = Field(min_length=1, description="Class of the old list.")
    target_code: str = Field(min_length=1, description="Class of the new list.")
    share: Annotated[float, Field(gt=0, le=1)] | None = Field(None, description="Part of the old class's area, 0 to 1.")
    main: bool = Field(False, description="The class to take where one alone is asked for.")
    source: str | None = Field(None, description="Standard or decision the row comes from.")
    example: bool = Field(False, description="True: nobody's rule, a row to be confirmed or replaced.")
    note: Text | None = None
    valid_from: date | None = None
    valid_to: date | None = None

    @field_validator("source_code", "target_code", mode="before")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(f"write the code {value!r} in quotes, so that no zero is lost")
        return value

    @model_validator(mode="after")
    def _sourced(self) -> Row:
        if bool(self.source) == self.example:
            raise ValueError("a row names its `source` or says `example: true`, one of the two")
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValueError("valid_to is not after valid_from")
        return self

    def holds(self, at: date | None) -> bool:
        """Whether the row is valid at a day; without one, whether it has no end."""
        if at is None:
            return self.valid_to is None
        return (self.valid_from is None or self.valid_from <= at) and (self.valid_to is None or at < self.valid_to)


class Crosswalk(Model):
    """A table from one code list to another."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    title: Text
    source_list: str = Field(description="Code list in layers/codes/ that is translated.")
    target_list: str = Field(description="Code list in layers/codes/ that it is translated to.")
    rows: tuple[Row, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Crosswalk:
        for at in sorted({d for r in self.rows for d in (r.valid_from, r.valid_to) if d} | {date.min}):
            self._consistent_at(at)
        return self

    def _consistent_at(self, at: date) -> None:
        by_code: dict[str, list[Row]] = {}
        for r in self.rows:
            if r.holds(at):
                by_code.setdefault(r.source_code, []).append(r)
        for code, rows in by_code.items():
            targets = [r.target_code for r in rows]
            if len(set(targets)) < len(targets):
                raise ValueError(f"class `{code}`: the same target stands there twice")
            shares = [r.share for r in rows if r.share is not None]
            if shares and len(shares) < len(rows):
                raise ValueError(f"class `{code}`: all of its rows have a share, or none")
            if shares and abs(sum(shares) - 1) > _SHARES_OFF:
                raise ValueError(f"class `{code}`: its shares add up to {sum(shares):g}, not 1")
            if sum(r.main for r in rows) > 1 or (len(rows) > 1 and not shares and not any(r.main for r in rows)):
                raise ValueError(f"class `{code}`: exactly one of its rows is `main: true`, or all have shares")

    def targets(self, code: str, at: date | None = None) -> tuple[Row, ...]:
        """Rows of an old class valid at a day (now if unset), the main one or largest first; none if unknown."""
        found = [r for r in self.rows if r.source_code == code and r.holds(at)]
        return tuple(sorted(found, key=lambda r: (not r.main, -(r.share or 0), r.target_code)))

    def target(self, code: str, at: date | None = None) -> str | None:
        """The one new class of an old one: the main one, else that with the largest share."""
        found = self.targets(code, at)
        return found[0].target_code if found else None

    def sources(self, code: str, at: date | None = None) -> tuple[Row, ...]:
        """Rows that lead to a new class at a day."""
        return tuple(r for r in self.rows if r.target_code == code and r.holds(at))


def folder_of_the_house() -> Path:
    """Where the project keeps its own tables."""
    return folder_of("crosswalks")


def read_crosswalks(folder: Path, codes: Mapping[str, CodeList]) -> dict[str, Crosswalk]:
    """All crosswalks of a folder by name; CatalogueError as `read_crosswalk`."""
    return {path.stem: read_crosswalk(path, codes) for path in sorted(folder.glob("*.yaml"))}


def read_crosswalk(path: Path, codes: Mapping[str, CodeList]) -> Crosswalk:
    """One crosswalk; its codes must be in the lists. CatalogueError names the file, the line and what is wrong."""
    found, lines = read_model(path, Crosswalk, *_TODO, _line_of_code)
    for side, name in (("source", found.source_list), ("target", found.target_list)):
        if name not in codes:
            at = lines.get((f"{side}_list",), 1)
            raise wrong(path, at, f"there is no code list `{name}`", f"没有代码表 {name}", *_TODO)
        known = {c.code for c in codes[name].codes}
        for i, row in enumerate(found.rows):
            code = getattr(row, f"{side}_code")
            if code not in known:
                at = lines.get(("rows", i, f"{side}_code"), lines.get(("rows", i), 1))
                raise wrong(
                    path, at, f"code `{code}` is not in list `{name}`", f"代码 {code} 不在代码表 {name} 中", *_TODO
                )
    return found


def _line_of_code(raw: dict[str, Any], lines: Lines, said: str) -> int | None:
    """The last row of the old class that a fault names: where a fault of all its rows together is shown."""
    code = said.split("`")[1::2]
    at = [i for i, r in enumerate(raw.get("rows", ())) if isinstance(r, dict) and [r.get("source_code")] == code[:1]]
    return lines.get(("rows", at[-1])) if at else None
