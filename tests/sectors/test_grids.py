# SPDX-License-Identifier: Apache-2.0
"""The processes of unit grids over the demo city in a real database: what was made passes, what is broken is found."""

from __future__ import annotations

import json
from collections.abc import Iterator

import jsonschema
import psycopg2
import pytest
import shapely

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.cli import main
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.demo.grids import LAYERS
from geocloud.errors import InvalidParameter, UnknownCollection
from geocloud.jobs.model import Blob, Process
from geocloud.jobs.run import Run, open_run
from geocloud.sectors.grids import check, generate
from geocloud.sectors.grids.check import grid_check
from geocloud.sectors.grids.generate import grid_generate
from geocloud.sectors.registry import processes
from geocloud.settings import Settings

SETTINGS = Settings()
HOME = "371502001001"
GROUND = ("base.village", "base.road", "base.water_line", "base.water_area", "base.building", "facility.component")
ASKED = {"grid-check": {"community": HOME}, "grid-generate": {"community": HOME, "target_m2": 200_000}}


@pytest.fixture(scope="module")
def city(urls: Urls) -> Urls:
    layers, codes = read_layers(SETTINGS.city.layers_folder)
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, layers, codes)
    loaded = {x.layer: x for x in demo.load(urls.owner, "small", layers=[*GROUND, *LAYERS])}
    assert all(loaded[i].rows for i in LAYERS)
    return urls


@pytest.fixture
def run(city: Urls) -> Iterator[Run]:
    with open_run(SETTINGS, city.reader) as opened:
        yield opened


@pytest.mark.parametrize("process", (check.PROCESS, generate.PROCESS), ids=lambda p: p.id)
def test_an_answer_is_what_its_outputs_say(run: Run, process: Process) -> None:
    assert processes()[process.id] is process
    for said in (*process.inputs, *process.outputs):
        jsonschema.Draft202012Validator.check_schema(said.schema)
    found = process.run(run, ASKED[process.id], frozenset(o.name for o in process.outputs))
    for output in process.outputs:
        value = found[output.name]
        if isinstance(value, Blob):
            assert value.media_type == output.media_type
            assert json.loads(value.data)["type"] == "FeatureCollection"
        else:
            jsonschema.validate(value, output.schema)


def test_the_demo_is_sound_but_for_its_size(run: Run) -> None:
    found = grid_check(run)
    assert found.document["synthetic"] and found.document["grids"] == found.document["rows"] > 100
    verdicts = {r["number"]: r["verdict"] for r in found.document["rules"]}
    # Communities of the small demo city are far larger than real ones; see geocloud/demo/grids.py.
    assert {n for n, v in verdicts.items() if v == "found"} <= {"G7", "G8"}
    places = json.loads(found.places())
    assert len(places["features"]) == len(found.findings)


def test_faults_in_the_database_are_found(city: Urls) -> None:
    with psycopg2.connect(city.owner) as conn, conn.cursor() as cur:
        cur.execute(
            "UPDATE grid.unit_grid SET geom = ST_Multi(ST_Buffer(geom, 0.0001)) WHERE code = %s", (f"{HOME}005",)
        )
        cur.execute("UPDATE grid.unit_grid SET state = '作废' WHERE code = %s", (f"{HOME}007",))
        cur.execute("DELETE FROM grid.unit_grid WHERE code = %s", (f"{HOME}009",))
        cur.execute("UPDATE grid.unit_grid SET code = '371502001999001' WHERE code = %s", (f"{HOME}011",))
        conn.commit()
        with open_run(SETTINGS, city.reader) as run:
            found = grid_check(run, community="371502001")
            by_rule = {r["number"]: r for r in found.document["rules"]}
            assert found.document["verdict"] == "rejected"
            assert by_rule["G2"]["findings"] == 1 and by_rule["G2"]["listed"][0]["code"] == "371502001999001"
            assert by_rule["G6"]["findings"] > 1 and by_rule["G10"]["findings"] == 1
            assert by_rule["G9"]["listed"][0]["code"] == f"{HOME}007"
            only = grid_check(run, community=HOME, rules=["G9"]).document
            assert [r["number"] for r in only["rules"]] == ["G9"]
            # Before the deletion nothing was missing there; a deletion ends the grid's valid time.
            listed = by_rule["G6"]["listed"]
            assert all(x["place"] for x in listed)


def test_grids_that_are_made_cover_their_community(run: Run) -> None:
    made = grid_generate(run, HOME, 200_000, layer="grid.professional_grid")
    document = made.document
    assert document["grids"] > 20 and document["closure"] < 1e-9 and document["synthetic"]
    assert document["first"] == f"{HOME}001"
    collection = json.loads(made.grids)
    shapes = [shapely.from_geojson(json.dumps(f["geometry"])) for f in collection["features"]]
    assert shapely.coverage_is_valid(shapes)
    assert all(s.geom_type == "Polygon" and s.is_valid for s in shapes)
    # Numbers that the layer has ever had are not given again.
    assert int(grid_generate(run, HOME, 200_000).document["first"][-3:]) > 50


def test_what_cannot_be_asked_is_told(run: Run) -> None:
    with pytest.raises(UnknownCollection):
        grid_check(run, "grid.nothing")
    with pytest.raises(InvalidParameter, match="layer"):
        grid_check(run, "base.road")
    with pytest.raises(InvalidParameter, match="no grids"):
        grid_check(run, community="371599")
    with pytest.raises(InvalidParameter, match="rule"):
        grid_check(run, rules=["G11"])
    with pytest.raises(InvalidParameter, match="community"):
        grid_generate(run, "371502001998")


def test_command_tells_codes(capsys: pytest.CaptureFixture[str]) -> None:
    for args, expected in (
        (["115.981", "36.456", "--level", "6"], "N50J305D7C51"),
        (["115.981", "36.456", "--level", "8", "--height", "35.2"], "N050J0030050D70C5010664334"),
        (["N50J475491E-20"], "N50J475493E"),
        (["N050J0030050D70C5010664334"], "N50J305D7C516633"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["grids", "code", *args])
        assert ended.value.code == 0
        assert expected in capsys.readouterr().out
