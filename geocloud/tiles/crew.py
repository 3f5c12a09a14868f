# SPDX-License-Identifier: Apache-2.0
"""Processes that build tiles side by side, all looking at one snapshot of the database.

A worker reads a piece of work from its pipe, writes a chunk and says so. When the process that leads them ends, were it
by SIGKILL, their pipes are closed and they end too.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from geocloud import errors
from geocloud.catalogue.registry import CATALOGUE_SQL, Catalogue, Layer, parse_catalogue
from geocloud.errors import GeocloudError, TileError, TooLarge
from geocloud.features.request import Rows, read_rows
from geocloud.grids.columns import fetch_points
from geocloud.grids.h3cells import PointStore
from geocloud.settings import Settings
from geocloud.tiles.build import build_tile
from geocloud.tiles.chunks import Built, write_chunk
from geocloud.tiles.grids import grids
from geocloud.tiles.hexagons import hexagon_reach, shows_hexagons
from geocloud.tiles.quadtree import Box, Cell, children, occupied, overlaps
from geocloud.tiles.statements import BUFFER, EXTENT

__all__ = ["Crew", "Work", "margin_of"]

# Two connections a worker: one is asked while the other's tile is compressed.
_CONNECTIONS = 2
_CELLS_A_QUESTION = 1_024


def margin_of(layer: Layer, zoom: int) -> float:
    """How far a tile reaches over its edges, in tile sides: its buffer, what generalising may move a line, H3 cells."""
    return (BUFFER + 8) / EXTENT + hexagon_reach(layer, zoom)


@dataclass(frozen=True, slots=True)
class Work:
    """One chunk: the tree from these tiles down to zoom `bottom`, or just these tiles when it is None.

    Tiles are built from zoom `top` on; only those that reach `box`. `ends`: nothing is wanted below `bottom`.
    """

    collection: str
    cells: tuple[Cell, ...]
    top: int
    bottom: int | None
    ends: bool
    box: Box | None
    path: Path


class Crew:
    """`jobs` processes; `give` them work while `idle`, and take what is done with `done`."""

    def __init__(self, url: str, settings: Settings, snapshot: str, jobs: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._members: dict[Connection, tuple[BaseProcess, Work | None]] = {}
        for _ in range(jobs):
            here, there = spawn.Pipe()
            process = spawn.Process(target=_work, args=(there, url, settings, snapshot), daemon=True)
            process.start()
            there.close()
            self._members[here] = (process, None)

    @property
    def idle(self) -> bool:
        """Whether a worker waits for work."""
        return any(work is None for _, work in self._members.values())

    @property
    def busy(self) -> bool:
        return any(work is not None for _, work in self._members.values())

    def give(self, work: Work) -> None:
        """Work for a worker that waits."""
        pipe, process = next((c, p) for c, (p, w) in self._members.items() if w is None)
        self._members[pipe] = (process, work)
        # A worker that has ended cannot take it; `done` says so.
        with contextlib.suppress(OSError):
            pipe.send(work)

    def done(self) -> Iterator[Work]:
        """What has been finished; waits for at least one. A worker's error is raised here."""
        for pipe in wait([c for c, (_, w) in self._members.items() if w is not None]):
            assert isinstance(pipe, Connection)
            process, work = self._members[pipe]
            assert work is not None
            try:
                answer = pipe.recv()
            except (EOFError, OSError):
                process.join(10)
                raise _ended(process.exitcode) from None
            if answer is not None:
                raise _error(answer)
            self._members[pipe] = (process, None)
            yield work

    def end(self) -> None:
        """Ends all workers; what they were doing is dropped."""
        for pipe, (process, _) in self._members.items():
            pipe.close()
            process.terminate()
        for process, _ in self._members.values():
            process.join(10)
        self._members.clear()


def _work(pipe: Connection, url: str, settings: Settings, snapshot: str) -> None:
    # Ctrl-C is for the leader, who ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        asyncio.run(_serve(pipe, url, settings, snapshot))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
    except Exception as exc:
        with contextlib.suppress(OSError):
            pipe.send(_told(exc))


async def _serve(pipe: Connection, url: str, settings: Settings, snapshot: str) -> None:
    connections = [await _connect(url, snapshot) for _ in range(_CONNECTIONS)]
    catalogue = parse_catalogue(await connections[0].fetchval(CATALOGUE_SQL))
    points = _Points(connections[0], settings)
    while True:
        work: Work = await asyncio.to_thread(pipe.recv)
        await _chunk(connections, catalogue, settings, work, points)
        pipe.send(None)


class _Points:
    """The points of the layer at work, of the snapshot; None where they are more than a server holds."""

    def __init__(self, conn: Any, settings: Settings) -> None:
        self._conn, self._settings = conn, settings
        self._kept: tuple[str, PointStore | None] = ("", None)

    async def of(self, layer: Layer, rows: Rows) -> PointStore | None:
        if self._kept[0] != layer.id:
            most = self._settings.web.h3_points_max
            try:
                store = await fetch_points(self._conn, layer, rows.relation, rows.where, rows.args, most)
            except TooLarge:
                store = None
            self._kept = (layer.id, store)
        return self._kept[1]


async def _connect(url: str, snapshot: str) -> Any:
    """A connection that reads the snapshot for as long as it lives."""
    import asyncpg

    conn = await asyncpg.connect(
        url,
        statement_cache_size=1_000,
        max_cached_statement_lifetime=0,
        server_settings={
            "application_name": "geocloud tiles",
            "jit": "off",
            "timezone": "UTC",
            "default_transaction_isolation": "repeatable read",
            "default_transaction_read_only": "on",
            # The largest tile of a province may take longer than a request may.
            "statement_timeout": "0",
            "idle_in_transaction_session_timeout": "0",
        },
    )
    await conn.execute("BEGIN")
    # The name comes from pg_export_snapshot: hexadecimal digits and dashes.
    await conn.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
    return conn


async def _chunk(
    connections: Sequence[Any], catalogue: Catalogue, settings: Settings, work: Work, points: _Points
) -> None:
    layer = catalogue.layer(work.collection)
    here = list(work.cells)
    built: list[Built] = []
    while here:
        zoom = here[0][0]
        found = await _occupied(connections[0], layer, here)
        if zoom >= work.top:
            built += await _build(connections, layer, settings, found, points)
        if work.bottom is None:
            here = []
            break
        here = [c for cell in found for c in children(cell) if work.box is None or overlaps(c, work.box)]
        if zoom >= work.bottom:
            break
    write_chunk(work.path, built, [] if work.ends else here)


async def _occupied(conn: Any, layer: Layer, cells: list[Cell]) -> list[Cell]:
    found: list[Cell] = []
    margin = margin_of(layer, cells[0][0])
    for begin in range(0, len(cells), _CELLS_A_QUESTION):
        found += await occupied(conn, layer, cells[begin : begin + _CELLS_A_QUESTION], margin)
    return found


async def _build(
    connections: Sequence[Any], layer: Layer, settings: Settings, cells: Sequence[Cell], points: _Points
) -> list[Built]:
    grid = grids()["WebMercatorQuad"]
    rows, _ = read_rows((), layer, settings.web)
    store = await points.of(layer, rows) if cells and shows_hexagons(layer, cells[0][0]) else None
    queue = iter(cells)
    built: list[Built] = []

    async def keep_asking(conn: Any) -> None:
        for cell in queue:
            z, x, y = cell
            place = grid.tile(str(z), str(y), str(x))
            tile = await build_tile(conn, layer, place, settings.tiles, rows=rows, points=store)
            built.append(Built(cell, tile.data))

    async with asyncio.TaskGroup() as group:
        for conn in connections:
            group.create_task(keep_asking(conn))
    # In the order they were asked for, however quickly each was built.
    order = {cell: i for i, cell in enumerate(cells)}
    return sorted(built, key=lambda b: order[b.cell])


def _told(exc: BaseException) -> dict[str, str]:
    from geocloud.db.pool import is_infrastructure, translate

    while isinstance(exc, ExceptionGroup):
        exc = exc.exceptions[0]
    if is_infrastructure(exc):
        exc = translate(exc)
    if isinstance(exc, GeocloudError):
        said = {name: getattr(exc, name) for name in ("en", "zh", "todo_en", "todo_zh")}
        return {"class": type(exc).__name__, **said}
    return {"class": "", "en": "".join(traceback.format_exception(exc))}


def _error(told: dict[str, str]) -> Exception:
    kind = getattr(errors, told["class"]) if told["class"] else None
    if kind is None:
        return RuntimeError(f"a worker failed:\n{told['en']}")
    error = kind(told["en"], told["zh"], todo_en=told["todo_en"], todo_zh=told["todo_zh"])
    assert isinstance(error, GeocloudError)
    return error


def _ended(code: int | None) -> TileError:
    return TileError(
        f"A process that builds tiles was ended from outside (exit code {code}).",
        f"瓦片生成进程被外部终止(退出码 {code})。",
        todo_en="Often memory ran out: use fewer --jobs. What was finished is kept; run the command again.",
        todo_zh="常见原因是内存不足:请减少 --jobs。已完成的部分已保留,重新运行即可继续。",
    )
