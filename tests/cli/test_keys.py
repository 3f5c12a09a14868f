# SPDX-License-Identifier: Apache-2.0
"""`geocloud keys`, run as an operator runs it: a key is shown once, kept as a hash, and ends when it is revoked."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest

from geocloud.db import cluster as _cluster
from geocloud.settings import DatabaseSettings

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(cluster: DatabaseSettings) -> Run:
    """Runs `geocloud keys …` on the test cluster's own database."""
    env = os.environ | {
        "GEOCLOUD_HOME": str(cluster.home),
        "GEOCLOUD_DATABASE_PORT": str(cluster.database_port),
        "GEOCLOUD_MIN_FREE_DISK_MB": "64",
        "GEOCLOUD_LANGUAGE": "en",
    }

    def call(*args: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "geocloud.cli", "keys", *args]
        done = subprocess.run(command, env=env | more, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


def stored(cluster: DatabaseSettings, name: str) -> list[tuple[Any, ...]]:
    conn = psycopg2.connect(_cluster.ensure(cluster, fsync=False).owner)
    with conn, conn.cursor() as cur:
        cur.execute("SELECT sha256, layers, needs_version, revoked_at FROM geocloud.edit_key WHERE name = %s", (name,))
        rows = cur.fetchall()
    conn.close()
    return rows


def test_key_is_printed_once_and_kept_as_a_hash(run: Run, cluster: DatabaseSettings) -> None:
    made = run("new", "wang")
    secret = made.stdout.strip()
    assert secret.startswith("gck_") and len(secret) > 40
    assert secret not in made.stderr and "GEOCLOUD_EDITING=true" in made.stderr
    ((digest, layers, needs_version, revoked),) = stored(cluster, "wang")
    assert bytes(digest) == hashlib.sha256(secret.encode()).digest()
    assert (layers, needs_version, revoked) == (["*"], True, None)
    listed = run("list")
    assert "wang" in listed.stdout and secret not in listed.stdout + listed.stderr
    assert "off" not in run("new", "zhao", GEOCLOUD_EDITING="true").stderr


def test_json_and_the_exemption_for_programs(run: Run, cluster: DatabaseSettings) -> None:
    made = json.loads(run("new", "qgis", "--without-if-match", "--json").stdout)
    assert made["name"] == "qgis" and made["needs_version"] is False
    assert stored(cluster, "qgis")[0][2] is False
    (entry,) = [k for k in json.loads(run("list", "--json").stdout) if k["name"] == "qgis"]
    assert set(entry) == {"name", "layers", "needs_version", "made_at", "revoked_at"}


def test_revoked_key_stays_listed_and_its_name_taken(run: Run, cluster: DatabaseSettings) -> None:
    run("new", "gone")
    run("revoke", "gone")
    assert stored(cluster, "gone")[0][3] is not None
    assert "revoked" in next(x for x in run("list").stdout.splitlines() if x.startswith("gone"))
    assert "No key" in run("revoke", "gone", code=30).stderr
    assert "already" in run("new", "gone", code=30).stderr


@pytest.mark.parametrize(
    "arguments",
    [("a b",), ("",), ("x" * 64,), ("n", "--layer", "no.such"), ("n", "--layer", "nothing.*"),
     ("n", "--layer", "'; DROP TABLE geocloud.edit_key; --")],
    ids=["blank", "empty", "long", "layer", "theme", "quote"],
)  # fmt: skip
def test_what_cannot_be_a_key_is_refused(run: Run, cluster: DatabaseSettings, arguments: tuple[str, ...]) -> None:
    run("new", *arguments, code=30)
    assert stored(cluster, arguments[0]) == []
