# SPDX-License-Identifier: Apache-2.0
"""The layers of the sectors in real QGIS, tried as their officers would: opened, read, filtered, exported, joined."""

from __future__ import annotations

import sqlite3
from xml.etree import ElementTree as ET

import httpx
import pytest
from PIL import Image

from tests.qgis.conftest import CODES, EMPTY, LAYERS, MEASURED, City, Desk, OpenDesk

TOWN = [115.93, 36.42, 116.07, 36.52]
THEMES = ("culture", "parking", "water", "emergency", "grid")
SECTOR = {i: spec for i, spec in LAYERS.items() if spec.theme in THEMES and i not in EMPTY}
# Overlays that the project of the theme has switched on: all of it, but of grids, which would hide each other, one.
SHOWN = {
    theme: {i for i, s in SECTOR.items() if s.theme == theme and s.geometry != "none" and theme != "grid"}
    for theme in THEMES
}
SHOWN["grid"] = {"grid.unit_grid"}
SHOWN["culture"] |= {"facility.culture_venue", "facility.heritage_site"}
# Berths and entrances are details of their car parks.
SHOWN["parking"] = {"facility.parking_lot", "parking.guidance_board"}
SHOWN["water"] |= {"facility.river_gauge", "facility.rain_gauge"}
SHOWN["emergency"] |= {"facility.shelter"}


def features(collection: str) -> str:
    return f"geocloud_features_{collection.replace('.', '-')}"


@pytest.mark.parametrize("theme", THEMES)
def test_a_sectors_project_opens_to_what_it_works_with(city: City, open_desk: OpenDesk, theme: str) -> None:
    with open_desk(f"{city.url}/qgis/{theme}.qgz") as desk:
        tree, rows = desk.ask("tree"), desk.ask("legend_rows")
        told = desk.ask("render", name="town.png", box=TOWN)
        drawn = Image.open(desk.folder / "town.png").convert("RGB")
    on = {e["id"] for g in tree[:-1] for e in g["entries"] if e["shown"]}
    readings = {f"geocloud_readings_{i.replace('.', '-')}" for i in MEASURED & SHOWN[theme]}
    assert readings <= on and (theme != "parking" or readings)
    on -= readings
    tiles = {i for i in SHOWN[theme] if f"geocloud_tiles_{i.replace('.', '-')}" in on}
    assert on == {features(i) for i in SHOWN[theme] - tiles} | {f"geocloud_tiles_{i.replace('.', '-')}" for i in tiles}
    assert tree[-1]["group"] == "基础地理" and {e["shown"] for e in tree[-1]["entries"]} == {True, False}
    assert told["errors"] == []
    # Every layer that is drawn says in the legend how; tables have nothing to say.
    for group in tree:
        for entry in group["entries"]:
            if (
                entry["provider"] == "OAPIF"
                and entry["geometry"] != "No geometry"
                and entry["renderer"] != "nullSymbol"
            ):
                found = rows[entry["id"]]
                assert found and all(words and picture for words, picture in found), entry["title"]
                assert len({words for words, _ in found}) == len(found), entry["title"]
    colours = drawn.getcolors(drawn.width * drawn.height) or []
    assert len(colours) > 200


def test_the_project_of_plans_opens_to_the_control_lines(city: City, open_desk: OpenDesk) -> None:
    with open_desk(f"{city.url}/qgis/planning.qgz") as desk:
        on = {e["id"] for g in desk.ask("tree")[:-1] for e in g["entries"] if e["shown"]}
        told = desk.ask("render", name="plans.png", box=TOWN)
    lines = ("basic_farmland", "ecological_redline", "urban_boundary")
    assert {i.removeprefix("geocloud_").split("_", 1)[1] for i in on} >= {f"planning-{n}" for n in lines}
    assert told["errors"] == []


def test_numbers_keep_their_decimals_where_the_first_are_whole(city: City, open_desk: OpenDesk) -> None:
    """QGIS 3.22 learns types of fields from the first ten features: floor area ratios of 2, 1, 2 are not integers."""
    collection = "planning.regulatory_plan"
    whole = city.sql(f"SELECT bool_and(rjl = trunc(rjl)) FROM (SELECT rjl FROM {collection} ORDER BY fid LIMIT 10) t")
    expected = dict(city.sql(f"SELECT bsm, rjl FROM {collection}"))
    assert whole == [(True,)] and any(ratio % 1 for ratio in expected.values())
    with open_desk(f"{city.url}/qgis/planning.qgz") as desk:
        assert desk.ask("fields", layer=features(collection))["rjl"]["type"] == "Real"
        assert desk.ask("values", layer=features(collection), expression='"rjl"', key="bsm") == expected


@pytest.mark.parametrize(
    "theme, language", [("emergency", "zh"), ("emergency", "en"), ("planning", "en"), ("grid", "zh")]
)
def test_the_legend_of_a_sheet_has_room(city: City, open_desk: OpenDesk, theme: str, language: str) -> None:
    with open_desk(f"{city.url}/qgis/{theme}.qgz?lang={language}") as desk:
        desk.ask("printed", name="sheet.pdf")
        room = desk.ask("legend_room")
    assert 0 < room["needs"][0] <= room["has"][0] + 2 and 0 < room["needs"][1] <= room["has"][1], room


@pytest.mark.parametrize("collection", SECTOR)
def test_all_rows_come_with_titles_and_words(city: City, desk: Desk, collection: str) -> None:
    spec = SECTOR[collection]
    fields = desk.ask("fields", layer=features(collection))
    assert set(fields) == {f.name for f in spec.visible_fields}
    for f in spec.visible_fields:
        assert fields[f.name]["alias"].startswith(f.title.zh)
        if f.codes:
            choices = {
                code: words for one in fields[f.name]["choices"] for words, code in one.items() if words != "（空）"
            }
            assert set(choices) == {c.code for c in CODES[f.codes].codes}
            assert all(choices[c.code].startswith(c.title.zh) for c in CODES[f.codes].codes)
        if f.type in ("date", "datetime"):
            assert fields[f.name]["widget"] == "DateTime"
    rows = city.sql(f"SELECT {spec.key[0]} FROM {collection}")
    told = desk.ask("count", layer=features(collection), key=spec.key[0])
    assert told == {"count": len(rows), "keys": sorted(r[0] for r in rows)} and rows


@pytest.mark.parametrize("collection", [i for i, s in LAYERS.items() if s.geometry == "point" and i not in EMPTY])
def test_every_point_has_its_pictogram(desk: Desk, collection: str) -> None:
    spec = LAYERS[collection]
    if spec.style.draw != "overlay":
        return
    told = desk.ask("drawings", layer=features(collection))
    classes = desk.ask("legend", layer=features(collection))
    assert len(told) == (len(classes["classes"]) if classes else 1)
    for place, drawing in enumerate(told):
        parts = [e for e in ET.fromstring(drawing).iter() if e.tag.split("}")[-1] in ("circle", "polygon", "polyline")]
        assert len(parts) > 3
        if classes:
            assert parts[1].get("fill") == classes["classes"][place][2]


@pytest.mark.parametrize("collection", [i for i, s in SECTOR.items() if s.style.color_by])
def test_classes_have_the_colours_of_the_web_map(city: City, desk: Desk, collection: str) -> None:
    told = desk.ask("legend", layer=features(collection))
    assert told["field"] == SECTOR[collection].style.color_by and len(told["classes"]) > 1
    style = httpx.get(f"{city.url}/styles/{collection}", timeout=60).text
    for label, codes, color in told["classes"][:-1]:
        assert label and color in style
        assert all(f'"{code}"' in style for code in (codes if isinstance(codes, list) else [codes]))


# An officer's questions: layer, expression, the same in SQL. QGIS 3.22 writes none of the rows of a filter that asks a
# yes-or-no field for `true` (it counts them well): the word 'true' does both.
ASKED = {
    "culture-venues": ("facility.culture_venue", "\"kind\" IN ('library', 'museum')", "kind IN ('library', 'museum')"),
    "culture-free": (
        "culture.event", "\"category\" = 'reading' AND \"free\" = 'true'", "category = 'reading' AND free",
    ),
    "parking-lots": (
        "facility.parking_lot", "\"spaces\" >= 100 AND \"property\" = 'public'",
        "spaces >= 100 AND property = 'public'",
    ),
    "parking-berths": ("parking.berth", "\"kind\" = 'accessible'", "kind = 'accessible'"),
    "water-gauges": ("facility.river_gauge", '"warning_level_m" > 35', "warning_level_m > 35"),
    "water-reaches": ("water.river_reach", "\"name\" = '徒骇河'", "name = '徒骇河'"),
    "emergency-hazards": ("emergency.hazard", "\"level\" IN ('1', '2')", "level IN ('1', '2')"),
    "emergency-shelters": (
        "facility.shelter", '"capacity" > 1000 AND "indoor" = \'true\'', "capacity > 1000 AND indoor",
    ),
    "grid-units": ("grid.unit_grid", "\"land_use\" = 'commercial'", "land_use = 'commercial'"),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_what_is_filtered_and_exported_is_what_sql_finds(city: City, desk: Desk, name: str) -> None:
    collection, condition, where = ASKED[name]
    spec = LAYERS[collection]
    key, title = spec.key[0], spec.style.label or spec.key[0]
    rows = city.sql(f'SELECT "{key}", "{title}" FROM {collection} WHERE {where}')
    assert 0 < len(rows) < city.sql(f"SELECT count(*) FROM {collection}")[0][0]
    layer = features(collection)
    assert desk.ask("count", layer=layer, key=key, expression=condition)["keys"] == sorted(r[0] for r in rows)
    assert desk.ask("exported", layer=layer, name=f"{name}.gpkg", subset=condition) == ""
    with sqlite3.connect(desk.folder / f"{name}.gpkg") as written:
        kept = dict(written.execute(f'SELECT "{key}", "{title}" FROM exported').fetchall())
        system = written.execute(
            "SELECT organization, organization_coordsys_id FROM gpkg_spatial_ref_sys s JOIN gpkg_geometry_columns g "
            "ON g.srs_id = s.srs_id"
        ).fetchall()
    assert kept == {r[0]: r[1] for r in rows}
    assert system == [("EPSG", 4490)]


def test_a_click_finds_the_one_that_is_there(city: City, desk: Desk) -> None:
    code, lon, lat = city.sql("SELECT code, ST_X(geom), ST_Y(geom) FROM emergency.team ORDER BY code LIMIT 1")[0]
    box = [lon - 1e-5, lat - 1e-5, lon + 1e-5, lat + 1e-5]
    told = desk.ask("count", layer=features("emergency.team"), box=box, key="code")
    assert code in told["keys"]
    where = "ST_Intersects(geom, ST_MakeEnvelope(%s, %s, %s, %s, 4490))"
    assert told["keys"] == sorted(r[0] for r in city.sql(f"SELECT code FROM emergency.team WHERE {where}", *box))


SUMS = "/collections/facility.culture_venue/aggregate?by=township&measure=count,density&f="


def test_sums_by_townships_open_by_their_address_and_lie_on_the_townships(city: City, desk: Desk) -> None:
    """As added with the source type GeoJSON: numbers are numbers, the areas are those of the project's own layer."""
    made = desk.ask("added", address=f"{city.url}{SUMS}geojson", name="sums")
    assert made["valid"] and made["geometry"] == "MultiPolygon"
    assert made["types"] == {"zone": "Integer", "code": "String", "name": "String", "area_km2": "Real",
                             "count": "Integer", "density": "Real"}  # fmt: skip
    expected = dict(city.sql(
        "SELECT t.code, count(v.fid) FROM base.township t LEFT JOIN facility.culture_venue v "
        "ON ST_Contains(t.geom, v.geom) GROUP BY t.code"
    ))  # fmt: skip
    # One more row, without an area, is for what lies outside all of them.
    assert made["count"] == len(expected) + 1
    counts = desk.ask("values", layer=made["id"], expression='"count"', key="code")
    counts.pop("")
    assert counts == expected and sum(expected.values()) > 0
    # GeoJSON's own system is WGS 84; between it and the project's lies no shift.
    assert made["crs"] == "EPSG:4326"
    middle = "geom_to_wkt(centroid({}), 7)"
    moved = middle.format("transform($geometry, 'EPSG:4326', 'EPSG:4490')")
    found = desk.ask("values", layer=made["id"], expression=moved, key="code")
    found.pop("")
    assert found == desk.ask(
        "values", layer=features("base.township"), expression=middle.format("$geometry"), key="code"
    )


def test_a_table_of_sums_joins_to_the_townships(city: City, desk: Desk) -> None:
    (desk.folder / "sums.csv").write_bytes(httpx.get(f"{city.url}{SUMS}csv", timeout=60).content)
    address = f"file://{desk.folder}/sums.csv?type=csv&detectTypes=yes&geomType=none&encoding=UTF-8"
    made = desk.ask("added", address=address, name="table", provider="delimitedtext")
    assert made["valid"] and made["geometry"] == "NoGeometry"
    # Codes become numbers, which a join compares as texts.
    assert made["types"]["count"] == "integer" and made["types"]["density"] == "double"
    got = desk.ask(
        "joined", layer=features("base.township"), other=made["id"], key="code", other_key="code", wanted="count"
    )
    assert got == dict(city.sql(
        "SELECT t.code, count(v.fid) FROM base.township t LEFT JOIN facility.culture_venue v "
        "ON ST_Contains(t.geom, v.geom) GROUP BY t.code"
    ))  # fmt: skip


NEWEST = (
    "SELECT f.code, l.value FROM sensing.datastream d JOIN sensing.latest l ON l.datastream = d.id "
    "JOIN facility.parking_lot f ON f.code = d.device WHERE d.layer = 'facility.parking_lot' AND d.property = %s"
)
OLD = (
    "SELECT d.device, now() - l.at > 2 * d.interval_s * interval '1 second' FROM sensing.datastream d "
    "JOIN sensing.latest l ON l.datastream = d.id WHERE d.layer = 'facility.parking_lot'"
)
SET = "UPDATE sensing.latest SET value = %s, flags = %s WHERE datastream = %s RETURNING 1"
READINGS = "geocloud_readings_facility-parking_lot"


def test_newest_values_lie_under_the_markers_and_are_read_anew(city: City, open_desk: OpenDesk) -> None:
    """The layer of live readings: each device that has one, its value, its state, and after a reload the next value."""
    with open_desk(f"{city.url}/qgis/parking.qgz") as desk:
        entries = next(g["entries"] for g in desk.ask("tree") if any(e["id"] == READINGS for e in g["entries"]))
        places = [e["id"] for e in entries]
        entry = entries[places.index(READINGS)]
        assert entry["valid"] and entry["shown"] and entry["provider"] == "ogr" and entry["title"].endswith("实时读数")
        assert places.index(READINGS) == places.index(features("facility.parking_lot")) + 1
        free, taken = (dict(city.sql(NEWEST, name)) for name in ("free_spaces", "occupied"))
        assert free and taken and not set(free) & set(taken)
        for name, expected in (("free_spaces", free), ("occupied", taken)):
            told = desk.ask("values", layer=READINGS, expression=f'"latest_{name}"', key="code")
            assert {k: v for k, v in told.items() if v is not None} == expected
        fields = desk.ask("fields", layer=READINGS)
        assert fields["latest_free_spaces"]["type"] == "Real" and fields["latest_free_spaces"]["alias"] == "空余泊位"
        legend = desk.ask("legend", layer=READINGS)
        states = desk.ask("values", layer=READINGS, expression=legend["field"], key="code")
        assert [c[0] for c in legend["classes"]] == ["正常", "存疑", "已过时", "无读数"]
        assert len(states) == len(free) + len(taken)
        assert states == {c: "stale" if old else "fresh" for c, old in city.sql(OLD)} and "fresh" in states.values()
        code = next(c for c in free if states[c] == "fresh")
        stream = city.sql("SELECT id FROM sensing.datastream WHERE device = %s AND property = 'free_spaces'", code)[0][
            0
        ]
        city.sql("UPDATE sensing.latest SET value = -1, flags = 1 WHERE datastream = %s RETURNING 1", stream)
        try:
            desk.ask("reload", layer=READINGS)
            assert desk.ask("values", layer=READINGS, expression='"latest_free_spaces"', key="code")[code] == -1
            assert desk.ask("values", layer=READINGS, expression=legend["field"], key="code")[code] == "doubtful"
        finally:
            city.sql(
                "UPDATE sensing.latest SET value = %s, flags = 0 WHERE datastream = %s RETURNING 1", free[code], stream
            )
