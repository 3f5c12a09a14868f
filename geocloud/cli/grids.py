# SPDX-License-Identifier: Apache-2.0
"""`geocloud grids`: unit grids checked and made, and BeiDou grid codes of places."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geocloud.cli.common import language, pick, print_json, ready_database
from geocloud.settings import Settings

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _grids() -> None:
    """Unit grids and grid codes (网格)."""


@app.command("check")
def check(
    layer: Annotated[str, typer.Argument(help="A layer of unit grids (网格图层).")] = "grid.unit_grid",
    community: Annotated[
        str | None, typer.Option(help="Code of a community, or its beginning (社区代码或前缀).")
    ] = None,
    date: Annotated[str | None, typer.Option(help="Grids in use that day; without an end if unset (日期).")] = None,
    rule: Annotated[list[str] | None, typer.Option(help="Only this rule, may be repeated (规则).")] = None,
    places: Annotated[Path | None, typer.Option(help="Write the places as GeoJSON (问题位置).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON (以 JSON 输出).")] = False,
) -> None:
    """Unit grids by the rules G1 to G10 (单元网格检查). Exit code 1 where a rule of grade error found something."""
    from geocloud.jobs.run import open_run
    from geocloud.sectors.grids.check import grid_check

    settings = Settings.read()
    with ready_database(settings, quiet=True) as urls, open_run(settings, urls.reader, language=language()) as run:
        found = grid_check(run, layer, community, date, rule)
    if places is not None:
        places.write_bytes(found.places())
    if as_json:
        print_json(found.document)
    else:
        word = language()
        for r in found.document["rules"]:
            mark = {"passed": "✓", "found": "✗", "unknown": "?"}[r["verdict"]]
            print(f"{mark} {r['number']:<4}{r['title'][word]}  {r['findings'] or ''}")
            for one in r["listed"][:5]:
                print(f"      {one['code'] or ''} {one['message'][word]}")
        counts = found.document["counts"]
        print(
            pick(
                f"{found.document['grids']:,} grids, {counts['error']:,} errors, {counts['warning']:,} warnings",
                f"{found.document['grids']:,} 个网格,错误 {counts['error']:,} 处,警告 {counts['warning']:,} 处",
            )
        )
    if found.document["verdict"] == "rejected":
        raise typer.Exit(1)


@app.command("generate")
def generate(
    community: Annotated[str, typer.Argument(help="Twelve digits of a community (社区代码).")],
    out: Annotated[Path, typer.Option(help="GeoJSON to write; load it with `geocloud load` (输出文件).")],
    target: Annotated[float, typer.Option(min=1000, max=10_000_000, help="Area aimed at, m2 (目标面积).")] = 10_000.0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON (以 JSON 输出).")] = False,
) -> None:
    """Unit grids for a community from its roads and water (单元网格划分)."""
    from geocloud.jobs.run import open_run
    from geocloud.sectors.grids.generate import grid_generate

    settings = Settings.read()
    with ready_database(settings, quiet=True) as urls, open_run(settings, urls.reader, language=language()) as run:
        found = grid_generate(run, community, target)
    out.write_bytes(found.grids)
    d = found.document
    if as_json:
        print_json(d)
        return
    area = d["area_m2"]
    print(
        pick(
            f"{d['grids']:,} grids {d['first']} to {d['last']}, {area['least']:,.0f} to {area['most']:,.0f} m²; "
            f"{len(d['buildings_cut']):,} of {d['buildings']:,} buildings cut; written to {out}",
            f"{d['grids']:,} 个网格 {d['first']} 至 {d['last']},{area['least']:,.0f} 至 {area['most']:,.0f} 平方米;"
            f"{d['buildings']:,} 栋建筑物中切割 {len(d['buildings_cut']):,} 栋;已写入 {out}",
        )
    )


@app.command("code")
def code(
    what: Annotated[list[str], typer.Argument(help="Longitude and latitude, or a code (经度 纬度,或编码).")],
    level: Annotated[int, typer.Option(min=1, max=10, help="Level of the code (级别).")] = 10,
    height: Annotated[float | None, typer.Option(help="Ellipsoidal height, m: a code with height (大地高).")] = None,
) -> None:
    """BeiDou grid codes of a place, or the place of a code (北斗网格位置码)."""
    from geocloud.grids import beidou, beidou3d, beidou_near

    if len(what) == 2:
        lon, lat = what
        print(beidou.encode(lon, lat, level) if height is None else beidou3d.encode(lon, lat, height, level))
        return
    text, extra = what[0], dict[str, float]()
    if beidou_near.REFERENCE.fullmatch(text):
        cell = beidou_near.resolve(text)
    elif len(text) in beidou.LENGTHS[1:] and text[1:3].isdigit() and text[3:4].isalpha():
        cell = beidou.decode(text)
    else:
        box = beidou3d.decode(text)
        cell, extra = box.cell, {"bottom_m": box.bottom, "top_m": box.top}
    print_json({"code": cell.code, "level": cell.level, "bbox": cell.bbox, "centre": cell.centre, **extra})
