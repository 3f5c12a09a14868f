# SPDX-License-Identifier: Apache-2.0
"""Control lines and sector plans of the demo city, and where they were made to cross the land-use plans."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import shapely

from geocloud.demo.columns import Shapes
from geocloud.demo.facts import SIZES, Ints, Strs
from geocloud.demo.land import blob
from geocloud.demo.plans import NOW, Plans, Shape, is_construction

__all__ = ["Crossing", "Feature", "Sectors", "sectors_of"]

# Metres that a river's management range reaches beyond its bank, and land that its floods reach.
_SHORE, _FLOOD = 50.0, 900.0
_REACH = {"small": 9_000.0, "city": 6_000.0, "province": 6_000.0}
_CORRIDORS = (
    ("示例东西高速铁路廊道", "high_speed_railway", (5, 0, 4), 70.0),
    ("示例南北高速公路廊道", "expressway", (7, 0, 2), 55.0),
    ("示例北环国省道廊道", "highway", (7, 6, 1), 35.0),
)


@dataclass(frozen=True)
class Feature:
    """A feature of a sector plan: serial number, kind, name, county number, shape (lon/lat), more fields by name."""

    serial: int
    kind: str | None
    name: str
    county: int
    geometry: Any
    more: dict[str, Any]


@dataclass(frozen=True)
class Crossing:
    """A planted conflict: relation, (BSM, class) of both sides, shape and its place."""

    rule: str
    a: tuple[str, str | None]
    b: tuple[str, str | None]
    geometry: Any
    shape: Shape


def _rounded(shape: Any) -> Any:
    """On the grid of 1e-7 degrees that all of the demo lies on."""
    return shapely.transform(shapely.set_precision(shape, 1e-7), lambda at: np.round(at, 7))


@lru_cache(maxsize=max(s.cities for s in SIZES.values()))
def sectors_of(plans: Plans) -> Sectors:
    """The sector plans that go with a city's plans, kept."""
    return Sectors(plans)


@dataclass(frozen=True)
class Sectors:
    """One city's sector plans."""

    plans: Plans

    def lonlat(self, shape: Any) -> Any:
        """A shape of plane metres in lon/lat, inside the district."""
        moved = shapely.transform(shape, self.plans.city.lonlat)
        return _rounded(shapely.intersection(moved, self.plans.mesh.district))

    @cached_property
    def county(self) -> Ints:
        """County number of each plot."""
        number = {code: i for i, code in enumerate(self.plans.city.county_codes)}
        return np.array([number[c] for c in self.plans.divisions[0]])

    def _county_at(self, shape: Any) -> int:
        x, y = shapely.get_coordinates(shapely.point_on_surface(shape))[0]
        seats = self.plans.city.lonlat(self.plans.city.land.seats)
        return int(np.argmin(np.hypot(*(seats - (x, y)).T)))

    def bsm(self, layer: str, f: Feature) -> str:
        return self.plans.bsm(layer, f.serial, self.plans.city.county_codes[f.county])

    def _by_county(self, drawn: Shapes, plots: Any, ending: str, kind: str) -> list[Feature]:
        found: list[Feature] = []
        for number, name in enumerate(self.plans.city.county_names):
            own = plots & (self.county == number)
            if own.any():
                whole = shapely.coverage_union_all(drawn[own])
                found.append(Feature(len(found) + 1, kind, f"{name}{ending}", number, whole, {}))
        return found

    @cached_property
    def boundary(self) -> list[Feature]:
        """Urban development boundaries by county, in the second drawing; they take in some plots they should not."""
        inside, p = self.plans.town.copy(), self.plans.planted
        inside[p.boundary_on_farmland + p.boundary_on_redline] = True
        return self._by_county(self.plans.second, inside, "城镇开发边界(示例)", "concentrated")

    @cached_property
    def redline(self) -> list[Feature]:
        return self._by_county(self.plans.mesh.plots, self.plans.redline, "生态保护红线(示例)", "water")

    @cached_property
    def rivers(self) -> list[Feature]:
        """Management ranges of the rivers; where two meet, the ground is the first one's."""
        found: list[Feature] = []
        taken = shapely.Polygon()
        for i, r in enumerate(self.plans.city.waters.rivers):
            whole = self.lonlat(shapely.buffer(shapely.linestrings(r.line), r.width / 2 + _SHORE, quad_segs=4))
            own = _rounded(shapely.difference(whole, taken))
            taken = shapely.union(taken, whole)
            more = {"hlmc": r.name, "fhbz": 50 if r.kind == "river" else 20}
            found.append(Feature(i + 1, "management", f"{r.name}管理范围(示例)", self._county_at(own), own, more))
        return found

    @cached_property
    def floods(self) -> list[Feature]:
        found: list[Feature] = []
        taken = shapely.Polygon()
        for r in self.plans.city.waters.rivers:
            if r.kind == "river":
                reach = r.width / 2 + _FLOOD
                whole = self.lonlat(shapely.buffer(shapely.linestrings(r.line), reach, quad_segs=4))
                own = _rounded(shapely.difference(whole, taken))
                taken = shapely.union(taken, whole)
                more = {"cxq": 50, "ymsd": 0.5}
                number = len(found) + 1
                name = f"{r.name}五十年一遇洪水范围(示例)"
                found.append(Feature(number, None, name, self._county_at(own), own, more))
        return found

    @cached_property
    def heritage(self) -> list[Feature]:
        """Six sites round the old town: protection range, and the control zone around it without it."""
        rng = self.plans.city.stream("plan heritage")
        x0, y0 = self.plans.city.land.seats[0]
        found = []
        for k in range(6):
            turn, far = k * np.pi / 3 + 0.4 * rng.random(), 1_400 + 1_600 * rng.random()
            x, y = x0 + far * np.cos(turn), y0 + far * np.sin(turn)
            core = self.lonlat(shapely.polygons(blob(x, y, 95, 24, 0.15, rng)))
            zone = shapely.difference(self.lonlat(shapely.polygons(blob(x, y, 230, 32, 0.12, rng))), core)
            name = f"示例文物保护单位{k + 1}"
            more: dict[str, Any] = {"wwmc": f"示例文物保护单位{k + 1}", "bhjb": "provincial"}
            found.append(Feature(2 * k + 1, "protection", f"{name}保护范围", 0, core, more))
            more = {**more, "xgyq": 12.0}
            found.append(Feature(2 * k + 2, "construction_control", f"{name}建设控制地带", 0, zone, more))
        return found

    @cached_property
    def regulated(self) -> Ints:
        """Plots with a regulatory plan: the middle of the first county."""
        mesh = self.plans.mesh
        near = np.hypot(*(mesh.centre - self.plans.city.land.seats[0]).T) < _REACH[self.plans.city.size_name]
        return np.flatnonzero(near & mesh.inner & (mesh.side_m <= 1_300))

    @cached_property
    def _regulation(self) -> tuple[Strs, list[Crossing]]:
        """Classes of the regulatory plots; those on rivers and heritage are green but for the planted ones."""
        plots, second = self.regulated, self.plans.second
        code = NOW[self.plans.state[plots]].copy()
        on_river, on_core = np.zeros(len(plots), bool), np.zeros(len(plots), bool)
        tree = shapely.STRtree(second[plots])
        cores = [f for f in self.heritage if f.kind == "protection"]
        for features, hit in ((self.rivers, on_river), (cores, on_core)):
            for f in features:
                hit[tree.query(f.geometry, predicate="intersects")] = True
        built = np.array([is_construction("planning.regulatory_plan", c) for c in code])
        code[built & on_core] = "1401"
        code[built & on_river] = "1402"
        found: list[Crossing] = []
        taken: set[int] = set()
        for rule, layer, features, hit, other, planted in (
            ("R1", "river_range", self.rivers, on_river, on_core, "0701"),
            ("H1", "heritage_range", cores, on_core, on_river, "0901"),
        ):
            left = 2
            for f in features:
                near = tree.query(f.geometry, predicate="intersects")
                # A plot that only one of the features touches, and much of it.
                share = shapely.area(shapely.intersection(second[plots[near]], f.geometry))
                for i in near[np.argsort(-share)][:12].tolist():
                    alone = hit[i] and not other[i]
                    alone &= sum(shapely.intersects(g.geometry, second[plots[i]]) for g in features) == 1
                    if left and alone and share.max() > 1e-7 and self.plans.mesh.apart(plots[[i]], taken, 1):
                        code[i] = planted
                        place = shapely.intersection(second[plots[i]], f.geometry)
                        a = (self.plans.plot_bsm("regulatory_plan", int(plots[i])), planted)
                        found.append(Crossing(rule, a, (self.bsm(layer, f), f.kind), place, "cut"))
                        left -= 1
                        break
        return code, found

    @property
    def regulated_code(self) -> Strs:
        return self._regulation[0]

    def _blobs(self, layer: str, plots: list[int], first: int, kind: str, name: str, **more: Any) -> list[Feature]:
        return [
            Feature(
                first + k, kind, f"{name}{first + k}", int(self.county[i]), self.plans.inside(i, "hole", 0.26), more
            )
            for k, i in enumerate(plots)
        ]

    def _some(self, name: str, where: Any, count: int) -> list[int]:
        """Whole plots that have no corner in common, drawn by lot."""
        order = self.plans.city.stream(name).permutation(len(where))
        return self.plans.mesh.apart(order[where[order]], set(), count)

    @cached_property
    def mining(self) -> list[Feature]:
        p, state = self.plans.planted, self.plans.state
        found = self._blobs("mining_right", p.mine_in_redline, 1, "mining_right", "示例采矿权", kz="地热")
        mines = self._some("plan mines", state == 11, 6)
        found += self._blobs("mining_right", mines, len(found) + 1, "mining_right", "示例采矿权", kz="砖瓦用黏土")
        wide = (state <= 1) & (self.plans.mesh.side_m >= 1_200)
        deposits = self._some("plan deposits", wide, 4)
        return found + self._blobs("mining_right", deposits, len(found) + 1, "overlay", "示例压覆矿产", kz="煤")

    @cached_property
    def projects(self) -> list[Feature]:
        """The reserve: some planted on basic farmland, the others in towns."""
        found = self._blobs(
            "reserve_project", self.plans.planted.project_on_farmland, 1, "industry", "示例储备项目", ydxz="1001"
        )
        town = self._some("plan projects", self.plans.town, 10)
        return found + self._blobs("reserve_project", town, len(found) + 1, "housing", "示例储备项目", ydxz="0701")

    @cached_property
    def sites(self) -> list[Feature]:
        town = self._some("plan sites", self.plans.town & (self.plans.state != 9), 8)
        return self._blobs("project_site", town, 1, "public_service", "示例项目用地", ydxz="0804")

    @cached_property
    def forests(self) -> list[Feature]:
        """Forest land: the plots that are woods, and some cropland that only this plan calls forest."""
        level = ("II", "III", "III", "IV")
        plots = self.plans.mesh.plots
        found = [
            Feature(k + 1, level[i % 4], "", int(self.county[i]), plots[i], {})
            for k, i in enumerate(np.flatnonzero(self.plans.state == 2).tolist())
        ]
        for i in self.plans.planted.forest_on_field:
            place = self.plans.inside(i, "hole", 0.25)
            found.append(Feature(len(found) + 1, "IV", "", int(self.county[i]), place, {}))
        return found

    @cached_property
    def corridors(self) -> list[Feature]:
        found: list[Feature] = []
        taken = shapely.Polygon()
        seats = self.plans.city.land.seats
        for k, (name, kind, stops, half) in enumerate(_CORRIDORS):
            line = shapely.segmentize(shapely.linestrings(seats[list(stops)] + (350 * (k - 1), 800)), 2_000)
            x, y = shapely.get_coordinates(line).T
            bent = np.column_stack((x + 300 * np.sin(y / 6_000), y + 300 * np.sin(x / 6_000)))
            whole = self.lonlat(shapely.buffer(shapely.linestrings(bent), half, quad_segs=4))
            own = _rounded(shapely.difference(whole, taken))
            taken = shapely.union(taken, whole)
            found.append(Feature(k + 1, kind, name, self._county_at(own), own, {"kd": 2 * half}))
        return found

    @cached_property
    def ecology(self) -> list[Feature]:
        lake = shapely.buffer(self.plans.city.land.lake, 150)
        wider = shapely.difference(shapely.buffer(lake, 500), lake)
        found = [
            Feature(1, "water_source_1", "东昌湖水源一级保护区(示例)", 0, self.lonlat(lake), {"jb": "市级"}),
            Feature(2, "water_source_2", "东昌湖水源二级保护区(示例)", 0, self.lonlat(wider), {"jb": "市级"}),
        ]
        woods = self._some("plan parks", (self.plans.state == 2) & (self.plans.mesh.side_m >= 1_200), 3)
        return found + self._blobs("ecology_zone", woods, 3, "nature_park", "示例自然公园", jb="省级")

    @cached_property
    def lines(self) -> list[Feature]:
        """The four coloured lines: parks, the lake's shore, heritage with its control zone, utilities."""
        second = self.plans.second
        found: list[Feature] = []

        def add(kind: str, name: str, county: int, shape: Any) -> None:
            found.append(Feature(len(found) + 1, kind, f"示例{name}", county, shape, {}))

        for i in np.flatnonzero(self.plans.state[self.regulated] == 9).tolist():
            add("green", "绿线", 0, second[self.regulated[i]])
        lake = self.plans.city.land.lake
        add("blue", "蓝线", 0, self.lonlat(shapely.difference(shapely.buffer(lake, 60), lake)))
        for core, zone in zip(self.heritage[::2], self.heritage[1::2], strict=True):
            add("purple", "紫线", 0, shapely.union(core.geometry, zone.geometry))
        works = self._some("plan yellow", self.plans.town & (self.plans.state == 7), 5)
        for i in works:
            add("yellow", "黄线", int(self.county[i]), self.plans.inside(i, "hole"))
        return found

    @cached_property
    def crossings(self) -> list[Crossing]:
        """Planted conflicts of control lines and sector plans."""
        plans, p, plots = self.plans, self.plans.planted, self.plans.mesh.plots
        found = list(self._regulation[1])
        boundary = {f.county: (self.bsm("urban_boundary", f), f.kind) for f in self.boundary}
        redline = {f.county: (self.bsm("ecological_redline", f), f.kind) for f in self.redline}
        for i in p.boundary_on_farmland:
            found.append(
                Crossing("F1", (plans.plot_bsm("basic_farmland", i), None), boundary[self.county[i]], plots[i], "plot")
            )
        for i in p.boundary_on_redline:
            at = self.county[i]
            found.append(Crossing("E1", redline[at], boundary[at], plots[i], "plot"))
        for k, i in enumerate(p.mine_in_redline):
            f = self.mining[k]
            b = (self.bsm("mining_right", f), f.kind)
            found.append(Crossing("E2", redline[self.county[i]], b, f.geometry, "hole"))
        for k, i in enumerate(p.forest_on_field):
            f = self.forests[len(self.forests) - len(p.forest_on_field) + k]
            a = (plans.plot_bsm("land_plan", i), str(plans.land_code[i]))
            found.append(Crossing("W1", a, (self.bsm("forest_plan", f), f.kind), f.geometry, "hole"))
        for k, i in enumerate(p.project_on_farmland):
            f = self.projects[k]
            found.append(
                Crossing(
                    "P1",
                    (plans.plot_bsm("basic_farmland", i), None),
                    (self.bsm("reserve_project", f), f.kind),
                    f.geometry,
                    "hole",
                )
            )
        return found
