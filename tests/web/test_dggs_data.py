# SPDX-License-Identifier: Apache-2.0
"""Figures of zones: those of `/aggregate` for the same cells, and those that shapely and pyproj give."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import h3
import httpx
import numpy as np
import pyproj
import pytest
import shapely

from geocloud.grids import beidou
from tests.overlay.areal import DOT, LAND, LINE, MANY, MIXED, TABLE, City, city, client, server

__all__ = ["city", "client", "server"]

GEOD = pyproj.Geod(a=6378137.0, rf=298.257222101)
OF_FIELD = "sum:value,mean:value,min:value,max:value,mean:year"
MEASURES = {
    DOT: f"count,density,{OF_FIELD}",
    LINE: f"count,density,length,{OF_FIELD}",
    LAND: f"count,density,area,{OF_FIELD}",
    MANY: f"count,{OF_FIELD}",
    MIXED: f"count,length,area,{OF_FIELD}",
}
CONDITIONS = [{}, {"filter": "value > 4", "datetime": "2030-01-01T00:00:00Z"}]


def get(client: httpx.Client, path: str, **params: object) -> Any:
    answer = client.get(path, params={k.replace("_", "-"): v for k, v in params.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


def aggregate(client: httpx.Client, layer: str, by: str, **params: object) -> dict[str, dict[str, Any]]:
    rows = get(client, f"/collections/{layer}/aggregate", by=by, **params)["zones"]
    return {r["zone"]: {k: v for k, v in r.items() if k not in _ABOUT} for r in rows if r["zone"] is not None}


_ABOUT = ("zone", "code", "name", "area_km2")


def columns(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Rows by zone of an answer for a box."""
    values = document["values"]
    return {z: {n: v[i] for n, v in values.items()} for i, z in enumerate(document["zones"])}


def same(found: dict[str, dict[str, Any]], expected: dict[str, dict[str, Any]]) -> None:
    assert set(found) == set(expected)
    for zone, row in found.items():
        assert list(row) == list(expected[zone])
        assert numbers(row.values()) == near(expected[zone].values()), zone


def numbers(values: Iterable[float | None]) -> list[float]:
    """NaN for null."""
    return [np.nan if v is None else v for v in values]


def near(values: Iterable[float | None]) -> Any:
    return pytest.approx(numbers(values), rel=1e-8, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("more", CONDITIONS)
@pytest.mark.parametrize(("dggs", "level"), [("h3", 8), ("beidou", 4)])
@pytest.mark.parametrize("layer", list(MEASURES))
def test_a_whole_layer_has_the_figures_of_aggregate(
    client: httpx.Client, layer: str, dggs: str, level: int, more: dict[str, str]
) -> None:
    expected = aggregate(client, layer, f"{dggs}:{level}", measure=MEASURES[layer], **more)
    document = get(client, f"/collections/{layer}/dggs/{dggs}/data", zone_level=level, measure=MEASURES[layer], **more)
    same(columns(document), expected)
    assert document["count"] == pytest.approx(sum(r["count"] for r in expected.values()), rel=1e-9)
    listed = get(client, f"/collections/{layer}/dggs/{dggs}/zones", zone_level=level, compact_zones="false", **more)
    assert set(listed["zones"]) == set(expected)


@pytest.mark.parametrize("more", CONDITIONS)
@pytest.mark.parametrize(("dggs", "level"), [("h3", 8), ("beidou", 5)])
@pytest.mark.parametrize("layer", [DOT, LINE, LAND, MIXED])
def test_a_box_has_whole_zones_with_the_figures_of_aggregate(
    client: httpx.Client, layer: str, dggs: str, level: int, more: dict[str, str]
) -> None:
    box = (116.04, 36.02, 116.11, 36.07)
    # What lies in a zone that the box meets reaches no further out than this.
    wider = "116.01,35.99,116.14,36.1"
    expected = aggregate(client, layer, f"{dggs}:{level}", measure=MEASURES[layer], bbox=wider, **more)
    params = {"zone_level": level, "bbox": ",".join(map(str, box)), **more}
    document = get(client, f"/collections/{layer}/dggs/{dggs}/data", measure=MEASURES[layer], **params)
    found = columns(document)
    same(found, {z: expected[z] for z in found})
    outlines = {
        z: shapely.box(*beidou.decode(z).bbox) if dggs == "beidou"
        else shapely.Polygon([(x, y) for y, x in h3.cell_to_boundary(z)])
        for z in expected
    }  # fmt: skip
    area = shapely.box(*box)
    inside = {z for z, s in outlines.items() if s.intersection(area).area > 1e-12}
    assert inside <= set(found) <= {z for z, s in outlines.items() if s.intersects(area.buffer(1e-9))}
    assert inside or more
    listed = get(client, f"/collections/{layer}/dggs/{dggs}/zones", compact_zones="false", **params)
    assert set(listed["zones"]) == set(found)


@pytest.mark.parametrize("more", CONDITIONS)
@pytest.mark.parametrize("layer", list(MEASURES))
@pytest.mark.parametrize("dggs", ["h3", "beidou"])
def test_data_of_a_zone_are_the_figures_of_aggregate(
    client: httpx.Client, layer: str, dggs: str, more: dict[str, str]
) -> None:
    if dggs == "h3":
        zone, level = h3.latlng_to_cell(36.05, 116.05, 6), 6
        below = {d: sorted(h3.cell_to_children(zone, 6 + d)) for d in (0, 1, 2)}
    else:
        zone, level = beidou.encode(116.05, 36.05, 3), 3
        below = {0: [zone], 1: get(client, f"/dggs/beidou/zones/{zone}")["children"]}
    text = ",".join(map(str, below))
    path = f"/collections/{layer}/dggs/{dggs}/zones/{zone}/data"
    document = get(client, path, zone_depth=text, measure=MEASURES[layer], **more)
    assert document["depths"] == list(below)
    names = list(document["values"])
    assert names == list(document["schema"]["properties"])
    some = False
    for k, (depth, zones) in enumerate(below.items()):
        expected = aggregate(client, layer, f"{dggs}:{level + depth}", measure=MEASURES[layer], **more)
        for name in names:
            value = document["values"][name][k]
            assert value["depth"] == depth and value["shape"] == {"count": len(zones), "subZones": len(zones)}
            nothing = None if name.startswith(("mean", "min", "max")) else 0
            told = [expected[z][name] if z in expected else nothing for z in zones]
            assert numbers(value["data"]) == near(told)
        some |= bool(set(zones) & set(expected))
        features = get(client, path, zone_depth=depth, measure=MEASURES[layer], f="geojson", **more)["features"]
        own = {f["id"]: {k: v for k, v in f["properties"].items() if k != "level"} for f in features}
        same(own, {z: expected[z] for z in zones if z in expected})
    assert some or more


@pytest.mark.parametrize("layer", [LINE, LAND])
def test_length_and_area_in_a_zone_are_those_of_the_pieces(client: httpx.Client, city: City, layer: str) -> None:
    zone = beidou.encode(116.12, 36.06, 3)
    kind, name = ("length", "length_m") if layer == LINE else ("area", "area_m2")
    document = get(client, f"/collections/{layer}/dggs/beidou/zones/{zone}/data", measure=f"{kind},count,sum:value")
    cells = [shapely.box(*beidou.decode(z).bbox) for z in get(client, f"/dggs/beidou/zones/{zone}")["children"]]
    values = {n: v[0]["data"] for n, v in document["values"].items()}
    # Lines along edges of cells belong to one of both; these are left to the comparison with `/aggregate`.
    rows = city.frames[layer][~city.frames[layer]["code"].isin(["border", "bent", "unset"])]
    extra = city.frames[layer][city.frames[layer]["code"].isin(["border", "bent"])]
    for i, cell in enumerate(cells):
        if any(s.intersects(cell) for s in extra.geometry):
            continue
        shares = [_size(g.intersection(cell), kind) / _size(g, kind) for g in rows.geometry]
        pieces = [s * _size(g, kind, bent=True) for s, g in zip(shares, rows.geometry, strict=True)]
        assert values[name][i] == pytest.approx(sum(pieces), rel=1e-6, abs=1e-3)
        assert values["count"][i] == pytest.approx(sum(shares), rel=1e-6, abs=1e-8)
        known = [s * v for s, v in zip(shares, rows["value"], strict=True) if not np.isnan(v)]
        assert values["sum_value"][i] == pytest.approx(sum(known), rel=1e-6, abs=1e-7)
    assert sum(v > 0 for v in values[name]) > 10
    # The sub-zones of a BeiDou zone make it up.
    whole = get(client, f"/collections/{layer}/dggs/beidou/zones/{zone}/data", measure=kind, zone_depth=0)
    assert sum(values[name]) == pytest.approx(whole["values"][name][0]["data"][0], rel=1e-8)


def _size(shape: Any, kind: str, *, bent: bool = False) -> float:
    """Metres or square metres on the ellipsoid, edges straight in degrees as those of cells are, or geodesics."""
    if kind == "area" and not bent:
        shape = shape.segmentize(0.0005)
    return GEOD.geometry_length(shape) if kind == "length" else abs(GEOD.geometry_area_perimeter(shape)[0])


def test_a_large_polygon_is_cut_near_the_zone_alone(client: httpx.Client, city: City) -> None:
    """`/aggregate` refuses so many cells of a whole layer; a zone knows its own."""
    assert client.get(f"/collections/{LAND}/aggregate", params={"by": "beidou:7", "measure": "area"}).status_code == 413
    frame = city.frames[LAND]
    # A place on the rim of the largest disc.
    rim = max((g for g in frame.geometry if g is not None), key=lambda g: g.area).geoms[0].exterior.coords[0]
    zone = beidou.encode(rim[0], rim[1], 6)
    document = get(client, f"/collections/{LAND}/dggs/beidou/zones/{zone}/data", measure="area,max:value")
    values = {n: v[0]["data"] for n, v in document["values"].items()}
    children = get(client, f"/dggs/beidou/zones/{zone}")["children"]
    shapes = frame[~frame.geometry.isna()]
    reaching = 0
    for i, child in enumerate(children):
        cell = shapely.box(*beidou.decode(child).bbox)
        pieces = [_size(g.intersection(cell), "area") for g in shapes.geometry]
        assert values["area_m2"][i] == pytest.approx(sum(pieces), rel=1e-4, abs=1e-3)
        in_it = [v for v, p in zip(shapes["value"], pieces, strict=True) if p > 1e-6 and not np.isnan(v)]
        assert values["max_value"][i] == (max(in_it) if in_it else None)
        reaching += sum(pieces) > 0
    assert reaching


def test_titles_and_units_are_told(client: httpx.Client) -> None:
    document = get(client, f"/collections/{LAND}/dggs/h3/data", measure="area,density,max:value,count", zone_level=6)
    told = document["schema"]["properties"]
    assert list(told) == ["area_m2", "density", "max_value", "count", "without_value_value"]
    assert [p["x-ogc-property-seq"] for p in told.values()] == [1, 2, 3, 4, 5]
    assert told["area_m2"]["x-ogc-unit"] == "m2" and told["density"]["x-ogc-unit"] == "/km2"
    assert told["max_value"]["title"] == "Greatest: Value" and "null" in told["max_value"]["type"]
    chinese = get(client, f"/collections/{LAND}/dggs/h3/data", measure="max:value", zone_level=6, lang="zh")
    assert chinese["schema"]["properties"]["max_value"]["title"] == "Value(中文)的最大值" and "count" not in chinese


def test_a_table_has_no_zones_and_other_layers_lead_to_theirs(client: httpx.Client) -> None:
    for path in ("dggs", "dggs/h3", "dggs/h3/zones", "dggs/h3/data", "dggs/beidou/zones/N50J30/data"):
        answer = client.get(f"/collections/{TABLE}/{path}")
        assert answer.status_code == 400 and TABLE in answer.text
    for layer in (LINE, LAND, MANY, MIXED):
        links = get(client, f"/collections/{layer}", f="json")["links"]
        (one,) = [x["href"] for x in links if x["rel"].endswith("dggrs-list")]
        assert {d["id"] for d in get(client, one)["dggrs"]} == {"beidou", "h3"}
    assert not any("dggs" in x["href"] for x in get(client, f"/collections/{TABLE}", f="json")["links"])


def test_answers_are_kept_by_version_and_an_edit_shows_at_once(client: httpx.Client, city: City) -> None:
    zone = beidou.encode(116.3333, 36.3333, 4)
    path = f"/collections/{LAND}/dggs/beidou/zones/{zone}/data"
    params = {"measure": "area,count", "zone-depth": "0"}
    first = client.get(path, params=params)
    assert first.json()["values"]["count"][0]["data"] == [0]
    again = client.get(path, params=params, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content
    ring = shapely.box(*beidou.decode(zone).bbox)
    city.run(
        f"INSERT INTO {LAND} (fid, code, name, geom) VALUES (9500, 'new', 'new', ST_Multi(ST_GeomFromText(%s, 4490)))",
        shapely.to_wkt(ring, rounding_precision=-1),
    )
    try:
        end = time.monotonic() + 5
        while (after := client.get(path, params=params)).content == first.content and time.monotonic() < end:
            time.sleep(0.05)
        assert after.headers["etag"] != first.headers["etag"]
        values = after.json()["values"]
        assert values["count"][0]["data"] == [pytest.approx(1)]
        area = get(client, f"/dggs/beidou/zones/{zone}")["areaMetersSquare"]
        assert values["area_m2"][0]["data"] == [pytest.approx(area, rel=1e-6)]
    finally:
        city.run(f"DELETE FROM {LAND} WHERE fid = 9500")


@pytest.mark.parametrize(
    ("path", "params", "status", "words"),
    [
        (f"/collections/{LAND}/dggs/h3/data", {"measure": "sum:secret"}, 400, "secret"),
        (f"/collections/{LAND}/dggs/h3/data", {"measure": "mean:name"}, 400, "not numbers"),
        (f"/collections/{LAND}/dggs/h3/data", {"measure": "length"}, 400, "length"),
        (f"/collections/{LINE}/dggs/h3/data", {"measure": "area"}, 400, "area"),
        (f"/collections/{LAND}/dggs/h3/data", {"measure": ""}, 400, "measure"),
        (f"/collections/{LAND}/dggs/beidou/zones/N50J30/data", {"measure": "sum:secret"}, 400, "secret"),
        (f"/collections/{LAND}/dggs/beidou/zones/N50J30/data", {"zone-depth": "5"}, 413, "20,000"),
        (f"/collections/{LINE}/dggs/beidou/data", {"zone-level": "6"}, 413, "20,000"),
        (f"/collections/{LAND}/dggs/beidou/data", {"zone-level": "8"}, 413, "50,000"),
        (f"/collections/{LINE}/dggs/beidou/zones", {"zone-level": "9"}, 413, "50,000"),
        (f"/collections/{LAND}/dggs/beidou/data", {"filter": "secret = 1"}, 400, "secret"),
    ],
)
def test_what_cannot_be_asked_is_told(
    client: httpx.Client, path: str, params: dict[str, str], status: int, words: str
) -> None:
    for language in ("en", "zh"):
        answer = client.get(path, params={**params, "lang": language})
        assert answer.status_code == status, answer.text
        problem = answer.json()
        assert words in answer.text or language == "zh"
        assert any("一" <= c <= "鿿" for c in problem["detail"]) == (language == "zh")
