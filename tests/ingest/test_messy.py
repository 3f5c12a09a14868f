# SPDX-License-Identifier: Apache-2.0
"""Every messy file ends as its table says, and what was made from real layers comes out as they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geocloud.errors import CrsUndecided, RowsRejected, UnreadableFile
from geocloud.ingest.check import Checked, check_file
from geocloud.ingest.crs_doctor import diagnose
from geocloud.ingest.readers import open_source
from geocloud.settings import CitySettings, Settings
from tests.ingest.messy_outcomes import OUTCOMES, Outcome, Truth, files_of, markdown

CITY = (115.27, 35.75, 116.55, 37.05)
SETTINGS = Settings(city=CitySettings(city_bbox=CITY))
LOADED = [o for o in OUTCOMES if o.result != "refused"]
DERIVED = [o for o in OUTCOMES if o.truth is not None]


@pytest.fixture(scope="module")
def messy(shared_data: Path) -> Path:
    return shared_data / "messy"


def _check(outcome: Outcome, messy: Path, crs: str | None = None) -> Checked:
    return check_file(messy / outcome.path, SETTINGS, source_layer=outcome.layer, crs=crs)


def test_every_file_is_in_the_table(messy: Path) -> None:
    on_disk = {p for p in messy.rglob("*") if p.is_file()}
    spoken_for = set().union(*(files_of(o, messy) for o in OUTCOMES))
    assert sorted(map(str, on_disk - spoken_for)) == []
    assert sorted(map(str, spoken_for - on_disk)) == []
    assert len({o.id for o in OUTCOMES}) == len(OUTCOMES)


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda o: o.id)
def test_outcome(outcome: Outcome, messy: Path) -> None:
    if outcome.result == "refused":
        with pytest.raises(UnreadableFile) as caught:
            _check(outcome, messy)
        assert caught.value.context["rule"] == outcome.rule
        assert caught.value.message("en") != caught.value.message("zh")
        assert caught.value.todo_en
        return
    checked = _check(outcome, messy)
    if outcome.result == "asks":
        assert isinstance(checked.error, CrsUndecided)
        assert checked.error.context["rule"] == outcome.rule
        assert "--crs" in checked.error.todo_zh
        checked = _check(outcome, messy, outcome.named)
        assert checked.report.facts["crs"]["crs"] == outcome.named
        assert "GC-315" in {code for code, _ in checked.report.counts}
    _as_told(checked, outcome)


def _as_told(checked: Checked, outcome: Outcome) -> None:
    facts = checked.report.facts
    if outcome.rejected:
        assert isinstance(checked.error, RowsRejected)
    else:
        assert checked.error is None
    assert (facts["rows"], facts["rows_rejected"]) == (outcome.count, outcome.rejected)
    if outcome.result == "loads":
        assert facts["crs"]["crs"] == outcome.crs
        assert facts["crs"]["exchanged"] == outcome.exchanged
    assert (facts["encoding"] or {}).get("name") == outcome.encoding
    said = {code for code, _ in checked.report.counts}
    assert set(outcome.codes) <= said
    # What is only expected of one file is not said of another.
    for code in ("GC-202", "GC-204", "GC-303", "GC-304", "GC-305", "GC-306", "GC-307", "GC-132", "GC-205", "GC-129"):
        assert (code in said) == (code in outcome.codes), code


@pytest.mark.parametrize("outcome", [o for o in OUTCOMES if o.parts], ids=lambda o: o.id)
def test_a_part_stands_for_the_whole(outcome: Outcome, messy: Path) -> None:
    for part in sorted(files_of(outcome, messy)):
        if outcome.result == "refused":
            with pytest.raises(UnreadableFile) as caught:
                open_source(part)
            assert caught.value.context["rule"] == outcome.rule
        else:
            with open_source(part) as source:
                assert sum(b.rows for b in source.batches()) == outcome.count


@pytest.mark.parametrize("outcome", DERIVED, ids=lambda o: o.id)
def test_derived_files_equal_the_layer_they_were_made_from(outcome: Outcome, messy: Path, shared_data: Path) -> None:
    truth = outcome.truth
    assert truth is not None
    real = gpd.read_file(shared_data / truth.path)
    shapes, table, rejected = _read(messy / outcome.path)
    assert len(shapes) == len(real)
    order = np.arange(len(real))
    if truth.key is not None:
        place = {str(k): i for i, k in enumerate(real[truth.true_key])}
        order = np.array([place[str(row[truth.key])] for row in table])
        assert sorted(order) == list(range(len(real)))
    if truth.name is not None:
        names = real[truth.true_name]
        names = names if truth.else_name is None else names.fillna(real[truth.else_name])
        assert [row[truth.name] for row in table] == names.iloc[order].tolist()
    compared = [i for i in range(len(shapes)) if i not in rejected]
    assert len(compared) == outcome.count - outcome.rejected  # type: ignore[operator]
    off = max(_furthest(shapes[i], real.geometry.iloc[order[i]]) for i in compared)
    assert off <= truth.degrees


def _read(path: Path) -> tuple[list[Any], list[dict[str, Any]], set[int]]:
    """Geometries in storage coordinates, rows, and the places of rows with an error; small batches on purpose."""
    with open_source(path) as source:
        placement = diagnose(source, CITY).placement
        assert placement is not None
        shapes: list[Any] = []
        rows: list[dict[str, Any]] = []
        rejected: set[int] = set()
        for batch in source.batches(3):
            assert batch.start_row == len(rows)
            assert batch.geometry is not None
            shapes += placement.apply(batch.geometry).tolist()
            rows += batch.table.to_pylist()
            rejected |= {f.row - 1 for f in batch.findings if f.severity == "error" and f.row}
    return shapes, rows, rejected


def _furthest(got: Any, expected: Any) -> float:
    """Largest difference of vertices taken in order; a polygon and its ring as a line count as the same."""
    a, b = shapely.get_coordinates(got), shapely.get_coordinates(expected)
    assert a.shape == b.shape
    # KML and others may turn a ring round.
    return float(min(np.abs(a - b).max(), np.abs(a - b[::-1]).max()))


def test_rows_of_the_township_table_are_named(messy: Path) -> None:
    report = check_file(messy / "derived_from_real/townships_gb18030.csv", SETTINGS).report
    rows = {(f.code, f.row, f.field) for f in report.findings if f.row is not None}
    assert rows == {("GC-120", 4, "经度"), ("GC-121", 8, "纬度"), ("GC-122", 6, None)}
    swapped = next(f for f in report.findings if f.code == "GC-122")
    assert swapped.place == (115.776507, 36.488401)


def test_the_mended_county_is_the_real_one(messy: Path, shared_data: Path) -> None:
    real = gpd.read_file(shared_data / "liaocheng/admin_county_tianditu.geojson").geometry
    shapes, _, _ = _read(messy / "derived_from_real/invalid_mixed.geojson")
    doubled = shapes[1]
    assert shapely.get_num_coordinates(doubled) > shapely.get_num_coordinates(real[0])
    assert doubled.equals(real[0])
    assert shapes[5] is None


@pytest.mark.parametrize("neutral", [False, True], ids=["told-by-name", "told-by-known-counties"])
def test_gcj02_is_told_by_name_or_by_known_counties(
    neutral: bool, messy: Path, shared_data: Path, tmp_path: Path
) -> None:
    path = messy / "derived_from_real/gcj02_labelled_4326.gpkg"
    reference = gpd.read_file(shared_data / "liaocheng/admin_county_tianditu.geojson").geometry.values
    if neutral:
        frame = gpd.read_file(path)
        path = tmp_path / "counties.gpkg"
        frame.to_file(path, layer="counties", engine="pyogrio")
        with open_source(path) as source:
            alone = diagnose(source, CITY)
        # Nothing to tell by: the label is believed, and the report says what cannot be excluded.
        assert alone.placement is not None
        assert alone.placement.crs.id == "EPSG:4326"
        assert "GC-312" in {f.code for f in alone.findings}
    with open_source(path) as source:
        found = diagnose(source, CITY, reference=reference)
    assert found.placement is not None
    assert found.placement.crs.id == "GCJ-02"


def test_true_layers_are_not_taken_for_shifted_ones(shared_data: Path) -> None:
    reference = gpd.read_file(shared_data / "liaocheng/admin_county_tianditu.geojson").geometry.values
    for name in ("admin_county_amap_wgs84", "admin_county_2016_vonng_wgs84", "admin_city_amap_wgs84"):
        with open_source(shared_data / f"liaocheng/{name}.geojson") as source:
            found = diagnose(source, CITY, reference=reference)
        assert found.placement is not None
        assert found.placement.crs.id == "EPSG:4326", name


def test_the_table_prints_as_markdown() -> None:
    lines = markdown().splitlines()
    assert len(lines) == len(OUTCOMES) + 2
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    out = os.environ.get("GEOCLOUD_OUTCOMES_MD")
    if out:
        Path(out).write_text(markdown() + "\n", encoding="utf-8")


def test_truth_is_stated_for_every_derived_layer_but_the_broken_ones() -> None:
    without = {o.path for o in OUTCOMES if o.path.startswith("derived") and o.truth is None}
    assert without == {"derived_from_real/invalid_mixed.geojson", "derived_from_real/truncated.geojson"}
    assert all(isinstance(o.truth, Truth) and o.truth.degrees <= 1e-6 for o in DERIVED)
