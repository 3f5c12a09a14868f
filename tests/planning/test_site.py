# SPDX-License-Identifier: Apache-2.0
"""Sites as they come: forms of boundary points and files that must be read alike, and faults that must be named."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
import shapely.ops
from pyproj import Geod

from geocloud.errors import CrsUndecided, InvalidParameter, TooLarge
from geocloud.geodesy.crs import crs
from geocloud.geodesy.straight import straight_areas
from geocloud.geodesy.transform import from_lonlat
from geocloud.planning.site import read_site
from geocloud.settings import Settings, SiteSettings

SETTINGS = Settings()
SQUARE = [[116.0, 36.45], [116.005, 36.45], [116.005, 36.454], [116.0, 36.454], [116.0, 36.45]]
TRUE_M2 = abs(Geod("+a=6378137 +rf=298.257222101").polygon_area_perimeter(*zip(*SQUARE, strict=True))[0])


def polygon(ring: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring]}


def upload(name: str, text: str, encoding: str = "gb18030") -> dict[str, str]:
    return {"name": name, "value": base64.b64encode(text.encode(encoding)).decode()}


def points(code: int, form: str) -> dict[str, str]:
    xy = from_lonlat(crs(code), np.array(SQUARE))
    if form == "exchange":
        head = "[属性描述]\n坐标系=2000国家大地坐标系\n几度分带=3\n带号=39\n[地块坐标]\n5,20,1,示例,面,,,,@\n"
        return upload("a.txt", head + "".join(f"J{i},1,{y:.4f},{x:.4f}\n" for i, (x, y) in enumerate(xy, 1)))
    if form == "headings":
        body = "".join(f"J{i},{y:.4f},{x:.4f}\n" for i, (x, y) in enumerate(xy[:-1], 1))
        return upload("a.csv", "点号,纵坐标,横坐标\n" + body)
    between = "\t" if form == "tabs" else " "
    return upload("a.txt", "".join(f"{y:.4f}{between}{x:.4f}\n" for x, y in xy[:-1]), "utf-8-sig")


@pytest.mark.parametrize("form", ["exchange", "headings", "tabs", "spaces"])
@pytest.mark.parametrize("code", [4527, 4548])
def test_boundary_points_are_read_alike(form: str, code: int) -> None:
    site = read_site(points(code, form), SETTINGS)
    assert site.crs == f"EPSG:{code}"
    assert shapely.hausdorff_distance(site.geometry, shapely.Polygon(SQUARE)) < 1e-8
    assert site.area_m2 == pytest.approx(TRUE_M2, rel=1e-5)


def test_rings_within_rings_are_holes_and_plots_stay_apart() -> None:
    def ring(name: str, plot: int, x: float, y: float, d: float) -> str:
        corners = [(x, y), (x + d, y), (x + d, y + d), (x, y + d)]
        return "".join(f"J,{plot},{name},{a:.6f},{b:.6f}\n" for a, b in corners)

    text = "点号,地块号,圈号,经度,纬度\n" + ring("1", 1, 116, 36.4, 0.004) + ring("2", 1, 116.001, 36.401, 0.001)
    site = read_site(upload("a.csv", text + ring("1", 2, 116.01, 36.4, 0.002)), SETTINGS)
    parts = shapely.get_parts(site.geometry)
    assert sorted(len(p.interiors) for p in parts) == [0, 1]
    assert "several" in [n.code for n in site.notes]


@pytest.mark.parametrize("ending", ["geojson", "gpkg", "kml", "shp.zip", "dxf"])
def test_files(ending: str, tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame({"Name": ["a"]}, geometry=[shapely.Polygon(SQUARE)], crs=4490)
    path = tmp_path / f"site.{ending}"
    if ending == "dxf":
        lines = frame.to_crs(4548).geometry.boundary
        geopandas.GeoDataFrame(geometry=lines, crs=4548).to_file(path, driver="DXF", engine="pyogrio")
    elif ending == "shp.zip":
        frame.to_crs(4548).to_file(path, driver="ESRI Shapefile", engine="pyogrio")
    elif ending == "kml":
        frame.to_crs(4326).to_file(path, driver="KML", engine="pyogrio")
    else:
        (frame.to_crs(4326) if ending == "geojson" else frame).to_file(path, engine="pyogrio")
    named = "EPSG:4548" if ending == "dxf" else None
    site = read_site(path, SETTINGS, named)
    assert shapely.hausdorff_distance(site.geometry, shapely.Polygon(SQUARE)) < 1e-7
    sent = {"name": path.name, "value": base64.b64encode(path.read_bytes()).decode()}
    assert read_site(sent, SETTINGS, named).geometry.equals_exact(site.geometry, 0)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        pytest.param(polygon([SQUARE[i] for i in (0, 2, 1, 3, 0)]), "self-crossing", id="bow tie"),
        pytest.param(polygon([[116, 36.45], [116.001, 36.451], [116.002, 36.452]]), "zero-area", id="on a line"),
        pytest.param(polygon([SQUARE[0]] * 4), "too-few-points", id="one point four times"),
        pytest.param(polygon(SQUARE[:2]), "too-few-points", id="two points"),
        pytest.param(polygon([[a + 10, b] for a, b in SQUARE]), "outside-city", id="outside the city"),
        pytest.param({"type": "LineString", "coordinates": SQUARE[:4]}, "open-outline", id="open line"),
        pytest.param({"type": "Point", "coordinates": [116, 36.4]}, "no-polygon", id="point"),
    ],
)  # fmt: skip
def test_what_is_no_site_is_refused_with_its_place(value: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        read_site(value, SETTINGS)
    assert caught.value.context["fault"] == fault
    lon, lat = caught.value.context["place"]
    assert shapely.box(116, 36.4, 126.1, 36.5).covers(shapely.Point(lon, lat))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"type": "FeatureCollection", "features": [1]}, id="feature that is a number"),
        pytest.param({"type": "MultiPolygon", "coordinates": [1]}, id="polygon that is a number"),
        pytest.param({"type": "Polygon", "coordinates": [[1, 2]]}, id="ring of numbers"),
        pytest.param({"type": "Polygon", "coordinates": [[["a", 1], [2, 3], [4, 5]]]}, id="text"),
        pytest.param({"type": "Polygon", "coordinates": []}, id="empty"),
        pytest.param({"type": "Polygon", "coordinates": {"a": 1}}, id="object"),
        pytest.param({"type": "Feature", "geometry": None}, id="feature without geometry"),
        pytest.param({"name": "a.txt", "value": "%%%"}, id="not base64"),
        pytest.param({"name": "a.txt", "value": 7}, id="number"),
        pytest.param({"name": "../../etc/a.txt", "value": ""}, id="empty file"),
    ],
)
def test_what_is_no_geometry_at_all_is_told_as_such(value: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter) as caught:
        read_site(value, SETTINGS)
    assert caught.value.context["parameter"] == "site"


@pytest.mark.parametrize(("gap", "closed"), [(0.5, True), (2.0, False)])
def test_an_open_outline_is_closed_up_to_the_named_gap(gap: float, closed: bool) -> None:
    open_line = [*SQUARE[:4], [116.0, 36.45 + gap / 110_950]]
    value = {"type": "LineString", "coordinates": open_line}
    if closed:
        assert "closed" in [n.code for n in read_site(value, SETTINGS).notes]
        return
    with pytest.raises(InvalidParameter) as caught:
        read_site(value, SETTINGS)
    assert caught.value.context["gap_m"] == pytest.approx(gap, rel=0.01)


def test_exchanged_axes_and_repeated_points_are_put_right_and_said() -> None:
    turned = read_site(polygon([[b, a] for a, b in SQUARE]), SETTINGS)
    assert turned.exchanged
    assert "GC-304" in [n.code for n in turned.notes]
    repeated = read_site(polygon([SQUARE[0], *SQUARE]), SETTINGS)
    assert "repeated-points" in [n.code for n in repeated.notes]
    assert turned.geometry.equals_exact(repeated.geometry, 0)


def test_a_wrong_zone_is_not_decided_alone() -> None:
    text = base64.b64decode(points(4549, "exchange")["value"]).decode("gb18030")
    with pytest.raises(CrsUndecided) as caught:
        read_site(upload("a.txt", text), SETTINGS)
    assert "EPSG:4549" in [g["crs"] for g in caught.value.context["guesses"]]
    assert read_site(upload("a.txt", text), SETTINGS, "EPSG:4549").crs == "EPSG:4549"


def test_ten_thousand_vertices_are_taken_and_more_than_the_limit_refused() -> None:
    turn = np.linspace(0, 2 * np.pi, 10_000, endpoint=False)
    ring = np.column_stack([116 + 0.003 * np.cos(turn), 36.45 + 0.003 * np.sin(turn)]).tolist()
    assert read_site(polygon(ring), SETTINGS).vertices == 10_000
    few = SETTINGS.model_copy(update={"site": SiteSettings(site_vertices_max=9_000)})
    with pytest.raises(TooLarge, match="site_vertices_max"):
        read_site(polygon(ring), few)


def test_a_real_drawing_is_over_the_area(shared_data: Path) -> None:
    with pytest.raises(TooLarge, match="site_area_max_ha"):
        read_site(shared_data / "messy/derived_from_real/counties_4548.dxf", SETTINGS)


def test_straight_areas_add_up_and_are_those_of_finely_divided_geodesics() -> None:
    whole = shapely.Polygon(SQUARE)
    cut = shapely.LineString([[115.999, 36.4497], [116.006, 36.4543]])
    pieces = np.array(shapely.get_parts(shapely.ops.split(whole, cut)), dtype=object)
    total = straight_areas(np.array([whole], dtype=object))[0]
    assert straight_areas(pieces).sum() == pytest.approx(total, rel=1e-11)
    fine = shapely.segmentize(whole, 1e-6)
    geodesic = abs(Geod("+a=6378137 +rf=298.257222101").geometry_area_perimeter(fine)[0])
    assert total == pytest.approx(geodesic, rel=1e-9)
