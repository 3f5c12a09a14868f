# SPDX-License-Identifier: Apache-2.0
"""Files of readings: the recorded hours of air quality, and delivered CSVs of other shapes."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.errors import CatalogueError, UnreadableFile
from geocloud.sensing.load import Loaded, load_file
from geocloud.sensing.mapping import Mapping, known_properties, mapping_names, read_mapping
from geocloud.sensing.quality import Quality, quality
from geocloud.sensing.units import is_known
from geocloud.settings import CitySettings, SensingSettings
from tests.sensing.conftest import STATION, Place

AIR = "facility.air_station"


@pytest.fixture(scope="module")
def hours(shared_data: Path) -> Path:
    path = shared_data / "liaocheng/aq_hourly.csv"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


@pytest.fixture(scope="module")
def air(urls: Urls, place: Place) -> Place:
    layers, codes = read_layers(CitySettings().layers_folder)
    conn = psycopg2.connect(urls.owner)
    sync(conn, {AIR: layers[AIR]}, codes)
    conn.close()
    return place


def load(place: Place, path: Path, mapping: Mapping | None, **settings: Any) -> Loaded:
    return place.write(lambda conn: load_file(conn, path, mapping, SensingSettings(**settings)))


@pytest.fixture(scope="module")
def loaded(air: Place, hours: Path) -> Loaded:
    air.empty()
    return load(air, hours, read_mapping("air_hours"), sensing_batch=700)


@pytest.fixture(scope="module")
def delivered(hours: Path) -> list[dict[str, str]]:
    with hours.open(encoding="utf-8", newline="") as file:
        return [r for r in csv.DictReader(file) if r["value"]]


def test_the_recorded_hours_are_all_kept(air: Place, loaded: Loaded, delivered: list[dict[str, str]]) -> None:
    distinct = {(r["station"], r["parameter"], r["time"], float(r["value"])) for r in delivered}
    assert (loaded.outcome.received, loaded.outcome.quarantined) == (len(delivered), 0)
    assert loaded.missing > 0
    assert loaded.outcome.stored == len(distinct)
    assert loaded.registered == len({(r["station"], r["parameter"]) for r in delivered})
    kept = air.run(
        "SELECT d.device, d.property, o.at, o.value FROM sensing.observation o JOIN sensing.datastream d "
        "ON d.id = o.datastream WHERE d.layer = %s",
        AIR,
    )
    assert {(r["device"], r["property"], r["at"], r["value"]) for r in kept} == {
        (s, p, datetime.fromisoformat(t), v) for s, p, t, v in distinct
    }


def test_dropouts_and_the_end_of_the_scale_are_flagged_and_not_hidden(
    air: Place, loaded: Loaded, delivered: list[dict[str, str]]
) -> None:
    index = [float(r["value"]) for r in delivered if r["parameter"] == "AQI"]
    (flags,) = air.run(
        "SELECT count(*) FILTER (WHERE flags & 4 <> 0) AS zero, count(*) FILTER (WHERE flags & 8 <> 0) AS capped "
        "FROM sensing.observation o JOIN sensing.datastream d ON d.id = o.datastream "
        "WHERE d.layer = %s AND d.property = 'AQI'",
        AIR,
    )
    assert (flags["zero"], flags["capped"]) == (index.count(0), sum(v >= 500 for v in index))
    assert flags["zero"] >= 46 and flags["capped"] >= 87


def test_the_report_finds_the_gaps_that_python_finds(
    air: Place, loaded: Loaded, delivered: list[dict[str, str]]
) -> None:
    found: list[Quality] = list(air.write(lambda conn: quality(conn, collection=AIR)))
    series: dict[tuple[str, str], set[datetime]] = {}
    for r in delivered:
        series.setdefault((r["station"], r["parameter"]), set()).add(datetime.fromisoformat(r["time"]))
    assert {(q.device, q.property) for q in found} == series.keys()
    hour = timedelta(hours=1)
    for q in found:
        moments = sorted(series[q.device, q.property])
        steps = [b - a for a, b in zip(moments, moments[1:], strict=False)]
        wide = [s for s in steps if s > 1.5 * hour]
        assert (q.count, q.first, q.last) == (len(moments), moments[0], moments[-1])
        assert (q.gaps, q.lacking) == (len(wide), sum(round(s / hour) - 1 for s in wide))
        assert q.longest_s == (max(steps).total_seconds() if steps else None)


def test_the_same_file_again_changes_nothing(air: Place, loaded: Loaded, hours: Path) -> None:
    before = air.run("SELECT * FROM sensing.observation ORDER BY datastream, at, issued, value")
    again = load(air, hours, read_mapping("air_hours"))
    assert (again.outcome.stored, again.registered) == (0, 0)
    assert again.outcome.repeated == again.outcome.received
    assert air.run("SELECT * FROM sensing.observation ORDER BY datastream, at, issued, value") == before


def _mapping(**given: Any) -> Mapping:
    return Mapping.model_validate({"title": {"zh": "试", "en": "test"}, "collection": STATION, **given})


WIDE = _mapping(
    columns={"device": "站码", "time": "时间"}, wide={"水位": "water_level", "雨量": "rainfall"},
    units={"rainfall": "cm"}, time_format="%Y/%m/%d %H:%M", missing=["", "/"],
)  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_wide_file_of_a_bureau_is_read_in_beijing_time(place: Place, tmp_path: Path, encoding: str) -> None:
    place.empty()
    path = tmp_path / "水情.csv"
    path.write_text(
        "站码,时间,水位,雨量,备注\nA,2026/01/01 00:00,31.25,0.5,正常\nB,2026/01/01 01:00,/,,设备检修\n",
        encoding=encoding,
    )
    found = load(place, path, WIDE)
    assert (found.outcome.stored, found.missing, found.outcome.quarantined) == (2, 2, 0)
    rows = place.run(
        "SELECT d.property, d.unit, o.at, o.value, o.tableoid::regclass::text AS month FROM sensing.observation o "
        "JOIN sensing.datastream d ON d.id = o.datastream ORDER BY 1"
    )
    assert [(r["property"], r["unit"], r["value"]) for r in rows] == [
        ("rainfall", "cm", 0.5),
        ("water_level", "m", 31.25),
    ]
    assert {r["month"] for r in rows} == {"sensing.observation_2026_01"}
    assert rows[0]["at"] == datetime.fromisoformat("2025-12-31T16:00:00+00:00")


def test_what_is_wrong_in_a_file_is_put_aside_with_its_line(place: Place, tmp_path: Path) -> None:
    place.empty()
    path = tmp_path / "a.csv"
    path.write_text(
        "站码,时间,水位,雨量\nA,2026/13/01 00:00,1,1\nA,2026/01/01 00:00,inf,1\nA,x\n,2026/01/01 00:00,1,1\n"
    )
    outcome = load(place, path, WIDE).outcome
    assert outcome.stored == 1
    assert Counter((p.place, p.reason) for p in outcome.problems) == {
        (2, "bad-time"): 2, (3, "not-a-number"): 1, (4, "not-a-reading"): 1, (5, "no-datastream"): 2,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "站码,时间,水位,水位,雨量\n"])
def test_a_file_without_the_mapped_columns_is_refused(place: Place, tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(UnreadableFile):
        load(place, path, WIDE)


@pytest.mark.parametrize(
    "given",
    [
        {"columns": {"device": "a", "time": "b"}},
        {"columns": {"device": "a", "time": "b", "value": "c"}},
        {"columns": {"device": "a", "time": "b", "value": "c"}, "property": "x", "wide": {"c": "x"}},
        {"columns": {"device": "a", "time": "b", "value": "c"}, "property": "x", "zone": "+25:00"},
        {"columns": {"device": "a", "time": "b", "value": "c"}, "property": "x", "unknown": 1},
    ],
)
def test_mappings_that_do_not_hang_together_are_refused(given: dict[str, Any], tmp_path: Path) -> None:
    import yaml

    path = tmp_path / "m.yaml"
    path.write_text(yaml.safe_dump({"title": {"zh": "试", "en": "test"}, "collection": STATION, **given}))
    with pytest.raises(CatalogueError):
        read_mapping(str(path))


def test_the_houses_own_mappings_and_properties_can_be_used() -> None:
    assert [read_mapping(n).collection for n in mapping_names()]
    for p in known_properties().values():
        assert is_known(p.unit), p.id
        assert p.minimum is not None and p.maximum is not None and p.minimum < p.maximum
