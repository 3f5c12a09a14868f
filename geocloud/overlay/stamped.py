# SPDX-License-Identifier: Apache-2.0
"""Features added up by their stamps (空间标记), in the database: right where the stamps are those of now, and quick.

A table `stamps."theme.layer"` says for each feature in which area it lies whole; what lies across borders has none and
is left to the exact way. Finer BeiDou cells nest, so coarser levels follow from them by the numbers; H3 cells do not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocloud.features.binder import quote_identifier
from geocloud.features.query import PageQuery
from geocloud.overlay.by import By
from geocloud.overlay.totals import Sums
from geocloud.overlay.zonings import BEIDOU_LEVEL, CELLS, H3_RESOLUTIONS, ZONINGS, stamp_table

__all__ = ["Stamped", "column_of", "is_current", "read_stamped"]

_BY_LAYER = {z.layer: z.name for z in ZONINGS.values()}
_CURRENT = "SELECT layer_version FROM geocloud.stamp_status WHERE layer = $1 AND zoning = $2 AND current"


@dataclass(frozen=True)
class Stamped:
    """Sums of the features that are stamped, by the value of the stamp: a fid or a cell. `rest` is how many have a
    geometry and no stamp, `shapeless` how many have none."""

    version: int
    stamps: NDArray[np.int64]
    sums: Sums
    rest: int
    shapeless: int


def column_of(by: By) -> tuple[str, str] | None:
    """Column of stamps and name of the zoning whose state tells whether it is current; None where there is none."""
    if by.layer is not None:
        name = _BY_LAYER.get(by.layer.id)
        return None if name is None else (name, name)
    assert by.grid is not None
    if by.grid.id == "h3":
        return (f"h3_{by.level}", CELLS) if by.level in H3_RESOLUTIONS else None
    return ("beidou", CELLS) if by.level <= BEIDOU_LEVEL else None


async def is_current(conn: Any, layer: str, zoning: str) -> int | None:
    """The layer's version if its stamps are those of now, else None."""
    found = await conn.fetchval(_CURRENT, layer, zoning)
    return None if found is None else int(found)


async def read_stamped(conn: Any, query: PageQuery, column: str, fields: Sequence[str], version: int) -> Stamped:
    """The features of a question added up by a column of their stamps; points only need no other figure than these."""
    layer = query.layer
    stamps = stamp_table(layer.id)
    stamp = f"s.{quote_identifier(column)}"
    if not query.where and not fields and layer.spec.geometry == "point":
        # Of the narrow table alone; a point without a cell has no position.
        sql = f"SELECT {stamp}, count(s.h3_8), count(*) FROM {stamps} s GROUP BY 1"
    else:
        where = f" WHERE {query.where}" if query.where else ""
        own = ", ".join(
            ["t.fid", "t.geom", *(f"t.{quote_identifier(f)}::float8 AS v{i}" for i, f in enumerate(fields))]
        )
        parts = [stamp, "count(t.geom)", "count(*)"]
        for i in range(len(fields)):
            value = f"CASE WHEN t.geom IS NOT NULL THEN t.v{i} END"
            parts += [f"count({value})", f"sum({value})", f"min({value})", f"max({value})"]
        # The condition names columns of the layer alone; stamps have some of the same name.
        sql = (
            f"SELECT {', '.join(parts)} FROM (SELECT {own} FROM {layer.table} t{where}) t "
            f"LEFT JOIN {stamps} s ON s.fid = t.fid GROUP BY 1"
        )
    rows = await conn.fetch(sql, *query.args)
    return await asyncio.to_thread(_gathered, rows, fields, version)


def _gathered(rows: Sequence[Any], fields: Sequence[str], version: int) -> Stamped:
    """Rows of stamp, features with a geometry, features, and for each field number, sum, least and greatest."""
    width = 3 + 4 * len(fields)
    table = np.array([tuple(r)[1:] for r in rows], dtype=np.float64).reshape(-1, width - 1)
    bare = np.array([r[0] is None for r in rows], bool)
    stamps = np.array([r[0] for r in rows if r[0] is not None], np.int64)
    order = np.argsort(stamps)
    # What has no stamp comes last, also where there is nothing of it.
    last = table[bare] if bare.any() else np.zeros((1, width - 1))
    columns = np.concatenate([table[~bare][order], last]).T
    none = np.zeros(columns.shape[1])
    sums = Sums(columns[0], none, none, {}, {}, {}, {})
    for i, f in enumerate(fields):
        number, total, least, most = columns[2 + 4 * i : 6 + 4 * i]
        some = number > 0
        sums.known[f], sums.sum[f] = number, np.where(some, total, 0.0)
        sums.least[f], sums.most[f] = np.where(some, least, np.inf), np.where(some, most, -np.inf)
    shapeless = int((columns[1] - columns[0]).sum())
    return Stamped(version, stamps[order], sums, int(columns[0][-1]), shapeless)
