# SPDX-License-Identifier: Apache-2.0
"""A server with workers over the demo's plans, for the tests of processes in notebooks."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg2

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.jobs.worker import Links, supervise
from geocloud.sectors import registry
from tests.jobs.conftest import settings_of, stop_workers
from tests.jobs.trials import trials
from tests.notebooks.conftest import LOADED, ROOT
from tests.web.conftest import run_server


def every() -> dict[str, object]:
    """Processes of the house and those made for tests."""
    return {**registry.processes(), **trials()}


def outside(folder: Path) -> str:
    """A PYTHONPATH on which an installed package names the processes made for tests."""
    about = folder / "trial_sector-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: trial-sector\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[geocloud.sectors]\ntrial = tests.jobs.trials\n")
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def plans_server(urls: Urls, home: Path, path: str | None = None) -> Iterator[str]:
    """Address of a server of the small demo's plans, base map and components, with two workers."""
    conn = psycopg2.connect(urls.owner)
    layers, codes = read_layers(ROOT / "layers")
    sync(conn, layers, codes)
    conn.close()
    plans = [i for i in layers if i.startswith("planning.")]
    demo.load(urls.owner, "small", layers=[*plans, *LOADED])
    spawn = multiprocessing.get_context("spawn")
    links = Links(urls.jobs, urls.reader, urls.writer)
    workers = spawn.Process(target=supervise, args=(settings_of(job_memory_mb=2048), links, every), daemon=False)
    workers.start()
    settings = {"GEOCLOUD_WORKERS": "1", "GEOCLOUD_EDITING": "true", **({"PYTHONPATH": path} if path else {})}
    try:
        yield from run_server(urls.reader, home, urls.writer, urls.jobs, **settings)
    finally:
        stop_workers(workers)
