# SPDX-License-Identifier: Apache-2.0
"""SQL of changes: one statement each, so that a change is one transaction and its locks end with it.

The layer's lock is taken by the table's own trigger. A change names the version it is made from; where that row is
no longer current, `geocloud.expect_row` raises and the statement leaves no trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.query import Statement
from geocloud.features.rows import Rows, sql_type
from geocloud.features.stamping import Stamping, put
from geocloud.features.text import Output, feature_text
from geocloud.features.version import Version

__all__ = [
    "Said", "base_statement", "delete_statement", "insert_statement", "instant", "told", "update_statement",
]  # fmt: skip

_INFINITE = {datetime.min: "-infinity", datetime.max: "infinity"}


@dataclass(frozen=True, slots=True)
class Said:
    """What the database is told of a change: from when it holds in the city (None: now), whether what it replaces was
    never so, and who makes it."""

    at: datetime | None = None
    correction: bool = False
    by: str = ""


def insert_statement(
    layer: Layer,
    rows: Rows,
    output: Output,
    said: Said,
    until: datetime | None = None,
    stamping: Stamping | None = None,
) -> Statement:
    """All rows, each returned as fid, sys_from, valid_from and text, in the order they came."""
    binder = Binder()
    columns, arrays = [], []
    for name, values in rows.values.items():
        kind = sql_type(layer.spec.field(name))
        columns.append(quote_identifier(name))
        arrays.append(binder.bind(values, f"{kind}[]"))
    picked = [f"u.c{i}{_back(layer, n)}" for i, n in enumerate(rows.values)]
    if rows.geometry is not None:
        columns.append("geom")
        arrays.append(binder.bind(rows.geometry, "bytea[]"))
        picked.append(f"ST_GeomFromWKB(u.c{len(picked)}, 4490)")
    names = ", ".join(f"c{i}" for i in range(len(arrays)))
    start = f"coalesce({instant(binder, said.at)}, geocloud.stamp())"
    insert = (
        f"INSERT INTO {layer.table} ({', '.join(columns)}, valid_from, valid_to) "
        f"SELECT {', '.join(picked)}, {start}, {instant(binder, until or datetime.max)} "
        f"FROM said, unnest({', '.join(arrays)}) WITH ORDINALITY u ({names}, place) ORDER BY u.place "
        f"RETURNING {_returned(layer)}"
    )
    text = feature_text(layer, output)
    sql = (
        f"WITH {told(binder, said)}, w AS ({insert}){_stamped(binder, layer, stamping)} "
        f"SELECT t.fid, t.sys_from, t.valid_from, {text} FROM w t{_with(stamping)} ORDER BY t.fid"
    )
    return Statement(sql, binder.args)


def update_statement(
    layer: Layer, fid: int, version: Version, rows: Rows, output: Output, said: Said, stamping: Stamping | None = None
) -> Statement:
    """The one row of `rows` put in place of a version: fid, sys_from, valid_from and text of the new one."""
    binder = Binder()
    sets = []
    for name, values in rows.values.items():
        kind = sql_type(layer.spec.field(name))
        value = f"{binder.bind(values[0], kind)}{_back(layer, name)}"
        sets.append(f"{quote_identifier(name)} = {value}")
    if rows.geometry is not None:
        sets.append(f"geom = ST_GeomFromWKB({binder.bind(rows.geometry[0], 'bytea')}, 4490)")
    update = (
        f"UPDATE {layer.table} t SET {', '.join(sets)} FROM said WHERE {_is(binder, fid, version)} "
        f"RETURNING {_returned(layer)}"
    )
    text = feature_text(layer, output)
    sql = (
        f"WITH {told(binder, said)}, w AS ({update}){_stamped(binder, layer, stamping)} "
        f"SELECT geocloud.expect_row(t.fid), t.sys_from, t.valid_from, {text} "
        f"FROM (SELECT 1) one LEFT JOIN w t ON true{_with(stamping)}"
    )
    return Statement(sql, binder.args)


def delete_statement(
    layer: Layer, fid: int, version: Version, said: Said, stamping: Stamping | None = None
) -> Statement:
    """A version taken out of what is believed: fid, and the stamp of the write."""
    binder = Binder()
    sql = (
        f"WITH {told(binder, said)}, w AS (DELETE FROM {layer.table} t USING said "
        f"WHERE {_is(binder, fid, version)} RETURNING t.fid, geocloud.stamp() AS stamp)"
        f"{_stamped(binder, layer, stamping, gone=True)} "
        f"SELECT geocloud.expect_row(w.fid), w.stamp FROM (SELECT 1) one LEFT JOIN w ON true{_with(stamping)}"
    )
    return Statement(sql, binder.args)


def base_statement(layer: Layer, fid: int, version: Version) -> Statement:
    """The belief a stale version names, as fields by name in JSON and geometry as WKB; no row when there is none."""
    binder = Binder()
    fields = ", ".join(f"t.{quote_identifier(f.name)}" for f in layer.spec.visible_fields)
    geometry = "NULL::bytea" if layer.spec.geometry == "none" else "ST_AsBinary(t.geom)"
    where = f"{_is(binder, fid, version)}"
    picked = f"(SELECT row_to_json(p)::text FROM (SELECT {fields}) p), {geometry}"
    sql = (
        f"SELECT {picked} FROM {layer.table} t WHERE {where} UNION ALL "
        f"SELECT {picked} FROM {layer.history} t WHERE {where} AND isfinite(t.sys_to) LIMIT 1"
    )
    return Statement(sql, binder.args)


def _is(binder: Binder, fid: int, version: Version) -> str:
    written, holds = instant(binder, version.sys_from), instant(binder, version.valid_from)
    return f"t.fid = {binder.bind(fid, 'bigint')} AND t.sys_from = {written} AND t.valid_from = {holds}"


def told(binder: Binder, said: Said) -> str:
    """What the triggers are told of the change; set for the statement's own transaction, before any row is written."""
    moment = "" if said.at is None else said.at.isoformat()
    return (
        f"said AS MATERIALIZED (SELECT set_config('geocloud.valid_at', {binder.bind(moment, 'text')}, true), "
        f"set_config('geocloud.change', {binder.bind('correction' if said.correction else '', 'text')}, true), "
        f"set_config('geocloud.by', {binder.bind(said.by, 'text')}, true))"
    )


def instant(binder: Binder, moment: datetime | None) -> str:
    """A time as text: the first and last of the calendar stand for what is infinite."""
    text = None if moment is None else _INFINITE.get(moment.replace(tzinfo=None), moment.isoformat())
    return f"{binder.bind(text, 'text')}::timestamptz"


def _stamped(binder: Binder, layer: Layer, stamping: Stamping | None, *, gone: bool = False) -> str:
    """A part `stamped` of the statement, which keeps the stamps of the rows of `w`."""
    if stamping is None:
        return ""
    none = "NULL::bigint[]"
    fids, ended = (none, "f.fids") if gone else (none if stamping.used is None else "f.fids", none)
    call = put(binder, layer, stamping, fids, ended)
    return f", stamped AS MATERIALIZED (SELECT {call} FROM (SELECT array_agg(fid ORDER BY fid) AS fids FROM w) f)"


def _with(stamping: Stamping | None) -> str:
    return "" if stamping is None else " CROSS JOIN stamped"


def _back(layer: Layer, name: str) -> str:
    """The cast of what travels as text."""
    kind = layer.spec.field(name).type
    return {"date": "::date", "datetime": "::timestamptz"}.get(kind, "")


def _returned(layer: Layer) -> str:
    names = ["fid", "sys_from", "valid_from", *(f.name for f in layer.spec.visible_fields)]
    if layer.spec.geometry != "none":
        names.append("geom")
    return ", ".join(quote_identifier(n) for n in names)
