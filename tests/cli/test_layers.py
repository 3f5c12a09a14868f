# SPDX-License-Identifier: Apache-2.0
"""`geocloud layers` and `geocloud demo`, run as a person runs them, on a private cluster of their own folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from psycopg2 import sql

from geocloud.catalogue.spec import read_layers
from geocloud.db import cluster as _cluster
from geocloud.db.pool import connect
from geocloud.settings import DatabaseSettings

Run = Callable[..., subprocess.CompletedProcess[str]]
BRIDGE = "geometry: point", "geometry: polygon"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("definitions")


@pytest.fixture(scope="module")
def run(cluster: DatabaseSettings, folder: Path) -> Iterator[Run]:
    """Runs `geocloud …` with the definitions of `folder` on the test cluster's own database."""
    env = os.environ | {
        "GEOCLOUD_HOME": str(cluster.home),
        "GEOCLOUD_DATABASE_PORT": str(cluster.database_port),
        "GEOCLOUD_MIN_FREE_DISK_MB": "64",
        "GEOCLOUD_LAYERS_DIR": str(folder),
        "GEOCLOUD_LANGUAGE": "en",
    }

    def call(*args: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "geocloud.cli", *args], env=env | more, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    yield call
    for path in folder.glob("*/*.yaml"):
        path.unlink()
    (folder / "lab").mkdir(exist_ok=True)
    call("layers", "new", "lab.left")
    call("layers", "sync")


def said(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_new_writes_a_definition_that_is_right(run: Run, folder: Path) -> None:
    path = Path(run("layers", "new", "lab.bridge").stdout.strip())
    assert path == folder / "lab" / "bridge.yaml"
    raw = yaml.safe_load(path.read_text("utf-8"))
    schema = said(run("layers", "schema"))
    assert list(Draft202012Validator(schema).iter_errors(raw)) == []
    assert list(read_layers(folder)[0]) == ["lab.bridge"]
    assert path.read_text("utf-8").count("#") > 8, "the template explains its choices"


def test_new_does_not_overwrite(run: Run, folder: Path) -> None:
    path = folder / "lab" / "bridge.yaml"
    before = path.read_bytes()
    assert "exists already" in run("layers", "new", "lab.bridge", code=30).stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize("bad", ["bridge", "Lab.bridge", "lab.bridge.more", "../x.y", "history.x", "pg_toast.x"])
def test_new_refuses_an_id_that_cannot_be_one(run: Run, folder: Path, bad: str) -> None:
    run("layers", "new", bad, code=30)
    assert {p.name for p in folder.rglob("*.yaml")} == {"bridge.yaml"}


def test_plan_then_sync_then_nothing(run: Run) -> None:
    planned = said(run("layers", "sync", "--dry-run", "--json"))
    mine = [s["action"] for s in planned["steps"] if s["layer"] == "lab.bridge"]
    assert (planned["dry_run"], mine) == (True, ["create"])
    assert "lab.bridge" not in {x["id"] for x in said(run("layers", "list", "--json"))}
    table = run("layers", "sync").stdout
    assert any("lab.bridge" in line and "create" in line for line in table.splitlines())
    listed = {x["id"]: x for x in said(run("layers", "list", "--json"))}
    assert listed["lab.bridge"]["rows"] == 0
    assert "Nothing to do" in run("layers", "sync").stdout
    assert said(run("layers", "sync", "--json"))["steps"] == []


def test_refusal_is_shown_and_changes_nothing(run: Run, folder: Path) -> None:
    path = folder / "lab" / "bridge.yaml"
    good = path.read_text("utf-8")
    path.write_text(good.replace(*BRIDGE), "utf-8")
    try:
        for arguments in (("--dry-run",), ()):
            done = run("layers", "sync", *arguments, code=31)
            assert "would lose or invent shapes" in " ".join(done.stdout.split())
            told = said(run("layers", "sync", *arguments, "--json", code=31))
            assert [s["action"] for s in told["context"]["steps"]] == ["refused", "update"]
        assert "图层定义要求的更改会丢失数据" in run("layers", "sync", code=31, GEOCLOUD_LANGUAGE="zh").stderr
    finally:
        path.write_text(good, "utf-8")
    assert said(run("layers", "sync", "--json"))["steps"] == []


def test_show(run: Run) -> None:
    shown = said(run("layers", "show", "lab.bridge", "--json"))
    assert [f["name"] for f in shown["definition"]["fields"]] == ["code", "name", "area_m2"]
    text = run("layers", "show", "lab.bridge", GEOCLOUD_LANGUAGE="zh", COLUMNS="200").stdout
    assert "图层名称" in text
    assert "编号, BM" in text
    wrong = run("layers", "show", "lab.brigde", code=32).stderr
    assert "Did you mean lab.bridge?" in wrong


def test_a_wrong_file_is_named(run: Run, folder: Path) -> None:
    path = folder / "lab" / "wrong.yaml"
    path.write_text("id: lab.wrong\ntitle: [", "utf-8")
    try:
        assert str(path) in run("layers", "sync", code=30).stderr
    finally:
        path.unlink()


def _empty(cluster: DatabaseSettings) -> None:
    """Takes away what other tests have left in the layers of this database."""
    with connect(_cluster.ensure(cluster, fsync=False).owner, application_name="test") as conn, conn.cursor() as cur:
        cur.execute(
            "SELECT l.id FROM geocloud.layer l JOIN geocloud.layer_state s ON s.layer = l.id WHERE s.row_count > 0"
        )
        for (layer,) in cur.fetchall():
            theme, name = layer.split(".")
            cur.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(theme, name)))


def test_demo_fills_and_clears(run: Run, folder: Path, cluster: DatabaseSettings) -> None:
    layers = Path(__file__).resolve().parents[2] / "layers"
    env = {"GEOCLOUD_LAYERS_DIR": str(layers)}
    run("layers", "sync", **env)
    _empty(cluster)
    first = said(run("demo", "--size", "small", "--json", **env))
    rows = {x["layer"]: x["rows"] for x in first["layers"]}
    assert {x["outcome"] for x in first["layers"]} == {"loaded"}
    assert (rows["base.county"], rows["base.township"], rows["facility.component"]) == (8, 136, 1500)
    listed = {x["id"]: x for x in said(run("layers", "list", "--json", **env))}
    assert listed["base.county"]["title"]["zh"].endswith("(示例数据)")
    assert all(listed[i]["rows"] == n and listed[i]["synthetic"] for i, n in rows.items())
    again = said(run("demo", "--json", **env))
    assert {x["outcome"] for x in again["layers"]} == {"unchanged"}
    removed = said(run("demo", "clear", "--json", **env))["removed"]
    assert removed == rows
    assert not any(x["synthetic"] or x["rows"] for x in said(run("layers", "list", "--json", **env)))
    assert "no synthetic rows" in run("demo", "clear", **env).stdout
