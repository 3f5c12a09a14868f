# SPDX-License-Identifier: Apache-2.0
"""Car parks near a place, with live readings and the walk along the road graph."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from benchmarks.ground import publish_all
from benchmarks.report import Finding
from benchmarks.special.base import Context, queued, special
from geocloud import demo
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.demo.parking_readings import bring_up
from geocloud.jobs.run import open_run
from geocloud.network.graph import build
from geocloud.sectors.parking.near import PROCESS
from geocloud.settings import Settings

__all__ = ["asked", "near"]

NEAR_MS = 50.0
_PLACES = 60
_LAYERS = ("facility.parking_lot", "parking.berth", "base.road")


@special("parking-near", "car parks within a walk, with live readings")
def near(context: Context) -> list[Finding]:
    """On an open state of the database, at places some steps from car parks all over the city; and with opening it."""
    settings, urls = Settings(), context.ground.urls
    publish_all(urls)
    context.say("loading car parks and their readings")
    demo.load(urls.owner, context.ground.size, layers=list(_LAYERS))
    bring_up(urls.writer)
    context.say("making the road graph")
    build(settings, urls.writer)
    return [*asked(settings, urls), queued(context, PROCESS.id, _asks(urls, 300), NEAR_MS)]


def _asks(urls: Urls, walk_m: int) -> list[dict[str, Any]]:
    """Inputs for places some steps from car parks all over the city."""
    with connect(urls.reader, application_name="geocloud bench") as conn, conn.cursor() as cur:
        cur.execute(
            "SELECT ST_X(geom) + 0.0007, ST_Y(geom) - 0.0006 FROM facility.parking_lot ORDER BY md5(code) LIMIT %s",
            (_PLACES,),
        )
        places = [list(map(float, r)) for r in cur.fetchall()]
    return [{"point": {"type": "Point", "coordinates": at}, "walk_m": walk_m, "limit": 50} for at in places]


def asked(settings: Settings, urls: Urls) -> list[Finding]:
    """The findings on a database that is ready."""
    found = []
    for walk_m in (300, 1_000):
        asks = _asks(urls, walk_m)
        took, features = [], []
        with open_run(settings, urls.reader) as run:
            # The first is asked twice: imports and what a connection reads first are not what is measured here.
            for inputs in [asks[0], *asks]:
                begun = time.perf_counter()
                answer = PROCESS.run(run, inputs, frozenset({"lots"}))["lots"]
                took.append((time.perf_counter() - begun) * 1_000)
                features += answer["features"]
        whole = []
        for inputs in asks[: _PLACES // 4]:
            begun = time.perf_counter()
            with open_run(settings, urls.reader) as run:
                PROCESS.run(run, inputs, frozenset({"lots"}))
            whole.append((time.perf_counter() - begun) * 1_000)
        lots = len(features)
        live = sum(f["properties"]["live"] != "unknown" for f in features)
        by_road = sum(f["properties"]["walk_by"] == "road" for f in features)
        if not lots or not by_road:
            raise RuntimeError(f"{lots} car parks found, {by_road} of them along roads")
        value = median(took[1:])
        detail = (
            f"{len(asks)} places, slowest {max(took[1:]):.0f} ms; {lots / len(took):.1f} car parks each, "
            f"{live / lots:.0%} with readings, {by_road / lots:.0%} along roads; with a connection and the catalogue "
            f"opened for it: median {median(whole):.0f} ms"
        )
        found.append(
            Finding("parking", f"car parks within {walk_m} m", value, "ms", f"< {NEAR_MS:.0f}", value < NEAR_MS, detail)
        )
    return found
