# SPDX-License-Identifier: Apache-2.0
"""What speaks for and against a coordinate system: where the points would lie, what names say, known lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.errors import InvalidParameter
from geocloud.geodesy.crs import BD09, GCJ02, STORAGE, Datum, crs, gauss_kruger, zone_of
from geocloud.geodesy.transform import Placement
from geocloud.ingest.source import Source

__all__ = ["Box", "Guess", "Hints", "Sample", "distances", "guess", "hints_of", "ranked", "sample_of"]

Box = tuple[float, float, float, float]
Floats = NDArray[np.float64]
_VERTICES = 20_000
_MEASURED = 2_000
_MARGIN = 0.1
# How far past a system's area of use its coordinates still make sense, in degrees.
_REACH = 6.0
_SYSTEM_FIELDS = frozenset(
    {
        "coord_sys",
        "coordsys",
        "coord_system",
        "coordinate_system",
        "crs",
        "srs",
        "datum",
        "坐标系",
        "坐标系统",
        "坐标类型",
    }
)
_SHIFTED = (
    (re.compile(r"gcj[-_ ]?02|gcj|火星坐?标?"), GCJ02, True),
    (re.compile(r"bd[-_ ]?09"), BD09, True),
    (re.compile(r"amap|gaode|高德|tencent|腾讯"), GCJ02, False),
    (re.compile(r"baidu|百度|bmap"), BD09, False),
)
_TRUE = re.compile(r"wgs[-_ ]?(?:19)?84|cgcs|epsg[:_]?\d|4490|4326|2000坐标|国家2000|天地图|tianditu")
_OLD: tuple[tuple[re.Pattern[str], Datum], ...] = (
    (re.compile(r"北京[-_ ]?(?:19)?54|(?:beijing|bj)[-_ ]?(?:19)?54"), "Beijing1954"),
    (re.compile(r"西安[-_ ]?(?:19)?80|(?:xi'?an|xa)[-_ ]?(?:19)?80"), "Xian1980"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """Geometries and vertices from the first rows, and the box of the whole file when its format tells it."""

    geometries: NDArray[Any]
    xy: Floats
    bounds: Box
    rows: int


@dataclass(frozen=True, slots=True)
class Guess:
    """One reading of the coordinates.

    `inside` is the share of the vertices in the city's extent, `valid` the share that are places at all,
    `covers` whether the data's box contains the city's. `extent` is west, south, east, north in EPSG:4490.
    """

    placement: Placement
    inside: float
    valid: float
    covers: bool
    extent: Box | None

    @property
    def name(self) -> str:
        """The system's id, with a word when the axes are exchanged."""
        return self.placement.crs.id + (" (y, x)" if self.placement.exchanged else "")

    def evidence(self, language: Literal["zh", "en"]) -> str:
        """Why, in one clause."""
        zh = language == "zh"
        if self.extent is None:
            return "坐标在其中无意义" if zh else "the coordinates have no meaning in it"
        box = ", ".join(f"{v:.3f}" for v in self.extent)
        if self.covers and self.inside < 0.9:
            return f"范围 {box} 覆盖本市" if zh else f"the extent {box} covers the city"
        share = f"{self.inside:.0%}"
        return f"{share} 的顶点落在本市（{box}）" if zh else f"{share} of the vertices lie in the city ({box})"

    def as_dict(self) -> dict[str, Any]:
        """The guess as JSON."""
        return {
            "crs": self.placement.crs.id,
            "name": {"zh": self.placement.crs.name_zh, "en": self.placement.crs.name},
            "exchanged": self.placement.exchanged,
            "inside": round(self.inside, 4),
            "valid": round(self.valid, 4),
            "extent": None if self.extent is None else [round(v, 6) for v in self.extent],
            "evidence": {"zh": self.evidence("zh"), "en": self.evidence("en")},
        }


@dataclass(frozen=True, slots=True)
class Hints:
    """What names and values say: a shifted system, whether outright or only by the name of a map service, a datum."""

    shifted: str | None = None
    outright: bool = False
    word: str = ""
    true: bool = False
    old_datum: Datum | None = None


def sample_of(source: Source, rows: int) -> tuple[Sample | None, Hints]:
    """Sample and hints from a source's first rows; no sample when it has no geometry or none with coordinates."""
    batch = next(iter(source.batches(rows)), None)
    said: list[str] = list(source.hints)
    if batch is None or batch.geometry is None:
        return None, hints_of(said)
    for field in source.fields:
        if field.name.casefold() in _SYSTEM_FIELDS:
            values = {str(v) for v in batch.table.column(field.name).to_pylist() if v is not None}
            if len(values) == 1:
                said.append(f"{field.name}={values.pop()}")
    present = batch.geometry[~(shapely.is_missing(batch.geometry) | shapely.is_empty(batch.geometry))]
    xy = shapely.get_coordinates(present)
    xy = xy[np.isfinite(xy).all(axis=1)]
    if not len(xy):
        return None, hints_of(said)
    box = source.bounds()
    if box is None or not np.isfinite(box).all():
        box = (*xy.min(axis=0).tolist(), *xy.max(axis=0).tolist())
    if len(xy) > _VERTICES:
        xy = xy[np.linspace(0, len(xy) - 1, _VERTICES).astype(int)]
    return Sample(present, xy, box, batch.rows), hints_of(said)


def hints_of(names: Sequence[str]) -> Hints:
    """What a file's name, layer, coordinate columns and notes say; names that contradict each other say nothing."""
    text = " ".join(names).casefold()
    old = next((datum for pattern, datum in _OLD if pattern.search(text)), None)
    true = _TRUE.search(text)
    found = [(m[0], system, outright) for pattern, system, outright in _SHIFTED if (m := pattern.search(text))]
    outright = [f for f in found if f[2]]
    chosen = outright or found
    if len({system for _, system, _ in chosen}) != 1 or (true and not _is_label(text, true)):
        return Hints(true=true is not None, old_datum=old)
    word, system, clear = chosen[0]
    return Hints(system, clear, word, true is not None, old)


def _is_label(text: str, match: re.Match[str]) -> bool:
    """`gcj02_labelled_4326`: the second word is what the file is labelled, not what it is."""
    return re.search(r"label(?:l?ed)?[-_ ]*$|as[-_ ]$|标为[-_ ]*$", text[: match.start()]) is not None


def guess(sample: Sample, placement: Placement, city: Box, *, anywhere: bool = False) -> Guess:
    """Where a reading puts the sample; with `anywhere` even outside the area that the system is made for."""
    corners = np.array([(sample.bounds[i], sample.bounds[j]) for i in (0, 2) for j in (1, 3)])
    lonlat = placement.lonlat(np.vstack([sample.xy, corners]))
    area = placement.crs.pyproj().area_of_use if placement.crs.epsg else None
    good: NDArray[np.bool_] = np.asarray(np.isfinite(lonlat).all(axis=1))
    if area is not None and placement.crs.kind == "projected" and not anywhere:
        west, south, east, north = area.bounds
        with np.errstate(invalid="ignore"):
            in_lat = (lonlat[:, 1] >= south - _REACH) & (lonlat[:, 1] <= north + _REACH)
            in_lon = (lonlat[:, 0] >= west - _REACH) & (lonlat[:, 0] <= east + _REACH)
        good &= in_lat & (in_lon | (west > east))
    points = lonlat[: len(sample.xy)]
    if not good[: len(sample.xy)].any():
        return Guess(placement, 0.0, 0.0, False, None)
    seen = lonlat[good]
    extent = (*seen.min(axis=0).tolist(), *seen.max(axis=0).tolist())
    west, south, east, north = _wider(city)
    with np.errstate(invalid="ignore"):
        inside = (points[:, 0] >= west) & (points[:, 0] <= east) & (points[:, 1] >= south) & (points[:, 1] <= north)
    inside &= good[: len(sample.xy)]
    covers = extent[0] <= city[0] and extent[1] <= city[1] and extent[2] >= city[2] and extent[3] >= city[3]
    return Guess(placement, float(inside.mean()), float(good[: len(sample.xy)].mean()), covers, extent)


def ranked(sample: Sample, city: Box, old_datum: Datum | None = None) -> list[Guess]:
    """All readings that put something into the city or cover it, likeliest first.

    Three-degree zones go before six-degree ones that give the same coordinates, CGCS2000 before the
    older datums, which no extent can tell apart, unless a name says otherwise.
    """
    readings = [Placement(crs(STORAGE)), Placement(crs(STORAGE), exchanged=True)]
    west, east = city[0], city[2]
    for datum in dict.fromkeys((old_datum or "CGCS2000", "CGCS2000")):
        for width in (3, 6):
            zones = range(zone_of(west, width) - 1, zone_of(east, width) + 2)  # type: ignore[arg-type]
            for prefix in (False, True):
                for zone in zones:
                    if width == 6 and not prefix:
                        # Same central meridians as every second three-degree zone: the same coordinates.
                        continue
                    try:
                        system = gauss_kruger(zone, prefix=prefix, width=width, datum=datum)  # type: ignore[arg-type]
                    except InvalidParameter:
                        continue
                    readings += [Placement(system), Placement(system, exchanged=True)]
    utm = 32600 + int(((west + east) / 2 + 180) // 6) + 1
    readings += [Placement(crs(c), x) for c in (3857, utm) for x in (False, True)]
    guesses = [guess(sample, p, city) for p in readings]
    likely = [g for g in guesses if g.inside > 0 or (g.covers and g.placement.crs.kind == "geographic")]
    return sorted(likely, key=lambda g: (-round(g.inside, 2), not g.covers, g.placement.exchanged))


def distances(sample: Sample, reference: NDArray[Any], readings: Sequence[Placement]) -> list[float] | None:
    """Median distance in metres of the sample's vertices from known geometry, for each reading.

    Lines and polygons are measured against the lines and boundaries of `reference` (EPSG:4490), points
    against its points only, because a point has no business on a boundary. None when the two do not fit.
    """
    known = shapely.get_parts(np.asarray(reference, dtype=object).ravel())
    points = (shapely.get_dimensions(sample.geometries) == 0).all()
    if points:
        targets = known[shapely.get_dimensions(known) == 0]
    else:
        surfaces = known[shapely.get_dimensions(known) == 2]
        targets = np.concatenate([known[shapely.get_dimensions(known) == 1], shapely.boundary(surfaces)])
    if not len(targets):
        return None
    middle = float(np.mean(shapely.total_bounds(targets)[[1, 3]]))
    scale = np.array([111_320.0 * np.cos(np.radians(middle)), 110_950.0])
    tree = shapely.STRtree(_pieces(shapely.transform(targets, lambda c: c * scale)))
    xy = sample.xy[np.linspace(0, len(sample.xy) - 1, min(len(sample.xy), _MEASURED)).astype(int)]
    out = []
    for placement in readings:
        lonlat = placement.lonlat(xy)
        where = shapely.points(lonlat[np.isfinite(lonlat).all(axis=1)] * scale)
        if not len(where):
            return None
        _, metres = tree.query_nearest(where, return_distance=True, all_matches=False)
        out.append(float(np.median(metres)))
    return out


def _pieces(geometries: NDArray[Any]) -> NDArray[Any]:
    """Single segments of lines, and points as they are, so that the nearest is found through an index."""
    parts = shapely.get_parts(geometries)
    single = parts[shapely.get_type_id(parts) == 0]
    lines = parts[shapely.get_type_id(parts) != 0]
    coordinates, of = shapely.get_coordinates(lines, return_index=True)
    same = of[1:] == of[:-1]
    pairs = np.stack([coordinates[:-1][same], coordinates[1:][same]], axis=1)
    return np.concatenate([single, shapely.linestrings(pairs)]) if len(pairs) else single


def _wider(city: Box) -> Box:
    """The city's box with a tenth of its size around it."""
    dx, dy = (city[2] - city[0]) * _MARGIN, (city[3] - city[1]) * _MARGIN
    return city[0] - dx, city[1] - dy, city[2] + dx, city[3] + dy
