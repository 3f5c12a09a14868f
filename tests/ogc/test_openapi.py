# SPDX-License-Identifier: Apache-2.0
"""The API definition: valid OpenAPI 3.0, whole in itself, small, and true of the documents."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace

import jsonschema
import pytest
from pygeoapi.openapi import validate_openapi_document

from geocloud import ogc
from geocloud.features.changes_request import CHANGES_PARAMETERS, CHOICE_PARAMETERS, SPAN_PARAMETERS
from geocloud.features.request import ITEM_PARAMETERS, PAGE_PARAMETERS
from geocloud.ogc.context import CRS_URIS
from geocloud.web.change_tiles import CHANGE_TILE_PARAMETERS
from geocloud.web.versions import VERSION_PARAMETERS, VERSIONS_PARAMETERS

DOCUMENTS = {
    "LandingPage": lambda ctx: ogc.landing(ctx),
    "Conformance": lambda ctx: ogc.conformance(ctx),
    "Collections": lambda ctx: ogc.collections(ctx),
    "Collection": lambda ctx: ogc.collection(ctx, "base.county"),
    "JsonSchema": lambda ctx: ogc.queryables(ctx, "base.county"),
    "Problem": lambda ctx: ogc.problem_of_status(ctx, 404, "/nothing"),
}


def as_json_schema(node):
    """OpenAPI 3.0's dialect as plain JSON Schema: `nullable` becomes a choice with null."""
    if isinstance(node, list):
        return [as_json_schema(x) for x in node]
    if not isinstance(node, dict):
        return node
    node = {k: as_json_schema(v) for k, v in node.items()}
    return {"anyOf": [node, {"type": "null"}]} if node.pop("nullable", False) else node


def check(document, name, definition):
    schema = {"$ref": f"#/components/schemas/{name}", "components": as_json_schema(definition["components"])}
    jsonschema.validate(document, schema, jsonschema.Draft202012Validator)


def parameters(definition, path):
    shared = definition["components"]["parameters"]
    return [
        shared[p["$ref"].rsplit("/", 1)[1]] if "$ref" in p else p
        for p in definition["paths"][path]["get"]["parameters"]
    ]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_is_valid_openapi_30(context, language):
    assert validate_openapi_document(ogc.openapi(context(language)))


def test_every_reference_is_inside_and_resolves(context):
    definition = ogc.openapi(context())
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(definition)))
    assert references
    for reference in references:
        node = definition
        assert reference.startswith("#/")
        for part in reference[2:].split("/"):
            node = node[part]


def test_every_component_is_used(context):
    definition = ogc.openapi(context())
    used = set(re.findall(r'"#/components/([^"]+)"', json.dumps(definition)))
    made = {f"{kind}/{name}" for kind, names in definition["components"].items() for name in names}
    assert made == used


def test_operation_ids_are_unique(context):
    ids = [op["operationId"] for item in ogc.openapi(context())["paths"].values() for op in item.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/collections/{collectionId}/items", {*PAGE_PARAMETERS, "f", "lang", "collectionId"}),
        (
            "/collections/{collectionId}/items/{featureId}",
            {*ITEM_PARAMETERS, "f", "lang", "collectionId", "featureId"},
        ),
        ("/collections/{collectionId}/changes", {*CHANGES_PARAMETERS, "f", "lang", "collectionId"}),
        (
            "/collections/{collectionId}/changes/summary",
            {*SPAN_PARAMETERS, *CHOICE_PARAMETERS, "f", "lang", "collectionId"},
        ),
        (
            "/collections/{collectionId}/items/{featureId}/versions",
            {*VERSIONS_PARAMETERS, "f", "lang", "collectionId", "featureId"},
        ),
        (
            "/collections/{collectionId}/items/{featureId}/versions/{version}",
            {*VERSION_PARAMETERS, "f", "lang", "collectionId", "featureId", "version"},
        ),
        (
            "/collections/{collectionId}/changes/tiles/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}",
            {*CHANGE_TILE_PARAMETERS, "lang", "collectionId", "tileMatrixSetId", "tileMatrix", "tileRow", "tileCol"},
        ),
        ("/", {"f", "lang"}),
    ],
    ids=["items", "item", "changes", "changes-summary", "versions", "version", "change-tiles", "landing"],
)
def test_parameters_are_those_the_server_reads(context, path, expected):
    ctx = context()
    found = parameters(ogc.openapi(ctx), path)
    assert {p["name"] for p in found if "x-by-property" not in p} == expected
    if path.endswith("/items"):
        queryables = {f.name for layer in ctx.catalogue.layers.values() for f in layer.spec.queryables}
        assert {p["name"] for p in found if "x-by-property" in p} == queryables


def test_limits_are_the_settings(context):
    ctx = context()
    found = {p["name"]: p["schema"] for p in parameters(ogc.openapi(ctx), "/collections/{collectionId}/items")}
    assert found["limit"]["maximum"] == ctx.settings.web.page_max
    assert found["limit"]["default"] == ctx.settings.web.page_default
    assert found["offset"]["maximum"] == ctx.settings.web.offset_max
    web = ctx.settings.web
    assert found["filter"]["maxLength"] == min(web.filter_chars_max, web.url_max // 12)
    assert found["crs"]["enum"] == list(CRS_URIS)


def test_ids_are_one_enum_so_that_thousands_of_collections_stay_small(context, catalogue):
    county = catalogue.layers["base.county"]
    layers = {}
    for n in range(2_300):
        spec = county.spec.model_copy(update={"id": f"theme{n % 30}.layer{n}"})
        layers[spec.id] = replace(county, spec=spec)
    definition = ogc.openapi(context(of=replace(catalogue, layers=layers)))
    assert definition["components"]["parameters"]["collectionId"]["schema"]["enum"] == list(layers)
    grown = len(json.dumps(definition)) - len(json.dumps(ogc.openapi(context())))
    assert grown < 40 * len(layers)


def test_empty_catalogue_gives_a_valid_definition(context, catalogue):
    assert validate_openapi_document(ogc.openapi(context(of=replace(catalogue, layers={}))))


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_documents_fit_their_schemas(context, name, language):
    ctx = context(language)
    check(DOCUMENTS[name](ctx), name, ogc.openapi(ctx))


@pytest.mark.parametrize(
    "geometry",
    [
        None,
        {"type": "Point", "coordinates": [116, 36.4]},
        {"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 0], [1, 1], [0, 0]]]]},
        {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [116, 36.4]}]},
    ],
    ids=["none", "point", "multipolygon", "collection"],
)
def test_feature_schema_takes_geojson(context, geometry):
    definition = ogc.openapi(context())
    feature = {"type": "Feature", "id": 1, "geometry": geometry, "properties": {}}
    check(feature, "Feature", definition)
    check({"type": "FeatureCollection", "features": [feature], "links": []}, "FeatureCollection", definition)


def test_feature_schema_rejects_what_is_no_geojson(context):
    definition = copy.deepcopy(ogc.openapi(context()))
    flat = {"type": "Polygon", "coordinates": [[0, 0], [1, 0], [0, 0]]}
    with pytest.raises(jsonschema.ValidationError):
        check({"type": "Feature", "id": 1, "geometry": flat, "properties": {}}, "Feature", definition)
