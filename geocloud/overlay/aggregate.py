# SPDX-License-Identifier: Apache-2.0
"""Features of a layer added up by areas (按区汇总): which way is taken, and the answer as numbers.

Three ways give the same figures. By *stamps* in the database, where these are those of now. Points by *cells* from the
columns that `/h3` counts from. Everything else the *exact* way, whose pieces are kept by version, so that another
measure of the same features by the same areas is a sum over arrays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.db.reader import Reader
from geocloud.errors import TooLarge
from geocloud.features.literals import Box
from geocloud.features.moment import Moment
from geocloud.features.query import PageQuery
from geocloud.grids import beidou_index
from geocloud.grids.columns import PointColumns
from geocloud.overlay.areas import (
    LOOKED_AT,
    Zones,
    cell_zones,
    cells_near,
    layer_zones,
    too_many_zones,
    zones_statement,
)
from geocloud.overlay.assign import Assignment, assign_points, assign_shapes, summed
from geocloud.overlay.by import By, must_have_geometry, zoning_moment
from geocloud.overlay.columns import VERSION_SQL, Columns, fetch_columns
from geocloud.overlay.measures import Measure, fields_of
from geocloud.overlay.pieces import Pieces
from geocloud.overlay.stamped import Stamped, column_of, is_current, read_stamped
from geocloud.overlay.totals import Figures, Sums, add_up, closes, figures, merged, total_of
from geocloud.overlay.zonings import stamp_table
from geocloud.settings import WebSettings

__all__ = ["Asked", "Overlay", "Result"]


@dataclass(frozen=True)
class Asked:
    """A question: the features (`key` tells its conditions apart), by what, which measures, and a moment.

    With a `window` only cells that its boxes meet are wanted: a polygon is then not cut at cells far from there. `key`
    must tell windows apart too.
    """

    query: PageQuery
    key: str
    by: By
    measures: tuple[Measure, ...]
    moment: Moment = Moment()
    boxes: tuple[Box, ...] = ()
    window: tuple[Box, ...] = ()

    @property
    def layer(self) -> Layer:
        return self.query.layer


@dataclass(frozen=True)
class Result:
    """Areas with their figures. `shapeless` features have no geometry and are nowhere; `way` is how it was worked out.

    `difference` by column that adds up: areas and outside together less all features.
    """

    zones: Zones
    figures: Figures
    difference: dict[str, float]
    shapeless: int
    version: int
    way: str

    @property
    def nbytes(self) -> int:
        return self.zones.nbytes + sum(v.nbytes for v in self.figures.zones.values())


@dataclass(frozen=True)
class _Located:
    """The exact way's piece: who is where, and the very areas that the numbers in it are of."""

    zones: Zones
    found: Assignment

    @property
    def nbytes(self) -> int:
        return self.found.nbytes + (self.zones.nbytes if self.zones.by.grid is not None else 0)


class Overlay:
    """Adds up for one worker."""

    def __init__(self, reader: Reader, points: PointColumns, settings: WebSettings) -> None:
        self._reader, self._points, self._settings = reader, points, settings
        self.pieces = Pieces(settings.aggregate_keep_mb * 2**20)
        # The exact way takes a processor for a second; two at once would starve small questions.
        self._working = asyncio.Semaphore(1)

    async def aggregate(self, asked: Asked) -> Result:
        """The figures; TooLarge for too many features or areas, RequestError for a layer without geometry."""
        must_have_geometry(asked.layer)
        key = ("result", *self._key(asked), tuple(m.text for m in asked.measures), _said(asked.boxes))
        found: Result = await self.pieces.get(key, lambda: self._aggregate(asked))
        return found

    async def zones(self, by: By, moment: Moment) -> Zones:
        """The areas of a layer at a moment."""
        layer = by.layer
        assert layer is not None
        at = zoning_moment(moment)
        state = layer.state
        key = ("zones", layer.id, id(layer.spec), state.version, state.epoch, repr(at))
        found: Zones = await self.pieces.get(key, lambda: self._read_zones(by, layer, at))
        return replace(found, by=by)

    def _key(self, asked: Asked) -> tuple[Hashable, ...]:
        zoning = asked.by.layer
        state = None if zoning is None else (zoning.id, id(zoning.spec), zoning.state.version, zoning.state.epoch)
        return (*self._features_key(asked), asked.by.text, state)

    @staticmethod
    def _features_key(asked: Asked) -> tuple[Hashable, ...]:
        layer = asked.layer
        return (layer.id, id(layer.spec), layer.state.version, layer.state.epoch, asked.key)

    async def _aggregate(self, asked: Asked) -> Result:
        plain = asked.moment.is_now and not asked.layer.state.timed
        if plain and (found := await self._by_stamps(asked)) is not None:
            return found
        if plain and not asked.query.where and (found := await self._by_cells(asked)) is not None:
            return found
        return await self._exactly(asked)

    # The exact way.

    async def _exactly(self, asked: Asked) -> Result:
        fields = fields_of(asked.measures)
        if asked.by.layer is None:
            columns = await self._columns(asked, fields)
        else:
            # The database reads the ones while the others are looked at.
            columns, _ = await asyncio.gather(self._columns(asked, fields), self.zones(asked.by, asked.moment))
        key = ("located", *self._key(asked), columns.version)
        located: _Located = await self.pieces.get(key, lambda: self._locate(asked, columns))

        def work() -> Result:
            sized = any(m.kind in ("length", "area") for m in asked.measures)
            sums = add_up(located.found, columns, fields, len(located.zones), sized=sized)
            total = total_of(columns, fields, sized=sized)
            shapeless = int((~columns.placed).sum())
            return _result(asked, located.zones, sums, total, shapeless, columns.version, "exact")

        return await asyncio.to_thread(work)

    async def _columns(self, asked: Asked, fields: Sequence[str]) -> Columns:
        key = ("columns", *self._features_key(asked))
        kept: Columns | None = self.pieces.find(key)
        if kept is not None and all(f in kept.values for f in fields):
            return kept
        # All fields at once, so that the numbers of a feature are those of one state.
        wanted = tuple(sorted({*(kept.values if kept is not None else ()), *fields}))

        async def read() -> Columns:
            most = self._settings.aggregate_points_max
            if asked.layer.spec.geometry != "point":
                most = self._settings.aggregate_shapes_max
            async with self._reader.lease() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
                columns = await fetch_columns(conn, asked.query, wanted, most)
            self.pieces.put(key, columns)
            return columns

        return await self.pieces.once((*key, wanted), read)

    async def _locate(self, asked: Asked, columns: Columns) -> _Located:
        by, most = asked.by, self._settings.aggregate_zones_max
        zones = None if by.layer is None else await self.zones(by, asked.moment)

        def work() -> _Located:
            if zones is not None:
                if columns.shapes is not None:
                    return _Located(zones, assign_shapes(columns.shapes, zones.shapes, overlapping=zones.overlapping))
                return _Located(zones, assign_points(columns.places, zones.shapes, overlapping=zones.overlapping))
            if columns.shapes is None:
                return _points_by_cells(by, columns, most)
            near = cells_near(by, columns.shapes[columns.placed], most, asked.window)
            cells = cell_zones(by, near, (LOOKED_AT + 1) * most)
            found = _occupied(cells, assign_shapes(columns.shapes, cells.shapes))
            if len(found.zones) > most:
                raise too_many_zones(by.text, most)
            return found

        async with self._working:
            return await asyncio.to_thread(work)

    async def _read_zones(self, by: By, layer: Layer, at: Moment) -> Zones:
        most = self._settings.aggregate_zones_max
        sql, binder = zones_statement(layer, at, most)
        async with self._reader.lease() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
            version = int(await conn.fetchval(VERSION_SQL, layer.id))
            rows = await conn.fetch(sql, *binder.args)
        async with self._working:
            return await asyncio.to_thread(layer_zones, by, rows, version, most)

    # By cells of all points, as `/h3` counts.

    async def _by_cells(self, asked: Asked) -> Result | None:
        by = asked.by
        if by.grid is None or by.grid.id != "h3" or asked.layer.spec.geometry != "point":
            return None
        if any(m.kind not in ("count", "density") for m in asked.measures):
            return None
        try:
            store = await self._points.get(asked.layer)
        except TooLarge:
            return None

        def work() -> Result:
            level = store.level(by.level)
            zones = cell_zones(by, level.cells, self._settings.aggregate_zones_max)
            count = np.append(level.totals.astype(np.float64), 0.0)
            total = _counted(np.array([float(store.placed)]))
            shapeless = len(store.fid) - store.placed
            return _result(asked, zones, _counted(count), total, shapeless, store.version, "cells")

        return await asyncio.to_thread(work)

    # By stamps.

    async def _by_stamps(self, asked: Asked) -> Result | None:
        column, layer = column_of(asked.by), asked.layer
        whole = layer.spec.geometry == "point"
        if column is None or (not whole and asked.by.grid is not None):
            return None
        if not whole and any(m.kind in ("length", "area") for m in asked.measures):
            return None
        zones = None if asked.by.layer is None else await self.zones(asked.by, asked.moment)
        if zones is not None and (zones.overlapping or asked.by.layer is None or asked.by.layer.state.timed):
            return None
        fields = fields_of(asked.measures)
        async with self._reader.lease() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
            version = await is_current(conn, layer.id, column[1])
            if version is None:
                return None
            if zones is not None and zones.version != await conn.fetchval(VERSION_SQL, zones.by.layer.id):  # type: ignore[union-attr]
                return None
            stamped = await read_stamped(conn, asked.query, column[0], fields, version)
            rest = None
            if not whole and stamped.rest:
                rest = await fetch_columns(
                    conn, _unstamped(asked.query, column[0]), fields, self._settings.aggregate_shapes_max
                )
        async with self._working:
            return await asyncio.to_thread(self._of_stamps, asked, zones, stamped, rest, fields)

    def _of_stamps(
        self, asked: Asked, zones: Zones | None, stamped: Stamped, rest: Columns | None, fields: Sequence[str]
    ) -> Result | None:
        if zones is None:
            zones, stamped = _cells_of_stamps(asked.by, stamped, self._settings.aggregate_zones_max)
        place = np.searchsorted(zones.ids, stamped.stamps)
        if len(stamped.stamps) and (
            place.max() >= len(zones) or (zones.ids[place].astype(np.int64) != stamped.stamps).any()
        ):
            # Stamped by an area that is none (any more): the exact way knows.
            return None
        sums = _spread(stamped.sums, place, len(zones), outside=rest is None)
        if rest is not None:
            found = assign_shapes(rest.shapes if rest.shapes is not None else np.zeros(0, object), zones.shapes)
            sums = merged(sums, add_up(found, rest, fields, len(zones)))
        total = _summed(sums)
        state = asked.layer.state
        if not asked.query.where and state.version == stamped.version:
            # Counted by the database as rows are written, and not from the stamps.
            total.count[0] = state.row_count - stamped.shapeless
        return _result(asked, zones, sums, total, stamped.shapeless, stamped.version, "stamps")


def _result(asked: Asked, zones: Zones, sums: Sums, total: Sums, shapeless: int, version: int, way: str) -> Result:
    dense = any(m.kind == "density" for m in asked.measures)
    found = figures(sums, total, asked.measures, zones.area_km2 if dense else None)
    adding = [
        n for n in found.zones if n in ("count", "length_m", "area_m2") or n.startswith(("sum_", "without_value_"))
    ]
    difference = closes(found, adding)
    if asked.boxes and zones.by.layer is not None and len(zones):
        near = sums.count[:-1] > 0
        for box in asked.boxes:
            # Areas may be prepared, and that is of one thread; the box is not.
            near |= shapely.intersects(shapely.box(box.west, box.south, box.east, box.north), zones.shapes)
        zones = zones.only(near)
        found = replace(found, zones={k: v[near] for k, v in found.zones.items()})
    return Result(zones, found, difference, shapeless, version, way)


def _points_by_cells(by: By, columns: Columns, most: int) -> _Located:
    assert by.grid is not None and columns.lon is not None and columns.lat is not None
    (rows,) = np.nonzero(columns.placed)
    cells = by.grid.of_points(columns.lon[rows], columns.lat[rows], by.level)
    ids, zone = np.unique(cells, return_inverse=True)
    # BeiDou cells end at 88 degrees: -1, which comes first.
    none = int(len(ids) > 0 and int(ids[0]) in (0, -1))
    zones = cell_zones(by, ids[none:], most)
    return _Located(zones, Assignment(rows, zone.reshape(-1).astype(np.int64) - none, np.ones(len(rows))))


def _occupied(zones: Zones, found: Assignment) -> _Located:
    """Only the cells that something is in."""
    some = np.zeros(len(zones), bool)
    some[found.zone[found.zone >= 0]] = True
    number = np.append(np.cumsum(some) - 1, -1)
    return _Located(zones.only(some), replace(found, zone=number[found.zone].astype(np.int64)))


def _unstamped(query: PageQuery, column: str) -> PageQuery:
    layer = query.layer
    test = (
        f"t.geom IS NOT NULL AND NOT EXISTS (SELECT FROM {stamp_table(layer.id)} s "
        f'WHERE s.fid = t.fid AND s."{column}" IS NOT NULL)'
    )
    return replace(query, where=f"{query.where} AND {test}" if query.where else test)


def _cells_of_stamps(by: By, stamped: Stamped, most: int) -> tuple[Zones, Stamped]:
    """Cells by the stamps, those of coarser BeiDou levels put together by their numbers."""
    assert by.grid is not None
    cells: NDArray[Any] = stamped.stamps
    if by.grid.id == "beidou" and len(cells):
        above = beidou_index.parents(cells, by.level)
        cells, place = np.unique(above, return_inverse=True)
        sums = _spread(stamped.sums, place.reshape(-1), len(cells), outside=True)
        stamped = replace(stamped, stamps=cells, sums=sums)
    ids = cells.astype(np.uint64) if by.grid.id == "h3" else cells
    return cell_zones(by, ids, most), stamped


def _spread(sums: Sums, place: NDArray[np.int64], zones: int, *, outside: bool) -> Sums:
    """Sums by stamp as sums by area; the last place, of what has no stamp, only where that means outside."""

    def added(values: NDArray[np.float64]) -> NDArray[np.float64]:
        out = summed(place, values[:-1], zones + 1)
        out[zones] = values[-1] if outside else 0.0
        return out

    def reached(values: NDArray[np.float64], way: Any, start: float) -> NDArray[np.float64]:
        out = np.full(zones + 1, start)
        way.at(out, place, values[:-1])
        out[zones] = values[-1] if outside else start
        return out

    return Sums(
        added(sums.count), added(sums.length), added(sums.area),
        {k: added(v) for k, v in sums.known.items()}, {k: added(v) for k, v in sums.sum.items()},
        {k: reached(v, np.minimum, np.inf) for k, v in sums.least.items()},
        {k: reached(v, np.maximum, -np.inf) for k, v in sums.most.items()},
    )  # fmt: skip


def _summed(sums: Sums) -> Sums:
    def one(values: Any) -> NDArray[np.float64]:
        return np.array([float(values)])

    return Sums(
        one(sums.count.sum()), one(sums.length.sum()), one(sums.area.sum()),
        {k: one(v.sum()) for k, v in sums.known.items()}, {k: one(v.sum()) for k, v in sums.sum.items()},
        {k: one(v.min()) for k, v in sums.least.items()}, {k: one(v.max()) for k, v in sums.most.items()},
    )  # fmt: skip


def _counted(count: NDArray[np.float64]) -> Sums:
    none = np.zeros(len(count))
    return Sums(count, none, none, {}, {}, {}, {})


def _said(boxes: Sequence[Box]) -> Hashable:
    return tuple((b.west, b.south, b.east, b.north) for b in boxes)
