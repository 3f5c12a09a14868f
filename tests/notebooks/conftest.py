# SPDX-License-Identifier: Apache-2.0
"""A real server over a part of the small demo city, and a browser that tells what it asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.notebook import City
from tests.web.conftest import run_server

ROOT = Path(__file__).resolve().parents[2]
LOADED = ["base.county", "base.water_area", "base.water_line", "base.road", "base.poi", "facility.component"]


@pytest.fixture(scope="module")
def demo_server(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server whose city has counties, waters, roads, places and components."""
    assert (ROOT / "geocloud/web/static/vendor/leaflet/leaflet.js").is_file(), "run tools/frontend.sh"
    conn = psycopg2.connect(urls.owner)
    sync(conn, *read_layers(ROOT / "layers"))
    conn.close()
    demo.load(urls.owner, "small", layers=LOADED)
    yield from run_server(urls.reader, tmp_path_factory.mktemp("home"), GEOCLOUD_WORKERS="1")


@pytest.fixture(scope="module")
def city(demo_server: str) -> City:
    return City(demo_server)


@dataclass
class Seen:
    """A page as opened, every address it asked for, and what its scripts complained of."""

    page: Page
    asked: list[str]
    complaints: list[str]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        found = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield found
        found.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Seen]]:
    """Opens a saved page; whatever it asks of another host is written down and, with `refuse`, not sent."""
    context = browser.new_context(viewport={"width": 1100, "height": 720})

    def run(path: Path, refuse: bool = True) -> Seen:
        page = context.new_page()
        seen = Seen(page, [], [])
        page.on("request", lambda r: seen.asked.append(r.url))
        page.on("pageerror", lambda e: seen.complaints.append(str(e)))
        page.on("console", lambda m: seen.complaints.append(m.text) if m.type == "error" else None)
        if refuse:
            page.route(lambda url: not url.startswith(("file:", "data:")), lambda route: route.abort())
        page.goto(path.as_uri(), wait_until="load")
        return seen

    yield run
    context.close()
