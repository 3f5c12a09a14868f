# SPDX-License-Identifier: Apache-2.0
"""The notebook of a storm is run over the demo's gauges, heights and workers, and its maps are looked at."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.demo.beside import clear_beside, load_beside
from geocloud.demo.water_readings import load_readings
from geocloud.jobs.worker import Links, supervise
from geocloud.notebook import City
from geocloud.sectors import registry
from geocloud.sectors.registry import definitions
from geocloud.settings import RasterSettings, Settings
from tests.jobs.conftest import settings_of, stop_workers
from tests.notebooks.conftest import Seen
from tests.notebooks.test_h3_map import maps_shown
from tests.notebooks.test_planning import asks_nobody, charts_shown, run, said
from tests.web.conftest import run_server

LAYERS = [
    "base.county", "base.township", "base.village", "base.road", "base.building", "base.water_line", "facility.school",
    "facility.hospital", "facility.elderly_care", "facility.shelter", "facility.river_gauge", "facility.rain_gauge",
    "water.river_reach", "water.sluice", "water.pump_station", "water.warning_level", "water.low_place",
]  # fmt: skip
NOON = "2024-07-27T20:00:00+08:00"


@pytest.fixture(scope="module")
def server(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    conn = psycopg2.connect(urls.owner)
    sync(conn, *definitions(Settings().city))
    conn.close()
    results = demo.load(urls.owner, "small", layers=LAYERS)
    rasters = tmp_path_factory.mktemp("rasters")
    with ThreadPoolExecutor() as aside:  # The browser of other tests has a loop of its own in this thread.
        assert aside.submit(load_beside, urls.writer, "small", results, rasters).result() > 10_000
    settings = settings_of(job_memory_mb=2048).model_copy(update={"rasters": RasterSettings(rasters_dir=rasters)})
    links = Links(urls.jobs, urls.reader, urls.writer)
    workers = multiprocessing.get_context("spawn").Process(
        target=supervise, args=(settings, links, registry.processes), daemon=False
    )
    workers.start()
    try:
        yield from run_server(
            urls.reader, tmp_path_factory.mktemp("home"), urls.writer, urls.jobs, GEOCLOUD_WORKERS="1"
        )
    finally:
        stop_workers(workers)


def test_the_notebook_of_a_storm(server: str, tmp_path: Path, opened: Callable[..., Seen]) -> None:
    notebook = run("water", server, tmp_path)
    words = said(notebook)
    assert (
        "读数过时 1 站" in words and "无读数 1 站" in words and "不完整 8 站" in words and charts_shown(notebook) == 2
    )
    names = ("water_status", "water_trace", "water_rain", "water_flood")
    saved = [tmp_path / f"{n}.html" for n in names]
    for seen in asks_nobody([*saved, *maps_shown(notebook, tmp_path)], opened):
        assert seen.page.locator("path.feature").count() >= 4
        assert "示例数据" in seen.page.locator(".gc-card").inner_text()


def test_dated_levels_of_the_demo(server: str) -> None:
    """Every fourth station's warning level was half a metre higher until the day of the new ones."""
    city = City(server)
    now = city.features("water.warning_level", datetime="2024-06-02").set_index("station_code")["warning_level_m"]
    then = city.features("water.warning_level", datetime="2024-05-30").set_index("station_code")["warning_level_m"]
    moved = (then - now).round(2)
    assert sorted(moved.unique()) == [0.0, 0.5] and (moved == 0.5).sum() == -(-len(now) // 4)


def test_rasters_and_readings_over_http(server: str) -> None:
    city = City(server)
    levels = city.run("water-status", datetime=NOON, outputs="status").status
    by = {s["code"]: s for s in levels["stations"]}
    verdicts = [by[c]["verdict"] for c in sorted(by)]
    assert (verdicts[1], verdicts[2], verdicts[4]) == ("stale", "no-reading", "cannot-compare")
    assert levels["synthetic"] is True and levels["example"] is True
    grid = city.run("rain-sum", datetime=NOON, hours=6, outputs="grid").grid
    assert grid.data[:4] == b"II*\0" and grid.name == "rain-sum.tif"


def test_what_is_beside_the_demo_is_cleared(server: str, urls: Urls, tmp_path: Path) -> None:
    with ThreadPoolExecutor() as aside:
        again = aside.submit(lambda: asyncio.run(load_readings(urls.writer, "small"))).result()
    assert (again.stored, again.quarantined) == (0, 0) and again.repeated == again.received > 10_000
    assert clear_beside(urls.owner, tmp_path) > 100
    conn = psycopg2.connect(urls.owner)
    with conn, conn.cursor() as cur:
        cur.execute("SELECT count(*) FROM sensing.observation")
        assert cur.fetchone() == (0,)
    conn.close()
