# SPDX-License-Identifier: Apache-2.0
"""GeoParquet (1.0, 1.1) and plain Parquet, by row groups through Arrow. GDAL's wheel has no Parquet driver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import CRSError

from geocloud.ingest.attributes import Columns
from geocloud.ingest.coordinates import Coordinates
from geocloud.ingest.report import Finding, refuse
from geocloud.ingest.source import Batch, Source, Workspace
from geocloud.ingest.wkb import from_wkb

__all__ = ["ParquetSource"]

_NATIVE = {
    "point": shapely.GeometryType.POINT,
    "linestring": shapely.GeometryType.LINESTRING,
    "polygon": shapely.GeometryType.POLYGON,
    "multipoint": shapely.GeometryType.MULTIPOINT,
    "multilinestring": shapely.GeometryType.MULTILINESTRING,
    "multipolygon": shapely.GeometryType.MULTIPOLYGON,
}


class ParquetSource(Source):
    """A Parquet file; its geometry is the primary column of the `geo` metadata (GeoParquet 1.1)."""

    driver = "Parquet"

    def __init__(self, name: str, path: Path, workspace: Workspace) -> None:
        super().__init__(name, path, workspace)
        try:
            with pq.ParquetFile(path) as file:
                schema, self.count = file.schema_arrow, file.metadata.num_rows
        except (pa.ArrowException, OSError, ValueError) as exc:
            raise refuse(Finding.of("GC-105", path=name, reason=str(exc)[:200])) from exc
        self.layer = None
        self._geo = _metadata(name, schema)
        self._column: str | None = self._geo.get("primary_column") if self._geo else None
        if self._column is not None and self._column not in schema.names:
            raise refuse(Finding.of("GC-106", path=name, reason=f"geometry column {self._column} is missing"))
        about = self._geo["columns"][self._column] if self._geo and self._column else {}
        self._encoding = str(about.get("encoding", "WKB"))
        covering = about.get("covering", {}).get("bbox", {})
        skip = {self._column, *(path[0] for path in covering.values())}
        self._columns = Columns(schema, skip=skip)
        self.fields = self._columns.fields
        self.findings += self._columns.findings
        if self._column is not None:
            types = about.get("geometry_types") or ["Unknown"]
            self.geometry_type = types[0] if len(types) == 1 else "Unknown"
            self.crs, self.crs_by_format = _declared(about)
        self._bounds = about.get("bbox")
        self._points = Coordinates.find(self) if self._column is None else None

    def batches(self, rows: int = 50_000) -> Iterator[Batch]:
        start = 0
        with pq.ParquetFile(self.path) as file:
            stream = file.iter_batches(batch_size=rows)
            while True:
                try:
                    batch = next(stream, None)
                except (pa.ArrowException, OSError) as exc:
                    raise refuse(Finding.of("GC-105", path=self.name, reason=str(exc)[:200])) from exc
                if batch is None:
                    return
                table, findings = self._columns.read(batch, start)
                geometry: NDArray[Any] | None = None
                if self._column is not None:
                    geometry, mended = self._geometry(batch.column(self._column), start)
                    findings += mended
                elif self._points is not None:
                    geometry, found = self._points.read(table, start)
                    findings += found
                yield Batch(start, batch.num_rows, table, geometry, findings)
                start += batch.num_rows

    def bounds(self) -> tuple[float, float, float, float] | None:
        box = self._bounds
        if not box or len(box) not in (4, 6):
            return None
        half = len(box) // 2
        return float(box[0]), float(box[1]), float(box[half]), float(box[half + 1])

    def _geometry(self, column: pa.Array, start: int) -> tuple[NDArray[Any], list[Finding]]:
        if self._encoding.upper() == "WKB":
            return from_wkb(column.to_pylist(), start)
        return _from_native(column, self._encoding), []


def _metadata(name: str, schema: pa.Schema) -> dict[str, Any]:
    raw = (schema.metadata or {}).get(b"geo")
    if raw is None:
        return {}
    try:
        geo = json.loads(raw)
        if not isinstance(geo["columns"][geo["primary_column"]], dict):
            raise TypeError("primary column is not described")
    except (ValueError, KeyError, TypeError) as exc:
        raise refuse(Finding.of("GC-105", path=name, reason=f"geo metadata: {exc!r}")) from exc
    encoding = str(geo["columns"][geo["primary_column"]].get("encoding", "WKB")).casefold()
    if encoding != "wkb" and encoding not in _NATIVE:
        raise refuse(Finding.of("GC-102", path=name, reason=f"geometry encoding {encoding}"))
    return dict(geo)


def _declared(about: dict[str, Any]) -> tuple[str | None, bool]:
    """The CRS, and whether only the format says so: a missing `crs` member means OGC:CRS84, null means unknown."""
    if "crs" not in about:
        return "OGC:CRS84", True
    if about["crs"] is None:
        return None, False
    try:
        found = pyproj.CRS.from_json_dict(about["crs"])
    except (CRSError, TypeError):
        return None, False
    code = found.to_authority(min_confidence=90)
    return (":".join(code) if code else found.to_wkt()), False


def _from_native(column: pa.Array, encoding: str) -> NDArray[Any]:
    """Geometries of a native GeoArrow column: lists of lists of coordinate structs or fixed-size lists."""
    kind = _NATIVE[encoding.casefold()]
    valid = np.asarray(column.is_valid())
    out = np.full(len(column), None, dtype=object)
    inner, offsets = column.drop_null(), []
    while pa.types.is_list(inner.type) or pa.types.is_large_list(inner.type):
        levels = np.asarray(inner.offsets)
        offsets.append(levels - levels[0])
        inner = inner.flatten()
    if pa.types.is_struct(inner.type):
        axes = [f.name for f in inner.type if f.name in ("x", "y", "z")]
        coordinates = np.column_stack([inner.field(a).to_numpy(zero_copy_only=False) for a in axes])
    else:
        width = inner.type.list_size
        coordinates = inner.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)[:, : min(width, 3)]
    # Shapely wants the innermost offsets first.
    out[valid] = shapely.from_ragged_array(kind, np.ascontiguousarray(coordinates), tuple(reversed(offsets)) or None)
    return out
