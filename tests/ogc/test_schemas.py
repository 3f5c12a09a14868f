# SPDX-License-Identifier: Apache-2.0
"""Queryables, sortables and schema: valid JSON Schema that accepts and rejects what it should."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from geocloud import ogc
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder
from geocloud.features.cql2 import compile_filter
from geocloud.settings import WebSettings

MAKERS = {"queryables": ogc.queryables, "sortables": ogc.sortables, "schema": ogc.schema}


@pytest.mark.parametrize("name", MAKERS)
def test_is_valid_json_schema_for_every_layer(context, catalogue, name):
    for layer_id in catalogue.layers:
        document = MAKERS[name](context(), layer_id)
        Draft202012Validator.check_schema(document)
        assert document["$id"].endswith(f"/collections/{layer_id}/{name}")


def test_closed_code_list_rejects_and_open_one_explains(context, catalogue):
    awkward = ogc.schema(context(), "lab.awkward")["properties"]["grade"]
    assert Draft202012Validator(awkward).is_valid(2)
    assert not Draft202012Validator(awkward).is_valid(3)
    assert {c["const"]: c["title"] for c in awkward["oneOf"]} == {1: "一级", 2: "二级"}
    for layer in catalogue.layers.values():
        document = ogc.schema(context(), layer.id)
        for f in layer.spec.visible_fields:
            if f.codes and f.type == "text":
                validator = Draft202012Validator({"anyOf": [document["properties"][f.name]]})
                first = layer.codes[f.codes].codes[0].code
                known = validator.is_valid(first) or f.pattern or f.max_length
                assert known, (layer.id, f.name)
                entry = {k: v for k, v in document["properties"][f.name].items() if k in ("oneOf", "anyOf")}
                assert Draft202012Validator(entry).is_valid("no such code") is not layer.codes[f.codes].closed


def test_a_real_feature_fits_its_schema(context):
    schema = ogc.schema(context(), "lab.awkward")
    feature = {"code": "a", "grade": 1, "height": 2.5, "built": "2026-11-22", "open": True}
    assert Draft202012Validator(schema).is_valid(feature)
    assert [e.path[0] for e in Draft202012Validator(schema).iter_errors(feature | {"height": -1})] == ["height"]
    assert not Draft202012Validator(schema).is_valid({"grade": 1})


def test_roles_and_units_of_part_5(context):
    properties = ogc.schema(context(), "lab.awkward")["properties"]
    assert properties["id"] == {
        "title": "要素编号", "type": "integer", "x-ogc-role": "id", "readOnly": True, "x-ogc-propertySeq": 1
    }  # fmt: skip
    assert properties["geom"] == {
        "title": "几何图形", "format": "geometry-any", "x-ogc-role": "primary-geometry", "x-ogc-propertySeq": 2
    }  # fmt: skip
    assert properties["height"]["x-ogc-unit"] == "m" and properties["height"]["x-ogc-unitLang"] == "UCUM"
    assert [p["x-ogc-propertySeq"] for p in properties.values()] == list(range(1, len(properties) + 1))


@pytest.mark.parametrize("layer_id", ["lab.awkward", "lab.table", "base.county", "facility.component"])
def test_queryables_are_exactly_what_the_filter_compiler_takes(context, catalogue, layer_id):
    layer = catalogue.layers[layer_id]
    document = ogc.queryables(context(), layer_id)

    def taken(name):
        try:
            compile_filter(Binder(), f"{name} IS NULL", "cql2-text", layer, None, WebSettings())
        except InvalidParameter:
            return False
        return True

    assert all(taken(name) for name in document["properties"])
    others = {f.name for f in layer.spec.fields} | {"fid", "geom", "sys_from", "source_id"}
    assert not [name for name in others - document["properties"].keys() if taken(name)]


def test_table_has_no_geometry_to_ask_for(context):
    assert "geom" not in ogc.queryables(context(), "lab.table")["properties"]
