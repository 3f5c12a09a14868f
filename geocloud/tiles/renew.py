# SPDX-License-Identifier: Apache-2.0
"""What has changed since an archive was made: boxes out of the change log, and the tiles they touch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geocloud.catalogue.registry import Layer
from geocloud.tiles.archive import Archive
from geocloud.tiles.quadtree import Box, Cell, Touched, overlaps

__all__ = ["boundary_ahead", "changed_boxes", "touched_cells"]

# Past so many tiles of a zoom, building all of them costs no more than finding out which.
_CELLS_MAX = 200_000
_LOG_SQL = """
SELECT DISTINCT (b.box[1])[0], (b.box[1])[1], (b.box[0])[0], (b.box[0])[1]
  FROM geocloud.change_log c, LATERAL (VALUES (c.bbox_before), (c.bbox_after)) b (box)
 WHERE c.layer = %s AND c.version > %s AND b.box IS NOT NULL
"""
# Rows that began or ended to be valid between two instants without being written.
_PASSED_SQL = """
SELECT DISTINCT ST_XMin(geom), ST_YMin(geom), ST_XMax(geom), ST_YMax(geom) FROM {table}
 WHERE (valid_from >= %s AND valid_from <= now() OR valid_to >= %s AND valid_to <= now())
   AND geom IS NOT NULL AND NOT ST_IsEmpty(geom)
"""
_AHEAD_SQL = """
SELECT least(min(valid_from) FILTER (WHERE valid_from > now()),
             min(valid_to) FILTER (WHERE valid_to > now() AND isfinite(valid_to))) FROM {table}
"""


def changed_boxes(cur: Any, layer: Layer, archive: Archive) -> Touched:
    """Boxes of the layer, before and after, of all that changed since the archive's version; `cur` is psycopg2's."""
    cur.execute(_LOG_SQL, (layer.id, archive.about.versions[layer.id]))
    boxes: list[Box] = cur.fetchall()
    if archive.about.until:
        cur.execute(_PASSED_SQL.format(table=layer.table), (archive.about.until, archive.about.until))
        boxes += cur.fetchall()
    return Touched(boxes)


def boundary_ahead(cur: Any, layer: Layer) -> str | None:
    """When the next row of the layer begins or ends to be valid, in ISO 8601; None when no such date is known."""
    if not layer.state.timed:
        return None
    cur.execute(_AHEAD_SQL.format(table=layer.table))
    ahead = cur.fetchone()[0]
    return ahead.isoformat() if ahead else None


def touched_cells(archive: Archive, touched: Touched, margin: Callable[[int], float]) -> set[Cell] | None:
    """Tiles of all zooms of an archive that a change is seen in; None when they are too many to name.

    `margin`: how far tiles of a zoom reach over their edges, in tile sides.
    """
    about = archive.about
    found: set[Cell] = set()
    for zoom in range(about.min_zoom, about.max_zoom + 1):
        cells = touched.cells(zoom, margin(zoom), _CELLS_MAX)
        if cells is None:
            return None
        found |= {c for c in cells if about.box is None or overlaps(c, about.box)}
    return found
