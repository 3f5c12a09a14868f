# SPDX-License-Identifier: Apache-2.0
"""Loading against ogr2ogr: the same GeoPackage into the same PostGIS, in interleaved rounds.

ogr2ogr (PG_USE_COPY=YES, spatial index and integer key included) makes a new table. `geocloud load`, timed as
the whole command from its start to its end, reads, repairs and checks every row, merges by natural key, keeps
both times and makes the layer's indexes. Each run begins with a fresh database and a checkpoint. What arrived
is compared row by row before any time counts.

The layers have no overview for low zooms; with --overviews they have the one of their kind, kept by triggers.

python -m benchmarks.load [--rounds N] [--home FOLDER] [--overviews]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psycopg2
import pyarrow as pa
import pyogrio
import shapely

from geocloud.db.cluster import admin_url, session
from geocloud.db.roles import OWNER, make_url, open_database
from geocloud.settings import DatabaseSettings

__all__ = [
    "DATABASE",
    "SETS",
    "LoadRun",
    "Race",
    "Reload",
    "checkpoint",
    "data_file",
    "fresh",
    "layer_text",
    "race",
    "reload",
    "table",
]

DATABASE = "geocloud_bench_load"
_SEED = 20_260_101
_BATCH = 100_000
_WEST, _SOUTH, _EAST, _NORTH = 115.3, 35.8, 116.5, 37.0

_LAYER = """
id: bench.{name}
title: {{zh: 测试, en: Benchmark}}
description: {{zh: 测试, en: Benchmark}}
geometry: {geometry}
key: [code]
{more}
fields:
{fields}
"""


@dataclass(frozen=True)
class DataSet:
    """What is loaded: rows, geometry and the layer's definition."""

    name: str
    rows: int
    geometry: str
    fields: tuple[str, ...]
    make: Callable[[int, int], pa.Table]
    overview: tuple[str, ...]
    more: str = ""


@dataclass
class LoadRun:
    """One timed run: seconds on the wall, processor seconds of the command, its largest memory in MB."""

    seconds: float
    cpu: float
    memory_mb: float


@dataclass
class Race:
    """Interleaved runs over one data set."""

    name: str
    rows: int
    ours: list[LoadRun] = field(default_factory=list)
    ogr2ogr: list[LoadRun] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Median of ogr2ogr's time over ours, paired by round: above 1 we are faster."""
        return median(o.seconds / g.seconds for o, g in zip(self.ogr2ogr, self.ours, strict=True))


def _points(first: int, rows: int) -> pa.Table:
    rng = np.random.default_rng([_SEED, first])
    xy = np.column_stack([rng.uniform(_WEST, _EAST, rows), rng.uniform(_SOUTH, _NORTH, rows)]).round(8)
    return pa.table(
        {
            "code": [f"371502{n:010d}" for n in range(first, first + rows)],
            "name": rng.choice(np.array(["井盖", "路灯", "消火栓", "行道树", "公交站牌"], dtype=object), rows),
            "kind": rng.choice(np.array(["0101", "0102", "0203", "0301"], dtype=object), rows),
            "state": rng.choice(np.array(["good", "worn", "broken"], dtype=object), rows),
            "height": rng.uniform(0, 20, rows).round(2),
            "slots": rng.integers(0, 100, rows),
            "installed": np.datetime64("2000-01-01") + rng.integers(0, 9_000, rows),
            "owner": rng.choice(np.array(["市政", "电力", "水务"], dtype=object), rows),
            "geom": pa.array(shapely.to_wkb(shapely.points(xy)), pa.binary()),
        }
    )


def _polygons(first: int, rows: int) -> pa.Table:
    rng = np.random.default_rng([_SEED + 1, first])
    corners = rng.integers(5, 41, rows)
    start = np.cumsum(corners) - corners
    step = np.arange(corners.sum()) - np.repeat(start, corners)
    angle = 2 * np.pi * (step + rng.uniform(0, 0.8, len(step))) / np.repeat(corners, corners)
    radius = np.repeat(rng.uniform(1e-4, 5e-4, rows), corners) * rng.uniform(0.5, 1, len(step))
    x = np.repeat(rng.uniform(_WEST, _EAST, rows), corners) + radius * np.cos(angle)
    y = np.repeat(rng.uniform(_SOUTH, _NORTH, rows), corners) + radius * np.sin(angle)
    rings = shapely.linearrings(np.column_stack([x, y]).round(9), indices=np.repeat(np.arange(rows), corners))
    return pa.table(
        {
            "code": [f"P{n:011d}" for n in range(first, first + rows)],
            "use": rng.choice(np.array(["0701", "0702", "0801", "0901"], dtype=object), rows),
            "area": rng.uniform(100, 9_000, rows).round(1),
            "floors": rng.integers(1, 40, rows),
            "geom": pa.array(shapely.to_wkb(shapely.polygons(rings)), pa.binary()),
        }
    )


def _field(name: str, kind: str = "text", more: str = "") -> str:
    return f"  - {{name: {name}, type: {kind}, title: {{zh: {name}, en: {name}}}{more}}}"


SETS = (
    DataSet(
        "points",
        1_000_000,
        "Point",
        (
            _field("code", more=", required: true, pattern: '371502[0-9]{10}'"),
            _field("name", more=", max_length: 40"),
            _field("kind", more=", pattern: '[0-9]{4}'"),
            _field("state", more=", max_length: 10"),
            _field("height", "number", ", minimum: 0, maximum: 100"),
            _field("slots", "integer", ", minimum: 0"),
            _field("installed", "date"),
            _field("owner", more=", max_length: 40"),
        ),
        _points,
        ("tiles: {overview: cluster, overview_below: 13}", "style: {color_by: kind}"),
    ),
    DataSet(
        "polygons",
        300_000,
        "Polygon",
        (
            _field("code", more=", required: true, max_length: 20"),
            _field("use", more=", pattern: '[0-9]{4}'"),
            _field("area", "number", ", minimum: 0"),
            _field("floors", "integer", ", minimum: 0, maximum: 200"),
        ),
        _polygons,
        ("tiles: {overview: cover, overview_below: 13}", "style: {color_by: use}"),
        "min_area_m2: 1",
    ),
)


def race(
    settings: DatabaseSettings,
    owner: str,
    folder: Path,
    rounds: int,
    say: Callable[[str], None],
    overviews: bool = False,
) -> list[Race]:
    """Runs all data sets on a running cluster, whose owner's URL is `owner`; files are made in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    layers = _layers(folder / "layers", overviews)
    found = []
    for data in SETS:
        path = data_file(folder, data)
        one = Race(data.name, data.rows)
        for number in range(1, rounds + 1):
            turns = [_ours, _ogr2ogr] if number % 2 else [_ogr2ogr, _ours]
            with fresh(settings, owner) as url:
                for turn in turns:
                    checkpoint(url)
                    run = turn(url, path, data, folder, layers)
                    (one.ours if turn is _ours else one.ogr2ogr).append(run)
                if number == 1:
                    one.wrong = _differences(url, data)
            say(f"{data.name} {number}: geocloud {one.ours[-1].seconds:.2f} s, ogr2ogr {one.ogr2ogr[-1].seconds:.2f} s")
        found.append(one)
    return found


@dataclass(frozen=True)
class Reload:
    """A yearly delivery after the first: both runs, rows of the file, how many differ, and what history holds."""

    first: LoadRun
    again: LoadRun
    rows: int
    changed: int
    in_history: int
    reported: int


def reload(settings: DatabaseSettings, owner: str, folder: Path, say: Callable[[str], None]) -> Reload:
    """The polygons, and a year later the whole file again with every 33rd row changed: half in words, half in shape."""
    folder.mkdir(parents=True, exist_ok=True)
    layers, data = _layers(folder / "layers", overviews=False), SETS[1]
    path, later = data_file(folder, data), folder / f"{data.name}-{data.rows}-later.gpkg"
    changed = 0
    if later.exists():
        later.unlink()
    for first in range(0, data.rows, _BATCH):
        rows = data.make(first, min(_BATCH, data.rows - first))
        number = np.arange(first, first + len(rows))
        words, shape = number % 66 == 0, number % 66 == 33
        changed += int((words | shape).sum())
        floors = np.where(words, rows["floors"].to_numpy() + 1, rows["floors"].to_numpy())
        geoms = shapely.from_wkb(rows["geom"].to_numpy(zero_copy_only=False))
        geoms[shape] = shapely.transform(geoms[shape], lambda xy: xy + 1e-5)
        rows = rows.set_column(rows.schema.get_field_index("floors"), "floors", pa.array(floors))
        rows = rows.set_column(
            rows.schema.get_field_index("geom"), "geom", pa.array(shapely.to_wkb(geoms), pa.binary())
        )
        pyogrio.write_arrow(
            rows, later, layer=data.name, driver="GPKG", geometry_name="geom", geometry_type=data.geometry,
            crs="EPSG:4490", append=first > 0, dataset_options=None if first else {"VERSION": "1.2"},
        )  # fmt: skip
    with fresh(settings, owner) as url:
        checkpoint(url)
        begun = _ours(url, path, data, folder, layers)
        checkpoint(url)
        env = {"GEOCLOUD_DATABASE_URL": url, "GEOCLOUD_HOME": str(folder / "home"), "GEOCLOUD_LAYERS_DIR": str(layers)}
        command = [sys.executable, "-m", "geocloud.cli", "load", str(later), "--layer", f"bench.{data.name}", "--full"]
        again, out = _timed([*command, "--json"], env)
        result = json.loads(out)[0]
        with closing(psycopg2.connect(url)) as conn, conn.cursor() as cur:
            cur.execute(f'SELECT count(DISTINCT fid), count(*) FROM history."bench.{data.name}"')
            features, beliefs = cur.fetchone()
    if (result["new"], result["rejected"], beliefs) != (0, 0, 2 * features):
        raise RuntimeError(f"the second load made {result['new']} rows, history holds {beliefs} of {features} features")
    say(f"{data.name}: first {begun.seconds:.2f} s, again {again.seconds:.2f} s")
    return Reload(begun, again, data.rows, changed, features, result["changed"])


def table(races: list[Race]) -> str:
    """The result for people, as Markdown."""
    lines = [
        "| load from GeoPackage | rows | geocloud s (cpu, MB) | ogr2ogr s (cpu, MB) | ogr2ogr / geocloud |",
        "|---|--:|--:|--:|--:|",
    ]
    for one in races:
        ours, theirs = (_middle(runs) for runs in (one.ours, one.ogr2ogr))
        lines.append(f"| {one.name} | {one.rows:,} | {ours} | {theirs} | {one.ratio:.2f} |")
    return "\n".join(lines)


def _middle(runs: list[LoadRun]) -> str:
    seconds, cpu, memory = (median(getattr(r, k) for r in runs) for k in ("seconds", "cpu", "memory_mb"))
    return f"{seconds:.2f} ({cpu:.1f}, {memory:.0f})"


def _layers(folder: Path, overviews: bool) -> Path:
    (folder / "bench").mkdir(parents=True, exist_ok=True)
    for data in SETS:
        more = [data.more, *(data.overview if overviews else ())]
        text = layer_text(data, data.name, more)
        (folder / "bench" / f"{data.name}.yaml").write_text(text, encoding="utf-8")
    return folder


def layer_text(data: DataSet, name: str, more: Sequence[str] = ()) -> str:
    """The definition of a layer `bench.<name>` for a data set."""
    return _LAYER.format(name=name, geometry=data.geometry.lower(), more="\n".join(more), fields="\n".join(data.fields))


def data_file(folder: Path, data: DataSet) -> Path:
    """The data set as a GeoPackage, made when it is not there."""
    path = folder / f"{data.name}-{data.rows}-{_SEED}.gpkg"
    if not path.exists():
        part = path.with_suffix(".part.gpkg")
        part.unlink(missing_ok=True)
        for first in range(0, data.rows, _BATCH):
            pyogrio.write_arrow(
                data.make(first, min(_BATCH, data.rows - first)), part, layer=data.name, driver="GPKG",
                geometry_name="geom", geometry_type=data.geometry, crs="EPSG:4490", append=first > 0,
                dataset_options=None if first else {"VERSION": "1.2"},
            )  # fmt: skip
        part.replace(path)
    return path


@contextmanager
def fresh(settings: DatabaseSettings, owner: str) -> Iterator[str]:
    """A superuser's URL of a new database, which is dropped afterwards."""
    from geocloud.db.migrate import migrate

    admin = admin_url(settings, "postgres")
    _run_sql(admin, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    _run_sql(admin, f'CREATE DATABASE {DATABASE} OWNER "{OWNER}"')
    url = admin_url(settings, DATABASE)
    with closing(psycopg2.connect(url)) as conn, conn:
        open_database(conn, DATABASE)
    _run_sql(url, "CREATE EXTENSION IF NOT EXISTS postgis")
    migrate(make_url(owner, dbname=DATABASE))
    try:
        yield url
    finally:
        _run_sql(admin, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")


def _run_sql(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as conn:
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute(statement)


def checkpoint(url: str) -> None:
    """Has the database write down what it holds in memory."""
    _run_sql(url, "CHECKPOINT")


def _ours(url: str, path: Path, data: DataSet, folder: Path, layers: Path) -> LoadRun:
    env = {"GEOCLOUD_DATABASE_URL": url, "GEOCLOUD_HOME": str(folder / "home"), "GEOCLOUD_LAYERS_DIR": str(layers)}
    command = [sys.executable, "-m", "geocloud.cli", "load", str(path), "--layer", f"bench.{data.name}", "--json"]
    run, out = _timed(command, env)
    result = json.loads(out)[0]
    if (result["new"], result["rejected"]) != (data.rows, 0):
        raise RuntimeError(f"geocloud load took {result['new']} rows and rejected {result['rejected']}")
    return run


def _ogr2ogr(url: str, path: Path, data: DataSet, folder: Path, layers: Path) -> LoadRun:
    command = [
        "ogr2ogr", "-f", "PostgreSQL", f"PG:{url}", str(path), "-nln", f"ogr_{data.name}", "-lco", "GEOMETRY_NAME=geom",
        "--config", "PG_USE_COPY", "YES",
    ]  # fmt: skip
    return _timed(command, {})[0]


def _timed(command: list[str], env: dict[str, str]) -> tuple[LoadRun, bytes]:
    begun = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | env)
    out, err = b"", b""
    assert child.stdout is not None and child.stderr is not None
    with child.stdout, child.stderr:
        out, err = child.stdout.read(), child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{command[0]} failed: {err.decode()[-2000:]}")
    return LoadRun(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), out


def _differences(url: str, data: DataSet) -> list[str]:
    """What differs between the two tables: every row's values and geometry, joined by code."""
    names = [f.split("name: ")[1].split(",")[0] for f in data.fields]
    same = " AND ".join(f'a."{n}"::text IS NOT DISTINCT FROM b."{n}"::text' for n in names)
    shape = "ST_Equals(a.geom, b.geom) AND ST_NPoints(a.geom) = ST_NPoints(b.geom)"
    query = (
        f"SELECT count(*), count(*) FILTER (WHERE {same}), count(*) FILTER (WHERE {shape}) "
        f'FROM bench."{data.name}" a JOIN ogr_{data.name} b USING (code)'
    )
    with closing(psycopg2.connect(url)) as conn, conn.cursor() as cur:
        cur.execute(query)
        joined, values, shapes = cur.fetchone()
        cur.execute("SELECT row_count, version FROM geocloud.layer_state WHERE layer = %s", (f"bench.{data.name}",))
        rows, version = cur.fetchone()
        cur.execute("SELECT sum(row_count) FROM geocloud.change_log WHERE layer = %s", (f"bench.{data.name}",))
        (logged,) = cur.fetchone()
    wanted = {"joined": joined, "values": values, "shapes": shapes, "row_count": rows, "logged": logged}
    wrong = [f"{data.name}: {k} is {n}, not {data.rows}" for k, n in wanted.items() if n != data.rows]
    return wrong + ([] if version == 2 else [f"{data.name}: version is {version}, not 2"])


def main() -> int:
    """Exit code 1 when what arrived differs, 2 without ogr2ogr."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--home", type=Path, default=Path.home() / ".local/share/geocloud-bench")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "load.json")
    parser.add_argument("--overviews", action="store_true", help="layers with an overview for low zooms")
    args = parser.parse_args()
    if shutil.which("ogr2ogr") is None:
        print("ogr2ogr is missing: install gdal-bin", file=sys.stderr)
        return 2
    from benchmarks.process import free_port

    settings = DatabaseSettings(
        home=args.home / "load", database_url=None, database_port=free_port(), database_memory_mb=4096
    )
    settings.home.mkdir(parents=True, exist_ok=True)
    with session(settings) as urls:
        races = race(
            settings, urls.owner, settings.home / "files", args.rounds,
            lambda s: print(s, file=sys.stderr, flush=True), args.overviews,
        )  # fmt: skip
    args.out.parent.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {"races": [asdict(r) | {"ratio": r.ratio} for r in races]}
    args.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(table(races))
    wrong = [w for r in races for w in r.wrong]
    for line in wrong:
        print(f"wrong: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
