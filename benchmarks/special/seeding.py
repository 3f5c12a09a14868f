# SPDX-License-Identifier: Apache-2.0
"""Whole layers as tiles: `geocloud tiles seed` beside GDAL's MVT driver and tippecanoe."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pmtiles.reader import MmapSource, all_tiles

from benchmarks.city import CAMERA, PARCEL, ROAD, City, Layer
from benchmarks.report import Finding
from benchmarks.special.base import Context, special

__all__ = ["seeded"]

LAYERS = (CAMERA, ROAD, PARCEL)
FIRST, LAST = 5, 16
# No layer may take a peer longer; it is ended, and the table says so.
LIMIT_S = 90.0
_OURS_LIMIT_S = 600.0
_BYTES_MAX = 500_000


@dataclass(frozen=True)
class _Made:
    """What one program made of one layer; `largest` in bytes before compression, `where` as zoom/column/row."""

    tiles: int
    seconds: float
    bytes: int
    largest: int
    where: str

    @property
    def rate(self) -> float:
        """Tiles a second and core."""
        return self.tiles / self.seconds / _cores()

    def __str__(self) -> str:
        return (
            f"{self.tiles:,} tiles in {self.seconds:.1f} s, {self.bytes / 1e6:.1f} MB, largest "
            f"{self.largest / 1e3:.0f} kB ({self.where})"
        )


class _TooSlow(Exception):
    """A program was ended at its time limit."""


@special("tiles_seed", f"whole layers as tiles, z{FIRST} to z{LAST}")
def seeded(context: Context) -> list[Finding]:
    """The same layers and zooms by each program, one after another, each with all processors to itself.

    Peers read the copies in EPSG:4326, with the attributes alone that the layer's tiles have at the last zoom; files
    that tippecanoe reads are made beforehand and not counted. Times are of whole commands.
    """
    found: list[Finding] = []
    folder = context.folder / "seeding"
    programs: dict[str, Callable[[Context, Layer, Path], _Made]] = {}
    if shutil.which("ogr2ogr"):
        programs["ogr2ogr"] = _gdal
    if _tippecanoe() and shutil.which("ogr2ogr"):
        programs["tippecanoe"] = _tippecanoe_run
    largest: tuple[int, str] = (0, "")
    for name in LAYERS:
        layer = context.ground.city.layers[name]
        title = f"{name}, {layer.rows:,} rows"
        context.say(f"seeding {title}")
        ours = _seed(context, layer, _emptied(folder / "geocloud"))
        largest = max(largest, (ours.largest, f"{name} {ours.where}"))
        found.append(Finding("seeding", title, ours.rate, "tiles/s a core", "", None, str(ours)))
        for peer, make in programs.items():
            context.say(f"{peer}: tiles of {name}")
            found.append(_beside(context, title, layer, ours, peer, make, _emptied(folder / peer)))
    for peer in {"ogr2ogr", "tippecanoe"} - programs.keys():
        found.append(Finding("seeding", f"of {peer}", None, "", "", None, f"{peer} is not installed"))
    size, where = largest
    found.append(
        Finding("seeding", "largest tile", size / 1e3, "kB", f"{_BYTES_MAX / 1e3:g} kB", size <= _BYTES_MAX, where)
    )
    return found


def _beside(
    context: Context,
    title: str,
    layer: Layer,
    ours: _Made,
    peer: str,
    make: Callable[[Context, Layer, Path], _Made],
    folder: Path,
) -> Finding:
    """Our tiles a second and core over a peer's; at least that, where it had to be ended."""
    try:
        theirs = make(context, layer, folder)
    except _TooSlow:
        least = LIMIT_S / ours.seconds
        detail = f"at least, had it made as many tiles: ended after {LIMIT_S:g} s"
        return Finding("seeding", f"{title}: of {peer}", least, "times", "", None, detail)
    detail = f"{peer} {theirs.rate:.0f} tiles/s a core: {theirs}"
    return Finding("seeding", f"{title}: of {peer}", ours.rate / theirs.rate, "times", "", None, detail)


def _seed(context: Context, layer: Layer, folder: Path) -> _Made:
    """`geocloud tiles seed` into an empty folder; what it reports is held against what lies in the archive."""
    command = [
        sys.executable, "-m", "geocloud.cli", "tiles", "seed", layer.id,
        "--zoom", f"{FIRST}-{LAST}", "--jobs", str(_cores()), "--json",
    ]  # fmt: skip
    env = context.ground.env() | {"GEOCLOUD_TILE_CACHE_DIR": str(folder)}
    seconds, out = _timed(command, _OURS_LIMIT_S, env)
    (told,) = json.loads(out)["layers"]
    path = Path(told["path"])
    count, largest, where = _in_archive(path)
    if (count, largest) != (told["tiles"], told["largest"]):
        raise RuntimeError(f"{path.name} holds {count} tiles up to {largest} bytes; told: {told}")
    return _Made(count, seconds, path.stat().st_size, largest, where)


def _in_archive(path: Path) -> tuple[int, int, str]:
    """Tiles of an archive as another reader finds them, and the largest of them before compression."""
    largest, where, count = 0, "", 0
    with path.open("rb") as file:
        for (z, x, y), data in all_tiles(MmapSource(file)):  # type: ignore[no-untyped-call]
            count += 1
            size = len(gzip.decompress(data))
            if size > largest:
                largest, where = size, f"{z}/{x}/{y}"
    return count, largest, where


def _gdal(context: Context, layer: Layer, folder: Path) -> _Made:
    """GDAL's driver with its own limits (500 kB after compression, 200,000 features), on all processors."""
    target = folder / "layer.mbtiles"
    command = [
        "ogr2ogr", "-f", "MVT", str(target), f"PG:{context.ground.city.dsn}", "-nln", layer.name,
        "-sql", _select(context.ground.city, layer), "-dsco", "FORMAT=MBTILES", "-dsco", f"MINZOOM={FIRST}",
        "-dsco", f"MAXZOOM={LAST}",
    ]  # fmt: skip
    seconds, _ = _timed(command, LIMIT_S, {"GDAL_NUM_THREADS": str(_cores())})
    return _in_mbtiles(target, seconds)


def _tippecanoe_run(context: Context, layer: Layer, folder: Path) -> _Made:
    """tippecanoe with its own choice of what to leave out at low zooms."""
    program = _tippecanoe()
    assert program is not None
    source, target = folder / f"{layer.name}.geojsons", folder / "layer.mbtiles"
    _timed(
        ["ogr2ogr", "-f", "GeoJSONSeq", str(source), f"PG:{context.ground.city.dsn}",
         "-sql", _select(context.ground.city, layer)],
        _OURS_LIMIT_S, {},
    )  # fmt: skip
    command = [
        program, "--quiet", "--read-parallel", f"--minimum-zoom={FIRST}", f"--maximum-zoom={LAST}",
        "--drop-densest-as-needed", f"--layer={layer.name}", f"--output={target}", str(source),
    ]  # fmt: skip
    seconds, _ = _timed(command, LIMIT_S, {"TIPPECANOE_MAX_THREADS": str(_cores())}, folder)
    return _in_mbtiles(target, seconds)


def _in_mbtiles(path: Path, seconds: float) -> _Made:
    largest, where, count = 0, "", 0
    with closing(sqlite3.connect(path)) as conn:
        for z, x, row, data in conn.execute("SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles"):
            count += 1
            size = len(gzip.decompress(data))
            if size > largest:
                largest, where = size, f"{z}/{x}/{2**z - 1 - row}"
    if not count:
        raise RuntimeError(f"{path} holds no tile")
    return _Made(count, seconds, path.stat().st_size, largest, where)


def _select(city: City, layer: Layer) -> str:
    """The peers' copy with the attributes that the layer's own tiles have at the last zoom."""
    with closing(city.connect()) as conn, conn.cursor() as cur:
        cur.execute("SELECT spec FROM geocloud.layer WHERE id = %s", (layer.id,))
        spec: dict[str, Any] = cur.fetchone()[0]
    bands = sorted((b for b in spec["tiles"]["bands"] if b["zoom"] <= LAST), key=lambda b: b["zoom"])
    names = {*(bands[-1]["fields"] if bands else ()), spec["style"].get("color_by")}
    columns = "".join(f', "{f.name}"' for f in layer.fields if f.name in names)
    return f"SELECT geom{columns} FROM {layer.copy}"


def _timed(
    command: Sequence[str], limit: float, env: Mapping[str, str], folder: Path | None = None
) -> tuple[float, str]:
    """Seconds a command took and what it printed; _TooSlow when it was ended at its limit."""
    begun = time.perf_counter()
    try:
        done = subprocess.run(
            list(command), env=os.environ | env, cwd=folder, timeout=limit, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise _TooSlow from None
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return seconds, done.stdout


def _tippecanoe() -> str | None:
    beside = Path(sys.executable).with_name("tippecanoe")
    return str(beside) if beside.exists() else shutil.which("tippecanoe")


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _cores() -> int:
    return len(os.sched_getaffinity(0))
