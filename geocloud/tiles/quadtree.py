# SPDX-License-Identifier: Apache-2.0
"""The quadtree of WebMercatorQuad: boxes of tiles in degrees, tiles of boxes, and where a layer has rows at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from geocloud.catalogue.registry import Layer

__all__ = ["Box", "Cell", "Touched", "box_of_cell", "cells_of", "children", "occupied", "overlaps"]

Cell = tuple[int, int, int]
"""z, x, y."""
Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""

_LATITUDE_MAX = 85.0511287798066
# Boxes that only touch count; arithmetic must not decide otherwise.
_EPSILON = 1e-9
_HALF = 20037508.342789244
_OCCUPIED_SQL = """
SELECT t.i FROM unnest($1::float8[], $2::float8[], $3::float8[], $4::float8[]) WITH ORDINALITY AS t (w, s, e, n, i)
 WHERE EXISTS (SELECT FROM {table} r WHERE r.geom && ST_MakeEnvelope(t.w, t.s, t.e, t.n, 4490)) ORDER BY t.i
"""
_EXACTLY_OCCUPIED_SQL = """
SELECT t.i FROM unnest($1::float8[], $2::float8[], $3::float8[], $4::float8[], $5::float8[], $6::float8[], $7::float8[],
                       $8::float8[]) WITH ORDINALITY AS t (w, s, e, n, mw, ms, me, mn, i)
 WHERE EXISTS (SELECT FROM {table} r WHERE r.geom && ST_MakeEnvelope(t.w, t.s, t.e, t.n, 4490)
                  AND ST_Intersects(r.tile_geom, ST_MakeEnvelope(t.mw, t.ms, t.me, t.mn, 3857))) ORDER BY t.i
"""


class Touched:
    """The tiles that rows within certain boxes may be seen in."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        self.boxes = list(dict.fromkeys(boxes))

    def cells(self, z: int, margin: float, limit: int) -> set[Cell] | None:
        """The touched tiles of a zoom; None when they are more than `limit`."""
        found: set[Cell] = set()
        for box in self.boxes:
            west, north, east, south = _range(box, z, margin)
            if (east - west + 1) * (south - north + 1) > limit:
                return None
            found.update((z, x, y) for x in range(west, east + 1) for y in range(north, south + 1))
            if len(found) > limit:
                return None
        return found

    def has(self, cell: Cell, margin: float) -> bool:
        """Whether one of the boxes reaches a tile."""
        west, south, east, north = box_of_cell(*cell, margin)
        return any(b[0] <= east and b[2] >= west and b[1] <= north and b[3] >= south for b in self.boxes)


def box_of_cell(z: int, x: int, y: int, margin: float = 0) -> Box:
    """Box of a tile in degrees, widened on each side by `margin` tile sides."""
    side = 2.0**z
    return (
        (x - margin) / side * 360 - 180,
        _latitude((y + 1 + margin) / side),
        (x + 1 + margin) / side * 360 - 180,
        _latitude((y - margin) / side),
    )


def cells_of(box: Box, z: int, margin: float = 0) -> list[Cell]:
    """Tiles of a zoom that, widened by `margin` tile sides, reach a box."""
    west, north, east, south = _range(box, z, margin)
    return [(z, x, y) for x in range(west, east + 1) for y in range(north, south + 1)]


def overlaps(cell: Cell, box: Box) -> bool:
    """Whether a tile and a box share more than an edge."""
    west, south, east, north = box_of_cell(*cell)
    return west < box[2] and east > box[0] and south < box[3] and north > box[1]


def children(cell: Cell) -> tuple[Cell, Cell, Cell, Cell]:
    """The four tiles of the next zoom."""
    z, x, y = cell[0] + 1, 2 * cell[1], 2 * cell[2]
    return (z, x, y), (z, x + 1, y), (z, x, y + 1), (z, x + 1, y + 1)


async def occupied(conn: Any, layer: Layer, cells: Sequence[Cell], margin: float) -> list[Cell]:
    """Those of the tiles, all of one zoom, in which the layer may be seen; they reach `margin` over their sides.

    A tile whose parent is none of them is none: half its parent's margin reaches as far. Where a zoom shows what stands
    for features at their centres, which may lie beside them, a feature's box counts; elsewhere its shape, so that a
    river does not fill the tree with tiles it only encircles.
    """
    if not cells:
        return []
    rule = layer.spec.tiles
    in_place = rule.overview == "none" or cells[0][0] >= rule.overview_below
    exactly = in_place and "point" not in layer.spec.geometry
    boxes = [box_of_cell(*cell, margin) + (_metres(*cell, margin) if exactly else ()) for cell in cells]
    sql = _EXACTLY_OCCUPIED_SQL if exactly else _OCCUPIED_SQL
    rows = await conn.fetch(sql.format(table=layer.table), *map(list, zip(*boxes, strict=True)))
    return [cells[row[0] - 1] for row in rows]


def _metres(z: int, x: int, y: int, margin: float) -> Box:
    """Box of a tile in Web Mercator."""
    side = 2 * _HALF / 2.0**z
    west, north = (x - margin) * side - _HALF, _HALF - (y - margin) * side
    reach = (1 + 2 * margin) * side
    return west, north - reach, west + reach, north


def _range(box: Box, z: int, margin: float) -> tuple[int, int, int, int]:
    """First and last column and row: west, north, east, south."""
    last = (1 << z) - 1
    reach = margin + _EPSILON

    def clamp(value: float) -> int:
        return min(max(math.floor(value), 0), last)

    side = 2.0**z
    return (
        clamp((box[0] + 180) / 360 * side - reach),
        clamp(_down(box[3]) * side - reach),
        clamp((box[2] + 180) / 360 * side + reach),
        clamp(_down(box[1]) * side + reach),
    )


def _down(latitude: float) -> float:
    """How far from the north edge of the grid a latitude lies, 0 to 1."""
    sine = math.sin(math.radians(max(-_LATITUDE_MAX, min(_LATITUDE_MAX, latitude))))
    return 0.5 - math.log((1 + sine) / (1 - sine)) / (4 * math.pi)


def _latitude(down: float) -> float:
    return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * down))))
