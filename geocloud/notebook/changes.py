# SPDX-License-Identifier: Apache-2.0
"""Differences between two dates as a GeoDataFrame."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

__all__ = ["changes_frame"]

# Chinese and English titles of what a change says.
_KINDS = {
    "added": ("新增", "Added"),
    "removed": ("消失", "Removed"),
    "moved": ("移位", "Moved"),
    "reshaped": ("变形", "Reshaped"),
    "attributes": ("属性变更", "Attributes changed"),
}
_COLUMNS = {
    "change": ("变化", "Change"),
    "changed": ("属性:原值 → 现值", "Fields: was → is"),
    "area_was_m2": ("原面积", "Area before"),
    "area_is_m2": ("现面积", "Area after"),
    "length_was_m": ("原长度", "Length before"),
    "length_is_m": ("现长度", "Length after"),
    "moved_m": ("移动", "Moved by"),
}


def changes_frame(features: list[dict[str, Any]], attrs: dict[str, Any], crs: str) -> gpd.GeoDataFrame:
    """Features of `/changes` with member `before`, as `City.changes` describes them; `attrs` are those of the layer."""
    en = int(attrs["language"] == "en")
    own = list(attrs["fields"])
    measured = [n for n in _COLUMNS if features and f"change_{n}" in features[0]["properties"]]
    rows = [f["properties"] for f in features]
    values: dict[str, list[Any]] = {
        "change": [r["change_kinds"][0] for r in rows],
        "changed": [_words(r["change_fields"], attrs) for r in rows],
        **{n: [r[f"change_{n}"] for r in rows] for n in measured},
        **{n: [r.get(n) for r in rows] for n in own},
        "kinds": [" ".join(r["change_kinds"]) for r in rows],
        "fields": [r["change_fields"] for r in rows],
    }
    index = pd.Index([f["id"] for f in features], name="fid")
    frame = gpd.GeoDataFrame(values, geometry=_shapes(features, "geometry"), crs=crs, index=index)
    frame["before"] = gpd.GeoSeries(_shapes(features, "before"), crs=crs, index=index)
    for name in measured:
        frame[name] = frame[name].astype(float)
    attrs["fields"] = {n: words[en] for n, words in _COLUMNS.items()} | attrs["fields"]
    attrs["codes"] = {"change": {k: words[en] for k, words in _KINDS.items()}} | attrs["codes"]
    attrs["units"] = {n: n.rsplit("_", 1)[1].replace("m2", "m²") for n in measured} | attrs["units"]
    frame.attrs = attrs
    return frame


def _shapes(features: list[dict[str, Any]], member: str) -> list[Any]:
    return [None if f[member] is None else shapely.geometry.shape(f[member]) for f in features]


def _words(changed: dict[str, dict[str, Any]], attrs: dict[str, Any]) -> str:
    parts = []
    for name, ends in changed.items():
        known = attrs["codes"].get(name, {})
        was, has = ("—" if ends[e] is None else str(known.get(ends[e], ends[e])) for e in ("was", "is"))
        parts.append(f"{attrs['fields'][name]} {was} → {has}")
    return "; ".join(parts)
