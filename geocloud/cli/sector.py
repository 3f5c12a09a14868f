# SPDX-License-Identifier: Apache-2.0
"""`geocloud sector`: lists what is installed, and begins a package that brings layers and processes of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geocloud.cli.common import console, pick, print_json
from geocloud.settings import Settings

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _sector() -> None:
    """Sectors (行业模块): layers and processes laid over the core."""


@app.command("list")
def _list(as_json: Annotated[bool, typer.Option("--json", help="Print JSON (以 JSON 输出).")] = False) -> None:
    """List the sectors with their layers and processes."""
    from geocloud.sectors.registry import layer_ids, published, sectors

    chosen = {s.name for s in published(Settings.read().city)}
    found = [
        {
            "name": s.name, "title": s.title.model_dump(), "module": s.module, "published": s.name in chosen,
            "layers": layer_ids(s), "processes": [p.id for p in s.processes], "error": s.error,
            "functions": [f.process for f in s.panel.functions] if s.panel else [], "panel_error": s.panel_error,
        }
        for s in sectors().values()
    ]  # fmt: skip
    if as_json:
        print_json(found)
        return
    from rich.console import Console
    from rich.table import Table

    heads = (("sector", "模块"), ("title", "名称"), ("layers", "图层"), ("processes", "处理"), ("state", "状态"))
    table = Table(*(pick(*h) for h in heads), box=None)
    for s, told in zip(sectors().values(), found, strict=True):
        state = s.error or (pick("published", "发布") if told["published"] else pick("left out", "停用"))
        if s.panel_error:
            state += pick(f"; panel: {s.panel_error}", f";面板:{s.panel_error}")
        table.add_row(
            s.name, pick(s.title.en, s.title.zh), "\n".join(layer_ids(s)), "\n".join(p.id for p in s.processes), state
        )
    Console(highlight=False, markup=False).print(table)


@app.command("new")
def _new(
    name: Annotated[str, typer.Argument(help="Name of the sector and of its theme, such as parking (模块名称).")],
    folder: Annotated[Path, typer.Option("--folder", help="Where the package's folder goes (存放处).")] = Path(),
) -> None:
    """Begin a sector: writes a package with a layer, a process and tests that pass."""
    from geocloud.sectors.template import write_sector

    written = write_sector(name, folder)
    for path in written:
        print(path)
    console().print(
        pick(
            f"`pip install {written[0].parent}`, then `geocloud layers sync`.",
            f"运行 `pip install {written[0].parent}`,再运行 `geocloud layers sync`。",
        )
    )
