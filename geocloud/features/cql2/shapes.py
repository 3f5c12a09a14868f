# SPDX-License-Identifier: Apache-2.0
"""Geometry literals of CQL2: from GeoJSON structure to checked shapely geometries in storage coordinates."""

from __future__ import annotations

import math
from typing import Any, Final

import shapely

from geocloud.errors import InvalidParameter
from geocloud.features import literals
from geocloud.features.cql2.nodes import Box, Place, Shape, bad, named, place_words
from geocloud.geodesy.crs import Crs

__all__ = ["mixed", "rectangles", "stored"]

# Nesting of the arrays around the positions of a geometry.
_LEVELS: Final = {
    "Point": 0,
    "LineString": 1,
    "MultiPoint": 1,
    "Polygon": 2,
    "MultiLineString": 2,
    "MultiPolygon": 3,
}
_MAKERS: Final[dict[str, Any]] = {
    "Point": shapely.Point,
    "LineString": shapely.LineString,
    "MultiPoint": shapely.MultiPoint,
    "Polygon": lambda rings: shapely.Polygon(rings[0], rings[1:]),
    "MultiLineString": shapely.MultiLineString,
    "MultiPolygon": lambda parts: shapely.MultiPolygon([(rings[0], rings[1:]) for rings in parts]),
}
_MOST_NESTED: Final = 4


def stored(node: Shape | Box, system: Crs | None) -> Any:
    """The literal as a valid shapely geometry in EPSG:4490, x = longitude; `system` as of `filter-crs`.

    Collections of one kind become its multi-geometry, and parts that lie within others are merged. Raises
    InvalidParameter that says where.
    """
    if isinstance(node, Box):
        parts = rectangles(node, system)
        shapes = [p.geometry() if isinstance(p, literals.Box) else p for p in parts]
        return shapes[0] if len(shapes) == 1 else shapely.union_all(shapes)
    made = _made(node.geojson, node.at, 0)
    try:
        found = literals.to_storage(made, system, "filter")
    except InvalidParameter as error:
        raise _placed(error, node.at) from None
    return shapely.unary_union(found) if found.geom_type == "GeometryCollection" else found


def rectangles(node: Box, system: Crs | None) -> list[literals.Box | Any]:
    """What a BBOX covers, see `literals.read_box`."""
    try:
        return literals.read_box(list(node.numbers), system, "filter")
    except InvalidParameter as error:
        raise _placed(error, node.at) from None


def mixed(geometry: Any) -> bool:
    """True for a collection of points, lines and areas that do not lie within each other."""
    return bool(geometry.geom_type == "GeometryCollection")


def _placed(error: InvalidParameter, at: Place) -> InvalidParameter:
    where, where_zh = place_words(at)
    words = {"todo_en": error.todo_en, "todo_zh": error.todo_zh}
    en, zh = error.en.removesuffix(".") + where + ".", error.zh.removesuffix("。") + where_zh + "。"
    return InvalidParameter(en, zh, **words, **{**error.context, "position": at})


def _made(geojson: dict[str, Any], at: Place, depth: int) -> Any:
    kind = geojson.get("type")
    if kind == "GeometryCollection":
        members = geojson.get("geometries", geojson.get("coordinates"))
        if depth >= _MOST_NESTED or not isinstance(members, list) or not all(isinstance(m, dict) for m in members):
            raise bad(at, "A GeometryCollection holds no list of geometries, or is nested too deeply", "几何集合有误")
        if not members:
            raise _empty(at)
        return shapely.GeometryCollection([_made(m, at, depth + 1) for m in members])
    if not isinstance(kind, str) or kind not in _LEVELS:
        raise bad(
            at,
            f"`{named(str(kind))}` is no type of geometry",
            f"“{named(str(kind))}”不是几何类型",
            allowed=[*_LEVELS, "GeometryCollection"],
        )
    coordinates = geojson.get("coordinates")
    checked = _checked(coordinates, _LEVELS[kind], at)
    if kind == "Polygon":
        _closed(checked, at)
    elif kind == "MultiPolygon":
        for rings in checked:
            _closed(rings, at)
    try:
        return _MAKERS[kind](checked)
    except (shapely.GEOSException, ValueError, TypeError):
        raise bad(at, f"The coordinates make no {kind}", f"坐标不能构成 {kind}") from None


def _checked(value: Any, level: int, at: Place) -> Any:
    """Arrays of `level` levels around positions, heights cut off; an error for all else."""
    if not isinstance(value, list):
        raise bad(at, "Coordinates are not the nested arrays the geometry needs", "坐标数组的层次与几何类型不符")
    if not value:
        raise _empty(at)
    if level:
        return [_checked(v, level - 1, at) for v in value]
    if len(value) not in (2, 3):
        raise bad(
            at, f"A position has {len(value)} numbers, not two or three", f"一个位置有 {len(value)} 个数,应为两个或三个"
        )
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in value):
        raise bad(at, "A coordinate is not a number", "坐标不是数值")
    try:
        numbers = [float(v) for v in value]
    except OverflowError:
        numbers = [math.inf]
    if not all(map(math.isfinite, numbers)):
        raise bad(at, "A coordinate is too large or not finite", "坐标过大或不是有限数")
    return numbers[:2]


def _closed(rings: list[Any], at: Place) -> None:
    for ring in rings:
        if len(ring) < 4 or ring[0] != ring[-1]:
            raise bad(
                at,
                "A ring is not closed, or has fewer than four positions",
                "环未闭合或少于四个点",
                "End each ring with its first position (RFC 7946, 3.1.6).",
                "每个环的末点应与首点相同。",
            )


def _empty(at: Place) -> InvalidParameter:
    return bad(at, "A geometry is empty", "几何图形为空", "Give at least one position.", "请至少提供一个点。")
