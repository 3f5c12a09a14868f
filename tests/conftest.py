# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a real private cluster for the run, a fresh migrated database a module, the shared real data.

`cluster` and `database` never fall back to a stand-in: without PostgreSQL and PostGIS the tests that ask for
them fail with the sentence a user would read.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
from psycopg2 import sql

from geocloud.db import cluster as _cluster
from geocloud.db.migrate import migrate
from geocloud.db.roles import OWNER, make_url, open_database
from geocloud.settings import DatabaseSettings

_PREFIX = "geocloud-test-"
_EMPTY, _TEMPLATE = "geocloud_empty", "geocloud_template"
_NUMBER = itertools.count(1)
# Files that take a minute and more begin first, so that testers side by side end together.
_LONG = (
    "web/test_openapi.py", "cli/test_up.py", "tiles/test_seed.py", "cli/test_layers.py", "cli/test_planners_day.py",
    "ingest/test_memory.py", "planning/test_acceptance_file.py", "ingest/test_killed.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.path.as_posix().endswith(_LONG))


@pytest.fixture(scope="session")
def open_tmp() -> Iterator[Path]:
    """A folder under /tmp that the database's account can pass through (pytest's own ones are closed to it)."""
    _clear_after_killed_runs()
    path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def own_settings(open_tmp: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., DatabaseSettings]]:
    """Makes settings of a data folder of this one test; what runs on it is stopped afterwards."""
    made: list[DatabaseSettings] = []

    def make(name: str = "", **changed: Any) -> DatabaseSettings:
        made.append(_settings(open_tmp / f"{request.node.name[:40]}{name}", **changed))
        return made[-1]

    yield make
    for settings in made:
        if (settings.home / "pg/data/PG_VERSION").exists():
            _cluster.stop(settings)


@pytest.fixture(scope="session")
def cluster(open_tmp: Path) -> Iterator[DatabaseSettings]:
    """Settings of a private cluster that runs until the end of the test run, without fsync."""
    settings = _settings(open_tmp / "home")
    _cluster.ensure(settings, fsync=False)
    admin = _cluster.admin_url(settings, "postgres")
    _create(admin, _EMPTY, template="geocloud")
    _create(admin, _TEMPLATE, template=_EMPTY)
    migrate(_url(_owner(settings), _TEMPLATE))
    yield settings
    _cluster.stop(settings)


@pytest.fixture(scope="module")
def database(cluster: DatabaseSettings) -> Iterator[str]:
    """Name of a fresh migrated database of this test module, dropped afterwards."""
    yield from _fresh(cluster)


@pytest.fixture(scope="module")
def urls(cluster: DatabaseSettings, database: str) -> _cluster.Urls:
    """URLs of the four roles of `database`."""
    return _urls_of(cluster, database)


@pytest.fixture
def fresh_urls(cluster: DatabaseSettings) -> Iterator[_cluster.Urls]:
    """URLs of the four roles of a migrated database of this one test."""
    for name in _fresh(cluster):
        yield _urls_of(cluster, name)


@pytest.fixture
def never_migrated(cluster: DatabaseSettings) -> Iterator[str]:
    """Owner URL of a database of this one test that has PostGIS and nothing else."""
    for name in _fresh(cluster, _EMPTY):
        yield _urls_of(cluster, name).owner


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real and messy files: GEOCLOUD_SHARED_DATA, or ../shared/data beside the checkout."""
    given = os.environ.get("GEOCLOUD_SHARED_DATA")
    path = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"real data not found in {path}; set GEOCLOUD_SHARED_DATA")
    return path


def _clear_after_killed_runs() -> None:
    """Stops and removes what a test run left behind that was killed before it could."""
    for path in Path("/tmp").glob(f"{_PREFIX}*-*"):
        owner = path.name.removeprefix(_PREFIX).partition("-")[0]
        if not owner.isdigit() or psutil.pid_exists(int(owner)) or path.stat().st_uid != os.geteuid():
            continue
        for home in path.iterdir():
            if (home / "pg/data/postmaster.pid").exists():
                _cluster.stop(_settings(home))
        shutil.rmtree(path, ignore_errors=True)


def _settings(home: Path, **changed: Any) -> DatabaseSettings:
    """Settings of a private cluster in `home` on an unused port, whatever the environment says."""
    given: dict[str, Any] = {
        "database_url": None,
        "database_port": _unused_port(),
        "database_memory_mb": 1024,
        "min_free_disk_mb": 64,
        "pool_size": 2,
        "postgres_dir": None,
    }
    return DatabaseSettings(home=home, **(given | changed))


def _unused_port() -> int:
    """A TCP port nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fresh(settings: DatabaseSettings, template: str = _TEMPLATE) -> Iterator[str]:
    admin = _cluster.admin_url(settings, "postgres")
    name = f"t{os.getpid()}_{next(_NUMBER)}"
    _create(admin, name, template=template)
    yield name
    _admin(admin, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _create(admin: str, name: str, *, template: str) -> None:
    _admin(
        admin,
        sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(*map(sql.Identifier, (name, template, OWNER))),
    )
    conn = psycopg2.connect(admin)
    with conn:
        open_database(conn, name)
    conn.close()


def _admin(url: str, statement: sql.Composable) -> None:
    conn = psycopg2.connect(url)
    conn.autocommit = True
    with conn.cursor() as cur:
        cur.execute(statement)
    conn.close()


def _owner(settings: DatabaseSettings) -> str:
    return _cluster.ensure(settings, fsync=False).owner


def _url(url: str, database: str) -> str:
    return make_url(url, dbname=database)


def _urls_of(settings: DatabaseSettings, database: str) -> _cluster.Urls:
    urls = _cluster.ensure(settings, fsync=False)
    return _cluster.Urls(*(_url(u, database) for u in (urls.owner, urls.writer, urls.reader, urls.jobs)))
