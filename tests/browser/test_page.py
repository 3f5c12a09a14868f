# SPDX-License-Identifier: Apache-2.0
"""The map's page itself: weight, first paint, what it loads, changes of rows, contrast, words for failures."""

from __future__ import annotations

import re
import statistics
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import Demo, Open, Tab

SCHOOLS = "at=13.00/36.45000/115.98000&on=base.county,base.road,facility.school"
WEIGHT_MAX = 1_200_000


def transferred(tab: Tab) -> dict[str, int]:
    """Bytes over the wire by path, of everything loaded so far."""
    entries = tab.page.evaluate(
        "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
        ".map((e) => [e.name, e.transferSize])"
    )
    return {urlsplit(name).path: size for name, size in entries}


def test_page_is_light(open_map: Open, demo_city: Demo) -> None:
    sizes = transferred(open_map())
    assert sizes["/static/vendor/maplibre-gl/maplibre-gl.mjs"] > 100_000
    # The worker's code is not among the page's entries.
    address = f"{demo_city.base}/static/vendor/maplibre-gl/maplibre-gl-worker.mjs"
    worker = httpx.get(address, headers={"accept-encoding": "gzip"})
    own = sum(size for path, size in sizes.items() if path == "/map" or path.startswith("/static/"))
    assert own + int(worker.headers["content-length"]) < WEIGHT_MAX


def test_page_paints_before_it_has_any_tile_and_nearly_as_soon_as_a_plain_one(
    open_map: Open, demo_city: Demo, browser: Browser
) -> None:
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    maps, plains = [], []
    for _ in range(3):
        page = open_map().page
        maps.append(page.evaluate(paint))
        tiles = "performance.getEntriesByType('resource').filter((e) => e.name.includes('/tiles/'))"
        first = f"Math.min(...{tiles}.map((e) => e.responseEnd))"
        assert maps[-1] < page.evaluate(first)
        page.close()
        plain = browser.new_page()
        plain.goto(f"{demo_city.base}/?f=html")
        plain.screenshot()
        plains.append(plain.evaluate(paint))
        plain.close()
    print(f"first paint: map {min(maps):.0f} ms, plain page {min(plains):.0f} ms")
    assert min(maps) < 4 * min(plains)


def test_code_names_no_other_host_it_could_load_from(open_map: Open, demo_city: Demo) -> None:
    tab = open_map()
    loaded = {u for u in tab.seen.requests if re.search(r"\.(js|mjs|css)(\?|$)", u)} | {f"{demo_city.base}/map"}
    assert len(loaded) > 20
    named: dict[str, set[str]] = {}
    for address in loaded:
        text = httpx.get(address).text
        if "/vendor/" in address:
            text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        for host in re.findall(r"https?://([^\s\"'`)/]+)", text):
            named.setdefault(host, set()).add(urlsplit(address).path)
    # Names of the SVG and XHTML namespaces, and links in words of the library that nothing here opens.
    words = {"www.w3.org", "github.com", "maplibre.org", "maplibre.invalid", "wiki.openstreetmap.org"}
    assert named.keys() <= words
    assert {h: p for h, paths in named.items() for p in paths if "/vendor/" not in p and h != "www.w3.org"} == {}


def test_policy_lets_nothing_else_in(demo_city: Demo) -> None:
    policy = httpx.get(f"{demo_city.base}/map").headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["script-src"] == "'self'" and rules["style-src"] == "'self'"
    allowed = {"'none'", "'self'", "data:", "blob:"}
    assert {word for sources in rules.values() for word in sources.split()} <= allowed
    assert rules["worker-src"] == "'self' blob:" and "unsafe" not in policy


def test_change_of_a_row_is_on_screen_within_a_second(open_map: Open, demo_city: Demo) -> None:
    tab = open_map(SCHOOLS)
    fid = tab.app("app.map.querySourceFeatures('facility.school', { sourceLayer: 'facility.school' })[0].id")
    before = demo_city.one("SELECT name FROM facility.school WHERE fid = %s", fid)
    tab.app("app.state.set('sel', x)", f"facility.school/{fid}")
    tab.page.locator(f"[data-card='facility.school/{fid}']").wait_for()
    took = []
    for turn in range(3):
        name = f"改名第{turn}小学"
        tab.page.evaluate("""([fid, name]) => { window.changed = window.geocloud.then((app) => new Promise((done) => {
          const from = Date.now();
          const look = () => {
            const found = app.map.querySourceFeatures('facility.school', { sourceLayer: 'facility.school' });
            if (found.some((f) => f.id === fid && f.properties.name === name)) done(Date.now());
            else if (Date.now() - from > 20000) done(null);
            else requestAnimationFrame(look);
          };
          look();
        })); }""", [fid, name])  # fmt: skip
        demo_city.rows("UPDATE facility.school SET name = %s WHERE fid = %s", name, fid)
        begun = tab.page.evaluate("Date.now()")
        seen = tab.page.evaluate("window.changed")
        assert seen is not None, "the change never came"
        took.append((seen - begun) / 1000)
        tab.page.wait_for_selector(f"[data-card='facility.school/{fid}'] >> text={name}")
    demo_city.rows("UPDATE facility.school SET name = %s WHERE fid = %s", before, fid)
    assert statistics.median(took) < 1.0


def test_changes_of_what_is_not_visible_load_nothing(open_map: Open, demo_city: Demo) -> None:
    tab = open_map(SCHOOLS)
    already = len(tab.seen.requests)
    demo_city.rows("UPDATE facility.hospital SET note = 'x' WHERE fid = 1")
    demo_city.rows("UPDATE facility.school SET note = 'x' WHERE fid = 1")
    tab.page.wait_for_event("request", lambda r: "facility.school/tiles" in r.url)
    tab.idle()
    again = [urlsplit(u).path for u in tab.seen.requests[already:]]
    assert not [p for p in again if "hospital" in p]
    assert not [p for p in again if p.startswith("/tiles/")], "the base map was loaded again"
    demo_city.rows("UPDATE facility.school SET note = NULL WHERE fid = 1")


@pytest.mark.parametrize("dark", ["0", "1"], ids=["light", "dark"])
def test_words_stand_out_from_their_ground(open_map: Open, dark: str) -> None:
    tab = open_map(f"{SCHOOLS}&dark={dark}&sel=facility.school/3&table=facility.school")
    tab.page.locator("[data-card]").first.wait_for()
    tab.page.locator("#table tbody tr").first.wait_for()
    weak: list[Any] = tab.page.evaluate("""() => {
      const light = (c) => {
        const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
          .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const solid = (c) => /^rgb\\(/.test(c);
      const ground = (e) => { for (; e; e = e.parentElement) {
        const c = getComputedStyle(e).backgroundColor; if (solid(c)) return c; } return 'rgb(255, 255, 255)'; };
      const found = [];
      for (const e of document.querySelectorAll('.panel *, .drawer *, .top *, .strip *')) {
        const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
        if (!own || !e.checkVisibility() || e.matches(':disabled')) continue;
        const c = getComputedStyle(e).color;
        if (!solid(c)) continue;
        const [a, b] = [light(c), light(ground(e))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) found.push([e.className, e.textContent.trim().slice(0, 20), ratio.toFixed(2)]);
      }
      return found;
    }""")
    assert weak == []


def test_failing_service_is_told_in_words(open_map: Open) -> None:
    tab = open_map("at=9.00/36.45000/115.98000&on=base.county,base.road,facility.school", tolerant=True)
    tab.page.route("**/tiles/**", lambda route: route.abort())
    tab.app("app.map.jumpTo({ center: [116.2, 36.8], zoom: 14 })")
    tab.page.wait_for_selector("#notice:not([hidden])")
    assert "未能" in tab.page.inner_text("#notice")
    tab.page.locator("#notice button").click()
    assert not tab.page.is_visible("#notice")


def test_layers_that_are_samples_say_so(open_map: Open, demo_city: Demo) -> None:
    page = open_map(f"{SCHOOLS}&lang=en").page
    rows = page.locator("#tree li.layer")
    assert rows.count() > 20
    # A layer without rows is no sample: difference spots, until two plans are compared.
    empty = demo_city.rows("SELECT count(*) FROM geocloud.layer_state WHERE row_count = 0")[0][0]
    samples = rows.count() - empty
    assert empty < 3 and samples == rows.locator(".badge").count() == rows.locator(".entry .hatched").count()
    assert "Contains sample data" in page.inner_text("#margin")
