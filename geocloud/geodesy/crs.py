# SPDX-License-Identifier: Apache-2.0
"""The coordinate reference systems (坐标参考系) the house speaks: names, URIs, axis order, families.

Storage is CGCS2000 geographic, EPSG:4490, x = longitude, y = latitude. Everything else is a way in or
out. The Chinese Gauss-Krueger families follow by rule from the zone, so the registry is a rule and not
a list; any other EPSG code is looked up in PROJ's database.

Two pseudo systems, `GCJ-02` and `BD-09`, are shifted longitude and latitude of Chinese map services.
They have no authority and no URI, serve for reading only and are never stored or served.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

import pyproj
from pyproj.exceptions import CRSError

from geocloud.errors import InvalidParameter

__all__ = [
    "BD09",
    "CRS84",
    "CRS84_URI",
    "GCJ02",
    "SERVED",
    "STORAGE",
    "Crs",
    "Datum",
    "axis_swapped",
    "crs",
    "describe",
    "gauss_kruger",
    "parse_crs",
    "zone_of",
]

CRS84 = "OGC:CRS84"
CRS84_URI = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
GCJ02 = "GCJ-02"
BD09 = "BD-09"
STORAGE = "EPSG:4490"
# What the API offers as `crs` and `bbox-crs`, CRS84 first as OGC API Features part 2 wants it.
SERVED = (CRS84, "EPSG:4326", STORAGE, "EPSG:3857", "EPSG:4526", "EPSG:4527", "EPSG:4547", "EPSG:4548")

Datum = Literal["CGCS2000", "WGS84", "Xian1980", "Beijing1954", "GCJ-02", "BD-09", "other"]
Width = Literal[3, 6]

# First EPSG code of each run: with the zone number in the easting, and without it.
# Runs start at zone 25 or 13 and at central meridian 75 degrees east.
_RUNS: dict[tuple[Datum, Width], tuple[int, int]] = {
    ("CGCS2000", 3): (4513, 4534),
    ("CGCS2000", 6): (4491, 4502),
    ("Xian1980", 3): (2349, 2370),
    ("Xian1980", 6): (2327, 2338),
    ("Beijing1954", 3): (2401, 2422),
    ("Beijing1954", 6): (21413, 21453),
}
_FIRST_ZONE: dict[Width, int] = {3: 25, 6: 13}
_ZONES: dict[Width, int] = {3: 21, 6: 11}
_GEOGRAPHIC: dict[int, Datum] = {4490: "CGCS2000", 4326: "WGS84", 4610: "Xian1980", 4214: "Beijing1954"}
_ZH: dict[Datum, str] = {
    "CGCS2000": "2000 国家大地坐标系",
    "WGS84": "WGS 84 坐标系",
    "Xian1980": "1980 西安坐标系",
    "Beijing1954": "1954 北京坐标系",
    "GCJ-02": "GCJ-02 火星坐标",
    "BD-09": "BD-09 百度坐标",
    "other": "",
}
_URI = re.compile(r"https?://www\.opengis\.net/def/crs/(EPSG|OGC)/[0-9.]+/(CRS84h?|[0-9]{4,6})")
_URN = re.compile(r"urn:(?:ogc|x-ogc):def:crs:(EPSG|OGC):[0-9.]*:(CRS84h?|[0-9]{4,6})", re.IGNORECASE)
_CODE = re.compile(r"\[?(?:EPSG:{1,2})?([0-9]{4,6})\]?", re.IGNORECASE)
_ALIASES = {
    "CRS84": CRS84,
    "OGC:CRS84": CRS84,
    "[OGC:CRS84]": CRS84,
    "CRS:84": CRS84,
    "WGS84": CRS84,
    "WGS 84": CRS84,
    "CGCS2000": STORAGE,
    "GCJ-02": GCJ02,
    "GCJ02": GCJ02,
    "火星坐标": GCJ02,
    "BD-09": BD09,
    "BD09": BD09,
    "BD09LL": BD09,
    "百度坐标": BD09,
}


@dataclass(frozen=True, slots=True)
class Crs:
    """One coordinate reference system.

    `id` is `EPSG:<code>`, `OGC:CRS84`, `GCJ-02` or `BD-09`. `swapped` is True when the authority's axis
    order is north (latitude) before east (longitude). `zone` is the zone number in the easting of a
    Gauss-Krueger system, None when its easting carries none; `width` is its zone width in degrees.
    `definition` is the WKT or PROJ text of a system without a code, whose `id` is `local`.
    """

    id: str
    name: str
    name_zh: str
    kind: Literal["geographic", "projected"]
    datum: Datum
    swapped: bool
    central_meridian: float | None = None
    zone: int | None = None
    width: Width | None = None
    definition: str | None = None

    @property
    def pseudo(self) -> bool:
        """True for GCJ-02 and BD-09."""
        return self.datum in (GCJ02, BD09)

    @property
    def epsg(self) -> int | None:
        """The EPSG code, None for CRS84, the pseudo systems and systems without a code."""
        return int(self.id[5:]) if self.id.startswith("EPSG:") else None

    @property
    def srid(self) -> int:
        """The SRID PostGIS knows it by; CRS84 is 4326, because PostGIS orders x, y itself."""
        if self.epsg is None and self.id != CRS84:
            raise InvalidParameter(
                f"{self.id} has no SRID: it is for import only.", f"{self.id} 没有 SRID，只用于导入。"
            )
        return self.epsg or 4326

    @property
    def uri(self) -> str:
        """The URI that OGC APIs name it by (OGC 18-058r1, requirement crs-uri)."""
        if self.epsg is None and self.id != CRS84:
            raise InvalidParameter(f"{self.id} has no URI: it is for import only.", f"{self.id} 没有 URI，只用于导入。")
        return CRS84_URI if self.id == CRS84 else f"http://www.opengis.net/def/crs/EPSG/0/{self.epsg}"

    def pyproj(self) -> pyproj.CRS:
        """The system as pyproj has it; the pseudo systems are taken as CGCS2000."""
        if self.pseudo:
            return pyproj.CRS.from_epsg(4490)
        return pyproj.CRS.from_user_input(self.definition or self.id)


def crs(code: str | int) -> Crs:
    """The system of an id (`EPSG:4527`, `OGC:CRS84`, `GCJ-02`, `BD-09`) or an EPSG code.

    Raises InvalidParameter when PROJ's database has no such system, or when it is neither geographic
    nor projected in two dimensions.
    """
    return _crs(code if isinstance(code, str) else f"EPSG:{code}")


@cache
def _crs(name: str) -> Crs:
    if name == CRS84:
        return Crs(
            CRS84, "WGS 84 longitude-latitude", "WGS 84 经纬度（经度在前）", "geographic", "WGS84", swapped=False
        )
    if name in (GCJ02, BD09):
        datum: Datum = "GCJ-02" if name == GCJ02 else "BD-09"
        return Crs(name, f"{name} pseudo coordinates", _ZH[datum], "geographic", datum, swapped=False)
    match = _CODE.fullmatch(name)
    try:
        found = pyproj.CRS.from_epsg(int(match[1])) if match else None
    except CRSError:
        found = None
    if found is None or not (found.is_geographic or found.is_projected) or len(found.axis_info) < 2:
        raise _unknown(name)
    return _described(found, int(match[1]))  # type: ignore[index]


def describe(found: pyproj.CRS) -> Crs:
    """The system of a pyproj CRS, by its EPSG code when PROJ's database surely has the same, else as `local`.

    Raises InvalidParameter when it is neither geographic nor projected.
    """
    code = found.to_epsg(min_confidence=90)
    if code is not None:
        return crs(code)
    if found.name.endswith("CRS84"):
        return crs(CRS84)
    flat = found.to_2d() if len(found.axis_info) > 2 else found
    if len(found.axis_info) > 2 and (code := flat.to_epsg(min_confidence=90)) is not None:
        return crs(code)
    if not (flat.is_geographic or flat.is_projected):
        raise _unknown(found.name)
    return _described(flat, None)


def _described(found: pyproj.CRS, code: int | None) -> Crs:
    swapped = found.axis_info[0].direction in ("north", "south")
    family = _family(code) if code is not None else None
    if family is not None:
        datum, width, zone, meridian = family
        prefix = f" {zone} 带（横坐标带带号）" if zone else f" 中央经线 {meridian:g}°"
        name_zh = f"{_ZH[datum]} {width} 度带高斯-克吕格{prefix}"
        return Crs(f"EPSG:{code}", found.name, name_zh, "projected", datum, swapped, meridian, zone or None, width)
    kind: Literal["geographic", "projected"] = "geographic" if found.is_geographic else "projected"
    base = found.geodetic_crs.to_epsg() if found.geodetic_crs is not None else None
    datum = _GEOGRAPHIC.get(base or 0, "other")
    name_zh = f"{_ZH[datum]}经纬度" if code in _GEOGRAPHIC else found.name
    if code == 3857:
        name_zh = "Web 墨卡托投影"
    if code is None:
        return Crs("local", found.name, name_zh, kind, datum, swapped, _meridian(found), definition=found.to_wkt())
    return Crs(f"EPSG:{code}", found.name, name_zh, kind, datum, swapped, _meridian(found))


def parse_crs(text: str, parameter: str = "crs") -> Crs:
    """The system that a person or a client names.

    Taken are OGC URIs (`http://www.opengis.net/def/crs/EPSG/0/4527`, any version), URNs, safe CURIEs
    (`[EPSG:4527]`), `EPSG:4527`, the bare code, `CRS84`, `CGCS2000`, `GCJ-02` and `BD-09`. Nothing else
    reaches PROJ, so no file name, grid or pipeline can be smuggled in. Raises InvalidParameter naming `parameter`.
    """
    try:
        return _parse(text.strip())
    except InvalidParameter as exc:
        exc.context["parameter"] = parameter
        raise


def _parse(short: str) -> Crs:
    alias = _ALIASES.get(short.upper())
    if alias is not None:
        return crs(alias)
    match = _URI.fullmatch(short) or _URN.fullmatch(short)
    if match is not None:
        authority, code = match[1].upper(), match[2].upper()
        if authority == "OGC" and code == "CRS84":
            return crs(CRS84)
        if authority == "EPSG" and code.isdigit():
            return crs(int(code))
    match = _CODE.fullmatch(short)
    if match is not None:
        return crs(int(match[1]))
    raise _unknown(short)


def axis_swapped(which: Crs | str | int) -> bool:
    """True when the authority writes north or latitude first, so x, y of storage must be exchanged.

    OGC API Features part 2 (18-058r1) wants coordinates in the authority's order: EPSG:4490, 4326 and
    all Gauss-Krueger systems are north first, EPSG:3857 and CRS84 east first.
    """
    return which.swapped if isinstance(which, Crs) else (parse_crs(str(which)).swapped)


def zone_of(longitude: float, width: Width = 3) -> int:
    """The Gauss-Krueger zone number of a longitude in degrees: 39 for 117 degrees east at width 3."""
    return int((longitude + 1.5) // 3) if width == 3 else int(longitude // 6) + 1


def gauss_kruger(zone: int, *, prefix: bool, width: Width = 3, datum: Datum = "CGCS2000") -> Crs:
    """The Gauss-Krueger system of a zone number, with the zone in its eastings or without.

    Raises InvalidParameter for a zone outside China's (25-45 at 3 degrees, 13-23 at 6).
    """
    run = _RUNS.get((datum, width))
    step = zone - _FIRST_ZONE[width]
    if run is None or not 0 <= step < _ZONES[width]:
        raise InvalidParameter(
            f"There is no {width}-degree Gauss-Krueger zone {zone} of {datum}.",
            f"{_ZH[datum]}没有 {width} 度带第 {zone} 带。",
        )
    return crs(run[0 if prefix else 1] + step)


def _family(code: int) -> tuple[Datum, Width, int, float] | None:
    """Datum, width, zone (0: not in the easting) and central meridian of a Gauss-Krueger code."""
    for (datum, width), (with_zone, without) in _RUNS.items():
        for first, prefix in ((with_zone, True), (without, False)):
            step = code - first
            if 0 <= step < _ZONES[width]:
                zone = _FIRST_ZONE[width] + step
                return datum, width, zone if prefix else 0, 75.0 + width * step
    return None


def _meridian(found: pyproj.CRS) -> float | None:
    operation = found.coordinate_operation
    for parameter in operation.params if operation is not None else ():
        if parameter.code == "8802":
            return float(parameter.value)
    return None


def _unknown(text: str) -> InvalidParameter:
    return InvalidParameter(
        f"`{text[:200]}` is no coordinate reference system known here.",
        f"“{text[:200]}”不是本系统认识的坐标参考系。",
        todo_en="Write it as EPSG:4527, as its OGC URI, as CRS84, or for import as GCJ-02 or BD-09.",
        todo_zh="请写作 EPSG:4527、OGC URI、CRS84，导入时也可写 GCJ-02 或 BD-09。",
        parameter="crs",
        allowed=list(SERVED),
    )
