# SPDX-License-Identifier: Apache-2.0
"""Differences in notebooks: the frame against two whole reads, and the notebook run and its maps looked at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import nbformat
import numpy as np
import psycopg2
import pytest
from nbclient import NotebookClient

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.demo.year import live_a_year
from geocloud.errors import CatalogueError, RequestError
from geocloud.geodesy.area import areas
from geocloud.notebook import City
from tests.notebooks.conftest import ROOT, Seen
from tests.notebooks.test_h3_map import maps_shown
from tests.web.conftest import run_server

NOTEBOOK = ROOT / "notebooks/changes.ipynb"
LAYERS = ["base.county", "base.water_area", "base.road", "base.parcel"]
START, END = "2024-12-31T23:59:59.999999+08:00", "2025-12-31T23:59:59.999999+08:00"


@pytest.fixture(scope="module")
def year_server(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over demo parcels that have lived through their year."""
    conn = psycopg2.connect(urls.owner)
    sync(conn, *read_layers(ROOT / "layers"))
    conn.close()
    demo.load(urls.owner, "small", layers=LAYERS)
    done = live_a_year(urls.owner)
    assert set(done) == {"used otherwise", "narrowed", "divided", "surveyed anew"} and min(done.values()) > 0
    assert live_a_year(urls.owner) == {}
    yield from run_server(urls.reader, tmp_path_factory.mktemp("home"), GEOCLOUD_WORKERS="1")


@pytest.fixture(scope="module")
def year(year_server: str) -> City:
    return City(year_server)


def test_changes_are_the_difference_of_two_reads(year: City) -> None:
    before = year.features("base.parcel", datetime=START)
    after = year.features("base.parcel", datetime=END)
    found = year.changes("base.parcel", "2024-12-31", "2025-12-31")
    assert set(found.index[found["change"] == "added"]) == set(after.index) - set(before.index)
    assert set(found.index[found["change"] == "removed"]) == set(before.index) - set(after.index)
    both = before.index.intersection(after.index)
    own = [c for c in before.columns if c != "geometry"]
    was, has = before.loc[both, own], after.loc[both, own]
    words = ~((was == has) | (was.isna() & has.isna())).all(axis=1)
    shape = ~before.loc[both].geometry.geom_equals(after.loc[both].geometry)
    kept = found[~found["change"].isin(["added", "removed"])]
    assert set(kept.index) == set(both[words | shape])
    assert set(kept.index[kept["kinds"].str.contains("attributes")]) == set(both[words])
    moved = kept[kept["change"] == "moved"]
    assert len(moved) and np.allclose(moved["moved_m"], 4.5, rtol=0.02)
    gone = found[found["change"] == "removed"]
    assert np.allclose(gone["area_was_m2"].astype(float), areas(before.loc[gone.index].geometry.array), rtol=1e-6)
    assert gone["area_is_m2"].isna().all() and gone.geometry.geom_equals(gone["before"]).all()
    totals = found.attrs["summary"]
    assert totals["features"] == {"from": len(before), "to": len(after)}
    net = areas(after.geometry.array).sum() - areas(before.geometry.array).sum()
    assert totals["area_m2"]["net"] == pytest.approx(net, abs=1)
    assert "right_holder" not in found.columns and found.attrs["synthetic"] is True


def test_a_year_needs_the_demo(fresh_urls: Urls) -> None:
    with pytest.raises(CatalogueError, match="no synthetic rows"):
        live_a_year(fresh_urls.owner)


def test_what_was_believed_before_the_year_was_written(year: City) -> None:
    assert len(year.features("base.parcel", asof="2020-01-01", limit=5)) == 0
    learnt = year.changes("base.parcel", "2020-01-01", by="transaction", kind="added")
    assert len(learnt) == len(year.features("base.parcel"))
    assert len(year.changes("base.parcel", "2023-01-01", "2024-01-01")) == 0
    with pytest.raises(RequestError, match="from"):
        year.changes("base.parcel", "yesterday")


def test_notebook_runs_and_its_maps_ask_nobody(
    year_server: str, year: City, tmp_path: Path, opened: Callable[..., Seen]
) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not [c for c in notebook.cells if c.get("outputs") or c.get("execution_count")]
    assert "示例数据" in notebook.cells[0].source
    with mock.patch.dict(os.environ, {"GEOCLOUD_URL": year_server}):
        NotebookClient(
            notebook, timeout=180, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
        ).execute()
    changes = year.changes("base.parcel", "2024-12-31", "2025-12-31")
    shown = maps_shown(notebook, tmp_path)
    assert len(shown) == 2
    for path in (shown[0], tmp_path / "changes.html", shown[1], tmp_path / "close.html"):
        seen = opened(path)
        drawn, title = seen.page.locator("path.feature").count(), seen.page.locator(".gc-card h1").inner_text()
        if title == "宗地变化 2025":
            assert drawn == len(changes)
        else:
            assert title == "近看一处" and drawn >= 2 and seen.page.locator("path.before").count() >= 1
        card = seen.page.locator(".gc-card").inner_text()
        assert "示例数据" in card and "新增" in card
        assert seen.asked == [path.as_uri()] and seen.complaints == []
        if folder := os.environ.get("GEOCLOUD_TEST_PICTURES"):
            seen.page.screenshot(path=f"{folder}/{path.stem}.png")
