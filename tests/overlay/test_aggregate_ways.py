# SPDX-License-Identifier: Apache-2.0
"""The ways of adding up give the same figures: by stamps, by cells of all points, and exactly; and at any date."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import geopandas as gpd
import numpy as np
import psycopg2
import pytest
import shapely

from geocloud.catalogue.publish import read_catalogue
from geocloud.db.cluster import Urls
from geocloud.db.reader import Reader
from geocloud.features.moment import read_moment
from geocloud.features.request import read_question
from geocloud.features.tokens import Tokens
from geocloud.grids.columns import PointColumns
from geocloud.overlay.aggregate import Asked, Overlay, Result
from geocloud.overlay.by import read_by
from geocloud.overlay.keep import bring_up_to_date
from geocloud.overlay.measures import read_measures
from geocloud.settings import DatabaseSettings, WebSettings

T = TypeVar("T")
POI, ROAD, PARCEL, COMPONENT = "base.poi", "base.road", "base.parcel", "facility.component"


def run(urls: Urls, work: Callable[[Overlay], Awaitable[T]]) -> T:
    async def inside() -> T:
        reader = Reader(urls.reader, DatabaseSettings(pool_size=2))
        await reader.open()
        try:
            return await work(Overlay(reader, PointColumns(reader, 1_000_000), WebSettings()))
        finally:
            reader.close()

    return asyncio.run(inside())


def asked(urls: Urls, layer: str, by: str, measure: str = "count", **params: str) -> Asked:
    conn = psycopg2.connect(urls.owner)
    catalogue = read_catalogue(conn)
    conn.close()
    found = catalogue.layer(layer)
    question = read_question(list(params.items()), found, "json", WebSettings(), Tokens(b"key"))
    moment = read_moment(params.get("datetime"), params.get("asof"))
    return Asked(question.query, question.key, read_by(by, catalogue), read_measures(measure, found), moment)


def table(found: Result) -> dict[Any, dict[str, float]]:
    """Figures by zone id, areas in which nothing is left out; None for outside."""
    names = list(found.figures.zones)
    columns = np.array([found.figures.zones[n] for n in names]).T.reshape(-1, len(names))
    rows = {
        i: dict(zip(names, c, strict=True)) for i, c in zip(found.zones.ids.tolist(), columns.tolist(), strict=True)
    }
    return {i: r for i, r in rows.items() if r["count"]} | {None: dict(found.figures.outside)}


def bring(urls: Urls, *layers: str) -> None:
    conn = psycopg2.connect(urls.writer)
    for layer in layers:
        bring_up_to_date(conn, layer)
    conn.close()


def forget(urls: Urls) -> None:
    conn = psycopg2.connect(urls.owner)
    with conn, conn.cursor() as cur:
        cur.execute("DELETE FROM geocloud.stamp_state")
    conn.close()


@pytest.mark.parametrize(
    ("layer", "by", "measure", "params"),
    [
        (COMPONENT, "county", "count", {}),
        (COMPONENT, "township", "count,density", {}),
        (COMPONENT, "village", "count", {"filter": "category IS NOT NULL"}),
        (COMPONENT, "grid", "count,mean:position_accuracy_m", {}),
        (COMPONENT, "h3:8", "count", {}),
        (COMPONENT, "h3:10", "count,max:position_accuracy_m", {"filter": "category IS NOT NULL"}),
        (COMPONENT, "beidou:6", "count", {}),
        (COMPONENT, "beidou:5", "count", {}),
        (COMPONENT, "beidou:3", "count", {"bbox": "115.9,36.4,116.1,36.5"}),
        (ROAD, "township", "count,sum:lanes,mean:width_m,min:lanes", {}),
        (ROAD, "county", "count", {"bbox": "115.9,36.4,116.1,36.5"}),
        (PARCEL, "township", "count,sum:area_m2,min:area_m2,max:area_m2,mean:area_m2", {}),
        (PARCEL, "village", "count,sum:area_m2", {}),
    ],
)
def test_stamps_say_what_the_exact_way_says(
    small: Urls, layer: str, by: str, measure: str, params: dict[str, str]
) -> None:
    forget(small)
    question = asked(small, layer, by, measure, **params)
    exact = run(small, lambda o: o.aggregate(question))
    bring(small, layer)
    question = asked(small, layer, by, measure, **params)
    stamped = run(small, lambda o: o.aggregate(question))
    assert exact.way != "stamps" and stamped.way == "stamps"
    one, other = table(exact), table(stamped)
    assert one.keys() == other.keys() and len(one) > 1
    for zone, row in one.items():
        assert other[zone] == pytest.approx(row, rel=1e-9, abs=1e-9, nan_ok=True), zone
    assert stamped.figures.total == pytest.approx(exact.figures.total, nan_ok=True)
    assert not any(stamped.difference.values()) and not any(exact.difference.values())


def test_stamps_of_before_a_write_are_left_aside(small: Urls) -> None:
    bring(small, COMPONENT)
    conn = psycopg2.connect(small.owner)
    with conn, conn.cursor() as cur:
        cur.execute(f"DELETE FROM {COMPONENT} WHERE fid = (SELECT min(fid) FROM {COMPONENT})")
    conn.close()
    question = asked(small, COMPONENT, "township")
    found = run(small, lambda o: o.aggregate(question))
    assert found.way == "exact"
    bring(small, COMPONENT)
    question = asked(small, COMPONENT, "township")
    again = run(small, lambda o: o.aggregate(question))
    assert again.way == "stamps" and table(again) == table(found)


def test_a_day_of_before_has_the_townships_of_that_day(small: Urls) -> None:
    """A township is given a part of its neighbour's land from a date on."""
    zones = frame(small, "base.township")
    conn = psycopg2.connect(small.owner)
    with conn, conn.cursor() as cur:
        cur.execute(
            "SELECT a.fid, b.fid FROM base.township a JOIN base.township b ON a.fid < b.fid "
            "AND ST_Relate(a.geom, b.geom, 'F***1****') "
            f"ORDER BY (SELECT count(*) FROM {COMPONENT} c WHERE ST_Intersects(c.geom, b.geom)) DESC LIMIT 1"
        )
        one, other = cur.fetchone()
        cur.execute(
            "SELECT ST_AsBinary(geom), ST_AsBinary(ST_MakeEnvelope(ST_XMin(geom), ST_YMin(geom), ST_XMax(geom), "
            "(ST_YMin(geom) + ST_YMax(geom)) / 2, 4490)) FROM base.township WHERE fid = %s",
            (other,),
        )
        shape, half = (shapely.from_wkb(bytes(b)) for b in cur.fetchone())
        lost, left = shape.intersection(half), shape.difference(half)
        for fid, new in ((other, left), (one, None)):
            geom = (
                "ST_Multi(ST_GeomFromWKB(%s, 4490))"
                if new is not None
                else ("ST_Multi(ST_CollectionExtract(ST_Union(geom, ST_GeomFromWKB(%s, 4490)), 3))")
            )
            cur.execute(
                f"UPDATE base.township SET geom = {geom}, valid_from = '2026-06-01 00:00+08' WHERE fid = %s",
                (shapely.to_wkb(new if new is not None else lost), fid),
            )
    conn.close()
    then = asked(small, COMPONENT, "township", datetime="2026-05-31")
    now = asked(small, COMPONENT, "township")
    before, after = (run(small, lambda o, q=q: o.aggregate(q)) for q in (then, now))
    points = frame(small, COMPONENT)
    moved = int(points.within(lost).sum())
    assert moved > 0
    was, is_ = ({k: int(r["count"]) for k, r in table(found).items() if k} for found in (before, after))
    # Some components were there on that day and are no more, or the other way round.
    assert was == by_geopandas(frame(small, COMPONENT, "2026-05-31 12:00+08"), zones)
    assert is_ == by_geopandas(points, frame(small, "base.township"))
    assert was[other] - is_.get(other, 0) == pytest.approx(moved, abs=1)
    assert is_[one] - was.get(one, 0) == pytest.approx(moved, abs=1)


def frame(urls: Urls, layer: str, at: str = "now") -> gpd.GeoDataFrame:
    conn = psycopg2.connect(urls.owner)
    with conn.cursor() as cur:
        cur.execute(
            f"SELECT fid, ST_AsBinary(geom) FROM (SELECT fid, geom, valid_from, valid_to FROM {layer} UNION ALL "
            f"SELECT fid, geom, valid_from, valid_to FROM history.\"{layer}\" WHERE sys_to = 'infinity') r "
            "WHERE geom IS NOT NULL AND valid_from <= %s AND valid_to > %s ORDER BY fid",
            (at, at),
        )
        fids, shapes = zip(*cur.fetchall(), strict=True)
    conn.close()
    return gpd.GeoDataFrame(geometry=shapely.from_wkb([bytes(b) for b in shapes]), index=list(fids), crs="EPSG:4490")


def by_geopandas(points: gpd.GeoDataFrame, zones: gpd.GeoDataFrame) -> dict[int, int]:
    """Points by the first of the zones that each is in."""
    joined = points.sjoin(zones, predicate="intersects")["index_right"]
    first = joined.groupby(level=0).min()
    return {int(k): int(v) for k, v in first.value_counts().items()}


def test_pieces_are_kept_and_let_go(small: Urls) -> None:
    async def work(overlay: Overlay) -> tuple[Result, Result, int]:
        question = asked(small, POI, "county")
        first, second = await asyncio.gather(overlay.aggregate(question), overlay.aggregate(question))
        return first, second, overlay.pieces.bytes

    first, second, held = run(small, work)
    assert first is second and held > 0
