# SPDX-License-Identifier: Apache-2.0
"""Items: pages that add up, order, boxes, CRS, formats, counts; compared with the rows the tests put in."""

from __future__ import annotations

import csv
import gzip
import io
from functools import cmp_to_key
from typing import Any
from urllib.parse import parse_qs, urlsplit

import cramjam
import httpx
import pyproj
import pytest

from tests.web.conftest import SITE, ZONE, City

ITEMS = f"/collections/{SITE}/items"


def get(client: httpx.Client, path: str, **params: object) -> Any:
    answer = client.get(path, params={k: str(v) for k, v in params.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


def href(document: Any, rel: str) -> str | None:
    return next((x["href"] for x in document["links"] if x["rel"] == rel), None)


def walk(client: httpx.Client, first: str, rel: str) -> list[list[int]]:
    """Feature ids of a page and all that follow by `next` or `prev`."""
    pages, address = [], first
    while address:
        document = client.get(address).json()
        assert document["numberReturned"] == len(document["features"])
        pages.append([f["id"] for f in document["features"]])
        address = href(document, rel) or ""
        assert len(pages) < 10_000
    return pages


def in_order(city: City, *keys: str) -> list[int]:
    """Feature ids sorted by the tests' own comparison: nulls are greatest, the id decides."""

    def compare(a: int, b: int) -> int:
        for key in keys:
            name, sign = key.lstrip("-"), -1 if key.startswith("-") else 1
            left, right = city.sites[a][name], city.sites[b][name]
            if left != right:
                if left is None or right is None:
                    return sign if left is None else -sign
                left, right = (x.encode() if isinstance(x, str) else x for x in (left, right))
                return sign if left > right else -sign
        return a - b

    return sorted(city.sites, key=cmp_to_key(compare))


def test_feature_is_as_stored(client: httpx.Client, city: City) -> None:
    feature = get(client, f"{ITEMS}/17")
    row = city.sites[17]
    assert feature["type"] == "Feature"
    assert feature["id"] == 17
    assert feature["geometry"] == {"type": "Point", "coordinates": [row["x"], row["y"]]}
    assert feature["properties"] == {k: v for k, v in row.items() if k not in "xy"}


def test_numbers_keep_their_decimal_point(client: httpx.Client, city: City) -> None:
    """Whole values of a field of numbers are floats to every reader; integers stay integers."""
    for feature in get(client, ITEMS, limit=500)["features"]:
        for name, value in feature["properties"].items():
            assert type(value) is type(city.sites[feature["id"]][name]), (name, value)


@pytest.mark.parametrize("limit", [7, 1000, 2400])
def test_pages_forward_hold_every_feature_once(client: httpx.Client, city: City, limit: int) -> None:
    pages = walk(client, f"{ITEMS}?limit={limit}", "next")
    assert [fid for page in pages for fid in page] == sorted(city.sites)
    assert [len(p) for p in pages[:-1]] == [limit] * (len(pages) - 1)


@pytest.mark.parametrize(
    "sortby", ["-code", "kind", "-kind", "height,-year", "open,-built,name", "-checked", "year", "-height,kind"]
)
@pytest.mark.parametrize("condition", ["", "&open=true"], ids=["scan", "hits"])
def test_sorted_pages_walk_both_ways(client: httpx.Client, city: City, sortby: str, condition: str) -> None:
    expected = [f for f in in_order(city, *sortby.split(",")) if not condition or city.sites[f]["open"]]
    first = f"{ITEMS}?limit=97&sortby={sortby}{condition}"
    forward = walk(client, first, "next")
    assert [fid for page in forward for fid in page] == expected
    last = href(client.get(first).json(), "last")
    assert last
    backward = walk(client, last, "prev")
    assert [fid for page in reversed(backward) for fid in page] == expected


def test_large_sorted_page_is_streamed_in_order(client: httpx.Client, city: City) -> None:
    expected = in_order(city, "-year", "name")
    document = get(client, ITEMS, limit=2000, sortby="-year,name")
    assert [f["id"] for f in document["features"]] == expected[:2000]
    rest = walk(client, href(document, "next") or "", "next")
    assert [fid for page in rest for fid in page] == expected[2000:]


def test_large_filtered_page_is_streamed_in_order(client: httpx.Client, city: City) -> None:
    expected = [f for f in in_order(city, "-year") if city.sites[f]["kind"] is not None]
    document = get(client, ITEMS, limit=1500, sortby="-year", filter="kind IS NOT NULL")
    assert [f["id"] for f in document["features"]] == expected[:1500]
    assert document["numberMatched"] == len(expected)


def test_offset_agrees_with_walk(client: httpx.Client) -> None:
    assert [f["id"] for f in get(client, ITEMS, limit=5, offset=1234)["features"]] == [1235, 1236, 1237, 1238, 1239]
    assert get(client, ITEMS, limit=5, offset=99_999)["features"] == []


@pytest.mark.parametrize(
    "box",
    [(115.5, 36.0, 115.9, 36.3), (115.3, 35.8, 116.5, 37.0), (116.0, 36.0, 116.01, 36.01), (0, 0, 1, 1)],
    ids=["part", "all", "tiny", "elsewhere"],
)
def test_box_is_exact_and_counted(client: httpx.Client, city: City, box: tuple[float, ...]) -> None:
    w, s, e, n = box
    expected = [f for f, r in city.sites.items() if w <= r["x"] <= e and s <= r["y"] <= n]
    document = get(client, ITEMS, limit=3000, bbox=",".join(map(str, box)))
    assert [f["id"] for f in document["features"]] == expected
    assert document["numberMatched"] == document["numberReturned"] == len(expected)


def test_box_edge_includes_point_on_it_and_excludes_the_next_double(client: httpx.Client, city: City) -> None:
    x, y = city.sites[5]["x"], city.sites[5]["y"]
    on = get(client, ITEMS, bbox=f"{x},{y},{x + 0.001},{y + 0.001}")
    assert 5 in [f["id"] for f in on["features"]]
    beside = get(client, ITEMS, bbox=f"{x + 1e-9:.10f},{y},{x + 0.001},{y + 0.001}")
    assert 5 not in [f["id"] for f in beside["features"]]


def test_box_beside_a_triangle_is_empty(client: httpx.Client) -> None:
    path = f"/collections/{ZONE}/items"
    assert get(client, path, bbox="116.15,36.15,116.19,36.19")["features"] == []
    assert len(get(client, path, bbox="116.05,36.05,116.06,36.06")["features"]) == 1


@pytest.mark.parametrize("code", [4490, 4326, 3857, 4526, 4527, 4547, 4548])
def test_crs_out_and_box_in_follow_the_authority(client: httpx.Client, city: City, code: int) -> None:
    uri = f"http://www.opengis.net/def/crs/EPSG/0/{code}"
    answer = client.get(ITEMS, params={"crs": uri, "limit": "20"})
    assert answer.headers["content-crs"] == f"<{uri}>"
    # pyproj hands out coordinates in the authority's axis order unless told otherwise.
    to = pyproj.Transformer.from_crs(4490 if code != 4326 else 4326, code)
    for feature in answer.json()["features"]:
        row = city.sites[feature["id"]]
        expected = to.transform(row["y"], row["x"])
        unit = 1e-8 if code in (4490, 4326) else 1e-3
        assert feature["geometry"]["coordinates"] == pytest.approx(expected, abs=unit)
    low, high = to.transform(36.0, 115.6), to.transform(36.05, 115.66)
    inside = get(client, ITEMS, limit=500, bbox=",".join(map(str, (*low, *high))), **{"bbox-crs": uri})
    expected_ids = set()
    for fid, row in city.sites.items():
        a, b = to.transform(row["y"], row["x"])
        if low[0] <= a <= high[0] and low[1] <= b <= high[1]:
            expected_ids.add(fid)
    assert {f["id"] for f in inside["features"]} == expected_ids


def test_simple_filter_and_properties(client: httpx.Client, city: City) -> None:
    document = get(client, ITEMS, kind="tree", limit=3000, properties="name,code")
    expected = [f for f, r in city.sites.items() if r["kind"] == "tree"]
    assert [f["id"] for f in document["features"]] == expected
    assert list(document["features"][0]["properties"]) == ["code", "name"]


def test_csv_reads_back(client: httpx.Client, city: City) -> None:
    answer = client.get(ITEMS, params={"f": "csv", "limit": "2400"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert len(rows) == len(city.sites)
    for row in rows:
        stored = city.sites[int(row["fid"])]
        assert row["name"] == (stored["name"] or "")
        assert (float(row["x"]), float(row["y"])) == (stored["x"], stored["y"])
        assert row["height"] == ("" if stored["height"] is None else str(stored["height"]).removesuffix(".0"))
    assert "13800000000" not in answer.text


def test_compressed_answers_are_the_same(client: httpx.Client) -> None:
    for limit in (900, 2000):
        plain = client.get(ITEMS, params={"limit": limit, "f": "csv"}).content
        for coding, unpack in (("gzip", gzip.decompress), ("br", cramjam.brotli.decompress)):
            with client.stream(
                "GET", ITEMS, params={"limit": limit, "f": "csv"}, headers={"accept-encoding": coding}
            ) as a:
                assert a.headers.get("content-encoding") in (coding, "gzip")
                raw = b"".join(a.iter_raw())
            unpack = gzip.decompress if a.headers["content-encoding"] == "gzip" else unpack
            assert bytes(unpack(raw)) == plain


def test_same_question_is_not_modified_until_a_row_changes(client: httpx.Client, city: City) -> None:
    first = client.get(ITEMS, params={"limit": 3})
    tag = first.headers["etag"]
    for given in (tag, f'"other", {tag}', f"W/{tag}"):
        again = client.get(ITEMS, params={"limit": 3}, headers={"if-none-match": given})
        assert (again.status_code, again.content) == (304, b"")
    assert client.get(ITEMS, params={"limit": 4}, headers={"if-none-match": tag}).status_code == 200
    city.run("UPDATE test.site SET name = 'changed' WHERE fid = 3")
    document, tries = first.json(), 0
    while document["features"][2]["properties"]["name"] != "changed":
        answer = client.get(ITEMS, params={"limit": 3}, headers={"if-none-match": tag})
        document = answer.json() if answer.status_code == 200 else document
        tries += 1
        assert tries < 2_000, "a change must be seen within a second"
    assert answer.headers["etag"] != tag
    city.run("UPDATE test.site SET name = %s WHERE fid = 3", city.sites[3]["name"])


def test_tokens_are_bound_to_their_question(client: httpx.Client) -> None:
    following = href(get(client, ITEMS, limit=10, kind="lamp"), "next")
    assert following
    token = parse_qs(urlsplit(following).query)["token"][0]
    assert client.get(ITEMS, params={"limit": 10, "kind": "lamp", "token": token}).status_code == 200
    for params in (
        {"limit": 10, "token": token},
        {"kind": "tree", "token": token},
        {"kind": "lamp", "token": token[:-2]},
    ):
        answer = client.get(ITEMS, params=params)
        assert answer.status_code == 400
        assert answer.json()["parameter"] == "token"


@pytest.mark.parametrize("path", ["/", "/collections", f"/collections/{SITE}", ITEMS, f"{ITEMS}/1", "/api", "/nowhere"])
def test_pages_may_load_from_this_host_only(client: httpx.Client, path: str) -> None:
    page = client.get(path, params={"f": "html"} if path != "/nowhere" else {}, headers={"accept": "text/html"})
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<style" not in page.text and ' style="' not in page.text and "<script>" not in page.text
