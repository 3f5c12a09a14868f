# SPDX-License-Identifier: Apache-2.0
"""A layer of the tests' own, and what became of it."""

from __future__ import annotations

import time
from typing import Any

import psycopg2

from geocloud.catalogue.plan import Step
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import LayerSpec

TITLE = {"zh": "测", "en": "t"}


def spec(layer: str = "lab.thing", geometry: str = "point", key: str = "code", **fields: Any) -> LayerSpec:
    """A layer of text field `code` and the given ones: name=type or name=dict of what the field says."""
    described = {"code": "text", **fields}
    return LayerSpec.model_validate(
        {
            "id": layer,
            "title": TITLE,
            "description": TITLE,
            "geometry": geometry,
            "key": key.split(),
            "fields": [
                {"name": n, "title": TITLE, **(f if isinstance(f, dict) else {"type": f})} for n, f in described.items()
            ],
        }
    )


def by_id(*specs: LayerSpec) -> dict[str, LayerSpec]:
    return {s.id: s for s in specs}


def publish(conn: Any, *specs: LayerSpec) -> list[Step]:
    return sync(conn, by_id(*specs), {})


def actions(steps: list[Step]) -> list[str]:
    return [s.action for s in steps]


def rows(conn: Any, sql: str, *args: Any) -> list[Any]:
    with conn, conn.cursor() as cur:
        cur.execute(sql, args)
        return list(cur.fetchall()) if cur.description else []


def columns(conn: Any, table: str) -> dict[str, str]:
    return dict(
        rows(
            conn,
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            table,
        )
    )


def until(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)


def as_role(url: str, sql: str) -> list[Any]:
    conn = psycopg2.connect(url)
    try:
        return rows(conn, sql)
    finally:
        conn.close()
