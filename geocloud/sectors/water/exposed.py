# SPDX-License-Identifier: Apache-2.0
"""Who and what is in a flooded area (受影响人口与设施): persons, buildings, facilities with depth, roads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import shapely

from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.moment import NOW
from geocloud.jobs.run import Run

__all__ = ["DISTRICTS", "FACILITIES", "exposed"]

DISTRICTS = ("base.village", "base.township")
FACILITIES = (
    "facility.school", "facility.hospital", "facility.elderly_care", "facility.shelter", "water.pump_station",
    "water.sluice", "water.low_place",
)  # fmt: skip
LISTED = 500
"""Most features of one kind that are listed; the rest are counted."""
_PIECE = 256

Depth = Callable[[float, float], float | None]


def exposed(run: Run, area: Any, depth_at: Depth, districts: str) -> dict[str, Any]:
    """What lies in an area, a shapely multipolygon in EPSG:4490.

    Persons: of a district with an outline its share by area on the ellipsoid, as if they lived evenly over it; of one
    with a point alone, all or none. Facilities are listed with the depth at their point, `depth_at(lon, lat)`.
    """
    out: dict[str, Any] = {"layers_missing": []}
    for name, layer_id, ask in (
        ("population", districts, _persons), ("buildings", "base.building", _buildings), ("roads", "base.road", _roads),
    ):  # fmt: skip
        if layer_id in run.catalogue.layers and run.catalogue.layer(layer_id).state.row_count:
            out[name] = ask(run, run.catalogue.layer(layer_id), area)
        else:
            out[name] = None
            out["layers_missing"].append(layer_id)
    out["facilities"] = {}
    for layer_id in FACILITIES:
        if layer_id in run.catalogue.layers and run.catalogue.layer(layer_id).state.row_count:
            out["facilities"][layer_id] = _facilities(run, run.catalogue.layer(layer_id), area, depth_at)
        else:
            out["layers_missing"].append(layer_id)
    return out


def _area(binder: Binder, area: Any) -> str:
    """A common table `e` with the area in small pieces, each with an index of boxes of its own."""
    wkb = binder.bind(shapely.to_wkb(area, include_srid=False), "bytea")
    return f"WITH e AS MATERIALIZED (SELECT ST_Subdivide(ST_GeomFromWKB({wkb}, 4490), {_PIECE}) AS g)"


def _relation(binder: Binder, layer: Layer) -> str:
    return NOW.relation(binder, layer) or layer.table


def _persons(run: Run, layer: Layer, area: Any) -> dict[str, Any]:
    binder = Binder()
    sql = (
        f"{_area(binder, area)}, d AS (SELECT t.fid, t.code, t.name, t.population, t.geom, "
        "ST_Dimension(t.geom) = 2 AS flat, "
        "sum(CASE WHEN ST_Dimension(t.geom) = 2 THEN ST_Area(ST_Intersection(t.geom, e.g)::geography) ELSE 0 END) "
        "AS inside "
        f"FROM {_relation(binder, layer)} t JOIN e ON t.geom && e.g AND ST_Intersects(t.geom, e.g) "
        "GROUP BY t.fid, t.code, t.name, t.population, t.geom) "
        "SELECT code, name, population, flat, CASE WHEN flat "
        "THEN least(1, inside / nullif(ST_Area(geom::geography), 0)) ELSE 1 END FROM d ORDER BY code"
    )
    rows = [
        {
            "code": code, "name": name, "population": population, "share": round(share, 6),
            "persons": None if population is None else round(population * share, 1), "by": "area" if flat else "point",
        }
        for code, name, population, flat, share in run.rows(sql, binder)
        if share
    ]  # fmt: skip
    known = [r["persons"] for r in rows if r["persons"] is not None]
    return {
        "districts": layer.id, "persons": round(sum(known)) if known else None if rows else 0,
        "without_population": len(rows) - len(known), "count": len(rows), "synthetic": layer.synthetic,
        "rows": sorted(rows, key=lambda r: (-(r["persons"] or 0), r["code"]))[:LISTED],
    }  # fmt: skip


def _buildings(run: Run, layer: Layer, area: Any) -> dict[str, Any]:
    binder = Binder()
    sql = (
        f"{_area(binder, area)}, b AS (SELECT DISTINCT ON (t.fid) t.fid, t.use, t.households, t.geom "
        f"FROM {_relation(binder, layer)} t JOIN e ON t.geom && e.g AND ST_Intersects(t.geom, e.g)) "
        "SELECT use, count(*), sum(households)::bigint, sum(ST_Area(geom::geography)) FROM b GROUP BY use "
        "ORDER BY 2 DESC, 1"
    )
    rows = [
        {"use": use, "count": count, "households": households, "footprint_m2": round(m2, 1)}
        for use, count, households, m2 in run.rows(sql, binder)
    ]
    return {"count": sum(r["count"] for r in rows), "by_use": rows, "synthetic": layer.synthetic}


def _roads(run: Run, layer: Layer, area: Any) -> dict[str, Any]:
    binder = Binder()
    sql = (
        f"{_area(binder, area)} SELECT t.class, count(DISTINCT t.fid), "
        "sum(ST_Length(ST_Intersection(t.geom, e.g)::geography)) "
        f"FROM {_relation(binder, layer)} t JOIN e ON t.geom && e.g AND ST_Intersects(t.geom, e.g) "
        "WHERE t.bridge IS NOT TRUE GROUP BY t.class ORDER BY 3 DESC, 1"
    )
    rows = [{"class": c, "count": n, "length_m": round(m, 1)} for c, n, m in run.rows(sql, binder)]
    return {
        "length_m": round(sum(r["length_m"] for r in rows), 1), "count": sum(r["count"] for r in rows),
        "by_class": rows,
        "bridges": "left out", "synthetic": layer.synthetic,
    }  # fmt: skip


def _facilities(run: Run, layer: Layer, area: Any, depth_at: Depth) -> dict[str, Any]:
    binder = Binder()
    known = {f.name for f in layer.spec.visible_fields}
    more = [n for n in ("level", "stage", "kind", "pupils", "beds", "capacity") if n in known]
    columns = ", ".join(f"t.{quote_identifier(n)}" for n in ("code", "name", *more))
    sql = (
        f"{_area(binder, area)} SELECT DISTINCT ON (t.code, t.fid) {columns}, ST_X(p), ST_Y(p) "
        f"FROM {_relation(binder, layer)} t JOIN e ON t.geom && e.g AND ST_Intersects(t.geom, e.g), "
        "ST_PointOnSurface(t.geom) p ORDER BY t.code, t.fid"
    )
    rows = []
    for *values, lon, lat in run.rows(sql, binder):
        depth = depth_at(lon, lat)
        rows.append(
            dict(zip(("code", "name", *more), values, strict=True))
            | {"lon": lon, "lat": lat, "depth_m": None if depth is None else round(depth, 3)}
        )
    return {"count": len(rows), "synthetic": layer.synthetic, "rows": rows[:LISTED]}
