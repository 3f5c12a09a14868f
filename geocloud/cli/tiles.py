# SPDX-License-Identifier: Apache-2.0
"""`geocloud tiles`: archives of tiles made and renewed, looked at, taken out as files, cleared away."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocloud.cli.common import pick, print_json, progress_bar, ready_database
from geocloud.settings import Settings

if TYPE_CHECKING:
    from geocloud.tiles.quadtree import Box
    from geocloud.tiles.seed import Seeded

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

_JSON = Annotated[bool, typer.Option("--json", help="Report as JSON (以 JSON 输出).")]
_OUTCOMES = {
    "seeded": ("seeded", "已生成"),
    "renewed": ("renewed", "已更新"),
    "fresh": ("already fresh", "无变化"),
    "empty": ("no tiles", "无瓦片"),
}


@app.callback()
def _tiles() -> None:
    """Archives of vector tiles, PMTiles (矢量瓦片档案)."""


@app.command()
def seed(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COLLECTION|THEME]...", help="Layers or themes; all if none (图层或主题,缺省为全部)."),
    ] = None,
    zoom: Annotated[str | None, typer.Option(help="First and last zoom, such as 5-16 (级别范围).")] = None,
    bbox: Annotated[
        str | None, typer.Option(help="west,south,east,north in degrees; only tiles in it (经纬度范围).")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes; the machine's processors if unset (进程数).")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Build every tile, take over none of an older archive (全部重建).")
    ] = False,
    as_json: _JSON = False,
) -> None:
    """Make the archives, or renew the tiles that have been touched since they were made."""
    settings = Settings.read()
    zooms, box = _zooms(zoom), _box(bbox)
    workers = jobs or os.cpu_count() or 1
    from geocloud.tiles.seed import seed as run

    with ready_database(settings, quiet=as_json) as urls, progress_bar() as bar:
        shown: dict[str, Any] = {}

        def progress(name: str, done: int, known: int, tiles: int) -> None:
            if name not in shown:
                shown[name] = bar.add_task(name, total=known)
            what = pick(f"{name}  {tiles:,} tiles", f"{name}  {tiles:,} 个瓦片")
            bar.update(shown[name], completed=done, total=known, description=what)

        began = time.monotonic()
        results = run(
            urls.reader, settings, names or (), zooms=zooms, box=box, jobs=workers, full=full, on_progress=progress
        )
        seconds = time.monotonic() - began
    cores = min(workers, os.cpu_count() or 1)
    built = sum(r.built for r in results)
    report = {
        "folder": str(settings.tile_cache_folder),
        "seconds": round(seconds, 3),
        "jobs": workers,
        "cores": cores,
        "built": built,
        "tiles_per_second": round(built / seconds, 1),
        "tiles_per_second_per_core": round(built / seconds / cores, 1),
        "tiles": sum(r.tiles for r in results),
        "bytes": sum(r.bytes for r in results),
        "largest": max((r.largest for r in results), default=0),
        "layers": [_told(r) for r in results],
    }
    if as_json:
        print_json(report)
    else:
        _show_seeded(results, report)


@app.command()
def status(as_json: _JSON = False) -> None:
    """Show the archives, what they are of, and how many of their tiles have been touched since."""
    settings = Settings.read()
    from geocloud.tiles.inventory import inventory

    with ready_database(settings, quiet=as_json) as urls:
        found = inventory(urls.reader, settings)
    if as_json:
        print_json({"folder": str(settings.tile_cache_folder), "archives": [entry.__dict__ for entry in found]})
        return
    from rich.console import Console
    from rich.table import Table

    heads = (
        ("layer", "图层"), ("archive", "档案版本"), ("layer now", "现版本"), ("zooms", "级别"), ("tiles", "瓦片"),
        ("stale", "过期瓦片"), ("size", "大小"), ("", ""),
    )  # fmt: skip
    table = Table(*(pick(*h) for h in heads), box=None)
    for entry in found:
        stale = pick("all", "全部") if entry.stale is None else f"{entry.stale:,}"
        zooms = f"{entry.min_zoom}-{entry.max_zoom}" if entry.tiles is not None else ""
        tiles = "" if entry.tiles is None else f"{entry.tiles:,}"
        size = _size(entry.bytes) if entry.tiles is not None else ""
        table.add_row(
            entry.name, str(entry.version or ""), str(entry.layer_version or ""), zooms, tiles,
            stale if entry.tiles is not None else "", size, pick(entry.note_en, entry.note_zh),
        )  # fmt: skip
    if found:
        Console(highlight=False, soft_wrap=True).print(table)
    else:
        print(
            pick("There are no archives; `geocloud tiles seed` makes them.", "尚无档案;请运行 `geocloud tiles seed`。")
        )


@app.command()
def export(
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="Layer id, theme.layer (图层标识).")],
    target: Annotated[
        Path,
        typer.Argument(metavar="FILE.pmtiles|FOLDER", help="A file, or a folder for a web server (目标文件或目录)."),
    ],
    as_json: _JSON = False,
) -> None:
    """Copy an archive to a file, or unpack it as {z}/{row}/{column}.mvt.gz for nginx."""
    settings = Settings.read()
    from geocloud.tiles.export import export_file, export_folder
    from geocloud.tiles.inventory import newest_of

    with ready_database(settings, quiet=as_json) as urls:
        archive = newest_of(urls.reader, settings, collection)
    if target.suffix == ".pmtiles":
        export_file(archive, target)
        place, files = target, 1
    else:
        with progress_bar() as bar:
            task = bar.add_task(collection, total=archive.tile_count)
            place, files = export_folder(archive, target, lambda n: bar.update(task, completed=n))
    report = {"collection": collection, "version": archive.version, "path": str(place), "files": files}
    if as_json:
        print_json(report)
    else:
        print(
            pick(
                f"{collection} version {archive.version}: {files:,} files in {place}.",
                f"{collection} 版本 {archive.version}:{place},共 {files:,} 个文件。",
            )
        )


@app.command()
def clean(
    every: Annotated[bool, typer.Option("--all", help="Also the archives that are in use (包括在用的档案).")] = False,
    others: Annotated[
        bool, typer.Option("--others", help="Also the archives of other databases (包括其他数据库的档案).")
    ] = False,
    as_json: _JSON = False,
) -> None:
    """Remove what is of no more use: older versions, layers no longer published, unfinished seedings."""
    settings = Settings.read()
    from geocloud.tiles.inventory import clean as run

    with ready_database(settings, quiet=as_json) as urls:
        removed = run(urls.reader, settings, every=every, others=others)
    freed = sum(size for _, size in removed)
    if as_json:
        print_json({"removed": [str(path) for path, _ in removed], "bytes": freed})
        return
    for path, _ in removed:
        print(path)
    print(pick(f"{len(removed)} removed, {_size(freed)} freed.", f"已清除 {len(removed)} 项,释放 {_size(freed)}。"))


def _zooms(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,2})(?:-(\d{1,2}))?", text)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not 0 <= low <= high <= 22:
        raise typer.BadParameter(
            pick("two zooms of 0 to 22, such as 5-16", "应为 0 至 22 的两个级别,如 5-16"), param_hint="--zoom"
        )
    return low, high


def _box(text: str | None) -> Box | None:
    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        west, south, east, north = 1.0, 0.0, 0.0, 0.0
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise typer.BadParameter(
            pick("west,south,east,north in degrees, such as 115.2,35.7,116.6,37.1",
                 "应为 西,南,东,北 的经纬度,如 115.2,35.7,116.6,37.1"),
            param_hint="--bbox",
        )  # fmt: skip
    return west, south, east, north


def _told(result: Seeded) -> dict[str, Any]:
    told = {name: getattr(result, name) for name in type(result).__slots__}
    cell = result.largest_tile
    return told | {"path": str(result.path) if result.path else None, "largest_tile": list(cell) if cell else None}


def _show_seeded(results: list[Seeded], report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    heads = (
        ("layer", "图层"), ("", ""), ("version", "版本"), ("tiles", "瓦片"), ("built", "新建"), ("size", "大小"),
        ("largest tile", "最大瓦片"),
    )  # fmt: skip
    table = Table(*(pick(*h) for h in heads), box=None)
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[2:6]:
        column.justify = "right"
    for r in results:
        cell = r.largest_tile
        largest = f"{_size(r.largest)} {cell[0]}/{cell[2]}/{cell[1]}" if cell else ""
        resumed = pick(f" (+{r.resumed:,} kept)", f"(另有 {r.resumed:,} 已存)") if r.resumed else ""
        table.add_row(
            r.name, pick(*_OUTCOMES[r.outcome]), str(r.version), f"{r.tiles:,}", f"{r.built:,}{resumed}",
            _size(r.bytes), largest,
        )  # fmt: skip
    Console(highlight=False, soft_wrap=True).print(table)
    built, size, folder = f"{report['built']:,}", _size(report["bytes"]), report["folder"]
    rate, per_core = f"{report['tiles_per_second']:,.0f}", f"{report['tiles_per_second_per_core']:,.0f}"
    took = f"{report['seconds']:.1f}"
    print(
        pick(
            f"{built} tiles built in {took} s: {rate} a second, {per_core} a second and core; {size} in {folder}.",
            f"{took} 秒内生成 {built} 个瓦片:每秒 {rate} 个,每核每秒 {per_core} 个;{folder} 共 {size}。",
        )
    )


def _size(number: int) -> str:
    if number >= 1_000_000:
        return f"{number / 1e6:,.1f} MB"
    return f"{number / 1e3:,.1f} kB"
