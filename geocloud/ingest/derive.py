# SPDX-License-Identifier: Apache-2.0
"""A source seen through a recipe: rows picked by value, cells filled, columns added, geometry left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geocloud.errors import IngestError
from geocloud.ingest.source import Batch, Source, SourceField

__all__ = ["DerivedSource"]

# Findings about coordinate columns (GC-120 .. GC-125) say nothing where the geometry is not used.
_COORDINATE_RULES = frozenset(f"GC-{n}" for n in range(120, 126))


class DerivedSource(Source):
    """Rows of another source whose `where` columns have the given text, with `add` columns, maybe without geometry.

    Empty cells of `fill` columns get the given text. A value of `add` is a text in which `{column}` stands for
    the row's value and `{row}` for its 1-based number in the file; columns of the same name are replaced. Rows
    are numbered after picking.
    """

    def __init__(
        self,
        inner: Source,
        *,
        where: Mapping[str, str] | None = None,
        add: Mapping[str, str] | None = None,
        fill: Mapping[str, str] | None = None,
        geometry: bool = True,
    ) -> None:
        super().__init__(inner.name, inner.path, inner.workspace)
        self._inner, self._geometry = inner, geometry
        self._where, self._add, self._fill = dict(where or {}), dict(add or {}), dict(fill or {})
        names = [f.name for f in inner.fields]
        for column in (*self._where, *self._fill):
            if column not in names:
                raise IngestError(
                    f"{inner.name} has no column `{column}`, which the recipe names.",
                    f"{inner.name} 中没有清单所说的列 {column}。",
                    todo_en=f"Its columns: {', '.join(names)}.",
                    todo_zh=f"列有:{'、'.join(names)}。",
                )
        self.driver, self.layer, self.encoding = inner.driver, inner.layer, inner.encoding
        kept = [f for f in inner.fields if f.name not in self._add]
        self.fields = (*kept, *(SourceField(name, "text") for name in self._add))
        self.crs, self.crs_by_format = (inner.crs, inner.crs_by_format) if geometry else (None, False)
        self.geometry_type = inner.geometry_type if geometry else None
        self.count = None if self._where else inner.count
        self.header_lines = inner.header_lines
        self.findings = [f for f in inner.findings if geometry or f.code not in _COORDINATE_RULES]

    def batches(self, rows: int = 50_000) -> Iterator[Batch]:
        """The picked rows, numbered from the first one on."""
        done = 0
        for batch in self._inner.batches(rows):
            out = self._batch(batch, done)
            done += out.rows
            yield out

    def _batch(self, batch: Batch, done: int) -> Batch:
        keep = np.ones(batch.rows, dtype=bool)
        for column, value in self._where.items():
            same = pc.equal(batch.table.column(column).cast(pa.string()), value)
            keep &= same.fill_null(False).to_numpy()
        places = np.flatnonzero(keep)
        table = batch.table.take(pa.array(places)) if len(places) < batch.rows else batch.table
        for name, value in self._fill.items():
            text = table.column(name).cast(pa.string())
            empty = pc.or_(text.is_null(), pc.equal(pc.utf8_trim_whitespace(text), "").fill_null(False))
            table = table.set_column(table.column_names.index(name), name, pc.if_else(empty, value, text))
        for name, template in self._add.items():
            values = pa.array(_filled(template, table, batch.start_row + places + 1), pa.string())
            columns = {c: table.column(c) for c in table.column_names}
            table = pa.table(columns | {name: values})
        table = table.select([f.name for f in self.fields])
        new_row = {int(p): done + i + 1 for i, p in enumerate(places)}
        findings = []
        for one in batch.findings:
            if not self._geometry and one.code in _COORDINATE_RULES:
                continue
            if one.row is None:
                findings.append(one)
            elif (i := one.row - batch.start_row - 1) in new_row:
                findings.append(one.shifted(new_row[i] - one.row))
        geometry = batch.geometry[places] if self._geometry and batch.geometry is not None else None
        return Batch(done, len(places), table, geometry, findings)


def _filled(template: str, table: pa.Table, numbers: Any) -> list[str]:
    if "{" not in template:
        return [template] * len(numbers)
    rows = table.to_pylist() or [{} for _ in numbers]
    try:
        return [
            template.format_map({k: "" if v is None else v for k, v in values.items()} | {"row": int(n)})
            for values, n in zip(rows, numbers, strict=True)
        ]
    except KeyError as exc:
        raise IngestError(
            f"`{template}` names column {exc}, which the file does not have.",
            f"“{template}”引用了文件中没有的列 {exc}。",
        ) from None
