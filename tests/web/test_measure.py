# SPDX-License-Identifier: Apache-2.0
"""`/measure` against pyproj and GeographicLib's own figures, `/summary` against SQL."""

from __future__ import annotations

import json
import math

import httpx
import psycopg2
import pyproj
import pytest
import shapely

GEOD = pyproj.Geod(a=6378137.0, rf=298.257222101)
LINE = [[115.98, 36.45], [116.02, 36.47], [116.3, 36.9]]
RING = [[115.98, 36.45], [116.02, 36.45], [116.03, 36.49], [115.99, 36.50], [115.98, 36.45]]
HOLE = [[115.99, 36.46], [116.0, 36.46], [116.0, 36.47], [115.99, 36.46]]
LASSO = [[115.6, 36.2], [116.21, 36.13], [116.1, 36.81], [115.77, 36.55], [115.6, 36.2]]


def drawn(kind: str, coordinates: object) -> str:
    return json.dumps({"type": kind, "coordinates": coordinates})


def fetch(city, sql: str) -> list[tuple]:
    with psycopg2.connect(city.urls.owner) as conn, conn.cursor() as cur:
        cur.execute(sql)
        return cur.fetchall()


def test_line_is_as_long_as_its_geodesics(client: httpx.Client) -> None:
    found = client.get("/measure", params={"geometry": drawn("LineString", LINE)}).raise_for_status().json()
    assert math.isclose(found["length_m"], GEOD.line_length(*zip(*LINE, strict=True)), rel_tol=1e-12)
    assert "area_m2" not in found


def test_meridian_arc_is_the_textbook_figure(client: httpx.Client) -> None:
    """A quarter meridian of GRS80's ellipsoid, which CGCS2000 shares, has 10,001,965.729 m (Moritz 1980)."""
    quarter = drawn("LineString", [[116, 0], [116, 90]])
    found = client.get("/measure", params={"geometry": quarter}).json()
    assert abs(found["length_m"] - 10_001_965.729) < 0.001


def test_polygon_area_without_its_hole(client: httpx.Client) -> None:
    found = client.get("/measure", params={"geometry": drawn("Polygon", [RING, HOLE])}).json()
    whole, around = GEOD.geometry_area_perimeter(shapely.Polygon(RING))
    hole, inner = GEOD.geometry_area_perimeter(shapely.Polygon(HOLE))
    assert math.isclose(found["area_m2"], abs(whole) - abs(hole), rel_tol=1e-9)
    assert math.isclose(found["length_m"], around + inner, rel_tol=1e-9)
    assert math.isclose(found["area_mu"] * 10_000 / 15, found["area_m2"], rel_tol=1e-12)
    assert math.isclose(found["area_ha"] * 10_000, found["area_m2"], rel_tol=1e-12)


WRONG = {
    "missing": None,
    "no-json": "{",
    "a-list": "[1]",
    "point": drawn("Point", [116, 36]),
    "short-line": drawn("LineString", [[116, 36]]),
    "open-ring": drawn("Polygon", [[[116, 36], [116.1, 36], [116.1, 36.1]]]),
    "bow-tie": drawn("Polygon", [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]),
    "beyond-the-globe": drawn("LineString", [[4000000, 36], [116, 36]]),
    "words": drawn("LineString", [["a", "b"], [1, 2]]),
    "empty": drawn("LineString", []),
    "too-long": "1" * 12_001,
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("path", ["/measure", "/collections/test.zone/summary"])
def test_wrong_geometry_is_named(client: httpx.Client, path: str, text: str | None) -> None:
    if text is None and path != "/measure":
        pytest.skip("a summary needs no geometry")
    answer = client.get(path, params={} if text is None else {"geometry": text})
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["parameter"] == "geometry" and problem["todo"]


@pytest.mark.parametrize("path", ["/measure", "/collections/test.site/summary"])
def test_unknown_and_repeated_parameters_are_refused(client: httpx.Client, path: str) -> None:
    area = drawn("Polygon", [RING])
    assert client.get(path, params={"geometry": area, "colour": "red"}).json()["parameter"] == "colour"
    assert client.get(path, params=[("geometry", area), ("geometry", area)]).status_code == 400


def test_summary_counts_by_class_as_sql_does(client: httpx.Client, city) -> None:
    where = f"ST_Intersects(geom, ST_GeomFromText('{shapely.Polygon(LASSO).wkt}', 4490))"
    truth = dict(fetch(city, f"SELECT kind, count(*) FROM test.site WHERE {where} GROUP BY kind"))
    params = {"geometry": drawn("Polygon", [LASSO]), "by": "kind"}
    found = client.get("/collections/test.site/summary", params=params).raise_for_status().json()
    assert {c["code"]: c["count"] for c in found["classes"]} == truth
    assert found["count"] == sum(truth.values()) > 100
    assert found["by"]["title"] == "Kind"
    assert [c["count"] for c in found["classes"]] == sorted(truth.values(), reverse=True)
    assert "area_m2" not in found and "others" not in found


def test_summary_agrees_with_items_for_the_same_area_and_filter(client: httpx.Client) -> None:
    wkt = "POLYGON((" + ",".join(f"{x} {y}" for x, y in LASSO) + "))"
    items = client.get(
        "/collections/test.site/items", params={"filter": f"S_INTERSECTS(geom,{wkt}) AND year > 1990", "limit": 1}
    ).json()
    params = {"geometry": drawn("Polygon", [LASSO]), "filter": "year > 1990"}
    assert client.get("/collections/test.site/summary", params=params).json()["count"] == items["numberMatched"] > 50


def test_summary_cuts_areas_at_the_drawn_line(client: httpx.Client) -> None:
    """Half of the triangle lies in the drawing; the square outside it does not count."""
    cut = shapely.box(116, 36, 116.1, 36.3)
    params = {"geometry": json.dumps(shapely.geometry.mapping(cut)), "by": "label"}
    found = client.get("/collections/test.zone/summary", params=params).json()
    triangle = shapely.Polygon([(116, 36), (116.2, 36), (116, 36.2)])
    truth = abs(GEOD.geometry_area_perimeter(triangle.intersection(cut))[0])
    assert [c["code"] for c in found["classes"]] == ["triangle"]
    assert math.isclose(found["area_m2"], truth, rel_tol=1e-9)


def test_summary_without_an_area_is_of_the_whole_layer(client: httpx.Client) -> None:
    found = client.get("/collections/test.zone/summary", params={"by": "label"}).json()
    rings = {
        "triangle": shapely.Polygon([(116, 36), (116.2, 36), (116, 36.2)]),
        "square": shapely.box(115.5, 36.5, 115.6, 36.6),
        "far": shapely.Polygon([(116.4, 36.9), (116.5, 36.9), (116.5, 37)]),
    }
    for entry in found["classes"]:
        truth = abs(GEOD.geometry_area_perimeter(rings[entry["code"]])[0])
        assert math.isclose(entry["area_m2"], truth, rel_tol=1e-9)
    assert len(found["classes"]) == 3


def test_classes_past_the_limit_are_added_up(client: httpx.Client, city) -> None:
    """2,400 codes are 2,400 classes: the limit is listed and nothing is lost."""
    found = client.get("/collections/test.site/summary", params={"by": "code"}).json()
    assert len(found["classes"]) == 100
    assert found["others"] == {"classes": len(city.sites) - 100, "count": len(city.sites) - 100}


def test_hidden_field_cannot_be_asked_for(client: httpx.Client) -> None:
    answer = client.get("/collections/test.site/summary", params={"by": "phone"})
    assert answer.status_code == 400 and answer.json()["parameter"] == "by"


def test_summary_is_not_sent_again_while_the_layer_is_the_same(client: httpx.Client) -> None:
    first = client.get("/collections/test.zone/summary")
    again = client.get("/collections/test.zone/summary", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304


def test_chinese(client: httpx.Client) -> None:
    found = client.get("/collections/test.site/summary", params={"by": "kind", "lang": "zh"}).json()
    assert {c["title"] for c in found["classes"]} == {"lamp(中文)", "tree(中文)", "bin(中文)", "未填写"}
