# SPDX-License-Identifier: Apache-2.0
"""A client that goes away: how long its query lives on, as pg_stat_activity tells."""

from __future__ import annotations

import socket
import time

from psycopg2.extensions import connection

from benchmarks.asks import Ask
from benchmarks.city import COMPONENT
from benchmarks.peers.base import Endpoint, encoded
from benchmarks.process import get
from benchmarks.report import Finding
from benchmarks.special.base import Context, special
from geocloud.db.cluster import admin_url
from geocloud.db.pool import connect

__all__ = ["client_gone"]

TIMES = 3
LIMIT_S = 1.0
_WATCH_S = 10.0


@special("gone", "client gone: its query is cancelled")
def client_gone(context: Context) -> list[Finding]:
    """A filter that takes seconds is asked, the socket closed while it runs; longest of three times."""
    ours = context.endpoints.get("geocloud")
    if ours is None:
        return []
    slow = _slow_target(context, ours)
    if slow is None:
        detail = "no filter takes long enough in this small city to be caught in the act"
        return [Finding("client gone", "query runs on", None, "s", "within 1 s", None, detail)]
    # Only the superuser sees what other roles' sessions do.
    with connect(admin_url(context.ground.settings), application_name="geocloud bench", autocommit=True) as conn:
        times = [_after_leaving(ours, conn, slow) for _ in range(TIMES)]
    if any(t is None for t in times):
        return [Finding("client gone", "query runs on", None, "s", "within 1 s", False, f"longer than {_WATCH_S:g} s")]
    worst = max(t for t in times if t is not None)
    return [Finding("client gone", "query runs on", worst, "s", "within 1 s", worst <= LIMIT_S, f"of {TIMES} times")]


def _slow_target(context: Context, endpoint: Endpoint) -> str | None:
    """A filter of many patterns over all rows, made long enough to run for three seconds or more."""
    text = context.ground.city.text[0]
    for patterns in (20, 60, 150):
        cql = " OR ".join(f"{text} LIKE '%{n:03d}x%{n}'" for n in range(patterns))
        target = f"{endpoint.target(Ask('items', COMPONENT, limit=10))}&filter={encoded(cql)}"
        answer = get(endpoint.server.port, target, endpoint.headers)
        if answer.seconds >= 3.0 and answer.status in (200, 504):
            # Another text with the same cost, so that no count is known of it.
            return target.replace("x", "y")
    return None


def _after_leaving(endpoint: Endpoint, conn: connection, target: str) -> float | None:
    """Seconds from closing the socket until no query of the web server is active; None when it does not end."""
    # A new comment-free text each time: the question itself must not be known.
    target = target.replace("000y", f"{time.monotonic_ns()}y")
    with socket.create_connection(("127.0.0.1", endpoint.server.port)) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n".encode())
        begun = time.monotonic()
        while not _active(conn):
            if time.monotonic() - begun > _WATCH_S:
                raise RuntimeError("the slow query never showed up in pg_stat_activity")
            time.sleep(0.005)
        time.sleep(0.5)
        if not _active(conn):
            raise RuntimeError("the slow query ended before its client could leave")
    left = time.monotonic()
    while _active(conn):
        if time.monotonic() - left > _WATCH_S:
            return None
        time.sleep(0.005)
    return time.monotonic() - left


def _active(conn: connection) -> bool:
    with conn.cursor() as cur:
        cur.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'geocloud web' "
            "AND state = 'active' AND backend_type = 'client backend')"
        )
        return bool(cur.fetchone()[0])
