# SPDX-License-Identifier: Apache-2.0
"""The private cluster: made, adopted, stopped, brought back after a crash; what it is set to; who may what."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg2
import pytest

from geocloud.db import cluster, server
from geocloud.db.folder import Folder, open_folder
from geocloud.db.memory import Machine, tuning
from geocloud.settings import DatabaseSettings


@pytest.fixture
def settings(own_settings: Callable[..., DatabaseSettings]) -> DatabaseSettings:
    """Settings of a data folder that is not there yet."""
    return own_settings()


def _folder(settings: DatabaseSettings) -> Folder:
    return open_folder(settings, create=False)


def _one(url: str, query: str) -> object:
    conn = psycopg2.connect(url)
    try:
        with conn, conn.cursor() as cur:
            cur.execute(query)
            row = cur.fetchone()
            return row[0] if row else None
    finally:
        conn.close()


def test_made_then_adopted_then_started_again(settings: DatabaseSettings) -> None:
    assert cluster.status(settings).state == "absent"
    steps: list[str] = []
    urls = cluster.ensure(settings, lambda en, _zh: steps.append(en), fsync=False)
    assert [s.split()[0] for s in steps] == ["Making", "Starting", "Making"]
    pid = cluster.status(settings).pid

    again: list[str] = []
    assert cluster.ensure(settings, lambda en, _zh: again.append(en)) == urls
    assert (again, cluster.status(settings).pid) == ([], pid)

    assert cluster.stop(settings) is True
    assert cluster.stop(settings) is False
    assert cluster.status(settings).state == "stopped"
    assert cluster.ensure(settings, fsync=False) == urls
    assert cluster.status(settings).pid != pid


def test_what_it_is_set_to(cluster: DatabaseSettings) -> None:
    from geocloud.db.cluster import ensure

    reader = ensure(cluster).reader
    shown = {
        name: _one(reader, f"SHOW {name}")
        for name in (
            "data_checksums", "server_encoding", "lc_collate", "listen_addresses", "password_encryption", "jit",
            "random_page_cost", "synchronous_commit", "timezone", "shared_buffers", "wal_compression",
        )
    }  # fmt: skip
    assert shown == {
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "lc_collate": "C.UTF-8",
        "listen_addresses": "127.0.0.1",
        "password_encryption": "scram-sha-256",
        "jit": "off",
        "random_page_cost": "1.1",
        "synchronous_commit": "on",
        "timezone": "UTC",
        "shared_buffers": "409MB",
        "wal_compression": "lz4",
    }


def test_server_is_not_root(cluster: DatabaseSettings) -> None:
    pid = server.running(_folder(cluster)).pid  # type: ignore[union-attr]
    assert psutil.Process(pid).uids().real != 0
    data = _folder(cluster).data.stat()
    assert (data.st_uid, stat.S_IMODE(data.st_mode)) == (psutil.Process(pid).uids().real, 0o700)


def test_passwords_are_private(cluster: DatabaseSettings) -> None:
    assert stat.S_IMODE(_folder(cluster).credentials.stat().st_mode) == 0o600


def test_roles_have_least_right(urls: cluster.Urls) -> None:
    who = "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    assert [_one(u, who) for u in (urls.owner, urls.writer, urls.reader)] == [False] * 3
    assert _one(urls.reader, "SHOW statement_timeout") == "30s"
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        _one(urls.reader, "CREATE TABLE public.a (n int)")
    for url in (urls.reader, urls.writer):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            _one(
                url,
                "SET default_transaction_read_only = off; SET transaction_read_only = off; DROP TABLE geocloud.layer",
            )
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            _one(url, "SELECT pg_read_file('/etc/passwd')")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        _one(urls.reader, "SET transaction_read_only = off; CREATE TEMPORARY TABLE a (n int)")


@pytest.mark.parametrize("user", ["geocloud_reader", "geocloud_admin"])
def test_no_way_in_without_password(cluster: DatabaseSettings, user: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password|reject"):
        psycopg2.connect(host="127.0.0.1", port=cluster.database_port, user=user, password="wrong", dbname="geocloud")


def test_loopback_takes_the_same_password(cluster: DatabaseSettings) -> None:
    from geocloud.db.cluster import ensure
    from geocloud.db.roles import make_url

    url = make_url(ensure(cluster).reader, host="127.0.0.1", port=str(cluster.database_port))
    assert url.split("@")[1] == f"127.0.0.1:{cluster.database_port}/geocloud"
    assert _one(url, "SELECT host(inet_server_addr())") == "127.0.0.1"


def test_comes_back_after_sigkill(settings: DatabaseSettings) -> None:
    urls = cluster.ensure(settings)
    conn = psycopg2.connect(urls.owner)
    with conn, conn.cursor() as cur:
        cur.execute("CREATE SCHEMA t CREATE TABLE kept (n int); INSERT INTO t.kept SELECT generate_series(1, 1000)")
    conn.close()
    pid = cluster.status(settings).pid
    assert pid is not None
    postmaster = psutil.Process(pid)
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([postmaster], timeout=30)
    assert _one(cluster.ensure(settings).owner, "SELECT sum(n) FROM t.kept") == 500500


def test_lock_file_of_a_dead_machine(settings: DatabaseSettings) -> None:
    cluster.ensure(settings, fsync=False)
    folder = _folder(settings)
    pid_file = folder.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    cluster.stop(settings)
    # This process has the number that the server had before the machine went down.
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert cluster.status(settings).state == "stopped"
    cluster.ensure(settings, fsync=False)
    assert cluster.status(settings).state == "running"


def test_lost_passwords_are_made_anew(settings: DatabaseSettings) -> None:
    before = cluster.ensure(settings, fsync=False)
    _folder(settings).credentials.unlink()
    after = cluster.ensure(settings, fsync=False)
    assert after.reader != before.reader
    assert _one(after.writer, "SELECT current_user::text") == "geocloud_writer"
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(before.reader)


def test_cut_off_making_is_begun_again(settings: DatabaseSettings) -> None:
    folder = open_folder(settings)
    part = folder.data.with_name("data.part")
    part.mkdir()
    (part / "PG_VERSION").write_text("15\n")
    cluster.ensure(settings, fsync=False)
    assert not part.exists()


def test_long_path_moves_the_socket(own_settings: Callable[..., DatabaseSettings]) -> None:
    settings = own_settings("x" * 90)
    urls = cluster.ensure(settings, fsync=False)
    found = server.running(_folder(settings))
    assert found is not None and len(found.socket_dir) < 60
    assert stat.S_IMODE(Path(found.socket_dir).stat().st_mode) == 0o700
    assert _one(urls.reader, "SELECT 1") == 1
    cluster.stop(settings)
    Path(found.socket_dir).rmdir()


def test_operators_settings_win(settings: DatabaseSettings) -> None:
    folder = open_folder(settings)
    (folder.home / "pg/local.conf").write_text("work_mem = '33MB'\n")
    os.chown(folder.home / "pg/local.conf", folder.account.uid, folder.account.gid)
    assert _one(cluster.ensure(settings, fsync=False).reader, "SHOW work_mem") == "33MB"


def test_session_stops_what_it_started(settings: DatabaseSettings) -> None:
    with cluster.session(settings, fsync=False):
        with cluster.session(settings):
            assert cluster.status(settings).state == "running"
        assert cluster.status(settings).state == "running"
    assert cluster.status(settings).state == "stopped"


def test_session_leaves_what_was_running(settings: DatabaseSettings) -> None:
    cluster.ensure(settings, fsync=False)
    with cluster.session(settings):
        pass
    assert cluster.status(settings).state == "running"


def test_session_kept(settings: DatabaseSettings) -> None:
    with cluster.session(settings, keep=True, fsync=False):
        pass
    assert cluster.status(settings).state == "running"


def _ensure(settings: DatabaseSettings) -> tuple[str, int | None]:
    urls = cluster.ensure(settings, fsync=False)
    return urls.owner, cluster.status(settings).pid


def test_four_at_once_make_one(settings: DatabaseSettings) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        results = pool.map(_ensure, [settings] * 4, chunksize=1)
    assert len(set(results)) == 1


@pytest.mark.parametrize(
    ("has", "budget", "expected"),
    [
        pytest.param(Machine(24_000, 12_000, 80_000, 2), None, ("4800MB", "16800MB", "64MB", "4096MB"), id="24GB"),
        pytest.param(Machine(2_000, 64, 5_000, 1), None, ("400MB", "1400MB", "8MB", "500MB"), id="container-2GB"),
        pytest.param(Machine(512_000, 9_999, 999_999, 64), None, ("16384MB", "358400MB", "64MB", "4096MB"), id="512GB"),
        pytest.param(Machine(24_000, 12_000, 80_000, 2), 1024, ("409MB", "1024MB", "8MB", "4096MB"), id="budget-1GB"),
    ],
)  # fmt: skip
def test_tuning(has: Machine, budget: int | None, expected: tuple[str, ...]) -> None:
    got = tuning(has, budget, lz4=True)
    names = ("shared_buffers", "effective_cache_size", "work_mem", "max_wal_size")
    assert tuple(got[n] for n in names) == expected
    assert (got.get("dynamic_shared_memory_type") == "mmap") is (has.shared_memory_mb < 512)
