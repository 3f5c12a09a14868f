# SPDX-License-Identifier: Apache-2.0
"""Bodies of edits that cannot be: each refused with the place and the rule, and nothing is written."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from geocloud.db import cluster as _cluster
from tests.web.editing import (
    ITEMS,
    POST,
    Keys,
    Table,
    broken,
    created,
    draft,
    problem,
)

SWAPPED = [36.5, 116.0]
TRIANGLE = {"type": "Polygon", "coordinates": [[[116, 36], [117, 36], [117, 37], [116, 36]]]}
HOSTILE: list[tuple[str, Callable[[dict[str, Any]], Any], set[tuple[str, str]]]] = [
    ("not an object", lambda _: [1, 2], {("", "not-an-object")}),
    ("null", lambda _: None, {("", "not-an-object")}),
    ("empty object", lambda _: {}, {("/type", "not-a-feature"), ("/properties", "missing-member"),
                                    ("/geometry", "missing-member"), ("/properties/code", "GC-501")}),
    ("geometry alone", lambda f: f["geometry"], {("/type", "not-a-feature"), ("/properties", "missing-member"),
                                                 ("/geometry", "missing-member"), ("/coordinates", "unknown-member"),
                                                 ("/properties/code", "GC-501")}),
    ("empty collection", lambda _: {"type": "FeatureCollection", "features": []}, {("/features", "no-features")}),
    ("collection of numbers", lambda _: {"type": "FeatureCollection", "features": [1]},
     {("/features/0", "not-an-object")}),
    ("properties a list", lambda f: f | {"properties": []},
     {("/properties", "not-an-object"), ("/properties/code", "GC-501")}),
    ("old crs member", lambda f: f | {"crs": {"type": "name"}}, {("/crs", "unknown-member")}),
    ("latitude first", lambda f: f | {"geometry": {"type": "Point", "coordinates": SWAPPED}},
     {("/geometry", "GC-402")}),
    ("huge coordinate", lambda f: f | {"geometry": {"type": "Point", "coordinates": [1e308, 1e308]}},
     {("/geometry", "GC-402")}),
    ("coordinate of text", lambda f: f | {"geometry": {"type": "Point", "coordinates": ["116", 36]}},
     {("/geometry/coordinates/0", "not-a-geometry")}),
    ("coordinate true", lambda f: f | {"geometry": {"type": "Point", "coordinates": [True, 36]}},
     {("/geometry/coordinates/0", "not-a-geometry")}),
    ("position of one", lambda f: f | {"geometry": {"type": "Point", "coordinates": [116]}},
     {("/geometry/coordinates", "not-a-geometry")}),
    ("arrays too deep", lambda f: f | {"geometry": {"type": "Point", "coordinates": [[116, 36]]}},
     {("/geometry/coordinates", "not-a-geometry")}),
    ("unknown geometry", lambda f: f | {"geometry": {"type": "Circle", "coordinates": [1, 2]}},
     {("/geometry/type", "not-a-geometry")}),
    ("geometry of text", lambda f: f | {"geometry": "POINT(116 36)"}, {("/geometry", "not-a-geometry")}),
    ("ring not closed", lambda f: f | {"geometry": {"type": "Polygon", "coordinates": [[[1, 1], [2, 1], [2, 2]]]}},
     {("/geometry/coordinates/0", "not-a-geometry")}),
    ("wrong type of geometry", lambda f: f | {"geometry": TRIANGLE}, {("/geometry", "GC-410")}),
    ("collections in collections", lambda f: f | {"geometry": nested_collections(6)},
     {("/geometry" + "/geometries/0" * 4 + "/geometries", "not-a-geometry")}),
    ("text for a number", lambda f: with_value(f, "height", "tall"), {("/properties/height", "GC-502")}),
    ("object for a text", lambda f: with_value(f, "name", {"a": 1}), {("/properties/name", "GC-502")}),
    ("number for a text", lambda f: with_value(f, "name", 5), {("/properties/name", "GC-502")}),
    ("number for a key", lambda f: with_value(f, "code", 5), {("/properties/code", "GC-502")}),
    ("number for a truth", lambda f: with_value(f, "open", 1), {("/properties/open", "GC-502")}),
    ("huge integer", lambda f: with_value(f, "year", 10**30), {("/properties/year", "GC-502")}),
    ("integer past 64 bits", lambda f: with_value(f, "year", 2**63), {("/properties/year", "GC-502")}),
    ("fraction for an integer", lambda f: with_value(f, "year", 1.5), {("/properties/year", "GC-502")}),
    ("30 February", lambda f: with_value(f, "built", "2024-02-30"), {("/properties/built", "GC-502")}),
    ("NUL in a text", lambda f: with_value(f, "name", "a\0b"), {("/properties/name", "GC-502")}),
    ("too long", lambda f: with_value(f, "name", "长" * 41), {("/properties/name", "GC-503")}),
    ("pattern", lambda f: with_value(f, "code", "x y"), {("/properties/code", "GC-504")}),
    ("code not in the list", lambda f: with_value(f, "kind", "ufo"), {("/properties/kind", "GC-506")}),
    ("fid", lambda f: with_value(f, "fid", 1), {("/properties/fid", "kept-by-the-database")}),
    ("valid_from", lambda f: with_value(f, "valid_from", "2020-01-01"),
     {("/properties/valid_from", "kept-by-the-database")}),
    ("pointer with slash", lambda f: with_value(f, "a/b~c", 1), {("/properties/a~1b~0c", "unknown-property")}),
    ("prototype", lambda f: with_value(f, "__proto__", 1), {("/properties/__proto__", "unknown-property")}),
    ("quote as a name", lambda f: with_value(f, 'x"; DROP TABLE test.asset; --', 1),
     {('/properties/x"; DROP TABLE test.asset; --', "unknown-property")}),
]  # fmt: skip


def with_value(feature: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    return feature | {"properties": feature["properties"] | {name: value}}


def nested_collections(levels: int) -> dict[str, Any]:
    shape: dict[str, Any] = {"type": "Point", "coordinates": [116, 36]}
    for _ in range(levels):
        shape = {"type": "GeometryCollection", "geometries": [shape]}
    return shape


@pytest.mark.parametrize(("make", "expected"), [c[1:] for c in HOSTILE], ids=[c[0] for c in HOSTILE])
def test_hostile_body_is_refused_place_by_place(
    edit: httpx.Client, table: Table, make: Callable[[dict[str, Any]], Any], expected: set[tuple[str, str]]
) -> None:
    before = table.count()
    assert broken(edit.post(ITEMS, content=json.dumps(make(draft())), headers=POST)) == expected
    assert table.count() == before


NOT_JSON = [
    ("empty", b"", 1, 1),
    ("cut off", b'{"type": "Feature"', 1, 19),
    ("NaN", b'{"a":\n NaN}', 2, 2),
    ("Infinity", b'{"a": Infinity}', 1, 7),
    ("number too large", b'{"a": 1e999}', 1, 7),
    ("comment", b"{} // x", 1, 4),
    ("lone surrogate", b'{"a": "\\ud800"}', 1, 8),
    ("latin-1", b'{"a": "\xe9"}', 1, 1),
]


@pytest.mark.parametrize(("body", "line", "column"), [c[1:] for c in NOT_JSON], ids=[c[0] for c in NOT_JSON])
def test_what_is_no_json_is_told_with_its_place(edit: httpx.Client, body: bytes, line: int, column: int) -> None:
    document = problem(edit.post(ITEMS, content=body, headers=POST), 400, "invalid-body")
    assert (document["line"], document["column"]) == (line, column)


@pytest.mark.parametrize("depth", [17, 400, 100_000])
def test_nesting_has_a_limit(edit: httpx.Client, depth: int) -> None:
    body = b'{"type":"Feature","properties":{"name":' + b"[" * depth + b"]" * depth + b'},"geometry":null}'
    assert problem(edit.post(ITEMS, content=body, headers=POST), 400, "invalid-body")["maximum"] == 16
    # Brackets in a text are no nesting.
    assert edit.post(ITEMS, json=draft(name="[" * 40), headers=POST).status_code == 201


def test_body_has_a_limit_whether_or_not_its_length_is_told(edit: httpx.Client) -> None:
    body = b" " * (256 * 1024 + 1)
    assert problem(edit.post(ITEMS, content=body, headers=POST), 413, "too-large")["maximum"] == 256 * 1024

    def chunks() -> Iterator[bytes]:
        for _ in range(5):
            yield b" " * 64 * 1024

    problem(edit.post(ITEMS, content=chunks(), headers=POST), 413, "too-large")
    assert edit.get(ITEMS).status_code == 200


def test_body_that_does_not_arrive_is_not_waited_for(edit: httpx.Client, keys: Keys, table: Table) -> None:
    before = table.count()
    body = json.dumps(draft()).encode()
    head = (
        f"POST {ITEMS} HTTP/1.1\r\nHost: x\r\nAccept-Language: en\r\nAuthorization: Bearer {keys.full}\r\n"
        f"Content-Type: application/geo+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((edit.base_url.host, edit.base_url.port or 80), timeout=30) as client:
        client.sendall(head.encode() + body[:-1])
        assert client.recv(12) == b"HTTP/1.1 400"
    assert table.count() == before


def test_connections_the_database_ended_are_made_again(edit: httpx.Client, table: Table, cluster: Any) -> None:
    created(edit)
    admin = Table(_cluster.admin_url(cluster, "postgres"))
    ended = admin.run(
        "SELECT pg_terminate_backend(pid) AS ok FROM pg_stat_activity WHERE application_name = 'geocloud edit'"
    )
    assert ended and all(r["ok"] for r in ended)
    before = table.count()
    answers = [edit.post(ITEMS, json=draft(), headers=POST) for _ in range(12)]
    assert {a.status_code for a in answers} <= {201, 503}
    assert answers[-1].status_code == 201
    # What was refused was not written.
    assert table.count() == before + sum(a.status_code == 201 for a in answers)


def test_number_of_features_has_a_limit(edit: httpx.Client) -> None:
    features = [draft() for _ in range(101)]
    answer = edit.post(ITEMS, json={"type": "FeatureCollection", "features": features}, headers=POST)
    assert problem(answer, 413, "too-large")["maximum"] == 100


@pytest.mark.parametrize(
    ("method", "kind"),
    [("POST", "text/plain"), ("POST", ""), ("POST", "application/merge-patch+json"), ("PUT", "text/csv"),
     ("PATCH", "application/json"), ("PATCH", "application/json-patch+json"),
     ("POST", "application/geo+json; charset=gbk")],
)  # fmt: skip
def test_wrong_media_type(edit: httpx.Client, method: str, kind: str) -> None:
    path = ITEMS if method == "POST" else created(edit)[0]
    headers = {"content-type": kind, "if-match": "*"} if kind else {"if-match": "*"}
    answer = edit.request(method, path, content=json.dumps(draft()).encode(), headers=headers)
    assert problem(answer, 415, "wrong-media-type")["allowed"]
    assert answer.headers["accept-patch"] == "application/merge-patch+json"


def test_compressed_body_is_refused(edit: httpx.Client) -> None:
    problem(edit.post(ITEMS, content=b"\x1f\x8b", headers=POST | {"content-encoding": "gzip"}), 415, "wrong-media-type")
