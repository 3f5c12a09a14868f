# SPDX-License-Identifier: Apache-2.0
"""Cells within shapes against a search cell by cell, slopes against planes of a known slope and gdaldem."""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.features
import shapely
from rasterio.transform import from_origin

from geocloud.errors import TooLarge, UnreadableFile
from geocloud.rasters.registry import find_raster
from geocloud.rasters.within import Zones, cells_within, horn
from tests.rasters.test_rasters import ABOUT, register, write

GEOD = pyproj.Geod(a=6378137.0, rf=298.257222101)
MANY = 1_000_000
# Coordinate system, west, north, cell; all around 116.0° E, 36.5° N.
GRIDS = {
    "EPSG:4490": (115.98, 36.52, 0.001),
    "EPSG:4326": (115.98, 36.52, 0.001),
    "EPSG:4549": (140_000.0, 4_050_000.0, 110.0),
    "EPSG:3857": (12_910_800.0, 4_372_500.0, 120.0),
}


def shapes_of(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    stars = []
    for x, y, r in rng.uniform((115.97, 36.46, 0.0005), (116.05, 36.53, 0.012), (40, 3)):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        far = r * rng.uniform(0.3, 1.0, 9)
        stars.append(shapely.Polygon(np.column_stack((x + far * np.cos(angles), y + far * np.sin(angles)))))
    stars = [s if s.is_valid else s.convex_hull for s in stars]
    pair = shapely.MultiPolygon([shapely.box(115.99, 36.49, 115.995, 36.495), shapely.box(116, 36.49, 116.004, 36.5)])
    ring = shapely.Point(116.01, 36.49).buffer(0.01).difference(shapely.Point(116.01, 36.49).buffer(0.005))
    speck = shapely.Point(116.01032, 36.49041).buffer(0.00001)
    far_off = shapely.box(121, 30, 121.01, 30.01)
    out = np.empty(len(stars) + 4, dtype=object)
    out[:] = [*stars, pair, ring, speck, far_off]
    return out


def brute(path: Path, shape: Any) -> tuple[list[float], int, int]:
    """Values known, cells in all, cells outside: middles tested one by one in the raster's system."""
    with rasterio.open(path) as file:
        values, t, nodata = file.read(1), file.transform, file.nodata
        to = pyproj.Transformer.from_crs("EPSG:4490", file.crs, always_xy=True)
    own = shapely.transform(shape, lambda p: np.column_stack(to.transform(p[:, 0], p[:, 1])))
    w, s, e, n = own.bounds
    rows = range(math.floor((t.f - n) / -t.e) - 1, math.ceil((t.f - s) / -t.e) + 1)
    columns = range(math.floor((w - t.c) / t.a) - 1, math.ceil((e - t.c) / t.a) + 1)
    known, count, outside = [], 0, 0
    for by_touch in (False, True):
        for r in rows:
            for c in columns:
                x, y = t.c + c * t.a, t.f + r * t.e
                cell = shapely.box(x, y + t.e, x + t.a, y)
                if not (own.intersection(cell).area > 0 if by_touch else own.contains(cell.centroid)):
                    continue
                count += 1
                if not (0 <= r < values.shape[0] and 0 <= c < values.shape[1]):
                    outside += 1
                elif values[r, c] != nodata and np.isfinite(values[r, c]):
                    known.append(float(values[r, c]))
        if count:
            break
    return sorted(known), count, outside


@pytest.mark.parametrize("crs", GRIDS)
def test_cells_are_those_of_a_search(tmp_path: Path, crs: str) -> None:
    rng = np.random.default_rng(7)
    values = rng.integers(0, 500, (50, 60)).astype(np.float32)
    values[rng.random(values.shape) < 0.05] = -9999
    values[20, 30] = np.nan
    west, north, cell = GRIDS[crs]
    write(tmp_path, "some", values, from_origin(west, north, cell, cell), crs, nodata=-9999)
    raster, shapes = find_raster(tmp_path, "some"), shapes_of(3)
    found = cells_within(raster, shapes, MANY)
    expected = [brute(raster.path, s) for s in shapes]
    for one, (known, count, outside) in zip(found.cells, expected, strict=True):
        assert (sorted(one.known.tolist()), one.count, one.outside) == (known, count, outside)
    with rasterio.open(raster.path) as file:
        to = pyproj.Transformer.from_crs("EPSG:4490", file.crs, always_xy=True)
        for one, shape in zip(found.cells[:-2], shapes[:-2], strict=True):
            own = shapely.transform(shape, lambda p: np.column_stack(to.transform(p[:, 0], p[:, 1])))
            mask = rasterio.features.geometry_mask([own], file.shape, file.transform, invert=True)
            assert mask.sum() == (0 if one.touched else one.count - one.outside)
    assert [c.touched for c in found.cells[-2:]] == [True, False]
    assert sum(0 < c.outside < c.count for c in found.cells) > 2 and found.cells[-1].outside == found.cells[-1].count
    assert found.crs == pyproj.CRS(crs)


def test_one_window_and_many_give_the_same_and_there_is_a_limit(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((300, 300)).astype(np.float32)
    write(tmp_path, "some", values, from_origin(116, 36.6, 0.001, 0.001))
    raster = find_raster(tmp_path, "some")
    shapes = np.array([shapely.Point(116 + d, 36.6 - d).buffer(0.006) for d in (0.01, 0.15, 0.29)], dtype=object)
    for slope in (False, True):
        whole, parted = (cells_within(raster, shapes, n, slope) for n in (90_000, 700))
        assert whole.cell_m == parted.cell_m
        for a, b in zip(whole.cells, parted.cells, strict=True):
            assert np.array_equal(a.known, b.known) and (a.count, a.outside) == (b.count, b.outside)
    for few in (400, 160):
        with pytest.raises(TooLarge, match="`some`"):
            cells_within(raster, shapes, few)
    big = np.array([shapely.box(110, 30, 122, 42)], dtype=object)
    with pytest.raises(TooLarge):
        cells_within(raster, big, 200_000)
    assert cells_within(raster, shapes[:0], 10) == Zones([], pyproj.CRS("EPSG:4490"), None)


@pytest.mark.parametrize("crs", GRIDS)
@pytest.mark.parametrize(("degrees", "towards"), [(0.0, 0), (1.2, 90), (5.0, 215), (30.0, 340)])
def test_slopes_of_planes(tmp_path: Path, crs: str, degrees: float, towards: float) -> None:
    """A plane on the ground: heights by geodesic distances to the middle, in whatever system the cells are."""
    west, north, cell = GRIDS[crs]
    transform = from_origin(west, north, cell, cell)
    x, y = np.meshgrid(west + cell * (np.arange(60) + 0.5), north - cell * (np.arange(50) + 0.5))
    lon, lat = pyproj.Transformer.from_crs(crs, "EPSG:4490", always_xy=True).transform(x, y)
    lon0, lat0 = float(lon[25, 30]), float(lat[25, 30])
    azimuth, _, metres = GEOD.inv(np.full(x.shape, lon0), np.full(x.shape, lat0), lon, lat)
    heights = 100 + math.tan(math.radians(degrees)) * metres * np.cos(np.radians(azimuth - towards))
    write(tmp_path, "plane", heights.astype(np.float64), transform, crs)
    shape = np.array([shapely.Point(lon0, lat0).buffer(0.01)], dtype=object)
    found = cells_within(find_raster(tmp_path, "plane"), shape, MANY, slope=True)
    (cells,) = found.cells
    assert len(cells.known) == cells.count > 100
    assert cells.known == pytest.approx(np.full(cells.count, degrees), abs=0.002 + degrees * 5e-4)
    wide = GEOD.inv(lon[25, 30], lat[25, 30], lon[25, 31], lat[25, 31])[2]
    assert found.cell_m is not None and found.cell_m[0] == pytest.approx(wide, rel=1e-3)


def test_a_slope_needs_all_nine_cells(tmp_path: Path) -> None:
    heights = np.add.outer(np.zeros(20), np.arange(20) * 10.0).astype(np.float32)
    heights[10, 10] = -9999
    write(tmp_path, "holes", heights, from_origin(500_000, 4_040_000, 100, 100), "EPSG:4548", nodata=-9999)
    raster = find_raster(tmp_path, "holes")
    with rasterio.open(raster.path) as file:
        box = shapely.box(*file.bounds)
    to = pyproj.Transformer.from_crs("EPSG:4548", "EPSG:4490", always_xy=True)
    whole = shapely.transform(box, lambda p: np.column_stack(to.transform(p[:, 0], p[:, 1])))
    (cells,) = cells_within(raster, np.array([whole], dtype=object), MANY, slope=True).cells
    assert (cells.count, len(cells.known)) == (400, 400 - 76 - 9)
    assert cells.known == pytest.approx(np.full(315, math.degrees(math.atan(0.1))), rel=1e-3)
    assert np.isnan(horn(np.array([[1, 2, 3], [4, np.nan, 6], [7, 8, 9.0]]), np.ones(1), np.ones(1))).all()


def gdaldem(folder: Path, heights: Any, transform: Any, crs: Any) -> Any:
    if shutil.which("gdaldem") is None:
        pytest.skip("gdaldem is not installed")
    source, out = folder / "dem.tif", folder / "slope.tif"
    with rasterio.open(
        source, "w", driver="GTiff", width=heights.shape[1], height=heights.shape[0], count=1, dtype="float64",
        crs=crs, transform=transform,
    ) as file:  # fmt: skip
        file.write(heights, 1)
    subprocess.run(["gdaldem", "slope", "-q", str(source), str(out)], check=True, timeout=60)
    with rasterio.open(out) as file:
        return np.ma.filled(file.read(1, masked=True).astype(float), np.nan)


def test_slopes_of_real_heights_are_those_of_gdaldem(tmp_path: Path, shared_data: Path) -> None:
    """Degrees have another length in each row: gdaldem is given each row with its neighbours, in metres."""
    source = shared_data / "liaocheng/dem_coarse_0p2deg.tif"
    register(tmp_path, "dem", source)
    with rasterio.open(source) as file:
        heights, t = file.read(1).astype(float), file.transform
    found = cells_within(find_raster(tmp_path, "dem"), np.array([shapely.box(114, 35, 118, 38)], dtype=object), MANY,
                         slope=True)  # fmt: skip
    expected = []
    for r in range(1, heights.shape[0] - 1):
        lat = t.f + t.e * (r + 0.5)
        wide = GEOD.inv(115, lat, 115 + t.a, lat)[2]
        high = GEOD.inv(115, lat + t.e / 2, 115, lat - t.e / 2)[2]
        rows = gdaldem(tmp_path, heights[r - 1 : r + 2], from_origin(0, 0, wide, high), "EPSG:4548")
        expected += rows[1, 1:-1].tolist()
    assert len(expected) == 90 and max(expected) > 0.2
    assert found.cells[0].known == pytest.approx(np.array(expected), rel=1e-5, abs=1e-6)


def test_slopes_of_a_scene_in_utm_are_those_of_gdaldem(tmp_path: Path, shared_data: Path) -> None:
    """Numbers of a real scene taken for heights; UTM's metres are up to 4 in 10,000 off those on the ground."""
    with rasterio.open(shared_data / "rasters/titiler_cog.tif") as file:
        window = rasterio.windows.Window(1000, 1000, 120, 90)
        heights, crs = file.read(1, window=window).astype(float) / 10, file.crs
        transform = file.window_transform(window)
    expected = gdaldem(tmp_path, heights, transform, crs)
    write(tmp_path, "scene", heights, transform, crs)
    to = pyproj.Transformer.from_crs("EPSG:4490", crs, always_xy=True)
    middle_x, middle_y = transform @ (60.3, 45.2)
    shape = shapely.Point(to.transform(middle_x, middle_y, direction="INVERSE")).buffer(0.01)
    (cells,) = cells_within(find_raster(tmp_path, "scene"), np.array([shape], dtype=object), MANY, slope=True).cells
    own = shapely.transform(shape, lambda p: np.column_stack(to.transform(p[:, 0], p[:, 1])))
    x, y = transform @ (np.meshgrid(np.arange(120) + 0.5, np.arange(90) + 0.5))
    wanted = expected[shapely.contains_xy(own, x, y)]
    assert len(wanted) == cells.count > 50 and np.ptp(wanted) > 1
    assert cells.known == pytest.approx(wanted, rel=1e-3, abs=1e-4)


def test_what_cannot_be_read_is_told_without_its_folder(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((300, 300))
    write(tmp_path, "cut", values, from_origin(116, 36.6, 0.001, 0.001))
    data = (tmp_path / "cut.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[: len(data) // 2])
    write(tmp_path, "nowhere", values, from_origin(116, 36.6, 0.001, 0.001), None)
    register(tmp_path, "words")
    (tmp_path / "words.tif").write_text("words")
    for name in ("cut", "nowhere", "words"):
        with pytest.raises(UnreadableFile) as caught:
            cells_within(
                find_raster(tmp_path, name), np.array([shapely.box(116, 36.2, 116.5, 36.7)], dtype=object), MANY
            )
        assert str(tmp_path) not in caught.value.en + caught.value.zh and name in caught.value.en


def test_a_digest_is_that_of_the_file_as_it_is(tmp_path: Path) -> None:
    import hashlib

    about = ABOUT + "quantity: soil\nclasses: {1: {zh: 壤土, en: Loam}}\n"
    register(tmp_path, "some", about=about)
    for content in (b"one", b"another"):
        (tmp_path / "some.tif").write_bytes(content)
        raster = find_raster(tmp_path, "some")
        assert raster.digest == hashlib.sha256(content).hexdigest()
    assert raster.about.classes is not None and raster.about.classes[1].zh == "壤土"
