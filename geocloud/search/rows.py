# SPDX-License-Identifier: Apache-2.0
"""Named rows of a layer out of the database as Arrow tables: all of them, or those that changed since a version."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.csv

from geocloud.catalogue.registry import Layer
from geocloud.db.reader import Reader
from geocloud.search.plan import NamePlan

__all__ = ["Change", "Moment", "read_all", "read_changes"]

# Rows read at a time: bounds memory, and the time for which the event loop takes in bytes.
_PAGE = 50_000
_COORDINATES = ("x0", "y0", "x1", "y1")
_POINT = "ST_X(geom)::real, ST_Y(geom)::real"
_BOX = "ST_XMin(geom)::real, ST_YMin(geom)::real, ST_XMax(geom)::real, ST_YMax(geom)::real"


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of a layer's rows: its version, and the time at which what is valid now was last looked at."""

    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """Rows that may have changed, and those of them that are there now with a name."""

    fids: list[int]
    rows: pa.Table
    moment: Moment


async def read_all(reader: Reader, layer: Layer, plan: NamePlan) -> tuple[pa.Table, Moment]:
    """Every named row valid now: fid, names (dictionaries), and in single precision its box x0, y0, x1, y1, or
    of single points x0, y0 alone."""
    pages, last = [], -(2**63)
    async with reader.lease() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        moment = await _moment(conn, layer)
        while True:
            page = await _copy(conn, layer, plan, moment, f"fid > {last} ORDER BY fid LIMIT {_PAGE}")
            pages.append(page)
            if page.num_rows < _PAGE:
                break
            last = page["fid"][-1].as_py()
    return await asyncio.to_thread(_joined, pages), moment


async def read_changes(reader: Reader, layer: Layer, plan: NamePlan, since: Moment, most: int) -> Change | None:
    """What changed since a moment, by the change log and the dates that passed; None when that cannot be told or is
    more than `most` rows."""
    async with reader.lease() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        moment = await _moment(conn, layer)
        # A log that begins after `since` was cut; an entry without fid stands for very many rows.
        whole = await conn.fetchval(
            "SELECT EXISTS (SELECT FROM geocloud.change_log WHERE layer = $1 AND version <= $2) AND NOT EXISTS "
            "(SELECT FROM geocloud.change_log WHERE layer = $1 AND version > $2 AND fid IS NULL)",
            layer.id, since.version,
        )  # fmt: skip
        if not whole:
            return None
        changed = await conn.fetch(
            "SELECT DISTINCT fid FROM geocloud.change_log WHERE layer = $1 AND version > $2 LIMIT $3",
            layer.id, since.version, most + 1,
        )  # fmt: skip
        fids = {row[0] for row in changed}
        if layer.state.timed:
            passed = await conn.fetch(
                f"SELECT fid FROM {layer.table} WHERE valid_from > $1 AND valid_from <= $2 "
                "OR valid_to > $1 AND valid_to <= $2 LIMIT $3",
                since.at, moment.at, most + 1,
            )  # fmt: skip
            fids |= {row[0] for row in passed}
        if len(fids) > most:
            return None
        ordered = sorted(fids)
        listed = ",".join(map(str, ordered))
        rows = await _copy(conn, layer, plan, moment, f"fid = ANY('{{{listed}}}'::bigint[]) ORDER BY fid")
    return Change(ordered, rows, moment)


async def _moment(conn: Any, layer: Layer) -> Moment:
    # The database's own clock, which the dates of its rows were taken from.
    row = await conn.fetchrow(
        "SELECT (SELECT version FROM geocloud.layer_state WHERE layer = $1), clock_timestamp()", layer.id
    )
    return Moment(row[0] if row[0] is not None else -1, row[1])


async def _copy(conn: Any, layer: Layer, plan: NamePlan, moment: Moment, which: str) -> pa.Table:
    # COPY takes no bound values: what is written into it are numbers and an instant, made here.
    at = f"'{moment.at.isoformat()}'::timestamptz"
    columns = ", ".join(f'"{name}"' for name in plan.names)
    named = " OR ".join(f'"{name}" IS NOT NULL' for name in plan.names)
    box = _POINT if plan.points else _BOX
    sql = (
        f"SELECT fid, {columns}, {box} FROM {layer.table} WHERE ({named}) AND geom IS NOT NULL "
        f"AND NOT ST_IsEmpty(geom) AND valid_from <= {at} AND valid_to > {at} AND {which}"
    )
    parts: list[bytes] = []

    async def take(data: bytes) -> None:
        parts.append(bytes(data))

    await conn.copy_from_query(sql, output=take, format="csv")
    return await asyncio.to_thread(_parsed, b"".join(parts), plan)


def _parsed(text: bytes, plan: NamePlan) -> pa.Table:
    # Numbered, because a layer may have fields called like a coordinate here.
    names = [f"n{i}" for i in range(len(plan.names))]
    words = pa.dictionary(pa.int32(), pa.string())
    coordinates = _COORDINATES[: 2 if plan.points else 4]
    types = {"fid": pa.int64()} | dict.fromkeys(names, words) | dict.fromkeys(coordinates, pa.float32())
    if not text:
        return pa.table({name: pa.array([], kind) for name, kind in types.items()})
    return pyarrow.csv.read_csv(
        io.BytesIO(text),
        read_options=pyarrow.csv.ReadOptions(column_names=["fid", *names, *coordinates]),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )


def _joined(pages: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(pages).unify_dictionaries().combine_chunks()
