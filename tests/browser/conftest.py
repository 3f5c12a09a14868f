# SPDX-License-Identifier: Apache-2.0
"""The demo city behind a real server, opened in the system's Chromium; nothing may leave the host or go wrong."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.jobs.worker import Links, supervise
from geocloud.sectors import registry
from geocloud.settings import DatabaseSettings
from tests.conftest import _fresh, _urls_of
from tests.jobs.conftest import settings_of, stop_workers
from tests.web.conftest import run_server

ROOT = Path(__file__).resolve().parents[2]
DESKTOP, PHONE = (1120, 720), (390, 844)
# WebGL without a graphics card.
_ARGUMENTS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
              "--no-sandbox"]  # fmt: skip
_IDLE = """async () => {
  const app = await window.geocloud;
  const quiet = () => app.map.loaded() && app.map.areTilesLoaded() && !app.map.isMoving();
  // A tile found unchanged is not drawn anew, and then no event tells of the end.
  const beat = () => new Promise((done) => { app.map.once("idle", done); setTimeout(done, 100); });
  while (!quiet()) await beat();
}"""


@dataclass
class Demo:
    """The demo city: its database and the address of its server."""

    urls: Urls
    base: str

    def rows(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        """Rows of a query, or of a change made as the writer role makes it."""
        conn = psycopg2.connect(self.urls.writer)
        with conn, conn.cursor() as cur:
            cur.execute(sql, args)
            found = list(cur.fetchall()) if cur.description else []
        conn.close()
        return found

    def one(self, sql: str, *args: object) -> Any:
        """The first value of the first row."""
        return self.rows(sql, *args)[0][0]


@dataclass
class Seen:
    """What a page asked for and complained of."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@dataclass
class Tab:
    """An open map."""

    page: Page
    seen: Seen

    def idle(self) -> None:
        """Returns when everything asked for is drawn."""
        self.page.evaluate(_IDLE)

    def app(self, script: str, argument: Any = None) -> Any:
        """The value of a script that is given the application as `app`, and an argument as `x`."""
        return self.page.evaluate(f"async (x) => {{ const app = await window.geocloud; return ({script}); }}", argument)

    def until(self, script: str, argument: Any = None, within_s: float = 60) -> Any:
        """The value of a script as of `app`, as soon as it says more than nothing; it may wait for promises itself.

        Playwright's own wait takes the promise of such a script for its answer, and never waits.
        """
        end = time.monotonic() + within_s
        while not (found := self.app(script, argument)):
            assert time.monotonic() < end, f"still {found!r}: {script}"
            self.page.wait_for_timeout(50)
        return found

    def state(self) -> dict[str, str]:
        """What the address says."""
        return dict(self.app("app.state.keys('').map((k) => [k, app.state.get(k)])"))


Open = Callable[..., Tab]


@pytest.fixture(scope="package")
def demo_city(cluster: DatabaseSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The small demo city with every layer of the house, and a server over it."""
    for name in _fresh(cluster):
        urls = _urls_of(cluster, name)
        conn = psycopg2.connect(urls.owner)
        sync(conn, *read_layers(ROOT / "layers"))
        conn.close()
        demo.load(urls.owner, "small")
        for base in run_server(urls.reader, tmp_path_factory.mktemp("home")):
            yield Demo(urls, base)


@pytest.fixture(scope="module")
def base(demo_city: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over the demo city with workers."""
    urls = demo_city.urls
    links = Links(urls.jobs, urls.reader, urls.writer)
    workers = multiprocessing.get_context("spawn").Process(
        target=supervise, args=(settings_of(job_memory_mb=2048), links, registry.processes)
    )
    workers.start()
    yield from run_server(urls.reader, tmp_path_factory.mktemp("home"), urls.writer, urls.jobs)
    stop_workers(workers)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "Chromium is missing: run `tools/setup.sh test`"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def open_map(demo_city: Demo, browser: Browser) -> Iterator[Open]:
    """Opens the map; at the end every request must have stayed on the host and nothing been complained of."""
    tabs: list[tuple[Tab, bool, str]] = []

    def open_it(
        state: str = "", *, size: tuple[int, int] = DESKTOP, lang: str = "zh-CN", tolerant: bool = False,
        base: str = demo_city.base, **more: Any,
    ) -> Tab:  # fmt: skip
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, locale=lang, reduced_motion="reduce", **more
        )
        context.set_default_timeout(90_000)
        page, seen = context.new_page(), Seen()

        def asked(request: Request) -> None:
            seen.requests.append(request.url)

        context.on("request", asked)
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("console", lambda m: seen.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.goto(f"{base}/map{'#' + state if state else ''}")
        page.wait_for_selector("html[data-ready=true]")
        tab = Tab(page, seen)
        tabs.append((tab, tolerant, urlsplit(base).netloc))
        tab.idle()
        return tab

    yield open_it
    for tab, tolerant, host in tabs:
        tab.page.context.close()
        strangers = [u for u in tab.seen.requests if urlsplit(u).scheme in ("http", "https", "ws", "wss")
                     and urlsplit(u).netloc != host]  # fmt: skip
        assert strangers == []
        assert tolerant or tab.seen.complaints == []
