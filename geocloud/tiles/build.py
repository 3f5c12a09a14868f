# SPDX-License-Identifier: Apache-2.0
"""One tile out of the database: the right statement for layer and zoom, and thinning when it grows too large.

Layers with overview `h3` are made from points that the caller holds (`hexagons`); a tile of theirs without them,
because they are more than may be held, shows clusters and says `thinned`.

A tile past `tile_features_max` or its bytes is made again by the layer's rule (clusters, coverage cells, merged lines)
with ever coarser cells until it fits; what then stands for features says `thinned`. Nothing is cut off in silence.
Layers of a data set are put one after another: `layers` is a repeated field of a tile (MVT 2.1, 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import TILE_PROPERTIES, FieldSpec
from geocloud.features.query import Statement
from geocloud.features.request import Rows
from geocloud.grids.h3cells import PointStore
from geocloud.settings import TileSettings
from geocloud.tiles.grids import Tile
from geocloud.tiles.hexagons import hexagon_tile, shows_hexagons
from geocloud.tiles.statements import (
    CELL_DEPTH,
    Kind,
    cells_statement,
    features_statement,
    kind_of,
    lines_statement,
)

__all__ = ["EVERY_ROW", "BuiltTile", "build_tile", "build_tiles", "fields_of", "is_drawn"]

EVERY_ROW = Rows()
# Where thinning begins, by the finest cells that are still of use on a screen: 16, 8 and 8 pixels of 512.
_THINNED_FROM: dict[Kind, int] = {"cluster": 5, "cover": 6, "merge": 6}
_COARSEST = 1


@dataclass(frozen=True, slots=True)
class BuiltTile:
    """A layer of a tile as MVT bytes; empty when nothing of the layer is there. `thinned`: a limit was met."""

    data: bytes
    thinned: bool = False


def is_drawn(layer: Layer, tile: Tile) -> bool:
    """Whether tiles of this zoom hold anything of the layer at all."""
    return layer.spec.geometry != "none" and tile.zoom >= layer.spec.tiles.min_zoom and layer.state.row_count > 0


def fields_of(layer: Layer, zoom: int, wanted: Sequence[FieldSpec] | None = None) -> tuple[FieldSpec, ...]:
    """The attributes of a tile: those asked for, or those the layer names for the zoom and what it is coloured by."""
    if wanted is None:
        names = {*layer.spec.tiles.fields_at(zoom), layer.spec.style.color_by}
        wanted = [f for f in layer.spec.visible_fields if f.name in names]
    return tuple(f for f in wanted if f.name not in TILE_PROPERTIES)


async def build_tile(
    conn: Any,
    layer: Layer,
    tile: Tile,
    settings: TileSettings,
    *,
    rows: Rows = EVERY_ROW,
    wanted: Sequence[FieldSpec] | None = None,
    bytes_max: int | None = None,
    points: PointStore | None = None,
) -> BuiltTile:
    """One layer of a tile, over an asyncpg connection.

    `rows` narrows what is shown; without it valid rows of now. `wanted` are the attributes asked for. `bytes_max` is
    the layer's share when the tile holds several. `points` are those of `rows` in and around the tile, for layers that
    it shows as H3 cells. Raises what the database raises.
    """
    if not is_drawn(layer, tile):
        return BuiltTile(b"")
    most_bytes = bytes_max or settings.tile_bytes_max
    fields = fields_of(layer, tile.zoom, wanted)
    rule = layer.spec.tiles
    kind = kind_of(layer)
    overview = rule.overview in CELL_DEPTH and tile.zoom < rule.overview_below
    if shows_hexagons(layer, tile.zoom):
        if points is not None:
            return BuiltTile(
                *await hexagon_tile(conn, layer, tile, points, fields, settings.tile_features_max, most_bytes)
            )
        depth, thinned = CELL_DEPTH[kind], True
    elif overview or (rule.overview == "merge" and tile.zoom < rule.overview_below):
        depth = CELL_DEPTH.get(kind, _THINNED_FROM[kind] + 1)
        thinned = False
    else:
        data, count = await _run(conn, features_statement(layer, tile, rows, fields, settings.tile_features_max))
        if count <= settings.tile_features_max and len(data) <= most_bytes:
            return BuiltTile(data)
        depth, thinned = _THINNED_FROM[kind], True
    plain = rows.plain and not layer.state.timed and rule.overview in CELL_DEPTH and rule.overview_below > rule.min_zoom
    # Cells as fine as the overview table holds; a crowded tile of a higher zoom begins with finer ones, counted.
    finest = rule.overview_below - 1 + CELL_DEPTH.get(kind, 0) - tile.zoom
    while True:
        stored = plain and depth <= finest
        if kind == "merge":
            statement = lines_statement(layer, tile, rows, fields, thinned_depth=depth if thinned else None)
        else:
            statement = cells_statement(layer, tile, rows, fields, kind, depth, stored=stored, thinned=thinned)
        data, count = await _run(conn, statement)
        if (len(data) <= most_bytes and count <= settings.tile_features_max) or depth <= _COARSEST:
            return BuiltTile(data, thinned)
        depth, thinned = depth - 1, True


async def build_tiles(
    conn: Any,
    layers: Sequence[Layer],
    tile: Tile,
    settings: TileSettings,
    *,
    rows: dict[str, Rows] | None = None,
    wanted: dict[str, Sequence[FieldSpec]] | None = None,
    points: dict[str, PointStore] | None = None,
) -> BuiltTile:
    """A tile of several layers. When it grows too large, the largest layers are made again for a fair share of it."""
    rows, wanted, points = rows or {}, wanted or {}, points or {}
    built = {}
    for layer in layers:
        built[layer.id] = await build_tile(
            conn, layer, tile, settings, rows=rows.get(layer.id, EVERY_ROW), wanted=wanted.get(layer.id),
            points=points.get(layer.id),
        )  # fmt: skip
    share = _share([len(b.data) for b in built.values()], settings.tile_bytes_max)
    if share is not None:
        for layer in layers:
            if len(built[layer.id].data) > share:
                built[layer.id] = await build_tile(
                    conn, layer, tile, settings, rows=rows.get(layer.id, EVERY_ROW), wanted=wanted.get(layer.id),
                    bytes_max=share, points=points.get(layer.id),
                )  # fmt: skip
    return BuiltTile(b"".join(b.data for b in built.values()), any(b.thinned for b in built.values()))


def _share(sizes: Sequence[int], most: int) -> int | None:
    """The size to which the largest must come down so that all fit; None when they do."""
    if sum(sizes) <= most:
        return None
    left, share = most, most
    ordered = sorted(sizes)
    for i, size in enumerate(ordered):
        share = left // (len(ordered) - i)
        if size > share:
            return share
        left -= size
    return share


async def _run(conn: Any, statement: Statement) -> tuple[bytes, int]:
    row = await conn.fetchrow(statement.sql, *statement.args)
    return row[0] or b"", row[1]
