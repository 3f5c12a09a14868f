# SPDX-License-Identifier: Apache-2.0
"""Where the rules of a check hit, as GeoJSON: a feature for each rule and class of its layer."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import shapely

from geocloud.geodesy.straight import straight_areas
from geocloud.planning.compliance import Checked
from geocloud.planning.compliance_rules import Pack, Rule

__all__ = ["OVERLAPS_SCHEMA", "overlaps_of"]

OVERLAPS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "format": "geojson-feature-collection",
    "required": ["type", "features"],
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "geometry", "properties"],
                "properties": {
                    "type": {"const": "Feature"},
                    "geometry": {"type": "object"},
                    "properties": {
                        "type": "object",
                        "required": ["rule", "verdict", "layer", "class", "area_m2"],
                        "properties": {
                            "rule": {"type": "string"},
                            "verdict": {"enum": ["refuse", "consent", "note"]},
                            "layer": {"type": "string"},
                            "class": {"type": ["string", "null"]},
                            "area_m2": {"type": "number", "description": "m2 on the CGCS2000 ellipsoid"},
                        },
                    },
                },
            },
        },
    },
}


def overlaps_of(checked: Checked, pack: Pack) -> dict[str, Any]:
    """A FeatureCollection in longitude and latitude (CRS84), parts that are noise left out.

    A rule that asks for what lies outside a layer, or tells no classes apart, has one feature with the class null.
    """
    rules = {r.number: r for r in pack.rules}
    features = []
    for answer in checked.document["rules"]:
        whole = checked.overlaps.get(answer["number"])
        if whole is None:
            continue
        for code, shape in _by_class(checked, rules[answer["number"]], whole):
            area = round(float(straight_areas(np.array([shape], dtype=object))[0]), 6)
            facts = {"rule": answer["number"], "verdict": answer["verdict"], "layer": answer["layer"]}
            features.append({
                "type": "Feature",
                "geometry": json.loads(shapely.to_geojson(shapely.transform(shape, lambda xy: np.round(xy, 9)))),
                "properties": {**facts, "class": code, "area_m2": area},
            })  # fmt: skip
    return {"type": "FeatureCollection", "features": features}


def _by_class(checked: Checked, rule: Rule, whole: Any) -> list[tuple[str | None, Any]]:
    held = checked.held[rule.layer]
    if rule.test == "outside" or rule.class_field is None:
        return [(None, whole)]
    own = np.flatnonzero(held.matches[rule.number])
    codes = [held.facts[i].get(rule.class_field) for i in own]
    out: list[tuple[str | None, Any]] = []
    for code in sorted(set(codes), key=str):
        shapes = held.shapes[own[[c == code for c in codes]]]
        part = shapely.intersection(whole, shapely.union_all(shapes))
        areal = [p for p in shapely.get_parts(part) if p.geom_type == "Polygon"]
        if areal:
            out.append((None if code is None else str(code), shapely.multipolygons(areal)))
    return out
