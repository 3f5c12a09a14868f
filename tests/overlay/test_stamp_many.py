# SPDX-License-Identifier: Apache-2.0
"""Many points at once get the stamps that they get a few at a time."""

from __future__ import annotations

import numpy as np
import shapely

from geocloud.overlay.stamp import stamp_points
from geocloud.overlay.zones import NONE, Zones


def test_many_points_are_stamped_as_few_are() -> None:
    draw = np.random.default_rng(3)
    count = 120_000
    x, y = draw.uniform(115.9, 116.1, count), draw.uniform(36.4, 36.6, count)
    x[::1_000] = np.nan
    wide = np.array([shapely.box(a / 100, 36.4, (a + 4) / 100, 36.5) for a in range(11_590, 11_610, 4)], dtype=object)
    high = np.array([shapely.box(115.9, b / 100, 116.05, (b + 3) / 100) for b in range(3_640, 3_660, 3)], dtype=object)
    zones = {"county": Zones.of(np.arange(1, 6), wide), "village": Zones.of(np.arange(10, 10 + len(high)), high)}
    fids = np.arange(count)
    many = stamp_points(fids, x, y, zones)
    few = [
        stamp_points(fids[i : i + 10_000], x[i : i + 10_000], y[i : i + 10_000], zones) for i in range(0, count, 10_000)
    ]
    assert (many.fids == fids).all()
    for n, column in enumerate(many.columns):
        assert (column == np.concatenate([f.columns[n] for f in few])).all()
    for name in zones:
        assert 0 < (many.column(name) == NONE).sum() < count
    assert (many.column("township") == NONE).all()
