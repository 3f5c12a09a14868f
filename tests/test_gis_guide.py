# SPDX-License-Identifier: Apache-2.0
"""Every command of docs/gis-staff.md is run, on real files under the names the guide uses."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from geocloud.db import cluster
from geocloud.db.migrate import migrate
from geocloud.settings import DatabaseSettings
from tests.web.conftest import unused_port

_ROOT = Path(__file__).resolve().parents[1]
_COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", (_ROOT / "docs/gis-staff.md").read_text(encoding="utf-8"), re.S)
    for line in block.splitlines()
    if line.startswith("geocloud ")
]


@pytest.fixture(scope="module")
def desk(shared_data: Path, open_tmp: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder with the guide's files, and an environment with a private city of its own."""
    folder = open_tmp / "desk"
    folder.mkdir()
    shapefile = shared_data / "messy/derived_from_real/zone39_no_prj"
    for part in shapefile.iterdir():
        shutil.copy(part, folder / part.name)
    townships = shared_data / "liaocheng/admin_township_codes.csv"
    text = townships.read_text(encoding="utf-8-sig")
    (folder / "乡镇.csv").write_text(text.replace(text.split(",", 1)[0], "代码", 1), encoding="utf-8")
    (folder / "layers").symlink_to(_ROOT / "layers")
    (folder / "数据目录").symlink_to(shared_data)
    settings = DatabaseSettings(
        home=open_tmp / "guide", database_url=None, database_port=unused_port(), database_memory_mb=512,
        min_free_disk_mb=64,
    )  # fmt: skip
    env = {
        **os.environ,
        "GEOCLOUD_HOME": str(settings.home),
        "GEOCLOUD_DATABASE_PORT": str(settings.database_port),
        "GEOCLOUD_LANGUAGE": "zh",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    urls = cluster.ensure(settings, fsync=False)
    migrate(urls.owner)
    subprocess.run(["geocloud", "layers", "sync"], cwd=folder, env=env, check=True, capture_output=True)
    yield folder, env
    cluster.stop(settings)


@pytest.mark.parametrize("command", _COMMANDS)
def test_command_of_the_guide_runs(desk: tuple[Path, dict[str, str]], command: str) -> None:
    folder, env = desk
    done = subprocess.run(shlex.split(command), cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


def test_the_guide_has_commands() -> None:
    assert len(_COMMANDS) >= 8
