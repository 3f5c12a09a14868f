# SPDX-License-Identifier: Apache-2.0
"""Rules G1 to G10 of unit grids: none finds anything in a sound community, each finds its planted fault."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocloud.errors import InvalidParameter, TooLarge
from geocloud.geodesy.straight import straight_areas
from geocloud.grids.unit_make import Lines, make, number
from geocloud.grids.unit_order import expected_order, out_of_order
from geocloud.grids.unit_rules import RULES, Community, Grids, Limits, Surroundings, check

HOME = "371502001001"
STEP = 0.001
DAY = datetime(2024, 5, 1, tzinfo=UTC)


def cell(column: int, row: int) -> shapely.Polygon:
    """About 90 by 111 m, rows from the north."""
    x, y = 115.98 + column * STEP, 36.45 - row * STEP
    return shapely.box(x, y - STEP, x + STEP, y)


def sound(count: int = 3) -> tuple[Grids, dict[str, Community]]:
    shapes = np.array([cell(c, r) for r in range(count) for c in range(count)], object)
    n = len(shapes)
    codes = [f"{HOME}{i:03d}" for i in range(1, n + 1)]
    grids = Grids(codes, shapes, [DAY] * n, [None] * n, [False] * n)
    return grids, {HOME: Community(HOME, shapely.union_all(shapes))}


def changed(grids: Grids, row: int, **what: object) -> Grids:
    fields = {}
    for name, value in what.items():
        column = list(getattr(grids, name))
        column[row] = value
        fields[name] = np.array(column, object) if name == "shape" else column
    return replace(grids, **fields)


def rules(grids: Grids, communities: dict[str, Community], *rest: object, **more: object) -> list[str]:
    return [f.rule for f in check(grids, communities, *rest, **more)]


def test_a_sound_community_has_no_findings_and_all_rules_are_ten():
    assert check(*sound()) == []
    assert list(RULES) == [f"G{n}" for n in range(1, 11)]
    assert {n for n, r in RULES.items() if r.severity == "warning"} == {"G4", "G8"}


@pytest.mark.parametrize("code", [None, "", "37150200100101", "371502001001000", "071502001001001", "37150200100100A"])
def test_g1_form(code):
    grids, homes = sound()
    (found,) = check(changed(grids, 4, code=code), homes, only=["G1"])
    assert found.rows == (4,) and found.place.equals(grids.shape[4])
    assert found.message.zh != found.message.en


def test_g2_parent_of_the_day():
    grids, homes = sound()
    assert rules(changed(grids, 0, code="371502001009001"), homes, only=["G2"]) == ["G2"]
    later = {HOME: replace(homes[HOME], lives=((datetime(2025, 1, 1, tzinfo=UTC), None),))}
    assert rules(grids, later, only=["G2"]) == ["G2"] * 9
    assert rules(changed(grids, 0, begin=None), later, only=["G2"]) == ["G2"] * 8
    ended = {HOME: replace(homes[HOME], lives=((None, DAY),))}
    assert rules(grids, ended, only=["G2"]) == ["G2"] * 9


def test_g3_once_for_all_time():
    grids, homes = sound()
    twice = changed(grids, 3, code=f"{HOME}001", end=datetime(2024, 6, 1, tzinfo=UTC))
    (found,) = check(twice, homes, only=["G3"])
    assert found.rows == (0, 3)
    # Two versions of one feature are not two grids.
    assert check(replace(twice, feature=[0, 1, 2, 0, 4, 5, 6, 7, 8]), homes, only=["G3"]) == []


def test_g4_order():
    grids, homes = sound()
    swapped = changed(changed(grids, 0, code=f"{HOME}002"), 1, code=f"{HOME}001")
    found = check(swapped, homes, only=["G4"])
    assert len(found) == 1 and found[0].severity == "warning"
    assert check(grids, homes, only=["G4"]) == []


def test_g5_polygon():
    grids, homes = sound()
    bow = shapely.Polygon([(115.98, 36.45), (115.981, 36.449), (115.981, 36.45), (115.98, 36.449)])
    two = shapely.MultiPolygon([cell(0, 0), cell(5, 5)])
    for shape, words in (
        (bow, "无效"),
        (two, "2 部分"),
        (None, "没有图形"),
        (shapely.LineString([(0, 0), (1, 1)]), "不是面"),
    ):
        (found,) = check(changed(grids, 0, shape=shape), homes, only=["G5"])
        assert words in found.message.zh


def test_g6_and_g10_gap_and_overlap():
    grids, homes = sound()
    wide = shapely.box(115.981, 36.449, 115.9823, 36.45)
    found = check(changed(grids, 1, shape=wide), homes, only=["G6", "G10"])
    assert [f.rule for f in found] == ["G6", "G10"] and found[0].rows == (1, 2)
    overlap = shapely.intersection(wide, grids.shape[2])
    assert found[0].place.equals(overlap)
    assert found[0].area_m2 == pytest.approx(straight_areas(np.array([overlap]))[0])
    narrow = changed(grids, 4, shape=shapely.box(115.9811, 36.448, 115.982, 36.449))
    gap, total = check(narrow, homes, only=["G6", "G10"])
    assert gap.place.within(grids.shape[4]) and gap.area_m2 == pytest.approx(total.area_m2, abs=1e-6)
    out = changed(grids, 0, shape=shapely.box(115.9799, 36.449, 115.981, 36.45))
    (outside, _) = check(out, homes, only=["G6", "G10"])
    assert "超出" in outside.message.zh
    assert check(narrow, {HOME: Community(HOME, shapely.Point(115.98, 36.45))}, only=["G6", "G10"]) == []


def test_g7_what_is_cut():
    grids, homes = sound()
    houses = np.array(
        [shapely.box(115.9809, 36.4495, 115.9811, 36.4497), shapely.box(115.9802, 36.4492, 115.9804, 36.4494)]
    )
    things = np.array([shapely.Point(115.981, 36.4485), shapely.Point(115.9815, 36.4485)])
    near = Surroundings(houses, ["cut", "whole"], things, ["on", "off"])
    found = check(grids, homes, near, only=["G7"])
    assert [f.rows for f in found] == [(0, 1), (3, 4)]
    assert "cut" in found[0].message.en and "on" in found[1].message.en
    assert found[1].place.distance(things[0]) < 1e-9


def test_g8_area():
    grids, homes = sound()
    large = changed(grids, 0, shape=shapely.box(115.90, 36.44, 115.981, 36.45))
    small = changed(grids, 0, shape=shapely.box(115.98, 36.45, 115.9801, 36.4501))
    assert ["大于" in f.message.zh for f in check(large, homes, only=["G8"])] == [True]
    assert ["小于" in f.message.zh for f in check(small, homes, only=["G8"])] == [True]
    assert rules(grids, homes, only=["G8"], limits=Limits(least_area=20_000)) == ["G8"] * 9


def test_g9_retired():
    grids, homes = sound()
    assert rules(changed(grids, 0, retired=True), homes, only=["G9"]) == ["G9"]
    assert rules(changed(grids, 0, retired=True, end=datetime(2024, 9, 1, tzinfo=UTC)), homes, only=["G9"]) == []
    first, second = datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=UTC)
    lives = Grids([f"{HOME}001"] * 2, np.array([cell(0, 0)] * 2), [DAY, second], [first, None], [False] * 2, [1, 1])
    assert rules(lives, homes, only=["G9"]) == ["G9"]
    one_life = replace(lives, begin=[DAY, first])
    assert rules(one_life, homes, only=["G9"]) == []


def test_shapes_of_a_day():
    grids, homes = sound()
    ended = changed(grids, 4, end=datetime(2024, 9, 1, tzinfo=UTC))
    assert "G6" in rules(ended, homes)
    assert rules(ended, homes, at=datetime(2024, 8, 1, tzinfo=UTC)) == []


def test_rows_and_runs():
    shapes = np.array([cell(c, r) for r in range(4) for c in range(5)], object)
    rng = np.random.default_rng(4)
    shuffled = rng.permutation(20)
    assert expected_order(shapes[shuffled], 50).tolist() == shuffled.tolist()
    assert out_of_order(np.array([0, 1, 5, 2, 3, 4])) == [2]
    assert out_of_order(np.array([], int)) == []


@st.composite
def towns(draw):
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    side = draw(st.sampled_from([0.004, 0.01, 0.016]))
    corners = [(0, 0), (1, rng.uniform(-0.1, 0.1)), (1, 1), (rng.uniform(-0.1, 0.3), 1)]
    home = shapely.Polygon([(115.9 + side * x, 36.4 + side * y) for x, y in corners])
    lines = []
    for _ in range(draw(st.integers(0, 12))):
        a, b = rng.uniform(-0.2, 1.2, (2, 2))
        lines.append(
            shapely.LineString([(115.9 + side * a[0], 36.4 + side * a[1]), (115.9 + side * b[0], 36.4 + side * b[1])])
        )
    houses = [shapely.Point(115.9 + side * x, 36.4 + side * y).buffer(0.0001) for x, y in rng.uniform(0, 1, (15, 2))]
    return home, Lines(np.array(lines, object), np.ones(len(lines))), np.array(houses, object)


@given(towns())
@settings(max_examples=40, deadline=None)
def test_grids_that_are_made_pass_the_rules(town):
    home, lines, houses = town
    houses = houses[shapely.intersects(houses, home)]
    made = make(home, lines, houses)
    n = len(made.shape)
    codes = made.codes(HOME)
    grids = Grids(codes, made.shape, [DAY] * n, [None] * n, [False] * n)
    near = Surroundings(houses, [str(i) for i in range(len(houses))])
    found = check(grids, {HOME: Community(HOME, home)}, near)
    assert {f.rule for f in found} <= {"G7", "G8"}
    assert sum(f.rule == "G7" for f in found) == len(made.cut)
    assert all("小于" in f.message.zh or n == 1 for f in found if f.rule == "G8")
    assert straight_areas(made.shape).sum() == pytest.approx(straight_areas(np.array([home]))[0], rel=1e-9)
    assert shapely.coverage_is_valid(made.shape) or n == 1
    assert codes == sorted(codes) and codes[0].endswith("001")


def test_lines_are_followed_and_numbers_go_on():
    home = shapely.box(115.98, 36.448, 115.982, 36.45)
    street = Lines(np.array([shapely.LineString([(115.981, 36.44), (115.981, 36.46)])], object), np.array([3.0]))
    made = make(home, street, taken={1, 7})
    assert made.number.tolist() == [8, 9]
    assert made.shape[0].equals(shapely.box(115.98, 36.448, 115.981, 36.45))
    # A house on the street keeps both sides together.
    house = np.array([shapely.box(115.9809, 36.449, 115.9811, 36.4491)])
    assert len(make(home, street, house).shape) == 1
    assert len(make(home, street, None, np.array([shapely.Point(115.981, 36.4492)])).shape) == 1


def test_what_cannot_be_made_is_told():
    with pytest.raises(InvalidParameter):
        make(shapely.Point(115, 36), Lines())
    with pytest.raises(InvalidParameter, match="1000"):
        number(np.array([cell(0, 0), cell(1, 0)]), {998})
    with pytest.raises(TooLarge):
        lines = [shapely.LineString([(115.98, 36.45 - i * 1e-4), (115.99, 36.45 - i * 1e-4)]) for i in range(50)]
        make(shapely.box(115.98, 36.44, 115.99, 36.45), Lines(np.array(lines), np.ones(50)), most=10)
