# SPDX-License-Identifier: Apache-2.0
"""Keys of edits: asked for, of their layers alone, revoked at once, in no log; and those of QGIS."""

from __future__ import annotations

import json

import httpx

from tests.web.editing import (
    ITEMS,
    PATCH,
    POST,
    QUIET,
    Keys,
    Table,
    created,
    draft,
    problem,
)


def test_keys_are_asked_for(edit: httpx.Client, keys: Keys) -> None:
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"x-api-key": keys.full + "x"},
        {"authorization": "Basic x"},
    ):
        bare = httpx.post(
            str(edit.base_url.join(ITEMS)), json=draft(), headers=POST | headers | {"accept-language": "en"}
        )
        problem(bare, 401, "not-authorized")
        assert bare.headers["www-authenticate"].startswith("Bearer")
        assert keys.full not in bare.text
    by_header = httpx.post(str(edit.base_url.join(ITEMS)), json=draft(), headers=POST | {"x-api-key": keys.full})
    assert by_header.status_code == 201


def test_key_of_another_layer_is_refused(edit: httpx.Client, keys: Keys) -> None:
    headers = POST | {"authorization": f"Bearer {keys.elsewhere}"}
    document = problem(edit.post(ITEMS, json=draft(), headers=headers), 403, "forbidden")
    assert document["layers"] == [QUIET] and keys.elsewhere not in json.dumps(document)


def test_revoked_key_ends(edit: httpx.Client, table: Table, keys: Keys) -> None:
    secret = keys.make("short-lived")
    headers = POST | {"authorization": f"Bearer {secret}"}
    table.until(lambda: edit.post(ITEMS, json=draft(), headers=headers).status_code == 201)
    table.run("UPDATE geocloud.edit_key SET revoked_at = now() WHERE name = 'short-lived'")
    table.until(lambda: edit.post(ITEMS, json=draft(), headers=headers).status_code == 401)


def test_keys_are_in_no_log(edit: httpx.Client, keys: Keys) -> None:
    created(edit)
    text = keys.log.read_text()
    assert '"key":"full"' in text and '"event":"created"' in text
    assert not any(secret in text for secret in keys.secrets)


def test_program_that_cannot_send_versions(edit: httpx.Client, keys: Keys) -> None:
    """The requests of QGIS 3.32 and newer as its OAPIF provider makes them: no If-Match, one patch a kind of change."""
    headers = {"authorization": f"Bearer {keys.qgis}", "accept": "*/*"}
    allow = edit.request("OPTIONS", ITEMS, headers=headers).headers["allow"]
    assert "POST" in allow
    feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [36.5, 116.0]},
               "properties": draft()["properties"] | {"name": None, "height": None}}  # fmt: skip
    uri = "http://www.opengis.net/def/crs/EPSG/0/4490"
    made = edit.post(
        ITEMS, json=feature, headers=headers | {"content-type": "application/geo+json", "content-crs": uri}
    )
    assert made.status_code == 201, made.text
    path = f"{ITEMS}/{made.headers['location'].rsplit('/items/', 1)[1]}"
    allow = edit.request("OPTIONS", path, headers=headers).headers["allow"]
    assert {"PUT", "PATCH", "DELETE"} <= set(allow.split(", "))
    point = {"geometry": {"type": "Point", "coordinates": [36.6, 116.1]}}
    moved = edit.patch(path, json=point, headers=headers | PATCH | {"content-crs": uri})
    named = edit.patch(path, json={"properties": {"name": "Q"}}, headers=headers | PATCH)
    assert (moved.status_code, named.status_code) == (200, 200)
    now = edit.get(path).json()
    assert now["geometry"]["coordinates"] == [116.1, 36.6] and now["properties"]["name"] == "Q"
    assert edit.delete(path, headers=headers).status_code == 204
