# SPDX-License-Identifier: Apache-2.0
"""A sector from the template, built as its pyproject.toml says, is published and runs without a change in the core."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import psycopg2
import pytest
import yaml

from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls, admin_url
from geocloud.errors import CatalogueError
from geocloud.sectors import registry
from geocloud.sectors.template import write_sector
from geocloud.settings import CitySettings, DatabaseSettings
from tests.conftest import _unused_port

ROOT = Path(__file__).resolve().parents[2]
CITY = CitySettings()
POINT = json.dumps({"type": "Point", "coordinates": [115.98, 36.45]})


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package from the template."""
    folder = tmp_path_factory.mktemp("sector")
    done = _geocloud({}, "sector", "new", "fair_ground", "--folder", str(folder))
    assert len(done.stdout.splitlines()) == 7
    return folder / "geocloud-fair-ground"


@pytest.fixture(scope="module")
def site(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where setuptools puts the package and its metadata: what an installation holds, without building a wheel."""
    at = tmp_path_factory.mktemp("site-packages")
    told = ["egg_info", "--egg-base", str(at), "build_py", "--build-lib", str(at)]
    done = subprocess.run(
        [sys.executable, "-c", "import setuptools; setuptools.setup()", *told],
        cwd=package,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return at


def _geocloud(env: dict[str, str], *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "geocloud.cli", *args], capture_output=True, text=True, cwd=ROOT, timeout=300,
        env=os.environ | {"GEOCLOUD_LANGUAGE": "en"} | env,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def env(cluster: DatabaseSettings, database: str, open_tmp: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    city = tmp_path_factory.mktemp("city")
    spec = (ROOT / "layers/facility/culture_venue.yaml").read_text("utf-8")
    (city / "facility").mkdir()
    (city / "facility/culture_venue.yaml").write_text(spec, "utf-8")
    (city / "codes").mkdir()
    for name in ("venue_kind", "admin_level", "operation_state", "position_quality"):
        (city / f"codes/{name}.yaml").write_bytes((ROOT / f"layers/codes/{name}.yaml").read_bytes())
    return {
        "GEOCLOUD_DATABASE_URL": admin_url(cluster, database),
        "GEOCLOUD_HOME": str(open_tmp / "sector-home"),
        "GEOCLOUD_LAYERS_DIR": str(city),
    }


def _with(site: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}


def test_a_new_sector_passes_its_own_tests(package: Path, site: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=package, capture_output=True, text=True,
        env=os.environ | _with(site),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for args in (("check",), ("format", "--check")):
        linted = subprocess.run(
            [sys.executable, "-m", "ruff", *args, "--config", str(ROOT / "pyproject.toml"), "."], cwd=package,
            capture_output=True, text=True,
        )  # fmt: skip
        assert linted.returncode == 0, linted.stdout


def test_its_layer_is_published_and_its_process_runs(site: Path, env: dict[str, str], urls: Urls) -> None:
    _geocloud(env, "layers", "sync")
    before = {x["id"] for x in json.loads(_geocloud(env, "layers", "list", "--json").stdout)}
    assert "culture.event" in before and "fair_ground.place" not in before
    with_it = env | _with(site)
    listed = {s["name"]: s for s in json.loads(_geocloud(with_it, "sector", "list", "--json").stdout)}
    assert (listed["fair_ground"]["layers"], listed["fair_ground"]["processes"]) == (
        ["fair_ground.place"], ["fair-ground-count"],
    )  # fmt: skip
    assert listed["fair_ground"]["functions"] == ["fair-ground-count"] and listed["fair_ground"]["panel_error"] is None
    steps = json.loads(_geocloud(with_it, "layers", "sync", "--json").stdout)["steps"]
    assert [(s["layer"], s["action"]) for s in steps] == [("fair_ground.place", "create")]
    conn = psycopg2.connect(urls.owner)
    with conn, conn.cursor() as cur:
        cur.execute(
            "INSERT INTO fair_ground.place (code, geom) SELECT i::text,"
            " ST_SetSRID(ST_MakePoint(115.98 + i * 0.01, 36.45), 4490) FROM generate_series(0, 2) i"
        )
    conn.close()
    done = _geocloud(with_it, "process", "run", "fair-ground-count", f"point={POINT}", "distance_m=1000")
    assert json.loads(done.stdout)["count"] == 2
    # A city may leave it out: its layer is retired, and its rows come back with it.
    for chosen, action in ((",".join(registry.HOUSE), "retire"), ("*", "restore")):
        told = json.loads(_geocloud(with_it | {"GEOCLOUD_SECTORS": chosen}, "layers", "sync", "--json").stdout)
        assert {s["layer"] for s in told["steps"]} == {"fair_ground.place"} and told["steps"][0]["action"] == action
    again = _geocloud(with_it, "process", "run", "fair-ground-count", f"point={POINT}", "distance_m=800")
    assert json.loads(again.stdout)["count"] == 1
    wrong = _geocloud(env | {"GEOCLOUD_SECTORS": "culture,nowhere"}, "layers", "sync", code=30)
    assert "`nowhere`, which is not installed" in wrong.stderr


def test_its_panel_is_told_to_the_map_without_a_change_in_the_core(site: Path, env: dict[str, str]) -> None:
    port = _unused_port()
    served = subprocess.Popen(
        [sys.executable, "-m", "geocloud.cli", "serve"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=os.environ | env | _with(site) | {"GEOCLOUD_PORT": str(port)},
    )  # fmt: skip
    try:
        sectors = _get(f"http://127.0.0.1:{port}/sectors", served)["sectors"]
        described = _get(f"http://127.0.0.1:{port}/processes/fair-ground-count?f=json", served)
    finally:
        served.terminate()
        served.wait(30)
    (told,) = [s for s in sectors if s["name"] == "fair_ground"]
    (function,) = told["functions"]
    assert told["layers"] == ["fair_ground.place"] == function["layers"]
    assert [a["input"] for a in function["asks"]] == list(described["inputs"]) == ["point", "distance_m"]
    assert function["asks"][0]["pick"] == "point"
    assert {f["name"].partition("/")[0] for f in function["figures"]} <= set(described["outputs"])
    for name, value in function["example"].items():
        jsonschema.validate(value, described["inputs"][name]["schema"])


def _get(address: str, served: subprocess.Popen[bytes]) -> Any:
    """JSON of an address, once the server answers."""
    for _ in range(600):
        if served.poll() is not None:
            raise AssertionError((served.stderr.read() if served.stderr else b"").decode())
        try:
            return httpx.get(address, timeout=10).raise_for_status().json()
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server did not answer")


def test_a_broken_sector_is_told_and_retires_nothing(env: dict[str, str], tmp_path: Path) -> None:
    about = tmp_path / "broken_sector-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-sector\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[geocloud.sectors]\nbroken = there.is.no.such.module\n")
    broken = env | _with(tmp_path)
    done = _geocloud(broken, "layers", "sync", code=30)
    assert "The sector `broken` (there.is.no.such.module) cannot be read" in done.stderr
    listed = {s["name"]: s for s in json.loads(_geocloud(broken, "sector", "list", "--json").stdout)}
    assert "ModuleNotFoundError" in listed["broken"]["error"] and listed["culture"]["error"] is None
    _geocloud(broken | {"GEOCLOUD_SECTORS": "culture"}, "layers", "sync", "--dry-run")


def test_ids_that_clash_are_refused_with_both_files(tmp_path: Path) -> None:
    spec = yaml.safe_load((ROOT / "layers/base/city.yaml").read_text("utf-8"))
    (tmp_path / "base").mkdir()
    (tmp_path / "base/city.yaml").write_text(yaml.safe_dump(spec), "utf-8")
    with pytest.raises(CatalogueError) as told:
        read_layers(CITY.layers_folder, [tmp_path], CITY.house_layers)
    for text in (str(told.value.en), str(told.value.zh)):
        assert str(CITY.layers_folder / "base/city.yaml") in text and str(tmp_path / "base/city.yaml") in text


def test_lists_of_codes_come_from_the_city_the_sector_or_the_house(tmp_path: Path) -> None:
    a, b = _sector(tmp_path / "a", "x", "mine"), _sector(tmp_path / "b", "y", "mine")
    layers, codes = read_layers(a, [b], CITY.house_layers)
    assert set(layers) == {"x.place", "y.place"} and codes["mine"].title.en == "of x"
    c = _sector(tmp_path / "c", "z", "venue_kind", own=False)
    assert read_layers(a, [c], CITY.house_layers)[1]["venue_kind"].titles()["library"].en == "Library"
    with pytest.raises(CatalogueError, match="venue_kind"):
        read_layers(a, [c])
    d = _sector(tmp_path / "d", "w", "other")
    with pytest.raises(CatalogueError, match=r"`mine` is defined twice: in .*codes/mine.yaml"):
        read_layers(d, [a, b])


def _sector(folder: Path, theme: str, codes: str, *, own: bool = True) -> Path:
    words = {"title": {"zh": "甲", "en": "A"}, "description": {"zh": "甲", "en": "A"}}
    field = {"name": "kind", "title": {"zh": "类", "en": "Kind"}, "codes": codes}
    (folder / theme).mkdir(parents=True)
    spec = {**words, "geometry": "none", "key": ["kind"], "fields": [field]}
    (folder / theme / "place.yaml").write_text(yaml.safe_dump(spec), "utf-8")
    if own:
        (folder / "codes").mkdir()
        listed = {"title": {"zh": "表", "en": f"of {theme}"}, "source": "made up", "codes": []}
        (folder / "codes" / f"{codes}.yaml").write_text(yaml.safe_dump(listed), "utf-8")
    return folder


@pytest.mark.parametrize("name", ["", "A", "x y", "../x", "history", "pg_x", "x" * 32])
def test_names_that_cannot_be_themes_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError):
        write_sector(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_sector("trial", tmp_path)
    with pytest.raises(CatalogueError):
        write_sector("trial", tmp_path)


@pytest.fixture
def alone() -> Iterator[None]:
    yield
    registry.sectors.cache_clear()


def test_what_a_city_publishes(alone: None) -> None:
    assert [s.name for s in registry.published(CitySettings(sectors=""))] == []
    assert "culture" in [s.name for s in registry.published(CitySettings())]
    assert set(registry.layer_ids(registry.sectors()["culture"])) == {
        "culture.event", "culture.intangible_heritage", "culture.trail",
    }  # fmt: skip
