# SPDX-License-Identifier: Apache-2.0
"""`geocloud demo`: fills the published layers with the synthetic demo city, or takes it out again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from geocloud.cli.common import pick, print_json, progress_bar, ready_database
from geocloud.settings import Settings

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, invoke_without_command=True)

_WORDS = {
    "loaded": ("loaded", "已载入"),
    "unchanged": ("already there", "已存在"),
    "kept-real": ("left alone: it holds real rows", "已有真实数据,未改动"),
    "not-published": ("not published", "未发布"),
}
_JSON = Annotated[bool, typer.Option("--json", help="Report as JSON (以 JSON 输出).")]


@app.callback()
def demo(
    ctx: typer.Context,
    size: Annotated[
        Literal["small", "city", "province"] | None,
        typer.Option(help="How much: a few thousand features, 1.9 million, or ten times that (规模); default small."),
    ] = None,
    as_json: _JSON = False,
) -> None:
    """Fill the layers with the synthetic demo city; layers that hold real rows are left alone."""
    if ctx.invoked_subcommand is not None:
        return
    settings = Settings.read()
    configured = settings.city.demo
    wanted = size or ("small" if configured == "none" else configured)
    from geocloud import demo as city
    from geocloud.catalogue.publish import sync
    from geocloud.db.pool import connect
    from geocloud.demo.beside import load_beside
    from geocloud.sectors.registry import definitions

    layers, codes = definitions(settings.city)
    with ready_database(settings, quiet=as_json) as urls:
        with connect(urls.owner, application_name="geocloud demo") as conn:
            sync(conn, layers, codes)
        with progress_bar() as bar:
            tasks: dict[str, Any] = {}

            def progress(layer: str, done: int, total: int) -> None:
                if layer not in tasks:
                    tasks[layer] = bar.add_task(layer, total=total)
                bar.update(tasks[layer], completed=done, total=total)

            results = city.load(urls.owner, wanted, progress)
        readings = load_beside(urls.writer, wanted, results, settings.rasters_folder)
    if as_json:
        print_json({"size": wanted, "layers": [r.__dict__ for r in results], "readings": readings})
        return
    for r in results:
        print(f"{r.layer:<28}{r.rows:>10,}  {pick(*_WORDS[r.outcome])}")


@app.command()
def year(as_json: _JSON = False) -> None:
    """Let a made-up year pass over the synthetic parcels, so that two dates differ (示例变化)."""
    from geocloud.demo.year import LAYER, live_a_year

    with ready_database(Settings.read(), quiet=as_json) as urls:
        done = live_a_year(urls.owner)
    if as_json:
        print_json({"layer": LAYER, "changes": done})
        return
    words = {"used otherwise": "改变用途", "narrowed": "拓路缩减", "divided": "分割", "surveyed anew": "重测移位"}
    for name, rows in done.items():
        print(f"{LAYER:<28}{rows:>10,}  {pick(name, words[name])}")
    if not done:
        print(pick("The year is there already.", "示例变化已存在。"))


@app.command()
def readings(as_json: _JSON = False) -> None:
    """Bring the made-up readings of the synthetic car parks up to now (合成余位读数)."""
    from geocloud.demo.parking_readings import bring_up

    with ready_database(Settings.read(), quiet=as_json) as urls:
        kept = bring_up(urls.writer)
    if as_json:
        print_json({"readings": kept})
        return
    print(pick(f"{kept:,} readings added.", f"新增读数 {kept:,} 条。"))


@app.command()
def clear(as_json: _JSON = False) -> None:
    """Take every synthetic row out; rows loaded from files stay."""
    from geocloud import demo as city
    from geocloud.demo.beside import clear_beside

    settings = Settings.read()
    with ready_database(settings, quiet=as_json) as urls:
        clear_beside(urls.owner, settings.rasters_folder)
        removed = city.clear(urls.owner)
    if as_json:
        print_json({"removed": removed})
        return
    for layer, rows in removed.items():
        print(f"{layer:<28}{rows:>10,}  {pick('removed', '已移除')}")
    if not removed:
        print(pick("There are no synthetic rows.", "没有合成数据。"))
