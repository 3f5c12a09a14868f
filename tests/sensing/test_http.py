# SPDX-License-Identifier: Apache-2.0
"""Readings in and out over a real HTTP server."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.sensing.conftest import OTHER, STATION, Place, Sender
from tests.sensing.test_inlet import reading

POST = "/sensing/observations"
HOUR = timedelta(hours=1)
DAY = datetime(2026, 3, 1, tzinfo=UTC)  # 08:00 in Beijing


@pytest.fixture(autouse=True)
def _empty(place: Place) -> Iterator[None]:
    place.empty()
    yield


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).removeprefix("urn:geocloud:problem:")


def send(client: httpx.Client, *readings: Any, **params: str) -> dict[str, Any]:
    answer = client.post(POST, json=list(readings), params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_json_array_is_taken_and_every_outcome_counted(client: httpx.Client) -> None:
    said = send(client, reading(35), reading(35), reading(36), reading(-4, device="B"), reading(1, device="nobody"))
    assert {k: v for k, v in said.items() if k != "problems"} == {
        "received": 5, "stored": 3, "repeated": 1, "corrections": 1, "flagged": 1, "converted": 0, "quarantined": 1,
        "forbidden": 0,
    }  # fmt: skip
    (problem,) = said["problems"]
    assert (problem["place"], problem["reason"]) == (5, "unknown-datastream")
    assert problem["title"] == "The device or datastream is not registered"


def test_problems_are_told_up_to_the_limit_and_in_chinese(client: httpx.Client) -> None:
    answer = client.post(POST, json=[reading(None)] * 9, headers={"accept-language": "zh"})
    assert answer.json()["quarantined"] == 9
    assert len(answer.json()["problems"]) == 3
    assert "有限数" in answer.json()["problems"][0]["title"]


def test_lines_of_json_are_taken_one_by_one(client: httpx.Client) -> None:
    body = "\n".join([json.dumps(reading(35)), "", "{broken", json.dumps(reading(36, device="B")), "NaN"])
    answer = client.post(POST, content=body, headers={"content-type": "application/x-ndjson"})
    said = answer.json()
    assert (said["received"], said["stored"], said["quarantined"]) == (4, 2, 2)
    assert [p["place"] for p in said["problems"]] == [3, 5]


def test_csv_is_taken_with_what_the_address_says_of_all(client: httpx.Client, place: Place) -> None:
    at = "2026-01-10T08:00:00+08:00"
    body = f"\ufeffdevice,time,value,unit\r\nA,{at},0.035,mg/m3\r\nB,{at},nan,\r\nC,x\r\n"
    answer = client.post(
        POST, params={"collection": STATION, "property": "PM2.5"}, content=body.encode(),
        headers={"content-type": "text/csv"},
    )  # fmt: skip
    said = answer.json()
    assert (said["stored"], said["converted"], said["quarantined"]) == (1, 1, 2)
    assert [(p["place"], p["reason"]) for p in said["problems"]] == [(3, "not-a-number"), (4, "not-a-reading")]
    assert place.run("SELECT value FROM sensing.observation")[0]["value"] == 35


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"[{", "application/json", 400, "invalid-body"),
        (b'[{"value": NaN}]', "application/json", 400, "invalid-body"),
        (b'"text"', "application/json", 400, "invalid-body"),
        (b"null", "application/json", 400, "invalid-body"),
        (b"\xff\xfe", "application/json", 400, "invalid-body"),
        (b"a,b\n1,2\n", "text/csv", 400, "invalid-body"),
        (b"", "text/csv", 400, "invalid-body"),
        (b"time,value\n\xff,1\n", "text/csv", 400, "invalid-body"),
        (b"time,time,value\n1,1,1\n", "text/csv", 400, "invalid-body"),
        (b"[]", "text/plain", 415, "wrong-media-type"),
        (b"[" + b",".join([b"{}"] * 1_001) + b"]", "application/json", 413, "too-large"),
        (b"{}\n" * 1_001, "application/x-ndjson", 413, "too-large"),
        (b"time,value\n" + b"1,1\n" * 1_001, "text/csv", 413, "too-large"),
        (b" " * 300_000, "application/json", 413, "too-large"),
        (b"[" * 100_000, "application/json", 400, "invalid-body"),
    ],
)
def test_bodies_that_are_none_are_refused_whole(
    client: httpx.Client, place: Place, content: bytes, media_type: str, status: int, code: str
) -> None:
    answer = client.post(POST, content=content, headers={"content-type": media_type})
    assert (answer.status_code, code_of(answer)) == (status, code), answer.text
    assert not place.run("SELECT * FROM sensing.quarantine")


@pytest.mark.parametrize(
    "params",
    [{"collections": "a"}, [("unit", "m"), ("unit", "m")], {"unit": "m" * 300}, {"device": "a\0b"}, {"f": "csv"}],
)
def test_parameters_of_sending_are_checked(client: httpx.Client, params: Any) -> None:
    assert client.post(POST, json=[], params=params).status_code in (400, 406)


def test_a_key_is_needed_and_only_its_layers_are_written(base: str, client: httpx.Client, keys: Sender) -> None:
    other = reading(1, device="X") | {"collection": OTHER}
    with httpx.Client(base_url=base, headers={"accept-language": "en"}) as nobody:
        assert nobody.post(POST, json=[reading(35)]).status_code == 401
        nobody.headers["x-api-key"] = "gck_wrong"
        assert nobody.post(POST, json=[reading(35)]).status_code == 401
        nobody.headers["x-api-key"] = keys.stations
        said = nobody.post(POST, json=[reading(35), other]).json()
        assert (said["stored"], said["forbidden"], said["quarantined"]) == (1, 1, 0)
        assert nobody.post(POST, json=[other]).status_code == 403
    assert client.get(POST).status_code == 405


def test_nothing_is_taken_where_editing_is_off(place: Place, tmp_path: Any) -> None:
    from tests.web.conftest import run_server

    for base in run_server(place.urls.reader, tmp_path, place.urls.writer):
        assert httpx.post(f"{base}{POST}", json=[]).status_code == 405
        assert httpx.get(f"{base}/sensing/latest").status_code == 200


def hourly(client: httpx.Client, hours: range, value: Any = lambda h: float(h + 1), device: str = "A") -> None:
    send(client, *(reading(value(h), (DAY + h * HOUR).isoformat(), device) for h in hours))


def test_datastreams_are_listed_with_the_newest_value_page_by_page(client: httpx.Client, place: Place) -> None:
    hourly(client, range(3))
    found, address = [], "/sensing/datastreams?limit=2"
    while address:
        page = client.get(address).json()
        found += page["datastreams"]
        address = next((x["href"] for x in page["links"] if x["rel"] == "next"), "")
    assert [d["id"] for d in found] == [r["id"] for r in place.run("SELECT id FROM sensing.datastream ORDER BY id")]
    (a,) = [d for d in found if (d["device"], d["property"]) == ("A", "PM2.5")]
    assert a["latest"] == {"time": "2026-03-01T10:00:00+08:00", "value": 3, "flags": [], "stale": True}
    assert (a["collection"], a["unit"], a["cap"], a["interval_s"]) == (STATION, "ug/m3", 999, 3600)
    only = client.get("/sensing/datastreams", params={"property": "temperature", "device": "A"}).json()
    assert [d["property"] for d in only["datastreams"]] == ["temperature"]
    assert client.get(f"/sensing/datastreams/{a['id']}").json() == a


@pytest.mark.parametrize("number", ["0", "999999", "x", "-1", "1.5", "9" * 30, "１"])
def test_what_is_no_datastream_is_not_found(client: httpx.Client, number: str) -> None:
    for path in ("", "/observations"):
        answer = client.get(f"/sensing/datastreams/{number}{path}")
        assert (answer.status_code, code_of(answer)) == (404, "unknown-item")


def test_a_series_comes_in_the_order_of_time_as_json_and_csv(client: httpx.Client, place: Place) -> None:
    hourly(client, range(4, 6))
    hourly(client, range(0, 3))
    send(client, reading(0, (DAY + HOUR).isoformat(), resultTime=(DAY + 2 * HOUR).isoformat()))
    here = f"/sensing/datastreams/{place.stream('A')}/observations"
    said = client.get(here).json()
    assert [(o["time"][11:13], o["value"], o["flags"]) for o in said["observations"]] == [
        ("08", 1, []), ("09", 0, ["zero"]), ("10", 3, []), ("12", 5, []), ("13", 6, []),
    ]  # fmt: skip
    assert said["observations"][1]["resultTime"] == "2026-03-01T10:00:00+08:00"
    rows = list(csv.DictReader(io.StringIO(client.get(here, params={"f": "csv"}).text.removeprefix("\ufeff"))))
    assert [(r["time"], float(r["value"]), r["flags"]) for r in rows] == [
        (o["time"], o["value"], " ".join(o["flags"])) for o in said["observations"]
    ]
    every = client.get(here, params={"corrections": "true"}).json()["observations"]
    assert [o["value"] for o in every if o["time"][11:13] == "09"] == [2, 0]


def test_what_was_known_at_a_moment_is_told(client: httpx.Client, place: Place) -> None:
    send(client, reading(35))
    (row,) = place.run("SELECT received FROM sensing.observation")
    send(client, reading(36))
    here = f"/sensing/datastreams/{place.stream('A')}/observations"
    assert client.get(here).json()["observations"][0]["value"] == 36
    then = client.get(here, params={"asof": row["received"].isoformat()}).json()
    assert [o["value"] for o in then["observations"]] == [35]
    before = (row["received"] - timedelta(microseconds=1)).isoformat()
    assert client.get(here, params={"asof": before}).json()["observations"] == []


def test_hours_without_readings_are_null(client: httpx.Client, place: Place) -> None:
    hourly(client, range(0, 2))
    send(client, reading(4, (DAY + HOUR / 2).isoformat()), reading(9, (DAY + 4 * HOUR).isoformat()))
    here = f"/sensing/datastreams/{place.stream('A')}/observations"
    span = "2026-03-01T08:00:00+08:00/2026-03-01T13:59:59+08:00"
    buckets = client.get(here, params={"bucket": "1h", "datetime": span}).json()["buckets"]
    assert [(b["start"][11:16], b["mean"], b["min"], b["max"], b["count"]) for b in buckets] == [
        ("08:00", 2.5, 1, 4, 2), ("09:00", 2, 2, 2, 1), ("10:00", None, None, None, 0), ("11:00", None, None, None, 0),
        ("12:00", 9, 9, 9, 1), ("13:00", None, None, None, 0),
    ]  # fmt: skip
    text = client.get(here, params={"bucket": "1h", "datetime": span, "f": "csv"}).text
    assert [r["mean"] for r in csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))] == [
        "2.5",
        "2",
        "",
        "",
        "9",
        "",
    ]


def test_days_begin_at_midnight_in_beijing(client: httpx.Client, place: Place) -> None:
    for at, value in (("2026-02-28T15:59:59Z", 1), ("2026-02-28T16:00:00Z", 2), ("2026-03-01T15:59:59Z", 4)):
        send(client, reading(value, at))
    here = f"/sensing/datastreams/{place.stream('A')}/observations"
    buckets = client.get(here, params={"bucket": "1d", "datetime": "2026-02-28/2026-03-02"}).json()["buckets"]
    assert [(b["start"], b["mean"], b["count"]) for b in buckets] == [
        ("2026-02-28T00:00:00+08:00", 1, 1), ("2026-03-01T00:00:00+08:00", 3, 2),
        ("2026-03-02T00:00:00+08:00", None, 0),
    ]  # fmt: skip
    day = client.get(here, params={"datetime": "2026-03-01"}).json()["observations"]
    assert [o["value"] for o in day] == [2, 4]


@pytest.mark.parametrize("width", ["10m", "1h", "3h", "6h", "1d"])
def test_buckets_agree_with_a_count_in_python(client: httpx.Client, place: Place, width: str) -> None:
    moments = [DAY + timedelta(minutes=37 * n) for n in range(60)]
    send(client, *(reading(n % 7 + 0.25, m.isoformat()) for n, m in enumerate(moments)))
    here = f"/sensing/datastreams/{place.stream('A')}/observations"
    buckets = client.get(here, params={"bucket": width, "datetime": f"../{moments[-1].isoformat()}"}).json()["buckets"]
    seconds = {"10m": 600, "1h": 3600, "3h": 10_800, "6h": 21_600, "1d": 86_400}[width]
    expected: dict[int, list[float]] = {}
    for n, m in enumerate(moments):
        expected.setdefault(int(m.timestamp() + 28_800) // seconds, []).append(n % 7 + 0.25)
    first, last = min(expected), max(expected)
    starts = [int(datetime.fromisoformat(b["start"]).timestamp() + 28_800) // seconds for b in buckets]
    assert starts == list(range(first, last + 1))
    for start, b in zip(starts, buckets, strict=True):
        values = expected.get(start)
        assert (b["min"], b["max"], b["count"]) == (
            (min(values), max(values), len(values)) if values else (None, None, 0)
        )
        assert b["mean"] == pytest.approx(sum(values) / len(values)) if values else b["mean"] is None


def test_doubtful_values_count_unless_they_are_left_out(client: httpx.Client, place: Place) -> None:
    send(
        client,
        reading(0, DAY.isoformat()),
        reading(10, (DAY + HOUR / 4).isoformat()),
        reading(2_000, (DAY + HOUR / 2).isoformat()),
    )
    here = f"/sensing/datastreams/{place.stream('A')}/observations"
    (b,) = client.get(here, params={"bucket": "1h"}).json()["buckets"][-1:]
    assert (b["mean"], b["count"], b["flagged"]) == (670, 3, 2)
    (b,) = client.get(here, params={"bucket": "1h", "flagged": "exclude"}).json()["buckets"][-1:]
    assert (b["mean"], b["count"], b["flagged"]) == (10, 1, 0)


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"bucket": "1y"}, 400, "invalid-parameter"),
        ({"bucket": ""}, 400, "invalid-parameter"),
        ({"datetime": "yesterday"}, 400, "invalid-parameter"),
        ({"datetime": "2026-03-02/2026-03-01"}, 400, "invalid-parameter"),
        ({"datetime": "../.."}, 400, "invalid-parameter"),
        ({"asof": "2999-01-01T00:00:00Z"}, 400, "invalid-parameter"),
        ({"asof": "x"}, 400, "invalid-parameter"),
        ({"flagged": "no", "bucket": "1h"}, 400, "invalid-parameter"),
        ({"flagged": "exclude"}, 400, "invalid-parameter"),
        ({"corrections": "true", "bucket": "1h"}, 400, "invalid-parameter"),
        ({"f": "xml"}, 406, "not-acceptable"),
        ({"limit": "5"}, 400, "invalid-parameter"),
        ({"bucket": "10m", "datetime": "2026-03-01/2026-05-01"}, 413, "too-large"),
        ({"bucket": "1h", "datetime": "0001-01-01/2026-05-01"}, 413, "too-large"),
        ({"bucket": "1d", "datetime": "2026-03-01/9000-12-31"}, 413, "too-large"),
        ({"datetime": "2026-02-01/.."}, 413, "too-large"),
    ],
)
def test_questions_that_cannot_be_answered_are_refused(
    client: httpx.Client, place: Place, params: dict[str, str], status: int, code: str
) -> None:
    send(client, *(reading(1, (DAY + n * HOUR / 60).isoformat()) for n in range(501)))
    answer = client.get(f"/sensing/datastreams/{place.stream('A')}/observations", params=params)
    assert (answer.status_code, code_of(answer)) == (status, code), answer.text
    assert "SELECT" not in answer.text


def test_newest_values_lie_where_their_devices_are(client: httpx.Client) -> None:
    for device, value in zip("ABCD", (10, 20, 30, 2_000), strict=True):
        hourly(client, range(1), lambda _, v=value: v, device)
    send(client, reading(5, prop="temperature"))
    everything = client.get("/sensing/latest").json()
    assert everything["numberReturned"] == 5
    inside = client.get("/sensing/latest", params={"bbox": "115.8,36.3,116.1,36.7", "property": "PM2.5"}).json()
    told = [
        (f["properties"]["device"], f["properties"]["value"], f["geometry"]["coordinates"]) for f in inside["features"]
    ]
    assert told == [
        ("A", 10, [115.9, 36.4]), ("B", 20, [116, 36.5]),
    ]  # fmt: skip
    far = client.get("/sensing/latest", params={"device": "D"}).json()["features"][0]
    assert far["properties"]["flags"] == ["above", "capped"]
    assert client.get("/sensing/latest", params={"collection": OTHER}).json()["features"] == []
    pages, address = [], "/sensing/latest?limit=2"
    while address:
        page = client.get(address).json()
        pages += page["features"]
        address = next((x["href"] for x in page["links"] if x["rel"] == "next"), "")
    assert pages == everything["features"]


def test_a_layer_is_shown_with_its_newest_values(client: httpx.Client) -> None:
    hourly(client, range(2))
    send(client, reading(5, prop="temperature"), reading(8, device="B"))
    found = client.get(f"/collections/{STATION}/latest").json()["features"]
    assert [f["properties"]["code"] for f in found] == ["A", "B"]
    assert {k: (v["value"], v["unit"]) for k, v in found[0]["properties"]["latest"].items()} == {
        "PM2.5": (2, "ug/m3"), "temperature": (5, "Cel"),
    }  # fmt: skip
    assert "phone" not in found[0]["properties"]
    first = client.get(f"/collections/{STATION}/latest", params={"limit": 1}).json()
    assert [f["id"] for f in first["features"]] == [found[0]["id"]]
    second = client.get(next(x["href"] for x in first["links"] if x["rel"] == "next")).json()
    assert second["features"] == found[1:]
    only = client.get(f"/collections/{STATION}/latest", params={"property": "temperature"}).json()["features"]
    assert [list(f["properties"]["latest"]) for f in only] == [["temperature"]]
    assert client.get("/collections/test.nothing/latest").status_code == 404


def test_newest_values_as_columns_are_those_of_the_object(client: httpx.Client) -> None:
    hourly(client, range(2))
    send(client, reading(5.5, prop="temperature"), reading(8, device="B"))
    address = f"/collections/{STATION}/latest"
    nested, flat = (client.get(address, params=p).json()["features"] for p in ({}, {"flat": "true"}))
    for one, other in zip(nested, flat, strict=True):
        latest = one["properties"].pop("latest")
        columns = {k: other["properties"].pop(k) for k in list(other["properties"]) if k.startswith("latest_")}
        assert one == other
        assert columns == {
            f"latest_{name}{end}": value
            for name, v in latest.items()
            for end, value in {"": v["value"], "_unit": v["unit"], "_time": v["time"], "_flags": " ".join(v["flags"]),
                               "_stale": v["stale"]}.items()
        }  # fmt: skip
        # What is whole is a number all the same: a column of numbers is none of integers.
        assert all(type(columns[f"latest_{name}"]) is float for name in latest)
    assert len(nested) == 2
    assert client.get(address, params={"flat": "perhaps"}).status_code == 400


def test_areas_are_summed_up(client: httpx.Client) -> None:
    hourly(client, range(3), lambda h: 10.0 + h, "A")
    hourly(client, range(1), lambda _: 40.0, "B")
    hourly(client, range(1), lambda _: 0, "C")
    asked = {"collection": "test.district", "property": "PM2.5"}
    said = client.get("/sensing/aggregate", params=asked).json()
    assert (said["unit"], said["of"], said["datetime"]) == ("ug/m3", [OTHER, STATION], "latest")
    found = {a["key"]: (a["datastreams"], a["count"], a["mean"], a["min"], a["max"]) for a in said["areas"]}
    assert found == {"west": (2, 2, 26, 12, 40), "east": (1, 1, 0, 0, 0), "none": (0, 0, None, None, None)}
    said = client.get("/sensing/aggregate", params=asked | {"datetime": "2026-03-01", "flagged": "exclude"}).json()
    found = {a["key"]: (a["datastreams"], a["count"], a["mean"], a["min"], a["max"]) for a in said["areas"]}
    assert found == {"west": (2, 4, 25.5, 10, 40), "east": (0, 0, None, None, None), "none": (0, 0, None, None, None)}
    square = {
        "type": "Polygon",
        "coordinates": [[[115.85, 36.35], [115.95, 36.35], [115.95, 36.45], [115.85, 36.45], [115.85, 36.35]]],
    }
    said = client.get("/sensing/aggregate", params={"geometry": json.dumps(square), "property": "PM2.5"}).json()
    assert [(a["datastreams"], a["mean"]) for a in said["areas"]] == [(1, 12)]


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"collection": "test.district"}, 400),
        ({"property": "PM2.5"}, 400),
        ({"property": "PM2.5", "collection": STATION}, 400),
        ({"property": "PM2.5", "collection": "test.none"}, 404),
        ({"property": "PM2.5", "collection": "test.district", "of": "test.none"}, 404),
        ({"property": "PM2.5", "geometry": "{}"}, 400),
        ({"property": "PM2.5;--", "collection": "test.district"}, 400),
        ({"property": "PM2.5", "collection": "test.district", "datetime": "x"}, 400),
        ({"property": "unheard-of", "collection": "test.district"}, 200),
    ],
)
def test_sums_are_only_made_of_what_can_be_summed(client: httpx.Client, params: dict[str, str], status: int) -> None:
    assert client.get("/sensing/aggregate", params=params).status_code == status


@pytest.mark.parametrize(
    "query",
    [
        "bbox=1,2",
        "bbox=a",
        "limit=0",
        "limit=x",
        "after=-1",
        "after=99999999999",
        "x=1",
        "property=%00",
        "f=html",
        "bbox=1,2,3,4&bbox=1,2,3,4",
    ],
)
def test_newest_values_refuse_what_they_do_not_know(client: httpx.Client, query: str) -> None:
    assert client.get(f"/sensing/latest?{query}").status_code in (400, 406)


def test_an_answer_is_not_sent_again_unchanged(client: httpx.Client) -> None:
    hourly(client, range(2))
    first = client.get("/sensing/latest")
    assert client.get("/sensing/latest", headers={"if-none-match": first.headers["etag"]}).status_code == 304
    hourly(client, range(2, 3))
    assert client.get("/sensing/latest", headers={"if-none-match": first.headers["etag"]}).status_code == 200


def test_layers_say_what_they_measure(client: httpx.Client) -> None:
    send(client, reading(35))
    told = {x["collection"]: x["measures"] for x in client.get("/sensing/layers").json()["layers"]}
    assert told.keys() == {STATION, OTHER}
    first, second = told[STATION]
    assert (first["property"], first["datastreams"], first["unit"], first["unitText"]) == ("PM2.5", 4, "ug/m3", "µg/m³")
    assert first["title"] == {"zh": "细颗粒物", "en": "Fine particles"} and first["interval_s"] == 3_600
    newest = client.get("/sensing/latest").json()["features"][0]["properties"]["time"]
    assert first["newest"] == newest
    assert (second["property"], second["datastreams"], second["newest"]) == ("temperature", 1, None)
    assert client.get("/sensing/layers?limit=1").status_code == 400
