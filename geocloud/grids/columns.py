# SPDX-License-Identifier: Apache-2.0
"""Points of layers in the memory of a web worker, for counting them by H3 cells.

A layer is read when first asked for, in one snapshot and as binary COPY, converted in a thread; afterwards the change
log says which rows to read again. The exact row count kept by the database must come out each time; where it does not,
or the log has an entry for a whole statement, the layer is read anew. Rows with a condition or of another time are read
for the one question.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.reader import Reader
from geocloud.errors import RequestError, TooLarge
from geocloud.features.binder import quote_identifier
from geocloud.grids.h3cells import PointStore

__all__ = ["PointColumns", "fetch_points", "must_have_points"]

_SNAPSHOT = """
SELECT c.identity::text, s.version, s.row_count
  FROM geocloud.catalogue_state c, geocloud.layer_state s WHERE s.layer = $1
"""
_CHANGES = """
SELECT count(*) FILTER (WHERE fid IS NULL), count(DISTINCT fid),
       CASE WHEN count(*) FILTER (WHERE fid IS NULL) = 0 THEN array_agg(DISTINCT fid) FILTER (WHERE fid IS NOT NULL) END
  FROM geocloud.change_log WHERE layer = $1 AND version > $2 AND version <= $3
"""
# PGCOPY's binary format: a header of 19 bytes, then a row as the number of its fields and each field behind its length.
_HEADER = 19
_ROW = np.dtype(
    [("fields", ">i2"), ("l1", ">i4"), ("fid", ">i8"), ("l2", ">i4"), ("lon", ">f8"), ("l3", ">i4"), ("lat", ">f8"),
     ("l4", ">i4"), ("code", ">i4")]
)  # fmt: skip
_BLOCK_BYTES = 4 * 2**20
# Past this share of changed rows reading all is quicker.
_RENEWED_SHARE = 0.1
_FETCHED = 10_000


@dataclass(frozen=True, slots=True)
class _Kept:
    spec: LayerSpec
    identity: str
    store: PointStore


class PointColumns:
    """The point layers of one worker; at most `points_max` rows of all layers together, the longest unused go first."""

    def __init__(self, reader: Reader, points_max: int) -> None:
        self._reader, self.points_max = reader, points_max
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        # One at a time: building is the work of a processor, and two layers at once would hold more than is allowed.
        self._building = asyncio.Lock()
        self._renewing: dict[str, asyncio.Task[PointStore]] = {}

    @property
    def points(self) -> int:
        """Rows held now."""
        return sum(len(k.store.fid) for k in self._kept.values())

    async def get(self, layer: Layer) -> PointStore:
        """The layer's current rows at the version the worker knows, or a later one, which `version` of it says.

        Only for layers that are not `timed`. Raises RequestError for layers without points, TooLarge for more rows
        than may be held.
        """
        must_have_points(layer)
        while (found := self._fresh(layer)) is None:
            task = self._renewing.get(layer.id)
            if task is not None:
                # Somebody else's, perhaps for an older version: then it is looked at again.
                await asyncio.wait({task})
                continue
            task = self._renewing[layer.id] = asyncio.create_task(self._renew(layer))
            task.add_done_callback(lambda done: self._renewed(layer.id, done))
            # Who asked may leave; the work is of use to the next, and would else begin again and again.
            return await asyncio.shield(task)
        return found

    async def read(self, layer: Layer, relation: str, where: str, args: Sequence[object]) -> PointStore:
        """The rows of a relation that meet a condition (SQL over the layer's columns), for one question.

        Raises RequestError for layers without points, TooLarge for more rows than may be held.
        """
        must_have_points(layer)
        async with self._building:
            async with self._reader.lease() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
                version, fetched = await _fetch(conn, layer, relation, where, args, self.points_max)
            return await asyncio.to_thread(fetched.store, version)

    def _fresh(self, layer: Layer) -> PointStore | None:
        """What is held, if it is of this definition (the very object: a catalogue read anew is compared first)."""
        kept = self._kept.get(layer.id)
        if kept is None or kept.spec is not layer.spec or kept.store.version < layer.state.version:
            return None
        self._kept.move_to_end(layer.id)
        return kept.store

    async def _renew(self, layer: Layer) -> PointStore:
        async with self._building:
            return await self._renew_now(layer)

    async def _renew_now(self, layer: Layer) -> PointStore:
        kept = self._kept.get(layer.id)
        async with self._reader.lease() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
            identity, version, rows = await conn.fetchrow(_SNAPSHOT, layer.id)
            identity = _text(identity)
            store = None
            if kept is not None and kept.identity == identity and kept.spec == layer.spec:
                store = await _renewed(conn, layer, kept.store, version, rows)
            if store is None:
                if rows > self.points_max:
                    self._kept.pop(layer.id, None)
                    raise _too_many(layer, f"{rows:,}", f"{rows:,}", self.points_max)
                self._make_room(layer.id, rows)
                store = await _read_all(conn, layer, version, rows)
        self._kept[layer.id] = _Kept(layer.spec, identity, store)
        self._kept.move_to_end(layer.id)
        self._make_room(layer.id, len(store.fid))
        return store

    def _renewed(self, layer_id: str, task: asyncio.Task[PointStore]) -> None:
        self._renewing.pop(layer_id, None)
        if not task.cancelled():
            # Said to who asked; where nobody is left, the next one asks afresh.
            task.exception()

    def _make_room(self, for_layer: str, rows: int) -> None:
        others = [i for i in self._kept if i != for_layer]
        while others and rows + sum(len(self._kept[i].store.fid) for i in others) > self.points_max:
            del self._kept[others.pop(0)]


async def fetch_points(
    conn: Any, layer: Layer, relation: str, where: str, args: Sequence[object], most: int
) -> PointStore:
    """The rows of a relation that meet a condition, over a connection that is in a transaction of one snapshot.

    Raises RequestError for layers without points, TooLarge for more rows than `most`.
    """
    must_have_points(layer)
    version, fetched = await _fetch(conn, layer, relation, where, args, most)
    return await asyncio.to_thread(fetched.store, version)


async def _fetch(
    conn: Any, layer: Layer, relation: str, where: str, args: Sequence[object], most: int
) -> tuple[int, _Fetched]:
    condition = f" WHERE {where}" if where else ""
    sql = f"SELECT {_columns(layer)} FROM {relation or layer.table} t{condition} LIMIT {most + 1:d}"
    fetched = _Fetched(most)
    _, version, _ = await conn.fetchrow(_SNAPSHOT, layer.id)
    cursor = await conn.cursor(sql, *args)
    while rows := await cursor.fetch(_FETCHED):
        fetched.add(rows)
    if fetched.rows > most:
        raise _too_many(layer, f"more than {most:,}", f"超过 {most:,}", most)
    return version, fetched


def must_have_points(layer: Layer) -> None:
    """RequestError unless every feature of the layer is one point: what else lies in more than one cell."""
    if layer.spec.geometry != "point":
        raise RequestError(
            f"`{layer.id}` has no single points ({layer.spec.geometry}); H3 cells count points only.",
            f"{layer.id} 不是点图层({layer.spec.geometry}),H3 网格只统计点要素。",
            todo_en="A line or area lies in many cells, and one point of it would not be true; choose a point layer.",
            todo_zh="线、面跨多个网格,取一个代表点并不真实;请改选点图层。",
            collection=layer.id,
            geometry=layer.spec.geometry,
        )


def _too_many(layer: Layer, rows: str, rows_zh: str, most: int) -> TooLarge:
    return TooLarge(
        f"`{layer.id}` has {rows} features to count; this server counts at most {most:,} by H3 cells.",
        f"{layer.id} 待统计的要素为 {rows_zh} 个,本服务器按 H3 网格最多统计 {most:,} 个。",
        todo_en="Narrow the question with bbox or filter, or raise GEOCLOUD_H3_POINTS_MAX.",
        todo_zh="请用 bbox 或 filter 缩小范围,或调大 GEOCLOUD_H3_POINTS_MAX。",
        maximum=most,
    )


async def _renewed(conn: Any, layer: Layer, store: PointStore, version: int, rows: int) -> PointStore | None:
    """The store brought up to `version` by the change log; None when it has to be read anew."""
    bulk, changed, fids = await conn.fetchrow(_CHANGES, layer.id, store.version, version)
    if bulk or changed > max(1_000, _RENEWED_SHARE * len(store.fid)):
        return None
    gone = np.array(fids or [], np.int64)
    come = _Fetched(len(gone))
    come.add(
        await conn.fetch(f"SELECT {_columns(layer)} FROM {layer.table} t WHERE fid = ANY ($1::bigint[])", fids or [])
    )
    renewed = await asyncio.to_thread(lambda: store.renewed(version, gone, come.store(version)))
    return renewed if len(renewed.fid) == rows else None


async def _read_all(conn: Any, layer: Layer, version: int, rows: int) -> PointStore:
    field = layer.spec.style.color_by
    codes = [""]
    numbered, number = "", "0"
    if field:
        column = quote_identifier(field)
        every = f"SELECT DISTINCT {column}::text AS code FROM {layer.table} WHERE {column} IS NOT NULL"
        # One order for both statements of the snapshot, whatever the database sorts text by.
        ordered = f'SELECT code, row_number() OVER (ORDER BY code COLLATE "C")::int AS place FROM ({every}) e'
        codes += [_text(r[0]) for r in await conn.fetch(f"{ordered} ORDER BY place")]
        numbered, number = f" LEFT JOIN ({ordered}) n ON n.code = t.{column}::text", "coalesce(n.place, 0)"
    blocks = _Blocks(rows)
    await conn.copy_from_query(
        f"SELECT t.fid::bigint, coalesce(ST_X(t.geom), 'NaN'), coalesce(ST_Y(t.geom), 'NaN'), {number}::int "
        f"FROM {layer.table} t{numbered}",
        output=blocks.take,
        format="binary",
    )
    fid, lon, lat, code = await asyncio.to_thread(blocks.columns)
    return await asyncio.to_thread(PointStore.of, version, fid, lon, lat, code, codes)


class _Blocks:
    """Takes the bytes of a binary COPY and gives the columns."""

    def __init__(self, rows: int) -> None:
        self._rows = np.empty(rows, _ROW)
        self._at = 0
        self._pending = bytearray()
        self._begun = False

    async def take(self, data: bytes) -> None:
        self._pending += data
        if not self._begun and len(self._pending) >= _HEADER:
            del self._pending[:_HEADER]
            self._begun = True
        if len(self._pending) >= _BLOCK_BYTES:
            self._keep()
            # Other requests come to their turn between two blocks.
            await asyncio.sleep(0)

    def columns(self) -> tuple[Any, Any, Any, Any]:
        self._keep()
        # The trailer, a number of fields of -1, is all that may be left.
        if self._at != len(self._rows) or bytes(self._pending) != b"\xff\xff":
            raise RuntimeError(f"{self._at} rows were read where the layer's state says {len(self._rows)}")
        kinds = (("fid", np.int64), ("lon", np.float64), ("lat", np.float64), ("code", np.int32))
        fid, lon, lat, code = (self._rows[name].astype(kind) for name, kind in kinds)
        return fid, lon, lat, code

    def _keep(self) -> None:
        count = len(self._pending) // _ROW.itemsize
        end = self._at + count
        if end > len(self._rows):
            raise RuntimeError(f"more rows were read than the {len(self._rows)} of the layer's state")
        self._rows[self._at : end] = np.frombuffer(self._pending, _ROW, count)
        self._at = end
        del self._pending[: count * _ROW.itemsize]


class _Fetched:
    """Takes rows of `_columns` as fetched, kept as arrays, and gives a store of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._parts: list[tuple[Any, Any, Any, Any]] = []
        self._codes: dict[bytes | str | None, int] = {None: 0}
        self.rows = 0

    def add(self, rows: Sequence[Any]) -> None:
        codes = self._codes
        self.rows += len(rows)
        if not rows or self.rows > self._most:
            return
        fid, lon, lat, code = zip(*rows, strict=True)
        number = [codes.setdefault(c, len(codes)) for c in code]
        self._parts.append((np.array(fid, np.int64), np.array(lon), np.array(lat), np.array(number, np.int32)))

    def store(self, version: int) -> PointStore:
        none = (np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0, np.int32))
        fid, lon, lat, code = (np.concatenate(column) for column in zip(none, *self._parts, strict=True))
        return PointStore.of(version, fid, lon, lat, code, ["" if c is None else _text(c) for c in self._codes])


def _columns(layer: Layer) -> str:
    """Feature id, longitude, latitude (NaN where there is no position) and code of a row `t`."""
    field = layer.spec.style.color_by
    code = f"t.{quote_identifier(field)}::text" if field else "NULL::text"
    return f"t.fid::bigint, coalesce(ST_X(t.geom), 'NaN'), coalesce(ST_Y(t.geom), 'NaN'), {code}"


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
