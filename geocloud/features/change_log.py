# SPDX-License-Identifier: Apache-2.0
"""The change log of one layer, read in order: what was written when, by whom, and where.

Ids of a layer's entries rise in the order its writes are committed, because a writer holds the layer's lock from its
first statement to its commit. So who has read up to an id has missed nothing below it. Ids of a write that was given
up are never seen; ids of other layers lie between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["Entry", "last_entry", "read_entries"]

Box = tuple[float, float, float, float]
_READ = """
SELECT id, version, fid, op, row_count, at, by_name,
       least((b[1])[0], (a[1])[0]), least((b[1])[1], (a[1])[1]),
       greatest((b[0])[0], (a[0])[0]), greatest((b[0])[1], (a[0])[1])
  FROM (SELECT id, version, fid, op, row_count, at, by_name, bbox_before AS b, bbox_after AS a
          FROM geocloud.change_log WHERE layer = $1 AND id > $2 ORDER BY id LIMIT $3) c ORDER BY id
"""
_LAST = "SELECT coalesce(max(id), 0) FROM geocloud.change_log WHERE layer = $1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of a feature, or of `rows` features by one statement, which has no fid.

    `op` is insert, update, delete, or correct (what is believed of a time before has changed). `by` is the name of the
    key or program it was written with; the key itself is known to nobody. `bbox` is around where it was and is.
    """

    id: int
    version: int
    fid: int | None
    op: str
    rows: int
    at: datetime
    by: str | None
    bbox: Box | None


async def read_entries(conn: Any, layer_id: str, after: int, limit: int) -> list[Entry]:
    """The first entries of a layer whose ids are greater than `after`, in order."""
    return [_entry(r) for r in await conn.fetch(_READ, layer_id, after, limit)]


async def last_entry(conn: Any, layer_id: str) -> int:
    """The id of the layer's last entry; 0 before there is any."""
    return int(await conn.fetchval(_LAST, layer_id))


def _entry(row: Any) -> Entry:
    op, by = (v.decode() if isinstance(v, bytes) else v for v in (row[3], row[6]))
    box = tuple(row[7:11])
    return Entry(row[0], row[1], row[2], op, row[4], row[5], by, None if None in box else box)  # type: ignore[arg-type]
