# SPDX-License-Identifier: Apache-2.0
"""The demo's grids: unit grids of a few communities, made as `grid-generate` makes them, and departments' upon them.

People and phone numbers are invented, and a few faults of boundaries are planted (`truth`). The demo's communities are
larger than real ones, more so the smaller the city is, so that ten thousand square metres would need more numbers than
a community has: the area aimed at is then larger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from geocloud.demo import ground
from geocloud.demo.city import City
from geocloud.demo.columns import Batch, Shapes, number, pick, whole
from geocloud.demo.facts import SIZES, Ints, SizeName
from geocloud.demo.grid_faults import GOVERNANCE, Faults, Planted, plant
from geocloud.geodesy.straight import straight_areas
from geocloud.grids.unit_make import TARGET_M2, Lines, make

__all__ = ["LAYERS", "made", "truth"]

# Communities of the first subdistrict that get unit grids, and how many of these each has at the most.
COMMUNITIES, MOST_GRIDS = 4, 300
_WEIGHTS = {"trunk": 5.0, "arterial": 4.0, "secondary": 3.0, "branch": 2.0, "residential": 1.5}
_WATER = 5.0
_NAMES = ("示例甲", "示例乙", "示例丙", "示例丁", "示例戊", "示例己", "示例庚", "示例辛")
_USES = ("residential", "mixed", "commercial", "public", "green")
# Unit grids of one governance grid.
_GROUP = 6


@lru_cache(maxsize=1)
def made(c: City) -> tuple[list[str], Shapes, Ints]:
    """Codes and polygons of unit grids, and the number of the village of each."""
    villages = [i for i, code in enumerate(c.village_codes) if code.startswith(c.town_codes[0])][:COMMUNITIES]
    every = c.land.polygons(np.arange(len(c.village_town)))
    polygons = _shapes([every[i] for i in villages])
    area = shapely.union_all(polygons)
    shapely.prepare(area)
    roads, classes = _near(ground.road(c), area, "class")
    waters, _ = _near(ground.water_line(c), area, None)
    # Making all buildings of a large city takes longer than all of the grids; there they are cut where that falls.
    houses, _ = _near(ground.building(c) if c.size_name == "small" else iter(()), area, None)
    weights = np.array([*(_WEIGHTS.get(k or "", 1.0) for k in classes), *[_WATER] * len(waters)])
    lines = Lines(np.concatenate([roads, waters]), weights)
    codes: list[str] = []
    shapes: list[Any] = []
    village: list[int] = []
    for i, polygon in zip(villages, polygons, strict=True):
        target = max(TARGET_M2, float(straight_areas(np.array([polygon], object))[0]) / MOST_GRIDS)
        own = houses[shapely.intersects(houses, polygon)] if len(houses) else houses
        grids = make(polygon, lines, own, target=target)
        codes += grids.codes(c.village_codes[i])
        # All of the demo lies on a lattice of 1e-7 degrees; neighbours share their corners before and after.
        shapes += list(shapely.transform(grids.shape, lambda xy: np.round(xy, 7)))
        village += [i] * len(grids.shape)
    return codes, _shapes(shapes), np.array(village)


def _shapes(found: list[Any]) -> Shapes:
    out = np.empty(len(found), dtype=object)
    out[:] = found
    return out


def _near(batches: Iterator[Batch], area: Any, field: str | None) -> tuple[Shapes, list[str | None]]:
    shapes, values = [np.empty(0, object)], []
    for batch in batches:
        if batch.shapes is None:
            continue
        box, around = shapely.bounds(area), shapely.bounds(batch.shapes)
        close = (around[:, :2] <= box[2:]).all(axis=1) & (around[:, 2:] >= box[:2]).all(axis=1)
        some = np.flatnonzero(close)
        some = some[shapely.intersects(batch.shapes[some], area)]
        shapes.append(batch.shapes[some])
        if field is not None:
            values += batch.columns[field].take(pa.array(some)).to_pylist()
    return np.concatenate(shapes), values


def _multi(shapes: Shapes) -> Shapes:
    return _shapes([s if s.geom_type == "MultiPolygon" else shapely.multipolygons([s]) for s in shapes])


def _where(c: City, village: Ints) -> dict[str, pa.Array]:
    town = c.village_town[village]
    return {
        "county_code": pick(c.county_codes, c.land.towns[1][town]),
        "township_name": pick(c.town_names, town),
        "community_code": pick(c.village_codes, village),
        "community_name": pick(c.village_names, village),
    }


def _people(c: City, name: str, owner: str, count: int) -> dict[str, pa.Array]:
    draw = c.stream(name).integers(0, 10_000, count)
    return {
        "owner": pa.array([owner] * count),
        "person": pick(_NAMES, draw % len(_NAMES)),
        # 0635 is the city's; numbers that begin with 000 are given to nobody.
        "phone": pa.array([f"0635-000{n:04d}" for n in draw.tolist()]),
        "note": pa.array(["合成示例,人员与电话均为虚构"] * count),
    }


def unit_grid(c: City) -> Iterator[Batch]:
    codes, shapes, village = made(c)
    rng = c.stream("unit grids")
    n = len(codes)
    yield Batch(
        {
            "code": pa.array(codes),
            "area_m2": number(straight_areas(shapes), 2),
            "land_use": pick(_USES, rng.integers(0, len(_USES), n)),
            "manager_level": pick(("one", "two", "three"), rng.integers(0, 3, n)),
            "responsible": pa.array([f"{c.village_names[i]}(示例)" for i in village.tolist()]),
            "state": pa.array(["使用"] * n),
            "note": pa.array(["合成示例"] * n),
            **_where(c, village),
        },
        _multi(shapes),
    )


def _groups(c: City) -> tuple[Ints, list[str], Shapes]:
    """Unit grids of one community by sixes, in the order of their numbers: village and group, codes, shapes."""
    codes, shapes, village = made(c)
    group = np.array([int(code[-3:]) - 1 for code in codes]) // _GROUP
    keys, of = np.unique(np.stack([village, group], axis=1), axis=0, return_inverse=True)
    of = of.reshape(-1)
    merged = _shapes([shapely.union_all(shapes[of == k]) for k in range(len(keys))])
    return keys, [f"ZZ-{c.village_codes[v]}-{g + 1:02d}" for v, g in keys.tolist()], merged


@lru_cache(maxsize=1)
def _faults(c: City) -> Faults:
    """Departments' grids with what was planted in them."""
    codes, shapes, village = made(c)
    villages = np.unique(village).tolist()
    whole = {v: shapely.union_all(shapes[village == v]) for v in villages}
    own = {
        layer: {_code(prefix, c.village_codes[v]): whole[v] for v in villages} for layer, prefix in _PREFIXES.items()
    }
    _, names, merged = _groups(c)
    own[GOVERNANCE] = dict(zip(names, merged, strict=True))
    return plant(dict(zip(codes, shapes, strict=True)), village, {v: c.village_codes[v] for v in villages}, own)


def truth(size: SizeName) -> tuple[Planted, ...]:
    """Every fault planted in boundaries of the demo of a size; there are no others."""
    return tuple(p for n in range(SIZES[size].cities) for p in _faults(City(size, n)).planted)


def governance_grid(c: City) -> Iterator[Batch]:
    """Unit grids of one community by sixes, in the order of their numbers."""
    keys, names, _ = _groups(c)
    merged = _shapes([_faults(c).shapes[GOVERNANCE][k] for k in names])
    homes = c.stream("governance").integers(300, 500, len(keys))
    yield Batch(
        {
            "code": pa.array(names),
            "name": pa.array([f"{c.village_names[v]}第 {g + 1} 网格" for v, g in keys.tolist()]),
            "level": pa.array(["village"] * len(keys)),
            "households": whole(homes),
            "population": whole(homes * 3),
            "area_m2": number(straight_areas(merged), 2),
            **_people(c, "governance people", "示例政法委", len(keys)),
            **_where(c, keys[:, 0]),
        },
        _multi(merged),
    )


# What codes of a department begin with.
_PREFIXES = {
    "grid.professional_grid": "010100",
    "grid.environment_grid": "HB-",
    "grid.market_grid": "SJ-",
    "grid.fire_grid": "XF-",
    "grid.police_grid": "JW-",
}


def _code(prefix: str, village: str) -> str:
    return f"{prefix}{village}{'00' if prefix.isdigit() else ''}"


def _by_community(name: str, owner: str, word: str, **more: str) -> Callable[[City], Iterator[Batch]]:
    def rows(c: City) -> Iterator[Batch]:
        layer, faults = f"grid.{name}_grid", _faults(c)
        villages = np.unique(made(c)[2])
        named = [_code(_PREFIXES[layer], c.village_codes[v]) for v in villages.tolist()]
        merged = _shapes([faults.shapes[layer][k] for k in named])
        said = np.array([faults.said.get((layer, k), v) for k, v in zip(named, villages.tolist(), strict=True)])
        yield Batch(
            {
                "code": pa.array(named),
                "name": pa.array([f"{c.village_names[v]}{word}" for v in villages.tolist()]),
                "area_m2": number(straight_areas(merged), 2),
                **{k: pa.array([v] * len(named)) for k, v in more.items()},
                **_people(c, name, owner, len(named)),
                **_where(c, said),
            },
            _multi(merged),
        )

    return rows


LAYERS: dict[str, Callable[[City], Iterator[Batch]]] = {
    "grid.unit_grid": unit_grid,
    # The class of what is managed is an example: no list of these was to be had.
    "grid.professional_grid": _by_community("professional", "示例城市管理局", "专业网格", object_class="010100"),
    "grid.governance_grid": governance_grid,
    "grid.environment_grid": _by_community("environment", "示例生态环境局", "环保网格", level="village"),
    "grid.market_grid": _by_community("market", "示例市场监管局", "市场监管网格"),
    "grid.fire_grid": _by_community("fire", "示例消防救援支队", "消防网格"),
    "grid.police_grid": _by_community("police", "示例公安局", "警务网格"),
}
