# SPDX-License-Identifier: Apache-2.0
"""The card of who is responsible: it tells what the database says, at a click, on a phone, in both languages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PHONE, Demo, Open, Tab

STAFFED = ("professional_grid", "governance_grid", "environment_grid", "market_grid", "fire_grid", "police_grid")


def shot(tab: Tab, name: str) -> None:
    """A picture for people to look at, where GEOCLOUD_TEST_PICTURES says."""
    if kept := os.environ.get("GEOCLOUD_TEST_PICTURES"):
        tab.page.locator("[data-pane=who]").evaluate("pane => pane.scrollIntoView()")
        tab.page.screenshot(path=Path(kept) / f"{name}.png")


def spot(demo: Demo, where: str = "code = '371502001002003'") -> tuple[float, float]:
    sql = f"SELECT ST_X(p), ST_Y(p) FROM (SELECT ST_PointOnSurface(geom) AS p FROM grid.unit_grid WHERE {where}) s"
    lon, lat = demo.rows(sql)[0]
    return float(lon), float(lat)


def state(lon: float, lat: float, more: str = "") -> str:
    return f"at=15.00/{lat:.5f}/{lon:.5f}&on=base.road,grid.unit_grid{more}"


def click(tab: Tab, lon: float, lat: float, tap: bool = False) -> Any:
    x, y = tab.app("(() => { const p = app.map.project(x); const r = app.map.getContainer().getBoundingClientRect(); "
                   "return [p.x + r.left, p.y + r.top]; })()", [lon, lat])  # fmt: skip
    if tap:
        tab.page.touchscreen.tap(x, y)
    else:
        tab.page.mouse.click(x, y)
    pane = tab.page.locator("[data-pane=who]")
    pane.wait_for()
    return pane


def persons(demo: Demo, lon: float, lat: float) -> dict[str, tuple[str, str]]:
    """Person and phone of each department at a point, by the database."""
    found = {}
    for name in STAFFED:
        for person, phone in demo.rows(
            f"SELECT person, phone FROM grid.{name} WHERE ST_Contains(geom, ST_SetSRID(ST_Point(%s, %s), 4490))",
            lon,
            lat,
        ):
            found[f"grid.{name}"] = (person, phone)
    return found


def test_every_department_is_named_with_a_phone_to_call(open_map: Open, demo_city: Demo) -> None:
    lon, lat = spot(demo_city)
    tab = open_map(state(lon, lat))
    pane = click(tab, lon, lat)
    wanted = persons(demo_city, lon, lat)
    assert len(wanted) >= 5
    for layer, (person, phone) in wanted.items():
        section = pane.locator(f"[data-department='{layer}']")
        assert person in section.inner_text()
        assert section.locator("a.tel").get_attribute("href") == f"tel:{phone}"
    assert "虚构" in pane.inner_text() and "371502001002" in pane.inner_text()
    # What was clicked comes first, who is responsible below it.
    assert tab.page.locator(".pane").evaluate_all("all => all.map((p) => p.dataset.pane)") == ["here", "who"]
    shot(tab, "who-desktop")
    tab.page.click("#dark")
    tab.idle()
    shot(tab, "who-dark")
    tab.page.click("#language")
    tab.page.locator("[data-pane=who] h2", has_text="Who is responsible").wait_for()
    shot(tab, "who-english")
    tab.page.keyboard.press("Escape")
    assert not tab.page.is_visible("#inspector")


def test_disagreements_are_told_where_they_are(open_map: Open, demo_city: Demo) -> None:
    overlap = demo_city.rows(
        "SELECT ST_X(p), ST_Y(p) FROM (SELECT ST_PointOnSurface(ST_Intersection(a.geom, b.geom)) AS p "
        "FROM grid.governance_grid a JOIN grid.governance_grid b ON a.code < b.code AND ST_Intersects(a.geom, b.geom) "
        "ORDER BY ST_Area(ST_Intersection(a.geom, b.geom)) DESC LIMIT 1) s"
    )[0]
    tab = open_map(state(*overlap))
    pane = click(tab, *overlap)
    assert pane.locator(".differs [data-kind=overlap]").count() == 1
    assert pane.locator("[data-department='grid.governance_grid'] .grid").count() == 2
    shot(tab, "who-overlap")
    # Nobody has a grid far away: the card goes.
    tab.app("app.map.jumpTo({ center: [115.6, 36.1], zoom: 15 })")
    tab.idle()
    tab.page.mouse.click(500, 400)
    tab.page.locator("[data-pane=who]").wait_for(state="detached")


def test_on_a_phone(open_map: Open, demo_city: Demo) -> None:
    lon, lat = spot(demo_city)
    tab = open_map(state(lon, lat), size=PHONE, has_touch=True, is_mobile=True)
    pane = click(tab, lon, lat, tap=True)
    assert tab.page.is_visible("#inspector")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    pane.scroll_into_view_if_needed()
    assert all(b["height"] >= 44 for b in (a.bounding_box() for a in pane.locator("a.tel").all()) if b)
    shot(tab, "who-phone")


@pytest.mark.parametrize("answer", [503])
def test_an_error_is_told_in_the_card(open_map: Open, demo_city: Demo, answer: int) -> None:
    lon, lat = spot(demo_city)
    tab = open_map(state(lon, lat), tolerant=True)
    tab.page.route("**/responsible?*", lambda route: route.fulfill(status=answer, body="{}"))
    assert click(tab, lon, lat).locator(".wrong").count() == 1
