# SPDX-License-Identifier: Apache-2.0
"""Searching, measuring and asking on the map, compared with pyproj and SQL."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pyproj
import pytest
import shapely
from playwright.sync_api import Page

from .city import CENTRE, SITE, STREET, ZONE, City
from .conftest import MapPage

GEOD = pyproj.Geod(a=6378137.0, rf=298.257222101)
AT = f"#at=13/{CENTRE[1]}/{CENTRE[0]}"


def places(text: str) -> list[tuple[float, float]]:
    return [tuple(map(float, part.split(","))) for part in text.split("/")[1:]]


def figure(page: Page, name: str) -> float:
    page.wait_for_selector(".tool-figure[data-state=exact]")
    return float(page.locator(f"[data-figure={name}] .copyable").inner_text().replace(",", ""))


def test_length_of_a_drawn_line_is_that_of_its_geodesics(visited: MapPage) -> None:
    page = visited.open(AT)
    page.click("[data-tool=measure]")
    page.mouse.click(500, 300)
    page.mouse.click(640, 520)
    assert page.locator(".tool-figure").get_attribute("data-state") == "drawing"
    page.mouse.dblclick(880, 600)
    shown = figure(page, "length_m")
    line = places(visited.state()["measure"])
    assert len(line) == 3
    truth = GEOD.line_length(*zip(*line, strict=True))
    assert math.isclose(shown, truth, rel_tol=1e-6)
    assert visited.asked_for("/measure?geometry=")


def test_area_by_keyboard_alone(visited: MapPage) -> None:
    page = visited.open(AT)
    page.locator("button[data-tool=measure]").focus()
    page.keyboard.press("Enter")
    page.locator(".choice[data-value=area]").focus()
    page.keyboard.press("Enter")
    page.locator(".maplibregl-canvas").first.focus()
    for pan in ((300, 0), (0, 200), (-250, 50)):
        page.keyboard.press(" ")
        page.evaluate("async by => { const app = await window.geocloud; app.map.panBy(by, { animate: false }); }", pan)
    page.keyboard.press("Enter")
    shown = figure(page, "area_m2")
    ring = places(visited.state()["measure"])
    assert len(ring) == 3
    truth, around = GEOD.geometry_area_perimeter(shapely.Polygon(ring))
    assert math.isclose(shown, abs(truth), rel_tol=1e-6)
    assert math.isclose(figure(page, "area_mu") * 10_000 / 15, abs(truth), rel_tol=1e-6)
    assert math.isclose(figure(page, "length_m"), around, rel_tol=1e-6)


def test_estimate_while_drawing_is_near_the_truth(visited: MapPage) -> None:
    page = visited.open(AT)
    ring = [[115.9, 36.4], [116.1, 36.41], [116.05, 36.6], [115.92, 36.55]]
    made = page.evaluate(
        "async ring => { const g = await import('/static/map/tools/geodesic.js');"
        " return [g.length(ring), g.area(ring), g.distance([0, 0], [0.5, 0.5]), g.distance([116, 36], [116, 36])]; }",
        ring,
    )
    assert math.isclose(made[0], GEOD.line_length(*zip(*ring, strict=True)), rel_tol=1e-9)
    assert math.isclose(made[1], abs(GEOD.geometry_area_perimeter(shapely.Polygon(ring))[0]), rel_tol=1e-5)
    assert math.isclose(made[2], GEOD.inv(0, 0, 0.5, 0.5)[2], rel_tol=1e-9)
    assert made[3] == 0


def test_measurement_is_in_the_address_and_comes_back(visited: MapPage) -> None:
    page = visited.open(f"{AT}&measure=line/115.95,36.48/116.02,36.51&lang=en")
    shown = figure(page, "length_m")
    assert math.isclose(shown, GEOD.inv(115.95, 36.48, 116.02, 36.51)[2], rel_tol=1e-6)
    assert page.locator(".inspector h2").inner_text() == "Measure"
    page.keyboard.press("Escape")
    visited.until("measure", there=False)
    assert page.locator(".drawn").count() == 0


def test_corner_is_moved_by_arrow_keys(visited: MapPage) -> None:
    page = visited.open(f"{AT}&measure=line/115.98,36.49/116.0,36.5")
    before = figure(page, "length_m")
    page.locator(".sketch-corner").last.focus()
    page.keyboard.press("Shift+ArrowRight")
    visited.until("/116,36.5", there=False)
    page.wait_for_selector(".tool-figure[data-state=exact]")
    line = places(visited.state()["measure"])
    assert line[1][0] > 116.0 and figure(page, "length_m") > before
    assert math.isclose(figure(page, "length_m"), GEOD.line_length(*zip(*line, strict=True)), rel_tol=1e-6)


LASSO = [(115.97, 36.475), (116.03, 36.47), (116.035, 36.52), (115.99, 36.53)]


def ask(visited: MapPage, extra: str = "") -> Page:
    drawn = "area/" + "/".join(f"{x},{y}" for x, y in LASSO)
    page = visited.open(f"{AT}&ask={drawn}{extra}")
    page.wait_for_selector(".inside [data-inside] article")
    page.wait_for_selector(".inside:not([aria-busy])")
    return page


def within(where: str = "") -> str:
    return f"ST_Intersects(geom, ST_GeomFromText('{shapely.Polygon(LASSO).wkt}', 4490)){where}"


def test_what_lies_inside_is_what_sql_counts(visited: MapPage, city: City) -> None:
    page = ask(visited)
    truth = dict(city.fetch(f"SELECT kind, count(*) FROM test.site WHERE {within()} GROUP BY kind"))
    card = page.locator(f"[data-inside='{SITE}']")
    rows = card.locator("li[data-code]")
    shown = {r.get_attribute("data-code"): int(r.get_attribute("data-count")) for r in rows.all()}
    assert shown == truth
    assert int(card.locator("article").get_attribute("data-count")) == sum(truth.values()) > 50
    assert card.locator("li[data-code=lamp] .name").inner_text() == "路灯"


def test_roads_and_zones_are_cut_at_the_drawn_line(visited: MapPage, city: City) -> None:
    page = ask(visited)
    drawn = shapely.Polygon(LASSO)
    streets = [shapely.from_wkt(w) for (w,) in city.fetch("SELECT ST_AsText(geom) FROM test.street")]
    metres = sum(GEOD.geometry_length(s.intersection(drawn)) for s in streets)
    shown = float(page.locator(f"[data-inside='{STREET}'] .inside-amount").get_attribute("data-amount"))
    assert math.isclose(shown, metres, rel_tol=1e-6)
    now = "valid_from <= now() AND valid_to > now()"
    zones = [shapely.from_wkt(w) for (w,) in city.fetch(f"SELECT ST_AsText(geom) FROM test.zone WHERE {now}")]
    area = sum(abs(GEOD.geometry_area_perimeter(z.intersection(drawn))[0]) for z in zones)
    shown = float(page.locator(f"[data-inside='{ZONE}'] .inside-amount").get_attribute("data-amount"))
    assert math.isclose(shown, area, rel_tol=1e-6)


def test_filter_of_the_layer_holds_inside_too(visited: MapPage, city: City) -> None:
    page = ask(visited, extra=f"&f.{SITE}=%22kind%22%20%3D%20%27tree%27")
    (truth,) = city.fetch(f"SELECT count(*) FROM test.site WHERE {within()} AND kind = 'tree'")[0]
    assert int(page.locator(f"[data-inside='{SITE}'] article").get_attribute("data-count")) == truth > 10


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_download_holds_every_feature_inside(visited: MapPage, city: City, tmp_path: Path, kind: str) -> None:
    page = ask(visited)
    with page.expect_download() as waiting:
        page.locator(f"[data-inside='{SITE}'] [data-download={kind}]").click()
    waiting.value.save_as(tmp_path / "file")
    text = (tmp_path / "file").read_text("utf-8-sig")
    truth = {code for (code,) in city.fetch(f"SELECT code FROM test.site WHERE {within()}")}
    if kind == "json":
        found = [f["properties"]["code"] for f in json.loads(text)["features"]]
    else:
        found = [line.split(",")[1] for line in text.splitlines()[1:]]
    assert set(found) == truth and len(found) == len(truth)


def test_list_of_what_lies_inside_leads_to_the_feature(visited: MapPage) -> None:
    page = ask(visited)
    card = page.locator(f"[data-inside='{SITE}']")
    card.locator("summary").click()
    card.locator("ol button").first.click()
    visited.until(f"sel={SITE}/")


def test_rectangle_by_two_taps_on_a_phone(visit: Callable[..., MapPage]) -> None:
    visited = visit(390, 844, has_touch=True, is_mobile=True)
    page = visited.open(AT)
    page.tap("button[data-tool=ask]")
    page.tap(".choice[data-value=box]")
    page.touchscreen.tap(90, 120)
    page.touchscreen.tap(290, 330)
    page.wait_for_selector(".inside [data-inside] article")
    corners = places(visited.state()["ask"])
    assert visited.state()["ask"].startswith("box/") and len(corners) == 4
    assert len({x for x, _ in corners}) == len({y for _, y in corners}) == 2


def test_coordinate_is_found_marked_and_kept(visited: MapPage) -> None:
    page = visited.open(AT)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search-input"
    page.keyboard.type("116.012,36.507")
    page.wait_for_selector("#search-results [role=option]")
    assert "CRS84" in page.locator("#search-results [role=option] .badge").first.inner_text()
    page.keyboard.press("ArrowDown")
    active = page.get_attribute("#search-input", "aria-activedescendant")
    assert page.locator(f"#{active}").get_attribute("aria-selected") == "true"
    page.keyboard.press("Enter")
    visited.until("find=116.012,36.507/")
    centre = page.evaluate(
        "async () => { const { map } = await window.geocloud; while (map.isMoving()) await new Promise(done =>"
        " map.once('moveend', done)); return map.getCenter().toArray(); }"
    )
    assert centre == pytest.approx([116.012, 36.507], abs=1e-4)
    assert page.locator(".drawn.point").count() == 1
    again = visited.open("#" + page.url.partition("#")[2])
    assert again.locator(".drawn.point text").text_content().startswith("116.012")
    again.click(".search-clear")
    visited.until("find", there=False)
    assert again.locator(".drawn.point").count() == 0


def test_beidou_code_draws_its_cell(visited: MapPage) -> None:
    page = visited.open(AT)
    page.fill("#search-input", "N50J305D7C516633")
    page.wait_for_selector("#search-results [role=option][data-kind=coordinate]")
    page.focus("#search-input")
    page.keyboard.press("Enter")
    visited.until("find=115.98100")
    numbers = [float(v) for v in visited.state()["find"].split("/")[0].split(",")]
    lon, lat, west, south, east, north = numbers
    assert west < lon < east and south < lat < north and east - west < 1e-4
    assert page.locator(".drawn.frame[data-name='find:cell']").count() == 1


def test_nothing_found_says_what_to_try(visited: MapPage) -> None:
    page = visited.open(f"{AT}&lang=en")
    page.fill("#search-input", "qqqqqqqqzz")
    page.wait_for_selector("#search-results .empty")
    assert "Try a shorter name" in page.inner_text("#search-results")
