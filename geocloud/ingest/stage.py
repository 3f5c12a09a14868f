# SPDX-License-Identifier: Apache-2.0
"""Rows as PostgreSQL's binary COPY stream, built from whole Arrow columns and shapely arrays.

A row of the stream is a count and, for every field, its length and its bytes. Each part becomes a binary
Arrow array, and joining them element by element leaves the finished rows one after the other in one buffer.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from geocloud.rules.repair import Shapes

__all__ = ["HEADER", "INFINITY", "MINUS_INFINITY", "TRAILER", "Stream", "encode", "pg_microseconds"]

HEADER = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
TRAILER = b"\xff\xff"
# timestamptz counts microseconds from 2000-01-01; its two infinities are the ends of int64.
INFINITY, MINUS_INFINITY = 2**63 - 1, -(2**63)
_EPOCH_US = 946_684_800_000_000
_EPOCH_DAYS = 10_957
_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])
_POLYGON = np.dtype([("order", "u1"), ("type", "<u4"), ("rings", "<u4"), ("points", "<u4")])


def encode(
    columns: Sequence[pa.Array | NDArray[Any] | Shapes], rows: int, order: NDArray[np.int64] | None = None
) -> memoryview:
    """The rows of the columns as COPY bytes, without header and trailer; in `order`, the places of rows, if given.

    An Arrow array is text, integer (int32), bigint, double precision, boolean, date or timestamptz by its
    type; shapes become WKB without SRID (the column's type gives it); an int64 array holds timestamptz as
    microseconds from 2000-01-01 (see `pg_microseconds`).
    """
    if rows == 0:
        return memoryview(b"")
    parts = [_fixed(np.full(rows, len(columns), ">i2"))]
    for column in columns:
        if isinstance(column, Shapes):
            parts += _shapes(column)
        elif isinstance(column, np.ndarray):
            parts += _plain(column.astype(">i8"), None)
        else:
            parts += _field(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
    joined = pc.binary_join_element_wise(*parts, b"")
    if order is not None:
        joined = joined.take(pa.array(order))
    ends = np.frombuffer(joined.buffers()[1], np.int32)
    start, stop = int(ends[joined.offset]), int(ends[joined.offset + len(joined)])
    return memoryview(joined.buffers()[2])[start:stop]


def pg_microseconds(values: pa.Array, missing: int) -> NDArray[np.int64]:
    """A timestamp column as microseconds from 2000-01-01, with `missing` where it is null."""
    us = values.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    out: NDArray[np.int64] = us.fill_null(0).to_numpy(zero_copy_only=False) - _EPOCH_US
    return np.where(values.is_null().to_numpy(zero_copy_only=False), missing, out) if values.null_count else out


class Stream:
    """A file that `copy_expert` reads, fed by an iterator of byte chunks.

    An error of the iterator is kept in `error`, because the database driver reports only that COPY failed.
    """

    def __init__(self, chunks: Iterator[memoryview | bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; empty at the end."""
        try:
            while not len(self._rest):
                self._rest = memoryview(next(self._chunks))
        except StopIteration:
            return b""
        except BaseException as exc:
            self.error = exc
            raise
        size = len(self._rest) if size < 0 else size
        out, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return out

    def close(self) -> None:
        """Ends the iterator where it stands, so that its threads stop."""
        if isinstance(self._chunks, Generator):
            self._chunks.close()


def _field(column: pa.Array) -> list[pa.Array]:
    kind = column.type
    if pa.types.is_string(kind):
        size = pc.binary_length(column).fill_null(-1).to_numpy(zero_copy_only=False)
        data = column.cast(pa.binary())
        return [_fixed(size.astype(">i4")), data.fill_null(b"") if data.null_count else data]
    missing = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
    if pa.types.is_int32(kind):
        values = column.fill_null(0).to_numpy(zero_copy_only=False).astype(">i4")
    elif pa.types.is_integer(kind):
        values = column.fill_null(0).to_numpy(zero_copy_only=False).astype(">i8")
    elif pa.types.is_floating(kind):
        values = column.fill_null(0).to_numpy(zero_copy_only=False).astype(">f8")
    elif pa.types.is_boolean(kind):
        values = column.fill_null(False).to_numpy(zero_copy_only=False).astype("u1")
    elif pa.types.is_date32(kind):
        values = (column.cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False) - _EPOCH_DAYS).astype(">i4")
    elif pa.types.is_timestamp(kind):
        values = pg_microseconds(column, 0).astype(">i8")
    else:
        raise TypeError(f"no COPY form for Arrow type {kind}")
    return _plain(values, missing)


def _plain(values: NDArray[Any], missing: NDArray[np.bool_] | None) -> list[pa.Array]:
    """Length and bytes of values of one width; a missing one has length -1 and no bytes."""
    size = np.full(len(values), values.itemsize, ">i4")
    if missing is None:
        return [_fixed(size), _fixed(values)]
    size[missing] = -1
    ends = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.where(missing, 0, values.itemsize), out=ends[1:])
    return [_fixed(size), _sliced(ends, values[~missing])]


def _fixed(values: NDArray[Any]) -> pa.Array:
    """Every element's bytes as one binary value."""
    return _sliced(np.arange(len(values) + 1, dtype=np.int32) * values.itemsize, values)


def _sliced(ends: NDArray[np.int32], data: NDArray[Any]) -> pa.Array:
    content = np.ascontiguousarray(data)
    return pa.Array.from_buffers(pa.binary(), len(ends) - 1, [None, pa.py_buffer(ends), pa.py_buffer(content)])


def _shapes(shapes: Shapes) -> list[pa.Array]:
    """Length and WKB of geometries; points and polygons of one ring, the bulk of city data, without GEOS."""
    if (shapes.kinds == 0).all():
        out = np.empty(len(shapes), _POINT)
        out["order"], out["type"] = 1, 1
        out["x"], out["y"] = shapes.xy[:, 0], shapes.xy[:, 1]
        return _plain(out, None)
    if shapes.plain:
        counts = shapes.counts
        head = np.empty(len(shapes), _POLYGON)
        head["order"], head["type"], head["rings"], head["points"] = 1, 3, 1, counts
        ends = np.zeros(len(shapes) + 1, np.int32)
        np.cumsum(counts * 16, out=ends[1:])
        size = (_POLYGON.itemsize + counts * 16).astype(">i4")
        return [_fixed(size), _fixed(head), _sliced(ends, shapes.xy.astype("<f8", copy=False))]
    column = pa.array(shapely.to_wkb(shapes.array, byte_order=1), pa.binary())
    size = pc.binary_length(column).fill_null(-1).to_numpy(zero_copy_only=False).astype(">i4")
    return [_fixed(size), column.fill_null(b"")]
