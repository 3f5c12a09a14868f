# SPDX-License-Identifier: Apache-2.0
"""What a reader gives: a Source with its fields, and its rows in batches of bounded size."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import pyarrow as pa
from numpy.typing import NDArray

from geocloud.ingest.encoding import Encoding
from geocloud.ingest.report import Finding

__all__ = ["Batch", "FieldKind", "Source", "SourceField", "Workspace", "kind_of"]

FieldKind = Literal["text", "integer", "number", "boolean", "date", "time", "datetime", "binary"]


@dataclass(frozen=True, slots=True)
class SourceField:
    """A field as the source has it. `truncated`: the name was cut at the ten bytes of a dBASE header."""

    name: str
    type: FieldKind
    truncated: bool = False


@dataclass(slots=True)
class Batch:
    """Consecutive rows of a source.

    `start_row` rows come before it, so that record i of the batch (from 0) is row `start_row + i + 1` of
    findings. `table` has one column a field, in their order, without the geometry; as a table without
    columns has no length, `rows` says how many there are. `geometry` is an object array of `rows` shapely
    geometries in the source's own coordinates, x and y as they stand in the file, None where a row has
    none, or None when the source has no geometry at all. Tables read from text (CSV, XLSX) have text
    columns only. A row named by an error among `findings` is in the batch nonetheless: whoever loads it
    sets it aside.
    """

    start_row: int
    rows: int
    table: pa.Table
    geometry: NDArray[Any] | None
    findings: list[Finding] = field(default_factory=list)


class Workspace:
    """A temporary folder that is made when first needed and removed with the source."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._parts = 0

    def folder(self) -> Path:
        """A fresh folder inside the workspace."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="geocloud-ingest-")
        self._parts += 1
        path = Path(self._folder.name) / str(self._parts)
        path.mkdir()
        return path

    def close(self) -> None:
        """Remove the folder; the second time does nothing."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


class Source(ABC):
    """One layer of a file, opened for reading; a context manager that removes what it unpacked.

    `name` is what the person calls the file. `crs` is the declared coordinate system (`EPSG:4548` or WKT),
    None when nothing is declared; `crs_by_format` is True when not the file but its format says so (GeoJSON
    without a `crs` member). `geometry_type` is the driver's name of it, None for a table without geometry.
    `count` is the number of rows when the format tells without reading them. `findings` concern the file;
    those of rows come with the batches, and what only the end of reading shows comes with the last one.
    """

    name: str
    path: Path
    driver: str
    layer: str | None
    fields: tuple[SourceField, ...]
    crs: str | None = None
    crs_by_format: bool = False
    geometry_type: str | None = None
    count: int | None = None
    encoding: Encoding | None = None
    # Columns that hold the position of a table, and remarks on the coordinate system found in the file.
    coordinate_columns: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    # The lines of a CSV or cells of a sheet that lie before the first row, for a person who counts lines.
    header_lines: int = 0

    def __init__(self, name: str, path: Path, workspace: Workspace) -> None:
        self.name, self.path = name, path
        self.findings: list[Finding] = []
        self.workspace = workspace

    @abstractmethod
    def batches(self, rows: int = 50_000) -> Iterator[Batch]:
        """The rows from the first on, at most `rows` at a time; may be called again for another pass."""

    def bounds(self) -> tuple[float, float, float, float] | None:
        """West, south, east, north in the source's coordinates when the format tells without reading all rows."""
        return None

    @property
    def hints(self) -> tuple[str, ...]:
        """Names a person chose for file, layer and coordinate columns or else all fields, and remarks.

        The CRS doctor reads them.
        """
        columns = self.coordinate_columns or tuple(f.name for f in self.fields)
        return tuple(n for n in (Path(self.name).name, self.layer, *columns, *self.remarks) if n)

    def close(self) -> None:
        """Remove what was unpacked for this source."""
        self.workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def kind_of(type_: pa.DataType) -> FieldKind:
    """The kind of a field from its Arrow type; nested types are read as text."""
    return next((kind for test, kind in _KINDS if test(type_)), "text")


_KINDS: tuple[tuple[Callable[[pa.DataType], bool], FieldKind], ...] = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_integer, "integer"),
    (pa.types.is_floating, "number"),
    (pa.types.is_decimal, "number"),
    (pa.types.is_date, "date"),
    (pa.types.is_time, "time"),
    (pa.types.is_timestamp, "datetime"),
    (pa.types.is_binary, "binary"),
    (pa.types.is_large_binary, "binary"),
    (pa.types.is_fixed_size_binary, "binary"),
)
