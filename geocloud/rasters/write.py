# SPDX-License-Identifier: Apache-2.0
"""A grid of values as GeoTIFF, in EPSG:4490."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

__all__ = ["geotiff"]


def geotiff(
    lon: NDArray[np.float64], lat: NDArray[np.float64], values: NDArray[Any], nodata: float | None = None
) -> bytes:
    """A GeoTIFF (float32, EPSG:4490) of values[j, i] at lat[j], lon[i], evenly spaced and ascending: the middles of its
    pixels."""
    across, up = (float(x[-1] - x[0]) / (len(x) - 1) for x in (lon, lat))
    data = np.flipud(values).astype(np.float32)
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", width=len(lon), height=len(lat), count=1, dtype="float32", crs="EPSG:4490", nodata=nodata,
            transform=from_origin(lon[0] - across / 2, lat[-1] + up / 2, across, up), compress="deflate", predictor=3,
        ) as file:  # fmt: skip
            file.write(data, 1)
        return bytes(memory.read())
