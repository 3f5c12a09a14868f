# SPDX-License-Identifier: Apache-2.0
"""A load killed at any moment leaves the layer as before or as after, and nothing in the way of the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from geocloud.db.cluster import Urls
from geocloud.errors import DatabaseError, LoadConflict
from geocloud.ingest.files import load_file
from geocloud.ingest.load import LoadOptions
from tests.ingest.killed import MOMENTS
from tests.ingest.loading import ask, fingerprint, load, publish, settings, spec, structure, write

ROOT = Path(__file__).resolve().parents[2]


def grid(rows: int, step: float = 0.001) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for k in range(rows):
        at = (115.5 + (k % 900) * step, 36.0 + (k // 900) * step)
        out.append({"code": f"{k:06}", "name": "井盖", "state": "good", "height": k % 90, "at": at})
    # One row is rejected, so that a quarantine file is under way when the process dies.
    return [*out, {"code": "bad", "name": "井盖", "state": "good", "height": -1, "at": (116.0, 36.5)}]


@pytest.mark.parametrize("way", ["direct", "staged"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_first_load(urls: Urls, tmp_path: Path, moment: str, way: str) -> None:
    name = f"k_{moment}_{way}".replace("-", "_")
    layer = publish(urls.owner, spec(name))[f"facility.{name}"]
    shape = structure(urls.owner, layer)
    path = write(tmp_path / "a.gpkg", grid(5_000))
    kill(urls, path, layer.id, tmp_path, moment, 0 if way == "direct" else 10**9)
    rows = ask(urls.owner, f"SELECT count(*), count(DISTINCT code) FROM {layer.table}")
    state = ask(urls.owner, "SELECT version, row_count FROM geocloud.layer_state WHERE layer = %s", layer.id)
    after = moment == "after-commit"
    assert rows == ([(5_000, 5_000)] if after else [(0, 0)])
    assert state == ([(2, 5_000)] if after else [(1, 0)])
    assert structure(urls.owner, layer) == shape

    result = load(urls.owner, path, layer, tmp_path, ingest={"direct_rows": 0 if way == "direct" else 10**9})
    assert (result.new, result.unchanged) == ((0, 5_000) if after else (5_000, 0))
    assert structure(urls.owner, layer) == shape
    assert ask(urls.owner, "SELECT count(*) FROM geocloud.load WHERE layer = %s", layer.id) == [(2 if after else 1,)]
    leftovers = ask(urls.owner, "SELECT count(*) FROM pg_class WHERE relname LIKE 'geocloud\\_%%'")
    assert leftovers == [(0,)]


@pytest.mark.parametrize("moment", ["last-batch", "after-writes", "after-commit"])
def test_killed_update(urls: Urls, tmp_path: Path, moment: str) -> None:
    name = f"u_{moment}".replace("-", "_")
    layer = publish(urls.owner, spec(name))[f"facility.{name}"]
    first = grid(3_000)
    load(urls.owner, write(tmp_path / "a.gpkg", first), layer, tmp_path)
    before = fingerprint(urls.owner, layer)
    second = [r | {"name": "路灯"} if k % 3 else r for k, r in enumerate(first) if k % 10]
    path = write(tmp_path / "b.gpkg", second)
    kill(urls, path, layer.id, tmp_path, moment, 0)
    if moment == "after-commit":
        counted = ask(urls.owner, f"SELECT count(*), count(*) FILTER (WHERE name = '路灯') FROM {layer.table}")
        assert counted == [(2_700, sum(r["name"] == "路灯" for r in second))]
    else:
        assert fingerprint(urls.owner, layer) == before
    result = load(urls.owner, path, layer, tmp_path, full=True)
    assert result.unchanged == 2_700 if moment == "after-commit" else result.retired == 300
    assert load(urls.owner, path, layer, tmp_path, full=True).unchanged == 2_700


def test_one_load_of_a_layer_at_a_time(urls: Urls, tmp_path: Path) -> None:
    made = publish(urls.owner, spec("busy"), spec("idle"))
    path = write(tmp_path / "a.gpkg", grid(2_000))
    inside, go_on = threading.Event(), threading.Event()

    def progress(stage: str, *_: Any) -> None:
        inside.set()
        assert go_on.wait(60)

    def first() -> None:
        load_file(
            urls.owner, path, made["facility.busy"], settings=settings(tmp_path, batch_rows=500),
            options=LoadOptions(), progress=progress,
        )  # fmt: skip

    running = threading.Thread(target=first)
    running.start()
    try:
        assert inside.wait(60)
        with pytest.raises(LoadConflict) as caught:
            load(urls.owner, path, made["facility.busy"], tmp_path)
        assert caught.value.exit_code == 44
        assert load(urls.owner, path, made["facility.idle"], tmp_path).new == 2_000
    finally:
        go_on.set()
        running.join(60)
    assert load(urls.owner, path, made["facility.busy"], tmp_path).unchanged == 2_000


def test_lost_connection_is_one_sentence(urls: Urls, cluster: Any, tmp_path: Path) -> None:
    layer = publish(urls.owner, spec("cut"))["facility.cut"]
    path = write(tmp_path / "a.gpkg", grid(3_000))

    def progress(stage: str, *_: Any) -> None:
        ask(
            urls.owner,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            "geocloud load facility.cut",
        )

    with pytest.raises(DatabaseError) as caught:
        load_file(
            urls.owner, path, layer, settings=settings(tmp_path, batch_rows=500), options=LoadOptions(),
            progress=progress,
        )  # fmt: skip
    assert "connection" in caught.value.en and "连接" in caught.value.zh
    assert load(urls.owner, path, layer, tmp_path).new == 3_000


def kill(urls: Urls, path: Path, layer_id: str, home: Path, moment: str, direct_rows: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.ingest.killed", urls.owner, str(path), layer_id, str(home), moment,
         str(direct_rows)],
        cwd=ROOT, capture_output=True, timeout=120, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
