# SPDX-License-Identifier: Apache-2.0
"""`geocloud doctor`: looks at everything `up` needs, changes nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from geocloud.cli.checks import Finding, examine
from geocloud.cli.common import language, pick, print_json
from geocloud.settings import Settings

__all__ = ["command"]

_MARKS = {"ok": ("[green]ok[/]", "[green]正常[/]"), "note": ("[yellow]note[/]", "[yellow]注意[/]")}
_MARKS["fail"] = ("[red]fail[/]", "[red]失败[/]")


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON (以 JSON 输出).")] = False,
) -> None:
    """Check the machine, the packages, the data folder, the database and the catalogue; nothing is changed.

    Ends with 0 when nothing failed, else with the exit code of the first failure.
    """
    findings = examine(Settings.read())
    failed = [f for f in findings if f.state == "fail"]
    if as_json:
        print_json({"ok": not failed, "checks": [asdict(f) for f in findings]})
    else:
        _show(findings)
    if failed:
        raise typer.Exit(failed[0].exit_code)


def _show(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    zh = language() == "zh"
    table = Table(box=None, pad_edge=False)
    for title in (pick("check", "检查项"), pick("state", "状态"), pick("found", "结果")):
        table.add_column(title, overflow="fold")
    for f in findings:
        said, todo = (f.zh, f.todo_zh) if zh else (f.en, f.todo_en)
        table.add_row(f.title_zh if zh else f.title, _MARKS[f.state][zh], escape(f"{said} {todo}".strip()))
    Console(highlight=False).print(table)
