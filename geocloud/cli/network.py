# SPDX-License-Identifier: Apache-2.0
"""`geocloud network`: the road graph, made of the layer base.road."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from geocloud.cli.common import pick, print_json, ready_database
from geocloud.settings import Settings

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _network() -> None:
    """Road graph (路网)."""


@app.command()
def build(as_json: Annotated[bool, typer.Option("--json", help="Print JSON (以 JSON 输出).")] = False) -> None:
    """Make the road graph anew where the roads have changed (按当前道路生成路网).

    Processes that go along roads do so themselves; this does it before anybody waits.
    """
    from geocloud.jobs.run import Renewable, open_run
    from geocloud.network.graph import build as make
    from geocloud.network.graph import ready

    settings = Settings.read()
    with ready_database(settings, quiet=True) as urls:
        try:
            with open_run(settings, urls.reader) as run:
                graph, made = ready(run), False
        except Renewable:
            make(settings, urls.writer)
            with open_run(settings, urls.reader) as run:
                graph, made = ready(run), True
    told: dict[str, Any] = {**graph.as_dict(), "roads": graph.roads, "nodes": graph.nodes, "made": made}
    if as_json:
        print_json(told)
        return
    did = pick("made", "已生成") if made else pick("already of these roads", "已是当前道路")
    print(
        pick(
            f"{graph.edges:,} edges, {graph.nodes:,} nodes: {did}.",
            f"{graph.edges:,} 条边,{graph.nodes:,} 个节点:{did}。",
        )
    )
