# SPDX-License-Identifier: Apache-2.0
"""The queue of jobs as its workers see it: claim, tell, end, each one statement that a dead worker cannot half do.

Every change names the attempt it belongs to, so that what a worker taken for dead still says changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg2.extensions
import psycopg2.extras

from geocloud.errors import GeocloudError, JobFailed
from geocloud.jobs.job import CHANNEL, COLUMNS, Job, problem_of
from geocloud.jobs.model import Process
from geocloud.settings import JobSettings

__all__ = ["Queue"]

Row = tuple[str, str, str | None, bytes]
"""Output, media type, file name, bytes."""


class Queue:
    """On an autocommit connection of the jobs role."""

    def __init__(self, conn: psycopg2.extensions.connection, settings: JobSettings) -> None:
        self.conn, self.settings = conn, settings

    def listen(self) -> None:
        """Hears of jobs from now on, and does not wait for the disk: a claim or a beat that is lost with the machine
        leaves a job that is claimed again, while its end, on another connection, is on the disk with all before it."""
        with self.conn.cursor() as cur:
            cur.execute(f"LISTEN {CHANNEL}; SET synchronous_commit = off")

    def claim(self, worker: str, *, long: bool) -> Job | None:
        """The job that has waited longest, now running; one that may take minutes only where `long`."""
        rows = self._run(
            "UPDATE geocloud.job SET status = 'running', attempt = attempt + 1, worker = %s, progress = 0, "
            "started = clock_timestamp(), updated = clock_timestamp(), beat = clock_timestamp() "
            "WHERE id = (SELECT id FROM geocloud.job WHERE status = 'accepted' AND (%s OR NOT long) "
            f"ORDER BY created FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING {COLUMNS}",
            (worker, long),
        )
        return Job(*rows[0]) if rows else None

    def beat(self, job: Job) -> bool:
        """Says that its worker is alive; False when the job is no longer this worker's."""
        return bool(
            self._run("UPDATE geocloud.job SET beat = clock_timestamp() WHERE " + _MINE + " RETURNING 1", _whose(job))
        )

    def tell(self, job: Job, share: float, zh: str, en: str) -> None:
        """How far it is, from 0 to 1, and what it is at."""
        self._run(
            "UPDATE geocloud.job SET progress = greatest(progress, %s), message_zh = %s, message_en = %s, "
            "updated = clock_timestamp() WHERE " + _MINE,
            (min(max(share, 0.0), 1.0), zh, en, *_whose(job)),
        )

    def succeed(self, job: Job, results: Iterable[Row], fingerprint: str | None) -> bool:
        """Keeps the results and ends the job in one transaction; False, and nothing kept, when it is not ours."""
        with self.conn.cursor() as cur:
            cur.execute("BEGIN")
            try:
                cur.execute(
                    "UPDATE geocloud.job SET status = 'successful', progress = 1, finished = clock_timestamp(), "
                    "updated = clock_timestamp(), message_zh = NULL, message_en = NULL, fingerprint = %s WHERE "
                    + _MINE,
                    (fingerprint, *_whose(job)),
                )
                if not cur.rowcount:
                    cur.execute("ROLLBACK")
                    return False
                psycopg2.extras.execute_values(
                    cur, "INSERT INTO geocloud.job_result (job, output, media_type, name, data) VALUES %s",
                    [(job.id, output, kind, name, psycopg2.Binary(data)) for output, kind, name, data in results],
                    page_size=1,
                )  # fmt: skip
                cur.execute("COMMIT")
            except BaseException:
                if not self.conn.closed:
                    cur.execute("ROLLBACK")
                raise
        return True

    def fail(self, job: Job, error: GeocloudError) -> None:
        self._run(
            "UPDATE geocloud.job SET status = 'failed', finished = clock_timestamp(), updated = clock_timestamp(), "
            "problem = %s WHERE " + _MINE,
            (problem_of(error), *_whose(job)),
        )

    def reclaim(self) -> None:
        """Puts the jobs of dead workers back; one that has been begun too often has failed."""
        stale = "status = 'running' AND beat < clock_timestamp() - make_interval(secs => %s)"
        self._run(
            "UPDATE geocloud.job SET status = 'failed', finished = clock_timestamp(), updated = clock_timestamp(), "
            f"problem = %s WHERE {stale} AND attempt >= %s",
            (problem_of(_given_up()), self.settings.job_stale_s, self.settings.job_attempts_max),
        )
        self._run(
            "UPDATE geocloud.job SET status = 'accepted', progress = 0, message_zh = NULL, message_en = NULL, "
            f"worker = NULL, updated = clock_timestamp() WHERE {stale}",
            (self.settings.job_stale_s,),
        )

    def hand_in(self, process: Process, again_s: float) -> None:
        """Hands a process in that is due by itself, unless it waits, runs or has ended within `again_s` seconds.

        One that has failed is not tried again for ten times as long.
        """
        self._run(
            "INSERT INTO geocloud.job (process, inputs, outputs, response, language, long) "
            f"SELECT %(process)s, '{{}}', %(outputs)s, 'document', 'zh', %(long)s WHERE ({process.due}) "
            "AND NOT EXISTS (SELECT FROM geocloud.job WHERE process = %(process)s "
            "AND (status IN ('accepted', 'running') OR finished > clock_timestamp() - "
            "make_interval(secs => %(again)s * "
            "CASE status WHEN 'failed' THEN 10 ELSE 1 END)))",
            {
                "process": process.id, "outputs": [o.name for o in process.outputs], "long": process.long,
                "again": again_s,
            },
        )  # fmt: skip

    def purge(self) -> None:
        """Takes away what ended longer ago than jobs are kept."""
        self._run(
            "DELETE FROM geocloud.job WHERE finished < clock_timestamp() - make_interval(days => %s)",
            (self.settings.job_keep_days,),
        )

    def _run(self, sql: str, values: tuple[Any, ...] | dict[str, Any]) -> list[tuple[Any, ...]]:
        with self.conn.cursor() as cur:
            cur.execute(sql, values)
            return cur.fetchall() if cur.description else []


_MINE = "id = %s AND attempt = %s AND status = 'running'"


def _whose(job: Job) -> tuple[str, int]:
    return job.id, job.attempt


def _given_up() -> JobFailed:
    return JobFailed(
        "The job's worker ended each time it was begun.", "每次开始后工作进程都意外结束。",
        todo_en="Ask for less at a time; the operator finds the cause in the server's log.",
        todo_zh="请缩小范围后重试;管理员可在服务日志中查看原因。",
    )  # fmt: skip
