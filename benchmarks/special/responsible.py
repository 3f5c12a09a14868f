# SPDX-License-Identifier: Apache-2.0
"""Who is responsible at a point and at an address: asked of a running server, answers held against plain SQL."""

from __future__ import annotations

import time
from statistics import median
from urllib.parse import quote

import orjson
import psycopg2

from benchmarks.process import get
from benchmarks.report import Finding
from benchmarks.special.base import Context, queued, special
from geocloud.db.cluster import Urls

__all__ = ["asked", "measured"]

POINT_MS = 50.0
_POINTS, _ADDRESSES = 200, 60


@special("responsible", "who is responsible at a point, at an address")
def asked(context: Context) -> list[Finding]:
    """One request after another; the grids of each point are those that SQL finds."""
    urls = context.ground.urls
    asks = [{"point": {"type": "Point", "coordinates": [x, y]}} for x, y in _points(urls)]
    found = measured(urls, context.endpoints["geocloud"].server.port)
    return [*found, queued(context, "responsible-at", asks, POINT_MS)]


def _points(urls: Urls) -> list[tuple[float, float]]:
    with psycopg2.connect(urls.reader) as conn, conn.cursor() as cur:
        cur.execute(
            "SELECT ST_X(p), ST_Y(p) FROM (SELECT (ST_Dump(ST_GeneratePoints(ST_Union(geom), %s, 39409))).geom AS p "
            "FROM grid.unit_grid) s", (_POINTS,),
        )  # fmt: skip
        return [(float(x), float(y)) for x, y in cur.fetchall()]


def measured(urls: Urls, port: int) -> list[Finding]:
    """Medians of points within the grids, drawn by the seed, and of whole names."""
    points = _points(urls)
    with psycopg2.connect(urls.reader) as conn, conn.cursor() as cur:
        cur.execute(
            "SELECT DISTINCT name FROM base.village WHERE name IS NOT NULL ORDER BY name LIMIT %s", (_ADDRESSES,)
        )
        names = [r[0] for r in cur.fetchall()]
        found = []
        for title, targets, most in (
            ("at a point", [f"/responsible?lon={x:.7f}&lat={y:.7f}" for x, y in points], POINT_MS),
            ("at a name", [f"/responsible?q={quote(n)}" for n in names], None),
        ):
            took = []
            for target in [targets[0], *targets]:
                begun = time.perf_counter()
                answer = get(port, target)
                took.append((time.perf_counter() - begun) * 1e3)
                if answer.status != 200:
                    raise RuntimeError(f"{target}: {answer.status}")
                _hold(cur, orjson.loads(answer.body))
            value = median(took[1:])
            target_text = f"< {most:g}" if most else ""
            met = value < most if most else None
            detail = f"{len(targets)} asked one after another, slowest {max(took[1:]):.1f} ms"
            found.append(Finding("who is responsible", title, value, "ms", target_text, met, detail))
    return found


def _hold(cur: psycopg2.extensions.cursor, document: dict[str, object]) -> None:
    """RuntimeError where a department's grids are not those that hold the point."""
    for department in document["departments"]:  # type: ignore[attr-defined]
        theme, name = department["layer"].split(".")
        cur.execute(
            f'SELECT fid FROM "{theme}"."{name}" WHERE ST_Intersects(geom, ST_SetSRID(ST_Point(%s, %s), 4490))',
            (document["lon"], document["lat"]),
        )
        expected = {r[0] for r in cur.fetchall()}
        told = {g["fid"] for g in department["grids"]}
        if not told <= expected or (expected and not told):
            raise RuntimeError(f"{department['layer']} at {document['lon']}, {document['lat']}: {told} for {expected}")
