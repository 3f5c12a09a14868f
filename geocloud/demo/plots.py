# SPDX-License-Identifier: Apache-2.0
"""Parcels inside the blocks between streets, and buildings inside the parcels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely

from geocloud.demo.facts import SIZES, Floats, Ints, Strs, stream
from geocloud.demo.streets import UNIT, Streets
from geocloud.demo.waters import Waters

__all__ = ["Buildings", "Parcels", "Plots", "shares"]

# Metres between a parcel and its neighbour's: walls, paths and rounding never make two overlap.
_GAP = 0.3
# Square metres of the largest parcel.
_FIELD = 40_000.0


@dataclass(frozen=True)
class Parcels:
    """Parcels: their block, the rectangle they have of it (west, south, east, north in 0..1), use, square metres."""

    block: Ints
    box: Floats
    use: Strs
    density: Floats
    area: Floats


@dataclass(frozen=True)
class Buildings:
    """Buildings: their parcel, the rectangle they have of its block, and whether a corner is cut out."""

    parcel: Ints
    box: Floats
    notched: Any


def shares(weights: Floats, total: int, most: Ints | None = None) -> Ints:
    """Whole numbers in proportion to the weights that add up to `total`, none above `most`."""
    left, room = total, np.full(weights.shape, total) if most is None else most.copy()
    given = np.zeros(weights.shape, np.int64)
    if int(room[weights > 0].sum()) < total:
        raise ValueError(f"{total} do not fit in {int(room[weights > 0].sum())}")
    while left:
        live = np.where(room > given, weights, 0.0)
        exact = live / live.sum() * left
        more = np.minimum(np.floor(exact).astype(np.int64), room - given)
        if not more.any():
            for i in np.argsort(-exact, kind="stable")[:left]:
                more[i] = min(1, room[i] - given[i]) if live[i] > 0 else 0
        given += more
        left -= int(more.sum())
    return given


@dataclass(frozen=True)
class Plots:
    """One city's parcels and buildings."""

    streets: Streets
    waters: Waters

    @cached_property
    def corners(self) -> Floats:
        """Bent corners of the blocks, (n, 4, 2) plane metres: south-west, south-east, north-east, north-west."""
        b = self.streets.blocks
        place = [
            np.column_stack(self.streets.place(b.col + dc * b.side, b.row + dr * b.side))
            for dc, dr in ((0, 0), (1, 0), (1, 1), (0, 1))
        ]
        return np.stack(place, axis=1)

    def at(self, block: Ints, u: Floats, v: Floats) -> Floats:
        """Plane metres of places (u, v in 0..1) in blocks: bilinear, so lines of equal u or v are straight."""
        c = self.corners[block]
        u, v = u[..., None], v[..., None]
        if u.ndim == 3:
            c = c[:, None]
        return np.asarray(
            (1 - u) * (1 - v) * c[..., 0, :]
            + u * (1 - v) * c[..., 1, :]
            + u * v * c[..., 2, :]
            + (1 - u) * v * c[..., 3, :]
        )

    @cached_property
    def parcels(self) -> Parcels:
        """Parcels in rows within their block, kept off the streets, the rivers and each other."""
        b, size = self.streets.blocks, SIZES[self.streets.land.size]
        side = b.side * UNIT
        centre = self.at(np.arange(len(side)), np.full(side.shape, 0.5), np.full(side.shape, 0.5))
        inside = shapely.contains_xy(self.streets.land.outline, *centre.T)
        dry = shapely.disjoint(self.waters.channel, shapely.polygons(self.corners))
        weight = np.where(inside & dry, np.maximum(b.density, 0.004) ** 0.75 * side**1.25, 0.0)
        number = shares(weight, size.parcels, np.maximum(1, (side**2 / 500).astype(np.int64)))
        block = np.repeat(np.arange(len(side)), number)
        order = np.arange(block.size) - np.repeat(np.concatenate(([0], np.cumsum(number)[:-1])), number)
        box = _grid(order, number[block], stream("parcels", self.streets.land.city))
        # Streets are bent between the corners of a block: keep off by their half width and that bow.
        margin = np.minimum((8 + side**2 * 1.2e-4) / side, 0.4)
        # In a wide block the parcels lie together in the middle, as a village and its fields.
        margin = np.maximum(margin, 0.5 - np.sqrt(np.maximum(number, 1) * _FIELD) / side / 2)
        m = margin[block][:, None]
        box = m + box * (1 - 2 * m)
        gap = _GAP / side[block]
        box[:, :2] += gap[:, None]
        box[:, 2:] -= gap[:, None]
        area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) * side[block] ** 2
        return Parcels(block, box, self._uses(block, order, number[block], b.density[block]), b.density[block], area)

    def _uses(self, block: Ints, order: Ints, number: Ints, density: Floats) -> Strs:
        """Land use by how built-up the place is: cropland round homesteads, homes, shops and works in town."""
        rng = stream("uses", self.streets.land.city)
        draw = rng.random(block.size)
        town = np.select(
            [draw < 0.52, draw < 0.66, draw < 0.78, draw < 0.88, draw < 0.91, draw < 0.95],
            ["07", "09", "08", "10", "11", "14"],
            "13",
        )
        country = np.where(
            order < np.maximum(1, number // 3), "07", np.where(draw < 0.86, "01", np.where(draw < 0.93, "03", "02"))
        )
        return np.where(density > 0.12, town, country).astype(object)

    def outlines(self, p: Parcels, start: int, stop: int) -> tuple[Floats, Ints]:
        """Open rings in plane metres of parcels start..stop, closed to 5 to 40 vertices, and each vertex's parcel.

        Their edges are dented inwards a little, so that they are no bare rectangles and still never overlap.
        """
        rng = np.random.Generator(np.random.PCG64([371500, self.streets.land.city, start, 77]))
        n = stop - start
        each = (rng.random((n, 4)) ** 2 * 9.4).astype(np.int64)
        counts = each.sum(1) + 4
        index = np.repeat(np.arange(n), counts)
        # Position along the outline: side 0..3 and how far along it.
        side = np.repeat(np.tile(np.arange(4), n), each.ravel() + 1)
        k = np.arange(index.size) - np.repeat(np.concatenate(([0], np.cumsum(each.ravel() + 1)[:-1])), each.ravel() + 1)
        t = k / (each[index, side] + 1)
        dent = np.where(k == 0, 0.0, rng.random(index.size) * 0.035)
        u = np.select([side == 0, side == 1, side == 2], [t, 1 - dent, 1 - t], dent)
        v = np.select([side == 0, side == 1, side == 2], [dent, t, 1 - dent], 1 - t)
        box = p.box[start:stop][index]
        xy = self.at(
            p.block[start:stop][index], box[:, 0] + u * (box[:, 2] - box[:, 0]), box[:, 1] + v * (box[:, 3] - box[:, 1])
        )
        return xy, index

    @cached_property
    def buildings(self) -> Buildings:
        """Buildings in rows in the parcels that are built on."""
        p, size = self.parcels, SIZES[self.streets.land.size]
        built = np.isin(p.use, ["07", "08", "09", "10", "11", "13"])
        weight = np.where(built, np.sqrt(p.area) * np.where(p.use == "07", 1.6, 1.0), 0.0)
        number = shares(weight, size.buildings, np.maximum(1, np.minimum(36, p.area / 160)).astype(np.int64))
        parcel = np.repeat(np.arange(number.size), number)
        order = np.arange(parcel.size) - np.repeat(np.concatenate(([0], np.cumsum(number)[:-1])), number)
        rng = stream("buildings", self.streets.land.city)
        cell = _grid(order, number[parcel], rng)
        # Inside the parcel's dents (3.5 %) and off the next building.
        cell = 0.06 + cell * 0.88
        wide, deep = cell[:, 2] - cell[:, 0], cell[:, 3] - cell[:, 1]
        fill = 0.55 + 0.3 * rng.random((parcel.size, 2))
        west = cell[:, 0] + wide * (1 - fill[:, 0]) * (0.3 + 0.4 * rng.random(parcel.size))
        south = cell[:, 1] + deep * (1 - fill[:, 1]) * (0.3 + 0.4 * rng.random(parcel.size))
        # A farmhouse does not fill its field: no side longer than 90 m or so.
        b = p.box[parcel]
        span = (b[:, 2:] - b[:, :2]) * (self.streets.blocks.side[p.block[parcel]] * UNIT)[:, None]
        east = west + np.minimum(wide * fill[:, 0], 90 / span[:, 0])
        north = south + np.minimum(deep * fill[:, 1], 45 / span[:, 1])
        inner = np.column_stack((west, south, east, north))
        box = np.column_stack([b[:, i % 2] + inner[:, i] * (b[:, 2 + i % 2] - b[:, i % 2]) for i in range(4)])
        return Buildings(parcel, box, rng.random(parcel.size) < 0.22)

    def footprints(self, h: Buildings, start: int, stop: int) -> tuple[Floats, Ints]:
        """Open rings in plane metres of buildings start..stop (4 vertices, 6 with a notch), each with its building."""
        box, notched = h.box[start:stop], h.notched[start:stop]
        w, s, e, n = box.T
        mx, my = w + (e - w) * 0.55, s + (n - s) * 0.55
        # With a notch the north-east corner is cut out; without, its three vertices are one.
        u = np.column_stack((w, e, e, np.where(notched, mx, e), np.where(notched, mx, e), w))
        v = np.column_stack((s, s, np.where(notched, my, n), np.where(notched, my, n), n, n))
        keep = np.ones(u.shape, bool)
        keep[~notched, 2:4] = False
        index = np.repeat(np.arange(stop - start), 6).reshape(u.shape)[keep]
        block = self.parcels.block[h.parcel[start:stop]][index]
        return self.at(block, u[keep], v[keep]), index


def _grid(order: Ints, number: Ints, rng: np.random.Generator) -> Floats:
    """Cell `order` of a unit square cut into `number` cells, in rows of about square cells with uneven cuts."""
    rows = np.maximum(1, np.round(np.sqrt(number * 0.8)).astype(np.int64))
    rows = np.where(number <= 2, 1, rows)
    row = order * rows // number
    first = -((-row * number) // rows)
    last = -((-(row + 1) * number) // rows)
    columns = last - first
    col = order - first
    # Cuts are moved by a number that both neighbours compute alike.
    salt = np.floor(rng.random() * 1000)

    def cut(i: Ints, n: Ints, line: Ints) -> Floats:
        wave = np.sin((i * 12.9898 + line * 78.233 + number * 37.719 + salt) * 43.5453)
        return np.where((i == 0) | (i == n), i / n, (i + 0.28 * wave) / n)

    zero = np.zeros_like(row)
    return np.column_stack(
        (cut(col, columns, row + 1), cut(row, rows, zero), cut(col + 1, columns, row + 1), cut(row + 1, rows, zero))
    )
