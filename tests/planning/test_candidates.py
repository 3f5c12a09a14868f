# SPDX-License-Identifier: Apache-2.0
"""Land looked for on the small demo: what is listed passes a check of its own, scores are those of PostGIS and
pyproj, hard conditions exclude, neighbours are joined, and what cannot be asked is refused."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pypdf
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.errors import InvalidParameter, TooLarge
from geocloud.jobs.run import Run, open_run
from geocloud.planning import candidates, candidates_read
from geocloud.planning.candidates_ask import read_ask
from geocloud.planning.candidates_land import Piece, joined
from geocloud.planning.candidates_process import PROCESS
from geocloud.planning.candidates_read import _runs
from geocloud.planning.candidates_score import fails, score, total
from geocloud.planning.compliance import check_site
from geocloud.planning.compliance_rules import Pack, folder_of_the_house, read_pack
from geocloud.planning.site import read_site
from geocloud.settings import Settings

SETTINGS = Settings()
HOUSE, _ = read_pack(folder_of_the_house() / "house.yaml")
GEOD = pyproj.Geod(a=6378137.0, rf=298.257222101)
SCHOOL = {"kind": "near", "layer": "facility.school", "distance_m": 1500}
ROAD = {"kind": "frontage", "distance_m": 40, "length_m": 1500, "weight": 2}
RIVER = {"kind": "outside", "layer": "planning.river_range"}
CORRIDOR = {"kind": "far", "layer": "planning.transport_corridor", "distance_m": 2000, "weight": 0.5}
TOWN = {"kind": "inside", "layer": "planning.spatial_zone", "filter": "kjlx = 'urban'"}
SLOPE = {"kind": "raster", "raster": "slope", "max": 15}
ALL = [SCHOOL, ROAD, RIVER, CORRIDOR, TOWN]
HOMES: dict[str, Any] = {"min_area_m2": 100_000, "use": "07", "conditions": ALL, "limit": 50, "datetime": "2026-01-01"}


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


def search(run: Run, **asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = PROCESS.run(run, HOMES | asked, frozenset({"candidates"}))["candidates"]
    return found


def number(run: Run, sql: str, *values: Any) -> float | None:
    with run.reader.cursor() as cur:
        cur.execute(sql, values)
        found: float | None = cur.fetchone()[0]  # type: ignore[index]
    return found


def shape_of(feature: dict[str, Any]) -> Any:
    return shapely.geometry.shape(feature["geometry"])


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({}, id="homes"),
        pytest.param({"use": "1001", "conditions": []}, id="works, no conditions"),
        pytest.param({"min_area_m2": 800_000}, id="joined"),
        pytest.param({"from": "planning.present_land", "min_area_m2": 50_000}, id="present land"),
        pytest.param({"use": "01", "boundary": None, "min_area_m2": 1_000}, id="cropland, much of it refused"),
    ],
)
def test_none_is_refused_by_a_check_of_its_own(run: Run, asked: dict[str, Any]) -> None:
    found = search(run, **asked)
    assert found["features"]
    for f in found["features"]:
        site = read_site(f["geometry"], SETTINGS)
        d = check_site(run, site, HOUSE, "2026-01-01").document
        assert d["verdict"] == f["properties"]["verdict"] != "refuse"
        assert site.notes == ()
        area = abs(GEOD.geometry_area_perimeter(site.geometry)[0])
        assert f["properties"]["area_m2"] == pytest.approx(area, rel=1e-4)
        assert f["properties"]["area_m2"] >= (HOMES | asked)["min_area_m2"]
        assert f["properties"]["not_judged"] == [r["number"] for r in d["rules"] if r["verdict"] == "unknown"]
    assert "C09" in [u["rule"] for u in found["search"]["not_judged"]]


def test_what_a_rule_refuses_is_taken_off(run: Run) -> None:
    cut = [f for f in search(run)["features"] if f["properties"]["cut_m2"] > 1_000]
    assert cut
    for f in cut:
        (parcel,) = f["properties"]["parcels"]
        whole = number(run, "SELECT ST_Area(geom::geography) FROM planning.regulatory_plan WHERE bsm = %s", parcel)
        told = f["properties"]["area_m2"] + f["properties"]["cut_m2"]
        assert whole is not None
        assert told == pytest.approx(whole, rel=1e-5) or "#" in f["id"]


def test_values_and_scores_are_those_of_postgis(run: Run) -> None:
    found = search(run)["features"]
    road = "SELECT ST_Length(ST_Intersection(ST_Boundary(s), ST_Union(ST_SetSRID(ST_Buffer(geom::geography, 40, "
    road += "'quad_segs=32')::geometry, 4490)))::geography) FROM base.road, ST_GeomFromText(%s, 4490) s "
    road += "WHERE ST_DWithin(geom::geography, s::geography, 40) GROUP BY s"
    apart = "SELECT min(ST_Distance(geom::geography, ST_GeomFromText(%s, 4490)::geography)) FROM {} "
    over = "SELECT coalesce(ST_Area(ST_Intersection(ST_Union(geom), s)::geography), 0) FROM {}, "
    over += "ST_GeomFromText(%s, 4490) s WHERE ST_Intersects(geom, s) {} GROUP BY s"
    for f in [*found[:4], *found[-3:]]:
        p, wkt = f["properties"], shape_of(f).wkt
        area = abs(GEOD.geometry_area_perimeter(shape_of(f))[0])
        told = p["conditions"]
        d = number(run, apart.format("facility.school"), wkt)
        assert d is not None
        near = max(0.0, 1 - d / 1500)
        assert told[0]["measured"] == (pytest.approx(d, abs=0.5) if d <= 1500 else None)
        front = _one(run, road, wkt)
        assert told[1]["measured"] == pytest.approx(front, rel=0.01, abs=1.0)
        wet = _one(run, over.format("planning.river_range", ""), wkt)
        assert told[2]["measured"] == pytest.approx(wet, abs=1.0)
        d = number(run, apart.format("planning.transport_corridor"), wkt)
        assert d is not None
        assert told[3]["measured"] == (pytest.approx(d, abs=0.5) if d <= 2000 else None)
        town = _one(run, over.format("planning.spatial_zone", "AND kjlx = 'urban'"), wkt)
        assert told[4]["measured"] == pytest.approx(town, rel=1e-4, abs=1.0)
        scores = [near, min(1, front / 1500), 1 - wet / area, min(1.0, d / 2000), town / area]
        for one, expected in zip(told, scores, strict=True):
            assert one["score"] == pytest.approx(expected, abs=0.01), one
        weights = [1, 2, 1, 0.5, 1]
        assert p["total"] == pytest.approx(100 * np.dot(scores, weights) / sum(weights), abs=0.5)


def _one(run: Run, sql: str, wkt: str) -> float:
    with run.reader.cursor() as cur:
        cur.execute(sql, (wkt,))
        rows = cur.fetchall()
    return float(rows[0][0]) if rows else 0.0


@pytest.mark.parametrize("condition", ALL, ids=lambda c: c["kind"])
def test_a_hard_condition_excludes_those_that_break_it_and_no_others(run: Run, condition: dict[str, Any]) -> None:
    hard = {k: v for k, v in condition.items() if k != "weight"} | {"hard": True}
    if condition["kind"] == "near":
        hard["distance_m"] = 200
    if condition["kind"] == "frontage":
        hard["length_m"] = 1200
    if condition["kind"] == "far":
        hard["distance_m"] = 300
    if condition["kind"] == "outside":
        hard["layer"] = "planning.transport_corridor"
    soft = {k: v for k, v in hard.items() if k != "hard"}
    every = search(run, conditions=[soft])["features"]
    kept = search(run, conditions=[hard])
    told = {f["id"]: f["properties"]["conditions"][0] for f in every}
    meets = {i for i, c in told.items() if not fails(c["kind"], c["measured"], c["against"])}
    assert {f["id"] for f in kept["features"]} == meets
    assert kept["search"]["counts"]["hard_failed"] >= len(told) - len(meets)
    assert all(f["properties"]["total"] is None for f in kept["features"])
    if condition["kind"] != "inside":
        assert 0 < len(meets) < len(told)


def test_neighbours_are_joined_to_reach_the_size(run: Run) -> None:
    alone = search(run, min_area_m2=800_000, join=False)
    found = search(run, min_area_m2=800_000, max_area_m2=1_100_000)
    assert alone["features"] == []
    assert found["features"]
    seen: set[str] = set()
    for f in found["features"]:
        p = f["properties"]
        assert len(p["parcels"]) > 1
        assert not seen & set(p["parcels"])
        seen |= set(p["parcels"])
        assert 800_000 <= p["area_m2"] <= 1_100_000
        parts = number(
            run, "SELECT sum(ST_Area(geom::geography)) FROM planning.regulatory_plan WHERE bsm = ANY(%s)", p["parcels"]
        )
        assert p["area_m2"] + p["cut_m2"] == pytest.approx(parts, rel=1e-5)
        assert len(shapely.get_parts(shape_of(f))) == 1


def test_order_is_by_score_then_id_and_the_same_each_time(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first, again = search(run), search(run)
    assert first == again
    key = [(-f["properties"]["total"], f["id"]) for f in first["features"]]
    assert key == sorted(key)
    assert [f["properties"]["rank"] for f in first["features"]] == list(range(1, len(key) + 1))
    few = search(run, limit=3)
    assert [f["id"] for f in few["features"]] == [f["id"] for f in first["features"]][:3]
    assert few["search"]["counts"]["left"] > 0
    monkeypatch.setattr(candidates, "_BLOCK", 2)
    assert search(run) == first
    assert search(run, limit=3)["features"] == few["features"]
    by_id = [f["id"] for f in search(run, conditions=[])["features"]]
    assert by_id == sorted(by_id)


def test_what_cannot_be_judged_is_told_and_counts_for_nothing(run: Run) -> None:
    found = search(run, conditions=[SCHOOL, SLOPE, {"kind": "outside", "layer": "planning.flood_range"}])
    told = [u for u in found["search"]["not_judged"] if u["condition"] is not None]
    assert [(u["condition"], u["of"]) for u in told] == [(1, "slope"), (2, "planning.flood_range")]
    for f in found["features"]:
        school, *others = f["properties"]["conditions"]
        assert f["properties"]["total"] == pytest.approx(100 * school["score"], abs=1e-3)
        assert all((c["judged"], c["measured"], c["score"]) == (False, None, None) for c in others)
    alone = search(run, conditions=[SCHOOL])
    assert [f["id"] for f in alone["features"]] == [f["id"] for f in found["features"]]
    assert search(run, conditions=[SLOPE | {"hard": True}])["features"]


def test_a_pack_that_refuses_otherwise_leaves_other_land(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    words = {"zh": "测", "en": "t"}
    rules = [
        {"number": "T1", "layer": "facility.school", "test": "nearer", "distance_m": 300.0},
        {"number": "T2", "layer": "planning.spatial_zone", "test": "outside", "filter": "kjlx = 'urban'"},
        {"number": "T3", "layer": "planning.present_land", "test": "share_over", "share": 0.9,
         "filter": "dldm = '0701'"},
    ]  # fmt: skip
    more = {"title": words, "verdict": "refuse", "coverage": "rows", "bureau": "planning", "next_step": words,
            "legal": {"text": words, "source": words, "example": True}}  # fmt: skip
    listed = []
    for own in ([rules[0]], [rules[1]], [rules[2]], []):
        told = [r | more for r in own] or [rules[0] | more | {"verdict": "note"}]
        pack = Pack.model_validate({"name": "t", "version": "1", "title": words, "rules": told})
        found = candidates.find_sites(run, read_ask(run, HOMES), pack, "2026-01-01").document
        for f in found["features"]:
            assert check_site(run, read_site(f["geometry"], SETTINGS), pack).document["verdict"] != "refuse"
        listed.append(len(found["features"]))
        if own == [rules[2]]:
            assert found["search"]["counts"]["refused"] > 0
    assert listed[0] < listed[3]
    assert listed[2] < listed[3]
    monkeypatch.setattr(candidates, "CHECKS_MAX", 2)
    cut_short = search(run)["search"]
    assert (cut_short["counts"]["checked"], cut_short["complete"]) == (2, False)


@pytest.mark.parametrize(
    ("asked", "parameter"),
    [
        pytest.param({"min_area_m2": 0}, "min_area_m2", id="no size"),
        pytest.param({"min_area_m2": 1e12}, "min_area_m2", id="over what can be checked"),
        pytest.param({"max_area_m2": 50}, "max_area_m2", id="sizes contradict"),
        pytest.param({"use": "99"}, "use", id="no such class"),
        pytest.param({"use": None}, "use", id="neither use nor filter"),
        pytest.param({"from": "planning.none"}, "from", id="no such layer"),
        pytest.param({"from": "base.road"}, "from", id="parcels are no lines"),
        pytest.param({"from": "planning.master_plan"}, "use", id="a layer of another list of classes"),
        pytest.param({"filter": "nothing = 1"}, "filter", id="filter"),
        pytest.param({"boundary": "planning.none"}, "boundary", id="boundary"),
        pytest.param({"limit": 51}, "limit", id="limit"),
        pytest.param({"conditions": {}}, "conditions", id="no array"),
        pytest.param({"conditions": [SCHOOL] * 21}, "conditions", id="too many"),
        pytest.param({"conditions": [{"kind": "above"}]}, "conditions.0.kind", id="kind"),
        pytest.param({"conditions": [{"kind": "near", "layer": "facility.school"}]}, "conditions.0", id="no distance"),
        pytest.param({"conditions": [SCHOOL, SCHOOL | {"distance_m": -1}]}, "conditions.1.distance_m", id="distance"),
        pytest.param({"conditions": [SCHOOL | {"weight": 2, "hard": True}]}, "conditions.0", id="hard with weight"),
        pytest.param({"conditions": [SCHOOL | {"layer": "base.none"}]}, "conditions.0.layer", id="condition's layer"),
        pytest.param({"conditions": [RIVER | {"layer": "base.road"}]}, "conditions.0.layer", id="outside of lines"),
        pytest.param({"conditions": [ROAD | {"layer": "facility.school"}]}, "conditions.0.layer", id="no road"),
        pytest.param({"conditions": [ROAD | {"distance_m": 501}]}, "conditions.0", id="too far for a frontage"),
        pytest.param({"limit": "ten"}, "limit", id="limit in words"),
        pytest.param({"conditions": [SCHOOL | {"filter": "x = 1"}]}, "conditions.0.filter", id="condition's filter"),
        pytest.param({"conditions": [{"kind": "raster", "raster": "/etc/passwd"}]}, "conditions.0.raster", id="path"),
        pytest.param({"conditions": [SLOPE | {"min": 20}]}, "conditions.0", id="raster's range"),
        pytest.param({"datetime": "yesterday"}, "datetime", id="date"),
        pytest.param({"pack": "none"}, "pack", id="pack"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_both_languages(run: Run, asked: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        search(run, **asked)
    assert caught.value.context["parameter"] == parameter
    assert caught.value.message("zh") != caught.value.message("en")


def test_more_parcels_than_the_limit_are_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates_read, "PARCELS_MAX", 10)
    with pytest.raises(TooLarge, match="10 parcels"):
        search(run)
    monkeypatch.undo()
    monkeypatch.setattr(candidates_read, "FEATURES_MAX", 100)
    with pytest.raises(TooLarge, match="100 features of base.road"):
        search(run, conditions=[ROAD])


@pytest.mark.parametrize("language", ["zh", "en"])
def test_files_say_what_the_candidates_say(run: Run, language: str) -> None:
    asked = HOMES | {"conditions": [*ALL, SLOPE], "language": language, "limit": 8, "subject": "示例 <b>#1 $x$"}
    out = PROCESS.run(run, asked, frozenset({"candidates", "csv", "page", "pdf"}))
    kept = os.environ.get("GEOCLOUD_TEST_KEEP")
    for name, end in (("csv", "csv"), ("page", "html"), ("pdf", "pdf")) if kept else ():
        Path(kept or "", f"sites-{language}.{end}").write_bytes(out[name].data)
    features = out["candidates"]["features"]
    table = list(csv.DictReader(io.StringIO(out["csv"].data.decode("utf-8-sig"))))
    assert [(r["id"], float(r["total"])) for r in table] == [(f["id"], f["properties"]["total"]) for f in features]
    for r, f in zip(table, features, strict=True):
        assert shapely.Point(float(r["longitude"]), float(r["latitude"])).within(shape_of(f))
    pages = [p.extract_text() for p in pypdf.PdfReader(io.BytesIO(out["pdf"].data)).pages]
    text, page = "".join("".join(pages).split()), out["page"].data.decode()
    assert out["candidates"]["search"]["fingerprint"] in text
    assert "<b>#1" not in page
    assert "示例 &lt;b&gt;#1 $x$" in page
    for f in features[:3]:
        assert f["id"] in text
        assert f["id"] in page
        for c in f["properties"]["conditions"]:
            assert "".join(c["sentence"][language].split()) in text
    assert PROCESS.run(run, asked, frozenset({"pdf"}))["pdf"].data == out["pdf"].data


def test_nothing_found_is_an_answer(run: Run) -> None:
    out = PROCESS.run(run, HOMES | {"min_area_m2": 9e7}, frozenset({"candidates", "page", "pdf", "csv"}))
    assert out["candidates"]["features"] == []
    assert out["candidates"]["search"]["counts"]["too_small"] > 0
    assert "没有符合要求的用地" in out["page"].data.decode()


def test_an_edit_later_is_not_seen_by_asof(city: Urls) -> None:
    # Deleted land was there until then; at a day ahead it is not.
    with open_run(SETTINGS, city.reader) as run:
        first = search(run, datetime="2050-01-01")
    best = first["features"][0]["id"]
    conn = psycopg2.connect(city.writer)
    try:
        with conn, conn.cursor() as cur:
            cur.execute("DELETE FROM planning.regulatory_plan WHERE bsm = %s", (best.partition("#")[0],))
            assert cur.rowcount == 1
    finally:
        conn.close()
    with open_run(SETTINGS, city.reader) as run:
        assert best not in [f["id"] for f in search(run, datetime="2050-01-01")["features"]]
        then = search(run, datetime="2050-01-01", asof=first["search"]["asof"])
    assert then["features"] == first["features"]
    assert then["search"]["fingerprint"] == first["search"]["fingerprint"]


METRES = st.floats(0, 1e5, allow_nan=False)


@given(METRES, METRES, st.floats(1, 1e5))
def test_scores_are_within_0_and_1_and_go_one_way(a: float, b: float, against: float) -> None:
    low, high = sorted((a, b))
    for kind in ("inside", "far", "frontage"):
        assert 0 <= score(kind, low, against) <= score(kind, high, against) <= 1
    for kind in ("near", "outside"):
        assert 1 >= score(kind, low, against) >= score(kind, high, against) >= 0
    assert score("near", None, against) <= score("near", high, against)
    assert score("far", None, against) >= score("far", high, against)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1000)), min_size=1, max_size=20), st.data())
def test_a_better_score_never_lowers_the_total(pairs: list[tuple[float, float]], data: st.DataObject) -> None:
    k = data.draw(st.integers(0, len(pairs) - 1))
    better = [*pairs]
    better[k] = (data.draw(st.floats(pairs[k][0], 1)), pairs[k][1])
    before, after = total(pairs), total(better)
    assert before is not None and after is not None
    assert -1e-9 <= before <= after + 1e-9 <= 100 + 1e-6


@given(
    st.lists(st.tuples(st.floats(115, 117), st.floats(35, 37), st.floats(0, 0.1), st.floats(0, 0.1)), max_size=8),
    st.floats(0, 20_000),
)
def test_boxes_that_are_read_hold_the_given_ones_and_never_overlap(
    given_boxes: list[tuple[float, float, float, float]], reach: float
) -> None:
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in given_boxes]).reshape(-1, 4)
    runs = shapely.box(*_runs(boxes, reach).T)
    whole = shapely.union_all(shapely.buffer(runs, 1e-9))
    for x, y, w, h in boxes:
        assert whole.covers(shapely.box(x, y, w, h))
        for azimuth in (0, 90, 180, 270):
            for corner in ((x, y), (w, h)):
                lon, lat, _ = GEOD.fwd(*corner, azimuth, reach * 0.999)
                assert whole.covers(shapely.Point(lon, lat))
    total_area = sum(r.area for r in runs)
    assert total_area == pytest.approx(shapely.union_all(runs).area, rel=1e-9, abs=1e-12)


def test_joining_takes_the_longest_border_first_and_never_goes_over() -> None:
    unit = 1e-3
    squares = {"a": (0, 0, 1, 1), "b": (1, 0, 2, 1), "c": (0, 1, 1, 1.5), "d": (5, 5, 6, 6), "e": (1, 1, 2, 2)}
    pieces = [
        Piece((k,), (k,), ("07",), shapely.box(116 + x * unit, 36 + y * unit, 116 + w * unit, 36 + h * unit))
        for k, (x, y, w, h) in squares.items()
    ]
    one = abs(GEOD.geometry_area_perimeter(pieces[0].shape)[0])
    found = joined(pieces, one * 1.9, one * 2.6)
    assert {p.id for p in found[len(pieces) :]} == {"a+b", "a+b+c", "b+e"}
    assert all(p.members != ("d",) for p in found[len(pieces) :])
