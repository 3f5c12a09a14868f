# SPDX-License-Identifier: Apache-2.0
"""Differences of two dates on the map: what is drawn on both sides, what the legend counts, and that it goes again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import psycopg2
import pytest
from playwright.sync_api import Page

from .city import CENTRE, SITE, ZONE, City
from .conftest import MapPage

AT = f"#at=13/{CENTRE[1]}/{CENTRE[0]}"
KINDS = ("added", "removed", "moved", "reshaped", "attributes")
DRAWN = """async which => {
    const app = await window.geocloud; const map = which === 'other' ? app.split.map : app.map;
    const layers = map.getStyle().layers.map(x => x.id).filter(x => x.startsWith('tool:diff:'));
    const found = {};
    for (const f of map.queryRenderedFeatures({layers})) {
        const {change, overview} = f.properties;
        if (!overview) (found[change] ??= new Set()).add(f.id);
    }
    return Object.fromEntries(Object.entries(found).map(([k, v]) => [k, v.size]));
}"""
KINDS_JS = str(list(KINDS))
IDLE = f"""async which => {{ const found = await ({DRAWN})(which);
    const app = await window.geocloud; const map = which === 'other' ? app.split.map : app.map;
    return map.areTilesLoaded() && {KINDS_JS}.every(k => found[k]); }}"""
GONE = "async () => !(await window.geocloud).map.getStyle().layers.some(x => x.id.startsWith('tool:diff'))"
ANY = f"async () => Object.keys(await ({DRAWN})('main')).length > 1"


@pytest.fixture(scope="module", autouse=True)
def lived(city: City) -> None:
    """In 2023 the zone that is always there grows and three sites of before are renamed, moved, and gone."""
    at = "SET LOCAL geocloud.valid_at = '2023-06-01T00:00:00+08';"
    correct = "SET LOCAL geocloud.change = 'correction';"
    for change in (
        correct + "UPDATE test.site SET valid_from = '2019-01-01Z'",
        at + "UPDATE test.zone SET geom = ST_Multi(ST_Scale(geom, ST_Point(1.2, 1.2), ST_Centroid(geom))) "
        "WHERE code = 'always'",
        at + "UPDATE test.site SET kind = 'bin' WHERE code IN (SELECT code FROM test.site WHERE kind = 'lamp' "
        "ORDER BY ST_Distance(geom, ST_SetSRID(ST_Point(116, 36.5), 4490)) LIMIT 9)",
        at + "UPDATE test.site SET geom = ST_Translate(geom, 0.002, 0) WHERE code IN (SELECT code FROM test.site "
        "WHERE kind = 'tree' ORDER BY ST_Distance(geom, ST_SetSRID(ST_Point(116, 36.5), 4490)) LIMIT 5)",
    ):
        conn = psycopg2.connect(city.urls.owner)
        with conn, conn.cursor() as cur:
            cur.execute(change)
        conn.close()


def legend(page: Page) -> dict[str, str]:
    return {k: page.inner_text(f".diff-legend li[data-kind={k}] b") for k in KINDS}


def until(page: Page, script: str, arg: str | None = None) -> None:
    """Asks the page again until it is so; an asynchronous predicate is not awaited by the browser's own waiting."""
    end = time.monotonic() + 60
    while not page.evaluate(script, arg):
        assert time.monotonic() < end, script


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("GEOCLOUD_TEST_PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png")


def test_differences_of_two_dates_on_both_sides(visited: MapPage, city: City) -> None:
    page = visited.open(f"{AT}&on={ZONE},{SITE}&split=50/2021-07-01/-/diff")
    for side in ("main", "other"):
        until(page, IDLE, side)
        found = page.evaluate(DRAWN, side)
        assert found["removed"] == 1 and found["added"] == 1 and found["reshaped"] == 1
        assert found["moved"] == 5 and found["attributes"] == 9 and found["before"] >= 6
    page.wait_for_selector(".diff-legend li[data-kind=added]")
    assert legend(page) == {"added": "1", "removed": "1", "moved": "5", "reshaped": "1", "attributes": "9"}
    assert "面积净变化" in page.inner_text(".diff-legend")
    tiles = visited.asked_for("/changes/tiles/", "from=2021-07-01")
    assert tiles and not any("to=" in u for u in tiles)
    picture(page, "differences")
    page.uncheck("#split-diff")
    visited.until("split=50/2021-07-01/-/diff", there=False)
    until(page, GONE)
    assert page.locator(".diff-legend").count() == 0


def test_switch_by_hand_and_dates_in_either_order(visited: MapPage) -> None:
    page = visited.open(f"{AT}&on={ZONE}&date=2026-01-01&split=50/-/-")
    assert page.is_disabled("#split-diff")
    page.fill("#split-date", "2023-12-31")
    visited.until("split=50/2023-12-31/-")
    page.check("#split-diff")
    visited.until("split=50/2023-12-31/-/diff")
    page.wait_for_selector(".diff-legend li[data-kind=added]")
    assert legend(page) == {"added": "1", "removed": "1", "moved": "0", "reshaped": "0", "attributes": "0"}
    assert visited.asked_for("/changes/summary", "from=2023-12-31", "to=2026-01-01")
    page.click("button[data-tool=split]")
    visited.until("split", there=False)
    until(page, GONE)


def test_on_a_phone_at_night(visit: Callable[..., MapPage]) -> None:
    phone = visit(390, 844, color_scheme="dark")
    page = phone.open(f"#at=12/{CENTRE[1]}/{CENTRE[0]}&on={ZONE},{SITE}&split=50/2021-07-01/-/diff")
    until(page, ANY)
    page.wait_for_selector(".diff-legend li[data-kind=added]", state="attached")
    picture(page, "differences-phone")
