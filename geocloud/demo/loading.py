# SPDX-License-Identifier: Apache-2.0
"""Makes the demo city layer by layer and writes it into the published layers, or takes it out again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import psycopg2
import pyarrow as pa
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extras import Json

from geocloud.catalogue.publish import read_catalogue
from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.held import holders, named
from geocloud.db.pool import connect
from geocloud.demo import (
    culture,
    emergency,
    grids,
    ground,
    parking,
    parking_readings,
    plan_rows,
    services,
    water_sector,
)
from geocloud.demo.city import City
from geocloud.demo.columns import Batch
from geocloud.demo.facts import SIZES, SizeName
from geocloud.demo.plan_sectors import sectors_of
from geocloud.demo.plans import Amendment, amendments, plans_of
from geocloud.errors import CatalogueError, LoadConflict
from geocloud.ingest.direct import NotPossible, bare_table, copy_statement, set_sequence
from geocloud.ingest.encode import Begin
from geocloud.ingest.merge import Layout
from geocloud.ingest.stage import HEADER, INFINITY, MINUS_INFINITY, TRAILER, Stream, encode
from geocloud.rules.repair import Shapes

__all__ = ["LAYERS", "Loaded", "clear", "expected", "generate", "load"]

log = logging.getLogger(__name__)

# In the order they are shown while loading: the map fills from the ground up.
LAYERS = {
    **ground.LAYERS, **services.LAYERS, **culture.LAYERS, **parking.LAYERS, **water_sector.LAYERS, **emergency.LAYERS,
    **plan_rows.LAYERS, **grids.LAYERS,
}  # fmt: skip
TITLE_ZH, TITLE_EN = "合成示例城市(非真实数据)", "Synthetic demo city (not real data)"
LICENCE = "CC0-1.0"
_COPY_BLOCK = 1 << 20
# How long clearing waits for a layer that is being read or written.
_LOCK_TIMEOUT = "60s"
Progress = Callable[[str, int, int], None]
Outcome = Literal["loaded", "unchanged", "kept-real", "not-published"]


@dataclass(frozen=True)
class Loaded:
    """What happened to a layer: rows that are synthetic now, and why none were written where none were."""

    layer: str
    outcome: Outcome
    rows: int


# All cities of a province are kept while its layers are made one after the other: about 150 MB each.
@lru_cache(maxsize=max(s.cities for s in SIZES.values()))
def _city(size: SizeName, number: int) -> City:
    return City(size, number)


def generate(size: SizeName, layer_id: str) -> Iterator[Batch]:
    """The rows of a layer, in batches of at most 50,000; the same size gives the same rows, byte for byte.

    `Batch.columns` are Arrow arrays by field name, `Batch.shapes` shapely geometries, longitude first, CGCS2000;
    `Batch.table()` is both as one Arrow table with WKB. KeyError for a layer the demo does not fill.
    """
    make = LAYERS[layer_id]
    for number in range(SIZES[size].cities):
        yield from make(_city(size, number))


def expected(size: SizeName, layer_id: str) -> int | None:
    """Rows the layer will have where the size says so; None where only making them tells."""
    s = SIZES[size]
    known = {
        "base.city": 1,
        "base.county": 8,
        "base.township": 136,
        "base.village": s.villages,
        "base.road": s.roads,
        "base.parcel": s.parcels,
        "base.building": s.buildings,
        "base.poi": s.pois,
        "facility.camera": s.cameras,
        "facility.component": s.components,
    }
    return known[layer_id] * s.cities if layer_id in known else None


def load(
    owner_url: str,
    size: SizeName,
    on_progress: Progress | None = None,
    *,
    layers: Sequence[str] | None = None,
) -> list[Loaded]:
    """Fills the published layers with the demo city of a size; one transaction a layer, so any layer is whole or empty.

    A layer that holds real rows is left alone. Loading the same size again changes nothing; another size replaces the
    synthetic rows. `on_progress(layer, done, total)`: rows written; the total is a guess where it is not fixed.
    Raises LoadConflict when a layer is being written by somebody else, CatalogueError when none is published.
    """
    with connect(owner_url, application_name="geocloud demo") as conn:
        published = read_catalogue(conn).layers
        conn.commit()
        wanted = [i for i in LAYERS if layers is None or i in layers]
        if not any(i in published for i in wanted):
            raise CatalogueError(
                "None of the demo's layers is published.",
                "示例城市的图层均未发布。",
                todo_en="Run `geocloud layers sync` first.",
                todo_zh="请先运行 `geocloud layers sync`。",
            )
        results = []
        for layer_id in wanted:
            if layer_id not in published:
                results.append(Loaded(layer_id, "not-published", 0))
                continue
            results.append(_load_layer(conn, published[layer_id], size, on_progress or (lambda *_: None)))
        for kept in (_city, plans_of, sectors_of, grids.made):
            kept.cache_clear()
    return results


def clear(owner_url: str, *, layers: Sequence[str] | None = None) -> dict[str, int]:
    """Takes every synthetic row out, from the layers and from their histories; returns rows by layer.

    Rows loaded from files stay as they are. Where a layer holds nothing else it is emptied at once.
    """
    removed = {}
    with connect(owner_url, application_name="geocloud demo") as conn:
        published = read_catalogue(conn).layers
        conn.commit()
        for layer_id, layer in published.items():
            if layer.synthetic and (layers is None or layer_id in layers):
                with conn.cursor() as cur:
                    parking_readings.take_out(cur, layer_id)
                    removed[layer_id] = _clear_layer(cur, layer)
                    _announce(cur)
                conn.commit()
    return removed


def _load_layer(conn: Connection, layer: Layer, size: SizeName, progress: Progress) -> Loaded:
    with conn.cursor() as cur:
        cur.execute(
            f"SELECT count(*) FILTER (WHERE s.synthetic), count(*) FILTER (WHERE s.synthetic IS NOT TRUE) "
            f"FROM {layer.table} t LEFT JOIN geocloud.source s ON s.id = t.source_id"
        )
        synthetic, real = cur.fetchone() or (0, 0)
        cur.execute(
            "SELECT report->>'size' FROM geocloud.load WHERE layer = %s AND report ? 'size' ORDER BY id DESC LIMIT 1",
            (layer.id,),
        )
        before = cur.fetchone()
        if real:
            conn.commit()
            return Loaded(layer.id, "kept-real", synthetic)
        if synthetic and before == (size,):
            conn.commit()
            return Loaded(layer.id, "unchanged", synthetic)
        if synthetic:
            parking_readings.take_out(cur, layer.id)
            _clear_layer(cur, layer)
        rows = _write(cur, layer.spec, size, progress)
        _announce(cur)
    conn.commit()
    with conn.cursor() as cur:
        cur.execute(f"ANALYZE {layer.table}")
    conn.commit()
    return Loaded(layer.id, "loaded", rows)


def _write(cur: Any, spec: LayerSpec, size: SizeName, progress: Progress) -> int:
    cur.execute(
        "INSERT INTO geocloud.source (layer, title_zh, title_en, licence, synthetic) VALUES (%s, %s, %s, %s, true) "
        "ON CONFLICT (layer, title_en, licence, synthetic) DO UPDATE SET title_zh = excluded.title_zh RETURNING id",
        (spec.id, TITLE_ZH, TITLE_EN, LICENCE),
    )
    source_id = cur.fetchone()[0]
    batches = generate(size, spec.id)
    first = next(batches)
    layout = Layout(
        spec, tuple(f.name for f in spec.fields if f.name in first.columns), first.shapes is not None, False, False
    )
    total = expected(size, spec.id)
    counter = _Counter(spec.id, total or len(first) * SIZES[size].cities, progress)
    try:
        with bare_table(cur, layout) as begin:
            chunks = _encoded(layout, first, batches, begin, source_id, counter)
            stream = Stream(chunks)
            try:
                cur.copy_expert(copy_statement(layout), stream, _COPY_BLOCK)
            except Exception:
                if stream.error is not None:
                    raise stream.error from None
                raise
            finally:
                stream.close()
            set_sequence(cur, layout, begin.fid + counter.done)
    except NotPossible as exc:
        raise _busy(cur, spec.id) from exc
    _amend(cur, spec, amendments(size, spec.id))
    _amend(cur, spec, water_sector.amendments([_city(size, n) for n in range(SIZES[size].cities)], spec.id))
    cur.execute(
        "INSERT INTO geocloud.load (layer, source_id, file_name, version, report) "
        "SELECT %s, %s, 'geocloud demo', version, %s FROM geocloud.layer_state WHERE layer = %s",
        (spec.id, source_id, Json({"size": size, "rows": {"new": counter.done}, "synthetic": True}), spec.id),
    )
    progress(spec.id, counter.done, counter.done)
    return counter.done


def _amend(cur: Any, spec: LayerSpec, amended: Sequence[Amendment]) -> None:
    """Gives amended features, which are named by the layer's key, the part of their life before the day of the
    amendment."""
    portion = sql.Identifier("history", f"{spec.id}:portion")
    statement = sql.SQL("SELECT {}(fid, '-infinity', %s, %s, NULL) FROM {} WHERE {} = %s").format(
        portion, sql.Identifier(spec.theme, spec.name), sql.Identifier(spec.key[0])
    )
    for a in amended:
        cur.execute(statement, (f"{a.day.isoformat()}T00:00:00+08:00", Json(a.before), a.bsm))


def _busy(cur: Any, layer_id: str) -> LoadConflict:
    theme, name = layer_id.split(".")
    found = holders(cur.connection, f'"{theme}"."{name}"')
    return LoadConflict(
        f"{layer_id} is being read or written by somebody else{named(found, ': ')}.",
        f"图层 {layer_id} 正被其他会话使用{named(found, ':', '、')}。",
        todo_en="Let the other work end and run the command again; layers already done are skipped.",
        todo_zh="请待其他操作结束后重新运行该命令,已完成的图层会跳过。",
        layer=layer_id,
        holders=found,
    )


class _Counter:
    def __init__(self, layer: str, total: int, progress: Progress) -> None:
        self.done = 0
        self._layer, self._total, self._progress = layer, total, progress
        progress(layer, 0, total)

    def add(self, rows: int) -> None:
        self.done += rows
        self._progress(self._layer, self.done, max(self.done, self._total))


def _encoded(
    layout: Layout, first: Batch, rest: Iterator[Batch], begin: Begin, source_id: int, counter: _Counter
) -> Iterator[memoryview | bytes]:
    yield HEADER
    fid = begin.fid
    batch: Batch | None = first
    while batch is not None:
        n = len(batch)
        columns: list[Any] = [pa.array(np.arange(fid, fid + n), pa.int64())]
        columns += [batch.columns[f] for f in layout.fields]
        if batch.shapes is not None:
            columns.append(Shapes(batch.shapes))
        columns += [np.full(n, MINUS_INFINITY), np.full(n, INFINITY)]
        columns += [pa.array(np.full(n, source_id), pa.int32()), np.full(n, begin.stamp)]
        yield encode(columns, n)
        fid += n
        counter.add(n)
        batch = next(rest, None)
    yield TRAILER


def _clear_layer(cur: Any, layer: Layer) -> int:
    """Removes synthetic rows and all memory of them; the layer's version goes up, the change log says what was done."""
    table, past = layer.table, layer.history
    try:
        cur.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
        cur.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    except psycopg2.errors.LockNotAvailable as exc:
        raise _busy(cur, layer.id) from exc
    synthetic = "SELECT id FROM geocloud.source WHERE layer = %s AND synthetic"
    cur.execute(f"SELECT count(*) FILTER (WHERE source_id IN ({synthetic})), count(*) FROM {table}", (layer.id,))
    ours, everything = cur.fetchone()
    if ours == everything:
        _empty(cur, layer, ours)
        cur.execute(f"DELETE FROM {past} WHERE source_id IN ({synthetic})", (layer.id,))
    else:
        cur.execute("SELECT set_config('geocloud.change', 'correction', true)")
        cur.execute(f"DELETE FROM {table} WHERE source_id IN ({synthetic})", (layer.id,))
        cur.execute("SELECT set_config('geocloud.change', '', true)")
        cur.execute(f"DELETE FROM {past} WHERE source_id IN ({synthetic})", (layer.id,))
        _measure(cur, layer)
    cur.execute("UPDATE geocloud.load SET source_id = NULL WHERE source_id IN (" + synthetic + ")", (layer.id,))
    cur.execute("DELETE FROM geocloud.source WHERE layer = %s AND synthetic", (layer.id,))
    return int(ours)


def _empty(cur: Any, layer: Layer, rows: int) -> None:
    """TRUNCATE, which the layer's trigger refuses as a rule, with its state and change log kept by hand."""
    cur.execute(f"DELETE FROM {layer.table} WHERE false")
    cur.execute(f"ALTER TABLE {layer.table} DISABLE TRIGGER d_truncate")
    cur.execute(f"TRUNCATE {layer.table}")
    cur.execute(f"ALTER TABLE {layer.table} ENABLE ALWAYS TRIGGER d_truncate")
    cur.execute(
        """WITH was AS (SELECT * FROM geocloud.layer_state WHERE layer = %(layer)s),
        cleared AS (UPDATE geocloud.layer_state SET row_count = 0, west = NULL, south = NULL, east = NULL, north = NULL,
                           next_boundary = 'infinity' WHERE layer = %(layer)s)
        INSERT INTO geocloud.change_log (layer, version, op, row_count, bbox_before, at, by_role)
        SELECT layer, version, 'delete', %(rows)s, box(point(west, south), point(east, north)), stamp, session_user
          FROM was WHERE %(rows)s > 0""",
        {"layer": layer.id, "rows": rows},
    )


def _measure(cur: Any, layer: Layer) -> None:
    """The extent of what is left."""
    if layer.spec.geometry == "none":
        return
    cur.execute(
        f"""UPDATE geocloud.layer_state SET west = ST_XMin(e), south = ST_YMin(e), east = ST_XMax(e), north = ST_YMax(e)
              FROM (SELECT ST_Extent(geom) AS e FROM {layer.table}) x WHERE layer = %s""",
        (layer.id,),
    )


def _announce(cur: Any) -> None:
    """Tells every worker that what it knows of the sources is old."""
    cur.execute("UPDATE geocloud.catalogue_state SET revision = revision + 1 RETURNING revision")
    cur.execute("SELECT pg_notify('geocloud', json_build_object('catalogue', %s)::text)", cur.fetchone())
