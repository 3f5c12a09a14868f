# SPDX-License-Identifier: Apache-2.0
"""`/responsible` over HTTP: one grid, two, none, a border, an address, another day; what is hidden stays hidden."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.cluster import Urls
from tests.web.conftest import run_server

FIRE, MARKET, UNIT, VILLAGE, SHOP = "grid.fire_grid", "grid.market_grid", "grid.unit_grid", "base.village", "base.poi"
HOME, NEXT = "371502001001", "371502001002"


def both(text: str) -> dict[str, str]:
    return {"zh": f"{text}层", "en": text}


def spec(layer: str, fields: list[str], geometry: str = "multipolygon", **hidden: bool) -> LayerSpec:
    listed = [{"name": n, "title": both(n), "hidden": hidden.get(n, False), "index": n == "name"} for n in fields]
    return LayerSpec.model_validate(
        {"id": layer, "title": both(layer.split(".")[1]), "description": both(layer), "geometry": geometry,
         "key": ["code"], "fields": listed}
    )  # fmt: skip


STAFF = ["code", "name", "owner", "person", "phone", "community_code"]


@pytest.fixture(scope="module")
def where(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    layers = {
        FIRE: spec(FIRE, STAFF),
        MARKET: spec(MARKET, STAFF, phone=True),
        UNIT: spec(UNIT, ["code", "responsible"]),
        VILLAGE: spec(VILLAGE, ["code", "name"]),
        SHOP: spec(SHOP, ["code", "name", "address"], "point"),
    }
    conn = psycopg2.connect(urls.owner)
    sync(conn, layers, {})
    box = "ST_Multi(ST_MakeEnvelope(%s, %s, %s, %s, 4490))"
    with conn, conn.cursor() as cur:
        for code, name, west in ((HOME, "甲社区", 116.0), (NEXT, "乙社区", 116.01)):
            cur.execute(f"INSERT INTO base.village (code, name, geom) VALUES (%s, %s, {box})",
                        (code, name, west, 36, west + 0.01, 36.01))  # fmt: skip
        for code, person, community, edges in (
            ("XF-1", "张示例", HOME, (116, 36, 116.01, 36.01)),
            ("XF-2", "李示例", NEXT, (116.008, 36, 116.02, 36.01)),
        ):
            cur.execute(
                f"INSERT INTO grid.fire_grid (code, name, owner, person, phone, community_code, geom) "
                f"VALUES (%s, %s, '示例消防', %s, '0635-0000001', %s, {box})", (code, code, person, community, *edges)
            )  # fmt: skip
        cur.execute(
            "INSERT INTO grid.market_grid (code, owner, person, phone, community_code, geom, valid_from) "
            f"VALUES ('SJ-1', '示例市监', '王示例', '13900000000', %s, {box}, '2025-01-01')",
            (NEXT, 116, 36, 116.01, 36.01),
        )
        cur.execute(f"INSERT INTO grid.unit_grid (code, responsible, geom) VALUES (%s, '街道办', {box})",
                    (f"{HOME}001", 116, 36, 116.005, 36.01))  # fmt: skip
        for code, name, address, lon in (("P1", "示例茶楼", "东昌路 5 号", 116.002), ("P2", "示例茶楼", None, 116.009)):
            cur.execute("INSERT INTO base.poi (code, name, address, geom) VALUES "
                        "(%s, %s, %s, ST_SetSRID(ST_Point(%s, 36.005), 4490))", (code, name, address, lon))  # fmt: skip
    conn.close()
    yield from run_server(urls.reader, tmp_path_factory.mktemp("home"), GEOCLOUD_WORKERS="1")


def ask(base: str, status: int = 200, **asked: Any) -> dict[str, Any]:
    found = httpx.get(f"{base}/responsible", params=asked, headers={"accept-language": "zh"}, timeout=60)
    assert found.status_code == status, found.text
    return dict(found.json())


def by_layer(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {d["layer"]: d for d in document["departments"]}


def test_every_department_is_told_and_where_they_disagree(where: str) -> None:
    found = ask(where, lon=116.002, lat=36.005)
    told = by_layer(found)
    assert set(told) == {FIRE, MARKET, UNIT}
    (fire,) = told[FIRE]["grids"]
    assert (fire["person"], fire["phone"], fire["owner"]) == ("张示例", "0635-0000001", "示例消防")
    assert told[FIRE]["verdict"] == "one" and told[FIRE]["department"] == "示例消防"
    assert told[UNIT]["grids"][0]["responsible"] == "街道办"
    assert found["community"] == {"code": HOME, "name": "甲社区"}
    # The market says another community than where the point is.
    (differs,) = found["disagreements"]
    assert differs["kind"] == "community" and differs["layers"] == [MARKET] and NEXT in differs["message"]
    assert "market_grid层" in differs["message"]


def test_overlaps_gaps_and_borders(where: str) -> None:
    two = ask(where, lon=116.009, lat=36.005)
    told = by_layer(two)
    assert told[FIRE]["verdict"] == "several" and {g["person"] for g in told[FIRE]["grids"]} == {"张示例", "李示例"}
    assert told[UNIT]["verdict"] == "none"
    assert {d["kind"] for d in two["disagreements"]} == {"overlap", "gap", "community"}
    edge = ask(where, lon=116.005, lat=36.01)
    assert by_layer(edge)[FIRE]["verdict"] == by_layer(edge)[UNIT]["verdict"] == "border"
    assert edge["disagreements"] == [] and edge["community"] is None
    nowhere = ask(where, lon=117, lat=37)
    assert {d["verdict"] for d in nowhere["departments"]} == {"none"} and nowhere["disagreements"] == []


def test_hidden_fields_are_never_told(where: str) -> None:
    answer = httpx.get(f"{where}/responsible", params={"lon": 116.002, "lat": 36.005})
    assert "13900000000" not in answer.text
    assert "phone" not in by_layer(answer.json())[MARKET]["grids"][0]


def test_another_day(where: str) -> None:
    assert by_layer(ask(where, lon=116.002, lat=36.005, date="2024-06-01"))[MARKET]["verdict"] == "none"
    assert by_layer(ask(where, lon=116.002, lat=36.005, date="2025-06-01"))[MARKET]["verdict"] == "one"


@pytest.mark.parametrize(
    ("question", "by", "lon"),
    [("东昌路 5 号", "address", 116.002), ("P2", "code", 116.009), ("示例茶楼", "name", 116.002),
     ("slcl", "search", 116.002), ("116.002, 36.005", "position", 116.002)],
)  # fmt: skip
def test_addresses_names_codes_and_positions(where: str, question: str, by: str, lon: float) -> None:
    found = ask(where, q=question)
    assert found["place"]["by"] == by and found["lon"] == pytest.approx(lon, abs=1e-6)
    assert len(by_layer(found)[FIRE]["grids"]) >= 1
    if question == "示例茶楼":
        assert [o["fid"] for o in found["others"]] == [2]


def test_what_cannot_be_asked_is_told(where: str) -> None:
    for asked in ({}, {"lon": 116}, {"lon": "x", "lat": 36}, {"lon": 1, "lat": 99}, {"lon": 1, "lat": 2, "q": "a"},
                  {"q": " "}, {"q": "字" * 500}, {"lon": 116, "lat": 36, "date": "someday"},
                  {"lon": 116, "lat": 36, "bbox": "1"}, {"lon": "nan", "lat": 36}):  # fmt: skip
        assert ask(where, 400, **asked)["type"]
    assert ask(where, 404, q="没有这个地方")["status"] == 404
    assert ask(where, 404, q="x\0y")["status"] == 404


def test_a_city_without_grids_answers_too(client: httpx.Client) -> None:
    found = client.get("/responsible", params={"lon": 115.98, "lat": 36.45})
    assert found.status_code == 200 and found.json()["departments"] == found.json()["disagreements"] == []
    assert client.get("/responsible", params={"q": "S00001"}).json()["place"]["by"] == "code"
