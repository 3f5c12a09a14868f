# SPDX-License-Identifier: Apache-2.0
"""Many changes in one transaction: all or none; and the way back to an earlier state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.cluster import Urls
from tests.web.editing import ASSET, KINDS, QUIET, Keys, Table, asset_spec, draft

ITEMS = f"/collections/{ASSET}/items"


def made(edit: httpx.Client, **values: Any) -> tuple[int, str]:
    """A feature, and its ETag."""
    answer = edit.post(ITEMS, json=draft(**values))
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"]), answer.headers["etag"]


def part(action: str, **more: Any) -> dict[str, Any]:
    return {"action": action, "collection": ASSET, **more}


def send(edit: httpx.Client, *parts: dict[str, Any], **more: Any) -> httpx.Response:
    return edit.post("/transactions", json={"semantic": "atomic", "transaction": list(parts), **more})


def names(table: Table) -> dict[int, str]:
    return {r["fid"]: r["name"] for r in table.run("SELECT fid, name FROM test.asset ORDER BY fid")}


def test_all_kinds_of_change_at_once(edit: httpx.Client, table: Table) -> None:
    (a, tag_a), (b, tag_b), (c, tag_c) = (made(edit, name=n, height=3) for n in "abc")
    code = edit.get(f"{ITEMS}/{b}").json()["properties"]["code"]
    version = table.version()
    whole = draft(name="B") | {"properties": {"code": code, "name": "B"}}
    answer = send(
        edit,
        part("insert", items=[draft(name="new 1"), draft(name="new 2")], description="two more"),
        part("update", id=a, ifMatch=tag_a, patch={"properties": {"name": "A"}}),
        part("replace", id=b, ifMatch=tag_b, item=whole),
        part("delete", id=str(c), ifMatch=tag_c),
    )
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["summary"] == {"totalInserted": 2, "totalReplaced": 1, "totalUpdated": 1, "totalDeleted": 1}
    assert table.version() == version + 1
    assert edit.get(f"{ITEMS}/{a}").json()["properties"]["name"] == "A"
    assert edit.get(f"{ITEMS}/{b}").json()["properties"] | {"code": "", "name": ""} == {
        n: "" if n in ("code", "name") else None for n in edit.get(f"{ITEMS}/{b}").json()["properties"]
    }
    assert edit.get(f"{ITEMS}/{c}").status_code == 410
    for address, name in zip(told["insertResults"], ("new 1", "new 2"), strict=True):
        assert edit.get(address).json()["properties"]["name"] == name
    # The tags that came back are those to go on with.
    for feature in told["features"]:
        if feature["action"] != "delete":
            assert edit.get(f"{ITEMS}/{feature['id']}").headers["etag"] == feature["etag"]
    stamps = table.run(
        "SELECT DISTINCT at, by_name FROM geocloud.change_log WHERE layer = %s AND version = %s", ASSET, version + 1
    )
    assert [r["by_name"] for r in stamps] == ["full"]


REFUSED: dict[str, tuple[int, str, Callable[[int, str], list[dict[str, Any]]]]] = {
    "a stale version": (412, "/transaction/1", lambda fid, tag: [
        part("update", id=fid, ifMatch=f'"1.1.{tag.rsplit(".", 1)[1]}', patch={"properties": {"name": "x"}})]),
    "an unknown feature": (404, "/transaction/1", lambda fid, tag: [part("delete", id=999_999_999, ifMatch="*")]),
    "no version": (422, "/transaction/1/ifMatch", lambda fid, tag: [part("delete", id=fid)]),
    "a broken rule": (422, "/transaction/1/patch/properties/height", lambda fid, tag: [
        part("update", id=fid, ifMatch=tag, patch={"properties": {"height": 1000}})]),
    "an unknown field": (422, "/transaction/1/patch/properties/colour", lambda fid, tag: [
        part("update", id=fid, ifMatch=tag, patch={"properties": {"colour": "red"}})]),
    "an unknown action": (422, "/transaction/1/action", lambda fid, tag: [part("merge", id=fid)]),
    "a member of no meaning": (422, "/transaction/1/filter", lambda fid, tag: [
        part("delete", id=fid, ifMatch=tag, filter={})]),
    "a collection that is not edited": (422, "/transaction/1/collection", lambda fid, tag: [
        {"action": "insert", "collection": QUIET, "items": [draft()]}]),
    "no such collection": (422, "/transaction/1/collection", lambda fid, tag: [
        {"action": "insert", "collection": "a.b", "items": [draft()]}]),
    "the same feature twice": (422, "/transaction/2/id", lambda fid, tag: [
        part("update", id=fid, ifMatch=tag, patch={"properties": {"name": "x"}}), part("delete", id=fid, ifMatch=tag)]),
    "no features": (422, "/transaction/1/items", lambda fid, tag: [part("insert", items=[])]),
    "a key that is taken": (409, "/transaction/1", lambda fid, tag: [
        part("insert", items=[draft() | {"properties": {"code": "TAKEN"}}])]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_one_part_that_cannot_be_leaves_nothing(edit: httpx.Client, table: Table, name: str) -> None:
    status, pointer, parts = REFUSED[name]
    if not table.run("SELECT FROM test.asset WHERE code = 'TAKEN'"):
        edit.post(ITEMS, json=draft() | {"properties": {"code": "TAKEN"}})
    fid, tag = made(edit, name="stays")
    before = names(table), table.version()
    answer = send(edit, part("insert", items=[draft(name="must not be")]), *parts(fid, tag))
    assert answer.status_code == status, answer.text
    told = answer.json()
    places = [v["pointer"] for v in told["violations"]] if status == 422 else [told["pointer"]]
    assert pointer in places
    assert (names(table), table.version()) == before
    zh = edit.post("/transactions?lang=zh", json={"transaction": [part("insert", items=[draft()]), *parts(fid, tag)]})
    assert zh.status_code == status and zh.json()["detail"] != told["detail"]


def test_every_violation_of_every_part_is_told(edit: httpx.Client) -> None:
    fid, tag = made(edit)
    bad = draft(height=-5, kind="car")
    answer = send(
        edit, part("insert", items=[draft(), bad]),
        part("update", id=fid, ifMatch=tag, patch={"properties": {"year": "old"}, "geometry": {"type": "Point"}}),
    )  # fmt: skip
    places = {v["pointer"] for v in answer.json()["violations"]}
    assert {"/transaction/0/items/1/properties/height", "/transaction/0/items/1/properties/kind"} <= places
    assert any(p.startswith("/transaction/1/patch/properties/year") for p in places)


def test_whoever_may_not_is_refused(edit: httpx.Client, reading: httpx.Client, keys: Keys, table: Table) -> None:
    before = table.version()
    body = {"transaction": [part("insert", items=[draft()])]}
    assert edit.post("/transactions", json=body, headers={"authorization": ""}).status_code == 401
    other = edit.post("/transactions", json=body, headers={"authorization": f"Bearer {keys.elsewhere}"})
    assert (other.status_code, other.json()["pointer"]) == (403, "/transaction/0")
    assert edit.post("/transactions", content=b"[", headers={"content-type": "application/json"}).status_code == 400
    assert edit.post("/transactions", json=body, headers={"content-type": "text/plain"}).status_code == 415
    assert edit.post("/transactions?limit=1", json=body).status_code == 400
    assert send(edit, part("insert", items=[draft() for _ in range(101)])).status_code == 413
    assert edit.post("/transactions", json=body | {"semantic": "batch"}).status_code == 422
    assert edit.post("/transactions", json={"transaction": []}).status_code == 422
    assert edit.get("/transactions").status_code == 405
    assert edit.options("/transactions").headers["allow"] == "OPTIONS, POST"
    assert reading.post("/transactions", json=body).status_code == 405
    assert table.version() == before


def test_many_transactions_over_the_same_features_lose_nothing(edit: httpx.Client, table: Table) -> None:
    pairs = [made(edit, name="0", year=0)[0] for _ in range(4)]
    clients, rounds = 8, 6
    won: list[int] = []
    wrong: list[str] = []

    def work(n: int) -> None:
        with httpx.Client(base_url=edit.base_url, headers=dict(edit.headers), timeout=60) as own:
            for i in range(rounds):
                chosen = pairs[(n + i) % 4], pairs[(n + i + 1 + i % 2) % 4]
                tags = [own.get(f"{ITEMS}/{f}") for f in chosen]
                parts = [
                    part("update", id=f, ifMatch=t.headers["etag"],
                         patch={"properties": {"year": t.json()["properties"]["year"] + 1}})
                    for f, t in zip(chosen, tags, strict=True)
                ]  # fmt: skip
                status = send(own, *parts).status_code
                if status == 200:
                    won.append(1)
                elif status != 412:
                    wrong.append(str(status))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert wrong == []
    total = table.run("SELECT sum(year)::int AS n FROM test.asset WHERE fid = ANY (%s)", pairs)[0]["n"]
    assert total == 2 * len(won) > 0


def test_layers_change_together_or_not_at_all(edit: httpx.Client, table: Table, urls: Urls) -> None:
    other = "test.another"
    conn = psycopg2.connect(urls.owner)
    text = {"zh": "另一层", "en": "Another"}
    fields = [{"name": "code", "title": text}, {"name": "year", "type": "integer", "title": text}]
    spec = {"id": other, "title": text, "description": text, "geometry": "none", "key": ["code"], "fields": fields}
    specs = {ASSET: asset_spec(), QUIET: asset_spec(QUIET, edit=False)}
    specs[other] = LayerSpec.model_validate(spec | {"access": {"edit": True}})
    sync(conn, specs, {"asset_kind": KINDS})
    conn.close()
    table.until(lambda: edit.get(f"/collections/{other}").status_code == 200)
    plain = {"type": "Feature", "geometry": None, "properties": {"code": "N1", "year": 7}}
    fid, tag = made(edit, name="here")
    parts = [
        {"action": "insert", "collection": other, "items": [plain]},
        part("update", id=fid, ifMatch=tag, patch={"properties": {"name": "there"}}),
    ]
    done = send(edit, *parts)
    assert done.status_code == 200, done.text
    assert edit.get(done.json()["insertResults"][0]).json()["properties"] == {"code": "N1", "year": 7}
    assert edit.get(f"{ITEMS}/{fid}").json()["properties"]["name"] == "there"
    again = send(edit, *parts)
    assert again.status_code == 412
    assert table.run("SELECT count(*) AS n FROM test.another")[0]["n"] == 1


def stamp(table: Table) -> str:
    """The moment of the layer's last write."""
    (row,) = table.run("SELECT stamp FROM geocloud.layer_state WHERE layer = %s", ASSET)
    return str(row["stamp"].astimezone(UTC).isoformat())


def restore(edit: httpx.Client, **body: Any) -> httpx.Response:
    return edit.post(f"/collections/{ASSET}/restore", json=body)


def test_features_go_back(edit: httpx.Client, table: Table) -> None:
    (kept, tag), (gone, gone_tag) = made(edit, name="good"), made(edit, name="to be deleted")
    other, other_tag = made(edit, name="another")
    moment = stamp(table)
    for fid, match in ((kept, tag), (other, other_tag)):
        edit.patch(f"{ITEMS}/{fid}", json={"properties": {"name": "bad"}},
                   headers={"content-type": "application/merge-patch+json", "if-match": match})  # fmt: skip
    edit.delete(f"{ITEMS}/{gone}", headers={"if-match": gone_tag})
    late, _ = made(edit, name="late")
    before = names(table), table.version()
    dry = restore(edit, asof=moment, features=[kept, gone, late], dryRun=True)
    counts = {"ended": 1, "changed": 1, "returned": 1}
    assert dry.status_code == 200, dry.text
    assert {k: dry.json()[k] for k in counts} == counts and dry.json()["dryRun"] is True
    assert (names(table), table.version()) == before
    done = restore(edit, asof=moment, features=[kept, gone, late])
    assert {k: done.json()[k] for k in counts} == counts
    assert edit.get(f"{ITEMS}/{kept}").json()["properties"]["name"] == "good"
    assert edit.get(f"{ITEMS}/{gone}").json()["properties"]["name"] == "to be deleted"
    assert edit.get(f"{ITEMS}/{late}").status_code == 410
    assert edit.get(f"{ITEMS}/{other}").json()["properties"]["name"] == "bad"
    life = [f["properties"]["name"] for f in edit.get(f"{ITEMS}/{kept}/versions").json()["features"]]
    assert life == ["good", "bad", "good"]
    assert restore(edit, asof=moment, features=[kept, gone, late]).json()["changed"] == 0


def test_what_a_filter_finds_goes_back(edit: httpx.Client, table: Table) -> None:
    fids = [made(edit, name="set", year=2001)[0] for _ in range(3)]
    moment = stamp(table)
    for fid in fids[:2]:
        edit.patch(f"{ITEMS}/{fid}", json={"properties": {"name": "spoilt", "year": 1}},
                   headers={"content-type": "application/merge-patch+json", "if-match": "*"})  # fmt: skip
    done = restore(edit, asof=moment, filter="name = 'set' AND year = 2001")
    assert done.json()["changed"] == 2
    assert {names(table)[f] for f in fids} == {"set"}
    assert restore(edit, asof=moment, filter="nonsense = 1").status_code == 400


def test_a_whole_layer_goes_back_and_forth(edit: httpx.Client, table: Table) -> None:
    state, moment = names(table), stamp(table)
    fid, _ = made(edit, name="one more")
    for victim in list(state)[:2]:
        edit.delete(f"{ITEMS}/{victim}", headers={"if-match": "*"})
    spoilt, then = names(table), stamp(table)
    assert restore(edit, asof=moment, all=True).json() | {"changes": ""} == {
        "collection": ASSET, "asof": datetime.fromisoformat(moment).isoformat().replace("+00:00", "Z"), "dryRun": False,
        "ended": 1, "changed": 0, "returned": 2, "changes": "",
    }  # fmt: skip
    assert names(table) == state
    assert restore(edit, asof=then, all=True).status_code == 200
    assert names(table) == spoilt and fid in spoilt


def test_a_key_taken_meanwhile_stops_it_all(edit: httpx.Client, table: Table) -> None:
    fid, _ = made(edit, name="first")
    code = edit.get(f"{ITEMS}/{fid}").json()["properties"]["code"]
    moment = stamp(table)
    edit.delete(f"{ITEMS}/{fid}", headers={"if-match": "*"})
    edit.post(ITEMS, json=draft() | {"properties": {"code": code, "name": "second"}})
    before = names(table)
    answer = restore(edit, asof=moment, features=[fid])
    assert (answer.status_code, answer.json()["value"]) == (409, code)
    assert names(table) == before


@pytest.mark.parametrize(
    "body",
    [{}, {"asof": "2020-01-01"}, {"asof": "2020-01-01", "all": True, "features": [1]}, {"all": True},
     {"asof": "2020-01-01", "features": []}, {"asof": "2020-01-01", "features": ["1"]},
     {"asof": "2020-01-01", "filter": 1}, {"asof": "2020-01-01", "all": True, "colour": 1}, [1]],
)  # fmt: skip
def test_what_is_no_way_back(edit: httpx.Client, table: Table, body: Any) -> None:
    before = table.version()
    assert edit.post(f"/collections/{ASSET}/restore", json=body).status_code == 422
    assert table.version() == before


def test_ways_back_are_for_those_who_may(edit: httpx.Client, keys: Keys, reading: httpx.Client) -> None:
    body = {"asof": "2020-01-01", "all": True}
    path = f"/collections/{ASSET}/restore"
    assert edit.post(path, json=body, headers={"authorization": ""}).status_code == 401
    assert edit.post(path, json=body, headers={"authorization": f"Bearer {keys.elsewhere}"}).status_code == 403
    assert edit.post(f"/collections/{QUIET}/restore", json=body).status_code == 405
    assert edit.post(path, json=body | {"asof": "2999-01-01T00:00:00Z"}).status_code == 400
    assert reading.post(path, json=body).status_code == 405
