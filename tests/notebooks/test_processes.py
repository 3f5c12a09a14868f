# SPDX-License-Identifier: Apache-2.0
"""Processes called like functions: against a real server whose workers run them."""

from __future__ import annotations

import inspect
import signal
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import geopandas as gpd
import nbformat
import pandas as pd
import psycopg2
import pytest
import shapely
from nbclient import NotebookClient
from pypdf import PdfReader

from geocloud.catalogue.keys import add_key
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.errors import RequestError
from geocloud.notebook import City
from tests.notebooks.conftest import ROOT
from tests.notebooks.planning import outside, plans_server
from tests.web.editing import ASSET, KINDS, asset_spec


@pytest.fixture(scope="module")
def server(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = outside(tmp_path_factory.mktemp("site-packages"))
    yield from plans_server(urls, tmp_path_factory.mktemp("home"), path)


@pytest.fixture(scope="module")
def city(server: str) -> City:
    return City(server)


def test_processes_are_listed_and_tell_what_they_take(city: City) -> None:
    listed = city.processes()
    assert listed.loc["area-stat", "title"] == "面积统计" and "compliance-check" in listed.index
    one = city.process("area-stat")
    assert "layer: str,必填" in repr(one) and "面积统计" in (one.__doc__ or "") and "CQL2" in one._repr_html_()
    assert list(inspect.signature(one).parameters)[:2] == ["layer", "by"]
    assert inspect.signature(city.process("compliance-check")).parameters["pack"].default == "house"
    assert "required" in repr(City(city.url, language="en").process("area-stat"))


def test_area_stat_gives_what_postgis_measures(city: City, urls: Urls) -> None:
    result = city.run("area-stat", layer="planning.master_plan", outputs=["table", "csv"])
    conn = psycopg2.connect(urls.owner)
    with conn, conn.cursor() as cur:
        cur.execute("SELECT sum(ST_Area(geom::geography)), count(*) FROM planning.master_plan")
        area, count = cur.fetchone() or (0, 0)
    conn.close()
    assert result.table["features"] == count and result["table"]["total_m2"] == pytest.approx(area, rel=1e-5)
    frame = result.csv
    assert frame["area_m2"].sum() == pytest.approx(result.table["total_m2"], rel=1e-9)
    assert frame["class"].map(type).eq(str).all() and frame["features"].dtype == "int64"
    assert set(frame["district"].dropna()) <= set(city.features("base.county")["code"])
    assert list(result) == ["table", "csv"] and "csv" in dir(result) and result.job.status == "successful"
    with pytest.raises(KeyError, match="table, csv"):
        result["pdf"]
    whole = city.run("area-stat", layer="planning.master_plan", districts=None, outputs="table")
    assert {r["district"] for r in whole.table["rows"]} == {None}


def test_what_an_input_may_be(city: City, tmp_path: Path) -> None:
    box = shapely.box(115.98, 36.45, 115.9811, 36.4509)
    frame = gpd.GeoDataFrame({"name": ["甲"], "at": [pd.Timestamp("2026-01-01")]}, geometry=[box], crs="EPSG:4490")
    file = tmp_path / "用地.geojson"
    file.write_text(shapely.to_geojson(box))
    metres = frame.to_crs("EPSG:4527")
    given = [box, frame, frame.geometry, metres, file, shapely.geometry.mapping(box)]
    found = [city.run("compliance-check", site=site, outputs=["report"], datetime=date(2026, 5, 1)) for site in given]
    areas = [r.report["site"]["area_m2"] for r in found]
    assert areas == pytest.approx([areas[0]] * len(given), rel=1e-6)
    assert found[0].fingerprint == found[-1].fingerprint and len(found[0].fingerprint or "") == 64
    with pytest.raises(RequestError, match="no coordinate system"):
        city.run("compliance-check", site=frame.set_crs(None, allow_override=True))
    with pytest.raises(RequestError, match="cannot be read"):
        city.run("compliance-check", site=tmp_path / "nothing.zip")


def test_files_are_saved_and_shown(city: City, tmp_path: Path) -> None:
    result = city.run("compliance-check", site=shapely.box(115.98, 36.45, 115.9811, 36.4509), subject="<甲>")
    at = result.pdf.save(tmp_path)
    assert at.parent == tmp_path and len(PdfReader(at).pages) >= 1
    assert result.docx.save(tmp_path / "site.docx").read_bytes()[:2] == b"PK"
    assert "application/pdf;base64" in result.pdf._repr_html_() and "kB" in repr(result.pdf)
    shown = result.page._repr_html_()
    assert "<iframe sandbox srcdoc=" in shown and "<甲>" not in shown
    assert "pdf" in result._repr_html_() and "compliance-check" in repr(result)


def test_refusals_come_in_both_languages(city: City) -> None:
    with pytest.raises(RequestError) as caught:
        city.run("refuse")
    assert caught.value.message("zh").startswith("数值为奇数。") and str(caught.value) == "The value is odd."
    assert any("数值为奇数" in note for note in caught.value.__notes__)
    assert caught.value.context["problem"]["gap_m"] == 1.5
    with pytest.raises(RequestError) as caught:
        city.run("area-stat", layer=5, colour="red")
    assert any(n.startswith("/inputs/colour") and "没有" in n or "可用" in n for n in caught.value.__notes__)
    with pytest.raises(RequestError, match="nothing"):
        city.process("nothing")
    with pytest.raises(RequestError) as caught:
        city.run("break")
    assert "secret" not in str(caught.value)


def test_an_interrupt_calls_the_job_off(city: City) -> None:
    job = city.process("sleep").submit(seconds=60)
    # A shell that starts the tests in the background has them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(1.0, lambda: signal.raise_signal(signal.SIGINT)).start()
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            job.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < 10
    assert city._client.document(f"/jobs/{job.id}")["status"] == "dismissed" == job.status
    with pytest.raises(RequestError):
        job.result()


def test_a_job_is_picked_up_again(city: City) -> None:
    job = city.process("echo").submit(text="甲", outputs=["answer", "file"])
    again = city.job(job.id)
    result = again.result()
    assert result.answer["said"] == "甲" and result.fingerprint == "f" * 64
    assert result.file.name == "文件.txt" and result.file.data.decode() == "甲"
    assert again.seconds is not None and again.seconds < 10 and job.id in again.url


def test_a_terminal_is_told_how_far_it_is(city: City, capsys: pytest.CaptureFixture[str]) -> None:
    city.run("sleep", seconds=1)
    assert capsys.readouterr().err == ""
    city.run("sleep", seconds=1, progress=True)
    said = capsys.readouterr().err
    assert "睡眠中" in said and "25%" in said and "完成" in said


def test_a_notebook_shows_a_bar(server: str) -> None:
    program = f"from geocloud.notebook import City\nCity({server!r}).run('sleep', seconds=1.2)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(program)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    bar, result = (o["data"]["text/html"] for o in notebook.cells[0]["outputs"])
    assert "width:100%" in bar and "完成" in bar and "<code>answer</code>" in result


def test_a_writing_process_is_sent_the_key(server: str, city: City, urls: Urls) -> None:
    conn = psycopg2.connect(urls.owner)
    layers, codes = read_layers(ROOT / "layers")
    sync(conn, {**layers, ASSET: asset_spec()}, {**codes, "asset_kind": KINDS})
    key = add_key(conn, "planner", [ASSET])
    conn.close()
    with pytest.raises(RequestError) as caught:
        city.run("write", keep=True)
    assert caught.value.context["status"] == 401
    holder = City(server, key=key)
    assert key not in repr(holder) and holder.run("write", keep=True).answer == {"role": "geocloud_writer"}


def test_legends_have_a_colour_for_each_code(city: City) -> None:
    legend = city.legend("planning.master_plan")
    assert legend.loc["E1", "title"] == "水域" and legend.loc["R2", "group"] == "居住与村镇建设"
    used = set(city.features("planning.master_plan")["dldm"])
    assert used <= set(legend.index) and legend["color"].str.fullmatch("#[0-9a-f]{6}").all()
