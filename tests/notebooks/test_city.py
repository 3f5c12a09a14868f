# SPDX-License-Identifier: Apache-2.0
"""`City`: frames as the server answers them, its errors in its own words."""

from __future__ import annotations

from collections import Counter

import geopandas as gpd
import h3
import httpx
import numpy as np
import pandas as pd
import pytest

from geocloud.errors import RequestError
from geocloud.notebook import City
from geocloud.notebook.colours import OKABE_ITO, OTHER, amounts, by_code


def test_collections_are_those_of_the_server(city: City, demo_server: str) -> None:
    found = city.collections()
    listed = httpx.get(f"{demo_server}/collections?f=json").json()["collections"]
    assert found.index.tolist() == [c["id"] for c in listed]
    assert found.loc["facility.component", "count"] == 1500
    assert found.loc["base.county", "geometry"] == "multipolygon"
    assert bool(found.loc["base.county", "synthetic"]) and not bool(found.loc["base.city", "synthetic"])
    assert str(found["updated"].dtype).endswith("Asia/Shanghai]")


def test_features_are_read_through_all_pages(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = city.features("facility.component")
    monkeypatch.setattr("geocloud.notebook.city._PAGE", 400)
    paged = city.features("facility.component")
    assert len(whole) == 1500 and whole.index.is_unique and whole.index.name == "fid"
    pd.testing.assert_frame_equal(
        pd.DataFrame(paged.drop(columns="geometry")), pd.DataFrame(whole.drop(columns="geometry"))
    )
    assert bool(paged.geometry.geom_equals(whole.geometry).all())
    assert len(city.features("facility.component", limit=450)) == 450


def test_features_have_crs_titles_and_times(city: City, demo_server: str) -> None:
    found = city.features("facility.component", limit=50, titles=True)
    assert found.crs.equals("OGC:CRS84")
    raw = httpx.get(f"{demo_server}/collections/facility.component/items?limit=50&f=json").json()["features"]
    assert [(p.x, p.y) for p in found.geometry] == [tuple(f["geometry"]["coordinates"]) for f in raw]
    assert found.attrs["fields"]["category"] == "用途组" and found.attrs["title"] == "城市部件(示例数据)"
    schema = httpx.get(f"{demo_server}/collections/facility.component/schema?lang=zh").json()
    codes = {c["const"]: c["title"] for c in schema["properties"]["category"]["oneOf"]}
    assert found["category_title"].tolist() == [codes[f["properties"]["category"]] for f in raw]
    assert found["first_seen_on"].dtype.kind == "M"
    assert [None if pd.isna(t) else f"{t:%Y-%m-%d}" for t in found["first_seen_on"]] == [
        f["properties"]["first_seen_on"] for f in raw
    ]


def test_conditions_go_to_the_server(city: City) -> None:
    every = city.features("facility.component")
    box = (115.9, 36.3, 116.1, 36.6)
    lamps = city.features("facility.component", bbox=box, filter="category = 'lamp'", datetime="2026-11-22/..")
    expected = every[every["category"].eq("lamp") & every.geometry.within(gpd.GeoSeries.from_wkt(
        ["POLYGON((115.9 36.3, 116.1 36.3, 116.1 36.6, 115.9 36.6, 115.9 36.3))"])[0])]  # fmt: skip
    assert lamps.index.tolist() == expected.index.tolist() and len(lamps) > 10


def test_no_feature_is_an_empty_frame_with_columns(city: City) -> None:
    found = city.features("base.poi", filter="category = 'nothing'")
    assert len(found) == 0 and "name" in found.columns and found.crs.equals("OGC:CRS84")
    assert len(city.h3("base.poi", filter="category = 'nothing'")) == 0
    assert city.map(found) is not None


def test_h3_is_the_libraries(city: City) -> None:
    cells, points = city.h3("facility.component", 7), city.features("facility.component")
    expected = Counter(h3.latlng_to_cell(p.y, p.x, 7) for p in points.geometry)
    assert cells["count"].to_dict() == expected
    assert cells.attrs["resolution"] == 7 and cells.attrs["code_field"] == "category"
    assert cells.index.name == "h3"
    for cell, geometry in cells.geometry.items():
        assert np.allclose(geometry.exterior.coords[:-1], [(x, y) for y, x in h3.cell_to_boundary(cell)], atol=1e-6)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda c: c.features("base.nothing"), "没有名为 base.nothing 的数据集"),
        (lambda c: c.features("base.poi", filter="colour = 1"), "colour"),
        (lambda c: c.h3("base.county"), "不是点图层"),
        (lambda c: c.map(c.h3("base.poi"), column="size"), "没有名为 size 的列"),
    ],
    ids=["collection", "filter", "polygons", "column"],
)
def test_refusals_are_in_the_servers_words(city: City, ask, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        ask(city)
    assert words in caught.value.message("zh")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9", "127.0.0.1:8600", "file:///etc"], ids=["closed", "no-scheme", "file"]
)
def test_city_that_is_not_there_is_said(url: str) -> None:
    with pytest.raises(RequestError) as caught:
        City(url, timeout_s=5)
    assert url.split("//")[-1] in caught.value.message("zh")


def test_links_to_another_host_are_not_followed(city: City) -> None:
    with pytest.raises(RequestError, match="not the host that was asked"):
        city._client.follow("http://192.0.2.1/collections")


@pytest.mark.parametrize(
    "values",
    [[1] * 50, [1, 2, 3, 3], list(range(1, 400)), [1] * 90 + [1000], [0.25, 1.5, 22.1, 3.3, 7.7, 8.1, 9.9], []],
    ids=["one", "few", "many", "skewed", "fractions", "none"],
)
def test_classes_hold_every_number_once(values: list[float]) -> None:
    colors, classes = amounts(values)
    assert len(colors) == len(values) and sum(c.features for c in classes) == len(values)
    assert Counter(colors) == {c.color: c.features for c in classes}
    assert 0 <= len(classes) <= 6 and all(c.features for c in classes)


def test_codes_beyond_seven_are_put_together() -> None:
    values = [c for n, c in enumerate("abcdefghij", start=1) for _ in range(n)] + [None]
    colors, classes = by_code(values, {"j": "甲"}, "其他", "未填写")
    assert [c.label for c in classes] == ["甲", "i", "h", "g", "f", "e", "d", "其他", "未填写"]
    assert [c.features for c in classes] == [10, 9, 8, 7, 6, 5, 4, 6, 1]
    assert colors[-1] == "#ffffff" and colors[0] == OTHER and colors[-2] == OKABE_ITO[0]


def test_sums_by_areas_are_those_of_the_features(city: City) -> None:
    found = city.aggregate("facility.component", "county", ["count", "density"])
    components, counties = city.features("facility.component"), city.features("base.county")
    joined = components.sjoin(counties[["geometry"]], predicate="intersects")["fid_right"].groupby(level=0).min()
    assert found.loc[found["count"] > 0, "count"].to_dict() == joined.value_counts().to_dict()
    assert found.crs.equals("OGC:CRS84") and found.index.name == "zone" and len(found) == len(counties)
    assert found.attrs["totals"]["closed"] and found.attrs["outside"]["count"] == len(components) - len(joined)
    assert found.attrs["synthetic"]
    cells = city.aggregate("facility.component", "h3:7")
    assert cells["count"].to_dict() == city.h3("facility.component", resolution=7)["count"].to_dict()
    with pytest.raises(RequestError, match="base.poi"):
        city.aggregate("facility.component", "base.poi")
