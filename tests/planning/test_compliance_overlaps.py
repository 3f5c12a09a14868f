# SPDX-License-Identifier: Apache-2.0
"""The overlaps a check draws are those it counts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import shapely

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.demo.plan_truth import truth
from geocloud.geodesy.straight import straight_areas
from geocloud.jobs.run import Run, open_run
from geocloud.planning.compliance import check_site
from geocloud.planning.compliance_overlaps import overlaps_of
from geocloud.planning.compliance_process import PROCESS
from geocloud.planning.compliance_rules import folder_of_the_house, read_pack
from geocloud.planning.site import Site, read_site
from geocloud.settings import Settings

SETTINGS = Settings()
HOUSE, _ = read_pack(folder_of_the_house() / "house.yaml")
SPOTS = truth("small")


@pytest.fixture(scope="module")
def run(urls: Urls) -> Iterator[Run]:
    layers, codes = read_layers(SETTINGS.city.layers_folder)
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, layers, codes)
    demo.load(urls.owner, "small", layers=[i for i in layers if i.startswith("planning.")] + ["base.county"])
    with open_run(SETTINGS, urls.reader) as opened:
        yield opened


def site_of(number: str) -> Site:
    at = shapely.point_on_surface(next(s.geometry for s in SPOTS if s.rule == number))
    square = shapely.box(at.x - 3e-3, at.y - 3e-3, at.x + 3e-3, at.y + 3e-3)
    return read_site(shapely.geometry.mapping(square), SETTINGS)


@pytest.mark.parametrize("planted", ["L1", "F1", "E1", "R1"])
def test_each_rule_that_hits_is_drawn_with_the_area_it_counts_and_within_the_site(run: Run, planted: str) -> None:
    site = site_of(planted)
    checked = check_site(run, site, HOUSE)
    features = overlaps_of(checked, HOUSE)["features"]
    hits = {r["number"]: r for r in checked.document["rules"]
            if r["verdict"] not in ("clear", "unknown") and r["overlap_m2"] > 0}  # fmt: skip
    assert hits
    assert {f["properties"]["rule"] for f in features} == hits.keys()
    around = site.geometry.buffer(1e-8)
    for number, rule in hits.items():
        own = [f for f in features if f["properties"]["rule"] == number]
        shapes = np.array([shapely.geometry.shape(f["geometry"]) for f in own], dtype=object)
        assert shapely.covered_by(shapes, around).all()
        together = float(straight_areas(np.array([shapely.union_all(shapes)], dtype=object))[0])
        assert together == pytest.approx(rule["overlap_m2"], abs=0.1)
        for f, area in zip(own, straight_areas(shapes), strict=True):
            assert f["properties"]["area_m2"] == pytest.approx(float(area), abs=0.1)
            assert f["properties"]["verdict"] == rule["verdict"]
            assert f["properties"]["layer"] == rule["layer"]


def test_classes_are_told_apart(run: Run) -> None:
    checked = check_site(run, site_of("L1"), HOUSE)
    found = [f["properties"] for f in overlaps_of(checked, HOUSE)["features"]]
    of_master = {f["class"] for f in found if f["layer"] == "planning.master_plan"}
    assert of_master
    assert None not in of_master
    assert all(f["class"] is None for f in found if f["layer"] == "planning.urban_boundary")


def test_overlaps_are_made_without_a_report(run: Run) -> None:
    at = site_of("F1").geometry
    found = PROCESS.run(run, {"site": shapely.geometry.mapping(at)}, frozenset({"overlaps"}))
    assert found.keys() == {"report", "overlaps"}
    assert found["overlaps"]["features"]
