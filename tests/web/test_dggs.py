# SPDX-License-Identifier: Apache-2.0
"""`/dggs`: zones true to the codes, counts true to `/items`, through boxes, conditions, dates and edits."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import h3
import httpx
import pytest
import shapely

from geocloud.grids import beidou
from tests.web.conftest import SITE, ZONE, City

OF = f"/collections/{SITE}/dggs"
BOX = "115.5,36.1,116,36.5"


def get(client: httpx.Client, path: str, **params: object) -> Any:
    answer = client.get(path, params={k.replace("_", "-"): v for k, v in params.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


def by_items(client: httpx.Client, dggs: str, level: int, **params: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for feature in client.get(f"/collections/{SITE}/items", params={"limit": "50000", **params}).json()["features"]:
        lon, lat = feature["geometry"]["coordinates"]
        found[beidou.encode(lon, lat, level) if dggs == "beidou" else h3.latlng_to_cell(lat, lon, level)] += 1
    return found


def counts(document: dict[str, Any]) -> Counter[str]:
    return Counter(dict(zip(document["zones"], document["values"]["count"], strict=True)))


def test_grids_and_their_links(client: httpx.Client) -> None:
    assert [d["id"] for d in get(client, "/dggs")["dggrs"]] == ["beidou", "h3"]
    assert any("dggrs-list" in x["rel"] for x in get(client, "/", f="json")["links"])
    conforms = get(client, "/conformance", f="json")["conformsTo"]
    assert "https://www.opengis.net/spec/ogcapi-dggs-1/1.0/conf/core" in conforms
    for base in ("/dggs", OF):
        for one in get(client, base)["dggrs"]:
            document = get(client, one["links"][0]["href"])
            assert document["id"] == one["id"] and document["maxRefinementLevel"] in (10, 15)
            query = next(x["href"] for x in document["links"] if x["rel"].endswith("dggrs-zone-query"))
            assert get(client, query)["zones"]
            templates = [t["rel"].rsplit("/", 1)[1] for t in document["linkTemplates"]]
            assert templates == ["dggrs-zone-info", "dggrs-zone-data"][: 1 if base == "/dggs" else 2]


def test_a_beidou_zone_is_the_cell_of_its_code(client: httpx.Client) -> None:
    document = get(client, "/dggs/beidou/zones/N50J305D7C5")
    cell = beidou.decode("N50J305D7C5")
    assert document["level"] == 5 and document["parents"] == ["N50J305D7"]
    assert tuple(document["bbox"]) == cell.bbox and document["centroid"] == pytest.approx(cell.centre)
    # 99.61 by 123.30 m there.
    assert document["areaMetersSquare"] == pytest.approx(12_280, abs=15)
    assert document["children"] == [f"N50J305D7C5{n}" for n in range(4)]
    assert len(document["neighbors"]) == 8
    geometry = shapely.geometry.shape(document["geometry"])
    assert geometry.equals(shapely.box(*cell.bbox))
    feature = get(client, "/dggs/beidou/zones/N50J305D7C5", f="geojson")["features"][0]
    assert feature["geometry"] == document["geometry"]
    links = [x for x in document["links"] if x["rel"].endswith("zone-parent")]
    assert get(client, links[0]["href"])["id"] == "N50J305D7"


def test_an_h3_zone_is_the_cell_of_the_library(client: httpx.Client) -> None:
    cell = h3.latlng_to_cell(36.456, 115.981, 8)
    document = get(client, f"/dggs/h3/zones/{cell}")
    assert document["level"] == 8 and document["parents"] == [h3.cell_to_parent(cell)]
    assert set(document["children"]) == set(h3.cell_to_children(cell))
    assert set(document["neighbors"]) == set(h3.grid_disk(cell, 1)) - {cell}
    # The library's areas are of a sphere.
    assert document["areaMetersSquare"] == pytest.approx(h3.cell_area(cell, "m^2"), rel=0.01)


@pytest.mark.parametrize(("dggs", "level"), [("beidou", 4), ("beidou", 5), ("h3", 7), ("h3", 8)])
def test_zones_of_a_box_are_those_that_meet_it(client: httpx.Client, dggs: str, level: int) -> None:
    box = "115.9,35.98,115.94,36.02"
    document = get(client, f"/dggs/{dggs}/zones", bbox=box, zone_level=level, compact_zones="false", f="geojson")
    assert document["numberMatched"] == len(document["features"]) > 4
    area = shapely.box(*map(float, box.split(",")))
    shapes = [shapely.geometry.shape(f["geometry"]) for f in document["features"]]
    assert all(s.intersects(area) for s in shapes)
    assert area.difference(shapely.union_all(shapes)).area < 1e-12
    compact = get(client, f"/dggs/{dggs}/zones", bbox=box, zone_level=level)
    assert compact["numberMatched"] <= document["numberMatched"] and compact["compactZones"]
    if dggs == "beidou" and level == 5:
        assert compact["numberMatched"] < document["numberMatched"]
        # 36 degrees north, where zones of level 1 begin, goes through it.
        assert {z[:4] for z in compact["zones"]} == {"N50I", "N50J"}


def test_zones_below_one_and_limits(client: httpx.Client) -> None:
    below = get(client, "/dggs/beidou/zones", parent_zone="N50J305", compact_zones="false")
    assert below["zoneLevel"] == 4 and below["numberMatched"] == 150
    assert all(z.startswith("N50J305") for z in below["zones"])
    assert get(client, "/dggs/beidou/zones", parent_zone="N50J305", zone_level=4)["zones"] == ["N50J305"]
    few = get(client, "/dggs/beidou/zones", parent_zone="N50J305", compact_zones="false", limit=10)
    assert few["numberReturned"] == 10 and few["numberMatched"] == 150
    assert len(get(client, "/dggs/h3/zones")["zones"]) <= 1_000


@pytest.mark.parametrize(("dggs", "level"), [("beidou", 3), ("beidou", 5), ("h3", 5), ("h3", 7)])
@pytest.mark.parametrize(
    "more", [{}, {"filter": "year > 1960"}, {"kind": "lamp"}, {"datetime": "2026-11-01T00:00:00Z/.."}]
)
def test_counts_are_those_of_items(client: httpx.Client, dggs: str, level: int, more: dict[str, str]) -> None:
    expected = by_items(client, dggs, level, **more)
    whole = get(client, f"{OF}/{dggs}/data", zone_level=level, **more)
    assert counts(whole) == expected and whole["count"] == expected.total()
    listed = get(client, f"{OF}/{dggs}/zones", zone_level=level, compact_zones="false", **more)
    assert set(listed["zones"]) == set(expected)
    boxed = get(client, f"{OF}/{dggs}/data", zone_level=level, bbox=BOX, **more)
    area = shapely.box(*map(float, BOX.split(",")))
    met = {
        f["id"]
        for f in get(client, f"{OF}/{dggs}/data", zone_level=level, f="geojson", **more)["features"]
        if shapely.geometry.shape(f["geometry"]).intersects(area)
        and not shapely.geometry.shape(f["geometry"]).touches(area)
    }
    assert {z: n for z, n in counts(boxed).items() if z in met} == {z: expected[z] for z in met}


@pytest.mark.parametrize("more", [{}, {"filter": "year > 1960"}])
def test_data_of_a_zone_adds_up(client: httpx.Client, more: dict[str, str]) -> None:
    document = get(client, f"{OF}/beidou/zones/N50J30/data", zone_depth="0-2", **more)
    assert document["depths"] == [0, 1, 2] and document["zoneId"] == "N50J30"
    values = document["values"]["count"]
    assert [len(v["data"]) for v in values] == [1, 6, 900]
    assert len({sum(v["data"]) for v in values}) == 1
    assert values[0]["data"][0] == by_items(client, "beidou", 2, **more)["N50J30"]
    expected = by_items(client, "beidou", 3, **more)
    assert values[1]["data"] == [expected[f"N50J30{n}"] for n in range(6)]
    zone = h3.latlng_to_cell(36.45, 115.98, 5)
    hexagons = get(client, f"{OF}/h3/zones/{zone}/data", zone_depth="0,1", **more)["values"]["count"]
    assert hexagons[0]["data"] == [by_items(client, "h3", 5, **more)[zone]]
    finer = by_items(client, "h3", 6, **more)
    assert hexagons[1]["data"] == [finer[c] for c in sorted(h3.cell_to_children(zone))]
    assert get(client, f"{OF}/beidou/zones/N50J30/data")["depths"] == [1]


def test_an_edit_is_counted_at_once(client: httpx.Client, city: City) -> None:
    before = counts(get(client, f"{OF}/beidou/data", zone_level=6))
    code = beidou.encode(115.7654321, 36.2345678, 6)
    point = "ST_SetSRID(ST_Point(115.7654321, 36.2345678), 4490)"
    city.run(f"INSERT INTO test.site (fid, code, geom) VALUES (9500, 'new', {point})")
    end = time.monotonic() + 5
    while (after := counts(get(client, f"{OF}/beidou/data", zone_level=6))) == before and time.monotonic() < end:
        time.sleep(0.05)
    assert after - before == Counter([code])
    city.run("DELETE FROM test.site WHERE fid = 9500")


@pytest.mark.parametrize(
    ("path", "params", "status", "words"),
    [
        ("/dggs/s2", {}, 404, "beidou"),
        ("/dggs/beidou/zones/n50j30", {}, 404, "n50j30"),
        ("/dggs/beidou/zones/N50J3", {}, 404, "N50J3"),
        ("/dggs/h3/zones/88316A0A4DFFFFF", {}, 404, "88316A"),
        ("/dggs/beidou/zones", {"zone-level": "0"}, 400, "zone-level"),
        ("/dggs/beidou/zones", {"zone-level": "x"}, 400, "zone-level"),
        ("/dggs/h3/zones", {"zone-level": "16"}, 400, "15"),
        ("/dggs/beidou/zones", {"zone-level": "9"}, 413, "20,000"),
        ("/dggs/h3/zones", {"zone-level": "12"}, 413, "20,000"),
        ("/dggs/beidou/zones", {"compact-zones": "yes"}, 400, "true"),
        ("/dggs/beidou/zones", {"parent-zone": "N50J305", "zone-level": "2"}, 400, "parent-zone"),
        ("/dggs/beidou/zones", {"bbox": "1,2,x"}, 400, "bbox"),
        ("/dggs/beidou/zones", {"bbox": "1,2,3"}, 400, "bbox"),
        ("/dggs/beidou/zones", {"limit": "0"}, 400, "limit"),
        ("/dggs/beidou/zones", {"colour": "red"}, 400, "colour"),
        (f"{OF}/beidou/zones/N50J30/data", {"zone-depth": "9"}, 400, "zone-depth"),
        (f"{OF}/beidou/zones/N50J30/data", {"zone-depth": "2-1"}, 400, "zone-depth"),
        (f"{OF}/beidou/zones/N50J30/data", {"zone-depth": "5"}, 413, "20,000"),
        (f"{OF}/beidou/data", {"filter": "nothing = 1"}, 400, "nothing"),
        (f"/collections/{ZONE}/dggs/beidou/data", {"measure": "length"}, 400, "lines"),
        (f"{OF}/beidou/data", {"measure": "length"}, 400, "length"),
        (f"{OF}/beidou/zones/N50J30/data", {"measure": "area"}, 400, "area"),
        (f"{OF}/beidou/zones/N50J30/data", {"measure": "sum:name"}, 400, "not numbers"),
        (f"{OF}/h3/data", {"measure": "sum:phone"}, 400, "phone"),
        (f"{OF}/h3/data", {"measure": "median:height"}, 400, "median"),
        (f"{OF}/h3/data", {"measure": "count,count"}, 400, "twice"),
        (f"{OF}/h3/zones", {"measure": "count"}, 400, "measure"),
        ("/collections/no.such/dggs", {}, 404, "no.such"),
        ("/dggs", {"f": "csv"}, 406, "json"),
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


def test_answers_are_kept_by_version_and_negotiated(client: httpx.Client) -> None:
    for path in (f"{OF}/beidou/data?zone-level=4", "/dggs/h3", "/dggs/beidou/zones/N50J30"):
        first = client.get(path)
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert again.status_code == 304 and not again.content
    answer = client.get("/dggs/beidou/zones/N50J30", headers={"Accept": "application/geo+json"})
    assert answer.headers["content-type"] == "application/geo+json"
    assert client.get("/dggs/beidou/zones/N50J30").headers["content-type"] == "application/json"


def test_boxes_across_the_antimeridian_and_the_equator(client: httpx.Client) -> None:
    far = get(client, "/dggs/beidou/zones", bbox="179,-1,-179,1", zone_level=1, compact_zones="false")
    assert set(far["zones"]) == {"N60A", "N01A", "S60A", "S01A"}
    cells = get(client, "/dggs/h3/zones", bbox="179.9,-0.1,-179.9,0.1", zone_level=3, compact_zones="false")
    assert h3.latlng_to_cell(0, 180, 3) in cells["zones"]
    assert get(client, "/dggs/beidou/zones", bbox="0,88.5,10,89", zone_level=2)["zones"] == []
