# SPDX-License-Identifier: Apache-2.0
"""`geocloud grids`, run as city management runs it: grids made, loaded, checked, broken and checked again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db import cluster as _cluster
from geocloud.db.pool import connect
from geocloud.settings import DatabaseSettings, Settings

Run = Callable[..., subprocess.CompletedProcess[str]]
HOME = "371502001002"


@pytest.fixture(scope="module")
def run(cluster: DatabaseSettings) -> Run:
    env = os.environ | {
        "GEOCLOUD_HOME": str(cluster.home),
        "GEOCLOUD_DATABASE_PORT": str(cluster.database_port),
        "GEOCLOUD_MIN_FREE_DISK_MB": "64",
        "GEOCLOUD_LANGUAGE": "zh",
    }

    def call(*args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "geocloud.cli", *args]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    call("grids", "check", "lab.none", code=52)
    layers, codes = read_layers(Settings().city.layers_folder)
    owner = _cluster.ensure(cluster, fsync=False).owner
    wanted = ["base.village", "base.road", "base.water_line"]
    with connect(owner, application_name="test") as conn:
        sync(conn, {i: layers[i] for i in [*wanted, "grid.unit_grid"]}, codes)
    demo.load(owner, "small", layers=wanted)
    return call


def test_grids_are_made_loaded_and_checked(run: Run, tmp_path: Path) -> None:
    made, places = tmp_path / "grids.geojson", tmp_path / "places.geojson"
    assert "没有网格" in run("grids", "check", "grid.unit_grid", code=51).stderr
    said = run("grids", "generate", HOME, "--out", str(made), "--target", "100000").stdout
    assert f"{HOME}001" in said
    run("load", str(made), "--layer", "grid.unit_grid")
    found = json.loads(run("grids", "check", "--community", HOME, "--places", str(places), "--json").stdout)
    # A community of the small demo city is too large for grids of the right size.
    assert {r["number"] for r in found["rules"] if r["verdict"] == "found"} == {"G8"}
    assert found["not_published"] == ["base.building", "facility.component"]
    assert len(json.loads(places.read_text())["features"]) == found["counts"]["warning"]
    # What is loaded from another community's file lies over it.
    features = json.loads(made.read_text())
    features["features"] = features["features"][:1]
    features["features"][0]["properties"]["code"] = f"{HOME}900"
    made.write_text(json.dumps(features))
    run("load", str(made), "--layer", "grid.unit_grid")
    broken = run("grids", "check", "--community", HOME, code=1).stdout
    assert "✗ G6" in broken and "✗ G10" in broken and "✓ G5" in broken
