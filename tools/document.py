# SPDX-License-Identifier: Apache-2.0
"""Writes docs/settings.md, docs/exit-codes.md and docs/rules.md from the code; a test fails when they differ."""

from __future__ import annotations

import re
from pathlib import Path

from geocloud import errors
from geocloud.rules.codes import rules
from geocloud.settings import (
    CitySettings,
    DatabaseSettings,
    EditSettings,
    IngestSettings,
    JobSettings,
    QgisSettings,
    RasterSettings,
    SensingSettings,
    SiteSettings,
    StyleSettings,
    TileSettings,
    WebSettings,
)

_DOCS = Path(__file__).resolve().parent.parent / "docs"

_GROUPS = (
    DatabaseSettings,
    CitySettings,
    IngestSettings,
    WebSettings,
    EditSettings,
    StyleSettings,
    TileSettings,
    QgisSettings,
    JobSettings,
    SiteSettings,
    SensingSettings,
    RasterSettings,
)


def settings_page() -> str:
    """docs/settings.md: every setting with its variable, default, range and sentence."""
    lines = [
        "# Settings",
        "",
        "Each setting is an environment variable; all have a default. They are read when a command or the server",
        "starts. This page is written by `make docs`.",
    ]
    for group in _GROUPS:
        title = group.__name__.removesuffix("Settings")
        lines += ["", f"## {title}", "", (group.__doc__ or "").strip(), "", "| variable | default | range | |"]
        lines += ["|---|---|---|---|"]
        for name, field in group.model_fields.items():
            default = "" if field.default is None or field.default_factory else f"`{_plain(field.default)}`"
            lines.append(f"| `GEOCLOUD_{name.upper()}` | {default} | {_range(field)} | {field.description} |")
    return "\n".join(lines) + "\n"


def exit_codes_page() -> str:
    """docs/exit-codes.md: every error class of geocloud.errors with its exit code."""
    lines = [
        "# Exit codes",
        "",
        "A command that fails says in one sentence what is wrong, in another what to do, and ends with one of these",
        "codes. With `--json` it also prints an object whose `error` is the name in the third column. This page is",
        "written by `make docs`.",
        "",
        "| code | error | `error` in JSON | meaning |",
        "|--:|---|---|---|",
        "| 0 | | | done |",
        "| 1 | | `error` | an unexpected failure; the message names the file that holds its details |",
        "| 2 | | | wrong usage of a command |",
    ]
    for name, code, meaning in re.findall(r"[├└]── (\w+)\s+(\d+)\s+(.+)", errors.__doc__ or ""):
        lines.append(f"| {code} | `{name}` | `{getattr(errors, name).code}` | {meaning} |")
    lines += [
        "| 129, 143 | | | ended by SIGHUP, SIGTERM before the server ran; what was started has been stopped |",
        "| 130 | | | interrupted with Ctrl-C |",
    ]
    return "\n".join(lines) + "\n"


def rules_page() -> str:
    """docs/rules.md: every numbered rule of reading and loading files."""
    severities = {"error": "错误 error", "warning": "警告 warning", "info": "提示 info"}
    lines = [
        "# 入库规则编号 · Numbered rules",
        "",
        "报告里的每一条都带有其中一个编号。“错误”的行不入库，进入隔离文件；“警告”和“提示”的行照常入库。",
        "本页由 `make docs` 生成。",
        "",
        "Every finding of a report has one of these codes. Rows with an *error* go to the quarantine file; rows with a",
        "*warning* or *info* are loaded. This page is written by `make docs`.",
        "",
        "| 编号 | 级别 | 规则 | 说明 | rule | explanation |",
        "|---|---|---|---|---|---|",
    ]
    for one in rules().values():
        cells = (one.code, severities[one.severity], one.title.zh, one.explanation.zh, one.title.en, one.explanation.en)
        lines.append("| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |")
    return "\n".join(lines) + "\n"


def _plain(value: object) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _range(field: object) -> str:
    said = {type(m).__name__: m for m in getattr(field, "metadata", [])}
    low = getattr(said.get("Ge"), "ge", None)
    high = getattr(said.get("Le"), "le", None)
    choices = re.findall(r"'(\w+)'", str(getattr(field, "annotation", ""))) if "Literal" in str(field) else []
    if choices:
        return ", ".join(f"`{c}`" for c in choices)
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"{low} or more" if low is not None else ""


if __name__ == "__main__":
    _DOCS.mkdir(exist_ok=True)
    (_DOCS / "settings.md").write_text(settings_page(), encoding="utf-8")
    (_DOCS / "exit-codes.md").write_text(exit_codes_page(), encoding="utf-8")
    (_DOCS / "rules.md").write_text(rules_page(), encoding="utf-8")
