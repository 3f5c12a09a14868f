# SPDX-License-Identifier: Apache-2.0
"""Differences over HTTP: pages, tables, what they come to, and the pages a browser shows."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator

import httpx
import mapbox_vector_tile
import psycopg2
import pytest

from .conftest import City, run_server

SITES, ZONES = "/collections/test.site/changes", "/collections/test.zone/changes"
YEAR = {"from": "2024-12-31", "to": "2025-12-31"}


@pytest.fixture(scope="module")
def changed(city: City) -> City:
    """All there since 2020, and in 2025: 300 sites renamed, 40 moved, 25 gone, 10 new; a zone reshaped, one turned."""
    for table in ("site", "zone"):
        city.run(f"SET LOCAL geocloud.change = 'correction'; UPDATE test.{table} SET valid_from = '2020-01-01Z'")
    at = "SET LOCAL geocloud.valid_at = '2025-06-01T00:00:00+08'; "
    city.run(at + "UPDATE test.site SET name = 'new name', year = 2025 WHERE fid <= 300")
    city.run(at + "UPDATE test.site SET geom = ST_Translate(geom, 0.01, 0) WHERE fid BETWEEN 281 AND 320")
    city.run(at + "DELETE FROM test.site WHERE fid BETWEEN 401 AND 425")
    city.run(
        "INSERT INTO test.site (fid, code, kind, valid_from, geom) SELECT n, 'N' || n, 'lamp', '2025-03-01', "
        "ST_SetSRID(ST_Point(116, 36.5 + n / 1e6), 4490) FROM generate_series(5001, 5010) n"
    )
    city.run(at + "UPDATE test.site SET phone = 'hidden' WHERE fid BETWEEN 600 AND 700")
    city.run(at + "UPDATE test.zone SET geom = ST_Multi(ST_Buffer(geom, 0.001)) WHERE code = 'far'")
    city.run(at + "UPDATE test.zone SET geom = ST_Reverse(geom), label = 'turned' WHERE code = 'square'")
    return city


@pytest.fixture(scope="module")
def base(changed: City, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from run_server(changed.urls.reader, tmp_path_factory.mktemp("home"))


@pytest.fixture
def web(base: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base, headers={"accept-language": "en"}, timeout=60) as found:
        yield found


def walk(web: httpx.Client, path: str, **params: object) -> tuple[list[dict], list[dict]]:
    """All features of all pages, and the pages."""
    page = web.get(path, params=params).raise_for_status().json()
    pages, features = [page], list(page["features"])
    while following := [x["href"] for x in page["links"] if x["rel"] == "next"]:
        page = web.get(following[0]).raise_for_status().json()
        pages.append(page)
        features += page["features"]
    return features, pages


def test_pages_follow_one_another_and_hold_each_change_once(web: httpx.Client) -> None:
    features, pages = walk(web, SITES, **YEAR, limit=37)
    assert [f["id"] for f in features] == [*range(1, 321), *range(401, 426), *range(5001, 5011)]
    assert {p["numberMatched"] for p in pages} == {355}
    assert len(pages) == 10 and sum(p["numberReturned"] for p in pages) == 355
    kinds = {f["id"]: f["properties"]["change_kinds"] for f in features}
    assert kinds[1] == ["attributes"] and kinds[290] == ["moved", "attributes"] and kinds[310] == ["moved"]
    assert kinds[410] == ["removed"] and kinds[5001] == ["added"]
    one = features[0]["properties"]
    assert one["name"] == "new name" and one["change_fields"]["name"]["is"] == "new name"
    assert set(one["change_fields"]) <= {"name", "year"} and "phone" not in one


def test_a_page_without_an_end_goes_on_about_the_same_moment(web: httpx.Client) -> None:
    features, pages = walk(web, SITES, **{"from": "2024-12-31"}, limit=100)
    assert len(features) == 355
    assert len({p["to"] for p in pages}) == 1


def test_a_token_belongs_to_its_question(web: httpx.Client) -> None:
    page = web.get(SITES, params={**YEAR, "limit": 5}).json()
    token = next(x["href"] for x in page["links"] if x["rel"] == "next").split("token=")[1]
    answer = web.get(f"{SITES}?from=2024-12-30&to=2025-12-31&limit=5&token={token}")
    assert answer.status_code == 400 and answer.json()["parameter"] == "token"


def test_kinds_boxes_and_filters(web: httpx.Client) -> None:
    moved, _ = walk(web, SITES, **YEAR, kind="moved,added", limit=1000)
    assert [f["id"] for f in moved] == [*range(281, 321), *range(5001, 5011)]
    named, _ = walk(web, SITES, **YEAR, filter="name = 'new name'", limit=1000)
    assert [f["id"] for f in named] == [*range(1, 301)]
    near, _ = walk(web, SITES, **YEAR, bbox="115.9999,36.5049,116.0001,36.5052", limit=1000)
    assert {f["id"] for f in near} >= set(range(5001, 5011))
    gone, _ = walk(web, SITES, **YEAR, kind="removed", before="true", limit=1000)
    assert all(f["geometry"] == f["before"] for f in gone) and len(gone) == 25


def test_what_they_come_to(web: httpx.Client) -> None:
    found = web.get(f"{SITES}/summary", params=YEAR).raise_for_status().json()
    assert found["features"] == {"from": 2400, "to": 2385}
    assert found["kinds"] == {"added": 10, "removed": 25, "moved": 40, "reshaped": 0, "attributes": 300}
    assert found["changed"] == 355
    assert [(f["name"], f["count"]) for f in found["fields"]][0] == ("name", 300)
    for state, when in (("from", "2024-12-31T15:59:59.999999Z"), ("to", "2025-12-31T15:59:59.999999Z")):
        assert found[state] == when
        items = web.get("/collections/test.site/items", params={"datetime": when, "limit": 1}).json()
        assert items["numberMatched"] == found["features"][state]
    zones = web.get(f"{ZONES}/summary", params=YEAR).json()
    assert zones["kinds"] == {"added": 0, "removed": 0, "moved": 0, "reshaped": 1, "attributes": 1}
    assert zones["area_m2"]["net"] == pytest.approx(zones["area_m2"]["reshaped"]) and zones["area_m2"]["net"] > 0
    assert zones["area_m2"]["added"] == zones["area_m2"]["removed"] == 0


def test_a_table(web: httpx.Client) -> None:
    answer = web.get(SITES, params={**YEAR, "f": "csv", "limit": 1000}).raise_for_status()
    assert answer.headers["ogc-numbermatched"] == "355"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) == 355
    row = next(r for r in rows if r["fid"] == "290")
    assert row["change_kinds"] == "moved attributes" and row["name_is"] == "new name"
    assert float(row["change_moved_m"]) == pytest.approx(896, rel=0.02)
    gone = next(r for r in rows if r["fid"] == "410")
    assert gone["code_was"] == "S00410" and gone["code_is"] == "" and gone["x"]


def test_what_was_learnt_between_two_moments(web: httpx.Client, changed: City) -> None:
    conn = psycopg2.connect(changed.urls.owner)
    with conn, conn.cursor() as cur:
        cur.execute("SELECT DISTINCT sys_from FROM test.site ORDER BY 1")
        stamps = [r[0] for r in cur.fetchall()]
        cur.execute("SELECT clock_timestamp()")
        now = cur.fetchone()[0]  # type: ignore[index]
    conn.close()
    params = {"by": "transaction", "from": stamps[0].isoformat(), "to": now.isoformat(), "datetime": "2025-12-31"}
    found = web.get(f"{SITES}/summary", params=params).raise_for_status().json()
    assert found["kinds"]["removed"] == 25 and found["kinds"]["added"] == 10 and found["kinds"]["attributes"] == 300
    params["datetime"] = "2025-01-01"
    assert web.get(f"{SITES}/summary", params=params).json()["changed"] == 0
    # As the city was believed to be before any of it was written.
    old = {**YEAR, "asof": stamps[0].isoformat()}
    assert web.get(f"{SITES}/summary", params=old).json()["changed"] == 0


def test_pages_for_people(web: httpx.Client) -> None:
    page = web.get(SITES, params={**YEAR, "f": "html", "limit": 400}).raise_for_status().text
    assert "2,400 → 2,385 features, 355 changed" in page
    assert len(re.findall(r"<tr><th scope=\"row\">", page)) == 355
    assert page.count('<circle class="point"') == 355
    assert "new name" in page
    shown = web.get(ZONES, params={**YEAR, "f": "html", "lang": "zh"}).text
    assert "变形" in shown and "净变化" in shown
    empty = web.get(SITES, params={"from": "2023-01-01", "to": "2023-02-01", "f": "html"}).text
    assert "Nothing changed" in empty
    assert "Compare" in web.get(SITES, params={"f": "html"}).raise_for_status().text


WRONG = {
    "no from": ({}, "from"),
    "no date": ({"from": "yesterday"}, "from"),
    "leap day of no leap year": ({"from": "2023-02-29"}, "from"),
    "the later date first": ({"from": "2025-01-02", "to": "2025-01-01"}, "from"),
    "by what": ({"from": "2025-01-01", "by": "night"}, "by"),
    "a belief ahead": ({"from": "2025-01-01", "to": "2999-01-01", "by": "transaction"}, "to"),
    "asof of beliefs": ({"from": "2025-01-01", "by": "transaction", "asof": "2025-01-01"}, "asof"),
    "datetime of dates": ({"from": "2025-01-01", "datetime": "2025-01-01"}, "datetime"),
    "a kind nobody knows": ({"from": "2025-01-01", "kind": "added,lost"}, "kind"),
    "before what": ({"from": "2025-01-01", "before": "yes"}, "before"),
    "a filter on a hidden field": ({"from": "2025-01-01", "filter": "phone = '1'"}, "filter"),
    "a parameter nobody knows": ({"from": "2025-01-01", "until": "2026-01-01"}, "until"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_asked(web: httpx.Client, name: str) -> None:
    params, parameter = WRONG[name]
    answer = web.get(SITES, params=params)
    assert answer.status_code == 400 and answer.json()["parameter"] == parameter


def test_a_layer_nobody_knows(web: httpx.Client) -> None:
    assert web.get("/collections/test.nothing/changes?from=2025-01-01").status_code == 404


def test_not_sent_again_while_the_layer_is_the_same(web: httpx.Client) -> None:
    first = web.get(SITES, params=YEAR)
    assert web.get(SITES, params=YEAR, headers={"if-none-match": first.headers["etag"]}).status_code == 304
    assert "etag" not in web.get(SITES, params={"from": "2024-12-31"}).headers


def test_tiles_of_changes(web: httpx.Client) -> None:
    """Every change is in the tiles that cover the sites, once; the shape of before is told apart."""
    seen: dict[int, str] = {}
    before = 0
    for row in range(98, 102):
        for col in range(208, 214):
            answer = web.get(f"{SITES}/tiles/WebMercatorQuad/8/{row}/{col}", params=YEAR)
            assert answer.status_code in (200, 204)
            for f in mapbox_vector_tile.decode(answer.content).get("test.site", {"features": []})["features"]:
                assert "overview" not in f["properties"]
                if f["properties"]["change"] == "before":
                    before += 1
                else:
                    seen[f["id"]] = f["properties"]["change"]
    assert len(seen) == 355 and before >= 40
    assert {k: list(seen.values()).count(k) for k in set(seen.values())} == {
        "attributes": 280, "moved": 40, "removed": 25, "added": 10
    }  # fmt: skip
    tile = f"{SITES}/tiles/WebMercatorQuad/8/100/210"
    first = web.get(tile, params=YEAR)
    assert first.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert web.get(tile, params=YEAR, headers={"if-none-match": first.headers["etag"]}).status_code == 304
    assert web.get(tile).status_code == 400
    assert web.get(tile, params={**YEAR, "bbox": "1,2,3,4"}).json()["parameter"] == "bbox"
    assert web.get(f"{SITES}/tiles/WebMercatorQuad/8/999/210", params=YEAR).status_code == 404


def test_a_filter_may_name_the_times(web: httpx.Client) -> None:
    found, _ = walk(web, SITES, **YEAR, filter="valid_from > TIMESTAMP('2025-01-01T00:00:00Z')", limit=1000)
    assert {f["id"] for f in found} == {*range(1, 321), *range(5001, 5011)}


def test_how_many_there_are_is_counted_again_after_a_write(web: httpx.Client, changed: City) -> None:
    page = web.get(SITES, params={**YEAR, "limit": 300}).json()
    changed.run("SET LOCAL geocloud.valid_at = '2025-08-01Z'; DELETE FROM test.site WHERE fid = 900")
    following = next(x["href"] for x in page["links"] if x["rel"] == "next")
    end = time.monotonic() + 30
    while (found := web.get(following).json())["numberMatched"] != page["numberMatched"] + 1:
        assert time.monotonic() < end
    assert 900 in {f["id"] for f in found["features"]}
