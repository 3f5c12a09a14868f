# SPDX-License-Identifier: Apache-2.0
"""`geocloud plans accept`: a delivered plan, or a published layer, checked by a rule pack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocloud.cli.common import language, pick, print_json, ready_database
from geocloud.settings import Settings

if TYPE_CHECKING:
    from geocloud.jobs.run import Run
    from geocloud.planning.acceptance import Accepted
    from geocloud.planning.acceptance_plan import Plan

__all__ = ["accept"]

_SUFFIXES = (".json", ".html", ".pdf", ".gpkg")


def accept(
    plan: Annotated[str, typer.Argument(help="A delivered file, or a layer such as planning.land_plan (文件或图层).")],
    layer: Annotated[str | None, typer.Option(help="Layer the file should fit (应符合的图层).")] = None,
    pack: Annotated[str, typer.Option(help="Rule pack (规则包).")] = "house",
    rule: Annotated[list[str] | None, typer.Option(help="Only this rule; may be repeated (只运行该规则).")] = None,
    district: Annotated[str | None, typer.Option(help="Code of the district (行政区代码).")] = None,
    date: Annotated[str | None, typer.Option(help="The plan's date; today if unset (规划日期).")] = None,
    asof: Annotated[str | None, typer.Option(help="What was believed at that time (认知时间).")] = None,
    crs: Annotated[str | None, typer.Option(help="Coordinate system of the file, such as EPSG:4527 (坐标系).")] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of its text, such as GB18030 (文字编码).")] = None,
    source_layer: Annotated[str | None, typer.Option(help="Layer or sheet within the file (文件中的图层).")] = None,
    column: Annotated[list[str] | None, typer.Option(help="field=column, where not recognised (字段=列名).")] = None,
    out: Annotated[
        list[Path] | None, typer.Option(help="Write .json, .html, .pdf or .gpkg of places; may be repeated (输出).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON (以 JSON 输出).")] = False,
) -> None:
    """Check a plan before it is taken over; ends with an error when it has to go back (规划成果质检)."""
    wrong = [p for p in out or () if p.suffix.casefold() not in _SUFFIXES]
    if wrong:
        raise typer.BadParameter(f"{wrong[0].name}: {', '.join(_SUFFIXES)}", param_hint="--out")
    from geocloud.jobs.run import open_run
    from geocloud.planning.acceptance import accept as check
    from geocloud.planning.acceptance_process import pack_of

    settings = Settings.read()
    how: dict[str, Any] = {"crs": crs, "encoding": encoding, "source_layer": source_layer, "columns": _columns(column)}
    with ready_database(settings, quiet=True) as urls, open_run(settings, urls.reader, language=language()) as run:
        rules = pack_of(run, pack)
        given = _plan(run, plan, layer, date, asof, how)
        found = check(run, given, rules, rules=rule, district=district, valid=date, asof=asof)
        for path in out or ():
            _write(found, path)
    if as_json:
        print_json(found.document)
    else:
        _tell(found)
    _end(found, as_json)


def _columns(pairs: list[str] | None) -> dict[str, str]:
    wrong = [p for p in pairs or () if "=" not in p]
    if wrong:
        raise typer.BadParameter(f"`{wrong[0]}` is not field=column", param_hint="--column")
    return dict(p.split("=", 1) for p in pairs or ())


def _plan(run: Run, plan: str, layer: str | None, date: str | None, asof: str | None, how: dict[str, Any]) -> Plan:
    from geocloud.features.moment import read_moment
    from geocloud.planning.acceptance import day_of
    from geocloud.planning.acceptance_plan import plan_of_file, plan_of_layer, refuse_no_plan

    day = day_of(date)
    themes = {one.spec.theme for one in run.catalogue.layers.values()}
    if layer is None and not Path(plan).exists() and plan.partition(".")[0] in themes:
        return plan_of_layer(run, plan, read_moment(date, asof), day, day_named=date is not None)
    if layer is None:
        raise typer.BadParameter(
            pick("name the layer the file should fit, or give a published layer", "请用 --layer 指明文件应符合的图层"),
            param_hint="--layer",
        )
    fits = run.catalogue.layer(layer)
    refuse_no_plan(fits)
    return plan_of_file(Path(plan), fits, run.settings, day, day_named=date is not None, **how)


def _write(found: Accepted, path: Path) -> None:
    suffix = path.suffix.casefold()
    if suffix == ".json":
        path.write_text(json.dumps(found.document, ensure_ascii=False, indent=2, default=str), encoding="utf-8")
        return
    if suffix == ".gpkg":
        from geocloud.planning.acceptance_places import places_of

        path.write_bytes(places_of(found))
        return
    from geocloud.planning.acceptance_report import report_of

    report = report_of(found, language())
    if suffix == ".html":
        from geocloud.reports.html import render_html

        path.write_text(render_html(report), encoding="utf-8")
    else:
        from geocloud.reports.pdf import render_pdf

        path.write_bytes(render_pdf(report))


def _tell(found: Accepted) -> None:
    from geocloud.planning.acceptance_report import SEVERITIES, VERDICTS, report_of

    d, lang = found.document, language()
    zh, en = VERDICTS[d["verdict"]]
    print(f"{pick(en, zh)}  {d['plan']['layer']}  {d['plan']['features']:,}  {d['date']}")
    print(report_of(found, lang).summary)
    words = {"passed": pick("passed", "通过"), "unknown": pick("not judged", "未判定")}
    for r in d["rules"]:
        severity = SEVERITIES[r["severity"]]
        word = words.get(r["verdict"]) or f"{pick(severity[1], severity[0])} {r['findings']:,}"
        why = f"  {r['why'][lang]}" if r["why"] else ""
        print(f"{r['number']:<5}{word:<14}{r['title'][lang]}{why}")
        for f in r["listed"][:3]:
            who = f["key"] or (f["row"] and pick(f"row {f['row']}", f"第 {f['row']} 个")) or ""
            print(f"       {who}  {f['message'][lang]}")
    print(pick("Fingerprint", "指纹"), d["fingerprint"])


def _end(found: Accepted, as_json: bool) -> None:
    """The exit code of a plan that goes back, as `geocloud check` has it for a file that cannot be loaded."""
    from geocloud.errors import IngestError, RowsRejected

    d = found.document
    errors = d["counts"]["error"]
    error: IngestError | None = None
    if d["verdict"] == "rejected":
        error = RowsRejected(
            f"The plan is rejected: {errors:,} errors.", f"规划成果退回:错误 {errors:,} 处。",
            todo_en="Mend them; `--out places.gpkg` writes where each one is.",
            todo_zh="请逐处修改;用 `--out 位置.gpkg` 输出每处位置。",
        )  # fmt: skip
    elif d["verdict"] == "unknown":
        error = IngestError(
            "The plan cannot be judged: no rule could be applied.", "规划成果无法判定:没有可用的规则。",
            todo_en="The answer says of each rule why.", todo_zh="各规则未判定的原因见结果。",
        )  # fmt: skip
    if error is None:
        return
    if as_json:
        raise SystemExit(error.exit_code)
    raise error
