# SPDX-License-Identifier: Apache-2.0
"""Workers: processes that take jobs from the queue, one at a time, and run each in a child of its own.

A child can be killed at any moment (called off, out of memory, machine switched off) and leaves nothing behind: its
results and the end of its job are one transaction, what it writes to layers another, and its database sessions end with
it. A job whose worker dies goes back to the queue when its heart has not beaten for `job_stale_s`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import secrets
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import orjson
import psycopg2
import structlog

from geocloud.db.pool import connect, is_infrastructure, translate
from geocloud.errors import DatabaseError, GeocloudError, JobFailed, UnknownProcess
from geocloud.jobs.job import Job
from geocloud.jobs.model import Blob, Process
from geocloud.jobs.queue import Queue, Row
from geocloud.jobs.run import run_process, warm_catalogue
from geocloud.settings import Settings

__all__ = ["Links", "supervise"]

log = structlog.get_logger(__name__)

_BEAT_S = 2.0
_TELL_EVERY_S = 0.2
_PURGE_EVERY_S = 3600.0
# How often an idle worker looks for what is due by itself, and how soon after its end that is begun again.
_DUE_EVERY_S, _DUE_AGAIN_S = 10.0, 20.0
_RETRY_S = (0.5, 1.0, 2.0, 5.0)
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux

Processes = Callable[[], Mapping[str, Process]]


@dataclass(frozen=True)
class Links:
    """URLs of the roles that workers use."""

    jobs: str
    reader: str
    writer: str


def supervise(settings: Settings, links: Links, processes: Processes) -> None:
    """Keeps `job_workers` workers alive until told to stop (SIGINT, SIGTERM).

    One of several workers never takes a job that may be long, so that a short one never waits for minutes.
    """
    # Children inherit what is read here: a job then begins within milliseconds.
    for process in processes().values():
        process.warm(settings)
    children: dict[int, int] = {}
    stopping = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    count = settings.jobs.job_workers
    try:
        while not stopping:
            for slot in set(range(count)) - set(children.values()):
                work = partial(_work, settings, links, processes, slot, long=slot > 0 or count == 1)
                children[_fork(work)] = slot
            pid, _ = os.wait()
            slot = children.pop(pid, -1)
            if not stopping:
                log.warning("job worker ended and is replaced", slot=slot)
                time.sleep(0.2)
    finally:
        stop(0, None)
        for pid in list(children):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _fork(work: Callable[[], None]) -> int:
    """A child that does the work and ends; it dies with this process."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        libc = ctypes.CDLL(None)
        if hasattr(libc, "prctl"):
            libc.prctl(_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() == parent:
            work()
            code = 0
    except BaseException as exc:
        log.error("unexpected in a job worker", exc_info=exc)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _work(settings: Settings, links: Links, processes: Processes, slot: int, *, long: bool) -> None:
    name = f"{socket.gethostname()}:{os.getpid()}"
    tried = 0
    while True:
        try:
            with connect(links.jobs, application_name=f"geocloud jobs {slot}", autocommit=True) as conn:
                queue = Queue(conn, settings.jobs)
                queue.listen()
                tried = 0
                _serve(queue, settings, links, processes, name, long=long)
        except (GeocloudError, psycopg2.Error) as exc:
            error = translate(exc)
            wait = _RETRY_S[min(tried, len(_RETRY_S) - 1)]
            log.warning("job worker has lost the database", error=error.en, again_s=wait)
            tried += 1
            time.sleep(wait)


def _serve(queue: Queue, settings: Settings, links: Links, processes: Processes, name: str, *, long: bool) -> NoReturn:
    purged, looked = 0.0, time.monotonic()
    reader = _Reader(links.reader)
    reader.warm()
    while True:
        queue.reclaim()
        if time.monotonic() - purged > _PURGE_EVERY_S or not purged:
            queue.purge()
            purged = time.monotonic()
        job = queue.claim(name, long=long)
        if job is not None:
            reader.warm()
            _attend(queue, job, _fork(partial(_run, settings, links, processes, job)))
            continue
        if long and time.monotonic() - looked > _DUE_EVERY_S:
            looked = time.monotonic()
            for process in processes().values():
                if process.due:
                    queue.hand_in(process, _DUE_AGAIN_S)
        _listen(queue.conn, [])


class _Reader:
    """A connection over which a worker keeps the definitions of layers that its children inherit.

    It is a help and no need: what goes wrong here a child finds out for itself.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._conn: psycopg2.extensions.connection | None = None

    def warm(self) -> None:
        """Reads the definitions where they are others than those at hand."""
        try:
            anew = self._conn is None or bool(self._conn.closed)
            if self._conn is None or anew:
                self._conn = psycopg2.connect(self._url, application_name="geocloud worker", connect_timeout=5)
                self._conn.autocommit = True
            warm_catalogue(self._conn, anew=anew)
        except psycopg2.Error as exc:
            log.debug("definitions of layers are not at hand", error=type(exc).__name__)
            if self._conn is not None:
                self._conn.close()
            self._conn = None


def _listen(conn: psycopg2.extensions.connection, others: list[int]) -> tuple[list[str], list[int]]:
    """What has been told of jobs, and which of the others are ready; waits for either, `_BEAT_S` at most."""
    # What came with the answer of a statement is no longer in the socket.
    ready = select.select([conn, *others], [], [], 0 if conn.notifies else _BEAT_S)[0]
    if conn in ready:
        conn.poll()
    said = [n.payload for n in conn.notifies]
    conn.notifies.clear()
    return said, [o for o in others if o in ready]


def _attend(queue: Queue, job: Job, pid: int) -> None:
    """Beats while the child works; kills it when the job is called off or taken away; says so when it has died."""
    gone = os.pidfd_open(pid)
    status: int | None = None
    beaten = time.monotonic()
    try:
        while True:
            said, ready = _listen(queue.conn, [gone])
            if ready:
                status = os.waitpid(pid, 0)[1]
                break
            # The row decides; a notice only makes it be looked at sooner.
            if f"dismissed {job.id}" in said or time.monotonic() - beaten >= _BEAT_S:
                beaten = time.monotonic()
                if not queue.beat(job):
                    log.info("job called off", job=job.id, process=job.process)
                    return
    finally:
        os.close(gone)
        if status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    if status != 0:
        number = os.waitstatus_to_exitcode(status)
        log.error("job ended unexpectedly", job=job.id, process=job.process, exit=number)
        queue.fail(job, _died(number))


def _run(settings: Settings, links: Links, processes: Processes, job: Job) -> None:
    """In the child: runs the process and keeps what it answers or why it did not."""
    most = settings.jobs.job_memory_mb << 20
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    with connect(links.jobs, application_name="geocloud job", autocommit=True) as conn:
        queue = Queue(conn, settings.jobs)
        told = 0.0

        def progress(share: float, zh: str, en: str) -> None:
            nonlocal told
            if time.monotonic() - told >= _TELL_EVERY_S:
                told = time.monotonic()
                queue.tell(job, share, zh, en)

        try:
            results, fingerprint = _answer(settings, links, processes, job, progress)
        except GeocloudError as exc:
            if isinstance(exc, DatabaseError):
                log.warning("job failed", job=job.id, process=job.process, error=exc.en)
            queue.fail(job, exc)
            return
        except psycopg2.Error as exc:
            log.warning("job failed", job=job.id, process=job.process, error=type(exc).__name__)
            queue.fail(job, translate(exc) if is_infrastructure(exc) or exc.pgcode else _unexpected(job, exc))
            return
        except MemoryError:
            queue.fail(job, _too_large(settings.jobs.job_memory_mb))
            return
        except Exception as exc:
            queue.fail(job, _unexpected(job, exc))
            return
        if not queue.succeed(job, results, fingerprint):
            log.info("job was called off as it ended", job=job.id, process=job.process)


def _answer(
    settings: Settings,
    links: Links,
    processes: Processes,
    job: Job,
    progress: Callable[[float, str, str], None],
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
        language=job.language, progress=progress, public=True,
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


def _died(code: int) -> JobFailed:
    return JobFailed(
        f"The process of the job ended unexpectedly (exit {code}).", f"作业进程意外结束(退出码 {code})。",
        todo_en="Ask for less at a time; the operator finds the cause in the server's log.",
        todo_zh="请缩小范围后重试;管理员可在服务日志中查看原因。",
    )  # fmt: skip


def _too_large(most_mb: int) -> JobFailed:
    return JobFailed(
        f"The job needs more memory than the {most_mb} MB that one may take.", f"作业所需内存超过上限 {most_mb} MB。",
        todo_en="Ask for less at a time, or raise GEOCLOUD_JOB_MEMORY_MB.",
        todo_zh="请缩小范围,或调高 GEOCLOUD_JOB_MEMORY_MB。",
    )  # fmt: skip
