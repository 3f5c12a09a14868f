# SPDX-License-Identifier: Apache-2.0
"""Tiles of differences, decoded: every change once, counts that add up over tiles, thinning that says so."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import asyncpg
import mapbox_vector_tile
import pytest

from geocloud.catalogue.registry import Layer
from geocloud.features.changes import ChangesQuery, Span, State
from geocloud.features.changes_read import read_changes, summarise_changes
from geocloud.features.text import Output
from geocloud.settings import TileSettings
from geocloud.tiles.change_tiles import build_change_tile
from geocloud.tiles.grids import grid
from tests.tiles.conftest import LAND, SITE, SPECS, Town

BEFORE, AFTER = datetime(2024, 12, 31, tzinfo=UTC), datetime(2025, 12, 31, tzinfo=UTC)
AT = "SET LOCAL geocloud.valid_at = '2025-06-01Z'"


@pytest.fixture
def changed(town: Town) -> Town:
    """All there since 2020; in 2025 sites are renamed, moved, ended and made, land is reshaped and moved."""
    for layer in (SITE, LAND):
        town.run("SET LOCAL geocloud.change = 'correction'", f"UPDATE {layer} SET valid_from = '2020-01-01Z'")
    town.run(AT, f"UPDATE {SITE} SET kind = 'other' WHERE fid % 5 = 1")
    town.run(AT, f"UPDATE {SITE} SET geom = ST_Translate(geom, 0.01, 0.01) WHERE fid % 5 = 2")
    town.run(AT, f"DELETE FROM {SITE} WHERE fid % 5 = 3")
    town.run(f"INSERT INTO {SITE} (code, kind, valid_from, geom) SELECT 'N' || n, 'new', '2025-03-01', "
             "ST_SetSRID(ST_Point(116 + n / 1e4, 36.4), 4490) FROM generate_series(1, 50) n")  # fmt: skip
    town.run(AT, f"UPDATE {LAND} SET geom = ST_Multi(ST_Scale(geom, ST_Point(1.1, 1.1), ST_Centroid(geom))) "
             "WHERE fid % 4 = 1")  # fmt: skip
    town.run(AT, f"UPDATE {LAND} SET geom = ST_Translate(geom, 0.01, 0) WHERE fid % 4 = 2")
    return town


def query(layer: str, **more: Any) -> ChangesQuery:
    found = Layer(SPECS[layer])
    output = Output("geojson", 4490, False, found.spec.visible_fields)
    return ChangesQuery(found, Span(State(BEFORE), State(AFTER)), output, 100_000, 0.05, **more)


def run(town: Town, work: Any) -> Any:
    async def inner() -> Any:
        conn = await asyncpg.connect(town.urls.reader)
        try:
            return await work(conn)
        finally:
            await conn.close()

    return asyncio.run(inner())


def tiles_of(name: str, zoom: int, box: tuple[float, float, float, float]) -> list[Any]:
    g = grid(name)
    matrix = g.matrix_of_zoom(zoom)
    assert matrix is not None
    top, bottom, left, right = g.limits(box, matrix)
    return [g.tile(matrix, str(r), str(c)) for r in range(top, bottom + 1) for c in range(left, right + 1)]


def decoded(town: Town, q: ChangesQuery, name: str, zoom: int, settings: TileSettings) -> list[list[dict[str, Any]]]:
    """Features of each tile of the area."""

    async def work(conn: Any) -> list[Any]:
        box = await conn.fetchrow(
            "SELECT west, south, east, north FROM geocloud.layer_state WHERE layer = $1", q.layer.id
        )
        return [await build_change_tile(conn, q, t, settings) for t in tiles_of(name, zoom, tuple(box))]

    found = []
    for built in run(town, work):
        layers = mapbox_vector_tile.decode(built.data)
        assert set(layers) <= {q.layer.id}
        features = layers.get(q.layer.id, {"features": []})["features"]
        assert built.thinned == any(f["properties"].get("thinned") for f in features)
        found.append(features)
    return found


def told(town: Town, q: ChangesQuery) -> dict[int, list[str]]:
    page = run(town, lambda conn: read_changes(conn, q))
    features = [json.loads(t) for t in page.texts]
    return {f["id"]: f["properties"]["change_kinds"] for f in features}


@pytest.mark.parametrize("name", ["WebMercatorQuad", "WorldCRS84Quad"])
def test_each_change_is_drawn_as_what_it_is(changed: Town, name: str) -> None:
    for layer, zoom in ((SITE, 11), (LAND, 10)):
        q = query(layer)
        expected = told(changed, q)
        seen: dict[int, str] = {}
        before: set[int] = set()
        for features in decoded(changed, q, name, zoom, TileSettings()):
            for f in features:
                said = f["properties"]
                if said["change"] == "before":
                    before.add(f["id"])
                else:
                    assert said["kinds"].split(",") == expected[f["id"]]
                    seen[f["id"]] = said["change"]
        assert seen == {fid: kinds[0] for fid, kinds in expected.items()}
        assert before == {fid for fid, kinds in expected.items() if kinds[0] in ("moved", "reshaped")}


@pytest.mark.parametrize("name", ["WebMercatorQuad", "WorldCRS84Quad"])
def test_counts_of_clusters_add_up_over_tiles(changed: Town, name: str) -> None:
    for layer, zoom in ((SITE, 7), (SITE, 10), (LAND, 8)):
        q = query(layer)
        kinds = dict.fromkeys(("added", "removed", "moved", "reshaped", "attributes"), 0)
        total = 0
        for features in decoded(changed, q, name, zoom, TileSettings()):
            for f in features:
                said = f["properties"]
                mix = json.loads(said["mix"])
                assert said["overview"] == "cluster" and sum(mix.values()) == said["count"]
                assert said["change"] == max(mix, key=lambda k: (mix[k], [-ord(c) for c in k]))
                total += said["count"]
                for kind, n in mix.items():
                    kinds[kind] += n
        summary = run(changed, lambda conn, q=q: summarise_changes(conn, q))
        assert total == summary.changed > 0
        assert {k: kinds[k] for k in ("added", "removed", "moved", "reshaped")} == {
            k: summary.kinds[k] for k in ("added", "removed", "moved", "reshaped")
        }


def test_a_tile_too_full_is_thinned_and_says_so(changed: Town) -> None:
    small = TileSettings(tile_features_max=100)
    q = query(SITE)
    tiles = decoded(changed, q, "WebMercatorQuad", 11, small)
    thinned = [t for t in tiles if any(f["properties"].get("thinned") for f in t)]
    assert thinned
    whole = decoded(changed, q, "WebMercatorQuad", 11, TileSettings())
    for few, all_of_it in zip(tiles, whole, strict=True):
        assert len(few) <= 100
        if few in thinned:
            middles = [f for f in all_of_it if f["properties"]["change"] != "before" and _inside(f)]
            assert sum(f["properties"]["count"] for f in few) == pytest.approx(len(middles), abs=2)


def _inside(feature: dict[str, Any]) -> bool:
    x, y = feature["geometry"]["coordinates"]
    return 0 <= x < 4096 and 0 < y <= 4096


def test_conditions_and_kinds(changed: Town) -> None:
    q = query(SITE, where="\"kind\" = 'other'", kinds=("attributes",))
    seen = {f["id"] for t in decoded(changed, q, "WebMercatorQuad", 11, TileSettings()) for f in t}
    assert seen == set(told(changed, q)) and seen


def test_nothing_below_the_layers_first_zoom(changed: Town) -> None:
    assert not any(decoded(changed, query(SITE), "WebMercatorQuad", 4, TileSettings()))
