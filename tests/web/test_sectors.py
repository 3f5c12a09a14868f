# SPDX-License-Identifier: Apache-2.0
"""`/sectors` tells every panel in both languages, and only of layers that are published here."""

from __future__ import annotations

import httpx
import pytest

from geocloud.sectors import registry


def test_panels_are_told_whole(client: httpx.Client) -> None:
    answer = client.get("/sectors")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    told = {s["name"]: s for s in answer.json()["sectors"]}
    assert told.keys() == {n for n, s in registry.sectors().items() if s.error is None}
    for name, sector in registry.sectors().items():
        panel = sector.panel
        assert panel is not None
        assert told[name]["title"] == {"zh": panel.title.zh, "en": panel.title.en}
        assert [f["process"] for f in told[name]["functions"]] == [f.process for f in panel.functions]
        assert told[name]["layers"] == [], "this city publishes other layers"
    on = told["culture"]["functions"][0]
    assert on["asks"][0] == {"input": "point", "pick": "point"} and on["example"]["radius_m"] == 5_000
    assert on["layers"] == [] and "culture.event" in on["missing"]
    reach = next(f for f in told["culture"]["functions"] if f["process"] == "culture-reach")
    assert reach["place"] == {"layer": "{districts}", "field": "code"} and reach["verdict"] == "verdict"
    verdict = next(c for c in reach["columns"] if c["name"] == "verdict")
    assert verdict["words"]["not-judged"]["zh"] == "未判定" and verdict["tones"]["not-judged"] == "unknown"


def test_it_is_not_sent_again_unchanged(client: httpx.Client) -> None:
    etag = client.get("/sectors").headers["etag"]
    assert client.get("/sectors", headers={"if-none-match": etag}).status_code == 304


@pytest.mark.parametrize(("query", "status"), [("f=html", 406), ("name=culture", 400), ("lang=fr", 400)])
def test_what_it_does_not_know_is_refused(client: httpx.Client, query: str, status: int) -> None:
    answer = client.get(f"/sectors?{query}")
    assert answer.status_code == status
