# SPDX-License-Identifier: Apache-2.0
"""open_source: archives within limits, nothing over the network, damaged files refused by number."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import socket
import struct
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geocloud.errors import UnreadableFile
from geocloud.ingest.readers import open_source
from geocloud.settings import IngestSettings

NAMES = ["古楼街道", "柳园街道", "新区街道", "湖西街道", "道口铺街道", "闫寺街道"]
SHAPES = [shapely.box(115.9 + i / 100, 36.4, 115.905 + i / 100, 36.41) for i in range(6)]


def _frame() -> Any:
    return gpd.GeoDataFrame({"代码": [f"{i:03}" for i in range(6)], "名称": NAMES}, geometry=SHAPES, crs=4490)


def _shapefile(folder: Path, stem: str = "街道", encoding: str = "GBK") -> Path:
    folder.mkdir(exist_ok=True)
    _frame().to_file(folder / "plain.shp", encoding=encoding, engine="pyogrio")
    for part in list(folder.glob("plain.*")):
        part.rename(folder / f"{stem}{part.suffix}")
    return folder / f"{stem}.shp"


def _rows(path: Path, rows: int = 4, **options: Any) -> tuple[list[dict[str, Any]], list[Any], set[str]]:
    with open_source(path, **options) as source:
        table: list[dict[str, Any]] = []
        shapes: list[Any] = []
        codes = set()
        for batch in source.batches(rows):
            assert batch.start_row == len(table)
            table += batch.table.to_pylist()
            shapes += [] if batch.geometry is None else batch.geometry.tolist()
            codes |= {f.code for f in batch.findings}
        return table, shapes, codes | {f.code for f in source.findings}


def _refused(path: str | Path, **options: Any) -> str:
    with pytest.raises(UnreadableFile) as caught:
        open_source(path, **options)
    error = caught.value
    assert error.context["rule"] in error.en
    assert error.todo_en
    assert error.todo_zh
    return str(error.context["rule"])


def _same(table: list[dict[str, Any]], shapes: list[Any]) -> None:
    assert [r["名称"] for r in table] == NAMES
    assert [r["代码"] for r in table] == [f"{i:03}" for i in range(6)]
    assert all(a.equals(b) for a, b in zip(shapes, SHAPES, strict=True))


# --- shapefiles


@pytest.mark.parametrize("encoding", ["GBK", "UTF-8"])
def test_shapefile_in_batches_and_twice(tmp_path: Path, encoding: str) -> None:
    path = _shapefile(tmp_path, encoding=encoding)
    with open_source(path) as source:
        for size in (1, 4, 100):
            batches = list(source.batches(size))
            assert max(b.rows for b in batches) <= size
            names = [n for b in batches for n in b.table["名称"].to_pylist()]
            assert names == NAMES
        assert (source.count, source.crs) == (6, "EPSG:4490")


@pytest.mark.parametrize(
    ("missing", "rule"), [(".dbf", "GC-104"), (".shp", "GC-104"), (".shx", None), (".prj", None), (".cpg", None)]
)
def test_missing_parts(tmp_path: Path, missing: str, rule: str | None) -> None:
    path = _shapefile(tmp_path)
    path.with_suffix(missing).unlink()
    if rule is not None:
        others = [p for p in tmp_path.iterdir() if p.suffix in (".shp", ".dbf", ".shx")]
        assert {_refused(p) for p in others} == {rule}
        return
    table, shapes, codes = _rows(path)
    _same(table, shapes)
    assert ("GC-118" in codes) == (missing == ".shx")
    assert ("GC-203" in codes) == (missing == ".cpg")


def test_a_prj_that_is_none_counts_as_missing(tmp_path: Path) -> None:
    path = _shapefile(tmp_path)
    path.with_suffix(".prj").write_bytes(b"GEOGCS[\x00\xff nonsense")
    with open_source(path) as source:
        assert source.crs is None
    table, shapes, codes = _rows(path)
    _same(table, shapes)
    assert "GC-318" in codes


def test_upper_case_parts(tmp_path: Path) -> None:
    for part in _shapefile(tmp_path).parent.iterdir():
        part.rename(part.with_name("JD" + part.suffix.upper()))
    _same(*_rows(tmp_path / "JD.SHP")[:2])


def test_cut_and_contradicting_shapefiles(tmp_path: Path) -> None:
    path = _shapefile(tmp_path / "a")
    path.write_bytes(path.read_bytes()[:-60])
    assert _refused(path) == "GC-106"
    # Without an index the cut is found by walking the records.
    path.with_suffix(".shx").unlink()
    assert _refused(path) == "GC-106"
    path = _shapefile(tmp_path / "b")
    raw = bytearray(path.read_bytes())
    struct.pack_into(">i", raw, 104, 12)
    path.write_bytes(raw)
    assert _refused(path) == "GC-106"
    path = _shapefile(tmp_path / "c")
    dbf = path.with_suffix(".dbf")
    dbf.write_bytes(dbf.read_bytes()[:-400])
    assert _refused(path) == "GC-106"
    path = _shapefile(tmp_path / "d")
    other = _shapefile(tmp_path / "e")
    _frame().iloc[:4].to_file(other, encoding="GBK", engine="pyogrio")
    shutil.copy(other.with_suffix(".dbf"), path.with_suffix(".dbf"))
    assert _refused(path) == "GC-106"


def test_deleted_records_are_told(tmp_path: Path) -> None:
    path = _shapefile(tmp_path)
    dbf = path.with_suffix(".dbf")
    raw = bytearray(dbf.read_bytes())
    head, width = struct.unpack("<HH", raw[8:12])
    raw[head + 2 * width] = 0x2A
    dbf.write_bytes(raw)
    table, _, codes = _rows(path)
    assert [r["名称"] for r in table] == NAMES[:2] + NAMES[3:]
    assert "GC-133" in codes
    assert "GC-132" not in codes


def test_texts_cut_at_their_width(tmp_path: Path) -> None:
    path = _shapefile(tmp_path, encoding="UTF-8")
    dbf = path.with_suffix(".dbf")
    raw = dbf.read_bytes()
    whole = "道口铺街道".encode()
    dbf.write_bytes(raw.replace(whole, whole[:-1] + b" "))
    table, _, codes = _rows(path)
    assert table[4]["名称"] == "道口铺街"
    assert "GC-206" in codes


# --- archives


def _zip(path: Path, entries: dict[str, bytes], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as box:
        for name, data in entries.items():
            box.writestr(name, data, **options)
    return path


def _parts(path: Path, folder: str = "") -> dict[str, bytes]:
    return {f"{folder}{p.name}": p.read_bytes() for p in path.parent.iterdir() if p.stem == path.stem}


def test_archives_of_every_kind(tmp_path: Path) -> None:
    parts = _parts(_shapefile(tmp_path / "s"), "数据/2024/")
    zipped = _zip(tmp_path / "a.zip", parts)
    nested = _zip(tmp_path / "b.zip", {"in.zip": zipped.read_bytes(), "说明.txt": b"x"})
    tarred = tmp_path / "c.tar.gz"
    with tarfile.open(tarred, "w:gz") as tar:
        for name, data in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    for path in (zipped, nested, tarred):
        _same(*_rows(path)[:2])
    text = _frame().to_crs(4326).to_json(ensure_ascii=False).encode()
    gz = tmp_path / "d.geojson.gz"
    gz.write_bytes(gzip.compress(text))
    assert [r["名称"] for r in _rows(gz)[0]] == NAMES


def test_chinese_names_in_a_zip_from_windows(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", _parts(_shapefile(tmp_path / "s", "xx")))
    raw = path.read_bytes().replace(b"xx.", "街".encode("gbk") + b".")
    path.write_bytes(raw)
    with open_source(path) as source:
        assert source.layer == "街"
    _same(*_rows(path)[:2])


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
    entries = _parts(_shapefile(tmp_path / "a", "甲")) | _parts(_shapefile(tmp_path / "b", "乙"))
    path = _zip(tmp_path / "a.zip", entries)
    assert _refused(path) == "GC-108"
    for name in ("乙", "乙.shp"):
        _same(*_rows(path, layer=name)[:2])
    assert _refused(path, layer="丙") == "GC-114"
    folder = tmp_path / "all"
    shutil.copytree(tmp_path / "a", folder)
    _same(*_rows(folder)[:2])


@pytest.mark.parametrize("name", ["../out.csv", "/tmp/out.csv", "a/../../out.csv", "..\\out.csv", "C:/out.csv"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as box:
        info = zipfile.ZipInfo("x")
        info.filename = name
        box.writestr(info, b"a,b\n1,2\n")
    assert _refused(path) == "GC-110"
    assert not (tmp_path.parent / "out.csv").exists()


def test_bombs_links_and_locks_are_refused(tmp_path: Path) -> None:
    bomb = _zip(tmp_path / "bomb.zip", {"a.csv": bytes(130 << 20)})
    assert bomb.stat().st_size < 1 << 20
    assert _refused(bomb) == "GC-110"
    small = _zip(tmp_path / "small.zip", {"a.csv": b"a,b\n1,2\n" * 300_000})
    assert _refused(small, settings=IngestSettings(archive_max_mb=1)) == "GC-110"
    many = _zip(tmp_path / "many.zip", {f"{i}.txt": b"" for i in range(11)})
    assert _refused(many, settings=IngestSettings(archive_entries_max=10)) == "GC-110"
    tar = tmp_path / "l.tar"
    with tarfile.open(tar, "w") as box:
        link = tarfile.TarInfo("a.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        box.addfile(link)
    assert _refused(tar) == "GC-110"
    data: bytes = _zip(tmp_path / "n0.zip", {"a.csv": b"a,b\n1,2\n"}).read_bytes()
    for depth in range(1, 5):
        data = _zip(tmp_path / f"n{depth}.zip", {"in.zip": data}).read_bytes()
    assert _refused(tmp_path / "n4.zip") == "GC-110"
    locked = bytearray(_zip(tmp_path / "locked.zip", {"a.csv": b"a,b\n1,2\n"}).read_bytes())
    for mark, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(mark) + flag] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    assert _refused(tmp_path / "locked.zip") == "GC-117"
    cut = tmp_path / "cut.zip"
    cut.write_bytes(small.read_bytes()[:-100])
    assert _refused(cut) == "GC-117"


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    path = _zip(tmp_path / "a.zip", _parts(_shapefile(tmp_path / "s")))
    with open_source(path) as source:
        assert list((tmp_path / "tmp").iterdir())
        next(source.batches())
    _refused(_zip(tmp_path / "b.zip", {"a.txt": b"x"}))
    assert list((tmp_path / "tmp").iterdir()) == []


# --- the network, and files that point elsewhere


@pytest.mark.parametrize(
    "path",
    [
        "http://127.0.0.1/a.geojson", "/vsicurl/http://127.0.0.1/a.shp", "/vsizip//vsicurl/http://x/a.zip", "WFS:http://x",
        "PG:host=127.0.0.1", "/nowhere/a.shp", "a\x00b", "\\\\server\\share\\a.shp", "OAPIF:http://x", "s3://b/a.gpkg",
    ],
)  # fmt: skip
def test_only_local_files(path: str) -> None:
    assert _refused(path) == "GC-101"


@pytest.fixture
def listener() -> Iterator[tuple[str, list[bytes]]]:
    """A port of this machine, and what was asked of it."""
    asked: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            asked.append(client.recv(1000))
            client.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
    # A blocked accept is not woken by close alone.
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def test_nothing_is_fetched(tmp_path: Path, listener: tuple[str, list[bytes]]) -> None:
    url, asked = listener
    vrt = (
        f'<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>{url}/a.csv</SrcDataSource></OGRVRTLayer>'
        "</OGRVRTDataSource>"
    )
    for name in ("a.vrt", "a.xml", "a.gml", "a.csv.txt"):
        (tmp_path / name).write_text(vrt)
        assert _refused(tmp_path / name) in ("GC-111", "GC-102"), name
    (tmp_path / "wfs.xml").write_text(f"<OGRWFSDataSource><URL>{url}</URL></OGRWFSDataSource>")
    assert _refused(tmp_path / "wfs.xml") == "GC-111"
    (tmp_path / "p.gdalg.json").write_text(
        f'{{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline read /vsicurl/{url}/a.geojson"}}'
    )
    assert _refused(tmp_path / "p.gdalg.json") == "GC-111"
    gml = (
        '<ogr:FeatureCollection xmlns:ogr="http://ogr.maptools.org/" xmlns:gml="http://www.opengis.net/gml" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'xsi:schemaLocation="http://ogr.maptools.org/ {url}/schema.xsd"><gml:featureMember><ogr:a fid="a.0">'
        "<ogr:geometryProperty><gml:Point><gml:coordinates>115.98,36.45</gml:coordinates></gml:Point>"
        f'</ogr:geometryProperty><ogr:name>甲</ogr:name><ogr:other xlink:href="{url}/x"/></ogr:a></gml:featureMember>'
        "</ogr:FeatureCollection>"
    )
    (tmp_path / "b.gml").write_text(gml, encoding="utf-8")
    table, shapes, _ = _rows(tmp_path / "b.gml")
    assert (table[0]["name"], shapes[0].x) == ("甲", 115.98)
    kml = (
        '<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"<NetworkLink><Link><href>{url}/net.kml</href></Link></NetworkLink>"
        f'<Style id="s"><IconStyle><Icon><href>{url}/i.png</href></Icon></IconStyle></Style>'
        f"<Placemark><styleUrl>{url}/s.kml#x</styleUrl><name>甲</name><Point><coordinates>115.98,36.45</coordinates></Point>"
        "</Placemark></Document></kml>"
    )
    (tmp_path / "c.kml").write_text(kml, encoding="utf-8")
    assert _rows(tmp_path / "c.kml")[0][0]["Name"] == "甲"
    assert asked == []


def test_entities_in_xml_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.kml"
    path.write_text('<!DOCTYPE k [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><kml><name>&b;</name></kml>')
    assert _refused(path) == "GC-111"


# --- text formats


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le"])
def test_geojson_in_any_encoding(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "街道.geojson"
    path.write_bytes(_frame().to_json(ensure_ascii=False).encode(codec))
    table, _, codes = _rows(path)
    assert [r["名称"] for r in table] == NAMES
    assert ("GC-208" in codes) == (not codec.startswith("utf-8"))


def test_kml_that_says_gb2312(tmp_path: Path) -> None:
    path = tmp_path / "a.kml"
    text = (
        '<?xml version="1.0" encoding="GB2312"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark>'
        "<name>光岳楼</name><Point><coordinates>115.98,36.45</coordinates></Point></Placemark></Document></kml>"
    )
    path.write_bytes(text.encode("gbk"))
    assert _rows(path)[0][0]["Name"] == "光岳楼"


@pytest.mark.parametrize("suffix", ["geojson", "kml", "gpx", "gml", "json"])
def test_cut_text_files_are_refused(tmp_path: Path, suffix: str) -> None:
    point = "<Placemark><name>甲</name><Point><coordinates>115.98,36.45</coordinates></Point></Placemark>"
    whole = {
        "kml": f'<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{point * 9}</Document></kml>',
        "gpx": '<gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1">'
        + '<wpt lat="36.45" lon="115.98"><name>甲</name></wpt>' * 9
        + "</gpx>",
    }.get(suffix)
    if suffix == "gml":
        _frame().rename(columns={"代码": "code", "名称": "name"}).to_file(tmp_path / "w.gml", engine="pyogrio")
        whole = (tmp_path / "w.gml").read_text(encoding="utf-8")
    if whole is None:
        whole = _frame().to_json(ensure_ascii=False)
    path = tmp_path / f"a.{suffix}"
    path.write_text(whole[: int(len(whole) * 0.7)], encoding="utf-8")
    assert _refused(path) == "GC-105"


@pytest.mark.parametrize("mark", ["", "\x1e"], ids=["newlines", "record-separators"])
def test_json_lines_are_all_read(tmp_path: Path, mark: str) -> None:
    frame = _frame()
    lines = [mark + frame.iloc[[i]].to_json(ensure_ascii=False, na="keep", drop_id=True) for i in range(6)]
    features = [line.split('"features": [', 1)[1].rsplit("]", 1)[0] for line in lines]
    path = tmp_path / "a.json"
    path.write_text("".join(f"{mark}{f}\n" for f in features), encoding="utf-8")
    assert [r["名称"] for r in _rows(path)[0]] == NAMES


def test_pointers_of_any_suffix_empty_files_and_documents(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 123456\n"
    cases = {
        "a.geojson": (pointer.encode(), "GC-103"), "b.gpkg": (pointer.encode(), "GC-103"), "c.gpkg": (b"", "GC-107"),
        "d.pdf": (b"%PDF-1.7", "GC-102"), "e.gpkg": (b"SQLite format 3\x00" + bytes(2000), "GC-102"),
        "f.dwg": (b"AC1032" + bytes(99), "GC-109"), "g.bin": (b"AC1027" + bytes(99), "GC-109"),
        "h.pbf": (b"\x00\x00\x00\x0d\x0a\x09OSMHeader", "GC-113"), "i.osm": (b"<osm version='0.6'/>", "GC-113"),
        "j.geojson": (b"hello", "GC-105"), "k.parquet": (b"PAR1" + bytes(20), "GC-105"),
        "l.xyz": (b"\x01\x02" * 99, "GC-102"), "m.txt": (b"only words here\nand there\n", "GC-102"),
        "n.prj": (b"GEOGCS[]", "GC-104"), "o.rar": (b"Rar!", "GC-102"),
    }  # fmt: skip
    for name, (data, rule) in cases.items():
        (tmp_path / name).write_bytes(data)
        assert _refused(tmp_path / name) == rule, name


def test_too_large_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as stream:
        stream.write(b"a,b\n1,2\n")
        os.ftruncate(stream.fileno(), 3 << 20)
    assert _refused(path, settings=IngestSettings(max_upload_mb=2)) == "GC-112"


# --- layers


def test_layers_of_a_geopackage(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    _frame().to_file(path, layer="甲", engine="pyogrio")
    _frame().iloc[:0].to_file(path, layer="空", engine="pyogrio")
    table, shapes, codes = _rows(path)
    _same(table, shapes)
    assert "GC-115" in codes
    _frame().to_file(path, layer="乙", engine="pyogrio")
    assert _refused(path) == "GC-108"
    _same(*_rows(path, layer="乙")[:2])
    assert _refused(path, layer="丙") == "GC-114"
    table, shapes, _ = _rows(path, layer="空")
    assert (table, shapes) == ([], [])


def test_a_table_with_coordinate_columns_in_a_geopackage(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    frame = _frame().drop(columns="geometry").assign(经度=[s.centroid.x for s in SHAPES], 纬度=36.405)
    frame["geometry"] = None
    import pyogrio

    pyogrio.write_dataframe(frame.drop(columns="geometry"), path, layer="t")
    with open_source(path) as source:
        batch = next(source.batches())
        assert source.coordinate_columns == ("经度", "纬度")
        assert batch.geometry is not None
        assert np.allclose(shapely.get_x(batch.geometry), [s.centroid.x for s in SHAPES])


@pytest.mark.parametrize(
    "name", ["a b.gpkg", "!a.gpkg", "a!b|c.gpkg", "街道 [1].gpkg", "a'b\"c.gpkg", "a?b*.gpkg", "%20.gpkg"]
)
def test_odd_file_names(tmp_path: Path, name: str) -> None:
    plain = tmp_path / "plain.gpkg"
    _frame().to_file(plain, engine="pyogrio")
    plain.rename(tmp_path / name)
    _same(*_rows(tmp_path / name)[:2])
    shapefile = _shapefile(tmp_path / "s", name.removesuffix(".gpkg").replace("?", "_").replace("*", "_"))
    _same(*_rows(shapefile)[:2])


def test_named_encoding_overrules(tmp_path: Path) -> None:
    path = _shapefile(tmp_path)
    table, _, codes = _rows(path, encoding="latin-1")
    assert table[0]["\xb4\xfa\xc2\xeb"] == "000"
    assert "GC-210" in codes
    assert _refused(path, encoding="no-such") == "GC-209"


def test_dxf_text_in_gbk(tmp_path: Path) -> None:
    text = "\n".join(
        [
            "0",
            "SECTION",
            "2",
            "HEADER",
            "9",
            "$ACADVER",
            "1",
            "AC1015",
            "9",
            "$DWGCODEPAGE",
            "3",
            "ANSI_936",
            "0",
            "ENDSEC",
        ]
        + ["0", "SECTION", "2", "ENTITIES", "0", "TEXT", "8", "注记", "10", "408653.6", "20", "4036624.6", "40", "2"]
        + ["1", "东昌湖", "0", "ENDSEC", "0", "EOF", ""]
    )
    path = tmp_path / "a.dxf"
    path.write_bytes(text.encode("gbk"))
    table, shapes, _ = _rows(path)
    assert (table[0]["Layer"], table[0]["Text"], shapes[0].x) == ("注记", "东昌湖", 408653.6)
    whole = text.encode("gbk")
    for broken in (whole.replace(b"EOF\n", b""), whole.replace(b"TEXT", bytes(4)), whole[: len(whole) // 2]):
        path.write_bytes(broken)
        assert _refused(path) == "GC-105"
    path.write_bytes(b"AutoCAD Binary DXF\r\n\x1a\x00" + bytes(99))
    assert _refused(path) == "GC-102"
