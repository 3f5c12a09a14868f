# SPDX-License-Identifier: Apache-2.0
"""The demo's plans, and where they disagree: every conflict is planted, and what must be found is kept as the truth.

All plans say the same of every plot, each in its own classes, but for the planted places. Urban plans are drawn a
second time with noise (`mesh.TOLERANCE_M`), so that thin slivers lie along every border; those are no conflicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
import shapely

from geocloud.demo.city import City
from geocloud.demo.columns import Shapes
from geocloud.demo.facts import SIZES, Ints, SizeName, Strs, plane, shift
from geocloud.demo.land import blob, noise
from geocloud.demo.mesh import TOLERANCE_M, Mesh

__all__ = [
    "AMENDED",
    "LAND_CONSTRUCTION",
    "TOLERANCE_M",
    "Amendment",
    "Plans",
    "amendments",
    "is_construction",
    "plans_of",
]

# What a plot is for, and the code for it in the land plan, the master plan, and the classes of 2023.
STATES = ("crop", "orchard", "forest", "water", "village", "homes", "shops", "works", "schools", "park", "road", "mine")
LAND = np.array(["112", "12", "13", "31", "212", "211", "211", "211", "211", "211", "222", "213"], dtype=object)
URBAN = np.array(["E2", "E2", "E2", "E1", "H14", "R2", "B1", "M1", "A3", "G1", "H2", "H5"], dtype=object)
NOW = np.array(
    ["0102", "0201", "0301", "1704", "0703", "0701", "0901", "1001", "0804", "1401", "1202", "1002"], dtype=object
)
CROP, ORCHARD, FOREST, WATER, VILLAGE, HOMES, SHOPS, WORKS, SCHOOLS, PARK, ROAD, MINE = range(12)
LAND_CONSTRUCTION = frozenset({"211", "212", "213", "214", "221", "222", "226", "231", "232"})
# Day from which the amended master plan holds.
AMENDED = date(2021, 6, 1)
Shape = Literal["plot", "hole", "strip", "ring", "cut"]


def is_construction(layer: str, code: str | None) -> bool:
    """Whether a class of a land-use plan is construction land."""
    if code is None:
        return False
    if layer == "planning.land_plan":
        return code in LAND_CONSTRUCTION
    if layer == "planning.master_plan":
        return not code.startswith("E")
    return code[:2] in ("07", "08", "09", "10", "11", "12", "13", "15")


@dataclass(frozen=True)
class Amendment:
    """What an earlier version of a plan said otherwise of one feature: its BSM, and its fields before the day."""

    bsm: str
    day: date
    before: dict[str, Any]


@dataclass(frozen=True)
class Patch:
    """A place cut out of a plot in one plan: plot, class code there, its shape, and of which form it is."""

    plot: int
    code: str
    geometry: Any
    shape: Shape


@lru_cache(maxsize=max(s.cities for s in SIZES.values()))
def plans_of(c: City) -> Plans:
    """The plans of one city, kept."""
    return Plans(c)


def amendments(size: SizeName, layer_id: str) -> tuple[Amendment, ...]:
    """Features of a layer whose earlier version the demo has, in the order of their BSM."""
    if layer_id != "planning.master_plan":
        return ()
    return tuple(a for n in range(SIZES[size].cities) for a in plans_of(City(size, n)).amendments)


@dataclass(frozen=True)
class Planted:
    """Which plots are planted, by what is done there."""

    built_on_farmland: list[int]
    built_on_field: list[int]
    left_open: list[int]
    later_built: list[int]
    later_agreed: list[int]
    boundary_on_farmland: list[int]
    boundary_on_redline: list[int]
    holes_town: list[int]
    holes_land: list[int]
    holes_farmland: list[int]
    forest_on_field: list[int]
    mine_in_redline: list[int]
    project_on_farmland: list[int]


@dataclass(frozen=True)
class Plans:
    """One city's plans."""

    city: City

    @cached_property
    def mesh(self) -> Mesh:
        return Mesh(self.city)

    @cached_property
    def state(self) -> Ints:
        """What each plot is for, a number of STATES."""
        n, at = self.city.number, self.mesh.centre
        x, y = at.T
        rng, side = self.city.stream("plan states"), self.mesh.side_m
        draw, mix = rng.random(len(x)), rng.random(len(x))
        density = self.city.land.density(x, y)
        wood = noise("plan wood", n, x, y, 11_000, 2)
        open_land = np.select(
            [wood > 0.27, wood < -0.42, draw < 0.07, draw > 0.985], [FOREST, WATER, ORCHARD, ROAD], CROP
        )
        homes = np.select([mix < 0.5, mix < 0.62, mix < 0.78, mix < 0.88], [HOMES, SHOPS, WORKS, SCHOOLS], PARK)
        small = side <= 600
        built = np.where(
            small & (density > 0.1), homes, np.where(small & (density > 0.012) & (draw < 0.35), VILLAGE, open_land)
        )
        mined = (open_land == CROP) & (built == CROP) & (mix > 0.996)
        wet = shapely.contains_xy(self.city.land.lake, x, y)
        return np.asarray(np.where(wet, WATER, np.where(mined, MINE, built)))

    @cached_property
    def town(self) -> Any:
        return (self.state >= HOMES) & (self.state <= PARK)

    @cached_property
    def redline(self) -> Any:
        """Plots in the ecological red line: part of woods and waters."""
        x, y = self.mesh.centre.T
        place = noise("plan redline", self.city.number, x, y, 30_000)
        return np.isin(self.state, (FOREST, WATER)) & (place > 0.0)

    @cached_property
    def farmland(self) -> Any:
        """Plots of permanent basic farmland: most of the cropland."""
        x, y = self.mesh.centre.T
        return (self.state == CROP) & (noise("plan farmland", self.city.number, x, y, 9_000, 2) > -0.3)

    @cached_property
    def planted(self) -> Planted:
        rng, side = self.city.stream("planted"), self.mesh.side_m
        order = rng.permutation(len(side))
        more = 1 if self.city.size_name == "small" else 8
        taken: set[int] = set()

        def some(where: Any, count: int) -> list[int]:
            return self.mesh.apart(order[where[order]], taken, count * more)

        field = (self.state == CROP) & ~self.farmland
        wide = side >= (300 if self.city.size_name == "small" else 150)
        built = self.town | (self.state == VILLAGE)
        return Planted(
            built_on_farmland=some(self.farmland & wide & (side < 5_000), 3),
            built_on_field=some(field & wide & (side < 5_000), 3),
            left_open=some(built, 3),
            later_built=some(field & (side < 5_000), 4),
            later_agreed=some(built, 3),
            boundary_on_farmland=some(self.farmland & (side < 5_000), 3),
            boundary_on_redline=some(self.redline, 2),
            holes_town=some(built & wide, 5),
            holes_land=some(built & wide, 2),
            holes_farmland=some(self.farmland & wide, 2),
            forest_on_field=some((self.state == CROP) & wide & (side < 5_000), 4),
            mine_in_redline=some(self.redline & wide, 2),
            project_on_farmland=some(self.farmland & wide, 2),
        )

    @cached_property
    def second(self) -> Shapes:
        """The plots as the urban plans draw them; whole planted plots lie exactly as in the first drawing."""
        p = self.planted
        whole = (
            p.built_on_farmland + p.built_on_field + p.left_open + p.later_built + p.later_agreed
            + p.boundary_on_farmland + p.boundary_on_redline
        )  # fmt: skip
        cut = p.holes_town + p.holes_land + p.holes_farmland
        return self.mesh.redrawn(np.array(whole + cut, dtype=np.int64))

    def inside(self, plot: int, shape: Shape, share: float = 0.2) -> Any:
        """A place well inside a plot, lon/lat: a blob, a strip of at least 8 m, or a blob with an island left out."""
        whole = self.mesh.plots[plot]
        middle = shapely.centroid(whole)
        if not shapely.contains_properly(whole, middle):
            middle = shapely.point_on_surface(whole)
        side = float(self.mesh.side_m[plot])
        found = self._around(middle, plot, shape, share, side)
        while not shapely.contains_properly(whole, found):
            side *= 0.8
            found = self._around(middle, plot, shape, share, side)
        return found

    def _around(self, middle: Any, plot: int, shape: Shape, share: float, side: float) -> Any:
        rng = np.random.Generator(np.random.PCG64([371500, self.city.number, plot, 5]))
        dx, dy = shift(self.city.number, 0.0, 0.0)
        x, y = (float(v) for v in plane(shapely.get_x(middle) - dx, shapely.get_y(middle) - dy))
        if shape == "strip":
            turn, a, b = rng.random() * np.pi, 0.25 * side, max(4.0, 0.012 * side)
            along, across = np.array([np.cos(turn), np.sin(turn)]) * a, np.array([-np.sin(turn), np.cos(turn)]) * b
            corners = np.array([along + across, -along + across, -along - across, along - across]) + (x, y)
            return shapely.polygons(self.city.lonlat(corners))
        shell = self.city.lonlat(blob(x, y, share * side, 20, 0.25, rng))
        if shape == "ring":
            return shapely.polygons(shell, [self.city.lonlat(blob(x, y, 0.4 * share * side, 12, 0.2, rng))])
        return shapely.polygons(shell)

    @cached_property
    def land_patches(self) -> list[Patch]:
        """Cropland that the land plan keeps in a built-up plot."""
        return [Patch(i, "112", self.inside(i, "hole"), "hole") for i in self.planted.holes_land]

    @cached_property
    def urban_patches(self) -> list[Patch]:
        """Open land in built-up plots, and works in farmland, that only the master plan has."""
        forms: tuple[Shape, ...] = ("hole", "strip", "ring", "hole", "hole")
        open_land = [
            Patch(i, "E2", self.inside(i, forms[k % 5]), forms[k % 5]) for k, i in enumerate(self.planted.holes_town)
        ]
        return open_land + [Patch(i, "M1", self.inside(i, "hole"), "hole") for i in self.planted.holes_farmland]

    @cached_property
    def land_code(self) -> Strs:
        return np.asarray(LAND[self.state])

    @cached_property
    def urban_code(self) -> Strs:
        """Classes of the master plan as amended."""
        code, p = URBAN[self.state].copy(), self.planted
        for k, i in enumerate(p.built_on_farmland + p.built_on_field + p.later_built):
            code[i] = ("M1", "R2", "B1")[k % 3]
        code[p.left_open] = "E2"
        return np.asarray(code)

    @cached_property
    def divisions(self) -> tuple[list[str], list[str]]:
        """County code and name of each plot."""
        found = self.city.divisions(self.mesh.centre, "county_code", "county_name")
        return found["county_code"].to_pylist(), found["county_name"].to_pylist()

    def bsm(self, layer: str, serial: int, county: str) -> str:
        """Eighteen digits: county, layer and serial number."""
        return f"{county}{LAYER_NUMBER[layer]:04}{serial:08}"

    def plot_bsm(self, layer: str, plot: int) -> str:
        return self.bsm(layer, plot + 1, self.divisions[0][plot])

    def patch_bsm(self, layer: str, k: int, patch: Patch) -> str:
        return self.bsm(layer, len(self.state) + k + 1, self.divisions[0][patch.plot])

    @cached_property
    def amendments(self) -> tuple[Amendment, ...]:
        plots = self.planted.later_built + self.planted.later_agreed
        return tuple(
            Amendment(i, AMENDED, {"dldm": "E2"}) for i in sorted(self.plot_bsm("master_plan", p) for p in plots)
        )


# The layer's part of a BSM; numbers of this demo.
LAYER_NUMBER = {
    name: 9001 + i
    for i, name in enumerate(
        (
            "spatial_zone", "basic_farmland", "ecological_redline", "urban_boundary", "master_plan", "regulatory_plan",
            "land_plan", "present_land", "forest_plan", "river_range", "flood_range", "ecology_zone",
            "transport_corridor", "heritage_range", "mining_right", "colour_line", "reserve_project", "project_site",
        )
    )
}  # fmt: skip
