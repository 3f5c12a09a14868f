# SPDX-License-Identifier: Apache-2.0
"""`geocloud restore`, run as an operator runs it: rehearsed, carried out, refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.db import cluster as _cluster
from geocloud.settings import DatabaseSettings
from tests.catalogue.test_time import layer

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(cluster: DatabaseSettings) -> Run:
    env = os.environ | {
        "GEOCLOUD_HOME": str(cluster.home),
        "GEOCLOUD_DATABASE_PORT": str(cluster.database_port),
        "GEOCLOUD_MIN_FREE_DISK_MB": "64",
        "GEOCLOUD_LANGUAGE": "en",
    }

    def call(*args: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "geocloud.cli", "restore", *args]
        done = subprocess.run(command, env=env | more, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


@pytest.fixture
def sql(cluster: DatabaseSettings, run: Run) -> Any:
    """Runs SQL on the cluster's own database, which has the layer `lab.back`."""
    run("lab.none", "--asof", "2020-01-01", "--all", code=32)
    conn = psycopg2.connect(_cluster.ensure(cluster, fsync=False).owner)
    spec = layer("back")
    sync(conn, {spec.id: spec}, {})

    def ask(statement: str) -> list[Any]:
        with conn, conn.cursor() as cur:
            cur.execute(statement)
            return cur.fetchall() if cur.description else []

    yield ask
    conn.close()


def test_a_layer_goes_back(run: Run, sql: Any) -> None:
    sql("INSERT INTO lab.back (code, v) VALUES ('a', '1'), ('b', '1'), ('c', '1')")
    ((moment,),) = sql("SELECT stamp::text FROM geocloud.layer_state WHERE layer = 'lab.back'")
    moment = moment.replace(" ", "T") + ":00"
    sql("UPDATE lab.back SET v = '2' WHERE code <> 'c'")
    sql("DELETE FROM lab.back WHERE code = 'c'")
    rehearsed = json.loads(run("lab.back", "--asof", moment, "--all", "--dry-run", "--json").stdout)
    assert {k: rehearsed[k] for k in ("ended", "changed", "returned", "dry_run")} == {
        "ended": 0, "changed": 2, "returned": 1, "dry_run": True,
    }  # fmt: skip
    assert sql("SELECT count(*) FROM lab.back WHERE v = '2'") == [(2,)]
    done = run("lab.back", "--asof", moment, "--filter", "code = 'a'")
    assert "1 changed back" in done.stdout
    assert sql("SELECT code, v FROM lab.back ORDER BY 1") == [("a", "1"), ("b", "2")]
    zh = run("lab.back", "--asof", moment, "--all", GEOCLOUD_LANGUAGE="zh")
    assert "找回 1" in zh.stdout
    assert sql("SELECT code, v FROM lab.back ORDER BY 1") == [("a", "1"), ("b", "1"), ("c", "1")]
    ((who,),) = sql("SELECT by_name FROM geocloud.change_log WHERE layer = 'lab.back' ORDER BY id DESC LIMIT 1")
    assert who


@pytest.mark.parametrize(
    ("args", "code"),
    [(["--asof", "2020-01-01"], 2), (["--asof", "2020-01-01", "--all", "--fid", "1"], 2), (["--asof", "once"], 2),
     (["--asof", "once", "--all"], 51), (["--asof", "2999-01-01T00:00:00Z", "--all"], 51)],
)  # fmt: skip
def test_what_cannot_be_asked(run: Run, sql: Any, args: list[str], code: int) -> None:
    before = sql("SELECT version FROM geocloud.layer_state WHERE layer = 'lab.back'")
    run("lab.back", *args, code=code)
    assert sql("SELECT version FROM geocloud.layer_state WHERE layer = 'lab.back'") == before
