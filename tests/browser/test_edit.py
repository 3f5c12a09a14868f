# SPDX-License-Identifier: Apache-2.0
"""A feature changed through the API is seen changed on an open map, and so is one that is added and taken away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest

from geocloud.catalogue.keys import add_key
from geocloud.catalogue.spec import read_layers
from tests.browser.conftest import ROOT, Demo, Open, Tab
from tests.web.conftest import run_server

LOT = "facility.parking_lot"
WITHIN_S = 2.0
_SEND = """async ([method, path, type, match, key, body]) => {
  const headers = {"x-api-key": key, "content-type": type, ...(match ? {"if-match": match} : {})};
  const answer = await fetch(path, {method, headers, body: body ? JSON.stringify(body) : undefined});
  return [answer.status, answer.headers.get("location"), await answer.text()];
}"""
_DRAWN = """async () => {
  const app = await window.geocloud;
  const ours = app.map.getStyle().layers.filter((l) => l.metadata?.["geocloud:collection"] === "facility.parking_lot");
  const found = app.map.queryRenderedFeatures({layers: ours.map((l) => l.id)});
  return Object.fromEntries(found.map((f) => [f.id, f.geometry.coordinates]));
}"""


@pytest.fixture(scope="module")
def editable(demo_city: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A second server over the demo city, on which car parks may be changed."""
    from geocloud.catalogue.publish import sync

    layers, codes = read_layers(ROOT / "layers")
    layers[LOT] = layers[LOT].model_copy(update={"access": layers[LOT].access.model_copy(update={"edit": True})})
    conn = psycopg2.connect(demo_city.urls.owner)
    sync(conn, layers, codes)
    conn.close()
    home: Path = tmp_path_factory.mktemp("editing")
    for base in run_server(demo_city.urls.reader, home, writer=demo_city.urls.writer, GEOCLOUD_EDITING="true"):
        yield replace(demo_city, base=base)


@pytest.fixture
def key(editable: Demo) -> str:
    conn = psycopg2.connect(editable.urls.owner)
    try:
        return add_key(conn, f"browser-{time.monotonic_ns()}", [LOT])
    finally:
        conn.close()


def drawn(tab: Tab) -> dict[int, tuple[float, float]]:
    return {int(fid): tuple(at) for fid, at in tab.page.evaluate(_DRAWN).items()}


def until(tab: Tab, condition: object) -> float:
    """Seconds until what is drawn fulfils the condition; fails when that takes too long."""
    assert callable(condition)
    begun = time.monotonic()
    while not condition(now := drawn(tab)):
        assert time.monotonic() - begun < 10, now
        tab.page.wait_for_timeout(20)
    return time.monotonic() - begun


def test_an_edit_through_the_api_is_on_screen_at_once(editable: Demo, open_map: Open, key: str) -> None:
    fid, x, y = editable.rows(
        "SELECT fid, ST_X(geom), ST_Y(geom) FROM facility.parking_lot "
        "ORDER BY geom <-> ST_Point(115.98, 36.45, 4490) LIMIT 1"
    )[0]
    tab = open_map(f"at=17/{y}/{x}&on={LOT}", base=editable.base, tolerant=True)
    until(tab, lambda now: fid in now)
    path = f"/collections/{LOT}/items/{fid}"
    etag = tab.page.evaluate("async (p) => (await fetch(p)).headers.get('etag')", path)
    moved = (x + 0.0004, y + 0.0002)
    body = {"geometry": {"type": "Point", "coordinates": list(moved)}}
    patch = ["PATCH", path, "application/merge-patch+json"]
    status, _, text = tab.page.evaluate(_SEND, [*patch, etag, key, body])
    assert status == 200, text
    taken = until(
        tab, lambda now: fid in now and abs(now[fid][0] - moved[0]) < 2e-5 and abs(now[fid][1] - moved[1]) < 2e-5
    )
    assert taken < WITHIN_S
    # The version it had is no longer the one to be changed, which the browser complains of.
    status, _, text = tab.page.evaluate(_SEND, [*patch, etag, key, body])
    assert status == 412, text

    draft = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [x - 0.0004, y]},
             "properties": {"code": f"EDIT{fid}", "name": "新停车场"}}  # fmt: skip
    post = ["POST", f"/collections/{LOT}/items", "application/geo+json", None, key, draft]
    status, location, text = tab.page.evaluate(_SEND, post)
    assert status == 201, text
    new = int(location.rsplit("/", 1)[1])
    assert until(tab, lambda now: new in now) < WITHIN_S
    etag = tab.page.evaluate("async (p) => (await fetch(p)).headers.get('etag')", f"/collections/{LOT}/items/{new}")
    status, _, text = tab.page.evaluate(_SEND, ["DELETE", f"/collections/{LOT}/items/{new}", "", etag, key, None])
    assert status == 204, text
    assert until(tab, lambda now: new not in now) < WITHIN_S
