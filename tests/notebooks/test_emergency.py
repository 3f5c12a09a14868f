# SPDX-License-Identifier: Apache-2.0
"""The notebook of an incident is run against a server with workers, which make the road graph on their way."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pypdf import PdfReader

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.jobs.worker import Links, supervise
from geocloud.sectors import registry
from geocloud.sectors.emergency import circle
from geocloud.settings import Settings
from tests.jobs.conftest import settings_of, stop_workers
from tests.notebooks.conftest import Seen
from tests.notebooks.test_h3_map import maps_shown
from tests.notebooks.test_planning import run, said
from tests.web.conftest import run_server

_LAYERS = ("base.city", "base.county", "base.village", "base.road", "base.water_area", "base.water_line",
           "emergency.stock", "emergency.incident", "emergency.incident_log")  # fmt: skip


@pytest.fixture(scope="module")
def server(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, *registry.definitions(Settings().city))
    demo.load(urls.owner, "small", layers=[*_LAYERS, *circle.LAYERS])
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


def test_emergency(server: str, tmp_path: Path, opened: Callable[..., Seen]) -> None:
    notebook = run("emergency", server, tmp_path)
    words = said(notebook)
    assert "三圈以内人口" in words
    assert "指纹相同" in words and "指纹不同" not in words
    assert "满足" in words
    assert "已安置 0" not in words
    assert len(maps_shown(notebook, tmp_path)) == 3
    text = "".join(page.extract_text() for page in PdfReader(tmp_path / "sitrep.pdf").pages)
    assert "灾情报告" in text and "示例数据" in text
