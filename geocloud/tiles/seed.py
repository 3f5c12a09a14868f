# SPDX-License-Identifier: Apache-2.0
"""Seeding: layers into archives, by processes side by side, from one snapshot of the database.

Only tiles that can have content are asked for: the quadtree is walked down from the layer's extent, and where a tile
has no row within its buffer nothing below it has. The tree is cut into chunks of a few zooms; each is kept when it is
finished, so that a seeding that was ended goes on where it was, as long as version and rule of the layer are the same.
An archive of an older version is renewed: only tiles that a change touches are built, the others' bytes are copied.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from geocloud.catalogue.publish import read_catalogue
from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.db.pool import connect
from geocloud.errors import SeedConflict, TileError, UnknownLayer
from geocloud.settings import Settings
from geocloud.tiles.archive import Archive, Description, Stored, tile_id, write_archive
from geocloud.tiles.archives import archive_path, found_archives, newest_archives
from geocloud.tiles.chunks import Chunk, read_chunk
from geocloud.tiles.crew import Crew, Work, margin_of
from geocloud.tiles.describe import metadata_of, rule_of
from geocloud.tiles.quadtree import Box, Cell
from geocloud.tiles.renew import boundary_ahead, changed_boxes, touched_cells

__all__ = ["Seeded", "alone", "seed", "usable", "wanted_layers"]

_CHUNK_ZOOMS = 5
_RENEWED_A_CHUNK = 256
OnProgress = Callable[[str, int, int, int], None]


@dataclass(frozen=True, slots=True)
class Seeded:
    """What became of a layer.

    `outcome`: seeded, renewed, fresh (its archive was already of this version) or empty (it has no tile, and no archive
    is kept of it). `built` counts tiles asked of the database in this run, `resumed` those a run before had built.
    `largest` is in bytes before compression.
    """

    name: str
    outcome: str
    version: int
    tiles: int = 0
    built: int = 0
    resumed: int = 0
    bytes: int = 0
    largest: int = 0
    largest_tile: Cell | None = None
    path: Path | None = None


@dataclass
class _Task:
    """A layer on its way into an archive."""

    layer: Layer
    about: Description
    folder: Path
    old: Archive | None = None
    replaced: set[Cell] = field(default_factory=set)
    chunks: list[Chunk] = field(default_factory=list)
    open: int = 0
    built: int = 0
    resumed: int = 0


def seed(
    url: str,
    settings: Settings,
    names: Sequence[str] = (),
    *,
    zooms: tuple[int, int] | None = None,
    box: Box | None = None,
    jobs: int = 1,
    full: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Seeded]:
    """Makes or renews the archives of public layers (of all that have geometry, without `names`), on a reader's URL.

    `zooms` narrows the layers' own first and last zoom, `box` (degrees) the tiles. `full`: nothing is taken over from
    an older archive. `on_progress(layer, chunks done, chunks known, tiles)` is told each step. Raises UnknownLayer,
    SeedConflict while another seeding of this catalogue runs, TileError and what the database raises.
    """
    tell = on_progress or (lambda _name, _done, _known, _tiles: None)
    with connect(url, application_name="geocloud tiles") as conn, conn.cursor() as cur:
        cur.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cur.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        conn.commit()
        # Archives are for the web, and whoever has the folder can read them.
        catalogue = read_catalogue(conn).public()
        layers = wanted_layers(catalogue, names)
        cur.execute("SELECT pg_export_snapshot()")
        snapshot = str(cur.fetchone()[0])  # type: ignore[index]
        cache = settings.tile_cache_folder
        with alone(cache / catalogue.identity):
            kept = newest_archives(cache / catalogue.identity, catalogue.identity)
            results: dict[str, Seeded] = {}
            tasks: list[_Task] = []
            for layer in layers:
                about = _about(cur, catalogue, layer, settings, zooms, box)
                old = kept.get(layer.id)
                if about is None:
                    results[layer.id] = _nothing(cache / catalogue.identity, layer)
                elif old and old.about == about and not full:
                    results[layer.id] = Seeded(
                        layer.id, "fresh", old.version, old.tile_count, bytes=old.bytes, path=old.path
                    )
                else:
                    tasks.append(_task(cur, cache, layer, about, None if full else old))
            if tasks:
                crew = Crew(url, settings, snapshot, jobs)
                try:
                    for done in _run(tasks, crew, cache, settings, tell):
                        results[done.name] = done
                finally:
                    crew.end()
    return [results[layer.id] for layer in layers]


def wanted_layers(catalogue: Catalogue, names: Sequence[str]) -> list[Layer]:
    """The layers of these names, a theme standing for all of its layers; all with geometry when none is named."""
    drawn = [x for x in catalogue.layers.values() if x.spec.geometry != "none"]
    if not names:
        return drawn
    found: dict[str, Layer] = {}
    for name in names:
        matching = [x for x in drawn if name in (x.id, x.spec.theme)]
        if not matching:
            raise UnknownLayer(
                f"There is no public layer or theme `{name}` that has geometry.",
                f"没有名为 {name} 的公开且带几何的图层或主题。",
                todo_en="`geocloud layers list` lists the layers.",
                todo_zh="可用 `geocloud layers list` 查看全部图层。",
            )
        found.update((x.id, x) for x in matching)
    return list(found.values())


def usable(archive: Archive, layer: Layer, settings: Settings) -> bool:
    """Whether an archive's tiles, but for those touched since, are what the layer's tiles are today."""
    about = archive.about
    return about.rules.get(layer.id) == rule_of(layer, settings) and about.versions[layer.id] <= layer.state.version


def _about(
    cur: Any, catalogue: Catalogue, layer: Layer, settings: Settings, zooms: tuple[int, int] | None, box: Box | None
) -> Description | None:
    """What the archive will be; None when no tile can have anything in it."""
    rule = layer.spec.tiles
    lowest = max(rule.min_zoom, zooms[0]) if zooms else rule.min_zoom
    highest = min(rule.max_zoom, zooms[1]) if zooms else rule.max_zoom
    if not layer.state.row_count or not layer.state.extent or lowest > highest:
        return None
    return Description(
        name=layer.id,
        catalogue=catalogue.identity,
        versions={layer.id: layer.state.version},
        rules={layer.id: rule_of(layer, settings)},
        min_zoom=lowest,
        max_zoom=highest,
        box=box,
        until=boundary_ahead(cur, layer),
    )


def _task(cur: Any, cache: Path, layer: Layer, about: Description, old: Archive | None) -> _Task:
    digest = hashlib.blake2b(repr(about).encode(), digest_size=6).hexdigest()
    work = cache / about.catalogue / "work"
    task = _Task(layer, about, work / f"{layer.id}.v{layer.state.version}.{digest}")
    if old and _renewable(old.about, about):
        cells = touched_cells(old, changed_boxes(cur, layer, old), partial(margin_of, layer))
        if cells is not None and len(cells) <= max(old.tile_count, _RENEWED_A_CHUNK) // 2:
            task.old, task.replaced = old, cells
            digest = hashlib.blake2b(f"{old.about}{old.etag}".encode(), digest_size=6).hexdigest()
            task.folder = task.folder.with_name(f"{task.folder.name}.from.{digest}")
    # What an earlier version left unfinished is of no more use.
    for path in work.glob(f"{layer.id}.v*"):
        if path != task.folder:
            shutil.rmtree(path, ignore_errors=True)
    task.folder.mkdir(parents=True, exist_ok=True)
    return task


def _renewable(old: Description, new: Description) -> bool:
    same = ("name", "catalogue", "rules", "min_zoom", "max_zoom", "box")
    return all(getattr(old, n) == getattr(new, n) for n in same) and old.versions[old.name] <= new.versions[new.name]


def _run(tasks: list[_Task], crew: Crew, cache: Path, settings: Settings, tell: OnProgress) -> Iterator[Seeded]:
    queue: deque[Work] = deque()
    by_name = {task.layer.id: task for task in tasks}

    def take(task: _Task, work: Work, *, resumed: bool) -> None:
        """A finished chunk into its task, and the chunks below it into the queue."""
        chunk = read_chunk(work.path)
        task.chunks.append(chunk)
        task.open -= 1
        if resumed:
            task.resumed += chunk.asked
        else:
            task.built += chunk.asked
        for cell in chunk.below:
            add(task, _band(task, (cell,)))
        tell(task.layer.id, len(task.chunks), len(task.chunks) + task.open, task.built + task.resumed)

    def add(task: _Task, work: Work) -> None:
        task.open += 1
        if work.path.exists():
            take(task, work, resumed=True)
        else:
            queue.append(work)

    for task in tasks:
        # While its first chunks are being added a task must not look finished.
        task.open += 1
        for work in _renewals(task) if task.old else [_band(task, ((0, 0, 0),))]:
            add(task, work)
        task.open -= 1
        if not task.open:
            yield _finish(by_name.pop(task.layer.id), cache, settings)
    while queue or crew.busy:
        while queue and crew.idle:
            crew.give(queue.popleft())
        for work in crew.done():
            task = by_name[work.collection]
            take(task, work, resumed=False)
            # The next work goes out before an archive is written.
            while queue and crew.idle:
                crew.give(queue.popleft())
            if not task.open:
                yield _finish(by_name.pop(work.collection), cache, settings)


def _band(task: _Task, cells: tuple[Cell, ...]) -> Work:
    """The chunk below a tile. Its depth is such that the last chunks end at the last zoom."""
    about, zoom = task.about, cells[0][0]
    bottom = about.max_zoom - (about.max_zoom - zoom) // _CHUNK_ZOOMS * _CHUNK_ZOOMS
    # Levels above the first that is wanted are walked, not built: the chunk that begins at the root takes them all.
    while bottom < about.min_zoom:
        bottom += _CHUNK_ZOOMS
    z, x, y = cells[0]
    path = task.folder / f"{z}-{x}-{y}.chunk"
    bottom = min(bottom, about.max_zoom)
    return Work(task.layer.id, cells, about.min_zoom, bottom, bottom == about.max_zoom, about.box, path)


def _renewals(task: _Task) -> list[Work]:
    # Neighbours along the curve read the same pages.
    about, cells = task.about, sorted(task.replaced, key=lambda c: tile_id(*c))
    parts: list[list[Cell]] = []
    for cell in cells:
        # One zoom a chunk, as everywhere.
        if parts and len(parts[-1]) < _RENEWED_A_CHUNK and parts[-1][0][0] == cell[0]:
            parts[-1].append(cell)
        else:
            parts.append([cell])
    return [
        Work(task.layer.id, tuple(part), about.min_zoom, None, True, about.box, task.folder / f"r{i}.chunk")
        for i, part in enumerate(parts)
    ]


def _finish(task: _Task, cache: Path, settings: Settings) -> Seeded:
    about = task.about
    if about.until and datetime.now(UTC) >= datetime.fromisoformat(about.until):
        shutil.rmtree(task.folder, ignore_errors=True)
        raise TileError(
            f"While {about.name} was being seeded, a row of it began or ended to be valid ({about.until}).",
            f"{about.name} 生成期间,恰有数据在 {about.until} 生效或失效。",
            todo_en="Run the command again.",
            todo_zh="请重新运行本命令。",
        )
    tiles = [tile for chunk in task.chunks for tile in chunk.tiles]
    if task.old:
        replaced = {tile_id(*cell) for cell in task.replaced}
        tiles += [tile for tile in task.old.stored() if tile.tile_id not in replaced]
    size, cell = max((chunk.largest for chunk in task.chunks), key=lambda pair: pair[0], default=(0, None))
    version = about.versions[about.name]
    if not tiles:
        shutil.rmtree(task.folder, ignore_errors=True)
        return _nothing(cache / about.catalogue, task.layer)
    path = archive_path(cache, about)
    zooms = {task.layer.id: (about.min_zoom, about.max_zoom)}
    tiles.sort(key=_number)
    written = write_archive(path, tiles, about, metadata_of([task.layer], settings, zooms, about.box))
    _remove_others(path)
    shutil.rmtree(task.folder, ignore_errors=True)
    outcome = "renewed" if task.old else "seeded"
    return Seeded(about.name, outcome, version, len(tiles), task.built, task.resumed, written, size, cell, path)


def _number(tile: Stored) -> int:
    return tile.tile_id


def _nothing(folder: Path, layer: Layer) -> Seeded:
    """A layer without tiles keeps no archive."""
    _remove_others(folder / f"{layer.id}.v{layer.state.version}.pmtiles", keep=False)
    return Seeded(layer.id, "empty", layer.state.version)


def _remove_others(path: Path, *, keep: bool = True) -> None:
    """Removes the older archives of the same name; whoever has one open goes on reading it."""
    name = path.name.rsplit(".", 2)[0]
    for other_name, other in list(found_archives(path.parent)) if path.parent.exists() else ():
        if other_name == name and not (keep and other == path):
            other.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One seeding of a catalogue at a time; what a killed one left half written is cleared."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "seed.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as exc:
        raise TileError(
            f"Tile archives cannot be written to {folder} ({exc.strerror}).",
            f"无法向 {folder} 写入瓦片档案({exc.strerror})。",
            todo_en="Name a folder this account may write to with GEOCLOUD_TILE_CACHE_DIR.",
            todo_zh="请用 GEOCLOUD_TILE_CACHE_DIR 指定本账户可写的目录。",
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in folder.glob(".*.part"):
            path.unlink(missing_ok=True)
        yield
    except BlockingIOError:
        raise SeedConflict(
            f"Another seeding writes to {folder}.",
            f"另一个切片任务正在写入 {folder}。",
            todo_en="Wait until it has ended, or end it; what it has finished is kept.",
            todo_zh="请等待其结束,或先终止该任务;已完成的部分会保留。",
        ) from None
    finally:
        os.close(handle)
