# SPDX-License-Identifier: Apache-2.0
"""The areas that something is added up by: a layer's polygons at a moment, or cells of a grid.

Areas are numbered in the order of their feature ids; where two of a layer lie over each other by more than a sliver,
the layer is no partition, and `overlap_km2` says by how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import h3.api.numpy_int as h3
import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.errors import TooLarge
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.literals import Box
from geocloud.features.moment import Moment
from geocloud.geodesy.area import areas
from geocloud.geodesy.straight import straight_areas
from geocloud.grids.dggs import Dggs
from geocloud.overlay.by import By

__all__ = [
    "LOOKED_AT", "Zones", "cell_outlines", "cell_zones", "cells_around", "cells_near", "layer_zones", "polygons",
    "too_many_zones", "zones_statement",
]  # fmt: skip

# Cells of one box: around lines most of them are empty.
_BOX_CELLS = 100
LOOKED_AT = 4
"""Cells looked at for each that may be told."""
# What two areas share is a sliver of digitizing up to this share of the smaller one.
_SLIVER = 1e-6
_DEGREE_DIGITS = 9
_TOUCHING = 1e-9
# From this H3 level on edges are so short that straight ones in degrees have the same area to 1e-9.
_SHORT_EDGES = 6


@dataclass(frozen=True)
class Zones:
    """Areas in the order of their numbers. `ids` are feature ids or cells; `codes` and `names` what people call them.

    `shapes` are polygons in EPSG:4490, those of cells made when first asked for; `pointlike` rows of the layer had none
    and are left out.
    """

    by: By
    ids: NDArray[Any]
    codes: list[str | None]
    names: list[str | None]
    polygons: NDArray[Any] | None = None
    version: int = 0
    pointlike: int = 0
    overlap_km2: float = 0.0
    overlaps: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, some: NDArray[np.bool_]) -> Zones:
        """Those of the areas that are marked."""
        marked = some.tolist()
        codes, names = ([v for v, m in zip(vs, marked, strict=True) if m] for vs in (self.codes, self.names))
        return replace(
            self,
            ids=self.ids[some],
            codes=codes,
            names=names,
            polygons=None if self.polygons is None else self.polygons[some],
        )

    @property
    def overlapping(self) -> bool:
        """Whether areas lie over each other by more than slivers."""
        return self.overlaps > 0

    @cached_property
    def shapes(self) -> NDArray[Any]:
        """The outlines of the areas."""
        if self.polygons is not None:
            return self.polygons
        assert self.by.grid is not None
        return cell_outlines(self.by.grid, self.ids)

    @cached_property
    def area_km2(self) -> NDArray[np.float64]:
        """Ellipsoidal areas; edges are geodesics but for BeiDou cells, whose sides are parallels and meridians."""
        grid = self.by.grid
        if grid is None or (grid.id == "h3" and self.by.level < _SHORT_EDGES):
            return areas(self.shapes) / 1e6
        return straight_areas(self.shapes) / 1e6

    @property
    def nbytes(self) -> int:
        """About what they take in memory."""
        corners = 7 * len(self.ids) if self.polygons is None else int(shapely.get_num_coordinates(self.polygons).sum())
        return corners * 24 + 400 * len(self.ids)


def zones_statement(layer: Layer, moment: Moment, most: int) -> tuple[str, Binder]:
    """SQL of a layer's rows as zones: fid, code, name, WKB; at most one more than `most`."""
    binder = Binder()
    relation = moment.relation(binder, layer, by_place=False) or layer.table
    key = " || '|' || ".join(f"coalesce({quote_identifier(k)}::text, '')" for k in layer.spec.key)
    names = {f.name for f in layer.spec.visible_fields}
    label = next((n for n in (layer.spec.style.label, "name") if n and n in names), None)
    name = f"{quote_identifier(label)}::text" if label else "NULL::text"
    sql = (
        f"SELECT fid::bigint, {key}, {name}, ST_AsBinary(geom) FROM {relation} z WHERE geom IS NOT NULL "
        f"ORDER BY fid LIMIT {most + 1:d}"
    )
    return sql, binder


def layer_zones(by: By, rows: Sequence[Any], version: int, most: int) -> Zones:
    """The zones of rows as `zones_statement` gives them; TooLarge for more than `most`."""
    assert by.layer is not None
    if len(rows) > most:
        raise too_many_zones(by.text, most)
    shapes = np.asarray(shapely.from_wkb([bytes(r[3]) for r in rows]), dtype=object).reshape(-1)
    # One without area counts as a point, and that may be of a cell it only touches.
    areal = shapely.area(shapes) > 0
    ids = np.array([r[0] for r in rows], np.int64)[areal]
    codes, names = ([_text(r[k]) for r, some in zip(rows, areal.tolist(), strict=True) if some] for k in (1, 2))
    shapes = polygons(shapes[areal])
    overlaps, overlap = _overlaps(shapes)
    return Zones(by, ids, codes, names, shapes, version, int((~areal).sum()), overlap, overlaps)


def cell_zones(by: By, cells: NDArray[Any], most: int) -> Zones:
    """The zones of cells of one level of a grid, ascending; TooLarge for more than `most`."""
    assert by.grid is not None
    if len(cells) > most:
        raise too_many_zones(by.text, most)
    texts: list[str | None] = list(by.grid.texts(cells)) if len(cells) else []
    return Zones(by, cells, texts, [None] * len(cells))


def cell_outlines(grid: Dggs, cells: NDArray[Any]) -> NDArray[Any]:
    """Cells as polygons, many at a time."""
    if grid.id != "h3" or not len(cells):
        return grid.outlines(cells) if len(cells) else np.zeros(0, object)
    rings = [h3.cell_to_boundary(c) for c in cells.tolist()]
    sizes = np.array([len(r) for r in rings])
    corners = np.array([corner for ring in rings for corner in ring])[:, ::-1]
    of_ring = np.repeat(np.arange(len(rings)), sizes)
    # A cell across the antimeridian goes on beyond it.
    lon = corners[:, 0]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    wide = (np.maximum.reduceat(lon, starts) - np.minimum.reduceat(lon, starts) > 180)[of_ring]
    corners[wide & (lon < 0), 0] += 360
    return np.asarray(shapely.polygons(shapely.linearrings(corners, indices=of_ring)), dtype=object)


def cells_around(by: By, shapes: NDArray[Any], most: int, window: Sequence[Box] = ()) -> NDArray[Any]:
    """Cells that may meet shapes: a box is halved both ways until few cells meet it, and left where no shape does.

    With a window, only cells that its boxes meet.
    """
    assert by.grid is not None
    found: list[NDArray[Any]] = [by.grid.of_points(np.zeros(0), np.zeros(0), by.level)]
    if not len(shapes):
        return found[0]
    tree, count = shapely.STRtree(shapes), 0
    # A little more, so that what lies on an edge meets the cells of both sides, whatever else there is.
    total = shapely.total_bounds(shapes) + _TOUCHING * np.array([-1, -1, 1, 1])
    boxes = [np.clip(total, [-180, -90, -180, -90], [180, 90, 180, 90]).tolist()]
    if window:
        west, south, east, north = boxes[0]
        clipped = [[max(west, b.west), max(south, b.south), min(east, b.east), min(north, b.north)] for b in window]
        boxes = [b for b in clipped if b[0] <= b[2] and b[1] <= b[3]]
    while boxes:
        west, south, east, north = boxes.pop()
        if not len(tree.query(shapely.box(west, south, east, north), predicate="intersects")):
            continue
        try:
            cells = by.grid.cover((west, south, east, north), by.level, _BOX_CELLS)
        except TooLarge:
            x, y = (west + east) / 2, (south + north) / 2
            boxes += [[west, south, x, y], [x, south, east, y], [west, y, x, north], [x, y, east, north]]
            continue
        found.append(cells)
        count += len(cells)
        if count > LOOKED_AT * most or len(boxes) > most:
            raise too_many_zones(by.text, most)
    return np.unique(np.concatenate(found))


def cells_near(by: By, shapes: NDArray[Any], most: int, window: Sequence[Box]) -> NDArray[Any]:
    """Cells that may meet shapes, for polygons those of the window alone.

    What a polygon shares with a cell is the same whichever other cells there are. Of a line along an edge it is not,
    so that all of its cells are needed.
    """
    if not window:
        return cells_around(by, shapes, most)
    # One without area counts as a point, and that may be of a cell it only touches.
    areal = shapely.area(shapes) > 0
    return np.union1d(cells_around(by, shapes[~areal], most), cells_around(by, shapes[areal], most, window))


def too_many_zones(by: str, most: int) -> TooLarge:
    """What is said where there are more areas than an answer may have."""
    return TooLarge(
        f"`{by[:60]}` gives more than {most:,} areas.", f"{by[:60]} 的分区超过上限 {most:,} 个。",
        todo_en="Choose larger areas, a coarser level of the grid, or a smaller bbox.",
        todo_zh="请选较大的分区、较粗的网格级别,或缩小 bbox。", maximum=most,
    )  # fmt: skip


def polygons(shapes: NDArray[Any]) -> NDArray[Any]:
    """Valid polygons and multipolygons."""
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken])
    for i in np.flatnonzero(shapely.get_type_id(shapes) == 7).tolist():
        parts = shapely.get_parts(shapes[i])
        shapes[i] = shapely.union_all(parts[shapely.get_dimensions(parts) == 2])
    return shapes


def _overlaps(shapes: NDArray[Any]) -> tuple[int, float]:
    """Pairs of areas that lie over each other, and the km2 that they share.

    Areas whose borders have the same corners are no question; only those with a border of another kind are cut.
    """
    if len(shapes) < 2:
        return 0, 0.0
    # As they are written: what differs by less than a tenth of a millimetre is one corner.
    rounded = shapely.transform(shapes, lambda xy: np.round(xy, _DEGREE_DIGITS))
    if shapely.coverage_is_valid(rounded):
        return 0, 0.0
    (odd,) = np.nonzero(~shapely.is_empty(shapely.coverage_invalid_edges(rounded)))
    some = shapes[odd]
    one, other = shapely.STRtree(some).query(some)
    later = one < other
    one, other = one[later], other[later]
    shared = straight_areas(shapely.intersection(some[one], some[other]))
    whole = straight_areas(some)
    real = shared > _SLIVER * np.minimum(whole[one], whole[other])
    return int(real.sum()), float(shared[real].sum()) / 1e6


def _text(value: object) -> str | None:
    return value.decode() if isinstance(value, bytes) else None if value is None else str(value)
