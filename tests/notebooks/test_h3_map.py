# SPDX-License-Identifier: Apache-2.0
"""The notebook is run, and its maps are opened in a browser: all hexagons drawn, no other host asked."""

from __future__ import annotations

import html
import os
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import folium
import nbformat
import pytest
from nbclient import NotebookClient

from geocloud.notebook import City
from tests.notebooks.conftest import ROOT, Seen

NOTEBOOK = ROOT / "notebooks/h3_map.ipynb"

# The middle of a shape that nothing lies over, in pixels of the window.
UPPERMOST = """() => [...document.querySelectorAll("path.feature")].map((shape) => {
  const box = shape.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}).find((at) => document.elementFromPoint(...at)?.matches("path.feature"))"""


@pytest.fixture(scope="module")
def run(demo_server: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[nbformat.NotebookNode, Path]:
    """The notebook with its outputs, and the folder it was run in."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with mock.patch.dict(os.environ, {"GEOCLOUD_URL": demo_server}):
        NotebookClient(
            notebook, timeout=180, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()
    return notebook, folder


def maps_shown(notebook: nbformat.NotebookNode, folder: Path) -> list[Path]:
    """Pages of the maps in the outputs, as the notebook's frames hold them."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            text = output.get("data", {}).get("text/html", "")
            if page := re.search(r'srcdoc="([^"]*)"', text, re.S):
                found.append(folder / f"shown{len(found)}.html")
                found[-1].write_text(html.unescape(page[1]), encoding="utf-8")
    return found


def test_notebook_is_stored_without_outputs() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert not [c for c in cells if c.get("outputs") or c.get("execution_count")]


def test_maps_draw_every_cell_and_ask_nobody(
    run: tuple[nbformat.NotebookNode, Path], city: City, opened: Callable[..., Seen]
) -> None:
    notebook, folder = run
    cells = city.h3("facility.component")
    at = cells.geometry.loc[cells["density"].idxmax()].centroid
    box = (at.x - 0.1, at.y - 0.08, at.x + 0.1, at.y + 0.08)
    near = city.h3("facility.component", resolution=8, bbox=box, filter="category = 'lamp'")
    shown = maps_shown(notebook, folder)
    expected = dict(zip([*shown, folder / "h3_map.html"], [len(cells), len(cells), len(near), len(cells)], strict=True))
    for path, count in expected.items():
        seen = opened(path)
        assert seen.page.locator("path.hexagon").count() == count > 10
        assert seen.asked == [path.as_uri()]
        assert seen.complaints == []


def test_map_says_what_it_shows(
    run: tuple[nbformat.NotebookNode, Path], city: City, opened: Callable[..., Seen]
) -> None:
    page = opened(run[1] / "h3_map.html").page
    card = page.locator(".gc-card")
    cells = city.h3("facility.component")
    assert card.locator("h1").inner_text() == "城市部件分布"
    assert f"{cells['count'].sum():,}" in card.inner_text() and "示例数据" in card.inner_text()
    classes = [int(t.replace(",", "")) for t in card.locator("li b").all_inner_texts()]
    assert sum(classes) == len(cells) and 2 <= len(classes) <= 6
    colours = {p.get_attribute("fill") for p in page.locator("path.hexagon").all()}
    assert len(colours) == len(classes)
    assert "来源" in page.locator(".leaflet-control-attribution").inner_text()
    assert page.locator(".leaflet-control-scale-line").inner_text().endswith(" km")
    assert set(page.locator(".gc-name").all_inner_texts()) == set(city.features("base.county")["name"])


def test_tooltip_is_in_chinese_with_the_titles_of_codes(
    run: tuple[nbformat.NotebookNode, Path], city: City, opened: Callable[..., Seen]
) -> None:
    page = opened(run[1] / "h3_map.html").page
    cells = city.h3("facility.component")
    page.locator("path.hexagon").nth(int(cells["count"].argmax())).hover()
    text = page.locator(".gc-tip").inner_text()
    most = cells.iloc[int(cells["count"].argmax())]
    assert f"数量\t{most['count']}" in text and "构成" in text
    assert cells.attrs["codes"]["category"][most["category"]] in text


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """Another server: its address, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_what_is_added_cannot_ask_another_host(
    city: City, tmp_path: Path, opened: Callable[..., Seen], elsewhere: tuple[str, list[str]]
) -> None:
    address, asked = elsewhere
    closed = city.map(city.h3("facility.component", resolution=5))
    folium.TileLayer(f"{address}/{{z}}/{{x}}/{{y}}.png", attr="elsewhere").add_to(closed)
    text = closed.get_root().render()
    policy = re.compile(r'<meta http-equiv="content-security-policy"[^>]*>')
    for name, page in {"closed": text, "open": policy.sub("", text)}.items():
        (tmp_path / f"{name}.html").write_text(page, encoding="utf-8")
        seen = opened(tmp_path / f"{name}.html", refuse=False)
        seen.page.wait_for_selector("path.hexagon")
        seen.page.wait_for_load_state("networkidle")
        # Without the policy the same page does ask, so that the silence before is the policy's.
        assert bool(asked) == (name == "open")


def test_recorder_sees_what_plain_folium_asks_for(tmp_path: Path, opened: Callable[..., Seen]) -> None:
    folium.Map((36.45, 115.98)).save(tmp_path / "plain.html")
    hosts = {a.split("/")[2] for a in opened(tmp_path / "plain.html").asked if a.startswith("http")}
    assert len(hosts) >= 3


def test_map_rests_when_it_is_open(city: City, tmp_path: Path, opened: Callable[..., Seen]) -> None:
    city.map(city.h3("facility.component", resolution=5)).save(tmp_path / "rests.html")
    page = opened(tmp_path / "rests.html").page
    assert page.locator("path.hexagon").count() > 0
    assert page.evaluate("document.querySelectorAll('.leaflet-zoom-anim').length") == 0


def test_titles_cannot_bring_scripts_into_the_page(city: City, tmp_path: Path, opened: Callable[..., Seen]) -> None:
    places = city.features("base.poi", limit=20)
    places["name"] = "</script><img src=x onerror='document.title=\"broken\"'>"
    evil = city.map(places, column="category", title="<img src=x onerror='document.title=\"broken\"'>")
    evil.save(tmp_path / "evil.html")
    seen = opened(tmp_path / "evil.html")
    shapes = seen.page.locator("path.feature")
    assert shapes.count() == 20
    seen.page.mouse.move(*seen.page.evaluate(UPPERMOST))
    seen.page.wait_for_selector(".gc-tip")
    assert "onerror" in seen.page.locator(".gc-tip").inner_text()
    assert seen.page.title() != "broken" and seen.page.locator(".gc-card img, .gc-tip img").count() == 0
