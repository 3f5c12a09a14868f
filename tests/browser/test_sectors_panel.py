# SPDX-License-Identifier: Apache-2.0
"""The sectors' panel: forms made from descriptions, runs by real workers, answers as list and on the map."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page

from geocloud.jobs.worker import Links, supervise
from geocloud.sectors import registry
from tests.browser.conftest import PHONE, Demo, Open, Tab
from tests.browser.test_planning_panel import WEAK
from tests.jobs.conftest import settings_of, stop_workers
from tests.web.conftest import run_server

WIDE = (1400, 900)
AT = "at=13.00/36.45000/115.98000"
ON, REACH, MAKE = (f"{AT}&sector={x}" for x in ("culture/culture-on", "culture/culture-reach", "grids/grid-generate"))
YEAR = "2026-01-01T00:00:00+08:00/2027-01-01T00:00:00+08:00"
DRAWN = "(await app.map.getSource('tool:sector:rows').getData()).features"


def _inputs(**given: Any) -> str:
    return f"sector.in={quote(json.dumps(given))}"


EVENTS = f"{ON}&{_inputs(point={'type': 'Point', 'coordinates': [115.98, 36.45]}, radius_m=8000, datetime=YEAR)}"


@pytest.fixture(scope="module")
def base(demo_city: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with workers."""
    urls = demo_city.urls
    links = Links(urls.jobs, urls.reader, urls.writer)
    workers = multiprocessing.get_context("spawn").Process(
        target=supervise, args=(settings_of(job_memory_mb=2048), links, registry.processes)
    )
    workers.start()
    yield from run_server(urls.reader, tmp_path_factory.mktemp("home"), urls.writer, urls.jobs)
    stop_workers(workers)


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
    assert found == wanted and "culture-on" in wanted
    for process in wanted:
        page.click(f"[data-process={process}]")
        page.wait_for_selector("[data-act=run]")
        inputs = httpx.get(f"{base}/processes/{process}").json()["inputs"]
        fields = page.locator("[data-field]").evaluate_all("all => all.map((f) => f.dataset.field)")
        assert sorted(fields) == sorted(inputs)
        page.click("[data-act=all]")
        page.wait_for_selector(".sector-function")


def test_a_place_picked_on_the_map_is_sent_and_the_answer_is_listed_and_drawn(open_map: Open, base: str) -> None:
    tab = open_map(f"{ON}&{_inputs(radius_m=8000, datetime=YEAR)}", base=base, size=WIDE)
    page = tab.page
    # The place is needed and not given: the next click is taken for it, and identifies nothing.
    page.wait_for_selector("[data-act=pick-point][aria-pressed=true]")
    assert "culture.event" in tab.app("app.visible()")
    page.mouse.click(700, 400)
    page.wait_for_selector("[data-act=pick-point][aria-pressed=false]")
    place = [float(x) for x in page.input_value("[data-input=point]").split(", ")]
    assert place == pytest.approx(tab.app("app.map.unproject([700 - 304, 400 - 56]).toArray()"), abs=1e-5)
    assert "sel" not in tab.state()
    run(page)
    events = result(tab, base, "events")
    assert events["numberReturned"] == len(events["features"]) > 20
    drawn = tab.app(DRAWN)
    assert [f["geometry"]["coordinates"] for f in drawn] == [f["geometry"]["coordinates"] for f in events["features"]]
    assert page.inner_text("[data-figure='events/numberReturned'] dd") == str(len(drawn))
    names = [f["properties"]["name"] for f in events["features"]]
    shown = page.locator(".sector-row-name").all_inner_texts()
    assert shown == names[: len(shown)] and len(shown) == min(50, len(names))
    page.wait_for_selector(".sector .badge.wide")
    assert page.locator(".sector-files a").evaluate_all("all => all.map((a) => a.dataset.output)") == ["events"]


def test_rows_sort_and_a_click_flies_to_one(open_map: Open, base: str) -> None:
    tab = open_map(EVENTS, base=base, size=WIDE)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    run(page)
    events = result(tab, base, "events")["features"]
    page.select_option("[data-act=sort]", "next_opening")
    page.click("[data-act=turn]")
    first = page.locator(".sector-row").first
    number = int(first.get_attribute("data-number") or "-1")
    latest = max(f["properties"]["next_opening"] for f in events if f["properties"]["next_opening"])
    assert events[number]["properties"]["next_opening"] == latest
    first.click()
    tab.idle()
    assert page.locator(".sector-row").first.get_attribute("aria-pressed") == "true"
    at = events[number]["geometry"]["coordinates"]
    x, y = tab.app("(({x, y}) => [x, y])(app.map.project(x))", at)
    assert 300 < x < 620 and 200 < y < 640, "it lies in the middle of what the panel leaves"
    assert events[number]["properties"]["name"] in page.inner_text(".sector-popup")
    # A click on what is drawn marks its row and asks no layer.
    page.click(".sector-popup button")
    page.mouse.click(304 + x, 56 + y)
    page.wait_for_selector(".sector-popup")
    assert "sel" not in tab.state()
    again = open_map(page.url.partition("#")[2], base=base, size=WIDE).page
    again.wait_for_selector(".sector-row")
    assert again.locator(".sector-row").count() == min(50, len(events))


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
    tab = open_map(MAKE, base=base, size=WIDE, tolerant=True)
    page = tab.page
    page.wait_for_selector("[data-act=run]")
    page.click("[data-act=run]")
    page.wait_for_selector("[data-field=community].is-wrong")
    assert "sector.job" not in tab.state()
    page.click("[data-act=pick-community]")
    page.mouse.click(700, 400)
    page.wait_for_function("document.querySelector('[data-input=community]').value.length === 12")
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
    with page.expect_response(lambda r: r.request.method == "DELETE") as gone:
        page.click("[data-act=run]")
        page.wait_for_url(lambda url: "sector.job=" in url)
        page.click("[data-act=cancel]")
    assert gone.value.json()["status"] == "dismissed"
    assert "sector.job" not in tab.state()


def test_a_process_of_which_nothing_is_declared_gets_a_form_and_an_answer(open_map: Open, base: str) -> None:
    tab = open_map(AT, base=base, size=WIDE)
    page = tab.page
    plain = {"process": "culture-on", "title": {"zh": "甲", "en": "A"}, "description": {"zh": "乙", "en": "B"},
             "asks": [], "layers": [], "missing": ["a.b"], "rows": "", "columns": [], "figures": [],
             "draws": []}  # fmt: skip
    document = {"sectors": [{"name": "plain", "title": plain["title"], "layers": [], "functions": [plain]}]}
    page.route("**/sectors", lambda route: route.fulfill(json=document))
    page.click("[data-tool=sectors]")
    page.click("[data-process=culture-on]")
    page.wait_for_selector("[data-act=run]")
    assert page.locator(".sector-view code").inner_text() == "a.b"
    page.fill("[data-input=point]", "36.45 115.98")
    page.keyboard.press("Tab")
    assert page.input_value("[data-input=point]") == "115.98, 36.45"
    page.fill("[data-input=datetime]", YEAR)
    page.fill("[data-input=radius_m]", "8000")
    run(page)
    events = result(tab, base, "events")["features"]
    assert len(tab.app(DRAWN)) == len(events) > 20
    assert page.locator(".sector-row").count() == min(50, len(events))
    assert page.inner_text("[data-figure='events/numberReturned'] dd") == str(len(events))


def test_everything_by_keyboard_alone(open_map: Open, base: str) -> None:
    tab = open_map(AT, base=base, size=WIDE)
    page = tab.page
    page.locator("[data-tool=sectors]").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".sector-function")
    page.locator("[data-process=culture-on]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-act=run]")
    page.locator("[data-act=centre-point]").focus()
    page.keyboard.press("Enter")
    page.locator("[data-act=run]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".sector-head")
    page.keyboard.press("Escape")
    page.wait_for_selector(".sector", state="detached")
    assert not [k for k in tab.state() if k.startswith("sector")]
    assert "culture.event" not in tab.app("app.visible()"), "what was switched on for it is off again"


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
    page = open_map(f"{EVENTS}&lang={lang}", base=base, size=PHONE, has_touch=True).page
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
