# SPDX-License-Identifier: Apache-2.0
"""The real heritage rows of Liaocheng by their recipe; and the demo's culture rows in the database, asked about."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.db.cluster import Urls, admin_url
from geocloud.db.pool import connect
from geocloud.jobs.run import open_run
from geocloud.sectors.culture.on import culture_on
from geocloud.sectors.culture.reach import culture_reach
from geocloud.sectors.registry import definitions
from geocloud.settings import DatabaseSettings, Settings

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "geocloud/sectors/culture/recipes/liaocheng.yaml"
SETTINGS = Settings()


def _ask(url: str, sql: str) -> list[tuple[Any, ...]]:
    with connect(url, application_name="test") as conn, conn.cursor() as cur:
        cur.execute(sql)
        return list(cur.fetchall())


def test_real_rows_say_how_far_they_can_be_trusted(
    cluster: DatabaseSettings, database: str, urls: Urls, shared_data: Path, open_tmp: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "geocloud.cli", "load", "--recipe", str(RECIPE), "--data", str(shared_data), "--json"],
        capture_output=True, timeout=300, check=False, cwd=ROOT,
        env=os.environ | {"GEOCLOUD_DATABASE_URL": admin_url(cluster, database),
                          "GEOCLOUD_HOME": str(open_tmp / "culture")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert [(x["layer"], x["new"], x["rejected"]) for x in json.loads(done.stdout)] == [
        ("facility.heritage_site", 23, 0),
        ("culture.intangible_heritage", 9, 0),
    ]
    sites = _ask(
        urls.owner, "SELECT position_quality, geom IS NULL, count(*) FROM facility.heritage_site GROUP BY 1, 2"
    )
    assert set(sites) == {("area", False, 21), ("none", True, 2)}
    levels = _ask(urls.owner, "SELECT level, count(*) FROM facility.heritage_site WHERE level = 'national' GROUP BY 1")
    assert levels == [("national", 7)]
    craft = _ask(
        urls.owner,
        "SELECT level, position_quality, count(*), count(geom) FROM culture.intangible_heritage GROUP BY 1, 2",
    )
    assert set(craft) == {("national", "none", 2, 0), ("unknown", "none", 7, 0)}


def test_the_demo_answers(fresh_urls: Urls) -> None:
    with connect(fresh_urls.owner, application_name="test") as conn:
        sync(conn, *definitions(SETTINGS.city))
    demo.load(fresh_urls.owner, "small", layers=["base.county"])
    with open_run(SETTINGS, fresh_urls.reader, language="en") as run:
        nothing = culture_reach(run, "base.county")
    assert {r["why"] for r in nothing["rows"]} == {"the layer of venues is empty"}
    layers = ["base.township", "facility.culture_venue", "culture.event", "culture.trail"]
    assert {x.outcome for x in demo.load(fresh_urls.owner, "small", layers=layers)} == {"loaded"}
    with open_run(SETTINGS, fresh_urls.reader) as run:
        found = culture_on(run, 115.98, 36.45, 20_000, "2026-05-01/2026-05-03")
        reach = culture_reach(run, "base.township", 3_000)
        county = culture_reach(run, "base.county", 3_000)
    assert found["synthetic"] and found["numberReturned"] > 3
    assert all("示例" in f["properties"]["name"] for f in found["features"])
    assert reach["synthetic"] and reach["totals"]["districts"] == 136
    assert 0 < reach["totals"]["share_reached"] <= 1
    inside = sum(r["venues_inside"] for r in reach["rows"])
    assert inside <= reach["totals"]["venues"]
    assert {r["verdict"] for r in county["rows"]} == {"not-judged"}
    # Venues that events name are the ones they happen at.
    lost = _ask(
        fresh_urls.owner,
        "SELECT count(*) FROM culture.event e LEFT JOIN facility.culture_venue v ON v.code = e.venue_code"
        " WHERE v.code IS NULL OR ST_Distance(v.geom::geography, e.geom::geography) > 0.1",
    )
    assert lost == [(0,)]
