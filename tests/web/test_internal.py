# SPDX-License-Identifier: Apache-2.0
"""`access: {read: internal}` seen from outside: every route, and no trace of such a layer; commands see it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg2
import pytest
from typer.testing import CliRunner

from geocloud.catalogue.publish import read_catalogue
from geocloud.cli import layers as layers_command
from geocloud.cli import process as process_command
from geocloud.db.cluster import Urls
from geocloud.ogc.config import configuration
from geocloud.ogc.context import Context
from geocloud.sectors import registry
from geocloud.settings import Settings, TileSettings
from geocloud.tiles.inventory import clean
from geocloud.tiles.seed import seed
from geocloud.web import create_app
from tests.web.internal import AREA, DEPOT, GRID, INTERNAL, OPEN, YARD, House, clear, nobody, publish, serve_house, told


@pytest.fixture(scope="module")
def house(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    yield from serve_house(urls, tmp_path_factory)


@pytest.fixture
def client(house: House) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=house.base, headers={"accept-language": "en"}, timeout=60) as found:
        yield found


# Other parts of paths and what must be in the query, so that the collection alone is at fault.
PARTS = {
    "featureId": "1", "fid": "1", "tileMatrixSetId": "WebMercatorQuad", "grid": "WebMercatorQuad", "tileMatrix": "9",
    "matrix": "9", "tileRow": "200", "row": "200", "tileCol": "420", "col": "420", "dggrsId": "h3", "dggs": "h3",
    "zoneId": "88318a8213fffff", "zone": "88318a8213fffff", "version": "2026-01-01T00:00:00Z",
}  # fmt: skip
NEEDED = {"by": "county", "from": "2020-01-01", "to": "2021-01-01"}


def collection_paths(document: dict[str, Any]) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Methods and query of every path of the OpenAPI document that has a collection in it."""
    found = {}
    for path, item in document["paths"].items():
        if "{collectionId}" in path:
            shared = {p.get("name") for op in item.values() if isinstance(op, dict) for p in op.get("parameters", [])
                      if p.get("required") and p.get("in") == "query"}  # fmt: skip
            found[path] = ([m for m in item if m in ("get", "post", "put", "patch", "delete")],
                           {n: NEEDED[n] for n in NEEDED if n in shared})  # fmt: skip
    return found


def filled(path: str, layer: str) -> str:
    parts = PARTS | {"collectionId": layer, "collection": layer}
    return re.sub(r"\{(\w+)\}", lambda m: parts[m[1]], path)


def test_every_path_of_a_collection(client: httpx.Client, house: House) -> None:
    paths = collection_paths(client.get("/api?f=json").json())
    routes = {r.path for r in create_app(Settings.read(), "postgresql://nobody")._router.routes}
    anonymous = {re.sub(r"\{\w+\}", "{}", p) for p in paths}
    missing = {p for p in routes if "{collection}" in p and re.sub(r"\{\w+\}", "{}", p) not in anonymous}
    assert missing <= {"/collections/{collection}/restore"}, "paths that the document does not know"
    assert len(paths) > 30
    key = {"authorization": f"Bearer {house.key}"}
    for path, (methods, query) in paths.items():
        for method in methods:
            body = {} if method == "get" else {"json": {"type": "Feature", "properties": {}, "geometry": None}}
            for layer in (DEPOT, YARD, GRID):
                answer = nobody(client, method.upper(), filled(path, layer), params=query, **body)
                assert answer.status_code == 404, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
                assert "There is no collection" in answer.text or method != "get", path
            # Nor with a key of every layer: keys are for writing.
            assert (
                nobody(client, method.upper(), filled(path, DEPOT), params=query, headers=key, **body).status_code
                == 404
            )
            nobody(client, "OPTIONS", filled(path, DEPOT))
        if "get" in methods and not path.endswith("/feed"):
            # Beside it the public layers answer, and tell nothing of it.
            for kind in ("", "html", "csv"):
                for layer in (OPEN, AREA):
                    answer = client.get(filled(path, layer), params=query | ({"f": kind} if kind else {}))
                    clear(answer)
                    assert kind or layer != OPEN or answer.status_code in (200, 204, 404), (
                        f"{path}: {answer.text[:300]}"
                    )


def _others(house: House) -> dict[str, list[str]]:
    """Each route without a collection, as it is to be asked; one that is new has to be written in here."""
    point = json.dumps(
        {"type": "Polygon", "coordinates": [[[115.8, 36.3], [116.2, 36.3], [116.2, 36.7], [115.8, 36.3]]]}
    )
    public = house.streams[OPEN]
    return {
        "/": ["/", "/?f=html"], "/conformance": ["/conformance", "/conformance?f=html"],
        "/collections": ["/collections", "/collections?f=html"], "/api": ["/api", "/api?f=html", "/api?lang=zh"],
        "/health": ["/health"], "/events": [], "/tileMatrixSets": ["/tileMatrixSets"],
        "/tileMatrixSets/{grid}": ["/tileMatrixSets/WebMercatorQuad"],
        "/themes/{theme}/tiles/{grid}/{matrix}/{row}/{col}": [
            f"/themes/{t}/tiles/WebMercatorQuad/{z}" for t in ("test", "base")
            for z in ("0/0/0", "9/200/420", "13/3202/6735")
        ],
        "/themes/{theme}/tiles": ["/themes/test/tiles", "/themes/grid/tiles", "/themes/base/tiles"],
        "/themes/{theme}/tiles/{grid}": [f"/themes/base/tiles/WebMercatorQuad{f}" for f in ("", "?f=tilejson")],
        "/tiles/{grid}/{matrix}/{row}/{col}": [
            f"/tiles/{g}/{z}" for g, z in (("WebMercatorQuad", "0/0/0"), ("WebMercatorQuad", "9/200/420"),
                                           ("WebMercatorQuad", "13/3202/6735"))
        ],
        "/tiles": ["/tiles"], "/tiles/{grid}": ["/tiles/WebMercatorQuad", "/tiles/WebMercatorQuad?f=tilejson"],
        "/map": ["/map"], "/map/layers": ["/map/layers"], "/measure": [f"/measure?geometry={point}"],
        "/dggs": ["/dggs", "/dggs?f=html"], "/dggs/{dggs}": ["/dggs/h3"], "/dggs/{dggs}/zones": ["/dggs/h3/zones"],
        "/dggs/{dggs}/zones/{zone}": ["/dggs/h3/zones/88318a8213fffff"],
        "/qgis/{project}.qgz": ["/qgis/city.qgz", "/qgis/test.qgz", "/qgis/base.qgz"],
        "/responsible": ["/responsible?lon=116&lat=36.5", "/responsible?q=116,36.5"],
        "/search": ["/search?q=name2", "/search?q=116.0,36.5", "/search?q=open", "/search?q=county"],
        "/sectors": ["/sectors"], "/sensing/layers": ["/sensing/layers"],
        "/sensing/datastreams": ["/sensing/datastreams", "/sensing/datastreams?f=html"],
        "/sensing/datastreams/{datastream}": [f"/sensing/datastreams/{n}" for n in (public, house.streams[DEPOT])],
        "/sensing/datastreams/{datastream}/observations": [
            f"/sensing/datastreams/{public}/observations", f"/sensing/datastreams/{house.streams[DEPOT]}/observations",
        ],
        "/sensing/latest": ["/sensing/latest", "/sensing/latest?bbox=115,36,117,37"],
        "/sensing/aggregate": [f"/sensing/aggregate?property=open_level&collection={AREA}"],
        "/styles": ["/styles"], "/styles/{style}": ["/styles/city", "/styles/test", "/styles/base", f"/styles/{OPEN}"],
        "/styles/{style}/legend": ["/styles/city/legend", "/styles/city/legend?f=json", "/styles/base/legend"],
        "/styles/{style}/labels": ["/styles/city/labels"],
        "/sprites/{name}": ["/sprites/light.json", "/sprites/light@2x.json"],
        "/fonts/{fontstack}/{range}.pbf": [], "/processes": ["/processes", "/processes?f=html"],
        "/processes/{process}": [f"/processes/{p}" for p in registry.processes()],
        "/processes/{process}/execution": [], "/jobs": ["/jobs", "/jobs?f=html"], "/jobs/{job}": [],
        "/jobs/{job}/results": [], "/jobs/{job}/results/{output}": [], "/reports/{fingerprint}": [],
        "/transactions": [], "/sensing/observations": [], "/static": [],
    }  # fmt: skip


def test_every_other_route(client: httpx.Client, house: House) -> None:
    routes = {r.path for r in create_app(Settings.read(), "postgresql://nobody")._router.routes}
    asked = _others(house)
    assert {r for r in routes if "{collection}" not in r} == asked.keys()
    good = 0
    for urls in asked.values():
        for url in urls:
            for accept in ("*/*", "text/html"):
                answer = client.get(url, headers={"accept": accept})
                clear(answer)
                good += answer.status_code == 200
    assert good > 80, "most of them are asked rightly"
    assert client.get("/health").json()["layers"] == 3
    assert {c["id"] for c in client.get("/collections").json()["collections"]} == {OPEN, AREA, "base.county"}
    # The public ones are in what was looked through.
    assert b"open-test.open-1" in client.get("/tiles/WebMercatorQuad/13/3202/6735").content
    assert "open_level" in client.get("/sensing/datastreams").text
    assert "open" in client.get("/search?q=openname").text


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/tiles/WebMercatorQuad?collections=zqx.yard", 400),
        ("/tiles/WebMercatorQuad/9/200/420?collections=zqx.yard", 400),
        ("/themes/zqx/tiles", 404),
        ("/themes/zqx/tiles/WebMercatorQuad/9/200/420", 404),
        (f"/collections/{OPEN}/aggregate?by=zqx.yard", 400),
        (f"/collections/{OPEN}/summary?by=zqx.yard", 400),
        ("/events?collections=zqx.depot", 400),
        ("/sensing/datastreams?collection=zqx.depot", 404),
        ("/sensing/latest?collection=zqx.depot", 404),
        ("/sensing/aggregate?property=zqx_level&collection=zqx.yard", 404),
        (f"/sensing/aggregate?property=zqx_level&of=zqx.depot&collection={AREA}", 404),
        ("/styles/zqx.depot", 404),
        ("/styles/zqx", 404),
        ("/styles/zqx.depot/legend", 404),
        ("/styles/zqx.depot/labels", 404),
        ("/qgis/zqx.qgz", 404),
        ("/search?q=zqxname2", 200),
        ("/search?q=zqx-zqx.depot-1", 200),
        ("/responsible?q=zqx-grid.zqx-1", 404),
    ],
)
def test_named_in_a_parameter(client: httpx.Client, url: str, status: int) -> None:
    answer = nobody(client, "GET", url)
    assert answer.status_code == status, answer.text[:300]


def test_the_village_of_a_public_feature(client: httpx.Client) -> None:
    refused = client.get(f"/collections/{OPEN}/aggregate?by=village")
    clear(refused)
    assert refused.status_code == 400 and "village" not in refused.json()["allowed"]
    assert client.get(f"/collections/{OPEN}/aggregate?by=county").status_code == 200


@pytest.mark.parametrize(
    ("process", "inputs"),
    [
        ("area-stat", {"layer": "zqx.yard"}),
        ("areal-interpolate", {"source": "zqx.yard", "field": "height", "target": AREA}),
        ("areal-interpolate", {"source": AREA, "field": "height", "target": "zqx.yard"}),
        ("areal-interpolate", {"source": AREA, "field": "height", "target": "base.county", "mask": "zqx.yard"}),
        ("grid-check", {"layer": "grid.zqx"}),
        ("grid-fusion", {"a": "grid.zqx", "b": AREA}),
        ("plan-acceptance", {"layer": "zqx.yard"}),
        ("project-generate", {"min_area_m2": 100, "from": "zqx.yard", "filter": "height > 1"}),
        ("water-trace", {"layer": "zqx.yard", "point": {"type": "Point", "coordinates": [116, 36.5]}}),
        ("restamp", {"layer": "zqx.depot"}),
    ],
)
def test_named_in_a_process(client: httpx.Client, house: House, process: str, inputs: dict[str, Any]) -> None:
    key = {"authorization": f"Bearer {house.key}"}
    answer = nobody(client, "POST", f"/processes/{process}/execution", json={"inputs": inputs}, headers=key)
    assert answer.status_code in (400, 404), answer.text[:500]


def test_stamps_are_kept_for_all_and_told_of_public_layers(client: httpx.Client, house: House) -> None:
    key = {"authorization": f"Bearer {house.key}"}
    end = time.monotonic() + 60
    while True:
        done = client.post("/processes/restamp/execution", json={"inputs": {}}, headers=key)
        clear(done)
        assert done.status_code == 200
        if not house.run("SELECT 1 FROM geocloud.stamp_status WHERE NOT current"):
            break
        assert time.monotonic() < end
        time.sleep(0.2)
    assert house.run(f'SELECT count(*) FROM stamps."{DEPOT}" WHERE village IS NOT NULL') == [(2,)]
    stamps = client.get(f"/collections/{OPEN}/stamps").json()
    assert "village" not in str(stamps) and stamps["stamps"][0]["county"].startswith("county-")
    jobs = client.get("/jobs?limit=500").json()["jobs"]
    assert jobs
    for job in jobs:
        # One that failed may say the name it was asked for.
        if job["status"] == "successful":
            for url in ("", "?f=html", "/results"):
                clear(client.get(f"/jobs/{job['jobID']}{url}"))


def test_changes_by_key(client: httpx.Client, house: House) -> None:
    key = {"authorization": f"Bearer {house.key}"}
    feature = {"type": "Feature", "properties": {"code": "X"}, "geometry": None}
    part = {"collection": "zqx.depot", "action": "create", "feature": feature}
    for body in ({"transactions": [part]}, {"parts": [part]}, [part]):
        nobody(client, "POST", "/transactions", json=body, headers=key)
    assert nobody(client, "POST", "/collections/zqx.depot/restore", json={}, headers=key).status_code == 404


@contextmanager
def _given(urls: Urls) -> Iterator[Urls]:
    yield urls


def test_commands_see_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (layers_command, process_command):
        monkeypatch.setattr(module, "ready_database", lambda *_a, **_k: _given(house.urls))
    listed = CliRunner().invoke(layers_command.app, ["list", "--json"])
    assert {x["id"]: x["read"] for x in json.loads(listed.stdout)}[DEPOT] == "internal"
    assert "internal" in CliRunner().invoke(layers_command.app, ["list"], env={"GEOCLOUD_LANGUAGE": "en"}).stdout
    inputs = [f"source={YARD}", "field=height", f"target={AREA}"]
    ran = CliRunner().invoke(process_command.app, ["run", "areal-interpolate", *inputs])
    assert ran.exit_code == 0 and json.loads(ran.stdout)["source"] == YARD, ran.output


def test_a_stock_pygeoapi_is_given_none_of_it(house: House) -> None:
    conn = psycopg2.connect(house.urls.reader)
    catalogue = read_catalogue(conn)
    conn.close()
    assert DEPOT in catalogue.layers
    config = configuration(Context(catalogue, Settings.read(), "http://127.0.0.1", "en"))
    assert set(config["resources"]) == {OPEN, AREA, "base.county"} and "zqx" not in str(config)


def _on_all_workers(house: House, holds: Callable[[httpx.Client], bool], within_s: float = 2) -> None:
    """Until a row of fresh connections, hence of workers, finds it so."""
    end, row = time.monotonic() + within_s, 0
    while row < 30:
        with httpx.Client(base_url=house.base, timeout=60) as one:
            row = row + 1 if holds(one) else 0
        assert row or time.monotonic() < end


CITY_TILE, AREA_TILE = "/tiles/WebMercatorQuad/9/200/420", f"/collections/{AREA}/tiles/WebMercatorQuad/9/200/420"
KEPT = [
    f"/collections/{AREA}", f"/collections/{AREA}/items", f"/collections/{AREA}/items/1", AREA_TILE,
    f"/collections/{AREA}/tiles/WebMercatorQuad.pmtiles", f"/collections/{AREA}/stamps", f"/collections/{AREA}/summary",
    f"/collections/{AREA}/items?f=csv", f"/styles/{AREA}", f"/collections/{AREA}/changes/log",
    f"/collections/{AREA}/aggregate?by=county", f"/collections/{OPEN}/aggregate?by={AREA}",
]  # fmt: skip
AMONG = [
    "/?f=html", "/collections", "/map/layers", CITY_TILE, "/styles/city", "/search?q=areaname2", "/qgis/city.qgz",
    "/tiles", "/api",
]  # fmt: skip


def test_a_layer_that_turns_internal_is_gone_at_once(house: House) -> None:
    tiles = Settings(tiles=TileSettings(tile_cache_dir=house.cache))
    (made,) = seed(house.urls.reader, tiles, [AREA], jobs=1)
    assert made.path is not None and not {x.name for x in seed(house.urls.reader, tiles, jobs=1)} & set(INTERNAL)
    time.sleep(1.1)  # servers look for new archives once a second
    tags: dict[str, str] = {}
    for _ in range(30):
        with httpx.Client(base_url=house.base, timeout=60) as one:
            for url in (*KEPT, *AMONG):
                answer = one.get(url)
                if answer.status_code != 200:
                    pytest.fail(f"{url}: {answer.status_code} {answer.text[:300]}")
                tags[url] = answer.headers.get("etag", "")
                assert "area" in told(answer), url
    with httpx.Client(base_url=house.base, timeout=30) as listener, listener.stream("GET", "/events") as events:
        lines = events.iter_lines()
        while not next(lines).startswith("data"):
            pass
        publish(house.urls, area_internal=True)
        _on_all_workers(house, lambda one: one.get(KEPT[0]).status_code == 404)
        for _ in range(30):
            with httpx.Client(base_url=house.base, timeout=60) as one:
                for url in KEPT:
                    again = one.get(url, headers={"if-none-match": tags[url]})
                    assert again.status_code == (400 if "by=test.area" in url else 404), url
                    assert "areaname" not in again.text and "area layer" not in again.text, url
                    assert one.get(url, headers={"range": "bytes=0-99"}).status_code == again.status_code, url
                for url in AMONG:
                    again = one.get(url, headers={"if-none-match": tags[url]})
                    said = told(again).replace('"query":"areaname2"', "")
                    for word in (AREA, "areaname", "area layer", "area1", "area_kind"):
                        assert word not in said, (url, word, said[:300])
        house.run("UPDATE test.area SET name = 'areaname3'")
        house.run("UPDATE test.open SET name = 'openname3'")
        heard = ""
        while '"test.open"' not in heard.partition("event: change")[2]:
            heard += next(lines) + "\n"
        assert AREA not in heard
    # What lies on disk serves nobody, and goes with the next cleaning.
    assert made.path in {path for path, _ in clean(house.urls.reader, tiles)} and not made.path.exists()
    publish(house.urls)
    _on_all_workers(house, lambda one: "areaname3" in one.get(f"/collections/{AREA}/items").text)
    _on_all_workers(house, lambda one: b"areaname3" in one.get(AREA_TILE).content)
