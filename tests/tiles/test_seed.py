# SPDX-License-Identifier: Apache-2.0
"""Seeding: every tile is the builder's, one snapshot whatever is written meanwhile, killed and gone on, renewed."""

from __future__ import annotations

import asyncio
import gzip
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import mapbox_vector_tile
import psutil
import psycopg2
import pyogrio
import pytest

from geocloud.catalogue.registry import CATALOGUE_SQL, Layer, parse_catalogue
from geocloud.errors import SeedConflict, TileError, UnknownLayer
from geocloud.features.request import read_rows
from geocloud.settings import Settings, TileSettings
from geocloud.tiles.archive import EMPTY, Archive
from geocloud.tiles.build import build_tile
from geocloud.tiles.grids import grids
from geocloud.tiles.inventory import clean, inventory
from geocloud.tiles.quadtree import Cell, box_of_cell, cells_of, overlaps
from geocloud.tiles.renew import boundary_ahead, changed_boxes
from geocloud.tiles.seed import Seeded, alone, seed
from tests.tiles.conftest import LAND, SITE, SPECS, WAY, Town

LAYERS = (SITE, LAND, WAY)


def settings_of(cache: Path, **tiles: Any) -> Settings:
    return Settings(tiles=TileSettings(tile_cache_dir=cache, **tiles))


def seeded(town: Town, cache: Path, *names: str, **how: Any) -> dict[str, Seeded]:
    return {r.name: r for r in seed(town.urls.reader, settings_of(cache), names, **{"jobs": 2, **how})}


def archive_of(result: Seeded) -> Archive:
    assert result.path is not None
    return Archive(result.path)


def layer_of(town: Town, name: str) -> Layer:
    async def ask() -> str:
        conn = await asyncpg.connect(town.urls.reader)
        try:
            return str(await conn.fetchval(CATALOGUE_SQL))
        finally:
            await conn.close()

    return parse_catalogue(asyncio.run(ask())).layer(name)


def built(town: Town, name: str, cells: list[Cell]) -> dict[Cell, bytes]:
    """What the builder makes of tiles now."""
    layer, settings, grid = layer_of(town, name), settings_of(Path("unused")), grids()["WebMercatorQuad"]

    async def ask() -> dict[Cell, bytes]:
        conn = await asyncpg.connect(town.urls.reader)
        try:
            rows, _ = read_rows((), layer, settings.web)
            found = {}
            for z, x, y in cells:
                tile = grid.tile(str(z), str(y), str(x))
                found[z, x, y] = (await build_tile(conn, layer, tile, settings.tiles, rows=rows)).data
            return found
        finally:
            await conn.close()

    return asyncio.run(ask())


def around(name: str) -> list[Cell]:
    """Every tile of the layer's zooms in and next to the town."""
    rule = SPECS[name].tiles
    return [c for z in range(rule.min_zoom, rule.max_zoom + 1) for c in cells_of((115.68, 36.18, 116.32, 36.72), z, 1)]


def told(mvt: bytes) -> Any:
    """A tile's content without regard to the order in which the database came upon the features."""
    layers = mapbox_vector_tile.decode(mvt)
    return {n: sorted(map(repr, layer["features"])) for n, layer in layers.items()}


def content(archive: Archive) -> dict[Cell, Any]:
    """All tiles, decoded."""
    return {(z, x, y): told(gzip.decompress(data)) for z, x, y, data in archive.tiles()}


@pytest.mark.parametrize("name", LAYERS)
def test_every_tile_is_what_the_builder_makes(town: Town, tmp_path: Path, name: str) -> None:
    archive = archive_of(seeded(town, tmp_path, name)[name])
    wanted = built(town, name, around(name))
    full = {cell: data for cell, data in wanted.items() if data}
    assert 20 < len(full) < len(wanted)
    for cell, data in wanted.items():
        tile = archive.get(*cell)
        if data:
            assert isinstance(tile, memoryview), cell
            assert gzip.decompress(tile) == data, cell
        else:
            assert tile is EMPTY, cell
    assert archive.tile_count == len(full), "and there are no others"


def test_counts_of_an_overview_sum_to_the_layer(town: Town, tmp_path: Path) -> None:
    archive = archive_of(seeded(town, tmp_path, SITE)[SITE])
    for zoom in range(5, 11):
        counts = [
            feature["properties"]["count"]
            for z, _, _, data in archive.tiles()
            if z == zoom
            for feature in mapbox_vector_tile.decode(gzip.decompress(data))[SITE]["features"]
        ]
        assert sum(counts) == 1_500


def test_gdal_reads_it(town: Town, tmp_path: Path) -> None:
    path = archive_of(seeded(town, tmp_path, LAND)[LAND]).path
    assert [name for name, _ in pyogrio.list_layers(path)] == [LAND]
    frame = pyogrio.read_dataframe(path)
    assert set(frame["kind"]) == {"x", "y"} and frame.crs.to_epsg() == 3857
    conn = psycopg2.connect(town.urls.reader)
    with conn, conn.cursor() as cur:
        cur.execute("SELECT ST_Extent(ST_Transform(geom, 3857))::text FROM town.land")
        row = cur.fetchone()
    conn.close()
    assert row is not None
    numbers = row[0].removeprefix("BOX(").rstrip(")").replace(",", " ").split()
    # A unit of a tile at zoom 12 is 2.4 m.
    assert frame.total_bounds == pytest.approx([float(n) for n in numbers], abs=3)


def test_metadata_says_what_it_is(town: Town, tmp_path: Path) -> None:
    archive = archive_of(seeded(town, tmp_path, SITE)[SITE])
    (layer,) = archive.metadata["vector_layers"]
    assert (layer["id"], layer["minzoom"], layer["maxzoom"]) == (SITE, 5, 13)
    assert layer["fields"].items() >= {"code": "String", "kind": "String", "count": "Number"}.items()
    assert archive.about.versions == {SITE: layer_of(town, SITE).state.version}
    west, south, east, north = (archive.header[f"{s}_e7"] / 1e7 for s in ("min_lon", "min_lat", "max_lon", "max_lat"))
    assert (west, south, east, north) == pytest.approx(layer_of(town, SITE).state.extent, abs=1e-6)


def test_zooms_and_box_limit_what_is_made(town: Town, tmp_path: Path) -> None:
    box = (115.95, 36.4, 115.99, 36.46)
    archive = archive_of(seeded(town, tmp_path, SITE, zooms=(9, 12), box=box)[SITE])
    wanted = {c for c, data in built(town, SITE, around(SITE)).items() if data and 9 <= c[0] <= 12 and overlaps(c, box)}
    assert {(z, x, y) for z, x, y, _ in archive.tiles()} == wanted
    assert archive.get(8, 210, 100) is None
    far = next(c for c in cells_of((116.2, 36.6, 116.21, 36.61), 12) if not overlaps(c, box))
    assert archive.get(*far) is None, "not asked for, so not known to be empty"


def test_one_snapshot_whatever_is_written_meanwhile(town: Town, tmp_path: Path) -> None:
    before = seeded(town, tmp_path / "quiet")
    writes = 0

    def write(*_: object) -> None:
        nonlocal writes
        writes += 1
        town.run(
            "INSERT INTO town.site (code, geom) SELECT 'N' || gen_random_uuid(), geom FROM town.site LIMIT 50",
            "DELETE FROM town.land WHERE fid IN (SELECT fid FROM town.land LIMIT 5)",
            "UPDATE town.way SET code = 'u' || code WHERE fid % 7 = 0",
        )

    during = seeded(town, tmp_path / "busy", on_progress=write)
    assert writes > 5
    for name in LAYERS:
        assert during[name].version == before[name].version < layer_of(town, name).state.version
        assert content(archive_of(during[name])) == content(archive_of(before[name]))


def test_an_archive_of_this_version_is_left_alone(town: Town, tmp_path: Path) -> None:
    first = archive_of(seeded(town, tmp_path, SITE)[SITE])
    again = seeded(town, tmp_path, SITE)[SITE]
    assert (again.outcome, again.built, again.tiles) == ("fresh", 0, first.tile_count)
    assert archive_of(again).mtime_ns == first.mtime_ns
    assert seeded(town, tmp_path, SITE, full=True)[SITE].built > 0


_EDITS = {
    "insert": "INSERT INTO {t} (code, geom) SELECT 'new', ST_Translate(geom, 0.011, 0.007) FROM {t} WHERE fid = 3",
    "update of an attribute": "UPDATE {t} SET kind = 'z' WHERE fid IN (5, 6)",
    "move": "UPDATE {t} SET geom = ST_Translate(geom, 0.03, -0.02) WHERE fid = 9",
    "delete": "DELETE FROM {t} WHERE fid = 12",
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("edit", _EDITS.values(), ids=_EDITS)
def test_renewal_equals_a_full_seeding(town: Town, tmp_path: Path, name: str, edit: str) -> None:
    old = archive_of(seeded(town, tmp_path / "a", name)[name])
    town.run(edit.format(t=name))
    renewed = seeded(town, tmp_path / "a", name)[name]
    full = seeded(town, tmp_path / "b", name)[name]
    assert (renewed.outcome, full.outcome) == ("renewed", "seeded")
    assert 0 < renewed.built < full.built / 2
    mine, theirs = archive_of(renewed), archive_of(full)
    assert mine.about == theirs.about and mine.metadata == theirs.metadata
    assert content(mine) == content(theirs) != content(old)
    assert not old.path.exists(), "the older version makes room"


def test_what_touches_most_tiles_is_seeded_from_the_start(town: Town, tmp_path: Path) -> None:
    seeded(town, tmp_path, WAY)
    town.run("UPDATE town.way SET code = 'x' || code")
    assert seeded(town, tmp_path, WAY)[WAY].outcome == "seeded"


def test_another_rule_takes_nothing_over(town: Town, tmp_path: Path) -> None:
    seeded(town, tmp_path, SITE)
    settings = settings_of(tmp_path, tile_features_max=100)
    (entry,) = [e for e in inventory(town.urls.reader, settings) if e.name == SITE]
    assert entry.stale is None and entry.note_en == "made by another rule"
    town.run("DELETE FROM town.site WHERE fid = 12")
    (result,) = seed(town.urls.reader, settings, [SITE], jobs=1)
    assert result.outcome == "seeded"
    thinned = [
        feature["properties"]
        for z, _, _, data in archive_of(result).tiles()
        if z == 11
        for feature in mapbox_vector_tile.decode(gzip.decompress(data))[SITE]["features"]
    ]
    assert any(p.get("thinned") for p in thinned), "past the limit it is thinned as online"


def test_a_layer_without_rows_keeps_no_archive(town: Town, tmp_path: Path) -> None:
    path = archive_of(seeded(town, tmp_path, WAY)[WAY]).path
    town.run("DELETE FROM town.way")
    assert seeded(town, tmp_path, WAY)[WAY].outcome == "empty"
    assert not path.exists()


_KILLED = """
import os, signal, sys
from pathlib import Path
from geocloud.settings import Settings, TileSettings
from geocloud.tiles import archive, seed

def progress(name, done, known, tiles):
    import psutil
    if done == int(sys.argv[3]):
        print(*(p.pid for p in psutil.Process().children(recursive=True)), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

def killing(offset, length):
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    settings = Settings(tiles=TileSettings(tile_cache_dir=Path(sys.argv[2])))
    if sys.argv[3] == "writing":
        real = archive.Stored
        seed.write_archive = lambda path, tiles, about, metadata: archive.write_archive(
            path, [*tiles[:-1], tiles[-1]._replace(digest=b"last", read=killing)], about, metadata)
        progress = None
    seed.seed(sys.argv[1], settings, sys.argv[4:], jobs=2, full=True, on_progress=progress)
"""


def killed(town: Town, tmp_path: Path, cache: Path, when: str, *names: str) -> list[int]:
    """Runs a seeding that ends itself by SIGKILL; its workers' process ids."""
    script = tmp_path / "killed.py"
    script.write_text(_KILLED)
    command = [sys.executable, str(script), town.urls.reader, str(cache), when, *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return [int(pid) for pid in done.stdout.split()]


@pytest.mark.parametrize("chunks", [1, 4, 9])
def test_killed_in_the_middle_it_goes_on(town: Town, tmp_path: Path, chunks: int) -> None:
    whole = seeded(town, tmp_path / "whole", SITE)[SITE]
    workers = killed(town, tmp_path, tmp_path / "cache", str(chunks), SITE)
    assert workers
    gone, alive = psutil.wait_procs([psutil.Process(p) for p in workers if psutil.pid_exists(p)], timeout=30)
    assert not alive, "workers end with the process that led them"
    (folder,) = (tmp_path / "cache").iterdir()
    assert not list(folder.glob("*.pmtiles"))
    result = seeded(town, tmp_path / "cache", SITE)[SITE]
    assert result.resumed > 0
    assert result.built + result.resumed == whole.built
    assert content(archive_of(result)) == content(archive_of(whole))
    assert not list((folder / "work").iterdir())


def test_what_was_kept_of_an_older_version_is_not_used(town: Town, tmp_path: Path) -> None:
    killed(town, tmp_path, tmp_path / "cache", "4", SITE)
    town.run("UPDATE town.site SET kind = 'q' WHERE fid < 40")
    result = seeded(town, tmp_path / "cache", SITE)[SITE]
    assert result.resumed == 0
    assert content(archive_of(result)) == content(archive_of(seeded(town, tmp_path / "b", SITE)[SITE]))


def test_killed_while_writing_leaves_the_archive_before(town: Town, tmp_path: Path) -> None:
    old = archive_of(seeded(town, tmp_path / "cache", LAND)[LAND])
    bytes_before, content_before = old.path.read_bytes(), content(old)
    killed(town, tmp_path, tmp_path / "cache", "writing", LAND)
    assert old.path.read_bytes() == bytes_before
    assert list(old.path.parent.glob(".*.part")), "it was killed while writing"
    result = seeded(town, tmp_path / "cache", LAND, full=True)[LAND]
    assert result.built == 0 and result.resumed > 0
    assert content(archive_of(result)) == content_before
    assert not list(old.path.parent.glob(".*.part"))


def test_a_second_seeding_is_refused_while_one_runs(town: Town, tmp_path: Path) -> None:
    folder = archive_of(seeded(town, tmp_path, WAY)[WAY]).path.parent
    with alone(folder), pytest.raises(SeedConflict):
        seeded(town, tmp_path, WAY)
    assert seeded(town, tmp_path, WAY)[WAY].outcome == "fresh"


def test_a_worker_that_is_ended_is_told_of(town: Town, tmp_path: Path) -> None:
    def end_one(*_: object) -> None:
        for child in psutil.Process().children():
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()

    with pytest.raises(TileError, match="ended from outside"):
        seeded(town, tmp_path, SITE, on_progress=end_one)
    assert seeded(town, tmp_path, SITE)[SITE].resumed > 0


def test_status_counts_the_tiles_that_a_change_touches(town: Town, tmp_path: Path) -> None:
    archive = archive_of(seeded(town, tmp_path, SITE)[SITE])
    settings = settings_of(tmp_path)
    entries = {e.name: e for e in inventory(town.urls.reader, settings)}
    assert (entries[SITE].stale, entries[SITE].tiles) == (0, archive.tile_count)
    assert entries[LAND].tiles is None and entries[LAND].note_en == "not seeded"
    town.run("UPDATE town.site SET kind = 'z' WHERE fid = 5")
    conn = psycopg2.connect(town.urls.reader)
    with conn, conn.cursor() as cur:
        cur.execute("SELECT ST_X(geom), ST_Y(geom) FROM town.site WHERE fid = 5")
        row = cur.fetchone()
    conn.close()
    assert row is not None
    x, y = row
    near = 72 / 4096
    wanted = 0
    for z in range(5, 14):
        for cell in cells_of((x, y, x, y), z, 1):
            west, south, east, north = box_of_cell(*cell, near)
            wanted += west <= x <= east and south <= y <= north
    entries = {e.name: e for e in inventory(town.urls.reader, settings)}
    assert entries[SITE].stale == wanted >= 9


def test_rows_that_begin_and_end_without_a_write_touch_their_tiles(town: Town, tmp_path: Path) -> None:
    town.run("UPDATE town.site SET valid_to = now() + interval '1 day' WHERE fid = 7")
    archive = archive_of(seeded(town, tmp_path, SITE)[SITE])
    layer = layer_of(town, SITE)
    conn = psycopg2.connect(town.urls.reader)
    with conn, conn.cursor() as cur:
        assert archive.about.until == boundary_ahead(cur, layer) is not None
        assert changed_boxes(cur, layer, archive).boxes == []
    town.run("UPDATE town.site SET valid_to = now() - interval '1 second', valid_from = '2020-01-01' WHERE fid = 7")
    with conn, conn.cursor() as cur:
        cur.execute("SELECT version FROM geocloud.layer_state WHERE layer = %s", (SITE,))
        now = cur.fetchone()
        assert now is not None
        # As if the day had come without a write: the archive is of today's version and of yesterday's date.
        archive.about.versions[SITE] = now[0]  # type: ignore[index]
        assert changed_boxes(cur, layer, archive).boxes == []
        object.__setattr__(archive.about, "until", "2020-01-02T00:00:00+00:00")
        cur.execute("SELECT ST_X(geom), ST_Y(geom) FROM town.site WHERE fid = 7")
        place = cur.fetchone()
        assert place is not None
        assert (*place, *place) in changed_boxes(cur, layer, archive).boxes
    conn.close()


def test_unknown_names_are_refused_and_themes_stand_for_their_layers(town: Town, tmp_path: Path) -> None:
    with pytest.raises(UnknownLayer, match=r"town\.nothing"):
        seeded(town, tmp_path, "town.nothing")
    assert set(seeded(town, tmp_path, "town")) == set(LAYERS)


def test_a_folder_that_cannot_be_written_is_told_of(town: Town, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TileError, match="cannot be written"):
        seeded(town, tmp_path / "file", SITE)


def test_clean_removes_what_is_of_no_more_use(town: Town, tmp_path: Path) -> None:
    archives = {name: archive_of(result) for name, result in seeded(town, tmp_path).items()}
    folder = archives[SITE].path.parent
    older = folder / f"{SITE}.v0.pmtiles"
    older.write_bytes(b"no archive")
    foreign = tmp_path / "another-city"
    foreign.mkdir()
    (foreign / "seed.lock").touch()
    (folder / "work" / "left").mkdir(parents=True)
    settings = settings_of(tmp_path)
    assert {p for p, _ in clean(town.urls.reader, settings)} == {older, folder / "work" / "left"}
    assert all(a.path.exists() for a in archives.values()) and foreign.exists()
    removed = {p for p, _ in clean(town.urls.reader, settings, every=True, others=True)}
    assert removed == {*(a.path for a in archives.values()), foreign}
    assert list(tmp_path.iterdir()) == [folder]
