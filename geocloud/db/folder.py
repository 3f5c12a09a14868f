# SPDX-License-Identifier: Apache-2.0
"""The data folder: whose it is, what is in it, who holds it.

    HOME/
      pg/data          the private cluster          pg/log   its logs, a week of them
      pg/local.conf    settings an operator adds    run      its unix socket
      credentials.json passwords of the database roles, mode 0600
      up.lock          held by `geocloud up`        cluster.lock, use.lock   see session.py

As root, everything that PostgreSQL runs belongs to an unprivileged account; the rest stays root's.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geocloud.errors import AlreadyRunning, DatabaseError, DataFolderError, DiskFull, SettingsError
from geocloud.settings import DatabaseSettings

__all__ = ["Account", "Folder", "check_disk", "hold", "holder", "lock_file", "open_folder", "wait_lock"]

# sun_path of Linux holds 108 bytes with the closing NUL.
_SOCKET_PATH_MAX = 107


# Locks of this process: a forked child would go on holding them after this process has died.
_HELD: set[int] = set()


def _let_go_in_child() -> None:
    for fd in _HELD:
        os.close(fd)
    _HELD.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


@contextmanager
def lock_file(path: Path) -> Iterator[int]:
    """A descriptor to lock a file with, in this process alone; the lock ends with the block or the process."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    _HELD.add(fd)
    try:
        yield fd
    finally:
        if fd in _HELD:
            _HELD.discard(fd)
            os.close(fd)


@dataclass(frozen=True)
class Account:
    """The system account PostgreSQL's programs run under; never root."""

    name: str
    uid: int
    gid: int

    def run(self, args: list[str], *, cwd: Path, timeout: float = 300) -> tuple[int, str]:
        """Runs a program as this account; returns its exit code and what it said on both streams."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
        env |= {"LC_ALL": "C", "HOME": str(cwd), "USER": self.name, "LOGNAME": self.name}
        drop: dict[str, Any] = {}
        if os.geteuid() == 0:
            drop = {"user": self.uid, "group": self.gid, "extra_groups": []}
        # A file, not a pipe: a started server would keep a pipe open for as long as it lives.
        with tempfile.TemporaryFile() as said:
            try:
                done = subprocess.run(  # noqa: S603  fixed argument lists, nothing from outside
                    args, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=env, cwd=cwd,
                    timeout=timeout, start_new_session=True, check=False, **drop,
                )  # fmt: skip
                code = done.returncode
            except subprocess.TimeoutExpired:
                code = -1
            said.seek(0)
            return code, said.read().decode("utf-8", "replace")


@dataclass(frozen=True)
class Folder:
    """Paths of a data folder and the account of its cluster."""

    home: Path
    account: Account

    @property
    def data(self) -> Path:
        return self.home / "pg/data"

    @property
    def log(self) -> Path:
        return self.home / "pg/log"

    @property
    def startup_log(self) -> Path:
        return self.log / "startup.log"

    @property
    def credentials(self) -> Path:
        return self.home / "credentials.json"

    def socket_dir(self, port: int) -> Path:
        """Where the cluster's socket is: in the data folder, or in the temporary folder when that path is too long."""
        own = self.home / "run"
        if len(os.fsencode(own / f".s.PGSQL.{port}.lock")) <= _SOCKET_PATH_MAX:
            return own
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"geocloud-{self.account.uid}-{name}"


def open_folder(settings: DatabaseSettings, *, create: bool = True) -> Folder:
    """The data folder, made if need be, with the account that may run a cluster in it.

    Raises DataFolderError when it cannot be read, written or reached by that account, SettingsError when
    the account is unfit.
    """
    home = Path(os.path.abspath(settings.home.expanduser()))  # noqa: PTH100  links stay as they were given
    try:
        if create:
            home.mkdir(parents=True, exist_ok=True, mode=0o755 if os.geteuid() == 0 else 0o700)
        # A folder that cannot be listed is found out here, not half way through.
        list(home.iterdir())
        account = _account(settings, home / "pg/data", create=create)
        folder = Folder(home, account)
        if create:
            for path in (home / "pg", folder.log, folder.socket_dir(settings.database_port)):
                _own(path, account)
            _check_writable(folder)
    except OSError as exc:
        raise _unusable(home, exc) from exc
    return folder


def check_disk(settings: DatabaseSettings, folder: Folder) -> None:
    """Raises DiskFull below the room that settings.min_free_disk_mb names."""
    free = shutil.disk_usage(folder.home).free >> 20
    if free < settings.min_free_disk_mb:
        raise DiskFull(
            f"Only {free} MB are free on the disk of {folder.home}; {settings.min_free_disk_mb} MB are needed.",
            f"{folder.home} 所在磁盘仅剩 {free} MB,至少需要 {settings.min_free_disk_mb} MB。",
            todo_en="Free some room, move GEOCLOUD_HOME to another disk, or lower GEOCLOUD_MIN_FREE_DISK_MB.",
            todo_zh="请清理磁盘,把 GEOCLOUD_HOME 移到其他磁盘,或调低 GEOCLOUD_MIN_FREE_DISK_MB。",
            free_mb=free,
        )


@contextmanager
def hold(folder: Folder) -> Iterator[None]:
    """Holds the data folder for one `up`; AlreadyRunning when another has it."""
    with lock_file(folder.home / "up.lock") as fd:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(fd, 20, 0).decode("ascii", "replace").strip() or "?"
            raise AlreadyRunning(
                f"Another `geocloud up` (process {pid}) runs on the data folder {folder.home}.",
                f"数据目录 {folder.home} 上已有一个 `geocloud up` 在运行(进程 {pid})。",
                todo_en="Use that one, stop it with `geocloud stop`, or give this one its own GEOCLOUD_HOME, "
                "GEOCLOUD_PORT and GEOCLOUD_DATABASE_PORT.",
                todo_zh="请直接使用它,用 `geocloud stop` 停止它,或为本次另设 GEOCLOUD_HOME、GEOCLOUD_PORT 与 "
                "GEOCLOUD_DATABASE_PORT。",
                pid=pid,
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield
        os.ftruncate(fd, 0)


def holder(folder: Folder) -> int | None:
    """Process id of the `up` that holds the data folder; None when nobody does."""
    try:
        fd = os.open(folder.home / "up.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.pread(fd, 20, 0)
        return int(said) if said.isdigit() else None
    else:
        return None
    finally:
        os.close(fd)


@contextmanager
def wait_lock(path: Path, *, seconds: float = 180, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds a lock file, waiting for whoever has it; AlreadyRunning when they keep it longer than `seconds`."""
    with lock_file(path) as fd:
        until, told = time.monotonic() + seconds, False
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise AlreadyRunning(
                        f"Another command has been starting or stopping the cluster in {path.parent} "
                        f"for {seconds:.0f} s.",
                        f"另一个命令正在启动或停止 {path.parent} 中的数据库,已超过 {seconds:.0f} 秒。",
                        todo_en="Wait for it, or end it, then try again.",
                        todo_zh="请等待其完成或将其结束后重试。",
                    ) from None
                if waiting is not None and not told:
                    waiting()
                    told = True
                time.sleep(0.05)
        yield


def _account(settings: DatabaseSettings, data: Path, *, create: bool) -> Account:
    euid = os.geteuid()
    owner = _owner_of(data)
    if euid != 0:
        if owner not in (None, euid):
            raise PermissionError(f"it belongs to {_name(owner)}")  # type: ignore[arg-type]
        return _named(euid)
    if owner not in (None, 0):
        return _named(owner)  # type: ignore[arg-type]
    try:
        found = pwd.getpwnam(settings.database_user)
    except KeyError:
        if not create:
            return Account(settings.database_user, -1, -1)
        _add_account(settings)
        found = pwd.getpwnam(settings.database_user)
    if found.pw_uid == 0:
        raise SettingsError(
            f"GEOCLOUD_DATABASE_USER is {settings.database_user}, which is root; PostgreSQL refuses to run as root.",
            f"GEOCLOUD_DATABASE_USER 为 {settings.database_user},即 root;PostgreSQL 不能以 root 运行。",
            todo_en="Name an unprivileged account, or leave it unset.",
            todo_zh="请指定普通账户,或不设置该项。",
        )
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def _add_account(settings: DatabaseSettings) -> None:
    useradd = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    said = "useradd is not installed"
    if useradd:
        done = subprocess.run(  # noqa: S603  the account name is a setting
            [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
             "--shell", "/usr/sbin/nologin", "--comment", "geocloud database", settings.database_user],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        said = done.stderr.strip()
        if done.returncode in (0, 9):
            return
    raise DatabaseError(
        f"The account {settings.database_user}, which is to run the database in root's place, cannot be made: {said}.",
        f"无法创建代替 root 运行数据库的账户 {settings.database_user}:{said}。",
        todo_en="Make it by hand, name another in GEOCLOUD_DATABASE_USER, or run geocloud as an ordinary user.",
        todo_zh="请手工创建,在 GEOCLOUD_DATABASE_USER 中指定其他账户,或以普通用户运行 geocloud。",
    )


def _own(path: Path, account: Account) -> None:
    """Makes a folder that only this account enters."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(f"{path} is not a folder")
    if found.st_uid != account.uid:
        if os.geteuid() != 0 or found.st_uid != 0:
            raise PermissionError(f"{path} belongs to {_name(found.st_uid)}")
        os.chown(path, account.uid, account.gid)
    path.chmod(0o700)


def _check_writable(folder: Folder) -> None:
    # Tried as the account itself: modes, access lists and read-only mounts all count.
    code, said = folder.account.run(
        ["/bin/sh", "-c", 'f="$1/.probe" && : > "$f" && rm -f "$f"', "sh", str(folder.home / "pg")], cwd=Path("/")
    )
    if code == 0:
        return
    closed = next((p for p in reversed(folder.home.parents) if not _enters(folder.account, p)), None)
    if closed is None:
        raise PermissionError(said.strip().rpartition(": ")[2] or "it cannot be written")
    raise DataFolderError(
        f"The account {folder.account.name}, which runs the database, cannot pass through {closed} "
        f"to the data folder {folder.home}.",
        f"运行数据库的账户 {folder.account.name} 无法穿过 {closed} 到达数据目录 {folder.home}。",
        todo_en="Set GEOCLOUD_HOME to a folder outside of it, such as /var/lib/geocloud, or run geocloud as an "
        "ordinary user.",
        todo_zh="请把 GEOCLOUD_HOME 设到其外的目录(如 /var/lib/geocloud),或以普通用户运行 geocloud。",
        folder=str(closed),
    )


def _enters(account: Account, path: Path) -> bool:
    return account.run(["/bin/sh", "-c", 'cd "$1"', "sh", str(path)], cwd=Path("/"))[0] == 0


def _unusable(home: Path, exc: OSError) -> DatabaseError:
    why = exc.strerror or str(exc)
    if why == "No space left on device":
        return DiskFull(
            f"The disk of the data folder {home} is full.",
            f"数据目录 {home} 所在磁盘已满。",
            todo_en="Free some room or move GEOCLOUD_HOME to another disk.",
            todo_zh="请清理磁盘,或把 GEOCLOUD_HOME 移到其他磁盘。",
        )
    return DataFolderError(
        f"The data folder {home} cannot be used: {why}.",
        f"数据目录 {home} 不可用:{why}。",
        todo_en="Give this user the right to read and write it, or set GEOCLOUD_HOME to another folder.",
        todo_zh="请授予当前用户读写权限,或把 GEOCLOUD_HOME 设为其他目录。",
        folder=str(home),
    )


def _owner_of(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except FileNotFoundError:
        return None


def _named(uid: int) -> Account:
    try:
        found = pwd.getpwuid(uid)
        return Account(found.pw_name, uid, found.pw_gid)
    except KeyError:
        return Account(str(uid), uid, os.getegid())


def _name(uid: int) -> str:
    return _named(uid).name
