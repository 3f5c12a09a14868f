# SPDX-License-Identifier: Apache-2.0
"""Boundary conflicts kept as a layer: a row a conflict, the same at every run, ended when nothing is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import shapely

from geocloud.catalogue.registry import Layer
from geocloud.errors import UnknownLayer
from geocloud.features.binder import quote_identifier
from geocloud.jobs.run import Run
from geocloud.sectors.grids.boundaries import Boundary
from geocloud.sectors.grids.zones import CONFLICTS

__all__ = ["FIELDS", "keep", "row_of"]

# What a run writes; `state` and `opinion` are people's.
FIELDS = (
    "code", "rule", "layer_a", "key_a", "department_a", "layer_b", "key_b", "department_b", "said", "found", "area_m2",
    "width_m", "tolerance_m",
)  # fmt: skip
_LOCK = 0x6765_6F47
_ROWS_AT_ONCE = 2_000


def row_of(found: Boundary, tolerance_m: float) -> dict[str, Any]:
    """A conflict in the fields of the layer."""
    row = {name: getattr(found, name) for name in FIELDS if name != "tolerance_m"}
    area, width = round(found.area_m2, 3), round(found.width_m, 3)
    return {**row, "area_m2": area, "width_m": width, "tolerance_m": tolerance_m}


def keep(
    run: Run, found: Sequence[Boundary], compared: Sequence[str], rules: Sequence[str], tolerance_m: float
) -> dict[str, int]:
    """Writes the conflicts of now: how many are new, came back, changed, stay as they were, and ended.

    Rows of rules and of layers that were not compared stay as they are. What was drawn from synthetic grids is marked
    so. Raises UnknownLayer where the layer is not published, Forbidden in a run that may only read.
    """
    layer = run.catalogue.layers.get(CONFLICTS)
    if layer is None:
        raise UnknownLayer(
            f"The layer {CONFLICTS} is not published.", f"图层 {CONFLICTS} 尚未发布。",
            todo_en="Run `geocloud layers sync`.", todo_zh="请运行 `geocloud layers sync`。",
        )  # fmt: skip
    counts = dict.fromkeys(("new", "returned", "changed", "kept", "ended"), 0)
    now = {b.code: b for b in found}
    with run.writer() as conn, conn.cursor() as cur:
        cur.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        cur.execute(
            f"SELECT fid, ST_AsBinary(geom), {_columns(FIELDS)} FROM {layer.table} WHERE rule = ANY(%s) "
            "AND layer_a = ANY(%s) AND (layer_b = ANY(%s) OR layer_b NOT LIKE 'grid.%%') ORDER BY fid FOR UPDATE",
            (list(rules), list(compared), list(compared)),
        )
        old = {r[2]: (int(r[0]), shapely.from_wkb(bytes(r[1])), dict(zip(FIELDS, r[2:], strict=True)))
               for r in cur.fetchall()}  # fmt: skip
        gone = [fid for code, (fid, _, _) in old.items() if code not in now]
        if gone:
            cur.execute(f"DELETE FROM {layer.table} WHERE fid = ANY(%s)", (gone,))
        counts["ended"] = len(gone)
        for code, (fid, shape, before) in old.items():
            if code in now:
                counts[_go_on(cur, layer, fid, shape, before, now[code], tolerance_m)] += 1
        synthetic = any(run.catalogue.layers[i].synthetic for i in compared)
        begun = [b for code, b in now.items() if code not in old]
        back = _begin(cur, layer, begun, tolerance_m, _source(cur, synthetic=synthetic))
        counts["returned"], counts["new"] = back, len(begun) - back
    return counts


def _go_on(
    cur: psycopg2.extensions.cursor,
    layer: Layer,
    fid: int,
    shape: Any,
    before: dict[str, Any],
    found: Boundary,
    tolerance_m: float,
) -> str:
    row = row_of(found, tolerance_m)
    if row == before and shapely.equals_exact(shapely.normalize(shape), shapely.normalize(found.place), 0.0):
        return "kept"
    sets = ", ".join(f"{quote_identifier(n)} = %s" for n in FIELDS)
    cur.execute(
        f"UPDATE {layer.table} SET {sets}, geom = ST_GeomFromWKB(%s, 4490) WHERE fid = %s",
        [*row.values(), psycopg2.Binary(shapely.to_wkb(found.place)), fid],
    )
    return "changed"


def _begin(
    cur: psycopg2.extensions.cursor, layer: Layer, begun: Sequence[Boundary], tolerance_m: float, source: int
) -> int:
    """Writes conflicts that are not there now, under their old id where they were before; returns how many were."""
    if not begun:
        return 0
    cur.execute(
        f"SELECT DISTINCT ON (code) code, fid, state, opinion FROM {layer.history} WHERE code = ANY(%s) "
        "AND sys_to = 'infinity' ORDER BY code, valid_to DESC", ([b.code for b in begun],),
    )  # fmt: skip
    known = {code: (fid, state, opinion) for code, fid, state, opinion in cur.fetchall()}
    names = [*FIELDS, "state", "opinion", "source_id"]
    for again in (True, False):
        rows = []
        for b in begun:
            if (b.code in known) != again:
                continue
            fid, _, opinion = known.get(b.code, (None, None, None))
            state = "reopened" if again else "found"
            values = [*row_of(b, tolerance_m).values(), state, opinion, source]
            rows.append((*([fid] if again else []), *values, psycopg2.Binary(shapely.to_wkb(b.place))))
        if not rows:
            continue
        psycopg2.extras.execute_values(
            cur,
            f"INSERT INTO {layer.table} ({'fid, ' if again else ''}{_columns(names)}, geom, valid_from) VALUES %s",
            rows,
            template=f"({', '.join(['%s'] * (len(rows[0]) - 1))}, ST_GeomFromWKB(%s, 4490), geocloud.stamp())",
            page_size=_ROWS_AT_ONCE,
        )
    return len(known)


def _source(cur: psycopg2.extensions.cursor, *, synthetic: bool) -> int:
    """Number of the source that rows name; what was found in made-up grids is made up."""
    said = (CONFLICTS, "网格边界比对", "Boundaries of grids compared", "internal", synthetic)
    cur.execute(
        "INSERT INTO geocloud.source (layer, title_zh, title_en, licence, synthetic) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT DO NOTHING", said,
    )  # fmt: skip
    cur.execute(
        "SELECT id FROM geocloud.source WHERE (layer, title_en, licence, synthetic) = (%s, %s, %s, %s)",
        (said[0], *said[2:]),
    )
    return int((cur.fetchone() or (0,))[0])


def _columns(names: Sequence[str]) -> str:
    return ", ".join(map(quote_identifier, names))
