# SPDX-License-Identifier: Apache-2.0
"""Tiles that show points as H3 cells: the library's own cells, counted once, drawn whole, true after edits."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import h3
import httpx
import mapbox_vector_tile
import numpy as np
import psycopg2
import pytest
import shapely
from shapely.geometry import shape

from geocloud.catalogue.publish import sync
from geocloud.catalogue.registry import CATALOGUE_SQL, Catalogue, parse_catalogue
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.cluster import Urls
from geocloud.grids.columns import fetch_points
from geocloud.grids.h3cells import PointStore, resolution_for_zoom
from geocloud.settings import Settings, TileSettings
from geocloud.tiles.archive import Archive
from geocloud.tiles.archives import newest_archives
from geocloud.tiles.build import build_tile
from geocloud.tiles.grids import Tile, grid
from geocloud.tiles.hexagons import drawn_extent, hexagon_reach, hexagons
from geocloud.tiles.seed import seed
from tests.tiles.city import features
from tests.web.conftest import run_server

POST = "test.post"
ROWS = 3000
GRIDS = ("WebMercatorQuad", "WorldCRS84Quad", "CGCS2000Quad", "c", "w")
WEB = httpx.Client(timeout=30)
EDIT = (115.9801, 36.4501)
Found = dict[Tile, list[dict[str, Any]]]


def _both(text: str) -> dict[str, str]:
    return {"zh": f"{text}(中文)", "en": text}


def _spec(geometry: str = "point", **more: Any) -> LayerSpec:
    fields = [{"name": "code", "title": _both("Code")}, {"name": "kind", "title": _both("Kind")}]
    tiles = {"min_zoom": 3, "max_zoom": 14, "overview": "h3", "overview_below": 13}
    tiles["bands"] = [{"zoom": 3, "fields": ["kind"]}, {"zoom": 13, "fields": ["code", "kind"]}]
    given = {
        "id": POST, "title": _both(POST), "description": _both(POST), "geometry": geometry, "key": ["code"],
        "fields": fields, "tiles": tiles, "style": {"color_by": "kind"},
    }  # fmt: skip
    return LayerSpec.model_validate(given | more)


def _fill(url: str) -> None:
    """A third of the rows close together, the others over a degree; some without a kind."""
    draw = random.Random(20261123)
    values = []
    for i in range(ROWS):
        near = draw.random() < 0.33
        x = draw.gauss(115.98, 0.01) if near else draw.uniform(115.4, 116.4)
        y = draw.gauss(36.45, 0.01) if near else draw.uniform(36.0, 36.9)
        values.append((f"P{i}", draw.choice(["pole", "wall", "roof", None]), x, y))
    conn = psycopg2.connect(url)
    sync(conn, {POST: _spec()}, {})
    with conn, conn.cursor() as cur:
        for row in values:
            cur.execute("INSERT INTO test.post (code, kind, geom) VALUES (%s, %s, ST_Point(%s, %s, 4490))", row)
        cur.execute("UPDATE test.post SET valid_from = '2020-01-01' WHERE kind = 'wall'")
    conn.close()


def _query(urls: Urls, sql: str) -> list[tuple[Any, ...]]:
    conn = psycopg2.connect(urls.owner)
    with conn, conn.cursor() as cur:
        cur.execute(sql)
        rows = list(cur.fetchall()) if cur.description else []
    conn.close()
    return rows


@pytest.fixture(scope="module")
def posts(urls: Urls) -> Urls:
    _fill(urls.owner)
    return urls


@pytest.fixture(scope="module")
def base(posts: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    yield from run_server(posts.reader, home, GEOCLOUD_TILE_CACHE_DIR=str(home / "tiles"))


def _places(catalogue: Catalogue, grid_id: str, zoom: int) -> list[Tile]:
    """The tiles that may draw anything of the layer."""
    g, layer = grid(grid_id), catalogue.layer(POST)
    matrix, extent = g.matrix_of_zoom(zoom), drawn_extent(layer, zoom)
    assert matrix is not None and extent is not None
    top, bottom, left, right = g.limits(extent, matrix)
    return [g.tile(matrix, str(r), str(c)) for r in range(top, bottom + 1) for c in range(left, right + 1)]


def _built(
    urls: Urls, grid_id: str, zoom: int, crowded: Sequence[int] | None = None, **limits: int
) -> tuple[Found, Catalogue, dict[Tile, int]]:
    """All tiles of a zoom, and their bytes; `crowded`: the limits hold for those alone, by their place in the order."""

    async def work() -> tuple[Found, Catalogue, dict[Tile, int]]:
        conn = await asyncpg.connect(urls.reader)
        catalogue = parse_catalogue(await conn.fetchval(CATALOGUE_SQL))
        layer = catalogue.layer(POST)
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            points = await fetch_points(conn, layer, "", "", (), 100_000)
        found: Found = {}
        sizes: dict[Tile, int] = {}
        for i, tile in enumerate(_places(catalogue, grid_id, zoom)):
            settings = TileSettings(**(limits if crowded is None or i in crowded else {}))
            built = await build_tile(conn, layer, tile, settings, points=points)
            found[tile], sizes[tile] = features(built, POST), len(built.data)
            assert built.thinned == any(f["properties"].get("thinned", False) for f in found[tile])
        await conn.close()
        return found, catalogue, sizes

    return asyncio.run(work())


def _counted(found: Found) -> Counter[str]:
    """Points by cell, of the tiles that count them."""
    totals: Counter[str] = Counter()
    for inside in found.values():
        for f in inside:
            assert f["properties"]["overview"] == "h3"
            if not f["properties"].get("part"):
                totals[f["properties"]["cell"]] += f["properties"]["count"]
    return totals


def _expected(urls: Urls, zoom: int, at: str = "now()") -> Counter[str]:
    rows = _query(urls, f"SELECT ST_Y(geom), ST_X(geom) FROM test.post WHERE valid_from <= {at}")
    return Counter(h3.latlng_to_cell(lat, lon, resolution_for_zoom(zoom)) for lat, lon in rows)


@pytest.mark.parametrize("grid_id", GRIDS)
@pytest.mark.parametrize("zoom", [3, 5, 6, 8, 9, 10, 11, 12])
def test_every_cell_is_the_librarys_own_and_counted_once(posts: Urls, grid_id: str, zoom: int) -> None:
    found, *_ = _built(posts, grid_id, zoom)
    counted = _counted(found)
    assert sum(counted.values()) == ROWS
    assert counted == _expected(posts, zoom)
    own = [f["properties"]["cell"] for inside in found.values() for f in inside if not f["properties"].get("part")]
    assert len(own) == len(set(own))


@pytest.mark.parametrize("grid_id", ["WebMercatorQuad", "CGCS2000Quad"])
@pytest.mark.parametrize("zoom", [8, 11])
def test_hexagons_are_whole_in_every_tile_they_reach(posts: Urls, grid_id: str, zoom: int) -> None:
    found, catalogue, _ = _built(posts, grid_id, zoom)
    assert any(f["properties"].get("part") for inside in found.values() for f in inside)
    counts = _counted(found)
    for tile in _places(catalogue, grid_id, zoom):
        inside = {f["properties"]["cell"]: f for f in found[tile]}
        side = (tile.east - tile.west) / 4096
        for cell, count in counts.items():
            ring = np.array([(lon, lat) for lat, lon in h3.cell_to_boundary(cell)])
            if tile.grid.srid == 3857:
                ring = np.array([_mercator(*p) for p in ring])
            units = np.stack([(ring[:, 0] - tile.west) / side, (tile.north - ring[:, 1]) / side], axis=1)
            outline = shapely.Polygon(units)
            if not outline.intersects(shapely.box(1, 1, 4095, 4095)):
                continue
            drawn = shape(inside[cell]["geometry"])
            assert inside[cell]["properties"]["count"] == count
            assert drawn.hausdorff_distance(outline) < 1
            # y goes down: clockwise on screen is a positive area by the surveyor's formula (MVT 2.1, 4.3.4.4).
            assert shapely.is_ccw(drawn.exterior)
            middle = np.array(h3.cell_to_latlng(cell)[::-1])
            x, y = _mercator(*middle) if tile.grid.srid == 3857 else middle
            here = tile.west <= x < tile.east and tile.south < y <= tile.north
            assert inside[cell]["properties"].get("part", False) is not here


def _mercator(lon: float, lat: float) -> tuple[float, float]:
    radius = 6378137.0
    return radius * np.radians(lon), radius * np.log(np.tan(np.pi / 4 + np.radians(lat) / 2))


def test_mix_and_leading_code_are_those_of_the_points(posts: Urls) -> None:
    rows = _query(posts, "SELECT ST_Y(geom), ST_X(geom), coalesce(kind, '') FROM test.post")
    mixes: dict[str, Counter[str]] = {}
    for lat, lon, kind in rows:
        mixes.setdefault(h3.latlng_to_cell(lat, lon, resolution_for_zoom(8)), Counter())[kind] += 1
    found, *_ = _built(posts, "WebMercatorQuad", 8)
    for inside in found.values():
        for f in inside:
            mix = json.loads(f["properties"]["mix"])
            assert mix == mixes[f["properties"]["cell"]]
            kinds = {k: n for k, n in mix.items() if k}
            assert (f["properties"].get("kind") or None) == (
                min(k for k, n in kinds.items() if n == max(kinds.values())) if kinds else None
            )


def test_a_tile_past_its_features_goes_up_to_parents_and_still_counts_right(posts: Urls) -> None:
    plain, *_ = _built(posts, "WebMercatorQuad", 8)
    crowded = [i for i, inside in enumerate(plain.values()) if len(inside) > 100]
    # One tile past the limit beside others that are not.
    found, *_ = _built(posts, "WebMercatorQuad", 8, crowded[:1], tile_features_max=100)
    thinned = [f for inside in found.values() for f in inside if f["properties"].get("thinned")]
    assert thinned and len(thinned) <= 100
    assert sum(_counted(found).values()) == ROWS
    assert all("mix" not in f["properties"] for f in thinned)
    assert {h3.get_resolution(f["properties"]["cell"]) for f in thinned} == {resolution_for_zoom(8) - 1}


def test_a_tile_past_its_bytes_loses_the_mix_before_its_cells(posts: Urls) -> None:
    plain, _, sizes = _built(posts, "WebMercatorQuad", 9)
    found, *_ = _built(posts, "WebMercatorQuad", 9, tile_bytes_max=max(sizes.values()) - 1)
    thinned = {t: inside for t, inside in found.items() if any(f["properties"].get("thinned") for f in inside)}
    assert thinned
    for tile, inside in thinned.items():
        assert [f["properties"]["cell"] for f in inside] == [f["properties"]["cell"] for f in plain[tile]]
        assert all("mix" not in f["properties"] for f in inside)
    assert _counted(found) == _expected(posts, 9)


def test_without_points_in_memory_clusters_stand_in_and_say_so(posts: Urls) -> None:
    async def work() -> list[dict[str, Any]]:
        conn = await asyncpg.connect(posts.reader)
        catalogue = parse_catalogue(await conn.fetchval(CATALOGUE_SQL))
        built = [
            await build_tile(conn, catalogue.layer(POST), t, TileSettings())
            for t in _places(catalogue, "WebMercatorQuad", 8)
        ]
        await conn.close()
        return [f for b in built for f in features(b, POST)]

    found = asyncio.run(work())
    assert {(f["properties"]["overview"], f["properties"]["thinned"]) for f in found} == {("cluster", True)}
    assert sum(f["properties"]["count"] for f in found) == ROWS


def _over_http(base: str, urls: Urls, zoom: int, query: str = "") -> Counter[str]:
    conn = psycopg2.connect(urls.reader)
    with conn, conn.cursor() as cur:
        cur.execute(CATALOGUE_SQL)
        catalogue = parse_catalogue(cur.fetchone()[0])  # type: ignore[index]
    conn.close()
    found: Found = {}
    for tile in _places(catalogue, "WebMercatorQuad", zoom):
        where = f"/collections/{POST}/tiles/WebMercatorQuad/{tile.matrix}/{tile.row}/{tile.col}{query}"
        answer = WEB.get(base + where)
        assert answer.status_code in (200, 204), answer.text
        found[tile] = features(answer.content, POST)
    return _counted(found)


def test_a_filter_and_a_date_are_counted_by_the_same_cells(base: str, posts: Urls) -> None:
    rows = _query(posts, "SELECT ST_Y(geom), ST_X(geom) FROM test.post WHERE kind = 'roof'")
    roofs = Counter(h3.latlng_to_cell(lat, lon, resolution_for_zoom(9)) for lat, lon in rows)
    assert _over_http(base, posts, 9, "?filter=kind%3D%27roof%27") == roofs
    assert _over_http(base, posts, 9, "?kind=roof") == roofs
    assert _over_http(base, posts, 9) == _expected(posts, 9)
    earlier = _over_http(base, posts, 9, "?datetime=2019-01-01T00:00:00Z")
    assert earlier == _expected(posts, 9, "'2019-01-01'") != _expected(posts, 9)


def test_a_row_of_the_future_is_not_counted_yet(base: str, posts: Urls) -> None:
    _query(
        posts, "INSERT INTO test.post (code, valid_from, geom) VALUES ('next', '2099-01-01', ST_Point(116, 36, 4490))"
    )
    try:
        assert sum(_over_http(base, posts, 9).values()) == ROWS
        assert _over_http(base, posts, 10) == _expected(posts, 10)
        assert sum(_over_http(base, posts, 9, "?datetime=2100-01-01T00:00:00Z").values()) == ROWS + 1
    finally:
        _query(posts, "DELETE FROM test.post WHERE code = 'next'")


def test_a_tile_tells_no_code_that_was_not_asked_for(base: str) -> None:
    row, _, col, _ = grid("WebMercatorQuad").limits((*EDIT, *EDIT), "9")
    answer = WEB.get(f"{base}/collections/{POST}/tiles/WebMercatorQuad/9/{row}/{col}?properties=code")
    told = {name for f in features(answer.content, POST) for name in f["properties"]}
    assert told <= {"overview", "count", "cell", "part"} and "cell" in told


def _tile_of(base: str, cell: str, zoom: int, where: str) -> httpx.Response:
    lat, lon = h3.cell_to_latlng(cell)
    row, _, col, _ = grid("WebMercatorQuad").limits((lon, lat, lon, lat), str(zoom))
    return WEB.get(f"{base}{where}/WebMercatorQuad/{zoom}/{row}/{col}")


@pytest.mark.parametrize("where", [f"/collections/{POST}/tiles", "/tiles"], ids=["layer", "city"])
def test_an_edit_is_in_the_cells_tile_within_a_second(base: str, posts: Urls, where: str) -> None:
    # A point whose cell is counted by a tile it does not lie in itself.
    zoom = 10
    lon, lat, cell = _over_the_edge(zoom)
    before = {f["properties"]["cell"]: f["properties"]["count"]
              for f in features(_tile_of(base, cell, zoom, where).content, POST)}  # fmt: skip
    started = time.monotonic()
    _query(posts, f"INSERT INTO test.post (code, kind, geom) VALUES ('edit', 'roof', ST_Point({lon}, {lat}, 4490))")
    try:
        # Both workers have to have heard of it.
        seen = 0
        while seen < 4:
            inside = {f["properties"]["cell"]: f["properties"]["count"]
                      for f in features(_tile_of(base, cell, zoom, where).content, POST)}  # fmt: skip
            seen = seen + 1 if inside.get(cell, 0) == before.get(cell, 0) + 1 else 0
            assert time.monotonic() - started < 5
            if seen == 1:
                first = time.monotonic() - started
        assert first < 1
    finally:
        _query(posts, "DELETE FROM test.post WHERE code = 'edit'")


def _over_the_edge(zoom: int) -> tuple[float, float, str]:
    g, draw = grid("WebMercatorQuad"), random.Random(3)
    while True:
        lon, lat = draw.uniform(115.8, 116.1), draw.uniform(36.3, 36.6)
        cell = h3.latlng_to_cell(lat, lon, resolution_for_zoom(zoom))
        y, x = h3.cell_to_latlng(cell)
        here, there = (g.limits((a, b, a, b), str(zoom)) for a, b in ((lon, lat), (x, y)))
        beyond = grid("WebMercatorQuad").tile(str(zoom), str(there[0]), str(there[2])).lonlat(0.03)
        if here != there and not (beyond[0] < lon < beyond[2] and beyond[1] < lat < beyond[3]):
            return lon, lat, cell


def test_an_archive_holds_the_same_cells_and_is_renewed_where_cells_reach(
    posts: Urls, base: str, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOCLOUD_HOME", str(tmp_path))
        patch.setenv("GEOCLOUD_TILE_CACHE_DIR", str(tmp_path / "tiles"))
        settings = Settings.read()
    lon, lat, cell = _over_the_edge(10)
    try:
        (done,) = seed(posts.reader, settings, [POST], zooms=(3, 10), jobs=1)
        assert done.outcome == "seeded"
        assert _archived(settings, 8) == _expected(posts, 8)
        _query(posts, f"INSERT INTO test.post (code, kind, geom) VALUES ('late', 'roof', ST_Point({lon}, {lat}, 4490))")
        (done,) = seed(posts.reader, settings, [POST], zooms=(3, 10), jobs=1)
        assert (done.outcome, done.built < done.tiles) == ("renewed", True)
        expected = _expected(posts, 10)
        assert _archived(settings, 10) == expected and expected[cell]
    finally:
        _query(posts, "DELETE FROM test.post WHERE code = 'late'")


def _archived(settings: Settings, zoom: int) -> Counter[str]:
    (folder,) = [p for p in settings.tile_cache_folder.iterdir() if p.is_dir()]
    archive: Archive = newest_archives(folder, folder.name)[POST]
    totals: Counter[str] = Counter()
    west, south, east, north = (115.0, 35.5, 116.8, 37.4)
    top, bottom, left, right = grid("WebMercatorQuad").limits((west, south, east, north), str(zoom))
    for row in range(top, bottom + 1):
        for col in range(left, right + 1):
            packed = archive.get(zoom, col, row)
            if isinstance(packed, memoryview):
                decoded = mapbox_vector_tile.decode(gzip.decompress(packed))
                for f in decoded[POST]["features"]:
                    if not f["properties"].get("part"):
                        totals[f["properties"]["cell"]] += f["properties"]["count"]
    return totals


def test_reach_holds_for_every_point_of_a_cell_a_tile_draws(posts: Urls) -> None:
    _, catalogue, _ = _built(posts, "WebMercatorQuad", 3)
    layer, draw = catalogue.layer(POST), random.Random(5)
    for zoom in range(3, 13):
        reach = hexagon_reach(layer, zoom) * 360 / 2**zoom
        for _ in range(200):
            lon, lat = draw.uniform(115.4, 116.4), draw.uniform(36.0, 36.9)
            ring = h3.cell_to_boundary(h3.latlng_to_cell(lat, lon, resolution_for_zoom(zoom)))
            # In longitude, and in latitude as Mercator stretches it.
            assert max(abs(x - lon) for _, x in ring) < reach
            assert max(abs(y - lat) for y, _ in ring) / np.cos(np.radians(38)) < reach
    assert hexagon_reach(layer, 13) == 0


def test_a_layer_without_single_points_cannot_have_hexagons() -> None:
    with pytest.raises(ValueError, match="overview `h3` counts single points"):
        _spec("multipoint")


def test_an_empty_store_has_no_tiles() -> None:
    none = np.zeros(0)
    store = PointStore.of(1, none.astype(np.int64), none, none, none.astype(np.int32), [""])
    assert hexagons(grid("WebMercatorQuad").tile("8", "99", "210"), store) == []


def test_counts_too_many_to_keep_are_made_around_the_tile_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(20261123)
    lon, lat = rng.uniform(115.4, 116.4, 20_000), rng.uniform(36.0, 36.9, 20_000)
    columns = (np.arange(20_000), lon, lat, rng.integers(0, 3, 20_000).astype(np.int32), ["", "a", "b"])
    kept, large = PointStore.of(1, *columns), PointStore.of(1, *columns)
    g = grid("WebMercatorQuad")
    top, bottom, left, right = g.limits((115.7, 36.2, 116.0, 36.5), "11")
    tiles = [g.tile("11", str(r), str(c)) for r in range(top, bottom + 1) for c in range(left, right + 1)]
    expected = [hexagons(t, kept) for t in tiles]
    monkeypatch.setattr("geocloud.grids.h3cells._KEPT_ROWS", 1_000)
    assert [hexagons(t, large) for t in tiles] == expected
    # The first told that they are too many; the second was counted from what is near it.
    near, _ = large.around(resolution_for_zoom(11), tiles[1].lonlat())
    assert 0 < len(near.fid) < 2_000
