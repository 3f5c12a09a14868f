# SPDX-License-Identifier: Apache-2.0
"""Archives as files: against the `pmtiles` package's own reader, cut off, renamed over, found by a worker."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from pmtiles.reader import MmapSource, Reader, all_tiles
from pmtiles.tile import zxy_to_tileid

from geocloud.errors import TileError
from geocloud.tiles.archive import EMPTY, Archive, Description, Stored, digest_of, pack, tile_id, write_archive
from geocloud.tiles.archives import Archives, archive_path
from geocloud.tiles.quadtree import box_of_cell, cells_of, overlaps

Cell = tuple[int, int, int]
IDENTITY = "00000000-0000-0000-0000-000000000001"


def about(version: int = 1, **changed: object) -> Description:
    given = {"name": "test.site", "catalogue": IDENTITY, "versions": {"test.site": version},
             "rules": {"test.site": "r"}, "min_zoom": 0, "max_zoom": 12}  # fmt: skip
    return Description(**given | changed)  # type: ignore[arg-type]


def stored(tiles: dict[Cell, bytes]) -> Iterator[Stored]:
    for cell, data in sorted(tiles.items(), key=lambda item: zxy_to_tileid(*item[0])):
        yield Stored(tile_id(*cell), digest_of(data), len(data), 0, lambda offset, length, data=data: data)


def drawn(count: int, seed: int = 7) -> dict[Cell, bytes]:
    """Tiles at random places; a third share their bytes, among them whole quadrants."""
    draw = random.Random(seed)
    cells = {(12, x, y) for x in range(256, 272) for y in range(512, 528)}
    tiles = {cell: pack(b"the same everywhere") for cell in cells}
    while len(tiles) < count:
        z = draw.randrange(13)
        cell = (z, draw.randrange(1 << z), draw.randrange(1 << z))
        tiles.setdefault(cell, pack(draw.randbytes(draw.randrange(1, 60)) if draw.random() < 0.7 else b"also shared"))
    return tiles


def write(path: Path, tiles: dict[Cell, bytes], said: Description | None = None) -> Archive:
    write_archive(path, stored(tiles), said or about(), {"name": "Sites"})
    return Archive(path)


@pytest.mark.parametrize("z", range(17))
def test_tile_numbers_are_those_of_the_package(z: int) -> None:
    draw = random.Random(z)
    for _ in range(200):
        x, y = draw.randrange(1 << z), draw.randrange(1 << z)
        assert tile_id(z, x, y) == zxy_to_tileid(z, x, y)


@pytest.mark.parametrize("count", [260, 40_000], ids=["root directory alone", "leaf directories"])
def test_the_packages_reader_finds_the_same(tmp_path: Path, count: int) -> None:
    tiles = drawn(count)
    archive = write(tmp_path / "a.pmtiles", tiles)
    with archive.path.open("rb") as file:
        source = MmapSource(file)
        theirs = dict(all_tiles(source))
        header = Reader(source).header()
        assert Reader(source).metadata()["name"] == "Sites"
    assert theirs == tiles
    assert {(z, x, y): bytes(data) for z, x, y, data in archive.tiles()} == tiles
    assert all(archive.get(*cell) == data for cell, data in tiles.items())
    assert header["clustered"] and header["addressed_tiles_count"] == archive.tile_count == len(tiles)
    assert header["tile_contents_count"] == len(set(tiles.values()))
    assert header["tile_entries_count"] < len(tiles), "neighbours that are equal share an entry"
    assert bool(header["leaf_directory_length"]) == (count > 10_000)


def test_nothing_there_is_told_from_not_covered(tmp_path: Path) -> None:
    only = {(3, 4, 2): pack(b"x")}
    west, south, east, north = box_of_cell(3, 4, 2)
    archive = write(tmp_path / "a.pmtiles", only, about(min_zoom=2, max_zoom=5, box=(west, south, east, north)))
    assert archive.get(3, 4, 2) == only[3, 4, 2]
    assert archive.get(4, 8, 4) is EMPTY and archive.get(2, 2, 1) is EMPTY
    assert archive.get(3, 5, 2) is None, "outside the box nobody has asked"
    assert archive.get(1, 1, 0) is None and archive.get(6, 0, 0) is None
    assert archive.get(3, 8, 2) is None, "outside the grid"


def test_equal_tiles_give_equal_files(tmp_path: Path) -> None:
    write(tmp_path / "a.pmtiles", drawn(2_000))
    write(tmp_path / "b.pmtiles", drawn(2_000))
    assert (tmp_path / "a.pmtiles").read_bytes() == (tmp_path / "b.pmtiles").read_bytes()


def test_whatever_is_cut_off_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.pmtiles", drawn(1_000)).path.read_bytes()
    cut = tmp_path / "cut.pmtiles"
    draw = random.Random(3)
    for length in [0, 1, 7, 126, 127, 128, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(60))]:
        cut.write_bytes(whole[:length])
        with pytest.raises(TileError, match="cut off"):
            Archive(cut)


def test_damage_ends_in_one_kind_of_error(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.pmtiles", drawn(1_000)).path.read_bytes()
    bad = tmp_path / "bad.pmtiles"
    draw = random.Random(4)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(8):
            data[draw.randrange(min(4_000, len(data)))] = draw.randrange(256)
        bad.write_bytes(data)
        try:
            archive = Archive(bad)
        except TileError:
            refused += 1
            continue
        # What still opens must not reach outside the file.
        assert all(len(tile) <= len(data) for _, _, _, tile in archive.tiles())
    assert refused > 200


def test_a_failed_writing_leaves_what_was_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pmtiles", drawn(500)).path
    before = path.read_bytes()

    def broken(offset: int, length: int) -> bytes:
        raise OSError("no longer there")

    tiles = [*stored({(0, 0, 0): b"x"}), Stored(tile_id(1, 0, 0), b"y", 1, 0, broken)]
    with pytest.raises(OSError, match="no longer there"):
        write_archive(path, tiles, about(2), {})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.pmtiles"]


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr("geocloud.tiles.archives.time.monotonic", lambda: self.now)


def test_a_worker_finds_the_newest_and_keeps_on_reading_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    archives = Archives(tmp_path, IDENTITY)
    assert archives.get("test.site", 0, 0, 0) is None
    first = write(archive_path(tmp_path, about(9)), {(0, 0, 0): pack(b"nine")}, about(9))
    clock.now += 2
    old = archives.get("test.site", 0, 0, 0)
    assert isinstance(old, memoryview) and gzip.decompress(old) == b"nine"
    write(archive_path(tmp_path, about(10)), {(0, 0, 0): pack(b"ten")}, about(10))
    first.path.unlink()
    assert gzip.decompress(archives.get("test.site", 0, 0, 0)) == b"nine", "the folder is looked at once a second"
    clock.now += 2
    new = archives.archive("test.site")
    assert new is not None and new.version == 10, "versions are numbers, not texts"
    assert gzip.decompress(new.get(0, 0, 0)) == b"ten"
    assert gzip.decompress(old) == b"nine", "removed, and still readable for whoever has it open"


def test_a_worker_sees_an_archive_made_anew_under_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    archives = Archives(tmp_path, IDENTITY)
    path = archive_path(tmp_path, about())
    write(path, {(0, 0, 0): pack(b"one rule")})
    assert gzip.decompress(archives.get("test.site", 0, 0, 0)) == b"one rule"
    write(path, {(0, 0, 0): pack(b"another")}, about(rules={"test.site": "other"}))
    clock.now += 2
    assert gzip.decompress(archives.get("test.site", 0, 0, 0)) == b"another"
    found = archives.archive("test.site")
    assert found is not None and found.rule == "other"


def test_a_worker_passes_over_what_it_cannot_use(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(archive_path(tmp_path, about(1)), {(0, 0, 0): pack(b"good")})
    misnamed = write(archive_path(tmp_path, about(5)), {(0, 0, 0): pack(b"x")}, about(6))
    cut = archive_path(tmp_path, about(2))
    cut.write_bytes(archive_path(tmp_path, about(1)).read_bytes()[:-1])
    foreign = write(archive_path(tmp_path, about(3)), {(0, 0, 0): pack(b"x")}, about(3, catalogue="of another city"))
    renamed = write(archive_path(tmp_path, about(4)), {(0, 0, 0): pack(b"x")}, about(4, name="test.zone"))
    (tmp_path / IDENTITY / "notes.pmtiles").write_bytes(b"not ours")
    archives = Archives(tmp_path, IDENTITY)
    assert archives.names() == ["test.site"]
    found = archives.archive("test.site")
    assert found is not None and found.version == 1
    for path in (cut, foreign.path, renamed.path, misnamed.path):
        assert str(path) in caplog.text


@pytest.mark.parametrize("margin", [0.0, 64 / 4096, 0.5])
def test_tiles_of_a_box_are_those_whose_box_it_meets(margin: float) -> None:
    draw = random.Random(5)
    for _ in range(50):
        west, south = draw.uniform(-180, 170), draw.uniform(-84, 70)
        box = (west, south, west + draw.uniform(0, 10), south + draw.uniform(0, 10))
        z = draw.randrange(6)
        found = set(cells_of(box, z, margin))
        for x in range(1 << z):
            for y in range(1 << z):
                w, s, e, n = box_of_cell(z, x, y, margin)
                meets = w <= box[2] and e >= box[0] and s <= box[3] and n >= box[1]
                assert ((z, x, y) in found) == meets
                assert overlaps((z, x, y), box) <= ((z, x, y) in found)
