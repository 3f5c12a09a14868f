# SPDX-License-Identifier: Apache-2.0
"""Styles over HTTP: languages, themes, pictures, label points out of the database, and errors in words."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg2
import pytest
from PIL import Image

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from tests.web.conftest import run_server

_LAYERS = Path(__file__).resolve().parents[2] / "layers"
_WANTED = ("base.city", "base.county", "base.township", "base.water_area", "base.place_name", "facility.hospital")


@pytest.fixture(scope="module")
def town(urls: Urls) -> Urls:
    """One city of two counties, one with a seat of its name; a lake and a river drawn as an area."""
    specs, codes = read_layers(_LAYERS)
    conn = psycopg2.connect(urls.owner)
    chosen = {i: specs[i] for i in _WANTED}
    used = {f.codes for s in chosen.values() for f in s.fields if f.codes}
    sync(conn, chosen, {n: c for n, c in codes.items() if n in used})
    box = "ST_Multi(ST_MakeEnvelope(%s, %s, %s, %s, 4490))"
    with conn, conn.cursor() as cur:
        cur.execute(
            f"INSERT INTO base.city (code, name, geom) VALUES ('371500', '甲市', {box})", (116, 36, 116.4, 36.2)
        )
        county = f"INSERT INTO base.county (code, name, name_en, geom) VALUES (%s, %s, %s, {box})"
        cur.execute(county, ("371501", "乙县", "Yi", 116, 36, 116.2, 36.2))
        cur.execute(county, ("371502", "丙县", "Bing", 116.2, 36, 116.4, 36.2))
        place = "INSERT INTO base.place_name (code, name, kind, geom) VALUES (%s, %s, %s, ST_Point(%s, %s, 4490))"
        cur.execute(place, ("P1", "乙县", "county_seat", 116.1, 36.1))
        cur.execute(place, ("P2", "丁村", "village", 116.15, 36.1))
        cur.execute(
            "INSERT INTO base.place_name (code, name, kind, geom, valid_to) "
            "VALUES ('P3', '旧镇', 'township', ST_Point(116.1, 36.15, 4490), '2020-01-01')"
        )
        water = "INSERT INTO base.water_area (code, name, class, geom) VALUES (%s, %s, %s, ST_Multi(ST_Buffer({}, %s)))"
        cur.execute(water.format("ST_Point(116.3, 36.1, 4490)"), ("W1", "戊湖", "lake", 0.02))
        cur.execute(
            water.format("ST_SetSRID(ST_MakeLine(ST_Point(116, 36.05), ST_Point(116.4, 36.05)), 4490)"),
            ("W2", "己河", "river", 0.001),
        )
    conn.close()
    return urls


@pytest.fixture(scope="module")
def overrides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("styles")


@pytest.fixture(scope="module")
def server(town: Urls, overrides: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from run_server(town.reader, tmp_path_factory.mktemp("home"), GEOCLOUD_STYLES_DIR=str(overrides))


def test_the_listing_leads_to_styles_that_are_there(client: httpx.Client) -> None:
    found = client.get("/styles").json()
    assert [s["id"] for s in found["styles"]] == ["city", "base", "facility", *_WANTED]
    for style in found["styles"]:
        for link in style["links"]:
            assert client.get(link["href"]).status_code == 200, link["href"]


def test_a_style_names_this_host_and_changes_with_language_and_theme(client: httpx.Client, server: str) -> None:
    answer = client.get("/styles/city?lang=zh")
    assert answer.headers["content-type"] == "application/vnd.mapbox.style+json"
    assert answer.headers["content-language"] == "zh"
    style = answer.json()
    assert style["sources"]["base"]["tiles"][0].startswith(f"{server}/tiles/WebMercatorQuad/{{z}}/{{y}}/{{x}}?")
    dark = client.get("/styles/city?dark=true").json()
    assert dark["sprite"] == f"{server}/sprites/dark" and style["sprite"] == f"{server}/sprites/light"
    again = client.get("/styles/city?lang=zh", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_everything_a_style_names_is_there(client: httpx.Client) -> None:
    style = client.get("/styles/city").json()
    for end in (".json", ".png", "@2x.json", "@2x.png"):
        assert client.get(style["sprite"] + end).status_code == 200
    index = client.get(style["sprite"] + "@2x.json").json()
    picture = Image.open(io.BytesIO(client.get(style["sprite"] + "@2x.png").content))
    assert all(b["x"] + b["width"] <= picture.width and b["y"] + b["height"] <= picture.height for b in index.values())
    for stack in {s for x in style["layers"] for s in x.get("layout", {}).get("text-font", [])}:
        glyphs = style["glyphs"].replace("{fontstack}", stack).replace("{range}", "0-255")
        answer = client.get(glyphs, headers={"accept-encoding": "gzip"})
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/x-protobuf"
        assert answer.headers["content-encoding"] == "gzip" and len(answer.content) > 10_000
    assert client.get(style["sources"]["labels"]["data"]).status_code == 200


def test_label_points_name_each_thing_once(client: httpx.Client) -> None:
    answer = client.get("/styles/city/labels")
    assert answer.headers["content-type"] == "application/geo+json"
    found = {f["properties"]["name"]: f for f in answer.json()["features"]}
    assert found.keys() == {"甲市", "乙县", "丙县", "戊湖"}
    facts = {n: (f["properties"]["rank"], f["properties"]["seat"]) for n, f in found.items()}
    assert facts == {"甲市": (1, False), "乙县": (2, True), "丙县": (2, False), "戊湖": (0, False)}
    assert found["乙县"]["geometry"]["coordinates"] == [116.1, 36.1]
    x, y = found["丙县"]["geometry"]["coordinates"]
    assert 116.2 < x < 116.4 and 36 < y < 36.2
    # A seat without an English name is called as its county is.
    assert found["乙县"]["properties"]["name_en"] == "Yi" and found["丙县"]["properties"]["name_en"] == "Bing"
    # The lake is some 4 km wide: 80 pixels of 512-pixel tiles at zoom 10.8.
    assert found["戊湖"]["properties"]["zoom"] == pytest.approx(10.9, abs=0.3)


def test_label_points_follow_the_data(client: httpx.Client, town: Urls) -> None:
    first = client.get("/styles/city/labels")
    conn = psycopg2.connect(town.owner)
    with conn, conn.cursor() as cur:
        cur.execute("UPDATE base.county SET name = '丙新县' WHERE code = '371502'")
    conn.close()
    for _ in range(200):
        answer = client.get("/styles/city/labels", headers={"if-none-match": first.headers["etag"]})
        if answer.status_code == 200:
            break
    assert "丙新县" in answer.text


def test_legends_as_json_and_picture(client: httpx.Client) -> None:
    legend = client.get("/styles/facility.hospital/legend").json()
    assert legend["layers"][0]["entries"][0]["label"] == "General hospital"
    one = client.get("/styles/base/legend", params={"f": "png"})
    two = client.get("/styles/base/legend", params={"f": "png", "scale": "2", "dark": "true"})
    assert one.headers["content-type"] == "image/png"
    sizes = [Image.open(io.BytesIO(a.content)).size for a in (one, two)]
    assert sizes[1][1] == pytest.approx(2 * sizes[0][1], abs=4)
    assert client.get("/styles/base/legend", headers={"accept": "image/png"}).content == one.content


WRONG = [
    ("/styles/base.nothing", 404),
    ("/styles/base.nothing/legend", 404),
    ("/styles/base.nothing/labels", 404),
    ("/sprites/blue.png", 404),
    ("/sprites/light.svg", 404),
    ("/sprites/light@3x.png", 404),
    ("/fonts/Comic Sans/0-255.pbf", 404),
    ("/fonts/Sans Regular/1-255.pbf", 400),
    ("/styles/city?dark=maybe", 400),
    ("/styles/city?colour=red", 400),
    ("/styles/city/legend?scale=9", 400),
    ("/styles/city?f=png", 406),
    ("/styles/city/labels?lang=zh", 400),
    ("/sprites/light.png?x=1", 400),
]


@pytest.mark.parametrize(("path", "status"), WRONG, ids=[w[0] for w in WRONG])
def test_what_is_wrong_is_said(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_fonts_are_taken_in_order_of_preference(client: httpx.Client) -> None:
    several = client.get("/fonts/Unknown,Sans Bold/0-255.pbf")
    assert several.content == client.get("/fonts/Sans Bold/0-255.pbf").content


def test_an_override_counts_at_once_and_a_wrong_one_is_named(client: httpx.Client, overrides: Path) -> None:
    path = overrides / "base.json"
    before = client.get("/styles/base").json()
    patch = {"patches": [{"layers": "base.county/line", "paint": {"line-color": "#ff0000"}}]}
    path.write_text(json.dumps(patch), "utf-8")
    lines = {x["id"]: x for x in client.get("/styles/base").json()["layers"]}
    assert lines["base.county/line"]["paint"]["line-color"] == "#ff0000"
    path.write_text('{"patches": 5}', "utf-8")
    answer = client.get("/styles/base")
    assert answer.status_code == 503
    assert "base.json" in answer.json()["detail"] and "patches" in answer.json()["detail"]
    assert "取值不可用" in client.get("/styles/base?lang=zh").json()["detail"]
    assert client.get("/styles/city").status_code == 200
    path.unlink()
    assert client.get("/styles/base").json() == before


def test_styles_are_found_from_the_landing_page(client: httpx.Client, server: str) -> None:
    links = {x["rel"]: x["href"] for x in client.get("/").json()["links"]}
    assert links["http://www.opengis.net/def/rel/ogc/1.0/styles"] == f"{server}/styles?f=json"
    assert any("ogcapi-styles-1" in c for c in client.get("/conformance").json()["conformsTo"])
