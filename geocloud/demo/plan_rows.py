# SPDX-License-Identifier: Apache-2.0
"""The demo's planning layers as rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from geocloud.demo.city import City
from geocloud.demo.columns import BATCH, Batch, Shapes, number, pick
from geocloud.demo.facts import Ints
from geocloud.demo.plan_sectors import Feature, Sectors, sectors_of
from geocloud.demo.plans import NOW, TOLERANCE_M, Patch, Plans, plans_of
from geocloud.geodesy.area import areas

__all__ = ["LAYERS", "NOTE"]

NOTE = "合成示例数据,非真实规划"
# Layer: kind in plan_kind, name, bureau, first and last year, drawn on the second base.
_PLANS: tuple[tuple[str, str, str, int, int, bool], ...] = (
    ("land_plan", "示例土地利用总体规划", "planning", 2006, 2020, False),
    ("master_plan", "示例城市总体规划", "planning", 2014, 2030, True),
    ("regulatory_plan", "示例中心城区控制性详细规划", "planning", 2016, 2030, True),
    ("basic_farmland", "示例永久基本农田划定成果", "agriculture", 2022, 2035, False),
    ("ecological_redline", "示例生态保护红线划定成果", "ecology", 2022, 2035, False),
    ("urban_boundary", "示例城镇开发边界划定成果", "planning", 2022, 2035, True),
    ("forest_plan", "示例林地保护利用规划", "forestry", 2010, 2030, False),
    ("river_range", "示例河湖管理范围划定成果", "water", 2019, 2035, False),
    ("flood_range", "示例洪涝风险区划成果", "water", 2020, 2035, False),
    ("ecology_zone", "示例生态环境分区成果", "ecology", 2020, 2035, False),
    ("transport_corridor", "示例综合交通规划", "transport", 2018, 2035, False),
    ("heritage_range", "示例文物保护区划成果", "culture", 2015, 2035, False),
    ("mining_right", "示例矿产资源规划", "planning", 2021, 2035, False),
    ("colour_line", "示例四线规划", "housing", 2014, 2030, True),
    ("spatial_zone", "示例三区划定成果", "planning", 2022, 2035, False),
)
_BUREAU = {layer: bureau for layer, _, bureau, *_ in _PLANS} | {
    "present_land": "planning",
    "reserve_project": "development",
    "project_site": "planning",
}


def _number(plans: Plans, layer: str) -> str:
    return f"SL-{plans.city.code}-{layer}"


def _batches(plans: Plans, layer: str, bsm: Sequence[str], county: Ints, shapes: Shapes, **own: Any) -> Iterator[Batch]:
    n = len(shapes)
    columns: dict[str, Any] = {"bsm": pa.array(bsm, pa.string()), **own}
    if layer in {p[0] for p in _PLANS}:
        columns["ghbh"] = pa.array([_number(plans, layer)] * n)
    columns["xzqdm"] = pick(plans.city.county_codes, county)
    columns["xzqmc"] = pick(plans.city.county_names, county)
    columns["mj"] = number(areas(shapes), 2)
    columns["zrbm"] = pa.array([_BUREAU[layer]] * n)
    columns["bz"] = pa.array([NOTE] * n)
    for start in range(0, n, BATCH):
        part = {k: v.slice(start, BATCH) for k, v in columns.items()}
        yield Batch(part, _multi(shapes[start : start + BATCH]))


def _multi(shapes: Shapes) -> Shapes:
    """Every polygon as a multipolygon, vertices as they are."""
    out = np.empty(len(shapes), dtype=object)
    single = shapely.get_type_id(shapes) == 3
    out[~single] = shapes[~single]
    kept = np.flatnonzero(single)
    if kept.size:
        out[kept] = shapely.multipolygons(shapes[kept], indices=np.arange(kept.size))
    return out


def _bsms(plans: Plans, layer: str, plots: Ints) -> list[str]:
    return [plans.plot_bsm(layer, i) for i in plots.tolist()]


def _plots(plans: Plans, layer: str, drawn: Shapes, code: Any, patches: Sequence[Patch] = (), **own: Any) -> Any:
    """All plots of a land-use plan with their patches cut out, then the patches."""
    drawn = drawn.copy()
    for p in patches:
        drawn[p.plot] = shapely.difference(drawn[p.plot], p.geometry)
    extra = np.empty(len(patches), dtype=object)
    extra[:] = [p.geometry for p in patches]
    plots = np.arange(len(drawn))
    bsm = _bsms(plans, layer, plots) + [plans.patch_bsm(layer, k, p) for k, p in enumerate(patches)]
    county = (
        np.r_[sectors_of(plans).county, sectors_of(plans).county[[p.plot for p in patches]]]
        if patches
        else (sectors_of(plans).county)
    )
    codes = pa.array([*code.tolist(), *(p.code for p in patches)], pa.string())
    return _batches(plans, layer, bsm, county, np.r_[drawn, extra], dldm=codes, **own)


def land_plan(c: City) -> Iterator[Batch]:
    plans = plans_of(c)
    yield from _plots(plans, "land_plan", plans.mesh.plots, plans.land_code, plans.land_patches)


def master_plan(c: City) -> Iterator[Batch]:
    plans = plans_of(c)
    yield from _plots(plans, "master_plan", plans.second, plans.urban_code, plans.urban_patches)


def present_land(c: City) -> Iterator[Batch]:
    """As planned, but that part of the town is still cropland."""
    plans = plans_of(c)
    waiting = plans.town & (c.stream("not yet built").random(len(plans.state)) < 0.12)
    yield from _plots(plans, "present_land", plans.mesh.plots, np.where(waiting, "0102", NOW[plans.state]))


def regulatory_plan(c: City) -> Iterator[Batch]:
    plans, s = plans_of(c), sectors_of(plans_of(c))
    plots, code = s.regulated, s.regulated_code
    built = np.array([str(x)[:2] in ("07", "08", "09", "10") for x in code])
    rng = c.stream("regulatory limits")
    ratio = np.where(built, np.round(0.8 + 2.2 * rng.random(len(plots)), 1), 0.0)
    yield from _batches(
        plans, "regulatory_plan", _bsms(plans, "regulatory_plan", plots), s.county[plots], plans.second[plots],
        dkbh=pa.array([f"SL-{i + 1:05}" for i in range(len(plots))]), dldm=pa.array(code.tolist(), pa.string()),
        rjl=number(ratio), jzmd=number(np.where(built, 28.0, 5.0)), jzxg=number(np.where(built, 54.0, 10.0)),
        ldl=number(np.where(built, 35.0, 65.0)),
    )  # fmt: skip


def basic_farmland(c: City) -> Iterator[Batch]:
    plans = plans_of(c)
    plots = np.flatnonzero(plans.farmland)
    yield from _batches(
        plans, "basic_farmland", _bsms(plans, "basic_farmland", plots), sectors_of(plans).county[plots],
        plans.mesh.plots[plots], dldm=pa.array(["0102"] * len(plots)),
    )  # fmt: skip


def spatial_zone(c: City) -> Iterator[Batch]:
    """Urban, ecological and agricultural space of each county: a coverage of the district."""
    plans, s = plans_of(c), sectors_of(plans_of(c))
    kind = np.select([plans.town, np.isin(plans.state, (2, 3))], [0, 2], 1)
    shapes, kinds, county = [], [], []
    for at in range(len(c.county_codes)):
        for k, name in enumerate(("urban", "agriculture", "ecology")):
            own = (kind == k) & (s.county == at)
            if own.any():
                shapes.append(shapely.coverage_union_all(plans.mesh.plots[own]))
                kinds.append(name)
                county.append(at)
    drawn = np.empty(len(shapes), dtype=object)
    drawn[:] = shapes
    bsm = [plans.bsm("spatial_zone", k + 1, c.county_codes[at]) for k, at in enumerate(county)]
    yield from _batches(plans, "spatial_zone", bsm, np.array(county), drawn, kjlx=pa.array(kinds))


def _sector(layer: str, kind: str | None, features: Callable[[Sectors], list[Feature]], name: str | None = "mc") -> Any:
    def make(c: City) -> Iterator[Batch]:
        s = sectors_of(plans_of(c))
        found = features(s)
        drawn = np.empty(len(found), dtype=object)
        drawn[:] = [f.geometry for f in found]
        own: dict[str, Any] = {}
        if kind:
            own[kind] = pa.array([f.kind for f in found], pa.string())
        if name:
            own[name] = pa.array([f.name for f in found], pa.string())
        for key in dict.fromkeys(k for f in found for k in f.more):
            own[key] = pa.array([f.more.get(key) for f in found])
        if layer in ("reserve_project", "project_site"):
            own["xmbh"] = pa.array([f"SLXM-{f.serial:04}" for f in found])
            own["xmjd"] = pa.array(["reserve" if layer == "reserve_project" else "approval"] * len(found))
        bsm = [s.bsm(layer, f) for f in found]
        yield from _batches(s.plans, layer, bsm, np.array([f.county for f in found]), drawn, **own)

    return make


def plan_area(c: City) -> Iterator[Batch]:
    """One record for each plan: the whole district, or the regulated middle of it."""
    plans, s = plans_of(c), sectors_of(plans_of(c))
    whole = shapely.coverage_union_all(plans.mesh.plots)
    middle = shapely.coverage_union_all(plans.second[s.regulated])
    shapes = np.empty(len(_PLANS), dtype=object)
    shapes[:] = [middle if p[0] == "regulatory_plan" else whole for p in _PLANS]
    n = len(_PLANS)
    yield Batch(
        {
            "ghbh": pa.array([_number(plans, p[0]) for p in _PLANS]),
            "ghmc": pa.array([p[1] for p in _PLANS]),
            "ghlb": pa.array([p[0] for p in _PLANS]),
            "bzdw": pa.array(["示例规划院"] * n),
            "pzjg": pa.array(["示例批准机关"] * n),
            "pzrq": pa.array([date(p[3], 12, 31) for p in _PLANS]),
            "ghqsn": pa.array([p[3] for p in _PLANS], pa.int64()),
            "ghmbn": pa.array([p[4] for p in _PLANS], pa.int64()),
            "zbx": pa.array(["EPSG:4490"] * n),
            "jd": pa.array([TOLERANCE_M if p[5] else 0.0 for p in _PLANS]),
            "xzqdm": pa.array([c.code] * n),
            "xzqmc": pa.array([c.name] * n),
            "mj": number(areas(shapes), 2),
            "zrbm": pa.array([p[2] for p in _PLANS]),
            "bz": pa.array([NOTE] * n),
        },
        _multi(shapes),
    )


LAYERS: dict[str, Callable[[City], Iterator[Batch]]] = {
    "planning.plan_area": plan_area,
    "planning.spatial_zone": spatial_zone,
    "planning.basic_farmland": basic_farmland,
    "planning.ecological_redline": _sector("ecological_redline", "hxlx", lambda s: s.redline),
    "planning.urban_boundary": _sector("urban_boundary", "kffq", lambda s: s.boundary),
    "planning.master_plan": master_plan,
    "planning.regulatory_plan": regulatory_plan,
    "planning.land_plan": land_plan,
    "planning.present_land": present_land,
    "planning.forest_plan": _sector("forest_plan", "bhdj", lambda s: s.forests, None),
    "planning.river_range": _sector("river_range", "fwlx", lambda s: s.rivers),
    "planning.flood_range": _sector("flood_range", None, lambda s: s.floods),
    "planning.ecology_zone": _sector("ecology_zone", "stlx", lambda s: s.ecology),
    "planning.transport_corridor": _sector("transport_corridor", "ldlx", lambda s: s.corridors),
    "planning.heritage_range": _sector("heritage_range", "qhlx", lambda s: s.heritage),
    "planning.mining_right": _sector("mining_right", "kqlx", lambda s: s.mining),
    "planning.colour_line": _sector("colour_line", "xlx", lambda s: s.lines),
    "planning.reserve_project": _sector("reserve_project", "xmlb", lambda s: s.projects, "xmmc"),
    "planning.project_site": _sector("project_site", "xmlb", lambda s: s.sites, "xmmc"),
}
