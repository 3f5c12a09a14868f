# SPDX-License-Identifier: Apache-2.0
"""Publishes layer definitions: reads what the database has, plans, and carries the plan out in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg2
from psycopg2.extras import Json
from pydantic import ValidationError

from geocloud.catalogue.plan import Existing, Step, plan_layer, plan_retire
from geocloud.catalogue.registry import CATALOGUE_SQL, STANDING_SQL, Catalogue, parse_catalogue, renew_catalogue
from geocloud.catalogue.spec import CodeList, LayerSpec
from geocloud.db.held import holders, named
from geocloud.errors import CatalogueError, SyncRefused

__all__ = ["plan_sync", "read_catalogue", "sync"]

# Key of the advisory lock that lets one sync run at a time in a database.
_LOCK = 0x6765_6F01

# Layers changed in one transaction: each takes some 12 locks, of the 6,400 a database has by default.
_SLICE = 200

# How long a sync waits for a layer that is being written or read.
_LOCK_TIMEOUT = "60s"

_EXISTING_SQL = """
SELECT l.id, l.spec, l.status, columns.of, coalesce(keys.of, '{}'), coalesce(indexes.of, '{}')
  FROM geocloud.layer l
  CROSS JOIN LATERAL (SELECT to_regclass(format('%I.%I', split_part(l.id, '.', 1), split_part(l.id, '.', 2))) AS rel) t
  LEFT JOIN LATERAL (SELECT json_object_agg(attname, format_type(atttypid, atttypmod)) AS of FROM pg_attribute
         WHERE attrelid = t.rel AND attnum > 0 AND NOT attisdropped) columns ON true
  LEFT JOIN LATERAL (SELECT array_agg(a.attname::text ORDER BY k.place) AS of FROM pg_constraint c
         CROSS JOIN unnest(c.conkey) WITH ORDINALITY AS k (num, place)
          JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num
         WHERE c.conrelid = t.rel AND c.contype = 'u') keys ON true
  LEFT JOIN LATERAL (SELECT array_agg(i.relname::text) AS of FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
         WHERE x.indrelid = t.rel) indexes ON true
"""


def plan_sync(conn: psycopg2.extensions.connection, layers: Mapping[str, LayerSpec]) -> list[Step]:
    """Steps from the database's layers to these definitions; nothing is changed."""
    existing = _existing(conn)
    steps: list[Step] = []
    for layer_id in sorted(layers):
        steps += plan_layer(layers[layer_id], existing.get(layer_id))
    steps += [plan_retire(e) for i, e in sorted(existing.items()) if i not in layers and e.status == "active"]
    return steps


def sync(
    conn: psycopg2.extensions.connection, layers: Mapping[str, LayerSpec], codes: Mapping[str, CodeList]
) -> list[Step]:
    """Publishes the definitions and returns the steps taken.

    One transaction for up to 200 layers to be changed; more go in slices of 200, each whole, because the database
    can lock only so many tables at once. What is refused is refused before the first slice. Waits for a sync that is
    already running, and for writes of the layers it changes. Raises SyncRefused, with nothing changed, when a step
    would lose data or a new key is not unique among the rows; CatalogueError when a layer stays busy.
    """
    taken: list[Step] = []
    while True:
        steps, more = _sync_slice(conn, layers, codes)
        taken += steps
        if not more:
            return taken


def _sync_slice(
    conn: psycopg2.extensions.connection, layers: Mapping[str, LayerSpec], codes: Mapping[str, CodeList]
) -> tuple[list[Step], bool]:
    with conn, conn.cursor() as cur:
        cur.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        steps = plan_sync(conn, layers)
        refused = [s for s in steps if s.action == "refused"]
        if refused:
            raise SyncRefused(
                "; ".join(f"{s.layer}: {s.en}" for s in refused) + ".",
                ";".join(f"{s.layer}:{s.zh}" for s in refused) + "。",
                todo_en="Give the field a new name, or migrate the values with SQL first. Nothing was changed.",
                todo_zh="请改用新的字段名,或先用 SQL 迁移数据。未作任何更改。",
                layers=sorted({s.layer for s in refused}),
            )
        # Layers that exist come first: only they can be busy or turn out not to fit.
        order = dict.fromkeys(s.layer for s in sorted(steps, key=lambda s: s.action == "create"))
        now = set(list(order)[:_SLICE])
        steps = [s for s in steps if s.layer in now]
        _lock(cur, steps)
        changed_codes = _store_codes(cur, codes)
        for layer_id in sorted({s.layer for s in steps if s.action != "retire"}):
            _store_layer(cur, layers[layer_id])
        for step in steps:
            _run(cur, step)
        if steps or changed_codes:
            cur.execute("UPDATE geocloud.catalogue_state SET revision = revision + 1 RETURNING revision")
            cur.execute("SELECT pg_notify('geocloud', json_build_object('catalogue', %s)::text)", cur.fetchone())
    return steps, len(order) > len(now)


def read_catalogue(conn: psycopg2.extensions.connection, known: Catalogue | None = None) -> Catalogue:
    """The published catalogue, once, for commands.

    Quicker where a catalogue is `known` that has the same definitions; it must be of a state that was committed.
    """
    with conn.cursor() as cur:
        if known is not None:
            cur.execute(STANDING_SQL)
            row = cur.fetchone()
            assert row is not None
            found = renew_catalogue(known, row[0])
            if found is not None:
                return found
        cur.execute(CATALOGUE_SQL)
        row = cur.fetchone()
    assert row is not None
    return parse_catalogue(row[0])


def _existing(conn: psycopg2.extensions.connection) -> dict[str, Existing]:
    with conn.cursor() as cur:
        cur.execute(_EXISTING_SQL)
        return {
            layer: Existing(layer, _readable(spec), status, columns or {}, tuple(key), frozenset(indexes))
            for layer, spec, status, columns, key, indexes in cur.fetchall()
        }


def _readable(spec: dict[str, Any]) -> LayerSpec | None:
    try:
        return LayerSpec.model_validate(spec)
    except ValidationError:
        return None


def _lock(cur: Any, steps: list[Step]) -> None:
    """Takes the tables to be altered in one order, before any row lock, so that no load and no sync can deadlock."""
    created = {s.layer for s in steps if s.action == "create"}
    altered = {s.layer for s in steps if s.action in ("add-column", "change-type", "change-key")}
    cur.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
    for layer_id in sorted({s.layer for s in steps if s.sql} - created):
        theme, name = layer_id.split(".")
        mode = "ACCESS EXCLUSIVE" if layer_id in altered else "SHARE ROW EXCLUSIVE"
        try:
            cur.execute(f'LOCK TABLE "{theme}"."{name}" IN {mode} MODE')
        except psycopg2.errors.LockNotAvailable:
            found = holders(cur.connection, f'"{theme}"."{name}"')
            raise CatalogueError(
                f"{layer_id} is in use: it could not be had for {_LOCK_TIMEOUT}{named(found, '; held by ')}.",
                f"图层 {layer_id} 正在使用,等待 {_LOCK_TIMEOUT} 后仍未空闲{named(found, ',占用者:', '、')}。",
                todo_en="Let the load or the long query end and sync again. Nothing was changed.",
                todo_zh="请待入库或长查询结束后再同步。未作任何更改。",
                layer=layer_id,
                holders=found,
            ) from None


def _store_codes(cur: Any, codes: Mapping[str, CodeList]) -> bool:
    changed = False
    for code_list in codes.values():
        cur.execute(
            "INSERT INTO geocloud.code_list AS c (name, spec) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE "
            "SET spec = excluded.spec WHERE c.spec IS DISTINCT FROM excluded.spec",
            (code_list.name, Json(code_list.model_dump(mode="json"))),
        )
        changed = changed or cur.rowcount > 0
    return changed


def _store_layer(cur: Any, spec: LayerSpec) -> None:
    cur.execute(
        "INSERT INTO geocloud.layer (id, spec) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE "
        "SET spec = excluded.spec, status = 'active', changed_at = now()",
        (spec.id, Json(spec.model_dump(mode="json"))),
    )
    cur.execute("INSERT INTO geocloud.layer_state (layer) VALUES (%s) ON CONFLICT DO NOTHING", (spec.id,))
    # A layer that looks different now must not be answered from what workers remember.
    cur.execute("UPDATE geocloud.layer_state SET version = version + 1 WHERE layer = %s", (spec.id,))


def _run(cur: Any, step: Step) -> None:
    try:
        for statement in step.sql:
            cur.execute(statement)
    except psycopg2.errors.UniqueViolation as exc:
        raise SyncRefused(
            f"{step.layer}: rows already there repeat the new key ({exc.diag.message_detail}).",
            f"{step.layer}:现有数据中新主键有重复({exc.diag.message_detail})。",
            todo_en="Mend the rows or choose another key. Nothing was changed.",
            todo_zh="请先修正数据或改用其他主键。未作任何更改。",
        ) from None
    except (psycopg2.errors.NotNullViolation, psycopg2.errors.CheckViolation) as exc:
        raise SyncRefused(
            f"{step.layer}: {step.en}: values already there do not allow it ({exc.diag.message_primary}).",
            f"{step.layer}:{step.zh}:现有数据不允许此更改({exc.diag.message_primary})。",
            todo_en="Mend the rows first. Nothing was changed.",
            todo_zh="请先修正数据。未作任何更改。",
            layer=step.layer,
        ) from None
    if step.action == "retire":
        cur.execute("UPDATE geocloud.layer SET status = 'retired', changed_at = now() WHERE id = %s", (step.layer,))
