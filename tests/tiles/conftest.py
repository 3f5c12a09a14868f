# SPDX-License-Identifier: Apache-2.0
"""Three layers, one of each way tiles show low zooms, with rows whose places the tests know."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.cluster import Urls

SITE, LAND, WAY = "town.site", "town.land", "town.way"


def _both(text: str) -> dict[str, str]:
    return {"zh": f"{text}(中文)", "en": text}


def _spec(layer: str, geometry: str, tiles: dict[str, Any]) -> LayerSpec:
    field = [{"name": "code", "title": _both("Code")}, {"name": "kind", "title": _both("Kind")}]
    return LayerSpec.model_validate(
        {"id": layer, "title": _both(layer), "description": _both(layer), "geometry": geometry, "key": ["code"],
         "fields": field, "tiles": tiles, "style": {"color_by": "kind"}}
    )  # fmt: skip


SPECS = {
    SITE: _spec(SITE, "point", {"min_zoom": 5, "max_zoom": 13, "overview": "cluster", "overview_below": 11,
                                "bands": [{"zoom": 11, "fields": ["code", "kind"]}]}),
    LAND: _spec(LAND, "multipolygon", {"min_zoom": 6, "max_zoom": 12, "overview": "cover", "overview_below": 10,
                                       "bands": [{"zoom": 6, "fields": ["kind"]}]}),
    WAY: _spec(WAY, "linestring", {"min_zoom": 8, "max_zoom": 13, "bands": [{"zoom": 8, "fields": ["code"]}]}),
}  # fmt: skip


@dataclass
class Town:
    """A database with the three layers; `run` writes to it as the owner."""

    urls: Urls

    def run(self, *statements: str) -> None:
        """All statements in one transaction."""
        conn = psycopg2.connect(self.urls.owner)
        with conn, conn.cursor() as cur:
            for statement in statements:
                cur.execute(statement)
        conn.close()


@pytest.fixture
def town(fresh_urls: Urls) -> Iterator[Town]:
    """1,500 sites, 200 plots of land, 60 ways, the last a diagonal through it all."""
    conn = psycopg2.connect(fresh_urls.owner)
    sync(conn, SPECS, {})
    draw = random.Random(20261122)

    def place() -> tuple[float, float]:
        return round(draw.gauss(115.98, 0.05), 6), round(draw.gauss(36.45, 0.05), 6)

    with conn, conn.cursor() as cur:
        for i in range(1_500):
            cur.execute(
                "INSERT INTO town.site (code, kind, geom) VALUES (%s, %s, ST_SetSRID(ST_Point(%s, %s), 4490))",
                (f"S{i}", draw.choice("abc"), *place()),
            )
        for i in range(200):
            x, y = place()
            side = draw.choice([0.0002, 0.002, 0.01])
            cur.execute(
                "INSERT INTO town.land (code, kind, geom) "
                "VALUES (%s, %s, ST_Multi(ST_MakeEnvelope(%s, %s, %s, %s, 4490)))",
                (f"L{i}", draw.choice("xy"), x, y, x + side, y + side),
            )
        for i in range(60):
            (x, y), (u, v) = (place(), place()) if i else ((115.7, 36.2), (116.3, 36.7))
            cur.execute(
                "INSERT INTO town.way (code, kind, geom) VALUES "
                "(%s, 'w', ST_SetSRID(ST_MakeLine(ST_Point(%s, %s), ST_Point(%s, %s)), 4490))",
                (f"W{i}", x, y, u, v),
            )
    conn.close()
    yield Town(fresh_urls)
