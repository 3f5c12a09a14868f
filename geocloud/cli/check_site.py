# SPDX-License-Identifier: Apache-2.0
"""`geocloud plans check-site`: a site against all plans, as words, JSON, page, PDF or DOCX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geocloud.cli.common import language, pick, print_json, ready_database
from geocloud.settings import Settings

__all__ = ["check_site"]


def check_site(
    file: Annotated[Path, typer.Argument(help="SHP or its zip, DXF, GeoJSON, GPKG, KML, TXT or CSV (用地范围文件).")],
    crs: Annotated[str | None, typer.Option(help="Coordinate system of the file, such as EPSG:4527 (坐标系).")] = None,
    date: Annotated[str | None, typer.Option(help="Day the plans are looked at; today if unset (有效日期).")] = None,
    asof: Annotated[str | None, typer.Option(help="What was believed at that time (认知时间).")] = None,
    pack: Annotated[str, typer.Option(help="Rule pack (规则包).")] = "house",
    subject: Annotated[str, typer.Option(help="Name of the project (项目名称).")] = "",
    pdf: Annotated[Path | None, typer.Option(help="Write the report as PDF (输出 PDF).")] = None,
    docx: Annotated[Path | None, typer.Option(help="Write it as DOCX (输出 Word).")] = None,
    html: Annotated[Path | None, typer.Option(help="Write it as a page (输出网页).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON (以 JSON 输出).")] = False,
) -> None:
    """Check a site against all plans before an application is made."""
    from geocloud.jobs.run import open_run
    from geocloud.planning.compliance import check_site as run_check
    from geocloud.planning.compliance_process import pack_of
    from geocloud.planning.compliance_report import VERDICTS, report_of
    from geocloud.planning.site import read_site

    settings = Settings.read()
    site = read_site(file, settings, crs)
    with ready_database(settings, quiet=True) as urls, open_run(settings, urls.reader, language=language()) as run:
        checked = run_check(run, site, pack_of(run, pack), date, asof)
    report = report_of(checked, language(), subject or file.stem)
    if html is not None:
        from geocloud.reports.html import render_html

        html.write_text(render_html(report), encoding="utf-8")
    if pdf is not None:
        from geocloud.reports.pdf import render_pdf

        pdf.write_bytes(render_pdf(report))
    if docx is not None:
        from geocloud.reports.docx import render_docx

        docx.write_bytes(render_docx(report))
    if as_json:
        print_json(checked.document)
        return
    d = checked.document
    print(f"{report.verdict}  {site.area_m2:,.2f} m²  {site.area_mu:,.2f} {pick('mu', '亩')}  {d['date']}")
    print(report.summary)
    for r in d["rules"]:
        word = pick(VERDICTS[r["verdict"]][1], VERDICTS[r["verdict"]][0])
        why = f"  {r['why'][language()]}" if r["why"] else ""
        print(f"{r['number']:<5}{word:<14}{r['overlap_m2']:>16,.2f} m²  {r['title'][language()]}{why}")
    print(pick("Fingerprint", "指纹"), d["fingerprint"])
