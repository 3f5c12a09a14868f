# SPDX-License-Identifier: Apache-2.0
"""Jobs run by real workers: answered, refused, called off, killed, taken up again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from functools import partial
from pathlib import Path

import psutil
import psycopg2
import pytest

from geocloud.db.cluster import Urls
from geocloud.errors import InvalidParameter, JobDismissed, JobFailed, QueueFull, UnknownJob
from geocloud.jobs import worker
from tests.jobs.conftest import Office, settings_of, start_workers, stop_workers


def test_a_job_is_answered_by_the_reader_role(office: Office) -> None:
    job = office.ended(office.submit("echo", text="光岳楼"))
    assert (job.status, job.progress, job.attempt) == ("successful", 1.0, 1)
    assert job.started and job.finished and job.created <= job.started <= job.finished
    answer, file = office.ask(lambda desk: desk.results(job))
    assert (
        answer.data
        == (
            '{"said":"光岳楼","times":3,"role":"geocloud_reader","read_only":"on","fingerprint":"' + "f" * 64 + '"}'
        ).encode()
    )
    assert (file.output, file.media_type, file.name) == ("file", "text/plain; charset=utf-8", "文件.txt")
    assert file.data.decode() == "光岳楼"
    assert office.ask(lambda desk: desk.reported("f" * 64)).id == job.id


def test_a_refusal_comes_back_as_it_was_raised(office: Office) -> None:
    job = office.ended(office.submit("refuse"))
    assert (job.status, job.message("zh")) == ("failed", "数值为奇数。 请给偶数。")
    with pytest.raises(InvalidParameter, match="The value is odd") as caught:
        office.ask(lambda desk: desk.results(job))
    assert caught.value.context == {"parameter": "x", "gap_m": 1.5}
    assert caught.value.todo_zh == "请给偶数。"


@pytest.mark.parametrize(("process", "said"), [("break", "logged as"), ("die", "exit -9"), ("eat", "1024 MB")])
def test_what_goes_wrong_is_told_and_the_worker_goes_on(office: Office, process: str, said: str) -> None:
    job = office.ended(office.submit(process))
    with pytest.raises(JobFailed, match=said) as caught:
        office.ask(lambda desk: desk.results(job))
    assert "secret" not in caught.value.message("en")
    assert office.ended(office.submit("echo", text="still there")).status == "successful"


def test_a_running_job_is_called_off_with_its_query(office: Office, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    job_id = office.submit("sleep", seconds=120, note=str(note))
    job = office.until(job_id, lambda j: j.progress > 0)
    assert (job.status, job.message("en"), job.progress) == ("running", "sleeping", 0.25)
    pid = int(note.read_text())
    assert office.ask(lambda desk: desk.dismiss(job_id)).status == "dismissed"
    end = time.monotonic() + 10
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(120%%' AND state = 'active'"
    while psutil.pid_exists(pid) or office.sql(sleeping) != [(0,)]:
        assert time.monotonic() < end
        time.sleep(0.05)
    job = office.job(job_id)
    assert job.status == "dismissed"
    with pytest.raises(JobDismissed):
        office.ask(lambda desk: desk.results(job))


def test_a_long_job_leaves_a_worker_for_short_ones(office: Office) -> None:
    long = [office.submit("doze", seconds=3) for _ in range(2)]
    office.until(long[0], lambda j: j.status == "running")
    began = time.monotonic()
    assert office.ended(office.submit("echo", text="quick")).status == "successful"
    assert time.monotonic() - began < 2
    assert office.job(long[1]).status == "accepted"
    assert [office.ended(j).status for j in long] == ["successful"] * 2


def test_only_a_run_that_may_write_gets_the_writer_role(office: Office) -> None:
    job = office.ended(office.submit("write", keep=True))
    assert office.ask(lambda desk: desk.results(job))[0].data == b'{"role":"geocloud_writer"}'
    refused = office.ended(office.submit("write"))
    assert refused.message("en") is not None and "may only read" in str(refused.message("en"))


def test_an_ended_job_is_taken_away_with_its_results(office: Office) -> None:
    job = office.ended(office.submit("echo", text="x"))
    office.ask(lambda desk: desk.dismiss(job.id))
    with pytest.raises(UnknownJob):
        office.job(job.id)
    assert office.sql("SELECT count(*) FROM geocloud.job_result WHERE job = %s::uuid", job.id) == [(0,)]
    for name in ("no-uuid", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(UnknownJob):
            office.ask(lambda desk, name=name: desk.dismiss(name))  # type: ignore[misc]


def test_who_queues_sees_no_layer_and_who_reads_sees_no_job(urls: Urls) -> None:
    for url, sql in (
        (urls.jobs, "SELECT * FROM geocloud.layer_state"),
        (urls.reader, "SELECT * FROM geocloud.job"),
        (urls.writer, "SELECT * FROM geocloud.job_result"),
    ):
        conn = psycopg2.connect(url)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege), conn.cursor() as cur:
            cur.execute(sql)
        conn.close()


def test_killed_workers_lose_no_job(fresh_urls: Urls, tmp_path: Path) -> None:
    settings = settings_of()
    office = Office(fresh_urls, settings)
    note = tmp_path / "pids"
    first = start_workers(fresh_urls, settings)
    running = office.submit("sleep", seconds=5, note=str(note))
    waiting = [office.submit("echo", text=str(n)) for n in range(5)]
    office.until(running, lambda j: j.progress > 0)
    os.kill(first.pid, signal.SIGKILL)
    first.join(10)
    pid = int(note.read_text())
    end = time.monotonic() + 5
    while psutil.pid_exists(pid):
        assert time.monotonic() < end, "the child outlived its worker"
        time.sleep(0.05)
    second = start_workers(fresh_urls, settings)
    try:
        assert [office.ended(j).status for j in waiting] == ["successful"] * 5
        job = office.ended(running)
        assert (job.status, job.attempt) == ("successful", 2)
        assert len(note.read_text().split()) == 2
    finally:
        stop_workers(second)


def test_a_job_that_kills_its_workers_is_given_up(fresh_urls: Urls) -> None:
    settings = settings_of(job_attempts_max=2)
    office = Office(fresh_urls, settings)
    job = office.submit("echo", text="x")
    office.sql("UPDATE geocloud.job SET status = 'running', attempt = 2, beat = now() - interval '1 hour'")
    workers = start_workers(fresh_urls, settings)
    try:
        ended = office.ended(job)
        assert (ended.status, ended.attempt) == ("failed", 2)
        assert "each time" in str(ended.message("en"))
    finally:
        stop_workers(workers)


def _told_to_end_as_it_is_born() -> None:
    """Exits with 1 where a child outlives a signal that is sent as soon as its number is known."""
    signal.signal(signal.SIGTERM, lambda *_: None)
    for _ in range(40):
        child = worker._fork(partial(time.sleep, 60))
        os.kill(child, signal.SIGTERM)
        end = time.monotonic() + 10
        while True:
            gone, status = os.waitpid(child, os.WNOHANG)
            if gone:
                break
            if time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
                os._exit(1)
            time.sleep(0.002)
        assert os.WTERMSIG(status) == signal.SIGTERM


def test_a_child_can_be_told_to_end_from_its_first_moment_on() -> None:
    """The handler of its parent, which it has for that moment, must not take the signal."""
    process = multiprocessing.get_context("spawn").Process(target=_told_to_end_as_it_is_born)
    process.start()
    process.join(60)
    assert process.exitcode == 0


def test_old_jobs_are_taken_away(fresh_urls: Urls) -> None:
    settings = settings_of(job_keep_days=7)
    office = Office(fresh_urls, settings)
    old, new = office.submit("echo", text="old"), office.submit("echo", text="new")
    for job, age in ((old, "8 days"), (new, "6 days")):
        office.sql(
            "UPDATE geocloud.job SET status = 'failed', finished = now() - %s::interval WHERE id = %s::uuid", age, job
        )
    workers = start_workers(fresh_urls, settings)
    try:
        office.ended(office.submit("echo", text="now"))
        assert office.sql("SELECT id::text FROM geocloud.job WHERE id IN (%s::uuid, %s::uuid)", old, new) == [(new,)]
    finally:
        stop_workers(workers)


def test_a_queue_that_is_full_says_so(fresh_urls: Urls) -> None:
    office = Office(fresh_urls, settings_of(jobs_waiting_max=2))
    for text in "ab":
        office.submit("echo", text=text)
    with pytest.raises(QueueFull, match="2 jobs wait"):
        office.submit("echo", text="c")
