# SPDX-License-Identifier: Apache-2.0
"""A year of hours of a station where a month is as full as 500 million readings make it, and batches into that month.

50,000 stations that report by the hour give 37 million readings a month, 500 million in some fourteen months. One month
is filled whole; the other eleven of the year hold every twentieth station, the one that is asked for among them. What
the full month costs more than another is what each of twelve full ones would.
"""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import orjson
import psycopg2

from benchmarks.ground import MEMORY_MB
from benchmarks.peers.geocloud import WORKERS
from benchmarks.process import Server, free_port, get
from benchmarks.report import Finding
from benchmarks.special.base import Context, special
from benchmarks.special.sensing import prepare
from geocloud.db.cluster import Urls, session
from geocloud.settings import DatabaseSettings

__all__ = ["measured", "many"]

_HOUR, _BEIJING = timedelta(hours=1), timedelta(hours=8)
_FULL = 12  # the month of the year that is filled whole, but for its last day
_FEW = 20  # of so many stations one is in the other months
_BATCH, _BATCHES, _YEAR_MS, _ASKED = 20_000, 40, 50.0, 12
_WHOLE = 500_000_000


@special("readings-many", "a year of hours and batches where a month holds 36 million readings")
def many(context: Context) -> list[Finding]:
    """On a scratch cluster whose commits reach the disk; the small city takes a hundredth of it."""
    return measured(context.folder / "many", 500 if context.ground.size == "small" else 50_000, context.say)


def measured(folder: Path, stations: int, say: Callable[[str], None]) -> list[Finding]:
    """The findings with so many stations, on a scratch cluster below `folder`."""
    folder.mkdir(parents=True)
    size = MEMORY_MB["city" if stations > 10_000 else "small"]
    settings = DatabaseSettings(home=folder, database_url=None, database_port=free_port(), database_memory_mb=size)
    with session(settings, lambda *_: None) as urls:
        key, ids = prepare(urls, stations)
        rows = _fill(urls, ids, say)
        server = Server("many", free_port(), folder)
        env = {
            "GEOCLOUD_HOME": str(folder), "GEOCLOUD_DATABASE_PORT": str(settings.database_port),
            "GEOCLOUD_PORT": str(server.port), "GEOCLOUD_WORKERS": str(WORKERS), "GEOCLOUD_EDITING": "true",
            "GEOCLOUD_DEMO": "none", "GEOCLOUD_JOB_WORKERS": "0", "GEOCLOUD_CACHE_MB": "0",
        }  # fmt: skip
        try:
            server.run([sys.executable, "-m", "geocloud.cli", "serve"], env=env)
            server.wait("/health")
            say("a year of hours")
            found = _asked(server, urls, ids, rows)
            say("batches into the full month")
            return [*found, _sent(server, urls, key, ids)]
        finally:
            server.stop()


def _start(month: int) -> datetime:
    """When a month of the year begins in Beijing."""
    return datetime(2025 + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC) - _BEIJING


def _fill(urls: Urls, ids: list[int], say: Callable[[str], None]) -> dict[int, int]:
    """Readings by month, in the order of time as they would have come; how many each month has."""
    with closing(psycopg2.connect(urls.owner)) as conn, conn, conn.cursor() as cur:
        cur.execute("SELECT sensing.ensure_months(%s)", ([_start(m) for m in range(1, 13)],))

    def fill(month: int) -> int:
        some = ids if month == _FULL else ids[::_FEW]
        end = _start(month + 1) - (timedelta(days=1) if month == _FULL else timedelta())
        with closing(psycopg2.connect(urls.owner)) as conn, conn, conn.cursor() as cur:
            cur.execute("SET synchronous_commit = off")
            cur.execute(
                "INSERT INTO sensing.observation (datastream, at, value, received) "
                "SELECT d, h, 1 + (d * 7 + extract(hour FROM h)::int) %% 90, h + interval '1 minute' "
                "FROM generate_series(%s, %s - interval '1 hour', interval '1 hour') h, unnest(%s) d",
                (_start(month), end, some),
            )
            count = cur.rowcount
        say(f"month {month}: {count:,} readings")
        return count

    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(fill, (_FULL, *range(1, 12))))
    with closing(psycopg2.connect(urls.owner)) as conn:
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute(
                "INSERT INTO sensing.latest (datastream, flags, at, value, issued, received) "
                "SELECT datastream, flags, at, value, issued, received FROM sensing.observation WHERE at = %s",
                (_start(13) - timedelta(days=1) - _HOUR,),
            )
            cur.execute("VACUUM ANALYZE sensing.observation")
    return dict(zip((_FULL, *range(1, 12)), counts, strict=True))


def _asked(server: Server, urls: Urls, ids: list[int], rows: dict[int, int]) -> list[Finding]:
    """Each time another station, so that none of its readings has been looked at; the first is left out."""
    step = len(ids) // _FEW // (_ASKED + 1)
    asked = ids[::_FEW][:: max(1, step)][: _ASKED + 1]

    def ask(span: str, hours: int, known: int) -> float:
        took = []
        for one in asked:
            answer = get(server.port, f"/sensing/datastreams/{one}/observations?bucket=1h&datetime={span}", {}, 60)
            buckets = orjson.loads(answer.body)["buckets"]
            wrong = [
                b for i, b in enumerate(buckets)
                if b["mean"] != (1 + (one * 7 + (i + 16) % 24) % 90 if i < known else None)
            ]  # fmt: skip
            if len(buckets) != hours or wrong:
                raise RuntimeError(f"{span} of {one}: {len(buckets)} hours, wrong are {wrong[:2]}")
            took.append(answer.seconds)
        return median(took[1:]) * 1e3

    year = ask("2025-01-01/2025-12-31", 8_760, 8_736)
    few, full = ask("2025-10-01/2025-10-31", 744, 744), ask("2025-12-01/2025-12-31", 744, 720)
    again = ask("2025-01-01/2025-12-31", 8_760, 8_736)
    reckoned = year + 11 * max(0.0, full - few)
    total = sum(rows.values())
    detail = (
        f"{total:,} readings in twelve months, {rows[_FULL]:,} of them in one; {len(asked) - 1} stations, each asked "
        f"for the first time; again {again:.1f} ms; a month of hours in the full one {full:.1f} ms, in one with "
        f"{rows[10]:,} {few:.1f} ms"
    )
    title = "a year of hours of one station"
    met = year < _YEAR_MS
    found = [Finding("sensing", f"{title}, a month full", year, "ms", f"below {_YEAR_MS:g} ms", met, detail)]
    if rows[_FULL] * 20 > _WHOLE:
        table, index = _sizes(urls)
        arithmetic = (
            f"twelve full months: {year:.1f} + 11 x ({full:.1f} - {few:.1f}) ms; {_WHOLE / rows[_FULL]:.1f} of them "
            f"hold {_WHOLE:,} readings; {table:.0f} bytes of table and {index:.0f} of index a reading"
        )
        title, met = f"{title}, reckoned for {_WHOLE:,} readings", reckoned < _YEAR_MS
        found.append(Finding("sensing", title, reckoned, "ms", f"below {_YEAR_MS:g} ms", met, arithmetic))
    return found


def _sizes(urls: Urls) -> tuple[float, float]:
    with closing(psycopg2.connect(urls.owner)) as conn, conn.cursor() as cur:
        cur.execute(
            "SELECT pg_relation_size(c.oid), pg_indexes_size(c.oid), n.n FROM pg_class c, "
            "(SELECT count(*) AS n FROM sensing.observation_2025_12) n "
            "WHERE c.oid = 'sensing.observation_2025_12'::regclass"
        )
        row = cur.fetchone()
    assert row is not None
    return row[0] / row[2], row[1] / row[2]


def _sent(server: Server, urls: Urls, key: str, ids: list[int]) -> Finding:
    """Hours of the last day, every station each, from one sender; all are looked for in the database."""
    day = _start(13) - timedelta(days=1)
    bodies, place = [], 0
    for _ in range(_BATCHES):
        body = []
        for _ in range(min(_BATCH, len(ids))):
            at = (day + _HOUR * (place // len(ids))).isoformat()
            body.append({"datastream": ids[place % len(ids)], "time": at, "value": 1.0 + place % 90})
            place += 1
        bodies.append(orjson.dumps(body))
    conn = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    begun = time.perf_counter()
    for body in bodies:
        conn.request("POST", "/sensing/observations", body, {"Content-Type": "application/json", "X-Api-Key": key})
        answer = conn.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {text[:300]!r}")
    seconds = time.perf_counter() - begun
    with closing(psycopg2.connect(urls.owner)) as db, db.cursor() as cur:
        cur.execute("SELECT count(*) FROM sensing.observation WHERE at >= %s", (day,))
        row = cur.fetchone()
    if row is None or row[0] != place:
        raise RuntimeError(f"{place} sent, {row} kept")
    detail = f"{place:,} readings in batches of {_BATCH:,}, one sender, nobody reads; all found again"
    return Finding(
        "sensing", "readings kept over HTTP, into the full month", place / seconds, "a second", "", None, detail
    )
