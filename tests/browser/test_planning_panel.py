# SPDX-License-Identifier: Apache-2.0
"""The planning panel: sites drawn and checked by real workers, and difference spots as matrix and list."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import PHONE, Demo, Open
from tests.browser.planning_city import LAYER, Recorded, record_spots, remove_spots

WIDE = (1400, 900)
AT = "at=14.00/36.45000/115.98000"
SITE = f"{AT}&plan=check&site=area/115.972,36.442/115.988,36.443/115.987,36.457/115.971,36.456"
# Metres that lie in the city in no zone's system.
FLAT = [(587800, 4035000), (588000, 4035000), (588000, 4035600), (587800, 4035600)]
# Its outline crosses itself in the middle.
BOW = f"{AT}&plan=check&site=area/115.97,36.44/115.99,36.46/115.99,36.44/115.97,36.46"


@dataclass
class Planned:
    """A server with workers, and the spots in its layer."""

    base: str
    spots: list[Recorded]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.base + path, headers={"accept-language": "zh"})


@pytest.fixture(scope="module")
def planned(demo_city: Demo, base: str) -> Iterator[Planned]:
    spots = record_spots(demo_city.urls)
    yield Planned(base, spots)
    remove_spots(demo_city.urls)


def pair(r: Recorded) -> frozenset[str]:
    return frozenset((r.spot.layer_a, r.spot.layer_b))


def checked(page: Page) -> None:
    page.click("[data-act=run]")
    page.wait_for_selector(".answer")


def cells(page: Page) -> dict[frozenset[str], tuple[int, float]]:
    """Count and square metres by pair of plans."""
    page.wait_for_selector(".matrix")
    page.wait_for_selector(".matrix-scroll:not([aria-busy])")
    found = page.locator(".cell").evaluate_all(
        "cells => cells.map((c) => [c.dataset.cell, c.dataset.count, c.dataset.area])"
    )
    return {frozenset(key.split("*")): (int(count), float(area)) for key, count, area in found}


def total(page: Page, spots: int) -> None:
    """Returns when the matrix says that it has so many spots."""
    said = "n => document.querySelector('.matrix-total').textContent.startsWith(`共 ${n} 处`)"
    page.wait_for_function(said, arg=spots)


def sums(spots: list[Recorded]) -> dict[frozenset[str], tuple[int, Any]]:
    counts = Counter(pair(r) for r in spots)
    areas = {p: sum(r.spot.area_m2 for r in spots if pair(r) == p) for p in counts}
    return {p: (n, pytest.approx(areas[p], rel=1e-9)) for p, n in counts.items()}


def test_a_drawn_site_is_checked_and_the_answer_is_that_of_the_service(open_map: Open, planned: Planned) -> None:
    tab = open_map(AT, base=planned.base, size=WIDE)
    page = tab.page
    page.click("[data-tool=planning]")
    assert page.locator("[data-act=run]").is_disabled()
    for x, y in ((600, 300), (880, 320), (860, 600)):
        page.mouse.click(x, y)
    page.mouse.dblclick(620, 560)
    checked(page)
    job = tab.state()["job"]
    report = planned.get(f"/jobs/{job}/results/report").json()
    hits = planned.get(f"/jobs/{job}/results/overlaps").json()
    assert page.locator(".answer").get_attribute("data-verdict") == report["verdict"]
    word = {"refuse": "不符合", "consent": "需征求同意", "note": "需注意", "clear": "未发现问题", "unknown": "未判定"}
    assert page.inner_text(".verdict-word") == word[report["verdict"]]
    for rule in report["rules"]:
        shown = page.locator(f"[data-group={rule['verdict']}] [data-rule={rule['number']}]")
        assert float(shown.get_attribute("data-overlap") or "nan") == rule["overlap_m2"]
        said = shown.text_content() or ""
        assert rule["title"]["zh"] in said
        assert "示例" in said
    drawn = tab.app("(await app.map.getSource('tool:planning:hits').getData()).features.map((f) => f.properties)")
    assert drawn == [f["properties"] for f in hits["features"]]
    assert page.locator("[data-group=clear]").get_attribute("open") is None
    kinds = {"pdf": "application/pdf", "page": "text/html", "docx": "application/vnd.openxml"}
    for output, kind in kinds.items():
        answer = planned.get(page.locator(f"[data-output={output}]").get_attribute("href") or "")
        assert answer.headers["content-type"].startswith(kind)

    again = open_map(page.url.partition("#")[2], base=planned.base, size=WIDE).page
    again.wait_for_selector(f".answer[data-verdict={report['verdict']}]")


def test_an_answer_says_when_the_map_has_another_date(open_map: Open, planned: Planned) -> None:
    tab = open_map(f"{SITE}&date=2021-05-31", base=planned.base, size=WIDE)
    page = tab.page
    checked(page)
    first = tab.state()["job"]
    assert planned.get(f"/jobs/{first}/results/report").json()["date"] == "2021-05-31"
    assert page.locator("[data-act=again]").count() == 0
    tab.app("app.setDate('2021-06-01')")
    page.click("[data-act=again]")
    page.wait_for_url(lambda url: "job=" in url and first not in url)
    page.wait_for_selector(".answer")
    assert planned.get(f"/jobs/{tab.state()['job']}/results/report").json()["date"] == "2021-06-01"


def test_a_rule_shows_its_layer_and_the_next_one_hides_it_again(open_map: Open, planned: Planned) -> None:
    tab = open_map(SITE, base=planned.base, size=WIDE)
    page = tab.page
    checked(page)
    first, second = page.locator("[data-group=refuse] .rule"), page.locator("[data-group=consent] .rule")
    report = planned.get(f"/jobs/{tab.state()['job']}/results/report").json()
    layer_of = {r["number"]: r["layer"] for r in report["rules"]}
    one, other = layer_of[first.first.get_attribute("data-rule")], layer_of[second.first.get_attribute("data-rule")]
    assert one not in tab.app("app.visible()")
    first.first.locator(".rule-head").click()
    assert one in tab.app("app.visible()")
    assert tab.app("app.map.getFilter('tool:planning:hits:number')")[0] == "=="
    second.first.locator(".rule-head").click()
    assert one not in tab.app("app.visible()")
    assert other in tab.app("app.visible()")
    page.keyboard.press("Escape")
    page.wait_for_selector(".plan", state="detached")
    assert other not in tab.app("app.visible()")
    assert not {"plan", "site", "job", "spots"} & tab.state().keys()
    assert tab.app("app.map.getStyle().layers.filter((x) => x.id.startsWith('tool:')).length") == 0


def test_a_bad_site_is_refused_with_its_reason_and_its_place(open_map: Open, planned: Planned) -> None:
    tab = open_map(BOW, base=planned.base, size=WIDE, tolerant=True)
    page = tab.page
    page.click("[data-act=run]")
    page.wait_for_selector(".refusal[data-fault=self-crossing]")
    assert "边界自相交" in page.inner_text(".refusal")
    x, y = tab.app("(() => { const p = app.map.project([115.98, 36.45]); return [p.x, p.y]; })()")
    at = page.locator("[data-name='planning:place']").get_attribute("transform")
    assert at == f"translate({x:.1f} {y:.1f})"
    page.click("[data-act=edit]")
    assert page.locator("[data-name='planning:place']").count() == 0
    assert page.locator("[data-act=run]").is_enabled()
    # The browser itself writes of an answer that is no success; nothing else was complained of.
    assert {c for c in tab.seen.complaints if "400" not in c} == set()


def test_a_file_of_boundary_points_is_checked(open_map: Open, planned: Planned) -> None:
    tab = open_map(f"{AT}&plan=check", base=planned.base, size=WIDE)
    page = tab.page
    page.click("[data-value=file]")
    ring = [[115.98, 36.45], [115.982, 36.45], [115.982, 36.452], [115.98, 36.452], [115.98, 36.45]]
    text = json.dumps({"type": "Polygon", "coordinates": [ring]})
    page.set_input_files("[data-act=file-input]", {"name": "用地.geojson", "mimeType": "", "buffer": text.encode()})
    page.wait_for_selector("[data-act=run]:enabled")
    page.fill("[data-act=subject]", "试验项目")
    checked(page)
    assert "site" not in tab.state()
    job = tab.state()["job"]
    site = planned.get(f"/jobs/{job}/results/report").json()["site"]
    assert site["area_m2"] == pytest.approx(39_780, rel=0.01)
    assert "试验项目" in planned.get(f"/jobs/{job}/results/page").text
    west, south, east, north = tab.app("app.map.getBounds().toArray().flat()")
    assert west < 115.98 < 115.982 < east and south < 36.45 < 36.452 < north


def test_a_file_whose_coordinate_system_is_not_known_may_name_it(open_map: Open, planned: Planned) -> None:
    tab = open_map(f"{AT}&plan=check&lang=en", base=planned.base, size=WIDE, tolerant=True)
    page = tab.page
    page.click("[data-value=file]")
    points = "\n".join(f"J{i},{y},{x}" for i, (x, y) in enumerate(FLAT, 1))
    page.set_input_files("[data-act=file-input]", {"name": "a.txt", "mimeType": "", "buffer": points.encode()})
    page.click("[data-act=run]:enabled")
    page.wait_for_selector("[data-fault$=crs-undecided]")
    page.fill("[data-act=crs]", "epsg:4549")
    with page.expect_request("**/execution*") as asked:
        page.press("[data-act=crs]", "Enter")
    assert (asked.value.post_data_json or {})["inputs"]["crs"] == "EPSG:4549"
    # In that system it lies elsewhere, and is refused with its place.
    page.wait_for_selector("[data-fault=outside-city]")
    assert {c for c in tab.seen.complaints if "400" not in c} == set()


def test_a_check_under_way_can_be_called_off(open_map: Open, planned: Planned) -> None:
    tab = open_map(SITE, base=planned.base, size=WIDE)
    page = tab.page
    with page.expect_response(lambda r: r.request.method == "DELETE") as gone:
        page.click("[data-act=run]")
        page.wait_for_url(lambda url: "job=" in url)
        page.click("[data-act=cancel]")
    assert gone.value.json()["status"] == "dismissed"
    assert "job" not in tab.state()
    assert page.locator("[data-act=run]").is_enabled()


def test_the_matrix_counts_open_spots_without_slivers(open_map: Open, planned: Planned) -> None:
    page = open_map(f"{AT}&plan=matrix", base=planned.base, size=WIDE).page
    assert cells(page) == sums([r for r in planned.spots if r.counts])
    page.select_option("[data-act=bureau]", "water")
    of_water = [r for r in planned.spots if r.counts and r.bureau == "water"]
    total(page, len(of_water))
    assert cells(page) == sums(of_water)
    page.select_option("[data-act=bureau]", "")
    page.select_option("[data-act=state]", "any")
    page.check("[data-act=slivers]")
    total(page, len(planned.spots))
    assert cells(page) == sums(planned.spots)


def test_a_cell_filters_map_and_list_and_both_come_back_from_the_address(open_map: Open, planned: Planned) -> None:
    tab = open_map(f"{AT}&plan=matrix", base=planned.base, size=WIDE)
    page = tab.page
    cells(page)
    page.click("[data-cell='planning.land_plan*planning.master_plan']")
    wanted = [r for r in planned.spots if r.counts and pair(r) == {"planning.land_plan", "planning.master_plan"}]
    state = tab.state()
    asked = planned.get(f"/collections/{LAYER}/items?limit=1&filter={quote(state[f'f.{LAYER}'])}").json()
    assert asked["numberMatched"] == len(wanted) > 2
    assert LAYER in tab.app("app.visible()")
    west, south, east, north = tab.app("app.map.getBounds().toArray().flat()")
    for r in wanted:
        box = r.spot.geometry.bounds
        assert west < box[0] and south < box[1] and east > box[2] and north > box[3]
    page.click("[data-act=list]")
    page.wait_for_selector(".spot")
    largest = sorted(wanted, key=lambda r: -r.spot.area_m2)
    assert page.locator(".spot-head b:first-child").all_inner_texts() == [r.bsm for r in largest]
    again = open_map(page.url.partition("#")[2], base=planned.base, size=WIDE).page
    again.wait_for_selector(".spot")
    assert again.locator(".spot").count() == len(wanted)
    page.go_back()
    page.wait_for_selector(".cell[aria-pressed=true]")


def test_spots_tell_their_facts_and_one_is_shown_on_the_map(open_map: Open, planned: Planned, demo_city: Demo) -> None:
    tab = open_map(f"{AT}&plan=spots&spots=any/-/-/-", base=planned.base, size=WIDE)
    page = tab.page
    page.wait_for_selector(".burn")
    real = [r for r in planned.spots if r.sliver is None]
    states = Counter(r.state for r in real)
    for state, n in states.items():
        assert page.inner_text(f".burn-key li[data-state={state}] b") == str(n)
    assert page.locator(".spot").count() == min(50, len(real))
    first = max(real, key=lambda r: r.spot.area_m2)
    row = page.locator(".spot").first
    assert first.bsm in row.inner_text()
    row.click()
    fid = demo_city.one(f"SELECT fid FROM {LAYER} WHERE bsm = %s", first.bsm)
    assert tab.state()["sel"] == f"{LAYER}/{fid}"
    page.wait_for_selector(f"[data-card='{LAYER}/{fid}']")
    assert row.get_attribute("aria-pressed") == "true"
    tab.idle()
    lon, lat = tab.app("app.map.getCenter().toArray()")
    west, south, east, north = first.spot.geometry.bounds
    assert west - (east - west) < lon < east + (east - west) and south < lat < north


def test_without_spots_it_is_said_how_to_make_them(open_map: Open, planned: Planned) -> None:
    tab = open_map(AT, base=planned.base, size=WIDE)
    nothing = {"type": "FeatureCollection", "features": [], "numberMatched": 0, "links": []}
    tab.page.route(f"**/{LAYER}/items**", lambda route: route.fulfill(json=nothing))
    tab.page.click("[data-tool=planning]")
    for name in ("matrix", "spots"):
        tab.page.click(f"[data-tab={name}]")
        tab.page.wait_for_selector(".copyable >> text=geocloud plans compare --record")


def test_everything_by_keyboard_alone(open_map: Open, planned: Planned) -> None:
    tab = open_map(AT, base=planned.base, size=WIDE)
    page = tab.page
    page.locator("[data-tool=planning]").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-tab=check]")
    page.locator(".maplibregl-canvas").first.focus()
    for by in ((250, 0), (0, 180), (-200, 40)):
        page.keyboard.press(" ")
        tab.app("app.map.panBy(x, { animate: false })", by)
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-act=run]:enabled")
    page.locator("[data-act=run]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer")
    assert page.evaluate("document.activeElement.className") == "verdict-word"
    page.locator("[data-tab=check]").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.tab") == "matrix"
    cells(page)
    page.locator("[data-cell='planning.basic_farmland*planning.urban_boundary']").focus()
    page.keyboard.press("ArrowDown")
    at = page.evaluate("document.activeElement.dataset.cell")
    assert at and at != "planning.basic_farmland*planning.urban_boundary"
    page.keyboard.press("Enter")
    page.wait_for_selector(f"[data-cell='{at}'][aria-pressed=true]")
    assert page.evaluate("document.activeElement.dataset.cell") == at
    page.keyboard.press("Escape")
    page.wait_for_selector(".plan", state="detached")
    assert f"f.{LAYER}" not in tab.state()


WEAK = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (c) => { canvas.fillStyle = '#000'; canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c;
    canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = (c) => { const [r, g, b] = rgb(c).map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if (rgb(c)[3] === 255) return c; } return '#fff'; };
  const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const all = [...document.querySelectorAll('.plan *')];
  return all.filter((e) => own(e) && e.checkVisibility() && !e.matches(':disabled')).map((e) => {
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    return [e.className, e.textContent.trim().slice(0, 20), (a + 0.05) / (b + 0.05)]; }).filter((x) => x[2] < 4.5);
}"""
ENGLISH_OF_THE_HOUSE = """() => [...document.querySelectorAll('.plan *')].filter((e) => e.checkVisibility() &&
  [...e.childNodes].some((n) => n.nodeType === 3 && /[\\u4e00-\\u9fff]/.test(n.data))).map((e) => e.textContent)"""


@pytest.mark.parametrize("dark", ["0", "1"], ids=["light", "dark"])
def test_words_stand_out_and_are_of_one_language(open_map: Open, planned: Planned, dark: str) -> None:
    page = open_map(f"{SITE}&dark={dark}", base=planned.base, size=WIDE).page
    checked(page)
    for name, there in (("check", ".answer"), ("matrix", ".matrix"), ("spots", ".burn")):
        page.click(f"[data-tab={name}]")
        page.wait_for_selector(there)
        assert page.evaluate(WEAK) == []
    page.click("#language")
    for name, there in (("check", ".answer"), ("matrix", ".matrix"), ("spots", ".burn")):
        page.click(f"[data-tab={name}]")
        page.wait_for_selector(there)
        page.wait_for_timeout(200)
        assert page.evaluate(ENGLISH_OF_THE_HOUSE) == []


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_on_a_phone_nothing_is_wider_than_the_screen(open_map: Open, planned: Planned, lang: str) -> None:
    page = open_map(f"{SITE}&lang={lang}", base=planned.base, size=PHONE, has_touch=True).page
    checked(page)
    for name, there in (("check", ".answer"), ("matrix", ".matrix"), ("spots", ".burn")):
        page.click(f"[data-tab={name}]")
        page.wait_for_selector(there)
        wide = page.evaluate(
            "(() => { const i = document.getElementById('inspector'); return [i.scrollWidth, innerWidth]; })()"
        )
        assert wide[0] <= wide[1], name
        small = page.locator(".plan-tabs button, .cell, .rule-head, .spot").evaluate_all(
            "all => all.filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 40).length"
        )
        assert small == 0
