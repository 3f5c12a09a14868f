# SPDX-License-Identifier: Apache-2.0
"""Worked batches as COPY bytes, either for the stage table or straight for a layer's own table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geocloud.ingest.merge import Layout
from geocloud.ingest.order import z_order
from geocloud.ingest.pipeline import Worked
from geocloud.ingest.stage import HEADER, INFINITY, MINUS_INFINITY, TRAILER, encode, pg_microseconds
from geocloud.rules.checker import VALID_FROM, VALID_TO
from geocloud.rules.convert import ARROW_TYPES
from geocloud.rules.repair import Shapes

__all__ = ["Begin", "RowEncoder"]

Columns = list[Any]
# Columns, their number of rows, and the order to write them in (None: as they are).
Rows = tuple[Columns, int, NDArray[np.int64] | None]
# Arrow's binary arrays end at 2 GB, so a batch of huge geometries is encoded in pieces.
_COORDINATES_AT_ONCE = 30_000_000


@dataclass(frozen=True)
class Begin:
    """Where a direct load begins: the fid of the file's first row, and the transaction's stamp in COPY's count."""

    fid: int
    stamp: int


class RowEncoder:
    """Makes COPY bytes of batches; `keyless` counts rejected rows whose key is unknown."""

    def __init__(self, build: Callable[[Worked], Rows]) -> None:
        self._build = build
        self.keyless = 0

    @classmethod
    def for_stage(cls, layout: Layout, *, keep_rejected_keys: bool) -> RowEncoder:
        """Accepted rows for the stage table, and with `keep_rejected_keys` the keys of the rejected ones."""
        encoder = cls(lambda w: _stage_columns(layout, w))
        if keep_rejected_keys:
            encoder._extra = lambda w: encoder._rejected_keys(layout, w)
        return encoder

    @classmethod
    def for_table(cls, layout: Layout, begin: Begin, source_id: int, valid_from: datetime | None) -> RowEncoder:
        """Accepted rows for the layer's table, each batch along a Z curve."""
        return cls(lambda w: _table_columns(layout, w, begin, source_id, valid_from))

    _extra: Callable[[Worked], Rows] | None = None

    def encode(self, worked: Worked) -> memoryview:
        """The batch's rows."""
        data = _split(*self._build(worked))
        if self._extra is None:
            return data
        return memoryview(bytes(data) + bytes(_split(*self._extra(worked))))

    def stream(self, chunks: Iterator[memoryview]) -> Iterator[memoryview | bytes]:
        """A whole COPY stream around the batches' bytes."""
        yield HEADER
        yield from chunks
        yield TRAILER

    def _rejected_keys(self, layout: Layout, worked: Worked) -> Rows:
        places = np.flatnonzero(worked.found.rejected)
        keys = [worked.table.column(k).combine_chunks() for k in layout.spec.key]
        known = np.ones(len(places), dtype=bool)
        for key in keys:
            known &= key.is_valid().to_numpy(zero_copy_only=False)[places]
        self.keyless += int((~known).sum())
        places = places[known]
        if not len(places):
            return [], 0, None
        n = len(places)
        columns: Columns = [pa.array(places + worked.start_row + 1), pa.array(np.zeros(n, dtype=bool))]
        for name in layout.fields:
            if name in layout.spec.key:
                columns.append(worked.table.column(name).combine_chunks().take(pa.array(places)))
            else:
                columns.append(pa.nulls(n, ARROW_TYPES[layout.spec.field(name).type]))
        if layout.geometry:
            columns.append(Shapes(np.full(n, None, dtype=object)))
        columns += [pa.nulls(n, ARROW_TYPES["datetime"])] * (layout.start + layout.end)
        return columns, n, None


def _accepted(worked: Worked) -> NDArray[np.int64] | None:
    """Places of the accepted rows; None when they are all."""
    return np.flatnonzero(~worked.found.rejected) if worked.found.rejected.any() else None


def _fields(layout: Layout, worked: Worked, places: NDArray[np.int64] | None) -> tuple[Columns, Shapes | None]:
    names = [*layout.fields, *_times(layout)]
    columns = [worked.table.column(n).combine_chunks() for n in names]
    shapes = worked.shapes if layout.geometry else None
    if places is not None:
        index = pa.array(places)
        columns = [c.take(index) for c in columns]
        shapes = shapes and Shapes(shapes.array[places])
    return columns, shapes


def _stage_columns(layout: Layout, worked: Worked) -> Rows:
    places = _accepted(worked)
    columns, shapes = _fields(layout, worked, places)
    rows = (np.arange(len(worked.found.rejected)) if places is None else places) + worked.start_row + 1
    fields, times = columns[: len(layout.fields)], columns[len(layout.fields) :]
    geom = [] if shapes is None else [shapes]
    return [pa.array(rows), pa.array(np.ones(len(rows), dtype=bool)), *fields, *geom, *times], len(rows), None


def _table_columns(layout: Layout, worked: Worked, begin: Begin, source_id: int, valid_from: datetime | None) -> Rows:
    columns, shapes = _fields(layout, worked, _accepted(worked))
    rows = len(columns[0])
    by_name = dict(zip(_times(layout), columns[len(layout.fields) :], strict=True))
    default = MINUS_INFINITY
    if valid_from is not None:
        default = int(pg_microseconds(pa.array([valid_from], pa.timestamp("us", "UTC")), 0)[0])
    end = np.full(rows, INFINITY)
    if VALID_TO in by_name:
        end = pg_microseconds(by_name[VALID_TO], INFINITY)
    start = np.where(end > default, default, MINUS_INFINITY)
    if VALID_FROM in by_name:
        given = by_name[VALID_FROM]
        start = np.where(given.is_null().to_numpy(zero_copy_only=False), start, pg_microseconds(given, 0))
    order = z_order(shapes.boxes) if shapes is not None and rows else None
    fid = np.arange(rows)
    if order is not None:
        fid[order] = np.arange(rows)
    geom = [] if shapes is None else [shapes]
    source = pa.array(np.full(rows, source_id, np.int32))
    stamp = np.full(rows, begin.stamp, np.int64)
    fids = pa.array(fid + begin.fid + worked.start_row)
    return [fids, *columns[: len(layout.fields)], *geom, start, end, source, stamp], rows, order


def _times(layout: Layout) -> list[str]:
    return [n for n, there in ((VALID_FROM, layout.start), (VALID_TO, layout.end)) if there]


def _split(columns: Columns, rows: int, order: NDArray[np.int64] | None) -> memoryview:
    shapes = next((c for c in columns if isinstance(c, Shapes)), None)
    if rows > 1 and shapes is not None and shapes.counts.sum() > _COORDINATES_AT_ONCE:
        half = rows // 2
        cuts = (slice(0, half), slice(half, rows))
        parts = [[Shapes(c.array[cut]) if isinstance(c, Shapes) else c[cut] for c in columns] for cut in cuts]
        return memoryview(b"".join(bytes(_split(p, len(p[0]), None)) for p in parts))
    return encode(columns, rows, order)
