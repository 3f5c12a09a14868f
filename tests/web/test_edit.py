# SPDX-License-Identifier: Apache-2.0
"""Editing over HTTP (OGC API Features part 4) on a real server: every status, and what is in the database after it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from geocloud.db import cluster as _cluster
from geocloud.features.request import SERVED_CRS
from geocloud.geodesy.crs import crs
from geocloud.geodesy.transform import from_lonlat
from tests.web.editing import (
    ASSET,
    PATCH,
    POST,
    PROBLEM,
    QUIET,
    Keys,
    Table,
    draft,
)

ITEMS = f"/collections/{ASSET}/items"


def created(edit: httpx.Client, **values: Any) -> tuple[str, httpx.Response]:
    """A new feature's path and the answer that made it."""
    answer = edit.post(ITEMS, json=draft(**values), headers=POST)
    assert answer.status_code == 201, answer.text
    return httpx.URL(answer.headers["location"]).path, answer


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    document = answer.json()
    assert document["type"] == f"urn:geocloud:problem:{code}"
    assert document["detail"] and "SELECT" not in answer.text and "INSERT" not in answer.text
    assert any("\u4e00" <= c <= "\u9fff" for c in document["title"]) is False
    return document


def broken(answer: httpx.Response) -> set[tuple[str, str]]:
    """Pointer and rule of each violation, every one in both languages."""
    document = problem(answer, 422, "rules-broken")
    for violation in document["violations"]:
        assert violation["message"]["en"] and any("\u4e00" <= c <= "\u9fff" for c in violation["message"]["zh"])
        assert violation["severity"] == "error"
    return {(v["pointer"], v["rule"]) for v in document["violations"]}


def test_post_makes_a_feature_and_says_where(edit: httpx.Client, table: Table) -> None:
    path, answer = created(edit, name="Lamp", kind="lamp", height=4.5, built="2024-05-01", open=True)
    fid = int(path.rsplit("/", 1)[1])
    assert answer.headers["location"].startswith(str(edit.base_url).rstrip("/"))
    body = answer.json()
    assert body["id"] == fid and body["properties"]["height"] == 4.5 and "findings" not in body
    again = edit.get(path)
    assert again.headers["etag"] == answer.headers["etag"]
    assert again.json() == body
    row = table.row(fid)
    assert (row["name"], row["kind"], row["height"], str(row["built"]), row["open"]) == (
        "Lamp", "lamp", 4.5, "2024-05-01", True,
    )  # fmt: skip
    assert (row["x"], row["y"]) == (116.0, 36.5) and row["srid"] == 4490
    assert row["secret"] is None and row["valid_from"] == row["sys_from"]
    assert table.log(fid) == ["insert"]


def test_collection_is_created_whole_and_answers_with_ids(edit: httpx.Client, table: Table) -> None:
    before = table.count()
    features = [draft(name=f"n{i}", at=(116 + i / 100, 36.5)) for i in range(50)]
    answer = edit.post(ITEMS, json={"type": "FeatureCollection", "features": features}, headers=POST)
    assert answer.status_code == 201, answer.text
    ids = answer.json()["ids"]
    assert len(ids) == 50 == len(set(ids)) and table.count() == before + 50
    assert [table.row(i)["name"] for i in ids] == [f"n{i}" for i in range(50)]
    assert len({table.row(i)["sys_from"] for i in ids}) == 1


def test_third_of_five_bad_writes_nothing_and_lists_every_violation(edit: httpx.Client, table: Table) -> None:
    before, version = table.count(), table.version()
    features = [draft(name=f"n{i}") for i in range(5)]
    features[2]["properties"] |= {"kind": "ufo", "height": 500, "code": None, "colour": "red", "secret": "1"}
    features[2]["geometry"] = {"type": "Polygon", "coordinates": [[[116, 36], [117, 36], [117, 37], [116, 36]]]}
    features[4]["properties"]["code"] = features[3]["properties"]["code"]
    answer = edit.post(ITEMS, json={"type": "FeatureCollection", "features": features}, headers=POST)
    at = "/features/2"
    assert broken(answer) == {
        (f"{at}/properties/kind", "GC-506"),
        (f"{at}/properties/height", "GC-505"),
        (f"{at}/properties/code", "GC-501"),
        (f"{at}/properties/colour", "unknown-property"),
        (f"{at}/properties/secret", "unknown-property"),
        (f"{at}/geometry", "GC-410"),
        ("/features/4/properties", "GC-601"),
    }
    assert (table.count(), table.version()) == (before, version)


def test_put_replaces_all_but_hidden_fields(edit: httpx.Client, table: Table) -> None:
    path, answer = created(edit, name="Old", kind="tree", height=3)
    fid = int(path.rsplit("/", 1)[1])
    table.run("UPDATE test.asset SET secret = 's' WHERE fid = %s", fid)
    tag = edit.get(path).headers["etag"]
    assert tag != answer.headers["etag"]
    body = draft(code=answer.json()["properties"]["code"], name="New", at=(116.2, 36.6)) | {"id": 99_999}
    changed = edit.put(path, json=body, headers=POST | {"if-match": tag})
    assert changed.status_code == 200, changed.text
    assert changed.json()["id"] == fid and changed.headers["content-location"].endswith(path)
    row = table.row(fid)
    assert (row["name"], row["kind"], row["height"], row["secret"]) == ("New", None, None, "s")
    assert (row["x"], row["y"]) == (116.2, 36.6)
    assert edit.get(path).headers["etag"] == changed.headers["etag"] != tag


def test_row_that_was_always_so_can_be_changed(edit: httpx.Client, table: Table) -> None:
    """Loaded rows hold from minus infinity, and a version names that too."""
    sql = "INSERT INTO test.asset (code, geom) VALUES ('ALWAYS', ST_SetSRID(ST_Point(116, 36), 4490)) RETURNING fid"
    path = f"{ITEMS}/{table.run(sql)[0]['fid']}"
    first = edit.get(path)
    headers = PATCH | {"if-match": first.headers["etag"]}
    changed = edit.patch(path, json={"properties": {"name": "now"}}, headers=headers)
    assert changed.status_code == 200, changed.text
    assert problem(edit.patch(path, json={}, headers=headers), 412, "version-conflict")["changed"] == [
        {"name": "name", "was": None, "is": "now"}
    ]
    assert edit.get(path, params={"datetime": "1999-01-01T00:00:00Z"}).json()["properties"]["name"] is None


def test_patch_changes_what_it_names(edit: httpx.Client, table: Table) -> None:
    path, answer = created(edit, name="Old", kind="tree", height=3)
    fid = int(path.rsplit("/", 1)[1])
    patch = {"properties": {"name": None, "height": 7}}
    changed = edit.patch(path, json=patch, headers=PATCH | {"if-match": answer.headers["etag"]})
    assert changed.status_code == 200, changed.text
    assert changed.json()["properties"] | {"name": 1} == answer.json()["properties"] | {"name": 1, "height": 7}
    row = table.row(fid)
    assert (row["name"], row["kind"], row["height"], row["x"]) == (None, "tree", 7, 116.0)
    # The geometry alone, merged into the one that is there.
    patch = {"geometry": {"coordinates": [116.3, 36.7]}}
    moved = edit.patch(path, json=patch, headers=PATCH | {"if-match": changed.headers["etag"]})
    assert moved.status_code == 200 and table.row(fid)["x"] == 116.3
    assert table.log(fid) == ["insert", "update", "update"]
    assert [r["name"] for r in table.history(fid)] == ["Old", None]


def test_change_that_changes_nothing_writes_nothing(edit: httpx.Client, table: Table) -> None:
    path, answer = created(edit, name="Same", height=3)
    version = table.version()
    for patch in ({}, {"properties": {}}, {"properties": {"name": "Same", "height": 3.0}}):
        same = edit.patch(path, json=patch, headers=PATCH | {"if-match": answer.headers["etag"]})
        assert same.status_code == 200, same.text
        assert same.headers["etag"] == answer.headers["etag"] and same.json() == answer.json()
    assert table.version() == version


def test_delete_ends_the_feature_and_history_keeps_it(edit: httpx.Client, table: Table) -> None:
    path, answer = created(edit, name="Gone")
    fid = int(path.rsplit("/", 1)[1])
    gone = edit.delete(path, headers={"if-match": answer.headers["etag"]})
    assert gone.status_code == 204 and not gone.content
    problem(edit.get(path), 410, "item-ended")
    problem(edit.delete(path, headers={"if-match": answer.headers["etag"]}), 404, "unknown-item")
    assert table.log(fid) == ["insert", "delete"]
    assert {r["name"] for r in table.history(fid)} == {"Gone"}


def test_minimal_answer_when_preferred(edit: httpx.Client) -> None:
    answer = edit.post(ITEMS, json=draft(), headers=POST | {"prefer": "return=minimal"})
    assert answer.status_code == 201 and not answer.content and answer.headers["location"]
    path = httpx.URL(answer.headers["location"]).path
    headers = PATCH | {"prefer": "return=minimal", "if-match": answer.headers["etag"]}
    changed = edit.patch(path, json={"properties": {"name": "x"}}, headers=headers)
    assert changed.status_code == 204 and changed.headers["etag"] != answer.headers["etag"]
    assert changed.headers["preference-applied"] == "return=minimal"


def test_warnings_come_with_the_answer(edit: httpx.Client, table: Table) -> None:
    answer = edit.post(ITEMS, json=draft(name="  wide  ", kind="lamp post", at=(10, 50)), headers=POST)
    assert answer.status_code == 201, answer.text
    found = {(f["pointer"], f["rule"], f["severity"]) for f in answer.json()["findings"]}
    assert found == {
        ("/properties/name", "GC-515", "info"),
        ("/properties/kind", "GC-517", "info"),
        ("/geometry", "GC-414", "warning"),
    }
    row = table.row(answer.json()["id"])
    assert (row["name"], row["kind"]) == ("wide", "lamp")


@pytest.mark.parametrize("name", SERVED_CRS)
def test_content_crs_with_the_axis_order_of_its_authority(edit: httpx.Client, table: Table, name: str) -> None:
    system = crs(name)
    x, y = (116.123456789, 36.567891234)
    if system.kind == "projected":
        x, y = from_lonlat(system, [[x, y]])[0].tolist()
    at = (y, x) if system.swapped else (x, y)
    answer = edit.post(ITEMS, json=draft(at=at), headers=POST | {"content-crs": f"<{system.uri}>"})
    assert answer.status_code == 201, answer.text
    row = table.row(answer.json()["id"])
    assert abs(row["x"] - 116.123456789) < 1e-9 and abs(row["y"] - 36.567891234) < 1e-9
    if system.kind == "geographic":
        assert (row["x"], row["y"]) == (116.123456789, 36.567891234)
    path = httpx.URL(answer.headers["location"]).path
    back = edit.get(path, params={"crs": system.uri})
    assert back.json()["geometry"]["coordinates"] == pytest.approx(at, abs=1e-4)
    # A patch of one coordinate system merges into the geometry as it is in that system.
    headers = PATCH | {"content-crs": system.uri, "if-match": answer.headers["etag"]}
    same = edit.patch(path, json={"geometry": {"type": "Point"}}, params={"crs": system.uri}, headers=headers)
    assert same.status_code == 200 and same.headers["content-crs"] == f"<{system.uri}>", same.text


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


def test_change_must_name_its_version(edit: httpx.Client) -> None:
    path, _ = created(edit)
    for answer in (
        edit.put(path, json=draft(), headers=POST),
        edit.patch(path, json={}, headers=PATCH),
        edit.delete(path),
    ):
        assert problem(answer, 428, "version-required")["header"] == "If-Match"


def test_stale_version_tells_what_changed(edit: httpx.Client) -> None:
    path, first = created(edit, name="Old", height=3)
    stale = first.headers["etag"]
    patch = {"properties": {"name": "Mine"}, "geometry": {"coordinates": [116.4, 36.4]}}
    second = edit.patch(path, json=patch, headers=PATCH | {"if-match": stale})
    for answer in (
        edit.patch(path, json={"properties": {"height": 9}}, headers=PATCH | {"if-match": stale}),
        edit.put(path, json=draft(), headers=POST | {"if-match": stale}),
        edit.delete(path, headers={"if-match": stale}),
    ):
        document = problem(answer, 412, "version-conflict")
        assert document["etag"] == answer.headers["etag"] == second.headers["etag"]
        assert document["changed"] == [{"name": "name", "was": "Old", "is": "Mine"}]
        assert document["geometry_changed"] is True
    assert edit.get(path).json()["properties"]["height"] == 3
    # The tag that came with the refusal is the one to go on with.
    again = edit.patch(path, json={"properties": {"height": 9}}, headers=PATCH | {"if-match": document["etag"]})
    assert again.status_code == 200


@pytest.mark.parametrize("tag", ['"nonsense"', '"1.2.3"', "W/{tag}", "nonsense", '"' + "z" * 5000 + '"'])
def test_tags_that_name_no_version_do_not_match(edit: httpx.Client, tag: str) -> None:
    path, first = created(edit)
    headers = PATCH | {"if-match": tag.replace("{tag}", first.headers["etag"])}
    problem(edit.patch(path, json={"properties": {"name": "x"}}, headers=headers), 412, "version-conflict")


def test_version_is_that_of_the_feature_in_every_representation(edit: httpx.Client) -> None:
    path, first = created(edit)
    seen = [
        edit.get(path, params={"crs": crs("EPSG:4527").uri}).headers["etag"],
        edit.get(path, params={"f": "html"}).headers["etag"],
        edit.get(path, headers={"accept-encoding": "gzip"}, params={"lang": "zh"}).headers["etag"],
    ]
    assert len({first.headers["etag"], *seen}) == 4
    created(edit)
    for n, tag in enumerate(seen):
        # Another feature's change leaves the tag as it is.
        assert edit.get(path).headers["etag"] == first.headers["etag"] or n
        same = edit.patch(path, json={}, headers=PATCH | {"if-match": f'"x", {tag}'})
        assert same.status_code == 200, same.text


def test_conditional_get_of_an_item(edit: httpx.Client) -> None:
    path, first = created(edit)
    tag = first.headers["etag"]
    for _ in range(3):
        created(edit)
        answer = edit.get(path, headers={"if-none-match": tag})
        assert answer.status_code == 304 and answer.headers["etag"] == tag
    edit.patch(path, json={"properties": {"name": "n"}}, headers=PATCH | {"if-match": tag})
    assert edit.get(path, headers={"if-none-match": tag}).status_code == 200


def test_key_that_is_taken_is_named(edit: httpx.Client, table: Table) -> None:
    _, first = created(edit)
    code = first.json()["properties"]["code"]
    before = table.count()
    document = problem(edit.post(ITEMS, json=draft(code=code), headers=POST), 409, "key-conflict")
    assert (document["key"], document["value"]) == (["code"], code)
    path, second = created(edit)
    headers = PATCH | {"if-match": second.headers["etag"]}
    problem(edit.patch(path, json={"properties": {"code": code}}, headers=headers), 409, "key-conflict")
    assert table.count() == before + 1


@pytest.mark.parametrize("fid", ["999999999", "0", "-1", "abc", "99999999999999999999", "1.5"])
def test_unknown_feature(edit: httpx.Client, fid: str) -> None:
    problem(edit.patch(f"{ITEMS}/{fid}", json={}, headers=PATCH | {"if-match": "*"}), 404, "unknown-item")
    problem(edit.put(f"{ITEMS}/{fid}", json=draft(), headers=POST | {"if-match": "*"}), 404, "unknown-item")


def test_keys_are_asked_for(edit: httpx.Client, keys: Keys) -> None:
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"x-api-key": keys.full + "x"},
        {"authorization": "Basic x"},
    ):
        bare = httpx.post(
            str(edit.base_url.join(ITEMS)), json=draft(), headers=POST | headers | {"accept-language": "en"}
        )
        problem(bare, 401, "not-authorized")
        assert bare.headers["www-authenticate"].startswith("Bearer")
        assert keys.full not in bare.text
    by_header = httpx.post(str(edit.base_url.join(ITEMS)), json=draft(), headers=POST | {"x-api-key": keys.full})
    assert by_header.status_code == 201


def test_key_of_another_layer_is_refused(edit: httpx.Client, keys: Keys) -> None:
    headers = POST | {"authorization": f"Bearer {keys.elsewhere}"}
    document = problem(edit.post(ITEMS, json=draft(), headers=headers), 403, "forbidden")
    assert document["layers"] == [QUIET] and keys.elsewhere not in json.dumps(document)


def test_revoked_key_ends(edit: httpx.Client, table: Table, keys: Keys) -> None:
    secret = keys.make("short-lived")
    headers = POST | {"authorization": f"Bearer {secret}"}
    table.until(lambda: edit.post(ITEMS, json=draft(), headers=headers).status_code == 201)
    table.run("UPDATE geocloud.edit_key SET revoked_at = now() WHERE name = 'short-lived'")
    table.until(lambda: edit.post(ITEMS, json=draft(), headers=headers).status_code == 401)


def test_keys_are_in_no_log(edit: httpx.Client, keys: Keys) -> None:
    created(edit)
    text = keys.log.read_text()
    assert '"key":"full"' in text and '"event":"created"' in text
    assert not any(secret in text for secret in keys.secrets)


def test_program_that_cannot_send_versions(edit: httpx.Client, keys: Keys) -> None:
    """The requests of QGIS 3.32 and newer as its OAPIF provider makes them: no If-Match, one patch a kind of change."""
    headers = {"authorization": f"Bearer {keys.qgis}", "accept": "*/*"}
    allow = edit.request("OPTIONS", ITEMS, headers=headers).headers["allow"]
    assert "POST" in allow
    feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [36.5, 116.0]},
               "properties": draft()["properties"] | {"name": None, "height": None}}  # fmt: skip
    uri = "http://www.opengis.net/def/crs/EPSG/0/4490"
    made = edit.post(
        ITEMS, json=feature, headers=headers | {"content-type": "application/geo+json", "content-crs": uri}
    )
    assert made.status_code == 201, made.text
    path = f"{ITEMS}/{made.headers['location'].rsplit('/items/', 1)[1]}"
    allow = edit.request("OPTIONS", path, headers=headers).headers["allow"]
    assert {"PUT", "PATCH", "DELETE"} <= set(allow.split(", "))
    point = {"geometry": {"type": "Point", "coordinates": [36.6, 116.1]}}
    moved = edit.patch(path, json=point, headers=headers | PATCH | {"content-crs": uri})
    named = edit.patch(path, json={"properties": {"name": "Q"}}, headers=headers | PATCH)
    assert (moved.status_code, named.status_code) == (200, 200)
    now = edit.get(path).json()
    assert now["geometry"]["coordinates"] == [116.1, 36.6] and now["properties"]["name"] == "Q"
    assert edit.delete(path, headers=headers).status_code == 204


def test_allow_is_true_for_each_collection(edit: httpx.Client) -> None:
    path, first = created(edit)
    cases = {
        ITEMS: {"POST"},
        path: {"PUT", "PATCH", "DELETE"},
        f"/collections/{QUIET}/items": set(),
        "/collections": set(),
    }
    for address, more in cases.items():
        answer = edit.request("OPTIONS", address)
        methods = {"GET", "HEAD", "OPTIONS"} | more
        assert answer.status_code == 204
        assert set(answer.headers["allow"].split(", ")) == methods
        assert set(answer.headers["access-control-allow-methods"].split(", ")) == methods
        assert ("authorization" in answer.headers.get("access-control-allow-headers", "")) is bool(more)
        for method in {"POST", "PUT", "PATCH", "DELETE"} - more:
            refused = edit.request(method, address, json=draft(), headers=POST | {"if-match": first.headers["etag"]})
            problem(refused, 405, "method-not-allowed")
            assert set(refused.headers["allow"].split(", ")) == methods
    problem(edit.request("OPTIONS", "/collections/no.such/items"), 404, "unknown-collection")


def test_valid_from_says_since_when(edit: httpx.Client, table: Table) -> None:
    answer = edit.post(ITEMS, json=draft(name="Old"), params={"valid-from": "2019-08-01"}, headers=POST)
    path = httpx.URL(answer.headers["location"]).path
    row = table.row(answer.json()["id"])
    assert row["valid_from"].isoformat() == "2019-07-31T16:00:00+00:00"
    changed = edit.patch(
        path, json={"properties": {"name": "New"}}, params={"valid-from": "2021-03-01T00:00:00+08:00"},
        headers=PATCH | {"if-match": answer.headers["etag"]},
    )  # fmt: skip
    assert changed.status_code == 200, changed.text
    for day, name in (("2020-01-01", "Old"), ("2021-02-28", "Old"), ("2021-03-01", "New"), ("2025-01-01", "New")):
        assert edit.get(path, params={"datetime": f"{day}T12:00:00Z"}).json()["properties"]["name"] == name
    gone = edit.delete(path, params={"valid-from": "2022-01-01"}, headers={"if-match": changed.headers["etag"]})
    assert gone.status_code == 204
    assert edit.get(path, params={"datetime": "2021-06-01T00:00:00Z"}).json()["properties"]["name"] == "New"
    assert edit.get(path, params={"datetime": "2022-06-01T00:00:00Z"}).status_code == 404


def test_correction_says_that_it_was_never_so(edit: httpx.Client) -> None:
    answer = edit.post(ITEMS, json=draft(name="Wrong"), params={"valid-from": "2019-01-01"}, headers=POST)
    path = httpx.URL(answer.headers["location"]).path
    changed = edit.patch(
        path, json={"properties": {"name": "Right"}}, params={"change": "correction"},
        headers=PATCH | {"if-match": answer.headers["etag"]},
    )  # fmt: skip
    assert changed.status_code == 200, changed.text
    assert edit.get(path, params={"datetime": "2020-01-01T00:00:00Z"}).json()["properties"]["name"] == "Right"


@pytest.mark.parametrize(
    ("method", "params", "name"),
    [("POST", {"valid-from": "yesterday"}, "valid-from"), ("PATCH", {"valid-from": "2999-01-01"}, "valid-from"),
     ("POST", {"change": "correction"}, "change"), ("PATCH", {"change": "undo"}, "change"),
     ("PATCH", {"valid-from": "2020-01-01", "valid-to": "2019-01-01"}, "valid-to"),
         ("PATCH", {"valid-to": "soon"}, "valid-to"),
     ("POST", [("crs", "OGC:CRS84"), ("crs", "OGC:CRS84")], "crs"),
     ("POST", {"colour": "red"}, "colour"), ("POST", {"crs": "EPSG:1"}, "crs"), ("POST", {"limit": "1"}, "limit")],
)  # fmt: skip
def test_parameters_are_checked(edit: httpx.Client, method: str, params: Any, name: str) -> None:
    path, first = (ITEMS, None) if method == "POST" else created(edit)
    headers = POST if first is None else PATCH | {"if-match": first.headers["etag"]}
    answer = edit.request(method, path, json=draft() if first is None else {}, params=params, headers=headers)
    assert problem(answer, 400, "invalid-parameter")["parameter"] == name


def test_content_crs_that_is_not_served(edit: httpx.Client) -> None:
    answer = edit.post(ITEMS, json=draft(), headers=POST | {"content-crs": "<http://www.opengis.net/def/crs/EPSG/0/1>"})
    assert problem(answer, 400, "invalid-parameter")["parameter"] == "Content-Crs"


def test_layer_that_is_being_written_is_busy_and_nothing_happens(edit: httpx.Client, table: Table) -> None:
    before = table.count()
    with table.writing():
        answer = edit.post(ITEMS, json=draft(), headers=POST)
        problem(answer, 503, "layer-busy")
        assert int(answer.headers["retry-after"]) >= 1
    assert edit.post(ITEMS, json=draft(), headers=POST).status_code == 201
    assert table.count() == before + 1


def test_conformance_and_definition_tell_of_editing(edit: httpx.Client, reading: httpx.Client) -> None:
    part4 = "ogcapi-features-4"
    assert any(part4 in uri for uri in edit.get("/conformance").json()["conformsTo"])
    assert not any(part4 in uri for uri in reading.get("/conformance").json()["conformsTo"])
    on, off = (c.get("/api", params={"f": "json"}).json()["paths"] for c in (edit, reading))
    items, item = "/collections/{collectionId}/items", "/collections/{collectionId}/items/{featureId}"
    assert set(on[items]) == {"get", "post"} and set(on[item]) == {"get", "put", "patch", "delete"}
    assert set(off[items]) == {"get"} and set(off[item]) == {"get"}


def test_without_the_setting_nothing_can_be_written(reading: httpx.Client, table: Table, keys: Keys) -> None:
    before = table.count()
    answer = reading.post(ITEMS, json=draft(), headers=POST | {"authorization": f"Bearer {keys.full}"})
    problem(answer, 405, "method-not-allowed")
    assert set(reading.request("OPTIONS", ITEMS).headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert table.count() == before


def test_what_was_written_is_read_at_once(edit: httpx.Client) -> None:
    """The answer waits until its worker serves the change; cached answers of the layer are not sent again."""
    path, first = created(edit, name="0")
    tag = first.headers["etag"]
    with httpx.Client(base_url=edit.base_url, headers=edit.headers) as one:
        for n in range(1, 30):
            changed = one.patch(path, json={"properties": {"name": str(n)}}, headers=PATCH | {"if-match": tag})
            tag = changed.headers["etag"]
            assert one.get(path).json()["properties"]["name"] == str(n)
