# SPDX-License-Identifier: Apache-2.0
"""Places on the road graph (上路点): the nearest open edge of each point, the position along it, and how far off it is.

Between nodes an edge is cut into pieces at the places on it, so that a way may begin and end anywhere on a road.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg2
import shapely
from numpy.typing import NDArray

from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder
from geocloud.geodesy.area import ellipsoid
from geocloud.jobs.run import Run
from geocloud.network.graph import to_lonlat, to_plane
from geocloud.network.speeds import PROFILES, ProfileName

__all__ = ["SNAP_MAX_M", "Piece", "Place", "Point", "closed_edges", "pieces", "snap"]

Point = tuple[float, float]
"""Longitude and latitude in degrees, EPSG:4490."""
SNAP_MAX_M = 2_000.0
"""Metres from a road beyond which a point is not on the graph."""
_FIRST_PLACE = 3_000_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """A point on the graph: the edge, the share of it that lies before the place (0 to 1), and the vertex that stands
    for the place. `road` is the position on the road, `off_m` metres from the point to it on the ellipsoid.

    `edge` is None where no open road is within SNAP_MAX_M: such a place is not reached, and nothing leads from it.
    """

    point: Point
    edge: int | None
    share: float = 0.0
    vertex: int = -1
    road: Point | None = None
    off_m: float | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an edge between two of its places or ends: shares of the edge, vertices, seconds either way (-1: not
    allowed)."""

    edge: int
    begin: float
    end: float
    source: int
    target: int
    cost: float
    back: float


@dataclass(frozen=True, slots=True)
class Snapped:
    """Places in the order of the points asked, and the pieces of the edges they lie on."""

    places: tuple[Place, ...]
    pieces: tuple[Piece, ...]


def closed_edges(run: Run, closures: Sequence[Mapping[str, Any]]) -> list[int]:
    """Edges that a closure meets, sorted; closures are GeoJSON geometries (areas, lines), EPSG:4490, longitude first.

    An edge is closed whole, from node to node, wherever it is met. InvalidParameter for what is no such geometry.
    """
    if not closures:
        return []
    shapes = [_closure(n, c) for n, c in enumerate(closures)]
    binder = Binder()
    wkb = binder.bind([psycopg2.Binary(shapely.to_wkb(s)) for s in shapes], "bytea[]")
    rows = run.rows(
        "SELECT DISTINCT e.id FROM (SELECT ST_SetSRID(ST_GeomFromWKB(b), 4490) AS geom "
        f"FROM unnest({wkb}) b) c JOIN network.edge e ON e.geom && c.geom AND ST_Intersects(e.geom, c.geom) ORDER BY 1",
        binder,
    )
    return [r[0] for r in rows]


def _closure(number: int, closure: Mapping[str, Any]) -> Any:
    try:
        found = shapely.from_geojson(_json(closure))
    except (shapely.errors.GEOSException, TypeError, ValueError):
        found = None
    kinds = ("Polygon", "MultiPolygon", "LineString", "MultiLineString")
    if found is None or found.geom_type not in kinds or found.is_empty:
        raise InvalidParameter(
            f"Closure {number} is no area and no line.", f"第 {number} 个封闭区不是面或线。",
            todo_en=f"Send GeoJSON geometries: {', '.join(kinds)}.",
            todo_zh=f"请发送 GeoJSON 几何:{'、'.join(kinds)}。",
            parameter="closures", place=number,
        )  # fmt: skip
    if not found.is_valid:
        raise InvalidParameter(
            f"Closure {number} is not valid: {shapely.is_valid_reason(found)}.",
            f"第 {number} 个封闭区几何无效:{shapely.is_valid_reason(found)}。",
            todo_en="Repair it, or send its border as a line.", todo_zh="请修复该几何,或改为发送其边界线。",
            parameter="closures", place=number,
        )  # fmt: skip
    return shapely.force_2d(found)


def _json(closure: Mapping[str, Any]) -> str:
    import orjson

    return orjson.dumps(closure).decode()


def snap(run: Run, points: Sequence[Point], profile: ProfileName, shut: Sequence[int] = ()) -> Snapped:
    """The places of points on open roads of a profile."""
    if profile not in PROFILES:
        raise ValueError(f"no profile {profile}")
    if not points:
        return Snapped((), ())
    asked = np.asarray(points, dtype=np.float64)
    plane = to_plane(asked)
    binder = Binder()
    xs, ys = (binder.bind(plane[:, k].tolist(), "float8[]") for k in (0, 1))
    closed = binder.bind(list(shut), "int[]")
    rows = run.rows(
        "SELECT p.n, e.* FROM (SELECT n, ST_SetSRID(ST_MakePoint(x, y), 3857) AS at "
        f"FROM unnest({xs}, {ys}) WITH ORDINALITY u (x, y, n)) p CROSS JOIN LATERAL (SELECT id, source, target, "
        f"{profile}, {profile}_back, ST_LineLocatePoint(place, p.at), ST_X(ST_ClosestPoint(place, p.at)), "
        "ST_Y(ST_ClosestPoint(place, p.at)) FROM network.edge "
        f"WHERE ({profile} >= 0 OR {profile}_back >= 0) AND id <> ALL ({closed}) "
        "ORDER BY place <-> p.at LIMIT 1) e ORDER BY 1",
        binder,
    )
    if not rows:
        return Snapped(tuple(Place(p, None) for p in points), ())
    roads = to_lonlat(np.array([r[7:9] for r in rows], dtype=np.float64))
    off = ellipsoid().inv(asked[:, 0], asked[:, 1], roads[:, 0], roads[:, 1])[2]
    ends: dict[tuple[int, float], int] = {}
    on: dict[int, tuple[Any, ...]] = {}
    places = []
    for point, row, road, metres in zip(points, rows, roads.tolist(), off.tolist(), strict=True):
        if metres > SNAP_MAX_M:
            places.append(Place(point, None, off_m=metres))
            continue
        _, edge, source, target, _, _, share, _, _ = row
        share = min(1.0, max(0.0, share))
        if share < 1e-9 or share > 1 - 1e-9:
            vertex = source if share < 0.5 else target
        else:
            vertex = ends.setdefault((edge, share), _FIRST_PLACE + len(ends))
            on[edge] = row
        places.append(Place(point, edge, share, vertex, (road[0], road[1]), metres))
    return Snapped(tuple(places), pieces(ends, on))


def pieces(ends: Mapping[tuple[int, float], int], on: Mapping[int, Sequence[Any]]) -> tuple[Piece, ...]:
    """The edges that places lie on, cut at these places."""
    shares: dict[int, list[tuple[float, int]]] = {}
    for (edge, share), vertex in ends.items():
        shares.setdefault(edge, []).append((share, vertex))
    found = []
    for edge, inner in shares.items():
        _, _, source, target, cost, back, *_ = on[edge]
        chain = [(0.0, source), *sorted(inner), (1.0, target)]
        for (a, u), (b, v) in zip(chain[:-1], chain[1:], strict=True):
            found.append(
                Piece(edge, a, b, u, v, cost * (b - a) if cost >= 0 else -1.0, back * (b - a) if back >= 0 else -1.0)
            )
    return tuple(found)


def columns(found: Sequence[Piece], *, backwards: bool) -> tuple[list[int], list[int], list[float], list[float]]:
    """Pieces as the arrays the database takes; backwards, ways lead from the targets to the sources."""
    cost, back = [p.cost for p in found], [p.back for p in found]
    return (
        [p.source for p in found],
        [p.target for p in found],
        back if backwards else cost,
        cost if backwards else back,
    )


def lonlat_lines(plane: NDArray[Any]) -> NDArray[Any]:
    """Lines in Web Mercator as lines in EPSG:4490."""
    return np.asarray(shapely.transform(plane, to_lonlat), dtype=object)
