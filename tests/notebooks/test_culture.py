# SPDX-License-Identifier: Apache-2.0
"""The notebook of culture is run against a server with workers: reach by township on a map, and a trail."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.jobs.worker import Links, supervise
from geocloud.notebook import City
from geocloud.sectors import registry
from geocloud.sectors.registry import definitions
from geocloud.settings import Settings
from tests.jobs.conftest import settings_of, stop_workers
from tests.notebooks.conftest import LOADED, Seen
from tests.notebooks.test_h3_map import maps_shown
from tests.notebooks.test_planning import asks_nobody, run, said
from tests.web.conftest import run_server

CULTURE = ["base.township", "facility.culture_venue", "facility.heritage_site", "culture.intangible_heritage"]


@pytest.fixture(scope="module")
def server(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    conn = psycopg2.connect(urls.owner)
    sync(conn, *definitions(Settings().city))
    conn.close()
    demo.load(urls.owner, "small", layers=[*LOADED, *CULTURE])
    links = Links(urls.jobs, urls.reader, urls.writer)
    workers = multiprocessing.get_context("spawn").Process(
        target=supervise, args=(settings_of(job_memory_mb=2048), links, registry.processes), daemon=False
    )
    workers.start()
    try:
        home = tmp_path_factory.mktemp("home")
        yield from run_server(urls.reader, home, urls.writer, urls.jobs, GEOCLOUD_WORKERS="1")
    finally:
        stop_workers(workers)


def test_culture(server: str, tmp_path: Path, opened: Callable[..., Seen]) -> None:
    notebook = run("culture", server, tmp_path)
    words = said(notebook)
    table = City(server).run("culture-reach", districts="base.township", distance_m=3_000).table
    assert f"{table['totals']['share_reached']:.1%}" in words
    farthest = max((r for r in table["rows"] if r["verdict"] == "not-reached"), key=lambda r: r["nearest_m"])
    assert farthest["name"] in words
    assert "路程:" in words and "步行" in words
    pages = maps_shown(notebook, tmp_path)
    assert len(pages) == 2
    first, _ = asks_nobody(pages, opened)
    assert "可达" in first.page.content()
