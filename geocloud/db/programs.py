# SPDX-License-Identifier: Apache-2.0
"""Finds PostgreSQL's programs and the PostGIS that belongs to them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from geocloud.errors import MissingPackages, WrongVersion

__all__ = ["POSTGIS_MIN", "POSTGRES_MIN", "Programs", "find_programs", "installed_programs"]

POSTGRES_MIN = 15
POSTGIS_MIN = (3, 3)

# Where Debian, Ubuntu, Red Hat and a build from source put each major version.
_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/lib64/pgsql/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
)
_NEEDED = ("postgres", "initdb", "pg_ctl")


@dataclass(frozen=True)
class Programs:
    """PostgreSQL's programs of one version. `postgis` is (major, minor) of its PostGIS, None without one."""

    folder: Path
    version: str
    major: int
    postgis: tuple[int, int] | None
    lz4: bool

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def usable(self) -> bool:
        """Whether both PostgreSQL and PostGIS are new enough."""
        return self.major >= POSTGRES_MIN and self.postgis is not None and self.postgis >= POSTGIS_MIN


def installed_programs(folder: Path | None = None) -> list[Programs]:
    """What is installed in `folder`, or anywhere on the machine, newest first."""
    folders: Iterable[Path]
    if folder is not None:
        folders = [folder]
    else:
        folders = [p for place in _PLACES for p in Path("/").glob(place.lstrip("/"))]
        on_path = shutil.which("postgres")
        if on_path:
            folders = [*folders, Path(on_path).resolve().parent]
    found = {f.resolve(): p for f in folders if (p := _examine(f)) is not None}
    return sorted(found.values(), key=lambda p: p.major, reverse=True)


def find_programs(folder: Path | None = None, *, major: int | None = None) -> Programs:
    """The newest usable PostgreSQL with PostGIS; with `major`, the one a data folder of that version needs.

    Raises MissingPackages when PostgreSQL or its PostGIS is not installed, WrongVersion when they are but
    too old or not of the version asked for.
    """
    found = installed_programs(folder)
    where = str(folder) if folder else "this machine"
    where_zh = str(folder) if folder else "本机"
    if not found:
        raise MissingPackages(
            f"PostgreSQL is not installed: no initdb, pg_ctl and postgres on {where}.",
            f"未安装 PostgreSQL:{where_zh} 上找不到 initdb、pg_ctl 和 postgres。",
            todo_en="Run `make setup`, or install the packages postgresql and postgresql-postgis.",
            todo_zh="请运行 `make setup`,或安装软件包 postgresql 与 postgresql-postgis。",
        )
    if major is not None:
        same = [p for p in found if p.major == major]
        if not same:
            have = ", ".join(str(p.major) for p in found)
            raise WrongVersion(
                f"The data folder was made by PostgreSQL {major}, but only version {have} is installed.",
                f"数据目录由 PostgreSQL {major} 创建,而已安装的版本只有 {have}。",
                todo_en=f"Install postgresql-{major} and postgresql-{major}-postgis-3, or move the data with "
                "pg_dump into a new GEOCLOUD_HOME.",
                todo_zh=f"请安装 postgresql-{major} 与 postgresql-{major}-postgis-3,"
                "或用 pg_dump 把数据迁入新的 GEOCLOUD_HOME。",
                needed=major,
                installed=[p.major for p in found],
            )
        found = same
    usable = next((p for p in found if p.usable), None)
    return usable if usable else _refuse(found)


def _refuse(found: list[Programs]) -> Programs:
    new = [p for p in found if p.major >= POSTGRES_MIN]
    if not new:
        raise WrongVersion(
            f"PostgreSQL {found[0].version} in {found[0].folder} is too old: {POSTGRES_MIN} or newer is needed.",
            f"{found[0].folder} 中的 PostgreSQL {found[0].version} 版本过低:需要 {POSTGRES_MIN} 或更高版本。",
            todo_en=f"Install PostgreSQL {POSTGRES_MIN} or newer with its PostGIS (`make setup` does).",
            todo_zh=f"请安装 PostgreSQL {POSTGRES_MIN} 或更高版本及其 PostGIS(`make setup` 会完成)。",
            installed=found[0].version,
        )
    old = next((p for p in new if p.postgis), None)
    if old is not None and old.postgis is not None:
        has = ".".join(map(str, old.postgis))
        need = ".".join(map(str, POSTGIS_MIN))
        raise WrongVersion(
            f"PostGIS {has} of PostgreSQL {old.major} is too old: version {need} or newer is needed.",
            f"PostgreSQL {old.major} 的 PostGIS {has} 版本过低:需要 {need} 或更高版本。",
            todo_en=f"Upgrade the package postgresql-{old.major}-postgis-3.",
            todo_zh=f"请升级软件包 postgresql-{old.major}-postgis-3。",
            installed=has,
        )
    raise MissingPackages(
        f"PostGIS is not installed for PostgreSQL {new[0].major} in {new[0].folder}.",
        f"{new[0].folder} 中的 PostgreSQL {new[0].major} 未安装 PostGIS。",
        todo_en=f"Run `make setup`, or `apt-get install postgresql-{new[0].major}-postgis-3`.",
        todo_zh=f"请运行 `make setup`,或 `apt-get install postgresql-{new[0].major}-postgis-3`。",
        packages=[f"postgresql-{new[0].major}-postgis-3"],
    )


def _examine(folder: Path) -> Programs | None:
    if not all((folder / name).is_file() for name in _NEEDED):
        return None
    said = re.search(r"\) (\d+)(\S*)", _output(folder / "postgres", "--version"))
    if said is None:
        return None
    major = int(said[1])
    configured = _output(folder / "pg_config", "--configure")
    return Programs(folder, said[1] + said[2], major, _postgis(folder, major), "--with-lz4" in configured)


def _postgis(folder: Path, major: int) -> tuple[int, int] | None:
    said = _output(folder / "pg_config", "--sharedir").strip()
    # Some distributions ship pg_config apart from the server.
    guesses = [f"/usr/share/postgresql/{major}", str(folder.parent / "share"), str(folder.parent / "share/postgresql")]
    for share in [said] if said else guesses:
        control = Path(share) / "extension/postgis.control"
        # The scripts are a package of their own, which stays behind when the library is removed.
        if control.is_file() and _library(folder):
            version = re.search(r"default_version\s*=\s*'(\d+)\.(\d+)", control.read_text(errors="replace"))
            return (int(version[1]), int(version[2])) if version else None
    return None


def _library(folder: Path) -> bool:
    said = _output(folder / "pg_config", "--pkglibdir").strip()
    places = [Path(said)] if said else [folder.parent / "lib", folder.parent / "lib/postgresql"]
    return any(True for place in places for _ in place.glob("postgis-*.so"))


def _output(program: Path, argument: str) -> str:
    try:
        return subprocess.run(  # noqa: S603  a program of a folder the operator named or the system owns
            [program, argument], capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
