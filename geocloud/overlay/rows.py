# SPDX-License-Identifier: Apache-2.0
"""Features read for stamping, zones read to stamp by, and stamps written; on psycopg2, many rows as binary COPY."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.ingest.stage import HEADER, TRAILER, Stream, encode
from geocloud.overlay.stamp import Stamps, stamp_points, stamp_shapes
from geocloud.overlay.times import by_index, near_now, now
from geocloud.overlay.zones import Zones
from geocloud.overlay.zonings import COLUMNS, ZONINGS, stamp_table

__all__ = ["delete_stamps", "read_zones", "stamp_range", "stamp_some", "write_stamps"]

Ints = NDArray[np.int64]
_POINT_ROW = np.dtype(
    [("fields", ">i2"), ("l1", ">i4"), ("fid", ">i8"), ("l2", ">i4"), ("x", ">f8"), ("l3", ">i4"), ("y", ">f8")]
)
_COPY_BLOCK = 1 << 20
# Features whose boxes are handed to the database one by one to find the zones near them.
_BOXES = 1_000
_NAMES = ", ".join(("fid", *COLUMNS))


class _Sink:
    """What binary COPY writes, a row at a time."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self.parts.append(part)
        return len(part)


def stamp_range(cur: Any, relation: str, values: dict[str, Any], zones: dict[str, Zones], *, points: bool) -> Stamps:
    """Stamps of the features of a relation (SQL with fid and geom) from `first` to `last`, in the order of fids."""
    where = "WHERE fid >= %(first)s AND fid <= %(last)s ORDER BY fid"
    if points:
        # Nothing is copied with values bound, so they are put in by the driver.
        sql = (
            "SELECT fid, coalesce(public.ST_X(geom), 'NaN'), coalesce(public.ST_Y(geom), 'NaN') "
            f"FROM {relation} r {where}"
        )
        sink = _Sink()
        cur.copy_expert(f"COPY ({cur.mogrify(sql, values).decode()}) TO STDOUT (FORMAT binary)", sink, _COPY_BLOCK)
        data = b"".join(sink.parts)
        rows = np.frombuffer(
            data, _POINT_ROW, (len(data) - len(HEADER) - len(TRAILER)) // _POINT_ROW.itemsize, len(HEADER)
        )
        return stamp_points(rows["fid"].astype(np.int64), rows["x"].astype(float), rows["y"].astype(float), zones)
    cur.execute(f"SELECT fid, public.ST_AsBinary(geom) FROM {relation} r {where}", values)
    return stamp_shapes(*_shapes(cur.fetchall()), zones)


def stamp_some(cur: Any, relation: str, values: dict[str, Any], fids: Ints, zones: dict[str, Zones] | None) -> Stamps:
    """Stamps of those of some features that a relation has; without `zones` those near them are asked for."""
    cur.execute(
        f"SELECT fid, public.ST_AsBinary(geom) FROM {relation} r WHERE fid = ANY (%(fids)s) ORDER BY fid",
        values | {"fids": fids.tolist()},
    )
    found, shapes = _shapes(cur.fetchall())
    if zones is None:
        zones = {n: read_zones(cur, n, values["at"], shapes) for n in _published(cur)}
    return stamp_shapes(found, shapes, zones)


def read_zones(cur: Any, name: str, at: Any, near: NDArray[Any] | None = None) -> Zones:
    """The zones of a zoning valid at a time, all of them or those whose boxes meet the boxes of shapes."""
    relation = now(ZONINGS[name].layer)
    areal = "public.GeometryType(geom) IN ('POLYGON', 'MULTIPOLYGON')"
    if near is None:
        cur.execute(f"SELECT fid, public.ST_AsBinary(geom) FROM {relation} z WHERE {areal}", {"at": at})
        return Zones.of(*_shapes(cur.fetchall()))
    known = near[(shapely.get_type_id(near) >= 0) & ~shapely.is_empty(near)]
    boxes = shapely.box(*(shapely.bounds(known).T if len(known) <= _BOXES else shapely.total_bounds(known)))
    given = "SELECT public.ST_GeomFromWKB(b, 4490) AS box FROM unnest(%(boxes)s::bytea[]) b"
    met = near_now(ZONINGS[name].layer, given, "r.geom OPERATOR(public.&&) s.box")
    with by_index(cur):
        cur.execute(
            f"SELECT z.fid, public.ST_AsBinary(z.geom) FROM {relation} z WHERE {areal} AND z.fid = ANY (ARRAY({met}))",
            {"at": at, "boxes": [bytes(b) for b in np.atleast_1d(shapely.to_wkb(boxes))]},
        )
        return Zones.of(*_shapes(cur.fetchall()))


def write_stamps(cur: Any, layer_id: str, stamps: Stamps) -> None:
    """Adds rows that are not there yet."""
    if not len(stamps):
        return
    body = encode(stamps.arrow(), len(stamps))
    stream = Stream(iter([HEADER, body, TRAILER]))
    cur.copy_expert(f"COPY {stamp_table(layer_id)} ({_NAMES}) FROM STDIN (FORMAT binary)", stream, _COPY_BLOCK)


def delete_stamps(cur: Any, layer_id: str, fids: Iterable[int]) -> None:
    """Takes the rows of features away."""
    cur.execute(f"DELETE FROM {stamp_table(layer_id)} WHERE fid = ANY (%s)", (list(fids),))


def _published(cur: Any) -> list[str]:
    cur.execute(
        "SELECT z.name FROM geocloud.zoning z JOIN geocloud.layer l ON l.id = z.layer WHERE l.status = 'active' "
        "AND l.spec->>'geometry' <> 'none'"
    )
    return [r[0] for r in cur.fetchall()]


def _shapes(rows: list[tuple[int, Any]]) -> tuple[Ints, NDArray[Any]]:
    fids = np.fromiter((r[0] for r in rows), np.int64, len(rows))
    wkb = np.empty(len(rows), dtype=object)
    wkb[:] = [None if r[1] is None else bytes(r[1]) for r in rows]
    return fids, np.asarray(shapely.from_wkb(wkb), dtype=object)
