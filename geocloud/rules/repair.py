# SPDX-License-Identifier: Apache-2.0
"""Brings delivered geometry into the shape a layer stores, and says every change it made (几何修复).

Two-dimensional, of the layer's type, valid (ISO 19107), no repeated vertices, outer rings counter-clockwise
(RFC 7946, section 3.1.6). A row is never dropped: what cannot be stored is an error finding of its row.
Everything is done on whole arrays; only the rows that need a change are touched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.spec import GeometryType
from geocloud.geodesy.area import areas
from geocloud.rules.collector import Collector

__all__ = ["Shapes", "repair"]

T = TypeVar("T")
Array = NDArray[Any]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# GEOS type numbers: 0 point, 1 line, 2 ring, 3 polygon, 4 multipoint, 5 multiline, 6 multipolygon, 7 collection.
_TYPE_IDS = {"point": 0, "linestring": 1, "polygon": 3, "multipoint": 4, "multilinestring": 5, "multipolygon": 6}
_NAMES = {
    -1: "none", 0: "Point", 1: "LineString", 2: "LinearRing", 3: "Polygon", 4: "MultiPoint", 5: "MultiLineString",
    6: "MultiPolygon", 7: "GeometryCollection",
}  # fmt: skip
_SINGLE_OF = {4: 0, 5: 1, 6: 3}
_MULTI_OF = {0: 4, 1: 5, 3: 6}
_MAKE_MULTI = {0: shapely.multipoints, 1: shapely.multilinestrings, 3: shapely.multipolygons}


class Shapes:
    """Geometries of a batch with what several steps ask of them: types, boxes, vertices; kept until one changes.

    Taking the vertices out of GEOS costs more than most of what is done with them.
    """

    def __init__(self, array: Array) -> None:
        self.array = array
        self._kept: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.array)

    def put(self, where: Any, values: Any) -> None:
        """Replaces some geometries."""
        self.array[where] = values
        self._kept.clear()

    @property
    def kinds(self) -> NDArray[np.int32]:
        """GEOS type numbers, -1 for none."""
        return self._keep("kinds", lambda: shapely.get_type_id(self.array))

    @property
    def boxes(self) -> Floats:
        """Bounds, shape (n, 4), NaN for none."""
        return self._keep("boxes", lambda: shapely.bounds(self.array))

    @property
    def xy(self) -> Floats:
        """All vertices one after the other, shape (m, 2)."""
        return self._keep("xy", lambda: shapely.get_coordinates(self.array))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of vertices of each geometry."""
        return self._keep("counts", lambda: shapely.get_num_coordinates(self.array))

    @property
    def plain(self) -> bool:
        """Whether all are polygons without holes."""
        return self._keep(
            "plain",
            lambda: bool((self.kinds == 3).all()) and not shapely.get_num_interior_rings(self.array).any(),
        )

    @property
    def rings(self) -> tuple[Mask, Mask]:
        """Of polygons without holes: whether the ring runs counter-clockwise, and whether it is surely simple.

        Seen from the middle of its box, a ring that goes round once and always the same way is star-shaped,
        so it cannot cross itself; most parcels and buildings are, and need no search for crossings.
        """
        return self._keep("rings", lambda: _rings(self))

    def _keep(self, name: str, make: Callable[[], T]) -> T:
        if name not in self._kept:
            self._kept[name] = make()
        kept: T = self._kept[name]
        return kept


def repair(geometry: Array, wanted: GeometryType, found: Collector) -> Shapes:
    """Geometries (EPSG:4490, x = longitude) as the layer of type `wanted` stores them; findings go to `found`.

    `geometry` is an array of shapely geometries or None, one a row of the batch. Where a row is rejected
    the result is None.
    """
    out = Shapes(np.array(geometry, dtype=object))
    _nothing_there(out, found)
    _places(out, found)
    _flatten(out, found)
    if wanted != "geometry":
        _to_type(out, wanted, found)
    _without_repeats(out, found)
    _valid(out, wanted, found)
    _collapsed(out, found)
    _orient(out, found)
    if found.rejected.any():
        out.put(found.rejected, None)
    return out


def _nothing_there(out: Shapes, found: Collector) -> None:
    empty: Mask = np.logical_or(shapely.is_missing(out.array), shapely.is_empty(out.array))
    if empty.any():
        found.mark("GC-401", empty & ~found.rejected)
        out.put(empty, None)


def _places(out: Shapes, found: Collector) -> None:
    boxes, xy = out.boxes, out.xy
    with np.errstate(invalid="ignore"):
        bad: Mask = np.asarray((np.abs(boxes) > np.array([180.0, 90.0, 180.0, 90.0])).any(axis=1))
    # The sum is finite only if every part is; a NaN vertex need not show in the bounds.
    if not np.isfinite(xy.sum()):
        broken = ~np.isfinite(xy).all(axis=1)
        bad[np.repeat(np.arange(len(out)), out.counts)[broken]] = True
    found.places = np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2])
    if bad.any():
        found.places[bad] = np.nan
        found.mark("GC-402", bad)
        out.put(bad, None)


def _flatten(out: Shapes, found: Collector) -> None:
    deep = shapely.has_z(out.array) | shapely.has_m(out.array)
    if deep.any():
        found.mark("GC-406", deep)
        out.put(deep, shapely.force_2d(out.array[deep]))
    rings = out.kinds == 2
    if rings.any():
        out.put(rings, shapely.linestrings(*_coordinates(out.array[rings])))


def _coordinates(shapes: Array) -> tuple[Floats, None, Any]:
    xy, index = shapely.get_coordinates(shapes, return_index=True)
    return xy, None, index


def _to_type(out: Shapes, wanted: GeometryType, found: Collector) -> None:
    target = _TYPE_IDS[wanted]
    if (out.kinds == target).all():
        return
    if (out.kinds == 7).any():
        _unwrap(out, _SINGLE_OF.get(target, target))
    have = out.kinds.copy()
    if target in _MULTI_OF:
        many = have == _MULTI_OF[target]
        if many.any():
            parts = shapely.get_num_geometries(out.array)
            found.mark("GC-409", many & (parts > 1), lambda i: {"count": int(parts[i]), "wanted": wanted})
            lone = many & (parts == 1)
            found.mark("GC-408", lone)
            out.put(lone, shapely.get_geometry(out.array[lone], 0))
            have[lone] = target
            have[many & (parts > 1)] = -1
    else:
        single = have == _SINGLE_OF[target]
        if single.any():
            found.mark("GC-407", single)
            make = _MAKE_MULTI[_SINGLE_OF[target]]
            out.put(single, make(out.array[single], indices=np.arange(int(single.sum()))))
            have[single] = target
    wrong = (have != target) & (have != -1)
    found.mark("GC-410", wrong, lambda i: {"found": _NAMES[int(have[i])], "wanted": wanted})
    if (wrong | found.rejected).any():
        out.put(wrong | found.rejected, None)


def _unwrap(out: Shapes, single: int) -> None:
    """A collection whose parts are all of the wanted family becomes their multi-part geometry; others stay."""
    for i in np.flatnonzero(out.kinds == 7):
        parts = shapely.get_parts(shapely.get_parts(out.array[i]))
        if len(parts) and (shapely.get_type_id(parts) == single).all():
            out.put(i, _MAKE_MULTI[single](parts))


def _without_repeats(out: Shapes, found: Collector) -> None:
    xy = out.xy
    same = xy[1:, 0] == xy[:-1, 0]
    if not same.any():
        return
    same &= xy[1:, 1] == xy[:-1, 1]
    if not same.any():
        return
    # Equal neighbours across two geometries are no repetition, and points have none.
    before = out.counts
    owner = np.repeat(np.arange(len(out)), before)
    candidates = np.zeros(len(out), dtype=bool)
    candidates[owner[1:][same & (owner[1:] == owner[:-1])]] = True
    candidates &= np.isin(out.kinds, (1, 3, 5, 6))
    places = np.flatnonzero(candidates)
    if not len(places):
        return
    cleaned = _cleaned(out.array[places])
    removed = np.zeros(len(out), dtype=np.int64)
    removed[places] = before[places] - shapely.get_num_coordinates(cleaned)
    out.put(places, cleaned)
    found.mark("GC-405", removed > 0, lambda i: {"count": int(removed[i])})


def _cleaned(shapes: Array) -> Array:
    """Without repeated vertices; a ring that would be left with too few is no work for GEOS and stays as it is."""
    try:
        done: Array = shapely.remove_repeated_points(shapes, 0.0)
        return done
    except shapely.errors.GEOSException:
        if len(shapes) == 1:
            return shapes
        half = len(shapes) // 2
        return np.concatenate([_cleaned(shapes[:half]), _cleaned(shapes[half:])])


def _valid(out: Shapes, wanted: GeometryType, found: Collector) -> None:
    # A collection in a layer of any geometry is held to the same rule as its parts.
    doubtful = np.isin(out.kinds, (3, 6, 7))
    if out.plain:
        doubtful = ~out.rings[1]
    broken = np.zeros(len(out), dtype=bool)
    broken[doubtful] = ~shapely.is_valid(out.array[doubtful])
    places = np.flatnonzero(broken)
    if not len(places):
        return
    delivered = out.array[places]
    reasons = [str(r).split("[", maxsplit=1)[0] for r in np.atleast_1d(shapely.is_valid_reason(delivered))]
    mended = shapely.make_valid(delivered, method="structure", keep_collapsed=False)
    left_out = np.zeros(len(out), dtype=np.int64)
    split = np.zeros(len(out), dtype=np.int64)
    results: Array = np.full(len(places), None, dtype=object)
    for k, i in enumerate(places.tolist()):
        if out.kinds[i] == 7:
            results[k] = None if mended[k].is_empty else mended[k]
            continue
        parts = shapely.get_parts(shapely.get_parts(mended[k]))
        areal_parts = parts[(shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 0)]
        left_out[i] = len(parts) - len(areal_parts)
        if wanted == "polygon" and len(areal_parts) > 1:
            split[i] = len(areal_parts)
        elif len(areal_parts) == 1 and wanted != "multipolygon":
            results[k] = areal_parts[0]
        elif len(areal_parts):
            results[k] = shapely.multipolygons(areal_parts)
    before, after = areas(delivered), areas(results)
    out.put(places, results)
    facts = {
        i: {
            "reason": reasons[k],
            "after_m2": round(float(after[k]), 1),
            "change_m2": round(float(after[k] - before[k]), 1),
        }
        for k, i in enumerate(places.tolist())
    }
    gone = broken & (out.kinds == -1) & (split == 0)
    found.mark("GC-404", gone, lambda i: {"reason": facts[i]["reason"]})
    found.mark("GC-409", split > 0, lambda i: {"count": int(split[i]), "wanted": wanted})
    found.mark("GC-403", broken & ~gone & (split == 0), facts.__getitem__)
    found.mark("GC-412", (left_out > 0) & ~gone, lambda i: {"count": int(left_out[i])})


def _collapsed(out: Shapes, found: Collector) -> None:
    kinds = out.kinds
    flat = np.zeros(len(out), dtype=bool)
    if np.isin(kinds, (1, 5)).any():
        flat |= np.isin(kinds, (1, 5)) & (shapely.length(out.array) == 0)
    if np.isin(kinds, (3, 6)).any():
        flat |= np.isin(kinds, (3, 6)) & (shapely.area(out.array) == 0)
    if flat.any():
        found.mark("GC-404", flat, lambda i: {"reason": _NAMES[int(kinds[i])]})
        out.put(flat, None)


def _orient(out: Shapes, found: Collector) -> None:
    if out.plain:
        wrong = ~out.rings[0]
    else:
        wrong = np.zeros(len(out), dtype=bool)
        areal = np.flatnonzero(np.isin(out.kinds, (3, 6)))
        if len(areal):
            oriented = shapely.orient_polygons(out.array[areal])
            wrong[areal] = ~shapely.equals_exact(out.array[areal], oriented, 0.0, normalize=False)
    if wrong.any():
        found.mark("GC-411", wrong)
        out.put(wrong, shapely.orient_polygons(out.array[wrong]))


def _rings(out: Shapes) -> tuple[Mask, Mask]:
    if not len(out):
        return np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
    counts = out.counts
    starts = np.cumsum(counts) - counts
    x = out.xy[:, 0] - np.repeat((out.boxes[:, 0] + out.boxes[:, 2]) / 2, counts)
    y = out.xy[:, 1] - np.repeat((out.boxes[:, 1] + out.boxes[:, 3]) / 2, counts)
    turn = np.empty(len(x))
    np.multiply(x[:-1], y[1:], out=turn[:-1])
    turn[:-1] -= x[1:] * y[:-1]
    # The step from a polygon's last vertex to the next one's first is no edge.
    ends = starts + counts - 1
    turn[ends] = 0.0
    area = np.add.reduceat(turn, starts)
    upward = np.zeros(len(x), dtype=np.int64)
    upward[:-1] = (y[:-1] < 0) != (y[1:] < 0)
    upward[ends] = 0
    # Rounding moves a turn by far less than this share of its box.
    least = 1e-9 * (out.boxes[:, 2] - out.boxes[:, 0]) * (out.boxes[:, 3] - out.boxes[:, 1])
    sign = np.where(area > 0, 1.0, -1.0)
    turn *= np.repeat(sign, counts)
    turn[ends] = np.inf
    simple: Mask = (np.minimum.reduceat(turn, starts) > least) & (np.add.reduceat(upward, starts) == 2)
    return area > 0, simple
