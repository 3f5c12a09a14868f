# SPDX-License-Identifier: Apache-2.0
"""Archives taken out: as one file, or as a folder of compressed tiles that any web server can send as they lie."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from geocloud.errors import TileError
from geocloud.tiles.archive import Archive

__all__ = ["export_file", "export_folder"]

_TELL_EVERY = 500


def export_file(archive: Archive, target: Path) -> None:
    """Copies an archive; the file appears whole or not at all."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(handle)
        try:
            shutil.copyfile(archive.path, part)
            Path(part).chmod(0o644)
            Path(part).replace(target)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise _not_written(target, exc) from None


def export_folder(archive: Archive, target: Path, on_progress: Callable[[int], None]) -> tuple[Path, int]:
    """Unpacks an archive below `target/<name>/v<version>/` and points `target/<name>/current` there in one step.

    Tiles lie at {z}/{row}/{column}.mvt.gz; equal ones share their bytes. Older versions are removed afterwards, so a
    server that reads through `current` sees the one or the other, never a mixture. Returns the folder and its files.
    """
    home = target / archive.about.name
    folder = home / f"v{archive.version}-{archive.rule[:8]}"
    part = home / f".{folder.name}.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        count = _unpack(archive, part, on_progress)
        # The same version once more: what is there is replaced, not mixed.
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
        link = home / ".current.part"
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name)
        link.replace(home / "current")
        for other in home.iterdir():
            if other.is_dir() and not other.is_symlink() and other != folder:
                shutil.rmtree(other, ignore_errors=True)
    except OSError as exc:
        raise _not_written(home, exc) from None
    return folder, count


def _unpack(archive: Archive, folder: Path, on_progress: Callable[[int], None]) -> int:
    first_at: dict[int, Path] = {}
    made: set[Path] = set()
    count = 0
    for offset, (z, x, y, data) in archive.placed_tiles():
        place = folder / str(z) / str(y)
        if place not in made:
            place.mkdir(parents=True, exist_ok=True)
            made.add(place)
        path = place / f"{x}.mvt.gz"
        known = first_at.get(offset)
        if known is None or not _linked(known, path):
            path.write_bytes(data)
            first_at[offset] = path
        count += 1
        if count % _TELL_EVERY == 0:
            on_progress(count)
    on_progress(count)
    return count


def _linked(known: Path, path: Path) -> bool:
    """A second name for the same bytes; False where the file system has no more names for them."""
    try:
        path.hardlink_to(known)
    except OSError:
        return False
    return True


def _not_written(target: Path, exc: OSError) -> TileError:
    return TileError(
        f"{target} cannot be written ({exc.strerror}).",
        f"无法写入 {target}({exc.strerror})。",
        todo_en="Choose a folder this account may write to, with room on its disk.",
        todo_zh="请选择本账户可写且空间充足的目录。",
    )
