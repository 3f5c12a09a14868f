# SPDX-License-Identifier: Apache-2.0
"""Real QGIS opens the generated projects: every layer valid, titles, forms and colours as the catalogue has them."""

from __future__ import annotations

import httpx
import pytest

from tests.qgis.conftest import CODES, EMPTY, MEASURED, ROWS_MAX, City, Desk, OpenDesk
from tests.qgis.conftest import LAYERS as PUBLISHED

LAYERS = {i: spec for i, spec in PUBLISHED.items() if i not in EMPTY}
COUNTY, SCHOOL, ROAD = (f"geocloud_features_{x}" for x in ("base-county", "facility-school", "base-road"))


def entries(tree: list[dict]) -> list[dict]:
    return [e for group in tree for e in group["entries"]]


# What sectors work with beside the layers of their theme, and what each project is called.
GUESTS = {
    "culture": ("facility.culture_venue", "facility.heritage_site"),
    "emergency": ("facility.shelter",),
    "parking": ("facility.parking_lot",),
    "water": ("facility.river_gauge", "facility.rain_gauge"),
}
GROUPS = {
    "base": ("基础地理", "Base geography"), "facility": ("公共设施", "Facilities"),
    "planning": ("国土空间规划", "Spatial planning"), "grid": ("网格", "Grids"), "culture": ("文化", "Culture"),
    "emergency": ("应急", "Emergency"), "parking": ("停车", "Parking"), "water": ("水利", "Water"),
}  # fmt: skip
OPENED = [("city", "zh"), ("city", "en"), *((theme, "zh") for theme in GROUPS), ("water", "en")]


@pytest.mark.parametrize(("project", "language"), OPENED)
def test_every_layer_is_valid(city: City, open_desk: OpenDesk, project: str, language: str) -> None:
    with open_desk(f"{city.url}/qgis/{project}.qgz?lang={language}") as desk:
        tree, about = desk.ask("tree"), desk.ask("about")
    found = entries(tree)
    assert [e["title"] for e in found if not e["valid"]] == []
    themes = set(GROUPS) if project == "city" else {project, "base"}
    expected = {i for i, spec in LAYERS.items() if spec.theme in themes} | {*GUESTS.get(project, ())}
    features = {e["id"] for e in found if e["provider"] == "OAPIF"}
    assert features == {f"geocloud_features_{i.replace('.', '-')}" for i in expected}
    measured = {e["id"] for e in found if e["provider"] == "ogr"}
    assert measured == {f"geocloud_readings_{i.replace('.', '-')}" for i in MEASURED & expected}
    assert {e["provider"] for e in found} - {"ogr"} == {"OAPIF", "vectortile"}
    assert about["crs"] == "EPSG:4490" and about["complaints"] == []
    titles = {GROUPS[i.split(".")[0]][language == "en"] for i in expected}
    assert {g["group"] for g in tree} == titles and len(tree) == len(titles)
    assert tree[-1]["group"] == GROUPS["base"][language == "en"]
    if project != "city":
        assert tree[0]["group"] == GROUPS[project][language == "en"]


def test_large_layers_are_drawn_from_tiles_and_fetched_only_close_by(city: City, desk: Desk) -> None:
    rows = {i: city.sql(f"SELECT count(*) FROM {i}")[0][0] for i in LAYERS}
    large = {i for i, n in rows.items() if n > ROWS_MAX}
    assert {"base.road", "facility.component"} <= large < set(rows)
    by_id = {e["id"]: e for e in entries(desk.ask("tree"))}
    for collection in rows:
        name = collection.replace(".", "-")
        features, tiles = by_id[f"geocloud_features_{name}"], by_id.get(f"geocloud_tiles_{name}")
        assert (tiles is not None) == (collection in large)
        if tiles:
            assert not features["shown"] and 0 < features["furthest"] <= 100_000
            assert f"/collections/{collection}/tiles/WebMercatorQuad/%7Bz%7D/%7By%7D/%7Bx%7D" in tiles["source"]
    assert by_id["geocloud_tiles_base-road"]["shown"]


def test_titles_marks_and_sources(city: City, desk: Desk) -> None:
    tree = desk.ask("tree")
    assert [g["group"] for g in tree] == [
        "应急", "水利", "停车", "文化", "公共设施", "网格", "国土空间规划", "基础地理",
    ]  # fmt: skip
    by_id = {e["id"]: e for e in entries(tree)}
    for spec in LAYERS.values():
        entry = by_id[f"geocloud_features_{spec.id.replace('.', '-')}"]
        assert entry["title"].startswith(f"{spec.title.zh}(示例数据)")
        assert entry["abstract"].startswith(spec.description.zh) and "示例数据" in entry["abstract"]
        assert entry["licences"] == ["CC0-1.0"] and entry["rights"] and entry["read_only"]
        assert entry["crs"] == "EPSG:4490"
    about = desk.ask("about")
    assert about["title"] == "聊城市时空信息云"
    assert about["ellipsoid"] == "EPSG:1024"
    assert about["extent"] == pytest.approx([115.27, 35.75, 116.55, 37.05])


def test_points_stand_above_lines_above_areas(desk: Desk) -> None:
    order = [e["id"] for e in entries(desk.ask("tree"))]
    stack = ["geocloud_features_facility-school", COUNTY, "geocloud_features_base-railway", ROAD,
             "geocloud_features_base-building", "geocloud_features_base-water_area",
             "geocloud_features_base-parcel", "geocloud_features_base-city"]  # fmt: skip
    assert [i for i in order if i in stack] == stack


def test_forms_speak_chinese_and_know_the_codes(desk: Desk) -> None:
    fields = desk.ask("fields", layer=SCHOOL)
    spec = LAYERS["facility.school"]
    assert set(fields) == {f.name for f in spec.visible_fields}
    for f in spec.visible_fields:
        assert fields[f.name]["alias"].startswith(f.title.zh)
        if f.codes:
            listed = {code: words for one in fields[f.name]["choices"] for words, code in one.items()}
            expected = {c.code: c.title.zh for c in CODES[f.codes].codes}
            assert {c: w for c, w in listed.items() if w != "（空）"} == expected
    assert fields["area_m2"]["alias"] == "用地面积（平方米）" or fields["area_m2"]["alias"].endswith("（平方米）")
    assert fields["boarding"]["widget"] == "CheckBox" and fields["opened_on"]["widget"] == "DateTime"


def test_tables_show_words_for_codes(city: City, desk: Desk) -> None:
    titles = {c.code: c.title.zh for c in CODES["school_stage"].codes}
    shown = desk.ask("values", layer=SCHOOL, expression='represent_value("stage")', key="code")
    assert shown == {code: titles[stage] for code, stage in city.sql("SELECT code, stage FROM facility.school")}
    assert len(set(shown.values())) > 4


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({}, set()),
        ({"name": None}, {"name"}),
        ({"name": "长" * 201}, {"name"}),
        ({"county_code": "37150"}, {"county_code"}),
        ({"pupils": -1}, {"pupils"}),
        ({"county_code": None, "note": "可以"}, set()),
    ],
    ids=["as-it-is", "required", "too-long", "pattern", "below-minimum", "optional"],
)
def test_forms_refuse_what_the_layer_refuses(desk: Desk, changes: dict, refused: set[str]) -> None:
    assert set(desk.ask("broken_rules", layer=SCHOOL, changes=changes)) == refused


def test_categories_are_the_classes_of_the_web_map(city: City, desk: Desk) -> None:
    """Beside the legend that the server gives to the web map."""
    for collection, layer in (("facility.school", SCHOOL), ("facility.hospital", SCHOOL.replace("school", "hospital"))):
        told = desk.ask("legend", layer=layer)
        assert told["field"] == LAYERS[collection].style.color_by
        style = httpx.get(f"{city.url}/styles/{collection}", timeout=60)
        assert style.status_code == 200, style.text
        paint = style.text
        for label, codes, color in told["classes"][:-1]:
            assert label and color in paint
            for code in codes if isinstance(codes, list) else [codes]:
                assert f'"{code}"' in paint
        assert len(told["classes"]) > 4


def test_the_same_catalogue_gives_the_same_file(city: City) -> None:
    first, second = (httpx.get(f"{city.url}/qgis/city.qgz", headers={"cache-control": "no-cache"}) for _ in "ab")
    assert first.content == second.content and first.headers["etag"] == second.headers["etag"]
    assert first.headers["content-type"] == "application/x-qgis-project-container"
    assert first.headers["content-disposition"] == 'attachment; filename="city.qgz"'
    again = httpx.get(f"{city.url}/qgis/city.qgz", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert httpx.get(f"{city.url}/qgis/city.qgz?lang=en").content != first.content


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/qgis/nothing.qgz?lang=en", 404, "There is no project `nothing`."),
        ("/qgis/base.qgz?layers=a", 400, "layers"),
        ("/qgis/city.qgs", 404, ""),
    ],
)
def test_what_is_not_there_is_told(city: City, address: str, status: int, said: str) -> None:
    answer = httpx.get(city.url + address, headers={"accept": "application/json"})
    assert answer.status_code == status
    assert said in answer.json()["detail"]
