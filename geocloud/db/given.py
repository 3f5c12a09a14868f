# SPDX-License-Identifier: Apache-2.0
"""A database that GEOCLOUD_DATABASE_URL names: checked, its roles made, its logins kept in the data folder."""

from __future__ import annotations

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection, parse_dsn

from geocloud.db.pool import connect, translate
from geocloud.db.programs import POSTGIS_MIN, POSTGRES_MIN
from geocloud.db.roles import (
    JOBS,
    OWNER,
    READER,
    ROLES,
    WRITER,
    Credentials,
    Urls,
    logs_in,
    make_url,
    open_database,
    set_login,
)
from geocloud.errors import DatabaseError, MissingPackages, SettingsError, WrongVersion

__all__ = ["check_version", "derive_urls", "given_urls", "has_routing", "prepare_extension", "prepare_routing"]

ROUTING_MIN = (3, 4)
"""pgRouting whose functions give back the columns that are read (路网计算)."""


def given_urls(url: str, credentials: Credentials, *, timeout_ms: int) -> Urls:
    """URLs of the four roles in a given database.

    Its own role becomes a member of geocloud_owner and works as that role, so that everything made belongs to
    geocloud_owner whoever ran the command. Raises WrongVersion, MissingPackages, or DatabaseError when the role may
    not do what is needed.
    """
    try:
        parse_dsn(url)
    except psycopg2.ProgrammingError as exc:
        raise SettingsError(
            f"GEOCLOUD_DATABASE_URL is not a PostgreSQL URL: {str(exc).strip()}.",
            f"GEOCLOUD_DATABASE_URL 不是 PostgreSQL 的 URL:{str(exc).strip()}。",
            todo_en="Write it as postgresql://user:password@host:5432/database.",
            todo_zh="写法:postgresql://用户:密码@主机:5432/数据库。",
        ) from None
    logins = _logins(credentials)
    with connect(url, application_name="geocloud setup") as conn:
        me, database = _who(conn)
        check_version(conn)
        prepare_extension(conn)
        prepare_routing(conn)
        urls = derive_urls(url, credentials, me)
        if (
            not _is_ready(conn, me, database, [name for name, _ in logins.values()])
            or logs_in(urls.reader)
            or logs_in(urls.jobs)
        ):
            try:
                _make_roles(conn, me, database)
                for group, (name, password) in logins.items():
                    set_login(conn, name, password, group=group, timeout_ms=timeout_ms if group == READER else None)
            except psycopg2.errors.InsufficientPrivilege as exc:
                raise _may_not(me, database, exc) from exc
    refused = logs_in(urls.reader) or logs_in(urls.writer) or logs_in(urls.jobs)
    if refused is not None:
        said = " ".join(str(refused).split())
        raise DatabaseError(
            f"The roles made for geocloud cannot log in to the given database: {said}.",
            f"为 geocloud 建立的角色无法登录所给数据库:{said}。",
            todo_en="Allow scram-sha-256 for them in the server's pg_hba.conf; a socket URL usually means peer, "
            "so name a host (127.0.0.1) in GEOCLOUD_DATABASE_URL.",
            todo_zh="请在服务器的 pg_hba.conf 中允许其以 scram-sha-256 登录;套接字 URL 通常为 peer 认证,"
            "可在 GEOCLOUD_DATABASE_URL 中写明主机(127.0.0.1)。",
        )
    return urls


def derive_urls(url: str, credentials: Credentials, me: str) -> Urls:
    """URLs of the four roles made from the given one; `me` is the role it logs in as. Nothing is asked or made."""
    logins = _logins(credentials)
    return Urls(
        make_url(url, options=_options(parse_dsn(url), me)),
        make_url(url, user=logins[WRITER][0], password=logins[WRITER][1]),
        make_url(url, user=logins[READER][0], password=logins[READER][1]),
        make_url(url, user=logins[JOBS][0], password=logins[JOBS][1]),
    )


def check_version(conn: connection) -> None:
    """Raises WrongVersion for a PostgreSQL that is too old or a database that is not in UTF-8."""
    if conn.server_version < POSTGRES_MIN * 10_000:
        has = f"{conn.server_version // 10_000}.{conn.server_version % 10_000}"
        raise WrongVersion(
            f"The database runs PostgreSQL {has}: version {POSTGRES_MIN} or newer is needed.",
            f"数据库为 PostgreSQL {has}:需要 {POSTGRES_MIN} 或更高版本。",
            todo_en="Upgrade the server, or unset GEOCLOUD_DATABASE_URL to use a private cluster.",
            todo_zh="请升级服务器,或取消 GEOCLOUD_DATABASE_URL 改用私有集群。",
            installed=has,
        )
    with conn.cursor() as cur:
        cur.execute("SHOW server_encoding")
        encoding = str((cur.fetchone() or ("",))[0])
    if encoding != "UTF8":
        raise WrongVersion(
            f"The database's encoding is {encoding}; UTF8 is needed.",
            f"数据库编码为 {encoding};需要 UTF8。",
            todo_en="Create it anew with `createdb --encoding=UTF8 --template=template0 NAME`.",
            todo_zh="请用 `createdb --encoding=UTF8 --template=template0 名称` 重新创建。",
        )


def prepare_extension(conn: connection) -> None:
    """Makes or upgrades the postgis extension of a database, and checks its version."""
    with conn.cursor() as cur:
        cur.execute("SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'postgis'")
        default, installed = cur.fetchone() or (None, None)
        if default is None:
            raise _no_postgis(conn)
        try:
            if installed is None:
                cur.execute("CREATE EXTENSION postgis SCHEMA public")
                installed = default
            elif _number(installed) < POSTGIS_MIN and _number(default) >= POSTGIS_MIN:
                cur.execute("ALTER EXTENSION postgis UPDATE")
                installed = default
        except psycopg2.errors.UndefinedFile as exc:
            raise _no_postgis(conn) from exc
        except psycopg2.errors.InsufficientPrivilege as exc:
            raise DatabaseError(
                "The extension postgis is missing or too old in the database, and this role may not install it.",
                "数据库中缺少 postgis 扩展或版本过低,而当前角色无权安装。",
                todo_en="Have a superuser run `CREATE EXTENSION postgis` (or `ALTER EXTENSION postgis UPDATE`) there.",
                todo_zh="请由超级用户在该库执行 `CREATE EXTENSION postgis`(或 `ALTER EXTENSION postgis UPDATE`)。",
            ) from exc
    if _number(installed) < POSTGIS_MIN:
        need = ".".join(map(str, POSTGIS_MIN))
        raise WrongVersion(
            f"PostGIS {installed} of the database is too old: version {need} or newer is needed.",
            f"数据库的 PostGIS {installed} 版本过低:需要 {need} 或更高版本。",
            todo_en="Upgrade PostGIS on the server and run `ALTER EXTENSION postgis UPDATE`.",
            todo_zh="请在服务器上升级 PostGIS 并执行 `ALTER EXTENSION postgis UPDATE`。",
            installed=installed,
        )


def prepare_routing(conn: connection) -> None:
    """Makes or upgrades the extension pgrouting where the server has it and this role may; nothing fails without it.

    Only what goes along roads needs it, and says so (`geocloud.network`).
    """
    with conn.cursor() as cur:
        cur.execute("SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'pgrouting'")
        default, installed = cur.fetchone() or (None, None)
        if default is None or _number(default) < ROUTING_MIN:
            return
        if installed is not None and _number(installed) >= ROUTING_MIN:
            return
        cur.execute("SAVEPOINT routing")
        try:
            if installed is None:
                cur.execute("CREATE EXTENSION pgrouting SCHEMA public")
            else:
                cur.execute("ALTER EXTENSION pgrouting UPDATE")
        except (psycopg2.errors.InsufficientPrivilege, psycopg2.errors.UndefinedFile):
            cur.execute("ROLLBACK TO SAVEPOINT routing")


def has_routing(conn: connection) -> str | None:
    """Version of pgRouting in the database; None where there is none that is new enough."""
    with conn.cursor() as cur:
        cur.execute("SELECT extversion FROM pg_extension WHERE extname = 'pgrouting'")
        found = (cur.fetchone() or (None,))[0]
    return str(found) if found is not None and _number(found) >= ROUTING_MIN else None


def _no_postgis(conn: connection) -> MissingPackages:
    package = f"postgresql-{conn.server_version // 10_000}-postgis-3"
    return MissingPackages(
        "PostGIS is not installed on the database server.",
        "数据库服务器未安装 PostGIS。",
        todo_en=f"Install the package {package} there.",
        todo_zh=f"请在该服务器上安装软件包 {package}。",
        packages=[package],
    )


def _logins(credentials: Credentials) -> dict[str, tuple[str, str]]:
    return {
        WRITER: (f"{WRITER}_{credentials.tag}", credentials.writer),
        READER: (f"{READER}_{credentials.tag}", credentials.reader),
        JOBS: (f"{JOBS}_{credentials.tag}", credentials.jobs),
    }


def _number(version: str) -> tuple[int, int]:
    major, minor, *_ = [*version.split("."), "0"]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)


def _who(conn: connection) -> tuple[str, str]:
    with conn.cursor() as cur:
        cur.execute("SELECT session_user::text, current_database()::text")
        me, database = cur.fetchone() or ("", "")
    return me, database


def _options(parts: dict[str, str], me: str) -> str | None:
    had = parts.get("options", "")
    return had or None if me == OWNER else f"{had} -c role={OWNER}".strip()


def _is_ready(conn: connection, me: str, database: str, logins: list[str]) -> bool:
    with conn.cursor() as cur:
        cur.execute("SELECT count(*) FROM pg_roles WHERE rolname = ANY(%s)", ([*ROLES, *logins],))
        if cur.fetchone() != (len(ROLES) + len(logins),):
            return False
        cur.execute(
            "SELECT pg_has_role(%s, %s, %s) AND has_database_privilege(%s, %s, 'CREATE')",
            (me, OWNER, _membership(conn), OWNER, database),
        )
        return bool(cur.fetchone() == (True,))


def _membership(conn: connection) -> str:
    # Since version 16 a member may be one that cannot SET ROLE.
    return "SET" if conn.server_version >= 160_000 else "MEMBER"


def _make_roles(conn: connection, me: str, database: str) -> None:
    with conn.cursor() as cur:
        for role in ROLES:
            cur.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
            if cur.fetchone() is None:
                cur.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        cur.execute("SELECT pg_has_role(%s, %s, %s)", (me, OWNER, _membership(conn)))
        if cur.fetchone() != (True,):
            cur.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(OWNER), sql.Identifier(me)))
        open_database(conn, database)
        cur.execute("SELECT has_database_privilege(%s, %s, 'CREATE')", (OWNER, database))
        if cur.fetchone() != (True,):
            raise _may_not(me, database, None)
        roles = sql.SQL(", ").join(map(sql.Identifier, ROLES))
        cur.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(roles))


def _may_not(me: str, database: str, exc: psycopg2.Error | None) -> DatabaseError:
    said = translate(exc).context["said"] if exc is not None else "it does not own the database"
    return DatabaseError(
        f"The role {me} may not prepare the database {database} for geocloud: {said}.",
        f"角色 {me} 无权为 geocloud 准备数据库 {database}:{said}。",
        todo_en=f'Have a superuser run `ALTER ROLE "{me}" CREATEROLE` and '
        f'`ALTER DATABASE "{database}" OWNER TO "{me}"`.',
        todo_zh=f'请由超级用户执行 `ALTER ROLE "{me}" CREATEROLE` 和 `ALTER DATABASE "{database}" OWNER TO "{me}"`。',
    )
