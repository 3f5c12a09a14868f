# SPDX-License-Identifier: Apache-2.0
"""Positions out of what people paste into a search box: every reading that makes sense, the city's own first.

Longitude and latitude in any notation, Gauss-Krueger with or without the zone, Web Mercator, GCJ-02 and BD-09, any
system by `EPSG:`, BeiDou grid codes (with height, from a reference cell, or short ones near where the map is) and H3
cells. Numbers that fit several systems give several readings, each saying what it was read as; what fits none gives
none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import h3
import numpy as np

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.geodesy.crs import BD09, CRS84, GCJ02, STORAGE, Crs, crs, gauss_kruger, parse_crs, zone_of
from geocloud.geodesy.transform import Placement
from geocloud.grids import beidou, beidou3d, beidou_near
from geocloud.search.angles import Angle, half_width, read_numbers, read_pair

__all__ = ["Reading", "read_position"]

Box = tuple[float, float, float, float]
# Where map services shift positions at all, roughly: China and its neighbours.
_SHIFTED: Box = (72.004, 0.8293, 137.8347, 55.8271)
_PREFIX = re.compile(
    r"(?P<gcj>gcj-?02|gcj|火星坐标|火星|高德|腾讯|amap|mars)|(?P<bd>bd-?09(?:ll)?|bd(?=[\s:,])|百度|baidu)"
    r"|(?P<true>wgs-?84|wgs|cgcs-?2000|crs84|gps|大地坐标|天地图)|(?P<mercator>web ?mercator|web ?墨卡托)"
    r"|(?P<epsg>epsg:{1,2}[0-9]{4,6})|(?P<cell>北斗网格码|北斗网格位置码|北斗|beidou|h3)",
    re.IGNORECASE,
)
_BEIDOU = re.compile(r"[NS][0-9]{2}[A-V][0-9A-F]{0,16}", re.IGNORECASE)
_BEIDOU_3D = re.compile(r"[NS][01][0-9]{2}[A-V][0-9A-F]{2,27}", re.IGNORECASE)
_H3 = re.compile(r"8[0-9a-f]{14}", re.IGNORECASE)
# Levels that a short code may stand behind: from one city's to one quarter's.
_SHORT_BEHIND = (2, 4)
# Eastings and northings of Gauss-Krueger without the zone that can lie in China.
_EASTING, _NORTHING = (100_000.0, 900_000.0), (300_000.0, 6_200_000.0)
_MERCATOR_END = 20_037_508.4
_OUTSIDE, _LESS_LIKELY = 0.5, 0.3


@dataclass(frozen=True, slots=True)
class Reading:
    """A position as it may have been meant: degrees of CGCS2000, the system it was read in, and how likely (0 to 1)."""

    title: str
    subtitle: Text
    crs: str
    lon: float
    lat: float
    inside: bool
    score: float
    bbox: Box | None = None


def read_position(text: str, extent: Box, near: tuple[float, float] | None = None) -> list[Reading]:
    """Every reading of a text as a position, those inside the extent (west, south, east, north) first; empty if none.

    `near`: longitude and latitude of where the reader looks, from which short BeiDou codes count. Raises nothing: a
    text that is no position has no readings.
    """
    plain = half_width(text)
    cells = _cells(plain, extent, near)
    found = cells or list(_positions(plain, extent))
    once: dict[tuple[str, float, float], Reading] = {}
    for reading in found:
        once.setdefault((reading.crs, round(reading.lon, 9), round(reading.lat, 9)), reading)
    return sorted(once.values(), key=lambda r: -r.score)


def _cells(text: str, extent: Box, near: tuple[float, float] | None) -> list[Reading]:
    prefix = _PREFIX.match(text)
    code = text[prefix.end() :].lstrip(" :,") if prefix is not None and prefix["cell"] else text
    named = prefix is not None and prefix["cell"] is not None and prefix["cell"].lower() != "h3"
    try:
        if _H3.fullmatch(code) and h3.is_valid_cell(code.lower()):
            return [_h3(code.lower(), extent)]
        if _BEIDOU.fullmatch(code) and len(code) in beidou.LENGTHS:
            cell = beidou.decode(code)
            return [_beidou(cell, Text(zh=f"北斗网格位置码，第 {cell.level} 级",
                                       en=f"BeiDou grid code, level {cell.level}"), cell.code, extent)]  # fmt: skip
        if _BEIDOU_3D.fullmatch(code):
            box = beidou3d.decode(code)
            heights = f"{box.bottom:.1f}–{box.top:.1f} m"
            words = Text(zh=f"北斗三维网格位置码，第 {box.cell.level} 级，高 {heights}",
                         en=f"BeiDou grid code with height, level {box.cell.level}, {heights}")  # fmt: skip
            return [_beidou(box.cell, words, box.code, extent)]
        return _relative(code, extent, near if named else None)
    except InvalidParameter:
        return []


def _relative(code: str, extent: Box, near: tuple[float, float] | None) -> list[Reading]:
    """A code told from a reference cell, or a short one from where the reader looks."""
    if beidou_near.REFERENCE.fullmatch(code):
        cell = beidou_near.resolve(code)
        origin = code.upper().partition("-")[0]
        words = Text(zh=f"北斗参考网格位置码，自 {origin} 起，即 {cell.code}",
                     en=f"BeiDou reference code from {origin}: {cell.code}")  # fmt: skip
        return [_beidou(cell, words, code.upper(), extent)]
    return _short(code, near, extent) if near is not None else []


def _short(code: str, near: tuple[float, float], extent: Box) -> list[Reading]:
    """A short code behind each level it may stand behind, as the nearest cell that ends so."""
    if not beidou_near.SHORT.fullmatch(code):
        return []
    found = []
    for level in beidou_near.short_levels(len(code)):
        if not _SHORT_BEHIND[0] <= level <= _SHORT_BEHIND[1]:
            continue
        try:
            cell = beidou_near.restore(code, *near, level)
        except InvalidParameter:
            continue
        words = Text(zh=f"北斗短位置码，第 {level} 级之后，离地图中心最近的 {cell.code}",
                     en=f"Short BeiDou code behind level {level}: {cell.code}, the nearest to the map")  # fmt: skip
        reading = _beidou(cell, words, cell.code, extent)
        found.append(replace(reading, score=reading.score * (1 - 0.05 * level)))
    return found


def _beidou(cell: beidou.Cell, words: Text, code: str, extent: Box) -> Reading:
    lon, lat = cell.centre
    return _reading(code, words, "BeiDou", (lon, lat), extent, 1.0, cell.bbox)


def _h3(code: str, extent: Box) -> Reading:
    lat, lon = h3.cell_to_latlng(code)
    corners = h3.cell_to_boundary(code)
    level = h3.get_resolution(code)
    longitudes = [x for _, x in corners]
    if max(longitudes) - min(longitudes) > 180:
        box = None
    else:
        box = (min(longitudes), min(y for y, _ in corners), max(longitudes), max(y for y, _ in corners))
    words = Text(zh=f"H3 网格单元，分辨率 {level}", en=f"H3 cell, resolution {level}")
    return _reading(code, words, "H3", (lon, lat), extent, 1.0, box)


def _positions(text: str, extent: Box) -> Iterator[Reading]:
    prefix = _PREFIX.match(text)
    rest = text[prefix.end() :].lstrip(" :,") if prefix is not None else text
    if prefix is not None and prefix["cell"]:
        return
    if prefix is not None and (prefix["epsg"] or prefix["mercator"]):
        yield from _named(rest, prefix["epsg"] or "EPSG:3857", extent)
        return
    pair = read_pair(rest)
    if pair is not None:
        geographic = list(_degrees(pair))
        if prefix is not None:
            system = crs(GCJ02) if prefix["gcj"] else crs(BD09) if prefix["bd"] else crs(STORAGE)
            yield from _placed(geographic, system, extent, 1.0)
        else:
            yield from _placed(geographic, crs(CRS84), extent, 1.0)
            near = [p for p in geographic if _within(p, _SHIFTED)]
            yield from _placed(near, crs(GCJ02), extent, _LESS_LIKELY)
    numbers = read_numbers(rest)
    if numbers is not None and (prefix is None or prefix["true"]):
        yield from _projected(numbers, extent)


def _degrees(pair: tuple[Angle, Angle]) -> Iterator[tuple[float, float]]:
    """Longitude and latitude of two angles, in both orders where nothing tells which is which."""
    first, second = pair
    orders = [(first, second), (second, first)]
    for lon, lat in orders:
        if lon.axis == "latitude" or lat.axis == "longitude":
            continue
        if abs(lon.degrees) <= 180 and abs(lat.degrees) <= 90:
            yield float(lon.degrees), float(lat.degrees)


def _projected(numbers: tuple[float, float], extent: Box) -> Iterator[Reading]:
    some = False
    for easting, northing in (numbers, numbers[::-1]):
        for system in _zones(easting, northing, extent):
            for reading in _placed([(easting, northing)], system, extent, 1.0):
                some = True
                yield reading
    if all(abs(n) <= _MERCATOR_END for n in numbers) and max(abs(n) for n in numbers) > 1_000:
        mercator = crs("EPSG:3857")
        both = [*_placed([numbers], mercator, extent, 0.9), *_placed([numbers[::-1]], mercator, extent, 0.8)]
        yield from [r for r in both if r.inside] or ([] if some else both[:1])


def _zones(easting: float, northing: float, extent: Box) -> list[Crs]:
    """Gauss-Krueger systems of CGCS2000 that an easting and a northing may be of."""
    if not _NORTHING[0] <= northing <= _NORTHING[1]:
        return []
    zone, rest = divmod(easting, 1e6)
    if zone == 0:
        if not _EASTING[0] <= easting <= _EASTING[1]:
            return []
        zones = range(max(25, zone_of(extent[0])), min(45, zone_of(extent[2])) + 1)
        return [gauss_kruger(z, prefix=False) for z in zones]
    if not _EASTING[0] <= rest <= _EASTING[1]:
        return []
    if 25 <= zone <= 45:
        return [gauss_kruger(int(zone), prefix=True)]
    return [gauss_kruger(int(zone), prefix=True, width=6)] if 13 <= zone <= 23 else []


def _named(rest: str, name: str, extent: Box) -> Iterator[Reading]:
    """Two numbers in the system somebody named: in the order its authority writes them, or the other way round."""
    try:
        system = parse_crs(name)
    except InvalidParameter:
        return
    pair = read_pair(rest) if system.kind == "geographic" else None
    if pair is not None:
        yield from _placed(list(_degrees(pair)), system, extent, 1.0)
        return
    numbers = read_numbers(rest)
    if numbers is None or system.kind == "geographic":
        return
    written = numbers[::-1] if system.swapped else numbers
    readings = [*_placed([written], system, extent, 1.0), *_placed([written[::-1]], system, extent, 0.9)]
    inside = [r for r in readings if r.inside]
    yield from inside or readings[:1]


def _placed(points: list[tuple[float, float]], system: Crs, extent: Box, score: float) -> Iterator[Reading]:
    if not points:
        return
    words = _words(system)
    for lon, lat in Placement(system).lonlat(np.array(points, dtype=np.float64)).tolist():
        if np.isfinite(lon) and np.isfinite(lat):
            title = f"{lon:.6f}, {lat:.6f}"
            yield _reading(title, words, system.id, (lon, lat), extent, score)


def _words(system: Crs) -> Text:
    if system.id in (CRS84, STORAGE):
        words = Text(zh="经纬度，CGCS2000 / WGS 84", en="Longitude and latitude, CGCS2000 / WGS 84")
    elif system.pseudo:
        return Text(zh=f"{system.name_zh}，已换算为 CGCS2000", en=f"{system.id}, converted to CGCS2000")
    else:
        words = Text(zh=system.name_zh, en=system.name)
    return Text(zh=f"{words.zh}（{system.id}）", en=f"{words.en} ({system.id})")


def _reading(
    title: str, words: Text, system: str, point: tuple[float, float], extent: Box, score: float, bbox: Box | None = None
) -> Reading:
    west, south, east, north = bbox or (*point, *point)
    inside = west <= extent[2] and east >= extent[0] and south <= extent[3] and north >= extent[1]
    if not inside:
        words = Text(zh=f"{words.zh}，不在本市范围内", en=f"{words.en}, outside the city")
    return Reading(title, words, system, point[0], point[1], inside, score * (1.0 if inside else _OUTSIDE), bbox)


def _within(point: tuple[float, float], box: Box) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]
