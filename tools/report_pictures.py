# SPDX-License-Identifier: Apache-2.0
"""Pages of the planning reports as pictures for the documentation, made from the demo city in the database.

python tools/report_pictures.py docs/pictures
"""

from __future__ import annotations

import io
import sys
from datetime import datetime
from pathlib import Path

import shapely
from PIL import Image

from geocloud.db.cluster import session
from geocloud.demo.plan_truth import truth
from geocloud.features.literals import BEIJING
from geocloud.features.moment import Moment
from geocloud.jobs.run import Run, open_run
from geocloud.planning.acceptance import accept
from geocloud.planning.acceptance_plan import plan_of_layer
from geocloud.planning.acceptance_process import pack_of as acceptance_pack
from geocloud.planning.acceptance_report import report_of as acceptance_report
from geocloud.planning.comparison import run_comparison
from geocloud.planning.compliance import check_site
from geocloud.planning.compliance_process import pack_of
from geocloud.planning.compliance_report import report_of as site_report
from geocloud.planning.conflict_report import report_of as conflict_report
from geocloud.planning.matrix import matrix_of
from geocloud.planning.site import read_site
from geocloud.reports.model import Report
from geocloud.reports.pdf import render_pages
from geocloud.settings import Settings

_WIDTH = 1600


def _site(run: Run) -> Report:
    """A square of some 20 hectares where the master plan builds on basic farmland."""
    place = shapely.point_on_surface(next(s for s in truth("small") if s.rule == "F2").geometry)
    square = shapely.box(place.x - 0.0025, place.y - 0.002, place.x + 0.0025, place.y + 0.002)
    site = read_site(dict(shapely.geometry.mapping(square)), run.settings)
    return site_report(check_site(run, site, pack_of(run, "house")), "zh", "示例项目")


def _conflicts(run: Run) -> Report:
    return conflict_report(run, run_comparison(run, matrix_of("house", run.catalogue.layers, run.settings.web)), "zh")


def _acceptance(run: Run) -> Report:
    plan = plan_of_layer(run, "planning.master_plan", Moment(), datetime.now(BEIJING).date())
    return acceptance_report(accept(run, plan, acceptance_pack(run, "house")), "zh")


def _side_by_side(report: Report, count: int) -> Image.Image:
    pages = [Image.open(io.BytesIO(p)).convert("RGB") for p in render_pages(report, 110)[:count]]
    width, height = sum(p.width for p in pages) + 16 * (len(pages) - 1), max(p.height for p in pages)
    sheet = Image.new("RGB", (width, height), "#dfe4e6")
    at = 0
    for page in pages:
        sheet.paste(page, (at, 0))
        at += page.width + 16
    return sheet.resize((_WIDTH, round(height * _WIDTH / width)), Image.Resampling.LANCZOS)


def main(folder: Path) -> None:
    """Writes report-site.png, report-conflicts.png and report-acceptance.png."""
    settings = Settings.read()
    with session(settings.database, None) as urls, open_run(settings, urls.reader, language="zh") as run:
        for name, make in (("site", _site), ("conflicts", _conflicts), ("acceptance", _acceptance)):
            picture = _side_by_side(make(run), 3)
            picture.quantize(128).save(folder / f"report-{name}.png", optimize=True)
            print(folder / f"report-{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
