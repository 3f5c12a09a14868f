# SPDX-License-Identifier: Apache-2.0
"""The file of rejected rows (隔离文件): a GeoPackage with everything as delivered, and the reasons.

Original attributes and geometry in the source's own coordinates, plus `gc_row` (1-based row of the source),
`gc_rules`, `gc_messages_zh` and `gc_messages_en`, so that a person mends the rows in QGIS and loads them again.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from numpy.typing import NDArray

from geocloud.errors import DataFolderError, DiskFull
from geocloud.ingest.report import Finding

__all__ = ["Quarantine"]

_LAYER = "quarantine"
_TAKEN = frozenset({"fid", "geom", "gc_row", "gc_rules", "gc_messages_zh", "gc_messages_en"})


class Quarantine:
    """Writes rejected rows to `path` as they come; the file is there, complete, only after `close`.

    Until then rows go to `.<name>.partial` beside it, which a killed load leaves and the next one to the
    same file replaces. Nothing is made when no row is rejected.
    """

    def __init__(self, path: Path, crs: str | None) -> None:
        self.path = path
        self.rows = 0
        self._partial = path.with_name(f".{path.name}.partial")
        self._crs = crs

    def add(
        self, table: pa.Table, geometry: NDArray[Any] | None, rows: Sequence[int], reasons: Sequence[Sequence[Finding]]
    ) -> None:
        """Appends rows: their attributes and geometry as delivered, 1-based row numbers, and findings of each."""
        if not len(rows):
            return
        columns: dict[str, pa.Array] = {}
        for name in table.column_names:
            columns[_free(name, columns)] = _writable(table.column(name))
        columns["gc_row"] = pa.array(rows, pa.int64())
        columns["gc_rules"] = pa.array([" ".join(dict.fromkeys(f.code for f in r)) for r in reasons])
        columns["gc_messages_zh"] = pa.array(["\n".join(f.message("zh") for f in r) for r in reasons])
        columns["gc_messages_en"] = pa.array(["\n".join(f.message("en") for f in r) for r in reasons])
        shapes = np.full(len(rows), None, dtype=object) if geometry is None else geometry
        columns["geom"] = pa.array(shapely.to_wkb(shapes, flavor="iso"), pa.binary())
        self._write(pa.table(columns))
        self.rows += len(rows)

    def close(self) -> Path | None:
        """Puts the file in its place and says where; None when nothing was rejected."""
        if not self.rows:
            return None
        try:
            self._partial.replace(self.path)
        except OSError as exc:
            raise _unwritable(self.path, exc) from exc
        return self.path

    def discard(self) -> None:
        """Removes what was written so far."""
        self._partial.unlink(missing_ok=True)
        self.rows = 0

    def _write(self, table: pa.Table) -> None:
        try:
            if not self.rows:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.discard()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pyogrio.write_arrow(
                    table, self._partial, layer=_LAYER, driver="GPKG", geometry_name="geom", crs=self._crs,
                    geometry_type="Unknown", append=bool(self.rows), layer_options={"SPATIAL_INDEX": "NO"},
                )  # fmt: skip
        except OSError as exc:
            raise _unwritable(self.path, exc) from exc
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError) as exc:
            if _disk_full(self.path.parent):
                raise _full(self.path) from exc
            raise _unwritable(self.path, exc) from exc


def partials(folder: Path) -> Mapping[Path, float]:
    """Unfinished quarantine files below a folder and when they were last written."""
    return {p: p.stat().st_mtime for p in folder.glob(".*.gpkg.partial")}


def _free(name: str, taken: Mapping[str, Any]) -> str:
    out = name
    low = {t.casefold() for t in taken}
    while out.casefold() in _TAKEN or out.casefold() in low:
        out += "_"
    return out


def _writable(column: pa.ChunkedArray) -> pa.Array:
    values = column.combine_chunks()
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _writable(pa.chunked_array([values.dictionary_decode()]))
    if pa.types.is_null(kind):
        return pa.nulls(len(values), pa.string())
    plain = (
        pa.types.is_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_date32,
        pa.types.is_binary, pa.types.is_timestamp,
    )  # fmt: skip
    if any(test(kind) for test in plain):
        return values
    try:
        return values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array([None if v is None else str(v) for v in values.to_pylist()], pa.string())


def _disk_full(folder: Path) -> bool:
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize < 1 << 20


def _full(path: Path) -> DiskFull:
    return DiskFull(
        f"No room left for the quarantine file {path}.",
        f"磁盘空间不足,无法写入隔离文件 {path}。",
        todo_en="Free some room or name another place with --quarantine. Nothing was loaded.",
        todo_zh="请清理磁盘,或用 --quarantine 指定其他位置。未载入任何数据。",
    )


def _unwritable(path: Path, exc: BaseException) -> DataFolderError | DiskFull:
    if isinstance(exc, OSError) and exc.errno == 28:
        return _full(path)
    return DataFolderError(
        f"The quarantine file {path} cannot be written: {exc}.",
        f"无法写入隔离文件 {path}:{exc}。",
        todo_en="Name another place with --quarantine. Nothing was loaded.",
        todo_zh="请用 --quarantine 指定其他位置。未载入任何数据。",
    )
