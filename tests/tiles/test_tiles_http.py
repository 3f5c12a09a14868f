# SPDX-License-Identifier: Apache-2.0
"""Tiles, tile sets and the stream of changes of a real server with two workers."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from morecantile import TileMatrixSet

from geocloud.db.cluster import Urls
from geocloud.tiles.grids import grid, grids
from tests.tiles.city import LAMP, PLOT, WAY, Tiles, features, fill
from tests.web.conftest import run_server

# One client: making a context for TLS anew would be most of the time of a request.
WEB = httpx.Client(timeout=30)
CENTRE = (115.98, 36.45)
NAMES = (LAMP, PLOT, WAY)


@pytest.fixture(scope="module")
def tiles(urls: Urls) -> Tiles:
    fill(urls.owner, rows=1500)
    return Tiles(urls)


@pytest.fixture(scope="module")
def base(tiles: Tiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    yield from run_server(tiles.urls.reader, home, GEOCLOUD_TILE_CACHE_DIR=str(home / "tiles"))


def address(
    base: str, where: str, zoom: int, lonlat: tuple[float, float] = CENTRE, name: str = "WebMercatorQuad"
) -> str:
    g = grid(name)
    matrix = g.matrix_of_zoom(zoom)
    assert matrix is not None
    row, _, column, _ = g.limits((*lonlat, *lonlat), matrix)
    return f"{base}{where}/{name}/{matrix}/{row}/{column}"


def one(base: str, collection: str, zoom: int, lonlat: tuple[float, float] = CENTRE, query: str = "") -> httpx.Response:
    return WEB.get(address(base, f"/collections/{collection}/tiles", zoom, lonlat) + query)


def test_tile_matrix_sets_are_valid_and_tianditu_counts_from_one(base: str) -> None:
    listed = WEB.get(f"{base}/tileMatrixSets").json()["tileMatrixSets"]
    assert [t["id"] for t in listed] == list(grids())
    documents = {t["id"]: WEB.get(t["links"][0]["href"]).json() for t in listed}
    for document in documents.values():
        TileMatrixSet.model_validate(document)
    c, geographic = documents["c"]["tileMatrices"], documents["WorldCRS84Quad"]["tileMatrices"]
    assert (c[0]["id"], c[0]["matrixWidth"], c[0]["matrixHeight"], c[0]["cellSize"]) == ("1", 2, 1, 0.703125)
    # By the 0.28 mm pixel, not the 96 dots per inch of Tianditu's own capabilities (2.958e8).
    assert c[0]["scaleDenominator"] == pytest.approx(2.795411320143589e8, rel=1e-9)
    assert c[0]["pointOfOrigin"] == [90.0, -180.0]
    assert geographic[0]["pointOfOrigin"] == [-180.0, 90.0]
    assert [m["cellSize"] for m in documents["w"]["tileMatrices"][:3]] == [
        m["cellSize"] for m in documents["WebMercatorQuad"]["tileMatrices"][1:4]
    ]


def test_tianditu_level_is_one_above_the_ogc_grid(base: str) -> None:
    g, tianditu = grid("WorldCRS84Quad"), grid("c")
    for zoom in (8, 12):
        ogc, own = g.matrix_of_zoom(zoom), tianditu.matrix_of_zoom(zoom)
        assert int(own or 0) == int(ogc or 0) + 1
        first = WEB.get(address(base, f"/collections/{LAMP}/tiles", zoom, name="WorldCRS84Quad"))
        second = WEB.get(address(base, f"/collections/{LAMP}/tiles", zoom, name="c"))
        assert first.status_code == 200
        assert first.content == second.content


def test_a_tile_of_several_layers_is_its_layers_one_after_another(base: str) -> None:
    parts = [one(base, name, 12).content for name in NAMES]
    assert all(parts)
    assert WEB.get(address(base, "/tiles", 12)).content == b"".join(parts)
    assert WEB.get(address(base, "/themes/test/tiles", 12)).content == b"".join(parts)
    chosen = WEB.get(address(base, "/tiles", 12) + f"?collections={WAY},{LAMP}").content
    assert chosen == parts[2] + parts[0]


def test_empty_outside_and_unknown_are_told_apart(base: str) -> None:
    assert one(base, LAMP, 12, (10.0, 50.0)).status_code == 204
    assert one(base, LAMP, 3).status_code == 204
    for path in ("WebMercatorQuad/3/8/0", "WebMercatorQuad/3/0/8", "WebMercatorQuad/25/0/0", "WebMercatorQuad/3/-1/0",
                 "WebMercatorQuad/3/x/0", "c/0/0/0", "Nowhere/3/0/0"):  # fmt: skip
        answer = WEB.get(f"{base}/collections/{LAMP}/tiles/{path}")
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json"
    assert WEB.get(f"{base}/collections/test.none/tiles/WebMercatorQuad/3/0/0").status_code == 404
    assert WEB.get(f"{base}/themes/none/tiles/WebMercatorQuad/3/0/0").status_code == 404
    for query in ("?limit=3", "?f=png", "?datetime=never", "?filter=nothing"):
        assert one(base, LAMP, 12, query=query).status_code == 400, query
    assert WEB.get(address(base, "/tiles", 12) + "?filter=size=1").status_code == 400
    for chosen in ("test.other", "", "test.lamp,"):
        assert WEB.get(address(base, "/tiles", 12) + f"?collections={chosen}").status_code == 400
        assert WEB.get(f"{base}/themes/test/tiles/c?collections={chosen}").status_code == 400
    assert WEB.get(f"{base}/tiles/c?f=other").status_code == 406


def inside(tiles: Tiles, zoom: int, condition: str) -> int:
    g = grid("WebMercatorQuad")
    row, _, column, _ = g.limits((*CENTRE, *CENTRE), str(zoom))
    t = g.tile(str(zoom), str(row), str(column))
    return int(
        tiles.query(
            "SELECT count(*) FROM test.lamp WHERE ST_X(tile_geom) >= %s AND ST_X(tile_geom) < %s "
            f"AND ST_Y(tile_geom) > %s AND ST_Y(tile_geom) <= %s AND {condition}",
            t.west, t.east, t.south, t.north,
        )[0][0]
    )  # fmt: skip


@pytest.mark.parametrize("zoom", [9, 12])
@pytest.mark.parametrize(
    ("query", "condition"),
    [("?filter=size > 50 AND kind = 'lamp'", "size > 50 AND kind = 'lamp'"), ("?kind=tree", "kind = 'tree'"),
     ("?datetime=2026-11-22", "true")],
    ids=["cql2", "name=value", "datetime"],
)  # fmt: skip
def test_filters_hold_for_tiles_at_every_zoom(base: str, tiles: Tiles, zoom: int, query: str, condition: str) -> None:
    found = features(one(base, LAMP, zoom, query=query.replace(" ", "%20").replace(">", "%3E")).content, LAMP)
    if zoom == 9:
        assert sum(f["properties"]["count"] for f in found) == inside(tiles, zoom, condition)
    else:
        points = [f["geometry"]["coordinates"] for f in found]
        got = sum(0 <= x < 4096 and 0 <= y < 4096 for x, y in points)
        # Rounding may carry a point over the tile's edge.
        assert math.isclose(got, inside(tiles, zoom, condition), abs_tol=2)
        assert got > 20


def test_properties_are_those_asked_for(base: str) -> None:
    def names(query: str) -> set[str]:
        return {k for f in features(one(base, LAMP, 12, query=query).content, LAMP) for k in f["properties"]}

    assert names("") == {"kind"}
    assert names("?properties=size") == {"size"}
    assert names("?properties=*") == {"code", "kind", "size", "seen"}
    seen = {f["properties"]["seen"] for f in features(one(base, LAMP, 12, query="?properties=seen").content, LAMP)}
    assert seen == {"2026-01-01T00:00:00+00:00"}


def test_tile_sets_tell_where_tiles_are(base: str) -> None:
    for where in (f"/collections/{LAMP}/tiles", "/themes/test/tiles", "/tiles"):
        listed = WEB.get(base + where).json()["tilesets"]
        assert [t["tileMatrixSetId"] for t in listed] == list(grids())
        for name in grids():
            metadata = WEB.get(f"{base}{where}/{name}").json()
            for limit in metadata["tileMatrixSetLimits"]:
                place = f"{limit['tileMatrix']}/{limit['minTileRow']}/{limit['minTileCol']}"
                assert WEB.get(f"{base}{where}/{name}/{place}").status_code in (200, 204)
        tilejson = WEB.get(f"{base}{where}/WebMercatorQuad?f=tilejson").json()
        assert tilejson["tilejson"] == "3.0.0"
        middle = tilejson["tiles"][0].format(z=5, x=26, y=12)
        decoded = {n for n in NAMES if features(WEB.get(middle).content, n)}
        assert decoded == {v["id"] for v in tilejson["vector_layers"]}


def test_an_unchanged_tile_is_not_sent_again(base: str) -> None:
    url = address(base, f"/collections/{LAMP}/tiles", 12)
    first = WEB.get(url)
    again = WEB.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = WEB.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == first.content


class Events:
    """Reads a stream of events in a thread of its own."""

    def __init__(self, url: str) -> None:
        self.seen: list[tuple[float, str, dict[str, Any]]] = []
        self.ready = threading.Event()
        self._arrived = threading.Condition()
        threading.Thread(target=self._read, args=(url,), daemon=True).start()
        assert self.ready.wait(10)

    def _read(self, url: str) -> None:
        with httpx.stream("GET", url, timeout=60) as answer:
            kind = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: "):
                    with self._arrived:
                        self.seen.append((time.monotonic(), kind, json.loads(line[6:])))
                        self._arrived.notify_all()
                    self.ready.set()

    def changes(self) -> list[tuple[float, dict[str, Any]]]:
        return [(at, data) for at, kind, data in self.seen if kind == "change"]

    def wait(self, number: int) -> list[tuple[float, dict[str, Any]]]:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.changes()) >= number, 10)
        return self.changes()


def test_an_edit_is_told_within_a_second_and_only_touched_tiles_change(base: str, tiles: Tiles) -> None:
    events = Events(f"{base}/events?collections={LAMP}")
    far = (115.4, 35.9)
    tiles.query("INSERT INTO test.lamp (code, geom) VALUES ('far', ST_Point(115.4, 35.9, 4490))")
    events.wait(1)
    touched = {z: address(base, f"/collections/{LAMP}/tiles", z) for z in (6, 9, 12, 15)}
    untouched = [address(base, f"/collections/{LAMP}/tiles", z, far) for z in (11, 12)]
    before = {url: WEB.get(url) for url in [*touched.values(), *untouched]}
    started = time.monotonic()
    tiles.query("INSERT INTO test.lamp (code, kind, geom) VALUES ('edit', 'bin', ST_Point(115.98, 36.45, 4490))")
    (arrived, change) = events.wait(2)[1]
    assert arrived - started < 1
    assert change["collection"] == LAMP
    assert change["count"] == 1
    assert change["bbox"] == pytest.approx([115.98, 36.45, 115.98, 36.45])
    fid = tiles.query("SELECT fid FROM test.lamp WHERE code = 'edit'")[0][0]
    # Asked several times, so that both workers answer.
    for _ in range(4):
        for zoom, url in touched.items():
            now = WEB.get(url)
            assert now.headers["etag"] != before[url].headers["etag"]
            if zoom >= 12:
                assert fid in {f["id"] for f in features(now.content, LAMP)}
        for url in untouched:
            assert WEB.get(url).headers["etag"] == before[url].headers["etag"]
    tiles.query("DELETE FROM test.lamp WHERE code IN ('edit', 'far')")
    events.wait(3)
    for url in touched.values():
        gone = WEB.get(url)
        assert fid not in {f.get("id") for f in features(gone.content, LAMP)}


def test_a_bulk_change_is_one_event_of_its_whole_box(base: str, tiles: Tiles) -> None:
    events = Events(f"{base}/events?collections={WAY}")
    tiles.query("UPDATE test.way SET size = size + 1")
    _, change = events.wait(1)[0]
    assert change["count"] == 1500
    assert change["bbox"][0] < 115.4 and change["bbox"][2] > 116.4
    assert WEB.get(f"{base}/events?collections=test.other").status_code == 400
    assert WEB.get(f"{base}/events?bbox=1,2,3,4").status_code == 400
