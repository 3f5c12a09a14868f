# SPDX-License-Identifier: Apache-2.0
"""A running server over a small database whose rows the tests know."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import CodeList, LayerSpec
from geocloud.db.cluster import Urls
from tests.web.editing import ASSET, KINDS, QUIET, Keys, Table, asset_spec

SITE, ZONE = "test.site", "test.zone"


def _both(text: str) -> dict[str, str]:
    return {"zh": f"{text}(中文)", "en": text}


def site_spec() -> LayerSpec:
    """Points with every field type, gaps in most, and a hidden field."""
    field = [
        {"name": "code", "title": _both("Code"), "required": True},
        {"name": "name", "title": _both("Name")},
        {"name": "kind", "title": _both("Kind"), "index": True, "codes": "site_kind"},
        {"name": "height", "type": "number", "unit": "m", "title": _both("Height")},
        {"name": "year", "type": "integer", "title": _both("Year")},
        {"name": "open", "type": "boolean", "title": _both("Open")},
        {"name": "built", "type": "date", "title": _both("Built")},
        {"name": "checked", "type": "datetime", "title": _both("Checked")},
        {"name": "phone", "title": _both("Phone"), "hidden": True},
    ]
    return LayerSpec.model_validate(
        {"id": SITE, "title": _both("Sites"), "description": _both("Test sites"), "geometry": "point",
         "key": ["code"], "fields": field}
    )  # fmt: skip


def zone_spec() -> LayerSpec:
    """Polygons, one of them a triangle whose box is larger than itself."""
    field = [{"name": "code", "title": _both("Code")}, {"name": "label", "title": _both("Label")}]
    return LayerSpec.model_validate(
        {"id": ZONE, "title": _both("Zones"), "description": _both("Test zones"), "geometry": "multipolygon",
         "key": ["code"], "fields": field}
    )  # fmt: skip


SITE_KINDS = CodeList.model_validate(
    {"name": "site_kind", "title": _both("Kinds"), "source": "made for the tests",
     "codes": [{"code": c, "title": _both(c)} for c in ("lamp", "tree", "bin")]}
)  # fmt: skip


@dataclass
class City:
    """What is in the database: rows by fid, as Python values."""

    urls: Urls
    sites: dict[int, dict[str, Any]]

    def run(self, sql: str, *args: object) -> None:
        conn = psycopg2.connect(self.urls.owner)
        with conn, conn.cursor() as cur:
            cur.execute(sql, args)
        conn.close()


@pytest.fixture(scope="module")
def city(urls: Urls) -> City:
    """2,400 sites and three zones."""
    draw = random.Random(20261122)
    conn = psycopg2.connect(urls.owner)
    sync(conn, {SITE: site_spec(), ZONE: zone_spec()}, {"site_kind": SITE_KINDS})
    rows: dict[int, dict[str, Any]] = {}
    with conn, conn.cursor() as cur:
        for fid in range(1, 2401):
            row = {
                "code": f"S{fid:05d}",
                "name": draw.choice(["光岳楼", "东昌湖", 'say "hi", please', "line\nbreak", None]),
                "kind": draw.choice(["lamp", "lamp", "lamp", "tree", "bin", None]),
                "height": draw.choice([None, round(draw.uniform(0, 30), 3)]),
                "year": draw.choice([None, draw.randint(1950, 2026)]),
                "open": draw.choice([None, True, False]),
                "built": draw.choice([None, f"20{draw.randint(10, 25)}-0{draw.randint(1, 9)}-1{draw.randint(0, 9)}"]),
                "checked": draw.choice([None, f"2026-0{draw.randint(1, 9)}-11T0{draw.randint(0, 9)}:00:00+00:00"]),
                "x": round(draw.uniform(115.3, 116.5), 7),
                "y": round(draw.uniform(35.8, 37.0), 7),
            }
            rows[fid] = row
            cur.execute(
                'INSERT INTO test.site (fid, code, name, kind, height, year, "open", built, checked, phone, geom) '
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, '13800000000', ST_SetSRID(ST_Point(%s, %s), 4490))",
                (fid, *row.values()),
            )
        cur.execute(
            "INSERT INTO test.zone (code, label, geom) "
            "SELECT code, code, ST_Multi(ST_GeomFromText(wkt, 4490)) FROM (VALUES"
            " ('triangle', 'POLYGON((116 36, 116.2 36, 116 36.2, 116 36))'),"
            " ('square', 'POLYGON((115.5 36.5, 115.6 36.5, 115.6 36.6, 115.5 36.6, 115.5 36.5))'),"
            " ('far', 'POLYGON((116.4 36.9, 116.5 36.9, 116.5 37, 116.4 36.9))')) v (code, wkt)"
        )
    conn.close()
    return City(urls, rows)


@pytest.fixture(scope="module")
def server(city: City, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real server with two worker processes over `city`."""
    yield from run_server(city.urls.reader, tmp_path_factory.mktemp("home"), "", city.urls.jobs)


def run_server(reader: str, home: Path, writer: str = "", jobs: str = "", **settings: str) -> Iterator[str]:
    """Starts `geocloud.web.serve` in a process of its own and stops it afterwards.

    `writer` is for editing, `jobs` for processes.
    """
    port = unused_port()
    program = (
        "import sys; from types import SimpleNamespace; from geocloud.settings import Settings; "
        "from geocloud.web import serve; reader, writer, jobs = sys.argv[1:]; "
        "serve(Settings.read(), SimpleNamespace(reader=reader, writer=writer, jobs=jobs))"
    )
    env = {**os.environ, "GEOCLOUD_PORT": str(port), "GEOCLOUD_HOME": str(home), **settings}
    log = (home / "server.log").open("wb")
    process = subprocess.Popen([sys.executable, "-c", program, reader, writer, jobs], env=env, stdout=log, stderr=log)
    base = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(base, process, home / "server.log")
        yield base
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def unused_port() -> int:
    """A TCP port nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server stopped: {log.read_text()}")
        try:
            if httpx.get(f"{base}/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            continue
    raise RuntimeError(f"the server did not answer: {log.read_text()}")


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    """An HTTP client of the server; English, no compression unless asked for."""
    headers = {"accept-language": "en", "accept-encoding": "identity"}
    with httpx.Client(base_url=server, headers=headers, timeout=60) as found:
        yield found


@pytest.fixture(scope="module")
def table(urls: Urls) -> Table:
    """A layer that may be edited and one that may not, empty."""
    conn = psycopg2.connect(urls.owner)
    layers = {ASSET: asset_spec(), QUIET: asset_spec(QUIET, edit=False)}
    sync(conn, layers, {"asset_kind": KINDS})
    conn.close()
    return Table(urls.owner)


@pytest.fixture(scope="module")
def keys(urls: Urls, table: Table, tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Keys of the editing server, and its log."""
    return Keys(urls, tmp_path_factory.mktemp("editing") / "server.log")


@pytest.fixture(scope="module")
def edit_server(urls: Urls, keys: Keys) -> Iterator[str]:
    """Address of a real server of two workers on which editing is on, with small limits."""
    limits = {"GEOCLOUD_EDIT_BODY_KB": "256", "GEOCLOUD_EDIT_FEATURES_MAX": "100", "GEOCLOUD_EDIT_WAIT_MS": "1000"}
    limits["GEOCLOUD_EDIT_BODY_SECONDS"] = "2"
    yield from run_server(urls.reader, keys.log.parent, urls.writer, GEOCLOUD_EDITING="true", **limits)


@pytest.fixture
def edit(edit_server: str, keys: Keys) -> Iterator[httpx.Client]:
    """A client with a key for everything, in English."""
    headers = {"accept-language": "en", "accept-encoding": "identity", "authorization": f"Bearer {keys.full}"}
    with httpx.Client(base_url=edit_server, headers=headers, timeout=60) as found:
        yield found


@pytest.fixture(scope="module")
def reading(urls: Urls, table: Table, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server over the same database on which editing is off."""
    for base in run_server(urls.reader, tmp_path_factory.mktemp("home"), urls.writer):
        with httpx.Client(base_url=base, headers={"accept-language": "en"}, timeout=60) as found:
            yield found
