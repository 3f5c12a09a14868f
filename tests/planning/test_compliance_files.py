# SPDX-License-Identifier: Apache-2.0
"""The files of a check: what is in them is read back, with all three writers saying the same."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import docx
import pypdf
import pytest
import shapely

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.demo.plan_truth import truth
from geocloud.jobs.run import open_run
from geocloud.planning.compliance_process import PROCESS
from geocloud.settings import Settings

SETTINGS = Settings()
WANTED = frozenset({"report", "page", "pdf", "docx"})
SPOT = next(s for s in truth("small") if s.rule == "F2")
HOSTILE = "地块 #1 $x$ `a` @b <i>&\"' \\ [c] *d* _e_"


@pytest.fixture(scope="module")
def city(urls: Urls) -> Urls:
    layers, codes = read_layers(SETTINGS.city.layers_folder)
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, layers, codes)
    demo.load(urls.owner, "small", layers=[i for i in layers if i.startswith("planning.")] + ["base.county"])
    return urls


def check(city: Urls, language: str = "zh") -> dict[str, Any]:
    at = shapely.point_on_surface(SPOT.geometry)
    site = dict(shapely.geometry.mapping(shapely.box(at.x - 0.002, at.y - 0.002, at.x + 0.002, at.y + 0.002)))
    with open_run(SETTINGS, city.reader) as run:
        asked = {"site": site, "language": language, "subject": HOSTILE}
        return dict(PROCESS.run(run, asked, WANTED))


@pytest.fixture(scope="module")
def made(city: Urls) -> Iterator[dict[str, Any]]:
    out = check(city)
    kept = os.environ.get("GEOCLOUD_TEST_KEEP")
    for name in ("page", "pdf", "docx") if kept else ():
        Path(kept or "", f"check.{'html' if name == 'page' else name}").write_bytes(out[name].data)
    yield out


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.asked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.asked += [v or "" for k, v in attrs if k in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def words_of(data: bytes) -> _Words:
    parser = _Words()
    parser.feed(data.decode())
    return parser


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_the_first_page_says_the_verdict_and_every_font_is_embedded(made: dict[str, Any]) -> None:
    reader = pypdf.PdfReader(io.BytesIO(made["pdf"].data))
    assert "不符合" in squeezed(reader.pages[0].extract_text())
    assert made["report"]["verdict"] == "refuse"
    fonts = [f.get_object() for page in reader.pages for f in page["/Resources"].get("/Font", {}).values()]
    assert fonts
    for font in fonts:
        under = font["/DescendantFonts"][0].get_object()["/FontDescriptor"]
        assert "/FontFile2" in under or "/FontFile3" in under


def test_words_of_a_user_are_never_markup(made: dict[str, Any]) -> None:
    page = words_of(made["page"].data)
    assert HOSTILE in "".join(page.words)
    document = docx.Document(io.BytesIO(made["docx"].data))
    assert any(HOSTILE in p.text for p in document.paragraphs)
    pdf = squeezed(pypdf.PdfReader(io.BytesIO(made["pdf"].data)).pages[0].extract_text())
    assert squeezed("#1 $x$ `a` @b <i>&") in pdf


@pytest.mark.parametrize("name", ["page", "pdf", "docx"])
def test_every_rule_that_hits_is_told(made: dict[str, Any], name: str) -> None:
    data = made[name].data
    if name == "page":
        text = "".join(words_of(data).words)
    elif name == "pdf":
        text = "".join(p.extract_text() for p in pypdf.PdfReader(io.BytesIO(data)).pages)
    else:
        text = "".join(p.text for p in docx.Document(io.BytesIO(data)).paragraphs)
    hit = [r for r in made["report"]["rules"] if r["verdict"] in ("refuse", "consent", "note")]
    assert hit
    for rule in hit:
        assert rule["number"] in text
        assert squeezed(rule["title"]["zh"]) in squeezed(text)


def test_the_page_asks_for_nothing(made: dict[str, Any]) -> None:
    assert words_of(made["page"].data).asked == []


def test_the_same_check_gives_the_same_bytes(city: Urls, made: dict[str, Any]) -> None:
    again = check(city)
    assert again["report"]["fingerprint"] == made["report"]["fingerprint"]
    for name in ("page", "pdf", "docx"):
        assert again[name].data == made[name].data, name


def test_tables_of_the_docx_repeat_their_header_and_keep_rows_whole(made: dict[str, Any]) -> None:
    document = docx.Document(io.BytesIO(made["docx"].data))
    assert document.tables
    for table in document.tables:
        assert "w:tblHeader" in table.rows[0]._tr.xml
        assert all("w:cantSplit" in r._tr.xml for r in table.rows)
