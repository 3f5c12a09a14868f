# SPDX-License-Identifier: Apache-2.0
"""Wrong questions: each gets a right answer or a 4xx that names the parameter, never a 500 and never SQL."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import psycopg2
import pytest

from tests.web.conftest import SITE, City

ITEMS = f"/collections/{SITE}/items"
PROBLEM = "application/problem+json"

# case, query string, status, parameter named in the problem
CASES = [
    ("limit zero", "limit=0", 400, "limit"),
    ("limit negative", "limit=-1", 400, "limit"),
    ("limit not a number", "limit=ten", 400, "limit"),
    ("limit in Arabic digits", "limit=%D9%A1", 400, "limit"),
    ("limit overflows", "limit=99999999999999999999999", 200, None),
    ("limit over the maximum", "limit=50001&properties=code", 200, None),
    ("limit twice", "limit=1&limit=2", 400, "limit"),
    ("offset too deep", "offset=100001", 400, "offset"),
    ("offset overflows", "offset=9223372036854775808", 400, "offset"),
    ("offset and token", "offset=1&token=x", 400, "offset"),
    ("unknown parameter", "colour=red", 400, "colour"),
    ("hidden field as parameter", "phone=13800000000", 400, "phone"),
    ("hidden field in filter", "filter=phone%20IS%20NOT%20NULL", 400, "filter"),
    ("hidden field in properties", "properties=phone", 400, "properties"),
    ("hidden field in sortby", "sortby=phone", 400, "sortby"),
    ("system column in properties", "properties=sys_from", 400, "properties"),
    ("sortby geometry", "sortby=geom", 400, "sortby"),
    ("sortby same twice", "sortby=year,-year", 400, "sortby"),
    ("sortby too many", "sortby=code,name,kind,height,year", 400, "sortby"),
    ("sortby empty", "sortby=", 400, "sortby"),
    ("bbox of three", "bbox=1,2,3", 400, "bbox"),
    ("bbox of text", "bbox=a,b,c,d", 400, "bbox"),
    ("bbox with NaN", "bbox=NaN,0,1,1", 400, "bbox"),
    ("bbox with infinity", "bbox=-inf,-inf,inf,inf", 400, "bbox"),
    ("bbox upside down", "bbox=115,37,116,36", 400, "bbox"),
    ("bbox across the antimeridian", "bbox=170,35,116,37", 200, None),
    ("bbox of six", "bbox=115,35,0,117,38,100", 200, None),
    ("bbox out of degrees", "bbox=-500,-500,500,500", 400, "bbox"),
    ("bbox-crs unknown", "bbox=1,2,3,4&bbox-crs=EPSG:1", 400, "bbox-crs"),
    ("crs not served", "crs=http://www.opengis.net/def/crs/EPSG/0/32650", 400, "crs"),
    ("crs pseudo", "crs=GCJ-02", 400, "crs"),
    ("datetime of words", "datetime=yesterday", 400, "datetime"),
    ("datetime ends before it starts", "datetime=2020-01-02/2020-01-01", 400, "datetime"),
    ("datetime 30 February", "datetime=2020-02-30", 400, "datetime"),
    ("datetime year 10000", "datetime=10000-01-01T00:00:00Z", 400, "datetime"),
    ("datetime open", "datetime=../2020-01-01", 200, None),
    ("number field given text", "height=tall", 400, "height"),
    ("number field overflow", "height=1e999", 400, "height"),
    ("integer field overflow", "year=99999999999999999999", 400, "year"),
    ("boolean field given yes", "open=yes", 400, "open"),
    ("NUL byte in a value", "name=%00", 400, "name"),
    ("NUL byte in a name", "na%00me=1", 400, "name"),
    ("NUL byte in a filter", "filter=name='%00'", 400, "filter"),
    ("not UTF-8", "name=%FF%FE", 400, None),
    ("filter-lang unknown", "filter-lang=sql&filter=a", 400, "filter-lang"),
    ("filter empty", "filter=", 400, "filter"),
    ("filter broken", "filter=name%20=%20'", 400, "filter"),
    ("filter of SQL", "filter=1=1;DROP%20TABLE%20test.site", 400, "filter"),
    ("filter calls a database function", "filter=pg_sleep(10)=1", 400, "filter"),
    ("filter too long", "filter=" + "name='x'%20OR%20" * 600 + "name='x'", 400, "filter"),
    ("filter too deep", "filter=" + "NOT%20(" * 2000 + "name='x'" + ")" * 2000, 400, "filter"),
    ("format unknown", "f=shp", 406, None),
    ("language unknown", "lang=fr", 400, "lang"),
    ("token forged", "token=AAAAAAAAAAAAAAAAAAAAAAAAAA", 400, "token"),
    ("token not base64", "token=%E4%B8%AD", 400, "token"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "status", "parameter"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_question_is_answered_or_refused_in_words(
    client: httpx.Client, query: str, status: int, parameter: str | None
) -> None:
    answer = client.get(f"{ITEMS}?{query}")
    assert answer.status_code == status, answer.text
    if status != 200:
        problem = answer.json()
        assert answer.headers["content-type"] == PROBLEM
        assert problem["status"] == status
        assert problem["detail"]
        assert problem.get("parameter") == parameter
        for word in ("SELECT", "psycopg", "asyncpg", "Traceback", "SQLSTATE"):
            assert word not in problem["detail"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/collections/nothing.here", 404),
        ("/collections/test.site%00", 404),
        ("/collections/nothing.here/items", 404),
        (f"{ITEMS}/0", 404),
        (f"{ITEMS}/-1", 404),
        (f"{ITEMS}/one", 404),
        (f"{ITEMS}/1e3", 404),
        (f"{ITEMS}/99999999999999999999999999", 404),
        (f"{ITEMS}/9223372036854775807", 404),
        (f"{ITEMS}/1/2", 404),
        (f"{ITEMS}/1?limit=1", 400),
        ("/collections?x=1", 400),
        ("/conformance?f=csv", 406),
        ("/../../etc/passwd", 404),
        ("/static/../app.py", 404),
    ],
)
def test_path_that_leads_nowhere(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert "detail" in answer.json() or path.startswith("/static")


def test_errors_speak_the_asked_language(client: httpx.Client) -> None:
    zh = client.get(f"{ITEMS}?limit=0", headers={"accept-language": "zh-CN,zh;q=0.9,en;q=0.5"}).json()
    en = client.get(f"{ITEMS}?limit=0", headers={"accept-language": "en-GB"}).json()
    assert "应为" in zh["detail"]
    assert "whole number" in en["detail"]
    page = client.get(f"{ITEMS}?limit=0", headers={"accept": "text/html", "accept-language": "zh"})
    assert page.status_code == 400
    assert "<html" in page.text and "应为" in page.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_reading_service_takes_no_writes(client: httpx.Client, method: str) -> None:
    answer = client.request(method, ITEMS, content=b"{}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_options_and_head(client: httpx.Client) -> None:
    options = client.options(ITEMS)
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    head, get = client.head(f"{ITEMS}?limit=2"), client.get(f"{ITEMS}?limit=2")
    assert head.content == b""
    assert head.headers["etag"] == get.headers["etag"]


def test_not_acceptable_by_header(client: httpx.Client) -> None:
    answer = client.get(ITEMS, headers={"accept": "image/png"})
    assert answer.status_code == 406
    assert answer.json()["allowed"] == ["json", "html", "csv"]


def test_very_long_address_is_refused(client: httpx.Client) -> None:
    assert client.get(f"{ITEMS}?name={'x' * 20_000}").status_code == 414


@pytest.fixture
def locked(city: City) -> Iterator[psycopg2.extensions.connection]:
    """A connection that holds the table, so that every reading query waits."""
    conn = psycopg2.connect(city.urls.owner)
    with conn.cursor() as cur:
        cur.execute("LOCK TABLE test.site IN ACCESS EXCLUSIVE MODE")
    yield conn
    conn.rollback()
    conn.close()


def test_query_of_a_client_that_has_gone_is_cancelled(
    server: str, city: City, locked: psycopg2.extensions.connection
) -> None:
    watcher = psycopg2.connect(city.urls.owner)
    watcher.autocommit = True

    def waiting() -> int:
        with watcher.cursor() as cur:
            cur.execute("SELECT count(*) FROM pg_locks WHERE relation = 'test.site'::regclass AND NOT granted")
            row = cur.fetchone()
            assert row
            return int(row[0])

    address = urlsplit(server)
    link = socket.create_connection((address.hostname, address.port))
    link.sendall(f"GET {ITEMS}?limit=11 HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    while waiting() == 0:
        pass
    # A request is watched from 0.2 s on; leaving earlier would be noticed then.
    began = time.monotonic()
    link.close()
    while waiting() > 0:
        assert time.monotonic() - began < 5
    assert time.monotonic() - began < 1
    watcher.close()


def test_large_answers_given_up_leave_the_connections_free(server: str, city: City) -> None:
    """More of each than both workers have connections: HEAD, and readers that leave after the first bytes."""
    address = urlsplit(server)
    for number in range(24):
        assert httpx.head(f"{server}{ITEMS}?limit=2000&offset={number}", timeout=20).status_code == 200
        with socket.create_connection((address.hostname, address.port)) as link:
            link.sendall(f"GET {ITEMS}?limit=2300&offset={number} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
            assert link.recv(16).startswith(b"HTTP/1.1 200")
    for _ in range(20):
        with httpx.Client(base_url=server, timeout=20) as client:
            assert len(client.get(f"{ITEMS}?limit=2000").json()["features"]) == 2000


def test_question_that_is_cut_off_before_its_first_byte_leaves_the_connection_free(
    server: str, city: City, locked: psycopg2.extensions.connection
) -> None:
    """Chunked questions wait for the table, their clients leave, and the next ones are answered."""
    address = urlsplit(server)
    links = []
    for number in range(12):
        link = socket.create_connection((address.hostname, address.port))
        link.sendall(f"GET {ITEMS}?limit=2200&offset={number} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        links.append(link)
    with psycopg2.connect(city.urls.owner) as watcher, watcher.cursor() as cur:
        while True:
            cur.execute("SELECT count(*) FROM pg_locks WHERE relation = 'test.site'::regclass AND NOT granted")
            row = cur.fetchone()
            if row and row[0] >= 4:
                break
    for link in links:
        link.close()
    locked.rollback()
    for _ in range(20):
        with httpx.Client(base_url=server, timeout=20) as client:
            assert client.get(f"{ITEMS}?limit=3").status_code == 200
