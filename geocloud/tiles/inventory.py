# SPDX-License-Identifier: Apache-2.0
"""What lies in the folder of archives: how it stands to the layers, and what of it is of no more use."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from geocloud.catalogue.publish import read_catalogue
from geocloud.db.pool import connect
from geocloud.settings import Settings
from geocloud.tiles.archive import Archive
from geocloud.tiles.archives import found_archives, newest_archives, not_seeded
from geocloud.tiles.crew import margin_of
from geocloud.tiles.renew import changed_boxes, touched_cells
from geocloud.tiles.seed import alone, usable

__all__ = ["Entry", "clean", "inventory", "newest_of"]


@dataclass(frozen=True)
class Entry:
    """A layer and its newest archive.

    `tiles` is None without one. `stale` counts the archive's tiles that a change may be seen in, those that have come
    to hold something included; None when that is all of them, because the rule they were made by has changed.
    """

    name: str
    layer_version: int | None
    version: int | None = None
    min_zoom: int | None = None
    max_zoom: int | None = None
    tiles: int | None = None
    stale: int | None = 0
    bytes: int = 0
    path: str | None = None
    note_en: str = ""
    note_zh: str = ""


def inventory(url: str, settings: Settings) -> list[Entry]:
    """Every public layer with geometry, and every archive of one that is public no longer; on a reader's URL."""
    with connect(url, application_name="geocloud tiles") as conn, conn.cursor() as cur:
        cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        catalogue = read_catalogue(conn).public()
        archives = newest_archives(settings.tile_cache_folder / catalogue.identity, catalogue.identity)
        found = []
        for layer in catalogue.layers.values():
            archive = archives.pop(layer.id, None)
            version = layer.state.version
            if archive is None and layer.spec.geometry != "none":
                found.append(Entry(layer.id, version, note_en="not seeded", note_zh="未生成"))
            elif archive is not None and usable(archive, layer, settings):
                cells = touched_cells(archive, changed_boxes(cur, layer, archive), partial(margin_of, layer))
                found.append(_entry(archive, version, None if cells is None else len(cells)))
            elif archive is not None:
                found.append(_entry(archive, version, None, "made by another rule", "切片规则已变"))
        found += [_entry(a, None, None, "no such layer is published", "图层未发布") for a in archives.values()]
    return found


def newest_of(url: str, settings: Settings, name: str) -> Archive:
    """The newest archive of a layer; UnknownCollection or NotSeeded when there is none."""
    with connect(url, application_name="geocloud tiles") as conn:
        catalogue = read_catalogue(conn)
    catalogue.layer(name)
    archive = newest_archives(settings.tile_cache_folder / catalogue.identity, catalogue.identity).get(name)
    if archive is None:
        raise not_seeded(name)
    return archive


def clean(url: str, settings: Settings, *, every: bool = False, others: bool = False) -> list[tuple[Path, int]]:
    """Removes what is of no more use; returns paths and sizes.

    That is: archives there is a newer one of, archives that cannot be read or whose layer is not published or internal,
    unfinished seedings. `every`: all archives. `others`: the folders of other catalogues, which may belong to a
    database that still runs. Raises SeedConflict while a seeding runs.
    """
    with connect(url, application_name="geocloud tiles") as conn:
        catalogue = read_catalogue(conn).public()
    cache = settings.tile_cache_folder
    folder = cache / catalogue.identity
    if not cache.is_dir():
        return []
    doomed: list[Path] = []
    removed: list[tuple[Path, int]] = []
    if folder.is_dir():
        with alone(folder):
            newest = newest_archives(folder, catalogue.identity)
            in_use = {a.path for name, a in newest.items() if name in catalogue.layers and not every}
            doomed += [path for _, path in found_archives(folder) if path not in in_use]
            doomed += (folder / "work").glob("*")
            removed += [(path, _remove(path)) for path in doomed]
    if others:
        foreign = [p for p in cache.iterdir() if p.is_dir() and p != folder and (p / "seed.lock").exists()]
        removed += [(path, _remove(path)) for path in foreign]
    return removed


def _entry(archive: Archive, layer_version: int | None, stale: int | None, en: str = "", zh: str = "") -> Entry:
    about = archive.about
    return Entry(
        about.name, layer_version, archive.version, about.min_zoom, about.max_zoom, archive.tile_count, stale,
        archive.bytes, str(archive.path), en, zh,
    )  # fmt: skip


def _remove(path: Path) -> int:
    if path.is_dir():
        size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
        shutil.rmtree(path, ignore_errors=True)
    else:
        size = path.stat().st_size
        path.unlink(missing_ok=True)
    return size
