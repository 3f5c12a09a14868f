# SPDX-License-Identifier: Apache-2.0
"""What zones of a grid hold of a layer: points counted from the columns kept for `/h3`, everything else as `/aggregate`
adds it up, of the features that reach the zones asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder
from geocloud.features.literals import Box
from geocloud.features.moment import read_moment
from geocloud.features.params import box_clause
from geocloud.features.query import PageQuery
from geocloud.features.request import read_question
from geocloud.grids.dggs import Dggs, Zones
from geocloud.grids.h3cells import PointStore, reach_degrees
from geocloud.overlay.aggregate import Asked
from geocloud.overlay.by import By
from geocloud.overlay.measures import Measure
from geocloud.web.ask import Ask
from geocloud.web.dggs_ask import ZONE_LIST
from geocloud.web.service import Service

__all__ = ["COUNT", "Figures", "Found", "figures_of", "spread"]

COUNT = (Measure("count"),)
"""What is told where no measure is asked for."""
Figures = dict[str, NDArray[np.float64]]
_OWN = (*ZONE_LIST, "zone-depth", "measure", "f", "lang")


@dataclass(frozen=True)
class Found:
    """Zones of one level with something in them, ascending, and their figures by the name of the measure's column.

    `version` is that of the layer; `nowhere` is how many of the features read have no position.
    """

    zones: Zones
    figures: Figures
    version: int
    nowhere: int

    def only(self, some: NDArray[np.bool_]) -> Found:
        """Those of the zones that are marked."""
        return replace(self, zones=self.zones[some], figures={k: v[some] for k, v in self.figures.items()})


async def figures_of(
    service: Service,
    ask: Ask,
    layer: Layer,
    dggs: Dggs,
    measures: tuple[Measure, ...],
    levels: Sequence[int],
    boxes: Sequence[Box] = (),
    zone: int | None = None,
) -> list[Found]:
    """The figures of zones at each level: true for those that one of the boxes meets, or that belong to a zone.

    Others may come along, with less than they hold. TooLarge for more features or cells than are added up at once.
    """
    chosen = [(k, v) for k, v in ask.pairs if k not in _OWN]
    around = tuple(_wider(dggs, b, max(levels)) for b in boxes)
    if zone is not None and not boxes:
        around = (Box(*dggs.reach(zone)),)
    if layer.spec.geometry == "point" and measures == COUNT:
        store = await _points(service, layer, chosen, around)
        # A million points take a second, and others ask meanwhile.
        return await asyncio.to_thread(lambda: [_counted(dggs, store, level) for level in levels])
    question = read_question(chosen, layer, "json", service.settings.web, service.tokens)
    moment = read_moment(ask.parameter("datetime"), ask.parameter("asof"))
    query, key = _near(question.query, around), f"{question.key} {around!r}"
    out = []
    for level in levels:
        by = By(f"{dggs.id}:{level}", grid=dggs, level=level)
        found = await service.overlay.aggregate(Asked(query, key, by, measures, moment, window=around))
        out.append(Found(found.zones.ids, found.figures.zones, found.version, found.shapeless))
    return out


def spread(found: Found, zones: Zones) -> Figures:
    """The figures of some zones of the level, in their order: 0 where nothing is, NaN for means, least and greatest."""
    at = np.searchsorted(found.zones, zones)
    hit = at < len(found.zones)
    hit[hit] = found.zones[at[hit]] == zones[hit]
    out: Figures = {}
    for name, values in found.figures.items():
        empty = np.nan if name.startswith(("mean_", "min_", "max_")) else 0.0
        out[name] = np.full(len(zones), empty)
        out[name][hit] = values[at[hit]]
    return out


async def _points(service: Service, layer: Layer, chosen: list[tuple[str, str]], around: tuple[Box, ...]) -> PointStore:
    """The points in these boxes, or all where those are at hand."""
    columns = service.points
    if not chosen and not layer.state.timed and layer.state.row_count <= columns.points_max:
        return await columns.get(layer)
    query = _near(read_question(chosen, layer, "json", service.settings.web, service.tokens).query, around)
    return await columns.read(layer, query.relation, query.where, query.args)


def _near(query: PageQuery, around: tuple[Box, ...]) -> PageQuery:
    """The same question for features that meet one of the boxes alone."""
    if not around:
        return query
    binder = Binder()
    binder.args.extend(query.args)
    near = " OR ".join(box_clause(binder, query.layer, box) for box in around)
    where = " AND ".join(f"({part})" for part in (query.where, near) if part)
    return replace(query, where=where, args=tuple(binder.args))


def _counted(dggs: Dggs, store: PointStore, level: int) -> Found:
    """Points counted by zones."""
    nowhere = len(store.fid) - store.placed
    if dggs.id == "h3":
        found = store.level(level)
        return Found(found.cells, {"count": found.totals.astype(np.float64)}, store.version, nowhere)
    first = len(store.cell) - store.placed
    zones, count = np.unique(dggs.of_points(store.lon[first:], store.lat[first:], level), return_counts=True)
    return Found(zones, {"count": count.astype(np.float64)}, store.version, nowhere).only(zones >= 0)


def _wider(dggs: Dggs, box: Box, level: int) -> Box:
    """A box with the whole of every zone that meets it."""
    if dggs.id == "h3":
        lon, lat = reach_degrees(level, max(abs(box.south), abs(box.north)))
        lon, lat = 2 * lon, 2 * lat
        if lon < 180 and box.west - lon >= -180 and box.east + lon <= 180:
            return Box(box.west - lon, max(-90, box.south - lat), box.east + lon, min(90, box.north + lat))
        return Box(-180, max(-90, box.south - lat), 180, min(90, box.north + lat))
    ends = [dggs.reach(int(z)) for z in _corners(dggs, box, level)]
    if not ends:
        return box
    low, high = np.min(ends, axis=0), np.max(ends, axis=0)
    return Box(
        min(box.west, float(low[0])), min(box.south, float(low[1])), max(box.east, float(high[2])),
        max(box.north, float(high[3])),
    )  # fmt: skip


def _corners(dggs: Dggs, box: Box, level: int) -> Zones:
    x = np.array([box.west, box.east, box.west, box.east])
    y = np.array([box.south, box.north, box.north, box.south])
    found = dggs.of_points(x, y, level)
    return found[found > -1]
