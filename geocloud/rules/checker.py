# SPDX-License-Identifier: Apache-2.0
"""Checks rows against a layer's definition (规则检查), a batch at a time, on whole columns."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.spec import CodeList, FieldSpec, FieldType, LayerSpec
from geocloud.geodesy.area import areas
from geocloud.rules.collector import Collector
from geocloud.rules.convert import INSTANT, convert, type_names
from geocloud.rules.findings import Finding
from geocloud.rules.repair import Shapes

__all__ = ["Checker", "ColumnMap", "VALID_FROM", "VALID_TO"]

Mask = NDArray[np.bool_]
VALID_FROM, VALID_TO = "valid_from", "valid_to"
_SHOWN_CHARS = 80


@dataclass(frozen=True)
class ColumnMap:
    """Source column by field name, the columns of valid time, and what is to be said about the columns."""

    columns: Mapping[str, str]
    start: str | None = None
    end: str | None = None
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class _Codes:
    """A code list made ready: what counts as a code, wordings that stand for one, and when codes are valid."""

    spec: CodeList
    known: pa.Array
    wordings: pa.Array
    stands_for: pa.Array
    dated: Mapping[str, tuple[date | None, date | None]]


class Checker:
    """The rules of one layer, ready for many batches; safe to use from several threads.

    `city_bbox` is lon/lat west, south, east, north in degrees; rows wholly outside it get a warning.
    """

    def __init__(
        self,
        spec: LayerSpec,
        codes: Mapping[str, CodeList],
        columns: ColumnMap,
        *,
        city_bbox: tuple[float, float, float, float] | None = None,
        today: date | None = None,
    ) -> None:
        self._spec = spec
        self._columns = columns
        self._bbox = city_bbox
        self._today = today or datetime.now(UTC).date()
        self._codes = {name: _ready(c) for name, c in codes.items()}
        self._patterns = {f.name: _for_arrow(f.pattern) for f in spec.fields if f.pattern}

    def over(self, columns: ColumnMap) -> Checker:
        """The same rules, made ready already, as of today over other columns."""
        other = copy.copy(self)
        other._columns, other._today = columns, datetime.now(UTC).date()
        return other

    def check(self, table: pa.Table, found: Collector) -> pa.Table:
        """The delivered fields in the layer's types and order, then valid_from and valid_to where delivered.

        As long as `table`; findings and rejected rows are in `found`.
        """
        out: dict[str, pa.Array] = {}
        times = self._times(table, found)
        for f in self._spec.fields:
            column = self._columns.columns.get(f.name)
            if column is not None:
                out[f.name] = self._field(f, column, table.column(column), times.get(VALID_FROM), found)
        return pa.table(out | times)

    def geometry(self, shapes: Shapes, found: Collector) -> None:
        """Rules about places, of geometries that have been repaired: outside the city, slivers."""
        if self._bbox is not None and len(shapes):
            west, south, east, north = self._bbox
            box = shapes.boxes
            with np.errstate(invalid="ignore"):
                apart = (box[:, 0] > east) | (box[:, 2] < west) | (box[:, 1] > north) | (box[:, 3] < south)
            found.mark("GC-414", apart)
        limit = self._spec.min_area_m2
        if limit is not None and self._spec.geometry in ("polygon", "multipolygon", "geometry"):
            self._slivers(shapes, limit, found)

    def _slivers(self, shapes: Shapes, limit: float, found: Collector) -> None:
        # A box on the ellipsoid is never smaller than what it holds; only small candidates are measured exactly.
        middle = (shapes.boxes[:, 1] + shapes.boxes[:, 3]) / 2
        with np.errstate(invalid="ignore"):
            rough = shapely.area(shapes.array) * 111_700.0**2 * np.cos(np.radians(middle))
            near = np.flatnonzero((rough < limit * 1.05) & np.isin(shapes.kinds, (3, 6)))
        if not len(near):
            return
        exact = np.full(len(shapes), np.inf)
        exact[near] = areas(shapes.array[near])
        found.mark("GC-415", exact < limit, lambda i: {"area_m2": round(float(exact[i]), 2), "limit_m2": limit})

    def _field(
        self, f: FieldSpec, column: str, raw: pa.ChunkedArray, start: pa.Array | None, found: Collector
    ) -> pa.Array:
        got = convert(raw, f.type)
        values = got.values
        found.mark("GC-502", got.failed, _unconvertible(raw, f.type), field=column)
        found.mark("GC-515", got.trimmed, field=column)
        found.mark("GC-516", got.not_finite, field=column)
        if (f.required or f.name in self._spec.key) and values.null_count:
            found.mark("GC-501", _np(values.is_null()) & ~got.failed, field=column)
        if f.type == "text":
            values = self._text(f, column, values, start, found)
        if f.minimum is not None or f.maximum is not None:
            outside = np.zeros(len(values), dtype=bool)
            if f.minimum is not None:
                outside |= _np(pc.less(values, f.minimum))
            if f.maximum is not None:
                outside |= _np(pc.greater(values, f.maximum))
            bounds = {"minimum": _bound(f.minimum), "maximum": _bound(f.maximum)}
            found.mark("GC-505", outside, lambda i: {"value": values[i].as_py(), **bounds}, field=column)
        return values

    def _text(self, f: FieldSpec, column: str, values: pa.Array, start: pa.Array | None, found: Collector) -> pa.Array:
        codes = self._codes.get(f.codes) if f.codes else None
        if codes is not None:
            values = self._coded(codes, column, values, start, found)
        if f.max_length is not None:
            length = pc.utf8_length(values)
            limit = f.max_length
            found.mark(
                "GC-503", _np(pc.greater(length, limit)), lambda i: {"length": length[i].as_py(), "limit": limit},
                field=column,
            )  # fmt: skip
        if f.pattern is not None:
            wrong = ~_matches(values, f.pattern, self._patterns[f.name])
            found.mark(
                "GC-504", wrong, lambda i: {"value": _shown(values[i].as_py()), "pattern": f.pattern}, field=column
            )
        return values

    def _coded(
        self, codes: _Codes, column: str, values: pa.Array, start: pa.Array | None, found: Collector
    ) -> pa.Array:
        unknown = pc.and_(values.is_valid(), pc.invert(pc.is_in(values, value_set=codes.known)))
        if pc.any(unknown).as_py():
            place = pc.index_in(values, value_set=codes.wordings)
            worded = pc.and_(unknown, place.is_valid())
            if pc.any(worded).as_py():
                meant = codes.stands_for.take(place)
                raw = values
                found.mark(
                    "GC-517", _np(worded), lambda i: {"value": _shown(raw[i].as_py()), "code_value": meant[i].as_py()},
                    field=column,
                )  # fmt: skip
                values = pc.if_else(worded, meant, values)
                unknown = pc.and_(unknown, pc.invert(worded))
            rule = "GC-506" if codes.spec.closed else "GC-507"
            found.mark(
                rule, _np(unknown), lambda i: {"value": _shown(values[i].as_py()), "codes": codes.spec.name},
                field=column,
            )  # fmt: skip
        for code, (begin, end) in codes.dated.items():
            here = _np(pc.equal(values, code))
            if here.any():
                day = _days(start, len(values), self._today)
                wrong = here & ((day < np.datetime64(begin)) if begin else False)
                wrong |= here & ((day >= np.datetime64(end)) if end else False)
                found.mark("GC-508", wrong, lambda i, d=day, c=code: {"value": c, "date": str(d[i])}, field=column)  # type: ignore[misc]
        return values

    def _times(self, table: pa.Table, found: Collector) -> dict[str, pa.Array]:
        out: dict[str, pa.Array] = {}
        for name, column in ((VALID_FROM, self._columns.start), (VALID_TO, self._columns.end)):
            if column is None:
                continue
            raw = table.column(column)
            got = convert(raw, "datetime")
            found.mark("GC-502", got.failed, _unconvertible(raw, "datetime"), field=column)
            out[name] = got.values.cast(INSTANT)
        if len(out) == 2:
            start, end = out[VALID_FROM], out[VALID_TO]
            found.mark(
                "GC-512", _np(pc.less_equal(end, start)),
                lambda i: {"start": str(start[i].as_py()), "end": str(end[i].as_py())},
            )  # fmt: skip
        return out


def _ready(spec: CodeList) -> _Codes:
    known = {c.code for c in spec.codes}
    words: dict[str, str] = {}
    doubtful: set[str] = set()
    for c in spec.codes:
        for word in (c.title.zh, c.title.en, *c.aliases):
            if words.setdefault(word, c.code) != c.code:
                doubtful.add(word)
    words = {w: c for w, c in words.items() if w not in known and w not in doubtful}
    dated = {c.code: (c.valid_from, c.valid_to) for c in spec.codes if c.valid_from or c.valid_to}
    return _Codes(
        spec, pa.array(sorted(known), pa.string()), pa.array(list(words), pa.string()),
        pa.array(list(words.values()), pa.string()), dated,
    )  # fmt: skip


def _for_arrow(pattern: str) -> str | None:
    """The pattern for the whole text in the notation of Arrow's RE2; None where RE2 cannot do it.

    Classes such as digits and word characters are those of ASCII, as in JSON Schema's patterns.
    """
    whole = rf"\A(?:{pattern})\z"
    try:
        pc.match_substring_regex(pa.array(["x"]), whole)
    except pa.ArrowInvalid:
        return None
    return whole


def _matches(values: pa.Array, pattern: str, arrow: str | None) -> Mask:
    """True where the value is null or the whole text matches."""
    if arrow is not None:
        out: Mask = pc.match_substring_regex(values, arrow).fill_null(True).to_numpy(zero_copy_only=False)
        return out
    compiled = re.compile(pattern, re.ASCII)
    return np.array([v is None or compiled.fullmatch(v) is not None for v in values.to_pylist()], dtype=bool)


def _np(condition: pa.Array) -> Mask:
    out: Mask = condition.fill_null(False).to_numpy(zero_copy_only=False)
    return out


def _days(start: pa.Array | None, rows: int, today: date) -> NDArray[np.datetime64]:
    """The day in Beijing each row is about: the start of its valid time, else today."""
    if start is None:
        return np.full(rows, np.datetime64(today))
    local = start.to_numpy(zero_copy_only=False).astype("datetime64[s]") + np.timedelta64(8, "h")
    out: NDArray[np.datetime64] = local.astype("datetime64[D]")
    out[np.isnat(out)] = np.datetime64(today)
    return out


def _unconvertible(raw: pa.ChunkedArray, kind: FieldType) -> Callable[[int], dict[str, Any]]:
    zh, en = type_names(kind)
    return lambda i: {"value": _shown(raw[i].as_py()), "type_zh": zh, "type_en": en}


def _bound(value: float | None) -> str:
    return "∞" if value is None else f"{value:g}"


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
