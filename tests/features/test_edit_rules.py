# SPDX-License-Identifier: Apache-2.0
"""An edit is held to the rules of a load: the same rows by both ways, row by row; and bodies are read within limits."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import read_layers
from geocloud.errors import InvalidBody
from geocloud.features.body import Draft, parse_json, read_patch
from geocloud.features.geojson import place, read_geometry
from geocloud.features.rows import RuleBook
from geocloud.features.violation import Violation
from geocloud.geodesy.crs import crs
from geocloud.ingest.mapping import map_columns
from geocloud.rules.checker import Checker
from geocloud.rules.collector import Collector
from geocloud.rules.repair import repair
from tests.web.editing import KINDS, asset_spec

BBOX = (115.27, 35.75, 116.55, 37.05)
ASSET = Layer(asset_spec(), codes={"asset_kind": KINDS})
SPECS, CODES = read_layers(Path(__file__).resolve().parents[2] / "layers")

ROW = st.fixed_dictionaries(
    {
        "code": st.none() | st.text("AB1-x ", max_size=4),
        "name": st.none() | st.text(max_size=50).filter(lambda t: "\0" not in t and max(t, default="a") < "\ud800"),
        "kind": st.none() | st.sampled_from(["lamp", "tree", "ufo", "lamp post", " lamp "]),
        "height": st.none() | st.floats(-10, 200),
        "year": st.none() | st.integers(-(2**63), 2**63 - 1),
        "open": st.none() | st.booleans(),
        "built": st.none() | st.sampled_from(["2024-02-29", "2023-02-29", "20240301", "2024年3月1日", "soon"]),
        "checked": st.none()
        | st.sampled_from(["2024-02-29T12:00:00Z", "2024-02-29T12:00:00+08:00", "2024-02-29 8:00"]),
    }
)
PLACE = st.none() | st.tuples(st.floats(-200, 200), st.floats(-100, 100))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(ROW, PLACE), min_size=1, max_size=4))
def test_edits_and_loads_find_the_same(rows: list[tuple[dict[str, Any], tuple[float, float] | None]]) -> None:
    drafts = [Draft(f"/features/{i}", dict(r), p and shapely.Point(p), True) for i, (r, p) in enumerate(rows)]
    written, broken = RuleBook(BBOX).check(ASSET, drafts, crs("OGC:CRS84"), None, whole=True)

    types = {"height": pa.float64(), "year": pa.int64(), "open": pa.bool_()}
    names = list(rows[0][0])
    table = pa.table({n: pa.array([r[n] for r, _ in rows], types.get(n, pa.string())) for n in names})
    found = Collector(0, len(rows), listed=10_000)
    checker = Checker(ASSET.spec, ASSET.codes, map_columns(ASSET.spec, names), city_bbox=BBOX)
    loaded = checker.check(table, found)
    own = Collector(0, len(rows), listed=10_000)
    shapes = repair(np.array([p and shapely.Point(p) for _, p in rows], dtype=object), "point", own)
    checker.geometry(shapes, own)

    expected = {(f"/features/{f.row - 1}/properties/{f.field}", f.code) for f in found.findings}
    expected |= {(f"/features/{f.row - 1}/geometry", f.code) for f in own.findings}
    said = {(v.pointer, v.code) for v in (*broken, *written.notes)}
    assert {s for s in said if s[1] != "GC-601"} == expected
    for name in names:
        values = loaded.column(name).to_pylist()
        texts = [v.isoformat() if hasattr(v, "isoformat") else v for v in values]
        assert [str(v) for v in written.values[name]] == [str(t) for t in texts]
    assert written.geometry is not None
    assert [g and shapely.from_wkb(g) for g in written.geometry] == list(shapes.array)


@pytest.mark.parametrize("layer_id", sorted(SPECS))
def test_every_layer_of_the_project_can_be_checked(layer_id: str) -> None:
    """An empty feature breaks exactly the rule that asks for values, in every layer there is."""
    spec = SPECS[layer_id]
    layer = Layer(spec, codes={f.codes: CODES[f.codes] for f in spec.fields if f.codes})
    draft = Draft("", {}, None, spec.geometry != "none")
    written, broken = RuleBook(BBOX).check(layer, [draft], crs("OGC:CRS84"), None, whole=True)
    needed = {f.name for f in spec.visible_fields if f.required or f.name in spec.key}
    assert {(v.pointer, v.code) for v in broken} == {(f"/properties/{n}", "GC-501") for n in needed}
    assert set(written.values) == {f.name for f in spec.visible_fields}


NESTED = st.recursive(
    st.none() | st.booleans() | st.text('[]{}"\\a', max_size=5) | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('[{\\"', max_size=3), inner, max_size=3),
    max_leaves=20,
)


@given(NESTED)
def test_depth_is_counted_as_a_walk_counts_it(document: Any) -> None:
    def deep(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(deep, inner), default=0)

    body, depth = orjson.dumps(document), deep(document)
    assert parse_json(body, depth) == document
    if depth:
        with pytest.raises(InvalidBody):
            parse_json(body, depth - 1)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_json_or_refused(body: bytes) -> None:
    try:
        found = parse_json(body, 16)
    except InvalidBody as exc:
        assert exc.en and exc.zh
    else:
        # What is read without these digits is what the standard library reads.
        wide = re.search(rb"[0-9]{16}", body)
        assert wide or found == json.loads(body)


NUMBERS = st.floats(-180, 180)
POSITIONS = st.lists(NUMBERS, min_size=2, max_size=2)
RINGS = st.lists(POSITIONS, min_size=3, max_size=6).map(lambda r: [*r, r[0]])
SHAPES = st.one_of(
    st.builds(lambda c: {"type": "Point", "coordinates": c}, POSITIONS),
    st.builds(lambda c: {"type": "MultiPoint", "coordinates": c}, st.lists(POSITIONS, max_size=4)),
    st.builds(lambda c: {"type": "LineString", "coordinates": c}, st.lists(POSITIONS, min_size=2, max_size=5)),
    st.builds(lambda c: {"type": "Polygon", "coordinates": c}, st.lists(RINGS, min_size=1, max_size=3)),
    st.builds(lambda c: {"type": "MultiPolygon", "coordinates": [[r] for r in c]}, st.lists(RINGS, max_size=3)),
)


@given(SHAPES)
def test_geometry_is_read_as_shapely_reads_it(shape: dict[str, Any]) -> None:
    found: list[Violation] = []
    made = read_geometry(shape, "/geometry", found)
    assert not found
    assert shapely.equals_identical(made, shapely.geometry.shape(shape)) or made.is_empty


JUNK = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["type", "coordinates"]), inner),
    max_leaves=12,
)


@given(st.sampled_from(["Point", "LineString", "Polygon", "MultiPolygon", "GeometryCollection"]), JUNK)
def test_junk_is_a_violation_or_a_geometry_and_never_a_fault(kind: str, junk: Any) -> None:
    found: list[Violation] = []
    made = read_geometry({"type": kind, "coordinates": junk, "geometries": junk}, "", found)
    assert (made is None) == bool(found)
    assert all(v.code == "not-a-geometry" and v.zh for v in found)


@pytest.mark.parametrize("name", ["EPSG:4526", "EPSG:4527", "EPSG:4548", "EPSG:3857"])
def test_what_a_projection_cannot_show_has_no_place(name: str) -> None:
    far = shapely.Point(9e7, 9e7)
    (placed,) = place([far], crs(name))
    assert math.isnan(placed.x) and math.isnan(placed.y)


def test_height_stays_with_its_vertex() -> None:
    line = shapely.LineString([(36.5, 116, 7), (36.6, 116.1, 8)])
    placed = place([line, None, shapely.Point(36, 116)], crs("EPSG:4326"))
    assert list(placed[0].coords) == [(116, 36.5, 7), (116.1, 36.6, 8)]
    assert placed[1] is None and placed[2].coords[0] == (116, 36)


def test_patch_merges_as_the_standard_says() -> None:
    found: list[Violation] = []
    before = {"geometry": {"type": "Point", "coordinates": [1, 2]}}
    draft = read_patch({"properties": {"name": None}, "geometry": {"coordinates": [3, 4]}}, ASSET, before, found)
    assert draft.properties == {"name": None} and draft.geometry == shapely.Point(3, 4) and draft.has_geometry
    assert not read_patch({}, ASSET, before, found).has_geometry
    gone = read_patch({"geometry": None}, ASSET, before, found)
    assert gone.has_geometry and gone.geometry is None and not found
