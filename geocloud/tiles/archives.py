# SPDX-License-Identifier: Apache-2.0
"""The folder of archives: where they lie, what they are called, and the newest of each for a web worker.

    <tile_cache_dir>/<identity of the catalogue>/<name>.<version>.pmtiles

The name is a collection's id, a theme, or `city`; the version `v` and the layer's version, or `d` and a digest of
the versions of a data set's layers. Archives are only ever renamed into place and removed, so whoever has one open
goes on reading it.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from geocloud.errors import NotSeeded, TileError
from geocloud.tiles.archive import Archive, Description, Empty

__all__ = ["Archives", "archive_path", "found_archives", "newest_archives", "not_seeded", "parts_of_name"]

log = logging.getLogger(__name__)

_NAME = re.compile(r"([a-z0-9_]+(?:\.[a-z0-9_]+)?)\.(v\d+|d[0-9a-f]{12})\.pmtiles")
_LOOK_AGAIN_S = 1.0


class Archives:
    """The newest archive of each collection and data set of one catalogue.

    A worker makes one and keeps it. The folder is looked at again when its modification time has changed, at most once
    a second; a file that cannot be read is passed over and the one before it stays in use.
    """

    def __init__(self, cache: Path, identity: str) -> None:
        self.folder = cache / identity
        self._identity = identity
        self._open: dict[str, Archive] = {}
        self._looked_at = -_LOOK_AGAIN_S
        self._changed = -1

    def archive(self, name: str) -> Archive | None:
        """The newest archive of a collection, theme or `city`."""
        if time.monotonic() - self._looked_at > _LOOK_AGAIN_S:
            self._look()
        return self._open.get(name)

    def get(self, name: str, z: int, x: int, y: int) -> memoryview | Empty | None:
        """A tile of the newest archive, gzip-compressed MVT.

        EMPTY when the archive covers the tile and nothing is in it; None without an archive that covers it. Whether
        the tile is still what the layer holds is for the caller to decide by the archive's version and rule.
        """
        archive = self.archive(name)
        return archive.get(z, x, y) if archive else None

    def names(self) -> list[str]:
        """Of what there are archives."""
        self.archive("")
        return sorted(self._open)

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        try:
            changed = self.folder.stat().st_mtime_ns
        except OSError:
            self._open, self._changed = {}, -1
            return
        if changed == self._changed:
            return
        self._open = newest_archives(self.folder, self._identity, self._open)
        # A folder that changed a moment ago may change again within the same tick of its file system's clock.
        self._changed = changed if time.time_ns() - changed > 2 * _LOOK_AGAIN_S * 1e9 else -1


def archive_path(cache: Path, about: Description) -> Path:
    """Where an archive of this description belongs."""
    versions = about.versions
    if about.name in versions:
        version = f"v{versions[about.name]}"
    else:
        digest = hashlib.blake2b(repr(sorted(versions.items())).encode(), digest_size=6)
        version = f"d{digest.hexdigest()}"
    return cache / about.catalogue / f"{about.name}.{version}.pmtiles"


def parts_of_name(path: Path) -> tuple[str, str] | None:
    """What an archive is of, and its version, by its file name; None for a file of another kind."""
    match = _NAME.fullmatch(path.name)
    return (match[1], match[2]) if match else None


def found_archives(folder: Path) -> Iterator[tuple[str, Path]]:
    """Archives of a folder by file name, oldest first of each name."""
    files = []
    for path in folder.glob("*.pmtiles"):
        parts = parts_of_name(path)
        if parts is not None:
            number = int(parts[1][1:]) if parts[1][0] == "v" else path.stat().st_mtime_ns
            files.append((parts[0], number, path))
    for name, _, path in sorted(files):
        yield name, path


def newest_archives(folder: Path, identity: str, known: Mapping[str, Archive] | None = None) -> dict[str, Archive]:
    """The newest archive of each name that can be read; those of `known` are not opened again while unchanged."""
    newest: dict[str, list[Path]] = {}
    try:
        for name, path in found_archives(folder):
            newest.setdefault(name, []).insert(0, path)
    except FileNotFoundError:
        # Removed between listing and looking; the folder has changed again and will be read again.
        return dict(known or {})
    opened = {}
    for name, paths in newest.items():
        for path in paths:
            archive = _opened(path, identity, (known or {}).get(name))
            if archive is not None:
                opened[name] = archive
                break
    return opened


def not_seeded(name: str) -> NotSeeded:
    """The error that says how an archive is made."""
    return NotSeeded(
        f"There is no tile archive of {name}.",
        f"{name} 尚无瓦片档案。",
        todo_en=f"Whoever runs this service makes it with `geocloud tiles seed {name}`.",
        todo_zh=f"请由服务管理员运行 `geocloud tiles seed {name}` 生成。",
    )


def _opened(path: Path, identity: str, before: Archive | None) -> Archive | None:
    try:
        file = path.stat()
        if before and before.path == path and (before.bytes, before.mtime_ns) == (file.st_size, file.st_mtime_ns):
            return before
        archive = Archive(path)
    except FileNotFoundError:
        return None
    except TileError as exc:
        log.warning("%s", exc.en)
        return None
    about = archive.about
    if about.catalogue != identity or archive_path(path.parent.parent, about) != path:
        log.warning("%s says that it is version %d of %s of %s", path, archive.version, about.name, about.catalogue)
        return None
    return archive
