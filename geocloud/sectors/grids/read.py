# SPDX-License-Identifier: Apache-2.0
"""What the rules of unit grids look at, out of the database: grids of all times, communities, what stands there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.moment import Moment
from geocloud.grids.unit_make import Lines
from geocloud.grids.unit_rules import RETIRED, Community, Grids, Surroundings
from geocloud.jobs.run import Run

__all__ = ["BUILDING", "COMMUNITY", "COMPONENT", "LAYER", "read_communities", "read_grids", "read_lines", "read_near"]

LAYER, COMMUNITY, BUILDING, COMPONENT = "grid.unit_grid", "base.village", "base.building", "facility.component"
ROAD, WATERS = "base.road", ("base.water_line", "base.water_area")
# How much a line divides by the road's class; what is not named is a path.
_WEIGHTS = {"trunk": 5.0, "arterial": 4.0, "secondary": 3.0, "branch": 2.0, "residential": 1.5}
_WATER = 5.0
_PREFIX = 12
Array = NDArray[Any]


def read_grids(run: Run, layer_id: str, prefix: str | None) -> tuple[Grids, list[int]]:
    """All lives of the grids whose code begins so, as believed now, and the feature ids of the rows."""
    layer = grid_layer(run, layer_id)
    names = {f.name for f in layer.spec.visible_fields}
    state = '"state"::text' if "state" in names else "NULL::text"
    rows = _lives(run, layer, f'"code"::text, {state}', prefix)
    shapes = np.asarray(shapely.from_wkb([_bytes(r[-1]) for r in rows]), dtype=object)
    # A layer holds multipolygons; what is one polygon is told as such.
    single = (shapely.get_type_id(shapes) == 6) & (shapely.get_num_geometries(shapes) == 1)
    shapes[single] = shapely.get_geometry(shapes[single], 0)
    fids = [int(r[0]) for r in rows]
    grids = Grids(
        [r[3] for r in rows], shapes, [r[1] for r in rows], [r[2] for r in rows], [r[4] == RETIRED for r in rows], fids
    )
    return grids, fids


def grid_layer(run: Run, layer_id: str) -> Layer:
    """A published polygon layer with a code, InvalidParameter for any other."""
    layer = run.catalogue.layer(layer_id)
    if layer.spec.geometry not in ("polygon", "multipolygon") or "code" not in {f.name for f in layer.spec.fields}:
        raise InvalidParameter(
            f"`{layer_id}` is no layer of grids.", f"{layer_id} 不是网格图层。",
            todo_en=f"Name a polygon layer with a field `code`, such as {LAYER}.",
            todo_zh=f"请用带 code 字段的面图层,如 {LAYER}。", parameter="layer",
        )  # fmt: skip
    return layer


def read_communities(run: Run, codes: Sequence[str] | None, at: datetime | None) -> dict[str, Community]:
    """Communities and villages by code with all their lives; the shape is the one at that time, else the latest."""
    layer = run.catalogue.layers.get(COMMUNITY)
    if layer is None:
        return {}
    lives: dict[str, list[tuple[datetime | None, datetime | None]]] = {}
    shapes: dict[str, Any] = {}
    for _, begin, end, code, shape in _lives(run, layer, '"code"::text', None, codes):
        lives.setdefault(code, []).append((begin, end))
        here = end is None if at is None else (begin is None or begin <= at) and (end is None or at < end)
        if here or code not in shapes:
            shapes[code] = shapely.from_wkb(_bytes(shape))
    return {c: Community(c, shapes[c], tuple(found)) for c, found in lives.items()}


def _lives(
    run: Run, layer: Layer, columns: str, prefix: str | None, codes: Sequence[str] | None = None
) -> list[tuple[Any, ...]]:
    """Feature id, begin and end (None where open), columns and WKB of every life believed now."""
    binder = Binder()
    tests = []
    if prefix is not None:
        tests.append(f'starts_with("code", {binder.bind(prefix, "text")})')
    if codes is not None:
        tests.append(f'"code" = ANY ({binder.bind(list(codes), "text[]")})')
    wanted = (
        f"fid, NULLIF(valid_from, '-infinity'), NULLIF(valid_to, 'infinity'), {columns}, ST_AsBinary(geom) AS shape"
    )
    now = " AND ".join(tests) or "true"
    sql = (
        f"SELECT {wanted} FROM {layer.table} WHERE {now} "
        f"UNION ALL SELECT {wanted} FROM {layer.history} WHERE sys_to = 'infinity' AND {now} "
        "ORDER BY 4, 1, 2 NULLS FIRST"
    )
    return run.rows(sql, binder)


def read_near(run: Run, area: Any, moment: Moment) -> tuple[Surroundings, list[str]]:
    """Buildings and components that meet an area, and the layers of these that are not published."""
    missing = [i for i in (BUILDING, COMPONENT) if i not in run.catalogue.layers]
    buildings = _met(run, BUILDING, area, moment)
    components = _met(run, COMPONENT, area, moment)
    return Surroundings(buildings[1], buildings[0], components[1], components[0]), missing


def read_lines(run: Run, area: Any, moment: Moment) -> Lines:
    """Roads, rivers and shores that meet an area, with how much each divides."""
    classes, roads = _met(run, ROAD, area, moment, "class")
    shapes, weights = [roads], [np.array([_WEIGHTS.get(c, 1.0) for c in classes])]
    for layer_id in WATERS:
        _, water = _met(run, layer_id, area, moment)
        areal = np.isin(shapely.get_type_id(water), (3, 6))
        water[areal] = shapely.boundary(water[areal])
        shapes.append(water)
        weights.append(np.full(len(water), _WATER))
    return Lines(np.concatenate(shapes), np.concatenate(weights))


def _met(run: Run, layer_id: str, area: Any, moment: Moment, field: str | None = None) -> tuple[list[str], Array]:
    """A field, the key if None, and the shapes of the features that meet an area."""
    layer = run.catalogue.layers.get(layer_id)
    if layer is None or area is None or area.is_empty:
        return [], np.empty(0, dtype=object)
    binder = Binder()
    when = moment if layer.state.dated or layer.state.timed else Moment()
    relation = when.relation(binder, layer, by_place=False) or layer.table
    shape = binder.bind(shapely.to_wkb(area), "bytea")
    name = quote_identifier(field or layer.spec.key[0])
    sql = (
        f"SELECT coalesce({name}::text, ''), ST_AsBinary(geom) FROM {relation} r "
        f"WHERE ST_Intersects(geom, ST_GeomFromWKB({shape}, 4490)) ORDER BY fid"
    )
    rows = run.rows(sql, binder)
    return [r[0] for r in rows], np.asarray(shapely.from_wkb([bytes(r[1]) for r in rows]), dtype=object)


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)
