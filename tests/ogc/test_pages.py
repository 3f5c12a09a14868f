# SPDX-License-Identifier: Apache-2.0
"""HTML pages: whole, in one language, safe, and free of anything from outside."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import lxml.html
import pytest

import geocloud
from geocloud import ogc
from geocloud.jobs.job import Job
from geocloud.ogc import processes
from geocloud.ogc.html import PAGES
from geocloud.sectors import registry

from .conftest import BASE

PACKAGE = Path(geocloud.__file__).parent
STATIC, TEMPLATES = PACKAGE / "web" / "static", PACKAGE / "ogc" / "templates"
CHINESE = re.compile(r"[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]")
SQUARE = {"type": "Polygon", "coordinates": [[[116, 36.4], [116.01, 36.4], [116.01, 36.41], [116, 36.41], [116, 36.4]]]}


def feature(fid=1, geometry=SQUARE, **properties):
    names = {"code": None, "grade": None, "height": None, "built": None, "seen": None, "open": None, "shown_only": None}
    return {"type": "Feature", "id": fid, "geometry": geometry, "properties": names | properties}


def page_of(ctx, name, query=(), **changed):
    """A page of the awkward layer, or of the service."""
    layer = "lab.awkward"
    of_layer = {"path": f"/collections/{layer}", "collection": layer}
    given = {
        "landing": (ogc.landing, {}),
        "conformance": (ogc.conformance, {}),
        "collections": (ogc.collections, {"path": "/collections"}),
        "openapi": (ogc.openapi, {"path": "/api"}),
        "collection": (lambda c: ogc.collection(c, layer), of_layer),
        "queryables": (lambda c: ogc.queryables(c, layer), of_layer),
        "sortables": (lambda c: ogc.sortables(c, layer), of_layer),
        "schema": (lambda c: ogc.schema(c, layer), of_layer),
        "items": (lambda _: items(), {**of_layer, "path": f"/collections/{layer}/items"}),
        "item": (lambda _: feature(code="a"), {**of_layer, "path": f"/collections/{layer}/items/1"}),
        "versions": (lambda _: versions(), {**of_layer, "path": f"/collections/{layer}/items/1/versions"}),
        "processes": (lambda c: processes.process_list(c, registry.processes()), {"path": "/processes"}),
        "process": (lambda c: processes.process(c, registry.find("area-stat")), {"path": "/processes/area-stat"}),
        "jobs": (lambda c: processes.job_list(c, [job()]), {"path": "/jobs"}),
        "job": (
            lambda c: processes.status_info(c, job()),
            {"path": "/jobs/1", "outputs": [], "title": ctx.say("面积统计", "Area")},
        ),
        "changes": (lambda _: changes(), {**of_layer, "path": f"/collections/{layer}/changes"}),
        "error": (lambda c: ogc.problem_of_status(c, 500, "/x", id="abc"), {}),
    }
    make, extra = given[name]
    return ogc.render(name, ctx, changed.pop("document", None) or make(ctx), query=query, **(extra | changed))


def items(*features, **more):
    found = list(features) or [feature(1, code="a", grade=1), feature(2, None, code="b", grade=2)]
    return {"type": "FeatureCollection", "features": found, "numberReturned": len(found), "links": [], **more}


def versions():
    found = []
    for n, (start, end) in enumerate(((None, "2020-01-01T00:00:00Z"), ("2020-01-01T00:00:00Z", None))):
        said = {
            "id": f"a.{n}",
            "validFrom": start,
            "validTo": end,
            "knownFrom": "2020-01-02T00:00:00Z",
            "knownTo": None,
        }
        links = [{"rel": "self", "href": f"{BASE}/collections/lab.awkward/items/1/versions/a.{n}"}]
        version = said | {"change": "update", "by": "full"}
        found.append(feature(code="a", grade=n) | {"version": version, "links": links})
    return items(*found)


def changes():
    kinds = ("added", "removed", "moved", "reshaped", "attributes")
    what = {"change_kinds": ["attributes"], "change_fields": {"grade": {"was": 1, "is": 2}}}
    changed = feature(code="a", grade=2)
    changed["properties"] |= what
    summary = {"features": {"from": 1, "to": 1}, "changed": 1, "kinds": dict.fromkeys(kinds, 0), "fields": []}
    moments = {"from": "2020-01-01T00:00:00Z", "to": "2021-01-01T00:00:00Z", "by": "valid", "numberMatched": 1}
    return items(changed, summary=summary | {"area_m2": None, "length_m": None}, **moments)


def job():
    """A job that runs, since noon."""
    noon = datetime(2026, 11, 22, 4, tzinfo=UTC)
    said = ("面积统计", "adding up")
    return Job(
        "1",
        "area-stat",
        "{}",
        ["table"],
        "raw",
        "en",
        None,
        "running",
        0.5,
        *said,
        None,
        None,
        1,
        noon,
        noon,
        None,
        noon,
    )


def tree(html):
    return lxml.html.document_fromstring(html)


def words(node):
    return " ".join(node.text_content().split())


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_page_has_the_frame_that_readers_need(context, name, language):
    page = tree(page_of(context(language), name))
    assert page.get("lang") == {"zh": "zh-CN", "en": "en"}[language]
    assert len(page.xpath("//h1")) == 1 and words(page.xpath("//h1")[0])
    assert words(page.xpath("//title")[0])
    assert page.xpath("//a[@class='skip']/@href") == ["#main"] and page.xpath("//main[@id='main']")
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    for field in page.xpath("//input[not(@type='hidden')]|//select"):
        assert page.xpath(f"//label[@for='{field.get('id')}']"), field.get("name")
    for svg in page.xpath("//*[local-name()='svg']"):
        assert svg.get("aria-hidden") == "true" or svg.get("aria-label")


@pytest.mark.parametrize("name", PAGES)
def test_english_page_holds_no_chinese(context, name):
    page = tree(page_of(context("en"), name))
    for switch in page.xpath("//a[contains(@class, 'language')]"):
        switch.drop_tree()
    texts = [t for t in page.xpath("//text()|//@title|//@placeholder|//@aria-label|//@data-none") if CHINESE.search(t)]
    assert texts == []


@pytest.mark.parametrize("name", PAGES)
def test_chinese_page_is_worded_in_chinese(context, name):
    chinese, english = (tree(page_of(context(language), name)) for language in ("zh", "en"))
    for path in ("//h1", "//h2", "//h3", "//label", "//thead//th", "//dt", "//button", "//nav//a[not(@class)]"):
        theirs = {words(x) for x in english.xpath(path)}
        same = [w for w in map(words, chinese.xpath(path)) if w in theirs and re.search(r"[A-Za-z]{4}", w)]
        # Names of standards, programs and codes are the same in both.
        assert [w for w in same if not re.search(r"OGC|CQL2|QGIS|GDAL|Python|EPSG|^\w+$", w)] == []


@pytest.mark.parametrize("name", PAGES)
def test_page_loads_nothing_from_outside_and_nothing_inline(context, name):
    page = tree(page_of(context(), name))
    loaded = page.xpath(
        "//script/@src|//link[@rel!='alternate']/@href|//img/@src|//iframe/@src|//source/@src|//form/@action"
    )
    assert loaded and all(address.startswith("/") and not address.startswith("//") for address in loaded)
    for address in loaded:
        if address.startswith("/static/"):
            assert (STATIC / address.removeprefix("/static/")).is_file()
    assert not page.xpath("//style|//script[not(@src)]|//*[@style]|//base|//object|//embed")
    assert not [a for a in page.xpath("//@*") if re.match(r"\s*javascript:", a)]
    assert not [e for e in page.iter() if any(str(k).startswith("on") for k in e.attrib)]


OURS = sorted(p for d in (STATIC, TEMPLATES) for p in d.rglob("*.*") if "vendor" not in p.relative_to(PACKAGE).parts)


@pytest.mark.parametrize("path", OURS, ids=lambda p: p.name)
def test_what_the_browser_loads_names_no_other_host(path):
    text = path.read_text(encoding="utf-8").replace('"http://www.w3.org/2000/svg"', "")
    # A script's own function may be called `url`; in style sheets and markup it loads something.
    loads = "" if path.suffix == ".js" else r"|(?<![.\w])url\(\s*['\"]?(?!#)"
    assert re.findall(r"https?://[^\s\"')]+|@import" + loads, text) == []


@pytest.mark.parametrize("name", ["collections", "collection", "schema", "items", "item"])
def test_texts_of_layers_and_rows_cannot_become_markup(context, name):
    attack = "<img src=x onerror=alert(1)>\"'"
    document = {
        "items": items(feature(1, code=attack, shown_only=attack)),
        "item": feature(1, code=attack, shown_only=attack),
    }.get(name)
    html = page_of(context(), name, document=document)
    page = tree(html)
    assert not page.xpath("//img|//b|//script[not(@src)]") and "<img" not in html
    if document:
        assert attack in page.text_content()
    else:
        assert "<b>怪\"层'" in page.text_content()


def test_query_cannot_break_out_of_the_form_or_links(context):
    attack = '"><script>alert(1)</script>'
    page = tree(page_of(context(), "items", query=[("filter", attack), ("x", attack), ("lang", "zh")]))
    assert page.xpath("//input[@name='filter']/@value") == [attack]
    assert page.xpath("//input[@name='x']/@value") == [attack]
    assert not page.xpath("//script[not(@src)]")
    switch = urlsplit(page.xpath("//a[contains(@class, 'language')]/@href")[0])
    assert dict(parse_qsl(switch.query)) == {"filter": attack, "x": attack, "lang": "en"}


def test_asked_language_stays_on_every_link_inside(context):
    page = tree(page_of(context("en"), "collection", query=[("lang", "en")]))
    inside = [a for a in page.xpath("//a[not(contains(@class, 'language'))]/@href") if a.startswith("/")]
    assert inside and all(dict(parse_qsl(urlsplit(a).query)).get("lang") == "en" for a in inside)


def test_collections_page_lists_every_layer_once_under_its_theme(context, catalogue):
    page = tree(page_of(context(), "collections"))
    listed = [a.split("/")[-1] for a in page.xpath("//li[@class='row']/a/@href")]
    assert sorted(listed) == sorted(catalogue.layers)
    for section in page.xpath("//section[@data-group]"):
        theme = section.get("aria-labelledby").removeprefix("theme-")
        assert {a.split("/")[-1].split(".")[0] for a in section.xpath(".//li/a/@href")} == {theme}
    marked = {a.get("href").split("/")[-1] for a in page.xpath("//li[@class='row']/a[.//span[@class='badge']]")}
    assert marked == {x.id for x in catalogue.layers.values() if x.synthetic}


def test_landing_page_counts_what_the_catalogue_holds(context, catalogue):
    figures = words(tree(page_of(context(), "landing")).xpath("//p[@class='figures']")[0])
    total = sum(x.state.row_count for x in catalogue.layers.values())
    assert f"{len(catalogue.layers)} 个数据集" in figures and f"{total:,} 条要素" in figures
    assert "2026年11月22日 14:03" in figures


def test_items_page_explains_codes_and_tells_blank_fields(context):
    page = tree(page_of(context(), "items"))
    rows = [[words(c) for c in r.xpath("./th|./td")] for r in page.xpath("//table[@class='items']//tr")]
    assert rows == [["编号", "编码", "等级"], ["1", "a", "一级 1"], ["2", "b", "二级 2"]]
    blank = words(page.xpath("//p[contains(., '没有取值')]")[0])
    assert all(w in blank for w in ("高", "建成", "观测", "开放", "仅显示")) and "机密" not in page.text_content()
    assert "1 个要素没有几何" in words(page.xpath("//figcaption")[0])


@pytest.mark.parametrize(
    ("query", "drawn"),
    [
        ([], True),
        ([("crs", "http://www.opengis.net/def/crs/OGC/1.3/CRS84")], True),
        ([("crs", "http://www.opengis.net/def/crs/EPSG/0/4490")], False),
        ([("crs", "http://www.opengis.net/def/crs/EPSG/0/4527")], False),
    ],
    ids=["default", "crs84", "4490-latitude-first", "4527-metres"],
)
def test_only_longitude_and_latitude_are_drawn_and_measured(context, query, drawn):
    items_page, item_page = (tree(page_of(context(), name, query=query)) for name in ("items", "item"))
    assert bool(items_page.xpath("//figure")) is drawn
    assert bool(item_page.xpath("//dt[contains(., '椭球')]")) is drawn


def test_item_page_measures_as_pyproj_does(context):
    import pyproj

    lon, lat = zip(*SQUARE["coordinates"][0], strict=True)
    area = abs(pyproj.Geod(a=6378137.0, rf=298.257222101).polygon_area_perimeter(lon, lat)[0])
    shown = words(tree(page_of(context(), "item")).xpath("//dt[contains(., '椭球')]/following-sibling::dd")[0])
    hectares, mu = (float(x.replace(",", "")) for x in re.findall(r"[\d.,]+", shown))
    assert hectares == pytest.approx(area / 1e4, rel=5e-3) and mu == pytest.approx(area * 15 / 1e4, rel=5e-3)


def test_paging_links_stay_pages_on_this_host(context):
    document = items(
        links=[{"rel": "next", "href": f"{BASE}/collections/lab.awkward/items?f=json&limit=2&token=a%2Bb"}]
    )
    page = tree(page_of(context(), "items", document=document))
    assert page.xpath("//nav[@class='paging']/a/@href") == ["/collections/lab.awkward/items?limit=2&token=a%2Bb&f=html"]


def test_empty_answer_says_what_to_do(context):
    document = {"type": "FeatureCollection", "features": [], "numberMatched": 0, "links": []}
    page = tree(page_of(context(), "items", document=document, query=[("filter", "grade = 9")]))
    assert "没有符合条件的要素" in page.text_content()
    assert page.xpath("//a[contains(., '清除条件')]/@href") == ["/collections/lab.awkward/items?f=html"]


def test_unknown_page_is_a_key_error(context):
    with pytest.raises(KeyError):
        ogc.render("nothing", context(), {})


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_what_it_is_on(theme):
    css = (STATIC / "geocloud.css").read_text(encoding="utf-8")
    block = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[theme]
    colour = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    on = {
        "ink": ("page", "surface", "soft", "ground"),
        "secondary": ("page", "surface", "soft", "ground"),
        "accent": ("page", "surface", "soft"),
        "good": ("surface",),
        "on-accent": ("accent",),
    }
    weak = {(a, b): round(contrast(colour[a], colour[b]), 2) for a, bs in on.items() for b in bs}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}
    assert contrast(colour["field-line"], colour["surface"]) >= 3  # WCAG 2.2, 1.4.11: edges of controls
