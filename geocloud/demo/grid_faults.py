# SPDX-License-Identifier: Apache-2.0
"""Faults of boundaries planted into the demo's departments' grids, so that what finds them can be held to a truth.

Unit grids, the professional grids upon them and the communities are left as they are: every fault is one department's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import shapely

from geocloud.demo.facts import Ints
from geocloud.geodesy.straight import straight_areas

__all__ = ["Faults", "Planted", "plant"]

VILLAGE, UNIT = "base.village", "grid.unit_grid"
GOVERNANCE, ENVIRONMENT, MARKET, FIRE, POLICE = (
    f"grid.{n}_grid" for n in ("governance", "environment", "market", "fire", "police")
)
PROFESSIONAL = "grid.professional_grid"
# How far the police's border lies from everybody else's, and what is too small to be told.
_OFFSET_M, _LEAST_M2 = 1.2, 1.0
_AWAY, _NORTH_M = 1e-5, 110_950.0


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault that is there to be found: rule of `grid-conflicts`, layers and keys."""

    rule: str
    layer_a: str
    key_a: str
    layer_b: str
    key_b: str


@dataclass
class Faults:
    """Shapes by layer and key, the villages that some grids say they belong to, and what is to be found."""

    shapes: dict[str, dict[str, Any]]
    said: dict[tuple[str, str], int] = field(default_factory=dict)
    planted: list[Planted] = field(default_factory=list)


def plant(unit: dict[str, Any], village: Ints, codes: dict[int, str], shapes: dict[str, dict[str, Any]]) -> Faults:
    """Plants one fault of each rule. `unit`: unit grids by code, `village` the number of the village of each, `codes`
    the code of each village, `shapes`: departments' grids by layer and key, as they are without faults.

    Where there is one community alone, the faults that need two are left out.
    """
    faults = Faults({layer: dict(own) for layer, own in shapes.items()})
    _overlap(faults, unit)
    pairs = _neighbours({v: shapely.union_all(np.array(list(unit.values()), object)[village == v]) for v in codes})
    keys = {layer: {v: next(k for k in own if code in k) for v, code in codes.items()}
            for layer, own in shapes.items() if layer != GOVERNANCE}  # fmt: skip
    _gap(faults, unit, village, codes, keys)
    if pairs:
        taken = _crossing(faults, unit, village, codes, keys, pairs)
        one, other = pairs[0][:2]
        faults.said[ENVIRONMENT, keys[ENVIRONMENT][one]] = other
        faults.planted.append(Planted("F5", ENVIRONMENT, keys[ENVIRONMENT][one], VILLAGE, codes[one]))
        _offset(faults, unit, codes, keys, pairs[-1], taken)
    return faults


def _rounded(xy: Any) -> Any:
    return np.round(xy, 7)


def _neighbours(areas: dict[int, Any]) -> list[tuple[int, int, Any]]:
    """Pairs of villages with the line between them."""
    found = []
    for (a, one), (b, other) in combinations(sorted(areas.items()), 2):
        line = shapely.intersection(one.boundary, other.boundary)
        if line.length > 0:
            found.append((a, b, line))
    return found


def _overlap(faults: Faults, unit: dict[str, Any]) -> None:
    """A governance grid takes a unit grid of its neighbour's, who keeps it too."""
    own = faults.shapes[GOVERNANCE]
    keys = sorted(own)
    for one, two in zip(keys, keys[1:], strict=False):
        if one[:-3] != two[:-3]:
            continue
        for shape in unit.values():
            inside = own[two].covers(shape) and not own[two].equals(shape)
            if inside and shapely.intersection(own[one].boundary, shape.boundary).length > 0:
                own[one] = shapely.union(own[one], shape)
                faults.planted.append(Planted("F4", GOVERNANCE, one, GOVERNANCE, two))
                return


def _gap(faults: Faults, unit: dict[str, Any], village: Ints, codes: dict[int, str], keys: Any) -> None:
    """The fire service leaves a unit grid of the last village to nobody."""
    last = max(codes)
    lost = [s for s, v in zip(unit.values(), village.tolist(), strict=True) if v == last][len(unit) % 7]
    key = keys[FIRE][last]
    faults.shapes[FIRE][key] = shapely.difference(faults.shapes[FIRE][key], lost)
    faults.planted.append(Planted("F3", FIRE, codes[last], VILLAGE, codes[last]))


def _crossing(faults: Faults, unit: dict[str, Any], village: Ints, codes: dict[int, str], keys: Any, pairs: Any) -> Any:
    """A market grid reaches into the next village by one unit grid, which that village's gives up; returns that."""
    one, other, line = pairs[0]
    near = [s for s, v in zip(unit.values(), village.tolist(), strict=True)
            if v == other and shapely.intersection(s.boundary, line).length > 0]  # fmt: skip
    taken = max(near, key=shapely.area)
    own = faults.shapes[MARKET]
    own[keys[MARKET][one]] = shapely.union(own[keys[MARKET][one]], taken)
    own[keys[MARKET][other]] = shapely.difference(own[keys[MARKET][other]], taken)
    faults.planted.append(Planted("F2", MARKET, keys[MARKET][one], VILLAGE, codes[other]))
    return taken


def _offset(faults: Faults, unit: dict[str, Any], codes: dict[int, str], keys: Any, pair: Any, taken: Any) -> None:
    """Along a straight piece of a border, away from `taken`, the police draw it a little off from where others do."""
    one, other, line = pair
    parts = [np.asarray(shapely.get_coordinates(p)) for p in shapely.get_parts(shapely.line_merge(line))]
    ends = np.concatenate([np.stack([xy[:-1], xy[1:]], axis=1) for xy in parts if len(xy) > 1])
    middles = shapely.points(ends.mean(axis=1))
    ends = ends[shapely.distance(middles, taken) > _AWAY]
    scale = np.array([_NORTH_M * 1.0035 * np.cos(np.radians(ends[0, 0, 1])), _NORTH_M])
    p, q = ends[np.argmax(np.linalg.norm((ends[:, 1] - ends[:, 0]) * scale, axis=1))]
    along = (q - p) * scale
    aside = np.array([-along[1], along[0]]) / np.linalg.norm(along) * _OFFSET_M / scale
    p, q = p + 0.25 * (q - p), p + 0.75 * (q - p)
    home = faults.shapes[POLICE][keys[POLICE][one]]
    if not home.contains(shapely.points((p + q) / 2 + aside)):
        aside = -aside
    strip = shapely.intersection(shapely.polygons([p, q, q + aside, p + aside]), home)
    own = faults.shapes[POLICE]
    # As all of the demo, in steps of 1e-7 degrees; both sides alike.
    own[keys[POLICE][other]] = shapely.transform(shapely.union(own[keys[POLICE][other]], strip), _rounded)
    own[keys[POLICE][one]] = shapely.transform(shapely.difference(home, strip), _rounded)
    mine = keys[POLICE][other]
    faults.planted.append(Planted("F1", POLICE, mine, VILLAGE, codes[one]))
    for layer, grids in {UNIT: unit, **faults.shapes}.items():
        for key, shape in grids.items() if layer != POLICE else ():
            shared = shapely.intersection(shape, strip)
            if straight_areas(np.array([shared], object))[0] >= _LEAST_M2:
                faults.planted.append(Planted("F1", layer, key, POLICE, mine))
