# SPDX-License-Identifier: Apache-2.0
"""The planners' notebooks are run against a server with workers, and what they show is looked at."""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import geopandas as gpd
import nbformat
import pandas as pd
import psycopg2
import pytest
from nbclient import NotebookClient
from pypdf import PdfReader

from geocloud import demo
from geocloud.catalogue.keys import add_key
from geocloud.db.cluster import Urls
from geocloud.demo.plan_truth import truth
from geocloud.demo.plans import amendments
from geocloud.demo.water_readings import load_readings
from geocloud.errors import RequestError
from geocloud.notebook import City, charts
from tests.notebooks.conftest import ROOT, Seen
from tests.notebooks.planning import plans_server
from tests.notebooks.test_h3_map import maps_shown


@pytest.fixture(scope="module")
def server(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from plans_server(urls, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def city(server: str) -> City:
    return City(server)


def run(name: str, server: str, folder: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs, run in a folder; kept as a page where GEOCLOUD_TEST_PICTURES says."""
    notebook = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4)
    assert not [c for c in notebook.cells if c.get("outputs") or c.get("execution_count")]
    assert "示例数据" in notebook.cells[0].source
    with mock.patch.dict(os.environ, {"GEOCLOUD_URL": server}):
        NotebookClient(
            notebook, timeout=180, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()
    assert [o["text"] for c in notebook.cells for o in c.get("outputs", ()) if o.get("name") == "stderr"] == []
    if kept := os.environ.get("GEOCLOUD_TEST_PICTURES"):
        nbformat.write(notebook, Path(kept) / f"{name}.ipynb")
    return notebook


def said(notebook: nbformat.NotebookNode) -> str:
    """All texts of the outputs."""
    outputs = [o for c in notebook.cells for o in c.get("outputs", ())]
    return "\n".join(o.get("text", "") + o.get("data", {}).get("text/html", "") for o in outputs)


def charts_shown(notebook: nbformat.NotebookNode) -> int:
    return sum("image/png" in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", ()))


def asks_nobody(paths: list[Path], opened: Callable[..., Seen]) -> list[Seen]:
    """The pages as opened, none of which asks another host or complains."""
    found = [opened(path) for path in paths]
    assert all(s.asked == [p.as_uri()] and s.complaints == [] for s, p in zip(found, paths, strict=True))
    if kept := os.environ.get("GEOCLOUD_TEST_PICTURES"):
        for path, seen in zip(paths, found, strict=True):
            seen.page.screenshot(path=f"{kept}/{path.stem}.png")
    return found


def test_site_check(server: str, city: City, tmp_path: Path, opened: Callable[..., Seen]) -> None:
    notebook = run("site_check", server, tmp_path)
    words = said(notebook)
    assert "不符合" in words and "占用永久基本农田" in words and charts_shown(notebook) == 2
    text = "".join(page.extract_text() for page in PdfReader(tmp_path / "site_check.pdf").pages)
    mark = words.partition("指纹 ")[2][:16]
    assert len(mark) == 16 and mark in text.replace("\n", "")
    pages = sorted(tmp_path.glob("C*.html"))
    assert len(pages) >= 2
    for seen in asks_nobody([*pages, *maps_shown(notebook, tmp_path)], opened):
        assert seen.page.locator("path.feature").count() >= 1
        of_the_site = seen.page.locator(".gc-card h1").inner_text() == "用地范围"
        assert seen.page.locator("path.site").count() == (0 if of_the_site else 1)
        assert of_the_site or "示例数据" in seen.page.locator(".gc-card").inner_text()


def test_plan_versions(server: str, city: City, tmp_path: Path, opened: Callable[..., Seen]) -> None:
    notebook = run("plan_versions", server, tmp_path)
    planted = {a.bsm for a in amendments("small", "planning.master_plan")}
    changes = city.changes("planning.master_plan", "2021-05-31", "2021-06-01")
    assert set(changes["bsm"]) == planted and charts_shown(notebook) == 3
    # What farmland lost is the area of the plots that changed, up to the form of edges: geodesic there, straight here.
    tables = [
        city.run("area-stat", layer="planning.master_plan", datetime=day, districts=None, outputs="table").table
        for day in ("2021-05-31", "2021-06-01")
    ]
    farm = [sum(r["area_m2"] for r in t["rows"] if r["class"] == "E2") for t in tables]
    gone = changes[changes["dldm"] != "E2"]["area_is_m2"].sum()
    assert farm[0] - farm[1] == pytest.approx(gone, rel=1e-5) and gone > 0
    (seen,) = asks_nobody([tmp_path / "plan_versions.html"], opened)
    assert seen.page.locator("path.feature").count() == len(planted)
    lines = (tmp_path / "plan_versions.csv").read_text("utf-8-sig").splitlines()
    assert len(lines) == len(planted) + 1 and "净变化" not in lines[0]


def test_conflicts(server: str, city: City, tmp_path: Path, opened: Callable[..., Seen]) -> None:
    notebook = run("conflicts", server, tmp_path)
    planted = truth("small")
    two = city.run("plan-conflicts", plans=["planning.land_plan", "planning.master_plan"], outputs=["summary", "spots"])
    own = [s for s in planted if s.rule in ("L1", "L2")]
    assert len(two.spots) == two.summary["spots"] == len(own) and charts_shown(notebook) == 2
    assert two.spots["tqmj"].sum() == pytest.approx(sum(s.area_m2 for s in own), rel=1e-4)
    assert two.spots.attrs["synthetic"] is True and two.spots.crs.equals("OGC:CRS84")
    kept = pd.read_csv(tmp_path / "conflicts.csv", encoding="utf-8-sig", dtype={"gzh": str})
    assert kept.groupby("gzh").size().to_dict() == Counter(s.rule for s in planted)
    assert len(gpd.read_file(tmp_path / "conflicts.geojson")) == len(kept) and len(
        PdfReader(tmp_path / "conflicts.pdf").pages
    )
    whole, *close = asks_nobody([tmp_path / "conflicts.html", *sorted(tmp_path.glob("largest_*.html"))], opened)
    assert whole.page.locator("path.feature").count() == len(own) and len(close) == 2
    for seen in close:
        assert seen.page.locator("path.spot").count() == 1 and seen.page.locator("path.feature").count() >= 1


def test_guide_does_what_it_says(server: str, urls: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo.load(urls.owner, "small", layers=["facility.river_gauge"])
    with ThreadPoolExecutor(1) as aside:  # The browser of other tests has a loop of its own in this thread.
        aside.submit(asyncio.run, load_readings(urls.writer)).result()
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs/notebooks.md").read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S)).replace("http://127.0.0.1:8600", server)
    names: dict[str, Any] = {}
    exec(compile(program, "docs/notebooks.md", "exec"), names)
    assert len(names["components"]) > 0 and "category_title" in names["components"]
    assert len(names["near"]) > 0 and {p.name for p in tmp_path.iterdir()} == {
        *(f"{name}.html" for name in ("components", "kinds", "points", "plan", "levels")), "check.pdf", "classes.png",
        "level.png",
    }  # fmt: skip
    assert len(names["gauges"]) > 0 and names["hours"]["mean"].notna().any()
    assert names["check"].fingerprint and names["stat"].csv["area_m2"].sum() > 0


def test_spots_are_recorded_with_a_key_and_drawn(server: str, city: City, urls: Urls) -> None:
    with pytest.raises(RequestError) as caught:
        city.run("plan-conflicts", record=True)
    assert caught.value.context["status"] == 401
    conn = psycopg2.connect(urls.owner)
    key = add_key(conn, "planner", ["planning.difference_spot"])
    conn.close()
    done = City(server, key=key).run("plan-conflicts", record=True, outputs=["summary"])
    kept = city.features("planning.difference_spot", titles=True)
    assert len(kept) == done.summary["spots"] == len(truth("small")) and set(kept["zt_title"]) == {"已发现"}
    left = charts.open_by_day(kept["fxsj"], pd.Series([pd.NaT] * len(kept)))
    assert left.iloc[-1] == len(kept)
    assert charts.burn_down(left, deadline=kept["jzrq"].max(), synthetic=True)._repr_png_()[0][:4] == b"\x89PNG"
