# SPDX-License-Identifier: Apache-2.0
"""The web map as people use it: find, show, filter, identify, list, download, share."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from tests.browser.conftest import PHONE, Demo, Open, Tab

CENTRE = "at=13.00/36.45000/115.98000"
SCHOOLS = f"{CENTRE}&on=base.county,base.road,facility.school"
CHINESE = re.compile(r"[\u4e00-\u9fff]")
IN_VIEW = "ST_Intersects(geom, ST_MakeEnvelope(%s, %s, %s, %s, 4490))"


def box(tab: Tab) -> list[float]:
    return list(tab.app("(() => { const b = app.map.getBounds(); return [b.getWest(), b.getSouth(), b.getEast(), "
                        "b.getNorth()].map((v) => Number(v.toFixed(5))); })()"))  # fmt: skip


def drawn(tab: Tab, layer: str) -> list[dict[str, Any]]:
    """Single features of a layer in the tiles on screen, each once."""
    found = tab.app(
        "app.map.querySourceFeatures(x, { sourceLayer: x }).map((f) => [f.id, f.properties])"
        if tab.app("Boolean(app.map.getSource(x))", layer)
        else "app.map.querySourceFeatures('base', { sourceLayer: x }).map((f) => [f.id, f.properties])",
        layer,
    )
    return [p for _, p in {fid: (fid, p) for fid, p in found if "overview" not in p}.values()]


def pixel(tab: Tab, demo: Demo, layer: str, fid: int) -> tuple[float, float]:
    lon, lat = demo.rows(f"SELECT ST_X(geom), ST_Y(geom) FROM {layer} WHERE fid = %s", fid)[0]
    x, y = tab.app("(() => { const p = app.map.project(x); const r = app.map.getContainer().getBoundingClientRect(); "
                   "return [p.x + r.left, p.y + r.top]; })()", [lon, lat])  # fmt: skip
    return x, y


def lone(demo: Demo, layer: str, view: list[float]) -> int:
    """A point well inside the view with no other of its layer near."""
    west, south, east, north = view
    across, up = (east - west) / 8, (north - south) / 6
    within = (west + across, south + up, east - across, north - up)
    return int(
        demo.one(
            f"SELECT a.fid FROM {layer} a WHERE {IN_VIEW.replace('geom', 'a.geom')} "
            f"AND NOT EXISTS (SELECT FROM {layer} b WHERE b.fid <> a.fid AND ST_DWithin(a.geom, b.geom, 0.0015)) "
            "ORDER BY fid LIMIT 1",
            *within,
        )
    )


def test_tree_is_searched_in_both_languages_and_says_when_nothing_fits(open_map: Open) -> None:
    page = open_map().page
    shown = page.locator("#tree li.layer:not([hidden])")
    for words, wanted in (
        ("停车", "facility.parking_lot"),
        ("parking", "facility.parking_lot"),
        ("water_l", "base.water_line"),
    ):
        page.fill("#tree-search", words)
        assert wanted in shown.evaluate_all("rows => rows.map((r) => r.dataset.row)")
        assert 1 <= shown.count() <= 3
    page.fill("#tree-search", "没有这样的图层")
    assert shown.count() == 0
    assert "没有这样的图层" in page.inner_text("#tree-none")
    page.fill("#tree-search", "")
    assert shown.count() == page.locator("#tree li.layer").count() > 20


def test_layer_is_shown_and_hidden_and_going_back_undoes_it(open_map: Open, demo_city: Demo) -> None:
    tab = open_map(CENTRE)
    tab.page.check("[data-layer='facility.school']")
    tab.idle()
    codes = {p["name"] for p in drawn(tab, "facility.school")}
    west, south, east, north = box(tab)
    inside = {
        n for (n,) in demo_city.rows(f"SELECT name FROM facility.school WHERE {IN_VIEW}", west, south, east, north)
    }
    assert inside and inside <= codes
    assert "facility.school" in tab.state()["on"].split(",")
    tab.page.go_back()
    tab.idle()
    assert not tab.page.is_checked("[data-layer='facility.school']")
    assert not tab.app("app.map.getSource('facility.school')")
    tab.page.go_forward()
    tab.idle()
    assert tab.page.is_checked("[data-layer='facility.school']")
    assert {p["name"] for p in drawn(tab, "facility.school")} == codes


def test_counts_in_view_are_those_of_the_database(open_map: Open, demo_city: Demo) -> None:
    tab = open_map(SCHOOLS)
    for layer in ("base.county", "base.road", "facility.school"):
        wanted = demo_city.one(f"SELECT count(*) FROM {layer} WHERE {IN_VIEW}", *box(tab))
        tab.page.wait_for_selector(f"[data-row='{layer}'] .count:text-is('{wanted:,}')")


def test_filter_holds_in_tiles_count_and_table(open_map: Open, demo_city: Demo) -> None:
    tab = open_map(SCHOOLS)
    page, row = tab.page, tab.page.locator("[data-row='facility.school']")
    before = {p["stage"] for p in drawn(tab, "facility.school")}
    assert len(before) > 1
    row.locator("button[aria-expanded]").click()
    row.get_by_role("button", name="筛选", exact=True).click()
    row.get_by_label("字段").select_option("stage")
    row.get_by_label("值").select_option("primary")
    row.get_by_role("button", name="应用").click()
    whole = demo_city.one("SELECT count(*) FROM facility.school WHERE stage = 'primary'")
    page.wait_for_selector(f"text=全市 {whole} 个要素符合条件")
    tab.idle()
    assert tab.state()["f.facility.school"] == "\"stage\" = 'primary'"
    assert {p["stage"] for p in drawn(tab, "facility.school")} == {"primary"}
    seen = demo_city.one(f"SELECT count(*) FROM facility.school WHERE stage = 'primary' AND {IN_VIEW}", *box(tab))
    page.wait_for_selector(f"[data-row='facility.school'] .count:text-is('{seen}')")
    row.get_by_role("button", name="清除").click()
    tab.idle()
    assert {p["stage"] for p in drawn(tab, "facility.school")} == before


def test_filter_that_cannot_be_read_is_explained(open_map: Open) -> None:
    tab = open_map(SCHOOLS, tolerant=True)
    row = tab.page.locator("[data-row='facility.school']")
    row.locator("button[aria-expanded]").click()
    row.get_by_role("button", name="筛选", exact=True).click()
    row.get_by_role("button", name="写 CQL2").click()
    row.locator("textarea").fill("height >")
    row.get_by_role("button", name="应用").click()
    tab.page.wait_for_selector("[data-row='facility.school'] .status.wrong")
    assert CHINESE.search(row.locator(".status").inner_text())
    assert "f.facility.school" not in tab.state()


def test_click_tells_of_every_layer_below_with_words_for_codes(open_map: Open, demo_city: Demo) -> None:
    tab = open_map(SCHOOLS)
    fid = lone(demo_city, "facility.school", box(tab))
    name, code, stage = demo_city.rows("SELECT name, code, stage FROM facility.school WHERE fid = %s", fid)[0]
    tab.page.mouse.click(*pixel(tab, demo_city, "facility.school", fid))
    card = tab.page.locator(f"[data-card='facility.school/{fid}']")
    card.wait_for()
    field = "app.layers.get('facility.school').fields.find((f) => f.name === 'stage')"
    words = tab.app(f"app.catalogue.codes[{field}.codes].find((c) => c.code === x).title.zh", stage)
    text = card.inner_text()
    assert name in text and code in text and words in text and "示例数据" in text
    layers = tab.page.locator("[data-card]").evaluate_all("cards => cards.map((c) => c.dataset.card.split('/')[0])")
    assert layers[0] == "facility.school" and "base.county" in layers
    assert tab.state()["sel"].split(",")[0] == f"facility.school/{fid}"
    tab.page.keyboard.press("Escape")
    assert "sel" not in tab.state() and not tab.page.is_visible("#inspector")


def test_cluster_tells_its_mix_and_opens_on_click(open_map: Open) -> None:
    tab = open_map("at=9.00/36.45000/115.98000&on=base.county,facility.component")
    clusters = "(f) => f.sourceLayer === 'facility.component' && f.properties.overview"
    found = tab.app(
        f"app.map.queryRenderedFeatures({{ layers: app.view.drawnLayers() }}).filter({clusters})"
        ".map((f) => [f.geometry.coordinates, f.properties])"
    )
    at, properties = max(found, key=lambda f: f[1]["count"])
    x, y = tab.app("(() => { const p = app.map.project(x); const r = app.map.getContainer().getBoundingClientRect(); "
                   "return [p.x + r.left, p.y + r.top]; })()", at)  # fmt: skip
    tab.page.mouse.click(x, y)
    card = tab.page.locator("[data-card='facility.component']")
    card.wait_for()
    assert f"{properties['count']:,}" in card.locator(".figure").inner_text()
    told = [int(t.replace(",", "")) for t in card.locator(".mix .num").all_inner_texts()]
    mix = json.loads(properties["mix"])
    assert told == sorted(mix.values(), reverse=True)[:8]
    tab.idle()
    assert tab.app("app.map.getZoom()") > 9.5


def test_table_lists_sorts_and_downloads_what_is_in_view(open_map: Open, demo_city: Demo) -> None:
    tab = open_map(f"{SCHOOLS}&table=facility.school")
    page = tab.page
    rows = page.locator("#table tbody tr")
    rows.first.wait_for()
    inside = demo_city.rows(f"SELECT fid, name, pupils FROM facility.school WHERE {IN_VIEW} ORDER BY fid", *box(tab))
    page.wait_for_selector(f"#table >> text=视野内 {len(inside)} 个")
    assert rows.count() == min(50, len(inside))
    page.click("[data-sort='pupils']")
    page.click("[aria-sort='ascending'] [data-sort='pupils']")
    page.wait_for_selector("[aria-sort='descending'] [data-sort='pupils']")
    most = max(p for _, _, p in inside if p is not None)
    first = rows.first.get_attribute("data-fid")
    assert most == demo_city.one("SELECT pupils FROM facility.school WHERE fid = %s", int(first or 0))
    for kind in ("csv", "json"):
        with page.expect_download() as waiting:
            page.click(f"[data-download='{kind}']")
        text = waiting.value.path().read_text(encoding="utf-8-sig")
        got = (
            [int(r["fid"]) for r in csv.DictReader(io.StringIO(text))]
            if kind == "csv"
            else [f["id"] for f in json.loads(text)["features"]]
        )
        assert sorted(got) == [fid for fid, _, _ in inside]
    fid = rows.nth(1).get_attribute("data-fid")
    rows.nth(1).click()
    page.locator(f"[data-card='facility.school/{fid}']").wait_for()


def test_empty_table_says_what_to_do(open_map: Open) -> None:
    tab = open_map("at=15.00/36.90000/115.30000&on=base.county,facility.school&table=facility.school")
    tab.page.wait_for_selector("#table .empty")
    assert "缩小地图" in tab.page.inner_text("#table .empty")


def test_no_word_of_the_other_language_is_left(open_map: Open) -> None:
    state = f"{SCHOOLS}&table=facility.school&sel=facility.school/3,base.county/1"
    tab = open_map(f"{state}&lang=en")
    tab.page.locator("#table tbody tr").first.wait_for()
    tab.page.locator("[data-card]").first.wait_for()
    tab.page.locator("[data-row='facility.school'] button[aria-expanded]").click()
    tab.page.locator("[data-row='facility.school'] .legend .swatch").first.wait_for()

    # What people wrote into rows stays as they wrote it; the switch names the other language in that language.
    script = """() => {
      const data = 'td, tbody th, dd, .card .name, #language, option, script, .marginal';
      const found = [];
      const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
      for (let n = walk.nextNode(); n; n = walk.nextNode()) {
        const e = n.nodeType === 3 ? n.parentElement : n;
        if (e.closest(data) || !e.checkVisibility()) continue;
        if (n.nodeType === 3) found.push(n.data.trim());
        else for (const a of ['aria-label', 'title', 'placeholder']) found.push(e.getAttribute(a) ?? '');
      }
      return [document.title, ...found].filter(Boolean);
    }"""
    english = tab.page.evaluate(script)
    assert [t for t in english if CHINESE.search(t)] == []
    tab.page.click("#language")
    tab.page.wait_for_selector("html[lang=zh-CN]")
    tab.page.wait_for_selector("#tree h2:text-is('图层')")
    tab.page.locator("[data-card] >> text=学校").first.wait_for()
    tab.page.locator("#table thead >> text=在校生数").first.wait_for()
    tab.idle()
    chinese = tab.page.evaluate(script)
    assert {t for t in chinese if t in set(english) and re.search(r"[A-Za-z]{3}", t)} <= {
        "CSV", "GeoJSON", "CGCS2000 / Web Mercator",
    }  # fmt: skip
    assert tab.state()["lang"] == "zh"


def test_an_address_brings_back_everything(open_map: Open) -> None:
    first = open_map(f"{SCHOOLS}&table=facility.school")
    first.page.check("[data-layer='facility.parking_lot']")
    first.page.click("#dark")
    first.page.click("#language")
    first.app("app.view.fade('facility.school', 0.4)")
    first.app("app.state.set('f.facility.school', '\"pupils\" > 300')")
    first.app("app.map.jumpTo({ center: [116.001, 36.441], zoom: 12.5, bearing: 20 })")
    first.app("app.state.set('sel', 'facility.school/3')")
    first.idle()
    address = first.page.url.partition("#")[2]
    second = open_map(address)
    look = (
        "({ visible: app.visible(), lang: app.lang, dark: app.dark, filters: [...app.view.filters()], opacity: "
        "[...app.view.opacities()], zoom: app.map.getZoom().toFixed(2), bearing: app.map.getBearing().toFixed(0), "
        "centre: [app.map.getCenter().lng.toFixed(4), app.map.getCenter().lat.toFixed(4)] })"
    )
    assert second.app(look) == first.app(look)
    assert second.app(look)["dark"] is True and second.app(look)["lang"] == "en"
    second.page.locator("[data-card='facility.school/3']").wait_for()
    second.page.locator("#table:not([hidden])").wait_for()
    assert second.state() == first.state()


def test_phone_has_the_map_first_and_one_sheet(open_map: Open, demo_city: Demo) -> None:
    tab = open_map(SCHOOLS, size=PHONE, has_touch=True, is_mobile=True)
    page = tab.page
    area = page.locator("#map").bounding_box()
    assert area and area["width"] == PHONE[0] and area["height"] > 0.8 * PHONE[1]
    for panel in ("tree", "inspector", "table"):
        assert not page.is_visible(f"#{panel}")
    page.tap("[data-panel=tree]")
    assert page.is_visible("#tree") and not page.is_visible("#table")
    page.tap("[data-panel=table]")
    page.locator("#table tbody tr").first.wait_for()
    assert not page.is_visible("#tree")
    page.tap("[data-panel=table]")
    assert not page.is_visible("#table")
    fid = lone(demo_city, "facility.school", box(tab))
    page.touchscreen.tap(*pixel(tab, demo_city, "facility.school", fid))
    page.locator(f"[data-card='facility.school/{fid}']").wait_for()
    assert page.is_visible("#inspector")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    small = page.locator(".sheet-bar [role=tab], .zooms button:visible, .strip button:visible").evaluate_all(
        "all => all.map((e) => e.getBoundingClientRect()).filter((r) => r.width < 44 || r.height < 44).length"
    )
    assert small == 0


def test_keyboard_alone_is_enough(open_map: Open) -> None:
    tab = open_map(SCHOOLS)
    page = tab.page
    focus = "document.activeElement.id || document.activeElement.dataset.layer || document.activeElement.className"
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(focus))
        if reached[-1] == "base.city":
            break
    assert reached[0] == "skip" and reached[1] == "brand" and "language" in reached and "tree-search" in reached
    assert reached.index("language") < reached.index("tree-search") < reached.index("base.city")
    page.keyboard.press("Space")
    assert page.is_checked("[data-layer='base.city']") and "base.city" in tab.state()["on"].split(",")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.matches('#search input')")
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    zoom, before = tab.app("app.map.getZoom()"), tab.app("app.map.getCenter().lng")
    page.keyboard.press("ArrowRight")
    tab.idle()
    assert tab.app("app.map.getCenter().lng") > before
    page.keyboard.press("+")
    tab.idle()
    assert tab.app("app.map.getZoom()") == pytest.approx(zoom + 1, abs=0.01)
    page.keyboard.press("-")
    tab.idle()
    assert tab.app("app.map.getZoom()") == pytest.approx(zoom, abs=0.01)
    tab.app("app.state.set('sel', 'facility.school/3')")
    page.wait_for_selector("[data-card]")
    page.keyboard.press("Escape")
    assert not page.is_visible("#inspector")
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, a, input, select')].filter((e) => e.checkVisibility() "
        "&& !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).map((e) => e.outerHTML)"
    )
    assert nameless == []


def test_filter_takes_any_text_for_what_it_is(open_map: Open, demo_city: Demo) -> None:
    tab = open_map(SCHOOLS)
    names = ["it's 100%", r"a_b\c", "%", "光岳楼's"]
    fids = [fid for (fid,) in demo_city.rows("SELECT fid FROM facility.school ORDER BY fid LIMIT 4")]
    before = demo_city.rows("SELECT fid, name FROM facility.school WHERE fid = ANY(%s)", fids)
    for fid, name in zip(fids, names, strict=True):
        demo_city.rows("UPDATE facility.school SET name = %s WHERE fid = %s", name, fid)
    try:
        for op, text in [("has", "%"), ("has", "_"), ("has", "'"), ("has", "\\"), ("begins", "IT'S"), ("=", "a_b\\c")]:
            condition = [{"field": "name", "op": op, "value": text}]
            written, back = tab.page.evaluate(
                """async (conditions) => {
                  const app = await window.geocloud, filter = await import("/static/map/filter.js");
                  const layer = app.layers.get("facility.school"), text = filter.toCql(conditions, layer);
                  return [text, filter.fromCql(text, layer)];
                }""",
                condition,
            )
            assert back == condition
            answer = tab.app(
                "app.fetchJSON(x)", f"/collections/facility.school/items?limit=1000&filter={quote(written)}"
            )
            fits = {"has": lambda n, t=text: t in n, "begins": lambda n, t=text: n.lower().startswith(t.lower()),
                    "=": lambda n, t=text: n == t}[op]  # fmt: skip
            every = demo_city.rows("SELECT fid, name FROM facility.school")
            assert sorted(f["id"] for f in answer["features"]) == sorted(fid for fid, name in every if fits(name))
            assert answer["features"]
    finally:
        for fid, name in before:
            demo_city.rows("UPDATE facility.school SET name = %s WHERE fid = %s", name, fid)


def test_moving_a_layer_changes_what_lies_on_top(open_map: Open) -> None:
    tab = open_map(f"{CENTRE}&on=base.county,facility.parking_lot,facility.school")
    drawn_order = "[...new Set(app.map.getStyle().layers.map((x) => x.metadata?.['geocloud:collection']))]"
    first = [c for c in tab.app(drawn_order) if c and c.startswith("facility.")]
    lowest = tab.page.locator(f"[data-row='{first[0]}']")
    lowest.locator("button[aria-expanded]").click()
    lowest.get_by_role("button", name="上移", exact=True).click()
    tab.idle()
    assert [c for c in tab.app(drawn_order) if c and c.startswith("facility.")] == first[::-1]
    assert tab.state()["on"].split(",")[-1] == first[0]


def test_opacity_fades_one_layer_and_is_in_the_address(open_map: Open) -> None:
    tab = open_map(SCHOOLS)
    paint = "app.map.getStyle().layers.filter((l) => l.metadata?.['geocloud:collection'] === x).map((l) => l.paint)"
    others = tab.app(paint, "base.road")
    before = tab.app(paint, "facility.school")
    row = tab.page.locator("[data-row='facility.school']")
    row.locator("button[aria-expanded]").click()
    row.get_by_label("不透明度").fill("40")
    tab.idle()
    assert tab.state()["op"] == "facility.school:0.4"
    assert tab.app(paint, "facility.school") != before and tab.app(paint, "base.road") == others
