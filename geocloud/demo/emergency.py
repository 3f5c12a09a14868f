# SPDX-License-Identifier: Apache-2.0
"""The demo's emergency layers: hazards, teams, stores with their stock, hydrants, and incidents with their log."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from geocloud.demo.city import City, points
from geocloud.demo.columns import Batch, choose, day, digits, join, number, pick, whole
from geocloud.demo.facts import Floats
from geocloud.demo.services import places, sized

__all__ = ["LAYERS"]

_NOTE = "示例数据,非真实情况"
_STORES = ("store places", 180)
_INCIDENTS = ("incident places", 24)
_ITEMS = (
    ("tent", "顶", 120), ("quilt", "床", 600), ("folding_bed", "张", 300), ("drinking_water", "箱", 900),
    ("food", "箱", 500), ("sandbag", "条", 20_000), ("life_jacket", "件", 200), ("pump", "台", 12),
    ("generator", "台", 8), ("lighting", "台", 30), ("stretcher", "副", 24),
)  # fmt: skip
# Kind, name, state it has come to, radius affected.
_HAPPENED = (
    ("accident", "示例化工企业泄漏事故", "responding", 1_500.0), ("natural", "示例强降雨内涝", "controlled", 800.0),
    ("accident", "示例仓库火灾", "responding", 500.0), ("natural", "示例大风倒树", "closed", 200.0),
    ("health", "示例聚集性疫情", "confirmed", 1_000.0),
)  # fmt: skip
_STATES = ("reported", "confirmed", "responding", "controlled", "closed")
_SAID = (
    "接报:群众电话报告,已通知属地到场核实。", "属地核实情况属实,上报市应急管理局。",
    "启动响应,救援队伍到场,开始疏散周边人员。", "险情得到控制,继续监测。", "处置结束,转入善后。",
)  # fmt: skip


def _base(c: City, letter: str, xy: Floats, names: pa.Array | None) -> dict[str, pa.Array]:
    n = len(xy)
    named = {} if names is None else {"name": names}
    return {
        "code": join(letter, c.code, digits(np.arange(1, n + 1), 5)), **named,
        "note": pick([_NOTE], np.zeros(n, np.int64)), **c.divisions(xy, "county_code", "township_name"),
    }  # fmt: skip


def _numbered(words: list[str], kind: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pa.Array:
    return join("示例第", whole(np.arange(1, len(kind) + 1)).cast(pa.string()), pick(words, kind))


def _drawn(rng: np.random.Generator, weights: list[int], n: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.searchsorted(np.cumsum(weights) / sum(weights), rng.random(n), side="right").astype(np.int64)


def hazard(c: City) -> Iterator[Batch]:
    n, rng = sized(c, 420), c.stream("hazards")
    kind = _drawn(rng, [18, 46, 14, 4, 10, 8], n)
    xy = places(c, "hazard places", 420)
    yield Batch(
        {
            **_base(c, "W", xy, _numbered(["化工厂", "加油站", "燃气站", "烟花爆竹库", "冷库", "面粉厂"], kind)),
            "kind": pick(["chemical", "filling_station", "gas_station", "fireworks", "ammonia", "grain_dust"], kind),
            "level": choose(rng, ["1", "2", "3", "4", None], [2, 4, 8, 16, 70], n),
            "substance": pick(["示例危化品", "汽油、柴油", "天然气", "烟花爆竹", "液氨", "粉尘"], kind),
            "amount_t": number(np.array([120.0, 60.0, 40.0, 8.0, 15.0, 1.0])[kind] * (0.4 + rng.random(n))),
            "position_quality": pick(["digitised"], np.zeros(n, np.int64)),
        },
        points(c.lonlat(xy)),
    )


def team(c: City) -> Iterator[Batch]:
    n, rng = sized(c, 150), c.stream("teams")
    kind = _drawn(rng, [34, 10, 14, 6, 8, 8, 14, 6], n)
    xy = places(c, "team places", 150)
    words = ["消防救援站", "防汛队", "急救站", "危化救援队", "电力抢修队", "道路抢险队", "志愿救援队", "民兵分队"]
    people = np.array([28, 40, 8, 24, 16, 20, 30, 36])[kind] * (0.6 + rng.random(n) * 0.8)
    yield Batch(
        {
            **_base(c, "D", xy, _numbered(words, kind)),
            "kind": pick(["fire", "flood", "medical", "chemical", "power", "road", "volunteer", "militia"], kind),
            "people": whole(people),
            "vehicles": whole(people / 7 + 1),
            "state": choose(rng, ["running", "maintenance"], [96, 4], n),
        },
        points(c.lonlat(xy)),
    )


def store(c: City) -> Iterator[Batch]:
    xy = places(c, *_STORES)
    n, rng = len(xy), c.stream("stores")
    kind = _drawn(rng, [4, 20, 64, 12], n)
    yield Batch(
        {
            **_base(c, "K", xy, _numbered(["市级物资库", "县级物资库", "乡镇物资库", "协议储备点"], kind)),
            "kind": pick(["city", "county", "township", "reserve"], kind),
            "state": pick(["running"], np.zeros(n, np.int64)),
        },
        points(c.lonlat(xy)),
    )


def stock(c: City) -> Iterator[Batch]:
    """About half of the items in each store, more in the larger ones."""
    n, rng = sized(c, _STORES[1]), c.stream("stock")
    held = rng.random((n, len(_ITEMS))) < 0.55
    held[held.sum(axis=1) == 0, 0] = True
    which, item = np.nonzero(held)
    amount = np.array([i[2] for i in _ITEMS])[item] * (0.1 + 0.9 * rng.random(len(item)) ** 2)
    yield Batch(
        {
            "store_code": join("K", c.code, digits(which + 1, 5)),
            "item": pick([i[0] for i in _ITEMS], item),
            "quantity": number(np.maximum(1.0, np.round(amount)), 0),
            "unit": pick([i[1] for i in _ITEMS], item),
            "checked_on": day(rng, "2025-06-01", "2025-12-31", len(item)),
            "note": pick([_NOTE], np.zeros(len(item), np.int64)),
        },
        None,
    )


def hydrant(c: City) -> Iterator[Batch]:
    n, rng = sized(c, 3_600), c.stream("hydrants")
    xy = places(c, "hydrant places", 3_600)
    yield Batch(
        {
            **_base(c, "X", xy, None),
            "kind": choose(rng, ["above", "below", "crane"], [80, 16, 4], n),
            "pressure_mpa": number(0.1 + 0.25 * rng.random(n), 2),
            "state": choose(rng, ["running", "maintenance", "stopped"], [93, 5, 2], n),
            "inspected_on": day(rng, "2025-01-01", "2025-12-31", n),
        },
        points(c.lonlat(xy)),
    )


def _happened(c: City) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype]]:  # type: ignore[type-arg]
    """Places, kinds (numbers of _HAPPENED) and times of the incidents, UTC."""
    xy = places(c, *_INCIDENTS)
    rng = c.stream("incidents")
    kind = np.arange(len(xy)) % len(_HAPPENED)
    minutes = (rng.random(len(xy)) * 60 * 24 * 20).astype(np.int64)
    return xy, kind, np.datetime64("2026-07-01T00:00") + minutes * np.timedelta64(1, "m")


def incident(c: City) -> Iterator[Batch]:
    xy, kind, at = _happened(c)
    n, rng = len(xy), c.stream("incident people")
    names = join(pick([h[1] for h in _HAPPENED], kind), whole(np.arange(1, n + 1)).cast(pa.string()))
    yield Batch(
        {
            **_base(c, "E", xy, names),
            "kind": pick([h[0] for h in _HAPPENED], kind),
            "level": choose(rng, ["3", "4"], [20, 80], n),
            "state": pick([h[2] for h in _HAPPENED], kind),
            "occurred_at": _instants(at),
            "reported_at": _instants(at + np.timedelta64(12, "m")),
            "radius_m": number(np.array([h[3] for h in _HAPPENED])[kind], 0),
            "injured": whole(rng.random(n) * 6),
            "deaths": whole(np.zeros(n)),
            "evacuated": whole(rng.random(n) * 400),
            "summary": pick(["示例事件,情况为虚构。"], np.zeros(n, np.int64)),
        },
        points(c.lonlat(xy)),
    )


def incident_log(c: City) -> Iterator[Batch]:
    """One entry for each state that an incident has been in, half an hour to two apart."""
    _, kind, at = _happened(c)
    rng = c.stream("incident log")
    come = np.array([_STATES.index(h[2]) for h in _HAPPENED])[kind]
    which = np.repeat(np.arange(len(kind)), come + 1)
    step = np.concatenate([np.arange(k + 1) for k in come])
    later = 12 + step * 55 + (rng.random(len(which)) * 30).astype(np.int64)
    number_of = np.arange(1, len(which) + 1)
    yield Batch(
        {
            "code": join("L", c.code, digits(number_of, 6)),
            "incident_code": join("E", c.code, digits(which + 1, 5)),
            "at": _instants(at[which] + later * np.timedelta64(1, "m")),
            "state": pick(list(_STATES), step),
            "text": pick(list(_SAID), step),
            "author": pick(["示例值班员"], np.zeros(len(which), np.int64)),
            "source": pick([_NOTE], np.zeros(len(which), np.int64)),
        },
        None,
    )


def _instants(at: np.ndarray[tuple[int], np.dtype]) -> pa.Array:  # type: ignore[type-arg]
    return pa.array(at.astype("datetime64[us]"), pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))


_MAKERS = (hazard, team, store, stock, hydrant, incident, incident_log)
LAYERS: dict[str, Callable[[City], Iterator[Batch]]] = {f"emergency.{make.__name__}": make for make in _MAKERS}
