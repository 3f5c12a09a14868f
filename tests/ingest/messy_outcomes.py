# SPDX-License-Identifier: Apache-2.0
"""What becomes of every messy file: loaded, loaded once the coordinate system is named, or refused by number.

Data for tests: of the readers and the CRS doctor here, of the load into the database elsewhere. Run as a
program it prints the table as Markdown.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["OUTCOMES", "Outcome", "Truth", "files_of", "markdown"]

COUNTIES = "liaocheng/admin_county_tianditu.geojson"
AMAP = "liaocheng/admin_county_amap_wgs84.geojson"
TOWNSHIPS = "liaocheng/admin_township_points.geojson"


@dataclass(frozen=True)
class Truth:
    """The layer a file was derived from, and how they are compared.

    `key` and `name` are the file's fields (None: compared in order, without text), `true_key` and
    `true_name` those of the truth. `degrees` is the largest allowed difference of any vertex, in order.
    """

    path: str
    key: str | None
    name: str | None
    degrees: float
    true_key: str = "adcode"
    true_name: str = "name"
    # Where the truth's own name is missing.
    else_name: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What becomes of one file (with `layer`: of one layer of it).

    `parts` are the other files of the data set, by name. `result`: `loads`; `asks`, which is refused as GC-311
    and loads with `--crs named`; `refused` with `rule`. `rejected` rows have an error and are set aside.
    `codes` are findings that must be there.
    """

    path: str
    result: Literal["loads", "asks", "refused"]
    why: str
    rule: str | None = None
    count: int | None = None
    rejected: int = 0
    crs: str | None = None
    exchanged: bool = False
    encoding: str | None = None
    codes: tuple[str, ...] = ()
    named: str | None = None
    layer: str | None = None
    parts: tuple[str, ...] = ()
    truth: Truth | None = None

    @property
    def id(self) -> str:
        """A name for the test."""
        return self.path + (f"[{self.layer}]" if self.layer else "")


def _shp(*suffixes: str) -> tuple[str, ...]:
    return tuple(f".{s}" for s in suffixes)


def _county(key: str | None, name: str | None, degrees: float, path: str = COUNTIES) -> Truth:
    return Truth(path, key, name, degrees)


def _refused(path: str, rule: str, why: str, parts: tuple[str, ...] = ()) -> Outcome:
    return Outcome(path, "refused", why, rule=rule, parts=parts)


def _far(path: str, count: int, why: str, crs: str = "EPSG:4326", **more: object) -> Outcome:
    """Sound, but not of this city."""
    return Outcome(path, "loads", why, count=count, crs=crs, codes=("GC-309", *more.pop("codes", ())), **more)  # type: ignore[misc, arg-type]


def _asks(path: str, count: int, why: str, **more: object) -> Outcome:
    more.setdefault("named", "EPSG:4326")
    return Outcome(path, "asks", why, rule="GC-311", count=count, **more)  # type: ignore[arg-type]


_DERIVED = "derived_from_real"
_ALL = _shp("cpg", "dbf", "prj", "shx")
_BOSTON = ("customgeometryname", "gzip", "lz4hadoop", "lz4raw", "none", "snappy", "zstd")

OUTCOMES: tuple[Outcome, ...] = (
    _refused("SOURCES.md", "GC-102", "a document"),
    Outcome(
        "china_bou2_4p/bou2_4p.shp", "loads", "GBK without .cpg, no .prj; the whole country", count=925,
        crs="EPSG:4490", encoding="GB18030", codes=("GC-203", "GC-302", "GC-313"), parts=_shp("dbf", "shx"),
    ),
    Outcome(
        "csv/NewSiteList_gb18030.csv", "loads", "GB18030, 经度/纬度, ten stations without position", count=2026,
        rejected=10, crs="EPSG:4490", encoding="GB18030", codes=("GC-121", "GC-124", "GC-203", "GC-302"),
    ),
    Outcome(
        "csv/china_sites_20140604_wide.csv", "loads", "a table of 949 columns without positions, one name twice",
        count=360, encoding="UTF-8", codes=("GC-119", "GC-130"),
    ),
    _refused(
        "ctamap_lfs_pointer/2013年地级/2013年地级.shp", "GC-103", "Git LFS pointer for a .shp",
        (*_ALL, ".sbn", ".sbx", ".shp.xml"),
    ),
    _refused(
        "ctamap_lfs_pointer/国界/国家矢量.shp", "GC-103", "Git LFS pointer for a .shp",
        (*_ALL, ".sbn", ".sbx", ".shp.xml"),
    ),
    # Made from the county and township layers of the city.
    Outcome(
        f"{_DERIVED}/axis_swapped.geojson", "loads", "latitude before longitude", count=8, crs="EPSG:4326",
        exchanged=True, encoding="UTF-8", codes=("GC-304",), truth=_county("adcode", "name", 1e-9),
    ),
    Outcome(
        f"{_DERIVED}/cgcs2000_gk_cm117_4548/县界_4548.shp", "loads", "Gauss-Krueger without zone prefix", count=8,
        crs="EPSG:4548", encoding="GB18030", codes=("GC-301", "GC-308", "GC-310"), parts=_ALL,
        truth=_county("区划代码", "名称", 1e-8),
    ),
    Outcome(
        f"{_DERIVED}/cgcs2000_gk_zone39_4527/县界_4527.shp", "loads", "Gauss-Krueger with zone prefix", count=8,
        crs="EPSG:4527", encoding="GB18030", codes=("GC-301", "GC-308", "GC-310"), parts=_ALL,
        truth=_county("区划代码", "名称", 1e-8),
    ),
    Outcome(
        f"{_DERIVED}/counties.gdb", "loads", "FileGDB", count=8, crs="EPSG:4326", codes=("GC-301",),
        truth=_county("区划代码", "名称", 2e-9),
    ),
    Outcome(
        f"{_DERIVED}/counties.kml", "loads", "KML", count=8, crs="EPSG:4326", encoding="UTF-8", codes=("GC-301",),
        truth=_county("adcode", "Name", 1e-9),
    ),
    Outcome(
        f"{_DERIVED}/counties.tab", "loads", "MapInfo, GBK under charset Neutral, field names damaged by the writer",
        count=8, crs="EPSG:4326", encoding="GB18030", codes=("GC-203", "GC-207"), parts=_shp("dat", "id", "map"),
        truth=_county("区___\ufffd\ufffd", "名_\ufffd", 1e-6),
    ),
    Outcome(
        f"{_DERIVED}/counties_4490.gpkg", "loads", "GeoPackage with Chinese layer and field names", count=8,
        crs="EPSG:4490", codes=("GC-301",), truth=_county("区划代码", "名称", 1e-12),
    ),
    Outcome(
        f"{_DERIVED}/counties_4548.dxf", "loads", "drawing in metres without system or attributes", count=8,
        crs="EPSG:4548", codes=("GC-302", "GC-317"), truth=_county(None, None, 1e-8),
    ),
    Outcome(
        f"{_DERIVED}/gbk_no_cpg/县界.shp", "loads", "GBK, no .cpg, language byte 0", count=8, crs="EPSG:4326",
        encoding="GB18030", codes=("GC-203",), parts=_shp("dbf", "prj", "shx"),
        truth=_county("区划代码", "名称", 1e-12),
    ),
    Outcome(
        f"{_DERIVED}/gbk_with_cpg/县界.shp", "loads", "GB18030 with .cpg", count=8, crs="EPSG:4326", encoding="GB18030",
        codes=("GC-201",), parts=_ALL, truth=_county("区划代码", "名称", 1e-12),
    ),
    Outcome(
        f"{_DERIVED}/gcj02_labelled_4326.gpkg", "loads", "GCJ-02 labelled EPSG:4326", count=8, crs="GCJ-02",
        codes=("GC-306",), truth=_county("adcode", "name", 1e-6, AMAP),
    ),
    Outcome(
        f"{_DERIVED}/invalid_mixed.geojson", "loads", "self-crossing, doubled vertices, mixed types, empty, NULL",
        count=6, crs="EPSG:4326", encoding="UTF-8", codes=("GC-401", "GC-403", "GC-405"),
    ),
    Outcome(
        f"{_DERIVED}/prj_lie_4326_on_4548/县界.shp", "loads", "metres under a WGS 84 .prj, name cut at 10 bytes",
        count=8, crs="EPSG:4548", encoding="UTF-8", codes=("GC-204", "GC-303", "GC-317"), parts=_ALL,
        truth=_county("区划代", "名称", 1e-8),
    ),
    Outcome(
        f"{_DERIVED}/townships_gb18030.csv", "loads", "GB18030; a word for a number, a swapped and a blank position",
        count=109, rejected=2, crs="EPSG:4490", encoding="GB18030", codes=("GC-120", "GC-121", "GC-122", "GC-302"),
        truth=Truth(TOWNSHIPS, None, "乡镇名称", 1e-9, true_name="name_2023", else_name="name_2016"),
    ),
    Outcome(
        f"{_DERIVED}/townships_utf8_bom_semicolon.csv", "loads", "the same in UTF-8 with a mark and semicolons",
        count=109, rejected=2, crs="EPSG:4490", encoding="UTF-8", codes=("GC-120", "GC-121", "GC-122", "GC-302"),
        truth=Truth(TOWNSHIPS, None, "乡镇名称", 1e-9, true_name="name_2023", else_name="name_2016"),
    ),
    _refused(f"{_DERIVED}/truncated.geojson", "GC-105", "cut off at two thirds"),
    Outcome(
        f"{_DERIVED}/utf16.geojson", "loads", "UTF-16 with a mark", count=8, crs="EPSG:4326", encoding="UTF-16",
        codes=("GC-208",), truth=_county("adcode", "name", 1e-12),
    ),
    Outcome(
        f"{_DERIVED}/utf8_bytes_gbk_cpg_lie/县界.shp", "loads", "UTF-8 under a GBK .cpg, name cut at 10 bytes", count=8,
        crs="EPSG:4326", encoding="UTF-8", codes=("GC-202", "GC-204"), parts=_ALL,
        truth=_county("区划代", "名称", 1e-12),
    ),
    Outcome(
        f"{_DERIVED}/zone39_no_prj/县界.shp", "loads", "eight-digit eastings, no .prj", count=8, crs="EPSG:4527",
        encoding="GB18030", codes=("GC-302", "GC-313"), parts=_shp("cpg", "dbf", "shx"),
        truth=_county("区划代码", "名称", 1e-8),
    ),
    # Drawings.
    *(
        _refused(f"dwg_dxf/{name}.dwg", "GC-109", "DWG")
        for name in (
            "2000/entities-2d", "2004/HatchG", "2018/Polyline", "2018/Text", "r1.4/entities", "r14/v", "sample_2000",
            "sample_2018",
        )
    ),
    _asks("dwg_dxf/2000/entities-2d.dxf", 19, "drawing around the origin, no system"),
    _asks("dwg_dxf/2000/entities-3d.dxf", 20, "drawing around the origin, no system", codes=("GC-129",)),
    _asks("dwg_dxf/r10/entities.dxf", 22, "drawing around the origin, no system", codes=("GC-129",)),
    _asks("dwg_dxf/r12/Leader.dxf", 6, "drawing around the origin, no system"),
    _asks("dwg_dxf/sample_r14.dxf", 6, "drawing of some hundred units, no system", named="EPSG:4548"),
    _far("fiona/!test.geojson", 1, "`!` in the name; Grenada", encoding="UTF-8"),
    _refused("fiona/LICENSE.txt", "GC-102", "a text without columns"),
    _far("fiona/coutwildrnp.zip", 67, "zipped shapefile of Colorado and Utah", encoding="UTF-8"),
    _asks("fiona/curves_line.csv", 9, "curves as WKT, no system", encoding="UTF-8", codes=("GC-126",)),
    _asks("fiona/example.topojson", 3, "TopoJSON, no system", encoding="UTF-8"),
    _far("fiona/gre.shp", 1, "Grenada in many languages", encoding="UTF-8", parts=_ALL),
    _far("fiona/grenada.geojson", 1, "Grenada in many languages", encoding="UTF-8"),
    _far("fiona/issue627.geojson", 3, "fields of changing type", encoding="UTF-8"),
    _asks("fiona/multicurve.gml", 1, "curves, no srsName", encoding="UTF-8", codes=("GC-126",), parts=(".xsd",)),
    _far("fiona/rmnp.geojson", 1, "Rocky Mountain park", encoding="UTF-8"),
    _refused("fiona/test_gpx.gpx", "GC-108", "two layers with rows"),
    _far("fiona/test_gpx.gpx", 19, "one layer of several", layer="track_points", encoding="UTF-8"),
    _asks("fiona/test_tin.csv", 3, "TIN and triangle as WKT, no system", encoding="UTF-8"),
    _asks("fiona/test_tin.shp", 1, "MultiPatch, no .prj", encoding="CP1252", parts=_shp("dbf", "shx")),
    _far("fiona/test_tz.geojson", 1, "time with a zone", encoding="UTF-8"),
    _refused("fiona/testopenfilegdb.gdb.zip", "GC-108", "37 layers"),
    _far("fiona/testopenfilegdb.gdb.zip", 5, "one layer of 37", layer="polygon"),
    _far("fiona/trio.geojson", 3, "mixed geometry types", encoding="UTF-8"),
    _far("fiona/trio.seq", 3, "one feature a line without record separators", encoding="UTF-8"),
    Outcome(
        "planetiler/empty-geom.gpkg", "loads", "an empty geometry and no fields", count=1, crs="EPSG:4326",
        codes=("GC-401",),
    ),
    _far("planetiler/geopackage-unindexed.gpkg", 86, "without spatial index"),
    _far("planetiler/geopackage.gpkg", 86, "Washington's stations"),
    _asks("planetiler/parquet/all_data_types.parquet", 1, "nested types, WKB without geo metadata", codes=("GC-131",)),
    *(
        _far(f"planetiler/parquet/boston.{name}.parquet", 3, "GeoParquet 1.0", "OGC:CRS84", codes=("GC-131",))
        for name in _BOSTON
    ),
    _far("planetiler/parquet/boston.geoarrow_from_gdal.parquet", 3, "GeoParquet 1.1, native encoding", "OGC:CRS84"),
    _far("planetiler/parquet/boston.parquet", 3, "GeoParquet 1.0, two types", "OGC:CRS84", codes=("GC-131",)),
    _far("planetiler/water-polygons-split-3857.zip", 7, "Web Mercator", "EPSG:3857", encoding="CP1252",
         codes=("GC-310",)),
    _refused("pyogrio/README.md", "GC-102", "a document"),
    _far("pyogrio/curve.gpkg", 1, "a compound curve", codes=("GC-126",)),
    _far("pyogrio/curvepolygon.gpkg", 1, "a curve polygon", codes=("GC-126",)),
    _far("pyogrio/line_zm.gpkg", 1, "heights and measures", codes=("GC-136",)),
    _asks("pyogrio/list_field_values_file.parquet", 5, "lists, WKB without geo metadata", codes=("GC-131",)),
    _asks("pyogrio/list_nested_struct_file.parquet", 3, "structs, WKB without geo metadata", codes=("GC-131",)),
    _far("pyogrio/multisurface.gpkg", 1, "a multi-surface", codes=("GC-126",)),
    _refused("pyogrio/sample.osm.pbf", "GC-113", "OpenStreetMap data"),
    _far("pyogrio/test_gpkg_nulls.gpkg", 4, "NULL in every type"),
    _refused("pyshp/ATTRIBUTION", "GC-102", "a text without columns"),
    _far("pyshp/REL.zip", 1, "shapefile in a folder of a zip; Austrian Lambert", "EPSG:31287", encoding="UTF-8"),
    _asks("pyshp/blockgroups.zip", 663, "zipped shapefile without .prj", encoding="CP1252"),
    _refused("pyshp/blockgroups_multishapefile.zip", "GC-108", "two shapefiles in a zip"),
    _asks("pyshp/blockgroups_multishapefile.zip", 663, "one of two shapefiles", layer="blockgroups2",
          encoding="CP1252"),
    _asks(
        "pyshp/corrupt_too_long.shp", 10, "a byte more than the header says, no .prj", encoding="UTF-8",
        codes=("GC-137",), parts=_shp("dbf", "shx"),
    ),
    _refused("pyshp/empty_zipfile.zip", "GC-116", "nothing but an empty text"),
    _asks("pyshp/latin1.shp", 1, "no .shx, no .prj, Latin-1", encoding="CP1252", codes=("GC-118", "GC-203"),
          parts=(".dbf",)),
)  # fmt: skip


def files_of(outcome: Outcome, root: Path) -> set[Path]:
    """The files on disk that an outcome speaks for."""
    path = root / outcome.path
    if path.is_dir():
        return {p for p in path.rglob("*") if p.is_file()}
    return {path, *(path.with_name(path.stem + part) for part in outcome.parts)}


def markdown() -> str:
    """The table of outcomes."""
    lines = ["| file | oddity | outcome | rows | CRS | encoding | said |", "|---|---|---|--:|---|---|---|"]
    for one in OUTCOMES:
        result = {"loads": "loads", "asks": f"GC-311, loads with --crs {one.named}", "refused": f"refused {one.rule}"}
        rows = "" if one.count is None else f"{one.count}" + (f" ({one.rejected} set aside)" if one.rejected else "")
        system = (one.crs or "") + (" (y, x)" if one.exchanged else "")
        said = ", ".join(one.codes)
        name = one.id.replace("|", "\\|") + (f" (+{len(one.parts)})" if one.parts else "")
        lines.append(
            f"| {name} | {one.why} | {result[one.result]} | {rows} | {system} | {one.encoding or ''} | {said} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
