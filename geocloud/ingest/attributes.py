# SPDX-License-Identifier: Apache-2.0
"""Columns of a source as the loader wants them: unique names, simple types, text decoded with findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from geocloud.ingest.encoding import Encoding, decode
from geocloud.ingest.report import Finding
from geocloud.ingest.source import SourceField, kind_of

__all__ = ["Columns", "unique_names"]

_SHOWN = 40


class Columns:
    """How the columns of an Arrow schema become fields.

    `skip` are columns that are no attributes. With `encoding` the texts come as one character a byte
    (ISO 8859-1) and are decoded here, so that every byte that does not fit is found with its row; names
    are given decoded in `names` (the name and whether it was cut).
    """

    def __init__(
        self,
        schema: pa.Schema,
        *,
        skip: Collection[str | None] = (),
        encoding: Encoding | None = None,
        names: Callable[[str], tuple[str, bool]] | None = None,
    ) -> None:
        self._encoding = encoding
        self._indices = [i for i, f in enumerate(schema) if f.name not in skip]
        raw = [schema.field(i).name for i in self._indices]
        decoded = [names(n) if names else (n, False) for n in raw]
        unique, self.findings = unique_names([n for n, _ in decoded])
        self.fields = tuple(
            SourceField(name, kind_of(schema.field(i).type), cut)
            for i, name, (_, cut) in zip(self._indices, unique, decoded, strict=True)
        )
        for i, field in zip(self._indices, self.fields, strict=True):
            type_ = schema.field(i).type
            if field.truncated:
                self.findings.append(Finding.of("GC-204", field=field.name))
            if "\ufffd" in field.name:
                self.findings.append(Finding.of("GC-207", field=field.name))
            if pa.types.is_nested(type_):
                self.findings.append(Finding.of("GC-131", field=field.name, type=str(type_)))

    def read(self, batch: pa.RecordBatch | pa.Table, start_row: int) -> tuple[pa.Table, list[Finding]]:
        """The attribute table of a batch, and findings GC-205 and GC-206 with row numbers."""
        findings: list[Finding] = []
        arrays = []
        for i, field in zip(self._indices, self.fields, strict=True):
            column = batch.column(i)
            if isinstance(column, pa.ChunkedArray):
                column = column.combine_chunks()
            arrays.append(self._simple(column, field, start_row, findings))
        return pa.Table.from_arrays(arrays, names=[f.name for f in self.fields]), findings

    def _simple(self, column: pa.Array, field: SourceField, start_row: int, findings: list[Finding]) -> pa.Array:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_nested(column.type):
            return pa.array([None if v is None else _as_json(v) for v in column.to_pylist()], pa.string())
        if self._encoding is not None and field.type == "text":
            return _decoded(column, self._encoding, field.name, start_row, findings)
        return column


def unique_names(names: list[str]) -> tuple[list[str], list[Finding]]:
    """The names without edges of white space, made unique (`a`, `a_2`), empty ones `column_1`; with GC-130."""
    out: list[str] = []
    findings: list[Finding] = []
    taken = {n.strip() for n in names}
    seen: set[str] = set()
    for position, name in enumerate(names, 1):
        new = name.strip()
        if not new or new in seen:
            base, number = new or "column", 2 if new else position
            while f"{base}_{number}" in taken:
                number += 1
            new = f"{base}_{number}"
            taken.add(new)
            findings.append(Finding.of("GC-130", position=position, name=name, new=new))
        seen.add(new)
        out.append(new)
    return out, findings


def _decoded(column: pa.Array, encoding: Encoding, name: str, start_row: int, findings: list[Finding]) -> pa.Array:
    parts = column.dictionary_encode()
    if parts.dictionary.null_count == 0 and pc.all(pc.string_is_ascii(parts.dictionary)).as_py() is not False:
        return column.cast(pa.string())
    texts: list[str] = []
    problems: dict[int, tuple[str, str]] = {}
    for i, text in enumerate(parts.dictionary.to_pylist()):
        if text.isascii():
            texts.append(text)
            continue
        clear, problem = decode(text.encode("latin-1"), encoding)
        texts.append(clear)
        if problem is not None:
            problems[i] = (problem, clear)
    if problems:
        for row, index in enumerate(parts.indices.to_pylist()):
            if index in problems:
                problem, clear = problems[index]
                code = "GC-206" if problem == "cut" else "GC-205"
                findings.append(
                    Finding.of(code, start_row + row + 1, field=name, encoding=encoding.name, value=clear[:_SHOWN])
                )
    return pa.DictionaryArray.from_arrays(parts.indices, pa.array(texts, pa.string())).dictionary_decode()


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
