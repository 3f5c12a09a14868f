# SPDX-License-Identifier: Apache-2.0
"""A queue with real workers over a migrated database."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import psycopg2
import pytest

from geocloud.db.cluster import Urls
from geocloud.jobs.desk import Desk
from geocloud.jobs.inputs import read_execution
from geocloud.jobs.job import Job
from geocloud.jobs.worker import Links, supervise
from geocloud.settings import JobSettings, Settings
from geocloud.web.server import configure_log
from tests.jobs.trials import trials

_T = TypeVar("_T")


def settings_of(**changed: Any) -> Settings:
    jobs = JobSettings(**({"job_stale_s": 3, "job_memory_mb": 1024} | changed))
    return Settings().model_copy(update={"jobs": jobs})


class Office:
    """Hands jobs in and waits for them, without HTTP."""

    def __init__(self, urls: Urls, settings: Settings) -> None:
        self.urls, self.settings = urls, settings

    def ask(self, question: Callable[[Desk], Awaitable[_T]]) -> _T:
        async def run() -> _T:
            desk = Desk(self.urls.jobs, self.settings.database, self.settings.jobs)
            try:
                return await question(desk)
            finally:
                await desk.close()

        return asyncio.run(run())

    def submit(self, process: str, **inputs: Any) -> str:
        one = trials()[process]
        return self.ask(lambda desk: desk.submit(one, read_execution(one, {"inputs": inputs}), "en", None))

    def ended(self, job: str, within_s: float = 30) -> Job:
        return self.ask(lambda desk: desk.ended(job, within_s))

    def job(self, job: str) -> Job:
        return self.ask(lambda desk: desk.job(job))

    def until(self, job: str, test: Callable[[Job], bool], within_s: float = 20) -> Job:
        end = time.monotonic() + within_s
        while True:
            found = self.job(job)
            if test(found):
                return found
            assert time.monotonic() < end, found
            time.sleep(0.05)

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        conn = psycopg2.connect(self.urls.owner)
        with conn, conn.cursor() as cur:
            cur.execute(text, values)
            rows = cur.fetchall() if cur.description else []
        conn.close()
        return rows


def _work(settings: Settings, links: Links) -> None:
    configure_log()
    supervise(settings, links, trials)


def start_workers(urls: Urls, settings: Settings) -> Any:
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_work, args=(settings, Links(urls.jobs, urls.reader, urls.writer)), daemon=False)
    process.start()
    return process


def stop_workers(process: Any) -> None:
    if process.is_alive():
        os.kill(process.pid, signal.SIGTERM)
    process.join(20)
    assert not process.is_alive()


@pytest.fixture(scope="module")
def office(urls: Urls) -> Iterator[Office]:
    """Two workers, the second of which takes long jobs too."""
    settings = settings_of()
    process = start_workers(urls, settings)
    yield Office(urls, settings)
    stop_workers(process)
