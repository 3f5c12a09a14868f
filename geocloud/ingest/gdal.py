# SPDX-License-Identifier: Apache-2.0
"""A layer read through pyogrio's GDAL, in Arrow batches; never over the network.

Shapefiles are asked for one character a byte and decoded here (see `attributes`). Where Arrow will not do, for
drivers whose text is not UTF-8, the same batches are read row-wise.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import pyogrio.raw
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError

from geocloud.ingest.attributes import Columns
from geocloud.ingest.coordinates import Coordinates
from geocloud.ingest.encoding import Encoding, decide, decode
from geocloud.ingest.report import Finding, refuse
from geocloud.ingest.source import Batch, Source, Workspace
from geocloud.ingest.wkb import from_wkb, without_measures

__all__ = ["GdalSource", "choose_layer", "harden"]

_BYTES = "ISO-8859-1"
_SYNTAX = re.compile(r"JSON|XML|syntax|truncat|unterminated|unexpected end|parse|corrupt|malformed", re.IGNORECASE)
_MEASURES = re.compile(r"Measured \(M\) geometry types")
# Tables in which other programs keep their own things.
_HOUSEKEEPING = frozenset({"layer_styles", "qgis_projects", "geometry_columns", "spatial_ref_sys"})
_WARNINGS_MAX = 20


class GdalSource(Source):
    """One layer of anything GDAL reads.

    `dsn` is what GDAL is given; `decoder` says that the driver is to hand out bytes, which are then
    decoded by it. Raises UnreadableFile with GC-102 or GC-105 when GDAL cannot open or read on.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        workspace: Workspace,
        *,
        dsn: str | None = None,
        layer: str | None = None,
        decoder: Encoding | None = None,
        label: str | None = None,
        count: int | None = None,
    ) -> None:
        super().__init__(name, path, workspace)
        self._dsn, self._layer = dsn or str(path), layer
        self._decoder, self._rowwise = decoder, False
        self.encoding = decoder
        with _errors(name), self._noting():
            try:
                info = pyogrio.read_info(self._dsn, layer=layer, encoding=_BYTES if decoder else None)
            except UnicodeDecodeError:
                info = self._fall_back()
        self.driver, self.layer = str(info["driver"]), label or info["layer_name"]
        self.crs, self.geometry_type = info["crs"], info["geometry_type"]
        features = int(info["features"])
        self.count = count if count is not None else features if features >= 0 else None
        box = info["total_bounds"]
        self._box = None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
        schema, self._geometry_name = self._schema()
        self._columns = Columns(
            schema, skip={self._geometry_name}, encoding=self._decoder, names=self._name if self._decoder else None
        )
        self.fields = self._columns.fields
        self.findings += self._columns.findings
        self._points = Coordinates.find(self) if self.geometry_type is None else None

    def bounds(self) -> tuple[float, float, float, float] | None:
        return self._box

    def batches(self, rows: int = 50_000) -> Iterator[Batch]:
        start = measured = 0
        pending: Batch | None = None
        for table, values in self._rows(rows):
            if pending is not None:
                yield pending
            attributes, findings = self._columns.read(table, start)
            size, geometry = table.num_rows, None
            if values is not None:
                geometry, mended = from_wkb(values, start, self._linear(start, size))
                geometry, with_m = without_measures(geometry)
                measured += with_m
                findings += mended
            elif self._points is not None:
                geometry, found = self._points.read(attributes, start)
                findings += found
            pending = Batch(start, size, attributes, geometry, findings)
            start += size
        if pending is None and self.geometry_type is not None:
            pending = Batch(0, 0, self._empty(), np.empty(0, dtype=object))
        elif pending is None:
            pending = Batch(0, 0, self._empty(), None)
        if measured:
            pending.findings.append(Finding.of("GC-136", count=measured))
        if self.count is not None and start < self.count:
            pending.findings.append(Finding.of("GC-132", path=self.name, expected=self.count, read=start))
        yield pending

    def _empty(self) -> pa.Table:
        schema, _ = self._schema()
        return self._columns.read(schema.empty_table(), 0)[0]

    def _rows(self, rows: int) -> Iterator[tuple[pa.RecordBatch, list[bytes | None] | None]]:
        """Attribute columns and geometry bytes of consecutive rows; None instead of bytes without geometry."""
        if self._rowwise:
            yield from self._rows_by_number(rows)
            return
        with self._stream(rows) as stream:
            while True:
                with _errors(self.name), self._noting():
                    batch = next(stream, None)
                if batch is None:
                    return
                if batch.num_rows == 0:
                    continue
                values = None
                if self._geometry_name is not None:
                    values = batch.column(self._geometry_name).to_pylist()
                yield batch, values

    def _rows_by_number(self, rows: int) -> Iterator[tuple[pa.RecordBatch, list[bytes | None] | None]]:
        start = 0
        while True:
            with _errors(self.name), self._noting():
                meta, _, geometry, data = pyogrio.raw.read(
                    self._dsn, layer=self._layer, encoding=_BYTES, skip_features=start, max_features=rows
                )
            size = len(data[0]) if data else len(geometry) if geometry is not None else 0
            if size == 0:
                return
            batch = pa.RecordBatch.from_arrays([_array(c) for c in data], names=list(meta["fields"]))
            yield batch, None if geometry is None else list(geometry)
            start += size

    @contextmanager
    def _stream(self, rows: int) -> Iterator[Iterator[pa.RecordBatch]]:
        with _errors(self.name), self._noting():
            opened = pyogrio.raw.open_arrow(
                self._dsn,
                layer=self._layer,
                encoding=_BYTES if self._decoder else None,
                batch_size=rows,
                use_pyarrow=True,
            )
            _, reader = opened.__enter__()
        try:
            yield iter(reader)
        finally:
            opened.__exit__(None, None, None)

    def _schema(self) -> tuple[pa.Schema, str | None]:
        """The Arrow schema and the name of its geometry column."""
        if self._rowwise:
            with _errors(self.name), self._noting():
                meta, _, _, data = pyogrio.raw.read(self._dsn, layer=self._layer, encoding=_BYTES, max_features=1)
            types = [_array(c).type for c in data]
            return pa.schema(list(zip(meta["fields"], types, strict=True))), None
        with _errors(self.name), self._noting():
            opened = pyogrio.raw.open_arrow(
                self._dsn, layer=self._layer, encoding=_BYTES if self._decoder else None, use_pyarrow=True
            )
            with opened as (meta, reader):
                schema: pa.Schema = reader.schema
        if self.geometry_type is None:
            return schema, None
        return schema, meta["geometry_name"] or "wkb_geometry"

    def _linear(self, start: int, size: int) -> Callable[[list[int]], dict[int, bytes]]:
        """Bytes without curves of some rows of a batch, which GDAL gives when read row-wise."""

        def read(rows: list[int]) -> dict[int, bytes]:
            with _errors(self.name), self._noting():
                _, _, geometry, _ = pyogrio.raw.read(
                    self._dsn, layer=self._layer, columns=[], skip_features=start, max_features=size
                )
            return {i: geometry[i] for i in rows if geometry is not None and geometry[i] is not None}

        return read

    def _fall_back(self) -> dict[str, Any]:
        """Read a driver whose text is not UTF-8 row-wise and one character a byte; the content tells the encoding."""
        self._rowwise = True
        meta, _, _, data = pyogrio.raw.read(self._dsn, layer=self._layer, encoding=_BYTES, max_features=2_000)
        texts = [str(v).encode("latin-1") for c in data if c.dtype == object for v in c if v is not None]
        names = [str(f).encode("latin-1") for f in meta["fields"]]
        self._decoder = self.encoding = decide(texts or names)
        self.findings += self._decoder.findings
        return dict(pyogrio.read_info(self._dsn, layer=self._layer, encoding=_BYTES))

    def _name(self, raw: str) -> tuple[str, bool]:
        if self._decoder is None:
            return raw, False
        name, problem = decode(raw.encode("latin-1"), self._decoder)
        if self._rowwise:
            # Not a dBASE table: what does not fit was damaged by whoever wrote the file.
            damaged = re.sub("[\ue000-\uf8ff]", "\ufffd", name)
            return damaged + ("\ufffd" if problem == "cut" else ""), False
        return name, problem == "cut"

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """GDAL's warnings become findings, each once."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        known = {f.facts.get("reason") for f in self.findings}
        for one in caught:
            reason = str(one.message)[:300]
            if (
                reason in known
                or _MEASURES.search(reason)
                or not issubclass(one.category, UserWarning | RuntimeWarning)
            ):
                continue
            if len([f for f in self.findings if f.code == "GC-129"]) < _WARNINGS_MAX:
                self.findings.append(Finding.of("GC-129", path=self.name, reason=reason))
            known.add(reason)


def choose_layer(name: str, dsn: str, wanted: str | None) -> tuple[str | None, list[Finding]]:
    """The layer to read: the wanted one, the only one, or the only one with rows (GC-115).

    Raises UnreadableFile: GC-102, GC-105 not openable, GC-107 no layer, GC-108 several, GC-114 no such layer.
    """
    with _errors(name), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            layers = [str(n) for n, _ in pyogrio.list_layers(dsn)]
        except UnicodeDecodeError:
            return None, []
    if wanted is not None:
        if wanted not in layers:
            raise refuse(Finding.of("GC-114", path=name, layer=wanted, layers=", ".join(layers)))
        return wanted, []
    candidates = [n for n in layers if n.casefold() not in _HOUSEKEEPING]
    if len(candidates) == 1:
        return candidates[0], []
    if not candidates:
        raise refuse(Finding.of("GC-107", path=name))
    counts = {}
    for layer in candidates:
        with _errors(name), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            counts[layer] = int(pyogrio.read_info(dsn, layer=layer, force_feature_count=True)["features"])
    filled = [n for n, rows in counts.items() if rows]
    if len(filled) == 1:
        others = ", ".join(n for n in layers if n != filled[0])
        return filled[0], [Finding.of("GC-115", layer=filled[0], others=others)]
    listed = ", ".join(f"{n} ({counts[n]})" for n in candidates)
    raise refuse(Finding.of("GC-108", path=name, count=len(candidates), layers=listed))


def harden() -> None:
    """Tell GDAL to stay off the network: no schemas fetched, no remote file systems, and a proxy that is not there."""
    pyogrio.set_gdal_config_options(
        {
            "GML_DOWNLOAD_SCHEMA": "NO",
            "GML_SKIP_RESOLVE_ELEMS": "ALL",
            "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
            "CPL_VSIL_CURL_USE_HEAD": "NO",
            "GDAL_HTTP_PROXY": "127.0.0.1:9",
            "GDAL_HTTP_TIMEOUT": "1",
            "GDAL_HTTP_CONNECTTIMEOUT": "1",
            "OGR_INTERLEAVED_READING": "NO",
        }
    )


@contextmanager
def _errors(name: str) -> Iterator[None]:
    """GDAL's errors as numbered refusals."""
    try:
        yield
    except (DataSourceError, DataLayerError) as exc:
        reason = re.sub(r"'[^']*/([^/']+)'", r"\1", str(exc))
        reason = re.sub(r"(?:/[^\s/]+)+/[\w.]+\.cpp, \d+: ", "", reason)
        reason = reason.split("; It might help")[0][:300]
        code = "GC-105" if _SYNTAX.search(reason) else "GC-102"
        raise refuse(Finding.of(code, path=name, reason=reason)) from exc
    except (pa.ArrowException, OSError, UnboundLocalError, UnicodeDecodeError) as exc:
        # UnboundLocalError: pyogrio's for a coordinate system that GDAL cannot write out as text.
        raise refuse(Finding.of("GC-105", path=name, reason=str(exc)[:300])) from exc


def _array(column: NDArray[Any]) -> pa.Array:
    """An Arrow column of a numpy one; text stays one character a byte."""
    if column.dtype == object:
        return pa.array([None if v is None else v if isinstance(v, bytes) else str(v) for v in column])
    if np.issubdtype(column.dtype, np.floating):
        return pa.array(column, from_pandas=True)
    return pa.array(column)
