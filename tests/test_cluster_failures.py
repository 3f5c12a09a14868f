# SPDX-License-Identifier: Apache-2.0
"""Whatever can stand in the way of a database, provoked for real: its error, exit code and two sentences."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from geocloud.db import cluster, server
from geocloud.db.folder import hold, open_folder
from geocloud.db.pool import translate
from geocloud.db.programs import Programs, find_programs
from geocloud.errors import (
    AlreadyRunning,
    DataFolderError,
    DiskFull,
    GeocloudError,
    MissingPackages,
    PortInUse,
    SettingsError,
    WrongVersion,
)
from geocloud.settings import DatabaseSettings

Make = Callable[..., DatabaseSettings]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def _check(error: GeocloudError, *words: str) -> None:
    """Both languages say what and what to do; the English names the words."""
    assert all(w in error.message("en") for w in words), error.message("en")
    for text in (error.en, error.todo_en, error.zh, error.todo_zh):
        assert text.endswith((".", "。")) and "\n" not in text, text
    assert any("\u4e00" <= c <= "\u9fff" for c in error.zh)


def _refused(settings: DatabaseSettings, kind: type[GeocloudError], *words: str) -> None:
    with pytest.raises(kind) as caught:
        cluster.ensure(settings, fsync=False)
    assert type(caught.value) is kind
    _check(caught.value, *words)


@pytest.fixture(scope="session")
def real() -> Programs:
    """The PostgreSQL of this machine."""
    return find_programs()


@pytest.fixture
def copy_of_postgres(real: Programs, open_tmp: Path) -> Iterator[Path]:
    """A second PostgreSQL installation, with no extension in it; gives its folder of programs."""
    said = subprocess.run([real["pg_config"], "--sharedir"], capture_output=True, text=True, check=True)
    share = Path(said.stdout.strip())
    # Both folders keep their path below a new root, so that PostgreSQL finds its share folder by its own rule.
    root = Path(os.path.commonpath([share, real.folder]))
    new = open_tmp / "other"
    bin_dir = new / real.folder.relative_to(root)
    shutil.copytree(real.folder, bin_dir)
    ignore = shutil.ignore_patterns("extension", "timezonesets.bak", "man", "contrib")
    shutil.copytree(share, new / share.relative_to(root), ignore=ignore, symlinks=False)
    (new / share.relative_to(root) / "extension").mkdir()
    yield bin_dir
    shutil.rmtree(new)


def _extension_dir(bin_dir: Path) -> Path:
    said = subprocess.run([bin_dir / "pg_config", "--sharedir"], capture_output=True, text=True, check=True)
    return Path(said.stdout.strip()) / "extension"


def test_no_postgresql(own_settings: Make, open_tmp: Path) -> None:
    _refused(
        own_settings(postgres_dir=open_tmp / "nothing"), MissingPackages, "PostgreSQL is not installed", "make setup"
    )


def test_no_postgis(own_settings: Make, copy_of_postgres: Path) -> None:
    _refused(own_settings(postgres_dir=copy_of_postgres), MissingPackages, "PostGIS is not installed", "-postgis-3")


def test_scripts_of_postgis_without_its_library(own_settings: Make, copy_of_postgres: Path) -> None:
    (_extension_dir(copy_of_postgres) / "postgis.control").write_text("default_version = '3.4.0'\n")
    _refused(own_settings(postgres_dir=copy_of_postgres), MissingPackages, "PostGIS is not installed", "-postgis-3")


def test_old_postgis(own_settings: Make, copy_of_postgres: Path) -> None:
    (_extension_dir(copy_of_postgres) / "postgis.control").write_text("default_version = '3.2.1'\n")
    said = subprocess.run([copy_of_postgres / "pg_config", "--pkglibdir"], capture_output=True, text=True, check=True)
    Path(said.stdout.strip()).mkdir(parents=True)
    (Path(said.stdout.strip()) / "postgis-3.so").touch()
    _refused(own_settings(postgres_dir=copy_of_postgres), WrongVersion, "PostGIS 3.2", "3.3 or newer")


def test_old_postgresql(own_settings: Make, copy_of_postgres: Path) -> None:
    (copy_of_postgres / "postgres").unlink()
    (copy_of_postgres / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.9'\n")
    (copy_of_postgres / "postgres").chmod(0o755)
    _refused(own_settings(postgres_dir=copy_of_postgres), WrongVersion, "PostgreSQL 14.9", "15 or newer")


def test_data_of_another_version(own_settings: Make) -> None:
    settings = own_settings()
    cluster.ensure(settings, fsync=False)
    cluster.stop(settings)
    version = open_folder(settings).data / "PG_VERSION"
    was = version.read_text()
    version.write_text("12\n")
    _refused(settings, WrongVersion, "made by PostgreSQL 12", "Install postgresql-12")
    version.write_text("what\n")
    _refused(settings, DataFolderError, "PG_VERSION says 'what'")
    version.write_text(was)
    cluster.ensure(settings, fsync=False)


def test_files_but_no_cluster(own_settings: Make) -> None:
    settings = own_settings()
    data = open_folder(settings).data
    data.mkdir()
    (data / "holiday.jpg").touch()
    _refused(settings, DataFolderError, "holds files, but no PostgreSQL cluster")


def test_broken_control_file(own_settings: Make) -> None:
    settings = own_settings()
    cluster.ensure(settings, fsync=False)
    cluster.stop(settings)
    control = open_folder(settings).data / "global/pg_control"
    control.write_bytes(b"\0" * control.stat().st_size)
    _refused(settings, DataFolderError, "cannot be started", "files are incompatible")
    shutil.rmtree(settings.home)


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield int(taken.getsockname()[1])


def test_port_in_use(own_settings: Make, listener: int) -> None:
    settings = own_settings(database_port=listener)
    _refused(settings, PortInUse, str(listener), f"process {os.getpid()}", "GEOCLOUD_DATABASE_PORT")
    assert not (settings.home / "pg/data").exists()


def test_port_taken_meanwhile(own_settings: Make, listener: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "check_port", lambda _settings: None)
    _refused(own_settings(database_port=listener), PortInUse, str(listener))


def test_too_little_disk(own_settings: Make) -> None:
    _refused(own_settings(min_free_disk_mb=10**9), DiskFull, "1000000000 MB are needed", "GEOCLOUD_MIN_FREE_DISK_MB")


@pytest.fixture
def small_disk(open_tmp: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts disks of so many MB."""
    mounted: list[Path] = []

    def mount(megabytes: int) -> Path:
        path = open_tmp / f"disk{len(mounted)}"
        path.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", path],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            path.rmdir()
            pytest.skip(f"may not mount a small disk: {done.stderr.decode().strip()}")
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", path], check=True)
        path.rmdir()


@as_root
def test_disk_full_when_made(own_settings: Make, small_disk: Callable[[int], Path]) -> None:
    settings = own_settings(min_free_disk_mb=0).model_copy(update={"home": small_disk(20) / "home"})
    _refused(settings, DiskFull, "disk is full")
    assert not (settings.home / "pg/data").exists()


@as_root
def test_disk_full_at_work(own_settings: Make, small_disk: Callable[[int], Path]) -> None:
    settings = own_settings(min_free_disk_mb=0).model_copy(update={"home": small_disk(200) / "home"})
    urls = cluster.ensure(settings, fsync=False)
    conn = psycopg2.connect(urls.owner)
    with pytest.raises(psycopg2.Error) as caught, conn.cursor() as cur:
        cur.execute("CREATE TEMPORARY TABLE big AS SELECT repeat('x', 1000) FROM generate_series(1, 1000000)")
    conn.close()
    error = translate(caught.value)
    assert type(error) is DiskFull
    _check(error, "disk", "rolled back")
    assert psycopg2.connect(urls.reader).closed == 0
    cluster.stop(settings)


@as_root
def test_read_only_disk(own_settings: Make, small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(20)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    _refused(own_settings().model_copy(update={"home": disk / "home"}), DataFolderError, "Read-only file system")


def test_folder_is_a_file(own_settings: Make) -> None:
    settings = own_settings()
    settings.home.write_text("")
    _refused(settings, DataFolderError, str(settings.home), "GEOCLOUD_HOME")


@as_root
def test_folder_closed_to_the_account(own_settings: Make) -> None:
    closed = own_settings().home
    closed.mkdir(mode=0o700)
    settings = own_settings().model_copy(update={"home": closed / "home"})
    _refused(settings, DataFolderError, f"cannot pass through {closed} ", "/var/lib/geocloud")


@as_root
def test_account_is_root(own_settings: Make) -> None:
    _refused(own_settings(database_user="root"), SettingsError, "which is root")


def _as_somebody(work: Callable[[], Any]) -> str:
    """Runs `work` in a child that is an ordinary user; gives 'Class: sentence' of its error, or 'done'."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        said = "died"
        try:
            if os.geteuid() == 0:
                nobody = pwd.getpwnam("nobody")
                os.setgroups([])
                os.setgid(nobody.pw_gid)
                os.setuid(nobody.pw_uid)
            work()
            said = "done"
        except GeocloudError as exc:
            said = f"{type(exc).__name__}: {exc.message()}"
        except BaseException as exc:  # the parent's assertion shows it
            said = repr(exc)
        finally:
            os.write(write, said.encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def test_folder_not_readable(own_settings: Make) -> None:
    settings = own_settings()
    settings.home.mkdir(mode=0o000)
    said = _as_somebody(lambda: cluster.ensure(settings))
    settings.home.chmod(0o755)
    assert said.startswith(f"DataFolderError: The data folder {settings.home} cannot be used: Permission denied.")


def test_folder_not_writable(own_settings: Make) -> None:
    settings = own_settings()
    settings.home.mkdir(mode=0o555)
    said = _as_somebody(lambda: cluster.ensure(settings))
    settings.home.chmod(0o755)
    assert said.startswith(f"DataFolderError: The data folder {settings.home} cannot be used: Permission denied.")


@as_root
def test_folder_of_somebody_else(own_settings: Make) -> None:
    settings = own_settings()
    open_folder(settings)
    said = _as_somebody(lambda: cluster.ensure(settings))
    assert said.startswith(f"DataFolderError: The data folder {settings.home} cannot be used: ")


def test_whole_life_as_ordinary_user(own_settings: Make) -> None:
    settings = own_settings()
    settings.home.mkdir()
    settings.home.chmod(0o777)

    def life() -> None:
        urls = cluster.ensure(settings, fsync=False)
        conn = psycopg2.connect(urls.reader)
        with conn.cursor() as cur:
            cur.execute("SELECT public.postgis_lib_version()")
        conn.close()
        assert (settings.home / "pg/data").stat().st_uid == os.geteuid()
        assert cluster.stop(settings)

    assert _as_somebody(life) == "done"


def test_second_up(own_settings: Make) -> None:
    settings = own_settings()
    with hold(open_folder(settings)):
        with pytest.raises(AlreadyRunning) as caught, hold(open_folder(settings)):
            pass
        _check(caught.value, f"process {os.getpid()}", str(settings.home), "geocloud stop")
        env = os.environ | {"GEOCLOUD_HOME": str(settings.home), "LANG": "C.UTF-8"}
        env.pop("GEOCLOUD_DATABASE_URL", None)
        done = subprocess.run(
            [sys.executable, "-m", "geocloud.cli", "up"], env=env, capture_output=True, text=True, check=False
        )
    assert done.returncode == 26
    assert done.stderr.splitlines() == [caught.value.en, caught.value.todo_en]
    with hold(open_folder(settings)):
        pass
