# SPDX-License-Identifier: Apache-2.0
"""Gauges against dated levels in a real database: signals, datums, silence; and traces past them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from geocloud.db.cluster import Urls
from geocloud.errors import InvalidParameter, TooLarge
from geocloud.jobs.inputs import read_inputs
from geocloud.jobs.run import Run, open_run
from geocloud.sectors.water import trace as tracing
from geocloud.sectors.water.status import PROCESS, water_status
from geocloud.sensing.mapping import mapping_names, read_mapping
from geocloud.sensing.model import Datastream
from tests.sectors.water import SETTINGS, insert, publish, take

NOW = datetime(2024, 7, 27, 12, tzinfo=UTC)
GAUGE = "facility.river_gauge"
CODES = (
    "plain000", "assumed0", "height00", "nodatum0", "silent00", "nothing0", "bare0000", "elsewher", "flow0000",
    "odd00000", "unitless",
)  # fmt: skip


def _gauge(code: str, lon: float, **more: Any) -> dict[str, Any]:
    return {"code": code, "name": f"站{code}", "river": "甲河", "geom": f"POINT({lon} 36.5)", **more}


def _stream(code: str, prop: str = "water_level", unit: str = "m", **more: Any) -> Datastream:
    return Datastream(layer=GAUGE, device=code, property=prop, unit=unit, interval_s=3600, **more)


@pytest.fixture(scope="module")
def run(urls: Urls) -> Iterator[Run]:
    publish(urls)
    insert(urls, GAUGE, [
        _gauge("plain000", 116.01, datum_name="1985 国家高程基准", warning_level_m=99.0),
        _gauge("assumed0", 116.02, datum_name="假定基面", warning_level_m=30.0, guarantee_level_m=31.0),
        _gauge("height00", 116.03, datum_name="假定基面", datum_height_m=12.0),
        _gauge("nodatum0", 116.04, warning_level_m=30.0),
        _gauge("silent00", 116.05, warning_level_m=30.0),
        _gauge("nothing0", 116.06, warning_level_m=30.0),
        _gauge("bare0000", 116.07),
        _gauge("elsewher", 116.08, datum_name="假定基面", warning_level_m=30.0),
        _gauge("flow0000", 116.09, warning_level_m=30.0, warning_flow_m3s=100.0),
        _gauge("odd00000", 116.10, warning_level_m=30.0),
        _gauge("unitless", 118.0, warning_level_m=30.0),
    ])  # fmt: skip
    levels = {
        "station_code": "plain000",
        "datum_name": "85基准",
        "guarantee_level_m": 31.5,
        "document": "示例〔2024〕1 号",
    }
    insert(urls, "water.warning_level", [
        levels | {"warning_level_m": 29.5, "valid_from": "2024-07-01T00:00+08"},
        # Levels in 1985, station and readings above a datum whose height is known: 42.0 there is 30.0 here.
        {"station_code": "height00", "datum_name": "1985", "warning_level_m": 42.0, "drought_level_m": 38.0},
    ])  # fmt: skip
    values = {
        "plain000": 30.0, "assumed0": 31.0, "height00": 30.0, "nodatum0": 29.8, "bare0000": 30.0, "elsewher": 31.0,
        "flow0000": 20.0, "odd00000": 30.5,
    }  # fmt: skip
    streams = [_stream(c, datum="废黄河口基面" if c == "elsewher" else None, maximum=30.4 if c == "odd00000" else None)
               for c in (*values, "silent00", "nothing0")]  # fmt: skip
    reads = [((GAUGE, c, "water_level"), NOW, v) for c, v in values.items()]
    reads += [((GAUGE, "plain000", "water_level"), NOW - timedelta(hours=h), 30.0 - h * 0.2) for h in range(1, 5)]
    reads += [((GAUGE, "plain000", "water_level"), NOW + timedelta(hours=1), 35.0)]
    reads += [((GAUGE, "silent00", "water_level"), NOW - timedelta(hours=5), 30.2)]
    streams += [_stream("flow0000", "discharge", "L/s"), _stream("unitless", unit="mm/h")]
    reads += [((GAUGE, "flow0000", "discharge"), NOW, 100_000.0), ((GAUGE, "unitless", "water_level"), NOW, 1.0)]
    assert take(urls, streams, reads).stored == len(reads)
    insert(urls, "water.river_reach", [
        {"code": "R1", "name": "甲河", "geom": "LINESTRING(116.0 36.5,116.05 36.5)"},
        {"code": "R2", "name": "甲河", "geom": "LINESTRING(116.05 36.5,116.2 36.5)"},
        {"code": "R3", "name": "乙河", "geom": "LINESTRING(116.05 36.6,116.05 36.5)"},
        {"code": "R4", "name": "丙河", "geom": "LINESTRING(117.0 36.6,117.0 36.5)"},
    ])  # fmt: skip
    insert(urls, "water.sluice", [{"code": "Z1", "name": "闸", "geom": "POINT(116.15 36.501)"}])
    with open_run(SETTINGS, urls.reader, language="en") as found:
        yield found


def _by_code(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {r["code"]: r for r in document["stations"]}


def test_signals_by_station(run: Run) -> None:
    found = water_status(run, NOW)
    by = _by_code(found)
    assert set(by) == set(CODES)
    told = {c: (r["verdict"], r["signal"], r["indicator"], r["over"]) for c, r in by.items()}
    assert told == {
        "plain000": ("judged", "yellow", "warning_level_m", 0.5),
        "assumed0": ("judged", "orange", "guarantee_level_m", 0.0),
        "height00": ("judged", "yellow", "warning_level_m", 0.0),
        "nodatum0": ("judged", "blue", "warning_level_m", 0.1),
        "silent00": ("stale", "yellow", "warning_level_m", 0.2),
        "nothing0": ("no-reading", None, None, None),
        "bare0000": ("no-levels", None, None, None),
        "elsewher": ("cannot-compare", None, None, None),
        "flow0000": ("judged", "yellow", "warning_flow_m3s", 0.0),
        "odd00000": ("doubtful", "yellow", "warning_level_m", 0.5),
        "unitless": ("no-reading", None, None, None),
    }
    assert by["height00"]["height_1985_m"] == 42.0 and by["height00"]["limit"] == 30.0
    assert by["height00"]["low_signal"] == "none" and by["plain000"]["low_signal"] is None
    assert by["plain000"]["rise_m"] == 0.6 and by["plain000"]["document"] == "示例〔2024〕1 号"
    assert by["nodatum0"]["height_1985_m"] is None and "No datum" in by["nodatum0"]["height_unknown"]
    assert "1985 is not known" in by["elsewher"]["why"] and by["silent00"]["age_s"] == 5 * 3600
    assert "unit" in by["unitless"]["why"]
    # What is not sure is not counted among the signals.
    counted = {c: r["signal_counted"] for c, r in by.items()}
    assert [counted[c] for c in ("plain000", "silent00", "odd00000", "bare0000")] == ["yellow", *["not-judged"] * 3]
    assert found["totals"]["flood"] == {"none": 0, "blue": 1, "yellow": 3, "orange": 1, "red": 0}
    assert sum(found["totals"]["verdicts"].values()) == len(CODES)
    assert found["stations"][0]["code"] == "assumed0" and found["rules"]["near"]["example"] is True
    json.dumps(found)


def test_levels_are_those_of_the_day(run: Run) -> None:
    # Before July its row did not hold: its own field, 99 m, does.
    take_at = NOW - timedelta(days=40)
    row = _by_code(water_status(run, take_at, ["plain000"]))["plain000"]
    assert (row["verdict"], row["levels_from"]) == ("no-reading", GAUGE)
    row = _by_code(water_status(run, NOW, ["plain000"]))["plain000"]
    assert (row["levels_from"], row["levels_since"]) == ("water.warning_level", "2024-07-01T00:00:00+08:00")


def test_the_newest_reading_is_that_before_the_instant(run: Run) -> None:
    earlier = _by_code(water_status(run, NOW - timedelta(minutes=30), ["plain000"]))["plain000"]
    assert (earlier["level_m"], earlier["signal"], earlier["stale"]) == (29.8, "yellow", False)
    later = _by_code(water_status(run, NOW + timedelta(hours=1), ["plain000"]))["plain000"]
    assert (later["level_m"], later["signal"]) == (35.0, "orange")
    silent = _by_code(water_status(run, NOW + timedelta(days=31), ["plain000"]))["plain000"]
    assert silent["verdict"] == "no-reading"


def test_questions_that_cannot_be_answered(run: Run) -> None:
    with pytest.raises(InvalidParameter) as caught:
        water_status(run, NOW, ["plain000", "nobody00"])
    assert caught.value.context["unknown"] == ["nobody00"]
    for text in ("2024-07-01/2024-07-02", "tomorrow", "../2024-07-01"):
        with pytest.raises(InvalidParameter):
            PROCESS.run(run, read_inputs(PROCESS, {"datetime": text}), frozenset({"status"}))
    assert water_status(run, NOW, river="丁河")["totals"]["stations"] == 0


def test_outputs_say_the_same(run: Run) -> None:
    inputs = read_inputs(PROCESS, {"datetime": NOW.isoformat(), "river": "甲河"})
    out = PROCESS.run(run, inputs, frozenset({"status", "features", "csv"}))
    rows = list(csv.DictReader(io.StringIO(out["csv"].data.decode("utf-8-sig"))))
    codes = [r["code"] for r in out["status"]["stations"]]
    assert [r["code"] for r in rows] == codes == [f["id"] for f in out["features"]["features"]]
    assert out["features"]["features"][0]["geometry"]["type"] == "Point"


def _trace(run: Run, **inputs: Any) -> dict[str, Any]:
    found: Any = tracing.PROCESS.run(run, read_inputs(tracing.PROCESS, inputs), frozenset({"trace", "features"}))
    return {**found["trace"], "features": found["features"]["features"]}


def test_traces_list_the_gauges_on_the_way(run: Run) -> None:
    down = _trace(run, station="silent00")
    codes = [p["code"] for p in down["points"]]
    assert codes == ["silent00", "nothing0", "bare0000", "elsewher", "flow0000", "odd00000", "Z1"]
    assert [p["distance_m"] for p in down["points"]] == sorted(p["distance_m"] for p in down["points"])
    assert down["points"][-1]["off_m"] == pytest.approx(111, abs=1) and down["totals"]["rivers"] == ["甲河"]
    up = _trace(run, station="silent00", direction="upstream")
    assert [p["code"] for p in up["points"]] == ["silent00", "nodatum0", "height00", "assumed0", "plain000"]
    assert up["totals"]["rivers"] == ["乙河", "甲河"]
    lines = [f["geometry"]["coordinates"] for f in up["features"] if f["geometry"]["type"] == "LineString"]
    assert all(line[0] == [116.05, 36.5] for line in lines)
    way = _trace(
        run, direction="between", point={"type": "Point", "coordinates": [116.05, 36.55]}, station_2="flow0000"
    )
    assert (way["flows"], way["totals"]["rivers"]) == ("first-to-second", ["乙河", "甲河"])
    back = _trace(run, direction="between", station="flow0000", reach_2="R3")
    assert back["flows"] == "second-to-first" and back["points"][0]["code"] == "flow0000"
    none = _trace(run, direction="between", station="flow0000", reach_2="R4")
    assert (none["connected"], none["points"], none["totals"]["parts"]) == (False, [], 0)
    assert len(_trace(run, reach="R3", max_km=5)["features"]) == 1


@pytest.mark.parametrize(
    ("inputs", "place"),
    [
        ({"station": "unitless"}, "station"),
        ({"station": "nobody00"}, "station"),
        ({"reach": "R9"}, "reach"),
        ({}, "point"),
        ({"station": "silent00", "reach": "R1"}, "point"),
        ({"direction": "between", "reach": "R1"}, "point_2"),
        ({"point": {"type": "Point", "coordinates": [0, 0]}}, "point"),
        ({"reach": "R1", "layer": "base.water_line"}, "layer"),
    ],
)
def test_traces_that_cannot_begin(run: Run, inputs: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        _trace(run, **inputs)
    assert caught.value.context["parameter"] == place and caught.value.zh and caught.value.todo_zh


def test_a_network_has_a_limit(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "LINES_MAX", 3)
    with pytest.raises(TooLarge):
        _trace(run, reach="R1")


def test_mappings_of_sl_323_name_known_properties() -> None:
    assert {"river_hours", "rain_hours"} <= set(mapping_names())
    river, rain = read_mapping("river_hours"), read_mapping("rain_hours")
    assert river.datastream("31100100", "water_level", "m").unit == "m" and river.datum is None
    assert rain.datastream("31100100", "rainfall", "mm").maximum is not None


def test_layers_carry_every_indicator_of_the_tables() -> None:
    folder = Path(tracing.__file__).parent
    names = {
        f["name"] for f in yaml.safe_load((folder / "layers/water/warning_level.yaml").read_text("utf-8"))["fields"]
    }
    (edition,) = yaml.safe_load((folder / "tables/signals.yaml").read_text("utf-8"))["editions"]
    for test in (*edition["flood"], *edition["low"]):
        assert (test.get("level") or test["flow"]) in names
