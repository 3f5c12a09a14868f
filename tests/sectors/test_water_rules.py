# SPDX-License-Identifier: Apache-2.0
"""Datums, signals and grades of rain against values worked out by hand."""

from __future__ import annotations

from datetime import date

import pytest

from geocloud.sectors.water.datum import Above, Unknown, find_datum, height_1985, moved
from geocloud.sectors.water.rules import datums, grade_of, in_force, rain_levels, rain_rules, signal_rules
from geocloud.sectors.water.signals import flood_signal, low_signal

(EDITION,) = signal_rules()
LIMITS = {
    "warning_level_m": 30.0, "guarantee_level_m": 31.5, "highest_level_m": 32.2, "drought_level_m": 26.0,
    "lowest_level_m": 24.5, "warning_flow_m3s": 200.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("1985 国家高程基准", "1985"), ("国家85", "1985"), ("56黄海", "1956"), ("黄海", "huanghai"), ("假定", "assumed"),
     ("假定基面", "assumed"), ("废黄河口基面", "feihuanghe"), ("大沽高程", "dagu"),
     ("火星", None), ("", None), (None, None)],
)  # fmt: skip
def test_names_of_datums(name: str | None, wanted: str | None) -> None:
    found = find_datum(name)
    assert (found and found.id) == wanted


def test_every_name_means_one_datum() -> None:
    for datum in datums():
        for name in (datum.id, datum.title.zh, datum.title.en, *datum.names):
            assert find_datum(name) is datum, name


@pytest.mark.parametrize(
    ("level", "above", "wanted"),
    [
        (30.0, Above("1985"), 30.0),
        (30.0, Above("1985", 0.0, 0.02), 30.02),
        (30.0, Above("假定基面", 12.345), 42.345),
        (30.0, Above(None, 12.345, -0.1), 42.245),
        (72.289, Above("1956 黄海高程系"), 72.26),
        (30.1, Above("大沽", 0.2), 30.3),
        (30.0, Above("假定基面"), None),
        (30.0, Above("废黄河"), None),
        (30.0, Above("黄海"), None),
        (30.0, Above("火星"), None),
        (30.0, Above(None), None),
        (30.0, Above("1985", 1.5), None),
    ],
)
def test_height_of_1985(level: float, above: Above, wanted: float | None) -> None:
    found = height_1985(level, above)
    if wanted is None:
        assert isinstance(found, Unknown) and found.why.zh and found.why.en
    else:
        assert found == wanted


def test_levels_move_between_datums_only_where_both_are_known() -> None:
    assert moved(30.0, Above("假定"), Above("假定基面")) == 30.0
    assert moved(30.0, Above(None), Above(None)) == 30.0
    assert moved(30.0, Above("1985"), Above("假定", 12.0)) == 18.0
    assert moved(18.0, Above("假定", 12.0), Above("85基准")) == 30.0
    assumed, national, nothing = (Above(x) for x in ("假定", "1985", None))
    pairs = ((assumed, national), (national, nothing), (Above("大沽"), Above("吴淞")))
    for given, wanted in pairs:
        assert isinstance(moved(30.0, given, wanted), Unknown)


@pytest.mark.parametrize(
    ("level", "flow", "signal", "indicator", "limit"),
    [
        (29.69, None, "none", None, None),
        (29.70, None, "blue", "warning_level_m", 29.7),
        (29.99, None, "blue", "warning_level_m", 29.7),
        (30.00, None, "yellow", "warning_level_m", 30.0),
        (31.49, None, "yellow", "warning_level_m", 30.0),
        (31.50, None, "orange", "guarantee_level_m", 31.5),
        (32.20, None, "red", "highest_level_m", 32.2),
        (20.00, 180.0, "blue", "warning_flow_m3s", 180.0),
        (20.00, 200.0, "yellow", "warning_flow_m3s", 200.0),
        (31.60, 200.0, "orange", "guarantee_level_m", 31.5),
        (None, 10.0, "none", None, None),
        (None, None, None, None, None),
    ],
)
def test_flood_signals(
    level: float | None, flow: float | None, signal: str | None, indicator: str | None, limit: float | None
) -> None:
    found = flood_signal(EDITION, level, flow, LIMITS)
    assert (found.signal, found.indicator, found.limit) == (signal, indicator, limit)
    assert {"level_5yr_m", "level_20yr_m", "highest_flow_m3s"} <= set(found.lacking)


@pytest.mark.parametrize(
    ("level", "signal"), [(26.21, "none"), (26.2, "blue"), (26.0, "yellow"), (24.51, "yellow"), (24.5, "red")]
)
def test_low_water(level: float, signal: str) -> None:
    assert low_signal(EDITION, level, LIMITS).signal == signal


def test_surveyed_levels_count_where_none_was_observed() -> None:
    assert flood_signal(EDITION, 33.0, None, {"highest_surveyed_m": 33.0}).signal == "red"
    both = {"highest_level_m": 34.0, "highest_surveyed_m": 33.0, "warning_level_m": 30.0}
    assert flood_signal(EDITION, 33.0, None, both).signal == "yellow"
    assert flood_signal(EDITION, 33.0, None, {}).signal is None


def test_tables_name_their_source_and_what_is_not_sure() -> None:
    assert EDITION.source and EDITION.certain is False and EDITION.near.example is True
    (rain,) = rain_rules()
    assert rain.source and in_force(rain_rules(), date(2012, 7, 31)) is None
    assert in_force(rain_rules(), date(2012, 8, 1)) is rain
    for grades in rain.hours.values():
        least = [g.from_mm for g in grades]
        assert least == sorted(set(least)) and least[0] == 0


@pytest.mark.parametrize(
    ("hours", "mm", "grade"),
    [(24, 0.0, "trace"), (24, 0.04, "trace"), (24, 0.05, "light"), (24, 9.94, "light"), (24, 9.95, "moderate"),
     (24, 24.9, "moderate"), (24, 25.0, "heavy"), (24, 50.0, "storm"), (24, 99.9, "storm"), (24, 100.0, "great_storm"),
     (24, 249.94, "great_storm"), (24, 250.0, "extreme_storm"), (12, 30.0, "storm"),
     (6, 100.0, None), (1.5, 9.0, None)],
)  # fmt: skip
def test_grades_of_rain(hours: float, mm: float, grade: str | None) -> None:
    found = grade_of(rain_rules()[0], hours, mm)
    assert (found and found.grade) == grade
    assert rain_levels(24)[1:] == tuple(g.from_mm for g in rain_rules()[0].hours[24][2:])
