# SPDX-License-Identifier: Apache-2.0
"""Stamps of a million points: what they add to a load, and what a border that moves costs, against geopandas."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

import geopandas
import numpy as np
import psycopg2
import shapely
import yaml

from benchmarks.load import DATABASE, SETS, checkpoint, data_file, fresh, layer_text
from benchmarks.report import Finding
from benchmarks.special.base import Context, special
from geocloud.catalogue.publish import read_catalogue, sync
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.roles import make_url
from geocloud.demo import loading
from geocloud.ingest.files import FileOptions, load_file
from geocloud.ingest.load import LoadOptions
from geocloud.overlay.keep import Outcome, bring_up_to_date, stamp_written
from geocloud.overlay.restamp_process import bring_all_up_to_date
from geocloud.overlay.zonings import ZONINGS
from geocloud.sectors.registry import definitions
from geocloud.settings import CitySettings, DatabaseSettings, Settings

__all__ = ["stamps"]

_SHARE = 1.5
_PLAIN, _STAMPED = "bench.plain", "bench.stamped"
# Degrees by which a township grows into its neighbours: some 200 m.
_GROWN = 0.002


@special("stamps", "1,000,000 points with county, township, village, unit grid, H3 and BeiDou cell")
def stamps(context: Context) -> list[Finding]:
    """Time of a load with stamps over one without, and of stamping again after a township's border has moved."""
    folder = context.folder / "load"
    folder.mkdir(parents=True, exist_ok=True)
    path = data_file(folder, SETS[0])
    plain: list[float] = []
    stamped: list[float] = []
    moved: list[tuple[Outcome, float]] = []
    size = context.ground.size
    for number in range(max(1, context.rounds)):
        with fresh(context.ground.settings, context.ground.urls.owner) as admin:
            owner = make_url(context.ground.urls.owner, dbname=DATABASE)
            _zones(owner, "city" if size == "province" else size)
            for layer in (_PLAIN, _STAMPED) if number % 2 else (_STAMPED, _PLAIN):
                checkpoint(admin)
                seconds = _load(owner, path, layer, folder / "home")
                (plain if layer == _PLAIN else stamped).append(seconds)
            if number == 0:
                _compare(owner, list(ZONINGS))
            moved.append(_move(owner))
            if number == 0:
                _compare(owner, ["township"])
        context.say(
            f"stamps {number + 1}: {stamped[-1]:.2f} s with, {plain[-1]:.2f} s without, again {moved[-1][1]:.2f} s"
        )
    share = median(s / p for s, p in zip(stamped, plain, strict=True))
    detail = f"{median(stamped):.2f} s against {median(plain):.2f} s; zones equal to geopandas.sjoin"
    done, seconds = sorted(moved, key=lambda m: m[1])[len(moved) // 2]
    again = (
        f"{done.stamped:,} of {SETS[0].rows:,} points stamped again, {done.zones_moved} zones changed; "
        f"the whole layer takes {median(s - p for s, p in zip(stamped, plain, strict=True)):.2f} s"
    )
    title = "load of 1,000,000 points with stamps"
    return [
        Finding("stamps", title, share, "times one without", f"{_SHARE:g}", share <= _SHARE, detail),
        Finding("stamps", "a township's border moves by 200 m", seconds, "s", "near alone", done.how == "near", again),
    ]


def _zones(owner: str, size: Any) -> None:
    """The demo city's zones, stamped themselves, and two empty layers for the points."""
    house, codes = definitions(CitySettings())
    chosen = {z.layer: house[z.layer] for z in ZONINGS.values()}
    for layer in (_PLAIN, _STAMPED):
        spec = LayerSpec.model_validate(yaml.safe_load(layer_text(SETS[0], layer.removeprefix("bench."))))
        chosen[spec.id] = spec
    conn = psycopg2.connect(owner)
    sync(conn, chosen, codes)
    loading.load(owner, size, layers=[z.layer for z in ZONINGS.values()])
    bring_all_up_to_date(conn)
    conn.close()


def _load(owner: str, path: Path, layer_id: str, home: Path) -> float:
    conn = psycopg2.connect(owner)
    layer = read_catalogue(conn).layers[layer_id]
    conn.close()
    begun = time.perf_counter()
    done = load_file(
        owner, path, layer, settings=Settings(database=DatabaseSettings(home=home)), reading=FileOptions(),
        options=LoadOptions(written=stamp_written if layer_id == _STAMPED else None),
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    if done.new != SETS[0].rows:
        raise RuntimeError(f"{done.new} of {SETS[0].rows} points were loaded")
    return seconds


def _compare(owner: str, zonings: list[str]) -> None:
    """RuntimeError where a point is not in the zone with the lowest fid of those that geopandas finds."""
    points = _frame(owner, f"SELECT fid, ST_AsBinary(geom) FROM {_STAMPED}")
    for name in zonings:
        zones = _frame(owner, f"SELECT fid, ST_AsBinary(geom) FROM {ZONINGS[name].layer} WHERE ST_Dimension(geom) = 2")
        joined = geopandas.sjoin(points, zones, predicate="intersects")
        expected = joined.groupby("fid_left")["fid_right"].min()
        with psycopg2.connect(owner) as conn, conn.cursor() as cur:
            cur.execute(f'SELECT fid, {name} FROM stamps."{_STAMPED}" WHERE {name} IS NOT NULL ORDER BY fid')
            rows = np.array(cur.fetchall(), np.int64).reshape(-1, 2)
        same = len(rows) == len(expected) and (expected.index == rows[:, 0]).all() and (expected == rows[:, 1]).all()
        if not same:
            raise RuntimeError(f"stamps by {name} are not those of geopandas")


def _frame(owner: str, sql: str) -> geopandas.GeoDataFrame:
    with psycopg2.connect(owner) as conn, conn.cursor() as cur:
        cur.execute(sql)
        rows = cur.fetchall()
    shapes = shapely.from_wkb([bytes(r[1]) for r in rows])
    return geopandas.GeoDataFrame({"fid": [r[0] for r in rows]}, geometry=shapes, crs="EPSG:4490")


def _move(owner: str) -> tuple[Outcome, float]:
    """A township takes a strip from its neighbours; the points are brought up to date."""
    conn = psycopg2.connect(owner)
    with conn.cursor() as cur:
        cur.execute("SELECT fid, ST_AsBinary(geom) FROM base.township WHERE ST_Dimension(geom) = 2 ORDER BY fid")
        rows = cur.fetchall()
        shapes = shapely.from_wkb([bytes(r[1]) for r in rows])
        grown = shapely.buffer(shapes[0], _GROWN)
        cur.execute("UPDATE base.township SET geom = ST_GeomFromWKB(%s, 4490) WHERE fid = %s",
                    (shapely.to_wkb(grown), rows[0][0]))  # fmt: skip
        for (fid, _), shape in zip(rows[1:], shapes[1:], strict=True):
            if shapely.intersects(grown, shape):
                left = shapely.to_wkb(shapely.difference(shape, grown))
                cur.execute("UPDATE base.township SET geom = ST_GeomFromWKB(%s, 4490) WHERE fid = %s", (left, fid))
    conn.commit()
    begun = time.perf_counter()
    done = bring_up_to_date(conn, _STAMPED)
    seconds = time.perf_counter() - begun
    conn.close()
    return done, seconds
