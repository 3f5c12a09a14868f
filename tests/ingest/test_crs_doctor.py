# SPDX-License-Identifier: Apache-2.0
"""The CRS doctor on parcels whose true place is known: every disguise is seen through or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely

from geocloud.errors import CrsUndecided, InvalidParameter
from geocloud.geodesy.crs import crs
from geocloud.geodesy.offsets import wgs84_to_bd09, wgs84_to_gcj02
from geocloud.ingest.crs_doctor import Diagnosis, diagnose
from geocloud.ingest.readers import open_source

CITY = (115.27, 35.75, 116.55, 37.05)
TRUTH = np.array(
    [shapely.box(x, y, x + 0.004, y + 0.003) for x in (115.60, 115.98, 116.40) for y in (36.0, 36.45, 36.8)]
)
WEST = np.array([shapely.box(x, 36.3, x + 0.02, 36.32) for x in (115.35, 115.47, 115.49)])


def _moved(shapes: Any, function: Any) -> Any:
    return shapely.transform(shapes, function, interleaved=False)


def _to(code: int, shapes: Any = TRUTH) -> Any:
    return _moved(shapes, pyproj.Transformer.from_crs(4490, code, always_xy=True).transform)


def _swapped(shapes: Any) -> Any:
    return _moved(shapes, lambda x, y: (y, x))


def _write(folder: Path, shapes: Any, declared: int | None, name: str = "地块.gpkg", **columns: Any) -> Path:
    frame = gpd.GeoDataFrame({"id": range(len(shapes)), **columns}, geometry=shapes, crs=declared)
    path = folder / name
    frame.to_file(path, engine="pyogrio")
    return path


def _ask(path: Path, **options: Any) -> tuple[Diagnosis, Any]:
    with open_source(path) as source:
        found = diagnose(source, CITY, **options)
        shapes = next(source.batches()).geometry
    assert found.placement is not None
    return found, found.placement.apply(shapes)


def _codes(found: Diagnosis) -> set[str]:
    return {f.code for f in found.findings}


def _off(shapes: Any, truth: Any = TRUTH) -> float:
    return float(np.abs(shapely.get_coordinates(shapes) - shapely.get_coordinates(truth)).max())


@pytest.mark.parametrize("code", [4326, 4490, 3857, 4527, 4548, 4526, 4547, 4498, 32650])
def test_an_honest_declaration_is_believed(tmp_path: Path, code: int) -> None:
    found, shapes = _ask(_write(tmp_path, _to(code), code))
    assert found.placement.crs.id == f"EPSG:{code}"
    assert "GC-301" in _codes(found)
    assert _off(shapes) < 1e-8


@pytest.mark.parametrize("code", [4490, 4527, 4548, 4526, 4547, 4498, 3857])
@pytest.mark.parametrize("exchanged", [False, True], ids=["xy", "yx"])
def test_without_a_declaration_the_only_reading_that_fits_is_taken(tmp_path: Path, code: int, exchanged: bool) -> None:
    shapes = _swapped(_to(code)) if exchanged else _to(code)
    found, out = _ask(_write(tmp_path, shapes, None))
    assert (found.placement.crs.id, found.placement.exchanged) == (f"EPSG:{code}", exchanged)
    assert ("GC-304" in _codes(found)) == exchanged
    assert {"GC-302", "GC-313"} <= _codes(found)
    assert _off(out) < 1e-8


@pytest.mark.parametrize(
    ("true", "declared", "code"),
    [
        (4548, 4326, "GC-303"),
        (4527, 4490, "GC-303"),
        (4527, 4548, "GC-305"),
        (4548, 4527, "GC-305"),
        (4490, 4548, "GC-303"),
    ],
    ids=["metres-as-4326", "prefixed-as-4490", "prefix-not-declared", "prefix-declared-in-vain", "degrees-as-4548"],
)
def test_an_impossible_declaration_is_corrected(tmp_path: Path, true: int, declared: int, code: str) -> None:
    found, shapes = _ask(_write(tmp_path, _to(true), declared))
    assert found.placement.crs.id == f"EPSG:{true}"
    assert code in _codes(found)
    assert found.declared == f"EPSG:{declared}"
    assert _off(shapes) < 1e-8


def test_utm_of_the_same_meridian_is_told_by_known_geometry_alone(tmp_path: Path) -> None:
    found, _ = _ask(_write(tmp_path, _to(32650), 4326))
    assert found.placement.crs.id == "EPSG:4548"
    assert "GC-317" in _codes(found)
    for code in (32650, 4548):
        path = _write(tmp_path, _to(code), None, f"{code}.gpkg")
        found, shapes = _ask(path, reference=TRUTH)
        assert found.placement.crs.id == f"EPSG:{code}"
        assert "GC-317" not in _codes(found)
        assert _off(shapes) < 1e-8


def test_swapped_axes_of_a_declared_system(tmp_path: Path) -> None:
    found, shapes = _ask(_write(tmp_path, _swapped(TRUTH), 4490))
    assert (found.placement.crs.id, found.placement.exchanged) == ("EPSG:4490", True)
    assert {"GC-304"} <= _codes(found)
    assert "GC-303" not in _codes(found)
    assert _off(shapes) < 1e-12


def test_the_wrong_zone_is_asked_about(tmp_path: Path) -> None:
    # Declared 4547, truly 4548: sound in itself, three degrees further west.
    with pytest.raises(CrsUndecided) as caught:
        _ask(_write(tmp_path, _to(4548), 4547))
    assert [g["crs"] for g in caught.value.context["guesses"]][:2] == ["EPSG:4547", "EPSG:4548"]
    assert "--crs" in caught.value.message("en")
    assert caught.value.context["rule"] == "GC-311"


def test_an_honest_file_from_elsewhere_is_read_with_a_warning(tmp_path: Path) -> None:
    grenada = np.array([shapely.box(-61.7, 12.0, -61.6, 12.1)])
    found, shapes = _ask(_write(tmp_path, grenada, 4326))
    assert {"GC-301", "GC-309"} <= _codes(found)
    assert _off(shapes, grenada) == 0


@pytest.mark.parametrize(
    "shapes", [np.array([shapely.box(-122.5, 37.6, -122.3, 37.8)]), np.array([shapely.box(0, 0, 300, 200)])]
)
def test_no_declaration_and_nothing_in_the_city_is_refused(tmp_path: Path, shapes: Any) -> None:
    with pytest.raises(CrsUndecided):
        _ask(_write(tmp_path, shapes, None))


def test_a_drawing_that_happens_to_span_the_city_is_no_map(tmp_path: Path) -> None:
    with pytest.raises(CrsUndecided):
        _ask(_write(tmp_path, np.array([shapely.box(0, 0, 150, 80)]), None))


def test_a_national_file_without_declaration_is_longitude_and_latitude(tmp_path: Path) -> None:
    country = np.array([shapely.box(73.5, 18.0, 135.0, 53.5), *TRUTH])
    found, _ = _ask(_write(tmp_path, country, None))
    assert found.placement.crs.id == "EPSG:4490"


@pytest.mark.parametrize(
    ("name", "shift", "expected", "code"),
    [
        ("parcels_gcj02.gpkg", wgs84_to_gcj02, "GCJ-02", "GC-306"),
        ("地块_火星坐标.gpkg", wgs84_to_gcj02, "GCJ-02", "GC-306"),
        ("poi-bd09.gpkg", wgs84_to_bd09, "BD-09", "GC-307"),
        ("gcj02_labelled_4326.gpkg", wgs84_to_gcj02, "GCJ-02", "GC-306"),
    ],
)
def test_names_tell_shifted_coordinates(tmp_path: Path, name: str, shift: Any, expected: str, code: str) -> None:
    found, shapes = _ask(_write(tmp_path, _moved(TRUTH, shift), 4326, name))
    assert found.placement.crs.id == expected
    assert code in _codes(found)
    assert _off(shapes) < 1e-9


def test_a_coord_sys_field_tells(tmp_path: Path) -> None:
    path = _write(tmp_path, _moved(TRUTH, wgs84_to_gcj02), 4326, coord_sys="GCJ-02")
    assert _ask(path)[0].placement.crs.id == "GCJ-02"
    other = _write(tmp_path, TRUTH, 4326, "b.gpkg", coord_sys="WGS84")
    assert _ask(other)[0].placement.crs.id == "EPSG:4326"


def test_a_service_by_name_alone_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(CrsUndecided) as caught:
        _ask(_write(tmp_path, _moved(TRUTH, wgs84_to_gcj02), 4326, "高德POI.gpkg"))
    assert [g["crs"] for g in caught.value.context["guesses"]] == ["GCJ-02", "EPSG:4326"]


def test_a_name_that_claims_both_says_nothing(tmp_path: Path) -> None:
    found, _ = _ask(_write(tmp_path, TRUTH, 4326, "county_amap_wgs84.gpkg"))
    assert found.placement.crs.id == "EPSG:4326"
    assert "GC-312" in _codes(found)


@pytest.mark.parametrize(
    ("shift", "expected"),
    [(None, "EPSG:4326"), (wgs84_to_gcj02, "GCJ-02"), (wgs84_to_bd09, "BD-09")],
    ids=["true", "gcj02", "bd09"],
)
def test_known_geometry_tells_shifted_coordinates(tmp_path: Path, shift: Any, expected: str) -> None:
    shapes = TRUTH if shift is None else _moved(TRUTH, shift)
    # Known lines that are some 30 m off themselves, as real ones are.
    reference = shapely.transform(TRUTH, lambda c: c + (0.0003, -0.0001))
    found, out = _ask(_write(tmp_path, shapes, 4326), reference=reference)
    assert found.placement.crs.id == expected
    assert "GC-312" not in _codes(found)
    assert _off(out) < 1e-9


def test_known_geometry_far_away_proves_nothing(tmp_path: Path) -> None:
    reference = shapely.transform(TRUTH, lambda c: c + (0.2, 0.2))
    found, _ = _ask(_write(tmp_path, TRUTH, 4326), reference=reference)
    assert "GC-312" in _codes(found)


def test_named_system_wins(tmp_path: Path) -> None:
    path = _write(tmp_path, _moved(TRUTH, wgs84_to_gcj02), 4326)
    found, shapes = _ask(path, named="gcj02")
    assert ("GC-315" in _codes(found), _off(shapes) < 1e-9) == (True, True)
    swapped = _write(tmp_path, _swapped(_to(4548)), None, "b.gpkg")
    found, shapes = _ask(swapped, named="EPSG:4548")
    assert (found.placement.exchanged, _off(shapes) < 1e-8) == (True, True)
    found, _ = _ask(_write(tmp_path, _to(4548), 4548, "c.gpkg"), named="EPSG:4547")
    assert "GC-316" in _codes(found)
    with pytest.raises(InvalidParameter):
        _ask(path, named="EPSG:99999")


def test_old_datum_is_taken_from_a_name_and_warned_about(tmp_path: Path) -> None:
    found, _ = _ask(_write(tmp_path, _to(2384), None, "宗地_西安80.gpkg"))
    assert found.placement.crs.id == "EPSG:2384"
    assert "GC-313" in _codes(found)
    found, shapes = _ask(_write(tmp_path, _to(2436), 2436, "b.gpkg"))
    assert found.placement.crs.datum == "Beijing1954"
    # EPSG:4490 to 2436 by PROJ alone is the null transformation; the published shift is some 66 m here.
    metres = np.hypot(*((shapely.get_coordinates(shapes) - shapely.get_coordinates(TRUTH)) * (89_500, 111_000)).T)
    assert 40 < metres.min() < metres.max() < 100


def test_zone_border_and_areas_are_reported(tmp_path: Path) -> None:
    found, _ = _ask(_write(tmp_path, _to(4548, WEST), 4548))
    border = next(f for f in found.findings if f.code == "GC-308")
    assert (border.facts["border"], border.facts["cm"]) == ("115.5", "117")
    area = next(f for f in found.findings if f.code == "GC-310")
    factor = (pyproj.Proj("EPSG:4548").get_factors(115.447, 36.31).areal_scale - 1) * 1e6
    assert float(area.facts["ppm"]) == pytest.approx(factor, abs=3)
    inside, _ = _ask(_write(tmp_path, _to(4548), 4548, "b.gpkg"))
    assert "GC-308" not in _codes(inside)
    assert crs(4548).width == 3
