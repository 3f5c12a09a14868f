# SPDX-License-Identifier: Apache-2.0
"""Tables as text: CSV, TSV and their kin with any separator, and XLSX, streamed row by row.

All columns are text: an administrative code keeps its leading zero, and what a field's type is, the
layer's definition says. Whole numbers of a sheet are written without `.0`, dates as ISO 8601.
"""

from __future__ import annotations

import csv
import datetime
import io
import itertools
import zipfile
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from geocloud.ingest.attributes import unique_names
from geocloud.ingest.coordinates import Coordinates, parse_number
from geocloud.ingest.encoding import decide, sample_text
from geocloud.ingest.report import Finding, refuse
from geocloud.ingest.source import Batch, Source, SourceField, Workspace
from geocloud.settings import IngestSettings

__all__ = ["CsvSource", "XlsxSource", "looks_like_table"]

Row = Sequence[str | None]
_DELIMITERS = (",", "\t", ";", "|", "，")
_SNIFF_BYTES = 256 * 1024
_SNIFF_ROWS = 100
_LONGEST_CELL = 1 << 28
_HEADER_WITHIN = 20


class _Table(Source):
    """What CSV and XLSX share: a header, rows as texts, coordinate columns."""

    layer: str | None = None

    @abstractmethod
    def _rows(self) -> Iterator[list[str | None]]:
        """All rows from the first line of the file on, without empty ones."""

    def _open(self) -> None:
        head = list(itertools.islice(self._rows(), _HEADER_WITHIN + 1))
        if not head:
            raise refuse(Finding.of("GC-107", path=self.name))
        # A title over the table is a row with one cell.
        widest = max(sum(c is not None for c in row) for row in head)
        skip = 0
        while skip < len(head) - 1 and widest > 1 and sum(c is not None for c in head[skip]) <= 1:
            skip += 1
        header = list(head[skip])
        while header and header[-1] is None:
            header.pop()
        named = [c for c in header if c is not None]
        if not named or all(parse_number(c) is not None for c in named):
            raise refuse(Finding.of("GC-135", path=self.name))
        names, renamed = unique_names([_legal(c or "") for c in header])
        self.findings += renamed
        self.findings += [Finding.of("GC-207", field=n) for n in names if "\ufffd" in n]
        self.header_lines = skip + 1
        self.fields = tuple(SourceField(n, "text") for n in names)
        self._points = Coordinates.find(self)

    def batches(self, rows: int = 50_000) -> Iterator[Batch]:
        stream = itertools.islice(self._rows(), self.header_lines, None)
        start, width = 0, len(self.fields)
        while chunk := list(itertools.islice(stream, rows)):
            findings: list[Finding] = []
            for i, row in enumerate(chunk):
                if len(row) != width:
                    chunk[i] = _fitted(row, width, start + i + 1, findings)
            columns = [
                self._column([row[k] for row in chunk], field.name, start, findings)
                for k, field in enumerate(self.fields)
            ]
            table = pa.Table.from_arrays(columns, names=[f.name for f in self.fields])
            geometry = None
            if self._points is not None:
                geometry, found = self._points.read(table, start)
                findings += found
            yield Batch(start, len(chunk), table, geometry, findings)
            start += len(chunk)

    def _column(self, values: list[str | None], name: str, start: int, findings: list[Finding]) -> pa.Array:
        try:
            return pa.array(values, pa.string())
        except UnicodeEncodeError:
            encoding = self.encoding.name if self.encoding else "?"
            for i, value in enumerate(values):
                if value is not None and (clean := _legal(value)) != value:
                    values[i] = clean
                    findings.append(
                        Finding.of("GC-205", start + i + 1, field=name, encoding=encoding, value=clean[:40])
                    )
            return pa.array(values, pa.string())


class CsvSource(_Table):
    """A delimited text file; encoding and separator are found from its content."""

    driver = "CSV"

    def __init__(self, name: str, path: Path, workspace: Workspace, encoding: str | None = None) -> None:
        super().__init__(name, path, workspace)
        lines, mark = sample_text(path)
        if mark is not None and mark.startswith(("UTF-16", "UTF-32")):
            self.encoding = decide([], mark, "byte order mark", encoding)
        else:
            self.encoding = decide(lines, mark, "byte order mark", encoding)
        self.findings += self.encoding.findings
        self.delimiter, self._skip_first = _dialect(self._head())
        self._open()

    def _head(self) -> str:
        with self.path.open("rb") as stream:
            raw = stream.read(_SNIFF_BYTES)
        text = raw.decode(self._codec, errors="ignore").removeprefix("\ufeff")
        whole = len(raw) < _SNIFF_BYTES
        return text if whole else text[: text.rfind("\n") + 1]

    @property
    def _codec(self) -> str:
        return self.encoding.codec if self.encoding is not None else "utf-8"

    def _rows(self) -> Iterator[list[str | None]]:
        csv.field_size_limit(_LONGEST_CELL)
        codec = "utf-8-sig" if self._codec.upper() == "UTF-8" else self._codec
        errors = "replace" if codec.upper().startswith(("UTF-16", "UTF-32")) else "surrogateescape"
        with self.path.open(encoding=codec, errors=errors, newline="") as stream:
            try:
                if self._skip_first:
                    next(stream, None)
                for row in csv.reader(stream, delimiter=self.delimiter):
                    if any(row):
                        yield [cell or None for cell in row]
            except csv.Error as exc:
                raise refuse(Finding.of("GC-105", path=self.name, reason=str(exc))) from exc


class XlsxSource(_Table):
    """One sheet of a workbook (OOXML); values as last calculated, formulas are not run."""

    driver = "XLSX"

    def __init__(
        self, name: str, path: Path, workspace: Workspace, layer: str | None, settings: IngestSettings
    ) -> None:
        super().__init__(name, path, workspace)
        _within_limits(name, path, settings)
        with _workbook(name, path) as book:
            sheets = [s.title for s in book.worksheets if any(any(c is not None for c in r) for r in _top(s))]
            every = [s.title for s in book.worksheets]
        if layer is not None and layer not in every:
            raise refuse(Finding.of("GC-114", path=name, layer=layer, layers=", ".join(every)))
        if layer is None and len(sheets) > 1:
            raise refuse(Finding.of("GC-108", path=name, count=len(sheets), layers=", ".join(sheets)))
        if layer is None and not sheets:
            raise refuse(Finding.of("GC-107", path=name))
        self.layer = layer or sheets[0]
        self._open()

    def _rows(self) -> Iterator[list[str | None]]:
        with _workbook(self.name, self.path) as book:
            for row in book[str(self.layer)].iter_rows(values_only=True):
                cells = [_cell(v) for v in row]
                if any(c is not None for c in cells):
                    yield cells


def looks_like_table(path: Path) -> bool:
    """Whether a text file without a telling suffix is a delimited table: two columns or more in nearly every line."""
    lines, mark = sample_text(path)
    with path.open("rb") as stream:
        raw = stream.read(_SNIFF_BYTES)
    if b"\x00" in raw and not (mark or "").startswith(("UTF-16", "UTF-32")):
        return False
    text = raw.decode(decide(lines, mark).codec, errors="ignore")
    rows = text.splitlines()[:_SNIFF_ROWS]
    share, columns = _consistency(rows, _dialect(text)[0])
    return len(rows) > 1 and columns > 1 and share >= 0.9


class _workbook:  # noqa: N801  (a context manager used like a function)
    """An open workbook; what openpyxl cannot read is GC-105."""

    def __init__(self, name: str, path: Path) -> None:
        try:
            import openpyxl

            self._book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
        except Exception as exc:  # openpyxl raises whatever its XML and zip parsers do
            raise refuse(Finding.of("GC-105", path=name, reason=str(exc)[:200] or type(exc).__name__)) from exc

    def __enter__(self) -> Any:
        return self._book

    def __exit__(self, *_: object) -> None:
        self._book.close()


def _legal(text: str) -> str:
    """Bytes that could not be decoded (kept as lone surrogates) as U+FFFD."""
    return "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c for c in text)


def _top(sheet: Any) -> Iterator[tuple[Any, ...]]:
    return itertools.islice(sheet.iter_rows(values_only=True), 50)  # type: ignore[no-any-return]


def _within_limits(name: str, path: Path, settings: IngestSettings) -> None:
    try:
        with zipfile.ZipFile(path) as box:
            size, entries = sum(i.file_size for i in box.infolist()), len(box.infolist())
    except zipfile.BadZipFile as exc:
        raise refuse(Finding.of("GC-105", path=name, reason=str(exc))) from exc
    mb = size >> 20
    over = mb > settings.archive_max_mb or (mb > 100 and size > path.stat().st_size * settings.archive_ratio_max)
    if over or entries > settings.archive_entries_max:
        raise refuse(
            Finding.of(
                "GC-110",
                path=name,
                reason={"en": f"{entries} parts of {mb} MB", "zh": f"含 {entries} 个部分共 {mb} MB"},
            )
        )


def _cell(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    text = str(value).strip()
    return text or None


def _fitted(row: list[str | None], width: int, number: int, findings: list[Finding]) -> list[str | None]:
    """A row as long as the header: empty cells fill it or fall off; GC-128 says when something was lost."""
    if len(row) < width:
        if row[-1:] != [None]:
            findings.append(_cells(number, len(row), width))
        return row + [None] * (width - len(row))
    if any(c is not None for c in row[width:]):
        findings.append(_cells(number, len(row), width))
    return row[:width]


def _cells(number: int, cells: int, columns: int) -> Finding:
    found = Finding.of("GC-128", number, cells=cells, columns=columns)
    # Cells that are not there are taken as empty; cells too many have no field to go to.
    return found if cells > columns else Finding(found.code, number, None, None, found.facts, "warning")


def _dialect(text: str) -> tuple[str, bool]:
    """The separator, and whether the first line is Excel's `sep=` line."""
    first = text.split("\n", 1)[0].strip().strip('"')
    if first.casefold().startswith("sep=") and len(first) == 5:
        return first[4], True
    rows = text.splitlines()[:_SNIFF_ROWS]
    scored = {d: _consistency(rows, d) for d in _DELIMITERS}
    return max(_DELIMITERS, key=lambda d: (scored[d][1] > 1, round(scored[d][0], 1), scored[d][1])), False


def _consistency(rows: list[str], delimiter: str) -> tuple[float, int]:
    """The share of rows with the usual number of cells, and that number."""
    csv.field_size_limit(_LONGEST_CELL)
    try:
        widths = [len(r) for r in csv.reader(io.StringIO("\n".join(rows)), delimiter=delimiter) if r]
    except csv.Error:
        return 0.0, 0
    if not widths:
        return 0.0, 0
    usual, count = Counter(widths).most_common(1)[0]
    return count / len(widths), usual
