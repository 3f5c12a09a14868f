# SPDX-License-Identifier: Apache-2.0
"""Tile grids (瓦片矩阵集): the five this service publishes, read from JSON files and checked by morecantile.

Files in ogc_config/tile_matrix_sets/ follow OGC 17-083r4 (Two Dimensional Tile Matrix Set, JSON encoding). `c` and `w`
are the numbering of 天地图 (Tianditu): level 1 of `c` is level 0 of WorldCRS84Quad, level n of `w` is level n of
WebMercatorQuad, and both have denominators by the 0.28 mm pixel of that standard.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from morecantile import TileMatrixSet

from geocloud.errors import UnknownTile

__all__ = ["WORLD_HALF", "Grid", "Tile", "cells_of", "grid", "grids"]

# Half the side of the Web Mercator world in metres.
WORLD_HALF = 20037508.342789244
_FOLDER = Path(__file__).resolve().parent.parent.parent / "ogc_config" / "tile_matrix_sets"


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: its place in the grid and what it covers.

    Bounds are in the grid's CRS, x east (longitude) and y north (latitude) whatever the authority's axis order:
    metres of EPSG:3857, or degrees. `zoom` is the Web Mercator zoom of the same width, by which a layer's rules go.
    """

    grid: Grid
    matrix: str
    row: int
    col: int
    zoom: int
    west: float
    south: float
    east: float
    north: float

    def lonlat(self, margin: float = 0.0) -> tuple[float, float, float, float]:
        """Bounds in degrees lon/lat, widened by a share of the tile's side."""
        dx, dy = (self.east - self.west) * margin, (self.north - self.south) * margin
        west, south, east, north = self.west - dx, self.south - dy, self.east + dx, self.north + dy
        if self.grid.srid != 3857:
            return max(-180.0, west), max(-90.0, south), min(180.0, east), min(90.0, north)
        return max(-180.0, _lon(west)), _lat(south), min(180.0, _lon(east)), _lat(north)


@dataclass(frozen=True, slots=True)
class Grid:
    """A tile matrix set with what a request needs of it; `document` is its JSON file."""

    id: str
    srid: int
    document: Mapping[str, Any] = field(repr=False, compare=False)
    matrices: Mapping[str, tuple[int, int, float, int]] = field(repr=False, compare=False)
    origin: tuple[float, float] = field(repr=False, compare=False)

    @property
    def first(self) -> int:
        """The lowest matrix identifier."""
        return min(int(m) for m in self.matrices)

    @property
    def last(self) -> int:
        """The highest matrix identifier."""
        return max(int(m) for m in self.matrices)

    def matrix_of_zoom(self, zoom: int) -> str | None:
        """The matrix whose tiles are as wide as those of a Web Mercator zoom; None when the grid has none."""
        return next((m for m, (_, _, _, z) in self.matrices.items() if z == zoom), None)

    def tile(self, matrix: str, row: str, col: str) -> Tile:
        """The tile of a request; UnknownTile when the grid has no such matrix, row or column (OGC 20-057, 7.1)."""
        found = self.matrices.get(matrix)
        if found is None:
            raise UnknownTile(
                f"Grid `{self.id}` has no matrix `{matrix[:20]}`.",
                f"瓦片矩阵集 {self.id} 没有级别“{matrix[:20]}”。",
                todo_en=f"Its matrices are {self.first} to {self.last}.",
                todo_zh=f"可用级别为 {self.first} 至 {self.last}。",
            )
        width, height, side, zoom = found
        r, c = _number(row), _number(col)
        if not (0 <= r < height and 0 <= c < width):
            raise UnknownTile(
                f"Row {row[:20]}, column {col[:20]} lies outside matrix {matrix} of grid `{self.id}`.",
                f"第 {row[:20]} 行第 {col[:20]} 列不在瓦片矩阵集 {self.id} 第 {matrix} 级的范围内。",
                todo_en=f"Rows are 0 to {height - 1}, columns 0 to {width - 1}.",
                todo_zh=f"行号为 0 至 {height - 1},列号为 0 至 {width - 1}。",
            )
        west, north = self.origin[0] + c * side, self.origin[1] - r * side
        return Tile(self, matrix, r, c, zoom, west, north - side, west + side, north)

    def limits(self, box: tuple[float, float, float, float], matrix: str) -> tuple[int, int, int, int]:
        """First and last row, first and last column of a matrix that a lon/lat box touches."""
        width, height, side, _ = self.matrices[matrix]
        west, south, east, north = box
        if self.srid == 3857:
            west, east = west * WORLD_HALF / 180, east * WORLD_HALF / 180
            south, north = _northing(south), _northing(north)

        def cell(distance: float, most: int) -> int:
            return max(0, min(most - 1, math.floor(distance / side)))

        return (
            cell(self.origin[1] - north, height),
            cell(self.origin[1] - south, height),
            cell(west - self.origin[0], width),
            cell(east - self.origin[0], width),
        )


@lru_cache(maxsize=1)
def grids() -> Mapping[str, Grid]:
    """All grids by id, in the order of their files' names."""
    found = [_read(path) for path in sorted(_FOLDER.glob("*.json"))]
    order = ("WebMercatorQuad", "WorldCRS84Quad", "CGCS2000Quad", "c", "w")
    return {g.id: g for g in sorted(found, key=lambda g: order.index(g.id) if g.id in order else len(order))}


def grid(grid_id: str) -> Grid:
    """The grid of that id; UnknownTile when there is none."""
    found = grids().get(grid_id)
    if found is None:
        raise UnknownTile(
            f"There is no tile matrix set `{grid_id[:60]}`.",
            f"没有名为“{grid_id[:60]}”的瓦片矩阵集。",
            todo_en=f"Served are: {', '.join(grids())}.",
            todo_zh=f"可用:{'、'.join(grids())}。",
        )
    return found


def cells_of(box: tuple[float, float, float, float], level: int) -> tuple[int, int, int, int]:
    """First and last column, first and last row of Web Mercator's quadtree that a lon/lat box touches."""
    west, south, east, north = box
    cells: int = 1 << level
    side = 2 * WORLD_HALF / cells

    def cell(metres: float) -> int:
        return max(0, min(cells - 1, math.floor(metres / side)))

    half = WORLD_HALF
    return (
        cell(west / 180 * half + half), cell(east / 180 * half + half),
        cell(half - _northing(north)), cell(half - _northing(south)),
    )  # fmt: skip


def _read(path: Path) -> Grid:
    document = json.loads(path.read_text(encoding="utf-8"))
    TileMatrixSet.model_validate(document)
    mercator = document["crs"].endswith("3857")
    matrices, origin = {}, (0.0, 0.0)
    for m in document["tileMatrices"]:
        side = m["cellSize"] * m["tileWidth"]
        zoom = round(math.log2((2 * WORLD_HALF if mercator else 360.0) / side))
        matrices[m["id"]] = (m["matrixWidth"], m["matrixHeight"], side, zoom)
        x, y = m["pointOfOrigin"]
        origin = (y, x) if document.get("orderedAxes", ["E"])[0].lower().startswith("lat") else (x, y)
    return Grid(document["id"], 3857 if mercator else 4490, document, matrices, origin)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1


def _lon(x: float) -> float:
    return x / WORLD_HALF * 180


def _lat(y: float) -> float:
    return math.degrees(2 * math.atan(math.exp(y / 6378137)) - math.pi / 2)


def _northing(lat: float) -> float:
    lat = max(-85.06, min(85.06, lat))
    return 6378137 * math.log(math.tan(math.pi / 4 + math.radians(lat) / 2))
