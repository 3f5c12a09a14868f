# SPDX-License-Identifier: Apache-2.0
"""Stamps of the few features of an edit, found before it is written, so that its statement carries them.

Which zones are near is asked of the database, and their versions with them: should a zone move before the edit is
written, `geocloud.put_stamps` sees that these were not those of now and leaves the layer behind. Shapes of zones are
kept by the row they are from.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.db.reader import Reader
from geocloud.features.binder import Binder
from geocloud.features.stamping import Stamping, put
from geocloud.overlay.stamp import Stamps, stamp_shapes
from geocloud.overlay.times import table
from geocloud.overlay.zones import Zones
from geocloud.overlay.zonings import CELLS_RULE, ZONINGS

__all__ = ["EditStamper", "stamp_after"]

# Shapes of zones kept by a worker: of a city's counties, townships and the villages being edited.
_KEPT = 2_000
# More features than this are left to be stamped afterwards.
_AFTER_MAX = 5_000
# Features from which the work is done beside the event loop.
_MANY = 20

_VERSIONS = """
SELECT clock_timestamp(), coalesce(array_agg(z.name), '{}'), coalesce(array_agg(s.version), '{}')
  FROM geocloud.zoning z JOIN geocloud.layer d ON d.id = z.layer AND d.status = 'active'
  JOIN geocloud.layer_state s ON s.layer = d.id WHERE d.spec->>'geometry' <> 'none'
"""
# What a transaction has written to a layer: rows by it now, and what it ended. Times ahead make it wait.
_WRITTEN = """
SELECT t.fid, public.ST_AsBinary(t.geom), t.valid_from > clock_timestamp() OR t.valid_to < 'infinity' AS ahead, true
  FROM {live} t WHERE t.sys_from = geocloud.stamp()
UNION ALL
SELECT h.fid, NULL, h.valid_to > clock_timestamp(), false FROM {past} h
 WHERE h.sys_to = 'infinity' AND h.sys_from = geocloud.stamp() AND NOT EXISTS (SELECT FROM {live} t WHERE t.fid = h.fid)
LIMIT {most}
"""


@dataclass(frozen=True, slots=True)
class _Used:
    """Versions of the zonings in their places, and the time of the database at which they were read."""

    versions: list[int | None]
    at: datetime


async def stamp_after(conn: Any, layer: Layer) -> None:
    """Stamps up to 5,000 features that the transaction of an asyncpg connection has written; leaves more behind."""
    live, past = layer.table, layer.history
    rows = await conn.fetch(_WRITTEN.format(live=live, past=past, most=_AFTER_MAX + 1))
    if len(rows) > _AFTER_MAX or any(r[2] for r in rows):
        return
    kept = sorted((r[0], r[1]) for r in rows if r[3])
    fids, shapes = [k[0] for k in kept], _shapes([k[1] for k in kept])
    used, zones = await _zones(conn, shapes, OrderedDict())
    stamps = await asyncio.to_thread(stamp_shapes, np.array(fids, np.int64), shapes, zones)
    binder = Binder()
    gone = binder.bind([r[0] for r in rows if not r[3]], "bigint[]")
    call = put(binder, layer, _stamping(used, stamps), binder.bind(fids, "bigint[]"), gone)
    await conn.execute(f"SELECT {call}", *binder.args)


class EditStamper:
    """One worker's way to stamp what is edited."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        # Zones are made ready while they are asked, and that is for one thread at a time.
        self._asking = asyncio.Lock()

    async def of(self, layer: Layer, geometry: Sequence[bytes | None]) -> Stamping:
        """Stamps of geometries as WKB, longitude first, EPSG:4490, as of the zones of now."""
        shapes = _shapes(geometry)
        fids = np.arange(len(shapes), dtype=np.int64)
        async with self._reader.lease() as conn:
            used, zones = await _zones(conn, shapes, self._kept)
        async with self._asking:
            if len(shapes) < _MANY:
                return _stamping(used, stamp_shapes(fids, shapes, zones))
            return _stamping(used, await asyncio.to_thread(stamp_shapes, fids, shapes, zones))

    async def after(self, conn: Any, layer: Layer) -> None:
        """See `stamp_after`."""
        await stamp_after(conn, layer)


async def _zones(
    conn: Any, shapes: NDArray[Any], kept: OrderedDict[tuple[Any, ...], Any]
) -> tuple[_Used, dict[str, Zones]]:
    """Versions of the zonings, read first, and the zones whose boxes meet those of the shapes."""
    now, names, numbers = await conn.fetchrow(_VERSIONS)
    versions = dict(zip(map(_text, names), numbers, strict=True))
    used = _Used([*(versions.get(n) for n in ZONINGS), CELLS_RULE], now)
    known = shapes[(shapely.get_type_id(shapes) >= 0) & ~shapely.is_empty(shapes)]
    if not len(known) or not versions:
        return used, {}
    boxes = [bytes(b) for b in shapely.to_wkb(shapely.box(*shapely.bounds(known).T))]
    near = await conn.fetch(" UNION ALL ".join(_near(n) for n in ZONINGS if n in versions), boxes, now)
    rows_near = [(_text(r[0]), r[1], _text(r[2]), _text(r[3]), r[4]) for r in near]
    wanted: dict[tuple[Any, ...], Any] = {key: kept.get(key) for key in rows_near}
    missing = [k for k, shape in wanted.items() if shape is None]
    for name in ZONINGS:
        rows = [k for k in missing if k[0] == name]
        if rows:
            sql = _shape_sql(name)
            found = await conn.fetch(sql, [k[1] for k in rows], [k[2] for k in rows], [k[3] for k in rows])
            for fid, sys_from, valid_from, live, wkb in found:
                wanted[name, fid, _text(sys_from), _text(valid_from), live] = shapely.from_wkb(wkb)
    for key, shape in wanted.items():
        if shape is not None:
            kept[key] = shape
            kept.move_to_end(key)
    while len(kept) > _KEPT:
        kept.popitem(last=False)
    zones = {}
    for name in ZONINGS:
        if name in versions:
            own = [(k[1], s) for k, s in wanted.items() if k[0] == name and s is not None]
            shapes_ = np.empty(len(own), dtype=object)
            shapes_[:] = [s for _, s in own]
            zones[name] = Zones.of(np.array([f for f, _ in own], np.int64), shapes_)
    return used, zones


def _near(zoning: str) -> str:
    """Rows of zones valid at $2 whose boxes meet one of $1: zoning, fid, sys_from, valid_from, whether in the table."""
    layer = ZONINGS[zoning].layer
    met = "JOIN unnest($1::bytea[]) b ON z.geom OPERATOR(public.&&) public.ST_GeomFromWKB(b, 4490)"
    held = "z.valid_from <= $2 AND z.valid_to > $2 AND public.GeometryType(z.geom) IN ('POLYGON', 'MULTIPOLYGON')"
    columns = f"SELECT DISTINCT '{zoning}', z.fid, z.sys_from::text, z.valid_from::text"
    return (
        f"{columns}, true FROM {table(layer)} z {met} WHERE {held} UNION ALL "
        f"{columns}, false FROM history.\"{layer}\" z {met} WHERE z.sys_to = 'infinity' AND {held}"
    )


def _shape_sql(zoning: str) -> str:
    layer = ZONINGS[zoning].layer
    picked = (
        "unnest($1::bigint[], $2::text[], $3::text[]) k (fid, sys_from, valid_from) WHERE z.fid = k.fid "
        "AND z.sys_from = k.sys_from::timestamptz AND z.valid_from = k.valid_from::timestamptz"
    )
    columns = "z.fid, z.sys_from::text, z.valid_from::text"
    return (
        f"SELECT {columns}, true, public.ST_AsBinary(z.geom) FROM {table(layer)} z, {picked} UNION ALL "
        f'SELECT {columns}, false, public.ST_AsBinary(z.geom) FROM history."{layer}" z, {picked} '
        "AND z.sys_to = 'infinity'"
    )


def _stamping(used: _Used, stamps: Stamps) -> Stamping:
    return Stamping(used.versions, used.at, stamps.lists())


def _shapes(geometry: Sequence[Any]) -> NDArray[Any]:
    wkb = np.empty(len(geometry), dtype=object)
    wkb[:] = list(geometry)
    return np.asarray(shapely.from_wkb(wkb), dtype=object)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
