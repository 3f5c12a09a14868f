# SPDX-License-Identifier: Apache-2.0
"""Verdicts on the small demo against PostGIS' own areas, what cannot be judged, other dates, edits meanwhile, packs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pytest
import shapely

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.demo.plan_truth import truth
from geocloud.demo.plans import amendments
from geocloud.errors import CatalogueError
from geocloud.jobs.run import Run, open_run
from geocloud.planning.compliance import check_site
from geocloud.planning.compliance_process import PROCESS
from geocloud.planning.compliance_report import report_of
from geocloud.planning.compliance_rules import Pack, folder_of_the_house, read_pack, refuse_what_layers_lack
from geocloud.planning.site import Site, read_site
from geocloud.settings import Settings

SETTINGS = Settings()
HOUSE, _ = read_pack(folder_of_the_house() / "house.yaml")


@pytest.fixture(scope="module")
def city(urls: Urls) -> Urls:
    layers, codes = read_layers(SETTINGS.city.layers_folder)
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, layers, codes)
    wanted = [i for i in layers if i.startswith("planning.")] + ["base.county"]
    demo.load(urls.owner, "small", layers=[i for i in wanted if i != "planning.flood_range"])
    return urls


@pytest.fixture
def run(city: Urls) -> Iterator[Run]:
    with open_run(SETTINGS, city.reader) as opened:
        yield opened


def around(lon: float, lat: float, half: float = 0.002) -> dict[str, Any]:
    return dict(shapely.geometry.mapping(shapely.box(lon - half, lat - half, lon + half, lat + half)))


def site_at(geometry: Any, half: float = 0.002) -> Site:
    at = shapely.point_on_surface(geometry)
    return read_site(around(at.x, at.y, half), SETTINGS)


SPOTS = truth("small")
SITES = [site_at(SPOTS[i].geometry) for i in range(0, len(SPOTS), max(1, len(SPOTS) // 8))]


def rule(document: dict[str, Any], number: str) -> dict[str, Any]:
    return next(r for r in document["rules"] if r["number"] == number)


WORDS = {"zh": "测", "en": "t"}


def one_rule(**changed: Any) -> Pack:
    given: dict[str, Any] = {
        "number": "T1", "title": WORDS, "layer": "planning.land_plan", "test": "overlaps",
        "verdict": "consent", "legal": {"text": WORDS, "source": WORDS, "example": True},
        "bureau": "planning", "next_step": WORDS, "coverage": "rows",
    } | changed  # fmt: skip
    return Pack.model_validate({"name": "t", "version": "1", "title": WORDS, "rules": [given]})


@pytest.mark.parametrize("site", SITES, ids=range(len(SITES)))
def test_overlaps_are_those_of_postgis_and_totals_close(run: Run, site: Site) -> None:
    d = check_site(run, site, HOUSE).document
    with run.reader.cursor() as cur:
        for a in d["areas"]:
            total = sum(c["area_m2"] for c in a["classes"]) - a["doubled_m2"] + a["uncovered_m2"]
            assert total == pytest.approx(site.area_m2, rel=1e-9)
            cur.execute(
                "SELECT coalesce(sum(ST_Area(ST_Segmentize(ST_Intersection(geom, s)::geography, 20))), 0) "
                f"FROM {run.catalogue.layers[a['layer']].table}, ST_GeomFromText(%s, 4490) s "
                "WHERE ST_Intersects(geom, s)",
                (site.geometry.wkt,),
            )
            assert sum(c["area_m2"] for c in a["classes"]) == pytest.approx(cur.fetchone()[0], abs=1.0)
        cur.execute(
            "SELECT coalesce(sum(ST_Area(ST_Intersection(geom, s)::geography)), 0) FROM planning.basic_farmland, "
            "ST_GeomFromText(%s, 4490) s WHERE ST_Intersects(geom, s)",
            (site.geometry.wkt,),
        )
        farmland = cur.fetchone()[0]
    assert rule(d, "C01")["verdict"] == ("refuse" if farmland >= 1 else "clear")


def test_a_layer_without_rows_is_not_judged(run: Run) -> None:
    d = check_site(run, SITES[0], HOUSE).document
    assert rule(d, "C09")["verdict"] == "unknown"
    assert "planning.flood_range" in rule(d, "C09")["why"]["en"]
    gone = check_site(run, SITES[0], one_rule(layer="planning.not_there")).document
    assert (gone["verdict"], gone["counts"]["unknown"]) == ("unknown", 1)


def test_where_no_registered_plan_reaches_nothing_is_clear(run: Run) -> None:
    register = run.catalogue.layers["planning.plan_area"].table
    with run.reader.cursor() as cur:
        cur.execute(f"SELECT ST_AsBinary(geom) FROM {register} WHERE ghlb = 'regulatory_plan'")
        regulated = shapely.from_wkb(bytes(cur.fetchone()[0]))
    west, south, _, _ = regulated.bounds
    d = check_site(run, read_site(around(west - 0.02, south - 0.02), SETTINGS), HOUSE).document
    assert rule(d, "C05")["verdict"] == "unknown"


@pytest.mark.parametrize(
    ("changed", "hits"),
    [
        pytest.param({"test": "overlaps"}, True, id="overlaps"),
        pytest.param({"test": "overlaps", "least_m2": 1e9}, False, id="overlaps, too little"),
        pytest.param({"test": "outside"}, False, id="outside, all covered"),
        pytest.param({"test": "outside", "class_field": "dldm", "classes": ["231"]}, True, id="outside of a class"),
        pytest.param({"test": "share_over", "share": 0.99}, True, id="share over"),
        pytest.param({"test": "share_over", "share": 0.5, "filter": "dldm = 'none'"}, False, id="share, filtered"),
        pytest.param({"test": "nearer", "distance_m": 10.0}, True, id="nearer"),
        pytest.param({"test": "nearer", "distance_m": 1.0, "filter": "dldm = 'none'"}, False, id="nearer, filtered"),
    ],
)
def test_kinds_of_tests(run: Run, changed: dict[str, Any], hits: bool) -> None:
    d = check_site(run, SITES[0], one_rule(**changed)).document
    assert d["verdict"] == ("consent" if hits else "clear")


def test_distances_are_geodesic(run: Run) -> None:
    with run.reader.cursor() as cur:
        cur.execute("SELECT ST_AsBinary(geom) FROM planning.heritage_range ORDER BY fid LIMIT 1")
        west, south, *_ = shapely.from_wkb(bytes(cur.fetchone()[0])).bounds
    site = read_site(around(west - 0.006, south), SETTINGS)
    d = check_site(run, site, one_rule(layer="planning.heritage_range", test="nearer", distance_m=900.0)).document
    with run.reader.cursor() as cur:
        cur.execute(
            "SELECT min(ST_Distance(geom::geography, ST_GeomFromText(%s, 4490)::geography)) "
            "FROM planning.heritage_range",
            (site.geometry.wkt,),
        )
        assert rule(d, "T1")["nearest_m"] == pytest.approx(cur.fetchone()[0], abs=0.5)


def test_before_the_amendment_the_master_plan_said_otherwise(run: Run) -> None:
    changes = []
    for a in amendments("small", "planning.master_plan"):
        with run.reader.cursor() as cur:
            cur.execute("SELECT dldm, ST_AsBinary(geom) FROM planning.master_plan WHERE bsm = %s", (a.bsm,))
            now, shape = cur.fetchone()
        before = a.before.get("dldm", now)
        if (before[0] == "E") != (now[0] == "E"):
            changes.append((site_at(shapely.from_wkb(bytes(shape)), 1e-4), before, now))
    assert changes
    for site, before, now in changes:
        for day, code in (("2021-05-31", before), ("2021-06-01", now)):
            d = check_site(run, site, HOUSE, valid=day).document
            assert rule(d, "C04")["verdict"] == ("refuse" if code[0] == "E" else "clear"), (day, code)


def test_the_same_question_gives_the_same_fingerprint_and_edits_are_not_seen_by_it(city: Urls, run: Run) -> None:
    site, day = SITES[0], "2026-01-01"
    first = check_site(run, site, HOUSE, valid=day).document
    assert check_site(run, site, HOUSE, valid=day).document == first
    conn = psycopg2.connect(city.writer)
    try:
        with conn, conn.cursor() as cur:
            cur.execute(
                "DELETE FROM planning.land_plan WHERE ST_Intersects(geom, ST_GeomFromText(%s, 4490))",
                (site.geometry.wkt,),
            )
    finally:
        conn.close()
    # The run began before the edit and goes on seeing what was.
    assert check_site(run, site, HOUSE, valid=day).document == first
    with open_run(SETTINGS, city.reader) as later:
        assert check_site(later, site, HOUSE, valid=day).document["fingerprint"] != first["fingerprint"]
        then = check_site(later, site, HOUSE, valid=day, asof=first["asof"]).document
        assert then["fingerprint"] == first["fingerprint"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_report_has_every_rule_once(run: Run, language: Any) -> None:
    checked = check_site(run, SITES[1], HOUSE)
    report = report_of(checked, language)
    text = repr(report)
    assert all(r["number"] in text for r in checked.document["rules"])
    assert report.fingerprint == checked.document["fingerprint"]
    assert report.first_map is not None


def test_the_process_answers(run: Run) -> None:
    at = SITES[0].geometry.centroid
    out = PROCESS.run(run, {"site": around(at.x, at.y), "datetime": "2026-01-01"}, frozenset({"report"}))
    assert len(out["report"]["fingerprint"]) == 64


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param("verdict: refuse", "verdict: forbid", "rules.0.verdict", id="verdict"),
        pytest.param("number: C02", "number: C01", "twice", id="number twice"),
        pytest.param("test: overlaps", "test: nearer", "distance_m", id="no distance"),
        pytest.param("class_field: hxlx", "class_field: nothing", "no field", id="field"),
        pytest.param('["E1", "E2", "E9"]', '["E1", "ZZ"]', "`ZZ`", id="code"),
        pytest.param("dldm NOT LIKE '2%'", "dldm LIKE", "filter", id="filter"),
        pytest.param("rules:", "rules: [", "YAML", id="yaml"),
    ],
)
def test_a_faulty_pack_is_refused_with_file_and_line(run: Run, old: str, new: str, says: str, tmp_path: Path) -> None:
    text = (folder_of_the_house() / "house.yaml").read_text(encoding="utf-8")
    path = tmp_path / "house.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CatalogueError, match=says) as caught:
        pack, lines = read_pack(path)
        refuse_what_layers_lack(pack, lines, path, run.catalogue.layers, SETTINGS.web)
    assert f"{path}, line " in caught.value.en
    assert np.isfinite(caught.value.context["line"])
