# SPDX-License-Identifier: Apache-2.0
"""The process `restamp`: by hand, and handed in by workers where stamps are behind."""

from __future__ import annotations

from pathlib import Path

import psycopg2
import pytest

from geocloud.errors import Forbidden, UnknownCollection
from geocloud.jobs.queue import Queue
from geocloud.jobs.run import open_run
from geocloud.sectors.registry import processes
from geocloud.settings import JobSettings
from tests.ingest.loading import settings
from tests.overlay.conftest import THINGS, Blocks


def test_one_layer_and_all(blocks: Blocks, tmp_path: Path) -> None:
    process = processes()["restamp"]
    fid = blocks.add("POINT(116.001 36.501)")
    told: list[str] = []
    with open_run(
        settings(tmp_path), blocks.urls.reader, writer_url=blocks.urls.writer,
        progress=lambda share, zh, en: told.append(f"{share:.2f} {en}"),
    ) as run:  # fmt: skip
        done = process.run(run, {"layer": THINGS}, frozenset({"summary"}))["summary"]
    assert [(r["layer"], r["how"], r["stamped"]) for r in done["layers"]] == [(THINGS, "whole", 1)]
    assert blocks.stamp(fid) and blocks.current() and told
    with open_run(settings(tmp_path), blocks.urls.reader, writer_url=blocks.urls.writer) as run:
        done = process.run(run, {}, frozenset({"summary"}))["summary"]
    assert {r["layer"] for r in done["layers"]} == {"base.county", "base.township", "base.village"}
    assert blocks.run("SELECT count(*) FROM geocloud.stamp_status WHERE NOT current") == [(0,)]


def test_what_it_refuses(blocks: Blocks, tmp_path: Path) -> None:
    process = processes()["restamp"]
    assert process.writes({}) == "*" and process.writes({"layer": THINGS}) == THINGS
    with (
        open_run(settings(tmp_path), blocks.urls.reader, writer_url=blocks.urls.writer) as run,
        pytest.raises(UnknownCollection),
    ):
        process.run(run, {"layer": "test.nothing"}, frozenset())
    with open_run(settings(tmp_path), blocks.urls.reader) as run, pytest.raises(Forbidden):
        process.run(run, {}, frozenset())


def test_workers_hand_it_in_when_it_is_due(blocks: Blocks) -> None:
    """Once, while it waits or has just ended; not when all is up to date, and not soon after a failure."""
    process = processes()["restamp"]
    conn = psycopg2.connect(blocks.urls.jobs)
    conn.autocommit = True
    queue = Queue(conn, JobSettings())
    for layer in ("base.county", "base.township", "base.village", THINGS):
        blocks.update(layer)
    queue.hand_in(process, 0)
    assert blocks.run("SELECT count(*) FROM geocloud.job") == [(0,)]
    blocks.add("POINT(116.001 36.501)")
    queue.hand_in(process, 0)
    queue.hand_in(process, 0)
    assert blocks.run("SELECT process, inputs, status FROM geocloud.job") == [("restamp", "{}", "accepted")]
    job = queue.claim("here", long=True)
    assert job is not None and job.process == "restamp"
    assert queue.succeed(job, [], None)
    queue.hand_in(process, 600)
    assert blocks.run("SELECT count(*) FROM geocloud.job") == [(1,)]
    queue.hand_in(process, 0)
    assert blocks.run("SELECT count(*) FROM geocloud.job") == [(2,)]
    blocks.run("UPDATE geocloud.job SET status = 'failed', finished = clock_timestamp() - interval '5 seconds'")
    queue.hand_in(process, 1)
    assert blocks.run("SELECT count(*) FROM geocloud.job") == [(2,)]
    conn.close()
