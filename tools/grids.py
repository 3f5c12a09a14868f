# SPDX-License-Identifier: Apache-2.0
"""Writes the tile matrix sets of ogc_config/tile_matrix_sets/ from their definitions.

    .venv/bin/python tools/grids.py

Scale denominators follow from the cell size by the 0.28 mm pixel and, for degrees, the semi-major axis of CGCS2000 and
WGS 84, 6,378,137 m (OGC 17-083r4, 6.1.1). Chinese and OGC registry values agree with them; the denominators in
Tianditu's own capabilities are for 96 dots per inch and shift tiles in clients that trust them.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

_PIXEL_M = 0.00028
_AXIS_M = 6378137.0
_HALF = 20037508.342789244


def _matrices(levels: range, mercator: bool, less: int, flip: bool) -> list[dict[str, Any]]:
    made = []
    for level in levels:
        n = level - less
        cell = 2 * _HALF / 256 / 2**n if mercator else 180 / 256 / 2**n
        metres = cell if mercator else cell * math.pi * _AXIS_M / 180
        origin = [-_HALF, _HALF] if mercator else [90.0, -180.0] if flip else [-180.0, 90.0]
        made.append(
            {
                "id": str(level),
                "scaleDenominator": metres / _PIXEL_M,
                "cellSize": cell,
                "cornerOfOrigin": "topLeft",
                "pointOfOrigin": origin,
                "tileWidth": 256,
                "tileHeight": 256,
                "matrixWidth": (1 if mercator else 2) * 2**n,
                "matrixHeight": 2**n,
            }
        )
    return made


def main() -> None:
    """Writes all files."""
    registry = "http://www.opengis.net/def/tilematrixset/OGC/1.0/"
    crs = "http://www.opengis.net/def/crs/"
    sets: list[tuple[str, str, str, str | None, list[str], range, bool, int]] = [
        ("WebMercatorQuad", "Google Maps Compatible for the World", crs + "EPSG/0/3857", registry + "WebMercatorQuad",
         ["E", "N"], range(25), True, 0),
        ("WorldCRS84Quad", "CRS84 for the World", crs + "OGC/1.3/CRS84", registry + "WorldCRS84Quad",
         ["Lon", "Lat"], range(24), False, 0),
        ("CGCS2000Quad", "CGCS2000 for the World (EPSG:4490)", crs + "EPSG/0/4490", registry + "CGCS2000Quad",
         ["Lat", "Lon"], range(24), False, 0),
        ("c", "天地图经纬度矩阵集 c (Tianditu, geographic, EPSG:4490)", crs + "EPSG/0/4490", None,
         ["Lat", "Lon"], range(1, 21), False, 1),
        ("w", "天地图球面墨卡托矩阵集 w (Tianditu, spherical Mercator)", crs + "EPSG/0/3857", None,
         ["E", "N"], range(1, 21), True, 0),
    ]  # fmt: skip
    folder = Path(__file__).resolve().parent.parent / "ogc_config" / "tile_matrix_sets"
    folder.mkdir(parents=True, exist_ok=True)
    for name, title, system, uri, axes, levels, mercator, less in sets:
        document: dict[str, Any] = {"id": name, "title": title}
        if uri:
            document["uri"] = uri
        document |= {"crs": system, "orderedAxes": axes}
        document["tileMatrices"] = _matrices(levels, mercator, less, axes[0] == "Lat")
        text = json.dumps(document, ensure_ascii=False, indent=1)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
