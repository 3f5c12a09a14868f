# SPDX-License-Identifier: Apache-2.0
"""Archives (压缩包): unpacked within limits that count what is really written, not what the archive claims.

Zip (with KMZ and zipped FileGDB), tar and gzip. Names that lead out of the folder, links, encrypted
entries and bombs are refused. Chinese names that a Windows tool wrote in GBK without saying so are read.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from geocloud.errors import IngestError
from geocloud.ingest.report import Finding, refuse
from geocloud.settings import IngestSettings

__all__ = ["is_archive", "unpack"]

_SUFFIXES = (".zip", ".kmz", ".shz", ".gz", ".tgz", ".tar", ".bz2", ".xz")
_OFFICE = (".xlsx", ".xlsm", ".ods")
_CHUNK = 1 << 20
# Below it no ratio is looked at: a small table of blanks packs a thousand times.
_RATIO_FROM = 100 << 20


def is_archive(path: Path, head: bytes) -> bool:
    """Whether a file is to be unpacked; spreadsheets are zips, but not archives."""
    if path.suffix.casefold() in _OFFICE:
        return False
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b")) or (
        path.suffix.casefold() in _SUFFIXES and (path.suffix.casefold() != ".bz2" or ".tar" in path.suffixes)
    )


def unpack(path: Path, folder: Path, settings: IngestSettings) -> list[str]:
    """Unpack an archive into an empty folder; the names of its files as they stand in it.

    Raises UnreadableFile: GC-107 empty, GC-110 over a limit or unsafe, GC-117 damaged or encrypted.
    """
    budget = _Budget(path, settings)
    names = []
    try:
        for name, stream in _entries(path):
            target = folder / _safe(path, name)
            budget.entry()
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                raise _unsafe(path, f"two entries are named {name}", f"两个条目同名：{name}")
            with stream, target.open("wb") as out:
                while piece := stream.read(_CHUNK):
                    budget.written(len(piece))
                    out.write(piece)
            names.append(name)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, gzip.BadGzipFile) as exc:
        raise refuse(Finding.of("GC-117", path=path.name, reason=str(exc) or type(exc).__name__)) from exc
    except RuntimeError as exc:
        # zipfile's error for an encrypted entry.
        reason = {"en": "it is encrypted", "zh": "已加密"} if "encrypted" in str(exc) else str(exc)
        raise refuse(Finding.of("GC-117", path=path.name, reason=reason)) from exc
    if not names:
        raise refuse(Finding.of("GC-107", path=path.name))
    return names


class _Budget:
    def __init__(self, path: Path, settings: IngestSettings) -> None:
        self.path, self.packed = path, max(path.stat().st_size, 1)
        self.entries, self.bytes = settings.archive_entries_max, settings.archive_max_mb << 20
        self.ratio = settings.archive_ratio_max
        self.entry_count = self.size = 0

    def entry(self) -> None:
        self.entry_count += 1
        if self.entry_count > self.entries:
            raise _unsafe(self.path, f"more than {self.entries} files", f"文件数超过 {self.entries}")

    def written(self, size: int) -> None:
        self.size += size
        if self.size > self.bytes:
            mb = self.bytes >> 20
            raise _unsafe(self.path, f"unpacks to more than {mb} MB", f"解压后超过 {mb} MB")
        if self.size > _RATIO_FROM and self.size > self.packed * self.ratio:
            raise _unsafe(
                self.path,
                f"unpacks to more than {self.ratio} times its size",
                f"解压后超过自身大小的 {self.ratio} 倍",
            )


def _entries(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with path.open("rb") as stream:
        head = stream.read(4)
    if head[:2] == b"PK":
        with zipfile.ZipFile(path) as box:
            for info in box.infolist():
                if info.is_dir():
                    continue
                if (info.external_attr >> 16) & 0o170000 == 0o120000:
                    raise _unsafe(path, f"{info.filename} is a link", f"{info.filename} 是链接")
                yield _zip_name(info), box.open(info)
    elif _is_tar(path):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isdir():
                    continue
                if not member.isfile():
                    raise _unsafe(path, f"{member.name} is a link or device", f"{member.name} 是链接或设备")
                stream_of = tar.extractfile(member)
                if stream_of is not None:
                    yield member.name, stream_of
    elif head[:2] == b"\x1f\x8b":
        yield path.with_suffix("").name or "data", cast(IO[bytes], gzip.open(path))  # noqa: SIM115
    else:
        raise refuse(Finding.of("GC-117", path=path.name, reason={"en": "unknown kind", "zh": "类型未知"}))


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (OSError, EOFError, zlib.error):
        return False


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name as it was meant: without the UTF-8 flag, Chinese Windows writes GBK and zipfile reads cp437."""
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename
    raw = info.filename.encode("cp437", errors="replace")
    for codec in ("utf-8", "gb18030"):
        try:
            return raw.decode(codec)
        except UnicodeDecodeError:
            continue
    return info.filename


def _safe(path: Path, name: str) -> Path:
    pure = PurePosixPath(name.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or "\x00" in name or ":" in pure.parts[0]:
        raise _unsafe(path, f"the name {name!r} leads out of the folder", f"条目名 {name!r} 指向目录之外")
    return Path(*pure.parts)


def _unsafe(path: Path, en: str, zh: str) -> IngestError:
    return refuse(Finding.of("GC-110", path=path.name, reason={"en": en, "zh": zh}))
