# SPDX-License-Identifier: Apache-2.0
"""Differences read from the database: a page of them, or what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from geocloud.features.changes import KINDS, ChangesQuery, changes_statement, measures_of, summary_statement

__all__ = ["Amount", "ChangesPage", "ChangesSummary", "read_changes", "summarise_changes", "summary_of"]


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """Features as UTF-8 texts, the last fid, whether more follow, and how many there are from this page on."""

    texts: list[bytes]
    last: int | None
    more: bool
    total: int


@dataclass(frozen=True, slots=True)
class Amount:
    """m2 or m on the ellipsoid: of features added and removed, and of those kept whose geometry differs."""

    added: float
    removed: float
    was: float
    has: float

    @property
    def net(self) -> float:
        """What the layer has gained."""
        return self.added - self.removed + self.has - self.was


@dataclass(frozen=True, slots=True)
class ChangesSummary:
    """Features before and after, changed ones, those of each kind (of which one can have several), those whose field
    changed by the field's name, and amounts by `area_m2` and `length_m`."""

    before: int
    after: int
    changed: int
    kinds: dict[str, int]
    fields: dict[str, int]
    amounts: dict[str, Amount]


async def read_changes(conn: Any, query: ChangesQuery) -> ChangesPage:
    """A page of differences over an asyncpg connection of the reader."""
    statement = changes_statement(query)
    rows = await conn.fetch(statement.sql, *statement.args)
    shown = rows[: query.limit]
    last = shown[-1][0] if shown else None
    return ChangesPage([r[1] for r in shown], last, len(rows) > query.limit, int(rows[0][2]) if rows else 0)


async def summarise_changes(conn: Any, query: ChangesQuery) -> ChangesSummary:
    """All differences together; page, kinds and format of the query do not matter."""
    statement = summary_statement(query)
    return summary_of(query, await conn.fetchrow(statement.sql, *statement.args))


def summary_of(query: ChangesQuery, row: Any) -> ChangesSummary:
    """The row of `summary_statement`, by names."""
    amounts = {}
    for measure in measures_of(query.layer):
        parts = (float(row[f"{measure}_{part}"] or 0.0) for part in ("added", "removed", "was", "is"))
        amounts[measure] = Amount(*parts)
    fields = {f.name: int(row[f"f{n}"]) for n, f in enumerate(query.layer.spec.visible_fields)}
    return ChangesSummary(
        before=int(row["kept"]) + int(row["was"]),
        after=int(row["kept"]) + int(row["has"]),
        changed=int(row["changed"]),
        kinds={k: int(row[k]) for k in KINDS},
        fields=fields,
        amounts=amounts,
    )
