# SPDX-License-Identifier: Apache-2.0
"""A faulty plan as bureaus deliver it, with Chinese columns in a projected system, through the command: every planted
fault is found, nothing else is, and what is written says so."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pypdf
import pytest
import shapely

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls, admin_url
from geocloud.db.pool import connect
from geocloud.errors import InvalidParameter, UnreadableFile
from geocloud.geodesy.area import areas
from geocloud.jobs.run import open_run
from geocloud.planning.acceptance_process import PROCESS
from geocloud.settings import DatabaseSettings, Settings

SETTINGS = Settings()
NAMES = {"bsm": "标识码", "dldm": "规划地类", "xzqdm": "行政区代码", "mj": "面积", "zrbm": "责任部门"}
Call = Callable[..., subprocess.CompletedProcess[str]]


@dataclass
class Faulty:
    """A delivered file and what was planted: findings by rule, and their areas where they have one."""

    path: Path
    counts: dict[str, int]
    areas: dict[str, float]


@pytest.fixture(scope="module")
def city(urls: Urls) -> Urls:
    layers, codes = read_layers(SETTINGS.city.layers_folder)
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, layers, codes)
    demo.load(urls.owner, "small", layers=["base.county", "planning.land_plan", "planning.plan_area"])
    return urls


@pytest.fixture(scope="module")
def frame(city: Urls) -> Any:
    """The demo's plan, in the order of its ids."""
    sql = f"SELECT {', '.join(NAMES)}, ST_AsBinary(geom) FROM planning.land_plan ORDER BY fid"
    with connect(city.owner, application_name="test") as conn, conn.cursor() as cur:
        cur.execute(sql)
        rows = cur.fetchall()
    data = {n: [r[k] for r in rows] for k, n in enumerate(NAMES)}
    shapes = shapely.from_wkb([bytes(r[-1]) for r in rows])
    return geopandas.GeoDataFrame(data, geometry=shapes, crs="EPSG:4490")


def piece(shape: Any) -> Any:
    """A small square well inside a polygon."""
    x, y = shapely.maximum_inscribed_circle(shape, 1e-5).coords[0]
    return shapely.box(x - 3e-4, y - 2e-4, x + 3e-4, y + 2e-4)


def area(*shapes: Any) -> float:
    """Geodesic area of the shapes with edges that are straight in longitude and latitude."""
    out = np.empty(len(shapes), dtype=object)
    out[:] = shapes
    return float(areas(shapely.segmentize(out, 2e-4)).sum())


def plant(frame: Any) -> tuple[Any, dict[str, int], dict[str, float]]:
    """The plan with faults in it: eleven kinds, at features far from each other."""
    f = frame.copy()
    solid = [i for i in np.argsort(-areas(f.geometry.to_numpy())) if len(f.geometry[i].geoms) == 1][:40]
    one = iter(solid)
    a, b, c, d, e, g, h, k, m, n = (int(next(one)) for _ in range(10))
    f.loc[a, "dldm"] = None
    f.loc[b, "dldm"] = "999"
    f.loc[c, "xzqdm"] = "37A502"
    f.loc[d, "bsm"] = f.loc[e, "bsm"]
    f.loc[g, "mj"] = float(f.loc[g, "mj"]) * 1.05
    off = float(f.loc[g, "mj"]) - area(f.geometry[g])
    gap, over = piece(f.geometry[h]), piece(f.geometry[k])
    f.loc[h, "geometry"] = shapely.multipolygons([shapely.difference(f.geometry[h], gap)])
    f.loc[h, "mj"] = area(f.geometry[h])

    def more(shape: Any, number: str, stated: float) -> dict[str, Any]:
        return {**f.loc[m].to_dict(), "bsm": number, "mj": stated, "geometry": shape}

    w, s, _, _ = f.total_bounds
    away = shapely.box(w - 0.02, s, w - 0.01, s + 0.01)
    bow = shapely.Polygon([(w - 0.04, s), (w - 0.03, s + 0.01), (w - 0.03, s), (w - 0.04, s + 0.01)])
    extra = [
        more(over, "more-1", area(over)),
        more(f.geometry[n], "more-2", float(f.loc[n, "mj"])),
        more(None, "more-3", 1.0),
        more(away, "more-4", area(away)),
        more(bow, "more-5", 1.0),
    ]
    out = geopandas.GeoDataFrame([*f.to_dict("records"), *extra], geometry="geometry", crs=f.crs)
    counts = {
        "Q01": 1, "Q02": 1, "Q04": 1, "Q06": 1, "Q10": 2, "Q11": 1, "Q12": 1, "Q13": 1, "Q21": 2, "Q30": 1,
    }  # fmt: skip
    halves = shapely.make_valid(bow, method="structure", keep_collapsed=False)
    found = {"Q12": area(over), "Q13": area(gap), "Q21": area(away, halves), "Q30": off, "Q11": area(f.geometry[n])}
    return out, counts, found


def columns(f: Any) -> Any:
    return f.rename(columns=NAMES)


@pytest.fixture(scope="module")
def faulty(frame: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Faulty]:
    made, counts, found = plant(frame)
    folder = tmp_path_factory.mktemp("delivered")
    projected = columns(made).to_crs("EPSG:4548")
    shp = folder / "土地利用总体规划.shp"
    pyogrio.write_dataframe(projected, shp, encoding="GBK", driver="ESRI Shapefile")
    gpkg = folder / "土规.gpkg"
    pyogrio.write_dataframe(columns(made), gpkg, layer="规划地类")
    return {"shp": Faulty(shp, counts, found), "gpkg": Faulty(gpkg, counts, found)}


@pytest.fixture(scope="module")
def call(city: Urls, cluster: DatabaseSettings, database: str, open_tmp: Path) -> Call:
    env = os.environ | {
        "GEOCLOUD_DATABASE_URL": admin_url(cluster, database),
        "GEOCLOUD_HOME": str(open_tmp / "accept"),
        "GEOCLOUD_LANGUAGE": "zh",
    }

    def run(*args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "geocloud.cli", "plans", *args]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def state(urls: Urls) -> Any:
    with connect(urls.owner, application_name="test") as conn, conn.cursor() as cur:
        cur.execute("SELECT layer, version, row_count FROM geocloud.layer_state ORDER BY layer")
        return cur.fetchall()


def hits(document: dict[str, Any]) -> dict[str, int]:
    return {r["number"]: r["findings"] for r in document["rules"] if r["findings"]}


@pytest.mark.parametrize("kind", ["shp", "gpkg"])
def test_every_planted_fault_is_found_and_none_else(
    call: Call, city: Urls, faulty: dict[str, Faulty], kind: str, tmp_path: Path
) -> None:
    given, before = faulty[kind], state(city)
    files = {s: tmp_path / f"质检.{s}" for s in ("json", "html", "pdf", "gpkg")}
    outs = [x for p in files.values() for x in ("--out", str(p))]
    done = call("accept", str(given.path), "--layer", "planning.land_plan", *outs, code=43)
    assert "退回" in done.stdout and "退回" in done.stderr
    assert state(city) == before
    document = json.loads(files["json"].read_text(encoding="utf-8"))
    assert document["verdict"] == "rejected"
    assert hits(document) == given.counts
    for r in document["rules"]:
        if r["number"] in given.areas:
            assert r["area_m2"] == pytest.approx(given.areas[r["number"]], abs=1), r["number"]
    assert document["plan"]["columns"] == NAMES
    text = "".join("".join(p.extract_text() for p in pypdf.PdfReader(files["pdf"]).pages).split())
    page = files["html"].read_text(encoding="utf-8")
    places: list[Any] = [
        geopandas.read_file(files["gpkg"], layer=n)
        for n in pyogrio.list_layers(files["gpkg"])[:, 0]
        if n != "layer_styles"
    ]
    for number, times in given.counts.items():
        assert number in text and number in page
        assert sum((p["rule"] == number).sum() for p in places) == times, number
    drawn = next(p for p in places if (p["rule"] == "Q12").any())
    (one,) = drawn[drawn["rule"] == "Q12"].itertuples()
    assert area(one.geometry) == pytest.approx(given.areas["Q12"], abs=1)
    assert one.feature and one.other and "重叠" in one.message_zh and "overlaps" in one.message_en
    kept = os.environ.get("GEOCLOUD_TEST_KEEP")
    for path in files.values() if kept else ():
        (Path(kept or "") / f"accept-{kind}{path.suffix}").write_bytes(path.read_bytes())


def test_one_rule_alone_and_the_same_again(call: Call, faulty: dict[str, Faulty]) -> None:
    asked = (
        "accept",
        str(faulty["gpkg"].path),
        "--layer",
        "planning.land_plan",
        "--rule",
        "Q13",
        "--date",
        "2024-01-01",
    )
    first, again = (json.loads(call(*asked, "--json", code=43).stdout) for _ in range(2))
    assert [r["number"] for r in first["rules"]] == ["Q13"]
    assert first == again


def test_the_clean_plan_is_accepted_as_a_file_and_as_a_layer(call: Call, frame: Any, tmp_path: Path) -> None:
    path = tmp_path / "plan.gpkg"
    pyogrio.write_dataframe(columns(frame), path)
    as_file = json.loads(call("accept", str(path), "--layer", "planning.land_plan", "--json").stdout)
    as_layer = json.loads(call("accept", "planning.land_plan", "--json").stdout)
    for d in (as_file, as_layer):
        assert (d["verdict"], hits(d), d["counts"]["unknown"]) == ("accepted", {}, 0)
    assert as_file["plan"]["area_m2"] == pytest.approx(as_layer["plan"]["area_m2"], rel=1e-9)


def test_a_file_without_required_columns_is_told_and_not_refused(call: Call, frame: Any, tmp_path: Path) -> None:
    path = tmp_path / "plan.gpkg"
    pyogrio.write_dataframe(columns(frame)[["标识码", "geometry"]], path)
    d = json.loads(call("accept", str(path), "--layer", "planning.land_plan", "--json", code=43).stdout)
    rules = {r["number"]: r for r in d["rules"]}
    assert rules["Q01"]["findings"] == 2
    assert "规划地类" in rules["Q01"]["listed"][0]["message"]["zh"]
    for number in ("Q04", "Q05", "Q30"):
        assert rules[number]["verdict"] == "unknown", number


def test_a_plan_in_an_older_system_and_at_an_earlier_date(call: Call, frame: Any, tmp_path: Path) -> None:
    path = tmp_path / "plan.gpkg"
    pyogrio.write_dataframe(columns(frame).iloc[:40], path)
    asked = ("accept", str(path), "--layer", "planning.land_plan", "--rule", "Q05", "--rule", "Q07", "--json")
    old = json.loads(call(*asked, "--date", "2005-01-01", "--crs", "EPSG:4610", code=43).stdout)
    assert {r["number"]: r["findings"] for r in old["rules"]} == {"Q05": 40, "Q07": 1}


def test_what_cannot_be_asked_is_told(call: Call, faulty: dict[str, Faulty]) -> None:
    path = str(faulty["shp"].path)
    assert "--layer" in call("accept", path, code=2).stderr
    assert "planning.nothing" in call("accept", path, "--layer", "planning.nothing", code=52).stderr
    assert "planning.nothing" in call("accept", "planning.nothing", code=52).stderr
    assert "Q99" in call("accept", path, "--layer", "planning.land_plan", "--rule", "Q99", code=51).stderr
    assert "面" in call("accept", "base.poi", code=51).stderr
    assert call("accept", "missing.shp", "--layer", "planning.land_plan", code=41).stderr
    assert call("accept", path, "--layer", "planning.land_plan", "--out", "x.doc", code=2).stderr


def test_rules_are_listed_explained_and_tested(call: Call, tmp_path: Path) -> None:
    assert "Q12" in call("rules", "list").stdout
    assert "least_m2: 1.0" in call("rules", "explain", "Q12").stdout
    assert "Q30" in call("rules", "test").stdout
    assert {t["rule"] for t in json.loads(call("rules", "test", "--rule", "Q13", "--json").stdout)} == {"Q13"}
    text = (Path(__file__).parents[2] / "ogc_config/rule_packs/acceptance/house.yaml").read_text(encoding="utf-8")
    own = tmp_path / "own.yaml"
    own.write_text(
        text.replace("name: house", "name: own").replace("kind: gap, least_m2: 1", "kind: gap, least_m2: 999")
    )
    assert "Q13" in call("rules", "test", "--pack", str(own), code=30).stdout


def test_the_process_takes_a_file(city: Urls, faulty: dict[str, Faulty]) -> None:
    value = base64.b64encode(faulty["gpkg"].path.read_bytes()).decode()
    asked = {"layer": "planning.land_plan", "file": {"name": "../土规.gpkg", "value": value}, "language": "en"}
    with open_run(SETTINGS, city.reader) as run:
        out = PROCESS.run(run, asked, frozenset({"report", "page", "pdf", "places"}))
        again = PROCESS.run(run, asked, frozenset({"report", "page", "pdf"}))
    assert hits(out["report"]) == faulty["gpkg"].counts
    assert again["report"] == out["report"]
    assert (again["page"].data, again["pdf"].data) == (out["page"].data, out["pdf"].data)
    assert b"Rejected" in out["page"].data
    kept = os.environ.get("GEOCLOUD_TEST_KEEP")
    if kept:
        (Path(kept) / "accept-en.pdf").write_bytes(out["pdf"].data)


def bow(x: float, y: float) -> Any:
    return shapely.Polygon([(x, y), (x + 0.01, y + 0.01), (x + 0.01, y), (x, y + 0.01)])


AWKWARD = {
    "one faulty outline twice": ([bow(116, 36.4), bow(116, 36.4)], {"Q10": 2, "Q11": 1}),
    "several faulty parts": ([shapely.multipolygons([bow(116, 36.4), bow(116.1, 36.4)])], {"Q10": 1, "Q16": 1}),
    "points and lines": ([shapely.Point(116, 36.4), shapely.LineString([(116, 36.4), (116.1, 36.4)])], {"Q10": 2}),
    "a flat ring": ([shapely.Polygon([(116, 36.4), (116.1, 36.4), (116.2, 36.4), (116, 36.4)])], {"Q10": 1}),
    "heights": ([shapely.force_3d(shapely.box(116, 36.4, 116.1, 36.5), 30.0)], {}),
    "nothing drawn": ([None, shapely.Polygon()], {"Q10": 2}),
}


@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_files_are_answered_in_all_forms(city: Urls, case: str, tmp_path: Path) -> None:
    shapes, wanted = AWKWARD[case]
    data = {"标识码": [str(i) for i in range(len(shapes))]}
    path = tmp_path / "plan.gpkg"
    frame = geopandas.GeoDataFrame(data, geometry=shapes, crs="EPSG:4490")
    pyogrio.write_dataframe(frame, path, geometry_type="Unknown")
    file = {"name": "plan.gpkg", "value": base64.b64encode(path.read_bytes()).decode()}
    asked = {"layer": "planning.land_plan", "file": file, "rules": [f"Q{n:02d}" for n in (6, 10, 11, 12, 13, 15, 16)]}
    with open_run(SETTINGS, city.reader) as run:
        out = PROCESS.run(run, asked, frozenset({"report", "page", "pdf", "places"}))
    assert hits(out["report"]) == wanted
    assert out["pdf"].data.startswith(b"%PDF")


@pytest.mark.parametrize("text", ["标识码,面积\n", "标识码,面积\n1,5\n1,7\n"], ids=["no rows", "no geometry"])
def test_a_table_is_judged_as_far_as_it_goes(city: Urls, text: str) -> None:
    file = {"name": "plan.csv", "value": base64.b64encode(text.encode()).decode()}
    with open_run(SETTINGS, city.reader) as run:
        out = PROCESS.run(run, {"layer": "planning.land_plan", "file": file}, frozenset({"report", "pdf", "places"}))
    rules = {r["number"]: r for r in out["report"]["rules"]}
    if len(text.splitlines()) == 1:
        assert {r["verdict"] for r in rules.values()} == {"unknown"} and out["report"]["verdict"] == "unknown"
    else:
        assert (rules["Q06"]["findings"], rules["Q10"]["findings"]) == (1, 2)
        assert {rules[n]["verdict"] for n in ("Q11", "Q12", "Q13", "Q20", "Q22", "Q30")} == {"unknown"}


def test_what_is_no_file_is_refused(city: Urls) -> None:
    with open_run(SETTINGS, city.reader) as run:
        for value in ("***", "", 7):
            with pytest.raises(InvalidParameter, match="base64") if value else pytest.raises(UnreadableFile):
                PROCESS.run(run, {"layer": "planning.land_plan", "file": {"value": value}}, frozenset({"report"}))


def test_without_its_boundary_a_rule_is_not_judged(city: Urls) -> None:
    with open_run(SETTINGS, city.reader) as run:
        counties = run.catalogue.layers["base.county"]
        del run.catalogue.layers["base.county"]  # type: ignore[attr-defined]
        out = PROCESS.run(run, {"layer": "planning.land_plan"}, frozenset({"report"}))["report"]
        run.catalogue.layers["base.county"] = counties  # type: ignore[index]
        other = PROCESS.run(run, {"layer": "planning.land_plan", "district": "nowhere"}, frozenset({"report"}))[
            "report"
        ]
    for d in (out, other):
        rules = {r["number"]: r for r in d["rules"]}
        for number in ("Q20", "Q21", "Q22"):
            assert rules[number]["verdict"] == "unknown"
            assert "base.county" in rules[number]["why"]["en"]
        assert d["verdict"] == "accepted" and d["counts"]["unknown"] == 3


def test_a_plan_is_held_against_the_district_that_is_named(city: Urls) -> None:
    with connect(city.owner, application_name="test") as conn, conn.cursor() as cur:
        cur.execute("SELECT code, ST_AsBinary(geom) FROM base.county ORDER BY code LIMIT 1")
        code, raw = cur.fetchone()
    county = shapely.from_wkb(bytes(raw))
    with open_run(SETTINGS, city.reader) as run:
        asked = {"layer": "planning.land_plan", "district": code, "rules": ["Q20", "Q21"]}
        out = PROCESS.run(run, asked, frozenset({"report"}))["report"]
        whole = out["plan"]["area_m2"]
    rules = {r["number"]: r for r in out["rules"]}
    assert rules["Q20"]["verdict"] == "passed"
    assert rules["Q21"]["area_m2"] == pytest.approx(whole - area(county), rel=1e-6)
