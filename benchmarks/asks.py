# SPDX-License-Identifier: Apache-2.0
"""What is asked, without saying how: each endpoint turns an `Ask` into its own request target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2.extensions import connection

from benchmarks.city import Box, City

__all__ = ["Ask", "Row", "expected"]


@dataclass(frozen=True)
class Ask:
    """One question. `after` is the id of the feature before the page, `offset` the same as a number of features."""

    what: str
    layer: str = ""
    fid: int | None = None
    limit: int = 10
    bbox: Box | None = None
    equals: tuple[str, str] | None = None
    like: tuple[str, str] | None = None
    after: int | None = None
    offset: int | None = None

    @property
    def cql(self) -> str | None:
        """`equals` and `like` as CQL2 text, for asks that carry a filter."""
        if self.like is None:
            return None
        parts = [f"{self.like[0]} LIKE '{self.like[1]}'"]
        if self.equals is not None:
            parts.insert(0, f"{self.equals[0]} = '{self.equals[1]}'")
        return " AND ".join(parts)


@dataclass(frozen=True)
class Row:
    """A feature as the database has it; geometry as WKB in lon/lat."""

    fid: int
    properties: dict[str, Any]
    wkb: bytes


def expected(city: City, conn: connection, ask: Ask) -> tuple[list[Row], int]:
    """The right answer by plain SQL on the layer's table, exact at the edges, and how many match without a limit.

    All matches are returned for boxes (`limit` left aside), so that answers in another order can be judged too.
    """
    layer = city.layers[ask.layer]
    where: list[str] = []
    values: list[Any] = []
    if ask.fid is not None:
        where.append("fid = %s")
        values.append(ask.fid)
    if ask.bbox is not None:
        where.append("ST_Intersects(geom, ST_MakeEnvelope(%s, %s, %s, %s, 4490))")
        values += ask.bbox
    if ask.equals is not None:
        where.append(f'"{ask.equals[0]}" = %s')
        values.append(ask.equals[1])
    if ask.like is not None:
        where.append(f'"{ask.like[0]}" LIKE %s')
        values.append(ask.like[1])
    if ask.after is not None:
        where.append("fid > %s")
        values.append(ask.after)
    limit = "" if ask.bbox is not None else f" LIMIT {ask.limit:d}"
    clause = f" WHERE {' AND '.join(where)}" if where else ""
    with conn.cursor() as cur:
        cur.execute(
            f"SELECT fid, ST_AsBinary(geom), {layer.columns} FROM {layer.table}{clause} ORDER BY fid{limit}", values
        )
        rows = [Row(r[0], dict(zip(_names(layer.fields), r[2:], strict=True)), bytes(r[1])) for r in cur.fetchall()]
    return rows, len(rows)


def _names(fields: Sequence[Any]) -> list[str]:
    return [f.name for f in fields]
