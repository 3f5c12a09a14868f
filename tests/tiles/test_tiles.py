# SPDX-License-Identifier: Apache-2.0
"""What tiles say is true: sums over tiles, places, areas, and what thinning leaves, against independent reckoning."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from geocloud.db.cluster import Urls
from geocloud.geodesy.area import areas
from geocloud.tiles.grids import WORLD_HALF, Tile
from tests.tiles.city import INSERT, LAMP, PLOT, WAY, Tiles, fill, kind, place

GRIDS = ("WebMercatorQuad", "WorldCRS84Quad", "CGCS2000Quad", "c", "w")


@pytest.fixture(scope="module")
def tiles(urls: Urls) -> Tiles:
    fill(urls.owner)
    return Tiles(urls)


def rows_of(tiles: Tiles, layer: str) -> int:
    return int(tiles.query(f"SELECT count(*) FROM {layer}")[0][0])


def total(built: dict[Tile, list[dict[str, Any]]]) -> int:
    """Features stood for, and features drawn themselves once each."""
    drawn = {f["id"] for found in built.values() for f in found if "overview" not in f["properties"]}
    return len(drawn) + sum(f["properties"].get("count", 0) for found in built.values() for f in found)


@pytest.mark.parametrize("grid_id", GRIDS)
@pytest.mark.parametrize("layer", [LAMP, PLOT])
@pytest.mark.parametrize("zoom", range(5, 13))
def test_every_zoom_counts_each_feature_once(tiles: Tiles, layer: str, grid_id: str, zoom: int) -> None:
    built = tiles.covering(layer, grid_id, zoom)
    assert total(built) == rows_of(tiles, layer)
    overviews = {f["properties"].get("overview") for found in built.values() for f in found}
    below = 11 if layer == LAMP else 12
    assert ("cluster" in overviews or "cover" in overviews) == (zoom < below)


@pytest.mark.parametrize("zoom", range(8, 11))
def test_merged_lines_count_each_line_once(tiles: Tiles, zoom: int) -> None:
    assert total(tiles.covering(WAY, "WebMercatorQuad", zoom)) == rows_of(tiles, WAY)


def test_classes_of_lines_appear_from_their_zoom(tiles: Tiles) -> None:
    at_7 = tiles.covering(WAY, "WebMercatorQuad", 7)
    kinds = {f["properties"].get("kind") for found in at_7.values() for f in found}
    assert kinds == {"lamp", "bin", None}
    hidden = tiles.query("SELECT count(*) FROM test.way WHERE kind = 'tree'")[0][0]
    assert total(at_7) == rows_of(tiles, WAY) - hidden


def test_the_mix_of_a_cluster_is_what_its_features_are(tiles: Tiles) -> None:
    mixes: Counter[str] = Counter()
    for found in tiles.covering(LAMP, "WebMercatorQuad", 8).values():
        for feature in found:
            mix = json.loads(feature["properties"]["mix"])
            assert sum(mix.values()) == feature["properties"]["count"]
            leading = feature["properties"].get("kind", "")
            assert mix[leading] == max(mix.values())
            mixes.update(mix)
    counted = tiles.query("SELECT coalesce(kind, ''), count(*) FROM test.lamp GROUP BY 1")
    assert dict(mixes) == dict(counted)


def test_a_cluster_lies_at_the_mean_of_its_features(tiles: Tiles) -> None:
    points = [mercator(x, y) for x, y in tiles.query("SELECT ST_X(geom), ST_Y(geom) FROM test.lamp")]
    for tile, found in tiles.covering(LAMP, "WebMercatorQuad", 9).items():
        side = (tile.east - tile.west) / 4096
        cells: dict[tuple[int, int], list[tuple[float, float]]] = {}
        for x, y in points:
            if tile.west <= x < tile.east and tile.south < y <= tile.north:
                at = ((x - tile.west) / side, (tile.north - y) / side)
                cells.setdefault((int(at[0] // 512), int(at[1] // 512)), []).append(at)
        assert len(found) == len(cells)
        for feature in found:
            x, y = feature["geometry"]["coordinates"]
            inside = cells[x // 512, y // 512]
            assert feature["properties"]["count"] == len(inside)
            mean = (sum(p[0] for p in inside) / len(inside), sum(p[1] for p in inside) / len(inside))
            assert math.dist((x, y), mean) < 1.5


@pytest.mark.parametrize("zoom", [5, 8, 11])
def test_areas_are_kept_when_plots_are_too_small_to_draw(tiles: Tiles, zoom: int) -> None:
    rows = tiles.query("SELECT fid, ST_AsBinary(geom) FROM test.plot")
    sizes = areas(np.array([shapely.from_wkb(bytes(wkb)) for _, wkb in rows]))
    truth = dict(zip((fid for fid, _ in rows), sizes.tolist(), strict=True))
    drawn: set[int] = set()
    covered = 0.0
    for found in tiles.covering(PLOT, "WebMercatorQuad", zoom).values():
        for feature in found:
            properties = feature["properties"]
            if properties.get("overview") == "cover":
                covered += properties["area_m2"]
                assert 0 <= properties["share"] <= 1
            else:
                drawn.add(feature["id"])
    expected = sum(a for fid, a in truth.items() if fid not in drawn)
    # Whole square metres a cell, and one scale for each small plot.
    assert covered == pytest.approx(expected, rel=2e-4, abs=100)


@pytest.mark.parametrize("zoom", [11, 12])
@pytest.mark.parametrize("grid_id", ["WebMercatorQuad", "c"])
def test_points_lie_where_they_are(tiles: Tiles, grid_id: str, zoom: int) -> None:
    at = {fid: (x, y) for fid, x, y in tiles.query("SELECT fid, ST_X(geom), ST_Y(geom) FROM test.lamp")}
    seen = 0
    for tile, found in tiles.covering(LAMP, grid_id, zoom).items():
        for feature in found:
            x, y = at[feature["id"]] if tile.grid.srid == 4490 else mercator(*at[feature["id"]])
            side = (tile.east - tile.west) / 4096
            expected = ((x - tile.west) / side, (tile.north - y) / side)
            for got, true in zip(feature["geometry"]["coordinates"], expected, strict=True):
                # Rounded inside the tile; in the buffer before its edges cut towards them.
                assert abs(got - true) <= (0.51 if true >= 0 else 1.51)
            seen += 1
    assert seen >= len(at)


def test_plots_keep_their_shape_and_their_rings_turn_clockwise(tiles: Tiles) -> None:
    shapes = {fid: shapely.from_wkb(bytes(w)) for fid, w in tiles.query("SELECT fid, ST_AsBinary(geom) FROM test.plot")}
    seen = 0
    for tile, found in tiles.covering(PLOT, "WebMercatorQuad", 12).items():
        side = (tile.east - tile.west) / 4096
        for feature in found:
            whole = shapely.transform(
                shapes[feature["id"]],
                lambda c, t=tile, s=side: [
                    ((m[0] - t.west) / s, (t.north - m[1]) / s) for m in (mercator(*p) for p in c)
                ],
            )
            got = shape(feature["geometry"])
            expected = whole.intersection(shapely.box(-64, -64, 4160, 4160))
            assert got.hausdorff_distance(expected) < 2
            for part in getattr(got, "geoms", [got]):
                # y goes down: clockwise on screen is a positive area by the surveyor's formula (MVT 2.1, 4.3.4.4).
                assert shapely.is_ccw(part.exterior)
            seen += 1
    assert seen > 100


@pytest.mark.parametrize(("layer", "zoom"), [(LAMP, 11), (PLOT, 12), (WAY, 10)])
@pytest.mark.parametrize("limits", [{"tile_features_max": 400}, {"tile_bytes_max": 10_000}], ids=["features", "bytes"])
def test_a_crowded_tile_is_thinned_and_says_so(tiles: Tiles, layer: str, zoom: int, limits: dict[str, int]) -> None:
    built = tiles.covering(layer, "WebMercatorQuad", zoom, **limits)
    thinned = [f for found in built.values() for f in found if f["properties"].get("thinned")]
    assert thinned
    assert all(f["properties"]["overview"] in ("cluster", "cover", "merge") for f in thinned)
    crowded = {t: found for t, found in built.items() if any(f["properties"].get("thinned") for f in found)}
    assert all(len(found) <= limits.get("tile_features_max", 10**9) + 1 for found in crowded.values())
    if layer == LAMP:
        # A point in the buffer of a tile drawn point by point is drawn again next door: count by id.
        assert total(built) >= rows_of(tiles, layer)
        inside = sum(f["properties"]["count"] for f in thinned)
        for tile in crowded:
            whole = tiles.query(
                "SELECT count(*) FROM test.lamp WHERE ST_X(tile_geom) >= %s AND ST_X(tile_geom) < %s "
                "AND ST_Y(tile_geom) > %s AND ST_Y(tile_geom) <= %s",
                tile.west, tile.east, tile.south, tile.north,
            )[0][0]  # fmt: skip
            inside -= whole
        assert inside == 0


@pytest.mark.parametrize("layer", [LAMP, PLOT])
def test_counts_by_cell_stay_exact_through_edits(urls: Urls, tiles: Tiles, layer: str) -> None:
    draw = random.Random(7)
    for round_number in range(25):
        fid = f"(SELECT fid FROM {layer} ORDER BY md5(fid::text || '{round_number}') LIMIT 1)"
        geometry = place(draw, INSERT[layer])
        statement = draw.choice(
            [
                f"INSERT INTO {layer} (code, kind, geom) VALUES ('new{round_number}', {kind(draw)}, {geometry}), "
                f"('more{round_number}', {kind(draw)}, {geometry})",
                f"UPDATE {layer} SET geom = {geometry} WHERE fid = {fid}",
                f"UPDATE {layer} SET kind = {kind(draw)}, size = 5 WHERE fid % 17 = {round_number % 17}",
                f"DELETE FROM {layer} WHERE fid = {fid}",
            ]
        )
        tiles.query(statement)
    kept = tiles.query(f'SELECT * FROM tiles."{layer}" WHERE n <> 0 ORDER BY 1, 2, 3, 4')
    # Built anew from nothing, in a transaction that is taken back.
    anew = tiles.query(
        f"DELETE FROM geocloud.overview WHERE layer = '{layer}'; SELECT geocloud.attach_tiles('{layer}'); "
        f'SELECT * FROM tiles."{layer}" ORDER BY 1, 2, 3, 4'
    )
    assert kept == anew
    assert sum(row[4] for row in kept if row[0] == kept[0][0]) > 0


def test_a_point_at_the_pole_is_stored_and_not_drawn(tiles: Tiles) -> None:
    tiles.query("INSERT INTO test.lamp (code, geom) VALUES ('pole', ST_Point(0, 90, 4490)), ('none', NULL)")
    assert tiles.query("SELECT tile_geom IS NULL FROM test.lamp WHERE code IN ('pole', 'none')") == [(True,), (True,)]
    tiles.query("DELETE FROM test.lamp WHERE code IN ('pole', 'none')")


def mercator(lon: float, lat: float) -> tuple[float, float]:
    y = 6378137 * math.log(math.tan(math.pi / 4 + math.radians(lat) / 2))
    return lon / 180 * WORLD_HALF, y
