# SPDX-License-Identifier: Apache-2.0
"""Rasters by name alone, windows of them, and files that cannot be used."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from geocloud.errors import CatalogueError, InvalidParameter, TooLarge, UnreadableFile
from geocloud.rasters.read import read_piece
from geocloud.rasters.registry import find_raster, raster_names
from geocloud.rasters.write import geotiff

ABOUT = """title: {zh: 高程, en: Heights}
datum: 1985 国家高程基准
source: made in a test
licence: CC0-1.0
date: 2026-01-01
"""
BOX = (115.0, 36.0, 116.0, 37.0)


def register(folder: Path, name: str, source: Path | None = None, about: str = ABOUT) -> None:
    (folder / f"{name}.yaml").write_text(about, "utf-8")
    if source is not None:
        shutil.copyfile(source, folder / f"{name}.tif")


def write(folder: Path, name: str, values: Any, transform: Any, crs: str | None = "EPSG:4490", **more: Any) -> None:
    data = np.asarray(values)
    with rasterio.open(
        folder / f"{name}.tif", "w", driver="GTiff", width=data.shape[1], height=data.shape[0], count=1,
        dtype=data.dtype, crs=crs, transform=transform, **more,
    ) as file:  # fmt: skip
        file.write(data, 1)
    register(folder, name)


def test_only_what_is_described_is_there(tmp_path: Path) -> None:
    write(tmp_path, "heights", np.zeros((2, 2), np.float32), from_origin(115, 37, 0.5, 0.5))
    (tmp_path / "bare.tif").write_bytes(b"")
    register(tmp_path, "words")
    register(tmp_path, "Upper", tmp_path / "heights.tif")
    assert raster_names(tmp_path) == ["heights"] and raster_names(tmp_path / "none") == []
    for name in ("bare", "words", "Upper", "../heights", "/etc/passwd", "", "heights.tif", "/vsicurl/http://x/y"):
        with pytest.raises(InvalidParameter) as caught:
            find_raster(tmp_path, name)
        assert caught.value.context["allowed"] == ["heights"]
    assert find_raster(tmp_path, "heights").about.datum == "1985 国家高程基准"


@pytest.mark.parametrize("about", ["title: x", "- 1", "{", ABOUT + "more: 1\n", ABOUT.replace("source", "sauce")])
def test_descriptions_are_checked(tmp_path: Path, about: str) -> None:
    register(tmp_path, "heights", about=about)
    (tmp_path / "heights.tif").write_bytes(b"")
    with pytest.raises(CatalogueError):
        find_raster(tmp_path, "heights")


def test_windows(tmp_path: Path) -> None:
    values = np.arange(100, dtype=np.int16).reshape(10, 10)
    values[0, 0] = -9999
    write(tmp_path, "heights", values, from_origin(115, 37, 0.1, 0.1), nodata=-9999)
    raster = find_raster(tmp_path, "heights")
    whole = read_piece(raster, (100, 30, 120, 40), 1_000)
    assert whole.values.shape == (10, 10) and np.isnan(whole.values[0, 0]) and whole.edges == (False,) * 4
    part = read_piece(raster, (115.25, 36.15, 115.45, 36.35), 1_000)
    assert part.values.tolist() == values[6:9, 2:5].astype(float).tolist() and part.edges == (True,) * 4
    cells = part.cells_of(np.array([(115.25, 36.35), (115.45, 36.15), (115.05, 36.35)]))
    assert cells.tolist() == [[0, 0], [2, 2], [0, -2]] and part.inside(cells).tolist() == [True, True, False]
    assert part.values[tuple(cells[0])] == values[6, 2]
    with pytest.raises(TooLarge):
        read_piece(raster, BOX, 50)
    for outside in ((116.5, 36, 117, 37), (110, 30, 111, 31)):
        with pytest.raises(InvalidParameter):
            read_piece(raster, outside, 1_000)


def test_scale_offset_and_projection(tmp_path: Path) -> None:
    write(
        tmp_path,
        "scaled",
        np.array([[10, 20], [30, 40]], np.int16),
        from_origin(500_000, 4_040_000, 100, 100),
        "EPSG:4548",
    )
    with rasterio.open(tmp_path / "scaled.tif", "r+") as file:
        file.scales, file.offsets = (0.1,), (5.0,)
    piece = read_piece(find_raster(tmp_path, "scaled"), (116.9, 36.4, 117.1, 36.6), 1_000)
    assert piece.values == pytest.approx(np.array([[6.0, 7.0], [8.0, 9.0]])) and piece.cell == (100.0, 100.0)
    there = piece.lonlat(shapely.box(500_000, 4_039_800, 500_200, 4_040_000))
    assert shapely.equals_exact(piece.own(there), shapely.box(500_000, 4_039_800, 500_200, 4_040_000), 1e-4)


def test_files_that_are_in_circulation(tmp_path: Path, shared_data: Path) -> None:
    folder = shared_data / "rasters"
    for name in ("corrupt", "no_crs", "float_nan", "all-nodata", "RGB.byte", "shade"):
        source = next(p for p in folder.iterdir() if p.name.startswith(f"rasterio_{name}"))
        register(tmp_path, name.replace("-", "_").replace(".", "_").lower(), source)
    for name in ("corrupt", "no_crs", "float_nan", "rgb_byte", "all_nodata"):
        with pytest.raises(UnreadableFile) as caught:
            read_piece(find_raster(tmp_path, name), (-180, -85, 180, 85), 10**9)
        assert name in caught.value.en and caught.value.todo_zh
    # Its first band by itself is one that can be read, and knows nothing.
    with rasterio.open(folder / "rasterio_all-nodata.tif") as file:
        write(tmp_path, "nothing", file.read(1), file.transform, file.crs, nodata=file.nodata)
    nothing = read_piece(find_raster(tmp_path, "nothing"), (-180, -85, 180, 85), 10**9)
    assert np.isnan(nothing.values).all()


def test_numbers_that_are_none_and_files_that_are_turned(tmp_path: Path) -> None:
    write(tmp_path, "holes", np.array([[1, np.nan], [np.inf, 4]], np.float32), from_origin(115, 37, 0.5, 0.5))
    piece = read_piece(find_raster(tmp_path, "holes"), BOX, 100)
    assert np.isfinite(piece.values).tolist() == [[True, False], [False, True]]
    write(tmp_path, "south", np.zeros((2, 2), np.float32), rasterio.Affine(0.5, 0, 115, 0, 0.5, 36))
    write(tmp_path, "turned", np.zeros((2, 2), np.float32), rasterio.Affine(0.5, 0.1, 115, 0.1, -0.5, 37))
    for name in ("south", "turned"):
        with pytest.raises(UnreadableFile):
            read_piece(find_raster(tmp_path, name), BOX, 100)


def test_nothing_but_geotiff_is_opened(tmp_path: Path) -> None:
    write(tmp_path, "heights", np.zeros((2, 2), np.float32), from_origin(115, 37, 0.5, 0.5))
    about = '<VRTDataset rasterXSize="2" rasterYSize="2"><SRS>EPSG:4490</SRS></VRTDataset>'
    register(tmp_path, "sly")
    (tmp_path / "sly.tif").write_text(about)
    with pytest.raises(UnreadableFile):
        read_piece(find_raster(tmp_path, "sly"), BOX, 100)


def test_a_grid_as_geotiff_lies_where_it_should() -> None:
    lon, lat = np.linspace(115, 116, 11), np.linspace(36, 37, 6)
    data = geotiff(lon, lat, lon[None, :] * 10 + lat[:, None])
    with MemoryFile(data) as memory, memory.open() as file:
        assert file.crs.to_epsg() == 4490
        for x, y in ((115.3, 36.4), (116.0, 37.0), (115.0, 36.0)):
            assert next(file.sample([(x, y)]))[0] == pytest.approx(x * 10 + y, abs=1e-3)
