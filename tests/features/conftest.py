# SPDX-License-Identifier: Apache-2.0
"""Layers of every geometry with known rows, read by the reader role through asyncpg as the server does."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import psycopg2
import pytest
import shapely

from geocloud.catalogue.publish import sync
from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.cluster import Urls
from geocloud.features.binder import Binder
from geocloud.features.cql2 import compile_filter
from geocloud.geodesy.crs import Crs
from geocloud.settings import WebSettings

Row = dict[str, Any]
FIELDS: dict[str, str] = {
    "code": "text",
    "name": "text",
    "other": "text",
    "n": "integer",
    "m": "integer",
    "x": "number",
    "y": "number",
    "ok": "boolean",
    "open": "boolean",
    "built": "date",
    "razed": "date",
    "seen": "datetime",
    "checked": "datetime",
}
_INFINITE = {-math.inf: "-infinity", math.inf: "infinity"}


def spec_of(geometry: str) -> LayerSpec:
    """A layer with two fields of every type, one hidden and one that is no queryable."""
    title = {"zh": "试", "en": "t"}
    fields: list[dict[str, Any]] = [{"name": n, "type": t, "title": title} for n, t in FIELDS.items()]
    fields.append({"name": "secret", "title": title, "hidden": True})
    fields.append({"name": "silent", "title": title, "queryable": False})
    return LayerSpec.model_validate(
        {"id": f"fuzz.{geometry}", "title": title, "description": title, "geometry": geometry, "key": ["code"],
         "fields": fields}
    )  # fmt: skip


LAYERS = {g: Layer(spec_of(g)) for g in ("point", "linestring", "multipolygon", "geometry", "none")}


@dataclass
class Asker:
    """Asks the database as the reader role, on one connection and one event loop."""

    loop: asyncio.AbstractEventLoop
    connection: asyncpg.Connection[Any]
    rows: dict[str, dict[int, Row]]

    def fids(self, layer: Layer, sql: str, args: list[object]) -> set[int]:
        """Ids of the rows of a layer for which a condition is true."""
        found = self.loop.run_until_complete(
            self.connection.fetch(f"SELECT fid FROM {layer.table} t WHERE {sql}", *args)
        )
        return {r["fid"] for r in found}

    def filtered(self, layer: Layer, text: str | dict[str, Any], language: Any = "cql2-text", system: Crs | None = None,
                 settings: WebSettings | None = None) -> set[int]:  # fmt: skip
        """Ids of the rows a CQL2 filter selects."""
        binder = Binder()
        sql = compile_filter(binder, text, language, layer, system, settings or WebSettings())
        return self.fids(layer, sql, binder.args)

    def where(self, layer: Layer, test: Any) -> set[int]:
        """Ids of the rows for which a Python predicate is true; what the expected answer is made of."""
        return {fid for fid, row in self.rows[layer.spec.name].items() if test(row) is True}


def _instant(draw: random.Random) -> datetime | None:
    """Few moments, so that intervals often meet, start and end together; some around midnight in Beijing."""
    hours = [0, 0, 48, 72, 72, 96, 112, 119, 120, 136, 224, 224, 300, 300, 300]
    if draw.random() < 0.1:
        return None
    start = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=draw.choice(hours))
    return start - timedelta(microseconds=draw.choice([0, 0, 0, 0, 1]))


def _shape(draw: random.Random, geometry: str) -> Any:
    """Shapes on a grid of quarter degrees, so that touching and equal ones are frequent and exact."""

    def corner() -> tuple[float, float]:
        return 116 + draw.randint(0, 8) / 4, 36 + draw.randint(0, 8) / 4

    if geometry == "point":
        return shapely.Point(corner())
    if geometry == "linestring":
        points = list({corner() for _ in range(draw.randint(2, 4))})
        return shapely.LineString(points) if len(points) > 1 else shapely.LineString([(116, 36), (117, 36)])
    if geometry == "multipolygon":
        boxes = []
        for _ in range(draw.randint(1, 2)):
            (a, b), (c, d) = corner(), corner()
            boxes.append(shapely.box(min(a, c), min(b, d), max(a, c) + 0.25, max(b, d) + 0.25))
        if draw.random() < 0.2:
            boxes = draw.choice([[shapely.box(116.5, 36.5, 117.25, 37.25)], [shapely.box(116.75, 36.5, 117, 37)]])
        merged = shapely.union_all(boxes)
        return merged if merged.geom_type == "MultiPolygon" else shapely.MultiPolygon([merged])
    kind = draw.choice(["point", "linestring", "multipolygon", "collection"])
    if kind == "collection":
        return shapely.GeometryCollection([_shape(draw, "point"), _shape(draw, "linestring")])
    return _shape(draw, kind)


def _row(draw: random.Random, fid: int, geometry: str) -> Row:
    text = [None, "", "a", "A", "ab", "a%b", "a_b", "a\\b", "Straße", "STRASSE", "ÀÉ", "ae", "聊城", "聊城市", "o'x"]
    dates = [None, date(1, 1, 1), date(9999, 12, 31), *(date(2020, 1, d) for d in range(1, 20))]
    starts = [-math.inf, datetime(2020, 1, 3, tzinfo=UTC), datetime(2020, 1, 5, 16, tzinfo=UTC)]
    ends = [math.inf, datetime(2020, 1, 7, tzinfo=UTC), datetime(2020, 1, 8, 16, tzinfo=UTC)]
    whole = [None, 0, 1, -1, 2, 3, 7, 10, 2**53 + 1, 2**63 - 1, -(2**63)]
    broken = [None, 0.0, 1.0, -1.0, 0.5, 2.5, -7.5, 0.1, 1e200, -1e200, 1e-200, 5e-324, 1.7e308]
    return {
        "code": f"C{fid:03d}",
        "name": draw.choice(text),
        "other": draw.choice(text),
        "n": draw.choice(whole),
        "m": draw.choice(whole),
        "x": draw.choice(broken),
        "y": draw.choice(broken),
        "ok": draw.choice([None, True, False]),
        "open": draw.choice([None, True, False]),
        "built": draw.choice(dates),
        "razed": draw.choice(dates),
        "seen": _instant(draw),
        "checked": _instant(draw),
        "secret": "hush",
        "silent": "still",
        "valid_from": draw.choice(starts),
        "valid_to": draw.choice(ends),
        "geom": None if geometry == "none" or draw.random() < 0.05 else _shape(draw, geometry),
    }


@pytest.fixture(scope="module")
def asker(urls: Urls) -> Iterator[Asker]:
    """120 rows a layer, always the same."""
    rows: dict[str, dict[int, Row]] = {}
    conn = psycopg2.connect(urls.owner)
    sync(conn, {layer.id: layer.spec for layer in LAYERS.values()}, {})
    with conn, conn.cursor() as cur:
        for geometry, layer in LAYERS.items():
            draw = random.Random(geometry)
            rows[geometry] = {fid: _row(draw, fid, geometry) for fid in range(1, 121)}
            for fid, row in rows[geometry].items():
                columns = {k: _INFINITE.get(v, v) if isinstance(v, float) else v for k, v in row.items() if k != "geom"}
                names = ", ".join(f'"{c}"' for c in columns)
                marks = ", ".join(["%s"] * len(columns))
                values: list[object] = [fid, *columns.values()]
                if geometry != "none":
                    names, marks = f"{names}, geom", f"{marks}, ST_GeomFromWKB(%s, 4490)"
                    values.append(None if row["geom"] is None else shapely.to_wkb(row["geom"]))
                cur.execute(f"INSERT INTO {layer.table} (fid, {names}) VALUES (%s, {marks})", values)
    conn.close()
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(urls.reader))
    yield Asker(loop, connection, rows)
    loop.run_until_complete(connection.close())
    loop.close()
