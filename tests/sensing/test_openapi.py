# SPDX-License-Identifier: Apache-2.0
"""The API definition of readings: every path of the server is in it, and generated requests break nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from geocloud.web import sensing, sensing_in

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_every_path_is_defined_with_its_parameters(client: httpx.Client) -> None:
    told = client.get("/api", params={"f": "json"}).json()["paths"]
    parameters = {
        "/sensing/datastreams": sensing.DATASTREAMS, "/sensing/latest": sensing.LATEST,
        "/sensing/datastreams/{datastream}/observations": sensing.OBSERVATIONS, "/sensing/aggregate": sensing.AGGREGATE,
        "/collections/{collectionId}/latest": sensing.COLLECTION,
    }  # fmt: skip
    for path, _ in sensing.ROUTES:
        assert path.replace("{collection}", "{collectionId}") in told
    for path, names in parameters.items():
        said = {p.get("name") or p["$ref"].rsplit("/", 1)[-1] for p in told[path]["get"]["parameters"]}
        assert said == {*names, "f", "lang", *({"datastream"} if "{datastream}" in path else set()),
                        *({"collectionId"} if "collectionId" in path else set())}  # fmt: skip
    said = {p.get("name") or p["$ref"].rsplit("/", 1)[-1] for p in told["/sensing/observations"]["post"]["parameters"]}
    assert said == {*sensing_in.PARAMETERS, sensing_in.FORM, "lang"}


def test_no_class_of_a_standard_is_declared_for_them(client: httpx.Client) -> None:
    said = client.get("/conformance", params={"f": "json"}).text
    assert "sensorthings" not in said.lower() and "edr" not in said


def test_generated_requests_find_nothing_wrong(base: str, tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "schemathesis"
    command = [str(program), "run", f"{base}/api?f=json", "--max-examples", "25", "--phases", "coverage,fuzzing",
               "--include-path-regex", "^/sensing/(layers|datastreams|latest|aggregate)|/latest$",
               "-c", CHECKS, "--continue-on-failure", "--no-color", "--seed", "20261129"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "SELECT" not in done.stdout and "Traceback" not in done.stdout
