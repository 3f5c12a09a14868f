# SPDX-License-Identifier: Apache-2.0
"""Brings delivered geometry into the shape a layer stores, and says every change it made (几何修复).

Two-dimensional, of the layer's type, valid (ISO 19107), no repeated vertices, outer rings counter-clockwise
(RFC 7946, section 3.1.6). A row is never dropped: what cannot be stored is an error finding of its row.
Everything is done on whole arrays; only the rows that need a change are touched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.spec import GeometryType
from geocloud.geodesy.area import areas
from geocloud.ingest.collector import Collector

__all__ = ["TYPE_IDS", "repair", "representative"]

Shapes = NDArray[Any]
Mask = NDArray[np.bool_]

# GEOS type numbers: 0 point, 1 line, 2 ring, 3 polygon, 4 multipoint, 5 multiline, 6 multipolygon, 7 collection.
TYPE_IDS = {"point": 0, "linestring": 1, "polygon": 3, "multipoint": 4, "multilinestring": 5, "multipolygon": 6}
_NAMES = {
    -1: "none", 0: "Point", 1: "LineString", 2: "LinearRing", 3: "Polygon", 4: "MultiPoint", 5: "MultiLineString",
    6: "MultiPolygon", 7: "GeometryCollection",
}  # fmt: skip
_SINGLE_OF = {4: 0, 5: 1, 6: 3}
_MULTI_OF = {0: 4, 1: 5, 3: 6}
_MAKE_MULTI = {0: shapely.multipoints, 1: shapely.multilinestrings, 3: shapely.multipolygons}


def repair(geometry: Shapes, wanted: GeometryType, found: Collector) -> Shapes:
    """Geometries (EPSG:4490, x = longitude) as the layer of type `wanted` stores them; findings go to `found`.

    `geometry` is an array of shapely geometries or None, one a row of the batch. Where a row is rejected
    the result is None. With `wanted` "none" all are None and GC-413 is said once a batch that has any.
    """
    out: Shapes = np.array(geometry, dtype=object)
    if wanted == "none":
        return np.full(len(out), None, dtype=object)
    _nothing_there(out, found)
    _places(out, found)
    _flatten(out, found)
    if wanted != "geometry":
        _to_type(out, wanted, found)
    _without_repeats(out, found)
    _valid(out, wanted, found)
    _collapsed(out, found)
    _orient(out, found)
    out[found.rejected] = None
    return out


def representative(geometry: Shapes) -> NDArray[np.float64]:
    """Lon, lat of the middle of each geometry's box, shape (n, 2); NaN where there is none."""
    boxes = shapely.bounds(geometry)
    return np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2])


def _nothing_there(out: Shapes, found: Collector) -> None:
    empty = shapely.is_missing(out) | shapely.is_empty(out)
    found.mark("GC-401", empty & ~found.rejected)
    if empty.any():
        out[empty] = None


def _places(out: Shapes, found: Collector) -> None:
    boxes = shapely.bounds(out)
    # A NaN vertex does not show in the bounds of a line or polygon, so a sum over all coordinates is asked too.
    xy = shapely.get_coordinates(out)
    bad = np.isinf(boxes).any(axis=1)
    with np.errstate(invalid="ignore"):
        bad |= (np.abs(boxes[:, [0, 2]]) > 180).any(axis=1) | (np.abs(boxes[:, [1, 3]]) > 90).any(axis=1)
    if not np.isfinite(xy).all():
        broken = ~np.isfinite(xy).all(axis=1)
        bad |= (
            np.bincount(np.repeat(np.arange(len(out)), shapely.get_num_coordinates(out))[broken], minlength=len(out))
            > 0
        )
    found.mark("GC-402", bad)
    found.places = np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2])
    if bad.any():
        found.places[bad] = np.nan
        out[bad] = None


def _flatten(out: Shapes, found: Collector) -> None:
    deep = shapely.has_z(out) | shapely.has_m(out)
    if deep.any():
        found.mark("GC-406", deep)
        out[deep] = shapely.force_2d(out[deep])
    rings = shapely.get_type_id(out) == 2
    if rings.any():
        out[rings] = shapely.linestrings(*_coordinates(out[rings]))


def _coordinates(shapes: Shapes) -> tuple[NDArray[np.float64], None, Any]:
    xy, index = shapely.get_coordinates(shapes, return_index=True)
    return xy, None, index


def _to_type(out: Shapes, wanted: GeometryType, found: Collector) -> None:
    target = TYPE_IDS[wanted]
    have = shapely.get_type_id(out)
    collections = have == 7
    if collections.any():
        _unwrap(out, collections, _SINGLE_OF.get(target, target))
        have = shapely.get_type_id(out)
    if target in _MULTI_OF:
        many = have == _MULTI_OF[target]
        if many.any():
            parts = shapely.get_num_geometries(out)
            found.mark("GC-409", many & (parts > 1), lambda i: {"count": int(parts[i]), "wanted": wanted})
            lone = many & (parts == 1)
            found.mark("GC-408", lone)
            out[lone] = shapely.get_geometry(out[lone], 0)
            have[lone] = target
            have[many & (parts > 1)] = -1
    else:
        single = have == _SINGLE_OF[target]
        if single.any():
            found.mark("GC-407", single)
            out[single] = _MAKE_MULTI[_SINGLE_OF[target]](out[single], indices=np.arange(int(single.sum())))
            have[single] = target
    wrong = (have != target) & (have != -1)
    found.mark("GC-410", wrong, lambda i: {"found": _NAMES[int(have[i])], "wanted": wanted})
    out[wrong | found.rejected] = None


def _unwrap(out: Shapes, collections: Mask, single: int) -> None:
    """A collection whose parts are all of the wanted family becomes their multi-part geometry; others stay."""
    for i in np.flatnonzero(collections):
        parts = shapely.get_parts(shapely.get_parts(out[i]))
        if len(parts) and (shapely.get_type_id(parts) == single).all():
            out[i] = _MAKE_MULTI[single](parts)


def _without_repeats(out: Shapes, found: Collector) -> None:
    kinds = shapely.get_type_id(out)
    lines = (kinds != -1) & (kinds != 0) & (kinds != 4)
    if not lines.any():
        return
    xy = shapely.get_coordinates(out)
    same = (xy[1:] == xy[:-1]).all(axis=1)
    if not same.any():
        return
    before = shapely.get_num_coordinates(out)
    # Equal neighbours across two geometries are no repetition, so only candidates are looked at.
    owner = np.repeat(np.arange(len(out)), before)
    candidates = np.zeros(len(out), dtype=bool)
    candidates[owner[1:][same & (owner[1:] == owner[:-1])]] = True
    candidates &= lines
    places = np.flatnonzero(candidates)
    if not len(places):
        return
    cleaned = shapely.remove_repeated_points(out[places], 0.0)
    removed = np.zeros(len(out), dtype=np.int64)
    removed[places] = before[places] - shapely.get_num_coordinates(cleaned)
    # GEOS leaves a line of one repeated point; it is found as collapsed later.
    out[places] = cleaned
    found.mark("GC-405", removed > 0, lambda i: {"count": int(removed[i])})


def _valid(out: Shapes, wanted: GeometryType, found: Collector) -> None:
    areal = np.isin(shapely.get_type_id(out), (3, 6))
    broken = areal & ~shapely.is_valid(out)
    places = np.flatnonzero(broken)
    if not len(places):
        return
    reasons = [str(r).split("[", maxsplit=1)[0] for r in np.atleast_1d(shapely.is_valid_reason(out[places]))]
    before = areas(out[places])
    mended = shapely.make_valid(out[places], method="structure", keep_collapsed=False)
    left_out = np.zeros(len(out), dtype=np.int64)
    facts: dict[int, dict[str, Any]] = {}
    gone = np.zeros(len(out), dtype=bool)
    split = np.zeros(len(out), dtype=np.int64)
    for k, i in enumerate(places.tolist()):
        parts = shapely.get_parts(shapely.get_parts(mended[k]))
        areal_parts = parts[(shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 0)]
        left_out[i] = len(parts) - len(areal_parts)
        out[i] = None
        facts[i] = {"reason": reasons[k]}
        if not len(areal_parts):
            gone[i] = True
        elif wanted == "polygon" and len(areal_parts) > 1:
            split[i] = len(areal_parts)
        elif len(areal_parts) == 1 and wanted != "multipolygon":
            out[i] = areal_parts[0]
        else:
            out[i] = shapely.multipolygons(areal_parts)
    after = areas(out[places])
    for k, i in enumerate(places.tolist()):
        facts[i] |= {"after_m2": round(float(after[k]), 1), "change_m2": round(float(after[k] - before[k]), 1)}
    found.mark("GC-404", gone, facts.__getitem__)
    found.mark("GC-409", split > 0, lambda i: {"count": int(split[i]), "wanted": wanted})
    found.mark("GC-403", broken & ~gone & (split == 0), facts.__getitem__)
    found.mark("GC-412", left_out > 0, lambda i: {"count": int(left_out[i])})


def _collapsed(out: Shapes, found: Collector) -> None:
    kinds = shapely.get_type_id(out)
    flat = np.isin(kinds, (1, 5)) & (shapely.length(out) == 0)
    flat |= np.isin(kinds, (3, 6)) & (shapely.area(out) == 0)
    if flat.any():
        found.mark("GC-404", flat, lambda i: {"reason": _NAMES[int(kinds[i])]})
        out[flat] = None


def _orient(out: Shapes, found: Collector) -> None:
    kinds = shapely.get_type_id(out)
    areal = np.flatnonzero(np.isin(kinds, (3, 6)))
    if not len(areal):
        return
    wrong = np.zeros(len(out), dtype=bool)
    plain = areal[(kinds[areal] == 3) & (shapely.get_num_interior_rings(out[areal]) == 0)]
    wrong[plain] = ~_counter_clockwise(out[plain])
    rest = np.setdiff1d(areal, plain, assume_unique=True)
    if len(rest):
        oriented = shapely.orient_polygons(out[rest])
        wrong[rest] = ~shapely.equals_exact(out[rest], oriented, 0.0, normalize=False)
    if wrong.any():
        found.mark("GC-411", wrong)
        out[wrong] = shapely.orient_polygons(out[wrong])


def _counter_clockwise(polygons: Shapes) -> Mask:
    """Direction of the only ring of each polygon by its signed area, relative to its first vertex."""
    if not len(polygons):
        return np.zeros(0, dtype=bool)
    xy = shapely.get_coordinates(polygons)
    counts = shapely.get_num_coordinates(polygons)
    starts = np.cumsum(counts) - counts
    x, y = (xy - np.repeat(xy[starts], counts, axis=0)).T
    # The step from one polygon's last vertex to the next one's first is not an edge; it ends at (0, 0).
    cross = np.zeros(len(xy))
    cross[:-1] = x[:-1] * y[1:] - x[1:] * y[:-1]
    return np.add.reduceat(cross, starts) > 0
