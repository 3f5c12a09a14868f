# SPDX-License-Identifier: Apache-2.0
"""Differences between two dates as a vector tile: what changed, or clusters of it where it is too much or too small.

*Features* come once each with their fid and the property `change` (added, removed, moved, reshaped, attributes; the
first that holds; `kinds` has all): as they are, or as they were where they have gone. The shape of before of what was
moved or reshaped comes beside it, with `change` = `before`. *Clusters* (`overview` = `cluster`) stand where their
changes lie on average, and carry `count`, `mix` (number by kind, JSON) and in `change` the most frequent kind; each
change is counted in the one cell of the one tile that holds the middle of its box. A tile past a limit shows ever
coarser clusters, which say `thinned`: nothing is cut off in silence.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from geocloud.features.binder import Binder
from geocloud.features.changes import KINDS, ChangesQuery, is_change, joined
from geocloud.features.query import Statement
from geocloud.settings import TileSettings
from geocloud.tiles.build import BuiltTile
from geocloud.tiles.grids import Tile
from geocloud.tiles.statements import BUFFER, EXTENT

__all__ = ["build_change_tile", "change_tile_statement"]

# Clusters are 2^3 across a tile where they are the rule, and begin finer where a tile is too full.
_RULE_DEPTH, _THINNED_DEPTH = 3, 5


async def build_change_tile(conn: Any, query: ChangesQuery, tile: Tile, settings: TileSettings) -> BuiltTile:
    """The tile of a question over an asyncpg connection; raises what the database raises."""
    rule = query.layer.spec.tiles
    if query.layer.spec.geometry == "none" or tile.zoom < rule.min_zoom:
        return BuiltTile(b"")
    depth, thinned = None, False
    if rule.overview != "none" and tile.zoom < rule.overview_below:
        depth = _RULE_DEPTH
    while True:
        statement = change_tile_statement(query, tile, settings.tile_features_max, depth, thinned=thinned)
        row = await conn.fetchrow(statement.sql, *statement.args)
        data, count = row[0] or b"", row[1]
        if (count <= settings.tile_features_max and len(data) <= settings.tile_bytes_max) or depth == 1:
            return BuiltTile(data, thinned)
        depth, thinned = (_THINNED_DEPTH if depth is None else depth - 1), True


def change_tile_statement(
    query: ChangesQuery, tile: Tile, most: int, depth: int | None, *, thinned: bool = False
) -> Statement:
    """One row: the bytes, and how many features were put in, one more than `most` at the utmost. `depth`: clusters of
    1/2^depth of the tile's side; None for the features themselves."""
    binder = Binder()
    binder.args.extend(query.args)
    bind = binder.bind
    west, south, east, north = (bind(float(n), "float8") for n in tile.lonlat(BUFFER / EXTENT))
    near = f'"geom" && ST_MakeEnvelope({west}, {south}, {east}, {north}, 4490)'
    narrowed = replace(query, where=f"{query.where} AND {near}" if query.where else near, args=())
    with_clause, pairs = joined(narrowed, binder)
    w, n = bind(float(tile.west), "float8"), bind(float(tile.north), "float8")
    drawn = "geocloud.tile_geometry({g})" if tile.grid.srid == 3857 else "{g}"
    kinds = "concat_ws(',', " + ", ".join(f"CASE WHEN {is_change((k,))} THEN '{k}' END" for k in KINDS) + ")"
    told = f"SELECT *, {kinds} AS kinds FROM ({pairs}) p WHERE {is_change(query.kinds)}"
    now = drawn.format(g="CASE WHEN has THEN igeom ELSE wgeom END")
    name = "'" + query.layer.id + "'"
    if depth is None:
        e, s = bind(float(tile.east), "float8"), bind(float(tile.south), "float8")
        box = f"ST_MakeEnvelope({w}, {s}, {e}, {n}, {tile.grid.srid})"
        clip = f"ST_AsMVTGeom(g, {box}, {EXTENT}, {BUFFER}, true)"
        rows = (
            f"SELECT fid, split_part(kinds, ',', 1) AS change, kinds, {now} AS g FROM told UNION ALL "
            f"SELECT fid, 'before', kinds, {drawn.format(g='wgeom')} FROM told WHERE shape IS NOT NULL"
        )
        inner = (
            f"SELECT * FROM (SELECT fid, change, kinds, {clip} AS geom FROM ({rows}) r) m "
            f"WHERE geom IS NOT NULL LIMIT {most + 1:d}"
        )
    else:
        side = EXTENT >> depth
        scale = bind(EXTENT / (tile.east - tile.west), "float8")
        x = f"((ST_XMin(g) + ST_XMax(g)) / 2 - {w}) * {scale}"
        y = f"({n} - (ST_YMin(g) + ST_YMax(g)) / 2) * {scale}"
        cells = (
            f"SELECT kind, count(*) AS n, sum(x) AS sx, sum(y) AS sy, floor(x / {side}) AS cx, floor(y / {side}) AS cy "
            f"FROM (SELECT split_part(kinds, ',', 1) AS kind, {x} AS x, {y} AS y FROM "
            f"(SELECT kinds, {now} AS g FROM told OFFSET 0) r) c "
            f"WHERE x >= 0 AND x < {EXTENT} AND y >= 0 AND y < {EXTENT} GROUP BY kind, cx, cy"
        )
        mark = ", true AS thinned" if thinned else ""
        inner = (
            "SELECT NULL::bigint AS fid, 'cluster'::text AS overview, (array_agg(kind ORDER BY n DESC, kind))[1] "
            f"AS change, sum(n)::bigint AS count, json_object_agg(kind, n ORDER BY n DESC, kind)::text AS mix{mark}, "
            f"ST_MakePoint(sum(sx) / sum(n), sum(sy) / sum(n)) AS geom FROM ({cells}) k GROUP BY cx, cy"
        )
    sql = (
        f"WITH {with_clause}, told AS ({told}) SELECT ST_AsMVT(m, {name}, {EXTENT}, 'geom', 'fid'), count(*) "
        f"FROM ({inner}) m"
    )
    return Statement(sql, binder.args)
