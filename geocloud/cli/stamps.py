# SPDX-License-Identifier: Apache-2.0
"""`geocloud stamps`: which stamps are up to date, and bringing them there."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from geocloud.cli.common import pick, print_json, progress_bar, ready_database
from geocloud.settings import Settings

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
_Layer = Annotated[str | None, typer.Argument(help="Layer, theme.layer; all without (图层).")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _stamps() -> None:
    """Stamps (空间标记): county, township, village, unit grid, H3 and BeiDou cell of every feature."""


@app.command("status")
def _status(layer: _Layer = None, as_json: _Json = False) -> None:
    """Show of which versions of layers and zones the stamps are."""
    from geocloud.db.pool import connect

    with (
        ready_database(Settings.read(), quiet=True) as urls,
        connect(urls.reader, application_name="geocloud stamps") as conn,
        conn.cursor() as cur,
    ):
        _known(conn, layer)
        cur.execute(
            "SELECT layer, zoning, layer_version, stamped_layer_version, zoning_version, stamped_zoning_version, "
            "stamped_at, current FROM geocloud.stamp_status WHERE (%(layer)s::text IS NULL OR layer = %(layer)s) "
            "ORDER BY layer, zoning",
            {"layer": layer},
        )
        names = [d[0] for d in cur.description or ()]
        rows = [dict(zip(names, r, strict=True)) for r in cur.fetchall()]
    if as_json:
        print_json(rows)
        return
    for of_layer in dict.fromkeys(r["layer"] for r in rows):
        behind = [r["zoning"] for r in rows if r["layer"] == of_layer and not r["current"]]
        said = pick("behind: ", "待更新:") + ", ".join(behind) if behind else pick("up to date", "最新")
        print(f"{of_layer:<32}{said}")


@app.command("update")
def _update(layer: _Layer = None, as_json: _Json = False) -> None:
    """Bring stamps up to date now; workers do so by themselves after a while."""
    from dataclasses import asdict

    from geocloud.db.pool import connect
    from geocloud.overlay.restamp_process import bring_all_up_to_date

    with (
        ready_database(Settings.read(), quiet=as_json) as urls,
        connect(urls.writer, application_name="geocloud stamps") as conn,
    ):
        _known(conn, layer)
        if as_json:
            done = bring_all_up_to_date(conn, layer)
        else:
            with progress_bar() as bar:
                task = bar.add_task(pick("stamping", "标记"), total=1.0)
                done = bring_all_up_to_date(
                    conn, layer, lambda share, name: bar.update(task, completed=share, description=name)
                )
    if as_json:
        print_json([asdict(d) for d in done])
        return
    words = {
        "current": ("up to date", "已是最新"), "near": ("what has changed", "变动部分"), "whole": ("all", "全部"),
        "busy": ("busy, left for later", "占用中,稍后再做"),
    }  # fmt: skip
    for d in done:
        print(f"{d.layer:<32}{d.stamped:>10,}  {pick(*words[d.how])}  {d.seconds:.1f} s")
    if not done:
        print(pick("All stamps are up to date.", "空间标记均为最新。"))


def _known(conn: Any, layer: str | None) -> None:
    """UnknownCollection for a layer that is not published."""
    from geocloud.catalogue.publish import read_catalogue

    if layer is not None:
        read_catalogue(conn).layer(layer)
    conn.commit()
