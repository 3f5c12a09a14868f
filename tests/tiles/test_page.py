# SPDX-License-Identifier: Apache-2.0
"""docs/pmtiles.html in a browser: a downloaded archive is drawn without any server of ours."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from geocloud.settings import Settings, TileSettings
from geocloud.tiles.seed import seed
from tests.tiles.conftest import LAND, SITE, WAY, Town

sync_api = pytest.importorskip("playwright.sync_api")

_ROOT = Path(__file__).resolve().parents[2]
_CHROMIUM = shutil.which("chromium")
_VENDOR = _ROOT / "geocloud/web/static/vendor"
_ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
              "--ignore-gpu-blocklist"]  # fmt: skip


class _Silent(http.server.SimpleHTTPRequestHandler):
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A plain file server with the page and its libraries."""
    folder = tmp_path / "site"
    folder.mkdir()
    shutil.copy(_ROOT / "docs/pmtiles.html", folder)
    shutil.copytree(_VENDOR, folder / "lib")
    handler = functools.partial(_Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.skipif(_CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.skipif(not (_VENDOR / "pmtiles").is_dir(), reason="libraries are not set up: tools/frontend.sh")
def test_a_downloaded_archive_is_drawn(town: Town, tmp_path: Path, site: str) -> None:
    settings = Settings(tiles=TileSettings(tile_cache_dir=tmp_path / "cache"))
    archives = {r.name: r.path for r in seed(town.urls.reader, settings, jobs=1)}
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        page = browser.new_page(viewport={"width": 900, "height": 700})
        asked: list[str] = []
        errors: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        for name, kind in ((SITE, "Point"), (LAND, "Polygon"), (WAY, "LineString")):
            page.goto(f"{site}/pmtiles.html")
            page.wait_for_function("window.map?.isStyleLoaded()")
            page.set_input_files("#file", archives[name])
            page.wait_for_function(
                "map.getSource('archive') && map.areTilesLoaded() && map.queryRenderedFeatures().length"
            )
            kinds = page.evaluate(
                "[...new Set(map.queryRenderedFeatures().map(f => f.sourceLayer + ' ' + f.geometry.type))]"
            )
            assert [k.replace("Multi", "") for k in kinds] == [f"{name} {kind}"] * len(kinds) and kinds
            assert name in page.inner_text("#about")
            page.screenshot(path=tmp_path / f"{name}.png")
        browser.close()
    assert not errors
    assert asked and all(url.startswith((site, "blob:", "data:")) for url in asked), asked
