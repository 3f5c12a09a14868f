# SPDX-License-Identifier: Apache-2.0
"""Places out of a real database: what is visible is found, ranked, and right at once after every kind of write."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pypinyin
import pytest

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import LayerSpec, read_layers
from geocloud.db.cluster import Urls
from geocloud.search import places as places_module
from geocloud.search.plan import plan_of

LAYERS = Path(__file__).resolve().parents[2] / "layers"
DEMO = ["base.city", "base.county", "base.township", "base.village", "base.road", "base.poi", "base.water_line",
        "base.place_name", "facility.school"]  # fmt: skip
SQUARE = "ST_Multi(ST_MakeEnvelope(%s, %s, %s, %s, 4490))"


def spec(name: str, geometry: str = "point", **more: Any) -> LayerSpec:
    """A layer of names with other names and a hidden field."""
    text = {"zh": "测试", "en": "Test"}
    fields = [{"name": n, "title": text} for n in ("code", "name", "alias_name", "former_name", "x0")]
    fields.append({"name": "secret", "title": text, "hidden": True})
    return LayerSpec.model_validate(
        {"id": f"lab.{name}", "title": text, "description": text, "geometry": geometry, "key": ["code"],
         "fields": fields, **more}
    )  # fmt: skip


LAB = [
    spec("shop"),
    spec("lane", "multilinestring"),
    spec("inner", access={"read": "internal"}),
    spec("table", "none"),
]


@pytest.fixture(scope="module")
def city(urls: Urls) -> Iterator[Urls]:
    """The small demo city, and layers of the tests beside it."""
    conn = psycopg2.connect(urls.owner)
    layers, codes = read_layers(LAYERS)
    sync(conn, layers | {s.id: s for s in LAB}, codes)
    conn.close()
    demo.load(urls.owner, "small", layers=DEMO)
    yield urls


@pytest.fixture
def lab(city: Urls) -> Iterator[Urls]:
    """The layers of the tests, empty before each."""
    conn = psycopg2.connect(city.owner)
    with conn, conn.cursor() as cur:
        for one in LAB:
            cur.execute(f"DELETE FROM {one.id}")
    conn.close()
    yield city


def shop(code: str, name: str | None, lon: float = 116.0, lat: float = 36.4, **more: str) -> str:
    columns = {"code": code, "name": name, **more}
    values = ", ".join("NULL" if v is None else "'" + v.replace("'", "''") + "'" for v in columns.values())
    return (
        f"INSERT INTO lab.shop ({', '.join(columns)}, geom) VALUES ({values}, "
        f"ST_SetSRID(ST_Point({lon}, {lat}), 4490));"
    )


@pytest.mark.parametrize("layer", ["base.county", "base.township", "base.village", "base.poi", "facility.school"])
def test_every_name_of_a_layer_by_itself_its_pinyin_and_its_initials(city, searching, layer):
    conn = psycopg2.connect(city.owner)
    with conn.cursor() as cur:
        cur.execute(f"SELECT DISTINCT name FROM {layer} WHERE name IS NOT NULL ORDER BY name")
        names = [row[0] for row in cur.fetchall()][::13] if layer != "base.county" else [r[0] for r in cur.fetchall()]
    conn.close()

    async def check(session):
        assert names
        indexes = await session.places.index.current(session.registry.current)
        for name in names:
            read = pypinyin.lazy_pinyin(re.sub(r"[\W_]+", "", name))
            initials = "".join(p if p in name else p[0] for p in read)
            assert name in await session.titles(name), name
            for question in ("".join(read), initials):
                found = places_module._best(indexes, [question], 100_000, None)
                fids = {c.fid for c in found if c.layer == layer}
                assert fids & set(await fids_of(session, layer, name)), (name, question)

    searching(city, check)


async def fids_of(session: Any, layer: str, name: str) -> list[int]:
    async with session.places._reader.lease() as conn:
        return [r[0] for r in await conn.fetch(f"SELECT fid FROM {layer} WHERE name = $1", name)]


@pytest.mark.parametrize("question", ["古楼", "gulou", "gl", "古", "gulou街道", "371502001"])
def test_gulou_township_comes_first(city, searching, question):
    async def check(session):
        first = (await session.find(question))[0]
        assert (first.title, first.collection) == ("古楼街道", "base.township")
        assert "街道" in first.subtitle.zh
        assert "Township" in first.subtitle.en
        west, south, east, north = first.bbox
        assert west < first.position[0] < east
        assert south < first.position[1] < north

    searching(city, check)


def test_a_county_comes_before_what_lies_in_it(city, searching):
    async def check(session):
        assert (await session.find("371502"))[0].collection == "base.county"
        assert (await session.find("东昌府"))[0].collection == "base.county"
        assert (await session.find("dcfq"))[0].title == "东昌府区"

    searching(city, check)


def test_only_what_is_public_and_visible_is_found(lab, searching):
    async def check(session):
        await session.write(
            shop("1", "明处的店", secret="暗语一号")
            + "INSERT INTO lab.inner (code, name, geom) VALUES ('1', '内部的店', ST_SetSRID(ST_Point(116, 36), 4490));"
            + "INSERT INTO lab.table (code, name) VALUES ('1', '表中的店')"
        )
        assert await session.titles("的店") == ["明处的店"]
        for question in ("暗语", "anyu", "内部的店", "nbdd", "表中的店"):
            assert await session.titles(question) == []

    searching(lab, check)


def test_plans_follow_the_definitions():
    layers, _ = read_layers(LAYERS)
    plans = {i: plan for i, one in layers.items() if (plan := plan_of(one))}
    assert plans["base.township"].names == ("name", "former_name")
    assert plans["base.place_name"].names == ("name", "name_en", "alias_name")
    assert "base.parcel" not in plans
    assert "address_ip" not in plans["facility.camera"].names
    order = ["base.county", "base.township", "base.village", "base.road", "base.poi"]
    assert sorted(order, key=lambda i: -plans[i].importance) == order


def test_right_after_each_kind_of_write(lab, searching):
    async def check(session):
        assert await session.titles("望岳") == []
        await session.write(shop("1", "望岳茶楼"))
        assert await session.titles("wycl") == ["望岳茶楼"]
        await session.write("UPDATE lab.shop SET name = '望湖茶楼'")
        assert await session.titles("望岳") == []
        assert await session.titles("wanghu") == ["望湖茶楼"]
        await session.write("UPDATE lab.shop SET geom = ST_SetSRID(ST_Point(115.5, 36.1), 4490)")
        assert (await session.find("望湖"))[0].position == pytest.approx((115.5, 36.1))
        await session.write("UPDATE lab.shop SET name = NULL, alias_name = '老茶馆;观澜阁'")
        assert await session.titles("望湖") == []
        assert await session.titles("guanlan") == await session.titles("laochaguan") == ["老茶馆;观澜阁"]
        await session.write("DELETE FROM lab.shop")
        assert await session.titles("guanlan") == []
        index = session.places.index
        assert index.followed >= 5
        rebuilt = index.rebuilt
        await session.write(shop("2", "望岳茶楼"))
        assert await session.titles("望岳") == ["望岳茶楼"]
        assert index.rebuilt == rebuilt

    searching(lab, check)


def test_live_within_a_second(lab, searching):
    async def check(session):
        await session.titles("x")
        begin = time.monotonic()
        conn = psycopg2.connect(lab.owner)
        with conn, conn.cursor() as cur:
            cur.execute(shop("1", "一秒之内"))
        conn.close()
        while await session.titles("一秒之内") != ["一秒之内"]:
            assert time.monotonic() - begin < 1
            await asyncio.sleep(0)

    searching(lab, check)


def test_very_many_changes_and_a_cut_log_are_read_whole(lab, searching):
    async def check(session):
        await session.write(shop("0", "起点"))
        assert await session.titles("起点") == ["起点"]
        await session.write(
            "INSERT INTO lab.shop (code, name, geom) SELECT 'M' || n, '批量' || n || '号', "
            "ST_SetSRID(ST_Point(115.5 + n * 1e-5, 36.2), 4490) FROM generate_series(1, 12000) n"
        )
        rebuilt = session.places.index.rebuilt
        assert await session.titles("批量12000号") == ["批量12000号"]
        assert session.places.index.rebuilt == rebuilt + 1
        await session.write("DELETE FROM geocloud.change_log WHERE layer = 'lab.shop';" + shop("E", "终点"))
        assert await session.titles("终点") == ["终点"]
        assert session.places.index.rebuilt == rebuilt + 2
        await session.write("UPDATE lab.shop SET name = '改' || code WHERE code LIKE 'M1%'")
        assert await session.titles("改M1000", limit=1) == ["改M1000"]
        assert await session.titles("批量1000号") == []

    searching(lab, check)


def test_what_ends_and_what_begins_at_a_date(lab, searching):
    async def check(session):
        await session.write(shop("1", "开业书坊") + shop("2", "歇业书坊"))
        soon = datetime.now(UTC) + timedelta(seconds=1.5)
        await session.write("UPDATE lab.shop SET valid_to = %s WHERE code = '2'", soon)
        await session.write(
            "INSERT INTO lab.shop (code, name, geom, valid_from) VALUES ('3', '将来店', "
            "ST_SetSRID(ST_Point(116, 36), 4490), %s)", soon,
        )  # fmt: skip
        assert set(await session.titles("业书坊")) == {"开业书坊", "歇业书坊"}
        assert await session.titles("将来店") == []
        await session.until(lambda c: (e := c.layers["lab.shop"].state.epoch) is not None and e >= soon)
        assert set(await session.titles("业书坊")) == {"开业书坊"}
        assert await session.titles("将来店") == ["将来店"]

    searching(lab, check)


def test_stretches_of_a_road_are_one_place_and_two_roads_two(lab, searching):
    async def check(session):
        line = "ST_SetSRID(ST_Multi(ST_MakeLine(ST_Point(%s, %s), ST_Point(%s, %s))), 4490)"
        for n in range(20):
            await session.write(
                f"INSERT INTO lab.lane (code, name, geom) VALUES (%s, '长街', {line})",
                f"A{n}", 115.5 + n * 0.01, 36.2, 115.51 + n * 0.01, 36.2,
            )  # fmt: skip
        far = ("B", 116.3, 36.8, 116.31, 36.81)
        await session.write(f"INSERT INTO lab.lane (code, name, geom) VALUES (%s, '长街', {line})", *far)
        near_b = await session.find("长街", near=(116.3, 36.8))
        assert [p.bbox for p in near_b][0] == pytest.approx((116.3, 36.8, 116.31, 36.81))
        assert [p.bbox for p in near_b][1] == pytest.approx((115.5, 36.2, 115.7, 36.2), abs=5e-5)
        assert len(near_b) == 2
        # One stretch moved a little is still part of the road, though it is known from the change log alone.
        await session.write(f"UPDATE lab.lane SET geom = {line} WHERE code = 'A19'", 115.69, 36.2, 115.71, 36.21)
        found = await session.find("changjie")
        assert len(found) == 2
        assert found[0].bbox == pytest.approx((115.5, 36.2, 115.71, 36.21), abs=5e-5)
        assert 115.5 <= found[0].position[0] <= 115.71

    searching(lab, check)


def test_near_lifts_what_is_near(lab, searching):
    async def check(session):
        await session.write("".join(shop(str(n), "便民超市", 115.4 + n * 0.01, 36.3) for n in range(60)))
        for n in (0, 30, 59):
            found = await session.find("bmcs", limit=3, near=(115.4 + n * 0.01, 36.3))
            assert found[0].position == pytest.approx((115.4 + n * 0.01, 36.3))
            assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
        assert len(await session.find("便民超市", limit=50)) == 50

    searching(lab, check)


@pytest.mark.parametrize(
    ("question", "expected"),
    [("KT-0042", ["KT-0042"]), ("kt-0042", ["KT-0042"]), ("KT-004", ["KT-0041", "KT-0042"]), ("KT-1", []), ("KT", [])],
    ids=["exact", "small-letters", "beginning", "none", "no-digit"],
)
def test_codes(lab, searching, question, expected):
    async def check(session):
        await session.write(shop("KT-0041", "甲") + shop("KT-0042", "乙") + shop("XX-0042", "丙"))
        found = [p for p in await session.find(question) if p.collection == "lab.shop"]
        names = {"KT-0041": "甲", "KT-0042": "乙"}
        assert sorted(p.title for p in found) == sorted(names[c] for c in expected)

    searching(lab, check)


def test_words_apart_may_stand_anywhere_in_a_name(lab, searching):
    async def check(session):
        await session.write(shop("1", "聊城市第二人民医院北院") + shop("2", "第二中学") + shop("3", "北院小区"))
        assert await session.titles("医院 第二 北") == ["聊城市第二人民医院北院"]
        assert await session.titles("yiyuan dier") == ["聊城市第二人民医院北院"]

    searching(lab, check)


@pytest.mark.parametrize(
    "question",
    [
        "%",
        "_",
        "'",
        '"; DROP TABLE lab.shop; --',
        "\\",
        ".*",
        "(",
        "[a-",
        "{0}",
        "\x00\x01\x1b",
        "🙂🙂",
        "\u202e反",
        "a" * 200,
        "阿" * 200,
        "1' OR '1'='1",
        "$1",
        "\U0010ffff",
        " ",
        "\n",
        "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    ],
)
def test_hostile_questions_find_nothing_and_break_nothing(lab, searching, question):
    async def check(session):
        await session.write(shop("1", "普通名字"))
        found = await session.find(question)
        assert [p for p in found if p.collection == "lab.shop"] == []
        assert await session.titles("普通名字") == ["普通名字"]

    searching(lab, check)


@pytest.mark.parametrize(
    "name", ["%_\\", "a.b*c(d", "🙂", "O'Brien's", '"引号"', "line\nbreak,comma", "\tx", "名" * 200, "NULL", "١٢٣"]
)
def test_strange_names_are_found_by_themselves(lab, searching, name):
    async def check(session):
        await session.write(shop("1", name))
        assert name in await session.titles(name)

    searching(lab, check)


def test_the_loop_is_not_held_up(city, searching):
    """What the loop's own thread computes between two turns, however many others the machine serves."""

    async def check(session):
        longest = 0.0

        async def watch():
            nonlocal longest
            while True:
                begin = time.thread_time()
                await asyncio.sleep(0)
                longest = max(longest, time.thread_time() - begin)

        watching = asyncio.create_task(watch())
        await asyncio.gather(*(session.find(q) for q in ("古楼", "gulou", "s", "示例")))
        watching.cancel()
        assert 0 < longest < 0.02

    searching(city, check)


def test_real_townships_by_name_pinyin_and_initials(shared_data, fresh_urls, searching):
    with (shared_data / "liaocheng/admin_township_points.geojson").open(encoding="utf-8") as file:
        features = [f for f in json.load(file)["features"] if f["properties"].get("name_2023")]
    layers, codes = read_layers(LAYERS)
    conn = psycopg2.connect(fresh_urls.owner)
    sync(conn, {"base.township": layers["base.township"]}, codes)
    with conn, conn.cursor() as cur:
        for feature in features:
            said = feature["properties"]
            cur.execute(
                "INSERT INTO base.township (code, name, geom) "
                "VALUES (%s, %s, ST_SetSRID(ST_GeomFromGeoJSON(%s), 4490)) ON CONFLICT DO NOTHING",
                (said["code9"], said["name_2023"], json.dumps(feature["geometry"])),
            )
    conn.close()

    async def check(session):
        assert len(features) > 100
        for question in ("古楼", "gulou", "gl"):
            assert "古楼街道" in (await session.titles(question))[:2]
        for name in sorted({f["properties"]["name_2023"] for f in features}):
            read = pypinyin.lazy_pinyin(name)
            for question in (name, "".join(read)):
                assert name in (await session.titles(question))[:3], (name, question)
            assert name in await session.titles("".join(r[0] for r in read), limit=200)

    searching(fresh_urls, check)
