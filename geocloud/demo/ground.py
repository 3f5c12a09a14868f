# SPDX-License-Identifier: Apache-2.0
"""The demo's base layers: divisions, streets, railways, waters, parcels, buildings, names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from geocloud.demo.city import City, points
from geocloud.demo.columns import Batch, Shapes, choose, digits, join, number, pick, sliced, whole
from geocloud.demo.facts import Floats, Ints, Strs
from geocloud.demo.land import noise
from geocloud.demo.streets import CLASSES, UNIT

__all__ = ["LAYERS"]

# Metres of width, lanes and km/h by street class, in the order of CLASSES.
_WIDTH = np.array([24.0, 30.0, 18.0, 9.0, 6.0])
_LANES = np.array([4, 6, 4, 2, 1])
_SPEED = np.array([80, 60, 50, 40, 30])


def _shapes(found: list[object]) -> Shapes:
    out = np.empty(len(found), dtype=object)
    out[:] = found
    return out


def city(c: City) -> Iterator[Batch]:
    everything = c.land.polygons(np.zeros(len(c.village_town), np.int64))
    yield Batch(
        {
            "code": pa.array([c.code]),
            "name": pa.array([c.name]),
            "name_en": pa.array(["Liaocheng" if c.number == 0 else f"Sample city {c.number}"]),
            "province_code": pa.array(["370000"]),
            "province_name": pa.array(["山东省"]),
        },
        _shapes(everything),
    )


def county(c: City) -> Iterator[Batch]:
    shapes = _shapes(c.land.polygons(c.land.towns[1][c.village_town]))
    counties = c.land.counties
    yield Batch(
        {
            "code": pa.array(c.county_codes),
            "name": pa.array(c.county_names),
            "name_en": pa.array([x.name_en for x in counties]),
            "kind": pa.array([x.kind for x in counties]),
            "city_code": pa.array([c.code] * 8),
            "city_name": pa.array([c.name] * 8),
            "province_code": pa.array(["370000"] * 8),
            "province_name": pa.array(["山东省"] * 8),
        },
        shapes,
    )


def township(c: City) -> Iterator[Batch]:
    shapes = _shapes(c.land.polygons(c.village_town))
    county = c.land.towns[1]
    n = len(county)
    yield Batch(
        {
            "code": pa.array(c.town_codes),
            "name": pa.array(c.town_names),
            "kind": pa.array(c.town_kinds),
            "in_force": pa.array([True] * n),
            "county_code": pick(c.county_codes, county),
            "county_name": pick(c.county_names, county),
            "city_code": pa.array([c.code] * n),
            "population": whole(18_000 + c.stream("people").random(n) * 60_000),
        },
        shapes,
    )


def village(c: City) -> Iterator[Batch]:
    town = c.village_town
    shapes = _shapes(c.land.polygons(np.arange(len(town))))
    rng = c.stream("village people")
    people = (300 + 2_400 * rng.random(len(town)) ** 2) * np.where(c.village_urban, 4, 1)
    columns = {
        "code": pa.array(c.village_codes),
        "name": pa.array(c.village_names),
        "kind": pick(["village", "community"], c.village_urban.astype(np.int64)),
        "urban_rural": pick(["220", "111"], c.village_urban.astype(np.int64)),
        "county_code": pick(c.county_codes, c.land.towns[1][town]),
        "county_name": pick(c.county_names, c.land.towns[1][town]),
        "township_code": pick(c.town_codes, town),
        "township_name": pick(c.town_names, town),
        "population": whole(people),
        "households": whole(people / 3.1),
    }
    yield from sliced(len(town), lambda a, b: Batch({k: v.slice(a, b - a) for k, v in columns.items()}, shapes[a:b]))


def road(c: City) -> Iterator[Batch]:
    s = c.streets.segments
    n = len(s.col)
    xy, index = c.streets.lines(s)
    lines = shapely.linestrings(c.lonlat(xy), indices=index)
    flat = shapely.linestrings(xy, indices=index)
    middle = shapely.get_coordinates(shapely.line_interpolate_point(flat, 0.5, normalized=True))
    line = np.where(s.north == 0, s.row, s.col)
    node = [
        digits(a * 10_000 + b, 8)
        for a, b in ((s.col, s.row), (s.col + s.length * (s.north == 0), s.row + s.length * (s.north == 1)))
    ]
    wet = shapely.crosses(flat, c.waters.channel_lines)
    named = s.rank < 3
    columns = {
        "code": join("R", c.code, digits(np.arange(1, n + 1), 6)),
        "name": _where(named, join("示例", pick(["东西", "南北"], s.north), whole(line).cast(pa.string()), "路")),
        "ref": _where(s.rank == 0, join("S", digits(900 + line // 64, 3))),
        "class": pick(CLASSES, s.rank),
        "admin_grade": pick(["S", None, None, "Y", None], s.rank),
        "lanes": whole(_LANES[s.rank]),
        "width_m": number(_WIDTH[s.rank]),
        "max_speed_kmh": whole(_SPEED[s.rank]),
        "oneway": pa.array(np.zeros(n, bool)),
        "bridge": pa.array(wet),
        "tunnel": pa.array(np.zeros(n, bool)),
        "level": whole(wet),
        "from_node": node[0],
        "to_node": node[1],
        "length_m": number(shapely.length(flat)),
        **c.divisions(middle, "county_code"),
    }
    yield from sliced(
        n,
        lambda a, b: Batch(
            {k: v.slice(a, b - a) for k, v in columns.items()}, _multi(shapely.multilinestrings, lines[a:b])
        ),
    )


def _where(condition: Any, values: pa.Array) -> pa.Array:
    """The values where the condition holds, else null."""
    return pc.if_else(pa.array(condition), values, pa.scalar(None, pa.string()))


def _multi(make: Callable[..., Shapes], parts: Shapes) -> Shapes:
    return np.asarray(make(parts, indices=np.arange(len(parts))), dtype=object)


def railway(c: City) -> Iterator[Batch]:
    """Two schematic lines: south to north and west to east through the main city."""
    sx, sy = c.land.seats[0]
    lines, names = [], []
    for name, start, end in (
        ("示例京九铁路", (sx - 9_000, -80_000.0), (sx + 3_000, 70_000.0)),
        ("示例邯济铁路", (-70_000.0, sy + 9_000), (60_000.0, sy + 4_000)),
    ):
        t = np.linspace(0, 1, 400)
        x, y = start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])
        wave = 2_500 * noise(name, c.number, x, y, 60_000)
        x, y = (x + wave, y) if abs(end[1] - start[1]) > abs(end[0] - start[0]) else (x, y + wave)
        inside = shapely.intersection(shapely.linestrings(np.column_stack((x, y))), c.land.outline)
        for part in shapely.get_parts(inside):
            lines.append(shapely.linestrings(c.lonlat(shapely.get_coordinates(part))))
            names.append(name)
    n = len(lines)
    yield Batch(
        {
            "code": join("T", c.code, digits(np.arange(1, n + 1), 3)),
            "name": pa.array(names),
            "class": pa.array(["main"] * n),
            "electrified": pa.array([True] * n),
            "tracks": whole([2] * n),
            "gauge_mm": whole([1435] * n),
            "state": pa.array(["running"] * n),
        },
        _multi(shapely.multilinestrings, _shapes(lines)),
    )


def water_line(c: City) -> Iterator[Batch]:
    shore, names = c.waters.ditches
    rivers = c.waters.rivers
    lines = [shapely.linestrings(c.lonlat(r.line)) for r in rivers]
    lines += list(
        shapely.linestrings(c.lonlat(shore.reshape(-1, 2)), indices=np.repeat(np.arange(len(shore)), shore.shape[1]))
    )
    n = len(lines)
    middle = np.array([*(r.line[len(r.line) // 2] for r in rivers), *shore[:, 4]])
    length = [
        *(float(shapely.length(shapely.linestrings(r.line))) for r in rivers),
        *np.hypot(*(shore[:, 0] - shore[:, -1]).T),
    ]
    yield Batch(
        {
            "code": join("W", c.code, digits(np.arange(1, n + 1), 5)),
            "name": pa.array([*(r.name for r in rivers), *names]),
            "name_en": pa.array([*(r.name_en for r in rivers), *[None] * len(names)], pa.string()),
            "class": pa.array([*(r.kind for r in rivers), *["ditch"] * len(names)]),
            "rank": whole([*(1 if r.name == "黄河" else 3 for r in rivers), *[7] * len(names)]),
            "width_m": number(np.array([*(r.width for r in rivers), *[6.0] * len(names)])),
            "length_m": number(np.array(length)),
            **c.divisions(middle, "county_code"),
        },
        _multi(shapely.multilinestrings, _shapes(lines)),
    )


def water_area(c: City) -> Iterator[Batch]:
    rivers = c.waters.rivers
    shapes = []
    for r in rivers:
        surface = c.waters.surface(r)
        shapes.append(shapely.transform(surface, c.lonlat))
    shapes += [shapely.polygons(c.lonlat(lake.shell)) for lake in c.waters.lakes]
    middle = np.array([*(r.line[len(r.line) // 2] for r in rivers), *(lake.shell[0] for lake in c.waters.lakes)])
    n = len(shapes)
    yield Batch(
        {
            "code": join("A", c.code, digits(np.arange(1, n + 1), 5)),
            "name": pa.array([*(r.name for r in rivers), *(lake.name for lake in c.waters.lakes)], pa.string()),
            "class": pa.array([*(r.kind for r in rivers), *(lake.kind for lake in c.waters.lakes)]),
            **c.divisions(middle, "county_code"),
        },
        _shapes([shapely.multipolygons(shapely.get_parts(s)) for s in shapes]),
    )


def parcel(c: City) -> Iterator[Batch]:
    p = c.plots.parcels
    n = len(p.block)
    centre = _centres(c, p.block, p.box)
    divisions = c.divisions(centre, "county_code", "township_code")
    rural = p.density <= 0.12
    feature = np.select([~rural & (p.use == "07"), rural & (p.use == "07"), rural], ["GB", "JC", "JA"], "GB")
    columns = {
        # The township's last three digits stand for the cadastral zone; numbers run through the whole city.
        "code": join(
            divisions["township_code"],
            digits(np.arange(n) // 99_999 + 1, 3),
            pa.array(feature),
            digits(np.arange(n) % 99_999 + 1, 5),
        ),
        "land_use": pa.array(p.use, pa.string()),
        "right_type": pa.array(feature),
        "area_m2": number(p.area, 2),
        "plot_ratio": number(np.where(rural, 0.2, 0.6 + 1.8 * c.stream("ratio").random(n)), 2),
        **divisions,
    }

    def part(a: int, b: int) -> Batch:
        xy, index = c.plots.outlines(p, a, b)
        shapes = shapely.polygons(shapely.linearrings(c.lonlat(xy), indices=index))
        return Batch({k: v.slice(a, b - a) for k, v in columns.items()}, _multi(shapely.multipolygons, shapes))

    yield from sliced(n, part)


def _centres(c: City, block: Ints, box: Floats) -> Floats:
    return c.plots.at(block, (box[:, 0] + box[:, 2]) / 2, (box[:, 1] + box[:, 3]) / 2)


def building(c: City) -> Iterator[Batch]:
    h, p = c.plots.buildings, c.plots.parcels
    n = len(h.parcel)
    rng = c.stream("building facts")
    side = c.streets.blocks.side[p.block[h.parcel]] * UNIT
    area = (h.box[:, 2] - h.box[:, 0]) * (h.box[:, 3] - h.box[:, 1]) * side**2 * np.where(h.notched, 1 - 0.45**2, 1)
    town = p.density[h.parcel] > 0.12
    tall = np.where(
        town, 2 + rng.random(n) ** 2 * np.minimum(30, 4 + 30 * p.density[h.parcel]), 1 + rng.random(n) * 1.6
    )
    storeys = np.maximum(1, tall.astype(np.int64))
    use = np.select([~town & (p.use[h.parcel] == "07")], ["rural_house"], _use_of(p.use[h.parcel]))
    columns = {
        "code": join("B", c.code, digits(np.arange(1, n + 1), 7)),
        "use": pa.array(use),
        "structure": pick(["3", "4", "5"], np.where(storeys > 6, 0, np.where(rng.random(n) < 0.85, 1, 2))),
        "storeys": whole(storeys),
        "height_m": number(storeys * 3.0 + 0.6),
        "built_year": whole(1975 + np.sqrt(rng.random(n)) * 49),
        "area_m2": number(area, 1),
        "floor_area_m2": number(area * storeys, 1),
        **c.divisions(_centres(c, p.block[h.parcel], h.box), "county_code"),
    }

    def part(a: int, b: int) -> Batch:
        xy, index = c.plots.footprints(h, a, b)
        shapes = shapely.polygons(shapely.linearrings(c.lonlat(xy), indices=index))
        return Batch({k: v.slice(a, b - a) for k, v in columns.items()}, _multi(shapely.multipolygons, shapes))

    yield from sliced(n, part)


def _use_of(land_use: Strs) -> Strs:
    pairs = {"07": "residential", "08": "public", "09": "commercial", "10": "industrial", "11": "storage"}
    return np.select([land_use == k for k in pairs], list(pairs.values()), "other")


def place_name(c: City) -> Iterator[Batch]:
    towns, villages = c.land.towns, c.land.villages
    xy = np.vstack((c.land.seats[:1], c.land.seats, towns[0], villages[0]))
    names = [c.name, *c.county_names, *c.town_names, *c.village_names]
    sizes = (1, len(c.land.seats), len(towns[0]), len(villages[0]))
    kind = np.repeat(np.arange(4), sizes)
    n = len(names)
    yield Batch(
        {
            "code": join("P", c.code, digits(np.arange(1, n + 1), 5)),
            "name": pa.array(names),
            "kind": pick(["city", "county_seat", "township", "village"], kind),
            "rank": whole(kind + 1),
            **c.divisions(xy, "county_code", "township_code"),
        },
        points(c.lonlat(xy)),
    )


def poi(c: City) -> Iterator[Batch]:
    h, p = c.plots.buildings, c.plots.parcels
    rng = c.stream("pois")
    weight = np.where(p.use[h.parcel] == "09", 4.0, 1.0) * (0.05 + p.density[h.parcel])
    chosen = np.searchsorted(np.cumsum(weight) / weight.sum(), np.sort(rng.random(c.size.pois)), side="right")
    n = len(chosen)
    kinds = ["food", "shop", "life", "finance", "lodging", "company", "sport", "car", "government", "public"]
    category = np.searchsorted(np.cumsum([26, 30, 14, 4, 4, 10, 4, 4, 2, 2]) / 100, rng.random(n), side="right")
    words = ["餐馆", "商店", "便民服务点", "银行网点", "宾馆", "公司", "健身馆", "汽修店", "办事大厅", "公共厕所"]
    xy = _centres(c, p.block[h.parcel[chosen]], h.box[chosen])
    yield Batch(
        {
            "code": join("I", c.code, digits(np.arange(1, n + 1), 6)),
            "name": join("示例", pick(words, category), whole(np.arange(1, n + 1)).cast(pa.string())),
            "category": pick(kinds, category),
            "hours": choose(rng, ["09:00-21:00", "08:30-17:30", "00:00-24:00", None], [40, 30, 10, 20], n),
            **c.divisions(xy, "county_code", "township_code"),
        },
        points(c.lonlat(xy)),
    )


LAYERS: dict[str, Callable[[City], Iterator[Batch]]] = {
    f"base.{make.__name__}": make
    for make in (
        city,
        county,
        township,
        village,
        road,
        railway,
        water_line,
        water_area,
        parcel,
        building,
        place_name,
        poi,
    )
}
