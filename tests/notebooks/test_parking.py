# SPDX-License-Identifier: Apache-2.0
"""The notebook of parking is run against a server with workers over the demo's car parks and their readings."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.demo.parking_readings import bring_up
from geocloud.jobs.worker import Links, supervise
from geocloud.notebook import City
from geocloud.sectors import registry
from geocloud.sectors.registry import definitions
from geocloud.settings import Settings
from tests.jobs.conftest import settings_of, stop_workers
from tests.notebooks.conftest import LOADED, Seen
from tests.notebooks.test_h3_map import maps_shown
from tests.notebooks.test_planning import asks_nobody, charts_shown, run, said
from tests.web.conftest import run_server

PARKING = ["facility.parking_lot", "parking.berth", "parking.guidance_board", "base.building", "base.township"]


@pytest.fixture(scope="module")
def server(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    conn = psycopg2.connect(urls.owner)
    sync(conn, *definitions(Settings().city))
    conn.close()
    demo.load(urls.owner, "small", layers=[*LOADED, *PARKING])
    bring_up(urls.writer)
    spawn = multiprocessing.get_context("spawn")
    links = Links(urls.jobs, urls.reader, urls.writer)
    workers = spawn.Process(
        target=supervise, args=(settings_of(job_memory_mb=2048), links, registry.processes), daemon=False
    )
    workers.start()
    try:
        yield from run_server(
            urls.reader, tmp_path_factory.mktemp("home"), urls.writer, urls.jobs, GEOCLOUD_WORKERS="1"
        )
    finally:
        stop_workers(workers)


def test_parking(server: str, tmp_path: Path, opened: Callable[..., Seen]) -> None:
    notebook = run("parking", server, tmp_path)
    words = said(notebook)
    assert charts_shown(notebook) == 1
    for word in ("【区域】", "【路段】", "【场库】", "余位", "示例比率", "回测", "不足"):
        assert word in words, word
    # The road graph was made by the first run that needed it.
    near = City(server).run("parking-near", point={"type": "Point", "coordinates": [115.98, 36.45]}, walk_m=3_000)
    assert set(near.lots["walk_by"]) == {"road"} and "current" in set(near.lots["live"])
    pages = [tmp_path / "parking_near.html", tmp_path / "parking_gap.html"]
    one, other, *_ = asks_nobody([*pages, *maps_shown(notebook, tmp_path)], opened)
    assert one.page.locator("path.feature").count() >= 3
    assert other.page.locator("path.feature").count() == 136
    assert all("示例数据" in x.page.locator(".gc-card").inner_text() for x in (one, other))
