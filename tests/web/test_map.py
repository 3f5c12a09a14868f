# SPDX-License-Identifier: Apache-2.0
"""The map's page, what it is told of the catalogue, and the files it is made of."""

from __future__ import annotations

import gzip
from pathlib import Path

import httpx
import lxml.html
import pytest

import geocloud.web
from tests.web.conftest import SITE, ZONE, City

STATIC = Path(geocloud.web.__file__).parent / "static"


@pytest.mark.parametrize(("lang", "title"), [("zh", "聊城市地图"), ("en", "Liaocheng map")])
def test_page_is_in_the_language_asked_for(client: httpx.Client, lang: str, title: str) -> None:
    answer = client.get("/map", params={"lang": lang})
    assert answer.status_code == 200 and answer.headers["content-language"] == lang
    page = lxml.html.fromstring(answer.text)
    assert page.findtext(".//title") == title
    assert page.get("lang") == ("zh-CN" if lang == "zh" else "en")
    assert not page.xpath("//style|//script[not(@src)]|//*[@style]")


def test_page_is_not_sent_again_unchanged(client: httpx.Client) -> None:
    etag = client.get("/map").headers["etag"]
    assert client.get("/map", headers={"if-none-match": etag}).status_code == 304


@pytest.mark.parametrize("path", ["/map?bbox=1,2,3,4", "/map/layers?collections=x"])
def test_unknown_parameters_are_refused(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers={"accept": "application/json"})
    assert answer.status_code == 400 and answer.json()["detail"]


def test_formats_that_are_not_offered_are_refused(client: httpx.Client) -> None:
    assert client.get("/map?f=json").status_code == 406
    assert client.get("/map/layers?f=html").status_code == 406


def test_layers_are_told_whole_in_both_languages(client: httpx.Client, city: City) -> None:
    document = client.get("/map/layers").json()
    assert document["layers"].keys() == {SITE, ZONE}
    assert [t["layers"] for t in document["themes"]] == [[SITE, ZONE]]
    site = document["layers"][SITE]
    assert site["title"] == {"zh": "Sites(中文)", "en": "Sites"}
    assert site["count"] == len(city.sites) and site["synthetic"] is False
    fields = {f["name"]: f for f in site["fields"]}
    assert "phone" not in fields, "hidden fields are nobody's business"
    assert fields["height"]["unit"] == "m" and fields["kind"]["codes"] == "site_kind"
    assert [c["code"] for c in document["codes"]["site_kind"]] == ["lamp", "tree", "bin"]
    west, south, east, north = site["extent"]
    assert west == pytest.approx(min(r["x"] for r in city.sites.values()))
    assert north == pytest.approx(max(r["y"] for r in city.sites.values()))
    assert document["extent"][0] <= west <= east <= document["extent"][2] and south < north


@pytest.mark.parametrize("name", ["map/app.js", "map/map.css", "vendor/maplibre-gl/maplibre-gl.mjs"])
def test_files_are_compressed_and_kept_by_validator(client: httpx.Client, name: str) -> None:
    plain = client.get(f"/static/{name}")
    assert plain.content == (STATIC / name).read_bytes() and "content-encoding" not in plain.headers
    wanted = "text/css" if name.endswith(".css") else "text/javascript"
    assert plain.headers["content-type"] == f"{wanted}; charset=utf-8"
    for encoding in ("gzip", "br"):
        headers = {"accept-encoding": encoding}
        with client.stream("GET", f"/static/{name}", headers=headers) as answer:
            sent = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == encoding and int(answer.headers["content-length"]) == len(sent)
        assert len(sent) < len(plain.content) / 2
        if encoding == "gzip":
            assert gzip.decompress(sent) == plain.content
        again = client.get(f"/static/{name}", headers=headers | {"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304 and again.content == b""
    assert client.head(f"/static/{name}").headers["content-length"] == plain.headers["content-length"]


@pytest.mark.parametrize(
    "path", ["/static/vendor/.stamp", "/static/../app.py", "/static/%2e%2e/app.py", "/static/map", "/static/none.js",
             "/static/%2Fetc/passwd", "/static/map/app.js%00"],
)  # fmt: skip
def test_nothing_else_is_served(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404


def test_files_are_not_written(client: httpx.Client) -> None:
    assert client.post("/static/map/app.js", content=b"x").status_code == 405
