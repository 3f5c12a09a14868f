# SPDX-License-Identifier: Apache-2.0
"""The demo's culture layers: events at the demo's venues, intangible heritage, trails past its heritage sites."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import shapely

from geocloud.demo.city import City, points
from geocloud.demo.columns import Batch, choose, digits, join, number, pick, whole
from geocloud.demo.services import HERITAGE, VENUES, heritage_names, places, sized

__all__ = ["LAYERS"]

_NOTE = "示例数据,非真实活动"
# Kind, name, weight, first hour and hours it lasts; 0 for an event of weeks.
_EVENTS = (
    ("exhibition", "展览", 20, 9, 0), ("performance", "演出", 22, 19, 2), ("lecture", "讲座", 16, 14, 2),
    ("reading", "读书会", 18, 10, 2), ("training", "公益培训", 14, 15, 3), ("film", "放映", 10, 20, 2),
)  # fmt: skip
_DAYS = 730
_STOPS = 5


def event(c: City) -> Iterator[Batch]:
    """Two years of events, 2026 and 2027, Beijing time."""
    at = places(c, *VENUES)
    n, rng = sized(c, 12_000), c.stream("events")
    weights = np.cumsum([e[2] for e in _EVENTS])
    kind = np.searchsorted(weights / weights[-1], rng.random(n), side="right")
    venue = (rng.random(n) * len(at)).astype(np.int64)
    hour, lasts = (np.array([e[k] for e in _EVENTS])[kind] for k in (3, 4))
    midnight = np.datetime64("2026-01-01T00:00") + (rng.random(n) * _DAYS).astype(np.int64) * np.timedelta64(1, "D")
    begins = midnight + (hour - 8) * np.timedelta64(1, "h")
    hours = np.where(lasts == 0, (20 + rng.random(n) * 60).astype(np.int64) * 24 + 8, lasts)
    free = rng.random(n) < 0.75
    xy, words = at[venue], [e[1] for e in _EVENTS]
    yield Batch(
        {
            "code": join("A", c.code, digits(np.arange(1, n + 1), 5)),
            "name": join("示例第", whole(np.arange(1, n + 1)).cast(pa.string()), "场", pick(words, kind)),
            "category": pick([e[0] for e in _EVENTS], kind),
            "starts_at": _instants(begins),
            "ends_at": _instants(begins + hours * np.timedelta64(1, "h")),
            "hours": pick(["09:00-17:00", None], (lasts > 0).astype(np.int64)),
            "venue_code": join("C", c.code, digits(venue + 1, 5)),
            "organiser": pick(["示例文化和旅游局"], np.zeros(n, np.int64)),
            "free": pa.array(free),
            "price_yuan": number(np.where(free, 0.0, 10.0 + 5 * np.floor(rng.random(n) * 20))),
            "capacity": whole(20 + rng.random(n) * 280),
            "position_quality": pick(["digitised"], np.zeros(n, np.int64)),
            "note": pick([_NOTE], np.zeros(n, np.int64)),
            **c.divisions(xy, "county_code", "township_name"),
        },
        points(c.lonlat(xy)),
    )


def _instants(beijing_less_8: np.ndarray[tuple[int], np.dtype[np.datetime64]]) -> pa.Array:
    return pa.array(beijing_less_8.astype("datetime64[us]"), pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))


def intangible_heritage(c: City) -> Iterator[Batch]:
    n, rng = sized(c, 180), c.stream("intangible")
    kind = (rng.random(n) * 10).astype(np.int64)
    words = ["传说", "民歌", "舞蹈", "戏曲", "说唱", "杂技", "年画", "技艺", "医药", "庙会"]
    xy = places(c, "intangible places", 180)
    yield Batch(
        {
            "name": join("示例", whole(np.arange(1, n + 1)).cast(pa.string()), "号", pick(words, kind)),
            "code": join("I", c.code, digits(np.arange(1, n + 1), 5)),
            "level": choose(rng, ["national", "provincial", "city", "county"], [6, 20, 34, 40], n),
            "category": pick([f"{i:02}" for i in range(1, 11)], kind),
            "position_quality": choose(rng, ["address", "area"], [40, 60], n),
            **c.divisions(xy, "county_code", "county_name", "township_name"),
        },
        points(c.lonlat(xy)),
    )


def trail(c: City) -> Iterator[Batch]:
    """From a heritage site to its nearest neighbours in turn, in straight lines."""
    at, names = places(c, *HERITAGE), heritage_names(c)
    n = max(3, len(at) // 8)
    rng = c.stream("trails")
    codes, lines, stops = [], [], []
    for i, first in enumerate(rng.permutation(len(at))[:n].tolist()):
        route = [first]
        while len(route) < min(_STOPS, len(at)):
            away = np.hypot(*(at - at[route[-1]]).T)
            away[route] = np.inf
            route.append(int(away.argmin()))
        codes.append(f"L{c.code}{i + 1:03}")
        lines.append(at[route])
        stops.append(";".join(names[k] for k in route))
    length = np.array([np.hypot(*np.diff(xy, axis=0).T).sum() for xy in lines])
    yield Batch(
        {
            "code": pa.array(codes),
            "name": pa.array([f"示例文化线路{i + 1}" for i in range(n)]),
            "kind": pick(["heritage"], np.zeros(n, np.int64)),
            "stops": pa.array(stops),
            "stop_count": whole(np.array([len(xy) for xy in lines])),
            "length_m": number(length, 0),
            "note": pick(["示例数据,站点间为直线示意"], np.zeros(n, np.int64)),
        },
        np.asarray([shapely.LineString(c.lonlat(xy)) for xy in lines], dtype=object),
    )


_MAKERS = (event, intangible_heritage, trail)
LAYERS: dict[str, Callable[[City], Iterator[Batch]]] = {f"culture.{make.__name__}": make for make in _MAKERS}
