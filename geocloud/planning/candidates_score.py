# SPDX-License-Identifier: Apache-2.0
"""Conditions measured on candidates and scored: square metres and metres on the ellipsoid, scores from 0 to 1 by one
linear rule a kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.model import Text
from geocloud.geodesy.area import ellipsoid, lengths
from geocloud.geodesy.straight import straight_areas
from geocloud.planning.candidates_ask import Condition
from geocloud.planning.candidates_read import Around
from geocloud.planning.compliance import areal, without_noise

__all__ = ["answer", "failing", "fails", "measure", "overlaps", "score", "sentence", "total", "wanted_length"]

_GEOD = ellipsoid()
# Angles are kept everywhere, so that what is nearest in it is nearest on the ground; lengths grow with latitude alone.
_PLANE = pyproj.Proj(proj="merc", a=_GEOD.a, rf=1 / _GEOD.f)
# Square metres and metres below which a difference is rounding.
_ROUNDING = 0.01
_QUARTER = 0.25


def score(kind: str, measured: float | None, against: float) -> float:
    """The score of a measured value, 0 to 1.

    `inside`: m2 inside by the area (`against`, m2); `outside`: one less m2 that overlap by it. `near`: one at 0 m,
    falling to 0 at the distance (`against`, m) and beyond; `far`: rising from 0 at 0 m to one there; None is beyond it.
    `frontage`: metres of border by the length that is enough (`against`), one from there on.
    """
    if kind == "near":
        return 0.0 if measured is None else max(0.0, 1.0 - measured / against)
    if measured is None:
        return 1.0
    share = min(1.0, max(0.0, measured / against))
    return 1.0 - share if kind == "outside" else share


def fails(kind: str, measured: float | None, against: float) -> bool:
    """Whether a hard condition is broken by a measured value: `inside` needs all of it and `outside` none, `near`
    no more and `far` no less than the distance, `frontage` the length that is enough."""
    if kind == "near":
        return measured is None or measured > against
    if kind == "outside":
        return measured is not None and measured > _ROUNDING
    return measured is not None and measured < against - _ROUNDING


def failing(c: Condition, values: Sequence[float | None], against: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which measured values break a hard condition, each held against its own."""
    return np.array([fails(c.kind, m, float(a)) for m, a in zip(values, against, strict=True)], dtype=bool)


def total(scores: list[tuple[float, float]]) -> float | None:
    """0 to 100 of (score, weight) pairs of the soft conditions that were judged; None where there is none."""
    weights = sum(w for _, w in scores)
    return 100.0 * sum(s * w for s, w in scores) / weights if weights else None


def wanted_length(condition: Condition, perimeters: NDArray[np.float64]) -> NDArray[np.float64]:
    """Metres of frontage that are enough: as asked, or a quarter of the border."""
    if condition.length_m is not None:
        return np.full(len(perimeters), condition.length_m)
    return perimeters * _QUARTER


def measure(condition: Condition, shapes: NDArray[Any], around: Around) -> list[float | None]:
    """Of each shape (EPSG:4490): m2 inside or overlapping, m to the nearest feature within the distance (None if there
    is none), or m of its border within the distance of one. Parts of an overlap narrower than the layer's stated
    accuracy do not count."""
    if condition.kind in ("inside", "outside"):
        return [float(v) for v in _covered(condition.kind, shapes, around)]
    reach = float(condition.distance_m or 0)
    if condition.kind == "frontage":
        return [float(v) for v in _frontage(shapes, around.shapes, reach)]
    return _nearest(shapes, around.shapes, reach)


def overlaps(shapes: NDArray[Any], features: NDArray[Any]) -> list[Any]:
    """What of each shape features cover, polygons only; the very shape itself where one of them covers it."""
    out: list[Any] = [shapely.Polygon()] * len(shapes)
    if not len(shapes) or not len(features):
        return out
    tree = shapely.STRtree(shapes)
    shapely.prepare(features)
    for i in set(tree.query(features, predicate="covers")[1].tolist()):
        out[i] = shapes[i]
    of, at = tree.query(features, predicate="intersects")
    cut = np.array([out[i] is not shapes[i] for i in at.tolist()], dtype=bool)
    of, at = of[cut], at[cut]
    order = np.argsort(at, kind="stable")
    of, at = of[order], at[order]
    parts = shapely.intersection(shapes[at], features[of])
    for i in np.unique(at).tolist():
        own = [areal(p) for p in parts[at == i]]
        out[i] = own[0] if len(own) == 1 else shapely.union_all(own)
    return out


def _covered(kind: str, shapes: NDArray[Any], around: Around) -> NDArray[np.float64]:
    """m2 inside, or of overlap."""
    whole = straight_areas(shapes)
    over = overlaps(shapes, around.shapes)
    full = np.array([o is s for o, s in zip(over, shapes, strict=True)], dtype=bool)
    out = np.where(full, whole, 0.0)
    parted = np.flatnonzero(~full & ~shapely.is_empty(_array(over)))
    if kind == "outside":
        solid = [without_noise(over[i], around.exact)[0] for i in parted]
        out[parted] = straight_areas(_array(solid))
        return out
    left = [without_noise(areal(shapely.difference(shapes[i], over[i])), around.exact)[0] for i in parted]
    out[parted] = whole[parted] - straight_areas(_array(left))
    return out


def _nearest(shapes: NDArray[Any], features: NDArray[Any], reach_m: float) -> list[float | None]:
    out: list[float | None] = [None] * len(shapes)
    if not len(shapes) or not len(features):
        return out
    flat, others = _flat(shapes), _flat(features)
    tree = shapely.STRtree(others)
    at, of = tree.query_nearest(flat, all_matches=False)
    ends = shapely.get_coordinates(shapely.shortest_line(flat[at], others[of])).reshape(-1, 4)
    a, b = _PLANE(ends[:, 0], ends[:, 1], inverse=True), _PLANE(ends[:, 2], ends[:, 3], inverse=True)
    metres = _GEOD.inv(a[0], a[1], b[0], b[1])[2]
    touching = shapely.intersects(flat[at], others[of])
    for i, m, zero in zip(at.tolist(), metres.tolist(), touching.tolist(), strict=True):
        found = 0.0 if zero else float(m)
        out[i] = found if found <= reach_m else None
    return out


def _frontage(shapes: NDArray[Any], features: NDArray[Any], reach_m: float) -> NDArray[np.float64]:
    out = np.zeros(len(shapes))
    if not len(shapes) or not len(features):
        return out
    flat, others = _flat(shapes), _flat(features)
    middles = shapely.get_coordinates(shapely.centroid(shapes))
    scale = np.asarray(_PLANE.get_factors(middles[:, 0], middles[:, 1]).meridional_scale)
    reach = reach_m * scale
    at, of = shapely.STRtree(others).query(flat, predicate="dwithin", distance=reach)
    if not len(at):
        return out
    near, first = np.unique(at, return_index=True)
    # One by one and then together: faster by far than one buffer of all lines, and no border counts twice.
    strips = np.split(shapely.buffer(others[of], reach[at], quad_segs=16), first[1:])
    held = shapely.intersection(shapely.boundary(flat[near]), _array([shapely.union_all(s) for s in strips]))
    out[near] = lengths(_unflat(held))
    return out


def _flat(shapes: NDArray[Any]) -> NDArray[Any]:
    flat: NDArray[Any] = shapely.transform(shapes, lambda xy: np.column_stack(_PLANE(xy[:, 0], xy[:, 1])))
    return flat


def _unflat(shapes: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = shapely.transform(
        shapes, lambda xy: np.column_stack(_PLANE(xy[:, 0], xy[:, 1], inverse=True))
    )
    return found


def _array(shapes: list[Any]) -> NDArray[Any]:
    out = np.empty(len(shapes), dtype=object)
    out[:] = shapes
    return out


_WORDS = {
    "inside": ("位于{t}内 {m:,.0f} 平方米,占 {s:.1%}", "{m:,.0f} m² inside {t}, {s:.1%}"),
    "outside": ("与{t}重叠 {m:,.0f} 平方米,占 {s:.1%}", "{m:,.0f} m² overlap {t}, {s:.1%}"),
    "near": ("距最近的{t} {m:,.0f} 米(范围 {a:,.0f} 米)", "nearest of {t} at {m:,.0f} m (within {a:,.0f} m)"),
    "far": ("距最近的{t} {m:,.0f} 米(要求 {a:,.0f} 米)", "nearest of {t} at {m:,.0f} m (wanted at {a:,.0f} m)"),
    "frontage": ("距{t} {r:,.0f} 米内的边界长 {m:,.0f} 米(满分 {a:,.0f} 米)",
                 "{m:,.0f} m of border within {r:,.0f} m of {t} ({a:,.0f} m are enough)"),
}  # fmt: skip
_NONE = ("{a:,.0f} 米内没有{t}", "none of {t} within {a:,.0f} m")
_CLEAR = ("与{t}不重叠", "no overlap with {t}")


def sentence(condition: Condition, title: Text, measured: float | None, against: float) -> Text:
    """What was measured, in a sentence."""
    if measured is None:
        zh, en = _NONE
    else:
        zh, en = _CLEAR if condition.kind == "outside" and measured == 0 else _WORDS[condition.kind]
    values = {"m": measured, "a": against, "r": condition.distance_m, "s": (measured or 0.0) / against}
    said = en.format(t=title.en, **values)
    return Text(zh=zh.format(t=title.zh, **values), en=said[0].upper() + said[1:])


def answer(
    n: int, c: Condition, value: float | None, against: float | None, got: float | None, said: Mapping[str, str]
) -> dict[str, Any]:
    """What a candidate's entry says of a condition; of one that is not judged, `against` is None."""
    unit = None if c.kind == "raster" else "m2" if c.kind in ("inside", "outside") else "m"
    return {
        "number": n,
        "kind": c.kind,
        "of": c.of,
        "filter": c.filter,
        "hard": c.hard,
        "judged": against is not None,
        "measured": None if value is None else round(value, 3),
        "unit": unit,
        "against": None if against is None else round(against, 3),
        "score": None if got is None else round(got, 6),
        "weight": c.parts,
        "sentence": dict(said),
    }
