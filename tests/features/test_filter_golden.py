# SPDX-License-Identifier: Apache-2.0
"""The SQL of each clause, kept as files beside this one; GEOCLOUD_UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from geocloud.features.binder import Binder
from geocloud.features.cql2 import compile_filter
from geocloud.features.params import parse_bbox, parse_datetime, parse_simple_filters
from geocloud.geodesy.crs import crs
from geocloud.settings import WebSettings
from tests.features.conftest import LAYERS, Asker

_GOLDEN = Path(__file__).parent / "golden"
_FILTERS: dict[str, tuple[str, str]] = {
    "logic": ("none", "ok AND NOT open OR n = 1 AND TRUE"),
    "integer": ("none", "n = 3 AND n < 3.5 AND n > 99999999999999999999 AND n <> m"),
    "number": ("none", "x >= 3 AND y < 2.5 AND x = n AND 1 = 1.0"),
    "text": ("none", "name = 'o''x' AND name < other"),
    "boolean": ("none", "ok = TRUE AND ok <> open AND (n = 1) = (m = 1)"),
    "null": ("point", "name IS NULL AND x + 1 IS NOT NULL AND geom IS NULL AND valid_to IS NULL"),
    "between": ("none", "n BETWEEN 1 AND 9 AND built NOT BETWEEN DATE('2020-01-01') AND DATE('2020-01-31')"),
    "in": ("none", "name IN ('a', 'b') AND n NOT IN (1, 2.5) AND x IN (1) AND n + 1 IN (m, 2) AND ok IN (TRUE)"),
    "like": ("none", r"name LIKE 'a\%b_%' AND CASEI(name) NOT LIKE CASEI('Straße%')"),
    "casei_accenti": ("none", "CASEI(ACCENTI(name)) = CASEI(ACCENTI('Éa'))"),
    "arithmetic": ("none", "-n + 1 - 2 * x / 3 ^ 2 = 7 % 4 div 2"),
    "date": ("none", "built = DATE('2020-01-03') AND built < razed AND built > DATE('9999-12-31')"),
    "timestamp": ("none", "seen >= TIMESTAMP('2020-01-03T00:00:00Z') AND valid_from <= seen"),
    "date_against_timestamp": (
        "none",
        "seen = DATE('2020-01-03') AND seen <= DATE('2020-01-03') AND built = TIMESTAMP('2020-01-02T16:00:00Z')"
        " AND built < seen",
    ),
    "instants": ("none", "T_AFTER(seen, TIMESTAMP('2020-01-03T00:00:00Z')) AND T_DISJOINT(built, razed)"),
    "intervals": (
        "none",
        "T_DURING(INTERVAL(built, razed), INTERVAL('2020-01-01', '..'))"
        " AND T_INTERSECTS(INTERVAL(valid_from, valid_to), INTERVAL('2020-01-01', '2020-12-31'))",
    ),
    "point_in_box": ("point", "S_INTERSECTS(geom, BBOX(116, 36, 117, 37)) AND S_DISJOINT(geom, BBOX(179, 0, -179, 1))"),
    "area_in_box": ("multipolygon", "S_INTERSECTS(geometry, BBOX(116, 36, 117, 37))"),
    "relations": (
        "multipolygon",
        "S_WITHIN(geom, POLYGON((116 36, 117 36, 117 37, 116 36))) OR S_CONTAINS(POINT(116 36), geom) "
        "OR S_TOUCHES(geom, LINESTRING(116 36, 117 37)) OR S_EQUALS(geom, geom) OR S_OVERLAPS(geom, BBOX(1, 2, 3, 4))",
    ),
    "any_geometry": ("geometry", "S_CROSSES(geom, LINESTRING(116 36, 117 37)) AND S_DISJOINT(geom, POINT(116 36))"),
}


def _compiled(name: str) -> Callable[[Binder], str]:
    geometry, text = _FILTERS[name]
    return lambda binder: compile_filter(binder, text, "cql2-text", LAYERS[geometry], None, WebSettings())


_CLAUSES: dict[str, tuple[str, str, Callable[[Binder], str]]] = {
    **{f"filter_{n}": (g, t, _compiled(n)) for n, (g, t) in _FILTERS.items()},
    "bbox_point": ("point", "bbox=116,36,117,37", lambda b: parse_bbox(b, "116,36,117,37", LAYERS["point"])),
    "bbox_area": (
        "multipolygon", "bbox=36,116,37,117&bbox-crs=EPSG:4490",
        lambda b: parse_bbox(b, "36,116,37,117", LAYERS["multipolygon"], crs(4490)),
    ),
    "bbox_antimeridian": ("point", "bbox=170,-10,-170,10", lambda b: parse_bbox(b, "170,-10,-170,10", LAYERS["point"])),
    "datetime_instant": ("none", "datetime=2020-01-03T00:00:00Z", lambda b: parse_datetime(b, "2020-01-03T00:00:00Z")),
    "datetime_day": ("none", "datetime=2020-01-03", lambda b: parse_datetime(b, "2020-01-03")),
    "datetime_open": ("none", "datetime=../2020-01-03", lambda b: parse_datetime(b, "../2020-01-03")),
    "properties": (
        "none", "name=a&n=1&x=2.5&ok=true&built=2020-01-03&seen=2020-01-03",
        lambda b: " AND ".join(
            parse_simple_filters(
                b,
                parse_qsl("name=a&n=1&x=2.5&ok=true&built=2020-01-03&seen=2020-01-03"),
                LAYERS["none"],
            )
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(_CLAUSES))
def test_sql_of_a_clause(asker: Asker, name: str) -> None:
    geometry, text, build = _CLAUSES[name]
    binder = Binder()
    sql = build(binder)
    asker.fids(LAYERS[geometry], sql, binder.args)
    shown = [a.hex() if isinstance(a, bytes) else repr(a) for a in binder.args]
    lines = [f"-- {text}", sql, *(f"-- ${i} = {a}" for i, a in enumerate(shown, 1))]
    document = "\n".join(lines) + "\n"
    path = _GOLDEN / f"{name}.sql"
    if os.environ.get("GEOCLOUD_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(document, "utf-8")
    assert path.read_text("utf-8") == document


def test_no_snapshot_is_left_over() -> None:
    assert {p.stem for p in _GOLDEN.glob("*.sql")} == set(_CLAUSES)


@pytest.mark.parametrize(
    ("geometry", "text", "index"),
    [
        ("point", "S_INTERSECTS(geom, BBOX(116, 36, 116.1, 36.1))", "point geom"),
        ("multipolygon", "S_INTERSECTS(geom, BBOX(116, 36, 116.1, 36.1))", "multipolygon geom"),
        ("multipolygon", "S_WITHIN(geom, POLYGON((116 36, 117 36, 117 37, 116 36)))", "multipolygon geom"),
        ("geometry", "S_CROSSES(geom, LINESTRING(116 36, 117 37))", "geometry geom"),
        ("none", "code = 'C001'", "none key"),
        ("none", "code IN ('C001', 'C002')", "none key"),
    ],
)
def test_indexes_serve(asker: Asker, geometry: str, text: str, index: str) -> None:
    binder = Binder()
    sql = compile_filter(binder, text, "cql2-text", LAYERS[geometry], None, WebSettings())

    async def plan() -> str:
        async with asker.connection.transaction():
            await asker.connection.execute("SET LOCAL enable_seqscan = off")
            rows = await asker.connection.fetch(
                f"EXPLAIN SELECT fid FROM {LAYERS[geometry].table} WHERE {sql}", *binder.args
            )
        return "\n".join(r[0] for r in rows)

    assert f'"{index}"' in asker.loop.run_until_complete(plan())
