# SPDX-License-Identifier: Apache-2.0
"""A small city with points by class, roads, and zones that come and go, for the tests of the map's tools."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import CodeList, LayerSpec
from geocloud.db.cluster import Urls
from tests.web.conftest import run_server

__all__ = ["CENTRE", "COLOURS", "SITE", "STREET", "ZONE", "City", "serve_city"]

SITE, STREET, ZONE = "test.site", "test.street", "test.zone"
CENTRE = (116.0, 36.5)
COLOURS = {"lamp": "#d55e00", "tree": "#009e73", "bin": "#0072b2"}
# From when to when a zone is so; None: always.
TIMES = {
    "old": ("2020-03-01", "2024-05-01"),
    "new": ("2024-05-01", None),
    "plan": ("2030-06-01", None),
    "always": (None, None),
}


def _both(zh: str, en: str) -> dict[str, str]:
    return {"zh": zh, "en": en}


def _specs() -> dict[str, LayerSpec]:
    def spec(layer: str, zh: str, en: str, geometry: str, style: dict[str, Any], fields: list[dict[str, Any]]) -> Any:
        named = [{"name": "code", "title": _both("编码", "Code")}, *fields]
        return LayerSpec.model_validate({
            "id": layer, "title": _both(zh, en), "description": _both(zh, en), "geometry": geometry, "key": ["code"],
            "fields": named, "style": {"visible": True, **style},
            "tiles": {"bands": [{"zoom": 0, "fields": [f["name"] for f in named]}]},
        })  # fmt: skip

    kind = {"name": "kind", "title": _both("类别", "Kind"), "codes": "site_kind"}
    classes = [{"codes": [code], "color": colour} for code, colour in COLOURS.items()]
    site = spec(SITE, "设施点", "Sites", "point", {"color_by": "kind", "classes": classes}, [kind])
    street = spec(STREET, "街道", "Streets", "linestring", {"color": "#cc79a7"}, [])
    zone = spec(ZONE, "区块", "Zones", "multipolygon", {"color": "#e69f00", "label": "code"}, [])
    return {s.id: s for s in (site, street, zone)}


_KINDS = CodeList.model_validate({
    "name": "site_kind", "title": _both("类别", "Kinds"), "source": "made for the tests",
    "codes": [{"code": c, "title": _both(zh, c)} for c, zh in zip(COLOURS, ("路灯", "树", "垃圾箱"), strict=True)],
})  # fmt: skip


class City:
    """The rows, and a running server over them."""

    def __init__(self, urls: Urls) -> None:
        self.urls = urls
        self.base = ""

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query, by the owner."""
        with psycopg2.connect(self.urls.owner) as conn, conn.cursor() as cur:
            cur.execute(sql)
            return cur.fetchall()


def serve_city(urls: Urls, home: Path) -> Iterator[City]:
    """Fills a database and runs a server over it."""
    draw = random.Random(7)
    conn = psycopg2.connect(urls.owner)
    sync(conn, _specs(), {"site_kind": _KINDS})
    with conn, conn.cursor() as cur:
        for i in range(600):
            kind = draw.choice(["lamp", "lamp", "tree"]) if i % 50 else "bin"
            place = (CENTRE[0] + draw.uniform(-0.05, 0.05), CENTRE[1] + draw.uniform(-0.04, 0.04))
            cur.execute(
                "INSERT INTO test.site (code, kind, geom) VALUES (%s, %s, ST_SetSRID(ST_Point(%s, %s), 4490))",
                (f"S{i:04d}", kind, *place),
            )
        for i in range(9):
            y = CENTRE[1] - 0.04 + i * 0.01
            line = f"LINESTRING({CENTRE[0] - 0.05} {y}, {CENTRE[0] + 0.05} {y + 0.003})"
            cur.execute("INSERT INTO test.street (code, geom) VALUES (%s, ST_GeomFromText(%s, 4490))", (f"R{i}", line))
        cur.execute("SET LOCAL geocloud.change = 'correction'")
        for i, (code, (begin, end)) in enumerate(TIMES.items()):
            west = CENTRE[0] - 0.04 + i * 0.02
            cur.execute(
                "INSERT INTO test.zone (code, valid_from, valid_to, geom) VALUES (%s, %s::timestamptz, "
                "%s::timestamptz, ST_Multi(ST_MakeEnvelope(%s, %s, %s, %s, 4490)))",
                (code, f"{begin}T00:00:00+08" if begin else "-infinity", f"{end}T00:00:00+08" if end else "infinity",
                 west, CENTRE[1] - 0.01, west + 0.015, CENTRE[1] + 0.01),
            )  # fmt: skip
    conn.close()
    city = City(urls)
    for base in run_server(urls.reader, home):
        city.base = base
        yield city
