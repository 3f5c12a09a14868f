# SPDX-License-Identifier: Apache-2.0
"""Conflicts planted in the demo's plans (示例): what a comparison has to find, all of it and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np

from geocloud.demo.city import City
from geocloud.demo.facts import SIZES, SizeName
from geocloud.demo.plan_sectors import sectors_of
from geocloud.demo.plans import AMENDED, Plans, Shape, plans_of
from geocloud.geodesy.area import areas

__all__ = ["RELATIONS", "Relation", "Spot", "spots_of", "truth"]


@dataclass(frozen=True)
class Relation:
    """Two layers of which some classes exclude each other: number, layers, kind (code list difference_kind)."""

    number: str
    layer_a: str
    layer_b: str
    kind: str


RELATIONS = (
    Relation("L1", "planning.land_plan", "planning.master_plan", "3"),
    Relation("L2", "planning.land_plan", "planning.master_plan", "2"),
    Relation("F1", "planning.basic_farmland", "planning.urban_boundary", "5"),
    Relation("F2", "planning.basic_farmland", "planning.master_plan", "5"),
    Relation("E1", "planning.ecological_redline", "planning.urban_boundary", "5"),
    Relation("E2", "planning.ecological_redline", "planning.mining_right", "5"),
    Relation("W1", "planning.land_plan", "planning.forest_plan", "6"),
    Relation("R1", "planning.regulatory_plan", "planning.river_range", "6"),
    Relation("H1", "planning.regulatory_plan", "planning.heritage_range", "6"),
    Relation("P1", "planning.basic_farmland", "planning.reserve_project", "5"),
)
_BY_NUMBER = {r.number: r for r in RELATIONS}


@dataclass(frozen=True)
class Spot:
    """A planted conflict: relation, features and classes of both plans, shape, place (lon/lat), ellipsoidal m2, and the
    days between which it is there."""

    rule: str
    layer_a: str
    layer_b: str
    bsm_a: str
    bsm_b: str
    class_a: str | None
    class_b: str | None
    kind: str
    shape: Shape
    geometry: Any
    area_m2: float
    since: date | None = None
    until: date | None = None


def truth(size: SizeName, at: date | None = None) -> tuple[Spot, ...]:
    """Every planted conflict of the demo of a size, now or at a day; the same each time."""
    found = [s for n in range(SIZES[size].cities) for s in _kept(City(size, n))]
    if at is None:
        return tuple(s for s in found if s.until is None)
    return tuple(s for s in found if (s.since is None or s.since <= at) and (s.until is None or at < s.until))


@lru_cache(maxsize=max(s.cities for s in SIZES.values()))
def _kept(c: City) -> tuple[Spot, ...]:
    return spots_of(plans_of(c))


def spots_of(plans: Plans) -> tuple[Spot, ...]:
    """All planted conflicts with their times."""
    p, plots = plans.planted, plans.mesh.plots
    found: list[Spot] = []

    def add(
        rule: str, a: tuple[str, str | None], b: tuple[str, str | None], geometry: Any, shape: Shape, **when: Any
    ) -> None:
        r = _BY_NUMBER[rule]
        area = float(areas(np.array([geometry], dtype=object))[0])
        found.append(Spot(rule, r.layer_a, r.layer_b, a[0], b[0], a[1], b[1], r.kind, shape, geometry, area, **when))

    def land(i: int) -> tuple[str, str | None]:
        return plans.plot_bsm("land_plan", i), str(plans.land_code[i])

    def urban(i: int) -> tuple[str, str | None]:
        return plans.plot_bsm("master_plan", i), str(plans.urban_code[i])

    def farm(i: int) -> tuple[str, str | None]:
        return plans.plot_bsm("basic_farmland", i), None

    for i in p.built_on_farmland:
        add("L2", land(i), urban(i), plots[i], "plot")
        add("F2", farm(i), urban(i), plots[i], "plot")
    for i in p.built_on_field:
        add("L2", land(i), urban(i), plots[i], "plot")
    for i in p.left_open:
        add("L1", land(i), urban(i), plots[i], "plot")
    for i in p.later_built:
        add("L2", land(i), urban(i), plots[i], "plot", since=AMENDED)
    for i in p.later_agreed:
        add("L1", land(i), (urban(i)[0], "E2"), plots[i], "plot", until=AMENDED)
    for k, patch in enumerate(plans.urban_patches):
        own = plans.patch_bsm("master_plan", k, patch), patch.code
        add("L1" if patch.code == "E2" else "L2", land(patch.plot), own, patch.geometry, patch.shape)
        if patch.code != "E2":
            add("F2", farm(patch.plot), own, patch.geometry, patch.shape)
    for k, patch in enumerate(plans.land_patches):
        own = plans.patch_bsm("land_plan", k, patch), patch.code
        add("L2", own, urban(patch.plot), patch.geometry, patch.shape)
    for s in sectors_of(plans).crossings:
        add(s.rule, s.a, s.b, s.geometry, s.shape)
    return tuple(found)
