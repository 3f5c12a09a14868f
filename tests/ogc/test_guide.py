# SPDX-License-Identifier: Apache-2.0
"""Every address in the web developers' guide, and every example the pages offer, is answered by the real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
from starlette.testclient import TestClient

from geocloud.catalogue.keys import add_key
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import Access, read_layers
from geocloud.db.cluster import Urls
from geocloud.settings import Settings
from geocloud.web.app import create_app

from .conftest import layers_folder

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "web-developers.md"
# Method, address, headers and body of a change, as the guide writes it over several lines.
CHANGES = re.findall(
    r"curl -i -X (\w+) '([^']+)' \\\n(?:  .*\\\n)*?  -H 'Content-Type: ([^']+)' -d '([^']+)'",
    GUIDE.read_text(encoding="utf-8"),
)
ADDRESSES = re.findall(r"curl '([^']+)'", GUIDE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def client(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The application in this process over the project's layers, with one county, which may be edited."""
    conn = psycopg2.connect(urls.owner)
    layers, codes = read_layers(layers_folder())
    layers["base.county"] = layers["base.county"].model_copy(update={"access": Access(edit=True)})
    sync(conn, layers, codes)
    with conn, conn.cursor() as cur:
        cur.execute(
            "INSERT INTO base.county (code, name, kind, population, geom) "
            "VALUES ('371502', '东昌府区', 'district', 900000,"
            " ST_Multi(ST_MakeEnvelope(115.7, 36.2, 116.2, 36.7, 4490)))"
        )
    conn.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOCLOUD_EDITING", "true")
        patch.setenv("GEOCLOUD_HOME", str(tmp_path_factory.mktemp("home")))
        settings = Settings.read()
    with TestClient(create_app(settings, urls.reader, urls.writer), base_url="http://127.0.0.1:8600") as client:
        yield client


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda a: urlsplit(a).path + "?" + urlsplit(a).query[:40])
def test_guide_address_is_answered_with_the_county(client, address):
    response = client.get(address, headers={"Accept": "*/*"})
    assert response.status_code == 200, response.text
    if urlsplit(address).path.endswith("/items"):
        assert "371502" in response.text and "东昌府区" in response.text


@pytest.mark.parametrize("change", CHANGES, ids=[c[0] for c in CHANGES])
def test_guide_change_is_made(client, urls, change):
    method, address, media_type, body = change
    conn = psycopg2.connect(urls.owner)
    headers = {"X-Api-Key": add_key(conn, f"guide-{method}", ["base.county"]), "Content-Type": media_type}
    conn.close()
    tag = client.get(address).headers["etag"]
    answer = client.request(method, address, content=body, headers=headers | {"If-Match": tag})
    assert answer.status_code == 200, answer.text
    assert answer.json()["properties"]["population"] == 901_000
    assert CHANGES


def test_guide_shows_every_kind_of_question():
    text = " ".join(ADDRESSES)
    for part in ("limit=", "bbox=", "filter=", "filter-lang=cql2-json", "properties=", "sortby=", "crs=", "f=csv"):
        assert part in text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_link_of_every_page_is_answered(client, language):
    start = f"/?f=html&lang={language}"
    seen, waiting = {start}, [start]
    while waiting:
        address = waiting.pop()
        response = client.get(address, headers={"Accept": "text/html"})
        assert response.status_code == 200, (address, response.text[:300])
        if not response.headers["content-type"].startswith("text/html"):
            continue
        assert response.headers["content-language"] == language
        for href in re.findall(r'<(?:a|link)[^>]+href="(/[^"#]*)', response.text):
            link = unescape(href)
            layer = re.match(r"/collections/([^/?]+)", link)
            # The other language is the other run; of layers, three of different kinds stand for all.
            if f"lang={'en' if language == 'zh' else 'zh'}" in link:
                continue
            if layer and layer[1] not in ("base.county", "facility.component", "base.township"):
                continue
            if link not in seen:
                seen.add(link)
                waiting.append(link)
    assert len(seen) > 30


def test_every_example_a_page_offers_is_answered(client):
    offered = set()
    for page in ("/api?f=html", "/collections/base.county?f=html", "/collections/facility.component/queryables?f=html"):
        text = client.get(page).text
        offered |= {
            unescape(a)
            for a in re.findall(r'data-copy="[^"]*?(http://127\.0\.0\.1:8600[^"\s&]*(?:&amp;[^"\s&]*)*)', text)
        }
    items = [a.rstrip('")') for a in offered if "/items" in a]
    assert len(items) >= 5
    for address in items:
        assert client.get(address).status_code == 200, address
