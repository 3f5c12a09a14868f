# SPDX-License-Identifier: Apache-2.0
"""Rings round an incident, and teams and stores by drive time, in the whole demo city."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.ground import publish_all
from benchmarks.report import Finding
from benchmarks.special.base import Context, queued, special
from geocloud import demo
from geocloud.jobs.run import Run, open_run
from geocloud.network.graph import build
from geocloud.sectors.emergency import circle, dispatch
from geocloud.sectors.emergency.common import origin_of
from geocloud.settings import Settings

__all__ = ["answered"]

TARGET_MS = 50.0
_PLACES = 25


@special("emergency", "rings, dispatch by drive time")
def answered(context: Context) -> list[Finding]:
    """In one state of the database, median and slowest over hazards all over the city; and making the road graph."""
    settings, urls, size = Settings(), context.ground.urls, context.ground.size
    publish_all(urls)
    context.say("loading roads, people and emergency")
    demo.load(urls.owner, size, layers=["base.road", "base.village", "base.city", *circle.LAYERS, "emergency.stock"])
    begun = time.perf_counter()
    build(settings, urls.writer)
    built = time.perf_counter() - begun
    found = [Finding("road graph", "made of the roads", built, "s", "", None, f"{size} city")]
    with open_run(settings, urls.reader) as run:
        with run.reader.cursor() as cur:
            cur.execute("SELECT ST_X(geom), ST_Y(geom) FROM emergency.hazard ORDER BY fid")
            places = cur.fetchall()
        places = places[:: max(1, len(places) // _PLACES)]
        for name, ask in (
            ("incident-circle, three rings, eight layers", _rings),
            ("resource-dispatch, 100 tents and three teams, with routes", _dispatched),
        ):
            found.append(_timed(run, name, places, ask))
    asks = [{"point": {"type": "Point", "coordinates": [x, y]}} for x, y in places]
    return [*found, queued(context, "incident-circle", asks, TARGET_MS)]


def _timed(run: Run, name: str, places: list[Any], ask: Callable[[Run, float, float], object]) -> Finding:
    took = []
    for x, y in [places[0], *places]:
        begun = time.perf_counter()
        ask(run, x, y)
        took.append((time.perf_counter() - begun) * 1000)
    # The first is asked twice: imports and caches are not what is measured.
    value = median(took[1:])
    detail = f"{len(places)} places, slowest {max(took[1:]):.0f} ms"
    return Finding("emergency", name, value, "ms", f"< {TARGET_MS:.0f}", value < TARGET_MS, detail)


def _rings(run: Run, x: float, y: float) -> object:
    return circle.incident_circle(run, origin_of({"type": "Point", "coordinates": [x, y]}, None))


def _dispatched(run: Run, x: float, y: float) -> object:
    return dispatch.resource_dispatch(run, x, y, [dispatch.Need("tent", 100)], teams=3)
