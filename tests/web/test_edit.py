# SPDX-License-Identifier: Apache-2.0
"""Editing over HTTP (OGC API Features part 4) on a real server: every status, and what is in the database after it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from geocloud.features.request import SERVED_CRS
from geocloud.geodesy.crs import crs
from geocloud.geodesy.transform import from_lonlat
from tests.web.editing import (
    ITEMS,
    PATCH,
    POST,
    QUIET,
    Keys,
    Table,
    broken,
    created,
    draft,
    problem,
)


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
