# SPDX-License-Identifier: Apache-2.0
"""Questions about readings, asked of the database with the reader role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.db.reader import Reader
from geocloud.errors import TooLarge, UnknownItem
from geocloud.features.binder import Binder
from geocloud.features.literals import invalid
from geocloud.features.params import TimeRange, parse_bbox
from geocloud.sensing import statements
from geocloud.sensing.statements import BUCKETS, Which
from geocloud.settings import SensingSettings

__all__ = ["Area", "Measures", "Series", "aggregate", "datastream", "datastreams", "in_collection", "latest",
           "layers_with_datastreams", "measures", "series"]  # fmt: skip

_LAYERS = "SELECT k FROM unnest($1::text[]) k WHERE EXISTS (SELECT FROM sensing.datastream WHERE layer = k)"
_UNITS = "SELECT DISTINCT unit FROM sensing.datastream WHERE layer = ANY($1::text[]) AND property = $2::text"
_LAST = "SELECT at FROM sensing.latest WHERE datastream = $1::int"
_FIRST = "SELECT at FROM sensing.observation WHERE datastream = $1::int ORDER BY at LIMIT 1"

Page = tuple[list[bytes], int | None]


@dataclass(frozen=True, slots=True)
class Series:
    """A series as texts, one a reading or a bucket; `span` is the time it covers, None without any readings."""

    datastream: bytes
    rows: list[bytes]
    span: TimeRange | None


@dataclass(frozen=True, slots=True)
class Measures:
    """A property that datastreams of a layer measure: its UCUM unit, how many do, the shortest of their intervals in
    seconds, and when the newest value is from (RFC 3339, Beijing time)."""

    layer: str
    property: str
    unit: str
    datastreams: int
    interval_s: int | None
    newest: str | None
    synthetic: bool


@dataclass(frozen=True, slots=True)
class Area:
    """What readings in an area come to, in one unit.

    `mean` is the mean of the datastreams' means, so that one that reports more often does not weigh more; `least` and
    `greatest` are of single values.
    """

    fid: int | None
    key: str | None
    datastreams: int
    count: int
    mean: float | None
    least: float | None
    greatest: float | None
    newest: datetime | None


async def layers_with_datastreams(reader: Reader, catalogue: Catalogue, named: str | None) -> list[Layer]:
    """Published layers that have datastreams; of one that is named, itself. UnknownCollection for one not published."""
    if named is not None:
        return [catalogue.layer(named)]
    async with reader.lease() as conn:
        found = {r[0].decode() for r in await conn.fetch(_LAYERS, list(catalogue.layers))}
    return [layer for key, layer in catalogue.layers.items() if key in found]


async def measures(reader: Reader, catalogue: Catalogue) -> list[Measures]:
    """What is measured in each published layer that has datastreams."""
    binder = Binder()
    sql = statements.layers_statement(binder, list(catalogue.layers))
    async with reader.lease() as conn:
        rows = await conn.fetch(sql, *binder.args)
    said: list[list[Any]] = [[v.decode() if isinstance(v, bytes) else v for v in row] for row in rows]
    return [Measures(*row) for row in said]


async def datastreams(reader: Reader, layers: Sequence[Layer], which: Which, limit: int) -> Page:
    """A page of datastreams with their newest values, and the id to go on after."""
    binder = Binder()
    sql = statements.list_statement(binder, [x.id for x in layers], which, limit + 1)
    return await _page(reader, sql, binder, limit)


async def datastream(reader: Reader, catalogue: Catalogue, number: str) -> tuple[int, bytes]:
    """One datastream; UnknownItem when there is none of that id in a published layer."""
    if number.isascii() and number.isdigit() and int(number[:11]) < 2**31:
        binder = Binder()
        sql = statements.list_statement(binder, list(catalogue.layers), Which(), 1, one=int(number[:11]))
        rows, _ = await _page(reader, sql, binder, 1)
        if rows:
            return int(number[:11]), rows[0]
    shown = number[:40].encode("utf-8", "replace").decode()
    raise UnknownItem(
        f"There is no datastream `{shown}`.", f"没有数据流 {shown}。",
        todo_en="GET /sensing/datastreams lists them.", todo_zh="GET /sensing/datastreams 列出全部数据流。",
    )  # fmt: skip


async def latest(reader: Reader, layers: Sequence[Layer], bbox: str | None, which: Which, limit: int) -> Page:
    """A page of newest values as GeoJSON features, and the id to go on after. `bbox` in CRS84."""
    binder = Binder()
    places = [(x, parse_bbox(binder, bbox, x) if bbox is not None else "") for x in layers]
    return await _page(reader, statements.latest_statement(binder, places, which, limit + 1), binder, limit)


async def in_collection(
    reader: Reader, layer: Layer, bbox: str | None, which: Which, limit: int, *, flat: bool = False
) -> Page:
    """A page of a layer's features that have readings, with the newest of each property; the fid to go on after."""
    binder = Binder()
    where = parse_bbox(binder, bbox, layer) if bbox is not None else ""
    sql = statements.collection_statement(binder, layer, where, which, limit + 1, flat=flat)
    return await _page(reader, sql, binder, limit)


async def series(
    reader: Reader,
    catalogue: Catalogue,
    number: str,
    span: TimeRange | None,
    width: str | None,
    settings: SensingSettings,
    *,
    asof: datetime | None = None,
    flagged: bool = True,
    all_values: bool = False,
    csv: bool = False,
) -> Series:
    """The readings of a datastream, or their buckets; without a span the last days before the newest.

    TooLarge over the named limits.
    """
    stream, told = await datastream(reader, catalogue, number)
    async with reader.lease() as conn:
        last = await conn.fetchval(_LAST, stream)
        if last is None:
            return Series(told, [], None)
        if span is None:
            span = TimeRange(last - timedelta(days=settings.sensing_span_days), last)
        binder = Binder()
        if width is None:
            most = settings.sensing_series_max
            sql = statements.series_statement(binder, stream, span, most + 1, asof=asof, all_values=all_values, csv=csv)
            rows = [r[0] for r in await conn.fetch(sql, *binder.args)]
            if len(rows) > most:
                raise _too_many(most, "readings", "条读数")
            return Series(told, rows, span)
        if span.start is None:
            first = await conn.fetchval(_FIRST, stream)
            span = replace(span, start=min(first if first is not None else last, span.end or last))
        if span.end is None:
            assert span.start is not None
            span = TimeRange(span.start, max(last, span.start))
        assert span.start is not None and span.end is not None
        if (span.end - span.start) / BUCKETS[width] + 1 > settings.sensing_buckets_max:
            raise _too_many(settings.sensing_buckets_max, "time buckets", "个时段")
        sql = statements.bucket_statement(binder, stream, span, width, asof=asof, flagged=flagged, csv=csv)
        return Series(told, [r[0] for r in await conn.fetch(sql, *binder.args)], span)


async def aggregate(
    reader: Reader,
    devices: Sequence[Layer],
    areas: Layer | Any,
    which: Which,
    span: TimeRange | None,
    settings: SensingSettings,
    *,
    flagged: bool = True,
) -> tuple[str | None, list[Area]]:
    """Unit, and what the readings of a property come to in each area; None without any datastream.

    InvalidParameter when the datastreams are in several units and none is named; TooLarge for too many areas.
    """
    if isinstance(areas, Layer) and areas.state.row_count > settings.sensing_areas_max:
        raise TooLarge(
            f"`{areas.id}` has {areas.state.row_count:,} features; readings are summed up for at most "
            f"{settings.sensing_areas_max:,}.",
            f"{areas.id} 有 {areas.state.row_count:,} 个要素,超过上限 {settings.sensing_areas_max:,}。",
            todo_en="Choose a layer of larger areas, or send one polygon in `geometry`.",
            todo_zh="请选择范围更大的区划图层,或以 geometry 给出一个多边形。",
        )
    async with reader.lease() as conn:
        unit = which.unit
        if unit is None:
            names = [x.id for x in devices]
            found = sorted(r[0].decode() for r in await conn.fetch(_UNITS, names, which.property or ""))
            if len(found) > 1:
                raise invalid(
                    "unit", f"The datastreams are in {', '.join(found)}.", f"数据流的单位有 {'、'.join(found)}。",
                    "Name one of these units.", "请指定其中一个单位。", allowed=found,
                )  # fmt: skip
            if not found:
                return None, []
            unit = found[0]
        binder = Binder()
        sql = statements.aggregate_statement(binder, devices, areas, replace(which, unit=unit), span, flagged=flagged)
        rows = await conn.fetch(sql, *binder.args)
    return unit, [Area(r[0], r[1].decode() if r[1] is not None else None, *r[2:]) for r in rows]


async def _page(reader: Reader, sql: str, binder: Binder, limit: int) -> Page:
    async with reader.lease() as conn:
        rows = await conn.fetch(sql, *binder.args)
    return [r[1] for r in rows[:limit]], rows[limit - 1][0] if len(rows) > limit else None


def _too_many(most: int, en: str, zh: str) -> TooLarge:
    return TooLarge(
        f"The answer would have more than {most:,} {en}.", f"结果超过 {most:,} {zh}。",
        todo_en="Ask for a shorter `datetime`, or for wider buckets such as bucket=1d.",
        todo_zh="请缩短 datetime 的范围,或用更宽的时段,例如 bucket=1d。", maximum=most,
    )  # fmt: skip
