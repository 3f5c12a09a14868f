# SPDX-License-Identifier: Apache-2.0
"""The child that stands ready: it does one short job after another, and nothing of one is seen by the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest

from geocloud.db.cluster import Urls, admin_url
from geocloud.settings import DatabaseSettings
from tests.jobs.conftest import Office, settings_of, start_workers, stop_workers

Ask = Callable[[str], list[tuple[Any, ...]]]
_CHILDS = "datname = current_database() AND application_name IN ('geocloud process', 'geocloud job')"


@pytest.fixture(scope="module")
def one(urls: Urls) -> Iterator[Office]:
    """One worker, so that each job comes to the same one."""
    settings = settings_of(job_workers=1)
    process = start_workers(urls, settings)
    yield Office(urls, settings)
    stop_workers(process)


@pytest.fixture
def sessions(cluster: DatabaseSettings, database: str) -> Iterator[Ask]:
    """Asks as one who sees and ends the sessions of all roles."""
    conn = psycopg2.connect(admin_url(cluster, database))
    conn.autocommit = True

    def ask(what: str) -> list[tuple[Any, ...]]:
        with conn.cursor() as cur:
            cur.execute(f"SELECT {what} FROM pg_stat_activity WHERE {_CHILDS}")
            return cur.fetchall()

    yield ask
    conn.close()


@pytest.fixture
def child(one: Office, tmp_path: Path) -> Iterator[_Child]:
    yield _Child(one, tmp_path / "pids")


class _Child:
    def __init__(self, office: Office, note: Path) -> None:
        self.office, self.note = office, note

    def pid(self) -> int:
        """The number of the child that does the next job."""
        job = self.office.ended(self.office.submit("sleep", seconds=0, note=str(self.note)))
        assert job.status == "successful", job
        return int(self.note.read_text().split()[-1])


def test_short_jobs_are_done_by_one_child_each_in_a_transaction_of_its_own(child: _Child, sessions: Ask) -> None:
    assert child.pid() == child.pid()
    # Nothing is held between them: not a snapshot, which would keep VACUUM from its work, and not a lock.
    end = time.monotonic() + 5
    while sessions("state, backend_xmin IS NULL") != [("idle", True)] * 2:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_refusal_leaves_the_child_as_it_was(one: Office, child: _Child) -> None:
    before = child.pid()
    assert one.ended(one.submit("refuse")).status == "failed"
    assert child.pid() == before


@pytest.mark.parametrize("process", ["break", "die", "eat"])
def test_what_goes_wrong_ends_its_child(one: Office, child: _Child, process: str) -> None:
    before = child.pid()
    assert one.ended(one.submit(process)).status == "failed"
    assert child.pid() != before


def test_what_may_be_long_ends_its_child(one: Office, child: _Child) -> None:
    before = child.pid()
    assert one.ended(one.submit("doze", seconds=0)).status == "successful"
    assert child.pid() != before


def test_one_that_is_called_off_takes_its_child_along(one: Office, child: _Child) -> None:
    before = child.pid()
    job = one.submit("sleep", seconds=60)
    one.until(job, lambda j: j.progress > 0)
    one.ask(lambda desk: desk.dismiss(job))
    assert child.pid() != before


def test_connections_that_were_cut_meanwhile_are_made_anew(child: _Child, sessions: Ask) -> None:
    before = child.pid()
    cut = sessions("pg_terminate_backend(pid)")
    assert len(cut) >= 2 and set(cut) == {(True,)}
    assert child.pid() == before


def test_a_child_that_was_killed_while_it_waited_is_replaced(child: _Child) -> None:
    before = child.pid()
    psutil.Process(before).kill()
    assert child.pid() != before
