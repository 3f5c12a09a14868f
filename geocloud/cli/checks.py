# SPDX-License-Identifier: Apache-2.0
"""The checks of `geocloud doctor`, one function each; a check that raises becomes a failure with its sentence."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import psutil
import psycopg2

from geocloud.cli.serving import check_web_port, listens
from geocloud.db import cluster, server
from geocloud.db.folder import Folder, check_disk, holder, open_folder
from geocloud.db.given import check_version, derive_urls, has_routing
from geocloud.db.memory import machine
from geocloud.db.migrate import applied, numbered_sql
from geocloud.db.pool import connect, translate
from geocloud.db.programs import find_programs, installed_programs
from geocloud.db.roles import logs_in, read_credentials
from geocloud.errors import GeocloudError
from geocloud.settings import Settings

__all__ = ["Finding", "examine"]


@dataclass(frozen=True)
class Finding:
    """What one check found. `note` is something to know, `fail` keeps `up` from working; 0 is no failure's code."""

    check: str
    title: str
    title_zh: str
    state: Literal["ok", "note", "fail"]
    en: str
    zh: str
    todo_en: str = ""
    todo_zh: str = ""
    exit_code: int = 0


Said = tuple[Literal["ok", "note"], str, str]


def examine(settings: Settings) -> list[Finding]:
    """All checks in order; those of the database are left out when it is not running."""
    found: list[Finding] = []

    def run(check: str, title: str, title_zh: str, ask: Callable[[], Said]) -> bool:
        try:
            state, en, zh = ask()
        except (GeocloudError, psycopg2.Error, OSError) as exc:
            e = translate(exc)
            found.append(Finding(check, title, title_zh, "fail", e.en, e.zh, e.todo_en, e.todo_zh, e.exit_code))
            return False
        found.append(Finding(check, title, title_zh, state, en, zh))
        return True

    run("machine", "machine", "本机", _machine)
    if settings.database.database_url is None:
        run("packages", "PostgreSQL, PostGIS", "PostgreSQL、PostGIS", lambda: _packages(settings))
    run("folder", "data folder", "数据目录", lambda: _folder(settings))
    run("web-port", "web port", "网站端口", lambda: _web_port(settings))
    urls: list[cluster.Urls] = []
    run("database", "database", "数据库", lambda: _database(settings, urls))
    if urls:
        run("roles", "roles", "角色", lambda: _roles(urls[0]))
        run("version", "versions", "版本", lambda: _versions(urls[0]))
        run("routing", "pgRouting", "pgRouting", lambda: _routing(urls[0]))
        if run("migrations", "migrations", "迁移", lambda: _migrations(urls[0])):
            run("catalogue", "layers", "图层", lambda: _catalogue(settings, urls[0]))
    else:
        run("catalogue", "layer definitions", "图层定义", lambda: _definitions(settings))
    return found


def _machine() -> Said:
    memory = psutil.virtual_memory()
    cpus = psutil.cpu_count() or 1
    text = f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {cpus} CPU"
    text += f", {memory.total >> 20} MB"
    state: Literal["ok", "note"] = "ok" if memory.total >> 20 >= 2000 else "note"
    return state, text, text


def _packages(settings: Settings) -> Said:
    folder = settings.database.postgres_dir
    chosen = (
        server.programs_for(settings.database, _open(settings))
        if settings.database.home.exists()
        else find_programs(folder)
    )
    postgis = ".".join(map(str, chosen.postgis or ()))
    text = f"PostgreSQL {chosen.version}, PostGIS {postgis}, {chosen.folder}"
    others = [p.version for p in installed_programs(folder) if p.folder != chosen.folder]
    return "ok", text + (f" (also {', '.join(others)})" if others else ""), text


def _folder(settings: Settings) -> Said:
    home = settings.database.home
    if not home.exists():
        return "note", f"{home} is not there yet; `geocloud up` makes it.", f"{home} 尚不存在;`geocloud up` 会创建。"
    folder = _open(settings)
    check_disk(settings.database, folder)
    free = machine(home).free_disk_mb
    up = holder(folder)
    held, held_zh = (f", held by `up` (process {up})", f",由 `up`(进程 {up})占用") if up else ("", "")
    name = folder.account.name
    return "ok", f"{home}, {free} MB free, account {name}{held}", f"{home},剩余 {free} MB,账户 {name}{held_zh}"


def _web_port(settings: Settings) -> Said:
    web = settings.web
    where = f"{web.host}:{web.port}"
    if settings.database.home.exists() and holder(_open(settings)) is not None and listens(web):
        return "ok", f"{where} is served by this data folder's `up`.", f"{where} 由本数据目录的 `up` 提供服务。"
    check_web_port(web)
    return "ok", f"{where} is free.", f"{where} 空闲。"


def _database(settings: Settings, urls: list[cluster.Urls]) -> Said:
    database = settings.database
    if database.database_url:
        with connect(database.database_url, application_name="geocloud doctor") as conn, conn.cursor() as cur:
            check_version(conn)
            cur.execute("SELECT session_user::text")
            me = str((cur.fetchone() or ("",))[0])
        if database.home.exists() and _open(settings).credentials.exists():
            derived = derive_urls(database.database_url, read_credentials(_open(settings).credentials), me)
            if logs_in(derived.owner) is None and logs_in(derived.reader) is None:
                urls.append(derived)
                return "ok", f"The given URL answers, as {me}.", f"所给 URL 可连接,角色 {me}。"
        return (
            "note",
            f"The given URL answers, as {me}; `geocloud up` has not prepared the database yet.",
            f"所给 URL 可连接,角色 {me};数据库尚未由 `geocloud up` 准备。",
        )
    state = cluster.status(database)
    if state.state != "running":
        server.check_port(database)
        port = database.database_port
        return (
            "note",
            f"The private cluster is {state.state}; port {port} is free for it. `geocloud up` starts it.",
            f"私有集群未运行;端口 {port} 空闲。`geocloud up` 会启动它。",
        )
    found = server.running(_open(settings))
    assert found is not None
    urls.append(cluster.urls_of(found, read_credentials(_open(settings).credentials)))
    size = (state.bytes or 0) >> 20
    text = f"PID {state.pid}, 127.0.0.1:{state.port}, {found.socket_dir}, {size} MB"
    return "ok", text, text


def _roles(urls: cluster.Urls) -> Said:
    for url, may_write in ((urls.owner, True), (urls.writer, True), (urls.reader, False)):
        with connect(url, application_name="geocloud doctor") as conn, conn.cursor() as cur:
            cur.execute("SHOW default_transaction_read_only")
            if (cur.fetchone() == ("on",)) is may_write:
                return "note", "The reader role may write.", "只读角色未设为只读。"
    with connect(urls.jobs, application_name="geocloud doctor"):
        pass
    return (
        "ok",
        "owner, writer, reader and jobs log in; the reader is read-only.",
        "所有者、写入、只读、作业四个角色均可登录。",
    )


def _versions(urls: cluster.Urls) -> Said:
    with connect(urls.reader, application_name="geocloud doctor") as conn, conn.cursor() as cur:
        cur.execute(
            "SELECT current_setting('server_version'), public.postgis_full_version(), "
            "current_setting('data_checksums'), current_setting('fsync')"
        )
        version, postgis, checksums, fsync = cur.fetchone() or ("", "", "", "")
    text = f"PostgreSQL {version}, {postgis}, checksums {checksums}, fsync {fsync}"
    return ("ok" if checksums == fsync == "on" else "note"), text, text


def _routing(urls: cluster.Urls) -> Said:
    with connect(urls.reader, application_name="geocloud doctor") as conn:
        version = has_routing(conn)
    if version is None:
        return (
            "note",
            "Not in the database: nothing is found along roads. Install postgresql-<version>-pgrouting and run "
            "`geocloud up`.",
            "数据库中没有:按道路计算的功能不可用。请安装 postgresql-<版本>-pgrouting 后运行 `geocloud up`。",
        )
    return "ok", version, version


def _migrations(urls: cluster.Urls) -> Said:
    done, known = applied(urls.owner), numbered_sql()
    missing = [f"{m.number:03}_{m.name}" for m in known if m.number not in done]
    changed = [f"{m.number:03}_{m.name}" for m in known if m.number in done and done[m.number][1] != m.sha256]
    if missing or changed:
        text = ", ".join(missing + changed)
        return "note", f"Not as in this software: {text}; `geocloud up`.", f"与本软件不一致:{text};`geocloud up`。"
    return "ok", f"All {len(known)} are applied.", f"{len(known)} 个均已应用。"


def _catalogue(settings: Settings, urls: cluster.Urls) -> Said:
    from geocloud.catalogue.publish import plan_sync
    from geocloud.sectors.registry import definitions

    layers, _ = definitions(settings.city)
    with connect(urls.owner, application_name="geocloud doctor") as conn, conn.cursor() as cur:
        steps = plan_sync(conn, layers)
        cur.execute("SELECT count(*), coalesce(sum(row_count), 0) FROM geocloud.layer_state")
        published, rows = cur.fetchone() or (0, 0)
    if steps:
        return (
            "note",
            f"{len(steps)} steps from the database to the definitions; `geocloud layers sync --dry-run` lists them.",
            f"数据库与图层定义相差 {len(steps)} 步;`geocloud layers sync --dry-run` 可列出。",
        )
    return "ok", f"{published} published, {rows} rows", f"已发布 {published} 个图层,共 {rows} 行"


def _definitions(settings: Settings) -> Said:
    from geocloud.sectors.registry import definitions

    layers, codes = definitions(settings.city)
    return "ok", f"{len(layers)} layers, {len(codes)} code lists", f"{len(layers)} 个图层,{len(codes)} 个代码表"


def _open(settings: Settings) -> Folder:
    return open_folder(settings.database, create=False)
