# SPDX-License-Identifier: Apache-2.0
"""Monaco's OpenStreetMap extract in the layers, element by element against GDAL's own reading of the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import geopandas
import psycopg2
import pytest
import shapely

from geocloud.catalogue.publish import read_catalogue, sync
from geocloud.catalogue.registry import Catalogue
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.errors import IngestError, UnreadableFile
from geocloud.ingest.load import LoadResult
from geocloud.ingest.osm import load_osm
from geocloud.ingest.osm_mapping import FieldRule, OsmMapping, read_mapping
from geocloud.settings import DatabaseSettings, Settings
from tests.ingest.loading import ask

LAYERS = Path(__file__).resolve().parents[2] / "layers"
MAPPING = read_mapping(LAYERS / "osm.yaml")
HSTORE = re.compile(r'"((?:[^"\\]|\\.)*)"=>"((?:[^"\\]|\\.)*)"')


@pytest.fixture(scope="module")
def monaco(shared_data: Path) -> Path:
    return shared_data / "osm" / "monaco-latest.osm.pbf"


@pytest.fixture(scope="module")
def catalogue(urls: Urls) -> Catalogue:
    conn = psycopg2.connect(urls.owner)
    sync(conn, *read_layers(LAYERS))
    found = read_catalogue(conn)
    conn.close()
    return found


@pytest.fixture(scope="module")
def results(
    urls: Urls, monaco: Path, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, LoadResult]:
    settings = Settings(database=DatabaseSettings(home=tmp_path_factory.mktemp("home")))
    return {r.layer: r for r in load_osm(urls.owner, monaco, catalogue, settings=settings)}


def by_gdal(path: Path) -> dict[str, tuple[dict[str, str], Any, str]]:
    """Tags, geometry and GDAL's layer of every element GDAL makes a feature of, by our key."""
    out: dict[str, tuple[dict[str, str], Any, str]] = {}
    for layer in ("points", "lines", "multipolygons"):
        for row in geopandas.read_file(path, layer=layer, engine="pyogrio").to_dict("records"):
            tags = {k: v for k, v in row.items() if isinstance(v, str) and not k.startswith("osm_")}
            tags |= {k: v.replace('\\"', '"') for k, v in HSTORE.findall(str(tags.pop("other_tags", "")))}
            way = row.get("osm_way_id")
            if layer == "points":
                key = f"node/{row['osm_id']}"
            elif layer == "lines" or isinstance(way, str):
                key = f"way/{way if isinstance(way, str) else row['osm_id']}"
            else:
                key = f"relation/{row['osm_id']}"
            out[key] = (tags, row["geometry"], layer)
    return out


@pytest.fixture(scope="module")
def gdal(monaco: Path) -> dict[str, tuple[dict[str, str], Any, str]]:
    return by_gdal(monaco)


@pytest.mark.parametrize("layer", [n for n, rule in MAPPING.layers.items() if rule.take == "line"])
def test_lines_are_those_gdal_reads(
    urls: Urls, results: dict[str, LoadResult], catalogue: Catalogue, gdal: dict[str, Any], layer: str
) -> None:
    rule = MAPPING.layers[layer]
    wanted = {k for k, (tags, _, _) in gdal.items() if k.startswith("way/") and rule.wants(tags)}
    stored = dict(ask(urls.owner, f"SELECT code, ST_AsBinary(geom) FROM {catalogue.layers[layer].table}"))
    assert results[layer].new == len(stored) > 0
    assert set(stored) <= wanted
    # GDAL does not hand on the tag area=yes, by which a closed way is a place and not a line.
    assert all(gdal[k][2] == "multipolygons" for k in wanted - set(stored))
    assert {k for k in wanted if gdal[k][2] == "lines"} <= set(stored)
    for key, wkb in stored.items():
        got, theirs = shapely.from_wkb(bytes(wkb)), gdal[key][1]
        line = theirs.exterior if theirs.geom_type == "Polygon" else theirs
        line = theirs.geoms[0].exterior if theirs.geom_type == "MultiPolygon" else line
        assert shapely.hausdorff_distance(got, line) < 1e-7


@pytest.mark.parametrize("layer", ["base.building", "base.water_area"])
def test_areas_are_those_gdal_reads(
    urls: Urls, results: dict[str, LoadResult], catalogue: Catalogue, gdal: dict[str, Any], layer: str
) -> None:
    rule = MAPPING.layers[layer]
    theirs = {k: s for k, (tags, s, from_) in gdal.items() if from_ == "multipolygons" and rule.wants(tags)}
    stored = dict(ask(urls.owner, f"SELECT code, ST_AsBinary(geom) FROM {catalogue.layers[layer].table}"))
    assert len(stored) > 10
    # GDAL takes closed ways as areas only by a list of keys; what it does take must be here, and be the same.
    assert set(theirs) <= set(stored)
    extra = set(stored) - set(theirs)
    assert all(k in gdal and gdal[k][2] == "lines" for k in extra)
    assert len(extra) <= len(stored) * 0.02
    for key, shape in theirs.items():
        got = shapely.from_wkb(bytes(stored[key]))
        assert got.is_valid
        assert got.symmetric_difference(shapely.make_valid(shape)).area < 1e-12


@pytest.mark.parametrize("layer", [n for n, rule in MAPPING.layers.items() if rule.take == "point"])
def test_points_are_those_gdal_reads(
    urls: Urls, results: dict[str, LoadResult], catalogue: Catalogue, gdal: dict[str, Any], layer: str
) -> None:
    rule = MAPPING.layers[layer]
    theirs = {
        k: s
        for k, (tags, s, from_) in gdal.items()
        if from_ != "lines" and rule.wants(tags) and all(t in tags for t in rule.needs)
    }
    stored = dict(ask(urls.owner, f"SELECT code, ST_AsBinary(geom) FROM {catalogue.layers[layer].table}"))
    assert results[layer].new == len(stored)
    assert set(theirs) <= set(stored)
    assert all(gdal.get(k, ("", "", "lines"))[2] == "lines" for k in set(stored) - set(theirs))
    for key, shape in theirs.items():
        got = shapely.from_wkb(bytes(stored[key]))
        assert got.geom_type == "Point"
        assert shapely.make_valid(shape).distance(got) < 1e-7


def test_fields_are_filled_from_tags(urls: Urls, results: dict[str, LoadResult], gdal: dict[str, Any]) -> None:
    rows = ask(urls.owner, 'SELECT code, name, class, max_speed_kmh, oneway FROM "base"."road"')
    classes = MAPPING.layers["base.road"].fields["class"].values
    for code, name, class_, speed, oneway in rows:
        tags = gdal[code][0]
        assert class_ == classes[tags["highway"]]
        assert name == tags.get("name:zh", tags.get("name"))
        if tags.get("maxspeed", "").isdigit():
            assert speed == int(tags["maxspeed"])
        if "oneway" in tags:
            assert oneway == {"yes": True, "no": False, "-1": True}.get(tags["oneway"])
    assert sum(speed is not None for _, _, _, speed, _ in rows) > 100


def test_licence_is_recorded(urls: Urls, results: dict[str, LoadResult]) -> None:
    got = ask(urls.owner, "SELECT layer, licence, url FROM geocloud.source ORDER BY layer")
    assert {r[0] for r in got} >= {name for name, r in results.items() if r.new}
    assert {r[2] for r in got} == {"https://www.openstreetmap.org/copyright"}
    assert {r[1] for r in got} == {"ODbL-1.0"}


def test_again_changes_nothing(
    urls: Urls, monaco: Path, results: dict[str, LoadResult], catalogue: Catalogue, tmp_path: Path
) -> None:
    settings = Settings(database=DatabaseSettings(home=tmp_path))
    for again in load_osm(urls.owner, monaco, catalogue, settings=settings):
        assert (again.new, again.changed, again.retired) == (0, 0, 0)
        assert again.unchanged == results[again.layer].new
        assert again.version == again.version_before


def test_cut_off_file_is_one_sentence(
    urls: Urls, monaco: Path, catalogue: Catalogue, tmp_path: Path, results: dict[str, LoadResult]
) -> None:
    path = tmp_path / "cut.osm.pbf"
    path.write_bytes(monaco.read_bytes()[:200_000])
    before = ask(urls.owner, "SELECT layer, version FROM geocloud.layer_state ORDER BY 1")
    with pytest.raises(UnreadableFile) as caught:
        load_osm(urls.owner, path, catalogue, settings=Settings(database=DatabaseSettings(home=tmp_path)))
    assert "cut.osm.pbf" in caught.value.en
    assert ask(urls.owner, "SELECT layer, version FROM geocloud.layer_state ORDER BY 1") == before


VALUES = [
    pytest.param({"tag": "lanes", "form": "integer"}, {"lanes": "2"}, ("2", True), id="integer"),
    pytest.param({"tag": "lanes", "form": "integer"}, {"lanes": "2;1"}, (None, False), id="list-is-no-integer"),
    pytest.param({"tag": "maxspeed", "form": "integer"}, {"maxspeed": "50 km/h"}, ("50", True), id="unit-kept-out"),
    pytest.param({"tag": "maxspeed", "form": "integer"}, {"maxspeed": "50 mph"}, (None, False), id="other-unit"),
    pytest.param({"tag": "height", "form": "number"}, {"height": "12.5 m"}, ("12.5", True), id="metres"),
    pytest.param("name", {}, (None, True), id="absent"),
    pytest.param(["name:zh", "name"], {"name": "b", "name:zh": "a"}, ("a", True), id="first-present"),
    pytest.param({"tag": "x", "values": {"a": "1"}}, {"x": "b"}, (None, True), id="unlisted"),
    pytest.param({"tag": "x", "values": {"a": "1"}, "other": "9"}, {"x": "b"}, ("9", True), id="unlisted-with-other"),
    pytest.param({"value": "digitised"}, {}, ("digitised", True), id="constant"),
]


@pytest.mark.parametrize(("rule", "tags", "expected"), VALUES)
def test_value_of_a_field(rule: Any, tags: dict[str, str], expected: tuple[str | None, bool]) -> None:
    assert FieldRule.model_validate(rule).read(tags) == expected


def test_mapping_fits_the_layers() -> None:
    specs, codes = read_layers(LAYERS)
    for name, rule in MAPPING.layers.items():
        fields = {f.name: f for f in specs[name].fields}
        assert "code" in fields and specs[name].key == ("code",)
        for field, source in rule.fields.items():
            assert field in fields, f"{name}.{field}"
            listed = codes[fields[field].codes] if fields[field].codes else None
            for value in [*source.values.values(), *filter(None, (source.other, source.value))]:
                if listed is not None:
                    assert value in listed.titles(), f"{name}.{field}: {value}"


def test_broken_mapping_names_the_place(tmp_path: Path) -> None:
    (tmp_path / "osm.yaml").write_text("layers: {base.road: {take: circle, match: {a: [b]}, fields: {}}}")
    with pytest.raises(IngestError, match="base.road.take"):
        read_mapping(tmp_path / "osm.yaml")


def test_unpublished_layers_are_an_error(urls: Urls, monaco: Path, tmp_path: Path) -> None:
    mapping = OsmMapping.model_validate({"layers": {"base.x": {"take": "line", "match": {"a": ["b"]}, "fields": {}}}})
    with pytest.raises(IngestError):
        load_osm(urls.owner, monaco, Catalogue(), settings=Settings(), mapping=mapping)
