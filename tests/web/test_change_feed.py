# SPDX-License-Identifier: Apache-2.0
"""The change feed: who is cut off and comes back has each entry of the log once, in order, whatever is written."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from tests.web.conftest import SITE_KINDS, City, run_server, site_spec, zone_spec

FEED, LOG = "/collections/test.site/changes/feed", "/collections/test.site/changes/log"


@pytest.fixture(scope="module")
def base(city: City, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    city.run("SELECT setval(pg_get_serial_sequence('test.site', 'fid'), 10000)")
    yield from run_server(city.urls.reader, tmp_path_factory.mktemp("home"))


@pytest.fixture
def narrow(city: City, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from run_server(city.urls.reader, tmp_path_factory.mktemp("home"), GEOCLOUD_EVENT_STREAMS_MAX="3")


def events(answer: httpx.Response) -> Iterator[tuple[int, str, Any]]:
    """Id, name and data of each event as it comes."""
    found: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line:
            found[name] = value
        else:
            if "data" in found:
                yield int(found["id"]), found["event"], json.loads(found["data"])
            found = {}


def logged(city: City, after: int = 0) -> list[tuple[int, Any, str, int]]:
    conn = psycopg2.connect(city.urls.owner)
    with conn, conn.cursor() as cur:
        cur.execute(
            "SELECT id, fid, op, version FROM geocloud.change_log WHERE layer = 'test.site' AND id > %s ORDER BY id",
            (after,),
        )
        found = cur.fetchall()
    conn.close()
    return found


def write(city: City, number: int, turns: int) -> None:
    """Small and large writes, some given up, each after a few of another layer; by a name of its own."""
    draw = random.Random(number)
    conn = psycopg2.connect(city.urls.owner)
    for turn in range(turns):
        with conn.cursor() as cur:
            cur.execute("SELECT set_config('geocloud.by', %s, true)", (f"bureau {number}",))
            if draw.random() < 0.3:
                cur.execute("UPDATE test.zone SET label = %s WHERE code = 'far'", (f"{number}-{turn}",))
            first = draw.randrange(1, 2000)
            most = first + draw.choice([0, 0, 3, 40])
            cur.execute("UPDATE test.site SET name = %s WHERE fid BETWEEN %s AND %s", (f"{number}-{turn}", first, most))
            if draw.random() < 0.2:
                cur.execute("INSERT INTO test.site (code) VALUES (%s)", (f"W{number}-{turn}",))
        if draw.random() < 0.2:
            conn.rollback()
        else:
            conn.commit()
    conn.close()


def write_all(city: City) -> None:
    """A storm of three writers, and one last change after it."""
    writers = [threading.Thread(target=write, args=(city, n, 60)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    city.run("SELECT set_config('geocloud.by', 'last', true); UPDATE test.site SET name = 'last' WHERE fid = 2400")


def test_cut_off_again_and_again_during_a_storm(base: str, city: City) -> None:
    draw = random.Random(7)
    storm = threading.Thread(target=write_all, args=(city,))
    got: list[tuple[int, Any]] = []
    last, cuts, over = None, 0, False
    while not over:
        headers = {} if last is None else {"last-event-id": str(last)}
        with httpx.Client(base_url=base, timeout=60) as client, client.stream("GET", FEED, headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            left = draw.randint(1, 60)
            for number, name, data in events(answer):
                if name == "start":
                    start = last = number
                    storm.start()
                    continue
                assert data["id"] == number
                got.append((number, data))
                last, left, over = number, left - 1, data.get("by") == "last"
                if left == 0 or over:
                    break
        cuts += 1
    storm.join()
    assert cuts > 10
    log = logged(city, start)
    assert [(n, d.get("fid"), d["op"], d["version"]) for n, d in got] == log
    assert len(log) > 500
    assert {d["by"] for _, d in got} == {"bureau 0", "bureau 1", "bureau 2", "last"}
    assert all(d["collection"] == "test.site" for _, d in got)


def test_the_log_in_pages_is_the_log(base: str, city: City) -> None:
    city.run("UPDATE test.site SET name = 'paged' WHERE fid <= 30")
    address, found = f"{base}{LOG}?limit=7", []
    while True:
        page = httpx.get(address, timeout=60).raise_for_status().json()
        assert page["numberReturned"] == len(page["entries"]) <= 7
        found += page["entries"]
        address = next(x["href"] for x in page["links"] if x["rel"] == "next")
        if not page["more"]:
            break
        if len(found) > 70:
            break
    log = logged(city)
    assert [(e["id"], e.get("fid"), e["op"], e["version"]) for e in found] == log[: len(found)] and len(found) >= 30
    end = httpx.get(f"{base}{LOG}?after={log[-1][0]}").json()
    assert end["entries"] == [] and end["last"] == log[-1][0] and not end["more"]
    city.run("UPDATE test.site SET name = 'later' WHERE fid = 5")
    (later,) = httpx.get(next(x["href"] for x in end["links"] if x["rel"] == "next")).json()["entries"]
    west, south, east, north = later["bbox"]
    assert (later["fid"], later["op"]) == (5, "update") and west == east and south == north
    assert "by_role" not in later and "role" not in json.dumps(later)


def test_a_large_write_is_one_event(base: str, city: City) -> None:
    conn = psycopg2.connect(city.urls.owner)
    sync(conn, {x.id: x for x in (site_spec(), zone_spec())}, {"site_kind": SITE_KINDS})
    conn.close()
    with httpx.stream("GET", base + FEED, timeout=60) as answer:
        following = events(answer)
        assert next(following)[1] == "start"
        city.run("INSERT INTO test.site (code) SELECT 'B' || n FROM generate_series(1, 10001) n")
        _, name, data = next(following)
        assert (name, data["op"], data["count"]) == ("change", "insert", 10_001) and "fid" not in data
    city.run("DELETE FROM test.site WHERE code LIKE 'B%%'")


def test_what_cannot_be_asked(base: str) -> None:
    for query, headers, name in (
        ("?after=x", {}, "after"),
        ("?after=-1", {}, "after"),
        ("?since=1", {}, "since"),
        ("", {"last-event-id": "abc"}, "Last-Event-ID"),
    ):
        answer = httpx.get(base + FEED + query, headers=headers)
        assert answer.status_code == 400 and answer.json()["parameter"] == name
    assert httpx.get(f"{base}{LOG}?limit=0").status_code == 400
    assert httpx.get(f"{base}/collections/test.none/changes/log").status_code == 404


def test_no_more_streams_than_allowed(narrow: str) -> None:
    """Two workers of three streams each: of seven at once at least one is refused, and places are given back."""
    with httpx.Client(base_url=narrow, timeout=60) as client:
        streams = [client.send(client.build_request("GET", FEED), stream=True) for _ in range(7)]
        statuses = {s.status_code for s in streams}
        for s in streams:
            s.close()
        assert 413 in statuses and 200 in statuses
        while True:
            again = client.send(client.build_request("GET", FEED), stream=True)
            status = again.status_code
            again.close()
            if status == 200:
                break


def test_news_of_a_few_layers_resume_where_they_were(base: str, city: City) -> None:
    address = f"{base}/events?collections=test.site,test.zone"

    def first(count: int, headers: dict[str, str]) -> list[tuple[str, str, Any]]:
        found: list[tuple[str, str, Any]] = []
        with httpx.stream("GET", address, headers=headers, timeout=60) as answer:
            event: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                event = event | {name: value} if line else event
                if not line and "data" in event:
                    found.append((event["id"], event["event"], json.loads(event["data"])))
                    event = {}
                if len(found) == count:
                    break
        return found

    ((at, name, versions),) = first(1, {})
    assert name == "versions" and at == ",".join(f"{k}:{v}" for k, v in versions.items())
    for n in range(3):
        city.run("UPDATE test.site SET name = %s WHERE fid IN (7, 8)", f"away {n}")
    end = time.monotonic() + 30
    while True:
        (at_now, _, now), *_ = first(1, {})
        if now["test.site"] == versions["test.site"] + 3:
            break
        assert time.monotonic() < end
    _, (again, name, data) = first(2, {"last-event-id": at})
    assert (name, data["collection"], data["count"]) == ("change", "test.site", 6)
    assert data["version"] == versions["test.site"] + 3 and again == at_now and data["bbox"]
    # An id that is none begins like any other stream.
    assert first(1, {"last-event-id": "nonsense"})[0][1] == "versions"
