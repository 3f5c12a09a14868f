# SPDX-License-Identifier: Apache-2.0
"""`geocloud plans area-stat`: a polygon layer by class and district on the ellipsoid."""

from __future__ import annotations

from typing import Annotated

import typer

from geocloud.cli.common import language, pick, print_json, ready_database
from geocloud.settings import Settings

__all__ = ["area_stat"]


def area_stat(
    layer: Annotated[str, typer.Argument(help="A polygon layer, such as planning.land_plan (面状图层).")],
    by: Annotated[
        str | None, typer.Option(help="Field of the class; the one it is coloured by if unset (分类).")
    ] = None,
    districts: Annotated[str, typer.Option(help="Layer of districts; none for the whole (行政区).")] = "base.county",
    date: Annotated[str | None, typer.Option(help="Day or instant; now if unset (有效时间).")] = None,
    asof: Annotated[str | None, typer.Option(help="What was believed at that time (认知时间).")] = None,
    where: Annotated[str | None, typer.Option("--filter", help="CQL2 (过滤条件).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON (以 JSON 输出).")] = False,
) -> None:
    """Areas by class and district on the ellipsoid, with totals that close (面积统计)."""
    from geocloud.jobs.run import open_run
    from geocloud.planning.area_stat import area_stat as measure

    settings = Settings.read()
    named = None if districts == "none" else districts
    with ready_database(settings, quiet=True) as urls, open_run(settings, urls.reader, language=language()) as run:
        found = measure(run, layer, by, named, date, asof, where)
    if as_json:
        print_json(found)
        return
    for r in found["rows"]:
        where_at = r["district_title"] or (pick("outside", "区外") if named else "")
        print(f"{where_at}\t{r['class'] or ''} {r['class_title'] or ''}\t{r['features']:,}\t{r['area_m2']:,.2f} m²")
    print(pick("total", "合计") + f"\t{found['features']:,}\t{found['total_m2']:,.2f} m²")
