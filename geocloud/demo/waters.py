# SPDX-License-Identifier: Apache-2.0
"""Rivers, ditches, lakes and ponds of the demo city, in plane metres."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely

from geocloud.demo.facts import RIVERS, SIZES, Floats, Strs, plane, stream
from geocloud.demo.land import BOX, Land, bend, blob, noise

__all__ = ["Lake", "River", "Waters"]


@dataclass(frozen=True)
class River:
    """A named river: vertices in plane metres along its flow, width in metres."""

    name: str
    name_en: str
    kind: str
    width: float
    line: Floats


@dataclass(frozen=True)
class Lake:
    """A water surface: name (or None), class and its shell in plane metres."""

    name: str | None
    kind: str
    shell: Floats


@dataclass(frozen=True)
class Waters:
    """One city's waters."""

    land: Land

    @cached_property
    def rivers(self) -> list[River]:
        """The named rivers, meandering, one vertex about every 150 m."""
        found = []
        for name, name_en, kind, width, course in RIVERS:
            x, y = plane(*np.array(course).T)
            knots = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))
            at = np.linspace(0, knots[-1], int(knots[-1] / 150) + 2)
            x, y = _smooth(at, knots, x), _smooth(at, knots, y)
            sway = 420 if kind == "river" else 130
            x = x + sway * noise(name + "x", self.land.city, x, y, 5_200, 3)
            y = y + sway * noise(name + "y", self.land.city, x, y, 5_200, 3)
            found.append(River(name, name_en, kind, width, np.column_stack((x, y))))
        return found

    @cached_property
    def channel(self) -> Any:
        """Ground that rivers and the big lake take, as one area: nothing is built there."""
        parts = [shapely.buffer(shapely.linestrings(r.line), r.width / 2 + 20, quad_segs=2) for r in self.rivers]
        parts += [shapely.buffer(shapely.polygons(lake.shell), 15) for lake in self.lakes[:1]]
        whole = shapely.union_all(parts)
        shapely.prepare(whole)
        return whole

    @cached_property
    def lakes(self) -> list[Lake]:
        """The lake round the old city first, then ponds."""
        lakes = [Lake("东昌湖", "lake", shapely.get_coordinates(self.land.lake))]
        rng = stream("ponds", self.land.city)
        wanted = SIZES[self.land.size].ponds
        x, y = scatter(self.land, rng, wanted * 3)
        dry = shapely.disjoint(self.channel_lines, shapely.buffer(shapely.points(x, y), 400))
        dry &= self.land.density(x, y) < 0.05
        for px, py in np.column_stack((x, y))[dry][:wanted]:
            lakes.append(Lake(None, "pond", blob(px, py, 25 + 110 * rng.random() ** 2, 14, 0.3, rng)))
        return lakes

    @cached_property
    def channel_lines(self) -> Any:
        lines = shapely.multilinestrings([shapely.linestrings(r.line) for r in self.rivers])
        shapely.prepare(lines)
        return lines

    @cached_property
    def ditches(self) -> tuple[Floats, Strs]:
        """Irrigation ditches, each of 9 vertices: (n, 9, 2) plane metres, and names."""
        rng = stream("ditches", self.land.city)
        wanted = SIZES[self.land.size].ditches
        kept: list[Floats] = []
        while sum(len(k) for k in kept) < wanted:
            x, y = scatter(self.land, rng, wanted)
            turn = np.where(rng.random(wanted) < 0.6, 0.8, 0.8 - np.pi / 2) + (rng.random(wanted) - 0.5) * 0.3
            length = 700 + 2_400 * rng.random(wanted) ** 2
            along = np.linspace(0, 1, 9)
            px = x[:, None] + np.cos(turn)[:, None] * length[:, None] * along
            py = y[:, None] + np.sin(turn)[:, None] * length[:, None] * along
            line = np.column_stack(bend(self.land.city, px.ravel(), py.ravel())).reshape(wanted, 9, 2)
            lived = self.land.density(*line.reshape(-1, 2).T).reshape(wanted, 9)
            # Out in the fields, and all of it inside the city.
            kept.append(line[(lived.max(1) < 0.08) & (lived.min(1) > 0)])
        names = np.array([f"示例{i + 1}号沟渠" for i in range(wanted)], dtype=object)
        return np.concatenate(kept)[:wanted], names

    def surface(self, river: River) -> Any:
        """The river's water surface, in plane metres."""
        return shapely.buffer(shapely.linestrings(river.line), river.width / 2, quad_segs=3, cap_style="flat")


def scatter(land: Land, rng: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    """`count` even random places inside the city."""
    kept: list[Floats] = []
    while sum(len(k) for k in kept) < count:
        x = BOX[0] + rng.random(count * 2 + 16) * (BOX[2] - BOX[0])
        y = BOX[1] + rng.random(count * 2 + 16) * (BOX[3] - BOX[1])
        kept.append(np.column_stack((x, y))[shapely.contains_xy(land.outline, x, y)])
    return tuple(np.concatenate(kept)[:count].T)  # type: ignore[return-value]


def _smooth(at: Floats, knots: Floats, values: Floats) -> Floats:
    """Cubic Hermite interpolation with the slopes of the neighbours."""
    slope = np.gradient(values, knots)
    i = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    h = knots[i + 1] - knots[i]
    t = (at - knots[i]) / h
    return np.asarray(
        (2 * t**3 - 3 * t**2 + 1) * values[i]
        + (t**3 - 2 * t**2 + t) * h * slope[i]
        + (3 * t**2 - 2 * t**3) * values[i + 1]
        + (t**3 - t**2) * h * slope[i + 1]
    )
