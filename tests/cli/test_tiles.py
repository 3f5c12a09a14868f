# SPDX-License-Identifier: Apache-2.0
"""`geocloud tiles`, run as a person runs it, on a private cluster of its own folder."""

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
from geocloud.tiles.archive import Archive
from tests.tiles.conftest import LAND, SITE, SPECS, WAY

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(own_settings: Callable[..., DatabaseSettings], tmp_path: Path) -> Run:
    """Runs `geocloud tiles …` over three layers, of which one has rows."""
    settings = own_settings()
    urls = _cluster.ensure(settings, fsync=False)
    migrate(urls.owner)
    conn = psycopg2.connect(urls.owner)
    sync(conn, SPECS, {})
    with conn, conn.cursor() as cur:
        cur.execute(
            "INSERT INTO town.site (code, kind, geom) SELECT 'S' || i, 'a', "
            "ST_SetSRID(ST_Point(115.9 + i * 0.001, 36.4 + i * 0.0007), 4490) FROM generate_series(1, 100) i"
        )
    conn.close()
    env = os.environ | {
        "GEOCLOUD_HOME": str(settings.home),
        "GEOCLOUD_DATABASE_PORT": str(settings.database_port),
        "GEOCLOUD_MIN_FREE_DISK_MB": "64",
        "GEOCLOUD_LANGUAGE": "en",
        "GEOCLOUD_TILE_CACHE_DIR": str(tmp_path / "cache"),
    }

    def call(*args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "geocloud.cli", "tiles", *args],
            env=env, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


def said(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_seed_status_export_clean(run: Run, tmp_path: Path) -> None:
    report = said(run("seed", "--zoom", "5-12", "--jobs", "1", "--json"))
    outcomes = {layer["name"]: layer["outcome"] for layer in report["layers"]}
    assert outcomes == {SITE: "seeded", LAND: "empty", WAY: "empty"}
    (site,) = [layer for layer in report["layers"] if layer["name"] == SITE]
    archive = Archive(Path(site["path"]))
    assert archive.tile_count == site["tiles"] == report["tiles"] <= report["built"]
    assert archive.bytes == site["bytes"] == report["bytes"]
    assert (archive.min_zoom, archive.max_zoom) == (5, 12)
    assert report["tiles_per_second_per_core"] == report["tiles_per_second"] > 0

    entries = {e["name"]: e for e in said(run("status", "--json"))["archives"]}
    assert (entries[SITE]["stale"], entries[SITE]["tiles"], entries[LAND]["tiles"]) == (0, archive.tile_count, None)
    assert "not seeded" in run("status").stdout

    run("export", SITE, str(tmp_path / "site.pmtiles"))
    assert Archive(tmp_path / "site.pmtiles").about == archive.about
    unpacked = said(run("export", SITE, str(tmp_path / "out"), "--json"))
    assert unpacked["files"] == len(list(Path(unpacked["path"]).rglob("*.mvt.gz"))) == archive.tile_count

    assert said(run("seed", SITE, "--zoom", "5-12", "--json"))["layers"][0]["outcome"] == "fresh"
    assert said(run("clean", "--json"))["removed"] == []
    assert said(run("clean", "--all", "--json"))["removed"] == [str(archive.path)]
    refused = said(run("export", SITE, str(tmp_path / "again.pmtiles"), "--json", code=72))
    assert refused["error"] == "not-seeded"
    run("seed", "town.nothing", code=32)
    run("seed", "--zoom", "9-3", code=2)
    run("seed", "--bbox", "1,2,3", code=2)
