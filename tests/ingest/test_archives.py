# SPDX-License-Identifier: Apache-2.0
"""open_source of archives: every kind, names in Chinese, and limits that bombs and paths out of them meet."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from geocloud.ingest.readers import open_source
from geocloud.settings import IngestSettings
from tests.ingest.streets import NAMES, is_same, read_rows, refused, street_frame, street_shapefile


def _zip(path: Path, entries: dict[str, bytes], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as box:
        for name, data in entries.items():
            box.writestr(name, data, **options)
    return path


def _parts(path: Path, folder: str = "") -> dict[str, bytes]:
    return {f"{folder}{p.name}": p.read_bytes() for p in path.parent.iterdir() if p.stem == path.stem}


def test_archives_of_every_kind(tmp_path: Path) -> None:
    parts = _parts(street_shapefile(tmp_path / "s"), "数据/2024/")
    zipped = _zip(tmp_path / "a.zip", parts)
    nested = _zip(tmp_path / "b.zip", {"in.zip": zipped.read_bytes(), "说明.txt": b"x"})
    tarred = tmp_path / "c.tar.gz"
    with tarfile.open(tarred, "w:gz") as tar:
        for name, data in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    for path in (zipped, nested, tarred):
        is_same(*read_rows(path)[:2])
    text = street_frame().to_crs(4326).to_json(ensure_ascii=False).encode()
    gz = tmp_path / "d.geojson.gz"
    gz.write_bytes(gzip.compress(text))
    assert [r["名称"] for r in read_rows(gz)[0]] == NAMES


def test_chinese_names_in_a_zip_from_windows(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", _parts(street_shapefile(tmp_path / "s", "xx")))
    raw = path.read_bytes().replace(b"xx.", "街".encode("gbk") + b".")
    path.write_bytes(raw)
    with open_source(path) as source:
        assert source.layer == "街"
    is_same(*read_rows(path)[:2])


def test_kmz(tmp_path: Path) -> None:
    kml = (
        '<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        "<Placemark><name>光岳楼</name><Point><coordinates>115.98,36.45</coordinates></Point></Placemark>"
        "</Document></kml>"
    )
    path = _zip(tmp_path / "a.kmz", {"doc.kml": kml.encode(), "images/a.png": b"x"})
    with open_source(path) as source:
        batch = next(source.batches())
        assert batch.table["Name"].to_pylist() == ["光岳楼"]
        assert source.crs == "EPSG:4326"


def test_several_data_sets_ask_for_one(tmp_path: Path) -> None:
    entries = _parts(street_shapefile(tmp_path / "a", "甲")) | _parts(street_shapefile(tmp_path / "b", "乙"))
    path = _zip(tmp_path / "a.zip", entries)
    assert refused(path) == "GC-108"
    for name in ("乙", "乙.shp"):
        is_same(*read_rows(path, layer=name)[:2])
    assert refused(path, layer="丙") == "GC-114"
    folder = tmp_path / "all"
    shutil.copytree(tmp_path / "a", folder)
    is_same(*read_rows(folder)[:2])


@pytest.mark.parametrize("name", ["../out.csv", "/tmp/out.csv", "a/../../out.csv", "..\\out.csv", "C:/out.csv"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as box:
        info = zipfile.ZipInfo("x")
        info.filename = name
        box.writestr(info, b"a,b\n1,2\n")
    assert refused(path) == "GC-110"
    assert not (tmp_path.parent / "out.csv").exists()


def test_bombs_links_and_locks_are_refused(tmp_path: Path) -> None:
    bomb = _zip(tmp_path / "bomb.zip", {"a.csv": bytes(130 << 20)})
    assert bomb.stat().st_size < 1 << 20
    assert refused(bomb) == "GC-110"
    small = _zip(tmp_path / "small.zip", {"a.csv": b"a,b\n1,2\n" * 300_000})
    assert refused(small, settings=IngestSettings(archive_max_mb=1)) == "GC-110"
    many = _zip(tmp_path / "many.zip", {f"{i}.txt": b"" for i in range(11)})
    assert refused(many, settings=IngestSettings(archive_entries_max=10)) == "GC-110"
    tar = tmp_path / "l.tar"
    with tarfile.open(tar, "w") as box:
        link = tarfile.TarInfo("a.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        box.addfile(link)
    assert refused(tar) == "GC-110"
    data: bytes = _zip(tmp_path / "n0.zip", {"a.csv": b"a,b\n1,2\n"}).read_bytes()
    for depth in range(1, 5):
        data = _zip(tmp_path / f"n{depth}.zip", {"in.zip": data}).read_bytes()
    assert refused(tmp_path / "n4.zip") == "GC-110"
    locked = bytearray(_zip(tmp_path / "locked.zip", {"a.csv": b"a,b\n1,2\n"}).read_bytes())
    for mark, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(mark) + flag] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    assert refused(tmp_path / "locked.zip") == "GC-117"
    cut = tmp_path / "cut.zip"
    cut.write_bytes(small.read_bytes()[:-100])
    assert refused(cut) == "GC-117"


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    path = _zip(tmp_path / "a.zip", _parts(street_shapefile(tmp_path / "s")))
    with open_source(path) as source:
        assert list((tmp_path / "tmp").iterdir())
        next(source.batches())
    refused(_zip(tmp_path / "b.zip", {"a.txt": b"x"}))
    assert list((tmp_path / "tmp").iterdir()) == []


# --- the network, and files that point elsewhere
