# SPDX-License-Identifier: Apache-2.0
"""Where roads meet and where they only pass over one another."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geocloud.demo.loading import generate
from geocloud.geodesy.area import lengths
from geocloud.network.noding import Noded, levels, node

# A tenth of a millimetre and half a metre, in degrees of latitude.
HAIR, HALF_METRE = 1e-9, 4.5e-6


def _node(*wkt: str, level: tuple[int, ...] | None = None) -> Noded:
    lines = np.array([shapely.from_wkt(w) for w in wkt], dtype=object)
    return node(lines, np.array(level or (0,) * len(wkt)))


def _islands(found: Noded) -> int:
    links = coo_array((np.ones(len(found.source)), (found.source, found.target)), shape=(len(found.nodes),) * 2)
    return int(connected_components(links, directed=False)[0])


def test_a_crossing_on_one_level_is_a_node() -> None:
    found = _node("LINESTRING(116 36, 116.02 36)", "LINESTRING(116.01 35.99, 116.01 36.01)")
    assert (len(found.lines), len(found.nodes), _islands(found)) == (4, 5, 1)
    assert found.owner.tolist() == [0, 0, 1, 1]
    whole = lengths(np.array([shapely.from_wkt("LINESTRING(116 36, 116.02 36)")]))[0]
    assert lengths(found.lines[:2]).sum() == pytest.approx(whole, abs=0.02)


def test_a_bridge_does_not_meet_the_road_below() -> None:
    crossing = ("LINESTRING(116 36, 116.01 36, 116.02 36)", "LINESTRING(116.01 35.99, 116.01 36, 116.01 36.01)")
    assert _islands(_node(*crossing, level=(0, 0))) == 1
    over = _node(*crossing, level=(0, 1))
    assert (len(over.lines), _islands(over)) == (2, 2)
    both = levels(
        np.array([None, np.nan, 2, 0]), np.array([True, None, True, True]), np.array([None, True, None, None])
    )
    assert both.tolist() == [1, -1, 2, 1]


def test_a_bridge_goes_on_as_a_road_at_its_ends() -> None:
    found = _node("LINESTRING(116 36, 116.01 36)", f"LINESTRING(116.01 {36 + HAIR}, 116.02 36)", level=(0, 1))
    assert (len(found.nodes), _islands(found)) == (3, 1)


def test_a_ramp_begins_at_a_corner_of_another_level_and_nowhere_else() -> None:
    road = "LINESTRING(116 36, 116.01 36, 116.02 36)"
    assert _islands(_node(road, "LINESTRING(116.01 36, 116.01 36.01)", level=(0, 1))) == 1
    assert _islands(_node(road, "LINESTRING(116.015 36, 116.015 36.01)", level=(0, 1))) == 2
    assert _islands(_node(road, "LINESTRING(116.015 36, 116.015 36.01)", level=(0, 0))) == 1


def test_what_is_nearer_than_the_tolerance_is_joined() -> None:
    road = "LINESTRING(116 36, 116.02 36)"
    assert _islands(_node(road, f"LINESTRING(116.01 {36 + HALF_METRE / 10}, 116.01 36.01)")) == 1
    assert _islands(_node(road, f"LINESTRING(116.01 {36 + HALF_METRE}, 116.01 36.01)")) == 2


def test_roads_over_one_another_are_split_at_both_ends() -> None:
    found = _node("LINESTRING(116 36, 116.02 36)", "LINESTRING(116.01 36, 116.03 36)")
    assert _islands(found) == 1
    assert len(found.nodes) == 4


def test_a_road_that_crosses_itself_and_a_ring() -> None:
    loop = _node("LINESTRING(116 36, 116.02 36, 116.02 36.01, 116.01 36.01, 116.01 35.99)")
    assert _islands(loop) == 1
    assert len(loop.lines) == 3
    ring = _node("LINESTRING(116 36, 116.01 36, 116.01 36.01, 116 36)", "LINESTRING(115.99 36, 116 36)")
    assert (len(ring.lines), len(ring.nodes)) == (2, 2)


def test_nothing_gives_nothing_and_points_are_left_out() -> None:
    assert len(node(np.empty(0, object), np.empty(0, np.int64)).lines) == 0
    assert len(_node("LINESTRING(116 36, 116 36)").lines) == 0
    assert len(_node("LINESTRING(116 36, 116 36)", "LINESTRING(116 36, 116.01 36)").lines) == 1


def test_split_by_hand_is_as_split_by_geos() -> None:
    """Random lines on one level against GEOS' own noding: the same pieces and the same nodes."""
    rng, held = np.random.default_rng(5), 0
    for _ in range(20):
        lines = shapely.linestrings((116, 36) + rng.random((12, 3, 2)) * 0.02)
        found = node(lines, np.zeros(12, np.int64))
        expected = shapely.get_parts(shapely.node(shapely.multilinestrings(list(lines))))
        # Pieces shorter than the tolerance are joined to their neighbours here and not there.
        if shapely.length(expected).min() < 2e-6:
            continue
        held += 1
        assert len(found.lines) == len(expected)
        ends = shapely.get_coordinates(shapely.boundary(expected)).round(7)
        assert len(found.nodes) == len(np.unique(ends, axis=0))
        assert np.sort(shapely.length(found.lines)) == pytest.approx(np.sort(shapely.length(expected)), abs=1e-8)
    assert held > 15


def test_the_demo_city_is_one_network_as_its_own_nodes_say() -> None:
    batches = list(generate("small", "base.road"))
    lines = np.concatenate([b.shapes for b in batches])
    own = [f for b in batches for f in zip(*(b.columns[n].to_pylist() for n in ("from_node", "to_node")), strict=True)]
    level = np.array([v for b in batches for v in b.columns["level"].to_pylist()])
    found = node(lines, level)
    assert len(found.lines) == len(lines)
    names = {n for pair in own for n in pair}
    assert len(found.nodes) == len(names)
    by_name: dict[str, int] = {}
    for k, (a, b) in enumerate(own):
        assert by_name.setdefault(a, int(found.source[k])) == found.source[k]
        assert by_name.setdefault(b, int(found.target[k])) == found.target[k]
