# SPDX-License-Identifier: Apache-2.0
"""A server over layers of every kind of geometry and zones of every kind, whose rows the tests know."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import httpx
import psycopg2
import pytest
import shapely
from shapely import LineString, MultiPoint, Point, Polygon

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.cluster import Urls
from tests.web.conftest import run_server

DOT, LINE, LAND, MANY, MIXED = "test.dot", "test.line", "test.land", "test.many", "test.mixed"
ZONE, OVERLAP, PAST, TABLE = "test.zone", "test.overlap", "test.past", "test.table"
# In the order of their ids. Zone 4 has a hole that no other zone fills; between 3 and the others is open ground.
ZONES = {
    "A": Polygon([(116.0, 36.0), (116.1, 36.0), (116.1, 36.1), (116.0, 36.1)]),
    "B": Polygon([(116.1, 36.0), (116.2, 36.0), (116.2, 36.1), (116.1, 36.1)]),
    "C": Polygon([(116.25, 36.0), (116.3, 36.0), (116.28, 36.1), (116.25, 36.1)]),
    "D": Polygon(
        [(116.0, 36.1), (116.2, 36.1), (116.2, 36.2), (116.0, 36.2)],
        [[(116.05, 36.13), (116.15, 36.13), (116.15, 36.17), (116.05, 36.17)]],
    ),
    "empty": Polygon([(116.4, 36.4), (116.45, 36.4), (116.45, 36.45), (116.4, 36.45)]),
}
LAPPING = {
    "left": Polygon([(116.0, 36.0), (116.15, 36.0), (116.15, 36.2), (116.0, 36.2)]),
    "right": Polygon([(116.1, 36.0), (116.3, 36.0), (116.3, 36.2), (116.1, 36.2)]),
}


def spec(layer_id: str, geometry: str, key: str = "code") -> LayerSpec:
    def both(text: str) -> dict[str, str]:
        return {"zh": f"{text}(中文)", "en": text}

    fields: list[dict[str, Any]] = [
        {"name": key, "title": both("Code"), "required": True},
        {"name": "name", "title": both("Name")},
        {"name": "value", "type": "number", "title": both("Value")},
        {"name": "year", "type": "integer", "title": both("Year")},
        {"name": "secret", "type": "number", "title": both("Secret"), "hidden": True},
    ]
    return LayerSpec.model_validate(
        {"id": layer_id, "title": both(layer_id), "description": both(layer_id), "geometry": geometry, "key": [key],
         "fields": fields}
    )  # fmt: skip


@dataclass
class City:
    """What is in the database, as frames by layer; `code` is the key, the index the fid."""

    urls: Urls
    frames: dict[str, gpd.GeoDataFrame] = field(default_factory=dict)

    def run(self, sql: str, *args: object) -> None:
        conn = psycopg2.connect(self.urls.owner)
        with conn, conn.cursor() as cur:
            cur.execute(sql, args)
        conn.close()

    def fill(self, layer: str, shapes: dict[str, Any], values: dict[str, float | None] | None = None) -> None:
        conn = psycopg2.connect(self.urls.owner)
        rows = []
        with conn, conn.cursor() as cur:
            for fid, (code, shape) in enumerate(shapes.items(), 1):
                value, year = (values or {}).get(code), 1990 + fid % 30
                wkt = None if shape is None else shapely.to_wkt(shape, rounding_precision=-1)
                cur.execute(
                    f"INSERT INTO {layer} (fid, code, name, value, year, geom) "
                    "VALUES (%s, %s, %s, %s, %s, ST_GeomFromText(%s, 4490))",
                    (fid, code, f"{code} name", value, year, wkt),
                )
                rows.append({"fid": fid, "code": code, "value": value, "year": year, "geometry": shape})
        conn.close()
        self.frames[layer] = gpd.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4490").set_index("fid")


def dots(draw: random.Random, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        # Corners and borders: of A and B, of A, B and D, of D's hole, of C alone; one nowhere, one without a place.
        "on-ab": Point(116.1, 36.05), "corner": Point(116.1, 36.1), "hole-edge": Point(116.05, 36.15),
        "in-hole": Point(116.1, 36.15), "c-edge": Point(116.25, 36.05), "far": Point(115.2, 35.2), "none": None,
    }  # fmt: skip
    for n in range(count):
        found[f"p{n}"] = Point(round(draw.uniform(115.95, 116.35), 6), round(draw.uniform(35.95, 36.25), 6))
    return found


def _line(draw: random.Random) -> LineString:
    x, y = draw.uniform(115.95, 116.3), draw.uniform(35.95, 36.2)
    return LineString([(x, y), (x + draw.uniform(-0.1, 0.1), y + 0.07)])


def _disc(draw: random.Random) -> Polygon:
    return Point(draw.uniform(115.98, 116.32), draw.uniform(35.98, 36.22)).buffer(
        draw.uniform(0.002, 0.03), quad_segs=4
    )


@pytest.fixture(scope="package")
def city(cluster: Any) -> Iterator[City]:
    from tests.conftest import _fresh, _urls_of

    for name in _fresh(cluster):
        yield made(_urls_of(cluster, name))


def made(urls: Urls) -> City:
    """The layers and their rows."""
    kinds = {
        DOT: "point", LINE: "linestring", LAND: "multipolygon", MANY: "multipoint", MIXED: "geometry",
        ZONE: "multipolygon", OVERLAP: "polygon", PAST: "geometry", TABLE: "none",
    }  # fmt: skip
    conn = psycopg2.connect(urls.owner)
    sync(conn, {i: spec(i, kind) for i, kind in kinds.items()}, {})
    conn.close()
    city, draw = City(urls), random.Random(20261129)
    points = dots(draw, 1_500)
    city.fill(DOT, points, {c: draw.choice([None, round(draw.uniform(-5, 90), 2)]) for c in points})
    lines = {f"l{n}": _line(draw) for n in range(120)} | {
        "border": LineString([(116.1, 36.02), (116.1, 36.08)]),
        "bent": LineString([(116.1, 36.02), (116.1, 36.05), (116.15, 36.05)]),
    }
    city.fill(LINE, lines, {c: draw.uniform(0, 9) for c in lines})
    land = {f"a{n}": shapely.multipolygons([_disc(draw)]) for n in range(150)}
    ring = Point(116.1, 36.15).buffer(0.06).difference(Point(116.1, 36.15).buffer(0.04))
    land |= {"ring": shapely.multipolygons([ring]), "unset": None}
    city.fill(LAND, land, {c: draw.choice([None, draw.uniform(1, 100)]) for c in land})
    many = {"m0": MultiPoint([(116.05, 36.05), (116.15, 36.05), (116.15, 36.06), (115.0, 36.0)])}
    city.fill(MANY, many, {"m0": 8.0})
    city.fill(MIXED, {"p": Point(116.05, 36.05), "l": lines["l3"], "a": land["a3"]}, {"p": 1.0, "l": 2.0, "a": 3.0})
    city.fill(ZONE, {k: shapely.multipolygons([v]) for k, v in ZONES.items()})
    city.fill(OVERLAP, LAPPING, {"left": 3.0, "right": 5.0})
    city.fill(PAST, {"seat": Point(116.0, 36.0), "west": LAPPING["left"]})
    return city


@pytest.fixture(scope="package")
def server(city: City, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from run_server(city.urls.reader, tmp_path_factory.mktemp("home"), "", city.urls.jobs)


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    headers = {"accept-language": "en", "accept-encoding": "identity"}
    with httpx.Client(base_url=server, headers=headers, timeout=60) as found:
        yield found
