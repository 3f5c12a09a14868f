# SPDX-License-Identifier: Apache-2.0
"""A site of 20 hectares checked against all plans, to JSON and to PDF."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import numpy as np
import shapely

from benchmarks.ground import publish_all
from benchmarks.report import Finding
from benchmarks.special.base import Context, special
from geocloud import demo
from geocloud.catalogue.spec import read_layers
from geocloud.demo.plan_truth import truth
from geocloud.jobs.run import open_run
from geocloud.planning.compliance_process import PROCESS
from geocloud.settings import Settings

__all__ = ["checked"]

JSON_S, PDF_S = 0.5, 3.0
_SITES = 12
# Half a side of a square of 20 hectares.
_HALF_M = 223.6


@special("site-check", "a site of 20 ha against all plans")
def checked(context: Context) -> list[Finding]:
    """From opening the state of the database to the bytes, median and slowest of sites where plans disagree."""
    settings, urls, size = Settings(), context.ground.urls, context.ground.size
    publish_all(urls)
    layers, _ = read_layers(settings.city.layers_folder)
    wanted = [i for i in layers if i.startswith("planning.")] + ["base.county"]
    context.say("loading the plans")
    demo.load(urls.owner, size, layers=wanted)
    spots = truth(size)
    sites = [_square(spots[i].geometry) for i in np.linspace(0, len(spots) - 1, _SITES).astype(int)]
    found = []
    for output, title, target in (("report", "JSON", JSON_S), ("pdf", "PDF", PDF_S)):
        took = []
        for site in [sites[0], *sites]:
            begun = time.perf_counter()
            with open_run(settings, urls.reader) as run:
                PROCESS.run(run, {"site": site}, frozenset({output}))
            took.append(time.perf_counter() - begun)
        # The first is asked twice: imports and caches are not what is measured.
        value = median(took[1:])
        detail = f"{_SITES} sites, slowest {max(took[1:]) * 1000:.0f} ms, first of all {took[0] * 1000:.0f} ms"
        found.append(
            Finding(
                "site check", f"20 ha to {title}", value * 1000, "ms", f"< {target * 1000:.0f}", value < target, detail
            )
        )
    return found


def _square(place: Any) -> dict[str, Any]:
    at = shapely.point_on_surface(place)
    dy = _HALF_M / 110_950
    dx = dy / np.cos(np.radians(at.y))
    return dict(shapely.geometry.mapping(shapely.box(at.x - dx, at.y - dy, at.x + dx, at.y + dy)))
