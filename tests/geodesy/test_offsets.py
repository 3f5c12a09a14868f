# SPDX-License-Identifier: Apache-2.0
"""GCJ-02 and BD-09, there and back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geocloud.geodesy.offsets import (
    bd09_to_gcj02,
    bd09_to_wgs84,
    gcj02_to_bd09,
    gcj02_to_wgs84,
    wgs84_to_bd09,
    wgs84_to_gcj02,
)


def _gcj_scalar(lon: float, lat: float) -> tuple[float, float]:
    """The shift written once more for single numbers, term by term, with the math module."""
    x, y, s, pi = lon - 105, lat - 35, math.sin, math.pi
    a, ee = 6378245.0, 0.00669342162296594323
    north = -100 + 2 * x + 3 * y + 0.2 * y**2 + 0.1 * x * y + 0.2 * abs(x) ** 0.5
    north += 2 / 3 * (20 * s(6 * x * pi) + 20 * s(2 * x * pi))
    north += 2 / 3 * (20 * s(y * pi) + 40 * s(y * pi / 3) + 160 * s(y * pi / 12) + 320 * s(y * pi / 30))
    east = 300 + x + 2 * y + 0.1 * x**2 + 0.1 * x * y + 0.1 * abs(x) ** 0.5
    east += 2 / 3 * (20 * s(6 * x * pi) + 20 * s(2 * x * pi))
    east += 2 / 3 * (20 * s(x * pi) + 40 * s(x * pi / 3) + 150 * s(x * pi / 12) + 300 * s(x * pi / 30))
    w = 1 - ee * s(math.radians(lat)) ** 2
    return (
        lon + math.degrees(east / (a / math.sqrt(w) * math.cos(math.radians(lat)))),
        lat + math.degrees(north / (a * (1 - ee) / w**1.5)),
    )


def test_shift_at_the_city() -> None:
    lon, lat = wgs84_to_gcj02(115.985, 36.456)
    assert (lon - 115.985, lat - 36.456) == pytest.approx((0.005679, 0.000086), abs=1e-6)


def test_agrees_with_the_formula_written_for_single_numbers() -> None:
    random = np.random.default_rng(1)
    lon, lat = random.uniform(73, 135, 500), random.uniform(4, 53, 500)
    got = np.column_stack(wgs84_to_gcj02(lon, lat))
    expected = np.array([_gcj_scalar(*p) for p in zip(lon, lat, strict=True)])
    assert np.abs(got - expected).max() < 1e-11


@pytest.mark.parametrize(
    ("there", "back"),
    [(wgs84_to_gcj02, gcj02_to_wgs84), (wgs84_to_bd09, bd09_to_wgs84), (gcj02_to_bd09, bd09_to_gcj02)],
    ids=["gcj02", "bd09", "gcj02-bd09"],
)
def test_there_and_back_over_the_country(there, back) -> None:  # type: ignore[no-untyped-def]
    lon, lat = np.meshgrid(np.arange(73.0, 135.5, 0.25), np.arange(3.0, 54.0, 0.25))
    lon2, lat2 = back(*there(lon, lat))
    assert lon2.shape == lon.shape
    assert max(np.abs(lon2 - lon).max(), np.abs(lat2 - lat).max()) < 1e-9


def test_outside_china_passes_through() -> None:
    lon, lat = np.array([-61.5, 7.4, 151.2]), np.array([12.1, 43.7, -33.9])
    for out in (wgs84_to_gcj02(lon, lat), gcj02_to_wgs84(lon, lat)):
        assert (out[0] == lon).all()
        assert (out[1] == lat).all()


def test_missing_coordinates_stay_missing() -> None:
    lon, lat = gcj02_to_wgs84(np.array([np.nan, 116.0]), np.array([36.0, 36.5]))
    assert np.isnan(lon[0])
    assert np.isfinite([lon[1], lat[1]]).all()


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        wgs84_to_gcj02([1.0, 2.0], [1.0])
