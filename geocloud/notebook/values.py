# SPDX-License-Identifier: Apache-2.0
"""Python values as inputs of a process: frames and shapes as GeoJSON in degrees, files as name and base64."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geocloud.notebook.client import wrong

__all__ = ["sent"]

_CRS = "OGC:CRS84"
_BEIJING = ZoneInfo("Asia/Shanghai")


def sent(value: Any) -> Any:
    """A value as JSON.

    GeoDataFrames and GeoSeries become a feature collection in longitude and latitude; a shapely geometry is taken to
    be in them already. A Path is read and sent as `{"name": …, "value": base64}`; instants without a zone are Beijing
    time.
    """
    if isinstance(value, Mapping):
        return {str(k): sent(v) for k, v in value.items()}
    for kinds, write in _KINDS:
        if isinstance(value, kinds):
            return write(value)
    return value


def _instant(moment: datetime) -> str:
    return (moment if moment.tzinfo else moment.replace(tzinfo=_BEIJING)).isoformat()


def _collection(frame: gpd.GeoDataFrame | gpd.GeoSeries) -> Any:
    if frame.crs is None:
        raise wrong(
            "The frame has no coordinate system.", "数据没有坐标系。",
            todo_en="Name it, such as frame.set_crs('EPSG:4490').",
            todo_zh="请先指明,例如 frame.set_crs('EPSG:4490')。",
        )  # fmt: skip
    if isinstance(frame, gpd.GeoSeries):
        return json.loads(frame.to_crs(_CRS).to_json(drop_id=True))
    own = frame.geometry.name
    plain = frame.drop(columns=[n for n in frame.columns if n != own and frame[n].dtype == "geometry"])
    return json.loads(plain.to_crs(_CRS).to_json(drop_id=True, default=str))


def _file(path: Path) -> dict[str, str]:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise wrong(f"{path} cannot be read: {exc.strerror}.", f"无法读取 {path}:{exc.strerror}。") from None
    return {"name": path.name, "value": base64.b64encode(data).decode()}


# The first that fits: a GeoSeries is a Series, an instant a date.
_KINDS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    ((gpd.GeoDataFrame, gpd.GeoSeries), _collection),
    (shapely.Geometry, lambda shape: json.loads(shapely.to_geojson(shape))),
    (Path, _file),
    (datetime, _instant),
    (date, date.isoformat),
    (np.generic, np.generic.item),
    ((list, tuple, set, frozenset, np.ndarray, pd.Series, pd.Index), lambda many: [sent(v) for v in many]),
)
