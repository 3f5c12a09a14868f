# SPDX-License-Identifier: Apache-2.0
"""`geocloud worker`: works on jobs of the queue; `up` and `serve` start it by themselves."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from geocloud.cli.common import pick
from geocloud.cli.serving import ends_on_signals
from geocloud.settings import Settings

__all__ = ["beside", "command"]

# Told to the worker that a server starts: it ends with it.
_BESIDE = "GEOCLOUD_WORKER_BESIDE"
_AGAIN_S = 1.0
_STOP_WITHIN_S = 5


def command() -> None:
    """Work on jobs of the queue until told to stop; for more machines on one database.

    `geocloud up` and `geocloud serve` start workers of their own (GEOCLOUD_JOB_WORKERS).
    """
    from geocloud.cli.serving import die_with_parent
    from geocloud.db.cluster import session
    from geocloud.jobs.worker import Links, supervise
    from geocloud.sectors.registry import processes
    from geocloud.web.server import configure_log

    parent = os.environ.get(_BESIDE)
    if parent is not None:
        die_with_parent()
        if str(os.getppid()) != parent:
            return
    settings = Settings.read()
    configure_log()
    with ends_on_signals(), session(settings.database, None) as urls:
        supervise(settings, Links(urls.jobs, urls.reader, urls.writer), processes)


@contextmanager
def beside(settings: Settings) -> Iterator[None]:
    """Workers beside a server for the time of the block, started again should they end."""
    if settings.jobs.job_workers == 0:
        yield
        return
    leaving = threading.Event()
    running: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        while not leaving.is_set():
            child = subprocess.Popen(  # noqa: S603  this very program
                [sys.executable, "-m", "geocloud.cli", "worker"],
                stdin=subprocess.DEVNULL,
                env=os.environ | {_BESIDE: str(os.getpid())},
            )
            running[:] = [child]
            child.wait()
            if not leaving.is_set():
                print(
                    pick("The job workers ended and are started again.", "作业进程已结束,正在重新启动。"),
                    file=sys.stderr,
                )
                time.sleep(_AGAIN_S)

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        for child in running:
            child.terminate()
            try:
                child.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                child.kill()
