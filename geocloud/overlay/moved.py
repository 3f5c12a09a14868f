# SPDX-License-Identifier: Apache-2.0
"""Where zones have changed since they were stamped by, and which features lie there.

A feature's zone can only have changed where a zone's old and new area differ; so what is stamped again is what meets
that difference, which for a border that moved is a strip along it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.overlay.times import by_index, near_now, now, then, touched
from geocloud.overlay.zonings import ZONINGS

__all__ = ["Moved", "features_near", "moved_area"]

# Past this many changed zones, or this share of them, all features are stamped again.
_ZONES_MAX, _SHARE_MAX = 2_000, 0.5
# A degree is some 100 km: what rounding could lose at the edge of a difference is within a centimetre.
_MARGIN = 1e-7
# Corners of a piece of the difference.
_CORNERS = 16
_MEETS = "r.geom OPERATOR(public.&&) s.area AND public.ST_Intersects(s.area, r.geom)"


@dataclass(frozen=True)
class Moved:
    """The parts of the difference (shapely polygons, lon/lat), and how many zones it comes from."""

    parts: NDArray[Any]
    zones: int


def moved_area(cur: Any, zoning: str, times: dict[str, Any]) -> Moved | None:
    """Where a zoning's zones at `at` differ from those of before (`believed`, `was_at`); None for nearly everywhere."""
    layer = ZONINGS[zoning].layer
    cur.execute(touched(layer), times)
    fids = [r[0] for r in cur.fetchall()]
    cur.execute(f"SELECT count(*) FROM {now(layer)} z", times)
    if len(fids) > min(_ZONES_MAX, max(1, _SHARE_MAX * cur.fetchone()[0])):
        return None
    areal = "public.GeometryType(geom) IN ('POLYGON', 'MULTIPOLYGON')"
    sides = []
    for relation in (then(layer), now(layer)):
        cur.execute(
            f"SELECT fid, public.ST_AsBinary(geom) FROM {relation} z WHERE fid = ANY (%(fids)s) AND {areal}",
            times | {"fids": fids},
        )
        sides.append({fid: bytes(wkb) for fid, wkb in cur.fetchall()})
    was, has = sides
    changed = [f for f in fids if was.get(f) != has.get(f)]
    parts: list[Any] = []
    for fid in changed:
        parts += shapely.get_parts(_difference(was.get(fid), has.get(fid))).tolist()
    areas = np.array(parts, dtype=object)
    return Moved(shapely.buffer(areas, _MARGIN, quad_segs=1) if len(areas) else areas, len(changed))


def features_near(cur: Any, layer_id: str, moved: Moved, times: dict[str, Any]) -> list[int]:
    """Numbers of a layer's features that meet the difference."""
    if not len(moved.parts):
        return []
    # A strip along a border has a box as large as the zone, so it is cut up; and how few features lie in a piece is not
    # known to the planner, who would read all of them for each.
    pieces = (
        "SELECT public.ST_Subdivide(public.ST_GeomFromWKB(b, 4490), %(corners)s) AS area "
        "FROM unnest(%(parts)s::bytea[]) b"
    )
    bound = {"parts": [bytes(b) for b in shapely.to_wkb(moved.parts)], "corners": _CORNERS}
    with by_index(cur):
        cur.execute(near_now(layer_id, pieces, _MEETS), times | bound)
        return [r[0] for r in cur.fetchall()]


def _difference(was: bytes | None, has: bytes | None) -> Any:
    if was is None or has is None:
        return shapely.from_wkb(was or has)
    before, after = (shapely.make_valid(shapely.from_wkb(w)) for w in (was, has))
    # Borders and their corners may have moved by nothing: what is left of no area lies on both borders alike.
    return shapely.symmetric_difference(before, after)
