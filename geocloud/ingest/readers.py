# SPDX-License-Identifier: Apache-2.0
"""Open any file a bureau delivers, or say with a number why not.

    with open_source(path) as source:
        for batch in source.batches(50_000): ...

Everything pyogrio's GDAL reads, CSV and XLSX with coordinate columns, Parquet, and zip, KMZ, tar and
gzip around them. Only files of this machine: network addresses, and files that point elsewhere, are refused.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.parsers import expat

import pyproj
from pyproj.exceptions import CRSError

from geocloud.ingest.archive import is_archive, unpack
from geocloud.ingest.encoding import Encoding, decide, decode, normalised, rewrite_as_utf8, sample_text
from geocloud.ingest.gdal import GdalSource, choose_layer, harden
from geocloud.ingest.parquet import ParquetSource
from geocloud.ingest.report import Finding, refuse
from geocloud.ingest.shapefile import dbf_texts, inspect, lfs_pointer, sibling
from geocloud.ingest.source import Batch, Source, SourceField, Workspace
from geocloud.ingest.tables import CsvSource, XlsxSource, looks_like_table
from geocloud.settings import IngestSettings

__all__ = ["Batch", "Source", "SourceField", "open_source"]

_HEAD = 64 * 1024
_DEPTH = 3
# Parts of a data set by the suffix of its main file, for a person who names a part.
_MAIN = {
    ".shx": ".shp", ".prj": ".shp", ".cpg": ".shp", ".sbn": ".shp", ".sbx": ".shp", ".qix": ".shp", ".dbf": ".shp",
    ".map": ".tab", ".id": ".tab", ".ind": ".tab", ".dat": ".tab", ".mid": ".mif", ".xsd": ".gml", ".gfs": ".gml",
}  # fmt: skip
_TABLES = (".csv", ".tsv", ".psv", ".txt")
_JSON = (".geojson", ".json", ".topojson", ".geojsonl", ".geojsons", ".ndjson", ".jsonl", ".seq")
_XML = (".kml", ".gml", ".gpx", ".xml")
_NEVER = (".md", ".pdf", ".doc", ".docx", ".ppt", ".pptx", ".html", ".htm", ".py", ".exe", ".rar", ".7z", ".osc")
_REFERENCES = (
    (b"<OGRVRTDataSource", "VRT"), (b"<VRTDataset", "VRT"), (b"<OGRWFSDataSource", "WFS"), (b"<GDAL_WMS", "WMS"),
    (b"<OGRCSWDataSource", "CSW"), (b"<WFS_Capabilities", "WFS"), (b"<WMT_MS_Capabilities", "WMS"),
    (b"gdal_streamed_alg", "GDALG"), (b"[InternetShortcut]", "URL"),
)  # fmt: skip
_DWG = re.compile(rb"^(AC1[.0-9][0-9]{1,2}|AC2\.[0-9]{2}|AC10[0-9]{2}|MC0\.0)")
_DWG_NAMES = {
    "AC1.2": "R1.2", "AC1.40": "R1.4", "AC1.50": "R2.05", "AC2.10": "R2.10", "AC1009": "R11", "AC1012": "R13",
    "AC1014": "R14", "AC1015": "2000", "AC1018": "2004", "AC1021": "2007", "AC1024": "2010", "AC1027": "2013",
    "AC1032": "2018",
}  # fmt: skip
_CANDIDATES = (
    ".shp", ".gpkg", ".fgb", ".parquet", ".geoparquet", ".tab", ".mif", ".dxf", ".dwg", ".xlsx", ".xlsm", ".ods",
    ".csv", ".tsv", ".sqlite", ".gpx", ".kml", ".gml", ".pbf", ".osm", ".dgn", ".e00", *_JSON,
)  # fmt: skip


def open_source(
    path: str | Path,
    *,
    layer: str | None = None,
    encoding: str | None = None,
    settings: IngestSettings | None = None,
) -> Source:
    """One layer of a file or folder, ready to be read; close it, or use it as a context manager.

    `layer` is the layer within the file, the sheet of a workbook, or the data set within an archive (with
    a slash the layer in it: `plans.gdb/redline`). `encoding` overrules what the file says and shows.
    Raises UnreadableFile; its context has the `rule` (GC-1xx or GC-209) and the `finding`.
    """
    text = str(path)
    local = Path(path)
    if "://" in text or text.startswith(("/vsi", "\\\\")) or "\x00" in text or not local.exists():
        raise refuse(Finding.of("GC-101", path=text))
    if encoding is not None:
        # Said even where nothing is decoded by it.
        decide([], named=encoding)
    opener = _Opener(Workspace(), encoding, settings or IngestSettings())
    try:
        source = opener.open(local, local.name, layer)
    except BaseException:
        opener.workspace.close()
        raise
    source.findings[:0] = opener.findings
    if source.encoding is not None:
        about = source.encoding
        source.findings.append(
            Finding.of("GC-201", encoding=about.name, evidence_en=about.evidence_en, evidence_zh=about.evidence_zh)
        )
    return source


class _Opener:
    """One call of `open_source`: what is carried down through archives and folders."""

    def __init__(self, workspace: Workspace, encoding: str | None, settings: IngestSettings) -> None:
        self.workspace, self.encoding, self.settings = workspace, encoding, settings
        self.findings: list[Finding] = []

    def open(self, path: Path, name: str, layer: str | None, depth: int = 0) -> Source:
        path = _main_file(path)
        self._within_size(path, name)
        if path.is_dir():
            if any(path.glob("*.gdbtable")):
                return self._gdal(path, name, layer)
            return self._one_of(path, name, layer, depth)
        head = _head(path)
        self._refuse_what_is_no_data(path, name, head)
        if is_archive(path, head):
            if depth >= _DEPTH:
                reason = {"en": f"archives nested more than {_DEPTH} deep", "zh": f"压缩包嵌套超过 {_DEPTH} 层"}
                raise refuse(Finding.of("GC-110", path=name, reason=reason))
            folder = self.workspace.folder()
            unpack(path, folder, self.settings)
            return self._one_of(folder, name, layer, depth + 1)
        return self._file(path, name, layer, head)

    def _file(self, path: Path, name: str, layer: str | None, head: bytes) -> Source:
        suffix = path.suffix.casefold()
        by_suffix: dict[str, Callable[[], Source]] = {
            ".shp": lambda: self._shapefile(path, name),
            ".dbf": lambda: self._dbf(path, name),
            ".parquet": lambda: ParquetSource(name, path, self.workspace),
            ".geoparquet": lambda: ParquetSource(name, path, self.workspace),
            ".xlsx": lambda: XlsxSource(name, path, self.workspace, layer, self.settings),
            ".xlsm": lambda: XlsxSource(name, path, self.workspace, layer, self.settings),
        }
        if head.startswith(b"PAR1"):
            return ParquetSource(name, path, self.workspace)
        if suffix in by_suffix:
            return by_suffix[suffix]()
        if suffix in _TABLES or (suffix in ("", ".dat") and _is_text(head)):
            if suffix in (".csv", ".tsv", ".psv") or looks_like_table(path):
                return CsvSource(name, path, self.workspace, self.encoding)
            raise refuse(_no_table(name))
        if suffix in _JSON or head.lstrip(b"\xef\xbb\xbf \t\r\n\x1e")[:1] in (b"{", b"["):
            return self._json(path, name, layer)
        if suffix in _XML:
            return self._xml(path, name, layer)
        if suffix == ".dxf":
            _sound_dxf(path, name, head)
        return self._gdal(path, name, layer)

    def _within_size(self, path: Path, name: str) -> None:
        files = path.rglob("*") if path.is_dir() else [path]
        mb = sum(f.stat().st_size for f in files if f.is_file()) >> 20
        if mb > self.settings.max_upload_mb:
            limit = self.settings.max_upload_mb
            raise refuse(Finding.of("GC-112", path=name, size_mb=mb, limit_mb=limit))

    def _refuse_what_is_no_data(self, path: Path, name: str, head: bytes) -> None:
        suffix = path.suffix.casefold()
        if not head:
            raise refuse(Finding.of("GC-107", path=name))
        pointer = lfs_pointer(path)
        if pointer is not None:
            raise refuse(pointer)
        drawing = _DWG.match(head)
        if drawing is not None or suffix == ".dwg":
            version = _DWG_NAMES.get(drawing[1].decode() if drawing else "", "?")
            raise refuse(Finding.of("GC-109", path=name, version=version))
        if suffix in (".pbf", ".osm", ".o5m") or b"OSMHeader" in head[:64] or b"<osm " in head[:1024]:
            raise refuse(Finding.of("GC-113", path=name))
        for mark, kind in _REFERENCES:
            if mark in head:
                raise refuse(Finding.of("GC-111", path=name, kind=kind))
        if suffix in (".vrt", ".url", ".ovf", ".lnk"):
            raise refuse(Finding.of("GC-111", path=name, kind=suffix[1:].upper()))
        if suffix in (".shx", ".prj", ".cpg", ".sbn", ".sbx", ".qix"):
            raise refuse(Finding.of("GC-104", path=name, missing=".shp"))
        if suffix in (".map", ".id", ".ind", ".mid"):
            raise refuse(Finding.of("GC-102", path=name, reason=_is_part(_MAIN[suffix])))
        if head.startswith(b"\xd0\xcf\x11\xe0"):
            raise refuse(Finding.of("GC-102", path=name, reason=_OLD_OFFICE))
        if suffix in _NEVER:
            raise refuse(Finding.of("GC-102", path=name, reason=_NO_DATA))

    def _one_of(self, folder: Path, name: str, layer: str | None, depth: int) -> Source:
        """The one data set in a folder, or the one that `layer` names."""
        found = _data_sets(folder)
        if not found:
            entries = ", ".join(sorted(p.name for p in folder.rglob("*") if p.is_file())[:10]) or "-"
            raise refuse(Finding.of("GC-116", path=name, entries=entries))
        labels = {p: str(p.relative_to(folder)) for p in found}
        if len(found) == 1:
            return self.open(found[0], f"{name}/{labels[found[0]]}", layer, depth)
        for path, label in labels.items():
            for known in (label, path.name, path.stem):
                if layer == known:
                    return self.open(path, f"{name}/{label}", None, depth)
                if layer is not None and layer.startswith(known + "/"):
                    return self.open(path, f"{name}/{label}", layer[len(known) + 1 :], depth)
        listed = ", ".join(labels.values())
        if layer is not None:
            raise refuse(Finding.of("GC-114", path=name, layer=layer, layers=listed))
        raise refuse(Finding.of("GC-108", path=name, count=len(found), layers=listed))

    def _shapefile(self, path: Path, name: str) -> Source:
        parts = inspect(path, self.workspace.folder())
        self.findings += parts.findings
        prj = sibling(parts.path, ".prj")
        if prj is not None and not _is_crs(prj):
            self.findings.append(Finding.of("GC-318", path=prj.name))
            parts = replace(parts, path=_without(parts.path, prj, self.workspace.folder()))
        return self._dbase(parts.path, sibling(path, ".dbf") or path, name, path.stem, parts.count)

    def _dbf(self, path: Path, name: str) -> Source:
        if sibling(path, ".shx") is not None:
            raise refuse(Finding.of("GC-104", path=name, missing=".shp"))
        return self._dbase(path, path, name, path.stem)

    def _dbase(self, path: Path, dbf: Path, name: str, label: str, count: int | None = None) -> Source:
        names, texts, language = dbf_texts(dbf)
        cpg = sibling(dbf, ".cpg")
        declared, by = language, "DBF language byte"
        if cpg is not None:
            declared, by = cpg.read_text(encoding="ascii", errors="replace")[:40].strip(), cpg.name
        if declared is not None and normalised(declared) is None:
            declared = None
        if not any(any(b > 0x7F for b in t) for t in texts):
            texts = names
        decoder = decide(_whole([*texts, *names], names), declared, by, self.encoding)
        self.findings += decoder.findings
        return GdalSource(name, path, self.workspace, dsn=self._plain(path), decoder=decoder, label=label, count=count)

    def _json(self, path: Path, name: str, layer: str | None) -> Source:
        text, encoding = self._utf8(path, name, "UTF-8", "RFC 8259")
        lines = _json_lines(text)
        dsn = self._plain(text)
        dsn = f"GeoJSONSeq:{dsn}" if lines else dsn
        source = self._gdal(text, name, layer, dsn=dsn, encoding=encoding, label=path.stem)
        if source.driver in ("GeoJSON", "GeoJSONSeq", "JSONFG") and source.crs is not None:
            # RFC 7946: without the member of the 2008 format the coordinates are WGS 84 longitude and latitude.
            source.crs_by_format = b'"crs"' not in _head(text)
        remark = re.search(rb'"coord(?:inate)?_?sys(?:tem)?"\s*:\s*"([^"]{1,40})"', _head(text), re.IGNORECASE)
        if remark is not None:
            source.remarks = (remark[1].decode("utf-8", "replace"),)
        return source

    def _xml(self, path: Path, name: str, layer: str | None) -> Source:
        declared = re.search(rb"<\?xml[^>]*encoding=[\"']([^\"']+)", _head(path)[:256])
        said = declared[1].decode("ascii", "replace") if declared else "UTF-8"
        text, encoding = self._utf8(path, name, said, "XML declaration")
        _well_formed(text, name)
        source = self._gdal(text, name, layer, encoding=encoding)
        source.crs_by_format = source.driver in ("LIBKML", "KML", "GPX")
        return source

    def _utf8(self, path: Path, name: str, declared: str, by: str) -> tuple[Path, Encoding]:
        """The file, or a copy in UTF-8 when it is in another encoding or has illegal bytes."""
        lines, mark = sample_text(path)
        if mark is not None and mark != "UTF-8":
            encoding = Encoding(mark, "byte order mark or zero bytes", "字节序标记或零字节")
        else:
            encoding = decide(lines, mark or declared, "byte order mark" if mark else by, self.encoding)
        self.findings += encoding.findings
        illegal = sum(decode(line, encoding)[1] == "bad" for line in lines)
        if encoding.name == "UTF-8" and not illegal:
            return path, encoding
        target = self.workspace.folder() / path.name
        for other in path.parent.glob(f"{glob.escape(path.stem)}.*"):
            if other.suffix.casefold() in (".xsd", ".gfs"):
                (target.parent / other.name).symlink_to(other.resolve())
        rewrite_as_utf8(path, target, encoding.codec, errors="replace" if illegal else "strict")
        self.findings.append(Finding.of("GC-208", encoding=encoding.name))
        if illegal:
            self.findings.append(Finding.of("GC-211", path=name, count=illegal, encoding=encoding.name))
        return target, encoding

    def _gdal(
        self,
        path: Path,
        name: str,
        layer: str | None,
        *,
        dsn: str | None = None,
        encoding: Encoding | None = None,
        label: str | None = None,
    ) -> Source:
        harden()
        plain = dsn or self._plain(path)
        chosen, findings = choose_layer(name, plain, layer if label is None or layer != label else None)
        source = GdalSource(name, path, self.workspace, dsn=plain, layer=chosen, label=label)
        source.findings += findings
        source.encoding = source.encoding or encoding
        return source

    def _plain(self, path: Path) -> str:
        """A path that GDAL and pyogrio take for a plain one: `!` and `:` have a meaning in theirs."""
        if not re.search(r"[!|?*]|^[A-Za-z0-9_]{2,}:", str(path)):
            return str(path)
        folder = self.workspace.folder()
        for part in path.parent.glob(f"{glob.escape(path.stem)}.*"):
            (folder / f"source{part.suffix}").symlink_to(part.resolve())
        return str(folder / f"source{path.suffix}")


_OLD_OFFICE = {"en": "old binary Office format, save it as XLSX", "zh": "旧版 Office 二进制格式，请另存为 XLSX"}
_NO_DATA = {"en": "a document, a program or an archive of a closed kind", "zh": "文档、程序或不支持的压缩格式"}


def _no_table(name: str) -> Finding:
    reason = {"en": "a text without columns", "zh": "没有分列的文本"}
    return Finding.of("GC-102", path=name, reason=reason)


def _is_part(main: str) -> dict[str, str]:
    return {"en": f"a part of a {main} file that is not there", "zh": f"它是 {main} 文件的组成部分，而主文件不在"}


def _main_file(path: Path) -> Path:
    """The file to open when a person names a part of it: the .shp of a .dbf, the folder of a FileGDB."""
    if path.is_file() and path.parent.suffix.casefold() == ".gdb" and any(path.parent.glob("*.gdbtable")):
        return path.parent
    if path.name.casefold().endswith(".shp.xml"):
        return path.with_suffix("") if path.with_suffix("").exists() else path
    main = _MAIN.get(path.suffix.casefold())
    found = sibling(path, main) if main is not None and path.is_file() else None
    return found or path


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_HEAD)


def _is_crs(prj: Path) -> bool:
    """Whether a .prj holds a coordinate system at all."""
    try:
        pyproj.CRS.from_user_input(prj.read_text(encoding="utf-8", errors="replace").strip())
    except CRSError:
        return False
    return True


def _without(shp: Path, part: Path, folder: Path) -> Path:
    """A folder of links to all parts of a shapefile but one."""
    for other in shp.parent.glob(f"{glob.escape(shp.stem)}.*"):
        if other != part:
            (folder / other.name).symlink_to(other.resolve())
    return folder / shp.name


def _sound_dxf(path: Path, name: str, head: bytes) -> None:
    """A DXF is text to its closing EOF. GDAL reads a cut one as far as it goes, and never returns from zero bytes."""
    if head.startswith(b"AutoCAD Binary DXF"):
        reason = {"en": "binary DXF, save it as ASCII", "zh": "二进制 DXF，请另存为 ASCII 格式"}
        raise refuse(Finding.of("GC-102", path=name, reason=reason))
    last, zero = b"", False
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            last = (last + piece)[-1024:]
            zero = zero or 0 in piece.rstrip(b"\x00\x1a")
    if zero:
        raise refuse(Finding.of("GC-105", path=name, reason={"en": "zero bytes in the text", "zh": "文本中有零字节"}))
    if not last.rstrip(b"\x00\x1a \t\r\n").upper().endswith(b"EOF"):
        reason = {"en": "the closing EOF is missing", "zh": "缺少结尾的 EOF"}
        raise refuse(Finding.of("GC-105", path=name, reason=reason))


def _is_text(head: bytes) -> bool:
    return b"\x00" not in head


def _whole(texts: list[bytes], names: list[bytes]) -> list[bytes]:
    """Texts for judging: a name of ten bytes may be cut within its last character, and proves less than values."""
    return [t for t in texts if t not in names or len(t) < 10] or texts


def _data_sets(folder: Path) -> list[Path]:
    """Data sets in a folder tree; a FileGDB is a folder, a part of a data set does not count, nor do hidden files."""
    found: list[Path] = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if any(p.startswith((".", "__MACOSX")) for p in inside) or any(
            (folder / Path(*inside[:k])).suffix.casefold() == ".gdb" for k in range(1, len(inside))
        ):
            continue
        suffix = path.suffix.casefold()
        if path.is_dir():
            if suffix == ".gdb":
                found.append(path)
        else:
            lone_table = suffix == ".dbf" and sibling(path, ".shp") is None
            if lone_table or suffix in _CANDIDATES or is_archive(path, _head(path)[:4]):
                found.append(path)
    return found


def _json_lines(path: Path) -> bool:
    """Whether a file is one JSON object a line (GeoJSON text sequences, with or without record separators)."""
    with path.open("rb") as stream:
        first = stream.readline(16 << 20)
        if first.lstrip(b"\xef\xbb\xbf").startswith(b"\x1e"):
            return True
        try:
            json.loads(first.decode("utf-8-sig"))
        except (UnicodeDecodeError, ValueError):
            return False
        return stream.readline(64).lstrip()[:1] == b"{"


def _well_formed(path: Path, name: str) -> None:
    """GDAL stops at the place where XML breaks off and keeps what came before; a cut file is refused instead."""
    parser = expat.ParserCreate()

    def no_entities(*_: object) -> None:
        raise refuse(Finding.of("GC-111", path=name, kind="XML DTD"))

    parser.EntityDeclHandler = no_entities
    try:
        with path.open("rb") as stream:
            parser.ParseFile(stream)
    except expat.ExpatError as exc:
        raise refuse(Finding.of("GC-105", path=name, reason=str(exc))) from exc
