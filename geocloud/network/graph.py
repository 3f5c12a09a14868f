# SPDX-License-Identifier: Apache-2.0
"""The road graph in the database (路网): made of the layer `base.road`, and made anew when that has changed.

`ready` is asked before the graph is used. It raises where the graph is not of the road layer as the run sees it;
whoever runs the process makes it anew then and begins again (`geocloud.jobs.run.run_process`).
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import psycopg2.extensions
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.publish import read_catalogue
from geocloud.catalogue.registry import Layer
from geocloud.db.given import has_routing
from geocloud.db.pool import connect
from geocloud.errors import MissingPackages
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.moment import NOW
from geocloud.geodesy.area import lengths
from geocloud.jobs.run import Renewable, Run
from geocloud.network.noding import RULES, TOLERANCE_M, Noded, levels, node
from geocloud.network.speeds import PROFILES, ProfileName, Speeds, read_speeds
from geocloud.settings import Settings

__all__ = ["ROADS", "Graph", "build", "ready", "to_lonlat", "to_plane"]

ROADS = "base.road"
_LOCK = 0x6765_6F4E
_FIELDS = ("class", "oneway", "bridge", "tunnel", "level", "max_speed_kmh")
_EARTH_M = 6378137.0
_BATCH = 20_000
# COPY is fed in pieces of so many rows.
_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Graph:
    """The graph that a run sees: version of the road layer, number of edges, highest speeds in m/s, and the table of
    speeds it was made with."""

    road_version: int
    built_at: datetime
    roads: int
    nodes: int
    edges: int
    fastest: dict[ProfileName, float]
    speeds: Speeds

    def as_dict(self) -> dict[str, Any]:
        """What an answer says of the graph it was found on."""
        return {
            "layer": ROADS, "road_version": self.road_version, "edges": self.edges, "tolerance_m": TOLERANCE_M,
            "speeds": self.speeds.as_dict(),
        }  # fmt: skip


def ready(run: Run) -> Graph:
    """The graph of the roads as this run sees them.

    Raises MissingPackages where the database has no pgRouting, Renewable where the graph must be made first.
    """
    if has_routing(run.reader) is None:
        raise MissingPackages(
            "The database has no pgRouting, so nothing can be found along roads.",
            "数据库没有 pgRouting 扩展,无法按道路计算。",
            todo_en="Install postgresql-<version>-pgrouting (3.4 or newer) on the database server and run "
            "`geocloud up`; in a given database a superuser runs `CREATE EXTENSION pgrouting SCHEMA public`.",
            todo_zh="请在数据库服务器安装 postgresql-<版本>-pgrouting(3.4 或更高)后运行 `geocloud up`;"
            "所给数据库须由超级用户执行 `CREATE EXTENSION pgrouting SCHEMA public`。",
            packages=["postgresql-<version>-pgrouting"],
        )
    roads = run.catalogue.layer(ROADS)
    found = _kept(run.reader, roads.state.version)
    if found is None:
        exc = Renewable(
            "The road graph is not of the roads as they are now.", "路网尚未按当前道路数据生成。",
            todo_en="Run `geocloud network build`.", todo_zh="请运行 `geocloud network build`。",
        )  # fmt: skip
        exc.renew = partial(build, run.settings)
        raise exc
    return found


def build(settings: Settings, writer_url: str) -> None:
    """Makes the graph of the roads that are valid now, in one transaction; nothing is done where it is there already.

    The roads are read and the graph is written in one state of the database. Two builds at once wait for each other.
    """
    with connect(writer_url, application_name="geocloud network", autocommit=True) as lock, lock.cursor() as held:
        # The state of the database is taken when the lock is held, not when it is asked for.
        held.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        with connect(writer_url, application_name="geocloud network") as conn:
            conn.set_session(isolation_level="REPEATABLE READ")
            with conn.cursor() as cur:
                cur.execute("SET statement_timeout = 0; SET jit = off")
            run = Run(settings, conn, read_catalogue(conn))
            roads = run.catalogue.layer(ROADS)
            if _kept(conn, roads.state.version) is None:
                _write(conn, roads, *_read(run, roads))


def _digest() -> str:
    return f"{RULES}; speeds {read_speeds().digest}"


def _kept(conn: psycopg2.extensions.connection, version: int) -> Graph | None:
    with conn.cursor() as cur:
        cur.execute(
            "SELECT built_at, roads, nodes, edges, drive_fastest, walk_fastest FROM network.graph "
            "WHERE road_version = %s AND valid_until > clock_timestamp() AND digest = %s",
            (version, _digest()),
        )
        row = cur.fetchone()
    if row is None:
        return None
    return Graph(version, row[0], row[1], row[2], row[3], {"drive": row[4], "walk": row[5]}, read_speeds())


def _read(run: Run, roads: Layer) -> tuple[NDArray[Any], dict[str, NDArray[Any]], NDArray[Any]]:
    """Numbers (fid), attributes and geometries of the roads that are valid now."""
    known = {f.name for f in roads.spec.visible_fields}
    columns = ", ".join(quote_identifier(n) if n in known else "NULL" for n in _FIELDS)
    binder = Binder()
    read = NOW.relation(binder, roads, by_place=False) or roads.table
    statement = f"SELECT fid, {columns}, ST_AsBinary(geom) FROM {read} r WHERE geom IS NOT NULL ORDER BY fid"
    rows = [r for batch in run.batches(statement, binder, _BATCH) for r in batch]
    fid = np.array([r[0] for r in rows], dtype=np.int64)
    values = {n: np.array([r[k] for r in rows], dtype=object) for k, n in enumerate(_FIELDS, 1)}
    return fid, values, np.asarray(shapely.from_wkb([bytes(r[-1]) for r in rows]), dtype=object)


def _write(
    conn: psycopg2.extensions.connection,
    roads: Layer,
    fid: NDArray[Any],
    values: dict[str, NDArray[Any]],
    shapes: NDArray[Any],
) -> None:
    noded = node(shapes, levels(values["level"], values["bridge"], values["tunnel"]))
    metres = lengths(noded.lines) if len(noded.lines) else np.empty(0)
    costs, fastest = _costs(noded, metres, values)
    with conn.cursor() as cur:
        cur.execute("DELETE FROM network.graph; DELETE FROM network.edge; DELETE FROM network.node")
        _copy(cur, "edge", _edges(noded, fid, metres, costs))
        _copy(cur, "node", _nodes(noded))
        cur.execute(
            "INSERT INTO network.graph (road_version, valid_until, digest, tolerance_m, roads, nodes, edges, "
            "drive_fastest, walk_fastest, west, south, east, north) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                roads.state.version, roads.state.next_boundary or "infinity", _digest(), TOLERANCE_M, len(fid),
                len(noded.nodes), len(noded.lines), fastest["drive"], fastest["walk"],
                *(shapely.total_bounds(noded.lines).tolist() if len(noded.lines) else [0.0] * 4),
            ),
        )  # fmt: skip
        cur.execute("SELECT network.measure()")


def _costs(
    noded: Noded, metres: NDArray[np.float64], values: dict[str, NDArray[Any]]
) -> tuple[list[NDArray[np.float64]], dict[ProfileName, float]]:
    """Seconds forward and back of each profile, -1 where it may not go, and the highest speeds, m/s."""
    limits = np.array([math.nan if v is None else float(v) for v in values["max_speed_kmh"]])
    one = (
        np.array([bool(v) for v in values["oneway"]], dtype=bool)[noded.owner]
        if len(noded.owner)
        else np.empty(0, bool)
    )
    columns: list[NDArray[np.float64]] = []
    fastest: dict[ProfileName, float] = {}
    for name in PROFILES:
        profile = read_speeds().profiles[name]
        speed = profile.speeds(values["class"], limits)[noded.owner]
        seconds = np.where(speed > 0, metres / np.where(speed > 0, speed, 1.0), -1.0)
        columns += [seconds, np.where(one, -1.0, seconds) if profile.oneway else seconds]
        fastest[name] = float(speed.max(initial=0.0))
    return columns, fastest


def to_plane(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Web Mercator metres, shape (n, 2), of longitude and latitude in degrees."""
    lat = np.radians(lonlat[:, 1])
    return np.column_stack((np.radians(lonlat[:, 0]) * _EARTH_M, np.log(np.tan(np.pi / 4 + lat / 2)) * _EARTH_M))


def to_lonlat(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Longitude and latitude in degrees of Web Mercator metres, shape (n, 2); rounded to a tenth of a millimetre."""
    lat = 2 * np.arctan(np.exp(plane[:, 1] / _EARTH_M)) - np.pi / 2
    return np.asarray(np.round(np.degrees(np.column_stack((plane[:, 0] / _EARTH_M, lat))), 9), dtype=np.float64)


def _edges(noded: Noded, fid: NDArray[Any], metres: NDArray[np.float64], costs: list[Any]) -> Iterator[str]:
    plane = shapely.transform(noded.lines, to_plane)
    columns = [fid[noded.owner], noded.source, noded.target, metres, *costs]
    hexes = [shapely.to_wkb(shapely.set_srid(g, s), hex=True, include_srid=True)
             for g, s in ((noded.lines, 4490), (plane, 3857))]  # fmt: skip
    for row in zip(range(len(noded.lines)), *(c.tolist() for c in (*columns, *hexes)), strict=True):
        yield "\t".join(map(str, row))


def _nodes(noded: Noded) -> Iterator[str]:
    if len(noded.nodes):
        points = shapely.set_srid(shapely.points(noded.nodes), 4490)
        for n, text in enumerate(shapely.to_wkb(points, hex=True, include_srid=True).tolist()):
            yield f"{n}\t{text}"


def _copy(cur: psycopg2.extensions.cursor, table: str, rows: Iterator[str]) -> None:
    cur.copy_expert(f"COPY network.{table} FROM STDIN", _Lines(rows))


class _Lines(io.RawIOBase):
    """Rows as a stream, a few thousand at a time."""

    def __init__(self, rows: Iterator[str]) -> None:
        self._rows, self._rest = rows, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            taken = list(itertools.islice(self._rows, _ROWS))
            self._rest = ("\n".join(taken) + "\n").encode() if taken else b""
        n = min(len(buffer), len(self._rest))
        buffer[:n] = self._rest[:n]
        self._rest = self._rest[n:]
        return n
