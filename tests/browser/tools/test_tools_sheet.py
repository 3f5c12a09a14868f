# SPDX-License-Identifier: Apache-2.0
"""Time bar, split view, printing and sharing, judged by what was asked for and what came out."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pyproj
import pytest
from PIL import Image
from playwright.sync_api import Page
from pypdf import PdfReader

from geocloud.db.cluster import Urls
from tests.web.conftest import run_server

from .city import CENTRE, COLOURS, SITE, STREET, ZONE, City
from .conftest import MapPage

AT = f"#at=13/{CENTRE[1]}/{CENTRE[0]}"
GEOD = pyproj.Geod(a=6378137.0, rf=298.257222101)
IDLE = (
    "async which => { const app = await window.geocloud; const map = which === 'other' ? app.split.map : app.map;"
    " while (!(map.loaded() && map.areTilesLoaded())) await new Promise(done => map.once('idle', done)); }"
)
# Codes of the zones in the tiles of one of the two maps.
ZONES = (
    "async which => { const app = await window.geocloud; const map = which === 'other' ? app.split.map : app.map;"
    " return [...new Set(map.queryRenderedFeatures().filter(f => f.sourceLayer === 'test.zone')"
    ".map(f => f.properties.code))].sort(); }"
)


def zones(page: Page, which: str = "main") -> list[str]:
    page.evaluate(IDLE, which)
    return page.evaluate(ZONES, which)


def true_zones(city: City, moment: str) -> list[str]:
    sql = f"SELECT code FROM test.zone WHERE valid_from <= '{moment}' AND valid_to > '{moment}' ORDER BY code"
    return [code for (code,) in city.fetch(sql)]


def test_time_bar_is_there_only_for_layers_with_time(visited: MapPage) -> None:
    page = visited.open(f"{AT}&on={SITE}")
    assert page.locator("#timebar").is_hidden()
    page.evaluate(f"async () => (await window.geocloud).view.show('{ZONE}', true)")
    page.wait_for_selector("#timebar:not([hidden])")
    assert page.locator(".time-marks i").count() == 3
    assert re.fullmatch(r"现在[(（]\d{4}年\d+月\d+日[)）]", page.inner_text(".time-date"))


def test_slider_asks_for_tiles_of_its_date(visited: MapPage, city: City) -> None:
    page = visited.open(f"{AT}&on={ZONE}")
    page.wait_for_selector("#timebar:not([hidden])")
    slider = page.locator(".time-slider")
    days = (datetime(2021, 7, 1) - datetime(1970, 1, 1)).days
    slider.evaluate("(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", str(days))
    visited.until("date=2021-07-01")
    assert zones(page) == true_zones(city, "2021-07-01T12:00:00+08") == ["always", "old"]
    assert visited.asked_for("/tiles/WebMercatorQuad/", "datetime=2021-07-01")
    assert page.inner_text(".time-date") == "2021年7月1日"
    assert slider.get_attribute("aria-valuetext") == "2021年7月1日"
    slider.focus()
    page.keyboard.press("ArrowRight")
    visited.until("date=2021-07-02")


def test_steps_go_from_change_to_change(visited: MapPage, city: City) -> None:
    page = visited.open(f"{AT}&on={ZONE}&date=2020-01-01&lang=en")
    page.wait_for_selector("#timebar:not([hidden])")
    seen = []
    for date in ("2020-03-01", "2024-05-01", "2030-06-01"):
        page.click(".timebar [data-act=next]")
        visited.until(f"date={date}")
        seen.append(zones(page))
        assert seen[-1] == true_zones(city, f"{date}T12:00:00+08")
    assert seen == [["always", "old"], ["always", "new"], ["always", "new", "plan"]]
    assert page.inner_text(".time-date") == "1 June 2030"
    page.click(".timebar [data-act=back]")
    visited.until("date=2024-05-01")
    page.click(".timebar [data-act=now]")
    visited.until("date", there=False)


def test_play_runs_to_the_last_change_and_stops(visited: MapPage) -> None:
    page = visited.open(f"{AT}&on={ZONE}&date=2024-01-01")
    page.wait_for_selector("#timebar:not([hidden])")
    page.click("[data-act=play]")
    visited.until("date=2030-06-01")
    page.wait_for_selector("[data-act=play][aria-label='播放']")


def test_split_shows_two_dates_under_one_camera(visited: MapPage, city: City) -> None:
    page = visited.open(f"{AT}&on={ZONE}&split=50/2021-07-01/-")
    page.wait_for_selector(".split-map canvas")
    now = datetime.now(UTC).isoformat()
    assert zones(page, "other") == true_zones(city, "2021-07-01T12:00:00+08") == ["always", "old"]
    assert zones(page) == true_zones(city, now) == ["always", "new"]
    assert page.inner_text(".split-side.right") == "2021年7月1日"
    page.evaluate("async () => (await window.geocloud).map.jumpTo({ center: [116.01, 36.51], zoom: 14, bearing: 30 })")
    cameras = page.evaluate(
        "async () => { const app = await window.geocloud; return [app.map, app.split.map].map(m =>"
        " [m.getCenter().lng, m.getCenter().lat, m.getZoom(), m.getBearing()].map(v => v.toFixed(6))); }"
    )
    assert cameras[0] == cameras[1]


def test_divider_moves_by_keys_and_pointer(visited: MapPage) -> None:
    page = visited.open(f"{AT}&on={ZONE},{SITE}&split=50/-/-")
    divider = page.locator(".split-divider")
    divider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert divider.get_attribute("aria-valuenow") == "44"
    assert visited.state()["split"] == "44/-/-"
    box = divider.bounding_box()
    stage = page.locator("#map").bounding_box()
    assert box and stage
    page.mouse.move(box["x"] + 12, stage["y"] + 300)
    page.mouse.down()
    page.mouse.move(stage["x"] + stage["width"] * 0.25, stage["y"] + 300, steps=4)
    page.mouse.up()
    visited.until("split=25/")
    assert "25%" in page.locator(".split-map").evaluate("e => e.style.clipPath")


def test_split_of_two_sets_of_layers_ends_with_its_tool(visited: MapPage) -> None:
    page = visited.open(f"{AT}&on={SITE}")
    page.click("button[data-tool=split]")
    page.click(".tool-card [data-value=layers]")
    page.check(f"[id='split-{ZONE}']")
    page.uncheck(f"[id='split-{SITE}']")
    visited.until(f"split=50/-/{ZONE}")
    assert zones(page, "other") == ["always", "new"]
    assert zones(page) == []
    assert "区块" in page.inner_text(".split-side.right") and "设施点" in page.inner_text(".split-side.right")
    page.click("button[data-tool=split]")
    visited.until("split", there=False)
    assert page.locator(".split-map").count() == 0


def test_click_beyond_the_divider_tells_of_its_date(visited: MapPage, city: City) -> None:
    """The same zone: gone on the left, which is now, and there on the right, which is 2021."""
    page = visited.open(f"#at=15/{CENTRE[1]}/115.9675&on={ZONE}&split=50/2021-07-01/-")
    assert zones(page, "other") == ["old"] and zones(page) == []
    stage = page.locator("#map").bounding_box()
    assert stage
    page.mouse.click(stage["x"] + stage["width"] * 0.45, stage["y"] + stage["height"] * 0.6)
    page.mouse.click(stage["x"] + stage["width"] * 0.55, stage["y"] + stage["height"] * 0.6)
    fid = city.fetch("SELECT fid FROM test.zone WHERE code = 'old'")[0][0]
    visited.until(f"sel={ZONE}/{fid}@2021-07-01")
    page.wait_for_selector(f".inspector [data-card='{ZONE}/{fid}'] dl")
    assert visited.asked_for(f"/items/{fid}?datetime=2021-07-01")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_versions_of_a_feature_lead_to_their_days(visited: MapPage, city: City, lang: str, tmp_path: Path) -> None:
    fid = city.fetch("SELECT fid FROM test.zone WHERE code = 'old'")[0][0]
    at = f"#at=15/{CENTRE[1]}/{CENTRE[0]}&on={ZONE}&date=2021-07-01&sel={ZONE}/{fid}&lang={lang}"
    page = visited.open(at)
    card = page.locator(f".inspector [data-card='{ZONE}/{fid}']")
    card.locator("details.versions > summary").click()
    first = card.locator(".life li button")
    first.wait_for()
    told = {"zh": "2020年3月1日 至 2024年5月1日", "en": "1 March 2020 to 1 May 2024"}[lang]
    assert first.all_inner_texts() == [told]
    page.screenshot(path=str(tmp_path / f"versions-{lang}.png"))
    first.focus()
    page.keyboard.press("Enter")
    visited.until("date=2020-03-01")


def make(page: Page, kind: str, to: Path) -> bytes:
    with page.expect_download(timeout=120_000) as waiting:
        page.click(f".tool-card [data-act={kind}]")
    waiting.value.save_as(to / f"page.{kind}")
    return (to / f"page.{kind}").read_bytes()


def near(pixel: tuple[int, ...], colour: str) -> bool:
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return all(abs(a - b) <= 12 for a, b in zip(pixel, wanted, strict=False))


def test_png_has_the_paper_s_pixels_and_the_legend_s_colours(visited: MapPage, tmp_path: Path) -> None:
    page = visited.open(f"{AT}&on={SITE},{STREET}&print=A4/landscape/150/0/")
    image = Image.open(io.BytesIO(make(page, "png", tmp_path)))
    assert image.size == (round(297 / 25.4 * 150), round(210 / 25.4 * 150))
    assert [round(d) for d in image.info["dpi"]] == [150, 150]
    image = image.convert("RGB")
    mm = image.width / 297
    chart = image.crop((round(10 * mm), round(24 * mm), round(225 * mm), round(180 * mm)))
    key = image.crop((round(228 * mm), round(24 * mm), round(288 * mm), round(180 * mm)))
    assert len(chart.getcolors(maxcolors=2**24) or []) > 50, "the map is blank"
    for colour in COLOURS.values():
        assert sum(n for n, c in key.getcolors(maxcolors=2**24) if near(c, colour)) > 20, (
            f"{colour} is not in the legend"
        )
    assert sum(n for n, c in key.getcolors(maxcolors=2**24) if near(c, "#e69f00")) == 0, "zones are not visible"


def test_legend_leaves_out_what_is_not_on_the_map(visited: MapPage, tmp_path: Path) -> None:
    """One bin in fifty is on the map, and none in a corner of a few streets."""
    page = visited.open(
        f"#at=13/{CENTRE[1]}/{CENTRE[0]}&on={SITE}&f.{SITE}=%22kind%22%20%3D%20%27lamp%27&print=A4/landscape/150/0/"
    )
    words = PdfReader(io.BytesIO(make(page, "pdf", tmp_path))).pages[0].extract_text()
    assert "路灯" in words
    assert "垃圾箱" not in words and "街道" not in words


@pytest.mark.parametrize(
    ("paper", "turn", "size"),
    [("A4", "portrait", (210, 297)), ("A3", "landscape", (420, 297))],
    ids=["A4-upright", "A3-across"],
)
def test_pdf_is_one_page_of_its_size_with_its_words(
    visited: MapPage, tmp_path: Path, paper: str, turn: str, size: tuple[int, int]
) -> None:
    page = visited.open(f"{AT}/30&on={SITE},{STREET},{ZONE}&print={paper}/{turn}/150/25000/设施分布图")
    reader = PdfReader(io.BytesIO(make(page, "pdf", tmp_path)), strict=True)
    assert len(reader.pages) == 1
    sheet = reader.pages[0]
    assert [round(float(v) / 72 * 25.4) for v in sheet.mediabox[2:]] == list(size)
    assert reader.metadata and reader.metadata.title == "设施分布图"
    words = sheet.extract_text()
    for wanted in (
        "设施分布图",
        "图例",
        "路灯",
        "街道",
        "区块",
        "1:25,000",
        "EPSG:4490",
        "数据日期",
        "来源",
        "米",
        "北",
    ):
        assert wanted in words, f"{wanted} is not on the page"
    picture = sheet.images[0].image
    assert picture and len(picture.convert("RGB").getcolors(maxcolors=2**24) or []) > 50
    assert abs(picture.width / (size[0] / 25.4) - 150) < 1


def test_pdf_says_where_on_earth_its_map_lies_and_its_scale_is_true(visited: MapPage, tmp_path: Path) -> None:
    page = visited.open(f"{AT}&on={SITE}&print=A4/landscape/150/25000/")
    sheet = PdfReader(io.BytesIO(make(page, "pdf", tmp_path))).pages[0]
    (view,) = sheet["/VP"]
    left, low, right, high = (float(v) for v in view["/BBox"])
    lat_lon = [float(v) for v in view["/Measure"]["/GPTS"]]
    (south, west), (north, _), (_, east) = ((lat_lon[i], lat_lon[i + 1]) for i in (0, 2, 4))
    assert west < CENTRE[0] < east and south < CENTRE[1] < north
    assert abs((west + east) / 2 - CENTRE[0]) < 1e-4
    middle = (south + north) / 2
    metres = GEOD.line_length([west, east], [middle, middle])
    paper = (right - left) / 72 * 0.0254
    assert abs(metres / paper / 25_000 - 1) < 0.01
    assert high > low


def test_measurement_is_printed(visited: MapPage, tmp_path: Path) -> None:
    page = visited.open(f"{AT}&on={SITE}&measure=line/115.98,36.49/116.02,36.51")
    page.wait_for_selector(".tool-figure[data-state=exact]")
    shown = page.inner_text(".tool-figure")
    page.click("button[data-tool=print]")
    page.select_option("#print-dpi", "150")
    words = PdfReader(io.BytesIO(make(page, "pdf", tmp_path))).pages[0].extract_text()
    assert shown in words


def test_shared_address_shows_the_same_map(visit: Callable[..., MapPage]) -> None:
    visited = visit()
    page = visited.open(f"{AT}&on={SITE}&measure=line/115.98,36.49/116.02,36.51")
    page.wait_for_selector(".tool-figure[data-state=exact]")
    page.click("button[data-tool=share]")
    address = page.input_value("#share-link")
    assert urlsplit(address).netloc == urlsplit(visited.base).netloc
    other = visit()
    other.page.goto(address)
    other.page.wait_for_selector("html[data-ready=true]")
    other.page.wait_for_selector(".tool-figure[data-state=exact]")
    kept = {k: v for k, v in visited.state().items() if k != "at"}
    assert {k: v for k, v in other.state().items() if k not in ("at", "lang")} == kept
    assert other.state()["lang"] == "zh"


def test_snippet_holds_the_address_and_a_title(visited: MapPage) -> None:
    page = visited.open(f"{AT}&on={SITE}&lang=en")
    page.click("button[data-tool=share]")
    page.select_option("#share-size", "640x480")
    code = page.input_value("#share-embed")
    frame: dict[str, str | None] = {}
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attributes: frame.update({"tag": tag, **dict(attributes)})  # type: ignore
    reader.feed(code)
    assert frame["tag"] == "iframe" and frame["src"] == page.input_value("#share-link")
    assert (frame["width"], frame["height"]) == ("640", "480") and frame["title"]
    assert "GEOCLOUD_MAP_EMBED_ORIGINS" in page.inner_text(".tool-card")


@pytest.fixture
def admitted(urls: Urls, city: City, tmp_path: Path) -> Iterator[str]:
    yield from run_server(urls.reader, tmp_path, GEOCLOUD_MAP_EMBED_ORIGINS='["https://www.example.org"]')


def test_operator_admits_pages_that_hold_the_map(admitted: str, city: City) -> None:
    def ancestors(base: str) -> str:
        policy = httpx.get(f"{base}/map").headers["content-security-policy"]
        return next(p.strip() for p in policy.split(";") if "frame-ancestors" in p)

    assert ancestors(city.base) == "frame-ancestors 'self'"
    assert ancestors(admitted) == "frame-ancestors 'self' https://www.example.org"


def test_everything_is_said_in_the_language_of_the_screen(visited: MapPage) -> None:
    page = visited.open(f"{AT}&on={SITE},{ZONE}&lang=en")
    chinese = re.compile(r"[\u4e00-\u9fff]")
    for tool in ("measure", "ask", "split", "print", "share"):
        page.click(f"button[data-tool={tool}]")
        assert not chinese.search(page.inner_text(".inspector")), tool
        assert not chinese.search(page.get_attribute(f"button[data-tool={tool}]", "aria-label") or ""), tool
    assert not chinese.search(page.inner_text("#timebar"))
    page.click("#language")
    page.wait_for_selector("html[lang=zh-CN]")
    assert page.inner_text(".inspector h2") == "分享"


def test_tools_stay_within_a_phone(visit: Callable[..., MapPage]) -> None:
    page = visit(390, 844, has_touch=True, is_mobile=True).open(f"{AT}&on={SITE},{ZONE}")
    for tool in ("measure", "ask", "split", "print", "share"):
        page.tap(f"button[data-tool={tool}]")
        card = page.locator(f".tool-card[data-tool={tool}]")
        card.wait_for(state="visible")
        box = card.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert parse_qs(urlsplit(page.url).query) == {}
