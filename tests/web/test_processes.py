# SPDX-License-Identifier: Apache-2.0
"""OGC API Processes over HTTP, with processes that an outside package brings by its entry point."""

from __future__ import annotations

import email
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from geocloud.catalogue.keys import add_key
from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls
from tests.jobs.conftest import settings_of, start_workers, stop_workers
from tests.web.conftest import run_server
from tests.web.editing import ASSET, KINDS, QUIET, asset_spec


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed package, as importlib sees it, that names a module of processes."""
    folder = tmp_path_factory.mktemp("site-packages")
    about = folder / "trial_sector-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: trial-sector\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[geocloud.sectors]\ntrial = tests.jobs.trials\nbroken = tests.jobs.there_is_no_such_module\n"
    )
    return folder


@pytest.fixture(scope="module")
def keys(urls: Urls) -> dict[str, str]:
    conn = psycopg2.connect(urls.owner)
    sync(conn, {ASSET: asset_spec(), QUIET: asset_spec(QUIET, edit=False)}, {"asset_kind": KINDS})
    found = {"asset": add_key(conn, "officer", [ASSET]), "other": add_key(conn, "other", [QUIET])}
    conn.close()
    return found


@pytest.fixture(scope="module")
def client(
    urls: Urls, keys: dict[str, str], outside: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    workers = start_workers(urls, settings_of())
    path = os.pathsep.join([str(outside), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {
        "PYTHONPATH": path,
        "GEOCLOUD_EDITING": "true",
        "GEOCLOUD_JOBS_LISTED": "true",
        "GEOCLOUD_JOB_BODY_KB": "64",
    }
    for base in run_server(urls.reader, tmp_path_factory.mktemp("home"), urls.writer, urls.jobs, **settings):
        headers = {"accept-language": "en", "accept-encoding": "identity"}
        with httpx.Client(base_url=base, headers=headers, timeout=60) as found:
            yield found
    stop_workers(workers)


def _run(client: httpx.Client, process: str, body: Any, **headers: str) -> httpx.Response:
    return client.post(f"/processes/{process}/execution", json=body, headers=headers)


def _ended(client: httpx.Client, at: str) -> dict[str, Any]:
    end = time.monotonic() + 20
    while True:
        found: dict[str, Any] = client.get(at).json()
        if found["status"] not in ("accepted", "running"):
            return found
        assert time.monotonic() < end
        time.sleep(0.05)


def test_processes_of_the_house_and_of_others_are_listed(client: httpx.Client) -> None:
    found = {p["id"]: p for p in client.get("/processes").json()["processes"]}
    assert {"compliance-check", "area-stat", "echo", "doze"} <= found.keys()
    assert found["echo"]["jobControlOptions"] == ["sync-execute", "async-execute", "dismiss"]
    one = client.get("/processes/echo").json()
    assert one["inputs"]["text"] == {
        "title": "Text", "schema": {"type": "string", "maxLength": 20}, "minOccurs": 1, "maxOccurs": 1,
    }  # fmt: skip
    assert one["outputs"]["file"]["schema"] == {"type": "string", "contentMediaType": "text/plain"}
    assert client.get("/processes/echo", params={"lang": "zh"}).json()["title"] == "echo(中文)"
    assert "ogcapi-processes-1/1.0/conf/core" in client.get("/conformance").text
    assert any(x["rel"].endswith("/processes") for x in client.get("/?f=json").json()["links"])


def test_one_raw_output_is_the_answer_itself(client: httpx.Client) -> None:
    answer = _run(client, "echo", {"inputs": {"text": "光岳楼"}, "outputs": {"file": {}}})
    assert (answer.status_code, answer.text) == (200, "光岳楼")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "%E6%96%87%E4%BB%B6.txt" in answer.headers["content-disposition"]
    assert "/jobs/" in answer.headers["link"] and 'rel="monitor"' in answer.headers["link"]


def test_several_raw_outputs_come_in_parts(client: httpx.Client) -> None:
    body = {
        "inputs": {"text": "a", "times": {"value": 5}},
        "outputs": {"answer": {}, "file": {"transmissionMode": "reference"}},
    }
    answer = _run(client, "echo", body)
    message = email.message_from_bytes(
        b"content-type: " + answer.headers["content-type"].encode() + b"\n\n" + answer.content
    )
    parts = {p["content-id"]: p for p in message.get_payload()}  # type: ignore[union-attr, index]
    assert set(parts) == {"<answer>", "<file>"}
    assert '"times":5' in parts["<answer>"].get_payload()  # type: ignore[operator]
    assert client.get(parts["<file>"]["content-location"]).text == "a"


def test_a_document_holds_values_or_addresses(client: httpx.Client) -> None:
    body: dict[str, Any] = {"inputs": {"text": "a"}, "response": "document"}
    whole = _run(client, "echo", body).json()
    assert whole["answer"]["said"] == "a"
    assert whole["file"] == {"value": "a", "mediaType": "text/plain; charset=utf-8"}
    referred = _run(client, "echo", body | {"outputs": {"file": {"transmissionMode": "reference"}}}).json()
    assert client.get(referred["file"]["href"]).text == "a"


def test_in_the_background(client: httpx.Client) -> None:
    body = {"inputs": {"seconds": 1.5}, "response": "document"}
    answer = _run(client, "sleep", body, prefer="respond-async")
    assert (answer.status_code, answer.headers["preference-applied"]) == (201, "respond-async")
    job = answer.json()
    assert (job["processID"], job["type"]) == ("sleep", "process")
    early = client.get(answer.headers["location"] + "/results")
    assert (early.status_code, early.json()["type"]) == (404, "urn:geocloud:problem:no-such-job")
    found = _ended(client, answer.headers["location"])
    assert (found["status"], found["progress"]) == ("successful", 100)
    results = next(x["href"] for x in found["links"] if x["rel"].endswith("/results"))
    assert client.get(results).json() == {"answer": {"slept": 1.5}}
    assert job["jobID"] in [j["jobID"] for j in client.get("/jobs", params={"processID": "sleep"}).json()["jobs"]]


def test_a_request_waits_no_longer_than_it_says(client: httpx.Client) -> None:
    began = time.monotonic()
    answer = _run(client, "sleep", {"inputs": {"seconds": 30}}, prefer="wait=1")
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:geocloud:problem:job-takes-long")
    assert 0.9 < time.monotonic() - began < 5
    gone = client.delete(f"/jobs/{answer.json()['job']}")
    assert (gone.status_code, gone.json()["status"]) == (200, "dismissed")
    assert client.get(f"/jobs/{answer.json()['job']}/results").status_code == 410


def test_a_client_that_goes_away_ends_its_job(client: httpx.Client) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.post("/processes/sleep/execution", json={"inputs": {"seconds": 77}}, timeout=1.0)
    job = client.get("/jobs", params={"processID": "sleep", "limit": 1}).json()["jobs"][0]
    assert _ended(client, f"/jobs/{job['jobID']}")["status"] == "dismissed"


def test_what_a_process_refuses_is_told_as_a_problem(client: httpx.Client) -> None:
    for headers in ({}, {"accept-language": "zh"}):
        said = _run(client, "refuse", {}, **headers)
        assert (said.status_code, said.headers["content-type"]) == (400, "application/problem+json")
        assert (said.json()["gap_m"], said.json()["parameter"]) == (1.5, "x")
        assert said.json()["detail"] == ("数值为奇数。" if headers else "The value is odd.")
    broken = _run(client, "break", {})
    assert (broken.status_code, broken.json()["type"]) == (500, "urn:geocloud:problem:job-failed")
    assert "secret" not in broken.text


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/inputs/text"),
        ({"inputs": {"text": 5}}, "/inputs/text"),
        ({"inputs": {"text": "a" * 21}}, "/inputs/text"),
        ({"inputs": {"text": "a", "times": 0}}, "/inputs/times"),
        ({"inputs": {"text": "a", "other": 1}}, "/inputs/other"),
        ({"inputs": {"text": {"href": "http://127.0.0.1/secret"}}}, "/inputs/text"),
        ({"inputs": {"text": "a"}, "outputs": {"nothing": {}}}, "/outputs/nothing"),
        ({"inputs": {"text": "a"}, "outputs": {"file": {"transmissionMode": "pigeon"}}}, "/outputs/file"),
        ({"inputs": {"text": "a"}, "response": "loud"}, "/response"),
        ({"inputs": {"text": "a"}, "subscriber": {"successUri": "http://127.0.0.1/"}}, "/subscriber"),
        ({"inputs": [], "outputs": []}, "/outputs"),
        ([], ""),
    ],
)  # fmt: skip
def test_requests_that_do_not_fit_are_told_place_by_place(client: httpx.Client, body: Any, pointer: str) -> None:
    answer = _run(client, "echo", body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["violations"][0]["pointer"] == pointer
    assert "todo" in answer.json()


def test_limits_of_bodies_and_kinds(client: httpx.Client) -> None:
    large = _run(client, "echo", {"inputs": {"text": "a" * 70_000}})
    assert (large.status_code, large.headers["connection"]) == (413, "close")
    assert (
        client.post("/processes/echo/execution", content=b"{", headers={"content-type": "application/json"}).status_code
        == 400
    )
    assert (
        client.post("/processes/echo/execution", content=b"{}", headers={"content-type": "text/xml"}).status_code == 415
    )
    assert client.get("/processes/echo/execution").status_code == 405
    assert client.get("/processes/nothing").status_code == 404
    assert _run(client, "nothing", {}).status_code == 404
    assert client.get("/jobs/1").status_code == 404
    assert client.get("/jobs", params={"status": "x"}).status_code == 400
    assert client.get("/reports/0").status_code == 404
    assert "DELETE" in client.options("/jobs/1").headers["allow"]


def test_a_writing_run_needs_a_key_of_its_layer(client: httpx.Client, keys: dict[str, str]) -> None:
    body = {"inputs": {"keep": True}, "outputs": {"answer": {}}}
    assert _run(client, "write", body).status_code == 401
    assert _run(client, "write", body, authorization=f"Bearer {keys['other']}").status_code == 403
    done = _run(client, "write", body, authorization=f"Bearer {keys['asset']}")
    assert done.json() == {"role": "geocloud_writer"}


def test_pages(client: httpx.Client) -> None:
    pages = {"/processes": "Run", "/processes/echo": "data-execute", "/jobs": "echo"}
    for path, words in pages.items():
        page = client.get(path, headers={"accept": "text/html"})
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8"), path
        assert words.lower() in page.text.lower()
    at = _run(client, "echo", {"inputs": {"text": "a"}}, prefer="respond-async").headers["location"]
    _ended(client, at)
    page = client.get(at, headers={"accept": "text/html"}).text
    assert f"{at}/results/file" in page and 'http-equiv="refresh"' not in page
    report = client.get(f"/reports/{'f' * 64}", params={"f": "answer"})
    assert report.json()["fingerprint"] == "f" * 64


def test_jobs_are_not_listed_unless_the_operator_says_so(urls: Urls, tmp_path: Path) -> None:
    for base in run_server(urls.reader, tmp_path, "", urls.jobs):
        assert httpx.get(f"{base}/jobs").status_code == 403
        assert "job-list" not in httpx.get(f"{base}/conformance").text
