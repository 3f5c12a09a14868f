# SPDX-License-Identifier: Apache-2.0
"""Two discrete global grids by one set of questions (OGC API - DGGS, OGC 21-038r1): BeiDou grid codes and H3.

A zone is an integer, of `beidou_index` or of the H3 library, and a text. Positions are longitude and latitude of
EPSG:4490 in degrees. Sub-zones of a zone are in the order of their integers. BeiDou zones nest; H3 zones do so by their
numbers alone, so that a sub-zone sticks out of its zone by a part, and a point counts to the zone that the library
gives for it at the level asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import h3.api.numpy_int as h3
import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.model import Text
from geocloud.errors import InvalidParameter, TooLarge, UnknownTile
from geocloud.geodesy.area import areas
from geocloud.geodesy.straight import straight_areas
from geocloud.grids import beidou, beidou_cover, beidou_index
from geocloud.grids.h3cells import FINEST, cells_of, outline, reach_degrees

__all__ = ["DGGS", "Dggs", "Zones", "find", "too_many"]

Floats = NDArray[np.float64]
Zones = NDArray[Any]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Dggs(ABC):
    """A grid of zones at levels `first` to `last`."""

    id: str
    title: Text
    description: Text
    first: int
    last: int
    shape: str

    def check_level(self, level: int, parameter: str = "zone-level") -> None:
        """InvalidParameter for a level there is not."""
        if not self.first <= level <= self.last:
            raise InvalidParameter(
                f"`{parameter}` gives level {level}, which `{self.id}` has not.",
                f"参数 {parameter} 指第 {level} 级,{self.id} 没有该级。",
                todo_en=f"Levels are {self.first} to {self.last}.", todo_zh=f"级别为 {self.first} 至 {self.last}。",
                parameter=parameter, minimum=self.first, maximum=self.last,
            )  # fmt: skip

    def unknown(self, zone: str) -> UnknownTile:
        """What is said of a text that is no zone."""
        return UnknownTile(
            f"`{self.id}` has no zone `{zone[:40]}`.", f"{self.id} 没有网格“{zone[:40]}”。",
            todo_en="Take a zone from /zones, written as it is there.", todo_zh="请用 /zones 给出的网格,写法照旧。",
        )  # fmt: skip

    @abstractmethod
    def parse(self, text: str) -> int:
        """The zone of a text; UnknownTile where there is none."""

    @abstractmethod
    def texts(self, zones: Zones) -> list[str]:
        """The texts of zones."""

    @abstractmethod
    def level(self, zone: int) -> int:
        """The level of a zone."""

    @abstractmethod
    def centre(self, zone: int) -> tuple[float, float]:
        """Longitude and latitude of its middle."""

    @abstractmethod
    def outlines(self, zones: Zones) -> NDArray[np.object_]:
        """Zones as polygons; one across 180 degrees goes on beyond it."""

    @abstractmethod
    def areas(self, zones: Zones) -> Floats:
        """Square metres of zones on the CGCS2000 ellipsoid."""

    @abstractmethod
    def parents(self, zones: Zones, level: int) -> Zones:
        """The zone of a coarser level that each belongs to."""

    @abstractmethod
    def count_within(self, zone: int, level: int) -> int:
        """How many zones of a finer level belong to a zone."""

    @abstractmethod
    def within(self, zone: int, level: int) -> Zones:
        """The zones of a finer level that belong to a zone, ascending."""

    @abstractmethod
    def neighbours(self, zone: int) -> list[int]:
        """The zones of the same level around one."""

    @abstractmethod
    def cover(self, box: Box, level: int, most: int) -> Zones:
        """The zones of a level that a box (west, south, east, north) meets, ascending; TooLarge beyond `most`."""

    @abstractmethod
    def meets(self, zones: Zones, box: Box) -> NDArray[np.bool_]:
        """Which of some zones of one level `cover` would give for a box."""

    @abstractmethod
    def compact(self, zones: Zones) -> Zones:
        """The fewest zones for the same: all sub-zones of one become that zone."""

    @abstractmethod
    def of_points(self, lon: Floats, lat: Floats, level: int) -> Zones:
        """The zone of each position; 0 or less for none."""

    @abstractmethod
    def reach(self, zone: int) -> Box:
        """A box that every point counted to a zone or to what belongs to it lies in."""


class _Beidou(Dggs):
    def parse(self, text: str) -> int:
        found = int(beidou_index.from_text(np.array([text[:64]]))[0]) if text else -1
        if found < 0:
            raise self.unknown(text)
        return found

    def texts(self, zones: Zones) -> list[str]:
        return [t.decode() for t in beidou_index.to_text(zones).tolist()]

    def level(self, zone: int) -> int:
        return int(beidou_index.levels(zone))

    def centre(self, zone: int) -> tuple[float, float]:
        lon, lat = beidou_index.to_points(np.array([zone]))
        return float(lon[0]), float(lat[0])

    def outlines(self, zones: Zones) -> NDArray[np.object_]:
        return beidou_cover.outlines(zones)

    def areas(self, zones: Zones) -> Floats:
        # Sides are parallels and meridians, straight in longitude and latitude.
        return straight_areas(self.outlines(zones))

    def parents(self, zones: Zones, level: int) -> Zones:
        return beidou_index.parents(zones, level)

    def count_within(self, zone: int, level: int) -> int:
        return len(beidou_index.children(zone, level))

    def within(self, zone: int, level: int) -> Zones:
        found = beidou_index.children(zone, level)
        return np.arange(found.start, found.stop)

    def neighbours(self, zone: int) -> list[int]:
        return beidou_cover.neighbours(zone)

    def cover(self, box: Box, level: int, most: int) -> Zones:
        west, south, east, north = box
        end = beidou.LATITUDE_END
        if south >= end or north <= -end:
            return np.zeros(0, np.int64)
        inside = max(south, -end), min(north, end)
        spans = ((west, east),) if west <= east else ((west, 180.0), (-180.0, east))
        parts = [beidou_cover.cover_box(w, inside[0], e, inside[1], level, most=most) for w, e in spans]
        found = np.unique(np.concatenate(parts))
        if len(found) > most:
            raise too_many(most, level)
        return found

    def meets(self, zones: Zones, box: Box) -> NDArray[np.bool_]:
        west, south, east, north = box
        spans = ((west, east),) if west <= east else ((west, 180.0), (-180.0, east))
        found = [beidou_cover.meets_box(zones, w, south, e, north) for w, e in spans]
        return np.asarray(np.logical_or.reduce(found))

    def compact(self, zones: Zones) -> Zones:
        return beidou_cover.compact(zones)

    def of_points(self, lon: Floats, lat: Floats, level: int) -> Zones:
        return beidou_index.from_points(lon, lat, level)

    def reach(self, zone: int) -> Box:
        west, south, east, north = shapely.bounds(self.outlines(np.array([zone]))[0]).tolist()
        return west, south, east, north


class _H3(Dggs):
    def parse(self, text: str) -> int:
        # One text a zone: the library would also take capitals and leading zeros.
        if len(text) != 15 or not set(text) <= set("0123456789abcdef") or not h3.is_valid_cell(int(text, 16)):
            raise self.unknown(text)
        return int(text, 16)

    def texts(self, zones: Zones) -> list[str]:
        return [f"{z:x}" for z in zones.tolist()]

    def level(self, zone: int) -> int:
        return int(h3.get_resolution(zone))

    def centre(self, zone: int) -> tuple[float, float]:
        lat, lon = h3.cell_to_latlng(zone)
        return lon, lat

    def outlines(self, zones: Zones) -> NDArray[np.object_]:
        out = np.empty(len(zones), dtype=object)
        out[:] = [shapely.Polygon(outline(z)) for z in zones.tolist()]
        return out

    def areas(self, zones: Zones) -> Floats:
        return areas(self.outlines(zones))

    def parents(self, zones: Zones, level: int) -> Zones:
        return np.array([h3.cell_to_parent(z, level) for z in zones.tolist()], np.uint64)

    def count_within(self, zone: int, level: int) -> int:
        return int(h3.cell_to_children_size(zone, level)) if level >= self.level(zone) else 0

    def within(self, zone: int, level: int) -> Zones:
        return np.sort(np.asarray(h3.cell_to_children(zone, level), np.uint64))

    def neighbours(self, zone: int) -> list[int]:
        return sorted(int(z) for z in h3.grid_disk(zone, 1) if int(z) != zone)

    def cover(self, box: Box, level: int, most: int) -> Zones:
        west, south, east, north = box
        spans = ((west, east),) if west <= east else ((west, 180.0), (-180.0, east))
        size = h3.average_hexagon_area(level, unit="m^2")
        found: list[Zones] = []
        for w, e in spans:
            lon, lat = reach_degrees(level, max(abs(south), abs(north)))
            around = shapely.box(w - lon, max(-90, south - lat), e + lon, min(90, north + lat))
            if straight_areas(np.array([around]))[0] / size > 2 * most:
                raise too_many(most, level)
            found.append(_meeting(shapely.box(w, south, e, north), level, max(lon, lat)))
        zones = np.unique(np.concatenate(found))
        if len(zones) > most:
            raise too_many(most, level)
        return zones

    def meets(self, zones: Zones, box: Box) -> NDArray[np.bool_]:
        west, south, east, north = box
        spans = ((west, east),) if west <= east else ((west, 180.0), (-180.0, east))
        met = np.zeros(len(zones), bool)
        if not len(zones):
            return met
        lon, lat = reach_degrees(self.level(int(zones[0])), max(abs(south), abs(north)))
        centre = np.array([h3.cell_to_latlng(z) for z in zones.tolist()])
        near = (centre[:, 0] >= south - lat) & (centre[:, 0] <= north + lat)
        for w, e in spans:
            beside = np.abs((centre[:, 1] - (w + e) / 2 + 180) % 360 - 180) <= (e - w) / 2 + lon
            (some,) = np.nonzero(near & beside & ~met)
            met[some] = _touching(shapely.box(w, south, e, north), zones[some])
        return met

    def compact(self, zones: Zones) -> Zones:
        return np.sort(np.asarray(h3.compact_cells(zones.astype(np.uint64)), np.uint64)) if len(zones) else zones

    def of_points(self, lon: Floats, lat: Floats, level: int) -> Zones:
        return cells_of(lon, lat, level)

    def reach(self, zone: int) -> Box:
        x, y = self.centre(zone)
        lon, lat = reach_degrees(self.level(zone), y)
        lon, lat = 1.5 * lon, 1.5 * lat
        if x - lon < -180 or x + lon > 180 or abs(y) + lat > 90:
            return -180.0, max(-90.0, y - lat), 180.0, min(90.0, y + lat)
        return x - lon, y - lat, x + lon, y + lat


def _meeting(area: Any, level: int, margin: float) -> Zones:
    """H3 cells that meet a box: out of those whose middle is in it or a cell's reach around it."""
    west, south, east, north = shapely.bounds(area).tolist()
    west, east = max(-180.0, west - margin), min(180.0, east + margin)
    south, north = max(-90.0, south - margin), min(90.0, north + margin)
    # The library takes outlines of less than half the globe.
    pieces = max(1, int(np.ceil((east - west) / 90)))
    edges = np.linspace(west, east, pieces + 1)
    cells: set[int] = set()
    for w, e in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        ring = [(south, w), (south, e), (north, e), (north, w)]
        cells.update(int(c) for c in h3.polygon_to_cells(h3.LatLngPoly(ring), level))
    cells.update(int(h3.latlng_to_cell(y, x, level)) for x in (west, east) for y in (south, north))
    middle = (shapely.bounds(area)[[1, 0]] + shapely.bounds(area)[[3, 2]]) / 2
    cells.add(int(h3.latlng_to_cell(float(middle[0]), float(middle[1]), level)))
    found = np.array(sorted(cells), np.uint64)
    return np.asarray(found[_touching(area, found)])


def _touching(area: Any, zones: Zones) -> NDArray[np.bool_]:
    shapes = np.empty(len(zones), dtype=object)
    shapes[:] = [shapely.Polygon(outline(c)) for c in zones.tolist()]
    shapely.prepare(area)
    # An outline across 180 degrees goes on beyond it.
    beyond = shapely.transform(area, lambda xy: xy + [360, 0])
    return np.asarray(shapely.intersects(area, shapes) | shapely.intersects(beyond, shapes))


def too_many(most: int, level: int) -> TooLarge:
    """What is said where more zones would be told than may be."""
    return TooLarge(
        f"At level {level} more than {most:,} zones would be told.", f"第 {level} 级的网格超过上限 {most:,} 个。",
        todo_en="Ask for a coarser zone-level, or a smaller bbox or parent-zone.",
        todo_zh="请选较粗的 zone-level,或缩小 bbox、parent-zone。", maximum=most, level=level,
    )  # fmt: skip


DGGS: dict[str, Dggs] = {
    "beidou": _Beidou(
        "beidou",
        Text(zh="北斗网格位置码", en="BeiDou grid codes"),
        Text(
            zh="GB/T 39409-2020 二维网格,第 1 级 6°×4° 至第 10 级 1/2048″,CGCS2000;纬度 88° 以上不含。",
            en="GB/T 39409-2020, two dimensions, level 1 of 6 by 4 degrees to level 10 of 1/2048 second, CGCS2000; "
            "without latitudes from 88 degrees on.",
        ),
        1,
        10,
        "quadrilateral",
    ),
    "h3": _H3(
        "h3",
        Text(zh="H3 六边形网格", en="H3 hexagons"),
        Text(
            zh="H3 库第 0 至 15 级。子网格按编号归属,边缘略有出入;点按其级别由库给出所在网格。",
            en="Levels 0 to 15 of the H3 library. Sub-zones belong to a zone by number and stick out a little; a point "
            "counts to the zone that the library gives for it at that level.",
        ),
        0,
        FINEST,
        "hexagon",
    ),
}


def find(dggs_id: str) -> Dggs:
    """A grid by its id; UnknownTile where there is none."""
    found = DGGS.get(dggs_id)
    if found is None:
        raise UnknownTile(
            f"There is no grid `{dggs_id[:40]}`.", f"没有网格系统 {dggs_id[:40]}。",
            todo_en=f"There are: {', '.join(DGGS)}.", todo_zh=f"现有:{'、'.join(DGGS)}。",
        )  # fmt: skip
    return found
