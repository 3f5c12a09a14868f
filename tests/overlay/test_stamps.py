# SPDX-License-Identifier: Apache-2.0
"""Stamps of features against geopandas and the grids' own libraries, through loads, edits and boundaries that move."""

from __future__ import annotations

from typing import Any

import geopandas
import h3
import pandas as pd
import psycopg2
import pytest
import shapely

from geocloud.db.cluster import Urls
from geocloud.grids import beidou, beidou_index
from geocloud.overlay.keep import Outcome, bring_up_to_date, layers_behind
from geocloud.overlay.zonings import ZONINGS
from tests.overlay.conftest import LAYERS


def frame(url: str, sql: str) -> geopandas.GeoDataFrame:
    conn = psycopg2.connect(url)
    with conn.cursor() as cur:
        cur.execute(sql)
        rows = cur.fetchall()
        names = [d[0] for d in cur.description or ()]
    conn.close()
    out = pd.DataFrame(rows, columns=names)
    shapes = [None if g is None else shapely.from_wkb(bytes(g)) for g in out.pop("geom")]
    return geopandas.GeoDataFrame(out, geometry=shapes, crs="EPSG:4490")


def ask(url: str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    conn = psycopg2.connect(url)
    try:
        with conn, conn.cursor() as cur:
            cur.execute(sql, values)
            return cur.fetchall() if cur.description else []
    finally:
        conn.close()


def update(url: str, layer: str) -> Outcome:
    conn = psycopg2.connect(url)
    try:
        return bring_up_to_date(conn, layer)
    finally:
        conn.close()


def stamps(url: str, layer: str) -> pd.DataFrame:
    rows = ask(url, f'SELECT fid, county, township, village, unit_grid, h3_8, h3_10, beidou FROM stamps."{layer}"')
    names = ["fid", *ZONINGS, "h3_8", "h3_10", "beidou"]
    return pd.DataFrame(rows, columns=names, dtype=object).set_index("fid").sort_index()


def current(url: str, layer: str) -> dict[str, bool]:
    return dict(ask(url, "SELECT zoning, current FROM geocloud.stamp_status WHERE layer = %s", layer))


def expected_zones(url: str, layer: str) -> dict[str, dict[int, int]]:
    """By zoning: fid to the lowest fid of the zones that geopandas finds to cover it."""
    theme, name = layer.split(".")
    features = frame(url, f'SELECT fid, ST_AsBinary(geom) AS geom FROM "{theme}"."{name}"')
    features = features[~(features.geometry.isna() | features.geometry.is_empty)]
    out = {}
    for zoning in ZONINGS.values():
        zones = frame(url, f"SELECT fid AS zone, ST_AsBinary(geom) AS geom FROM {zoning.layer}")
        zones = zones[zones.geom_type.isin(["Polygon", "MultiPolygon"])]
        joined = geopandas.sjoin(features, zones, predicate="covered_by")
        out[zoning.name] = joined.groupby("fid")["zone"].min().to_dict()
    return out


def assert_right(url: str, layer: str) -> pd.DataFrame:
    found = stamps(url, layer)
    theme, name = layer.split(".")
    assert set(found.index) == {r[0] for r in ask(url, f'SELECT fid FROM "{theme}"."{name}"')}
    for zoning, expected in expected_zones(url, layer).items():
        got = found[zoning].dropna().to_dict()
        assert got == expected, f"{layer} by {zoning}"
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_whole_layer(small: Urls, layer: str) -> None:
    """A layer that was never stamped is stamped whole; the zones are those of geopandas."""
    assert layer in layers_behind(psycopg2.connect(small.reader))
    done = update(small.writer, layer)
    assert done.how == "whole"
    found = assert_right(small.owner, layer)
    assert done.stamped == len(found)
    assert all(current(small.owner, layer).values())
    assert update(small.writer, layer).how == "current"


def test_cells_of_points(small: Urls) -> None:
    found = stamps(small.owner, "base.poi")
    for fid, x, y in ask(small.owner, "SELECT fid, ST_X(geom), ST_Y(geom) FROM base.poi"):
        row = found.loc[fid]
        assert row.h3_8 == h3.str_to_int(h3.latlng_to_cell(y, x, 8))
        assert row.h3_10 == h3.str_to_int(h3.latlng_to_cell(y, x, 10))
        assert beidou_index.to_text([row.beidou])[0].decode() == beidou.encode(x, y, 6)
