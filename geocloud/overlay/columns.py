# SPDX-License-Identifier: Apache-2.0
"""Features of a question in columns: ids, positions or shapes, and the numbers that are added up.

Single points and numbers come out of the database as one packed value, a third of the time of rows; shapes as WKB.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.errors import TooLarge
from geocloud.features.binder import quote_identifier
from geocloud.features.query import PageQuery
from geocloud.overlay.assign import amounts
from geocloud.overlay.zones import Places

__all__ = ["VERSION_SQL", "Columns", "fetch_columns"]

VERSION_SQL = "SELECT version FROM geocloud.layer_state WHERE layer = $1"
_FETCHED = 5_000


@dataclass(frozen=True)
class Columns:
    """Features at a version: `lon`, `lat` of single points (NaN without a position), else `shapes`. `values` by field
    are NaN where a feature has none."""

    version: int
    fid: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    lon: NDArray[np.float64] | None = None
    lat: NDArray[np.float64] | None = None
    shapes: NDArray[Any] | None = None

    @cached_property
    def places(self) -> Places:
        """The points in the order of a lookup."""
        assert self.lon is not None and self.lat is not None
        return Places(self.lon, self.lat)

    @cached_property
    def placed(self) -> NDArray[np.bool_]:
        """Which features have a geometry."""
        if self.shapes is not None:
            return np.asarray(~(shapely.is_missing(self.shapes) | shapely.is_empty(self.shapes)))
        assert self.lon is not None and self.lat is not None
        return np.isfinite(self.lon) & np.isfinite(self.lat)

    @cached_property
    def amounts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Metres of lines and square metres of polygons of each feature; 0 for others."""
        if self.shapes is None:
            none = np.zeros(len(self.fid))
            return none, none
        kind, size = shapely.get_dimensions(self.shapes), amounts(self.shapes)
        return np.where(kind == 1, size, 0.0), np.where(kind == 2, size, 0.0)

    @property
    def nbytes(self) -> int:
        """About what they take in memory, lookups included."""
        size = self.fid.nbytes + sum(v.nbytes for v in self.values.values())
        if self.shapes is not None:
            return int(size + int(shapely.get_num_coordinates(self.shapes).sum()) * 20 + 200 * len(self.fid))
        return int(size + 6 * self.fid.nbytes)


async def fetch_columns(conn: Any, query: PageQuery, fields: Sequence[str], most: int) -> Columns:
    """The features of a question, over a connection in a transaction of one snapshot; TooLarge for more than `most`."""
    version = await conn.fetchval(VERSION_SQL, query.layer.id)
    if query.layer.spec.geometry == "point":
        return await _points(conn, query, fields, most, int(version))
    return await _shapes(conn, query, fields, most, int(version))


def _numbers(fields: Sequence[str]) -> list[str]:
    return [f"coalesce(t.{quote_identifier(f)}::float8, 'NaN')" for f in fields]


async def _points(conn: Any, query: PageQuery, fields: Sequence[str], most: int, version: int) -> Columns:
    where = f" WHERE {query.where}" if query.where else ""
    numbers = ["coalesce(ST_X(t.geom), 'NaN')", "coalesce(ST_Y(t.geom), 'NaN')", *_numbers(fields)]
    columns = ", ".join(f"{n} AS n{i}" for i, n in enumerate(numbers))
    packed = " || ".join(["int8send(q.fid)", *(f"float8send(q.n{i})" for i in range(len(numbers)))])
    sql = (
        f"SELECT count(*), string_agg({packed}, ''::bytea) FROM (SELECT t.fid::bigint AS fid, {columns} "
        f"FROM {query.source} t{where} LIMIT {most + 1:d}) q"
    )
    count, data = await conn.fetchrow(sql, *query.args)
    if count > most:
        raise _too_many(query.layer, most)
    row = np.dtype([("fid", ">i8"), *((f"n{i}", ">f8") for i in range(len(numbers)))])

    def unpack() -> Columns:
        rows = np.frombuffer(data or b"", row)
        # One order whatever way they were read in.
        rows = rows[np.argsort(rows["fid"], kind="stable")]
        lon, lat, *values = (rows[f"n{i}"].astype(np.float64) for i in range(len(numbers)))
        return Columns(version, rows["fid"].astype(np.int64), dict(zip(fields, values, strict=True)), lon, lat)

    return await asyncio.to_thread(unpack)


async def _shapes(conn: Any, query: PageQuery, fields: Sequence[str], most: int, version: int) -> Columns:
    where = f" WHERE {query.where}" if query.where else ""
    columns = ", ".join(["t.fid::bigint", "ST_AsBinary(t.geom)", *_numbers(fields)])
    sql = f"SELECT {columns} FROM {query.source} t{where} LIMIT {most + 1:d}"
    cursor = await conn.cursor(sql, *query.args)
    fids: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    shapes: list[NDArray[Any]] = [np.zeros(0, object)]
    values: list[list[NDArray[np.float64]]] = [[np.zeros(0)] for _ in fields]
    count = 0
    while rows := await cursor.fetch(_FETCHED):
        count += len(rows)
        if count > most:
            raise _too_many(query.layer, most)
        read = list(zip(*rows, strict=True))
        fids.append(np.array(read[0], np.int64))
        shapes.append(await asyncio.to_thread(_read, read[1]))
        for kept, column in zip(values, read[2:], strict=True):
            kept.append(np.array(column, np.float64))
    fid = np.concatenate(fids)
    order = np.argsort(fid, kind="stable")
    found = {f: np.concatenate(v)[order] for f, v in zip(fields, values, strict=True)}
    return Columns(version, fid[order], found, shapes=np.concatenate(shapes)[order])


def _read(wkb: Sequence[bytes | None]) -> NDArray[Any]:
    return np.asarray(shapely.from_wkb(np.array(wkb, dtype=object)), dtype=object).reshape(-1)


def _too_many(layer: Layer, most: int) -> TooLarge:
    return TooLarge(
        f"More than {most:,} features of `{layer.id}` would be added up.",
        f"{layer.id} 待汇总的要素超过上限 {most:,} 个。",
        todo_en="Narrow the question with bbox or filter.", todo_zh="请用 bbox 或 filter 缩小范围。", maximum=most,
    )  # fmt: skip
