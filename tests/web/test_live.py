# SPDX-License-Identifier: Apache-2.0
"""What is published or retired is so in every running worker within a second, without a restart."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import psycopg2
import pytest

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import LayerSpec
from tests.web.conftest import SITE_KINDS, City, site_spec, zone_spec

# Fresh connections, so that both workers are asked.
ASKED = 40


def statuses(server: str, path: str) -> set[int]:
    found = set()
    for _ in range(ASKED):
        with httpx.Client(base_url=server) as client:
            found.add(client.get(path).status_code)
    return found


def within_a_second(holds: Callable[[], bool]) -> bool:
    began = time.monotonic()
    while time.monotonic() - began < 1:
        if holds():
            return True
    return holds()


@pytest.fixture
def publish(city: City) -> Callable[[list[LayerSpec]], None]:
    def run(layers: list[LayerSpec]) -> None:
        conn = psycopg2.connect(city.urls.owner)
        sync(conn, {x.id: x for x in layers}, {"site_kind": SITE_KINDS})
        conn.close()

    return run


def test_layer_appears_changes_and_goes(server: str, publish: Callable[[list[LayerSpec]], None]) -> None:
    extra = site_spec().model_copy(update={"id": "test.bench"})
    path = "/collections/test.bench/items"
    assert statuses(server, path) == {404}
    publish([site_spec(), zone_spec(), extra])
    assert within_a_second(lambda: statuses(server, path) == {200})
    renamed = extra.model_copy(update={"title": extra.title.model_copy(update={"en": "Benches"})})
    publish([site_spec(), zone_spec(), renamed])
    assert within_a_second(lambda: httpx.get(f"{server}/collections/test.bench?lang=en").json()["title"] == "Benches")
    publish([site_spec(), zone_spec()])
    assert within_a_second(lambda: statuses(server, path) == {404})


def test_row_that_is_written_is_counted(server: str, city: City) -> None:
    path = f"{server}/collections/test.zone/items?limit=1"
    before = httpx.get(path).json()["numberMatched"]
    city.run("INSERT INTO test.zone (code) VALUES ('new')")
    assert within_a_second(lambda: httpx.get(path).json()["numberMatched"] == before + 1)
    city.run("DELETE FROM test.zone WHERE code = 'new'")
    assert within_a_second(lambda: httpx.get(path).json()["numberMatched"] == before)


@pytest.mark.parametrize("more", ["", "&sortby=-label", "&sortby=label&limit=2000"], ids=["page", "sorted", "streamed"])
def test_row_that_ended_is_found_at_its_time_only(server: str, city: City, more: str) -> None:
    city.run(
        "INSERT INTO test.zone (code, label, valid_from) VALUES ('old', 'first', '2019-01-01+08')",
    )
    city.run("UPDATE test.zone SET label = 'second', valid_from = '2021-01-01+08' WHERE code = 'old'")
    path = f"{server}/collections/test.zone/items?code=old{more}"

    def labels(moment: str) -> list[str]:
        document = httpx.get(f"{path}&datetime={moment}").json()
        return [f["properties"]["label"] for f in document["features"]]

    assert labels("2018-12-31") == []
    assert labels("2019-01-01") == ["first"]
    assert labels("2020-12-31T15:59:59Z") == ["first"]
    assert labels("2020-12-31T16:00:00Z") == ["second"]
    assert labels("2019-06-01/2021-06-01") == ["second"]
    assert [f["properties"]["label"] for f in httpx.get(path).json()["features"]] == ["second"]
    city.run("DELETE FROM test.zone WHERE code = 'old'")
    city.run("DELETE FROM history.\"test.zone\" WHERE code = 'old'")
