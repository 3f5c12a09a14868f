# SPDX-License-Identifier: Apache-2.0
"""Real QGIS in a process of its own, before a real server over the small demo city; SQL is the judge of both."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from geocloud.demo.parking_readings import bring_up
from geocloud.sectors.registry import definitions
from geocloud.settings import CitySettings, DatabaseSettings
from tests.conftest import _fresh, _urls_of
from tests.web.conftest import run_server

# Debian's QGIS belongs to the system's Python.
_PYTHON = "/usr/bin/python3"
_DESK = Path(__file__).with_name("desk.py")
# Layers of more rows than this are left to tiles: with it the demo has both kinds.
ROWS_MAX = 1_000
PAGE_ROWS = 100
LAYERS, CODES = definitions(CitySettings())
# The demo leaves them empty, and what is empty is not in a project.
EMPTY = ("planning.difference_spot", "grid.boundary_conflict")
# Layers whose devices have made-up readings here.
MEASURED = {"facility.parking_lot", "parking.berth"}

OpenDesk = Callable[..., AbstractContextManager["Desk"]]


@dataclass
class City:
    """A running server over the demo city, and its database."""

    url: str
    urls: Urls

    def sql(self, query: str, *args: object) -> list[tuple[Any, ...]]:
        conn = psycopg2.connect(self.urls.owner)
        with conn, conn.cursor() as cur:
            cur.execute(query, args or None)
            rows = cur.fetchall()
        conn.close()
        return rows


class Desk:
    """QGIS with a project open."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self.folder = process, folder

    def ask(self, do: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return self.hear()

    def hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"QGIS ended: {(self.folder / 'qgis.log').read_text()[-3000:]}")
        return json.loads(line)


@pytest.fixture(scope="session")
def city_urls(cluster: DatabaseSettings) -> Iterator[Urls]:
    """A database for all of these tests, which only read it."""
    for name in _fresh(cluster):
        yield _urls_of(cluster, name)


@pytest.fixture(scope="session")
def city(city_urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """The small demo city with the layers of its sectors, served."""
    conn = psycopg2.connect(city_urls.owner)
    sync(conn, LAYERS, CODES)
    conn.close()
    demo.load(city_urls.owner, "small")
    bring_up(city_urls.writer, days=1)
    settings = {"GEOCLOUD_QGIS_ROWS_MAX": str(ROWS_MAX), "GEOCLOUD_QGIS_PAGE_ROWS": str(PAGE_ROWS)}
    for url in run_server(city_urls.reader, tmp_path_factory.mktemp("home"), **settings):
        yield City(url, city_urls)


@pytest.fixture(scope="session")
def qgis_version() -> str:
    """The version of the QGIS that is there."""
    program = "from qgis.core import Qgis; print(Qgis.QGIS_VERSION)"
    try:
        done = subprocess.run([_PYTHON, "-c", program], capture_output=True, text=True, timeout=60)
    except OSError:
        pytest.skip(f"{_PYTHON} is not there, so neither is QGIS")
    if done.returncode:
        pytest.skip("QGIS is not installed: `make test-qgis` installs it (Debian packages qgis, python3-qgis)")
    return done.stdout.strip()


@pytest.fixture(scope="session")
def open_desk(qgis_version: str, tmp_path_factory: pytest.TempPathFactory) -> OpenDesk:
    """Opens a project by its address in a QGIS of its own, with settings and caches of its own."""

    @contextmanager
    def opened(address: str, folder: Path | None = None) -> Iterator[Desk]:
        home = tmp_path_factory.mktemp("desk")
        folder = folder or home
        env = {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(home), "XDG_RUNTIME_DIR": str(home),
            "QT_QPA_PLATFORM": "offscreen", "QGIS_CUSTOM_CONFIG_PATH": str(home / "profile"),
        }  # fmt: skip
        log = (folder / "qgis.log").open("w")
        command = [_PYTHON, str(_DESK), address, str(folder)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env, text=True
        ) as process:
            try:
                desk = Desk(process, folder)
                assert desk.hear() == {"read": True, "error": ""}
                yield desk
                assert process.stdin is not None
                process.stdin.close()
                process.wait(60)
            finally:
                process.kill()
                log.close()

    return opened


@pytest.fixture(scope="module")
def desk(city: City, open_desk: OpenDesk) -> Iterator[Desk]:
    """QGIS with the project of the whole city open."""
    with open_desk(f"{city.url}/qgis/city.qgz") as found:
        yield found
