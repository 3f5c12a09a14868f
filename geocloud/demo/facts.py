# SPDX-License-Identifier: Apache-2.0
"""What the demo city takes from the real one: division codes, names, seats and a schematic outline; and its sizes.

Everything else in the demo is invented. The outline, the rivers and the lake are schematic: drawn here by hand from
the city's extent and county seats, not taken from any map.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "COUNTIES",
    "OUTLINE",
    "RIVERS",
    "SIZES",
    "County",
    "Floats",
    "Ints",
    "Size",
    "SizeName",
    "Strs",
    "codes_of",
    "lonlat",
    "plane",
    "stream",
]

# Arrays of float64, int64 and str: numpy's own stubs lose the exact width on the way through arithmetic.
Floats = npt.NDArray[Any]
Ints = npt.NDArray[Any]
Strs = npt.NDArray[Any]
SizeName = Literal["small", "city", "province"]

_SEED = 371500
# Origin of the plane in which the city is made, and metres in a degree there (sphere; good to 0.3 %).
_LON, _LAT = 115.98, 36.45
_MX, _MY = 111_320.0 * math.cos(math.radians(_LAT)), 110_950.0


@dataclass(frozen=True)
class County:
    """A county: GB/T 2260 code, names, seat (lon, lat), reach of its built-up area in metres, share of the city."""

    code: str
    name: str
    name_en: str
    kind: str
    seat: tuple[float, float]
    reach: float
    share: float


COUNTIES = (
    County("371502", "东昌府区", "Dongchangfu", "district", (115.98, 36.45), 4200, 0.50),
    County("371503", "茌平区", "Chiping", "district", (116.25, 36.58), 1800, 0.08),
    County("371521", "阳谷县", "Yanggu", "county", (115.79, 36.11), 1700, 0.075),
    County("371522", "莘县", "Shenxian", "county", (115.67, 36.23), 1700, 0.075),
    County("371524", "东阿县", "Dong'e", "county", (116.25, 36.33), 1500, 0.06),
    County("371525", "冠县", "Guanxian", "county", (115.44, 36.48), 1600, 0.06),
    County("371526", "高唐县", "Gaotang", "county", (116.23, 36.87), 1600, 0.06),
    County("371581", "临清市", "Linqing", "county_city", (115.71, 36.84), 1900, 0.09),
)

# Schematic outline of the city, lon/lat, anticlockwise.
OUTLINE = (
    (115.50, 35.80), (115.72, 35.77), (115.93, 35.82), (116.02, 35.97), (116.13, 36.08), (116.28, 36.17),
    (116.38, 36.28), (116.44, 36.42), (116.40, 36.55), (116.44, 36.66), (116.42, 36.80), (116.44, 36.93),
    (116.34, 37.01), (116.18, 37.00), (116.05, 36.94), (115.93, 36.82), (115.82, 36.95), (115.68, 36.94),
    (115.58, 36.80), (115.47, 36.70), (115.35, 36.60), (115.30, 36.45), (115.39, 36.33), (115.48, 36.20),
    (115.46, 36.03), (115.49, 35.90),
)  # fmt: skip

# Schematic rivers: name, English name, class, width in metres, lon/lat along the flow.
RIVERS = (
    ("黄河", "Yellow River", "river", 600.0, (
        (115.95, 35.8), (116.03, 35.955), (116.12, 36.06), (116.265, 36.15), (116.37, 36.265),
        (116.43, 36.4),
    )),
    ("徒骇河", "Tuhai River", "river", 90.0, (
        (115.47, 35.95), (115.62, 36.08), (115.8, 36.27), (115.93, 36.39), (116.05, 36.46),
        (116.14, 36.57), (116.28, 36.68), (116.43, 36.79),
    )),
    ("马颊河", "Majia River", "river", 80.0, (
        (115.48, 36.1), (115.56, 36.25), (115.7, 36.38), (115.83, 36.52), (115.94, 36.67),
        (116.06, 36.8), (116.16, 36.92), (116.21, 37.0),
    )),
    ("小运河", "Small Grand Canal", "canal", 45.0, (
        (115.95, 35.93), (115.93, 36.06), (115.91, 36.20), (115.96, 36.36), (115.965, 36.46),
        (115.92, 36.56), (115.83, 36.68), (115.72, 36.83),
    )),
    ("卫运河", "Wei Canal", "canal", 120.0, (
        (115.3, 36.44), (115.345, 36.6), (115.46, 36.706), (115.57, 36.8), (115.67, 36.95),
    )),
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How much there is of each thing in each of `cities` cities side by side.

    `admin_step`: metres of the lattice that borders follow. Streets: levels of the quadtree, how many of them are
    always split, and how much a block's size counts (low: the centre is drawn finest, the country is left coarse).
    """

    cities: int
    admin_step: float
    street_levels: int
    street_root: int
    street_lean: float
    villages: int
    roads: int
    parcels: int
    buildings: int
    components: int
    cameras: int
    pois: int
    ditches: int
    ponds: int
    facilities: float


SIZES: dict[SizeName, Size] = {
    "small": Size(1, 600.0, 5, 0, 0.7, 300, 1_500, 500, 700, 1_500, 120, 150, 30, 20, 0.12),
    "city": Size(1, 60.0, 5, 2, 1.7, 6_400, 120_000, 300_000, 400_000, 1_000_000, 50_000, 20_000, 1_200, 900, 1.0),
    "province": Size(10, 60.0, 5, 2, 1.7, 6_400, 120_000, 300_000, 400_000, 1_000_000, 50_000, 20_000, 1_200, 900, 1.0),
}
TOWNSHIPS = 136


def codes_of(city: int) -> tuple[str, str, tuple[County, ...]]:
    """City code, city name and counties of the n-th city; beyond the first, codes and names that are nobody's."""
    if city == 0:
        return "371500", "聊城市", COUNTIES
    prefix = f"37{50 + city}"
    counties = tuple(
        County(
            f"{prefix}{c.code[4:]}",
            f"示例{c.name}",
            f"Sample {c.name_en}",
            c.kind,
            shift(city, *c.seat),
            c.reach,
            c.share,
        )
        for c in COUNTIES
    )
    return f"{prefix}00", f"示例{'一二三四五六七八九'[city - 1]}市", counties


def shift(city: int, lon: float, lat: float) -> tuple[float, float]:
    """Where a place of the first city lies in the n-th."""
    return lon + 1.35 * (city % 5), lat + 1.36 * (city // 5)


def plane(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Metres east and north of the first city's centre."""
    return (np.asarray(lon) - _LON) * _MX, (np.asarray(lat) - _LAT) * _MY


def lonlat(x: Floats, y: Floats, city: int = 0) -> Floats:
    """(n, 2) longitude and latitude in degrees, rounded to 1e-7, of plane metres in the n-th city."""
    dx, dy = shift(city, 0.0, 0.0)
    return np.round(np.column_stack((_LON + dx + x / _MX, _LAT + dy + y / _MY)), 7)


def stream(name: str, city: int = 0) -> np.random.Generator:
    """The stream of random numbers of one subject: adding a subject leaves the others as they are."""
    return np.random.Generator(np.random.PCG64([_SEED, city, zlib.crc32(name.encode())]))
