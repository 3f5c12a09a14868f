# SPDX-License-Identifier: Apache-2.0
"""A planner's day by the commands of docs/planners.md: a faulty plan is refused, mended, loaded, compared, a spot is
worked on and settled by the next plan, a site is checked and the PDF handed over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geocloud import demo
from geocloud.demo.plan_truth import truth
from geocloud.settings import DatabaseSettings

PLAN = "planning.master_plan"
Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(own_settings: Callable[..., DatabaseSettings], tmp_path: Path) -> Cli:
    settings = own_settings()
    env = os.environ | {
        "GEOCLOUD_HOME": str(settings.home),
        "GEOCLOUD_DATABASE_PORT": str(settings.database_port),
        "GEOCLOUD_MIN_FREE_DISK_MB": "64",
        "GEOCLOUD_LANGUAGE": "zh",
    }

    def run(*args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "geocloud.cli", *args]
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=300)
        assert done.returncode == code, done.stderr + done.stdout
        return done

    return run


def frame() -> gpd.GeoDataFrame:
    """The master plan as its makers have it."""
    batches = list(demo.generate("small", PLAN))
    names = ("bsm", "ysdm", "xzqdm", "xzqmc", "dldm", "mj")
    table = {n: [v for b in batches for v in b.columns[n].to_pylist()] for n in names if n in batches[0].columns}
    return gpd.GeoDataFrame(table, geometry=np.concatenate([b.shapes for b in batches]), crs=4490)


def test_from_delivery_to_the_hand_over(cli: Cli, tmp_path: Path) -> None:
    cli("up", "--no-serve", "--demo", "small")
    plan = frame()
    # Delivered with faults: a code that is in no list, a plot drawn over its neighbour, a key used twice.
    faulty = plan.copy()
    faulty.loc[10, "dldm"] = "X9"
    faulty.loc[20, "geometry"] = shapely.union(faulty.geometry[20], faulty.geometry[21])
    faulty.loc[31, "bsm"] = faulty.bsm[30]
    faulty.to_file(tmp_path / "delivered.gpkg")
    cli("plans", "accept", "delivered.gpkg", "--layer", PLAN, "--out", "report.json", "--out", "report.pdf",
        "--out", "places.gpkg", code=43)  # fmt: skip
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["verdict"] == "rejected"
    found = {r["number"]: r["findings"] for r in report["rules"] if r["findings"]}
    assert {"Q04", "Q06", "Q12"} <= found.keys(), found
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert len(gpd.read_file(tmp_path / "places.gpkg", layer="polygons"))
    # Mended, accepted and published.
    plan.to_file(tmp_path / "mended.gpkg")
    cli("plans", "accept", "mended.gpkg", "--layer", PLAN)
    cli("load", "mended.gpkg", "--layer", PLAN)
    # Compared with the land plan, and the differences kept.
    first = json.loads(cli("plans", "compare", "--record", "--json").stdout)
    assert first["recorded"]["new"] == len(truth("small")) == first["spots"]
    spots = json.loads(cli("plans", "spots", "--rule", "L2", "--json").stdout)
    planted = next(s for s in truth("small") if s.rule == "L2" and s.shape == "plot")
    spot = next(
        s["dkbh"] for s in spots if s["dl_b"] == planted.class_b
        and s["tqmj"] == pytest.approx(planted.area_m2, rel=1e-3)
    )  # fmt: skip
    assert "不能是" in cli("plans", "settle", spot, "--state", "settled", code=51).stderr
    told = cli(
        "plans", "settle", spot, "--state", "coordinating", "--deadline", "2027-06-30", "--city-opinion", "调整城规"
    )
    assert json.loads(told.stdout)["zt"] == "coordinating"
    # The plan is amended there; the next comparison looks at that place alone and settles the spot.
    amended = plan.copy()
    amended.loc[amended.bsm == planted.bsm_b, "dldm"] = "E2"
    amended.to_file(tmp_path / "amended.gpkg")
    cli("load", "amended.gpkg", "--layer", PLAN)
    again = json.loads(cli("plans", "compare", "--record", "--json").stdout)
    assert again["everywhere"] is False
    gone = [s for s in truth("small") if s.bsm_b == planted.bsm_b and s.layer_b == PLAN]
    assert {k: n for k, n in again["recorded"].items() if n and k != "kept"} == {"settled": len(gone)}
    settled = json.loads(cli("plans", "spots", "--state", "settled", "--json").stdout)
    assert spot in [s["dkbh"] for s in settled]
    down: dict[str, Any] = json.loads(cli("plans", "burndown", "--points", "2", "--json").stdout)
    assert down["totals"][-1]["open"] == first["spots"] - len(gone)
    # A builder's site, and what is handed over.
    at = shapely.point_on_surface(planted.geometry)
    site = gpd.GeoSeries([shapely.box(at.x - 0.001, at.y - 0.001, at.x + 0.001, at.y + 0.001)], crs=4490)
    site.to_file(tmp_path / "site.geojson")
    check = json.loads(
        cli("plans", "check-site", "site.geojson", "--pdf", "site.pdf", "--docx", "site.docx", "--json").stdout
    )
    assert check["verdict"] in ("refuse", "consent")
    assert (tmp_path / "site.pdf").read_bytes().startswith(b"%PDF")
