# SPDX-License-Identifier: Apache-2.0
"""A small city whose every row the tests know, and pages of its map that note all they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from geocloud.db.cluster import Urls

from .city import City, serve_city

# The software renderer shares two cores with the database.
PATIENCE = 60_000


class MapPage:
    """An open map, the addresses its page has asked for, and what it complained of."""

    def __init__(self, page: Page, base: str) -> None:
        self.page, self.base = page, base
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)

    def open(self, state: str = "") -> Page:
        """Opens the map at a state of its address and waits until it and its tools are there."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.base}/map{state}")
        self.page.wait_for_selector("html[data-ready=true]")
        return self.page

    def state(self) -> dict[str, str]:
        """What the address says."""
        pairs = (part.partition("=") for part in self.page.url.partition("#")[2].split("&"))
        return {key: unquote(value) for key, _, value in pairs}

    def until(self, part: str, there: bool = True) -> None:
        """Returns when the state in the address holds a text, or no longer holds it."""
        self.page.wait_for_url(lambda url: (part in unquote(url.partition("#")[2])) is there)

    def outside(self) -> list[str]:
        """Addresses asked for that are not on the host of the map."""
        host = urlsplit(self.base).netloc
        return [
            u for u in self.asked if urlsplit(u).scheme in ("http", "https", "ws", "wss") and urlsplit(u).netloc != host
        ]

    def asked_for(self, *parts: str) -> list[str]:
        """Addresses asked for that hold all of these."""
        return [u for u in self.asked if all(part in u for part in parts)]


@pytest.fixture(scope="module")
def city(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """The rows and a running server over them."""
    yield from serve_city(urls, tmp_path_factory.mktemp("home"))


@pytest.fixture
def visit(browser: Browser, city: City) -> Iterator[Callable[..., MapPage]]:
    """Makes a page for the map; at the end nothing may have left the host, nor may anything have gone wrong."""
    made: list[tuple[BrowserContext, MapPage]] = []

    def make(width: int = 1440, height: int = 900, **options: Any) -> MapPage:
        context = browser.new_context(
            viewport={"width": width, "height": height}, locale="zh-CN", timezone_id="Asia/Shanghai",
            accept_downloads=True, reduced_motion="reduce", **options,
        )  # fmt: skip
        context.set_default_timeout(PATIENCE)
        made.append((context, MapPage(context.new_page(), city.base)))
        return made[-1][1]

    yield make
    for context, visited in made:
        context.close()
        assert visited.outside() == []
        assert visited.complaints == []


@pytest.fixture
def visited(visit: Callable[..., MapPage]) -> MapPage:
    """A page for the map, as wide as a desk."""
    return visit()
