# SPDX-License-Identifier: Apache-2.0
"""Corrections of parts of a feature's life over HTTP: values, absences, and when one version gave way to the next."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.web.editing import ASSET, PATCH, POST, Keys, Table, draft

ITEMS = f"/collections/{ASSET}/items"
ANY = {"if-match": "*"}
START = [("2014", "2018", "one"), ("2018", "2022", "two"), ("2022", None, "three")]


@pytest.fixture
def fid(edit: httpx.Client) -> int:
    """A feature with three versions, from the first instants of 2014, 2018 and 2022 on."""
    made = edit.post(f"{ITEMS}?valid-from=2014-01-01T00:00:00Z", json=draft(name="one", height=1.5))
    fid = int(made.json()["id"])
    for year, name in (("2018", "two"), ("2022", "three")):
        done = edit.patch(f"{ITEMS}/{fid}?valid-from={year}-01-01T00:00:00Z", json={"properties": {"name": name}},
                          headers=PATCH | ANY)  # fmt: skip
        assert done.status_code == 200
    return fid


def life(edit: httpx.Client, fid: int, **asked: str) -> list[tuple[str | None, str | None, str]]:
    """(year of the start, year of the end, name) of each version."""
    features = edit.get(f"{ITEMS}/{fid}/versions", params=asked).json()["features"]
    years = [[t and t[:4] for t in (f["version"]["validFrom"], f["version"]["validTo"])] for f in features]
    return [(a, b, f["properties"]["name"]) for (a, b), f in zip(years, features, strict=True)]


def tag(edit: httpx.Client, fid: int, place: int) -> tuple[str, str]:
    """Id of a version, and an If-Match that names it."""
    version = edit.get(f"{ITEMS}/{fid}/versions").json()["features"][place]["version"]["id"]
    return version, f'"{version}.x"'


def span(start: str | None, end: str | None) -> dict[str, str]:
    found = {"change": "correction"}
    if start:
        found["valid-from"] = f"{start}-01-01T00:00:00Z"
    if end:
        found["valid-to"] = f"{end}-01-01T00:00:00Z"
    return found


PORTIONS: dict[str, tuple[str, str | None, str | None, list[Any]]] = {
    "values of a past version": ("PATCH", "2018", "2022", [START[0], ("2018", "2022", "x"), START[2]]),
    "values across versions": (
        "PATCH", "2016", "2020",
        [("2014", "2016", "one"), ("2016", "2020", "x"), ("2020", "2022", "two"), START[2]],
    ),
    "until a date": ("PATCH", None, "2016", [("2014", "2016", "x"), ("2016", "2018", "one"), *START[1:]]),
    "from a date on": ("PATCH", "2020", None, [START[0], ("2018", "2020", "two"), ("2020", None, "x")]),
    "a whole feature": ("PUT", "2018", "2022", [START[0], ("2018", "2022", "x"), START[2]]),
    "not there between": ("DELETE", "2019", "2023", [START[0], ("2018", "2019", "two"), ("2023", None, "three")]),
    "not there from a date on": ("DELETE", "2020", None, [START[0], ("2018", "2020", "two")]),
}  # fmt: skip


@pytest.mark.parametrize("name", PORTIONS)
def test_a_time_is_corrected_and_what_was_believed_stays(edit: httpx.Client, fid: int, name: str) -> None:
    method, start, end, expected = PORTIONS[name]
    assert life(edit, fid) == START
    before = edit.get(f"{ITEMS}/{fid}/versions").json()["features"][-1]["version"]["knownFrom"]
    body: Any = {"properties": {"name": "x"}}
    headers = PATCH | ANY
    if method == "PUT":
        code = edit.get(f"{ITEMS}/{fid}").json()["properties"]["code"]
        body, headers = draft(name="x") | {"properties": {"code": code, "name": "x"}}, POST | ANY
    if method == "DELETE":
        answer = edit.delete(f"{ITEMS}/{fid}", params=span(start, end), headers=ANY)
        assert answer.status_code == 204, answer.text
    else:
        answer = edit.request(method, f"{ITEMS}/{fid}", params=span(start, end), json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json()["properties"]["name"] == "x"
        assert answer.json()["properties"]["height"] == (None if method == "PUT" else 1.5)
    assert life(edit, fid) == expected
    assert life(edit, fid, asof=before) == START
    last = edit.get(f"{ITEMS}/{fid}/versions?beliefs=all").json()["features"]
    assert {f["version"]["by"] for f in last} == {"full"}


MOVES = {
    "began earlier": (1, {"valid-from": "2016"}, [("2014", "2016", "one"), ("2016", "2022", "two"), START[2]]),
    "began later": (1, {"valid-from": "2020"}, [("2014", "2020", "one"), ("2020", "2022", "two"), START[2]]),
    "ended earlier": (1, {"valid-to": "2020"}, [START[0], ("2018", "2020", "two"), ("2020", None, "three")]),
    "ended later": (1, {"valid-to": "2024"}, [START[0], ("2018", "2024", "two"), ("2024", None, "three")]),
    "both ends": (
        1, {"valid-from": "2016", "valid-to": "2024"},
        [("2014", "2016", "one"), ("2016", "2024", "two"), ("2024", None, "three")],
    ),
    "the first began earlier": (0, {"valid-from": "2010"}, [("2010", "2018", "one"), *START[1:]]),
    "the first began later": (0, {"valid-from": "2015"}, [("2015", "2018", "one"), *START[1:]]),
    "the last ended": (2, {"valid-to": "2023"}, [*START[:2], ("2022", "2023", "three")]),
    "over a whole neighbour": (2, {"valid-from": "2016"}, [("2014", "2016", "one"), ("2016", None, "three")]),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
def test_one_version_gives_way_to_the_next_at_another_date(edit: httpx.Client, fid: int, name: str) -> None:
    place, dates, expected = MOVES[name]
    version, match = tag(edit, fid, place)
    asked = {k: f"{v}-01-01T00:00:00Z" for k, v in dates.items()}
    answer = edit.patch(f"{ITEMS}/{fid}/versions/{version}", params=asked, json={}, headers=PATCH | {"if-match": match})
    assert answer.status_code == 200, answer.text
    assert life(edit, fid) == expected
    assert answer.json()["properties"]["name"] == START[place][2]


def test_a_past_version_gets_other_values(edit: httpx.Client, fid: int) -> None:
    version, match = tag(edit, fid, 0)
    body = {"properties": {"name": "ONE"}, "geometry": {"type": "Point", "coordinates": [116.25, 36.75]}}
    answer = edit.patch(f"{ITEMS}/{fid}/versions/{version}", json=body, headers=PATCH | {"if-match": match})
    assert answer.status_code == 200, answer.text
    assert answer.json()["geometry"]["coordinates"] == [116.25, 36.75]
    assert life(edit, fid) == [("2014", "2018", "ONE"), *START[1:]]
    again = edit.patch(f"{ITEMS}/{fid}/versions/{version}", json=body, headers=PATCH | {"if-match": match})
    assert again.status_code == 404


def test_a_change_for_a_time(edit: httpx.Client, fid: int) -> None:
    body = {"properties": {"name": "closed"}}
    asked = {"valid-from": "2999-01-01", "valid-to": "2999-02-01"}
    answer = edit.patch(f"{ITEMS}/{fid}", params=asked, json=body, headers=PATCH | ANY)
    assert answer.status_code == 200, answer.text
    assert edit.get(f"{ITEMS}/{fid}").json()["properties"]["name"] == "three"
    assert edit.get(f"{ITEMS}/{fid}?datetime=2999-01-10").json()["properties"]["name"] == "closed"
    assert edit.get(f"{ITEMS}/{fid}?datetime=2999-03-01").json()["properties"]["name"] == "three"
    found = edit.get(ITEMS, params={"code": answer.json()["properties"]["code"]}).json()
    assert [f["properties"]["name"] for f in found["features"]] == ["three"]


def test_a_feature_that_is_known_to_end(edit: httpx.Client) -> None:
    made = edit.post(f"{ITEMS}?valid-from=2020-01-01&valid-to=2021-01-01", json=draft(name="brief"))
    assert made.status_code == 201, made.text
    address = made.headers["location"]
    assert edit.get(f"{address}?datetime=2020-06-01").json()["properties"]["name"] == "brief"
    assert edit.get(address).status_code == 410


def test_refused_corrections(edit: httpx.Client, fid: int, keys: Keys, table: Table) -> None:
    before = table.version(), life(edit, fid)
    path, patch = f"{ITEMS}/{fid}", {"properties": {"name": "x"}}
    _, match = tag(edit, fid, 1)
    stale = match.replace(match[1:9], "zzzzzzzz")

    def status(params: dict[str, str], headers: dict[str, str], body: Any = patch, at: str = path) -> int:
        return edit.patch(at, params=params, json=body, headers=PATCH | headers).status_code

    assert status(span("2018", "2022"), {}) == 428
    assert status(span("2018", "2022"), {"if-match": stale}) == 412
    assert status(span("2022", "2018"), ANY) == 400
    assert status({"valid-to": "2001-01-01"}, ANY) == 400
    assert status(span("2018", "2022"), ANY, {"properties": {"height": 1000, "colour": "red"}}) == 422
    assert status(span("2018", "2022"), ANY, {"geometry": {"coordinates": [1, 2]}}) == 422
    assert status(span("2018", "2022"), ANY, at=f"{ITEMS}/999999999") == 404
    version, match = tag(edit, fid, 1)
    assert status({"valid-from": "2023-01-01"}, {"if-match": match}, {}, f"{path}/versions/{version}") == 400
    assert status({}, {"if-match": '"a.b.c"'}, {}, f"{path}/versions/{version}") == 412
    assert status({}, ANY, {}, f"{path}/versions/nonsense") == 404
    nobody = edit.patch(path, params=span("2018", "2022"), json=patch,
                        headers=PATCH | ANY | {"authorization": f"Bearer {keys.elsewhere}"})  # fmt: skip
    assert nobody.status_code == 403
    assert (table.version(), life(edit, fid)) == before


def test_a_named_past_version_must_still_be_believed(edit: httpx.Client, fid: int) -> None:
    _, match = tag(edit, fid, 1)
    first = edit.patch(f"{ITEMS}/{fid}", params=span("2018", "2022"), json={"properties": {"name": "x"}},
                       headers=PATCH | {"if-match": match})  # fmt: skip
    assert first.status_code == 200
    second = edit.patch(f"{ITEMS}/{fid}", params=span("2018", "2022"), json={"properties": {"name": "y"}},
                        headers=PATCH | {"if-match": match})  # fmt: skip
    assert second.status_code == 412
    assert life(edit, fid)[1][2] == "x"


def test_what_is_planned_is_left_alone_by_a_change_of_now(edit: httpx.Client, fid: int, table: Table) -> None:
    """A row that takes effect at a date ahead, as a load may bring it: the feature of now is still read and changed."""
    table.run(
        "SELECT set_config('geocloud.valid_at', '2999-01-01Z', true); "
        "UPDATE test.asset SET name = 'planned' WHERE fid = %s", fid,
    )  # fmt: skip
    path = f"{ITEMS}/{fid}"
    table.until(lambda: edit.get(f"{path}?datetime=2999-06-01").json()["properties"]["name"] == "planned")
    now = edit.get(path)
    assert now.json()["properties"]["name"] == "three"
    code = now.json()["properties"]["code"]
    assert [f["id"] for f in edit.get(ITEMS, params={"code": code}).json()["features"]] == [fid]
    changed = edit.patch(path, json={"properties": {"name": "four"}}, headers=PATCH | {"if-match": now.headers["etag"]})
    assert changed.status_code == 200, changed.text
    assert changed.json()["properties"]["name"] == "four"
    assert edit.get(path).json()["properties"]["name"] == "four"
    assert edit.get(f"{path}?datetime=2999-06-01").json()["properties"]["name"] == "planned"
    assert [name for _, _, name in life(edit, fid)] == ["one", "two", "three", "four", "planned"]
    stale = edit.patch(path, json={"properties": {"name": "x"}}, headers=PATCH | {"if-match": now.headers["etag"]})
    assert stale.status_code == 412
    assert edit.delete(path, headers=ANY).status_code == 204
    assert edit.get(path).status_code == 410
    assert edit.get(f"{path}?datetime=2999-06-01").status_code == 404
