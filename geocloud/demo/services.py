# SPDX-License-Identifier: Apache-2.0
"""The demo's facility layers: components along the streets, cameras, schools, hospitals, stations and the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import shapely

from geocloud.demo.city import City, points
from geocloud.demo.columns import Batch, choose, day, digits, join, number, pick, sliced, whole
from geocloud.demo.facts import Floats, Ints, stream
from geocloud.demo.plots import shares
from geocloud.demo.relief import ground

__all__ = ["HERITAGE", "LAYERS", "VENUES", "heritage_names", "places", "sized"]

# Of layers whose places others refer to: the name of their stream and their number in a whole city.
VENUES, HERITAGE = ("venue places", 560), ("heritage places", 110)

# Group of component, weight, and its classes (GB/T 30428.2: code, name, weight).
_COMPONENTS: tuple[tuple[str, float, tuple[tuple[str, str, float], ...]], ...] = (
    ("lamp", 0.34, (("0118", "路灯", 0.9), ("0120", "景观灯", 0.1))),
    ("manhole", 0.29, (("0101", "上水井盖", 0.2), ("0102", "污水井盖", 0.26), ("0103", "雨水井盖", 0.2),
                       ("0104", "雨水箅子", 0.22), ("0105", "电力井盖", 0.07), ("0107", "通讯井盖", 0.05))),
    ("tree", 0.17, (("0402", "行道树", 0.97), ("0401", "古树名木", 0.03))),
    ("sign", 0.08, (("0209", "交通标志牌", 0.7), ("0213", "路名牌", 0.3))),
    ("bin", 0.05, (("0305", "垃圾箱", 0.94), ("0301", "公共厕所", 0.06))),
    ("signal", 0.03, (("0210", "交通信号灯", 0.5), ("0211", "交通护栏", 0.5))),
    ("hydrant", 0.02, (("0113", "消防设施", 1.0),)),
    ("other", 0.02, (("0117", "立杆", 0.6), ("0126", "健身设施", 0.2), ("0407", "街头坐椅", 0.2))),
)  # fmt: skip
_KEEPERS = {"01": "示例市政养护中心", "02": "示例交通设施养护队", "03": "示例环境卫生中心", "04": "示例园林绿化中心"}


def _along(c: City, name: str, count: int, spread: float) -> tuple[Floats, Floats]:
    """`count` places beside the streets, more where it is built up, in order along them; and the street's bearing."""
    s = c.streets.segments
    rng = c.stream(name)
    # A zig-zag over squares of 16 units keeps neighbours close in the table.
    order = np.lexsort((s.row, s.col, s.row // 16, s.col // 16))
    col, row, length, north, rank = (a[order] for a in (s.col, s.row, s.length, s.north, s.rank))
    middle = c.streets.place(col + length * (north == 0) / 2, row + length * (north == 1) / 2)
    weight = length * np.maximum(c.land.density(*middle), 0.0) ** spread * np.array([1.4, 1.6, 1.3, 1.0, 0.8])[rank]
    number_of = shares(weight, count)
    i = np.repeat(np.arange(len(col)), number_of)
    t = (
        np.arange(count) - np.repeat(np.concatenate(([0], np.cumsum(number_of)[:-1])), number_of) + rng.random(count)
    ) / number_of[i]
    at_col, at_row = col[i] + t * length[i] * (north[i] == 0), row[i] + t * length[i] * (north[i] == 1)
    x, y = c.streets.place(at_col, at_row)
    ahead = c.streets.place(at_col + 0.02 * (north[i] == 0), at_row + 0.02 * (north[i] == 1))
    bearing = np.degrees(np.arctan2(ahead[0] - x, ahead[1] - y)) % 360
    off = np.where(rng.random(count) < 0.5, -1, 1) * (3.0 + 2.6 * (4 - rank[i]) * rng.random(count) + rng.random(count))
    turn = np.radians(bearing + 90)
    return np.column_stack((x + off * np.sin(turn), y + off * np.cos(turn))), bearing


def component(c: City) -> Iterator[Batch]:
    xy, _ = _along(c, "component places", c.size.components, 0.7)
    n = len(xy)
    rng = c.stream("components")
    groups = [g for g, _, _ in _COMPONENTS]
    classes = [(code, title, i, w * share) for i, (_, w, of) in enumerate(_COMPONENTS) for code, title, share in of]
    kind = np.searchsorted(np.cumsum([w for *_, w in classes]), rng.random(n) * 0.999999, side="right")
    codes = [code for code, *_ in classes]
    county = c.land.towns[1][c.village_town[c.village_at(xy)]]
    serial = _serial(county * len(classes) + kind) + 1
    prefix = [k + code for k in c.county_codes for code in codes]
    columns = {
        "code": join(pick(prefix, county * len(classes) + kind), digits(serial, 6)),
        "name": pick([title for _, title, *_ in classes], kind),
        "edition": pick(["2013"], np.zeros(n, np.int64)),
        "major_class": pick([code[:2] for code in codes], kind),
        "class_code": pick(codes, kind),
        "category": pick([groups[i] for _, _, i, _ in classes], kind),
        "state": choose(rng, ["完好", "破损", "丢失", "废弃", "移除"], [0.955, 0.03, 0.006, 0.005, 0.004], n),
        "dept_name": pick([f"{x}城市管理局(示例)" for x in c.county_names], county),
        "keeper_name": pick([_KEEPERS[code[:2]] for code in codes], kind),
        "county_code": pick(c.county_codes, county),
        "first_seen_on": day(rng, "2015-03-01", "2025-10-31", n),
        "data_source": pick(["合成数据"], np.zeros(n, np.int64)),
    }
    ll = c.lonlat(xy)
    yield from sliced(n, lambda a, b: Batch({k: v.slice(a, b - a) for k, v in columns.items()}, points(ll[a:b])))


def _serial(group: Ints) -> Ints:
    """How many of the same group come before each."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    start = np.concatenate(([0], np.flatnonzero(np.diff(ordered)) + 1))
    out = np.empty(len(group), np.int64)
    out[order] = np.arange(len(group)) - np.repeat(start, np.diff(np.append(start, len(group))))
    return out


def camera(c: City) -> Iterator[Batch]:
    xy, bearing = _along(c, "camera places", c.size.cameras, 0.7)
    n = len(xy)
    rng = c.stream("cameras")
    kind = np.searchsorted(np.cumsum([0.5, 0.3, 0.08, 0.09, 0.03]), rng.random(n) * 0.999999, side="right")
    divisions = c.divisions(xy, "county_code", "township_code")
    columns = {
        "code": join("V", c.code, digits(np.arange(1, n + 1), 6)),
        "name": join("示例监控点", whole(np.arange(1, n + 1)).cast(pa.string())),
        # Centre 8 digits, industry 00, type 132 (network camera), network 0, sequence 6.
        "gb28181_id": join(divisions["county_code"], "00", "00", "132", "0", digits(np.arange(1, n + 1), 6)),
        "device_type": pick(["132"], np.zeros(n, np.int64)),
        "kind": pick(["bullet", "dome", "half_dome", "checkpoint", "high_point"], kind),
        "azimuth_deg": number((bearing + np.where(rng.random(n) < 0.5, 0, 180) + 20 * (rng.random(n) - 0.5)) % 360),
        "view_angle_deg": number(np.array([60.0, 70.0, 95.0, 35.0, 55.0])[kind]),
        "range_m": number(np.array([50.0, 150.0, 25.0, 40.0, 2_000.0])[kind]),
        "height_m": number(np.array([4.5, 6.0, 3.2, 6.5, 45.0])[kind] + rng.random(n)),
        "department": choose(rng, ["示例公安局", "示例交通运输局", "示例城市管理局", "示例教育局"], [60, 18, 14, 8], n),
        "share": choose(rng, ["conditional", "none"], [70, 30], n),
        **divisions,
        "installed_on": day(rng, "2014-01-01", "2025-10-31", n),
        "state": choose(rng, ["running", "maintenance", "stopped"], [95, 3, 2], n),
    }
    ll = c.lonlat(xy)
    yield from sliced(n, lambda a, b: Batch({k: v.slice(a, b - a) for k, v in columns.items()}, points(ll[a:b])))


def _spots(c: City, name: str, count: int, spread: float = 0.6) -> Floats:
    """`count` places in parcels that are built on, more where people live; every county has some."""
    p = c.plots.parcels
    rng = c.stream(name)
    built = np.isin(p.use, ["07", "08", "09", "10", "13"])
    weight = np.where(built, p.density**spread, 0.0)
    chosen = np.searchsorted(np.cumsum(weight) / weight.sum(), np.sort(rng.random(count)), side="right")
    box = p.box[chosen]
    u = box[:, 0] + (box[:, 2] - box[:, 0]) * (0.3 + 0.4 * rng.random(count))
    v = box[:, 1] + (box[:, 3] - box[:, 1]) * (0.3 + 0.4 * rng.random(count))
    return c.plots.at(p.block[chosen], u, v)


_ALL = ("county_code", "county_name", "township_code", "township_name")


def sized(c: City, full: int) -> int:
    """How many there are in a city of its size, of `full` in a whole one; at least 8."""
    return max(8, round(full * c.size.facilities))


def places(c: City, name: str, full: int, spread: float | None = None) -> Floats:
    """The places of the stream of that name, in plane metres; the same whenever they are asked for. `spread`: how much
    more there are where people live."""
    return _spots(c, name, sized(c, full), spread or (0.3 if name == HERITAGE[0] else 0.6))


def _points(
    c: City, letter: str, xy: Floats, names: pa.Array, columns: dict[str, pa.Array], divisions: Sequence[str] = _ALL
) -> Iterator[Batch]:
    n = len(xy)
    base = {"code": join(letter, c.code, digits(np.arange(1, n + 1), 5)), "name": names}
    yield Batch({**base, **columns, **c.divisions(xy, *divisions)}, points(c.lonlat(xy)))


def _named(words: Sequence[str], kind: Ints) -> pa.Array:
    """Names that say they are samples, numbered."""
    return join("示例第", whole(np.arange(1, len(kind) + 1)).cast(pa.string()), pick(words, kind))


def _draw(rng: np.random.Generator, weights: Sequence[float], count: int) -> Ints:
    return np.searchsorted(np.cumsum(weights) / sum(weights), rng.random(count), side="right")


def school(c: City) -> Iterator[Batch]:
    n, rng = sized(c, 1_600), c.stream("schools")
    kind = _draw(rng, [52, 30, 7, 4, 4, 2, 1], n)
    pupils = np.array([180, 620, 1_100, 1_500, 2_200, 1_800, 3_000])[kind] * (0.5 + rng.random(n))
    yield from _points(
        c,
        "S",
        _spots(c, "school places", n),
        _named(["幼儿园", "小学", "中学", "九年一贯制学校", "高级中学", "中等职业学校", "完全中学"], kind),
        {
            "stage": pick(
                ["kindergarten", "primary", "junior", "nine_year", "senior", "vocational", "secondary"], kind
            ),
            "ownership": choose(rng, ["public", "private"], [72, 28], n),
            "pupils": whole(pupils),
            "seats": whole(pupils * 1.1),
            "classes": whole(pupils / 42 + 1),
            "teachers": whole(pupils / 14 + 3),
            "boarding": pa.array(kind >= 4),
            "opened_on": day(rng, "1952-09-01", "2024-09-01", n),
        },
    )


def hospital(c: City) -> Iterator[Batch]:
    n, rng = sized(c, 620), c.stream("hospitals")
    kind = _draw(rng, [8, 4, 4, 16, 22, 40, 6], n)
    beds = np.array([600, 350, 150, 60, 45, 0, 0])[kind] * (0.4 + rng.random(n))
    yield from _points(
        c,
        "H",
        _spots(c, "hospital places", n),
        _named(["综合医院", "中医医院", "专科医院", "社区卫生服务中心", "卫生院", "村卫生室", "门诊部"], kind),
        {
            "kind": pick(["general", "tcm", "specialised", "community", "township", "village", "clinic"], kind),
            "level": pick(["3A", "2A", "2A", "none", "1A", "none", "none"], kind),
            "ownership": choose(rng, ["public", "private"], [75, 25], n),
            "beds": whole(beds),
            "emergency": pa.array(kind < 2),
        },
    )


def elderly_care(c: City) -> Iterator[Batch]:
    n, rng = sized(c, 900), c.stream("elderly")
    kind = _draw(rng, [24, 26, 20, 30], n)
    beds = np.array([110, 18, 0, 20])[kind] * (0.5 + rng.random(n))
    yield from _points(
        c,
        "E",
        _spots(c, "elderly places", n, 0.45),
        _named(["养老院", "日间照料中心", "长者食堂", "农村幸福院"], kind),
        {
            "kind": pick(["home", "day_care", "canteen", "rural"], kind),
            "ownership": choose(rng, ["public", "private", "public_private"], [55, 25, 20], n),
            "beds": whole(beds),
            "residents": whole(beds * (0.4 + 0.5 * rng.random(n))),
            "meals_per_day": whole(np.where(kind == 2, 40 + 160 * rng.random(n), 0)),
            "state": pick(["running"], np.zeros(n, np.int64)),
        },
    )


def shelter(c: City) -> Iterator[Batch]:
    n, rng = sized(c, 260), c.stream("shelters")
    kind = _draw(rng, [60, 30, 10], n)
    area = np.array([3_000, 12_000, 45_000])[kind] * (0.5 + rng.random(n))
    usable = area * 0.6
    head = np.array([1.5, 2.0, 3.0])[kind]
    yield from _points(
        c,
        "Y",
        _spots(c, "shelter places", n),
        _named(["应急避难场所"], np.zeros(n, np.int64)),
        {
            "level": pick(["township", "county", "city"], kind),
            "duration": pick(["emergency", "short", "long"], kind),
            "indoor": pa.array(rng.random(n) < 0.2),
            "site": choose(rng, ["公园", "学校操场", "广场", "体育场馆"], [40, 30, 20, 10], n),
            "area_m2": number(area),
            "usable_area_m2": number(usable),
            "area_per_head_m2": number(head),
            "capacity": whole(usable / head),
            "service_radius_m": number(np.array([500.0, 1_000.0, 5_000.0])[kind]),
        },
    )


def culture_venue(c: City) -> Iterator[Batch]:
    n, rng = sized(c, VENUES[1]), c.stream("venues")
    kind = _draw(rng, [5, 4, 6, 22, 45, 6, 12], n)
    yield from _points(
        c,
        "C",
        places(c, *VENUES),
        _named(["图书馆", "博物馆", "文化馆", "综合文化站", "农家书屋", "电影院", "城市书房"], kind),
        {
            "kind": pick(
                ["library", "museum", "culture_centre", "township_station", "village_centre", "cinema", "bookroom"],
                kind,
            ),
            "level": pick(["county", "county", "county", "township", "village", None, "county"], kind),
            "seats": whole(np.array([260, 60, 120, 40, 16, 420, 60])[kind] * (0.5 + rng.random(n))),
            "free": pa.array(kind != 5),
            "hours": pick(["09:00-17:00", "09:00-21:00", "10:00-23:30"], np.select([kind == 5, kind == 6], [2, 1], 0)),
        },
    )


def _heritage_kinds(rng: np.random.Generator, count: int) -> Ints:
    return _draw(rng, [34, 18, 26, 8, 14], count)


def heritage_names(c: City) -> list[str]:
    """Names of the heritage sites, in their order."""
    words = ["遗址", "墓", "古建筑", "石刻", "近现代旧址"]
    kind = _heritage_kinds(c.stream("heritage"), sized(c, HERITAGE[1]))
    return [f"示例{i}号{words[k]}" for i, k in enumerate(kind.tolist(), 1)]


def heritage_site(c: City) -> Iterator[Batch]:
    n, rng = sized(c, HERITAGE[1]), c.stream("heritage")
    kind = _heritage_kinds(rng, n)
    xy = places(c, *HERITAGE)
    yield Batch(
        {
            "name": pa.array(heritage_names(c)),
            "code": join("G", c.code, digits(np.arange(1, n + 1), 5)),
            "level": choose(rng, ["national", "provincial", "city", "county"], [6, 22, 34, 38], n),
            "kind": pick(["01", "02", "03", "04", "05"], kind),
            "era": choose(rng, ["新石器", "汉", "唐", "宋", "明", "清", "民国"], [8, 14, 8, 12, 24, 26, 8], n),
            "position_quality": choose(rng, ["surveyed", "digitised", "area"], [60, 25, 15], n),
            **c.divisions(xy, *_ALL),
        },
        points(c.lonlat(xy)),
    )


def air_station(c: City) -> Iterator[Batch]:
    towns = c.land.towns
    rng = stream("air", c.number)
    xy = np.vstack(
        (
            c.land.seats + 1_200 * (rng.random(c.land.seats.shape) - 0.5),
            towns[0] + 600 * (rng.random(towns[0].shape) - 0.5),
        )
    )
    n, level = len(xy), np.repeat([0, 1], [len(c.land.seats), len(towns[0])])
    yield from _points(
        c,
        "Q",
        xy,
        _named(["空气站"], np.zeros(n, np.int64)),
        {
            "level": pick(["national", "township"], level),
            "background": pa.array(np.zeros(n, bool)),
            "city_name": pick([c.name], np.zeros(n, np.int64)),
            "parameters": pick(["PM2.5,PM10,SO2,NO2,CO,O3"], np.zeros(n, np.int64)),
            "state": pick(["running"], np.zeros(n, np.int64)),
        },
        ("county_code", "township_code"),
    )


def _hydro(c: City, first: int, xy: Floats, names: pa.Array, columns: dict[str, pa.Array]) -> Iterator[Batch]:
    n = len(xy)
    base = {"code": digits(first + c.number * 1_000 + np.arange(n), 8), "name": names}
    yield Batch({**base, **columns, **c.divisions(xy, "county_code")}, points(c.lonlat(xy)))


def river_gauge(c: City) -> Iterator[Batch]:
    """Stations along the named rivers; levels are invented, most above the datum of 1985, some above an assumed one
    whose height is known, or is not."""
    rng = c.stream("gauges")
    places, rivers = [], []
    for r in c.waters.rivers:
        for k in range(5):
            at = r.line[int((0.12 + 0.19 * k) * len(r.line))]
            if shapely.contains_xy(c.land.outline, *at):
                places.append(at)
                rivers.append(r.name)
    xy, n = np.array(places), len(places)
    kind = np.searchsorted(np.cumsum([0.6, 0.25, 0.15]), c.stream("gauge datums").random(n), side="right")
    zero = np.where(kind == 1, np.round(20 + 5 * rng.random(n), 2), 0.0)
    warning = ground(c.land, *xy.T) - 1.5 - zero - 12.0 * (kind == 2)
    yield from _hydro(
        c,
        99_900_000,
        xy,
        join("示例", pa.array(rivers), digits(np.arange(1, n + 1), 2), "站"),
        {
            "river": pa.array(rivers),
            "station_type": choose(rng, ["ZQ", "ZZ"], [40, 60], n),
            "warning_level_m": number(warning, 2),
            "guarantee_level_m": number(warning + 1.5, 2),
            "left_crest_m": number(warning + 3.2, 2),
            "right_crest_m": number(warning + 3.1, 2),
            "datum_name": pick(["1985 国家高程基准", "假定基面", "假定基面"], kind),
            "datum_height_m": pa.array([z if k == 1 else None for k, z in zip(kind, zero, strict=True)], pa.float64()),
            "state": pick(["running"], np.zeros(n, np.int64)),
        },
    )


def rain_gauge(c: City) -> Iterator[Batch]:
    towns = c.land.towns[0]
    n = len(towns)
    rng = c.stream("rain")
    xy = towns + 1_500 * (rng.random(towns.shape) - 0.5)
    yield from _hydro(
        c,
        99_950_000,
        xy,
        join("示例", digits(np.arange(1, n + 1), 3), "雨量站"),
        {
            "station_type": pick(["PP"], np.zeros(n, np.int64)),
            "elevation_m": number(25 + 20 * rng.random(n)),
            "state": pick(["running"], np.zeros(n, np.int64)),
        },
    )


def weather_station(c: City) -> Iterator[Batch]:
    xy = np.vstack((c.land.seats, c.land.towns[0][::4]))
    n = len(xy)
    yield from _points(
        c,
        "M",
        xy + 300,
        _named(["气象站"], np.zeros(n, np.int64)),
        {
            "elevation_m": number(25 + 20 * c.stream("weather").random(n)),
            "active": pa.array(np.ones(n, bool)),
            "parameters": pick(["气温,降水,风,湿度,气压"], np.zeros(n, np.int64)),
            "state": pick(["running"], np.zeros(n, np.int64)),
        },
        ("county_code", "township_code"),
    )


_MAKERS = (
    school, hospital, elderly_care, shelter, culture_venue, heritage_site, camera, component,
    air_station, river_gauge, rain_gauge, weather_station,
)  # fmt: skip
LAYERS: dict[str, Callable[[City], Iterator[Batch]]] = {f"facility.{make.__name__}": make for make in _MAKERS}
