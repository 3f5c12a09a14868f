# SPDX-License-Identifier: Apache-2.0
"""Areas of a tile with their figures (MVT 2.1): one layer, named by the collection that was added up.

An area is in every tile it reaches, cut at the tile's edge, with the figures of the whole area.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

import numpy as np
import shapely

from geocloud.errors import TooLarge
from geocloud.features.binder import Binder, quote_identifier
from geocloud.overlay.aggregate import Result
from geocloud.settings import TileSettings
from geocloud.tiles.grids import WORLD_HALF, Tile
from geocloud.tiles.statements import BUFFER, EXTENT

__all__ = ["zone_tile"]

# Web Mercator ends here.
_LATITUDE_MAX = 85.0511287798066


async def zone_tile(conn: Any, name: str, tile: Tile, found: Result, settings: TileSettings) -> bytes:
    """The bytes of a tile, empty where no area reaches it; TooLarge past the limits of tiles."""
    if not len(found.zones):
        return b""
    unit = (tile.east - tile.west) / EXTENT
    near, shapes = await asyncio.to_thread(_drawn, tile, found, settings.tile_features_max, unit)
    if not len(near):
        return b""
    data = await _encoded(conn, name, tile, found, near, shapes)
    if len(data) > settings.tile_bytes_max:
        data = await _encoded(
            conn, name, tile, found, near, await asyncio.to_thread(shapely.simplify, shapes, 4 * unit)
        )
        if len(data) > settings.tile_bytes_max:
            raise _too_large(settings.tile_bytes_max, "bytes", "字节")
    return data


def _drawn(tile: Tile, found: Result, most: int, unit: float) -> tuple[Any, Any]:
    """Places of the areas that a tile may show, and their outlines as fine as it shows them."""
    west, south, east, north = tile.lonlat(BUFFER / EXTENT)
    shapes = found.zones.shapes
    bounds = shapely.bounds(shapes)
    (near,) = np.nonzero(
        (bounds[:, 0] <= east) & (bounds[:, 2] >= west) & (bounds[:, 1] <= north) & (bounds[:, 3] >= south)
    )
    if len(near) > most:
        raise _too_large(most, "areas", "个分区")
    return near, shapely.simplify(_projected(tile, shapes[near]), unit / 2)


async def _encoded(conn: Any, name: str, tile: Tile, found: Result, near: Any, shapes: Any) -> bytes:
    zones, binder = found.zones, Binder()
    by_layer = zones.by.layer is not None
    columns = {k: v[near] for k, v in found.figures.zones.items()}
    arrays: dict[str, tuple[str, list[Any]]] = {
        "fid": ("bigint[]", zones.ids[near].tolist() if by_layer else [None] * len(near)),
        "wkb": ("bytea[]", shapely.to_wkb(shapes).tolist()),
        "code": ("text[]", [zones.codes[i] for i in near.tolist()]),
        "name": ("text[]", [zones.names[i] for i in near.tolist()]),
    }
    for i, values in enumerate(columns.values()):
        whole = bool((np.isnan(values) | (values == np.floor(values))).all())
        told = [None if math.isnan(v) else int(v) if whole else v for v in values.tolist()]
        arrays[f"v{i}"] = ("bigint[]" if whole else "float8[]", told)
    srid = tile.grid.srid
    box = ", ".join(binder.bind(float(v), "float8") for v in (tile.west, tile.south, tile.east, tile.north))
    bound = ", ".join(binder.bind(values, kind) for kind, values in arrays.values())
    figures = ", ".join(f"u.v{i} AS {quote_identifier(k)}" for i, k in enumerate(columns))
    label = binder.bind(name, "text")
    inner = (
        f"SELECT u.fid, u.code, u.name, {figures}, ST_AsMVTGeom(ST_GeomFromWKB(u.wkb, {srid:d}), "
        f"ST_MakeEnvelope({box}, {srid:d}), {EXTENT}, {BUFFER}, true) AS geom FROM unnest({bound}) u "
        f"({', '.join(arrays)})"
    )
    sql = f"SELECT ST_AsMVT(m, {label}, {EXTENT}, 'geom', 'fid') FROM ({inner}) m WHERE m.geom IS NOT NULL"
    return await conn.fetchval(sql, *binder.args) or b""


def _projected(tile: Tile, shapes: Any) -> Any:
    """Shapes in the grid's CRS."""
    if tile.grid.srid != 3857:
        return shapes

    def mercator(xy: Any) -> Any:
        sines = np.sin(np.radians(np.clip(xy[:, 1], -_LATITUDE_MAX, _LATITUDE_MAX)))
        return np.stack([xy[:, 0] * (WORLD_HALF / 180), np.arctanh(sines) * (WORLD_HALF / math.pi)], axis=1)

    return shapely.transform(shapes, mercator)


def _too_large(most: int, en: str, zh: str) -> TooLarge:
    return TooLarge(
        f"The tile would hold more than {most:,} {en}.", f"瓦片内容超过上限 {most:,} {zh}。",
        todo_en="Ask for a higher zoom, or for larger areas.", todo_zh="请放大后再请求,或选较大的分区。", maximum=most,
    )  # fmt: skip
