# SPDX-License-Identifier: Apache-2.0
"""A layer that may be edited, what is in its table, and keys."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import psycopg2.extras

from geocloud.catalogue.keys import add_key
from geocloud.catalogue.spec import CodeList, LayerSpec
from geocloud.db.cluster import Urls

ASSET, QUIET = "test.asset", "test.quiet"
ITEMS = f"/collections/{ASSET}/items"
PROBLEM = "application/problem+json"
POST = {"content-type": "application/geo+json"}
PATCH = {"content-type": "application/merge-patch+json"}
_NUMBER = itertools.count(1)


def _both(text: str) -> dict[str, str]:
    return {"zh": f"{text}(中文)", "en": text}


def asset_spec(layer: str = ASSET, *, edit: bool = True) -> LayerSpec:
    """Points with every field type, limits of each kind, and a hidden field."""
    fields = [
        {"name": "code", "title": _both("Code"), "required": True, "pattern": "[A-Z0-9-]+"},
        {"name": "name", "title": _both("Name"), "max_length": 40},
        {"name": "kind", "title": _both("Kind"), "codes": "asset_kind"},
        {"name": "height", "type": "number", "title": _both("Height"), "minimum": 0, "maximum": 100},
        {"name": "year", "type": "integer", "title": _both("Year")},
        {"name": "open", "type": "boolean", "title": _both("Open")},
        {"name": "built", "type": "date", "title": _both("Built")},
        {"name": "checked", "type": "datetime", "title": _both("Checked")},
        {"name": "secret", "title": _both("Secret"), "hidden": True},
    ]
    return LayerSpec.model_validate(
        {"id": layer, "title": _both("Assets"), "description": _both("Assets"), "geometry": "point", "key": ["code"],
         "fields": fields, "access": {"edit": edit}}
    )  # fmt: skip


KINDS = CodeList.model_validate(
    {"name": "asset_kind", "title": _both("Kinds"), "source": "made for the tests",
     "codes": [{"code": "lamp", "title": _both("lamp"), "aliases": ["lamp post"]},
               {"code": "tree", "title": _both("tree")}]}
)  # fmt: skip


def draft(at: tuple[float, float] = (116.0, 36.5), **values: Any) -> dict[str, Any]:
    """A feature to be created, with a key of its own."""
    properties = {"code": f"A-{next(_NUMBER)}", **values}
    return {"type": "Feature", "geometry": {"type": "Point", "coordinates": list(at)}, "properties": properties}


def created(edit: httpx.Client, **values: Any) -> tuple[str, httpx.Response]:
    """A new feature's path and the answer that made it."""
    answer = edit.post(ITEMS, json=draft(**values), headers=POST)
    assert answer.status_code == 201, answer.text
    return httpx.URL(answer.headers["location"]).path, answer


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    document = answer.json()
    assert document["type"] == f"urn:geocloud:problem:{code}"
    assert document["detail"] and "SELECT" not in answer.text and "INSERT" not in answer.text
    assert any("\u4e00" <= c <= "\u9fff" for c in document["title"]) is False
    return document


def broken(answer: httpx.Response) -> set[tuple[str, str]]:
    """Pointer and rule of each violation, every one in both languages."""
    document = problem(answer, 422, "rules-broken")
    for violation in document["violations"]:
        assert violation["message"]["en"] and any("\u4e00" <= c <= "\u9fff" for c in violation["message"]["zh"])
        assert violation["severity"] == "error"
    return {(v["pointer"], v["rule"]) for v in document["violations"]}


class Table:
    """What is really in the database."""

    def __init__(self, url: str) -> None:
        self._url = url

    def run(self, sql: str, *args: object) -> list[dict[str, Any]]:
        conn = psycopg2.connect(self._url)
        try:
            with conn, conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cur:
                cur.execute(sql, args)
                return [dict(r) for r in cur.fetchall()] if cur.description else []
        finally:
            conn.close()

    def row(self, fid: int) -> dict[str, Any]:
        (row,) = self.run(
            "SELECT *, ST_X(geom) AS x, ST_Y(geom) AS y, ST_SRID(geom) AS srid FROM test.asset WHERE fid = %s", fid
        )
        return row

    def count(self) -> int:
        return int(self.run("SELECT count(*) AS n FROM test.asset")[0]["n"])

    def version(self) -> int:
        return int(self.run("SELECT version FROM geocloud.layer_state WHERE layer = %s", ASSET)[0]["version"])

    def log(self, fid: int) -> list[str]:
        rows = self.run("SELECT op FROM geocloud.change_log WHERE layer = %s AND fid = %s ORDER BY id", ASSET, fid)
        return [r["op"] for r in rows]

    def history(self, fid: int) -> list[dict[str, Any]]:
        """Beliefs that have ended, oldest first."""
        return self.run('SELECT * FROM history."test.asset" WHERE fid = %s AND isfinite(sys_to) ORDER BY sys_from', fid)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Another transaction that has written the layer and has not ended."""
        conn = psycopg2.connect(self._url)
        try:
            with conn.cursor() as cur:
                cur.execute("INSERT INTO test.asset (code) VALUES ('OTHER')")
                yield
        finally:
            conn.rollback()
            conn.close()

    def until(self, reached: Callable[[], bool], seconds: float = 10) -> None:
        """Asks again until it is so."""
        end = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < end, "not reached in time"


class Keys:
    """Keys in force, and the log in which none may show up."""

    def __init__(self, urls: Urls, log: Path) -> None:
        self._url, self.log, self.secrets = urls.owner, log, list[str]()
        self.full = self.make("full")
        self.elsewhere = self.make("elsewhere", QUIET)
        self.qgis = self.make("qgis", "test.*", needs_version=False)

    def make(self, name: str, layer: str = "*", *, needs_version: bool = True) -> str:
        conn = psycopg2.connect(self._url)
        try:
            self.secrets.append(add_key(conn, name, [layer], needs_version=needs_version))
        finally:
            conn.close()
        return self.secrets[-1]
