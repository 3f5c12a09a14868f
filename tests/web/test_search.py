# SPDX-License-Identifier: Apache-2.0
"""`/search` over HTTP: the shape of answers, languages, limits, errors, and that nothing stale is ever sent."""

from __future__ import annotations

import itertools
import time

import h3
import httpx
import jsonschema
import pytest

NUMBERS = itertools.count(100_001)
SHORT = {"lon", "lat", "kind", "title", "subtitle", "score"}


def find(client: httpx.Client, question: str, **more: object) -> list[dict]:
    answer = client.get("/search", params={"q": question, **more})
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["query"] == question
    return document["results"]


@pytest.fixture
def named(city, client):
    """A site with a name of its own, gone after the test."""
    # A number of its own each time: one that has lived cannot have been there for ever a second time.
    city.run(
        "INSERT INTO test.site (fid, code, name, kind, geom) "
        "VALUES (%s, 'N1', '望岳茶楼', 'lamp', ST_SetSRID(ST_Point(115.98, 36.45), 4490))",
        next(NUMBERS),
    )
    yield
    city.run("DELETE FROM test.site WHERE code = 'N1'")


def soon(client: httpx.Client, question: str, expected: list[str]) -> float:
    """Seconds until both workers have answered so; fails after two."""
    begin, right = time.monotonic(), 0
    while right < 8:
        with httpx.Client(base_url=client.base_url) as fresh:
            titles = [r["title"] for r in find(fresh, question)]
        right = right + 1 if titles == expected else 0
        taken = time.monotonic() - begin
        assert taken < 3, titles
        if not right:
            assert taken < 2, titles
    return taken


def test_a_place_has_all_that_a_map_needs(client, named):
    soon(client, "wycl", ["望岳茶楼"])
    (found,) = find(client, "wycl")
    assert found | {"fid": 0, "score": 0} == {
        "kind": "place",
        "title": "望岳茶楼",
        "subtitle": "Sites · lamp",
        "collection": "test.site",
        "fid": 0,
        "lon": 115.98,
        "lat": 36.45,
        "bbox": [115.98, 36.45, 115.98, 36.45],
        "score": 0,
    }
    item = client.get(f"/collections/test.site/items/{found['fid']}").json()
    assert item["properties"]["name"] == "望岳茶楼"
    (chinese,) = find(client, "wycl", lang="zh")
    assert chinese["subtitle"] == "Sites(中文) · lamp(中文)"


def test_what_is_written_is_found_within_a_second_by_every_worker(city, client, named):
    soon(client, "望岳", ["望岳茶楼"])
    city.run("UPDATE test.site SET name = '望湖茶楼' WHERE code = 'N1'")
    soon(client, "望湖", ["望湖茶楼"])
    soon(client, "望岳", [])


def test_kept_answers_are_told_by_etag_and_dropped_with_the_next_write(city, client, named):
    soon(client, "望岳", ["望岳茶楼"])
    first = client.get("/search", params={"q": "望岳"})
    again = client.get("/search", params={"q": "望岳"}, headers={"if-none-match": first.headers["etag"]})
    assert (first.status_code, again.status_code) == (200, 304)
    assert first.headers["content-language"] == "en"
    city.run("UPDATE test.site SET name = '望海茶楼' WHERE code = 'N1'")
    soon(client, "望岳", [])


def test_hidden_values_are_not_found(client):
    assert find(client, "13800000000") == []


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_limit(client, limit):
    assert len(find(client, "光岳楼", limit=limit)) == limit


def test_limits_are_the_settings(client):
    assert len(find(client, "光岳楼")) == 10
    assert len(find(client, "光岳楼", limit=100000)) == 50


def test_near_orders_places_of_one_name(city, client):
    lakes = [s for s in city.sites.values() if s["name"] == "东昌湖"][:5]
    for site in lakes:
        (first, *_) = find(client, "dch", near=f"{site['x']},{site['y']}", limit=3)
        assert (first["lon"], first["lat"]) == (site["x"], site["y"])


def test_positions_come_first(client):
    found = find(client, "115.981,36.456")
    assert [(f["kind"], f["crs"]) for f in found] == [("coordinate", "OGC:CRS84"), ("coordinate", "GCJ-02")]
    assert set(found[0]) == SHORT | {"crs"}
    assert (found[0]["lon"], found[0]["lat"]) == (115.981, 36.456)


@pytest.mark.parametrize(
    ("question", "crs"),
    [
        ("4036624.603757 39408653.614725", "EPSG:4527"),
        ("4036624.603757 408653.614725", "EPSG:4548"),
        ("N50J305D7C5", "BeiDou"),
        (h3.latlng_to_cell(36.456, 115.981, 9), "H3"),
        ("高德 115.98,36.45", "GCJ-02"),
        ("东经115°58′51″ 北纬36°27′21″", "OGC:CRS84"),
    ],
)
def test_positions_in_other_systems(client, question, crs):
    found = find(client, question)[0]
    assert found["crs"] == crs
    assert 115.9 < found["lon"] < 116.1
    assert 36.4 < found["lat"] < 36.5
    assert ("bbox" in found) == (crs in ("BeiDou", "H3"))


def test_a_code_of_a_feature_is_found(city, client):
    (found,) = find(client, "S00007")
    assert found["fid"] == 7
    assert found["title"] == (city.sites[7]["name"] or "S00007")


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({}, "q"),
        ({"q": "a" * 201}, "q"),
        ({"q": "a" * 10_000}, "q"),
        ({"q": "a", "limit": "0"}, "limit"),
        ({"q": "a", "limit": "many"}, "limit"),
        ({"q": "a", "near": "115"}, "near"),
        ({"q": "a", "near": "115,91"}, "near"),
        ({"q": "a", "near": "nan,1"}, "near"),
        ({"q": "a", "colour": "red"}, "colour"),
        ({"q": ["a", "b"]}, "q"),
    ],
    ids=[
        "none",
        "long",
        "very-long",
        "limit-0",
        "limit-words",
        "near-one",
        "near-pole",
        "near-nan",
        "unknown",
        "twice",
    ],
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_is_asked_wrongly_is_told(client, params, parameter, language):
    answer = client.get("/search", params=params, headers={"accept-language": language})
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == problem["status"] == 400
    assert problem.get("parameter") == parameter
    assert any("\u4e00" <= c <= "\u9fff" for c in problem["detail"]) == (language == "zh")


@pytest.mark.parametrize(
    "question", ["", " ", ".*", "%", "'; DROP TABLE test.site", "\x00\x1b", "🙂", "(", "\\", "a" * 200, "\u202e", "$1"]
)
def test_hostile_questions_are_answered(client, question):
    answer = client.get("/search", params={"q": question})
    assert answer.status_code == 200
    assert answer.json() == {"query": question, "results": []}


def test_formats(client):
    assert client.get("/search", params={"q": "a", "f": "html"}).status_code == 406
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert client.get("/search", params={"q": "a"}, headers=browser).headers["content-type"] == "application/json"


def test_answers_fit_the_definition(client, named):
    definition = client.get("/api", params={"f": "json"}).json()
    operation = definition["paths"]["/search"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    for question in ("光岳楼", "wycl", "115.981,36.456", "N50J305D7C5", "nothing at all"):
        jsonschema.validate(client.get("/search", params={"q": question}).json(), schema)
    assert {p.get("name") for p in operation["parameters"] if "name" in p} == {"q", "limit", "near", "f"}
