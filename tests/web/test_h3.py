# SPDX-License-Identifier: Apache-2.0
"""`/collections/{id}/h3`: true to the library and to `/items`, through edits, conditions and dates."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import h3
import httpx
import psycopg2
import pytest

from geocloud import grids
from geocloud.catalogue.publish import sync
from geocloud.catalogue.registry import Layer, Registry
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.reader import Reader
from geocloud.errors import TooLarge
from geocloud.grids.columns import PointColumns
from geocloud.grids.h3cells import PointStore
from geocloud.settings import DatabaseSettings
from tests.web.conftest import SITE, SITE_KINDS, ZONE, City, run_server, site_spec, zone_spec

PATH = f"/collections/{SITE}/h3"


# Connections of their own, so that both workers are asked.
ASKED = 6


def coloured() -> LayerSpec:
    spec = site_spec().model_dump()
    return LayerSpec.model_validate({**spec, "style": {**spec["style"], "color_by": "kind"}})


@pytest.fixture(scope="module")
def city(city: City) -> City:
    """The sites told apart by their kind, one of them without a position."""
    conn = psycopg2.connect(city.urls.owner)
    sync(conn, {SITE: coloured(), ZONE: zone_spec()}, {"site_kind": SITE_KINDS})
    conn.close()
    city.run("INSERT INTO test.site (fid, code, kind) VALUES (9001, 'nowhere', 'lamp')")
    return city


def by_library(client: httpx.Client, resolution: int, **params: str) -> dict[str, Counter[str]]:
    """Cells from the features that `/items` gives for the same question."""
    found: dict[str, Counter[str]] = {}
    document = client.get(f"/collections/{SITE}/items", params={"limit": "50000", **params}).json()
    for feature in document["features"]:
        if feature["geometry"]:
            lon, lat = feature["geometry"]["coordinates"]
            cell = h3.latlng_to_cell(lat, lon, resolution)
            found.setdefault(cell, Counter())[feature["properties"]["kind"] or ""] += 1
    return found


def cells(client: httpx.Client, **params: object) -> dict[str, Counter[str]]:
    answer = client.get(PATH, params=params)
    assert answer.status_code == 200, answer.text
    return {f["id"]: Counter(f["properties"]["mix"]) for f in answer.json()["features"]}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"filter": "kind = 'tree' AND year > 1990"},
        {"kind": "lamp"},
        {"datetime": "2026-11-01T00:00:00Z/.."},
        {"filter": "S_INTERSECTS(geom, POLYGON((115.5 36, 116 36, 116 36.5, 115.5 36)))", "filter-lang": "cql2-text"},
        {"filter": "year > 3000"},
    ],
    ids=["all", "filter", "by-property", "datetime", "drawn", "nothing"],
)
def test_cells_are_those_of_the_features_items_gives(client: httpx.Client, params: dict[str, str]) -> None:
    assert cells(client, resolution=6, **params) == by_library(client, 6, **params)


def test_properties_are_worked_out_again(client: httpx.Client) -> None:
    document = client.get(PATH, params={"resolution": 5}).json()
    assert document["count"] == sum(f["properties"]["count"] for f in document["features"]) == 2400
    assert document["withoutPosition"] == 1 and document["codeField"] == "kind"
    assert document["numberReturned"] == len(document["features"])
    for feature in document["features"]:
        properties = feature["properties"]
        assert sum(properties["mix"].values()) == properties["count"]
        assert properties["density"] == pytest.approx(
            properties["count"] / h3.cell_area(feature["id"], "km^2"), abs=1e-3
        )
        named = {k: n for k, n in properties["mix"].items() if k}
        best = max(named.values(), default=0)
        assert properties["kind"] == min((k for k, n in named.items() if n == best), default=None)
        ring = feature["geometry"]["coordinates"][0]
        expected = [(x, y) for y, x in h3.cell_to_boundary(feature["id"])]
        assert ring[0] == ring[-1]
        assert [tuple(p) for p in ring[:-1]] == [pytest.approx(p, abs=1e-7) for p in expected]


@pytest.mark.parametrize("more", [{}, {"filter": "year > 1960"}], ids=["columns", "filter"])
def test_boxes_side_by_side_add_up_to_the_whole(client: httpx.Client, more: dict[str, str]) -> None:
    whole = cells(client, resolution=6, **more)
    edges = [115.0, 115.4, 115.9, 116.05, 117.0]
    parts = [cells(client, resolution=6, bbox=f"{w},35,{e},38", **more) for w, e in zip(edges, edges[1:], strict=False)]
    assert sum(map(len, parts)) == len(whole)
    assert {k: v for part in parts for k, v in part.items()} == whole


def test_resolution_that_is_not_given_fits(client: httpx.Client) -> None:
    whole = client.get(PATH).json()
    assert 200 <= whole["numberReturned"] <= 2_000
    small = client.get(PATH, params={"bbox": "115.5,36.1,116,36.5"}).json()
    filtered = client.get(PATH, params={"bbox": "115.5,36.1,116,36.5", "filter": "fid > 0 OR year IS NULL"})
    assert small["resolution"] > whole["resolution"]
    assert filtered.status_code == 400  # fid is no queryable
    filtered = client.get(PATH, params={"bbox": "115.5,36.1,116,36.5", "filter": "code <> ''"}).json()
    assert filtered["resolution"] == small["resolution"]
    assert {f["id"]: f["properties"] for f in filtered["features"]} == {
        f["id"]: f["properties"] for f in small["features"]
    }


def test_csv_says_the_same(client: httpx.Client) -> None:
    answer = client.get(PATH, params={"resolution": 6, "f": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert {r["h3"]: Counter(json.loads(r["mix"])) for r in rows} == cells(client, resolution=6)


def test_etag_is_of_the_layers_version(client: httpx.Client, city: City) -> None:
    answer = client.get(PATH, params={"resolution": 6})
    assert (
        client.get(PATH, params={"resolution": 6}, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    )
    assert client.get(PATH, params={"resolution": 7}).headers["etag"] != answer.headers["etag"]


def at(lon: str, lat: str) -> str:
    return f"ST_SetSRID(ST_Point({lon}, {lat}), 4490)"


# What is done, and how it is undone.
EDITS = {
    "insert": (
        f"INSERT INTO test.site (fid, code, kind, geom) VALUES (9100, 'new', 'tram', {at('116.9', '36.9')})",
        "DELETE FROM test.site WHERE fid = 9100",
    ),
    "move": (
        f"UPDATE test.site SET geom = {at('116.8', '36.8')} WHERE fid <= 5",
        f"UPDATE test.site SET geom = {at('115.9', '36.3')} WHERE fid <= 5",
    ),
    "recode": (
        "UPDATE test.site SET kind = 'bench' WHERE fid BETWEEN 100 AND 300",
        "UPDATE test.site SET kind = 'lamp' WHERE fid BETWEEN 100 AND 300",
    ),
    "nowhere": (
        "UPDATE test.site SET geom = NULL WHERE fid = 77",
        f"UPDATE test.site SET geom = {at('115.9', '36.3')} WHERE fid = 77",
    ),
    "bulk": (
        "INSERT INTO test.site (fid, code, kind, geom) "
        f"SELECT 20000 + n, 'b' || n, 'bin', {at('115.5 + n / 1e5', '36.2')} FROM generate_series(1, 10500) n",
        "DELETE FROM test.site WHERE fid > 20000",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edits_are_counted_within_a_second(server: str, city: City, edit: str) -> None:
    for statement in EDITS[edit]:
        before = in_database(city)
        assert both_workers(server) == [before] * ASKED
        city.run(statement)
        expected = in_database(city)
        assert expected != before
        began = time.monotonic()
        while (found := both_workers(server)) != [expected] * ASKED and time.monotonic() - began < 1:
            continue
        assert found == [expected] * ASKED


def both_workers(server: str) -> list[dict[str, Counter[str]]]:
    found = []
    for _ in range(ASKED):
        with httpx.Client(base_url=server, timeout=60) as client:
            found.append(cells(client, resolution=6))
    return found


def in_database(city: City) -> dict[str, Counter[str]]:
    conn = psycopg2.connect(city.urls.owner)
    found: dict[str, Counter[str]] = {}
    with conn, conn.cursor() as cur:
        cur.execute("SELECT ST_X(geom), ST_Y(geom), coalesce(kind, '') FROM test.site WHERE geom IS NOT NULL")
        for lon, lat, kind in cur:
            found.setdefault(h3.latlng_to_cell(lat, lon, 6), Counter())[kind] += 1
    conn.close()
    return found


def test_rows_of_another_time_are_counted_at_their_time(server: str, city: City) -> None:
    point = "ST_SetSRID(ST_Point(116.95, 36.95), 4490)"
    city.run(
        f"INSERT INTO test.site (fid, code, kind, geom, valid_from, valid_to) "
        f"VALUES (9200, 'fair', 'tent', {point}, '2020-01-01+08', '2020-02-01+08')"
    )
    cell = h3.latlng_to_cell(36.95, 116.95, 8)
    box = {"bbox": "116.93,36.93,117,37", "resolution": 8}
    with httpx.Client(base_url=server, timeout=60) as client:
        began = time.monotonic()
        while cells(client, **box) and time.monotonic() - began < 1:
            continue
        assert cells(client, **box) == {}
        assert cells(client, **box, datetime="2020-01-15") == {cell: Counter(tent=1)}
        assert cells(client, **box, datetime="2020-03-15") == {}
    city.run("DELETE FROM test.site WHERE fid = 9200")
    city.run('DELETE FROM history."test.site" WHERE fid = 9200')


@pytest.mark.parametrize(
    ("path", "params", "status", "words"),
    [
        (f"/collections/{ZONE}/h3", {}, 400, "no single points"),
        (PATH, {"resolution": "16"}, 400, "whole number of 0 to 15"),
        (PATH, {"resolution": "-1"}, 400, "whole number of 0 to 15"),
        (PATH, {"resolution": "²"}, 400, "whole number of 0 to 15"),
        (PATH, {"bbox": "1,2"}, 400, "comma-separated numbers"),
        (PATH, {"limit": "5"}, 400, "no parameter `limit`"),
        (PATH, {"filter": "phone = '1'"}, 400, "phone"),
        (PATH, {"f": "html"}, 406, "not offered"),
        ("/collections/test.none/h3", {}, 404, "no collection"),
    ],
    ids=["areas", "too-fine", "negative", "superscript", "box", "unknown", "hidden", "html", "collection"],
)
def test_what_cannot_be_answered_is_said(
    client: httpx.Client, path: str, params: dict[str, str], status: int, words: str
) -> None:
    answer = client.get(path, params=params)
    assert answer.status_code == status
    assert words in answer.text
    chinese = client.get(path, params=params, headers={"accept-language": "zh"}).text
    assert any("\u4e00" <= c <= "\u9fff" for c in chinese)


@pytest.fixture(scope="module")
def narrow(city: City, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that may hold 1,000 points and answer 100 cells."""
    home: Path = tmp_path_factory.mktemp("narrow")
    yield from run_server(city.urls.reader, home, GEOCLOUD_H3_POINTS_MAX="1000", GEOCLOUD_H3_CELLS_MAX="100")


def test_limits_are_kept_and_said(narrow: str) -> None:
    with httpx.Client(base_url=narrow, timeout=60, headers={"accept-language": "en"}) as client:
        refused = client.get(PATH, params={"resolution": 4})
        assert refused.status_code == 413 and "at most 1,000" in refused.text and "H3_POINTS_MAX" in refused.text
        assert client.get(PATH, params={"resolution": 4, "filter": "code <> ''"}).status_code == 413
        box = {"bbox": "115.9,36.3,116,36.4", "resolution": 7}
        assert cells(client, **box)
        many = client.get(PATH, params={"resolution": 9, "kind": "tree"})
        assert many.status_code == 413 and "cells, more than 100" in many.text


def test_box_counts_whole_cells_where_the_layer_is_too_large_to_hold(narrow: str, client: httpx.Client) -> None:
    box = {"bbox": "115.9,36.3,116,36.4", "resolution": 6}
    with httpx.Client(base_url=narrow, timeout=60) as other:
        assert cells(other, **box) == cells(client, **box) != {}


def test_collection_links_to_its_cells(client: httpx.Client) -> None:
    links = client.get(f"/collections/{SITE}").json()["links"]
    found = [x for x in links if x["href"].endswith("/h3")]
    assert [x["rel"] for x in found] == ["related"]
    assert client.get(found[0]["href"]).json()["type"] == "FeatureCollection"
    assert not [x for x in client.get(f"/collections/{ZONE}").json()["links"] if x["href"].endswith("/h3")]


def test_columns_are_made_once_though_who_asked_has_left(city: City, cluster: DatabaseSettings) -> None:
    async def run() -> None:
        registry, reader = Registry(city.urls.reader), Reader(city.urls.reader, cluster)
        await registry.start()
        await reader.open()
        columns = PointColumns(reader, 10_000)
        layer = registry.current.layer(SITE)
        leaving = asyncio.create_task(columns.get(layer))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        first, second = await asyncio.gather(columns.get(layer), columns.get(layer))
        assert first is second is await columns.get(layer)
        assert len(first.fid) == columns.points == layer.state.row_count
        assert counted_once == [SITE]
        with pytest.raises(TooLarge):
            await PointColumns(reader, 100).get(layer)
        await registry.stop()
        reader.close()

    counted_once: list[str] = []
    real = grids.columns._read_all

    async def counting(conn: object, layer: Layer, *more: object) -> PointStore:
        counted_once.append(layer.id)
        return await real(conn, layer, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grids.columns, "_read_all", counting)
        asyncio.run(run())
