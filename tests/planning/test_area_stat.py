# SPDX-License-Identifier: Apache-2.0
"""Areas by class and district: rows add up, pieces agree with PostGIS, dates and bad input."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.demo.plans import amendments
from geocloud.errors import InvalidParameter, UnknownCollection
from geocloud.jobs.run import Run, open_run
from geocloud.planning.area_stat import PROCESS, area_stat
from geocloud.settings import Settings

SETTINGS = Settings()
LAYERS = ("planning.land_plan", "planning.master_plan", "planning.basic_farmland")


@pytest.fixture(scope="module")
def city(urls: Urls) -> Urls:
    layers, codes = read_layers(SETTINGS.city.layers_folder)
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, layers, codes)
    demo.load(urls.owner, "small", layers=["base.county", *LAYERS])
    return urls


@pytest.fixture
def run(city: Urls) -> Iterator[Run]:
    with open_run(SETTINGS, city.reader) as opened:
        yield opened


@pytest.mark.parametrize("districts", ["base.county", None])
@pytest.mark.parametrize("layer", LAYERS)
def test_rows_add_up_to_the_whole(run: Run, layer: str, districts: str | None) -> None:
    found = area_stat(run, layer, districts=districts)
    assert found["rows"]
    assert sum(r["area_m2"] for r in found["rows"]) == pytest.approx(found["total_m2"], rel=1e-9)
    assert found["closure"] < 1e-9


def test_pieces_are_those_of_postgis(run: Run, city: Urls) -> None:
    found = {(r["district"], r["class"]): r["area_m2"] for r in area_stat(run, "planning.land_plan", "dldm")["rows"]}
    with psycopg2.connect(city.reader) as conn, conn.cursor() as cur:
        cur.execute(
            "SELECT c.code, p.dldm, sum(ST_Area(ST_Intersection(c.geom, p.geom)::geography)) "
            'FROM "base"."county" c JOIN "planning"."land_plan" p ON ST_Intersects(c.geom, p.geom) '
            "GROUP BY 1, 2 HAVING sum(ST_Area(ST_Intersection(c.geom, p.geom)::geography)) > 1"
        )
        expected = {(a, b): float(m) for a, b, m in cur.fetchall()}
    assert expected
    inside = {k: v for k, v in found.items() if k[0] is not None and v > 1}
    assert inside.keys() == expected.keys()
    for key, area in expected.items():
        # PostGIS' edges are geodesics, ours straight in longitude and latitude.
        assert inside[key] == pytest.approx(area, rel=1e-4), key


def test_a_day_before_an_amendment_has_its_own_classes(run: Run) -> None:
    changed = amendments("small", "planning.master_plan")
    assert changed
    now = area_stat(run, "planning.master_plan", "dldm", None)
    before = area_stat(run, "planning.master_plan", "dldm", None, datetime="2021-05-31T00:00:00+08:00")
    open_land = [next(r for r in d["rows"] if r["class"] == "E2") for d in (before, now)]
    assert before["total_m2"] == pytest.approx(now["total_m2"], rel=1e-9)
    assert open_land[0]["features"] != open_land[1]["features"]


def test_a_filter_is_a_part_and_the_csv_says_the_same(run: Run) -> None:
    out = PROCESS.run(run, {"layer": "planning.land_plan", "filter": "dldm = '112'"}, frozenset({"table", "csv"}))
    assert {r["class"] for r in out["table"]["rows"]} == {"112"}
    lines = out["csv"].data.decode("utf-8-sig").splitlines()
    assert len(lines) == 1 + len(out["table"]["rows"])


def test_what_cannot_be_asked_is_told(run: Run) -> None:
    with pytest.raises(UnknownCollection):
        area_stat(run, "planning.nothing")
    with pytest.raises(InvalidParameter, match="by"):
        area_stat(run, "planning.land_plan", "no_such_field")
    with pytest.raises(InvalidParameter, match="districts"):
        area_stat(run, "planning.land_plan", districts="base.road")
