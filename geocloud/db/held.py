# SPDX-License-Identifier: Apache-2.0
"""Who stands in the way of a lock."""

from __future__ import annotations

import psycopg2.extensions

__all__ = ["holders", "named"]

# Of sessions of another role PostgreSQL shows the name and the number, and that is enough to find them.
_HOLDERS = """
SELECT coalesce(nullif(a.application_name, ''), a.usename, '?'), a.pid
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'relation' AND l.relation = to_regclass(%s) AND l.granted AND l.pid <> pg_backend_pid()
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
 GROUP BY 1, 2 ORDER BY 2 LIMIT 5
"""


def holders(conn: psycopg2.extensions.connection, table: str) -> list[str]:
    """Sessions that have a lock on a table, as `geocloud load (pid 812)`, five at the most; none if they have ended.

    For when a lock was not had in time: what the connection had begun is rolled back.
    """
    conn.rollback()
    with conn.cursor() as cur:
        cur.execute(_HOLDERS, (table,))
        found = [f"{name} (pid {pid})" for name, pid in cur.fetchall()]
    conn.rollback()
    return found


def named(found: list[str], before: str, separator: str = ", ") -> str:
    """`found` behind a colon, or nothing."""
    return f"{before}{separator.join(found)}" if found else ""
