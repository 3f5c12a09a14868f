# SPDX-License-Identifier: Apache-2.0
"""What a child of a worker does: jobs, one after another, until one ends it."""

from __future__ import annotations

import contextlib
import resource
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

import orjson
import psycopg2
import structlog

from geocloud.db.pool import connect, is_infrastructure, translate
from geocloud.errors import DatabaseError, GeocloudError, JobFailed, UnknownProcess
from geocloud.jobs.job import Job
from geocloud.jobs.model import Blob, Process
from geocloud.jobs.queue import Queue, Row
from geocloud.jobs.run import open_reader, run_process, warm_catalogue
from geocloud.settings import Settings

__all__ = ["BEGUN", "DONE", "Links", "Processes", "do_jobs"]

log = structlog.get_logger(__name__)

BEGUN, DONE = "begun", "done"
"""What a child says of a job: it has it, so that nobody else may; it has done it and takes another."""
_TELL_EVERY_S = 0.2
# A child ends after so many jobs, or when one has made it so much larger.
_JOBS_A_CHILD, _LEFT_KB = 200, 128 << 10

Processes = Callable[[], Mapping[str, Process]]


@dataclass(frozen=True)
class Links:
    """URLs of the roles that workers use."""

    jobs: str
    reader: str
    writer: str


def do_jobs(settings: Settings, links: Links, processes: Processes, pipe: Connection, others: Connection) -> None:
    """Opens what jobs need, waits for them at `pipe` and does them one after another, telling BEGUN and DONE there.

    Returns when the child is to end. `others` is the worker's end of the pipe.
    """
    others.close()
    most = settings.jobs.job_memory_mb << 20
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    opened: tuple[psycopg2.extensions.connection, psycopg2.extensions.connection] | None = None
    with contextlib.ExitStack() as stack:
        # What goes wrong now may have mended itself when a job comes.
        with contextlib.suppress(GeocloudError, psycopg2.Error):
            opened = _open(stack, settings, links)
        before = _memory_kb()
        for _ in range(_JOBS_A_CHILD):
            try:
                job = pipe.recv()
                pipe.send(BEGUN)
            except (EOFError, BrokenPipeError):
                return
            if opened is None or not all(map(_answers, opened)):
                opened = _open(stack, settings, links)
                warm_catalogue(opened[1], anew=True)
                opened[1].rollback()
            done = _do(settings, links, processes, job, *opened)
            if not done or _is_long(processes, job) or _memory_kb() - before > _LEFT_KB:
                return
            opened[1].rollback()
            pipe.send(DONE)


def _is_long(processes: Processes, job: Job) -> bool:
    process = processes().get(job.process)
    return process is None or process.long


def _memory_kb() -> int:
    """The most that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _open(
    stack: contextlib.ExitStack, settings: Settings, links: Links
) -> tuple[psycopg2.extensions.connection, psycopg2.extensions.connection]:
    jobs = stack.enter_context(connect(links.jobs, application_name="geocloud job", autocommit=True))
    return jobs, stack.enter_context(open_reader(settings, links.reader))


def _answers(conn: psycopg2.extensions.connection) -> bool:
    try:
        with conn.cursor() as cur:
            cur.execute("SELECT")
        return True
    except psycopg2.Error:
        return False


def _do(
    settings: Settings, links: Links, processes: Processes, job: Job,
    jobs: psycopg2.extensions.connection, reader: psycopg2.extensions.connection,
) -> bool:  # fmt: skip
    """Runs the process and keeps what it answers or why it did not; False where something unexpected happened."""
    queue = Queue(jobs, settings.jobs)
    told = 0.0

    def progress(share: float, zh: str, en: str) -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_EVERY_S:
            told = time.monotonic()
            queue.tell(job, share, zh, en)

    try:
        results, fingerprint = _answer(settings, links, processes, job, progress, reader)
    except GeocloudError as exc:
        if isinstance(exc, DatabaseError):
            log.warning("job failed", job=job.id, process=job.process, error=exc.en)
        queue.fail(job, exc)
        return not isinstance(exc, DatabaseError)
    except psycopg2.Error as exc:
        log.warning("job failed", job=job.id, process=job.process, error=type(exc).__name__)
        queue.fail(job, translate(exc) if is_infrastructure(exc) or exc.pgcode else _unexpected(job, exc))
        return False
    except MemoryError:
        queue.fail(job, _too_large(settings.jobs.job_memory_mb))
        return False
    except Exception as exc:
        queue.fail(job, _unexpected(job, exc))
        return False
    if not queue.succeed(job, results, fingerprint):
        log.info("job was called off as it ended", job=job.id, process=job.process)
    return True


def _answer(
    settings: Settings,
    links: Links,
    processes: Processes,
    job: Job,
    progress: Callable[[float, str, str], None],
    reader: psycopg2.extensions.connection,
) -> tuple[list[Row], str | None]:
    process = processes().get(job.process)
    if process is None:
        raise UnknownProcess(
            f"This worker has no process {job.process}.", f"本机没有处理 {job.process}。",
            todo_en="Run the same version and modules on all machines.", todo_zh="请在各机器上安装相同的版本与模块。",
        )  # fmt: skip
    inputs = orjson.loads(job.inputs)
    results = run_process(
        process, settings, inputs, frozenset(job.outputs), reader_url=links.reader, writer_url=links.writer,
        language=job.language, progress=progress, reader=reader, public=True,
    )  # fmt: skip
    rows: list[Row] = []
    fingerprint = None
    for output in process.outputs:
        if output.name not in job.outputs:
            continue
        value = results[output.name]
        if isinstance(value, Blob):
            rows.append((output.name, value.media_type, value.name, value.data))
        else:
            rows.append((output.name, output.media_type, None, orjson.dumps(value)))
    for value in results.values():
        if isinstance(value, Mapping) and isinstance(value.get("fingerprint"), str):
            fingerprint = value["fingerprint"]
    return rows, fingerprint


def _unexpected(job: Job, exc: BaseException) -> JobFailed:
    number = secrets.token_hex(6)
    log.error("unexpected in a job", id=number, job=job.id, process=job.process, exc_info=exc)
    return JobFailed(
        f"Something unexpected went wrong in {job.process}; it has been logged as {number}.",
        f"处理 {job.process} 出现意外错误,已记入日志,编号 {number}。",
        todo_en="Give the number to whoever runs this server.", todo_zh="请将编号告知管理员。",
        id=number,
    )  # fmt: skip


def _too_large(most_mb: int) -> JobFailed:
    return JobFailed(
        f"The job needs more memory than the {most_mb} MB that one may take.", f"作业所需内存超过上限 {most_mb} MB。",
        todo_en="Ask for less at a time, or raise GEOCLOUD_JOB_MEMORY_MB.",
        todo_zh="请缩小范围,或调高 GEOCLOUD_JOB_MEMORY_MB。",
    )  # fmt: skip
