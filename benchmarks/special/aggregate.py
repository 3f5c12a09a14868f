# SPDX-License-Identifier: Apache-2.0
"""A million points added up by townships, by H3 cells, by 5,000 polygons, and asked again; equal to geopandas first.

On a scratch cluster: made-up points, 135 townships and 5,000 polygons, each a partition of the city's box with borders
of many corners. A *first* question is one of a worker that holds none of the points.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import geopandas as gpd
import h3
import numpy as np
import pandas as pd
import psycopg2
import shapely

from benchmarks.ground import MEMORY_MB
from benchmarks.process import Server, free_port, get
from benchmarks.report import Finding
from benchmarks.special.base import Context, special
from geocloud.catalogue.publish import read_catalogue, sync
from geocloud.catalogue.registry import Catalogue
from geocloud.catalogue.spec import LayerSpec, read_layers
from geocloud.db.cluster import Urls, session
from geocloud.db.migrate import migrate
from geocloud.db.pool import connect
from geocloud.db.reader import Reader
from geocloud.features.request import read_question
from geocloud.features.tokens import Tokens
from geocloud.grids.columns import PointColumns
from geocloud.overlay.aggregate import Asked, Overlay, Result
from geocloud.overlay.by import read_by
from geocloud.overlay.keep import bring_up_to_date
from geocloud.overlay.measures import read_measures
from geocloud.overlay.pieces import Pieces
from geocloud.settings import CitySettings, DatabaseSettings, WebSettings

__all__ = ["added_up", "measured"]

POINT, ZONE, TOWNSHIP = "bench.point", "bench.zone", "base.township"
_WEST, _SOUTH, _EAST, _NORTH = 115.3, 35.8, 116.5, 37.0
_TOWNSHIPS, _SEED = 135, 20261129
# By size: points, polygons.
_SCALES = {"small": (20_000, 200), "city": (1_000_000, 5_000), "province": (1_000_000, 5_000)}
TARGETS = {"township": 0.150, "h3:8": 0.300, "zone": 3.0, "again": 0.005}


@special("aggregate", "1,000,000 points added up by areas")
def added_up(context: Context) -> list[Finding]:
    """Each figure is held against geopandas before it is timed."""
    points, zones = _SCALES[context.ground.size]
    return measured(context.folder / "aggregate", points, zones, max(1, context.rounds), context.say)


def measured(folder: Path, points: int, zones: int, rounds: int, say: Callable[[str], None]) -> list[Finding]:
    """The findings, on a scratch cluster below `folder`."""
    folder.mkdir(parents=True)
    settings = DatabaseSettings(
        home=folder, database_url=None, database_port=free_port(), database_memory_mb=MEMORY_MB["small"]
    )
    with session(settings, lambda *_: None) as urls:
        say(f"making {points:,} points and {zones:,} polygons")
        _prepare(urls, points, zones)
        say("geopandas")
        truth = _truth(urls)
        found = asyncio.run(_in_process(urls, truth, rounds, say))
        found.append(_asked_again(settings, folder, truth, rounds))
    return found


@dataclass(frozen=True)
class _Truth:
    """Points by the id of an area or cell, and the seconds that geopandas took."""

    counts: dict[str, dict[Any, int]]
    seconds: dict[str, float]


async def _in_process(urls: Urls, truth: _Truth, rounds: int, say: Callable[[str], None]) -> list[Finding]:
    with connect(urls.owner, application_name="geocloud bench") as conn:
        catalogue = read_catalogue(conn)
    reader = Reader(urls.reader, DatabaseSettings(pool_size=2))
    await reader.open()
    web = WebSettings()
    overlay = Overlay(reader, PointColumns(reader, web.h3_points_max), web)
    out = []
    try:
        for name, by, title in (
            ("township", "township", "points by township, first question"),
            ("h3:8", "h3:8", "points by H3 cell of level 8"),
            ("zone", ZONE, "points by polygons, first question"),
        ):
            question = _question(catalogue, by)
            times: list[float] = []
            result: Result | None = None
            for turn in range(rounds + 1):
                overlay.pieces = Pieces(web.aggregate_keep_mb * 2**20)
                if name == "township":
                    # Who asks for points has asked for townships before.
                    await overlay.zones(question.by, question.moment)
                took, result = await _timed(lambda q=question: overlay.aggregate(q))
                if turn or name == "zone":
                    times.append(took)
            assert result is not None
            _compare(name, result, truth)
            seconds = median(times)
            say(f"{title}: {seconds * 1e3:.0f} ms ({result.way})")
            detail = f"{result.way}; geopandas {truth.seconds[name]:.1f} s"
            target = TARGETS[name]
            out.append(
                Finding("aggregate", title, seconds * 1e3, "ms", f"< {target * 1e3:g}", seconds < target, detail)
            )
        # Another measure of the same points by the same polygons.
        kept, _ = await _timed(lambda: overlay.aggregate(_question(catalogue, ZONE, "count,sum:value")))
        kept, _ = await _timed(lambda: overlay.aggregate(_question(catalogue, ZONE, "sum:value,mean:value")))
        out.append(Finding("aggregate", "another measure of the same", kept * 1e3, "ms", "", None, "pieces kept"))
    finally:
        reader.close()
    return out


async def _timed(work: Callable[[], Awaitable[Result]]) -> tuple[float, Result]:
    begun = time.perf_counter()
    found = await work()
    return time.perf_counter() - begun, found


def _question(catalogue: Catalogue, by: str, measure: str = "count") -> Asked:
    layer = catalogue.layer(POINT)
    question = read_question([], layer, "json", WebSettings(), Tokens(b"bench"))
    return Asked(question.query, question.key, read_by(by, catalogue), read_measures(measure, layer))


def _compare(name: str, found: Result, truth: _Truth) -> None:
    ids = [f"{i:x}" for i in found.zones.ids.tolist()] if name.startswith("h3") else found.zones.ids.tolist()
    counts = {i: int(n) for i, n in zip(ids, found.figures.zones["count"].tolist(), strict=True) if n}
    if counts != truth.counts[name] or any(found.difference.values()):
        raise RuntimeError(f"{name}: counts differ from geopandas")


def _asked_again(settings: DatabaseSettings, folder: Path, truth: _Truth, rounds: int) -> Finding:
    """Over HTTP, while nothing is written: the answer that is kept."""
    server = Server("aggregate", free_port(), folder)
    env = {
        "GEOCLOUD_HOME": str(settings.home), "GEOCLOUD_DATABASE_PORT": str(settings.database_port),
        "GEOCLOUD_PORT": str(server.port), "GEOCLOUD_WORKERS": "1", "GEOCLOUD_DEMO": "none",
        "GEOCLOUD_JOB_WORKERS": "0",
    }  # fmt: skip
    path = f"/collections/{POINT}/aggregate?by={ZONE}&measure=count&f=json"
    try:
        server.run([sys.executable, "-m", "geocloud.cli", "serve"], env=env)
        server.wait("/health")
        first = get(server.port, path)
        counts = {z["zone"]: z["count"] for z in json.loads(first.body)["zones"] if z["zone"] and z["count"]}
        if counts != truth.counts["zone"]:
            raise RuntimeError("the answer over HTTP differs from geopandas")
        times = []
        for _ in range(20 * rounds):
            begun = time.perf_counter()
            again = get(server.port, path)
            times.append(time.perf_counter() - begun)
            if again.body != first.body:
                raise RuntimeError("the kept answer is another one")
    finally:
        server.stop()
    seconds, target = median(times), TARGETS["again"]
    return Finding(
        "aggregate", "points by polygons, asked again", seconds * 1e3, "ms", f"< {target * 1e3:g}", seconds < target,
        f"{len(first.body):,} bytes over HTTP, a connection each",
    )  # fmt: skip


def _truth(urls: Urls) -> _Truth:
    frames = {layer: _frame(urls, layer) for layer in (POINT, ZONE, TOWNSHIP)}
    points, counts, seconds = frames[POINT], {}, {}
    for name, layer in (("township", TOWNSHIP), ("zone", ZONE)):
        begun = time.perf_counter()
        joined = points.sjoin(frames[layer], predicate="intersects")["index_right"]
        first = joined.groupby(level=0).min().value_counts()
        seconds[name] = time.perf_counter() - begun
        counts[name] = {int(k): int(v) for k, v in first.items()}
    begun = time.perf_counter()
    xy = shapely.get_coordinates(points.geometry.to_numpy())
    cells = pd.Series([h3.latlng_to_cell(y, x, 8) for x, y in xy.tolist()])
    counts["h3:8"] = {str(k): int(v) for k, v in cells.value_counts().items()}
    seconds["h3:8"] = time.perf_counter() - begun
    return _Truth(counts, seconds)


def _frame(urls: Urls, layer: str) -> gpd.GeoDataFrame:
    conn = psycopg2.connect(urls.reader)
    with conn.cursor() as cur:
        cur.execute(f"SELECT fid, ST_AsBinary(geom) FROM {layer} ORDER BY fid")
        fids, shapes = zip(*cur.fetchall(), strict=True)
    conn.close()
    found = shapely.from_wkb([bytes(b) for b in shapes])
    return gpd.GeoDataFrame(geometry=found, index=pd.Index(fids), crs="EPSG:4490")


def _prepare(urls: Urls, points: int, zones: int) -> None:
    migrate(urls.owner)
    layers, codes = read_layers(CitySettings().layers_folder)
    made = {POINT: _spec(POINT, "point"), ZONE: _spec(ZONE, "polygon"), TOWNSHIP: layers[TOWNSHIP]}
    with connect(urls.owner, application_name="geocloud bench") as conn:
        sync(conn, made, codes)
    rng = np.random.default_rng(_SEED)
    conn = psycopg2.connect(urls.owner)
    with conn, conn.cursor() as cur:
        cur.execute("SELECT setseed(0.29)")
        cur.execute(
            f"INSERT INTO {POINT} (code, value, geom) SELECT n::text, random() * 100, "
            "ST_SetSRID(ST_Point(%s + random() * %s, %s + random() * %s), 4490) FROM generate_series(1, %s) n",
            (_WEST, _EAST - _WEST, _SOUTH, _NORTH - _SOUTH, points),
        )
        for table, count, step in ((ZONE, zones, 0.0005), (TOWNSHIP, _TOWNSHIPS, 0.0002)):
            for n, shape in enumerate(_partition(rng, count, step)):
                code = f"{371500000 + n}"
                cur.execute(
                    f"INSERT INTO {table} (code, geom) VALUES (%s, ST_GeomFromWKB(%s, 4490))",
                    (code, shapely.to_wkb(shape)),
                )
    with conn, conn.cursor() as cur:
        cur.execute("ANALYZE")
    conn.close()
    conn = psycopg2.connect(urls.writer)
    bring_up_to_date(conn, POINT)
    conn.close()


def _partition(rng: Any, count: int, step: float) -> list[Any]:
    """Areas around random seeds that fill the box; borders have a corner every `step` degrees."""
    seeds = np.stack([rng.uniform(_WEST, _EAST, count), rng.uniform(_SOUTH, _NORTH, count)], axis=1)
    # A little smaller than the points' box, so that some of them lie outside.
    box = shapely.box(_WEST + 0.01, _SOUTH + 0.01, _EAST - 0.01, _NORTH - 0.01)
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(seeds), extend_to=box))
    cut = shapely.intersection(cells, box)
    # Corners have nine decimals, as in files.
    drawn = shapely.transform(shapely.segmentize(cut, step), lambda xy: np.round(xy, 9))
    return [s for s in drawn if not s.is_empty and s.geom_type == "Polygon"]


def _spec(layer: str, geometry: str) -> LayerSpec:
    def both(text: str) -> dict[str, str]:
        return {"zh": text, "en": text}

    fields = [
        {"name": "code", "title": both("Code"), "required": True},
        {"name": "value", "type": "number", "title": both("Value")},
    ]
    return LayerSpec.model_validate(
        {"id": layer, "title": both(layer), "description": both("Made for the benchmark"), "geometry": geometry,
         "key": ["code"], "fields": fields}
    )  # fmt: skip
