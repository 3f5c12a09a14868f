# SPDX-License-Identifier: Apache-2.0
"""The demo's small city in a database of the module, with its real definitions of layers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.cluster import Urls
from geocloud.demo import loading
from geocloud.overlay.keep import Outcome, bring_up_to_date
from geocloud.sectors.registry import definitions
from geocloud.settings import CitySettings

LAYERS = ("base.county", "base.township", "base.village", "base.poi", "base.road", "base.parcel", "grid.unit_grid",
          "facility.component")  # fmt: skip
THINGS = "test.thing"
_NUMBER = itertools.count(1)


@pytest.fixture(scope="module")
def small(urls: Urls) -> Iterator[Urls]:
    """The small city's zones, points, lines and polygons, not stamped."""
    layers, codes = definitions(CitySettings())
    conn = psycopg2.connect(urls.owner)
    sync(conn, {i: x for i, x in layers.items() if i in LAYERS}, codes)
    conn.close()
    loading.load(urls.owner, "small", layers=LAYERS)
    yield urls


@pytest.fixture(scope="module")
def blocks(urls: Urls) -> Iterator[Blocks]:
    """Four townships as squares around 116.0, 36.5, one county around them, one township that is only a point."""
    yield Blocks(urls)


class Blocks:
    """A layer of things of any shape among few zones, written as psql would."""

    def __init__(self, urls: Urls) -> None:
        self.urls = urls
        layers, codes = definitions(CitySettings())
        chosen = {i: layers[i] for i in ("base.county", "base.township", "base.village")} | {THINGS: things()}
        conn = psycopg2.connect(urls.owner)
        sync(conn, chosen, codes)
        conn.close()
        self.run(
            "INSERT INTO base.county (code, name, geom) VALUES ('371599', 'C', ST_Multi(" + _box(0, 0, 2, 2) + "))"
        )
        for n, (x, y) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
            box = _box(x, y, x + 1, y + 1)
            self.run(f"INSERT INTO base.township (code, name, geom) VALUES ('37159900{n}', 'T{n}', {box})")
        self.run("INSERT INTO base.township (code, name, geom) VALUES ('371599009', 'P', ST_Point(115.5, 36.5, 4490))")

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        conn = psycopg2.connect(self.urls.owner)
        try:
            with conn, conn.cursor() as cur:
                cur.execute(sql, values)
                return cur.fetchall() if cur.description else []
        finally:
            conn.close()

    def township(self, number: int) -> int:
        return int(self.run("SELECT fid FROM base.township WHERE code = %s", f"37159900{number}")[0][0])

    def add(self, wkt: str | None) -> int:
        code = f"X{next(_NUMBER)}"
        sql = f"INSERT INTO {THINGS} (code, geom) VALUES (%s, ST_GeomFromText(%s, 4490)) RETURNING fid"
        return int(self.run(sql, code, wkt)[0][0])

    def stamp(self, fid: int) -> dict[str, int | None] | None:
        names = ("county", "township", "village", "h3_8", "h3_10", "beidou")
        rows = self.run(f'SELECT {", ".join(names)} FROM stamps."{THINGS}" WHERE fid = %s', fid)
        return dict(zip(names, rows[0], strict=True)) if rows else None

    def current(self, layer: str = THINGS) -> bool:
        return bool(self.run("SELECT bool_and(current) FROM geocloud.stamp_status WHERE layer = %s", layer)[0][0])

    def update(self, layer: str = THINGS) -> Outcome:
        conn = psycopg2.connect(self.urls.writer)
        try:
            return bring_up_to_date(conn, layer)
        finally:
            conn.close()


def _box(x0: float, y0: float, x1: float, y1: float) -> str:
    """SQL of a box of hundredths of a degree from 116, 36.5."""
    return f"ST_MakeEnvelope({116 + x0 / 100}, {36.5 + y0 / 100}, {116 + x1 / 100}, {36.5 + y1 / 100}, 4490)"


def things() -> LayerSpec:
    title = {"zh": "物", "en": "Things"}
    fields = [{"name": "code", "title": title, "required": True}, {"name": "note", "title": title}]
    return LayerSpec.model_validate(
        {"id": THINGS, "title": title, "description": title, "geometry": "geometry", "key": ["code"], "fields": fields,
         "access": {"edit": True}}
    )  # fmt: skip
