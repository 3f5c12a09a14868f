# SPDX-License-Identifier: Apache-2.0
"""What GDAL does not tell of a shapefile: missing parts, contradicting records, the bytes of its texts.

After the ESRI Shapefile Technical Description (July 1998) and the dBASE III table format.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geocloud.errors import IngestError
from geocloud.ingest.report import Finding, refuse

__all__ = ["Parts", "dbf_texts", "inspect", "lfs_pointer", "sibling"]

_SAMPLE_ROWS = 2_000
# Language byte of a DBF header to encoding; 0x57 and 0x03 are written by default and prove little.
_LANGUAGE = {
    0x01: "cp437", 0x02: "cp850", 0x03: "cp1252", 0x13: "cp932", 0x4D: "cp936", 0x4E: "cp949", 0x4F: "cp950",
    0x57: "cp1252", 0x64: "cp852", 0x65: "cp866", 0x78: "cp950", 0x79: "cp949", 0x7A: "cp936", 0x7B: "cp932",
    0xC8: "cp1250", 0xC9: "cp1251",
}  # fmt: skip
_LFS = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class Parts:
    """A shapefile fit for reading: the path to open, its records that are not deleted, and what was noted."""

    path: Path
    count: int
    findings: tuple[Finding, ...]


def _live(rows: int, findings: tuple[Finding, ...]) -> int:
    return rows - sum(int(f.facts["count"]) for f in findings if f.code == "GC-133")


def sibling(path: Path, suffix: str) -> Path | None:
    """The file of the same stem and another suffix, in any case of letters."""
    for name in (path.with_suffix(suffix), path.with_suffix(suffix.upper())):
        if name.exists():
            return name
    stem = path.stem.casefold()
    for other in path.parent.iterdir():
        if other.suffix.casefold() == suffix and other.stem.casefold() == stem:
            return other
    return None


def lfs_pointer(path: Path) -> Finding | None:
    """GC-103 when the file is a Git LFS pointer text."""
    with path.open("rb") as stream:
        head = stream.read(512)
    if not head.startswith(_LFS):
        return None
    size = next((w.split()[1] for w in head.decode("ascii", "replace").splitlines() if w.startswith("size ")), "?")
    return Finding.of("GC-103", path=path.name, bytes=path.stat().st_size, size=size)


def inspect(shp: Path, scratch: Path) -> Parts:
    """Check a shapefile's parts against each other; a missing index is rebuilt in `scratch`.

    Raises UnreadableFile: GC-103 pointer text, GC-104 part missing, GC-106 contradicting records.
    """
    parts = {suffix: sibling(shp, suffix) for suffix in (".shp", ".shx", ".dbf")}
    for part in parts.values():
        if part is not None and (pointer := lfs_pointer(part)) is not None:
            raise refuse(pointer)
    dbf = parts[".dbf"]
    if parts[".shp"] is None or dbf is None:
        raise refuse(Finding.of("GC-104", path=shp.name, missing=".dbf" if dbf is None else ".shp"))
    header = _header(shp)
    rows, findings = _dbf_rows(dbf)
    said, size = struct.unpack(">i", header[24:28])[0] * 2, shp.stat().st_size
    if said != size:
        findings = (*findings, Finding.of("GC-137", path=shp.name, said=said, size=size))
    if parts[".shx"] is None:
        offsets, lengths = _walk(shp)
        if len(offsets) != rows:
            raise refuse(Finding.of("GC-104", path=shp.name, missing=".shx"))
        shp = _with_index(shp, header, offsets, lengths, scratch)
        findings = (*findings, Finding.of("GC-118", path=shp.name, count=rows))
        return Parts(shp, _live(rows, findings), findings)
    offsets, lengths = _index(parts[".shx"])
    _compare(shp, offsets, lengths)
    if len(offsets) != rows:
        raise _contradiction(
            shp, f".shx has {len(offsets)} records, .dbf {rows} rows", f".shx 有 {len(offsets)} 条，.dbf 有 {rows} 行"
        )
    return Parts(shp, _live(rows, findings), findings)


def dbf_texts(dbf: Path) -> tuple[list[bytes], list[bytes], str | None]:
    """Field names and a sample of text values as bytes, and the encoding of the language byte.

    The sample is spread over the table, so that a file whose first rows are ASCII is told as well.
    """
    head, width, rows, fields = _dbf_header(dbf)
    spans, at = [], 1
    for _, kind, size in fields:
        if kind in b"CM":
            spans.append((at, at + size))
        at += size
    texts: list[bytes] = []
    with dbf.open("rb") as stream:
        language = stream.read(30)[29]
        for row in sorted({int(r) for r in np.linspace(0, max(rows - 1, 0), min(rows, _SAMPLE_ROWS))}):
            stream.seek(head + row * width)
            record = stream.read(width)
            texts += [record[a:b].strip(b" \x00") for a, b in spans]
    return [name for name, _, _ in fields], [t for t in texts if t], _LANGUAGE.get(language)


def _header(shp: Path) -> bytes:
    with shp.open("rb") as stream:
        header = stream.read(100)
    if len(header) < 100 or struct.unpack(">i", header[:4])[0] != 9994:
        raise _contradiction(shp, "no shapefile header", "没有 Shapefile 文件头")
    return header


def _dbf_header(dbf: Path) -> tuple[int, int, int, list[tuple[bytes, int, int]]]:
    """Header bytes, record bytes, rows, and name, type and width of each field."""
    with dbf.open("rb") as stream:
        start = stream.read(32)
        if len(start) < 32:
            raise _contradiction(dbf, "the table header is cut off", "属性表头不完整")
        rows, head, width = struct.unpack("<IHH", start[4:12])
        rest = stream.read(max(head - 32, 0))
    fields = []
    for at in range(0, len(rest) - 31, 32):
        if rest[at] == 0x0D:
            break
        fields.append((rest[at : at + 11].split(b"\x00")[0], rest[at + 11], rest[at + 16]))
    if width == 0 or 1 + sum(size for _, _, size in fields) > width:
        raise _contradiction(dbf, "record width and field widths disagree", "记录宽度与字段宽度不符")
    return head, width, rows, fields


def _dbf_rows(dbf: Path) -> tuple[int, tuple[Finding, ...]]:
    head, width, rows, _ = _dbf_header(dbf)
    size = dbf.stat().st_size
    # The last record's final byte and the end mark are left out by some writers.
    if head + rows * width > size + 1:
        whole = max(0, (size - head) // width)
        raise _contradiction(
            dbf,
            f"the table says {rows} rows, but ends after {whole}",
            f"属性表声明 {rows} 行，实际只有 {whole} 行",
        )
    if rows == 0:
        return 0, ()
    flags = np.memmap(dbf, dtype=np.uint8, mode="r", offset=head)[: rows * width : width]
    deleted = int((flags == 0x2A).sum())
    return rows, (Finding.of("GC-133", path=dbf.name, count=deleted),) if deleted else ()


def _index(shx: Path) -> tuple[np.ndarray, np.ndarray]:
    size = shx.stat().st_size
    if size < 100:
        raise _contradiction(shx, "the index is cut off", "索引文件不完整")
    pairs = np.fromfile(shx, dtype=">i4", offset=100, count=(size - 100) // 8 * 2).reshape(-1, 2)
    return pairs[:, 0].astype(np.int64) * 2, pairs[:, 1].astype(np.int64) * 2


def _compare(shp: Path, offsets: np.ndarray, lengths: np.ndarray) -> None:
    """Every record of the index lies in the file and says the same length there."""
    size = shp.stat().st_size
    beyond = np.flatnonzero((offsets < 100) | (lengths < 4) | (offsets + 8 + lengths > size))
    if beyond.size:
        n, row = beyond.size, int(beyond[0]) + 1
        raise _contradiction(
            shp,
            f"{n} of {len(offsets)} records, the first is {row}, lie outside the file of {size} bytes",
            f"{len(offsets)} 条记录中有 {n} 条（首条为第 {row} 条）超出文件的 {size} 字节",
        )
    if not offsets.size:
        return
    data = np.memmap(shp, dtype=np.uint8, mode="r")
    own = sum(data[offsets + 4 + k].astype(np.int64) << (24 - 8 * k) for k in range(4)) * 2
    wrong = np.flatnonzero(own != lengths)
    if wrong.size:
        row = int(wrong[0]) + 1
        raise _contradiction(
            shp,
            f"record {row} says {int(own[row - 1])} bytes, the index says {int(lengths[row - 1])}"
            f" ({wrong.size} such records)",
            f"第 {row} 条记录自称 {int(own[row - 1])} 字节，索引为 {int(lengths[row - 1])} 字节（共 {wrong.size} 条）",
        )


def _walk(shp: Path) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and lengths of all records, found by following the lengths from record to record."""
    size, at = shp.stat().st_size, 100
    found: list[tuple[int, int]] = []
    with shp.open("rb") as stream:
        while at < size:
            stream.seek(at)
            head = stream.read(8)
            length = struct.unpack(">ii", head)[1] * 2 if len(head) == 8 else -1
            if length < 4 or at + 8 + length > size:
                raise _contradiction(
                    shp,
                    f"record {len(found) + 1} does not fit into the file, and there is no .shx",
                    f"第 {len(found) + 1} 条记录超出文件，且缺少 .shx",
                )
            found.append((at, length))
            at += 8 + length
    pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _with_index(shp: Path, header: bytes, offsets: np.ndarray, lengths: np.ndarray, scratch: Path) -> Path:
    """A folder with links to the parts and a new .shx beside them."""
    stem = shp.stem.casefold()
    for part in shp.parent.iterdir():
        if part.stem.casefold() == stem and part.is_file():
            (scratch / f"{shp.stem}{part.suffix.lower()}").symlink_to(part.resolve())
    words = struct.pack(">i", (100 + 8 * len(offsets)) // 2)
    pairs = np.column_stack([offsets // 2, lengths // 2]).astype(">i4")
    (scratch / f"{shp.stem}.shx").write_bytes(header[:24] + words + header[28:100] + pairs.tobytes())
    return scratch / f"{shp.stem}.shp"


def _contradiction(path: Path, en: str, zh: str) -> IngestError:
    return refuse(Finding.of("GC-106", path=path.name, reason={"en": en, "zh": zh}))
