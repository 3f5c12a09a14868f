# SPDX-License-Identifier: Apache-2.0
"""What has changed where: the change log as one worker follows it, and what must be made anew because of it.

The registry says that a layer has a new version; the log says which boxes the change touched. A tile kept in memory
carries a `Fresh` mark that goes out when a box reaches it; a tile of an archive is good while no box since the version
of the archive reaches it. Whoever wants to know (an open map) gets a `Change` for each version.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from geocloud.catalogue.registry import Catalogue
from geocloud.db.reader import Reader

__all__ = ["Box", "Change", "Changes", "Fresh"]

log = logging.getLogger(__name__)

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""

# Entries of the log read one by one; a change of more is taken as one of its whole box.
_ENTRIES_MAX = 5_000
# How many changes of a layer are remembered one by one for its archive; more are taken together in one box.
_REMEMBERED = 20_000
_RETRY_S = 0.2
_LOG_SQL = """
SELECT (b[1])[0], (b[1])[1], (b[0])[0], (b[0])[1], (a[1])[0], (a[1])[1], (a[0])[0], (a[0])[1], n
  FROM (SELECT bbox_before AS b, bbox_after AS a, row_count AS n FROM geocloud.change_log
         WHERE layer = $1 AND version > $2 AND version <= $3 ORDER BY id LIMIT $4) c
"""
_AROUND_SQL = """
SELECT least(min((b[1])[0]), min((a[1])[0])), least(min((b[1])[1]), min((a[1])[1])),
       greatest(max((b[0])[0]), max((a[0])[0])), greatest(max((b[0])[1]), max((a[0])[1])), sum(n)::bigint
  FROM (SELECT bbox_before AS b, bbox_after AS a, row_count AS n FROM geocloud.change_log
         WHERE layer = $1 AND version > $2 AND version <= $3) c
"""


@dataclass(frozen=True, slots=True)
class Change:
    """A layer reached a version. `boxes`: where rows were and are; None when that is not known and all may differ."""

    collection: str
    version: int
    boxes: tuple[Box, ...] | None
    count: int

    @property
    def bbox(self) -> Box | None:
        """One box around all of the change."""
        return _around(self.boxes) if self.boxes else None


class Fresh:
    """A mark on something made from a layer's rows in a box; `valid` until they change."""

    __slots__ = ("__weakref__", "box", "valid")

    def __init__(self, box: Box) -> None:
        self.box, self.valid = box, True


class Changes:
    """Follows the change log of all layers for one worker."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._seen: dict[str, tuple[int, object]] = {}
        self._rules: tuple[str, int] | None = None
        self._marks: dict[str, WeakSet[Fresh]] = {}
        self._since: dict[str, _Since] = {}
        self._work: asyncio.Queue[list[tuple[str, int, int]]] = asyncio.Queue()
        self._listeners: set[Callable[[Change], None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._pending: dict[str, int] = {}

    def start(self) -> None:
        """Begins to work off what `see` puts in."""
        self._task = asyncio.create_task(self._run(), name="changes")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def see(self, catalogue: Catalogue) -> None:
        """Takes notice of a new state of the catalogue; called by the registry after each swap."""
        rules = (catalogue.identity, catalogue.revision)
        if self._rules is not None and rules != self._rules:
            for layer_id in self._marks:
                self._put_out(layer_id, None)
        self._rules = rules
        moved = []
        for layer_id, layer in catalogue.layers.items():
            now = (layer.state.version, layer.state.epoch)
            before = self._seen.get(layer_id)
            self._seen[layer_id] = now
            if before is None or before == now:
                continue
            if before[1] != now[1]:
                # Time has passed a date at which rows begin or end: the log does not say which.
                self._put_out(layer_id, None)
            if before[0] != now[0]:
                moved.append((layer_id, before[0], now[0]))
                self._pending[layer_id] = self._pending.get(layer_id, 0) + 1
        if moved:
            self._work.put_nowait(moved)

    def mark(self, layer_ids: Iterable[str], box: Box) -> Fresh:
        """A mark for something about to be made from these layers in a box; get it before reading the rows."""
        fresh = Fresh(box)
        for layer_id in layer_ids:
            self._marks.setdefault(layer_id, WeakSet()).add(fresh)
        return fresh

    def settled(self, layer_ids: Iterable[str]) -> bool:
        """Whether the log has been read up to the versions that the registry knows."""
        return not self._pending or not any(i in self._pending for i in layer_ids)

    async def touched(self, layer_id: str, version: int, box: Box) -> bool:
        """Whether rows in a box have changed since a version of a layer."""
        now = self._seen.get(layer_id, (version, None))[0]
        if now == version:
            return False
        known = self._since.get(layer_id)
        if known is None or known.base > version or known.upto != now:
            if known is not None and known.base <= version and known.upto < now:
                boxes, _ = await self._read(layer_id, known.upto, now)
                known.add(boxes, now)
            else:
                boxes, _ = await self._read(layer_id, version, now)
                known = self._since[layer_id] = _Since(version, now, deque())
                known.add(boxes, now)
        return known.reaches(box)

    async def between(self, layer_id: str, after: int, upto: int) -> Change:
        """What changed behind one version of a layer up to another, as one change."""
        boxes, count = await self._read(layer_id, after, upto)
        return Change(layer_id, upto, boxes, count)

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Calls `listener` for each change from now on; the answer ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def _run(self) -> None:
        while True:
            moved = await self._work.get()
            for layer_id, before, now in moved:
                change = None
                while change is None:
                    try:
                        boxes, count = await self._read(layer_id, before, now)
                        change = Change(layer_id, now, boxes, count)
                    except Exception as exc:
                        # Nothing kept of this layer is sent while its changes are not known.
                        log.warning("change log of %s: %s: %s", layer_id, type(exc).__name__, exc)
                        await asyncio.sleep(_RETRY_S)
                self._put_out(layer_id, change.boxes)
                left = self._pending.pop(layer_id) - 1
                if left:
                    self._pending[layer_id] = left
                for listener in tuple(self._listeners):
                    listener(change)

    async def _read(self, layer_id: str, after: int, upto: int) -> tuple[tuple[Box, ...] | None, int]:
        """Boxes of the rows changed after one version up to another, and how many they are; None: not known."""
        async with self._reader.lease() as conn:
            rows = await conn.fetch(_LOG_SQL, layer_id, after, upto, _ENTRIES_MAX + 1)
            if len(rows) > _ENTRIES_MAX:
                *box, count = await conn.fetchrow(_AROUND_SQL, layer_id, after, upto)
                return ((box[0], box[1], box[2], box[3]),) if box[0] is not None else (), count
        if not rows:
            # A version without entries: the definition has changed, or a write that changed nothing.
            return None, 0
        return _boxes(rows), sum(r[8] for r in rows)

    def _put_out(self, layer_id: str, boxes: tuple[Box, ...] | None) -> None:
        marks = self._marks.get(layer_id)
        if not marks or boxes == ():
            return
        whole = boxes is None or len(boxes) > 200
        around = None if boxes is None else _around(boxes)
        for fresh in tuple(marks):
            if around is None or (
                _meet(fresh.box, around) and (whole or any(_meet(fresh.box, b) for b in boxes or ()))
            ):
                fresh.valid = False
                marks.discard(fresh)


class _Since:
    """Where a layer has changed between two versions."""

    def __init__(self, base: int, upto: int, boxes: deque[Box]) -> None:
        self.base, self.upto, self.boxes = base, upto, boxes
        self.everywhere = False

    def add(self, boxes: tuple[Box, ...] | None, upto: int) -> None:
        self.upto = upto
        if boxes is None:
            self.everywhere = True
            return
        self.boxes.extend(boxes)
        if len(self.boxes) > _REMEMBERED:
            self.boxes = deque([_around(tuple(self.boxes))])

    def reaches(self, box: Box) -> bool:
        return self.everywhere or any(_meet(box, b) for b in self.boxes)


def _boxes(rows: list[Any]) -> tuple[Box, ...]:
    found = []
    for row in rows:
        found += [tuple(row[at : at + 4]) for at in (0, 4) if row[at] is not None]
    return tuple(dict.fromkeys(found))  # type: ignore[arg-type]


def _around(boxes: tuple[Any, ...]) -> Box:
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


def _meet(a: Box, b: Box) -> bool:
    return a[0] <= b[2] and a[2] >= b[0] and a[1] <= b[3] and a[3] >= b[1]
