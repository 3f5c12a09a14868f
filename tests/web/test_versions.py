# SPDX-License-Identifier: Apache-2.0
"""The versions of a feature over HTTP: its life, each version by itself, what has ended, what can no longer change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.web.editing import ASSET, PATCH, PROBLEM, Table, draft

ITEMS = f"/collections/{ASSET}/items"
LIFE = (("2014-01-01", "first"), ("2019-08-01", "second"), ("2024-02-29", "third"))


@pytest.fixture
def lived(edit: httpx.Client, table: Table) -> int:
    """A feature with three versions, each from a midnight in Beijing on; the last one moved it too."""
    made = edit.post(f"{ITEMS}?valid-from={LIFE[0][0]}", json=draft(name=LIFE[0][1]))
    fid = int(made.json()["id"])
    for at, name in LIFE[1:]:
        patch: dict[str, Any] = {"properties": {"name": name}}
        if name == "third":
            patch["geometry"] = {"type": "Point", "coordinates": [116.1, 36.6]}
        done = edit.patch(f"{ITEMS}/{fid}?valid-from={at}", json=patch, headers={**PATCH, "if-match": "*"})
        assert done.status_code == 200, done.text
    return fid


def midnight(day: str) -> datetime:
    """The instant at which a day begins in Beijing."""
    return datetime.fromisoformat(f"{day}T00:00:00+08:00").astimezone(UTC)


def written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def test_a_life_is_listed_from_the_start(edit: httpx.Client, table: Table, lived: int) -> None:
    document = edit.get(f"{ITEMS}/{lived}/versions").json()
    features = document["features"]
    assert [f["properties"]["name"] for f in features] == [name for _, name in LIFE]
    begins = [written(midnight(day)) for day, _ in LIFE]
    assert [f["version"]["validFrom"] for f in features] == begins
    assert [f["version"]["validTo"] for f in features] == [*begins[1:], None]
    assert [f["time"]["interval"] for f in features] == [
        [a, b] for a, b in zip(begins, [*begins[1:], ".."], strict=True)
    ]
    assert [f["version"]["by"] for f in features][-1] == "full"
    rows = table.run(
        'SELECT sys_from, valid_from FROM test.asset WHERE fid = %s UNION ALL SELECT sys_from, valid_from FROM '
        "history.\"test.asset\" WHERE fid = %s AND sys_to = 'infinity' ORDER BY valid_from",
        lived, lived,
    )  # fmt: skip
    assert [f["version"]["knownFrom"] for f in features] == [written(r["sys_from"].astimezone(UTC)) for r in rows]
    links = [{x["rel"]: x["href"] for x in f["links"]} for f in features]
    assert "predecessor-version" not in links[0]
    assert links[1]["predecessor-version"] == links[0]["self"]
    assert links[1]["successor-version"] == links[2]["self"]
    assert "successor-version" not in links[2]


def test_given_up_beliefs_are_there_when_asked_for(edit: httpx.Client, table: Table, lived: int) -> None:
    every = edit.get(f"{ITEMS}/{lived}/versions?beliefs=all").json()["features"]
    (count,) = table.run(
        'SELECT (SELECT count(*) FROM test.asset WHERE fid = %s) + (SELECT count(*) FROM history."test.asset" '
        "WHERE fid = %s) AS n", lived, lived,
    )  # fmt: skip
    assert len(every) == count["n"] == 5
    assert sum(f["version"]["knownTo"] is not None for f in every) == 2
    # As it was believed before the last change.
    moment = every[0]["version"]["knownFrom"]
    then = edit.get(f"{ITEMS}/{lived}/versions", params={"asof": moment}).json()["features"]
    assert [f["properties"]["name"] for f in then] == ["first"]


def test_each_version_has_an_address_a_date_and_neighbours(edit: httpx.Client, lived: int) -> None:
    features = edit.get(f"{ITEMS}/{lived}/versions").json()["features"]
    middle = features[1]
    address = next(x["href"] for x in middle["links"] if x["rel"] == "self")
    answer = edit.get(address)
    assert answer.json() == middle
    assert parsedate_to_datetime(answer.headers["memento-datetime"]) == midnight(LIFE[1][0])
    told = answer.headers["link"]
    for rel in ("predecessor-version", "successor-version", "version-history", "original", "timemap"):
        assert rel in told
    again = edit.get(address, headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    assert "immutable" not in answer.headers["cache-control"]


def test_a_belief_that_was_given_up_may_be_kept_for_ever(edit: httpx.Client, lived: int) -> None:
    every = edit.get(f"{ITEMS}/{lived}/versions?beliefs=all").json()["features"]
    old = next(f for f in every if f["version"]["knownTo"])
    answer = edit.get(f"{ITEMS}/{lived}/versions/{old['version']['id']}")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.json()["properties"] == old["properties"]


MOMENTS = {
    "the last instant before": (-1, 0),
    "the instant itself": (0, 1),
    "a day later": (86_400_000_000, 1),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_versions_that_touch_share_no_instant(edit: httpx.Client, lived: int, name: str) -> None:
    microseconds, expected = MOMENTS[name]
    moment = midnight(LIFE[1][0]) + timedelta(microseconds=microseconds)
    for text in (written(moment), moment.astimezone(tz=None).isoformat(), f"{written(moment)}/{written(moment)}"):
        got = edit.get(f"{ITEMS}/{lived}", params={"datetime": text})
        assert got.json()["properties"]["name"] == LIFE[expected][1], text
        assert parsedate_to_datetime(got.headers["memento-datetime"]) == midnight(LIFE[expected][0])


def test_a_leap_day_is_a_day_in_beijing(edit: httpx.Client, lived: int) -> None:
    for text, name in (("2024-02-28T15:59:59.999999Z", "second"), ("2024-02-28T16:00:00Z", "third"),
                       ("2024-02-29T00:00:00+08:00", "third"), ("2024-02-28/2024-02-28", "second")):  # fmt: skip
        assert edit.get(f"{ITEMS}/{lived}", params={"datetime": text}).json()["properties"]["name"] == name, text
    assert edit.get(f"{ITEMS}/{lived}?datetime=2023-02-29").status_code == 400


def test_a_client_of_another_time_is_shown_the_way(edit: httpx.Client, lived: int) -> None:
    when = midnight("2020-01-01")
    answer = edit.get(f"{ITEMS}/{lived}", headers={"accept-datetime": format_datetime(when, usegmt=True)})
    assert answer.status_code == 302
    assert "accept-datetime" in answer.headers["vary"]
    assert edit.get(answer.headers["location"]).json()["properties"]["name"] == "second"
    early = edit.get(f"{ITEMS}/{lived}", headers={"accept-datetime": "Tue, 01 Jan 1991 00:00:00 GMT"})
    assert early.status_code == 404
    wrong = edit.get(f"{ITEMS}/{lived}", headers={"accept-datetime": "yesterday"})
    assert (wrong.status_code, wrong.headers["content-type"]) == (400, PROBLEM)


def test_what_has_ended_is_gone_and_what_never_was_is_unknown(edit: httpx.Client, lived: int) -> None:
    assert edit.delete(f"{ITEMS}/{lived}?valid-from=2025-05-01", headers={"if-match": "*"}).status_code == 204
    answer = edit.get(f"{ITEMS}/{lived}")
    told = answer.json()
    assert answer.status_code == 410
    assert told["ended"] == written(midnight("2025-05-01"))
    assert edit.get(told["lastVersion"]).json()["properties"]["name"] == "third"
    assert len(edit.get(told["versions"]).json()["features"]) == 3
    assert edit.get(f"{ITEMS}/{lived}?datetime=2025-04-30").json()["properties"]["name"] == "third"
    assert edit.get(f"{ITEMS}/{lived}?datetime=2025-05-01").status_code == 404
    zh = edit.get(f"{ITEMS}/{lived}?lang=zh").json()
    assert "已于" in zh["detail"]
    never = int(edit.post(ITEMS, json=draft(name="never")).json()["id"])
    assert edit.delete(f"{ITEMS}/{never}?change=correction", headers={"if-match": "*"}).status_code == 204
    assert edit.get(f"{ITEMS}/{never}").status_code == 404
    assert edit.get(f"{ITEMS}/{never}/versions").status_code == 404
    assert len(edit.get(f"{ITEMS}/{never}/versions?beliefs=all").json()["features"]) == 1
    assert edit.get(f"{ITEMS}/999999999/versions").status_code == 404


def test_what_was_believed_stays_and_may_be_kept(edit: httpx.Client, lived: int) -> None:
    features = edit.get(f"{ITEMS}/{lived}/versions").json()["features"]
    moment = features[-1]["version"]["knownFrom"]
    asked = {"asof": moment, "code": features[-1]["properties"]["code"]}
    before = edit.get(ITEMS, params=asked)
    assert "immutable" in before.headers["cache-control"]
    edit.patch(f"{ITEMS}/{lived}", json={"properties": {"name": "later"}}, headers={**PATCH, "if-match": "*"})
    after = edit.get(ITEMS, params=asked)
    assert after.headers["etag"] == before.headers["etag"]
    assert after.json()["features"] == before.json()["features"]
    assert [f["properties"]["name"] for f in after.json()["features"]] == ["third"]
    assert edit.get(ITEMS, params=asked, headers={"if-none-match": before.headers["etag"]}).status_code == 304
    # Now is not yet over: what is asked about it may still change.
    now = written(datetime.now(UTC))
    assert "immutable" not in edit.get(ITEMS, params={"asof": now}).headers.get("cache-control", "")
    tile = edit.get(f"/collections/{ASSET}/tiles/WebMercatorQuad/8/99/210", params={"asof": moment})
    assert tile.status_code in (200, 204)


WRONG = {
    "asof=tomorrow": ("asof", "RFC 3339"),
    "asof=2999-01-01T00:00:00Z": ("asof", "ahead"),
    "asof=2999-01-01": ("asof", "RFC 3339"),
    "asof=2024-13-01": ("asof", "RFC 3339"),
    "asof=2020-01-01/2021-01-01": ("asof", "RFC 3339"),
}


@pytest.mark.parametrize("query", [q for q in WRONG if "2999-01-01" not in q or "T" in q])
def test_moments_that_cannot_be(edit: httpx.Client, query: str) -> None:
    name, words = WRONG[query]
    answer = edit.get(f"{ITEMS}?{query}")
    assert answer.status_code == 400
    assert answer.json()["parameter"] == name
    assert words in answer.json()["detail"]
    assert edit.get(f"{ITEMS}?{query}&lang=zh").json()["detail"] != answer.json()["detail"]


@pytest.mark.parametrize("query", ["beliefs=some", "beliefs=all&asof=2024-01-01", "limit=0", "bbox=1,2,3,4", "limit=x"])
def test_parameters_of_versions_are_checked(edit: httpx.Client, lived: int, query: str) -> None:
    assert edit.get(f"{ITEMS}/{lived}/versions?{query}").status_code == 400


def test_versions_come_in_pages(edit: httpx.Client, lived: int) -> None:
    seen, address = [], f"{ITEMS}/{lived}/versions?limit=2"
    while address:
        page = edit.get(address).json()
        seen += [f["properties"]["name"] for f in page["features"]]
        address = next((x["href"] for x in page["links"] if x["rel"] == "next"), "")
    assert seen == [name for _, name in LIFE]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_pages_show_the_life(edit: httpx.Client, lived: int, lang: str) -> None:
    page = edit.get(f"{ITEMS}/{lived}/versions?f=html&lang={lang}").text
    assert page.count("<tr>") == 4
    assert ("位置或图形" if lang == "zh" else "place or shape") in page
    item = edit.get(f"{ITEMS}/{lived}?f=html&lang={lang}").text
    assert f"/items/{lived}/versions?f=html" in item


def test_pages_of_versions_go_on_and_end(edit: httpx.Client, lived: int) -> None:
    later = edit.get(f"{ITEMS}/{lived}/versions?f=html&lang=en&offset=1")
    assert later.status_code == 200 and later.text.count("<tr>") == 3 and ">the earliest<" not in later.text
    past = edit.get(f"{ITEMS}/{lived}/versions?f=html&lang=en&offset=500")
    assert past.status_code == 200 and "no versions this far on" in past.text and f"/items/{lived}" in past.text
