# SPDX-License-Identifier: Apache-2.0
"""Points of a tile as H3 cells (overview `h3`): the H3 library's own cells, drawn as whole hexagons.

A cell is counted in the one tile that holds its centre, so that counts add up over tiles. Hexagons do not fit into
square tiles, and a map draws of each tile only what lies inside it: so a cell is put into every tile it reaches, with
its whole outline, and says `part` in all but its own. Whoever adds up leaves those with `part` out.

A tile past a limit loses `mix` first; then its own cells are put together under their H3 parents. A parent that lies
over an edge is counted in each tile by the cells it has there, so that counts still add up.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import shapely

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.query import Statement
from geocloud.grids.h3cells import Floats, PointStore, outline, parents, picked, reach_degrees, resolution_for_zoom
from geocloud.tiles.grids import WORLD_HALF, Tile
from geocloud.tiles.statements import BUFFER, EXTENT

__all__ = ["Hexagon", "drawn_extent", "hexagon_reach", "hexagon_tile", "hexagons", "hexagons_statement",
           "shows_hexagons"]  # fmt: skip

# Web Mercator ends here; what is nearer to the poles is in none of its tiles.
_LATITUDE_MAX = 85.0511287798066


@dataclass(frozen=True, slots=True)
class Hexagon:
    """A cell in a tile: its ring in tile units (y down, turning as MVT 2.1, 4.3.4.4 asks), and what it stands for.

    `code` is the most frequent code, `mix` the count by code as JSON; None where the layer has no codes. `part`: its
    centre lies in another tile, which counts it.
    """

    cell: int
    count: int
    code: str | None
    mix: str | None
    part: bool
    wkb: bytes


def shows_hexagons(layer: Layer, zoom: int) -> bool:
    """Whether tiles of this zoom show the layer as H3 cells."""
    return layer.spec.tiles.overview == "h3" and zoom < layer.spec.tiles.overview_below


def hexagon_reach(layer: Layer, zoom: int) -> float:
    """How far beyond a tile's edge points may lie whose cells it shows, in tile sides; 0 where no cells are shown."""
    if not shows_hexagons(layer, zoom):
        return 0.0
    extent = layer.state.extent or (0.0, 0.0, 0.0, 0.0)
    latitude = min(max(abs(extent[1]), abs(extent[3])), _LATITUDE_MAX)
    lon, _ = reach_degrees(resolution_for_zoom(zoom), latitude)
    # From a point to the centre of its cell, and from there to the far side of its outline.
    return 2 * lon * 2.0**zoom / 360


def drawn_extent(layer: Layer, zoom: int | None = None) -> tuple[float, float, float, float] | None:
    """The box in degrees that holds all that tiles draw of a layer: of a zoom, or of all of them without one."""
    extent = layer.state.extent
    lowest = layer.spec.tiles.min_zoom if zoom is None else zoom
    reach = hexagon_reach(layer, lowest) * 360 / 2.0**lowest
    if extent is None or not reach:
        return extent
    west, south, east, north = extent
    return max(-180.0, west - reach), max(-90.0, south - reach), min(180.0, east + reach), min(90.0, north + reach)


async def hexagon_tile(
    conn: Any, layer: Layer, tile: Tile, points: PointStore, fields: Sequence[FieldSpec], most: int, most_bytes: int
) -> tuple[bytes, bool]:
    """The layer's cells in a tile as MVT bytes, at most so many and so large, and whether that took thinning.

    `points` are all that lie in the tile and `hexagon_reach` around it, or more; `fields` what the tile is to say.
    """
    lead = layer.spec.style.color_by
    shown = lead if lead and any(f.name == lead for f in fields) else None
    finest = resolution_for_zoom(tile.zoom)
    found = await asyncio.to_thread(hexagons, tile, points)
    if not found:
        return b"", False
    data, reached = b"", 0
    for coarser, mixed in [(0, True), (0, False), *((up, False) for up in range(1, finest + 1))]:
        if coarser != reached:
            found, reached = await asyncio.to_thread(hexagons, tile, points, coarser), coarser
        # The coarsest is sent however large it is: there is nothing that could stand for it.
        if len(found) > most and coarser < finest:
            continue
        thinned = (coarser, mixed) != (0, True)
        statement = hexagons_statement(layer, found, shown, mixed=mixed, thinned=thinned)
        data = (await conn.fetchrow(statement.sql, *statement.args))[0] or b""
        if len(found) <= most and len(data) <= most_bytes:
            return data, thinned
    return data, True


def hexagons(tile: Tile, points: PointStore, coarser: int = 0) -> list[Hexagon]:
    """The cells that a tile shows, in the order of their indexes; `coarser` resolutions up, its own ones alone."""
    resolution = resolution_for_zoom(tile.zoom)
    west, south, east, north = tile.lonlat(BUFFER / EXTENT)
    reach_lon, reach_lat = reach_degrees(resolution, max(abs(south), abs(north)))
    west, south, east, north = west - reach_lon, south - reach_lat, east + reach_lon, north + reach_lat
    points, level = points.around(resolution, (west, south, east, north))
    lon, lat = level.centres
    own = _holds(tile, lon, lat)
    chosen = own
    if not coarser:
        chosen = own | ((lon >= west) & (lon <= east) & (lat >= south) & (lat <= north) & (np.abs(lat) < _LATITUDE_MAX))
    if not chosen.any():
        return []
    cells = picked(points, level, chosen)
    columns = [cells.cell.tolist(), cells.count.tolist(), cells.leading, cells.mix, (~own[chosen]).tolist()]
    if coarser:
        columns = _grouped(parents(cells.cell, resolution - coarser).tolist(), columns[1], cells.mix)
    shapes = _shapes(tile, columns[0])
    reached = np.ones(len(shapes), bool)
    if not coarser:
        reached = shapely.intersects(shapes, shapely.box(-BUFFER, -BUFFER, EXTENT + BUFFER, EXTENT + BUFFER))
    wkb = shapely.to_wkb(shapes).tolist()
    return [
        Hexagon(cell, count, code, orjson.dumps(mix).decode() if mix else None, part, shape)
        for cell, count, code, mix, part, shape, drawn in zip(*columns, wkb, reached.tolist(), strict=True)
        if drawn or not part
    ]


def hexagons_statement(
    layer: Layer, found: Sequence[Hexagon], shown: str | None, *, mixed: bool, thinned: bool
) -> Statement:
    """One row: the cells' bytes and how many they are. `shown` is the field of the leading code, if the tile has it."""
    binder = Binder()
    arrays = {
        "count": ("bigint[]", [h.count for h in found]),
        "cell": ("text[]", [f"{h.cell:x}" for h in found]),
        "part": ("boolean[]", [True if h.part else None for h in found]),
        "wkb": ("bytea[]", [h.wkb for h in found]),
    }
    columns = ["NULL::bigint AS fid", "'h3'::text AS overview", "u.count"]
    if shown:
        arrays["code"] = ("text[]", [h.code for h in found])
        columns.append(f"u.code AS {quote_identifier(shown)}")
        if mixed:
            arrays["mix"] = ("text[]", [h.mix for h in found])
            columns.append("u.mix")
    columns += ["u.cell", "u.part", *(["true AS thinned"] if thinned else []), "ST_GeomFromWKB(u.wkb) AS geom"]
    bound = ", ".join(binder.bind(values, kind) for kind, values in arrays.values())
    inner = f"SELECT {', '.join(columns)} FROM unnest({bound}) u ({', '.join(arrays)})"
    sql = f"SELECT ST_AsMVT(m, '{layer.id}', {EXTENT}, 'geom', 'fid'), count(*) FROM ({inner}) m"
    return Statement(sql, binder.args)


def _holds(tile: Tile, lon: Floats, lat: Floats) -> Any:
    """Which positions lie in the tile: each in exactly one of a matrix, whatever its sides' last bits are."""
    _, _, side, _ = tile.grid.matrices[tile.matrix]
    x, y = _projected(tile, lon, lat)
    inside = (np.floor((x - tile.grid.origin[0]) / side) == tile.col) & (
        np.floor((tile.grid.origin[1] - y) / side) == tile.row
    )
    return inside & (np.abs(lat) < _LATITUDE_MAX) if tile.grid.srid == 3857 else inside


def _projected(tile: Tile, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Positions in the grid's CRS."""
    if tile.grid.srid != 3857:
        return lon, lat
    sines = np.sin(np.radians(np.clip(lat, -89.0, 89.0)))
    return lon * (WORLD_HALF / 180), np.arctanh(sines) * (WORLD_HALF / math.pi)


def _shapes(tile: Tile, cells: Sequence[int]) -> Any:
    """Outlines of cells in whole tile units."""
    rings = [outline(cell) for cell in cells]
    ring_of = np.repeat(np.arange(len(rings)), [len(r) for r in rings])
    corners = np.array([corner for ring in rings for corner in ring])
    x, y = _projected(tile, corners[:, 0], corners[:, 1])
    scale = EXTENT / (tile.east - tile.west)
    units = np.round(np.stack([(x - tile.west) * scale, (tile.north - y) * scale], axis=1))
    # Counter-clockwise on the globe is clockwise on screen once y goes down: the last corner comes first.
    return shapely.polygons(shapely.linearrings(units[::-1], indices=ring_of.max() - ring_of[::-1]))[::-1]


def _grouped(above: Sequence[int], counts: Sequence[int], mixes: Sequence[dict[str, int]]) -> list[Any]:
    """Columns of cells put together under their parents."""
    totals: Counter[int] = Counter()
    codes: dict[int, Counter[str]] = {}
    for parent, count, mix in zip(above, counts, mixes, strict=True):
        totals[parent] += count
        codes.setdefault(parent, Counter()).update(mix)
    cells = sorted(totals)
    ordered = [dict(sorted(codes[cell].items(), key=lambda pair: (-pair[1], pair[0]))) for cell in cells]
    leading = [next((code for code in mix if code), None) for mix in ordered]
    return [cells, [totals[cell] for cell in cells], leading, ordered, [False] * len(cells)]
