# SPDX-License-Identifier: Apache-2.0
"""Drafts of features held to the layer's numbered rules, and the columns to be written.

The rules, and the repair of geometry, are those of a loaded file; a JSON value must be of its field's own JSON type.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.features.body import Draft
from geocloud.features.geojson import place
from geocloud.features.violation import Violation
from geocloud.geodesy.crs import Crs
from geocloud.rules.checker import VALID_FROM, Checker, ColumnMap
from geocloud.rules.collector import Collector
from geocloud.rules.convert import type_names
from geocloud.rules.findings import Finding
from geocloud.rules.repair import repair

__all__ = ["Rows", "RuleBook", "sql_type"]

_ARROW = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
_SQL = {"text": "text", "integer": "bigint", "number": "float8", "boolean": "boolean"}
_SHOWN = 80


@dataclasses.dataclass
class Rows:
    """Columns to write: values by field name, each as long as there are rows; `geometry` as WKB, None to leave it."""

    count: int
    values: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
    geometry: list[bytes | None] | None = None
    notes: list[Violation] = dataclasses.field(default_factory=list)
    """Warnings and infos: written, but worth a look."""


class RuleBook:
    """The rules of each layer, made ready once for as long as its definition stays."""

    def __init__(self, city_bbox: tuple[float, float, float, float]) -> None:
        self._bbox = city_bbox
        self._known: dict[str, tuple[Layer, Checker]] = {}

    def check(
        self, layer: Layer, drafts: Sequence[Draft], system: Crs, valid_from: datetime | None, *, whole: bool
    ) -> tuple[Rows, list[Violation]]:
        """The rows of the drafts, and every violation of the layer's rules.

        `whole`: all visible fields are written, those a draft does not have as null; otherwise only the fields of the
        one draft. `system` is the CRS of the drafts' geometries, `valid_from` the date from which codes must be valid.
        """
        found = Collector(0, len(drafts), listed=1_000)
        names = [f.name for f in layer.spec.visible_fields if whole or f.name in drafts[0].properties]
        raw = {n: _column(layer.spec.field(n), drafts, found) for n in names}
        wrong = {(f.row, f.field) for f in found.findings}
        # A column without any value can only break the rule that asks for one.
        needed = [n for n in names if _is_required(layer, n) or any(v is not None for v in raw[n])]
        table = {n: _arrow(layer.spec.field(n), raw[n]) for n in needed}
        start = None
        if valid_from is not None:
            start, table[VALID_FROM] = VALID_FROM, pa.array([valid_from] * len(drafts), pa.timestamp("us", "UTC"))
        checker = self._checker(layer).over(ColumnMap({n: n for n in needed}, start))
        checked = checker.check(pa.table(table), found) if table else pa.table({})
        rows = Rows(len(drafts))
        for n in names:
            rows.values[n] = _python(checked.column(n)) if n in needed else [None] * len(drafts)
        if any(d.has_geometry for d in drafts):
            rows.geometry = self._geometry(layer, drafts, system, checker, found)
        # What was of the wrong type reached the rules as no value.
        listed = [f for f in found.findings if f.code != "GC-501" or (f.row, f.field) not in wrong]
        problems = [_said(drafts, f) for f in listed]
        rows.notes = [v for v in problems if v.severity != "error"]
        return rows, [v for v in problems if v.severity == "error"] + _repeated(layer, drafts, rows)

    def _geometry(
        self, layer: Layer, drafts: Sequence[Draft], system: Crs, checker: Checker, found: Collector
    ) -> list[bytes | None]:
        own = Collector(0, len(drafts), listed=1_000)
        shapes = repair(place([d.geometry for d in drafts], system), layer.spec.geometry, own)
        checker.geometry(shapes, own)
        found.take(own.findings)
        return [None if g is None else bytes(shapely.to_wkb(g)) for g in shapes.array]

    def _checker(self, layer: Layer) -> Checker:
        kept = self._known.get(layer.id)
        if kept is None or kept[0].spec != layer.spec or kept[0].codes != layer.codes:
            checker = Checker(layer.spec, layer.codes, ColumnMap({}), city_bbox=self._bbox)
            kept = self._known[layer.id] = (layer, checker)
        return kept[1]


def sql_type(f: FieldSpec) -> str:
    """The type a column of values is sent in; dates travel as text, because drivers take the first for infinity."""
    return _SQL.get(f.type, "text")


def _is_required(layer: Layer, name: str) -> bool:
    return name in layer.spec.key or layer.spec.field(name).required


def _column(f: FieldSpec, drafts: Sequence[Draft], found: Collector) -> list[Any]:
    out, failed = [], np.zeros(len(drafts), dtype=bool)
    for i, draft in enumerate(drafts):
        value = draft.properties.get(f.name)
        typed = _typed(f, value)
        failed[i] = typed is None and value is not None
        out.append(typed)
    if failed.any():
        zh, en = type_names(f.type)
        found.mark(
            "GC-502",
            failed,
            lambda i: {"value": _shown(drafts[i].properties[f.name]), "type_zh": zh, "type_en": en},
            field=f.name,
        )
    return out


def _typed(f: FieldSpec, value: Any) -> Any:
    """The value when its JSON type is the field's, else None."""
    if f.type in ("text", "date", "datetime"):
        return value if isinstance(value, str) and "\0" not in value else None
    if f.type == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if f.type == "number":
        return float(value) if math.isfinite(value) else None
    # A float beyond 2**53 need not be the whole number that was written.
    exact = isinstance(value, int) or (value.is_integer() and abs(value) <= 2**53)
    return int(value) if exact and -(2**63) <= value < 2**63 else None


def _arrow(f: FieldSpec, values: list[Any]) -> pa.Array:
    return pa.array(values, _ARROW.get(f.type, pa.string()))


def _python(column: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_date(column.type):
        return [None if v is None else v.isoformat() for v in values]
    if pa.types.is_timestamp(column.type):
        return [None if v is None else v.astimezone(UTC).isoformat() for v in values]
    return values


def _repeated(layer: Layer, drafts: Sequence[Draft], rows: Rows) -> list[Violation]:
    """Rule GC-601 within one body: a key that an earlier feature has."""
    out: list[Violation] = []
    first: dict[tuple[Any, ...], int] = {}
    if len(drafts) < 2:
        return out
    for i, key in enumerate(zip(*(rows.values[k] for k in layer.spec.key), strict=True)):
        before = first.setdefault(key, i)
        if before != i and None not in key:
            finding = Finding.of("GC-601", i + 1, key=", ".join(map(str, key)), first=before + 1)
            out.append(dataclasses.replace(_said(drafts, finding), pointer=f"{drafts[i].pointer}/properties"))
    return out


def _said(drafts: Sequence[Draft], finding: Finding) -> Violation:
    pointer = drafts[(finding.row or 1) - 1].pointer
    if finding.field is not None:
        pointer += f"/properties/{finding.field}"
    elif finding.code.startswith("GC-4"):
        pointer += "/geometry"
    return Violation(pointer, finding.code, finding.message("en"), finding.message("zh"), finding.severity)


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
