# SPDX-License-Identifier: Apache-2.0
"""Clients other people wrote: GDAL's OAPIF driver, geopandas and OWSLib read the service as they read any."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from owslib.ogcapi.features import Features

from tests.web.conftest import SITE, ZONE, City
from tests.web.recorder import recording


@pytest.fixture(autouse=True)
def gdal_may_ask_the_server() -> None:
    """Reading files closes GDAL's way to any network for the whole process, and other tests may have read some."""
    names = ("GDAL_HTTP_PROXY", "GDAL_HTTP_TIMEOUT", "GDAL_HTTP_CONNECTTIMEOUT")
    pyogrio.set_gdal_config_options(dict.fromkeys(names))


def test_gdal_lists_collections_with_geometry_types(server: str) -> None:
    layers = dict(pyogrio.list_layers(f"OAPIF:{server}/"))
    assert layers[SITE] == "Point"
    assert ZONE in layers


def test_gdal_reads_every_feature_with_its_values(server: str, city: City) -> None:
    info = pyogrio.read_info(f"OAPIF:{server}/", layer=SITE)
    assert info["features"] == len(city.sites)
    frame = pyogrio.read_dataframe(f"OAPIF:{server}/", layer=SITE)
    assert frame.crs.to_epsg() == 4490
    assert len(frame) == len(city.sites)
    by_code = {row["code"]: row for row in city.sites.values()}
    for record in frame.itertuples():
        row = by_code[record.code]
        assert (record.geometry.x, record.geometry.y) == (row["x"], row["y"])
        assert (record.name if isinstance(record.name, str) else None) == row["name"]
        assert record.height == row["height"] or (np.isnan(record.height) and row["height"] is None)


@pytest.mark.parametrize(
    ("where", "sent"),
    [
        ("kind = 'lamp'", "filter=kind = 'lamp'"),
        ("kind = 'lamp' AND height > 12.5", "height"),
        ("name LIKE '光%'", "name"),
        # GDAL evaluates IN itself.
        ("year IN (1999, 2000, 2001)", ""),
    ],
)
def test_gdal_pushes_its_filter_down(server: str, city: City, tmp_path: Path, where: str, sent: str) -> None:
    with recording(server, tmp_path / "requests") as recorder:
        frame = pyogrio.read_dataframe(
            f"OAPIF:{recorder.url}/", layer=SITE, where=where, bbox=(115.5, 36.0, 116.2, 36.8)
        )
    asked = [r for r in recorder.requests if "/items" in r and "bbox=" in r]
    assert asked and all(sent in r for r in asked), recorder.requests
    tests = {
        "kind = 'lamp'": lambda r: r["kind"] == "lamp",
        "kind = 'lamp' AND height > 12.5": lambda r: r["kind"] == "lamp" and (r["height"] or 0) > 12.5,
        "name LIKE '光%'": lambda r: (r["name"] or "").startswith("光"),
        "year IN (1999, 2000, 2001)": lambda r: r["year"] in (1999, 2000, 2001),
    }
    expected = {
        r["code"] for r in city.sites.values()
        if 115.5 <= r["x"] <= 116.2 and 36.0 <= r["y"] <= 36.8 and tests[where](r)
    }  # fmt: skip
    assert set(frame["code"]) == expected
    assert len(frame) == len(expected)


def test_gdal_pages_to_the_end(server: str, city: City, tmp_path: Path) -> None:
    with recording(server, tmp_path / "requests") as recorder:
        frame = pyogrio.read_dataframe(f"OAPIF:{recorder.url}/", layer=SITE, PAGE_SIZE=500)
    pages = [r for r in recorder.requests if "/items" in r and "token=" in r]
    assert len(pages) >= 4, recorder.requests
    assert sorted(frame["code"]) == sorted(r["code"] for r in city.sites.values())


def test_geopandas_reads_a_geojson_address(server: str, city: City) -> None:
    frame = geopandas.read_file(f"{server}/collections/{SITE}/items?f=json&limit=3000&kind=tree")
    assert set(frame["code"]) == {r["code"] for r in city.sites.values() if r["kind"] == "tree"}
    zones = geopandas.read_file(f"{server}/collections/{ZONE}/items?f=json")
    triangle = zones.set_index("code").geometry["triangle"]
    assert triangle.equals(shapely.from_wkt("MULTIPOLYGON(((116 36, 116.2 36, 116 36.2, 116 36)))"))


def test_owslib_finds_its_way(server: str, city: City) -> None:
    service = Features(server)
    assert "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text" in service.conformance()["conformsTo"]
    assert {SITE, ZONE} <= set(service.feature_collections())
    assert service.collection(SITE)["id"] == SITE
    assert set(service.collection_queryables(SITE)["properties"]) >= {"code", "kind", "height"}
    page = service.collection_items(SITE, limit=5, bbox=[115.5, 36.0, 116.2, 36.8], filter="kind = 'tree'")
    expected = [
        f for f, r in city.sites.items() if r["kind"] == "tree" and 115.5 <= r["x"] <= 116.2 and 36 <= r["y"] <= 36.8
    ]
    assert page["numberMatched"] == len(expected)
    assert [f["id"] for f in page["features"]] == expected[:5]
    assert service.collection_item(SITE, "17")["properties"]["code"] == city.sites[17]["code"]
    assert service.api()["openapi"].startswith("3.0")
