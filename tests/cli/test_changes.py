# SPDX-License-Identifier: Apache-2.0
"""`geocloud changes`, run as a person runs it: the table, its numbers as JSON, and the files it writes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import geopandas as gpd
import psycopg2
import pyogrio
import pytest
import shapely

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import LayerSpec
from geocloud.db import cluster
from geocloud.db.migrate import migrate
from geocloud.geodesy.area import areas
from geocloud.settings import DatabaseSettings
from tests.web.conftest import unused_port

Run = Callable[..., subprocess.CompletedProcess[str]]
SPAN = ("lab.parcel", "--from", "2024-12-31", "--to", "2025-12-31")


def _spec() -> LayerSpec:
    title = {"zh": "地块", "en": "Parcels"}
    fields = [
        {"name": "code", "title": {"zh": "编码", "en": "Code"}},
        {"name": "use", "title": {"zh": "用途", "en": "Use"}},
        {"name": "floors", "type": "integer", "title": {"zh": "层数", "en": "Floors"}},
    ]
    return LayerSpec.model_validate(
        {"id": "lab.parcel", "title": title, "description": title, "geometry": "polygon", "key": ["code"],
         "fields": fields}
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(open_tmp: Path) -> Iterator[Run]:
    """Runs `geocloud changes …` on a private city in which a year has passed."""
    settings = DatabaseSettings(
        home=open_tmp / "changes", database_url=None, database_port=unused_port(), database_memory_mb=512,
        min_free_disk_mb=64,
    )  # fmt: skip
    urls = cluster.ensure(settings, fsync=False)
    migrate(urls.owner)
    conn = psycopg2.connect(urls.owner)
    sync(conn, {"lab.parcel": _spec()}, {})
    at = "SET LOCAL geocloud.valid_at = '2025-06-01T00:00:00+08';"
    with conn, conn.cursor() as cur:
        cur.execute(
            "INSERT INTO lab.parcel (code, use, floors, valid_from, geom) SELECT 'P' || i, 'farm', i, '2020-01-01', "
            "ST_MakeEnvelope(116 + i / 500.0, 36, 116.001 + i / 500.0, 36.001, 4490) FROM generate_series(1, 20) i"
        )
    for change in (
        "UPDATE lab.parcel SET use = 'town', floors = NULL WHERE fid <= 4",
        "UPDATE lab.parcel SET geom = ST_Translate(geom, 0, 0.01) WHERE fid IN (5, 6)",
        "UPDATE lab.parcel SET geom = ST_Buffer(geom, 0.0002) WHERE fid = 7",
        "DELETE FROM lab.parcel WHERE fid IN (8, 9, 10)",
        "INSERT INTO lab.parcel (code, use, valid_from, geom) VALUES ('NEW', 'park', '2025-02-01', "
        "ST_MakeEnvelope(116, 36.1, 116.002, 36.101, 4490))",
    ):
        with conn, conn.cursor() as cur:
            cur.execute(at + change)
    conn.close()
    env = os.environ | {
        "GEOCLOUD_HOME": str(settings.home),
        "GEOCLOUD_DATABASE_PORT": str(settings.database_port),
        "GEOCLOUD_MIN_FREE_DISK_MB": "64",
        "GEOCLOUD_LANGUAGE": "en",
    }

    def call(*args: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "geocloud.cli", "changes", *args]
        done = subprocess.run(command, env=env | more, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    yield call
    cluster.stop(settings)


def test_a_table_of_counts_and_areas(run: Run) -> None:
    said = run(*SPAN).stdout
    lines = {line.split()[1]: line.split() for line in said.splitlines() if line.strip()}
    assert [lines[k][2] for k in ("added", "removed", "moved", "reshaped")] == ["1", "3", "2", "1"]
    assert "features: 20 → 18" in said
    assert "fields: Use 4, Floors 4" in said
    zh = run(*SPAN, GEOCLOUD_LANGUAGE="zh").stdout
    assert "新增" in zh and "要素总数:20 → 18" in zh and "公顷" in zh


def test_as_json_with_areas_on_the_ellipsoid(run: Run) -> None:
    found = json.loads(run(*SPAN, "--json").stdout)
    assert found["kinds"] == {"added": 1, "removed": 3, "moved": 2, "reshaped": 1, "attributes": 4}
    assert found["features"] == {"from": 20, "to": 18} and found["changed"] == 11
    new = areas([shapely.box(116, 36.1, 116.002, 36.101)])[0]
    assert found["area_m2"]["added"] == pytest.approx(new, rel=1e-9)
    assert json.loads(run("lab.parcel", "--from", "2021-01-01", "--to", "2022-01-01", "--json").stdout)["changed"] == 0
    learnt = json.loads(run("lab.parcel", "--from", "2000-01-01", "--by", "transaction", "--json").stdout)
    assert learnt["features"] == {"from": 0, "to": 18}
    narrowed = json.loads(run(*SPAN, "--filter", "use = 'town'", "--json").stdout)
    assert narrowed["changed"] == 4


@pytest.mark.parametrize("suffix", ["csv", "geojson", "gpkg"])
def test_files(run: Run, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"变化.{suffix}"
    path.write_text("what was there before")
    said = run(*SPAN, "--out", str(path)).stdout
    assert "11 changes written" in said
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if suffix == "csv":
        rows = list(csv.DictReader(path.open(encoding="utf-8-sig", newline="")))
        by_fid = {int(r["fid"]): r for r in rows}
        assert (by_fid[1]["use_was"], by_fid[1]["use_is"], by_fid[1]["floors_is"]) == ("farm", "town", "")
        kinds = {f: r["change_kinds"] for f, r in by_fid.items()}
    elif suffix == "geojson":
        frame = gpd.read_file(path)
        assert len(frame) == 11
        document = json.loads(path.read_text())
        kinds = {f["id"]: " ".join(f["properties"]["change_kinds"]) for f in document["features"]}
        assert all(f["geometry"]["coordinates"][0][0][0] > 100 for f in document["features"])
    else:
        frame = pyogrio.read_dataframe(path, layer="changes")
        assert frame.crs.to_epsg() == 4490 and len(frame) == 11
        kinds = dict(zip(frame["feature"], frame["change_kinds"], strict=True))
        row = frame.set_index("feature").loc[1]
        assert (row["use_was"], row["use_is"]) == ("farm", "town") and row["floors_is"] != row["floors_is"]
        assert frame.set_index("feature").loc[5, "change_moved_m"] == pytest.approx(1109.8, rel=1e-3)
    assert kinds == {
        1: "attributes", 2: "attributes", 3: "attributes", 4: "attributes", 5: "moved", 6: "moved", 7: "reshaped",
        8: "removed", 9: "removed", 10: "removed", 21: "added",
    }  # fmt: skip


def test_only_some_kinds_in_the_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "gone.csv"
    assert "3 changes written" in run(*SPAN, "--kind", "removed", "--out", str(path)).stdout


def test_what_cannot_be_asked(run: Run, tmp_path: Path) -> None:
    assert "lab.parcel" in run("lab.parcle", "--from", "2024-01-01", code=32).stderr
    assert "`from`" in run("lab.parcel", "--from", "yesterday", code=51).stderr
    assert "later" in run("lab.parcel", "--from", "2025-01-01", "--to", "2024-01-01", code=51).stderr
    run(*SPAN, "--out", str(tmp_path / "x.shp"), code=2)
