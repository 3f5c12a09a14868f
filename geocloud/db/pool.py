# SPDX-License-Identifier: Apache-2.0
"""Connections, and the one translator of database errors to the error family."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import psycopg2
import psycopg2.extensions

from geocloud.errors import DatabaseError, DiskFull, GeocloudError
from geocloud.settings import DatabaseSettings, EditSettings

__all__ = ["connect", "is_infrastructure", "jobs_pool", "reader_pool", "translate", "writer_pool"]

_CONNECT_TIMEOUT_S = 10


@contextmanager
def connect(url: str, *, application_name: str, autocommit: bool = False) -> Iterator[psycopg2.extensions.connection]:
    """A psycopg2 connection: committed when the block ends, rolled back when it raises, always closed.

    A DatabaseError of the family stands for what no caller can mend (refused, cut off, disk full); other
    psycopg2 errors, such as a violated constraint, pass as they are.
    """
    conn = None
    try:
        conn = psycopg2.connect(
            url, application_name=application_name, connect_timeout=_CONNECT_TIMEOUT_S, client_encoding="UTF8"
        )
        conn.autocommit = autocommit
        yield conn
        if not autocommit:
            conn.commit()
    except psycopg2.Error as exc:
        if conn is None or is_infrastructure(exc):
            raise translate(exc) from exc
        raise
    finally:
        if conn is not None:
            conn.close()


async def reader_pool(url: str, settings: DatabaseSettings) -> asyncpg.Pool:
    """An asyncpg pool of the reader role: read-only, no JIT, statements cut off at the named time limit.

    Prepared statements are kept for as long as a connection lives. A connection goes back to the pool without
    a `RESET ALL` round trip, so what it sets must be `SET LOCAL`.
    """
    try:
        return await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=settings.pool_size,
            max_queries=10_000_000,
            max_inactive_connection_lifetime=0,
            max_cached_statement_lifetime=0,
            statement_cache_size=1_000,
            timeout=_CONNECT_TIMEOUT_S,
            reset=_keep_session,
            server_settings={
                "application_name": "geocloud web",
                "jit": "off",
                "default_transaction_read_only": "on",
                "statement_timeout": str(settings.statement_timeout_ms),
                "timezone": "UTC",
            },
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as exc:
        raise translate(exc) from exc


async def writer_pool(url: str, settings: DatabaseSettings, edit: EditSettings) -> asyncpg.Pool:
    """An asyncpg pool of the writer role: a statement that has returned is on disk, and none waits long for a lock."""
    try:
        return await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=edit.edit_pool_size,
            max_queries=10_000_000,
            max_inactive_connection_lifetime=0,
            max_cached_statement_lifetime=0,
            timeout=_CONNECT_TIMEOUT_S,
            reset=_keep_session,
            server_settings={
                "application_name": "geocloud edit",
                "jit": "off",
                "synchronous_commit": "on",
                "statement_timeout": str(settings.statement_timeout_ms),
                "lock_timeout": str(edit.edit_wait_ms),
                "timezone": "UTC",
            },
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as exc:
        raise translate(exc) from exc


async def jobs_pool(url: str, settings: DatabaseSettings) -> asyncpg.Pool:
    """An asyncpg pool of the jobs role: a few connections, made when they are needed; one of them listens."""
    try:
        return await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=3,
            timeout=_CONNECT_TIMEOUT_S,
            reset=_keep_session,
            server_settings={
                "application_name": "geocloud jobs",
                "jit": "off",
                "statement_timeout": str(settings.statement_timeout_ms),
                "timezone": "UTC",
            },
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as exc:
        raise translate(exc) from exc


async def _keep_session(_conn: asyncpg.Connection) -> None:
    """In place of asyncpg's reset query; asyncpg itself has already ended an open transaction."""


def is_infrastructure(exc: BaseException) -> bool:
    """Whether an error is about the server, its disk or the connection, not about the statement."""
    state = _sqlstate(exc)
    if state is None:
        return isinstance(exc, OSError | psycopg2.OperationalError | psycopg2.InterfaceError)
    return state[:2] in ("08", "53", "58") or state in ("57P01", "57P02", "57P03", "28P01", "28000", "3D000")


def translate(exc: BaseException) -> GeocloudError:
    """The error of the family that a psycopg2 or asyncpg error stands for; an error of the family as it is.

    The database's own words go into `context` for the log, never into the sentence, but for errors about
    reaching it, where host and port help and no SQL is in them.
    """
    if isinstance(exc, GeocloudError):
        return exc
    state, said = _sqlstate(exc), " ".join(str(exc).split())
    facts: dict[str, Any] = {"sqlstate": state, "said": said}
    if state == "53100" or "No space left on device" in said:
        return DiskFull(
            "The disk that holds the database is full.",
            "数据库所在磁盘已满。",
            todo_en="Free some room, then run the command again; what was begun has been rolled back.",
            todo_zh="请清理磁盘后重新运行;未完成的操作已回滚。",
            **facts,
        )
    for states, words, (en, zh, todo_en, todo_zh) in _FAMILIES:
        if (state is not None and state.startswith(states)) or (state is None and any(w in said for w in words)):
            return DatabaseError(en, zh, todo_en=todo_en, todo_zh=todo_zh, **facts)
    if state is None and isinstance(exc, OSError | psycopg2.OperationalError | psycopg2.InterfaceError):
        return DatabaseError(
            f"The database cannot be reached: {said}.",
            f"无法连接数据库:{said}。",
            todo_en="Start it with `geocloud up`, or check GEOCLOUD_DATABASE_URL; `geocloud doctor` finds the cause.",
            todo_zh="请用 `geocloud up` 启动,或检查 GEOCLOUD_DATABASE_URL;`geocloud doctor` 可查看原因。",
            **facts,
        )
    return DatabaseError(
        f"The database refused the work (SQLSTATE {state or 'unknown'}).",
        f"数据库拒绝了该操作(SQLSTATE {state or '未知'})。",
        todo_en="The database's log in the data folder has the details.",
        todo_zh="详情见数据目录中的数据库日志。",
        **facts,
    )


def _sqlstate(exc: BaseException) -> str | None:
    state = getattr(exc, "pgcode", None) or getattr(exc, "sqlstate", None)
    return state if isinstance(state, str) else None


# SQLSTATE prefixes, words of errors that come without one, and the sentence.
_FAMILIES: tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[str, str, str, str]], ...] = (
    (
        ("28",),
        ("authentication failed", "no pg_hba.conf entry", 'FATAL: role "'),
        (
            "The database refused the user name or password.",
            "数据库拒绝了用户名或密码。",
            "Check the user and password in GEOCLOUD_DATABASE_URL and the server's pg_hba.conf.",
            "请检查 GEOCLOUD_DATABASE_URL 中的用户名与密码,以及服务器的 pg_hba.conf。",
        ),
    ),
    (
        ("3D000",),
        ('FATAL: database "',),
        (
            "The database named in the URL does not exist.",
            "URL 中指定的数据库不存在。",
            "Create it (`createdb NAME`) or correct GEOCLOUD_DATABASE_URL.",
            "请先创建(`createdb 名称`),或更正 GEOCLOUD_DATABASE_URL。",
        ),
    ),
    (
        ("53300",),
        ("too many clients", "remaining connection slots"),
        (
            "The database has no connection left to give.",
            "数据库连接数已用尽。",
            "Lower GEOCLOUD_WORKERS or GEOCLOUD_POOL_SIZE, or raise max_connections of the server.",
            "请调低 GEOCLOUD_WORKERS 或 GEOCLOUD_POOL_SIZE,或调高服务器的 max_connections。",
        ),
    ),
    (
        ("53200",),
        (),
        (
            "The database ran out of memory.",
            "数据库内存不足。",
            "Lower GEOCLOUD_DATABASE_MEMORY_MB and start it again.",
            "请调低 GEOCLOUD_DATABASE_MEMORY_MB 后重新启动。",
        ),
    ),
    (
        ("57014",),
        (),
        (
            "The statement took longer than allowed and was stopped.",
            "语句超时,已被终止。",
            "Ask for less at a time, or raise GEOCLOUD_STATEMENT_TIMEOUT_MS.",
            "请缩小查询范围,或调高 GEOCLOUD_STATEMENT_TIMEOUT_MS。",
        ),
    ),
    (
        ("57P", "08"),
        ("server closed the connection", "connection already closed", "terminating connection"),
        (
            "The connection to the database was cut off.",
            "与数据库的连接已中断。",
            "Run the command again once the database is up; what was begun has been rolled back.",
            "请在数据库恢复后重新运行;未完成的操作已回滚。",
        ),
    ),
    (
        ("42501",),
        ("permission denied",),
        (
            "The database role may not do this.",
            "数据库角色无此权限。",
            "Use the owner's URL, or have the right granted; docs/operators.md names what each role needs.",
            "请使用所有者的 URL,或授予相应权限;各角色所需权限见 docs/operators.md。",
        ),
    ),
)
