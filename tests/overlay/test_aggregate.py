# SPDX-License-Identifier: Apache-2.0
"""`/collections/{id}/aggregate` held against geopandas, and its totals against themselves."""

from __future__ import annotations

import csv
import io
import time
from typing import Any

import geopandas as gpd
import h3
import httpx
import mapbox_vector_tile
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely

from tests.overlay.areal import DOT, LAND, LINE, MANY, MIXED, OVERLAP, PAST, TABLE, ZONE, City, city, client, server

__all__ = ["city", "client", "server"]

GEOD = pyproj.Geod(a=6378137.0, rf=298.257222101)


def ask(client: httpx.Client, layer: str, **params: object) -> dict[str, Any]:
    answer = client.get(f"/collections/{layer}/aggregate", params={"by": ZONE, **params})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def rows(document: dict[str, Any]) -> dict[str | None, dict[str, Any]]:
    return {z["code"]: z for z in document["zones"]}


def by_geopandas(points: gpd.GeoDataFrame, zones: gpd.GeoDataFrame) -> pd.Series:
    """The code of the zone of each point that has a place: of several (a border) the first."""
    placed = points[~points.geometry.isna()]
    joined = placed.sjoin(zones[["code", "geometry"]], how="left", predicate="intersects")
    joined = joined.sort_values("index_right" if "index_right" in joined else "fid_right", kind="stable")
    return joined[~joined.index.duplicated()]["code_right"].reindex(placed.index)


def test_points_are_counted_as_geopandas_counts_them(client: httpx.Client, city: City) -> None:
    points, zones = city.frames[DOT], city.frames[ZONE]
    code = by_geopandas(points, zones)
    placed = points.loc[code.index]
    document = ask(client, DOT, measure="count,density,sum:value,mean:value,min:value,max:value")
    found = rows(document)
    assert list(found) == [*zones["code"], None]
    for name in [*zones["code"], None]:
        own = placed[code == name] if name else placed[code.isna()]
        row = found[name]
        assert row["count"] == len(own)
        assert row["without_value_value"] == own["value"].isna().sum()
        if own["value"].notna().any():
            assert row["sum_value"] == pytest.approx(own["value"].sum(), rel=1e-12)
            assert row["mean_value"] == pytest.approx(own["value"].mean(), rel=1e-12)
            assert (row["min_value"], row["max_value"]) == (own["value"].min(), own["value"].max())
        else:
            assert row["sum_value"] == 0 and row["mean_value"] is None and row["max_value"] is None
        if name:
            shape = zones.set_index("code").geometry[name]
            area = abs(GEOD.geometry_area_perimeter(shapely.orient_polygons(shape))[0]) / 1e6
            assert row["area_km2"] == pytest.approx(area, rel=1e-5)
            assert row["density"] == pytest.approx(len(own) / area, rel=1e-5)
    assert found["empty"]["count"] == 0
    assert document["withoutGeometry"] == 1
    totals = document["totals"]
    assert totals["closed"] and totals["features"]["count"] == len(placed)
    assert totals["zones"]["count"] + totals["outside"]["count"] == totals["features"]["count"]


def test_a_point_on_a_border_is_in_the_first_of_its_zones(client: httpx.Client) -> None:
    for code, zone in {"on-ab": "A", "corner": "A", "hole-edge": "D", "in-hole": None, "c-edge": "C"}.items():
        found = rows(ask(client, DOT, code=code))
        assert {k for k, z in found.items() if z["count"]} == {zone}, code


def shares(shapes: gpd.GeoDataFrame, zones: gpd.GeoDataFrame, metric: str) -> pd.DataFrame:
    """Rows of fid, zone code and share by geopandas' overlay, measured in the zone's own Gauss-Krueger projection."""
    plane = "EPSG:4548"
    some = shapes[~shapes.geometry.isna()].to_crs(plane)
    whole = some.area if metric == "area" else some.length
    # Straight in degrees, as the zones are; bent a little in the plane.
    cut = gpd.overlay(
        shapes[~shapes.geometry.isna()].reset_index()[["fid", "geometry"]],
        zones[["code", "geometry"]], how="intersection", keep_geom_type=True,
    ).to_crs(plane)  # fmt: skip
    part = cut.area if metric == "area" else cut.length
    cut["share"] = part.to_numpy() / whole.loc[cut["fid"]].to_numpy()
    return pd.DataFrame(cut[["fid", "code", "share"]])


@pytest.mark.parametrize(("layer", "metric"), [(LAND, "area"), (LINE, "length")])
def test_lines_and_polygons_count_by_their_share(client: httpx.Client, city: City, layer: str, metric: str) -> None:
    shapes, zones = city.frames[layer], city.frames[ZONE]
    inner = shapes[~shapes["code"].isin(["border", "bent"])]
    codes = ",".join(f"'{c}'" for c in inner["code"])
    found = rows(ask(client, layer, measure=f"count,sum:value,mean:value,{metric}", filter=f"code IN ({codes})"))
    part = shares(inner, zones, metric).merge(shapes[["value"]], left_on="fid", right_index=True)
    unit = "area_m2" if metric == "area" else "length_m"
    whole = {
        fid: abs(GEOD.geometry_area_perimeter(g)[0]) if metric == "area" else GEOD.geometry_length(g)
        for fid, g in inner.geometry.items() if g is not None
    }  # fmt: skip
    for name in zones["code"]:
        own = part[part["code"] == name]
        assert found[name]["count"] == pytest.approx(own["share"].sum(), rel=1e-4, abs=1e-9)
        known = own[own["value"].notna()]
        assert found[name]["sum_value"] == pytest.approx((known["share"] * known["value"]).sum(), rel=1e-4, abs=1e-9)
        if len(known):
            mean = np.average(known["value"], weights=known["share"])
            assert found[name]["mean_value"] == pytest.approx(mean, rel=1e-4)
        expected = (own["share"] * own["fid"].map(whole)).sum()
        assert found[name][unit] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert found[None]["count"] == pytest.approx(len(whole) - part["share"].sum(), rel=1e-4)


@pytest.mark.parametrize("layer", [DOT, LINE, LAND, MANY, MIXED])
@pytest.mark.parametrize("by", [ZONE, PAST, "h3:7", "h3:5", "beidou:5", "beidou:4"])
def test_totals_close(client: httpx.Client, city: City, layer: str, by: str) -> None:
    if (layer, by) == (LAND, "beidou:5"):
        answer = client.get(f"/collections/{layer}/aggregate", params={"by": by})
        assert answer.status_code == 413 and answer.json()["maximum"] == 50_000
        return
    document = ask(client, layer, by=by, measure="count,sum:value")
    totals = document["totals"]
    assert totals["closed"] and set(totals["difference"].values()) == {0}
    frame = city.frames[layer]
    placed = frame[~frame.geometry.isna()]
    assert totals["features"]["count"] == len(placed)
    inside = sum(z["count"] for z in document["zones"])
    assert inside == pytest.approx(len(placed), rel=1e-9)
    assert sum(z["sum_value"] for z in document["zones"]) == pytest.approx(placed["value"].sum(), rel=1e-9)
    assert document["withoutGeometry"] == len(frame) - len(placed)


def test_a_line_along_a_border_is_in_one_zone(client: httpx.Client) -> None:
    found = rows(ask(client, LINE, code="border"))
    assert {k: z["count"] for k, z in found.items() if z["count"]} == {"A": 1}
    # A third of a degree's hundredths along the border of A and B, five hundredths into B.
    bent = rows(ask(client, LINE, code="bent"))
    along, into = GEOD.line_length([116.1, 116.1], [36.02, 36.05]), GEOD.line_length([116.1, 116.15], [36.05, 36.05])
    assert bent["A"]["count"] + bent["B"]["count"] == pytest.approx(1, abs=1e-9)
    # All of it lies in B, whose border belongs to it.
    assert bent["B"]["count"] in (1, pytest.approx(into / (along + into), rel=1e-6))


def test_points_of_a_multipoint_share_it(client: httpx.Client) -> None:
    found = rows(ask(client, MANY, measure="count,sum:value"))
    assert [found[k]["count"] for k in ("A", "B", None)] == [0.25, 0.5, 0.25]
    assert found["B"]["sum_value"] == 4


def test_zones_that_overlap_say_so(client: httpx.Client, city: City) -> None:
    document = ask(client, DOT, by=OVERLAP)
    points, zones = city.frames[DOT], city.frames[OVERLAP]
    found = rows(document)
    for code, shape in zones.set_index("code").geometry.items():
        assert found[code]["count"] == points.geometry.dropna().within(shape).sum() + {"left": 0, "right": 0}[code]
    assert document["by"]["overlapping"]["pairs"] == 1
    shared = abs(GEOD.geometry_area_perimeter(zones.geometry.iloc[0].intersection(zones.geometry.iloc[1]))[0]) / 1e6
    assert document["by"]["overlapping"]["area_km2"] == pytest.approx(shared, rel=1e-3)
    totals = document["totals"]
    assert not totals["closed"] and "overlapping zones" in totals["note"]
    twice = points.geometry.dropna().within(zones.geometry.iloc[0].intersection(zones.geometry.iloc[1])).sum()
    assert totals["difference"]["count"] == twice


@pytest.mark.parametrize(("by", "level"), [("h3:6", 6), ("h3:8", 8)])
def test_cells_are_those_of_the_library(client: httpx.Client, city: City, by: str, level: int) -> None:
    points = city.frames[DOT].dropna(subset="geometry")
    cells = pd.Series([h3.latlng_to_cell(p.y, p.x, level) for p in points.geometry], index=points.index)
    found = rows(ask(client, DOT, by=by, measure="count"))
    summed = rows(ask(client, DOT, by=by, measure="count,sum:value,density"))
    assert {k: z["count"] for k, z in found.items() if k} == cells.value_counts().to_dict()
    assert found[None]["count"] == 0
    for cell, own in points.groupby(cells):
        assert summed[cell]["sum_value"] == pytest.approx(own["value"].sum(), abs=1e-9)
        shape = shapely.Polygon([(x, y) for y, x in h3.cell_to_boundary(str(cell))])
        area = abs(GEOD.geometry_area_perimeter(shape)[0]) / 1e6
        assert summed[cell]["density"] == pytest.approx(len(own) / area, rel=1e-6)


def test_formats_say_the_same(client: httpx.Client) -> None:
    document = ask(client, DOT, measure="count,mean:value")
    path, params = f"/collections/{DOT}/aggregate", {"by": ZONE, "measure": "count,mean:value"}
    text = client.get(path, params={**params, "f": "csv"})
    assert text.headers["content-type"] == "text/csv; charset=utf-8"
    read = list(csv.DictReader(io.StringIO(text.text.removeprefix("\ufeff"))))
    assert [r["code"] for r in read] == [z["code"] or "" for z in document["zones"]]
    assert [int(r["count"]) for r in read] == [z["count"] for z in document["zones"]]
    shapes = client.get(path, params={**params, "f": "geojson"}).json()
    assert [f["properties"] for f in shapes["features"]] == document["zones"]
    assert shapes["features"][-1]["geometry"] is None and shapes["totals"] == document["totals"]
    frame = gpd.GeoDataFrame.from_features(shapes["features"][:-1])
    assert frame.geometry.is_valid.all() and len(frame.geometry.iloc[3].geoms[0].interiors) == 1
    accepted = client.get(path, params=params, headers={"accept": "application/geo+json"})
    assert accepted.headers["content-type"] == "application/geo+json"


def test_an_answer_is_kept_until_either_layer_changes(client: httpx.Client, city: City) -> None:
    path, params = f"/collections/{MANY}/aggregate", {"by": OVERLAP}
    first = client.get(path, params=params)
    tag = first.headers["etag"]
    assert client.get(path, params=params, headers={"if-none-match": tag}).status_code == 304
    for table in (MANY, OVERLAP):
        city.run(f"UPDATE {table} SET year = year + 1 WHERE fid = 1")
        end = time.monotonic() + 10
        while client.get(path, params=params, headers={"if-none-match": tag}).status_code == 304:
            assert time.monotonic() < end
        tag = client.get(path, params=params).headers["etag"]
    assert client.get(path, params=params).json()["zones"] == first.json()["zones"]


def test_tiles_hold_the_zones_they_reach(client: httpx.Client) -> None:
    document = rows(ask(client, DOT, measure="count,sum:value"))
    # Zoom 9 over the zones, and one that none reaches.
    z, (x, y) = 8, (210, 100)
    x = int((116.1 + 180) / 360 * 2**z)
    y = int((1 - np.arcsinh(np.tan(np.radians(36.1))) / np.pi) / 2 * 2**z)
    path = f"/collections/{DOT}/aggregate/tiles/WebMercatorQuad"
    answer = client.get(f"{path}/{z}/{y}/{x}", params={"by": ZONE, "measure": "count,sum:value"})
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    layer = mapbox_vector_tile.decode(answer.content)[DOT]
    got = {f["properties"]["code"]: f["properties"] for f in layer["features"]}
    assert got.keys() <= {k for k in document if k} and {"A", "B", "C", "D"} <= got.keys()
    for code, properties in got.items():
        assert properties["count"] == document[code]["count"]
        assert properties["sum_value"] == pytest.approx(document[code]["sum_value"])
    assert {f["id"] for f in layer["features"] if f["properties"]["code"] == "A"} == {1}
    assert client.get(f"{path}/{z}/0/0", params={"by": ZONE}).status_code == 204
    cells = client.get(f"{path}/{z}/{y}/{x}", params={"by": "h3:5"})
    decoded = mapbox_vector_tile.decode(cells.content)[DOT]["features"]
    counted = rows(ask(client, DOT, by="h3:5"))
    assert {f["properties"]["code"]: f["properties"]["count"] for f in decoded}.items() <= {
        k: v["count"] for k, v in counted.items()
    }.items()


@pytest.mark.parametrize(
    ("params", "status", "says"),
    [
        ({"by": "nowhere"}, 400, "no published layer"),
        ({"by": DOT}, 400, "no published layer"),
        ({"by": "h3:16"}, 400, "0 to 15"),
        ({"by": "beidou:11"}, 400, "1 to 10"),
        ({"by": "beidou:0"}, 400, "1 to 10"),
        ({"by": "h3"}, 400, "no published layer"),
        ({"by": ""}, 400, "no published layer"),
        ({"by": "pg_class"}, 400, "no published layer"),
        ({"measure": "sum:name"}, 400, "holds text"),
        ({"measure": "sum:secret"}, 400, "no property"),
        ({"measure": "sum:gone"}, 400, "no property"),
        ({"measure": "median:value"}, 400, "which is none"),
        ({"measure": "count,count"}, 400, "twice"),
        ({"measure": ""}, 400, "which is none"),
        ({"measure": "sum"}, 400, "which is none"),
        ({"measure": "area"}, 400, "no area"),
        ({"measure": "length"}, 400, "no length"),
        ({"limit": "3"}, 400, "no parameter"),
        ({"datetime": "yesterday"}, 400, "RFC 3339"),
        ({"bbox": "1,2,3"}, 400, "four or six"),
        ({"filter": "secret = 1"}, 400, "secret"),
        ({"f": "shp"}, 406, "offered"),
        ({"by": "beidou:10", "measure": "count"}, 200, ""),
    ],
)
def test_bad_questions(client: httpx.Client, params: dict[str, str], status: int, says: str) -> None:
    answer = client.get(f"/collections/{DOT}/aggregate", params={"by": ZONE, **params})
    assert answer.status_code == status, answer.text
    if says:
        assert says in answer.json()["detail"] + answer.json().get("todo", "")


def test_what_is_hidden_is_as_what_does_not_exist(client: httpx.Client) -> None:
    path = f"/collections/{DOT}/aggregate"
    hidden, gone = (client.get(path, params={"by": ZONE, "measure": f"sum:{n}"}).json() for n in ("secret", "sesame"))
    assert str(hidden).replace("secret", "sesame") == str(gone)


def test_a_table_is_in_no_area(client: httpx.Client) -> None:
    answer = client.get(f"/collections/{TABLE}/aggregate", params={"by": ZONE})
    assert answer.status_code == 400 and "without geometry" in answer.json()["detail"]


def test_a_box_beyond_all_maps_is_refused(client: httpx.Client) -> None:
    crs = "http://www.opengis.net/def/crs/EPSG/0/4547"
    params = {"by": ZONE, "bbox": "1e-05,-1.4e34,7.6e212,-1e-122", "bbox-crs": crs}
    answer = client.get(f"/collections/{DOT}/aggregate", params=params)
    assert answer.status_code == 400 and answer.json()["parameter"] == "bbox"
