# SPDX-License-Identifier: Apache-2.0
"""What QGIS sends, recorded on its way: answered as it expects, paged to the end, counted against SQL."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, unquote_plus

import httpx
import pytest

from tests.qgis.conftest import PAGE_ROWS, City, Desk, OpenDesk
from tests.web.recorder import Recording, recording

SCHOOL, COMPONENT = "geocloud_features_facility-school", "geocloud_features_facility-component"
BOX = (115.7, 36.2, 116.2, 36.7)
CGCS2000 = "http://www.opengis.net/def/crs/EPSG/0/4490"
INSIDE = "ST_Intersects(geom, ST_MakeEnvelope(115.7, 36.2, 116.2, 36.7, 4490))"


def targets(recorder: Recording) -> list[str]:
    """Request targets as they were sent, each once, in order."""
    return list(dict.fromkeys(recorder.log.read_text().splitlines()))


def all_answered(city: City, recorder: Recording) -> None:
    """Each request sent again is answered well."""
    with httpx.Client(base_url=city.url, timeout=60) as client:
        bad = {t: s for t in targets(recorder) if (s := client.get(t).status_code) not in (200, 204)}
    assert bad == {}


def test_opening_and_drawing_leaves_large_layers_alone(city: City, open_desk: OpenDesk, tmp_path: Path) -> None:
    with recording(city.url, tmp_path / "log") as recorder, open_desk(f"{recorder.url}/qgis/city.qgz") as desk:
        extent = desk.ask("about")["extent"]
        desk.ask("render", name="city.png", box=extent)
        asked = [unquote_plus(t) for t in targets(recorder)]
        all_answered(city, recorder)
    # The first page of each layer tells QGIS its fields.
    sizes = {
        (m[1], int(m[2])) for t in asked if (m := re.match(r"/collections/([\w.]+)/items\?(?:.*&)?limit=(\d+)", t))
    }
    assert ("base.county", 10) in sizes
    assert ("base.county", PAGE_ROWS) in sizes
    assert max(n for c, n in sizes if c in ("base.road", "facility.component")) <= 10
    assert any(t.startswith("/collections/base.road/tiles/WebMercatorQuad/") for t in asked)


def test_a_layer_is_paged_to_its_end(city: City, open_desk: OpenDesk, tmp_path: Path) -> None:
    with recording(city.url, tmp_path / "log") as recorder, open_desk(f"{recorder.url}/qgis/facility.qgz") as desk:
        told = desk.ask("count", layer=COMPONENT, key="code")
        pages = [t for t in targets(recorder) if "/facility.component/items" in t and f"limit={PAGE_ROWS}" in t]
        all_answered(city, recorder)
    rows = city.sql("SELECT code FROM facility.component ORDER BY code")
    assert told == {"count": len(rows), "keys": sorted(r[0] for r in rows)}
    assert len(pages) >= len(rows) // PAGE_ROWS
    assert all("token=" in t for t in pages[1:])


FILTERS = {
    "code": ("\"stage\" = 'primary'", "stage = 'primary'"),
    "codes-and-number": (
        "\"stage\" IN ('primary', 'kindergarten') AND \"pupils\" > 500",
        "stage IN ('primary', 'kindergarten') AND pupils > 500",
    ),
    "words": ("\"name\" LIKE '%中学'", "name LIKE '%中学'"),
    "no-value": ('"ownership" IS NULL OR "boarding" = true', "ownership IS NULL OR boarding"),
    "nobody": ("\"name\" = '没有这样的学校'", "false"),
}


@pytest.mark.parametrize("how", ["subset", "expression"])
@pytest.mark.parametrize("name", FILTERS)
def test_filters_find_what_sql_finds(city: City, desk: Desk, name: str, how: str) -> None:
    condition, where = FILTERS[name]
    rows = city.sql(f"SELECT code FROM facility.school WHERE {where}")
    told = desk.ask("count", layer=SCHOOL, key="code", **{how: condition})
    assert told == {"count": len(rows), "keys": sorted(r[0] for r in rows)}
    assert (len(rows) > 0) == (name != "nobody")


def test_a_filtered_large_layer_is_paged_to_the_right_count(city: City, open_desk: OpenDesk, tmp_path: Path) -> None:
    kind, expected = city.sql("SELECT category, count(*) FROM facility.component GROUP BY 1 ORDER BY 2 DESC")[0]
    assert expected > PAGE_ROWS
    with recording(city.url, tmp_path / "log") as recorder, open_desk(f"{recorder.url}/qgis/facility.qgz") as desk:
        told = desk.ask("count", layer=COMPONENT, subset=f"\"category\" = '{kind}'")
        all_answered(city, recorder)
    assert told["count"] == expected


def test_a_box_asks_for_that_box_only(city: City, open_desk: OpenDesk, tmp_path: Path) -> None:
    with recording(city.url, tmp_path / "log") as recorder, open_desk(f"{recorder.url}/qgis/facility.qgz") as desk:
        told = desk.ask("count", layer=SCHOOL, box=BOX, key="code")
        boxes = [
            m[1] for t in targets(recorder) if (m := re.search(r"school/items.*[?&]bbox=([-\d.,]+)", unquote_plus(t)))
        ]
        all_answered(city, recorder)
    rows = city.sql(f"SELECT code FROM facility.school WHERE {INSIDE}")
    assert 0 < len(rows) < city.sql("SELECT count(*) FROM facility.school")[0][0]
    assert told == {"count": len(rows), "keys": sorted(r[0] for r in rows)}
    assert boxes
    west, south, east, north = map(float, boxes[0].split(","))
    assert west <= BOX[0] and south <= BOX[1] and east >= BOX[2] and north >= BOX[3]
    assert east - west < 1


# What QGIS from 3.32 on sends: first what it looks for before it pushes filters down, then the filters as its
# expression compiler writes them, with geometries in the layer's system, latitude first.

CLASSES = (
    "ogcapi-features-2/1.0/conf/crs",
    "ogcapi-features-3/1.0/conf/filter",
    "ogcapi-features-3/1.0/conf/features-filter",
    "ogcapi-features-5/1.0/conf/schemas",
    "cql2/1.0/conf/cql2-text",
    "cql2/1.0/conf/basic-cql2",
    "cql2/1.0/conf/advanced-comparison-operators",
    "cql2/1.0/conf/case-insensitive-comparison",
    "cql2/1.0/conf/basic-spatial-functions",
)
PUSHED = {
    "equal": ("(stage = 'primary')", "stage = 'primary'"),
    "quoted-name": ('("position_quality" IS NULL)', "position_quality IS NULL"),
    "is-not-null": ("(ownership IS NOT NULL)", "ownership IS NOT NULL"),
    "and-number": ("((stage = 'primary') AND (pupils >= 500.5))", "stage = 'primary' AND pupils >= 500.5"),
    "or-not": ("((NOT (stage = 'primary')) OR (boarding = TRUE))", "NOT stage = 'primary' OR boarding"),
    "in": ("stage IN ('primary','kindergarten')", "stage IN ('primary', 'kindergarten')"),
    "not-in": ("stage NOT IN ('primary','kindergarten')", "stage NOT IN ('primary', 'kindergarten')"),
    "between": ("pupils BETWEEN 300 AND 600", "pupils BETWEEN 300 AND 600"),
    "not-between": ("pupils NOT BETWEEN 300 AND 600", "pupils NOT BETWEEN 300 AND 600"),
    "like": ("(name LIKE '示例第1%')", "name LIKE '示例第1%'"),
    "not-like": ("(name NOT LIKE '示例第1%')", "name NOT LIKE '示例第1%'"),
    "ilike": ("(CASEI(code) LIKE CASEI('s3715%7'))", "code ILIKE 's3715%7'"),
    "not-ilike": ("(CASEI(code) NOT LIKE CASEI('s3715%7'))", "code NOT ILIKE 's3715%7'"),
    "date": ("(\"opened_on\" >= DATE('1990-01-01'))", "opened_on >= '1990-01-01'"),
    "arithmetic": ("((pupils / teachers) > 15)", "pupils::float8 / nullif(teachers, 0) > 15"),
    "negative": ("(pupils > ( - (5)))", "pupils > -5"),
    "unequal": ("(stage <> 'primary')", "stage <> 'primary'"),
    "box": ("S_INTERSECTS(geom,BBOX(36.2,115.7,36.7,116.2))", INSIDE),
    "subset-and-expression": ("((stage = 'primary')) AND ((pupils > 400))", "stage = 'primary' AND pupils > 400"),
}


def test_newer_qgis_finds_what_it_looks_for(city: City) -> None:
    with httpx.Client(base_url=city.url, timeout=60, headers={"accept": "application/json"}) as client:
        links = {x["rel"]: x["href"] for x in client.get("/").json()["links"]}
        assert client.get(links["service-desc"]).json()["openapi"].startswith("3.0")
        assert links["data"] == f"{city.url}/collections"
        declared = client.get(links["conformance"]).json()["conformsTo"]
        assert [c for c in CLASSES if f"http://www.opengis.net/spec/{c}" not in declared] == []
        collection = client.get("/collections/facility.school").json()
        assert CGCS2000 in collection["crs"] and collection["storageCrs"] == CGCS2000
        schema = next(x for x in collection["links"] if x["rel"] == "http://www.opengis.net/def/rel/ogc/1.0/schema")
        assert schema["type"] == "application/schema+json"
        properties = client.get(schema["href"]).json()["properties"]
        geometry = [p for p in properties.values() if p.get("x-ogc-role") == "primary-geometry"]
        assert [p["format"] for p in geometry] == ["geometry-point"]
        queryables = client.get("/collections/facility.school/queryables").json()["properties"]
        assert queryables["geom"]["format"] == "geometry-point" and queryables["opened_on"]["format"] == "date"


@pytest.mark.parametrize("name", PUSHED)
def test_newer_qgis_pages_its_filter_to_the_end(city: City, name: str) -> None:
    condition, where = PUSHED[name]
    url = f"/collections/facility.school/items?limit=20&filter={quote(condition, safe='')}&filter-lang=cql2-text"
    if "S_INTERSECTS" in condition:
        url += f"&filter-crs={CGCS2000}"
    codes: list[str] = []
    with httpx.Client(base_url=city.url, timeout=60) as client:
        address: str | None = f"{url}&crs={CGCS2000}"
        while address:
            answer = client.get(address)
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-crs"] == f"<{CGCS2000}>"
            page = answer.json()
            assert all(35 < f["geometry"]["coordinates"][0] < 38 for f in page["features"]), "latitude comes first"
            codes += [f["properties"]["code"] for f in page["features"]]
            address = next((x["href"] for x in page["links"] if x["rel"] == "next"), None)
    rows = city.sql(f"SELECT code FROM facility.school WHERE {where}")
    assert sorted(codes) == sorted(r[0] for r in rows)


def test_newer_qgis_asks_for_a_box_in_the_layers_system(city: City) -> None:
    url = f"/collections/facility.school/items?limit=1000&bbox=36.2,115.7,36.7,116.2&bbox-crs={CGCS2000}&crs={CGCS2000}"
    page = httpx.get(city.url + url).json()
    rows = city.sql(f"SELECT code, ST_Y(geom), ST_X(geom) FROM facility.school WHERE {INSIDE}")
    got = {f["properties"]["code"]: tuple(f["geometry"]["coordinates"]) for f in page["features"]}
    assert got == {code: (lat, lon) for code, lat, lon in rows}


@pytest.mark.parametrize("path", ["", "/1"])
def test_options_say_that_a_layer_is_read_only(city: City, path: str) -> None:
    """QGIS asks before it offers editing: POST on the items, PUT, PATCH and DELETE on one."""
    answer = httpx.options(f"{city.url}/collections/facility.school/items{path}")
    assert answer.status_code in (200, 204)
    allowed = {m.strip() for m in answer.headers["allow"].split(",")}
    assert {"GET", "OPTIONS"} <= allowed
    assert not allowed & {"POST", "PUT", "PATCH", "DELETE"}
