# SPDX-License-Identifier: Apache-2.0
"""Workers: processes that take jobs from the queue, one at a time, and have each done by a child.

A child can be killed at any moment (called off, out of memory, machine switched off) and leaves nothing behind: its
results and the end of its job are one transaction, what it writes to layers another, and its database sessions end with
it. A job whose worker dies goes back to the queue when its heart has not beaten for `job_stale_s`.

A child that has done a short job stands ready for the next with its connections open, so that one begins within
milliseconds; each has a transaction of its own, undone after it. What may be long, goes wrong or leaves much memory
behind ends its child.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import Pipe
from typing import Any, Literal, NoReturn

import psycopg2
import structlog

from geocloud.db.pool import connect, translate
from geocloud.errors import GeocloudError, JobFailed
from geocloud.jobs.child import DONE, Links, Processes, do_jobs
from geocloud.jobs.job import Job
from geocloud.jobs.queue import Queue
from geocloud.jobs.run import warm_catalogue
from geocloud.settings import Settings

__all__ = ["Links", "supervise"]

log = structlog.get_logger(__name__)

_BEAT_S = 2.0
_PURGE_EVERY_S = 3600.0
# How often an idle worker looks for what is due by itself, and how soon after its end that is begun again.
_DUE_EVERY_S, _DUE_AGAIN_S = 10.0, 20.0
_RETRY_S = (0.5, 1.0, 2.0, 5.0)
_ENDS = (signal.SIGTERM, signal.SIGINT)
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux


def supervise(settings: Settings, links: Links, processes: Processes) -> None:
    """Keeps `job_workers` workers alive until told to stop (SIGINT, SIGTERM).

    One of several workers never takes a job that may be long, so that a short one never waits for minutes.
    """
    # Children inherit what is read here: a job then begins within milliseconds.
    for process in processes().values():
        process.warm(settings)
    # Nothing of it is garbage: looking for some would copy all of it into every child.
    gc.collect()
    gc.freeze()
    children: dict[int, int] = {}
    stopping = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    for number in _ENDS:
        signal.signal(number, stop)
    count = settings.jobs.job_workers
    try:
        while not stopping:
            # Told to stop between a fork and its entry here, this would wait for a child that was told nothing.
            with _held_back():
                for slot in set(range(count)) - set(children.values()):
                    work = partial(_work, settings, links, processes, slot, long=slot > 0 or count == 1)
                    children[_fork(work)] = slot
            if stopping:
                break
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


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Signals that end this process wait."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _fork(work: Callable[[], None]) -> int:
    """A child that does the work and ends; it dies with this process."""
    parent = os.getpid()
    # A signal that reached the child before it is one of its own would be taken by what this process does with it.
    with _held_back():
        pid = os.fork()
        if not pid:
            _be_child(work, parent)
    return pid


def _be_child(work: Callable[[], None], parent: int) -> NoReturn:
    code = 1
    try:
        for number in _ENDS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
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
    care = _Care(queue, processes, long=long)
    reader = _Reader(links.reader)
    reader.warm()
    hand = _Hand(settings, links, processes)
    try:
        while True:
            job = queue.claim(name, long=long)
            if job is not None:
                for last in (False, False, True):
                    ended = _attend(queue, job, hand, last=last)
                    if ended != "done":
                        hand = hand.another()
                    if ended != "not begun":
                        break
            care.take(idle=job is None)
            if job is not None:
                continue
            if reader.warm():
                hand = hand.another()  # it knew older definitions of layers
            elif _listen(queue.conn, [hand.pipe])[1]:
                log.warning("a child that waited for a job ended and is replaced", worker=name)
                time.sleep(_RETRY_S[0])
                hand = hand.another()
    finally:
        hand.close()


class _Care:
    """What a worker does from time to time between jobs."""

    def __init__(self, queue: Queue, processes: Processes, *, long: bool) -> None:
        self._queue, self._processes, self._long = queue, processes, long
        self._reclaimed = self._purged = -math.inf
        self._looked = time.monotonic()

    def take(self, *, idle: bool) -> None:
        """Puts jobs of dead workers back, takes old ones away; when idle, hands in what is due by itself."""
        now = time.monotonic()
        if now - self._reclaimed >= _BEAT_S:
            self._reclaimed = now
            self._queue.reclaim()
        if now - self._purged >= _PURGE_EVERY_S:
            self._purged = now
            self._queue.purge()
        if idle and self._long and now - self._looked >= _DUE_EVERY_S:
            self._looked = now
            for process in self._processes().values():
                if process.due:
                    self._queue.hand_in(process, _DUE_AGAIN_S)


class _Hand:
    """A child that does jobs, as its worker sees it. `pipe` takes a job, and gives BEGUN and DONE."""

    def __init__(self, settings: Settings, links: Links, processes: Processes) -> None:
        self._what = settings, links, processes
        self.pipe, theirs = Pipe()
        self.pid = _fork(partial(do_jobs, settings, links, processes, theirs, self.pipe))
        theirs.close()
        self.gone = os.pidfd_open(self.pid)

    def another(self) -> _Hand:
        """One that takes its place."""
        self.close()
        return _Hand(*self._what)

    def close(self) -> None:
        """Ends it, whatever it does, if it has not ended."""
        # By its descriptor: the number of a child that has been waited for may be another's by now.
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.gone, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self.gone)
        self.pipe.close()


class _Reader:
    """A connection over which a worker keeps the definitions of layers that its children inherit.

    It is a help and no need: what goes wrong here a child finds out for itself.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._conn: psycopg2.extensions.connection | None = None

    def warm(self) -> bool:
        """Reads the definitions where they are others than those at hand, and returns whether they were."""
        try:
            anew = self._conn is None or bool(self._conn.closed)
            if self._conn is None or anew:
                self._conn = psycopg2.connect(self._url, application_name="geocloud worker", connect_timeout=5)
                self._conn.autocommit = True
            return warm_catalogue(self._conn, anew=anew)
        except psycopg2.Error as exc:
            log.debug("definitions of layers are not at hand", error=type(exc).__name__)
            if self._conn is not None:
                self._conn.close()
            self._conn = None
            return False


def _listen(conn: psycopg2.extensions.connection, others: list[Any]) -> tuple[list[str], list[Any]]:
    """What has been told of jobs, and which of the others are ready; waits for either, `_BEAT_S` at most."""
    # What came with the answer of a statement is no longer in the socket.
    ready = select.select([conn, *others], [], [], 0 if conn.notifies else _BEAT_S)[0]
    if conn in ready:
        conn.poll()
    said = [n.payload for n in conn.notifies]
    conn.notifies.clear()
    return said, [o for o in others if o in ready]


def _attend(queue: Queue, job: Job, hand: _Hand, *, last: bool) -> Literal["done", "ended", "not begun"]:
    """Beats while the child works; says so when it has died.

    `ended` where the child is of no more use: it has died, or the job has been called off or taken away. `not begun`
    where it died before it had the job, which another may have then, unless it is the `last` that is tried.
    """
    begun = False
    with contextlib.suppress(BrokenPipeError):
        hand.pipe.send(job)
    beaten = time.monotonic()
    while True:
        said, ready = _listen(queue.conn, [hand.pipe, hand.gone])
        if hand.pipe in ready:
            with contextlib.suppress(EOFError, ConnectionResetError):
                if hand.pipe.recv() == DONE:
                    return "done"
                begun = True
                continue
        if ready:
            status = os.waitpid(hand.pid, 0)[1]
            if not begun and not last:
                return "not begun"
            if status != 0:
                number = os.waitstatus_to_exitcode(status)
                log.error("job ended unexpectedly", job=job.id, process=job.process, exit=number)
                queue.fail(job, _died(number))
            return "ended"
        # The row decides; a notice only makes it be looked at sooner.
        if f"dismissed {job.id}" in said or time.monotonic() - beaten >= _BEAT_S:
            beaten = time.monotonic()
            if not queue.beat(job):
                log.info("job called off", job=job.id, process=job.process)
                return "ended"


def _died(code: int) -> JobFailed:
    return JobFailed(
        f"The process of the job ended unexpectedly (exit {code}).", f"作业进程意外结束(退出码 {code})。",
        todo_en="Ask for less at a time; the operator finds the cause in the server's log.",
        todo_zh="请缩小范围后重试;管理员可在服务日志中查看原因。",
    )  # fmt: skip
