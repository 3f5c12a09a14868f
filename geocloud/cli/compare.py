# SPDX-License-Identifier: Apache-2.0
"""`geocloud plans compare | spots | settle | burndown`: where plans disagree, and what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocloud.cli.common import console, language, pick, print_json, ready_database
from geocloud.settings import Settings

if TYPE_CHECKING:
    from geocloud.planning.comparison import Compared

__all__ = ["burndown", "compare", "settle", "spots"]

_Json = Annotated[bool, typer.Option("--json", help="Answer as JSON (以 JSON 输出).")]


def compare(
    plan: Annotated[
        list[str] | None, typer.Option("--plan", help="Plan layer; two or more, all if unset (规划).")
    ] = None,
    matrix: Annotated[str, typer.Option(help="Conflict matrix (冲突矩阵).")] = "house",
    date: Annotated[str | None, typer.Option(help="Day the plans are looked at; today if unset (有效日期).")] = None,
    asof: Annotated[str | None, typer.Option(help="What was believed at that time (认知时间).")] = None,
    record: Annotated[bool, typer.Option("--record", help="Keep the differences as spots (登记差异图斑).")] = False,
    whole: Annotated[
        bool, typer.Option("--whole", help="Compare everything, not only changes (全部重新比对).")
    ] = False,
    pdf: Annotated[Path | None, typer.Option(help="Write the report as PDF (输出 PDF).")] = None,
    html: Annotated[Path | None, typer.Option(help="Write it as a page (输出网页).")] = None,
    geojson: Annotated[Path | None, typer.Option(help="Write the differences as GeoJSON (输出 GeoJSON).")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write them as CSV (输出 CSV).")] = None,
    as_json: _Json = False,
) -> None:
    """Compare plans by a conflict matrix and tell differences from slivers."""
    from geocloud.jobs.run import open_run
    from geocloud.planning.comparison import csv_of, features_of, run_comparison
    from geocloud.planning.conflict_report import report_of
    from geocloud.planning.matrix import matrix_of

    settings = Settings.read()
    out = console()
    with (
        ready_database(settings, quiet=True) as urls,
        open_run(
            settings,
            urls.reader,
            language=language(),
            progress=lambda share, zh, en: out.print(f"{share * 100:3.0f} %  {pick(en, zh)}"),
            writer_url=urls.writer if record else None,
        ) as run,
    ):
        found = matrix_of(matrix, run.catalogue.layers, settings.web)
        compared = run_comparison(run, found, plan or None, date, asof, keep=record, whole=whole)
        report = report_of(run, compared, language()) if pdf or html else None
    if report is not None and html is not None:
        from geocloud.reports.html import render_html

        html.write_text(render_html(report), encoding="utf-8")
    if report is not None and pdf is not None:
        from geocloud.reports.pdf import render_pdf

        pdf.write_bytes(render_pdf(report))
    if geojson is not None:
        geojson.write_text(json.dumps(features_of(compared), ensure_ascii=False), encoding="utf-8")
    if csv is not None:
        csv.write_bytes(csv_of(compared))
    if as_json:
        print_json(compared.document)
    else:
        _print(compared)


def _print(compared: Compared) -> None:
    d = compared.document
    for r in d["rules"]:
        if not r["judged"]:
            print(f"{r['number']:<5}{pick('not judged', '未比对'):<12}{r['why'][language()]}  {r['title'][language()]}")
            continue
        said = pick(f"{r['spots']} spots", f"{r['spots']} 处")
        thin = pick(f"of {r['pairs']} pairs", f"比对 {r['pairs']} 对")
        print(f"{r['number']:<5}{said:<12}{r['area_m2']:>18,.2f} m²  {thin:<16}{r['title'][language()]}")
    print(pick(f"{d['spots']} differences, {d['area_m2']:,.2f} m²", f"差异图斑 {d['spots']} 处,{d['area_m2']:,.2f} m²"))
    if not d["everywhere"]:
        print(pick("Only where plans have changed was compared.", "只比对了有变化的地方。"))
    if "recorded" in d:
        words = {
            "new": pick("new", "新增"), "kept": pick("as before", "不变"), "changed": pick("changed", "变化"),
            "split": pick("split off", "分裂"), "merged": pick("merged", "合并"), "settled": pick("settled", "消除"),
            "reopened": pick("reopened", "重现"),
        }  # fmt: skip
        told = [f"{words[k]} {n}" for k, n in d["recorded"].items() if n] or [pick("nothing new", "无变化")]
        print(pick("Recorded: ", "已登记:") + pick(", ", "、").join(told))
    print(pick("Fingerprint", "指纹"), d["fingerprint"])


def spots(
    state: Annotated[str | None, typer.Option(help="State; open ones if unset, `all` for all (状态).")] = None,
    bureau: Annotated[str | None, typer.Option(help="Code of the bureau (责任部门).")] = None,
    rule: Annotated[str | None, typer.Option(help="Number of the rule (规则编号).")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the largest first (条数).")] = 50,
    as_json: _Json = False,
) -> None:
    """List recorded difference spots."""
    from geocloud.jobs.run import open_run
    from geocloud.planning.spot_work import list_spots

    settings = Settings.read()
    with ready_database(settings, quiet=True) as urls, open_run(settings, urls.reader) as run:
        found = list_spots(run, state=state, bureau=bureau, rule=rule, limit=limit)
    if as_json:
        print_json(found)
        return
    for s in found:
        area = f"{s['tqmj'] or 0:,.1f}"
        print(f"{s['dkbh']:<14}{s['bsm']:<20}{s['zt']:<13}{s['zrbm'] or '':<13}{s['jzrq'] or '':<12}{area:>18} m²")


def settle(
    spot: Annotated[str, typer.Argument(help="Identification code or spot number (标识码或图斑编号).")],
    state: Annotated[str | None, typer.Option(help="assigned, coordinating, proposed, accepted … (状态).")] = None,
    bureau: Annotated[str | None, typer.Option(help="Code of the bureau responsible (责任部门).")] = None,
    deadline: Annotated[str | None, typer.Option(help="Day it is to be settled by (办理期限).")] = None,
    mode: Annotated[str | None, typer.Option(help="Mode of coordination (协调方式).")] = None,
    reason: Annotated[str | None, typer.Option(help="Code of the cause (调整原因代码).")] = None,
    district_opinion: Annotated[
        str | None, typer.Option(help="Opinion of the district government (区政府意见).")
    ] = None,
    office_opinion: Annotated[
        str | None, typer.Option(help="Opinion of the leading group's office (办公室意见).")
    ] = None,
    city_opinion: Annotated[str | None, typer.Option(help="Opinion of the city government (市政府意见).")] = None,
    note: Annotated[str | None, typer.Option(help="Note (备注).")] = None,
) -> None:
    """Move a spot on: state, owner, deadline, opinions. Every change stays in its history."""
    from geocloud.jobs.run import open_run
    from geocloud.planning.spot_work import change_spot

    settings = Settings.read()
    values: dict[str, Any] = {
        "zt": state, "zrbm": bureau, "jzrq": deadline, "xtfs": mode, "tzyydm": reason, "qzftzyj": district_opinion,
        "ldxzbgs": office_opinion, "szfyj": city_opinion, "bz": note,
    }  # fmt: skip
    with (
        ready_database(settings, quiet=True) as urls,
        open_run(settings, urls.reader, writer_url=urls.writer) as run,
    ):
        print_json(change_spot(run, spot, {k: v for k, v in values.items() if v is not None}))


def burndown(
    begin: Annotated[str | None, typer.Option("--from", help="First day (起始日期).")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last day, today if unset (截止日期).")] = None,
    points: Annotated[int, typer.Option(help="Number of dates (日期个数).")] = 13,
    as_json: _Json = False,
) -> None:
    """Show how many spots were open when, by bureau and district."""
    from geocloud.jobs.run import open_run
    from geocloud.planning.burndown import burndown as count

    settings = Settings.read()
    with ready_database(settings, quiet=True) as urls, open_run(settings, urls.reader) as run:
        found = count(run, begin, end, points)
    if as_json:
        print_json(found)
        return
    most = max((t["open"] for t in found["totals"]), default=0) or 1
    for t in found["totals"]:
        bar = "█" * round(40 * t["open"] / most)
        print(f"{t['date']}  {t['open']:>6}  {pick('overdue', '逾期')} {t['overdue']:>5}  {bar}")
