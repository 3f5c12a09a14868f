# SPDX-License-Identifier: Apache-2.0
"""Times, ways and reach against Dijkstra of SciPy on a graph made by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pytest
import shapely
import yaml
from geographiclib.geodesic import Geodesic
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

import geocloud
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.errors import InvalidParameter, MissingPackages
from geocloud.geodesy.area import lengths
from geocloud.jobs.model import Process, Results
from geocloud.jobs.run import Renewable, Run, open_run, run_process
from geocloud.network import graph, places, route
from geocloud.network.speeds import read_speeds
from tests.network.conftest import SETTINGS, write_roads

CGCS2000 = Geodesic(6378137.0, 1 / 298.257222101)
OnRoads = Callable[[Sequence[dict[str, Any]]], Run]
# A lattice of 9 by 7 crossings, about 900 m by 1,100 m each; some sides are missing, some of one way.
WEST, SOUTH, STEP = 115.9, 36.4, 0.01
WIDTH, HEIGHT = 9, 7


def _at(col: float, row: float) -> tuple[float, float]:
    return round(WEST + STEP * col, 7), round(SOUTH + STEP * row, 7)


def _crossings(numbers: Any) -> list[tuple[float, float]]:
    return [_at(*divmod(int(k), HEIGHT)) for k in numbers]


def _line(*points: tuple[float, float]) -> str:
    return "LINESTRING(" + ", ".join(f"{x} {y}" for x, y in points) + ")"


def _metres(a: tuple[float, float], b: tuple[float, float]) -> float:
    return float(CGCS2000.Inverse(a[1], a[0], b[1], b[0])["s12"])


def _lattice(seed: int) -> list[dict[str, Any]]:
    """Sides as roads, with `ends` for the oracle."""
    rng = np.random.default_rng(seed)
    classes = ("trunk", "arterial", "secondary", "branch", "residential", "expressway", "pedestrian")
    roads = []
    for col in range(WIDTH):
        for row in range(HEIGHT):
            for dc, dr in ((1, 0), (0, 1)):
                if col + dc >= WIDTH or row + dr >= HEIGHT or rng.random() < 0.12:
                    continue
                kind = classes[int(rng.choice(len(classes), p=(0.15, 0.15, 0.2, 0.2, 0.15, 0.05, 0.1)))]
                roads.append(
                    {
                        "wkt": _line(_at(col, row), _at(col + dc, row + dr)), "class": kind,
                        "oneway": bool(rng.random() < 0.25),
                        "max_speed_kmh": 30 if rng.random() < 0.2 else None,
                        "ends": (col * HEIGHT + row, (col + dc) * HEIGHT + row + dr),
                    }
                )  # fmt: skip
    return roads


def _seconds(road: dict[str, Any], profile: str) -> tuple[float, float]:
    """Seconds along a road there and back, by its own reading of the table."""
    table = yaml.safe_load(Path(geocloud.__file__).with_name("data").joinpath("network/speeds.yaml").read_text("utf-8"))
    kmh = table["profiles"][profile]["classes"].get(road["class"])
    if kmh is None:
        return np.inf, np.inf
    (x1, y1), (x2, y2) = shapely.get_coordinates(shapely.from_wkt(road["wkt"]))
    if profile == "drive" and road["max_speed_kmh"]:
        kmh = min(kmh, road["max_speed_kmh"])
    seconds = _metres((x1, y1), (x2, y2)) * 3.6 / kmh
    return seconds, np.inf if profile == "drive" and road["oneway"] else seconds


def _oracle(roads: list[dict[str, Any]], profile: str, closed: set[int] = frozenset()) -> Any:  # type: ignore[assignment]
    n = WIDTH * HEIGHT
    dense = np.full((n, n), np.inf)
    for k, road in enumerate(roads):
        if k in closed:
            continue
        a, b = road["ends"]
        there, back = _seconds(road, profile)
        dense[a, b], dense[b, a] = min(dense[a, b], there), min(dense[b, a], back)
    i, j = np.nonzero(np.isfinite(dense))
    return dijkstra(coo_array((dense[i, j], (i, j)), shape=(n, n)).tocsr())


def _used(roads: list[dict[str, Any]], profile: str) -> list[int]:
    """Crossings that a road of the profile begins or ends at: a point elsewhere would snap to another place."""
    return sorted({e for r in roads if np.isfinite(_seconds(r, profile)[0]) for e in r["ends"]})


@pytest.mark.parametrize(("seed", "profile"), [(1, "drive"), (2, "drive"), (3, "walk")])
def test_costs_are_those_of_another_dijkstra(on_roads: OnRoads, seed: int, profile: Any) -> None:
    roads = _lattice(seed)
    run = on_roads(roads)
    used = _used(roads, profile)
    rng = np.random.default_rng(seed)
    here, there = rng.choice(used, 6, replace=False), rng.choice(used, 9, replace=False)
    found = route.costs(run, _crossings(here), _crossings(there),
                        profile)  # fmt: skip
    expected = _oracle(roads, profile)[np.ix_(here, there)]
    assert np.isinf(found.seconds).tolist() == np.isinf(expected).tolist()
    finite = np.isfinite(expected)
    assert finite.any()
    assert found.seconds[finite] == pytest.approx(expected[finite], rel=1e-6)
    assert max(p.off_m for p in (*found.sources, *found.targets) if p.off_m is not None) < 0.01


def test_closures_take_out_what_they_meet(on_roads: OnRoads) -> None:
    roads = _lattice(4)
    run = on_roads(roads)
    area = {
        "type": "Polygon",
        "coordinates": [[_at(2.2, 1.2), _at(5.5, 1.2), _at(5.5, 4.6), _at(2.2, 4.6), _at(2.2, 1.2)]],
    }
    line = {"type": "LineString", "coordinates": [_at(6.5, -1), _at(6.5, 3.5)]}
    shapes = [shapely.from_wkt(r["wkt"]) for r in roads]
    closed = {k for k, s in enumerate(shapes) for c in (area, line) if s.intersects(shapely.geometry.shape(c))}
    open_ones = [r for k, r in enumerate(roads) if k not in closed]
    used = _used(open_ones, "drive")
    rng = np.random.default_rng(1)
    here, there = rng.choice(used, 5, replace=False), rng.choice(used, 12, replace=False)
    found = route.costs(run, _crossings(here), _crossings(there),
                        closures=[area, line])  # fmt: skip
    expected = _oracle(roads, "drive", closed)[np.ix_(here, there)]
    assert found.closed == len(closed) > 10
    assert np.isinf(found.seconds).tolist() == np.isinf(expected).tolist()
    finite = np.isfinite(expected)
    assert found.seconds[finite] == pytest.approx(expected[finite], rel=1e-6)


def test_a_closure_that_cuts_the_city_in_two_leaves_no_way(on_roads: OnRoads) -> None:
    run = on_roads([{"wkt": _line(_at(0, 0), _at(8, 0))}, {"wkt": _line(_at(8, 0), _at(8, 6))}])
    wall = {"type": "LineString", "coordinates": [_at(0, 3), _at(9, 3)]}
    here, there = [_at(0, 0)], [_at(8, 6), _at(1, 0)]
    assert np.isfinite(route.costs(run, here, there).seconds).all()
    # Roads are taken out from node to node: the closed one is the whole way north.
    cut = route.costs(run, here, [_at(1, 0)], closures=[wall])
    assert cut.closed == 1
    assert np.isfinite(cut.seconds).all()
    run = on_roads(
        [{"wkt": _line(a, b)} for a, b in itertools.pairwise([_at(0, 0), _at(8, 0), _at(8, 3), _at(8, 6), _at(0, 6)])]
    )
    wall = {"type": "LineString", "coordinates": [_at(7, 4), _at(9, 4)]}
    found = route.costs(run, here, [_at(4, 6), _at(8, 3)], closures=[wall])
    assert np.isinf(found.seconds).tolist() == [[True, False]]
    ways = route.routes(run, here, [_at(4, 6), _at(8, 3)], closures=[wall])
    assert ways[0] is None
    assert ways[1] is not None


def test_points_between_nodes_and_off_the_road(on_roads: OnRoads) -> None:
    run = on_roads([{"wkt": _line(_at(0, 0), _at(4, 0)), "class": "branch"}])
    lon, lat = _at(1, 0)
    found = route.costs(run, [(lon, lat + 0.001)], [_at(3, 0), _at(3.5, 0), (lon, lat)])
    speed = read_speeds().profiles["drive"].classes["branch"] / 3.6
    for k, col in enumerate((3, 3.5)):
        assert found.seconds[0, k] == pytest.approx(_metres(_at(1, 0), _at(col, 0)) / speed, rel=1e-4)
    assert found.seconds[0, 2] == pytest.approx(0.0, abs=1e-3)
    (place,) = found.sources
    assert place.off_m == pytest.approx(_metres((lon, lat + 0.001), (lon, lat)), abs=0.5)
    assert place.road is not None
    assert _metres(place.road, (lon, lat)) < 0.5
    far = route.costs(run, [(lon, lat + 0.05)], [_at(3, 0)])
    assert far.sources[0].edge is None
    assert far.sources[0].off_m is not None
    assert far.sources[0].off_m > places.SNAP_MAX_M
    assert np.isinf(far.seconds).all()


def test_one_way_roads_between_two_places_on_them(on_roads: OnRoads) -> None:
    run = on_roads([{"wkt": _line(_at(0, 0), _at(4, 0)), "oneway": True}])
    found = route.costs(run, [_at(1, 0), _at(3, 0)], [_at(1, 0), _at(3, 0)])
    assert np.isinf(found.seconds).tolist() == [[False, False], [True, False]]
    walked = route.costs(run, [_at(1, 0), _at(3, 0)], [_at(1, 0), _at(3, 0)], "walk")
    assert np.isfinite(walked.seconds).all()


def test_ways_are_as_long_as_they_say_and_lead_where_they_say(on_roads: OnRoads) -> None:
    roads = _lattice(7)
    run = on_roads(roads)
    rng = np.random.default_rng(3)
    here = [(WEST + x * STEP * (WIDTH - 1), SOUTH + y * STEP * (HEIGHT - 1)) for x, y in rng.random((6, 2))]
    there = [(WEST + x * STEP * (WIDTH - 1), SOUTH + y * STEP * (HEIGHT - 1)) for x, y in rng.random((6, 2))]
    times = route.costs(run, here, there).seconds
    for one_to_many in (False, True):
        ways = route.routes(run, here[:1] if one_to_many else here, there)
        for k, way in enumerate(ways):
            expected = times[0 if one_to_many else k, k]
            if way is None:
                assert np.isinf(expected)
                continue
            assert way.seconds == pytest.approx(expected, rel=1e-6)
            assert lengths(np.array([way.line]))[0] == pytest.approx(way.metres, rel=1e-3)
            ends = shapely.get_coordinates(way.line)[[0, -1]]
            assert way.source.road is not None
            assert way.target.road is not None
            assert _metres(tuple(ends[0]), way.source.road) < 0.01
            assert _metres(tuple(ends[1]), way.target.road) < 0.01
            every = shapely.union_all([shapely.from_wkt(r["wkt"]) for r in roads])
            assert shapely.distance(shapely.points(shapely.get_coordinates(way.line)), every).max() < 1e-7
    many_to_one = route.routes(run, here, there[:1])
    for k, way in enumerate(many_to_one):
        if way is not None:
            assert way.seconds == pytest.approx(route.costs(run, here[k : k + 1], there[:1]).seconds[0, 0], rel=1e-6)
            assert lengths(np.array([way.line]))[0] == pytest.approx(way.metres, rel=1e-3)


def test_a_way_round_that_is_outside_the_first_box_is_found(on_roads: OnRoads) -> None:
    """A slow straight road, and a quick one far round that a small box does not hold."""
    slow, quick = 4, 90
    far = 5
    run = on_roads(
        [{"wkt": _line(_at(0, 0), _at(4, 0)), "max_speed_kmh": slow},
         {"wkt": _line(_at(0, 0), _at(0, far)), "class": "expressway", "max_speed_kmh": quick},
         {"wkt": _line(_at(0, far), _at(4, far)), "class": "expressway"},
         {"wkt": _line(_at(4, far), _at(4, 0)), "class": "expressway"}]
    )  # fmt: skip
    around = [_at(0, 0), _at(0, far), _at(4, far), _at(4, 0)]
    metres = sum(_metres(a, b) for a, b in zip(around[:-1], around[1:], strict=True))
    found = route.costs(run, [_at(0, 0)], [_at(4, 0)])
    assert found.seconds[0, 0] == pytest.approx(metres * 3.6 / quick, rel=1e-6)
    assert found.seconds[0, 0] < _metres(around[0], around[-1]) * 3.6 / slow
    (way,) = route.routes(run, [_at(0, 0)], [_at(4, 0)])
    assert way is not None
    assert way.metres == pytest.approx(metres, rel=1e-6)


def test_reach_goes_as_far_as_the_time(on_roads: OnRoads) -> None:
    run = on_roads([{"wkt": _line(_at(0, 0), _at(4, 0))}, {"wkt": _line(_at(4, 0), _at(8, 0)), "oneway": True}])
    speed = read_speeds().profiles["drive"].classes["branch"] / 3.6
    seconds = 60.0
    # In the middle of a road: both ways, and no farther than the time goes.
    found = route.reach(run, [_at(2, 0)], seconds)
    assert found.metres == pytest.approx(2 * seconds * speed, rel=1e-3)
    assert lengths(np.array([found.lines]))[0] == pytest.approx(found.metres, rel=1e-3)
    # At the end of a two-way road, where the one-way road begins and its end.
    assert route.reach(run, [_at(4, 0)], seconds).metres == pytest.approx(2 * seconds * speed, rel=1e-3)
    assert route.reach(run, [_at(8, 0)], seconds).metres == pytest.approx(0.0, abs=0.5)
    everything = route.reach(run, [_at(0, 0)], 10_000.0)
    assert everything.metres == pytest.approx(_metres(_at(0, 0), _at(8, 0)), rel=1e-3)
    nowhere = route.reach(run, [_at(4, 60)], seconds)
    assert (nowhere.metres, nowhere.lines.is_empty) == (0.0, True)


def test_reach_agrees_with_times(on_roads: OnRoads) -> None:
    run = on_roads(_lattice(9))
    start, seconds = _at(4.3, 3), 240.0
    found = route.reach(run, [start], seconds)
    rng = np.random.default_rng(4)
    asked = [(WEST + x * STEP * (WIDTH - 1), SOUTH + y * STEP * (HEIGHT - 1)) for x, y in rng.random((60, 2))]
    times = route.costs(run, [start], asked)
    inside = 0
    for k, place in enumerate(times.targets):
        if place.road is None or abs(times.seconds[0, k] - seconds) < 1:
            continue
        near = shapely.distance(found.lines, shapely.Point(place.road)) < 1e-6
        assert near == (times.seconds[0, k] <= seconds)
        inside += near
    assert inside > 3


def test_no_points_no_roads_and_bad_closures(on_roads: OnRoads) -> None:
    run = on_roads([{"wkt": _line(_at(0, 0), _at(4, 0))}])
    assert route.costs(run, [], [_at(1, 0)]).seconds.shape == (0, 1)
    bow = [[116, 36], [116.1, 36.1], [116.1, 36], [116, 36.1], [116, 36]]
    point = {"type": "Point", "coordinates": [116, 36]}
    for bad in (point, {"type": "Polygon"}, {}, {"type": "Polygon", "coordinates": [bow]}):
        with pytest.raises(InvalidParameter):
            route.costs(run, [_at(1, 0)], [_at(2, 0)], closures=[bad])
    empty = on_roads([])
    found = route.costs(empty, [_at(1, 0)], [_at(2, 0)])
    assert np.isinf(found.seconds).all()
    assert route.routes(empty, [_at(1, 0)], [_at(2, 0)]) == [None]
    assert route.reach(empty, [_at(1, 0)], 100.0).metres == 0.0


def test_an_edit_of_a_road_makes_the_graph_anew(on_roads: OnRoads, published: Urls) -> None:
    on_roads([{"wkt": _line(_at(0, 0), _at(4, 0))}])
    write_roads(published.writer, [{"wkt": _line(_at(0, 0), _at(4, 0)), "max_speed_kmh": 10}])
    with open_run(SETTINGS, published.reader) as run, pytest.raises(Renewable) as told:
        graph.ready(run)
    assert told.value.exit_code == 85

    def ask(run: Run, _inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
        return {"seconds": route.costs(run, [_at(0, 0)], [_at(4, 0)]).seconds[0, 0]}

    process = Process("ask", "1", None, None, (), (), ask)  # type: ignore[arg-type]
    found = run_process(process, SETTINGS, {}, frozenset(), reader_url=published.reader, writer_url=published.writer)
    assert found["seconds"] == pytest.approx(_metres(_at(0, 0), _at(4, 0)) * 3.6 / 10, rel=1e-6)
    # Nothing is made where it is there already.
    with open_run(SETTINGS, published.reader) as run:
        before = graph.ready(run).built_at
    graph.build(SETTINGS, published.writer)
    with open_run(SETTINGS, published.reader) as run:
        assert graph.ready(run).built_at == before


def test_a_road_that_opens_at_a_date_ahead_is_not_there_yet(on_roads: OnRoads, published: Urls) -> None:
    on_roads([{"wkt": _line(_at(0, 0), _at(4, 0))}])
    with connect(published.writer, application_name="test") as conn, conn.cursor() as cur:
        cur.execute(
            'INSERT INTO base.road (code, "class", geom, valid_from) VALUES '
            "('new', 'branch', ST_Multi(ST_GeomFromText(%s, 4490)), now() + interval '1 day')",
            (_line(_at(4, 0), _at(4, 4)),),
        )
    graph.build(SETTINGS, published.writer)
    with open_run(SETTINGS, published.reader) as run:
        found = graph.ready(run)
        assert (found.roads, found.edges) == (1, 1)
        with run.reader.cursor() as cur:
            cur.execute("SELECT valid_until > now() AND valid_until < now() + interval '2 days' FROM network.graph")
            assert cur.fetchone() == (True,)


def test_without_pgrouting_it_is_said_what_to_install(on_roads: OnRoads, cluster: Any, database: str) -> None:
    from geocloud.db.cluster import admin_url

    run = on_roads([{"wkt": _line(_at(0, 0), _at(4, 0))}])
    admin = psycopg2.connect(admin_url(cluster, database))
    admin.autocommit = True
    with admin.cursor() as cur:
        cur.execute("DROP EXTENSION pgrouting")
    try:
        run.reader.rollback()
        with pytest.raises(MissingPackages, match="pgRouting"):
            route.costs(run, [_at(0, 0)], [_at(1, 0)])
    finally:
        with admin.cursor() as cur:
            cur.execute("CREATE EXTENSION pgrouting SCHEMA public")
        admin.close()
