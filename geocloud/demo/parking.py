# SPDX-License-Identifier: Apache-2.0
"""The demo's parking layers: car parks, the spaces of road-side ones, entrances, guidance boards; all made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geocloud.demo.city import City, points
from geocloud.demo.columns import Batch, choose, digits, join, number, pick, whole
from geocloud.demo.facts import Floats, Ints
from geocloud.demo.services import places, sized

__all__ = ["LAYERS", "LOTS"]

LOTS = "facility.parking_lot"
_NOTE = "示例数据,非真实停车设施"
_KINDS = ("public", "building", "road")
_ROAD = 2
_FULL, _BOARDS = 1_500, 120
# Metres of a space along the road, and how many boards of each level there are for one of the first.
_PITCH, _LEVELS = 6.2, (1, 2, 3)


@dataclass(frozen=True)
class _Lots:
    """What several layers need of the car parks."""

    xy: Floats
    kind: Ints
    spaces: Ints
    codes: list[str]
    county: Ints
    areas: list[str | None]
    roads: list[str | None]
    underground: npt.NDArray[np.bool_]


def _lots(c: City) -> tuple[_Lots, dict[str, pa.Array]]:
    n, rng = sized(c, _FULL), c.stream("parking")
    kind = np.searchsorted(np.cumsum([30, 48, 22]) / 100, rng.random(n), side="right")
    spaces = (np.array([160, 320, 36])[kind] * (0.3 + 1.4 * rng.random(n))).astype(np.int64)
    fast = np.where(kind == _ROAD, 0, spaces * 0.04 * rng.random(n)).astype(np.int64)
    ownership = choose(rng, ["public", "private"], [55, 45], n)
    entrances = np.where(kind == _ROAD, 0, 1 + rng.random(n) * 3).astype(np.int64)
    underground = (kind == 1) & (rng.random(n) < 0.5)
    fee, online = rng.random(n) < 0.6, rng.random(n) < 0.5
    xy = places(c, "parking places", _FULL, 0.8)
    county = c.land.towns[1][c.village_town[c.village_at(xy)]]
    more = c.stream("parking facts")
    price = np.where(fee, 2 + np.floor(more.random(n) * 5), 0.0)
    height = np.where(underground, 1.9 + 0.1 * np.floor(more.random(n) * 5), 2.2 + 0.1 * np.floor(more.random(n) * 24))
    said = more.random(n)
    # Some car parks do not say it, as in life.
    unsaid = (kind == _ROAD) | (said < 0.15)
    away = np.hypot(*(xy - c.land.seats[county]).T)
    central = away < np.array([x.reach for x in c.land.counties])[county] * 0.6
    east = xy[:, 0] > c.land.seats[county, 0]
    names = c.county_names
    areas = [
        f"示例{names[k]}{'东' if e else '西'}片区" if near else None
        for k, e, near in zip(county.tolist(), east.tolist(), central.tolist(), strict=True)
    ]
    line = (more.random(n) * 12).astype(np.int64)
    roads = [
        f"示例{names[k]}{r + 1}号路" if kd == _ROAD else None
        for k, r, kd in zip(county.tolist(), line.tolist(), kind.tolist(), strict=True)
    ]
    codes = [f"K{c.code}{i:05}" for i in range(1, n + 1)]
    none = np.zeros(n, np.int64)
    columns = {
        "code": pa.array(codes),
        "name": join("示例第", whole(np.arange(1, n + 1)).cast(pa.string()), "停车场"),
        "kind": pick(_KINDS, kind),
        "property": ownership,
        "spaces": whole(spaces),
        "spaces_accessible": whole(np.maximum(1, spaces * 0.02)),
        "spaces_charging": whole(fast * 3.5),
        "spaces_reserved": whole(np.where(kind == _ROAD, 0, spaces * 0.01)),
        "chargers_fast": whole(fast),
        "chargers_slow": whole(fast * 2.5),
        "entrances": whole(entrances),
        "height_limit_m": pa.array(np.where(unsaid, np.nan, np.round(height, 1)), from_pandas=True),
        "underground": pa.array(underground),
        "fee": pa.array(fee),
        "tariff": pick(["免费", "示例收费规则:首小时后按小时计费,当日封顶"], fee.astype(np.int64)),
        "first_hour_yuan": pa.array(np.where(said > 0.9, np.nan, price), from_pandas=True),
        "next_hour_yuan": pa.array(np.where(said > 0.9, np.nan, np.ceil(price / 2)), from_pandas=True),
        "day_cap_yuan": pa.array(np.where(said > 0.9, np.nan, price * 5), from_pandas=True),
        "free_minutes": whole(np.where(fee, 15, 0)),
        "guidance_area": pa.array(areas),
        "road_name": pa.array(roads),
        "hours": pick(["00:00-24:00", "06:00-23:00"], (said > 0.8).astype(np.int64) * (kind != _ROAD)),
        "online": pa.array(online),
        "state": pick(["running"], none),
        **c.divisions(xy, "county_code", "township_code"),
    }  # fmt: skip
    return _Lots(xy, kind, spaces, codes, county, areas, roads, underground), columns


def parking_lot(c: City) -> Iterator[Batch]:
    lots, columns = _lots(c)
    yield Batch(columns, points(c.lonlat(lots.xy)))


def berth(c: City) -> Iterator[Batch]:
    """The spaces of road-side car parks, one behind the other along a straight kerb."""
    lots, _ = _lots(c)
    mine = np.flatnonzero(lots.kind == _ROAD)
    owner = np.repeat(mine, lots.spaces[mine])
    first = np.concatenate(([0], np.cumsum(lots.spaces[mine])[:-1]))
    serial = np.arange(len(owner)) - np.repeat(first, lots.spaces[mine])
    rng = c.stream("berths")
    turn = rng.random(len(lots.xy)) * np.pi
    along = (serial - (lots.spaces[owner] - 1) / 2) * _PITCH
    xy = lots.xy[owner] + along[:, None] * np.column_stack((np.cos(turn[owner]), np.sin(turn[owner])))
    kind = np.where(serial == 0, 1, np.where(rng.random(len(owner)) < 0.06, 2, 0))
    n, none = len(owner), np.zeros(len(owner), np.int64)
    yield Batch(
        {
            "code": join(pick(lots.codes, owner), "-", digits(serial + 1, 3)),
            "lot_code": pick(lots.codes, owner),
            "kind": pick(["ordinary", "accessible", "charging"], kind),
            "arrangement": pick(["parallel"], none),
            "length_m": number(np.full(n, 6.0)),
            "width_m": number(np.where(kind == 1, 3.0, 2.4)),
            "charger": pick(["none", "slow"], (kind == 2).astype(np.int64)),
            "reservable": pa.array(np.zeros(n, bool)),
            "floor": whole(np.ones(n)),
            "road_name": pick(lots.roads, owner),
            "state": pick(["running"], none),
            "position_quality": pick(["digitised"], none),
            "note": pick([_NOTE], none),
        },
        points(c.lonlat(xy)),
    )


def entrance(c: City) -> Iterator[Batch]:
    """One or two entrances of every car park that is not at the road side."""
    lots, _ = _lots(c)
    mine = np.flatnonzero(lots.kind != _ROAD)
    rng = c.stream("entrances")
    two = lots.spaces[mine] > 150
    owner = np.repeat(mine, 1 + two)
    second = np.r_[False, owner[1:] == owner[:-1]]
    single = np.repeat(~two, 1 + two)
    turn = rng.random(len(lots.xy))[owner] * 2 * np.pi + np.where(second, np.pi / 2, 0.0)
    n, none = len(owner), np.zeros(len(owner), np.int64)
    direction = np.where(single, 2, second.astype(np.int64))
    yield Batch(
        {
            "code": join(pick(lots.codes, owner), "-E", whole(second + 1).cast(pa.string())),
            "lot_code": pick(lots.codes, owner),
            "name": pick(["入口", "出口", "出入口"], direction),
            "direction": pick(["in", "out", "both"], direction),
            "lanes": whole(1 + (rng.random(n) < 0.3)),
            "state": pick(["running"], none),
            "position_quality": pick(["digitised"], none),
            "note": pick([_NOTE], none),
        },
        points(c.lonlat(lots.xy[owner] + 25.0 * np.column_stack((np.cos(turn), np.sin(turn))))),
    )


def guidance_board(c: City) -> Iterator[Batch]:
    """Boards of the three levels, near what they show."""
    lots, _ = _lots(c)
    rng = c.stream("boards")
    n = max(9, sized(c, _BOARDS))
    shown = {
        "area": sorted({a for a in lots.areas if a}),
        "street": sorted({r for r in lots.roads if r}),
        "lot": [code for code, area in zip(lots.codes, lots.areas, strict=True) if area] or lots.codes,
    }
    of: dict[str, list[Any]] = {"area": lots.areas, "street": lots.roads, "lot": lots.codes}
    level = np.repeat(np.arange(3), np.diff(np.r_[0, np.round(np.cumsum(_LEVELS) / sum(_LEVELS) * n)]).astype(np.int64))
    names, subjects, at = [], [], []
    for i, k in enumerate(level.tolist(), 1):
        key = tuple(shown)[k]
        some = shown[key]
        first = int(rng.random() * len(some))
        mine = [some[(first + j) % len(some)] for j in range(min(3, len(some)))]
        subjects.append(";".join(mine))
        names.append(f"示例{('区域', '路段', '场库')[k]}诱导屏{i}")
        at.append(lots.xy[of[key].index(mine[0])])
    turn = rng.random(n) * 2 * np.pi
    xy = np.array(at) + 180.0 * np.column_stack((np.cos(turn), np.sin(turn)))
    none = np.zeros(n, np.int64)
    yield Batch(
        {
            "code": join("Y", c.code, digits(np.arange(1, n + 1), 4)),
            "name": pa.array(names),
            "level": pick(list(shown), level),
            "shows": pa.array(subjects),
            "lines": whole(np.full(n, 3)),
            "bearing_deg": number(np.degrees(turn) % 360, 0),
            "owner": pick(["示例交通警察支队"], none),
            "state": pick(["running"], none),
            "position_quality": pick(["digitised"], none),
            "note": pick([_NOTE], none),
        },
        points(c.lonlat(xy)),
    )


LAYERS: dict[str, Callable[[City], Iterator[Batch]]] = {
    LOTS: parking_lot,
    "parking.berth": berth,
    "parking.entrance": entrance,
    "parking.guidance_board": guidance_board,
}
