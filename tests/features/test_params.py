# SPDX-License-Identifier: Apache-2.0
"""bbox, datetime and property parameters against shapely, pyproj and plain Python over the same rows."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder
from geocloud.features.params import parse_bbox, parse_datetime, parse_simple_filters
from geocloud.geodesy.crs import SERVED, Crs, crs
from tests.features.conftest import LAYERS, Asker

_FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def _boxed(asker: Asker, geometry: str, text: str, system: Crs | None = None) -> set[int]:
    binder = Binder()
    sql = parse_bbox(binder, text, LAYERS[geometry], system)
    return asker.fids(LAYERS[geometry], sql, binder.args)


def _meeting(asker: Asker, geometry: str, area: Any) -> set[int]:
    return asker.where(LAYERS[geometry], lambda r: r["geom"] is not None and bool(shapely.intersects(r["geom"], area)))


@pytest.mark.parametrize("geometry", ["point", "linestring", "multipolygon", "geometry"])
@_FUZZ
@given(
    west=st.floats(115.5, 118.5), south=st.floats(35.5, 38.5), width=st.floats(0, 2), height=st.floats(0, 2)
)  # fmt: skip
def test_box_in_degrees(asker: Asker, geometry: str, west: float, south: float, width: float, height: float) -> None:
    box = (west, south, west + width, south + height)
    expected = _meeting(asker, geometry, shapely.box(*box))
    assert _boxed(asker, geometry, ",".join(map(repr, box))) == expected
    swapped = (box[1], box[0], box[3], box[2])
    for code in (4326, 4490):
        assert _boxed(asker, geometry, ",".join(map(repr, swapped)), crs(code)) == expected


@pytest.mark.parametrize("system", [s for s in SERVED if s.startswith("EPSG:") and s not in ("EPSG:4326", "EPSG:4490")])
@_FUZZ
@given(
    lon=st.floats(115.8, 117.9), lat=st.floats(35.9, 37.9), width=st.floats(10, 90_000), height=st.floats(10, 90_000)
)
def test_box_in_metres(asker: Asker, system: str, lon: float, lat: float, width: float, height: float) -> None:
    """Points are inside when their own projected coordinates are between the box's numbers."""
    there = pyproj.Transformer.from_crs("EPSG:4490", system, always_xy=True)
    x, y = there.transform(lon, lat)
    box = (x, y, x + width, y + height)
    margins = []

    def inside(row: dict[str, Any]) -> bool:
        if row["geom"] is None:
            return False
        px, py = there.transform(row["geom"].x, row["geom"].y)
        margins.append(min(abs(px - box[0]), abs(px - box[2]), abs(py - box[1]), abs(py - box[3])))
        return bool(box[0] <= px <= box[2] and box[1] <= py <= box[3])

    expected = asker.where(LAYERS["point"], inside)
    if min(margins) < 0.01:
        return
    which = crs(system)
    numbers = (box[1], box[0], box[3], box[2]) if which.swapped else box
    assert _boxed(asker, "point", ",".join(map(repr, numbers)), which) == expected


def test_edges_are_inside_and_exact(asker: Asker) -> None:
    """A box that ends on points takes them; one that ends a nanodegree short does not, though `&&` alone would."""
    edge = 117.25
    on = asker.where(LAYERS["point"], lambda r: r["geom"] is not None and r["geom"].x == edge)
    assert on
    assert on <= _boxed(asker, "point", f"117.1,35,{edge},39")
    assert not on & _boxed(asker, "point", f"117.1,35,{edge - 1e-9!r},39")
    assert on <= _boxed(asker, "point", f"{edge},35,{edge},39")


def test_antimeridian_heights_and_overlong_boxes(asker: Asker) -> None:
    everything = asker.where(LAYERS["point"], lambda r: r["geom"] is not None)
    some = _boxed(asker, "point", "116.3,36,117,37")
    assert 0 < len(some) < len(everything)
    assert _boxed(asker, "point", "-180,-90,180,90") == everything
    assert _boxed(asker, "point", "-400,-100,400,100") == everything
    assert _boxed(asker, "point", "116.3,36,-50,117,37,8848") == some
    assert _boxed(asker, "point", "-243.7,36,-243,37") == some
    around = _boxed(asker, "point", "117,36,116.3,37")
    assert around == asker.where(
        LAYERS["point"], lambda r: r["geom"] is not None and 36 <= r["geom"].y <= 37 and not 116.3 < r["geom"].x < 117
    )
    assert _boxed(asker, "none", "116,36,117,37") == set()


_GOOD = "116,36,117,37"


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("", None), ("1", None), ("1,2,3", None), ("1,2,3,4,5", None), ("1,2,3,4,5,6,7", None), ("a,b,c,d", None),
        ("nan,1,2,3", None), ("1,2,inf,4", None), ("1,2,1e999,4", None), ("1_0,2,30,4", None), ("１,2,3,4", None),
        ("0x1,2,3,4", None), ("1 2 3 4", None), ("1,2,3,4\0", None), ("1;2;3;4", None), ("116,37,117,36", None),
        ("1,2,6,3,4,5", None), ("116,100,117,101,5", None), ("500000,4000000,510000,4010000", None), ("1," * 400, None),
        ("117,36,116,37", "EPSG:3857"), ("4000000,500000,4010000,510000", "EPSG:4527"),
        ("39500000,4000000,39510000,4010000", "EPSG:4527"), ("1e300,1e300,1e301,1e301", "EPSG:3857"),
        ("36,200,37,-200", "EPSG:3857"),
    ],
)  # fmt: skip
def test_wrong_boxes(text: str, system: str | None) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_bbox(Binder(), text, LAYERS["point"], crs(system) if system else None)
    assert caught.value.context["parameter"] == "bbox"
    assert caught.value.todo_en
    assert caught.value.todo_zh


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


_DAY3 = (_at("2020-01-03T00:00:00+08:00"), _at("2020-01-04T00:00:00+08:00") - timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2020-01-03T00:00:00Z", _at("2020-01-03T00:00:00Z"), _at("2020-01-03T00:00:00Z")),
        ("2020-01-07T00:00:00Z", _at("2020-01-07T00:00:00Z"), _at("2020-01-07T00:00:00Z")),
        ("2020-01-06T23:59:59.9999999Z", _at("2020-01-06T23:59:59.999999Z"), _at("2020-01-06T23:59:59.999999Z")),
        ("2020-01-07t08:00:00+08:00", _at("2020-01-07T00:00:00Z"), _at("2020-01-07T00:00:00Z")),
        ("2020-01-06T23:59:60Z", _at("2020-01-07T00:00:00Z"), _at("2020-01-07T00:00:00Z")),
        ("2020-01-03", *_DAY3),
        ("2020-01-03/2020-01-03", *_DAY3),
        ("../2020-01-03", None, _DAY3[1]),
        ("/2020-01-02T23:59:59Z", None, _at("2020-01-02T23:59:59Z")),
        ("2020-01-08T16:00:00Z/..", _at("2020-01-08T16:00:00Z"), None),
        ("2020-01-07/", _at("2020-01-07T00:00:00+08:00"), None),
        ("2020-01-04T00:00:00Z/2020-01-05", _at("2020-01-04T00:00:00Z"), _at("2020-01-05T23:59:59.999999+08:00")),
        ("0001-01-01", datetime.min.replace(tzinfo=UTC), _at("0001-01-01T15:59:59Z")),
        ("9999-12-31", _at("9999-12-30T16:00:00Z"), None),
    ],
)
def test_datetime_meets_valid_time(asker: Asker, text: str, start: datetime | None, end: datetime | None) -> None:
    """Valid time is [valid_from, valid_to): the start belongs to it, the end does not."""
    binder = Binder()
    found = asker.fids(LAYERS["none"], parse_datetime(binder, text), binder.args)

    def meets(row: dict[str, Any]) -> bool:
        begins = end is None or row["valid_from"] == -math.inf or row["valid_from"] <= end
        lasts = start is None or row["valid_to"] == math.inf or row["valid_to"] > start
        return begins and lasts

    assert found == asker.where(LAYERS["none"], meets)


@pytest.mark.parametrize(
    "text",
    [
        "", "..", "/", "../..", "/..", "now", "2020", "2020-1-3", "2020-01-03T00:00:00", "2020-01-03 00:00:00Z",
        "2020-02-30", "2020-01-03T25:00:00Z", "2020-01-03T00:00:61Z", "2020-01-03T00:00:00+25:00",
        "2020-01-03T00:00:00 08:00", "0001-01-01T00:00:00+08:00", "9999-12-31T23:59:59-08:00", "0000-01-01",
        "10000-01-01", "2020-01-03/2020-01-02", "2020-01-03T00:00:01Z/2020-01-03T00:00:00Z", "2020-01-01/2020-01-02/..",
        "2020-01-03\0", "２０２０-01-03", "2020-01-04/2020-01-03T15:59:59Z", "\ud800",
    ],
)  # fmt: skip
def test_wrong_datetimes(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_datetime(Binder(), text)
    assert caught.value.context["parameter"] == "datetime"
    assert caught.value.todo_zh
    caught.value.message("en").encode("utf-8")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("name", "聊城", "聊城"), ("name", "", ""), ("name", "a%b", "a%b"), ("name", "' OR 1=1 --", None),
        ("n", "3", 3),
        ("n", "-1", -1), ("n", "+7", 7), ("n", str(2**63 - 1), 2**63 - 1), ("x", "2.5", 2.5), ("x", "1e200", 1e200),
        ("x", "5e-324", 5e-324), ("ok", "true", True), ("ok", "false", False),
        ("built", "2020-01-03", date(2020, 1, 3)), ("built", "9999-12-31", date(9999, 12, 31)),
        ("built", "0001-01-01", date(1, 1, 1)),
        ("seen", "2020-01-03T00:00:00Z", _at("2020-01-03T00:00:00Z")),
    ],
)  # fmt: skip
def test_property_equals(asker: Asker, name: str, text: str, value: Any) -> None:
    binder = Binder()
    (sql,) = parse_simple_filters(binder, [(name, text)], LAYERS["none"])
    found = asker.fids(LAYERS["none"], sql, binder.args)
    assert found == asker.where(LAYERS["none"], lambda r: value is not None and r[name] == value)


def test_a_date_asked_of_a_timestamp_is_the_day_in_beijing(asker: Asker) -> None:
    binder = Binder()
    (sql,) = parse_simple_filters(binder, [("seen", "2020-01-06")], LAYERS["none"])
    found = asker.fids(LAYERS["none"], sql, binder.args)
    eight = timedelta(hours=8)
    assert found
    assert found == asker.where(
        LAYERS["none"], lambda r: r["seen"] is not None and (r["seen"] + eight).date() == date(2020, 1, 6)
    )


@pytest.mark.parametrize(
    "pairs",
    [
        [("secret", "hush")], [("silent", "still")], [("fid", "1")], [("zzz", "1")], [("Name", "a")], [("n", "1.0")],
        [("n", "1e3")], [("n", "")], [("n", str(2**63))], [("n", "٣")], [("n", "1_0")], [("x", "nan")], [("x", "inf")],
        [("x", "1e999")], [("ok", "TRUE")], [("ok", "1")], [("built", "2020-02-30")], [("seen", "yesterday")],
        [("name", "a\0")], [("name", "\ud800")], [("name", "a"), ("name", "b")],
    ],
)  # fmt: skip
def test_wrong_properties(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_simple_filters(Binder(), pairs, LAYERS["none"])
    assert caught.value.context["parameter"] == pairs[0][0]
    caught.value.message("zh").encode("utf-8")


def test_hidden_and_absent_parameters_get_the_same_answer() -> None:
    errors = []
    for name in ("secret", "silent", "zzzzzz"):
        with pytest.raises(InvalidParameter) as caught:
            parse_simple_filters(Binder(), [(name, "1")], LAYERS["none"])
        errors.append(caught.value.message("en").replace(name, "…"))
    assert len(set(errors)) == 1


def test_geometry_literals_follow_the_axis_order_of_filter_crs(asker: Asker) -> None:
    """The same triangle in every system, written in its authority's order, selects the same points."""
    ring = np.array([[116.1131, 36.1017], [117.9173, 36.4019], [116.6211, 37.9037], [116.1131, 36.1017]])
    expected = _meeting(asker, "point", shapely.Polygon(ring))
    assert expected
    for name in SERVED:
        which = crs(name)
        there = pyproj.Transformer.from_crs("EPSG:4490", which.pyproj(), always_xy=True)
        x, y = there.transform(ring[:, 0], ring[:, 1])
        pairs = np.column_stack([y, x] if which.swapped else [x, y])
        pairs[-1] = pairs[0]
        written = ", ".join(f"{float(a)!r} {float(b)!r}" for a, b in pairs)
        assert asker.filtered(LAYERS["point"], f"S_INTERSECTS(geom, POLYGON(({written})))", system=which) == expected
