# SPDX-License-Identifier: Apache-2.0
"""Landing page, conformance and collections: what they say is true, complete, and in one language."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime

import pyproj
import pytest

from geocloud import ogc
from geocloud.catalogue.registry import LayerState
from geocloud.errors import UnknownCollection
from geocloud.features import CONFORMANCE as FEATURES
from geocloud.features.cql2 import CONFORMANCE as FILTER
from geocloud.geodesy.crs import parse_crs
from geocloud.ogc.dggs import CONFORMANCE as DGGS
from geocloud.ogc.processes import CONFORMANCE as PROCESSES
from geocloud.ogc.tilesets import CONFORMANCE as TILES
from geocloud.styles import CONFORMANCE as STYLES

from .conftest import BASE, EXTENT, STAMP

CHINESE = re.compile(r"[\u4e00-\u9fff]")
DOCUMENTS = {
    "landing": ogc.landing,
    "conformance": ogc.conformance,
    "collections": ogc.collections,
    "openapi": ogc.openapi,
}
OF_LAYER = {
    "collection": ogc.collection,
    "queryables": ogc.queryables,
    "sortables": ogc.sortables,
    "schema": ogc.schema,
}


def links(document, rel):
    return [x for x in document["links"] if x["rel"] == rel]


def templated(href):
    """A link below the base address as a path of the API definition."""
    path = href.removeprefix(BASE).split("?")[0] or "/"
    path = re.sub(r"^/qgis/[^/]+\.qgz$", "/qgis/{project}.qgz", path)
    return re.sub(r"^/collections/[^/]+", "/collections/{collectionId}", path)


def test_landing_page_has_the_links_qgis_looks_for(context):
    landing = ogc.landing(context())
    assert links(landing, "service-desc") == [
        {
            "href": f"{BASE}/api?f=json",
            "rel": "service-desc",
            "type": "application/vnd.oai.openapi+json;version=3.0",
            "title": "接口定义（OpenAPI 3.0）",
        }
    ]
    assert [x["href"] for x in links(landing, "conformance")] == [f"{BASE}/conformance"]
    assert [x["href"] for x in links(landing, "data")] == [f"{BASE}/collections"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_to_a_path_of_the_api(context, name):
    paths = set(ogc.openapi(context())["paths"])
    found = re.findall(rf'"{BASE}(/[^"]*)?"', json.dumps(DOCUMENTS[name](context())))
    assert {templated(BASE + path) for path in found} <= paths


def test_every_collection_link_of_ours_leads_to_a_path_of_the_api(context):
    paths = set(ogc.openapi(context())["paths"])
    document = ogc.collection(context(), "base.county")
    ours = [x["href"] for x in document["links"] if x["href"].startswith(BASE)]
    assert {templated(href) for href in ours} == {
        "/",
        "/collections/{collectionId}",
        *(
            f"/collections/{{collectionId}}/{n}"
            for n in ("items", "queryables", "sortables", "schema", "tiles", "aggregate", "stamps", "changes", "dggs")
        ),
    }
    assert {templated(href) for href in ours} <= paths


def test_conformance_is_what_the_parts_declare(context):
    declared = ogc.conformance(context())["conformsTo"]
    assert sorted(set(declared)) == declared
    assert set(declared) == {*ogc.CONFORMANCE, *FEATURES, *FILTER, *TILES, *STYLES, *PROCESSES, *DGGS}
    assert not [uri for uri in declared if "features-4" in uri]


def test_conformance_has_what_qgis_needs_to_push_filters_down(context):
    declared = ogc.conformance(context())["conformsTo"]
    for wanted in (
        "ogcapi-features-3/1.0/conf/filter",
        "ogcapi-features-3/1.0/conf/features-filter",
        "cql2/1.0/conf/cql2-text",
        "cql2/1.0/conf/basic-cql2",
    ):
        assert f"http://www.opengis.net/spec/{wanted}" in declared


def test_collections_lists_each_collection_as_it_is_alone(context, catalogue):
    document = ogc.collections(context())
    assert [c["id"] for c in document["collections"]] == list(catalogue.layers)
    assert all(c == ogc.collection(context(), c["id"]) for c in document["collections"])
    assert document["numberMatched"] == document["numberReturned"] == len(catalogue.layers)


def test_crs_list_holds_the_eight_and_each_is_that_authority_code(context):
    document = ogc.collection(context(), "base.county")
    codes = [parse_crs(uri, "crs").pyproj().to_authority() for uri in document["crs"]]
    assert codes == [
        ("OGC", "CRS84"), *(("EPSG", c) for c in ("4326", "4490", "3857", "4526", "4527", "4547", "4548"))
    ]  # fmt: skip
    assert document["crs"][0] == "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
    assert document["storageCrs"] == "http://www.opengis.net/def/crs/EPSG/0/4490"
    assert pyproj.CRS.from_user_input(4490).axis_info[0].direction == "north"


def test_extent_count_and_stamp_are_the_layers_own(context):
    document = ogc.collection(context(), "base.county")
    assert document["extent"]["spatial"] == {"bbox": [list(EXTENT)], "crs": document["crs"][0]}
    assert document["itemCount"] == 1_234
    assert datetime.fromisoformat(document["updated"]) == STAMP


def test_count_is_left_out_where_rows_begin_or_end_at_dates(context, catalogue):
    county = catalogue.layers["base.county"]
    timed = replace(county, state=LayerState(3, 1_234, EXTENT, STAMP, next_boundary=STAMP))
    changed = replace(catalogue, layers={**catalogue.layers, "base.county": timed})
    assert "itemCount" not in ogc.collection(context(of=changed), "base.county")


def test_empty_layer_claims_no_extent_and_no_source(context):
    document = ogc.collection(context(), "base.parcel")
    assert "spatial" not in document["extent"]
    assert document["sources"] == [] and "updated" not in document


def test_table_without_geometry_claims_no_crs(context):
    document = ogc.collection(context(), "lab.table")
    assert not {"crs", "storageCrs", "crsNote"} & document.keys()


def test_sources_and_licences_are_told_and_linked(context):
    document = ogc.collection(context("en"), "base.county")
    assert document["sources"] == [
        {
            "title": "OpenStreetMap",
            "license": "ODbL-1.0",
            "synthetic": False,
            "url": "https://www.openstreetmap.org/copyright",
        }
    ]
    assert document["license"] == "ODbL-1.0"
    assert [x["href"] for x in links(document, "license")] == ["https://opendatacommons.org/licenses/odbl/1-0/"]
    assert [x["href"] for x in links(document, "via")] == ["https://www.openstreetmap.org/copyright"]


def test_synthetic_layers_say_so_in_flag_and_title(context):
    made, real = ogc.collection(context(), "base.road"), ogc.collection(context(), "base.county")
    assert made["synthetic"] and "示例数据" in made["title"]
    assert not real["synthetic"] and "示例数据" not in real["title"]


@pytest.mark.parametrize("name", OF_LAYER)
def test_hidden_fields_are_nowhere(context, name):
    assert "secret_name" not in json.dumps(OF_LAYER[name](context(), "lab.awkward"))


@pytest.mark.parametrize("name", OF_LAYER)
def test_unknown_collection_is_an_error_of_the_house(context, name):
    with pytest.raises(UnknownCollection):
        OF_LAYER[name](context(), "base.nothing")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_english_documents_hold_no_chinese_but_keywords_and_names(context, name):
    document = DOCUMENTS[name](context("en"))
    for collection in document.get("collections", ()):
        collection["keywords"] = [k for k in collection["keywords"] if not CHINESE.search(k)]
    found = [line for line in json.dumps(document, ensure_ascii=False, indent=1).splitlines() if CHINESE.search(line)]
    assert found == []


def test_links_keep_the_path_a_proxy_puts_before_them(context):
    ctx = context(base_url="https://gov.example/cloud/")
    assert links(ogc.landing(ctx), "data")[0]["href"] == "https://gov.example/cloud/collections"
    assert 'href="/cloud/static/geocloud.css"' in ogc.render("landing", ctx, ogc.landing(ctx))
