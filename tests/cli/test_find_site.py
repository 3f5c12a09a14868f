# SPDX-License-Identifier: Apache-2.0
"""`geocloud plans find-site`, run as a planner runs it: candidates as words and files, refusals."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pypdf
import pytest
import shapely

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db import cluster as _cluster
from geocloud.db.pool import connect
from geocloud.settings import DatabaseSettings, Settings

Run = Callable[..., subprocess.CompletedProcess[str]]
WISHES = [{"kind": "frontage", "distance_m": 40}, {"kind": "raster", "raster": "slope", "max": 15}]


@pytest.fixture(scope="module")
def run(cluster: DatabaseSettings) -> Run:
    env = os.environ | {
        "GEOCLOUD_HOME": str(cluster.home),
        "GEOCLOUD_DATABASE_PORT": str(cluster.database_port),
        "GEOCLOUD_MIN_FREE_DISK_MB": "64",
        "GEOCLOUD_LANGUAGE": "zh",
    }

    def call(*args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "geocloud.cli", "plans", *args]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    call("area-stat", "lab.none", code=52)
    layers, codes = read_layers(Settings().city.layers_folder)
    owner = _cluster.ensure(cluster, fsync=False).owner
    wanted = ["planning.plan_area", "planning.regulatory_plan", "planning.urban_boundary", "base.county", "base.road"]
    with connect(owner, application_name="test") as conn:
        sync(conn, {i: layers[i] for i in wanted}, codes)
    demo.load(owner, "small", layers=wanted)
    return call


def test_candidates_are_told_and_written_to_files(run: Run, tmp_path: Path) -> None:
    wishes = tmp_path / "条件.json"
    wishes.write_text(json.dumps(WISHES), encoding="utf-8")
    files = {name: tmp_path / f"out.{name}" for name in ("geojson", "csv", "html", "pdf")}
    asked = ["find-site", "--min-area", "100000", "--use", "07", "--limit", "4", "--conditions", f"@{wishes}"]
    said = run(*asked, *(x for n, p in files.items() for x in (f"--{n}", str(p)))).stdout
    found = json.loads(files["geojson"].read_text(encoding="utf-8"))
    assert found == json.loads(run(*asked, "--json").stdout)
    assert found["search"]["fingerprint"] in said
    assert "slope 没有该名称的已登记栅格" in said
    assert len(found["features"]) == 4
    assert all(shapely.geometry.shape(f["geometry"]).is_valid for f in found["features"])
    rows = list(csv.DictReader(files["csv"].open(encoding="utf-8-sig")))
    assert [r["id"] for r in rows] == [f["id"] for f in found["features"]]
    assert len(pypdf.PdfReader(files["pdf"]).pages) > 1
    assert "策划生成选址报告" in files["html"].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        pytest.param(("--use", "99"), "不在代码表", id="use"),
        pytest.param(("--use", "07", "--max-area", "5"), "max_area_m2", id="sizes"),
        pytest.param(("--use", "07", "--conditions", "[{"), "--conditions", id="no JSON"),
        pytest.param(("--use", "07", "--conditions", "@/nowhere.json"), "--conditions", id="no file"),
    ],
)
def test_what_cannot_be_asked_is_refused(run: Run, more: tuple[str, ...], says: str) -> None:
    assert says in run("find-site", "--min-area", "1000", *more, code=51).stderr
