# SPDX-License-Identifier: Apache-2.0
"""Sums by areas on the map: choropleth, legend, totals and table, against figures counted here in SQL."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import PHONE, Demo, Open, Tab
from tests.browser.test_planning_panel import ENGLISH_OF_THE_HOUSE, WEAK

WIDE = (1400, 900)
HOSPITALS, SCHOOLS = "facility.hospital", "facility.school"
BEDS = f"sum={HOSPITALS}/county/sum:beds"
# A point of the layer is in the area whose outline covers it; those of the demo lie on no border.
_BY_AREA = """
    SELECT z.fid, z.name, {figure} FROM base.{area} z LEFT JOIN {layer} f ON public.ST_Covers(z.geom, f.geom)
    WHERE public.GeometryType(z.geom) IN ('POLYGON', 'MULTIPOLYGON') GROUP BY z.fid, z.name"""
_DRAWN = """(() => { const found = new Map();
  for (const f of app.map.querySourceFeatures('tool:summary', { sourceLayer: x[0] }))
    found.set(f.id ?? f.properties.code, f.properties[x[1]] ?? null);
  return [...found]; })()"""


def by_area(city: Demo, layer: str, area: str, figure: str) -> dict[int, tuple[str, Any]]:
    """Name and figure by the id of an area."""
    found = city.rows(_BY_AREA.format(figure=figure, area=area, layer=layer))
    return {fid: (name, value) for fid, name, value in found}


def ready(tab: Tab) -> Page:
    """Returns when an answer is shown and drawn."""
    tab.page.wait_for_selector(".summary-answer:not([aria-busy]) .summary-totals")
    tab.page.wait_for_timeout(300)
    tab.idle()
    return tab.page


def table(page: Page) -> list[tuple[str, str]]:
    """Area and figure of each row, in the table's order."""
    rows = page.locator(".summary-table tbody tr").evaluate_all(
        "rows => rows.map((r) => [r.dataset.zone, r.querySelector('td').textContent])"
    )
    return [(zone, text.replace(",", "")) for zone, text in rows]


def legend(page: Page) -> list[tuple[str, int]]:
    """Words and number of areas of the classes, from the greatest down."""
    rows = page.locator(".summary-legend li").evaluate_all(
        "rows => rows.map((r) => [r.children[1].textContent, Number(r.dataset.zones)])"
    )
    return [(words.replace(",", ""), zones) for words, zones in rows]


def test_sums_are_those_of_the_database_sorted_and_close(open_map: Open, demo_city: Demo) -> None:
    tab = open_map(BEDS, size=WIDE)
    page = ready(tab)
    true = by_area(demo_city, HOSPITALS, "county", "coalesce(sum(f.beds), 0)")
    assert sum(v for _, v in true.values()) > 0
    assert dict(table(page)) == {str(fid): str(v) for fid, (_, v) in true.items()}
    figures = [int(v) for _, v in table(page)]
    assert figures == sorted(figures, reverse=True)
    beds = demo_city.one(f"SELECT sum(beds) FROM {HOSPITALS}")
    outside = beds - sum(figures)
    assert page.inner_text("[data-total=features]") == f"{beds:,}"
    assert page.inner_text("[data-total=zones]") == f"{sum(figures):,}"
    assert page.inner_text("tr[data-zone=outside] td") == page.inner_text("[data-total=outside]") == f"{outside:,}"
    assert page.get_attribute(".summary-totals", "data-closed") == "true"
    drawn = dict(tab.app(_DRAWN, [HOSPITALS, "sum_beds"]))
    assert drawn == {fid: v for fid, (_, v) in true.items()}
    assert page.locator(".summary .badge").count() == 1


def test_what_lies_in_no_area_is_told(open_map: Open, demo_city: Demo) -> None:
    page = ready(open_map(f"sum={SCHOOLS}/planning.urban_boundary/count", size=WIDE))
    inside = demo_city.one(
        f"SELECT count(*) FROM {SCHOOLS} f WHERE EXISTS (SELECT FROM planning.urban_boundary z "
        "WHERE public.ST_Covers(z.geom, f.geom))"
    )
    schools = demo_city.one(f"SELECT count(*) FROM {SCHOOLS}")
    assert 0 < inside < schools
    assert page.inner_text("[data-total=outside]").split()[0] == str(schools - inside)


def test_classes_hold_every_area_once_and_colour_it(open_map: Open, demo_city: Demo) -> None:
    tab = open_map(f"sum={SCHOOLS}/township/count", size=WIDE)
    page = ready(tab)
    true = by_area(demo_city, SCHOOLS, "township", "count(f.fid)")
    told = legend(page)
    assert sum(zones for _, zones in told) == len(true)
    assert 3 <= len(told) <= 6
    assert told[-1] == ("0", sum(v == 0 for _, v in true.values()))
    counts = Counter(v for _, v in true.values())
    lower: list[int] = []
    for words, zones in told[:-1]:
        ends = [int(x) for x in words.split("–")]
        assert zones == sum(n for v, n in counts.items() if ends[0] <= v <= ends[-1]) > 0
        lower.append(ends[0])
    assert lower == sorted(lower, reverse=True)
    paint = tab.app("app.map.getPaintProperty('tool:summary:area', 'fill-color')")
    assert paint[0] == "case" and paint[3][0] == "step"
    assert paint[3][3::2][::-1] == lower[:-1]
    swatches = page.locator(".summary-legend .class .summary-swatch").evaluate_all(
        "all => all.map((e) => getComputedStyle(e).backgroundColor)"
    )
    rgb = [tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in [paint[3][2], *paint[3][4::2]]]
    assert swatches[::-1] == [f"rgb({r}, {g}, {b})" for r, g, b in rgb]
    # Names stay above the colours.
    order = tab.app("app.map.getStyle().layers.map((l) => [l.id, l.type])")
    assert order.index(["tool:summary:area", "fill"]) < next(i for i, (_, kind) in enumerate(order) if kind == "symbol")


def test_limits_are_round_and_part_no_equal_values(open_map: Open) -> None:
    tab = open_map()
    classify = "(await import('/static/map/summary/classes.js')).classify(x[0], x[1])"
    values = [round(0.137 * i * i + 3.3, 4) for i in range(100)]
    found = tab.app(classify, [values, True])
    limits = [c["from"] for c in found["classes"][1:]]
    assert len(limits) == 4
    assert all(len(f"{v:g}".replace(".", "").strip("0")) <= 2 for v in limits)
    assert all(12 <= c["zones"] <= 28 for c in found["classes"])
    tied = tab.app(classify, [[1] * 90 + [2, 3, 4, 5, 6, 7], False])["classes"]
    assert [c["zones"] for c in tied][0] == 90 and sum(c["zones"] for c in tied) == 96
    assert tab.app(classify, [[7, 7, 7], False])["classes"] == [{"from": 7, "to": None, "zones": 3}]
    some = tab.app(classify, [[0, None, 0, 0.1 + 0.2], True])
    assert (some["zeros"], some["missing"], len(some["classes"])) == (2, 1, 1)
    assert tab.app(classify, [[-2.5, 0, 4.5], True])["zeros"] == 0
    assert tab.app(classify, [[], True])["classes"] == []


def test_the_tree_opens_it_and_everything_is_in_the_address(open_map: Open, demo_city: Demo) -> None:
    tab = open_map("at=9/36.45/115.98", size=WIDE)
    page = tab.page
    page.locator(f"[data-row='{SCHOOLS}'] .entry > button").click()
    page.locator(f"[data-row='{SCHOOLS}'] .actions button", has_text="统计").click()
    ready(tab)
    assert tab.state()["sum"] == f"{SCHOOLS}/county/count"
    page.select_option("[data-act=by]", "h3:8")
    page.select_option("[data-act=kind]", "mean")
    page.select_option("[data-act=field]", "pupils")
    ready(tab)
    assert tab.state()["sum"] == f"{SCHOOLS}/h3:8/mean:pupils"
    page.locator(".summary-table tbody button").nth(1).click()
    ready(tab)
    zone = tab.state()["sum.zone"]
    assert page.get_attribute("tr.selected", "data-zone") == zone
    at = tab.app("app.map.queryRenderedFeatures({ layers: ['tool:summary:out'] }).map((f) => f.properties.code)")
    assert set(at) == {zone}
    again = open_map(page.url.partition("#")[2], size=WIDE)
    ready(again)
    assert table(again.page) == table(page)
    assert again.page.get_attribute("tr.selected", "data-zone") == zone
    assert again.page.input_value("[data-act=field]") == "pupils"
    page.keyboard.press("Escape")
    page.wait_for_selector(".summary", state="detached")
    assert not {"sum", "sum.zone"} & tab.state().keys()
    assert tab.app("app.map.getStyle().layers.filter((l) => l.id.startsWith('tool:')).length") == 0


def test_a_click_tells_the_area_and_a_mark_of_the_layer_itself(open_map: Open, demo_city: Demo) -> None:
    tab = open_map(f"on=base.county&{BEDS}", size=WIDE)
    page = ready(tab)
    fid, name, code, lon, lat = demo_city.rows(
        "SELECT fid, name, code, public.ST_X(p), public.ST_Y(p) FROM (SELECT *, public.ST_PointOnSurface(geom) p "
        "FROM base.county WHERE name = '冠县') c"
    )[0]
    x, y = tab.app("(() => { const p = app.map.project(x), b = app.map.getCanvas().getBoundingClientRect(); "
                   "return [p.x + b.x, p.y + b.y]; })()", [lon, lat])  # fmt: skip
    page.mouse.move(x, y)
    page.wait_for_selector(".summary-tip")
    assert name in page.inner_text(".summary-tip")
    page.mouse.click(x, y)
    said = page.inner_text(".summary-popup .summary-zone")
    beds = by_area(demo_city, HOSPITALS, "county", "coalesce(sum(f.beds), 0)")[fid][1]
    assert name in said and code in said and f"{beds:,}" in said
    assert tab.state()["sum.zone"] == str(fid)
    # Neither what lies below nor who is responsible was asked for.
    assert "sel" not in tab.state() and page.locator("[data-pane=who]").count() == 0
    fid, place = demo_city.rows(f"SELECT fid, ARRAY[public.ST_X(geom), public.ST_Y(geom)] FROM {HOSPITALS} LIMIT 1")[0]
    tab.app(f"app.view.arrange(['base.county', '{HOSPITALS}'])")
    tab.app("app.map.jumpTo({ center: x, zoom: 16 })", place)
    tab.idle()
    x, y = tab.app("(() => { const b = app.map.getCanvas().getBoundingClientRect(); "
                   "return [b.x + b.width / 2, b.y + b.height / 2]; })()")  # fmt: skip
    page.mouse.click(x, y)
    page.wait_for_selector(f"[data-card='{HOSPITALS}/{fid}']")


def test_the_layers_filter_and_the_date_count_too(open_map: Open, demo_city: Demo) -> None:
    tab = open_map(f"{BEDS}&f.{HOSPITALS}=%22beds%22%20%3E%20100", size=WIDE)
    page = ready(tab)
    beds = demo_city.one(f"SELECT sum(beds) FROM {HOSPITALS} WHERE beds > 100")
    assert page.inner_text("[data-total=features]") == f"{beds:,}"
    assert "筛选" in page.inner_text(".summary-notes")
    # The demo gives seven areas of the plan another class on 1 June 2021.
    timed, farmland = "planning.master_plan", "%22dldm%22%20%3D%20%27E2%27"
    tab = open_map(f"sum={timed}/county/count&f.{timed}={farmland}&date=2021-05-31", size=WIDE)
    page = ready(tab)
    asked = [u for u in tab.seen.requests if "/aggregate" in u]
    assert asked and all("datetime=2021-05-31" in u for u in asked)
    counts = {}
    for query in ("limit=1", "limit=1&datetime=2021-05-31"):
        items = httpx.get(f"{demo_city.base}/collections/{timed}/items?{query}&filter={farmland}").json()
        counts[query] = items["numberMatched"]
    then, now = counts["limit=1&datetime=2021-05-31"], counts["limit=1"]
    assert then != now
    assert page.inner_text("[data-total=features]").replace(",", "").split()[0] == str(then)
    tab.app("app.setDate(null)")
    page.wait_for_function("n => document.querySelector('[data-total=features]').innerText.startsWith(n)", arg=str(now))


def test_the_csv_has_every_area(open_map: Open, demo_city: Demo) -> None:
    page = ready(open_map(BEDS, size=WIDE))
    href = page.locator("[data-act=csv]").get_attribute("href") or ""
    answer = httpx.get(demo_city.base + href)
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert answer.headers["content-type"].startswith("text/csv")
    true = by_area(demo_city, HOSPITALS, "county", "coalesce(sum(f.beds), 0)")
    assert {int(r["zone"]): int(r["sum_beds"]) for r in rows if r["zone"]} == {f: v for f, (_, v) in true.items()}


def test_a_refusal_is_told_in_its_words(open_map: Open) -> None:
    tab = open_map(size=WIDE, tolerant=True)
    todo = {"title": "分区过多", "detail": "分区超过上限 50,000 个。", "todo": "请选较大的分区。", "status": 413}
    tab.page.route("**/aggregate?**", lambda route: route.fulfill(status=413, json=todo))
    tab.app(f"app.state.set('sum', '{SCHOOLS}/beidou:6/count')")
    tab.page.wait_for_selector(".summary .refusal")
    assert "上限 50,000" in tab.page.inner_text(".refusal") and "较大的分区" in tab.page.inner_text(".refusal")
    tab.page.unroute("**/aggregate?**")
    tab.page.select_option("[data-act=by]", "county")
    ready(tab)
    assert tab.page.locator(".summary-table tbody tr").count() == 8


def test_a_wrong_address_gives_the_usual(open_map: Open) -> None:
    tab = open_map(f"sum={SCHOOLS}/nowhere/area:x", size=WIDE)
    ready(tab)
    assert tab.state()["sum"] == f"{SCHOOLS}/county/count"
    tab.app("app.state.set('sum', 'no.layer/county/count')")
    tab.page.wait_for_selector(".summary", state="detached")
    assert "sum" not in tab.state()


def test_by_keyboard_alone(open_map: Open) -> None:
    tab = open_map(BEDS, size=WIDE)
    page = ready(tab)
    first = table(page)[0]
    page.locator("[data-sort=value]").focus()
    page.keyboard.press("Enter")
    assert table(page)[-1] == first
    assert page.evaluate("document.activeElement.dataset.sort") == "value"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    ready(tab)
    assert tab.state()["sum.zone"] == table(page)[0][0]
    assert page.locator("tbody button[aria-pressed=true]").count() == 1


@pytest.mark.parametrize("dark", ["0", "1"], ids=["light", "dark"])
def test_words_stand_out_and_are_of_one_language(open_map: Open, dark: str) -> None:
    tab = open_map(f"{BEDS}&dark={dark}", size=WIDE)
    page = ready(tab)
    assert page.evaluate(WEAK.replace(".plan *", ".summary *")) == []
    page.click("#language")
    ready(tab)
    told = page.evaluate(ENGLISH_OF_THE_HOUSE.replace(".plan *", ".summary *:not(tbody th *)"))
    assert told == []


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_on_a_phone_nothing_is_wider_than_the_screen(open_map: Open, lang: str) -> None:
    page = ready(open_map(f"{BEDS}&lang={lang}", size=PHONE, has_touch=True))
    wide = page.evaluate("document.getElementById('inspector').scrollWidth")
    assert wide <= PHONE[0]
    small = page.locator(".summary button, .summary select, .summary .button").evaluate_all(
        "all => all.filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 40).length"
    )
    assert small == 0
