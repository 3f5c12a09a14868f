# SPDX-License-Identifier: Apache-2.0
"""`geocloud sensing`, run as an operator runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.db import cluster as _cluster
from geocloud.db.migrate import migrate
from geocloud.settings import DatabaseSettings
from tests.sensing.conftest import STATION, _spec

Run = Callable[..., subprocess.CompletedProcess[str]]
STREAMS = f"""
datastreams:
  - {{layer: {STATION}, device: A, property: water_level, unit: m, minimum: 20, maximum: 45, interval_s: 3600,
      thresholds: [{{name: {{zh: 警戒, en: warning}}, value: 31.5, date: 2026-01-01, source: made for the tests}}]}}
  - {{layer: {STATION}, device: "7", by_fid: true, property: rainfall, unit: mm}}
"""
CSV = (
    "collection,device,property,time,value,unit\n"
    f"{STATION},A,water_level,2019-12-31T23:00:00+08:00,30,m\n{STATION},A,water_level,2020-01-01T00:00:00+08:00,3150,cm\n"
    f"{STATION},A,water_level,2020-01-01T05:00:00+08:00,60,m\n{STATION},B,water_level,2020-01-01T05:00:00+08:00,60,m\n"
)


@pytest.fixture(scope="module")
def run(cluster: DatabaseSettings) -> Run:
    """Runs `geocloud sensing …` on the test cluster's own database."""
    owner = _cluster.ensure(cluster, fsync=False).owner
    migrate(owner)
    conn = psycopg2.connect(owner)
    sync(conn, {STATION: _spec(STATION, "point")}, {})
    conn.close()
    env = os.environ | {
        "GEOCLOUD_HOME": str(cluster.home), "GEOCLOUD_DATABASE_PORT": str(cluster.database_port),
        "GEOCLOUD_MIN_FREE_DISK_MB": "64", "GEOCLOUD_LANGUAGE": "en",
    }  # fmt: skip

    def call(*args: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "geocloud.cli", "sensing", *args]
        done = subprocess.run(command, env=env | more, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


def _json(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_from_registering_to_pruning(run: Run, tmp_path: Path) -> None:
    streams, readings = tmp_path / "streams.yaml", tmp_path / "readings.csv"
    streams.write_text(STREAMS)
    readings.write_text(CSV)
    assert _json(run("register", str(streams), "--json")) == {"added": 2, "changed": 0, "other_unit": []}
    assert "0 added, 0 changed" in run("register", str(streams)).stdout
    loaded = _json(run("load", str(readings), "--json"))["outcome"]
    assert (loaded["stored"], loaded["converted"], loaded["flagged"], loaded["quarantined"]) == (3, 1, 1, 1)
    again = run("load", str(readings), GEOCLOUD_LANGUAGE="zh").stdout
    assert "已有 3" in again and "设备或数据流未登记" in again
    (report,) = _json(run("report", "--collection", STATION, "--json"))
    assert (report["count"], report["gaps"], report["lacking"], report["above"]) == (3, 1, 4, 1)
    listed = {r["property"]: r["value"] for r in _json(run("list", "--json"))}
    assert listed == {"water_level": 60, "rainfall": None}
    (aside,) = _json(run("quarantine", "--json"))
    assert (aside["reason"], aside["times"], aside["way"]) == ("unknown-datastream", 2, "file")
    assert "1 months dropped" in run("prune", "2020-01", "--yes").stdout
    (report,) = _json(run("report", "--json"))
    assert report["count"] == 2


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("load", "nothing.csv"), 40),
        (("load", __file__), 64),
        (("load", __file__, "--mapping", "nothing"), 30),
        (("register", "nothing.yaml"), 30),
        (("prune", "2020"), 51),
        (("report", "--datetime", "x"), 51),
        (("mqtt", "nothing.yaml"), 30),
        (("mqtt",), 2),
    ],
)
def test_what_cannot_be_done_is_said_with_its_exit_code(run: Run, args: tuple[str, ...], code: int) -> None:
    done = run(*args, code=code)
    assert "Traceback" not in done.stderr
