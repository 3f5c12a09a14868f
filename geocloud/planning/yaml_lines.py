# SPDX-License-Identifier: Apache-2.0
"""Rules kept as YAML: read into their model, or refused with the file and the line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from geocloud.catalogue.model import Model
from geocloud.errors import CatalogueError

__all__ = ["Lines", "lines_of", "read_model", "wrong"]

M = TypeVar("M", bound=Model)
Lines = Mapping[tuple[str | int, ...], int]


def read_model(
    path: Path,
    model: type[M],
    todo_en: str,
    todo_zh: str,
    blame: Callable[[dict[str, Any], Lines, str], int | None] | None = None,
) -> tuple[M, Lines]:
    """A file as its model, and the line of every value by its path; CatalogueError names file, line and fault.

    `name` is the file's own where it is left out, and must be. `blame(raw, lines, said)` may find the line of a fault
    that the whole document has.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw, lines = yaml.safe_load(text), lines_of(yaml.compose(text, Loader=yaml.SafeLoader))
    except UnicodeDecodeError as exc:
        raise CatalogueError(f"{path}: not UTF-8 ({exc.reason}).", f"{path}:不是 UTF-8 编码。") from None
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        at = mark.line + 1 if mark else 1
        raise wrong(path, at, f"not readable as YAML: {exc}", f"YAML 语法错误:{exc}", todo_en, todo_zh) from None
    if not isinstance(raw, dict):
        raise wrong(path, 1, "expected a mapping at the top", "顶层应为键值映射", todo_en, todo_zh)
    if raw.setdefault("name", path.stem) != path.stem:
        at = lines.get(("name",), 1)
        raise wrong(path, at, f"name is not `{path.stem}`", f"name 应为 {path.stem}", todo_en, todo_zh)
    try:
        return model.model_validate(raw), lines
    except ValidationError as exc:
        first = exc.errors()[0]
        place, said = tuple(first["loc"]), first["msg"].removeprefix("Value error, ")
        line = lines.get(_within(lines, place), 1)
        if not place and blame is not None:
            line = blame(raw, lines, said) or line
        where = ".".join(str(p) for p in place)
        en = f"{where}: {said}" if where else said
        raise wrong(path, line, en, f"{where} 处有误:{said}" if where else said, todo_en, todo_zh) from None


def wrong(path: Path, line: int, en: str, zh: str, todo_en: str, todo_zh: str) -> CatalogueError:
    """The error that refuses a file because of one line."""
    return CatalogueError(
        f"{path}, line {line}: {en}.", f"{path} 第 {line} 行:{zh}。", todo_en=todo_en, todo_zh=todo_zh,
        file=str(path), line=line,
    )  # fmt: skip


def _within(lines: Lines, place: tuple[Any, ...]) -> tuple[str | int, ...]:
    """The nearest place that the file has; the tags that pydantic puts into the place of a union are passed over."""
    at: tuple[str | int, ...] = ()
    for part in place:
        at = (*at, part) if (*at, part) in lines else at
    return at


def lines_of(node: Any, place: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], int]:
    """Line, from 1, of every value of a YAML document by its path."""
    if node is None:
        return {}
    found = {place: node.start_mark.line + 1}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            found |= lines_of(value, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            found |= lines_of(value, (*place, i))
    return found
