# SPDX-License-Identifier: Apache-2.0
"""The demo's water layers: directed reaches with branches, sluices, pumping stations, warning levels, low places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from geocloud.demo.city import City, points
from geocloud.demo.columns import Batch, choose, digits, join, number, pick, whole
from geocloud.demo.facts import Floats
from geocloud.demo.plans import Amendment
from geocloud.demo.relief import ground
from geocloud.demo.services import places, river_gauge, sized

__all__ = ["LAYERS", "NEW_LEVELS_ON", "amendments", "reaches"]

_NOTE = "示例数据,非真实工程"
_REACH_M = 9_000.0
_BRANCHES = 3
NEW_LEVELS_ON = date(2024, 6, 1)
"""Day from which the present warning levels hold; before it some were half a metre higher."""


def reaches(c: City) -> list[tuple[str, str, Floats, str, str, int, bool]]:
    """Reaches of one city: river, class, (n, 2) plane metres downstream, nodes at both ends, order, whether a branch.

    Each named river is cut about every nine kilometres; three branches of each end on such a node; a canal leaves the
    first river and ends on the second, so that waters part.
    """
    rng = c.stream("reaches")
    found: list[tuple[str, str, Floats, str, str, int, bool]] = []
    nodes: dict[int, list[tuple[str, Floats]]] = {}
    for k, river in enumerate(c.waters.rivers):
        along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(river.line, axis=0).T))))
        stops = np.linspace(0, len(river.line) - 1, max(2, round(along[-1] / _REACH_M) + 1)).round().astype(int)
        names = [f"N{c.code}{k + 1}{i:03}" for i in range(len(stops))]
        nodes[k] = [(n, river.line[s]) for n, s in zip(names, stops, strict=True)]
        for i, (a, b) in enumerate(zip(stops[:-1], stops[1:], strict=True)):
            found.append((river.name, river.kind, river.line[a : b + 1], names[i], names[i + 1], 0, False))
        for i in rng.choice(np.arange(1, len(stops) - 1), min(_BRANCHES, len(stops) - 2), replace=False):
            end = river.line[stops[i]]
            ahead = river.line[stops[i]] - river.line[stops[i] - 1]
            turn = np.arctan2(*ahead[::-1]) + np.pi * (0.72 if rng.random() < 0.5 else -0.72)
            far = 3_000 + 4_000 * rng.random()
            t = np.linspace(1, 0, 12)
            line = end + far * t[:, None] * np.array([np.cos(turn), np.sin(turn)])
            line[:, 0] += 180 * np.sin(np.pi * 2 * t)
            line[-1] = end
            found.append((f"{river.name}示例支流{i}", "ditch", line, f"B{names[i]}", names[i], 1, True))
    (first, start), (last, end) = nodes[0][min(3, len(nodes[0]) - 2)], nodes[1][len(nodes[1]) // 2]
    t = np.linspace(0, 1, 40)[:, None]
    line = start + (end - start) * t + 700 * np.sin(np.pi * 3 * t) * np.array([[0.6, -0.8]])
    line[[0, -1]] = start, end
    found.append(("示例引水干渠", "canal", line, first, last, 1, False))
    return found


def river_reach(c: City) -> Iterator[Batch]:
    made = reaches(c)
    n = len(made)
    length = np.array([np.hypot(*np.diff(r[2], axis=0).T).sum() for r in made])
    yield Batch(
        {
            "code": join("HD", c.code, digits(np.arange(1, n + 1), 4)),
            "name": pa.array([r[0] for r in made]),
            "class": pa.array([r[1] for r in made]),
            "stream_order": whole([r[5] for r in made]),
            "from_node": pa.array([r[3] for r in made]),
            "to_node": pa.array([r[4] for r in made]),
            "two_way": pa.array([False] * n),
            "length_m": number(length, 0),
            **c.divisions(np.array([r[2].mean(axis=0) for r in made]), "county_code"),
            "note": pa.array([_NOTE] * n),
        },
        np.asarray([shapely.LineString(c.lonlat(r[2])) for r in made], dtype=object),
    )


def sluice(c: City) -> Iterator[Batch]:
    """A sluice at the upper end of every third reach of a river, and at the head of the canal."""
    made = [(i, r) for i, r in enumerate(reaches(c)) if not r[6]]
    chosen = [(i, r) for j, (i, r) in enumerate(made) if j % 3 == 1 or r[0] == "示例引水干渠"]
    xy = np.array([r[2][1] for _, r in chosen])
    n, rng = len(chosen), c.stream("sluices")
    head = np.array([r[0] == "示例引水干渠" for _, r in chosen])
    yield Batch(
        {
            "code": join("Z", c.code, digits(np.arange(1, n + 1), 4)),
            "name": join("示例", pa.array([r[0] for _, r in chosen]), digits(np.arange(1, n + 1), 2), "闸"),
            "kind": pick(["barrage", "intake"], head.astype(np.int64)),
            "river": pa.array([r[0] for _, r in chosen]),
            "reach_code": pa.array([f"HD{c.code}{i + 1:04}" for i, _ in chosen]),
            "openings": whole(3 + rng.random(n) * 12),
            "design_flow_m3s": number(50 + 400 * rng.random(n), 0),
            "sill_elevation_m": number(ground(c.land, *xy.T) - 5, 2),
            "datum_name": pa.array(["1985 国家高程基准"] * n),
            "state": pa.array(["running"] * n),
            **c.divisions(xy, "county_code"),
            "note": pa.array([_NOTE] * n),
        },
        points(c.lonlat(xy)),
    )


def pump_station(c: City) -> Iterator[Batch]:
    """A pumping station where each branch meets its river."""
    chosen = [r for r in reaches(c) if r[6]]
    xy = np.array([r[2][-2] for r in chosen])
    n, rng = len(chosen), c.stream("pumps")
    yield Batch(
        {
            "code": join("B", c.code, digits(np.arange(1, n + 1), 4)),
            "name": pa.array([f"{r[0]}泵站" for r in chosen]),
            "kind": choose(rng, ["drainage", "irrigation", "both"], [50, 20, 30], n),
            "river": pa.array([r[0] for r in chosen]),
            "units": whole(2 + rng.random(n) * 5),
            "flow_m3s": number(3 + 20 * rng.random(n), 1),
            "power_kw": number(100 + 900 * rng.random(n), 0),
            "start_level_m": number(ground(c.land, *xy.T) - 2, 2),
            "datum_name": pa.array(["1985 国家高程基准"] * n),
            "state": pa.array(["running"] * n),
            **c.divisions(xy, "county_code"),
            "note": pa.array([_NOTE] * n),
        },
        points(c.lonlat(xy)),
    )


def low_place(c: City) -> Iterator[Batch]:
    """Places in the built-up area where the ground is low."""
    n = sized(c, 60)
    xy = places(c, "low places", 240)
    height = ground(c.land, *xy.T)
    xy = xy[np.argsort(height, kind="stable")[:n]]
    n, rng = len(xy), c.stream("low place kinds")
    kinds = ["underpass", "road", "compound", "village"]
    kind = (rng.random(n) * len(kinds)).astype(np.int64)
    yield Batch(
        {
            "code": join("YL", c.code, digits(np.arange(1, n + 1), 4)),
            "name": join(
                "示例", pick(["下穿立交", "积水路段", "低洼小区", "低洼村庄"], kind), digits(np.arange(1, n + 1), 2)
            ),
            "kind": pick(kinds, kind),
            "ground_m": number(ground(c.land, *xy.T), 2),
            "datum_name": pa.array(["1985 国家高程基准"] * n),
            "worst_depth_m": number(0.2 + 1.3 * rng.random(n), 2),
            "data_source": pa.array(["合成数据"] * n),
            **c.divisions(xy, "county_code"),
            "note": pa.array([_NOTE] * n),
        },
        points(c.lonlat(xy)),
    )


def _gauges(c: City) -> dict[str, list[Any]]:
    (batch,) = river_gauge(c)
    return {n: x.to_pylist() for n, x in batch.columns.items()}


def warning_level(c: City) -> Iterator[Batch]:
    """Levels of most stations of the demo; every sixth has none of its own here."""
    g = _gauges(c)
    kept = [i for i in range(len(g["code"])) if i % 6 != 5]
    warning = np.array([g["warning_level_m"][i] for i in kept])
    n = len(kept)
    yield Batch(
        {
            "station_code": pa.array([g["code"][i] for i in kept]),
            "station_name": pa.array([g["name"][i] for i in kept]),
            "datum_name": pa.array([g["datum_name"][i] for i in kept]),
            "datum_height_m": pa.array([g["datum_height_m"][i] for i in kept], pa.float64()),
            "warning_level_m": number(warning, 2),
            "guarantee_level_m": number(warning + 1.5, 2),
            "highest_level_m": number(warning + 2.2, 2),
            "drought_level_m": number(warning - 4.0, 2),
            "lowest_level_m": number(warning - 5.5, 2),
            "document": pa.array(["示例文件(合成,非真实核定值)"] * n),
            "issued_by": pa.array(["示例水利局"] * n),
            "example": pa.array([True] * n),
            "note": pa.array(["示例数据,不代表任何真实测站"] * n),
        },
        None,
    )


def amendments(cities: Sequence[City], layer_id: str) -> tuple[Amendment, ...]:
    """Every fourth station's warning level as it was before the present ones were set."""
    if layer_id != "water.warning_level":
        return ()
    found = []
    for c in cities:
        (batch,) = warning_level(c)
        rows = zip(*(batch.columns[n].to_pylist() for n in ("station_code", "warning_level_m")), strict=True)
        found += [
            Amendment(code, NEW_LEVELS_ON, {"warning_level_m": round(level + 0.5, 2)})
            for i, (code, level) in enumerate(rows)
            if i % 4 == 0
        ]
    return tuple(found)


_MAKERS = (river_reach, sluice, pump_station, warning_level, low_place)
LAYERS: dict[str, Callable[[City], Iterator[Batch]]] = {f"water.{make.__name__}": make for make in _MAKERS}
