# SPDX-License-Identifier: Apache-2.0
"""The API definition of sums by areas: every path is in it with its parameters, generated requests break nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from geocloud.web import aggregate
from tests.overlay.areal import DOT, city, client, server

__all__ = ["city", "client", "server"]

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_every_path_is_defined_with_its_parameters(client: httpx.Client) -> None:
    told = client.get("/api", params={"f": "json"}).json()["paths"]
    base = "/collections/{collectionId}/aggregate"
    tile = base + "/tiles/{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}"
    place = {"tileMatrixSetId", "tileMatrix", "tileRow", "tileCol"}
    for path, names in {
        base: {*aggregate.AGGREGATE_PARAMETERS, "f", "lang"},
        tile: {*aggregate.TILE_PARAMETERS, *place},
    }.items():
        said = {p.get("name") or p["$ref"].rsplit("/", 1)[-1] for p in told[path]["get"]["parameters"]}
        assert said == {*names, "collectionId"}


def test_collections_lead_to_it(client: httpx.Client) -> None:
    links = client.get(f"/collections/{DOT}", params={"f": "json"}).json()["links"]
    (found,) = [x for x in links if "/aggregate?" in x["href"]]
    assert client.get(found["href"]).status_code == 200


def test_generated_requests_find_nothing_wrong(server: str, tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "schemathesis"
    command = [str(program), "run", f"{server}/api?f=json", "--max-examples", "25", "--phases", "coverage,fuzzing",
               "--include-path-regex", "/aggregate$|/aggregate/tiles",
               "--exclude-path", "/sensing/aggregate", "-c", CHECKS, "--continue-on-failure", "--no-color",
               "--seed", "20261129"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "SELECT" not in done.stdout and "Traceback" not in done.stdout
