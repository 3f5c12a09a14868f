# SPDX-License-Identifier: Apache-2.0
"""The versions of one feature (要素版本): what is, or was, believed of each time of its life."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.literals import bind_instant
from geocloud.features.query import Statement
from geocloud.features.text import Output, feature_text
from geocloud.features.version import Version

__all__ = ["Belief", "at", "read_timeline", "timeline_statement"]


@dataclass(frozen=True, slots=True)
class Belief:
    """What was held of a feature between two valid times, from when until when, and who wrote it.

    `text` is its GeoJSON. Open ends are None. `change` is the kind of write that made it, None where a write of many
    rows left no entry for each.
    """

    version: Version
    text: bytes
    valid_from: datetime | None
    valid_to: datetime | None
    known_from: datetime
    known_to: datetime | None
    change: str | None = None
    by: str | None = None

    def holds(self, moment: datetime) -> bool:
        """Whether it says how the feature was at that instant."""
        return (self.valid_from is None or self.valid_from <= moment) and (
            self.valid_to is None or moment < self.valid_to
        )


def timeline_statement(
    layer: Layer, fid: int, output: Output, *, believed: datetime | None = None, every: bool = False,
    version: Version | None = None, limit: int = 1, offset: int = 0,
) -> Statement:  # fmt: skip
    """Rows of a feature in order of valid time: believed now, believed at a moment, every belief, or one version.

    Columns: text, sys_from, valid_from, valid_to, sys_to, op, who.
    """
    binder = Binder()
    names = ["fid", *(f.name for f in layer.spec.visible_fields), "valid_from", "valid_to", "sys_from"]
    names += [] if layer.spec.geometry == "none" else ["geom"]
    columns = ", ".join(f"t.{quote_identifier(n)}" for n in names)
    place = f"t.fid = {binder.bind(fid, 'bigint')}"
    if believed is not None:
        place += f" AND t.sys_from <= {bind_instant(binder, believed)}"
    if version is not None:
        place += (
            f" AND t.sys_from = {bind_instant(binder, version.sys_from)} AND t.valid_from = {_bound(binder, version)}"
        )
    parts = [
        f"SELECT {columns}, 'infinity'::timestamptz AS sys_to FROM {layer.table} t WHERE {place}",
        f"SELECT {columns}, t.sys_to FROM {layer.history} t WHERE t.sys_to = 'infinity' AND {place}",
    ]
    if every or believed is not None or version is not None:
        ended = "" if believed is None else f" AND t.sys_to > {bind_instant(binder, believed)}"
        parts.append(
            f"SELECT {columns}, t.sys_to FROM {layer.history} t WHERE t.sys_to < 'infinity' AND {place}{ended}"
        )
    # Both times of an entry and of the row it tells of are the stamp of one write.
    log = (
        f"SELECT c.op, c.by_name FROM geocloud.change_log c WHERE c.layer = {binder.bind(layer.id, 'text')} "
        "AND c.fid = t.fid AND c.at = t.sys_from ORDER BY c.id LIMIT 1"
    )
    sql = (
        f"SELECT {feature_text(layer, output)}, t.sys_from, t.valid_from, t.valid_to, t.sys_to, l.op, l.by_name "
        f"FROM ({' UNION ALL '.join(parts)}) t LEFT JOIN LATERAL ({log}) l ON true "
        f"ORDER BY t.valid_from, t.sys_from LIMIT {limit:d} OFFSET {offset:d}"
    )
    return Statement(sql, binder.args)


async def read_timeline(conn: Any, statement: Statement) -> list[Belief]:
    """The rows of a `timeline_statement` over an asyncpg connection."""
    return [_belief(row) for row in await conn.fetch(statement.sql, *statement.args)]


def at(timeline: Sequence[Belief], moment: datetime) -> Belief | None:
    """The version of a timeline that holds at an instant."""
    return next((b for b in timeline if b.holds(moment)), None)


def _belief(row: Any) -> Belief:
    text, known_from, valid_from, valid_to, known_to, change, by = row
    return Belief(
        Version.of(known_from, valid_from),
        text if isinstance(text, bytes) else text.encode(),
        _finite(valid_from),
        _finite(valid_to),
        known_from,
        _finite(known_to),
        change if change is None else _text(change),
        by if by is None else _text(by),
    )


def _finite(moment: datetime) -> datetime | None:
    """None for an infinite time, which the driver gives as the end of its calendar, without a zone."""
    return None if moment.replace(tzinfo=None) in (datetime.min, datetime.max) else moment.astimezone(UTC)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _bound(binder: Binder, version: Version) -> str:
    bare = version.valid_from.replace(tzinfo=None)
    if bare in (datetime.min, datetime.max):
        return "'-infinity'::timestamptz" if bare == datetime.min else "'infinity'::timestamptz"
    return bind_instant(binder, version.valid_from)
