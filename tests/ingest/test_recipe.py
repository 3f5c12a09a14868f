# SPDX-License-Identifier: Apache-2.0
"""The recipe of the real city, by its documented command, against the files it names."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely

from geocloud.db.cluster import Urls, admin_url
from geocloud.errors import IngestError
from geocloud.ingest.recipe import Recipe, read_recipe
from geocloud.settings import DatabaseSettings
from tests.ingest.loading import ask

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "layers" / "recipes" / "liaocheng.yaml"


@pytest.fixture(scope="module")
def admin(cluster: DatabaseSettings, database: str) -> str:
    """A URL that may prepare the database, as an operator's own would."""
    return admin_url(cluster, database)


@pytest.fixture(scope="module")
def loaded(admin: str, shared_data: Path, open_tmp: Path) -> list[dict[str, Any]]:
    return run(admin, shared_data, open_tmp / "recipe")


def run(admin: str, data: Path, home: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "geocloud.cli", "load", "--recipe", str(RECIPE), "--data", str(data), "--json"],
        capture_output=True, timeout=300, check=False, cwd=ROOT,
        env=os.environ | {"GEOCLOUD_DATABASE_URL": admin, "GEOCLOUD_HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_every_row_of_every_file_is_accounted_for(loaded: list[dict[str, Any]]) -> None:
    assert len(loaded) > 20
    for one in loaded:
        assert one["rejected"] == 0, one["layer"]
        assert one["read"] == one["new"] + one["changed"] + one["unchanged"], one["layer"]


def test_counties_are_the_real_ones(urls: Urls, loaded: list[dict[str, Any]], shared_data: Path) -> None:
    real = geopandas.read_file(shared_data / "liaocheng/admin_county_amap_wgs84.geojson")
    stored = ask(urls.owner, "SELECT code, name, ST_AsBinary(geom) FROM base.county ORDER BY code")
    assert [(c, n) for c, n, _ in stored] == sorted(zip(real["adcode"].astype(str), real["name"], strict=True))
    shapes = dict(zip(real["adcode"].astype(str), real.geometry, strict=True))
    for code, _, wkb in stored:
        assert shapely.from_wkb(bytes(wkb)).symmetric_difference(shapes[code]).area == 0


def test_places_come_from_the_points_and_codes_from_the_lists(
    urls: Urls, loaded: list[dict[str, Any]], shared_data: Path
) -> None:
    for layer, codes, points, key in (
        ("township", "admin_township_codes.csv", "admin_township_points.geojson", "code9"),
        ("village", "admin_village_codes.csv", "admin_village_points.geojson", "code"),
    ):
        with (shared_data / "liaocheng" / codes).open(encoding="utf-8-sig", newline="") as file:
            listed = {r[key] for r in csv.DictReader(file)}
        real = geopandas.read_file(shared_data / "liaocheng" / points)
        places = dict(zip(real[key].astype(str), real.geometry, strict=True))
        stored = dict(ask(urls.owner, f'SELECT code, ST_AsBinary(geom) FROM base."{layer}"'))
        assert set(stored) == listed | set(places)
        assert {c: shapely.from_wkb(bytes(g)) for c, g in stored.items() if g is not None} == places


def test_source_and_licence_are_in_the_catalogue(urls: Urls, loaded: list[dict[str, Any]]) -> None:
    recipe = read_recipe(RECIPE)
    stored = set(ask(urls.owner, "SELECT layer, title_en, title_zh, licence, url FROM geocloud.source"))
    for one in recipe.loads:
        if one.layer:
            title = one.source.title
            assert (one.layer, title.en, title.zh, one.source.licence, one.source.url) in stored
    assert {r[3] for r in stored if r[1] == "OpenStreetMap Monaco"} == {"ODbL-1.0"}
    unsourced = ask(urls.owner, "SELECT count(*) FROM base.county WHERE source_id IS NULL")
    assert unsourced == [(0,)]


def test_approximate_sites_say_so(urls: Urls, loaded: list[dict[str, Any]]) -> None:
    rows = ask(urls.owner, "SELECT position_quality, geom IS NULL, count(*) FROM facility.heritage_site GROUP BY 1, 2")
    assert {(q, g): n for q, g, n in rows} == {("area", False): 21, ("none", True): 2}


def test_again_changes_nothing(
    urls: Urls, admin: str, loaded: list[dict[str, Any]], shared_data: Path, open_tmp: Path
) -> None:
    before = ask(urls.owner, "SELECT layer, version FROM geocloud.layer_state ORDER BY 1")
    for one in run(admin, shared_data, open_tmp / "recipe"):
        assert (one["new"], one["changed"], one["retired"], one["rejected"]) == (0, 0, 0, 0), one["layer"]
    assert ask(urls.owner, "SELECT layer, version FROM geocloud.layer_state ORDER BY 1") == before


def test_missing_data_is_one_sentence(admin: str, open_tmp: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "geocloud.cli", "load", "--recipe", str(RECIPE), "--data", str(tmp_path)],
        capture_output=True, timeout=120, check=False, cwd=ROOT,
        env=os.environ
        | {"GEOCLOUD_DATABASE_URL": admin, "GEOCLOUD_HOME": str(open_tmp / "recipe"), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 40
    assert "lacks 14 files" in done.stderr.decode()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("title: {zh: a, en: a}\nloads: []", "loads", id="nothing-to-load"),
        pytest.param("loads: [", "YAML", id="no-yaml"),
        pytest.param("title: {zh: a, en: a}\nloads: [{file: x, source: {title: {zh: a, en: a}, licence: x}}]",
                     "layer", id="no-target"),
    ],
)  # fmt: skip
def test_broken_recipe_names_the_place(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(IngestError, match=place):
        read_recipe(path)


def test_recipe_has_no_data() -> None:
    assert isinstance(read_recipe(RECIPE), Recipe)
    assert RECIPE.stat().st_size < 20_000
