# SPDX-License-Identifier: Apache-2.0
"""The sectors' panel: forms made from descriptions, runs by real workers, answers as list and on the map."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import PHONE, Demo, Open, Tab
from tests.browser.test_planning_panel import WEAK

WIDE = (1400, 900)
AT = "at=13.00/36.45000/115.98000"
TRAIL, REACH, MAKE = (
    f"{AT}&sector={x}" for x in ("culture/culture-trail", "culture/culture-reach", "grids/grid-generate")
)
HERE = {"type": "Point", "coordinates": [115.98, 36.45]}
LONG: dict[str, Any] = {"minutes": 720, "stay_min": 1, "most": 25, "along": "straight"}
DRAWN = "(await app.map.getSource('tool:sector:rows').getData()).features"


def _inputs(**given: Any) -> str:
    return f"sector.in={quote(json.dumps(given))}"


WALK = f"{TRAIL}&{_inputs(start=HERE, **LONG)}"


def run(page: Page) -> None:
    page.click("[data-act=run]")
    page.wait_for_selector(".sector-head")


def result(tab: Tab, base: str, output: str) -> Any:
    return httpx.get(f"{base}/jobs/{tab.state()['sector.job']}/results/{output}").json()


def test_every_function_of_every_sector_is_listed_and_has_a_form(open_map: Open, base: str) -> None:
    page = open_map(AT, base=base, size=WIDE).page
    page.click("[data-tool=sectors]")
    page.wait_for_selector(".sector-function")
    told = httpx.get(f"{base}/sectors").json()["sectors"]
    wanted = [f["process"] for s in told for f in s["functions"]]
    found = page.locator(".sector-function").evaluate_all("all => all.map((b) => b.dataset.process)")
    assert found == wanted and "culture-trail" in wanted
    for process in wanted:
        page.click(f"[data-process={process}]")
        page.wait_for_selector("[data-act=run]")
        inputs = httpx.get(f"{base}/processes/{process}").json()["inputs"]
        fields = page.locator("[data-field]").evaluate_all("all => all.map((f) => f.dataset.field)")
        assert sorted(fields) == sorted(inputs)
        page.click("[data-act=all]")
        page.wait_for_selector(".sector-function")


def test_a_place_picked_on_the_map_is_sent_and_the_answer_is_listed_and_drawn(open_map: Open, base: str) -> None:
    tab = open_map(f"{TRAIL}&{_inputs(**LONG)}", base=base, size=WIDE)
    page = tab.page
    # The place is needed and not given: the next click is taken for it, and identifies nothing.
    page.wait_for_selector("[data-act=pick-start][aria-pressed=true]")
    assert "facility.culture_venue" in tab.app("app.visible()")
    page.mouse.click(700, 400)
    page.wait_for_selector("[data-act=pick-start][aria-pressed=false]")
    place = [float(x) for x in page.input_value("[data-input=start]").split(", ")]
    assert place == pytest.approx(tab.app("app.map.unproject([700 - 304, 400 - 56]).toArray()"), abs=1e-5)
    assert "sel" not in tab.state()
    run(page)
    stops = result(tab, base, "stops")["features"]
    assert len(stops) == result(tab, base, "trail")["stops"] > 5
    drawn = tab.app(DRAWN)
    assert [f["geometry"]["coordinates"] for f in drawn] == [f["geometry"]["coordinates"] for f in stops]
    way = tab.app("(await app.map.getSource('tool:sector:others').getData()).features.map((f) => f.geometry.type)")
    assert way == ["LineString"] * len(stops)
    assert page.inner_text("[data-figure='trail/stops'] dd") == str(len(drawn))
    names = [f["properties"]["name"] for f in stops]
    shown = page.locator(".sector-row-name").all_inner_texts()
    assert shown == names[: len(shown)] and len(shown) == min(50, len(names))
    page.wait_for_selector(".sector .badge.wide")
    files = page.locator(".sector-files a").evaluate_all("all => all.map((a) => a.dataset.output)")
    assert files == ["trail", "stops", "way"]


def test_rows_sort_and_a_click_flies_to_one(open_map: Open, base: str) -> None:
    tab = open_map(WALK, base=base, size=WIDE)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    run(page)
    stops = result(tab, base, "stops")["features"]
    page.select_option("[data-act=sort]", "walk_m")
    page.click("[data-act=turn]")
    first = page.locator(".sector-row").first
    number = int(first.get_attribute("data-number") or "-1")
    assert stops[number]["properties"]["walk_m"] == max(f["properties"]["walk_m"] for f in stops)
    first.click()
    tab.idle()
    assert page.locator(".sector-row").first.get_attribute("aria-pressed") == "true"
    at = stops[number]["geometry"]["coordinates"]
    x, y = tab.app("(({x, y}) => [x, y])(app.map.project(x))", at)
    assert 300 < x < 620 and 200 < y < 640, "it lies in the middle of what the panel leaves"
    assert stops[number]["properties"]["name"] in page.inner_text(".sector-popup")
    # A click on what is drawn marks its row and asks no layer.
    page.click(".sector-popup button")
    page.mouse.click(304 + x, 56 + y)
    page.wait_for_selector(".sector-popup")
    assert "sel" not in tab.state()
    again = open_map(page.url.partition("#")[2], base=base, size=WIDE).page
    again.wait_for_selector(".sector-row")
    assert again.locator(".sector-row").count() == len(stops)


def test_rows_without_a_place_are_drawn_where_their_district_is(open_map: Open, base: str) -> None:
    tab = open_map(REACH, base=base, size=WIDE)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    run(page)
    rows = result(tab, base, "table")["rows"]
    sums = Counter(r["verdict"] for r in rows)
    assert min(sums["reached"], sums["not-reached"]) > 0
    for verdict in ("reached", "not-reached", "not-judged"):
        assert page.get_attribute(f"[data-verdict={verdict}]", "data-count") == str(sums[verdict])
    drawn = tab.app(DRAWN)
    assert Counter(f["properties"]["tone"] for f in drawn) == {
        "good": sums["reached"], "danger": sums["not-reached"],
    }  # fmt: skip
    assert {f["geometry"]["type"] for f in drawn} <= {"Polygon", "MultiPolygon"}
    page.click("[data-verdict=reached]")
    assert page.locator(".sector-row").count() == min(50, sums["reached"])
    assert len(tab.app(DRAWN)) == sums["reached"]
    assert page.locator("[data-output=csv]").count() == 1
    share = sum(r["population"] for r in rows if r["verdict"] == "reached") / sum(r["population"] for r in rows)
    assert page.inner_text("[data-figure='table/totals/share_reached'] dd").startswith(f"{share * 100:.1f}"[:4])


def test_a_feature_picked_fills_its_code_and_a_refusal_is_said(open_map: Open, base: str, demo_city: Demo) -> None:
    tab = open_map(MAKE.replace("=13.00", "=14.00"), base=base, size=WIDE, tolerant=True)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    page.click("[data-act=run]")
    page.wait_for_selector("[data-field=community].is-wrong")
    assert "sector.job" not in tab.state()
    page.click("[data-act=pick-community]")
    page.mouse.click(700, 400)
    page.wait_for_function("() => document.querySelector('[data-input=community]').value.length === 12")
    code = page.input_value("[data-input=community]")
    lon, lat = tab.app("app.map.unproject([700 - 304, 400 - 56]).toArray()")
    inside = "SELECT code FROM base.village WHERE ST_Intersects(geom, ST_SetSRID(ST_MakePoint(%s, %s), 4490))"
    assert demo_city.one(inside, lon, lat) == code
    page.fill("[data-input=target_m2]", "1000")
    page.click("[data-act=run]")
    page.wait_for_selector(".refusal")
    assert "999" in page.inner_text(".refusal")
    page.fill("[data-input=target_m2]", "5")
    page.click("[data-act=run]")
    page.wait_for_selector("[data-field=target_m2].is-wrong")
    assert "1000" in page.inner_text("[data-field=target_m2] .wrong")


def test_a_run_can_be_called_off(open_map: Open, base: str) -> None:
    tab = open_map(REACH, base=base, size=WIDE)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    # A run that takes long: what is asked of it is answered here until it is called off.
    page.route("**/jobs/*", lambda route: route.fulfill(json={"status": "running", "progress": 40, "message": "量算"})
               if route.request.method == "GET" else route.continue_())  # fmt: skip
    with page.expect_response(lambda r: r.request.method == "DELETE") as gone:
        page.click("[data-act=run]")
        page.wait_for_function("() => document.querySelector('.sector progress')?.value === 40")
        assert page.inner_text(".sector .plan-running p") == "量算"
        page.click("[data-act=cancel]")
    assert gone.value.json()["status"] == "dismissed"
    assert "sector.job" not in tab.state()


def test_a_process_of_which_nothing_is_declared_gets_a_form_and_an_answer(open_map: Open, base: str) -> None:
    tab = open_map(AT, base=base, size=WIDE)
    page = tab.page
    plain = {"process": "culture-trail", "title": {"zh": "甲", "en": "A"}, "description": {"zh": "乙", "en": "B"},
             "asks": [], "layers": [], "missing": ["a.b"], "rows": "", "columns": [], "figures": [],
             "draws": []}  # fmt: skip
    document = {"sectors": [{"name": "plain", "title": plain["title"], "layers": [], "functions": [plain]}]}
    page.route("**/sectors", lambda route: route.fulfill(json=document))
    page.click("[data-tool=sectors]")
    page.click("[data-process=culture-trail]")
    page.wait_for_selector("[data-act=run]")
    assert page.locator(".sector-view code").inner_text() == "a.b"
    page.fill("[data-input=start]", "36.45 115.98")
    page.keyboard.press("Tab")
    assert page.input_value("[data-input=start]") == "115.98, 36.45"
    page.select_option("[data-input=along]", "straight")
    page.fill("[data-input=minutes]", "600")
    run(page)
    stops = result(tab, base, "stops")["features"]
    assert len(tab.app(DRAWN)) == len(stops) > 1
    assert page.locator(".sector-row").count() == len(stops)
    assert page.inner_text("[data-figure='trail/stops'] dd") == str(len(stops))


def test_everything_by_keyboard_alone(open_map: Open, base: str) -> None:
    tab = open_map(AT, base=base, size=WIDE)
    page = tab.page
    page.locator("[data-tool=sectors]").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".sector-function")
    page.locator("[data-process=culture-trail]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-act=run]")
    page.locator("[data-act=centre-start]").focus()
    page.keyboard.press("Enter")
    page.locator("[data-input=along]").focus()
    page.keyboard.press("ArrowDown")
    page.locator("[data-input=minutes]").fill("600")
    page.locator("[data-act=run]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".sector-head")
    page.keyboard.press("Escape")
    page.wait_for_selector(".sector", state="detached")
    assert not [k for k in tab.state() if k.startswith("sector")]
    assert "facility.culture_venue" not in tab.app("app.visible()"), "what was switched on for it is off again"


ENGLISH = """() => [...document.querySelectorAll('.sector *')].filter((e) => e.checkVisibility() &&
  !e.closest('.sector-row-name, dd') &&
  [...e.childNodes].some((n) => n.nodeType === 3 && /[\\u4e00-\\u9fff]/.test(n.data))).map((e) => e.textContent)"""


@pytest.mark.parametrize("dark", ["0", "1"], ids=["light", "dark"])
def test_words_stand_out_and_are_of_one_language(open_map: Open, base: str, dark: str) -> None:
    page = open_map(f"{REACH}&dark={dark}", base=base, size=WIDE).page
    page.wait_for_selector("[data-act=run]")
    weak = WEAK.replace(".plan *", ".sector *")
    assert page.evaluate(weak) == []
    run(page)
    assert page.evaluate(weak) == []
    page.click("#language")
    page.wait_for_selector(".sector-row")
    assert page.evaluate(ENGLISH) == []


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_on_a_phone_nothing_is_wider_than_the_screen(open_map: Open, base: str, lang: str) -> None:
    page = open_map(f"{WALK}&lang={lang}", base=base, size=PHONE, has_touch=True).page
    page.wait_for_selector("[data-act=run]")
    run(page)
    page.wait_for_selector(".sector-row")
    inside, screen = page.evaluate("[document.getElementById('inspector').scrollWidth, innerWidth]")
    assert inside <= screen
    small = page.locator(".sector button, .sector select, .sector summary, .sector a").evaluate_all(
        "all => all.filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 40)"
        ".map((e) => [e.className, e.textContent])"
    )
    assert small == []
