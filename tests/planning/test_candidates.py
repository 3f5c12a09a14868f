# SPDX-License-Identifier: Apache-2.0
"""Land looked for on the small demo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.jobs.run import Run, open_run
from geocloud.planning.candidates_process import PROCESS
from geocloud.settings import Settings

SETTINGS = Settings()


@pytest.fixture(scope="module")
def city(urls: Urls) -> Urls:
    layers, codes = read_layers(SETTINGS.city.layers_folder)
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, layers, codes)
    wanted = [i for i in layers if i.startswith("planning.")] + ["base.county", "base.road", "facility.school"]
    demo.load(urls.owner, "small", layers=[i for i in wanted if i != "planning.flood_range"])
    return urls


@pytest.fixture
def run(city: Urls) -> Iterator[Run]:
    with open_run(SETTINGS, city.reader) as opened:
        yield opened


def test_try(run: Run) -> None:
    import json, time
    for asked in (
        {"min_area_m2": 100000, "use": "07", "conditions": [
            {"kind": "near", "layer": "facility.school", "distance_m": 3000},
            {"kind": "frontage", "distance_m": 50, "weight": 2},
            {"kind": "outside", "layer": "planning.river_range"},
            {"kind": "far", "layer": "planning.mining_right", "distance_m": 5000},
            {"kind": "raster", "raster": "slope", "max": 15},
        ]},
        {"min_area_m2": 800000, "use": "07"},
        {"min_area_m2": 100000, "use": "01", "boundary": None},
    ):
        t = time.time()
        out = PROCESS.run(run, asked, frozenset({"candidates", "csv", "page", "pdf"}))
        import pathlib, os
        n = len(str(asked))
        pathlib.Path(f"/tmp/w/fs_{n}.pdf").write_bytes(out["pdf"].data); pathlib.Path(f"/tmp/w/fs_{n}.html").write_bytes(out["page"].data); pathlib.Path(f"/tmp/w/fs_{n}.csv").write_bytes(out["csv"].data)
        out = out["candidates"]
        print(json.dumps(out["search"] | {"states": 0}, ensure_ascii=False, indent=1))
        for f in out["features"]:
            p = f["properties"]
            print(f["id"], p["rank"], p["total"], p["area_m2"], p["cut_m2"], p["verdict"], [c["sentence"]["zh"] for c in p["conditions"]])
        print(time.time() - t)
    assert 0
