# SPDX-License-Identifier: Apache-2.0
"""The private PostgreSQL server of a data folder: made, configured, started, stopped."""

from __future__ import annotations

import os
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from geocloud.db.folder import Folder
from geocloud.db.memory import machine, tuning
from geocloud.db.programs import Programs, find_programs
from geocloud.db.roles import make_url
from geocloud.errors import DatabaseError, DataFolderError, DiskFull, PortInUse
from geocloud.settings import DatabaseSettings

__all__ = [
    "ADMIN",
    "Running",
    "admin_url",
    "check_port",
    "init",
    "is_made",
    "programs_for",
    "running",
    "settle",
    "start",
    "stop",
]

ADMIN = "geocloud_admin"

# What PostgreSQL says when its files are the trouble.
_FOLDER_WORDS = ("ermission denied", "Read-only", "control file", "incompatible with server", "checkpoint record")

_HBA = f"""\
# Written by geocloud at every start.
local  all  {ADMIN}  peer map=geocloud
local  all  all  scram-sha-256
host   all  {ADMIN}  all  reject
host   all  all  127.0.0.1/32  scram-sha-256
"""


@dataclass(frozen=True)
class Running:
    """A server that is up: the port and socket folder it really has, whatever the settings say now."""

    pid: int
    port: int
    socket_dir: str


def programs_for(settings: DatabaseSettings, folder: Folder) -> Programs:
    """Programs that fit the data folder; the newest ones when there is no cluster yet."""
    try:
        said = (folder.data / "PG_VERSION").read_text().strip()
    except (FileNotFoundError, PermissionError):
        return find_programs(settings.postgres_dir)
    if not said.isdigit():
        raise DataFolderError(
            f"{folder.data} is not a cluster this software can read: its PG_VERSION says {said[:20]!r}.",
            f"{folder.data} 不是可识别的数据库集群:其 PG_VERSION 为 {said[:20]!r}。",
            todo_en="Restore the folder from a backup, or set GEOCLOUD_HOME to a new one.",
            todo_zh="请从备份恢复该目录,或把 GEOCLOUD_HOME 设为新目录。",
        )
    return find_programs(settings.postgres_dir, major=int(said))


def is_made(folder: Folder) -> bool:
    """Whether the folder has a cluster. DataFolderError when something else is in its place."""
    if (folder.data / "PG_VERSION").exists():
        return True
    if folder.data.is_dir() and any(folder.data.iterdir()):
        raise DataFolderError(
            f"{folder.data} holds files, but no PostgreSQL cluster.",
            f"{folder.data} 中有文件,但不是 PostgreSQL 集群。",
            todo_en="Restore it from a backup, or set GEOCLOUD_HOME to a new folder.",
            todo_zh="请从备份恢复,或把 GEOCLOUD_HOME 设为新目录。",
            folder=str(folder.data),
        )
    return False


def init(folder: Folder, programs: Programs, *, fsync: bool = True) -> None:
    """Makes the cluster: UTF-8, code point order, data checksums. It appears whole or not at all."""
    part = folder.data.with_name("data.part")
    shutil.rmtree(part, ignore_errors=True)
    args = [programs["initdb"], "-D", str(part), "-U", ADMIN, "--encoding=UTF8", "--data-checksums"]
    args += ["--auth-local=peer", "--auth-host=scram-sha-256", "--no-instructions"]
    args += [] if fsync else ["--no-sync"]
    code, said = -1, ""
    # Code point order is the same on every machine; C alone would not fold the case of non-ASCII letters.
    for locale in ("C.UTF-8", "C.utf8", "C"):
        code, said = folder.account.run([*args, f"--locale={locale}"], cwd=folder.home / "pg")
        if code == 0 or "invalid locale" not in said:
            break
        shutil.rmtree(part, ignore_errors=True)
    if code != 0:
        shutil.rmtree(part, ignore_errors=True)
        raise _failed("made", "创建", folder, said)
    part.rename(folder.data)


def start(settings: DatabaseSettings, folder: Folder, programs: Programs, *, fsync: bool) -> Running:
    """Configures the cluster for this machine and starts it; returns when it answers."""
    check_port(settings)
    try:
        _configure(settings, folder, programs, fsync=fsync)
        folder.startup_log.unlink(missing_ok=True)
    except OSError as exc:
        raise _failed("configured", "配置", folder, exc.strerror or str(exc)) from exc
    code, said = folder.account.run(
        [programs["pg_ctl"], "start", "-D", str(folder.data), "-l", str(folder.startup_log), "-w", "-t", "300", "-s"],
        cwd=folder.data,
        timeout=330,
    )
    found = running(folder)
    if code != 0 or found is None:
        raise _failed("started", "启动", folder, said + _log_tail(folder), port=settings.database_port)
    return found


def stop(folder: Folder, programs: Programs) -> None:
    """Stops the server: sessions are ended, what they had not committed is rolled back."""
    args = [programs["pg_ctl"], "stop", "-D", str(folder.data), "-m", "fast", "-w", "-t", "120", "-s"]
    code, said = folder.account.run(args, cwd=folder.data, timeout=150)
    if code != 0 and running(folder) is not None:
        raise _failed("stopped", "停止", folder, said)


def running(folder: Folder) -> Running | None:
    """The server that runs on this folder and answers, if one does."""
    found = _lock_file(folder)
    return found[0] if found is not None and found[1] in ("ready", "standby") else None


def settle(folder: Folder, *, seconds: float = 300) -> Running | None:
    """Like `running`, but waits for a server that is recovering, starting or stopping, and clears away the lock file
    that a crash of the machine left behind."""
    until = time.monotonic() + seconds
    while (found := _lock_file(folder)) is not None and found[1] not in ("ready", "standby"):
        if time.monotonic() > until:
            raise _failed("reached", "连接", folder, f"it has been {found[1]} for {seconds:.0f} s")
        time.sleep(0.05)
    if found is None:
        # Left as it is, it keeps PostgreSQL from starting once another program has the process number.
        (folder.data / "postmaster.pid").unlink(missing_ok=True)
        return None
    return found[0]


def _lock_file(folder: Folder) -> tuple[Running, str] | None:
    """The live server that postmaster.pid names, and its state."""
    try:
        lines = (folder.data / "postmaster.pid").read_text().splitlines()
        pid, port, socket_dir = int(lines[0]), int(lines[3]), lines[4].strip()
        process = psutil.Process(pid)
        # After a crash or a restart of the machine the number may be another program's.
        if process.name() not in ("postgres", "postmaster") or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError, psutil.Error):
        return None
    except IndexError:
        # A server in its first milliseconds has written its number only.
        return Running(pid, 0, ""), "starting"
    return Running(pid, port, socket_dir), lines[7].strip() if len(lines) > 7 else "starting"


def admin_url(server: Running, dbname: str = "postgres") -> str:
    """URL of the cluster's superuser, who logs in through the socket only, as the cluster's account or root."""
    return make_url("", user=ADMIN, host=server.socket_dir, port=str(server.port), dbname=dbname)


def check_port(settings: DatabaseSettings) -> None:
    """Raises PortInUse when something listens on the cluster's port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", settings.database_port))
        except OSError:
            raise _port_in_use(settings.database_port) from None


def _configure(settings: DatabaseSettings, folder: Folder, programs: Programs, *, fsync: bool) -> None:
    values = {
        "listen_addresses": "127.0.0.1",
        "port": str(settings.database_port),
        "unix_socket_directories": str(folder.socket_dir(settings.database_port)),
        "unix_socket_permissions": "0700",
        "password_encryption": "scram-sha-256",
        "hba_file": str(folder.data / "pg_hba.conf"),
        "timezone": "UTC",
        "log_timezone": "UTC",
        "datestyle": "ISO, YMD",
        "logging_collector": "on",
        "log_directory": str(folder.log),
        "log_filename": "postgresql-%a.log",
        "log_truncate_on_rotation": "on",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_line_prefix": "%m [%p] %u@%d %a ",
        "log_min_duration_statement": "5s",
        "lc_messages": "C",
        **tuning(machine(folder.home), settings.database_memory_mb, lz4=programs.lz4),
    }
    if not fsync:
        values |= {"fsync": "off", "full_page_writes": "off"}
    lines = ["# Written by geocloud at every start; put your own settings into ../local.conf."]
    lines += [f"{key} = '{value.replace(chr(39), chr(39) * 2)}'" for key, value in values.items()]
    lines += ["include_if_exists = '../local.conf'"]
    _write(folder, "geocloud.conf", "\n".join(lines) + "\n")
    _write(folder, "postgresql.conf", "include = 'geocloud.conf'\n")
    _write(folder, "pg_hba.conf", _HBA)
    names = dict.fromkeys((folder.account.name, "root"))
    _write(folder, "pg_ident.conf", "".join(f'geocloud "{name}" {ADMIN}\n' for name in names))


def _write(folder: Folder, name: str, text: str) -> None:
    path = folder.data / name
    part = path.with_name(name + ".part")
    part.write_text(text)
    part.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(part, folder.account.uid, folder.account.gid)
    part.replace(path)


def _log_tail(folder: Folder) -> str:
    logs = [p for p in folder.log.glob("*.log") if p.is_file()]
    logs = sorted(logs, key=lambda p: p.stat().st_mtime)[-2:]
    return "\n".join(p.read_text(errors="replace")[-4000:] for p in logs)


def _failed(done: str, done_zh: str, folder: Folder, said: str, port: int = 0) -> DatabaseError:
    if "No space left on device" in said:
        return DiskFull(
            f"The cluster in {folder.home} cannot be {done}: its disk is full.",
            f"无法{done_zh} {folder.home} 中的数据库:磁盘已满。",
            todo_en="Free some room or move GEOCLOUD_HOME to another disk, then run the command again.",
            todo_zh="请清理磁盘或把 GEOCLOUD_HOME 移到其他磁盘,然后重新运行。",
        )
    if port and "could not bind" in said and "in use" in said:
        return _port_in_use(port)
    telling = [line for line in said.splitlines() if any(w in line for w in ("FATAL:", "PANIC:", "error:", "ERROR:"))]
    line = (telling or said.strip().splitlines() or ["no reason given"])[-1]
    for word in ("FATAL:", "PANIC:", "ERROR:", "error:"):
        line = line.rpartition(word)[2].strip() if word in line else line
    kind = DataFolderError if any(w in said for w in _FOLDER_WORDS) else DatabaseError
    return kind(
        f"The cluster in {folder.home} cannot be {done}: {line.rstrip('.')}.",
        f"无法{done_zh} {folder.home} 中的数据库:{line.rstrip('.')}。",
        todo_en=f"Its log is in {folder.log}; `geocloud doctor` checks the machine.",
        todo_zh=f"日志在 {folder.log};`geocloud doctor` 可检查本机环境。",
    )


def _port_in_use(port: int) -> PortInUse:
    holder = _listener(port)
    who, who_zh = (f" by {holder}", f"({holder})") if holder else ("", "")
    return PortInUse(
        f"Port {port} on 127.0.0.1, which the database is to listen on, is taken{who}.",
        f"数据库要监听的端口 127.0.0.1:{port} 已被占用{who_zh}。",
        todo_en="Stop that program, or choose another port with GEOCLOUD_DATABASE_PORT.",
        todo_zh="请停止占用该端口的程序,或用 GEOCLOUD_DATABASE_PORT 另选端口。",
        port=port,
    )


def _listener(port: int) -> str | None:
    try:
        for c in psutil.net_connections("tcp"):
            if c.status == psutil.CONN_LISTEN and c.laddr.port == port and c.pid:
                return f"{psutil.Process(c.pid).name()} (process {c.pid})"
    except psutil.Error:
        return None
    return None


def data_size(path: Path) -> int:
    """Bytes of all files under a folder; files that go away meanwhile are left out."""
    total = 0
    for root, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118  os.walk gives strings
            except OSError:
                continue
    return total
