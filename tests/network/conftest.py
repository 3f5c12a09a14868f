# SPDX-License-Identifier: Apache-2.0
"""A database with a few roads whose graph is known, and an oracle that knows nothing of pgRouting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.jobs.run import Run, open_run
from geocloud.network.graph import build
from geocloud.sectors.registry import definitions
from geocloud.settings import Settings

SETTINGS = Settings()
Road = dict[str, Any]


def write_roads(url: str, roads: Sequence[Road]) -> None:
    """Replaces the roads by these: {wkt, class, oneway, bridge, tunnel, level, max_speed_kmh, valid_from}."""
    with connect(url, application_name="test") as conn, conn.cursor() as cur:
        cur.execute("DELETE FROM base.road")
        for n, r in enumerate(roads, 1):
            cur.execute(
                'INSERT INTO base.road (code, "class", oneway, bridge, tunnel, level, max_speed_kmh, geom) '
                "VALUES (%s, %s, %s, %s, %s, %s, %s, ST_Multi(ST_GeomFromText(%s, 4490)))",
                (r.get("code", f"R{n}"), r.get("class", "branch"), r.get("oneway"), r.get("bridge"), r.get("tunnel"),
                 r.get("level"), r.get("max_speed_kmh"), r["wkt"]),
            )  # fmt: skip


@pytest.fixture(scope="module")
def published(urls: Urls) -> Urls:
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, *definitions(SETTINGS.city))
    return urls


@pytest.fixture
def on_roads(published: Urls) -> Iterator[Callable[[Sequence[Road]], Run]]:
    """Writes roads, makes their graph, and opens a run on them."""
    opened: list[Any] = []

    def make(roads: Sequence[Road]) -> Run:
        write_roads(published.writer, roads)
        build(SETTINGS, published.writer)
        opened.append(open_run(SETTINGS, published.reader, language="en"))
        run: Run = opened[-1].__enter__()
        return run

    yield make
    for one in opened:
        one.__exit__(None, None, None)
