# SPDX-License-Identifier: Apache-2.0
"""`geocloud plans find-site`: land of a size and use under conditions, ranked, as words, GeoJSON, CSV, page or PDF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from geocloud.cli.common import language, pick, print_json, ready_database
from geocloud.errors import InvalidParameter
from geocloud.settings import Settings

__all__ = ["find_site"]


def find_site(
    min_area: Annotated[float, typer.Option(help="Least area in m² (最小面积,平方米).")],
    max_area: Annotated[float | None, typer.Option(help="Greatest area in m² (最大面积).")] = None,
    use: Annotated[str | None, typer.Option(help="Code of land_use_2023 or its first level (用途).")] = None,
    conditions: Annotated[
        str | None, typer.Option(help="JSON array, or @file with one (条件).", metavar="JSON|@FILE")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="Layer of the parcels; the regulatory plan if unset (候选图层).")
    ] = None,
    where: Annotated[str | None, typer.Option("--filter", help="CQL2 over the parcels (过滤条件).")] = None,
    boundary: Annotated[
        str | None, typer.Option(help="Layer the land lies within; none for anywhere (范围图层).")
    ] = None,
    join: Annotated[bool, typer.Option(help="Join neighbours that are too small (合并相邻地块).")] = True,
    limit: Annotated[int, typer.Option(help="How many are listed (列出个数).")] = 10,
    date: Annotated[str | None, typer.Option(help="Day the plans are looked at; today if unset (有效日期).")] = None,
    asof: Annotated[str | None, typer.Option(help="What was believed at that time (认知时间).")] = None,
    pack: Annotated[str, typer.Option(help="Rule pack (规则包).")] = "house",
    subject: Annotated[str, typer.Option(help="Name of the project (项目名称).")] = "",
    geojson: Annotated[Path | None, typer.Option(help="Write the candidates as GeoJSON (输出 GeoJSON).")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write them as CSV (输出 CSV).")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as a page (输出网页).")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write it as PDF (输出 PDF).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as GeoJSON on stdout (输出 GeoJSON).")] = False,
) -> None:
    """Find land for a project and rank it; none of it is refused by the plans (策划生成)."""
    from geocloud.jobs.run import open_run
    from geocloud.planning.candidates_process import PROCESS

    asked: dict[str, Any] = {
        "min_area_m2": min_area, "max_area_m2": max_area, "use": use, "from": source, "filter": where,
        "conditions": _conditions(conditions), "join": join, "limit": limit, "datetime": date, "asof": asof,
        "pack": pack, "subject": subject, "language": language(),
    }  # fmt: skip
    if boundary is not None:
        asked["boundary"] = None if boundary == "none" else boundary
    files = {"csv": csv, "page": html, "pdf": pdf}
    wanted = frozenset({"candidates", *(n for n, p in files.items() if p is not None)})
    settings = Settings.read()
    with ready_database(settings, quiet=True) as urls, open_run(settings, urls.reader, language=language()) as run:
        out = PROCESS.run(run, asked, wanted)
    found = out["candidates"]
    if geojson is not None:
        geojson.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    for name, path in files.items():
        if path is not None:
            path.write_bytes(out[name].data)
    if as_json:
        print_json(found)
        return
    for f in found["features"]:
        p = f["properties"]
        points = "-" if p["total"] is None else f"{p['total']:.1f}"
        print(f"{p['rank']:>3}  {points:>6}  {p['area_m2']:>14,.1f} m²  {p['verdict']:<8} {f['id']}")
        for c in p["conditions"]:
            got = "" if c["score"] is None else f"  {c['score']:.2f} × {c['weight']:g}"
            print(f"       {c['sentence'][language()]}{got}")
    for u in found["search"]["not_judged"]:
        print(pick("Not judged:", "未判定:"), u["rule"] or "", u["why"][language()])
    print(f"{len(found['features'])} {pick('candidates', '处候选用地')}  {found['search']['date']}")
    print(pick("Fingerprint", "指纹"), found["search"]["fingerprint"])


def _conditions(text: str | None) -> Any:
    if not text:
        return []
    try:
        return json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except (OSError, ValueError) as exc:
        raise InvalidParameter(
            f"`--conditions` cannot be read: {exc}.", f"无法读取 --conditions:{exc}。",
            todo_en='Write a JSON array such as [{"kind": "near", "layer": "facility.school", "distance_m": 1000}].',
            todo_zh='请写 JSON 数组,例如 [{"kind": "near", "layer": "facility.school", "distance_m": 1000}]。',
            parameter="conditions",
        ) from None  # fmt: skip
