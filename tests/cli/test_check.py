# SPDX-License-Identifier: Apache-2.0
"""`geocloud check` as a person runs it: a report, an exit code by what a load would do, no database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

SQUARES = [shapely.box(115.9 + i / 10, 36.4, 115.95 + i / 10, 36.5) for i in range(3)]


def _run(*args: str, language: str = "en") -> subprocess.CompletedProcess[str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith("GEOCLOUD_")}
    # A database that cannot be reached: the command has no business with one.
    env = keep | {"GEOCLOUD_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "GEOCLOUD_LANGUAGE": language}
    return subprocess.run(
        [sys.executable, "-m", "geocloud.cli", "check", *args], env=env, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def counties(tmp_path: Path) -> Path:
    data: dict[str, Any] = {"区划代码": ["371502", "371503", "371521"], "名称": ["东昌府区", "茌平区", "阳谷县"]}
    gpd.GeoDataFrame(data, geometry=SQUARES, crs=4490).to_file(tmp_path / "县.gpkg", engine="pyogrio")
    return tmp_path / "县.gpkg"


def test_a_good_file(counties: Path) -> None:
    done = _run(str(counties), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["would_load"] is True
    assert report["totals"]["error"] == 0
    facts = report["facts"]
    assert (facts["rows"], facts["rows_rejected"], facts["geometry_kinds"]) == (3, 0, {"Polygon": 3})
    assert facts["crs"]["crs"] == "EPSG:4490"
    assert facts["extent"] == [115.9, 36.4, 116.15, 36.5]
    assert [f["name"] for f in facts["fields"]] == ["区划代码", "名称"]


def test_the_rules_of_a_layer(counties: Path) -> None:
    done = _run(str(counties), "--layer", "base.county", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert report["facts"]["columns"] == {"code": "区划代码", "name": "名称"}
    assert {"GC-407", "GC-513"} <= {r["code"] for r in report["rules"]}


def test_rows_that_break_a_rule(tmp_path: Path) -> None:
    data = {"区划代码": ["371502", "37150", None], "名称": ["东昌府区", "茌平区", "阳谷县"]}
    path = tmp_path / "县.gpkg"
    gpd.GeoDataFrame(data, geometry=SQUARES, crs=4490).to_file(path, engine="pyogrio")
    done = _run(str(path), "--layer", "base.county", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 43
    assert report["facts"]["rows_rejected"] == 2
    assert {f["row"] for f in report["findings"] if f["severity"] == "error"} == {2, 3}


def test_a_missing_column_and_a_named_one(counties: Path) -> None:
    frame = gpd.read_file(counties).rename(columns={"区划代码": "qh"})
    path = counties.with_name("b.gpkg")
    frame.to_file(path, engine="pyogrio")
    done = _run(str(path), "--layer", "base.county", "--json")
    assert done.returncode == 40
    assert "GC-511" in {r["code"] for r in json.loads(done.stdout)["rules"]}
    done = _run(str(path), "--layer", "base.county", "--column", "code=qh", "--json")
    assert done.returncode == 0, done.stdout
    assert _run(str(path), "--layer", "base.county", "--column", "qh").returncode == 2


def test_an_undecided_system_and_a_named_one(tmp_path: Path) -> None:
    path = tmp_path / "点.csv"
    path.write_text("名称,X,Y\n甲,1000.5,2000.5\n", encoding="utf-8")
    done = _run(str(path))
    assert done.returncode == 42
    assert "--crs" in done.stderr
    assert "GC-311" in done.stdout
    done = _run(str(path), "--crs", "+proj=tmerc +lon_0=116 +lat_0=36 +x_0=0 +y_0=0 +ellps=GRS80 +type=crs", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["facts"]["crs"]["crs"] == "local"
    assert report["facts"]["extent"][:2] == pytest.approx([116.0111, 36.01803], abs=1e-4)


@pytest.mark.parametrize(("language", "word"), [("zh", "坐标不是数字"), ("en", "Coordinate is not a number")])
def test_for_people_in_their_language(tmp_path: Path, language: str, word: str) -> None:
    path = tmp_path / "点.csv"
    path.write_bytes("名称,经度,纬度\n甲,115.98,36.45\n乙,一一六,36.45\n".encode("gbk"))
    done = _run(str(path), language=language)
    assert done.returncode == 43
    assert word in done.stdout
    assert "GB18030" in done.stdout
    assert ("行" in done.stderr) == (language == "zh")


@pytest.mark.parametrize(
    ("args", "code", "word"),
    [
        (("nowhere.shp",), 41, "GC-101"),
        (("http://127.0.0.1/a.shp",), 41, "GC-101"),
        (("FILE", "--layer", "base.countie"), 32, "base.county"),
        (("FILE", "--crs", "EPSG:1"), 51, "coordinate reference system"),
        (("FILE", "--encoding", "klingon"), 41, "GC-209"),
        (("FILE", "--source-layer", "x"), 41, "GC-114"),
        ((), 2, "geocloud check --help"),
    ],
)
def test_exit_codes(counties: Path, args: tuple[str, ...], code: int, word: str) -> None:
    done = _run(*(str(counties) if a == "FILE" else a for a in args))
    assert done.returncode == code, done.stderr
    assert word in done.stderr


def test_known_boundaries_tell_gcj02(tmp_path: Path) -> None:
    from geocloud.geodesy.offsets import wgs84_to_gcj02

    true = gpd.GeoDataFrame({"id": [1, 2, 3]}, geometry=SQUARES, crs=4490)
    true.to_file(tmp_path / "known.gpkg", engine="pyogrio")
    shifted = true.set_geometry([shapely.transform(g, wgs84_to_gcj02, interleaved=False) for g in SQUARES])
    shifted.set_crs(4490).to_file(tmp_path / "b.gpkg", engine="pyogrio")
    done = _run(str(tmp_path / "b.gpkg"), "--reference", str(tmp_path / "known.gpkg"), "--json")
    facts = json.loads(done.stdout)["facts"]
    assert facts["crs"]["crs"] == "GCJ-02"
    assert facts["extent"] == pytest.approx([115.9, 36.4, 116.15, 36.5], abs=1e-6)
