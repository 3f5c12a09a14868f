# SPDX-License-Identifier: Apache-2.0
"""The land of the demo city: where people live, and villages nested in townships nested in counties.

Villages are cells of a fine lattice nearest to their seed, in a plane that is bent by smooth noise. Borders are traced
along the lattice and rounded by a rule that looks only at the lattice around a point, so a county's border is the
same line, vertex for vertex, as that of its outermost villages.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely

from geocloud.demo.facts import (
    OUTLINE,
    SIZES,
    TOWNSHIPS,
    County,
    Floats,
    Ints,
    SizeName,
    codes_of,
    lonlat,
    plane,
    stream,
)

__all__ = ["BOX", "Land", "bend", "blob", "nearest", "noise"]

# Extent of the plane in metres: west, south, east, north.
BOX = (-66_000.0, -78_000.0, 54_000.0, 68_000.0)
# East, north, west, south.
_STEP = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])


def noise(name: str, city: int, x: Floats, y: Floats, wavelength: float, octaves: int = 1) -> Floats:
    """Smooth noise in [-1, 1]: sums of plane waves of random direction; halves in wavelength and height an octave."""
    rng = stream("noise " + name, city)
    total = np.zeros_like(x)
    weight = 0.0
    for octave in range(octaves):
        scale = 2 * np.pi * 2**octave / wavelength
        for turn, phase in rng.random((5, 2)) * 2 * np.pi:
            total += np.sin(scale * (np.cos(turn) * x + np.sin(turn) * y) + phase) * 0.5**octave
        weight += 5 * 0.5**octave
    return np.asarray(total / weight)


def _lattice_noise(name: str, city: int, x: Floats, y: Floats, wavelength: float, octaves: int) -> Floats:
    """The same noise on the lattice of columns x and rows y, (len(y), len(x)), by products of sines."""
    rng = stream("noise " + name, city)
    total = np.zeros((len(y), len(x)))
    weight = 0.0
    for octave in range(octaves):
        scale = 2 * np.pi * 2**octave / wavelength
        for turn, phase in rng.random((5, 2)) * 2 * np.pi:
            a, b = scale * np.cos(turn) * x + phase, scale * np.sin(turn) * y
            total += 0.5**octave * (np.outer(np.cos(b), np.sin(a)) + np.outer(np.sin(b), np.cos(a)))
        weight += 5 * 0.5**octave
    return np.asarray(total / weight)


def bend(city: int, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The plane bent so that straight lattice streets look grown; never folds."""
    dx = 420 * noise("bend x", city, x, y, 14_000) + 24 * noise("fine x", city, x, y, 1_500)
    dy = 420 * noise("bend y", city, x, y, 14_000) + 24 * noise("fine y", city, x, y, 1_500)
    return x + dx, y + dy


@dataclass(frozen=True)
class Land:
    """One city's land."""

    size: SizeName
    city: int

    @property
    def counties(self) -> tuple[County, ...]:
        return codes_of(self.city)[2]

    @cached_property
    def outline(self) -> Any:
        """The city's schematic outline in plane metres, prepared for fast tests."""
        x, y = plane(*np.array(OUTLINE).T)
        ring = shapely.linearrings(np.column_stack((x, y)))
        smooth = shapely.polygons(ring)
        for step in (6_000, -8_500, 2_500):
            smooth = shapely.buffer(smooth, step)
        shapely.prepare(smooth)
        return smooth

    @cached_property
    def seats(self) -> Floats:
        """County seats in plane metres, (8, 2)."""
        from geocloud.demo.facts import COUNTIES

        lon, lat = np.array([c.seat for c in COUNTIES]).T
        return np.column_stack(plane(lon, lat))

    @cached_property
    def towns(self) -> tuple[Floats, Ints]:
        """Township seats (136, 2) and their county's number; the first of each county is the county seat."""
        rng = stream("towns", self.city)
        points, counties = [*self.seats], list(range(8))
        spacing = 6_800.0
        while len(points) < TOWNSHIPS:
            x = BOX[0] + rng.random(4_000) * (BOX[2] - BOX[0])
            y = BOX[1] + rng.random(4_000) * (BOX[3] - BOX[1])
            inside = shapely.contains_xy(self.outline, x, y)
            for p in np.column_stack((x, y))[inside]:
                if len(points) < TOWNSHIPS and np.min(np.hypot(*(np.array(points) - p).T)) > spacing:
                    points.append(p)
                    counties.append(int(np.argmin(np.hypot(*(self.seats - p).T) / self._pull)))
            spacing *= 0.97
        order = np.argsort(counties, kind="stable")
        return np.array(points)[order], np.array(counties)[order]

    @property
    def _pull(self) -> Floats:
        """How far each county reaches for townships against its neighbours."""
        return np.array([1.2, 1.0, 0.85, 1.15, 0.95, 1.05, 0.8, 0.95])

    @cached_property
    def villages(self) -> tuple[Floats, Ints]:
        """Village seats (n, 2), inside the outline, and their township's number."""
        wanted = SIZES[self.size].villages
        rng = stream("villages", self.city)
        spacing = np.sqrt(self.outline.area / wanted)
        towns = self.towns[0]
        while True:
            xs, ys = np.meshgrid(np.arange(BOX[0], BOX[2], spacing), np.arange(BOX[1], BOX[3], spacing))
            x = xs.ravel() + (rng.random(xs.size) - 0.5) * spacing * 0.8
            y = ys.ravel() + (rng.random(xs.size) - 0.5) * spacing * 0.8
            inside = shapely.contains_xy(self.outline, x, y)
            seeds = np.column_stack((x, y))[inside]
            if len(seeds) >= wanted:
                break
            spacing *= 0.995
        near = nearest(seeds, towns)
        # Every township keeps at least the village at its seat.
        for town, at in enumerate(towns):
            seeds[np.argmin(np.hypot(*(seeds - at).T))] = at
            near[np.argmin(np.hypot(*(seeds - at).T))] = town
        seats = {int(np.argmin(np.hypot(*(seeds - at).T))) for at in towns}
        spare = np.array([i for i in range(len(seeds)) if i not in seats])
        drop = spare[np.argsort(rng.random(len(spare)), kind="stable")[: len(seeds) - wanted]]
        keep = np.ones(len(seeds), bool)
        keep[drop] = False
        seeds, near = seeds[keep], near[keep]
        order = np.lexsort((seeds[:, 0], -seeds[:, 1], near))
        return seeds[order], near[order]

    def density(self, x: Floats, y: Floats) -> Floats:
        """How built-up a place is, relative: county towns, township seats, villages, open land."""
        total = np.full(x.shape, 0.0012)
        for county, (sx, sy) in zip(self.counties, self.seats, strict=True):
            r2 = ((x - sx) ** 2 + (y - sy) ** 2) / county.reach**2
            peak = county.share * 14e6 / county.reach**2
            total += peak * (np.exp(-r2 / 2) + 0.12 * np.exp(-np.sqrt(r2) / 2.2))
        for tx, ty in self.towns[0][:]:
            r2 = (x - tx) ** 2 + (y - ty) ** 2
            total += np.where(r2 < 4e6, 0.11 * np.exp(-r2 / (2 * 480.0**2)), 0.0)
        total *= 1 + 0.35 * noise("density", self.city, x, y, 3_000, 3)
        dry = ~shapely.contains_xy(self.lake, x, y)
        return np.where(dry & shapely.contains_xy(self.outline, x, y), total, 0.0)

    @cached_property
    def lake(self) -> Any:
        """The lake round the old city: nobody lives on it."""
        x, y = self.seats[0]
        lake = shapely.polygons(blob(x - 900.0, y + 300.0, 700.0, 96, 0.25, stream("lake", self.city)))
        shapely.prepare(lake)
        return lake

    @cached_property
    def cells(self) -> Ints:
        """Village number of each lattice cell (row 0 south), -1 outside the city."""
        step = SIZES[self.size].admin_step
        nx, ny = int((BOX[2] - BOX[0]) / step), int((BOX[3] - BOX[1]) / step)
        x0 = BOX[0] + (np.arange(nx) + 0.5) * step
        label = np.full((ny, nx), -1, np.int32)
        finder = _Finder(self.villages[0])
        rows = max(1, 400_000 // nx)
        for start in range(0, ny, rows):
            y0 = BOX[1] + (np.arange(start, min(ny, start + rows)) + 0.5) * step
            x, y = (a.ravel() for a in np.meshgrid(x0, y0))
            dx = 330 * _lattice_noise("border x", self.city, x0, y0, 4_000, 4).ravel()
            dy = 330 * _lattice_noise("border y", self.city, x0, y0, 4_000, 4).ravel()
            far = 900 * _lattice_noise("rim", self.city, x0, y0, 12_000, 2).ravel()
            inside = shapely.contains_xy(self.outline, x + far + dx, y + dy - far)
            found = np.full(x.size, -1)
            found[inside] = finder.nearest((x + dx)[inside], (y + dy)[inside])
            label[start : start + rows] = found.reshape(-1, nx)
        return _uncrossed(_no_lost_village(label, self.villages[0], step))

    def polygons(self, group: Ints) -> list[Any]:
        """MultiPolygons in lon/lat of villages put together by `group` (one number a village, 0..n-1)."""
        label = np.where(self.cells >= 0, np.append(group, -1)[self.cells], -1)
        return _trace(label, self._corners, SIZES[self.size].admin_step, int(group.max()) + 1, self.city)

    @cached_property
    def _corners(self) -> Any:
        """Lattice corners where three villages meet: no rule may round them."""
        padded = np.pad(self.cells, 1, constant_values=-1)
        a, b, c, d = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
        borders = (a != b).astype(int) + (a != c) + (b != d) + (c != d)
        return borders > 2


def blob(x: float, y: float, radius: float, points: int, rough: float, rng: np.random.Generator) -> Floats:
    """A closed round shape with a wavy shore, (points + 1, 2)."""
    turn = np.arange(points) * 2 * np.pi / points
    r = np.full(points, radius)
    for wave in (2, 3, 5):
        r = r + radius * rough / wave * np.sin(wave * turn + rng.random() * 2 * np.pi)
    shell = np.column_stack((x + r * np.cos(turn), y + r * np.sin(turn)))
    return np.vstack((shell, shell[:1]))


class _Finder:
    """Nearest of many seeds, by buckets: exact where seeds are about evenly spread."""

    def __init__(self, seeds: Floats) -> None:
        self._seeds = seeds
        span = seeds.max(0) - seeds.min(0)
        self._origin = seeds.min(0)
        self._cell = float(np.sqrt(span[0] * span[1] / len(seeds)) * 1.6)
        shape = (span / self._cell).astype(int) + 1
        at = ((seeds - self._origin) / self._cell).astype(int)
        depth = int(np.bincount(at[:, 1] * shape[0] + at[:, 0]).max())
        self._table = np.full((shape[1] + 4, shape[0] + 4, depth), -1)
        for i, (cx, cy) in enumerate(at):
            slot = self._table[cy + 2, cx + 2]
            slot[np.argmax(slot < 0)] = i

    def nearest(self, x: Floats, y: Floats) -> Ints:
        cx = np.clip(((x - self._origin[0]) / self._cell).astype(int), -1, self._table.shape[1] - 4) + 2
        cy = np.clip(((y - self._origin[1]) / self._cell).astype(int), -1, self._table.shape[0] - 4) + 2
        best, best_d = np.full(x.shape, -1), np.full(x.shape, np.inf)
        padded = np.vstack((self._seeds, [[np.inf, np.inf]]))
        for oy in (-1, 0, 1):
            for ox in (-1, 0, 1):
                row, col = np.clip(cy + oy, 0, None), np.clip(cx + ox, 0, None)
                row, col = np.minimum(row, self._table.shape[0] - 1), np.minimum(col, self._table.shape[1] - 1)
                for k in range(self._table.shape[2]):
                    i = self._table[row, col, k]
                    d = (padded[i, 0] - x) ** 2 + (padded[i, 1] - y) ** 2
                    closer = d < best_d
                    best[closer], best_d[closer] = i[closer], d[closer]
        lost = np.flatnonzero(best < 0)
        if lost.size:
            best[lost] = nearest(np.column_stack((x[lost], y[lost])), self._seeds)
        return best


def nearest(points: Floats, seeds: Floats) -> Ints:
    """Number of the nearest seed of each point."""
    out = np.empty(len(points), np.int64)
    for s in range(0, len(points), 2_000):
        part = points[s : s + 2_000]
        d = (part[:, :1] - seeds[:, 0]) ** 2 + (part[:, 1:] - seeds[:, 1]) ** 2
        out[s : s + 2_000] = np.argmin(d, axis=1)
    return out


def _no_lost_village(label: Ints, seeds: Floats, step: float) -> Ints:
    """Gives a village without any cell the one at its seat, so that every code has an area."""
    missing = np.setdiff1d(np.arange(len(seeds)), label[label >= 0])
    for v in missing:
        col, row = int((seeds[v, 0] - BOX[0]) / step), int((seeds[v, 1] - BOX[1]) / step)
        label[row, col] = v
    return label


def _uncrossed(label: Ints) -> Ints:
    """The lattice without corners where four borders meet: there a ring could touch itself."""
    while True:
        a, b, c, d = label[:-1, :-1], label[:-1, 1:], label[1:, :-1], label[1:, 1:]
        row, col = np.nonzero((a != b) & (a != c) & (d != b) & (d != c))
        if not row.size:
            return label
        # One cell of each, never two that touch, so that the outcome does not hang on an order of work.
        first = np.flatnonzero((row % 2 == row[0] % 2) & (col % 2 == col[0] % 2))
        row, col = row[first], col[first]
        keep = np.where(a[row, col] >= 0, a[row, col], d[row, col])
        lost = np.where(keep >= 0, keep, b[row, col])
        label[row, col + 1] = np.where(keep >= 0, lost, label[row, col + 1])
        label[row, col] = np.where(keep >= 0, label[row, col], lost)


def _trace(label: Ints, corners: Any, step: float, count: int, city: int) -> list[Any]:
    """Outlines of equal labels with the area on their left, rounded, as MultiPolygons in lon/lat."""
    padded = np.pad(label, 1, constant_values=-1)
    # Cells round the lattice corner (row, col) of the padded lattice: south-west, south-east, north-west, north-east.
    sw, se, nw, ne = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    left, right = np.stack((ne, nw, sw, se)), np.stack((se, ne, nw, sw))
    exists = (left != right) & (left >= 0)
    number = np.full(exists.shape, -1)
    number[exists] = np.arange(exists.sum())
    way, row, col = np.nonzero(exists)
    face = left[exists]
    end_row, end_col = row + _STEP[way, 1], col + _STEP[way, 0]
    onward = np.full(face.shape, -1)
    for turn in (3, 0, 1):
        d = (way + turn) % 4
        candidate = number[d, end_row, end_col]
        same = (candidate >= 0) & (left[d, end_row, end_col] == face)
        # The last one that fits wins: left before straight before right.
        onward[same] = candidate[same]
    kept = corners[end_row, end_col]
    rings = _loops(onward)
    px = BOX[0] + (np.stack((col, end_col)).mean(0)) * step
    py = BOX[1] + (np.stack((row, end_row)).mean(0)) * step
    vx, vy = BOX[0] + end_col * step, BOX[1] + end_row * step
    outer: list[list[Any]] = [[] for _ in range(count)]
    for ring in rings:
        points = _round(px[ring], py[ring], vx[ring], vy[ring], kept[ring])
        outer[face[ring[0]]].append(points)
    return [_assemble(loops, city) for loops in outer]


def _loops(onward: Ints) -> list[Ints]:
    """Cycles of the pointers."""
    following = onward.tolist()
    seen = bytearray(len(following))
    loops = []
    for start in range(len(following)):
        if seen[start]:
            continue
        loop, at = [], start
        while not seen[at]:
            seen[at] = 1
            loop.append(at)
            at = following[at]
        loops.append(np.array(loop))
    return loops


def _round(px: Floats, py: Floats, vx: Floats, vy: Floats, kept: Any) -> Floats:
    """The middles of a ring's lattice edges, with the corners to keep, cut once more at the quarters."""
    n = len(px)
    place = np.arange(n) + np.concatenate(([0], np.cumsum(kept)[:-1]))
    total = n + int(kept.sum())
    chain = np.empty((total, 2))
    fixed = np.zeros(total, bool)
    chain[place] = np.column_stack((px, py))
    at = place[kept] + 1
    chain[at] = np.column_stack((vx[kept], vy[kept]))
    fixed[at] = True
    after = np.roll(chain, -1, axis=0)
    pieces = np.empty((total, 3, 2))
    pieces[:, 0] = 0.75 * chain + 0.25 * after
    pieces[:, 1] = 0.25 * chain + 0.75 * after
    pieces[:, 2] = after
    use = np.ones((total, 3), bool)
    use[:, 2] = np.roll(fixed, -1)
    return np.asarray(pieces[use])


def _assemble(loops: list[Floats], city: int) -> Any:
    """A MultiPolygon in lon/lat of outer rings (anticlockwise) and the holes (clockwise) that lie in them."""
    rings = []
    for p in loops:
        ll = lonlat(p[:, 0], p[:, 1], city)
        rings.append(shapely.linearrings(np.vstack((ll, ll[:1]))))
    ccw = shapely.is_ccw(rings)
    shells = [r for r, c in zip(rings, ccw, strict=True) if c]
    holes = [r for r, c in zip(rings, ccw, strict=True) if not c]
    polygons = []
    solid = shapely.polygons(shells)
    home = [
        min((i for i, s in enumerate(solid) if shapely.covers(s, h)), key=lambda i: shapely.area(solid[i]))
        for h in holes
    ]
    for i, shell in enumerate(shells):
        polygons.append(shapely.polygons(shell, [h for h, at in zip(holes, home, strict=True) if at == i] or None))
    return shapely.multipolygons(polygons)
