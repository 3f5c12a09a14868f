# SPDX-License-Identifier: Apache-2.0
"""Six streets as files, and what is read of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

from geocloud.errors import UnreadableFile
from geocloud.ingest.readers import open_source

NAMES = ["古楼街道", "柳园街道", "新区街道", "湖西街道", "道口铺街道", "闫寺街道"]
SHAPES = [shapely.box(115.9 + i / 100, 36.4, 115.905 + i / 100, 36.41) for i in range(6)]


def street_frame() -> Any:
    return gpd.GeoDataFrame({"代码": [f"{i:03}" for i in range(6)], "名称": NAMES}, geometry=SHAPES, crs=4490)


def street_shapefile(folder: Path, stem: str = "街道", encoding: str = "GBK") -> Path:
    folder.mkdir(exist_ok=True)
    street_frame().to_file(folder / "plain.shp", encoding=encoding, engine="pyogrio")
    for part in list(folder.glob("plain.*")):
        part.rename(folder / f"{stem}{part.suffix}")
    return folder / f"{stem}.shp"


def read_rows(path: Path, rows: int = 4, **options: Any) -> tuple[list[dict[str, Any]], list[Any], set[str]]:
    with open_source(path, **options) as source:
        table: list[dict[str, Any]] = []
        shapes: list[Any] = []
        codes = set()
        for batch in source.batches(rows):
            assert batch.start_row == len(table)
            table += batch.table.to_pylist()
            shapes += [] if batch.geometry is None else batch.geometry.tolist()
            codes |= {f.code for f in batch.findings}
        return table, shapes, codes | {f.code for f in source.findings}


def refused(path: str | Path, **options: Any) -> str:
    with pytest.raises(UnreadableFile) as caught:
        open_source(path, **options)
    error = caught.value
    assert error.context["rule"] in error.en
    assert error.todo_en
    assert error.todo_zh
    return str(error.context["rule"])


def is_same(table: list[dict[str, Any]], shapes: list[Any]) -> None:
    assert [r["名称"] for r in table] == NAMES
    assert [r["代码"] for r in table] == [f"{i:03}" for i in range(6)]
    assert all(a.equals(b) for a, b in zip(shapes, SHAPES, strict=True))
