# SPDX-License-Identifier: Apache-2.0
"""The queue of jobs as those see it who ask: hand in, wait, read, call off; on asyncpg."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from geocloud.db.pool import jobs_pool
from geocloud.errors import JobDismissed, JobTakesLong, Language, QueueFull, UnknownJob
from geocloud.jobs.inputs import Execution
from geocloud.jobs.job import CHANNEL, COLUMNS, Job, read_problem
from geocloud.jobs.model import Process
from geocloud.settings import DatabaseSettings, JobSettings

__all__ = ["Desk", "Kept"]


@dataclass(frozen=True, slots=True)
class Kept:
    """One result of a job."""

    output: str
    media_type: str
    name: str | None
    data: bytes


class Desk:
    """Connects when first used, as the jobs role."""

    def __init__(self, url: str, database: DatabaseSettings, settings: JobSettings) -> None:
        self._url, self._database, self._settings = url, database, settings
        self._pool: asyncpg.Pool[Any] | None = None
        self._opening = asyncio.Lock()
        self._listener: asyncpg.Connection[Any] | None = None
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    async def submit(self, process: Process, execution: Execution, language: Language, by: str | None) -> str:
        """Hands a job in and returns its id; QueueFull when too many wait."""
        found = await self._fetch(
            "INSERT INTO geocloud.job (process, inputs, outputs, response, language, long, by) "
            "SELECT $1, $2, $3, $4, $5, $6, $7 "
            "WHERE (SELECT count(*) FROM geocloud.job WHERE status = 'accepted') < $8 RETURNING id::text",
            process.id, orjson.dumps(execution.inputs).decode(), list(execution.outputs), execution.response, language,
            process.long, by, self._settings.jobs_waiting_max,
        )  # fmt: skip
        if not found:
            raise QueueFull(
                f"{self._settings.jobs_waiting_max} jobs wait already.",
                f"已有 {self._settings.jobs_waiting_max} 个作业在排队。",
                todo_en="Try again in a little while.", todo_zh="请稍后重试。", limit=self._settings.jobs_waiting_max,
            )  # fmt: skip
        return str(found[0][0])

    async def job(self, job_id: str) -> Job:
        """The job as it is; UnknownJob where there is none."""
        rows = await self._fetch(f"SELECT {COLUMNS} FROM geocloud.job WHERE id = $1", _uuid(job_id))
        if not rows:
            raise _no_job(job_id)
        return Job(*rows[0])

    async def jobs(self, limit: int, process: str | None = None, status: str | None = None) -> list[Job]:
        """The newest jobs first."""
        rows = await self._fetch(
            f"SELECT {COLUMNS} FROM geocloud.job WHERE ($2::text IS NULL OR process = $2) "
            "AND ($3::text IS NULL OR status = $3) ORDER BY created DESC, id LIMIT $1",
            limit, process, status,
        )  # fmt: skip
        return [Job(*r) for r in rows]

    async def ended(self, job_id: str, within_s: float) -> Job:
        """The job once it has ended; JobTakesLong after `within_s` seconds."""
        async with self._told(job_id) as told:
            until = asyncio.get_running_loop().time() + within_s
            while True:
                told.clear()
                job = await self.job(job_id)
                if job.ended:
                    return job
                left = until - asyncio.get_running_loop().time()
                if left <= 0:
                    raise JobTakesLong(
                        f"The process has not ended within {within_s:g} s; it goes on.",
                        f"处理未在 {within_s:g} 秒内结束,仍在继续。",
                        todo_en=f"Look at /jobs/{job_id}; `Prefer: respond-async` does not wait at all.",
                        todo_zh=f"请查看 /jobs/{job_id};使用 Prefer: respond-async 则不必等待。",
                        job=job_id,
                    )
                # Notices can be missed while a connection is made anew.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(told.wait(), min(left, 1.0))

    async def results(self, job: Job) -> list[Kept]:
        """What it answered, in the order asked for; raises what it failed with, or UnknownJob when it has not ended."""
        if job.problem is not None:
            raise read_problem(job.problem)
        if job.status == "dismissed":
            raise JobDismissed(
                "The job was called off; it has no results.", "作业已取消,没有结果。",
                todo_en="Run the process again.", todo_zh="请重新运行该处理。",
            )  # fmt: skip
        if job.status != "successful":
            raise UnknownJob(
                f"The job has no results yet: it is {job.status}.", f"作业尚无结果:状态为 {job.status}。",
                todo_en=f"Look at /jobs/{job.id} until it has ended.", todo_zh=f"请查看 /jobs/{job.id},待其结束。",
                status_of_job=job.status,
            )  # fmt: skip
        rows = await self._fetch(
            "SELECT output, media_type, name, data FROM geocloud.job_result WHERE job = $1 "
            "ORDER BY array_position($2::text[], output)",
            _uuid(job.id), job.outputs,
        )  # fmt: skip
        return [Kept(*r) for r in rows]

    async def reported(self, fingerprint: str) -> Job:
        """The newest job whose answer has this fingerprint; UnknownJob where none is kept."""
        rows = await self._fetch(
            f"SELECT {COLUMNS} FROM geocloud.job WHERE fingerprint = $1 ORDER BY finished DESC LIMIT 1", fingerprint
        )
        if not rows:
            raise UnknownJob(
                f"No report with the fingerprint {fingerprint[:64]} is kept here.",
                f"此处没有指纹为 {fingerprint[:64]} 的报告。",
                todo_en=f"Reports are kept for {self._settings.job_keep_days} days; run the check again.",
                todo_zh=f"报告保留 {self._settings.job_keep_days} 天;请重新检查。",
            )  # fmt: skip
        return Job(*rows[0])

    async def dismiss(self, job_id: str) -> Job:
        """Calls a job off, whether it waits or runs; one that has ended is taken away with its results."""
        rows = await self._fetch(
            "UPDATE geocloud.job SET status = 'dismissed', finished = clock_timestamp(), updated = clock_timestamp() "
            f"WHERE id = $1 AND status IN ('accepted', 'running') RETURNING {COLUMNS}",
            _uuid(job_id),
        )
        if not rows:
            rows = await self._fetch(f"DELETE FROM geocloud.job WHERE id = $1 RETURNING {COLUMNS}", _uuid(job_id))
        if not rows:
            raise _no_job(job_id)
        return Job(*rows[0])

    async def _fetch(self, sql: str, *values: Any) -> list[Any]:
        async with (await self._open()).acquire() as conn:
            found: list[Any] = await conn.fetch(sql, *values)
            return found

    async def _open(self) -> asyncpg.Pool[Any]:
        async with self._opening:
            if self._pool is None:
                self._pool = await jobs_pool(self._url, self._database)
            return self._pool

    @contextlib.asynccontextmanager
    async def _told(self, job_id: str) -> AsyncIterator[asyncio.Event]:
        event = asyncio.Event()
        self._waiting[job_id].add(event)
        try:
            await self._listen()
            yield event
        finally:
            self._waiting[job_id].discard(event)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def _listen(self) -> None:
        pool = await self._open()
        async with self._opening:
            if self._listener is None or self._listener.is_closed():
                self._listener = await pool.acquire()
                await self._listener.add_listener(CHANNEL, self._hear)

    def _hear(self, _conn: Any, _pid: int, _channel: str, payload: Any) -> None:
        status, _, job_id = str(payload).partition(" ")
        if status not in ("accepted", "running"):
            for event in self._waiting.get(job_id, ()):
                event.set()


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _no_job(text) from None


def _no_job(job_id: str) -> UnknownJob:
    return UnknownJob(
        f"There is no job {job_id[:40]}.", f"没有作业 {job_id[:40]}。",
        todo_en="Jobs are kept for a time only; run the process again.",
        todo_zh="作业只保留一段时间;请重新运行该处理。",
    )  # fmt: skip
