# SPDX-License-Identifier: Apache-2.0
"""A synthetic year of the demo's parcels, so that there is something to compare: every change of it is made up.

In 2025 some parcels got another use (1 April), some lost a strip to a road (1 July), some were divided in two
(1 October) and some were found to lie elsewhere by a new survey (1 November). Dates are valid times; the changes are
ordinary writes, with history and change log.
"""

from __future__ import annotations

from typing import Any, Final

from geocloud.db.pool import connect
from geocloud.errors import CatalogueError

__all__ = ["LAYER", "live_a_year"]

LAYER: Final = "base.parcel"
_OURS = f"source_id IN (SELECT id FROM geocloud.source WHERE layer = '{LAYER}' AND synthetic)"
_AREA = "round(ST_Area({g}::geography)::numeric, 2)"
# Name, valid time, statement; which parcels is told by their numbers, so that a size always gets the same year.
_CHANGES: Final = (
    (
        "used otherwise",
        "2025-04-01T00:00:00+08",
        f"UPDATE base.parcel t SET land_use = n.land_use, land_use_name = n.land_use_name FROM base.parcel n "
        f"WHERE t.{_OURS} AND t.fid % 20 = 3 AND n.fid = t.fid + 7 AND n.land_use <> t.land_use",
    ),
    (
        "narrowed",
        "2025-07-01T00:00:00+08",
        "UPDATE base.parcel t SET geom = n.geom, area_m2 = " + _AREA.format(g="n.geom") + " FROM (SELECT fid, "
        "ST_Multi(ST_Intersection(geom, ST_MakeEnvelope(ST_XMin(geom), ST_YMin(geom), ST_XMax(geom), "
        "ST_YMax(geom) - (ST_YMax(geom) - ST_YMin(geom)) / 4, 4490))) AS geom "
        f"FROM base.parcel WHERE {_OURS} AND fid % 25 = 5) n "
        "WHERE t.fid = n.fid AND ST_GeometryType(n.geom) = 'ST_MultiPolygon' AND NOT ST_IsEmpty(n.geom)",
    ),
    (
        "divided",
        "2025-10-01T00:00:00+08",
        "WITH gone AS (DELETE FROM base.parcel WHERE " + _OURS + " AND fid % 30 = 7 RETURNING *), halves AS ("
        "SELECT g.*, h.side, ST_Multi(ST_Intersection(g.geom, ST_MakeEnvelope("
        "CASE h.side WHEN 0 THEN ST_XMin(g.geom) ELSE (ST_XMin(g.geom) + ST_XMax(g.geom)) / 2 END, ST_YMin(g.geom), "
        "CASE h.side WHEN 0 THEN (ST_XMin(g.geom) + ST_XMax(g.geom)) / 2 ELSE ST_XMax(g.geom) END, ST_YMax(g.geom), "
        "4490))) AS half, row_number() OVER (ORDER BY g.fid, h.side) AS place "
        "FROM gone g, (VALUES (0), (1)) h (side)) "
        "INSERT INTO base.parcel (code, land_use, land_use_name, right_type, area_m2, registered_on, source_id, "
        "valid_from, geom) SELECT left(code, 12) || 'ZZ' || to_char(place % 100000, 'FM00000'), land_use, "
        "land_use_name, right_type, " + _AREA.format(g="half") + ", '2025-10-01', source_id, geocloud.valid_at(NULL), "
        "half FROM halves WHERE ST_GeometryType(half) = 'ST_MultiPolygon' AND NOT ST_IsEmpty(half)",
    ),
    (
        "surveyed anew",
        "2025-11-01T00:00:00+08",
        f"UPDATE base.parcel SET geom = ST_Translate(geom, 0.00005, 0) WHERE {_OURS} AND fid % 60 = 11",
    ),
)  # fmt: skip


def live_a_year(owner_url: str) -> dict[str, int]:
    """Writes the year into the demo's parcels, once; rows by change, empty when it is there already.

    Raises CatalogueError when the layer holds no synthetic rows.
    """
    done: dict[str, int] = {}
    with connect(owner_url, application_name="geocloud demo") as conn, conn.cursor() as cur:
        cur.execute("SELECT to_regclass(%s) IS NOT NULL", (LAYER,))
        there = _one(cur)
        if there:
            cur.execute(f"SELECT EXISTS (SELECT FROM {LAYER} WHERE {_OURS})")
            there = _one(cur)
        if not there:
            raise CatalogueError(
                f"{LAYER} holds no synthetic rows.",
                f"图层 {LAYER} 中没有合成数据。",
                todo_en="Run `geocloud demo` first.",
                todo_zh="请先运行 `geocloud demo`。",
            )
        cur.execute(
            f"SELECT EXISTS (SELECT FROM history.\"{LAYER}\" WHERE {_OURS} AND sys_to = 'infinity' AND valid_to = %s)",
            (_CHANGES[0][1],),
        )
        if _one(cur):
            return done
        for name, at, statement in _CHANGES:
            cur.execute("SELECT set_config('geocloud.valid_at', %s, true)", (at,))
            cur.execute("SELECT set_config('geocloud.by', 'geocloud demo', true)")
            cur.execute(statement)
            done[name] = cur.rowcount
            # Each change is a write of its own, as it would have been.
            conn.commit()
    return done


def _one(cur: Any) -> Any:
    row = cur.fetchone()
    return row[0] if row else None
