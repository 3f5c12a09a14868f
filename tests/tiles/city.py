# SPDX-License-Identifier: Apache-2.0
"""A small city of points, plots and ways whose rows the tile tests know, and a decoder that keeps to what is there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import mapbox_vector_tile
import psycopg2

from geocloud.catalogue.publish import sync
from geocloud.catalogue.registry import CATALOGUE_SQL, Catalogue, parse_catalogue
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.cluster import Urls
from geocloud.settings import TileSettings
from geocloud.tiles.build import BuiltTile, build_tile
from geocloud.tiles.grids import Grid, Tile, grid

LAMP, PLOT, WAY = "test.lamp", "test.plot", "test.way"
BOX = (115.3, 35.8, 116.5, 37.0)
T = TypeVar("T")


def _both(text: str) -> dict[str, str]:
    return {"zh": f"{text}(中文)", "en": text}


def specs() -> dict[str, LayerSpec]:
    """Clusters below 11, coverage cells below 12, merged lines below 10."""
    rules: dict[str, tuple[str, dict[str, Any]]] = {
        LAMP: ("point", {"overview": "cluster", "overview_below": 11}),
        PLOT: ("multipolygon", {"overview": "cover", "overview_below": 12}),
        WAY: ("multilinestring", {"overview": "merge", "overview_below": 10, "from_zoom": {"tree": 8}}),
    }
    found = {}
    for name, (shape, rule) in rules.items():
        fields = [
            {"name": "code", "title": _both("Code")},
            {"name": "kind", "title": _both("Kind")},
            {"name": "size", "type": "number", "title": _both("Size")},
            {"name": "seen", "type": "datetime", "title": _both("Seen")},
        ]
        found[name] = LayerSpec.model_validate(
            {"id": name, "title": _both(name), "description": _both(name), "geometry": shape, "key": ["code"],
             "fields": fields, "style": {"color_by": "kind"},
             "tiles": {"min_zoom": 5, "max_zoom": 16, "bands": [{"zoom": 5, "fields": ["kind"]}], **rule}}
        )  # fmt: skip
    return found


INSERT = {
    LAMP: "ST_Point({x}, {y}, 4490)",
    PLOT: "ST_Multi(ST_MakeEnvelope({x}, {y}, {x} + {w}, {y} + {w} * 0.7, 4490))",
    WAY: "ST_Multi(ST_MakeLine(ARRAY[ST_Point({x}, {y}, 4490), ST_Point({x} + {w}, {y}, 4490), "
    "ST_Point({x} + {w}, {y} - {w}, 4490)]))",
}


def fill(url: str, rows: int = 4000, seed: int = 20261122) -> None:
    """Publishes the layers and fills them; a third of the rows lies close together."""
    draw = random.Random(seed)
    conn = psycopg2.connect(url)
    sync(conn, specs(), {})
    with conn, conn.cursor() as cur:
        for layer, shape in INSERT.items():
            values = ", ".join(
                f"('{layer}{n}', {kind(draw)}, {draw.randint(1, 99)}, '2026-01-01', {place(draw, shape)})"
                for n in range(rows)
            )
            cur.execute(f"INSERT INTO {layer} (code, kind, size, seen, geom) VALUES {values}")
    conn.close()


def kind(draw: random.Random) -> str:
    return draw.choice(["'lamp'", "'tree'", "'bin'", "NULL"])


def place(draw: random.Random, shape: str) -> str:
    """A geometry as SQL."""
    if draw.random() < 0.33:
        x, y = draw.gauss(115.98, 0.01), draw.gauss(36.45, 0.01)
    else:
        x, y = draw.uniform(BOX[0], BOX[2]), draw.uniform(BOX[1], BOX[3])
    return shape.format(x=repr(x), y=repr(y), w=repr(10 ** draw.uniform(-4, -1)))


class Tiles:
    """Builds and decodes tiles of a database."""

    def __init__(self, urls: Urls) -> None:
        self.urls = urls

    def run(self, work: Callable[[Any, Catalogue], Awaitable[T]]) -> T:
        """Work with a reader's connection and the catalogue."""

        async def inner() -> T:
            conn = await asyncpg.connect(self.urls.reader)
            try:
                return await work(conn, parse_catalogue(await conn.fetchval(CATALOGUE_SQL)))
            finally:
                await conn.close()

        return asyncio.run(inner())

    def covering(self, layer_id: str, grid_id: str, zoom: int, **limits: int) -> dict[Tile, list[dict[str, Any]]]:
        """Features of every tile of a Web Mercator zoom's width that the box touches, decoded."""
        settings = TileSettings(**limits)

        async def work(conn: Any, catalogue: Catalogue) -> dict[Tile, list[dict[str, Any]]]:
            built = {}
            for tile in tiles_of(grid(grid_id), zoom):
                found = await build_tile(conn, catalogue.layer(layer_id), tile, settings)
                assert len(found.data) <= settings.tile_bytes_max
                built[tile] = features(found, layer_id)
            return built

        return self.run(work)

    def query(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        conn = psycopg2.connect(self.urls.owner)
        with conn, conn.cursor() as cur:
            cur.execute(sql, args or None)
            rows = list(cur.fetchall()) if cur.description else []
        conn.close()
        return rows


def tiles_of(g: Grid, zoom: int) -> list[Tile]:
    matrix = g.matrix_of_zoom(zoom)
    if matrix is None:
        return []
    box = (BOX[0] - 0.3, BOX[1] - 0.3, BOX[2] + 0.3, BOX[3] + 0.3)
    top, bottom, left, right = g.limits(box, matrix)
    return [g.tile(matrix, str(r), str(c)) for r in range(top, bottom + 1) for c in range(left, right + 1)]


def features(built: BuiltTile | bytes, layer_id: str) -> list[dict[str, Any]]:
    data = built if isinstance(built, bytes) else built.data
    if not data:
        return []
    # Without turning y round: tile coordinates as they are written.
    decoded = mapbox_vector_tile.decode(data, default_options={"y_coord_down": True})
    return list(decoded.get(layer_id, {"features": []})["features"])
