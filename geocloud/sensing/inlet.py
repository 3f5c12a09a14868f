# SPDX-License-Identifier: Apache-2.0
"""The one way in: a batch of readings is judged, copied to a table of the session and taken over by one statement.

All of a batch is one transaction, so that nothing of it is there when its process is killed. The same batch again
changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import random
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from geocloud.sensing.directory import Directory
from geocloud.sensing.model import Flags, Outcome, Reading, Refused, Stream, plain
from geocloud.sensing.parse import Read
from geocloud.sensing.units import converter
from geocloud.settings import SensingSettings

__all__ = ["BUSY", "Inlet"]

_INCOMING = """
CREATE TEMP TABLE IF NOT EXISTS sensing_incoming (
  datastream int NOT NULL, at timestamptz NOT NULL, value float8 NOT NULL, issued timestamptz, flags smallint NOT NULL,
  place int NOT NULL
) ON COMMIT DELETE ROWS
"""
_COLUMNS = ("datastream", "at", "value", "issued", "flags", "place")
# Of one time the later in the batch counts as received later. What was there before is what the statement's snapshot
# shows: rows it adds itself are not in it; past the newest value there cannot be another of the same time. In the order
# of the key, so that two batches never wait for each other.
_TAKE = """
WITH given AS (
  SELECT datastream, at, value, coalesce(issued, '-infinity') AS issued, flags,
         (row_number() OVER (PARTITION BY datastream, at ORDER BY place) - 1) * interval '1 microsecond' AS behind
    FROM sensing_incoming
), kept AS (
  INSERT INTO sensing.observation (datastream, flags, at, value, issued, received)
  SELECT datastream, flags, at, value, issued, now() + behind FROM given ORDER BY datastream, at, behind
  ON CONFLICT DO NOTHING
  RETURNING datastream, flags, at, value, issued, received
), newest AS (
  SELECT DISTINCT ON (datastream) * FROM kept ORDER BY datastream, at DESC, issued DESC, received DESC
), moved AS (
  INSERT INTO sensing.latest AS l (datastream, flags, at, value, issued, received)
  SELECT datastream, flags, at, value, issued, received FROM newest ORDER BY datastream
  ON CONFLICT (datastream) DO UPDATE
     SET flags = EXCLUDED.flags, at = EXCLUDED.at, value = EXCLUDED.value, issued = EXCLUDED.issued,
         received = EXCLUDED.received
   WHERE (EXCLUDED.at, EXCLUDED.issued, EXCLUDED.received) > (l.at, l.issued, l.received)
), times AS (
  SELECT datastream, at, count(*) AS n, count(*) FILTER (WHERE flags & 15 <> 0) AS flagged
    FROM kept GROUP BY datastream, at
)
SELECT coalesce(sum(n), 0)::int AS stored, coalesce(sum(flagged), 0)::int AS flagged,
       coalesce(sum(n - 1 + CASE WHEN t.at > l.at OR l.at IS NULL THEN 0 ELSE (EXISTS (
         SELECT FROM sensing.observation o WHERE o.datastream = t.datastream AND o.at = t.at))::int END), 0)::int
         AS corrections
  FROM times t LEFT JOIN sensing.latest l USING (datastream)
"""
_QUARANTINE = """
INSERT INTO sensing.quarantine AS q (digest, reason, reading, way, by)
SELECT DISTINCT ON (1) * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[]) ORDER BY 1
ON CONFLICT (digest) DO UPDATE SET last_at = now(), times = q.times + 1
"""
# The plan is kept, and is first made when a month is empty: without this it would read whole months for each reading.
_BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
_TRIES = 5
BUSY = (
    asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError,
    asyncpg.CheckViolationError,
)  # fmt: skip
_BEIJING = timedelta(hours=8)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
# Number of fields, then each with its length; without a time of issue that one has the length -1.
_ROW = struct.Struct(">hiiiqidiihii")
_ROW_ISSUED = struct.Struct(">hiiiqidiqihii")
# So that sums of squares of what is kept are finite too.
_LARGEST = 1e100

Allows = Callable[[str], bool]


class Inlet:
    """Takes readings in; one a process, over any number of connections of the writer role."""

    def __init__(self, settings: SensingSettings) -> None:
        self._settings = settings
        self._directory = Directory()
        self._months: set[tuple[int, int]] = set()

    async def take(
        self, conn: Any, reads: Sequence[Read], way: str, by: str | None = None, allows: Allows | None = None
    ) -> Outcome:
        """Keeps a batch; what comes back has been committed.

        `way` is how it came (`http`, `file`, `mqtt`), `by` the name of the key, `allows` whether a layer may be
        written; readings of others are counted as forbidden and nothing of them is kept.
        """
        await self._directory.refresh(conn)
        rows, refused, outcome = self._judge(reads, allows or (lambda _: True))
        await conn.execute(_INCOMING)
        for attempt in range(_TRIES):
            try:
                await self._ensure_months(conn, rows)
                await self._write(conn, rows, [r for r in refused if r.reason != "forbidden"], way, by, outcome)
                break
            except BUSY as exc:
                if attempt == _TRIES - 1:
                    raise
                if isinstance(exc, asyncpg.CheckViolationError):
                    # A month was dropped meanwhile.
                    self._months.clear()
                await asyncio.sleep(random.uniform(0.01, 0.05) * 2**attempt)  # noqa: S311  no secret
        return outcome

    def _judge(self, reads: Sequence[Read], allows: Allows) -> tuple[list[tuple[Any, ...]], list[Refused], Outcome]:
        """Rows to be copied, what is refused, and the counts that need no database."""
        latest = datetime.now(UTC) + timedelta(seconds=self._settings.sensing_future_s)
        earliest = datetime(self._settings.sensing_earliest_year, 1, 1, tzinfo=UTC) - _BEIJING
        find = self._directory.find
        rows: list[tuple[Any, ...]] = []
        refused: list[Refused] = []
        outcome = Outcome(received=len(reads))
        may: dict[str, bool] = {}
        for read in reads:
            if isinstance(read, Refused):
                refused.append(read)
                continue
            place, key, at, value, unit, issued = read
            stream = find(key)
            layer = stream.layer if stream is not None else key[0] if isinstance(key, tuple) else ""
            if layer not in may:
                may[layer] = layer == "" or allows(layer)
            flags = 0
            reason = _reason(may[layer], stream, at, earliest, latest)
            if not reason and stream is not None:
                if unit and unit != stream.unit:
                    reason, value, flags = _converted(value, unit, stream)
                if not reason and not -_LARGEST < value < _LARGEST:
                    reason = "not-a-number"
                if not reason:
                    rows.append((stream.id, at, value, issued, flags | stream.flags(value), place))
                    outcome.converted += flags != 0
                    continue
            refused.append(Refused(place, reason, _told(read)))
        outcome.forbidden = sum(r.reason == "forbidden" for r in refused)
        outcome.quarantined = len(refused) - outcome.forbidden
        outcome.note(refused, self._settings.sensing_problems_max)
        return rows, refused, outcome

    async def _ensure_months(self, conn: Any, rows: list[tuple[Any, ...]]) -> None:
        """Partitions of months not seen before, and of the one ahead."""
        beijing = {(m.year, m.month): m - _BEIJING for m in (at + _BEIJING for at in {r[1] for r in rows})}
        missing = [at for month, at in beijing.items() if month not in self._months]
        if missing:
            missing.append(datetime.now(UTC) + timedelta(days=31))
            await conn.fetchval("SELECT sensing.ensure_months($1::timestamptz[])", missing)
            self._months |= beijing.keys()

    async def _write(
        self, conn: Any, rows: list[tuple[Any, ...]], refused: list[Refused], way: str, by: str | None, outcome: Outcome
    ) -> None:
        async with conn.transaction():
            if rows:
                await conn.execute(_BY_INDEX)
                await conn.copy_to_table(
                    "sensing_incoming", source=io.BytesIO(_packed(rows)), columns=_COLUMNS, format="binary"
                )
                outcome.stored, outcome.flagged, outcome.corrections = await conn.fetchrow(_TAKE)
                outcome.repeated = len(rows) - outcome.stored
            if refused:
                digests = [_digest(r, way, by) for r in refused]
                columns = [[r.reason for r in refused], [r.text for r in refused]]
                await conn.execute(_QUARANTINE, digests, *columns, [way] * len(refused), [by] * len(refused))


def _reason(may: bool, stream: Stream | None, at: datetime, earliest: datetime, latest: datetime) -> str:
    """Why a reading cannot be kept, its value aside; empty when it can."""
    if not may:
        return "forbidden"
    if stream is None:
        return "unknown-datastream"
    return "future" if at > latest else "too-old" if at < earliest else ""


def _converted(value: float, unit: str, stream: Stream) -> tuple[str, float, int]:
    """Reason, value in the datastream's unit and flags of a value in another unit."""
    how = converter(unit, stream.unit)
    if how is None:
        return "wrong-unit", value, 0
    if how == (1.0, 0.0):
        return "", value, 0
    return "", value * how[0] + how[1], int(Flags.CONVERTED)


def _packed(rows: list[tuple[Any, ...]]) -> bytes:
    """Rows as PostgreSQL's binary COPY has them: a fifth of the time that encoding field by field takes."""
    parts = [b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"]
    for stream, at, value, issued, flags, place in rows:
        if issued is None:
            parts.append(_ROW.pack(6, 4, stream, 8, _micros(at), 8, value, -1, 2, flags, 4, place))
        else:
            parts.append(
                _ROW_ISSUED.pack(6, 4, stream, 8, _micros(at), 8, value, 8, _micros(issued), 2, flags, 4, place)
            )
    parts.append(b"\xff\xff")
    return b"".join(parts)


def _micros(at: datetime) -> int:
    """Microseconds since 2000, as PostgreSQL counts."""
    span = at - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def _digest(refused: Refused, way: str, by: str | None) -> bytes:
    text = "\x1f".join((refused.reason, way, by or "", refused.text))
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


def _told(read: Reading) -> str:
    key = str(read.key) if isinstance(read.key, int) else "/".join(k[:150] for k in read.key)
    issued = f" ({read.issued.isoformat()})" if read.issued else ""
    return plain(f"{key} {read.at.isoformat()}{issued} {read.value!r} {read.unit}".rstrip())
