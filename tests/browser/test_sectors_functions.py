# SPDX-License-Identifier: Apache-2.0
"""Functions of sectors as an officer runs them: boards, forecast and past of a car park, grids laid over each other,
their conflicts, shelters; with what is wrong, empty, or too much."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.demo.parking_readings import bring_up
from geocloud.sectors import registry
from tests.browser.conftest import PHONE, ROOT, Demo, Open, Tab
from tests.browser.test_planning_panel import WEAK
from tests.browser.test_sectors_panel import AT, DRAWN, WIDE, result, run

LOTS = "facility.parking_lot"
BADGES = f"app.map.getSource('tool:readings:{LOTS}')"


@dataclass(frozen=True)
class Lot:
    """A car park with readings of free spaces, and where it is."""

    code: str
    spaces: int
    lon: float
    lat: float


@pytest.fixture(scope="module")
def lot(demo_city: Demo) -> Iterator[Lot]:
    """Readings of the demo's car parks; the one nearest to the middle of the map that has been heard of last."""
    bring_up(demo_city.urls.writer)
    found = demo_city.rows(
        f"SELECT l.code, l.spaces, ST_X(l.geom), ST_Y(l.geom) FROM {LOTS} l "
        "JOIN sensing.datastream d ON d.layer = %s AND d.device = l.code AND d.property = 'free_spaces' "
        "JOIN sensing.latest r ON r.datastream = d.id WHERE r.at > now() - interval '1 hour' "
        "ORDER BY l.geom <-> ST_SetSRID(ST_MakePoint(115.98, 36.45), 4490) LIMIT 1",
        LOTS,
    )
    yield Lot(*found[0])
    conn = psycopg2.connect(demo_city.urls.owner)
    with conn, conn.cursor() as cur:
        cur.execute("TRUNCATE sensing.observation, sensing.latest, sensing.quarantine; DELETE FROM sensing.datastream")
    conn.close()


@pytest.fixture(scope="module")
def boards(demo_city: Demo, lot: Lot) -> Iterator[dict[str, str]]:
    """Two boards of one line and of two, by code, on a layer that is there as long as they are."""
    parking = registry.sectors()["parking"].layers
    assert parking is not None
    conn = psycopg2.connect(demo_city.urls.owner)
    sync(conn, *read_layers(ROOT / "layers", [parking]))
    shows = {"B1": f"{lot.code};NOWHERE", "B2": lot.code}
    with conn, conn.cursor() as cur:
        for code, text in shows.items():
            cur.execute(
                "INSERT INTO parking.guidance_board (code, name, level, shows, geom) "
                "VALUES (%s, %s, 'lot', %s, ST_SetSRID(ST_MakePoint(%s, %s), 4490))",
                (code, f"屏{code}", text, lot.lon, lot.lat),
            )
    yield shows
    sync(conn, *read_layers(ROOT / "layers"))
    conn.close()


def asked(function: str, **inputs: Any) -> str:
    return f"{AT}&sector={function}" + (f"&sector.in={quote(json.dumps(inputs))}" if inputs else "")


def square(west: float, south: float, side: float) -> dict[str, Any]:
    east, north = west + side, south + side
    return {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north],
                                                [west, south]]]}  # fmt: skip


NEAR = square(115.975, 36.445, 0.01)
POLICE = {"a": "grid.unit_grid", "b": "grid.police_grid"}


def said(tab: Tab) -> list[float]:
    """Numbers of what a chart says of itself: least, greatest, intervals, those without a value."""
    label = tab.page.get_attribute(".sector-chart svg", "aria-label") or ""
    found = re.search(r"最低 ([\d.,]+) 个，最高 ([\d.,]+) 个；(\d+) 个时段中 (\d+) 个没有数值", label)
    assert found, label
    return [float(x.replace(",", "")) for x in found.groups()]


def refused(tab: Tab) -> str:
    tab.page.wait_for_selector(".refusal")
    return tab.page.inner_text(".refusal")


def test_a_layer_with_readings_is_switched_on_without_a_stumble(open_map: Open, base: str, lot: Lot) -> None:
    tab = open_map(f"at=15.00/{lot.lat}/{lot.lon}", base=base, size=WIDE)
    page = tab.page
    assert LOTS not in tab.app("app.visible()")
    tab.app("""(() => { const add = app.map.addSource.bind(app.map); window.stumbles = [];
      app.map.addSource = (id, source) => { try { return add(id, source); } catch (e) {
        window.stumbles.push(e.message); throw e; } }; })()""")  # fmt: skip
    page.click("[data-tool=sectors]")
    page.click("[data-process=parking-history]")
    tab.until(f"(await {BADGES}?.getData())?.features.length")
    tab.idle()
    assert page.evaluate("window.stumbles") == []


def test_a_forecast_is_drawn_with_its_error_and_shows_the_car_park(open_map: Open, base: str, lot: Lot) -> None:
    tab = open_map(asked("parking/parking-forecast", lot=lot.code), base=base, size=WIDE)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    run(page)
    told = result(tab, base, "forecast")
    assert told["method"] == "week" and len(told["rows"]) == 12
    for row in told["rows"]:
        assert row["low"] == pytest.approx(max(0, row["free"] - row["mae"]), abs=0.02)
        assert row["high"] == pytest.approx(min(lot.spaces, row["free"] + row["mae"]), abs=0.02)
    low, high, intervals, gaps = said(tab)
    assert (intervals, gaps) == (12, 0)
    assert low == pytest.approx(min(r["low"] for r in told["rows"]), rel=1e-3)
    assert high == pytest.approx(max(r["high"] for r in told["rows"]), rel=1e-3)
    # Hours at the foot, no two of them over each other.
    times = page.locator(".sector-chart text[text-anchor=middle]")
    assert 4 <= times.count() <= 7
    boxes = times.evaluate_all("all => all.map((t) => t.getBoundingClientRect()).map((b) => [b.left, b.right])")
    assert all(a[1] < b[0] for a, b in zip(boxes, boxes[1:], strict=False))
    assert page.inner_text("[data-figure='forecast/method'] dd") == "前几周同一时刻"
    assert page.inner_text("[data-figure='forecast/mae'] dd").endswith(" 个")
    assert not page.locator(".sector-row").first.is_visible()
    page.click(".sector-values > summary")
    assert page.locator(".sector-row").count() == 12
    # Rows have no place, so there is nothing to press; the car park itself is what the map shows.
    assert page.locator("button.sector-row").count() == 0
    tab.idle()
    x, y = tab.app("(({x, y}) => [x, y])(app.map.project(x))", [lot.lon, lot.lat])
    assert 250 < x < 680 and 200 < y < 640
    assert tab.app("app.map.getZoom()") == pytest.approx(15, abs=0.01)


def test_the_past_is_a_line_in_steps_that_are_chosen_in_words(open_map: Open, base: str, lot: Lot) -> None:
    tab = open_map(asked("parking/parking-history", lot=lot.code), base=base, size=WIDE)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    words = page.locator("[data-input=bucket] option").all_inner_texts()
    assert words == ["10 分钟", "1 小时", "3 小时", "6 小时", "1 天"]
    page.fill("[data-input='datetime.from']", "2026-05-02T00:00")
    page.fill("[data-input='datetime.to']", "2026-05-01T00:00")
    page.click("[data-act=run]")
    page.wait_for_selector("[data-field=datetime].is-wrong")
    for end in ("from", "to"):
        page.fill(f"[data-input='datetime.{end}']", "")
    page.select_option("[data-input=bucket]", "3h")
    run(page)
    rows = result(tab, base, "history")["rows"]
    low, high, intervals, gaps = said(tab)
    known = [r for r in rows if r["free"] is not None]
    assert (intervals, gaps) == (len(rows), len(rows) - len(known)) and len(known) > 50
    assert low == min(r["least"] for r in known) and high == max(r["most"] for r in known)
    assert "北京时间" in page.inner_text(".sector-head")


@pytest.mark.parametrize("function", ["parking-forecast", "parking-history"])
def test_a_car_park_that_is_not_given_or_not_there(open_map: Open, base: str, lot: Lot, function: str) -> None:
    tab = open_map(asked(f"parking/{function}"), base=base, size=WIDE, tolerant=True)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    page.click("[data-act=run]")
    page.wait_for_selector("[data-field=lot].is-wrong")
    page.fill("[data-input=lot]", "NOWHERE")
    page.keyboard.press("Tab")
    page.locator("[data-act=run]").focus()
    page.keyboard.press("Enter")
    text = refused(tab)
    assert "NOWHERE" in text and "地图上点选" in text
    assert page.evaluate("document.activeElement.className") == "verdict-word"


def test_boards_say_line_by_line_what_they_show(open_map: Open, base: str, lot: Lot, boards: dict[str, str]) -> None:
    tab = open_map(asked("parking/parking-guidance"), base=base, size=WIDE, tolerant=True)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    run(page)
    told = {b["code"]: b for b in result(tab, base, "feed")["boards"]}
    assert told.keys() == boards.keys()
    assert page.get_attribute("[data-verdict=lot]", "data-count") == str(len(boards))
    assert len(tab.app(DRAWN)) == len(boards)
    lines = page.locator(".sector-row").first.locator("[data-column=text]").inner_text().split("\n")[1:]
    assert lines == told["B1"]["text"].split("\n") and len(lines) == 2
    # One is known and has its number, of the other nothing is.
    assert re.search(r"余位 \d+", lines[0]) and lines[1].endswith("—")
    page.click(".sector-form > summary")
    page.fill("[data-input=board]", "B2")
    run(page)
    page.wait_for_function("() => document.querySelectorAll('.sector-row').length === 1")
    page.click(".sector-form > summary")
    page.fill("[data-input=board]", "NOWHERE")
    page.click("[data-act=run]")
    assert "NOWHERE" in refused(tab)


def test_grids_laid_over_each_other(open_map: Open, base: str) -> None:
    tab = open_map(asked("grids/grid-fusion"), base=base, size=WIDE, tolerant=True)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    offered = page.locator("[data-input=a] option").evaluate_all("all => all.map((o) => o.value)")
    assert offered[0] == "" and POLICE["a"] in offered and POLICE["b"] in offered
    assert not {LOTS, "base.road"} & set(offered), "points and lines are no grids"
    page.click("[data-act=run]")
    page.wait_for_selector("[data-field=a].is-wrong")
    assert page.locator("[data-field=b].is-wrong").count() == 1
    page.select_option("[data-input=a]", POLICE["a"])
    page.select_option("[data-input=b]", POLICE["a"])
    page.click("[data-act=run]")
    assert "两个图层相同" in refused(tab)
    assert "相同" in page.inner_text("[data-field=b] .wrong")
    page.click("[data-act=example]")
    run(page)
    rows = result(tab, base, "report")["rows"]
    assert len(tab.app(DRAWN)) == len(rows) > 100
    assert re.fullmatch(r"0%|不足 0\.001%", page.inner_text("[data-figure='report/a/closure'] dd"))
    page.select_option("[data-act=sort]", "overlap_area_m2")
    number = int(page.locator(".sector-row").first.get_attribute("data-number") or "-1")
    assert rows[number]["overlap_area_m2"] == min(r["overlap_area_m2"] for r in rows)


def test_what_lies_outside_the_other_grids_is_named_so(open_map: Open, base: str) -> None:
    tab = open_map(asked("grids/grid-fusion", a="grid.police_grid", b="base.township"), base=base, size=WIDE)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    run(page)
    rows = result(tab, base, "report")["rows"]
    outside = [i for i, r in enumerate(rows) if r["grid_a"] is None]
    assert outside
    page.select_option("[data-act=sort]", "overlap_area_m2")
    page.click("[data-act=turn]")
    greatest = max(range(len(rows)), key=lambda i: rows[i]["overlap_area_m2"])
    assert greatest in outside
    assert page.locator(f"[data-number='{greatest}'] .sector-row-name").inner_text() == "甲之外"


def test_conflicts_of_grids_by_what_is_wrong(open_map: Open, base: str) -> None:
    tab = open_map(asked("grids/grid-conflicts"), base=base, size=WIDE)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    page.fill("[data-input=tolerance_m]", "51")
    page.click("[data-act=run]")
    page.wait_for_selector("[data-field=tolerance_m].is-wrong")
    page.fill("[data-input=tolerance_m]", "2")
    run(page)
    summary = result(tab, base, "summary")
    for rule in summary["rules"]:
        button = page.locator(f"[data-verdict={rule['rule']}]")
        assert button.get_attribute("data-count") == str(rule["conflicts"])
        assert rule["title"]["zh"] in button.inner_text()
    assert not re.search(r"\bF\d\b", page.inner_text(".sector"))
    page.click("[data-verdict=F4]")
    count = next(r["conflicts"] for r in summary["rules"] if r["rule"] == "F4")
    assert page.locator(".sector-row").count() == len(tab.app(DRAWN)) == count > 0
    page.click(".sector-form > summary")
    page.click("[data-input=rules] > summary")
    page.check("[data-input=rules] [value=F3]")
    assert "本部门网格缝隙" in page.inner_text("[data-input=rules] > summary")
    run(page)
    assert {r["rule"] for r in result(tab, base, "summary")["rules"]} == {"F3"}


def test_people_are_sent_to_shelters(open_map: Open, base: str) -> None:
    tab = open_map(asked("emergency/shelter-allocate"), base=base, size=WIDE)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    assert page.locator("[data-input=by] option").all_inner_texts() == ["步行时间", "直线距离"]
    page.click("[data-act=example]")
    run(page)
    plan = result(tab, base, "plan")
    assert plan["verdict"] == "placed"
    assert page.inner_text("[data-figure='plan/placed'] dd") == f"{plan['placed']:,} 人"
    row = page.locator(".sector-row").first.inner_text()
    assert plan["allocation"][0]["shelter_name"] in row and "分钟" in row
    # Where they come from is seen as well as where they go.
    tab.idle()
    west, south = tab.app("(({x, y}) => [x, y])(app.map.project([115.975, 36.445]))")
    assert west > 0 and 0 < south < 844
    assert {f["geometry"]["type"] for f in tab.app(DRAWN)} == {"LineString"}


def test_shelters_for_nobody_for_another_city_and_for_too_many(open_map: Open, base: str) -> None:
    tab = open_map(asked("emergency/shelter-allocate"), base=base, size=WIDE, tolerant=True)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    page.click("[data-act=run]")
    assert "“疏散范围”或“疏散点”" in refused(tab)
    assert "area" not in page.inner_text(".sector")
    away = open_map(asked("emergency/shelter-allocate", area=square(120, 30, 0.1)), base=base, size=WIDE, tolerant=True)
    away.page.wait_for_selector("[data-act=run]")
    away.page.click("[data-act=run]")
    assert "不在" in refused(away) or "以外" in refused(away) or "之外" in refused(away)
    many = open_map(asked("emergency/shelter-allocate", area=square(115.9, 36.4, 0.16)), base=base, size=WIDE)
    many.page.wait_for_selector("[data-act=run]")
    run(many.page)
    plan = result(many, base, "plan")
    assert plan["left_over"] > 0
    assert many.page.inner_text("[data-figure='plan/verdict'] dd") == "未全部安置"
    notes = many.page.inner_text(".sector-notes")
    assert f"{plan['left_over']:,} 人未安置" in notes and "可增大最远直线距离" in notes


SIX = {
    "parking/parking-guidance": {},
    "parking/parking-forecast": {"lot": None},
    "parking/parking-history": {"lot": None},
    "grids/grid-fusion": POLICE,
    "grids/grid-conflicts": {},
    "emergency/shelter-allocate": {"area": NEAR, "max_distance_m": 10_000},
}
# Words of the screen, without names that are in the data.
CHINESE = """() => [...document.querySelectorAll('.sector *')].filter((e) => e.checkVisibility() &&
  !e.closest('.sector-row-name, .sector-figures dd, .sector-notes, .sector-facts > span > :not(.hint)') &&
  [...e.childNodes].some((n) => n.nodeType === 3 && /[\\u4e00-\\u9fff]/.test(n.data))).map((e) => e.textContent)"""


@pytest.mark.parametrize("function", SIX)
@pytest.mark.usefixtures("boards")
def test_on_a_phone_by_night_in_english(open_map: Open, base: str, lot: Lot, function: str) -> None:
    inputs = {k: lot.code if v is None else v for k, v in SIX[function].items()}
    page = open_map(f"{asked(function, **inputs)}&lang=en&dark=1", base=base, size=PHONE, has_touch=True).page
    page.wait_for_selector("[data-act=run]")
    weak = WEAK.replace(".plan *", ".sector *")
    assert page.evaluate(weak) == []
    run(page)
    assert page.evaluate(weak) == []
    assert page.evaluate(CHINESE) == []
    inside, screen = page.evaluate("[document.getElementById('inspector').scrollWidth, innerWidth]")
    assert inside <= screen
    small = page.locator(".sector button, .sector select, .sector summary, .sector a").evaluate_all(
        "all => all.filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 40)"
        ".map((e) => [e.className, e.textContent])"
    )
    assert small == []
