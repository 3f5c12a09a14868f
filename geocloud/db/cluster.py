# SPDX-License-Identifier: Apache-2.0
"""The database of a data folder, whatever state it is in: made, started, adopted, asked, stopped.

`session` is for commands: the last one to leave stops the server, unless it was started to stay
(`ensure`, or `geocloud up --no-serve`). Locks in the data folder keep concurrent commands apart:
cluster.lock while the server is being started or stopped, use.lock shared by every session.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg2 import sql

from geocloud.db import server
from geocloud.db.folder import Folder, check_disk, lock_file, open_folder, wait_lock
from geocloud.db.given import given_urls, prepare_extension, prepare_routing
from geocloud.db.pool import connect
from geocloud.db.roles import (
    JOBS,
    OWNER,
    READER,
    WRITER,
    Credentials,
    Urls,
    logs_in,
    make_url,
    open_database,
    read_credentials,
    set_login,
)
from geocloud.settings import DatabaseSettings

__all__ = ["DATABASE", "Status", "Urls", "admin_url", "ensure", "session", "status", "stop", "urls_of"]

DATABASE = "geocloud"

OnStep = Callable[[str, str], None]


@dataclass(frozen=True)
class Status:
    """`state` is one of absent, stopped, running, given; port and pid are those of a running private server."""

    state: str
    home: str
    port: int | None = None
    pid: int | None = None
    bytes: int | None = None


def ensure(settings: DatabaseSettings, on_step: OnStep | None = None, *, fsync: bool = True) -> Urls:
    """URLs of a database that answers: made if absent, started if stopped, adopted if running.

    `on_step(english, chinese)` is told each long step. A server started here stays up until `stop`.
    `fsync=False` is for tests: a crash of the machine would lose data. Raises a DatabaseError of the family
    (see geocloud.errors) for whatever stands in the way.
    """
    folder = open_folder(settings)
    if settings.database_url:
        return _given(settings, folder)
    with wait_lock(folder.home / "cluster.lock", waiting=_waiting(on_step)):
        urls, started = _private(settings, folder, on_step, fsync=fsync)
        if started:
            (folder.home / "keep").touch()
    return urls


@contextmanager
def session(
    settings: DatabaseSettings, on_step: OnStep | None = None, *, keep: bool = False, fsync: bool = True
) -> Iterator[Urls]:
    """Like `ensure` for the time of a block; afterwards the server is stopped if a session had started it and
    no other one uses it. `keep=True` leaves it up. Raises DiskFull below settings.min_free_disk_mb."""
    folder = open_folder(settings)
    if settings.database_url:
        yield _given(settings, folder)
        return
    check_disk(settings, folder)
    with lock_file(folder.home / "use.lock") as use:
        with wait_lock(folder.home / "cluster.lock", waiting=_waiting(on_step)):
            fcntl.flock(use, fcntl.LOCK_SH)
            try:
                urls, _ = _private(settings, folder, on_step, fsync=fsync)
            except BaseException:
                _leave(settings, folder, use)
                raise
            if keep:
                (folder.home / "keep").touch()
        try:
            yield urls
        finally:
            with wait_lock(folder.home / "cluster.lock"):
                _leave(settings, folder, use)


def stop(settings: DatabaseSettings) -> bool:
    """Stops the private server; False when it was not running. A given database is left alone."""
    folder = open_folder(settings, create=False)
    with wait_lock(folder.home / "cluster.lock"):
        (folder.home / "keep").unlink(missing_ok=True)
        if server.running(folder) is None:
            return False
        server.stop(folder, server.programs_for(settings, folder))
    return True


def status(settings: DatabaseSettings) -> Status:
    """What is there now; nothing is made or started."""
    home = str(settings.home)
    if settings.database_url:
        return Status("given", home)
    if not settings.home.exists():
        return Status("absent", home)
    folder = open_folder(settings, create=False)
    if not server.is_made(folder):
        return Status("absent", home)
    found = server.running(folder)
    size = server.data_size(folder.data)
    return Status("running", home, found.port, found.pid, size) if found else Status("stopped", home, bytes=size)


def admin_url(settings: DatabaseSettings, dbname: str = DATABASE) -> str:
    """URL of the private cluster's superuser, for the account that owns the cluster and for root."""
    found = server.running(open_folder(settings, create=False))
    if found is None:
        raise RuntimeError(f"no server runs in {settings.home}")
    return server.admin_url(found, dbname)


def _given(settings: DatabaseSettings, folder: Folder) -> Urls:
    with wait_lock(folder.home / "cluster.lock"):
        return given_urls(
            settings.database_url or "",
            read_credentials(folder.credentials),
            timeout_ms=settings.statement_timeout_ms,
        )


def _private(settings: DatabaseSettings, folder: Folder, on_step: OnStep | None, *, fsync: bool) -> tuple[Urls, bool]:
    say = on_step or (lambda _en, _zh: None)
    found, started = server.settle(folder), False
    if found is None:
        check_disk(settings, folder)
        made = server.is_made(folder)
        programs = server.programs_for(settings, folder)
        server.check_port(settings)
        if not made:
            say(
                f"Making a PostgreSQL {programs.version} cluster in {folder.home}",
                f"在 {folder.home} 中创建 PostgreSQL {programs.version} 集群",
            )
            server.init(folder, programs, fsync=fsync)
        say("Starting the database", "启动数据库")
        found, started = server.start(settings, folder, programs, fsync=fsync), True
    credentials = read_credentials(folder.credentials)
    urls = urls_of(found, credentials)
    if any(logs_in(url) for url in (urls.owner, urls.writer, urls.reader, urls.jobs)):
        say("Making the database and its four roles", "创建数据库及四个角色")
        _make_database(found, credentials, settings)
    with connect(server.admin_url(found, DATABASE), application_name="geocloud setup") as conn:
        prepare_extension(conn)
        prepare_routing(conn)
        with conn.cursor() as cur:
            cur.execute(
                sql.SQL("ALTER ROLE {} SET statement_timeout = {}").format(
                    sql.Identifier(READER), sql.Literal(str(settings.statement_timeout_ms))
                )
            )
    return urls, started


def urls_of(found: server.Running, credentials: Credentials) -> Urls:
    """URLs of a running private server."""
    base = make_url("", host=found.socket_dir, port=str(found.port), dbname=DATABASE)
    return Urls(
        make_url(base, user=OWNER, password=credentials.owner),
        make_url(base, user=WRITER, password=credentials.writer),
        make_url(base, user=READER, password=credentials.reader),
        make_url(base, user=JOBS, password=credentials.jobs),
    )


def _make_database(found: server.Running, credentials: Credentials, settings: DatabaseSettings) -> None:
    with connect(server.admin_url(found), application_name="geocloud setup", autocommit=True) as conn:
        set_login(conn, OWNER, credentials.owner, group=None, timeout_ms=None)
        set_login(conn, WRITER, credentials.writer, group=None, timeout_ms=None)
        set_login(conn, READER, credentials.reader, group=None, timeout_ms=settings.statement_timeout_ms)
        set_login(conn, JOBS, credentials.jobs, group=None, timeout_ms=None)
        with conn.cursor() as cur:
            cur.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
            if cur.fetchone() is None:
                cur.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER))
                )
        open_database(conn, DATABASE)


def _leave(settings: DatabaseSettings, folder: Folder, use: int) -> None:
    fcntl.flock(use, fcntl.LOCK_UN)
    if (folder.home / "keep").exists() or server.running(folder) is None:
        return
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    server.stop(folder, server.programs_for(settings, folder))


def _waiting(on_step: OnStep | None) -> Callable[[], None] | None:
    if on_step is None:
        return None
    return lambda: on_step("Waiting for another geocloud command", "等待另一个 geocloud 命令")
