# SPDX-License-Identifier: Apache-2.0
"""Windows of registered rasters: read as numbers, nothing fetched from elsewhere, nothing written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyproj
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from geocloud.errors import InvalidParameter, TooLarge, UnreadableFile
from geocloud.rasters.registry import Raster

__all__ = ["Opened", "Piece", "opened", "read_piece", "too_many"]

Floats = NDArray[np.float64]
_STORAGE = "EPSG:4490"


@dataclass(frozen=True)
class Piece:
    """A window of a raster: `values[row, column]`, north up, NaN where nothing is known; `transform` from column and
    row to its own coordinates. `edges`: whether the raster goes on beyond the window at north, south, west, east."""

    raster: Raster
    values: Floats
    transform: Affine
    crs: pyproj.CRS
    edges: tuple[bool, bool, bool, bool]

    @cached_property
    def _to(self) -> pyproj.Transformer:
        return pyproj.Transformer.from_crs(_STORAGE, self.crs, always_xy=True)

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a cell in the raster's own unit."""
        return abs(self.transform.a), abs(self.transform.e)

    def own(self, shapes: Any) -> Any:
        """Shapes in EPSG:4490 in the raster's coordinates."""
        return shapely.transform(shapes, lambda p: np.column_stack(self._to.transform(p[:, 0], p[:, 1])))

    def lonlat(self, shapes: Any) -> Any:
        """Shapes in the raster's coordinates in EPSG:4490."""
        return shapely.transform(
            shapes, lambda p: np.column_stack(self._to.transform(p[:, 0], p[:, 1], direction="INVERSE"))
        )

    def cells_of(self, lonlat: Floats) -> NDArray[np.int64]:
        """(n, 2) rows and columns of places; they may lie outside the window."""
        x, y = self._to.transform(lonlat[:, 0], lonlat[:, 1])
        column = (np.asarray(x) - self.transform.c) / self.transform.a
        row = (np.asarray(y) - self.transform.f) / self.transform.e
        return np.column_stack((np.floor(row), np.floor(column))).astype(np.int64)

    def inside(self, cells: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows and columns are in the window."""
        rows, columns = self.values.shape
        return np.asarray((cells >= 0).all(axis=1) & (cells[:, 0] < rows) & (cells[:, 1] < columns))


@dataclass(frozen=True)
class Opened:
    """A raster open for reading; `size` in columns and rows."""

    raster: Raster
    crs: pyproj.CRS
    transform: Affine
    size: tuple[int, int]
    _file: Any

    def read(self, west: int, north: int, east: int, south: int) -> Piece:
        """Columns from `west` up to `east` and rows from `north` up to `south`, which lie in the raster."""
        read = self._file.read(1, window=Window(west, north, east - west, south - north), masked=True)
        values = np.ma.filled(read.astype(np.float64), np.nan) * self._file.scales[0] + self._file.offsets[0]
        values[~np.isfinite(values)] = np.nan
        t = self.transform
        edges = (north > 0, south < self.size[1], west > 0, east < self.size[0])
        return Piece(self.raster, values, Affine(t.a, 0, t.c + west * t.a, 0, t.e, t.f + north * t.e), self.crs, edges)


@contextmanager
def opened(raster: Raster) -> Iterator[Opened]:
    """The raster, open. UnreadableFile for a file that is broken, has no coordinate system, is turned or has several
    bands, now or while it is read."""
    # Of one format alone: others can name addresses that would be fetched.
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", CPL_DEBUG=False):
        try:
            with rasterio.open(raster.path, driver="GTiff") as file:
                yield Opened(raster, _checked(raster, file), file.transform, (file.width, file.height), file)
        except RasterioError as exc:
            why = str(exc.__cause__ or exc).replace(str(raster.path), raster.path.name)
            raise _unreadable(
                raster, f"it is no GeoTIFF that can be read ({why})", f"不是可读取的 GeoTIFF({why})"
            ) from None


def read_piece(raster: Raster, box: tuple[float, float, float, float], cells_max: int) -> Piece:
    """The cells of the first band that a box of west, south, east, north in EPSG:4490 touches.

    UnreadableFile for a file that is broken, has no coordinate system, is turned or has several bands; InvalidParameter
    where the box is outside; TooLarge past `cells_max` cells.
    """
    with opened(raster) as file:
        to = pyproj.Transformer.from_crs(_STORAGE, file.crs, always_xy=True)
        west, south, east, north = to.transform_bounds(*box, densify_pts=21)
        t, (columns, rows) = file.transform, file.size
        (a, c), (b, d) = ([(x - t.c) / t.a for x in (west, east)], [(y - t.f) / t.e for y in (north, south)])
        first, last = (max(0, math.floor(min(a, c))), max(0, math.floor(min(b, d)))), (
            min(columns, math.ceil(max(a, c))), min(rows, math.ceil(max(b, d))),
        )  # fmt: skip
        wide, high = last[0] - first[0], last[1] - first[1]
        if wide <= 0 or high <= 0 or not all(map(math.isfinite, (a, b, c, d))):
            raise InvalidParameter(
                f"The place lies outside the raster `{raster.name}`.", f"该处不在栅格 {raster.name} 的范围内。",
                todo_en="Choose a raster that covers it.", todo_zh="请选择覆盖该处的栅格。", parameter="raster",
            )  # fmt: skip
        if wide * high > cells_max:
            raise too_many(raster, wide * high, cells_max)
        return file.read(*first, *last)


def too_many(raster: Raster, cells: int, cells_max: int) -> TooLarge:
    """The error of a raster of which too much would be read."""
    return TooLarge(
        f"{cells:,} cells of `{raster.name}` would be read; at most {cells_max:,} are.",
        f"需读取栅格 {raster.name} 的 {cells:,} 个像元,超过上限 {cells_max:,}。",
        todo_en="Ask for a smaller radius, or register a coarser raster.",
        todo_zh="请缩小半径,或登记较粗的栅格。", maximum=cells_max,
    )  # fmt: skip


def _checked(raster: Raster, file: Any) -> pyproj.CRS:
    if file.crs is None:
        raise _unreadable(raster, "it names no coordinate system", "没有坐标参考系")
    if file.count != 1 or np.dtype(file.dtypes[0]).kind not in "iuf":
        raise _unreadable(
            raster, f"it has {file.count} bands of {file.dtypes[0]}", f"有 {file.count} 个波段({file.dtypes[0]})"
        )
    t = file.transform
    if t.b or t.d or t.a <= 0 or t.e >= 0:
        raise _unreadable(raster, "it is not north up", "不是正北向上")
    return pyproj.CRS.from_wkt(file.crs.to_wkt())


def _unreadable(raster: Raster, en: str, zh: str) -> UnreadableFile:
    return UnreadableFile(
        f"The raster `{raster.name}` cannot be used: {en}.", f"栅格 {raster.name} 无法使用:{zh}。",
        todo_en="Heights are one band of numbers, north up, with a coordinate system, as GeoTIFF.",
        todo_zh="高程应为单波段、正北向上、带坐标参考系的 GeoTIFF。", raster=raster.name,
    )  # fmt: skip
