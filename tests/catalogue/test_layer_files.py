# SPDX-License-Identifier: Apache-2.0
"""The layer definitions and code lists the project ships."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from geocloud.catalogue.spec import CodeList, LayerSpec, json_schema, read_layers
from geocloud.errors import CatalogueError
from geocloud.sectors.registry import HOUSE, definitions, sectors
from geocloud.settings import CitySettings

LAYERS = Path(__file__).resolve().parents[2] / "layers"
SPECS, CODES = read_layers(LAYERS)
FILES = [LAYERS / s.theme / f"{s.name}.yaml" for s in SPECS.values()]
CITY = CitySettings(sectors=",".join(HOUSE))
BROUGHT = [folder for n in HOUSE if (folder := sectors()[n].layers)]
FILES += sorted(p for folder in BROUGHT for p in folder.glob("*/*.yaml") if p.parent.name != "codes")
ALL, ALL_CODES = definitions(CITY)
WANTED = {
    "base": "city county township village road railway water_line water_area building parcel place_name poi",
    "facility": "school hospital elderly_care shelter culture_venue heritage_site parking_lot camera component "
    "air_station river_gauge rain_gauge weather_station",
    "grid": "unit_grid professional_grid governance_grid environment_grid market_grid fire_grid police_grid "
    "boundary_conflict",
    "planning": "plan_area spatial_zone basic_farmland ecological_redline urban_boundary master_plan regulatory_plan "
    "land_plan present_land forest_plan river_range flood_range ecology_zone transport_corridor heritage_range "
    "mining_right colour_line reserve_project project_site difference_spot",
}
BY_ID = [pytest.param(s, id=i) for i, s in ALL.items()]
LISTS = [pytest.param(c, id=n) for n, c in ALL_CODES.items()]


def test_all_layers_are_there() -> None:
    assert set(SPECS) == {f"{theme}.{name}" for theme, names in WANTED.items() for name in names.split()}


@pytest.mark.parametrize("path", [pytest.param(p, id=f"{p.parent.name}.{p.stem}") for p in FILES])
def test_json_schema_accepts_the_file(path: Path) -> None:
    Draft202012Validator.check_schema(json_schema())
    errors = list(Draft202012Validator(json_schema()).iter_errors(yaml.safe_load(path.read_text("utf-8"))))
    assert errors == []


def test_json_schema_refuses_an_unknown_word() -> None:
    raw = yaml.safe_load((LAYERS / "base/county.yaml").read_text("utf-8"))
    raw["fields"][0]["colour"] = "red"
    assert [e.json_path for e in Draft202012Validator(json_schema()).iter_errors(raw)] == ["$.fields[0]"]


@pytest.mark.parametrize("spec", BY_ID)
def test_titles_are_in_their_language(spec: LayerSpec) -> None:
    han = re.compile(r"[\u4e00-\u9fff]")
    for text in (spec.title, spec.description, *(f.title for f in spec.fields)):
        assert han.search(text.zh), text
        assert not han.search(text.en), text


@pytest.mark.parametrize("spec", BY_ID)
def test_an_alias_is_written_once(spec: LayerSpec) -> None:
    names = [a.casefold() for f in spec.fields for a in (f.name, *f.aliases)]
    names += [a.casefold() for a in (*spec.valid_time.start, *spec.valid_time.end)]
    assert sorted(n for n in set(names) if names.count(n) > 1) == []


@pytest.mark.parametrize("spec", BY_ID)
def test_key_is_required_and_bands_rise(spec: LayerSpec) -> None:
    assert all(spec.field(k).required for k in spec.key)
    zooms = [b.zoom for b in spec.tiles.bands]
    assert zooms == sorted(set(zooms))
    assert spec.geometry == "none" or spec.tiles.min_zoom <= min(zooms, default=22) <= spec.tiles.max_zoom


@pytest.mark.parametrize("codes", LISTS)
def test_code_list_is_dated_and_unambiguous(codes: CodeList) -> None:
    assert codes.source
    entries = [c.code for c in codes.codes]
    assert sorted(c for c in set(entries) if entries.count(c) > 1) == []
    words: dict[str, str] = {}
    for c in codes.codes:
        for word in {w.casefold() for w in (c.code, c.title.zh, c.title.en, *c.aliases)}:
            assert words.setdefault(word, c.code) == c.code, f"`{word}` means {words[word]} and {c.code}"
    if any(not c.certain for c in codes.codes):
        assert not codes.closed, "a list with unconfirmed entries must not reject rows"


def test_every_code_list_is_used() -> None:
    assert {f.codes for s in SPECS.values() for f in s.fields if f.codes} == set(CODES)
    assert {f.codes for s in ALL.values() for f in s.fields if f.codes} == set(ALL_CODES)


PATTERNS = [
    ("facility.component", "code", "3205080101000001", True),
    ("facility.component", "code", "320508010100001", False),
    ("facility.component", "code", "0205080101000001", False),
    ("facility.component", "grid_code", "371502001001001", True),
    ("grid.unit_grid", "code", "371502001001001", True),
    ("grid.unit_grid", "code", "371502001001000", False),
    ("grid.unit_grid", "code", "071502001001001", False),
    ("grid.professional_grid", "code", "01010037150200160100", True),
    ("grid.professional_grid", "code", "0101003715020016010", False),
    ("base.county", "code", "371502", True),
    ("base.county", "code", "3715", False),
    ("base.township", "code", "371502001", True),
    ("base.village", "code", "371502001003", True),
    ("base.parcel", "code", "371502001001GB00001", True),
    ("base.parcel", "code", "371502001001GB00001F00010001", True),
    ("base.parcel", "code", "371502001001gb00001", False),
    ("facility.camera", "gb28181_id", "34020000001320000101", True),
    ("facility.camera", "gb28181_id", "3402000000132000010", False),
    ("facility.river_gauge", "code", "41800150", True),
    ("facility.school", "credit_code", "12371500MB2849111X", True),
]


@pytest.mark.parametrize(("layer", "name", "value", "good"), PATTERNS, ids=lambda v: str(v))
def test_pattern(layer: str, name: str, value: str, good: bool) -> None:
    pattern = SPECS[layer].field(name).pattern
    assert pattern is not None
    assert bool(re.fullmatch(pattern, value)) is good


def test_published_component_record_fits() -> None:
    """The record 3205080101000001 (a water manhole cover): major class, class and names agree with the lists."""
    code = "3205080101000001"
    assert CODES["component_major"].titles()[code[6:8]].zh == "公用设施"
    found = next(c for c in CODES["component_class"].codes if c.code == code[6:10])
    assert (found.title.zh, found.certain) == ("上水井盖", True)


def test_component_classes_of_one_edition_only_say_so() -> None:
    entries = CODES["component_class"].codes
    assert {c.code for c in entries if c.certain} == {"0101", "0102", "0103", "0104", "0105"}
    assert {c.code[:2] for c in entries if c.source and "2007 only" in c.source} == {"05", "06"}


DELIVERED = [
    (
        "grid.unit_grid",
        "标识码 面积 用地类别 管理等级 责任主体 备注",
        "code area_m2 land_use manager_level responsible note",
    ),
    ("base.county", "adcode name city_adcode city_name short_name", "code name city_code city_name short_name"),
    ("base.county", "区划代码 名称", "code name"),
    ("base.county", "XZQDM XZQMC BSM YSDM MJ BZ", "code name bsm feature_class area_m2 note"),
    ("base.township", "code9 name_2023 name_2016 county_2016 in_2023", "code name former_name county_name in_force"),
    (
        "base.village",
        "code name adcode ur_code county town",
        "code name county_code urban_rural county_name township_name",
    ),
    ("facility.air_station", "station name city background", "code name city_name background"),
    ("facility.air_station", "监测点编码 监测点名称 城市 对照点", "code name city_name background"),
    ("facility.weather_station", "id name elevation active", "code name elevation_m active"),
    ("facility.heritage_site", "name level batch era county town", "name level batch era county_name township_name"),
    ("facility.component", "ObjID ObjName BGID ObjState ORDate", "code name grid_code state first_seen_on"),
    ("facility.river_gauge", "STCD STNM RVNM WRZ GRZ", "code name river warning_level_m guarantee_level_m"),
]


@pytest.mark.parametrize(("layer", "columns", "fields"), DELIVERED, ids=lambda v: v.split()[0])
def test_delivered_columns_are_known(layer: str, columns: str, fields: str) -> None:
    by_alias = {a.casefold(): f.name for f in SPECS[layer].fields for a in (f.name, *f.aliases)}
    assert [by_alias[c.casefold()] for c in columns.split()] == fields.split()


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    path = tmp_path / "base" / "x.yaml"
    good = (LAYERS / "base/railway.yaml").read_text("utf-8").replace("id: base.railway", "id: base.x")
    path.write_text(good.replace("codes: railway_class", "codes: nothing"), "utf-8")
    with pytest.raises(CatalogueError, match=r"x\.yaml: field `class` uses code list `nothing`"):
        read_layers(tmp_path)


PLANNING = [pytest.param(s, id=i) for i, s in SPECS.items() if s.theme == "planning"]


@pytest.mark.parametrize("spec", PLANNING)
def test_planning_layers_carry_the_short_codes_and_say_whose_colours_they_have(spec: LayerSpec) -> None:
    names = {f.name for f in spec.fields}
    assert {"ysdm", "xzqdm", "xzqmc", "mj", "zrbm", "bz"} <= names
    assert spec.key == (("ghbh",) if spec.name == "plan_area" else ("bsm",))
    assert spec.style.source is not None
    assert spec.geometry == "multipolygon"


def test_three_control_lines_differ_and_lie_over_the_land_use_plans() -> None:
    lines = [SPECS[f"planning.{n}"].style for n in ("basic_farmland", "ecological_redline", "urban_boundary")]
    plans = [SPECS[f"planning.{n}"].style for n in ("land_plan", "master_plan", "regulatory_plan", "present_land")]
    assert len({s.color for s in lines}) == 3
    assert all(s.valid_from and s.opacity < min(p.opacity for p in plans) for s in lines)
    assert min(s.order for s in lines) > max(p.order for p in plans)
    assert min(s.width or 0 for s in lines) > max(p.width or 0 for p in plans)
