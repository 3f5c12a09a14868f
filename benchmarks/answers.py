# SPDX-License-Identifier: Apache-2.0
"""Answers held against the database, feature by feature: ids, geometry, every attribute."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import shapely
from psycopg2.extensions import connection

from benchmarks.asks import Ask, Row, expected
from benchmarks.city import City, Layer
from benchmarks.process import Answer

__all__ = ["Comparison", "compare", "features_of"]

# Metres of a degree at the equator, to state a shift in metres.
_DEGREE_M = 111_320.0
_EXAMPLES = 3


@dataclass
class Comparison:
    """What a look at one or more answers found."""

    features: int = 0
    shift: float = 0.0
    wrong: list[str] = field(default_factory=list)
    remarks: set[str] = field(default_factory=set)

    def add(self, problem: str) -> None:
        """Notes a difference; only the first few are kept in words."""
        if len(self.wrong) < _EXAMPLES:
            self.wrong.append(problem)

    def join(self, other: Comparison) -> None:
        """Takes in the findings of another answer."""
        self.features += other.features
        self.shift = max(self.shift, other.shift)
        for problem in other.wrong:
            self.add(problem)
        self.remarks |= other.remarks


def features_of(body: bytes) -> tuple[list[dict[str, Any]], int | None]:
    """Features and `numberMatched` of a GeoJSON feature or collection."""
    document = orjson.loads(body)
    if document.get("type") == "Feature":
        return [document], None
    return document["features"], document.get("numberMatched")


def compare(
    city: City, conn: connection, ask: Ask, answer: Answer, tolerance: float, ordered: bool, exact_box: bool
) -> Comparison:
    """Holds one answer against plain SQL.

    `tolerance` is how far a vertex may lie from the database's, in degrees. An endpoint that is not `ordered` may
    give any of the features that match, as many as the limit allows. One without `exact_box` may let in features
    whose box only touches.
    """
    found = Comparison()
    if answer.status != 200:
        found.add(f"status {answer.status}: {answer.body[:300].decode(errors='replace')}")
        return found
    try:
        features, matched = features_of(answer.body)
    except (ValueError, KeyError) as exc:
        found.add(f"no GeoJSON: {exc!r} {answer.body[:120]!r}")
        return found
    rows, total = expected(city, conn, ask)
    right = {row.fid: row for row in rows}
    ids = [_id(f, found) for f in features]
    found.features = len(features)
    wanted = [row.fid for row in rows][: ask.limit]
    if len(set(ids)) != len(ids):
        found.add(f"{len(ids) - len(set(ids))} features twice")
    _look_at_ids(ask, ids, wanted, right, found, ordered, exact_box)
    if matched is None:
        found.remarks.add("no numberMatched")
    elif ask.bbox is not None and int(matched) != total:
        text = f"numberMatched {matched}, right is {total}"
        found.remarks.add("numberMatched not exact") if not exact_box else found.add(text)
    layer = city.layers[ask.layer]
    for fid, feature in zip(ids, features, strict=True):
        if fid in right:
            _look_at_feature(layer, right[fid], feature, tolerance, found)
    return found


def _look_at_ids(
    ask: Ask, ids: list[int], wanted: list[int], right: dict[int, Row], found: Comparison, ordered: bool, exact: bool
) -> None:
    if ordered and ids == wanted:
        return
    strangers = [i for i in ids if i not in right]
    if not ordered and ask.bbox is None and ask.fid is None:
        # A first page without an order is any page: judged by its size only.
        found.remarks.add("no order by id")
        if len(ids) != len(wanted):
            found.add(f"{len(ids)} features instead of {len(wanted)}")
        return
    if strangers and (exact or len(strangers) > max(3, len(ids) // 20)):
        found.add(f"{len(strangers)} features that do not match, such as {strangers[0]}")
    elif strangers:
        found.remarks.add("lets in features just outside the box")
    if len(ids) < len(wanted):
        found.add(f"{len(ids)} features instead of {len(wanted)}")
    if ordered and not strangers:
        found.add(f"other features or order: {ids[:3]} instead of {wanted[:3]}")


def _id(feature: dict[str, Any], found: Comparison) -> int:
    value = feature.get("id")
    if isinstance(value, str):
        found.remarks.add("ids as strings")
        match = re.search(r"(\d+)$", value)
        value = int(match.group(1)) if match else -1
    return -1 if value is None else int(value)


def _look_at_feature(layer: Layer, row: Row, feature: dict[str, Any], tolerance: float, found: Comparison) -> None:
    found.shift = max(found.shift, _shift(row, feature.get("geometry"), tolerance, found))
    given = feature.get("properties") or {}
    for f in layer.fields:
        value = row.properties[f.name]
        if f.name not in given:
            if value is None:
                found.remarks.add("nulls left out")
            else:
                found.add(f"{layer.id} {row.fid}: {f.name} is missing")
            continue
        if not _same(f.type, value, given[f.name], found):
            found.add(f"{layer.id} {row.fid}: {f.name} is {given[f.name]!r} instead of {value!r}")
    extra = given.keys() - {f.name for f in layer.fields} - {"fid"}
    if extra:
        found.remarks.add(f"also gives {', '.join(sorted(extra))}")


def _shift(row: Row, geometry: dict[str, Any] | None, tolerance: float, found: Comparison) -> float:
    """Largest distance between a vertex given and the database's, in degrees."""
    truth = shapely.from_wkb(row.wkb)
    if geometry is None:
        found.add(f"{row.fid}: no geometry")
        return 0.0
    given = shapely.from_geojson(orjson.dumps(geometry))
    a, b = shapely.get_coordinates(truth), shapely.get_coordinates(given)
    if a.shape != b.shape:
        found.add(f"{row.fid}: {len(b)} vertices instead of {len(a)}")
        return 0.0
    shift = float(np.abs(a - b).max())
    if shift > tolerance:
        # The same ring may be written from another vertex or the other way round.
        turned = float(np.abs(a[np.lexsort(a.T)] - b[np.lexsort(b.T)]).max())
        if turned <= tolerance:
            found.remarks.add("rings turned")
        shift = min(shift, turned)
    if shift > tolerance:
        found.add(f"{row.fid}: a vertex lies {shift * _DEGREE_M:.3f} m off")
    if given.geom_type != truth.geom_type:
        found.remarks.add(f"{truth.geom_type} as {given.geom_type}")
    return shift


def _same(kind: str, value: Any, given: Any, found: Comparison) -> bool:
    if value is None or given is None:
        if value is None and given == "":
            found.remarks.add("nulls as empty texts")
            return True
        return value is given
    if kind == "text":
        return str(given) == str(value)
    if kind == "boolean":
        if isinstance(given, str):
            found.remarks.add("booleans as strings")
            return given.lower() in ("true", "t", "1") if value else given.lower() in ("false", "f", "0")
        return bool(given) == bool(value)
    if kind in ("integer", "number"):
        if isinstance(given, str):
            found.remarks.add("numbers as strings")
        return math.isclose(float(given), float(value), rel_tol=1e-9, abs_tol=1e-9)
    if kind == "date":
        return _date(given) == str(value)
    return _instant(given, found) == _instant(value, found)


def _date(text: str) -> str:
    """The day, however it is separated and whatever time follows."""
    return str(text)[:10].replace("/", "-")


def _instant(value: Any, found: Comparison) -> datetime | None:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).replace("/", "-"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        found.remarks.add("times without a zone (taken as UTC)")
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)
