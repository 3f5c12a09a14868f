# SPDX-License-Identifier: Apache-2.0
"""The short way of a large first load: straight into the empty table, indexes and key made afterwards.

All in one transaction, so readers see the empty layer until it is the whole one. The triggers of the two
times stay on. When the key turns out not to be unique, or the table cannot be had alone, NotPossible is
raised, the caller rolls back and takes the way over the stage table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from geocloud.ingest.encode import Begin
from geocloud.ingest.merge import Layout

__all__ = ["NotPossible", "bare_table", "copy_statement", "possible", "set_sequence"]

_LOCK_WAIT_MS = 5_000
# Indexes and foreign keys of a table: what drops each, and what makes it again.
_EXTRAS = """
SELECT CASE WHEN c.oid IS NULL THEN format('DROP INDEX %%s', i.indexrelid::regclass)
            ELSE format('ALTER TABLE %%s DROP CONSTRAINT %%I', i.indrelid::regclass, c.conname) END,
       CASE WHEN c.oid IS NULL THEN pg_get_indexdef(i.indexrelid)
            ELSE format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', i.indrelid::regclass, c.conname,
                        pg_get_constraintdef(c.oid)) END
  FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('u', 'x')
 WHERE i.indrelid = %(table)s::regclass AND NOT i.indisprimary
UNION ALL
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
       format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid))
  FROM pg_constraint WHERE conrelid = %(table)s::regclass AND contype = 'f'
"""
_STAMP = "SELECT (extract(epoch FROM geocloud.stamp()) * 1000000)::bigint - 946684800000000"


class NotPossible(Exception):
    """The short way ends here; nothing has been changed once the transaction is rolled back."""


def possible(conn: Connection, layout: Layout, count: int | None, least: int, dry_run: bool) -> bool:
    """Whether the source is large and the layer has no row, now or ever."""
    if dry_run or count is None or count < least:
        return False
    with conn.cursor() as cur:
        cur.execute(f"SELECT NOT EXISTS (SELECT FROM {layout.table})")
        row = cur.fetchone()
    conn.commit()
    return bool(row and row[0])


@contextmanager
def bare_table(cur: Any, layout: Layout) -> Iterator[Begin]:
    """The layer's table alone to this transaction without foreign keys and indexes but the primary
    key; they are made again at the end."""
    table = layout.table
    try:
        cur.execute(f"SET LOCAL lock_timeout = {_LOCK_WAIT_MS}")
        cur.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        cur.execute("SET LOCAL lock_timeout = 0")
    except psycopg2.errors.LockNotAvailable as exc:
        raise NotPossible from exc
    cur.execute(f"SELECT EXISTS (SELECT FROM {table})")
    if cur.fetchone()[0]:
        raise NotPossible
    cur.execute(_EXTRAS, {"table": table})
    extras = cur.fetchall()
    for drop, _ in extras:
        cur.execute(drop)
    # A statement that changes nothing still takes the layer's lock, bumps its version and sets the stamp.
    cur.execute(f"DELETE FROM {table} WHERE false")
    cur.execute(_STAMP)
    stamp = cur.fetchone()[0]
    cur.execute("SELECT nextval(pg_get_serial_sequence(%s, 'fid'))", (table,))
    yield Begin(cur.fetchone()[0], stamp)
    try:
        for _, make in extras:
            cur.execute(make)
    except psycopg2.errors.UniqueViolation as exc:
        raise NotPossible from exc


def copy_statement(layout: Layout) -> str:
    """The COPY that takes what `RowEncoder.for_table` makes."""
    columns = ["fid", *layout.columns, "valid_from", "valid_to", "source_id", "sys_from"]
    names = ", ".join(f'"{c}"' for c in columns)
    return f"COPY {layout.table} ({names}) FROM STDIN (FORMAT binary)"


def set_sequence(cur: Any, layout: Layout, last: int) -> None:
    """The next fid comes after `last`."""
    cur.execute("SELECT setval(pg_get_serial_sequence(%s, 'fid'), %s)", (layout.table, last))
