# SPDX-License-Identifier: Apache-2.0
"""pygeoapi 0.21: what we use of it is pinned, and a stock pygeoapi serves the same layers from a real database."""

from __future__ import annotations

import importlib
import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pygeoapi
import pyproj
import pytest
import yaml
from pygeoapi.config import validate_config
from pygeoapi.openapi import get_oas
from pygeoapi.plugin import load_plugin
from pygeoapi.provider.base import BaseProvider, ProviderInvalidQueryError, ProviderItemNotFoundError
from pygeoapi.util import yaml_load

import geocloud
from geocloud import ogc
from geocloud.catalogue.publish import read_catalogue, sync
from geocloud.cli import main
from geocloud.db.cluster import Urls, admin_url
from geocloud.ogc.config import configuration, resource, to_yaml
from geocloud.ogc.provider import GeocloudProvider
from geocloud.settings import Settings

from .conftest import AWKWARD, AWKWARD_CODES, BASE, TABLE

ROWS = [
    ("a", 1, 2.5, "POINT(116 36.4)", "-infinity", "infinity"),
    ("b", 2, None, "POLYGON((116.1 36.4, 116.2 36.4, 116.2 36.5, 116.1 36.4))", "-infinity", "infinity"),
    ("c", 1, 9.0, None, "-infinity", "infinity"),
    ("gone", 1, 1.0, "POINT(116 36.4)", "2019-01-01", "2020-01-01"),
]
CRS = "http://www.opengis.net/def/crs/EPSG/0/"


@pytest.fixture(scope="module")
def filled(urls: Urls) -> Urls:
    """The two layers of this test's own with rows, one of them no longer valid."""
    conn = psycopg2.connect(urls.owner)
    sync(conn, {AWKWARD.id: AWKWARD, TABLE.id: TABLE}, {"grade": AWKWARD_CODES})
    with conn, conn.cursor() as cur:
        cur.executemany(
            "INSERT INTO lab.awkward (code, grade, height, built, secret_name, geom, valid_from, valid_to) "
            "VALUES (%s, %s, %s, '2026-11-22', 'hush', ST_GeomFromText(%s, 4490), %s, %s)",
            ROWS,
        )
        cur.execute("INSERT INTO lab.\"table\" (code) VALUES ('x'), ('y')")
    conn.close()
    return urls


@pytest.fixture(scope="module")
def config(filled: Urls) -> dict[str, Any]:
    conn = psycopg2.connect(filled.reader)
    ctx = ogc.Context(read_catalogue(conn), Settings(), BASE, "en")
    conn.close()
    return configuration(ctx, filled.reader)


@pytest.fixture(scope="module")
def stock(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of pygeoapi's own Flask application, made from the files its command line would be given."""
    folder = tmp_path_factory.mktemp("pygeoapi")
    (folder / "config.yml").write_text(to_yaml(config), encoding="utf-8")
    (folder / "openapi.yml").write_text(yaml.safe_dump(json.loads(json.dumps(get_oas(config), default=str))))
    before = list(logging.getLogger().handlers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYGEOAPI_CONFIG", str(folder / "config.yml"))
        patch.setenv("PYGEOAPI_OPENAPI", str(folder / "openapi.yml"))
        module = importlib.import_module("pygeoapi.flask_app")
        yield module.APP.test_client()
    sys.modules.pop("pygeoapi.flask_app")
    logging.getLogger().handlers[:] = before


def get(client: Any, path: str, status: int = 200, **params: Any) -> Any:
    response = client.get(path, query_string={"f": "json", **params})
    assert response.status_code == status, response.text[:500]
    return json.loads(response.text)


def codes(document: Any) -> list[str]:
    return [f["properties"]["code"] for f in document["features"]]


def provider(config: dict[str, Any], layer_id: str = "lab.awkward") -> GeocloudProvider:
    found = load_plugin("provider", config["resources"][layer_id]["providers"][0])
    assert isinstance(found, GeocloudProvider)
    return found


def test_version_is_the_one_we_know():
    assert pygeoapi.__version__.split(".")[:2] == ["0", "21"]


def test_pygeoapi_is_imported_by_one_package_only():
    folder = Path(geocloud.__file__).parent
    users = {
        p.relative_to(folder).parts[0]
        for p in folder.rglob("*.py")
        if any(line.lstrip().startswith(("import pygeoapi", "from pygeoapi")) for line in p.read_text().splitlines())
    }
    assert users == {"ogc"}


def test_what_the_plugin_rests_on_is_still_there(config):
    given = provider(config)
    assert isinstance(given, BaseProvider)
    assert (given.type, given.id_field, given.editable) == ("feature", "fid", False)
    assert given.fields["height"] == {"title": "Height", "type": "number", "x-ogc-unit": "m"}
    assert BaseProvider.fields.fget is not None  # type: ignore[attr-defined]


def test_configuration_passes_pygeoapis_own_schema(context, config):
    assert validate_config(config)
    assert validate_config(configuration(context()))


def test_written_file_reads_back_the_same_and_holds_no_password(context, monkeypatch):
    config = configuration(context())
    monkeypatch.setenv("GEOCLOUD_READER_URL", "postgresql://reader@/db")
    read = yaml_load(io.StringIO(to_yaml(config)))
    assert "password" not in to_yaml(config)
    assert read["resources"]["lab.awkward"]["providers"][0]["data"] == "postgresql://reader@/db"
    for entry in (*read["resources"].values(), *config["resources"].values()):
        entry["providers"][0].pop("data")
    assert read == config


def test_hidden_and_unqueryable_fields_are_not_in_the_configuration(context, catalogue):
    text = json.dumps(resource(context(), catalogue.layers["lab.awkward"]))
    assert "secret_name" not in text and "shown_only" not in text


def test_stock_pygeoapi_lists_what_our_documents_list(stock, config, filled):
    conn = psycopg2.connect(filled.reader)
    ours = ogc.collections(ogc.Context(read_catalogue(conn), Settings(), BASE, "en"))
    conn.close()
    theirs = {c["id"]: c for c in get(stock, "/collections")["collections"]}
    assert list(theirs) == [c["id"] for c in ours["collections"]]
    for mine in ours["collections"]:
        other = theirs[mine["id"]]
        assert (other["title"], other["description"]) == (mine["title"], mine["description"])
        if "spatial" in mine["extent"]:
            assert other["extent"]["spatial"]["bbox"] == mine["extent"]["spatial"]["bbox"]
            assert set(mine["crs"]) <= set(other["crs"])


def test_stock_pygeoapi_serves_rows_valid_now(stock):
    document = get(stock, "/collections/lab.awkward/items")
    assert codes(document) == ["a", "b", "c"] and document["numberMatched"] == 3
    first, third = document["features"][0], document["features"][2]
    assert first["geometry"] == {"type": "Point", "coordinates": [116, 36.4]}
    assert third["geometry"] is None
    assert first["properties"]["built"] == "2026-11-22" and first["properties"]["height"] == 2.5
    assert not {"secret_name", "shown_only", "valid_from"} & first["properties"].keys()


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"limit": 2}, ["a", "b"]),
        ({"limit": 2, "offset": 2}, ["c"]),
        ({"bbox": "115.9,36.3,116.05,36.5"}, ["a"]),
        ({"bbox": "36.3,115.9,36.5,116.05", "bbox-crs": f"{CRS}4490"}, ["a"]),
        ({"bbox": "116.1,36.46,116.13,36.5"}, []),
        ({"grade": "1"}, ["a", "c"]),
        ({"sortby": "-height"}, ["b", "c", "a"]),
        ({"datetime": "2019-06-01T00:00:00Z"}, ["a", "b", "c", "gone"]),
        ({"datetime": "../2018-01-01T00:00:00Z"}, ["a", "b", "c"]),
        ({"code": "a' OR '1'='1"}, []),
    ],
    ids=["limit", "offset", "bbox", "bbox-lat-first", "triangle-exact", "property", "sort", "then", "before", "quote"],
)
def test_stock_pygeoapi_asks_right(stock, params, expected):
    document = get(stock, "/collections/lab.awkward/items", **params)
    assert codes(document) == expected
    assert document["numberMatched"] == (3 if "limit" in params else len(expected))


@pytest.mark.parametrize("code", [4490, 4326, 4527, 4548, 3857])
def test_stock_pygeoapi_gets_the_axes_right(stock, code):
    given = get(stock, "/collections/lab.awkward/items/1", crs=f"{CRS}{code}")["geometry"]["coordinates"]
    crs = pyproj.CRS.from_epsg(code)
    east, north = pyproj.Transformer.from_crs(4490, code, always_xy=True).transform(116, 36.4)
    expected = (north, east) if crs.axis_info[0].direction == "north" else (east, north)
    assert given == pytest.approx(expected, abs=1e-6 if crs.is_geographic else 0.01)


def test_stock_pygeoapi_serves_a_table_without_geometry(stock):
    assert codes(get(stock, "/collections/lab.table/items")) == ["x", "y"]
    assert get(stock, "/collections/lab.table/items", bbox="115,36,117,37")["features"] == []


@pytest.mark.parametrize("fid", ["99", "nothing", "-1", "9" * 30, "1;--"])
def test_no_such_feature(stock, config, fid):
    get(stock, f"/collections/lab.awkward/items/{fid}", status=404)
    with pytest.raises(ProviderItemNotFoundError):
        provider(config).get(fid)


def test_hidden_columns_cannot_be_asked_for(stock):
    # An unknown parameter is dropped by pygeoapi: the answer is as if it had not been given.
    assert codes(get(stock, "/collections/lab.awkward/items", secret_name="hush")) == ["a", "b", "c"]
    get(stock, "/collections/lab.awkward/items", status=400, sortby="secret_name")
    get(stock, "/collections/lab.awkward/items", status=400, properties="secret_name")


def test_filters_are_refused_not_ignored(stock, config):
    get(stock, "/collections/lab.awkward/items", status=400, filter="grade = 1")
    with pytest.raises(ProviderInvalidQueryError):
        provider(config).query(q="a")


def test_reader_role_cannot_write(config):
    given = provider(config)
    with pytest.raises(NotImplementedError):
        given.create({})
    conn = psycopg2.connect(given.data)
    with conn.cursor() as cur:
        cur.execute("SET TRANSACTION READ WRITE")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cur.execute("DELETE FROM lab.awkward")
    conn.close()


@pytest.mark.parametrize("with_database", [False, True], ids=["variable", "password"])
def test_command_writes_the_file(filled, cluster, database, open_tmp, tmp_path, monkeypatch, capsys, with_database):
    monkeypatch.setenv("GEOCLOUD_DATABASE_URL", admin_url(cluster, database))
    monkeypatch.setenv("GEOCLOUD_HOME", str(open_tmp / f"given-{with_database}"))
    out = tmp_path / "sub" / "pygeoapi.yml"
    arguments = ["ogc", "config", "--json", "--out", str(out), "--url", "http://pygeoapi.example:5000"]
    with pytest.raises(SystemExit) as end:
        main([*arguments, *(["--with-database"] if with_database else [])])
    assert end.value.code in (0, None)
    assert json.loads(capsys.readouterr().out) == {"file": str(out), "layers": 2, "password_in_file": with_database}
    monkeypatch.setenv("GEOCLOUD_READER_URL", "from-the-environment")
    with out.open(encoding="utf-8") as file:
        config = yaml_load(file)
    assert validate_config(config) and config["server"]["bind"] == {"host": "pygeoapi.example", "port": 5000}
    data = config["resources"]["lab.awkward"]["providers"][0]["data"]
    assert (data == "from-the-environment") is not with_database
    if with_database:
        assert out.stat().st_mode & 0o077 == 0
        assert codes(provider(config).query()) == ["a", "b", "c"]
