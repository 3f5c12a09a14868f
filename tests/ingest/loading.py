# SPDX-License-Identifier: Apache-2.0
"""What the tests of loading share: small layers, files made on the spot, and the database read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas
import psycopg2
import shapely

from geocloud.catalogue.publish import read_catalogue, sync
from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import Code, CodeList, LayerSpec, Text
from geocloud.ingest.files import FileOptions, load_file
from geocloud.ingest.load import LoadOptions, LoadResult
from geocloud.settings import DatabaseSettings, IngestSettings, Settings

STATES = CodeList(
    name="state",
    title=Text(zh="状态", en="State"),
    source="this test",
    codes=(Code(code="good", title=Text(zh="完好", en="Good")), Code(code="bad", title=Text(zh="损坏", en="Bad"))),
)


def text(word: str) -> dict[str, str]:
    return {"zh": word, "en": word}


def field(name: str, kind: str = "text", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "title": text(name)} | more


def spec(name: str, geometry: str = "point", **more: Any) -> LayerSpec:
    """A layer `facility.<name>` with a key, checked fields and valid time."""
    fields = [
        field("code", required=True, aliases=["编号"]),
        field("name", max_length=20),
        field("state", codes="state"),
        field("height", "number", minimum=0, maximum=100),
        field("slots", "integer"),
        field("built", "date"),
    ]
    base = {
        "id": f"facility.{name}", "title": text(name), "description": text(name), "geometry": geometry,
        "key": ["code"], "fields": fields, "valid_time": {"start": ["since"], "end": ["until"]},
    }  # fmt: skip
    return LayerSpec.model_validate(base | more)


def publish(url: str, *specs: LayerSpec) -> dict[str, Layer]:
    """Publishes layers beside those already there and returns the catalogue's."""
    conn = psycopg2.connect(url)
    try:
        there = {i: layer.spec for i, layer in read_catalogue(conn).layers.items()}
        sync(conn, there | {s.id: s for s in specs}, {"state": STATES})
        return dict(read_catalogue(conn).layers)
    finally:
        conn.close()


def settings(home: Path, **ingest: Any) -> Settings:
    return Settings(database=DatabaseSettings(home=home), ingest=IngestSettings(**ingest))


def write(path: Path, rows: Sequence[Mapping[str, Any]], crs: str | None = "EPSG:4490") -> Path:
    """A GeoPackage of rows whose `at` is a geometry or (lon, lat)."""
    shapes = [shapely.Point(r["at"]) if isinstance(r["at"], tuple) else r["at"] for r in rows]
    frame = geopandas.GeoDataFrame([{k: v for k, v in r.items() if k != "at"} for r in rows], geometry=shapes, crs=crs)
    frame.to_file(path, driver="GPKG")
    return path


def load(
    url: str,
    path: Path,
    layer: Layer,
    home: Path,
    *,
    reading: FileOptions | None = None,
    ingest: Mapping[str, Any] | None = None,
    **options: Any,
) -> LoadResult:
    return load_file(
        url, path, layer, settings=settings(home, **(ingest or {})), reading=reading, options=LoadOptions(**options)
    )


def ask(url: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
    conn = psycopg2.connect(url)
    try:
        with conn, conn.cursor() as cur:
            cur.execute("SET TIME ZONE 'UTC'")
            cur.execute(query, values)
            return cur.fetchall() if cur.description else []
    finally:
        conn.close()


def fingerprint(url: str, layer: Layer) -> list[tuple[Any, ...]]:
    """Everything a load of the layer may change: rows, history, state, change log, structure."""
    name = layer.id
    return [
        *ask(url, f"SELECT t::text FROM {layer.table} t ORDER BY fid"),
        *ask(url, f"SELECT t::text FROM {layer.history} t ORDER BY t::text"),
        *ask(url, "SELECT version, row_count, stamp FROM geocloud.layer_state WHERE layer = %s", name),
        *ask(url, "SELECT count(*) FROM geocloud.change_log WHERE layer = %s", name),
        *structure(url, layer),
    ]


def structure(url: str, layer: Layer) -> list[tuple[Any, ...]]:
    """Indexes and constraints of a layer's table."""
    constraints = (
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass ORDER BY 1"
    )
    return [
        *ask(url, "SELECT indexdef FROM pg_indexes WHERE schemaname || '.' || tablename = %s ORDER BY 1", layer.id),
        *ask(url, constraints, layer.table),
    ]


def utc(year: int, month: int, day: int, hour: int = 0) -> datetime:
    from datetime import UTC

    return datetime(year, month, day, hour, tzinfo=UTC)
