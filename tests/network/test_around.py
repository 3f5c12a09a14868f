# SPDX-License-Identifier: Apache-2.0
"""One search round a place against the times of pairs, whose oracle is another Dijkstra."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geocloud.geodesy.area import lengths
from geocloud.network import route
from geocloud.network.around import around
from tests.network.test_route import HEIGHT, SOUTH, STEP, WEST, WIDTH, OnRoads, _at, _lattice, _line


def _anywhere(rng: np.random.Generator, n: int) -> list[tuple[float, float]]:
    return [(WEST + x * STEP * (WIDTH - 1), SOUTH + y * STEP * (HEIGHT - 1)) for x, y in rng.random((n, 2))]


@pytest.mark.parametrize("towards", [True, False])
@pytest.mark.parametrize("seconds", [480.0, math.inf])
def test_times_and_ways_are_those_of_pairs(on_roads: OnRoads, towards: bool, seconds: float) -> None:
    run = on_roads(_lattice(11))
    rng = np.random.default_rng(2)
    (middle,), others = _anywhere(rng, 1), _anywhere(rng, 25)
    ring = [_at(2.2, 1.2), _at(4.5, 1.2), _at(4.5, 2.6), _at(2.2, 2.6), _at(2.2, 1.2)]
    closures = [{"type": "Polygon", "coordinates": [ring]}]
    found = around(run, middle, others, seconds, "drive", closures, towards)
    pairs = (others, [middle]) if towards else ([middle], others)
    expected = route.costs(run, *pairs, "drive", closures).seconds.ravel()
    expected[expected > seconds] = math.inf
    assert np.isinf(found.seconds).tolist() == np.isinf(expected).tolist()
    finite = np.isfinite(expected)
    assert finite.sum() > 1
    assert found.seconds[finite] == pytest.approx(expected[finite], rel=1e-6)
    ways = found.routes(run, range(len(others)))
    for k, way in enumerate(ways):
        if way is None:
            assert np.isinf(expected[k])
            continue
        assert way.seconds == pytest.approx(expected[k], rel=1e-6)
        assert lengths(np.array([way.line]))[0] == pytest.approx(way.metres, rel=1e-3)
        begin, end = (way.source, way.target)
        assert (begin.point if towards else end.point) == others[k]
        assert begin.road is not None
        assert end.road is not None
        assert way.line.coords[0] == pytest.approx(begin.road, abs=1e-7)
        assert way.line.coords[-1] == pytest.approx(end.road, abs=1e-7)


def test_nobody_nowhere_and_the_place_itself(on_roads: OnRoads) -> None:
    run = on_roads([{"wkt": _line(_at(0, 0), _at(4, 0))}])
    assert around(run, _at(1, 0), []).seconds.shape == (0,)
    far = around(run, _at(1, 60), [_at(1, 0)])
    assert (far.middle.edge, far.seconds.tolist(), far.routes(run, [0])) == (None, [math.inf], [None])
    here = around(run, _at(1, 0), [_at(1, 0), _at(1, 60)])
    assert here.seconds.tolist() == [0.0, math.inf]
    (way,) = here.routes(run, [0])
    assert way is not None
    assert (way.seconds, way.metres) == (0.0, 0.0)
