# SPDX-License-Identifier: Apache-2.0
"""The query parameters `bbox`, `datetime` and `<field>=<value>` as SQL clauses (OGC 17-069r4, 7.15.3 to 7.15.5).

Each function takes a `Binder`, returns one condition over a layer's columns, and raises InvalidParameter naming the
parameter, what is wrong with it and what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import shapely

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.literals import (
    Box,
    bind_date,
    bind_instant,
    day_end,
    day_start,
    invalid,
    parse_date,
    parse_instant,
    read_box,
    read_number,
)
from geocloud.geodesy.crs import Crs

__all__ = [
    "TimeRange",
    "area_clause",
    "box_clause",
    "intersects",
    "parse_bbox",
    "parse_datetime",
    "parse_simple_filters",
    "read_datetime",
    "unknown_property",
]

_BIGINT = (-(2**63), 2**63 - 1)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Instants from `start` to `end` in UTC, None where open; `end_excluded` when `end` is the first instant after."""

    start: datetime | None
    end: datetime | None
    end_excluded: bool = False

    def clause(self, binder: Binder) -> str:
        """SQL that is true for rows whose valid time [valid_from, valid_to) shares an instant with the range."""
        parts = []
        if self.end is not None:
            operator = "<" if self.end_excluded else "<="
            parts.append(f'"valid_from" {operator} {bind_instant(binder, self.end)}')
        if self.start is not None:
            parts.append(f'"valid_to" > {bind_instant(binder, self.start)}')
        return f"({' AND '.join(parts)})" if parts else "TRUE"

    def range_clause(self, binder: Binder) -> str:
        """The same in the words of the index by place and time; empty where nothing is asked."""
        if self.start is not None and self.start == self.end:
            return f"tstzrange(valid_from, valid_to) @> {bind_instant(binder, self.start)}"
        if self.start is None and self.end is None:
            return ""
        start, end = ("NULL::timestamptz" if t is None else bind_instant(binder, t) for t in (self.start, self.end))
        ends = "[)" if self.end_excluded else "[]"
        return f"tstzrange(valid_from, valid_to) && tstzrange({start}, {end}, '{ends}')"


def parse_bbox(binder: Binder, text: str, layer: Layer, system: Crs | None = None) -> str:
    """SQL that is true for features meeting the box, its edges included, exactly and not by bounding boxes.

    `text` is four or six comma-separated numbers in the axis order of `system` (CRS84 when None), see `read_box`.
    Features without geometry are in no box.
    """
    numbers = [read_number(part.strip()) for part in text.split(",")] if len(text) <= 400 else []
    if len(numbers) not in (4, 6) or any(n is None for n in numbers):
        raise invalid(
            "bbox",
            f"`bbox` is `{text[:100]}`, not four or six comma-separated numbers.",
            f"bbox 的值“{text[:100]}”不是以逗号分隔的四个或六个数值。",
            "Write lower corner, then upper corner, such as 115.9,36.4,116.1,36.6.",
            "请先写下角点再写上角点,例如 115.9,36.4,116.1,36.6。",
        )
    areas = read_box([n for n in numbers if n is not None], system, "bbox")
    if layer.spec.geometry == "none":
        return "FALSE"
    clauses = [box_clause(binder, layer, a) if isinstance(a, Box) else area_clause(binder, layer, a) for a in areas]
    return clauses[0] if len(clauses) == 1 else f"({' OR '.join(clauses)})"


def box_clause(binder: Binder, layer: Layer, box: Box) -> str:
    """SQL that is true for features meeting a box in EPSG:4490 degrees.

    Points are compared with the box after the index, in PostgreSQL's own double-precision types, because `&&` alone
    works on boxes rounded to single precision and lets in points just outside.
    """
    if layer.spec.geometry != "point":
        return area_clause(binder, layer, box.geometry())
    west, south = binder.bind(box.west, "float8"), binder.bind(box.south, "float8")
    east, north = binder.bind(box.east, "float8"), binder.bind(box.north, "float8")
    return (
        f'("geom" && ST_MakeEnvelope({west}, {south}, {east}, {north}, 4490)'
        f' AND "geom"::point <@ box(point({west}, {south}), point({east}, {north})))'
    )


def area_clause(binder: Binder, layer: Layer, geometry: Any) -> str:
    """SQL that is true for features meeting a shapely geometry in EPSG:4490, x = longitude; uses the index."""
    placeholder = binder.bind(shapely.to_wkb(geometry, include_srid=False), "bytea")
    return intersects(layer, '"geom"', f"ST_GeomFromWKB({placeholder}, 4490)")


def intersects(layer: Layer, a: str, b: str) -> str:
    """SQL of two geometries meeting, the first perhaps a column of `layer`, the second of one kind.

    Collections, which only a layer of any geometry can hold, are taken apart: GEOS misses their points when the
    other geometry is a prepared line (seen with GEOS 3.11).
    """
    if layer.spec.geometry != "geometry":
        return f"ST_Intersects({a}, {b})"
    parts = f"EXISTS (SELECT FROM ST_Dump({a}) d WHERE ST_Intersects(d.geom, {b}))"
    test = f"CASE WHEN ST_GeometryType({a}) = 'ST_GeometryCollection' THEN {parts} ELSE ST_Intersects({a}, {b}) END"
    return f"({a} && {b} AND {test})"


def read_datetime(text: str, parameter: str = "datetime") -> TimeRange:
    """The instants that an instant or interval of RFC 3339 means (OGC 17-069r4, 7.15.4).

    A full-date is the whole day in Beijing time; ends are included; `..` or nothing leaves an end open.
    Raises InvalidParameter naming `parameter`.
    """
    parts = text.split("/")
    if len(parts) > 2 or all(p in ("", "..") for p in parts):
        raise _datetime_error(parameter, text)
    start, end = (None if p in ("", "..") else _moments(p, parameter) for p in (parts[0], parts[-1]))
    first = start[0] if start else None
    last, excluded = (end[1], end[2]) if end else (None, False)
    if first is not None and last is not None and (last < first or (excluded and last == first)):
        raise invalid(
            parameter,
            f"`{parameter}` ends before it starts: `{text[:100]}`.",
            f"{parameter} 的结束早于开始:“{text[:100]}”。",
            "Write the earlier instant first.",
            "请先写较早的时刻。",
        )
    return TimeRange(first, last, excluded)


def parse_datetime(binder: Binder, text: str) -> str:
    """SQL that is true for rows whose valid time shares an instant with `datetime`, see `read_datetime`."""
    return read_datetime(text).clause(binder)


def parse_simple_filters(binder: Binder, pairs: Iterable[tuple[str, str]], layer: Layer) -> list[str]:
    """One SQL condition for each `<field>=<value>`, all of which must hold (OGC 17-069r4, 7.15.5).

    Text must be equal; numbers, booleans (`true`, `false`), dates and instants are read in their JSON and RFC 3339
    forms; a date asked of a field with time of day means that day in Beijing. Raises InvalidParameter naming the
    field for a value of another type, a field given twice, or a name that is no queryable.
    """
    fields = {f.name: f for f in layer.spec.queryables}
    clauses: list[str] = []
    seen: set[str] = set()
    for name, value in pairs:
        found = fields.get(name)
        if found is None:
            raise unknown_property(name, layer, name)
        if name in seen:
            raise invalid(
                name,
                f"`{name}` is given more than once.",
                f"参数 {name} 重复出现。",
                "Give it once, or write a `filter` with IN.",
                "请只给一次,或改用 filter 的 IN。",
            )
        seen.add(name)
        clauses.append(_equals(binder, found, value))
    return clauses


def unknown_property(name: str, layer: Layer, parameter: str, **context: Any) -> InvalidParameter:
    """The one answer for a property that does not exist, is hidden, or may not be asked for."""
    allowed = [f.name for f in layer.spec.queryables]
    shown = name[:60].encode("utf-8", "replace").decode()
    return invalid(
        parameter,
        f"`{shown}` is no property of `{layer.id}` that can be asked for.",
        f"“{shown}”不是 {layer.id} 的可查询字段。",
        f"Allowed are: {', '.join(allowed) or 'none'}; see /collections/{layer.id}/queryables.",
        f"可用字段:{'、'.join(allowed) or '无'};参见 /collections/{layer.id}/queryables。",
        allowed=allowed,
        **context,
    )


def _equals(binder: Binder, field: FieldSpec, value: str) -> str:
    column = quote_identifier(field.name)
    if field.type == "text" and "\0" not in value and _encodable(value):
        return f"{column} = {binder.bind(value, 'text')}"
    if field.type == "boolean" and value in ("true", "false"):
        return f"{column} = {binder.bind(value == 'true', 'boolean')}"
    if field.type in ("integer", "number") and (clause := _equals_number(binder, field, column, value)):
        return clause
    if field.type == "date" and (day := parse_date(value)):
        return f"{column} = {bind_date(binder, day)}"
    if field.type == "datetime":
        if (instant := parse_instant(value)) is not None:
            return f"{column} = {bind_instant(binder, instant)}"
        if (day := parse_date(value)) is not None:
            begin, end = day_start(day), day_end(day)
            until = "" if end is None else f" AND {column} < {bind_instant(binder, end)}"
            return f"({column} >= {bind_instant(binder, begin)}{until})"
    wanted = {
        "text": ("text", "文本"),
        "integer": ("an integer", "整数"),
        "number": ("a number", "数值"),
        "boolean": ("true or false", "true 或 false"),
        "date": ("a date such as 2024-05-01", "日期,如 2024-05-01"),
        "datetime": ("an instant such as 2024-05-01T08:00:00Z", "时刻,如 2024-05-01T08:00:00Z"),
    }[field.type]
    shown = value[:60].encode("utf-8", "replace").decode()
    raise invalid(
        field.name,
        f"`{field.name}` is `{shown}`, which is not {wanted[0]}.",
        f"参数 {field.name} 的值“{shown}”不合要求,应为{wanted[1]}。",
        allowed=field.type,
    )


def _equals_number(binder: Binder, field: FieldSpec, column: str, value: str) -> str | None:
    number = read_number(value)
    if number is None:
        return None
    if field.type == "number":
        return f"{column} = {binder.bind(number, 'float8')}"
    whole = value.lstrip("+-").isdigit()
    if not whole or len(value) > 20:
        return None
    exact = int(value)
    return f"{column} = {binder.bind(exact, 'bigint')}" if _BIGINT[0] <= exact <= _BIGINT[1] else None


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _moments(text: str, parameter: str) -> tuple[datetime, datetime | None, bool]:
    """First instant, last instant, and whether the last is already outside."""
    if (instant := parse_instant(text)) is not None:
        return instant, instant, False
    if (day := parse_date(text)) is not None:
        return day_start(day), day_end(day), True
    raise _datetime_error(parameter, text)


def _datetime_error(parameter: str, text: str) -> InvalidParameter:
    hint = " A `+` in a URL is written %2B." if " " in text else ""
    hint_zh = "URL 中的加号应写作 %2B。" if " " in text else ""
    shown = text[:100].encode("utf-8", "replace").decode()
    return invalid(
        parameter,
        f"`{parameter}` is `{shown}`, not an RFC 3339 instant, date or interval.",
        f"{parameter} 的值“{shown}”不是 RFC 3339 时刻、日期或时段。",
        f"Write 2024-05-01T08:00:00Z, 2024-05-01, or start/end with `..` for an open end.{hint}",
        f"请写 2024-05-01T08:00:00Z、2024-05-01,或 开始/结束(开放端写 ..)。{hint_zh}",
    )
