# SPDX-License-Identifier: Apache-2.0
"""The dates of a layer, in Beijing days, from rows of the present and of the past."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from .conftest import City, run_server

PATH = "/collections/test.zone/times"


CORRECT = "SET LOCAL geocloud.change = 'correction'; UPDATE test.zone SET "


@pytest.fixture(scope="module")
def dated(city: City) -> City:
    """A zone that begins and ends; one that begins at 00:30 in Beijing and then changes; one without dates."""
    for change in (
        "valid_from = '2021-03-05T00:00:00+08', valid_to = '2030-07-01T00:00:00+08' WHERE code = 'triangle'",
        "valid_from = '2024-12-31T16:30:00Z' WHERE code = 'square'",
        "valid_from = '-infinity' WHERE code = 'far'",
    ):
        city.run(CORRECT + change)
    city.run("UPDATE test.zone SET label = 'moved', valid_from = '2026-01-05T12:00:00+08' WHERE code = 'square'")
    return city


@pytest.fixture(scope="module")
def base(dated: City, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from run_server(dated.urls.reader, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def narrow(dated: City, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from run_server(dated.urls.reader, tmp_path_factory.mktemp("home"), GEOCLOUD_TIME_STEPS_MAX="2")


def get(base: str, path: str = PATH) -> dict:
    return httpx.get(base + path, timeout=60).raise_for_status().json()


def test_days_are_beijing_days(base: str) -> None:
    found = get(base)
    assert found["unit"] == "day"
    days = {s["date"]: (s["begins"], s["ends"]) for s in found["steps"]}
    assert days["2021-03-05"] == (1, 0)
    assert days["2025-01-01"] == (1, 0)
    assert days["2026-01-05"] == (1, 1), "a new version begins where the old one ends"
    assert days["2030-07-01"] == (0, 1)
    assert list(days) == sorted(days)
    assert found["from"] == min(days) and found["to"] == "2030-07-01"


def test_more_steps_than_allowed_are_told_by_year(narrow: str, base: str) -> None:
    found = get(narrow)
    assert found["unit"] == "year"
    assert {s["date"] for s in found["steps"]} == {s["date"][:4] + "-01-01" for s in get(base)["steps"]}
    assert sum(s["begins"] for s in found["steps"]) == sum(s["begins"] for s in get(base)["steps"])


def test_parameters_nobody_knows_are_refused(base: str) -> None:
    answer = httpx.get(f"{base}{PATH}?day=1", headers={"accept-language": "en"})
    assert answer.status_code == 400 and answer.json()["parameter"] == "day"


def test_a_layer_nobody_knows(base: str) -> None:
    assert httpx.get(f"{base}/collections/test.nothing/times").status_code == 404


def test_not_sent_again_while_the_layer_is_the_same(base: str) -> None:
    first = httpx.get(base + PATH)
    assert httpx.get(base + PATH, headers={"if-none-match": first.headers["etag"]}).status_code == 304
