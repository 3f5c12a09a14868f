# SPDX-License-Identifier: Apache-2.0
"""Values that clients write: numbers, instants, boxes and geometries, checked before anything is asked of them.

Coordinates come in the axis order of their CRS's authority and leave as EPSG:4490, x = longitude. The literal is
transformed, never the column. CGCS2000 and WGS 84 are taken as the same at metre level, so CRS84 and EPSG:4326
are only relabelled. A calendar date is a whole day in Beijing time, UTC+8 (GB/T 7408.1).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder
from geocloud.geodesy.crs import CRS84, Crs, crs
from geocloud.geodesy.transform import Placement, from_lonlat

__all__ = [
    "BEIJING",
    "Box",
    "bind_date",
    "bind_instant",
    "day_end",
    "day_start",
    "invalid",
    "parse_date",
    "parse_instant",
    "read_box",
    "read_number",
    "to_storage",
]

BEIJING: Final = timezone(timedelta(hours=8), "UTC+8")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}):([0-9]{2})(?:\.([0-9]{1,30}))?"
    r"(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))"
)
_PLAIN: Final = frozenset({CRS84, "EPSG:4326", "EPSG:4490"})
# Projected systems whose grid lines are meridians and parallels: a box stays a box.
_UPRIGHT: Final = _PLAIN | {"EPSG:3857"}
# Pieces of a box's edge when grid lines are curves in longitude and latitude, and their length in metres:
# an edge of 100 m bends by 0.2 mm.
_EDGE_METRES, _EDGE_PIECES = 100.0, 512
# Round trip through the projection, in its unit; more means the place is outside what it can show.
_ROUND_TRIP: Final = 0.01


def invalid(parameter: str, en: str, zh: str, todo_en: str = "", todo_zh: str = "", **context: Any) -> InvalidParameter:
    """An InvalidParameter that names its parameter in the context."""
    return InvalidParameter(en, zh, todo_en=todo_en, todo_zh=todo_zh, parameter=parameter, **context)


@dataclass(frozen=True, slots=True)
class Box:
    """A box in EPSG:4490 degrees, closed on all sides; west <= east, south <= north."""

    west: float
    south: float
    east: float
    north: float

    def geometry(self) -> Any:
        """The box as a shapely polygon, or the line or point it has shrunk to."""
        w, s, e, n = self.west, self.south, self.east, self.north
        if w < e and s < n:
            return shapely.box(w, s, e, n)
        return shapely.Point(w, s) if (w, s) == (e, n) else shapely.LineString([(w, s), (e, n)])


def read_number(text: str) -> float | None:
    """A finite decimal number in ASCII digits; None when the text is none."""
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def parse_date(text: str) -> date | None:
    """An RFC 3339 full-date; None when the text is none."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def parse_instant(text: str) -> datetime | None:
    """An RFC 3339 date-time in UTC; None when the text is none or lies outside the years 1 to 9999.

    Digits beyond the microsecond are cut off; second 60 is the first of the next minute.
    """
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    day, minute, second, fraction, zulu, sign, hours, minutes = found.groups()
    if int(second) > 60 or (not zulu and (int(hours) > 23 or int(minutes) > 59)):
        return None
    try:
        local = datetime.fromisoformat(f"{day}T{minute}:00")
        local += timedelta(seconds=int(second), microseconds=int(((fraction or "") + "000000")[:6]))
        if not zulu:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            local = local - offset if sign == "+" else local + offset
    except (ValueError, OverflowError):
        return None
    return local.replace(tzinfo=UTC)


def day_start(day: date) -> datetime:
    """Midnight in Beijing at the start of a date, in UTC; of the year 1's first day, which has none, midnight UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return midnight if day == date.min else midnight - timedelta(hours=8)


def day_end(day: date) -> datetime | None:
    """Midnight in Beijing at the end of a date, in UTC: the first instant after it; None past the year 9999."""
    return None if day == date.max else day_start(day + timedelta(days=1))


def bind_date(binder: Binder, day: date) -> str:
    """The placeholder of a date; the first and last are sent as text, since asyncpg takes them for infinity."""
    if day in (date.min, date.max):
        return f"{binder.bind(day.isoformat(), 'text')}::date"
    return binder.bind(day, "date")


def bind_instant(binder: Binder, moment: datetime) -> str:
    """The placeholder of an instant in UTC; the first and last are sent as text, as dates are."""
    if moment.replace(tzinfo=None) in (datetime.min, datetime.max):
        return f"{binder.bind(moment.isoformat(), 'text')}::timestamptz"
    return binder.bind(moment, "timestamptz")


def read_box(numbers: list[float], system: Crs | None, parameter: str) -> list[Box | Any]:
    """What a box of four or six numbers covers: one or two `Box`, or a polygon where grid lines are curved.

    `numbers` are lower corner then upper corner in the axis order of `system` (CRS84 when None); heights are
    checked and then left aside, since layers are two-dimensional. In a geographic system west may be greater than
    east: the box crosses the antimeridian (RFC 7946, 5.2) and is cut in two; what reaches beyond the globe is cut
    off. Raises InvalidParameter naming `parameter`.
    """
    system = system or crs(CRS84)
    if len(numbers) not in (4, 6) or not all(math.isfinite(v) for v in numbers):
        raise _box_error(
            parameter, f"has {len(numbers)} values, not four or six finite numbers", "应为四个或六个有限数值"
        )
    if len(numbers) == 6:
        if numbers[2] > numbers[5]:
            raise _box_error(parameter, "has its lower height above its upper one", "的下界高程大于上界高程")
        numbers = [*numbers[:2], *numbers[3:5]]
    if system.swapped:
        numbers = [numbers[1], numbers[0], numbers[3], numbers[2]]
    west, south, east, north = numbers
    if south > north:
        raise _box_error(parameter, "has its southern edge north of its northern one", "的南界大于北界")
    if system.kind == "geographic" and system.id in _PLAIN:
        return _globe_box(west, south, east, north, parameter)
    if west > east:
        raise _box_error(parameter, "has its western edge east of its eastern one", "的西界大于东界")
    if system.id in _UPRIGHT:
        (w, e), (s, n) = _lonlat(np.array([[west, south], [east, north]]), system, parameter).T.tolist()
        return [Box(w, s, e, n)]
    # Corners first: an edge to somewhere beyond all maps cannot be divided.
    _lonlat(np.array([[west, south], [east, north]]), system, parameter)
    edge = max(east - west, north - south)
    pieces = min(_EDGE_PIECES, max(1, math.ceil(edge / _EDGE_METRES))) if system.kind == "projected" else 64
    outline = shapely.segmentize(Box(west, south, east, north).geometry(), max(edge / pieces, 1e-9))
    return [shapely.transform(outline, lambda xy: _lonlat(xy, system, parameter))]


def to_storage(geometry: Any, system: Crs | None, parameter: str) -> Any:
    """A shapely geometry in the axis order of `system` (CRS84 when None), as EPSG:4490, x = longitude.

    Vertices are transformed and edges stay straight in longitude and latitude, as they do on output. Raises
    InvalidParameter naming `parameter` for places outside the system and for shapes that are not valid.
    """
    system = system or crs(CRS84)

    def convert(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return _lonlat(xy[:, ::-1] if system.swapped else xy, system, parameter)

    found = shapely.transform(geometry, convert)
    if not shapely.is_valid(found):
        reason = shapely.is_valid_reason(found)
        raise invalid(
            parameter,
            f"A geometry in `{parameter}` is not valid: {reason}.",
            f"{parameter} 中的几何图形无效:{reason}。",
            "Send simple rings that do not cross themselves (OGC 06-103r4).",
            "请提供不自相交的简单环。",
        )
    return found


def _globe_box(west: float, south: float, east: float, north: float, parameter: str) -> list[Box | Any]:
    if max(abs(west), abs(east)) > 540 or max(abs(south), abs(north)) > 180:
        raise _box_error(parameter, "lies outside the globe", "超出地球经纬度范围", degrees=True)
    south, north = max(south, -90.0), min(north, 90.0)
    if south > north:
        raise _box_error(parameter, "lies outside the globe", "超出地球经纬度范围", degrees=True)
    if east - west >= 360:
        return [Box(-180.0, south, 180.0, north)]
    west, east = _wrap(west), _wrap(east)
    if west <= east:
        return [Box(west, south, east, north)]
    return [Box(west, south, 180.0, north), Box(-180.0, south, east, north)]


def _wrap(longitude: float) -> float:
    return longitude if -180 <= longitude <= 180 else (longitude + 180) % 360 - 180


def _lonlat(xy: NDArray[np.float64], system: Crs, parameter: str) -> NDArray[np.float64]:
    """Coordinates in x, y order as longitude and latitude."""
    lonlat = Placement(system).lonlat(xy)
    inside = bool(np.isfinite(lonlat).all())
    if inside and system.kind == "projected":
        with np.errstate(invalid="ignore"):
            inside = bool((np.abs(from_lonlat(system, lonlat) - xy) < _ROUND_TRIP).all())
    if inside:
        return lonlat
    order = "latitude, longitude" if system.kind == "geographic" and system.swapped else "x, y"
    order = "northing, easting" if system.kind == "projected" and system.swapped else order
    order = "longitude, latitude" if system.id == CRS84 else order
    raise invalid(
        parameter,
        f"A coordinate in `{parameter}` lies outside {system.id}.",
        f"{parameter} 中有坐标超出 {system.id} 的范围。",
        f"Coordinates are read as {order}; name another CRS with `{_crs_parameter(parameter)}`.",
        f"坐标按 {order} 顺序读取;如用其他坐标系,请以 {_crs_parameter(parameter)} 指明。",
        crs=system.id,
    )


def _crs_parameter(parameter: str) -> str:
    return "bbox-crs" if parameter == "bbox" else "filter-crs"


def _box_error(parameter: str, en: str, zh: str, *, degrees: bool = False) -> InvalidParameter:
    unit = f" in degrees; for metres name `{_crs_parameter(parameter)}`" if degrees else " in the axis order of its CRS"
    unit_zh = f"(单位为度;米制坐标请以 {_crs_parameter(parameter)} 指明坐标系)" if degrees else "(按坐标系的轴序)"
    return invalid(
        parameter,
        f"The box in `{parameter}` {en}.",
        f"{parameter} 的范围框{zh}。",
        f"Write lower corner, then upper corner{unit}, such as 115.9,36.4,116.1,36.6.",
        f"请先写下角点再写上角点{unit_zh},例如 115.9,36.4,116.1,36.6。",
    )
