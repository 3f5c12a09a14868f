# SPDX-License-Identifier: Apache-2.0
"""H3 cells of many positions at once, at even resolutions: the library's own answer, found in whole arrays.

On the face of the icosahedron that is nearest, projected from the globe's middle (gnomonic), the cells of an even
resolution r are the hexagons of a regular lattice: a face's corners lie at two steps of resolution 0 from its middle,
and a step of r is smaller by the root of 7 to the r. So which hexagon a position is in is a rounding. What number the
library has for it is asked of the library, once for each hexagon two resolutions coarser than those wanted; the two
digits below follow from where the hexagon lies among the 49, turned by as many sixths as the base cell is turned there.

The library is asked for all that this does not settle beyond doubt: positions close to an edge of a hexagon, near the
five-sided cells, and in hexagons whose sample does not come out.
"""

from __future__ import annotations

from functools import cache

import h3.api.numpy_int as h3
import numpy as np
from numpy.typing import NDArray

from geocloud.grids.h3cells import cells_of

__all__ = ["cells_in_plane"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Indexes = NDArray[np.uint64]

# Below this many positions the library is quicker.
_FEW = 500
# Steps of the lattice by which a position must be inside its hexagon: at resolution 10 a step is some 130 m.
_MARGIN = 1e-6
_BLOCK = 1 << 15
# Where each digit of H3 leads on the lattice, by (i, j) with k taken out, and the digits in the order of sixths of a
# turn against the clock.
_STEPS = {1: (-1, -1), 2: (0, 1), 3: (-1, 0), 4: (1, 0), 5: (0, -1), 6: (1, 1)}
_TURN = (1, 5, 4, 6, 2, 3)
_NO_CELL = np.uint64(0)
# Behind these bits of a cell stand its base cell and two digits.
_GROUP_BITS = 39


def cells_in_plane(lon: Floats, lat: Floats, resolution: int) -> tuple[Indexes, Indexes]:
    """The library's cell of each position at `resolution` (even, 4 to 14) and at two below it; 0 where one is NaN."""
    fine, coarse = np.zeros(len(lon), np.uint64), np.zeros(len(lon), np.uint64)
    good = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90)
    open_ = good.copy()
    if np.count_nonzero(good) >= _FEW:
        face = _faces(lon, lat, good)
        for number in np.unique(face[good]).tolist():
            (at,) = np.nonzero(good & (face == number))
            # Between two faces there is no plane to look at.
            if number < 0 or len(at) < _FEW:
                continue
            found, above, sure = _on_face(number, lon[at], lat[at], resolution)
            fine[at], coarse[at] = found, above
            open_[at] = ~sure
    (left,) = np.nonzero(open_)
    fine[left] = cells_of(lon[left], lat[left], resolution)
    coarse[left] = cells_of(lon[left], lat[left], resolution - 2)
    return fine, coarse


@cache
def _geometry() -> tuple[Floats, Floats, Floats]:
    """Middles of the 20 faces, and for each the plane's axes i and j of resolution 0, as vectors of the plane."""
    corners = _on_globe(*np.array([h3.cell_to_latlng(c) for c in sorted(h3.get_pentagons(0))]).T[::-1])
    near = corners @ corners.T > 0.4
    np.fill_diagonal(near, False)
    middles, i_axes, j_axes = [], [], []
    for a in range(12):
        for b in range(a + 1, 12):
            for c in range(b + 1, 12):
                if near[a, b] and near[b, c] and near[a, c]:
                    middle = corners[a] + corners[b] + corners[c]
                    middle /= np.linalg.norm(middle)
                    # Corners against the clock as seen from outside: i, j, k.
                    turned = np.dot(np.cross(corners[b] - corners[a], corners[c] - corners[a]), middle) > 0
                    i, j = (corners[a], corners[b]) if turned else (corners[a], corners[c])
                    middles.append(middle)
                    i_axes.append((i / (i @ middle) - middle) / 2)
                    j_axes.append((j / (j @ middle) - middle) / 2)
    return np.array(middles), np.array(i_axes), np.array(j_axes)


def _faces(lon: Floats, lat: Floats, good: NDArray[np.bool_]) -> Ints:
    """The nearest face of each position; all of a box whose corners share one are on it."""
    middles = _geometry()[0]
    west, east, south, north = lon[good].min(), lon[good].max(), lat[good].min(), lat[good].max()
    corners = _on_globe(np.array([west, west, east, east]), np.array([south, north, south, north]))
    sides = np.sort(corners @ middles.T, axis=1)
    first = np.argmax(corners @ middles.T, axis=1)
    # Small boxes well within a face: an edge of a box bulges by far less than this.
    if (
        east - west < 5
        and north - south < 5
        and len(set(first.tolist())) == 1
        and (sides[:, -1] - sides[:, -2]).min() > 0.01
    ):
        return np.full(len(lon), first[0], np.int64)
    face = np.full(len(lon), -1, np.int64)
    (at,) = np.nonzero(good)
    for begin in range(0, len(at), _BLOCK):
        rows = at[begin : begin + _BLOCK]
        dots = _on_globe(lon[rows], lat[rows]) @ middles.T
        best = np.argmax(dots, axis=1)
        two = np.partition(dots, -2, axis=1)
        face[rows] = np.where(two[:, -1] - two[:, -2] > 1e-9, best, -1)
    return face


def _on_face(number: int, lon: Floats, lat: Floats, resolution: int) -> tuple[Indexes, Indexes, NDArray[np.bool_]]:
    """Cells at two resolutions of positions on one face, and whether they are settled."""
    middles, i_axes, j_axes = _geometry()
    middle = middles[number]
    axes = np.array([i_axes[number], j_axes[number]])
    # Coordinates by the axes: the dual basis, in the plane of the face.
    dual = np.linalg.inv(axes @ axes.T) @ axes
    count = len(lon)
    i, j, above_i, above_j = (np.empty(count, np.int64) for _ in range(4))
    sure = np.empty(count, bool)
    scale = 7.0 ** (resolution // 2)
    for begin in range(0, count, _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        globe = _on_globe(lon[rows], lat[rows])
        depth = globe @ middle
        a, b = (globe @ dual[0]) / depth, (globe @ dual[1]) / depth
        i[rows], j[rows], close = _hexagon(a * scale, b * scale)
        above_i[rows], above_j[rows], close_above = _hexagon(a * (scale / 7), b * (scale / 7))
        sure[rows] = (close > _MARGIN) & (close_above > _MARGIN)
    fine, known = _numbered(i, j, lon, lat, sure, resolution)
    coarse = _sampled(above_i, above_j, lon, lat, sure, resolution - 2)
    return fine, coarse, sure & known & (coarse != _NO_CELL)


def _hexagon(a: Floats, b: Floats) -> tuple[Ints, Ints, Floats]:
    """The lattice point nearest to a i + b j, the axes 120 degrees apart; and how far inside its hexagon that is."""
    q, r = a - b, b
    s = -a
    qi, ri, si = np.rint(q), np.rint(r), np.rint(s)
    dq, dr, ds = qi - q, ri - r, si - s
    wrong = qi + ri + si
    aq, ar, as_ = np.abs(dq), np.abs(dr), np.abs(ds)
    fix_q = (wrong != 0) & (aq >= ar) & (aq >= as_)
    fix_r = (wrong != 0) & ~fix_q & (ar >= as_)
    qi = np.where(fix_q, qi - wrong, qi)
    ri = np.where(fix_r, ri - wrong, ri)
    dq, dr = qi - q, ri - r
    ds = -dq - dr
    inside = 1 - np.maximum(np.maximum(np.abs(dq - dr), np.abs(dr - ds)), np.abs(ds - dq))
    return (qi + ri).astype(np.int64), ri.astype(np.int64), inside


def _sampled(i: Ints, j: Ints, lon: Floats, lat: Floats, sure: NDArray[np.bool_], resolution: int) -> Indexes:
    """The cell of each hexagon, asked of the library for one position in each; 0 where none is sure."""
    key, first, of = _distinct(i, j, sure)
    cells = np.zeros(len(key), np.uint64)
    known = first >= 0
    cells[known] = cells_of(lon[first[known]], lat[first[known]], resolution)
    out: Indexes = cells[of]
    return out


def _numbered(
    i: Ints, j: Ints, lon: Floats, lat: Floats, sure: NDArray[np.bool_], resolution: int
) -> tuple[Indexes, NDArray[np.bool_]]:
    """The cells of hexagons, from those two resolutions coarser that they belong to; and whether they are known."""
    i1, j1 = _up(i, j, right=True)
    i0, j0 = _up(i1, j1, right=False)
    low = _digit(i - (3 * i1 - j1), j - (i1 + 2 * j1))
    high = _digit(i1 - (2 * i0 + j0), j1 - (-i0 + 3 * j0))
    _, first, of = _distinct(i0, j0, sure)
    sampled = first >= 0
    samples = cells_of(lon[first], lat[first], resolution)
    shift = np.uint64(3 * (15 - resolution))
    tables = np.stack([_turned(t) for t in range(6)])
    told = [((samples >> (shift + np.uint64(up))) & np.uint64(7)).astype(np.int64) for up in (3, 0)]
    fits = (tables[:, high[first]] == told[0]) & (tables[:, low[first]] == told[1])
    # Digits are turned alike below a base cell, and below a child of one with five sides.
    _, group = np.unique((samples >> np.uint64(_GROUP_BITS)) & np.uint64(0x1FFF), return_inverse=True)
    common = np.ones((int(group.max()) + 1, 6), bool)
    for turn in range(6):
        np.logical_and.at(common[:, turn], group[sampled], fits[turn, sampled])
    only = common.sum(axis=1) == 1
    turned = np.argmax(common, axis=1)[group]
    # What lies around the middle of a five-sided cell is turned within.
    digits = (samples >> (shift + np.uint64(6))) & np.uint64((1 << 3 * (resolution - 2)) - 1)
    known = sampled & only[group] & (digits != 0)
    turn = turned[of]
    cleared = samples & ~(np.uint64(63) << shift)
    cells = cleared[of] | (tables[turn, high].astype(np.uint64) << (shift + np.uint64(3)))
    cells |= tables[turn, low].astype(np.uint64) << shift
    return cells, known[of] & (low >= 0) & (high >= 0)


def _up(i: Ints, j: Ints, *, right: bool) -> tuple[Ints, Ints]:
    """The hexagon of the next coarser resolution that one belongs to, whose lattice is turned to the right or left."""
    if right:
        return _sevenths(2 * i + j), _sevenths(3 * j - i)
    return _sevenths(3 * i - j), _sevenths(i + 2 * j)


def _sevenths(n: Ints) -> Ints:
    """n / 7 to the nearest; halves do not come up."""
    out: Ints = (2 * n + 7) // 14
    return out


@cache
def _digits() -> Ints:
    table = np.full((3, 3), -1, np.int64)
    table[1, 1] = 0
    for digit, (i, j) in _STEPS.items():
        table[i + 1, j + 1] = digit
    return table


def _digit(i: Ints, j: Ints) -> Ints:
    near = (np.abs(i) <= 1) & (np.abs(j) <= 1)
    return np.where(near, _digits()[np.clip(i, -1, 1) + 1, np.clip(j, -1, 1) + 1], -1)


@cache
def _turned(turn: int) -> Ints:
    """Each digit after so many sixths of a turn against the clock."""
    out = np.arange(7)
    for k, digit in enumerate(_TURN):
        out[digit] = _TURN[(k + turn) % 6]
    return out


def _distinct(i: Ints, j: Ints, chosen: NDArray[np.bool_]) -> tuple[Ints, Ints, Ints]:
    """Pairs once each: their keys, a chosen row of each (-1 for none), and which pair each row has."""
    west, south = int(i.min()), int(j.min())
    wide, high = int(i.max()) - west + 1, int(j.max()) - south + 1
    key = (i - west) * high + (j - south)
    if wide * high <= 4 * len(i) + 1_000_000:
        first = np.full(wide * high, -1, np.int64)
        rows = np.flatnonzero(chosen)
        first[key[rows]] = rows
        present = np.zeros(wide * high, bool)
        present[key] = True
        keys = np.flatnonzero(present)
        place = np.zeros(wide * high, np.int64)
        place[keys] = np.arange(len(keys))
        return keys, first[keys], place[key]
    keys, of = np.unique(key, return_inverse=True)
    first = np.full(len(keys), -1, np.int64)
    rows = np.flatnonzero(chosen)
    first[of[rows]] = rows
    return keys, first, of


def _on_globe(lon: Floats, lat: Floats) -> Floats:
    x, y = np.radians(lon), np.radians(lat)
    around = np.cos(y)
    return np.stack([around * np.cos(x), around * np.sin(x), np.sin(y)], axis=-1)
