# SPDX-License-Identifier: Apache-2.0
"""`geocloud plans`, run as a planner runs it: a site checked with its files written, areas, refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pypdf
import pytest

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db import cluster as _cluster
from geocloud.db.pool import connect
from geocloud.settings import DatabaseSettings, Settings

Run = Callable[..., subprocess.CompletedProcess[str]]
POINTS = "点号,经度,纬度\nJ1,115.97,36.44\nJ2,115.98,36.44\nJ3,115.98,36.45\nJ4,115.97,36.45\n"


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
    wanted = ["base.county", "planning.plan_area", "planning.basic_farmland"]
    with connect(owner, application_name="test") as conn:
        sync(conn, {i: layers[i] for i in wanted}, codes)
    demo.load(owner, "small", layers=wanted)
    return call


def test_a_site_is_checked_and_its_files_are_written(run: Run, tmp_path: Path) -> None:
    site = tmp_path / "界址点.txt"
    site.write_text(POINTS, encoding="gb18030")
    files = {name: tmp_path / f"out.{name}" for name in ("pdf", "docx", "html")}
    said = run("check-site", str(site), *(x for n, p in files.items() for x in (f"--{n}", str(p)))).stdout
    found = json.loads(run("check-site", str(site), "--json").stdout)
    assert found["fingerprint"] in said
    assert len(pypdf.PdfReader(files["pdf"]).pages) > 1
    assert all(p.stat().st_size > 5_000 for p in files.values())


def test_what_is_no_site_is_refused_with_its_line(run: Run, tmp_path: Path) -> None:
    site = tmp_path / "site.txt"
    site.write_text(POINTS + "J5,东,西\n", encoding="utf-8")
    assert "第 6 行" in run("check-site", str(site), code=51).stderr


def test_areas_are_told_and_add_up(run: Run) -> None:
    found = json.loads(run("area-stat", "planning.basic_farmland", "--json").stdout)
    assert sum(r["area_m2"] for r in found["rows"]) == pytest.approx(found["total_m2"], rel=1e-9)
    words = run("area-stat", "planning.basic_farmland").stdout.splitlines()
    assert words[-1].startswith("合计")
    assert len(words) == len(found["rows"]) + 1
