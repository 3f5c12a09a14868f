# SPDX-License-Identifier: Apache-2.0
"""Pieces that answers are made of, kept in a worker's memory: features in columns, areas, who is where.

A piece is named by the versions it was made from, so that a later version simply is another piece; the longest unused
ones go first. Who asks for a piece that is being made waits for it, and what is made is of use even if they leave.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Protocol, TypeVar, cast

__all__ = ["Pieces", "Sized"]


class Sized(Protocol):
    """Knows about how many bytes it takes."""

    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


class Pieces:
    """At most `max_bytes` of pieces; one that is larger is made for each question anew."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._making: dict[Hashable, asyncio.Task[Any]] = {}
        self.bytes = 0

    def find(self, key: Hashable) -> Any:
        """What is kept under a name, None without."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """The piece of a name, made where it is not kept."""
        found = self.find(key)
        if found is not None:
            return cast(T, found)
        return await self.once(key, lambda: self._make(key, make))

    async def once(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What is made, by one for all who ask for it meanwhile; nothing is kept."""
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.ensure_future(make())
            task.add_done_callback(lambda done: self._made(key, done))
        return cast(T, await asyncio.shield(task))

    def put(self, key: Hashable, piece: Sized) -> None:
        """Keeps a piece, where there is room for one of its size."""
        size = piece.nbytes + 200
        self._drop(key)
        if size > self._max_bytes:
            return
        self._kept[key] = (piece, size)
        self.bytes += size
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        piece = await make()
        self.put(key, piece)
        return piece

    def _made(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        self._making.pop(key, None)
        if not task.cancelled():
            # Said to who asked; where nobody is left, the next one asks afresh.
            task.exception()

    def _drop(self, key: Hashable) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self.bytes -= found[1]
