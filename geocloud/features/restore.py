# SPDX-License-Identifier: Apache-2.0
"""The way back (恢复): features, or a whole layer, as they were believed to be at a moment, as new versions.

What was changed since is changed back, what has come since is ended, what has gone is there again under its old number.
Nothing of what happened in between is lost; going back can itself be undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder
from geocloud.features.cql2 import compile_filter
from geocloud.features.moment import NOW, Moment
from geocloud.features.query import Statement
from geocloud.features.refusals import refusal
from geocloud.features.stamping import After
from geocloud.features.writing import Said, instant, told
from geocloud.geodesy.crs import Crs
from geocloud.settings import WebSettings

__all__ = ["Restored", "carry_out", "matching_statement", "restore_statement"]


@dataclass(frozen=True, slots=True)
class Restored:
    """How many features were ended, changed back, and brought back; `stamp` of the write."""

    ended: int
    changed: int
    returned: int
    stamp: datetime | None = None

    @property
    def total(self) -> int:
        return self.ended + self.changed + self.returned


def restore_statement(layer: Layer, moment: datetime, fids: Sequence[int] | None, said: Said) -> Statement:
    """One row: ended, changed, returned, stamp. `fids` None: the whole layer."""
    binder = Binder()
    chosen = "NULL" if fids is None else binder.bind(list(fids), "bigint[]")
    call = f"{layer.function('restore')}({chosen}, {instant(binder, moment)})"
    sql = (
        f"WITH {told(binder, said)}, done AS MATERIALIZED (SELECT {call} AS r FROM said) "
        "SELECT (r).ended, (r).changed, (r).returned, geocloud.stamp() FROM done"
    )
    return Statement(sql, binder.args)


async def carry_out(
    conn: Any, layer: Layer, statement: Statement, *, dry: bool, after: After | None = None
) -> Restored:
    """Runs a `restore_statement` over an asyncpg connection; undone again where it is only a rehearsal.

    `after` is what else belongs to the transaction. Raises KeyConflict where a key has been taken meanwhile, LayerBusy.
    """
    transaction = conn.transaction()
    await transaction.start()
    try:
        row = await conn.fetchrow(statement.sql, *statement.args)
        if after is not None and not dry and layer.spec.geometry != "none":
            await after(conn, layer)
    except asyncpg.PostgresError as exc:
        await transaction.rollback()
        refused = refusal(exc, layer)
        if refused is None:
            raise
        raise refused from exc
    except BaseException:
        await transaction.rollback()
        raise
    await (transaction.rollback() if dry else transaction.commit())
    return Restored(*row)


def matching_statement(
    layer: Layer, moment: datetime, condition: Any, system: Crs | None, settings: WebSettings
) -> Statement:
    """Numbers of the features that a CQL2 filter finds now, or found at the moment."""
    binder = Binder()
    found = []
    for when in (NOW, Moment(believed=moment)):
        relation = when.relation(binder, layer)
        where = compile_filter(binder, condition, "cql2-text", layer, system, settings)
        found.append(f"SELECT fid FROM {relation or layer.table} t WHERE {where}")
    return Statement(" UNION ".join(found), binder.args)
