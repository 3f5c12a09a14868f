# SPDX-License-Identifier: Apache-2.0
"""Reads of a layer with ten versions behind every row: of now against the same rows without a past, and of each depth.

The past is written straight into the history table, as ten plain updates of every row would have left it: for each a
belief that was given up, and a row that ended. One more row is really updated, and what the triggers wrote for it is
compared with the pattern.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from statistics import median
from typing import Any
from urllib.parse import quote

import orjson
import psycopg2

from benchmarks.city import SEED
from benchmarks.process import get
from benchmarks.report import Finding
from benchmarks.special.base import Context, special
from benchmarks.tiling import TileAsk
from benchmarks.wrk import wrk
from geocloud.catalogue.publish import read_catalogue, sync
from geocloud.catalogue.spec import LayerSpec

__all__ = ["read"]

DEEP, PLAIN = "bench.deep", "bench.plain"
VERSIONS = 10
_ROWS = {"small": 20_000, "city": 1_000_000, "province": 1_000_000}
_NOW, _THEN = 1.1, 3.0
_ASKED = 100
# The current row holds since December 2024, the versions behind it since the months before.
_DEPTHS = {"1 version back": "2024-11-15", "5 versions back": "2024-07-15", "10 versions back": "2024-02-15"}
_WEST, _SOUTH, _SIDE = 115.3, 35.8, 1.2
_WORDS = {"zh": "测量用", "en": "made for measuring"}


@dataclass(frozen=True)
class _Way:
    """One way to ask the same: of which layer, with which parameter of time."""

    layer: str
    query: str = ""


_WAYS: Mapping[str, _Way] = {
    "without a past": _Way(PLAIN),
    "now": _Way(DEEP),
    **{f"datetime, {name}": _Way(DEEP, f"datetime={at}T00:00:00Z") for name, at in _DEPTHS.items()},
    **{f"asof, {name}": _Way(DEEP, f"asof={at}T00:00:00Z") for name, at in _DEPTHS.items()},
}


@special("history", "reads with ten versions behind every row")
def read(context: Context) -> list[Finding]:
    """Requests a second at 16 connections in interleaved rounds; the time of each way as a multiple of another's."""
    endpoint = context.endpoints.get("geocloud")
    if endpoint is None:
        return []
    rows = _ROWS[context.ground.size]
    with closing(psycopg2.connect(context.ground.urls.owner)) as conn:
        _prepare(conn, rows, context.say)
    port = endpoint.server.port
    _until_served(port)
    wrong = _compare(context, port)
    if wrong:
        raise RuntimeError("; ".join(wrong[:3]))
    found = []
    for name, targets in _workloads(rows).items():
        rates: dict[str, list[float]] = {way: [] for way in _WAYS}
        for _ in range(context.rounds):
            for way, how in _WAYS.items():
                asked = [t(how) for t in targets]
                one = wrk(port, asked, 16, context.seconds, context.folder)
                if one.errors:
                    raise RuntimeError(f"{name}, {way}: {one.errors} errors of {one.requests}")
                rates[way].append(one.rate)
        middle = {way: median(r) for way, r in rates.items()}
        for way in _WAYS:
            if way == "without a past":
                continue
            base, most = ("without a past", _NOW) if way == "now" else ("now", _THEN)
            times = middle[base] / middle[way]
            detail = f"{middle[way]:.0f}/s against {middle[base]:.0f}/s {base}"
            words = f"at most {most:g} times {base}"
            found.append(Finding("history", f"{name}: {way}", times, "times", words, times <= most, detail))
    return found


def _spec(layer: str) -> LayerSpec:
    fields = [{"name": n, "title": _WORDS, "index": n == "category"} for n in ("code", "name", "category", "state")]
    return LayerSpec.model_validate(
        {"id": layer, "title": _WORDS, "description": _WORDS, "geometry": "point", "key": ["code"], "fields": fields,
         "tiles": {"bands": [{"zoom": 0, "fields": ["code", "category", "state"]}]}}
    )  # fmt: skip


def _prepare(conn: Any, rows: int, say: Callable[[str], None]) -> None:
    """The two layers, with their rows and the past of one; made once and kept."""
    published = read_catalogue(conn).layers
    conn.commit()
    specs = {i: x.spec for i, x in published.items()} | {i: _spec(i) for i in (DEEP, PLAIN)}
    sync(conn, specs, {c.name: c for x in published.values() for c in x.codes.values()})
    with conn, conn.cursor() as cur:
        cur.execute('SELECT (SELECT count(*) FROM bench.deep), (SELECT count(*) FROM history."bench.deep")')
        if cur.fetchone() == (rows + 1, (rows + 1) * VERSIONS * 2):
            return
    say(f"Making {rows:,} rows with {VERSIONS} versions behind each")
    with conn, conn.cursor() as cur:
        for table in ("bench.deep", "bench.plain"):
            cur.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            cur.execute(f"TRUNCATE {table} RESTART IDENTITY")
            cur.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
            cur.execute(_ALWAYS.format(table=table))
        cur.execute('TRUNCATE history."bench.deep"')
        cur.execute("UPDATE geocloud.layer_state SET row_count = 0 WHERE layer IN ('bench.deep', 'bench.plain')")
    with conn, conn.cursor() as cur:
        for table in ("deep", "plain"):
            cur.execute("SELECT setseed(0.5)")
            cur.execute(
                f"INSERT INTO bench.{table} (code, name, category, state, geom) SELECT i::text, '示例' || i, "
                f"'c' || (i %% 40), 'now', ST_Point(%s + random() * %s, %s + random() * %s, 4490) "
                "FROM generate_series(1, %s) i",
                (_WEST, _SIDE, _SOUTH, _SIDE, rows),
            )
    _give_past(conn)
    _check_pattern(conn, rows)
    conn.autocommit = True
    with conn.cursor() as cur:
        for table in ("bench.deep", "bench.plain", 'history."bench.deep"'):
            cur.execute(f"VACUUM (FULL, ANALYZE) {table}" if table == "bench.deep" else f"VACUUM ANALYZE {table}")
    conn.autocommit = False


_ALWAYS = (
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER a_begin, ENABLE ALWAYS TRIGGER b_row, ENABLE ALWAYS TRIGGER c_insert, "
    "ENABLE ALWAYS TRIGGER c_update, ENABLE ALWAYS TRIGGER c_delete, ENABLE ALWAYS TRIGGER d_truncate"
)
_COLUMNS = "fid, code, name, category, state, geom, valid_from, valid_to, sys_from, sys_to"


def _give_past(conn: Any) -> None:
    """Every row of `bench.deep` as if it had been changed at the start of each month up to December 2024."""
    with conn, conn.cursor() as cur:
        cur.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
            "WHERE indrelid = 'history.\"bench.deep\"'::regclass"
        )
        indexes = cur.fetchall()
        for name, _ in indexes:
            cur.execute(f"DROP INDEX {name}")
        for k in range(VERSIONS):
            since, until = f"'2024-{k + 2:02d}-01Z'::timestamptz", f"'2024-{k + 3:02d}-01Z'::timestamptz"
            for valid_to, sys_from, sys_to in ((until, until, "'infinity'"), ("'infinity'", since, until)):
                cur.execute(
                    f"INSERT INTO history.\"bench.deep\" ({_COLUMNS}) SELECT fid, code, name, category, 'v{k}', "
                    f"ST_Translate(geom, {k}e-5, 0), {since}, {valid_to}, {sys_from}, {sys_to} FROM bench.deep"
                )
        cur.execute("ALTER TABLE bench.deep DISABLE TRIGGER USER")
        cur.execute("UPDATE bench.deep SET sys_from = '2024-12-01Z', valid_from = '2024-12-01Z'")
        cur.execute("ALTER TABLE bench.deep ENABLE TRIGGER USER")
        cur.execute(_ALWAYS.format(table="bench.deep"))
        for _, make in indexes:
            cur.execute(make)


def _check_pattern(conn: Any, rows: int) -> None:
    """RuntimeError unless real updates of one more row leave rows of the same shape, stamps apart."""
    with conn, conn.cursor() as cur:
        cur.execute(
            "INSERT INTO bench.deep (code, state, valid_from, geom) "
            "VALUES ('real', 'v0', '2024-02-01Z', ST_Point(0, 0, 4490))"
        )
    for k in range(VERSIONS):
        with conn, conn.cursor() as cur:
            cur.execute("SELECT set_config('geocloud.valid_at', %s, true)", (f"2024-{k + 3:02d}-01Z",))
            cur.execute("UPDATE bench.deep SET state = %s WHERE code = 'real'", (f"v{k + 1}",))
    shape = (
        "SELECT state, valid_from, valid_to, sys_to = 'infinity' FROM history.\"bench.deep\" WHERE code = %s "
        "ORDER BY valid_from, valid_to"
    )
    with conn, conn.cursor() as cur:
        cur.execute(shape, ("real",))
        real = cur.fetchall()
        cur.execute(shape, (str(rows),))
        if cur.fetchall() != real:
            raise RuntimeError("the past that was written is not what the triggers would have written")


def _until_served(port: int) -> None:
    for _ in range(500):
        if get(port, f"/collections/{PLAIN}/items?limit=1&f=json").status == 200:
            return
    raise RuntimeError("the layers made for measuring are not served")


def _workloads(rows: int) -> dict[str, list[Callable[[_Way], str]]]:
    """Addresses by name, to be written for each way."""
    draw = random.Random(f"{SEED}-history")

    def address(path: str, **asked: str) -> Callable[[_Way], str]:
        given = "&".join(f"{k}={quote(v, safe=',')}" for k, v in asked.items())
        return lambda way: f"/collections/{way.layer}/{path}?" + "&".join(p for p in (given, way.query) if p)

    boxes = []
    for _ in range(_ASKED):
        west, south = (a + draw.random() * (_SIDE - 0.03) for a in (_WEST, _SOUTH))
        boxes.append(f"{west:.5f},{south:.5f},{west + 0.022:.5f},{south + 0.018:.5f}")
    tiles = []
    for _ in range(_ASKED):
        tile = TileAsk(DEEP, 14, 13_440 + draw.randrange(50), 6_380 + draw.randrange(50), None)
        tiles.append(f"tiles/WebMercatorQuad/14/{tile.y}/{tile.x}")
    return {
        "item": [address(f"items/{draw.randint(1, rows)}", f="json") for _ in range(_ASKED)],
        "first page of 10": [address("items", f="json", limit="10")],
        "first page of 1,000": [address("items", f="json", limit="1000")],
        "2 km box, limit 100": [address("items", f="json", limit="100", bbox=b) for b in boxes],
        "2 km box and attribute": [address("items", f="json", limit="100", bbox=b, category="c7") for b in boxes],
        "tile of zoom 14": [address(t) for t in tiles],
    }


def _compare(context: Context, port: int) -> list[str]:
    """What each way answers for five boxes and the first page against rows chosen by plain comparisons of the times."""
    wrong = []
    workloads = _workloads(_ROWS[context.ground.size])
    with closing(psycopg2.connect(context.ground.urls.owner)) as conn, conn.cursor() as cur:
        for name in ("2 km box, limit 100", "first page of 10"):
            for target in workloads[name][:5]:
                for way, how in _WAYS.items():
                    answer = orjson.loads(get(port, target(how)).body)["features"]
                    seen = {(f["id"], f["properties"]["state"]) for f in answer}
                    cur.execute(*_truth(how, target(how)))
                    expected = set(cur.fetchall())
                    if seen != expected:
                        wrong.append(f"{name}, {way}: {len(seen ^ expected)} features differ from SQL")
    return wrong


def _truth(way: _Way, target: str) -> tuple[str, tuple[Any, ...]]:
    asked = dict(p.split("=", 1) for p in target.partition("?")[2].split("&"))
    at = asked.get("datetime") or asked.get("asof")
    rows = (
        f"SELECT fid, state, geom, valid_from, valid_to, sys_from, 'infinity'::timestamptz AS sys_to FROM {way.layer}"
    )
    if way.layer == DEEP:
        rows += ' UNION ALL SELECT fid, state, geom, valid_from, valid_to, sys_from, sys_to FROM history."bench.deep"'
    condition, bound = "sys_to = 'infinity' AND valid_from <= now() AND valid_to > now()", []
    if "datetime" in asked:
        condition, bound = "sys_to = 'infinity' AND valid_from <= %s AND valid_to > %s", [at, at]
    elif "asof" in asked:
        condition = "sys_from <= %s AND sys_to > %s AND valid_from <= %s AND valid_to > %s"
        bound = [at] * 4
    if "bbox" in asked:
        condition += " AND ST_X(geom) BETWEEN %s AND %s AND ST_Y(geom) BETWEEN %s AND %s"
        west, south, east, north = (float(n) for n in asked["bbox"].split(","))
        bound += [west, east, south, north]
    sql = f"SELECT fid, state FROM ({rows}) r WHERE {condition} ORDER BY fid LIMIT %s"
    return sql, (*bound, int(asked["limit"]))
