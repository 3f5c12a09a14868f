# SPDX-License-Identifier: Apache-2.0
"""Messages of car parks become readings by the sensing room's own way in: repeats, late and bad ones, and no plates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from geocloud.catalogue.keys import add_key
from geocloud.db.cluster import Urls, admin_url
from geocloud.errors import CatalogueError, InvalidBody, InvalidParameter, TooLarge
from geocloud.sectors import registry
from geocloud.sectors.parking.messages import BERTHS, KINDS, read_messages, read_text
from geocloud.sectors.parking.tables import MessageNames, message_names
from geocloud.sensing.mapping import read_mapping, read_streams
from geocloud.sensing.model import Reading, Refused
from geocloud.sensing.topics import read_rules
from geocloud.settings import DatabaseSettings
from tests.sectors.parking_city import LOTS, Place, ago, make_place, stream
from tests.web.conftest import run_server

ROOT = Path(__file__).resolve().parents[2]
NAMES = message_names()
PLATE = "鲁P·12345"
AT = "2026-11-01T08:00:00+08:00"
SAME = datetime(2026, 11, 1, tzinfo=UTC)
# A message of each kind, and what is read of it.
EVERY: list[tuple[dict[str, Any], list[tuple[str, str, str, float]]]] = [
    ({"kind": "lot_state", "ParkID": "L1", "State": "open", "FreeSpaces": 7},
     [(LOTS, "L1", "open", 1), (LOTS, "L1", "free_spaces", 7)]),
    ({"kind": "space_state", "SpaceID": "B1", "State": 1}, [(BERTHS, "B1", "occupied", 1)]),
    ({"kind": "entry", "ParkID": "L1", "FreeSpaces": 6, "Plate": PLATE}, [(LOTS, "L1", "free_spaces", 6)]),
    ({"kind": "exit", "ParkID": "L1", "OccupiedSpaces": 4, "Plate": PLATE}, [(LOTS, "L1", "occupied", 4)]),
    ({"kind": "exit", "ParkID": "L1", "Plate": PLATE}, []),
    ({"kind": "vacancy", "ParkID": "L1", "FreeSpaces": "23", "FreeCharging": 2, "FreeAccessible": 0},
     [(LOTS, "L1", "free_spaces", 23), (LOTS, "L1", "free_charging", 2), (LOTS, "L1", "free_accessible", 0)]),
    ({"kind": "road_state", "ParkID": 17, "FreeSpaces": 3}, [(LOTS, "17", "free_spaces", 3)]),
    ({"kind": "road_passage", "SpaceID": "B2", "Direction": "驶入", "Plate": PLATE}, [(BERTHS, "B2", "occupied", 1)]),
    ({"kind": "road_space", "SpaceID": "B2", "State": "空闲"}, [(BERTHS, "B2", "occupied", 0)]),
    ({"kind": "reservation", "ParkID": "L1", "ReservedSpaces": 2}, [(LOTS, "L1", "reserved_spaces", 2)]),
]  # fmt: skip
BAD: list[tuple[Any, str]] = [
    (17, "not-a-reading"),
    ({"kind": "party", "ParkID": "L1", "Time": AT, "FreeSpaces": 1}, "not-a-reading"),
    ({"kind": ["vacancy"], "ParkID": "L1", "Time": AT, "FreeSpaces": 1}, "not-a-reading"),
    ({"kind": "vacancy", "ParkID": "L1", "Time": AT}, "not-a-number"),
    ({"kind": "vacancy", "ParkID": "L1", "Time": AT, "FreeSpaces": "many"}, "not-a-number"),
    ({"kind": "vacancy", "ParkID": "L1", "Time": AT, "FreeSpaces": True}, "not-a-number"),
    ({"kind": "vacancy", "ParkID": "L1", "Time": AT, "FreeSpaces": 1e300}, "not-a-number"),
    ({"kind": "vacancy", "ParkID": "L1", "Time": AT, "FreeSpaces": "9" * 400}, "not-a-number"),
    ({"kind": "vacancy", "ParkID": "L1", "Time": AT, "FreeSpaces": "9" * 5_000}, "not-a-number"),
    ({"kind": "vacancy", "ParkID": "L1", "Time": AT, "FreeSpaces": "--5"}, "not-a-number"),
    ({"kind": "space_state", "SpaceID": "B1", "Time": AT, "State": 2}, "not-a-number"),
    ({"kind": "space_state", "SpaceID": "B1", "Time": AT, "State": {}}, "not-a-number"),
    ({"kind": "vacancy", "Time": AT, "FreeSpaces": 1}, "no-datastream"),
    ({"kind": "vacancy", "ParkID": "L1", "Time": "soon", "FreeSpaces": 1}, "bad-time"),
    ({"kind": "vacancy", "ParkID": "L1", "Time": -1, "FreeSpaces": 1}, "bad-time"),
    ({"kind": "vacancy", "ParkID": "L1", "Time": "2026-02-30 08:00:00", "FreeSpaces": 1}, "bad-time"),
    ({"kind": "vacancy", "ParkID": "L1", "FreeSpaces": 1}, "bad-time"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "wanted"), EVERY, ids=lambda v: v.get("kind", "") if isinstance(v, dict) else "")
def test_each_kind_is_read(message: dict[str, Any], wanted: list[Any]) -> None:
    found = read_messages([message | {"Time": AT}], NAMES)
    assert [(*r.key, r.value) for r in found.reads if isinstance(r, Reading) and isinstance(r.key, tuple)] == wanted
    assert all(isinstance(r, Reading) and r.at == SAME and r.unit == "1" for r in found.reads)
    assert found.without_reading == (not wanted)


def test_all_kinds_are_tried() -> None:
    assert {m["kind"] for m, _ in EVERY} == set(KINDS)


@pytest.mark.parametrize("time", [AT, "2026-11-01T00:00:00Z", "2026-11-01 08:00:00", "20261101080000", 1793491200000])
def test_times_as_they_are_sent(time: Any) -> None:
    (read,) = read_messages([{"kind": "vacancy", "ParkID": "L1", "Time": time, "FreeSpaces": 1}], NAMES).reads
    assert isinstance(read, Reading) and read.at == SAME


@pytest.mark.parametrize(("message", "reason"), BAD, ids=lambda v: v if isinstance(v, str) else "")
def test_bad_messages_are_refused_and_show_no_plate(message: Any, reason: str) -> None:
    if isinstance(message, dict):
        message = message | {"Plate": PLATE, "Phone": "13800000000"}
    (read,) = read_messages([message], NAMES, 5).reads
    assert isinstance(read, Refused) and (read.place, read.reason) == (5, reason)
    assert PLATE not in read.text and "138" not in read.text


def test_texts_are_arrays_or_lines() -> None:
    good = {"kind": "vacancy", "ParkID": "L1", "Time": AT, "FreeSpaces": 1}
    lines = b"\n".join([json.dumps(good).encode(), b"", b"{broken " + PLATE.encode(), json.dumps(good).encode()])
    found = read_text(lines, first=11)
    assert [(type(r), r.place) for r in found.reads] == [(Reading, 11), (Refused, 13), (Reading, 14)]
    assert PLATE not in found.reads[1].text
    assert len(read_text(json.dumps([good, good]).encode()).reads) == 2
    with pytest.raises(InvalidBody):
        read_text(b"[{")
    with pytest.raises(TooLarge):
        read_text(lines, most=2)


def test_a_suppliers_words_are_translated(tmp_path: Path) -> None:
    path = tmp_path / "names.yaml"
    path.write_text(
        "dated: 2026-11-29\nsource: {zh: 供应商, en: Supplier}\n"
        "members: {FreeSpaces: emptyNum, kind: cmd, ParkID: pid}\n"
        "kinds: {空位信息: vacancy}\n",
        "utf-8",
    )
    sent = {"cmd": "空位信息", "pid": "L1", "Time": AT, "emptyNum": 4}
    (read,) = read_messages([sent], message_names(path)).reads
    assert isinstance(read, Reading) and (read.key, read.value) == ((LOTS, "L1", "free_spaces"), 4)
    assert isinstance(message_names(), MessageNames)
    with pytest.raises(CatalogueError):
        message_names(tmp_path / "none.yaml")


@pytest.fixture(scope="module")
def place(urls: Urls) -> Place:
    made = make_place(urls)
    made.add("facility.parking_lot", 115.98, 36.45, code="L1", name="一号", spaces=50)
    made.add("parking.berth", 115.98, 36.45, code="B1", lot_code="L1")
    made.register(stream("L1", maximum=50), stream("B1", "occupied", BERTHS, maximum=1))
    return made


def test_repeats_late_bad_and_impossible_ones(place: Place) -> None:
    place.empty()
    now = ago()

    def vacancy(free: Any, hours: float, lot: str = "L1") -> dict[str, Any]:
        time = (now - timedelta(hours=hours)).isoformat()
        return {"kind": "vacancy", "ParkID": lot, "Time": time, "FreeSpaces": free}

    batch = [vacancy(10, 1), vacancy(12, 5)]
    first = place.take(read_messages(batch, NAMES).reads)
    assert (first.stored, first.repeated) == (2, 0)
    again = place.take(read_messages([*batch, vacancy(11, 3)], NAMES).reads)
    assert (again.stored, again.repeated) == (1, 2)
    # The late one of three hours ago moved nothing.
    assert place.sql("SELECT value FROM sensing.latest") == [{"value": 10.0}]
    bad = place.take(
        read_messages([vacancy(-3, 0.5), vacancy(51, 0.4), vacancy(5, -48), vacancy(5, 1, "L9")], NAMES).reads
    )
    assert (bad.stored, bad.flagged, bad.quarantined) == (2, 2, 2)
    assert {p.reason for p in bad.problems} == {"future", "unknown-datastream"}
    flags = [r["flags"] for r in place.sql("SELECT flags FROM sensing.observation ORDER BY at DESC LIMIT 2")]
    assert flags == [2, 1]
    fixed = place.take(read_messages([vacancy(9, 1)], NAMES).reads)
    assert (fixed.stored, fixed.corrections) == (1, 1)


@pytest.fixture
def client(place: Place, tmp_path: Path) -> Iterator[httpx.Client]:
    conn = psycopg2.connect(place.urls.owner)
    key = add_key(conn, "parking", [LOTS, BERTHS])
    conn.close()
    for base in run_server(place.urls.reader, tmp_path, place.urls.writer, GEOCLOUD_EDITING="true"):
        headers = {"accept-language": "en", "x-api-key": key, "content-type": "application/x-ndjson"}
        with httpx.Client(base_url=base, timeout=60, headers=headers) as found:
            yield found


def test_over_http(place: Place, client: httpx.Client) -> None:
    place.empty()
    now = ago(minutes=1).isoformat()
    sent = [
        {"kind": "vacancy", "ParkID": "L1", "Time": now, "FreeSpaces": 8},
        {"kind": "space_state", "SpaceID": "B1", "Time": now, "State": "占用"},
        {"kind": "entry", "ParkID": "L1", "Time": now, "Plate": PLATE},
        {"kind": "vacancy", "ParkID": "L1", "Time": "soon", "FreeSpaces": 8, "Plate": PLATE},
    ]
    at, body = "/sensing/observations?form=parking", "\n".join(json.dumps(m) for m in sent)
    answer = client.post(at, content=body)
    told = answer.json()
    assert answer.status_code == 200, told
    assert (told["received"], told["stored"], told["quarantined"], told["without_reading"]) == (3, 2, 1, 1)
    assert client.post(at, content=body).json()["repeated"] == 2
    shown = client.get("/collections/facility.parking_lot/latest").json()["features"][0]["properties"]["latest"]
    assert shown["free_spaces"]["value"] == 8
    kept = place.sql("SELECT reading FROM sensing.quarantine")
    assert len(kept) == 1 and PLATE not in kept[0]["reading"] and "鲁" not in kept[0]["reading"]
    for wrong, status in (
        ("?form=trams", 400), ("?form=parking&property=free_spaces", 400), ("?form=parking&form=parking", 400)
    ):  # fmt: skip
        assert client.post(f"/sensing/observations{wrong}", content=body).status_code == status
    csv = client.post(at, content="a,b", headers={"content-type": "text/csv"})
    assert csv.status_code == 415


def test_by_the_command_line(
    place: Place, cluster: DatabaseSettings, database: str, open_tmp: Path, tmp_path: Path
) -> None:
    place.empty()
    now = ago(minutes=2).isoformat()
    messages = [
        {"kind": "vacancy", "ParkID": "L1", "Time": now, "FreeSpaces": 4},
        {"kind": "exit", "ParkID": "L1", "Time": now},
    ]
    lines, array = tmp_path / "m.ndjson", tmp_path / "m.json"
    lines.write_text("\ufeff" + "\n".join(json.dumps(m) for m in messages), "utf-8")
    array.write_text(json.dumps(messages), "utf-8")
    home = {"GEOCLOUD_DATABASE_URL": admin_url(cluster, database), "GEOCLOUD_HOME": str(open_tmp / "parking")}
    env = os.environ | home

    def load(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "geocloud.cli", "sensing", "load", *args, "--json"]
        return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120)

    first = load(str(lines), "--form", "parking")
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert (told["outcome"]["stored"], told["without_reading"]) == (1, 1)
    assert json.loads(load(str(array), "--form", "parking").stdout)["outcome"]["repeated"] == 1
    rows = tmp_path / "m.csv"
    rows.write_text(f"ParkID,Time,FreeSpaces\nL1,{ago(minutes=1).isoformat()},5\nL9,{now},5\n", "utf-8")
    mapped = json.loads(load(str(rows), "--mapping", "ogc_config/parking/free_spaces.yaml").stdout)["outcome"]
    assert (mapped["stored"], mapped["quarantined"]) == (1, 1)
    both = load(str(rows), "--mapping", "ogc_config/parking/free_spaces.yaml", "--form", "parking")
    assert both.returncode != 0


def test_topics_mapping_and_datastreams_that_are_shipped() -> None:
    folder = ROOT / "ogc_config/parking"
    topics = read_rules(folder / "topics.yaml")
    (read,) = topics.read("parking/lot/L1/free", json.dumps({"Time": AT, "FreeSpaces": 3}).encode(), SAME, 1)
    assert isinstance(read, Reading) and (read.key, read.at, read.value) == ((LOTS, "L1", "free_spaces"), SAME, 3)
    (berth,) = topics.read("parking/space/B1/state", json.dumps({"Time": AT, "State": 1}).encode(), SAME, 1)
    assert isinstance(berth, Reading) and berth.key == (BERTHS, "B1", "occupied")
    assert read_mapping(str(folder / "free_spaces.yaml")).collection == LOTS
    assert {s.property for s in read_streams(folder / "datastreams.yaml")} == {"free_spaces", "occupied"}


def test_forms_are_those_of_sectors() -> None:
    assert registry.form("parking") is read_text
    with pytest.raises(InvalidParameter) as caught:
        registry.form("trams")
    assert caught.value.context["allowed"] == ["parking"]
