# SPDX-License-Identifier: Apache-2.0
"""What every process promises: schemas that are schemas, names used once, answers that fit what is described."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.jobs.model import Blob, Process
from geocloud.jobs.run import open_run
from geocloud.planning.processes import PROCESSES
from geocloud.settings import Settings

SETTINGS = Settings()
RING = [[115.97, 36.44], [115.98, 36.44], [115.98, 36.45], [115.97, 36.45], [115.97, 36.44]]
ASKED: dict[str, dict[str, Any]] = {
    "area-stat": {"layer": "planning.basic_farmland"},
    "plan-acceptance": {"layer": "planning.basic_farmland", "district": "371502", "rules": ["Q01", "Q17", "Q30"]},
    "project-generate": {"min_area_m2": 1_000, "from": "planning.basic_farmland", "use": "01", "boundary": None},
    "plan-conflicts": {"plans": ["planning.basic_farmland", "planning.urban_boundary"]},
    "spot-burndown": {"points": 2},
    "compliance-check": {"site": {"type": "Polygon", "coordinates": [RING]}},
}
EACH = pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.id)


@pytest.fixture(scope="module")
def city(urls: Urls) -> Urls:
    layers, codes = read_layers(SETTINGS.city.layers_folder)
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, layers, codes)
    demo.load(urls.owner, "small", layers=["base.county", "planning.plan_area", "planning.basic_farmland"])
    return urls


@EACH
def test_schemas_are_json_schemas_and_names_are_used_once(process: Process) -> None:
    for said in (*process.inputs, *process.outputs):
        jsonschema.Draft202012Validator.check_schema(said.schema)
    for names in ([i.name for i in process.inputs], [o.name for o in process.outputs]):
        assert len(names) == len(set(names)), names


@EACH
def test_an_answer_is_what_its_outputs_say(city: Urls, process: Process) -> None:
    asked = ASKED[process.id]
    for given in process.inputs:
        if given.name in asked:
            jsonschema.validate(asked[given.name], given.schema)
    steps: list[float] = []
    with open_run(SETTINGS, city.reader, progress=lambda share, _zh, _en: steps.append(share)) as run:
        found = process.run(run, asked, frozenset(o.name for o in process.outputs))
    assert steps == sorted(steps)
    for output in process.outputs:
        value = found[output.name]
        if isinstance(value, Blob):
            assert value.data
            assert value.media_type.split(";")[0] == output.media_type
        else:
            jsonschema.validate(value, output.schema)
