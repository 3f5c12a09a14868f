# SPDX-License-Identifier: Apache-2.0
"""Brings a database to this version: the numbered files of geocloud/sql that it lacks, in one transaction."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import psycopg2
from psycopg2.extensions import cursor

from geocloud.db.pool import connect, is_infrastructure
from geocloud.errors import DatabaseError, WrongVersion

__all__ = ["Migration", "applied", "migrate", "numbered_sql"]

# Key of the advisory lock that lets one migration run at a time in a database.
_LOCK = 0x6765_6F00

# How long a migration waits for a table that somebody else is using.
_LOCK_TIMEOUT_S = 60

_NAME = re.compile(r"(\d{3})_(\w+)\.sql")


@dataclass(frozen=True)
class Migration:
    """One numbered SQL file."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def numbered_sql() -> list[Migration]:
    """This version's SQL files by number; numbers start at 1 and have no gap."""
    found = []
    for file in files("geocloud").joinpath("sql").iterdir():
        match = _NAME.fullmatch(file.name)
        if match:
            found.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    found.sort(key=lambda m: m.number)
    if [m.number for m in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"geocloud/sql is not numbered 1 to n: {[m.number for m in found]}")
    return found


def migrate(owner_url: str, source: Sequence[Migration] | None = None) -> list[str]:
    """Applies what is missing and returns the names of the files applied, like `003_time`.

    All in one transaction: the database is as before or as after. Waits for a migration that is already running.
    `source` defaults to this version's files. Raises WrongVersion when the database is newer than they are, or when a
    file was changed after it had been applied; DatabaseError when the role may not do the work.
    """
    wanted = list(numbered_sql() if source is None else source)
    with connect(owner_url, application_name="geocloud migrate") as conn, conn.cursor() as cur:
        cur.execute("SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        done = _applied(cur)
        _check(done, wanted)
        pending = [m for m in wanted if m.number not in done]
        cur.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_S}s'")
        for m in pending:
            _apply(cur, m)
        return [f"{m.number:03}_{m.name}" for m in pending]


def applied(owner_url: str) -> dict[int, tuple[str, str]]:
    """What the database has: number to (name, sha256); empty for a database never migrated."""
    with connect(owner_url, application_name="geocloud migrate") as conn, conn.cursor() as cur:
        return _applied(cur)


def _applied(cur: cursor) -> dict[int, tuple[str, str]]:
    cur.execute("SELECT to_regclass('geocloud.migration') IS NOT NULL")
    if cur.fetchone() != (True,):
        return {}
    cur.execute("SELECT number, name, sha256 FROM geocloud.migration")
    return {number: (name, sha256) for number, name, sha256 in cur.fetchall()}


def _check(done: dict[int, tuple[str, str]], wanted: list[Migration]) -> None:
    last = max((m.number for m in wanted), default=0)
    newer = sorted(n for n in done if n > last)
    if newer:
        raise WrongVersion(
            f"The database is newer than this software: it has migration {newer[-1]:03} ({done[newer[-1]][0]}), "
            f"the software knows up to {last:03}.",
            f"数据库比本软件新:已应用迁移 {newer[-1]:03}({done[newer[-1]][0]}),本软件只到 {last:03}。",
            todo_en="Install the newer version of geocloud again, or use another database.",
            todo_zh="请重新安装较新版本的 geocloud,或使用其他数据库。",
            database=newer[-1],
            software=last,
        )
    for m in wanted:
        if m.number in done and done[m.number][1] != m.sha256:
            raise WrongVersion(
                f"Migration {m.number:03}_{m.name} was changed after this database had applied it.",
                f"迁移 {m.number:03}_{m.name} 在应用到本数据库之后被修改过。",
                todo_en="Put the file back as it was and make the change in a new numbered file; a database with "
                "nothing to keep can be made anew in another GEOCLOUD_HOME.",
                todo_zh="请恢复该文件,并在新的编号文件中作修改;若数据库无需保留,可换一个 GEOCLOUD_HOME 重建。",
                migration=m.number,
            )


def _apply(cur: cursor, m: Migration) -> None:
    try:
        cur.execute(m.text)
        cur.execute("SELECT to_regclass('geocloud.migration') IS NULL")
        if cur.fetchone() == (True,):
            cur.execute(files("geocloud").joinpath("sql/migration.sql").read_text("utf-8"))
        cur.execute(
            "INSERT INTO geocloud.migration (number, name, sha256) VALUES (%s, %s, %s)", (m.number, m.name, m.sha256)
        )
    except psycopg2.errors.LockNotAvailable:
        raise DatabaseError(
            f"Migration {m.number:03}_{m.name} waited {_LOCK_TIMEOUT_S} s for a table that is in use.",
            f"迁移 {m.number:03}_{m.name} 等待 {_LOCK_TIMEOUT_S} 秒后,所需的表仍在使用。",
            todo_en="Nothing was changed. Stop servers of the old version and open sessions on this database, then "
            "run this again.",
            todo_zh="未作任何更改。请停止旧版本的服务器并关闭本数据库上未结束的会话,然后重试。",
            migration=m.number,
        ) from None
    except psycopg2.Error as exc:
        if is_infrastructure(exc):
            raise
        said = " ".join(str(exc.diag.message_primary).split())
        raise DatabaseError(
            f"Migration {m.number:03}_{m.name} cannot be applied: {said}.",
            f"无法应用迁移 {m.number:03}_{m.name}:{said}。",
            todo_en="Nothing was changed. Use a database of its own for geocloud, whose URL names its owner.",
            todo_zh="未作任何更改。请为 geocloud 使用单独的数据库,并以其所有者的 URL 连接。",
            migration=m.number,
            sqlstate=exc.pgcode,
        ) from exc
