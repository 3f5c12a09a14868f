# SPDX-License-Identifier: Apache-2.0
"""H3 cells found in whole arrays are the library's, everywhere: on edges, near five-sided cells, across faces."""

from __future__ import annotations

import h3.api.numpy_int as h3
import numpy as np
import pytest

from geocloud.grids.h3cells import cells_of
from geocloud.grids.h3plane import cells_in_plane

RNG = np.random.default_rng(8)


def assert_same(lon: np.ndarray, lat: np.ndarray, resolution: int) -> None:
    fine, coarse = cells_in_plane(lon, lat, resolution)
    assert (fine == cells_of(lon, lat, resolution)).all()
    assert (coarse == cells_of(lon, lat, resolution - 2)).all()


@pytest.mark.parametrize("resolution", [4, 8, 10, 14])
@pytest.mark.parametrize(
    "box", [(115.3, 35.8, 116.5, 37.0), (73, 18, 135, 53), (-180, -90, 180, 90), (115.98, 36.45, 115.99, 36.46)]
)
def test_places_of_a_box(box: tuple[float, float, float, float], resolution: int) -> None:
    lon, lat = RNG.uniform(box[0], box[2], 20_000), RNG.uniform(box[1], box[3], 20_000)
    assert_same(lon, lat, resolution)


def test_corners_and_edges_of_cells() -> None:
    """Places on the border itself are asked of the library, whose answer stands."""
    lon, lat = RNG.uniform(115.9, 116.0, 2_000), RNG.uniform(36.4, 36.5, 2_000)
    at = []
    for cell in np.unique(cells_of(lon, lat, 10)).tolist():
        ring = h3.cell_to_boundary(cell)
        at += [(x, y) for y, x in ring]
        at += [((a[1] + b[1]) / 2, (a[0] + b[0]) / 2) for a, b in zip(ring, ring[1:], strict=False)]
    assert_same(*np.array(at).T, 10)


def test_around_five_sided_cells() -> None:
    for cell in h3.get_pentagons(0).tolist():
        lat, lon = h3.cell_to_latlng(cell)
        for spread in (5.0, 0.05, 0.002):
            y = np.clip(lat + RNG.uniform(-spread, spread, 3_000), -89.9, 89.9)
            assert_same(lon + RNG.uniform(-spread, spread, 3_000), y, 10)


def test_what_is_no_place() -> None:
    lon, lat = RNG.uniform(115, 116, 3_000), RNG.uniform(36, 37, 3_000)
    lon[::7], lat[::11] = np.nan, np.inf
    assert_same(lon, lat, 10)
    assert_same(lon[:3], lat[:3], 10)
    assert_same(lon[:0], lat[:0], 10)
