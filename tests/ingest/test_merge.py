# SPDX-License-Identifier: Apache-2.0
"""What a load changes: new, changed, unchanged and retired rows, in the table and in both times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import shapely

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import Source, Text
from geocloud.db.cluster import Urls
from geocloud.errors import IngestError
from geocloud.rules.convert import BEIJING
from tests.ingest.loading import ask, fingerprint, load, publish, spec, structure, utc, write

ROWS: list[dict[str, Any]] = [
    {"code": "A", "name": "井盖", "state": "good", "height": 1.5, "slots": 3, "at": (116.0, 36.4)},
    {"code": "B", "name": "路灯", "state": "bad", "height": 8.0, "slots": 0, "at": (116.1, 36.5)},
    {"code": "C", "name": "站牌", "state": "good", "height": 2.0, "slots": 1, "at": (116.2, 36.6)},
]


@pytest.fixture(params=["staged", "direct"])
def way(request: pytest.FixtureRequest) -> dict[str, int]:
    """Both ways of a first load: over the stage table, and straight into the empty table."""
    return {"direct_rows": 0 if request.param == "direct" else 10**9}


@pytest.fixture
def layer(urls: Urls, request: pytest.FixtureRequest) -> Iterator[Layer]:
    name = "m" + format(abs(hash(request.node.nodeid)), "x")[:12]
    yield publish(urls.owner, spec(name))[f"facility.{name}"]


def rows(urls: Urls, layer: Layer, columns: str = "code, name, state, height, slots") -> list[tuple[Any, ...]]:
    return ask(urls.owner, f"SELECT {columns} FROM {layer.table} ORDER BY code")


def test_first_load_stores_every_value(urls: Urls, layer: Layer, tmp_path: Path, way: dict[str, int]) -> None:
    result = load(urls.owner, write(tmp_path / "a.gpkg", ROWS), layer, tmp_path, ingest=way)
    assert (result.read, result.new, result.changed, result.unchanged, result.rejected) == (3, 3, 0, 0, 0)
    assert rows(urls, layer) == [tuple(r[k] for k in ("code", "name", "state", "height", "slots")) for r in ROWS]
    places = ask(
        urls.owner, f"SELECT ST_SRID(geom), ST_X(geom), ST_Y(geom), valid_from, valid_to, source_id IS NOT NULL, "
        f"sys_from = s.stamp FROM {layer.table}, geocloud.layer_state s WHERE s.layer = %s ORDER BY code", layer.id
    )  # fmt: skip
    for row, got in zip(ROWS, places, strict=True):
        assert got[:3] == (4490, *row["at"])
        assert got[5:] == (True, True)
    text = ask(urls.owner, f"SELECT DISTINCT valid_from::text, valid_to::text FROM {layer.table}")
    assert text == [("-infinity", "infinity")]
    assert ask(urls.owner, f"SELECT count(*) FROM {layer.history}") == [(0,)]
    assert ask(urls.owner, "SELECT row_count, xmin_ IS NULL FROM (SELECT row_count, NULL AS xmin_ FROM "
               "geocloud.layer_state WHERE layer = %s) s", layer.id) == [(3, True)]  # fmt: skip


def test_direct_load_leaves_the_same_structure(urls: Urls, tmp_path: Path) -> None:
    extra = spec("by_hand").model_dump()
    extra["fields"][1]["index"] = True
    layer = publish(urls.owner, spec("by_hand").model_validate(extra))["facility.by_hand"]
    before = structure(urls.owner, layer)
    # Three of the indexes are for the dates of rows, one is of the field.
    assert len(before) == 4 + 4 + 3
    load(urls.owner, write(tmp_path / "a.gpkg", ROWS), layer, tmp_path, ingest={"direct_rows": 0})
    assert structure(urls.owner, layer) == before


def test_same_file_twice_changes_nothing(urls: Urls, layer: Layer, tmp_path: Path, way: dict[str, int]) -> None:
    path = write(tmp_path / "a.gpkg", ROWS)
    first = load(urls.owner, path, layer, tmp_path, ingest=way)
    before = fingerprint(urls.owner, layer)
    second = load(urls.owner, path, layer, tmp_path, ingest=way, full=True)
    assert (second.new, second.changed, second.unchanged, second.retired) == (0, 0, 3, 0)
    assert second.version == second.version_before == first.version
    assert fingerprint(urls.owner, layer) == before
    assert ask(urls.owner, "SELECT count(*) FROM geocloud.load WHERE layer = %s", layer.id) == [(2,)]


def test_merge_keeps_both_times(urls: Urls, layer: Layer, tmp_path: Path) -> None:
    load(urls.owner, write(tmp_path / "a.gpkg", ROWS), layer, tmp_path)
    first_stamp = ask(urls.owner, "SELECT stamp FROM geocloud.layer_state WHERE layer = %s", layer.id)[0][0]
    fids = dict(rows(urls, layer, "code, fid"))
    # A unchanged, B moved and mended, C gone, D new.
    later = [
        ROWS[0], ROWS[1] | {"state": "good", "at": (116.11, 36.5)}, {**ROWS[2], "code": "D", "at": (116.3, 36.7)},
    ]  # fmt: skip
    since = utc(2024, 2, 29, 16)
    result = load(urls.owner, write(tmp_path / "b.gpkg", later), layer, tmp_path, full=True, valid_from=since)
    assert (result.new, result.changed, result.unchanged, result.retired) == (1, 1, 1, 1)
    assert result.version == result.version_before + 1

    columns = "code, state, fid, ST_X(geom), valid_from::text, sys_from"
    now = {r[0]: r[1:] for r in rows(urls, layer, columns)}
    stamp = ask(urls.owner, "SELECT stamp FROM geocloud.layer_state WHERE layer = %s", layer.id)[0][0]
    assert now["A"] == ("good", fids["A"], 116.0, "-infinity", first_stamp)
    assert now["B"] == ("good", fids["B"], 116.11, "2024-02-29 16:00:00+00", stamp)
    assert now["D"][0] == "good" and now["D"][3:] == ("2024-02-29 16:00:00+00", stamp)
    assert "C" not in now

    past = ask(urls.owner, f"SELECT code, state, ST_X(geom), valid_from::text, valid_to::text, sys_from, sys_to::text "
               f"FROM {layer.history} ORDER BY code, sys_to")  # fmt: skip
    utc_stamp = ask(urls.owner, "SELECT %s::timestamptz::text", stamp)[0][0]
    end = "2024-02-29 16:00:00+00"
    assert past == [
        # What was believed until this load, and what is still believed about the time before.
        ("B", "bad", 116.1, "-infinity", "infinity", first_stamp, utc_stamp),
        ("B", "bad", 116.1, "-infinity", end, stamp, "infinity"),
        ("C", "good", 116.2, "-infinity", "infinity", first_stamp, utc_stamp),
        ("C", "good", 116.2, "-infinity", end, stamp, "infinity"),
    ]
    log = ask(urls.owner, "SELECT op, fid FROM geocloud.change_log WHERE layer = %s AND version = %s ORDER BY op",
              layer.id, result.version)  # fmt: skip
    assert [(op, fid) for op, fid in log if op != "insert"] == [("delete", fids["C"]), ("update", fids["B"])]
    assert len(log) == 3


def test_columns_the_file_lacks_keep_their_values(urls: Urls, layer: Layer, tmp_path: Path) -> None:
    load(urls.owner, write(tmp_path / "a.gpkg", ROWS), layer, tmp_path)
    path = write(tmp_path / "b.gpkg", [{"code": "B", "height": 9.0, "at": ROWS[1]["at"]}])
    result = load(urls.owner, path, layer, tmp_path)
    assert (result.changed, result.retired) == (1, 0)
    assert rows(urls, layer)[1] == ("B", "路灯", "bad", 9.0, 0)


def test_table_without_geometry_keeps_places(urls: Urls, layer: Layer, tmp_path: Path) -> None:
    load(urls.owner, write(tmp_path / "a.gpkg", ROWS), layer, tmp_path)
    path = tmp_path / "names.csv"
    path.write_text("编号,name\nA,检查井\nE,新点\n", encoding="utf-8")
    result = load(urls.owner, path, layer, tmp_path)
    assert (result.new, result.changed) == (1, 1)
    got = ask(urls.owner, f"SELECT code, name, ST_X(geom) FROM {layer.table} WHERE code IN ('A', 'E') ORDER BY code")
    assert got == [("A", "检查井", 116.0), ("E", "新点", None)]


DELIVERED = [
    pytest.param({"since": "2020-01-01"}, None, "2019-12-31 16:00:00+00", "infinity", 0, id="start-in-beijing-time"),
    pytest.param({"since": "2020-01-01", "until": "2022-01-01"}, None, "2019-12-31 16:00:00+00",
                 "2021-12-31 16:00:00+00", 0, id="start-and-end"),
    pytest.param({"since": None}, utc(2021, 1, 1), "2021-01-01 00:00:00+00", "infinity", 0, id="empty-takes-option"),
]  # fmt: skip


@pytest.mark.parametrize(("times", "option", "start", "end", "rejected"), DELIVERED)
def test_valid_time_of_the_file(
    urls: Urls, layer: Layer, tmp_path: Path, way: dict[str, int], times: dict[str, Any], option: datetime | None,
    start: str, end: str, rejected: int,
) -> None:  # fmt: skip
    path = write(tmp_path / "a.gpkg", [ROWS[0] | times, ROWS[1] | {"since": "2019-05-01"} | dict.fromkeys(times, None)])
    assert load(urls.owner, path, layer, tmp_path, valid_from=option, ingest=way).rejected == rejected
    got = ask(urls.owner, f"SELECT valid_from::text, valid_to::text FROM {layer.table} WHERE code = 'A'")
    assert got == [(start, end)]
    before = fingerprint(urls.owner, layer)
    again = load(urls.owner, path, layer, tmp_path, valid_from=option, ingest=way)
    assert again.unchanged == 2
    assert fingerprint(urls.owner, layer) == before


CHANGES = [
    # delivered since/until and name on top of a row (name 井盖, since 2020): kept past beliefs, with sys_to open or not
    pytest.param({"since": "2022-01-01", "name": "新井盖"}, "2021-12-31 16:00:00+00", "infinity",
                 [("井盖", "2019-12-31 16:00:00+00", "infinity", False),
                  ("井盖", "2019-12-31 16:00:00+00", "2021-12-31 16:00:00+00", True)], id="changed-since-later"),
    pytest.param({"since": "2020-01-01", "name": "新井盖"}, "2019-12-31 16:00:00+00", "infinity",
                 [("井盖", "2019-12-31 16:00:00+00", "infinity", False)], id="same-start-other-value-is-a-correction"),
    pytest.param({"since": "2018-01-01", "name": "井盖"}, "2017-12-31 16:00:00+00", "infinity",
                 [("井盖", "2019-12-31 16:00:00+00", "infinity", False)], id="other-start-same-value-is-a-correction"),
    pytest.param({"since": "2020-01-01", "until": "2023-01-01", "name": "井盖"}, "2019-12-31 16:00:00+00",
                 "2022-12-31 16:00:00+00", [("井盖", "2019-12-31 16:00:00+00", "infinity", False)], id="end-known"),
]  # fmt: skip


@pytest.mark.parametrize(("second", "start", "end", "past"), CHANGES)
def test_delivered_times_change_or_correct(
    urls: Urls, layer: Layer, tmp_path: Path, second: dict[str, Any], start: str, end: str, past: list[Any]
) -> None:
    load(urls.owner, write(tmp_path / "a.gpkg", [ROWS[0] | {"since": "2020-01-01", "until": None}]), layer, tmp_path)
    path = write(tmp_path / "b.gpkg", [ROWS[0] | {"until": None} | second])
    assert load(urls.owner, path, layer, tmp_path).changed == 1
    now = ask(urls.owner, f"SELECT name, valid_from::text, valid_to::text FROM {layer.table}")
    assert now == [(second["name"], start, end)]
    kept = ask(urls.owner, f"SELECT name, valid_from::text, valid_to::text, sys_to = 'infinity' FROM {layer.history} "
               "ORDER BY sys_to")  # fmt: skip
    assert kept == past
    before = fingerprint(urls.owner, layer)
    assert load(urls.owner, path, layer, tmp_path).unchanged == 1
    assert fingerprint(urls.owner, layer) == before


def test_full_load_of_one_source_leaves_the_others(urls: Urls, layer: Layer, tmp_path: Path) -> None:
    def origin(name: str) -> Source:
        return Source(title=Text(zh=name, en=name), licence="CC0-1.0")

    load(urls.owner, write(tmp_path / "a.gpkg", ROWS[:2]), layer, tmp_path, origin=origin("roads"))
    load(urls.owner, write(tmp_path / "b.gpkg", ROWS[2:]), layer, tmp_path, origin=origin("parks"))
    path = write(tmp_path / "c.gpkg", ROWS[:1])
    result = load(urls.owner, path, layer, tmp_path, origin=origin("roads"), full=True, full_scope="source")
    assert result.retired == 1
    assert [r[0] for r in rows(urls, layer)] == ["A", "C"]
    assert ask(urls.owner, "SELECT title_en, licence FROM geocloud.source WHERE layer = %s ORDER BY 1", layer.id) == [
        ("parks", "CC0-1.0"), ("roads", "CC0-1.0"),
    ]  # fmt: skip
    new = load(urls.owner, path, layer, tmp_path, origin=origin("other"), full=True, full_scope="source")
    assert (new.retired, new.unchanged) == (0, 1)


def test_rejected_row_is_not_retired(urls: Urls, layer: Layer, tmp_path: Path) -> None:
    load(urls.owner, write(tmp_path / "a.gpkg", ROWS), layer, tmp_path)
    path = write(tmp_path / "b.gpkg", [ROWS[0], ROWS[1] | {"state": "nonsense"}])
    result = load(urls.owner, path, layer, tmp_path, full=True)
    assert (result.rejected, result.retired) == (1, 1)
    assert [r[0] for r in rows(urls, layer)] == ["A", "B"]
    keyless = write(tmp_path / "c.gpkg", [ROWS[0], ROWS[1] | {"code": None}])
    result = load(urls.owner, keyless, layer, tmp_path, full=True)
    assert (result.rejected, result.retired) == (1, 0)
    assert result.report.counts["GC-602", "warning"] == 1


def test_empty_full_load_is_refused(urls: Urls, layer: Layer, tmp_path: Path) -> None:
    load(urls.owner, write(tmp_path / "a.gpkg", ROWS), layer, tmp_path)
    before = fingerprint(urls.owner, layer)
    path = tmp_path / "empty.csv"
    path.write_text("编号,name\n", encoding="utf-8")
    with pytest.raises(IngestError):
        load(urls.owner, path, layer, tmp_path, full=True)
    assert fingerprint(urls.owner, layer) == before


def test_retiring_much_is_warned_of(urls: Urls, layer: Layer, tmp_path: Path) -> None:
    load(urls.owner, write(tmp_path / "a.gpkg", ROWS), layer, tmp_path)
    result = load(urls.owner, write(tmp_path / "b.gpkg", ROWS[:1]), layer, tmp_path, full=True, dry_run=True)
    assert result.retired == 2
    assert result.report.counts["GC-603", "warning"] == 1


def test_dry_run_tells_and_changes_nothing(urls: Urls, layer: Layer, tmp_path: Path) -> None:
    load(urls.owner, write(tmp_path / "a.gpkg", ROWS[:2]), layer, tmp_path)
    before = fingerprint(urls.owner, layer)
    changed = [ROWS[0] | {"height": 3.0}, ROWS[2], ROWS[2] | {"code": "X", "height": -5.0}]
    path = write(tmp_path / "b.gpkg", changed)
    told = load(urls.owner, path, layer, tmp_path, full=True, dry_run=True)
    assert (told.new, told.changed, told.unchanged, told.retired, told.rejected) == (1, 1, 0, 1, 1)
    assert told.quarantine is None
    assert fingerprint(urls.owner, layer) == before
    done = load(urls.owner, path, layer, tmp_path, full=True)
    assert (done.new, done.changed, done.unchanged, done.retired, done.rejected) == (1, 1, 0, 1, 1)


def test_new_rows_lie_along_a_curve(urls: Urls, tmp_path: Path) -> None:
    """Rows near each other are near each other in the table, whatever the order of the file."""
    layer = publish(urls.owner, spec("curve"))["facility.curve"]
    grid = [(116 + i / 100, 36 + j / 100) for i in range(40) for j in range(40)]
    shuffled = [grid[(k * 769) % len(grid)] for k in range(len(grid))]
    data = [{"code": f"{k:05}", "at": at} for k, at in enumerate(shuffled)]
    steps = {}
    for name, least in (("staged", 10**9), ("direct", 0)):
        layer = publish(urls.owner, spec(f"curve_{name}"))[f"facility.curve_{name}"]
        load(urls.owner, write(tmp_path / f"{name}.gpkg", data), layer, tmp_path, ingest={"direct_rows": least})
        got = ask(urls.owner, f"SELECT ST_X(geom), ST_Y(geom) FROM {layer.table} ORDER BY ctid")
        assert sorted(got) == sorted(grid)
        steps[name] = shapely.LineString(got).length / (len(got) - 1)
    assert shapely.LineString(shuffled).length / (len(grid) - 1) > 0.1
    assert steps["staged"] < 0.02 and steps["direct"] < 0.02


def test_zone_is_shanghai() -> None:
    assert BEIJING == "Asia/Shanghai"
