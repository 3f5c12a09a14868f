# SPDX-License-Identifier: Apache-2.0
"""Small drawings for pages, as the numbers of inline SVG: a locator of an extent, a plot of a page's geometries.

Longitude and latitude in degrees (CRS84) are drawn equirectangular, true to scale at the middle latitude; north
is up. What is drawn is exactly what is given: no base map, nothing smoothed, only vertices that fall into the
same tenth of a pixel are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import cos, floor, log10, radians
from typing import Any

from geocloud.geodesy.area import ellipsoid

__all__ = ["Box", "Frame", "Locator", "Plot", "Shape", "locator", "plot"]

Box = tuple[float, float, float, float]
# A box around a single point is opened to this many degrees, about 200 m.
_LEAST_SPAN = 0.002
# An extent smaller than this many pixels is circled, or nobody would find it.
_FINDABLE = 14.0


@dataclass(frozen=True)
class Frame:
    """Maps longitude and latitude to pixels of a drawing of a given size, with a scale bar."""

    west: float
    north: float
    per_degree: float  # pixels per degree of latitude
    squeeze: float  # cosine of the middle latitude
    width: float
    height: float
    bar_px: float
    bar_label: str

    def xy(self, lon: float, lat: float) -> tuple[float, float]:
        """Pixel of a position, to a tenth."""
        return (
            round((lon - self.west) * self.squeeze * self.per_degree, 1),
            round((self.north - lat) * self.per_degree, 1),
        )


@dataclass(frozen=True)
class Shape:
    """One geometry: an SVG path, or points; `kind` is point, line or area."""

    kind: str
    path: str = ""
    points: tuple[tuple[float, float], ...] = ()
    fid: int | str | None = None


@dataclass(frozen=True)
class Plot:
    """Shapes in a frame; `left_out` counts features over the limit, `empty` those without a geometry."""

    frame: Frame
    box: Box
    shapes: tuple[Shape, ...]
    left_out: int = 0
    empty: int = 0


@dataclass(frozen=True)
class Locator:
    """Where a layer lies against the city: two rectangles (x, y, width, height) and a graticule."""

    frame: Frame
    city: tuple[float, float, float, float]
    layer: tuple[float, float, float, float]
    circled: bool
    meridians: tuple[tuple[float, str], ...] = field(default=())
    parallels: tuple[tuple[float, str], ...] = field(default=())


def locator(city: Box, layer: Box, width: float = 320, height: float = 320) -> Locator:
    """The city's extent and a layer's, both lon/lat west, south, east, north in degrees."""
    frame = _frame(_union([city, layer]), width, height, margin=28)
    inner = _rectangle(frame, layer)
    step = _nice(frame.height / frame.per_degree / 2)
    return Locator(
        frame,
        _rectangle(frame, city),
        inner,
        circled=max(inner[2], inner[3]) < _FINDABLE,
        meridians=tuple(
            (x, _degrees(lon, "EW") if x < width - 48 else "")
            for lon in _steps(frame.west, frame.west + frame.width / frame.per_degree / frame.squeeze, step)
            for x, _ in [frame.xy(lon, 0)]
        ),
        parallels=tuple(
            (y, _degrees(lat, "NS") if 28 < y < height - 28 else "")
            for lat in _steps(frame.north - frame.height / frame.per_degree, frame.north, step)
            for _, y in [frame.xy(0, lat)]
        ),
    )


def plot(
    features: Sequence[dict[str, Any]], width: float = 480, height: float = 360, at_most: int = 2_000
) -> Plot | None:
    """GeoJSON features in CRS84; None when none of them has a geometry."""
    drawn = [f for f in features if f.get("geometry")]
    kept = drawn[:at_most]
    boxes = [box for f in kept if (box := _bounds(f["geometry"])) is not None]
    if not boxes:
        return None
    box = _union(boxes)
    frame = _frame(box, width, height, margin=16)
    shapes = [s for f in kept for s in _shapes(frame, f["geometry"], f.get("id"))]
    # Areas below lines below points, so that the small stays visible.
    shapes.sort(key=lambda s: ("area", "line", "point").index(s.kind))
    return Plot(frame, box, tuple(shapes), len(drawn) - len(kept), len(features) - len(drawn))


def _frame(box: Box, width: float, height: float, margin: float) -> Frame:
    west, south, east, north = box
    middle_lon, middle_lat = (west + east) / 2, (south + north) / 2
    squeeze = max(cos(radians(middle_lat)), 0.01)
    spans = (max(east - west, _LEAST_SPAN) * squeeze, max(north - south, _LEAST_SPAN))
    per_degree = min((width - 2 * margin) / spans[0], (height - 2 * margin) / spans[1])
    west = middle_lon - width / 2 / per_degree / squeeze
    north = middle_lat + height / 2 / per_degree
    metres = _metres_per_pixel(middle_lon, middle_lat, 1 / per_degree / squeeze)
    length = _nice(metres * width / 5)
    label = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    return Frame(west, north, per_degree, squeeze, width, height, round(length / metres, 1), label)


def _metres_per_pixel(lon: float, lat: float, degrees: float) -> float:
    span = min(100 * degrees, 90.0)
    return float(ellipsoid().inv(lon - span / 2, lat, lon + span / 2, lat)[2]) / (span / degrees)


def _nice(number: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above."""
    power = 10.0 ** floor(log10(number))
    return float(max(n for n in (1, 2, 5) if n * power <= number * 1.0000001) * power)


def _degrees(angle: float, names: str) -> str:
    return f"{abs(angle):g}° {names[0] if angle >= 0 else names[1]}"


def _steps(low: float, high: float, step: float) -> Iterator[float]:
    place = floor(low / step) + 1
    while place * step < high:
        yield round(place * step, 6)
        place += 1


def _union(boxes: Iterable[Box]) -> Box:
    wests, souths, easts, norths = zip(*boxes, strict=True)
    return min(wests), min(souths), max(easts), max(norths)


def _rectangle(frame: Frame, box: Box) -> tuple[float, float, float, float]:
    left, top = frame.xy(box[0], box[3])
    right, bottom = frame.xy(box[2], box[1])
    return left, top, round(right - left, 1), round(bottom - top, 1)


def _positions(coordinates: Any) -> Iterator[Sequence[float]]:
    if coordinates and isinstance(coordinates[0], int | float):
        yield coordinates
        return
    for part in coordinates:
        yield from _positions(part)


def _bounds(geometry: dict[str, Any]) -> Box | None:
    if geometry["type"] == "GeometryCollection":
        boxes = [b for g in geometry["geometries"] if (b := _bounds(g)) is not None]
        return _union(boxes) if boxes else None
    positions = list(_positions(geometry["coordinates"]))
    if not positions:
        return None
    xs, ys = [p[0] for p in positions], [p[1] for p in positions]
    return min(xs), min(ys), max(xs), max(ys)


def _shapes(frame: Frame, geometry: dict[str, Any], fid: int | str | None) -> Iterator[Shape]:
    kind = geometry["type"]
    if kind == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from _shapes(frame, part, fid)
        return
    coordinates = geometry["coordinates"]
    if kind in ("Point", "MultiPoint"):
        points = tuple(dict.fromkeys(frame.xy(p[0], p[1]) for p in _positions(coordinates)))
        if points:
            yield Shape("point", points=points, fid=fid)
        return
    if kind == "LineString":
        coordinates = [coordinates]
    elif kind == "MultiPolygon":
        coordinates = [ring for polygon in coordinates for ring in polygon]
    closed = kind.endswith("Polygon")
    path = "".join(_line(frame, part, closed) for part in coordinates)
    if path:
        yield Shape("area" if closed else "line", path=path, fid=fid)


def _line(frame: Frame, positions: Sequence[Sequence[float]], closed: bool) -> str:
    pixels: list[tuple[float, float]] = []
    for p in positions:
        pixel = frame.xy(p[0], p[1])
        if not pixels or pixel != pixels[-1]:
            pixels.append(pixel)
    if not pixels:
        return ""
    if len(pixels) == 1:  # a whole line within a tenth of a pixel is still there
        pixels.append((round(pixels[0][0] + 0.5, 1), pixels[0][1]))
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in pixels) + ("Z" if closed else "")
