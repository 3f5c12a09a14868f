# SPDX-License-Identifier: Apache-2.0
"""Readings of devices as frames: the newest values of a layer, and the series of one device."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import pandas as pd

from geocloud.notebook.client import Client, wrong

__all__ = ["datastream_of", "latest_columns", "series_frame"]

_BEIJING = "Asia/Shanghai"
_ENDS = {
    "": ("", ""), "_unit": ("单位", "unit"), "_time": ("时间", "time"), "_flags": ("标记", "flags"),
    "_stale": ("已过时", "out of date"),
}  # fmt: skip


def latest_columns(frame: gpd.GeoDataFrame, layers: list[dict[str, Any]], collection: str) -> None:
    """Gives the columns `latest_…` of newest values types, titles and units, as `/sensing/layers` tells of them."""
    measures: list[dict[str, Any]] = next((x["measures"] for x in layers if x["collection"] == collection), [])
    attrs, en = dict(frame.attrs), int(frame.attrs["language"] == "en")
    fields, units = dict(attrs["fields"]), dict(attrs["units"])
    for m in measures:
        column = f"latest_{m['property']}"
        if column not in frame.columns:
            continue
        frame[column] = frame[column].astype(float)
        frame[f"{column}_time"] = _instants(frame[f"{column}_time"])
        for end, words in _ENDS.items():
            fields[column + end] = m["title"]["en" if en else "zh"] + (f" · {words[en]}" if end else "")
        units[column] = m["unitText"]
    frame.attrs = attrs | {"fields": fields, "units": units}


def datastream_of(client: Client, collection: str, device: str, name: str | None) -> dict[str, Any]:
    """The datastream of a device's property, of its only one for None; RequestError where that is none or several."""
    params = {"collection": collection, "device": device, "property": name}
    found: list[dict[str, Any]] = client.document("/sensing/datastreams", params)["datastreams"]
    if len(found) == 1:
        return found[0]
    named = sorted({d["property"] for d in found})
    if not found:
        raise wrong(
            f"`{device}` of {collection} has no readings{f' of {name}' if name else ''}.",
            f"{collection} 的 {device} 没有{f' {name} ' if name else ''}读数。",
            todo_en="city.latest(collection) shows the devices that have some.",
            todo_zh="city.latest(图层) 列出有读数的设备。",
        )  # fmt: skip
    raise wrong(
        f"`{device}` measures {', '.join(named)}.", f"{device} 有多个观测项目:{'、'.join(named)}。",
        todo_en="Name one: property=…", todo_zh="请指定其中一个:property=…", allowed=named,
    )  # fmt: skip


def series_frame(document: dict[str, Any], language: str) -> pd.DataFrame:
    """Readings or buckets of a datastream by the time they are of or begin at, in Beijing time."""
    stream = document["datastream"]
    rows: list[dict[str, Any]] = document["buckets" if "buckets" in document else "observations"]
    start = "start" if "buckets" in document else "time"
    columns = ["mean", "min", "max", "count", "flagged"] if "buckets" in document else ["value", "flags"]
    frame = pd.DataFrame({c: [r[c] for r in rows] for c in columns})
    for name in ("value", "mean", "min", "max"):
        if name in frame:
            frame[name] = frame[name].astype(float)
    if "flags" in frame:
        frame["flags"] = frame["flags"].map(" ".join)
    frame.index = pd.DatetimeIndex(_instants(pd.Series([r[start] for r in rows], dtype=object)), name="time")
    frame.attrs = {
        "collection": stream["collection"], "device": stream["device"], "property": stream["property"],
        "unit": stream["unit"], "synthetic": bool(stream.get("synthetic")), "language": language,
        "bucket": document.get("bucket"),
    }  # fmt: skip
    return frame


def _instants(texts: pd.Series) -> pd.Series:
    return pd.to_datetime(texts, errors="coerce", utc=True, format="ISO8601").dt.tz_convert(_BEIJING)
