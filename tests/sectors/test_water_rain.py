# SPDX-License-Identifier: Apache-2.0
"""Sums of rain with their gaps, and surfaces between gauges, against sums and distances made one by one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from geographiclib.geodesic import Geodesic
from rasterio.io import MemoryFile

from geocloud.db.cluster import Urls
from geocloud.errors import InvalidBody, InvalidParameter, TooLarge
from geocloud.geodesy.straight import straight_areas
from geocloud.jobs.inputs import read_inputs
from geocloud.jobs.run import Run, open_run
from geocloud.sectors.water import rain_sum
from geocloud.sectors.water.rain import sum_of
from geocloud.sectors.water.surface import Grid, bands, idw, isohyets, merged, thiessen, thiessen_means
from geocloud.sensing.model import Datastream, Flags
from geocloud.sensing.values import Measured, Read, Source
from tests.sectors.water import SETTINGS, insert, publish, take

CGCS2000 = Geodesic(6378137.0, 1 / 298.257222101)
END = datetime(2024, 7, 27, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
RAIN = "facility.rain_gauge"


def _gauge(
    values: dict[float, float], interval: int | None = 3600, flags: dict[float, Flags] | None = None
) -> Measured:
    """Readings by hours before END."""
    reads = [Read(END - h * HOUR, v, (flags or {}).get(h, Flags(0))) for h, v in sorted(values.items(), reverse=True)]
    return Measured(Source(1, "a", None, "mm", None, interval, False), reads)


def test_a_whole_series_is_complete() -> None:
    gauge = _gauge(dict.fromkeys(range(24), 0.5))
    for hours in (1, 3, 6, 24):
        found = sum_of(gauge, END - hours * HOUR, END)
        assert (found.state, found.mm, found.covered, found.gaps) == ("complete", 0.5 * hours, 1.0, ())


def test_missing_hours_are_told_and_not_dry() -> None:
    found = sum_of(_gauge({h: 1.0 for h in range(24) if h not in (3, 4, 10)}), END - 24 * HOUR, END)
    assert (found.state, found.mm, found.readings) == ("incomplete", 21.0, 21)
    assert found.covered == pytest.approx(21 / 24)
    # The reading of three hours ago is that of the hour before it.
    assert found.gaps == ((END - 11 * HOUR, END - 10 * HOUR), (END - 5 * HOUR, END - 3 * HOUR))
    late = sum_of(_gauge(dict.fromkeys(range(2, 24), 1.0)), END - 24 * HOUR, END)
    assert late.gaps == ((END - 2 * HOUR, END),)


def test_readings_that_reach_back_are_not_split() -> None:
    six = _gauge({0: 12.0, 6: 6.0}, 6 * 3600)
    assert sum_of(six, END - 12 * HOUR, END).state == "complete"
    found = sum_of(six, END - 9 * HOUR, END)
    assert (found.state, found.mm, found.across, found.gaps) == (
        "incomplete",
        12.0,
        1,
        ((END - 9 * HOUR, END - 6 * HOUR),),
    )
    assert sum_of(six, END - HOUR, END).state == "no-reading"


def test_doubtful_readings_are_missing_unless_they_are_wanted() -> None:
    gauge = _gauge({0: 1.0, 1: 900.0, 2: 1.0}, flags={1: Flags.ABOVE})
    left_out = sum_of(gauge, END - 3 * HOUR, END)
    assert (left_out.state, left_out.mm, left_out.doubtful) == ("incomplete", 2.0, 1)
    assert sum_of(gauge, END - 3 * HOUR, END, flagged=True).mm == 902.0
    assert sum_of(_gauge({0: 1.0}, flags={0: Flags.CONVERTED}), END - HOUR, END).state == "complete"


def test_without_an_interval_nobody_knows_what_is_missing() -> None:
    found = sum_of(_gauge({0: 1.0, 5: 2.0}, None), END - 24 * HOUR, END)
    assert (found.state, found.mm, found.covered) == ("unknown", 3.0, None)
    assert sum_of(None, END - HOUR, END).state == "no-reading"


@pytest.mark.parametrize("seed", range(5))
def test_random_series_by_minutes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    slots = np.flatnonzero(rng.random(48) < 0.8)
    gauge = _gauge({float(s) / 2: float(rng.integers(0, 9)) for s in slots}, 1800)
    found = sum_of(gauge, END - 24 * HOUR, END)
    covered = np.zeros(24 * 60, dtype=bool)
    for s in slots:
        covered[s * 30 : (s + 1) * 30] = True
    assert found.covered == pytest.approx(covered.mean())
    assert found.mm == pytest.approx(sum(r.value for r in gauge.reads))
    assert sum(((b - a) for a, b in found.gaps), timedelta()) == timedelta(minutes=int((~covered).sum()))


PLACES = np.array([(115.8, 36.3), (116.2, 36.3), (116.0, 36.7), (115.9, 36.5)])
VALUES = np.array([10.0, 20.0, 60.0, 5.0])


def test_idw_is_that_of_distances_on_the_ellipsoid() -> None:
    rng = np.random.default_rng(3)
    at = rng.uniform((115.7, 36.2), (116.3, 36.8), (40, 2))
    found = idw(PLACES, VALUES, np.vstack((at, PLACES)))
    for (lon, lat), value in zip(at, found, strict=False):
        metres = np.array([CGCS2000.Inverse(lat, lon, y, x)["s12"] for x, y in PLACES])
        assert value == pytest.approx((VALUES / metres**2).sum() / (1 / metres**2).sum(), rel=1e-5)
    assert found[40:].tolist() == VALUES.tolist()
    there, mean = merged(np.vstack((PLACES, PLACES[:1])), np.append(VALUES, 30.0))
    assert len(there) == 4 and mean[(there == PLACES[0]).all(axis=1)] == [20.0]


def test_lines_lie_where_the_surface_has_their_value() -> None:
    lon, lat = np.linspace(115, 116, 21), np.linspace(36, 37, 31)
    plain = Grid(lon, lat, 100 * (lon[None, :] - 115) + 0 * lat[:, None])
    ((level, line),) = isohyets(plain, [25.0])
    assert level == 25.0
    assert shapely.total_bounds(line) == pytest.approx((115.25, 36, 115.25, 37))
    assert shapely.length(line) == pytest.approx(1)
    steps = bands(plain, [25.0, 50.0, 1000.0])
    assert [(low, high) for low, high, _ in steps] == [(25.0, 50.0), (50.0, 1000.0)]
    assert [shapely.total_bounds(s).tolist() for *_, s in steps] == [
        pytest.approx([115.25, 36, 115.5, 37]), pytest.approx([115.5, 36, 116, 37]),
    ]  # fmt: skip
    half = shapely.box(115, 36, 116, 36.5)
    assert shapely.total_bounds(isohyets(plain, [25.0], half)[0][1])[3] == pytest.approx(36.5)
    at = np.column_stack([g.ravel() for g in np.meshgrid(lon, lat)])
    hills = Grid(lon, lat, idw(PLACES, VALUES, at).reshape(31, 21))
    areas = bands(hills, [0.0, 10.0, 20.0, 40.0])
    whole = straight_areas(np.array([shapely.box(115, 36, 116, 37)]))[0]
    assert sum(straight_areas(np.array([s]))[0] for *_, s in areas) == pytest.approx(whole, rel=1e-6)
    for low, high, shape in areas:
        inside = shapely.contains_xy(shape, at[:, 0], at[:, 1])
        values = hills.values.ravel()[inside]
        assert (values >= low).all() and (values <= (high or np.inf)).all() and len(values)


def test_thiessen_means_are_those_of_the_nearest_gauge() -> None:
    area = shapely.Polygon([(115.75, 36.25), (116.25, 36.3), (116.2, 36.75), (115.8, 36.6)])
    cells = thiessen(PLACES, area)
    assert [shapely.contains(c, p) for c, p in zip(cells, shapely.points(PLACES), strict=True)] == [True] * 4
    (mean, count), (nothing, none) = thiessen_means(cells, VALUES, [area, shapely.Point(116, 36.5)])
    assert (count, nothing, none) == (4, None, 0)
    lon, lat = (g.ravel() for g in np.meshgrid(np.linspace(115.75, 116.25, 120), np.linspace(36.25, 36.75, 120)))
    inside = shapely.contains_xy(area, lon, lat)
    lon, lat = lon[inside], lat[inside]
    near = [
        VALUES[np.argmin([CGCS2000.Inverse(y, x, b, a)["s12"] for a, b in PLACES])]
        for x, y in zip(lon[::4], lat[::4], strict=True)
    ]
    weight = np.cos(np.radians(lat[::4]))
    assert mean == pytest.approx(np.average(near, weights=weight), rel=0.02)
    assert thiessen_means(thiessen(PLACES[:1], area), VALUES[:1], [area])[0] == (pytest.approx(10.0), 1)


@pytest.fixture(scope="module")
def run(urls: Urls) -> Iterator[Run]:
    publish(urls)
    codes = [f"P{i:07}" for i in range(6)]
    places = [*PLACES, (116.1, 36.5), (116.05, 36.45)]
    insert(
        urls, RAIN, [{"code": c, "name": c, "geom": f"POINT({x} {y})"} for c, (x, y) in zip(codes, places, strict=True)]
    )
    insert(urls, RAIN, [{"code": "NOWHERE0", "name": "无位置"}])
    insert(urls, "base.township", [
        {"code": "371502001", "name": "东", "geom": "POLYGON((116 36.2,116.3 36.2,116.3 36.8,116 36.8,116 36.2))"},
        {"code": "371502002", "name": "西", "geom": "POLYGON((115.7 36.2,116 36.2,116 36.8,115.7 36.8,115.7 36.2))"},
        {"code": "371502003", "name": "点", "geom": "POINT(116 36.5)"},
    ])  # fmt: skip
    streams = [Datastream(layer=RAIN, device=c, property="rainfall", unit="cm" if c == codes[1] else "mm",
                          interval_s=3600, maximum=20 if c == codes[1] else 200)
               for c in (*codes, "NOWHERE0")]  # fmt: skip
    reads = [((RAIN, c, "rainfall"), END - h * HOUR, v / (10 if c == codes[1] else 1))
             for c, v in zip(codes[:4], (1.0, 2.0, 5.0, 0.0), strict=True) for h in range(30)]  # fmt: skip
    # The fifth lacks three hours; the sixth has read nothing; that without a place is whole.
    reads += [((RAIN, codes[4], "rainfall"), END - h * HOUR, 3.0) for h in range(24) if h not in (2, 3, 4)]
    reads += [((RAIN, "NOWHERE0", "rainfall"), END - h * HOUR, 1.0) for h in range(24)]
    assert take(urls, streams, reads).stored == len(reads)
    with open_run(SETTINGS, urls.reader, language="en") as found:
        yield found


def _run(run: Run, *outputs: str, **inputs: Any) -> dict[str, Any]:
    given = read_inputs(rain_sum.PROCESS, {"datetime": END.isoformat(), **inputs})
    return dict(rain_sum.PROCESS.run(run, given, frozenset(outputs or ("table",))))


def test_sums_by_gauge_and_township(run: Run) -> None:
    table = _run(run)["table"]
    by = {g["code"]: g for g in table["gauges"]}
    assert {c: (g["state"], g["mm"], g["grade"], g["at_least"]) for c, g in by.items()} == {
        "P0000000": ("complete", 24.0, "moderate", False),
        "P0000001": ("complete", pytest.approx(48.0), "heavy", False),
        "P0000002": ("complete", 120.0, "great_storm", False),
        "P0000003": ("complete", 0.0, "trace", False),
        "P0000004": ("incomplete", 63.0, "storm", True),
        "P0000005": ("no-reading", None, None, False),
        "NOWHERE0": ("complete", 24.0, "moderate", False),
    }
    assert by["P0000004"]["gaps"] == [["2024-07-27T03:00:00+08:00", "2024-07-27T06:00:00+08:00"]]
    assert table["totals"]["states"] == {"complete": 5, "incomplete": 1, "no-reading": 1}
    assert (table["totals"]["greatest_at"], table["interpolation"]["gauges"]) == ("P0000002", 4)
    east, west, point = table["districts"]
    cells = thiessen(PLACES, shapely.box(115.7, 36.2, 116.3, 36.8))
    want = thiessen_means(cells, np.array([24.0, 48.0, 120.0, 0.0]), [shapely.box(116, 36.2, 116.3, 36.8)])
    assert east["mm"] == pytest.approx(want[0][0], abs=1e-3) and 0 < west["mm"] < east["mm"]
    assert (point["mm"], point["why"]) == (None, "It has no area, only a point")
    assert table["grades"]["certain"] is False and table["grades"]["name"] == "GB/T 28592-2012"
    for hours in (1, 3, 6):
        short = _run(run, hours=hours, stations=["P0000002"])["table"]
        (gauge,) = short["gauges"]
        assert (gauge["mm"], gauge["grade"]) == (5.0 * hours, None) and short["districts"] == []
        assert "Fewer than 3" in short["interpolation"]["why_none"]


def test_lines_grid_and_csv(run: Run) -> None:
    out = _run(run, "table", "isohyets", "grid", "csv", levels_mm=[20, 60], cell_m=1_000)
    features = out["isohyets"]["features"]
    assert {f["properties"]["kind"] for f in features} == {"band", "line", "gauge"}
    assert [f["properties"]["level_mm"] for f in features if f["properties"]["kind"] == "line"] == [20.0, 60.0]
    json.dumps(out["isohyets"])
    with MemoryFile(out["grid"].data) as memory, memory.open() as file:
        assert file.crs.to_epsg() == 4490
        (value,) = next(file.sample([(116.1, 36.5)]))
        want = idw(PLACES, np.array([24.0, 48.0, 120.0, 0.0]), np.array([(116.1, 36.5)]))[0]
        assert value == pytest.approx(want, rel=0.03)
        line = shapely.geometry.shape(next(f for f in features if f["properties"].get("level_mm") == 60)["geometry"])
        middle = shapely.line_interpolate_point(shapely.get_parts(line)[0], 0.5, normalized=True)
        (there,) = next(file.sample([(middle.x, middle.y)]))
        assert there == pytest.approx(60, rel=0.1)
    rows = list(csv.DictReader(io.StringIO(out["csv"].data.decode("utf-8-sig"))))
    assert [r["code"] for r in rows] == [g["code"] for g in out["table"]["gauges"]]
    nothing = _run(run, "grid", stations=["P0000005"])["grid"]
    with MemoryFile(nothing.data) as memory, memory.open() as file:
        assert np.isnan(file.read(1)).all() and isinstance(file, rasterio.DatasetReader)


def test_bad_questions(run: Run) -> None:
    with pytest.raises(InvalidParameter):
        _run(run, stations=["XXXXXXXX"])
    with pytest.raises(TooLarge):
        _run(run, cell_m=100)
    for wrong in ({"hours": 0}, {"hours": 1e9}, {"levels_mm": [-1]}, {"districts": "base.poi"}):
        with pytest.raises(InvalidBody):
            _run(run, **wrong)
    assert _run(run, datetime="2020-01-01T00:00:00Z")["table"]["totals"]["states"] == {"no-reading": 7}
