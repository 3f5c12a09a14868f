# SPDX-License-Identifier: Apache-2.0
"""A plan against a boundary (范围检查): what is not covered, what lies outside, edges that nearly follow it. All in
EPSG:4490, longitude first; overlays are planar, areas on the ellipsoid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.model import Text
from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.cql2 import compile_filter
from geocloud.features.moment import Moment
from geocloud.geodesy.area import lengths
from geocloud.geodesy.straight import straight_areas
from geocloud.jobs.run import Run
from geocloud.planning.acceptance_faults import Fault, flattened, widths
from geocloud.planning.acceptance_plan import areal
from geocloud.planning.acceptance_topology import holes_of

__all__ = ["Districts", "off_boundary", "outside", "read_districts", "uncovered"]

Array = NDArray[Any]
# Where along an edge its distance to the boundary is taken.
_SAMPLES = np.linspace(0.0, 1.0, 5)
# Share of a district that a plan must cover to be taken as the plan of it.
_OWN = 0.5


@dataclass(frozen=True)
class Districts:
    """Polygons of a boundary layer with their keys; `why` where there are none to look at."""

    shapes: Array = field(default_factory=lambda: np.empty(0, dtype=object))
    keys: tuple[str, ...] = ()
    why: Text | None = None
    chosen: bool = False

    def of(self, sound: Array) -> Districts:
        """Those a plan is about: the ones asked for, or all of which its features cover at least half."""
        if self.chosen or self.why is not None:
            return self
        tree = shapely.STRtree(sound)
        shapely.prepare(self.shapes)
        inside, touched = (tree.query(self.shapes, predicate=p) for p in ("covers", "intersects"))
        cut = ~np.isin(touched[1], inside[1])
        at, of = touched[:, cut]
        shared = np.r_[
            straight_areas(sound[inside[1]]), straight_areas(shapely.intersection(self.shapes[at], sound[of]))
        ]
        share = np.bincount(np.r_[inside[0], at], shared, minlength=len(self.shapes)) / straight_areas(self.shapes)
        own = np.flatnonzero(share >= _OWN)
        if not len(own):
            return Districts(
                why=Text(
                    zh="没有一个行政区被规划覆盖过半,请指明 district",
                    en="the plan covers no district by half; name it with `district`",
                )
            )
        return Districts(self.shapes[own], tuple(self.keys[i] for i in own), chosen=True)


def read_districts(run: Run, layer_id: str, condition: str | None, district: str | None, moment: Moment) -> Districts:
    """The polygons of a published layer at a moment: what the CQL2 `condition` selects, or the one of that key."""
    layer = run.catalogue.layers.get(layer_id)
    if layer is None:
        return Districts(why=Text(zh=f"{layer_id} 没有发布图层", en=f"{layer_id} is not published"))
    binder = Binder()
    relation = _when(layer, moment).relation(binder, layer, by_place=False) or layer.table
    key = quote_identifier(layer.spec.key[0])
    tests = ["geom IS NOT NULL"]
    if condition is not None:
        tests.append(f"({compile_filter(binder, condition, 'cql2-text', layer, None, run.settings.web)})")
    elif district is not None:
        tests.append(f"{key}::text = {binder.bind(district, 'text')}")
    sql = f"SELECT {key}::text, ST_AsBinary(geom) FROM {relation} r WHERE {' AND '.join(tests)} ORDER BY 1, fid"
    rows = run.rows(sql, binder)
    if not rows:
        of = f" ({condition or district})" if condition or district else ""
        return Districts(why=Text(zh=f"{layer_id}{of} 在该日期没有数据", en=f"{layer_id}{of} has no rows at this date"))
    shapes = np.asarray(shapely.from_wkb([bytes(r[1]) for r in rows]), dtype=object)
    return Districts(shapes, tuple(str(r[0]) for r in rows), chosen=condition is not None or district is not None)


def _when(layer: Layer, moment: Moment) -> Moment:
    return moment if moment.believed is not None or layer.state.dated or layer.state.timed else Moment()


def uncovered(
    whole: Any, districts: Array, least_m2: float, width_m: float = 0.0, *, holes: bool = False
) -> list[Fault]:
    """Parts of the districts that `whole` (all features together) does not cover, each by itself."""
    parts = _parts(shapely.difference(shapely.union_all(districts), whole))
    if not holes and len(parts):
        enclosed = holes_of(whole)
        if len(enclosed):
            inside = shapely.STRtree(enclosed).query(shapely.point_on_surface(parts), predicate="within")[0]
            parts = np.delete(parts, np.unique(inside))
    area, width = straight_areas(parts), widths(parts)
    return [
        Fault(
            None, parts[k], f"行政区内未覆盖 {area[k]:,.2f} 平方米(平均宽 {width[k]:.2f} 米)",
            f"{area[k]:,.2f} m² of the district are not covered ({width[k]:.2f} m wide on average)",
            area_m2=float(area[k]),
        )
        for k in np.lexsort((area,))[::-1]
        if area[k] > 0 and area[k] >= least_m2 and width[k] > width_m
    ]  # fmt: skip


def outside(sound: Array, districts: Array, least_m2: float, width_m: float = 0.0) -> list[Fault]:
    """Of each feature what lies outside the districts."""
    whole = shapely.union_all(districts)
    shapely.prepare(whole)
    some = np.flatnonzero(~shapely.is_empty(sound) & ~shapely.covers(whole, sound))
    out = []
    for i, rest in zip(some, shapely.difference(sound[some], whole), strict=True):
        parts = _parts(rest)
        parts = parts[widths(parts) > width_m] if len(parts) else parts
        area = float(straight_areas(parts).sum()) if len(parts) else 0.0
        if area > 0 and area >= least_m2:
            shape = parts[0] if len(parts) == 1 else shapely.multipolygons(parts)
            said = f"{area:,.2f}"
            out.append(
                Fault(int(i), shape, f"超出范围 {said} 平方米", f"{said} m² lie outside the district", area_m2=area)
            )
    return out


def off_boundary(
    sound: Array, districts: Array, tolerance_m: float, exact_m: float, least_m: float = 0.0
) -> list[Fault]:
    """Stretches of outlines that run along a border of a district within a tolerance and are off it by more than
    `exact_m`; the length is that of the stretch."""
    flat, scale = flattened(np.concatenate([sound, districts]))
    plan, border = flat[: len(sound)], flat[len(sound) :]
    lines, _, _ = _edges(border)
    if not len(lines) or not len(plan):
        return []
    near = np.unique(shapely.STRtree(plan).query(lines, predicate="dwithin", distance=tolerance_m)[1])
    edges, ring, owner = _edges(plan[near])
    if not len(edges):
        return []
    tree = shapely.STRtree(lines)
    close = np.zeros(len(edges), dtype=bool)
    close[tree.query(edges, predicate="dwithin", distance=tolerance_m)[0]] = True
    some = np.flatnonzero(close)
    at = shapely.line_interpolate_point(edges[some][:, None], _SAMPLES[None, :], normalized=True).ravel()
    away = tree.query_nearest(at, all_matches=False, return_distance=True)[1].reshape(len(some), -1)
    along = (away <= tolerance_m).all(axis=1)
    along &= np.abs(away[:, 0] - away[:, -1]) <= 0.5 * shapely.length(edges[some])
    # An edge that only reaches past a corner of the border follows it all the same.
    off = along & (away[:, 1:-1].max(axis=1) > exact_m)
    chosen, worst = some[off], away.max(axis=1)[off]
    out = []
    for group in _stretches(chosen, ring):
        line = shapely.line_merge(shapely.multilinestrings(edges[chosen[group]]))
        line = shapely.transform(line, lambda xy: xy / scale)
        metres = float(lengths(np.array([line], dtype=object))[0])
        if metres >= least_m:
            most = float(worst[group].max())
            out.append(
                Fault(
                    int(near[owner[chosen[group[0]]]]), line,
                    f"沿边界 {metres:,.1f} 米未与边界重合,最大偏离 {most:.2f} 米",
                    f"runs {metres:,.1f} m along the boundary without meeting it, off by up to {most:.2f} m",
                    length_m=metres,
                )
            )  # fmt: skip
    return out


def _edges(shapes: Array) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """Edges of all rings as lines, the ring of each, and the shape of each."""
    parts, of_shape = shapely.get_parts(shapes, return_index=True)
    rings, of_part = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    if len(xy) < 2:
        return np.empty(0, dtype=object), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    true = (ring[1:] == ring[:-1]) & (xy[1:] != xy[:-1]).any(axis=1)
    pairs = np.stack([xy[:-1][true], xy[1:][true]], axis=1)
    return shapely.linestrings(pairs), ring[1:][true], of_shape[of_part][ring[1:][true]]


def _stretches(chosen: NDArray[np.int64], ring: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Places in `chosen` of edges that follow each other in a ring, round its end too."""
    if not len(chosen):
        return []
    breaks = np.flatnonzero((np.diff(chosen) != 1) | (ring[chosen[1:]] != ring[chosen[:-1]])) + 1
    groups = np.split(np.arange(len(chosen)), breaks)
    last_of_ring = np.r_[ring[1:] != ring[:-1], True]
    first_of_ring = np.r_[True, ring[1:] != ring[:-1]]
    opened: dict[int, int] = {}
    out: list[NDArray[np.int64]] = []
    for g in groups:
        r = int(ring[chosen[g[0]]])
        if last_of_ring[chosen[g[-1]]] and r in opened and not first_of_ring[chosen[g[0]]]:
            out[opened[r]] = np.r_[g, out[opened[r]]]
            continue
        if first_of_ring[chosen[g[0]]]:
            opened[r] = len(out)
        out.append(g)
    return out


def _parts(shape: Any) -> Array:
    found = shapely.get_parts(areal(shape))
    return np.asarray([p for p in found if not p.is_empty], dtype=object)
