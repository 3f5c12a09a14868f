# SPDX-License-Identifier: Apache-2.0
"""Processes asked over HTTP where the layers they read are internal: they say so in words, and none breaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import Access
from geocloud.db.cluster import Urls
from geocloud.errors import GeocloudError, JobFailed
from geocloud.jobs.inputs import read_inputs
from geocloud.jobs.run import open_run, run_process
from geocloud.sectors import registry
from geocloud.sensing.values import sources
from geocloud.settings import Settings

POINT = {"type": "Point", "coordinates": [115.9863, 36.4526]}
RING = [[115.98, 36.45], [115.9811, 36.45], [115.9811, 36.4509], [115.98, 36.4509], [115.98, 36.45]]
# What processes cannot do without; all of it names what is internal here.
INPUTS: dict[str, dict[str, Any]] = {
    "area-stat": {"layer": "planning.present_land"},
    "areal-interpolate": {"source": "base.village", "field": "population", "target": "township"},
    "compliance-check": {"site": {"type": "Polygon", "coordinates": [RING]}},
    "culture-on": {"point": POINT},
    "culture-trail": {"start": POINT},
    "grid-fusion": {"a": "grid.unit_grid", "b": "base.community"},
    "grid-generate": {"community": "371502001001"},
    "incident-circle": {"point": POINT},
    "inundate": {"raster": "demo_dem", "point": POINT, "level_m": 30, "datum": "raster"},
    "parking-forecast": {"lot": "L1"},
    "parking-history": {"lot": "L1"},
    "parking-near": {"point": POINT},
    "plan-acceptance": {"layer": "planning.present_land"},
    "plan-conflicts": {"record": False},
    "project-generate": {"min_area_m2": 1000, "use": "08"},
    "resource-dispatch": {"point": POINT, "needs": [{"item": "tent", "quantity": 200}]},
    "responsible-at": {"point": POINT},
    "sitrep": {"incident": "E1"},
    "water-trace": {"point": POINT},
}


@pytest.fixture(scope="module")
def house(urls: Urls) -> Iterator[Urls]:
    """All layers of the house as they are shipped, but for `access.read`."""
    layers, codes = registry.definitions(Settings.read().city)
    hidden = {
        i: x.model_copy(update={"access": Access(read="internal", edit=x.access.edit)}) for i, x in layers.items()
    }
    conn = psycopg2.connect(urls.owner)
    sync(conn, hidden, codes)
    conn.close()
    yield urls


@pytest.mark.parametrize("name", sorted(registry.processes()))
def test_a_process_without_its_layers(house: Urls, name: str) -> None:
    process = registry.find(name)
    inputs = read_inputs(process, INPUTS.get(name, {}))
    wanted = frozenset(o.name for o in process.outputs)
    try:
        results = run_process(
            process, Settings.read(), inputs, wanted, reader_url=house.reader, writer_url=house.writer, public=True
        )
    except GeocloudError as exc:
        assert not isinstance(exc, JobFailed) and exc.zh and exc.en
    else:
        assert wanted <= results.keys()


def test_readings_of_a_layer_that_a_run_does_not_know(house: Urls) -> None:
    conn = psycopg2.connect(house.owner)
    with conn, conn.cursor() as cur:
        cur.execute(
            "INSERT INTO sensing.datastream (layer, device, property, unit) "
            "VALUES ('facility.river_gauge', 'R1', 'water_level', 'm')"
        )
    conn.close()
    for public, found in ((True, 0), (False, 1)):
        with open_run(Settings.read(), house.reader, public=public) as run:
            assert len(sources(run, "facility.river_gauge", "water_level")) == found
            assert bool(run.catalogue.layers) is not public
