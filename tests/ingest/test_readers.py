# SPDX-License-Identifier: Apache-2.0
"""open_source: what is damaged is refused by number, and nothing goes over the network."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import shapely

from geocloud.ingest.readers import open_source
from geocloud.settings import IngestSettings
from tests.ingest.streets import NAMES, SHAPES, is_same, read_rows, refused, street_frame, street_shapefile

# --- shapefiles


@pytest.mark.parametrize("encoding", ["GBK", "UTF-8"])
def test_shapefile_in_batches_and_twice(tmp_path: Path, encoding: str) -> None:
    path = street_shapefile(tmp_path, encoding=encoding)
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
    path = street_shapefile(tmp_path)
    path.with_suffix(missing).unlink()
    if rule is not None:
        others = [p for p in tmp_path.iterdir() if p.suffix in (".shp", ".dbf", ".shx")]
        assert {refused(p) for p in others} == {rule}
        return
    table, shapes, codes = read_rows(path)
    is_same(table, shapes)
    assert ("GC-118" in codes) == (missing == ".shx")
    assert ("GC-203" in codes) == (missing == ".cpg")


def test_a_prj_that_is_none_counts_as_missing(tmp_path: Path) -> None:
    path = street_shapefile(tmp_path)
    path.with_suffix(".prj").write_bytes(b"GEOGCS[\x00\xff nonsense")
    with open_source(path) as source:
        assert source.crs is None
    table, shapes, codes = read_rows(path)
    is_same(table, shapes)
    assert "GC-318" in codes


def test_upper_case_parts(tmp_path: Path) -> None:
    for part in street_shapefile(tmp_path).parent.iterdir():
        part.rename(part.with_name("JD" + part.suffix.upper()))
    is_same(*read_rows(tmp_path / "JD.SHP")[:2])


def test_cut_and_contradicting_shapefiles(tmp_path: Path) -> None:
    path = street_shapefile(tmp_path / "a")
    path.write_bytes(path.read_bytes()[:-60])
    assert refused(path) == "GC-106"
    # Without an index the cut is found by walking the records.
    path.with_suffix(".shx").unlink()
    assert refused(path) == "GC-106"
    path = street_shapefile(tmp_path / "b")
    raw = bytearray(path.read_bytes())
    struct.pack_into(">i", raw, 104, 12)
    path.write_bytes(raw)
    assert refused(path) == "GC-106"
    path = street_shapefile(tmp_path / "c")
    dbf = path.with_suffix(".dbf")
    dbf.write_bytes(dbf.read_bytes()[:-400])
    assert refused(path) == "GC-106"
    path = street_shapefile(tmp_path / "d")
    other = street_shapefile(tmp_path / "e")
    street_frame().iloc[:4].to_file(other, encoding="GBK", engine="pyogrio")
    shutil.copy(other.with_suffix(".dbf"), path.with_suffix(".dbf"))
    assert refused(path) == "GC-106"


def test_deleted_records_are_told(tmp_path: Path) -> None:
    path = street_shapefile(tmp_path)
    dbf = path.with_suffix(".dbf")
    raw = bytearray(dbf.read_bytes())
    head, width = struct.unpack("<HH", raw[8:12])
    raw[head + 2 * width] = 0x2A
    dbf.write_bytes(raw)
    table, _, codes = read_rows(path)
    assert [r["名称"] for r in table] == NAMES[:2] + NAMES[3:]
    assert "GC-133" in codes
    assert "GC-132" not in codes


def test_texts_cut_at_their_width(tmp_path: Path) -> None:
    path = street_shapefile(tmp_path, encoding="UTF-8")
    dbf = path.with_suffix(".dbf")
    raw = dbf.read_bytes()
    whole = "道口铺街道".encode()
    dbf.write_bytes(raw.replace(whole, whole[:-1] + b" "))
    table, _, codes = read_rows(path)
    assert table[4]["名称"] == "道口铺街"
    assert "GC-206" in codes


@pytest.mark.parametrize(
    "path",
    [
        "http://127.0.0.1/a.geojson", "/vsicurl/http://127.0.0.1/a.shp", "/vsizip//vsicurl/http://x/a.zip", "WFS:http://x",
        "PG:host=127.0.0.1", "/nowhere/a.shp", "a\x00b", "\\\\server\\share\\a.shp", "OAPIF:http://x", "s3://b/a.gpkg",
    ],
)  # fmt: skip
def test_only_local_files(path: str) -> None:
    assert refused(path) == "GC-101"


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
        assert refused(tmp_path / name) in ("GC-111", "GC-102"), name
    (tmp_path / "wfs.xml").write_text(f"<OGRWFSDataSource><URL>{url}</URL></OGRWFSDataSource>")
    assert refused(tmp_path / "wfs.xml") == "GC-111"
    (tmp_path / "p.gdalg.json").write_text(
        f'{{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline read /vsicurl/{url}/a.geojson"}}'
    )
    assert refused(tmp_path / "p.gdalg.json") == "GC-111"
    gml = (
        '<ogr:FeatureCollection xmlns:ogr="http://ogr.maptools.org/" xmlns:gml="http://www.opengis.net/gml" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'xsi:schemaLocation="http://ogr.maptools.org/ {url}/schema.xsd"><gml:featureMember><ogr:a fid="a.0">'
        "<ogr:geometryProperty><gml:Point><gml:coordinates>115.98,36.45</gml:coordinates></gml:Point>"
        f'</ogr:geometryProperty><ogr:name>甲</ogr:name><ogr:other xlink:href="{url}/x"/></ogr:a></gml:featureMember>'
        "</ogr:FeatureCollection>"
    )
    (tmp_path / "b.gml").write_text(gml, encoding="utf-8")
    table, shapes, _ = read_rows(tmp_path / "b.gml")
    assert (table[0]["name"], shapes[0].x) == ("甲", 115.98)
    kml = (
        '<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"<NetworkLink><Link><href>{url}/net.kml</href></Link></NetworkLink>"
        f'<Style id="s"><IconStyle><Icon><href>{url}/i.png</href></Icon></IconStyle></Style>'
        f"<Placemark><styleUrl>{url}/s.kml#x</styleUrl><name>甲</name><Point><coordinates>115.98,36.45</coordinates></Point>"
        "</Placemark></Document></kml>"
    )
    (tmp_path / "c.kml").write_text(kml, encoding="utf-8")
    assert read_rows(tmp_path / "c.kml")[0][0]["Name"] == "甲"
    assert asked == []


def test_entities_in_xml_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.kml"
    path.write_text('<!DOCTYPE k [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><kml><name>&b;</name></kml>')
    assert refused(path) == "GC-111"


# --- text formats


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le"])
def test_geojson_in_any_encoding(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "街道.geojson"
    path.write_bytes(street_frame().to_json(ensure_ascii=False).encode(codec))
    table, _, codes = read_rows(path)
    assert [r["名称"] for r in table] == NAMES
    assert ("GC-208" in codes) == (not codec.startswith("utf-8"))


def test_kml_that_says_gb2312(tmp_path: Path) -> None:
    path = tmp_path / "a.kml"
    text = (
        '<?xml version="1.0" encoding="GB2312"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark>'
        "<name>光岳楼</name><Point><coordinates>115.98,36.45</coordinates></Point></Placemark></Document></kml>"
    )
    path.write_bytes(text.encode("gbk"))
    assert read_rows(path)[0][0]["Name"] == "光岳楼"


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
        street_frame().rename(columns={"代码": "code", "名称": "name"}).to_file(tmp_path / "w.gml", engine="pyogrio")
        whole = (tmp_path / "w.gml").read_text(encoding="utf-8")
    if whole is None:
        whole = street_frame().to_json(ensure_ascii=False)
    path = tmp_path / f"a.{suffix}"
    path.write_text(whole[: int(len(whole) * 0.7)], encoding="utf-8")
    assert refused(path) == "GC-105"


@pytest.mark.parametrize("mark", ["", "\x1e"], ids=["newlines", "record-separators"])
def test_json_lines_are_all_read(tmp_path: Path, mark: str) -> None:
    frame = street_frame()
    lines = [mark + frame.iloc[[i]].to_json(ensure_ascii=False, na="keep", drop_id=True) for i in range(6)]
    features = [line.split('"features": [', 1)[1].rsplit("]", 1)[0] for line in lines]
    path = tmp_path / "a.json"
    path.write_text("".join(f"{mark}{f}\n" for f in features), encoding="utf-8")
    assert [r["名称"] for r in read_rows(path)[0]] == NAMES


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
        assert refused(tmp_path / name) == rule, name


def test_too_large_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as stream:
        stream.write(b"a,b\n1,2\n")
        os.ftruncate(stream.fileno(), 3 << 20)
    assert refused(path, settings=IngestSettings(max_upload_mb=2)) == "GC-112"


# --- layers


def test_layers_of_a_geopackage(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    street_frame().to_file(path, layer="甲", engine="pyogrio")
    street_frame().iloc[:0].to_file(path, layer="空", engine="pyogrio")
    table, shapes, codes = read_rows(path)
    is_same(table, shapes)
    assert "GC-115" in codes
    street_frame().to_file(path, layer="乙", engine="pyogrio")
    assert refused(path) == "GC-108"
    is_same(*read_rows(path, layer="乙")[:2])
    assert refused(path, layer="丙") == "GC-114"
    table, shapes, _ = read_rows(path, layer="空")
    assert (table, shapes) == ([], [])


def test_a_table_with_coordinate_columns_in_a_geopackage(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    frame = street_frame().drop(columns="geometry").assign(经度=[s.centroid.x for s in SHAPES], 纬度=36.405)
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
    street_frame().to_file(plain, engine="pyogrio")
    plain.rename(tmp_path / name)
    is_same(*read_rows(tmp_path / name)[:2])
    shapefile = street_shapefile(tmp_path / "s", name.removesuffix(".gpkg").replace("?", "_").replace("*", "_"))
    is_same(*read_rows(shapefile)[:2])


def test_named_encoding_overrules(tmp_path: Path) -> None:
    path = street_shapefile(tmp_path)
    table, _, codes = read_rows(path, encoding="latin-1")
    assert table[0]["\xb4\xfa\xc2\xeb"] == "000"
    assert "GC-210" in codes
    assert refused(path, encoding="no-such") == "GC-209"


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
    table, shapes, _ = read_rows(path)
    assert (table[0]["Layer"], table[0]["Text"], shapes[0].x) == ("注记", "东昌湖", 408653.6)
    whole = text.encode("gbk")
    for broken in (whole.replace(b"EOF\n", b""), whole.replace(b"TEXT", bytes(4)), whole[: len(whole) // 2]):
        path.write_bytes(broken)
        assert refused(path) == "GC-105"
    path.write_bytes(b"AutoCAD Binary DXF\r\n\x1a\x00" + bytes(99))
    assert refused(path) == "GC-102"
