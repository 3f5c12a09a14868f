# SPDX-License-Identifier: Apache-2.0
"""Live readings on the map: badges with unit and age, the series in the card with its gaps, nothing where none are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg2
import pytest

from tests.browser.conftest import PHONE, Demo, Open, Tab
from tests.browser.readings_city import GAP, LAYER, Station, send, stations

WIDE = (1400, 900)
SOURCE = f"app.map.getSource('tool:readings:{LAYER}')"
BADGES = f"((await {SOURCE}?.getData())?.features ?? []).map((f) => f.properties)"
Three = tuple[Station, Station, Station]


@pytest.fixture(scope="module")
def read(demo_city: Demo) -> Iterator[Three]:
    yield stations(demo_city.urls)
    conn = psycopg2.connect(demo_city.urls.owner)
    with conn, conn.cursor() as cur:
        cur.execute("TRUNCATE sensing.observation, sensing.latest, sensing.quarantine; DELETE FROM sensing.datastream")
    conn.close()


def at(s: Station, zoom: float = 14.0) -> str:
    return f"at={zoom}/{s.lat}/{s.lon}&on=base.county,base.road,{LAYER}"


def badges(tab: Tab, several: int = 1) -> dict[int, dict[str, Any]]:
    """What the badges say, by feature, once there are so many."""
    tab.until(f"{BADGES}.length >= x", several)
    found = tab.app(BADGES)
    return {p["fid"]: p for p in found}


def test_badges_say_value_unit_age_and_doubt(open_map: Open, read: Three) -> None:
    live, old, odd = read
    tab = open_map(f"at=8.00/36.45000/115.98000&on=base.county,{LAYER}", size=WIDE)
    tab.app("app.map.fitBounds(x)", [
        [min(s.lon for s in read) - 0.01, min(s.lat for s in read) - 0.01],
        [max(s.lon for s in read) + 0.01, max(s.lat for s in read) + 0.01],
    ])  # fmt: skip
    shown = badges(tab, 3)
    assert shown.keys() == {s.fid for s in read}
    assert (shown[live.fid]["text"], shown[live.fid]["look"]) == ("42 µg/m³", "fresh")
    assert (shown[old.fid]["text"], shown[old.fid]["look"], shown[old.fid]["age"]) == ("17 µg/m³", "stale", "3 天前")
    assert (shown[odd.fid]["text"], shown[odd.fid]["look"]) == ("⚠ 0 µg/m³", "doubtful")
    tab.page.click("#language")
    tab.until(f"{BADGES}.some((p) => p.age === '3 days ago')")


def test_another_property_or_none_is_chosen_in_the_tree(open_map: Open, read: Three) -> None:
    tab = open_map(at(read[0]), size=WIDE)
    badges(tab)
    tab.page.click(f"[data-row='{LAYER}'] .entry > button")
    tab.page.select_option(f"[data-reading='{LAYER}']", "temperature")
    tab.until(f"{BADGES}[0]?.text === '3.5 °C'")
    assert tab.state()[f"read.{LAYER}"] == "temperature"
    tab.page.select_option(f"[data-reading='{LAYER}']", "-")
    tab.until(f"!{SOURCE}")


def test_a_map_of_another_date_has_no_readings_of_now(open_map: Open, read: Three) -> None:
    tab = open_map(at(read[0]), size=WIDE)
    badges(tab)
    tab.app("app.setDate('2026-01-01')")
    tab.until(f"!{SOURCE}")


def test_new_values_come_by_themselves(open_map: Open, read: Three, demo_city: Demo) -> None:
    live = read[0]
    tab = open_map(at(live), size=WIDE)
    badges(tab)
    send(demo_city.urls, {"collection": LAYER, "device": live.code, "property": "PM2.5", "value": 77,
                          "time": datetime.now(UTC).isoformat(), "unit": "ug/m3"})  # fmt: skip
    # The map asks again when a tab is looked at anew, and every so often; here the first stands for both.
    tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    tab.until(f"{BADGES}.some((p) => p.text === '77 µg/m³')")


def test_the_card_has_newest_values_and_a_series_with_its_gaps(open_map: Open, read: Three, demo_city: Demo) -> None:
    live = read[0]
    tab = open_map(f"{at(live)}&sel={LAYER}/{live.fid}", size=WIDE)
    page = tab.page
    page.wait_for_selector(".chart")
    stream = demo_city.one("SELECT id FROM sensing.datastream WHERE device = %s AND property = 'PM2.5'", live.code)
    told = httpx.get(f"{demo_city.base}/sensing/datastreams/{stream}").json()["latest"]
    assert float(page.get_attribute("[data-property='PM2.5']", "data-value") or "nan") == told["value"]
    assert page.get_attribute("[data-property='PM2.5']", "data-stale") == "false"
    # 24 hours by the hour: the hours of the gap break the line, so it comes in two pieces.
    pieces = page.locator(".chart-line, .chart-dot").count()
    assert pieces == 2
    said = page.get_attribute(".chart", "aria-label") or ""
    missing = re.search(r"(\d+) 个时段中 (\d+) 个无读数", said)
    assert missing and int(missing[1]) in (24, 25) and len(GAP) <= int(missing[2]) <= len(GAP) + 1
    page.click(".reading-chart [data-value=week]")
    page.wait_for_function("() => /56|57/.test(document.querySelector('.chart')?.getAttribute('aria-label') ?? '')")
    page.click("[data-property=temperature]")
    page.wait_for_selector(".chart-dot")
    assert "°C" in page.inner_text(".reading-chart figcaption")
    answer = httpx.get(page.locator(".reading-chart a").evaluate("(a) => a.href"))
    assert answer.headers["content-type"].startswith("text/csv")


def test_what_has_stopped_is_shown_as_it_last_was_and_says_so(open_map: Open, read: Three) -> None:
    old = read[1]
    page = open_map(f"{at(old)}&sel={LAYER}/{old.fid}&dark=1", size=WIDE).page
    page.wait_for_selector(".chart")
    assert page.get_attribute("[data-property='PM2.5']", "data-stale") == "true"
    assert "已过时" in page.inner_text("[data-property='PM2.5']")
    assert "截至最近一次读数" in page.inner_text(".reading-chart figcaption")


def test_layers_without_datastreams_have_none_of_it(open_map: Open, read: Three) -> None:
    tab = open_map("at=13.00/36.45000/115.98000&on=base.county,facility.school&sel=facility.school/3", size=WIDE)
    tab.page.wait_for_selector("[data-card='facility.school/3'] .facts")
    assert tab.app("app.readings.has('facility.school')") is False
    assert tab.page.locator(".readings").count() == 0
    assert not [u for u in tab.seen.requests if "/facility.school/latest" in u]


def test_on_a_phone_the_card_fits(open_map: Open, read: Three) -> None:
    live = read[0]
    page = open_map(f"{at(live)}&sel={LAYER}/{live.fid}", size=PHONE, has_touch=True).page
    page.tap("[data-panel=inspector]")
    page.wait_for_selector(".chart")
    inside, screen = page.evaluate("[document.getElementById('inspector').scrollWidth, innerWidth]")
    assert inside <= screen
