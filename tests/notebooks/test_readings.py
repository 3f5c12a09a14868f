# SPDX-License-Identifier: Apache-2.0
"""Readings in a notebook: newest values and series are those of the database, gaps stay gaps, charts show both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib.dates
import numpy as np
import pandas as pd
import psycopg2
import pytest

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.errors import RequestError
from geocloud.notebook import City, charts
from tests.browser.readings_city import GAP, LAYER, Station, stations
from tests.notebooks.conftest import ROOT
from tests.web.conftest import run_server

Three = tuple[Station, Station, Station]


@pytest.fixture(scope="module")
def measured(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[City, Three]]:
    """Air stations of the demo city, three of them with readings."""
    conn = psycopg2.connect(urls.owner)
    sync(conn, *read_layers(ROOT / "layers"))
    conn.close()
    demo.load(urls.owner, "small", layers=["base.county", LAYER])
    found = stations(urls)
    for address in run_server(urls.reader, tmp_path_factory.mktemp("home"), GEOCLOUD_WORKERS="1"):
        yield City(address), found


def stored(urls: Urls, device: str, name: str) -> dict[pd.Timestamp, float]:
    """Readings as they are in the database."""
    conn = psycopg2.connect(urls.reader)
    with conn, conn.cursor() as cur:
        cur.execute(
            "SELECT o.at, o.value FROM sensing.observation o JOIN sensing.datastream d ON d.id = o.datastream "
            "WHERE d.device = %s AND d.property = %s ORDER BY o.at", (device, name),
        )  # fmt: skip
        rows = cur.fetchall()
    conn.close()
    return {pd.Timestamp(at): value for at, value in rows}


def test_newest_values_are_columns_of_their_devices(measured: tuple[City, Three]) -> None:
    city, (live, old, odd) = measured
    frame = city.latest(LAYER)
    assert set(frame.index) == {live.fid, old.fid, odd.fid} and str(frame.crs) == "OGC:CRS84"
    assert frame.loc[live.fid, "code"] == live.code and frame.loc[live.fid].geometry.x == pytest.approx(live.lon)
    assert frame["latest_PM2.5"].to_dict() == {s.fid: s.newest for s in (live, old, odd)}
    assert frame["latest_PM2.5_stale"].to_dict() == {live.fid: False, old.fid: True, odd.fid: False}
    assert "zero" in frame.loc[odd.fid, "latest_PM2.5_flags"] and frame.loc[live.fid, "latest_PM2.5_flags"] == ""
    assert str(frame["latest_PM2.5_time"].dt.tz) == "Asia/Shanghai"
    assert frame.attrs["fields"]["latest_PM2.5"] == "细颗粒物" and frame.attrs["units"]["latest_PM2.5"] == "µg/m³"
    assert frame.attrs["synthetic"] and "code" in frame.attrs["fields"]
    only = city.latest(LAYER, "temperature")
    assert list(only.index) == [live.fid] and "latest_PM2.5" not in only.columns
    # What is measured can be put on a map like any number.
    page = city.map(frame, "latest_PM2.5").get_root().render()
    assert "细颗粒物" in page and "µg/m³" in page


def test_a_series_is_what_was_stored_and_buckets_have_their_gaps(measured: tuple[City, Three], urls: Urls) -> None:
    city, (live, *_) = measured
    found = city.readings(LAYER, live.code, "PM2.5")
    assert found["value"].to_dict() == stored(urls, live.code, "PM2.5") and len(found) > 20
    assert (found.attrs["unit"], found.attrs["device"], found.attrs["synthetic"]) == ("ug/m3", live.code, True)
    hours = city.readings(LAYER, live.code, "PM2.5", bucket="1h")
    assert int(hours["count"].sum()) == len(found)
    # From the first reading on; before it, the days that were asked for have nothing.
    assert hours["mean"].loc[found.index[0].floor("h") :].isna().sum() == len(GAP)
    assert (hours.index[1:] - hours.index[:-1] == pd.Timedelta(hours=1)).all()
    day = found.index[-1].strftime("%Y-%m-%d")
    assert city.readings(LAYER, live.code, "PM2.5", datetime=day)["value"].equals(found.loc[day]["value"])


def test_what_cannot_be_told_apart_or_is_not_there_is_said(measured: tuple[City, Three]) -> None:
    city, (live, *_) = measured
    with pytest.raises(RequestError, match=r"measures PM2\.5, temperature"):
        city.readings(LAYER, live.code)
    with pytest.raises(RequestError, match="has no readings of AQI"):
        city.readings(LAYER, live.code, "AQI")
    with pytest.raises(RequestError, match="bucket"):
        city.readings(LAYER, live.code, "PM2.5", bucket="7 minutes")


def test_the_chart_breaks_where_nothing_was_read(measured: tuple[City, Three], tmp_path: Path) -> None:
    city, (live, _, odd) = measured
    for bucket in (None, "1h"):
        frame = city.readings(LAYER, live.code, "PM2.5", bucket=bucket)
        chart = charts.series(frame, title="细颗粒物")
        (axes,) = chart.axes
        line = np.asarray(axes.lines[0].get_ydata(), float)
        name = "mean" if bucket else "value"
        assert np.array_equal(line[~np.isnan(line)], frame[name].dropna().to_numpy()) and np.isnan(line).any()
        assert axes.get_ylabel() == "µg/m³"
        first = matplotlib.dates.num2date(matplotlib.dates.date2num(axes.lines[0].get_xdata()[0]))
        assert first.replace(tzinfo=None) == frame.index[0].tz_localize(None).to_pydatetime()
        assert chart.save(tmp_path / f"series-{bucket}.png").stat().st_size > 10_000
    doubtful = charts.series(city.readings(LAYER, odd.code), language="en")
    assert [t.get_text() for t in doubtful.axes[0].get_legend().get_texts()] == ["Doubtful"]
    with pytest.raises(RequestError, match="no reading"):
        charts.series(city.readings(LAYER, live.code, "PM2.5", datetime="1999-01-01"))
