# SPDX-License-Identifier: Apache-2.0
"""Files damaged at random are read or refused by number; nothing else comes out of a check."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from geocloud.errors import GeocloudError
from geocloud.ingest.check import check_file
from geocloud.settings import Settings

_SUFFIXES = {
    ".shp", ".dbf", ".shx", ".cpg", ".prj", ".geojson", ".gpkg", ".csv", ".kml", ".tab", ".map", ".dat", ".dxf", ".zip",
    ".parquet", ".gml", ".seq", ".gdbtable",
}  # fmt: skip
_LARGEST = 300_000
_TRIES = 12


def _damaged(raw: bytes, chance: random.Random) -> bytes:
    data = bytearray(raw)
    how = chance.choice(["flip", "head", "cut", "zero", "insert"])
    at = chance.randrange(len(data))
    if how == "cut":
        return bytes(data[:at])
    if how == "zero":
        data[at : at + 50] = bytes(50)
    elif how == "insert":
        data[at:at] = chance.randbytes(chance.choice([1, 7, 100]))
    else:
        end = min(200, len(data)) if how == "head" else len(data)
        for _ in range(chance.choice([1, 4, 20])):
            data[chance.randrange(end)] = chance.randrange(256)
    return bytes(data)


@pytest.mark.parametrize("seed", range(6))
def test_damage_never_ends_in_a_crash(shared_data: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    every = sorted(
        p for p in (shared_data / "messy").rglob("*")
        if p.is_file() and p.suffix in _SUFFIXES and 0 < p.stat().st_size < _LARGEST
    )  # fmt: skip
    for number in range(_TRIES):
        victim = chance.choice(every)
        folder = tmp_path / str(number)
        whole = victim.parent if victim.parent.suffix == ".gdb" else None
        if whole is not None:
            target = shutil.copytree(whole, folder / "x.gdb", copy_function=shutil.copyfile)
            target.chmod(0o755)
            broken = target / victim.name
        else:
            folder.mkdir()
            for part in victim.parent.glob(f"{victim.stem}.*"):
                if part.is_file():
                    shutil.copyfile(part, folder / part.name)
            target = broken = folder / victim.name
        broken.write_bytes(_damaged(victim.read_bytes(), chance))
        try:
            checked = check_file(target, Settings())
        except GeocloudError as exc:
            assert str(exc.context["rule"]) in exc.en
        else:
            assert checked.error is None or checked.report.has_errors
            assert checked.report.facts["rows"] >= checked.report.facts["rows_rejected"]
