# SPDX-License-Identifier: Apache-2.0
"""What a staged file changes in a layer, as SQL: new, changed, corrected, unchanged and retired rows.

The stage is a temporary table with the delivered columns; the merge compares it with the layer by natural
key and runs only statements that have something to do, because every writing statement bumps the layer's
version. Columns the file does not have keep their values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from geocloud.catalogue.plan import geometry_type, sql_type
from geocloud.catalogue.spec import LayerSpec

__all__ = ["Counts", "Layout", "count_changes", "make_stage", "repeated_keys", "write_changes"]

_STAGE, _PLAN = "geocloud_stage", "geocloud_plan"


@dataclass(frozen=True)
class Layout:
    """Which columns of a layer a file delivers: fields in the layer's order, geometry, valid times."""

    spec: LayerSpec
    fields: tuple[str, ...]
    geometry: bool
    start: bool
    end: bool

    @property
    def table(self) -> str:
        return f'"{self.spec.theme}"."{self.spec.name}"'

    @property
    def values(self) -> tuple[str, ...]:
        """Delivered columns that are not part of the key."""
        own = tuple(f for f in self.fields if f not in self.spec.key)
        return (*own, "geom") if self.geometry else own

    @property
    def columns(self) -> tuple[str, ...]:
        """Delivered columns with the geometry, without valid times."""
        return (*self.fields, "geom") if self.geometry else self.fields


@dataclass
class Counts:
    """Rows by what happens to them; `changed` includes rows whose record is corrected."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    retired: int = 0
    corrected: int = 0


def make_stage(cur: Any, layout: Layout) -> str:
    """Makes the session's stage table and returns the COPY statement that fills it."""
    types = {f.name: sql_type(f) for f in layout.spec.fields}
    columns = ["row bigint NOT NULL", "ok boolean NOT NULL", *(f'"{n}" {types[n]}' for n in layout.fields)]
    if layout.geometry:
        columns.append(f"geom {geometry_type(layout.spec)}")
    columns += [f"{n} timestamptz" for n in _times(layout)]
    cur.execute(f"CREATE TEMP TABLE {_STAGE} ({', '.join(columns)})")
    names = _list(["row", "ok", *layout.columns, *_times(layout)])
    return f"COPY {_STAGE} ({names}) FROM STDIN (FORMAT binary)"


def repeated_keys(layout: Layout) -> str:
    """SQL of the accepted rows whose key an earlier row has: row, first row with the key, key as text."""
    keys = _list(layout.spec.key)
    shown = "concat_ws(', ', " + ", ".join(f's."{k}"' for k in layout.spec.key) + ")"
    return (
        f"SELECT s.row, f.first, {shown} FROM {_STAGE} s JOIN (SELECT {keys}, min(row) AS first FROM {_STAGE} "
        f"WHERE ok GROUP BY {keys} HAVING count(*) > 1) f USING ({keys}) WHERE s.ok AND s.row <> f.first ORDER BY s.row"
    )


def drop_repeated(cur: Any, layout: Layout) -> None:
    """Takes the rows of `repeated_keys` out of the stage."""
    cur.execute(f"DELETE FROM {_STAGE} WHERE row IN (SELECT row FROM ({repeated_keys(layout)}) r)")


def count_changes(
    cur: Any, layout: Layout, *, valid_from: datetime | None, full: bool, source_id: int | None = None
) -> Counts:
    """Compares stage and layer, keeps the plan for `write_changes`, and counts it.

    The layer must be locked against other writers. `full`: rows whose key the file does not have are
    retired, those of `source_id` only when it is given.
    """
    cur.execute(f"ANALYZE {_STAGE}")
    cur.execute(f"DROP TABLE IF EXISTS {_PLAN}")
    cur.execute(f"CREATE TEMP TABLE {_PLAN} AS {_plan_query(layout)}", {"at": valid_from})
    cur.execute(f"SELECT op, count(*) FROM {_PLAN} GROUP BY op")
    by_op = dict(cur.fetchall())
    counts = Counts(
        new=by_op.get("new", 0),
        changed=by_op.get("change", 0) + by_op.get("correct", 0),
        unchanged=by_op.get("same", 0),
        corrected=by_op.get("correct", 0),
    )
    if full:
        cur.execute(f"SELECT count(*) FROM {layout.table} t WHERE {_gone(layout, source_id)}", {"source": source_id})
        counts.retired = cur.fetchone()[0]
    return counts


def write_changes(
    cur: Any,
    layout: Layout,
    counts: Counts,
    *,
    valid_from: datetime | None,
    source_id: int,
    retire_source: int | None = None,
) -> None:
    """Carries the plan out in the running transaction: retires, corrects, changes, inserts."""
    at = "" if valid_from is None else valid_from.isoformat()
    cur.execute("SELECT set_config('geocloud.valid_at', %s, true), set_config('geocloud.change', '', true)", (at,))
    bound = {"at": valid_from, "source": source_id}
    if counts.retired:
        where = _gone(layout, retire_source)
        cur.execute(f"DELETE FROM {layout.table} t WHERE {where}", {"source": retire_source})
    if counts.corrected:
        cur.execute("SELECT set_config('geocloud.change', 'correction', true)")
        cur.execute(_update(layout, "correct"), bound)
        cur.execute("SELECT set_config('geocloud.change', '', true)")
    if counts.changed > counts.corrected:
        cur.execute(_update(layout, "change"), bound)
    if counts.new:
        cur.execute(_insert(layout), bound)


def _plan_query(layout: Layout) -> str:
    on = " AND ".join(f't."{k}" = s."{k}"' for k in layout.spec.key)
    differs = _differs(layout)
    ends = f"{_new_end(layout)} IS DISTINCT FROM t.valid_to" if layout.end else "false"
    # A change of the city starts at valid_at, so what is said to have ended before is a correction of the record.
    effective = "greatest(coalesce(%(at)s::timestamptz, now()), t.valid_from)"
    alive = f"{_new_end(layout)} > {effective}"
    if layout.start:
        moves = "coalesce(s.valid_from, t.valid_from) IS DISTINCT FROM t.valid_from"
        later = "s.valid_from > t.valid_from"
        op = (
            f"CASE WHEN NOT {differs} AND NOT {ends} AND NOT {moves} THEN 'same' "
            f"WHEN {differs} AND {later} THEN 'change' "
            f"WHEN {differs} AND s.valid_from IS NULL AND {alive} THEN 'change' ELSE 'correct' END"
        )
    else:
        op = (
            f"CASE WHEN NOT {differs} AND NOT {ends} THEN 'same' "
            f"WHEN {differs} AND {alive} THEN 'change' ELSE 'correct' END"
        )
    return (
        f"SELECT s.row, t.fid, CASE WHEN t.fid IS NULL THEN 'new' ELSE {op} END AS op "
        f"FROM {_STAGE} s LEFT JOIN {layout.table} t ON {on} WHERE s.ok"
    )


def _differs(layout: Layout) -> str:
    if not layout.values:
        return "false"
    ours = ", ".join(f's."{c}"' for c in layout.values)
    theirs = ", ".join(f't."{c}"' for c in layout.values)
    return f"(ROW({ours}) IS DISTINCT FROM ROW({theirs}))"


def _new_end(layout: Layout) -> str:
    return "coalesce(s.valid_to, 'infinity')" if layout.end else "t.valid_to"


def _update(layout: Layout, op: str) -> str:
    sets = [f'"{c}" = s."{c}"' for c in layout.values]
    sets.append("source_id = %(source)s")
    if layout.end:
        sets.append("valid_to = coalesce(s.valid_to, 'infinity')")
    if layout.start:
        sets.append("valid_from = coalesce(s.valid_from, t.valid_from)")
    elif layout.end and op == "correct":
        sets.append(f"valid_from = CASE WHEN {_new_end(layout)} > t.valid_from THEN t.valid_from ELSE '-infinity' END")
    return (
        f"UPDATE {layout.table} t SET {', '.join(sets)} FROM {_PLAN} p JOIN {_STAGE} s USING (row) "
        f"WHERE p.op = '{op}' AND t.fid = p.fid"
    )


def _insert(layout: Layout) -> str:
    start = "coalesce(%(at)s::timestamptz, '-infinity')"
    if layout.end:
        start = f"CASE WHEN coalesce(s.valid_to, 'infinity') > {start} THEN {start} ELSE '-infinity' END"
    if layout.start:
        start = f"coalesce(s.valid_from, {start})"
    end = "coalesce(s.valid_to, 'infinity')" if layout.end else "'infinity'"
    columns = _list([*layout.columns, "valid_from", "valid_to", "source_id", "sys_from"])
    ours = ", ".join(f's."{c}"' for c in layout.columns)
    # The stamp is set by the statement's own trigger, so it is asked for once, inside the statement.
    order = "s.geom, s.row" if layout.geometry else "s.row"
    return (
        f"INSERT INTO {layout.table} ({columns}) SELECT {ours}, {start}, {end}, %(source)s, "
        f"(SELECT geocloud.stamp()) FROM {_STAGE} s JOIN {_PLAN} p USING (row) WHERE p.op = 'new' ORDER BY {order}"
    )


def _gone(layout: Layout, source_id: int | None) -> str:
    on = " AND ".join(f's."{k}" = t."{k}"' for k in layout.spec.key)
    scope = "" if source_id is None else "t.source_id = %(source)s AND "
    return f"{scope}NOT EXISTS (SELECT FROM {_STAGE} s WHERE {on})"


def _times(layout: Layout) -> list[str]:
    return [n for n, there in (("valid_from", layout.start), ("valid_to", layout.end)) if there]


def _list(names: Sequence[str]) -> str:
    return ", ".join(f'"{n}"' for n in names)
