# SPDX-License-Identifier: Apache-2.0
"""The registry of coordinate systems, and the way of coordinates into storage."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely

from geocloud.errors import InvalidParameter
from geocloud.geodesy.crs import SERVED, axis_swapped, crs, gauss_kruger, parse_crs, zone_of
from geocloud.geodesy.transform import Placement, from_lonlat, parse_source_crs

EPSG = "http://www.opengis.net/def/crs/EPSG/0/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (EPSG + "4527", "EPSG:4527"),
        ("https://www.opengis.net/def/crs/EPSG/9.9.1/4548", "EPSG:4548"),
        ("http://www.opengis.net/def/crs/OGC/1.3/CRS84", "OGC:CRS84"),
        ("urn:ogc:def:crs:EPSG::4490", "EPSG:4490"),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", "OGC:CRS84"),
        ("EPSG:4527", "EPSG:4527"),
        ("epsg:3857", "EPSG:3857"),
        ("[EPSG:4547]", "EPSG:4547"),
        ("4526", "EPSG:4526"),
        ("CRS84", "OGC:CRS84"),
        ("CGCS2000", "EPSG:4490"),
        ("gcj02", "GCJ-02"),
        ("BD-09", "BD-09"),
    ],
)
def test_names_are_understood(text: str, expected: str) -> None:
    assert parse_crs(text).id == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "EPSG:",
        "EPSG:999999",
        "EPSG:5737",
        "EPSG:4978",
        "EPSG:4527; DROP TABLE x",
        "+proj=longlat",
        "/etc/passwd",
        "http://example.org/def/crs/EPSG/0/4527",
        EPSG + "4527/../4490",
        "EPSG:4527\x00",
        "٤٥٢٧",
        "x" * 10_000,
    ],
)
def test_other_texts_are_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_crs(text, parameter="bbox-crs")
    assert caught.value.context["parameter"] == "bbox-crs"


def test_axis_order_is_the_authoritys() -> None:
    for name in SERVED:
        if name != "OGC:CRS84":
            first = pyproj.CRS.from_user_input(name).axis_info[0].direction
            assert axis_swapped(name) == (first == "north"), name
    assert not axis_swapped("CRS84")
    assert axis_swapped(EPSG + "4490")
    assert not axis_swapped("EPSG:3857")


def test_uri_and_srid_go_with_the_id() -> None:
    assert crs(4527).uri == EPSG + "4527"
    assert crs("OGC:CRS84").uri == "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
    assert (crs("OGC:CRS84").srid, crs(4490).srid) == (4326, 4490)
    with pytest.raises(InvalidParameter):
        _ = crs("GCJ-02").uri
    with pytest.raises(InvalidParameter):
        _ = crs("BD-09").srid


@pytest.mark.parametrize("datum", ["CGCS2000", "Xian1980", "Beijing1954"])
@pytest.mark.parametrize("width", [3, 6])
def test_gauss_krueger_family_is_what_proj_says(datum: str, width: int) -> None:
    zones = range(25, 46) if width == 3 else range(13, 24)
    for zone in zones:
        for prefix in (True, False):
            one = gauss_kruger(zone, prefix=prefix, width=width, datum=datum)  # type: ignore[arg-type]
            operation = pyproj.CRS.from_epsg(one.epsg).coordinate_operation
            values = {p.name: p.value for p in operation.params}
            meridian = zone * 3 if width == 3 else zone * 6 - 3
            assert one.central_meridian == values["Longitude of natural origin"] == meridian
            assert values["False easting"] == (zone * 1e6 if prefix else 0) + 500_000
            assert one.zone == (zone if prefix else None)
            assert one.datum == datum
            assert one.swapped


def test_zone_outside_china_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        gauss_kruger(24, prefix=True)


def test_zone_of_longitude() -> None:
    assert [zone_of(x) for x in (112.5, 115.49, 115.5, 118.49)] == [38, 38, 39, 39]
    assert [zone_of(x, 6) for x in (113.9, 114.0, 119.9)] == [19, 20, 20]


@pytest.mark.parametrize(
    ("code", "lonlat", "east", "north"),
    [
        (4527, (115.981, 36.456), 39408653.614725, 4036624.603757),
        (4548, (115.981, 36.456), 408653.614725, 4036624.603757),
        (4526, (115.3, 36.4), 38616621.003299, 4030712.940869),
        (4547, (115.3, 36.4), 616621.003299, 4030712.940869),
    ],
)
def test_check_values_of_the_city(code: int, lonlat: tuple[float, float], east: float, north: float) -> None:
    forward = from_lonlat(crs(code), np.array([lonlat]))[0]
    assert forward == pytest.approx((east, north), abs=1e-4)
    assert Placement(crs(code)).lonlat(np.array([[east, north]]))[0] == pytest.approx(lonlat, abs=1e-9)
    assert Placement(crs(code), exchanged=True).lonlat(np.array([[north, east]]))[0] == pytest.approx(lonlat, abs=1e-9)


def test_wgs84_and_cgcs2000_are_the_same_here() -> None:
    points = np.array([[115.981, 36.456], [-61.5, 12.1]])
    for name in ("EPSG:4326", "EPSG:4490", "OGC:CRS84"):
        assert (Placement(parse_crs(name)).lonlat(points) == points).all()


def test_beijing_1954_goes_through_the_published_operation() -> None:
    # Independent: three translations, rotation and scale of EPSG operation 15919, applied by hand.
    lon, lat = np.radians([115.98, 36.45])
    a, f = 6378245.0, 1 / 298.3
    e2 = f * (2 - f)
    n = a / np.sqrt(1 - e2 * np.sin(lat) ** 2)
    xyz = np.array([n * np.cos(lat) * np.cos(lon), n * np.cos(lat) * np.sin(lon), n * (1 - e2) * np.sin(lat)])
    rz, scale = np.radians(0.814 / 3600), 1 - 0.38e-6
    rotation = np.array([[1, -rz, 0], [rz, 1, 0], [0, 0, 1]])
    moved = scale * rotation @ xyz + (15.53, -113.82, -41.38)
    to_wgs84 = pyproj.Transformer.from_crs(4978, 4979, always_xy=True)
    expected = to_wgs84.transform(*moved)[:2]
    assert Placement(crs(4214)).lonlat(np.array([[115.98, 36.45]]))[0] == pytest.approx(expected, abs=2e-8)
    # The projected systems take the same way.
    projected = pyproj.Transformer.from_crs(4214, 2436, always_xy=True).transform(115.98, 36.45)
    assert Placement(crs(2436)).lonlat(np.array([projected]))[0] == pytest.approx(expected, abs=2e-8)
    assert from_lonlat(crs(2436), np.array([expected]))[0] == pytest.approx(projected, abs=2e-3)


def test_geometries_keep_their_kind_and_height() -> None:
    lonlat = shapely.from_wkt(
        [
            "POINT (115.981 36.456)",
            "POLYGON ((116 36, 116.1 36, 116 36.1, 116 36))",
            "LINESTRING Z (116 36 5, 116 37 6)",
        ]
    )
    there = np.array(
        [
            shapely.transform(g, lambda c: np.c_[from_lonlat(crs(4548), c[:, :2]), c[:, 2:]], include_z=True)
            for g in lonlat
        ]
        + [None],
        dtype=object,
    )
    back = Placement(crs(4548)).apply(there)
    assert back[3] is None
    for expected, got in zip(lonlat, back[:3], strict=True):
        assert got.geom_type == expected.geom_type
        assert shapely.get_coordinates(got, include_z=expected.has_z) == pytest.approx(
            shapely.get_coordinates(expected, include_z=expected.has_z), abs=1e-9
        )


def test_places_that_do_not_exist_become_nan() -> None:
    out = Placement(crs(4326)).lonlat(np.array([[400000.0, 4000000.0], [115.0, 36.0], [np.nan, 1.0]]))
    assert np.isnan(out[[0, 2]]).all()
    assert (out[1] == (115.0, 36.0)).all()


def test_source_crs_may_be_a_local_system() -> None:
    local = parse_source_crs("+proj=tmerc +lon_0=116 +x_0=500000 +ellps=GRS80 +units=m +type=crs")
    assert (local.id, local.central_meridian) == ("local", 116.0)
    assert Placement(local).lonlat(np.array([[500000.0, 0.0]]))[0] == pytest.approx((116, 0), abs=1e-9)
    pipeline = parse_source_crs(
        "+proj=pipeline +step +proj=affine +xoff=400000 +yoff=4000000 "
        "+step +inv +proj=tmerc +lon_0=117 +x_0=500000 +ellps=GRS80 +step +proj=unitconvert +xy_in=rad +xy_out=deg"
    )
    got = Placement(pipeline).lonlat(np.array([[8653.614725, 36624.603757]]))[0]
    assert got == pytest.approx((115.981, 36.456), abs=1e-9)
    assert "400000" not in pipeline.name + pipeline.name_zh + pipeline.id
    with pytest.raises(InvalidParameter):
        parse_source_crs("+proj=nonsense")
