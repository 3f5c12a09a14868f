# SPDX-License-Identifier: Apache-2.0
"""Supply and demand by areas: a brute-force oracle over squares, cells that add up, and buildings on borders."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import h3
import numpy as np
import pytest
import shapely

from geocloud.db.cluster import Urls
from geocloud.errors import CatalogueError, InvalidParameter
from geocloud.jobs.run import Run, open_run
from geocloud.sectors.parking import gap
from geocloud.sectors.parking.gap import parking_gap
from geocloud.sectors.parking.tables import demand_rates
from tests.sectors.parking_city import LOTS, SETTINGS, Place, make_place

WEST, SOUTH, STEP = 115.95, 36.40, 0.02
RATES = demand_rates().by_use()
USES = ["residential", "commercial", "other", None]


def _buildings() -> list[tuple[str | None, float | None, float | None, int | None, Any]]:
    """Squares at random places, some across borders, some outside; use, floor area, footprint, storeys."""
    rng = np.random.default_rng(11)
    found = []
    for i in range(240):
        x, y = WEST - 0.01 + 0.08 * rng.random(), SOUTH - 0.01 + 0.08 * rng.random()
        floor = None if i % 7 == 0 else round(100 + 5_000 * rng.random(), 1)
        storeys = 3 if i % 14 == 0 else None
        found.append((USES[i % 9 % 4], floor, 400.0, storeys, shapely.box(x, y, x + 0.0008, y + 0.0006)))
    return found


BUILT = _buildings()
TOWNS = {
    f"37150200{i}{k}": shapely.box(WEST + i * STEP, SOUTH + k * STEP, WEST + (i + 1) * STEP, SOUTH + (k + 1) * STEP)
    for i in range(3) for k in range(3)
}  # fmt: skip


@pytest.fixture(scope="module")
def place(urls: Urls) -> Place:
    made = make_place(urls)
    for code, shape in TOWNS.items():
        made.sql("INSERT INTO base.township (code, name, geom) VALUES (%s, %s, ST_Multi(ST_GeomFromText(%s, 4490)))",
                 code, f"{code}镇", shape.wkt)  # fmt: skip
    rows = [(f"B{n}", *facts, shape.wkt) for n, (*facts, shape) in enumerate(BUILT)]
    made.sql(
        'INSERT INTO base.building (code, "use", floor_area_m2, area_m2, storeys, geom) SELECT b->>0, b->>1, '
        "(b->>2)::float8, (b->>3)::float8, (b->>4)::int, ST_Multi(ST_GeomFromText(b->>5, 4490)) "
        "FROM json_array_elements(%s::json) b",
        json.dumps(rows),
    )
    rng = np.random.default_rng(12)
    places = (WEST - 0.01 + 0.08 * rng.random(60)).tolist(), (SOUTH - 0.01 + 0.08 * rng.random(60)).tolist()
    lots = [
        (f"L{n}", None if n % 10 == 0 else n, "planned" if n % 13 == 0 else "running", x, y)
        for n, (x, y) in enumerate(zip(*places, strict=True))
    ]
    made.sql(
        "INSERT INTO facility.parking_lot (code, name, spaces, state, geom) SELECT l->>0, 'x', (l->>1)::int, l->>2, "
        "ST_SetSRID(ST_MakePoint((l->>3)::float8, (l->>4)::float8), 4490) FROM json_array_elements(%s::json) l",
        json.dumps(lots),
    )
    made.add(LOTS, None, None, code="nowhere", name="x", spaces=5)
    # On the border of two townships: in one of them alone.
    made.add(LOTS, WEST + STEP, SOUTH + 0.01, code="border", name="x", spaces=1_000)
    return made


@pytest.fixture
def run(place: Place) -> Iterator[Run]:
    with open_run(SETTINGS, place.urls.reader) as found:
        yield found


def _judged() -> gpd.GeoDataFrame:
    rows = [
        {"floor": f if f is not None else b * s, "rate": RATES[u], "geometry": g}
        for u, f, b, s, g in BUILT
        if u in RATES and (f is not None or (b is not None and s is not None))
    ]
    return gpd.GeoDataFrame(rows, crs=4490)


def test_figures_are_those_of_an_overlay_by_hand(run: Run, place: Place) -> None:
    found = parking_gap(run, "base.township")
    built = _judged()
    demand: dict[str, float] = defaultdict(float)
    floors: dict[str, float] = defaultdict(float)
    for _, b in built.iterrows():
        for code, town in TOWNS.items():
            part = b.geometry.intersection(town).area / b.geometry.area
            floors[code] += part * b.floor
            demand[code] += part * b.floor * b.rate
    rows = {r["code"]: r for r in found["rows"]}
    assert set(rows) == set(TOWNS) and len({r["verdict"] for r in rows.values()}) == 2
    for code, row in rows.items():
        assert row["demand"] == pytest.approx(demand[code], abs=0.01)
        assert row["floor_area_m2"] == pytest.approx(floors[code], abs=0.1)
        assert row["balance"] == pytest.approx(row["spaces"] - row["demand"], abs=0.01)
        assert row["verdict"] == ("short" if row["spaces"] < demand[code] else "enough")
        inside = place.sql(
            "SELECT coalesce(sum(spaces), 0) AS n FROM facility.parking_lot WHERE code <> 'border' "
            "AND state <> 'planned' AND ST_Within(geom, ST_GeomFromText(%s, 4490))", TOWNS[code].wkt,
        )[0]["n"]  # fmt: skip
        assert row["spaces"] - inside in (0, 1_000)
    assert sum(r["spaces"] >= 1_000 for r in rows.values()) == 1
    assert found["table"]["example"] is True and found["table"]["source"]["zh"].startswith("示例")


def test_everything_adds_up_by_townships_and_by_cells(run: Run) -> None:
    built = _judged()
    whole = (built.floor * built.rate).sum()
    totals = []
    for by in ("base.township", "h3:7", "h3:9"):
        found = parking_gap(run, by)
        parts = [*found["rows"], found["outside"]]
        assert sum(r["demand"] or 0 for r in parts) == pytest.approx(whole, abs=0.01 * len(parts))
        assert found["totals"]["demand"] == pytest.approx(whole, abs=0.01)
        assert sum(r["spaces"] for r in parts) == found["totals"]["spaces"]
        totals.append({k: v for k, v in found["totals"].items() if k != "areas"})
        if by != "base.township":
            assert found["outside"]["lots"] == 0 and found["outside"]["demand"] is None
    assert totals[0] == totals[1] == totals[2]
    assert totals[0]["lots_not_running"] == 5 and totals[0]["lots_without_position"] == 1
    assert totals[0]["buildings_without_rate"] == sum(u not in RATES for u, *_ in BUILT) > 0
    known = [(u, f, s) for u, f, _, s, _ in BUILT if u in RATES and f is None]
    assert totals[0]["buildings_floor_area_from_storeys"] == sum(s is not None for *_, s in known) > 0
    assert totals[0]["buildings_without_floor_area"] == sum(s is None for *_, s in known) > 0


def test_cells_are_those_of_the_library(run: Run, place: Place) -> None:
    rows = {r["code"]: r for r in parking_gap(run, "h3:8")["rows"]}
    wanted: dict[str, int] = defaultdict(int)
    for r in place.sql("SELECT ST_X(geom) AS x, ST_Y(geom) AS y, coalesce(spaces, 0) AS n FROM facility.parking_lot "
                       "WHERE geom IS NOT NULL AND state IS DISTINCT FROM 'planned'"):  # fmt: skip
        wanted[h3.latlng_to_cell(r["y"], r["x"], 8)] += r["n"]
    assert {c: r["spaces"] for c, r in rows.items() if r["lots"]} == wanted


def test_csv_and_map_have_the_same_rows(run: Run) -> None:
    out = gap.PROCESS.run(run, {"by": "base.township"}, frozenset({"table", "csv", "areas"}))
    lines = list(csv.DictReader(io.StringIO(out["csv"].data.decode("utf-8-sig"))))
    assert [x["code"] for x in lines] == [r["code"] for r in out["table"]["rows"]] == sorted(TOWNS)
    frame = gpd.GeoDataFrame.from_features(out["areas"], crs=4490)
    assert list(frame["demand"]) == [r["demand"] for r in out["table"]["rows"]]
    assert frame.geometry.iloc[0].equals(TOWNS[sorted(TOWNS)[0]])


def _gap(place: Place, by: str) -> dict[str, Any]:
    """As the city is now; a run sees one state of it."""
    with open_run(SETTINGS, place.urls.reader) as run:
        return parking_gap(run, by)


def test_areas_over_each_other_each_have_what_lies_in_them(place: Place) -> None:
    """And the totals are still those of the city."""
    plain = _gap(place, "base.township")
    last, doubled = sorted(TOWNS)[-1], "999999999"
    insert = "INSERT INTO base.township (code, name, geom) VALUES (%s, '重叠镇', ST_Multi(ST_GeomFromText(%s, 4490)))"
    place.sql(insert, doubled, TOWNS[last].wkt)
    try:
        found = _gap(place, "base.township")
    finally:
        place.sql("DELETE FROM base.township WHERE code = %s", doubled)
    named = {"code": doubled, "name": "重叠镇"}
    assert found["rows"] == [*plain["rows"], {**plain["rows"][-1], **named}]
    assert plain["rows"][-1]["code"] == last and plain["rows"][-1]["demand"] > 0
    assert found["outside"] == plain["outside"] and found["outside"]["demand"] > 0
    assert found["totals"] == {**plain["totals"], "areas": 10, "overlapping": 1}


def test_a_building_over_a_whole_cell_counts_there(place: Place) -> None:
    """No corner of it lies in the cell."""
    cell = h3.latlng_to_cell(SOUTH - 0.05, WEST - 0.05, 9)
    around = shapely.Polygon([(lon, lat) for lat, lon in h3.cell_to_boundary(cell)]).buffer(0.002)
    place.sql('INSERT INTO base.building (code, "use", floor_area_m2, geom) VALUES (%s, %s, 1e6, '
              "ST_Multi(ST_GeomFromText(%s, 4490)))", "hall", "commercial", around.wkt)  # fmt: skip
    try:
        rows = {r["code"]: r for r in _gap(place, "h3:9")["rows"]}
    finally:
        place.sql("DELETE FROM base.building WHERE code = 'hall'")
    inside = shapely.Polygon([(lon, lat) for lat, lon in h3.cell_to_boundary(cell)])
    assert rows[cell]["floor_area_m2"] == pytest.approx(1e6 * inside.area / around.area, rel=1e-4)
    assert set(h3.grid_disk(cell, 1)) <= set(rows)


@pytest.mark.parametrize("by", ["base.road", "h3:16", "h3:x", "", "base.township; DROP TABLE x"])
def test_other_areas_are_refused(run: Run, by: str) -> None:
    with pytest.raises(InvalidParameter):
        parking_gap(run, by)


@pytest.mark.parametrize("rates", ["[{use: a, per_100_m2: -1}]", "[{use: a, per_100_m2: .nan}]",
                                   "[{use: a, per_100_m2: 1}, {use: a, per_100_m2: 2}]"])  # fmt: skip
def test_rates_that_cannot_be_are_refused(tmp_path: Path, rates: str) -> None:
    path = tmp_path / "rates.yaml"
    path.write_text(
        f"dated: 2026-11-29\nexample: true\nsource: {{zh: 甲, en: a}}\nunit: {{zh: 甲, en: a}}\nrates: {rates}\n",
        "utf-8",
    )
    with pytest.raises(CatalogueError):
        demand_rates(path)
