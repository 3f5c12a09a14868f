# SPDX-License-Identifier: Apache-2.0
"""Two real plans of another city, zoning and built form: pairs and areas as geopandas finds them, rates of slivers."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import geopandas as gpd
import pyproj
import pytest
import shapely

from geocloud.db.cluster import Urls
from geocloud.jobs.run import open_run
from geocloud.planning.comparison import run_comparison
from geocloud.settings import Settings
from tests.planning.plan_pair import A, B, matrix, publish, put

GEOD = pyproj.Geod(a=6378137.0, rf=298.257222101)


def area(shape: object) -> float:
    """Ellipsoidal square metres by pyproj, of edges straight in longitude and latitude: short geodesics, as good as."""
    return abs(GEOD.geometry_area_perimeter(shapely.orient_polygons(shapely.segmentize(shape, 2e-4)))[0])


def plan(path: Path, field: str) -> gpd.GeoDataFrame:
    """A plan with its invalid polygons repaired; polygons alone."""
    frame = gpd.read_file(path).assign(bsm=lambda f: f["OBJECTID"].astype(str), dldm=lambda f: f[field].astype(str))
    repaired = frame.geometry.make_valid()
    frame["geometry"] = [
        g if g.geom_type in ("Polygon", "MultiPolygon")
        else shapely.union_all([p for p in shapely.get_parts(g) if p.geom_type in ("Polygon", "MultiPolygon")])
        for g in repaired
    ]  # fmt: skip
    return frame[["bsm", "dldm", "geometry"]]


def test_every_pair_and_its_area_is_what_geopandas_finds(
    urls: Urls, shared_data: Path, record_property: pytest.RecordProperty
) -> None:
    folder = shared_data / "plans" / "minneapolis"
    raw = gpd.read_file(folder / "Planning_Zoning_Built_Form.geojson")
    assert int((~raw.geometry.is_valid).sum()) == 6
    zoning = plan(folder / "Primary_Zoning_corrected.geojson", "ZONE_CODE")
    form = plan(folder / "Planning_Zoning_Built_Form.geojson", "Built_Form")
    publish(urls)
    for layer, frame in ((A, zoning), (B, form)):
        put(urls, layer, {r.bsm: (r.dldm, r.geometry) for r in frame.itertuples()})
    every = matrix(a={"layer": A, "class_field": "dldm"}, b={"layer": B, "class_field": "dldm"})
    with open_run(Settings(), urls.reader) as run:
        answer = run_comparison(run, every, slivers=True)
        quick = run_comparison(run, every)
    ours: defaultdict[tuple[str, str], float] = defaultdict(float)
    for f in answer.found:
        ours[f.key_a, f.key_b] += f.area_m2
    met = gpd.overlay(zoning, form, how="intersection", keep_geom_type=True, make_valid=False)
    theirs: defaultdict[tuple[str, str], float] = defaultdict(float)
    for r in met.itertuples():
        theirs[r.bsm_1, r.bsm_2] += area(r.geometry)
    # Areas of slivers are known to some square centimetres: pyproj adds up areas down to the equator.
    least = 0.01
    missed = [(p, a) for p, a in theirs.items() if a > 2 * least and p not in ours]
    invented = [(p, a) for p, a in ours.items() if a > 2 * least and p not in theirs]
    assert (missed, invented) == ([], [])
    for pair in ours.keys() | theirs.keys():
        assert ours[pair] == pytest.approx(theirs[pair], rel=1e-6, abs=least), pair
    # The short way finds the same real differences as the long one.
    real = [f for f in answer.found if f.kind == "none"]
    assert [(f.key_a, f.key_b, f.area_m2) for f in quick.found] == [(f.key_a, f.key_b, f.area_m2) for f in real]
    for p in answer.document["plans"]:
        assert p["closure"] < 1e-9
    told = answer.document["rules"][0]
    record_property("pairs", len(ours))
    record_property("real", len(real))
    record_property("slivers", told["slivers"])
    record_property("kinds", str(told["sliver_kinds"]))
    assert told["slivers"] == len(answer.found) - len(real) > 0
    print(f"{len(ours)} pairs, {len(real)} real, {told['slivers']} slivers {told['sliver_kinds']}")
