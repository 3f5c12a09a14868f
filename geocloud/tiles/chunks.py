# SPDX-License-Identifier: Apache-2.0
"""Pieces of an archive while it is being seeded: one file a chunk, kept so that a seeding that was ended goes on.

A file holds an index as one line of JSON and after it the tiles' bytes; it appears whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geocloud.tiles.archive import Stored, digest_of, pack, tile_id
from geocloud.tiles.quadtree import Cell

__all__ = ["Built", "Chunk", "read_chunk", "write_chunk"]


@dataclass(frozen=True, slots=True)
class Built:
    """A tile as the builder made it; no bytes for one with nothing in it."""

    cell: Cell
    mvt: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one piece of work led to: tiles, how many were asked for, the largest, and where the tree goes on."""

    path: Path
    asked: int
    tiles: tuple[Stored, ...]
    largest: tuple[int, Cell | None]
    below: tuple[Cell, ...]


def write_chunk(path: Path, built: Sequence[Built], below: Sequence[Cell]) -> None:
    """Keeps the tiles of a chunk that have something in them, compressed."""
    index: list[tuple[int, str, int]] = []
    parts: list[bytes] = []
    largest: tuple[int, Cell | None] = (0, None)
    for tile in built:
        if tile.mvt:
            data = pack(tile.mvt)
            parts.append(data)
            index.append((tile_id(*tile.cell), digest_of(data).hex(), len(data)))
            largest = max(largest, (len(tile.mvt), tile.cell), key=lambda pair: pair[0])
    head = {"asked": len(built), "tiles": index, "largest": largest, "below": list(below)}
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(json.dumps(head, separators=(",", ":")).encode() + b"\n")
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_chunk(path: Path) -> Chunk:
    """The index of a chunk; its tiles are read from the file when they are needed."""
    with path.open("rb") as file:
        line = file.readline()
    head = json.loads(line)
    offset = len(line)
    tiles = []

    def read(at: int, length: int) -> bytes:
        # Opened anew for each tile: a large seeding has more chunks than a process may have open files.
        with path.open("rb") as file:
            file.seek(at)
            return file.read(length)

    for number, digest, length in head["tiles"]:
        tiles.append(Stored(number, bytes.fromhex(digest), length, offset, read))
        offset += length
    size, cell = head["largest"]
    below = tuple((z, x, y) for z, x, y in head["below"])
    return Chunk(path, head["asked"], tuple(tiles), (size, tuple(cell) if cell else None), below)
