# SPDX-License-Identifier: Apache-2.0
"""Two small plans of the tests, and the matrix that compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2
import shapely

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import LayerSpec, read_layers
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.planning.matrix import Matrix
from geocloud.settings import Settings

A, B = "test.plan_a", "test.plan_b"
# Metres to degrees where the plans lie.
EAST, NORTH = 1 / 89_500, 1 / 110_970


def _both(text: str) -> dict[str, str]:
    return {"zh": text, "en": text}


def specs() -> dict[str, LayerSpec]:
    found = {}
    for layer in (A, B):
        fields = [
            {"name": "bsm", "title": _both("Code"), "required": True},
            {"name": "dldm", "title": _both("Class")},
        ]
        found[layer] = LayerSpec.model_validate(
            {"id": layer, "title": _both(layer), "description": _both("Plan of the tests"), "geometry": "multipolygon",
             "key": ["bsm"], "fields": fields}
        )  # fmt: skip
    return found


def publish(urls: Urls) -> None:
    """The two plans, difference spots and counties, all empty."""
    layers, codes = read_layers(Settings().city.layers_folder)
    wanted = {i: layers[i] for i in ("planning.difference_spot", "base.county")}
    needed = {f.codes for s in wanted.values() for f in s.fields if f.codes}
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, specs() | wanted, {k: v for k, v in codes.items() if k in needed})


def matrix(**changed: Any) -> Matrix:
    legal = {"text": _both("x"), "source": _both("made for the tests"), "example": True}
    rule = {
        "number": "T1", "title": _both("Built against open"), "kind": "2", "bureau": "planning", "legal": legal,
        "a": {"layer": A, "class_field": "dldm", "filter": "dldm = 'built'"},
        "b": {"layer": B, "class_field": "dldm", "filter": "dldm = 'open'"},
    }  # fmt: skip
    return Matrix.model_validate(
        {"name": "trial", "version": "1", "title": _both("Trial"), "tolerance_m": 1.0, "tolerance_source": _both("t"),
         "least_m2": 1.0, "least_source": _both("t"), "days": 30, "rules": [rule | changed]}
    )  # fmt: skip


def box(west: float, south: float, east: float, north: float) -> Any:
    """A rectangle in metres from a place in the city."""
    return shapely.box(116 + west * EAST, 36.4 + south * NORTH, 116 + east * EAST, 36.4 + north * NORTH)


def put(urls: Urls, layer: str, rows: Mapping[str, tuple[str, Any]]) -> None:
    """Makes a plan hold exactly these features; what stays as it is is not touched."""
    conn = psycopg2.connect(urls.writer)
    with conn, conn.cursor() as cur:
        cur.execute(f"DELETE FROM {layer} WHERE bsm <> ALL(%s)", (list(rows),))
        for key, (code, shape) in rows.items():
            whole = shape if shape.geom_type == "MultiPolygon" else shapely.multipolygons([shape])
            cur.execute(
                f"INSERT INTO {layer} (bsm, dldm, geom) VALUES (%s, %s, ST_GeomFromWKB(%s, 4490)) "
                "ON CONFLICT (bsm) DO UPDATE SET dldm = excluded.dldm, geom = excluded.geom "
                f"WHERE ({layer}.dldm, {layer}.geom::bytea) IS DISTINCT FROM (excluded.dldm, excluded.geom::bytea)",
                (key, code, shapely.to_wkb(whole)),
            )
    conn.close()


def spots(urls: Urls, columns: Sequence[str] = ("bsm", "zt", "fsm")) -> list[tuple[Any, ...]]:
    conn = psycopg2.connect(urls.reader)
    with conn, conn.cursor() as cur:
        cur.execute(f"SELECT {', '.join(columns)} FROM planning.difference_spot ORDER BY fid")
        rows = cur.fetchall()
    conn.close()
    return rows
