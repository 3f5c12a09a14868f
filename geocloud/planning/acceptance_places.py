# SPDX-License-Identifier: Apache-2.0
"""The places of findings as a GeoPackage (问题位置): layers `points`, `lines` and `polygons` in EPSG:4490, and
`no_place` for what has none; opened in QGIS each finding is where it has to be mended."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import shapely
from numpy.typing import NDArray

from geocloud.planning.acceptance import Accepted
from geocloud.planning.acceptance_faults import Fault

__all__ = ["MEDIA_TYPE", "places_of"]

MEDIA_TYPE = "application/geopackage+sqlite3"
_TEXT = ("rule", "severity", "title_zh", "title_en", "feature", "other", "message_zh", "message_en")
_KINDS = {"points": (0, 4), "lines": (1, 5), "polygons": (3, 6)}
_TYPES = {"points": "MultiPoint", "lines": "MultiLineString", "polygons": "MultiPolygon"}
_MAKE = {"points": shapely.multipoints, "lines": shapely.multilinestrings, "polygons": shapely.multipolygons}


def places_of(accepted: Accepted) -> bytes:
    """All findings, also those the report does not list; `row` and `other_row` count the plan's features from 1."""
    rules = {r["number"]: r for r in accepted.document["rules"]}
    every = [(rules[n], f) for n, faults in accepted.faults.items() for f in faults]
    sorted_in: dict[str, list[tuple[dict[str, Any], Fault, Any]]] = {k: [] for k in (*_KINDS, "no_place")}
    for rule, fault in every:
        placed = list(_by_kind(fault.shape))
        for kind, shape in placed:
            sorted_in[kind].append((rule, fault, shape))
        if not placed:
            sorted_in["no_place"].append((rule, fault, None))
    with tempfile.TemporaryDirectory(prefix="geocloud-places-") as folder:
        path = Path(folder) / "places.gpkg"
        for kind, rows in sorted_in.items():
            if rows or kind in _KINDS:
                _write(path, kind, rows, accepted)
        return path.read_bytes()


def _by_kind(shape: Any) -> Iterator[tuple[str, Any]]:
    """The points, lines and polygons of a place."""
    if shape is None or shapely.is_empty(shape):
        return
    parts = shapely.get_parts(shape)
    while (shapely.get_type_id(parts) >= 4).any():
        parts = shapely.get_parts(parts)
    kinds = shapely.get_type_id(parts)
    for name, ids in _KINDS.items():
        mine = parts[np.isin(kinds, ids)]
        if len(mine):
            yield name, _MAKE[name](mine)


def _write(path: Path, kind: str, rows: list[tuple[dict[str, Any], Fault, Any]], accepted: Accepted) -> None:
    keys = accepted.plan.keys
    texts = [
        (
            rule["number"], rule["severity"], rule["title"]["zh"], rule["title"]["en"], _key(keys, f.feature),
            _key(keys, f.other), f.zh, f.en,
        )
        for rule, f, _ in rows
    ]  # fmt: skip
    columns: list[NDArray[Any]] = [np.array([t[k] for t in texts], dtype=object) for k in range(len(_TEXT))]
    numbers = [[_row(f.feature) for _, f, _ in rows], [_row(f.other) for _, f, _ in rows]]
    measures = [[f.area_m2 for _, f, _ in rows], [f.length_m for _, f, _ in rows]]
    masks: list[NDArray[np.bool_] | None] = [None] * len(_TEXT)
    for values, kind_of in [(v, np.int64) for v in numbers] + [(v, np.float64) for v in measures]:
        masks.append(np.array([v is None for v in values], dtype=bool))
        columns.append(np.array([v or 0 for v in values], dtype=kind_of))
    drawn = kind in _KINDS
    pyogrio.raw.write(
        str(path),
        geometry=shapely.to_wkb(np.array([s for _, _, s in rows], dtype=object)) if drawn else None,
        field_data=columns,
        fields=np.array([*_TEXT, "row", "other_row", "area_m2", "length_m"], dtype=object),
        field_mask=masks,
        layer=kind,
        driver="GPKG",
        geometry_type=_TYPES[kind] if drawn else None,
        crs="EPSG:4490" if drawn else None,
        append=path.exists(),
    )


def _key(keys: list[str | None], feature: int | None) -> str | None:
    return None if feature is None else keys[feature]


def _row(feature: int | None) -> int | None:
    return None if feature is None else feature + 1
